"""What is to be said of a file's events before any gate looks at them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tregflow.compensation import SCATTER
from tregflow.errors import Finding
from tregflow.sample import Rows, Values
from tregflow.transforms import Identity
from tregflow.view import Bound

MOST_LEFT_OUT = 1 / 1000
"""Share of events without a finite value above which someone must look."""

FULL_SCALE = 1000.0
"""Top of a scale from which on a cytometer's own values reach far beyond `SMALL`."""

SMALL = 20.0
"""What logicle, arcsinh and logarithm make of a cytometer's values stays below this."""

SEEN = 4096
"""Values of a channel that are looked at."""

SHOWN = 4
"""Markers that a sentence names."""


def said_of_events(sample: Bound, root: Rows) -> tuple[Finding, ...]:
    """Return what is to be said of a file's events as a whole.

    Parameters
    ----------
    sample : Bound
        The file.
    root : ndarray of int
        Its events with finite values in every used channel.

    Returns
    -------
    tuple of Finding
        ``N-NONFINITE`` or ``F-NONFINITE``, ``F-TRANSFORMED``.
    """
    return (*_left_out(sample, root), *_transformed(sample))


def _left_out(sample: Bound, root: Rows) -> Iterator[Finding]:
    lost, total = len(sample.sample) - len(root), len(sample.sample)
    if lost:
        what = (
            "have a value that is not a finite number in a gated channel or in one mixed into it; "
            "they were left out of the root"
        )
        code = "F-NONFINITE" if lost > total * MOST_LEFT_OUT else "N-NONFINITE"
        yield Finding(code, f"{lost:,} of {total:,} events {what}")


def _transformed(sample: Bound) -> Iterator[Finding]:
    """Yield a flag where no gated dye has values as large as a cytometer's own."""
    scaled = {name: scale for name, scale in sample.scales.items() if _is_dye(sample, name)}
    tops = {name: float(getattr(scale, "T", 0.0)) for name, scale in scaled.items()}
    if not len(sample.sample) or not tops or min(tops.values()) < FULL_SCALE:
        return
    reaches = {name: _reach(sample.raw[sample.channels[name]]) for name in tops}
    if 0 < max(reaches.values()) <= SMALL:
        shown = ", ".join(f"{name} {reach:.3g}" for name, reach in list(reaches.items())[:SHOWN])
        more = " …" if len(reaches) > SHOWN else ""
        told = f"99.9 % of the values of each gated dye lie within {SMALL:g} of 0 ({shown}{more})"
        top = f"on scales up to {max(tops.values()):g}"
        yield Finding("F-TRANSFORMED", f"{told}, {top}; were they transformed before?")


def _is_dye(sample: Bound, marker: str) -> bool:
    name = sample.sample.names[sample.channels[marker]]
    return not (isinstance(sample.scales[marker], Identity) or name.upper().startswith(SCATTER))


def _reach(column: Values) -> float:
    """Return what 99.9 % of some values stay within; evenly spread ones stand for all."""
    some = np.abs(column[:: max(1, len(column) // SEEN)])
    some = some[np.isfinite(some)]
    return float(np.quantile(some, 0.999)) if len(some) else 0.0
