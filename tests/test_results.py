"""Tables say what the outcomes say: always a row, in an order that leaves no trace of the work."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from studies import TEMPLATE as STORED
from studies import done, measure, small

from tregflow.errors import Finding
from tregflow.io.tables import table_bytes
from tregflow.outcome import Evidence, Outcome
from tregflow.results import (
    FILES,
    PERTURBATIONS,
    POPULATIONS,
    TREG,
    every_finding,
    file_table,
    paired,
    perturbation_table,
    population_table,
    treg_table,
)
from tregflow.study import Tube

TEMPLATE = small()


def cells(table: tuple) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table_bytes(*table).decode())))


def pair(tube: Tube, outcome: Outcome | None = None):
    return paired([tube], {tube.sample: outcome or done(tube.sample)})


class TestOrder:
    def test_by_name_with_numbers_by_size_whatever_came_first(self):
        names = ["S10_W2", "s2_w10", "S2_W2", "S10_W0", "A", "S2"]
        expected = ["A", "S2", "S2_W2", "s2_w10", "S10_W0", "S10_W2"]
        for order in (names, names[::-1]):
            pairs = paired([Tube(name, "a.fcs") for name in order], {name: done(name) for name in order})
            assert [tube.sample for tube, _ in pairs] == expected


class TestTreg:
    def test_a_full_tube_has_a_row_per_measure(self):
        tube = Tube("A", "a.fcs", "S01", "W0", "R1", "2022-01-01", extra={"x_arm": "B", "panel": "old"})
        columns, _ = table = treg_table(pair(tube), TEMPLATE)
        assert columns == [*TREG, "x_arm"]
        rows = cells(table)
        assert [row["measure"] for row in rows] == ["Treg of CD4", "CD4 of CD3"]
        assert [row["role"] for row in rows] == ["primary", "secondary"]
        assert rows[0] == {**dict.fromkeys(columns, ""), "subject": "S01", "visit": "W0", "collected": "2022-01-01", "sample": "A",
                           "run": "R1", "measure": "Treg of CD4", "role": "primary", "numerator": "1", "denominator": "8",
                           "percent": "12.5", "ci_low": "2.24", "ci_high": "47.1", "verdict": "pass", "x_arm": "B",
                           "template_sha256": TEMPLATE.hash, "file_sha256": "abc"}  # fmt: skip

    def test_a_refused_file_has_its_rows_without_numbers(self):
        refused = Outcome(
            "A", "refused", {}, Evidence("a.fcs"), (Finding("E-TRUNCATED", "x"), Finding("N-TEXT", "y"))
        )
        rows = cells(treg_table(pair(Tube("A", "a.fcs"), refused), TEMPLATE))
        assert [(row["percent"], row["numerator"], row["verdict"], row["codes"]) for row in rows] == 2 * [
            ("", "", "fail", "E-TRUNCATED N-TEXT")]  # fmt: skip

    def test_a_percent_of_nothing_is_empty_and_zero_is_zero(self):
        none = cells(
            treg_table(
                pair(Tube("A", "a.fcs"), done("A", percent=None, numerator=0, denominator=0)), TEMPLATE
            )
        )
        zero = cells(treg_table(pair(Tube("A", "a.fcs"), done("A", percent=0.0, numerator=0)), TEMPLATE))
        assert (none[0]["percent"], none[0]["numerator"], none[0]["denominator"]) == ("", "0", "0")
        assert zero[0]["percent"] == "0"

    @pytest.mark.parametrize("kind", ["reference", "unstained", "fmo:CD25", "single:CD4"])
    def test_no_other_tube_enters(self, kind):
        assert cells(treg_table(pair(Tube("A", "a.fcs", tube=kind)), TEMPLATE)) == []

    def test_the_run_is_the_sheets_or_the_files(self):
        assert cells(treg_table(pair(Tube("A", "a.fcs", run="R9")), TEMPLATE))[0]["run"] == "R9"
        assert cells(treg_table(pair(Tube("A", "a.fcs")), TEMPLATE))[0]["run"] == "01-JAN-2022 SIM1"

    def test_medians_of_two_populations_stand_beside_the_percent_unless_it_is_refused(self):
        two = small(STORED.replace("CD25: [Treg]", "CD25: [Treg, CD4], CD127: [CD4]"))
        contrast = {
            "marker": "CD25",
            "first": "Treg",
            "second": "CD4",
            "difference": 0.25,
            "above_fmo": 812.5,
            "ratio": None,
        }
        outcome = replace(done("A"), contrasts=(contrast,))
        columns, _ = table = treg_table(pair(Tube("A", "a.fcs"), outcome), two)
        assert columns == [*TREG, "difference_CD25", "above_fmo_CD25", "ratio_CD25"]
        assert {
            (row["difference_CD25"], row["above_fmo_CD25"], row["ratio_CD25"]) for row in cells(table)
        } == {("0.25", "812.5", "")}
        failed = replace(outcome, measures=tuple({**one, "verdict": "fail"} for one in outcome.measures))
        assert {
            row["difference_CD25"] for row in cells(treg_table(pair(Tube("A", "a.fcs"), failed), two))
        } == {""}

    def test_what_a_percent_owes_to_its_gates(self):
        outcome = done("A", gate_low=11.0, gate_high=14.5, gate_stability=0.2)
        row = cells(treg_table(pair(Tube("A", "a.fcs"), outcome), TEMPLATE))[0]
        assert (row["gate_low"], row["gate_high"], row["gate_stability"]) == ("11", "14.5", "0.2")


class TestPerturbations:
    SCENARIOS = (
        {"scenario": "as placed", "gate": "", "marker": "", "shift_decades": 0.0, "counts": {"Treg of CD4": [1, 8], "CD4 of CD3": [8, 0]}},
        {"scenario": "Treg CD25 +0.1", "gate": "Treg", "marker": "CD25", "shift_decades": 0.1, "counts": {"Treg of CD4": [0, 8]}},
        {"scenario": "CD3 CD3 +1 SD", "gate": "CD3", "marker": "CD3", "shift_decades": None, "counts": {"CD4 of CD3": [8, 9]}},
    )  # fmt: skip

    def rows(self, outcome, tube=None):
        return cells(
            perturbation_table(
                pair(tube or Tube("A", "a.fcs", "S01", "W0", "R1", extra={"x_arm": "B"}), outcome), TEMPLATE
            )
        )

    def test_a_row_for_each_measure_and_each_scenario_that_touches_it(self):
        outcome = replace(done("A"), scenarios=self.SCENARIOS)
        rows = self.rows(outcome)
        assert [(row["measure"], row["scenario"], row["percent"]) for row in rows] == [
            ("Treg of CD4", "as placed", "12.5"),
            ("Treg of CD4", "Treg CD25 +0.1", "0"),
            ("CD4 of CD3", "as placed", ""),
            ("CD4 of CD3", "CD3 CD3 +1 SD", "88.888889"),
        ]
        assert list(rows[0]) == [*PERTURBATIONS, "x_arm"]
        assert rows[1] == {"sample": "A", "subject": "S01", "visit": "W0", "run": "R1", "measure": "Treg of CD4", "scenario": "Treg CD25 +0.1",
                           "gate": "Treg", "marker": "CD25", "shift_decades": "0.1", "numerator": "0", "denominator": "8", "percent": "0",
                           "template_sha256": TEMPLATE.hash, "file_sha256": "abc", "x_arm": "B"}  # fmt: skip
        assert rows[3]["shift_decades"] == ""

    def test_a_percent_that_is_refused_is_refused_under_every_shift(self):
        outcome = replace(done("A"), scenarios=self.SCENARIOS)
        failed = replace(outcome, measures=({**outcome.measures[0], "verdict": "fail"}, outcome.measures[1]))
        assert [row["percent"] for row in self.rows(failed)][:2] == ["", ""]
        assert self.rows(outcome.refusing(Finding("E-TWICE", "x"))) == []

    def test_no_other_tube_enters(self):
        outcome = replace(done("A"), scenarios=self.SCENARIOS)
        assert self.rows(outcome, Tube("A", "a.fcs", tube="reference")) == []


class TestPopulations:
    def test_a_row_says_where_it_came_from(self):
        columns, _ = table = population_table(
            pair(Tube("A", "a.fcs", "S01", "W0", extra={"x_arm": "B"})), TEMPLATE
        )
        assert columns == [*POPULATIONS, "median_CD25", "template_sha256", "file_sha256", "x_arm"]
        (row,) = cells(table)
        assert (row["path"], row["count"], row["percent_of_parent"]) == ("CD3/CD4/Treg", "1", "12.5")
        assert (row["median_CD25"], row["template_sha256"], row["file_sha256"]) == (
            "4321.5",
            TEMPLATE.hash,
            "abc",
        )
        assert (row["shift"], row["is_reference"], row["x_arm"]) == ("", "", "B")

    def test_a_row_holds_the_shape_as_it_was_placed_and_the_root_no_status(self):
        root = {**done("A").populations[0], "population": "root", "path": "root", "parent": ""}
        shape = {"interval": {"low": 0.5, "high": None}}
        outcome = replace(
            done("A"), populations=(root, *done("A").populations), gates={"Treg": {"shape": shape}}
        )
        first, second = cells(population_table(pair(Tube("A", "a.fcs"), outcome), TEMPLATE))
        assert (first["status"], first["gate"]) == ("", "")
        assert (second["status"], json.loads(second["gate"])) == ("stored", shape)
        assert " " not in second["gate"]

    def test_a_row_says_how_its_gate_was_placed_and_how_steadily_it_stands(self):
        gate = {"shape": {"interval": {"low": 0.5, "high": None}}, "status": "found", "along": "CD25", "of": "CD4", "n_of": 4321,
                "tube": "fmo:CD25", "across": ["S01_W12", "S02_W00"], "evidence": {"depth": 0.07, "separation": 3.5, "peaks": 2},
                "doubts": [{"kind": "weak", "sentence": "x"}, {"kind": "unsettled", "sentence": "y"}, {"kind": "weak", "sentence": "z"}],
                "stability": {"spread": 0.01, "spread_decades": 0.045, "along": "CD127", "near": 0.02, "draws": 50, "fallen": 7, "bound": 1}}  # fmt: skip
        outcome = replace(done("A"), gates={"Treg": gate})
        (row,) = cells(population_table(pair(Tube("A", "a.fcs"), outcome), TEMPLATE))
        told = {
            name: row[name] for name in POPULATIONS[POPULATIONS.index("of") : POPULATIONS.index("reason")]
        }
        assert told == {"of": "CD4", "n_of": "4321", "tube": "fmo:CD25", "across": "S01_W12 S02_W00", "shift": "", "shift_decades": "",
                        "along": "CD25", "depth": "0.07", "separation": "3.5", "spread": "0.01", "spread_decades": "0.045",
                        "spread_along": "CD127", "near": "0.02", "draws": "50", "draws_fallen": "7", "draws_at_bound": "1",
                        "doubts": "weak unsettled"}  # fmt: skip

    def test_a_stored_gate_was_placed_on_no_events(self):
        outcome = replace(done("A"), gates={"Treg": {"shape": None, "of": "", "n_of": 0}})
        (row,) = cells(population_table(pair(Tube("A", "a.fcs"), outcome), TEMPLATE))
        assert (row["of"], row["n_of"], row["spread"], row["doubts"]) == ("", "", "", "")

    def test_a_refused_file_has_none(self):
        assert (
            cells(
                population_table(
                    pair(Tube("A", "a.fcs"), Outcome("A", "refused", {}, Evidence("a"))), TEMPLATE
                )
            )
            == []
        )


class TestFiles:
    def test_every_file_has_a_row_with_all_that_was_said_once(self):
        said = (Finding("F-BOUND", "b"), Finding("E-GATE", "a"))
        columns, _ = table = file_table(pair(Tube("A", "sub/a.fcs"), done("A", *said)))
        (row,) = cells(table)
        assert columns == list(FILES)
        assert (row["codes"], row["sentences"]) == ("E-GATE F-BOUND", "F-BOUND b | E-GATE a")
        assert (row["file"], row["state"], row["events"], row["sha256"]) == ("sub/a.fcs", "done", "8", "abc")

    def test_the_hash_of_the_events_stands_beside_that_of_the_file(self):
        outcome = Outcome("A", "done", {}, Evidence("a", sha256="f11e", data_sha256="da7a"))
        (row,) = cells(file_table(pair(Tube("A", "a.fcs"), outcome)))
        assert (row["sha256"], row["data_sha256"]) == ("f11e", "da7a")

    def test_what_was_said_across_files_reaches_verdict_codes_and_sentences(self):
        flagged = done("A", Finding("N-TEXT", "x")).adding(
            Finding("F-IDENTITY", "y"), Finding("N-IDENTITY", "z")
        )
        pairs = pair(Tube("A", "a.fcs"), flagged)
        (row,) = cells(file_table(pairs))
        assert (row["verdict"], row["codes"]) == ("review", "F-IDENTITY N-TEXT N-IDENTITY")
        assert row["sentences"] == "N-TEXT x | F-IDENTITY y | N-IDENTITY z"
        assert {(one["verdict"], one["codes"]) for one in cells(treg_table(pairs, TEMPLATE))} == {
            ("review", "F-IDENTITY N-TEXT")
        }

    def test_a_name_that_is_not_utf8_can_be_written(self):
        (row,) = cells(file_table(pair(Tube("A", "M\udcfcller.fcs"))))
        assert row["file"] == "M?ller.fcs"

    def test_what_measures_said_is_said_of_the_file_too(self):
        outcome = Outcome("A", "done", {}, Evidence("a"), (Finding("N-TEXT", "x"),),
                          measures=(measure("m", findings=(Finding("N-TEXT", "x"), Finding("F-FEW", "y"))),))  # fmt: skip
        assert [finding.code for finding in every_finding(outcome)] == ["N-TEXT", "F-FEW"]


class TestSpreadsheets:
    @pytest.mark.parametrize("cell", ["=HYPERLINK(A1)", "+1+1", "-x", "@SUM(A1)", "\tx", "\rx"])
    def test_no_text_is_taken_for_a_formula(self, cell):
        tube = Tube("A", f"{cell}.fcs", subject=cell, visit=cell, run=cell, extra={"x_note": cell})
        outcome = done("A", Finding("F-STAIN", cell))
        for table in (treg_table(pair(tube, outcome), TEMPLATE), population_table(pair(tube, outcome), TEMPLATE),
                      file_table(pair(tube, outcome))):  # fmt: skip
            for row in csv.reader(io.StringIO(table_bytes(*table).decode(), newline="")):
                assert not [word for word in row if word.startswith(("=", "+", "-", "@", "\t", "\r"))]

    def test_a_negative_number_stays_a_number(self):
        population = {**done("A").populations[0], "shift": -0.25}
        outcome = Outcome("A", "done", {}, Evidence("a"), populations=(population,))
        assert cells(population_table(pair(Tube("A", "a.fcs"), outcome), TEMPLATE))[0]["shift"] == "-0.25"
