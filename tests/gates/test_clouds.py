from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy.special import ndtri

from tregflow.errors import GateError
from tregflow.gates.clouds import cluster, debris_cut, singlet_band
from tregflow.gates.shapes import Ellipse

LYMPHOCYTES = ((0.30, 0.15), (0.03, 0.025), 0.2)
MONOCYTES = ((0.43, 0.30), (0.05, 0.05), 0.4)
NEAR_MONOCYTES = ((0.38, 0.25), (0.05, 0.04), 0.4)
GRANULOCYTES = ((0.60, 0.55), (0.06, 0.08), 0.3)
DEBRIS = ((0.06, 0.05), (0.03, 0.02), 0.3)


def cloud(events, kind, seed=0):
    """Events of one kind in forward and side scatter."""
    (x, y), (dx, dy), r = kind
    rng = np.random.default_rng(seed)
    return rng.multivariate_normal((x, y), [[dx * dx, r * dx * dy], [r * dx * dy, dy * dy]], events)


def cut(found):
    low, bottom = found.shape.low
    assert bottom == -math.inf
    assert found.shape.high == (math.inf, math.inf)
    return low


class TestDebrisCut:
    @pytest.mark.parametrize(("debris", "cells"), [(3_000, 20_000), (20_000, 5_000)])
    def test_parts_debris_from_cells(self, debris, cells):
        found = debris_cut(np.concatenate([cloud(debris, DEBRIS), cloud(cells, LYMPHOCYTES)]))
        assert 0.12 < cut(found) < 0.24
        assert found.evidence["peaks"] == 2
        assert found.evidence["main"] == pytest.approx(0.3, abs=0.01)

    def test_without_debris_it_is_the_foot_of_the_cells(self):
        found = debris_cut(cloud(20_000, LYMPHOCYTES))
        assert cut(found) == pytest.approx(0.3 - 3 * 0.03, abs=0.01)
        assert found.evidence["peaks"] == 1

    def test_lymphocytes_beside_granulocytes_are_no_debris(self):
        found = debris_cut(np.concatenate([cloud(6_000, LYMPHOCYTES), cloud(20_000, GRANULOCYTES)]))
        assert cut(found) < 0.24
        assert found.evidence["peaks"] == 1

    def test_cut_keeps_lymphocytes_between_debris_and_granulocytes(self):
        parts = [cloud(4_000, DEBRIS), cloud(6_000, LYMPHOCYTES), cloud(20_000, GRANULOCYTES)]
        assert 0.12 < cut(debris_cut(np.concatenate(parts))) < 0.24

    def test_any_peak_below_the_window_is_debris(self):
        events = np.concatenate([cloud(6_000, LYMPHOCYTES), cloud(20_000, GRANULOCYTES)])
        assert 0.4 < cut(debris_cut(events, within=(0.38, 0.5))) < 0.5

    def test_stray_events_do_not_widen_the_kernel(self):
        events = np.concatenate([cloud(3_000, DEBRIS), cloud(20_000, LYMPHOCYTES)])
        strayed = np.concatenate([events, [(40.0, 1.0), (50.0, 1.0)]])
        assert cut(debris_cut(strayed)) == pytest.approx(cut(debris_cut(events)), abs=0.01)

    @pytest.mark.parametrize("scale", [0.02, 50])
    def test_length_of_the_axis_does_not_matter(self, scale):
        events = np.concatenate([cloud(3_000, DEBRIS), cloud(20_000, LYMPHOCYTES)])
        assert cut(debris_cut(events * scale)) == pytest.approx(scale * cut(debris_cut(events)), rel=1e-6)


def singlet_set():
    """Section 9 of the field notes: 20,000 events, 998 of them doublets."""
    i = np.arange(1, 20_001)
    area = 20_000 + 180_000 * (0.6180339887498949 * i % 1)
    noise = ndtri(0.9998 * (0.7548776662466927 * i % 1) + 0.0001)
    height = 0.9 * area + 700 + 1_500 * noise
    doublet = 0.5698402909980532 * i % 1 < 0.05
    return np.column_stack([area, np.where(doublet, 0.6 * height, height)]) / 262_144, doublet


def fan(events, bend=0.0, offset=0.0, doublets=0.1, seed=0):
    """Lognormal sizes, 3 % spread of the ratio, a detector that bends, and pairs of like cells."""
    rng = np.random.default_rng(seed)
    area = 0.25 * rng.lognormal(0, 0.25, events)
    height = offset + 0.85 * area * (1 - bend * area) * (1 + 0.03 * rng.standard_normal(events))
    paired = rng.random(events) < doublets
    return np.column_stack(
        [np.where(paired, 2 * area, area), np.where(paired, 1.15 * height, height)]
    ), paired


SIZES = ((0.09, 0.10), (0.15, 0.12), (0.22, 0.25))
"""Median area and its spread on the log scale: lymphocytes, monocytes, blasts."""


def sizes(events, *, shares=(0.85, 0.10, 0.05), bend=0.0, doublets=0.15, floor=0.002, seed=0):
    """Cells of three sizes whose ratio may fall with the area, and pairs of any two of them.

    A pair is as tall as its taller cell, or taller the closer the two pass.
    """
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, events, p=shares)
    area = np.array(SIZES)[kind, 0] * rng.lognormal(0, np.array(SIZES)[kind, 1])
    height = 0.85 * area * (area / 0.1) ** bend * (1 + 0.03 * rng.standard_normal(events))
    height += floor * rng.standard_normal(events)
    paired, other = rng.random(events) < doublets, rng.integers(0, events, events)
    together = np.maximum(
        1.02 * np.maximum(height, height[other]), rng.uniform(0.5, 0.75, events) * (height + height[other])
    )
    points = np.column_stack([np.where(paired, area + area[other], area), np.where(paired, together, height)])
    return points, np.where(paired, -1, kind)


class TestSingletBand:
    def test_doublets_of_the_reference_set_fall_out(self):
        points, doublet = singlet_set()
        inside = singlet_band(points).shape.holds(points)
        assert doublet.sum() == 998
        assert not inside[doublet].any()
        assert inside.sum() == pytest.approx(
            0.9973 * 19_002, abs=30
        )  # three standard deviations of the singlets
        assert inside.sum() > 18_886  # what two parallel lines hold: too narrow where cells are large

    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"bend": -0.15},
            {"doublets": 0.30},
            {"shares": (0.6, 0.3, 0.1)},
            {"shares": (0.94, 0.05, 0.01)},
            {"floor": 0.006},
            {"events": 10_000, "bend": -0.1},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("seed", range(3))
    def test_cells_of_very_different_sizes_are_kept_alike(self, settings, seed):
        points, kind = sizes(**{"events": 60_000, "seed": seed, **settings})
        inside = singlet_band(points).shape.holds(points)
        assert all(inside[kind == size].mean() > 0.98 for size in range(3))
        assert inside[kind == -1].mean() < 0.01

    def test_large_cells_whose_ratio_is_a_tenth_lower_are_single_all_the_same(self):
        small, large = (
            np.random.default_rng(seed).multivariate_normal(
                (middle, ratio), [[spread**2, 0], [0, 0.015**2]], events
            )
            for seed, (middle, ratio, spread, events) in enumerate(
                [(0.45, 0.90, 0.05, 6_000), (0.65, 0.80, 0.05, 3_000)]
            )
        )
        points = np.concatenate([small, large])
        points[:, 1] *= points[:, 0]
        inside = singlet_band(points).shape.holds(points)
        assert inside[:6_000].mean() > 0.97
        assert inside[6_000:].mean() > 0.90

    @pytest.mark.parametrize(
        "settings", [{}, {"bend": 0.5}, {"offset": 0.1}, {"doublets": 0.3}, {"events": 500}]
    )
    def test_singlets_stay_and_pairs_go(self, settings):
        points, paired = fan(**{"events": 30_000, **settings})
        inside = singlet_band(points).shape.holds(points)
        assert inside[~paired].mean() > 0.98
        assert inside[paired].mean() < 0.03

    @pytest.mark.parametrize("part", [slice(None, 3_000), slice(-3_000, None)])
    def test_small_and_large_cells_are_kept_alike(self, part):
        points, _ = fan(30_000, doublets=0)
        ordered = points[points[:, 0].argsort()][part]
        assert singlet_band(points).shape.holds(ordered).mean() > 0.98

    def test_outline_is_short_and_covers_all_areas(self):
        points, _ = fan(30_000)
        area = np.array(singlet_band(points).shape.vertices)[:, 0]
        assert len(area) <= 20
        assert area.min() < points[:, 0].min()
        assert area.max() > points[:, 0].max()

    def test_evidence(self):
        evidence = singlet_band(fan(30_000)[0]).evidence
        assert evidence["ratio"] == pytest.approx(0.85, rel=0.01)
        assert evidence["spread"] == pytest.approx(0.03, rel=0.15)

    def test_very_exact_ratio_has_a_band_all_the_same(self):
        area = np.linspace(0.1, 0.9, 1_000)
        points = np.column_stack([area, area * (0.9 + 1e-4 * np.sin(np.arange(1_000)))])
        assert singlet_band(points).shape.holds(points).all()

    def test_areas_below_zero_do_not_count(self):
        points, _ = fan(5_000)
        below = np.concatenate([points, [(-0.1, 0.2), (0.0, 0.1), (0.1, -0.2)]])
        assert singlet_band(below).shape == singlet_band(points).shape

    def test_cost(self):
        points, _ = sizes(100_000)
        assert min(_seconds(lambda: singlet_band(points)) for _ in range(5)) < 0.03

    def test_areas_that_do_not_differ(self):
        with pytest.raises(GateError, match=r"^the areas do not differ$"):
            singlet_band(np.column_stack([np.full(500, 0.5), np.linspace(0.4, 0.5, 500)]))


class TestCluster:
    @pytest.mark.parametrize(("monocytes", "swallowed"), [(MONOCYTES, 0.03), (NEAR_MONOCYTES, 0.2)])
    @pytest.mark.parametrize("events", [1_000, 20_000])
    def test_holds_its_share_and_no_neighbours(self, events, monocytes, swallowed):
        lymphocytes, others = cloud(events, LYMPHOCYTES), cloud(events // 2, monocytes, seed=1)
        ellipse = cluster(np.concatenate([lymphocytes, others])).shape
        assert ellipse.holds(lymphocytes).mean() == pytest.approx(0.975, abs=0.015)
        assert ellipse.holds(others).mean() < swallowed

    def test_centre_and_covariance_are_the_clusters(self):
        others = [cloud(3_000, DEBRIS), cloud(5_000, MONOCYTES), cloud(5_000, GRANULOCYTES)]
        ellipse = cluster(np.concatenate([cloud(40_000, LYMPHOCYTES), *others])).shape
        np.testing.assert_allclose(ellipse.centre, (0.30, 0.15), atol=0.001)
        np.testing.assert_allclose(
            ellipse.covariance, [[9e-4, 1.5e-4], [1.5e-4, 6.25e-4]], rtol=0.1, atol=1e-5
        )
        assert ellipse.distance == pytest.approx(7.3778, abs=1e-4)

    def test_window_says_which(self):
        events = np.concatenate([cloud(20_000, LYMPHOCYTES), cloud(20_000, GRANULOCYTES)])
        assert cluster(events).shape.centre[0] == pytest.approx(0.3, abs=0.01)
        window = ((0.5, 0.8), (0.4, 0.7))
        assert cluster(events, within=window).shape.centre[0] == pytest.approx(0.6, abs=0.01)

    def test_window_without_events(self):
        with pytest.raises(GateError, match=r"lies in the window for the cluster$"):
            cluster(cloud(5_000, LYMPHOCYTES), within=((0.8, 0.9), (0.8, 0.9)))

    def test_two_clusters_alike(self):
        twin = cloud(20_000, ((0.6, 0.6), *LYMPHOCYTES[1:]))
        with pytest.raises(GateError, match=r"^two places of like density, at \(0\..*\) and \(0\..*\)$"):
            cluster(np.concatenate([cloud(20_000, LYMPHOCYTES), twin]))

    def test_even_events_have_no_cluster(self):
        with pytest.raises(GateError, match=r"too evenly for a densest place$"):
            cluster(np.random.default_rng(4).random((20_000, 2)))

    def test_pile_up_at_an_axis_end_is_no_cluster(self):
        piled = np.column_stack([np.linspace(0.1, 0.9, 5_000), np.ones(5_000)])
        assert cluster(np.concatenate([cloud(5_000, LYMPHOCYTES), piled])).shape.centre[1] == pytest.approx(
            0.15, abs=0.01
        )

    def test_events_on_a_line(self):
        with pytest.raises(GateError, match=r"needs 100$|do not differ on both axes$|has no width$"):
            cluster(np.column_stack([np.linspace(0, 1, 5_000), np.full(5_000, 0.5)]))

    @pytest.mark.parametrize("scale", [(0.02, 1), (1, 50)])
    def test_length_of_an_axis_does_not_matter(self, scale):
        events = np.concatenate([cloud(20_000, LYMPHOCYTES), cloud(5_000, MONOCYTES)])
        plain, scaled = cluster(events).shape, cluster(events * scale).shape
        np.testing.assert_allclose(scaled.centre, np.array(plain.centre) * scale, rtol=1e-3)

    def test_a_near_ellipse_says_which(self):
        events = np.concatenate([cloud(20_000, LYMPHOCYTES), cloud(30_000, GRANULOCYTES)])
        lymphocytes = cluster(events, within=((0.2, 0.4), (0.05, 0.25))).shape
        weights = np.random.default_rng(3).poisson(1, len(events)).astype(np.float64)
        again = cluster(events, weights, lymphocytes)
        np.testing.assert_allclose(again.shape.centre, lymphocytes.centre, atol=0.001)
        assert again.evidence["rounds"] < cluster(cloud(20_000, LYMPHOCYTES)).evidence["rounds"]

    def test_a_near_ellipse_beside_the_cluster_leads_to_it(self):
        events = np.concatenate([cloud(20_000, LYMPHOCYTES), cloud(5_000, MONOCYTES)])
        found = cluster(events).shape
        beside = Ellipse((found.centre[0] + 0.02, found.centre[1]), found.covariance, found.distance)
        np.testing.assert_allclose(cluster(events, None, beside).shape.centre, found.centre, atol=1e-6)

    def test_moves_smoothly_with_the_events(self):
        """One event more among many moves the ellipse by next to nothing: no edge that it jumps over."""
        events = cloud(20_000, LYMPHOCYTES)
        one_more = np.concatenate([events, [(0.335, 0.16)]])
        np.testing.assert_allclose(cluster(one_more).shape.centre, cluster(events).shape.centre, atol=1e-5)

    def test_cost(self):
        events = np.concatenate([cloud(70_000, LYMPHOCYTES), cloud(30_000, MONOCYTES)])
        found = cluster(events).shape
        assert min(_seconds(lambda: cluster(events)) for _ in range(5)) < 0.05
        assert min(_seconds(lambda: cluster(events, None, found)) for _ in range(5)) < 0.02


def _seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start
