"""Trials of known truth by kind and size of drift: made, gated and scored in a folder that does not stay."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import real_cells

from tregflow.io.tables import read_sheet
from tregflow.io.trials import write_trial
from tregflow.simulation import KINDS, LABELS, TCONV, TREG, Shift, simulate
from tregflow.template import Template
from yardstick.lots import diluted_lot, simulated_lot, with_landmarks
from yardstick.product import answers
from yardstick.scoring import GateRow, Row, Trial, Truth, gate_rows, scored

DRIFTS: Mapping[str, tuple[float, float]] = {
    "gain": (1.0, 0.0),
    "stain": (0.0, 1.0),
    "both": (math.sqrt(0.5), math.sqrt(0.5)),
    "each": (1.0, 1.0),
}
"""SD of detector gain and of stain brightness, in terms of the size of the drift. In ``both`` a dye's
log10 shift has the stated SD in all; in ``each`` gain and stain have it each."""

FAILURES: Mapping[str, Mapping[str, Any]] = {
    **KINDS,
    "gain-0.4": {"drift": 0.4},
    "gain-0.6": {"drift": 0.6},
    "stain-0.4": {"stain_drift": 0.4},
    "stain-0.6": {"stain_drift": 0.6},
    "offset-300": {"offset_drift": 300.0},
    "offset-800": {"offset_drift": 800.0},
    "compensation-0.6": {"compensation_drift": 0.6},
    "compensation-1": {"compensation_drift": 1.0},
    "cd25-dim": {"shifts": (Shift("CD25", -0.4),), "at": "W12"},
    "cd25-dimmer": {"shifts": (Shift("CD25", -0.8),), "at": "W12"},
    "cd25-brighter": {"shifts": (Shift("CD25", 0.8),), "at": "W12"},
    "cd127-dim": {"shifts": (Shift("CD127", -0.5),), "at": "W12"},
    "cd127-dimmer": {"shifts": (Shift("CD127", -0.9),), "at": "W12"},
    "foxp3-dim": {"shifts": (Shift("FOXP3", -0.5),), "at": "W12"},
    "foxp3-dimmer": {"shifts": (Shift("FOXP3", -0.9),), "at": "W12"},
    "foxp3-background": {"foxp3_background": 2_000.0},
    "cd25-failed": {"failed": ("CD25",)},
    "cd127-failed": {"failed": ("CD127",)},
    "cd4-dim": {"shifts": (Shift("CD4", -0.6),), "at": "W12"},
    "cd4-dimmer": {"shifts": (Shift("CD4", -1.2),), "at": "W12"},
    "sticky-most": {"sticky": 0.9, "dead": 0.5},
    "activated-0.3": {"activated": 0.30},
    "tails-5": {"tails": 5.0},
}
"""What goes wrong: the simulator's kinds of trouble, and graver ones, so that percents are wrong in many ways."""

FAR = 0.2
"""Axis units that landmarks of real tubes may move by: shifts of 0.2 decade reach beyond 0.1 in three of four runs."""
LOT = 60_000
"""Events of a reference lot's aliquot at least: enough for its landmarks, however small the trial's tubes are."""

CLEAN = "clean"
"""The kind without trouble: what is flagged there is flagged for nothing."""

MEANT: Mapping[str, tuple[str, ...]] = {
    "Singlets": tuple(label for label in LABELS if label != "doublet"),
    "Live": tuple(label for label in LABELS if label not in ("dead", "debris")),
    "CD3": ("CD8 naive", "CD8 memory", *TCONV, *TREG),
    "CD4": (*TCONV, *TREG),
    "CD25hi CD127lo": TREG,
    "Treg": TREG,
}
"""Kinds of event that a population of a template is meant to hold, by its name."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Sets of gates that are held against each other on the same tubes.

    Parameters
    ----------
    templates : mapping of str to Template
        By the name that the tables use. Oracles and the peer share the CD4+ gate of the first.
    """

    templates: Mapping[str, Template]


@dataclass(frozen=True, slots=True)
class Task:
    """One trial to be made, gated and scored.

    Parameters
    ----------
    trial : Trial
    options : mapping of str to object
        Of `simulate`, or of `real_cells.Design`.
    compared : Compared
    oracles : bool
        Whether the best gates are searched for, and gates scored one by one.
    real : str
        ``SET DONOR:TISSUE`` of the tube that is diluted; empty for simulated cells.
    cache : Path or None
        Where members of manual gates are kept.
    """

    trial: Trial
    options: Mapping[str, Any]
    compared: Compared
    oracles: bool = True
    real: str = ""
    cache: Path | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of one trial.

    Parameters
    ----------
    rows : tuple of Row
    gates : tuple of GateRow
    """

    rows: tuple[Row, ...] = ()
    gates: tuple[GateRow, ...] = field(default=())


def drifted(kind: str, size: float) -> dict[str, float]:
    """Return the options of `simulate` for a kind of drift and its size in decades."""
    gain, stain = DRIFTS[kind]
    return {"drift": gain * size, "stain_drift": stain * size}


def judged(task: Task) -> Judged:
    """Make a trial, gate it with each template, and score every full tube.

    Parameters
    ----------
    task : Task

    Returns
    -------
    Judged
        In the order of templates and samples.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "trial"
        _write(task, root)
        rows, gates = list[Row](), list[GateRow]()
        for place, (name, template) in enumerate(task.compared.templates.items()):
            own = _of_lot(task, template, Path(folder) / f"lot_{place}")
            for more in _gated(task, name, own, root, Path(folder) / f"results_{place}", place == 0):
                rows += more.rows
                gates += more.gates
    return Judged(tuple(rows), tuple(gates))


def _write(task: Task, root: Path) -> None:
    if task.real:
        made = real_cells.trial([_source(task)], real_cells.Design(**task.options), task.trial.seed)
        real_cells.write(made, root)
    else:
        write_trial(simulate(seed=task.trial.seed, events=task.trial.events, **task.options), root)


def _of_lot(task: Task, template: Template, folder: Path) -> Template:
    """Return the template with the landmarks of the trial's reference lot: real tubes always, others where it has a bridge."""
    if task.real:
        return with_landmarks(template, diluted_lot(_source(task), task.options["cd4"], folder), FAR)
    if not (bridge := template.to_mapping().get("bridge")):
        return template
    lot = simulated_lot(task.trial.seed, max(task.trial.events, LOT), folder)
    return with_landmarks(template, lot, bridge["drift"])


def _source(task: Task) -> real_cells.Source:
    set_, name = task.real.split(" ")
    (tube,) = [tube for tube in real_cells.manual(set_, cache=task.cache) if tube.name == name]
    return real_cells.source(tube)


def _gated(
    task: Task, name: str, template: Template, root: Path, out: Path, is_first: bool
) -> Iterator[Judged]:
    tubes = read_sheet(root / "samples.csv", [marker.name for marker in template.markers])
    for answer in answers(template, tubes, root, out):
        truth = _truth(root, answer.tube.sample, is_real=bool(task.real))
        rows = scored(answer, truth, task.trial, name, oracles=task.oracles and is_first, peer=is_first)
        gates = gate_rows(answer, truth, name) if task.oracles and is_first and not task.real else ()
        yield Judged(tuple(rows), tuple(gates))


def _truth(root: Path, sample: str, *, is_real: bool) -> Truth:
    labels = np.load(root / "truth" / f"{sample}.npy").astype(np.int64)
    if is_real:
        return Truth(labels, labels > 0, labels == real_cells.LABELS.index("Treg"))
    meant = {name: np.isin(labels, [LABELS.index(kind) for kind in kinds]) for name, kinds in MEANT.items()}
    return Truth(labels, meant["CD4"], meant["Treg"], meant)


def simulated_tasks(
    compared: Compared, kinds: Sequence[str], sizes: Sequence[float], events: Sequence[int], seeds: Sequence[int],
    subjects: int,
) -> list[Task]:  # fmt: skip
    """Return a trial for every kind and size of drift, count of events and seed."""
    return [
        Task(Trial(kind, size, count, seed), {"subjects": subjects, **drifted(kind, size)}, compared)
        for kind in kinds for size in sizes for count in events for seed in seeds
    ]  # fmt: skip


def failure_tasks(
    compared: Compared, kinds: Sequence[str], events: int, seeds: Sequence[int], subjects: int
) -> list[Task]:
    """Return a trial for every kind of failure and seed."""
    return [
        Task(Trial(kind, 0.0, events, seed), {"subjects": subjects, **FAILURES[kind]}, compared, oracles=False)
        for kind in kinds for seed in seeds
    ]  # fmt: skip


def diluted_tasks(
    compared: Compared, set_: str, kinds: Sequence[str], sizes: Sequence[float], cd4: int, seeds: Sequence[int],
    cache: Path,
) -> list[Task]:  # fmt: skip
    """Return a trial for every kind and size of drift, seed, and tube of a set."""
    design = {"cd4": cd4, "controls": ("fmo:FOXP3", "reference")}
    return [
        Task(Trial(f"{set_} {kind}", size, cd4, seed), {**design, **_shifted(kind, size)}, compared, real=f"{set_} {tube}",
             cache=cache)
        for kind in kinds for size in sizes for seed in seeds for tube in real_cells.TUBES[set_]
    ]  # fmt: skip


def _shifted(kind: str, size: float) -> dict[str, float]:
    """Return the options of `real_cells.Design` for a kind of drift and its size in decades."""
    gain, stain = DRIFTS[kind]
    return {"gain": gain * size, "stain": stain * size}


def compensated(template: Template) -> Template:
    """Return a template of exported tubes for files that hold a matrix again."""
    content = dict(template.to_mapping())
    return Template.from_mapping(
        {**content, "compensation": "file"} if content["compensation"] == "none" else content
    )
