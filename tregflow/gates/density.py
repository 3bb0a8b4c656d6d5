"""One axis as it is seen: a smoothed histogram, the peaks on it, and what parts them.

A histogram does not know in which order events came, so nothing placed on one does either. Its bins
are finer than its kernel, and its kernel grows when events are few: at 500 events and at 300,000 a
place on it means the same. An event that counts thrice is three events.

A peak is a population only if it stands out of its surroundings by a share of its own height, if
counting alone would not raise it, and if enough events lie under it. Without these three a wiggle
of the histogram counts as a population.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise

import numpy as np

from tregflow.errors import GateError
from tregflow.gates.method import Range, counted
from tregflow.sample import Values

FINE = 5
"""Bins per standard deviation of the narrowest kernel."""
BINS = 4096
"""The most bins along an axis: keeps wild values from asking for memory."""
RIM = 0.001
"""Share of events at either end that does not decide how far the histogram reaches."""
KERNEL_REACH = 4
"""Standard deviations after which the kernel ends."""
FINER = 4.0
"""How much finer than Silverman's the first kernel is."""
HELD = 3
"""Kernels in a row, each wider by the square root of two, under which peaks stay as many: a factor of two."""
PROMINENCE = 0.1
"""Share of its own height by which a peak stands out: a tenth of the highest would hide 2 % of cells."""
SHARE = 0.01
"""Least share of the events under a peak."""
COUNTING_ERRORS = 3
"""Counting errors by which a peak must stand out."""
SLOPE_ERRORS = 4
"""Counting errors by which a slope must ease and steepen again: slopes are noisier, and looked at in more places."""
SLOPES = 0.97 / 0.9
"""The kernel for slopes by Silverman's, but for the power of the events."""
PLATEAU = 0.05
"""How far a valley's bottom goes up its flanks, as a share of its depth."""
HALFWAY = 0.5
"""How far up a flank a window may stop short of a valley's bottom and still count as in the valley."""
NARROWEST = 0.1
"""Least standard deviation of a peak, kernels."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """Events counted in bins of one axis.

    Parameters
    ----------
    start, step : float
        Centre of the first bin and width of all, axis lengths.
    counts : ndarray, shape (n_bins,)
        Events per bin.
    """

    start: float
    step: float
    counts: Values

    @cached_property
    def until(self) -> Values:
        """Events in each bin and all below; shape (n_bins,)."""
        return self.counts.cumsum()

    @property
    def events(self) -> float:
        """How many events the histogram holds."""
        return float(self.until[-1])

    def at(self, place: float) -> float:
        """Return the position of a bin, axis lengths; bins are counted from 0."""
        return self.start + place * self.step

    def bin(self, position: float) -> int:
        """Return the bin nearest to a position, within the histogram."""
        place = float(position - self.start) / float(self.step)
        return round(min(max(place, 0.0), len(self.counts) - 1))

    def quantile(self, fraction: float) -> float:
        """Return the place, in bins, below which a fraction of the events lies."""
        total = self.until
        wanted = fraction * float(total[-1])
        last = min(int(total.searchsorted(wanted, side="right")), len(total) - 1)
        held = float(self.counts[last])
        return last + 0.5 - (float(total[last]) - wanted) / held if held else last - 0.5

    def between(self, low: float, high: float) -> Histogram:
        """Return the bins that a range touches."""
        return self.part(self.bin(low), self.bin(high) + 1)

    def part(self, first: int, end: int) -> Histogram:
        """Return the bins from one up to another, which is not in it."""
        return Histogram(self.at(first), self.step, self.counts[first:end])


@dataclass(frozen=True, eq=False)
class Density(Histogram):
    """The smoothed histogram of one axis.

    Parameters
    ----------
    start, step : float
        Centre of the first bin and width of all, axis lengths.
    counts : ndarray, shape (n_bins,)
        Events per bin.
    heights : ndarray, shape (n_bins,)
        Events per bin after smoothing; next to nothing at both ends.
    smooth : float
        Standard deviation of the kernel, axis lengths.
    lone : float
        Height of one event alone.
    """

    heights: Values
    smooth: float
    lone: float

    def noise(self, height: float) -> float:
        """Return the counting error of a height (the kernel's square summed is ``lone / sqrt(2)``)."""
        return math.sqrt(height * self.lone / math.sqrt(2))

    def shares(self, tops: Sequence[int]) -> Values:
        """Return the share of events around each of some bins, parted at the lowest bins between them."""
        borders = [0, *(low + int(self.heights[low:high].argmin()) for low, high in pairwise(tops))]
        shares: Values = np.add.reduceat(self.counts, borders) / self.counts.sum()
        return shares


def weighed(points: Values, weights: Values | None, *, axis: int = 0) -> tuple[Values, Values | None, float]:
    """Return the events that count, how often each does, and how many they are.

    Parameters
    ----------
    points : ndarray, shape (n_events,) or (n_events, n_axes)
        Axis lengths.
    weights : ndarray, shape (n_events,), optional
        How often each event counts; once each, if left out.
    axis : int
        Along which the events lie; 1 for columns, shape (n_axes, n_events).
    """
    if weights is None:
        return points, None, points.shape[axis]
    counting = np.flatnonzero(weights > 0)
    kept = weights.take(counting)
    return points.take(counting, axis=axis), kept, float(kept.sum())


def histogram(values: Values, step: float, weights: Values | None = None) -> Histogram:
    """Return the events of an axis in bins, from where to where events lie.

    Events on the outermost values are left out: what piles up at the end of an axis is no peak.
    A few stray events do not decide how far the bins reach.

    Parameters
    ----------
    values : ndarray, shape (n_events,)
        Axis lengths.
    step : float
        Width of a bin, axis lengths; wider where that would make more than 4,096 bins.
    weights : ndarray, shape (n_events,), optional
        How often each event counts; above 0.

    Raises
    ------
    GateError
        If nothing lies between the outermost values.
    """
    between = (values > values.min()) & (values < values.max()) if len(values) else np.zeros(0, bool)
    if not between.any():
        raise GateError(f"no peak among {counted(len(values) if weights is None else weights.sum())}")
    inner, weights = values.compress(between), None if weights is None else weights.compress(between)
    low, high = span(inner, weights)
    return _counts(inner, weights, low, high, max(step, (high - low) / BINS))


def span(values: Values, weights: Values | None = None, *, rim: float = RIM, beyond: float = 1.0) -> Range:
    """Return from where to where events lie, a few stray ones apart.

    Parameters
    ----------
    values : ndarray, shape (n_events,)
        At least one.
    weights : ndarray, shape (n_events,), optional
        How often each event counts; above 0.
    rim : float
        Share of the events at either end that may be stray.
    beyond : float
        How far those at the rim are still followed, by the span of the others.
    """
    low, high = float(values.min()), float(values.max())
    while (step := (high - low) / BINS) > np.spacing(max(abs(low), abs(high))):
        seen = _counts(values, weights, low, high, step)
        left, right = _reach(seen, rim, beyond)
        if right - left > (high - low) / 4:
            return left, right
        low, high = left, right  # so few bins between stray events say too little
    only = float(values[(values >= low) & (values <= high)].min())
    return only, only


def _reach(seen: Histogram, rim: float, beyond: float) -> Range:
    """Return the same of a histogram, in whole bins."""
    first, *_, last = np.flatnonzero(seen.counts)[[0, -1]].tolist()
    low, high = math.ceil(seen.quantile(rim) - 0.5), math.floor(seen.quantile(1 - rim) + 0.5)
    follow = beyond * (high + 1 - low)
    return seen.at(max(first, low - follow) - 0.5), seen.at(min(last, high + follow) + 0.5)


def _counts(values: Values, weights: Values | None, low: float, high: float, step: float) -> Histogram:
    bins = int((high - low) / step) + 1
    places = ((values - low) / step).clip(-1, bins).astype(np.intp)
    inside = (values >= low) & (values <= high)
    if not inside.all():
        places, weights = places.compress(inside), None if weights is None else weights.compress(inside)
    counts = np.bincount(np.minimum(places, bins - 1), weights, minlength=bins).astype(np.float64)
    return Histogram(low + step / 2, step, counts)


def density(values: Values, smooth: float, weights: Values | None = None) -> Density:
    """Return the smoothed histogram of some values.

    Parameters
    ----------
    values : ndarray, shape (n_events,)
        Axis lengths.
    smooth : float
        Standard deviation of the Gaussian kernel, axis lengths; Silverman's rule for this many
        events where that is wider.
    weights : ndarray, shape (n_events,), optional
        How often each event counts; above 0.

    Raises
    ------
    GateError
        If nothing lies between the outermost values.
    """
    return smoothed(histogram(values, smooth / FINE, weights), smooth)


def smoothed(seen: Histogram, smooth: float) -> Density:
    """Return a histogram as a Gaussian kernel sees it, this wide or as wide as Silverman's rule has it.

    Parameters
    ----------
    seen : Histogram
    smooth : float
        Least standard deviation of the kernel, axis lengths.
    """
    return _smoothed(seen, _widest(seen, smooth))


def _smoothed(seen: Histogram, width: float) -> Density:
    taps = math.ceil(KERNEL_REACH * width)
    kernel = np.exp(-0.5 * (np.arange(-taps, taps + 1) / width) ** 2)
    kernel /= kernel.sum()
    heights = np.convolve(seen.counts, kernel)  # `taps` longer at either end
    beside = np.zeros(taps)
    counts = np.concatenate([beside, seen.counts, beside])
    return Density(seen.at(-taps), seen.step, counts, heights, float(width) * seen.step, float(kernel.max()))


def silverman(counts: Values) -> float:
    """Return Silverman's kernel width in bins: 0.9 min(SD, IQR / 1.34) n^(-1/5)."""
    total, places = counts.cumsum(), np.arange(len(counts), dtype=np.float64)
    events = float(total[-1])
    places -= (counts * places).sum() / events
    deviation = math.sqrt((counts * places * places).sum() / events)
    low, high = total.searchsorted((0.25 * events, 0.75 * events)).tolist()
    return float(0.9 * min(deviation, (high - low) / 1.34) * events**-0.2)


def _widest(seen: Histogram, smooth: float) -> float:
    """Return Silverman's kernel, bins, or the one asked for where that is wider."""
    return max(silverman(seen.counts), smooth / seen.step, FINE)


def settled(
    values: Values,
    smooth: float,
    weights: Values | None = None,
    *,
    prominence: float = PROMINENCE,
    share: float = SHARE,
) -> tuple[Density, list[int]]:
    """Return an axis under the kernel at which its peaks have settled, and the peaks.

    Silverman's rule knows one peak: on three it blurs two of them into one. The kernel is therefore
    widened from a quarter of Silverman's on, and the peaks are those that stay as many over a factor
    of two; of several such numbers the highest. The kernel is Silverman's if it still shows them, else
    the middle of those that do: the widest of these has nearly closed a valley.

    Parameters
    ----------
    values : ndarray, shape (n_events,)
        Axis lengths.
    smooth : float
        Least standard deviation of the kernel, axis lengths.
    weights : ndarray, shape (n_events,), optional
        How often each event counts; above 0.
    prominence, share : float
        What makes a peak, as for `peaks`.

    Raises
    ------
    GateError
        If nothing lies between the outermost values.
    """
    counts = histogram(values, smooth / FINE, weights)
    widest = _widest(counts, smooth)
    finer = min(2 * math.log2(FINER), 2 * math.log2(widest / max(smooth / counts.step, FINE)))
    shown = [_smoothed(counts, widest * 2 ** (-power / 2)) for power in range(int(finer + 0.5), -1, -1)]
    seen = [(one, peaks(one, prominence=prominence, share=share)) for one in shown]
    runs = [list(run) for _, run in groupby(seen, key=lambda one: len(one[1]))]
    held = [run for run in runs if len(run) >= HELD] or runs[-1:]
    run = max(held, key=lambda run: len(run[0][1]))
    return run[-1] if run is runs[-1] else run[len(run) // 2]


def peaks(seen: Density, *, prominence: float = PROMINENCE, share: float = SHARE) -> list[int]:
    """Return the bins of the peaks that are populations, from low to high.

    Parameters
    ----------
    seen : Density
        The axis.
    prominence : float
        By how much of its own height a peak stands above the higher of the two saddles beside it.
    share : float
        Least share of the events that lies around a peak, up to the lowest bins beside it.
    """
    rises = seen.heights[1:] > seen.heights[:-1]
    maxima = 1 + np.flatnonzero(rises[:-1] & ~rises[1:])
    if not len(maxima):
        return []
    highs = seen.heights.take(maxima).tolist()
    lows = np.minimum.reduceat(seen.heights, [0, *maxima]).tolist()
    tops = [top for place, top in enumerate(maxima.tolist())
            if highs[place] - _saddle(highs, lows, place) >= _needed(seen, highs[place], prominence)]  # fmt: skip
    while len(tops) > 1 and (shares := seen.shares(tops)).min() < share:
        del tops[int(shares.argmin())]
    return tops


def _needed(seen: Density, height: float, prominence: float) -> float:
    """Return by how much a peak must stand out; infinite for one that counting alone may raise."""
    if height <= COUNTING_ERRORS**2 / math.sqrt(2) * seen.lone:
        return math.inf
    return max(prominence * height, COUNTING_ERRORS * seen.noise(height))


def _saddle(highs: Sequence[float], lows: Sequence[float], place: int) -> float:
    """Return the higher of the two lowest heights between a maximum and the next higher one on either side.

    ``lows[i]`` lies before the maximum ``highs[i]``, ``lows[i + 1]`` behind it.
    """
    before = _lowest(highs[place], highs[:place][::-1], lows[: place + 1][::-1])
    return max(before, _lowest(highs[place], highs[place + 1 :], lows[place + 1 :]))


def _lowest(height: float, highs: Sequence[float], lows: Sequence[float]) -> float:
    """Return the lowest of some lows on a way, up to the first maximum that is higher."""
    higher = next((step for step, high in enumerate(highs) if high > height), len(highs))
    return min(lows[: higher + 1])


@dataclass(frozen=True, slots=True)
class Parting:
    """A place that parts two populations.

    Parameters
    ----------
    cut : float
        Axis lengths.
    drop : float
        How far it lies below the lower of the two, events per bin (of a shoulder: how much the slope
        eases, events per bin and bin).
    depth : float
        Density at the cut by that of the lower peak: 0 is a clean valley, 1 none; 1 for a shoulder.
    left, right : float
        Where the populations are, axis lengths.
    """

    cut: float
    drop: float
    depth: float
    left: float
    right: float

    @property
    def is_shoulder(self) -> bool:
        """Whether one of the two has no peak of its own."""
        return self.depth == 1


def trough(seen: Density, left: int, right: int, within: Range | None = None) -> Parting | None:
    """Return the emptiest place between two peaks.

    Parameters
    ----------
    seen : Density
        The axis.
    left, right : int
        Bins of the peaks.
    within : tuple of float, optional
        ``(low, high)``, axis lengths, to look in.

    Returns
    -------
    Parting or None
        None where the window leaves nothing of the valley's lower half: a window on the flank of a
        peak holds no valley. Where the bottom lies beside the window, but the window's edge in the
        lower half, the edge.
    """
    low, high = within or (-math.inf, math.inf)
    if high < seen.at(left) or low > seen.at(right):
        return None
    first, last = max(left, seen.bin(low)), min(right, seen.bin(high))
    bottom = first + int(seen.heights[first : last + 1].argmin())
    floor, lower = float(seen.heights[bottom]), float(min(seen.heights[left], seen.heights[right]))
    deepest = float(seen.heights[left : right + 1].min())
    if floor >= lower or floor - deepest > HALFWAY * (lower - deepest):
        return None
    level = min(floor + max(PLATEAU * (lower - floor), seen.lone), lower)
    middle = seen.at((_climb(seen, bottom, -1, level) + _climb(seen, bottom, 1, level)) / 2)
    cut = min(max(middle, low), high)
    return Parting(cut, lower - floor, floor / lower, seen.at(left), seen.at(right))


def _climb(seen: Density, bottom: int, way: int, level: float) -> float:
    """Return where the density first reaches a level on the way up from a bottom; a fraction of a bin."""
    heights = seen.heights[bottom::way]
    above = int((heights >= level).argmax())
    part = (level - heights[above - 1]) / (heights[above] - heights[above - 1]) if above else 0.0
    return float(bottom + way * (max(above, 1) - 1 + part))


def shoulders(
    seen: Density, tops: Sequence[int], *, prominence: float = PROMINENCE, share: float = SHARE
) -> Iterator[Parting]:
    """Yield populations that show only as a shoulder on the flank of a peak.

    Parameters
    ----------
    seen : Density
        The axis.
    tops : sequence of int
        Bins of the peaks.
    prominence : float
        By how much of the gentler of its two steep parts the slope eases between them.
    share : float
        Least share of the events that lies beyond the cut, up to the next valley.

    Notes
    -----
    Down a peak's flank the slope steepens once. Where it steepens, eases and steepens again, another
    population adds to it, and shows where the slope is least. The cut is where the logarithm of the
    density is most convex between the first steep part and there: for two Gaussians of one width, the
    place where they are equally dense. The axis is smoothed anew for each peak, with the normal
    reference's kernel for a first derivative, 0.97 min(SD, IQR / 1.34) n^(-1/7): slopes need a wider one than heights.
    """
    lows = [left + int(seen.heights[left:right].argmin()) for left, right in pairwise(tops)]
    borders = [0, *lows, len(seen.heights) - 1]
    for top, left, right in zip(tops, borders, borders[1:], strict=False):
        eased = _eased(seen, seen.counts[left : right + 1])
        place, *ends = (eased.bin(seen.at(each)) for each in (top, left, right))
        for way, end in zip((-1, 1), ends, strict=True):
            found = _shoulder(eased, place, end, way, prominence)
            if found and _beyond(eased, found.cut, end) >= share * eased.events:
                yield found


def _eased(seen: Density, around: Values) -> Density:
    """Return the axis under the kernel for the slopes of one peak, whose counts reach from valley to valley."""
    width = SLOPES * silverman(around) * float(around.sum()) ** (1 / 5 - 1 / 7)
    return _smoothed(Histogram(seen.start, seen.step, seen.counts), max(width, FINE))


def _shoulder(seen: Density, top: int, end: int, way: int, prominence: float) -> Parting | None:
    """Return what parts a peak from the clearest shoulder on one of its flanks."""
    heights = seen.heights[min(top, end) : max(top, end) + 1][::way]
    slope = -np.diff(heights)
    if len(slope) < 3:
        return None
    before = np.maximum.accumulate(slope)
    after = np.maximum.accumulate(slope[::-1])[::-1]
    gentler = np.minimum(before, after)
    ease = int((gentler - slope).argmax())
    width = seen.smooth / seen.step
    needed = SLOPE_ERRORS * seen.noise(float(heights[ease])) / (math.sqrt(2) * width)
    drop = float(gentler[ease] - slope[ease])
    if drop < max(prominence * gentler[ease], needed) or drop <= 0:
        return None
    steep = int(slope[: ease + 1].argmax())
    bend = np.diff(np.log(np.maximum(heights[steep : ease + 3], seen.lone)), 2)
    cut = seen.at(top + way * (steep + 1 + int(bend.argmax())))
    sides = sorted((seen.at(top), seen.at(top + way * (ease + 0.5))))
    return Parting(cut, drop, 1.0, *sides)


def _beyond(seen: Density, cut: float, end: int) -> float:
    """Return how many events lie between a cut and a bin."""
    first, last = sorted((seen.bin(cut), end))
    return float(seen.counts[first : last + 1].sum())


def bell(seen: Density, top: int, flanks: tuple[float, float]) -> tuple[float, float]:
    """Return centre and standard deviation of the Gaussian that follows a peak.

    Parameters
    ----------
    seen : Density
        The axis.
    top : int
        The peak's bin.
    flanks : tuple of float
        Heights, by the peak's, down to which it is followed on the lower and on the upper side.

    Raises
    ------
    GateError
        If the peak is no wider than the kernel.
    """
    height = float(seen.heights[top])
    first, last = (_flank(seen, top, way, part * height) for way, part in zip((-1, 1), flanks, strict=True))
    places = np.arange(first - top, last + 1 - top, dtype=np.float64)
    heights = seen.heights[first : last + 1]
    powers = np.array([places * places, places, np.ones_like(places)])
    weighted = powers * heights  # the error of log(h) is 1 / sqrt(h)
    sums = (weighted[:, None] * powers).sum(axis=2)
    if len(places) < 3:
        raise GateError(f"the peak at {seen.at(top):.2f} has no width")
    square, linear, _ = map(float, np.linalg.solve(sums, (weighted * np.log(heights)).sum(axis=1)))
    if square < 0:
        centre, variance = top - 0.5 * linear / square, -0.5 / square * seen.step**2 - seen.smooth**2
        if abs(centre - top) <= last - first and variance > (NARROWEST * seen.smooth) ** 2:
            return seen.at(centre), math.sqrt(variance)
    raise GateError(f"the peak at {seen.at(top):.2f} has no width")


def _flank(seen: Density, top: int, way: int, level: float) -> int:
    """Return the last bin above a level on the way down from a peak, or the saddle before a higher one."""
    heights = seen.heights[top::way]
    end = int(((heights < level) | (heights > heights[0])).argmax())
    last = end - 1 if heights[end] < level else int(heights[:end].argmin())
    return top + way * last
