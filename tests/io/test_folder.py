"""A results folder takes one run at a time, holds nothing foreign, and survives whatever ended the last run."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
from filelock import FileLock

from tregflow.errors import BusyError, InputError, OutputError
from tregflow.io.folder import Folder
from tregflow.outcome import Evidence, Outcome

OUTCOME = Outcome("A", "control", {"file": "1"}, Evidence("a.fcs"))


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder(tmp_path / "out")


class TestHolding:
    def test_a_new_folder_is_made_with_its_parents(self, tmp_path):
        with Folder(tmp_path / "a" / "b").held():
            assert (tmp_path / "a" / "b").is_dir()

    def test_an_empty_one_and_one_of_ours_are_taken(self, folder):
        folder.path.mkdir()
        for _ in range(2):
            with folder.held():
                folder.keep(OUTCOME)

    def test_a_second_run_is_told_to_wait(self, folder):
        with folder.held(), pytest.raises(BusyError) as caught, folder.held():
            pytest.fail("two runs in one folder")
        assert caught.value.status == 5
        assert str(caught.value) == (f"E-BUSY  {folder.path}  another run of tregflow is writing here; wait for it or "
                                     "choose another --out")  # fmt: skip

    def test_it_is_free_again_whatever_ended_the_run(self, folder):
        with pytest.raises(ZeroDivisionError), folder.held():
            raise ZeroDivisionError
        with folder.held():
            pass

    def test_a_lock_file_that_nobody_holds_is_no_hindrance(self, folder):
        folder.path.mkdir()
        (folder.path / ".lock").touch()
        with folder.held():
            pass

    def test_what_is_foreign_is_named_and_left_alone(self, folder):
        folder.path.mkdir()
        for name in ("thesis.docx", "a", "b", "c"):
            (folder.path / name).touch()
        with pytest.raises(InputError) as caught, folder.held():
            pass
        assert caught.value.status == 2
        assert caught.value.code == "E-OUT"
        assert "is not empty and holds no results of tregflow (a, b, c …); name a new folder" in str(
            caught.value
        )
        assert not (folder.path / ".lock").exists()

    def test_a_file_is_no_folder(self, folder):
        folder.path.write_text("mine")
        with pytest.raises(InputError, match=r"E-OUT .*is a file; --out names a folder"), folder.held():
            pass
        assert folder.path.read_text() == "mine"

    @pytest.mark.parametrize("name", ["file/out", "x" * 300, "loop"])
    def test_what_cannot_be_made_is_a_sentence(self, tmp_path, name):
        (tmp_path / "file").touch()
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        with (
            pytest.raises(OutputError, match=r"E-WRITE .*choose another folder") as caught,
            Folder(tmp_path / name).held(),
        ):
            pass
        assert caught.value.status == 4

    def test_what_may_not_be_looked_into_is_a_sentence(self, folder, monkeypatch):
        def forbidden(_: Path) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        folder.path.mkdir()
        monkeypatch.setattr(Path, "iterdir", forbidden)
        with (
            pytest.raises(OutputError, match=r"E-WRITE .*permission denied; .*ask for permission"),
            folder.held(),
        ):
            pass

    def test_a_drive_without_locks_is_a_sentence(self, folder, monkeypatch):
        def unlockable(_: object) -> None:
            raise NotImplementedError("FileSystem does not appear to support flock")

        monkeypatch.setattr(FileLock, "_acquire", unlockable)
        with (
            pytest.raises(OutputError, match=r"E-WRITE .*has no file locks; choose another --out"),
            folder.held(),
        ):
            pass

    def test_leftovers_of_a_killed_run_are_swept_and_nothing_else(self, folder):
        ours = [
            ".treg.csv.1a2b.part",
            "outcomes/.A.json.1a2b.part",
            "plots/.A.png.1a2b.part",
            "faults/.A.txt.1a2b.part",
        ]
        others = ["outcomes/A.json", "notes.part", "mine/.film.mkv.part"]
        for name in (*ours, *others):
            (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
            (folder.path / name).touch()
        with folder.held():
            assert not [name for name in ours if (folder.path / name).exists()]
            assert all((folder.path / name).exists() for name in others)


class TestOutcomes:
    def test_an_outcome_comes_back(self, folder):
        folder.keep(OUTCOME)
        assert folder.outcome("A") == OUTCOME

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"schema": 2}', b"\xff\xfe", b'{"schema": 99}',
                                         b'{"schema": 2, "key": "x", "sample": "A", "state": "done", "parts": [1],'
                                         b' "file": {}, "findings": [], "gates": {}, "populations": [], "measures": []}'])  # fmt: skip
    def test_one_that_is_not_whole_is_none(self, folder, content):
        folder.keep(OUTCOME)
        (folder.path / "outcomes" / "A.json").write_bytes(content)
        assert folder.outcome("A") is None

    @pytest.mark.parametrize("cut", range(1, 20, 3))
    def test_one_that_was_cut_or_tampered_with_is_none(self, folder, cut):
        content = OUTCOME.to_bytes()
        folder.keep(OUTCOME)
        path = folder.path / "outcomes" / "A.json"
        path.write_bytes(content[: -cut * 10])
        assert folder.outcome("A") is None
        path.write_bytes(content.replace(b'"file": "1"', b'"file": "2"'))
        assert folder.outcome("A") is None

    def test_strangers_are_outcomes_that_the_sheet_does_not_name(self, folder):
        folder.keep(OUTCOME)
        folder.keep(Outcome("B", "control", {}, Evidence("b.fcs")))
        assert folder.strangers({"A"}) == ["B"]
        assert Folder(folder.path / "absent").strangers(set()) == []


class TestContents:
    def test_a_page_is_written_and_taken_away(self, folder):
        folder.draw("A", b"page")
        assert folder.plot_path("A").read_bytes() == b"page"
        folder.draw("A", None)
        folder.draw("A", None)
        assert not folder.plot_path("A").exists()

    def test_what_cannot_be_taken_away_is_a_sentence(self, folder):
        folder.path.mkdir()
        (folder.path / "plots").touch()
        with pytest.raises(OutputError, match="E-WRITE"):
            folder.draw("A", None)

    def test_tables_appear_together_and_are_known_by_hash(self, folder):
        tables = {"treg.csv": b"a", "files.csv": b"b"}
        folder.keep(OUTCOME)
        folder.draw("A", b"page")
        contents = folder.contents({"A", "B"}, tables)
        folder.publish(tables)
        assert set(contents) == {"treg.csv", "files.csv", "outcomes/A.json", "plots/A.png"}
        for name, digest in contents.items():
            assert hashlib.sha256((folder.path / name).read_bytes()).hexdigest() == digest

    def test_without_room_no_table_is_published(self, folder, monkeypatch):
        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        folder.path.mkdir()
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="no space left"):
            folder.publish({"treg.csv": b"a", "run.json": b"b"})
        assert not list(folder.path.iterdir())


class TestPublished:
    def test_what_the_last_finished_run_says(self, tmp_path):
        (tmp_path / "run.json").write_text('{"published": {"A": "1f"}}')
        assert Folder(tmp_path).published() == {"A": "1f"}

    @pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"published": 3}', "null"])
    def test_nothing_before_a_run_has_ended(self, tmp_path, content):
        assert Folder(tmp_path).published() == {}
        (tmp_path / "run.json").write_text(content)
        assert Folder(tmp_path).published() == {}
