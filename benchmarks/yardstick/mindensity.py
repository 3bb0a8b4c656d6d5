"""The peer: openCyto's ``mindensity``, as its documentation and published figures describe it.

A cut at the lowest valley of a kernel density, with no test of how deep the valley is or how high the
peaks are. Where there is one peak only, every event is positive, and nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

GRID = 512
"""Points of the density."""

MARKERS = ("CD25", "CD127", "FOXP3")
"""What the peer gates, where a file's gates use it; each by itself, inside CD4+."""

BELOW = ("CD127",)
"""Markers that Tregs are negative of."""


@dataclass(frozen=True, slots=True, eq=False)
class Density:
    """A kernel density on a grid.

    Parameters
    ----------
    x, y : ndarray, shape (512,)
        Places in the values' own units, ascending, and the density there.
    """

    x: Floats
    y: Floats


def bandwidth(values: Floats) -> float:
    """Return R's ``bw.nrd0``: 0.9 times the smaller of SD and IQR / 1.34, times n ** -0.2.

    Parameters
    ----------
    values : ndarray, shape (n_events,)
        At least two.
    """
    sd = float(np.std(values, ddof=1))
    low, high = np.quantile(values, [0.25, 0.75])
    least = min(sd, float(high - low) / 1.34) or sd or abs(float(values[0])) or 1.0
    return float(0.9 * least * len(values) ** -0.2)


def density(values: Floats, adjust: float = 1.0) -> Density:
    """Return R's ``density()`` with its defaults, as it was before R 4.4.

    Parameters
    ----------
    values : ndarray, shape (n_events,)
        At least two.
    adjust : float, default 1.0
        Factor on the bandwidth.

    Returns
    -------
    Density

    Notes
    -----
    Values are binned linearly on 512 points that reach 7 bandwidths beyond them, convolved with the
    kernel by FFT on twice as many, and read off by interpolation 3 bandwidths beyond them. The kernel's
    step is ``2 (up - low) / 1023``, a thousandth shorter than the grid's: R corrected that in 4.4.
    """
    width = adjust * bandwidth(values)
    start, end = float(values.min()) - 3 * width, float(values.max()) + 3 * width
    low, up = start - 4 * width, end + 4 * width
    away = np.linspace(0, 2 * (up - low), 2 * GRID)
    away[GRID + 1 :] = -away[GRID - 1 : 0 : -1]
    kernel = np.exp(-0.5 * (away / width) ** 2) / (width * np.sqrt(2 * np.pi))
    spread = np.fft.ifft(np.fft.fft(_binned(values, low, up)) * np.conj(np.fft.fft(kernel)))
    smooth = np.maximum(0, spread.real[:GRID])
    x = np.linspace(start, end, GRID)
    return Density(x, np.interp(x, np.linspace(low, up, GRID), smooth))


def _binned(values: Floats, low: float, up: float) -> Floats:
    """Return the share of events at each grid point, an event shared by its two neighbours; zero-padded."""
    place = (values - low) / ((up - low) / (GRID - 1))
    left = np.floor(place).astype(np.intp)
    right = place - left
    counts = np.bincount(left, 1 - right, 2 * GRID) + np.bincount(left + 1, right, 2 * GRID)
    return np.asarray(counts / len(values))


def peaks(values: Floats, adjust: float = 2.0) -> Floats:
    """Return the peaks of the density among the values, the highest first."""
    found = density(values, adjust)
    at = _turns(found.y, -2)
    at = at[(found.x[at] >= values.min()) & (found.x[at] < values.max())]
    places: Floats = found.x[at[np.argsort(-found.y[at], kind="stable")]]
    return places


def valleys(values: Floats, adjust: float = 2.0) -> Floats:
    """Return the valleys of the density among the values, the lowest first."""
    found = density(values, adjust)
    at = _turns(found.y, 2)
    at = at[(found.x[at] >= values.min()) & (found.x[at] < values.max())]
    places: Floats = found.x[at[np.argsort(found.y[at], kind="stable")]]
    return places


def _turns(y: Floats, by: int) -> NDArray[np.intp]:
    return np.flatnonzero(np.diff(np.sign(np.diff(y))) == by) + 1


def mindensity(values: Floats, adjust: float = 2.0, *, positive: bool = True) -> float:
    """Return the cut between negative and positive events.

    Parameters
    ----------
    values : ndarray, shape (n_events,)
    adjust : float, default 2.0
        Factor on the bandwidth.
    positive : bool, default True
        Whether the positive events are wanted: with one peak all events are what is wanted, and the cut
        is the smallest value, or the largest.

    Returns
    -------
    float
        Events at or above it are positive.
    """
    all_wanted = float(values.min() if positive else values.max())
    if len(values) < 2:
        return all_wanted
    tallest, lowest = peaks(values, adjust), valleys(values, adjust)
    if len(tallest) == 1 or not len(lowest):
        return all_wanted
    between = lowest[(lowest > tallest[:2].min()) & (lowest < tallest[:2].max())]
    return float((between if len(lowest) > 1 and len(between) else lowest)[0])


def kept(columns: Iterable[tuple[str, Floats]]) -> Mask:
    """Return which events the valley of each marker makes a Treg.

    Parameters
    ----------
    columns : iterable of (str, ndarray of shape (n_events,))
        Marker and its values on the axis, of the CD4+ events; at least one. Others than `MARKERS` are not gated.

    Returns
    -------
    ndarray of bool, shape (n_events,)
    """
    sides = [_side(marker, values) for marker, values in columns if marker in MARKERS]
    return np.asarray(np.logical_and.reduce(sides), bool)


def _side(marker: str, values: Floats) -> Mask:
    if marker in BELOW:
        return values < mindensity(values, positive=False)
    return values >= mindensity(values)
