"""Shifts are the stated ones, made in linear units; counts are those of gates drawn there."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builders import LOGICLE, above, gated, row, sample, template

from tregflow.gates.shapes import And, Ellipse, Everything, Interval, Members, Not, Or, Polygon, Rectangle
from tregflow.sample import Channel, Sample
from tregflow.transforms import Arcsinh, Linear, Log, Logicle
from tregflow.uncertainty.shifts import AS_PLACED, Axis, edges, lowest_and_highest, moved, perturbed

LOG = {"fluorescence": {"log": {"T": 10000.0, "M": 4.0}}}
"""An axis of 0.25 per decade; linear 100 lies at 0.5."""


def one_gate(gate, values, *, markers=("CD4",), scales=LOG, shifts=(0.1, 0.2), **more):
    columns = values if isinstance(values, dict) else {"CD4": values}
    return gated(
        template(row("A", "root", list(markers), gate), scales=scales, shifts=list(shifts)),
        sample(columns),
        **more,
    )


def counts(scenarios, measure="share"):
    return {one.name: one.counts[measure][0] for one in scenarios if measure in one.counts}


# -------------------------------------------------------------------------------------------- by hand


def test_an_edge_is_multiplied_in_linear_units():
    # the edge lies at 100; 10^±0.1 is 1.259 and 0.794, 10^±0.2 is 1.585 and 0.631
    values = np.array([63.0, 63.2, 79.3, 79.6, 99.9, 100.1, 125.8, 126.0, 158.4, 158.6])
    found = counts(perturbed(one_gate(above(0.5), values)))
    assert found == {"as placed": 5, "A CD4 +0.1": 3, "A CD4 -0.1": 7, "A CD4 +0.2": 1, "A CD4 -0.2": 9,
                     "all +0.1": 3, "all -0.1": 7, "all +0.2": 1, "all -0.2": 9}  # fmt: skip


def test_both_edges_of_a_window_move_together():
    values = np.array([99.0, 110.0, 150.0, 900.0, 1100.0, 1300.0])  # the window is 100 to 1,000
    found = counts(perturbed(one_gate({"interval": {"low": 0.5, "high": 0.75}}, values)))
    assert (found["as placed"], found["A CD4 +0.1"], found["A CD4 -0.1"]) == (3, 3, 3)
    # 126 to 1,259 holds 150, 900, 1,100; 79 to 794 holds 99, 110, 150


def test_a_shift_on_a_logicle_axis_is_one_of_linear_units():
    scale, file = Logicle(), np.geomspace(50, 20_000, 3001)
    edge = float(scale(np.array([1000.0]))[0])
    found = counts(perturbed(one_gate(above(edge), file, scales={"fluorescence": LOGICLE})))
    for shift in (0.1, -0.1, 0.2, -0.2):
        assert found[f"A CD4 {shift:+g}"] == (file >= 1000 * 10**shift).sum()


def test_gate_low_and_high_are_the_extremes_of_the_first_shift_of_each_gate_alone():
    values = {"CD4": np.geomspace(10, 1000, 1000), "CD25": np.geomspace(1000, 10, 1000)}
    gates = [
        row("A", "root", ["CD4"], above(0.5)),
        row("B", "root", ["CD25"], above(0.6)),
        row("C", "A", ["CD25"], above(0.3)),
    ]
    stored = template(*gates, scales=LOG, shifts=[0.1, 0.2], report={"primary": {"name": "A of all", "count": "A", "of": "root"},
                      "also": [{"name": "C of A", "count": "C", "of": "A"}]})  # fmt: skip
    scenarios = perturbed(gated(stored, sample(values)))
    percent = {
        one.name: 100 * one.counts["A of all"][0] / 1000 for one in scenarios if "A of all" in one.counts
    }
    assert lowest_and_highest(scenarios, "A of all", stored.shifts) == (
        percent["A CD4 +0.1"],
        percent["A CD4 -0.1"],
    )
    assert percent["A CD4 +0.1"] < percent[AS_PLACED] < percent["A CD4 -0.1"]
    assert not any(one.gate == "B" for one in scenarios), "no measure has it on its path"
    assert all("A of all" not in one.counts for one in scenarios if one.gate == "C")
    low, high = lowest_and_highest(scenarios, "C of A", stored.shifts)
    assert low <= 100 * scenarios[0].counts["C of A"][0] / scenarios[0].counts["C of A"][1] <= high


def test_no_shifts_no_scenarios_and_no_range():
    assert perturbed(one_gate(above(0.5), np.ones(5), shifts=())) == ()
    assert all(map(math.isnan, lowest_and_highest((), "share", ())))


def test_an_empty_denominator_gives_no_range():
    gates = [row("A", "root", ["CD4"], above(0.9)), row("B", "A", ["CD4"], above(0.95))]
    stored = template(
        *gates, scales=LOG, shifts=[0.1], report={"primary": {"name": "B of A", "count": "B", "of": "A"}}
    )
    scenarios = perturbed(gated(stored, sample({"CD4": np.full(9, 2.0)})))
    assert scenarios[0].counts == {"B of A": (0, 0)}
    assert all(map(math.isnan, lowest_and_highest(scenarios, "B of A", stored.shifts)))


def test_a_measure_without_a_number_is_in_no_scenario():
    gates = [row("A", "root", ["CD4"], above(0.5)), row("B", "A", ["CD4"], {"valley": {"keep": "above"}})]
    report = {
        "primary": {"name": "B of A", "count": "B", "of": "A"},
        "also": [{"name": "A of all", "count": "A", "of": "root"}],
    }
    stored = template(*gates, scales=LOG, shifts=[0.1], report=report)
    scenarios = perturbed(gated(stored, sample({"CD4": np.full(9, 500.0)})))
    assert {name for one in scenarios for name in one.counts} == {"A of all"}


# ------------------------------------------------------------------------------------------ near zero


def test_near_zero_the_step_is_a_robust_sd_of_the_negatives():
    rng = np.random.default_rng(3)
    negatives, positives = rng.normal(0, 40, 20_000), rng.normal(3000, 300, 20_000)
    scale = Logicle()
    edge = float(scale(np.array([15.0]))[0])  # in the linear zone of W = 0.5
    file = one_gate(above(edge), np.r_[negatives, positives], scales={"fluorescence": LOGICLE})
    scenarios = perturbed(file)
    found = counts(scenarios)
    assert list(found)[:5] == ["as placed", "A CD4 +1 SD", "A CD4 -1 SD", "A CD4 +2 SD", "A CD4 -2 SD"]
    for name, place in (("+1 SD", 55), ("-1 SD", -25), ("+2 SD", 95), ("-2 SD", -65)):
        expected = (negatives >= place).sum() + 20_000
        assert found[f"A CD4 {name}"] - 20_000 == pytest.approx(expected - 20_000, rel=0.15), name
    assert math.isnan(scenarios[1].shift)


def test_an_edge_at_or_below_zero_moves_too():
    values = np.random.default_rng(5).normal(0, 10, 50_000)
    found = counts(
        perturbed(one_gate(above(0.0), values, scales={"fluorescence": {"linear": {"T": 1000.0}}}))
    )
    assert found["A CD4 +1 SD"] == pytest.approx(50_000 * 0.1587, rel=0.1)  # a normal's share above one SD


def test_on_a_straight_axis_decades_count_from_where_they_leave_the_noise():
    axis = Axis("CD4", Linear(1000.0), 0.1, spread=20.0)
    assert axis.is_log_like(np.array([-5.0, 0.0, 70.0, 90.0])).tolist() == [
        False,
        False,
        False,
        True,
    ]  # 0.259 x > 20


@pytest.mark.parametrize("scale", [Logicle(), Arcsinh(262144.0, 4.5), Log(262144.0, 4.5)])
def test_far_from_zero_a_decade_is_a_decade(scale):
    step = Axis("CD4", scale, 0.1).step(0.2)
    linear = scale.inverse(step(scale(np.array([2000.0, 50_000.0]))))
    np.testing.assert_allclose(linear, [2000 * 10**0.2, 50_000 * 10**0.2], rtol=1e-9)


# -------------------------------------------------------------------------------------- scatter, time


def test_scatter_moves_by_half_as_much_as_a_share():
    values = np.array([94.0, 96.0, 104.0, 106.0, 111.0])
    scenarios = perturbed(one_gate(above(100.0), {"FSC-A": values}, markers=["FSC-A"]))
    found = counts(scenarios)
    assert (found["as placed"], found["A FSC-A +5 %"], found["A FSC-A -5 %"], found["A FSC-A +10 %"]) == (
        3,
        2,
        4,
        1,
    )
    assert [one.shift for one in scenarios[1:3]] == pytest.approx([math.log10(1.05), math.log10(0.95)])


def test_time_is_not_shifted():
    file = Sample("made.fcs", (Channel("Time", range=1000.0, is_time=True),), np.arange(10.0)[:, None])
    stored = template(row("A", "root", ["Time"], above(5.0)), markers={}, shifts=[0.1])
    assert [one.name for one in perturbed(gated(stored, file))] == ["as placed", "all +0.1", "all -0.1"]
    assert {one.counts["share"] for one in perturbed(gated(stored, file))} == {(5, 10)}


# --------------------------------------------------------------------------------------------- shapes


def tenth(edges):
    return edges + 0.1


class TestMoved:
    def test_open_sides_stay(self):
        assert moved(Interval(low=0.5), [tenth], [1.0]) == Interval(low=0.6)
        polygon = Polygon(((0.4, -0.5), (0.4, 0.5), (1.2, 0.5), (1.2, -0.5)))
        assert moved(polygon, [tenth, tenth], [1.0, 1.0]) == Polygon(
            ((0.5, -0.5), (0.5, 0.6), (1.2, 0.6), (1.2, -0.5))
        )
        rectangle = Rectangle((0.2, -math.inf), (math.inf, 0.5))
        assert moved(rectangle, [tenth, tenth], [1.0, 1.0]) == Rectangle(
            (pytest.approx(0.3), -math.inf), (math.inf, 0.6)
        )

    def test_an_axis_without_a_step_stays(self):
        polygon = Polygon(((0.1, 0.1), (0.4, 0.5), (0.2, 0.6)))
        assert moved(polygon, [None, tenth], [1.0, 1.0]) == Polygon(((0.1, 0.2), (0.4, 0.6), (0.2, 0.7)))

    def test_an_ellipse_goes_where_its_outermost_points_go(self):
        ellipse = Ellipse((3.0, 5.0), ((4.0, 1.0), (1.0, 9.0)), 2.0)
        stretched = moved(ellipse, [lambda edges: 1.1 * edges, None], [10.0, 10.0])
        assert isinstance(stretched, Ellipse)
        assert stretched.centre == pytest.approx((3.3, 5.0))
        np.testing.assert_allclose(stretched.covariance, [[4 * 1.21, 1.1], [1.1, 9.0]])

    def test_parts_move_and_other_populations_stay(self):
        shape = And((Or((Members("B"), Not(Interval(low=0.5)))), Everything()))
        assert moved(shape, [tenth], [1.0]) == And((Or((Members("B"), Not(Interval(low=0.6)))), Everything()))
        assert edges(shape, 0, 1.0) == (0.5,)


# ----------------------------------------------------------------------------------------- recounting


RNG = np.random.default_rng(11)
CELLS = {
    "FSC-A": RNG.normal(500, 150, 4000),
    **{name: RNG.lognormal(5, 1.5, 4000) for name in ("CD4", "CD25", "CD127")},
}
TREE = [
    row("Cells", "root", ["FSC-A"], above(400.0)),
    row("CD4", "Cells", ["CD4"], above(0.4)),
    row(
        "Tilted",
        "CD4",
        ["CD25", "CD127"],
        {"polygon": {"vertices": [[0.4, -0.5], [0.4, 0.5], [0.6, 0.7], [1.2, 0.7], [1.2, -0.5]]}},
    ),
    row(
        "Round",
        "CD4",
        ["CD25", "CD127"],
        {"ellipse": {"centre": [0.5, 0.5], "covariance": [[0.02, 0.005], [0.005, 0.03]]}},
    ),
]
NAMED = [row("Both", "CD4", ["CD25"], {"and": ["Tilted", {"not": "Round"}, {"interval": {"high": 0.8}}]})]
REPORT = {
    "primary": {"name": "last", "count": "Tilted", "of": "CD4"},
    "also": [{"name": "of cells", "count": "Tilted", "of": "Cells"}],
}
NAMED_REPORT = {"primary": {"name": "last", "count": "Both", "of": "CD4"}}


@pytest.mark.parametrize(
    ("rows", "report"), [(TREE, REPORT), ([*TREE, *NAMED], NAMED_REPORT)], ids=["plain", "named"]
)
def test_counts_are_those_of_a_file_gated_with_the_shifted_gate(rows, report):
    stored = template(*rows, scales={"fluorescence": LOGICLE}, shifts=[0.1], report=report)
    file = sample(CELLS)
    before = gated(stored, file)
    scenarios = perturbed(before)
    assert len({one.name for one in scenarios}) == len(scenarios) > 8
    for one in scenarios:
        gates = [one.gate] if one.gate else [] if one.name == AS_PLACED else [entry["name"] for entry in rows]
        shapes = {gate: _by_hand(before, gate, one.marker, float(one.name.split()[-1]) if one.name.startswith("all") else one)
                  for gate in gates}  # fmt: skip
        again = gated(stored, file, corrections=shapes)
        for measure, (part, whole) in one.counts.items():
            asked = next(other for other in stored.measures if other.name == measure)
            assert (part, whole) == (len(again.members[asked.count]), len(again.members[asked.of])), one.name


def _by_hand(before, gate, markers, by):
    """Return a gate shifted by its scenario, each coordinate taken through its scale here."""
    population, scale = before.template.population(gate), Logicle()
    share = (1 + 0.5 * by) if isinstance(by, float) else 10**by.shift
    decades = 10**by if isinstance(by, float) else 10**by.shift
    steps = []
    for marker in population.markers:
        if markers and marker not in markers.split(", "):
            steps.append(None)
        elif marker == "FSC-A":
            steps.append(lambda edges: edges * share)
        else:
            steps.append(lambda edges: scale(scale.inverse(edges) * decades))
    return moved(
        before.placed[gate].shape, steps, [before.bound.unit(marker) for marker in population.markers]
    )


def test_events_in_another_order_give_the_same_counts():
    stored = template(*TREE, scales={"fluorescence": LOGICLE}, shifts=[0.1], report=REPORT)
    order = np.random.default_rng(2).permutation(4000)
    turned = sample({name: column[order] for name, column in CELLS.items()})
    assert perturbed(gated(stored, sample(CELLS))) == perturbed(gated(stored, turned))


def test_a_gate_that_was_skipped_is_not_shifted():
    rows = [row("Live", "root", ["LD"], above(0.4)), row("CD4", "Live", ["CD4"], above(0.5))]
    stored = template(*rows, scales=LOG, shifts=[0.1], markers={"LD": {"optional": True}, "CD4": {}})
    names = [one.name for one in perturbed(gated(stored, sample({"CD4": np.geomspace(1, 1e4, 50)})))]
    assert names == ["as placed", "CD4 CD4 +0.1", "CD4 CD4 -0.1", "all +0.1", "all -0.1"]
