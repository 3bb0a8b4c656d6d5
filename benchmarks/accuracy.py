"""How far the Treg percentage lies from the truth, on simulated trials of known truth.

Each trial is written, gated by ``tregflow gate`` with the shipped template, and held against the
realised labels of its live singlet CD4+ events. A tube that is off by more than 1.5 points and
carries neither review nor fail is a silent failure.

    python benchmarks/accuracy.py --seeds 101 102 103 104 105 --drift 0.05 0.1 0.2
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OFF = 1.5


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def gated_trial(
    folder: Path, template: Path, seed: int, drift: float, subjects: int, events: int
) -> list[tuple[float, float, str]]:
    """Return truth, answer and verdict of every full tube of one trial."""
    from tregflow.io.trials import write_trial
    from tregflow.simulation import simulate

    trial, results = folder / f"trial_{seed}_{drift}", folder / f"results_{seed}_{drift}"
    write_trial(
        simulate(subjects=subjects, events=events, seed=seed, drift=drift, control_events=6_000), trial
    )
    done = subprocess.run([sys.executable, "-m", "tregflow", "gate", "--template", str(template), "--samples",
                           str(trial / "samples.csv"), "--out", str(results), "--no-plots"], check=False,
                          stdout=subprocess.PIPE)  # fmt: skip
    if done.returncode not in (0, 1):
        raise SystemExit(f"gate ended with {done.returncode}")
    truth = {row["sample"]: float(row["percent"]) for row in rows(trial / "truth.csv") if row["percent"]}
    told = [row for row in rows(results / "treg.csv") if row["role"] == "primary"]
    return [(truth[row["sample"]], float(row["percent"] or "nan"), row["verdict"]) for row in told]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, nargs="+", required=True)
    options.add_argument("--drift", type=float, nargs="+", default=[0.05])
    options.add_argument("--subjects", type=int, default=6)
    options.add_argument("--events", type=int, default=60_000)
    options.add_argument("--template", type=Path, default=ROOT / "gating_strategies" / "treg.yaml")
    asked = options.parse_args()
    print(
        f"{'drift':>6}{'seed':>6}{'tubes':>7}{'mean |error|':>14}{'largest':>9}{'bias':>8}{'off > 1.5':>11}{'of them silent':>16}{'flagged':>9}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for drift in asked.drift:
            everything = []
            for seed in asked.seeds:
                tubes = gated_trial(Path(folder), asked.template, seed, drift, asked.subjects, asked.events)
                everything += tubes
                print_row(drift, str(seed), tubes)
            print_row(drift, "all", everything)


def print_row(drift: float, seed: str, tubes: list[tuple[float, float, str]]) -> None:
    told = [(answer - truth, verdict) for truth, answer, verdict in tubes if answer == answer]
    errors = [error for error, _ in told]
    off = [verdict for error, verdict in told if abs(error) > OFF]
    print(f"{drift:6.2f}{seed:>6}{len(tubes):7}{statistics.mean(map(abs, errors)):14.3f}{max(map(abs, errors)):9.2f}"
          f"{statistics.mean(errors):+8.3f}{len(off):11}{off.count('pass'):16}"
          f"{sum(verdict != 'pass' for _, _, verdict in tubes):9}")  # fmt: skip


if __name__ == "__main__":
    main()
