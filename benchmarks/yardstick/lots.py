"""The landmarks of a laboratory's own reference lot, stored with the template before a trial begins.

A bridge compares a run's reference tube with where the same cells lay when the template was made. Every
simulated trial has a reference donor of its own, and every diluted tube is its own reference: so the
landmarks are taken anew, from an aliquot of that lot on detectors that have not drifted. No file of the
trial is looked at. A template without a bridge stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import real_cells

from tregflow.gating import gate
from tregflow.io.fcs import read_fcs
from tregflow.io.trials import write_trial
from tregflow.simulation import Trial, simulate
from tregflow.template import Template
from tregflow.tuning import with_bridge

BEFORE = 99
"""A run that no trial reaches: the aliquot is not one of the trial's."""


def with_landmarks(
    template: Template, reference: Path, drift: float, named: Mapping[str, str] | None = None
) -> Template:
    """Return the template with the landmarks of a reference tube, as ``tregflow template tune --bridge`` writes them.

    Parameters
    ----------
    template : Template
    reference : Path
        FCS file of the lot, on the detectors that the template's coordinates belong to.
    drift : float
        The most that a landmark may move, axis units.
    named : mapping of str to str, optional
        Channels by marker, as a sheet names them.
    """
    gated = gate(template.bind(read_fcs(reference), named or {}), template)
    content, _ = with_bridge(dict(template.to_mapping()), [gated], template)
    content["bridge"]["drift"] = drift
    return Template.from_mapping(content)


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
