"""Clouds: methods that place an outline on two axes, mostly of scatter.

Scatter has no natural unit: instruments fill a tenth of the axis or all of it. Widths here are
therefore shares of what the events span, never of the axis. Densities and moments are summed over
the cells of a grid, which does not know in which order events came.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from tregflow.errors import GateError
from tregflow.gates.cuts import Fraction, Positive
from tregflow.gates.density import (
    Density,
    Histogram,
    bell,
    density,
    peaks,
    silverman,
    smoothed,
    span,
    trough,
    weighed,
)
from tregflow.gates.method import Found, Range, counted
from tregflow.gates.shapes import Ellipse, Polygon, Rectangle, Shape
from tregflow.sample import Rows, Values
from tregflow.view import Mask

FEWEST = 100
"""Events below which no cloud is looked for."""

RIM = 0.005
"""Share of events at either end of an axis that does not count for its span."""

DEBRIS = 0.4
"""A peak is debris if it lies below this share of the main cloud's position: fragments and
platelets do, lymphocytes beside granulocytes do not."""
FLANKS = (0.25, 0.75)
"""Heights down to which a cloud is followed, by its top: mostly the lower side, where its foot is."""
FOOT = 3.0
"""Standard deviations from a cloud's top to its lower foot."""

EDGES = (0.03, 0.12, 0.30, 0.50, 0.70)
"""Shares of the events that part the area bins in which the ratio of single cells is followed."""
STRETCH = 1.2
"""By how much one area bin exceeds the next above the last of those edges. There large cells and doublets lie,
and the ratio changes with the area: in a wider bin its change would look like spread."""
RUNGS = 8
"""Most areas at which the band has corners: a polygon of twenty."""
FEWEST_IN_STEP = 50
"""Events that an area bin should hold; fewer events make fewer bins."""
SLICES = 4096
"""Slices of the area, and of the ratio up to some four times the middle one."""
TALL = 0.2
"""Share of the events of a middle bin from which on a peak of the ratio may be single cells."""
FEW = 0.05
"""The same among the events near where single cells are expected."""
ABOUT = 0.05
"""Standard deviation of the ratio before it is known, as a share of it."""
STEP = 0.15
"""How far, as a share of it, the ratio may change from one bin to the next: large cells have a lower one, but not
as low as doublets."""
MOST = 0.7
"""Share of a bin's events near the expected ratio from which on its doublets are too few to matter."""
NEAR = 4.0
"""Standard deviations around the expected ratio in which the next bin's is looked for."""
FEWEST_NEAR = 20
"""Events near the expected ratio below which that is kept."""
ASTRAY = 1.5
"""Standard deviations off the expected ratio beyond which what is found is doublets, and that is kept."""
LOOK_BACK = 4
"""How many bins say how the ratio goes on."""
UPPER = (0.5, 0.25)
"""Heights down to which the ratio's peak is followed, by its top: mostly the upper side."""
NARROWEST = 0.01
"""Least standard deviation of the ratio, as a share of it."""
WIDEN = 1.2
"""By how much the ratio may spread from one bin to the next: doublets among large cells are not to widen it."""
BEND = (-1.0, 0.5)
"""Powers of the area that the ratio may follow: at -1 the height does not depend on the area."""
QUARTILES_APART = 1.349
"""Interquartile range of a Gaussian, standard deviations."""

EVERYWHERE = (-math.inf, math.inf)

CELLS = 256
"""Cells of the grid along either axis."""
CORE = (2.2, 4.2)
"""Squared Mahalanobis distances between which a place counts less and less for a cluster: about 80 % of a
Gaussian count, few neighbours reach so far in. Without a sharp edge the cluster moves smoothly with the events."""
HALVES = np.array(CORE) / 2
CORE_SHARE = float(1 + np.diff(np.exp(-HALVES))[0] / np.diff(HALVES)[0])
"""Share of a Gaussian that counts: the mean of 1 - exp(-d/2) over those distances."""
CORE_VARIANCE = float(1 + np.diff((2 + HALVES) * np.exp(-HALVES))[0] / np.diff(HALVES)[0]) / CORE_SHARE
"""Variance of what counts by the Gaussian's: chi-square of 4 by that of 2 degrees of freedom."""
PUSH = 2.0
"""How far a round goes beyond its own answer for the cluster's size: each goes about a third of the way."""
STILL = 3e-5
"""Standard deviations by which a settled cluster may still move in a round."""
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


def debris_cut(
    points: Values,
    weights: Values | None = None,
    near: Shape | None = None,  # noqa: ARG001 - as all methods
    *,
    within: Range | None = None,
    smooth: Positive = 0.01,
) -> Found:
    """Keep what scatters more forward light than debris does.

    Parameters
    ----------
    points : ndarray, shape (n_events, 2)
        Forward and side scatter of the parent population, axis lengths.
    weights : ndarray, shape (n_events,), optional
        How often each event counts.
    near : Shape, optional
        Not used.
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
    forward, weights, events = weighed(points[:, 0], weights)
    _demand_events(events, "a debris cut")
    low, high = span(forward, weights, rim=RIM, beyond=0)
    if high == low:
        raise GateError(f"{counted(events)} do not differ in forward scatter")
    seen = density(forward, smooth * (high - low), weights)
    tops = peaks(seen)
    if not tops:
        raise GateError(f"no peak among {counted(events)}")
    main = _main(seen, tops)
    fragments = sum(seen.at(top) < max(DEBRIS * main, within[0] if within else 0.0) for top in tops[:-1])
    parting = trough(seen, tops[fragments - 1], tops[fragments], within) if fragments else None
    cut = parting.cut if parting else _foot(seen, tops[fragments])
    evidence = {"peaks": 2 if parting else 1, "depth": parting.depth if parting else 0.0,
                "main": main, "events": events}  # fmt: skip
    return Found(Rectangle((cut, -math.inf), (math.inf, math.inf)), evidence)


def _main(seen: Density, tops: Sequence[int]) -> float:
    """Return the position of the peak that scatters most light in all."""
    light = seen.shares(tops) * [seen.at(top) for top in tops]
    return seen.at(tops[int(light.argmax())])


def _foot(seen: Density, top: int) -> float:
    centre, spread = bell(seen, top, FLANKS)
    return centre - FOOT * spread


def singlet_band(
    points: Values,
    weights: Values | None = None,
    near: Shape | None = None,  # noqa: ARG001 - as all methods
    *,
    width: Positive = 3,
) -> Found:
    """Keep single cells: those whose height stands to their area as it does for most.

    Parameters
    ----------
    points : ndarray, shape (n_events, 2)
        Area and height of forward scatter, axis lengths.
    weights : ndarray, shape (n_events,), optional
        How often each event counts.
    near : Shape, optional
        Not used.
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
    events = len(points) if weights is None else float(weights.sum())
    area, height, weights = _measured(points, weights)
    _demand_events(len(area) if weights is None else weights.sum(), "a singlet band")
    steps, median = _stepped(area, height / area, weights)
    rungs = _followed(steps, median)
    middle = rungs[min(median, len(rungs) - 1)]
    evidence = {"ratio": middle.ratio, "spread": middle.spread / middle.ratio, "events": events}
    return Found(_outline(_thinned(rungs), float(area.min()), float(area.max()), width), evidence)


def _measured(points: Values, weights: Values | None) -> tuple[Values, Values, Values | None]:
    """Return area, height and weight of the events that have an area and a height."""
    area, height = np.ascontiguousarray(points.T)
    real = (area > 0) & (height > 0)
    if weights is not None:
        real &= weights > 0
        weights = weights.compress(real)
    return area.compress(real), height.compress(real), weights


@dataclass(frozen=True, slots=True)
class _Rung:
    """Where single cells lie at one area."""

    area: float
    ratio: float
    spread: float


_Step = tuple[float, Histogram]
"""The median area of a bin, and the ratios in it."""


def _stepped(area: Values, ratios: Values, weights: Values | None) -> tuple[list[_Step], int]:
    """Return the ratios in bins of area, each a histogram, and which bin holds the median: nothing needs sorting."""
    low, high = span(area, weights, rim=0, beyond=0)
    if high == low:
        raise GateError("the areas do not differ")
    step = (high - low) / SLICES
    place = ((area - low) / step).clip(0, SLICES - 1).astype(np.intp)
    areas = Histogram(low + step / 2, step, np.bincount(place, weights, minlength=SLICES).astype(np.float64))
    bins = _binned(areas)
    unit = _middle_power(ratios, weights) / (SLICES / 4)
    height = (ratios / unit).clip(0, SLICES).astype(np.intp)  # the last holds what lies beyond
    both = np.bincount(bins[place] * (SLICES + 1) + height, weights, minlength=(bins[-1] + 1) * (SLICES + 1))
    each = both.reshape(-1, SLICES + 1)[:, :SLICES].astype(np.float64)
    borders = bins.searchsorted(range(len(each) + 1)).tolist()  # bins are runs of slices
    among = [areas.part(first, end) for first, end in pairwise(borders)]
    steps = [
        (one.at(one.quantile(0.5)), Histogram(unit / 2, unit, found))
        for one, found in zip(among, each, strict=True)
        if found.any()
    ]
    median = areas.at(areas.quantile(0.5))
    return steps, sum(middle < median for middle, _ in steps)


def _binned(areas: Histogram) -> Rows:
    """Return the area bin of each slice, none of them with too few events."""
    total = areas.counts.cumsum()
    last = areas.at(areas.quantile(EDGES[-1]))
    beyond = max(math.log(areas.at(len(total)) / last) / math.log(STRETCH), 0)
    wider = [last * STRETCH**power for power in range(1, int(beyond) + 1)]
    wanted = [*(edge * total[-1] for edge in EDGES), *(total[areas.bin(edge)] for edge in wider)]
    ends: list[float] = []
    for end in wanted:
        if end - (ends[-1] if ends else 0) >= FEWEST_IN_STEP:
            ends.append(float(end))
    while ends and total[-1] - ends[-1] < FEWEST_IN_STEP:
        ends.pop()
    bins: Rows = np.searchsorted(ends, total - areas.counts / 2)
    return bins


def _middle_power(ratios: Values, weights: Values | None) -> float:
    """Return the power of two at or above the median ratio: a unit that the order of events cannot touch."""
    powers = np.frexp(ratios)[1]
    counts = np.bincount(powers - powers.min(), weights).cumsum()
    return math.ldexp(1.0, int(powers.min() + np.searchsorted(counts, counts[-1] / 2)))


def _followed(steps: Sequence[_Step], middle: int) -> list[_Rung]:
    """Return where single cells lie in each area bin, from the one at `middle` and the one below it outwards."""
    if len(steps) < 2:
        raise GateError("the areas do not differ")
    middle = min(max(middle, 1), len(steps) - 1)
    start = [_single(*step) for step in steps[middle - 1 : middle + 1]]
    downwards = _walked(start[::-1], steps[: middle - 1][::-1])
    return _walked(downwards[::-1], steps[middle + 1 :])


def _thinned(rungs: Sequence[_Rung]) -> list[_Rung]:
    """Return no more rungs than the band has corners for: all among most events, fewer among large cells."""
    kept = len(EDGES)
    places = np.linspace(kept, len(rungs) - 1, RUNGS - kept).round().astype(int)
    return list(rungs) if len(rungs) <= RUNGS else [*rungs[:kept], *(rungs[place] for place in places)]


def _single(area: float, ratios: Histogram) -> _Rung:
    """Return the uppermost peak of the ratio."""
    seen = smoothed(ratios, NARROWEST * ratios.at(ratios.quantile(0.5)))
    tops = peaks(seen, share=TALL)
    if not tops:
        raise GateError(
            f"the ratio of height to area has no peak among {counted(ratios.events)} of middle area"
        )
    ratio = seen.at(tops[-1])
    return _settled(_Rung(area, ratio, ABOUT * ratio), ratios)


def _walked(start: Sequence[_Rung], steps: Sequence[_Step]) -> list[_Rung]:
    rungs = list(start)
    for area, ratios in steps:
        last = rungs[-1]
        ratio = last.ratio * (area / last.area) ** min(max(_bend(rungs[-LOOK_BACK:]), BEND[0]), BEND[1])
        expected = _Rung(area, ratio, last.spread * ratio / last.ratio)
        rungs.append(_settled(expected, ratios, WIDEN * max(last.area / area, 1)))
    return rungs


def _bend(rungs: Sequence[_Rung]) -> float:
    """Return the power of the area that the ratio follows, by least squares."""
    areas = [math.log(rung.area) for rung in rungs]
    middle = sum(areas) / len(areas)
    away = [area - middle for area in areas]
    rise = sum(far * math.log(rung.ratio) for far, rung in zip(away, rungs, strict=True))
    return rise / sum(far * far for far in away)


def _settled(expected: _Rung, ratios: Histogram, widen: float = math.inf) -> _Rung:
    """Return the centre and spread of the ratios near the expected one, or that where they are few or astray.

    Where most of a bin lies near, all of it counts; where not, doublets do not: only the uppermost peak.
    """
    far = max(NEAR * expected.spread, STEP * expected.ratio)
    near = ratios.between(expected.ratio - far, expected.ratio + far)
    if near.events < FEWEST_NEAR:
        return expected
    clean = near.events >= MOST * ratios.events
    ratio, spread = _quartiles(near) if clean else _upper(near)
    if not clean and widen < math.inf and abs(ratio - expected.ratio) > ASTRAY * expected.spread:
        return expected
    widest = max(widen * expected.spread, clean * ABOUT * ratio)
    return _Rung(expected.area, ratio, max(min(spread, widest), NARROWEST * ratio))


def _upper(near: Histogram) -> tuple[float, float]:
    """Return centre and spread of the uppermost peak, by its upper side: doublets may swell the lower."""
    seen = smoothed(near, NARROWEST / 2 * near.at(len(near.counts) / 2))
    tops = peaks(seen, share=FEW)
    try:
        return bell(seen, tops[-1], UPPER) if tops else _quartiles(near)
    except GateError:  # no wider than the kernel
        return _quartiles(near)


def _quartiles(near: Histogram) -> tuple[float, float]:
    """Return median, and interquartile range as a standard deviation."""
    low, ratio, high = (near.at(near.quantile(part)) for part in (0.25, 0.5, 0.75))
    return ratio, (high - low) / QUARTILES_APART


def _outline(rungs: Sequence[_Rung], low: float, high: float, width: float) -> Polygon:
    below, above = 0.99 * low, 1.05 * high
    widened = rungs[0].spread * math.sqrt(rungs[0].area / below)
    band = [replace(rungs[0], area=below, spread=widened), *rungs, replace(rungs[-1], area=above)]
    lower = [(rung.area, rung.area * (rung.ratio - width * rung.spread)) for rung in band]
    upper = [(rung.area, rung.area * (rung.ratio + width * rung.spread)) for rung in band]
    return Polygon((*lower, *reversed(upper)))


def cluster(
    points: Values,
    weights: Values | None = None,
    near: Shape | None = None,
    *,
    share: Fraction = 0.975,
    within: tuple[Range, Range] | None = None,
) -> Found:
    """Keep the densest cloud, as an ellipse that follows it.

    Parameters
    ----------
    points : ndarray, shape (n_events, 2)
        Forward and side scatter of the parent population, axis lengths.
    weights : ndarray, shape (n_events,), optional
        How often each event counts.
    near : Ellipse, optional
        Found on nearly the same events: the cluster is followed from there, not looked for anew.
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
    From the densest place outwards: centre and covariance of the events around, those beyond 67 % of
    a Gaussian with the last round's centre and covariance counting less and less and those beyond 88 %
    for nothing, the covariance divided by what such trimming takes from a Gaussian's, until nothing
    changes. Neighbours farther out than that count for nothing.
    """
    columns, weights, events = weighed(np.ascontiguousarray(points.T), weights, axis=1)
    _demand_events(events, "a cluster")
    grid = _gridded(columns, weights)
    started = near if isinstance(near, Ellipse) else None
    window = grid.box(within)
    start = grid.of(started) if started else grid.start_at(grid.top(window))
    centre, covariance, rounds = _trimmed(grid, start)
    distance = -2 * math.log(1 - share)
    if not started:
        _demand_dominant(grid, window, centre, covariance, distance)
    held = float(grid.around(centre, covariance, (distance, distance))[2].sum()) / events
    evidence = {"share": held, "rounds": rounds, "events": events}
    return Found(grid.ellipse(centre, covariance, distance), evidence)


_Bell = tuple[Values, Values]
"""Centre and covariance, in cells."""


@dataclass(frozen=True, eq=False)
class _Grid:
    """Events counted in cells; positions are in cells, shape (CELLS, CELLS, 2)."""

    start: Values
    step: Values
    counts: Values

    @cached_property
    def width(self) -> Values:
        """Return the kernel along either axis."""
        return np.array([max(FINEST, silverman(self.counts.sum(axis=1 - axis))) for axis in (0, 1)])

    @cached_property
    def heights(self) -> Values:
        """Return the smoothed counts; costly."""
        return _smoothed(_smoothed(self.counts, self.width[0]).T, self.width[1]).T

    def at(self, place: Values) -> Values:
        position: Values = self.start + place * self.step
        return position

    def named(self, cell: Sequence[float] | Values) -> str:
        """Return a cell's position in words."""
        x, y = self.at(np.array(cell, np.float64))
        return f"({x:.3g}, {y:.3g})"

    def around(self, centre: Values, covariance: Values, ends: Range) -> tuple[Values, Values, Values]:
        """Return the cells within an ellipse: how far off their rows and columns lie, and what they count.

        Between the two squared Mahalanobis distances they count less and less.
        """
        full, none = ends
        rows, columns = (_reached(at, math.sqrt(none * wide))
                         for at, wide in zip(centre.tolist(), covariance.diagonal().tolist(), strict=True))  # fmt: skip
        x, y = _DIAGONAL[rows, 0] - centre[0], _DIAGONAL[columns, 0] - centre[1]
        away = _squared(x[:, None], y, covariance)
        part = away <= full if full == none else np.minimum(np.maximum((none - away) / (none - full), 0), 1)
        return x, y, self.counts[rows, columns] * part

    def box(self, within: tuple[Range, Range] | None) -> Mask:
        """Return which cells lie inside the window."""
        inside = [
            (edge[0] <= at) & (at <= edge[1])
            for edge, at in zip(within or (EVERYWHERE, EVERYWHERE), self.at(_DIAGONAL).T, strict=True)
        ]
        both: Mask = inside[0][:, None] & inside[1]
        return both

    def top(self, allowed: Mask) -> tuple[int, int]:
        """Return the densest of the allowed cells."""
        if not (allowed & (self.counts > 0)).any():
            raise GateError(f"none of {self.counts.sum():,.0f} events lies in the window for the cluster")
        return divmod(int(np.where(allowed, self.heights, -1).argmax()), CELLS)

    def start_at(self, top: tuple[int, int]) -> _Bell:
        """Return what a cluster around a cell is grown from."""
        return np.array(top, np.float64), np.diag((WIDER * self.width) ** 2)

    def of(self, ellipse: Ellipse) -> _Bell:
        """Return an ellipse's centre and covariance in cells."""
        centre = (np.array(ellipse.centre) - self.start) / self.step
        return centre, np.array(ellipse.covariance) / np.outer(self.step, self.step)

    def ellipse(self, centre: Values, covariance: Values, distance: float) -> Ellipse:
        """Return an ellipse in axis lengths."""
        scaled = covariance * np.outer(self.step, self.step)
        return Ellipse(tuple(self.at(centre).tolist()), tuple(map(tuple, scaled.tolist())), distance)


def _reached(at: float, far: float) -> slice:
    """Return the cells along an axis that lie no farther than so much from a place."""
    return slice(max(math.ceil(at - far), 0), max(math.floor(at + far) + 1, 0))


_DIAGONAL = np.repeat(np.arange(CELLS, dtype=np.float64)[:, None], 2, axis=1)


def _gridded(columns: Values, weights: Values | None) -> _Grid:
    inner = np.logical_and(*[(column > column.min()) & (column < column.max()) for column in columns])
    columns = columns.compress(inner, axis=1)
    weights = None if weights is None else weights.compress(inner)
    events = len(columns[0]) if weights is None else weights.sum()
    _demand_events(events, "a cluster")
    low, high = np.transpose([span(column, weights, rim=RIM, beyond=0.1) for column in columns])
    if not (high > low).all():
        raise GateError(f"{counted(events)} do not differ on both axes")
    step = (high - low) / CELLS
    x, y = (((column - start) / each) for column, start, each in zip(columns, low, step, strict=True))
    inside = (x >= 0) & (x <= CELLS) & (y >= 0) & (y <= CELLS)
    cells = np.minimum(x.compress(inside).astype(np.intp), CELLS - 1) * CELLS
    cells += np.minimum(y.compress(inside).astype(np.intp), CELLS - 1)
    weights = None if weights is None else weights.compress(inside)
    counts = np.bincount(cells, weights, minlength=CELLS * CELLS)
    return _Grid(low + step / 2, step, counts.reshape(CELLS, CELLS).astype(np.float64))


def _smoothed(counts: Values, width: float) -> Values:
    """Return the counts smoothed along the first axis."""
    taps = math.ceil(3 * width)
    padded = np.pad(counts, ((taps, taps), (0, 0)))
    smooth = np.zeros_like(counts)
    for tap in range(-taps, taps + 1):
        smooth += math.exp(-0.5 * (tap / width) ** 2) * padded[taps + tap : taps + tap + len(counts)]
    return smooth


def _trimmed(grid: _Grid, start: _Bell) -> tuple[Values, Values, int]:
    """Return centre and covariance, in cells, of the cluster around a place, and the rounds it took."""
    centre, covariance = start
    for done in range(1, ROUNDS + 1):
        shift, spread = _moments(*grid.around(centre, covariance, CORE))
        moved = math.sqrt(_squared(shift[0], shift[1], covariance))
        grown = float(np.abs(spread - covariance).max() / covariance.max())
        if moved <= STILL and grown <= STILL:
            return centre + shift, spread, done
        size = (_determinant(spread) / _determinant(covariance)) ** (0.5 * (PUSH - 1))
        centre, covariance = centre + shift, spread * size
    raise GateError(f"the densest place, at {grid.named(start[0])}, is not the middle of a cluster that ends")


def _moments(x: Values, y: Values, counts: Values) -> tuple[Values, Values]:
    """Return the centre of a trimmed Gaussian and the covariance it had before trimming."""
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    events = rows.sum()
    if events < FEWEST / 2:
        raise GateError(f"{events:,.0f} events around the densest place, a cluster needs {FEWEST / 2:.0f}")
    mx, my = (rows * x).sum() / events, (columns * y).sum() / events
    xx, yy = (rows * x * x).sum() / events - mx * mx, (columns * y * y).sum() / events - my * my
    xy = (x * (counts * y).sum(axis=1)).sum() / events - mx * my
    spread = np.array([[xx, xy], [xy, yy]]) / CORE_VARIANCE
    if _determinant(spread) < 0.01:
        raise GateError("the densest place has no width")
    return np.array([mx, my]), spread


def _determinant(covariance: Values) -> float:
    (xx, xy), (_, yy) = covariance
    return float(xx * yy - xy * xy)


def _squared(x: Values, y: Values, covariance: Values) -> Values:
    """Return squared Mahalanobis distances of places relative to a centre."""
    (xx, xy), (_, yy) = covariance
    scale = 1 / _determinant(covariance)
    squared: Values = (yy * scale * x - 2 * xy * scale * y) * x + xx * scale * y * y
    return squared


def _demand_dominant(grid: _Grid, window: Mask, centre: Values, covariance: Values, distance: float) -> None:
    """Refuse a cluster that is as wide as all events, or one of two."""
    away = _squared(_DIAGONAL[:, :1] - centre[0], _DIAGONAL[:, 1] - centre[1], covariance)
    share = grid.counts[away <= CORE[1]].sum() / grid.counts.sum()
    if share > EVEN:
        raise GateError(f"{share:.0%} of the events lie in one core, too evenly for a densest place")
    top = grid.top(window)
    others = np.where(window & (away > distance), grid.heights, 0.0)
    if others.max() >= RIVAL * grid.heights[top]:
        rival = divmod(int(others.argmax()), CELLS)
        raise GateError(f"two places of like density, at {grid.named(top)} and {grid.named(rival)}")


def _demand_events(events: float, purpose: str) -> None:
    if events < FEWEST:
        raise GateError(f"{counted(events)}, {purpose} needs {FEWEST}")
