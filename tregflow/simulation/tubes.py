"""From an order to a tube: the cells pass the laser, the detectors add their noise, the file stores it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tregflow.simulation.cells import Cells, passing
from tregflow.simulation.cytometer import Cytometer, cytometer_of
from tregflow.simulation.donors import drawn
from tregflow.simulation.order import Order
from tregflow.simulation.panel import TIMESTEP, Detector, detectors
from tregflow.simulation.truth import Truth

Floats = NDArray[np.float64]

_ELECTRONIC = 30.0  # units of noise that no light explains


@dataclass(frozen=True, slots=True, eq=False)
class Tube:
    """One acquired tube.

    Parameters
    ----------
    row : mapping of str to str
        Its row of the sample sheet.
    values : ndarray of float32 or uint32, shape (n_events, n_channels)
        As stored: uncompensated, columns as in `detectors`.
    truth : Truth
    acquired : date
        The day on the cytometer.
    detectors : tuple of Detector
        Every channel, in file order; fluorescence in the order of `MARKERS`.
    cytometer : Cytometer
        How the run's detectors and stains truly stood.
    """

    row: Mapping[str, str]
    values: NDArray[Any]
    truth: Truth
    acquired: date
    detectors: tuple[Detector, ...]
    cytometer: Cytometer

    @property
    def spillover(self) -> Floats:
        """Share of the light of row i's dye in column j's detector, as the file states it.

        True for the tube unless the trial has an error of compensation: `cytometer.mixing` is then true.
        """
        return self.cytometer.spillover


def acquire(order: Order) -> Tube:
    """Make the events of one tube.

    Parameters
    ----------
    order : Order
        One of a trial's.

    Returns
    -------
    Tube
        Always the same for one order.
    """
    rng = order.settings.generator(*order.key)
    seen_by = cytometer_of(order.settings, order.row["run"])
    cells = passing(rng, order, drawn(order), seen_by)
    columns = [
        *_scattered(rng, cells, seen_by),
        *_detected(rng, cells, seen_by),
        _time(rng, order.events),
    ]
    channels = detectors(order.settings.other_dye)
    values = _stored(columns, channels, order.settings.integers)
    return Tube(order.row, values, Truth(cells.labels), order.acquired, channels, seen_by)


def _scattered(rng: np.random.Generator, cells: Cells, cytometer: Cytometer) -> Iterator[Floats]:
    """Yield area, height and width of forward, then of side scatter; shape (n_events,) each."""
    for gain, area, height in zip(cytometer.scatter_gains, cells.area, cells.height, strict=True):
        width = 17_000 * area / height * (1 + 0.02 * rng.standard_normal(area.size))
        yield from (gain * area, gain * height, width)


def _detected(rng: np.random.Generator, cells: Cells, cytometer: Cytometer) -> Floats:
    """Return light with the noise of photons and electronics, and the offsets; shape (n_dyes, n_events)."""
    photons = (cytometer.grain * cytometer.gains)[:, None] * cells.light
    noise = np.sqrt(photons + _ELECTRONIC**2) * rng.standard_normal(photons.shape)
    return np.asarray(cells.light + noise + cytometer.offsets[:, None])


def _time(rng: np.random.Generator, events: int) -> Floats:
    """Return when each event passed, in units of `TIMESTEP`; a tube is over within ten minutes."""
    per_second = max(2_500.0, events / 600)
    return np.cumsum(rng.exponential(1 / per_second, events)) / TIMESTEP


def _stored(columns: Sequence[Floats], channels: Sequence[Detector], integers: bool) -> NDArray[Any]:
    """Return what the file holds; shape (n_events, n_channels)."""
    values = np.empty((columns[0].size, len(columns)), np.uint32 if integers else np.float32)
    for place, (column, detector) in enumerate(zip(columns, channels, strict=True)):
        seen = np.minimum(column, detector.range - 1)
        values[:, place] = np.maximum(np.rint(seen), 0) if integers else seen
    return values
