"""Sample: one file's channels and its events, read-only.

The events stay where the reader mapped them. A column is taken out, masked and brought to scale
only when it is asked for, and only in the rows asked for.

What gates see is defined here and nowhere else. *Stored* values are the file's, with integers
masked to the range of their channel. *Scale* values are what the detector measured: a logarithmic
amplifier undone, the gain divided out. Nothing is ever clipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tregflow.errors import Finding

Values = NDArray[np.float64]
Rows = NDArray[np.intp]

BLOCK = 16_384
"""Rows taken at a time when columns are lifted out of records: what fits a cache."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One parameter of a file.

    Parameters
    ----------
    name, stain : str
        ``$PnN`` and ``$PnS``; a missing stain is empty.
    range : float
        ``$PnR``, in stored units; NaN where the file has none.
    mask : int or None
        Bits to keep of an integer; None keeps all, and floats.
    decades, offset : float
        ``$PnE`` as it is applied: a stored x means ``offset * 10 ** (decades * x / range)``.
        Zero decades is a linear amplifier.
    gain : float
        ``$PnG`` as it is applied: scale values are divided by it.
    stated_decades, stated_gain : float
        What ``$PnE`` and ``$PnG`` say, whether or not it is applied; NaN where that is no number.
    voltage : str
        ``$PnV`` as written, to compare tubes by.
    is_time : bool
        Whether the channel keeps time; its steps stay steps.
    step : float
        Seconds of one step of time (``$TIMESTEP``); NaN where the file has none that is valid.
    """

    name: str
    stain: str = ""
    range: float = float("nan")
    mask: int | None = None
    decades: float = 0.0
    offset: float = 1.0
    gain: float = 1.0
    stated_decades: float = 0.0
    stated_gain: float = 1.0
    voltage: str = ""
    is_time: bool = False
    step: float = float("nan")

    @property
    def is_linear(self) -> bool:
        """Whether scale values are the stored ones."""
        return self.decades == 0 and self.gain == 1

    @property
    def scaling(self) -> str:
        """How stored values become what gates see, and why, in words."""
        words = [self._amplifier(), self._gain()]
        if self.is_time:
            step = "no valid $TIMESTEP" if math.isnan(self.step) else f"$TIMESTEP {self.step:g} s not applied"
            words.append(f"steps as stored, {step}")
        return ", ".join(filter(None, words))

    def _amplifier(self) -> str:
        if self.decades:
            return f"log amplifier undone ($PnE {self.decades:g},{self.offset:g} over {self.range:g})"
        if math.isnan(self.stated_decades):
            return "linear as stored ($PnE is no pair of numbers)"
        if self.stated_decades:
            return f"linear as stored ($PnE {self.stated_decades:g} decades on floats, not undone)"
        return "linear as stored"

    def _gain(self) -> str:
        if self.gain != 1:
            return f"divided by gain {self.gain:g} ($PnG)"
        if self.stated_gain == 1:
            return ""
        why = "time" if self.is_time else "behind a log amplifier" if self.decades else "as asked"
        return f"gain {self.stated_gain:g} not applied ($PnG; {why})"

    def masked(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return stored integers without the bits above the channel's range."""
        return stored if self.mask is None else stored & stored.dtype.type(self.mask)

    def to_scale(self, stored: NDArray[Any]) -> Values:
        """Return masked stored values on the detector's linear scale (FCS 3.1, 3.2.20 ``$PnE``)."""
        values = stored.astype(np.float64)
        if self.decades:
            values = self.offset * 10.0 ** (self.decades * values / self.range)
        return values if self.gain == 1 else values / self.gain


@dataclass(frozen=True, eq=False)
class Spillover:
    """A spillover matrix, rows fluorochromes, columns detectors.

    Parameters
    ----------
    names : tuple of str
        The detectors as the source names them, one per row and column.
    matrix : ndarray, shape (n_detectors, n_detectors)
        Share of row i's light that column j sees; the diagonal is 1.
    source : str
        The keyword or the file that it came from.
    """

    names: tuple[str, ...]
    matrix: Values
    source: str


@dataclass(frozen=True, eq=False)
class Sample:
    """One data set of one FCS file.

    Parameters
    ----------
    name : str
        The file's name, for messages.
    channels : tuple of Channel
        In file order.
    records : ndarray
        The DATA segment as mapped: shape (n_events, n_channels) of one type, or shape (n_events,)
        with one field per channel, in file order.
    keywords : mapping of str to str
        TEXT, keys folded to upper case, ``$`` kept.
    spillover : Spillover or None
        From the file's keywords.
    subtracted : str
        What the instrument subtracted of one detector from another while it acquired, in words; empty mostly.
    findings : tuple of Finding
        What was repaired, guessed or odd.
    let_go : callable
        Gives mapped pages back once columns are lifted; what is asked for later is mapped again.
    """

    name: str
    channels: tuple[Channel, ...]
    records: NDArray[Any] = field(repr=False)
    keywords: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    spillover: Spillover | None = field(default=None, repr=False)
    findings: tuple[Finding, ...] = ()
    subtracted: str = ""
    let_go: Callable[[], None] = field(default=lambda: None, repr=False)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def names(self) -> tuple[str, ...]:
        """``$PnN`` of every channel."""
        return tuple(channel.name for channel in self.channels)

    @property
    def stains(self) -> tuple[str, ...]:
        """``$PnS`` of every channel, empty where there is none."""
        return tuple(channel.stain for channel in self.channels)

    @property
    def stored(self) -> NDArray[Any]:
        """Values as stored, masked; shape (n_events, n_channels)."""
        columns = [self.stored_column(index) for index in range(len(self.channels))]
        with np.errstate(invalid="ignore"):  # a signalling NaN may widen
            return _sealed(np.column_stack(columns) if columns else np.empty((len(self), 0)))

    @property
    def events(self) -> Values:
        """Scale values, uncompensated; shape (n_events, n_channels)."""
        return _sealed(self.columns(range(len(self.channels))).T)

    def stored_column(self, index: int, rows: Rows | slice = slice(None)) -> NDArray[Any]:
        """Return one channel's stored values, masked, in native byte order; shape (n_rows,)."""
        column = self._field(rows, index)
        return self.channels[index].masked(column.astype(column.dtype.newbyteorder("=")))

    def columns(self, indices: Sequence[int]) -> Values:
        """Return the scale values of some channels.

        Parameters
        ----------
        indices : sequence of int
            Channels, counted from 0 in file order.

        Returns
        -------
        ndarray of float64, shape (n_indices, n_events)
            Uncompensated; each channel contiguous.
        """
        return self.lifted(indices)[0]

    def lifted(self, indices: Sequence[int]) -> tuple[Values, Values]:
        """Return what `columns` does, and the sum of each channel: it is finite if all values are.

        A sum taken while a block is still in the cache costs a fifth of one taken later.
        """
        sums = np.zeros(len(indices))
        lifted = np.empty((len(indices), len(self)))
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is counted, not warned of
            for start in range(0, len(self), BLOCK):
                block = slice(start, start + BLOCK)
                for place, index in enumerate(indices):
                    lifted[place, block] = self._scaled(block, index)
                    sums[place] += lifted[place, block].sum()
        self.let_go()
        return lifted, sums

    def _scaled(self, rows: slice, index: int) -> NDArray[Any]:
        channel = self.channels[index]
        if channel.mask is None and channel.is_linear:
            return self._field(rows, index)
        return channel.to_scale(self.stored_column(index, rows))

    def _field(self, rows: Rows | slice, index: int) -> NDArray[Any]:
        if self.records.dtype.names:
            return assembled(self.records[self.records.dtype.names[index]][rows])
        return self.records[rows, index]


def assembled(column: NDArray[Any]) -> NDArray[Any]:
    """Return integers of 24, 40, 48 or 56 bits put together: each byte is a field, named by its shift."""
    if not column.dtype.names:
        return column
    wide: type[Any] = np.uint32 if len(column.dtype.names) <= 4 else np.uint64
    whole = np.zeros(column.shape, wide)
    for shift in column.dtype.names:
        whole |= column[shift].astype(wide) << wide(shift)
    return whole


def _sealed(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
