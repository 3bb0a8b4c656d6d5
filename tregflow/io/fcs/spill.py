"""The spillover matrix of a file (FCS 3.1, 3.2.20 ``$SPILLOVER``).

A template that does not compensate needs none, so a matrix that cannot be read is a note here, and
refuses the file only where compensation asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from tregflow.errors import Finding
from tregflow.io.fcs.text import BLANKS, decimal, shown, whole
from tregflow.sample import Spillover

SOURCES = ("$SPILLOVER", "SPILL", "$SPILL", "SPILLOVER")
"""Keywords of one form, the standard's first."""

CONSEQUENCE = "a template with compensation: file refuses this file"

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
    try:
        found = [
            parse_spillover(keywords[key], key) for key in SOURCES if _says_something(keywords.get(key, ""))
        ]
        spillover = _agreed(found)
    except SpillError as problem:
        return None, (Finding("N-SPILL", f"{problem}; {CONSEQUENCE}"),)
    return spillover, tuple(_notes(keywords, found))


def parse_spillover(written: str, source: str) -> Spillover:
    """Return the matrix that a keyword writes: n, then n names, then n x n values row by row.

    Raises
    ------
    SpillError
        If it is not that.
    """
    words = [word.strip(BLANKS) for word in written.strip(BLANKS).rstrip(",").split(",")]
    size = whole(words[0])
    if size is None or size < 1:
        raise SpillError(f"{source} begins with {shown(words[0])}, not with the number of its detectors")
    if len(words) != 1 + size + size * size:
        wanted = f"{size} names and {size} x {size} = {size * size:,} values"
        raise SpillError(f"{source} announces {wanted}, but {len(words) - 1:,} words follow")
    values = [decimal(word) for word in words[1 + size :]]
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        raise SpillError(
            f"{source} holds {shown(words[1 + size + values.index(None)])} where a number should be"
        )
    matrix = np.array(numbers).reshape(size, size)
    matrix.flags.writeable = False
    return Spillover(tuple(words[1 : 1 + size]), matrix, source)


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


def _notes(keywords: Mapping[str, str], found: list[Spillover]) -> Iterator[Finding]:
    if len(found) > 1:
        sources = " and ".join(spillover.source for spillover in found)
        yield Finding("N-SPILL", f"{sources} hold the same matrix; {found[0].source} was taken")
    if keywords.get("$COMP", "").strip(BLANKS):
        yield Finding(
            "N-SPILL", "$COMP is present and was not read: it does not name the detectors that it is about"
        )
    pairs = sum(re.fullmatch(r"\$DFC\d+TO\d+", key) is not None for key in keywords)
    if pairs:
        yield Finding(
            "N-SPILL", f"{pairs} $DFCiTOj keywords are present and were not read: they do not name detectors"
        )
