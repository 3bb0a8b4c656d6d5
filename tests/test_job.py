"""Everything that happens to one file is an outcome, and what did not change is not done again."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import studies
from studies import DETECTORS, TEMPLATE, job, rewritten, small

from tregflow import job as module
from tregflow import tubes
from tregflow.errors import OutputError
from tregflow.job import Ended, gate_file, plan
from tregflow.outcome import Outcome
from tregflow.study import Tube

SAMPLE = "S01_W00"


@pytest.fixture
def folder(tmp_path) -> Path:
    return studies.study(tmp_path / "study")


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"


def file_of(folder: Path, sample: str = SAMPLE) -> Path:
    return folder / "fcs" / f"{sample}.fcs"


def only(ended: Ended) -> str:
    (finding,) = ended.outcome.findings
    return str(finding)


def other(old: str, new: str):
    assert old in TEMPLATE
    return small(TEMPLATE.replace(old, new))


class TestDone:
    def test_the_outcome_is_on_disk_as_it_was_returned(self, folder, out):
        ended = gate_file(job(folder, out))
        assert ended.outcome.state == "done"
        assert ended.why == ()
        assert not ended.kept
        path = out / "outcomes" / f"{SAMPLE}.json"
        assert Outcome.from_bytes(path.read_bytes()) == ended.outcome
        assert path.read_bytes() == ended.outcome.to_bytes()

    def test_what_was_bound_and_how_it_was_scaled_is_told(self, folder, out):
        file = gate_file(job(folder, out)).outcome.file
        assert file.channels == {name: DETECTORS[name] for name in ("CD3", "CD4", "CD25", "FOXP3")}
        assert {file.stored_values[name] for name in file.channels} == {"linear as stored"}
        assert file.compensation == "$SPILLOVER"
        assert file.axes == dict.fromkeys(file.channels, "logicle T=262144 W=0.5 M=4.5 A=0")
        assert file.events == 4_000
        assert file.name == f"{SAMPLE}.fcs"
        assert file.acquired.endswith("SIM1")

    def test_a_control_is_read_and_bound_and_has_no_numbers(self, folder, out):
        studies.write_sheet(folder, [studies.row(SAMPLE, tube="fmo:CD25", sample=SAMPLE)])
        outcome = gate_file(job(folder, out)).outcome
        assert (outcome.state, outcome.verdict, outcome.measures) == ("control", "", ())
        assert outcome.file.channels["CD4"] == DETECTORS["CD4"]

    def test_a_control_without_every_marker_is_a_control_and_says_which(self, folder, out):
        rewritten(
            file_of(folder), file_of(folder), stains={DETECTORS["CD25"]: "", DETECTORS["FOXP3"]: "CTLA4"}
        )
        studies.write_sheet(folder, [studies.row(SAMPLE, tube="single:CD4", sample=SAMPLE)])
        ended = gate_file(job(folder, out))
        assert ended.outcome.state == "control"
        assert only(ended) == (
            "N-CONTROL  this control does not have every marker of the template: CD25, FOXP3 not bound"
        )
        assert set(ended.outcome.file.channels) == {"CD3", "CD4"}

    def test_a_control_with_two_detectors_for_a_marker_is_a_control_too(self, folder, out):
        rewritten(file_of(folder), file_of(folder), stains={DETECTORS["CD4"]: "CD25"})
        studies.write_sheet(folder, [studies.row(SAMPLE, tube="unstained", sample=SAMPLE)])
        ended = gate_file(job(folder, out))
        assert ended.outcome.state == "control"
        assert "both claim CD25" in only(ended)
        assert ended.outcome.is_clean

    def test_a_control_that_cannot_be_read_is_refused(self, folder, out):
        studies.truncated(file_of(folder))
        studies.write_sheet(folder, [studies.row(SAMPLE, tube="unstained", sample=SAMPLE)])
        assert only(gate_file(job(folder, out))).startswith("E-TRUNCATED")

    def test_a_page_is_drawn_when_asked_for(self, folder, out):
        gate_file(job(folder, out, plots=True))
        assert (out / "plots" / f"{SAMPLE}.png").read_bytes().startswith(b"\x89PNG")

    def test_a_file_is_found_where_a_windows_sheet_says(self, folder, out):
        studies.write_sheet(folder, [studies.row(SAMPLE, file=f"fcs\\{SAMPLE}.fcs")])
        assert gate_file(job(folder, out)).outcome.state == "done"

    def test_spaces_accents_and_absolute_paths_are_names_like_others(self, folder, tmp_path, out):
        there = tmp_path / "Ärzte ß" / "Müller (2) [x] 50%.fcs"
        there.parent.mkdir()
        shutil.move(file_of(folder), there)
        studies.write_sheet(folder, [studies.row(SAMPLE, file=str(there))])
        outcome = gate_file(job(folder, out)).outcome
        assert outcome.state == "done"
        assert outcome.file.name == there.name

    def test_a_name_that_is_not_utf8_is_gated_and_written(self, folder, out):
        strange = os.fsdecode(b"fcs/M\xfcller.fcs")
        shutil.move(file_of(folder), folder / strange)
        tube = Tube("Mueller", strange)
        ended = gate_file(module.Job(tube, folder / strange, small(), job(folder, out).folder, plots=False))
        assert ended.outcome.state == "done"
        assert ended.outcome.file.name == "M?ller.fcs"

    def test_a_link_is_followed(self, folder, tmp_path, out):
        shutil.move(file_of(folder), tmp_path / "a.fcs")
        file_of(folder).symlink_to(tmp_path / "a.fcs")
        assert gate_file(job(folder, out)).outcome.state == "done"


class TestRefused:
    """Each refusal names what was seen; those that may be over tomorrow are not kept."""

    def test_missing(self, folder, out):
        file_of(folder).rename(folder / "fcs" / "S01_W0.FCS")
        told = only(gate_file(job(folder, out)))
        assert told == f'E-MISSING  there is no such file in {folder / "fcs"}; did you mean "S01_W0.FCS"?'
        assert not studies.outcomes(out)

    def test_missing_with_its_folder(self, folder, out):
        shutil.rmtree(folder / "fcs")
        assert only(gate_file(job(folder, out))) == f"E-MISSING  there is no such file in {folder / 'fcs'}"

    @pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
    def test_not_a_file_and_never_waited_for(self, folder, out, make):
        file_of(folder).unlink()
        make(file_of(folder))
        told = only(gate_file(job(folder, out)))
        assert told == "E-UNREADABLE  is a folder, a device or a pipe; name the FCS file itself"

    def test_no_permission(self, folder, out, monkeypatch):
        def forbidden(*_: object) -> str:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(tubes, "sha256", forbidden)
        assert (
            only(gate_file(job(folder, out)))
            == "E-UNREADABLE  the system did not let the file be read: Permission denied"
        )

    @pytest.mark.parametrize(
        ("content", "code"), [(b"", "E-NOT-FCS"), (b"<!DOCTYPE html><html>Sign in</html>" * 40, "E-NOT-FCS")]
    )
    def test_not_an_fcs_file(self, folder, out, content, code):
        file_of(folder).write_bytes(content)
        ended = gate_file(job(folder, out))
        assert ended.outcome.state == "refused"
        assert [finding.code for finding in ended.outcome.findings] == [code]
        assert ended.outcome.file.sha256
        assert studies.outcomes(out) == {SAMPLE}
        assert gate_file(job(folder, out)).kept

    def test_truncated_and_mended_needs_no_permission(self, folder, out):
        whole = file_of(folder).read_bytes()
        studies.truncated(file_of(folder))
        assert only(gate_file(job(folder, out))).startswith("E-TRUNCATED  ")
        file_of(folder).write_bytes(whole)
        ended = gate_file(job(folder, out))
        assert ended.outcome.state == "done"
        assert ended.why == ("the file changed",)

    def test_a_marker_that_nobody_has(self, folder, out):
        rewritten(file_of(folder), file_of(folder), stains={DETECTORS["FOXP3"]: "CTLA4"})
        told = only(gate_file(job(folder, out)))
        assert told.startswith("E-MARKER  no channel for FOXP3; this file has FSC-A, ")
        assert told.endswith("into a sheet column channel:FOXP3")

    def test_a_marker_that_two_detectors_claim(self, folder, out):
        rewritten(file_of(folder), file_of(folder), stains={DETECTORS["CD127"]: "CD25"})
        told = only(gate_file(job(folder, out, template=small(TEMPLATE.replace("CD127: {}, ", "")))))
        assert told == ("E-MARKER  PE-Cy7-A (CD25) and APC-A (CD25) both claim CD25; name one in the sheet as channel:CD25")  # fmt: skip

    def test_no_events(self, folder, out):
        rewritten(file_of(folder), file_of(folder), events=0)
        assert "E-EMPTY-FILE  the file holds 0 events; a percentage of nothing is not a number" in [
            str(finding) for finding in gate_file(job(folder, out)).outcome.findings
        ]

    def test_a_page_of_an_earlier_number_goes_with_it(self, folder, out):
        page = out / "plots" / f"{SAMPLE}.png"
        gate_file(job(folder, out))
        job(folder, out).folder.draw(SAMPLE, b"page")
        ended = gate_file(job(folder, out, template=other("FOXP3", "CTLA4")))
        assert only(ended).startswith("E-MARKER")
        assert not page.exists()


class TestAgain:
    def test_what_holds_is_kept_untouched(self, folder, out):
        first = gate_file(job(folder, out))
        before = (out / "outcomes" / f"{SAMPLE}.json").stat().st_mtime_ns
        again = gate_file(job(folder, out))
        assert again == Ended(first.outcome, kept=True)
        assert (out / "outcomes" / f"{SAMPLE}.json").stat().st_mtime_ns == before

    @pytest.mark.parametrize(
        ("old", "new", "why"),
        [
            ("gate: {interval: {low: 0.5}}}\n  - {name: Treg", "gate: {interval: {low: 0.45}}}\n  - {name: Treg",
             ("the template\'s gate CD4 changed",)),
            ("low: [0.5, 0.4]", "low: [0.5, 0.3]", ("the template\'s gate Treg changed",)),
            ("refuse_below: 50", "refuse_below: 40", ("the template\'s limits changed",)),
            ("W: 0.5", "W: 0.7", ("the template\'s scales changed",)),
            ("CD25: {},", "CD25: {aliases: [IL2RA]},", ("the template\'s markers changed",)),
            ("CD25: [Treg]", "CD25: [CD4]", ("the template\'s report changed",)),
            ("compensation: file", "compensation: none", ("the template\'s compensation changed",)),
            ("name: small", "name: other", ("the template's name, matrix or order of gates changed",)),
        ],
    )  # fmt: skip
    def test_a_changed_template_says_which_part(self, folder, out, old, new, why):
        gate_file(job(folder, out))
        changed = job(folder, out, template=other(old, new))
        assert plan(changed).why == why
        ended = gate_file(changed)
        assert ended.why == why
        assert not ended.kept
        assert gate_file(changed).kept

    def test_a_changed_row_says_so(self, folder, out):
        gate_file(job(folder, out))
        studies.write_sheet(folder, [studies.row(SAMPLE, **{"channel:CD4": DETECTORS["CD4"]})])
        assert gate_file(job(folder, out)).why == ("the row's channels changed",)

    def test_a_row_that_only_names_the_person_otherwise_changes_no_number(self, folder, out):
        gate_file(job(folder, out))
        studies.write_sheet(folder, [studies.row(SAMPLE, sample=SAMPLE, subject="P7", x_arm="B")])
        assert gate_file(job(folder, out)).kept

    def test_a_new_numpy_says_so(self, folder, out, monkeypatch):
        gate_file(job(folder, out))
        monkeypatch.setattr(module.np, "__version__", "99.0")
        assert gate_file(job(folder, out)).why == ("the version of numpy changed",)

    def test_a_changed_file_is_refused_until_accepted(self, folder, out):
        first = gate_file(job(folder, out)).outcome
        again = replace(job(folder, out), published=first.file.sha256)
        rewritten(file_of(folder), file_of(folder), events=3_000)
        for ended in (plan(again), gate_file(again), gate_file(again)):
            assert only(ended) == (f"E-CHANGED  the content is not what was gated as {SAMPLE} before; if the new file is "
                                   "right, run again with --accept-changed")  # fmt: skip
            assert not ended.outcome.measures
        assert again.folder.outcome(SAMPLE) == first
        accepted = gate_file(replace(again, accept_changed=True))
        assert accepted.why == ("the file changed",)
        assert accepted.outcome.file.events == 3_000
        assert gate_file(job(folder, out)).kept

    def test_a_file_whose_number_was_never_published_may_change(self, folder, out):
        gate_file(job(folder, out))
        rewritten(file_of(folder), file_of(folder), events=3_000)
        ended = gate_file(job(folder, out))
        assert (ended.outcome.state, ended.why) == ("done", ("the file changed",))

    def test_a_file_that_changes_while_it_is_read_is_refused(self, folder, out, monkeypatch):
        real = tubes.read_fcs

        def growing(path: Path, **settings: object):
            sample = real(path, **settings)
            with path.open("ab") as file:
                file.write(b"more")
            return sample

        monkeypatch.setattr(tubes, "read_fcs", growing)
        assert "E-CHANGED  the file changed while it was being read; is it still being written?" in only(
            gate_file(job(folder, out))
        )
        assert not studies.outcomes(out)

    def test_a_missing_page_is_drawn_again(self, folder, out):
        page = out / "plots" / f"{SAMPLE}.png"
        first = gate_file(job(folder, out, plots=True))
        drawn = page.read_bytes()
        page.unlink()
        assert plan(job(folder, out, plots=True)).why == ("the plot is missing",)
        again = gate_file(job(folder, out, plots=True))
        assert again == Ended(first.outcome, ("the plot is missing",))
        assert page.read_bytes() == drawn
        assert gate_file(job(folder, out, plots=True)).kept

    def test_without_plots_none_is_missed_and_none_is_lost(self, folder, out):
        gate_file(job(folder, out))
        assert gate_file(job(folder, out)).kept
        job(folder, out).folder.draw(SAMPLE, b"page")
        assert gate_file(job(folder, out)).kept
        assert (out / "plots" / f"{SAMPLE}.png").exists()

    def test_without_plots_a_page_of_other_gates_is_taken_away(self, folder, out):
        gate_file(job(folder, out))
        job(folder, out).folder.draw(SAMPLE, b"page")
        gate_file(job(folder, out, template=other("low: [0.5, 0.4]", "low: [0.5, 0.3]")))
        assert not (out / "plots" / f"{SAMPLE}.png").exists()

    def test_a_damaged_outcome_is_made_again(self, folder, out):
        gate_file(job(folder, out))
        path = out / "outcomes" / f"{SAMPLE}.json"
        whole = path.read_bytes()
        path.write_bytes(whole[:100])
        assert not gate_file(job(folder, out)).kept
        assert path.read_bytes() == whole


class TestFault:
    def test_it_is_an_outcome_with_its_traceback_kept(self, folder, out):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "gate", lambda *_: 1 / 0)
            ended = gate_file(job(folder, out))
        assert only(ended) == (f"E-INTERNAL  a fault of tregflow's own; the traceback is in faults/{SAMPLE}.txt: please "
                               "report it")  # fmt: skip
        assert "ZeroDivisionError" in (out / "faults" / f"{SAMPLE}.txt").read_text()
        assert not studies.outcomes(out)
        assert gate_file(job(folder, out)).outcome.state == "done"
        assert not (out / "faults" / f"{SAMPLE}.txt").exists()

    def test_an_earlier_outcome_survives_it(self, folder, out, monkeypatch):
        first = gate_file(job(folder, out)).outcome
        monkeypatch.setattr(module, "gate", lambda *_: 1 / 0)
        gate_file(job(folder, out, template=other("W: 0.5", "W: 0.6")))
        assert job(folder, out).folder.outcome(SAMPLE) == first

    def test_results_that_cannot_be_written_end_the_run(self, folder, out):
        out.mkdir()
        (out / "outcomes").touch()
        with pytest.raises(OutputError) as caught:
            gate_file(job(folder, out))
        assert caught.value.status == 4


class TestPlan:
    def test_it_says_what_would_be_done_and_writes_nothing(self, folder, out):
        assert plan(job(folder, out)).why == ("no outcome yet",)
        assert not out.exists()
        gate_file(job(folder, out))
        assert plan(job(folder, out)).kept
        file_of(folder).unlink()
        assert only(plan(job(folder, out))).startswith("E-MISSING")
