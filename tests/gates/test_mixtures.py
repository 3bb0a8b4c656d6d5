from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm

from tregflow.errors import GateError
from tregflow.gates.kinds import Kind, Model, fit
from tregflow.gates.mixtures import mixture
from tregflow.gates.shapes import Ellipse, Interval, Polygon

NAIVE = Kind("naive", (0.30, 0.60, 0.22), (0.06, 0.04, 0.05))
MEMORY = Kind("memory", (0.42, 0.62, 0.24), (0.06, 0.05, 0.05))
ACTIVE = Kind("active", (0.53, 0.54, 0.34), (0.05, 0.05, 0.05))
TREG = Kind("Treg", (0.62, 0.42, 0.48), (0.05, 0.05, 0.05), steady=False)
MODEL = Model((NAIVE, MEMORY, ACTIVE, TREG))
KEEP = ("Treg",)
COUNTS = (9_000, 9_000, 700, 1_500)

LOW = Kind("low", (0.30,), (0.06,))
HIGH = Kind("high", (0.60,), (0.05,), steady=False)
LINE = Model((LOW, HIGH))


def drawn(counts=COUNTS, *, model=MODEL, shift=0.0, seed=0):
    """Events of the kinds as they are written, moved together, and which kind each is."""
    rng = np.random.default_rng(seed)
    parts = [rng.normal(np.add(kind.at, shift), kind.spread, (count, len(kind.at)))
             for kind, count in zip(model.kinds, counts, strict=True)]  # fmt: skip
    return np.concatenate(parts), np.repeat(np.arange(len(counts)), counts)


def f1(inside, kept):
    return 2 * (inside & kept).sum() / (inside.sum() + kept.sum())


@pytest.fixture(scope="module")
def tube():
    return drawn(shift=0.03)


@pytest.fixture(scope="module")
def found(tube):
    return fit(tube[0], MODEL)


class TestCut:
    @pytest.mark.parametrize("odds", [0.2, 0.5, 0.8])
    @pytest.mark.parametrize("counts", [(8_000, 2_000), (9_700, 300)])
    def test_lies_where_both_densities_have_the_odds(self, counts, odds):
        points, _ = drawn(counts, model=LINE)
        cut = mixture(fit(points, LINE), (0,), keep=("high",), probability=odds).shape.low

        def difference(x):
            ours, others = counts[1] * norm.pdf(x, 0.60, 0.05), counts[0] * norm.pdf(x, 0.30, 0.06)
            return math.log(ours / others) - math.log(odds / (1 - odds))

        assert cut == pytest.approx(brentq(difference, 0.35, 0.6), abs=0.004)

    def test_is_open_above(self):
        shape = mixture(fit(drawn((8_000, 2_000), model=LINE)[0], LINE), (0,), keep=("high",)).shape
        assert isinstance(shape, Interval)
        assert math.isinf(shape.high)

    def test_evidence_tells_what_is_lost_and_let_in(self):
        points, kind = drawn((30_000, 10_000), model=Model((LOW, replace(HIGH, at=(0.50,)))))
        found = mixture(fit(points, Model((LOW, replace(HIGH, at=(0.50,))))), (0,), keep=("high",))
        kept, above = kind == 1, points[:, 0] >= found.shape.low
        assert found.evidence["lost"] == pytest.approx((kept & ~above).sum() / kept.sum(), abs=0.01)
        assert found.evidence["let_in"] == pytest.approx((above & ~kept).sum() / kept.sum(), abs=0.01)
        assert found.evidence["separation"] == pytest.approx(
            0.2 / math.sqrt((0.06**2 + 0.05**2) / 2), rel=0.05
        )
        assert found.evidence["events"] == 40_000

    def test_parent_decides_who_is_still_there(self, tube, found):
        points, kind = tube
        everywhere = mixture(found, (2,), keep=KEEP).shape.low
        parent = mixture(found, (0, 1), keep=KEEP, probability=0.3).shape.holds(points[:, :2])
        here = mixture(found, (2,), parent, keep=KEEP).shape.low
        assert here < everywhere - 0.01
        truth = [np.sum((kind == 3) & parent & (points[:, 2] >= cut)) for cut in (here, everywhere)]
        assert truth[0] > truth[1]

    @pytest.mark.parametrize("axes", [(2,), (0, 1), (0, 1, 2)])
    def test_a_shape_is_the_same_if_nothing_is_told_of_it(self, found, axes):
        told, untold = mixture(found, axes, keep=KEEP), mixture(found, axes, None, False, keep=KEEP)
        assert untold.shape == told.shape
        assert (dict(untold.evidence), untold.doubts) == ({}, found.doubts)

    def test_a_hundred_events_in_the_parent_are_enough(self, tube, found):
        points, _ = tube
        parent = mixture(found, (0, 1), keep=KEEP, probability=0.3).shape.holds(points[:, :2])
        some = parent & (np.cumsum(parent) % 15 == 0)
        cuts = [mixture(found, (2,), inside, keep=KEEP).shape.low for inside in (parent, some)]
        assert cuts[0] == pytest.approx(cuts[1], abs=0.02)

    def test_correlated_axes_are_used(self):
        """Of two kinds that lean on each other's axis the cut follows where the parent lies."""
        kinds = (Kind("low", (0.4, 0.3), (0.1, 0.05)), Kind("high", (0.4, 0.6), (0.1, 0.05)))
        rng = np.random.default_rng(1)
        slanted = np.array([[0.01, 0.004], [0.004, 0.0025]])
        points = np.concatenate([rng.multivariate_normal(kind.at, slanted, 10_000) for kind in kinds])
        found = fit(points, Model(kinds, guide=0.01))
        slices = [np.abs(points[:, 0] - middle) < 0.01 for middle in (0.3, 0.5)]
        cuts = [mixture(found, (1,), inside, keep=("high",)).shape.low for inside in slices]
        assert cuts[1] - cuts[0] == pytest.approx(0.4 * 0.2, abs=0.01)

    def test_no_separation_is_no_cut(self):
        model = Model((LOW, replace(HIGH, at=(0.33,))))
        points, _ = drawn((9_500, 500), model=model)
        with pytest.raises(
            GateError, match=r"^at 0\.\d\d, where most of the kept cells lie, others are likelier$"
        ):
            mixture(fit(points, model), (0,), keep=("high",))

    def test_kept_kinds_below_the_others_have_no_cut(self, found):
        with pytest.raises(
            GateError, match=r"^no other kind of cells lies below the kept ones, which lie at 0\.\d\d$"
        ):
            mixture(found, (1,), keep=KEEP)

    def test_empty_parent(self, tube, found):
        with pytest.raises(GateError, match=r"^0 events of the model's population lie in the parent$"):
            mixture(found, (2,), np.zeros(len(tube[0]), bool), keep=KEEP)

    def test_weak_separation_is_a_doubt(self):
        model = Model((LOW, replace(HIGH, at=(0.47,))))
        points, _ = drawn((8_000, 4_000), model=model)
        found = mixture(fit(points, model), (0,), keep=("high",))
        assert found.evidence["lost"] + found.evidence["let_in"] > 0.08
        assert {doubt.kind for doubt in found.doubts} == {"weak"}
        assert " % of the kept cells, and others make up " in found.doubts[0].sentence

    def test_clear_separation_is_none(self):
        assert mixture(fit(drawn((8_000, 2_000), model=LINE)[0], LINE), (0,), keep=("high",)).doubts == ()

    def test_events_elsewhere_than_the_kinds_are_a_doubt(self, found, tube):
        points, kind = tube
        odd = points.copy()
        odd[kind == 3, 2] = 0.2
        strange = replace(found, points=odd)
        parent = mixture(found, (0, 1), keep=KEEP, probability=0.3).shape.holds(points[:, :2])
        doubts = mixture(strange, (2,), parent, keep=KEEP).doubts
        assert any(
            "of the events lie along its axis where the model has no cells" in doubt.sentence
            for doubt in doubts
        )
        assert mixture(found, (2,), parent, keep=KEEP).evidence["misfit"] < 0.05


class TestOutline:
    def test_is_a_polygon_with_a_corner_per_ray_or_few_more(self, found):
        shape = mixture(found, (0, 1), keep=KEEP).shape
        assert isinstance(shape, Polygon)
        assert 40 <= len(shape.vertices) <= 44

    @pytest.mark.parametrize("odds", [0.3, 0.5, 0.7])
    def test_border_has_the_odds(self, found, odds):
        shape, normals = mixture(found, (0, 1), keep=KEEP, probability=odds).shape, found.found.on((0, 1))
        densities = [share * multivariate_normal(mean, covariance).pdf(shape.vertices) for share, mean, covariance
                     in zip(normals.shares, normals.means, normals.covariances, strict=True)]  # fmt: skip
        probability = densities[3] / np.sum(densities, axis=0)
        away = np.array(shape.vertices) - normals.means[3]
        closed = np.einsum("ni,ij,nj->n", away, normals.precisions[3], away) < 3.3**2
        assert closed.sum() > 10
        np.testing.assert_allclose(probability[closed], odds, atol=0.01)

    @pytest.mark.parametrize("seed", range(3))
    def test_is_as_good_as_every_events_own_odds(self, seed):
        points, kind = drawn(seed=seed, shift=(0.05, -0.04, 0.02))
        fitted = fit(points, MODEL)
        inside = mixture(fitted, (0, 1), keep=KEEP).shape.holds(points[:, :2])
        likely = fitted.found.on((0, 1)).odds(points[:, :2], np.arange(4) == 3) > 0
        assert (inside == likely).mean() > 0.999
        oracle = [multivariate_normal(np.add(one.at, (0.05, -0.04, 0.02))[:2], np.diag(np.square(one.spread[:2])))
                  for one in MODEL.kinds]  # fmt: skip
        densities = np.array(
            [count * one.pdf(points[:, :2]) for count, one in zip(COUNTS, oracle, strict=True)]
        )
        assert f1(inside, kind == 3) > f1(densities[3] > densities[:3].sum(axis=0), kind == 3) - 0.01

    def test_is_open_where_no_others_lie_and_closed_where_they_do(self, found):
        shape = mixture(found, (0, 1), keep=KEEP).shape
        held = shape.holds(
            np.array([[1.2, 0.4], [0.6, -0.3], [1.2, -0.3], [0.35, 0.58], [0.45, 0.55], [0.6, 0.9]])
        )
        np.testing.assert_array_equal(held, [True, True, True, False, False, False])

    def test_far_side_of_a_wider_kind_does_not_come_back(self):
        """Far out the wider distribution wins on every side; the border is the one towards its middle."""
        kinds = (
            Kind("wide", (0.30, 0.50), (0.12, 0.10)),
            Kind("narrow", (0.70, 0.50), (0.03, 0.03), steady=False),
        )
        points, _ = drawn((9_000, 1_500), model=Model(kinds))
        shape = mixture(fit(points, Model(kinds)), (0, 1), keep=("narrow",)).shape
        closed = np.array(shape.vertices)
        assert closed[:, 0].min() > 0.55
        assert shape.holds(np.array([[0.70, 0.50], [0.64, 0.50], [0.78, 0.50]])).all()

    def test_two_kept_kinds_are_seen_together(self):
        resting = Kind("resting", (0.57, 0.45, 0.43), (0.04, 0.04, 0.05), steady=False)
        model = Model((*MODEL.kinds, resting))
        points, kind = drawn((*COUNTS, 600), model=model)
        inside = mixture(fit(points, model), (0, 1), keep=("Treg", "resting")).shape.holds(points[:, :2])
        assert inside[kind == 3].mean() > 0.95
        assert inside[kind == 4].mean() > 0.8

    def test_kept_kind_under_a_larger_one(self):
        under = replace(TREG, at=(0.43, 0.60, 0.48))
        model = Model((NAIVE, MEMORY, ACTIVE, under))
        with pytest.raises(
            GateError, match=r"^at 0\.4\d and 0\.6\d, in the middle of the kept cells, others are likelier$"
        ):
            mixture(fit(drawn(model=model)[0], model), (0, 1), keep=KEEP)

    def test_separation_is_the_nearest_kinds(self, found):
        evidence = mixture(found, (0, 1), keep=KEEP).evidence
        expected = math.hypot(0.09 / 0.05, 0.12 / 0.05)
        assert evidence["separation"] == pytest.approx(expected, rel=0.1)
        assert evidence["unsure"] < 0.12

    def test_ends_on_every_side_beyond_which_others_lie(self, found):
        shape, normals = mixture(found, (0, 1), keep=KEEP).shape, found.found.on((0, 1))
        corners = np.array(shape.vertices)
        middle, spread = normals.means[3], np.sqrt(np.diagonal(normals.covariances[3]))
        assert corners[:, 1].max() <= middle[1] + 3.5 * spread[1] + 1e-6  # others have more CD127
        assert corners[:, 0].min() >= middle[0] - 3.5 * spread[0] - 1e-6  # and less CD25
        assert corners[:, 0].max() > 1.1  # nobody has more CD25

    def test_kinds_that_no_axis_tells_apart_are_a_doubt(self):
        near = replace(TREG, at=(0.59, 0.47, 0.40))
        model = Model((NAIVE, MEMORY, ACTIVE, near))
        found = mixture(fit(drawn((9_000, 9_000, 1_500, 1_500), model=model)[0], model), (0, 1), keep=KEEP)
        assert any(
            "of the kept cells overlap with other kinds of cells" in doubt.sentence for doubt in found.doubts
        )


class TestEllipse:
    def test_is_as_good_as_any_distance_from_the_kinds_true_middle(self, tube, found):
        points, kind = tube
        shape = mixture(found, (0, 1, 2), keep=KEEP).shape
        assert isinstance(shape, Ellipse)
        assert shape.is_proper
        true = replace(
            shape, centre=tuple(np.add(TREG.at, 0.03)), covariance=tuple(map(tuple, 0.05**2 * np.eye(3)))
        )
        best = max(
            f1(replace(true, distance=far**2).holds(points), kind == 3) for far in np.arange(2, 4, 0.1)
        )
        assert f1(shape.holds(points), kind == 3) > best - 0.005

    def test_odds_make_it_narrower(self, found):
        distances = [
            mixture(found, (0, 1, 2), keep=KEEP, probability=odds).shape.distance for odds in (0.2, 0.5, 0.9)
        ]
        assert distances == sorted(distances, reverse=True)
        assert distances[0] > distances[2]

    def test_kept_kind_under_larger_ones(self):
        under = replace(TREG, at=(0.36, 0.61, 0.23))
        model = Model((NAIVE, MEMORY, ACTIVE, under))
        with pytest.raises(GateError, match=r"^around the middle of the kept cells, others are likelier$"):
            mixture(fit(drawn((9_000, 9_000, 700, 100), model=model)[0], model), (0, 1, 2), keep=KEEP)


@pytest.mark.parametrize("axes", [(2,), (0, 1), (0, 1, 2)])
class TestEveryShape:
    def test_order_of_events_does_not_matter(self, tube, axes):
        shuffled = np.random.default_rng(1).permutation(tube[0])
        one, other = (mixture(fit(points, MODEL), axes, keep=KEEP) for points in (tube[0], shuffled))
        np.testing.assert_allclose(numbers(one.shape), numbers(other.shape), atol=1e-9)
        assert one.evidence == pytest.approx(other.evidence, abs=1e-9)

    def test_weights_are_repeated_events(self, tube, axes):
        points = tube[0]
        places = np.random.default_rng(2).integers(0, len(points), len(points))
        weights = np.bincount(places, minlength=len(points)).astype(float)
        one = mixture(fit(points, MODEL, weights), axes, keep=KEEP)
        other = mixture(fit(points[places], MODEL), axes, keep=KEEP)
        np.testing.assert_allclose(numbers(one.shape), numbers(other.shape), atol=1e-6)

    def test_a_drawn_tube_moves_it_little(self, tube, found, axes):
        points, here = tube[0], numbers(mixture(found, axes, keep=KEEP).shape)
        weights = np.bincount(
            np.random.default_rng(3).integers(0, len(points), len(points)), minlength=len(points)
        )
        moved = numbers(mixture(fit(points, MODEL, weights.astype(float), found), axes, keep=KEEP).shape)
        assert 0 < np.median(np.abs(moved - here)) < 0.01

    def test_evidence_is_plain_numbers_and_the_fits_doubts_are_passed_on(self, found, axes):
        placed = mixture(found, axes, keep=KEEP)
        assert "np." not in repr(placed)
        assert {"separation", "unsure", "events"} <= set(placed.evidence)
        far = fit(drawn(shift=(0.0, 0.0, 0.14))[0], MODEL)
        assert far.doubts
        assert mixture(far, axes, keep=KEEP).doubts[: len(far.doubts)] == far.doubts

    def test_leaves_the_fit_alone(self, tube, found, axes):
        before = tube[0].copy()
        mixture(found, axes, np.ones(len(before), bool), keep=KEEP)
        np.testing.assert_array_equal(found.points, before)

    def test_all_inside_is_none_given(self, found, axes):
        inside = np.ones(len(found.points), bool)
        assert mixture(found, axes, inside, keep=KEEP) == mixture(found, axes, keep=KEEP)

    def test_cost(self, found, axes):
        assert min(_seconds(lambda: mixture(found, axes, keep=KEEP)) for _ in range(5)) < 0.02


@settings(max_examples=15, deadline=None)
@given(x=st.floats(-0.2, 0.2))
def test_a_cut_moves_with_events_and_kinds(x):
    points, _ = drawn((8_000, 2_000), model=LINE)
    moved = Model(tuple(replace(kind, at=(kind.at[0] + x,)) for kind in LINE.kinds))
    here, there = (mixture(fit(events, model), (0,), keep=("high",)).shape.low
                   for events, model in ((points, LINE), (points + x, moved)))  # fmt: skip
    assert there - here == pytest.approx(x, abs=1e-4)


def numbers(shape):
    """The coordinates of a shape that is not open there."""
    if isinstance(shape, Interval):
        return np.array([shape.low])
    if isinstance(shape, Ellipse):
        return np.array([*shape.centre, *np.ravel(shape.covariance)])
    return np.array([shape.vertices[place] for place in range(15, 25)]).ravel()


def _seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start
