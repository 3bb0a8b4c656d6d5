"""What a percent owes to where its gates stand: every gate on its path, shifted.

A shift is stated in the template, in decades, before anyone looks. It says what the percent would
have been with the gate a little to either side; it is no confidence interval and is never called one.

* On a fluorescence axis a gate's edges are multiplied by ten to the power of the shift, in linear
  units. Near zero decades mean nothing: where the axis has less than half the length per decade that
  it has far out, an edge moves by one robust SD of the negatives for the first stated shift, and in
  proportion for the others. The negatives are the lower mode of the parent's events below the gate's
  highest edge, its SD that of its lower side, where no positives are.
* A cloud of cells in scatter is itself hardly a tenth of a decade wide, and a fifth would empty it.
  Scatter gates move by half the shift as a share: 5 % for 0.1, 10 % for 0.2.
* A window of time is not shifted: it lies where acquisition was steady, and brighter cells do not move it.

Gates are shifted one axis at a time, all axes of a gate together, and all gates together in the same
direction. Open sides stay open. Populations below are recounted in their gates as they were placed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from tregflow.gates.shapes import (
    OPEN,
    And,
    Ellipse,
    Interval,
    Not,
    Or,
    Point,
    Polygon,
    Rectangle,
    Shape,
    members,
    named,
    parts,
)
from tregflow.gating import Gated
from tregflow.populations import negatives
from tregflow.sample import Rows, Values
from tregflow.template import ROOT, UNSCALED, Measure, Population
from tregflow.transforms import Transform
from tregflow.uncertainty.shelf import Shelf, shelved
from tregflow.view import Mask, View

AS_PLACED = "as placed"
SHARE_PER_DECADE = 0.5
"""Share by which a scatter gate moves, by the shift in decades."""
NEAR_ZERO = 0.5
"""Length per decade, by that far from zero, below which decades mean nothing."""
NUDGE = 0.01
"""Decades to either side within which an axis' length per decade is measured."""
FEW = 100
"""Events below an edge under which they do not tell what the negatives are."""

Step = Callable[[Values], Values]
"""Where edges go, axis units."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """The measures of a file with some gates shifted.

    Parameters
    ----------
    name : str
        Gate, marker and shift: ``Treg FOXP3 +0.1``; the gate and shift alone where all its axes move; ``all
        +0.1``; ``as placed``.
    gate, marker : str
        What was shifted; empty for all.
    shift : float
        Decades; NaN where the step was none in decades.
    level : float
        The stated shift that it belongs to, without sign; 0 as placed.
    counts : mapping of str to (int, int)
        Numerator and denominator by measure, of those whose path has the gate.
    """

    name: str
    gate: str
    marker: str
    shift: float
    level: float
    counts: Mapping[str, tuple[int, int]]


def perturbed(gated: Gated, shelf: Shelf | None = None) -> tuple[Scenario, ...]:
    """Recount the measures of a gated file with its gates shifted.

    Parameters
    ----------
    gated : Gated
        What `gate` returned.
    shelf : Shelf, optional
        The same file on the shelf, where somebody has put it there.

    Returns
    -------
    tuple of Scenario
        As placed first; then gate by gate; then all together. A measure without a number is in none.
    """
    if not gated.template.shifts:
        return ()
    sieve = _Sieve(gated, shelf or shelved(gated))
    if not sieve.measures:
        return ()
    shifts = [sign * shift for shift in gated.template.shifts for sign in (1, -1)]
    alone = [one for name in sieve.line for one in sieve.alone(name, shifts)]
    return (sieve.as_placed(), *alone, *(sieve.together(shift) for shift in shifts))


def lowest_and_highest(
    scenarios: Sequence[Scenario], measure: str, shifts: Sequence[float]
) -> tuple[float, float]:
    """Return the smallest and largest percent with each gate alone shifted by the first stated shift.

    Parameters
    ----------
    scenarios : sequence of Scenario
        Of one file.
    measure : str
        Its name.
    shifts : sequence of float
        As the template states them.

    Returns
    -------
    low, high : float
        Per cent, the percent as placed among them; NaN where there is none.
    """
    alone = [one.counts[measure] for one in scenarios if measure in one.counts and (
        one.name == AS_PLACED or (one.gate and shifts and one.level == shifts[0]))]  # fmt: skip
    percents = [100 * part / whole for part, whole in alone if whole]
    return (min(percents), max(percents)) if percents and shifts else (math.nan, math.nan)


# ------------------------------------------------------------------------------------------- shapes


def moved(shape: Shape, steps: Sequence[Step | None], units: Sequence[float]) -> Shape:
    """Return a shape with its edges moved; open sides and other populations stay.

    Parameters
    ----------
    shape : Shape
        Axis units.
    steps : sequence of callable or None
        Where edges on each axis go; None leaves the axis.
    units : sequence of float
        Length of each axis: corners beyond it stand for open sides.

    Returns
    -------
    Shape
    """
    if isinstance(shape, Interval):
        return Interval(*_stepped((shape.low, shape.high), steps[0], units[0]))
    if isinstance(shape, Rectangle):
        pairs = [_stepped(pair, *to) for pair, to in _by_axis((shape.low, shape.high), steps, units)]
        return Rectangle(*zip(*pairs, strict=True))
    if isinstance(shape, Polygon):
        x, y = (_stepped(places, *to) for places, to in _by_axis(shape.vertices, steps, units))
        return Polygon(tuple(zip(x, y, strict=True)))
    if isinstance(shape, Ellipse):
        return _ellipse(shape, steps)
    return _combined(shape, steps, units)


To = tuple[Step | None, float]


def _by_axis(
    corners: Sequence[Point], steps: Sequence[Step | None], units: Sequence[float]
) -> Iterator[tuple[Point, To]]:
    """Yield the coordinates of some corners on each axis, where they go there, and its length."""
    yield from zip(zip(*corners, strict=True), zip(steps, units, strict=True), strict=True)


def _stepped(places: Point, step: Step | None, unit: float) -> Point:
    """Return coordinates of one axis moved; those of open sides stay."""
    if step is None:
        return places
    is_edge = [OPEN[0] * unit < place < OPEN[1] * unit for place in places]
    there = iter(
        step(np.array([place for place, moves in zip(places, is_edge, strict=True) if moves])).tolist()
    )
    return tuple(next(there) if moves else place for place, moves in zip(places, is_edge, strict=True))


def _ellipse(shape: Ellipse, steps: Sequence[Step | None]) -> Ellipse:
    """Move an ellipse so that its outermost points on every axis go where edges there would."""
    centre, widths = list(shape.centre), [1.0] * len(shape.centre)
    for axis, step in enumerate(steps):
        if step is not None:
            reach = math.sqrt(shape.distance * shape.covariance[axis][axis])
            low, high = step(shape.centre[axis] + reach * np.array([-1.0, 1.0])).tolist()
            centre[axis], widths[axis] = (low + high) / 2, (high - low) / (2 * reach)
    covariance = tuple(
        tuple(value * own * other for value, other in zip(row, widths, strict=True))
        for row, own in zip(shape.covariance, widths, strict=True)
    )
    return Ellipse(tuple(centre), covariance, shape.distance)


def _combined(shape: Shape, steps: Sequence[Step | None], units: Sequence[float]) -> Shape:
    if isinstance(shape, Not):
        return Not(moved(shape.part, steps, units))
    if isinstance(shape, (And, Or)):
        return type(shape)(tuple(moved(part, steps, units) for part in shape.parts))
    return shape


def edges(shape: Shape, axis: int, unit: float) -> tuple[float, ...]:
    """Return every coordinate of a shape on an axis that `moved` moves."""
    if isinstance(shape, Interval):
        found: tuple[float, ...] = (shape.low, shape.high)
    elif isinstance(shape, Rectangle):
        found = (shape.low[axis], shape.high[axis])
    elif isinstance(shape, Polygon):
        found = tuple(vertex[axis] for vertex in shape.vertices)
    elif isinstance(shape, Ellipse):
        reach = math.sqrt(shape.distance * shape.covariance[axis][axis])
        return shape.centre[axis] - reach, shape.centre[axis] + reach
    else:
        return tuple(edge for part in parts(shape) for edge in edges(part, axis, unit))
    return tuple(edge for edge in found if OPEN[0] * unit < edge < OPEN[1] * unit)


# -------------------------------------------------------------------------------------------- steps


@dataclass(frozen=True, slots=True)
class Axis:
    """How edges on one axis of a gate are shifted.

    Parameters
    ----------
    marker : str
    scale : Transform
        Of the axis.
    first : float
        The first stated shift, decades: an edge near zero moves by one spread for it.
    kind : str
        What a shift is on this axis: ``decades``; ``spread`` where all edges lie near zero; ``share`` in scatter.
    spread : float
        Robust SD of the negatives, linear units; 0 where it is not needed or there are none.
    """

    marker: str
    scale: Transform
    first: float
    kind: Literal["decades", "spread", "share"] = "decades"
    spread: float = 0.0

    def step(self, shift: float) -> Step:
        """Return where edges go under a shift, decades."""
        return lambda edges: self.scale(self._shifted(self.scale.inverse(edges), shift))

    def _shifted(self, linear: Values, shift: float) -> Values:
        if self.kind == "share":
            return linear * (1 + SHARE_PER_DECADE * shift)
        by_spread = linear + shift / self.first * self.spread
        return np.where(self.is_log_like(linear), linear * 10.0**shift, by_spread)

    def is_log_like(self, linear: Values) -> Mask:
        """Return where decades mean something; linear units."""
        if not math.isfinite(self.scale.decade):  # a straight axis: a shift must at least leave the noise
            clears: Mask = (linear > 0) & (linear * (10.0**self.first - 1) >= self.spread)
            return clears
        above = np.where(linear > 0, linear, 1.0)
        length = self.scale(above * 10**NUDGE) - self.scale(above * 10**-NUDGE)
        is_far: Mask = (linear > 0) & (length >= NEAR_ZERO * 2 * NUDGE * self.scale.decade)
        return is_far

    def label(self, shift: float) -> str:
        """Return a shift in words: ``+0.1``, ``+1 SD``, ``+5 %``."""
        if self.kind == "share":
            return f"{100 * SHARE_PER_DECADE * shift:+g} %"
        return f"{shift / self.first:+g} SD" if self.kind == "spread" else f"{shift:+g}"

    def decades(self, shift: float) -> float:
        """Return a shift in decades; NaN where it is none."""
        if self.kind == "share":
            return math.log10(1 + SHARE_PER_DECADE * shift)
        return math.nan if self.kind == "spread" else shift


def axes_of(gated: Gated, population: Population, shelf: Shelf) -> tuple[Axis, ...]:
    """Return the axes along which a gate is shifted: those it has an edge on, and that are not time.

    Parameters
    ----------
    gated : Gated
        The file.
    population : Population
        Whose gate.
    shelf : Shelf
        The file on the shelf.

    Returns
    -------
    tuple of Axis
    """
    shape, found = gated.placed[population.name].shape, list[Axis]()
    for axis, marker in enumerate(population.markers):
        if shape is None or marker not in gated.bound.channels or marker.casefold() == "time":
            continue
        if reached := edges(shape, axis, gated.bound.unit(marker)):
            found.append(_axis(gated, population, marker, reached, shelf))
    return tuple(found)


def _axis(gated: Gated, population: Population, marker: str, reached: Sequence[float], shelf: Shelf) -> Axis:
    plain = Axis(marker, gated.bound.scales[marker], gated.template.shifts[0])
    if UNSCALED.fullmatch(marker):
        return replace(plain, kind="share")
    linear = plain.scale.inverse(np.array(reached))
    if math.isfinite(plain.scale.decade) and plain.is_log_like(linear).all():
        return plain
    values = shelf.held.linear(marker, shelf.members[population.parent])
    below = values[values < linear.max()]
    _, spread = negatives(below if len(below) >= FEW else values)
    near = replace(plain, spread=spread if math.isfinite(spread) else 0.0)
    return near if near.is_log_like(linear).any() else replace(near, kind="spread")


# --------------------------------------------------------------------------------------- recounting

Counts = dict[str, tuple[int, int]]
Recount = Callable[[Shape], Counts]


@dataclass(frozen=True, eq=False)
class _Sieve:
    """A file's measures, ready to be recounted with other gates.

    An event counts in a population if every gate on the way lets it through. With one gate shifted
    only events that all the others let through can change a count; which they are is found once per gate.
    """

    gated: Gated
    shelf: Shelf

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """Measures that have a number."""
        known = self.shelf.members.keys()
        return tuple(one for one in self.gated.template.measures if {one.count, one.of} <= known)

    @cached_property
    def line(self) -> tuple[str, ...]:
        """Populations whose gates decide who is counted, in the template's order."""
        needed = {name for one in self.measures for name in self._path(one.count) | self._path(one.of)}
        return tuple(one.name for one in self.gated.template.populations if one.name in needed)

    @cached_property
    def masks(self) -> Mapping[str, Mask]:
        """Which events the gate of each of these lets through, whatever the others do."""
        every = np.arange(self.shelf.events)
        return {
            name: self._shape(name).contains(self._view(name, every, self.shelf.members))
            for name in self.line
        }

    @cached_property
    def axes(self) -> Mapping[str, tuple[Axis, ...]]:
        """Axes along which each of these gates is shifted."""
        template = self.gated.template
        return {name: axes_of(self.gated, template.population(name), self.shelf) for name in self.line}

    def _path(self, name: str) -> frozenset[str]:
        """Return every population whose gate decides who is in one: on the way to it, or named by a gate there."""
        asked, needed = [name], set[str]()
        while asked:
            name = asked.pop()
            if name != ROOT and name not in needed:
                needed.add(name)
                asked += [self.gated.template.population(name).parent, *named(self._shape(name))]
        return frozenset(needed)

    def _shape(self, name: str) -> Shape:
        shape = self.gated.placed[name].shape
        assert shape is not None
        return shape

    def _view(self, name: str, rows: Rows, known: Mapping[str, Rows]) -> View:
        population = self.gated.template.population(name)
        return self.shelf.held.view(population.markers, rows, known)

    def _cut(self, name: str, rows: Rows) -> View:
        """Return some events as a gate sees them, laid side by side unless it asks for other populations."""
        if named(self._shape(name)):
            return self._view(name, rows, self.shelf.members)
        markers = self.gated.template.population(name).markers
        return self.shelf.held.cut(markers, rows).view(markers, np.arange(len(rows)))

    # ------------------------------------------------------------------------------------ scenarios

    def as_placed(self) -> Scenario:
        """Return the counts in the gates as they were placed."""
        return Scenario(AS_PLACED, "", "", 0.0, 0.0, _counts(self.measures, self._events_of))

    def alone(self, name: str, shifts: Sequence[float]) -> Iterator[Scenario]:
        """Yield the scenarios of one gate: each of its axes, then all of them."""
        axes = self.axes[name]
        chosen = [(axis,) for axis in axes] + ([axes] if len(axes) > 1 else [])
        recount = self._recount(name) if chosen else None
        for some in chosen:
            for shift in shifts:
                assert recount is not None
                yield _scenario(name, some, shift, recount(self._shifted(name, some, shift)))

    def together(self, shift: float) -> Scenario:
        """Return the scenario of all gates in the same direction."""
        shapes = {name: self._shifted(name, axes, shift) for name, axes in self.axes.items()}
        return Scenario(f"all {shift:+g}", "", "", shift, abs(shift), self._walked(shapes, self.measures))

    def _shifted(self, name: str, axes: Sequence[Axis], shift: float) -> Shape:
        markers, by_marker = self.gated.template.population(name).markers, {one.marker: one for one in axes}
        steps = [by_marker[marker].step(shift) if marker in by_marker else None for marker in markers]
        units = [self.gated.bound.unit(marker) for marker in markers]
        return moved(self._shape(name), steps, units)

    def _recount(self, name: str) -> Recount:
        measures = [one for one in self.measures if name in self._path(one.count) | self._path(one.of)]
        pointed = {other for one in self.line for other in named(self._shape(one))}
        if any(name in self._path(other) for other in pointed):
            return lambda shape: self._walked({name: shape}, measures)
        return self._sieved(name, measures)

    def _sieved(self, name: str, measures: Sequence[Measure]) -> Recount:
        """Return a recount that looks only at events that every other gate lets through."""
        passed = {one: self._passed(name, one) for measure in measures for one in (measure.count, measure.of)
                  if name in self._path(one)}  # fmt: skip
        rows = np.flatnonzero(np.logical_or.reduce(list(passed.values())))
        view, within = self._cut(name, rows), {one: mask[rows] for one, mask in passed.items()}

        def recount(shape: Shape) -> Counts:
            kept = shape.contains(view)
            counted = {one: int(np.count_nonzero(mask & kept)) for one, mask in within.items()}
            return _counts(measures, lambda one: counted.get(one, self._events_of(one)))

        return recount

    def _passed(self, name: str, population: str) -> Mask:
        """Return which events all gates but one let through to a population."""
        others = [self.masks[other] for other in self.gated.template.path(population) if other != name]
        passed: Mask = np.logical_and.reduce([np.ones(self.shelf.events, bool), *others])
        return passed

    def _walked(self, shapes: Mapping[str, Shape], measures: Sequence[Measure]) -> Counts:
        """Return the counts with some gates replaced, gate by gate from the root down."""
        known = {ROOT: self.shelf.members[ROOT]}
        for name in self.line:
            parent = self.gated.template.population(name).parent
            known[name] = members(shapes.get(name, self._shape(name)), self._view(name, known[parent], known))
        return _counts(measures, lambda one: len(known[one]))

    def _events_of(self, population: str) -> int:
        return len(self.shelf.members[population])


def _counts(measures: Iterable[Measure], events: Callable[[str], int]) -> Counts:
    return {one.name: (events(one.count), events(one.of)) for one in measures}


def _scenario(name: str, axes: Sequence[Axis], shift: float, counts: Counts) -> Scenario:
    leading = next((axis for axis in axes if axis.kind == "decades"), axes[0])
    markers = [axis.marker for axis in axes]
    told = " ".join([name, *(markers if len(axes) == 1 else []), leading.label(shift)])
    return Scenario(told, name, ", ".join(markers), leading.decades(shift), abs(shift), counts)
