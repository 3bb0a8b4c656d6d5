"""The scatter over the draws is what statistics says it is, and it does not hang on the order of events."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from builders import above, gated, row, sample, template
from scipy import stats

from tregflow.gates.method import Doubt
from tregflow.gates.shapes import Interval
from tregflow.uncertainty.stability import DRAWN, Steadiness, doubted, stability, uncertainty

MANY = 400
"""Draws whose standard deviation is known to 3.5 %."""
NORMAL = stats.norm(0.5, 0.1)


def quantile(at=0.9, **more):
    return {"quantile": {"at": at, "keep": "above", **more}}


def normals(events, seed=1):
    """Return evenly spaced quantiles of a normal in some order: no sample's own density stands in the way."""
    return np.random.default_rng(seed).permutation(NORMAL.ppf((np.arange(events) + 0.5) / events))


def of_normals(gate, events, **more):
    return gated(template(row("A", "root", ["CD4"], gate)), sample({"CD4": normals(events)}), **more)


def expected(at, events):
    """Return the standard error of a quantile: sqrt(p (1 - p) / n) / f(q)."""
    return math.sqrt(at * (1 - at) / events) / NORMAL.pdf(NORMAL.ppf(at))


# ------------------------------------------------------------------------------------ what it must be


@pytest.mark.parametrize("events", [2000, 10 * DRAWN], ids=["whole", "in part"])
@pytest.mark.parametrize("at", [0.5, 0.9])
def test_a_quantile_scatters_by_its_standard_error(at, events):
    sure = stability(of_normals(quantile(at), events), MANY)
    assert sure.share == (1 if events == 2000 else pytest.approx(0.1))
    assert sure.gates["A"].spread == pytest.approx(expected(at, events), rel=0.15)
    assert (sure.gates["A"].along, sure.gates["A"].draws, sure.gates["A"].fallen) == ("CD4", MANY, 0)


@pytest.mark.parametrize("events", [2000, 10 * DRAWN], ids=["whole", "in part"])
def test_a_percent_scatters_by_what_its_gate_does_without_the_counting(events):
    # a cut that wanders by the standard error of a quantile moves the percent of the file by sqrt(p (1 - p) / n);
    # the percent of each draw above its own cut is 10 by definition
    sure = stability(of_normals(quantile(0.9), events), MANY)
    assert sure.measures["share"] == pytest.approx(100 * math.sqrt(0.09 / events), rel=0.15)


def test_a_gate_scatters_with_the_gates_above_it():
    # the median of the uppermost fifth is the 0.9 quantile of all, and scatters like it: more than among
    # the events of a fifth that stays where it is, sqrt(0.25 * 0.2 / n) / f
    gates = [row("A", "root", ["CD4"], quantile(0.8)), row("B", "A", ["CD4"], quantile(0.5))]
    sure = stability(gated(template(*gates), sample({"CD4": normals(3000)})), MANY)
    assert sure.gates["B"].spread == pytest.approx(expected(0.9, 3000), rel=0.15)
    alone = math.sqrt(0.25 * 0.2 / 3000) / NORMAL.pdf(NORMAL.ppf(0.9))
    assert sure.gates["B"].spread > 1.15 * alone


def test_what_a_gate_above_does_reaches_the_percent_below():
    events = {"CD4": normals(2000), "CD25": np.random.default_rng(4).uniform(0, 1, 2000)}
    gates = [row("A", "root", ["CD4"], quantile(0.9)), row("B", "A", ["CD25"], above(0.0))]
    sure = stability(gated(template(*gates), sample(events)), MANY)
    assert sure.measures["share"] == pytest.approx(100 * math.sqrt(0.09 / 2000), rel=0.15)
    assert sure.gates["B"] == Steadiness()


def test_near_is_the_share_of_events_within_one_spread_of_the_edge():
    file = of_normals(quantile(0.9), 2000)
    steady = stability(file, MANY).gates["A"]
    edge, values = file.placed["A"].shape.low, normals(2000)
    assert steady.near == pytest.approx(np.mean(np.abs(values - edge) < steady.spread), abs=0.0011)
    assert steady.near > 0.005


def test_decades_are_told_on_an_axis_that_has_them():
    values = 10 ** np.random.default_rng(2).normal(3, 0.3, 2000)
    stored = template(
        row("A", "root", ["CD4"], quantile(0.5)), scales={"fluorescence": {"log": {"T": 1e5, "M": 5.0}}}
    )
    steady = stability(gated(stored, sample({"CD4": values})), MANY).gates["A"]
    assert steady.spread_decades == pytest.approx(0.3 * math.sqrt(math.pi / 2 / 2000), rel=0.15)
    assert steady.spread_decades == pytest.approx(5 * steady.spread)
    assert math.isnan(stability(of_normals(quantile(), 2000), 5).gates["A"].spread_decades)


def test_an_outline_scatters_where_its_events_see_it():
    # it follows the median of its reference, whose standard error is sqrt(pi / 2 / n) standard deviations; its
    # tip, far from its events, moves as much; its right side is open
    log = {"fluorescence": {"log": {"T": 1e4, "M": 4.0}}}
    scores = 2 * (normals(2000) - 0.5), 2 * (normals(2000, seed=2) - 0.5)  # of standard deviation 0.2
    events = {
        "CD25": np.r_[10 ** (2 + scores[0]), 10 ** np.linspace(3, 3.5, 50)],
        "CD127": np.r_[10 ** (2 + scores[1]), np.full(50, 100.0)],
    }
    outline = {"polygon": {"vertices": [[0.7, 0.1], [0.7, 0.9], [1.2, 0.9], [1.2, 0.1]]}}
    gates = [row("Tconv", "root", ["CD25"], {"interval": {"high": 0.72}}),
             row("A", "root", ["CD25", "CD127"], {"anchored": {"of": "Tconv", "outline": outline, "at": [0.5, 0.5], "drift": 0.1}})]  # fmt: skip
    file = gated(template(*gates, scales=log), sample(events))
    assert file.placed["A"].status == "found", file.placed["A"]
    steady = stability(file, MANY).gates["A"]
    assert steady.spread == pytest.approx(0.05 * math.sqrt(math.pi / 2 / 2000), rel=0.25)
    assert steady.spread_decades == pytest.approx(4 * steady.spread)


def test_an_ellipse_stands_for_its_centre():
    scores = normals(4000), normals(4000, seed=2)
    events = {
        "FSC-A": 500 + 1000 * (scores[0] - 0.5),
        "SSC-A": 300 + 500 * (scores[1] - 0.5),
    }  # SDs of 100 and 50
    file = gated(template(row("A", "root", ["FSC-A", "SSC-A"], {"cluster": {"share": 0.9}})), sample(events))
    steady = stability(file, MANY).gates["A"]
    assert (steady.along, file.placed["A"].status) == ("FSC-A", "found")
    assert (
        0.9 < steady.spread / (100 / math.sqrt(4000)) < 1.6
    )  # a mean of what was trimmed scatters a little more
    assert math.isnan(steady.spread_decades)


# ---------------------------------------------------------------------------------------- other tubes


def control(events, seed=7):
    stored = template(row("all", "root", ["CD4"], above(-9.0)))
    return gated(stored, sample({"CD4": normals(events, seed)}))


def placed_on_a_control(events, **more):
    stored = template(
        row("all", "root", ["CD4"], above(-9.0)), row("A", "all", ["CD4"], quantile(0.9, tube="fmo", **more))
    )
    return gated(stored, sample({"CD4": normals(2000)}), references={"fmo:CD4": control(events)})


def test_a_gate_placed_on_a_control_scatters_with_the_controls_events():
    file = placed_on_a_control(500)
    assert (file.placed["A"].tube, file.placed["A"].n_of) == ("fmo:CD4", 500)
    sure = stability(file, MANY)
    assert sure.gates["A"].spread == pytest.approx(expected(0.9, 500), rel=0.15)


def test_a_gate_of_pooled_tubes_scatters_with_all_their_events():
    stored = template(row("A", "root", ["CD4"], quantile(0.9, across="run")))
    other = stored.bind(sample({"CD4": normals(1500, seed=9)}))
    file = gated(stored, sample({"CD4": normals(500)}), companions={"other": other})
    assert file.placed["A"].across == ("other",)
    assert stability(file, MANY).gates["A"].spread == pytest.approx(expected(0.9, 2000), rel=0.15)


# ------------------------------------------------------------------------------------- what stands still


def test_a_stored_gate_does_not_scatter():
    sure = stability(of_normals(above(0.6), 2000), 20)
    assert (sure.gates, sure.measures, sure.draws) == ({"A": Steadiness()}, {"share": 0.0}, 0)
    assert (sure.gates["A"].spread, sure.gates["A"].near) == (0.0, 0.0)


def test_neither_does_a_corrected_one_nor_a_percent_that_hangs_on_it_alone():
    gates = [row("A", "root", ["CD4"], quantile()), row("B", "root", ["CD4"], quantile(0.5))]
    report = {
        "primary": {"name": "A of all", "count": "A", "of": "root"},
        "also": [{"name": "B of all", "count": "B", "of": "root"}],
    }
    file = gated(
        template(*gates, report=report), sample({"CD4": normals(2000)}), corrections={"A": Interval(low=0.6)}
    )
    sure = stability(file, 20)
    assert sure.gates["A"] == Steadiness()
    assert sure.measures["A of all"] == 0.0
    assert sure.measures["B of all"] > 0.5


def test_what_is_not_there_has_no_spread():
    gates = [
        row("A", "root", ["CD4"], quantile()),
        row("B", "A", ["CD25"], above(0.5)),
        row("C", "A", ["CD4"], {"valley": {"keep": "above"}}),
    ]
    report = {"primary": {"name": "C of A", "count": "C", "of": "A"}}
    stored = template(*gates, report=report, markers={"CD4": {}, "CD25": {"optional": True}})
    sure = stability(gated(stored, sample({"CD4": normals(500)})), 20)
    assert math.isnan(sure.gates["B"].spread)
    assert math.isnan(sure.gates["C"].spread)
    assert math.isnan(sure.measures["C of A"])
    assert sure.gates["A"].spread > 0


def test_no_draws_tell_nothing():
    sure = stability(of_normals(quantile(), 500), 0)
    assert (sure.draws, sure.gates, sure.measures) == (0, {}, {})


# ------------------------------------------------------------------------------------------- doubts


def test_a_gate_that_often_stops_at_a_bound_is_doubted():
    low = round(float(np.quantile(normals(2000), 0.9)) - 0.5 * expected(0.9, 2000), 4)
    file = of_normals(quantile(0.9, stored=0.65, within=[low, 0.9]), 2000)
    assert file.placed["A"].status in ("found", "moved")
    sure = uncertainty(file, 100)
    steady = sure.stability.gates["A"]
    assert steady.bound == pytest.approx(31, abs=14)  # a normal's share beyond half a standard deviation
    lost = f"had no answer in 0 and stopped at a bound in {steady.bound} of 100 draws of its events"
    told = f"{lost}; look whether it lies well"
    assert sure.gated.placed["A"].doubts == (Doubt("unsettled", told),)
    assert file.placed["A"].doubts == ()


def test_a_gate_that_stands_is_not_doubted():
    file = of_normals(quantile(0.9, stored=0.65, within=[0.3, 0.9]), 2000)
    assert uncertainty(file, 50).gated.placed["A"].doubts == ()


@pytest.mark.parametrize(("fallen", "is_doubted"), [(5, False), (6, True)])
def test_more_than_a_tenth_of_the_draws_without_an_answer_are_a_doubt(fallen, is_doubted):
    file = of_normals(quantile(), 500)
    sure = replace(stability(file, 2), gates={"A": Steadiness(0.1, draws=50, fallen=fallen)})
    assert bool(doubted(file, sure).placed["A"].doubts) == is_doubted


def test_a_gate_that_fell_back_has_said_so_already():
    file = of_normals({"valley": {"keep": "above", "stored": 0.5, "within": [0.4, 0.6]}}, 400)
    assert file.placed["A"].status == "fallback"
    sure = uncertainty(file, 20)
    assert sure.stability.gates["A"].fallen > 10
    assert sure.gated.placed["A"].doubts == ()


def test_a_least_number_of_events_that_the_file_has_is_not_asked_of_a_draw():
    file = of_normals(quantile(0.9, least=1990, stored=0.6), 2000)
    assert stability(file, 20).gates["A"].fallen == 0


# ------------------------------------------------------------------------------------- the same again


@pytest.mark.parametrize("step", [0.0, 0.02], ids=["distinct", "ties"])
def test_events_in_another_order_give_the_same_draws(step, monkeypatch):
    monkeypatch.setattr("tregflow.uncertainty.stability.WHOLE", 0)
    events = {"CD4": normals(6000), "CD25": normals(6000, seed=3)}
    if step:
        events = {name: np.round(values / step) * step for name, values in events.items()}
    stored = template(row("A", "root", ["CD4"], quantile(0.4)), row("B", "A", ["CD25"], quantile(0.7)))
    order = np.random.default_rng(5).permutation(6000)
    turned = {name: values[order] for name, values in events.items()}
    one, other = (stability(gated(stored, sample(file)), 20) for file in (events, turned))
    assert repr(one) == repr(other)
    assert one.share < 1
    assert step or one.gates["B"].spread > 0


def test_other_events_give_other_draws():
    one, other = (stability(gated(template(row("A", "root", ["CD4"], quantile())), sample({"CD4": values})), 20)
                  for values in (normals(500), np.r_[normals(500)[:-1], 0.1]))  # fmt: skip
    assert one.gates["A"].spread != other.gates["A"].spread


def test_the_template_says_how_often_unless_asked():
    stored = template(row("A", "root", ["CD4"], quantile()), draws=7)
    file = gated(stored, sample({"CD4": normals(500)}))
    assert uncertainty(file).stability.draws == 7
    assert uncertainty(file, 3).stability.draws == 3
    assert len(uncertainty(file, 0).scenarios) == len(uncertainty(file, 3).scenarios) > 1
