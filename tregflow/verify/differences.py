"""What two readers make differently of the same bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tregflow.privacy import shown
from tregflow.sample import Spillover
from tregflow.verify.limits import Case, What, known

TOLD: dict[What, str] = {"names": "channel names", "stains": "stains"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One kind of thing that two readers make differently of one data set.

    Parameters
    ----------
    what : str
        ``channels`` or ``events`` (how many there are), ``values``, ``names``, ``stains`` or ``spillover``.
    count, of : int
        How many differ, of how many; for ``channels`` and ``events`` the other's number and ours.
    channel, event : int
        The first that differs, counted from 1; 0 where it is not one channel or event.
    name : str
        That channel's ``$PnN``.
    ours, theirs : float or None
        Its two values; None where no value differs.
    detail : str
        In which way, where it is not a value.
    known : str
        The limit of the other reader that explains it; empty where none is known to.
    """

    what: What
    count: int
    of: int
    channel: int = 0
    event: int = 0
    name: str = ""
    ours: float | None = None
    theirs: float | None = None
    detail: str = ""
    known: str = ""

    def sentence(self, reader: str) -> str:
        """Return the difference in words."""
        limit = f"; a known limit of {reader}: {self.known}" if self.known else ""
        return f"{reader} {self._seen(reader)}{limit}"

    def _seen(self, reader: str) -> str:
        if self.what in ("channels", "events"):
            return f"reads {self.count:,} {self.what}, tregflow {self.of:,}"
        if self.what == "spillover":
            return f"differs in the spillover matrix: {self.detail}"
        place = f"channel {self.channel} ({shown(self.name)[1:-1]})"
        if self.ours is None or self.theirs is None:
            return f"differs in {self.count} of {self.of} {TOLD[self.what]}, first of {place}: {self.detail}"
        values = f"tregflow {number(self.ours)}, {reader} {number(self.theirs)}"
        return f"differs in {self.count:,} of {self.of:,} values, first in event {self.event:,} of {place}: {values}"


def number(value: float) -> str:
    """Return a number as short as it is exact."""
    return f"{value:g}" if value == float(f"{value:g}") else repr(float(value))


def compare(case: Case) -> tuple[Difference, ...]:
    """Return everything that two readers make differently of the same bytes.

    Parameters
    ----------
    case : Case
        The two readings.

    Returns
    -------
    tuple of Difference
        Empty where they agree.
    """
    ours, theirs = len(case.sample.channels), len(case.reading.columns)
    if ours != theirs:
        return (Difference("channels", theirs, ours),)
    found = (_events(case), _values(case), _words(case, "names"), _words(case, "stains"), _spillover(case))
    return tuple(filter(None, found))


def _events(case: Case) -> Difference | None:
    ours, theirs = len(case.sample), case.reading.n_events
    return None if ours == theirs else Difference("events", theirs, ours, known=known(case, "events", [0]))


def _values(case: Case) -> Difference | None:
    """Compare the events that both have."""
    rows = min(len(case.sample), case.reading.n_events)
    counts: dict[int, int] = {}
    first = (0, 0)
    for place, theirs in enumerate(case.reading.columns):
        unequal = _unequal(case.sample.stored_column(place, slice(rows)), theirs[:rows])
        if count := int(np.count_nonzero(unequal)):
            first = first if counts else (place, int(np.argmax(unequal)))
            counts[place] = count
    if not counts:
        return None
    place, row = first
    return Difference(
        "values",
        count=sum(counts.values()),
        of=rows * len(case.reading.columns),
        channel=place + 1,
        event=row + 1,
        name=case.sample.channels[place].name,
        ours=case.sample.stored_column(place, slice(row, row + 1))[0].item(),
        theirs=case.reading.columns[place][row].item(),
        known=known(case, "values", counts),
    )


def _unequal(ours: NDArray[Any], theirs: NDArray[Any]) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        unequal: NDArray[np.bool_] = ours != theirs
        if unequal.any():
            unequal &= ~((ours != ours) & (theirs != theirs))
    return unequal


def _words(case: Case, what: What) -> Difference | None:
    pairs = [case.words(what, place) for place in range(len(case.sample.channels))]
    differing = [place for place, (ours, theirs) in enumerate(pairs) if ours != (theirs or "")]
    if not differing:
        return None
    place = differing[0]
    return Difference(
        what,
        count=len(differing),
        of=len(pairs),
        channel=place + 1,
        name=case.sample.channels[place].name,
        detail=_way(case.reader, *pairs[place]),
        known=known(case, what, differing),
    )


def _way(reader: str, ours: str, theirs: str | None) -> str:
    if not theirs:
        return f"{reader} has none"
    return "they have different words there" if ours else "tregflow has none"


class Split(NamedTuple):
    """A spillover matrix split from TEXT: its detectors, empty where they are not named, and its numbers."""

    names: tuple[str, ...]
    numbers: tuple[float, ...]
    size: int


def split(written: str) -> Split | None:
    """Split a matrix, without the reader's help.

    Parameters
    ----------
    written : str
        Their number n, then n names (``$COMP`` has none), then n x n numbers.

    Returns
    -------
    Split or None
        None where it is not that.
    """
    words = [word.strip() for word in written.strip(" ,\t\r\n\0").split(",")]
    try:
        size = int(words[0])
        first = 1 if len(words) == 1 + size * size else 1 + size
        numbers = tuple(map(float, words[first:]))
    except ValueError:
        return None
    return Split(tuple(words[1:first]), numbers, size) if size > 0 and len(numbers) == size * size else None


def _spillover(case: Case) -> Difference | None:
    ours = case.sample.spillover
    if ours is None:
        return _surplus_matrix(case)
    written = case.reading.spillover.get(
        ours.source, case.reading.spillover.get(ours.source.removeprefix("$"))
    )
    detail = (
        f"{case.reader} has none" if written is None else _other_matrix(case.reader, ours, split(written))
    )
    return (
        Difference("spillover", 1, 1, detail=detail, known=known(case, "spillover", [0])) if detail else None
    )


def _surplus_matrix(case: Case) -> Difference | None:
    """Say where the other reader has a matrix and tregflow has none; not where its findings say why."""
    is_told = any(finding.code == "N-SPILL" for finding in case.sample.findings)
    held = any(split(written) for written in case.reading.spillover.values())
    return Difference("spillover", 1, 1, detail="tregflow has none") if held and not is_told else None


def _other_matrix(reader: str, ours: Spillover, theirs: Split | None) -> str:
    """Return in which way another's matrix is another; empty where it is not."""
    if theirs is None:
        return "it cannot be split into detectors and numbers"
    if theirs.size != len(ours.names):
        return f"tregflow's has {len(ours.names)} detectors, {reader}'s {theirs.size}"
    names = tuple(name.replace("$", "") for name in theirs.names)
    if names and names != tuple(name.strip().replace("$", "") for name in ours.names):
        return "it names other detectors"
    numbers = np.array(theirs.numbers).reshape(ours.matrix.shape)
    unequal = _unequal(ours.matrix, numbers)
    if not unequal.any():
        return ""
    row, column = np.unravel_index(int(np.argmax(unequal)), unequal.shape)
    values = f"tregflow {number(ours.matrix[row, column])}, {reader} {number(numbers[row, column])}"
    return f"row {row + 1}, column {column + 1}: {values}"
