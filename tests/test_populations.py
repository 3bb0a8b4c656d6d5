"""Counts are those of the members; a percent of nothing is no number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builders import above, gated, row, sample, template
from hypothesis import given
from hypothesis import strategies as st

from tregflow.populations import contrasted, count, measured, negatives, wilson

GATES = [
    row("CD4", "root", ["CD4"], above(0.5)),
    row("Treg", "CD4", ["CD25"], above(0.5)),
    row("rare", "Treg", ["CD25"], above(99)),
    row("none", "rare", ["CD25"], above(0)),
]
REPORT = {
    "primary": {"name": "Treg of CD4", "count": "Treg", "of": "CD4"},
    "also": [{"name": "none of rare", "count": "none", "of": "rare"}, {"name": "Treg of all", "count": "Treg", "of": "root"}],
    "medians": {"CD25": ["Treg", "rare"]},
}  # fmt: skip
FILE = sample({"CD4": [0, 1, 1, 1, 1], "CD25": [9.0, 0.0, 1.0, 2.0, 6.0]})


def counted(*gates, file=FILE, **more):
    return {line.population: line for line in count(gated(template(*(gates or GATES), **more), file))}


def test_every_population_is_a_row_the_root_first():
    rows = counted(report=REPORT)
    assert list(rows) == ["root", "CD4", "Treg", "rare", "none"]
    assert [line.count for line in rows.values()] == [5, 4, 3, 0, 0]
    assert [line.path for line in rows.values()] == [
        "root",
        "CD4",
        "CD4/Treg",
        "CD4/Treg/rare",
        "CD4/Treg/rare/none",
    ]
    assert [line.parent for line in rows.values()] == ["", "root", "CD4", "Treg", "rare"]


def test_percent_of_parent():
    shares = [line.percent_of_parent for line in counted().values()]
    assert shares[1:4] == [80.0, 75.0, 0.0]
    assert math.isnan(shares[0])
    assert math.isnan(shares[4])


def test_medians_are_linear_values_and_nothing_of_nothing():
    rows = counted(report=REPORT, scales={"fluorescence": {"linear": {"T": 1.0, "A": 0.0}}})
    assert rows["Treg"].medians == {"CD25": 2.0}
    assert math.isnan(rows["rare"].medians["CD25"])
    assert rows["CD4"].medians == {}


def test_the_median_of_a_marker_that_is_absent():
    report = {**REPORT, "also": [], "medians": {"LD": ["Treg"]}}
    rows = counted(report=report, markers={"CD4": {}, "CD25": {}, "LD": {"optional": True}})
    assert math.isnan(rows["Treg"].medians["LD"])


def test_a_refused_gate_has_no_count_and_says_why():
    rows = counted(
        row("A", "root", ["CD4"], {"valley": {"keep": "above"}}),
        row("B", "A", ["CD4"], above(0), role="reference"),
    )
    assert (rows["A"].count, rows["A"].status) == (None, "refused")
    assert rows["A"].reason == "root has 5 events, 200 are needed"
    assert (rows["B"].count, rows["B"].status, rows["B"].is_reference) == (None, "refused", True)
    assert math.isnan(rows["B"].percent_of_parent)


def test_measures():
    primary, empty, whole = measured(gated(template(*GATES, report=REPORT), FILE))
    assert (primary.measure.role, primary.numerator, primary.denominator, primary.percent) == (
        "primary",
        3,
        4,
        75.0,
    )
    assert (primary.low, primary.high) == wilson(3, 4)
    assert (empty.numerator, empty.denominator) == (0, 0)
    assert all(map(math.isnan, (empty.percent, empty.low, empty.high)))
    assert (whole.measure.role, whole.percent) == ("secondary", 60.0)


def test_a_measure_of_a_refused_gate_has_no_number():
    rows = [row("A", "root", ["CD4"], above(0.5)), row("B", "A", ["CD4"], {"valley": {"keep": "above"}})]
    (primary,) = measured(
        gated(template(*rows, report={"primary": {"name": "b", "count": "B", "of": "A"}}), FILE)
    )
    assert (primary.numerator, primary.denominator) == (None, 4)
    assert math.isnan(primary.percent)


# ------------------------------------------------------------------------- one population beside another


SIDES = {
    "primary": {"name": "Treg of CD4", "count": "Treg", "of": "root"},
    "medians": {"CD25": ["Treg", "Tconv"]},
}
PARTS = [row("Treg", "root", ["CD4"], above(0.5)), row("Tconv", "root", ["CD4"], {"interval": {"high": 0.5}})]
LOG = {"fluorescence": {"log": {"T": 10000.0, "M": 4.0}}}


def beside(low, high, *, scales=LOG):
    """Return CD25 of Tregs (CD4 bright) beside that of others."""
    stored = template(*PARTS, scales=scales, report=SIDES, markers={"CD4": {}, "CD25": {}})
    columns = {"CD4": [1.0] * len(low) + [9000.0] * len(high), "CD25": [*low, *high]}
    return stored, sample(columns)


def test_medians_differ_in_units_of_the_axis():
    (one,) = contrasted(gated(*beside([90, 100, 100, 110], [900, 1000, 1100])))
    assert (one.marker, one.first, one.second) == ("CD25", "Treg", "Tconv")
    assert one.difference == pytest.approx(0.25)  # a decade of four
    assert math.isnan(one.above_fmo)
    assert one.ratio == pytest.approx(10)


def test_no_ratio_to_what_does_not_stand_clear_of_zero():
    noise = np.random.default_rng(4).normal(0, 10, 2001)
    straight = {"fluorescence": {"linear": {"T": 10000.0}}}
    for middle, is_told in ((25, False), (35, True)):  # three robust SDs of 10 are 30
        (one,) = contrasted(gated(*beside(noise - np.median(noise) + middle, [350.0] * 5, scales=straight)))
        assert math.isfinite(one.ratio) == is_told
        assert one.difference == pytest.approx((350 - middle) / 10_000)


def test_an_empty_population_or_a_marker_reported_once_is_beside_nothing():
    (one,) = contrasted(gated(*beside([100, 100], [])))
    assert all(map(math.isnan, (one.difference, one.above_fmo, one.ratio)))
    alone = template(*PARTS, scales=LOG, report={**SIDES, "medians": {"CD4": ["Treg"]}})
    assert contrasted(gated(alone, sample({"CD4": [1.0], "CD25": [1.0]}))) == ()


def test_a_marker_that_the_file_does_not_have_is_beside_nothing():
    stored = template(*PARTS, scales=LOG, report=SIDES, markers={"CD4": {}, "CD25": {"optional": True}})
    assert contrasted(gated(stored, sample({"CD4": [1.0, 9000.0]}))) == ()


def test_the_fmo_is_taken_off_in_the_smallest_population_that_it_was_gated_down_to():
    straight = {"fluorescence": {"linear": {"T": 10000.0}}}
    gates = [row("CD4", "root", ["CD4"], above(0.1)), row("Tconv", "CD4", ["CD25"], {"interval": {"high": 0.03}}),
             row("Treg", "CD4", ["CD25"], {"quantile": {"at": 0.995, "tube": "fmo", "keep": "above", "stored": 0.04, "within": [0.03, 0.05]}})]  # fmt: skip
    stored = template(*gates, scales=straight, report=SIDES)
    rng = np.random.default_rng(6)
    empty = rng.normal(40, 10, 4001)
    fmo_columns = {
        "CD4": np.r_[np.full(4001, 5000.0), np.full(500, 10.0)],
        "CD25": np.r_[empty, np.full(500, 3000.0)],
    }
    fmo = gated(template(gates[0], scales=straight, markers={"CD4": {}, "CD25": {}}, report={**SIDES, "primary": {**SIDES["primary"], "count": "CD4"},
                "medians": {"CD25": ["CD4"]}}), sample(fmo_columns))  # fmt: skip
    full = sample({"CD4": [5000.0] * 8, "CD25": [90.0, 100.0, 110.0, 140.0, 840.0, 1040.0, 1240.0, 1040.0]})
    (one,) = contrasted(gated(stored, full, references={"fmo:CD25": fmo}))
    base = float(np.median(empty))
    assert one.above_fmo == pytest.approx(1040 - base)
    assert one.ratio == pytest.approx((1040 - base) / (105 - base))
    close = sample({"CD4": [5000.0] * 8, "CD25": [60.0, 61.0, 62.0, 63.0, 840.0, 1040.0, 1240.0, 1040.0]})
    (one,) = contrasted(gated(stored, close, references={"fmo:CD25": fmo}))
    assert math.isnan(one.ratio), "22 above the FMO's median is less than three of its SDs"


class TestNegatives:
    def test_the_lower_of_two_peaks_and_its_own_spread(self):
        rng = np.random.default_rng(3)
        mode, spread = negatives(np.r_[rng.normal(20, 50, 30_000), rng.normal(4000, 800, 60_000)])
        assert mode == pytest.approx(20, abs=15)
        assert spread == pytest.approx(50, rel=0.15)

    def test_a_tail_of_positives_does_not_widen_it(self):
        rng = np.random.default_rng(3)
        values = rng.normal(0, 50, 30_000)
        values[:9000] += rng.exponential(300, 9000)
        assert negatives(values)[1] == pytest.approx(50, rel=0.2)

    def test_of_no_or_of_equal_values(self):
        assert all(map(math.isnan, negatives(np.array([3.0]))))
        assert negatives(np.full(9, 3.0)) == (3.0, 0.0)


# ------------------------------------------------------------------------------------------- wilson


@pytest.mark.parametrize(
    ("numerator", "denominator", "low", "high"),
    [
        # Newcombe 1998, table I, method 3
        (81, 263, 25.53, 36.62),
        (15, 148, 6.24, 16.05),
        (0, 20, 0.00, 16.11),
        (1, 29, 0.61, 17.18),
        # z = 1.959964, z² = 3.841459: (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)
        (0, 10, 0.00, 27.75),  # high = z² / (n + z²) = 3.841459 / 13.841459
        (5, 10, 23.66, 76.34),  # 0.5 ± 1.959964 sqrt(0.025 + 0.00960365) / 1.3841459 = 0.5 ± 0.263405
        (10, 10, 72.25, 100.00),
    ],
)
def test_wilsons_interval(numerator, denominator, low, high):
    assert wilson(numerator, denominator) == pytest.approx((low, high), abs=0.005)


def test_wilsons_interval_by_hand():
    z, n, p = 1.959963984540054, 20_000, 0.085
    middle, reach = p + z * z / 40_000, z * math.sqrt(p * 0.915 / n + z * z / (4 * n * n))
    expected = (100 * (middle - reach) / (1 + z * z / n), 100 * (middle + reach) / (1 + z * z / n))
    assert wilson(1700, 20_000) == pytest.approx(expected, rel=1e-12)
    assert wilson(1700, 20_000) == pytest.approx((8.1213, 8.8946), abs=2e-4)


def test_no_denominator_no_interval():
    assert all(map(math.isnan, wilson(0, 0)))


@given(st.integers(0, 5000), st.integers(1, 5000))
def test_the_interval_holds_the_percent_and_mirrors(one, other):
    part, whole = min(one, other), max(one, other)
    low, high = wilson(part, whole)
    assert 0 <= low <= 100 * part / whole + 1e-9
    assert 100 * part / whole - 1e-9 <= high <= 100
    np.testing.assert_allclose(wilson(whole - part, whole), (100 - high, 100 - low), atol=1e-9)
