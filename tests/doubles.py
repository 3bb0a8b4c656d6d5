"""Readers that come to grief, where another process finds them."""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tregflow.io.confined import Call, Plan, run
from tregflow.io.readers import FLOWIO, Reader, Reading

NAME = "Zebediah Quux"
"""Nobody; and nowhere to be seen."""

Switches = Sequence[str]


def honest(path: Path, data_set: int | None, switches: Switches) -> Reading:
    return FLOWIO.read(path, data_set, switches)


def hanging(*_: object) -> Reading:
    time.sleep(600)
    raise AssertionError


def hanging_at_one(path: Path, data_set: int | None, switches: Switches) -> Reading:
    return hanging() if path.stem == "one" else honest(path, data_set, switches)


def greedy_at_one(path: Path, data_set: int | None, switches: Switches) -> Reading:
    """Ask for 8 GiB, which most machines promise and few have."""
    held = np.zeros(2**30) if path.stem == "one" else np.zeros(1)
    return honest(path, data_set, switches) if len(held) == 1 else hanging()


def dying_at_one(path: Path, data_set: int | None, switches: Switches) -> Reading:
    if path.stem == "one":
        os.kill(os.getpid(), signal.SIGKILL)
    return honest(path, data_set, switches)


def lying(path: Path, data_set: int | None, switches: Switches) -> Reading:
    """Be wrong about one value."""
    reading = honest(path, data_set, switches)
    columns = [column.copy() for column in reading.columns]
    columns[1][2] += 1
    return replace(reading, columns=tuple(columns))


def writing(path: Path, data_set: int | None, switches: Switches) -> Reading:
    """Read a file that somebody is still writing."""
    reading = honest(path, data_set, switches)
    with path.open("ab") as file:
        file.write(b"more")
    return reading


def talking(*_: object) -> Reading:
    """Say aloud what must not be said, in every way there is."""
    sys.stdout.write(NAME)
    sys.stderr.write(NAME)
    warnings.warn(NAME, stacklevel=1)
    raise ValueError(f"invalid literal for int() with base 10: {NAME!r}", NAME)


def empty_handed(*_: object) -> Reading:
    """Return what nothing can be compared with: a fault of the adapter."""
    return Reading(None, (), (), {})  # type: ignore[arg-type]


def reader(read, name: str = "Double") -> Reader:
    return Reader(name, read)


# ------------------------------------------------------------------- calls of any kind


def answered(word: str) -> str:
    return word


def slow(seconds: float) -> str:
    time.sleep(seconds)
    return "slow"


def greedy(size: int) -> int:
    return len(np.zeros(size // 8))


def deadly() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def faulty() -> None:
    raise KeyError(NAME)


def process() -> int:
    return os.getpid()


def quiet() -> str:
    sys.stdout.write(NAME)
    sys.stderr.write(NAME)
    return "quiet"


def reporting(note: Path) -> None:
    """Leave the number of this process in a file, whole, and hang."""
    part = note.with_suffix(".part")
    part.write_text(str(os.getpid()))
    part.replace(note)
    time.sleep(600)


def _reported(note: Path) -> Plan[None]:
    yield Call(reporting, (note,), 600, 2**30)


if __name__ == "__main__":
    list(run([_reported(Path(sys.argv[1]))], 1))
