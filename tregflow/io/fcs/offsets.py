"""Where the events are: what HEADER and TEXT claim, tried against what the events need.

Both may state the bytes of DATA and either may be wrong. A claim *fits* when its bytes are those of
the announced events, or one more (an end one too high is the commonest fault of writers). A fit
decides; nothing is allocated before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tregflow.errors import FileError, Finding, refuse
from tregflow.io.fcs.data_sets import DataSet
from tregflow.io.fcs.segments import EMPTY, HEADER_LENGTH, LARGEST_OFFSET, Span, gaps
from tregflow.io.fcs.text import whole
from tregflow.privacy import quoted

CRC_LENGTH = 8
"""Bytes of the checksum that ends a data set (FCS 3.1, 3.5); most writers put zeros there."""

CHECKSUM = re.compile(rb"[0-9A-Fa-f]{8}")
"""A checksum as it may be written; the standard does not say in which base."""

LINES = dict.fromkeys(map(ord, "\t\r\n\f"))
"""Signs that text may hold though they are not printed."""

NEAR = 256
"""Bytes behind TEXT, and behind the last segment, in which what was pushed out of its place is looked for."""

AHEAD = 32
"""Bytes behind TEXT that are no events if all of them can be read."""

FILL = b" \0\r\n"
"""What writers put between segments."""

LARGEST_GAP = 2**20
"""Bytes behind TEXT that are looked at for values that no segment claims."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one of the two places says about DATA."""

    source: str
    span: Span

    @property
    def is_open(self) -> bool:
        """Whether it says where DATA begins and not where it ends: no end, or the begin once more."""
        return 0 <= self.span.end - self.span.begin <= 1

    @property
    def verb(self) -> str:
        """What it, or they, do."""
        return "give" if " and " in self.source else "gives"

    def __str__(self) -> str:
        return f"{self.source} ({self.span})"


@dataclass(frozen=True, slots=True)
class Demand:
    """What the events need.

    Parameters
    ----------
    width : int
        Bytes of one event.
    total : int or None
        ``$TOT``; None where it is missing or no number.
    is_certain : bool
        False where only an exact fit may be believed: a ``$PnB`` contradicts the width, or TEXT
        ends within ``$TOT``.
    """

    width: int
    total: int | None
    is_certain: bool = True

    @property
    def length(self) -> int:
        """Bytes of all announced events; 0 where none are announced."""
        return self.width * (self.total or 0)

    def __str__(self) -> str:
        return f"{self.total or 0:,} event{'s'[: self.total != 1]} of {self.width:,} bytes"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the events are, counted from the start of the data set."""

    begin: int
    n_events: int
    findings: tuple[Finding, ...] = ()


def find_events(data_set: DataSet, width: int, *, doubt: str = "") -> Place:
    """Return where the events of a data set are.

    Parameters
    ----------
    data_set : DataSet
        With the keywords of its supplemental TEXT.
    width : int
        Bytes of one event.
    doubt : str
        A keyword that contradicts `width`; an exact fit overrules it.

    Returns
    -------
    Place
        All of its bytes are in the file.

    Raises
    ------
    FileError
        If no claim fits, DATA is cut, or segments overlap.
    """
    demand = _demand(data_set, width, doubt)
    claims = _claims(data_set)
    if demand.total == 0:
        return _nothing(data_set, claims, width)
    place = _placed(data_set, claims, demand)
    events = Span(place.begin, place.begin + place.n_events * width)
    _refuse_overlaps(data_set, events)
    return replace(
        place, findings=(*place.findings, *_silences(data_set, events.begin), *_shifts(data_set, events))
    )


def _demand(data_set: DataSet, width: int, doubt: str) -> Demand:
    text = data_set.text
    total = whole(text.keywords.get("$TOT"))
    if total is not None and total < 0:
        raise refuse("E-KEYWORD", f"$TOT is {total}; a number of events is not negative")
    return Demand(width, total, is_certain=not doubt and text.unclosed != "$TOT")


def _claims(data_set: DataSet) -> tuple[Claim, ...]:
    """Return the claims that say something, TEXT's first: it holds more digits."""
    stated, header = data_set.stated("$BEGINDATA", "$ENDDATA"), data_set.header.data
    if stated == header != EMPTY:
        return (Claim("HEADER and TEXT", stated),)
    both = (Claim("TEXT", stated), Claim("HEADER", header))
    return tuple(claim for claim in both if claim.span.begin not in (0, LARGEST_OFFSET))


def _placed(data_set: DataSet, claims: Sequence[Claim], demand: Demand) -> Place:
    size = data_set.source.size
    if not claims:
        raise refuse("E-OFFSETS", "neither HEADER nor TEXT says where DATA is; export the file again")
    fitting = [claim for claim in claims if _fits(claim.span, demand, size)]
    if fitting:
        chosen = _settled(data_set, fitting)
        return Place(chosen.span.begin, demand.total or 0, tuple(_disagreement(chosen, claims, demand)))
    stating = [claim for claim in claims if not claim.is_open] or claims[:1]
    if len(stating) > 1 or not demand.is_certain or len({claim.span.begin for claim in claims}) > 1:
        raise _misfit(claims, demand, size)
    return _loosely(data_set, stating[0], demand)


def _fits(span: Span, demand: Demand, size: int) -> bool:
    is_long_enough = span.length - demand.length in (0, 1) and span.begin + demand.length <= size
    return demand.total is not None and is_long_enough


def _settled(data_set: DataSet, fitting: Sequence[Claim]) -> Claim:
    """Return the claim to believe of those that fit: the one that leaves no value before it unclaimed."""
    first, *others = fitting
    if all(_is_harmless(other, first.span) or other.span.begin == first.span.begin for other in others):
        return first
    quiet = [claim for claim in fitting if not _unclaimed(data_set, claim.span.begin)]
    if len(quiet) == 1:
        return quiet[0]
    both = " and ".join(map(str, fitting))
    sentence = f"{both} both fit the events announced and nothing tells which is right; export it again"
    raise refuse("E-OFFSETS", sentence)


def _disagreement(chosen: Claim, claims: Sequence[Claim], demand: Demand) -> Iterator[Finding]:
    if chosen.span.length > demand.length:
        yield Finding("N-OFFSETS", f"{chosen} ends DATA one byte too high; {demand} prove it")
    for other in claims:
        if other.span != chosen.span:
            code = "N-OFFSETS" if _is_harmless(other, chosen.span) else "F-OFFSETS"
            yield Finding(code, f"{other} and {chosen} differ about DATA; {demand} fit {chosen.source}")


def _is_harmless(other: Claim, chosen: Span) -> bool:
    """Whether another claim says the same: cut to eight digits or filled with nines, open, or a byte off."""
    begin, end = other.span.begin, other.span.end
    digits = LARGEST_OFFSET + 1
    if (begin, end - 1) == (chosen.begin % digits, (chosen.end - 1) % digits):
        return True
    return begin == chosen.begin and (other.is_open or end == digits or abs(end - chosen.end) == 1)


def _loosely(data_set: DataSet, claim: Claim, demand: Demand) -> Place:
    """Return the events of the one claim there is, which does not fit what is announced."""
    size, span = data_set.source.size, claim.span
    if claim.is_open and demand.total and span.begin + demand.length <= size:
        sentence = f"{claim.source} says where DATA begins and not where it ends; {demand} are there"
        return Place(span.begin, demand.total, (Finding("N-OFFSETS", sentence),))
    length = min(span.length, size - span.begin)
    n_events, rest = divmod(length, demand.width)
    if length < span.length - 1 or n_events < max(demand.total or 0, 1):
        raise _misfit([claim], demand, size)
    if demand.total == n_events:
        seen = f"{claim.source} {claim.verb} {span.length:,} bytes to DATA ({span}), but {demand} need {demand.length:,}"
        finding = Finding("F-OFFSETS", f"{seen}; they were read from its begin, and columns may have rotated")
    else:
        finding = _wrong_total(data_set, demand, n_events, rest)
    return Place(span.begin, n_events, (finding,))


def _wrong_total(data_set: DataSet, demand: Demand, n_events: int, rest: int) -> Finding:
    stated = data_set.text.keywords.get("$TOT", "")
    announced = f"$TOT is {quoted(data_set.text.keywords, '$TOT')}" if stated.strip() else "$TOT is missing"
    left = f" and {rest} bytes more" if rest > 1 else ""
    held = f"DATA holds {replace(demand, total=n_events)}{left}"
    if data_set.header.version == "FCS2.0" and not stated.strip() and not left:
        return Finding("N-KEYWORD", f"{announced}, as FCS 2.0 allows; {held}")
    return Finding("F-TOT", f"{announced}, but {held}; all events were read")


def _misfit(claims: Sequence[Claim], demand: Demand, size: int) -> FileError:
    """Return why no claim can be believed: the file is cut, or its offsets have no meaning."""
    wanted = max(demand.length, claims[0].span.length - 1)
    missing = claims[0].span.begin + wanted - size
    if missing > 0 and demand.is_certain and all(claim.span.length >= demand.length for claim in claims):
        there = f"{min(missing, wanted):,} of {wanted:,} bytes of DATA are missing"
        return refuse("E-TRUNCATED", f"{there}; copy or export it again")
    needed = f"$TOT announces {demand}, {demand.length:,} in all"
    if demand.total is None:
        needed = f"$TOT is no number and an event has {demand.width:,} bytes"
    held = " and ".join(
        f"{claim.source} {claim.verb} {claim.span.length:,} bytes to DATA ({claim.span})" for claim in claims
    )
    return refuse("E-OFFSETS", f"{needed}, but {held}; export the file again")


def _nothing(data_set: DataSet, claims: Sequence[Claim], width: int) -> Place:
    """Return the empty place of a tube without events, or refuse a file that is still being written."""
    begin = data_set.header.text.end
    rest = Span(begin, min(data_set.source.size, begin + LARGEST_GAP))
    behind = max(map(len, _loud(data_set, rest)), default=0)
    announced = max((claim.span.length for claim in claims), default=0)
    if announced > max(width, 2) or behind > max(width, CRC_LENGTH):
        seen = f"{max(announced, behind):,} bytes follow TEXT"
        raise refuse("E-OFFSETS", f"$TOT is 0, but {seen}; is the file still being written?")
    return Place(begin, 0)


def _refuse_overlaps(data_set: DataSet, events: Span) -> None:
    others = {
        "HEADER": Span(0, HEADER_LENGTH + 1),
        "TEXT": data_set.header.text,
        "ANALYSIS": data_set.analysis,
        "supplemental TEXT": data_set.supplement,
    }
    for name, span in others.items():
        if events.overlaps(Span(span.begin, span.end - 1)):  # an end one too high does no harm
            said = f"the events (bytes {events}) overlap {name} (bytes {span})"
            raise refuse("E-OFFSETS", f"{said}; export the file again")


def _silences(data_set: DataSet, begin: int) -> Iterator[Finding]:
    if too := _closing(data_set, begin):
        seen = f"HEADER ends TEXT one byte too {too} (byte {data_set.header.text.end - 1})"
        yield Finding("N-OFFSETS", f"{seen}; DATA begins right behind the delimiter that closes it")
    is_silent = data_set.header.data == EMPTY or data_set.header.data.begin == LARGEST_OFFSET
    if is_silent and data_set.source.size <= LARGEST_OFFSET:
        yield Finding("N-OFFSETS", "HEADER does not say where DATA is; the offsets in TEXT were used")
    if data_set.header.version != "FCS2.0" and data_set.stated("$BEGINDATA", "$ENDDATA") == EMPTY:
        yield Finding("N-OFFSETS", "TEXT does not say where DATA is; the offsets in HEADER were used")


def _shifts(data_set: DataSet, events: Span) -> Iterator[Finding]:
    """Yield a flag where all fits and yet bytes may have been lost or added before the events."""
    last = data_set.header.text.end - 1
    if _unclaimed(data_set, events.begin):
        seen = f"bytes between TEXT (to {last}) and DATA (from {events.begin}) belong to no segment"
        yield Finding("F-GAP", f"{seen}; columns may have rotated, look at the plots")
    elif data_set.source.read(Span(events.begin - 1, events.begin + 2)) == b"   ":
        seen = f"the blanks before DATA run on into its first event (byte {events.begin})"
        yield Finding("F-GAP", f"{seen}; columns may have rotated, look at the plots")
    elif seen := _misses_end(data_set, events.begin) or _misses_checksum(data_set, events):
        yield Finding("F-SHIFT", f"{seen}; bytes may be lost or added before the events, look at the plots")


def _misses_end(data_set: DataSet, begin: int) -> str:
    """Return how TEXT does not end where HEADER says; nothing where it does, or just was not closed."""
    text, source = data_set.header.text, data_set.source
    if data_set.text.ending == "closed" or _closing(data_set, begin):
        return ""
    delimiter = source.read(Span(text.begin, text.begin + 1))
    value = source.read(text).rsplit(delimiter, 1)[-1].strip(FILL)
    following, found, _ = source.read(Span(text.end, text.end + NEAR)).partition(delimiter)
    ahead = source.read(Span(text.end, text.end + AHEAD)).strip(FILL)
    goes_on = (found and _is_printable(following)) or (len(ahead) == AHEAD and _is_utf8(ahead))
    if data_set.text.ending == "ragged" or goes_on:
        return f"the last delimiter of TEXT does not stand at its end, byte {text.end - 1}"
    if not _is_printable(value):
        return f"the last value of TEXT (to byte {text.end - 1}) ends in bytes that are no text"
    return ""


def _closing(data_set: DataSet, begin: int) -> str:
    """Return how far HEADER misses the end of TEXT where DATA begins right behind the closing delimiter."""
    text, source = data_set.header.text, data_set.source
    delimiter, closing = (source.read(Span(at, at + 1)) for at in (text.begin, begin - 1))
    if closing == delimiter and data_set.text.ending != "closed":
        return {text.end - 1: "high", text.end + 1: "low"}.get(begin, "")
    return ""


def _is_printable(raw: bytes) -> bool:
    """Whether bytes may be text: UTF-8, or Latin-1 as Windows writes it, line ends and tabs among it."""
    return _is_utf8(raw) or not any(byte < 32 or byte == 127 for byte in raw.translate(None, b"\t\r\n\f"))


def _is_utf8(raw: bytes) -> bool:
    try:
        return raw.decode("utf-8").translate(LINES).isprintable()
    except UnicodeDecodeError:
        return False


def _misses_checksum(data_set: DataSet, events: Span) -> str:
    """Return how the checksum of zeros that mostly ends a data set is cut, or pushed back."""
    stated = (data_set.header.data, data_set.stated("$BEGINDATA", "$ENDDATA"))
    if any(span.begin == events.begin and span.end > events.end + 1 for span in stated):
        return ""  # DATA is said to be longer, so that what ends the data set may lie in it
    segments = (events, data_set.header.text, *data_set.claimed())
    end = max(span.end for span in segments if span.end <= data_set.source.size)
    tail = data_set.source.read(Span(end, end + LARGEST_GAP)).strip(FILL)
    zeros = len(tail) - len(tail.lstrip(b"0"))
    if len(tail) > NEAR or CHECKSUM.fullmatch(tail) or (zeros == CRC_LENGTH - 1 and end > events.end):
        return ""  # an end one too high, of a segment that is not DATA, is common
    if 1 < zeros < CRC_LENGTH and (zeros == len(tail) or not _is_utf8(tail)):
        return (
            f"{zeros} of the {CRC_LENGTH} zeros that end a data set follow its last segment (byte {end - 1})"
        )
    more = tail[:-CRC_LENGTH]
    if tail.endswith(b"0" * CRC_LENGTH) and more and not _is_utf8(more):
        said = f"{len(more)} bytes more stand between the last segment (byte {end - 1})"
        return f"{said} and the zeros that end a data set"
    return ""


def _unclaimed(data_set: DataSet, begin: int) -> bool:
    """Whether values that no segment claims stand between TEXT and `begin`."""
    end = data_set.header.text.end + (_closing(data_set, begin) == "low")
    return any(_loud(data_set, Span(end, min(begin, end + LARGEST_GAP))))


def _loud(data_set: DataSet, stretch: Span) -> Iterator[bytes]:
    """Yield the parts of a stretch that no segment claims, without the fill around them."""
    for gap in gaps(stretch, data_set.claimed()):
        yield data_set.source.read(gap).strip(FILL)
