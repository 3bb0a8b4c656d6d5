"""What can be said before gating is said, of every file, and nothing is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import studies
from studies import DETECTORS, TEMPLATE, rewritten, row, small, write_sheet

from tregflow.rehearsal import rehearse


@pytest.fixture
def folder(tmp_path) -> Path:
    return studies.study(tmp_path)


def said(folder: Path, text: str = TEMPLATE) -> dict[str, list[str]]:
    template = small(text)
    tubes = studies.request(folder, folder / "out", template=template).tubes
    found = rehearse(template, tubes, folder)
    return {
        name: [f"{finding.code} {finding.sentence}" for finding in findings]
        for name, findings in found.items()
    }


def file_of(folder: Path, sample: str) -> Path:
    return folder / "fcs" / f"{sample}.fcs"


def test_files_that_can_be_gated_have_nothing_to_say(folder):
    assert said(folder) == {}
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
        "S01_W00": ["E-TWICE holds the same events as S01_W24; which of them is right, the sheet must say"],
        "S01_W24": ["E-TWICE holds the same events as S01_W00; which of them is right, the sheet must say"],
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
    assert said(folder, wide) == {"small": ["N-WINDOW CD3: the window 0.3 to 0.7 is 1.8 decades wide"]}


def test_a_windows_sheet_is_understood(folder):
    write_sheet(folder, [row("S01_W00", file="fcs\\S01_W00.fcs")])
    assert said(folder) == {}
