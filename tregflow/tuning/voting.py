"""What tubes say of a template: where each gate was found, and what lies in the middle of that.

A tube is gated, says what it has to say on a ballot, and can be let go of: a template is tuned on many
tubes and never on their events. A tube has a vote on a gate that was found in it without a doubt; a
stored cut that was used for want of another, a cut that stopped at the edge of its window and a gate
that someone must look at say nothing of where the template should have it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tregflow.checks import Verdict, judge
from tregflow.fingerprint import volts
from tregflow.gates.anchors import lying
from tregflow.gates.shapes import OPEN, Ellipse, Interval, Polygon, Rectangle, Shape
from tregflow.gating import Gated
from tregflow.gating.placing import Fitted, Walk
from tregflow.hierarchy import Kinds, Population
from tregflow.template import Template
from tregflow.transforms import Identity, Transform
from tregflow.tuning.coordinates import Words, at, on_grid, places, put, shifted, simplified, written

FOUND = ("found", "moved")
"""Status of a gate that a tube can vote for."""

TOLERANCE = 0.002
"""Axis units that a corner may lie from an outline that leaves it out: a hundredth of a decade."""

CELLS = 96
"""Cells along each axis on which outlines are compared."""

Point = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Lain:
    """Where a gate, the kinds of a model, or a reference was found in one tube.

    Parameters
    ----------
    shape : Shape or None
        Of a gate; None for a model, and where the tube has no vote.
    at, spread : tuple of tuple of float
        Of a model, by kind; of an anchored gate, its reference alone.
    why : str
        Why the tube has no vote.
    """

    shape: Shape | None = None
    at: tuple[Point, ...] = ()
    spread: tuple[Point, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Ballot:
    """What one gated tube says of a template.

    Parameters
    ----------
    sample : str
        Its name.
    percent : float
        The primary measure, 0 to 100; NaN where it is refused.
    verdict : str
        Of the primary measure.
    gates, models : mapping of str to Lain
        Of every gate, and model, that places itself.
    detectors : mapping of str to (str, float)
        ``$PnN`` and voltage of each marker; NaN where no voltage is stated.
    """

    sample: str
    percent: float
    verdict: Verdict
    gates: Mapping[str, Lain] = field(default_factory=dict)
    models: Mapping[str, Lain] = field(default_factory=dict)
    detectors: Mapping[str, tuple[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Vote:
    """How many tubes a stored gate was moved by.

    Parameters
    ----------
    name : str
        The gate or the model.
    voted, asked : int
        Tubes; where none voted the template keeps what it had.
    why : tuple of str
        Why others did not: the sample and the reason.
    """

    name: str
    voted: int
    asked: int
    why: tuple[str, ...] = ()


def ballot(sample: str, gated: Gated) -> Ballot:
    """Return what a gated tube says of its template.

    Parameters
    ----------
    sample : str
        What it is called.
    gated : Gated
        What `gate` returned.

    Returns
    -------
    Ballot
    """
    primary = judge(gated)[0]
    template, bound = gated.template, gated.bound
    gates = {one.name: _lain(one, gated) for one in template.populations if one.gate.method}
    models = {kinds.name: _of_kinds(gated.fitted.get(kinds.name)) for kinds in template.models}
    named = {marker: (bound.sample.names[place], volts(bound.sample.channels[place]))
             for marker, place in bound.channels.items()}  # fmt: skip
    return Ballot(sample, primary.percent.percent, primary.verdict, gates, models, named)


def _lain(population: Population, gated: Gated) -> Lain:
    placed = gated.placed[population.name]
    if placed.status not in FOUND or placed.doubts:
        said = [placed.reason, *(doubt.sentence for doubt in placed.doubts)]
        return Lain(why=", ".join([placed.status, *filter(None, said)]))
    if "outline" not in population.gate.settings:
        return Lain(placed.shape)
    reference = _reference(population, gated)
    return Lain(placed.shape, (reference[0],), (reference[1],))


def _reference(population: Population, gated: Gated) -> tuple[Point, Point]:
    """Return middle and spread of the population that an anchored gate followed, where it was found."""
    own = Walk(gated.bound, dict(gated.members))
    source = gated.others.controls.get(population.control, own) if population.control else own
    points = source.view(population.markers, population.gate.of or population.parent).points()
    return lying(points[np.isfinite(points).all(axis=1)])


def _of_kinds(fitted: Fitted | str | None) -> Lain:
    if not isinstance(fitted, Fitted):
        return Lain(why=fitted or "its population was not reached")
    if fitted.fit.doubts:
        return Lain(why="; ".join(doubt.sentence for doubt in fitted.fit.doubts))
    found = fitted.fit.found
    spread = np.sqrt(np.diagonal(found.covariances, axis1=1, axis2=2))
    return Lain(at=_points(found.means), spread=_points(spread))


def _points(rows: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[Point, ...]:
    return tuple(tuple(map(float, row)) for row in rows)


# --------------------------------------------------------------------------------------- counting


def to_found(content: Words, ballots: Sequence[Ballot], template: Template) -> tuple[Words, tuple[Vote, ...]]:
    """Return a template's words with what it stores of gates that place themselves where tubes had them.

    Parameters
    ----------
    content : dict
        Left alone.
    ballots : sequence of Ballot
        Of the tubes.
    template : Template
        What the words mean.

    Returns
    -------
    content : dict
        Cuts and outlines in the middle of where they were found, edge by edge; windows moved along with their cut; kinds
        of models at the medians of middle and spread; references of anchored gates at the median of theirs.
    votes : tuple of Vote
        For each gate that stores something, and each model.
    """
    content, votes = copy.deepcopy(content), []
    for population, words in zip(template.populations, content["populations"], strict=True):
        if population.gate.method and _stores(words["gate"]):
            seen = {one.sample: one.gates[population.name] for one in ballots}
            votes.append(_vote(population.name, seen))
            if found := [lain for lain in seen.values() if not lain.why]:
                words["gate"] = _gate(
                    words["gate"], found, [template.scales[one] for one in population.markers]
                )
    for kinds in template.models:
        seen = {one.sample: one.models[kinds.name] for one in ballots}
        votes.append(_vote(kinds.name, seen))
        if found := [lain for lain in seen.values() if not lain.why]:
            _move_kinds(content["models"][kinds.name], found, kinds, template)
    return content, tuple(votes)


def _stores(gate: Words) -> bool:
    """Whether a method has somewhere to write what was found: a window alone is no place."""
    ((_, said),) = gate.items()
    return said.get("stored") is not None or "outline" in said


def _vote(name: str, seen: Mapping[str, Lain]) -> Vote:
    why = tuple(f"{sample}: {lain.why}" for sample, lain in seen.items() if lain.why)
    return Vote(name, len(seen) - len(why), len(seen), why)


def _gate(gate: Words, found: Sequence[Lain], scales: Sequence[Transform]) -> Words:
    """Return the words of a gate that was found in some tubes."""
    gate = copy.deepcopy(gate)
    ((kind, said),) = gate.items()
    shape = middle([lain.shape for lain in found if lain.shape], scales)
    if isinstance(said.get("stored"), int | float):
        return _with_cut(gate, kind, shape, scales[0])
    outline = written(shape, scales)
    said |= {key: outline for key in ("stored", "outline") if said.get(key) is not None}
    for key in ("at", "spread"):
        if "outline" in said and said.get(key) is not None:
            here = _median([getattr(lain, key)[0] for lain in found], scales)
            said[key] = [None if was is None else now for was, now in zip(said[key], here, strict=True)]
    return gate


def _with_cut(gate: Words, kind: str, shape: Shape, scale: Transform) -> Words:
    assert isinstance(shape, Interval)
    here = on_grid(shape.low if math.isfinite(shape.low) else shape.high, scale)
    along = shifted(scale, here - gate[kind]["stored"])
    for place in places(gate):
        if place.part == "window":
            put(gate, place.trail, along(at(gate, place.trail)))
    gate[kind]["stored"] = here
    return gate


def _move_kinds(words: Words, found: Sequence[Lain], kinds: Kinds, template: Template) -> None:
    scales = [template.scales[marker] for marker in kinds.markers]
    for number, kind in enumerate(kinds.model.kinds):
        here = words["kinds"][kind.name]
        here["at"] = _median([lain.at[number] for lain in found], scales)
        here["spread"] = _median([lain.spread[number] for lain in found], scales)


def _median(points: Sequence[Point], scales: Sequence[Transform]) -> list[float]:
    return [on_grid(place, scale) for place, scale in zip(np.median(points, axis=0), scales, strict=True)]


# ----------------------------------------------------------------------------------- the middle


def middle(shapes: Sequence[Shape], scales: Sequence[Transform]) -> Shape:
    """Return the shape in the middle of those that some tubes have of one gate.

    Parameters
    ----------
    shapes : sequence of Shape
        At least one, axis units; all of one kind.
    scales : sequence of Transform
        One for each axis.

    Returns
    -------
    Shape
        Edges, corners and centres at their medians, an ellipse as wide as they are on average. Outlines whose corners do
        not correspond have no median: of these, the one that differs least from the others. Corners of an outline that
        lie within 0.002 of the line between others are left out.
    """
    first = shapes[0]
    if isinstance(first, Interval):
        return Interval(*_medians([(one.low, one.high) for one in shapes if isinstance(one, Interval)]))
    if isinstance(first, Rectangle):
        same = [one for one in shapes if isinstance(one, Rectangle)]
        return Rectangle(_medians([one.low for one in same]), _medians([one.high for one in same]))
    if isinstance(first, Ellipse):
        return _ellipse([one for one in shapes if isinstance(one, Ellipse)])
    outlines = [one for one in shapes if isinstance(one, Polygon)]
    outline = _outline(outlines)
    is_scaled = not any(isinstance(scale, Identity) for scale in scales)
    return simplified(outline, TOLERANCE) if is_scaled else outline


def _medians(points: Sequence[Point]) -> Point:
    """Return the median of each coordinate; an edge that is open is open in all."""
    return tuple(float(np.median(column)) if np.isfinite(column).all() else column[0]
                 for column in zip(*points, strict=True))  # fmt: skip


def _ellipse(ellipses: Sequence[Ellipse]) -> Ellipse:
    """Return the mean of ellipses about the median of their centres; a mean of covariances is one."""
    distance = ellipses[0].distance
    mean = np.mean([np.array(one.covariance) * (one.distance / distance) for one in ellipses], axis=0)
    return Ellipse(_medians([one.centre for one in ellipses]), _points(mean), distance)


def _outline(outlines: Sequence[Polygon]) -> Polygon:
    """Return the outline in the middle of several.

    A method that carries an outline, or looks for its corners in one order, has as many in every tube.
    """
    if len({len(one.vertices) for one in outlines}) == 1:
        corners = np.median([one.vertices for one in outlines], axis=0)
        return Polygon(tuple((float(x), float(y)) for x, y in corners))
    masks = _masks(outlines)
    differing = [sum(int((one ^ other).sum()) for other in masks) for one in masks]
    return outlines[differing.index(min(differing))]


def _masks(outlines: Sequence[Polygon]) -> list[np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    """Return which cells of one grid each outline contains; a grid of the axes, or of all outlines where these are longer."""
    corners = np.concatenate([one.vertices for one in outlines])
    low, high = np.maximum(corners.min(axis=0), OPEN[0]), corners.max(axis=0)
    high = np.where(high < 2, np.minimum(high, OPEN[1]), high)
    steps = (np.arange(CELLS) + 0.5) / CELLS
    x, y = (start + steps * (end - start) for start, end in zip(low, high, strict=True))
    grid = np.column_stack([np.repeat(x, CELLS), np.tile(y, CELLS)])
    return [one.holds(grid) for one in outlines]
