"""The command line: each mistake a sentence and an exit status, each result where it belongs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import studies
from studies import DETECTORS, SAMPLES, TEMPLATE, command, everything, rewritten, row, write_sheet

from tregflow import __version__, cli
from tregflow.errors import CODES
from tregflow.io.folder import Folder
from tregflow.study import COLUMNS

NAMES = ("Jane Doe", "12.03.1971", "Dr. Grey", "Ward 7")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return a study, which is also the working folder."""
    monkeypatch.chdir(studies.study(tmp_path / "study"))
    return tmp_path / "study"


@pytest.fixture
def gate(folder, capsys):
    """Return ``tregflow gate`` with the small template, one worker and no plots."""
    return lambda *words: command(capsys, "gate", "-t", "small.yaml", "--no-plots", "-j", "1", *words)


def file_of(folder: Path, sample: str) -> Path:
    return folder / "fcs" / f"{sample}.fcs"


def nothing_was_written(folder: Path) -> bool:
    return not (folder / "tregflow_results").exists()


class TestGate:
    def test_a_study_ends_with_its_table_and_0(self, gate, folder):
        ended = gate()
        assert ended.status == 0
        assert ended.err == ""
        assert "Treg of CD4, per cent" in ended.out
        assert (
            "4 files: 4 done, 0 control, 0 refused. Results are in tregflow_results/: treg.csv" in ended.said
        )
        for cells in studies.rows_of(folder / "tregflow_results" / "treg.csv"):
            if cells["role"] == "primary":
                assert f"{float(cells['percent']):.2f}" in ended.out

    def test_json_is_the_table_and_nothing_else(self, gate, folder):
        rewritten(file_of(folder, "S01_W00"), file_of(folder, "S01_W00"), events=0)
        ended = gate("--json")
        assert ended.status == 1
        told = json.loads(ended.out)
        assert told["schema"] == 1
        assert ended.out.isascii()
        table = studies.rows_of(folder / "tregflow_results" / "treg.csv")
        assert [said["sample"] for said in told["rows"]] == [cells["sample"] for cells in table]
        for said, cells in zip(told["rows"], table, strict=True):
            assert list(said) == list(cells)
            assert said["numerator"] == (int(cells["numerator"]) if cells["numerator"] else None)

    def test_json_is_the_same_when_outcomes_are_kept(self, gate, folder):
        (folder / "small.yaml").write_text(TEMPLATE.replace("markers: [CD3], gate: {interval: {low: 0.5}}",
                                                            "markers: [CD3], gate: {interval: {low: 9}}"))  # fmt: skip
        assert gate("--json").out == gate("--json").out

    def test_files_without_a_sheet(self, gate, folder):
        ended = gate("fcs/S01_W00.fcs", "fcs/S01_W12.fcs")
        assert ended.status == 0
        assert set(studies.by_sample(folder / "tregflow_results" / "files.csv")) == {"S01_W00", "S01_W12"}

    def test_the_sheet_is_found_beside_the_template_first(self, folder, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert command(capsys, "gate", "-t", folder / "small.yaml", "--dry-run").status == 0

    def test_two_sheets_are_one_too_many(self, folder, tmp_path, capsys, monkeypatch):
        (tmp_path / "samples.csv").write_text((folder / "samples.csv").read_text())
        monkeypatch.chdir(tmp_path)
        for name in ("gate", "check"):
            ended = command(capsys, name, "-t", folder / "small.yaml")
            assert ended.status == 2
            assert ended.said == (f"E-USAGE there are two sheets, {folder}/samples.csv beside the template and "
                                  f"{tmp_path}/samples.csv here; say which with --samples")  # fmt: skip
        (tmp_path / "samples.csv").unlink()
        (tmp_path / "samples.csv").symlink_to(folder / "samples.csv")
        assert command(capsys, "gate", "-t", folder / "small.yaml", "--dry-run").status == 0

    def test_which_sheet_and_template_are_used_is_told_and_kept(self, gate, folder):
        told = f"samples.csv, 4 rows; template small.yaml (small, sha256 {studies.small().hash[:8]})"
        assert gate("--dry-run").out.splitlines()[0] == told
        assert gate().out.splitlines()[0] == told
        assert studies.record(folder / "tregflow_results")["sheet"]["name"] == "samples.csv"
        assert gate("fcs/S01_W00.fcs").out.splitlines()[0].startswith("1 file named; template small.yaml")
        assert studies.record(folder / "tregflow_results")["sheet"] is None

    def test_dry_run_says_why_and_writes_nothing(self, gate, folder):
        ended = gate("--dry-run")
        assert ended.status == 0
        assert "gate S01_W00 no outcome yet" in ended.said
        assert "4 files: 4 would be gated; nothing was written" in ended.said
        assert nothing_was_written(folder)
        gate()
        (folder / "small.yaml").write_text(TEMPLATE.replace("low: [0.5, 0.4]", "low: [0.5, 0.3]"))
        rewritten(file_of(folder, "S02_W12"), file_of(folder, "S02_W12"), events=3_000)
        before = everything(folder / "tregflow_results")
        ended = gate("--dry-run")
        assert "gate S01_W00 the template's gate Treg changed" in ended.said
        assert "refuse S02_W12 the content is not what was gated as S02_W12 before" in ended.said
        assert "4 files: 3 would be gated, 1 would be refused; nothing was written" in ended.said
        assert everything(folder / "tregflow_results") == before

    def test_what_changed_is_told_and_gated_again(self, gate, folder):
        gate()
        rewritten(file_of(folder, "S02_W12"), file_of(folder, "S02_W12"), events=3_000)
        refused = gate()
        assert refused.status == 1
        assert "E-CHANGED S02_W12 the content is not what was gated" in refused.said
        accepted = gate("--accept-changed")
        assert accepted.status == 0
        assert "kept without gating again, as nothing changed: 3 of 4 files" in accepted.said
        assert "S02_W12 was gated again: the file changed" in accepted.said


class TestBadFiles:
    """One batch with everything that can be wrong with a file."""

    @pytest.fixture
    def ended(self, gate, folder):
        (folder / "fcs" / "empty.fcs").touch()
        (folder / "fcs" / "page.fcs").write_text("<!DOCTYPE html><title>Sign in</title>" * 100)
        studies.truncated(Path(shutil.copy(file_of(folder, "S01_W00"), folder / "fcs" / "cut.fcs")))
        rewritten(
            file_of(folder, "S01_W00"),
            folder / "fcs" / "nobody.fcs",
            events=3_000,
            stains={DETECTORS["FOXP3"]: "CTLA4"},
        )
        rewritten(
            file_of(folder, "S01_W00"),
            folder / "fcs" / "two.fcs",
            events=2_900,
            stains={DETECTORS["CD127"]: "CD25"},
        )
        shutil.copy(file_of(folder, "S01_W12"), folder / "fcs" / "twin.fcs")
        (folder / "fcs" / "folder.fcs").mkdir()
        names = ("missing", "empty", "page", "cut", "nobody", "two", "twin", "folder")
        write_sheet(
            folder, [*map(row, SAMPLES), *(row("X", file=f"fcs/{name}.fcs", sample=name) for name in names)]
        )
        return gate()

    def test_each_is_a_sentence_and_the_others_are_done(self, ended, folder):
        assert ended.status == 1
        for told in (
            "E-MISSING missing there is no such file in fcs",
            "E-NOT-FCS empty the file is empty",
            "E-NOT-FCS page ",
            "E-TRUNCATED cut ",
            "E-MARKER nobody no channel for FOXP3; this file has FSC-A",
            "E-MARKER two PE-Cy7-A (CD25) and APC-A (CD25) both claim CD25; name one in the sheet as channel:CD25",
            "E-TWICE twin holds the same events as S01_W12 (S01_W12.fcs); one of the two is a wrong copy: export it again, "
            "or take its row out of the sheet",
            "E-TWICE S01_W12 holds the same events as twin (twin.fcs); one of the two",
            "E-UNREADABLE folder is a folder, a device or a pipe; name the FCS file itself",
        ):
            assert told in ended.said
        assert "12 files: 3 done, 0 control, 9 refused." in ended.said
        assert len(studies.rows_of(folder / "tregflow_results" / "treg.csv")) == 24
        verdicts = {
            sample: cells["verdict"]
            for sample, cells in studies.by_sample(folder / "tregflow_results/files.csv").items()
        }
        assert {sample for sample, verdict in verdicts.items() if verdict == "pass"} == {
            "S01_W00",
            "S02_W00",
            "S02_W12",
        }

    def test_check_says_the_same_of_them(self, ended, folder, capsys):
        checked = command(capsys, "check", "-t", "small.yaml")
        assert checked.status == 1
        told = {word for word in checked.said.split() if word.startswith("E-")}
        assert told == {"E-MISSING", "E-NOT-FCS", "E-TRUNCATED", "E-MARKER", "E-TWICE", "E-UNREADABLE"}
        assert "12 files: 9 to mend, 0 flagged, 3 with nothing to say" in checked.said
        for line in checked.out.splitlines():
            if line.lstrip().startswith(("E-MISSING", "E-TWICE", "E-UNREADABLE")):
                assert line in ended.out


class TestBadTemplates:
    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            ("parent: CD3,", "parent: CD33,", 'E-TEMPLATE small.yaml:9:25 populations[1].parent: "CD33" is not defined; did you mean "CD3"?'),
            ("name: CD3, parent: root", "name: CD3, parent: Treg",
             "E-TEMPLATE small.yaml:8:25 populations[0].parent: CD3 → Treg → CD4 → CD3 is a circle; one of them must have a parent"),
            ("markers: [CD3], gate: {interval: {low: 0.5}}", "markers: [CD3], gate: {vally: {keep: above}}",
             '"vally" is not known here; did you mean "valley"?'),
            ("markers: [CD3], gate: {interval: {low: 0.5}}", "markers: [CD3], gate: {valley: {keep: above, smoth: 0.01}}",
             '"smoth" is not known here; did you mean "smooth"?'),
            ("template: 1\n", "template: 1\nname: twice\n", 'E-YAML small.yaml:3:1 name: "name" is written twice; a key has one value'),
        ],
        ids=["unknown parent", "circle", "unknown method", "misspelt setting", "duplicate key"],
    )  # fmt: skip
    def test_each_is_a_sentence_with_its_place_and_2(self, gate, folder, old, new, told):
        assert old in TEMPLATE
        (folder / "small.yaml").write_text(TEMPLATE.replace(old, new))
        ended = gate()
        assert ended.status == 2
        assert told in ended.said
        assert ended.out == ""
        assert nothing_was_written(folder)

    def test_a_template_that_is_not_there(self, folder, capsys):
        ended = command(capsys, "gate", "-t", "absent.yaml")
        assert ended.status == 2
        assert ended.said == f"E-MISSING absent.yaml there is no such file in {folder}"


class TestBadSheets:
    @pytest.mark.parametrize(
        ("rows", "told"),
        [
            (
                [{"file": "a.fcs", "visitt": "W0"}],
                'E-SHEET samples.csv:1:visitt "visitt" is not a column of a sheet; did you mean "visit"?',
            ),
            (
                [row("S01_W00"), row("S01_W00")],
                "E-SHEET samples.csv:3 is the same sample as line 2 (S01_W00_R1); tell them apart by",
            ),
            (
                [{"subject": "S01"}],
                "E-SHEET samples.csv:1:file there is no column file; the sheet has subject",
            ),
            ([row("S01_W00", tube="ful")], 'E-SHEET samples.csv:2:tube "ful" is not full, fmo:MARKER'),
        ],
        ids=["unknown column", "a row twice", "no files", "unknown tube"],
    )
    def test_each_is_a_sentence_with_its_place_and_2(self, gate, folder, rows, told):
        write_sheet(folder, rows)
        ended = gate()
        assert ended.status == 2
        assert told in ended.said
        assert nothing_was_written(folder)

    def test_what_is_wrong_with_the_template_is_told_with_it(self, gate, folder):
        write_sheet(folder, [row("S01_W00", tube="ful")])
        (folder / "small.yaml").write_text(TEMPLATE.replace("parent: CD3,", "parent: CD33,"))
        ended = gate()
        assert ended.status == 2
        assert [line.split()[0] for line in ended.err.splitlines()] == ["E-TEMPLATE", "E-SHEET"]

    def test_no_sheet_and_no_files(self, gate, folder):
        (folder / "samples.csv").unlink()
        ended = gate()
        assert ended.status == 2
        assert ended.said == ("E-USAGE there is no samples.csv beside small.yaml or here; name files, name a sheet with --samples, "
                              "or draft one with tregflow init FOLDER")  # fmt: skip

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (("fcs/S01_W00.fcs", "fcs/S01_W00.fcs"), "E-USAGE fcs/S01_W00.fcs is named twice"),
            (
                ("a/x.fcs", "b/X.fcs"),
                "E-USAGE a/x.fcs and b/X.fcs would both be X; write a sheet with a column sample",
            ),
            (
                ("山田.fcs",),
                "E-USAGE no letter or digit is left of the name of 山田.fcs; write a sheet with a column sample",
            ),
            (("a.fcs", "-s", "samples.csv"), "E-USAGE name files or a sheet (--samples), not both"),
            (("--decimal", ";"), 'E-USAGE --decimal is . or , and not ";"'),
            (("--plot",), "No such option: --plot"),
            (("--jobs", "-1"), "'--jobs' / '-j': Input should be greater than or equal to 0"),
        ],
    )
    def test_a_command_that_cannot_be_meant(self, gate, folder, words, told):
        ended = gate(*words)
        assert ended.status == 2
        assert told in ended.said
        assert nothing_was_written(folder)


class TestOutput:
    def test_a_folder_with_other_things(self, gate, folder):
        for words in ((), ("--dry-run",)):
            ended = gate("-o", "fcs", *words)
            assert ended.status == 2
            assert " ".join(ended.err.split()) == ("E-OUT fcs is not empty and holds no results of tregflow (S01_W00.fcs, S01_W12.fcs, S02_W00.fcs …); "
                                  "name a new folder")  # fmt: skip
        assert len(list((folder / "fcs").iterdir())) == 4

    def test_a_file(self, gate):
        ended = gate("-o", "samples.csv")
        assert ended.status == 2
        assert " ".join(ended.err.split()) == "E-OUT samples.csv is a file; --out names a folder"

    def test_below_a_file(self, gate):
        ended = gate("-o", "samples.csv/results")
        assert ended.status == 4
        assert " ".join(ended.err.split()).startswith(
            "E-WRITE samples.csv/results not a directory; choose another folder"
        )

    def test_another_run_holds_it(self, gate, folder):
        with studies.started(folder) as process:
            studies.until((folder / "tregflow_results" / ".lock").exists)
            studies.until(lambda: any((folder / "pids").iterdir()))
            ended = gate()
            assert process.poll() is None
        assert ended.status == 5
        assert " ".join(ended.err.split()) == ("E-BUSY tregflow_results another run of tregflow is writing here; wait for it or choose another --out")  # fmt: skip
        with Folder(folder / "tregflow_results").held():
            pass

    def test_a_fault_of_ours_keeps_its_traceback_in_a_file(self, gate, monkeypatch):
        monkeypatch.setattr(cli, "_found_sheet", lambda _: 1 / 0)
        ended = gate()
        assert ended.status == 3
        assert ended.err.startswith("E-INTERNAL  a fault of tregflow's own; the traceback is in ")
        kept = Path(ended.err.partition(" is in ")[2].partition(": please")[0])
        assert "ZeroDivisionError" in kept.read_text()
        kept.unlink()

    def test_an_interrupt_is_130_in_a_sentence(self, gate, monkeypatch):
        def interrupt(_: Path) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(cli, "_found_sheet", interrupt)
        ended = gate()
        assert ended.status == 130
        assert ended.said == "interrupted; run the same command again: files that gate has finished are kept"


class TestPrivacy:
    def test_a_persons_name_in_a_file_is_in_no_output(self, gate, folder, capsys):
        planted = dict(zip(("$SRC", "$SMNO", "$OP", "$COM"), NAMES, strict=True)) | {
            "$FIL": "Doe_Jane.fcs", "$INST": NAMES[0], "$PROJ": NAMES[0], "$EXP": NAMES[2], "$CELLS": NAMES[3], "PATIENT ID": NAMES[0],
            "TUBE NAME": NAMES[0], "EXPERIMENT NAME": NAMES[0], "$LAST_MODIFIER": NAMES[2]}  # fmt: skip
        for sample in SAMPLES:
            rewritten(file_of(folder, sample), file_of(folder, sample), events=3_000, keywords=planted,
                      stains={DETECTORS["FOXP3"]: "CTLA4"} if sample == "S02_W00" else None)  # fmt: skip
        studies.truncated(file_of(folder, "S02_W12"))
        assert NAMES[0].encode() in file_of(folder, "S02_W12").read_bytes()
        (folder / "samples.csv").unlink()
        said = [command(capsys, "init", "fcs", "-s", "samples.csv"), command(capsys, "check", "-t", "small.yaml"),
                gate("--dry-run"), gate(), gate("--json")]  # fmt: skip
        assert [ended.status for ended in said] == [0, 1, 0, 1, 1]
        written = {**everything(folder / "tregflow_results"), "run.json": (folder / "tregflow_results/run.json").read_bytes(),
                   "samples.csv": (folder / "samples.csv").read_bytes()}  # fmt: skip
        for name in (*NAMES, "Doe", "Jane"):
            assert not [path for path, content in written.items() if name.encode() in content]
            assert not [ended for ended in said if name in ended.out + ended.err]


class TestOthers:
    def test_check_of_a_good_study(self, folder, capsys):
        ended = command(capsys, "check", "-t", "small.yaml")
        lines = ended.out.splitlines()
        assert (ended.status, ended.err) == (0, "")
        assert (
            lines[0] == f"samples.csv, 4 rows; template small.yaml (small, sha256 {studies.small().hash[:8]})"
        )
        assert (
            lines[1] == "CD3 = APC-Cy7-A, CD4 = BV421-A, CD25 = PE-Cy7-A, FOXP3 = PE-A in all 4 gated files"
        )
        assert lines[2:] == ["4 files are ready to gate", "Next: tregflow gate -t small.yaml"]

    def test_check_repeats_how_it_was_asked(self, folder, capsys):
        (folder / "samples.csv").rename(folder / "my sheet.csv")
        ended = command(capsys, "check", "-t", "small.yaml", "-s", "my sheet.csv")
        assert ended.out.endswith("Next: tregflow gate -t small.yaml -s 'my sheet.csv'\n")
        ended = command(capsys, "check", "-t", "small.yaml", "fcs/S01_W00.fcs")
        assert ended.out.startswith("1 file named; template small.yaml")
        assert ended.out.endswith(
            "1 file is ready to gate\nNext: tregflow gate -t small.yaml fcs/S01_W00.fcs\n"
        )

    def test_init_then_gate(self, folder, capsys, gate):
        (folder / "samples.csv").unlink()
        drafted = command(capsys, "init", "fcs", "-s", "samples.csv")
        assert drafted.status == 0
        assert (
            "4 rows in samples.csv. What was guessed is guessed: look it through, then run tregflow check"
            in drafted.said
        )
        assert gate().status == 0
        assert command(capsys, "init", "fcs", "-s", "samples.csv").status == 2

    def test_names_with_brackets_are_printed_as_they_are(self, folder, capsys):
        nasty = folder / "[red]a[/] :smile:"
        shutil.copytree(folder / "fcs", nasty)
        drafted = command(capsys, "init", nasty)
        assert f"{nasty}/samples.csv" in drafted.out
        ended = command(
            capsys,
            "gate",
            "-t",
            "small.yaml",
            "-j",
            "1",
            "--no-plots",
            "-s",
            nasty / "samples.csv",
            "-o",
            nasty / "out",
        )
        assert ended.status == 0
        assert f"Results are in {nasty}/out/" in ended.out

    def test_simulate_writes_a_study(self, folder, capsys):
        ended = command(capsys, "simulate", "new [x]", "--subjects", "1", "--events", "500", "--no-controls")
        assert (ended.status, ended.out) == (
            0,
            "2 FCS files, samples.csv, truth.csv and truth/ are in new [x]\n",
        )
        assert command(capsys, "simulate", "new [x]").status == 2

    @pytest.mark.parametrize(
        ("code", "means"), [("E-MARKER", "refused"), ("f-fallback", "flagged"), ("N-MOVED", "noted")]
    )
    def test_explain(self, capsys, code, means):
        ended = command(capsys, "explain", code)
        assert ended.status == 0
        assert ended.out.startswith(f"{code.upper()}  ({means}: ")
        assert CODES[code.upper()] in ended.out

    def test_explain_without_a_code_lists_them_all(self, capsys):
        lines = command(capsys, "explain").out.splitlines()
        assert [line.split()[0] for line in lines] == list(CODES)
        assert all(line.endswith(".") and ". " not in line for line in lines)

    def test_version(self, capsys):
        ended = command(capsys, "--version")
        assert (ended.status, ended.out) == (0, f"tregflow {__version__}\n")

    def test_the_help_of_init_tells_the_columns(self, capsys):
        said = command(capsys, "init", "--help").said
        for column in COLUMNS:
            assert f" {column} " in said

    def test_init_writes_csv(self, folder, capsys):
        ended = command(capsys, "init", "fcs", "-s", "samples.xlsx")
        assert (ended.status, ended.said) == (2, "E-USAGE samples.xlsx init writes CSV; name it .csv")

    def test_explain_what_is_no_code(self, capsys):
        ended = command(capsys, "explain", "E-MARKR")
        assert (ended.status, ended.said) == (2, 'E-USAGE "E-MARKR" is not a code; did you mean "E-MARKER"?')

    def test_schema_is_json(self, capsys):
        ended = command(capsys, "schema")
        assert ended.status == 0
        assert json.loads(ended.out)["$schema"].startswith("https://json-schema.org")


class TestProcess:
    """The tool as it is installed, in a process of its own."""

    @staticmethod
    def run(*words: str, **env: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "tregflow", *words],
            env={**os.environ, **env},
            capture_output=True,
            check=False,
        )

    def test_help_costs_nothing(self):
        heavy = (
            "numpy",
            "scipy",
            "pandas",
            "matplotlib",
            "sklearn",
            "flowkit",
            "pydantic",
            "ruamel",
            "python_calamine",
        )
        code = ("import sys, time\nfrom tregflow.cli import main\nsys.argv = ['tregflow', '--help']\ntry:\n    main()\nexcept SystemExit:\n"
                f"    print([name for name in {heavy} if name in sys.modules], time.process_time(), sep='|')")  # fmt: skip
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        imported, seconds = said.splitlines()[-1].split("|")
        assert imported == "[]"
        assert float(seconds) < 0.5
        for name in ("gate", "check", "init", "simulate", "explain"):
            assert f"\n  {name} " in said

    def test_a_study_on_a_terminal_that_knows_ascii_only(self, folder):
        ended = self.run("gate", "-t", "small.yaml", "-j", "2", "--no-plots", PYTHONIOENCODING="ascii")
        assert (ended.returncode, ended.stderr) == (0, b"")
        assert ended.stdout.isascii()
        row = next(line.split() for line in ended.stdout.splitlines() if line.startswith(b"S01_W00"))
        assert row[3] == b"-"
        refused = self.run("gate", "-t", "äö.yaml", PYTHONIOENCODING="ascii")
        assert (refused.returncode, refused.stdout) == (2, b"")
        assert refused.stderr.startswith(b"E-MISSING  ??.yaml  there is no such file")
        assert self.run("gate", "--help", PYTHONIOENCODING="ascii").returncode == 0

    def test_a_reader_that_hangs_up_ends_quietly(self, folder):
        (folder / "small.yaml").write_text(TEMPLATE)
        process = subprocess.Popen(
            [sys.executable, "-m", "tregflow", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        assert process.wait(60) != 3
        assert b"Traceback" not in err
        assert b"E-INTERNAL" not in err
