"""Clouds: methods that place an outline on two axes, mostly of scatter.

Scatter has no natural unit: instruments fill a tenth of the axis or all of it. Widths here are
therefore shares of what the events span, never of the axis. Densities and moments are summed over
the cells of a grid, which does not know in which order events came.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tregflow.errors import GateError
from tregflow.gates.cuts import (
    Density,
    Fraction,
    Positive,
    bell,
    counted,
    density,
    peaks,
    reach,
    silverman,
    trough,
)
from tregflow.gates.method import Found, Range
from tregflow.gates.shapes import Ellipse, Polygon, Rectangle
from tregflow.sample import Values
from tregflow.view import Mask

FEWEST = 100
"""Events below which no cloud is looked for."""

RIM = 0.005
"""Share of events at either end of an axis that does not count for its span."""

DEBRIS = 0.4
"""A peak is debris if it lies below this share of the main cloud's position: fragments and
platelets do, lymphocytes beside granulocytes do not."""
FOOT = 3.0
"""Standard deviations from a cloud's top to its lower foot."""

STEPS = 8
"""Most area bins in which the ratio of single cells is followed: a polygon of twenty corners."""
FEWEST_IN_STEP = 50
"""Events that an area bin should hold; fewer events make fewer bins."""
TALL = 0.2
"""Share of the events of a middle bin from which on a peak of the ratio may be single cells."""
ABOUT = 0.05
"""Standard deviation of the ratio before it is known, as a share of it."""
NEAR = 4.0
"""Standard deviations around the expected ratio in which the next bin's is looked for."""
FEWEST_NEAR = 20
"""Events near the expected ratio below which the last bin's is kept."""
NARROWEST = 0.01
"""Least standard deviation of the ratio, as a share of it."""
BEND = (-1.0, 0.5)
"""Powers of the area that the ratio may follow: at -1 the height does not depend on the area."""
NORMAL_MAD = 1.4826
"""Standard deviation of a Gaussian by its median absolute deviation."""

EVERYWHERE = (-math.inf, math.inf)

CELLS = 256
"""Cells of the grid along either axis."""
CORE = 0.8
"""Share of a Gaussian cluster from which its covariance is found: few neighbours reach so far in."""
CORE_DISTANCE = -2 * math.log(1 - CORE)
"""Squared Mahalanobis distance within which that share of a Gaussian lies."""
CORE_VARIANCE = (1 - (1 - CORE) * (1 + CORE_DISTANCE / 2)) / CORE
"""Variance of a Gaussian's core by the Gaussian's: chi-square of 4 by that of 2 degrees of freedom."""
WIDER = 2.0
"""Standard deviation of the first core, kernels: wide enough to grow on a grid."""
FINEST = 1.5
"""Least standard deviation of the kernel, cells."""
ROUNDS = 100
"""Rounds of trimming after which a cluster has no border."""
EVEN = 0.95
"""Share of all events in a cluster's core from which on they are no cluster but evenly spread."""
RIVAL = 0.9
"""Density of a second cluster, by the first, from which on neither is dominant."""


def debris_cut(points: Values, *, within: Range | None = None, smooth: Positive = 0.01) -> Found:
    """Keep what scatters more forward light than debris does.

    Parameters
    ----------
    points : ndarray, shape (n_events, 2)
        Forward and side scatter of the parent population, axis lengths.
    within : tuple of float, optional
        ``(low, high)``, axis lengths: where on the first axis the cut may lie.
    smooth : float, default 0.01
        Standard deviation of the density kernel, as a share of what the events span; wider where
        events are few.

    Returns
    -------
    Found
        A `Rectangle`, bounded only below on the first axis. Evidence: ``peaks`` (2 where debris has
        a peak, 1 where it has none), ``depth`` (bottom of the valley by the lower peak; 0 for one
        peak), ``main`` (position of the main cloud), ``events``.

    Raises
    ------
    GateError
        If the events are too few or have no peak.

    Notes
    -----
    The main cloud is the peak that scatters most light in all, events times position, so that even
    much debris is not taken for cells. Debris is a peak in the lowest 40 % of the way to it, or below
    `within`. The cut is the emptiest place between debris and the next peak; without debris it is
    the lower foot of the lowest peak, three standard deviations of its lower flank below its top.
    """
    _demand_events(points, "a debris cut")
    forward = points[:, 0]
    low, high = reach(forward, rim=RIM, beyond=0)
    if high == low:
        raise GateError(f"{counted(points)} do not differ in forward scatter")
    seen = density(forward, smooth * (high - low))
    tops = peaks(seen)
    if not tops:
        raise GateError(f"no peak among {counted(points)}")
    main = _main(seen, tops)
    fragments = sum(seen.at(top) < max(DEBRIS * main, within[0] if within else 0.0) for top in tops[:-1])
    parting = trough(seen, tops[fragments - 1], tops[fragments], within) if fragments else None
    cut = parting.middle if parting else _foot(seen, tops[fragments])
    evidence = {"peaks": 2 if parting else 1, "depth": parting.evidence["depth"] if parting else 0.0,
                "main": main, "events": len(points)}  # fmt: skip
    return Found(Rectangle((cut, -math.inf), (math.inf, math.inf)), evidence)


def _main(seen: Density, tops: Sequence[int]) -> float:
    """Return the position of the peak that scatters most light in all."""
    light = seen.shares(tops) * [seen.at(top) for top in tops]
    return seen.at(tops[int(light.argmax())])


def _foot(seen: Density, top: int) -> float:
    centre, spread = bell(seen, top)
    return centre - FOOT * spread


def singlet_band(points: Values, *, width: Positive = 3) -> Found:
    """Keep single cells: those whose height stands to their area as it does for most.

    Parameters
    ----------
    points : ndarray, shape (n_events, 2)
        Area and height of forward scatter, axis lengths.
    width : float, default 3
        Half the band's width, robust standard deviations of the single cells' ratio at that area.

    Returns
    -------
    Found
        A `Polygon` around the ratio of height to area, from below the smallest to above the largest
        area. Evidence: ``ratio`` and ``spread`` (at the median area; the spread as a share of the
        ratio), ``events``.

    Raises
    ------
    GateError
        If there are fewer than 100 events with an area and a height, or their ratio has no peak.

    Notes
    -----
    The ratio is found in the two middle bins of area, as its uppermost peak, for doublets lie
    below; from there it is followed outwards, bin by bin, among the events near where the last two
    bins point. So a bin full of doublets does not draw the band to them, and a detector that is not
    linear is followed. Between bins the borders are straight. Beyond the lowest bin the width goes
    with the square root of the area, as counting noise does; beyond the highest with the area.
    """
    seen = points[(points[:, 0] > 0) & (points[:, 1] > 0)]
    _demand_events(seen, "a singlet band")
    area = seen[:, 0]
    rungs = _followed(_stepped(area, seen[:, 1] / area))
    middle = rungs[len(rungs) // 2]
    evidence = {"ratio": middle.ratio, "spread": middle.spread / middle.ratio, "events": len(points)}
    return Found(_outline(rungs, float(area.min()), float(area.max()), width), evidence)


@dataclass(frozen=True, slots=True)
class _Rung:
    """Where single cells lie at one area."""

    area: float
    ratio: float
    spread: float


_Step = tuple[float, Values]
"""The median area of a bin, and the ratios in it."""


def _stepped(area: Values, ratios: Values) -> list[_Step]:
    steps = min(STEPS, len(area) // FEWEST_IN_STEP)
    edges = np.quantile(area, np.arange(1, steps) / steps)
    bins = np.searchsorted(edges, area, side="right")
    return [
        (float(np.median(area[bins == step])), ratios[bins == step])
        for step in np.flatnonzero(np.bincount(bins))
    ]


def _followed(steps: Sequence[_Step]) -> list[_Rung]:
    """Return where single cells lie in each area bin."""
    if len(steps) < 2:
        raise GateError("the areas do not differ")
    middle = len(steps) // 2
    start = [_single(*step) for step in steps[middle - 1 : middle + 1]]
    upwards = _walked(start, steps[middle + 1 :])
    downwards = _walked(start[::-1], steps[: middle - 1][::-1])
    return downwards[:1:-1] + upwards


def _single(area: float, ratios: Values) -> _Rung:
    """Return the uppermost peak of the ratio."""
    scale = float(np.median(ratios))
    seen = density(ratios / scale, NARROWEST)
    tops = peaks(seen, share=TALL)
    if not tops:
        raise GateError(f"the ratio of height to area has no peak among {counted(ratios)} of middle area")
    ratio = seen.at(tops[-1]) * scale
    return _settled(_Rung(area, ratio, ABOUT * ratio), ratios)


def _walked(start: Sequence[_Rung], steps: Sequence[_Step]) -> list[_Rung]:
    rungs = list(start)
    for area, ratios in steps:
        before, last = rungs[-2:]
        bend = math.log(last.ratio / before.ratio) / math.log(last.area / before.area)
        ratio = last.ratio * (area / last.area) ** min(max(bend, BEND[0]), BEND[1])
        rungs.append(_settled(_Rung(area, ratio, last.spread * ratio / last.ratio), ratios))
    return rungs


def _settled(expected: _Rung, ratios: Values) -> _Rung:
    """Return the centre and spread of the ratios near the expected one, or that where they are few."""
    near = ratios[np.abs(ratios - expected.ratio) < NEAR * expected.spread]
    if len(near) < FEWEST_NEAR:
        return expected
    ratio = float(np.median(near))
    deviation = NORMAL_MAD * float(np.median(np.abs(near - ratio)))
    return _Rung(expected.area, ratio, max(deviation, NARROWEST * ratio))


def _outline(rungs: Sequence[_Rung], low: float, high: float, width: float) -> Polygon:
    below, above = 0.99 * low, 1.05 * high
    widened = rungs[0].spread * math.sqrt(rungs[0].area / below)
    band = [replace(rungs[0], area=below, spread=widened), *rungs, replace(rungs[-1], area=above)]
    lower = [(rung.area, rung.area * (rung.ratio - width * rung.spread)) for rung in band]
    upper = [(rung.area, rung.area * (rung.ratio + width * rung.spread)) for rung in band]
    return Polygon((*lower, *reversed(upper)))


def cluster(points: Values, *, share: Fraction = 0.975, within: tuple[Range, Range] | None = None) -> Found:
    """Keep the densest cloud, as an ellipse that follows it.

    Parameters
    ----------
    points : ndarray, shape (n_events, 2)
        Forward and side scatter of the parent population, axis lengths.
    share : float, default 0.975
        Fraction of a Gaussian cluster that the ellipse holds.
    within : tuple of two (float, float), optional
        ``(low, high)`` on each axis, axis lengths: where the cluster's densest place lies. The
        ellipse may reach beyond.

    Returns
    -------
    Found
        An `Ellipse`. Evidence: ``share`` (of the events, inside the ellipse), ``rounds`` (of
        trimming), ``events``.

    Raises
    ------
    GateError
        If the events are too few, if two places are of like density, or if the densest place is not
        the middle of a cluster that ends.

    Notes
    -----
    From the densest place outwards: centre and covariance of the events within the ellipse that
    holds 80 % of a Gaussian with the last round's centre and covariance, the covariance divided by
    what such trimming takes from a Gaussian's, until nothing changes. Neighbours farther out than
    that count for nothing.
    """
    _demand_events(points, "a cluster")
    grid = _gridded(points)
    window = grid.box(within)
    top = grid.top(window)
    centre, covariance, rounds = _trimmed(grid, top)
    distance = -2 * math.log(1 - share)
    away = _squared(grid.cells, centre, covariance)
    _demand_dominant(grid, top, core=away <= CORE_DISTANCE, elsewhere=window & (away > distance))
    held = float(grid.counts[away <= distance].sum()) / len(points)
    evidence = {"share": held, "rounds": rounds, "events": len(points)}
    return Found(grid.ellipse(centre, covariance, distance), evidence)


@dataclass(frozen=True, eq=False)
class _Grid:
    """Events counted in cells; positions are in cells, shape (CELLS, CELLS, 2)."""

    start: Values
    step: Values
    counts: Values
    heights: Values
    width: Values

    @property
    def cells(self) -> Values:
        return np.moveaxis(np.indices(self.counts.shape), 0, -1).astype(np.float64)

    def at(self, place: Values) -> Values:
        position: Values = self.start + place * self.step
        return position

    def named(self, cell: Sequence[int]) -> str:
        """Return a cell's position in words."""
        x, y = self.at(np.array(cell, np.float64))
        return f"({x:.3g}, {y:.3g})"

    def box(self, within: tuple[Range, Range] | None) -> Mask:
        """Return which cells lie inside the window."""
        (left, right), (bottom, top) = within or (EVERYWHERE, EVERYWHERE)
        x, y = np.moveaxis(self.at(self.cells), -1, 0)
        inside: Mask = (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
        return inside

    def top(self, allowed: Mask) -> tuple[int, int]:
        """Return the densest of the allowed cells."""
        if not (allowed & (self.counts > 0)).any():
            raise GateError(f"none of {self.counts.sum():,.0f} events lies in the window for the cluster")
        return divmod(int(np.where(allowed, self.heights, -1).argmax()), CELLS)

    def ellipse(self, centre: Values, covariance: Values, distance: float) -> Ellipse:
        """Return an ellipse in axis lengths."""
        scaled = covariance * np.outer(self.step, self.step)
        return Ellipse(tuple(self.at(centre).tolist()), tuple(map(tuple, scaled.tolist())), distance)


def _gridded(points: Values) -> _Grid:
    inner = points[((points > points.min(axis=0)) & (points < points.max(axis=0))).all(axis=1)]
    _demand_events(inner, "a cluster")
    low, high = np.transpose([reach(inner[:, axis], rim=RIM, beyond=0.1) for axis in (0, 1)])
    if not (high > low).all():
        raise GateError(f"{counted(points)} do not differ on both axes")
    places = (inner - low) / (high - low) * CELLS
    kept = places[((places >= 0) & (places <= CELLS)).all(axis=1)].astype(np.intp).clip(max=CELLS - 1)
    flat = np.bincount(kept[:, 0] * CELLS + kept[:, 1], minlength=CELLS * CELLS)
    counts = flat.reshape(CELLS, CELLS).astype(np.float64)
    width = np.array([max(FINEST, silverman(counts.sum(axis=1 - axis))) for axis in (0, 1)])
    step = (high - low) / CELLS
    return _Grid(low + step / 2, step, counts, _smoothed(_smoothed(counts, width[0]).T, width[1]).T, width)


def _smoothed(counts: Values, width: float) -> Values:
    """Return the counts smoothed along the first axis."""
    taps = math.ceil(3 * width)
    padded = np.pad(counts, ((taps, taps), (0, 0)))
    smooth = np.zeros_like(counts)
    for tap in range(-taps, taps + 1):
        smooth += math.exp(-0.5 * (tap / width) ** 2) * padded[taps + tap : taps + tap + len(counts)]
    return smooth


def _trimmed(grid: _Grid, top: tuple[int, int]) -> tuple[Values, Values, int]:
    """Return centre and covariance, in cells, of the cluster around a cell, and the rounds it took."""
    places = np.argwhere(grid.counts).astype(np.float64)
    counts = grid.counts[grid.counts > 0]
    centre, covariance = np.array(top, np.float64), np.diag((WIDER * grid.width) ** 2)
    core = np.zeros(len(places), bool)
    for done in range(1, ROUNDS + 1):
        before, core = core, _squared(places, centre, covariance) <= CORE_DISTANCE
        if (core == before).all():
            return centre, covariance, done
        centre, covariance = _moments(places[core], counts[core])
    raise GateError(f"the densest place, at {grid.named(top)}, is not the middle of a cluster that ends")


def _moments(places: Values, counts: Values) -> tuple[Values, Values]:
    """Return the centre of a trimmed Gaussian and the covariance it had before trimming."""
    events = counts.sum()
    if events < FEWEST / 2:
        raise GateError(f"{events:,.0f} events around the densest place, a cluster needs {FEWEST / 2:.0f}")
    centre = (counts[:, None] * places).sum(axis=0) / events
    x, y = (places - centre).T
    xx, xy, yy = ((counts * product).sum() / events / CORE_VARIANCE for product in (x * x, x * y, y * y))
    if xx * yy - xy**2 < 0.01:
        raise GateError("the densest place has no width")
    return centre, np.array([[xx, xy], [xy, yy]])


def _squared(places: Values, centre: Values, covariance: Values) -> Values:
    """Return squared Mahalanobis distances; shape (..., 2) in, (...) out."""
    x, y = np.moveaxis(places - centre, -1, 0)
    (xx, xy), (_, yy) = covariance
    squared: Values = (yy * x * x - 2 * xy * x * y + xx * y * y) / (xx * yy - xy**2)
    return squared


def _demand_dominant(grid: _Grid, top: tuple[int, int], *, core: Mask, elsewhere: Mask) -> None:
    """Refuse a cluster that is as wide as all events, or one of two."""
    share = grid.counts[core].sum() / grid.counts.sum()
    if share > EVEN:
        raise GateError(f"{share:.0%} of the events lie in one core, too evenly for a densest place")
    others = np.where(elsewhere, grid.heights, 0.0)
    if others.max() >= RIVAL * grid.heights[top]:
        rival = divmod(int(others.argmax()), CELLS)
        raise GateError(f"two places of like density, at {grid.named(top)} and {grid.named(rival)}")


def _demand_events(points: Values, purpose: str) -> None:
    if len(points) < FEWEST:
        raise GateError(f"{counted(points)}, {purpose} needs {FEWEST}")
