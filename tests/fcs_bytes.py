"""FCS files as bytes, joined by hand from the standard: nothing here knows our reader or writer."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

BYTE_ORDERS = {"little": "1,2,3,4", "big": "4,3,2,1"}

Offsets = tuple[int | str, int | str]


def parameter(name: str, bits: int = 32, span: float | str = 262144, **more: object) -> dict[str, object]:
    """Return the letters of one parameter's keywords: ``N B R E`` and, by keyword, any other."""
    return {"N": name, "B": bits, "R": span, "E": "0,0", **more}


def parameters(count: int, bits: int = 32, span: float | str = 262144) -> list[dict[str, object]]:
    return [parameter(f"C{number}-A", bits, span) for number in range(1, count + 1)]


def fcs_bytes(
    rows: Sequence[Sequence[float]],
    channels: Sequence[Mapping[str, Any]],
    *,
    datatype: str = "F",
    order: str = "little",
    version: str = "FCS3.1",
    delimiter: str = "/",
    keywords: Mapping[str, object | None] | None = None,
    more: Sequence[tuple[str, str]] = (),
    header: Offsets | None = None,
    stated: Offsets | None = None,
    supplement: str = "",
    analysis: bytes = b"",
    before: bytes = b"",
    gap: bytes = b"",
    behind: bytes = b"00000000",
    last_delimiter: bool = True,
    text_at: int = 58,
    encoding: str = "utf-8",
    late: int = 0,
) -> bytes:
    """Return one data set.

    Parameters
    ----------
    keywords : mapping
        Overrides; None leaves a keyword out.
    more : sequence of pairs
        Put behind the other keywords as they are, undoubled.
    header, stated : pair
        What HEADER and TEXT say of DATA instead of the truth.
    supplement : str
        A supplemental TEXT, put behind DATA.
    before, gap : bytes
        Put between HEADER and TEXT, and between TEXT and DATA.
    late : int
        Added to the end of DATA that is stated, in both places.
    """
    data = packed(rows, channels, datatype, order)
    extra = supplement.encode(encoding)

    def text(spots: Mapping[str, object]) -> bytes:
        words = {**_standard(len(rows), channels, datatype, order), **spots, **(keywords or {})}
        pairs = [(key, _doubled(value, delimiter)) for key, value in words.items() if value is not None]
        joined = delimiter.join(chain.from_iterable([*pairs, *more]))
        return (delimiter + joined + (delimiter if last_delimiter else "")).encode(encoding)

    has_offsets = version != "FCS2.0" or stated is not None
    text_at = max(text_at, 58 + len(before))
    length = len(text(_spots((0, 0), (0, 0), has_offsets)))
    begin = text_at + length + len(gap)
    end = begin + len(data)
    truth = (begin, end - 1 + late)
    extra_at = (end, end + len(extra) - 1) if extra else (0, 0)
    analysis_at = (end + len(extra), end + len(extra) + len(analysis) - 1) if analysis else (0, 0)
    offsets = (text_at, text_at + length - 1, *(header or truth), *analysis_at)
    head = version.encode() + b"    " + b"".join(str(offset).rjust(8)[-8:].encode() for offset in offsets)
    said = text(_spots(stated or truth, extra_at, has_offsets))
    assert len(said) == length, "the length of TEXT may not depend on its offsets"
    return (head + before).ljust(text_at) + said + gap + data + extra + analysis + behind


def _standard(
    total: int, channels: Sequence[Mapping[str, Any]], datatype: str, order: str
) -> dict[str, object]:
    words = {"$BEGINANALYSIS": 0, "$ENDANALYSIS": 0, "$NEXTDATA": 0, "$MODE": "L", "$DATATYPE": datatype}
    words |= {"$BYTEORD": BYTE_ORDERS[order], "$PAR": len(channels), "$TOT": total}
    for number, letters in enumerate(channels, 1):
        words |= {f"$P{number}{letter}": value for letter, value in letters.items()}
    return words


def _spots(events: Offsets, supplement: Offsets, has_offsets: bool) -> dict[str, object]:
    spots: dict[str, object] = {"$BEGINSTEXT": _wide(supplement[0]), "$ENDSTEXT": _wide(supplement[1])}
    if has_offsets:
        spots |= {"$BEGINDATA": _wide(events[0]), "$ENDDATA": _wide(events[1])}
    return spots


def packed(
    rows: Sequence[Sequence[float]], channels: Sequence[Mapping[str, Any]], datatype: str, order: str
) -> bytes:
    """Return DATA: events in rows, each value in its own width."""
    kinds = [(str(channel.get("DATATYPE", datatype)).strip(), channel.get("B", 32)) for channel in channels]
    return b"".join(
        _one(value, letter, bits, order)
        for row in rows
        for value, (letter, bits) in zip(row, kinds, strict=True)
    )


def _one(value: float, letter: str, bits: int, order: str) -> bytes:
    if letter == "I":
        return int(value).to_bytes(int(bits) // 8, order)  # type: ignore[arg-type]
    return struct.pack(("<" if order == "little" else ">") + {"F": "f", "D": "d"}[letter], value)


def _wide(value: int | str) -> str:
    return str(value).rjust(12)


def _doubled(value: object, delimiter: str) -> str:
    return str(value).replace(delimiter, delimiter * 2)
