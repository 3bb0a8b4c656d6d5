"""Where a template's words hold coordinates: the numbers that a laboratory moves, each with its axis."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tregflow.document import Trail
from tregflow.gates.shapes import OPEN, Ellipse, Interval, Polygon, Rectangle, Shape
from tregflow.grammar import SHAPES
from tregflow.transforms import Identity, Transform

Words = dict[str, Any]
Motion = Callable[[float], float]

DIGITS = 4
"""Decimals of a number on a scaled axis; significant digits of a spread."""

WHOLE = 1000.0
"""Size from which on a number in the file's own units is a whole one."""


@dataclass(frozen=True, slots=True)
class Place:
    """One coordinate in a gate's words.

    Parameters
    ----------
    trail : tuple of str or int
        The way to it, from the gate's own mapping.
    axis : int
        The axis that it lies on, counted from 0.
    part : str
        ``cut``, ``window``, ``edge``, ``corner`` or ``centre``.
    """

    trail: Trail
    axis: int
    part: str


def places(gate: Mapping[str, Any]) -> list[Place]:
    """Return every coordinate that a gate stores, as its words have them; open edges are none.

    Parameters
    ----------
    gate : mapping
        One key, a shape or a method, with its settings.
    """
    ((kind, said),) = gate.items()
    if kind in SHAPES:
        return list(_of_shape(gate, ()))
    return [*_of_stored(said.get("stored"), (kind, "stored")), *_of_window(said.get("within"), (kind, "within")),
            *(_of_shape(said["outline"], (kind, "outline")) if "outline" in said else ())]  # fmt: skip


def _of_stored(stored: Any, trail: Trail) -> Iterator[Place]:
    if isinstance(stored, Mapping):
        yield from _of_shape(stored, trail)
    elif stored is not None:
        yield Place(trail, 0, "cut")


def _of_window(within: Any, trail: Trail) -> Iterator[Place]:
    """Yield the edges of a window: one range of the first axis, or a range of each."""
    for place, edge in enumerate(within or ()):
        if isinstance(edge, Sequence):
            yield from (Place((*trail, place, side), place, "window") for side in (0, 1))
        else:
            yield Place((*trail, place), 0, "window")


def _of_shape(written: Mapping[str, Any], trail: Trail) -> Iterator[Place]:
    ((kind, said),) = written.items()
    here = (*trail, kind)
    if kind == "interval":
        yield from (Place((*here, side), 0, "edge") for side, edge in said.items() if edge is not None)
    elif kind == "rectangle":
        yield from (Place((*here, side, axis), axis, "edge") for side in ("low", "high")
                    for axis, edge in enumerate(said[side]) if edge is not None)  # fmt: skip
    elif kind == "polygon":
        yield from (Place((*here, "vertices", number, axis), axis, "corner")
                    for number in range(len(said["vertices"])) for axis in (0, 1))  # fmt: skip
    elif kind == "ellipse":
        yield from (Place((*here, "centre", axis), axis, "centre") for axis in range(len(said["centre"])))
    elif kind in ("and", "or"):
        for number, part in enumerate(said):
            yield from _of_part(part, (*here, number))
    elif kind == "not":
        yield from _of_part(said, here)


def _of_part(part: Any, trail: Trail) -> Iterator[Place]:
    """Yield the coordinates of a part of a combination; the name of a population has none."""
    if isinstance(part, Mapping):
        yield from _of_shape(part, trail)


# ------------------------------------------------------------------------------------- numbers


def at(content: Any, trail: Trail) -> Any:
    """Return what stands at a path."""
    for part in trail:
        content = content[part]
    return content


def put(content: Any, trail: Trail, value: Any) -> None:
    """Write a value at a path, in place."""
    at(content, trail[:-1])[trail[-1]] = value


def on_grid(value: float, scale: Transform) -> float:
    """Return a number as a template is written with it.

    Parameters
    ----------
    value : float
        Axis units.
    scale : Transform
        Of its axis.

    Returns
    -------
    float
        Four decimals on a scale; whole units, or four digits of small ones, in the file's own units.
    """
    if not isinstance(scale, Identity):
        return round(float(value), DIGITS)
    return round(float(value)) if abs(value) >= WHOLE else significant(value)


def significant(value: float) -> float:
    """Return a number to four significant digits."""
    return float(f"{value:.{DIGITS}g}")


def is_open(place: float, scale: Transform) -> bool:
    """Whether a corner only says that the outline is open on that side of a scaled axis."""
    return not isinstance(scale, Identity) and not OPEN[0] < place < OPEN[1]


def brightened(scale: Transform, decades: float) -> Motion:
    """Return the motion of coordinates when all light grows: linear values times ten to some decades.

    Parameters
    ----------
    scale : Transform
        Of the axis.
    decades : float
        Negative where light fades.

    Returns
    -------
    callable
        Axis units to axis units, on the grid of `on_grid`; an open side stays.
    """

    def motion(place: float) -> float:
        if is_open(place, scale):
            return place
        linear = scale.inverse(np.array([place])) * 10.0**decades
        return on_grid(float(scale(linear)[0]), scale)

    return motion


def shifted(scale: Transform, distance: float) -> Motion:
    """Return the motion of coordinates by one distance in axis units, on the grid of `on_grid`."""
    return lambda place: place if is_open(place, scale) else on_grid(place + distance, scale)


def moved(gate: Words, motions: Mapping[int, Motion], parts: Sequence[str] = ()) -> Words:
    """Return a gate's words with coordinates moved along some axes.

    Parameters
    ----------
    gate : dict
        Left alone.
    motions : mapping of int to callable
        By axis.
    parts : sequence of str
        Kinds of coordinates that move; all unless named.

    Returns
    -------
    dict
        An ellipse is stretched as its ends on the axis are.
    """
    gate = copy.deepcopy(gate)
    for place in places(gate):
        motion = motions.get(place.axis)
        if motion is None or (parts and place.part not in parts):
            continue
        if place.part == "centre":
            _stretch(at(gate, place.trail[:-2]), place.axis, motion)
        put(gate, place.trail, motion(at(gate, place.trail)))
    return gate


def _stretch(ellipse: Words, axis: int, motion: Motion) -> None:
    """Widen an ellipse's words as its ends along an axis part, before its centre has moved."""
    centre, covariance = ellipse["centre"][axis], ellipse["covariance"]
    reach = math.sqrt(ellipse.get("distance", 1.0) * covariance[axis][axis])
    factor = (motion(centre + reach) - motion(centre - reach)) / (2 * reach)
    for row, column in np.ndindex(len(covariance), len(covariance)):
        for _ in range((row == axis) + (column == axis)):
            covariance[row][column] = significant(covariance[row][column] * factor)


# -------------------------------------------------------------------------------------- shapes


def written(shape: Shape, scales: Sequence[Transform]) -> Words:
    """Return a placed shape as a template is written with it.

    Parameters
    ----------
    shape : Interval, Rectangle, Polygon or Ellipse
        Axis units.
    scales : sequence of Transform
        One for each axis.

    Returns
    -------
    dict
        On the grid of `on_grid`.
    """
    if isinstance(shape, Ellipse):
        covariance = [[significant(value) for value in row] for row in shape.covariance]
        return {"ellipse": {"centre": _on_grids(shape.centre, scales), "covariance": covariance,
                            "distance": significant(shape.distance)}}  # fmt: skip
    if isinstance(shape, Polygon):
        return {"polygon": {"vertices": [_on_grids(vertex, scales) for vertex in shape.vertices]}}
    if isinstance(shape, Rectangle):
        sides = {"low": shape.low, "high": shape.high}
        return {"rectangle": {side: _on_grids(edges, scales) for side, edges in sides.items()}}
    if isinstance(shape, Interval):
        edges = {"low": shape.low, "high": shape.high}
        return {
            "interval": {
                side: on_grid(edge, scales[0]) for side, edge in edges.items() if math.isfinite(edge)
            }
        }
    raise TypeError(f"{type(shape).__name__} is not a shape that a method places")


def _on_grids(point: Sequence[float], scales: Sequence[Transform]) -> list[float | None]:
    return [on_grid(place, scale) if math.isfinite(place) else None
            for place, scale in zip(point, scales, strict=True)]  # fmt: skip


def simplified(outline: Polygon, tolerance: float) -> Polygon:
    """Return an outline without the corners that it does not need (Ramer 1972, Douglas and Peucker 1973).

    Parameters
    ----------
    outline : Polygon
    tolerance : float
        The most that a left-out corner may lie from the new outline, axis units.

    Returns
    -------
    Polygon
        At least three of its corners.
    """
    corners = np.array(outline.vertices)
    far = int(np.square(corners - corners[0]).sum(axis=1).argmax())
    around = [*range(far, len(corners)), 0]
    kept = sorted({*_needed(corners, list(range(far + 1)), tolerance), *_needed(corners, around, tolerance)})
    return Polygon(tuple(outline.vertices[number] for number in kept)) if len(kept) > 2 else outline


def _needed(corners: np.ndarray[Any, Any], line: Sequence[int], tolerance: float) -> list[int]:
    """Return which corners of a line of them are needed: its ends, and what lies too far from between them."""
    start, end = corners[line[0]], corners[line[-1]]
    inner = corners[list(line[1:-1])]
    if not len(inner):
        return [line[0], line[-1]]
    away = _distances(inner, start, end)
    if away.max() <= tolerance:
        return [line[0], line[-1]]
    middle = int(away.argmax()) + 1
    return [*_needed(corners, line[: middle + 1], tolerance), *_needed(corners, line[middle:], tolerance)]


def _distances(points: np.ndarray[Any, Any], start: np.ndarray[Any, Any], end: np.ndarray[Any, Any]) -> Any:
    """Return how far points lie from the line between two others."""
    way = end - start
    squared = float(way @ way)
    shares = np.clip((points - start) @ way / squared, 0, 1) if squared else np.zeros(len(points))
    return np.hypot(*(points - start - shares[:, None] * way).T)
