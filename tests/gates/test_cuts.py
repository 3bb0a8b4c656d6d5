from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy.special import ndtri

from tregflow.errors import GateError
from tregflow.gates.cuts import quantile, tail, valley
from tregflow.gates.method import Doubt
from tregflow.io.fcs import read_fcs
from tregflow.transforms import Logicle


def normal(events, centre, spread):
    """Normal quantiles: a population without chance."""
    return ndtri((np.arange(1, events + 1) - 0.5) / events) * spread + centre


def axis(*parts):
    return np.concatenate(parts)[:, None]


def drawn(events, *parts, seed=0):
    """Events of a mixture of (share, centre, spread), drawn."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(events, [share for share, _, _ in parts])
    return axis(
        *(rng.normal(centre, spread, count) for count, (_, centre, spread) in zip(counts, parts, strict=True))
    )


def cut(found):
    assert math.isinf(found.shape.high)
    return found.shape.low


TWO = ((0.6, 0.30, 0.05), (0.4, 0.60, 0.06))
SAMPLE_X = axis(normal(7000, 1.0, 0.25), normal(3000, 2.2, 0.30)) / 4.5
SAMPLE_Y = normal(20_000, 0.5, 0.2)[:, None] / 4.5


class TestValley:
    def test_sample_x_lies_between_both_bandwidths_of_r(self):
        assert 1.6518 - 0.01 < 4.5 * cut(valley(SAMPLE_X)) < 1.7004

    def test_evidence_tells_peaks_and_depth(self):
        evidence = valley(SAMPLE_X).evidence
        assert evidence["peaks"] == 2
        assert evidence["events"] == 10_000
        assert 4.5 * evidence["left"] == pytest.approx(1.0, abs=0.01)
        assert 4.5 * evidence["right"] == pytest.approx(2.2, abs=0.01)
        assert evidence["depth"] == pytest.approx(0.1333 / 0.3834, abs=0.02)

    def test_one_peak_is_not_everything_positive(self):
        with pytest.raises(GateError, match=r"^one peak, at 0\.11, among 20,000 events, a valley needs two$"):
            valley(SAMPLE_Y)

    def test_reason_names_the_window(self):
        with pytest.raises(GateError, match=r"a valley between 0\.39 and 0\.61 needs two$"):
            valley(SAMPLE_Y, within=(0.39, 0.61))

    def test_two_peaks_on_one_side_of_the_window(self):
        with pytest.raises(
            GateError, match=r"^no valley between 0\.80 and 0\.90 among 20,000 events: the peaks lie at"
        ):
            valley(drawn(20_000, *TWO), within=(0.8, 0.9))

    def test_window_on_the_flank_of_the_higher_peak(self):
        events = drawn(4_000, (0.9, 0.30, 0.08), (0.1, 0.70, 0.05))
        with pytest.raises(GateError) as error:
            valley(events, within=(0.31, 0.36))
        assert str(error.value) == (
            "no valley between 0.31 and 0.36 among 4,000 events: "
            "a flank of the peaks at 0.28, 0.70, which are parted at 0.56"
        )

    def test_a_window_high_on_a_flank_has_no_valley_and_one_low_on_it_the_edge(self):
        events = drawn(50_000, *TWO)
        with pytest.raises(
            GateError, match=r": a flank of the peaks at 0\.30, 0\.60, which are parted at 0\.45$"
        ):
            valley(events, within=(0.54, 0.58))
        assert cut(valley(events, within=(0.49, 0.58))) == 0.49

    def test_shallow_valley_is_doubted_and_a_deep_one_not(self):
        shallow = valley(drawn(50_000, (0.5, 0.30, 0.06), (0.5, 0.46, 0.06)))
        (doubt,) = shallow.doubts
        assert doubt == Doubt("weak", "the valley at 0.38 is only 16 % deep (depth 0.84)")
        assert valley(drawn(50_000, (0.5, 0.30, 0.06), (0.5, 0.54, 0.06))).doubts == ()

    def test_depth_that_is_doubted_gives_a_twentieth_of_either_to_the_other(self):
        apart = 2 * -ndtri(0.05) * 0.05
        found = valley(drawn(200_000, (0.5, 0.30, 0.05), (0.5, 0.30 + apart, 0.05)))
        assert found.evidence["depth"] == pytest.approx(0.5, abs=0.05)

    def test_three_kinds_of_few_cells_stay_three(self):
        events = drawn(1_500, (0.35, 0.28, 0.03), (0.3, 0.42, 0.03), (0.35, 0.80, 0.03))
        found = valley(events, within=(0.31, 0.39))
        assert found.evidence["peaks"] == 3
        assert cut(found) == pytest.approx(0.35, abs=0.02)
        assert found.evidence["kernel"] < 0.03 < 0.9 * events.std() * 1_500**-0.2

    def test_kernel_is_at_least_what_was_asked_for(self):
        assert valley(drawn(300_000, *TWO), smooth=0.03).evidence["kernel"] == 0.03

    @pytest.mark.parametrize("scale", [-1, 1])
    def test_shoulder_is_parted_where_both_are_equally_dense(self, scale):
        events = drawn(60_000, (0.75, 0.40 * scale, 0.05), (0.25, 0.53 * scale, 0.05))
        found = valley(events)
        assert found.evidence["peaks"] == 1
        assert found.evidence["depth"] == 1
        equal = (0.40 + 0.13 / 2 + math.log(0.75 / 0.25) * 0.05**2 / 0.13) * scale
        assert cut(found) == pytest.approx(equal, abs=0.01)
        (doubt,) = found.doubts
        assert doubt.kind == "weak"
        assert doubt.sentence.endswith("one is a shoulder of the other")

    def test_shoulder_in_the_window_counts_before_a_valley_beside_it(self):
        parts = ((0.55, 0.40, 0.05), (0.15, 0.54, 0.05), (0.30, 0.80, 0.04))
        events = drawn(60_000, *parts)
        assert cut(valley(events)) == pytest.approx(0.67, abs=0.02)
        assert cut(valley(events, within=(0.45, 0.55))) == pytest.approx(0.49, abs=0.02)

    @pytest.mark.parametrize("events", [500, 5_000, 50_000])
    @pytest.mark.parametrize("kind", ["normal", "gamma", "student"])
    def test_one_kind_of_cell_has_neither_valley_nor_shoulder(self, events, kind):
        rng = np.random.default_rng(12)
        draw = {
            "normal": lambda: rng.normal(size=events),
            "gamma": lambda: rng.gamma(4, size=events),
            "student": lambda: rng.standard_t(4, events),
        }[kind]
        found = [_cut_or_none(0.3 + 0.05 * draw()[:, None]) for _ in range(20)]
        assert found == [None] * 20

    def test_few_events_are_as_good_as_many(self):
        many = cut(valley(drawn(300_000, *TWO)))
        few = [cut(valley(drawn(500, *TWO, seed=seed))) for seed in range(20)]
        assert max(abs(np.array(few) - many)) < 0.02

    def test_small_population_is_seen(self):
        cuts = [
            cut(valley(drawn(20_000, (0.98, 0.30, 0.04), (0.02, 0.60, 0.05), seed=seed))) for seed in range(5)
        ]
        assert np.ptp(cuts) < 0.04
        assert 0.44 < np.median(cuts) < 0.49

    def test_population_below_the_share_is_none(self):
        events = drawn(100_000, (0.99, 0.30, 0.04), (0.01, 0.60, 0.05))
        assert 0.44 < cut(valley(events, share=0.005)) < 0.49
        with pytest.raises(GateError, match="one peak"):
            valley(events, share=0.015)

    def test_three_peaks_take_the_deepest_valley_in_the_window(self):
        events = drawn(100_000, (0.6, 0.14, 0.05), (0.2, 0.42, 0.05), (0.2, 0.70, 0.04))
        assert cut(valley(events, within=(0.45, 0.65))) == pytest.approx(0.57, abs=0.01)
        assert cut(valley(events, within=(0.20, 0.40))) == pytest.approx(0.29, abs=0.01)

    def test_valley_outside_the_window_stops_at_its_edge(self):
        assert cut(valley(drawn(50_000, *TWO), within=(0.5, 0.58))) == 0.5

    def test_wiggles_on_the_negative_peak_are_no_peaks(self):
        wiggles = np.repeat(np.linspace(0.20, 0.40, 11), 300)
        events = axis(normal(60_000, 0.30, 0.06), wiggles + np.tile(np.linspace(-2e-3, 2e-3, 300), 11),
                      normal(20_000, 0.70, 0.05))  # fmt: skip
        found = valley(events)
        assert found.evidence["peaks"] == 2
        assert 0.48 < cut(found) < 0.56

    def test_crumbs_in_an_empty_left_tail_draw_nothing(self):
        crumbs = np.repeat([-0.9, -0.5, -0.2], 40)
        events = axis(crumbs + np.linspace(0, 0.01, 120), drawn(50_000, *TWO)[:, 0])
        assert cut(valley(events)) == pytest.approx(cut(valley(drawn(50_000, *TWO))), abs=0.002)

    def test_broad_empty_gap_is_cut_in_its_middle(self):
        rng = np.random.default_rng(1)
        cuts = []
        for seed in range(10):
            strays = rng.uniform(0.4, 0.75, 12)
            cuts.append(
                cut(
                    valley(
                        axis(strays, drawn(60_000, (0.93, 0.25, 0.04), (0.07, 0.85, 0.04), seed=seed)[:, 0])
                    )
                )
            )
        assert np.ptp(cuts) < 0.02
        assert np.mean(cuts) == pytest.approx(0.55, abs=0.03)

    def test_skewed_peaks(self):
        rng = np.random.default_rng(2)
        low = 0.2 + rng.gamma(2.0, 0.03, 30_000)
        high = 0.8 - rng.gamma(2.0, 0.03, 20_000)
        assert 0.45 < cut(valley(axis(low, high))) < 0.55

    @pytest.mark.parametrize("end", [-0.1, 1.0])
    def test_pile_up_at_an_axis_end_is_no_peak(self, end):
        with pytest.raises(GateError, match="one peak"):
            valley(axis(normal(20_000, 0.4, 0.05), np.full(2_000, end)))

    def test_wild_values_ask_for_no_memory(self):
        events = axis(drawn(50_000, *TWO)[:, 0], [-1e12, 1e12, 1e15])
        assert cut(valley(events)) == pytest.approx(cut(valley(drawn(50_000, *TWO))), abs=0.002)

    def test_cost(self):
        events = drawn(300_000, *TWO)
        assert min(_seconds(lambda: valley(events)) for _ in range(5)) < 0.05


def _cut_or_none(events):
    try:
        return cut(valley(events))
    except GateError:
        return None


@pytest.mark.data
class TestCD4OfALymphNode:
    """A real tube whose CD4 reaches down to the negatives: where a cut would go through the cloud, it is said."""

    @pytest.fixture
    def cd4(self, data):
        sample = read_fcs(data / "treg/flowatlas_tcells/412C/412C_mLN_026.cleaned.fcs")
        names = [channel.name for channel in sample.channels]
        linear = sample.columns([names.index("FJComp-355 820_60-A")])[0]
        return Logicle(262_144, 1.0, 4.5, 0)(linear)[:, None]

    def test_shallow_valley_between_clouds_that_overlap_is_doubted(self, cd4):
        found = valley(cd4)
        assert 0.26 < cut(found) < 0.32
        assert found.evidence["depth"] > 0.5
        assert [doubt.kind for doubt in found.doubts] == ["weak"]

    def test_window_in_the_cloud_holds_no_valley(self, cd4):
        with pytest.raises(
            GateError, match=r"^no valley between 0\.40 and 0\.60 .*: a flank of the peaks at 0\.2"
        ):
            valley(cd4, within=(0.40, 0.60))


def _seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start


class TestTail:
    @pytest.mark.parametrize(("events", "error"), [(1_000, 0.035), (10_000, 0.015), (300_000, 0.004)])
    def test_follows_the_main_peak(self, events, error):
        parts = ((0.9, 0.30, 0.05), (0.1, 0.75, 0.06))
        found = [tail(drawn(events, *parts, seed=seed)) for seed in range(5)]
        np.testing.assert_allclose([cut(one) for one in found], 0.50, atol=error)
        np.testing.assert_allclose([one.evidence["spread"] for one in found], 0.05, rtol=0.2)

    def test_tail_does_not_widen_the_peak(self):
        rng = np.random.default_rng(3)
        clean = rng.normal(0.3, 0.04, 50_000)
        sticky = 0.3 + rng.exponential(0.15, 10_000)
        assert cut(tail(axis(clean, sticky))) == pytest.approx(0.46, abs=0.02)

    @pytest.mark.parametrize(("shape", "most"), [(4, 0.7), (9, 0.3)])
    def test_skewed_negatives_stay_below(self, shape, most):
        events = 0.1 + 0.02 * np.random.default_rng(3).gamma(shape, size=50_000)[:, None]
        assert 100 * (events >= cut(tail(events))).mean() < most

    def test_skewed_to_the_other_side_does_not_push_the_cut_away(self):
        events = 0.6 - 0.02 * np.random.default_rng(3).gamma(4, size=50_000)[:, None]
        assert cut(tail(events)) < 0.54 + 4 * events.std()

    def test_another_peak_above_is_told(self):
        found = tail(drawn(50_000, (0.8, 0.30, 0.04), (0.2, 0.70, 0.06)))
        assert found.evidence["peaks"] == 2
        assert found.evidence["separation"] == pytest.approx(
            0.4 / math.hypot(0.04, 0.06) * math.sqrt(2), rel=0.1
        )
        assert found.evidence["depth"] < 0.1
        assert found.doubts == ()
        assert "separation" not in tail(SAMPLE_Y).evidence

    @pytest.mark.parametrize(
        ("sd", "says"), [(4, "lies in the peak at 0.48"), (6, "lies beyond another peak, at 0.48")]
    )
    def test_cut_through_another_peak_is_doubted(self, sd, says):
        (doubt,) = tail(drawn(50_000, (0.7, 0.30, 0.04), (0.3, 0.48, 0.04)), sd=sd).doubts
        assert doubt.kind == "weak"
        assert says in doubt.sentence

    def test_unit_of_the_axis_does_not_matter(self):
        assert cut(tail(SAMPLE_Y)) * 4.5 == pytest.approx(0.5 + 4 * 0.2, abs=0.01)
        assert cut(tail(SAMPLE_Y * 4.5)) == pytest.approx(0.5 + 4 * 0.2, abs=0.01)

    def test_window_finds_the_living_among_many_dead(self):
        events = drawn(50_000, (0.3, 0.35, 0.04), (0.7, 0.75, 0.04))
        assert cut(tail(events, within=(0.40, 0.60))) == pytest.approx(0.51, abs=0.01)

    def test_sd_counts(self):
        assert cut(tail(SAMPLE_X, sd=2)) < cut(tail(SAMPLE_X, sd=3))

    def test_no_peak_below_the_window(self):
        with pytest.raises(GateError, match=r"^no peak below 0\.10 among 10,000 events$"):
            tail(SAMPLE_X, within=(0.05, 0.1))

    def test_peak_without_width(self):
        with pytest.raises(GateError, match=r"^the peak at 0\.50 has no width$"):
            tail(axis(np.linspace(0, 1, 11), np.full(5_000, 0.5)))


class TestQuantile:
    def test_type_seven(self):
        assert 4.5 * cut(quantile(SAMPLE_X, at=0.995)) == pytest.approx(2.837224537, abs=1e-8)
        assert 4.5 * cut(quantile(SAMPLE_X, at=0.999)) == pytest.approx(3.009063227, abs=1e-8)

    def test_evidence(self):
        assert quantile(SAMPLE_X, at=0.995).evidence == {"above": 50, "events": 10_000}

    @pytest.mark.parametrize(("at", "needed"), [(0.995, 1_000), (0.5, 10), (0.01, 500)])
    def test_needs_five_events_beyond(self, at, needed):
        quantile(np.arange(needed)[:, None] / needed, at=at)
        with pytest.raises(GateError, match=f"^{needed - 1:,} events, the {at:g} quantile needs {needed:,}$"):
            quantile(np.arange(needed - 1)[:, None] / needed, at=at)
