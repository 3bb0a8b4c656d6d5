"""A verdict says whether a number may be used, and never looks at the number."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from builders import above, gated, row, sample, template
from hypothesis import given
from hypothesis import strategies as st

from tregflow.checks import judge, placements, verdict
from tregflow.errors import Finding
from tregflow.gates.shapes import Interval

NO_LIMIT = {"refuse_below": 0, "review_below": 0}

CELLS = {"limits": {"root": {}}, "report": {"primary": {"name": "cells", "count": "Cells", "of": "root"}}}
MEASURE = {"name": "Treg of CD4", "count": "Treg", "of": "CD4"}
CUT = {"quantile": {"keep": "above", "at": 0.5}}


def cut(**said):
    return {"quantile": {"keep": "above", "at": 0.5, **said}}


def judged(*gates, events=1000, limits=None, report=None, markers=None, columns=None, **more):
    """Judge a file whose events lie evenly between 0 and 1 on every marker."""
    report = report or {"primary": MEASURE}
    named = {"markers": markers} if markers else {}
    stored = template(*gates, report=report, limits=limits or {"CD4": NO_LIMIT}, **named)
    even = np.linspace(0, 1, events)
    used = {marker for gate in gates for marker in gate["markers"]} - {"absent"}
    return judge(gated(stored, sample(columns or dict.fromkeys(sorted(used), even)), **more))


def codes(found) -> list[str]:
    return [finding.code for finding in found.findings]


CD4 = row("CD4", "root", ["CD4"], above(0.2))
TREG = row("Treg", "CD4", ["CD25"], above(0.9))


@pytest.mark.parametrize(
    ("said", "amounts"),
    [
        ([], "pass"),
        (["N-MOVED"], "pass"),
        (["N-MOVED", "F-FEW"], "review"),
        (["F-FEW", "E-GATE", "N-TOKEN"], "fail"),
    ],
)
def test_the_gravest_finding_decides(said, amounts):
    assert verdict([Finding(code, "") for code in said]) == amounts


def test_stored_gates_and_enough_events_pass():
    (primary,) = judged(CD4, TREG)
    assert (primary.verdict, primary.findings) == ("pass", ())
    assert primary.percent.percent == pytest.approx(12.5, abs=0.2)


# ---------------------------------------------------------------------------------------- few events


@pytest.mark.parametrize(
    ("limit", "verdict_", "code"),
    [
        ({"refuse_below": 801}, "fail", ["E-FEW"]),
        ({"refuse_below": 800}, "review", ["F-FEW"]),
        ({"refuse_below": 0}, "review", ["F-FEW"]),
        ({}, "review", ["F-FEW"]),
        ({"refuse_below": 800, "review_below": 800}, "pass", []),
        ({"review_below": 801}, "review", ["F-FEW"]),
        ({"review_below": 800}, "pass", []),
        ({"refuse_below": 801, "review_below": 900}, "fail", ["E-FEW"]),
        ({"refuse_below": 100, "review_below": 900}, "review", ["F-FEW"]),
    ],
)
def test_limits_of_the_denominator(limit, verdict_, code):
    (primary,) = judged(CD4, TREG, limits={"CD4": limit})
    assert primary.percent.denominator == 800
    assert (primary.verdict, codes(primary)) == (verdict_, code)


def test_too_few_events_leave_counts_and_no_percent():
    (primary,) = judged(CD4, TREG, limits={"CD4": {"refuse_below": 10_000}})
    assert (primary.percent.numerator, primary.percent.denominator) == (100, 800)
    assert all(map(math.isnan, (primary.percent.percent, primary.percent.low, primary.percent.high)))
    assert primary.findings[0].sentence == "CD4 has 800 events; below 10,000 no percent is reported"


def test_the_default_limit_of_the_primary_denominator():
    assert [codes(judged(CD4, TREG, limits={"root": {}}, events=events)[0]) for events in (600, 2000, 3000)] == [
        ["E-FEW"], ["F-FEW"], [],
    ]  # fmt: skip


def test_the_default_limit_when_the_root_is_the_denominator():
    gates = [row("Treg", "root", ["CD25"], above(0.5))]
    report = {"primary": {"name": "x", "count": "Treg", "of": "root"}}
    stored = template(*gates, report=report, limits={})
    (primary,) = judge(gated(stored, sample({"CD25": np.zeros(10)})))
    assert codes(primary) == ["E-FEW"]


def test_a_limit_above_the_denominator_counts():
    lymphocytes = row("Lymphocytes", "root", ["CD3"], above(0.5))
    (primary,) = judged(
        lymphocytes,
        {**CD4, "parent": "Lymphocytes"},
        TREG,
        limits={"CD4": NO_LIMIT, "Lymphocytes": {"review_below": 5000}},
    )
    assert codes(primary) == ["F-FEW"]


def test_a_limit_between_count_and_denominator_bears_only_where_it_is_the_denominator():
    gates = [CD4, row("CD25hi", "CD4", ["CD25"], above(0.5)), {**TREG, "parent": "CD25hi"}]
    report = {"primary": MEASURE, "also": [{"name": "Treg of CD25hi", "count": "Treg", "of": "CD25hi"}]}
    primary, secondary = judged(
        *gates, report=report, limits={"CD4": NO_LIMIT, "CD25hi": {"refuse_below": 5000}}
    )
    assert (primary.verdict, secondary.verdict) == ("pass", "fail")


def test_the_limit_of_a_reference_counts_while_the_measure_leans_on_it():
    gates = [
        CD4,
        row("ref", "CD4", ["CD25"], {"interval": {"high": 0.5}}, role="reference"),
        row("Treg", "CD4", ["CD25"], cut(of="ref")),
    ]
    (primary,) = judged(*gates, limits={"CD4": NO_LIMIT, "ref": {"review_below": 5000}})
    assert codes(primary) == ["F-FEW"]
    (fixed,) = judged(
        *gates,
        limits={"CD4": NO_LIMIT, "ref": {"review_below": 5000}},
        corrections={"Treg": Interval(low=0.9)},
    )
    assert codes(fixed) == []


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_verdict_is_blind_to_the_outcome(one, other):
    """Files that differ in nothing but the share of Tregs have the same verdict and findings."""
    gates = [CD4, row("CD25hi", "CD4", ["CD25"], above(0.5)), {**TREG, "parent": "CD25hi"}]

    def with_tregs(tregs):
        columns = {"CD4": np.ones(300), "CD25": np.r_[np.ones(tregs), np.zeros(300 - tregs)]}
        (primary,) = judged(
            *gates, columns=columns, limits={"CD4": {"refuse_below": 100, "review_below": 400}}
        )
        return primary.verdict, primary.findings

    assert with_tregs(one) == with_tregs(other)


# ------------------------------------------------------------------------------------------- statuses


def test_a_fallback_is_reviewed_with_its_reason():
    (primary,) = judged({**CD4, "gate": cut(least=5000, stored=0.2)}, TREG)
    assert (primary.verdict, codes(primary)) == ("review", ["F-FALLBACK"])
    assert (
        primary.findings[0].sentence
        == "CD4: root has 1,000 events, 5,000 are needed; the stored cut 0.2 was used"
    )
    assert primary.percent.percent == pytest.approx(12.5, abs=0.2)


def test_a_gate_at_its_bound_is_reviewed():
    (primary,) = judged({**CD4, "gate": cut(stored=0.2, within=[0.1, 0.3])}, TREG)
    assert (primary.verdict, codes(primary)) == ("review", ["F-BOUND"])
    assert primary.findings[0].sentence == ("CD4: stopped at 0.3, the high edge of its window 0.1 to 0.3")


def test_at_bound_without_a_stored_gate():
    (primary,) = judged({**CD4, "gate": cut(within=[0.1, 0.3])}, TREG)
    assert primary.findings[0].sentence == "CD4: stopped at 0.3, the high edge of its window 0.1 to 0.3"


def test_the_low_edge_of_a_window():
    (primary,) = judged({**CD4, "gate": cut(within=[0.6, 0.8])}, TREG)
    assert primary.findings[0].sentence == "CD4: stopped at 0.6, the low edge of its window 0.6 to 0.8"


def test_an_outline_at_its_bound_names_the_edge_of_its_cut():
    rng = np.random.default_rng(1)
    columns = {"FSC-A": rng.normal(500, 30, 1000), "SSC-A": rng.normal(300, 30, 1000)}
    gate = {"debris_cut": {"within": [500, 700]}}
    (primary,) = judged(row("Cells", "root", ["FSC-A", "SSC-A"], gate), columns=columns, **CELLS)
    assert primary.findings[0].sentence == "Cells: stopped at 500, the low edge of its window 500 to 700"


def test_a_stored_outline_that_was_used():
    columns = {"FSC-A": np.ones(50), "SSC-A": np.ones(50)}
    gate = {"debris_cut": {"stored": {"rectangle": {"low": [0, 0], "high": [9, 9]}}}}
    (primary,) = judged(row("Cells", "root", ["FSC-A", "SSC-A"], gate), columns=columns, **CELLS)
    assert primary.findings[0].sentence == (
        "Cells: root has 50 events, 200 are needed; the stored outline was used"
    )


def test_a_gate_that_moved_is_noted():
    (primary,) = judged({**CD4, "gate": cut(stored=0.4)}, TREG)
    assert (primary.verdict, codes(primary)) == ("pass", ["N-MOVED"])
    assert primary.findings[0].sentence == "CD4 was found, +0.1 axis units from the stored one along CD4"


def test_a_gate_that_was_found_or_corrected_needs_no_word():
    assert judged({**CD4, "gate": CUT}, TREG)[0].findings == ()
    assert (
        judged({**CD4, "gate": cut(least=5000)}, TREG, corrections={"CD4": Interval(low=0.2)})[0].findings
        == ()
    )


def test_a_skipped_gate_is_reviewed():
    live = row("Live", "root", ["absent"], above(0.5))
    (primary,) = judged(
        live,
        {**CD4, "parent": "Live"},
        TREG,
        markers={"CD4": {}, "CD25": {}, "absent": {"optional": True}},
    )
    assert (primary.verdict, codes(primary)) == ("review", ["F-SKIPPED"])
    assert primary.findings[0].sentence == "Live was skipped: no channel for absent"


def test_a_refused_gate_takes_everything_below_it():
    (primary,) = judged(
        {**CD4, "gate": cut(least=5000)},
        row("CD25hi", "CD4", ["CD25"], above(0.1)),
        {**TREG, "parent": "CD25hi"},
    )
    assert primary.verdict == "fail"
    assert [str(finding) for finding in primary.findings if finding.code == "E-GATE"] == [
        "E-GATE  CD4 has no gate: root has 1,000 events, 5,000 are needed",
        "E-GATE  CD25hi has no gate: CD4 could not be placed",
        "E-GATE  Treg has no gate: CD25hi could not be placed",
    ]
    assert (primary.percent.numerator, primary.percent.denominator) == (None, None)


# -------------------------------------------------------------------------- on the path and off it


def test_what_is_off_the_path_does_not_count():
    aside = row("aside", "root", ["CD8"], cut(least=5000, stored=0.3))
    unplaced = row("unplaced", "CD4", ["CD8"], cut(least=5000))
    (primary,) = judged(CD4, TREG, aside, unplaced)
    assert (primary.verdict, primary.findings) == ("pass", ())


def test_but_is_said_of_the_file():
    stored = template(
        CD4, TREG, row("aside", "root", ["CD8"], cut(least=5000, stored=0.3)), report={"primary": MEASURE}
    )
    even = np.linspace(0, 1, 1000)
    result = gated(stored, sample({"CD4": even, "CD25": even, "CD8": even}))
    assert [finding.code for finding in placements(result)] == ["F-FALLBACK"]
    assert placements(result, ["CD4", "Treg"]) == ()


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        (cut(least=5000, stored=0.3), "F-FALLBACK"),
        (cut(stored=0.2, within=[0.1, 0.3]), "F-BOUND"),
        (cut(stored=0.4), "N-MOVED"),
    ],
)
def test_a_reference_that_a_gate_was_placed_on_counts(reference, code):
    gates = [
        CD4,
        row("ref", "CD4", ["CD8"], reference, role="reference"),
        row("Treg", "CD4", ["CD25"], cut(of="ref", least=2)),
    ]
    assert codes(judged(*gates)[0]) == [code]


def test_a_reference_counts_through_the_population_it_is_in():
    gates = [
        CD4,
        row("inner", "CD4", ["CD8"], cut(least=5000, stored=0.3)),
        row("ref", "inner", ["CD8"], above(0.1), role="reference"),
        row("Treg", "CD4", ["CD25"], cut(of="ref", least=2)),
    ]
    assert codes(judged(*gates)[0]) == ["F-FALLBACK"]


def test_a_reference_that_is_refused_is_told_by_the_gate_that_fell_back():
    gates = [
        CD4,
        row("ref", "CD4", ["CD8"], cut(least=5000), role="reference"),
        row("Treg", "CD4", ["CD25"], cut(of="ref", stored=0.9)),
    ]
    (primary,) = judged(*gates)
    assert (primary.verdict, codes(primary)) == ("review", ["F-FALLBACK"])
    assert primary.findings[0].sentence == "Treg: ref could not be placed; the stored cut 0.9 was used"
    assert primary.percent.percent == pytest.approx(12.5, abs=0.2)


def test_populations_that_a_combination_names_count():
    gates = [
        CD4,
        row("dump", "root", ["CD8"], cut(least=5000, stored=0.3)),
        row("Treg", "CD4", ["CD25"], {"and": [{"not": "dump"}, above(0.9)]}),
    ]
    assert codes(judged(*gates)[0]) == ["F-FALLBACK"]


def test_secondary_measures_have_verdicts_of_their_own():
    gates = [CD4, TREG, row("naive", "Treg", ["CD8"], cut(least=5000, stored=0.3))]
    report = {"primary": MEASURE, "also": [{"name": "naive of Treg", "count": "naive", "of": "Treg"}]}
    primary, secondary = judged(*gates, report=report)
    assert (primary.verdict, secondary.verdict) == ("pass", "review")


# ------------------------------------------------------------------------------------- file, nothing


def test_what_is_said_of_the_file_bears_on_every_number():
    columns = {"CD4": np.r_[np.full(5, np.nan), np.ones(995)], "CD25": np.ones(1000)}
    (primary,) = judged(CD4, TREG, columns=columns)
    assert (primary.verdict, codes(primary)) == ("review", ["F-NONFINITE"])


def test_notes_of_the_file_stay_with_the_file():
    file = replace(
        sample({"CD4": np.linspace(0, 1, 1000), "CD25": np.linspace(0, 1, 1000)}),
        findings=(Finding("N-SCALING", "Time has gain 0.01"), Finding("F-TOT", "one event more")),
    )
    stored = template(
        {**CD4, "gate": cut(stored=0.4)},
        TREG,
        report={"primary": MEASURE},
        limits={"CD4": {"refuse_below": 0, "review_below": 0}},
    )
    result = gated(stored, file)
    (primary,) = judge(result)
    assert [finding.code for finding in result.findings] == ["N-SCALING", "F-TOT"]
    assert codes(primary) == ["F-TOT", "N-MOVED"]


def test_a_percent_of_nothing_is_flagged():
    (primary,) = judged({**CD4, "gate": above(5)}, TREG)
    assert (primary.verdict, codes(primary)) == ("review", ["F-EMPTY"])
    assert primary.findings[0].sentence == "CD4 is empty, so Treg of CD4 has no denominator"
    assert math.isnan(primary.percent.percent)
    assert (primary.percent.numerator, primary.percent.denominator) == (0, 0)
