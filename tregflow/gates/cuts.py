"""Cuts: methods that place an edge on one axis.

`valley` and `tail` look at one thing, the smoothed histogram of the axis (`tregflow.gates.density`);
`quantile` counts. None of them uses `near`: to place a cut costs about as much as to check one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Annotated

from annotated_types import Gt, Lt

from tregflow.errors import GateError
from tregflow.gates.density import (
    PROMINENCE,
    SHARE,
    Density,
    Parting,
    bell,
    density,
    peaks,
    settled,
    shoulders,
    trough,
    weighed,
)
from tregflow.gates.method import Doubt, Found, Range, counted
from tregflow.gates.quantiles import quantiles
from tregflow.gates.shapes import Interval, Shape
from tregflow.sample import Values

Positive = Annotated[float, Gt(0)]
Fraction = Annotated[float, Gt(0), Lt(1)]

SHALLOW = 0.5
"""Depth from which on a valley is doubted: of two like Gaussians this far into each other a cut gives 5 % of
either to the other."""
FLANKS = (0.5, 0.4)
"""Heights down to which the main peak is followed, by its top: more of the upper side, where the cut will be."""
TAIL_SMOOTH = 0.005
"""Least kernel for a peak whose width is measured, axis lengths."""


def valley(
    points: Values,
    weights: Values | None = None,
    near: Shape | None = None,  # noqa: ARG001 - as all methods
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
    weights : ndarray, shape (n_events,), optional
        How often each event counts.
    near : Shape, optional
        Not used.
    within : tuple of float, optional
        ``(low, high)``, axis lengths: the valley is looked for here and nowhere else; its peaks may
        lie outside.
    smooth : float, default 0.01
        Least standard deviation of the density kernel, axis lengths; wider where events are few.
    prominence : float, default 0.1
        A peak stands above the saddles beside it by at least this share of its own height.
    share : float, default 0.01
        A peak holds at least this share of the events.

    Returns
    -------
    Found
        An `Interval`, open above, at the middle of the valley's bottom. Evidence: ``depth`` (density
        at the cut by the lower peak, 0 is clean), ``peaks``, ``left`` and ``right`` (positions of the two
        populations), ``kernel`` (its standard deviation, axis lengths), ``events``. Doubts: a valley
        less than half as deep as its lower peak is high; a population that is a mere shoulder.

    Raises
    ------
    GateError
        If there are not two populations with the window, or some of it, between them.

    Notes
    -----
    The kernel is chosen from the events: wide enough for the peaks to have settled, no wider than
    Silverman's rule. Of several valleys the one counts whose bottom lies deepest below the lower of its
    peaks. The bottom reaches up either flank by 5 % of that, or by the height of one event: in a broad
    empty gap its middle stays where single events would drag the minimum about.

    A population without a peak of its own, a shoulder on the flank of another, is parted from it where
    the logarithm of the density is most convex; but only where the window holds the bottom of no valley.
    """
    points, weights, events = weighed(points[:, 0], weights)
    seen, tops = settled(points, smooth, weights, prominence=prominence, share=share)
    valleys = [found for left, right in pairwise(tops) if (found := trough(seen, left, right, within))]
    beside = _within(shoulders(seen, tops, prominence=prominence, share=share), within)
    best = list(_within(valleys, within)) or list(beside) or valleys  # shoulders where they are needed
    if not best:
        raise GateError(_no_valley(seen, tops, within, counted(events)))
    chosen = max(best, key=lambda found: found.drop)
    evidence = {"depth": chosen.depth, "left": chosen.left, "right": chosen.right, "peaks": len(tops),
                "kernel": seen.smooth, "events": events}  # fmt: skip
    return Found(Interval(low=chosen.cut), evidence, _shallow(chosen))


def _within(found: Iterator[Parting] | Sequence[Parting], within: Range | None) -> Iterator[Parting]:
    """Yield what lies inside the window, its edges apart."""
    low, high = within or (-math.inf, math.inf)
    return (one for one in found if low < one.cut < high)


def _shallow(chosen: Parting) -> tuple[Doubt, ...]:
    if chosen.is_shoulder:
        where = f"at {chosen.left:.2f} and {chosen.right:.2f}"
        return (Doubt("weak", f"no valley parts the populations {where}: one is a shoulder of the other"),)
    if chosen.depth <= SHALLOW:
        return ()
    deep = f"the valley at {chosen.cut:.2f} is only {100 * (1 - chosen.depth):.0f} % deep"
    return (Doubt("weak", f"{deep} (depth {chosen.depth:.2f})"),)


def _no_valley(seen: Density, tops: Sequence[int], within: Range | None, events: str) -> str:
    where = f" between {within[0]:.2f} and {within[1]:.2f}" if within else ""
    if not tops:
        return f"no peak among {events}, a valley{where} needs two"
    if len(tops) == 1:
        return f"one peak, at {seen.at(tops[0]):.2f}, among {events}, a valley{where} needs two"
    return f"no valley{where} among {events}: {_where(seen, tops, within)}"


def _where(seen: Density, tops: Sequence[int], within: Range | None) -> str:
    """Return why a window holds no valley: it lies beside all peaks, or on the flank of one."""
    places = ", ".join(f"{seen.at(top):.2f}" for top in tops)
    low, high = within or (-math.inf, math.inf)
    if high < seen.at(tops[0]) or low > seen.at(tops[-1]):
        return f"the peaks lie at {places}"
    bottoms = ", ".join(
        f"{found.cut:.2f}" for left, right in pairwise(tops) if (found := trough(seen, left, right))
    )
    return f"a flank of the peaks at {places}, which are parted at {bottoms}"


def tail(
    points: Values,
    weights: Values | None = None,
    near: Shape | None = None,  # noqa: ARG001 - as all methods
    *,
    sd: Positive = 4,
    within: Range | None = None,
) -> Found:
    """Keep what lies above the main peak, by a number of its standard deviations.

    Parameters
    ----------
    points : ndarray, shape (n_events, 1)
        Events of the parent population, axis lengths.
    weights : ndarray, shape (n_events,), optional
        How often each event counts.
    near : Shape, optional
        Not used.
    sd : float, default 4
        Standard deviations from the peak's top to the cut.
    within : tuple of float, optional
        ``(low, high)``, axis lengths: the main peak is the highest below the upper edge.

    Returns
    -------
    Found
        An `Interval`, open above. Evidence: ``mode`` and ``spread`` (top and standard deviation of
        the main peak, axis lengths), ``peaks``, ``events``; where another peak lies above the main one,
        ``separation`` (distance of the two, pooled standard deviations) and ``depth`` (density at the
        cut by the lower of the two). Doubts: the cut lies in that peak.

    Raises
    ------
    GateError
        If there is no peak, or it has no width.

    Notes
    -----
    Top and standard deviation are those of a Gaussian that follows the peak from half its height on
    the lower side over the top to two fifths on the upper; the kernel's own width is taken out again.
    So the cut follows a skewed peak on the side where it will be: above a gamma of shape 4 it leaves
    0.5 % at 4 SD; followed mostly on the lower side, 2 %. A tail beyond does not count.
    """
    points, weights, events = weighed(points[:, 0], weights)
    seen = density(points, TAIL_SMOOTH, weights)
    below = within[1] if within else math.inf
    every = peaks(seen)
    tops = [top for top in every if seen.at(top) < below]
    if not tops:
        raise GateError(f"no peak{f' below {below:.2f}' if within else ''} among {counted(events)}")
    main = max(tops, key=seen.heights.item)
    mode, spread = bell(seen, main, FLANKS)
    cut = mode + sd * spread
    evidence = {"mode": mode, "spread": spread, "peaks": len(every), "events": events}
    others = [top for top in every if top > main]
    if not others:
        return Found(Interval(low=cut), evidence)
    said, doubts = _beside(seen, (main, others[0]), cut, evidence)
    return Found(Interval(low=cut), {**evidence, **said}, doubts)


def quantile(
    points: Values,
    weights: Values | None = None,
    near: Shape | None = None,  # noqa: ARG001 - as all methods
    *,
    at: Fraction,
) -> Found:
    """Keep the highest events, a stated share of all.

    Parameters
    ----------
    points : ndarray, shape (n_events, 1)
        Events of the reference population, axis lengths.
    weights : ndarray, shape (n_events,), optional
        How often each event counts.
    near : Shape, optional
        Not used.
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
    The quantile is type 7 of Hyndman and Fan, R's and numpy's default, of the events repeated as often
    as they count.
    """
    points, weights, events = weighed(points[:, 0], weights)
    needed = math.ceil(round(5 / min(at, 1 - at), 6))
    if events < needed:
        raise GateError(f"{counted(events)}, the {at:g} quantile needs {needed:,}")
    cut = float(quantiles(points, (at,), weights)[0])
    above = points >= cut
    beyond = int(above.sum()) if weights is None else float(weights[above].sum())
    return Found(Interval(low=cut), {"above": beyond, "events": events})


def _beside(
    seen: Density, tops: tuple[int, int], cut: float, main: Mapping[str, float]
) -> tuple[dict[str, float], tuple[Doubt, ...]]:
    """Return what another peak, above the main one, says of a cut."""
    centre, width = bell(seen, tops[1], FLANKS[::-1])
    depth = float(seen.heights[seen.bin(cut)] / min(seen.heights[top] for top in tops))
    apart = (centre - main["mode"]) / math.sqrt((main["spread"] ** 2 + width**2) / 2)
    inside = f"the cut at {cut:.2f} lies in the peak at {centre:.2f} (depth {depth:.2f})"
    beyond = f"the cut at {cut:.2f} lies beyond another peak, at {centre:.2f}"
    doubts = [beyond] if cut >= centre else [inside] if depth > SHALLOW else []
    return {"separation": apart, "depth": depth}, tuple(Doubt("weak", said) for said in doubts)
