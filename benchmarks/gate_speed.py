"""CPU seconds and memory of gating, side by side with FlowKit's Session, in one run.

Twenty files of 500,000 events and 12 channels are made once in a temporary folder; tregflow and
FlowKit gate them in turn, each in a process of its own from start to end, importing included.
tregflow's time is that of ``tregflow gate --no-plots --jobs 1``: reading, hashing (each file, and its
events alone), compensating, gating, outcomes and tables. The hashing is also timed by itself, so that both
ratios can be quoted.

    python benchmarks/gate_speed.py [--files 20] [--events 500000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

DETECTORS = ["BV421-A", "BV510-A", "FITC-A", "PE-A", "PE-Cy7-A", "APC-A", "APC-Cy7-A", "BV605-A"]
CHANNELS = ["FSC-A", "FSC-H", "SSC-A", *DETECTORS, "Time"]
LOGICLE = {"T": 262144.0, "W": 0.5, "M": 4.5, "A": 0.0}
POLYGONS = {
    "Cells": (
        "root",
        ["FSC-A", "SSC-A"],
        [[30e3, 5e3], [60e3, 2e3], [160e3, 20e3], [170e3, 110e3], [60e3, 100e3], [28e3, 50e3]],
    ),
    "Singlets": (
        "Cells",
        ["FSC-A", "FSC-H"],
        [[20e3, 12e3], [200e3, 150e3], [200e3, 210e3], [120e3, 125e3], [20e3, 26e3]],
    ),
    "P7": (
        "P6",
        ["APC-A", "PE-A"],
        [[0.2, 0.2], [0.75, 0.15], [0.9, 0.5], [0.7, 0.85], [0.3, 0.8], [0.15, 0.5]],
    ),
    "P8": (
        "P7",
        ["APC-Cy7-A", "BV605-A"],
        [[0.1, 0.1], [0.6, 0.2], [0.7, 0.6], [0.5, 0.75], [0.2, 0.7], [0.05, 0.4]],
    ),
}
THRESHOLDS = {
    "P3": ("Singlets", "BV421-A", 0.30),
    "P4": ("P3", "BV510-A", 0.25),
    "P5": ("P4", "FITC-A", 0.28),
    "P6": ("P5", "PE-Cy7-A", 0.26),
}
ORDER = ["Cells", "Singlets", "P3", "P4", "P5", "P6", "P7", "P8"]


def spillover() -> np.ndarray:
    rng = np.random.default_rng(7)
    matrix = rng.uniform(0, 0.12, (8, 8))
    np.fill_diagonal(matrix, 1)
    return matrix.round(4)


def write_file(path: Path, events: int, seed: int) -> None:
    from tregflow.io.fcs.writing import write_fcs

    rng = np.random.default_rng(seed)
    size = rng.lognormal(11.3, 0.35, events)
    positive = rng.random((events, 8)) < 0.6
    light = np.where(positive, rng.lognormal(8.5, 0.8, (events, 8)), rng.normal(150, 120, (events, 8)))
    columns = [size, size * rng.normal(0.9, 0.08, events), rng.lognormal(10.3, 0.5, events), *(light @ spillover()).T,
               np.sort(rng.uniform(0, 1e5, events))]  # fmt: skip
    write_fcs(path, CHANNELS, [column.astype("<f4") for column in columns], spillover=(DETECTORS, spillover()),
              ranges=[262144] * 12)  # fmt: skip


def template() -> str:
    gates = [{"name": name, "parent": POLYGONS[name][0], "markers": POLYGONS[name][1],
              "gate": {"polygon": {"vertices": POLYGONS[name][2]}}} if name in POLYGONS else
             {"name": name, "parent": THRESHOLDS[name][0], "markers": [THRESHOLDS[name][1]],
              "gate": {"interval": {"low": THRESHOLDS[name][2]}}} for name in ORDER]  # fmt: skip
    return json.dumps({"template": 1, "name": "speed", "shifts": [], "draws": 0, "markers": {name: {} for name in DETECTORS}, "compensation": "file",
                       "scales": {"fluorescence": {"logicle": LOGICLE}}, "populations": gates,
                       "report": {"primary": {"name": "P8 of P3", "count": "P8", "of": "P3"}}})  # fmt: skip


FLOWKIT = """
import json, sys
import flowkit as fk
from pathlib import Path
folder, order, polygons, thresholds, detectors = json.loads(sys.argv[1])
gs = fk.GatingStrategy()
gs.add_transform("logicle", fk.transforms.LogicleTransform(param_t=262144, param_w=0.5, param_m=4.5, param_a=0))
paths = {"root": ("root",)}
for name in order:
    parent = (polygons.get(name) or thresholds[name])[0]
    if name in polygons:
        dims = [fk.Dimension(c, compensation_ref="FCS" if c in detectors else "uncompensated",
                             transformation_ref="logicle" if c in detectors else None) for c in polygons[name][1]]
        gate = fk.gates.PolygonGate(name, dims, polygons[name][2])
    else:
        dim = fk.Dimension(thresholds[name][1], compensation_ref="FCS", transformation_ref="logicle",
                           range_min=thresholds[name][2])
        gate = fk.gates.RectangleGate(name, [dim])
    gs.add_gate(gate, gate_path=paths[parent])
    paths[name] = (*paths[parent], name)
session = fk.Session(gs, fcs_samples=sorted(str(p) for p in Path(folder).glob("*.fcs")))
session.analyze_samples()
report = session.get_analysis_report()
print(json.dumps([[Path(r["sample_id"]).stem, r["gate_name"], int(r["count"])] for _, r in report.iterrows()]))
"""


def timed(command: list[str]) -> tuple[float, float, float, str]:
    """Run a command; return CPU seconds, wall seconds, peak MB of its largest process, and its output."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    probe = (
        "import json,resource,subprocess,sys;"
        "done=subprocess.run(json.loads(sys.argv[1]),stdout=subprocess.PIPE);"
        "used=resource.getrusage(resource.RUSAGE_CHILDREN);"
        "sys.stdout.buffer.write(json.dumps([used.ru_utime+used.ru_stime,used.ru_maxrss/1024,done.returncode]).encode()"
        "+b'\\n'+done.stdout)"
    )
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", probe, json.dumps(command)],
        stdout=subprocess.PIPE,
        env=environment,
        check=True,
    )
    wall = time.perf_counter() - started
    figures, _, output = done.stdout.decode().partition("\n")
    cpu, peak, status = json.loads(figures)
    if status not in (0, 1) or not output:
        raise SystemExit(f"{command[:4]} ended with {status}: {output[-2000:]}")
    return cpu, wall, peak, output


def our_counts(results: Path) -> dict[tuple[str, str], int]:
    with (results / "populations.csv").open(newline="") as file:
        return {(row["sample"], row["population"]): int(row["count"]) for row in csv.DictReader(file)}


def run_ours(folder: Path, results: Path) -> tuple[float, float, float]:
    shutil.rmtree(results, ignore_errors=True)
    files = sorted(str(path) for path in folder.glob("*.fcs"))
    command = [sys.executable, "-m", "tregflow", "gate", "--template", str(folder / "speed.yaml"), "--no-plots", "--jobs", "1",
               "--out", str(results), *files]  # fmt: skip
    return timed(command)[:3]


def run_flowkit(folder: Path) -> tuple[float, float, float, str]:
    task = json.dumps([str(folder), ORDER, POLYGONS, THRESHOLDS, DETECTORS])
    return timed([sys.executable, "-c", FLOWKIT, task])


def hashing(folder: Path) -> float:
    """Return the CPU seconds of hashing every file, and its events alone once more, as gating does."""
    from tregflow.io.fcs import read_fcs
    from tregflow.io.files import sha256
    from tregflow.twins import data_sha256

    before = resource.getrusage(resource.RUSAGE_SELF)
    for path in folder.glob("*.fcs"):
        sha256(path)
        data_sha256(read_fcs(path))
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--files", type=int, default=20)
    options.add_argument("--events", type=int, default=500_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--folder", type=Path, help="keep the files here")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary) / "files"
        folder.mkdir(exist_ok=True)
        for number in range(asked.files):
            if not (path := folder / f"f{number:02}.fcs").exists():
                write_file(path, asked.events, number)
        (folder / "speed.yaml").write_text(template())
        compare(folder, Path(temporary) / "results", asked.files * asked.events / 1e6, asked.rounds)


def compare(folder: Path, results: Path, millions: float, rounds: int) -> None:
    run_ours(folder, results)  # warms the page cache and the byte-code
    ours, theirs, hashes = [], [], []
    for _ in range(rounds):
        hashes.append(hashing(folder))
        ours.append(run_ours(folder, results))
        *figures, output = run_flowkit(folder)
        theirs.append(figures)
    counts = our_counts(results)
    differing = sum(
        abs(counts[sample, gate] - count) for sample, gate, count in json.loads(output.splitlines()[-1])
    )
    hashed = statistics.median(hashes)
    print(
        f"{millions:g} million events x {len(CHANNELS)} channels, {len(ORDER)} gates, {rounds} rounds in turn; medians"
    )
    print(f"{'':22}{'CPU s':>8}{'per million':>13}{'wall s':>8}{'peak MB':>9}")
    for name, rows in (("tregflow", ours), ("FlowKit Session", theirs)):
        cpu, wall, peak = (statistics.median(row[place] for row in rows) for place in range(3))
        print(f"{name:22}{cpu:8.2f}{cpu / millions:13.3f}{wall:8.2f}{peak:9.0f}")
    print(f"{'hashing, files and DATA':23}{hashed:7.2f}{hashed / millions:13.3f}")
    ratios = [their[0] / our[0] for our, their in zip(ours, theirs, strict=True)]
    without = [their[0] / (our[0] - hashed) for our, their in zip(ours, theirs, strict=True)]
    print(f"FlowKit / tregflow, CPU: {statistics.median(ratios):.1f} (from {min(ratios):.1f} to {max(ratios):.1f}); "
          f"without hashing {statistics.median(without):.1f}")  # fmt: skip
    print(
        f"counts compared: {len(ORDER) * len({sample for sample, _ in counts})}, events counted otherwise: {differing}"
    )


if __name__ == "__main__":
    main()
