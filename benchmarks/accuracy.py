"""How far the Treg percentage lies from the truth, and whether tregflow says so where it does.

Trials of known truth are made, gated as a user gates them (a sheet and a template to a results folder, no
plots), and held against the labels of their live singlet CD4+ events. Folds are in natural logarithms; a
drift is the SD of a dye's log10 shift from run to run. Beside the shipped template stand the same gates
fixed where they are stored, and openCyto's density valleys inside the same CD4+ gate.

    python benchmarks/accuracy.py simulated --seeds 101 102 --drift 0.1 0.2 --kinds gain stain both
    python benchmarks/accuracy.py failures --seeds 101 102
    python benchmarks/accuracy.py diluted --seeds 101 102       (real cells, thinned to known percents)
    python benchmarks/accuracy.py tissue                        (real tubes against their manual gates)
    python benchmarks/accuracy.py all --seeds 101 102

The output begins with the commit and every setting. ``--rows FOLDER`` keeps one line per tube.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import real_cells
from yardstick import tables
from yardstick.product import stored
from yardstick.scoring import Row
from yardstick.tissue import ENOUGH, tissue_rows
from yardstick.trials import (
    CLEAN,
    DRIFTS,
    FAILURES,
    Compared,
    Judged,
    Task,
    compensated,
    diluted_tasks,
    failure_tasks,
    judged,
    simulated_tasks,
)

from tregflow import __version__
from tregflow.io.documents import load_template
from tregflow.pool import WORKER
from tregflow.template import Template

ROOT = Path(__file__).resolve().parent.parent
STRATEGIES = ROOT / "gating_strategies"
TEMPLATE = STRATEGIES / "treg.yaml"
FIXED = STRATEGIES / "treg-fixed.yaml"

FACTORS = (1.35, 1.6)
"""How far from the manual percent a real tube may lie."""

WRONG_NEEDED = 60
"""Wrong percents below which recall says little."""


def simulated(asked: argparse.Namespace) -> None:
    """Trials whose detectors and stains drift from run to run."""
    compared = compared_of(asked)
    tasks = simulated_tasks(compared, asked.kinds, asked.drift, asked.events, asked.seeds, asked.subjects)
    done = run(tasks, asked.jobs)
    rows = rows_of(done, asked, "simulated")
    heading("Simulated trials")
    print(tables.drift_table(rows))
    heading("Each gate inside its own parent")
    print(tables.gate_table([row for one in done for row in one.gates]))


def failures(asked: argparse.Namespace) -> None:
    """Trials in which something goes wrong."""
    tasks = failure_tasks(compared_of(asked), asked.failures, asked.events[0], asked.seeds, asked.subjects)
    rows = [row for row in rows_of(run(tasks, asked.jobs), asked, "failures") if row.verdict]
    heading("Kinds of failure")
    print(tables.failure_table(rows))
    heading("What is said of them")
    print("\n".join(tables.verdict_lines(rows, CLEAN)))
    first = next(iter(dict.fromkeys(row.gates for row in rows)))
    wrong = sum(row.is_wrong for row in rows if row.gates == first)
    if wrong < WRONG_NEEDED:
        print(f"only {wrong} percents of {first} are wrong: too few of {WRONG_NEEDED}; give more seeds")
    heading(f"Silent ones of {first}")
    print(tables.silent_table([row for row in rows if row.gates == first]))
    heading("Flags by visit")
    print(tables.visit_table(rows, CLEAN))


def diluted(asked: argparse.Namespace) -> None:
    """Real cells, thinned to known percents, on detectors and with stains that shift."""
    with cached(asked) as cache:
        tasks = []
        for set_, template in real_templates(asked).items():
            real_cells.manual(set_, cache=cache)  # once, for all
            ours = compensated(template)
            compared = Compared({template.name: ours, f"{template.name}, stored": stored(ours)})
            tasks += diluted_tasks(compared, set_, asked.shifted, asked.shift, asked.cd4, asked.seeds, cache)
        rows = rows_of(run(tasks, asked.jobs), asked, "diluted")
    heading("Real cells of known percents")
    print(tables.drift_table(rows))
    heading("Their folds, by tube")
    print(tables.fold_table(rows))


def tissue(asked: argparse.Namespace) -> None:
    """Real tubes as they are, against their manual gates."""
    with cached(asked) as cache:
        pairs = [
            pair
            for set_, template in real_templates(asked).items()
            for pair in tissue_rows(set_, template, cache)
        ]
    rows = [row for row, _ in pairs]
    if asked.rows:
        write_rows(asked.rows / "tissue.csv", [asdict(row) for row in rows])
    heading("Real tubes and their manual gates")
    print(tables.tissue_table(pairs))
    print("\n" + "\n".join(tables.agreement_lines(rows, FACTORS, ENOUGH)))


def everything(asked: argparse.Namespace) -> None:
    """All four, one after the other."""
    for part in (simulated, failures, diluted, tissue):
        part(asked)


def real_templates(asked: argparse.Namespace) -> dict[str, Template]:
    """Return the template of each set of real tubes."""
    named = {"tcells": asked.tcells, "lymphocytes": asked.lymphocytes}
    for set_, path in named.items():
        if not path.exists():
            print(f"no template for {set_}: {shown(path)} is not there; the set is left out")
    return {set_: load_template(path) for set_, path in named.items() if path.exists()}


@contextmanager
def cached(asked: argparse.Namespace) -> Iterator[Path]:
    """Hold the folder where members of manual gates are kept."""
    with tempfile.TemporaryDirectory() as folder:
        yield asked.cache or Path(folder)


def compared_of(asked: argparse.Namespace) -> Compared:
    """Return the template, others asked for, and the fixed one."""
    named = {path.stem: load_template(path) for path in asked.template}
    stem, first = next(iter(named.items()))
    if not asked.no_fixed:
        named |= {FIXED.stem: load_template(FIXED)} if FIXED.exists() else {f"{stem}, stored": stored(first)}
    return Compared(named)


def run(tasks: Sequence[Task], jobs: int) -> list[Judged]:
    """Return what comes of each trial, in their order, so many at a time."""
    os.environ.update(WORKER)  # one thread each
    started, done = time.time(), []
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for place, one in enumerate(pool.map(judged, tasks), 1):
            done.append(one)
            left = (time.time() - started) / place * (len(tasks) - place)
            print(f"\r{place}/{len(tasks)} trials, {left:.0f} s left ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return done


def rows_of(done: Iterable[Judged], asked: argparse.Namespace, name: str) -> list[Row]:
    """Return the rows of all trials, and keep them where that is asked for."""
    rows = [row for one in done for row in one.rows]
    if asked.rows:
        write_rows(asked.rows / f"{name}.csv", [asdict(row) for row in rows])
    return rows


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def heading(words: str) -> None:
    print(f"\n{words}\n{'=' * len(words)}\n")


def told(asked: argparse.Namespace) -> None:
    """Print the commit, whether the tree is as committed, and every setting."""
    changed = [line[3:] for line in git("status", "--porcelain").splitlines()]
    print(
        f"commit {git('rev-parse', 'HEAD')}, tree {'as committed' if not changed else 'CHANGED: ' + ' '.join(changed)}"
    )
    print(f"tregflow {__version__}, python {sys.version.split()[0]}")
    print(f"command: python benchmarks/accuracy.py {' '.join(sys.argv[1:])}")
    for name, value in vars(asked).items():
        if name != "run":
            print(
                f"  {name}: {' '.join(map(shown, value)) if isinstance(value, (list, tuple)) else shown(value)}"
            )


def shown(value: object) -> str:
    """Return a setting; a path relative to the project where it lies inside."""
    if isinstance(value, Path) and value.is_relative_to(ROOT):
        return str(value.relative_to(ROOT))
    return str(value)


def git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    return done.stdout.rstrip() or ("unknown" if done.returncode else "")


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="simulated | failures | diluted | tissue | all")
    simulating, drifting, failing, diluting, real = (
        argparse.ArgumentParser(add_help=False) for _ in range(5)
    )
    _add_simulating(simulating)
    drifting.add_argument("--drift", type=float, nargs="+", default=[0.1, 0.2], help="SD in decades")
    drifting.add_argument("--kinds", nargs="+", choices=DRIFTS, default=["gain", "stain", "both"])
    failing.add_argument("--failures", nargs="+", choices=FAILURES, default=list(FAILURES), metavar="KIND")
    diluting.add_argument("--shift", type=float, nargs="+", default=[0.2], help="SD in decades")
    diluting.add_argument("--shifted", nargs="+", choices=DRIFTS, default=["gain", "stain", "each"])
    diluting.add_argument("--cd4", type=int, default=10_000, help="CD4+ events of a diluted file")
    real.add_argument("--tcells", type=Path, default=STRATEGIES / "flowatlas-tcells.yaml")
    real.add_argument("--lymphocytes", type=Path, default=STRATEGIES / "flowatlas-lymphocytes.yaml")
    real.add_argument("--cache", type=Path, help="folder that keeps the members of manual gates")
    parts = {
        simulated: [simulating, drifting], failures: [simulating, failing], diluted: [real, diluting], tissue: [real],
        everything: [simulating, drifting, failing, real, diluting],
    }  # fmt: skip
    for command, own in parts.items():
        name = "all" if command is everything else command.__name__
        one = commands.add_parser(name, parents=own, help=(command.__doc__ or "").rstrip("."))
        _add_shared(one, has_seeds=command is not tissue)
        one.set_defaults(run=command)
    return parser


def _add_simulating(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--template", type=Path, nargs="+", default=[TEMPLATE], help="the first has the oracle"
    )
    parser.add_argument("--no-fixed", action="store_true", help="leave the fixed template out")
    parser.add_argument("--subjects", type=int, default=6)
    parser.add_argument("--events", type=int, nargs="+", default=[60_000], help="of a full tube")


def _add_shared(parser: argparse.ArgumentParser, *, has_seeds: bool) -> None:
    if has_seeds:
        parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--jobs", type=int, default=2, help="trials at a time")
    parser.add_argument("--rows", type=Path, metavar="FOLDER", help="keep a line per tube there")


def main(words: Sequence[str] | None = None) -> None:
    asked = options().parse_args(words)
    told(asked)
    asked.run(asked)


if __name__ == "__main__":
    main()
