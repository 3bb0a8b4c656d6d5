"""What a page says is tested as values; of the pixels only that they are there, and the same twice."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tregflow.gates.method import Doubt
from tregflow.gates.shapes import And, Ellipse, Everything, Interval, Members, Not, Or, Polygon, Rectangle
from tregflow.gating import Placed, gate
from tregflow.io.documents import load_template
from tregflow.io.fcs import read_fcs
from tregflow.io.trials import write_trial
from tregflow.plots import page
from tregflow.plots.axes import Axis, fitted_axis, ticks
from tregflow.plots.drawing import LOOKS, is_loud, lines_below, paint_panel
from tregflow.plots.paint import Paper, coloured, legible, rgb, scale_of, shortened, width_of, wrapped
from tregflow.plots.panels import (
    BINS,
    backgates,
    described,
    header,
    outline,
    panels,
    percent_words,
    raster,
    remarks,
)
from tregflow.plots.signs import figures, reason, sign_of, status_words
from tregflow.populations import count, measured
from tregflow.sample import Channel, Sample
from tregflow.simulation import simulate
from tregflow.template import Template
from tregflow.transforms import Arcsinh, Linear, Log, Logicle

REPOSITORY = Path(__file__).resolve().parents[1]
LOGICLE = {"logicle": {"T": 262144, "W": 0.5, "M": 4.5, "A": 0}}
SCALE = Logicle()
POLYGON = Polygon(((0.2, 0.2), (0.8, 0.2), (0.5, 0.9)))
ODD_NAMES = ["CD4$^{+}$", "<b>CD25</b>", "日本", "\\alpha_{1}", "%s {0}", "very " * 40 + "long", "$"]


def made(events: int = 4_000, seed: int = 1, **columns) -> Sample:
    """Return a tube: scatter in one cloud, FOXP3 in two peaks, CD4 in one."""
    rng = np.random.default_rng(seed)
    two = np.where(rng.random(events) < 0.3, 0.75, 0.3) + rng.normal(0, 0.04, events)
    values = {
        "FSC-A": rng.normal(60_000, 8_000, events),
        "SSC-A": rng.normal(30_000, 5_000, events),
        "FOXP3": SCALE.inverse(two),
        "CD4": SCALE.inverse(rng.normal(0.6, 0.05, events)),
    } | columns
    channels = tuple(Channel(name, range=262144) for name in values)
    return Sample("made.fcs", channels, np.column_stack([*values.values()]))


def written(*populations, count_of="Treg", of="Cells", markers=("FOXP3", "CD4"), **more) -> Template:
    cells = {"name": "Cells", "parent": "root", "markers": ["FSC-A", "SSC-A"],
             "gate": {"rectangle": {"low": [20_000, None], "high": [None, 200_000]}}}  # fmt: skip
    return Template.from_mapping({
        "template": 1, "name": "made", "markers": {marker: {"optional": True} for marker in markers},
        "compensation": "none", "scales": {"fluorescence": LOGICLE}, "populations": [cells, *populations],
        "report": {"primary": {"name": f"{count_of} of {of}", "count": count_of, "of": of}}, **more,
    })  # fmt: skip


def cut(name="Treg", parent="Cells", markers=("FOXP3",), **gate_of):
    return {"name": name, "parent": parent, "markers": list(markers), "gate": gate_of}


def valley(stored=0.5, within=(0.35, 0.65), **more):
    return {"valley": {"keep": "above", "stored": stored, "within": list(within), **more}}


def gated_by(template: Template, sample: Sample | None = None):
    return gate(template.bind(made() if sample is None else sample), template)


def panel_of(gated, name):
    return next(panel for panel in panels(gated) if panel.population == name)


WEAK = Doubt("weak", "the valley is only 8 % deep (depth 0.92)")
UNSETTLED = Doubt("unsettled", "it did not settle in 300 rounds")
BOUND = Doubt("bound", "carried by 0.085, as far as it may drift")


def with_placed(gated, name="Treg", **changed):
    """Return a gated file with one gate said to be placed otherwise."""
    return replace(gated, placed=dict(gated.placed) | {name: replace(gated.placed[name], **changed)})


@pytest.fixture(scope="module")
def plain():
    return gated_by(written(cut(**valley())))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Return a tube of a simulated trial, gated with the shipped template."""
    folder = tmp_path_factory.mktemp("trial")
    write_trial(simulate(subjects=1, events=8_000, seed=5, controls=False, visits=("W00",)), folder)
    template = load_template(REPOSITORY / "gating_strategies" / "treg.yaml")
    return gate(template.bind(read_fcs(next(folder.glob("fcs/S*.fcs")))), template)


def size_of(png: bytes) -> tuple[int, int]:
    image = Image.open(io.BytesIO(png))
    image.load()
    return image.size


class TestPage:
    def test_is_a_png_of_the_size_that_its_rows_need(self, plain):
        assert size_of(page(with_placed(plain, status="found"), "S01_W00")) == (1600, 886)

    def test_has_a_line_more_for_each_gate_that_is_not_quiet(self, plain):
        one = with_placed(plain, status="moved")
        two = with_placed(one, "Cells", status="moved")
        three = with_placed(two, "Cells", status="found")
        first, second, third = (size_of(page(gated, "x"))[1] for gated in (one, two, three))
        assert (second - first, third - first) == (20, 0)

    def test_of_a_simulated_tube(self, simulated):
        assert size_of(page(simulated, "S01_W00"))[0] == 1600

    def test_is_the_same_twice_and_carries_no_date_and_no_program(self, plain):
        first = page(plain, "S01_W00")
        assert first == page(plain, "S01_W00")
        assert Image.open(io.BytesIO(first)).info.keys() <= {"dpi"}

    def test_differs_when_the_events_do(self, plain):
        assert page(plain, "S01_W00") != page(gated_by(plain.template, made(seed=2)), "S01_W00")

    def test_grows_with_the_gates(self):
        more = [cut(f"P{number}", **valley()) for number in range(11)]
        low, high = (
            size_of(page(gated_by(written(cut(**valley()), *some)), "x")) for some in (more[:3], more)
        )
        assert high[1] > low[1]

    @pytest.mark.parametrize("status", sorted(set(LOOKS) - {"weak", "unsettled"}))
    def test_draws_every_status(self, plain, status):
        assert size_of(page(with_placed(plain, status=status), "S01_W00"))[0] == 1600

    def test_draws_how_far_a_gate_may_lie(self, plain):
        assert page(plain, "x", spreads={"Treg": 0.02}) != page(plain, "x")

    def test_names_the_gates_that_its_lines_have_no_room_for(self):
        many = [cut(f"P{number}", **valley(least=5_000)) for number in range(12)]
        few, more = (gated_by(written(cut(**valley(least=5_000)), *some)) for some in (many[:9], many))
        assert len(remarks(more)) == 13
        assert size_of(page(more, "x"))[1] == size_of(page(few, "x"))[1]

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_takes_every_name_as_it_is(self, name):
        gated = gated_by(written(cut(name.replace("/", ""), **valley()), count_of=name.replace("/", "")))
        assert size_of(page(gated, f"{name}\n{name}"))[0] == 1600

    def test_of_a_file_without_events_says_so(self, plain):
        gated = gated_by(plain.template, made(0))
        assert "no events in the file" in panel_of(gated, "Cells").notes
        assert panel_of(gated, "Cells").percent == "– %"
        assert size_of(page(gated, "empty"))[0] == 1600

    def test_does_not_follow_a_users_settings(self):
        refused = cut("Ref", quantile={"at": 0.5, "keep": "above", "least": 100_000})
        gated = gated_by(written(refused, cut(**valley())))
        theirs = {"font.size": 33, "text.color": "red", "hatch.color": "red", "lines.linewidth": 9,
                  "savefig.dpi": 30, "savefig.bbox": "tight", "image.origin": "lower", "patch.edgecolor": "red"}  # fmt: skip
        first = page(gated, "S01_W00")
        with matplotlib.rc_context(theirs):
            assert page(gated, "S01_W00") == first

    def test_leaves_matplotlib_as_it_was(self, plain):
        before = dict(matplotlib.rcParams)
        page(plain, "S01_W00")
        assert dict(matplotlib.rcParams) == before


class TestPanels:
    def test_stand_in_the_templates_order(self, plain):
        assert [panel.population for panel in panels(plain)] == ["Cells", "Treg"]

    def test_repeat_the_population_table(self, simulated):
        parents = {row.population: row.count for row in count(simulated)}
        for panel, row in zip(panels(simulated), count(simulated)[1:], strict=True):
            assert panel.count == f"{row.count:,} of {parents[row.parent]:,}"
            assert panel.percent == percent_words(row.percent_of_parent)

    def test_hold_every_event_of_the_parent(self, simulated):
        for panel in panels(simulated):
            assert panel.raster.sum() == len(simulated.members[panel.parent])

    def test_hold_what_lies_beyond_the_axes_at_their_ends(self):
        values = made().columns([2])[0]
        values[:40] = -200_000
        gated = gated_by(written(cut(**valley())), made(FOXP3=values))
        panel = panel_of(gated, "Treg")
        assert panel.raster.sum() == len(gated.members["Cells"])
        assert panel.raster[0] >= 35
        assert "lie beyond the FOXP3 axis, drawn at its end" in panel.notes[-1]

    def test_say_nothing_of_a_few_events_beyond_the_axes(self, plain):
        assert all(not panel.notes and not panel.reason for panel in panels(plain))

    def test_of_a_found_gate(self, plain):
        panel = panel_of(plain, "Treg")
        assert panel.sign in {"found", "moved"}
        assert panel.placed.edges == (plain.placed["Treg"].shape.low,)
        assert panel.stored.edges == (0.5,)
        assert panel.windows == ((0.35, 0.65),)
        assert math.isnan(panel.hit)

    def test_of_a_gate_that_moved_show_its_way(self):
        gated = gated_by(written(cut(**valley(stored=0.4))))
        panel = panel_of(gated, "Treg")
        assert panel.status_words.startswith("moved +0.")
        assert panel.travel[:, 0].tolist() == [0.4, gated.placed["Treg"].shape.low]

    def test_of_a_gate_that_stayed_show_no_way(self, plain):
        stayed = with_placed(plain, status="found")
        assert panel_of(stayed, "Treg").travel is None

    def test_of_a_polygon_carried_as_a_whole_show_the_way_of_a_corner(self):
        panel = panel_of(self.on_two(POLYGON, (0.1, -0.05)), "Treg")
        assert tuple(panel.travel[0]) in POLYGON.vertices
        np.testing.assert_allclose(panel.travel[1] - panel.travel[0], (0.1, -0.05))

    def test_of_a_polygon_of_another_form_show_no_way(self):
        square = Polygon(((0.1, 0.1), (0.3, 0.1), (0.3, 0.3), (0.1, 0.3)))
        panel = panel_of(self.on_two(square, (0.2, 0.1), drop=1), "Treg")
        assert panel.travel is None
        assert len(panel.stored.paths) == len(panel.placed.paths) == 1

    def test_of_a_polygon_carried_out_of_sight_show_no_way(self):
        assert panel_of(self.on_two(POLYGON, (3, 0)), "Treg").travel is None

    @staticmethod
    def on_two(stored: Polygon, by, drop=0):
        """Return a file whose gate on two axes was carried by some distance, without its last corners."""
        corners = [list(corner) for corner in stored.vertices]
        gated = gated_by(written(cut(markers=("FOXP3", "CD4"), polygon={"vertices": corners})))
        kept = stored.vertices[: len(stored.vertices) - drop]
        now = Polygon(tuple((x + by[0], y + by[1]) for x, y in kept))
        return with_placed(gated, shape=now, status="moved")

    def test_of_a_gate_at_its_bound(self):
        values = made().columns([2])[0]
        quantile = {"quantile": {"at": 0.99, "keep": "above", "stored": 0.4, "within": [0.3, 0.5]}}
        panel = panel_of(gated_by(written(cut(**quantile)), made(FOXP3=values)), "Treg")
        assert panel.status_words == "at bound +0.45 decade"
        assert (panel.placed.edges, panel.hit) == ((0.5,), 0.5)
        assert panel.reason == "stopped at 0.5, the high edge of its window 0.3 to 0.5"

    def test_of_a_gate_that_fell_back_gives_the_reason(self):
        panel = panel_of(gated_by(written(cut(**valley(least=5_000)))), "Treg")
        assert panel.status_words == "fallback: stored gate used"
        assert "5,000 are needed" in panel.reason
        assert not panel.stored

    def test_of_a_gate_with_a_doubt_give_it(self, plain):
        panel = panel_of(with_placed(plain, status="found", doubts=(WEAK,)), "Treg")
        assert (panel.sign, panel.reason) == ("weak", WEAK.sentence)
        assert panel.status_words.startswith("weak +")

    def test_of_a_gate_placed_on_another_population_show_its_events(self):
        reference = cut("Ref", markers=("CD4",), interval={"low": 0.6}) | {"role": "reference"}
        above = {"quantile": {"of": "Ref", "at": 0.9, "keep": "above", "stored": 0.5}}
        gated = gated_by(written(reference, cut(**above)))
        panel, events = panel_of(gated, "Treg"), len(gated.members["Ref"])
        assert panel.lean.sum() == events
        assert panel.leans_on == f"dotted outline: Ref, {events:,} events, on which it was placed"

    def test_of_a_gate_placed_on_a_control_name_it_only(self, plain):
        panel = panel_of(with_placed(plain, tube="fmo:FOXP3", n_of=1_234), "Treg")
        assert panel.lean is None
        assert panel.leans_on == "placed on Cells of fmo:FOXP3, 1,234 events"

    def test_of_a_gate_placed_across_samples_count_and_do_not_name_them(self, plain):
        panel = panel_of(with_placed(plain, across=("S01_W00", "S09_W12"), n_of=900), "Treg")
        assert panel.leans_on == "placed on Cells of 3 samples together, 900 events"

    def test_of_a_gate_placed_on_its_parent_say_nothing_of_it(self, plain):
        panel = panel_of(plain, "Treg")
        assert (panel.lean, panel.leans_on) == (None, "")

    def test_hold_how_far_the_border_may_lie(self, plain):
        spread = {panel.population: panel.spread for panel in panels(plain, {"Treg": 0.01})}
        assert spread["Treg"] == 0.01
        assert math.isnan(spread["Cells"])

    def test_of_an_outline_have_a_window_on_each_axis(self):
        within = [[20_000, 90_000], [5_000, 60_000]]
        clustered = cut(markers=("FSC-A", "SSC-A"), cluster={"share": 0.9, "within": within})
        panel = panel_of(gated_by(written(clustered)), "Treg")
        assert panel.windows == ((20_000, 90_000), (5_000, 60_000))

    def test_of_a_skipped_gate_has_words_only(self):
        skipped = cut("Treg", **valley()) | {"markers": ["Helios"]}
        gated = gated_by(written(skipped, markers=("FOXP3", "CD4", "Helios")))
        panel = panel_of(gated, "Treg")
        assert (panel.axes, panel.status_words) == ((), "skipped: all kept")
        assert panel.reason == "no channel for Helios"
        assert panel.raster.sum() == len(gated.members["Cells"])
        assert not lines_below(panel, 240)

    def test_of_a_refused_gate_and_of_those_below_it(self):
        refused = cut("Ref", quantile={"at": 0.5, "keep": "above", "least": 100_000})
        below = cut("Treg", "Ref", ("CD4",), interval={"low": 0.5})
        gated = gated_by(written(refused, below))
        ref, child = panel_of(gated, "Ref"), panel_of(gated, "Treg")
        assert (ref.sign, ref.percent, ref.count) == ("refused", "– %", "– of 4,000")
        assert ref.raster.sum() == 4_000
        assert (child.raster.sum(), child.reason) == (0, "Ref could not be placed")
        assert size_of(page(gated, "refused"))[0] == 1600

    def test_of_a_corrected_gate_keep_the_templates_in_sight(self, plain):
        bound, template = plain.bound, plain.template
        panel = panel_of(gate(bound, template, corrections={"Treg": Interval(low=0.6)}), "Treg")
        assert panel.status_words == "corrected by a reviewer"
        assert (panel.placed.edges, panel.stored.edges) == ((0.6,), (0.5,))

    def test_of_a_combination_say_it_in_words(self):
        both = {"name": "Both", "parent": "Cells", "gate": {"and": ["Treg", {"not": "CD4"}]}}
        gated = gated_by(written(cut(**valley()), cut("CD4", markers=("CD4",), interval={"low": 0.6}), both))
        panel = panel_of(gated, "Both")
        assert panel.notes == ("keeps Treg and not CD4",)
        assert (panel.axes, panel.raster.sum()) == ((), 4_000)
        assert size_of(page(gated, "both"))[0] == 1600

    def test_of_a_parent_without_events(self):
        nobody = cut("Nobody", interval={"low": 1.4})
        gated = gated_by(written(nobody, cut("Treg", "Nobody", ("CD4",), interval={"low": 0.5})))
        panel = panel_of(gated, "Treg")
        assert (panel.raster.sum(), panel.percent, panel.count) == (0, "– %", "0 of 0")
        assert panel.notes == ("no events in Nobody",)
        assert size_of(page(gated, "nobody"))[0] == 1600

    def test_mark_a_reference(self):
        reference = cut("Ref", **valley()) | {"role": "reference"}
        gated = gated_by(written(reference, cut(**valley())))
        assert [panel.is_reference for panel in panels(gated)] == [False, True, False]

    def test_on_three_axes_show_two_and_the_shadow(self):
        ball = {"ellipse": {"centre": [60_000, 30_000, 0.6], "distance": 4,
                            "covariance": [[1e8, 0, 0], [0, 1e8, 0], [0, 0, 0.01]]}}  # fmt: skip
        gated = gated_by(written(cut(markers=("FSC-A", "SSC-A", "CD4"), **ball)))
        panel = panel_of(gated, "Treg")
        assert panel.raster.shape == (BINS[2], BINS[2])
        assert panel.placed.paths[0][:, 0].max() == pytest.approx(80_000)
        assert "the first two are shown" in panel.notes[0]


class TestSigns:
    """One gate in a word, a distance and a sentence."""

    CUT = Interval(low=0.5)

    @pytest.mark.parametrize(
        ("status", "doubts", "sign"),
        [
            ("found", (), "found"),
            ("moved", (), "moved"),
            ("found", (WEAK,), "weak"),
            ("moved", (WEAK, UNSETTLED), "unsettled"),
            ("found", (UNSETTLED, BOUND), "at bound"),
            ("at bound", (WEAK,), "at bound"),
            ("fallback", (), "fallback"),
            ("corrected", (WEAK,), "corrected"),
        ],
    )
    def test_the_gravest_is_shown(self, status, doubts, sign):
        assert sign_of(Placed(self.CUT, status, doubts=doubts)) == sign

    @pytest.mark.parametrize(
        ("placed", "words"),
        [
            (Placed(CUT, "stored"), "stored"),
            (Placed(CUT, "found", shift=-0.001, shift_decades=-0.004), "found +0.00 decade"),
            (Placed(CUT, "moved", shift=-0.05, shift_decades=-0.23), "moved −0.23 decade"),
            (Placed(CUT, "moved", shift=0.0512), "moved +0.051"),
            (Placed(POLYGON, "moved", 0.05, 0.23, along="CD127"), "moved +0.23 decade in CD127"),
            (Placed(Ellipse((1, 1), ((1, 0), (0, 1))), "found", -7478.2, along="FSC-A"), "found −7,478 in FSC-A"),
            (Placed(CUT, "moved", 0.05, 0.23, doubts=(WEAK,)), "weak +0.23 decade"),
            (Placed(CUT, "found", 0.01, 0.05, doubts=(UNSETTLED,)), "unsettled +0.05 decade"),
            (Placed(CUT, "corrected", 0.05, 0.23), "corrected by a reviewer"),
        ],
    )  # fmt: skip
    def test_words_give_the_distance_in_decades_where_there_are_any(self, placed, words):
        assert status_words(placed) == words

    def test_a_reason_has_every_doubt(self, plain):
        population = plain.template.population("Treg")
        said = reason(population, Placed(self.CUT, "at bound", doubts=(WEAK, BOUND)))
        assert said == f"{WEAK.sentence}; {BOUND.sentence}"

    def test_a_gate_as_expected_has_no_reason(self, plain):
        assert not reason(plain.template.population("Treg"), Placed(self.CUT, "moved", 0.05))

    @pytest.mark.parametrize(
        ("evidence", "words"),
        [
            ({"depth": 0.037, "separation": 4}, "depth 0.04"),
            ({"separation": 4.21, "peaks": 2}, "4.2 SD apart"),
            ({"depth": math.nan}, ""),
            ({}, ""),
        ],
    )
    def test_the_figure_is_the_one_that_says_most(self, evidence, words):
        assert figures(Placed(self.CUT, "found", evidence=evidence)) == words


class TestRemarks:
    def test_of_a_clean_file_there_are_none(self, plain):
        assert remarks(with_placed(plain, status="found")) == ()

    def test_of_a_gate_that_moved_say_where_it_lies(self):
        (remark,) = remarks(gated_by(written(cut(**valley(stored=0.4)))))
        assert (remark.sign, remark.population, remark.codes) == ("moved", "Treg", ("N-MOVED",))
        assert remark.sentence.startswith("cut at 0.5")
        assert remark.sentence.endswith(", stored at 0.4")

    def test_begin_with_those_that_someone_must_look_at(self):
        moved, fell = cut("Moved", **valley(stored=0.4)), cut(**valley(least=5_000))
        assert [remark.sign for remark in remarks(gated_by(written(moved, fell)))] == ["fallback", "moved"]

    def test_give_code_and_reason(self):
        (remark,) = remarks(gated_by(written(cut(**valley(least=5_000)))))
        assert remark.codes == ("F-FALLBACK",)
        assert "5,000 are needed" in remark.sentence
        assert not remark.is_aside

    def test_of_doubts_give_their_codes(self, plain):
        (remark,) = remarks(with_placed(plain, status="found", doubts=(WEAK, UNSETTLED)))
        assert remark.codes == ("F-WEAK", "F-UNSETTLED")

    def test_say_when_the_primary_measure_does_not_depend_on_the_gate(self):
        aside = cut("Aside", markers=("CD4",), **valley(least=5_000))
        (remark,) = remarks(gated_by(written(cut(**valley(stored=0.52)), aside)))
        assert (remark.population, remark.is_aside) == ("Aside", True)


class TestBackgates:
    def test_stand_on_the_way_to_the_primary_measure(self):
        gated = gated_by(written(cut(**valley()), cut("Aside", markers=("CD4",), interval={"low": 0.5})))
        shown = backgates(gated, panels(gated))
        assert [backgate.panel.population for backgate in shown] == ["Cells", "Treg"]

    def test_hold_every_cell(self, plain):
        cells = len(plain.members["Treg"])
        assert [backgate.raster.sum() for backgate in backgates(plain, panels(plain))] == [cells, cells]

    def test_lie_inside_their_ancestors_bin_by_bin(self, plain):
        assert all(
            (backgate.raster <= backgate.panel.raster).all() for backgate in backgates(plain, panels(plain))
        )


class TestHeader:
    def test_repeats_the_measure(self, plain):
        said, primary = header(plain, "S01_W00"), measured(plain)[0]
        assert said.title == "S01_W00"
        assert said.measure == "Treg of Cells"
        assert said.percent == percent_words(primary.percent)
        assert said.count == f"{primary.numerator:,} Treg of {primary.denominator:,} Cells"
        assert said.template == f"template made (sha256 {plain.template.hash[:8]})"
        assert said.file == "4,000 events"
        assert header(plain, "S01_W00", "a.fcs").file == "file a.fcs · 4,000 events"

    def test_passes_with_the_codes_of_notes(self):
        said = header(gated_by(written(cut(**valley(stored=0.4)))), "x")
        assert (said.verdict, said.flags, said.notes) == ("pass", (), ("N-MOVED",))

    def test_asks_for_review_and_says_why(self):
        template = written(cut(**valley()), limits={"Cells": {"review_below": 10_000}})
        said = header(gated_by(template), "x")
        assert (said.verdict, [flag.code for flag in said.flags]) == ("review", ["F-FEW"])

    def test_leaves_to_a_line_of_its_own_what_a_gate_has_to_say(self):
        gated = gated_by(written(cut(**valley(least=5_000))))
        said = header(gated, "x")
        assert (said.verdict, said.flags) == ("review", ())
        assert [remark.codes for remark in remarks(gated)] == [("F-FALLBACK",)]

    def test_gives_no_number_where_there_is_none_and_puts_the_refusal_first(self):
        limits = {"Cells": {"refuse_below": 10_000}, "root": {"review_below": 10_000}}
        template = written(cut(**valley()), limits=limits)
        said = header(gated_by(template), "x")
        assert (said.verdict, said.percent) == ("fail", "no number")
        assert [flag.code for flag in said.flags] == ["E-FEW", "F-FEW"]


class TestAxes:
    @pytest.mark.parametrize(
        ("scale", "low", "high", "labels"),
        [
            (Logicle(), -0.05, 1.05, ["−10²", "0", "10²", "10³", "10⁴", "10⁵"]),
            (Logicle(W=1.0), -0.05, 1.05, ["−10³", "0", "10³", "10⁴", "10⁵"]),
            (Log(262144, 4.5), -0.05, 1.05, ["10", "10²", "10³", "10⁴", "10⁵"]),
            (Arcsinh(10_000, 4), -0.05, 1.05, ["0", "10", "10²", "10³", "10⁴"]),
            (Linear(262144), 0, 1, ["0", "50K", "100K", "150K", "200K", "250K"]),
            (Linear(4e6, 1e6), 0, 1, ["−1M", "0", "1M", "2M", "3M", "4M"]),
        ],
    )
    def test_are_labelled_at_round_linear_values(self, scale, low, high, labels):
        assert [words for _, words in ticks(scale, low, high)[0]] == labels

    def test_labels_stand_where_the_scale_puts_the_value(self):
        places = {words: place for place, words in ticks(SCALE, -0.05, 1.05)[0]}
        assert places["10⁴"] == SCALE(np.array([1e4]))[0]
        assert places["−10²"] == SCALE(np.array([-1e2]))[0]

    def test_minor_ticks_are_multiples_of_decades(self):
        linear = SCALE.inverse(np.array(ticks(SCALE, 0.5, 1.0)[1]))
        leading = np.abs(linear) / 10 ** np.floor(np.log10(np.abs(linear)) + 1e-9)
        np.testing.assert_allclose(leading, np.round(leading), rtol=1e-9)

    @pytest.mark.parametrize(
        "scale", [Logicle(), Logicle(W=2.2), Log(1e3, 3), Arcsinh(1e3, 3, 1), Linear(7), Linear(1e9)]
    )
    @pytest.mark.parametrize(("low", "high"), [(-0.5, 1.5), (-0.05, 1.05), (0.4, 0.41), (0.0, 1e-3)])
    def test_ticks_lie_on_the_axis_and_apart(self, scale, low, high):
        labels, minor = ticks(scale, low, high)
        places = [place for place, _ in labels]
        assert all(low - 1e-9 <= place <= high + 1e-9 for place in (*places, *minor))
        assert np.diff(places).min(initial=math.inf) > 0.05 * (high - low)

    @pytest.mark.parametrize(
        ("values", "low", "high"),
        [
            (np.linspace(0, 1, 1_000), -0.05, 1.05),
            (np.append(np.linspace(0, 1, 1_000), -3), -0.05, 1.05),
            (np.linspace(-0.3, 1, 1_000), -0.299, 1.05),
            (np.full(1_000, -3.0), -0.5, 1.05),
            (np.empty(0), -0.05, 1.05),
        ],
    )
    def test_of_a_scale_are_widened_for_more_than_a_few_events(self, plain, values, low, high):
        axis = fitted_axis(plain.bound, "FOXP3", values)
        assert (axis.low, axis.high) == pytest.approx((low, high), abs=2e-3)

    @pytest.mark.parametrize(
        ("values", "low", "high"),
        [
            (np.linspace(0, 200_000, 1_000), 0, 262_144),
            (np.linspace(0, 20_000, 1_000), 0, 1.02 * 19_980),
            (np.linspace(0, 1e6, 1_000), 0, 1.02 * 999_000),
            (np.linspace(-90_000, 200_000, 1_000), -89_710, 262_144),
            (np.empty(0), 0, 262_144),
            (np.zeros(10), 0, 1),
        ],
    )
    def test_in_the_files_own_units_reach_the_range_unless_it_means_nothing(self, plain, values, low, high):
        axis = fitted_axis(plain.bound, "FSC-A", values)
        assert (axis.low, axis.high) == pytest.approx((low, high), abs=1)

    def test_are_widened_for_a_cut(self, plain):
        axis = fitted_axis(plain.bound, "FOXP3", np.zeros(5), edges=(1.3, -math.inf, 1e9))
        assert 1.3 < axis.high < 1.4

    @given(st.lists(st.floats(allow_infinity=True, allow_nan=True), min_size=1, max_size=30))
    def test_bins_hold_every_value(self, values):
        axis = Axis("CD4", "B1-A", -0.05, 1.05)
        bins = axis.bins(np.array(values), 7)
        assert ((bins >= 0) & (bins < 7)).all()

    def test_bins_are_half_open_from_low_to_high(self):
        axis = Axis("CD4", "B1-A", 0, 1)
        assert axis.bins(np.array([-9, 0, 0.24, 0.25, 0.99, 1, 9, math.nan]), 4).tolist() == [
            0,
            0,
            0,
            1,
            3,
            3,
            3,
            0,
        ]

    def test_count_what_lies_beyond_them(self):
        assert Axis("CD4", "B1-A", 0, 1).beyond(np.array([-1, 0, 1, 2, math.nan])) == 3


AXIS, OTHER = Axis("CD4", "B1-A", 0, 1), Axis("CD25", "B2-A", 0, 1)


class TestRaster:
    @pytest.mark.parametrize("axes", [(), (AXIS,), (AXIS, OTHER)])
    def test_sums_to_the_events(self, axes):
        points = np.random.default_rng(0).normal(0.5, 1, (500, len(axes)))
        assert raster(points, axes).sum() == 500

    def test_has_the_first_axis_first(self):
        counts = raster(np.array([[0.999, 0.0]]), (AXIS, OTHER))
        assert counts[BINS[2] - 1, 0] == 1

    def test_is_drawn_with_the_first_axis_to_the_right_and_the_second_upwards(self):
        image = coloured(raster(np.array([[0.999, 0.0]]), (AXIS, OTHER)), scale_of("viridis"))
        assert tuple(image[-1, -1]) != (255, 255, 255)
        assert (image == 255).all(axis=2).sum() == BINS[2] ** 2 - 1


class TestOutline:
    @pytest.mark.parametrize(
        ("shape", "edges"),
        [
            (Interval(low=0.5), (0.5,)),
            (Interval(0.2, 0.5), (0.2, 0.5)),
            (Rectangle((0.2,), (math.inf,)), (0.2,)),
            (Ellipse((0.5,), ((0.01,),), 4), (0.3, 0.7)),
            (Not(Interval(low=0.5)), (0.5,)),
            (Or((Interval(high=0.1), Interval(low=0.5))), (0.1, 0.5)),
            (Everything(), ()),
            (Members("CD4"), ()),
            (None, ()),
        ],
    )
    def test_on_one_axis_is_its_edges(self, shape, edges):
        assert outline(shape, (AXIS,)).edges == pytest.approx(edges)

    def test_of_a_polygon_is_closed(self):
        (path,) = outline(POLYGON, (AXIS, OTHER)).paths
        np.testing.assert_array_equal(path, [*POLYGON.vertices, POLYGON.vertices[0]])

    def test_of_an_open_rectangle_ends_beyond_every_axis(self):
        (path,) = outline(Rectangle((0.4, -math.inf), (math.inf, 0.3)), (AXIS, OTHER)).paths
        assert np.isfinite(path).all()
        assert (path[:, 0].min(), path[:, 1].max()) == (0.4, 0.3)

    def test_of_an_ellipse_lies_on_its_border(self):
        ellipse = Ellipse((0.5, 0.4), ((0.01, 0.004), (0.004, 0.02)), 3)
        (path,) = outline(ellipse, (AXIS, OTHER)).paths
        inner, outer = (ellipse.centre + (path - ellipse.centre) * by for by in (0.999, 1.001))
        assert ellipse.holds(inner).all()
        assert not ellipse.holds(outer).any()

    def test_of_a_combination_has_every_part(self):
        both = And((POLYGON, Not(Rectangle((0.4, 0.3), (0.5, 0.4)))))
        assert len(outline(both, (AXIS, OTHER)).paths) == 2
        assert described(both) == "this polygon and not this rectangle"

    def test_combinations_are_bracketed(self):
        assert described(Not(Or((Members("A"), And((Members("B"), Members("C"))))))) == "not (A or (B and C))"


class TestPaint:
    def test_words_are_never_markup_and_keep_to_one_line(self):
        assert legible("$x$\n\t<b> 日 \x07") == "$x$ <b> ? ?"

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_shortened_words_fit(self, name):
        assert width_of(shortened(name, 60, 9), 9) <= 60 + 1

    def test_short_words_stay(self):
        assert shortened("CD4 → Treg", 200, 9) == "CD4 → Treg"

    def test_wrapped_words_end_in_an_ellipsis(self):
        lines = wrapped("one peak between 0.39 and 0.61 " * 9, 240, 8, most=2)
        assert len(lines) == 2
        assert lines[-1].endswith("…")
        assert max(width_of(line, 8) for line in lines) < 260

    def test_few_and_many_events_differ_from_none(self):
        image = coloured(np.array([[0, 1], [10, 100_000]]), scale_of("viridis"))
        assert len(np.unique(image.reshape(-1, 3), axis=0)) == 4

    def test_every_sign_has_its_own_colour_and_symbol(self):
        for looks in ({look.colour for look in LOOKS.values()}, {look.symbol for look in LOOKS.values()}):
            assert len(looks) == len(LOOKS)
        assert all(legible(look.symbol, bold=True) == look.symbol for look in LOOKS.values())

    def test_signs_that_ask_for_a_look_are_framed_and_told_apart_in_grey(self):
        loud = [sign for sign in LOOKS if is_loud(sign)]
        assert set(loud) == {"weak", "unsettled", "at bound", "fallback", "skipped", "refused"}
        assert len({(LOOKS[sign].frame, LOOKS[sign].is_hatched) for sign in loud}) == len(loud)

    @pytest.mark.parametrize("sign", LOOKS)
    def test_a_frame_is_there_when_someone_must_look(self, plain, sign):
        paper = Paper(340, 420)
        paint_panel(paper, replace(panel_of(plain, "Treg"), sign=sign), 20, 20, 240)
        border = np.asarray(Image.open(io.BytesIO(paper.png())).convert("RGB"))[60:300, 16]
        assert (border != 255).any() == is_loud(sign)

    @pytest.mark.parametrize(
        "told",
        [
            {"spread": 0.02},
            {"hit": 0.65},
            {"windows": ()},
            {"travel": np.array([[0.4], [0.5]])},
            {"lean": np.arange(240)},
            {"figures": "depth 0.77"},
            {"reason": "one peak"},
            {"leans_on": "placed on fmo:FOXP3"},
        ],
        ids=lambda told: next(iter(told)),
    )
    def test_what_a_panel_tells_is_drawn(self, plain, told):
        drawn = []
        for panel in (panel_of(plain, "Treg"), replace(panel_of(plain, "Treg"), **told)):
            paper = Paper(340, 440)
            paint_panel(paper, panel, 20, 20, 240)
            drawn.append(paper.png())
        assert drawn[0] != drawn[1]

    def test_a_way_too_short_to_be_seen_is_not_drawn(self, plain):
        drawn = []
        for travel in (None, np.array([[0.5], [0.51]])):
            paper = Paper(340, 440)
            paint_panel(paper, replace(panel_of(plain, "Treg"), travel=travel), 20, 20, 240)
            drawn.append(paper.png())
        assert drawn[0] == drawn[1]

    def test_a_population_on_two_axes_is_outlined_where_half_of_it_lies(self, plain):
        panel = panel_of(plain, "Cells")
        drawn = []
        for lean in (None, panel.raster, np.zeros_like(panel.raster)):
            paper = Paper(340, 440)
            paint_panel(paper, replace(panel, lean=lean), 20, 20, 240)
            drawn.append(paper.png())
        assert drawn[0] == drawn[2] != drawn[1]

    def test_words_stand_out_from_their_ground(self):
        for look in LOOKS.values():
            dark, light = sorted(sum(rgb(colour)) for colour in (look.ink, look.tint))
            assert light - dark > 200

    def test_a_blank_page_is_white(self):
        image = np.asarray(Image.open(io.BytesIO(Paper(40, 30).png())).convert("RGB"))
        assert image.shape == (30, 40, 3)
        assert (image == 255).all()
