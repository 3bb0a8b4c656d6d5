"""What a gate sees: a file's columns under marker names, in the rows of a population.

`Bound` is a file whose channels have been given the template's marker names, its compensation and
its scales. `View` is some of its rows and some of its markers. Nothing is computed until it is
asked for, and then only in these rows: a population costs what its parent's survivors cost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from tregflow.compensation import Compensation, compensate
from tregflow.errors import Finding
from tregflow.sample import Rows, Sample, Values
from tregflow.transforms import Identity, Transform

Mask = NDArray[np.bool_]
FILLED = 16
"""Times the values that a stated range may be and still be the length of an axis."""

NO_MEMBERS: Mapping[str, Rows] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Bound:
    """A sample whose channels carry marker names.

    Parameters
    ----------
    sample : Sample
        The file.
    channels : mapping of str to int
        Channel of each marker that was found.
    scales : mapping of str to Transform
        Axis of each marker that was found.
    compensation : Compensation or None
        How raw detectors become compensated; None where values are used as they are.
    findings : tuple of Finding
        What binding had to say.
    strange : mapping of str to str
        Markers on another detector, dye or voltage than the template's stored coordinates belong to, and why.
    """

    sample: Sample
    channels: Mapping[str, int]
    scales: Mapping[str, Transform]
    compensation: Compensation | None = None
    findings: tuple[Finding, ...] = ()
    strange: Mapping[str, str] = field(default_factory=dict)

    def scaled(self, marker: str, rows: Rows) -> Values:
        """Return one marker's values in axis units; shape (n_rows,)."""
        return self.scales[marker](self.linear(marker, rows))

    def view(self, markers: tuple[str, ...], rows: Rows, members: Mapping[str, Rows] = NO_MEMBERS) -> View:
        """Return some rows under some markers."""
        return View(self, markers, rows, members)

    @cached_property
    def used(self) -> tuple[int, ...]:
        """Channels that a gate may look at: the bound ones and those mixed into them."""
        mixed = self.compensation.detectors if self.compensation else ()
        bound = set(self.channels.values())
        return tuple(sorted(bound | (set(mixed) if bound & set(mixed) else set())))

    @cached_property
    def _lifted(self) -> tuple[Values, Values]:
        lifted, sums = self.sample.lifted(self.used)
        lifted.flags.writeable = False
        return lifted, sums

    @cached_property
    def raw(self) -> Mapping[int, Values]:
        """Scale values of the used channels, uncompensated; each shape (n_events,)."""
        return dict(zip(self.used, self._lifted[0], strict=True))

    def finite(self) -> Rows:
        """Return the events whose values are finite in every used channel."""
        unbroken = np.ones(len(self.sample), bool)
        for column, total in zip(*self._lifted, strict=True):
            if not np.isfinite(total):
                unbroken &= np.isfinite(column)
        return np.flatnonzero(unbroken)

    def linear(self, marker: str, rows: Rows) -> Values:
        """Return one marker's compensated linear values; shape (n_rows,)."""
        channel, compensation = self.channels[marker], self.compensation
        if compensation is None or channel not in compensation.detectors:
            column = self.raw[channel]
            return column if len(rows) == len(column) else column.take(rows)
        raw = [self.raw[detector] for detector in compensation.detectors]
        return compensate(raw, compensation.weights(channel), rows)

    def unit(self, marker: str) -> float:
        """Return the length of a marker's axis: 1 on a scale; in the file's own units see `lengths`."""
        return self.lengths.get(marker, 1.0)

    @cached_property
    def lengths(self) -> Mapping[str, float]:
        """Length of each axis in the file's own units: its range, or, where that says nothing, its values'.

        Widths, windows and the grid that fitted gates are rounded to are shares of this length. A
        stated range says nothing where the values reach beyond its double or fill less than a
        sixteenth of it (a width of 18 on a scale of 2 ** 24); then the length is the power of two
        above all but a thousandth of the values.
        """
        return {marker: self._length(channel) for marker, channel in self.channels.items()
                if isinstance(self.scales[marker], Identity)}  # fmt: skip

    def _length(self, channel: int) -> float:
        stated = self.sample.channels[channel]
        reach = float(stated.to_scale(np.array([stated.range]))[0])
        values = np.abs(self.raw[channel][np.isfinite(self.raw[channel])])
        most = len(values) - 1 - len(values) // 1000
        filled = float(np.partition(values, most)[most]) if len(values) else 0.0
        if np.isfinite(reach) and reach > 0 and (filled == 0 or reach / FILLED <= filled <= 2 * reach):
            return reach
        return 2.0 ** (math.floor(math.log2(filled)) + 1) if filled > 0 else 1.0


@dataclass(frozen=True, eq=False)
class Held(Bound):
    """A bound sample whose columns were computed beforehand, for whoever looks at them many times.

    Parameters
    ----------
    columns : mapping of str to (ndarray, ndarray)
        Linear and axis values by marker, each shape (n_events,).
    stated_lengths : mapping of str to float
        `Bound.lengths` of the file.
    """

    columns: Mapping[str, tuple[Values, Values]] = field(default_factory=dict)
    stated_lengths: Mapping[str, float] = field(default_factory=dict)

    def linear(self, marker: str, rows: Rows) -> Values:
        """Return one marker's compensated linear values; shape (n_rows,)."""
        return self.columns[marker][0].take(rows)

    def scaled(self, marker: str, rows: Rows) -> Values:
        """Return one marker's values in axis units; shape (n_rows,)."""
        return self.columns[marker][1].take(rows)

    def unit(self, marker: str) -> float:
        """Return the length of a marker's axis."""
        return self.stated_lengths.get(marker, 1.0)


def held(bound: Bound, markers: Iterable[str]) -> Held:
    """Return a bound sample with the columns of some markers computed for all events.

    Parameters
    ----------
    bound : Bound
        The file.
    markers : iterable of str
        Markers that it has.

    Returns
    -------
    Held
    """
    rows = np.arange(len(bound.sample))
    columns = {}
    for marker in markers:
        linear = bound.linear(marker, rows)
        columns[marker] = (linear, bound.scales[marker](linear))
    return Held(bound.sample, bound.channels, bound.scales, bound.compensation, bound.findings,
                bound.strange, columns, bound.lengths)  # fmt: skip


@dataclass(frozen=True, eq=False)
class View:
    """Some rows of a bound sample, under the markers of one population.

    Parameters
    ----------
    bound : Bound
        The sample.
    markers : tuple of str
        The axes, in the template's order.
    rows : ndarray of int, shape (n_rows,)
        Event numbers, ascending.
    members : mapping of str to ndarray of int
        Event numbers of the populations gated so far.
    """

    bound: Bound
    markers: tuple[str, ...]
    rows: Rows
    members: Mapping[str, Rows] = field(default_factory=lambda: NO_MEMBERS)

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, places: Rows) -> View:
        """Return the rows at some places of this view, counted from 0."""
        return replace(self, rows=self.rows.take(places))

    def linear(self, axis: int) -> Values:
        """Return compensated linear values along one axis; shape (n_rows,)."""
        return self.bound.linear(self.markers[axis], self.rows)

    def scale(self, axis: int) -> Transform:
        """Return the scale of one axis."""
        return self.bound.scales[self.markers[axis]]

    def points(self) -> Values:
        """Return the events in axis units; shape (n_rows, n_axes)."""
        columns = [self.bound.scaled(marker, self.rows) for marker in self.markers]
        return np.column_stack(columns) if columns else np.empty((len(self), 0))

    def belongs(self, population: str) -> Mask:
        """Return which rows are members of a population gated before."""
        flags = np.zeros(len(self.bound.sample), bool)
        flags[self.members[population]] = True
        return flags[self.rows]
