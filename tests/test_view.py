"""What a gate sees: only what it asks for, in the rows of its parent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builders import sample

from tregflow.compensation import match
from tregflow.sample import Spillover
from tregflow.transforms import Arcsinh, Identity, Linear, Log, Logicle, Transform
from tregflow.view import Bound

NAN, INF = float("nan"), float("inf")
MATRIX = np.array([[1.0, 0.25], [0.125, 1.0]])


def bound(
    columns: dict[str, Any],
    scales: dict[str, Transform] | None = None,
    *,
    mixes: tuple[str, ...] = (),
    **said: Any,
) -> Bound:
    """Return a file whose channels are their own markers; those in `mixes` spill into each other."""
    file = sample(columns, **said)
    compensation = match(Spillover(mixes, MATRIX, "made"), file) if mixes else None
    scales = scales if scales is not None else {name: Identity() for name in columns}
    return Bound(file, {name: file.names.index(name) for name in scales}, scales, compensation)


# ------------------------------------------------------------------------------- events left out


def test_an_event_that_is_not_finite_in_a_bound_channel_is_left_out() -> None:
    assert bound({"A": [1, NAN, 3, INF, -INF, 6], "B": [1, 2, 3, 4, 5, 6]}).finite().tolist() == [0, 2, 5]


def test_infinities_that_cancel_are_still_left_out() -> None:
    assert bound({"A": [INF, -INF, 3.0]}).finite().tolist() == [2]


def test_a_channel_that_nobody_asks_for_does_not_count() -> None:
    assert bound({"A": [1, 2], "B": [NAN, 2]}, {"A": Identity()}).finite().tolist() == [0, 1]


def test_a_detector_mixed_into_a_bound_one_counts() -> None:
    columns = {"A": [1, 2, 3], "B": [1, NAN, 3], "C": [1, 2, NAN]}
    mixed = bound(columns, {"A": Identity()}, mixes=("A", "B"))
    assert mixed.used == (0, 1)
    assert mixed.finite().tolist() == [0, 2]
    alone = bound(columns, {"C": Identity()}, mixes=("A", "B"))
    assert alone.used == (2,)
    assert alone.finite().tolist() == [0, 1]


def test_sums_beyond_every_number_are_not_mistaken_for_gaps() -> None:
    assert bound({"A": [1.5e308, 1.5e308, 1.0]}).finite().tolist() == [0, 1, 2]


def test_an_empty_file_has_an_empty_root() -> None:
    assert bound({"A": []}).finite().tolist() == []


# ----------------------------------------------------------------------------------------- values


def test_linear_values_are_compensated_where_the_matrix_says() -> None:
    true = np.array([[100.0, 0.0], [0.0, 80.0], [40.0, 40.0]])
    seen = true @ MATRIX
    file = bound({"A": seen[:, 0], "B": seen[:, 1], "FSC-A": [7, 8, 9]}, mixes=("A", "B"))
    np.testing.assert_allclose(file.linear("A", np.arange(3)), true[:, 0], atol=1e-12)
    np.testing.assert_allclose(file.linear("B", np.array([1, 2])), true[1:, 1], atol=1e-12)
    assert file.linear("FSC-A", np.array([2])).tolist() == [9]


def test_raw_values_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        bound({"A": [1, 2]}).raw[0][0] = 9


@pytest.mark.parametrize("mixes", [(), ("A", "B")])
def test_a_view_of_some_rows_is_the_view_of_all_to_the_bit(mixes: tuple[str, ...]) -> None:
    values = np.random.default_rng(6).lognormal(6, 2, (2, 3_000))
    file = bound({"A": values[0], "B": values[1]}, {"A": Logicle(), "B": Arcsinh(262144, 4.5)}, mixes=mixes)
    whole = file.view(("B", "A"), file.finite())
    rows = np.flatnonzero(np.random.default_rng(7).random(3_000) < 0.2)
    np.testing.assert_array_equal(file.view(("B", "A"), rows).points(), whole.points()[rows])
    np.testing.assert_array_equal(whole.at(rows).points(), whole.points()[rows])


def test_points_are_in_axis_units_in_the_order_of_the_markers() -> None:
    scales = {"A": Linear(10.0), "B": Identity()}
    points = bound({"A": [5, 10], "B": [1, 2]}, scales).view(("B", "A"), np.arange(2)).points()
    assert points.tolist() == [[1, 0.5], [2, 1]]


def test_a_view_without_markers_has_rows_and_no_axes() -> None:
    view = bound({"A": [1, 2, 3]}).view((), np.arange(3))
    assert view.points().shape == (3, 0)
    assert len(view) == 3


def test_rows_at_places_are_counted_in_the_view() -> None:
    view = bound({"A": range(10)}).view(("A",), np.array([2, 5, 7]))
    assert view.at(np.array([0, 2])).rows.tolist() == [2, 7]
    assert view.linear(0).tolist() == [2, 5, 7]


def test_members_of_a_population_are_found_among_the_rows() -> None:
    view = bound({"A": range(6)}).view(("A",), np.array([0, 2, 4, 5]), {"P": np.array([2, 3, 5])})
    assert view.belongs("P").tolist() == [False, True, False, True]
    with pytest.raises(KeyError):
        view.belongs("Q")


# ------------------------------------------------------------------------------------------ units


@pytest.mark.parametrize(
    "scale", [Logicle(), Arcsinh(262144, 4.5), Log(262144, 4.5), Linear(262144, 1000)], ids=str
)
def test_a_scaled_axis_has_length_one(scale: Transform) -> None:
    assert bound({"A": [1.0]}, {"A": scale}).unit("A") == 1


@pytest.mark.parametrize("span", [262144.0, 1024.0])
@pytest.mark.parametrize("share", [0.07, 0.5, 1.9])
def test_an_axis_in_the_files_own_units_is_as_long_as_its_range(span, share):
    assert bound({"A": [1.0, span * share]}, range={"A": span}).unit("A") == span


@pytest.mark.parametrize(("span", "length"), [(2.0**24, 32.0), (2.0**32, 32.0), (4.0, 32.0)])
def test_a_range_that_the_values_do_not_fill_or_leave_far_behind_says_nothing(span, length):
    assert bound({"A": [3.0, 18.0]}, range={"A": span}).unit("A") == length


def test_one_stray_value_does_not_set_the_length_of_an_axis():
    values = [*np.linspace(0, 900, 2_000), 1e12]
    assert bound({"A": values}).unit("A") == 1024


@pytest.mark.parametrize("span", [float("nan"), 0.0, float("inf")])
@pytest.mark.parametrize(
    ("values", "length"), [([1.0, -900.0], 1024.0), ([4.0], 8.0), ([0.75], 1.0), ([0.0], 1.0)]
)
def test_without_a_range_an_axis_is_the_power_of_two_above_its_values(span, values, length):
    assert bound({"A": [*values, float("nan")]}, range={"A": span}).unit("A") == length
