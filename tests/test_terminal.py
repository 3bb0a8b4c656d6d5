"""What people see: the numbers, what to look at, what to do; no name can bend it."""

from __future__ import annotations

from pathlib import Path

import pytest
from studies import done

from tregflow import terminal
from tregflow.batch import Batch
from tregflow.errors import Finding, InputError
from tregflow.job import Ended
from tregflow.outcome import Evidence, Outcome
from tregflow.rehearsal import Rehearsed
from tregflow.results import paired
from tregflow.study import Tube

NASTY = "[red]x[/red][/nope]\x1b[31m\x07\u202e\\"
HARMLESS = "[red]x[/red][/nope]\ufffd[31m\ufffd\ufffd\\"


def batch(*outcomes: Outcome, **more: object) -> Batch:
    tubes = [Tube(outcome.sample, "a.fcs") for outcome in outcomes]
    return Batch(paired(tubes, {outcome.sample: outcome for outcome in outcomes}), **more)


def shown(capsys: pytest.CaptureFixture[str], *outcomes: Outcome, folder: str = "out", **more: object) -> str:
    terminal.show_batch(batch(*outcomes, **more), Path(folder), "Treg of CD4")
    return capsys.readouterr().out


class TestBatch:
    def test_percent_interval_and_counts(self, capsys):
        said = shown(capsys, done("A"))
        row = next(line for line in said.splitlines() if line.startswith("A "))
        assert row.split() == ["A", "12.50", "2.24", "–", "47.10", "1", "8", "pass"]
        assert (
            "1 file: 1 done, 0 control, 0 refused. Results are in out/: treg.csv, populations.csv, files.csv, perturbations.csv"
            in said
        )
        assert "To look at" not in said

    def test_what_was_refused_or_flagged_is_told_and_notes_are_not(self, capsys):
        refused = Outcome(
            "B",
            "refused",
            {},
            Evidence("b"),
            (Finding("E-MARKER", "no channel for CD4"), Finding("N-TEXT", "x")),
        )
        said = shown(capsys, done("A", Finding("F-BOUND", "CD4: at the edge")), refused)
        assert "  F-BOUND  A  CD4: at the edge\n" in said
        assert "  E-MARKER  B  no channel for CD4\n" in said
        assert "N-TEXT" not in said
        assert "Next: tregflow explain CODE says what a code means" in said
        assert next(line for line in said.splitlines() if line.startswith("B ")).split() == ["B", "–", "fail"]

    def test_plots_are_named_only_where_they_are(self, capsys, tmp_path):
        assert "plots/" not in shown(capsys, done("A"), folder=str(tmp_path))
        (tmp_path / "plots").mkdir()
        (tmp_path / "plots" / "B.png").touch()
        assert "plots" not in shown(capsys, done("A"), folder=str(tmp_path)).replace(str(tmp_path), "")
        (tmp_path / "plots" / "A.png").touch()
        assert "Next: look at the plots, a page per sample." in shown(capsys, done("A"), folder=str(tmp_path))

    def test_flags_only_lead_to_the_pages_to_look_at(self, capsys, tmp_path):
        (tmp_path / "plots").mkdir()
        flagged = [done(name, Finding("F-BOUND", "CD4: at the edge"), verdict="review") for name in "AB"]
        for name in "AB":
            (tmp_path / "plots" / f"{name}.png").touch()
        said = shown(capsys, *flagged, done("C"), folder=str(tmp_path))
        assert (
            "Next: 2 to look at: plots/A.png, plots/B.png. tregflow explain CODE says what a code means.\n"
            in said
        )
        assert "mend" not in said
        assert "accept" not in said
        assert "Next: 2 to look at: A, B; run without --no-plots to draw every page." in shown(
            capsys, *flagged
        )

    def test_a_sheet_without_a_full_tube_has_a_sentence(self, capsys):
        control = Outcome("A", "control", {"file": "1"}, Evidence("a.fcs"))
        terminal.show_batch(
            Batch(paired([Tube("A", "a.fcs", tube="unstained")], {"A": control})), Path("out"), "Treg of CD4"
        )
        said = capsys.readouterr().out
        assert said.startswith("There is no full tube in the sheet, so there is no percentage to show.\n")
        assert "1 file: 0 done, 1 control, 0 refused." in said

    def test_a_percent_of_nothing_is_a_dash(self, capsys):
        said = shown(capsys, done("A", percent=None, ci_low=None, ci_high=None, numerator=0, denominator=0))
        assert next(line for line in said.splitlines() if line.startswith("A ")).split() == [
            "A",
            "–",
            "0",
            "0",
            "pass",
        ]

    def test_what_was_kept_and_what_was_gated_again(self, capsys):
        said = shown(
            capsys,
            done("A"),
            done("B"),
            kept=frozenset("A"),
            again={"B": ("the template's gate CD4 changed", "the version of numpy changed")},
            strangers=("C",),
        )
        assert "kept without gating again, as nothing changed: 1 of 2 files" in said
        assert (
            "B (a.fcs) was gated again: the template's gate CD4 changed; the version of numpy changed" in said
        )
        assert "not in this sheet, and left alone: C" in said

    def test_of_300_samples_a_terminal_shows_60_and_all_that_is_wrong(self, capsys):
        outcomes = [done(f"S{number}") for number in range(299)]
        said = shown(
            capsys, *outcomes, Outcome("S299", "refused", {}, Evidence("x"), (Finding("E-TWICE", "y"),))
        )
        assert "… and 240 more in out/treg.csv" in said
        assert "  E-TWICE  S299 (x)  y" in said
        assert len(said.splitlines()) < 80

    def test_a_narrow_terminal_loses_no_number(self, capsys, monkeypatch):
        monkeypatch.setattr(terminal.out, "_width", 30)
        said = shown(capsys, done("S01_W00"))
        for word in ("S01_W00", "12.50", "47.10", "pass"):
            assert word in said


class TestNames:
    def test_no_name_is_taken_for_markup_or_steers_the_terminal(self, capsys):
        outcome = Outcome("A", "refused", {}, Evidence("a"), (Finding("E-MARKER", NASTY, NASTY),))
        terminal.show_batch(batch(outcome, again={"A": (NASTY,)}, strangers=(NASTY,)), Path(NASTY), NASTY)
        terminal.say_error(InputError(Finding("E-OUT", NASTY, NASTY)))
        terminal.show_plan([(Tube("A", "a"), Ended(outcome, (NASTY,)))])
        said = capsys.readouterr()
        assert f"E-OUT  {HARMLESS}  {HARMLESS}\n" == said.err
        assert f"{HARMLESS}, per cent" in said.out
        assert f"E-MARKER  A  {HARMLESS}\n" in said.out
        assert f"gate  A  {HARMLESS}\n" in said.out
        assert not {"\x1b", "\x07", "\u202e"} & set(said.out + said.err)


class TestCheck:
    NOTE = Finding("N-TOKEN", 'CD3 was bound by one word of the stain "BV785 - CD3"')
    MISSING = Finding("E-MISSING", "there is no such file in fcs")

    @staticmethod
    def check(capsys, said, channels=None, general=()) -> str:
        tubes = [Tube(name, f"fcs/{name}.fcs" if name != "B" else "fcs\\x.fcs") for name in said]
        terminal.show_check(Rehearsed(tuple(general), said, channels or {}), tubes, "tregflow gate -t a.yaml")
        return capsys.readouterr().out

    def test_what_files_share_is_said_once(self, capsys):
        assert self.check(capsys, dict.fromkeys("AB", (self.NOTE,))) == (
            '  N-TOKEN  in all 2 files: CD3 was bound by one word of the stain "BV785 - CD3"\n'
            "2 files are ready to gate\nNext: tregflow gate -t a.yaml\n")  # fmt: skip
        said = self.check(capsys, {"A": (self.NOTE,), "B": (self.NOTE, self.MISSING), "C": ()})
        assert said.startswith(
            '  N-TOKEN  in 2 files (A, B (x.fcs)): CD3 was bound by one word of the stain "BV785 - CD3"\n'
            "  E-MISSING  B (x.fcs)  there is no such file in fcs\n"
            "3 files: 1 to mend, 0 flagged, 2 with nothing to say\nNext: ")  # fmt: skip

    def test_one_file(self, capsys):
        assert self.check(capsys, {"A": (self.NOTE,)}).startswith("  N-TOKEN  A  CD3 was")
        assert self.check(capsys, {"A": ()}) == "1 file is ready to gate\nNext: tregflow gate -t a.yaml\n"

    def test_bindings_are_one_line_where_they_agree_and_named_where_not(self, capsys):
        alike = {"FSC-A": "FSC-A", "CD3": "APC-A", "CD25": "PE-Cy7-A"}
        said = self.check(capsys, dict.fromkeys("AB", ()), dict.fromkeys("AB", alike))
        assert "CD3 = APC-A, CD25 = PE-Cy7-A in all 2 gated files\n" in said
        said = self.check(
            capsys, dict.fromkeys("ABC", ()), {**dict.fromkeys("AC", alike), "B": {**alike, "CD3": "BV421-A"}}
        )
        assert "CD25 = PE-Cy7-A in all 3 gated files\n" in said
        assert "CD3 = APC-A in 2 files (A, C); BV421-A in 1 file (B (x.fcs))\n" in said


class TestPlan:
    def test_what_would_be_kept_gated_and_refused(self, capsys):
        old = Outcome("A", "refused", {"file": "1"}, Evidence("a"), (Finding("E-MARKER", "m"),))
        gone = Outcome("A", "refused", {}, Evidence("a"), (Finding("E-MISSING", "there is no such file"),))
        plans = [
            Ended(old, kept=True),
            Ended(old, ("the template's markers changed",)),
            Ended(gone),
            Ended(done("A"), ("no outcome yet",)),
        ]
        terminal.show_plan([(Tube(name, "a"), ended) for name, ended in zip("ABCD", plans, strict=True)])
        assert capsys.readouterr().out == (
            "keep  A  nothing changed\ngate  B (a)  the template's markers changed\nrefuse  C (a)  there is no such file\n"
            "gate  D (a)  no outcome yet\n"
            "4 files: 2 would be gated, 1 would be kept, 1 would be refused; nothing was written\n"
        )


def test_progress_is_silent_where_nobody_watches(capsys):
    with terminal.progress(2) as seen:
        seen(Ended(done("A")))
    said = capsys.readouterr()
    assert said.out == said.err == ""


class TestVisits:
    """Flags that favour a visit would take part in the trial: the rates are shown side by side."""

    def test_how_many_of_each_visit_do_not_pass(self, capsys):
        terminal._show_visits({"W00": (0, 3), "W12": (2, 3)})
        assert capsys.readouterr().out == "For review or without a number, by visit: W00 0 of 3, W12 2 of 3\n"

    @pytest.mark.parametrize("by_visit", [{"W00": (0, 3), "W12": (0, 3)}, {"W00": (2, 3)}])
    def test_nothing_to_compare_is_not_told(self, capsys, by_visit):
        terminal._show_visits(by_visit)
        assert capsys.readouterr().out == ""
