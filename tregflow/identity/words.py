"""Subjects and visits of a sheet, found as whole words in what a keyword says."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from typing import NamedTuple

from tregflow.privacy import BLANKS
from tregflow.study import Tube

COLUMNS = ("subject", "visit")
CONTEXT = {"subject": ("s", "p"), "visit": ("v", "w", "d", "m", "t")}
"""Letters that make a number below 100 a subject or a visit."""

FOLDED = {
    **dict.fromkeys(("subject", "subj"), "s"),
    **dict.fromkeys(("patient", "pat", "pt"), "p"),
    **dict.fromkeys(("visit", "visite"), "v"),
    **dict.fromkeys(("week", "wk", "woche"), "w"),
    **dict.fromkeys(("day", "tag"), "d"),
    **dict.fromkeys(("month", "monat"), "m"),
}
"""Words that mean the same as a letter before a number: ``Week 12`` is ``W12``."""

COUNTED = frozenset((
    "specimen", "tube", "sample", "group", "plate", "well", "rack", "panel", "run", "batch", "worklist", "acquisition",
    "experiment", "exp", "data", "file", "fcs", "test", "beads", "stained", "control", "controls", "no", "nr",
))  # fmt: skip
"""What a number is counted in that software made: ``Specimen_001``."""

ATOM = re.compile(r"[^\W\d_]+|\d+")
WELL = re.compile(r"[a-h](0?[1-9]|1[0-2])")
ENDING = re.compile(r"\.(fcs|lmd)(\.gz)?$", re.IGNORECASE)
LONGEST = 1000
"""Characters of a keyword that are looked through."""


class _Name(NamedTuple):
    """A subject or a visit of the sheet, as the sheet first writes it."""

    column: str
    word: str


class _Atom(NamedTuple):
    """Letters or digits that stand together in a text."""

    text: str
    start: int
    end: int


class _Span(NamedTuple):
    """A stretch of atoms that spells names of the sheet."""

    begin: int
    end: int
    names: frozenset[_Name]
    is_pair: bool


class Reading(NamedTuple):
    """What one keyword of a file says of one column of its row.

    Own: whether it names the row's own word. Others: other words of the sheet that it names instead, and
    whether each speaks for itself.
    """

    own: bool
    others: Mapping[str, bool]


def _atoms(text: str) -> list[_Atom]:
    found = [_Atom(one.group(), one.start(), one.end()) for one in ATOM.finditer(text[:LONGEST].casefold())]
    return [
        atom._replace(text=FOLDED.get(atom.text, atom.text)) if after and after.text.isdecimal() else atom
        for atom, after in zip(found, [*found[1:], None], strict=True)
    ] if found else []  # fmt: skip


def _key(texts: Sequence[str]) -> tuple[str, ...]:
    """Return what two spellings of one name share: zeros count only where there is nothing but digits."""
    if all(map(str.isdecimal, texts)):
        return tuple(texts)
    return tuple((text.lstrip("0") or "0") if text.isdecimal() else text for text in texts)


class Vocabulary:
    """Subjects and visits of a sheet, and how keywords may spell them: alone, or a row's two together.

    A bare number beside a visit may be a specimen's; together they count in one word only: ``012W00``.
    """

    def __init__(self, tubes: Iterable[Tube]) -> None:
        self.singles: dict[tuple[str, ...], set[_Name]] = defaultdict(set)
        self.pairs: dict[tuple[str, ...], set[_Name]] = defaultdict(set)
        for tube in tubes:
            self._add(tube)
        self.lengths = sorted({len(key) for key in (*self.singles, *self.pairs)})

    def _add(self, tube: Tube) -> None:
        names = _names(tube)
        for name in names:
            for key in _spellings(name):
                self.singles[key].add(name)
        if len(names) == 2 and not any(_is_small(_texts(name.word)) for name in names):
            for first, second in permutations(names):
                self.pairs[_key([*_texts(first.word), *_texts(second.word)])].update(names)

    def spans(self, atoms: Sequence[_Atom]) -> list[_Span]:
        """Return the longest stretches that spell a name, each beginning and ending where a word does."""
        found = [
            span
            for begin in range(len(atoms))
            for length in self.lengths
            if (span := self._span(atoms, begin, begin + length))
        ]
        return [span for span in found if not any(_holds(other, span) for other in found)]

    def _span(self, atoms: Sequence[_Atom], begin: int, end: int) -> _Span | None:
        if end > len(atoms) or _is_glued(atoms, begin) or _is_glued(atoms, end):
            return None
        key = _key([atom.text for atom in atoms[begin:end]])
        single, pair = self.singles.get(key), self.pairs.get(key, set())
        if single:
            return _Span(begin, end, frozenset(single), is_pair=False)
        if any(_is_number(name.word) for name in pair) and not _is_one_word(atoms[begin:end]):
            return None
        return _Span(begin, end, frozenset(pair), is_pair=True) if pair else None


def _names(tube: Tube) -> list[_Name]:
    words = [_Name(column, getattr(tube, column)) for column in COLUMNS]
    return [name for name in words if _texts(name.word)]


def _texts(word: str) -> list[str]:
    return [atom.text for atom in _atoms(word)]


def _spellings(name: _Name) -> list[tuple[str, ...]]:
    """Return the keys that a name is found under; a number below 100 only behind a letter that tells what it is."""
    texts = _texts(name.word)
    return [_key([letter, *texts]) for letter in CONTEXT[name.column]] if _is_small(texts) else [_key(texts)]


def _is_small(texts: Sequence[str]) -> bool:
    """Whether a name is a bare number below 100, which stands in many names for many things."""
    return len(texts) == 1 and texts[0].isdecimal() and len(texts[0]) < 3


def _is_glued(atoms: Sequence[_Atom], place: int) -> bool:
    """Whether nothing stands between an atom and the one before it."""
    return 0 < place < len(atoms) and atoms[place].start == atoms[place - 1].end


def _is_one_word(atoms: Sequence[_Atom]) -> bool:
    return all(_is_glued(atoms, place) for place in range(1, len(atoms)))


def _is_number(word: str) -> bool:
    """Whether a name has no letter."""
    return all(map(str.isdecimal, _texts(word)))


def _holds(one: _Span, other: _Span) -> bool:
    """Whether a stretch is part of a longer one."""
    longer = one.end - one.begin > other.end - other.begin
    return longer and one.begin <= other.begin and other.end <= one.end


def _is_telling(name: _Name) -> bool:
    """Whether a name can hardly be anything else: letters and digits, three and more, no well and no ``Tube1``."""
    texts = _texts(name.word)
    kinds = {text.isdecimal() for text in texts}
    whole = "".join(texts)
    return len(kinds) == 2 and len(whole) >= 3 and not WELL.fullmatch(whole) and texts[0] not in COUNTED


def named_in(tube: Tube, key: str, value: str, vocabulary: Vocabulary) -> dict[str, Reading]:
    """Return what a keyword says of each column that the row fills."""
    atoms = _atoms(ENDING.sub("", value.strip(BLANKS)) if key == "$FIL" else value)
    spans = vocabulary.spans(atoms)
    own = {place for span in spans if span.names & set(_names(tube)) for place in range(span.begin, span.end)}
    own |= _others_of_the_row(tube, atoms)
    return {name.column: _reading(name, key, atoms, spans, own) for name in _names(tube)}


def _others_of_the_row(tube: Tube, atoms: Sequence[_Atom]) -> set[int]:
    """Return the places of what the row says in its other columns: a run R02 is no subject R02."""
    words = [tube.run, tube.tube, tube.collected, *tube.extra.values()]
    keys = {_key(texts) for word in words if (texts := _texts(word))}
    return {
        place
        for key in keys
        for begin in range(len(atoms) - len(key) + 1)
        if _key([atom.text for atom in atoms[begin : begin + len(key)]]) == key
        for place in range(begin, begin + len(key))
    }


def _reading(name: _Name, key: str, atoms: Sequence[_Atom], spans: Sequence[_Span], own: set[int]) -> Reading:
    if any(name in span.names for span in spans) or _has_digits(name, atoms, spans):
        return Reading(own=True, others={})
    others: dict[str, bool] = {}
    for span in spans:
        is_free = span.is_pair or not own.issuperset(range(span.begin, span.end))
        if is_free and not _is_counter(span, key, atoms):
            texts = [atom.text for atom in atoms[span.begin : span.end]]
            for other in span.names:
                if other.column == name.column:
                    telling = span.is_pair or (_is_telling(other) and _texts(other.word) == texts)
                    others[other.word] = others.get(other.word, False) or telling
    return Reading(own=False, others=others)


def _has_digits(name: _Name, atoms: Sequence[_Atom], spans: Sequence[_Span]) -> bool:
    """Whether a row's own bare number is there at all and is no word of the other column.

    That is too little to accuse, and enough to acquit.
    """
    texts = _texts(name.word)
    taken = {place for span in spans if all(one.column != name.column for one in span.names)
             for place in range(span.begin, span.end)}  # fmt: skip
    return _is_number(name.word) and any(
        [atom.text for atom in atoms[begin : begin + len(texts)]] == texts and begin not in taken
        for begin in range(len(atoms))
    )


def _is_counter(span: _Span, key: str, atoms: Sequence[_Atom]) -> bool:
    """Whether a word is what software counts: ``Plate P02``, tubes, wells, files."""
    before = atoms[span.begin - 1].text if span.begin else ""
    is_number = all(atom.text.isdecimal() for atom in atoms[span.begin : span.end])
    ends_file = key == "$FIL" and span.end == len(atoms) and span.begin > 0
    return before in COUNTED or (is_number and ends_file)
