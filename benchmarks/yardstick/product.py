"""tregflow as a user runs it, and the events that its placed gates hold.

The percent, the verdict and the codes are those of ``treg.csv``. Which events a gate holds is counted again
from the shapes in ``outcomes/``, and the count must be that of the table.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tregflow.batch import Request, gate_batch
from tregflow.gates.shapes import from_mapping
from tregflow.gating import Gated, gate
from tregflow.io.fcs import read_fcs
from tregflow.io.files import located
from tregflow.io.folder import Folder
from tregflow.outcome import Outcome
from tregflow.study import Tube
from tregflow.template import Template


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What tregflow says of one full tube.

    Parameters
    ----------
    tube : Tube
        Its row of the sheet.
    path : Path
        The file.
    percent : float
        The primary measure; NaN where there is none.
    verdict : str
        ``pass``, ``review`` or ``fail``.
    codes : str
        Of the primary measure, the gravest first.
    statuses : str
        Gates that are neither stored nor found, with their status.
    again : Gated or None
        The file walked again along the placed shapes; None where it was refused before it was gated.
    """

    tube: Tube
    path: Path
    percent: float
    verdict: str
    codes: str
    statuses: str
    again: Gated | None


def answers(template: Template, tubes: Sequence[Tube], root: Path, out: Path) -> Iterator[Answer]:
    """Gate the tubes of a sheet into a results folder, and yield what is said of each full one.

    Parameters
    ----------
    template : Template
    tubes : sequence of Tube
        All rows, controls too.
    root : Path
        What their files are relative to.
    out : Path
        New folder.

    Yields
    ------
    Answer
        In the order of ``treg.csv``; each is to be done with before the next.

    Raises
    ------
    RuntimeError
        If the gates count other events than the table says.
    """
    gate_batch(Request(template, tuple(tubes), root, out, plots=False, workers=1))
    by_sample = {tube.sample: tube for tube in tubes}
    for row in _primary(out / "treg.csv"):
        tube = by_sample[row["sample"]]
        path = located(root, tube.file)
        outcome = Folder(out).outcome(tube.sample)
        again = retraced(template, path, tube.channels, outcome) if outcome and outcome.gates else None
        if again and row["numerator"]:
            _require_same(template, row, again)
        yield Answer(tube, path, float(row["percent"] or math.nan), row["verdict"], row["codes"],
                     _statuses(outcome), again)  # fmt: skip


def _statuses(outcome: Outcome | None) -> str:
    gates = outcome.gates.items() if outcome else ()
    return ", ".join(
        f"{name} {placed['status']}" for name, placed in gates if placed["status"] not in ("stored", "found")
    )


def _primary(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["role"] == "primary"]


def retraced(template: Template, path: Path, named: Mapping[str, str], outcome: Outcome) -> Gated:
    """Walk a file along the shapes that an outcome holds; nothing is placed anew."""
    scaling = template.scaling
    sample = read_fcs(path, gain=scaling.gain or "apply", log_on_floats=scaling.log_on_floats == "apply")
    shapes: dict[str, Any] = {name: from_mapping(placed["shape"]) for name, placed in outcome.gates.items()
                              if placed["shape"]}  # fmt: skip
    return gate(template.bind(sample, named), template, corrections=shapes)


def _require_same(template: Template, row: Mapping[str, str], again: Gated) -> None:
    measure = template.primary
    counted = [len(again.members.get(name, ())) for name in (measure.count, measure.of)]
    told = [int(row["numerator"]), int(row["denominator"])]
    if counted != told:
        raise RuntimeError(f"{row['sample']}: the placed gates hold {counted}, the table says {told}")


def stored(template: Template) -> Template:
    """Return the template with every gate fixed where it is stored: what an unmoved template would say."""
    content = dict(template.to_mapping())
    content["name"] = f"{template.name}-stored"
    content["populations"] = [_fixed(template, written) for written in content["populations"]]
    return Template.from_mapping(content)


def _fixed(template: Template, written: Mapping[str, Any]) -> dict[str, Any]:
    gate_ = template.population(written["name"]).gate
    if not gate_.method or gate_.stored is None:
        return dict(written)
    return {**written, "gate": _without_open(gate_.stored.to_mapping())}


def _without_open(shape: Mapping[str, Any]) -> dict[str, Any]:
    """Return an interval without its open edge, as a template writes it."""
    ((kind, settings),) = shape.items()
    if kind != "interval":
        return dict(shape)
    return {kind: {edge: value for edge, value in settings.items() if value is not None}}
