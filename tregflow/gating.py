"""Template x sample: the walk down the hierarchy, each gate inside its parent.

A population's members are an index array into the file. A child looks only at its parent's
members, so it cannot leave them and costs what they cost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import numpy as np

from tregflow.errors import Finding, GateError
from tregflow.events import said_of_events
from tregflow.gates import METHODS, is_cut, takes_window
from tregflow.gates.method import Found
from tregflow.gates.shapes import (
    Ellipse,
    Everything,
    Interval,
    Rectangle,
    Shape,
    members,
    named,
    negated,
    rounded,
    stretched,
)
from tregflow.hierarchy import kept
from tregflow.sample import Rows, Values
from tregflow.template import ROOT, Population, Template
from tregflow.view import Bound, View

Status = Literal["corrected", "fallback", "at bound", "moved", "found", "stored", "skipped", "refused"]

NEAR = 0.02
"""Axis lengths from the stored gate beyond which a found gate counts as moved: a tenth of a decade
on a scale of four and a half."""

Shapes = Mapping[str, Shape]
NONE: Shapes = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Placed:
    """One gate as it was placed.

    Parameters
    ----------
    shape : Shape or None
        Template coordinates; None where the gate is refused.
    status : str
        How the shape came about.
    shift : float
        Axis units from the stored gate; NaN where there is nothing to compare.
    shift_decades : float
        The same in decades; NaN on an axis that is not log-like.
    of : str
        The population on whose events it was placed; empty for a stored gate.
    n_of : int
        Events of that population that have a place on the axes.
    evidence : mapping of str to float
        What the method says of its own answer.
    reason : str
        Why it fell back, was skipped or refused.
    """

    shape: Shape | None
    status: Status
    shift: float = math.nan
    shift_decades: float = math.nan
    of: str = ""
    n_of: int = 0
    evidence: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What a gate may look at besides its parent's events.

    Parameters
    ----------
    bound : Bound
        The file.
    members : mapping of str to ndarray of int
        Populations gated so far.
    references : mapping of str to Gated
        Control tubes of the same run, gated, by tube name.
    corrections : mapping of str to Shape
        What a reviewer drew, by population.
    skipped : frozenset of str
        Populations whose gate was skipped, so that nothing can be said of what lies outside them.
    """

    bound: Bound
    members: Mapping[str, Rows]
    references: Mapping[str, Gated]
    corrections: Shapes
    skipped: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Gated:
    """A file, gated.

    Parameters
    ----------
    bound : Bound
        The file under the template's marker names.
    template : Template
        What it was gated with.
    placed : mapping of str to Placed
        Every gate, in the template's order.
    members : mapping of str to ndarray of int
        Event numbers of every population and of the root; a refused population has none.
    findings : tuple of Finding
        What reading, binding and gating had to say.
    """

    bound: Bound
    template: Template
    placed: Mapping[str, Placed]
    members: Mapping[str, Rows]
    findings: tuple[Finding, ...]


NO_REFERENCES: Mapping[str, Gated] = MappingProxyType({})


def gate(
    sample: Bound,
    template: Template,
    *,
    references: Mapping[str, Gated] = NO_REFERENCES,
    corrections: Shapes = NONE,
) -> Gated:
    """Gate one file with one template.

    Parameters
    ----------
    sample : Bound
        What `Template.bind` returned for the file.
    template : Template
        The stored hierarchy.
    references : mapping of str to Gated, optional
        Control tubes of the same run, gated.
    corrections : mapping of str to Shape, optional
        Shapes that a reviewer drew, by population.

    Returns
    -------
    Gated

    Examples
    --------
    >>> gated = gate(template.bind(sample), template)  # doctest: +SKIP
    >>> len(gated.members["Treg"])  # doctest: +SKIP
    1763
    """
    reached: dict[str, Rows] = {ROOT: sample.finite()}
    placed: dict[str, Placed] = {}
    for population in template.populations:
        skipped = frozenset(name for name, one in placed.items() if one.status == "skipped")
        context = Context(sample, reached, references, corrections, skipped)
        placed[population.name] = found = place(population, context)
        if found.shape is not None:
            view = sample.view(population.markers, reached[population.parent], reached)
            reached[population.name] = members(found.shape, view)
    said = (*sample.sample.findings, *sample.findings, *said_of_events(sample, reached[ROOT]))
    return Gated(sample, template, placed, reached, said)


def place(population: Population, context: Context) -> Placed:
    """Place one gate: what all gates share is applied here and nowhere else.

    Parameters
    ----------
    population : Population
        The gate and its axes.
    context : Context
        What it may look at.

    Returns
    -------
    Placed
    """
    fixed = context.corrections.get(population.name)
    shape = fixed or population.gate.stored
    if missing := _unreached(population, shape, context):
        return Placed(None, "refused", reason=f"{missing} could not be placed")
    if absent := [marker for marker in population.markers if marker not in context.bound.channels]:
        return Placed(Everything(), "skipped", reason=f"no channel for {' and '.join(absent)}")
    if unknown := [name for name in negated(shape) if name in context.skipped]:
        return Placed(
            Everything(), "skipped", reason=f"{unknown[0]} was skipped, so what lies outside it is not known"
        )
    if fixed or not population.gate.method:
        return Placed(shape, "corrected" if fixed else "stored")
    try:
        return _settled(population, context)
    except GateError as error:
        return Placed(shape, "fallback" if shape else "refused", reason=str(error))


def _unreached(population: Population, shape: Shape | None, context: Context) -> str:
    """Return the first population that this one's members are taken from and that could not be placed."""
    needed = (population.parent, *named(shape))
    return next((name for name in needed if name not in context.members), "")


def _settled(population: Population, context: Context) -> Placed:
    """Run the method and apply what the template says of every method."""
    gate, of = population.gate, population.gate.of or population.parent
    if of not in context.members:
        raise GateError(f"{of} could not be placed")
    view = context.bound.view(population.markers, context.members[of], context.members)
    points = _on_axes(view)
    if len(points) < gate.least:
        raise GateError(f"{of} has {len(points):,} events, {gate.least:,} are needed")
    found = _found(population, view, points)
    placed = Placed(found.shape, "found", of=of, n_of=len(points), evidence=found.evidence)
    return (
        _kept(placed, population, context.bound)
        if is_cut(gate.method)
        else _outlined(placed, population, context.bound)
    )


def _on_axes(view: View) -> Values:
    """Return the events that have a place on every axis: a log scale has none at and below zero."""
    points = view.points()
    has_place = np.isfinite(points).all(axis=1)
    return points if has_place.all() else points[has_place]


def _found(population: Population, view: View, points: Values) -> Found:
    """Return what the method found, in the template's units, rounded so that every machine agrees."""
    gate = population.gate
    units = tuple(view.bound.unit(marker) for marker in population.markers)
    settings = dict(gate.settings)
    if is_cut(gate.method) and takes_window(gate.method):
        settings["within"] = gate.within and tuple(edge / units[0] for edge in gate.within)
    elif settings.get("within") is not None:
        settings["within"] = _shrunk(settings["within"], units)
    points /= np.array(units)  # ours alone: a view makes its points anew
    found = METHODS[gate.method](points, **settings)
    return replace(found, shape=stretched(rounded(found.shape), units))


def _shrunk(window: tuple[float | tuple[float, float], ...], units: tuple[float, ...]) -> tuple[object, ...]:
    """Return a window in axis lengths: one range of the first axis, or a range of each."""
    if isinstance(window[0], tuple):
        return tuple(tuple(edge / unit for edge in pair) for pair, unit in zip(window, units, strict=True))  # type: ignore[union-attr]
    return tuple(edge / units[0] for edge in window)  # type: ignore[operator]


def _kept(placed: Placed, population: Population, bound: Bound) -> Placed:
    """Clamp a cut to its window, turn it to the side that is kept, and say how far it moved."""
    gate, marker = population.gate, population.markers[0]
    assert isinstance(placed.shape, Interval)
    cut, status = _clamped(placed.shape.low, gate.within, bound.unit(marker))
    shape = kept(cut, gate.keep)
    if gate.stored is None:
        return replace(placed, shape=shape, status=status)
    shift = cut - _edge(gate.stored)
    far = abs(shift) > NEAR * bound.unit(marker)
    moved: Status = "moved" if far and status == "found" else status
    return replace(
        placed, shape=shape, status=moved, shift=shift, shift_decades=shift / bound.scales[marker].decade
    )


def _clamped(cut: float, within: tuple[float, float] | None, unit: float) -> tuple[float, Status]:
    if within is None:
        return cut, "found"
    low, high = within
    grid = 1e-6 * unit
    if cut <= low + grid:
        return low, "at bound"
    return (high, "at bound") if cut >= high - grid else (cut, "found")


def _edge(stored: Shape) -> float:
    assert isinstance(stored, Interval)
    return stored.low if math.isfinite(stored.low) else stored.high


def _outlined(placed: Placed, population: Population, bound: Bound) -> Placed:
    """Hold an outline to its window, and say how far it lies from the stored one."""
    placed = _in_window(placed, population, bound)
    anchor, stored = _anchor(placed.shape), _anchor(population.gate.stored)
    if len(anchor) != len(stored) or not anchor:
        return placed
    shift = anchor[0] - stored[0] if len(anchor) == 1 else math.dist(anchor, stored)
    units = [bound.unit(marker) for marker in population.markers]
    far = any(abs(now - then) > NEAR * unit for now, then, unit in zip(anchor, stored, units, strict=False))
    return replace(placed, shift=shift, status="moved" if far and placed.status == "found" else placed.status)


def _in_window(placed: Placed, population: Population, bound: Bound) -> Placed:
    within, shape = population.gate.settings.get("within"), placed.shape
    if within is None:
        return placed
    if isinstance(shape, Rectangle):
        cut, status = _clamped(shape.low[0], within, bound.unit(population.markers[0]))
        return replace(placed, shape=Rectangle((cut, *shape.low[1:]), shape.high), status=status)
    if isinstance(shape, Ellipse) and not all(
        low <= at <= high for at, (low, high) in zip(shape.centre, within, strict=True)
    ):
        centre = ", ".join(f"{at:g}" for at in shape.centre)
        raise GateError(f"the cluster's centre ({centre}) lies outside its window")
    return placed


def _anchor(shape: Shape | None) -> tuple[float, ...]:
    """Return what the movement of an outline is measured at: an ellipse's centre, a cut's edge."""
    if isinstance(shape, Ellipse):
        return shape.centre
    return shape.low[:1] if isinstance(shape, Rectangle) and math.isfinite(shape.low[0]) else ()
