"""A row's file is hashed once while nobody writes to it, and again when somebody did."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tregflow import tubes
from tregflow.errors import FileError
from tregflow.tubes import acquired, content, known_content, stamp

OLD = 1_600_000_000


@pytest.fixture
def path(tmp_path, monkeypatch) -> Path:
    """Return a file that was last written to long ago; what is remembered is forgotten."""
    monkeypatch.setattr(tubes, "_HASHES", {})
    monkeypatch.setattr(tubes, "stamp", _without_ctime)  # which no test can set
    return written(tmp_path / "a.fcs", b"one")


def _without_ctime(path: Path) -> tuple[int, ...]:
    told = stamp(path)
    return (*told[:2], 0, told[3]) if told else ()


def written(path: Path, what: bytes, when: int = OLD) -> Path:
    path.write_bytes(what)
    os.utime(path, (when, when))
    return path


def sha(what: bytes) -> str:
    return hashlib.sha256(what).hexdigest()


@pytest.fixture
def hashed(monkeypatch) -> list[Path]:
    """Return the files that are hashed, as they are."""
    seen: list[Path] = []
    real = tubes.sha256
    monkeypatch.setattr(tubes, "sha256", lambda path: seen.append(path) or real(path))
    return seen


def test_a_file_is_hashed_once(path, hashed):
    assert {known_content(path), known_content(path), content(path)} == {sha(b"one")}
    assert hashed == [path, path]


@pytest.mark.parametrize(("what", "when"), [(b"three", OLD), (b"two", OLD + 1)])
def test_and_again_when_it_was_written_to(path, what, when):
    known_content(path)
    written(path, what, when)
    assert known_content(path) == sha(what)


def test_a_file_that_was_written_to_just_now_is_never_trusted(path, hashed):
    """Two writes may leave the same times where the clock of the disk is coarse."""
    path.write_bytes(b"one")
    known_content(path)
    known_content(path)
    assert len(hashed) == 2


def test_what_is_remembered_is_bounded(tmp_path, path, monkeypatch):
    monkeypatch.setattr(tubes, "REMEMBERED", 3)
    for number in range(10):
        known_content(written(tmp_path / f"{number}.fcs", b"%d" % number))
    assert 1 <= len(tubes._HASHES) <= 3


def test_a_file_that_is_gone_is_refused_though_its_hash_is_known(path):
    known_content(path)
    path.unlink()
    with pytest.raises(FileError, match="there is no such file"):
        known_content(path)


def test_a_run_is_named_by_day_and_cytometer():
    assert acquired({"$DATE": " 15-MAR-2021", "$CYTSN": "H1\n"}) == "15-MAR-2021 H1"
    assert acquired({}) == ""
