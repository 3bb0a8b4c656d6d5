"""Small studies on disk, a template that gates them fast, and workers that come to grief."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from tregflow import batch, cli
from tregflow.batch import Batch, Request, gate_batch
from tregflow.errors import Finding
from tregflow.io.fcs import read_fcs
from tregflow.io.fcs.writing import write_fcs
from tregflow.io.folder import Folder
from tregflow.io.tables import read_sheet
from tregflow.io.trials import write_trial
from tregflow.job import Ended, Job, gate_file
from tregflow.outcome import Evidence, Outcome
from tregflow.simulation import simulate
from tregflow.template import Template

SAMPLES = ("S01_W00", "S01_W12", "S02_W00", "S02_W12")
DETECTORS = {"CD3": "APC-Cy7-A", "CD4": "BV421-A", "CD25": "PE-Cy7-A", "CD127": "APC-A", "FOXP3": "PE-A"}

WAIT = 60
"""Seconds after which a test that waits has failed."""

TEMPLATE = """\
template: 1
name: small
markers: {CD3: {}, CD4: {}, CD25: {}, CD127: {}, FOXP3: {}}
compensation: file
scales:
  fluorescence: {logicle: {T: 262144, W: 0.5, M: 4.5, A: 0}}
populations:
  - {name: CD3, parent: root, markers: [CD3], gate: {interval: {low: 0.5}}}
  - {name: CD4, parent: CD3, markers: [CD4], gate: {interval: {low: 0.5}}}
  - {name: Treg, parent: CD4, markers: [CD25, FOXP3], gate: {rectangle: {low: [0.5, 0.4], high: [null, null]}}}
report:
  primary: {name: "Treg of CD4", count: Treg, of: CD4}
  also: [{name: "CD4 of CD3", count: CD4, of: CD3}]
  medians: {CD25: [Treg]}
limits: {CD4: {refuse_below: 50, review_below: 100}}
"""


# ---------------------------------------------------------------------------------- the study


@cache
def simulated() -> dict[str, bytes]:
    """Return two subjects' files by sample, made once."""
    with tempfile.TemporaryDirectory() as folder:
        trial = simulate(subjects=2, events=4_000, seed=4, controls=False, enriched=True)
        return {path.stem: path.read_bytes() for path in write_trial(trial, folder)}


def study(folder: Path) -> Path:
    """Write four files, their sheet and the small template; return the folder."""
    (folder / "fcs").mkdir(parents=True)
    for sample, content in simulated().items():
        (folder / "fcs" / f"{sample}.fcs").write_bytes(content)
    (folder / "small.yaml").write_text(TEMPLATE)
    write_sheet(folder, [row(sample) for sample in SAMPLES])
    return folder


def row(sample: str, /, **cells: str) -> dict[str, str]:
    """Return a row of the sheet; as in the files, the visits are runs of different days."""
    subject, _, visit = sample.partition("_")
    run = "R2" if visit == "W12" else "R1"
    return {"file": f"fcs/{sample}.fcs", "subject": subject, "visit": visit, "run": run, **cells}


def write_sheet(folder: Path, rows: list[dict[str, str]]) -> Path:
    columns = list(dict.fromkeys(column for cells in rows for column in cells))
    with (folder / "samples.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return folder / "samples.csv"


def rewritten(source: Path, target: Path, *, events: int | None = None, stains: Mapping[str, str] | None = None,
              keywords: Mapping[str, str] | None = None) -> Path:  # fmt: skip
    """Write a file again with fewer events, other stains (by detector) or more keywords."""
    sample, renamed = read_fcs(source), dict(stains or {})
    spillover = sample.spillover and (sample.spillover.names, sample.spillover.matrix)
    write_fcs(target, sample.names, [column[:events] for column in sample.stored.T],
              stains=[renamed.get(name, stain) for name, stain in zip(sample.names, sample.stains, strict=True)],
              spillover=spillover, keywords=keywords)  # fmt: skip
    return target


def truncated(path: Path) -> Path:
    os.truncate(path, path.stat().st_size - 5_000)
    return path


def small(text: str = TEMPLATE) -> Template:
    from ruamel.yaml import YAML

    return Template.from_mapping(YAML(typ="safe", pure=True).load(text))


def request(folder: Path, out: Path, **settings: Any) -> Request:
    """Return the request for a study, without plots and with one worker unless told."""
    settings = {"plots": False, "template": small(), **settings}
    return Request(tubes=read_sheet(folder / "samples.csv", ()), root=folder, out=out, **settings)


def gated(folder: Path, out: Path, **settings: Any) -> Batch:
    return gate_batch(request(folder, out, **settings))


def job(folder: Path, out: Path, sample: str = SAMPLES[0], **settings: Any) -> Job:
    return next(job for job in request(folder, out, **settings).jobs() if job.tube.sample == sample)


# ---------------------------------------------------------------------------------- what came of it


def everything(out: Path) -> dict[str, bytes]:
    """Return every file of a results folder but the record of the run, by its path."""
    paths = [
        path for path in sorted(out.rglob("*")) if path.is_file() and path.name not in {"run.json", ".lock"}
    ]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in paths}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def by_sample(path: Path) -> dict[str, dict[str, str]]:
    return {cells["sample"]: cells for cells in rows_of(path)}


def record(out: Path) -> dict[str, Any]:
    return json.loads((out / "run.json").read_text(encoding="utf-8"))


def outcomes(out: Path) -> set[str]:
    return {path.stem for path in Folder(out).path.glob("outcomes/[!.]*.json")}


class Commanded:
    """What a command said and how it ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err
        self.said = " ".join((out + err).split())


def command(capsys: pytest.CaptureFixture[str], *words: object) -> Commanded:
    """Run the command line in this process."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["tregflow", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    said = capsys.readouterr()
    return Commanded(int(ended.value.code or 0), said.out, said.err)


# ---------------------------------------------------------------------------------- outcomes made up


def measure(name: str, verdict: str = "pass", findings: tuple[Finding, ...] = (), **told: object) -> dict:
    said = [{"code": finding.code, "sentence": finding.sentence, "where": ""} for finding in findings]
    return {"measure": name, "role": "primary", "numerator": 1, "denominator": 8, "percent": 12.5, "ci_low": 2.24,
            "ci_high": 47.1, "verdict": verdict, "findings": said, **told}  # fmt: skip


def done(sample: str, *findings: Finding, **told: object) -> Outcome:
    measures = tuple(measure(one.name, findings=findings, **told) for one in small().measures)
    population = {"population": "Treg", "path": "CD3/CD4/Treg", "parent": "CD4", "count": 1, "percent_of_parent": 12.5,
                  "status": "stored", "shift": None, "shift_decades": None, "reason": "", "is_reference": False,
                  "medians": {"CD25": 4321.5}}  # fmt: skip
    return Outcome(sample, "done", {"file": "1"}, Evidence("a.fcs", "abc", 8, acquired="01-JAN-2022 SIM1"), findings,
                   {}, (population,), measures)  # fmt: skip


# ---------------------------------------------------------------------------------- workers


def dying(doomed: str, job: Job) -> Ended:
    """Die with one sample, every time."""
    if job.tube.sample == doomed:
        os.kill(os.getpid(), signal.SIGKILL)
    return gate_file(job)


def dying_once(doomed: str, flag: Path, job: Job) -> Ended:
    """Die with one sample, the first time."""
    if job.tube.sample == doomed and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return gate_file(job)


def dying_late(doomed: str, flag: Path, job: Job) -> Ended:
    """Die with one sample after its outcome was kept, the first time."""
    ended = gate_file(job)
    if job.tube.sample == doomed and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return ended


def stumbling(doomed: str, job: Job) -> Ended:
    """Meet something unforeseen in one sample."""
    from tregflow import job as module

    def unforeseen(*_: object) -> None:
        raise ZeroDivisionError("nobody thought of this")

    with pytest.MonkeyPatch.context() as patch:
        if job.tube.sample == doomed:
            patch.setattr(module, "gate", unforeseen)
        return gate_file(job)


def slow(seconds: float, pids: str, job: Job) -> Ended:
    """Take a while, and leave the number of the process in a folder."""
    (Path(pids) / str(os.getpid())).touch()
    time.sleep(seconds)
    return gate_file(job)


def command_slowly(seconds: float, pids: str, *words: str) -> None:
    """Run the command line with slow workers: for tests that break in on it."""
    batch.Request = partial(Request, work=partial(slow, seconds, pids))  # type: ignore[assignment, misc]
    sys.argv = ["tregflow", *words]
    cli.main()


@contextmanager
def started(folder: Path, *words: str, seconds: float = 30) -> Iterator[subprocess.Popen[str]]:
    """Run ``tregflow gate`` on a study in a process group of its own, with workers that take a while."""
    (folder / "pids").mkdir(exist_ok=True)
    line = [sys.executable, "-m", "studies", str(seconds), str(folder / "pids"), "gate", "-t", "small.yaml",
            "--no-plots", "--jobs", "1", *words]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(line, cwd=folder, env=env, start_new_session=True, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def until(is_so, seconds: float = WAIT) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


if __name__ == "__main__":
    command_slowly(float(sys.argv[1]), *sys.argv[2:])
