"""The spillover matrix of a file (FCS 3.1, 3.2.20 ``$SPILLOVER``).

A template that does not compensate needs none, so a matrix that cannot be read is a note here, and
refuses the file only where compensation asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tregflow.errors import Finding
from tregflow.io.fcs.text import decimal, whole
from tregflow.privacy import BLANKS, shown
from tregflow.sample import Spillover, Values

SOURCES = ("$SPILLOVER", "SPILL", "$SPILL", "SPILLOVER")
"""Keywords of one form, the standard's first."""

CONSEQUENCE = "a template with compensation: file refuses this file"

UNNAMED = "$COMP"
"""A matrix over all parameters in their order, without names (FCS 3.0); taken where no other is there."""

SUBTRACTED = re.compile(r"\$DFC\d+TO\d+")
"""FCS 2.0: per cent of one parameter that the instrument was told to subtract from another."""

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
        found = found or _unnamed(keywords)
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
    size, words = _counted(written, source)
    if len(words) != size + size * size:
        wanted = f"{size} names and {size} x {size} = {size * size:,} values"
        raise SpillError(f"{source} announces {wanted}, but {len(words):,} words follow")
    return Spillover(tuple(words[:size]), _square(words[size:], size, source), source)


def _unnamed(keywords: Mapping[str, str]) -> list[Spillover]:
    """Return the matrix of ``$COMP``, its detectors called by their places; none where it says nothing."""
    written = keywords.get(UNNAMED, "")
    if not _says_something(written):
        return []
    size, words = _counted(written, UNNAMED)
    if size != whole(keywords.get("$PAR")):
        has = f"the file has {keywords['$PAR'].strip(BLANKS)} parameters"
        raise SpillError(f"{UNNAMED} is about {size} detectors that it does not name, and {has}")
    if len(words) != size * size:
        raise SpillError(f"{UNNAMED} announces {size * size:,} values, but {len(words):,} words follow")
    names = tuple(str(number) for number in range(1, size + 1))
    return [Spillover(names, _square(words, size, UNNAMED), UNNAMED)]


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


def _notes(keywords: Mapping[str, str], found: list[Spillover]) -> Iterator[Finding]:
    if len(found) > 1:
        sources = " and ".join(spillover.source for spillover in found)
        yield Finding("N-SPILL", f"{sources} hold the same matrix; {found[0].source} was taken")
    if found and found[0].source != UNNAMED and keywords.get(UNNAMED, "").strip(BLANKS):
        yield Finding("N-SPILL", f"{UNNAMED} is there too and was not compared: it names no detectors")
    if told := _subtracted(keywords):
        yield Finding("N-SPILL", told)


def _subtracted(keywords: Mapping[str, str]) -> str:
    """Return what ``$DFCiTOj`` keywords mean here; nothing where there are none."""
    pairs = [keywords[key] for key in keywords if SUBTRACTED.fullmatch(key)]
    if not pairs:
        return ""
    used = sum(bool(decimal(value)) for value in pairs)
    told = (
        f"$DFCiTOj ({len(pairs)}, of which {used} not 0) says what the instrument was told to subtract while"
    )
    return f"{told} it acquired; it is no spillover matrix and was not applied"
