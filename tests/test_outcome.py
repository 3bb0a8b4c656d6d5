"""An outcome goes to disk and comes back the same, whatever is in it."""

from __future__ import annotations

import json
import math
import os
import re

import numpy as np
import pytest
import studies
from builders import above, gated, row, sample, template
from hypothesis import given
from hypothesis import strategies as st
from studies import TEMPLATE, small

from tregflow.errors import CODES, Finding
from tregflow.outcome import SCHEMA, Evidence, Outcome, changed, done, parts_of, storable, summary
from tregflow.uncertainty.stability import uncertainty

WORDS = st.text(max_size=20)
PARTS = st.dictionaries(WORDS, WORDS, max_size=4)
NUMBERS = st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS
FINDINGS = st.lists(st.builds(Finding, st.sampled_from(sorted(CODES)), WORDS, WORDS), max_size=3).map(tuple)
VOLTS = st.dictionaries(WORDS, st.floats(allow_nan=False, allow_infinity=False), max_size=3)
EVIDENCE = st.builds(Evidence, WORDS, WORDS, st.none() | st.integers(0), WORDS, WORDS, PARTS, WORDS, PARTS, PARTS,
                     WORDS, WORDS, WORDS, VOLTS, VOLTS)  # fmt: skip
ROWS = st.lists(st.dictionaries(WORDS, NUMBERS, max_size=3), max_size=3).map(tuple)
OUTCOMES = st.builds(Outcome, WORDS, st.sampled_from(["done", "control", "refused"]), PARTS, EVIDENCE, FINDINGS,
                     st.dictionaries(WORDS, st.dictionaries(WORDS, NUMBERS, max_size=2), max_size=2), ROWS, ROWS, ROWS, ROWS)  # fmt: skip


class TestDisk:
    @given(OUTCOMES)
    def test_there_and_back(self, outcome):
        assert Outcome.from_bytes(outcome.to_bytes()) == outcome
        assert Outcome.from_bytes(outcome.to_bytes()).to_bytes() == outcome.to_bytes()

    def test_a_gated_file_comes_back_equal_though_some_numbers_are_none(self, tmp_path):
        folder = studies.study(tmp_path)
        empty = small(
            TEMPLATE.replace(
                "markers: [CD3], gate: {interval: {low: 0.5}}", "markers: [CD3], gate: {interval: {low: 9}}"
            )
        )
        outcome = studies.gate_file(studies.job(folder, tmp_path / "out", template=empty)).outcome
        assert outcome.measures[0]["percent"] is None
        assert Outcome.from_bytes(outcome.to_bytes()) == outcome
        assert "NaN" not in outcome.to_bytes().decode()

    def test_what_is_not_a_number_is_null(self):
        outcome = Outcome(
            "A", "done", {}, Evidence("a"), measures=({"percent": math.nan, "high": math.inf, "low": -0.5},)
        )
        assert json.loads(outcome.to_bytes())["measures"] == [{"percent": None, "high": None, "low": -0.5}]

    def test_another_version_or_a_key_that_does_not_fit_is_refused(self):
        content = Outcome("A", "done", {"file": "1"}, Evidence("a")).to_bytes()
        with pytest.raises(ValueError, match="not an outcome of this version"):
            Outcome.from_bytes(content.replace(f'"schema": {SCHEMA}'.encode(), b'"schema": 1'))
        with pytest.raises(ValueError, match="the key does not fit the outcome"):
            Outcome.from_bytes(re.sub(rb'"key": "\w', b'"key": "x', content))

    def test_an_edited_outcome_is_not_believed(self):
        content = Outcome("A", "done", {"file": "1"}, Evidence("a"), measures=({"percent": 8.5},)).to_bytes()
        with pytest.raises(ValueError, match="the outcome was changed after it was written"):
            Outcome.from_bytes(content.replace(b"8.5", b"9.5"))


class TestOwed:
    """What a number owes to its gates goes with it, and goes where it goes."""

    VALUES = np.random.default_rng(2).permutation(np.linspace(0, 1, 4000))
    GATES = (
        row("A", "root", ["CD4"], {"quantile": {"at": 0.9, "keep": "above"}}),
        row("B", "A", ["CD25"], above(0.5)),
    )

    def outcome(self, draws=20, **more):
        stored = template(
            *self.GATES, scales={"fluorescence": {"log": {"T": 1.0, "M": 4.0}}}, shifts=[0.1], **more
        )
        file = gated(stored, sample({"CD4": self.VALUES, "CD25": np.full(4000, 0.02)}))
        sure = uncertainty(file, draws)
        return done("A", {}, Evidence("a"), sure.gated, sure), sure

    def test_range_stability_and_scenarios(self):
        outcome, sure = self.outcome()
        (measure,) = outcome.measures
        # the cut at 0.9 goes to 0.9 * 10^±0.1: past the brightest event, and to 0.715
        assert (measure["gate_low"], measure["gate_high"]) == (0.0, pytest.approx(28.5, abs=0.1))
        assert measure["gate_stability"] == sure.stability.measures["share"] > 0
        assert outcome.gates["A"]["stability"]["spread"] == sure.stability.gates["A"].spread
        assert outcome.gates["B"]["stability"]["spread"] == 0
        assert [one["scenario"] for one in outcome.scenarios][:3] == ["as placed", "A CD4 +0.1", "A CD4 -0.1"]
        assert outcome.scenarios[0]["counts"] == {"share": [measure["numerator"], 4000]}
        assert Outcome.from_bytes(outcome.to_bytes()) == outcome

    def test_a_percent_that_is_refused_owes_nothing(self):
        outcome, _ = self.outcome(limits={"root": {"refuse_below": 5000, "review_below": 5000}})
        (measure,) = outcome.measures
        assert measure["verdict"] == "fail"
        assert (measure["gate_low"], measure["gate_high"], measure["gate_stability"]) == (None, None, None)

    def test_without_draws_there_is_a_range_and_no_stability(self):
        outcome, _ = self.outcome(draws=0)
        (measure,) = outcome.measures
        assert measure["gate_high"] > measure["gate_low"]
        assert measure["gate_stability"] is None
        assert "stability" not in outcome.gates["A"]

    def test_contrasts_are_kept(self):
        outcome, _ = self.outcome(
            report={
                "primary": {"name": "share", "count": "B", "of": "root"},
                "medians": {"CD4": ["A", "root"]},
            }
        )
        (one,) = outcome.contrasts
        assert (one["marker"], one["first"], one["second"], one["above_fmo"]) == ("CD4", "A", "root", None)
        assert one["difference"] == pytest.approx(np.log10(0.95 / 0.5) / 4, abs=0.001)


class TestKey:
    @given(PARTS)
    def test_it_does_not_depend_on_order(self, parts):
        turned = dict(reversed(parts.items()))
        assert (
            Outcome("A", "done", parts, Evidence("a")).key == Outcome("B", "done", turned, Evidence("b")).key
        )

    @given(PARTS, PARTS)
    def test_it_differs_where_a_part_does(self, one, two):
        keys = {Outcome("A", "done", parts, Evidence("a")).key for parts in (one, two)}
        assert len(keys) == (1 if one == two else 2)
        assert bool(changed(one, two)) == (one != two)

    def test_a_gate_that_is_new_gone_or_moved_is_named(self):
        cd8 = "  - {name: CD8, parent: CD3, markers: [CD4], gate: {interval: {high: 0.5}}}\n"
        more = small(TEMPLATE.replace("report:", f"{cd8}report:"))
        moved = small(
            TEMPLATE.replace(
                "markers: [CD3], gate: {interval: {low: 0.5}}", "markers: [CD3], gate: {interval: {low: 0.4}}"
            )
        )
        assert changed(parts_of(small()), parts_of(more)) == ["the template's gate CD8 was added"]
        assert changed(parts_of(more), parts_of(small())) == ["the template's gate CD8 is gone"]
        assert changed(parts_of(small()), parts_of(moved)) == ["the template's gate CD3 changed"]

    def test_the_order_of_gates_is_told_where_nothing_else_changed(self):
        cd8 = "  - {name: CD8, parent: CD3, markers: [CD4], gate: {interval: {high: 0.5}}}\n"
        last = small(TEMPLATE.replace("report:", f"{cd8}report:"))
        earlier = small(TEMPLATE.replace("  - {name: Treg", f"{cd8}  - {{name: Treg"))
        assert changed(parts_of(last), parts_of(earlier)) == [
            "the template's name, matrix or order of gates changed"
        ]
        assert changed({"numpy": "1", **parts_of(last)}, {"numpy": "2", **parts_of(earlier)}) == [
            "the version of numpy changed", "the template's name, matrix or order of gates changed"]  # fmt: skip


class TestVerdict:
    @pytest.mark.parametrize(
        ("state", "measures", "verdict"),
        [
            ("control", (), ""),
            ("refused", (), "fail"),
            ("done", ({"verdict": "review"}, {"verdict": "pass"}), "review"),
        ],
    )
    def test_it_is_the_primary_measures(self, state, measures, verdict):
        assert Outcome("A", state, {}, Evidence("a"), measures=measures).verdict == verdict

    def test_notes_leave_a_file_clean_and_flags_do_not(self):
        good = Outcome("A", "done", {}, Evidence("a"), measures=({"verdict": "pass"},))
        assert good.is_clean
        assert good.adding(Finding("N-MOVED", "x")).is_clean
        assert not good.adding(Finding("F-BOUND", "x")).is_clean
        assert not Outcome("A", "done", {}, Evidence("a"), measures=({"verdict": "review"},)).is_clean

    def test_a_flag_bears_on_every_measure_and_a_note_on_none(self):
        flag, note = Finding("F-IDENTITY", "x"), Finding("N-IDENTITY", "y")
        before = studies.done("A", Finding("N-TEXT", "z"))
        after = before.adding(flag, note)
        assert after.findings == (*before.findings, flag, note)
        assert [one["verdict"] for one in after.measures] == ["review", "review"]
        for one, other in zip(before.measures, after.measures, strict=True):
            told = {
                **one,
                "verdict": "review",
                "findings": [*one["findings"], {"code": "F-IDENTITY", "sentence": "x", "where": ""}],
            }
            assert other == told
        assert (before.adding(note).measures, before.verdict) == (before.measures, "pass")

    def test_a_flag_gives_no_number_back(self):
        measures = ({"verdict": "fail", "findings": []}, {"verdict": "review", "findings": []})
        flagged = Outcome("A", "done", {}, Evidence("a"), measures=measures).adding(Finding("F-DATE", "x"))
        assert [one["verdict"] for one in flagged.measures] == ["fail", "review"]
        assert flagged.verdict == "fail"

    def test_a_flagged_control_stays_without_a_verdict_and_is_not_clean(self):
        control = Outcome("A", "control", {}, Evidence("a")).adding(Finding("F-VOLTAGE", "x"))
        assert (control.verdict, control.is_clean) == ("", False)

    def test_a_flagged_outcome_can_be_kept_and_read_again(self):
        flagged = studies.done("A").adding(Finding("F-DATE", "x"))
        assert Outcome.from_bytes(flagged.to_bytes()) == flagged

    def test_a_refusal_takes_the_numbers(self):
        good = Outcome(
            "A", "done", {"file": "1"}, Evidence("a"), (Finding("N-MOVED", "x"),), {"CD4": {}}, ({},), ({},)
        )
        bad = good.refusing(Finding("E-TWICE", "y"))
        assert (bad.state, bad.gates, bad.populations, bad.measures, bad.verdict) == (
            "refused",
            {},
            (),
            (),
            "fail",
        )
        assert [finding.code for finding in bad.findings] == ["N-MOVED", "E-TWICE"]
        assert bad.key == good.key

    def test_codes_are_told_once_the_gravest_first(self):
        said = [Finding(code, word) for word in "ab" for code in ("N-MOVED", "F-BOUND", "E-GATE", "F-FEW")]
        assert summary(said) == "E-GATE F-BOUND F-FEW N-MOVED"


def test_a_name_that_is_not_utf8_becomes_text():
    assert storable(os.fsdecode(b"M\xfcller.fcs")) == "M?ller.fcs"
    assert storable("Müller.fcs") == "Müller.fcs"
