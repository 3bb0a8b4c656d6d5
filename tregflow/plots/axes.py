"""Axes of a panel: limits that hold the events, ticks in the file's linear values, and bins."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tregflow.sample import Values
from tregflow.transforms import Identity, Transform
from tregflow.view import Bound

Counts = NDArray[np.intp]
Limits = tuple[float, float]
Labels = tuple[tuple[float, str], ...]
Number = TypeVar("Number", float, Values)

SCALED: Limits = (-0.05, 1.05)
"""Limits of a scaled axis, which runs from about 0 to 1."""

WIDEST: Limits = (-0.5, 1.5)
"""A scaled axis is widened for its events, but no further than this."""

FEW = 0.005
"""Share of the events that may lie beyond an axis without a word, or a widening."""

APART = 0.09
"""Two labels are no nearer than this, in axis lengths."""

LABELS = 6
"""Most labels on an axis that is not log-like."""

SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a panel.

    Parameters
    ----------
    marker, detector : str
        What is measured, and the channel it was bound to.
    low, high : float
        Limits, axis units.
    labels : tuple of (float, str)
        Labelled ticks: place in axis units and linear value in words.
    minor : tuple of float
        Places of the ticks between, axis units.
    """

    marker: str
    detector: str
    low: float
    high: float
    labels: Labels = ()
    minor: tuple[float, ...] = ()

    def fraction(self, place: Number) -> Number:
        """Return where places lie on the axis: 0 at its low end, 1 at its high end."""
        return (place - self.low) / (self.high - self.low)

    def bins(self, values: Values, n: int) -> Counts:
        """Return the bin of every value; what lies beyond the axis is in the bin at its end.

        Parameters
        ----------
        values : ndarray, shape (n_events,)
            Axis units; NaN, a value that the scale has no place for, counts as low.
        n : int
            Bins from low to high.

        Returns
        -------
        ndarray of int, shape (n_events,)
            0 to n - 1.
        """
        inside = np.fmin(np.fmax(values, self.low), self.high)
        return np.minimum((self.fraction(inside) * n).astype(np.intp), n - 1)

    def beyond(self, values: Values) -> int:
        """Return how many values have no place between the limits."""
        return len(values) - int(np.count_nonzero((values >= self.low) & (values <= self.high)))


def fitted_axis(bound: Bound, marker: str, values: Values, edges: Iterable[float] = ()) -> Axis:
    """Return the axis that shows some events of a marker.

    Parameters
    ----------
    bound : Bound
        The file, which has the marker.
    marker : str
        As the template calls it.
    values : ndarray, shape (n_events,)
        The events, axis units.
    edges : iterable of float, optional
        Cuts that should be seen, axis units.

    Returns
    -------
    Axis
    """
    scale, channel = bound.scales[marker], bound.sample.channels[bound.channels[marker]]
    limits = _own_units(values, channel.range) if isinstance(scale, Identity) else _scaled(values)
    low, high = _holding(limits, edges)
    labels, minor = ticks(scale, low, high)
    return Axis(marker, channel.name, low, high, labels, minor)


def _scaled(values: Values) -> Limits:
    low, high = SCALED
    if not _lies_beyond(values, low, high):
        return SCALED
    bottom, top = np.nanquantile(values, [FEW / 5, 1 - FEW / 5])
    return max(min(low, float(bottom)), WIDEST[0]), min(max(high, float(top)), WIDEST[1])


def _own_units(values: Values, reach: float) -> Limits:
    """Return limits in the file's own units: ``$PnR``, unless the events say it means nothing."""
    if not len(values):
        return 0.0, reach if reach > 0 else 1.0
    bottom, top = map(float, np.nanquantile(values, [FEW / 5, 1 - FEW / 5]))
    low = min(bottom, 0.0) if np.count_nonzero(values < 0) > FEW * len(values) else 0.0
    high = reach if top <= reach <= 4 * top else 1.02 * top
    return low, high if high > low else low + 1


def _lies_beyond(values: Values, low: float, high: float) -> bool:
    outside = np.count_nonzero(values < low) + np.count_nonzero(values > high)
    return bool(outside > FEW * len(values))


def _holding(limits: Limits, edges: Iterable[float]) -> Limits:
    """Widen limits for cuts just outside them; one further off than the axis is long stays unseen."""
    low, high = limits
    length = high - low
    near = [edge for edge in edges if low - length <= edge <= high + length]
    return min([low, *(edge - 0.03 * length for edge in near)]), max(
        [high, *(edge + 0.03 * length for edge in near)]
    )


def ticks(scale: Transform, low: float, high: float) -> tuple[Labels, tuple[float, ...]]:
    """Return labelled and minor ticks of an axis at round linear values.

    Parameters
    ----------
    scale : Transform
        From linear values to axis units.
    low, high : float
        Limits, axis units.

    Returns
    -------
    labels : tuple of (float, str)
        Place and label: decades on a log-like axis, else thousands.
    minor : tuple of float
        Places between.

    Examples
    --------
    >>> from tregflow.transforms import Logicle
    >>> labels, minor = ticks(Logicle(), -0.05, 1.05)
    >>> [label for place, label in labels]
    ['−10²', '0', '10²', '10³', '10⁴', '10⁵']
    """
    if math.isfinite(scale.decade):
        return _decades(scale, low, high)
    return _round_numbers(scale, low, high)


def _decades(scale: Transform, low: float, high: float) -> tuple[Labels, tuple[float, ...]]:
    top = _exponent(scale, low, high)
    powers = [10.0**exponent for exponent in range(top, top - 8, -1)]
    wanted = {value: _place(scale, value) for value in (0.0, *powers, *(-power for power in powers))}
    labelled = _apart({value: place for value, place in wanted.items() if low <= place <= high}, high - low)
    smallest = min((abs(value) for value in labelled if value), default=powers[0])
    fine = [step * power for power in powers if power >= smallest / 10 for step in range(1, 10)]
    minor = [value for step in fine for value in (-step, step) if value not in labelled]
    labels = tuple((place, _power(value)) for value, place in sorted(labelled.items()))
    return labels, _within(scale, minor, low, high)


def _apart(wanted: Mapping[float, float], length: float) -> dict[float, float]:
    """Keep the labels that have room beside those before them."""
    kept: dict[float, float] = {}
    for value, place in wanted.items():
        if all(abs(place - other) >= APART * length for other in kept.values()):
            kept[value] = place
    return kept


def _exponent(scale: Transform, low: float, high: float) -> int:
    """Return the largest power of ten that the axis reaches on either side."""
    reach = np.abs(scale.inverse(np.array([low, high]))).max()
    return math.floor(math.log10(reach)) if reach > 0 else 0


def _round_numbers(scale: Transform, low: float, high: float) -> tuple[Labels, tuple[float, ...]]:
    first, last = map(float, scale.inverse(np.array([low, high])))
    step = _step((last - first) / LABELS)
    labels = tuple((_place(scale, value), _thousands(value)) for value in _multiples(step, first, last))
    return labels, _within(scale, _multiples(step / 5, first, last), low, high)


def _multiples(step: float, first: float, last: float) -> list[float]:
    return [step * count for count in range(math.ceil(first / step), math.floor(last / step) + 1)]


def _step(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, … that is at least so large."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= least * (1 - 1e-9))


def _within(scale: Transform, values: Iterable[float], low: float, high: float) -> tuple[float, ...]:
    places = (_place(scale, value) for value in values)
    return tuple(place for place in places if low <= place <= high)


def _place(scale: Transform, value: float) -> float:
    return float(scale(np.array([value]))[0])


def _power(value: float) -> str:
    if not value:
        return "0"
    sign, exponent = "−" if value < 0 else "", round(math.log10(abs(value)))
    return sign + (f"{abs(value):g}" if exponent < 2 else "10" + str(exponent).translate(SUPERSCRIPT))


def _thousands(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "K")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}".replace("-", "−")
    return f"{value:g}".replace("-", "−")
