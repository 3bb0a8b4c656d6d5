"""Whether a file is the tube that its row says, and was acquired like the subject's others.

A file's identity is its row and its content; what it says of itself is only held against the sheet.
Keywords that name the tube (``$FIL``, the specimen, …) are looked through for subjects and visits of
the sheet: one that names another row's and not its own is a sign of swapped files. What they say may
name a person, so their values stay in memory: a sentence quotes the sheet's words and the keyword's key.

A false alarm costs a look at a good tube, and many of them cost the next true one, so a word counts
only where it cannot well be something else. Names match whole: ``S01`` is in ``CTX_S01W00.fcs`` and
``s1-w0``, not in ``S011``. A name of letters and digits, such as ``S02``, speaks for itself where it is
spelled like that. A bare number, two characters, a mere word or what could be a well speak only where this
keyword names the own subject (or visit) in most other full tubes; a number below 100 needs a word like
*visit* before it; a counter at the end of ``$FIL`` and the number of a specimen are no names. The
experiment's name is not looked at: one experiment holds many subjects, and it is often copied from the
visit before.

Everything else compares technical keywords: date, cytometer, detectors, voltages, gains. Voltages of
scatter detectors are named beside others, and raise nothing alone: they are trimmed from day to day,
and debris and singlets are found in each file's own events.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import NamedTuple

from tregflow.binding import bare
from tregflow.errors import Finding
from tregflow.hierarchy import UNSCALED
from tregflow.privacy import BLANKS, shown
from tregflow.sample import Channel
from tregflow.study import Tube

NAMING = (
    "$FIL", "$SMNO", "$SRC", "TUBE NAME", "TUBENAME", "GROUPNAME", "SAMPLE ID", "SAMPLEID", "@SAMPLEID1",
)  # fmt: skip
"""Keywords that name file, tube or specimen; BD, Cytek and Beckman Coulter have words of their own."""

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

LEAST = 3
"""Full tubes whose keyword must name their own before another's silence is noted."""

NAMED = 3
"""Tubes that one sentence names."""

MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "mär": 3, "mrz": 3, "apr": 4, "may": 5, "mai": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9,
    "oct": 10, "okt": 10, "nov": 11, "dec": 12, "dez": 12,
}  # fmt: skip
DAY_FIRST = re.compile(r"(?P<day>\d{1,2})[-. /](?P<month>[^\W\d_]{3,9})[-. /](?P<year>\d{4}|\d{2})")
YEAR_FIRST = re.compile(r"(?P<year>\d{4})[-. /](?P<month>[^\W\d_]{3,9}|\d{2})[-. /](?P<day>\d{1,2})")
EARLIEST = 1900
"""A year before it was never set."""

UNSTATED = {"", "0", "na", "n/a", "none", "unknown"}


@dataclass(frozen=True, slots=True)
class Stated:
    """What a file says of itself.

    Parameters
    ----------
    names : mapping of str to str
        Values of the keywords in `NAMING` that it has. They may name a person and are never shown.
    date : str
        ``$DATE`` as 2021-03-15; empty where it is missing or can be read in two ways.
    cytometer, serial : str
        ``$CYT`` and ``$CYTSN``.
    voltages, gains : mapping of str to float
        ``$PnV``, where it is a number above 0, and the gain that was applied, by ``$PnN``.
    channels : mapping of str to str
        ``$PnN`` by marker, of a gated tube.
    """

    names: Mapping[str, str] = field(default_factory=dict, repr=False)
    date: str = ""
    cytometer: str = ""
    serial: str = ""
    voltages: Mapping[str, float] = field(default_factory=dict)
    gains: Mapping[str, float] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Doubt:
    """What speaks against one row.

    Parameters
    ----------
    finding : Finding
        The sentence.
    keywords : tuple of str
        Keywords with values that may be shown on a terminal only, and only if asked for.
    """

    finding: Finding
    keywords: tuple[str, ...] = ()


def stated(keywords: Mapping[str, str], channels: Sequence[Channel]) -> Stated:
    """Return what a file says of itself, markers apart."""
    volts = {channel.name: _number(channel.voltage) for channel in channels}
    return Stated(
        naming(keywords),
        acquired_on(keywords.get("$DATE", "")),
        _stripped(keywords.get("$CYT", "")),
        _stripped(keywords.get("$CYTSN", "")),
        {name: voltage for name, voltage in volts.items() if voltage > 0},
        {channel.name: channel.gain for channel in channels},
    )


def naming(keywords: Mapping[str, str]) -> dict[str, str]:
    """Return the keywords that name file, tube or specimen, with their values."""
    return {key: keywords[key] for key in NAMING if keywords.get(key, "").strip(BLANKS)}


def acquired_on(word: str) -> str:
    """Return a date as 2021-03-15; empty where day, month and year cannot be told apart.

    Examples
    --------
    >>> acquired_on("15-MAR-2021"), acquired_on("2021-Mar-15"), acquired_on("03-04-2021")
    ('2021-03-15', '2021-03-15', '')
    """
    found = DAY_FIRST.fullmatch(_stripped(word)) or YEAR_FIRST.fullmatch(_stripped(word))
    if not found:
        return ""
    year, month, day = found["year"], found["month"].casefold(), int(found["day"])
    whole = int(year) if len(year) == 4 else int(year) + (2000 if int(year) < 70 else 1900)
    try:
        date = dt.date(whole, int(month) if month.isdecimal() else MONTHS.get(month[:3], 0), day)
    except ValueError:
        return ""
    return date.isoformat() if date.year >= EARLIEST else ""


def doubts(tubes: Sequence[Tube], said: Mapping[str, Stated]) -> dict[str, tuple[Doubt, ...]]:
    """Hold files against their rows and against each other.

    Parameters
    ----------
    tubes : sequence of Tube
        Every row of the sheet, in any order.
    said : mapping of str to Stated
        What the files say, by sample; a file that was not read is left out.

    Returns
    -------
    dict of str to tuple of Doubt
        By sample; samples that nothing speaks against are left out.
    """
    read = [(tube, said[tube.sample]) for tube in sorted(tubes, key=_place) if tube.sample in said]
    found: dict[str, list[Doubt]] = defaultdict(list)
    for sample, doubt in (
        *_misnamed(sorted(tubes, key=_place), read),
        *_misdated(read),
        *_unlike_visits(read),
        *_unlike_controls(read),
    ):
        found[sample].append(doubt)
    return {sample: tuple(all_of_it) for sample, all_of_it in found.items()}


_Read = tuple[Tube, Stated]


def _place(tube: Tube) -> str:
    return tube.sample


def _stripped(word: str) -> str:
    return " ".join(word.strip(BLANKS).split())


def _number(word: str) -> float:
    """Return a number; NaN where there is none."""
    try:
        number = float(word.strip(BLANKS))
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _listed(samples: Iterable[str]) -> str:
    """Return the first samples by name, and how many more there are."""
    ordered = sorted(samples)
    *first, last = [*ordered[:NAMED], *([f"{len(ordered) - NAMED} more"] if len(ordered) > NAMED else [])]
    return f"{', '.join(first)} and {last}" if first else last


# ------------------------------------------------------------------------------------- names in keywords


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


class _Reading(NamedTuple):
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


class _Vocabulary:
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


def _readings(tube: Tube, key: str, value: str, vocabulary: _Vocabulary) -> dict[str, _Reading]:
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


def _reading(
    name: _Name, key: str, atoms: Sequence[_Atom], spans: Sequence[_Span], own: set[int]
) -> _Reading:
    if any(name in span.names for span in spans) or _has_digits(name, atoms, spans):
        return _Reading(own=True, others={})
    others: dict[str, bool] = {}
    for span in spans:
        is_free = span.is_pair or not own.issuperset(range(span.begin, span.end))
        if is_free and not _is_counter(span, key, atoms):
            texts = [atom.text for atom in atoms[span.begin : span.end]]
            for other in span.names:
                if other.column == name.column:
                    telling = span.is_pair or (_is_telling(other) and _texts(other.word) == texts)
                    others[other.word] = others.get(other.word, False) or telling
    return _Reading(own=False, others=others)


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
    """Whether a bare number is what software counts: tubes, wells, files."""
    if not all(atom.text.isdecimal() for atom in atoms[span.begin : span.end]):
        return False
    before = atoms[span.begin - 1].text if span.begin else ""
    return before in COUNTED or (key == "$FIL" and span.end == len(atoms) and span.begin > 0)


class _Habit:
    """In which full tubes a keyword names the row's own word, and which word that is."""

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self.own: list[str] = []

    def add(self, sample: str, word: str, *, own: bool) -> None:
        self.asked.add(sample)
        if own:
            self.own.append(word)

    def others(self, sample: str) -> tuple[int, int]:
        """Return how many other tubes name their own, and of how many; asked of a tube that does not."""
        return len(self.own), len(self.asked - {sample})

    def holds_for(self, sample: str) -> bool:
        """Whether most other tubes, two thirds and more, name their own, and not all the same one."""
        named, asked = self.others(sample)
        return 3 * named >= 2 * asked and len(set(self.own)) >= 2


_Readings = Mapping[tuple[str, str], Mapping[str, _Reading]]


def _misnamed(tubes: Sequence[Tube], read: Sequence[_Read]) -> Iterator[tuple[str, Doubt]]:
    """Yield what the names in keywords say against rows."""
    vocabulary = _Vocabulary(tubes)
    readings = {
        (tube.sample, key): _readings(tube, key, value, vocabulary)
        for tube, said in read
        for key, value in said.names.items()
    }
    habits = _habits(read, readings)
    for tube, said in read:
        keys = [key for key in NAMING if key in said.names]
        claims = {key: _claims(tube, readings[tube.sample, key], key, habits) for key in keys}
        if any(claims.values()):
            yield tube.sample, _contradiction(tube, claims, tubes)
        silent = [key for key in keys if not claims[key]]
        yield from _silences(tube, {key: readings[tube.sample, key] for key in silent}, habits)


def _habits(read: Sequence[_Read], readings: _Readings) -> dict[tuple[str, str], _Habit]:
    """Return the habit of each keyword and column, learned from full tubes."""
    habits: dict[tuple[str, str], _Habit] = defaultdict(_Habit)
    for tube, said in read:
        if tube.tube == "full":
            for key in said.names:
                for column, reading in readings[tube.sample, key].items():
                    word = getattr(tube, column).casefold()
                    habits[key, column].add(tube.sample, word, own=reading.own)
    return habits


_Claims = tuple[tuple[str, tuple[str, ...]], ...]


def _claims(
    tube: Tube, readings: Mapping[str, _Reading], key: str, habits: Mapping[tuple[str, str], _Habit]
) -> _Claims:
    """Return the other words that a keyword names, by column, as far as they count."""
    counting = {
        column: tuple(sorted(word for word, telling in reading.others.items()
                             if telling or habits[key, column].holds_for(tube.sample)))
        for column, reading in readings.items()
    }  # fmt: skip
    return tuple((column, words) for column, words in counting.items() if words)


def _contradiction(tube: Tube, claims: Mapping[str, _Claims], tubes: Sequence[Tube]) -> Doubt:
    """Return the one sentence on all keywords that name another row's subject or visit."""
    keys: dict[_Claims, list[str]] = defaultdict(list)
    for key, claim in claims.items():
        if claim:
            keys[claim].append(key)
    told = "; ".join(_claimed(tube, claim, words) for claim, words in keys.items())
    meant = _meant(tube, list(keys), tubes)
    with_ = f"compare with {_listed(meant)}, " if meant else ""
    sentence = f"{told}; {with_}files may have been swapped"
    return Doubt(Finding("F-IDENTITY", sentence), tuple(key for key, claim in claims.items() if claim))


def _claimed(tube: Tube, claim: _Claims, keys: Sequence[str]) -> str:
    names = " and ".join(f"{column} {' and '.join(words)}" for column, words in claim)
    own = " and ".join(getattr(tube, column) for column, _ in claim)
    verb = "name" if len(keys) > 1 else "names"
    return f"{' and '.join(keys)} {verb} {names}, where the sheet says {own}"


def _meant(tube: Tube, claims: Sequence[_Claims], tubes: Sequence[Tube]) -> list[str]:
    """Return the samples that are named: subject and visit as claimed, and of the same kind where there is one."""
    found: dict[str, None] = {}
    for claim in claims:
        claimed = dict(claim)
        whole = {column: claimed.get(column, (getattr(tube, column),)) for column in COLUMNS}
        found |= dict.fromkeys(_wanted(tube, whole, tubes) or _wanted(tube, claimed, tubes))
    return list(found)


def _wanted(tube: Tube, words: Mapping[str, tuple[str, ...]], tubes: Sequence[Tube]) -> list[str]:
    """Return the other samples with these words, those of the same kind if there are any."""
    found = [other for other in tubes if other.sample != tube.sample
             and all(getattr(other, column) in allowed for column, allowed in words.items())]  # fmt: skip
    alike = [other for other in found if other.tube == tube.tube]
    return [other.sample for other in alike or found]


def _silences(
    tube: Tube, readings: Mapping[str, Mapping[str, _Reading]], habits: Mapping[tuple[str, str], _Habit]
) -> Iterator[tuple[str, Doubt]]:
    """Note where keywords do not name a full tube's own subject or visit, as they do in most others."""
    told: dict[str, list[str]] = defaultdict(list)
    for key, columns in readings.items():
        for column, reading in columns.items():
            habit = habits[key, column] if tube.tube == "full" else _Habit()
            if not reading.own and habit.holds_for(tube.sample) and habit.others(tube.sample)[0] >= LEAST:
                named, asked = habit.others(tube.sample)
                told[key].append(
                    f"{key} does not name {column} {getattr(tube, column)}, though it names the sheet's own in "
                    f"{named} of {asked} other full tubes"
                )
    if told:
        sentence = "; ".join(words for said in told.values() for words in said)
        yield tube.sample, Doubt(Finding("N-IDENTITY", sentence), tuple(told))


# ------------------------------------------------------------------------------------------------ dates


def _misdated(read: Sequence[_Read]) -> Iterator[tuple[str, Doubt]]:
    """Yield what ``$DATE`` says against rows."""
    runs: dict[str, list[_Read]] = defaultdict(list)
    for tube, said in read:
        if said.date and tube.collected and said.date < tube.collected:
            told = f"acquired on {said.date} ($DATE), before the blood was drawn: collected says {tube.collected}"
            yield tube.sample, Doubt(Finding("F-DATE", told))
        if said.date and tube.run:
            runs[tube.run].append((tube, said))
    for run, members in runs.items():
        yield from _out_of_run(run, members)


def _out_of_run(run: str, members: Sequence[_Read]) -> Iterator[tuple[str, Doubt]]:
    """Yield the tubes that were acquired more than a day from the day on which most of their run were."""
    days: dict[str, list[str]] = defaultdict(list)
    for tube, said in members:
        days[said.date].append(tube.sample)
    most = max(map(len, days.values()))
    usual = [day for day, samples in days.items() if len(samples) == most]
    for tube, said in members:
        far = [day for day in usual if abs((_day(said.date) - _day(day)).days) > 1]
        if far:
            others = "; ".join(f"{_listed(days[day])} on {day}" for day in sorted(far))
            told = f"acquired on {said.date} ($DATE), but of the same run {run} {others}"
            yield tube.sample, Doubt(Finding("F-DATE", told))


def _day(date: str) -> dt.date:
    return dt.date.fromisoformat(date)


# ------------------------------------------------------------------------------------ how it was acquired


def _unlike_visits(read: Sequence[_Read]) -> Iterator[tuple[str, Doubt]]:
    """Yield what differs between the visits of one subject, for each of its full tubes."""
    subjects: dict[str, list[_Read]] = defaultdict(list)
    for tube, said in read:
        if tube.tube == "full" and tube.subject and tube.visit:
            subjects[tube.subject.casefold()].append((tube, said))
    for tubes in subjects.values():
        for tube, said in tubes:
            others = [one for one in tubes if one[0].visit.casefold() != tube.visit.casefold()]
            for code, compared in COMPARED.items():
                unlike = [(other.sample, compared(said, told)) for other, told in others]
                yield from _unlike(tube.sample, code, f"{OTHERWISE[code]} in", unlike)


def _unlike_controls(read: Sequence[_Read]) -> Iterator[tuple[str, Doubt]]:
    """Yield where the detectors of a full tube ran otherwise in a control tube of its run, for both."""
    runs: dict[str, list[_Read]] = defaultdict(list)
    for tube, said in read:
        if run := tube.run or f"{said.date} {said.serial}".strip():
            runs[run].append((tube, said))
    for members in runs.values():
        for tube, said in members:
            is_full = tube.tube == "full"
            unlike = [
                (other.sample, _voltages(said, told, (said if is_full else told).channels))
                for other, told in members
                if (other.tube == "full") != is_full
            ]
            kind = "control" if is_full else "full"
            yield from _unlike(
                tube.sample, "F-VOLTAGE", f"{OTHERWISE['F-VOLTAGE']} in the run's {kind} tube", unlike
            )


def _unlike(
    sample: str, code: str, otherwise: str, unlike: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, Doubt]]:
    """Yield one sentence on all samples that are unlike this one; those in the same way are named together."""
    ways: dict[str, list[str]] = defaultdict(list)
    for other, how in unlike:
        if how:
            ways[how].append(other)
    if ways:
        told = [f"{_listed(samples)} ({how})" for how, samples in list(ways.items())[:NAMED]]
        more = [f"{len(ways) - NAMED} more"] if len(ways) > NAMED else []
        yield sample, Doubt(Finding(code, f"{otherwise} {'; '.join([*told, *more])}"))


def _cytometers(said: Stated, told: Stated) -> str:
    """Return how cytometers differ: by serial number where both files have one, else by name."""
    pairs = (("serial number", told.serial, said.serial), ("cytometer", told.cytometer, said.cytometer))
    for what, there, here in pairs:
        if not {there.casefold(), here.casefold()} & UNSTATED:
            is_same = there.casefold() == here.casefold()
            return "" if is_same else f"{what} {shown(there)}, here {shown(here)}"
    return ""


def _detectors(said: Stated, told: Stated) -> str:
    """Return which markers sit on another detector."""
    return "; ".join(
        f"{marker} on {told.channels[marker]}, here on {detector}"
        for marker, detector in said.channels.items()
        if marker in told.channels and _folded(told.channels[marker]) != _folded(detector)
    )


def _visits_voltages(said: Stated, told: Stated) -> str:
    """Return how detectors that carry the same marker ran at another visit."""
    alike = {
        marker: detector
        for marker, detector in said.channels.items()
        if marker in told.channels and _folded(told.channels[marker]) == _folded(detector)
    }
    return _voltages(said, told, alike)


def _voltages(said: Stated, told: Stated, gated: Mapping[str, str]) -> str:
    """Return how gated detectors ran there and here; nothing where only scatter detectors did otherwise."""
    here, there = _settings(said), _settings(told)
    differing = {
        marker: f"{marker} on {detector} {_differing(there[name], here[name])}"
        for marker, detector in gated.items()
        if (name := _folded(detector)) in there and name in here and _differing(there[name], here[name])
    }
    is_scatter = {marker for marker in differing if UNSCALED.fullmatch(marker)}
    return "; ".join(differing.values()) if set(differing) - is_scatter else ""


def _settings(said: Stated) -> dict[str, tuple[float, float]]:
    """Return voltage and gain of each detector; a voltage that is not stated is NaN."""
    return {_folded(name): (said.voltages.get(name, math.nan), gain) for name, gain in said.gains.items()}


def _differing(there: tuple[float, float], here: tuple[float, float]) -> str:
    """Return voltage and gain there and here, as far as both are stated and differ."""
    (volts, gain), (own_volts, own_gain) = there, here
    told = [f"{volts:g} V, here {own_volts:g} V"] if abs(volts - own_volts) > 0 else []
    return ", ".join(told + ([f"gain {gain:g}, here {own_gain:g}"] if gain != own_gain else []))


def _folded(detector: str) -> str:
    return bare(detector).casefold()


COMPARED: Mapping[str, Callable[[Stated, Stated], str]] = {
    "F-CYTOMETER": _cytometers,
    "F-DETECTOR": _detectors,
    "F-VOLTAGE": _visits_voltages,
}
"""What is compared between two visits: this file and the other to words, empty where they agree."""

OTHERWISE = {
    "F-CYTOMETER": "another cytometer than",
    "F-DETECTOR": "another detector than",
    "F-VOLTAGE": "another voltage or gain than",
}
