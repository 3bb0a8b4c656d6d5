"""Gates between kinds of cells: where those that are kept and the others are equally likely.

The kinds of a model are found once per tube, on all its axes together; each gate is then read off the
fit, on one, two or all of them. So a cut on one axis knows what the others say of the cells that are
still there, and moves when they do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tregflow.errors import GateError
from tregflow.gates.kinds import Fit, Normals, features
from tregflow.gates.method import Found
from tregflow.gates.shapes import Ellipse, Interval, Polygon
from tregflow.sample import Values
from tregflow.view import Mask

FINE = 8
"""Bins per standard deviation of the narrowest kind."""
TAPS = 5
"""Standard deviations after which a kind ends."""
NOTHING = 1e-300

RAYS = 40
"""Corners of an outline: ways from its middle."""
STEPS = 96
"""Places along each way at which the odds are looked at."""
FARTHEST = 12.0
"""Spreads to which they are looked at."""
OUTERMOST = 3.5
"""Standard deviations of the nearest kept kind from which on a border does not count: one cell in 500
lies there, and the wider of two normal distributions wins everywhere far away."""
BEYOND = (-0.5, 1.5)
"""Where an open side of an outline ends, axis lengths."""


def mixture(
    fit: Fit, axes: tuple[int, ...], inside: Mask | None = None, *, keep: tuple[str, ...], odds: float = 0.5
) -> Found:
    """Keep some kinds of cells of a model, up to where the others become likelier.

    Parameters
    ----------
    fit : Fit
        The model, found in this tube.
    axes : tuple of int
        The gate's axes among the model's: one, two, or all three.
    inside : ndarray of bool, shape (n_events,), optional
        Which events of the fit the gate's parent holds; all where it is not given.
    keep : tuple of str
        Names of the kinds that are kept.
    odds : float, default 0.5
        Probability of a kept kind at the border.

    Returns
    -------
    Found
        On one axis an `Interval`, open above; on two a `Polygon`; on three an `Ellipse`. 

    Raises
    ------
    GateError
        If the kept kinds are nowhere likelier than that, or a cut has no other kind below it.
    """
    kept = fit.model.among(tuple(keep))
    level = math.log(odds / (1 - odds))
    if len(axes) == 1:
        return _cut(fit, axes[0], inside, kept, level)
    if len(axes) == 2:
        return _outline(fit, axes, kept, level)
    return _ellipse(fit, kept, odds)


# ------------------------------------------------------------------------------------ one axis


@dataclass(frozen=True, eq=False)
class Profile:
    """How dense the kept kinds and the others lie along an axis, among some events."""

    start: float
    step: float
    kept: Values
    others: Values
    seen: Values

    def at(self, place: float) -> float:
        return self.start + place * self.step


def profile(fit: Fit, axis: int, inside: Mask | None, kept: Mask) -> Profile:
    found = fit.found
    others = tuple(other for other in range(found.means.shape[1]) if other != axis)
    points = fit.points if inside is None else fit.points[inside]
    counts = fit.counts(inside)
    low, high = (float(corner[axis]) for corner in fit.model.box)
    leaning, variances = _leaning(found, axis, others)
    step = math.sqrt(variances.min()) / FINE
    bins = math.ceil((high - low) / step)
    likely = _likely(found.on(others), points[:, others], counts) if others else np.outer(found.shares, counts)
    dense = np.empty((len(kept), bins))
    for kind, variance in enumerate(variances):
        means = found.means[kind, axis] + (points[:, others] - found.means[kind, others]) @ leaning[kind]
        dense[kind] = _smoothed(_spread((means - low) / step, likely[kind], bins), math.sqrt(variance) / step)
    seen = _spread((points[:, axis] - low) / step, counts, bins)
    return Profile(low, step, dense[kept].sum(axis=0), dense[~kept].sum(axis=0), seen)


def _leaning(found: Normals, axis: int, others: tuple[int, ...]) -> tuple[Values, Values]:
    """Return each kind's regression of one axis on the others, and its variance around that."""
    chosen = list(others)
    across = found.covariances[:, axis, chosen]
    if not others:
        return across, found.covariances[:, axis, axis]
    slopes = np.linalg.solve(found.covariances[:, chosen][:, :, chosen], across[:, :, None])[:, :, 0]
    return slopes, found.covariances[:, axis, axis] - np.einsum("ki,ki->k", slopes, across)


def _likely(found: Normals, points: Values, counts: Values) -> Values:
    logs = found.logs(features(points))
    likely = np.exp(logs - logs.max(axis=0, initial=-math.inf))
    likely *= counts / likely.sum(axis=0)
    return likely


def _spread(places: Values, counts: Values, bins: int) -> Values:
    """Return how many events lie in each bin, each event shared by the two bins beside it."""
    places = np.clip(places, 0, bins - 1.001)
    lower = places.astype(np.intp)
    share = places - lower
    return np.bincount(lower, counts * (1 - share), bins) + np.bincount(lower + 1, counts * share, bins)


def _smoothed(heights: Values, width: float) -> Values:
    taps = math.ceil(TAPS * width)
    kernel = np.exp(-0.5 * (np.arange(-taps, taps + 1) / width) ** 2)
    return np.convolve(heights, kernel / kernel.sum())[taps : taps + len(heights)]


def _cut(fit: Fit, axis: int, inside: Mask | None, kept: Mask, level: float) -> Found:
    seen = profile(fit, axis, inside, kept)
    top = int(seen.kept.argmax())
    odds = np.log(seen.kept + NOTHING) - np.log(seen.others + NOTHING) - level
    if not seen.kept.any() or odds[top] < 0:
        raise GateError("others")
    below = np.flatnonzero(odds[:top] < 0)
    if not len(below):
        raise GateError("no other kind of cells lies below the kept ones")
    last = int(below[-1])
    cut = seen.at(last + odds[last] / (odds[last] - odds[last + 1]))
    split = int(round((cut-seen.start)/seen.step))
    nk, no = seen.kept.sum(), seen.others.sum()
    total=seen.kept+seen.others
    tv=.5*abs(_smoothed(seen.seen,5.)-_smoothed(total,5.)).sum()/max(total.sum(),1e-9)
    x=np.arange(len(total))*seen.step
    mk,mo=(seen.kept*x).sum()/nk,(seen.others*x).sum()/max(no,1e-9)
    vk,vo=(seen.kept*x*x).sum()/nk-mk**2,(seen.others*x*x).sum()/max(no,1e-9)-mo**2
    otop=int(seen.others.argmax())
    a,b=sorted((otop,top)); depth=total[a:b+1].min()/min(total[a],total[b])
    ev=dict(lost=seen.kept[:split].sum()/nk, let_in=seen.others[split:].sum()/nk, inside=seen.seen.sum(), kept=nk, tv=tv, separation=(mk-mo)/math.sqrt((vk+vo)/2), depth=depth)
    return Found(Interval(low=round(cut, 6)), ev)


# ------------------------------------------------------------------------------------ two axes


def _outline(fit: Fit, axes: tuple[int, ...], kept: Mask, level: float) -> Found:
    found = fit.found.on(axes)
    middle = np.average(found.means[kept], axis=0, weights=found.shares[kept])
    turns = 2 * math.pi * np.arange(RAYS) / RAYS
    ways = np.column_stack([np.cos(turns), np.sin(turns)]) * fit.model.spread[kept][:, list(axes)].mean(axis=0)
    far = np.linspace(0, FARTHEST, STEPS)
    places = middle + far[None, :, None] * ways[:, None, :]
    flat = places.reshape(-1, 2)
    odds = (found.odds(flat, kept) - level).reshape(RAYS, STEPS)
    if odds[0, 0] < 0:
        raise GateError("others likelier")
    away = _distance(found.of(kept), flat).reshape(RAYS, STEPS)
    out = (odds < 0) & (away <= OUTERMOST)
    vertices = []
    for way, place, was, is_out in zip(ways, places, odds, out, strict=True):
        if is_out.any():
            j = int(is_out.argmax())
            if was[j - 1] >= 0:
                t = j - 1 + was[j - 1] / (was[j - 1] - was[j])
            else: t = j
            vertices.append(middle + way * far[1] * t)
        else:
            vertices.append(middle + way * _to_edge(middle, way))
    shape = Polygon(tuple((round(float(x), 6), round(float(y), 6)) for x, y in vertices))
    return Found(shape, {"open":float((~out.any(1)).sum())})


def _distance(found: Normals, points: Values) -> Values:
    """Return how far points are from the nearest of some kinds, standard deviations."""
    away = points[None] - found.means[:, None]
    return np.sqrt(np.einsum("kni,kij,knj->kn", away, found.precisions, away).min(axis=0))


def _to_edge(middle: Values, way: Values) -> float:
    low, high = BEYOND
    with np.errstate(divide="ignore"):
        steps = np.where(way > 0, (high - middle) / way, np.where(way < 0, (low - middle) / way, np.inf))
    return float(steps.min())

def _ellipse(fit,kept,odds):
    raise GateError("todo")
