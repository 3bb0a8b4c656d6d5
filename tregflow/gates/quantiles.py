"""Quantiles of events that count more or less often than once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tregflow.sample import Rows, Values

SLICES = 4096
"""Slices of the range; only the few that hold a wanted place are put in order."""


def quantiles(values: Values, at: Sequence[float], weights: Values | None = None) -> Values:
    """Return quantiles of values that are repeated as often as they count.

    Parameters
    ----------
    values : ndarray, shape (n_values,)
        At least one, finite, in any order.
    at : sequence of float
        Fractions, 0 to 1.
    weights : ndarray, shape (n_values,), optional
        How often each value counts, 0 or more, more than 0 in all; once each, if left out.

    Returns
    -------
    ndarray, shape (n_at,)

    Notes
    -----
    Type 7 of Hyndman and Fan, R's and numpy's default: of n values in order, the quantile at q lies at place
    (n - 1) q, counted from 0, in a straight line between the two values beside it. n is the sum of the weights,
    and a value holds as many places as it counts.
    """
    events = float(len(values) if weights is None else weights.sum())
    places = np.clip((events - 1) * np.asarray(at, dtype=np.float64), 0, None)
    below = np.floor(places)
    ranks = np.concatenate([below, np.minimum(below + 1, max(events - 1, 0))])
    found = _in_order(values, ranks) if weights is None else _in_weighted_order(values, weights, ranks)
    lower, upper = found[: len(places)], found[len(places) :]
    middle: Values = lower + (upper - lower) * (places - below)
    return middle


def _in_order(values: Values, ranks: Values) -> Values:
    places = ranks.astype(np.intp)
    found: Values = np.partition(values, np.unique(places))[places]
    return found


def _in_weighted_order(values: Values, weights: Values, ranks: Values) -> Values:
    """Return the values that hold some places, each slice with one of them put in order once."""
    slices = _sliced(values)
    ends = np.bincount(slices, weights, minlength=SLICES + 1).cumsum()
    homes = np.minimum(np.searchsorted(ends, ranks, side="right"), slices.max())
    found = np.empty(len(ranks))
    for home in np.unique(homes):
        rows = np.flatnonzero(slices == home)
        rows = rows[values[rows].argsort()]
        reached = (ends[home - 1] if home else 0.0) + weights[rows].cumsum()
        wanted = homes == home
        picked = np.searchsorted(reached, ranks[wanted], side="right")
        found[wanted] = values[rows[np.minimum(picked, len(rows) - 1)]]
    return found


def _sliced(values: Values) -> Rows:
    """Return the slice of each value, 0 to `SLICES`; a higher value is in no lower slice."""
    low, high = values.min(), values.max()
    if low == high:
        return np.zeros(len(values), np.intp)
    slices: Rows = ((values - low) / (high - low) * SLICES).astype(np.intp)
    return slices
