"""One FCS file in, one `Sample` out: the order in which a file is read.

Everything that can be refused is found in HEADER and TEXT, before DATA is touched; `scan_fcs` stops there.
`read_fcs` then maps the events, copies none, and looks whether they are plausible.
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tregflow.errors import FileError, Finding, refuse
from tregflow.io.fcs.data_sets import Chain, DataSet, read_data_sets, supplemented
from tregflow.io.fcs.layout import Gain, Scaling, layout_findings, read_channels, read_layout
from tregflow.io.fcs.offsets import LARGEST_GAP, find_events
from tregflow.io.fcs.packed import is_packed, unpacked
from tregflow.io.fcs.plausible import odd_events
from tregflow.io.fcs.segments import VERSIONS, Span
from tregflow.io.fcs.spill import read_spillover, subtracted
from tregflow.io.fcs.text import whole
from tregflow.privacy import BLANKS
from tregflow.sample import Channel, Sample, Spillover


@dataclass(frozen=True, eq=False)
class Scan:
    """What HEADER and TEXT say about one data set, every check of the reader passed.

    Parameters
    ----------
    name : str
        The file's name, for messages.
    version : str
        As HEADER writes it, ``FCS3.1``.
    channels : tuple of Channel
        In file order.
    keywords : mapping of str to str
        TEXT, keys folded to upper case, ``$`` kept.
    spillover : Spillover or None
        From the file's keywords.
    n_events : int
        Events in DATA.
    record : dtype
        How one event is stored.
    data_offset, data_length : int
        Where the events are in the file, and their bytes.
    data_set, n_data_sets : int
        Which data set this is, counted from 1, and how many the file holds.
    findings : tuple of Finding
        What was repaired, guessed or odd.
    """

    name: str
    version: str
    channels: tuple[Channel, ...]
    keywords: Mapping[str, str]
    spillover: Spillover | None
    n_events: int
    record: np.dtype[Any]
    data_offset: int
    data_length: int
    data_set: int = 1
    n_data_sets: int = 1
    findings: tuple[Finding, ...] = ()


def read_fcs(
    path: str | os.PathLike[str],
    *,
    gain: Gain = "apply",
    log_on_floats: bool = False,
    data_set: int | None = None,
) -> Sample:
    """Read one FCS file: its events mapped, uncompensated and untransformed.

    Parameters
    ----------
    path : path
        An FCS 2.0, 3.0, 3.1 or 3.2 file in list mode, whatever its name.
    gain : {"apply", "ignore"}
        Whether amplifier gains (``$PnG``) are divided out on the way to scale values.
    log_on_floats : bool
        Whether a logarithmic ``$PnE`` is undone on floating-point channels too.
    data_set : int, optional
        Which data set to read, counted from 1; needed where the file holds several.

    Returns
    -------
    Sample

    Raises
    ------
    FileError
        If the file is missing, cut, contradicts itself or is stored in a way that is not read.
    """
    with _opened(path) as file:
        scan = _scanned(file, Scaling(gain, log_on_floats), data_set)
        records = _mapped(file.stream, scan)
    odd = tuple(finding.at(scan.name) for finding in odd_events(records, scan.channels))
    let_go = partial(_let_go, records)
    return Sample(
        scan.name,
        scan.channels,
        records,
        scan.keywords,
        scan.spillover,
        (*scan.findings, *odd),
        subtracted(scan.keywords),
        let_go,
    )


def scan_fcs(
    path: str | os.PathLike[str],
    *,
    gain: Gain = "apply",
    log_on_floats: bool = False,
    data_set: int | None = None,
) -> Scan:
    """Check one FCS file by its HEADER and TEXT, without its events.

    Parameters are those of `read_fcs`, and so are the refusals.
    """
    with _opened(path) as file:
        return _scanned(file, Scaling(gain, log_on_floats), data_set)


class _Opened(NamedTuple):
    """An open file: its name, what it says, and a note where that is packed in it."""

    name: str
    stream: IO[bytes]
    findings: tuple[Finding, ...] = ()


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[_Opened]:
    """Open a file; whatever is refused inside is said of its name."""
    path = Path(path)
    name = path.name
    try:
        _require_file(path)
        with path.open("rb") as stream, _plain(stream, name) as opened:
            yield opened
    except FileNotFoundError:
        raise refuse("E-MISSING", "there is no such file; check its name and folder", name) from None
    except OSError as problem:
        sentence = f"the system did not let the file be read: {problem.strerror}; check its permissions"
        raise refuse("E-UNREADABLE", sentence, name) from None
    except FileError as problem:
        raise problem.at(name) from None


@contextmanager
def _plain(stream: BinaryIO, name: str) -> Iterator[_Opened]:
    """Hold what a file says: itself, or what it packs."""
    if not is_packed(stream):
        yield _Opened(name, stream)
        return
    with unpacked(stream) as plain:
        sizes = f"{os.fstat(stream.fileno()).st_size:,} bytes hold {os.fstat(plain.fileno()).st_size:,}"
        yield _Opened(name, plain, (Finding("N-PACKED", f"the file is packed with gzip: {sizes}"),))


def _require_file(path: Path) -> None:
    """Refuse what can be opened and is no file: a folder, or a pipe that would be waited for."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a device or a pipe"
        raise refuse("E-UNREADABLE", f"this is {what}, not a file; name the FCS file itself")


def _scanned(file: _Opened, scaling: Scaling, number: int | None) -> Scan:
    chain = read_data_sets(file.stream)
    index = _choice(number, chain)
    chosen = supplemented(chain.sets[index])
    text = chosen.text
    layout = read_layout(text.keywords)
    channels = read_channels(text.keywords, layout.kinds, scaling)
    place = find_events(chosen, layout.record.itemsize, doubt=layout.doubt)
    length = place.n_events * layout.record.itemsize
    spillover, spill_findings = read_spillover(text.keywords)
    findings = (
        *file.findings,
        *chain.findings,
        *_container_findings(chosen, index + 1, len(chain.sets), place.begin + length),
        *text.findings,
        *layout_findings(text.keywords, layout, channels),
        *place.findings,
        *spill_findings,
    )
    return Scan(
        name=file.name,
        version=chosen.header.version,
        channels=channels,
        keywords=MappingProxyType(text.keywords),
        spillover=spillover,
        n_events=place.n_events,
        record=layout.record,
        data_offset=chosen.source.base + place.begin,
        data_length=length,
        data_set=index + 1,
        n_data_sets=len(chain.sets),
        findings=tuple(finding.at(file.name) for finding in findings),
    )


def _choice(data_set: int | None, chain: Chain) -> int:
    count = len(chain.sets)
    if data_set is None and chain.is_broken:
        said = f"{chain.findings[0].sentence}; if data set 1 is meant, name it as data_set in the sheet"
        raise refuse("E-DATASET", said)
    if data_set is None and count > 1:
        raise refuse(
            "E-DATASET", f"the file holds {count} data sets; name one as data_set 1 to {count} in the sheet"
        )
    if not 1 <= (data_set or 1) <= count or data_set == 0:
        held = "1 data set" if count == 1 else f"{count} data sets"
        raise refuse("E-DATASET", f"data_set {data_set} is asked for, but the file holds {held}")
    return (data_set or 1) - 1


def _container_findings(chosen: DataSet, number: int, count: int, end: int) -> Iterator[Finding]:
    if count > 1:
        yield Finding("N-DATASET", f"the file holds {count} data sets; data set {number} was read")
    if chosen.header.odd:
        yield Finding("N-OFFSETS", chosen.header.odd)
    if chosen.header.version != "FCS3.2" and not chosen.text.keywords.get("$MODE", "").strip(BLANKS):
        yield Finding("N-KEYWORD", "$MODE is missing; the events announced fill DATA, so they are a list")
    yield from _joined(chosen, end)


def _joined(chosen: DataSet, end: int) -> Iterator[Finding]:
    """Yield a flag where another FCS file begins behind this data set's last segment, unannounced."""
    end = max(end, chosen.analysis.end)
    tail = chosen.source.read(Span(end, end + LARGEST_GAP))
    places = [tail.find(version.encode() + b"    ") for version in VERSIONS]
    found = min((end + place for place in places if place >= 0), default=0)
    if found and found != whole(chosen.text.keywords.get("$NEXTDATA")):
        seen = f"another FCS file begins behind the events (byte {found}) and $NEXTDATA does not say so"
        yield Finding("F-JOINED", f"{seen}; were two files joined?")


def _mapped(stream: IO[bytes], scan: Scan) -> NDArray[Any]:
    if scan.n_events == 0:
        return np.empty(0, scan.record)
    try:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, scan.record, scan.n_events, scan.data_offset)
    except (OSError, ValueError) as problem:
        raise refuse("E-UNREADABLE", f"the events could not be mapped: {problem}") from None


def _let_go(records: NDArray[Any]) -> None:
    """Give the mapping's pages back to the system, where it takes such advice."""
    owner: Any = records
    while isinstance(owner, (np.ndarray, memoryview)):
        owner = owner.obj if isinstance(owner, memoryview) else owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)
