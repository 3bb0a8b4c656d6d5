"""Whether events look like what a cytometer measures.

Keywords can be whole and the events still be wrong: the end of a file that was reserved and never
written is zeros, and bytes read in the wrong order are numbers of any size. Neither can be proved, so
both are flags. On 1,168 public files neither raises a false alarm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
"""Events at the beginning in which bits above a range must repeat themselves."""

FEWEST = 8
"""Events from which on that can be told."""

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
    if zeros := _zeros_at_end(records):
        seen = f"the last {zeros:,} of {len(records):,} events are zero in every channel"
        yield Finding("F-ZEROS", f"{seen}; was the file written to its end?")
    some = records[_spread(len(records))]
    yield from _sizes(_columns(some), channels)
    first = _columns(records[:STRETCH])
    yield from _beyond(_columns(some), first, channels, len(records))


def _columns(records: NDArray[Any]) -> list[NDArray[Any]]:
    if records.dtype.names:
        return [assembled(records[name]) for name in records.dtype.names]
    return list(records.T)


def _zeros_at_end(records: NDArray[Any]) -> int:
    """Return how many events at the end are all zero bits."""
    found, size = 0, 1
    while found < len(records):
        block = records[max(0, len(records) - found - size) : len(records) - found]
        filled = np.flatnonzero(np.frombuffer(block.tobytes(), np.uint8).reshape(len(block), -1).any(axis=1))
        if len(filled):
            return found + len(block) - 1 - int(filled[-1])
        found, size = found + len(block), min(size * 4, 65_536)
    return found


def _spread(total: int) -> NDArray[np.intp]:
    """Return the events that are looked at; all of them where they are few."""
    if total <= BLOCKS * BLOCK:
        return np.arange(total)
    starts = np.linspace(0, total - BLOCK, BLOCKS).astype(np.intp)
    return np.unique(starts[:, None] + np.arange(BLOCK))


def _sizes(columns: Sequence[NDArray[Any]], channels: Sequence[Channel]) -> Iterator[Finding]:
    shares = [_absurd(column) if column.dtype.kind == "f" else 0.0 for column in columns]
    names = [channel.name for channel, share in zip(channels, shares, strict=True) if share > ALLOWED]
    if names:
        worst = f"{100 * max(shares):.0f} %"
        seen = f"up to {worst} of the values of {listed(names)} are beyond 1e12 or nearer to 0 than 1e-30"
        yield Finding("F-MAGNITUDE", f"{seen}; is the byte order wrong?")


def _absurd(column: NDArray[Any]) -> float:
    with np.errstate(invalid="ignore"):  # a signalling NaN may be compared
        size = np.abs(column.astype(np.float64))
        odd = ((size > HUGE) & np.isfinite(size)) | ((size > 0) & (size < TINY))
    return float(odd.mean())


def _beyond(
    columns: Sequence[NDArray[Any]],
    first: Sequence[NDArray[Any]],
    channels: Sequence[Channel],
    total: int,
) -> Iterator[Finding]:
    """Yield what integers beyond their ranges mean.

    Cytometers that use the bits above a range put a tag or a counter there, which repeats itself;
    values that were cut (a wrong ``$PnR``, ``$PnB``, type or byte order) do not.
    """
    looked = len(columns[0])
    places = [place for place, channel in enumerate(channels) if channel.mask is not None]
    shares = {place: float((columns[place] > channels[place].mask).mean()) for place in places}
    cut = [channels[place].name for place in places if not _repeats(_above(first[place], channels[place]))]
    of = f"{total:,} events" if looked == total else f"{looked:,} events looked at"
    seen = f"integers exceed their $PnR in up to {100 * max(shares.values(), default=0):.3g} % of the {of}"
    if cut:
        said = f"{seen}; what is above it in {listed(cut)} is neither a tag nor a counter"
        yield Finding("F-MAGNITUDE", f"{said}: is $PnR, $PnB, $DATATYPE or $BYTEORD wrong?")
    elif any(shares.values()):
        beyond = listed([channels[place].name for place, share in shares.items() if share])
        yield Finding("N-MASKED", f"{seen} ({beyond}); the bits above the range were left out")


def _above(column: NDArray[Any], channel: Channel) -> NDArray[Any]:
    """Return the bits of stored integers above their channel's range."""
    stored: NDArray[Any] = column.astype(column.dtype.newbyteorder("="))
    above: NDArray[Any] = stored - channel.masked(stored)
    return above


def _repeats(bits: NDArray[Any]) -> bool:
    """Whether values repeat with a period that is a power of two, or are too few to tell."""
    if len(bits) < FEWEST or not bits.any():
        return True
    periods = [2**power for power in range(len(bits).bit_length()) if 2 ** (power + 1) <= len(bits)]
    return any(np.array_equal(bits[period:], bits[:-period]) for period in periods)
