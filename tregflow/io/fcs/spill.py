"""The spillover matrix of a file (FCS 3.1, 3.2.20 ``$SPILLOVER``).

A template that does not compensate needs none, so a matrix that cannot be read is a note here, and
refuses the file only where compensation asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from tregflow.errors import Finding
from tregflow.io.fcs.text import decimal, whole
from tregflow.privacy import BLANKS, shown
from tregflow.sample import Spillover, Values

SOURCES = ("$SPILLOVER", "SPILL", "$SPILL", "SPILLOVER")
"""Keywords of one form, the standard's first."""

CONSEQUENCE = "a template with compensation: file refuses this file"

SUBTRACTED = re.compile(r"\$DFC\d+TO\d+")
"""Per cent of one parameter that the instrument subtracted from another (FCS 2.0); ``$COMP`` is the same as
a matrix (FCS 3.0, 3.2.20)."""

SAME = 1e-6
"""Matrices closer than this are one matrix, printed with other numbers of digits."""


class SpillError(Exception):
    """A matrix cannot be read; the message is the reason."""


def read_spillover(keywords: Mapping[str, str]) -> tuple[Spillover | None, tuple[Finding, ...]]:
    """Return the spillover matrix of TEXT, or None with a note that says why.

    Parameters
    ----------
    keywords : mapping of str to str
        TEXT.

    Returns
    -------
    Spillover or None
        Detectors as the keyword names them, in its order.
    tuple of Finding
        ``N-SPILL`` notes.
    """
    told = subtracted(keywords)
    notes = (
        [Finding("N-SPILL", f"{told} while it acquired; that is no spillover matrix and was not applied")]
        if told
        else []
    )
    try:
        found = [
            parse_spillover(keywords[key], key) for key in SOURCES if _says_something(keywords.get(key, ""))
        ]
        spillover = _agreed(found)
    except SpillError as problem:
        return None, (Finding("N-SPILL", f"{problem}; {CONSEQUENCE}"), *notes)
    if len(found) > 1:
        sources = " and ".join(one.source for one in found)
        notes.append(Finding("N-SPILL", f"{sources} hold the same matrix; {found[0].source} was taken"))
    return spillover, tuple(notes)


def parse_spillover(written: str, source: str) -> Spillover:
    """Return the matrix that a keyword writes: n, then n names, then n x n values row by row.

    Raises
    ------
    SpillError
        If it is not that.
    """
    size, words = _counted(written, source)
    if len(words) != size + size * size:
        wanted = f"{size} names and {size} x {size} = {size * size:,} values"
        raise SpillError(f"{source} announces {wanted}, but {len(words):,} words follow")
    return Spillover(tuple(words[:size]), _square(words[size:], size, source), source)


def _counted(written: str, source: str) -> tuple[int, list[str]]:
    """Return the number of detectors that a matrix begins with, and the words that follow."""
    first, *words = (word.strip(BLANKS) for word in written.strip(BLANKS).rstrip(",").split(","))
    size = whole(first)
    if size is None or size < 1:
        raise SpillError(f"{source} begins with {shown(first)}, not with the number of its detectors")
    return size, words


def _square(words: Sequence[str], size: int, source: str) -> Values:
    values = [decimal(word) for word in words]
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        raise SpillError(f"{source} holds {shown(words[values.index(None)])} where a number should be")
    matrix = np.array(numbers).reshape(size, size)
    matrix.flags.writeable = False
    return matrix


def _says_something(written: str) -> bool:
    return written.strip(BLANKS + ",") not in ("", "0")


def _agreed(found: list[Spillover]) -> Spillover | None:
    for other in found[1:]:
        if not _same(found[0], other):
            first = f"{found[0].source} ({len(found[0].names)} detectors)"
            raise SpillError(
                f"{first} and {other.source} ({len(other.names)} detectors) hold different matrices"
            )
    return found[0] if found else None


def _same(one: Spillover, other: Spillover) -> bool:
    return one.names == other.names and bool(np.allclose(one.matrix, other.matrix, rtol=0, atol=SAME))


def subtracted(keywords: Mapping[str, str]) -> str:
    """Return in words what the instrument subtracted while it acquired; nothing where it did not.

    Parameters
    ----------
    keywords : mapping of str to str
        TEXT.
    """
    pairs = [keywords[key] for key in keywords if SUBTRACTED.fullmatch(key)]
    if used := sum(decimal(value) != 0 for value in pairs):
        return f"$DFCiTOj ({used} of {len(pairs)} not 0) says what the instrument subtracted"
    return "$COMP says what the instrument subtracted" if _is_subtracting(keywords.get("$COMP", "")) else ""


def _is_subtracting(written: str) -> bool:
    """Whether a ``$COMP`` holds anything but 0 beside its diagonal, or cannot be read."""
    first, *words = (word.strip(BLANKS) for word in written.strip(BLANKS).rstrip(",").split(","))
    size = whole(first) or 0
    if not _says_something(written):
        return False
    if size < 1 or len(words) != size * size:
        return True
    return any(decimal(word) != 0 for place, word in enumerate(words) if place % (size + 1))
