"""The other readers: FlowIO, which FlowKit reads with, and fcsparser.

Each gives what it makes of one data set, stored values and TEXT as its users get them; nothing of
theirs is mended here. Both mask integers by ``$PnR`` and neither reads a supplemental TEXT. FlowIO
takes every ``$`` out of TEXT, keywords and values alike, and knows keywords in lower case; that FlowKit
turns ``/`` in names into ``_`` is FlowKit's, not FlowIO's. fcsparser looks for DATA where HEADER says and
for keywords in capitals. Their messages may quote a file and are never shown: `Reader.reason` puts those
that are known in words of ours.
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from tregflow.io.fcs import packed
from tregflow.privacy import is_kept

SPILLS = frozenset({"$SPILLOVER", "SPILL", "$SPILL", "SPILLOVER", "$COMP", "COMP"})
"""Keywords that hold a matrix; FlowIO's have lost their ``$``."""

SEVERAL = "read_multiple_data_sets"
"""What FlowIO must be told to read a file of several data sets at all."""

OFFSET_SWITCHES = (
    (),
    ("ignore_offset_error",),
    ("ignore_offset_discrepancy",),
    ("use_header_offsets",),
    ("ignore_offset_error", "ignore_offset_discrepancy"),
    ("ignore_offset_error", "use_header_offsets"),
)
"""What FlowIO can be told to overlook, the least first."""


class NoEventsError(Exception):
    """A reader gave back nothing and said so only in a warning."""


@dataclass(frozen=True, eq=False, slots=True)
class Reading:
    """What another reader makes of one data set.

    Parameters
    ----------
    columns : tuple of ndarray
        Stored values, one array per channel, in file order.
    names, stains : tuple of str or None
        ``$PnN`` and ``$PnS`` of every channel; None where its TEXT has no such keyword.
    spillover : mapping of str to str
        Matrices as written, by keyword in capitals.
    """

    columns: tuple[NDArray[Any], ...]
    names: tuple[str | None, ...]
    stains: tuple[str | None, ...]
    spillover: Mapping[str, str]

    @property
    def n_events(self) -> int:
        """Events of the data set."""
        return len(self.columns[0]) if self.columns else 0


class Reason(NamedTuple):
    """What an error of another reader means: its class and a sign in its message, as patterns, and words of ours."""

    kind: str
    sign: str
    told: str


@dataclass(frozen=True, slots=True)
class Reader:
    """Another reader.

    Parameters
    ----------
    name : str
        What people call it.
    read : callable
        ``(path, data_set, switches) -> Reading``; the data set counted from 1, None where the file
        holds one. Raises whatever the reader raises.
    ways : tuple of tuple of str
        Switches to try, one set after the other.
    several : str
        What it must be told as well for a file of several data sets.
    reasons : tuple of Reason
        What its errors mean.
    """

    name: str
    read: Callable[[Path, int | None, Sequence[str]], Reading]
    ways: tuple[tuple[str, ...], ...] = ((),)
    several: str = ""
    reasons: tuple[Reason, ...] = ()

    @property
    def version(self) -> str:
        """The version that is installed; empty where none is."""
        try:
            return version(self.name)
        except PackageNotFoundError:
            return ""

    def reason(self, error: BaseException) -> str:
        """Return what an error of this reader means, in words that quote no file; empty where it is not known."""
        if isinstance(error, KeyError):
            return _sought(error)
        kind, message = type(error).__name__, str(error)
        found = (
            one.told for one in self.reasons if re.fullmatch(one.kind, kind) and re.search(one.sign, message)
        )
        return next(found, "")


def _sought(error: KeyError) -> str:
    """Return which keyword was not found; only keywords whose values may be shown are named."""
    key = "$" + str(error.args[0]).strip("$").upper() if error.args else ""
    return f"it does not find {key}" if is_kept(key) else "it does not find a keyword"


def error_name(error: BaseException) -> str:
    """Return the name of an error's class, such as ``KeyError`` or ``struct.error``."""
    kind = type(error)
    return kind.__name__ if kind.__name__ != "error" else f"{kind.__module__}.error"


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Give a file that any reader can read: itself, or what a gzip file holds, until the block ends.

    Raises
    ------
    FileError
        ``E-PACKED``: it is damaged, or unpacks to more than tregflow believes.
    """
    with path.open("rb") as stream:
        if not packed.is_packed(stream):
            yield path
            return
        with tempfile.TemporaryDirectory() as folder:
            named = Path(folder) / "unpacked.fcs"  # the others open files by their names
            with packed.unpacked(stream) as plain, named.open("xb") as file:
                plain.seek(0)
                shutil.copyfileobj(plain, file)
            yield named


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what a reader warns of to itself: it may quote the file."""
    earlier = logging.root.manager.disable
    logging.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(earlier)


def read_flowio(path: Path, data_set: int | None, switches: Sequence[str]) -> Reading:
    """Return what FlowIO makes of a data set.

    Parameters
    ----------
    path : Path
        The file.
    data_set : int or None
        Counted from 1; None where the file holds one.
    switches : sequence of str
        Of `OFFSET_SWITCHES`.
    """
    told = dict.fromkeys(switches, True)
    with _quiet():
        from flowio import FlowData, read_multiple_data_sets

        if data_set:
            found = read_multiple_data_sets(str(path), **told)[data_set - 1]
        else:
            with path.open("rb") as stream:  # its own handle stays open behind an error
                found = FlowData(stream, **told)
        if found.events is None:
            raise NoEventsError
        values = found.as_array(preprocess=False)
    numbers = range(1, found.channel_count + 1)
    return Reading(
        columns=tuple(values.T),
        names=tuple(found.text.get(f"p{number}n") for number in numbers),
        stains=tuple(found.text.get(f"p{number}s") for number in numbers),
        spillover=_spillovers(found.text),
    )


def read_fcsparser(path: Path, data_set: int | None, _: Sequence[str]) -> Reading:
    """Return what fcsparser makes of a data set.

    Parameters
    ----------
    path : Path
        The file.
    data_set : int or None
        Counted from 1; None where the file holds one.
    """
    with _quiet():
        from fcsparser.api import FCSParser

        found = FCSParser(str(path), channel_naming="$PnN", data_set=(data_set or 1) - 1)
    values, text = found.data, found.annotation
    columns = [values[name] for name in values.dtype.names] if values.dtype.names else values.T
    numbers = range(1, text["$PAR"] + 1)
    return Reading(
        columns=tuple(columns),
        names=tuple(text.get(f"$P{number}N") for number in numbers),
        stains=tuple(text.get(f"$P{number}S") for number in numbers),
        spillover=_spillovers(text),
    )


def _spillovers(text: Mapping[str, Any]) -> dict[str, str]:
    items: Iterable[tuple[str, Any]] = text.items()
    return {key.strip().upper(): str(value) for key, value in items if key.strip().upper() in SPILLS}


NUMBER = Reason(
    "ValueError", "literal for int|could not convert", "a number that it needs is not written as one"
)
WHOLE = Reason(
    "ValueError", "reshape|buffer size", "the bytes it takes for DATA are no whole number of events"
)
ABSENT = Reason("ModuleNotFoundError", "", "it is not installed")

FLOWIO = Reader(
    "FlowIO",
    read_flowio,
    OFFSET_SWITCHES,
    SEVERAL,
    (
        NUMBER,
        WHOLE,
        ABSENT,
        Reason("FCSParsingError", "off by 1", "DATA ends one byte too high"),
        Reason("FCSParsingError", "greater than file size", "DATA ends behind the end of the file"),
        Reason("FCSParsingError", "Unable to determine", "DATA is no whole number of values"),
        Reason("FCSParsingError", "bit size", "it reads integers of 8, 16 and 32 bits only"),
        Reason("NoEventsError", "", "it reads integers of 8, 16 and 32 bits only"),
        Reason("DataOffsetDiscrepancyError", "", "HEADER and TEXT differ about where DATA is"),
        Reason("MultipleDataSetsError", "", "$NEXTDATA says that there are several data sets"),
        Reason("NotImplementedError", "", "it reads lists of events only"),
        Reason("EOFError", "", "the file ends before DATA does"),
        Reason("error", "char in struct format", "it does not know this $DATATYPE"),
        Reason("error|PatternError", "", "it cannot split TEXT at this delimiter"),
        Reason("OverflowError", "", "a $PnR is larger than its integers can be"),
    ),
)
"""FlowKit's reader."""

FCSPARSER = Reader(
    "fcsparser",
    read_fcsparser,
    reasons=(
        NUMBER,
        WHOLE,
        ABSENT,
        Reason("AttributeError", "newbyteorder", "it cannot read big-endian files under numpy 2"),
        Reason("ParserFeatureNotImplementedError", "^Mode", "it reads lists of events only"),
        Reason("ParserFeatureNotImplementedError", "BYTEORD|byte order", "it does not know this $BYTEORD"),
        Reason("ParserFeatureNotImplementedError", "DATATYPE", "it does not know this $DATATYPE"),
        Reason("ValueError", "Part of the data segment", "DATA begins behind the end of the file"),
        Reason("ValueError", "Parser cannot locate", "HEADER does not say where TEXT is"),
        Reason("ValueError", "larger than file size", "TEXT ends behind the end of the file"),
        Reason("ValueError", "replace all names|duplicate", "two channels have the same name"),
        Reason("IndexError", "", "it takes no byte for TEXT"),
    ),
)
"""The reader of the package fcsparser."""

READERS = (FLOWIO, FCSPARSER)
"""The readers that `tregflow verify` asks, in order."""
