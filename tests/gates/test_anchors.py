"""Outlines that a reference population carries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tregflow.errors import GateError
from tregflow.gates.anchors import anchored, lying
from tregflow.gates.shapes import Interval, Polygon, Rectangle, rounded
from tregflow.simulation import DYES, MARKERS, TCONV, TREG, simulate
from tregflow.transforms import Arcsinh, Identity, Linear, Log, Logicle

SCALE = Logicle(262_144.0, 0.5, 4.5, 0.0)
LOG = Log(262_144.0, 4.5)
OUTLINE = Polygon(((0.43, -0.5), (0.43, 0.42), (0.64, 0.60), (1.2, 0.60), (1.2, -0.5)))


def reference(factors=(1.0, 1.0), offset=0.0, events=4_001):
    """Conventional T cells in linear units: dim and noisy in CD25, bright in CD127."""
    rng = np.random.default_rng(4)
    cd25 = rng.normal(25, 60, events) * factors[0] + offset
    cd127 = 3_000 * np.exp(rng.normal(0, 0.3, events)) * factors[1]
    return np.column_stack([cd25, cd127])


def points(*said, **drift):
    return SCALE(reference(*said, **drift))


THEN, WIDE = lying(points())
SPREAD = (WIDE[0], None)
"""Of CD25 alone: CD127 is bright, and its median says it all."""


def place(seen, weights=None, *, outline=OUTLINE, spread=SPREAD, **further):
    axes = seen.shape[1]
    further = {"at": THEN[-axes:], "drift": 0.3, "spread": spread and spread[-axes:]} | further
    return anchored(seen, weights, None, (SCALE,) * axes, outline=outline, **further)


def linear(edge):
    return float(SCALE.inverse(np.array(edge)))


class TestUnmoved:
    @pytest.mark.parametrize("spread", [None, SPREAD])
    @pytest.mark.parametrize(
        "outline",
        [OUTLINE, Rectangle((0.43, -math.inf), (math.inf, 0.60)), Rectangle((0.3, 0.2), (0.5, 1.1))],
    )
    def test_the_outline_is_the_stored_one(self, outline, spread):
        found = place(points(), outline=outline, spread=spread)
        assert rounded(found.shape) == outline
        assert found.doubts == ()

    def test_evidence_says_that_nothing_moved(self):
        found = place(points())
        assert found.evidence == pytest.approx(
            {
                "shift_0": 0,
                "offset_0": 0,
                "stretch_0": 0,
                "shift_1": 0,
                "gain_1": 0,
                "unseen": 1,
                "events": 4_001,
            },
            abs=1e-12,
        )


class TestBright:
    """CD127 of conventional T cells: its median sees gain and stain."""

    @given(decades=st.floats(-0.3, 0.3))
    def test_a_gain_moves_an_edge_on_a_log_axis_by_exactly_its_decades(self, decades):
        seen = LOG(reference((1, 10**decades))[:, 1:])
        then, _ = lying(LOG(reference()[:, 1:]))
        for known in (None, (None,)):
            found = anchored(
                seen, None, None, (LOG,), outline=Interval(0.3, 0.6), at=then, spread=known, drift=0.3
            )
            assert found.shape.low == pytest.approx(0.3 + decades / 4.5, abs=1e-9)
            assert found.shape.high == pytest.approx(0.6 + decades / 4.5, abs=1e-9)
            assert found.evidence["gain_0"] == pytest.approx(decades, abs=1e-9)
            assert found.evidence["unseen"] == 0

    def test_a_gain_multiplies_every_edge_in_linear_units(self):
        found = place(points((1, 1.6)), outline=Rectangle((-math.inf, 0.25), (math.inf, 0.60)))
        assert linear(found.shape.low[1]) == pytest.approx(1.6 * linear(0.25), rel=1e-6)
        assert linear(found.shape.high[1]) == pytest.approx(1.6 * linear(0.60), rel=1e-6)
        assert found.evidence["gain_1"] == pytest.approx(math.log10(1.6), abs=1e-9)

    def test_a_reference_without_light_is_refused(self):
        seen = points()
        seen[:, 1] = seen[:, 0]
        seen[:, 1] -= 0.1
        with pytest.raises(
            GateError, match=r"no light left on the second axis: it lies at 0\.0\d, not 0\.57"
        ):
            place(seen)


class TestDim:
    """CD25 of conventional T cells: the median sees the offset, the spread what goes with the noise."""

    @pytest.mark.parametrize("spread", [None, SPREAD])
    def test_an_offset_moves_every_edge_by_as_many_linear_units(self, spread):
        found = place(
            points(offset=120), outline=Rectangle((0.2, -math.inf), (0.43, math.inf)), spread=spread
        )
        assert linear(found.shape.low[0]) == pytest.approx(linear(0.2) + 120, abs=1e-6)
        assert linear(found.shape.high[0]) == pytest.approx(linear(0.43) + 120, abs=1e-6)
        assert found.evidence["offset_0"] == pytest.approx(120, abs=1e-6)
        assert "gain_0" not in found.evidence

    def test_a_gain_is_followed_by_the_spread_and_called_unseen(self):
        found = place(points((1.6, 1)))
        assert linear(found.shape.vertices[1][0]) == pytest.approx(1.6 * linear(0.43), rel=1e-6)
        assert found.evidence["stretch_0"] == pytest.approx(math.log10(1.6), abs=1e-9)
        assert found.evidence["unseen"] == 1

    def test_without_a_stored_spread_a_gain_moves_it_by_next_to_nothing(self):
        found = place(points((1.6, 1)), spread=None)
        assert found.shape.vertices[1][0] - 0.43 < 0.1 * math.log10(1.6) / 4.5
        assert "stretch_0" not in found.evidence

    def test_bright_cells_among_the_reference_do_not_widen_it(self):
        seen = points()
        brighter = seen.copy()
        above = seen[:, 0] > np.quantile(seen[:, 0], 0.9)
        brighter[above, 0] += 0.3
        assert place(brighter) == place(seen)

    def test_an_arcsinh_axis_is_followed_too(self):
        scale = Arcsinh(262_144.0, 4.5, 0.5)
        then, spread = lying(scale(reference()))
        found = anchored(scale(reference((1.3, 1.3))), None, None, (scale, scale), outline=OUTLINE, at=then,
                         spread=spread, drift=0.3)  # fmt: skip
        gone = [float(scale.inverse(np.array(x))) for x in (found.shape.vertices[2][0], 0.64)]
        assert gone[0] == pytest.approx(1.3 * gone[1], rel=1e-6)


class TestBound:
    def test_a_corner_goes_no_further_than_the_drift_and_says_so(self):
        found = place(points((1, 3.0)), drift=0.05)
        assert found.shape.vertices[2][1] == pytest.approx(0.65)
        (doubt,) = found.doubts
        assert doubt.kind == "bound"
        asked = max(float(SCALE(np.array([3 * linear(edge)]))[0]) - edge for edge in (0.42, 0.60))
        assert (
            doubt.sentence == f"the reference asks for {asked:+.3f} along the second axis, the drift is 0.05"
        )

    def test_open_sides_stay_and_raise_no_doubt(self):
        found = place(
            points((1, 3.0), offset=80), outline=Polygon(((-0.2, -0.5), (1.1, -0.5), (1.2, 1.3))), drift=0.01
        )
        assert found.shape == Polygon(((-0.2, -0.5), (1.1, -0.5), (1.2, 1.3)))
        assert found.doubts == ()

    @given(drift=st.floats(0.001, 0.2), factor=st.floats(0.2, 5), offset=st.floats(-300, 300))
    def test_nothing_moves_by_more(self, drift, factor, offset):
        found = place(points((factor, factor), offset=offset), drift=drift)
        moves = np.abs(np.array(found.shape.vertices) - np.array(OUTLINE.vertices))
        assert moves.max() <= drift + 1e-12
        assert bool(found.doubts) == (moves.max() >= drift - 1e-9)


class TestWeights:
    def test_whole_weights_give_what_the_repeated_events_give(self):
        seen, counts = points((1.2, 0.8), offset=40), np.random.default_rng(5).poisson(1, 4_001)
        once, repeated = place(seen, counts.astype(float)), place(np.repeat(seen, counts, axis=0))
        np.testing.assert_allclose(once.shape.vertices, repeated.shape.vertices, rtol=0, atol=1e-9)
        assert once.evidence == pytest.approx(repeated.evidence, abs=1e-9)

    def test_weights_of_one_change_nothing(self):
        seen = points((1.2, 0.8))
        assert place(seen, np.ones(len(seen))) == place(seen)

    def test_the_order_of_events_does_not_matter(self):
        seen = points((1.2, 0.8))
        assert place(np.random.default_rng(6).permutation(seen)) == place(seen)


class TestRefusals:
    def test_too_few_events(self):
        with pytest.raises(GateError, match=r"^199 events, a reference needs 200$"):
            place(points()[:199])

    def test_too_few_that_count(self):
        weights = np.zeros(4_001)
        weights[:150] = 1
        with pytest.raises(GateError, match=r"^150 events, a reference needs 200$"):
            place(points(), weights)

    def test_no_spread(self):
        seen = points()
        seen[:, 0] = 0.3
        with pytest.raises(GateError, match=r"^the reference has no spread on the first axis$"):
            place(seen)

    @pytest.mark.parametrize("scale", [Identity(), Linear(262_144.0)])
    def test_an_axis_that_is_not_log_like(self, scale):
        with pytest.raises(GateError, match=r"^the second axis is not log-like, so"):
            anchored(points(), None, None, (SCALE, scale), outline=OUTLINE, at=THEN)


class TestSimulatedTubes:
    """The same cells with and without what a run does to them; the truth is what the outline held before."""

    @staticmethod
    def tubes(**drift):
        kept = {}
        for tube in simulate(
            subjects=3, events=30_000, seed=5, control_events=2_000, controls=False, **drift
        ):
            names = [detector.name for detector in tube.detectors]
            dyes = tube.values[:, [names.index(name) for name in DYES]].astype(np.float64)
            axes = [MARKERS.index(marker) for marker in ("CD25", "CD127")]
            cd4 = tube.truth.among((*TREG, *TCONV))
            kept[tube.row["sample"]] = SCALE((dyes @ np.linalg.inv(tube.spillover))[cd4][:, axes])
        return kept

    @staticmethod
    def upper_half(seen):
        return seen[seen[:, 1] >= np.median(seen[:, 1])]

    @pytest.mark.parametrize(
        "drift", [{"drift": 0.2}, {"drift": 0.0, "stain_drift": 0.2}], ids=["gain", "stain"]
    )
    def test_an_anchored_outline_keeps_the_fold_where_a_fixed_one_loses_it(self, drift):
        before, after = self.tubes(drift=0.0), self.tubes(**drift)
        lain = [lying(self.upper_half(seen)) for seen in before.values()]
        at, spread = (tuple(np.median([one[part] for one in lain], axis=0)) for part in (0, 1))
        errors = []
        for sample, seen in after.items():
            found = anchored(self.upper_half(seen), None, None, (SCALE, SCALE), outline=OUTLINE, at=at,
                             spread=(spread[0], None), drift=0.15)  # fmt: skip
            truth = OUTLINE.holds(before[sample]).mean()
            errors.append([np.log(shape.holds(seen).mean() / truth) for shape in (found.shape, OUTLINE)])
        anchor, fixed = np.std(errors, axis=0)
        assert anchor < 0.05
        assert fixed > 2 * anchor
