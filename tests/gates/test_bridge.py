"""Stored coordinates carried by the landmarks of a run's reference tube."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tregflow.errors import GateError
from tregflow.gates.bridge import LEAST, NEAREST, QUANTILES, Carry, Landmarks, carried, carrying, landmarks
from tregflow.gates.shapes import And, Ellipse, Everything, Interval, Members, Not, Or, Polygon, Rectangle
from tregflow.transforms import Log, Logicle

SCALE = Logicle(262_144.0, 0.5, 4.5, 0.0)
EIGHT = len(QUANTILES)

positions = st.lists(st.floats(-0.3, 1.3), min_size=EIGHT, max_size=EIGHT).map(sorted)
places = st.floats(-0.5, 1.5)


def known(at, error=0.0):
    return Landmarks(tuple(at), (error,) * EIGHT, 10_000)


def cells(events=10_000, seed=1):
    """A quarter bright, the others dim, in linear units."""
    rng = np.random.default_rng(seed)
    dim, bright = rng.normal(30, 80, events), 4_000 * np.exp(rng.normal(0, 0.4, events))
    return np.where(rng.random(events) < 0.25, bright, dim)


class TestLandmarks:
    def test_are_the_quantiles(self):
        values = SCALE(cells())
        found = landmarks(values)
        np.testing.assert_allclose(found.positions, np.quantile(values, QUANTILES), rtol=0, atol=1e-12)
        assert found.events == 10_000

    def test_whole_weights_give_what_the_repeated_events_give(self):
        values, counts = SCALE(cells()), np.random.default_rng(2).poisson(1, 10_000)
        once, repeated = landmarks(values, counts.astype(float)), landmarks(np.repeat(values, counts))
        np.testing.assert_allclose(once.positions, repeated.positions, rtol=0, atol=1e-9)
        np.testing.assert_allclose(once.errors, repeated.errors, rtol=0, atol=1e-9)
        assert once.events == repeated.events

    def test_the_order_of_events_does_not_matter(self):
        values = SCALE(cells())
        assert landmarks(values[::-1].copy()) == landmarks(values)

    def test_two_counting_errors_hold_nineteen_places_in_twenty(self):
        rng = np.random.default_rng(3)
        wanted = 0.5 + 0.1 * 2.3263478740408408  # the 99 % quantile of a normal distribution
        inside = 0
        for _ in range(200):
            found = landmarks(rng.normal(0.5, 0.1, 5_000))
            inside += abs(found.positions[-1] - wanted) < found.errors[-1]
        assert 180 <= inside <= 200

    def test_too_few_events_are_refused(self):
        with pytest.raises(GateError, match=r"^3,999 events, landmarks need 4,000$"):
            landmarks(SCALE(cells(LEAST - 1)))

    def test_events_on_one_place_are_refused(self):
        with pytest.raises(GateError, match=r"^5,000 events on one place, 0\.25, have no landmarks$"):
            landmarks(np.full(5_000, 0.25))


class TestCarry:
    @given(at=positions, place=places)
    def test_unmoved_landmarks_carry_nothing(self, at, place):
        carry = carrying(at, known(at), 0.2)
        assert carry(place) == place == carry.inverse(place)
        assert not carry.is_bound

    @given(
        stored=positions, now=positions, drift=st.floats(0.01, 2), two=st.tuples(places, places).map(sorted)
    )
    def test_always_rises_within_the_drift(self, stored, now, drift, two):
        carry = carrying(stored, known(now), drift)
        low, high = map(carry, two)
        assert low <= high
        if two[1] - two[0] > 1e-6:
            assert low < high
        assert abs(low - two[0]) <= drift + 1e-12

    @given(stored=positions, now=positions, place=places)
    def test_the_inverse_undoes_it(self, stored, now, place):
        carry = carrying(stored, known(now), 0.2)
        assert carry.inverse(carry(place)) == pytest.approx(place, abs=1e-9)

    @given(stored=positions, now=positions)
    def test_landmarks_that_are_one_are_pooled(self, stored, now):
        carry = carrying(stored, known(now), 0.2)
        gone = [knot + shift for knot, shift in zip(carry.knots, carry.shifts, strict=True)]
        assert min(np.diff(carry.knots), default=1) >= NEAREST - 1e-12
        assert min(np.diff(gone), default=1) >= NEAREST - 1e-12

    def test_beyond_the_ends_the_shift_stays(self):
        carry = Carry((0.3, 0.6), (0.02, 0.05))
        assert [carry(place) for place in (-1.0, 0.3, 0.45, 0.6, 1.0)] == pytest.approx(
            [-0.98, 0.32, 0.485, 0.65, 1.05]
        )
        assert carry(math.inf) == math.inf

    def test_a_far_landmark_is_held_and_said(self):
        at = np.linspace(0.2, 0.7, EIGHT)
        carry = carrying(at, known([*at[:-1], 0.95]), 0.1)
        assert carry.is_bound
        assert carry(0.7) == pytest.approx(0.8)

    def test_an_uncertain_landmark_carries_nothing(self):
        at = np.linspace(0.2, 0.9, EIGHT)
        moved = at + 0.01
        moved[3] += 0.08
        errors = tuple(0.021 if place == 3 else 0.019 for place in range(EIGHT))
        assert carrying(at, Landmarks(tuple(moved), errors, 5_000), 0.2)(0.5) == pytest.approx(0.51)
        with pytest.raises(GateError, match=r"^no landmark's place among 10,000 events is certain$"):
            carrying(at, known(moved, 0.03), 0.2)

    def test_a_gap_between_two_halves_does_not_throw_an_edge_about(self):
        def halves(seed):
            rng = np.random.default_rng(seed)
            return rng.normal(np.where(rng.random(6_000) < 0.5, 0.25, 0.65), 0.04)

        moves = [carrying(landmarks(halves(seed)).positions, landmarks(halves(seed + 50)), 0.2)(0.55) - 0.55
                 for seed in range(30)]  # fmt: skip
        assert max(map(abs, moves)) < 0.01

    @given(decades=st.floats(-0.3, 0.3), place=st.floats(0.2, 1))
    def test_a_gain_on_a_log_axis_moves_every_edge_by_its_decades(self, decades, place):
        scale, bright = Log(262_144.0, 4.5), 3_000 * np.exp(np.random.default_rng(4).normal(0, 0.8, 5_000))
        now = landmarks(scale(bright * 10**decades))
        carry = carrying(landmarks(scale(bright)).positions, now, 0.2)
        assert carry(place) - place == pytest.approx(decades / 4.5, abs=1e-9)

    def test_gain_stain_and_offset_together_keep_the_cells_on_their_side(self):
        then = cells(20_000)
        now = 1.5 * (then + 0.5 * np.maximum(then - 200, 0)) + 60
        carry = carrying(landmarks(SCALE(then)).positions, landmarks(SCALE(now)), 0.3)
        edges = np.array([0.28, 0.32, 0.36, 0.56, 0.62, 0.68])
        sides = SCALE(then)[:, None] >= edges
        lost, unmoved = (
            ((SCALE(now)[:, None] >= there) != sides).mean(axis=0)
            for there in (list(map(carry, edges)), edges)
        )
        assert lost.max() < 0.01
        assert lost.sum() < 0.1 * unmoved.sum()


class TestCarried:
    X = Carry((0.3, 0.5, 0.7), (0.01, 0.05, 0.02))
    Y = Carry((0.4,), (-0.03,))

    def test_edges(self):
        assert carried(Interval(0.5), (self.X,)) == Interval(0.55)
        assert carried(Interval(-0.2, 0.3), (self.X,)) == Interval(-0.2, 0.31)
        rectangle = carried(Rectangle((0.5, -math.inf), (math.inf, 0.4)), (self.X, self.Y))
        assert rectangle == Rectangle((0.55, -math.inf), (math.inf, 0.37))

    def test_an_axis_without_landmarks_stays(self):
        assert carried(Rectangle((0.5, 0.1), (0.7, 0.4)), (None, self.Y)) == Rectangle(
            (0.5, 0.07), (0.7, 0.37)
        )

    def test_open_sides_of_a_polygon_stay_and_straight_ones_get_no_corners(self):
        box = Polygon(((0.5, -0.5), (0.5, 0.4), (1.2, 0.4), (1.2, -0.5)))
        assert carried(box, (self.X, self.Y)) == Polygon(
            ((0.55, -0.5), (0.55, 0.37), (1.2, 0.37), (1.2, -0.5))
        )

    @given(stored=positions, now=positions, seed=st.integers(0, 20))
    def test_a_polygon_contains_the_carried_events_and_no_others(self, stored, now, seed):
        rng = np.random.default_rng(seed)
        outline, events = (
            Polygon(tuple(map(tuple, rng.uniform(0, 1, (5, 2)).tolist()))),
            rng.uniform(0, 1, (300, 2)),
        )
        along = carrying(stored, known(now), 0.2), carrying(now, known(stored), 0.1)
        there = np.array(
            [[carry(place) for carry, place in zip(along, event, strict=True)] for event in events]
        )
        differ = carried(outline, along).holds(there) != outline.holds(events)
        assert differ.sum() <= 1  # one may lie on the border within a rounding

    @given(at=positions)
    def test_unmoved_landmarks_leave_every_shape_as_it_is(self, at):
        along = (carrying(at, known(at), 0.2),) * 2
        ellipse = Ellipse((0.4, 0.6), ((0.01, 0.003), (0.003, 0.02)), 5.99)
        slanted = Polygon(((0.43, -0.5), (0.43, 0.42), (0.64, 0.60), (1.2, 0.60), (1.2, -0.5)))
        for shape in (Rectangle((0.1, 0.2), (0.3, 0.4)), slanted, ellipse, Everything(), Members("CD4")):
            assert carried(shape, along) == shape

    def test_an_ellipse_moves_and_stretches(self):
        steep = Carry((0.2, 0.6), (0.0, 0.1))
        found = carried(Ellipse((0.4, 0.5), ((0.0025, 0.001), (0.001, 0.0025)), 4.0), (steep, self.Y))
        assert found.centre == pytest.approx((0.45, 0.47))
        assert np.array(found.covariance) == pytest.approx(
            np.array([[0.0025 * 1.25**2, 0.00125], [0.00125, 0.0025]])
        )
        assert found.is_proper
        assert found.distance == 4.0

    def test_combinations_are_carried_part_by_part(self):
        low, high = Interval(0.5), Interval(high=0.7)
        moved = Interval(0.55), Interval(high=0.72)
        assert carried(And((low, Not(high))), (self.X,)) == And((moved[0], Not(moved[1])))
        assert carried(Or((low, Members("CD4"))), (self.X,)) == Or((moved[0], Members("CD4")))
