"""What each reader made of a file, in words, as a document and as an exit status."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from tregflow.errors import Finding
from tregflow.verify.differences import Difference

SCHEMA = 1
"""Of the document."""

Kind = Literal["agrees", "agrees if told", "differs", "refuses", "gave up", "reads", "fault"]
State = Literal["confirmed", "differs", "unconfirmed", "refused"]

STATES: tuple[State, ...] = ("confirmed", "differs", "unconfirmed", "refused")


@dataclass(frozen=True, slots=True)
class Answer:
    """What another reader made of one data set.

    Parameters
    ----------
    reader : str
        Its name.
    kind : str
        ``agrees``; ``agrees if told`` to overlook something; ``differs``; ``refuses``; ``gave up``;
        ``reads``, where tregflow refuses the file; or ``fault``, of tregflow's own in comparing them.
    switches : tuple of str
        What it was told.
    error : str
        The class of the error with which it refused, at first or altogether.
    reason : str
        What that means, where it is known; or why it gave up.
    events, channels : int
        What it read.
    differences : tuple of Difference
        From tregflow's reader.
    """

    reader: str
    kind: Kind
    switches: tuple[str, ...] = ()
    error: str = ""
    reason: str = ""
    events: int = 0
    channels: int = 0
    differences: tuple[Difference, ...] = ()

    @property
    def findings(self) -> Iterator[Finding]:
        """What there is to say of a file that tregflow reads."""
        for difference in self.differences:
            yield Finding("F-DIFFER", difference.sentence(self.reader))
        if self.kind in ("agrees if told", "refuses", "gave up"):
            yield Finding("N-READER", self.told)
        if self.kind == "fault":
            yield Finding("E-INTERNAL", self.told)

    @property
    def told(self) -> str:
        """The answer as a sentence."""
        return f"{self.reader} {self._verb()}"

    def _verb(self) -> str:
        refusal = f"refuses it ({self.error})" + (f": {self.reason}" if self.reason else "")
        switches = f" if told {' and '.join(self.switches)}" if self.switches else ""
        verbs: dict[Kind, str] = {
            "agrees": "agrees",
            "agrees if told": f"agrees{switches}" + (f"; untold it {refusal}" if self.error else ""),
            "differs": f"differs{switches}",
            "refuses": refusal,
            "gave up": self.reason,
            "fault": self.reason,
            "reads": f"reads {self.events:,} events of {self.channels} channels{switches}",
        }
        return verbs[self.kind]


@dataclass(frozen=True, slots=True)
class Verified:
    """One data set of one file, and what every reader made of it.

    Parameters
    ----------
    file : str
        As it was named.
    data_set : int or None
        Counted from 1; None where the file holds one.
    events, channels : int
        What tregflow reads.
    refusals : tuple of Finding
        Why tregflow does not.
    answers : tuple of Answer
        One per other reader, in their order; none where there is nothing to read.
    """

    file: str
    data_set: int | None = None
    events: int = 0
    channels: int = 0
    refusals: tuple[Finding, ...] = ()
    answers: tuple[Answer, ...] = ()

    @property
    def state(self) -> State:
        """``refused`` by tregflow, ``differs`` from a reader, ``confirmed`` by one, or ``unconfirmed``."""
        kinds = {answer.kind for answer in self.answers}
        if self.refusals:
            return "refused"
        if "differs" in kinds:
            return "differs"
        return "confirmed" if kinds & {"agrees", "agrees if told"} else "unconfirmed"

    @property
    def is_our_fault(self) -> bool:
        """Whether tregflow failed, in reading it or in comparing what others read."""
        faults = (*self.refusals, *(finding for answer in self.answers for finding in answer.findings))
        return any(finding.code == "E-INTERNAL" for finding in faults)

    @property
    def label(self) -> str:
        """The file, and which of its data sets."""
        return f"{self.file} (data set {self.data_set})" if self.data_set else self.file

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything there is to say of it."""
        if not self.refusals:
            return tuple(finding for answer in self.answers for finding in answer.findings)
        others = "; ".join(answer.told for answer in self.answers)
        beside = f". There is nothing to compare; {others}" if others else ""
        return tuple(replace(one, sentence=one.sentence + beside, where="") for one in self.refusals)


def status(found: Sequence[Verified]) -> int:
    """Return the exit status: 3 a fault of ours, 1 something not confirmed, 0 all well."""
    if any(one.is_our_fault for one in found):
        return 3
    return 0 if all(one.state == "confirmed" for one in found) else 1


def document(found: Sequence[Verified], versions: dict[str, str]) -> dict[str, Any]:
    """Return everything that was found, for machines.

    Parameters
    ----------
    found : sequence of Verified
        By file and data set.
    versions : dict of str to str
        Version of each other reader, by its name.

    Returns
    -------
    dict
        Values of JSON; a number that is not finite is its name.
    """
    states = [one.state for one in found]
    return {
        "schema": SCHEMA,
        "readers": versions,
        "summary": {state: states.count(state) for state in STATES},
        "files": [_file(one) for one in found],
    }


def _file(one: Verified) -> dict[str, Any]:
    return {
        "file": one.file,
        "data_set": one.data_set,
        "state": one.state,
        "events": one.events,
        "channels": one.channels,
        "findings": [{"code": finding.code, "sentence": finding.sentence} for finding in one.findings],
        "answers": [_answer(answer) for answer in one.answers],
    }


def _answer(answer: Answer) -> dict[str, Any]:
    differences = [{key: _plain(value) for key, value in asdict(one).items()} for one in answer.differences]
    return {**asdict(answer), "switches": list(answer.switches), "differences": differences}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
