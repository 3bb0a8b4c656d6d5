"""Gates between kinds of cells: up to where the others become as likely as those that are kept.

The kinds of a model are found once per tube, on all its axes together; each gate is then read off the
fit, on one, two or three of them. A cut takes from the other axes how likely each kind is among the
events that are still there, and how far up its axis they draw it: it moves when the parent does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tregflow.errors import GateError
from tregflow.gates.kinds import Fit, Normals, features
from tregflow.gates.method import Doubt, Found
from tregflow.gates.shapes import Ellipse, Interval, Polygon
from tregflow.sample import Values
from tregflow.view import Mask

FINE = 8
"""Bins of a profile per standard deviation of the narrowest kind."""
ENDS = 5
"""Standard deviations from its middle at which a kind ends in a profile."""
NOTHING = 1e-300
"""Events that a bin is taken to hold where there are none."""
BLUR = 5
"""Bins over which the events' profile is smoothed before it is laid beside the kinds'."""

RAYS = 40
"""Ways from the middle of an outline to its border."""
FINE_RAY = 0.2
"""How far apart the places are at which the odds are looked at, written spreads of the kept kinds."""
FARTHEST = 10.0
"""How far out they are looked at."""
OUTERMOST = 3.5
"""Standard deviations of the nearest kept kind from which on a border does not count. One of 500 cells
lies there, and far out the widest normal distribution always wins."""
BEYOND = (-0.5, 1.5)
"""Where an open side of an outline ends, axis lengths."""

MISTAKEN = 0.08
"""Share of the kept cells, lost and let in at a cut, that may be expected. On simulated tubes with drifts
of 0.2 decades, heavy tails or 300 cells it was 0.07 at most."""
UNSURE = 0.12
"""The same of cells that the kinds cannot tell apart on all axes together; on such tubes 0.08 at most."""
ELSEWHERE = 0.3
"""Share of the parent's events that may lie elsewhere along a cut's axis than the kinds do; on such
tubes 0.23 at most."""


def mixture(
    fit: Fit,
    axes: tuple[int, ...],
    inside: Mask | None = None,
    is_told: bool = True,
    *,
    keep: tuple[str, ...],
    probability: float = 0.5,
) -> Found:
    """Keep some kinds of cells of a model, up to where the others become likelier.

    Parameters
    ----------
    fit : Fit
        The model, found in this tube.
    axes : tuple of int
        The gate's axes among the model's: one, two or three.
    inside : ndarray of bool, shape (n_events,), optional
        Which events of the fit the gate's parent holds; all where it is not given. A cut needs it; an
        outline and an ellipse part all events of the fit.
    is_told : bool
        Whether to work out how sure the gate is; without, there is no evidence, and no doubt but the fit's.
    keep : tuple of str
        Names of the kinds that are kept.
    probability : float, default 0.5
        That a cell on the border is of a kept kind.

    Returns
    -------
    Found
        On one axis an `Interval`, open above; on two a `Polygon` with up to 44 corners; on three an
        `Ellipse`. Evidence: ``separation`` (of the kept kinds from the others: for a cut, means of both
        in the parent by their pooled standard deviation; else the nearest two kinds' Mahalanobis
        distance, on the gate's axes), ``unsure`` (cells that the fit puts on the wrong side on all its
        axes together, by kept ones), ``events``; for a cut also ``lost`` and ``let_in`` (cells that
        are expected on the wrong side of it, by kept ones) and ``misfit`` (share of the parent's events
        that lie elsewhere along the axis than the kinds do).

    Raises
    ------
    GateError
        If the others are likelier in the middle of the kept kinds, or none of them lies below a cut.

    Notes
    -----
    A cut lies where the densities of the kept kinds and of the others, along its axis and among the
    events inside, have the odds of `probability`: each event adds to each kind the normal distribution that the kind
    has there, given the event's other axes, as much as these make the kind likely. An outline is the
    border as seen from the middle of the kept kinds, on 40 rays; where the nearest kept kind ends
    before others begin it is open, and goes on along an axis unless others lie there. An ellipse has
    the mean and covariance of all kept kinds; its distance is the one at which the probability of a
    kept kind, summed over the events within, exceeds `probability` by most.
    """
    kept = fit.model.among(tuple(keep))
    level = math.log(probability / (1 - probability))
    shape: Interval | Polygon | Ellipse
    if len(axes) == 1:
        shape, told = _cut(fit, axes[0], inside, kept, level)
    elif len(axes) == 2:
        shape, told = _outlined(fit, axes, kept, level)
    else:
        shape, told = _ellipse(fit, axes, kept, probability)
    if not is_told:
        return Found(shape, doubts=fit.doubts)
    evidence = {**told(), "unsure": _unsure(fit, kept)}
    return Found(shape, {**evidence, "events": len(fit.points)}, (*fit.doubts, *_doubts(**evidence)))


Corner = tuple[float, float]

Told = Callable[[], dict[str, float]]
"""What is to be said of a shape, worked out when it is asked for."""


def _unsure(fit: Fit, kept: Mask) -> float:
    cells = fit.cells
    likely = _likely(fit.found.moved(-cells.middle), cells.features, cells.counts)
    ours, others = likely[kept].sum(axis=0), likely[~kept].sum(axis=0)
    return float(np.minimum(ours, others).sum() / max(ours.sum(), 1.0))


def _doubts(
    unsure: float, lost: float = 0.0, let_in: float = 0.0, misfit: float = 0.0, **_: float
) -> Iterator[Doubt]:
    if lost + let_in > MISTAKEN:
        said = f"the cut misses {100 * lost:.0f} % of the kept cells, and others make up {100 * let_in:.0f} % of their number"
        yield Doubt("weak", said)
    if unsure > UNSURE:
        yield Doubt("weak", f"{100 * unsure:.0f} % of the kept cells overlap with other kinds of cells")
    if misfit > ELSEWHERE:
        said = f"{100 * misfit:.0f} % of the events lie along its axis where the model has no cells"
        yield Doubt("weak", said)


def _likely(found: Normals, seen: Values, counts: Values) -> Values:
    """Return how many events of each kind are expected among some; (n_features, n) in, (n_kinds, n) out."""
    logs = found.logs(seen)
    likely: Values = np.exp(logs - logs.max(axis=0))
    likely *= counts / likely.sum(axis=0)
    return likely


# ------------------------------------------------------------------------------------ one axis


@dataclass(frozen=True, eq=False)
class Profile:
    """How many events lie along an axis: of the kept kinds, of the others, and as they are seen.

    Parameters
    ----------
    start, step : float
        Position of the first bin and distance of the next, axis lengths.
    kept, others, seen : ndarray, shape (n_bins,)
        Events.
    """

    start: float
    step: float
    kept: Values
    others: Values
    seen: Values

    def at(self, place: float) -> float:
        """Return the position of a bin, axis lengths; bins are counted from 0."""
        return self.start + place * self.step


def profile(fit: Fit, axis: int, inside: Mask | None, kept: Mask) -> Profile:
    """Return how the kinds lie along an axis among some events.

    Parameters
    ----------
    fit : Fit
    axis : int
    inside : ndarray of bool, shape (n_events,), or None
        The events; None for all.
    kept : ndarray of bool, shape (n_kinds,)
        The kinds that are kept.
    """
    points, counts = fit.points if inside is None else fit.points[inside], fit.counts(inside)
    others = [other for other in range(points.shape[1]) if other != axis]
    slopes, variances = _leaning(fit.found, axis, others)
    low, high = (float(corner[axis]) for corner in fit.model.box)
    if not counts.sum():
        raise GateError("0 events of the model's population lie in the parent")
    step = math.sqrt(variances.min()) / FINE
    bins = math.ceil((high - low) / step)
    likely = _likely(fit.found.on(tuple(others)), features(points[:, others]), counts)
    dense = np.empty((len(kept), bins))
    for kind, (mean, slope) in enumerate(zip(fit.found.means, slopes, strict=True)):
        middles = mean[axis] + np.einsum("ni,i->n", points[:, others] - mean[others], slope)
        heights = _shared((middles - low) / step, likely[kind], bins)
        dense[kind] = _smoothed(heights, math.sqrt(variances[kind]) / step)
    seen = _shared((points[:, axis] - low) / step, counts, bins)
    return Profile(low, step, dense[kept].sum(axis=0), dense[~kept].sum(axis=0), seen)


def _leaning(found: Normals, axis: int, others: list[int]) -> tuple[Values, Values]:
    """Return each kind's regression of one axis on the others, and its variance around that."""
    across = found.covariances[:, axis, others]
    slopes = np.einsum("kij,kj->ki", np.linalg.inv(found.covariances[:, others][:, :, others]), across)
    return slopes, found.covariances[:, axis, axis] - np.einsum("ki,ki->k", slopes, across)


def _shared(places: Values, counts: Values, bins: int) -> Values:
    """Return how many events each bin holds, each event shared by the two bins beside it."""
    places = np.clip(places, 0, bins - 1.001)
    lower = places.astype(np.intp)
    upper = counts * (places - lower)
    held = np.zeros(bins)
    held += np.bincount(lower, counts - upper, bins)
    held += np.bincount(lower + 1, upper, bins)
    return held


def _smoothed(heights: Values, width: float) -> Values:
    taps = math.ceil(ENDS * width)
    kernel = np.exp(-0.5 * (np.arange(-taps, taps + 1) / width) ** 2)
    smoothed: Values = np.convolve(heights, kernel / kernel.sum())[taps : taps + len(heights)]
    return smoothed


def _cut(fit: Fit, axis: int, inside: Mask | None, kept: Mask, level: float) -> tuple[Interval, Told]:
    seen = profile(fit, axis, inside, kept)
    place = _border(seen, level)
    return Interval(low=seen.at(place)), lambda: _mistaken(seen, place)


def _mistaken(seen: Profile, place: float) -> dict[str, float]:
    """Return what is to be said of a cut."""
    ours = max(float(seen.kept.sum()), 1.0)
    return {
        "separation": _separation(seen),
        "lost": _below(seen.kept, place) / ours,
        "let_in": (float(seen.others.sum()) - _below(seen.others, place)) / ours,
        "misfit": _elsewhere(seen),
    }


def _below(heights: Values, place: float) -> float:
    """Return how many events lie below a place; a bin reaches half way to the next."""
    bins = math.floor(place + 0.5)
    return float(heights[:bins].sum() + (place + 0.5 - bins) * heights[bins])


def _border(seen: Profile, level: float) -> float:
    """Return the place below which others are likelier, looked for from the top of the kept kinds down."""
    odds = np.log(seen.kept + NOTHING) - np.log(seen.others + NOTHING) - level
    top = int(seen.kept.argmax())
    if odds[top] <= 0:
        raise GateError(f"at {seen.at(top):.2f}, where most of the kept cells lie, others are likelier")
    below = np.flatnonzero(odds[:top] < 0)
    if not len(below):
        raise GateError(f"no other kind of cells lies below the kept ones, which lie at {seen.at(top):.2f}")
    last = int(below[-1])
    return last + float(odds[last] / (odds[last] - odds[last + 1]))


def _separation(seen: Profile) -> float:
    places = np.arange(len(seen.kept))
    means, variances = [], []
    for heights in (seen.kept, seen.others):
        shares = heights / heights.sum()
        means.append(float((shares * places).sum()))
        variances.append(float((shares * (places - means[-1]) ** 2).sum()))
    return (means[0] - means[1]) / math.sqrt(sum(variances) / 2)


def _elsewhere(seen: Profile) -> float:
    """Return the share of the events that lie elsewhere than the kinds do, beyond what chance does."""
    placed = _smoothed(seen.kept + seen.others, BLUR)
    off = np.abs(_smoothed(seen.seen, BLUR) - placed).sum()
    chance = np.sqrt(placed / (math.pi * math.sqrt(math.pi) * BLUR)).sum()
    return max(0.0, 0.5 * float(off - chance) / max(float(placed.sum()), 1.0))


# ------------------------------------------------------------------------------------ two axes


def _outlined(fit: Fit, axes: tuple[int, ...], kept: Mask, level: float) -> tuple[Polygon, Told]:
    found = fit.found.on(axes)
    middle = np.average(found.means[kept], axis=0, weights=found.shares[kept])
    if found.odds(middle[None], kept)[0] <= level:
        at = " and ".join(f"{place:.2f}" for place in middle)
        raise GateError(f"at {at}, in the middle of the kept cells, others are likelier")
    unit = fit.model.spread[kept][:, list(axes)].mean(axis=0)
    vertices = _around(_Sight(found, kept, level), middle, unit)
    return Polygon(_closed(vertices, found, kept)), lambda: {"separation": _nearest(found, kept)}


def _closed(vertices: Sequence[Corner], found: Normals, kept: Mask) -> tuple[Corner, ...]:
    """Return an outline that ends where the kept kinds do on every side beyond which others lie.

    There, rays that meet nobody would go on to where nobody has been: CD127lo must not hold what is CD127hi.
    """
    spreads = np.sqrt(np.diagonal(found.covariances[kept], axis1=1, axis2=2))
    ours, others = found.means[kept], found.means[~kept]
    low = np.where(others.min(axis=0) < ours.min(axis=0), (ours - OUTERMOST * spreads).min(axis=0), -np.inf)
    high = np.where(others.max(axis=0) > ours.max(axis=0), (ours + OUTERMOST * spreads).max(axis=0), np.inf)
    return tuple((float(x), float(y)) for x, y in np.clip(vertices, low, high))


def _nearest(found: Normals, kept: Mask) -> float:
    """Return the Mahalanobis distance of the nearest two kinds of which one is kept, variances pooled."""
    ours, others = np.flatnonzero(kept), np.flatnonzero(~kept)
    away = found.means[ours][:, None] - found.means[others][None]
    pooled = (found.covariances[ours][:, None] + found.covariances[others][None]) / 2
    squared = np.einsum("abi,abij,abj->ab", away, np.linalg.inv(pooled), away)
    return math.sqrt(squared.min())


@dataclass(frozen=True, eq=False)
class _Sight:
    """What can be seen from a place: whether others are likelier there, and how far kinds are."""

    found: Normals
    kept: Mask
    level: float

    def odds(self, places: Values) -> Values:
        """Return the logarithm of the odds of the kept kinds by those of the border; (..., 2) in."""
        odds: Values = self.found.odds(places.reshape(-1, 2), self.kept) - self.level
        return odds.reshape(places.shape[:-1])

    def away(self, places: Values, kinds: Mask) -> Values:
        """Return the distance of the nearest of some kinds, its standard deviations; (..., 2) in."""
        near = self.found.of(kinds)
        x, y = (places[..., axis].ravel() - near.means[:, axis, None] for axis in (0, 1))
        xx, xy, yy = (near.precisions[:, row, column, None] for row, column in ((0, 0), (0, 1), (1, 1)))
        squared = ((xx * x + 2 * xy * y) * x + yy * y * y).min(axis=0)
        distances: Values = np.sqrt(squared).reshape(places.shape[:-1])
        return distances


def _around(sight: _Sight, middle: Values, unit: Values) -> tuple[tuple[float, float], ...]:
    """Return the corners of what is seen from the middle."""
    turns = 2 * math.pi * np.arange(RAYS) / RAYS
    ways = np.column_stack([np.cos(turns), np.sin(turns)])
    steps = np.arange(0, FARTHEST, FINE_RAY)
    places = middle + steps[:, None] * (ways * unit)[:, None]
    is_near = sight.away(places, sight.kept) <= OUTERMOST
    # what lies beyond the kept kinds on every ray is not asked for
    farthest = 1 + int(np.flatnonzero(is_near.any(axis=0))[-1])
    odds = sight.odds(places[:, :farthest])
    ends = np.where(is_near.all(axis=1), len(steps), np.maximum(is_near.argmin(axis=1), 1)) - 1
    corners = places[np.arange(RAYS), ends]
    is_closed = ((odds < 0) & is_near[:, :farthest]).any(axis=1)
    for ray in np.flatnonzero(is_closed):
        after = int((odds[ray] < 0).argmax())
        before, beyond = odds[ray, after - 1 : after + 1]
        corners[ray] = middle + (after - beyond / (beyond - before)) * FINE_RAY * ways[ray] * unit
    opened = np.flatnonzero(~is_closed)
    corners[opened] = _opened(sight, corners[opened], ways[opened])
    return _turned(corners)


def _opened(sight: _Sight, corners: Values, ways: Values) -> Values:
    """Return the corners of open rays: moved out along an axis, where no others lie on that way."""
    axes, rays = np.abs(ways).argmax(axis=1), np.arange(len(ways))
    ends = corners.copy()
    ends[rays, axes] = np.where(ways[rays, axes] > 0, BEYOND[1], BEYOND[0])
    paths = corners[:, None] + np.linspace(0, 1, RAYS)[:, None] * (ends - corners)[:, None]
    is_near = sight.away(paths, ~sight.kept) <= OUTERMOST
    blocked: Mask = np.logical_or.reduce(is_near, axis=1)
    blocked[blocked] = (is_near[blocked] & (sight.odds(paths[blocked]) < 0)).any(axis=1)
    return np.where(blocked[:, None], corners, ends)


def _turned(corners: Values) -> tuple[tuple[float, float], ...]:
    """Return the corners with one more wherever the outline turns from one end of the axes to another."""
    turned = []
    for here, there in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        turned.append((float(here[0]), float(here[1])))
        for first, second in ((here, there), (there, here)):
            if first[0] in BEYOND and second[1] in BEYOND:
                turned.append((float(first[0]), float(second[1])))
                break
    return tuple(turned)


# ---------------------------------------------------------------------------------- three axes


def _ellipse(fit: Fit, axes: tuple[int, ...], kept: Mask, odds: float) -> tuple[Ellipse, Told]:
    found = fit.found.on(axes)
    centre, covariance = _merged(found.of(kept))
    likely = _likely(found, features(fit.points[:, list(axes)]), fit.counts())
    away = fit.points[:, list(axes)] - centre
    squared = np.einsum("ni,ij,nj->n", away, np.linalg.inv(covariance), away)
    order = np.lexsort((likely[kept].sum(axis=0), squared))
    gained = np.cumsum((likely[kept].sum(axis=0) - odds * likely.sum(axis=0))[order])
    best = int(gained.argmax())
    if gained[best] <= 0:
        raise GateError("around the middle of the kept cells, others are likelier")
    distance = float(squared[order[best : best + 2]].mean())
    shape = Ellipse(tuple(map(float, centre)), tuple(tuple(map(float, row)) for row in covariance), distance)
    return shape, lambda: {"separation": _nearest(found, kept)}


def _merged(found: Normals) -> tuple[Values, Values]:
    """Return mean and covariance of some kinds taken together."""
    shares = found.shares / found.shares.sum()
    mean = np.einsum("k,ki->i", shares, found.means)
    away = found.means - mean
    within = np.einsum("k,kij->ij", shares, found.covariances)
    return mean, within + np.einsum("k,ki,kj->ij", shares, away, away)
