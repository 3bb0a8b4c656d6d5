"""A file packed with gzip, unpacked to where it can be mapped.

What is in the file decides, not its name. It is unpacked piece by piece into a temporary file without a
name, which goes with its last user, and not further than an FCS file can be believed to have shrunk.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, BinaryIO

from tregflow.errors import FileError, refuse

MAGIC = b"\x1f\x8b"
"""How gzip begins (RFC 1952, 2.3.1)."""

LARGEST = 4 * 2**30
"""Bytes that are unpacked at most."""

MOST_SHRUNK = 200
"""Times its packed size that a file may have: list-mode events shrink two- to tenfold."""

PIECE = 2**20


def is_packed(stream: BinaryIO) -> bool:
    """Whether an open file is packed with gzip; it is left at its beginning."""
    begins = stream.read(len(MAGIC)) == MAGIC
    stream.seek(0)
    return begins


@contextmanager
def unpacked(stream: BinaryIO) -> Iterator[IO[bytes]]:
    """Unpack an open gzip file for as long as it is used; what is mapped from it stays.

    Raises
    ------
    FileError
        ``E-PACKED``: it is damaged, or unpacks to more than is believed.
    """
    size = os.fstat(stream.fileno()).st_size
    with _room() as plain:
        try:
            _unpack(stream, plain, min(LARGEST, MOST_SHRUNK * size), size)
        except EOFError:
            raise _damaged(size, "ends before what it packs does") from None
        except (gzip.BadGzipFile, zlib.error):
            raise _damaged(size, "is damaged") from None
        yield plain


def _room() -> IO[bytes]:
    try:
        return TemporaryFile()
    except OSError as problem:
        raise _roomless(str(problem.strerror)) from None


def _unpack(stream: BinaryIO, plain: IO[bytes], most: int, size: int) -> None:
    with gzip.GzipFile(fileobj=stream) as pieces:
        while piece := pieces.read(PIECE):
            if plain.tell() + len(piece) > most:
                said = f"unpacks to more than {most:,} bytes from {size:,}"
                raise refuse("E-PACKED", f"the file {said}; unpack it yourself and look at what it holds")
            _written(plain, piece)


def _written(plain: IO[bytes], piece: bytes) -> None:
    try:
        plain.write(piece)
        plain.flush()
    except OSError as problem:
        raise _roomless(str(problem.strerror)) from None


def _roomless(why: str) -> FileError:
    said = f"there is no room for temporary files to unpack it: {why}"
    return refuse("E-PACKED", f"{said}; make room, set TMPDIR, or unpack it yourself")


def _damaged(size: int, how: str) -> FileError:
    return refuse(
        "E-PACKED", f"the file is packed with gzip and {how} ({size:,} bytes); copy or export it again"
    )
