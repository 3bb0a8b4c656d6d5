"""The best gates that somebody could draw who is told of every event what it is.

They are searched for tube by tube, inside the parent that the gates under test have, and so are an upper
estimate of what gates of their shape can reach there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

STEPS = (0.08, 0.04, 0.02, 0.01, 0.005, 0.0025)
"""Axis lengths by which the search moves each edge, one after the other."""

STARTS = (0.01, 0.05, 0.15)
"""Shares of the wanted events that the first outlines leave out at each edge."""

FEWEST = 20
"""Events of a kind from which its mean and covariance can be told."""


def f1(kept: int, wanted: int, both: int) -> float:
    """Return the harmonic mean of precision and recall; NaN where nothing is wanted and nothing kept.

    Parameters
    ----------
    kept, wanted, both : int
        Events in the gate, events that should be, and events that are in it and should be.
    """
    return 2 * both / (kept + wanted) if kept + wanted else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Events of one parent, and which of them are wanted.

    Parameters
    ----------
    axes : tuple of str
        Markers.
    points : ndarray, shape (n_events, n_axes)
        Axis lengths.
    wanted : ndarray of bool, shape (n_events,)
        The truth.
    kinds : ndarray of int, shape (n_events,)
        Kind of each event, finer than `wanted`.
    missed : int
        Wanted events that the parent lost: no gate inside it can have them.
    """

    axes: tuple[str, ...]
    points: Floats
    wanted: Mask
    kinds: NDArray[np.int64]
    missed: int = 0

    @property
    def all_wanted(self) -> int:
        """Wanted events of the file."""
        return int(self.wanted.sum()) + self.missed

    @property
    def can_be_gated(self) -> bool:
        """Whether there is something to find and something to leave out."""
        return bool(FEWEST <= self.wanted.sum() <= len(self.wanted) - FEWEST)

    def on(self, axes: Sequence[str]) -> Told:
        """Return the same events on some of the axes."""
        places = [self.axes.index(axis) for axis in axes]
        return Told(tuple(axes), self.points[:, places], self.wanted, self.kinds, self.missed)


def best_cut(values: Floats, told: Told, among: Mask | None = None) -> float:
    """Return the F1 of the best cut on one axis, whichever side is kept.

    Parameters
    ----------
    values : ndarray, shape (n_events,)
    told : Told
        The same events.
    among : ndarray of bool, optional
        Events that other gates keep; all of them where it is not given.

    Returns
    -------
    float
        0 to 1; every place between two events is tried.
    """
    order = np.argsort(values, kind="stable")
    inside = np.ones(len(values), bool) if among is None else among
    above = best_above(told, inside, order[::-1])
    return max(above, best_above(told, inside, order))


def best_above(told: Told, inside: Mask, order: NDArray[np.intp]) -> float:
    """Return the F1 of the best cut that keeps the first so many events of an order."""
    counted = inside[order]
    kept, both = np.cumsum(counted), np.cumsum(counted & told.wanted[order])
    return (
        float(np.max(2 * both / (kept + told.all_wanted), initial=0.0)) if told.all_wanted else float("nan")
    )


def outline(told: Told, pair: tuple[str, str] = ("CD25", "CD127")) -> float:
    """Return the F1 of the best pentagon on two axes with a cut on each further one.

    Parameters
    ----------
    told : Told
        Events on the axes of the gates under test.
    pair : tuple of str
        The axes of the pentagon; where they are not among those of the events, there is none.

    Returns
    -------
    float
        0 to 1; NaN where there is nothing to search for.

    Notes
    -----
    The pentagon is open away from the other events. It has a vertical edge, a slanted one and a flat one:
    four numbers, moved one at a time by `STEPS` as long as F1 rises, from each of `STARTS`. The cut on the
    last further axis is the best there is for each outline that is tried.
    """
    if not told.can_be_gated:
        return float("nan")
    axes = [*pair, *(axis for axis in told.axes if axis not in pair)] if set(pair) <= set(told.axes) else []
    turned = _turned(told.on(axes or told.axes))
    order = np.argsort(-turned.points[:, -1], kind="stable")
    slanted = 2 if axes else 0
    worth = partial(_worth, turned, slanted, order)
    return max(_climbed(worth, start)[1] for start in _starts(turned, slanted))


def _turned(told: Told) -> Told:
    """Return the events on axes along which the wanted ones lie above the others."""
    up = np.median(told.points[told.wanted], axis=0) >= np.median(told.points[~told.wanted], axis=0)
    return Told(told.axes, told.points * np.where(up, 1.0, -1.0), told.wanted, told.kinds, told.missed)


def _starts(told: Told, slanted: int) -> list[Floats]:
    """Return first edges: what leaves out a share of the wanted events; the slant cuts a corner off."""
    firsts = []
    axes = told.points.shape[1]
    for share in STARTS:
        low = np.quantile(told.points[told.wanted], share, axis=0)
        high = np.quantile(told.points[told.wanted], 0.75, axis=0)
        corner = [low[0], high[1], high[0], low[1]] if slanted else []
        firsts.append(np.array([*corner, *low[slanted : axes - 1]]))
    return firsts


def _worth(told: Told, slanted: int, order: NDArray[np.intp], edges: Floats) -> float:
    """Return the F1 of the edges, with the best cut on the last axis where that has none."""
    points = told.points
    inside = np.ones(len(points), bool)
    if slanted:
        inside = _in_pentagon(points[:, 0], points[:, 1], edges[:4])
    rest = edges[4:] if slanted else edges
    for axis, edge in enumerate(rest, slanted):
        inside &= points[:, axis] >= edge
    if points.shape[1] > slanted + len(rest):
        return best_above(told, inside, order)
    return f1(int(inside.sum()), told.all_wanted, int((inside & told.wanted).sum()))


def _in_pentagon(x: Floats, y: Floats, edges: Floats) -> Mask:
    """Return which points lie right of the vertical edge and above the slanted and the flat one."""
    left, top, right, bottom = edges
    inside: Mask = (x >= left) & (y >= np.interp(x, [left, max(right, left + 1e-9)], [top, bottom]))
    return inside


def _climbed(worth: Callable[[Floats], float], start: Floats) -> tuple[Floats, float]:
    """Return the edges and their worth after moving one at a time as long as that helps."""
    edges, best = start, worth(start)
    for step in STEPS:
        while True:
            moves = [_moved(edges, at, by) for at, by in itertools.product(range(len(edges)), (-step, step))]
            worths = [worth(move) for move in moves]
            if not moves or max(worths) <= best:
                break
            best = max(worths)
            edges = moves[worths.index(best)]
    return edges, best


def _moved(edges: Floats, at: int, by: float) -> Floats:
    moved = edges.copy()
    moved[at] += by
    return moved


def boundary(told: Told) -> float:
    """Return the F1 of the best quadratic borders on all axes, placed by the labels.

    Parameters
    ----------
    told : Told
        Events on the axes of the gates under test.

    Returns
    -------
    float
        0 to 1; NaN where there is nothing to search for.

    Notes
    -----
    The better of two scores, each with the cut that suits it best: the odds of Gaussian kinds that have the
    mean and covariance of their own events (what a mixture of as many kinds could at best learn), and a
    logistic regression on all products of two axes.
    """
    if not told.can_be_gated:
        return float("nan")
    return max(best_cut(score, told) for score in (_odds(told), _regressed(told)))


def _odds(told: Told) -> Floats:
    """Return the log odds of wanted kinds against the others; kinds with few events are left out."""
    sides = []
    for wanted in (True, False):
        kinds, counts = np.unique(told.kinds[told.wanted == wanted], return_counts=True)
        parts = [_weighed(told, told.wanted == wanted, kind) for kind in kinds[counts >= FEWEST]]
        sides.append(np.logaddexp.reduce(parts) if parts else np.full(len(told.points), -np.inf))
    odds: Floats = np.nan_to_num(np.subtract(*sides))
    return odds


def _weighed(told: Told, side: Mask, kind: int) -> Floats:
    """Return the log density of one kind's Gaussian, times its events."""
    own = told.points[side & (told.kinds == kind)]
    covariance = np.atleast_2d(np.cov(own.T)) + 1e-9 * np.eye(own.shape[1])
    away = told.points - own.mean(axis=0)
    squared = np.einsum("ij,jk,ik->i", away, np.linalg.inv(covariance), away)
    return np.asarray(np.log(len(own)) - 0.5 * squared - 0.5 * np.linalg.slogdet(covariance)[1])


def _regressed(told: Told) -> Floats:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    model = make_pipeline(
        StandardScaler(), PolynomialFeatures(2, include_bias=False), LogisticRegression(C=1e3, max_iter=200)
    )
    return np.asarray(model.fit(told.points, told.wanted).decision_function(told.points))
