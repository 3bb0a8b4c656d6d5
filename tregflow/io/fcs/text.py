"""TEXT: bytes to keywords (FCS 3.1, 3.2).

The delimiter is the first byte. Twice in a row it is meant literally (FCS 3.1, 3.2.8); some writers
mean an empty value by it instead, and only the whole segment tells which: both are read, and the
reading with fewer contradictions is kept, the standard's on a tie.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tregflow.errors import Finding, refuse
from tregflow.io.fcs.segments import Source, Span
from tregflow.privacy import BLANKS, STANDARD, keys_listed, shown

LARGEST_TEXT = 32 * 2**20
"""Bytes of TEXT that are read at most, in all data sets together: real ones have a few hundred thousand."""

MOST_WORDS = 1_000_000
"""Keys and values that are split at most: 10,000 parameters with fifty keywords each."""

LONGEST_NUMBER = 64
"""Characters of a whole number, zeros in front included."""

LONGEST_KEY = 40
"""Bytes that no keyword of the standard has."""

PRIVATE = frozenset(("SPILL", "SPILLOVER", "TRANSFORMATION"))
"""Private keywords that decide a number."""

REQUIRED = ("$PAR", "$DATATYPE", "$BYTEORD")
"""What a sound TEXT of any version holds."""

DECISIVE = re.compile(
    r"\$(TOT|PAR|BYTEORD|DATATYPE|MODE|BEGINDATA|ENDDATA|P\d+(B|R|E|N|S|G|DATATYPE)|COMP|TIMESTEP)|\$?SPILL(OVER)?"
)
"""Keywords that decide what is read, or which marker it is: two values of one are not forgiven."""

KEY = re.compile(r"[^$].*|\$[A-Z0-9_]+", re.DOTALL)
"""What a key looks like: one of the standard's kind is of capitals and digits."""

Ending = Literal["closed", "open", "ragged"]


@dataclass(frozen=True, slots=True)
class Text:
    """A TEXT segment as keywords.

    Parameters
    ----------
    keywords : dict of str to str
        Keys stripped and in upper case, ``$`` kept: a private ``P5N`` is not ``$P5N``.
    findings : tuple of Finding
        What departs from the standard and was understood nevertheless.
    ending : {"closed", "open", "ragged"}
        Whether the last value is closed by a delimiter, is not, or is and other bytes than fill follow.
    """

    keywords: dict[str, str]
    findings: tuple[Finding, ...] = ()
    ending: Ending = "closed"

    @property
    def unclosed(self) -> str:
        """The key whose value no delimiter closes: it may have lost its end."""
        return list(self.keywords)[-1] if self.ending == "open" and self.keywords else ""


def read_text(source: Source, span: Span, name: str = "TEXT") -> Text:
    """Return the keywords of a TEXT segment; see `parse_text`."""
    if span.length > LARGEST_TEXT:
        raise refuse("E-TEXT", f"{name} has {span.length:,} bytes; at most {LARGEST_TEXT:,} are read")
    return parse_text(source.read(span), name)


def parse_text(raw: bytes, name: str = "TEXT") -> Text:
    """Split a TEXT segment into keywords and values.

    Parameters
    ----------
    raw : bytes
        The segment; its first byte is the delimiter.
    name : str
        What to call it in findings.

    Raises
    ------
    FileError
        If it has no delimiter, too many of them, or says a decisive keyword twice and differently.
    """
    if not raw or not 1 <= raw[0] <= 126:
        seen = f"byte {raw[0]}" if raw else "nothing"
        raise refuse(
            "E-TEXT", f"{name} begins with {seen} where its delimiter should be, a byte from 1 to 126"
        )
    if len(raw) > 8 and not any(raw[1:9:2]):
        raise refuse("E-TEXT", f"{name} is written in UTF-16, two bytes a letter; UTF-8 and Latin-1 are read")
    if raw.count(raw[:1]) > MOST_WORDS:
        raise refuse(
            "E-TEXT", f"{name} has {raw.count(raw[:1]):,} delimiters; at most {MOST_WORDS:,} words are read"
        )
    words, findings, ending = _words(raw[1:], raw[:1], name)
    keywords, more = _paired(words, name)
    return Text(keywords, (*findings, *more), ending)


def merged(primary: Text, supplement: Text) -> Text:
    """Return primary TEXT with what the supplemental one adds; where they clash, the primary holds."""
    clashes = [
        key
        for key, value in supplement.keywords.items()
        if primary.keywords.get(key, value).strip(BLANKS) != value.strip(BLANKS)
    ]
    findings = [*primary.findings, *supplement.findings]
    if clashes:
        code = "F-SUPPLEMENT" if any(map(DECISIVE.fullmatch, clashes)) else "N-TEXT"
        sentence = f"the supplemental TEXT gives other values for {keys_listed(clashes)}"
        findings.append(Finding(code, f"{sentence}; those of the primary TEXT hold"))
    added = {key: value for key, value in supplement.keywords.items() if key not in primary.keywords}
    return Text({**added, **primary.keywords}, tuple(findings), primary.ending)


def _words(body: bytes, delimiter: bytes, name: str) -> tuple[list[bytes], list[Finding], Ending]:
    standard = _escaped(body, delimiter)
    words, findings = standard, []
    if delimiter * 2 in body:
        readings = (standard, _with_empty_values(body, delimiter), body.split(delimiter))
        words = min(readings, key=lambda words: _contradictions(words, delimiter))
        findings = [Finding("N-TEXT", said) for said in _doubts(standard, words, delimiter, name)]
    is_closed = not words[-1].strip(BLANKS.encode())
    words = words[:-1] if is_closed else words
    complete = words[: len(words) - len(words) % 2]
    if len(words) % 2:
        sentence = f"{name} has an odd number of words, {len(words):,}; the last one was left out"
        return complete, [*findings, Finding("N-TEXT", sentence)], "closed" if is_closed else "ragged"
    if is_closed:
        return complete, findings, "closed"
    ending: Ending = "open"
    sentence = f"{name} does not end with its delimiter"
    if complete[-1].endswith(delimiter):
        complete = [*complete[:-1], complete[-1].removesuffix(delimiter)]
        sentence, ending = f"{name} ends with two delimiters, one too many", "closed"
    return complete, [*findings, Finding("N-TEXT", sentence)], ending


def _with_empty_values(body: bytes, delimiter: bytes) -> list[bytes]:
    """Split as the standard says, but for two delimiters in front of a keyword that matters: an empty value."""
    places, at = [], 0
    while (at := body.find(delimiter * 2, at)) >= 0:
        end = body.find(delimiter, at + 2, at + 3 + LONGEST_KEY)
        if end > 0 and _matters(body[at + 2 : end]):
            places.append(at + 1)
        at += 2
    starts, ends = [0, *(place + 1 for place in places)], [*places, len(body)]
    parts = [_escaped(body[start:end], delimiter) for start, end in zip(starts, ends, strict=True)]
    return [word for part in parts for word in part]


def _is_standard(word: bytes) -> bool:
    return len(word) < LONGEST_KEY and STANDARD.fullmatch(_decoded(word).strip(BLANKS).upper()) is not None


def _matters(word: bytes) -> bool:
    """Whether a word is a keyword of the standard, or a private one that decides a number."""
    return _is_standard(word) or (len(word) < LONGEST_KEY and _decoded(word).strip(BLANKS).upper() in PRIVATE)


def _escaped(body: bytes, delimiter: bytes) -> list[bytes]:
    """Split at single delimiters; pairs of them, from the left, are meant literally."""
    words: list[bytes] = []
    pieces: list[bytes] = []
    for chunk in body.split(delimiter * 2):
        first, *rest = chunk.split(delimiter)
        pieces.append(first)
        if rest:
            words += [delimiter.join(pieces), *rest[:-1]]
            pieces = rest[-1:]
    return [*words, delimiter.join(pieces)]


def _contradictions(words: Sequence[bytes], delimiter: bytes) -> int:
    """Count what speaks against a split: keys that are none, are missing or hold others; values that are keys."""
    complete = len(words) - len(words) % 2
    keys = [_decoded(word).strip(BLANKS).upper() for word in words[:complete:2]]
    is_odd = len(words) % 2 and bool(words[-1].strip(BLANKS.encode()))
    return (
        is_odd
        + sum(KEY.fullmatch(key) is None for key in keys)
        + sum(key not in keys for key in REQUIRED)
        + sum(_is_standard(value) for value in words[1:complete:2])
        + sum(any(map(_matters, key.split(delimiter)[1:])) for key in words[:complete:2] if delimiter in key)
    )


def _doubts(standard: list[bytes], chosen: list[bytes], delimiter: bytes, name: str) -> Iterator[str]:
    if chosen is not standard:
        yield f"{name} holds empty values, which the standard forbids; they were read as empty"
    elif _contradictions(standard, delimiter):
        yield f"{name} holds doubled delimiters and contradicts itself; it was split as the standard says"
    elif held := sum(delimiter in key for key in standard[::2]):
        keys = "a key" if held == 1 else f"{held} keys"
        yield f"{name} has {keys} with a delimiter inside, as the standard reads it; an empty value may be meant"


def _paired(words: list[bytes], name: str) -> tuple[dict[str, str], list[Finding]]:
    keywords: dict[str, str] = {}
    twice: list[str] = []
    for raw_key, raw_value in zip(words[::2], words[1::2], strict=True):
        key, value = _decoded(raw_key).strip(BLANKS).upper(), _decoded(raw_value)
        if keywords.setdefault(key, value).strip(BLANKS) != value.strip(BLANKS):
            twice.append(key)
    _refuse_decisive(twice, keywords, name)
    _refuse_out_of_step(keywords, name)
    findings = [*_twice(twice, name), *_latin(words, name)]
    return keywords, findings


def _refuse_decisive(twice: Iterable[str], keywords: Mapping[str, str], name: str) -> None:
    for key in twice:
        if DECISIVE.fullmatch(key):
            seen = f"first {shown(keywords[key])} and then something else"
            raise refuse("E-TEXT", f"{name} says {key} twice, {seen}; export the file again")


def _refuse_out_of_step(keywords: Mapping[str, str], name: str) -> None:
    """Refuse keys that stand where values should, unless it is one and the next key is where it belongs."""
    pairs = list(keywords.items())
    odd = [place for place, (_, value) in enumerate(pairs) if _is_standard(value.encode())]
    if not odd:
        return
    following = pairs[odd[0] + 1 :][:1]
    if len(odd) > 1 or (following and not STANDARD.fullmatch(following[0][0])):
        key, value = pairs[odd[0]]
        seen = f"{name} has {shown(value)} as the value of {keys_listed([key])}"
        raise refuse("E-TEXT", f"{seen}: a delimiter is missing or one too many; export the file again")


def _twice(keys: list[str], name: str) -> Iterator[Finding]:
    if keys:
        yield Finding(
            "N-TEXT", f"{name} gives {keys_listed(keys)} twice, differently; the first one was kept"
        )


def _latin(words: list[bytes], name: str) -> Iterator[Finding]:
    pairs = zip(words[::2], words[1::2], strict=True)
    keys = [_decoded(key).strip(BLANKS) for key, value in pairs if _is_latin(value)]
    if keys:
        yield Finding(
            "N-ENCODING", f"the value of {keys_listed(keys)} in {name} is not UTF-8 and was read as Latin-1"
        )


def _decoded(word: bytes) -> str:
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError:
        return word.decode("latin-1")


def _is_latin(word: bytes) -> bool:
    try:
        word.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def whole(value: str | None) -> int | None:
    """Return the whole number that a value writes in at most 64 characters, or None."""
    word = (value or "").strip(BLANKS)
    return int(word) if len(word) <= LONGEST_NUMBER and re.fullmatch(r"[+-]?[0-9]+", word) else None


def decimal(value: str | None) -> float | None:
    """Return the finite number that a value writes, or None."""
    word = (value or "").strip(BLANKS)
    try:
        number = float(word)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in word else None


def required(keywords: Mapping[str, str], key: str) -> str:
    """Return a keyword's value without blanks around it, or refuse the file for its absence."""
    value = keywords.get(key, "").strip(BLANKS)
    if not value:
        raise refuse(
            "E-KEYWORD", f"{key} is missing, and events cannot be read without it; export the file again"
        )
    return value
