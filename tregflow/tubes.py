"""A row's file: whether it is there, what it holds by its hash, its events, and its markers.

A file is hashed once for a batch and not once for every tube that leans on it: hashes are remembered by
where a file is and what the system says changes with it, for files that nobody wrote to just now.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tregflow.binding import Marker
from tregflow.errors import FileError, Finding, nearest, refuse
from tregflow.identity import plain
from tregflow.io.fcs import read_fcs
from tregflow.io.files import sha256
from tregflow.outcome import storable
from tregflow.sample import Sample
from tregflow.study import Tube
from tregflow.template import Template
from tregflow.view import Bound

YOUNG = 2e9
"""Nanoseconds after which a file's times tell whether it was written to again."""

REMEMBERED = 4096
"""Hashes that are remembered."""

_HASHES: dict[tuple[str, tuple[int, ...]], str] = {}


@dataclass(frozen=True, slots=True)
class Beside:
    """A row and its file, as another tube may lean on it.

    Parameters
    ----------
    tube : Tube
        The row.
    path : Path
        Its file.
    published : str
        SHA-256 of the file that the last finished run saw under this name; empty where there was none.
    """

    tube: Tube
    path: Path
    published: str = ""

    @property
    def sample(self) -> str:
        """The row's name."""
        return self.tube.sample


def acquired(keywords: Mapping[str, str]) -> str:
    """Return ``$DATE`` and ``$CYTSN`` in one line: the run of a row that names none."""
    return plain(" ".join(keywords.get(key, "") for key in ("$DATE", "$CYTSN")))


def read_tube(path: Path, tube: Tube, template: Template) -> Sample:
    """Read the data set that a row names, scaled as the template says.

    Raises
    ------
    FileError
        As `read_fcs` does.
    """
    scaling = template.scaling
    return read_fcs(path, gain=scaling.gain or "apply", log_on_floats=scaling.log_on_floats == "apply",
                    data_set=tube.data_set)  # fmt: skip


def stamp(path: Path) -> tuple[int, ...]:
    """Return what changes when a file does: size, times and place on the disk; nothing where there is none."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def content(path: Path) -> str:
    """Return the SHA-256 of a file that can be read to its end.

    Raises
    ------
    FileError
        ``E-MISSING``, ``E-UNREADABLE``.
    """
    refuse_absent(path)
    try:
        return sha256(path)
    except OSError as error:
        raise _locked(error) from None


def known_content(path: Path) -> str:
    """Return what `content` does, from memory where the file was hashed before and has not been written to since."""
    key = (str(path), stamp(path))
    if key in _HASHES:
        return _HASHES[key]
    found = content(path)
    if key[1] and time.time_ns() - max(key[1][1:3]) > YOUNG:
        if len(_HASHES) >= REMEMBERED:
            _HASHES.clear()
        _HASHES[key] = found
    return found


def refuse_absent(path: Path) -> None:
    """Refuse what is no file.

    Parameters
    ----------
    path : Path
        What a row names.

    Raises
    ------
    FileError
        ``E-MISSING``, ``E-UNREADABLE``.
    """
    try:
        is_there, is_file = path.exists(), path.is_file()
    except OSError as error:
        raise _locked(error) from None
    if not is_there:
        raise refuse(
            "E-MISSING", f"there is no such file in {_folder(path)}{nearest(path.name, _beside(path))}"
        )
    if not is_file:
        raise refuse("E-UNREADABLE", "is a folder, a device or a pipe; name the FCS file itself")


def bind_control(
    template: Template, sample: Sample, named: Mapping[str, str]
) -> tuple[Bound | None, tuple[Finding, ...]]:
    """Bind what a control tube has of a template's markers; it need not have them all.

    Parameters
    ----------
    template : Template
        The stored hierarchy.
    sample : Sample
        The file.
    named : mapping of str to str
        Channels that the sheet names outright, by marker.

    Returns
    -------
    bound : Bound or None
        None where a marker cannot be told from another.
    findings : tuple of Finding
        ``N-CONTROL`` where markers are not bound.

    Raises
    ------
    FileError
        What is wrong with the file itself: ``E-SPILL``, ``E-SCALING``.
    """
    declared = {marker.name: marker for marker in template.markers}
    markers = tuple(replace(declared.get(name, Marker(name)), optional=True) for name in template.scales)
    try:
        bound = replace(template, markers=markers).bind(sample, named)
    except FileError as error:
        if {finding.code for finding in error.findings} != {"E-MARKER"}:
            raise
        return None, (
            Finding("N-CONTROL", f"not bound: {'; '.join(one.sentence for one in error.findings)}"),
        )
    missing = [marker.name for marker in markers if marker.name not in bound.channels
               and not declared.get(marker.name, marker).optional]  # fmt: skip
    told = f"this control does not have every marker of the template: {', '.join(missing)} not bound"
    return bound, (*bound.findings, *([Finding("N-CONTROL", told)] if missing else []))


def _locked(error: OSError) -> FileError:
    return refuse("E-UNREADABLE", f"the system did not let the file be read: {error.strerror}")


def _folder(path: Path) -> str:
    return storable("the working folder" if path.parent == Path() else str(path.parent))


def _beside(path: Path) -> list[str]:
    try:
        return sorted(storable(other.name) for other in path.parent.iterdir())
    except OSError:
        return []
