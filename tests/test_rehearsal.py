"""What can be said before gating is said, of every file, and nothing is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import studies
from studies import DETECTORS, TEMPLATE, rewritten, row, small, write_sheet

from tregflow.job import gate_file
from tregflow.rehearsal import Rehearsed, rehearse

TWICE = "E-TWICE holds the same events as {}; one of the two is a wrong copy: export it again, or take its row out of the sheet"


@pytest.fixture
def folder(tmp_path) -> Path:
    return studies.study(tmp_path)


def rehearsed(folder: Path, text: str = TEMPLATE) -> Rehearsed:
    template = small(text)
    tubes = studies.request(folder, folder / "out", template=template).tubes
    return rehearse(template, tubes, folder)


def said(folder: Path) -> dict[str, list[str]]:
    return {
        name: [f"{finding.code} {finding.sentence}" for finding in findings]
        for name, findings in rehearsed(folder).said.items()
        if findings
    }


def file_of(folder: Path, sample: str) -> Path:
    return folder / "fcs" / f"{sample}.fcs"


def test_files_that_can_be_gated_have_nothing_to_say(folder):
    found = rehearsed(folder)
    assert not any(found.said.values())
    assert (found.general, found.troubled) == ((), ())
    assert set(found.said) == set(found.channels)
    assert found.channels["S01_W00"]["CD4"] == DETECTORS["CD4"]
    assert not (folder / "out").exists()


def test_every_file_is_read_whatever_the_others_are(folder):
    file_of(folder, "S01_W00").unlink()
    studies.truncated(file_of(folder, "S01_W12"))
    rewritten(file_of(folder, "S02_W00"), file_of(folder, "S02_W00"), stains={DETECTORS["CD25"]: ""})
    found = said(folder)
    assert [words[0].split()[0] for words in found.values()] == ["E-MISSING", "E-TRUNCATED", "E-MARKER"]
    assert list(found) == ["S01_W00", "S01_W12", "S02_W00"]


def test_one_file_under_two_names_is_told_of_both(folder):
    shutil.copy(file_of(folder, "S01_W00"), folder / "copy.fcs")
    write_sheet(folder, [row("S01_W00"), row("S01_W12"), row("S01_W24", file="copy.fcs")])
    assert said(folder) == {
        "S01_W00": [TWICE.format("S01_W24 (copy.fcs)")],
        "S01_W24": [
            "F-IDENTITY $FIL names visit W00, where the sheet says W24; compare with S01_W00, files may have been swapped, or the sheet mistyped",
            TWICE.format("S01_W00 (S01_W00.fcs)"),
        ],
    }


def test_a_file_too_small_for_a_limit_is_told(folder):
    rewritten(file_of(folder, "S01_W00"), file_of(folder, "S01_W00"), events=70)
    rewritten(file_of(folder, "S01_W12"), file_of(folder, "S01_W12"), events=40)
    rewritten(file_of(folder, "S02_W00"), file_of(folder, "S02_W00"), events=0)
    found = said(folder)
    assert found["S01_W00"] == ["F-FEW the file has 70 events in all; CD4 needs 100"]
    assert found["S01_W12"] == ["E-FEW the file has 40 events in all; CD4 needs 50"]
    assert found["S02_W00"][-1].startswith("E-EMPTY-FILE")


def test_a_wide_window_is_noted_of_the_template(folder):
    wide = TEMPLATE.replace("markers: [CD3], gate: {interval: {low: 0.5}}",
                            "markers: [CD3], gate: {valley: {keep: above, stored: 0.5, within: [0.3, 0.7]}}")  # fmt: skip
    assert [str(finding) for finding in rehearsed(folder, wide).general] == [
        "N-WINDOW  small  CD3: the window 0.3 to 0.7 is 1.8 decades wide"
    ]


def test_a_windows_sheet_is_understood(folder):
    write_sheet(folder, [row("S01_W00", file="fcs\\S01_W00.fcs")])
    assert said(folder) == {}


def test_a_file_that_is_not_there_is_told_as_gating_tells_it(folder):
    file_of(folder, "S01_W00").rename(folder / "fcs" / "S01_W0.FCS")
    told = str(gate_file(studies.job(folder, folder / "out")).outcome.findings[0])
    assert said(folder)["S01_W00"] == [told.replace("E-MISSING  ", "E-MISSING ")]
    assert 'did you mean "S01_W0.FCS"?' in told


def test_a_subject_with_one_visit_is_noted_where_others_have_more(folder):
    write_sheet(folder, [row(sample) for sample in studies.SAMPLES[:3]])
    assert [str(finding) for finding in rehearsed(folder).general] == [
        "N-SHEET  only one visit of S02; a comparison needs two"
    ]


def test_a_row_without_the_subject_or_visit_that_others_have_is_noted(folder):
    write_sheet(
        folder,
        [
            *map(row, studies.SAMPLES[:2]),
            row("S02_W00", visit=""),
            row("S02_W12", tube="unstained", subject=""),
        ],
    )
    found = rehearsed(folder)
    assert [str(finding) for finding in found.said["S02"]] == [
        "N-SHEET  the sheet gives no visit; it is gated, and cannot be compared"
    ]
    assert not found.said["W12_unstained"]
    assert found.troubled == ()


def test_a_control_without_every_marker_is_noted(folder):
    rewritten(file_of(folder, "S01_W00"), file_of(folder, "S01_W00"), stains={DETECTORS["CD25"]: ""})
    write_sheet(folder, [row("S01_W00", tube="single:CD4", sample="A"), row("S01_W12")])
    found = rehearsed(folder)
    assert [finding.code for finding in found.said["A"]] == ["N-CONTROL"]
    assert (found.troubled, set(found.channels)) == ((), {"S01_W12"})


class TestIdentity:
    """What files say of themselves is held against the sheet as it will be when they are gated."""

    def swapped(self, folder: Path) -> None:
        """Let two subjects' files of one visit bear each other's names."""
        one, other = file_of(folder, "S01_W12"), file_of(folder, "S02_W12")
        one.rename(folder / "aside")
        other.rename(one)
        (folder / "aside").rename(other)

    def test_swapped_files_are_told_of_each_other(self, folder):
        self.swapped(folder)
        told = "F-IDENTITY $FIL names subject {}, where the sheet says {}; compare with {}_W12, files may have been swapped, or the sheet mistyped"
        assert said(folder) == {
            "S01_W12": [told.format("S02", "S01", "S02")],
            "S02_W12": [told.format("S01", "S02", "S01")],
        }
        assert rehearsed(folder).troubled == ("S01_W12", "S02_W12")

    def test_what_the_keywords_say_is_held_for_who_asks_and_not_printed_with_the_rest(self, folder):
        self.swapped(folder)
        found = rehearsed(folder)
        assert found.values == {"S01_W12": {"$FIL": "S02_W12.fcs"}, "S02_W12": {"$FIL": "S01_W12.fcs"}}
        assert "S02_W12.fcs" not in repr(found)

    def test_gating_says_the_same(self, folder):
        self.swapped(folder)
        write_sheet(folder, [row(sample, collected="2026-01-15") for sample in studies.SAMPLES])
        batch = studies.gated(folder, folder / "out")
        assert {tube.sample: outcome.findings for tube, outcome in batch.pairs} == rehearsed(folder).said
        assert {one.code for said in rehearsed(folder).said.values() for one in said} == {
            "F-IDENTITY",
            "F-DATE",
        }

    def test_a_file_without_events_says_nothing_of_itself(self, folder):
        rewritten(
            file_of(folder, "S01_W00"), file_of(folder, "S01_W00"), events=0, keywords={"$FIL": "S02_W00.fcs"}
        )
        assert [words.split()[0] for words in said(folder)["S01_W00"]] == ["E-EMPTY-FILE"]
