"""HEADER, and the stretches of a file that it and TEXT point to (FCS 3.1, 3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from tregflow.errors import refuse
from tregflow.privacy import shown

VERSIONS = ("FCS2.0", "FCS3.0", "FCS3.1", "FCS3.2")

HEADER_LENGTH = 58
"""Version, four blanks and six offsets of eight characters: DATA and TEXT lie behind this."""

LARGEST_OFFSET = 99_999_999
"""What eight characters can say; larger files keep the offsets of DATA in TEXT alone."""

PACKED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7-Zip",
}


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `begin` up to, not including, `end`, counted from the start of a data set."""

    begin: int
    end: int

    @property
    def length(self) -> int:
        """Number of bytes; never negative."""
        return max(self.end - self.begin, 0)

    def overlaps(self, other: Span) -> bool:
        """Whether a byte lies in both."""
        return max(self.begin, other.begin) < min(self.end, other.end)

    def __str__(self) -> str:
        return f"{self.begin}-{self.end - 1}"


EMPTY = Span(0, 0)


@dataclass(frozen=True, slots=True)
class Header:
    """What the first 58 bytes of a data set say.

    Parameters
    ----------
    version : str
        One of `VERSIONS`.
    text, data, analysis : Span
        As written; `EMPTY` where an offset pair is blank or 0.
    odd : str
        What of it could not be used, as a sentence; empty mostly.
    """

    version: str
    text: Span
    data: Span
    analysis: Span
    odd: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One data set's stretch of an open file: offsets inside it count from `base`.

    Parameters
    ----------
    stream : binary file
        Open for reading.
    base : int
        Where the data set begins in the file.
    size : int
        Bytes from there to the next data set, or to the end of the file.
    """

    stream: IO[bytes]
    base: int
    size: int

    def read(self, span: Span) -> bytes:
        """Return the bytes of a span, as far as the data set goes."""
        if not 0 <= span.begin < self.size:
            return b""
        self.stream.seek(self.base + span.begin)
        return self.stream.read(max(min(span.end, self.size) - span.begin, 0))

    def ending_at(self, size: int) -> Source:
        """Return the same source, cut to its first `size` bytes."""
        return Source(self.stream, self.base, size)

    def after(self, offset: int) -> Source:
        """Return what begins `offset` bytes further on."""
        return Source(self.stream, self.base + offset, self.size - offset)

    def begins_a_data_set(self) -> bool:
        """Whether a version of FCS stands at the beginning."""
        return self.read(Span(0, 6)).decode("latin-1") in VERSIONS


def read_header(source: Source) -> Header:
    """Return the HEADER of a data set, or refuse the file."""
    first = source.read(Span(0, HEADER_LENGTH))
    version = _version(first)
    if len(first) < HEADER_LENGTH:
        raise refuse(
            "E-TRUNCATED", f"the file ends after {len(first)} bytes, inside its HEADER of {HEADER_LENGTH}"
        )
    text, data, analysis = (_offsets(first, place) for place in (10, 26, 42))
    return Header(version, _text_span(text, source.size), _data_span(data, "DATA"), *_analysis_span(analysis))


def _version(first: bytes) -> str:
    version = first[:6].decode("latin-1")
    if version in VERSIONS:
        return version
    if not first:
        raise refuse("E-NOT-FCS", "the file is empty (0 bytes); copy or export it again")
    if first.startswith(b"FCS") and first[3:6].replace(b".", b"").isdigit():
        raise refuse(
            "E-NOT-FCS",
            f"the file begins {shown(first[:6].decode('latin-1'))}; {', '.join(VERSIONS)} are read",
        )
    raise refuse("E-NOT-FCS", f"the file is {_stranger(first)}")


def _stranger(first: bytes) -> str:
    """Return what a file is instead, and what would help; its text is not shown, it may be a list of patients."""
    packed = next((name for magic, name in PACKED.items() if first.startswith(magic)), "")
    if packed:
        return f"packed with {packed}; unpack it first"
    what = f"no FCS file: it begins with the bytes {first[:4].hex(' ')}"
    if first.lstrip().startswith(b"<"):
        what = "a web page or XML under the name of an FCS file"
    elif all(byte in b"\t\r\n\f" or byte >= 32 for byte in first):
        what = "text, not an FCS file"
    return f"{what}; FCS files begin with their version, as FCS3.1. Copy it again"


def _offsets(first: bytes, place: int) -> tuple[int | None, int | None]:
    begin, last = (_offset(first[at : at + 8]) for at in (place, place + 8))
    return begin, last


def _offset(field: bytes) -> int | None:
    """Return an offset of HEADER; blank means 0, and None that it is not a number."""
    word = field.strip(b" \0")
    digits = word.removeprefix(b"-")
    if word and not digits.isdigit():
        return None
    return int(word or b"0")


def _text_span(offsets: tuple[int | None, int | None], size: int) -> Span:
    begin, last = offsets
    if begin is None or last is None:
        raise refuse("E-HEADER", "the offsets of TEXT in HEADER are not numbers")
    if begin < HEADER_LENGTH or last <= begin:
        raise refuse(
            "E-HEADER",
            f"HEADER places TEXT at bytes {begin} to {last}; it has to begin at {HEADER_LENGTH} or later"
            " and to end behind its begin",
        )
    if last > size:  # one byte too high is common and harmless
        raise refuse("E-TRUNCATED", f"TEXT ends at byte {last}, but the file has {size} bytes; copy it again")
    return Span(begin, last + 1)


def _data_span(offsets: tuple[int | None, int | None], name: str) -> Span:
    begin, last = offsets
    if begin is None or last is None:
        raise refuse("E-HEADER", f"the offsets of {name} in HEADER are not numbers")
    if begin < 0 or last < -1:
        raise refuse("E-HEADER", f"HEADER places {name} at bytes {begin} to {last}; offsets are not negative")
    return stated_span(begin, last)


def _analysis_span(offsets: tuple[int | None, int | None]) -> tuple[Span, str]:
    begin, last = offsets
    if begin is None or last is None or begin < 0 or last < begin:
        is_blank = begin == 0 and last in (0, -1)
        return (
            EMPTY,
            "" if is_blank else "the offsets of ANALYSIS in HEADER have no meaning; it was not looked at",
        )
    return stated_span(begin, last), ""


def stated_span(begin: int, last: int) -> Span:
    """Return the span that a pair of offsets states; ``0,0``, ``0,-1`` and blanks state none.

    A begin without an end (0) states an empty span there; an end before its begin is kept as it is.
    """
    return EMPTY if begin <= 0 else Span(begin, last + 1 if last > 0 else begin)


def gaps(inside: Span, taken: Iterable[Span]) -> Iterator[Span]:
    """Yield the stretches of a span that no other span takes."""
    at = inside.begin
    for span in sorted(taken, key=lambda span: span.begin):
        if span.begin > at:
            yield Span(at, min(span.begin, inside.end))
        at = max(at, span.end)
        if at >= inside.end:
            return
    if at < inside.end:
        yield Span(at, inside.end)
