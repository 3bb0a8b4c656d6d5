"""The landmarks of a laboratory's own reference lot, stored with the template before a trial begins.

A bridge compares a run's reference tube with where the same cells lay when the template was made. Every
simulated trial has a reference donor of its own, and every diluted tube is its own reference: so the
landmarks are taken anew, from an aliquot of that lot on detectors that have not drifted. No file of the
trial is looked at. A template without a bridge stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import real_cells

from tregflow.bridge import landmarks
from tregflow.gating import Gated, gate
from tregflow.io.fcs import read_fcs
from tregflow.io.trials import write_trial
from tregflow.simulation import Trial, simulate
from tregflow.template import Template

BEFORE = 99
"""A run that no trial reaches: the aliquot is not one of the trial's."""


def with_landmarks(template: Template, reference: Path, named: Mapping[str, str] | None = None) -> Template:
    """Return the template with the landmarks of a reference tube.

    Parameters
    ----------
    template : Template
    reference : Path
        FCS file of the lot, on the detectors that the template's coordinates belong to.
    named : mapping of str to str, optional
        Channels by marker, as a sheet names them.
    """
    content: dict[str, Any] = dict(template.to_mapping())
    if not content.get("bridge"):
        return template
    gated = gate(template.bind(read_fcs(reference), named or {}), template)
    for population, markers in content["bridge"]["landmarks"].items():
        for marker in markers:
            markers[marker] = _positions(gated, population, marker)
    return Template.from_mapping(content)


def _positions(gated: Gated, population: str, marker: str) -> list[float]:
    values = gated.bound.view((marker,), gated.members[population]).points()[:, 0]
    return [round(float(place), 6) for place in landmarks(values[np.isfinite(values)]).positions]


def simulated_lot(seed: int, events: int, folder: Path) -> Path:
    """Write a reference tube of a simulated trial's lot, without any drift, and return the file."""
    visits = tuple(f"V{number}" for number in range(1, BEFORE + 1))
    trial = simulate(seed=seed, subjects=1, events=events, visits=visits, drift=0.0)
    (order,) = [one for one in trial.orders if one.row["sample"] == f"R{BEFORE}_reference"]
    (path,) = write_trial(Trial((order,), trial.options), folder)
    return path


def diluted_lot(source: real_cells.Source, cd4: int, folder: Path) -> Path:
    """Write a tube of real cells at its own percentage, without any shift, and return the file."""
    rng = np.random.default_rng([BEFORE, int.from_bytes(source.tube.name.encode(), "little")])
    cells = real_cells.resampled(source, source.tube.percent, rng, cd4=cd4)
    folder.mkdir(parents=True)
    path = folder / "reference.fcs"
    real_cells.write_tube(path, source, real_cells.acquired(source, cells, real_cells.shift(source)))
    return path
