"""Writing one data set as an FCS 3.1 file.

The type of the columns decides how they are stored: floats of 32 or 64 bits, or unsigned integers
of 8 to 64 bits, which may differ from channel to channel. Events are little-endian and linear
(``$PnE`` 0,0). Nothing comes from the clock: the same values and keywords give the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tregflow.errors import Finding, OutputError

HEADER = 58
"""Bytes of the HEADER segment: version, four blanks, six offsets of eight characters."""

LARGEST = 99_999_999
"""The largest offset that HEADER has room for (FCS 3.1, HEADER)."""

CRC = b"0" * 8
"""What follows the last segment where no checksum was computed (FCS 3.1, CRC)."""

BLOCK = 65_536
"""Events written at a time."""


def write_fcs(
    path: str | os.PathLike[str],
    names: Sequence[str],
    columns: Sequence[NDArray[Any]],
    *,
    stains: Sequence[str] = (),
    ranges: Sequence[int] = (),
    spillover: tuple[Sequence[str], NDArray[Any]] | None = None,
    keywords: Mapping[str, str] | None = None,
    version: str = "FCS3.1",
    delimiter: str = "/",
) -> None:
    """Write events to an FCS file, whole or not at all.

    Parameters
    ----------
    path : path
        Replaced if it exists.
    names : sequence of str, length n_channels
        ``$PnN``: unique, without commas.
    columns : sequence of ndarray, shape (n_events,) each
        All of one float type, or all of unsigned integer types; stored as they are.
    stains : sequence of str, optional
        ``$PnS``, in the order of `names`; empty where there is none.
    ranges : sequence of int, optional
        ``$PnR``; 262144 for floats and the whole range of their type for integers unless given.
    spillover : (sequence of str, ndarray of shape (n_detectors, n_detectors)), optional
        Detectors and matrix for ``$SPILLOVER``, rows fluorochromes.
    keywords : mapping of str to str, optional
        Further keywords, such as ``$CYT``, ``$DATE``, ``$TIMESTEP`` or ``$P1V``; empty values are
        left out. They cannot replace the keywords that say where and how the events are stored.
    version : str, default "FCS3.1"
        First six characters of the file.
    delimiter : str, default "/"
        Doubled where it stands in a value.

    Raises
    ------
    OutputError
        If the file cannot be written; what was at `path` is then untouched.
    ValueError
        If the arguments do not describe one data set.
    """
    _require_one_data_set(names, columns, stains, ranges)
    layout = np.dtype([(f"{place}", column.dtype.newbyteorder("<")) for place, column in enumerate(columns)])
    events = len(columns[0])
    described = dict(keywords or {})
    described |= _channels(names, stains, ranges or [_range(column.dtype) for column in columns], layout)
    described |= _storage(layout, events, len(names))
    if spillover is not None:
        described["$SPILLOVER"] = _spillover(*spillover, names)
    header = _header_and_text(version, described, delimiter, events * layout.itemsize)
    _replace(Path(path), chain([header], _records(columns, layout), [CRC]))


def _require_one_data_set(
    names: Sequence[str], columns: Sequence[NDArray[Any]], stains: Sequence[str], ranges: Sequence[int]
) -> None:
    if len({len(columns), len(names), len(stains or names), len(ranges or names)}) > 1 or not columns:
        raise ValueError("names, columns, stains and ranges must be of one length, at least 1")
    if len(set(names)) < len(names) or any("," in name or not name for name in names):
        raise ValueError(f"$PnN must be unique, not empty and without commas: {', '.join(names)}")
    if len({column.shape for column in columns}) > 1 or columns[0].ndim != 1:
        raise ValueError("columns must have one dimension and one length")
    types = sorted({column.dtype.str[1:] for column in columns})
    if types not in (["f4"], ["f8"]) and any(kind[0] != "u" for kind in types):
        raise ValueError(f"columns must share one float type or all be unsigned: {', '.join(types)}")


def _range(kind: np.dtype[Any]) -> int:
    return 262_144 if kind.kind == "f" else int(np.iinfo(kind).max) + 1


def _channels(
    names: Sequence[str], stains: Sequence[str], ranges: Sequence[int], layout: np.dtype[Any]
) -> dict[str, str]:
    keywords = {}
    for place, name in enumerate(names):
        number = place + 1
        keywords[f"$P{number}N"] = name
        keywords[f"$P{number}S"] = stains[place] if stains else ""
        keywords[f"$P{number}B"] = str(8 * layout[place].itemsize)
        keywords[f"$P{number}E"] = "0,0"
        keywords[f"$P{number}R"] = str(ranges[place])
    return keywords


def _storage(layout: np.dtype[Any], events: int, channels: int) -> dict[str, str]:
    return {
        "$BYTEORD": "1,2,3,4",
        "$DATATYPE": {"f4": "F", "f8": "D"}.get(layout[0].str[1:], "I"),
        "$MODE": "L",
        "$PAR": str(channels),
        "$TOT": str(events),
        "$NEXTDATA": "0",
        **dict.fromkeys(("$BEGINANALYSIS", "$ENDANALYSIS", "$BEGINSTEXT", "$ENDSTEXT"), "0"),
    }


def _spillover(detectors: Sequence[str], matrix: NDArray[Any], names: Sequence[str]) -> str:
    """Return the value of ``$SPILLOVER``: count, names, then the matrix row by row."""
    if matrix.shape != (len(detectors), len(detectors)) or not set(detectors) <= set(names):
        raise ValueError("the spillover matrix must be square and name channels of the file")
    return ",".join([str(len(detectors)), *detectors, *(f"{float(share):.12g}" for share in matrix.ravel())])


def _header_and_text(version: str, keywords: Mapping[str, str], delimiter: str, size: int) -> bytes:
    begin = 0
    while True:  # the offsets of DATA stand in TEXT, whose length is the offset: grows until it fits
        offsets = {"$BEGINDATA": str(begin), "$ENDDATA": str(begin + size - 1)}
        text = _text({**keywords, **offsets}, delimiter)
        if HEADER + len(text) == begin:
            break
        begin = HEADER + len(text)
    end = begin + size - 1
    data = (begin, end) if begin <= end <= LARGEST else (0, 0)
    places = "".join(f"{offset:8d}" for offset in (HEADER, begin - 1, *data, 0, 0))
    return f"{version:6s}    {places}".encode("ascii") + text


def _text(keywords: Mapping[str, str], delimiter: str) -> bytes:
    parts = [""]
    for key, value in keywords.items():
        if value.startswith(delimiter):
            raise ValueError(f"the value of {key} begins with the delimiter {delimiter}")
        if value:
            parts += [key.replace(delimiter, 2 * delimiter), value.replace(delimiter, 2 * delimiter)]
    return delimiter.join([*parts, ""]).encode("utf-8")


def _records(columns: Sequence[NDArray[Any]], layout: np.dtype[Any]) -> Iterator[bytes]:
    for start in range(0, len(columns[0]), BLOCK):
        block = [column[start : start + BLOCK] for column in columns]
        records = np.empty(len(block[0]), layout)
        for field, values in zip(layout.names or (), block, strict=True):
            records[field] = values
        yield records.tobytes()


def _replace(path: Path, pieces: Iterable[bytes]) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise OutputError(Finding("E-WRITE", f"{error.strerror}; nothing was written", str(path))) from error
    finally:
        part.unlink(missing_ok=True)
