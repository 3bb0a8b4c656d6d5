"""Files of random layout, written here from the standard, read back value for value.

The writer below knows `struct` and FCS 3.1, and nothing of ours. DATA is random bytes, so that every value that
a type can hold comes up; what it means is worked out in plain Python numbers.
"""

from __future__ import annotations

import gzip
import math
import random
import string
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tregflow.io.fcs import read_fcs, scan_fcs
from tregflow.sample import Sample

TYPES = (("F", 32), ("D", 64), *(("I", bits) for bits in range(8, 72, 8)))
INSIDE = "\ue000"
"""Stands for the delimiter inside a word until it is known which that is."""

DELIMITERS = [chr(byte) for byte in range(1, 127) if not chr(byte).isalnum() and chr(byte) not in "$ "]
BLANK = " \t\r\n\0"
WORDS = st.text(string.ascii_letters + "0189 .,-_#/é漢µ\0\t" + INSIDE, min_size=1, max_size=12)
PAIRS = st.lists(st.tuples(WORDS, WORDS), max_size=6)

# --- a layout -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parameter:
    """One parameter: its type, and the letters of its keywords but ``N``, ``B`` and ``DATATYPE``."""

    letter: str
    bits: int
    name: str
    letters: Mapping[str, str]

    @property
    def mask(self) -> int:
        """The low bits that values below ``$PnR`` need; all where it is 0 or more than there are."""
        span, kept = float(self.letters["R"]), 0
        while 2**kept < span:
            kept += 1
        return 2 ** (kept if span > 1 and kept < self.bits else self.bits) - 1

    def stored(self, raw: bytes, order: str) -> float:
        if self.letter == "I":
            return int.from_bytes(raw, order) & self.mask  # type: ignore[arg-type]
        return struct.unpack(("<" if order == "little" else ">") + {"F": "f", "D": "d"}[self.letter], raw)[0]

    def scaled(self, stored: float) -> float:
        decades, offset = map(float, self.letters["E"].split(","))
        if decades and self.letter == "I":
            return 10 ** (decades * stored / float(self.letters["R"])) * (offset or 1)
        gain = float(self.letters.get("G", "1"))
        return stored / gain if gain and self.name.lower() != "time" else float(stored)


@dataclass(frozen=True)
class Tube:
    """One data set.

    Parameters
    ----------
    keywords : mapping
        All but those about offsets.
    late : tuple of str
        Keys that stand in the supplemental TEXT, where there is one.
    seed : int
        Decides what else a writer is free in.
    """

    version: str
    order: str
    parameters: tuple[Parameter, ...]
    data: bytes
    keywords: Mapping[str, str]
    late: tuple[str, ...]
    delimiter: str
    seed: int

    @property
    def columns(self) -> list[list[float]]:
        """Stored values, a list for each parameter."""
        width = _width(self.parameters)
        columns, at = [], 0
        for parameter in self.parameters:
            size = parameter.bits // 8
            pieces = [self.data[start : start + size] for start in range(at, len(self.data), width)]
            columns.append([parameter.stored(piece, self.order) for piece in pieces])
            at += size
        return columns


def _width(parameters: Sequence[Parameter]) -> int:
    return sum(parameter.bits for parameter in parameters) // 8


@st.composite
def tubes(draw: st.DrawFn) -> Tube:
    rng = draw(st.randoms(use_true_random=False))
    kinds = [rng.choice(TYPES) for _ in range(rng.randrange(1, 7))]
    if rng.randrange(3) == 0:
        kinds = kinds[:1] * len(kinds)
    parameters = [_parameter(rng, number, *kind, draw(WORDS)) for number, kind in enumerate(kinds, 1)]
    version, order = rng.choice(("FCS2.0", "FCS3.0", "FCS3.1", "FCS3.2")), rng.choice(("little", "big"))
    size = _width(parameters) * rng.randrange(6)
    data = draw(st.binary(min_size=size, max_size=size))
    more = {f"K{key}{n}".upper(): value for n, (key, value) in enumerate(draw(PAIRS))}
    more |= {f"$P{rng.randrange(1, len(kinds) + 1)}S": f"CD{draw(WORDS)}", "$CYT": f"A{draw(WORDS)}"}
    more = {key: value.lstrip(INSIDE) or "x" for key, value in more.items()}
    words = {**_standard(version, order, parameters, len(data), rng), **more}
    delimiter = _delimiter([*words, *words.values()], rng)
    return Tube(
        version,
        order,
        tuple(replace(one, name=one.name.replace(INSIDE, delimiter)) for one in parameters),
        data,
        {key.replace(INSIDE, delimiter): value.replace(INSIDE, delimiter) for key, value in words.items()},
        tuple(key.replace(INSIDE, delimiter) for key in more if rng.randrange(2)),
        delimiter,
        rng.randrange(2**32),
    )


def _parameter(rng: random.Random, number: int, letter: str, bits: int, word: str) -> Parameter:
    name = "Time" if number == 1 and rng.randrange(2) else f"{number}{word}".rstrip(BLANK)
    spans = (1024, 1000, 2 ** (bits - 1), 2**bits, 2**bits - 1, 3 * 2 ** (bits - 3), 2 ** (bits + 8))
    letters = {
        "R": str(rng.choice(spans)),
        "E": rng.choice(("0,0", "0,0", "0.0,0.0", "4,1", "4,0", "5,0.1", "2.5,1.0")),
        "G": rng.choice(("1", "1.0", "8", "0.01", "3.67", "0")),
        "V": str(rng.randrange(200, 900)),
    }
    if letters["E"][0] == "0" and rng.randrange(4) == 0:
        letters["R"] = rng.choice(("0", "0.0", "-1"))
    if rng.randrange(3) == 0:
        del letters["G"]
    return Parameter(letter, bits, name, letters)


def _standard(
    version: str, order: str, parameters: Sequence[Parameter], size: int, rng: random.Random
) -> dict[str, str]:
    default = rng.choice([parameter.letter for parameter in parameters])
    steps = "1,2" if {parameter.bits for parameter in parameters} == {16} else "1,2,3,4"
    words = {
        "$PAR": str(len(parameters)),
        "$TOT": str(size // _width(parameters)),
        "$DATATYPE": default,
        "$BYTEORD": steps if order == "little" else steps[::-1],
        **({} if version == "FCS3.2" else {"$MODE": "L"}),
    }
    for number, parameter in enumerate(parameters, 1):
        words |= {f"$P{number}N": parameter.name, f"$P{number}B": str(parameter.bits)}
        words |= {f"$P{number}{letter}": value for letter, value in parameter.letters.items()}
        if parameter.letter != default:
            words[f"$P{number}DATATYPE"] = parameter.letter
    return words


def _delimiter(words: Sequence[str], rng: random.Random) -> str:
    """Draw a delimiter that no word begins with (FCS 3.1, 3.2)."""
    firsts = {word[0] for word in words}
    return rng.choice([delimiter for delimiter in DELIMITERS if delimiter not in firsts])


# --- the writer -----------------------------------------------------------------------------------

Segments = dict[str, bytes]
Ends = tuple[int, int]


def written(tubes_in_file: Sequence[Tube]) -> bytes:
    """Return a file of one or more data sets."""
    return b"".join(
        _data_set(tube, is_last=place == len(tubes_in_file)) for place, tube in enumerate(tubes_in_file, 1)
    )


def _data_set(tube: Tube, *, is_last: bool) -> bytes:
    rng = random.Random(tube.seed)
    says = rng.choice(("both", "both", "HEADER", "TEXT")) if tube.version != "FCS2.0" else "HEADER"
    late = tube.late if tube.version != "FCS2.0" else ()
    behind, crc = _behind(tube, late, rng), rng.choice((b"00000000", b"00000000", b""))
    begin = 58 + 16 * ("OTHER" in behind) + rng.choice((0, 0, 6, 198))
    pairs = [(key, value) for key, value in tube.keywords.items() if key not in late]
    rng.shuffle(pairs)
    ending, layout = b" " * rng.choice((0, 0, 7)), rng.randrange(2**32)

    def text(spots: Mapping[str, int]) -> bytes:
        """Return TEXT, of one length whatever the offsets in it."""
        same = random.Random(layout)
        said = [(key, same.choice((f"{spot:012d}", f"{spot:<12d}"))) for key, spot in spots.items()]
        return _text(tube, [*said, *pairs], same) + ending

    end = begin + len(text(_spots(tube, {}, says, 0)))
    places, size = _placed(behind, end, rng)
    stated = _stated(places, rng)
    head = _header(tube, (begin, end - 1), stated, says, rng) + _other(stated, "OTHER" in behind)
    said = text(_spots(tube, stated, says, 0 if is_last else size + len(crc)))
    raw = bytearray(head.ljust(begin) + said).ljust(size)
    for name, (first, last) in places.items():
        raw[first : last + 1] = behind[name]
    return bytes(raw) + crc


def _header(tube: Tube, text: Ends, stated: Mapping[str, Ends], says: str, rng: random.Random) -> bytes:
    """Return HEADER; offsets that it leaves to TEXT are 0 or blank."""
    fields = [
        *text,
        *(end for name in ("DATA", "ANALYSIS") for end in _ends(stated, name, says != "TEXT")),
    ]
    nothing = rng.choice(("0", ""))
    return (tube.version.ljust(10) + "".join(f"{field or nothing:>8}" for field in fields)).encode()


def _other(stated: Mapping[str, Ends], is_there: bool) -> bytes:
    """Return the offsets of an OTHER segment, behind those of HEADER."""
    return b"".join(f"{end:>8}".encode() for end in _ends(stated, "OTHER") if is_there)


def _stated(places: Mapping[str, Ends], rng: random.Random) -> dict[str, Ends]:
    """Return what a writer says of the segments: the end of DATA is often one too high."""
    first, last = places.get("DATA", (0, 0))
    return {**places, "DATA": (first, last + (first > 0 and rng.randrange(4) == 0))}


def _behind(tube: Tube, late: Sequence[str], rng: random.Random) -> Segments:
    """Return the segments that follow TEXT, in random order."""
    segments = {"DATA": tube.data}
    if late:
        said = [(key, value) for key, value in tube.keywords.items() if key in late]
        segments["STEXT"] = _text(tube, said, rng)
    if rng.randrange(3) == 0:
        segments["ANALYSIS"] = rng.randbytes(rng.randrange(1, 40))
    if rng.randrange(3) == 0:
        segments["OTHER"] = rng.randbytes(rng.randrange(2, 40))
    names = list(segments)
    rng.shuffle(names)
    return {name: segments[name] for name in names}


def _placed(behind: Segments, at: int, rng: random.Random) -> tuple[dict[str, Ends], int]:
    """Return the first and last byte of each segment that is not empty, and the size of all."""
    places = {}
    for name, raw in behind.items():
        at += rng.choice((0, 0, 1, 50))
        if raw:
            places[name] = (at, at + len(raw) - 1)
        at += len(raw)
    return places, at


def _spots(tube: Tube, places: Mapping[str, Ends], says: str, following: int) -> dict[str, int]:
    """Return the keywords about offsets."""
    spots = {"$NEXTDATA": following}
    if tube.version != "FCS2.0":
        for name in ("ANALYSIS", "STEXT", "DATA"):
            begin, end = _ends(places, name, name != "DATA" or says != "HEADER")
            spots |= {f"$BEGIN{name}": begin, f"$END{name}": end}
    return spots


def _ends(places: Mapping[str, Ends], name: str, is_said: bool = True) -> Ends:
    return places.get(name, (0, 0)) if is_said else (0, 0)


def _text(tube: Tube, pairs: Sequence[tuple[str, str]], rng: random.Random) -> bytes:
    words = [word for key, value in pairs for word in (rng.choice((key, key, key.lower())), value)]
    doubled = (word.replace(tube.delimiter, 2 * tube.delimiter) for word in words)
    return (tube.delimiter + tube.delimiter.join([*doubled, ""])).encode()


# --- the law --------------------------------------------------------------------------------------

SUSPICIONS = {"F-MAGNITUDE", "F-ZEROS", "F-RANGE"}
"""Flags that random bytes and random ranges deserve."""


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(st.lists(tubes(), min_size=1, max_size=3), st.booleans())
def test_any_layout_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, made: list[Tube], packed: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "layout.fcs"
    raw = written(made)
    path.write_bytes(gzip.compress(raw, 1) if packed else raw)
    for number, tube in enumerate(made, 1):
        sample = read_fcs(path, data_set=number if len(made) > 1 else None)
        _is_as_written(sample, tube)
        assert ("N-PACKED" in {finding.code for finding in sample.findings}) == packed
        scan = scan_fcs(path, data_set=number if len(made) > 1 else None)
        assert (scan.version, scan.channels) == (tube.version, sample.channels)
        assert raw[scan.data_offset :][: scan.data_length] == tube.data


def _is_as_written(sample: Sample, tube: Tube) -> None:
    flags = {finding.code for finding in sample.findings if finding.code[0] == "F"}
    allowed = SUSPICIONS | ({"F-GAP"} if tube.data[:2] == b"  " else set())
    assert flags <= allowed, sample.findings
    keywords = tube.keywords
    assert sample.names == tuple(parameter.name.strip(BLANK) for parameter in tube.parameters)
    stains = (keywords.get(f"$P{number}S", "") for number in range(1, len(tube.parameters) + 1))
    assert sample.stains == tuple(stain.strip(BLANK) for stain in stains)
    assert {key: sample.keywords.get(key) for key in keywords} == keywords
    for index, (parameter, column) in enumerate(zip(tube.parameters, tube.columns, strict=True)):
        assert [_told(value) for value in sample.stored_column(index).tolist()] == [
            _told(value) for value in column
        ]
        scaled = [parameter.scaled(value) for value in column]
        assert sample.columns([index])[0].tolist() == pytest.approx(scaled, rel=1e-13, abs=0, nan_ok=True)


def _told(value: float) -> str:
    """Return a value so that two are equal if they are the same: -0.0 is not 0.0, NaN is NaN."""
    return "nan" if math.isnan(value) else repr(value)
