"""Placing one gate: whose events it looks at, what it falls back to, and what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builders import above, gated, row, sample, template

from tregflow.checks import placements
from tregflow.gates.method import Doubt, Found
from tregflow.gates.shapes import Interval, Polygon, Rectangle, bounds

RNG = np.random.default_rng(5)
STAINED = np.concatenate([RNG.normal(0.3, 0.05, 4_000), RNG.normal(0.8, 0.05, 1_000)])
UNSTAINED = RNG.normal(0.2, 0.05, 5_000)


def cut(**said):
    return row("A", "root", ["CD25"], {"quantile": {"at": 0.99, "keep": "above", "stored": 0.5, **said}})


def tube(values, stored=None):
    return gated(
        stored or template(row("all", "root", [], {"members": "root"}), cut()), sample({"CD25": values})
    )


# ----------------------------------------------------------------------------------- control tubes


def test_a_gate_is_placed_on_the_control_that_it_names():
    stored = template(cut(tube="fmo"))
    placed = gated(stored, sample({"CD25": STAINED}), references={"fmo:CD25": tube(UNSTAINED)}).placed["A"]
    assert (placed.status, placed.tube, placed.n_of) == ("moved", "fmo:CD25", 5_000)
    assert placed.shape.low == pytest.approx(np.quantile(UNSTAINED, 0.99), abs=1e-6)


def test_only_the_controls_members_of_the_population_count():
    whole = row("low", "root", ["CD25"], {"interval": {"high": 0.2}})
    stored = template(whole, cut(tube="fmo", of="low"))
    control = gated(template(whole), sample({"CD25": UNSTAINED}))
    placed = gated(stored, sample({"CD25": STAINED}), references={"fmo:CD25": control}).placed["A"]
    assert placed.n_of == (UNSTAINED < 0.2).sum()
    assert placed.shape.low == pytest.approx(np.quantile(UNSTAINED[UNSTAINED < 0.2], 0.99), abs=1e-6)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "no fmo:CD25 tube was given"),
        ({"absent": {"fmo:CD25": "the run has no fmo:CD25 tube"}}, "the run has no fmo:CD25 tube"),
    ],
)
def test_a_control_that_is_not_there_is_a_fallback_that_says_so(given, said):
    placed = gated(template(cut(tube="fmo")), sample({"CD25": STAINED}), **given).placed["A"]
    assert (placed.status, placed.reason, placed.shape) == ("fallback", said, Interval(low=0.5))


def test_a_control_with_few_events_is_a_fallback_that_names_it():
    stored = template(cut(tube="fmo", least=4_000))
    few = {"fmo:CD25": tube(UNSTAINED[:3_000])}
    placed = gated(stored, sample({"CD25": STAINED}), references=few).placed["A"]
    assert placed.status == "fallback"
    assert placed.reason == "root of the tube fmo:CD25 has 3,000 events, 4,000 are needed"


# --------------------------------------------------------------------------------- pooled and alone


def test_a_gate_across_a_run_is_the_same_for_every_tube_of_it():
    stored = template(cut(across="run"))
    low, high = sample({"CD25": STAINED - 0.1}), sample({"CD25": STAINED + 0.1})
    bound = {name: stored.bind(one) for name, one in (("low", low), ("high", high))}
    first = gated(stored, low, companions={"high": bound["high"]}).placed["A"]
    second = gated(stored, high, companions={"low": bound["low"]}).placed["A"]
    together = np.concatenate([STAINED - 0.1, STAINED + 0.1])
    assert first.shape == second.shape
    assert first.shape.low == pytest.approx(np.quantile(together, 0.99), abs=1e-6)
    assert (first.across, second.across) == (("high",), ("low",))
    assert first.n_of == len(together)


def test_a_gate_on_its_own_sample_does_not_look_at_companions():
    stored = template(cut())
    alone = gated(stored, sample({"CD25": STAINED}))
    beside = gated(
        stored, sample({"CD25": STAINED}), companions={"other": stored.bind(sample({"CD25": UNSTAINED}))}
    )
    assert alone.placed["A"].shape == beside.placed["A"].shape


# ------------------------------------------------------------------------- what does not hold here


FINGERPRINT = {"markers": {"CD25": {"fingerprint": {"detector": "PE-A"}}}}


@pytest.mark.parametrize(
    "gate", [above(0.5), {"valley": {"keep": "above", "stored": 0.5}}], ids=["stored", "fallback"]
)
def test_stored_coordinates_of_another_detector_are_refused(gate):
    stored = template(row("A", "root", ["CD25"], gate), **FINGERPRINT)
    flat = np.linspace(0, 1, 3_000)
    placed = gated(stored, sample({"APC-A": flat}, {"APC-A": "CD25"})).placed["A"]
    assert placed.status == "refused"
    assert "stored coordinates of CD25 do not hold here" in placed.reason
    assert gated(stored, sample({"PE-A": flat}, {"PE-A": "CD25"})).placed["A"].status in (
        "stored",
        "fallback",
    )


def test_a_found_gate_of_another_detector_stands():
    stored = template(cut(), **FINGERPRINT)
    placed = gated(stored, sample({"APC-A": STAINED}, {"APC-A": "CD25"})).placed["A"]
    assert placed.status == "moved"


# -------------------------------------------------------------------------------- what a gate says


@pytest.mark.parametrize(
    ("kind", "status"), [("weak", "moved"), ("bound", "at bound"), ("unsettled", "moved")]
)
def test_a_doubt_travels_with_the_gate(monkeypatch, kind, status):
    doubt = Doubt(kind, "so it was seen")
    found = Found(Interval(low=0.7), {"depth": 0.9}, (doubt,))
    monkeypatch.setattr("tregflow.gating.placing.METHODS", {"quantile": lambda *_, **__: found})
    placed = gated(template(cut()), sample({"CD25": STAINED})).placed["A"]
    assert (placed.status, placed.doubts, placed.evidence) == (status, (doubt,), {"depth": 0.9})


@pytest.mark.parametrize(
    "gate", [cut()["gate"], above(0.5), {"interval": {"high": 0.5}}], ids=["found", "above", "below"]
)
def test_events_without_a_place_on_a_log_axis_are_counted(gate):
    scales = {"fluorescence": {"log": {"T": 10_000.0, "M": 4.0}}}
    values = np.concatenate([np.full(50, -5.0), 10 ** RNG.normal(2, 0.2, 2_000)])
    found = gated(template(row("A", "root", ["CD25"], gate), scales=scales), sample({"CD25": values}))
    assert found.placed["A"].off_axis == 50
    said = [finding for finding in placements(found) if finding.code == "F-OFF-AXIS"]
    assert [one.sentence for one in said] == [
        "A: 50 of 2,050 events of root lie at or below zero of a log axis: they are neither in the gate nor on its other side"
    ]


def test_the_edge_that_moved_most_is_named():
    stored = {"rectangle": {"low": [0.2, 0.1], "high": [0.6, 0.9]}}
    gate = {"anchored": {"outline": stored, "at": [0.3, 0.3]}}
    scales = {"fluorescence": {"logicle": {"T": 262144.0, "W": 0.5, "M": 4.5, "A": 0.0}}}
    made = template(row("A", "root", ["CD25", "CD127"], gate), scales=scales)
    logicle = made.scales["CD25"]
    bright = logicle.inverse(np.clip(RNG.normal([0.3, 0.7], 0.03, (3_000, 2)), 0.05, 0.95))
    placed = gated(made, sample({"CD25": bright[:, 0], "CD127": bright[:, 1]})).placed["A"]
    assert placed.along == "CD127"
    assert abs(placed.shift) > 0.02


def test_an_open_side_has_no_edge():
    corners = Polygon(((0.4, -0.5), (0.4, 0.3), (1.2, 0.5), (1.2, -0.5)))
    assert bounds(corners, 0, (1, 1)) == (0.4, math.inf)
    assert bounds(corners, 1, (1, 1)) == (
        -math.inf,
        pytest.approx(0.45),
    )  # where the upper side leaves the axis
    assert bounds(Rectangle((0.1, -math.inf), (math.inf, 0.7)), 1, (1, 1)) == (-math.inf, 0.7)
    assert bounds(corners, 0, (0.3, 1)) == (-math.inf, math.inf)


def test_a_dim_reference_says_that_it_shows_no_gain():
    scales = {"fluorescence": {"logicle": {"T": 262144.0, "W": 0.5, "M": 4.5, "A": 0.0}}}
    gate = {"anchored": {"outline": {"interval": {"low": 0.4}}, "at": [0.12], "drift": 0.3}}
    found = gated(
        template(row("A", "root", ["CD25"], gate), scales=scales), sample({"CD25": RNG.normal(2, 30, 3_000)})
    )
    (said,) = [finding for finding in placements(found) if finding.code == "N-GAIN"]
    assert said.sentence == (
        "A: the cells that it follows are too dim on an axis to tell the gain and the stain of its detector"
    )


def test_a_model_below_a_pooled_gate_is_fitted_in_every_tube():
    kinds = {"low": {"at": [0.3], "spread": [0.05]}, "high": {"at": [0.8], "spread": [0.05], "steady": False}}
    pooled = row("P", "root", ["CD25"], {"quantile": {"at": 0.01, "keep": "above", "across": "run"}})
    parted = row("A", "P", ["CD25"], {"mixture": {"model": "cells", "keep": ["high"]}})
    stored = template(pooled, parted, models={"cells": {"of": "P", "markers": ["CD25"], "kinds": kinds}})
    other = stored.bind(sample({"CD25": STAINED}))
    found = gated(stored, sample({"CD25": STAINED}), companions={"other": other})
    assert found.placed["A"].status == "found"
    assert len(found.members["A"]) == pytest.approx(1_000, abs=20)
