"""Files written whole or not at all, found as a sheet names them, and known by their content."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from unicodedata import normalize

from tregflow.errors import Finding, OutputError

PART = ".part"
"""How a file that is being written ends; its name begins with a dot."""

FULL = {errno.ENOSPC, errno.EDQUOT}
FORBIDDEN = {errno.EACCES, errno.EPERM}


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all: temporary file, flush, rename.

    Parameters
    ----------
    path : Path
        Its folder is made if needed.
    content : bytes
        All of it.

    Raises
    ------
    OutputError
        ``E-WRITE``: no room, no permission.
    """
    write_together({path: content})


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write files of which none appears before there was room for all.

    Parameters
    ----------
    contents : mapping of Path to bytes
        In the order in which they appear; their folders are made if needed.

    Raises
    ------
    OutputError
        ``E-WRITE``: no room, no permission; what stood there before still does.
    """
    parts: dict[Path, Path] = {}
    path = Path()
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            parts[path] = _staged(path, content)
        for path, part in parts.items():
            part.replace(path)
    except OSError as error:
        raise unwritten(path, error) from error
    finally:
        _cleared(parts.values())


def unwritten(path: Path, error: OSError) -> OutputError:
    """Return the error that says why a file could not be written."""
    hint = "choose another folder"
    if error.errno in FULL:
        hint = "make room and run the same command again"
    elif error.errno in FORBIDDEN:
        hint = "close it where it is open, ask for permission, or choose another folder"
    return OutputError(Finding("E-WRITE", f"{(error.strerror or str(error)).lower()}; {hint}. What was finished is kept and "
                               "is not done again", str(path)))  # fmt: skip


def located(root: Path, file: str) -> Path:
    r"""Return where a file of a sheet is, whichever system the sheet was written on.

    Parameters
    ----------
    root : Path
        The sheet's folder.
    file : str
        As the sheet writes it: ``\`` may stand for ``/``, and letters with accents may be composed
        or not.

    Returns
    -------
    Path
        The first spelling that is there; as written where none is.
    """
    slashed = file.replace("\\", "/")
    spellings = dict.fromkeys((file, slashed, normalize("NFC", slashed), normalize("NFD", slashed)))
    paths = [root / spelling for spelling in spellings]
    return next(filter(_is_there, paths), paths[0])


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _staged(path: Path, content: bytes) -> Path:
    """Write the content beside the file it is for; return where."""
    part = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}{PART}")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        _cleared([part])
        raise
    return part


def _cleared(parts: Iterable[Path]) -> None:
    for part in parts:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
