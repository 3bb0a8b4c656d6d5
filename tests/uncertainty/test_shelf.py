"""A shelf's order comes from the events' values alone, and nothing on it is changed."""

from __future__ import annotations

import numpy as np
from builders import LOGICLE, above, gated, row, sample, template

from tregflow.gates.shapes import Interval, Rectangle, members
from tregflow.sample import Spillover
from tregflow.uncertainty.shelf import shelved

SCALES = {"fluorescence": LOGICLE}
GATES = [row("A", "root", ["CD4"], above(0.3)), row("B", "A", ["CD25"], above(0.3))]
RNG = np.random.default_rng(8)
CD4, CD25 = RNG.lognormal(6, 2, 500).round(), RNG.lognormal(6, 2, 500).round()
SPILL = Spillover(("CD4", "CD25"), np.array([[1.0, 0.2], [0.1, 1.0]]), "made")


def shelf(order=slice(None), cd4=CD4, cd25=CD25):
    stored = template(*GATES, scales=SCALES, compensation="file")
    return shelved(gated(stored, sample({"CD4": cd4[order], "CD25": cd25[order]}, spillover=SPILL)))


def columns(one):
    return np.array([part for marker in ("CD4", "CD25") for part in one.held.columns[marker]])


def test_events_in_another_order_lie_on_the_shelf_in_the_same():
    one, other = shelf(), shelf(np.random.default_rng(1).permutation(500))
    np.testing.assert_array_equal(columns(one), columns(other))
    assert {name: rows.tolist() for name, rows in one.members.items()} == {
        name: rows.tolist() for name, rows in other.members.items()
    }
    assert one.seed == other.seed


def test_events_that_are_the_same_may_lie_in_any_order():
    coarse = [column // 500 for column in (CD4, CD25)]
    one, other = shelf(cd4=coarse[0], cd25=coarse[1]), shelf(slice(None, None, -1), *coarse)
    np.testing.assert_array_equal(columns(one), columns(other))


def test_one_other_value_is_another_seed():
    changed = CD4.copy()
    changed[17] += 1
    assert shelf().seed != shelf(cd4=changed).seed


def test_every_event_is_there_once_with_all_its_values():
    stored = template(*GATES, scales=SCALES, compensation="file")
    file = gated(stored, sample({"CD4": CD4, "CD25": CD25}, spillover=SPILL))
    rows = np.arange(500)
    there = np.array([file.bound.linear("CD4", rows), file.bound.scaled("CD4", rows), file.bound.linear("CD25", rows),
                      file.bound.scaled("CD25", rows)])  # fmt: skip
    laid = columns(shelved(file))
    np.testing.assert_array_equal(np.unique(laid, axis=1), np.unique(there, axis=1))
    assert laid.shape == there.shape


def test_members_keep_their_values():
    one = shelf()
    assert one.events == 500
    for name, marker in (("A", "CD4"), ("B", "CD25")):
        inside = one.held.scaled(marker, one.members[name])
        assert (inside >= 0.3).all()
        assert (np.diff(one.members[name]) > 0).all()
    assert len(one.members["A"]) == int((one.held.columns["CD4"][1] >= 0.3).sum())


def test_events_without_a_number_are_not_on_it():
    broken = CD4.copy()
    broken[3] = np.nan
    assert shelf(cd4=broken).events == 499


def test_a_cut_counts_its_events_anew():
    one = shelf()
    rows = one.members["B"]
    cut = one.held.cut(["CD25"], rows)
    np.testing.assert_array_equal(cut.scaled("CD25", np.arange(len(rows))), one.held.scaled("CD25", rows))
    np.testing.assert_array_equal(cut.linear("CD25", np.array([2, 0])), one.held.linear("CD25", rows)[[2, 0]])


def test_a_draw_counts_its_events_anew():
    one, places = shelf(), np.array([3, 70, 71, 400])
    drawn = one.drawn(places)
    rows = np.array([0, 2])
    np.testing.assert_array_equal(drawn.scaled("CD25", np.arange(4)), one.held.columns["CD25"][1][places])
    np.testing.assert_array_equal(drawn.scaled("CD25", rows), one.held.columns["CD25"][1][places[rows]])


def test_gates_hold_the_same_events_of_a_draw_as_of_the_shelf():
    one = shelf()
    places = np.flatnonzero(np.random.default_rng(3).random(500) < 0.4)
    drawn, every = one.drawn(places), np.arange(len(places))
    for shape, markers in (
        (Interval(0.3, 0.6), ("CD4",)),
        (Rectangle((0.3, 0.2), (0.7, 0.8)), ("CD4", "CD25")),
    ):
        held = members(shape, one.held.view(markers, places))
        assert 10 < len(held) < len(places) - 10
        np.testing.assert_array_equal(places[members(shape, drawn.view(markers, every))], held)


def test_which_events_are_inside_is_known_of_every_population():
    one = shelf()
    assert {name: np.flatnonzero(mask).tolist() for name, mask in one.inside.items()} == {
        name: rows.tolist() for name, rows in one.members.items()
    }
