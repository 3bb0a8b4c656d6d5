"""Files written whole or not at all, and files known by their content."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from pathlib import Path

from tregflow.errors import Finding, OutputError

CHUNK = 1 << 20


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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    except OSError as error:
        raise unwritten(path, error) from error


def unwritten(path: Path, error: OSError) -> OutputError:
    """Return the error that says why a file could not be written."""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    hint = "make room and run the same command again" if full else "choose another --out or ask for permission"
    return OutputError(Finding("E-WRITE", f"{(error.strerror or str(error)).lower()}; {hint}. Finished files are kept and "
                               "are not gated again", path.name))  # fmt: skip


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as part:
            part.write(content)
            part.flush()
            os.fsync(part.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256(path: Path, start: int = 0, length: int | None = None) -> str:
    """Return the SHA-256 of a file, or of a stretch of it, hexadecimal."""
    digest, left = hashlib.sha256(), length
    with path.open("rb") as file:
        file.seek(start)
        while chunk := file.read(CHUNK if left is None else min(CHUNK, left)):
            digest.update(chunk)
            left = None if left is None else left - len(chunk)
    return digest.hexdigest()
