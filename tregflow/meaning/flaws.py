"""What is wrong with a shape that the grammar lets pass."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import combinations

from tregflow.gates.shapes import Ellipse, Interval, Polygon, Rectangle, Shape


def axes_of(shape: Shape) -> int | None:
    """Return on how many axes a shape stands; None for a combination."""
    if isinstance(shape, Interval):
        return 1
    if isinstance(shape, Polygon):
        return 2
    if isinstance(shape, Rectangle):
        return len(shape.low)
    return len(shape.centre) if isinstance(shape, Ellipse) else None


def flaw(shape: Shape) -> str:
    """Return what is wrong with a shape; nothing where it is right."""
    if isinstance(shape, Interval):
        return _edges_flaw([(shape.low, shape.high)])
    if isinstance(shape, Rectangle):
        return _rectangle_flaw(shape)
    if isinstance(shape, Polygon):
        return _polygon_flaw(shape)
    return _ellipse_flaw(shape) if isinstance(shape, Ellipse) else ""


def _polygon_flaw(shape: Polygon) -> str:
    (x0, y0), *others = shape.vertices
    arms = [(x - x0, y - y0) for x, y in others]
    is_line = all(ax * by == ay * bx for (ax, ay), (bx, by) in combinations(arms, 2))
    return "the corners lie on one line, so nothing lies inside" if is_line else ""


def _edges_flaw(edges: Iterable[tuple[float, float]]) -> str:
    edges = list(edges)
    for low, high in edges:
        if not low < high:
            return f"low is {low:g} and high {high:g}; low must be the smaller"
    if all(math.isinf(edge) for pair in edges for edge in pair):
        return "has no edge and would keep everything"
    return ""


def _rectangle_flaw(shape: Rectangle) -> str:
    if len(shape.low) != len(shape.high):
        return f"low has {len(shape.low)} edges and high {len(shape.high)}"
    return _edges_flaw(zip(shape.low, shape.high, strict=True))


def _ellipse_flaw(shape: Ellipse) -> str:
    size, matrix = len(shape.centre), shape.covariance
    if len(matrix) != size or any(len(row) != size for row in matrix):
        return f"the covariance must be {size} x {size}"
    return "" if shape.is_proper else "the covariance must be symmetric and positive definite"
