"""Bridges: how each detector's axis moved since a template was made, by the reference tube of a run.

The reference tube holds the same cells in every run. Whatever gain, stain and offset did to a detector, a
dimmer cell stayed dimmer than a brighter one. So the quantiles of the same population, then and now, are
the same cells, and a stored coordinate keeps its place among them: that is the whole map. It needs no
model of the drift.

Between two landmarks the shift goes in a straight line. Beyond the outermost it stays what it was there:
above, where the axis is log-like, a constant shift is a gain; below, in the linear zone, an offset; and in
neither place are there cells to say more. A landmark whose place is not known carries nothing: the 50 % quantile of a
population that is half negative and half positive lies anywhere in the gap between them.

Measured on five real tubes of three donors, each diluted to 2, 4, 8 and 16 % Tregs, every file a run of its own with gain and
stain of each detector shifted by 0.2 decade (SD): SD of the log fold error 1.73 with stored outlines, 0.05 with
carried ones, and 0.045 where nothing had moved. Twelve landmarks do no better than eight, and a fitted gain and
offset do worse (0.07), because a stain moves bright cells and not dim ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tregflow.errors import GateError
from tregflow.gates.anchors import moved
from tregflow.gates.method import counted
from tregflow.gates.quantiles import quantiles
from tregflow.gates.shapes import (
    And,
    Ellipse,
    Everything,
    Interval,
    Members,
    Not,
    Or,
    Point,
    Polygon,
    Rectangle,
    Shape,
)
from tregflow.sample import Values

QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99)
"""Fractions of a population whose places are its landmarks."""
LEAST = 4_000
"""Fewest events of the reference: 40 above the last landmark, whose place is then known to some 0.005 of the axis."""
ERRORS = 2.0
"""Counting errors of a fraction within which its landmark must stay."""
UNSURE = 0.02
"""Axis units that it may move by there: a tenth of a decade on a scale of four and a half."""
NEAREST = 0.005
"""Axis units below which two landmarks are one: between them a line would follow noise."""
BEND = 1e-9
"""Change of slope that makes no corner."""


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Where the quantiles of a population lie on one axis.

    Parameters
    ----------
    positions : tuple of float
        At `QUANTILES`, axis units; they do not fall.
    errors : tuple of float
        How far two counting errors of the fraction move each, axis units.
    events : float
        Events of the population.
    """

    positions: Point
    errors: Point
    events: float


def landmarks(values: Values, weights: Values | None = None) -> Landmarks:
    """Return where the quantiles of a population lie.

    Parameters
    ----------
    values : ndarray, shape (n_events,)
        Events of the reference tube on one axis, finite, axis units.
    weights : ndarray, shape (n_events,), optional
        How often each event counts.

    Returns
    -------
    Landmarks

    Raises
    ------
    GateError
        If there are fewer than 4,000 events, or all lie on one place.

    Notes
    -----
    Quantiles of type 7. The fraction q of n events has a counting error of sqrt(q (1 - q) / n); a landmark's
    error is half the distance between the quantiles at two of them below and above.
    """
    events = float(len(values) if weights is None else weights.sum())
    if events < LEAST:
        raise GateError(f"{counted(events)}, landmarks need {LEAST:,}")
    at = np.array(QUANTILES)
    reach = ERRORS * np.sqrt(at * (1 - at) / events)
    found = quantiles(values, np.clip([at, at - reach, at + reach], 0, 1).ravel().tolist(), weights)
    places, below, above = found.reshape(3, -1)
    if places[0] == places[-1]:
        raise GateError(f"{counted(events)} on one place, {places[0]:.2f}, have no landmarks")
    return Landmarks(tuple(places.tolist()), tuple(((above - below) / 2).tolist()), events)


@dataclass(frozen=True, slots=True)
class Carry:
    """From where a coordinate was stored to where it is in a run, on one axis; it always rises.

    Parameters
    ----------
    knots : tuple of float
        Landmarks as they were stored, axis units; at least one, rising.
    shifts : tuple of float
        How far each has moved, axis units.
    is_bound : bool
        Whether a landmark had moved as far as it may, or further.
    """

    knots: Point
    shifts: Point
    is_bound: bool = False

    def __call__(self, place: float) -> float:
        """Return where a stored coordinate is now, axis units."""
        return float(place + np.interp(place, self.knots, self.shifts))

    def inverse(self, place: float) -> float:
        """Return where a coordinate of this run was stored, axis units."""
        gone = [knot + shift for knot, shift in zip(self.knots, self.shifts, strict=True)]
        return float(place - np.interp(place, gone, self.shifts))

    @property
    def bends(self) -> Point:
        """The knots at which a straight line gets a corner, axis units."""
        slopes = [(after - before) / (high - low) for (low, high), (before, after)
                  in zip(pairwise(self.knots), pairwise(self.shifts), strict=True)]  # fmt: skip
        turns = zip(self.knots, pairwise([0.0, *slopes, 0.0]), strict=True)
        return tuple(knot for knot, (before, after) in turns if abs(after - before) > BEND)


def carrying(stored: Sequence[float], now: Landmarks, drift: float) -> Carry:
    """Return how an axis moved between two sets of landmarks.

    Parameters
    ----------
    stored : sequence of float
        Positions of `QUANTILES` when the template was made, axis units; they do not fall.
    now : Landmarks
        Of the run's reference tube.
    drift : float
        The most that a landmark may have moved, axis units.

    Returns
    -------
    Carry

    Raises
    ------
    GateError
        If no landmark's place is certain.

    Notes
    -----
    A landmark with an error above 0.02 is left out. Landmarks nearer to each other than 0.005, then or now,
    are pooled at their mean, so the map rises by at least that between two of them.
    """
    known = zip(stored, now.positions, now.errors, strict=True)
    asked = [(knot, place - knot) for knot, place, error in known if error <= UNSURE]
    if not asked:
        raise GateError(f"no landmark's place among {counted(now.events)} is certain")
    pools: list[_Pool] = []
    for knot, shift in asked:
        pools.append(_Pool(knot, min(max(shift, -drift), drift)))
        while len(pools) > 1 and pools[-1].is_close_above(pools[-2]):
            pools[-2:] = [pools[-2].with_(pools[-1])]
    is_bound = any(abs(shift) >= drift for _, shift in asked)
    return Carry(tuple(pool.knot for pool in pools), tuple(pool.shift for pool in pools), is_bound)


@dataclass(frozen=True, slots=True)
class _Pool:
    """Landmarks that count as one."""

    knot: float
    shift: float
    size: int = 1

    def is_close_above(self, lower: _Pool) -> bool:
        apart = self.knot - lower.knot
        return min(apart, apart + self.shift - lower.shift) < NEAREST

    def with_(self, other: _Pool) -> _Pool:
        size = self.size + other.size
        knot = (self.size * self.knot + other.size * other.knot) / size
        return _Pool(knot, (self.size * self.shift + other.size * other.shift) / size, size)


def carried(shape: Shape, carries: Sequence[Carry | None]) -> Shape:
    """Return a stored shape where a run has it.

    Parameters
    ----------
    shape : Shape
        As stored, axis units.
    carries : sequence of Carry or None
        One for each axis; None leaves the axis as it is.

    Returns
    -------
    Shape
        Sides at or below -0.2 or at or above 1.1 are open and stay. A polygon gets corners where its slanted sides
        bend, so that it contains the carried events and no others. An ellipse stays one: its centre is
        carried, and its reach along each axis is that of its carried ends. Other populations' members stay.
    """
    if isinstance(shape, And | Or):
        return type(shape)(tuple(carried(part, carries) for part in shape.parts))
    if isinstance(shape, Not):
        return Not(carried(shape.part, carries))
    if isinstance(shape, Members | Everything):
        return shape
    if isinstance(shape, Ellipse):
        return _ellipse(shape, carries)
    motions = [carry or _stay for carry in carries]
    if isinstance(shape, Polygon):
        return moved(Polygon(tuple(_cornered(shape, carries))), motions)
    if isinstance(shape, Interval | Rectangle):
        return moved(shape, motions)
    raise TypeError(f"{type(shape).__name__} is not a shape that a template stores")


def _stay(place: float) -> float:
    return place


def _cornered(polygon: Polygon, carries: Sequence[Carry | None]) -> list[tuple[float, float]]:
    """Return the same outline with a corner wherever carrying bends one of its slanted sides."""
    corners: list[tuple[float, float]] = []
    bends = [carry.bends if carry else () for carry in carries]
    for start, end in pairwise((*polygon.vertices, polygon.vertices[0])):
        corners.append(start)
        if start[0] != end[0] and start[1] != end[1]:
            corners += [_between(start, end, share) for share in _crossed(start, end, bends)]
    return corners


def _crossed(start: Point, end: Point, bends: Sequence[Point]) -> list[float]:
    """Return how far along a side, 0 to 1, it crosses each bend."""
    shares = {(bend - start[axis]) / (end[axis] - start[axis]) for axis in (0, 1) for bend in bends[axis]}
    return sorted(share for share in shares if 0 < share < 1)


def _between(start: tuple[float, float], end: tuple[float, float], share: float) -> tuple[float, float]:
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def _ellipse(ellipse: Ellipse, carries: Sequence[Carry | None]) -> Ellipse:
    factors = [_stretch(ellipse, axis, carry) for axis, carry in enumerate(carries)]
    covariance = tuple(
        tuple(value * (factors[row] * factors[column]) for column, value in enumerate(values))
        for row, values in enumerate(ellipse.covariance)
    )
    centre = tuple((carry or _stay)(place) for carry, place in zip(carries, ellipse.centre, strict=True))
    return Ellipse(centre, covariance, ellipse.distance)


def _stretch(ellipse: Ellipse, axis: int, carry: Carry | None) -> float:
    """Return by how much the ellipse's extent along an axis grows; 1 plus a difference of shifts, so exactly 1 if there is none."""
    if carry is None:
        return 1.0
    centre, reach = ellipse.centre[axis], math.sqrt(ellipse.distance * ellipse.covariance[axis][axis])
    low, high = (float(np.interp(centre + side * reach, carry.knots, carry.shifts)) for side in (-1, 1))
    return 1 + (high - low) / (2 * reach)
