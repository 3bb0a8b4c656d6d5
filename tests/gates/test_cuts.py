from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy.special import ndtri

from tregflow.errors import GateError
from tregflow.gates.cuts import quantile, tail, valley


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
            "between 0.31 and 0.36 the density of 4,000 events does not fall below the lower of the peaks "
            "around it (0.28, 0.70)"
        )

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
