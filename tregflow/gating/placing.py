"""Placing one gate: what all gates share is applied here and nowhere else.

A method looks at events and has an answer, doubts about it, or none. Which events it looks at (its
parent's, another population's, a control tube's, several tubes' pooled), the side that is kept, the
window, the stored gate to fall back to and the grid that answers are rounded to are the same for
every method.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from tregflow.errors import GateError
from tregflow.gates import METHODS, is_cut, takes
from tregflow.gates.kinds import Fit, fit
from tregflow.gates.method import Doubt, Found
from tregflow.gates.mixtures import mixture
from tregflow.gates.shapes import (
    Ellipse,
    Everything,
    Interval,
    Rectangle,
    Shape,
    bounds,
    named,
    negated,
    rounded,
    stretched,
)
from tregflow.hierarchy import Gate, Kinds, Population, kept
from tregflow.sample import Rows, Values
from tregflow.view import Bound, Mask, View

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
        Axis units from the stored gate, of the edge that moved most; NaN where there is nothing to compare.
    shift_decades : float
        The same in decades; NaN on an axis that is not log-like.
    along : str
        The marker whose axis that edge lies on.
    of : str
        The population on whose events it was placed; empty for a stored gate.
    n_of : int
        Events of that population that have a place on the axes.
    off_axis : int
        Events of the parent that have no place on an axis of the gate: at or below zero on a log scale.
    tube : str
        The control tube that these events are of; empty for the sample's own.
    across : tuple of str
        Samples whose events were pooled with its own.
    evidence : mapping of str to float
        What the method says of its own answer.
    doubts : tuple of Doubt
        Why someone should look, though there is an answer.
    reason : str
        Why it fell back, was skipped or refused.
    """

    shape: Shape | None
    status: Status
    shift: float = math.nan
    shift_decades: float = math.nan
    along: str = ""
    of: str = ""
    n_of: int = 0
    off_axis: int = 0
    tube: str = ""
    across: tuple[str, ...] = ()
    evidence: Mapping[str, float] = field(default_factory=dict)
    doubts: tuple[Doubt, ...] = ()
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Fitted:
    """The kinds of cells in a population, as they were found in a tube.

    Parameters
    ----------
    fit : Fit
    axes : tuple of str
        Its markers.
    rows : ndarray of int, shape (n_points,)
        The events that it was fitted to.
    """

    fit: Fit
    axes: tuple[str, ...]
    rows: Rows


@dataclass(frozen=True, eq=False)
class Walk:
    """A tube on its way down the hierarchy.

    Parameters
    ----------
    bound : Bound
        The tube.
    members : dict of str to ndarray of int
        Populations reached so far.
    placed : dict of str to Placed
        Gates placed so far.
    fitted : dict of str to Fitted or str
        Models fitted so far, or why one could not be.
    weights : ndarray or None, shape (n_events,)
        How often each event counts; None for once each.
    before : mapping of str to Placed
        Gates as they were placed on the same events counted once each: where a draw starts from.
    starts : mapping of str to Fitted or str
        Models likewise.
    """

    bound: Bound
    members: dict[str, Rows]
    placed: dict[str, Placed] = field(default_factory=dict)
    fitted: dict[str, Fitted | str] = field(default_factory=dict)
    weights: Values | None = None
    before: Mapping[str, Placed] = field(default_factory=dict)
    starts: Mapping[str, Fitted | str] = field(default_factory=dict)

    def view(self, markers: Sequence[str], population: str) -> View:
        """Return a population's events under some markers."""
        return self.bound.view(tuple(markers), self.members[population], self.members)

    def counts(self, rows: Rows) -> Values | None:
        """Return how often each of some events counts."""
        return None if self.weights is None else self.weights.take(rows)

    @property
    def is_draw(self) -> bool:
        """Whether this is a draw of a file's events: where gates lie is asked of it, and nothing else is told."""
        return self.weights is not None

    @property
    def skipped(self) -> frozenset[str]:
        """Populations whose gate was skipped: nothing can be said of what lies outside them."""
        return frozenset(name for name, one in self.placed.items() if one.status == "skipped")


@dataclass(frozen=True, slots=True)
class Others:
    """What a gate may look at besides its own tube.

    Parameters
    ----------
    controls : mapping of str to Walk
        Control tubes of the same run, gated, by tube name.
    absent : mapping of str to str
        Why a control tube cannot be used, by tube name.
    companions : mapping of str to Walk
        Tubes whose events are pooled with its own, by sample.
    corrections : mapping of str to Shape
        What a reviewer drew, by population.
    """

    controls: Mapping[str, Walk] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    companions: Mapping[str, Walk] = field(default_factory=dict)
    corrections: Shapes = field(default_factory=dict)


ALONE = Others()


def place(population: Population, walk: Walk, others: Others = ALONE) -> Placed:
    """Place one gate.

    Parameters
    ----------
    population : Population
        The gate and its axes.
    walk : Walk
        The tube, as far as it has been gated.
    others : Others
        What it may look at besides.

    Returns
    -------
    Placed
    """
    fixed = others.corrections.get(population.name)
    shape = fixed or population.gate.stored
    if missing := _unreached(population, shape, walk):
        return Placed(None, "refused", reason=f"{missing} could not be placed")
    placed = _placed(population, walk, others, fixed or population.gate.stored)
    return replace(placed, off_axis=_off_axis(population, walk))


def _off_axis(population: Population, walk: Walk) -> int:
    """Return how many of the parent's events have no place on an axis of a gate: a log scale has none at and below zero."""
    scales = {
        marker: walk.bound.scales[marker] for marker in population.markers if marker in walk.bound.channels
    }
    rows = walk.members[population.parent]
    lost = np.zeros(len(rows), bool)
    for marker in (marker for marker, scale in scales.items() if scale.positive):
        lost |= walk.bound.linear(marker, rows) <= 0
    return int(lost.sum())


def _placed(population: Population, walk: Walk, others: Others, shape: Shape | None) -> Placed:
    """Place a gate whose parent is there."""
    fixed = others.corrections.get(population.name)
    if absent := [marker for marker in population.markers if marker not in walk.bound.channels]:
        return Placed(Everything(), "skipped", reason=f"no channel for {' and '.join(absent)}")
    if unknown := [name for name in negated(shape) if name in walk.skipped]:
        return Placed(
            Everything(), "skipped", reason=f"{unknown[0]} was skipped, so what lies outside it is not known"
        )
    if fixed or not population.gate.method:
        return _stored(population, shape, walk.bound, "corrected" if fixed else "stored")
    try:
        return _found(population, walk, others)
    except GateError as error:
        return _stored(population, shape, walk.bound, "fallback", str(error))


def _stored(
    population: Population, shape: Shape | None, bound: Bound, status: Status, reason: str = ""
) -> Placed:
    """Return a gate in stored coordinates, where there are some and they hold for this file."""
    strange = [marker for marker in population.markers if marker in bound.strange]
    if shape is not None and strange and status != "corrected":
        told = f"stored coordinates of {' and '.join(strange)} do not hold here: {bound.strange[strange[0]]}"
        return Placed(None, "refused", reason="; ".join(filter(None, [reason, told])))
    return Placed(shape, status if shape else "refused", reason=reason)


def _unreached(population: Population, shape: Shape | None, walk: Walk) -> str:
    """Return the first population that this one's members are taken from and that could not be placed."""
    needed = (population.parent, *named(shape))
    return next((name for name in needed if name not in walk.members), "")


def _found(population: Population, walk: Walk, others: Others) -> Placed:
    """Run the method and apply what the template says of every method."""
    placed = _parted(population, walk) if population.gate.model else _looked(population, walk, others)
    if is_cut(population.gate.method) or (population.gate.model and len(population.markers) == 1):
        placed = _kept(placed, population, walk.bound)
    else:
        placed = _in_window(placed, population, walk.bound)
    if not walk.is_draw:
        placed = _moved(placed, population, walk.bound)
    if any(doubt.kind == "bound" for doubt in placed.doubts):
        placed = replace(placed, status="at bound")
    return placed


# ------------------------------------------------------------------------------------ on events


@dataclass(frozen=True, slots=True)
class _Seen:
    """The events that a gate is placed on, in axis units, and how often each counts."""

    points: Values
    weights: Values | None


def _looked(population: Population, walk: Walk, others: Others) -> Placed:
    """Place a gate on the events of one population, of its own tube, of a control or of several."""
    gate, of = population.gate, population.gate.of or population.parent
    source = _source(population, walk, others)
    peers = [] if gate.across == "sample" else sorted(others.companions.items())
    pooled = [source, *(peer for _, peer in peers if of in peer.members)]
    seen = _pooled([_events(one, population.markers, of) for one in pooled])
    if len(seen.points) < gate.least:
        raise GateError(
            f"{_whose(population, of)} has {len(seen.points):,} events, {gate.least:,} are needed"
        )
    found = _called(population, source, seen, walk.before.get(population.name))
    return Placed(found.shape, "found", of=of, n_of=len(seen.points), tube=population.control,
                  across=tuple(name for name, peer in peers if of in peer.members), evidence=found.evidence,
                  doubts=found.doubts)  # fmt: skip


def _source(population: Population, walk: Walk, others: Others) -> Walk:
    """Return the tube on whose events a gate is placed."""
    control, of = population.control, population.gate.of or population.parent
    source = others.controls.get(control, walk) if control else walk
    if control and control not in others.controls:
        raise GateError(others.absent.get(control, f"no {control} tube was given"))
    if of not in source.members:
        raise GateError(f"{_whose(population, of)} could not be placed")
    if missing := [marker for marker in population.markers if marker not in source.bound.channels]:
        raise GateError(f"the tube {control} has no channel for {' and '.join(missing)}")
    return source


def _whose(population: Population, of: str) -> str:
    return f"{of} of the tube {population.control}" if population.control else of


def _events(walk: Walk, markers: Sequence[str], of: str) -> _Seen:
    """Return the events that have a place on every axis: a log scale has none at and below zero."""
    view = walk.view(markers, of)
    points, weights = view.points(), walk.counts(view.rows)
    if np.isfinite(points).all():
        return _Seen(points, weights)
    has_place = np.isfinite(points).all(axis=1)
    weights = None if weights is None else weights[has_place]
    return _Seen(points[has_place], weights)


def _pooled(seen: Sequence[_Seen]) -> _Seen:
    if len(seen) == 1:
        return seen[0]
    counts = [one.weights if one.weights is not None else np.ones(len(one.points)) for one in seen]
    weights = None if all(one.weights is None for one in seen) else np.concatenate(counts)
    return _Seen(np.concatenate([one.points for one in seen]), weights)


def _called(population: Population, source: Walk, seen: _Seen, before: Placed | None) -> Found:
    """Return what the method found, in the template's units, rounded so that every machine agrees."""
    gate, bound = population.gate, source.bound
    units = tuple(bound.unit(marker) for marker in population.markers)
    settings = _settings(gate, units)
    if takes(gate.method, "scales"):
        settings["scales"] = tuple(bound.scales[marker] for marker in population.markers)
    near = before.shape if before and before.status in ("found", "moved") and before.shape else None
    if near is not None:
        near = (
            stretched(near, tuple(1 / unit for unit in units)) if any(unit != 1 for unit in units) else near
        )
        settings["near"] = _opened(near, gate)
    points = seen.points / np.array(units) if any(unit != 1 for unit in units) else seen.points
    found = METHODS[gate.method](points, seen.weights, **settings)
    return replace(found, shape=stretched(rounded(found.shape), units))


def _opened(shape: Shape, gate: Gate) -> Shape:
    """Return a placed cut as its method gave it: open above, whichever side was kept."""
    if isinstance(shape, Interval) and gate.keep == "below":
        return Interval(low=shape.high)
    return shape


def _settings(gate: Gate, units: tuple[float, ...]) -> dict[str, Any]:
    """Return a method's settings with windows in axis lengths."""
    settings = dict(gate.settings)
    if is_cut(gate.method) and takes(gate.method, "within"):
        settings["within"] = gate.within and tuple(edge / units[0] for edge in gate.within)
    elif settings.get("within") is not None:
        settings["within"] = _shrunk(settings["within"], units)
    return settings


def _shrunk(window: tuple[float | tuple[float, float], ...], units: tuple[float, ...]) -> tuple[object, ...]:
    """Return a window in axis lengths: one range of the first axis, or a range of each."""
    if isinstance(window[0], tuple):
        return tuple(tuple(edge / unit for edge in pair) for pair, unit in zip(window, units, strict=True))  # type: ignore[union-attr]
    return tuple(edge / units[0] for edge in window)  # type: ignore[operator]


# ------------------------------------------------------------------------------------- on kinds


def fitted(kinds: Kinds, walk: Walk) -> Fitted | str:
    """Fit a model to a tube, or say why it cannot be.

    Parameters
    ----------
    kinds : Kinds
        The model.
    walk : Walk
        The tube, gated down to the model's population.

    Returns
    -------
    Fitted or str
    """
    if absent := [marker for marker in kinds.markers if marker not in walk.bound.channels]:
        return f"no channel for {' and '.join(absent)}"
    if kinds.of not in walk.members:
        return f"{kinds.of} could not be placed"
    view = walk.view(kinds.markers, kinds.of)
    points, rows = view.points(), view.rows
    if not np.isfinite(points).all():
        has_place: Mask = np.logical_and.reduce(np.isfinite(points), axis=1)
        points, rows = points[has_place], rows[has_place]
    if len(points) < kinds.least:
        return f"{kinds.of} has {len(points):,} events, {kinds.least:,} are needed"
    start = walk.starts.get(kinds.name)
    near = start.fit if isinstance(start, Fitted) else None
    try:
        found = fit(points, kinds.model, walk.counts(rows), near, is_told=not walk.is_draw)
    except GateError as error:
        return str(error)
    return Fitted(found, kinds.markers, rows)


def _parted(population: Population, walk: Walk) -> Placed:
    """Place a gate between the kinds of a model."""
    gate, model = population.gate, walk.fitted[population.gate.model]
    if isinstance(model, str):
        raise GateError(model)
    axes = tuple(model.axes.index(marker) for marker in population.markers)
    inside = np.zeros(len(walk.bound.sample), bool)
    inside[walk.members[population.parent]] = True
    found = mixture(model.fit, axes, inside[model.rows], not walk.is_draw, **gate.settings)
    return Placed(rounded(found.shape), "found", of=gate.of, n_of=len(model.rows),
                  evidence=found.evidence, doubts=tuple(_of_model(found.doubts, model.fit, gate.model)))  # fmt: skip


def _of_model(doubts: Iterable[Doubt], fitted: Fit, name: str) -> Iterator[Doubt]:
    """Yield a gate's doubts; those of the model carry its name, so that gates that share it say them once."""
    yield from (replace(doubt, whose=name) if doubt in fitted.doubts else doubt for doubt in doubts)


# ------------------------------------------------------------------------------ beside the stored


def _kept(placed: Placed, population: Population, bound: Bound) -> Placed:
    """Clamp a cut to its window, and turn it to the side that is kept."""
    gate, marker = population.gate, population.markers[0]
    assert isinstance(placed.shape, Interval)
    cut, status = _clamped(placed.shape.low, gate.within, bound.unit(marker))
    return replace(placed, shape=kept(cut, gate.keep), status=status)


def _clamped(cut: float, within: tuple[float, float] | None, unit: float) -> tuple[float, Status]:
    if within is None:
        return cut, "found"
    low, high = within
    grid = 1e-6 * unit
    if cut <= low + grid:
        return low, "at bound"
    return (high, "at bound") if cut >= high - grid else (cut, "found")


def _in_window(placed: Placed, population: Population, bound: Bound) -> Placed:
    """Hold an outline to its window."""
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


def _moved(placed: Placed, population: Population, bound: Bound) -> Placed:
    """Say how far a gate lies from the stored one: the edge, or the centre, that moved most."""
    assert placed.shape is not None
    units = tuple(bound.unit(marker) for marker in population.markers)
    shifts = _shifts(placed.shape, population.gate.stored, units)
    if not shifts:
        return placed
    share, axis = max(shifts, key=lambda one: abs(one[0]))
    marker, shift = population.markers[axis], share * units[axis]
    moved: Status = "moved" if abs(share) > NEAR and placed.status == "found" else placed.status
    return replace(
        placed, status=moved, shift=shift, shift_decades=shift / bound.scales[marker].decade, along=marker
    )


def _shifts(now: Shape, then: Shape | None, units: tuple[float, ...]) -> list[tuple[float, int]]:
    """Return by how many axis lengths each edge of a shape, or its centre, moved, with its axis; open edges have not."""
    if isinstance(now, Ellipse) and isinstance(then, Ellipse):
        return [(float(new - old) / unit, axis)
                for axis, (new, old, unit) in enumerate(zip(now.centre, then.centre, units, strict=True))]  # fmt: skip
    if then is None or isinstance(then, Ellipse):
        return []
    edges = [(axis, *pair) for axis in range(len(units))
             for pair in zip(bounds(now, axis, units), bounds(then, axis, units), strict=True)]  # fmt: skip
    return [
        (float(new - old) / units[axis], axis)
        for axis, new, old in edges
        if math.isfinite(new) and math.isfinite(old)
    ]
