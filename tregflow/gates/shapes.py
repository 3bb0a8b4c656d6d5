"""Shapes: which events a gate contains, whoever placed it.

Borders are those of Gating-ML 2.0: ``low <= x < high``; polygons even-odd with left and bottom
edges in, right and top out; ellipses ``<=``. Coordinates are axis units. An interval's edge is
taken back to linear units and the events are compared there (on a linear scale, on the axis: no
event may fall to another side than in FlowKit); polygons and ellipses are first cut by their
bounding box in linear units, and only what lies inside is brought to the axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from tregflow.sample import BLOCK, Rows, Values
from tregflow.transforms import Identity, Linear, Transform
from tregflow.view import Mask, View

SLACK = 1e-9
"""Axis units (relative, in the file's own) by which a bounding box exceeds its shape: it must
never decide an event."""

Point = tuple[float, ...]


OPEN = (-0.2, 1.1)
"""Axis lengths beyond which a corner only says that the outline is open on that side."""


class Shape(Protocol):
    """A region of one population's axes."""

    def contains(self, view: View) -> Mask:
        """Return which of the view's rows lie inside."""

    def to_mapping(self) -> dict[str, Any]:
        """Return the shape as a template writes it."""


def members(shape: Shape, view: View) -> Rows:
    """Return the view's rows that lie inside a shape."""
    places = np.flatnonzero(shape.contains(view))
    return places if len(view) == len(view.bound.sample) else view.rows.take(places)


@dataclass(frozen=True, slots=True)
class Interval:
    """``low <= x < high`` on one axis.

    Parameters
    ----------
    low, high : float
        Axis units; infinite where open.
    """

    low: float = -math.inf
    high: float = math.inf

    def contains(self, view: View) -> Mask:
        """Return which rows lie between the edges."""
        return _within(view.linear(0), view.scale(0), self.low, self.high)

    def to_mapping(self) -> dict[str, Any]:
        """Return the shape as a template writes it."""
        return {"interval": {"low": _closed(self.low), "high": _closed(self.high)}}


@dataclass(frozen=True, slots=True)
class Rectangle:
    """``low <= x < high`` on every axis.

    Parameters
    ----------
    low, high : tuple of float
        One edge per axis, axis units; infinite where open.
    """

    low: Point
    high: Point

    def contains(self, view: View) -> Mask:
        """Return which rows lie between the edges of every axis."""
        places, _ = _boxed(view, self.low, self.high)
        return _mask(view, places)

    def to_mapping(self) -> dict[str, Any]:
        """Return the shape as a template writes it."""
        return {"rectangle": {"low": [_closed(edge) for edge in self.low],
                              "high": [_closed(edge) for edge in self.high]}}  # fmt: skip


@dataclass(frozen=True)
class Polygon:
    """A polygon on two axes, even-odd; it may cross itself.

    Parameters
    ----------
    vertices : tuple of (float, float)
        Axis units, in order; the last joins the first.
    """

    vertices: tuple[tuple[float, float], ...]

    def contains(self, view: View) -> Mask:
        """Return which rows lie inside."""
        if isinstance(view.scale(0), Identity) and isinstance(view.scale(1), Identity):
            # nothing to bring to an axis, so nothing to box
            return self._holds(view.linear(0), view.linear(1))
        corners = np.array(self.vertices)
        places, columns = _boxed(view, *_widened(corners.min(axis=0), corners.max(axis=0)))
        x, y = (view.scale(axis)(column) for axis, column in enumerate(columns))
        return _mask(view, places[self._holds(x, y)])

    def holds(self, points: Values) -> Mask:
        """Return which points lie inside; shape (n_points, 2) in, (n_points,) out."""
        return self._holds(*np.ascontiguousarray(points.T))

    def _holds(self, x: Values, y: Values) -> Mask:
        inside = np.zeros(len(x), bool)
        for start in range(0, len(x), BLOCK):
            block = slice(start, start + BLOCK)
            inside[block] = self._even_odd(x[block], y[block])
        return inside

    def _even_odd(self, x: Values, y: Values) -> Mask:
        """Count the edges to the right of each point, by the sign of the same product as FlowKit's.

        Dividing to find where an edge is crossed rounds differently: an event right on a slanted edge
        then falls to another side.
        """
        inside = np.zeros(len(x), bool)
        above = [y >= corner for _, corner in self.vertices]
        for end, ((x1, y1), (x2, y2)) in enumerate(
            zip((self.vertices[-1], *self.vertices[:-1]), self.vertices, strict=True)
        ):
            if y1 != y2:
                beside = np.flatnonzero(above[end - 1] ^ above[end])  # only these may cross the edge
                left = (y.take(beside) - y1) * (x2 - x1) - (x.take(beside) - x1) * (y2 - y1)
                inside[beside] ^= left > 0 if y2 > y1 else left < 0
        return inside

    def to_mapping(self) -> dict[str, Any]:
        """Return the shape as a template writes it."""
        return {"polygon": {"vertices": [list(vertex) for vertex in self.vertices]}}


@dataclass(frozen=True)
class Ellipse:
    """``(x - centre)' covariance^-1 (x - centre) <= distance`` on one or more axes.

    Parameters
    ----------
    centre : tuple of float
        Axis units.
    covariance : tuple of tuple of float
        Symmetric and positive definite, axis units squared.
    distance : float, default 1
        Squared Mahalanobis distance of the border (Gating-ML's ``distanceSquare``).
    """

    centre: Point
    covariance: tuple[Point, ...]
    distance: float = 1.0

    @cached_property
    def _precision(self) -> Values:
        return np.linalg.inv(np.array(self.covariance))

    @property
    def is_proper(self) -> bool:
        """Whether the covariance is symmetric and positive definite."""
        matrix = np.array(self.covariance)
        return np.array_equal(matrix, matrix.T) and bool(np.linalg.eigvalsh(matrix).min() > 0)

    def contains(self, view: View) -> Mask:
        """Return which rows lie inside or on the border."""
        reach = np.sqrt(self.distance * np.diag(np.array(self.covariance)))
        centre = np.array(self.centre)
        places, columns = _boxed(view, *_widened(centre - reach, centre + reach))
        scaled = [view.scale(axis)(column) for axis, column in enumerate(columns)]
        return _mask(view, places[self.holds(np.column_stack(scaled))])

    def holds(self, points: Values) -> Mask:
        """Return which points lie inside; shape (n_points, n_axes) in, (n_points,) out."""
        away = points - np.array(self.centre)
        squared = np.zeros(len(points))
        for row, column in np.ndindex(self._precision.shape):
            squared += self._precision[row, column] * away[:, row] * away[:, column]
        return squared <= self.distance

    def to_mapping(self) -> dict[str, Any]:
        """Return the shape as a template writes it."""
        return {"ellipse": {"centre": list(self.centre), "covariance": [list(row) for row in self.covariance],
                            "distance": self.distance}}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Members:
    """The members of a population gated before.

    Parameters
    ----------
    population : str
        Its name in the template.
    """

    population: str

    def contains(self, view: View) -> Mask:
        """Return which rows are members."""
        return view.belongs(self.population)

    def to_mapping(self) -> dict[str, Any]:
        """Return the shape as a template writes it."""
        return {"members": self.population}


@dataclass(frozen=True, slots=True)
class And:
    """Inside every part.

    Parameters
    ----------
    parts : tuple of Shape
        On the same axes.
    """

    parts: tuple[Shape, ...]

    def contains(self, view: View) -> Mask:
        """Return which rows lie inside every part."""
        places = np.arange(len(view))
        for part in self.parts:
            places = places[part.contains(view.at(places))]
        return _mask(view, places)

    def to_mapping(self) -> dict[str, Any]:
        """Return the shape as a template writes it."""
        return {"and": [part.to_mapping() for part in self.parts]}


@dataclass(frozen=True, slots=True)
class Or:
    """Inside at least one part.

    Parameters
    ----------
    parts : tuple of Shape
        On the same axes.
    """

    parts: tuple[Shape, ...]

    def contains(self, view: View) -> Mask:
        """Return which rows lie inside at least one part."""
        places = np.arange(len(view))
        for part in self.parts:
            places = places[~part.contains(view.at(places))]
        return ~_mask(view, places)

    def to_mapping(self) -> dict[str, Any]:
        """Return the shape as a template writes it."""
        return {"or": [part.to_mapping() for part in self.parts]}


@dataclass(frozen=True, slots=True)
class Not:
    """Outside a part, inside the parent.

    Parameters
    ----------
    part : Shape
        What is left out.
    """

    part: Shape

    def contains(self, view: View) -> Mask:
        """Return which rows lie outside the part."""
        return ~self.part.contains(view)

    def to_mapping(self) -> dict[str, Any]:
        """Return the shape as a template writes it."""
        return {"not": self.part.to_mapping()}


@dataclass(frozen=True, slots=True)
class Everything:
    """The whole parent: what a skipped gate leaves."""

    def contains(self, view: View) -> Mask:
        """Return every row."""
        return np.ones(len(view), bool)

    def to_mapping(self) -> dict[str, Any]:
        """Return the shape as outcomes write it."""
        return {"everything": {}}


def bounds(shape: Shape, axis: int, units: Point) -> tuple[float, float]:
    """Return the lowest and the highest edge of a shape on an axis; infinite where it is open.

    Parameters
    ----------
    shape : Shape
        Axis units.
    axis : int
        Counted from 0.
    units : tuple of float
        Length of each axis. An outline that leaves the axes is open on that side: what it does out there
        is nobody's edge.
    """
    if isinstance(shape, Interval):
        return shape.low, shape.high
    if isinstance(shape, Rectangle):
        return shape.low[axis], shape.high[axis]
    if not isinstance(shape, Polygon):
        return -math.inf, math.inf
    places = [corner[axis] for corner in _on_axes(shape, units)]
    if not places:
        return -math.inf, math.inf
    low, high = min(places), max(places)
    return (low if low > 0 else -math.inf), (high if high < units[axis] else math.inf)


def _on_axes(polygon: Polygon, units: Point) -> list[Point]:
    """Return the corners of what of a polygon lies on the axes (Sutherland and Hodgman, side by side)."""
    corners: list[Point] = list(polygon.vertices)
    for axis, unit in enumerate(units):
        for way, border in ((1.0, 0.0), (-1.0, -unit)):
            corners = list(_cut_off(corners, axis, way, border))
    return corners


def _cut_off(corners: Sequence[Point], axis: int, way: float, border: float) -> Iterator[Point]:
    """Yield the corners of what lies on one side of a border, ``way * x >= border``."""
    for start, end in zip([*corners[-1:], *corners[:-1]], corners, strict=True):
        before, after = way * start[axis] - border, way * end[axis] - border
        if before * after < 0:
            share = before / (before - after)
            yield tuple(a + share * (b - a) for a, b in zip(start, end, strict=True))
        if after >= 0:
            yield end


def named(shape: Shape | None) -> tuple[str, ...]:
    """Return the populations that a shape refers to."""
    if isinstance(shape, Members):
        return (shape.population,)
    return tuple(name for part in parts(shape) for name in named(part))


def negated(shape: Shape | None) -> tuple[str, ...]:
    """Return the populations that a shape leaves out somewhere."""
    if isinstance(shape, Not):
        return named(shape.part)
    return tuple(name for part in parts(shape) for name in negated(part))


def parts(shape: Shape | None) -> tuple[Shape, ...]:
    """Return what a combination combines."""
    if isinstance(shape, (And, Or)):
        return shape.parts
    return (shape.part,) if isinstance(shape, Not) else ()


def rounded(shape: Shape) -> Shape:
    """Return a placed shape on a grid of 1e-6 axis lengths, so that every machine counts alike."""
    if isinstance(shape, Interval):
        return Interval(round(shape.low, 6), round(shape.high, 6))
    if isinstance(shape, Rectangle):
        return Rectangle(_on_grid(shape.low), _on_grid(shape.high))
    if isinstance(shape, Polygon):
        return Polygon(tuple((round(x, 6), round(y, 6)) for x, y in shape.vertices))
    if isinstance(shape, Ellipse):
        return Ellipse(_on_grid(shape.centre), _on_own_grid(shape.covariance), round(shape.distance, 6))
    raise TypeError(f"{type(shape).__name__} is not a shape that a method places")


def _on_own_grid(covariance: tuple[Point, ...]) -> tuple[Point, ...]:
    """Return a covariance to nine digits of its spreads: rounding must not make a thin ellipse a line."""
    spread = [float(f"{math.sqrt(row[axis]):.6g}") for axis, row in enumerate(covariance)]
    return tuple(
        tuple(round(value / (own * other), 9) * own * other for value, other in zip(row, spread, strict=True))
        for row, own in zip(covariance, spread, strict=True)
    )


def _on_grid(point: Point, digits: int = 6) -> Point:
    return tuple(round(float(value), digits) for value in point)


def stretched(shape: Shape, units: Point) -> Shape:
    """Return a placed shape with every axis multiplied: from axis lengths to the template's units."""
    if isinstance(shape, Interval):
        return Interval(shape.low * units[0], shape.high * units[0])
    if isinstance(shape, Rectangle):
        return Rectangle(_times(shape.low, units), _times(shape.high, units))
    if isinstance(shape, Polygon):
        return Polygon(tuple((x * units[0], y * units[1]) for x, y in shape.vertices))
    if isinstance(shape, Ellipse):
        covariance = tuple(_times(row, tuple(unit * units[axis] for unit in units))
                           for axis, row in enumerate(shape.covariance))  # fmt: skip
        return Ellipse(_times(shape.centre, units), covariance, shape.distance)
    raise TypeError(f"{type(shape).__name__} is not a shape that a method places")


def _times(point: Point, units: Point) -> Point:
    return tuple(value * unit for value, unit in zip(point, units, strict=True))


def from_mapping(written: Mapping[str, Any]) -> Shape:
    """Return the shape that a checked mapping of one key describes.

    Parameters
    ----------
    written : mapping
        As `to_mapping` writes it; a text inside ``and``, ``or``, ``not`` names a population.
    """
    ((kind, settings),) = written.items()
    shape: Shape = _READERS[kind](settings)
    return shape


def _part(written: str | Mapping[str, Any]) -> Shape:
    return Members(written) if isinstance(written, str) else from_mapping(written)


def _interval(settings: Mapping[str, Any]) -> Interval:
    return Interval(*_edges([settings.get("low")], -math.inf), *_edges([settings.get("high")], math.inf))


def _rectangle(settings: Mapping[str, Any]) -> Rectangle:
    return Rectangle(_edges(settings["low"], -math.inf), _edges(settings["high"], math.inf))


def _polygon(settings: Mapping[str, Any]) -> Polygon:
    return Polygon(tuple((float(x), float(y)) for x, y in settings["vertices"]))


def _ellipse(settings: Mapping[str, Any]) -> Ellipse:
    covariance = tuple(tuple(map(float, row)) for row in settings["covariance"])
    return Ellipse(tuple(map(float, settings["centre"])), covariance, float(settings.get("distance", 1)))


_READERS: Mapping[str, Any] = {
    "interval": _interval,
    "rectangle": _rectangle,
    "polygon": _polygon,
    "ellipse": _ellipse,
    "members": Members,
    "and": lambda parts: And(tuple(map(_part, parts))),
    "or": lambda parts: Or(tuple(map(_part, parts))),
    "not": lambda part: Not(_part(part)),
    "everything": lambda _: Everything(),
}


def _edges(written: Sequence[float | None], open_edge: float) -> Point:
    return tuple(open_edge if edge is None else float(edge) for edge in written)


def _closed(edge: float) -> float | None:
    return edge if math.isfinite(edge) else None


def _widened(low: Values, high: Values) -> tuple[Point, Point]:
    slack = SLACK * np.maximum(1, np.maximum(np.abs(low), np.abs(high)))
    return tuple(low - slack), tuple(high + slack)


def _boxed(view: View, low: Point, high: Point) -> tuple[Rows, list[Values]]:
    """Return the places of rows between the edges, and their linear values on each axis.

    Each axis is looked at only where the one before it held.
    """
    places, columns = np.arange(len(view)), list[Values]()
    for axis in range(len(low)):
        narrowed = view.at(places) if columns else view
        x = narrowed.linear(axis)
        kept = np.flatnonzero(_within(x, view.scale(axis), low[axis], high[axis]))
        places, columns = places.take(kept), [column.take(kept) for column in (*columns, x)]
    return places, columns


def _within(x: Values, scale: Transform, low: float, high: float) -> Mask:
    """Return which linear values lie between two edges on a scale; what has no place on it does not."""
    edges, positive = [], scale.positive
    if isinstance(scale, Linear):
        # compared on the axis: every program rounds the same way there, and none back
        x, scale = scale(x), Identity()
    if math.isfinite(low):
        edges.append(x >= scale.inverse(np.array(low)))
    if math.isfinite(high):
        edges.append(x < scale.inverse(np.array(high)))
    if positive or not edges:
        edges.append(x > 0 if positive else np.ones(len(x), bool))
    return np.logical_and.reduce(edges) if len(edges) > 1 else edges[0]


def _mask(view: View, places: Rows) -> Mask:
    mask = np.zeros(len(view), bool)
    mask[places] = True
    return mask
