"""A person's name in a file goes nowhere: not into a table, a page, a message, a log or the record of a fault."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import studies
from fcs_bytes import fcs_bytes, parameters
from studies import DETECTORS, command, rewritten, row, write_sheet

from tregflow import job as job_module
from tregflow.io.fcs import scan_fcs
from tregflow.job import gate_file
from tregflow.privacy import KEPT, is_kept, keys_listed, quoted, shown, told_fault
from tregflow.study import Tube

NAME = "Qvyxholm"
"""A name that stands nowhere else."""

PERSONAL = (
    "$FIL", "$SMNO", "$SRC", "$OP", "$COM", "$EXP", "$INST", "$SYS", "$PROJ", "$CELLS", "$LAST_MODIFIER", "$WELLID", "$PLATEID",
    "TUBE NAME", "TUBENAME", "GROUPNAME", "SAMPLE ID", "SAMPLEID", "@SAMPLEID1", "EXPERIMENT NAME", "PATIENT ID", "PATIENT NAME",
    "EXPORT USER NAME", "CREATOR", "#SAMPLE", "$P1X", "P1N", "NAME OF THE PATIENT",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return a study in which every file names a person wherever a file can, some damaged in different ways."""
    folder = studies.study(tmp_path / "study")
    planted = {key: f"{NAME} {key}" for key in PERSONAL}
    for path in sorted((folder / "fcs").iterdir()):
        kept = {
            key: value for key, value in scan_fcs(path).keywords.items() if key in {"$DATE", "$CYT", "$CYTSN"}
        }
        rewritten(path, path, keywords={**planted, **kept, "$FIL": f"{path.stem} {NAME}"})
    good = folder / "fcs" / "S01_W00.fcs"
    content = good.read_bytes()
    more = {
        "cut": content[:-5000],
        "marker": content.replace(DETECTORS["CD25"].encode(), b"x" * len(DETECTORS["CD25"])),
        "swapped": content.replace(b"S01_W00 Q", b"S02_W12 Q"),
        "odd": content.replace(b"/$COM/", b"//$COM/", 1),
        "latin": content.replace(NAME[:4].encode(), b"\xe4\xf6\xfc\0"),
        "twice": content.replace(b"/CREATOR/", b"/$OP/xx/", 1),
        "claims": re.sub(rb"\$TOT/\d{4}", b"$TOT/" + NAME[:4].encode(), content),
        "packed": gzip.compress(content),
    }
    for name, changed in more.items():
        assert changed != content, name
        (folder / "fcs" / f"{name}.fcs").write_bytes(changed)
    (folder / "fcs" / "text.fcs").write_bytes(b"FCS3.1    " + f"{NAME}".encode() * 40)
    (folder / "fcs" / "name.fcs").write_bytes(f"no FCS file of {NAME}".encode())
    others = [
        row(f"S{place + 10}_W00", file=f"fcs/{name}.fcs")
        for place, name in enumerate((*more, "text", "name"))
    ]
    write_sheet(folder, [*map(row, studies.SAMPLES), *others])
    monkeypatch.chdir(folder)
    return folder


def everything_in(folder: Path) -> bytes:
    return b"\n".join(
        path.read_bytes() + str(path).encode() for path in sorted(folder.rglob("*")) if path.is_file()
    )


def is_named_in(content: bytes | str) -> bool:
    """Whether the name, or a part of it long enough to be one, stands in something."""
    text = content.decode("latin-1") if isinstance(content, bytes) else content
    return NAME[:5].casefold() in text.casefold()


class TestCommands:
    def test_the_name_is_there_to_be_found(self, folder):
        assert is_named_in((folder / "fcs" / "S01_W00.fcs").read_bytes())
        assert is_named_in(everything_in(folder))
        assert is_named_in(repr(dict(scan_fcs(folder / "fcs" / "S01_W00.fcs").keywords)))
        assert set(PERSONAL) <= set(scan_fcs(folder / "fcs" / "S01_W00.fcs").keywords)

    def test_gating_writes_and_says_it_nowhere(self, folder):
        line = [sys.executable, "-m", "tregflow", "gate", "-t", "small.yaml", "-j", "2", "-o", "out"]
        ended = subprocess.run(line, capture_output=True, check=False)
        assert ended.returncode == 1, ended.stderr
        assert not is_named_in(ended.stdout + ended.stderr)
        assert not is_named_in(everything_in(folder / "out"))
        assert {path.suffix for path in (folder / "out").rglob("*.*")} >= {".csv", ".json", ".png"}
        assert b"F-IDENTITY" in (folder / "out" / "files.csv").read_bytes()
        assert len(studies.rows_of(folder / "out" / "files.csv")) == 14

    @pytest.mark.parametrize("words", [("gate", "-t", "small.yaml", "--dry-run"), ("gate", "-t", "small.yaml", "--json", "--no-plots"),
                                       ("check", "-t", "small.yaml"), ("check", "-t", "small.yaml", "--show-values"),
                                       ("init", ".", "-s", "drafted.csv")], ids=" ".join)  # fmt: skip
    def test_no_other_command_says_it_either(self, folder, capsys, words):
        ended = command(capsys, *words)
        assert ended.out
        assert not is_named_in(ended.out + ended.err)
        if words[0] == "init":
            assert not is_named_in((folder / "drafted.csv").read_bytes())

    def test_checking_finds_the_swapped_file_by_its_keywords_all_the_same(self, folder, capsys):
        assert re.search(r"F-IDENTITY .*S12_W00.*\$FIL names subject S02 and visit W12", command(capsys, "check", "-t", "small.yaml").out)  # fmt: skip


class TestFaults:
    @staticmethod
    def stumble(bound: object, *_: object) -> None:
        try:
            int(bound.sample.keywords["$OP"])
        except ValueError as error:
            error.add_note(bound.sample.keywords["$SRC"])
            raise RuntimeError(f"cannot work with {bound.sample.keywords['$FIL']}") from error

    def test_the_record_of_a_fault_says_where_and_not_what(self, folder, monkeypatch):
        monkeypatch.setattr(job_module, "gate", self.stumble)
        ended = gate_file(studies.job(folder, folder / "out"))
        assert [finding.code for finding in ended.outcome.findings] == ["E-INTERNAL"]
        told = (folder / "out" / "faults" / "S01_W00.txt").read_text()
        assert not is_named_in(told)
        assert told.index("builtins.ValueError") < told.index("builtins.RuntimeError")
        assert "in stumble" in told
        assert not is_named_in(repr(ended))

    def test_nor_does_a_fault_of_the_command_line(self, folder, monkeypatch, capsys):
        def stumble(*_: object) -> None:
            raise RuntimeError(NAME)

        monkeypatch.setattr("tregflow.rehearsal.rehearse", stumble)
        ended = command(capsys, "check", "-t", "small.yaml")
        assert ended.status == 3
        path = re.search(r"the traceback is in (\S+):", ended.err)[1]
        told = Path(path).read_text(encoding="utf-8")
        Path(path).unlink()
        assert "builtins.RuntimeError" in told
        assert not is_named_in(told + ended.err + ended.out)

    def test_groups_and_causes_are_told_by_kind_only(self):
        inner = KeyError(NAME)
        inner.add_note(NAME)
        try:
            try:
                raise ExceptionGroup(NAME, [inner, ValueError(NAME)])
            except ExceptionGroup:
                raise OSError(2, NAME, NAME)  # noqa: B904 - the context is what is tested
        except OSError as error:
            told = told_fault(error)
        assert not is_named_in(told.replace("NAME", ""))
        assert "ExceptionGroup" in told
        assert told.endswith("builtins.FileNotFoundError\n")


class TestShowValues:
    """Somebody who asks sees the values that contradict the sheet, on the terminal and nowhere else."""

    @pytest.fixture
    def swapped(self, folder) -> Path:
        path = folder / "fcs" / "S01_W12.fcs"
        rewritten(path, path, keywords={"$FIL": f"S02_W12 {NAME}\x1b[2J\x07‮", "$OP": f"{NAME} the operator"})
        write_sheet(folder, [*map(row, studies.SAMPLES)])
        return folder

    def on_a_terminal(self, *words: str) -> str:
        pty = pytest.importorskip("pty")
        theirs, ours = pty.openpty()
        line = [sys.executable, "-m", "tregflow", *words]
        ended = subprocess.Popen(
            line, stdout=ours, stderr=subprocess.PIPE, env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
        )
        os.close(ours)
        said = b""
        while True:
            try:
                piece = os.read(theirs, 4096)
            except OSError:  # how Linux says that nobody writes any more
                break
            if not piece:
                break
            said += piece
        assert not is_named_in(ended.communicate()[1])
        os.close(theirs)
        return said.decode()

    def test_on_a_terminal_they_are_shown_without_what_would_steer_it(self, swapped):
        said = self.on_a_terminal("check", "-t", "small.yaml", "--show-values")
        assert f"S01_W12  $FIL = S02_W12 {NAME}\N{REPLACEMENT CHARACTER}[2J" in said
        assert "\x1b[2J" not in said
        assert not {"\x07", "‮"} & set(said)
        assert "the operator" not in said
        assert "Shown here and written nowhere" in said

    def test_and_only_if_asked_for(self, swapped):
        said = self.on_a_terminal("check", "-t", "small.yaml")
        assert "F-IDENTITY" in said
        assert not is_named_in(said)

    def test_they_are_written_into_no_file(self, swapped, capsys):
        ended = command(capsys, "check", "-t", "small.yaml", "--show-values")
        assert not is_named_in(ended.out + ended.err)
        assert "shown on a terminal and written into no file" in ended.err

    def test_where_nothing_contradicts_the_sheet_there_is_nothing_to_show(self, folder, capsys):
        write_sheet(folder, [*map(row, studies.SAMPLES)])
        assert "no value to show" in command(capsys, "check", "-t", "small.yaml", "--show-values").out

    def test_no_other_command_has_the_option(self, folder, capsys):
        for words in (("gate", "-t", "small.yaml"), ("init", "."), ("explain",)):
            ended = command(capsys, *words, "--show-values")
            assert (ended.status, "No such option" in ended.err) == (2, True)


class TestKeepList:
    @pytest.mark.parametrize("key", ["$PAR", "$TOT", "$BYTEORD", "$DATATYPE", "$MODE", "$P1N", "$P12S", "$P1R", "$P1V", "$P1G", "$P1E",
                                     "$P1DATATYPE", "$DATE", "$CYT", "$CYTSN", "$SPILLOVER", "SPILL", "$COMP", "$DFC1TO2", "$TIMESTEP",
                                     "$BEGINDATA", "TRANSFORMATION"])  # fmt: skip
    def test_what_says_how_events_are_stored_may_be_shown(self, key):
        assert is_kept(key)
        assert quoted({key: "value"}, key) == '"value"'

    @pytest.mark.parametrize("key", [*PERSONAL, "", "$", "PAR", "P1N", "$PARX", "X$PAR", "$P1N ", "$par", "$OPERATOR", "$BTIM", "$PN",
                                     "$P1", "SPILL2", "$DATE\n", "DATE", "$DATE2"])  # fmt: skip
    def test_nothing_else_may(self, key):
        assert not is_kept(key)
        with pytest.raises(ValueError, match="is not a keyword that may be shown"):
            quoted({key: NAME}, key)

    def test_no_keyword_that_names_file_tube_or_person_is_on_the_list(self):
        from tregflow.identity import NAMING

        assert not [key for key in (*NAMING, *PERSONAL) if KEPT.fullmatch(key)]

    def test_a_missing_keyword_is_shown_as_empty(self):
        assert quoted({}, "$TOT") == '""'

    @pytest.mark.parametrize(("word", "said"), [(" 12\0", '"12"'), ("a\nb\x1b", '"a.b."'), ("x" * 25, '"' + "x" * 23 + '…"'),
                                                ("x" * 24, '"' + "x" * 24 + '"')])  # fmt: skip
    def test_a_word_is_short_and_printable(self, word, said):
        assert shown(word) == said

    def test_keys_of_no_standard_are_counted_as_they_may_be_values(self):
        assert keys_listed(["$OP", NAME]) == "$OP and 1 private keyword"
        assert keys_listed([NAME, f"{NAME} 2"]) == "2 private keywords"
        assert not is_named_in(keys_listed([NAME, f"${NAME.upper()}"]))

    def test_a_sentence_about_a_file_out_of_step_does_not_hold_its_words(self, tmp_path):
        from tregflow.errors import FileError
        from tregflow.io.fcs import read_fcs

        content = fcs_bytes(
            [[1.0, 2.0]], parameters(2), keywords={"$OP": NAME}, more=[(NAME, f"$SRC/{NAME}/{NAME}")]
        )
        (tmp_path / "a.fcs").write_bytes(content)
        try:
            said = str(read_fcs(tmp_path / "a.fcs").findings)
        except FileError as error:
            said = str(error)
        assert not is_named_in(said)


def test_the_row_is_the_sheets_and_may_be_shown():
    """Subjects and visits are the study's own words: the sheet's author decides what stands in them."""
    assert "S01" in repr(Tube("S01_W00", "a.fcs", "S01", "W00"))
