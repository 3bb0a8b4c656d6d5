"""What every gate method promises, whichever it is."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tregflow.errors import GateError
from tregflow.gates import CUTS, METHODS
from tregflow.gates.shapes import Ellipse, Interval, Polygon, Rectangle
from tregflow.simulation import DETECTORS, DYES, MARKERS, TCONV, TREG, simulate
from tregflow.transforms import Logicle

CD8 = ("CD8 naive", "CD8 memory")

OUTLINES = {"debris_cut": Rectangle, "singlet_band": Polygon, "cluster": Ellipse, "anchored": Polygon}
SHAPES = {name: OUTLINES.get(name, Interval) for name in METHODS}
TRIANGLE = Polygon(((0.3, 0.2), (0.6, 0.2), (0.6, 0.5)))
SETTINGS = {
    "quantile": {"at": 0.9},
    "anchored": {"scales": (Logicle(),) * 2, "outline": TRIANGLE, "at": (0.4, 0.35)},
}
AXES = {name: 1 if name in CUTS else 2 for name in METHODS}
CALLED = ("points", "weights", "near")
TOLD = {"scales"}
"""What the caller adds besides, if the method asks for it; no setting."""


def parent(name, events=5_000):
    """Events on which the method has an answer."""
    rng = np.random.default_rng(7)
    if AXES[name] == 1:
        return rng.normal(np.repeat([0.3, 0.7], events // 2), 0.05)[:, None]
    forward = rng.normal(0.4, 0.04, events)
    return np.column_stack([forward, 0.85 * forward * (1 + 0.03 * rng.standard_normal(events))])


def place(name, points, weights=None, near=None):
    return METHODS[name](points, weights, near, **SETTINGS.get(name, {}))


def _placed_or_reason(name, points, weights=None):
    try:
        return place(name, points, weights)
    except GateError as reason:
        return str(reason)


def numbers(found):
    """All figures of a shape and its evidence, flat."""
    written = next(iter(found.shape.to_mapping().values()))
    flat = [np.ravel(np.array(part, np.float64)) for part in written.values()]
    return np.concatenate([*flat, list(found.evidence.values())])


@pytest.mark.parametrize("name", METHODS)
class TestMethod:
    def test_leaves_its_input_alone(self, name):
        points, weights = parent(name), np.arange(5_000.0) % 3
        points.flags.writeable = weights.flags.writeable = False
        before = points.copy(), weights.copy()
        place(name, points)
        place(name, points, weights)
        np.testing.assert_array_equal(points, before[0])
        np.testing.assert_array_equal(weights, before[1])

    def test_returns_its_shape_with_evidence(self, name):
        found = place(name, parent(name))
        assert type(found.shape) is SHAPES[name]
        assert found.evidence["events"] == 5_000
        assert found.doubts == ()
        assert "np." not in repr(found)
        assert "np." not in repr(place(name, parent(name), np.ones(5_000)))

    def test_order_of_events_does_not_matter(self, name):
        points, weights = parent(name), np.random.default_rng(5).poisson(1, 5_000).astype(np.float64)
        order = np.random.default_rng(8).permutation(len(points))
        assert place(name, points) == place(name, points.copy(order="F")) == place(name, points[order])
        assert place(name, points, weights) == place(name, points[order], weights[order])

    def test_weights_of_one_change_nothing(self, name):
        points = parent(name)
        assert place(name, points, np.ones(len(points))) == place(name, points)

    @pytest.mark.parametrize("events", [600, 5_000])
    def test_whole_weights_repeat_events(self, name, events):
        points = parent(name, events)
        weights = np.random.default_rng(9).poisson(1, events)
        weighted = place(name, points, weights.astype(np.float64))
        repeated = place(name, np.repeat(points, weights, axis=0))
        np.testing.assert_allclose(numbers(weighted), numbers(repeated), rtol=0, atol=1e-9)
        assert weighted.doubts == repeated.doubts

    def test_events_that_do_not_count_are_not_there(self, name):
        points = parent(name)
        strays = np.random.default_rng(6).uniform(-3, 3, (500, points.shape[1]))
        weights = np.repeat([1.0, 0.0], [len(points), len(strays)])
        assert place(name, np.concatenate([points, strays]), weights) == place(name, points)

    def test_a_near_answer_leads_to_the_same(self, name):
        points, drawn = parent(name), np.random.default_rng(4).poisson(1, 5_000).astype(np.float64)
        found, anew = place(name, points), place(name, points, drawn)
        again = [place(name, points, None, found.shape), place(name, points, drawn, found.shape)]
        for one, other in zip((found, anew), again, strict=True):
            known = dict.fromkeys(one.evidence.keys() - {"rounds"})  # how long it took is no answer
            lean = [
                replace(each, evidence={key: each.evidence[key] for key in known}) for each in (one, other)
            ]
            np.testing.assert_allclose(*map(numbers, lean), rtol=0, atol=1e-6)

    @pytest.mark.parametrize("events", [0, 1, 2, 3])
    def test_refuses_a_handful_of_events_in_words(self, name, events):
        with pytest.raises(GateError, match=r"\b(no peak|\d+ events?)\b.*[^.]$"):
            place(name, parent(name)[:events])

    def test_refuses_events_of_which_none_counts_in_words(self, name):
        with pytest.raises(GateError, match=r"\b0 events\b(.*[^.])?$"):
            place(name, parent(name), np.zeros(5_000))

    @pytest.mark.parametrize("events", [10, 5_000])
    def test_refuses_equal_events_or_places_them(self, name, events):
        points = np.full((events, AXES[name]), 0.5)
        if name == "quantile" and events > 10:
            assert place(name, points).shape == Interval(low=0.5)
        else:
            with pytest.raises(GateError, match=r"[^.]$"):
                place(name, points)

    @settings(max_examples=60, deadline=None)
    @given(seen=st.data())
    def test_any_events_get_a_shape_or_a_reason(self, name, seen):
        few = seen.draw(arrays(np.float64, (seen.draw(st.integers(0, 6)), AXES[name]),
                               elements=st.floats(-10, 10, width=32)))  # fmt: skip
        points = np.repeat(few, seen.draw(st.sampled_from([1, 60, 1_000])), axis=0)
        weights = seen.draw(st.sampled_from([None, np.ones(len(points)), np.arange(len(points)) % 3.0]))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = _placed_or_reason(name, points, weights)
        assert found if isinstance(found, str) else type(found.shape) is SHAPES[name]

    def test_documents_itself(self, name):
        says = inspect.getdoc(METHODS[name])
        assert says.partition("\n")[0].startswith("Keep ")
        assert says.partition("\n")[0].endswith(".")
        assert all(f"\n{part}\n---" in says for part in ("Parameters", "Returns", "Raises"))
        signature = inspect.signature(METHODS[name]).parameters
        assert all(f"\n{setting} : " in says for setting in signature)
        called = [each.name for each in signature.values() if each.kind is not inspect.Parameter.KEYWORD_ONLY]
        assert tuple(called[:3]) == CALLED
        assert set(called[3:]) <= TOLD
        assert {signature[each].default for each in CALLED[1:]} == {None}


@pytest.mark.parametrize("name", ["valley", "tail", "quantile"])
def test_cut_moves_with_the_events(name):
    points = parent(name)
    moved = place(name, points + 0.05).shape.low - place(name, points).shape.low
    assert moved == pytest.approx(0.05, abs=1e-4)


@pytest.fixture(scope="module", params=["blood", "enriched", "integers"])
def tube(request):
    kind = {} if request.param == "blood" else {request.param: True}
    return next(iter(simulate(subjects=1, events=20_000, seed=3, drift=0.1, controls=False, **kind)))


class TestSimulatedTube:
    """Gates in a row on tubes whose every cell is known, the detectors having drifted."""

    SCATTER = 65_536.0
    SCALE = Logicle(262_144.0, 0.5, 4.5, 0.0)

    def scatter(self, tube, *names):
        columns = [[detector.name for detector in DETECTORS].index(name) for name in names]
        return tube.values[:, columns].astype(np.float64) / self.SCATTER

    def stain(self, tube, marker, rows):
        dyes = [[detector.name for detector in DETECTORS].index(name) for name in DYES]
        compensated = tube.values[:, dyes].astype(np.float64) @ np.linalg.inv(tube.spillover)
        return self.SCALE(compensated[rows, MARKERS.index(marker)])[:, None]

    def test_debris_falls_out(self, tube):
        points = self.scatter(tube, "FSC-A", "SSC-A")
        kept = points[:, 0] >= place("debris_cut", points).shape.low[0]
        assert kept[tube.truth.live_singlets].mean() > 0.999
        assert kept[tube.truth.among(("debris",))].mean() < 0.12

    def test_doublets_fall_out(self, tube):
        points = self.scatter(tube, "FSC-A", "FSC-H")[~tube.truth.among(("debris",))]
        doublet = tube.truth.among(("doublet",))[~tube.truth.among(("debris",))]
        inside = place("singlet_band", points).shape.holds(points)
        assert inside[~doublet].mean() > 0.98
        assert inside[doublet].mean() < 0.03

    def test_dead_cells_fall_out(self, tube):
        rows = tube.truth.live_singlets | tube.truth.among(("dead",))
        kept = self.stain(tube, "LD", rows)[:, 0] < place("tail", self.stain(tube, "LD", rows)).shape.low
        assert kept[tube.truth.live_singlets[rows]].mean() > 0.998
        assert kept[tube.truth.among(("dead",))[rows]].mean() < 0.02

    def test_lymphocytes_stay_and_monocytes_go(self, tube):
        live = tube.truth.live_singlets
        points, monocyte = self.scatter(tube, "FSC-A", "SSC-A"), tube.truth.among(("monocyte",))
        inside = METHODS["cluster"](points[live], share=0.995).shape.holds(points)
        assert inside[live & ~monocyte].mean() > 0.95
        assert inside[monocyte].mean() < 0.01

    @pytest.mark.parametrize(("marker", "kinds"), [("CD3", (*CD8, *TCONV, *TREG)), ("CD4", (*TCONV, *TREG))])
    def test_lineage_is_told(self, tube, marker, kinds):
        rows = tube.truth.among((*CD8, *TCONV, *TREG, "B", "NK"))
        events = self.stain(tube, marker, rows)
        positive = events[:, 0] >= place("valley", events).shape.low
        assert (positive == tube.truth.among(kinds)[rows]).mean() > 0.998
