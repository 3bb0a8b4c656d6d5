"""Good FCS files, random edits of their HEADER and TEXT, and what the reader makes of them.

DATA itself is never edited: a changed value cannot be seen by anyone. Offsets stay as they were, so an edit
that inserts or deletes bytes moves DATA away from them, as a damaged file's; half of the edits of values
take the difference from a filler keyword instead, as a program does that writes a wrong value into a
sound file. Every edit is drawn against the good file and is a few *splices* of it, so any of a case's edits
can be left out, and a case is repeated by its edits alone.
"""

from __future__ import annotations

import random
import re
import signal
import struct
import time
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import chain, combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from fcs_bytes import fcs_bytes, parameter
from hypothesis import strategies as st

from tregflow.errors import CODES, FileError, Finding
from tregflow.io.fcs import read_fcs
from tregflow.sample import Sample

HEADER_END = 58
FIELDS = range(10, 58, 8)
"""Where the six offsets of HEADER begin."""

DECISIVE = re.compile(
    r"\$(PAR|TOT|DATATYPE|BYTEORD|MODE|(BEGIN|END)(DATA|STEXT|ANALYSIS)|NEXTDATA|P\d+([BREGN]|DATATYPE)|SPILLOVER)"
)
"""Keywords that decide how a file is read."""

OFFSET = re.compile(r"\$((BEGIN|END)(DATA|STEXT)|NEXTDATA)")

# --- good files -----------------------------------------------------------------------------------


class Pair(NamedTuple):
    """A keyword: where its key and its value stand."""

    key: str
    value: str
    begin: int
    middle: int
    end: int


@dataclass(frozen=True)
class Good:
    """A file that is as it should be.

    Parameters
    ----------
    name : str
        What kind it is.
    raw : bytes
        The file.
    stored : tuple of tuple
        The truth: each channel's stored values, masked.
    names : tuple of str
        The truth: ``$PnN``.
    texts : tuple of (int, int)
        First byte of each TEXT and the one behind its last.
    starts : tuple of int
        Where each data set begins.
    data_set : int
        Which one the truth is about.
    """

    name: str
    raw: bytes = field(repr=False)
    stored: tuple[tuple[float, ...], ...] = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    texts: tuple[tuple[int, int], ...] = field(repr=False)
    starts: tuple[int, ...] = (0,)
    data_set: int = 1

    @property
    def number(self) -> int | None:
        """What to ask the reader for."""
        return self.data_set if len(self.starts) > 1 else None

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Every keyword of every TEXT."""
        return tuple(chain.from_iterable(_pairs(self.raw, *text) for text in self.texts))

    @cached_property
    def decisive(self) -> tuple[Pair, ...]:
        """The keywords that decide how events are read."""
        return tuple(pair for pair in self.pairs if DECISIVE.fullmatch(pair.key))

    @cached_property
    def editable(self) -> tuple[tuple[int, int], ...]:
        """The stretches that edits may touch."""
        return (*((start, start + HEADER_END) for start in self.starts), *self.texts)

    @cached_property
    def delimiters(self) -> tuple[int, ...]:
        """Where the delimiters of the first TEXT stand."""
        begin, end = self.texts[0]
        return tuple(at for at in range(begin, end) if self.raw[at] == self.raw[begin])

    def pairs_of(self, key: str) -> list[Pair]:
        return [pair for pair in self.pairs if pair.key == key]


def _pairs(raw: bytes, begin: int, end: int) -> Iterator[Pair]:
    """Yield the pairs of a TEXT by the standard: doubled delimiters are part of a word."""
    at = start = begin + 1
    ends: list[tuple[int, int]] = []
    while at < end:
        if raw[at] == raw[begin]:
            if raw[at : at + 2] == raw[begin : begin + 1] * 2 and at + 1 < end:
                at += 2
                continue
            ends.append((start, at))
            start = at + 1
        at += 1
    for (first, middle), (_, last) in zip(ends[::2], ends[1::2], strict=True):
        yield Pair(raw[first:middle].decode(), raw[middle + 1 : last].decode(), first, middle, last)


FILLER = "NOTES"
"""The keyword that gives or takes the bytes which other values gain or lose."""

LABELS = {
    "$CYT": "LSRFortessa",
    "$CYTSN": "H647794200061",
    "$DATE": "15-MAR-2021",
    "$BTIM": "10:31:07",
    "$ETIM": "10:33:40",
    "$FIL": "Specimen_001_A1.fcs",
    "$OP": "Operator",
    "$SRC": "S-17",
    "$SYS": "Windows 7 6.1",
    "$TIMESTEP": "0.01",
    "CREATOR": "BD FACSDiva Software Version 8.0.1",
    "TUBE NAME": "A1",
    "EXPERIMENT NAME": "trial visit 3",
    "GUID": "0a1b2c3d-4e5f",
    "SETTINGS": "Cytometer",
    "WINDOW EXTENSION": "10.00",
    "EXPORT USER NAME": "Operator",
    "FSC ASF": "0.71",
    "AUTOBS": "TRUE",
    **{f"LASER{n}NAME": name for n, name in enumerate(("Blue", "Red", "Violet", "UV"), 1)},
    **{f"LASER{n}DELAY": f"{17.5 * n:.2f}" for n in range(1, 5)},
}
"""What a cytometer writes beside what decides the reading."""

Rows = list[list[float]]


def _good(
    name: str, rows: Rows, channels: Sequence[dict[str, object]], masks: Sequence[int] = (), **more: Any
) -> Good:
    words = {**(more.pop("keywords", None) or {}), FILLER: "filler " * 20}
    raw = fcs_bytes(rows, channels, keywords=words, **more)
    texts = [_text_of(raw, 0)]
    if more.get("supplement"):
        begin = raw.index(more["supplement"].encode())
        texts.append((begin, begin + len(more["supplement"].encode())))
    return Good(
        name, raw, _columns(rows, masks), tuple(str(channel["N"]) for channel in channels), tuple(texts)
    )


def _text_of(raw: bytes, start: int) -> tuple[int, int]:
    return start + int(raw[start + 10 : start + 18]), start + int(raw[start + 18 : start + 26]) + 1


def _columns(rows: Rows, masks: Sequence[int] = ()) -> tuple[tuple[float, ...], ...]:
    columns = list(zip(*rows, strict=True))
    if not masks:
        return tuple(columns)
    return tuple(
        tuple(value if mask < 0 else int(value) & mask for value in column)
        for column, mask in zip(columns, masks, strict=True)
    )


def _single(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def _floats(events: int, detectors: int, seed: int) -> Rows:
    """Return time, two of scatter, and light of which a third is about zero and below."""
    rng = random.Random(seed)
    rows = []
    for event in range(events):
        scatter = [rng.lognormvariate(11, 0.4), rng.lognormvariate(10, 0.5)]
        light = [
            rng.gauss(0, 150) if rng.random() < 1 / 3 else rng.lognormvariate(8, 1) for _ in range(detectors)
        ]
        rows.append([_single(value) for value in (event * 0.4, *scatter, *light)])
    return rows


def _detectors(count: int, bits: int = 32) -> list[dict[str, object]]:
    """Return time, scatter and detectors, with what a cytometer says of each."""
    light = [
        parameter(f"B{n}-A", bits, 262144, S=f"CD{3 * n + 1}", V=400 + 7 * n, G="1.0", DISPLAY="LOG")
        for n in range(1, count + 1)
    ]
    scatter = [parameter(name, bits, 262144, V=250, G="1.0", DISPLAY="LIN") for name in ("FSC-A", "SSC-A")]
    return [parameter("Time", bits, 262144, G="0.01"), *scatter, *light]


def _matrix(count: int, seed: int) -> str:
    rng = random.Random(seed)
    names = [f"B{n}-A" for n in range(1, count + 1)]
    values = ["1" if i == j else f"{rng.uniform(0, 0.2):.4f}" for i in range(count) for j in range(count)]
    return ",".join([str(count), *names, *values])


def _counts(events: int, tops: Sequence[int], seed: int) -> Rows:
    """Return integers that fill their ranges as light does: mostly dim, some at the top."""
    rng = random.Random(seed)
    return [[min(int(rng.lognormvariate(0, 1) * top / 6), top) for top in tops] for _ in range(events)]


def _calibur() -> Good:
    names = ("FSC-H", "SSC-H", "FL1-H", "FL2-H", "FL3-H", "FL2-A", "FL4-H", "Time")
    letters = [{"E": "0,0"}] * 2 + [{"E": "4,0"}] * 3 + [{"E": "0,0"}, {"E": "4,0"}, {"E": "0,0"}]
    channels = [
        parameter(name, 16, 1024, **letter, S=f"{name} stain")
        for name, letter in zip(names, letters, strict=True)
    ]
    rows = _counts(150, [1023] * 8, 4)
    words = {**LABELS, "$CYT": "FACSCalibur", "$DFC1TO2": "0.8", "P3BS": "0"}
    return _good(
        "16 bits, FCS 2.0", rows, channels, datatype="I", order="big", version="FCS2.0", delimiter="\f",
        keywords=words, behind=b"",
    )  # fmt: skip


def _junk() -> Good:
    channels = [parameter(f"FL{n}", 16, 1024, E="4,0.1" if n > 2 else "0,0", G=2) for n in range(1, 6)]
    rows = [
        [value | 0xA000 if place == 1 else value for place, value in enumerate(row)]
        for row in _counts(120, [1023] * 5, 5)
    ]
    words = {**LABELS, "$CYT": "Cell Lab Quanta"}
    return _good(
        "16 bits with junk above", rows, channels, [1023] * 5, datatype="I", order="little",
        version="FCS3.0", delimiter="|", keywords=words,
    )  # fmt: skip


def _widths() -> Good:
    spans = [
        ("Time", 32, 2**32),
        ("FSC", 16, 1024),
        ("SSC", 16, 65536),
        ("FL1", 24, 2**24),
        ("FL2", 24, 2**18),
    ]
    spans += [("FL3", 32, 2**20), ("Class", 8, 256), ("Flag", 8, 16)]
    channels = [parameter(name, bits, span, S=f"{name} stain") for name, bits, span in spans]
    rows = [
        [1_000_000 + 40 * event, *row]
        for event, row in enumerate(_counts(100, [span - 1 for _, _, span in spans[1:]], 6))
    ]
    return _good("mixed widths", rows, channels, datatype="I", version="FCS3.0", keywords=LABELS)


def _types() -> Good:
    channels = [
        parameter("Time", 32, 2**32, DATATYPE="I"),
        parameter("FSC-A", 16, 4096, DATATYPE="I"),
        parameter("B1-A", 32, 262144, S="CD4"),
        parameter("B2-A", 64, 262144, S="CD25", DATATYPE="D"),
        parameter("B3-A", 32, 262144, S="CD127"),
    ]
    rng = random.Random(7)
    rows: Rows = [
        [
            13 * event,
            rng.randrange(4096),
            _single(rng.gauss(900, 500)),
            rng.gauss(900, 500),
            _single(rng.gauss(0, 99)),
        ]
        for event in range(120)
    ]
    return _good("FCS 3.2, mixed types", rows, channels, version="FCS3.2", keywords={**LABELS, "$MODE": None})


def _two_sets(data_set: int) -> Good:
    sets = [
        _good("", _floats(60, 3, 20 + n), _detectors(3), keywords={**LABELS, "$NEXTDATA": "0".rjust(12)})
        for n in (1, 2)
    ]
    first = sets[0].raw.replace(b"$NEXTDATA/" + b"0".rjust(12), b"$NEXTDATA/%12d" % len(sets[0].raw))
    wanted = sets[data_set - 1]
    raw = first + sets[1].raw
    texts = (_text_of(raw, 0), _text_of(raw, len(first)))
    name = f"two data sets, number {data_set}"
    return Good(name, raw, wanted.stored, wanted.names, texts, (0, len(first)), data_set)


@cache
def goods() -> tuple[Good, ...]:
    """Return the good files."""
    return (
        _good(
            "float, little endian", _floats(120, 6, 1), _detectors(6),
            keywords={**LABELS, "$SPILLOVER": _matrix(6, 1), "$COM": "a//b and/or c"},
        ),
        _good(
            "float, big endian", _floats(120, 4, 2), _detectors(4), order="big", version="FCS3.0",
            delimiter="\\", keywords={**LABELS, "SPILL": _matrix(4, 2)}, gap=b" " * 40, late=1,
        ),
        _good(
            "double", [[value * 1.1 for value in row] for row in _floats(80, 3, 3)], _detectors(3, 64),
            datatype="D", delimiter="|", keywords=LABELS, behind=b"",
        ),
        _calibur(),
        _junk(),
        _widths(),
        _types(),
        _good(
            "32-bit integers", _counts(100, [2**18 - 1] * 7, 8), _detectors(4), datatype="I", order="big",
            keywords=LABELS, behind=b"",
        ),
        _good(
            "supplemental TEXT", _floats(100, 4, 9), [{**one, "S": one["N"]} for one in _detectors(4)],
            keywords=LABELS, supplement="/$P4F/530,30/$P5F/585,42/$ABRT/0/", analysis=b"/GATE1/12/GATE2/30/",
        ),
        _two_sets(1),
        _two_sets(2),
        _good(
            "99 channels", _floats(40, 96, 10), _detectors(96), delimiter="\x1e",
            keywords={**LABELS, "$SPILLOVER": _matrix(20, 10)}, behind=b"",
        ),
    )  # fmt: skip


# --- edits ----------------------------------------------------------------------------------------


class Splice(NamedTuple):
    """Bytes `at` up to `end` of the good file, replaced."""

    at: int
    end: int
    new: bytes


@dataclass(frozen=True)
class Edit:
    """One edit.

    Parameters
    ----------
    kind : str
        A key of `KINDS`.
    what : str
        What it touches: a keyword with its number taken out, as ``$PnR``, or ``HEADER``.
    splices : tuple of Splice
        How it changes the good file.
    """

    kind: str
    what: str
    splices: tuple[Splice, ...]

    def told(self, raw: bytes) -> str:
        """Return what is changed, printably."""
        few = [
            f"behind {raw[max(at - 12, 0) : at]!r} {_short(raw[at:end])} to {_short(new)}"
            for at, end, new in self.splices[:2]
        ]
        return f"{self.kind}: {'; '.join(few)}" + (" …" if len(self.splices) > 2 else "")


def _short(raw: bytes) -> str:
    return repr(raw) if len(raw) <= 40 else f"{raw[:16]!r} and {len(raw) - 16:,} bytes more"


@dataclass(frozen=True)
class Case:
    """A good file and its edits."""

    good: Good
    edits: tuple[Edit, ...]

    @property
    def raw(self) -> bytes:
        """The edited file; where two edits want the same bytes, the first has them."""
        taken: list[Splice] = []
        for splice in chain.from_iterable(edit.splices for edit in self.edits):
            place = bisect(taken, splice)
            beside = taken[max(place - 1, 0) : place + 1]
            if not any(splice.at < other.end and other.at < splice.end for other in beside):
                taken.insert(place, splice)
        pieces, at = [], 0
        for splice in taken:
            pieces += [self.good.raw[at : splice.at], splice.new]
            at = splice.end
        return b"".join([*pieces, self.good.raw[at:]])

    def __repr__(self) -> str:
        return f"{self.good.name} | " + " | ".join(edit.told(self.good.raw) for edit in self.edits)


Draw = random.Random
Editor = Callable[[Good, Draw], tuple[str, list[Splice]]]

DIGITS = 4_300
"""From which on Python refuses to make a number of them."""

EXTREMES = (
    "", " ", "0", "-1", "-0", "1.5", "+32", "1,2", "1e3", "0x10", "1e400", "1e-320", "nan", "inf", "NA", "x" * 40,
    "٣٢", "４", "²", "\u202e4", *(str(number) for number in (10**9, 10**12, 10**18, 2**63, 10**30)),
)  # fmt: skip
"""Values that are the end of something, or look like a number and are none."""

OTHERS = {
    r"\$BYTEORD": ("1,2,3,4", "4,3,2,1", "2,1", "1,2", "3,4,1,2"),
    r"\$(P\d+)?DATATYPE": ("F", "D", "I", "A"),
    r"\$MODE": ("L", "C", "U"),
    r"\$P\d+B": ("8", "16", "24", "32", "64", "10"),
    r"\$P\d+R": ("16", "256", "1000", "1024", "4096", "65536", "262144", "16777216", "4294967296"),
    r"\$P\d+E": ("0,0", "4,1", "4,0", "5,0.1", "2.5,1"),
    r"\$P\d+G": ("1", "2", "8", "0.01"),
    r"\$(PAR|TOT|NEXTDATA)": ("1", "2", "3", "8", "50", "99", "100", "101", "120"),
}
"""Values that are legal for a keyword."""


def _one(good: Good, draw: Draw) -> Pair:
    """Draw a keyword, every other time one that decides how events are read."""
    return draw.choice(good.decisive if draw.randrange(2) else good.pairs)


def _what(key: str) -> str:
    """Return a keyword for a table: numbers taken out, private ones together."""
    return re.sub(r"\d+", "n", key) if key[:1] == "$" else "SPILL" if key == "SPILL" else "private"


def _place(good: Good, draw: Draw) -> int:
    """Draw a byte of HEADER or TEXT."""
    begin, end = draw.choice(good.editable)
    return draw.randrange(begin, end)


def _where(good: Good, at: int) -> str:
    """Return what a byte belongs to."""
    if any(start <= at < start + HEADER_END for start in good.starts):
        return "HEADER"
    return next((_what(pair.key) for pair in good.pairs if pair.begin <= at <= pair.end), "delimiter")


def _valued(good: Good, draw: Draw, pair: Pair, value: str) -> tuple[str, list[Splice]]:
    return _what(pair.key), _kept(good, draw, [Splice(pair.middle + 1, pair.end, value.encode())])


def _kept(good: Good, draw: Draw, splices: list[Splice]) -> list[Splice]:
    """Let the filler make up for the difference in length, every other time."""
    more = sum(len(new) - (end - at) for at, end, new in splices)
    filler = [pair for pair in good.pairs_of(FILLER) if _same_text(good, pair.begin, splices[0].at)]
    if not more or not filler or draw.randrange(2):
        return splices
    at = draw.randrange(filler[0].middle + 2, filler[0].end - 60)
    if 0 < more < 60:
        return [*splices, Splice(at, at + more, b"")]
    return [*splices, Splice(at, at, b"." * -more)] if more < 0 else splices


def _same_text(good: Good, one: int, other: int) -> bool:
    return any(begin <= one < end and begin <= other < end for begin, end in good.texts)


def _bit(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    at = _place(good, draw)
    return _where(good, at), [Splice(at, at + 1, bytes([good.raw[at] ^ 1 << draw.randrange(8)]))]


def _byte(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    at = _place(good, draw)
    return _where(good, at), [Splice(at, at + 1, bytes([good.raw[at] ^ draw.randrange(1, 256)]))]


def _inserted(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    at = _place(good, draw)
    new = bytes(draw.choice((draw.randrange(256), 32, 48, 0)) for _ in range(draw.randrange(1, 5)))
    return _where(good, at), [Splice(at, at, new)]


def _deleted(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    begin, end = draw.choice(good.editable)
    at = draw.randrange(begin, end)
    return _where(good, at), [Splice(at, min(at + draw.randrange(1, 5), end), b"")]


def _moved(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    """Delete some bytes of TEXT and insert as many elsewhere."""
    begin, end = draw.choice(good.texts)
    count, one, other = draw.randrange(1, 4), draw.randrange(begin, end - 4), draw.randrange(begin, end - 4)
    splices = [Splice(one, one + count, b""), Splice(other, other, b"0" * count)]
    return _both(_where(good, one), _where(good, other)), splices


def _both(one: str, other: str) -> str:
    return one if one == other else " and ".join(sorted((one, other)))


def _pair_twice(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    pair, before = _one(good, draw), _one(good, draw)
    return _what(pair.key), _kept(
        good, draw, [Splice(before.begin, before.begin, good.raw[pair.begin : pair.end + 1])]
    )


def _pair_twice_other(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    pair, before = _one(good, draw), _one(good, draw)
    new = (
        good.raw[pair.begin : pair.middle + 1] + _other(good, draw, pair).encode() + good.raw[pair.end :][:1]
    )
    return _what(pair.key), _kept(good, draw, [Splice(before.begin, before.begin, new)])


def _pair_lost(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    pair = _one(good, draw)
    return _what(pair.key), _kept(good, draw, [Splice(pair.begin, pair.end + 1, b"")])


def _swapped(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    """Swap the values of two keywords, mostly of one letter."""
    one = _one(good, draw)
    alike = [pair for pair in good.pairs if _what(pair.key) == _what(one.key) and pair != one]
    other = draw.choice(alike) if alike and draw.randrange(4) else _one(good, draw)
    splices = [
        Splice(to.middle + 1, to.end, good.raw[of.middle + 1 : of.end])
        for to, of in ((one, other), (other, one))
    ]
    return _both(_what(one.key), _what(other.key)), splices


def _digit(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    pair = _one(good, draw)
    places = [at for at in range(pair.middle + 1, pair.end) if good.raw[at : at + 1].isdigit()]
    if not places:
        return _extreme(good, draw)
    at = draw.choice(places)
    return _what(pair.key), [Splice(at, at + 1, _other_digit(good.raw[at], draw))]


def _other_digit(digit: int, draw: Draw) -> bytes:
    return b"%d" % ((digit - ord("0") + draw.randrange(1, 10)) % 10)


def _extreme(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    return _valued(good, draw, _one(good, draw), draw.choice(EXTREMES))


def _long(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    """Write a number in more digits than can be made one, mostly by zeros in front and with offsets to match."""
    pair = _one(good, draw)
    digits = draw.choice((DIGITS, DIGITS + 1, 5_000, 20_000)) + 1
    value = pair.value.rjust(digits, "0") if draw.randrange(4) else "9" * digits
    carried = _carried(good, pair.begin, digits - len(pair.value)) if draw.randrange(4) else []
    return _what(pair.key), [Splice(pair.middle + 1, pair.end, value.encode()), *carried]


def _carried(good: Good, at: int, more: int) -> list[Splice]:
    """Move every offset that lies behind a byte of TEXT, as a program does that writes them last."""
    texts = dict(zip(good.starts, (_text_of(good.raw, start) for start in good.starts), strict=True))
    found = [(start, text) for start, text in texts.items() if text[0] <= at < text[1]]
    if not found:
        return []  # a supplement lies behind all that is looked for
    (start, (begin, end)), *_ = found
    fields = [start + place for place in FIELDS[1:] if _number(good, start + place)]
    said = [pair for pair in good.pairs if begin <= pair.begin < end and OFFSET.fullmatch(pair.key)]
    return [
        *(_field_set(good, place, _number(good, place) + more)[1][0] for place in fields),
        *(_numbered(pair, int(pair.value) + more) for pair in said if int(pair.value)),
    ]


def _numbered(pair: Pair, number: int) -> Splice:
    return Splice(pair.middle + 1, pair.end, str(number).rjust(pair.end - pair.middle - 1).encode())


def _private_emptied(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    """Take the value of a private keyword, or one more with none, mostly in front of a decisive keyword."""
    private = [pair for pair in good.pairs if pair.key[:1] != "$" and pair.value and pair.key != FILLER]
    if private and not draw.randrange(4):
        pair = draw.choice(private)
        return _what(pair.key), _kept(good, draw, [Splice(pair.middle + 1, pair.end, b"")])
    pair = _one(good, draw)
    delimiter = good.raw[pair.end : pair.end + 1]
    new = draw.choice((b"TUBE", b"SAMPLE ID", b"X")) + b" NEW" + 2 * delimiter
    return _what(pair.key), _kept(good, draw, [Splice(pair.begin, pair.begin, new)])


def _padded(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    """Put blanks on both sides of a value."""
    pair = _one(good, draw)
    before, behind = draw.choice(((" ", " "), ("\t ", ""), ("\r\n", "\n"), ("", 100 * " ")))
    return _valued(good, draw, pair, before + pair.value + behind)


def _other(good: Good, draw: Draw, pair: Pair) -> str:
    """Draw another value that is legal for a keyword: of the kind, or another parameter's."""
    for pattern, values in OTHERS.items():
        if re.fullmatch(pattern, pair.key):
            return draw.choice(values)
    alike = [other.value for other in good.pairs if _what(other.key) == _what(pair.key)]
    return draw.choice(alike)


def _legal(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    pair = draw.choice(good.decisive)
    return _valued(good, draw, pair, _other(good, draw, pair))


def _renamed(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    pair, other = _one(good, draw), _one(good, draw)
    return _what(pair.key), _kept(good, draw, [Splice(pair.begin, pair.middle, other.key.encode())])


def _case(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    pair = _one(good, draw)
    at, end = (pair.begin, pair.middle) if draw.randrange(2) else (pair.middle + 1, pair.end)
    return _what(pair.key), [Splice(at, end, good.raw[at:end].swapcase())]


def _fill(fills: bytes) -> Editor:
    def filled(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
        """Put blanks or NULs before or behind a key or a value."""
        pair = _one(good, draw)
        at = draw.choice((pair.begin, pair.middle, pair.middle + 1, pair.end))
        new = bytes([draw.choice(fills)]) * draw.randrange(1, 4)
        return _what(pair.key), _kept(good, draw, [Splice(at, at, new)])

    return filled


def _delimiter_everywhere(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    new = bytes([draw.choice(b"/|\\\f!#*,.1aA \0\x80\xff")])
    return "delimiter", [Splice(at, at + 1, new) for at in good.delimiters]


def _one_delimiter(new: Callable[[bytes, Draw], bytes]) -> Editor:
    def edited(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
        at = draw.choice(good.delimiters)
        return "delimiter", [Splice(at, at + 1, new(good.raw[at : at + 1], draw))]

    return edited


def _delimiters_doubled(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    return "delimiter", [Splice(at, at, good.raw[at : at + 1]) for at in good.delimiters[draw.randrange(2) :]]


def _text_cut(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    """Take the last bytes of TEXT away, or let HEADER end it earlier."""
    place = draw.randrange(len(good.starts))
    _, end = good.texts[place]
    count = draw.choice((1, 2, 3, 10, 50, 300))
    if draw.randrange(2):
        return "TEXT", [Splice(end - count, end, b"")]
    return _field_set(good, good.starts[place] + 18, end - good.starts[place] - 1 - count)


def _field_set(good: Good, at: int, number: int | str) -> tuple[str, list[Splice]]:
    return f"HEADER {_field_name(good, at)}", [Splice(at, at + 8, str(number).rjust(8)[-8:].encode())]


def _field_name(good: Good, at: int) -> str:
    start = max(start for start in good.starts if start <= at)
    return ("TEXT", "DATA", "ANALYSIS")[(at - start - 10) // 16]


def _field(good: Good, draw: Draw) -> int:
    return draw.choice(good.starts) + draw.choice(FIELDS)


def _number(good: Good, at: int) -> int:
    return int(good.raw[at : at + 8].strip() or b"0")


def _header_digit(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    at = _field(good, draw)
    places = [place for place in range(at, at + 8) if good.raw[place : place + 1].isdigit()]
    place = draw.choice(places)
    return f"HEADER {_field_name(good, at)}", [Splice(place, place + 1, _other_digit(good.raw[place], draw))]


def _header_extreme(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    return _field_set(
        good,
        _field(good, draw),
        draw.choice((0, -1, 1, 57, 58, 99999999, "", "nan", "0x10", "1e5", len(good.raw))),
    )


def _header_swapped(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    one, other = _field(good, draw), _field(good, draw)
    return f"HEADER {_field_name(good, one)}", [
        Splice(one, one + 8, good.raw[other : other + 8]),
        Splice(other, other + 8, good.raw[one : one + 8]),
    ]


STEPS = (-64, -8, -4, -3, -2, -1, 1, 2, 3, 4, 8, 12, 16, 64, 1000)


def _header_shift(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    """Shift one offset of HEADER, or a pair alike."""
    start, begin, step = draw.choice(good.starts), draw.choice((10, 26, 26, 42)), draw.choice(STEPS)
    fields = [start + begin, start + begin + 8]
    some = draw.choice((fields, fields, fields[:1], fields[1:]))
    splices = [_field_set(good, at, _number(good, at) + step)[1][0] for at in some]
    return f"HEADER {_field_name(good, some[0])}", splices


def _stated(good: Good, step: int, place: int) -> list[Splice]:
    pairs = [
        good.pairs_of(key)[place] for key in ("$BEGINDATA", "$ENDDATA") if len(good.pairs_of(key)) > place
    ]
    return [_numbered(pair, int(pair.value) + step) for pair in pairs]


def _stated_shift(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    splices = _stated(good, draw.choice(STEPS), draw.randrange(len(good.starts)))
    return "$BEGINDATA", splices if draw.randrange(2) else splices[:1]


def _both_shift(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    """Shift DATA alike in HEADER and TEXT."""
    place, step = draw.randrange(len(good.starts)), draw.choice(STEPS)
    fields = [good.starts[place] + at for at in (26, 34)]
    header = [_field_set(good, at, _number(good, at) + step)[1][0] for at in fields]
    return "HEADER DATA", [*header, *_stated(good, step, place)]


def _file_cut(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    size = len(good.raw)
    count = draw.choice((1, 4, 8, 9, 100, size // 2, size - 58, size - 20, size - 1))
    return "file", [Splice(size - count, size, b"")]


def _file_extended(good: Good, draw: Draw) -> tuple[str, list[Splice]]:
    """Put something behind the last byte, which a cut of the same case may not take: DATA would be other."""
    size = len(good.raw)
    new = draw.choice(
        (b"\0" * 8, b" " * 500, b"\x1a", draw.randbytes(100), good.raw[:70], good.raw, b"0" * 4096)
    )
    return "file", [Splice(size - 1, size, good.raw[-1:] + new)]


KINDS: dict[str, Editor] = {
    "bit flipped": _bit,
    "byte replaced": _byte,
    "bytes inserted": _inserted,
    "bytes deleted": _deleted,
    "bytes moved": _moved,
    "pair twice": _pair_twice,
    "pair twice, other value": _pair_twice_other,
    "pair lost": _pair_lost,
    "values swapped": _swapped,
    "digit changed": _digit,
    "extreme value": _extreme,
    "4,300 digits": _long,
    "private value emptied": _private_emptied,
    "another legal value": _legal,
    "key renamed": _renamed,
    "case changed": _case,
    "blanks added": _fill(b" \t\r\n"),
    "blanks around a value": _padded,
    "NULs added": _fill(b"\0"),
    "delimiter changed": _delimiter_everywhere,
    "one delimiter changed": _one_delimiter(lambda _, draw: bytes([draw.randrange(256)])),
    "one delimiter doubled": _one_delimiter(lambda old, _: old * 2),
    "one delimiter removed": _one_delimiter(lambda _, __: b""),
    "delimiters doubled": _delimiters_doubled,
    "TEXT cut": _text_cut,
    "HEADER digit": _header_digit,
    "HEADER extreme": _header_extreme,
    "HEADER swapped": _header_swapped,
    "HEADER shifted": _header_shift,
    "TEXT offsets shifted": _stated_shift,
    "both offsets shifted": _both_shift,
    "file cut": _file_cut,
    "file extended": _file_extended,
}
"""Every kind of edit; each is drawn as often as any other."""


def draw_case(draw: Draw) -> Case:
    """Draw a good file and one to five edits."""
    good = draw.choice(goods())
    return Case(good, tuple(_edit(good, draw) for _ in range(draw.randrange(1, 6))))


def _edit(good: Good, draw: Draw) -> Edit:
    kind = draw.choice(tuple(KINDS))
    what, splices = KINDS[kind](good, draw)
    return Edit(kind, what, tuple(splices))


def cases() -> st.SearchStrategy[Case]:
    """Return the strategy of `draw_case`; hypothesis draws every number in it."""
    return st.randoms(use_true_random=False).map(draw_case)


# --- what the reader makes of it ------------------------------------------------------------------


class Seen(NamedTuple):
    """What was read, beside stored values: names, stains, spillover, scale values, and the notes."""

    words: tuple[Any, ...]
    scaled: tuple[bytes, ...]
    notes: frozenset[str]


class Outcome(NamedTuple):
    """What became of a case.

    Parameters
    ----------
    answer : str
        ``refused``; ``as before``; ``said``: read otherwise with a flag; ``silent``: other stored values and no
        flag; ``other words``: the same stored values under other names, stains, spillover or scaling, no flag.
    codes : tuple of str
        What refused or flagged it.
    seconds : float
        CPU time that reading took.
    is_noted : bool
        Whether there is a note that the good file does not have.
    """

    answer: str
    codes: tuple[str, ...]
    seconds: float
    is_noted: bool = False


DISGUISED = {"E-MISSING", "E-UNREADABLE", "E-INTERNAL"}
"""What cannot be true of a file that is there and may be read: an exception that took another name."""


def judged(case: Case, path: Path) -> Outcome:
    """Write a case to `path`, read it, and compare it with what it was made from.

    Raises
    ------
    AssertionError
        If a finding is not one printable line about the file, with a code that is known, or an exception
        of the system is passed off as a refusal.
    """
    path.write_bytes(case.raw)
    started = time.process_time()
    try:
        sample = read_fcs(path, data_set=case.good.number)
        seen = _seen(sample)
    except FileError as problem:
        _require_sentences(problem.findings, path)
        return Outcome("refused", (problem.findings[0].code,), time.process_time() - started)
    seconds = time.process_time() - started
    _require_sentences(sample.findings, path)
    flags = tuple(sorted({finding.code for finding in sample.findings if finding.code[0] == "F"}))
    before = as_read(case.good, path)
    same = stored_of(sample) == case.good.stored
    if same and (seen.words, seen.scaled) == (before.words, before.scaled):
        answer = "as before"
    else:
        answer = "said" if flags else "other words" if same else "silent"
    return Outcome(answer, flags, seconds, bool(seen.notes - before.notes))


_READ: dict[str, Seen] = {}


def as_read(good: Good, path: Path) -> Seen:
    """Return what is read of a good file."""
    if good.name not in _READ:
        unedited = path.with_suffix(".good")
        unedited.write_bytes(good.raw)
        _READ[good.name] = _seen(read_fcs(unedited, data_set=good.number))
    return _READ[good.name]


def stored_of(sample: Sample) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(sample.stored_column(index).tolist()) for index in range(len(sample.channels)))


def _seen(sample: Sample) -> Seen:
    spillover = sample.spillover
    matrix = (spillover.names, spillover.matrix.tobytes()) if spillover else None
    words = (sample.names, sample.stains, matrix)
    notes = frozenset(finding.sentence for finding in sample.findings)
    return Seen(words, tuple(column.tobytes() for column in np.ascontiguousarray(sample.events.T)), notes)


def _require_sentences(findings: Iterable[Finding], path: Path) -> None:
    for finding in findings:
        assert finding.code in CODES, finding
        assert finding.code not in DISGUISED, finding
        assert finding.where == path.name, finding
        assert finding.sentence, finding
        assert finding.sentence.isprintable(), finding


def reduced(case: Case, is_still_so: Callable[[Case], bool]) -> Case:
    """Return a case with as few of its edits as do it: no smaller set of them does."""
    for count in range(1, len(case.edits)):
        for some in combinations(case.edits, count):
            if is_still_so(Case(case.good, some)):
                return Case(case.good, some)
    return case


# --- limits ---------------------------------------------------------------------------------------


class Hung(BaseException):
    """A case took longer than it may; no `except` in the reader takes it for something else."""


@contextmanager
def limited(seconds: float = 2.0) -> Iterator[None]:
    """Stop what takes more CPU seconds, where the system can; `Hung` is raised where it is."""
    if not hasattr(signal, "ITIMER_PROF"):
        yield
        return

    def stop(*_: object) -> None:
        raise Hung

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextmanager
def peak_memory() -> Iterator[Callable[[], float]]:
    """Measure by how many MB the process grew at its largest; Linux can tell, elsewhere it is NaN."""
    forget = Path("/proc/self/clear_refs")
    if not forget.exists():
        yield lambda: float("nan")
        return
    forget.write_text("5")  # the peak begins anew
    before = _resident("VmRSS")
    yield lambda: (_resident("VmHWM") - before) / 1024


def _resident(field_name: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(re.findall(rf"{field_name}:\s+(\d+)", status)[0])
