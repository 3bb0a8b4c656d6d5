"""Shapes: borders, crossings, combinations, and the way there and back to a template."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from builders import sample
from hypothesis import given
from hypothesis import strategies as st

from tregflow.gates.shapes import (
    And,
    Ellipse,
    Everything,
    Interval,
    Members,
    Not,
    Or,
    Polygon,
    Rectangle,
    Shape,
    from_mapping,
    members,
    named,
    parts,
    rounded,
    stretched,
)
from tregflow.transforms import Arcsinh, Identity, Linear, Log, Logicle, Transform
from tregflow.view import Bound, View

INFINITE = math.inf
SQUARE = Polygon(((1.0, 1.0), (3.0, 1.0), (3.0, 3.0), (1.0, 3.0)))
TRIANGLE = Polygon(((0.0, 0.0), (4.0, 0.0), (0.0, 4.0)))
BOW_TIE = Polygon(((0.0, 0.0), (4.0, 4.0), (4.0, 0.0), (0.0, 4.0)))
STAR = Polygon(tuple((math.sin(turn * 0.8 * math.pi), math.cos(turn * 0.8 * math.pi)) for turn in range(5)))


def view(
    *columns: Any, scales: tuple[Transform, ...] = (), groups: dict[str, list[int]] | None = None
) -> View:
    """Return events with one column per axis, in the file's own units unless there are scales."""
    markers = tuple("abc"[: len(columns)])
    file = sample(dict(zip(markers, columns, strict=True)))
    axes = dict(zip(markers, scales or (Identity(),) * len(columns), strict=True))
    bound = Bound(file, {marker: place for place, marker in enumerate(markers)}, axes)
    return bound.view(
        markers, bound.finite(), {name: np.array(rows) for name, rows in (groups or {}).items()}
    )


def inside(shape: Shape, *points: tuple[float, ...]) -> list[bool]:
    return shape.contains(view(*zip(*points, strict=True))).tolist()


# ---------------------------------------------------------------------------------------- borders


def test_an_interval_holds_its_low_edge_and_not_its_high_one() -> None:
    assert inside(Interval(1, 3), (0.9,), (1,), (2,), (3,), (3.1,)) == [False, True, True, False, False]
    assert inside(Interval(low=1), (0.9,), (1,), (1e300,)) == [False, True, True]
    assert inside(Interval(high=1), (-1e300,), (0.9,), (1,)) == [True, True, False]


def test_a_rectangle_is_an_interval_on_every_axis() -> None:
    box = Rectangle((1, 1), (3, INFINITE))
    assert inside(box, (1, 1), (1, 9), (3, 1), (2, 0.9), (0.9, 2)) == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("shape", "held", "left_out"),
    [
        (SQUARE, [(1, 1), (1, 2), (2, 1), (2, 2)], [(3, 2), (2, 3), (3, 3), (1, 3), (3, 1)]),
        (TRIANGLE, [(0, 0), (2, 0), (0, 2)], [(2, 2), (1, 3), (3, 1), (4, 0), (0, 4)]),
        (BOW_TIE, [(1, 2), (3, 2), (0.5, 1), (3.5, 1), (2, 2)], [(2, 1), (2, 3)]),
        (STAR, [(0, 0.9), (0, 0.5)], [(0, 0), (0.1, 0.1), (0.9, 0.9)]),
    ],
    ids=["square", "triangle", "bow tie", "star"],
)
def test_a_polygon_holds_its_left_and_bottom_edges(
    shape: Polygon, held: list[Any], left_out: list[Any]
) -> None:
    assert inside(shape, *held) == [True] * len(held)
    assert inside(shape, *left_out) == [False] * len(left_out)


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("order", [1, -1])
def test_a_polygon_does_not_care_where_it_begins_or_which_way_it_goes(turn: int, order: int) -> None:
    corners = SQUARE.vertices[turn:] + SQUARE.vertices[:turn]
    grid = np.array([(x, y) for x in range(5) for y in range(5)], float)
    np.testing.assert_array_equal(Polygon(corners[::order]).holds(grid), SQUARE.holds(grid))


def test_a_square_of_200_on_a_grid_of_256_holds_40000() -> None:
    x, y = (axis.ravel().astype(float) for axis in np.meshgrid(np.arange(256), np.arange(256)))
    for shape in (Polygon(((20.0, 20.0), (220.0, 20.0), (220.0, 220.0), (20.0, 220.0))),
                  Rectangle((20, 20), (220, 220))):  # fmt: skip
        assert len(members(shape, view(x, y))) == 40_000


def test_polygons_that_share_an_edge_share_no_event() -> None:
    x, y = (axis.ravel().astype(float) for axis in np.meshgrid(np.arange(41), np.arange(41)))
    corners, middle = [(0.0, 0.0), (40.0, 0.0), (40.0, 40.0), (0.0, 40.0)], (13.0, 29.0)
    pieces = [Polygon((corners[place], corners[(place + 1) % 4], middle)) for place in range(4)]
    held = np.sum([piece.contains(view(x, y)) for piece in pieces], axis=0)
    np.testing.assert_array_equal(held, Polygon(tuple(corners)).contains(view(x, y)))


def test_an_ellipse_holds_its_border() -> None:
    circle = Ellipse((2.0, 1.0), ((1.0, 0.0), (0.0, 1.0)), 4.0)
    assert (
        inside(circle, (4, 1), (0, 1), (2, 3), (2, -1), (4.0001, 1), (3.5, 2.5)) == [True] * 4 + [False] * 2
    )


def test_an_ellipse_leans_as_its_covariance_does() -> None:
    leaning = Ellipse((0.0, 0.0), ((1.0, 0.9), (0.9, 1.0)))
    assert inside(leaning, (0.9, 0.9), (0.9, -0.9), (0.2, -0.2)) == [True, False, True]


def test_an_ellipse_has_as_many_axes_as_its_centre() -> None:
    ball = Ellipse((0.0, 0.0, 0.0), ((1.0, 0.0, 0.0), (0.0, 4.0, 0.0), (0.0, 0.0, 9.0)))
    assert inside(ball, (0, 0, 3), (0, 2, 0), (1, 0, 0), (1, 1, 0), (0, 0, 3.1)) == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert inside(Ellipse((5.0,), ((4.0,),)), (3,), (7,), (2.9,)) == [True, True, False]


@pytest.mark.parametrize(
    ("covariance", "is_proper"),
    [
        (((1.0, 0.0), (0.0, 1.0)), True),
        (((1.0, 0.5), (0.4, 1.0)), False),
        (((1.0, 2.0), (2.0, 1.0)), False),
        (((0.0, 0.0), (0.0, 1.0)), False),
    ],
)
def test_a_covariance_is_symmetric_and_positive(covariance: Any, is_proper: bool) -> None:
    assert Ellipse((0.0, 0.0), covariance).is_proper is is_proper


# ------------------------------------------------------------------------------------------- scales


@pytest.mark.parametrize(
    "scale", [Logicle(), Arcsinh(262144, 4.5), Log(262144, 4.5), Linear(262144, 1000)], ids=str
)
def test_edges_are_axis_units(scale: Transform) -> None:
    x = np.random.default_rng(3).lognormal(6, 2, 2_000)
    events, axis = view(x, x[::-1], scales=(scale, Identity())), scale(x)
    low, high = np.quantile(axis, [0.2, 0.7]) + 1e-6
    np.testing.assert_array_equal(
        Rectangle((low, -INFINITE), (high, INFINITE)).contains(events), (axis >= low) & (axis < high)
    )
    top = x.max() + 1
    around = Polygon(((low, -1.0), (high, -1.0), (high, top), (low, top)))
    np.testing.assert_array_equal(around.contains(events), (axis >= low) & (axis < high))
    centre, reach = float((low + high) / 2), float((high - low) / 2)
    disc = Ellipse((centre, 0.0), ((reach**2, 0.0), (0.0, 1e30)))
    np.testing.assert_array_equal(disc.contains(events), np.abs(axis - centre) <= reach)


def test_on_a_linear_scale_an_edge_on_an_event_holds_it() -> None:
    scale, x = Linear(262144, 1000), np.random.default_rng(4).normal(5e3, 2e3, 2_000)
    for edge in scale(x):
        at = view(x, scales=(scale,))
        np.testing.assert_array_equal(Interval(low=float(edge)).contains(at), scale(x) >= edge)
        np.testing.assert_array_equal(Interval(high=float(edge)).contains(at), scale(x) < edge)


def test_what_has_no_logarithm_is_in_no_gate_on_that_axis() -> None:
    x, scale = np.array([-5.0, 0.0, 1e-9, 5.0]), Log(100, 2)
    events = view(x, x, scales=(scale, Identity()))
    everywhere = Rectangle((-INFINITE, -INFINITE), (INFINITE, INFINITE))
    assert everywhere.contains(events).tolist() == [False, False, True, True]
    assert Interval(high=9).contains(view(x, scales=(scale,))).tolist() == [False, False, True, True]
    wide = Polygon(((-99.0, -99.0), (99.0, -99.0), (99.0, 99.0), (-99.0, 99.0)))
    assert wide.contains(events).tolist() == [False, False, True, True]
    assert Ellipse((0.0, 0.0), ((1e6, 0.0), (0.0, 1e6))).contains(events).tolist() == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    "scale", [Logicle(), Arcsinh(262144, 4.5), Log(262144, 4.5), Linear(262144, 0)], ids=str
)
def test_a_corner_far_off_the_axis_opens_the_gate(scale: Transform) -> None:
    x = np.array([1.0, 100.0, 1e5])
    events = view(x, x, scales=(scale, scale))
    assert Interval(-1e4, 1e4).contains(view(x, scales=(scale,))).all()
    assert Polygon(((-1e4, -1e4), (1e4, -1e4), (1e4, 1e4), (-1e4, 1e4))).contains(events).all()


# ------------------------------------------------------------------------------------- combinations

shapes = st.sampled_from([SQUARE, TRIANGLE, BOW_TIE, STAR, Rectangle((0, 0), (2, INFINITE)), Members("odd"),
                          Ellipse((2.0, 2.0), ((2.0, 0.5), (0.5, 1.0))), Everything()])  # fmt: skip
combined = st.recursive(
    shapes,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=1, max_size=3).map(tuple).map(And),
        st.lists(inner, min_size=1, max_size=3).map(tuple).map(Or),
    ),
    max_leaves=5,
)
GRID = view(*(axis.ravel().astype(float) for axis in np.meshgrid(np.arange(-1, 6, 0.5), np.arange(-1, 6, 0.5))),
            groups={"odd": list(range(1, 196, 2))})  # fmt: skip


@given(one=combined, other=combined)
def test_combinations_are_sets(one: Shape, other: Shape) -> None:
    a, b = one.contains(GRID), other.contains(GRID)
    np.testing.assert_array_equal(And((one, other)).contains(GRID), a & b)
    np.testing.assert_array_equal(Or((one, other)).contains(GRID), a | b)
    np.testing.assert_array_equal(Not(one).contains(GRID), ~a)
    np.testing.assert_array_equal(
        Not(And((one, other))).contains(GRID), Or((Not(one), Not(other))).contains(GRID)
    )


@given(shape=combined)
def test_a_gate_and_its_complement_make_the_parent(shape: Shape) -> None:
    both = np.concatenate([members(shape, GRID), members(Not(shape), GRID)])
    np.testing.assert_array_equal(np.sort(both), GRID.rows)


@given(shape=combined, rows=st.sets(st.integers(0, len(GRID) - 1)))
def test_an_event_does_not_care_who_else_is_asked_for(shape: Shape, rows: set[int]) -> None:
    some = np.array(sorted(rows), dtype=np.intp)
    np.testing.assert_array_equal(shape.contains(GRID.at(some)), shape.contains(GRID)[some])


def test_a_population_is_named_by_its_members() -> None:
    assert members(Members("odd"), GRID).tolist() == list(range(1, 196, 2))
    assert named(And((Members("x"), Not(Or((Members("y"), SQUARE)))))) == ("x", "y")
    assert named(None) == named(SQUARE) == ()
    assert parts(Not(SQUARE)) == (SQUARE,)
    assert parts(SQUARE) == parts(None) == ()


@pytest.mark.parametrize("shape", [SQUARE, Rectangle((0, 0), (1, 1)), Ellipse((0.0, 0.0), ((1.0, 0.0), (0.0, 1.0))), Everything(),
                                   And((SQUARE, BOW_TIE)), Or((SQUARE, BOW_TIE)), Not(SQUARE)], ids=lambda shape: type(shape).__name__)  # fmt: skip
def test_of_nobody_a_shape_holds_nobody(shape: Shape) -> None:
    assert shape.contains(GRID.at(np.empty(0, np.intp))).shape == (0,)


# -------------------------------------------------------------------------------- there and back


@given(shape=combined)
def test_to_mapping_and_back(shape: Shape) -> None:
    written = shape.to_mapping()
    assert len(written) == 1
    assert from_mapping(written) == shape


@pytest.mark.parametrize(
    ("shape", "written"),
    [
        (Interval(low=0.5), {"interval": {"low": 0.5, "high": None}}),
        (
            Rectangle((0.1, -INFINITE), (INFINITE, 0.2)),
            {"rectangle": {"low": [0.1, None], "high": [None, 0.2]}},
        ),
        (TRIANGLE, {"polygon": {"vertices": [[0, 0], [4, 0], [0, 4]]}}),
        (
            Ellipse((0.5,), ((0.1,),), 2.0),
            {"ellipse": {"centre": [0.5], "covariance": [[0.1]], "distance": 2.0}},
        ),
        (And((Members("A"), Not(Members("B")))), {"and": [{"members": "A"}, {"not": {"members": "B"}}]}),
    ],
)
def test_a_shape_is_written_as_a_template_writes_it(shape: Shape, written: dict[str, Any]) -> None:
    assert shape.to_mapping() == written
    assert from_mapping(written) == shape


def test_a_text_in_a_combination_names_a_population() -> None:
    assert from_mapping({"or": ["A", {"not": "B"}]}) == Or((Members("A"), Not(Members("B"))))


def test_defaults_may_be_left_out() -> None:
    assert from_mapping({"interval": {"low": 1}}) == Interval(low=1)
    assert from_mapping({"ellipse": {"centre": [0], "covariance": [[1]]}}) == Ellipse((0.0,), ((1.0,),), 1.0)


THIRD = 1 / 3
PLACED: list[Shape] = [
    Interval(THIRD, INFINITE),
    Rectangle((-INFINITE, THIRD), (THIRD, 2 * THIRD)),
    Polygon(((0.0, 0.0), (THIRD, 0.0), (0.0, THIRD))),
    Ellipse((THIRD, THIRD), ((THIRD, 0.1 * THIRD), (0.1 * THIRD, THIRD)), THIRD),
]


@pytest.mark.parametrize("shape", PLACED, ids=lambda shape: type(shape).__name__)
def test_placed_shapes_lie_on_a_grid(shape: Shape) -> None:
    on_grid = rounded(shape)
    assert rounded(on_grid) == on_grid
    assert on_grid != shape
    written = on_grid.to_mapping()
    written.get("ellipse", {}).pop("covariance", None)  # has a grid of its own, see below
    flat = [value for value in np.ravel(_numbers(written)) if value is not None]
    assert all(round(value, 6) == value for value in flat)


@pytest.mark.parametrize("size", [1e-12, 1e-9, 1e-6, 1.0])
def test_rounding_leaves_a_thin_ellipse_an_ellipse(size: float) -> None:
    covariance = ((4 * size**2, 1.9 * size), (1.9 * size, 1.0))
    on_grid = rounded(Ellipse((0.5, 0.5), covariance, 9.0))
    assert isinstance(on_grid, Ellipse)
    assert on_grid.is_proper
    np.testing.assert_allclose(on_grid.covariance, covariance, rtol=1e-5)
    assert rounded(on_grid) == on_grid


@pytest.mark.parametrize("shape", PLACED, ids=lambda shape: type(shape).__name__)
def test_a_stretched_shape_holds_the_stretched_events(shape: Shape) -> None:
    axes = 1 if isinstance(shape, Interval) else 2
    units = (1024.0, 0.25)[:axes]
    points = np.random.default_rng(5).uniform(-0.2, 1.2, (axes, 500))
    wide = view(*(column * unit for column, unit in zip(points, units, strict=True)))
    np.testing.assert_array_equal(stretched(shape, units).contains(wide), shape.contains(view(*points)))


@pytest.mark.parametrize(
    "shape", [Everything(), Not(SQUARE), Members("A")], ids=lambda shape: type(shape).__name__
)
def test_only_shapes_that_methods_place_are_rounded_and_stretched(shape: Shape) -> None:
    with pytest.raises(TypeError, match=f"{type(shape).__name__} is not a shape that a method places"):
        rounded(shape)
    with pytest.raises(TypeError, match="is not a shape that a method places"):
        stretched(shape, (1.0,))


def _numbers(written: Any) -> list[Any]:
    if isinstance(written, dict):
        return [number for value in written.values() for number in _numbers(value)]
    if isinstance(written, list):
        return [number for value in written for number in _numbers(value)]
    return [written]
