"""Whether keywords name another row's subject or visit, or not their own where others do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tregflow.errors import Finding
from tregflow.identity.stated import NAMING, Doubt, Read, listed
from tregflow.identity.words import COLUMNS, Reading, Vocabulary, named_in
from tregflow.study import Tube

LEAST = 3
"""Full tubes whose keyword must name their own before another's silence is noted."""


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


_Readings = Mapping[tuple[str, str], Mapping[str, Reading]]


def misnamed(tubes: Sequence[Tube], read: Sequence[Read]) -> Iterator[tuple[str, Doubt]]:
    """Yield what the names in keywords say against rows."""
    vocabulary = Vocabulary(tubes)
    readings = {
        (tube.sample, key): named_in(tube, key, value, vocabulary)
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


def _habits(read: Sequence[Read], readings: _Readings) -> dict[tuple[str, str], _Habit]:
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
    tube: Tube, readings: Mapping[str, Reading], key: str, habits: Mapping[tuple[str, str], _Habit]
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
    with_ = f"compare with {listed(meant)}, " if meant else ""
    sentence = f"{told}; {with_}files may have been swapped, or the sheet mistyped"
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
    tube: Tube, readings: Mapping[str, Mapping[str, Reading]], habits: Mapping[tuple[str, str], _Habit]
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
