"""A file is there whole or not at all, several together or none of them."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from unicodedata import normalize

import pytest

from tregflow.errors import OutputError
from tregflow.io.files import located, sha256, write_together, write_whole


def inside(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def failing(number: int):
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


class TestWriting:
    def test_content_and_folders_are_made(self, tmp_path):
        write_whole(tmp_path / "a" / "b" / "c.txt", b"whole")
        assert (tmp_path / "a/b/c.txt").read_bytes() == b"whole"
        assert inside(tmp_path / "a/b") == {"c.txt"}

    def test_permissions_are_those_of_any_new_file(self, tmp_path):
        (tmp_path / "plain").touch()
        write_whole(tmp_path / "written", b"")
        assert (tmp_path / "written").stat().st_mode == (tmp_path / "plain").stat().st_mode

    def test_a_long_name_leaves_room_for_the_temporary_one(self, tmp_path):
        name = "x" * 250 + ".csv"
        write_whole(tmp_path / name, b"")
        assert inside(tmp_path) == {name}

    @pytest.mark.parametrize(
        ("number", "hint"),
        [
            (errno.ENOSPC, "no space left on device; make room and run the same command again"),
            (errno.EACCES, "permission denied; close it where it is open, ask for permission, or"),
            (errno.EROFS, "read-only file system; choose another folder"),
        ],
    )
    def test_what_cannot_be_written_is_a_sentence_and_leaves_what_was_there(
        self, tmp_path, monkeypatch, number, hint
    ):
        write_whole(tmp_path / "treg.csv", b"old")
        monkeypatch.setattr(os, "fsync", failing(number))
        with pytest.raises(OutputError) as caught:
            write_whole(tmp_path / "treg.csv", b"new")
        assert caught.value.code == "E-WRITE"
        assert caught.value.status == 4
        assert hint in str(caught.value)
        assert "What was finished is kept and is not done again" in str(caught.value)
        assert inside(tmp_path) == {"treg.csv"}
        assert (tmp_path / "treg.csv").read_bytes() == b"old"

    def test_a_path_below_a_file_is_a_sentence(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(
            OutputError,
            match=r"E-WRITE .*file/treg.csv  (not a directory|file exists); choose another folder",
        ):
            write_whole(tmp_path / "file" / "treg.csv", b"")

    def test_of_several_none_appears_when_the_last_has_no_room(self, tmp_path, monkeypatch):
        write_together({tmp_path / "a": b"old", tmp_path / "b": b"old"})
        (tmp_path / "c").mkdir()
        real, written = os.fsync, []

        def full_at_second(handle: int) -> None:
            written.append(handle)
            if len(written) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(handle)

        monkeypatch.setattr(os, "fsync", full_at_second)
        with pytest.raises(OutputError, match=r"E-WRITE .*/b  no space left"):
            write_together({tmp_path / "a": b"new", tmp_path / "b": b"new"})
        assert (tmp_path / "a").read_bytes() == b"old"
        assert inside(tmp_path) == {"a", "b", "c"}

    def test_an_interrupt_leaves_nothing_half_written(self, tmp_path, monkeypatch):
        def interrupt(_: int) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_whole(tmp_path / "a", b"")
        assert not inside(tmp_path)


class TestFinding:
    @pytest.mark.parametrize("written", ["runs/Müller 1.fcs", "runs\\Müller 1.fcs"])
    @pytest.mark.parametrize("form", ["NFC", "NFD"])
    @pytest.mark.parametrize("stored", ["NFC", "NFD"])
    def test_a_file_is_found_however_system_and_sheet_spell_it(self, tmp_path, written, form, stored):
        (tmp_path / "runs").mkdir()
        there = tmp_path / "runs" / normalize(stored, "Müller 1.fcs")
        there.touch()
        assert located(tmp_path, normalize(form, written)).samefile(there)

    def test_the_spelling_of_the_sheet_comes_first(self, tmp_path):
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "b.fcs").touch()
        (tmp_path / "a\\b.fcs").touch()
        assert located(tmp_path, "a\\b.fcs") == tmp_path / "a\\b.fcs"

    @pytest.mark.parametrize("file", ["absent.fcs", "x" * 300, "a\\" + "x" * 300])
    def test_what_is_nowhere_stays_as_written(self, tmp_path, file):
        assert located(tmp_path, file) == tmp_path / file

    def test_an_absolute_path_stays_absolute(self, tmp_path):
        (tmp_path / "a.fcs").touch()
        assert located(Path("elsewhere"), str(tmp_path / "a.fcs")) == tmp_path / "a.fcs"


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 7])
def test_sha256_is_that_of_the_whole_file(tmp_path, size):
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    (tmp_path / "a").write_bytes(content)
    assert sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()
