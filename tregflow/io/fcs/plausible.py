"""Whether events look like what a cytometer measures.

Keywords can be whole and the events still be wrong: the end of a file that was reserved and never
written is zeros, bytes read in the wrong order are numbers of any size, and integers beyond their range
were cut. None can be proved, so all are flags.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tregflow.errors import Finding
from tregflow.privacy import listed
from tregflow.sample import Channel, assembled

HUGE, TINY = 1e12, 1e-30
"""Magnitudes that no detector gives, but for 0."""

ALLOWED = 0.01
"""Share of a channel's values that may be so."""

STRETCH = 8192
"""Events that are looked at before all are."""

FEWEST = 8
"""Events from which on it can be told whether what is above a range repeats itself."""

CHANCE = 1e-6
"""How unlikely a run of zeros must be where events are zero throughout the file."""

PIECE = 2**22
"""Bytes of events that are copied at a time."""

BLOCKS, BLOCK = 64, 64
"""Events are looked at in so many stretches of so many, spread evenly: enough to see one in a hundred."""


def odd_events(records: NDArray[Any], channels: Sequence[Channel]) -> Iterator[Finding]:
    """Yield what speaks against the events of a file.

    Parameters
    ----------
    records : ndarray
        DATA as mapped; see `Sample`.
    channels : sequence of Channel
        In file order.

    Yields
    ------
    Finding
        ``F-ZEROS``, ``F-MAGNITUDE``, ``N-MASKED``.
    """
    if not len(records):
        return
    some = records[_spread(len(records))]
    yield from _zeros(records, some)
    yield from _sizes(_columns(some), channels)
    yield from _beyond(records, channels)


def _columns(records: NDArray[Any]) -> list[NDArray[Any]]:
    if records.dtype.names:
        return [assembled(records[name]) for name in records.dtype.names]
    return list(records.T)


def _zeros(records: NDArray[Any], some: NDArray[Any]) -> Iterator[Finding]:
    """Yield a flag where more events are zero at the end than chance puts there."""
    run = _zeros_at_end(records)
    share = float((~_filled(some)).mean()) if run < len(records) else 0.0
    share = max(0.0, share - run / len(records))
    if run and share**run < CHANCE:
        seen = f"the last {run:,} of {len(records):,} events are zero in every channel"
        yield Finding("F-ZEROS", f"{seen}; was the file written to its end?")


def _zeros_at_end(records: NDArray[Any]) -> int:
    """Return how many events at the end are all zero bits."""
    found, size, most = 0, 1, max(1, PIECE // records[:1].nbytes)
    while found < len(records):
        block = records[max(0, len(records) - found - size) : len(records) - found]
        filled = np.flatnonzero(_filled(block))
        if len(filled):
            return found + len(block) - 1 - int(filled[-1])
        found, size = found + len(block), min(size * 4, most)
    return found


def _filled(records: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which events hold a bit that is not 0."""
    raw = np.frombuffer(records.tobytes(), np.uint8).reshape(len(records), -1)
    return np.asarray(raw.any(axis=1))


def _spread(total: int) -> NDArray[np.intp]:
    """Return the events that are looked at; all of them where they are few."""
    if total <= BLOCKS * BLOCK:
        return np.arange(total)
    starts = np.linspace(0, total - BLOCK, BLOCKS).astype(np.intp)
    return np.unique(starts[:, None] + np.arange(BLOCK))


def _sizes(columns: Sequence[NDArray[Any]], channels: Sequence[Channel]) -> Iterator[Finding]:
    shares = {
        channel.name: _absurd(column, math.inf if channel.is_time else HUGE)
        for column, channel in zip(columns, channels, strict=True)
        if column.dtype.kind == "f"
    }
    names = [name for name, share in shares.items() if share > ALLOWED]
    if names:
        worst = f"{100 * max(shares.values()):.0f} %"
        seen = f"up to {worst} of the values of {listed(names)} are beyond 1e12 or nearer to 0 than 1e-30"
        yield Finding("F-MAGNITUDE", f"{seen}; is the byte order wrong?")


def _absurd(column: NDArray[Any], most: float) -> float:
    """Return the share of values that are larger than `most`, or smaller than anything measured but 0."""
    with np.errstate(invalid="ignore"):  # a signalling NaN may be compared
        size = np.abs(column.astype(np.float64))
        odd = ((size > most) & np.isfinite(size)) | ((size > 0) & (size < TINY))
    return float(odd.mean())


def _beyond(records: NDArray[Any], channels: Sequence[Channel]) -> Iterator[Finding]:
    """Yield what integers beyond their ranges mean.

    Cytometers that use the bits above a range put a tag or a counter there, which repeats itself, and
    time may run beyond its range; other values that were cut (a wrong ``$PnR``, ``$PnB``, type or byte
    order, a sign) do not repeat. Every event is looked at: a few of the brightest are enough to be wrong.
    """
    above = {
        place: bits
        for place, column in _masked(records, channels)
        if (bits := _above(column, channels[place])).any()
    }
    if not above:
        return
    share = max(float((bits != 0).mean()) for bits in above.values())
    seen = f"integers exceed their $PnR in up to {100 * share:.3g} % of the {len(records):,} events"
    cut = [channels[place].name for place, bits in above.items() if _is_cut(bits, channels[place])]
    if cut:
        said = f"{seen}; what is above it in {listed(cut)} is neither a tag nor a counter"
        yield Finding("F-MAGNITUDE", f"{said}: is $PnR, $PnB, $DATATYPE or $BYTEORD wrong?")
    else:
        names = listed([channels[place].name for place in above])
        yield Finding("N-MASKED", f"{seen} ({names}); the bits above the range were left out")


def _masked(records: NDArray[Any], channels: Sequence[Channel]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield the columns of integers in which a bit above the range is set, with their places."""
    masks = {place: channel.mask for place, channel in enumerate(channels) if channel.mask is not None}
    if not masks:
        return
    columns = _columns(records)
    for place, highest in _highest(records, columns, masks):
        if int(highest) > masks[place]:
            yield place, columns[place]


def _highest(
    records: NDArray[Any], columns: Sequence[NDArray[Any]], places: Iterable[int]
) -> Iterator[tuple[int, Any]]:
    """Yield every bit that is set anywhere in some columns; one pass over all where they are of one type."""
    if records.dtype.names is None:
        together = np.bitwise_or.reduce(records, axis=0, dtype=_native(records))
        yield from ((place, together[place]) for place in places)
    else:
        yield from (
            (place, np.bitwise_or.reduce(columns[place], dtype=_native(columns[place]))) for place in places
        )


def _native(column: NDArray[Any]) -> np.dtype[Any]:
    return column.dtype.newbyteorder("=")


def _above(column: NDArray[Any], channel: Channel) -> NDArray[Any]:
    """Return the bits of stored integers above their channel's range."""
    stored: NDArray[Any] = column.astype(_native(column))
    above: NDArray[Any] = stored - channel.masked(stored)
    return above


def _is_cut(bits: NDArray[Any], channel: Channel) -> bool:
    """Whether bits above a range are what was cut off values, rather than a tag, a counter or time."""
    if channel.is_time or len(bits) < FEWEST:
        return False
    everything = np.iinfo(bits.dtype).max - (channel.mask or 0)
    return bool((bits == everything).all()) or not _repeats(bits)


def _repeats(bits: NDArray[Any]) -> bool:
    """Whether values repeat with a period that is a power of two; the first of them tell mostly."""
    if len(bits) > STRETCH and not _repeats(bits[:STRETCH]):
        return False
    periods = [2**power for power in range(13) if 2 ** (power + 1) <= len(bits)]
    return any(np.array_equal(bits[period:], bits[:-period]) for period in periods)
