"""Cuts: methods that place an edge on one axis.

All of them look at one thing, the smoothed histogram of the axis. A histogram does not know in
which order events came, so neither do the cuts. Its bins are finer than its kernel, and its kernel
grows when events are few: at 500 events and at 300,000 a cut means the same place.

A peak is a population only if it stands out of its surroundings by a share of its own height, if
counting alone would not raise it, and if enough events lie under it. Without these three a wiggle
of the histogram counts as a population.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np
from annotated_types import Gt, Lt

from tregflow.errors import GateError
from tregflow.gates.method import Found, Range
from tregflow.gates.shapes import Interval
from tregflow.sample import Values

Positive = Annotated[float, Gt(0)]
Fraction = Annotated[float, Gt(0), Lt(1)]

FINE = 5
"""Bins per standard deviation of the narrowest kernel."""
BINS = 4096
"""The most bins within the central range: keeps wild values from asking for memory."""
RIM = 0.001
"""Share of events at either end that does not decide how far the histogram reaches."""
KERNEL_REACH = 4
"""Standard deviations after which the kernel ends."""
PROMINENCE = 0.1
"""Share of its own height by which a peak stands out: a tenth of the highest would hide 2 % of cells."""
SHARE = 0.01
"""Least share of the events under a peak."""
COUNTING_ERRORS = 3
"""Counting errors by which a peak must stand out."""
PLATEAU = 0.05
"""How far a valley's bottom goes up its flanks, as a share of its depth."""
TAIL_SMOOTH = 0.005
"""Least kernel for a peak whose width is measured, axis lengths."""
FLANK = (0.25, 0.75)
"""Heights down to which a peak is fitted, by its top: on the lower side, and on the upper with the tail."""

NARROWEST = 0.1
"""Least standard deviation of a peak, kernels."""


@dataclass(frozen=True, eq=False)
class Density:
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

    start: float
    step: float
    counts: Values
    heights: Values
    smooth: float
    lone: float

    @property
    def events(self) -> int:
        """How many events the histogram holds."""
        return int(self.counts.sum())

    def at(self, place: float) -> float:
        """Return the position of a bin, axis lengths; bins are counted from 0."""
        return self.start + place * self.step

    def bin(self, position: float) -> int:
        """Return the bin nearest to a position, within the histogram."""
        return int(np.clip(np.rint((position - self.start) / self.step), 0, len(self.counts) - 1))

    def noise(self, height: float) -> float:
        """Return the counting error of a height (the kernel's square summed is ``lone / sqrt(2)``)."""
        return math.sqrt(height * self.lone / math.sqrt(2))

    def shares(self, tops: Sequence[int]) -> Values:
        """Return the share of events around each of some bins, parted at the lowest bins between them."""
        borders = [0, *(low + int(self.heights[low:high].argmin()) for low, high in pairwise(tops))]
        shares: Values = np.add.reduceat(self.counts, borders) / self.counts.sum()
        return shares


def density(values: Values, smooth: float) -> Density:
    """Return the smoothed histogram of some values.

    Events on the outermost values are left out: what piles up at the end of an axis is no peak.

    Parameters
    ----------
    values : ndarray, shape (n_events,)
        Axis lengths.
    smooth : float
        Standard deviation of the Gaussian kernel, axis lengths; Silverman's rule for this many
        events where that is wider.

    Raises
    ------
    GateError
        If nothing lies between the outermost values.
    """
    inner = values[(values > values.min()) & (values < values.max())] if len(values) else values
    if not len(inner):
        raise GateError(f"no peak among {counted(values)}")
    low, high = reach(inner)
    step = max(smooth / FINE, (high - low) / BINS)
    counts = _histogram(inner, low, high, step)
    width = max(smooth / step, FINE, silverman(counts))
    taps = math.ceil(KERNEL_REACH * width)
    kernel = np.exp(-0.5 * (np.arange(-taps, taps + 1) / width) ** 2)
    kernel /= kernel.sum()
    start = low + (0.5 - taps) * step
    heights = np.convolve(counts, kernel)  # `taps` longer at either end
    return Density(start, step, np.pad(counts, taps), heights, width * step, float(kernel.max()))


def reach(values: Values, *, rim: float = RIM, beyond: float = 1.0) -> Range:
    """Return from where to where events lie, a few stray ones apart.

    Parameters
    ----------
    values : ndarray, shape (n_events,)
        At least one.
    rim : float
        Share of the events at either end that may be stray.
    beyond : float
        How far those at the rim are still followed, by the span of the others.
    """
    edge = int(rim * len(values))
    ordered = np.partition(values, (0, edge, len(values) - 1 - edge, len(values) - 1))
    low, high = float(ordered[edge]), float(ordered[-1 - edge])
    follow = beyond * (high - low)
    return max(float(ordered[0]), low - follow), min(float(ordered[-1]), high + follow)


def _histogram(values: Values, low: float, high: float, step: float) -> Values:
    bins = int((high - low) / step) + 1
    places = (values[(values >= low) & (values <= high)] - low) / step
    return np.bincount(np.minimum(places.astype(np.intp), bins - 1), minlength=bins).astype(np.float64)


def silverman(counts: Values) -> float:
    """Return Silverman's kernel width in bins: 0.9 min(SD, IQR / 1.34) n^(-1/5)."""
    events, places = counts.sum(), np.arange(len(counts))
    centre = (counts * places).sum() / events
    deviation = math.sqrt((counts * (places - centre) ** 2).sum() / events)
    low, high = np.searchsorted(counts.cumsum(), (0.25 * events, 0.75 * events))
    return float(0.9 * min(deviation, (high - low) / 1.34) * events**-0.2)


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
    inner = seen.heights[1:-1]
    maxima = 1 + np.flatnonzero((inner > seen.heights[:-2]) & (inner >= seen.heights[2:]))
    tops = [int(top) for top in maxima if _stands_out(seen, int(top), prominence)]
    while len(tops) > 1 and (shares := seen.shares(tops)).min() < share:
        del tops[int(shares.argmin())]
    return tops


def _stands_out(seen: Density, top: int, prominence: float) -> bool:
    height = seen.heights[top]
    higher = np.flatnonzero(seen.heights > height)
    left = higher[higher < top].max(initial=0)
    right = higher[higher > top].min(initial=len(seen.heights) - 1)
    saddle = max(seen.heights[left:top].min(), seen.heights[top : right + 1].min())
    return bool(height - saddle >= max(prominence * height, COUNTING_ERRORS * seen.noise(height)))


def valley(
    points: Values,
    *,
    within: Range | None = None,
    smooth: Positive = 0.01,
    prominence: Fraction = PROMINENCE,
    share: Fraction = SHARE,
) -> Found:
    """Keep what lies above the emptiest place between two peaks.

    Parameters
    ----------
    points : ndarray, shape (n_events, 1)
        Events of the parent population, axis lengths.
    within : tuple of float, optional
        ``(low, high)``, axis lengths: the valley is looked for here and nowhere else; its peaks may
        lie outside.
    smooth : float, default 0.01
        Standard deviation of the density kernel, axis lengths; wider where events are few.
    prominence : float, default 0.1
        A peak stands above the saddles beside it by at least this share of its own height.
    share : float, default 0.01
        A peak holds at least this share of the events.

    Returns
    -------
    Found
        An `Interval`, open above, at the middle of the valley's bottom. Evidence: ``depth`` (bottom
        by lower peak, 0 is clean), ``peaks``, ``left`` and ``right`` (positions of the two peaks),
        ``events``.

    Raises
    ------
    GateError
        If there are not two peaks with the window, or some of it, between them.

    Notes
    -----
    Of several valleys the one counts whose bottom lies deepest below the lower of its peaks. The
    bottom reaches up either flank by 5 % of that, or by the height of one event: in a broad empty
    gap its middle stays where single events would drag the minimum about.
    """
    seen = density(points[:, 0], smooth)
    tops = peaks(seen, prominence=prominence, share=share)
    troughs = [found for left, right in pairwise(tops) if (found := trough(seen, left, right, within))]
    if not troughs:
        raise GateError(_no_valley(seen, tops, within, counted(points)))
    deepest = max(troughs, key=lambda found: found.drop)
    evidence = {**deepest.evidence, "peaks": len(tops), "events": len(points)}
    return Found(Interval(low=deepest.middle), evidence)


@dataclass(frozen=True, slots=True)
class Trough:
    """The bottom of a valley.

    Parameters
    ----------
    middle : float
        Of the bottom, axis lengths.
    drop : float
        How far the bottom lies below the lower peak, events per bin.
    evidence : mapping of str to float
        ``depth``, ``left`` and ``right``, as `valley` reports them.
    """

    middle: float
    drop: float
    evidence: Mapping[str, float]


def trough(seen: Density, left: int, right: int, within: Range | None = None) -> Trough | None:
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
    Trough or None
        None where the window leaves nothing below the lower peak.
    """
    low, high = within or (-math.inf, math.inf)
    if high < seen.at(left) or low > seen.at(right):
        return None
    first, last = max(left, seen.bin(low)), min(right, seen.bin(high))
    bottom = first + int(seen.heights[first : last + 1].argmin())
    floor, lower = float(seen.heights[bottom]), float(min(seen.heights[left], seen.heights[right]))
    if floor >= lower:
        return None
    level = min(floor + max(PLATEAU * (lower - floor), seen.lone), lower)
    middle = seen.at((_climb(seen, bottom, -1, level) + _climb(seen, bottom, 1, level)) / 2)
    evidence = {"depth": floor / lower, "left": seen.at(left), "right": seen.at(right)}
    return Trough(min(max(middle, low), high), lower - floor, evidence)


def _climb(seen: Density, bottom: int, way: int, level: float) -> float:
    """Return where the density first reaches a level on the way up from a bottom; a fraction of a bin."""
    heights = seen.heights[bottom::way]
    above = int((heights >= level).argmax())
    part = (level - heights[above - 1]) / (heights[above] - heights[above - 1]) if above else 0.0
    return float(bottom + way * (max(above, 1) - 1 + part))


def _no_valley(seen: Density, tops: Sequence[int], within: Range | None, events: str) -> str:
    where = f" between {within[0]:.2f} and {within[1]:.2f}" if within else ""
    if not tops:
        return f"no peak among {events}, a valley{where} needs two"
    if len(tops) == 1:
        return f"one peak, at {seen.at(tops[0]):.2f}, among {events}, a valley{where} needs two"
    return _no_fall(seen, tops, within, events) if within else f"no valley among {events}"


def _no_fall(seen: Density, tops: Sequence[int], within: Range, events: str) -> str:
    """Return why a window holds no valley: it lies beside all peaks, or on the flank of one."""
    low, high = within
    around = [
        (seen.at(left), seen.at(right))
        for left, right in pairwise(tops)
        if high >= seen.at(left) and low <= seen.at(right)
    ]
    if not around:
        places = ", ".join(f"{seen.at(top):.2f}" for top in tops)
        return f"no valley between {low:.2f} and {high:.2f} among {events}: the peaks lie at {places}"
    places = ", ".join(f"{place:.2f}" for place in sorted({place for pair in around for place in pair}))
    return (
        f"between {low:.2f} and {high:.2f} the density of {events} does not fall below the lower of the peaks "
        f"around it ({places})"
    )


def tail(points: Values, *, sd: Positive = 4, within: Range | None = None) -> Found:
    """Keep what lies above the main peak, by a number of its standard deviations.

    Parameters
    ----------
    points : ndarray, shape (n_events, 1)
        Events of the parent population, axis lengths.
    sd : float, default 4
        Standard deviations from the peak's top to the cut.
    within : tuple of float, optional
        ``(low, high)``, axis lengths: the main peak is the highest below the upper edge.

    Returns
    -------
    Found
        An `Interval`, open above. Evidence: ``mode`` and ``spread`` (top and standard deviation of
        the main peak, axis lengths), ``events``.

    Raises
    ------
    GateError
        If there is no peak, or it has no width.

    Notes
    -----
    Top and standard deviation are those of a Gaussian that follows the peak from a quarter of its
    height on the lower side over the top to three quarters on the upper, where the tail begins; the
    kernel's own width is taken out again.
    """
    seen = density(points[:, 0], TAIL_SMOOTH)
    below = within[1] if within else math.inf
    tops = [top for top in peaks(seen) if seen.at(top) < below]
    if not tops:
        raise GateError(f"no peak{f' below {below:.2f}' if within else ''} among {counted(points)}")
    mode, spread = bell(seen, max(tops, key=seen.heights.item))
    return Found(Interval(low=mode + sd * spread), {"mode": mode, "spread": spread, "events": len(points)})


def bell(seen: Density, top: int) -> tuple[float, float]:
    """Return centre and standard deviation of the Gaussian that follows a peak, mostly its lower side.

    Parameters
    ----------
    seen : Density
        The axis.
    top : int
        The peak's bin.

    Raises
    ------
    GateError
        If the peak is no wider than the kernel.
    """
    height = float(seen.heights[top])
    first, last = (_flank(seen, top, way, part * height) for way, part in zip((-1, 1), FLANK, strict=True))
    places = np.arange(first, last + 1)
    heights = seen.heights[places]
    weights = np.sqrt(heights)  # the error of log(h) is 1 / sqrt(h)
    square, linear, _ = map(float, np.polyfit(places - top, np.log(heights), 2, w=weights))
    variance = -0.5 / square * seen.step**2 - seen.smooth**2
    if variance <= (NARROWEST * seen.smooth) ** 2:
        raise GateError(f"the peak at {seen.at(top):.2f} has no width")
    return seen.at(top - 0.5 * linear / square), math.sqrt(variance)


def _flank(seen: Density, top: int, way: int, level: float) -> int:
    """Return the last bin above a level on the way down from a peak, or the saddle before a higher one."""
    heights = seen.heights[top::way]
    end = int(((heights < level) | (heights > heights[0])).argmax())
    last = end - 1 if heights[end] < level else int(heights[:end].argmin())
    return top + way * last


def quantile(points: Values, *, at: Fraction) -> Found:
    """Keep the highest events, a stated share of all.

    Parameters
    ----------
    points : ndarray, shape (n_events, 1)
        Events of the reference population, axis lengths.
    at : float
        Fraction of the events below the cut, between 0 and 1.

    Returns
    -------
    Found
        An `Interval`, open above. Evidence: ``above`` (events above the cut), ``events``.

    Raises
    ------
    GateError
        If fewer than five events are expected beyond the cut.

    Notes
    -----
    The quantile is type 7 of Hyndman and Fan, R's and numpy's default.
    """
    needed = math.ceil(round(5 / min(at, 1 - at), 6))
    if len(points) < needed:
        raise GateError(f"{counted(points)}, the {at:g} quantile needs {needed:,}")
    cut = float(np.quantile(points[:, 0], at))
    return Found(Interval(low=cut), {"above": int((points[:, 0] >= cut).sum()), "events": len(points)})


def counted(points: Values) -> str:
    """Return how many events there are, in words."""
    return "1 event" if len(points) == 1 else f"{len(points):,} events"
