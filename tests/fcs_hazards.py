"""Small FCS files with what has been seen to go wrong, and the truth of each.

A *hazard* is a way in which a file can mislead its reader; it has a number and a title. A *case* is one
file of it: ``legal`` (within the standard, or the evident sense of it), ``illegal`` (just beyond) or
``far`` out. What a case is to be answered with is written from the standard and from the numbers that
were put in; nothing here asks our reader, except `page`, which quotes its sentences.

``python tests/fcs_hazards.py`` writes ``docs/hazards.md`` anew.
"""

from __future__ import annotations

import binascii
import gzip
import io
import math
import os
import random
import re
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from fcs_bytes import fcs_bytes, packed, parameter

Rows = Sequence[Sequence[float]]
Words = Sequence[tuple[str, str]]
Distance = Literal["legal", "illegal", "far"]
Matrix = tuple[tuple[str, ...], Rows]

HAZARDS = {
    0: "nothing odd",
    1: "HEADER and TEXT place DATA differently",
    2: "DATA's end one byte off, or not said",
    3: "offsets beyond 99,999,999",
    4: "TEXT without offsets of DATA",
    5: "DATA inside another segment, or ending before it begins",
    6: "cut short, half copied, still being written",
    7: "bytes behind DATA, wrong checksum",
    8: "claims of more than the file can hold",
    9: "the delimiter inside a value",
    10: "empty values",
    11: "unusual delimiters",
    12: "TEXT cut short",
    13: "keys in lower case, or among blanks",
    14: "private keywords that look like standard ones",
    15: "a keyword given twice",
    16: "Latin-1, UTF-16, NUL",
    17: "supplemental TEXT",
    18: "$TOT wrong or missing",
    19: "$PAR wrong",
    20: "bits above the range",
    21: "integers of unusual width",
    22: "$MODE: histograms",
    23: "$DATATYPE: ASCII, missing, unknown",
    24: "$BYTEORD: mixed, nonsense, untrue",
    25: "a type for each parameter (FCS 3.2)",
    26: "logarithmic amplifier on floats",
    27: "$PnR missing, no number, absurd",
    28: "values beyond the range",
    29: "$TIMESTEP missing or wrong",
    30: "amplifier gain",
    31: "values that are no finite number",
    32: "no events",
    33: "very many events, very large files",
    34: "$PnN twice, missing, with a comma",
    35: "stains missing, twice, or against the sheet",
    36: "names that differ between files",
    37: "several data sets, joined files",
    38: "packed files, and what is no FCS file",
    39: "file names",
    40: "files that call themselves the same",
    41: "a byte lost or added before DATA",
    42: "HEADER without meaning, further segments",
    43: "logarithmic amplifier on integers",
    44: "forms of the spillover keyword",
    45: "two spillover keywords",
    46: "spillover that does not fit the file",
    47: "compensated or transformed before",
    48: "other keywords in odd words",
}
"""Numbers to 40 are those under which hazards were first collected; the rest came later."""

OF_A_STUDY = frozenset({35, 36, 39, 40, 46, 47})
"""Hazards that need a template or a sheet: `BOUND` and `STUDIES` hold their cases."""

REPAIRS = (
    "offsets corrected", "TEXT preferred to HEADER", "segment ends beyond the file", "split offsets",
    "negative offsets", "offsets missing", "$NEXTDATA missing", "newer keywords than the version",
    "keys renamed or promoted", "spillover by index", "odd $DATE and times", "$PnE with offset 0",
    "$PnB against $BYTEORD", "10 bits in 16", "huge $PnR", "blanks around values", "blanks in lists",
    "time under other names", "no time", "gain or optics on time", "OTHER segments", "literal delimiters",
    "delimiter not ASCII", "no last delimiter", "delimiters at word borders", "another delimiter in the supplement",
    "keys twice", "odd number of words", "empty values", "not UTF-8", "$TOT mismatch", "event width not dividing DATA",
)  # fmt: skip
"""What strict readers can be told to overlook; each has a case here."""


# ---------------------------------------------------------------------------------- what a case is


class Spot(NamedTuple):
    """Where segments truly are, for offsets and figures that depend on it."""

    begin: int
    last: int
    text_last: int
    size: int


Figure = str | Callable[[Spot], object]


@dataclass(frozen=True)
class Refused:
    """The file is refused.

    Parameters
    ----------
    code : str
        Of the first finding.
    figures : tuple
        What disagrees; every figure stands in the sentence.
    """

    code: str
    figures: tuple[Figure, ...] = ()


NAMES = ("FSC-A", "FITC-A", "PE-A", "APC-A", "Time")
STAINS = ("", "CD4", "CD25", "CD127", "")
ROWS = [[50_000.5 + 250 * i, 1200.25 + i, 300.75 - 40 * i, 7.5 * i + 3, 10.0 * i + 1] for i in range(12)]
COUNTS = [[170 * (j + 1) + 13 * i + j for j in range(5)] for i in range(12)]
EVENT = 20
"""Bytes of an event of `ROWS`."""


@dataclass(frozen=True)
class Read:
    """The file is read, with these values and these findings.

    Parameters
    ----------
    stored : rows
        Values as stored, masked.
    names, stains : tuple of str
        ``$PnN`` and ``$PnS``.
    scale : rows or None
        What the detectors measured; None where that is what is stored.
    spillover : pair or None
        Names and rows of the file's matrix.
    flags : frozenset of str
        Every F-code that must be said, and no other.
    notes : frozenset of str
        N-codes that must be among those said.
    figures : tuple
        As in `Refused`; they stand in one of the findings asked for.
    """

    stored: Rows = field(default_factory=lambda: ROWS)
    names: tuple[str, ...] = NAMES
    stains: tuple[str, ...] = STAINS
    scale: Rows | None = None
    spillover: Matrix | None = None
    flags: frozenset[str] = frozenset()
    notes: frozenset[str] = frozenset()
    figures: tuple[Figure, ...] = ()


Answer = Refused | Read
Build = Callable[[Words], bytes]


@dataclass(frozen=True)
class Case:
    """One file.

    Parameters
    ----------
    hazard : int
        A key of `HAZARDS`.
    group : str
        What the hazard is about, for tables.
    name : str
        Of the case, once in all.
    distance : {"legal", "illegal", "far"}
        From the standard.
    build : callable
        Gives the bytes, with further keywords where it is a `Tube`.
    answer : Refused or Read
        What is right.
    options : mapping
        How `read_fcs` is asked.
    file : str
        The file's name.
    is_legal : bool
        Whether every reader should read it, although it is far out.
    about : tuple of str
        What besides values and names the case is about: stains, scale, spillover.
    repair : str
        One of `REPAIRS`.
    hole : int
        Bytes of NUL in front of DATA, more than are worth writing.
    is_open : bool
        Whether the file leaves a number open, so that a reader who decides must say so.
    """

    hazard: int
    group: str
    name: str
    distance: Distance
    build: Build
    answer: Answer
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    file: str = "tube.fcs"
    is_legal: bool = False
    about: tuple[str, ...] = ()
    repair: str = ""
    hole: int = 0
    is_open: bool = False

    @property
    def id(self) -> str:
        """Number and name."""
        return f"{self.hazard:02d}-{self.name.replace(' ', '-')}"

    @property
    def demand(self) -> Literal["refuse", "warn", "read", "either"]:
        """What is asked of any reader; "either" is to read it rightly, or to refuse it clearly."""
        if isinstance(self.answer, Refused):
            return "refuse"
        if self.answer.flags:
            return "warn"
        return "read" if self.distance == "legal" or self.is_legal else "either"

    @property
    def truth(self) -> Read | None:
        """What would be read: of a file to be refused, what was put in."""
        if isinstance(self.answer, Read):
            return self.answer
        return Read(self.build.rows, **self.build.called()) if isinstance(self.build, Tube) else None

    def write(self, folder: Path, planted: Words = ()) -> Path:
        """Write the file and return its path."""
        path, raw = folder / self.file, self.build(planted)
        if not self.hole:
            path.write_bytes(raw)
            return path
        begin = self.spot(planted).begin
        with path.open("wb") as stream:
            stream.write(raw[:begin])
            stream.seek(begin + self.hole)
            stream.write(raw[begin:])
        return path

    def spot(self, planted: Words = ()) -> Spot:
        """Return where segments are before anything was made wrong."""
        return self.build.spot(planted) if isinstance(self.build, Tube) else Spot(0, 0, 0, 0)

    def figures(self) -> list[str]:
        """Return what must stand in the sentence."""
        spot = self.spot()
        return [one if isinstance(one, str) else str(one(spot)) for one in self.answer.figures]


# ---------------------------------------------------------------------------------- how files are made

Place = Callable[[Spot], tuple[int | str, int | str]]
Edit = Callable[[bytes, Spot], bytes]


class Tube:
    """A file that can be built with further keywords, its offsets still in the same relation.

    Parameters
    ----------
    rows, channels, **options
        As for `fcs_bytes`.
    header, stated : callable
        What HEADER and TEXT say of DATA, from where it truly is.
    edit : callable
        What is done to the bytes at the end.
    """

    def __init__(
        self,
        rows: Rows = ROWS,
        channels: Sequence[Mapping[str, Any]] | None = None,
        *,
        header: Place | None = None,
        stated: Place | None = None,
        edit: Edit | None = None,
        **options: Any,
    ) -> None:
        self.rows, self.channels = rows, channels or CHANNELS
        self.header, self.stated, self.edit, self.options = header, stated, edit, options

    def __call__(self, planted: Words = ()) -> bytes:
        spot = self.spot(planted)
        said = {"header": self.header and self.header(spot), "stated": self.stated and self.stated(spot)}
        raw = self._joined(planted, **{name: place for name, place in said.items() if place})
        return self.edit(raw, spot) if self.edit else raw

    def called(self) -> dict[str, tuple[str, ...]]:
        """Return the names and stains that were put in."""
        return {
            key: tuple(str(one.get(letter, "")) for one in self.channels)
            for key, letter in (("names", "N"), ("stains", "S"))
        }

    def spot(self, planted: Words = ()) -> Spot:
        raw = self._joined(planted)
        offsets = [int(raw[at : at + 8]) for at in (26, 34, 18)]
        return Spot(*offsets, len(raw))

    def _joined(self, planted: Words, **said: Any) -> bytes:
        more = [*planted, *self.options.get("more", ())]
        return fcs_bytes(self.rows, self.channels, **{**self.options, "more": more, **said})


def channels(**letters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the five channels; `letters` adds to or changes the keywords of one, as ``P3={"S": "CD8"}``."""
    plain = [
        parameter(name, **({"S": stain} if stain else {})) for name, stain in zip(NAMES, STAINS, strict=True)
    ]
    return [{**one, **letters.get(f"P{number}", {})} for number, one in enumerate(plain, 1)]


CHANNELS = channels()


def third(**letters: Any) -> list[dict[str, Any]]:
    """Return the five channels with other keywords of the third, which is CD25's."""
    return channels(P3=letters)


def named(*names: str) -> list[dict[str, Any]]:
    """Return the five channels under other names."""
    return [{**one, "N": name} for one, name in zip(CHANNELS, names, strict=True)]


def both(place: Place) -> dict[str, Place]:
    """Return the options by which HEADER and TEXT say the same of DATA."""
    return {"header": place, "stated": place}


def changed(place: int, **letters: Any) -> Tube:
    """Return a file in which one channel has other keywords."""
    return Tube(channels=channels(**{f"P{place}": letters}))


def keyed(**keywords: str) -> Tube:
    """Return a file with further keywords; a leading ``_`` stands for ``$``."""
    return Tube(keywords={key.replace("_", "$"): value for key, value in keywords.items()})


def counts(
    bits: int = 16, span: float | str = 1024, rows: Rows = COUNTS, letters: Any = None, **more: Any
) -> Tube:
    """Return a file of integers."""
    wide = [{**one, "B": bits, "R": span, **(letters or {})} for one in CHANNELS]
    return Tube(rows, wide, datatype="I", **more)


def of_bits(bits: object) -> Tube:
    """Return a file of integers that says another width than it has."""
    return counts(keywords={f"$P{number}B": bits for number in range(1, 6)})


def bare(raw: bytes) -> Build:
    """Return a file that is these bytes whatever is planted."""
    return lambda _planted: raw


def at(place: int, word: bytes) -> Edit:
    """Return the edit that writes over some bytes."""
    return lambda raw, _spot: raw[:place] + word + raw[place + len(word) :]


def in_header(field_: int, *numbers: object) -> Edit:
    """Return the edit that writes numbers into HEADER: fields 0, 1 are TEXT, 2, 3 DATA, 4, 5 ANALYSIS."""
    return at(10 + 8 * field_, b"".join(str(number).rjust(8).encode() for number in numbers))


def text_ends(later: int) -> Edit:
    """Return the edit that moves TEXT's end in HEADER."""
    return lambda raw, spot: in_header(1, spot.text_last + later)(raw, spot)


def swapped(old: bytes, new: bytes) -> Edit:
    """Return the edit that puts bytes in the place of others, once."""

    def edit(raw: bytes, _spot: Spot) -> bytes:
        assert raw.count(old) == 1, old
        return raw.replace(old, new)

    return edit


def cut(lost: int) -> Edit:
    return lambda raw, _spot: raw[:-lost]


def inserted(behind: bytes, more: bytes) -> Edit:
    return swapped(behind, behind + more)


def zipped(raw: bytes, _spot: Spot) -> bytes:
    return gzip.compress(raw, mtime=0)


def as_read(raw: bytes, begin: int, n_events: int, order: str = "<") -> list[list[float]]:
    """Return the floats that stand somewhere, five to an event."""
    return [list(struct.unpack_from(f"{order}5f", raw, begin + EVENT * event)) for event in range(n_events)]


def moved(tube: Tube, by: int) -> list[list[float]]:
    """Return the values that are read where a tube's DATA is said to begin some bytes off."""
    return as_read(tube(), tube.spot().begin + by, len(tube.rows))


def absurd(rows: Rows) -> frozenset[str]:
    """Return the flag of values that no cytometer measures."""
    odd = any(abs(value) > 1e12 or 0 < abs(value) < 1e-30 for row in rows for value in row)
    return frozenset({"F-MAGNITUDE"} if odd else ())


# ---------------------------------------------------------------------------------- how cases are written


def read(stored: Rows = ROWS, **truth: Any) -> Read:
    return Read(stored, **truth)


def note(*codes: str, **truth: Any) -> Read:
    return Read(notes=frozenset(codes), **truth)


def flag(*codes: str, **truth: Any) -> Read:
    return Read(flags=frozenset(codes), **truth)


def refuse(code: str, *figures: Figure) -> Refused:
    return Refused(code, figures)


class _Draft(NamedTuple):
    name: str
    distance: Distance
    build: Build
    answer: Answer
    more: dict[str, Any]


def legal(name: str, build: Build, answer: Answer | None = None, **more: Any) -> _Draft:
    return _Draft(name, "legal", build, answer or read(), more)


def illegal(name: str, build: Build, answer: Answer | None = None, **more: Any) -> _Draft:
    return _Draft(name, "illegal", build, answer or read(), more)


def far(name: str, build: Build, answer: Answer | None = None, **more: Any) -> _Draft:
    return _Draft(name, "far", build, answer or read(), more)


def hazard(number: int, group: str, *drafts: _Draft) -> Iterator[Case]:
    for draft in drafts:
        yield Case(number, group, draft.name, draft.distance, draft.build, draft.answer, **draft.more)


# ---------------------------------------------------------------------------------- plain


def _plain() -> Iterator[Case]:
    doubles = channels(**{f"P{n}": {"B": 64} for n in range(1, 6)})
    many = [parameter(f"B{number}-A") for number in range(1, 301)]
    row = [[float(number) for number in range(1, 301)]]
    yield from hazard(
        0,
        "plain",
        legal("floats", Tube()),
        legal("floats of FCS 3 0", Tube(version="FCS3.0")),
        legal("floats of FCS 3 2", Tube(version="FCS3.2"), read()),
        legal("floats high byte first", Tube(order="big")),
        legal("doubles", Tube(channels=doubles, datatype="D")),
        legal("integers of FCS 2 0", counts(version="FCS2.0", order="big"), read(COUNTS)),
        legal("integers of 32 bits", counts(32, 262144), read(COUNTS)),
        legal("one event of one channel", Tube([[1.5]], [parameter("FITC-A")]),
                read([[1.5]], names=("FITC-A",), stains=("",))),
        legal("300 channels", Tube(row, many),
                read(row, names=tuple(f"B{n}-A" for n in range(1, 301)), stains=("",) * 300)),
        legal("with ANALYSIS", Tube(analysis=b"/GATE1/12/")),
    )  # fmt: skip


# ---------------------------------------------------------------------------------- offsets

ZEROS = "0" * 5_000
"""More digits than can be made a number."""

HUGE = 100_000_000
"""More than eight digits can say."""


def _offsets() -> Iterator[Case]:
    quiet = [[0.0, *row[1:]] for row in ROWS]
    yield from hazard(
        1,
        "offsets",
        legal("offsets filled with zeros", Tube(stated=lambda s: (f"{s.begin:012d}", f"{s.last:012d}"))),
        illegal("offsets of HEADER to the left",
                Tube(edit=lambda raw, s: at(26, f"{s.begin:<8d}{s.last:<8d}".encode())(raw, s))),
        illegal("HEADER begins early", Tube(header=lambda s: (s.begin - 20, s.last)),
                flag("F-OFFSETS", figures=(lambda s: s.begin - 20, lambda s: s.begin)),
                repair="offsets corrected"),
        illegal("TEXT begins early", Tube(stated=lambda s: (s.begin - 20, s.last)),
                flag("F-OFFSETS", figures=(lambda s: s.begin - 20, lambda s: s.begin))),
        illegal("TEXT ends an event early", Tube(stated=lambda s: (s.begin, s.last - 20)),
                flag("F-OFFSETS", figures=(lambda s: s.last - 20, lambda s: s.last))),
        illegal("HEADER one value late and both fit", Tube(header=lambda s: (s.begin + 4, s.last + 4)),
                flag("F-OFFSETS", figures=(lambda s: s.begin + 4, lambda s: s.begin))),
        illegal("TEXT one value late and both fit", Tube(stated=lambda s: (s.begin + 4, s.last + 4)),
                flag("F-OFFSETS", figures=(lambda s: s.begin + 4, lambda s: s.begin))),
        far("both fit and nothing tells", Tube(quiet, header=lambda s: (s.begin + 4, s.last + 4)),
                refuse("E-OFFSETS", lambda s: s.begin + 4, lambda s: s.begin)),
        far("neither fits", Tube(header=lambda s: (s.begin, s.last - 40),
                stated=lambda s: (s.begin, s.last + 400), behind=b"x" * 500),
                refuse("E-OFFSETS", "240", "200", "640")),
    )  # fmt: skip
    early = Tube(header=lambda s: (s.begin - 4, s.last), stated=lambda s: (s.begin - 4, s.last), gap=b"    ")
    yield from hazard(
        2,
        "offsets",
        legal("ANALYSIS from 0 to -1", Tube(edit=in_header(4, 0, -1)), repair="negative offsets"),
        illegal("end one too high", Tube(late=1), note("N-OFFSETS"), is_legal=True),
        illegal("end one too high at the end of the file", Tube(late=1, behind=b""), note("N-OFFSETS")),
        illegal("end is begin in TEXT", Tube(stated=lambda s: (s.begin, s.begin)), note("N-OFFSETS")),
        illegal("DATA from 0 to -1 in HEADER", Tube(header=lambda _: (0, -1)), note("N-OFFSETS")),
        illegal("end one too low", Tube(late=-1), refuse("E-OFFSETS", "240", "239")),
        far("five bytes more than events", Tube(late=5), flag("F-OFFSETS", figures=("245", "240")),
                repair="event width not dividing DATA"),
        far("begins one value early and ends right", early,
                flag("F-OFFSETS", stored=moved(early, -4), figures=("244", "240"))),
    )  # fmt: skip
    beyond = {"stated": lambda s: (s.begin + HUGE, s.last + HUGE)}
    yield from hazard(
        3,
        "offsets",
        legal("large file, HEADER says 0", Tube(header=lambda _: (0, 0), **beyond), hole=HUGE),
        illegal("small file, HEADER says 0", Tube(header=lambda _: (0, 0)), note("N-OFFSETS")),
        illegal("small file, HEADER is blank", Tube(header=lambda _: ("", "")), note("N-OFFSETS")),
        illegal("HEADER says 99999999", Tube(header=lambda _: (99999999, 99999999)), note("N-OFFSETS"),
                repair="TEXT preferred to HEADER"),
        illegal("HEADER begins right and ends at 0", Tube(header=lambda s: (s.begin, 0)), note("N-OFFSETS"),
                repair="split offsets"),
        illegal("HEADER begins right and ends at 99999999", Tube(header=lambda s: (s.begin, 99999999)),
                note("N-OFFSETS")),
        illegal("large file, HEADER lost its first digit", Tube(header=lambda s: (s.begin, s.last), **beyond),
                note("N-OFFSETS"), hole=HUGE),
        far("large file, HEADER ran over its fields",
                Tube(edit=lambda raw, s: at(26,
                f"{s.begin + HUGE:d}{s.last + HUGE:d}".ljust(24).encode())(raw, s), **beyond),
                flag("F-OFFSETS"), hole=HUGE),
    )  # fmt: skip
    silent = {"$BEGINDATA": None, "$ENDDATA": None}
    yield from hazard(
        4,
        "offsets",
        legal("FCS 2 0 has none", Tube(version="FCS2.0")),
        illegal("no $BEGINDATA and no $ENDDATA", Tube(keywords=silent), note("N-OFFSETS"),
                repair="offsets missing"),
        illegal("no $ENDDATA", Tube(keywords={"$ENDDATA": None}), note("N-OFFSETS")),
        far("words for offsets", Tube(stated=lambda _: ("begin", "end")), note("N-OFFSETS")),
        far("no offsets anywhere", Tube(keywords=silent, header=lambda _: (0, 0)), refuse("E-OFFSETS")),
    )  # fmt: skip
    yield from hazard(
        5,
        "offsets",
        legal("DATA right behind TEXT", Tube(version="FCS3.0")),
        illegal("TEXT's end one too high", Tube(edit=text_ends(1)), note("N-OFFSETS"), is_legal=True),
        illegal("DATA begins ten bytes inside TEXT", Tube(**both(lambda s: (s.begin - 10, s.last - 10))),
                refuse("E-OFFSETS", lambda s: s.begin - 10, lambda s: s.text_last)),
        illegal("ANALYSIS inside DATA",
                Tube(edit=lambda raw, s: in_header(4, s.begin + 3, s.begin + 50)(raw, s)),
                refuse("E-OFFSETS", lambda s: s.begin, lambda s: s.begin + 50)),
        illegal("supplemental TEXT inside DATA",
                Tube(edit=lambda raw, s: swapped(b"$BEGINSTEXT/           0/$ENDSTEXT/           0",
                f"$BEGINSTEXT/{s.begin + 4:12d}/$ENDSTEXT/{s.begin + 60:12d}".encode())(raw, s)),
                refuse("E-OFFSETS", lambda s: s.begin, lambda s: s.begin + 60)),
        far("DATA is TEXT", Tube(**both(lambda _: (60, 299))), refuse("E-OFFSETS", "60", "299")),
        far("DATA is HEADER", Tube(**both(lambda _: (10, 249))), refuse("E-OFFSETS", "10", "249")),
        far("DATA ends before it begins", Tube(**both(lambda s: (s.last, s.begin))),
                refuse("E-OFFSETS", lambda s: s.last, lambda s: s.begin)),
        far("DATA begins before the file", Tube(**both(lambda s: (-240, -1))),
                refuse("E-HEADER", "-240", "-1")),
    )  # fmt: skip
    late = Tube(header=lambda s: (s.begin + 4, s.last + 4), stated=lambda s: (s.begin + 4, s.last + 4))
    word = {"$COM": "something long enough"}
    added = Tube(keywords=word, edit=inserted(b"something", b"!"))
    lost = Tube(keywords=word, edit=swapped(b"something", b"somethin"))
    more = Tube(keywords=word, edit=inserted(b"something", b"going"))
    short = Tube(keywords=word, edit=lambda raw, s: raw[: s.text_last - 2] + raw[s.text_last + 1 :])
    yield from hazard(
        41,
        "offsets",
        legal("blanks, NUL and line ends before DATA", Tube(gap=b" " * 100 + b"\0\0\r\n")),
        illegal("both offsets one value late", late,
                flag("F-GAP", stored=moved(late, 4), figures=(lambda s: s.begin + 4,))),
        illegal("a byte added to TEXT", added,
                flag("F-SHIFT", *absurd(moved(added, 0)), stored=moved(added, 0))),
        illegal("a byte lost from TEXT", lost,
                flag("F-SHIFT", *absurd(moved(lost, 0)), stored=moved(lost, 0))),
        illegal("five bytes added to TEXT", more,
                flag("F-SHIFT", *absurd(moved(more, 0)), stored=moved(more, 0))),
        illegal("TEXT lost its last three bytes", short,
                flag("F-SHIFT", *absurd(moved(short, 0)), stored=moved(short, 0))),
        far("a whole event lost between TEXT and DATA", Tube(gap=packed(ROWS[:1], CHANNELS, "F", "little")),
                flag("F-GAP")),
    )  # fmt: skip
    between = Tube(keywords={"$BEGINANALYSIS": "0" * 8, "$ENDANALYSIS": "0" * 8}, gap=b"/GATE1/12/",
        edit=lambda raw, s: raw.replace(b"$BEGINANALYSIS/00000000/$ENDANALYSIS/00000000",
        b"$BEGINANALYSIS/%08d/$ENDANALYSIS/%08d" % (s.begin - 10, s.begin - 1)))  # fmt: skip
    yield from hazard(
        42,
        "offsets",
        legal("TEXT begins at 4000", Tube(text_at=4000)),
        legal("OTHER segment", Tube(before=b"      80      89" + b" " * 6 + b"0123456789" + b" " * 6,
                text_at=120), repair="OTHER segments"),
        far("OTHER segments in fields of unknown width",
                Tube(before=b"   700   709/x12345678901234567890", text_at=120)),
        legal("ANALYSIS is blank", Tube(edit=in_header(4, "", ""))),
        legal("ANALYSIS before DATA, in TEXT alone", between),
        illegal("ANALYSIS is a word", Tube(edit=in_header(4, "what", "ever")), note("N-OFFSETS")),
        illegal("ANALYSIS ends beyond the file",
                Tube(edit=lambda raw, s: in_header(4, s.size - 4, s.size + 900)(raw, s)),
                repair="segment ends beyond the file"),
        illegal("TEXT's begin is a word", Tube(edit=in_header(0, "text")), refuse("E-HEADER")),
        illegal("TEXT begins inside HEADER", Tube(edit=in_header(0, 10)), refuse("E-HEADER", "10", "58")),
        illegal("DATA's begin is a word", Tube(edit=in_header(2, "data")), refuse("E-HEADER")),
        far("TEXT ends before it begins", Tube(edit=in_header(0, 300, 58)), refuse("E-HEADER", "300", "58")),
        far("TEXT's begin is negative", Tube(edit=in_header(0, -58)), refuse("E-HEADER", "-58", "58")),
        far("HEADER is blank", Tube(edit=in_header(0, *[""] * 6)), refuse("E-HEADER")),
        far("a version that is none", Tube(edit=at(0, b"FCS9.9")), refuse("E-NOT-FCS", "FCS9.9")),
    )  # fmt: skip


# ---------------------------------------------------------------------------------- damage


THIRTY = [parameter(f"Ce{number}Di") for number in range(130, 160)]
"""Channels of a mass cytometer."""


def _sparse(zeros: int) -> list[list[float]]:
    """Return events of which each channel sees one in twenty, so that every fifth event is all zero."""
    rng = random.Random(3)
    rows = [[float(rng.randrange(1, 99) * (rng.random() < 0.05)) for _ in THIRTY] for _ in range(300)]
    return [*rows[: -zeros - 1], [1.0] * 30, *[[0.0] * 30] * zeros]


def _analysis_late(raw: bytes, _spot: Spot) -> bytes:
    """Let HEADER end ANALYSIS one byte too high."""
    return in_header(5, int(raw[50:58]) + 1)(raw, _spot)


def _supplement_late(raw: bytes, _spot: Spot) -> bytes:
    """Let TEXT end the supplement one byte too high."""
    return re.sub(rb"(?<=\$ENDSTEXT/) *\d+", lambda found: b"%12d" % (int(found[0]) + 1), raw)


def _damage() -> Iterator[Case]:
    zeros = [row if number < 6 else [0.0] * 5 for number, row in enumerate(ROWS)]
    almost = [*ROWS[:-1], [0.0, 0.0, 0.0, 0.0, 5.0]]
    gaps = [[0.0] * 5 if number in (3, 4) else row for number, row in enumerate(ROWS)]
    sparse, unwritten = _sparse(1), _sparse(60)
    whole = Tube(behind=b"")
    no_offsets = {"header": lambda _: (0, 0), "stated": lambda _: (0, 0)}
    yield from hazard(
        6,
        "damage",
        legal("ends with DATA", whole),
        legal("zeros in all channels but one at the end", Tube(almost), read(almost)),
        legal("zeros in the middle", Tube(gaps), read(gaps)),
        legal("events of zeros throughout, the last one too", Tube(sparse, THIRTY),
                read(sparse, names=tuple(one["N"] for one in THIRTY), stains=("",) * 30)),
        illegal("events of zeros throughout, and sixty at the end", Tube(unwritten, THIRTY),
                flag("F-ZEROS", stored=unwritten, names=tuple(one["N"] for one in THIRTY), stains=("",) * 30,
                figures=("60", "300"))),
        illegal("last byte missing", Tube(behind=b"", edit=cut(1)), refuse("E-TRUNCATED", "1", "240")),
        illegal("last event zero", Tube([*ROWS[:-1], [0.0] * 5]),
                flag("F-ZEROS", stored=[*ROWS[:-1], [0.0] * 5], figures=("1", "12"))),
        illegal("copied by halves, the rest zero", Tube(zeros),
                flag("F-ZEROS", stored=zeros, figures=("6", "12"))),
        far("half of DATA missing", Tube(behind=b"", edit=cut(120)), refuse("E-TRUNCATED", "120", "240")),
        far("all of DATA missing", Tube(behind=b"", edit=cut(240)), refuse("E-TRUNCATED", "240")),
        far("cut inside TEXT", Tube(edit=lambda raw, _: raw[:200]),
                refuse("E-TRUNCATED", lambda s: s.text_last, "200")),
        far("cut inside HEADER", Tube(edit=lambda raw, _: raw[:40]), refuse("E-TRUNCATED", "40", "58")),
        far("nothing but the version", bare(b"FCS3.1"), refuse("E-TRUNCATED", "6", "58")),
        far("being written, no events yet announced", Tube(keywords={"$TOT": 0}),
                refuse("E-OFFSETS", "0", "248")),
        far("being written, no offsets yet", Tube(keywords={"$TOT": 0}, **no_offsets),
                refuse("E-OFFSETS", "0", "248")),
        far("being written, DATA's end not yet said",
                Tube(keywords={"$TOT": ""}, header=lambda s: (s.begin, 0), stated=lambda s: (s.begin, 0)),
                refuse("E-OFFSETS")),
        far("zeros all over", Tube([[0.0] * 5] * 12),
                flag("F-ZEROS", stored=[[0.0] * 5] * 12, figures=("12",))),
    )  # fmt: skip

    def summed(raw: bytes, _spot: Spot) -> bytes:
        return raw[:-8] + f"{binascii.crc_hqx(raw[:-8], 0xFFFF):8d}".encode()

    yield from hazard(
        7,
        "damage",
        legal("checksum right", Tube(edit=summed)),
        legal("checksum in hexadecimal", Tube(behind=b"0000A3F1")),
        legal("checksum in hexadecimal, small letters", Tube(behind=b"0000a3f1")),
        legal("checksum filled with zeros", Tube(behind=b"00043521")),
        illegal("ANALYSIS one too high before the checksum", Tube(analysis=b"/GATE1/12/", edit=_analysis_late),
                is_legal=True),
        illegal("supplemental TEXT one too high before the checksum",
                Tube(supplement="/GATE1/12/", edit=_supplement_late), is_legal=True),
        illegal("a signature before the checksum",
                Tube(behind=b"<signature>9f3ab2c417</signature>00000000"), is_legal=True),
        illegal("checksum wrong", Tube(behind=b"   12345")),
        far("ten thousand bytes of junk behind", Tube(behind=b"\x93junk" * 2000), is_legal=True),
        far("a web page behind", Tube(behind=b"00000000<html><body>Error 500</body></html>")),
    )  # fmt: skip
    yield from hazard(
        8,
        "damage",
        legal("1,000 channels that are there",
                Tube([[1.0] * 1000], [parameter(f"C{n}") for n in range(1000)]),
                read([[1.0] * 1000], names=tuple(f"C{n}" for n in range(1000)), stains=("",) * 1000)),
        illegal("1e9 events, offsets to match",
                Tube(header=lambda _: (0, 0), stated=lambda s: (s.begin, s.begin + 20 * 10**9 - 1),
                keywords={"$TOT": 10**9}), refuse("E-TRUNCATED", "20,000,000,000",
                lambda s: f"{s.begin + 20 * 10**9 - s.size:,}")),
        illegal("1e9 events, offsets of twelve", Tube(keywords={"$TOT": 10**9}),
                refuse("E-OFFSETS", "1,000,000,000", "240")),
        far("1e17 events", Tube(keywords={"$TOT": 10**17}),
                refuse("E-OFFSETS", "100,000,000,000,000,000", "240")),
        far("1e30 events", Tube(keywords={"$TOT": 10**30}), refuse("E-OFFSETS", "240")),
        far("1e9 channels", Tube(keywords={"$PAR": 10**9}), refuse("E-KEYWORD", "1000000000", "10,000")),
        far("10,000 channels", Tube(keywords={"$PAR": 10_000}), refuse("E-OFFSETS", "480,000", "240")),
        far("1e9 bits", counts(keywords={"$P2B": 10**9}), refuse("E-LAYOUT", "1000000000", "64")),
        far("$TOT of 5,000 zeros and 12", Tube(keywords={"$TOT": ZEROS + "12"}), flag("F-TOT", figures=("12",))),
        far("$PAR of 5,000 zeros and 5", Tube(keywords={"$PAR": ZEROS + "5"}), refuse("E-KEYWORD", "$PAR")),
        far("$P1B of 5,000 zeros and 16", counts(keywords={"$P1B": ZEROS + "16"}), refuse("E-LAYOUT", "$P1B")),
        far("TEXT of 99,999,999 bytes", Tube(edit=in_header(1, 99_999_999)),
                refuse("E-TRUNCATED", "99999999", lambda s: s.size)),
        far("supplemental TEXT of 1e11 bytes",
                Tube(keywords={"$BEGINSTEXT": f"{900:12d}", "$ENDSTEXT": f"{10**11:12d}"}), note("N-TEXT")),
        far("ANALYSIS of 99,999,999 bytes",
                Tube(edit=lambda raw, s: in_header(4, s.last + 1, 99_999_999)(raw, s))),
        far("HEADER and nothing else",
                bare(b"FCS3.1    " + b"".join(str(n).rjust(8).encode() for n in (58, 99_999_998, 99_999_999,
                99_999_999, 0, 0))), refuse("E-TRUNCATED", "99999998", "58")),
        far("a spillover of 1e9 detectors", Tube(keywords={"$SPILLOVER": "1000000000,PE-A,APC-A,1,0,0,1"}),
                note("N-SPILL", figures=("1000000000",))),
    )  # fmt: skip


# ---------------------------------------------------------------------------------- counts


def _counts() -> Iterator[Case]:
    yield from hazard(
        18,
        "counts",
        legal("$TOT filled with zeros", Tube(keywords={"$TOT": "000012"})),
        legal("$TOT among blanks", Tube(keywords={"$TOT": " 12  "}), repair="blanks around values"),
        legal("no $TOT in FCS 2 0", Tube(version="FCS2.0", keywords={"$TOT": None}),
                note("N-KEYWORD", figures=("12",))),
        illegal("$TOT one too small", Tube(keywords={"$TOT": 11}), flag("F-TOT", figures=("11", "12")),
                repair="$TOT mismatch"),
        illegal("$TOT one too large", Tube(keywords={"$TOT": 13}, behind=b" " * 90),
                refuse("E-OFFSETS", "13", "260", "240")),
        illegal("no $TOT", Tube(keywords={"$TOT": None}), flag("F-TOT", figures=("12",))),
        far("$TOT is a word", Tube(keywords={"$TOT": "twelve"}), flag("F-TOT", figures=("twelve", "12"))),
        far("$TOT is negative", Tube(keywords={"$TOT": -12}), refuse("E-KEYWORD", "-12")),
        far("$TOT is twelve thousand", Tube(keywords={"$TOT": 12_000}), refuse("E-OFFSETS", "12,000", "240")),
    )  # fmt: skip
    three = [[value for row in ROWS for value in row][at_ : at_ + 4] for at_ in range(0, 60, 4)]
    yield from hazard(
        19,
        "counts",
        legal("$PAR among blanks", Tube(keywords={"$PAR": " 5 "})),
        illegal("$PAR one too small", Tube(keywords={"$PAR": 4}), refuse("E-KEYWORD", "4", "$P5N")),
        illegal("$PAR one too large", Tube(keywords={"$PAR": 6}), refuse("E-OFFSETS", "24", "240")),
        illegal("$PAR one too large on integers", counts(keywords={"$PAR": 6}), refuse("E-KEYWORD", "$P6B")),
        illegal("$PAR one too small and $TOT to match", Tube(keywords={"$PAR": 4, "$TOT": len(three)}),
                refuse("E-KEYWORD", "4", "$P5N")),
        illegal("no $PAR", Tube(keywords={"$PAR": None}), refuse("E-KEYWORD", "$PAR")),
        far("$PAR is 0", Tube(keywords={"$PAR": 0}), refuse("E-KEYWORD", "0")),
        far("$PAR is a word", Tube(keywords={"$PAR": "five"}), refuse("E-KEYWORD", "five")),
        far("$PAR is 2 of 5", Tube(keywords={"$PAR": 2, "$TOT": 30}), refuse("E-KEYWORD", "2", "$P3N")),
    )  # fmt: skip
    none = {"header": lambda _: (0, 0), "stated": lambda _: (0, 0)}
    yield from hazard(
        32,
        "counts",
        legal("no events, offsets 0", Tube([], **none), read([])),
        legal("no events, end before begin", Tube([]), read([])),
        legal("no events of integers", counts(rows=[], behind=b""), read([])),
        illegal("no events announced and one stored", Tube(ROWS[:1], keywords={"$TOT": 0}),
                refuse("E-OFFSETS", "0", "28")),
        far("no events announced and 1,200 bytes stored", Tube(ROWS * 5, keywords={"$TOT": 0}),
                refuse("E-OFFSETS", "0", "1,208")),
    )  # fmt: skip
    long = [[number % 251] for number in range(100_000)]
    one = [parameter("FITC-A", 8, 256)]
    beyond = {"stated": lambda s: (s.begin + 2**31, s.last + 2**31), "header": lambda _: (0, 0)}
    yield from hazard(
        33,
        "counts",
        legal("100,000 events", Tube(long, one, datatype="I"), read(long, names=("FITC-A",), stains=("",))),
        illegal("2**31 events announced", Tube(keywords={"$TOT": 2**31}),
                refuse("E-OFFSETS", "2,147,483,648", "240")),
        far("DATA beyond 2 GiB", Tube(**beyond), hole=2**31, is_legal=True),
    )  # fmt: skip


# ---------------------------------------------------------------------------------- TEXT


def _keys(change: Callable[[str], str]) -> dict[str, Any]:
    """Return the options by which every standard key but those of offsets is written otherwise."""
    plain = {"$BEGINANALYSIS": 0, "$ENDANALYSIS": 0, "$NEXTDATA": 0, "$MODE": "L", "$DATATYPE": "F"}
    plain |= {"$BYTEORD": "1,2,3,4", "$PAR": 5, "$TOT": 12}
    plain |= {f"$P{n}{letter}": value for n, one in enumerate(CHANNELS, 1) for letter, value in one.items()}
    return {
        "keywords": dict.fromkeys(plain),
        "more": [(change(key), str(value)) for key, value in plain.items()],
    }


def _cased(raw: bytes, _spot: Spot) -> bytes:
    """Write the keys of the offsets in lower case too."""
    for key in (b"$BEGINSTEXT", b"$ENDSTEXT", b"$BEGINDATA", b"$ENDDATA"):
        raw = raw.replace(key, key.lower())
    return raw


def _padded(raw: bytes, _spot: Spot) -> bytes:
    """Put blanks before the keys of the offsets too."""
    for key in (b"$BEGINSTEXT", b"$ENDSTEXT", b"$BEGINDATA", b"$ENDDATA"):
        raw = raw.replace(b"/" + key + b"/  ", b"/\r\n" + key + b"/")
    return raw


def _behind_empty(key: str, value: str, version: str = "FCS3.1", **keywords: str) -> Tube:
    """Return a file in which a keyword stands behind a private one without a value."""
    given = {name.replace("_", "$"): written for name, written in keywords.items()}
    more = [("TUBE NAME", ""), (key, value)]
    return Tube(keywords={key: None, **given}, more=more, version=version)


def _stained(*stains: str) -> dict[str, Any]:
    """Return the truth of other stains in the middle channels."""
    return {"stains": ("", *stains, "")}


OPEN_ENDS = {
    "sz": "Groß", "the euro": "10 €", "a dash": "CD4–CD8", "two lines": "a\r\nb", "a line end": "a\r\n"
}  # fmt: skip
"""What a last value may end in: signs of several bytes, and of none that is printed."""


def _text() -> Iterator[Case]:
    stains = ("stains",)
    whole_ = [[*row[:2], float(i), *row[3:]] for i, row in enumerate(ROWS)]
    yield from hazard(
        9,
        "text",
        legal("doubled in a stain", Tube(channels=third(S="CD3/CD19")),
                read(**_stained("CD4", "CD3/CD19", "CD127")), about=stains),
        legal("doubled in a name", Tube(channels=channels(P3={"N": "V450/50-A"})),
                read(names=("FSC-A", "FITC-A", "V450/50-A", "APC-A", "Time"))),
        legal("doubled twice in a row", Tube(channels=third(S="CD3//CD19")),
                read(**_stained("CD4", "CD3//CD19", "CD127")), about=stains),
        legal("doubled at the end of a value", Tube(channels=third(S="CD3/")),
                read(**_stained("CD4", "CD3/", "CD127")), about=stains, repair="delimiters at word borders"),
        illegal("not doubled at the end of TEXT", Tube(more=[("X", "a/b")]), note("N-TEXT"),
                repair="odd number of words"),
        illegal("not doubled in a stain", Tube(edit=swapped(b"CD25", b"CD/5")), refuse("E-TEXT"),
                about=stains, repair="literal delimiters"),
        illegal("a delimiter missing", Tube(edit=swapped(b"$MODE/L", b"$MODE_L")),
                refuse("E-TEXT", "$DATATYPE")),
        far("not doubled in two stains",
                Tube(edit=lambda raw, s: swapped(b"CD127", b"CD/27")(swapped(b"CD25", b"CD/5")(raw, s), s)),
                refuse("E-TEXT"), about=stains),
    )  # fmt: skip
    yield from hazard(
        10,
        "text",
        legal("a value of one blank", Tube(channels=third(S=" ")), read(**_stained("CD4", "", "CD127")),
                about=stains),
        illegal("an empty stain", Tube(channels=third(S="")), note("N-TEXT", **_stained("CD4", "", "CD127")),
                about=stains, repair="empty values"),
        illegal("an empty value at the end", Tube(more=[("$SRC", "")]), note("N-TEXT")),
        illegal("an empty private value before a stain", _behind_empty("$P3S", "CD25"), note("N-TEXT"),
                about=stains),
        illegal("an empty private value before a gain", _behind_empty("$P3G", "8"),
                note("N-TEXT", "N-SCALING", scale=_column(ROWS, 2, lambda value: value / 8)), about=("scale",)),
        illegal("an empty private value before an amplifier",
                counts(keywords={"$P3E": None}, more=[("TUBE NAME", ""), ("$P3E", "4,1")]), note("N-TEXT",
                "N-SCALING", stored=COUNTS, scale=_column(COUNTS, 2, _log(4, 1, 1024))), about=("scale",)),
        illegal("an empty private value before $SPILLOVER", _behind_empty("$SPILLOVER", matrix(*PAIR)),
                note("N-TEXT", spillover=PAIR), about=("spillover",)),
        illegal("an empty private value before SPILL, which differs",
                _behind_empty("SPILL", matrix(*PAIR), _SPILLOVER=matrix(*TRIPLE)), note("N-TEXT", "N-SPILL"),
                about=("spillover",)),
        illegal("an empty private value before $TOT", _behind_empty("$TOT", "11"),
                flag("F-TOT", notes=frozenset({"N-TEXT"}), figures=("11", "12"))),
        illegal("an empty private value before $MODE", _behind_empty("$MODE", "U", version="FCS3.2"),
                refuse("E-MODE", "U")),
        illegal("an empty private value before a type", Tube(whole_, third(DATATYPE="I"), version="FCS3.2",
                keywords={"$P3DATATYPE": None}, more=[("TUBE NAME", ""), ("$P3DATATYPE", "I")]),
                note("N-TEXT", stored=whole_)),
        illegal("two empty private values in a row", Tube(keywords={"$P3S": None},
                more=[("TUBE NAME", ""), ("SAMPLE ID", ""), ("$P3S", "CD25")]), note("N-TEXT"), about=stains),
        illegal("an empty private value and a doubled delimiter", Tube(channels=third(S="CD3/CD19"),
                more=[("TUBE NAME", ""), ("$P5S", "steps")]),
                note("N-TEXT", stains=("", "CD4", "CD3/CD19", "CD127", "steps")), about=stains),
        far("many empty values", Tube(channels=third(S=""),
                more=[("$SRC", ""), ("$OP", ""), ("$EXP", ""), ("X", "y"), ("LAST", "")]),
                note("N-TEXT", **_stained("CD4", "", "CD127")), about=stains),
        far("an empty value and a doubled delimiter",
                Tube(channels=third(S="CD3/CD19"), more=[("$P1S", ""), ("$P5S", "steps")]),
                note("N-TEXT", stains=("", "CD4", "CD3/CD19", "CD127", "steps")), about=stains),
    )  # fmt: skip
    ends = {"form feed": "\f", "caret": "^", "plus": "+", "bracket": "[", "question mark": "?",
        "asterisk": "*"}  # fmt: skip
    more = {"carriage return": "\r", "byte 1": "\x01", "byte 126": "~", "small letter q": "q"}
    yield from hazard(
        11,
        "text",
        *(legal(name, Tube(delimiter=sign)) for name, sign in ends.items()),
        *(far(name, Tube(delimiter=sign), is_legal=True) for name, sign in more.items()),
        illegal("byte 0", Tube(delimiter="\0"), refuse("E-TEXT", "0", "126")),
        illegal("byte 127", Tube(delimiter="\x7f"), refuse("E-TEXT", "127", "126")),
        far("byte 200", Tube(delimiter="\xc8", encoding="latin-1"), refuse("E-TEXT", "200", "126"),
                repair="delimiter not ASCII"),
    )  # fmt: skip
    last = {"keywords": {"$TOT": None}, "more": [("$TOT", "12")]}
    yield from hazard(
        12,
        "text",
        legal("$TOT comes last", Tube(**last)),
        illegal("TEXT is not closed", Tube(last_delimiter=False, **last), note("N-TEXT"),
                repair="no last delimiter"),
        *(illegal(f"TEXT is not closed and ends in {name}", Tube(more=[("$OP", value)], last_delimiter=False),
                note("N-TEXT")) for name, value in OPEN_ENDS.items()),
        illegal("TEXT is not closed and ends in a dash of Windows",
                Tube(more=[("$OP", "a\x96b")], last_delimiter=False, encoding="latin-1"),
                note("N-TEXT", "N-ENCODING")),
        illegal("TEXT is closed twice", Tube(keywords={"$P3S": None}, more=[("$P3S", "CD25/")]), note("N-TEXT"),
                about=stains),
        illegal("TEXT is closed twice behind a gain", Tube(more=[("$P3G", "8/")]),
                note("N-TEXT", "N-SCALING", scale=_column(ROWS, 2, lambda value: value / 8)), about=("scale",)),
        illegal("TEXT is closed twice behind SPILL", Tube(more=[("SPILL", matrix(*PAIR) + "/")]),
                note("N-TEXT", spillover=PAIR), about=("spillover",)),
        illegal("TEXT's end one too low", Tube(edit=text_ends(-1), **last), note("N-OFFSETS")),
        illegal("$TOT lost a digit", Tube(edit=text_ends(-2), **last), refuse("E-OFFSETS", "1", "240")),
        far("$TOT lost", Tube(edit=text_ends(-4), **last), flag("F-TOT", "F-GAP", figures=("12",))),
        far("half of TEXT", counts(edit=in_header(1, 270)), refuse("E-KEYWORD", "$P4B")),
    )  # fmt: skip
    yield from hazard(
        13,
        "text",
        legal("keys in lower case", Tube(edit=_cased, **_keys(str.lower)), about=stains),
        illegal("blanks before keys", Tube(edit=_padded, **_keys(lambda key: f"\n{key}")), is_legal=True,
                about=stains),
        far("blanks around mixed keys", Tube(edit=_padded, **_keys(lambda key: f" \t\r\n{key.title()} \0 ")),
                about=stains),
    )  # fmt: skip
    private = [("P3N", "BV421-A"), ("P3S", "CD8"), ("P3B", "64"), ("PAR", "9"), ("TOT", "7"),
        ("DATATYPE", "I"), ("BYTEORD", "4,3,2,1"), ("BEGINDATA", "1"), ("MODE", "U"), ("#P3N", "x"),
        ("$$P3N", "x"), ("P3G", "8"), ("NEXTDATA", "60")]  # fmt: skip
    yield from hazard(
        14,
        "text",
        legal("P3N beside $P3N", Tube(more=[("P3N", "BV421-A")])),
        legal("$ inside a stain", Tube(channels=third(S="CD$5")), read(**_stained("CD4", "CD$5", "CD127")),
                about=stains),
        illegal("a $ keyword that nobody knows", Tube(more=[("$FOO", "bar")])),
        legal("a value that is a key", Tube(more=[("$COM", "$SMNO"), ("$WELLID", "A1")])),
        illegal("two values in a row that are keys", Tube(more=[("$WELLID", "$PLATEID"), ("$VOL", "$FLOWRATE")]),
                refuse("E-TEXT", "$WELLID")),
        far("a private twin of every keyword", Tube(more=private), is_legal=True, about=stains),
    )  # fmt: skip
    yield from hazard(
        15,
        "text",
        legal("twice and the same", Tube(more=[("$PAR", "5"), ("$P3N", "PE-A")])),
        illegal("twice and the same but for blanks", Tube(more=[("$PAR", " 5"), ("$P3S", "CD25 ")])),
        illegal("$SRC twice", Tube(more=[("$SRC", "a"), ("$SRC", "b")]), note("N-TEXT"), repair="keys twice"),
        illegal("$P3N twice", Tube(more=[("$P3N", "BV421-A")]), refuse("E-TEXT", "$P3N", "PE-A")),
        illegal("a stain twice", Tube(more=[("$P3S", "CD127")]), refuse("E-TEXT", "$P3S", "CD25"),
                about=stains),
        illegal("a spillover twice", Tube(keywords={"$SPILLOVER": "2,FITC-A,PE-A,1,0.1,0,1"},
                more=[("$SPILLOVER", "2,FITC-A,PE-A,1,0.2,0,1")]), refuse("E-TEXT", "$SPILLOVER"),
                about=("spillover",)),
        far("$TOT twice, once in lower case", Tube(more=[("$tot", "11")]), refuse("E-TEXT", "$TOT", "12")),
        far("$BEGINDATA twice", Tube(more=[("$BEGINDATA", "58")]), refuse("E-TEXT", "$BEGINDATA")),
    )  # fmt: skip
    yield from hazard(
        16,
        "text",
        legal("UTF-8", Tube(channels=third(S="β-Catenin µ")), read(**_stained("CD4", "β-Catenin µ", "CD127")),
                about=stains),
        illegal("Latin-1", Tube(channels=third(S="Färbung µ"), encoding="latin-1"),
                note("N-ENCODING", **_stained("CD4", "Färbung µ", "CD127")), about=stains,
                repair="not UTF-8"),
        illegal("NUL in a value", Tube(channels=third(S="CD\x0025")),
                read(**_stained("CD4", "CD\x0025", "CD127")), about=stains),
        far("UTF-16", Tube(encoding="utf-16-le"), refuse("E-TEXT")),
        far("Latin-1 beside UTF-8", Tube(channels=channels(P3={"S": "é"}, P4={"S": "Ã©"}),
                encoding="latin-1"), note("N-ENCODING", **_stained("CD4", "é", "é")), about=stains),
    )  # fmt: skip
    plain = [parameter(name) for name in NAMES]
    supplement = "/$P2S/CD4/$P3S/CD25/$P4S/CD127/"
    yield from hazard(
        17,
        "text",
        legal("stains in it", Tube(channels=plain, supplement=supplement), about=stains),
        legal("offsets 0", Tube()),
        legal("a delimiter of its own", Tube(channels=plain, supplement=supplement.replace("/", "|")),
                about=stains, repair="another delimiter in the supplement"),
        illegal("no $BEGINSTEXT", Tube(keywords={"$BEGINSTEXT": None, "$ENDSTEXT": None}), is_legal=True),
        illegal("contradicts", Tube(supplement="/$P3S/CD8/X/y/"), flag("F-SUPPLEMENT"), about=stains),
        illegal("beyond the file", Tube(keywords={"$BEGINSTEXT": f"{5000:12d}", "$ENDSTEXT": f"{5999:12d}"}),
                note("N-TEXT", figures=("5000",))),
        far("the primary TEXT again", Tube(keywords={"$BEGINSTEXT": f"{58:12d}", "$ENDSTEXT": f"{300:12d}"})),
        illegal("another $ETIM", Tube(keywords={"$ETIM": "10:00:00"}, supplement="/$ETIM/10:05:00/X/y/"),
                note("N-TEXT", figures=("$ETIM",))),
        far("no TEXT at all", Tube(supplement="\xff\xfe\xfd", encoding="latin-1"), note("N-TEXT")),
        far("a zip file", Tube(supplement="PK\x03\x04P\x14P$PP5SPCD8P$PP1GP8P", encoding="latin-1"),
                note("N-TEXT"), about=stains),
    )  # fmt: skip


# ---------------------------------------------------------------------------------- types


def _turned(value: float, width: int) -> int:
    return int.from_bytes(int(value).to_bytes(width, "little"), "big")


def _types() -> Iterator[Case]:
    junk = [[value | 0xA400 for value in row] for row in COUNTS]
    late = [[i % 1000] for i in range(19_999)] + [[1500]]
    full = [[1024 if i % 7 == 3 else 5 * i] for i in range(200)]
    below = [[value if n != 2 else 2**32 - value for n, value in enumerate(row)] for row in COUNTS]
    ran = [[*row[:4], 300 * i] for i, row in enumerate(COUNTS)]
    alone = {"names": ("FITC-A",), "stains": ("",)}
    pe = [parameter("FITC-A", 16, 1024)]
    wide = [[value | (0xA5 << 24) for value in row] for row in COUNTS]
    noise = [[value | (37 * value * value % 64 << 10) for value in row] for row in COUNTS]
    thousand = [[1010, 1001, 999, 1000, 1023], *COUNTS]
    yield from hazard(
        20,
        "types",
        legal("all bits used", counts(16, 65536, [[value * 60 for value in row] for row in COUNTS]),
                read([[value * 60 for value in row] for row in COUNTS])),
        legal("range 1000 and values to 1023", counts(16, 1000, thousand), read(thousand)),
        illegal("time runs beyond its range", counts(rows=ran),
                note("N-MASKED", stored=[[*row[:4], row[4] % 1024] for row in ran], figures=("Time",)),
                is_legal=True),
        illegal("one event of 20,000, the last", Tube(late, pe, datatype="I"),
                flag("F-MAGNITUDE", stored=[[value % 1024 for value in row] for row in late],
                figures=("20,000",), **alone)),
        illegal("saturated at the range itself", Tube(full, pe, datatype="I"),
                flag("F-MAGNITUDE", stored=[[value % 1024 for value in row] for row in full], **alone)),
        illegal("below 0 in 32 bits", counts(32, 262144, below),
                flag("F-MAGNITUDE", stored=[[value % 2**18 for value in row] for row in below],
                figures=("PE-A",))),
        illegal("junk above 10 bits", counts(16, 1024, junk), note("N-MASKED", stored=COUNTS), is_legal=True),
        illegal("junk above 18 bits of 32", counts(32, 262144, wide), note("N-MASKED", stored=COUNTS),
                is_legal=True),
        far("junk above 1000", counts(16, 1000, junk), note("N-MASKED", stored=COUNTS), is_legal=True),
        far("bits above the range that are no tag", counts(16, 1024, noise),
                flag("F-MAGNITUDE", stored=COUNTS)),
        far("bits above the range of 24 that are no tag", counts(24, 1024, noise),
                flag("F-MAGNITUDE", stored=COUNTS)),
        far("range 2**32", counts(32, 2**32, wide), read(wide), is_legal=True),
    )  # fmt: skip
    bytes_ = [[value % 251 for value in row] for row in COUNTS]
    threes = [[value * 16_000 + 7 for value in row] for row in COUNTS]
    longs = [[value * 2**53 + 1 for value in row] for row in COUNTS]
    fives = [[value * 2**29 + 3 for value in row] for row in COUNTS]
    mixed = [{**one, "B": bits, "R": 2**bits} for one,
        bits in zip(CHANNELS, (8, 16, 24, 32, 64), strict=True)]  # fmt: skip
    mix = [
        [row[0] % 251, row[1], row[2] * 9000, row[3] * 2**20, row[4] * 2**50] for row in COUNTS
    ]  # each in its own width
    yield from hazard(
        21,
        "types",
        legal("8 bits, above 127", counts(8, 256, bytes_), read(bytes_)),
        legal("mixed widths", Tube(mix, mixed, datatype="I"), read(mix)),
        legal("24 bits", counts(24, 2**24, threes), read(threes)),
        legal("24 bits high byte first", counts(24, 2**24, threes, order="big"), read(threes)),
        far("40 bits", counts(40, 2**40, fives), read(fives), is_legal=True),
        far("64 bits", counts(64, 2**64, longs), read(longs), is_legal=True),
        illegal("10 bits", of_bits(10), refuse("E-LAYOUT", "10"), repair="10 bits in 16"),
        illegal("12 bits", of_bits(12), refuse("E-LAYOUT", "12")),
        far("72 bits", of_bits(72), refuse("E-LAYOUT", "72", "64")),
        far("0 bits", of_bits(0), refuse("E-LAYOUT", "0")),
        far("any number of bits", of_bits("*"), refuse("E-LAYOUT", "*")),
        illegal("floats of 64 bits that have 32", Tube(keywords={f"$P{n}B": 64 for n in range(1, 6)}),
                note("N-KEYWORD", figures=("64",))),
    )  # fmt: skip
    yield from hazard(
        22,
        "types",
        legal("list mode among blanks", Tube(keywords={"$MODE": " L "})),
        legal("no $MODE in FCS 3 2", Tube(version="FCS3.2", keywords={"$MODE": None})),
        illegal("no $MODE", Tube(keywords={"$MODE": None}), note("N-KEYWORD")),
        illegal("a correlated histogram", Tube(keywords={"$MODE": "C"}), refuse("E-MODE", "C")),
        illegal("histograms", counts(keywords={"$MODE": "U"}), refuse("E-MODE", "U")),
        far("a mode that is none", Tube(keywords={"$MODE": "list"}), refuse("E-MODE", "list")),
    )
    yield from hazard(
        23,
        "types",
        legal("F among blanks", Tube(keywords={"$DATATYPE": " F "})),
        illegal("a small letter", Tube(keywords={"$DATATYPE": "f"})),
        illegal("ASCII", counts(keywords={"$DATATYPE": "A"}), refuse("E-LAYOUT", "A")),
        illegal("no $DATATYPE", Tube(keywords={"$DATATYPE": None}), refuse("E-KEYWORD", "$DATATYPE")),
        illegal("doubles that are floats", Tube(keywords={"$DATATYPE": "D"}),
                refuse("E-OFFSETS", "480", "240")),
        far("a type that is none", Tube(keywords={"$DATATYPE": "Q"}), refuse("E-LAYOUT", "Q")),
        far("three types", Tube(keywords={"$DATATYPE": "F,D,I"}), refuse("E-LAYOUT", "F,D,I")),
    )  # fmt: skip
    lies = Tube(keywords={"$BYTEORD": "4,3,2,1"})
    backwards = as_read(lies(), lies.spot().begin, 12, ">")
    turned = [[_turned(value, 2) & 1023 for value in row] for row in COUNTS]
    yield from hazard(
        24,
        "types",
        legal("high byte first", counts(order="big"), read(COUNTS)),
        legal("1,2 on 16 bits", counts(keywords={"$BYTEORD": "1,2"}), read(COUNTS)),
        legal("2,1 on 16 bits", counts(order="big", keywords={"$BYTEORD": "2,1"}), read(COUNTS)),
        illegal("1 on 8 bits", counts(8, 256, bytes_, keywords={"$BYTEORD": "1"}), read(bytes_)),
        illegal("1 on 16 bits", counts(keywords={"$BYTEORD": "1"}), refuse("E-LAYOUT", "1")),
        illegal("1,2,3 on 24 bits", counts(24, 2**24, threes, keywords={"$BYTEORD": "1,2,3"}), read(threes),
                repair="$PnB against $BYTEORD"),
        illegal("1,2 on 32 bits", counts(32, 262144, keywords={"$BYTEORD": "1,2"}), read(COUNTS)),
        illegal("blanks in the list", Tube(keywords={"$BYTEORD": " 1, 2, 3, 4 "}), repair="blanks in lists"),
        illegal("3,4,1,2", counts(32, 262144, keywords={"$BYTEORD": "3,4,1,2"}),
                refuse("E-LAYOUT", "3,4,1,2")),
        illegal("no $BYTEORD", Tube(keywords={"$BYTEORD": None}), refuse("E-KEYWORD", "$BYTEORD")),
        far("1,1,1,1", Tube(keywords={"$BYTEORD": "1,1,1,1"}), refuse("E-LAYOUT", "1,1,1,1")),
        far("a word", Tube(keywords={"$BYTEORD": "little"}), refuse("E-LAYOUT", "little")),
        far("floats in the other order", lies, flag("F-MAGNITUDE", stored=backwards)),
        far("integers in the other order", counts(keywords={"$BYTEORD": "4,3,2,1"}),
                flag("F-MAGNITUDE", stored=turned)),
    )  # fmt: skip
    timed = channels(P5={"DATATYPE": "I", "R": 2**32})
    kinds = channels(P1={"DATATYPE": "D", "B": 64}, P3={"DATATYPE": "I", "B": 8, "R": 256},
        P4={"DATATYPE": "I", "B": 24, "R": 2**24}, P5={"DATATYPE": "I", "R": 2**32})  # fmt: skip
    parts = [[row[0], row[1], 10.0 * i, 70_000.0 + i, row[4]] for i, row in enumerate(ROWS)]
    yield from hazard(
        25,
        "types",
        legal("time is an integer", Tube(channels=timed, version="FCS3.2")),
        legal("every kind in one event", Tube(parts, kinds, version="FCS3.2"), read(parts)),
        illegal("in a file that says FCS 3 0", Tube(channels=timed, version="FCS3.0"),
                repair="newer keywords than the version"),
        illegal("a parameter of ASCII", Tube(version="FCS3.2", keywords={"$P2DATATYPE": "A"}),
                refuse("E-LAYOUT", "$P2DATATYPE", "A")),
        far("a parameter of no type", Tube(version="FCS3.2", keywords={"$P2DATATYPE": "X"}),
                refuse("E-LAYOUT", "$P2DATATYPE", "X")),
        far("a double that is a float", Tube(version="FCS3.2", keywords={"$P2DATATYPE": "D"}),
                refuse("E-OFFSETS", "24", "240")),
    )  # fmt: skip


# ---------------------------------------------------------------------------------- scaling


def _column(rows: Rows, place: int, change: Callable[[float], float]) -> list[list[float]]:
    return [[*row[:place], change(row[place]), *row[place + 1 :]] for row in rows]


def _log(decades: float, offset: float, span: float) -> Callable[[float], float]:
    return lambda value: offset * 10 ** (decades * value / span)


def undone(offset: float) -> list[list[float]]:
    """Return what `COUNTS` mean behind an amplifier of four decades over 1024."""
    return [[_log(4, offset, 1024)(value) for value in row] for row in COUNTS]


def _scaling() -> Iterator[Case]:
    scale = ("scale",)
    brighter = [[row[0], row[1], 100.0 * i, *row[3:]] for i, row in enumerate(ROWS)]
    yield from hazard(
        26,
        "scaling",
        legal("0,0", Tube(channels=third(E="0,0"))),
        legal("0,1 is linear", Tube(channels=third(E="0,1"))),
        illegal("4,1 is left alone", Tube(brighter, third(E="4,1", R=1024)),
                note("N-SCALING", stored=brighter), about=scale, is_open=True),
        illegal("4,1 is undone when asked for", Tube(brighter, third(E="4,1", R=1024)),
                note("N-SCALING", stored=brighter, scale=_column(brighter, 2, _log(4, 1, 1024))),
                options={"log_on_floats": True}),
        far("4,0 is undone as 4,1", Tube(brighter, third(E="4,0", R=1024)),
                note("N-SCALING", stored=brighter, scale=_column(brighter, 2, _log(4, 1, 1024))),
                options={"log_on_floats": True}),
        illegal("4;1", Tube(channels=third(E="4;1")), note("N-KEYWORD", figures=("$PnE", "PE-A")), about=scale),
        far("four decades", Tube(channels=third(E="four")), note("N-KEYWORD", figures=("$PnE", "PE-A"))),
    )  # fmt: skip
    yield from hazard(
        43,
        "scaling",
        legal("4,1", counts(letters={"E": "4,1"}), note("N-SCALING", stored=COUNTS, scale=undone(1)),
                about=scale),
        legal("4,0.1", counts(letters={"E": "4,0.1"}), note("N-SCALING", stored=COUNTS, scale=undone(0.1)),
                about=scale),
        illegal("4,0 means 4,1", counts(letters={"E": "4,0"}),
                note("N-SCALING", stored=COUNTS, scale=undone(1)), about=scale, repair="$PnE with offset 0"),
        illegal("blanks inside", counts(letters={"E": " 4.0 , 1.0 "}),
                note("N-SCALING", stored=COUNTS, scale=undone(1)), about=scale),
        illegal("no $PnE is linear", counts(letters={"E": None},
                keywords={f"$P{n}E": None for n in range(1, 6)}), read(COUNTS)),
        illegal("words for decades", counts(letters={"E": "x,y"}), refuse("E-KEYWORD", "x,y")),
        far("negative decades", counts(letters={"E": "-4,1"}), refuse("E-KEYWORD", "-4,1")),
        far("99 decades", counts(letters={"E": "99,1"}), refuse("E-KEYWORD", "99,1")),
        far("no range to take them over", counts(16, 0, letters={"E": "4,1"}),
                refuse("E-KEYWORD", "$P1E", "$P1R")),
    )  # fmt: skip
    yield from hazard(
        27,
        "scaling",
        legal("a range with decimals", Tube(channels=third(R="262143.5"))),
        legal("a range of integers with decimals", counts(16, "1024.0"), read(COUNTS)),
        illegal("NA on floats", Tube(channels=third(R="NA")), note("N-KEYWORD")),
        illegal("missing on floats", Tube(keywords={"$P3R": None}), note("N-KEYWORD", figures=("$P3R",)),
                is_legal=True),
        illegal("0 on floats", Tube(channels=third(R=0)), is_legal=True),
        illegal("missing on integers", counts(keywords={"$P3R": None}), refuse("E-KEYWORD", "$P3R")),
        illegal("0 on integers", counts(16, 0), flag("F-RANGE", stored=COUNTS)),
        illegal("more than the bits hold, on time", counts(keywords={"$P5R": 2**32}), read(COUNTS), is_legal=True),
        far("a word on integers", counts(16, "wide"), refuse("E-KEYWORD", "wide")),
        far("1e30 on floats", Tube(channels=third(R="1e30")), repair="huge $PnR"),
        far("1e30 on integers", counts(16, "1e30"),
                flag("F-RANGE", stored=COUNTS, figures=("1e+30", "65,536"))),
        far("negative on floats", Tube(channels=third(R=-1))),
    )  # fmt: skip
    beyond = [[3e5, 262_144.0, -112.0, 262_143.0, 1.0], *ROWS]
    since = [[*row[:4], 1.7e18 + 2**20 * i] for i, row in enumerate(ROWS)]
    doubles = channels(**{f"P{n}": {"B": 64} for n in range(1, 6)})
    deep = [[1e9, -1e6, -3e8, 2.0**39, 1.0], *ROWS]
    yield from hazard(
        28,
        "scaling",
        legal("at the range", Tube(beyond[:1], channels(P1={"R": 300_000})), read(beyond[:1])),
        legal("time in nanoseconds since 1970", Tube(since, doubles, datatype="D"), read(since)),
        illegal("beyond the range and below -111", Tube(beyond), read(beyond), is_legal=True),
        far("far beyond, far below", Tube(deep, channels(P1={"R": 1024}, P2={"R": 1024})), read(deep),
                is_legal=True),
    )  # fmt: skip
    yield from hazard(
        29,
        "scaling",
        legal("0.01", Tube(keywords={"$TIMESTEP": "0.01"})),
        illegal("missing", Tube()),
        illegal("blank", Tube(keywords={"$TIMESTEP": " "})),
        far("a word", Tube(keywords={"$TIMESTEP": "10 ms"})),
        far("0", Tube(keywords={"$TIMESTEP": "0"})),
        far("negative", Tube(keywords={"$TIMESTEP": "-0.01"})),
    )
    time = channels(P5={"G": "0.01"})
    yield from hazard(
        30,
        "scaling",
        legal("1", Tube(channels=third(G="1.0"))),
        legal("8 is divided out", Tube(channels=third(G="8")),
                note("N-SCALING", scale=_column(ROWS, 2, lambda value: value / 8)), about=scale),
        legal("8 is left in when asked for", Tube(channels=third(G="8")), note("N-SCALING"),
                options={"gain": "ignore"}),
        illegal("0 is none", Tube(channels=third(G="0")), is_legal=True),
        illegal("on time it means nothing", Tube(channels=time), note("N-SCALING"),
                repair="gain or optics on time"),
        illegal("on time called HDR-T", Tube(channels=channels(P5={"N": "HDR-T", "G": "8"})),
                note("N-SCALING", names=(*NAMES[:4], "HDR-T")), repair="time under other names"),
        far("on time called T1", Tube(channels=channels(P5={"N": "T1", "G": "8"})),
                note("N-SCALING", names=(*NAMES[:4], "T1"))),
        far("a word", Tube(channels=third(G="high")), note("N-SCALING")),
        far("negative", Tube(channels=third(G="-2")), note("N-SCALING")),
        far("behind a log amplifier", counts(letters={"E": "4,1", "G": "10"}),
                note("N-SCALING", stored=COUNTS, scale=undone(1)), about=scale),
    )  # fmt: skip
    rare = [[1.0, 2.0, 3.0, 4.0, 5.0 + i] for i in range(2000)]
    rare[700][2] = math.nan
    some = _column(ROWS, 2, lambda value: math.nan if value < 0 else value)
    endless = [[math.inf, -math.inf, math.nan, 4.0, 5.0 + i] for i in range(12)]
    yield from hazard(
        31,
        "scaling",
        legal("one NaN in 2,000 events", Tube(rare), read(rare)),
        illegal("NaN in a third of the events", Tube(some), read(some)),
        far("nothing but infinity", Tube(endless), read(endless)),
    )


# ---------------------------------------------------------------------------------- channels


def _channels() -> Iterator[Case]:
    cases = ("FSC-A", "pe-a", "PE-A", "APC-A", "Time")
    suffixes = ("FSC-A", "PE-H", "PE-A", "PE-W", "Time")
    spilt = {"$SPILLOVER": "2,PE,Cy7-A,APC-A,1,0.1,0,1"}
    comma = (*NAMES[:2], "PE,Cy7-A", *NAMES[3:])
    yield from hazard(
        34,
        "channels",
        legal("names that differ in case", Tube(channels=named(*cases)), read(names=cases)),
        legal("names that differ in their ending", Tube(channels=named(*suffixes)), read(names=suffixes)),
        illegal("one name twice", Tube(channels=named("FSC-A", "PE-A", "PE-A", "APC-A", "Time")),
                flag("F-NAMES", names=("FSC-A", "PE-A", "PE-A", "APC-A", "Time"), figures=("PE-A",))),
        illegal("no name", Tube(keywords={"$P3N": None}),
                flag("F-NAMES", names=("FSC-A", "FITC-A", "P3", "APC-A", "Time"), figures=("$P3N",))),
        illegal("a blank name", Tube(channels=channels(P3={"N": "  "})),
                flag("F-NAMES", names=("FSC-A", "FITC-A", "P3", "APC-A", "Time"))),
        illegal("a name with a comma", Tube(channels=named(*comma)), read(names=comma)),
        far("a name with a comma in the spillover", Tube(channels=named(*comma), keywords=spilt),
                note("N-SPILL", names=comma), about=("spillover",)),
        far("all names the same", Tube(channels=named(*["FL"] * 5)),
                flag("F-NAMES", names=("FL",) * 5, figures=("FL",))),
        far("no names", Tube(keywords={f"$P{n}N": None for n in range(1, 6)}),
                flag("F-NAMES", names=("P1", "P2", "P3", "P4", "P5"))),
    )  # fmt: skip
    bare_ = [parameter(name) for name in NAMES]
    twice = channels(P3={"S": "CD4"})
    yield from hazard(
        35,
        "channels",
        legal("no stains", Tube(channels=bare_), read(stains=("",) * 5), about=("stains",)),
        legal("a stain twice", Tube(channels=twice), read(**_stained("CD4", "CD4", "CD127")),
                about=("stains",)),
    )  # fmt: skip
    odd = {"$DATE": "2021/3/5", "$BTIM": "9.5", "$ETIM": "25:61:61:99"}
    untimed = channels(P5={"N": "SSC-A"})
    renamed = [("P3V", "450"), ("TIMESTEP", "0.01"), ("CYT", "x")]
    yield from hazard(
        48,
        "channels",
        legal("no time", Tube(channels=untimed), read(names=(*NAMES[:4], "SSC-A")), repair="no time"),
        illegal("no $NEXTDATA", Tube(keywords={"$NEXTDATA": None}), is_legal=True,
                repair="$NEXTDATA missing"),
        illegal("odd $DATE, $BTIM and $ETIM", Tube(keywords=odd), repair="odd $DATE and times"),
        illegal("optics on time",
                Tube(channels=channels(P5={"V": "450", "L": "488", "F": "530/30", "O": "20"}))),
        far("standard keywords without their $", Tube(more=renamed), is_legal=True),
    )  # fmt: skip


# ---------------------------------------------------------------------------------- spillover

PAIR = (("FITC-A", "PE-A"), ((1.0, 0.25), (0.125, 1.0)))
TRIPLE = (("APC-A", "FITC-A", "PE-A"), ((1.0, 0.0, 0.0625), (0.25, 1.0, 0.125), (0.0, 0.5, 1.0)))


def matrix(names: Iterable[str], rows: Rows, join: str = ",") -> str:
    """Return a matrix as the standard writes it."""
    listed = list(names)
    return join.join([str(len(listed)), *listed, *(f"{value:g}" for row in rows for value in row)])


NOTHING = "5," + ",".join(["0"] * 25)
SUBTRACTED = "5," + ",".join("12.5" if place == 11 else "0" for place in range(25))
"""``$COMP`` of FCS 3.0: per cent that were subtracted electronically, parameter by parameter."""


def _spillover() -> Iterator[Case]:
    about = {"about": ("spillover",)}
    pair = matrix(*PAIR)
    yield from hazard(
        44,
        "spillover",
        legal("$SPILLOVER", keyed(_SPILLOVER=pair), read(spillover=PAIR), **about),
        legal("another order than the file's", keyed(_SPILLOVER=matrix(*TRIPLE)), read(spillover=TRIPLE),
                **about),
        legal("blanks and line ends inside", keyed(_SPILLOVER=f" {matrix(*PAIR, join=', ')}\r\n"),
                read(spillover=PAIR), **about),
        illegal("SPILL", keyed(SPILL=pair), read(spillover=PAIR), is_legal=True,
                repair="keys renamed or promoted", **about),
        illegal("$SPILL", keyed(_SPILL=pair), read(spillover=PAIR), **about),
        illegal("SPILLOVER", keyed(SPILLOVER=pair), read(spillover=PAIR), **about),
        illegal("a comma too many", keyed(_SPILLOVER=pair + ","), read(spillover=PAIR), **about),
        illegal("one value missing", keyed(_SPILLOVER=pair.rpartition(",")[0]),
                note("N-SPILL", figures=("4", "5")), **about),
        illegal("one value more", keyed(_SPILLOVER=pair + ",1"), note("N-SPILL", figures=("4", "7")),
                **about),
        illegal("0 detectors", keyed(_SPILLOVER="0"), read(), **about),
        legal("$COMP, which is no spillover", keyed(_COMP=SUBTRACTED), note("N-SPILL", figures=("$COMP",)),
                **about),
        legal("$COMP of zeros", keyed(_COMP=NOTHING), **about),
        legal("$COMP beside $SPILLOVER", keyed(_COMP=SUBTRACTED, _SPILLOVER=pair),
                note("N-SPILL", spillover=PAIR, figures=("$COMP",)), **about),
        illegal("$COMP with ones on its diagonal", keyed(_COMP=SUBTRACTED.replace("5,0", "5,1", 1)),
                note("N-SPILL"), **about),
        illegal("$COMP of some parameters", keyed(_COMP="2,1,0.25,0,1"), note("N-SPILL", figures=("$COMP",)),
                **about),
        illegal("$DFC1TO2", keyed(_DFC2TO3="12.5", _DFC3TO2="0"), note("N-SPILL"), **about),
        far("a word for a value", keyed(_SPILLOVER=pair.replace("0.25", "much")),
                note("N-SPILL", figures=("much",)), **about),
        far("NaN for a value", keyed(_SPILLOVER=pair.replace("0.25", "NaN")),
                note("N-SPILL", figures=("NaN",)), **about),
        far("no matrix at all", keyed(_SPILLOVER="none"), note("N-SPILL", figures=("none",)), **about),
        far("a negative number of detectors", keyed(_SPILLOVER="-2,FITC-A,PE-A,1,0,0,1"),
                note("N-SPILL", figures=("-2",)), **about),
    )  # fmt: skip
    longer = pair.replace("0.25", "0.2500000")
    identity = matrix(PAIR[0], ((1, 0), (0, 1)))
    yield from hazard(
        45,
        "spillover",
        illegal("another value", keyed(_SPILLOVER=pair, SPILL=pair.replace("0.25", "0.26")), note("N-SPILL"),
                **about),
        far("identity and a real one", keyed(_SPILLOVER=pair, SPILL=identity), note("N-SPILL"), **about),
        far("other detectors", keyed(_SPILLOVER=pair, SPILL=matrix(*TRIPLE)),
                note("N-SPILL", figures=("2", "3")), **about),
        legal("both the same", keyed(_SPILLOVER=pair, SPILL=longer), note("N-SPILL", spillover=PAIR),
                **about),
    )  # fmt: skip


# ---------------------------------------------------------------------------------- data sets, packed


def _chain(*tubes: Tube, stated: Mapping[int, object] | None = None, cut_at: int | None = None) -> Build:
    """Return data sets one behind the other, each stating how far off the next one is, unless told otherwise."""

    def joined(planted: Words = ()) -> bytes:
        lengths = [len(_linked(tube, 0)(planted)) for tube in tubes]
        links = [*lengths[:-1], 0]
        for place, offset in (stated or {}).items():
            links[place] = offset
        raws = [_linked(tube, link)(planted) for tube, link in zip(tubes, links, strict=True)]
        return b"".join([*raws[:-1], raws[-1][:cut_at]])

    return joined


def _linked(tube: Tube, offset: object) -> Tube:
    keywords = {**tube.options.get("keywords", {}), "$NEXTDATA": str(offset).rjust(8)}
    return Tube(tube.rows, tube.channels, **{**tube.options, "keywords": keywords})


def _halves(raw: bytes, _spot: Spot) -> bytes:
    return gzip.compress(raw[:300], mtime=0) + gzip.compress(raw[300:], mtime=0)


def _data_sets() -> Iterator[Case]:
    second = [[value + 1 for value in row] for row in COUNTS[:3]]
    unstained = Tube(second, [{**parameter(f"FL{n}"), "B": 16, "R": 1024} for n in range(1, 6)], datatype="I")
    of_second = {"stored": second, "names": ("FL1", "FL2", "FL3", "FL4", "FL5"), "stains": ("",) * 5}
    two = _chain(Tube(), unstained)
    yield from hazard(
        37,
        "data sets",
        legal("the first of two", two, note("N-DATASET"), options={"data_set": 1}),
        legal("the second of two, nothing of the first in it", two, note("N-DATASET", **of_second),
                options={"data_set": 2}, about=("stains",)),
        legal("the fourth of four", _chain(Tube(), Tube(ROWS[:2]), Tube(ROWS[:5]), unstained),
                note("N-DATASET", **of_second), options={"data_set": 4}),
        illegal("two and nobody said which", two, refuse("E-DATASET", "2")),
        illegal("the third of two", two, refuse("E-DATASET", "3", "2"), options={"data_set": 3}),
        illegal("the next one is a word", Tube(keywords={"$NEXTDATA": "next"}), note("N-DATASET")),
        illegal("the next one is beyond the file", Tube(keywords={"$NEXTDATA": "99999999"}),
                note("N-DATASET", figures=("99999999",))),
        illegal("the next one is inside DATA", Tube(keywords={"$NEXTDATA": "900"}),
                note("N-DATASET", figures=("900",))),
        illegal("the next one lies before", Tube(keywords={"$NEXTDATA": "-100"}),
                note("N-DATASET", figures=("-100",))),
        illegal("two files joined", Tube(edit=lambda raw, _: raw + raw), flag("F-JOINED")),
        far("two files joined over 500 blanks", Tube(edit=lambda raw, _: raw + b" " * 500 + raw),
                flag("F-JOINED")),
        far("a circle counted from the file's begin",
                _chain(Tube(), Tube(), stated={1: len(_linked(Tube(), 0)())}), note("N-DATASET"),
                options={"data_set": 1}),
        far("a circle backwards", _chain(Tube(), Tube(), stated={1: -len(_linked(Tube(), 0)())}),
                note("N-DATASET"), options={"data_set": 1}),
        far("the second is cut and nobody said which", _chain(Tube(), Tube(), cut_at=100),
                refuse("E-DATASET", "2")),
        far("the second is cut and the first is meant", _chain(Tube(), Tube(), cut_at=100), note("N-DATASET"),
                options={"data_set": 1}),
    )  # fmt: skip
    people = b"Zebediah Quux;12;1980-01-01\nZebediah Quux;13;1980-01-01\n" * 5
    page = b"<!DOCTYPE html><html><body>404</body></html>" * 9
    plain = Tube()()
    bomb = gzip.compress(plain + bytes(20_000_000), mtime=0)
    yield from hazard(
        38,
        "packed",
        legal("gzip", Tube(edit=zipped), note("N-PACKED"), file="tube.fcs.gz"),
        legal("gzip in two members", Tube(edit=_halves), note("N-PACKED"), file="tube.fcs.gz"),
        illegal("gzip under the name of a plain file", Tube(edit=zipped), note("N-PACKED")),
        illegal("zip", Tube(edit=lambda raw, _: _archived(raw)), refuse("E-NOT-FCS")),
        illegal("gzip cut short", Tube(edit=lambda raw, s: zipped(raw, s)[:-12]), refuse("E-PACKED")),
        illegal("gzip with a wrong checksum",
                Tube(edit=lambda raw, s: zipped(raw, s)[:-8] + b"\1\2\3\4" + zipped(raw, s)[-4:]),
                refuse("E-PACKED")),
        illegal("an empty file", bare(b""), refuse("E-NOT-FCS", "0")),
        far("a web page", bare(page), refuse("E-NOT-FCS")),
        far("a packed web page", bare(gzip.compress(page, mtime=0)), refuse("E-NOT-FCS")),
        far("packed twice", Tube(edit=lambda raw, s: zipped(zipped(raw, s), s)), refuse("E-NOT-FCS")),
        far("a bomb", bare(bomb), refuse("E-PACKED", f"{len(bomb):,}", f"{200 * len(bomb):,}")),
        far("a list of patients", bare(people), refuse("E-NOT-FCS")),
        far("a packed list of patients", bare(gzip.compress(people, mtime=0)), refuse("E-NOT-FCS"),
                file="tube.fcs.gz"),
        far("a list of patients in Latin-1", bare(b"\xc4" + people), refuse("E-NOT-FCS")),
        far("a list of patients that begins as a version", bare(b"FCS" + people), refuse("E-NOT-FCS")),
        far("a table", bare(b"FSC-A,SSC-A\n1,2\n" * 20), refuse("E-NOT-FCS")),
    )  # fmt: skip


def _archived(raw: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("tube.fcs"), raw)
    return file.getvalue()


CASES: tuple[Case, ...] = tuple(
    case
    for cases in (_plain, _offsets, _damage, _counts, _text, _types, _scaling, _channels, _spillover, _data_sets)
    for case in cases()
)  # fmt: skip


# ---------------------------------------------------------------------------------- with a template

MARKERS = {"CD4": "FITC-A", "CD25": "PE-A", "CD127": "APC-A"}


@dataclass(frozen=True)
class Linked:
    """The file is bound to the template and gated.

    Parameters
    ----------
    channels : mapping of str to str
        ``$PnN`` by marker.
    linear : mapping of str to sequence of float
        Compensated values by marker, where the case is about them.
    flags, notes, figures
        As in `Read`, of reading, binding and gating together.
    """

    channels: Mapping[str, str] = field(default_factory=lambda: MARKERS)
    linear: Mapping[str, Sequence[float]] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    notes: frozenset[str] = frozenset()
    figures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bound:
    """One file with a template that gates CD4, CD25 and CD127.

    Parameters
    ----------
    hazard, name, distance, build
        As in `Case`.
    answer : Refused or Linked
        What is right.
    compensation, scaling
        What the template says.
    sheet : mapping of str to str
        Detectors that the sheet names, by marker.
    """

    hazard: int
    name: str
    distance: Distance
    build: Build
    answer: Refused | Linked
    compensation: str = "none"
    scaling: Mapping[str, str] = field(default_factory=dict)
    sheet: Mapping[str, str] = field(default_factory=dict)
    repair: str = ""

    @property
    def id(self) -> str:
        return f"{self.hazard:02d}-{self.name.replace(' ', '-')}"


def linked(*codes: str, **truth: Any) -> Linked:
    flags, notes = (frozenset(code for code in codes if code[0] == letter) for letter in "FN")
    return Linked(flags=flags, notes=notes, **truth)


TRUE = {
    "CD4": [1200.25 + i for i in range(12)],
    "CD25": [300.75 - 4 * i for i in range(12)],
    "CD127": [64.5 * i + 8 for i in range(12)],
}
"""Compensated values."""


def mixed(spill: Matrix, **letters: Any) -> Tube:
    """Return a file of `TRUE` as detectors see it through a matrix; the matrix itself is left out."""
    names, rows = spill
    share = {(a, b): rows[i][j] for i, a in enumerate(names) for j, b in enumerate(names)}
    detectors = list(MARKERS.values())

    def seen(detector: str, event: int) -> float:
        spilt = [
            TRUE[dye][event] * share.get((own, detector), float(own == detector))
            for dye, own in MARKERS.items()
        ]
        return sum(spilt)

    events = [
        [50_000.5 + event, *(seen(detector, event) for detector in detectors), event + 1.0]
        for event in range(12)
    ]
    return Tube(events, channels(**letters))


def _with(tube: Tube, **keywords: str) -> Tube:
    return Tube(
        tube.rows, tube.channels, keywords={key.replace("_", "$"): value for key, value in keywords.items()}
    )


def _bound() -> Iterator[Bound]:
    plain = [parameter(name) for name in NAMES]
    yield Bound(35, "stains name the markers", "legal", Tube(), linked())
    yield Bound(35, "no stains and detectors in the sheet", "legal", Tube(channels=plain), linked(),
                sheet=MARKERS)  # fmt: skip
    yield Bound(35, "a stain twice among those bound", "illegal", changed(1, S="CD25"),
                refuse("E-MARKER", "FSC-A", "PE-A", "CD25"))  # fmt: skip
    yield Bound(35, "the sheet against another marker's stain", "illegal", Tube(),
                refuse("E-MARKER", "APC-A", "CD127", "CD25"), sheet={"CD25": "APC-A", "CD127": "PE-A"})  # fmt: skip
    yield Bound(35, "the sheet against a stain that is no marker", "illegal", changed(3, S="CD8"),
                linked("F-STAIN", figures=("CD8", "CD25")), sheet={"CD25": "PE-A"})  # fmt: skip
    yield Bound(35, "no stains and no sheet", "far", Tube(channels=plain),
                refuse("E-MARKER", "CD4, CD25 and CD127"))  # fmt: skip
    yield Bound(35, "a detector in the sheet that is not there", "far", Tube(), refuse("E-MARKER", "PE-H"),
                sheet={"CD25": "PE-H"})  # fmt: skip
    yield Bound(36, "other case, hyphens and blanks", "legal",
                Tube(channels=channels(P2={"S": "cd-4"}, P3={"S": " CD 25"})), linked())  # fmt: skip
    yield Bound(36, "detector and marker in one stain", "legal", changed(3, S="PE-A :: CD25"),
                linked("N-TOKEN"))  # fmt: skip
    yield Bound(36, "the marker as the detector's name", "legal",
                Tube(channels=[parameter(n) for n in ("FSC-A", "CD4-A", "CD25-A", "CD127-A", "Time")]),
                linked(channels={"CD4": "CD4-A", "CD25": "CD25-A", "CD127": "CD127-A"}))  # fmt: skip
    yield Bound(36, "a part of a longer word", "illegal", changed(3, S="CD25_PE"),
                refuse("E-MARKER", "CD25_PE"))  # fmt: skip
    yield Bound(36, "raw and compensated columns", "illegal",
                Tube(channels=channels(P3={"N": "Comp-FITC-A", "S": "CD4"}, P4={"S": "CD25"},
                P5={"S": "CD127"})), linked("N-TWIN",
                channels={"CD4": "Comp-FITC-A", "CD25": "APC-A", "CD127": "Time"}))  # fmt: skip
    yield Bound(36, "two stains with the marker's word", "far",
                Tube(channels=channels(P2={"S": "CD4"}, P3={"S": "CD25 BV1"}, P4={"S": "CD25 BV2"})),
                refuse("E-MARKER", "PE-A", "APC-A"))  # fmt: skip
    dim = [[row[0], 1e3, 100.0 * i, 50.0, row[4]] for i, row in enumerate(ROWS)]
    logs = Tube(dim, channels(P3={"E": "4,1", "R": 1024}))
    linear = {"CD25": [_log(4, 1, 1024)(row[2]) for row in dim]}
    yield Bound(26, "a gated one undecided", "illegal", logs, refuse("E-SCALING", "4", "CD25"))
    yield Bound(26, "a gated one to be left alone", "legal", logs,
                linked("N-SCALING", linear={"CD25": [row[2] for row in dim]}),
                scaling={"log_on_floats": "ignore"})  # fmt: skip
    yield Bound(26, "a gated one to be undone", "legal", logs, linked("N-SCALING", linear=linear),
                scaling={"log_on_floats": "apply"})  # fmt: skip
    odd = changed(3, E="4;1")
    yield Bound(26, "a gated one that is no pair of numbers", "illegal", odd, refuse("E-SCALING", "CD25"))
    yield Bound(26, "a gated one that is no pair of numbers, to be undone", "illegal", odd,
                refuse("E-SCALING", "CD25"), scaling={"log_on_floats": "apply"})  # fmt: skip
    yield Bound(26, "a gated one that is no pair of numbers, to be left alone", "illegal", odd,
                linked("N-KEYWORD", linear={"CD25": [row[2] for row in ROWS]}),
                scaling={"log_on_floats": "ignore"})  # fmt: skip
    gained, halved = changed(3, G="2"), {"CD25": [row[2] / 2 for row in ROWS]}
    yield Bound(30, "a gated one undecided", "illegal", gained,
                linked("F-GAIN", linear=halved, figures=("2", "CD25")))  # fmt: skip
    yield Bound(30, "a gated one to be divided out", "legal", gained, linked("N-SCALING", linear=halved),
                scaling={"gain": "apply"})  # fmt: skip
    yield Bound(30, "a gated one to be left in", "legal", gained,
                linked("N-SCALING", linear={"CD25": [row[2] for row in ROWS]}), scaling={"gain": "ignore"})  # fmt: skip
    yield Bound(30, "a gated one that is a word", "far", changed(3, G="high"), refuse("E-SCALING", "PE-A"))
    rare = [[1e4, 1e3, 3e2, 40.0, 5.0 + i] for i in range(2000)]
    rare[700][2] = math.nan
    often = [[math.nan if i in (5, 6, 7) and n == 2 else value for n, value in enumerate(row)] for i,
        row in enumerate(rare)]  # fmt: skip
    elsewhere = [[math.nan, *row[1:]] for row in ROWS]
    yield Bound(31, "one gated NaN in 2,000", "legal", Tube(rare),
                linked("N-NONFINITE", figures=("1", "2,000")))  # fmt: skip
    yield Bound(31, "four gated NaN in 2,000", "illegal", Tube(often),
                linked("F-NONFINITE", figures=("4", "2,000")))  # fmt: skip
    yield Bound(31, "NaN where no gate looks", "legal", Tube(elsewhere), linked())
    yield Bound(31, "no gated event is finite", "far", Tube(_column(ROWS, 2, lambda _: math.inf)),
                linked("F-NONFINITE", figures=("12",)))  # fmt: skip
    yield Bound(34, "two names bound by their stains", "illegal",
                Tube(channels=named("FSC-A", "PE-A", "PE-A", "APC-A", "Time")),
                linked("F-NAMES", channels={"CD4": "PE-A", "CD25": "PE-A", "CD127": "APC-A"}))  # fmt: skip
    yield Bound(34, "two names and the sheet means one of them", "far",
                Tube(channels=named("FSC-A", "PE-A", "PE-A", "APC-A", "Time")), refuse("E-MARKER", "PE-A"),
                sheet={"CD25": "PE-A"})  # fmt: skip
    yield from _compensated()


def _compensated() -> Iterator[Bound]:
    file = {"compensation": "file"}
    full = mixed(TRIPLE)
    trio = matrix(*TRIPLE)
    yield Bound(46, "in another order than the channels", "legal", _with(full, _SPILLOVER=trio),
                linked(linear=TRUE), **file)  # fmt: skip
    scatter = (("FSC-A", *TRIPLE[0]), ((1.0, 0.0, 0.0, 0.0), *((0.0, *row) for row in TRIPLE[1])))
    yield Bound(46, "scatter in it, unmixed", "legal", _with(full, _SPILLOVER=matrix(*scatter)),
                linked(linear=TRUE), **file)  # fmt: skip
    yield Bound(46, "none and none asked for", "legal", full, linked())
    yield Bound(46, "stains for names", "illegal",
                _with(full, _SPILLOVER=matrix(("CD127", "CD4", "CD25"), TRIPLE[1])),
                linked("F-SPILL-STAIN", linear=TRUE), **file)  # fmt: skip
    indexed = _with(full, _SPILLOVER=matrix(("4", "2", "3"), TRIPLE[1]))
    yield Bound(46, "numbers for names", "illegal", indexed, linked("F-SPILL-INDEX", linear=TRUE),
                repair="spillover by index", **file)  # fmt: skip
    yield Bound(46, "a gated dye is not in it", "illegal", _with(mixed(PAIR), _SPILLOVER=matrix(*PAIR)),
                linked("F-SPILL-PARTIAL", linear=TRUE, figures=("CD127",)), **file)  # fmt: skip
    yield Bound(46, "none and asked for", "illegal", full, refuse("E-SPILL"), **file)
    yield Bound(46, "$DFCiTOj and asked for", "illegal", _with(full, _DFC2TO3="12.5"),
                refuse("E-SPILL", "$DFC"), **file)  # fmt: skip
    subtracted = {"_COMP": SUBTRACTED}
    yield Bound(46, "$COMP and none asked for", "legal", _with(full, **subtracted), linked("N-SPILL"))
    yield Bound(46, "$COMP and asked for", "illegal", _with(full, **subtracted),
                refuse("E-SPILL", "$COMP"), **file)  # fmt: skip
    yield Bound(46, "$COMP beside $SPILLOVER", "illegal", _with(full, _SPILLOVER=trio, **subtracted),
                refuse("E-SPILL", "$COMP"), **file)  # fmt: skip
    yield Bound(46, "$COMP of zeros beside $SPILLOVER", "legal", _with(full, _SPILLOVER=trio, _COMP=NOTHING),
                linked(linear=TRUE), **file)  # fmt: skip
    yield Bound(46, "$DFCiTOj beside $SPILLOVER", "illegal",
                _with(full, _SPILLOVER=trio, _DFC2TO3="12.5", _DFC3TO2="0"),
                refuse("E-SPILL", "$DFC"), **file)  # fmt: skip
    yield Bound(46, "$DFCiTOj of zeros beside $SPILLOVER", "legal",
                _with(full, _SPILLOVER=trio, _DFC2TO3="0", _DFC3TO2="0.0"), linked(linear=TRUE), **file)  # fmt: skip
    yield Bound(46, "two that differ", "illegal", _with(full, _SPILLOVER=trio, SPILL=matrix(*PAIR)),
                refuse("E-SPILL", "$SPILLOVER", "SPILL"), **file)  # fmt: skip
    percent = [[100 * value for value in row] for row in TRIPLE[1]]
    yield Bound(46, "in per cent", "illegal", _with(full, _SPILLOVER=matrix(TRIPLE[0], percent)),
                refuse("E-SPILL", "100"), **file)  # fmt: skip
    identity = [[float(a == b) for b in range(3)] for a in range(3)]
    yield Bound(46, "the identity", "illegal", _with(full, _SPILLOVER=matrix(TRIPLE[0], identity)),
                linked("F-SPILL-IDENTITY"), **file)  # fmt: skip
    mixing = (("FSC-A", "PE-A"), ((1.0, 0.1), (0.0, 1.0)))
    yield Bound(46, "scatter in it, mixed", "illegal", _with(full, _SPILLOVER=matrix(*mixing)),
                refuse("E-SPILL", "FSC-A"), **file)  # fmt: skip
    yield Bound(46, "a name that is no channel", "illegal",
                _with(full, _SPILLOVER=trio.replace("PE-A", "PE-H")), refuse("E-SPILL", "PE-H"), **file)  # fmt: skip
    yield Bound(46, "a name twice", "far", _with(full, _SPILLOVER=trio.replace("PE-A", "APC-A")),
                refuse("E-SPILL"), **file)  # fmt: skip
    flat = ((1.0, 1.0, 0.0), (1.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    yield Bound(46, "two rows the same", "far", _with(full, _SPILLOVER=matrix(TRIPLE[0], flat)),
                refuse("E-SPILL"), **file)  # fmt: skip
    close = ((1.0, 0.995, 0.0), (0.995, 1.0, 0.0), (0.0, 0.0, 1.0))
    yield Bound(46, "two rows all but the same", "far", _with(full, _SPILLOVER=matrix(TRIPLE[0], close)),
                linked("F-SPILL-CONDITION", figures=("399",)), **file)  # fmt: skip
    yield Bound(46, "NaN in it", "far", _with(full, _SPILLOVER=trio.replace("0.125", "NaN")),
                refuse("E-SPILL", "NaN"), **file)  # fmt: skip
    less = ((1.0, -0.5, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    yield Bound(46, "less than nothing", "far", _with(full, _SPILLOVER=matrix(TRIPLE[0], less)),
                refuse("E-SPILL", "-0.5"), **file)  # fmt: skip
    comp = {"P2": {"N": "Comp-FITC-A"}, "P3": {"N": "Comp-PE-A"}, "P4": {"N": "Comp-APC-A"}}
    angles = {"P2": {"N": "<FITC-A>"}, "P3": {"N": "<PE-A>"}, "P4": {"N": "<APC-A>"}}
    names = {"CD4": "Comp-FITC-A", "CD25": "Comp-PE-A", "CD127": "Comp-APC-A"}
    yield Bound(47, "names say compensated, none asked for", "legal", mixed(TRIPLE, **comp),
                linked(channels=names))  # fmt: skip
    yield Bound(47, "names say compensated", "illegal", _with(mixed(TRIPLE, **comp), _SPILLOVER=trio),
                refuse("E-SPILL", "Comp-FITC-A"), **file)  # fmt: skip
    yield Bound(47, "names in angle brackets", "illegal", _with(mixed(TRIPLE, **angles), _SPILLOVER=trio),
                refuse("E-SPILL", "<FITC-A>"), **file)  # fmt: skip
    yield Bound(47, "written by R", "illegal", _with(full, _SPILLOVER=trio, transformation="applied"),
                linked("F-TRANSFORMED", linear=TRUE), **file)  # fmt: skip
    empty = [("TUBE NAME", ""), ("transformation", "applied")]
    yield Bound(47, "written by R, behind an empty value", "illegal",
                Tube(full.rows, full.channels, keywords={"$SPILLOVER": trio}, more=empty),
                linked("F-TRANSFORMED", "N-TEXT", linear=TRUE), **file)  # fmt: skip
    small = Tube([[5e4, 0.1 * i, 4.5 - 0.1 * i, 0.3 * i, i + 1.0] for i in range(12)])
    yield Bound(47, "values of a logicle scale", "far", small, linked("F-TRANSFORMED"))
    yield Bound(47, "values of a logicle scale to be compensated", "far", _with(small, _SPILLOVER=trio),
                linked("F-TRANSFORMED"), **file)  # fmt: skip


BOUND: tuple[Bound, ...] = tuple(_bound())


# ---------------------------------------------------------------------------------- with a sheet


@dataclass(frozen=True)
class Study:
    """Files gated together.

    Parameters
    ----------
    hazard, name, distance
        As in `Case`.
    files : mapping of str to callable
        What is in each file, by its path.
    code : str
        With which each of them is refused; empty where each is gated.
    """

    hazard: int
    name: str
    distance: Distance
    files: Mapping[str, Build]
    code: str = ""

    @property
    def id(self) -> str:
        return f"{self.hazard:02d}-{self.name.replace(' ', '-')}"


def _studies() -> Iterator[Study]:
    other = Tube([[value + 0.5 for value in row] for row in ROWS], keywords={"$FIL": "tube.fcs"})
    first = Tube(keywords={"$FIL": "tube.fcs"})
    renamed = Tube(keywords={"$FIL": "other.fcs", "$SMNO": "7"})
    yield Study(39, "blanks and brackets", "legal", {"Plate 1 (2)/Tube 003 [a].fcs": first})
    yield Study(39, "no ending, or another", "legal", {"tube": first, "tube.LMD": other})
    yield Study(39, "beyond ASCII", "illegal", {"Überprüfung β 調節.fcs": first})
    yield Study(39, "two hundred letters", "far", {"x" * 196 + ".fcs": first})
    yield Study(39, "a formula for a spreadsheet", "far", {"=1+2.fcs": first, "-1.fcs": other})
    yield Study(39, "a line end and an escape sequence", "far", {"a\nb\x1b[31m.fcs": first})
    yield Study(40, "one $FIL and other events", "legal", {"a.fcs": first, "b.fcs": other})
    yield Study(40, "one name in two folders", "legal", {"W00/tube.fcs": first, "W12/tube.fcs": other})
    yield Study(40, "one file under two names", "illegal", {"a.fcs": first, "b.fcs": first}, "E-TWICE")
    yield Study(40, "one file's events under other keywords", "far", {"a.fcs": first, "b.fcs": renamed},
                "E-TWICE")  # fmt: skip


STUDIES: tuple[Study, ...] = tuple(_studies())


# ---------------------------------------------------------------------------------- what our reader says

PAGE = Path(__file__).resolve().parents[1] / "docs" / "hazards.md"

HEAD = """\
# What can go wrong with an FCS file, and what tregflow answers

A hazard is a way in which a file can mislead its reader. Each has cases just inside the standard, just outside and
far out; `tests/fcs_hazards.py` builds them, and every one is a test. The answers:

- **refused**: there is no number for this file; the sentence says what was seen, and the batch goes on;
- **flagged**: a number is computed, and not to be used before someone has looked;
- **noted**: it stands in the record and changes nothing;
- **read**: there is nothing to say.

`tregflow explain CODE` says what a code means and what to do. Sentences are those of the first case of the
strongest answer. This page is written by `python tests/fcs_hazards.py`.

| | hazard | answers | a sentence |
| --- | --- | --- | --- |
"""


def template_of(case: Bound | None = None) -> Any:
    """Return a template that gates CD4, CD25 and CD127, one in the other, and keeps every finite event."""
    import builders

    names = ["root", *MARKERS]
    gates = [
        builders.row(name, names[place], [name], builders.above(-9.0)) for place, name in enumerate(MARKERS)
    ]
    said = {"scales": {"fluorescence": builders.LOGICLE}}
    if case:
        said |= {
            "compensation": case.compensation,
            **({"scaling": dict(case.scaling)} if case.scaling else {}),
        }
    return builders.template(*gates, **said)


def gated(case: Bound, path: Path) -> Any:
    """Read, bind and gate the file of a case."""
    from tregflow.gating import gate
    from tregflow.io.fcs import read_fcs

    template = template_of(case)
    scaling = template.scaling
    sample = read_fcs(path, gain=scaling.gain or "apply", log_on_floats=scaling.log_on_floats == "apply")
    return gate(template.bind(sample, case.sheet), template)


def together(study: Study, folder: Path) -> dict[str, Any]:
    """Gate the files of a study and return their outcomes by file name."""
    from studies import request, write_sheet

    from tregflow.batch import gate_batch

    rows = []
    for number, (name, build) in enumerate(study.files.items(), 1):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(build(()))
        rows.append({"file": name, "subject": f"S{number}", "visit": "W00", "sample": f"S{number}"})
    write_sheet(folder, rows)
    batch = gate_batch(request(folder, folder / "out", template=template_of()))
    return {tube.file: outcome for tube, outcome in batch.pairs}


def findings(case: Case | Bound | Study, folder: Path) -> tuple[Any, ...]:
    """Return what our reader, binding or batch says of a case."""
    from tregflow.errors import FileError
    from tregflow.io.fcs import read_fcs

    if isinstance(case, Study):
        return next(iter(together(case, folder).values())).findings
    try:
        if isinstance(case, Case):
            return read_fcs(case.write(folder), **case.options).findings
        path = folder / "tube.fcs"
        path.write_bytes(case.build(()))
        return gated(case, path).findings
    except FileError as error:
        return error.findings


def answer_of(case: Case | Bound | Study) -> str:
    """Return the answer in words, the strongest first where sorted."""
    if isinstance(case, Study):
        return f"refused {case.code}" if case.code else "read"
    if isinstance(case.answer, Refused):
        return f"refused {case.answer.code}"
    for word, codes in (("flagged", case.answer.flags), ("noted", case.answer.notes)):
        if codes:
            return f"{word} {', '.join(sorted(codes))}"
    return "read"


def page() -> str:
    """Return ``docs/hazards.md``."""
    everything = (*CASES, *BOUND, *STUDIES)
    lines = [_line(number, [case for case in everything if case.hazard == number]) for number in HAZARDS]
    return HEAD + "".join(lines)


def _line(number: int, cases: Sequence[Case | Bound | Study]) -> str:
    answers: dict[str, list[str]] = {}
    for case in sorted(
        cases, key=lambda case: "rfn".find(answer_of(case)[0]) % 4 if answer_of(case) != "read" else 9
    ):
        answers.setdefault(answer_of(case), []).append(case.name)
    words = [
        f"**{answer.partition(' ')[0]}**{_code(answer)}: {'; '.join(names)}"
        for answer, names in answers.items()
    ]
    cells = (str(number), HAZARDS[number], "<br>".join(words), _sentence(cases, next(iter(answers))))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _code(answer: str) -> str:
    codes = answer.partition(" ")[2]
    return "".join(f" `{code}`" for code in codes.split(", ") if code)


def _sentence(cases: Sequence[Case | Bound | Study], strongest: str) -> str:
    if strongest == "read":
        return ""
    first = next(case for case in cases if answer_of(case) == strongest)
    with tempfile.TemporaryDirectory() as folder:
        said = findings(first, Path(folder))
    wanted = [finding for finding in said if finding.code in strongest]
    return f"`{wanted[0].code}` {wanted[0].sentence}" if wanted else ""


if __name__ == "__main__":
    sys.path.insert(0, os.fspath(Path(__file__).parent))
    PAGE.write_text(page(), encoding="utf-8")
