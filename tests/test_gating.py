"""The walk keeps every child inside its parent; placing applies what all gates share."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builders import LOGICLE, above, gated, row, sample, template, two_peaks
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tregflow.gates.shapes import And, Interval, Members, Rectangle
from tregflow.sample import Channel, Sample

PEAKS = two_peaks()
VALLEY = {"keep": "above"}


def one(gate, values=PEAKS, markers=("CD4",), *, scales=None, channels=None, **more):
    """Return how one gate on one file was placed, and the file gated."""
    settings = {"scales": scales} if scales else {}
    stored = template(row("A", "root", list(markers), gate), **settings)
    columns = values if isinstance(values, dict) else {"CD4": values}
    result = gated(stored, sample(columns, **(channels or {})), **more)
    return result.placed["A"], result


# ---------------------------------------------------------------------------------------- the walk


def test_a_child_is_looked_for_among_its_parents_members():
    stored = template(row("A", "root", ["CD4"], above(0.5)), row("B", "A", ["CD8"], above(0.5)))
    result = gated(stored, sample({"CD4": [0, 1, 1, 0], "CD8": [1, 0, 1, 1]}))
    assert {name: rows.tolist() for name, rows in result.members.items()} == {
        "root": [0, 1, 2, 3], "A": [1, 2], "B": [2],
    }  # fmt: skip


def test_combinations_of_names():
    gates = [row("A", "root", ["CD4"], above(0.5)), row("B", "root", ["CD8"], above(0.5))]
    both = row("both", "root", [], {"and": ["A", "B"]})
    neither = row("neither", "root", [], {"not": {"or": ["A", "B"]}})
    only = row("only A", "A", ["CD8"], {"and": [{"not": "B"}, {"interval": {"high": 9}}]})
    result = gated(template(*gates, both, neither, only), sample({"CD4": [0, 1, 1, 0], "CD8": [1, 0, 1, 0]}))
    assert [result.members[name].tolist() for name in ("both", "neither", "only A")] == [[2], [3], [1]]


def test_a_population_of_the_whole_file():
    result = gated(template(row("A", "root", [], {"members": "root"})), sample({"CD4": [0, 1]}))
    assert result.members["A"].tolist() == [0, 1]


EDGES = st.floats(-2, 2).map(lambda value: round(value, 2))
POINTS = arrays(np.float64, st.tuples(st.integers(0, 60), st.just(2)), elements=EDGES)


@st.composite
def gates(draw, names):
    low, high = sorted([draw(EDGES), draw(EDGES)])
    kind = draw(st.sampled_from(["rectangle", "polygon", "ellipse", "not", "or"]))
    if kind in {"not", "or"}:
        part = draw(st.sampled_from(names)) if names else draw(gates([]))
        return (
            {"not": part}
            if kind == "not"
            else {"or": [part, {"rectangle": {"low": [low, None], "high": [None, None]}}]}
        )
    return {
        "rectangle": {"rectangle": {"low": [low, None], "high": [None, high]}},
        "polygon": {"polygon": {"vertices": [[low, -1.0], [high + 0.5, -1.0], [0.0, 1.5], [low, 1.0]]}},
        "ellipse": {
            "ellipse": {"centre": [low, high], "covariance": [[0.5, 0.1], [0.1, 0.3]], "distance": 2.0}
        },
    }[kind]


@st.composite
def hierarchies(draw):
    rows = []
    for number in range(draw(st.integers(1, 5))):
        names = [f"P{above}" for above in range(number)]
        rows.append(
            row(f"P{number}", draw(st.sampled_from(["root", *names])), ["CD4", "CD8"], draw(gates(names)))
        )
    return rows


@given(hierarchies(), POINTS)
def test_a_child_lies_inside_its_parent(rows, points):
    stored = template(*rows)
    result = gated(stored, sample({"CD4": points[:, 0], "CD8": points[:, 1]}))
    for population in stored.populations:
        members = result.members[population.name]
        assert np.isin(members, result.members[population.parent]).all()
        assert (np.diff(members) > 0).all()


@given(gates([]), POINTS)
def test_a_gate_and_its_complement_make_the_parent(gate, points):
    parent = row("P", "root", ["CD4", "CD8"], {"rectangle": {"low": [-1, -1], "high": [None, None]}})
    both = [row("in", "P", ["CD4", "CD8"], gate), row("out", "P", ["CD4", "CD8"], {"not": gate})]
    result = gated(template(parent, *both), sample({"CD4": points[:, 0], "CD8": points[:, 1]}))
    joined = np.sort(np.concatenate([result.members["in"], result.members["out"]]))
    np.testing.assert_array_equal(joined, result.members["P"])


def test_events_that_are_not_numbers_are_left_out_of_the_root_and_counted():
    stored = template(row("A", "root", ["CD4"], {"not": {"interval": {"low": 0.5}}}))
    result = gated(stored, sample({"CD4": [0.1, np.nan, np.inf, 0.9], "CD8": [np.nan, 1, 1, 1]}))
    assert result.members["root"].tolist() == [0, 3]
    assert result.members["A"].tolist() == [0]
    assert [finding.code for finding in result.findings] == ["F-NONFINITE"]
    assert "2 of 4 events have a value that is not a finite number" in result.findings[0].sentence


def test_few_of_them_are_a_note():
    values = np.r_[np.nan, np.zeros(1999)]
    _, result = one(above(0.5), values)
    assert [finding.code for finding in result.findings] == ["N-NONFINITE"]


# ------------------------------------------------------------------------------------------ statuses


def test_a_fixed_gate_is_stored():
    placed, _ = one(above(0.5))
    assert (placed.status, placed.shape, placed.of) == ("stored", Interval(low=0.5), "")
    assert math.isnan(placed.shift)


def test_a_gate_that_is_found_without_a_stored_one():
    placed, result = one({"valley": VALLEY})
    assert (placed.status, placed.of, placed.n_of) == ("found", "root", 4000)
    assert placed.shape.low == pytest.approx(0.5, abs=0.1)
    assert placed.shape.low == round(placed.shape.low, 6)
    assert len(result.members["A"]) == 2000
    assert math.isnan(placed.shift)
    assert placed.evidence["peaks"] == 2


def test_a_gate_that_is_found_where_it_is_stored():
    cut = one({"valley": VALLEY})[0].shape.low
    placed, _ = one({"valley": {**VALLEY, "stored": cut - 0.0199}})
    assert placed.status == "found"
    assert placed.shift == pytest.approx(0.0199)


def test_a_gate_that_moved_says_by_how_much():
    cut = one({"valley": VALLEY})[0].shape.low
    placed, _ = one({"valley": {**VALLEY, "stored": cut - 0.0201, "within": [0.1, 0.9]}})
    assert placed.status == "moved"
    assert placed.shift == pytest.approx(0.0201)
    assert math.isnan(placed.shift_decades)


def test_a_shift_is_told_in_decades_on_a_log_like_axis():
    values = 10 ** two_peaks(2.0, 4.0, spread=0.1)
    placed, _ = one({"valley": {**VALLEY, "stored": 0.4}}, values, scales={"fluorescence": LOGICLE})
    assert placed.status == "moved"
    assert placed.shift_decades == pytest.approx(placed.shift * 4.5)


def test_below_keeps_the_other_side():
    up, _ = one({"valley": VALLEY})
    down, result = one({"valley": {"keep": "below", "stored": 0.3}})
    assert down.shape == Interval(high=up.shape.low)
    assert down.shift == pytest.approx(up.shape.low - 0.3)
    assert len(result.members["A"]) == 2000


@pytest.mark.parametrize(("within", "bound"), [([0.8, 0.9], 0.8), ([0.05, 0.1], 0.1)])
@pytest.mark.parametrize(("keep", "edge"), [("above", "low"), ("below", "high")])
def test_a_cut_stops_at_its_window(within, bound, keep, edge):
    at = {"quantile": {"keep": keep, "at": 0.5, "within": within, "stored": sum(within) / 2}}
    placed, _ = one(at, np.linspace(0.3, 0.5, 500))
    assert placed.status == "at bound"
    assert getattr(placed.shape, edge) == bound
    assert placed.shift == pytest.approx(bound - sum(within) / 2)


def test_a_cut_right_at_the_bound_is_at_bound():
    placed, _ = one(
        {"quantile": {"keep": "above", "at": 0.5, "within": [0.4, 0.6]}}, np.linspace(0.3, 0.5, 501)
    )
    assert placed.status == "at bound"
    assert math.isnan(placed.shift)


def test_one_peak_falls_back_to_the_stored_cut_with_the_reason():
    placed, result = one({"valley": {**VALLEY, "stored": 0.5, "within": [0.4, 0.6]}}, PEAKS[:2000])
    assert (placed.status, placed.shape) == ("fallback", Interval(low=0.5))
    assert "one peak" in placed.reason
    assert len(result.members["A"]) == 0
    assert (placed.of, placed.n_of) == ("", 0)


def test_without_a_stored_cut_the_population_is_refused_and_all_below_it():
    rows = [
        row("A", "root", ["CD4"], {"valley": VALLEY}),
        row("B", "A", ["CD4"], above(0.1)),
        row("C", "root", ["CD4"], above(0.1)),
    ]
    result = gated(template(*rows, row("D", "C", [], {"not": "B"})), sample({"CD4": PEAKS[:2000]}))
    assert [result.placed[name].status for name in "ABCD"] == ["refused", "refused", "stored", "refused"]
    assert [result.placed[name].shape for name in "ABD"] == [None] * 3
    assert "A could not be placed" in result.placed["B"].reason
    assert "B could not be placed" in result.placed["D"].reason
    assert set(result.members) == {"root", "C"}


@pytest.mark.parametrize(("events", "status"), [(199, "fallback"), (200, "found")])
def test_least_is_the_fewest_events_to_place_a_gate_on(events, status):
    placed, _ = one({"quantile": {"keep": "above", "at": 0.5, "stored": 0.5}}, np.linspace(0, 1, events))
    assert placed.status == status
    if status == "fallback":
        assert placed.reason == "root has 199 events, 200 are needed"


def test_an_empty_parent_falls_back():
    rows = [
        row("A", "root", ["CD4"], above(99)),
        row("B", "A", ["CD4"], {"valley": {**VALLEY, "stored": 0.5}}),
    ]
    placed = gated(template(*rows), sample({"CD4": PEAKS})).placed["B"]
    assert (placed.status, placed.reason) == ("fallback", "A has 0 events, 200 are needed")


# ------------------------------------------------------------------------------------ of a reference


def reference(gate=None, **said):
    """A cut on B's axis is placed on the events of a reference population."""
    return [
        row("ref", "root", ["CD25"], gate or {"interval": {"high": 0.5}}, role="reference"),
        row("A", "root", ["CD25"], above(0.5)),
        row("B", "A", ["CD4"], {"quantile": {"keep": "above", "at": 0.9, "of": "ref", **said}}),
    ]


FILE = {"CD25": np.repeat([0.0, 1.0], 500), "CD4": np.r_[np.linspace(0, 1, 500), np.linspace(0.8, 1.8, 500)]}


def test_a_gate_is_placed_on_its_reference_and_cuts_its_parent():
    result = gated(template(*reference()), sample(FILE))
    placed = result.placed["B"]
    assert (placed.status, placed.of, placed.n_of) == ("found", "ref", 500)
    assert placed.shape.low == pytest.approx(0.9, abs=0.001)
    assert result.members["B"].min() >= 500
    assert len(result.members["B"]) == pytest.approx(450, abs=2)


def test_a_reference_that_is_refused_makes_a_gate_fall_back():
    unplaced = {"quantile": {"keep": "below", "at": 0.5, "least": 5000}}
    placed = gated(template(*reference(unplaced, stored=1.0)), sample(FILE)).placed["B"]
    assert (placed.status, placed.shape, placed.reason) == (
        "fallback",
        Interval(low=1.0),
        "ref could not be placed",
    )


def test_or_be_refused_where_nothing_is_stored():
    unplaced = {"quantile": {"keep": "below", "at": 0.5, "least": 5000}}
    result = gated(template(*reference(unplaced)), sample(FILE))
    assert (result.placed["B"].status, result.placed["B"].reason) == ("refused", "ref could not be placed")
    assert "B" not in result.members


# --------------------------------------------------------------------------------------- skipped


def optional(*rows):
    return template(*rows, markers={"CD4": {}, "LD": {"optional": True}})


def test_a_gate_without_its_marker_keeps_everything_and_says_so():
    stored = optional(
        row("Live", "root", ["LD"], {"valley": {**VALLEY, "keep": "below"}}),
        row("A", "Live", ["CD4"], above(0.5)),
    )
    result = gated(stored, sample({"CD4": [0.1, 0.9]}))
    assert (result.placed["Live"].status, result.placed["Live"].reason) == ("skipped", "no channel for LD")
    assert result.members["Live"].tolist() == [0, 1]
    assert result.members["A"].tolist() == [1]


def test_one_of_two_axes_is_enough_to_skip():
    stored = optional(
        row("A", "root", ["CD4", "LD"], {"rectangle": {"low": [0.5, 0.5], "high": [None, None]}})
    )
    assert gated(stored, sample({"CD4": [0.1, 0.9]})).placed["A"].status == "skipped"


# ------------------------------------------------------------------------------------- corrected


def test_a_correction_goes_before_everything():
    placed, result = one(
        {"valley": {**VALLEY, "stored": 0.5}}, corrections={"A": Interval(low=0.1, high=0.3)}
    )
    assert (placed.status, placed.shape) == ("corrected", Interval(low=0.1, high=0.3))
    assert len(result.members["A"]) == pytest.approx(2000, abs=10)


def test_a_correction_may_name_populations():
    rows = [row("A", "root", ["CD4"], above(0.5)), row("B", "root", ["CD4"], above(0.1))]
    result = gated(
        template(*rows), sample({"CD4": [0.2, 0.6]}), corrections={"B": And((Members("A"), Interval(high=9)))}
    )
    assert result.members["B"].tolist() == [1]


def test_a_correction_mends_a_gate_that_could_not_be_placed():
    rows = [row("A", "root", ["CD4"], {"valley": VALLEY}), row("B", "A", ["CD4"], above(0.1))]
    result = gated(template(*rows), sample({"CD4": PEAKS[:2000]}), corrections={"A": Interval(low=0.0)})
    assert [result.placed[name].status for name in "AB"] == ["corrected", "stored"]


def test_a_correction_below_a_refused_parent_cannot_be_applied():
    rows = [row("A", "root", ["CD4"], {"valley": VALLEY}), row("B", "A", ["CD4"], above(0.1))]
    result = gated(template(*rows), sample({"CD4": PEAKS[:2000]}), corrections={"B": Interval(low=0.0)})
    assert (result.placed["B"].status, result.placed["B"].reason) == ("refused", "A could not be placed")


def test_a_correction_of_a_gate_whose_marker_is_absent_cannot_be_applied():
    stored = optional(row("Live", "root", ["LD"], above(0.5)))
    assert (
        gated(stored, sample({"CD4": [1.0]}), corrections={"Live": Interval(low=0.1)}).placed["Live"].status
        == "skipped"
    )


# ------------------------------------------------------------------------------------------ units


def test_an_axis_in_the_files_own_units_is_as_long_as_its_range():
    values = 1000 * PEAKS
    settings = {"valley": {**VALLEY, "stored": 300.0, "within": [200.0, 800.0]}}
    raw, result = one(settings, {"FSC-A": values}, ["FSC-A"], channels={"range": {"FSC-A": 1000.0}})
    scaled, _ = one({"valley": {**VALLEY, "stored": 0.3, "within": [0.2, 0.8]}})
    assert raw.shape.low == pytest.approx(1000 * scaled.shape.low, abs=1e-3)
    assert (raw.status, raw.shift) == ("moved", pytest.approx(1000 * scaled.shift, abs=1e-3))
    assert math.isnan(raw.shift_decades)
    assert len(result.members["A"]) == 2000


def test_a_window_in_the_files_own_units_clamps_there():
    settings = {"quantile": {"keep": "above", "at": 0.5, "within": [700.0, 800.0]}}
    placed, _ = one(settings, {"FSC-A": np.linspace(300, 500, 500)}, ["FSC-A"])
    assert (placed.status, placed.shape.low) == ("at bound", 700.0)


def test_moved_is_measured_by_the_length_of_the_axis():
    for stored, status in ((389.0, "found"), (361.0, "moved")):
        placed, _ = one(
            {"quantile": {"keep": "above", "at": 0.5, "stored": stored}},
            {"FSC-A": np.linspace(300, 500, 501)},
            ["FSC-A"],
        )
        assert (placed.status, placed.shift) == (status, pytest.approx(400 - stored))


def test_the_window_of_a_cloud_is_in_the_units_of_its_axes():
    rng = np.random.default_rng(3)
    blobs = np.concatenate([rng.normal((200, 200), 20, (4000, 2)), rng.normal((700, 700), 30, (3000, 2))])
    columns = {"FSC-A": blobs[:, 0], "SSC-A": blobs[:, 1]}
    placed, result = one(
        {"cluster": {"within": [[500.0, 900.0], [500.0, 900.0]]}}, columns, ["FSC-A", "SSC-A"]
    )
    assert placed.status == "found"
    assert placed.shape.centre == pytest.approx((700, 700), abs=5)
    assert len(result.members["A"]) == pytest.approx(0.975 * 3000, rel=0.03)


def test_an_outline_says_how_far_it_moved_from_the_stored_one():
    rng = np.random.default_rng(3)
    blob = rng.normal((400, 300), 20, (4000, 2))
    stored = {"ellipse": {"centre": [400, 260], "covariance": [[400, 0], [0, 400]], "distance": 6}}
    placed, _ = one(
        {"cluster": {"stored": stored}}, {"FSC-A": blob[:, 0], "SSC-A": blob[:, 1]}, ["FSC-A", "SSC-A"]
    )
    assert placed.shift == pytest.approx(40, abs=2)


# --------------------------------------------------------------------------------- places on axes


def test_events_without_a_place_on_a_log_axis_do_not_spoil_a_cut():
    values = np.r_[10 ** np.linspace(2, 4, 1000), -np.ones(500), np.zeros(500)]
    scales = {"fluorescence": {"log": {"T": 10_000.0, "M": 4.0}}}
    placed, result = one({"quantile": {"keep": "above", "at": 0.5}}, values, scales=scales)
    assert (placed.status, placed.n_of) == ("found", 1000)
    assert placed.shape.low == pytest.approx(0.75, abs=1e-3)
    assert len(result.members["A"]) == 500


def test_events_without_a_place_count_for_nothing():
    scales = {"fluorescence": {"log": {"T": 10_000.0, "M": 4.0}}}
    placed, _ = one({"quantile": {"keep": "above", "at": 0.5, "stored": 0.5}}, -np.ones(1000), scales=scales)
    assert (placed.status, placed.reason) == ("fallback", "root has 0 events, 200 are needed")


# ------------------------------------------------------------------------------------------- purity


def test_gating_leaves_the_file_alone_and_repeats_itself():
    columns = {"CD4": PEAKS.copy(), "CD25": np.random.default_rng(5).normal(0.5, 0.1, len(PEAKS))}
    stored = template(
        row("A", "root", ["CD4"], {"valley": VALLEY}),
        row("B", "A", ["CD25"], {"quantile": {"keep": "above", "at": 0.9}}),
    )
    file = sample(columns)
    before = file.records.copy()
    first, second = gated(stored, file), gated(stored, file)
    np.testing.assert_array_equal(file.records, before)
    assert first.placed == second.placed
    for name in first.members:
        np.testing.assert_array_equal(first.members[name], second.members[name])


def test_the_order_of_events_does_not_matter():
    shuffled = np.random.default_rng(7).permutation(PEAKS)
    assert one({"valley": VALLEY}, shuffled)[0] == one({"valley": VALLEY})[0]


def test_a_file_without_events():
    stored = template(
        row("A", "root", ["CD4"], {"valley": {**VALLEY, "stored": 0.5}}), row("B", "A", ["CD4"], above(0.6))
    )
    result = gated(stored, Sample("none.fcs", (Channel("CD4"),), np.empty((0, 1))))
    assert [result.placed[name].status for name in "AB"] == ["fallback", "stored"]
    assert all(len(rows) == 0 for rows in result.members.values())


def test_a_rectangle_with_open_sides():
    gate = {"rectangle": {"low": [0.5, None], "high": [None, 0.5]}}
    placed, result = one(gate, {"CD4": [0.4, 0.6, 0.6], "CD8": [0.1, 0.1, 0.5]}, ["CD4", "CD8"])
    assert placed.shape == Rectangle((0.5, -math.inf), (math.inf, 0.5))
    assert result.members["A"].tolist() == [1]


# ------------------------------------------------------------------- outlines, windows, what was skipped


def test_what_lies_outside_a_skipped_gate_is_not_known():
    stored = template(
        row("dump", "root", ["CD14"], above(0.5)),
        row("rest", "root", [], {"not": "dump"}),
        markers={"CD14": {"optional": True}, "CD4": {}},
        report={"primary": {"name": "rest of root", "count": "rest", "of": "root"}},
    )
    result = gated(stored, sample({"CD4": [0.1, 0.9]}))
    assert (result.placed["rest"].status, len(result.members["rest"])) == ("skipped", 2)
    assert result.placed["rest"].reason == "dump was skipped, so what lies outside it is not known"


def scatter(**gate_):
    """Return how a gate on debris and cells in scatter was placed: debris at 10,000, cells at 90,000."""
    rng = np.random.default_rng(5)
    forward = np.concatenate([rng.normal(1e4, 3e3, 2_000), rng.normal(9e4, 8e3, 8_000)])
    side = np.concatenate([rng.normal(1e4, 3e3, 2_000), rng.normal(4e4, 4e3, 8_000)])
    stored = template(row("A", "root", ["FSC-A", "SSC-A"], gate_), scales={})
    return gated(stored, sample({"FSC-A": forward, "SSC-A": side})).placed["A"]


def test_a_debris_cut_stops_at_its_window():
    free = scatter(debris_cut={})
    assert isinstance(free.shape, Rectangle)
    assert 15_000 < free.shape.low[0] < 75_000
    held = scatter(debris_cut={"within": [80_000, 85_000]})
    assert (held.status, held.shape.low[0]) == ("at bound", 80_000)


def test_a_debris_cut_says_how_far_it_lies_from_the_stored_one():
    stored = {"rectangle": {"low": [150_000, None], "high": [None, None]}}
    placed = scatter(debris_cut={"stored": stored})
    assert placed.status == "moved"
    assert placed.shift == pytest.approx(placed.shape.low[0] - 150_000)


def test_a_cluster_says_that_it_moved_and_does_not_leave_its_window():
    far = {"ellipse": {"centre": [150_000, 120_000], "covariance": [[1e8, 0.0], [0.0, 1e8]], "distance": 4}}
    placed = scatter(cluster={"stored": far})
    assert placed.status == "moved"
    away = [now - then for now, then in zip(placed.shape.centre, (150_000, 120_000), strict=True)]
    assert placed.shift == pytest.approx(max(away, key=abs))
    assert placed.along == ("FSC-A", "SSC-A")[abs(away[1]) > abs(away[0])]
    outside = scatter(cluster={"stored": far, "within": [[70_000, 78_000], [30_000, 50_000]]})
    assert outside.status == "fallback"
    assert "lies outside its window" in outside.reason
