"""A file, then a batch, read by every reader in turn, each in a process that may be ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from tregflow.errors import FileError, Finding
from tregflow.io.confined import Call, Plan, Stopped, run
from tregflow.io.fcs import read_fcs
from tregflow.io.fcs.text import LARGEST_TEXT, whole
from tregflow.io.readers import READERS, Reader, error_name, unpacked
from tregflow.sample import Sample
from tregflow.verify.answers import Answer, Kind, Verified
from tregflow.verify.differences import compare
from tregflow.verify.limits import Case

SECONDS = 60.0
"""How long a reader may take for one data set, unless told otherwise."""

ROOM = 2**30
GROWTH = 64
"""Memory that a reader may take: so many bytes, and so many for each byte of the file. FlowIO needs 50 where
it holds small integers in lists."""

ABSENT = {"E-MISSING", "E-UNREADABLE"}
"""Refusals of what no reader could read."""


class OwnMemoryError(Exception):
    """Memory ran out in what is tregflow's own, not the other reader's."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One file to be verified.

    Parameters
    ----------
    file : str
        As it was named.
    path : Path
        Where it is.
    data_set : int or None
        Which data set is meant.
    every : bool
        Whether every data set is, where the file holds several and none is named.
    """

    file: str
    path: Path
    data_set: int | None = None
    every: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """One data set as tregflow's reader sees it.

    Parameters
    ----------
    data_set : int or None
        Counted from 1.
    events, channels : int
        What was read.
    size : int
        Bytes of its events.
    refusals : tuple of Finding
        Why it was not.
    """

    data_set: int | None
    events: int = 0
    channels: int = 0
    size: int = 0
    refusals: tuple[Finding, ...] = ()

    def is_refused(self, *codes: str) -> bool:
        """Whether tregflow refuses it for one of some reasons."""
        return any(finding.code in codes for finding in self.refusals)


def verify(
    asked: Sequence[Asked],
    *,
    workers: int = 1,
    seconds: float = SECONDS,
    readers: Sequence[Reader] = READERS,
    ended: Callable[[str], None] = lambda _: None,
) -> tuple[Verified, ...]:
    """Read files again with other readers.

    Parameters
    ----------
    asked : sequence of Asked
        The files.
    workers : int
        Files at a time.
    seconds : float
        How long a reader may take for one data set.
    readers : sequence of Reader
        Whom to ask.
    ended : callable
        Called with each file's name as it ends.

    Returns
    -------
    tuple of Verified
        One per data set, in the order in which the files were named.
    """
    found: dict[int, tuple[Verified, ...]] = {}
    plans = [_numbered(place, _plan(one, readers, seconds)) for place, one in enumerate(asked)]
    for place, verified in run(plans, workers):
        found[place] = verified
        ended(asked[place].file)
    return tuple(one for place in sorted(found) for one in found[place])


def _numbered(place: int, plan: Plan[tuple[Verified, ...]]) -> Plan[tuple[int, tuple[Verified, ...]]]:
    return place, (yield from plan)


def _plan(asked: Asked, readers: Sequence[Reader], seconds: float) -> Plan[tuple[Verified, ...]]:
    """Look at a file with tregflow's reader, then have every other reader look at each data set of it."""
    before = _stamp(asked.path)
    size = sum(before[:1])
    look = yield Call(look_at, (asked.path, asked.data_set, asked.every), seconds, _room(size))
    if isinstance(look, Stopped):
        return (Verified(asked.file, asked.data_set, refusals=(_our_fault(look, seconds),)),)
    found = []
    for seen in look:
        answers = []
        for reader in () if seen.is_refused(*ABSENT) else readers:
            call = Call(ask, (reader, asked.path, seen.data_set), seconds, _room(size + seen.size))
            answer = yield call
            answers.append(_given_up(reader.name, answer, seconds) if isinstance(answer, Stopped) else answer)
        found.append(
            Verified(asked.file, seen.data_set, seen.events, seen.channels, seen.refusals, tuple(answers))
        )
    return tuple(found) if _stamp(asked.path) == before else (_changed(asked),)


def _room(size: int) -> int:
    return ROOM + GROWTH * size


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what changes when a file does: size, time and place on the disk; nothing where there is none."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_size, status.st_mtime_ns, status.st_ino


def _changed(asked: Asked) -> Verified:
    told = "the file changed while it was being read; is it still being written? Wait, then verify it again"
    return Verified(asked.file, asked.data_set, refusals=(Finding("E-CHANGED", told),))


def _our_fault(stopped: Stopped, seconds: float) -> Finding:
    told = stopped.told or f"it {_end(stopped, seconds)}"
    return Finding("E-INTERNAL", f"a fault of tregflow's own reader: {told}; please report it")


def _given_up(reader: str, stopped: Stopped, seconds: float) -> Answer:
    """Return the answer of a reader that came to none; what is raised around it is a fault of ours."""
    kind: Kind = "fault" if stopped.why == "fault" else "gave up"
    return Answer(reader, kind, reason=_end(stopped, seconds))


def _end(stopped: Stopped, seconds: float) -> str:
    return {
        "time": f"gave up after {seconds:g} s",
        "memory": "asked for too much memory",
        "death": "ended its process",
        "fault": f"could not be compared, a fault of tregflow's own ({stopped.told}); please report it",
    }[stopped.why]


# ---------------------------------------------------------------------------- in a process apart


def look_at(path: Path, data_set: int | None, every: bool) -> tuple[Seen, ...]:
    """Return what tregflow's reader sees in a file.

    Parameters
    ----------
    path : Path
        The file.
    data_set : int or None
        Which data set is meant.
    every : bool
        Whether every one is, where there are several.

    Returns
    -------
    tuple of Seen
        At least one.
    """
    first = _seen(path, data_set)
    if not every or not first.is_refused("E-DATASET"):
        return (first,)
    found: list[Seen] = []
    while not (seen := _seen(path, len(found) + 1)).is_refused("E-DATASET"):
        found.append(seen)
    return tuple(found)


def _seen(path: Path, data_set: int | None) -> Seen:
    try:
        sample = read_fcs(path, data_set=data_set)
    except FileError as error:
        return Seen(data_set, refusals=error.findings)
    return Seen(data_set, len(sample), len(sample.channels), sample.records.nbytes)


def ask(reader: Reader, path: Path, data_set: int | None) -> Answer:
    """Return what another reader makes of a data set, told to overlook as little as it must.

    Parameters
    ----------
    reader : Reader
        The other reader.
    path : Path
        The file.
    data_set : int or None
        Counted from 1; None where the file holds one.

    Returns
    -------
    Answer
        Where it needs to be told something, that with which it agrees, if there is such; what it
        reads untold is final.
    """
    try:
        with _own():
            sample = read_fcs(path, data_set=data_set)
    except FileError:
        sample = None
    seen: list[Answer] = []
    with nullcontext(path) if sample is None else unpacked(path) as plain:
        for answer in _answers(reader, sample, plain, data_set):
            if answer.kind in ("agrees", "reads") or (answer.kind == "differs" and not seen):
                return _excused(answer, seen)
            seen.append(answer)
    differing = [answer for answer in seen if answer.kind == "differs"]
    return _excused(differing[0], seen) if differing else seen[0]


@contextmanager
def _own() -> Iterator[None]:
    """Let nobody else be blamed for the memory that tregflow takes."""
    try:
        yield
    except MemoryError:
        raise OwnMemoryError from None


def _excused(answer: Answer, earlier: Sequence[Answer]) -> Answer:
    """Return an answer with why it had to be told something."""
    kind: Kind = "agrees if told" if answer.switches and answer.kind == "agrees" else answer.kind
    why = earlier[0] if earlier else answer
    return replace(answer, kind=kind, error=why.error, reason=why.reason)


def _answers(reader: Reader, sample: Sample | None, path: Path, data_set: int | None) -> Iterator[Answer]:
    """Yield the answers of a reader, told nothing first and then one thing after the other."""
    several = (reader.several,) if reader.several and data_set else ()
    supplement = _supplement(sample, path) if sample is not None and (data_set or 1) == 1 else ""
    for switches in reader.ways:
        try:
            reading = reader.read(path, data_set, switches)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - another's reader may raise anything
            yield Answer(reader.name, "refuses", (), error_name(error), reader.reason(error))
            continue
        answer = Answer(reader.name, "reads", (*several, *switches),
                        events=reading.n_events, channels=len(reading.columns))  # fmt: skip
        if sample is not None:
            with _own():
                found = compare(Case(sample, reading, reader.name, data_set or 1, supplement))
            answer = replace(answer, kind="differs" if found else "agrees", differences=found)
        yield answer


def _supplement(sample: Sample, path: Path) -> str:
    """Return the bytes of a file's supplemental TEXT as capitals, to look for keywords in, as far as they are there."""
    begin, last = (whole(sample.keywords.get(key)) for key in ("$BEGINSTEXT", "$ENDSTEXT"))
    if begin is None or last is None or not 0 < begin < last:
        return ""
    end = min(last + 1, path.stat().st_size, begin + LARGEST_TEXT)
    with _own(), path.open("rb") as stream:
        stream.seek(begin)
        return stream.read(max(end - begin, 0)).decode("latin-1").upper()
