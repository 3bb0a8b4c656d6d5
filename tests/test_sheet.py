"""A drafted sheet can be read, guesses are called guesses, and nothing is overwritten."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import pytest
import studies

from tregflow.errors import InputError
from tregflow.io.fcs import read_fcs
from tregflow.io.tables import read_sheet
from tregflow.sheet import draft


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    return studies.study(tmp_path_factory.mktemp("study")) / "fcs" / "S01_W00.fcs"


def drafted(folder: Path) -> dict[str, dict[str, str]]:
    draft(folder, folder / "samples.csv")
    return {row["file"]: row for row in studies.rows_of(folder / "samples.csv")}


def put(folder: Path, file: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / name)
    return folder


def test_subject_visit_tube_and_run_are_guessed_and_said_to_be(tmp_path, file):
    put(
        tmp_path,
        file,
        "012_W12.fcs",
        "012_W0_FMO_CD25.fcs",
        "012_W0_Unstained.fcs",
        "run1/single CD4.fcs",
        "Reference d1.fcs",
    )
    rows = drafted(tmp_path)
    assert [(row["subject"], row["visit"], row["tube"]) for row in rows.values()] == [
        ("012", "W0", "fmo:CD25"), ("012", "W0", "unstained"), ("012", "W12", "full"), ("", "d1", "reference"),
        ("", "", "single:CD4")]  # fmt: skip
    assert {row["run"] for row in rows.values()} == {f"{read_fcs(file).keywords['$DATE']} SIM1"}
    assert {row["collected"] for row in rows.values()} == {""}


def test_guesses_are_counted_and_shown(tmp_path, file):
    run = f"{read_fcs(file).keywords['$DATE']} SIM1"
    _, findings = draft(put(tmp_path, file, "012_W12.fcs", "other.fcs"), tmp_path / "samples.csv")
    assert [str(finding) for finding in findings] == [
        "N-GUESSED  subject: guessed from the file name in 1 of 2 rows (012); the others are empty",
        "N-GUESSED  visit: guessed from the file name in 1 of 2 rows (W12); the others are empty",
        "N-GUESSED  tube: guessed from the file name in 2 of 2 rows (full)",
        f"N-GUESSED  run: guessed from date and cytometer in the file in 2 of 2 rows ({run})",
    ]


@pytest.mark.parametrize(
    ("name", "subject", "visit"),
    [
        ("2022-03-08 S01 Woche 12.fcs", "S01", "Woche12"),
        ("08.03.2022_S1_Monat 3.fcs", "S1", "Monat3"),
        ("20220308_012_W0.fcs", "012", "W0"),
        ("220308_W0.fcs", "", "W0"),
        ("004711 P7 Visite2.fcs", "P7", "Visite2"),
        ("Pat 012 Tag 1.fcs", "012", "Tag1"),
        ("R01_W0.fcs", "R01", "W0"),
    ],
)
def test_what_a_name_suggests(tmp_path, file, name, subject, visit):
    row = drafted(put(tmp_path, file, name))[name]
    assert (row["subject"], row["visit"]) == (subject, visit)


def test_a_run_that_only_controls_bear_is_no_subject(tmp_path, file):
    rows = drafted(
        put(tmp_path, file, "R01_unstained.fcs", "R02_fmo_CD25.fcs", "R02_W0.fcs", "P1_unstained.fcs")
    )
    assert {name: row["subject"] for name, row in rows.items()} == {
        "P1_unstained.fcs": "P1", "R01_unstained.fcs": "", "R02_W0.fcs": "R02", "R02_fmo_CD25.fcs": "R02"}  # fmt: skip


def test_a_damaged_file_keeps_what_its_name_says(tmp_path, file):
    put(tmp_path, file, "012_W12.fcs")
    (tmp_path / "012_W0.fcs").write_bytes(b"<html>")
    row = drafted(tmp_path)["012_W0.fcs"]
    assert (row["subject"], row["visit"], row["tube"], row["run"]) == ("012", "W0", "full", "")


def test_a_file_that_cannot_be_read_has_its_row_and_is_named(tmp_path, file):
    put(tmp_path, file, "012_W12.fcs")
    for folder in ("S01", "S02"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "bad.fcs").write_bytes(b"<html>")
    written, findings = draft(tmp_path, tmp_path / "samples.csv")
    assert written == 3
    refused = [finding for finding in findings if finding.code == "E-NOT-FCS"]
    assert [finding.where for finding in refused] == ["S01/bad.fcs", "S02/bad.fcs"]


@pytest.mark.parametrize(
    "names",
    [
        ("d1/S1_W0.fcs", "d2/S1_W0.fcs"),
        ("d1/a.fcs", "d2/a.fcs", "a.fcs"),
        ("S1_W0 old.fcs", "S1_W0.fcs", "S1_W0_.fcs"),
        ("x/y.fcs", "x-y.fcs"),
        ("(1).fcs", "-1-.fcs", "1.fcs"),
        ("A.fcs", "a.FCS"),
        ("().fcs", "äöü.fcs", "éè.fcs"),
    ],
)
def test_the_draft_can_be_read_however_files_are_named(tmp_path, file, names):
    put(tmp_path, file, *names)
    draft(tmp_path, tmp_path / "samples.csv")
    tubes = read_sheet(tmp_path / "samples.csv", ())
    assert len(tubes) == len({tube.sample.casefold() for tube in tubes}) == len(names)
    assert all((tmp_path / tube.file).is_file() for tube in tubes)


@pytest.mark.parametrize("name", ["-ve.fcs", "+ve.fcs", "=1.fcs", "@home.fcs"])
def test_a_file_whose_name_is_like_a_formula_is_found_again(tmp_path, file, name):
    put(tmp_path, file, name)
    draft(tmp_path, tmp_path / "samples.csv")
    (tube,) = read_sheet(tmp_path / "samples.csv", ())
    assert (tmp_path / tube.file).is_file()


def test_what_a_computer_left_beside_the_files_is_not_a_file(tmp_path, file):
    put(tmp_path, file, "a.fcs", "without ending")
    (tmp_path / "._a.fcs").write_bytes(b"\0\5\x16\7")
    (tmp_path / "notes.txt").write_text("FC")
    assert list(drafted(tmp_path)) == ["a.fcs", "without ending"]


def test_a_packed_file_is_drafted_like_the_file_in_it(tmp_path, file):
    put(tmp_path, file, "S01_W00.fcs")
    (tmp_path / "S02_W12.FCS.gz").write_bytes(gzip.compress(file.read_bytes()))
    (tmp_path / "notes.gz").write_bytes(gzip.compress(b"no events"))
    rows = drafted(tmp_path)
    assert {name: (row["subject"], row["visit"]) for name, row in rows.items()} == {
        "S01_W00.fcs": ("S01", "W00"), "S02_W12.FCS.gz": ("S02", "W12")}  # fmt: skip
    assert len({row["run"] for row in rows.values()}) == 1
    assert [tube.sample for tube in read_sheet(tmp_path / "samples.csv", ())] == ["S01_W00", "S02_W12"]


def test_nothing_of_a_file_but_its_name_date_and_serial_number_is_drafted(tmp_path, file):
    personal = dict.fromkeys(
        ["$SRC", "$SMNO", "$OP", "$COM", "$FIL", "TUBE NAME", "PATIENT ID", "$EXP"], "Erika Müller 4711"
    )
    studies.rewritten(
        file, tmp_path / "a.fcs", keywords={**personal, "$DATE": "15-MAR-2021", "$CYTSN": "H1", "$CYT": "LSR"}
    )
    _, findings = draft(tmp_path, tmp_path / "samples.csv")
    (row,) = studies.rows_of(tmp_path / "samples.csv")
    assert {column: cell for column, cell in row.items() if cell} == {
        "file": "a.fcs",
        "tube": "full",
        "run": "15-MAR-2021 H1",
    }
    assert not [word for word in ("Erika", "Müller", "4711") if word in str(findings)]


def test_a_name_that_no_sheet_can_hold_is_named(tmp_path, file):
    put(tmp_path, file, "a.fcs", os.fsdecode(b"M\xfcller.fcs"))
    written, findings = draft(tmp_path, tmp_path / "samples.csv")
    assert written == 1
    assert (
        str(findings[0])
        == "E-UNREADABLE  M?ller.fcs  its name is not UTF-8 and no sheet can hold it; rename it"
    )


def test_a_sheet_elsewhere_names_files_by_their_whole_path(tmp_path, file):
    put(tmp_path / "files", file, "a.fcs")
    draft(tmp_path / "files", tmp_path / "sheets" / "s.csv")
    assert studies.rows_of(tmp_path / "sheets" / "s.csv")[0]["file"] == str(
        (tmp_path / "files" / "a.fcs").resolve()
    )


class TestRefused:
    def test_a_sheet_is_never_overwritten(self, tmp_path, file):
        put(tmp_path, file, "a.fcs")
        (tmp_path / "samples.csv").write_text("mine")
        with pytest.raises(
            InputError, match=r"E-OUT .*exists already and is not overwritten; name another with --samples"
        ):
            draft(tmp_path, tmp_path / "samples.csv")
        assert (tmp_path / "samples.csv").read_text() == "mine"

    @pytest.mark.parametrize("name", ["samples.xlsx", "samples.XLS", "samples"])
    def test_a_sheet_that_is_not_csv(self, tmp_path, file, name):
        put(tmp_path, file, "a.fcs")
        with pytest.raises(InputError, match=r"E-USAGE .*init writes CSV; name it .csv"):
            draft(tmp_path, tmp_path / name)
        assert not (tmp_path / name).exists()

    def test_no_folder_and_no_file(self, tmp_path):
        with pytest.raises(InputError, match=r"E-MISSING .*is not a folder"):
            draft(tmp_path / "absent", tmp_path / "samples.csv")
        with pytest.raises(InputError, match=r"E-MISSING .*holds no FCS file"):
            draft(tmp_path, tmp_path / "samples.csv")
