"""A template tuned on tubes: moved by hand arithmetic, found in the middle of its tubes, kept with its reasons."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import studies
from builders import above, gated, row, sample, template, two_peaks
from hypothesis import given
from hypothesis import strategies as st
from studies import command

from tregflow import tuning
from tregflow.bench import bench_of, tune
from tregflow.errors import InputError
from tregflow.gates.shapes import Ellipse, Interval, Polygon, Rectangle, Shape
from tregflow.gating import Gated, gate
from tregflow.io.documents import load_template
from tregflow.io.fcs import read_fcs
from tregflow.io.tables import read_sheet
from tregflow.io.trials import write_trial
from tregflow.simulation import KINDS, simulate
from tregflow.template import Template
from tregflow.transforms import Identity, Log, Logicle, Transform
from tregflow.tuning import Ballot, changes, read_cut, read_move, tuned, wish
from tregflow.tuning.asking import with_cut, with_move
from tregflow.tuning.bridges import off_bridge, with_bridge, with_fingerprints
from tregflow.tuning.changes import recorded, told_of_votes
from tregflow.tuning.coordinates import (
    at,
    brightened,
    moved,
    on_grid,
    places,
    shifted,
    simplified,
    written,
)
from tregflow.tuning.voting import Lain, Vote, ballot, middle, to_found

TREG = Path(__file__).parents[1] / "gating_strategies" / "treg.yaml"
FOUR = {"log": {"T": 10_000.0, "M": 4.0}}
"""Four decades from 0 to 1: a tenth of a decade is 0.025."""
SQUARE = [[0.2, 0.2], [0.4, 0.2], [0.4, 0.4], [0.2, 0.4]]
VALLEY = {"valley": {"keep": "above", "stored": 0.5, "within": [0.4, 0.65]}}


def made(*populations: dict, **changes: object) -> Template:
    """Return a template on four-decade axes."""
    return template(*populations, scales={"fluorescence": FOUR}, **changes)


def gate_of(content: dict, place: int = 0) -> dict:
    return content["populations"][place]["gate"]


def voter(sample: str, **told: object) -> Ballot:
    return Ballot(sample, 5.0, "pass", **{"gates": {}, "models": {}, "detectors": {}, **told})


# ---------------------------------------------------------------------------------- coordinates


@pytest.mark.parametrize(
    ("gate", "found"),
    [
        ({"interval": {"low": 0.1, "high": None}}, [("edge", 0, 0.1)]),
        ({"rectangle": {"low": [0.1, None], "high": [None, 0.4]}}, [("edge", 0, 0.1), ("edge", 1, 0.4)]),
        ({"polygon": {"vertices": [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]}},
         [("corner", 0, 0.1), ("corner", 1, 0.2), ("corner", 0, 0.3), ("corner", 1, 0.4), ("corner", 0, 0.5), ("corner", 1, 0.6)]),
        ({"ellipse": {"centre": [0.1, 0.2], "covariance": [[1, 0], [0, 1]]}}, [("centre", 0, 0.1), ("centre", 1, 0.2)]),
        ({"and": ["CD4", {"not": {"interval": {"high": 0.3}}}]}, [("edge", 0, 0.3)]),
        ({"members": "CD4"}, []),
        ({"quantile": {"at": 0.995, "keep": "above", "stored": 0.36, "within": [0.2, 0.5]}},
         [("cut", 0, 0.36), ("window", 0, 0.2), ("window", 0, 0.5)]),
        ({"debris_cut": {}}, []),
        ({"cluster": {"within": [[0.1, 0.2], [0.3, 0.4]]}},
         [("window", 0, 0.1), ("window", 0, 0.2), ("window", 1, 0.3), ("window", 1, 0.4)]),
        ({"anchored": {"outline": {"interval": {"low": 0.4}}, "at": [0.2], "of": "ref"}}, [("edge", 0, 0.4)]),
        ({"mixture": {"model": "kinds", "keep": ["a"], "probability": 0.5, "stored": {"rectangle": {"low": [0.1, 0.2], "high": [None, None]}}}},
         [("edge", 0, 0.1), ("edge", 1, 0.2)]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_every_coordinate_of_a_gate_is_known_and_nothing_else(gate, found):
    assert [(place.part, place.axis, at(gate, place.trail)) for place in places(gate)] == found


def test_a_tenth_of_a_decade_is_an_tenth_of_a_decade():
    assert brightened(Log(10_000, 4), 0.1)(0.5) == pytest.approx(0.525, abs=1e-12)
    assert brightened(Log(10_000, 4), -1)(0.5) == pytest.approx(0.25, abs=1e-12)
    assert brightened(Identity(), 1)(2000) == 20_000
    assert brightened(Identity(), 0.30103)(2.5) == 5.0


def test_near_zero_a_decade_is_short_and_zero_stays():
    scale = Logicle()
    zero = float(scale(np.array([0.0]))[0])
    assert brightened(scale, 0.5)(round(zero, 4)) == pytest.approx(zero, abs=1e-4)
    far, near = (brightened(scale, 0.1)(place) - place for place in (0.8, 0.12))
    assert far == pytest.approx(0.1 / 4.5, abs=2e-4)
    assert 0 < near < far / 2


@pytest.mark.parametrize("place", [-0.5, 1.2])
def test_an_open_side_stays_open(place):
    assert brightened(Log(10_000, 4), 0.2)(place) == shifted(Log(10_000, 4), 0.2)(place) == place
    assert brightened(Identity(), 1.0)(1.2) == 12.0


@given(place=st.floats(-0.19, 1.09), decades=st.floats(-0.5, 0.5))
def test_a_move_and_its_opposite_cancel_up_to_the_grid(place, decades):
    scale = Log(10_000, 4)
    there = brightened(scale, decades)(place)
    if -0.2 < there < 1.1:
        assert brightened(scale, -decades)(there) == pytest.approx(place, abs=1.01e-4)


def test_an_ellipse_in_the_files_own_units_is_stretched_and_a_log_one_is_not():
    gate = {"ellipse": {"centre": [2000, 0.5], "covariance": [[10_000.0, 5.0], [5.0, 0.01]], "distance": 1.0}}
    out = moved(gate, {0: brightened(Identity(), math.log10(2))})["ellipse"]
    assert out["centre"] == [4000, 0.5]
    assert out["covariance"] == [[40_000.0, 10.0], [10.0, 0.01]]
    out = moved(gate, {1: brightened(Log(10_000, 4), 0.2)})["ellipse"]
    assert (out["centre"], out["covariance"]) == ([2000, 0.55], gate["ellipse"]["covariance"])


@pytest.mark.parametrize(
    ("value", "scale", "told"),
    [(0.123456, Logicle(), 0.1235), (12_345.6, Identity(), 12_346), (17.23456, Identity(), 17.23), (-0.00012345, Identity(), -0.0001234)],
)  # fmt: skip
def test_numbers_have_the_digits_that_they_are_worth(value, scale, told):
    assert on_grid(value, scale) == pytest.approx(told, rel=1e-3)
    assert len(str(on_grid(value, scale)).lstrip("-0.")) <= 6


@pytest.mark.parametrize(
    "shape",
    [Interval(low=0.25), Interval(0.25, 0.5), Rectangle((0.1, -math.inf), (math.inf, 0.5)), Polygon(((0.1, 0.2), (0.3, 0.4), (0.5, 0.1))),
     Ellipse((0.1, 0.2), ((0.01, 0.001), (0.001, 0.02)), 2.5)],
    ids=lambda shape: type(shape).__name__,
)  # fmt: skip
def test_a_shape_is_written_as_a_template_reads_it(shape):
    from tregflow.gates.shapes import from_mapping

    assert from_mapping(written(shape, (Logicle(), Logicle()))) == shape


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=4, max_size=30, unique=True))
def test_a_simplified_outline_keeps_every_corner_within_its_tolerance(corners):
    outline = Polygon(tuple(corners))
    simple = simplified(outline, 0.05)
    assert set(simple.vertices) <= set(outline.vertices)
    assert len(simple.vertices) >= 3
    assert max(_from_border(simple, corner) for corner in corners) <= 0.05 + 1e-9


def _from_border(outline: Polygon, point: tuple[float, float]) -> float:
    """Return how far a point lies from an outline, side by side."""
    ends = (*outline.vertices[1:], outline.vertices[0])
    return min(_from_side(np.array(point), np.array(one), np.array(other))
               for one, other in zip(outline.vertices, ends, strict=True))  # fmt: skip


def _from_side(point: np.ndarray, start: np.ndarray, end: np.ndarray) -> float:
    length = float((end - start) @ (end - start))
    share = min(max(float((point - start) @ (end - start)) / length, 0), 1) if length else 0
    return float(np.linalg.norm(point - start - share * (end - start)))


# --------------------------------------------------------------------------------------- asking


class TestAsked:
    @pytest.fixture
    def stored(self) -> Template:
        return made(
            row("CD4", "root", ["CD4"], VALLEY),
            row("CD25 low", "CD4", ["CD25"], {"quantile": {"at": 0.7, "keep": "below"}}),
            row("CD25hi CD127lo", "CD4", ["CD25", "CD127"], {"polygon": {"vertices": [[0.4, -0.5], [0.4, 0.5], [0.6, 0.6]]}}),
            row("All", "CD4", [], {"not": "CD25hi CD127lo"}),
            row("Both", "CD4", ["FOXP3"], {"interval": {"low": 0.4, "high": 0.9}}),
            row("Treg", "CD25hi CD127lo", ["FOXP3"], {"mixture": {"model": "CD4 kinds", "keep": ["Treg"], "stored": 0.4}}),
            models={"CD4 kinds": {"of": "CD4", "markers": ["CD25", "FOXP3"], "kinds": {
                "Tconv": {"at": [0.3, 0.3], "spread": [0.1, 0.1]}, "Treg": {"at": [0.6, 0.5], "spread": [0.1, 0.1]}}}},
        )  # fmt: skip

    def test_a_gate_on_one_marker_needs_no_marker(self, stored):
        assert (
            read_move("CD4 +0.1", stored)
            == read_move("CD4 CD4 0.1", stored)
            == tuning.Move("CD4", "CD4", 0.1)
        )
        assert read_move("CD25hi CD127lo CD127 -0.05", stored) == tuning.Move(
            "CD25hi CD127lo", "CD127", -0.05
        )
        assert read_move("CD4 kinds CD25 0.4", stored) == tuning.Move("CD4 kinds", "CD25", 0.4)
        assert read_cut("Treg 0.47", stored) == tuning.Cut("Treg", 0.47)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("Tregs +0.1", '"Tregs" is not a population or a model; did you mean "Treg"?'),
            ("CD25hi CD27lo CD25 +0.1", '"CD25hi CD27lo" is not a population or a model; did you mean "CD25hi CD127lo"?'),
            ("CD25hi CD127lo +0.1", "CD25hi CD127lo stands on CD25 and CD127; write GATE MARKER +0.1"),
            ("CD25hi CD127lo CD125 +0.1", 'CD125 is not an axis of CD25hi CD127lo; did you mean "CD25"?'),
            ("CD25hi CD127lo FOXP3 +0.1", "FOXP3 is not an axis of CD25hi CD127lo; it has CD25 and CD127"),
            ("All +0.1", "All stands on no marker"),
            ("CD25 low +0.1", "CD25 low stores no coordinate of CD25, it is placed on the events alone"),
            ("CD4", '--move "CD4" does not end with a number after a name; write --move "GATE +0.1 or GATE MARKER -0.05"'),
            ("CD4 much", "does not end with a number"),
            ("CD4 nan", "does not end with a number"),
            ("0.1", "does not end with a number after a name"),
        ],
    )  # fmt: skip
    def test_a_move_that_cannot_be_made_is_a_sentence(self, stored, text, told):
        with pytest.raises(InputError) as error:
            read_move(text, stored)
        assert error.value.code == "E-USAGE"
        assert told in error.value.findings[0].sentence

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("Tregg 0.4", '"Tregg" is not a population; did you mean "Treg"?'),
            (
                "CD25hi CD127lo 0.4",
                "CD25hi CD127lo does not store one cut but an outline; move it with --move",
            ),
            ("Both 0.4", "does not store one cut but an outline"),
            ("CD25 low 0.4", "CD25 low stores no cut"),
            ("CD4", '--set "CD4" does not end with a number after a name'),
        ],
    )
    def test_a_cut_that_cannot_be_set_is_a_sentence(self, stored, text, told):
        with pytest.raises(InputError) as error:
            read_cut(text, stored)
        assert told in error.value.findings[0].sentence

    def test_every_mistake_is_said_at_once(self, stored):
        with pytest.raises(InputError) as error:
            wish(stored, ["Tregs +0.1", "CD4 x"], ["Both 0.4"])
        assert len(error.value.findings) == 3
        with pytest.raises(InputError, match="nothing is to be changed; say --move"):
            wish(stored, [], [])

    def test_a_move_moves_cut_and_window_by_the_same_decades(self, stored):
        content = stored.to_mapping()
        out = with_move(content, read_move("CD4 +0.1", stored), stored)
        assert gate_of(out) == {"valley": {"keep": "above", "stored": 0.525, "within": [0.425, 0.675]}}
        assert content == stored.to_mapping()
        assert out["populations"][1:] == content["populations"][1:]

    def test_a_move_moves_an_outline_along_one_marker(self, stored):
        out = with_move(stored.to_mapping(), read_move("CD25hi CD127lo CD127 -0.2", stored), stored)
        assert gate_of(out, 2)["polygon"]["vertices"] == [[0.4, -0.5], [0.4, 0.45], [0.6, 0.55]]

    def test_a_move_of_a_model_moves_its_kinds(self, stored):
        out = with_move(stored.to_mapping(), read_move("CD4 kinds FOXP3 +0.2", stored), stored)
        assert [kind["at"] for kind in out["models"]["CD4 kinds"]["kinds"].values()] == [
            [0.3, 0.35],
            [0.6, 0.55],
        ]

    def test_a_set_cut_takes_its_window_along(self, stored):
        out = with_cut(stored.to_mapping(), read_cut("CD4 0.712345", stored), stored)
        assert gate_of(out) == {"valley": {"keep": "above", "stored": 0.7123, "within": [0.6123, 0.8623]}}
        assert (
            gate_of(with_cut(stored.to_mapping(), read_cut("Treg 0.3", stored), stored), 5)["mixture"][
                "stored"
            ]
            == 0.3
        )

    def test_an_anchored_gate_moves_and_its_reference_does_not(self):
        stored = made(row("ref", "root", ["CD25"], above(0.1)),
                      row("hi", "root", ["CD25"], {"anchored": {"of": "ref", "outline": {"interval": {"low": 0.5}}, "at": [0.3]}}))  # fmt: skip
        out = with_move(stored.to_mapping(), read_move("hi +0.1", stored), stored)
        assert gate_of(out, 1)["anchored"] == {
            "of": "ref",
            "outline": {"interval": {"low": 0.525}},
            "at": [0.3],
        }

    def test_gates_do_not_leave_the_bridge_that_they_stand_on(self):
        bridge = {"landmarks": {"root": {"CD4": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]}}}
        stored = made(row("CD4", "root", ["CD4"], VALLEY), bridge=bridge)
        with pytest.raises(InputError, match="give --bridge with --to-found"):
            wish(stored, [], [], to_found=True)
        assert wish(stored, [], [], to_found=True, bridge=True).bridge


# --------------------------------------------------------------------------------------- voting


class TestFound:
    @pytest.fixture
    def stored(self) -> Template:
        return template(
            row("CD4", "root", ["CD4"], VALLEY),
            row("low", "root", ["CD25"], {"quantile": {"at": 0.7, "keep": "below"}}),
        )

    def tube(self, valley: float, stored: Template, n: int = 2000) -> Gated:
        peaks = two_peaks(valley - 0.2, valley + 0.2, n)
        return gated(stored, sample({"CD4": peaks, "CD25": np.linspace(0, 1, len(peaks))}))

    def test_a_cut_goes_to_the_median_and_its_window_keeps_its_width(self, stored):
        ballots = [voter(f"S{n}", gates={"CD4": Lain(Interval(low=cut)), "low": Lain(Interval(high=0.3))})
                   for n, cut in enumerate((0.52, 0.58, 0.531234))]  # fmt: skip
        out, votes = to_found(stored.to_mapping(), ballots, stored)
        assert gate_of(out) == {"valley": {"keep": "above", "stored": 0.5312, "within": [0.4312, 0.6812]}}
        assert gate_of(out, 1) == stored.to_mapping()["populations"][1]["gate"], "it stores nothing"
        assert votes == (Vote("CD4", 3, 3),)

    def test_a_gate_that_is_kept_below_is_stored_at_its_upper_edge(self):
        stored = template(row("live", "root", ["LD"], {"valley": {"keep": "below", "stored": 0.5}}))
        out, _ = to_found(
            stored.to_mapping(), [voter("a", gates={"live": Lain(Interval(high=0.47))})], stored
        )
        assert gate_of(out)["valley"]["stored"] == 0.47

    def test_tubes_with_doubts_have_no_vote(self, stored):
        clear, flat = (
            self.tube(0.55, stored),
            gated(stored, sample({"CD4": np.linspace(0, 1, 4000), "CD25": np.linspace(0, 1, 4000)})),
        )
        assert flat.placed["CD4"].status == "fallback" or flat.placed["CD4"].doubts
        few = self.tube(0.52, stored, 50)
        beyond = self.tube(0.75, stored)
        assert beyond.placed["CD4"].status == "at bound"
        ballots = [
            ballot(name, one)
            for name, one in (("clear", clear), ("flat", flat), ("few", few), ("beyond", beyond))
        ]
        out, (vote,) = to_found(stored.to_mapping(), ballots, stored)
        assert (vote.voted, vote.asked) == (1, 4)
        assert gate_of(out)["valley"]["stored"] == pytest.approx(clear.placed["CD4"].shape.low, abs=5e-5)
        (line,) = told_of_votes([vote])
        assert line.startswith("CD4: 1 of 4 tubes voted; flat: ")
        assert "few: fallback, root has 100 events, 200 are needed" in line
        assert "beyond: at bound" in line

    def test_without_a_vote_nothing_changes_and_that_is_said(self, stored):
        few = ballot("few", self.tube(0.52, stored, 50))
        out, votes = to_found(stored.to_mapping(), [few], stored)
        assert out == stored.to_mapping()
        assert "CD4: 0 of 1 tubes voted, so it stays as it was; few: fallback" in told_of_votes(votes)[0]

    def test_gates_that_all_tubes_voted_on_share_a_line(self):
        assert told_of_votes([Vote("CD3", 2, 2), Vote("CD4", 1, 2, ("a: at bound",)), Vote("Treg", 2, 2)]) == [
            "all 2 tubes voted on CD3, Treg", "CD4: 1 of 2 tubes voted; a: at bound"]  # fmt: skip
        assert told_of_votes([Vote("CD3", 1, 1)]) == ["the 1 tube voted on CD3"]

    def test_a_stored_outline_is_redrawn(self):
        gate = {"cluster": {"stored": {"rectangle": {"low": [0, 0], "high": [1, 1]}}}}
        stored = template(row("cells", "root", ["FSC-A", "FSC-H"], gate))
        found = Ellipse((20_000.4, 9_000.2), ((1e6, 1e5), (1e5, 2e6)), 3.0)
        out, _ = to_found(stored.to_mapping(), [voter("a", gates={"cells": Lain(found)})], stored)
        assert gate_of(out)["cluster"]["stored"] == {
            "ellipse": {"centre": [20_000, 9_000], "covariance": [[1e6, 1e5], [1e5, 2e6]], "distance": 3.0}}  # fmt: skip

    def test_an_anchored_gate_is_stored_with_the_reference_it_followed(self):
        stored = template(
            row("ref", "root", ["CD25"], {"interval": {"high": 0.45}}),
            row("hi", "root", ["CD25"], {"anchored": {"of": "ref", "outline": {"interval": {"low": 0.5}}, "at": [0.3], "spread": [0.05], "drift": 0.2}}),
            scales={"fluorescence": FOUR},
        )  # fmt: skip
        light = 10_000 * 10 ** (4 * (np.random.default_rng(1).normal(0.33, 0.04, 5000) - 1))
        one = gated(stored, sample({"CD25": light}))
        out, _ = to_found(stored.to_mapping(), [ballot("a", one)], stored)
        kept = out["populations"][1]["gate"]["anchored"]
        inside = np.log10(light[light < 10_000 * 10 ** (4 * (0.45 - 1))] / 10_000) / 4 + 1
        assert kept["at"] == [pytest.approx(np.median(inside), abs=1e-4)]
        assert kept["spread"] == [pytest.approx(np.median(inside) - np.quantile(inside, 0.158655), abs=2e-4)]
        again = gated(Template.from_mapping(out), sample({"CD25": light})).placed["hi"]
        assert again.shape.low == pytest.approx(one.placed["hi"].shape.low, abs=5e-4), "same tube, same gate"
        assert again.shift == pytest.approx(0, abs=2e-4)

    def test_kinds_of_a_model_go_to_the_medians_of_their_fits(self):
        kinds = {"a": {"at": [0.3], "spread": [0.1]}, "b": {"at": [0.6], "spread": [0.1]}}
        stored = template(row("b", "root", ["CD25"], {"mixture": {"model": "m", "keep": ["b"]}}),
                          models={"m": {"of": "root", "markers": ["CD25"], "kinds": kinds}})  # fmt: skip
        ballots = [voter(f"S{n}", gates={"b": Lain(Interval(low=0.5))}, models={"m": Lain(at=((low,), (0.7,)), spread=((0.05,), (wide,)))})
                   for n, (low, wide) in enumerate(((0.2, 0.06), (0.25, 0.08), (0.29, 0.07)))]  # fmt: skip
        ballots += [voter("S9", gates={"b": Lain(why="weak")}, models={"m": Lain(why="not settled")})]
        out, votes = to_found(stored.to_mapping(), ballots, stored)
        assert out["models"]["m"]["kinds"] == {
            "a": {"at": [0.25], "spread": [0.05]},
            "b": {"at": [0.7], "spread": [0.07]},
        }
        assert votes == (Vote("m", 3, 4, ("S9: not settled",)),)
        assert gate_of(out) == gate_of(stored.to_mapping()), "the gate stores nothing of its own"


TWO: tuple[Transform, ...] = (Logicle(), Logicle())


@pytest.mark.parametrize(
    ("shapes", "found"),
    [
        ([Interval(low=0.1), Interval(low=0.4), Interval(low=0.2)], Interval(low=0.2)),
        ([Rectangle((0.1, -math.inf), (math.inf, 1)), Rectangle((0.3, -math.inf), (math.inf, 2)), Rectangle((0.2, -math.inf), (math.inf, 3))],
         Rectangle((0.2, -math.inf), (math.inf, 2))),
        ([Ellipse((0.1, 0.1), ((1, 0), (0, 1)), 2.0), Ellipse((0.3, 0.3), ((2, 0), (0, 2)), 3.0)], Ellipse((0.2, 0.2), ((2, 0), (0, 2)), 2.0)),
        ([Polygon(((0, 0), (1, 0), (0, 1))), Polygon(((0.2, 0), (1, 0.2), (0, 1))), Polygon(((0.1, 0), (1, 0.1), (0, 0.9)))],
         Polygon(((0.1, 0), (1, 0.1), (0, 1)))),
    ],
    ids=["interval", "rectangle", "ellipse", "polygon"],
)  # fmt: skip
def test_the_middle_is_edge_by_edge(shapes: list[Shape], found: Shape):
    assert middle(shapes, TWO) == found


def test_of_outlines_whose_corners_do_not_correspond_the_middle_one_is_taken():
    wide, narrow = (Polygon(((0.1, 0.1), (edge, 0.1), (edge, 0.6), (0.1, 0.6))) for edge in (0.9, 0.3))
    between = Polygon(((0.1, 0.1), (0.55, 0.1), (0.6, 0.35), (0.55, 0.6), (0.1, 0.6)))
    assert middle([wide, between, narrow], TWO) == between


# ------------------------------------------------------------------------ bridge, fingerprints

Z = (-2.054, -1.282, -0.674, 0.0, 0.674, 1.282, 1.881, 2.326)
"""Where the quantiles of a landmark lie in a normal distribution, standard deviations."""


class TestBridge:
    @pytest.fixture
    def stored(self) -> Template:
        return made(
            row("CD4", "root", ["CD4"], VALLEY),
            row("CD25 low", "CD4", ["CD25"], {"quantile": {"at": 0.7, "keep": "below"}}, role="reference"),
            row("ref", "CD25 low", ["CD127"], {"interval": {"low": 0.5}}, role="reference"),
            row("CD25hi", "CD4", ["CD25"], above(0.6)),
            row("Treg", "CD25hi", ["FOXP3"], above(0.6)),
            report={"primary": {"name": "Treg of CD4", "count": "Treg", "of": "CD4"}},
        )

    def tube(self, stored: Template, events: int = 20_000, brighter: float = 0.0) -> Gated:
        rng = np.random.default_rng(3)
        axis = {
            "CD4": np.concatenate(
                [rng.normal(0.25, 0.05, events // 4), rng.normal(0.75, 0.05, events - events // 4)]
            )
        }
        axis |= {marker: rng.normal(0.5, 0.1, events) for marker in ("CD25", "CD127", "FOXP3")}
        light = {
            marker: 10 ** (4 * values + brighter * (marker == "CD25")) for marker, values in axis.items()
        }
        return gated(stored, sample(light))

    def test_landmarks_lie_in_the_nearest_population_that_the_measure_does_not_count(self, stored):
        out, told = with_bridge(stored.to_mapping(), [self.tube(stored)], stored)
        lain = out["bridge"]["landmarks"]
        assert {name: list(markers) for name, markers in lain.items()} == {
            "root": ["CD4"],
            "CD4": ["CD127", "CD25", "FOXP3"],
        }
        assert told == ()
        assert lain["CD4"]["CD25"] == [pytest.approx(0.5 + 0.1 * z, abs=0.01) for z in Z]

    def test_a_template_with_a_bridge_gates_its_own_reference_as_without_and_follows_another(self, stored):
        reference = self.tube(stored)
        bridged = Template.from_mapping(with_bridge(stored.to_mapping(), [reference], stored)[0])
        assert gated(bridged, reference.bound.sample, references={"reference": reference}).template.population("CD25hi").gate.stored.low == (
            pytest.approx(0.6, abs=1e-4))  # fmt: skip
        brighter = self.tube(stored, brighter=0.2)
        followed = gated(bridged, brighter.bound.sample, references={"reference": brighter}).template
        assert followed.population("CD25hi").gate.stored.low == pytest.approx(0.6 + 0.2 / 4, abs=1e-3)
        assert followed.population("Treg").gate.stored.low == pytest.approx(0.6, abs=1e-3)

    def test_a_new_bridge_takes_every_coordinate_along(self, stored):
        reference, brighter = self.tube(stored), self.tube(stored, brighter=0.2)
        old = Template.from_mapping(with_bridge(stored.to_mapping(), [reference], stored)[0])
        here = gated(old, brighter.bound.sample, references={"reference": brighter})
        content, told = off_bridge(dict(old.to_mapping()), [here], old)
        assert told == ()
        assert [gate_of(content, place)["interval"]["low"] for place in (2, 3, 4)] == [
            0.5,
            pytest.approx(0.65, abs=1e-3),
            0.6,
        ]
        assert gate_of(content) == gate_of(old.to_mapping())
        bare = Template.from_mapping({key: said for key, said in content.items() if key != "bridge"})
        new = Template.from_mapping(with_bridge(content, [gated(bare, brighter.bound.sample)], bare)[0])
        for tube, low in ((brighter, 0.65), (reference, 0.6)):
            followed = gated(new, tube.bound.sample, references={"reference": tube}).template
            assert followed.population("CD25hi").gate.stored.low == pytest.approx(low, abs=1e-3)

    def test_kinds_and_references_are_taken_along_too(self, stored):
        anchored = {
            "of": "ref",
            "outline": {"interval": {"low": 0.6}},
            "at": [0.4],
            "spread": [0.1],
            "drift": 0.3,
        }
        kinds = {"low": {"at": [0.3], "spread": [0.1]}, "high": {"at": [0.7], "spread": [0.1]}}
        old = made(
            row("CD4", "root", ["CD4"], above(0.5)),
            row("ref", "CD4", ["CD25"], {"interval": {"high": 0.5}}, role="reference"),
            row("hi", "CD4", ["CD25"], {"anchored": anchored}),
            row("higher", "CD4", ["CD25"], {"mixture": {"model": "m", "keep": ["high"], "stored": 0.6}}),
            models={"m": {"of": "CD4", "markers": ["CD25"], "kinds": kinds}},
        )
        old = Template.from_mapping(with_bridge(old.to_mapping(), [self.tube(old)], old)[0])
        content, told = off_bridge(dict(old.to_mapping()), [self.tube(old, brighter=0.2)], old)
        assert told == ()
        near = {"abs": 0.001}
        assert gate_of(content, 1)["interval"]["high"] == pytest.approx(0.55, **near)
        assert gate_of(content, 2)["anchored"]["outline"]["interval"]["low"] == pytest.approx(0.65, **near)
        assert gate_of(content, 2)["anchored"]["at"] == [pytest.approx(0.45, **near)]
        assert gate_of(content, 2)["anchored"]["spread"] == [pytest.approx(0.1, **near)]
        assert [kind["at"] for kind in content["models"]["m"]["kinds"].values()] == [
            [pytest.approx(0.35, **near)],
            [pytest.approx(0.75, **near)],
        ]

    def test_what_the_old_bridge_does_not_carry_is_told(self, stored):
        old = Template.from_mapping(with_bridge(stored.to_mapping(), [self.tube(stored)], stored)[0])
        content, told = off_bridge(dict(old.to_mapping()), [self.tube(stored, 3000)], old)
        assert content["populations"] == old.to_mapping()["populations"]
        assert "CD25 of CD4 stays as it was stored: CD4 has 2,250 events, landmarks need 4,000" in told

    def test_several_reference_tubes_give_their_median_and_a_written_drift_stays(self, stored):
        content = stored.to_mapping() | {"bridge": {"drift": 0.2, "landmarks": {}}}
        tubes = [self.tube(stored, brighter=shift) for shift in (0.0, 0.1, 0.4)]
        out = with_bridge(content, tubes, stored)[0]["bridge"]
        assert out["drift"] == 0.2
        assert out["landmarks"]["CD4"]["CD25"][3] == pytest.approx(0.525, abs=0.003)

    def test_too_few_events_go_further_up_and_none_are_told(self, stored):
        out, told = with_bridge(stored.to_mapping(), [self.tube(stored, 5000)], stored)
        assert list(out["bridge"]["landmarks"]) == ["root"], "CD4 has 3,750 events"
        assert told == ()
        out, told = with_bridge(stored.to_mapping(), [self.tube(stored, 3000)], stored)
        assert "bridge" not in out
        assert any(line.startswith("CD25 of CD4 has no landmarks: CD4 has 2,2") for line in told)


class TestFingerprint:
    @pytest.fixture
    def stored(self) -> Template:
        return made(
            row("a", "root", ["CD25"], above(0.5)),
            row("b", "root", ["FOXP3"], above(0.5)),
            row("c", "root", ["FSC-A"], above(5)),
        )

    def told(
        self, stored: Template, *detectors: dict[str, tuple[str, float]]
    ) -> tuple[dict, tuple[str, ...]]:
        ballots = [voter(f"S{n}", detectors=one) for n, one in enumerate(detectors)]
        out, told = with_fingerprints(stored.to_mapping(), ballots, stored)
        return {marker: said.get("fingerprint") for marker, said in out["markers"].items()}, told

    def test_tubes_that_agree_are_written(self, stored):
        tubes = [{"CD25": ("PE-A", volts), "FOXP3": (name, math.nan), "FSC-A": ("FSC-A", 10.0)}
                 for volts, name in ((400.0, "APC-A"), (402.0, "Comp-APC-A"), (401.0, "apc-a"))]  # fmt: skip
        found, told = self.told(stored, *tubes)
        assert found["CD25"] == {"detector": "PE-A", "voltage": 401}
        assert found["FOXP3"]["detector"].casefold().endswith("apc-a")
        assert told == ("FOXP3 has no voltage in its fingerprint: the tubes state none",)

    def test_tubes_that_do_not_are_told(self, stored):
        found, told = self.told(
            stored,
            {"CD25": ("PE-A", 400.0), "FOXP3": ("APC-A", 400.0)},
            {"CD25": ("PE-A", 450.0), "FOXP3": ("FITC-A", 400.0)},
        )
        assert found == {"CD25": {"detector": "PE-A"}, "FOXP3": None}
        assert told == ("CD25 has no voltage in its fingerprint: the tubes have 400 to 450 V",
                        "FOXP3 has no fingerprint: the tubes have it on APC-A and FITC-A")  # fmt: skip

    @pytest.mark.parametrize(("detector", "dye"), [("PE-A", "PE"), ("APC-A", None)])
    def test_a_dye_stays_with_its_detector(self, detector, dye):
        stored = made(
            row("a", "root", ["CD25"], above(0.5)),
            markers={"CD25": {"fingerprint": {"detector": "PE-A", "dye": "PE"}}},
        )
        found, _ = self.told(stored, {"CD25": (detector, 400.0)})
        assert found["CD25"].get("dye") == dye

    def test_a_ballot_says_what_the_file_states(self, stored):
        said = ballot(
            "a",
            gated(
                stored,
                sample(
                    {"CD25": np.ones(9), "FOXP3": np.ones(9), "FSC-A": np.ones(9)}, voltage={"CD25": "410"}
                ),
            ),
        )
        assert said.detectors["CD25"] == ("CD25", 410.0)
        assert math.isnan(said.detectors["FOXP3"][1])


# -------------------------------------------------------------------------------------- changes


class TestChanges:
    def changed(self, before: Template, content: dict) -> list[tuple[str, str, str, str, str]]:
        return [
            (one.name, one.what, one.before, one.after, one.moved)
            for one in changes(before, Template.from_mapping(content))
        ]

    def test_cut_and_window(self):
        before = made(row("CD4", "root", ["CD4"], VALLEY))
        assert self.changed(
            before, with_move(before.to_mapping(), read_move("CD4 +0.1", before), before)
        ) == [
            ("CD4", "cut", "0.5", "0.525", "+0.025 along CD4, +0.10 decade"),
            ("CD4", "window", "0.4 to 0.65", "0.425 to 0.675", "+0.025 along CD4, +0.10 decade"),
        ]

    def test_outlines(self):
        before = made(
            row(
                "a",
                "root",
                ["CD25", "CD127"],
                {"polygon": {"vertices": [[0.4, -0.5], [0.4, 0.5], [0.6, 0.6], [1.2, 0.6], [1.2, -0.5]]}},
            )
        )
        content = before.to_mapping()
        content["populations"][0]["gate"]["polygon"]["vertices"][2] = [0.6, 0.65]
        assert self.changed(before, content) == [
            ("a", "outline", "CD25 from 0.4, CD127 to 0.6", "CD25 from 0.4, CD127 to 0.65", "+0.05 along CD127, +0.20 decade")]  # fmt: skip
        content["populations"][0]["gate"] = {"rectangle": {"low": [0.45, None], "high": [None, None]}}
        assert self.changed(before, content) == [
            ("a", "outline", "CD25 from 0.4, CD127 to 0.6", "CD25 from 0.45", "+0.05 along CD25, +0.20 decade")]  # fmt: skip

    def test_where_nothing_can_be_compared_there_is_no_distance(self):
        scale = {"fluorescence": {"logicle": {"T": 262_144.0, "W": 0.5, "M": 4.5, "A": 0.0}}}
        before = template(row("CD4", "root", ["CD4"], above(0.1)), scales=scale)
        content = copy.deepcopy(dict(before.to_mapping()))
        content["populations"][0]["gate"]["interval"]["low"] = 0.3
        assert self.changed(before, content) == [
            ("CD4", "outline", "CD4 from 0.1", "CD4 from 0.3", "+0.2 along CD4")
        ], "0.1 is below zero"

    def test_a_second_tune_adds_a_second_entry(self):
        before = made(row("CD4", "root", ["CD4"], VALLEY))
        once = _tuned_by_hand(before, "CD4 +0.1", "brighter")
        twice = _tuned_by_hand(once, "CD4 -0.2", "too bright")
        first, second = twice.content["history"]
        assert first == once.content["history"][0]
        assert first == {"version": 2, "reason": "brighter", "before": before.hash, "on": ["S01"], "moved": {
            "CD4": "cut 0.5 → 0.525 (+0.025 along CD4, +0.10 decade); window 0.4 to 0.65 → 0.425 to 0.675 (+0.025 along CD4, +0.10 decade)"}}  # fmt: skip
        assert (second["version"], second["reason"], second["before"], twice.content["version"]) == (
            3,
            "too bright",
            once.hash,
            3,
        )


def _tuned_by_hand(before: Template, move: str, reason: str) -> Template:
    content, _, _ = tuned(dict(before.to_mapping()), wish(before, [move], []), [voter("S01")], before)
    said = changes(before, Template.from_mapping(content))
    return Template.from_mapping(recorded(content, reason, before, ["S01"], said))


# ---------------------------------------------------------------------------------- real gates


@pytest.fixture(scope="module")
def trial(tmp_path_factory) -> Path:
    """Return a trial in whose second run the detector of CD25 has 0.4 decade more gain."""
    folder = tmp_path_factory.mktemp("trial")
    write_trial(
        simulate(subjects=3, events=40_000, control_events=2_000, seed=5, drift=0.05, **KINDS["cd25-gain"]),
        folder,
    )
    return folder


LATE = ("S01_W12", "S02_W12", "S03_W12")


class TestTrial:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, trial):
        stored = load_template(TREG)
        tubes = read_sheet(trial / "samples.csv", [marker.name for marker in stored.markers])
        bench = bench_of(tubes, LATE, trial)
        return stored, *tune(stored, wish(stored, [], [], to_found=True), bench, "CD25 is brighter here")

    def found(self, trial: Path, stored: Template) -> list[Gated]:
        return [gate(stored.bind(read_fcs(trial / "fcs" / f"{sample}.fcs")), stored) for sample in LATE]

    def test_the_stored_gates_lie_where_the_new_template_finds_them(self, done, trial):
        _, _, result = done
        tubes = self.found(trial, result.template)
        asked = 0
        for population in result.template.populations:
            stored, shapes = population.gate.stored, [one.placed[population.name].shape for one in tubes]
            if population.gate.method and isinstance(stored, Interval):
                edges = [one.low if math.isfinite(one.low) else one.high for one in shapes]
                there = stored.low if math.isfinite(stored.low) else stored.high
                assert there == pytest.approx(np.median(edges), abs=0.01), population.name
                asked += 1
        assert asked >= 4

    def test_cd25_moved_by_the_gain_and_the_others_by_their_drift(self, done):
        stored, _, result = done
        for kinds, then in zip(result.template.models, stored.models, strict=True):
            moved = np.array([new.at for new in kinds.model.kinds]) - np.array(
                [old.at for old in then.model.kinds]
            )
            assert np.median(moved[:, 0]) == pytest.approx(0.4 / 4.5, abs=0.03)
            assert np.abs(np.median(moved[:, 1:], axis=0)).max() < 0.03

    def test_tubes_that_were_at_a_bound_did_not_vote_and_are_found_afterwards(self, done):
        _, _, result = done
        votes = {vote.name: vote for vote in result.votes}
        assert 0 < votes["CD4 kinds"].voted <= votes["CD4 kinds"].asked == 3
        assert all(why.split(":")[0] in LATE for why in votes["CD4 kinds"].why)
        assert {one.verdict for one in result.after} == {"pass"}

    def test_the_tuned_template_counts_what_is_there(self, done, trial):
        _, _, result = done
        truth = {
            cells["sample"]: float(cells["percent"])
            for cells in studies.rows_of(trial / "truth.csv")
            if cells["percent"]
        }
        for one in result.after:
            assert one.percent == pytest.approx(truth[one.sample], abs=1.0)


# ------------------------------------------------------------------------------------- the command


class TestCommand:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch) -> Path:
        folder = studies.study(tmp_path / "study")
        text = (folder / "small.yaml").read_text()
        (folder / "small.yaml").write_text(
            text.replace("populations:", "populations:   # from the top").replace(
                "name: CD3, ", "name: CD3,  "
            )
        )
        monkeypatch.chdir(folder)
        return folder

    @pytest.fixture
    def tune(self, folder, capsys):
        return lambda *words: command(capsys, "template", "tune", "small.yaml", *words)

    WORDS = ("--out", "new.yaml", "--reason", "our  PE is\ndim")

    def test_a_new_version_is_written_and_the_old_is_left_alone(self, tune, folder):
        old = (folder / "small.yaml").read_text()
        ended = tune("--only", "S01_W00", "--move", "CD4 -0.1", *self.WORDS)
        assert (ended.status, ended.err) == (0, "")
        assert (folder / "small.yaml").read_text() == old
        new = (folder / "new.yaml").read_text()
        assert "populations:   # from the top" in new
        assert (
            new.replace("low: 0.4765", "low: 0.5").split("limits:")[0].replace("version: 2\n", "")
            == old.split("limits:")[0]
        )
        stored = load_template(folder / "new.yaml")
        (entry,) = stored.content["history"]
        assert (entry["reason"], entry["on"], entry["before"]) == (
            "our PE is dim",
            ["S01_W00"],
            load_template(folder / "small.yaml").hash,
        )
        assert f"version 2 is in new.yaml (sha256 {stored.hash[:8]})" in ended.said

    def test_the_table_has_the_gate_and_the_percent_before_and_after(self, tune, folder, capsys):
        ended = tune("--set", "CD4 0.9", *self.WORDS)
        assert "CD4 outline CD4 from 0.5 CD4 from 0.9 +0.4 along CD4" in ended.said
        rows = {line.split()[0]: line.split() for line in ended.out.splitlines() if line.startswith("S0")}
        assert set(rows) == set(studies.SAMPLES)
        for name, place in (("small.yaml", 1), ("new.yaml", 4)):
            command(capsys, "gate", "-t", name, "--no-plots", "-j", "1", "-o", f"out_{place}")
            for cells in studies.rows_of(folder / f"out_{place}" / "treg.csv"):
                if cells["role"] == "primary":
                    shown = f"{float(cells['percent']):.2f}" if cells["percent"] else "–"
                    column = rows[cells["sample"]]
                    assert shown in column, (name, column)
                    assert cells["verdict"] in column

    def test_a_dry_run_shows_and_writes_nothing(self, tune, folder):
        before = sorted(path.name for path in folder.rglob("*"))
        ended = tune("--move", "CD4 -0.1", "--dry-run")
        assert ended.status == 0
        assert "CD4 from 0.5 CD4 from 0.4765" in ended.said
        assert ended.said.endswith("no template was written")
        assert sorted(path.name for path in folder.rglob("*")) == before

    def test_pages_before_and_after(self, tune, folder):
        assert tune("--only", "S01_W00", "--move", "CD4 -0.3", "--plots", "pages", *self.WORDS).status == 0
        before, after = (
            (folder / "pages" / f"S01_W00_{when}.png").read_bytes() for when in ("before", "after")
        )
        assert before[:4] == after[:4] == b"\x89PNG"
        assert before != after
        assert len(list((folder / "pages").iterdir())) == 2

    def test_files_instead_of_a_sheet(self, tune, folder):
        ended = tune("fcs/S01_W00.fcs", "fcs/S02_W00.fcs", "--fingerprint", *self.WORDS)
        assert ended.status == 0
        assert load_template(folder / "new.yaml").content["history"][0]["on"] == ["S01_W00", "S02_W00"]
        said = load_template(folder / "new.yaml").content["markers"]
        written = {marker: words["fingerprint"]["detector"] for marker, words in said.items() if words}
        assert written == {marker: name for marker, name in studies.DETECTORS.items() if marker != "CD127"}, (
            "no gate uses CD127"
        )

    def test_a_template_is_never_written_over(self, tune, folder):
        (folder / "new.yaml").write_text("mine")
        for name in ("new.yaml", "small.yaml"):
            ended = tune("--move", "CD4 -0.1", "--reason", "x", "--out", name)
            assert ended.status == 2
            assert ended.said == (f"E-OUT {name} exists already and is not overwritten, because results may carry its hash; name another "
                                  "with --out")  # fmt: skip
        assert (folder / "new.yaml").read_text() == "mine"

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (("--move", "CD4 -0.1", "--out", "new.yaml"), "E-USAGE a new version needs --reason TEXT; --dry-run only shows it"),
            (("--move", "CD4 -0.1"), "E-USAGE a new version needs --out NEW.yaml and --reason TEXT"),
            ((*WORDS,), "E-USAGE nothing is to be changed; say --move, --set, --to-found, --bridge or --fingerprint"),
            (("--move", "CD5 -0.1", *WORDS), 'E-USAGE --move "CD5 -0.1": "CD5" is not a population; did you mean "CD4"?'),
            (("--set", "Treg 0.4", *WORDS), "E-USAGE --set \"Treg 0.4\": Treg does not store one cut but an outline; move it with --move"),
            (("--only", "S01_W0", "--move", "CD4 1", *WORDS), 'E-USAGE --only "S01_W0": no row of the sheet has this sample; did you mean "S0'),
            (("--bridge", *WORDS), "E-USAGE --bridge needs a reference tube: none is chosen, and the chosen tubes' runs have none"),
        ],
    )  # fmt: skip
    def test_a_command_that_cannot_be_meant(self, tune, folder, words, told):
        ended = tune(*words)
        assert ended.status == 2
        assert told in ended.said
        assert ended.said.count("E-") == 1
        assert not (folder / "new.yaml").exists()

    def test_what_comes_to_no_template_is_refused(self, tune, folder):
        text = (folder / "small.yaml").read_text()
        (folder / "small.yaml").write_text(
            text.replace("{interval: {low: 0.5}}", "{interval: {low: 0.5, high: 0.50001}}", 1)
        )
        ended = tune("--move", "CD3 -0.1", *self.WORDS)
        assert ended.status == 2
        assert "E-TEMPLATE" in ended.said
        assert "low must be the smaller" in ended.said
        assert not (folder / "new.yaml").exists()

    def test_nothing_found_is_no_new_version(self, tune, folder):
        ended = tune("--to-found", *self.WORDS)
        assert ended.status == 1
        assert "nothing changed" in ended.said
        assert ended.said.endswith("no template was written")

    def test_a_bad_file_stops_nobody(self, tune, folder):
        studies.truncated(folder / "fcs" / "S02_W12.fcs")
        (folder / "fcs" / "S01_W12.fcs").unlink()
        ended = tune("--move", "CD4 -0.1", *self.WORDS)
        assert ended.status == 1
        assert "E-TRUNCATED S02_W12" in ended.said
        assert "E-MISSING S01_W12" in ended.said
        assert load_template(folder / "new.yaml").content["history"][0]["on"] == ["S01_W00", "S02_W00"]

    def test_no_file_at_all_is_2(self, tune, folder):
        for path in (folder / "fcs").iterdir():
            path.unlink()
        ended = tune("--move", "CD4 -0.1", *self.WORDS)
        assert ended.status == 2
        assert ended.said.count("E-MISSING") == 4

    def test_help_says_what_it_is_for(self, capsys):
        assert (
            "Move the stored gates of a template on chosen tubes"
            in command(capsys, "template", "--help").said
        )
        said = command(capsys, "template", "tune", "--help").said
        assert [
            option
            for option in (
                "--move",
                "--set",
                "--to-found",
                "--bridge",
                "--fingerprint",
                "--plots",
                "--dry-run",
            )
            if option not in said
        ] == []


def test_the_bridge_of_a_trial_is_that_of_the_chosen_tubes_runs(trial, tmp_path, capsys):
    ended = command(capsys, "template", "tune", TREG, "-s", trial / "samples.csv", "--only", "S01_W12", "--bridge", "--out",
                    tmp_path / "new.yaml", "--reason", "reference of the second run")  # fmt: skip
    assert (ended.status, ended.err) == (0, "")
    stored = load_template(tmp_path / "new.yaml")
    assert set(stored.bridge.landmarks["CD4"]) == {"CD25", "CD127", "FOXP3"}
    reference = gate(
        load_template(TREG).bind(read_fcs(trial / "fcs" / "R02_reference.fcs")), load_template(TREG)
    )
    values = reference.bound.scaled("CD25", reference.members["CD4"])
    np.testing.assert_allclose(stored.bridge.landmarks["CD4"]["CD25"],
                               np.quantile(values, (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99)), atol=1e-3)  # fmt: skip
