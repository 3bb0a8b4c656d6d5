"""How one event is stored, and what each of its parameters means (FCS 3.1, 3.2.20).

F is four bytes and D eight whatever ``$PnB`` says; I is an unsigned integer of ``$PnB`` bits, of
which the low ones that ``$PnR`` needs are kept. FCS 3.2 lets each parameter have a type of its own
(``$PnDATATYPE``); a file of any version that says so is believed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from tregflow.errors import Finding, refuse
from tregflow.io.fcs.text import decimal, required, whole
from tregflow.privacy import BLANKS, listed, quoted, shown
from tregflow.sample import Channel

MOST_PARAMETERS = 10_000

MOST_DECADES = 20.0
"""Amplifiers span four or five decades; beyond this a stored integer overflows on its way to scale."""

TIMES = frozenset({"time", "hdr-t", "t1"})
"""Names of the channel that keeps time, in lower case."""

FLOAT_BYTES = {"F": 4, "D": 8}

Gain = Literal["apply", "ignore"]
Keywords = Mapping[str, str]


class Scaling(NamedTuple):
    """How stored values become scale values where a file leaves it open.

    Parameters
    ----------
    gain : {"apply", "ignore"}
        Whether ``$PnG`` is divided out; on time and behind a logarithmic amplifier it never is.
    log_on_floats : bool
        Whether a logarithmic ``$PnE`` is undone on floating-point parameters too.
    """

    gain: Gain = "apply"
    log_on_floats: bool = False


class Kind(NamedTuple):
    """How one parameter is stored: ``F``, ``D`` or ``I``, and its bytes."""

    letter: str
    width: int


@dataclass(frozen=True, slots=True)
class Layout:
    """How events are stored.

    Parameters
    ----------
    kinds : tuple of Kind
        One per parameter, in file order.
    record : dtype
        One event: a row of one type, or one field per parameter.
    doubt : str
        The keyword that contradicts the widths used, so that only an exact fit proves them.
    """

    kinds: tuple[Kind, ...]
    record: np.dtype[Any]
    doubt: str = ""


def read_layout(keywords: Keywords) -> Layout:
    """Return how one event is stored, or refuse the file."""
    _require_list_mode(keywords)
    count = _parameter_count(keywords)
    default = _letter(required(keywords, "$DATATYPE"), "$DATATYPE")
    kinds = tuple(_kind(keywords, number, default) for number in range(1, count + 1))
    order = _byte_order(required(keywords, "$BYTEORD"), max(kind.width for kind in kinds))
    return Layout(kinds, _record(kinds, order), _doubt(keywords, kinds))


def _require_list_mode(keywords: Keywords) -> None:
    mode = keywords.get("$MODE", "L").strip(BLANKS).upper()
    if mode != "L":
        what = {"C": "one correlated histogram", "U": "histograms"}.get(mode, "something else")
        sentence = f"$MODE is {shown(mode)}: the file holds {what}, not events; export it in list mode (L)"
        raise refuse("E-MODE", sentence)


def _parameter_count(keywords: Keywords) -> int:
    count = whole(required(keywords, "$PAR"))
    if count is None or not 1 <= count <= MOST_PARAMETERS:
        seen = quoted(keywords, "$PAR")
        raise refuse(
            "E-KEYWORD", f"$PAR is {seen}; a number of parameters from 1 to {MOST_PARAMETERS:,} is read"
        )
    surplus = [key for key in (f"$P{count + 1}{letter}" for letter in "NBR") if key in keywords]
    if surplus:
        sentence = (
            f"$PAR is {count}, but there is {listed(surplus)} of one more parameter; columns would rotate"
        )
        raise refuse("E-KEYWORD", sentence)
    return count


def _letter(value: str, key: str) -> str:
    letter = value.strip(BLANKS).upper()
    if letter in ("F", "D", "I"):
        return letter
    what = "events written as digits (ASCII)" if letter == "A" else "an unknown type"
    raise refuse(
        "E-LAYOUT", f"{key} is {shown(value)}, {what}; F, D and I are read, export it as one of these"
    )


def _kind(keywords: Keywords, number: int, default: str) -> Kind:
    key = f"$P{number}DATATYPE"
    letter = _letter(keywords[key], key) if keywords.get(key, "").strip(BLANKS) else default
    return Kind(letter, FLOAT_BYTES.get(letter) or _integer_bytes(keywords, number))


def _integer_bytes(keywords: Keywords, number: int) -> int:
    bits = whole(required(keywords, f"$P{number}B"))
    if bits is None or bits % 8 or not 8 <= bits <= 64:
        seen = quoted(keywords, f"$P{number}B")
        raise refuse(
            "E-LAYOUT", f"$P{number}B is {seen} bits; integers of 8 to 64 bits in whole bytes are read"
        )
    return bits // 8


def _byte_order(value: str, widest: int) -> Literal["<", ">"]:
    digits = [whole(word) for word in value.split(",")]
    rising = list(range(1, len(digits) + 1))
    if digits == rising and min(len(digits), 2) >= min(widest, 2):
        return "<"
    if digits == rising[::-1] and len(digits) > 1:
        return ">"
    read = "1,2,3,4 (low byte first) and 4,3,2,1 (high byte first) are read"
    raise refuse("E-LAYOUT", f"$BYTEORD is {shown(value)}; {read}")


def _record(kinds: Sequence[Kind], order: str) -> np.dtype[Any]:
    if len(set(kinds)) == 1 and kinds[0].width in (1, 2, 4, 8):
        return np.dtype((_plain(kinds[0], order), (len(kinds),)))
    return np.dtype([(f"f{place}", _stored(kind, order)) for place, kind in enumerate(kinds)])


def _stored(kind: Kind, order: str) -> np.dtype[Any]:
    return _plain(kind, order) if kind.width in (1, 2, 4, 8) else _odd_bytes(kind.width, order)


def _plain(kind: Kind, order: str) -> np.dtype[Any]:
    return np.dtype(f"{order}{'u' if kind.letter == 'I' else 'f'}{kind.width}")


def _odd_bytes(width: int, order: str) -> np.dtype[Any]:
    """Return an integer of 3, 5, 6 or 7 bytes: each byte a field, named by the bits it is shifted by."""
    shifts = [str(8 * place) for place in range(width)]
    return np.dtype([(shift, "u1") for shift in (shifts if order == "<" else shifts[::-1])])


def _doubt(keywords: Keywords, kinds: Sequence[Kind]) -> str:
    """Return the first ``$PnB`` of a float that says another width than its type has."""
    for number, kind in enumerate(kinds, 1):
        stated = keywords.get(f"$P{number}B", "").strip(BLANKS)
        if kind.letter != "I" and stated and whole(stated) != 8 * kind.width:
            return f"$P{number}B"
    return ""


def read_channels(keywords: Keywords, kinds: Sequence[Kind], scaling: Scaling) -> tuple[Channel, ...]:
    """Return what each parameter is, with the scaling that is applied to it.

    Parameters
    ----------
    keywords : mapping of str to str
        TEXT.
    kinds : sequence of Kind
        How each parameter is stored.
    scaling : Scaling
        What is applied.
    """
    return tuple(_channel(keywords, number, kind, scaling) for number, kind in enumerate(kinds, 1))


def _gain(keywords: Keywords, number: int) -> float:
    """Return what ``$PnG`` says: 1 where there is none or it is 0, NaN where it is no number above 0."""
    written = keywords.get(f"$P{number}G", "").strip(BLANKS)
    if not written:
        return 1.0
    gain = decimal(written)
    if gain == 0:
        return 1.0
    return gain if gain is not None and 0 < gain < math.inf else math.nan


def _channel(keywords: Keywords, number: int, kind: Kind, scaling: Scaling) -> Channel:
    name = _name(keywords, number)
    span = _range(keywords, number, kind)
    decades, offset = _amplifier(keywords, number, kind)
    stated_gain = _gain(keywords, number)
    is_log = decades > 0 and (kind.letter == "I" or scaling.log_on_floats)
    if is_log and not span > 0:
        sentence = f"$P{number}E is logarithmic, which needs a $P{number}R above 0; export the file again"
        raise refuse("E-KEYWORD", sentence)
    has_gain = scaling.gain == "apply" and stated_gain > 0 and not is_log and not is_time(name)
    return Channel(
        name=name,
        stain=keywords.get(f"$P{number}S", "").strip(BLANKS),
        range=span,
        mask=_mask(span, kind.width) if kind.letter == "I" else None,
        decades=decades if is_log else 0.0,
        offset=offset,
        gain=stated_gain if has_gain else 1.0,
        stated_decades=decades,
        stated_gain=stated_gain,
        voltage=keywords.get(f"$P{number}V", "").strip(BLANKS),
        is_time=is_time(name),
        step=_step(keywords) if is_time(name) else math.nan,
    )


def _step(keywords: Keywords) -> float:
    """Return the seconds of one step of time; NaN where ``$TIMESTEP`` is no number above 0."""
    step = decimal(keywords.get("$TIMESTEP"))
    return step if step is not None and step > 0 else math.nan


def is_time(name: str) -> bool:
    """Whether a channel of this name keeps time."""
    return name.casefold() in TIMES


def _name(keywords: Keywords, number: int) -> str:
    """Return ``$PnN``; a parameter without one is called by its place, and flagged."""
    return keywords.get(f"$P{number}N", "").strip(BLANKS) or f"P{number}"


def _range(keywords: Keywords, number: int, kind: Kind) -> float:
    key = f"$P{number}R"
    span = decimal(keywords.get(key))
    if span is None and kind.letter == "I":
        seen = required(keywords, key)
        sentence = f"{key} is {shown(seen)}, no number; integers cannot be read without their range"
        raise refuse("E-KEYWORD", sentence)
    return float("nan") if span is None else span


def _mask(span: float, width: int) -> int | None:
    """Return the bits that values below `span` need; None where those are all, or `span` says nothing."""
    if span <= 1 or span > 2.0 ** (8 * width - 1):
        return None
    return int((1 << (math.ceil(span) - 1).bit_length()) - 1)


def _amplifier(keywords: Keywords, number: int, kind: Kind) -> tuple[float, float]:
    """Return decades and offset of ``$PnE``; an offset of 0 means 1 (FCS 3.1, 3.2.20)."""
    key = f"$P{number}E"
    written = keywords.get(key, "").strip(BLANKS)
    decades, offset = _pair(written) if written else (0.0, 0.0)
    if decades is None or offset is None or not 0 <= decades <= MOST_DECADES or (decades and offset < 0):
        if kind.letter != "I":
            return math.nan, 1.0
        sentence = f"{key} is {shown(written)}; it has to be decades and offset, as 4,1, or 0,0 for linear"
        raise refuse("E-KEYWORD", sentence)
    return (decades, offset or 1.0) if decades else (0.0, 1.0)


def _pair(written: str) -> tuple[float | None, float | None]:
    decades, comma, offset = written.partition(",")
    return decimal(decades), decimal(offset) if comma else 0.0


def layout_findings(keywords: Keywords, layout: Layout, channels: Sequence[Channel]) -> Iterator[Finding]:
    """Yield what is odd about the parameters, each kind of oddity once, and how they were scaled."""
    yield from _missing(keywords, layout)
    yield from _ranges(layout, channels)
    yield from _names(keywords, channels)
    yield from _scalings(channels)


def _missing(keywords: Keywords, layout: Layout) -> Iterator[Finding]:
    floats = [number for number, kind in enumerate(layout.kinds, 1) if kind.letter != "I"]
    for letter in "BR":
        lacking = _absent(keywords, [f"$P{number}{letter}" for number in floats])
        if lacking:
            yield Finding("N-KEYWORD", f"{listed(lacking)} missing; floating-point values do not need it")
    odd = [f"$P{number}R" for number in floats if _is_no_number(keywords.get(f"$P{number}R", ""))]
    if odd:
        yield Finding("N-KEYWORD", f"{listed(odd)} is no number; floating-point values do not need it")
    if layout.doubt:
        yield Finding(
            "N-KEYWORD",
            f"{layout.doubt} is {quoted(keywords, layout.doubt)} on a floating-point parameter;"
            " its type says how wide it is, and the number of events proves that",
        )


def _is_no_number(written: str) -> bool:
    return bool(written.strip(BLANKS)) and decimal(written) is None


def _ranges(layout: Layout, channels: Sequence[Channel]) -> Iterator[Finding]:
    spans = {
        f"$P{number}R": (channel.range, 8 * kind.width)
        for number, (kind, channel) in enumerate(zip(layout.kinds, channels, strict=True), 1)
        if kind.letter == "I" and (channel.range <= 1 or not channel.is_time)  # time may run beyond its range
    }
    if odd := [key for key, (span, _) in spans.items() if span <= 1]:
        yield Finding("F-RANGE", f"{listed(odd)} is not above 1; no bit of these integers was masked")
    if huge := [key for key, (span, bits) in spans.items() if span > 2.0**bits]:
        span, bits = spans[huge[0]]
        seen = f"{huge[0]} is {span:.15g}, but {bits} bits hold at most {2**bits:,}"
        also = f" (and so {listed(huge[1:])})" if huge[1:] else ""
        yield Finding("F-RANGE", f"{seen}{also}; is $PnR or $PnB wrong?")


def _names(keywords: Keywords, channels: Sequence[Channel]) -> Iterator[Finding]:
    unnamed = _absent(keywords, [f"$P{number}N" for number in range(1, len(channels) + 1)])
    if unnamed:
        called = f"the channel is called by its place, as {unnamed[0][1:-1]}"
        yield Finding("F-NAMES", f"{listed(unnamed)} missing; {called}")
    twice = [name for name, count in Counter(channel.name for channel in channels).items() if count > 1]
    if twice:
        yield Finding(
            "F-NAMES", f"two channels are called {listed(twice)}; no marker can be bound to them by name"
        )


def _absent(keywords: Keywords, keys: Sequence[str]) -> list[str]:
    return [key for key in keys if not keywords.get(key, "").strip(BLANKS)]


def _scalings(channels: Sequence[Channel]) -> Iterator[Finding]:
    logs = [channel.name for channel in channels if channel.decades]
    if logs:
        yield Finding("N-SCALING", f"a logarithmic amplifier ($PnE) was undone on {listed(logs)}")
    odd = [channel.name for channel in channels if math.isnan(channel.stated_decades)]
    if odd:
        yield Finding("N-KEYWORD", f"$PnE of {listed(odd)} is no pair of numbers; they were taken as linear")
    unused = [channel.name for channel in channels if channel.stated_decades > 0 and not channel.decades]
    if unused:
        sentence = f"{listed(unused)}: floats with a logarithmic amplifier ($PnE), which was not applied"
        yield Finding("N-SCALING", sentence)
    gains = [channel.name for channel in channels if channel.gain != 1]
    if gains:
        yield Finding("N-SCALING", f"the amplifier gain ($PnG) was divided out of {listed(gains)}")
    ignored = [channel.name for channel in channels if channel.stated_gain not in (1, channel.gain)]
    if ignored:
        yield Finding("N-SCALING", f"the amplifier gain ($PnG) of {listed(ignored)} was not applied")
