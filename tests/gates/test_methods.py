"""What every gate method promises, whichever it is."""

from __future__ import annotations

import inspect
import warnings

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

OUTLINES = {"debris_cut": Rectangle, "singlet_band": Polygon, "cluster": Ellipse}
SHAPES = {name: OUTLINES.get(name, Interval) for name in METHODS}
SETTINGS = {"quantile": {"at": 0.9}}
AXES = {name: 1 if name in CUTS else 2 for name in METHODS}


def parent(name, events=5_000):
    """Events on which the method has an answer."""
    rng = np.random.default_rng(7)
    if AXES[name] == 1:
        return rng.normal(np.repeat([0.3, 0.7], events // 2), 0.05)[:, None]
    forward = rng.normal(0.4, 0.04, events)
    return np.column_stack([forward, 0.85 * forward * (1 + 0.03 * rng.standard_normal(events))])


def place(name, points):
    return METHODS[name](points, **SETTINGS.get(name, {}))


def _placed_or_reason(name, points):
    try:
        return place(name, points)
    except GateError as reason:
        return str(reason)


@pytest.mark.parametrize("name", METHODS)
class TestMethod:
    def test_leaves_its_input_alone(self, name):
        points = parent(name)
        points.flags.writeable = False
        before = points.copy()
        place(name, points)
        np.testing.assert_array_equal(points, before)

    def test_returns_its_shape_with_evidence(self, name):
        found = place(name, parent(name))
        assert type(found.shape) is SHAPES[name]
        assert found.evidence["events"] == 5_000
        assert "np." not in repr(found)

    def test_order_of_events_does_not_matter(self, name):
        points = parent(name)
        shuffled = np.random.default_rng(8).permutation(points)
        assert place(name, points) == place(name, points.copy(order="F")) == place(name, shuffled)

    @pytest.mark.parametrize("events", [0, 1, 2, 3])
    def test_refuses_a_handful_of_events_in_words(self, name, events):
        with pytest.raises(GateError, match=r"\b(no peak|\d+ events?)\b.*[^.]$"):
            place(name, parent(name)[:events])

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
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = _placed_or_reason(name, points)
        assert found if isinstance(found, str) else type(found.shape) is SHAPES[name]

    def test_documents_itself(self, name):
        says = inspect.getdoc(METHODS[name])
        assert says.partition("\n")[0].startswith("Keep ")
        assert says.partition("\n")[0].endswith(".")
        assert all(f"\n{part}\n---" in says for part in ("Parameters", "Returns", "Raises"))
        signature = inspect.signature(METHODS[name]).parameters
        assert all(f"\n{setting} : " in says for setting in signature)
        first, *others = signature.values()
        assert first.name == "points"
        assert {given.kind for given in others} == {inspect.Parameter.KEYWORD_ONLY}


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
