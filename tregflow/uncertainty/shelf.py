"""A gated file on the shelf: its events as they are recounted many times.

Drawing a file anew and shifting its gates ask for the same columns over and over. They are computed
once, for the events that can be gated, and laid in an order that depends on the events' values and
on nothing else: what is drawn by place is then drawn by value, and a file whose events were shuffled
gives the same draws. The order is that of a hash of the raw values, which no library rounds; events
that share it are the same in every detector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tregflow.gating import Gated
from tregflow.gating.placing import Walk
from tregflow.sample import Rows, Values
from tregflow.template import ROOT, Template
from tregflow.transforms import Identity, Transform
from tregflow.view import NO_MEMBERS, Bound, Held, Mask, View

Bits = NDArray[np.uint64]
ODD = np.uint64(0x9E3779B97F4A7C15)
FOLD = np.uint64(29)


class Laid(Held):
    """Columns of a tube's events in the order of a shelf; all of them are given without a copy."""

    def linear(self, marker: str, rows: Rows) -> Values:
        """Return one marker's compensated linear values; shape (n_rows,)."""
        column = self.columns[marker][0]
        return column if len(rows) == len(column) else column.take(rows)

    def scaled(self, marker: str, rows: Rows) -> Values:
        """Return one marker's values in axis units; shape (n_rows,)."""
        column = self.columns[marker][1]
        return column if len(rows) == len(column) else column.take(rows)

    def cut(self, markers: Iterable[str], rows: Rows) -> Laid:
        """Return some events alone, under some markers, counted anew from 0."""
        columns = {marker: (linear.take(rows), scaled.take(rows))
                   for marker in markers for linear, scaled in [self.columns[marker]]}  # fmt: skip
        return replace(self, columns=columns)


@dataclass(frozen=True, eq=False)
class OnAxes(View):
    """Some events as they lie on the axes: gates are compared with them there, and nothing is brought to scale."""

    def linear(self, axis: int) -> Values:
        """Return values in axis units, as if these were linear; shape (n_rows,)."""
        return self.bound.scaled(self.markers[axis], self.rows)

    def scale(self, axis: int) -> Transform:  # noqa: ARG002 - as all views
        """Return the scale that axis units have on themselves."""
        return Identity()


@dataclass(frozen=True, eq=False)
class Drawn(Laid):
    """Some events of a shelf, counted anew from 0; a column is taken out once, when it is first looked at.

    Parameters
    ----------
    places : ndarray of int, shape (n_drawn,)
        Their places on the shelf.
    taken : dict of str to ndarray
        Axis values by marker, as far as they were looked at; each shape (n_drawn,).
    """

    places: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    taken: dict[str, Values] = field(default_factory=dict)

    def scaled(self, marker: str, rows: Rows) -> Values:
        """Return one marker's values in axis units; shape (n_rows,)."""
        if marker not in self.taken:
            self.taken[marker] = super().scaled(marker, self.places)
        column = self.taken[marker]
        return column if len(rows) == len(column) else column.take(rows)

    def view(self, markers: tuple[str, ...], rows: Rows, members: Mapping[str, Rows] = NO_MEMBERS) -> View:
        """Return some events under some markers, as they lie on the axes."""
        return OnAxes(self, markers, rows, members)


@dataclass(frozen=True, eq=False)
class Shelf:
    """Events of a tube in the order of their values.

    Parameters
    ----------
    held : Laid
        Columns of the markers, for these events only: rows count from 0 in this order.
    events : int
        How many there are.
    members : mapping of str to ndarray of int
        Populations among them, ascending.
    seed : int
        From their values.
    """

    held: Laid
    events: int
    members: Mapping[str, Rows]
    seed: int

    @cached_property
    def inside(self) -> Mapping[str, Mask]:
        """Which events are in each population; each shape (n_events,)."""
        return {name: _mask(rows, self.events) for name, rows in self.members.items()}

    def drawn(self, places: Rows) -> Drawn:
        """Return the events at some places, counted anew from 0."""
        held = self.held
        return Drawn(held.sample, held.channels, held.scales, held.compensation, held.findings,
                     held.strange, held.columns, held.stated_lengths, places)  # fmt: skip


def _mask(rows: Rows, events: int) -> Mask:
    mask = np.zeros(events, bool)
    mask[rows] = True
    return mask


def shelved(gated: Gated) -> Shelf:
    """Lay a gated file on the shelf, with the markers of all its gates.

    Parameters
    ----------
    gated : Gated
        What `gate` returned.

    Returns
    -------
    Shelf
    """
    walk = Walk(gated.bound, dict(gated.members))
    return of_walk(walk, ROOT, gated.members, markers_of(gated.template))


def markers_of(template: Template) -> tuple[str, ...]:
    """Return every marker that a gate or a model of a template looks at."""
    of_gates = [marker for one in template.populations for marker in one.markers]
    of_models = [marker for kinds in template.models for marker in kinds.markers]
    return tuple(dict.fromkeys([*of_gates, *of_models]))


def of_walk(walk: Walk, population: str, names: Iterable[str], markers: Iterable[str]) -> Shelf:
    """Lay one population of a tube on the shelf.

    Parameters
    ----------
    walk : Walk
        The tube, gated.
    population : str
        Whose events.
    names : iterable of str
        Populations to be known among them.
    markers : iterable of str
        What is looked at; what the tube does not have is left out.

    Returns
    -------
    Shelf
    """
    bound, rows = walk.bound, walk.members[population]
    hashed = _hashed(bound, rows)
    order = np.argsort(hashed)
    place = np.full(len(bound.sample), -1, np.intp)
    place[rows.take(order)] = np.arange(len(rows))
    members = {name: _sorted(place[walk.members[name]]) for name in names if name in walk.members}
    has = [marker for marker in markers if marker in bound.channels]
    seed = int(np.add.reduce(hashed, dtype=np.uint64))
    return Shelf(_held(bound, has, rows, order), len(rows), members, seed)


def _hashed(bound: Bound, rows: Rows) -> Bits:
    """Return a hash of each event's raw values in the channels that gates may look at."""
    hashed = np.zeros(len(rows), np.uint64)
    for channel in bound.used:
        hashed ^= bound.raw[channel].take(rows).view(np.uint64)
        hashed *= ODD
        hashed ^= hashed >> FOLD
    return hashed


def _sorted(places: Rows) -> Rows:
    """Return the places that are on the shelf, ascending."""
    places = places[places >= 0]
    places.sort()
    return places


def _held(bound: Bound, markers: Iterable[str], rows: Rows, order: Rows) -> Laid:
    columns = {}
    for marker in markers:
        linear = bound.linear(marker, rows).take(order)
        columns[marker] = (linear, bound.scales[marker](linear))
    return Laid(bound.sample, bound.channels, bound.scales, bound.compensation, bound.findings,
                bound.strange, columns, bound.lengths)  # fmt: skip
