"""What a gate method is: events in, a shape out, or the reason why not.

A method is a function of the events of one population. It sees axis lengths: a scaled axis as it
is, about 0 to 1, an axis in the file's own units divided by its range, so that one width serves
both. It keeps nothing, leaves its input alone, gives the same shape for the same events in any
order, and raises `GateError` with a reason where it has no answer. What all methods share, the
caller applies: which side to keep, the window, the stored gate to fall back to, rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tregflow.gates.shapes import Shape

Range = tuple[float, float]
"""``(low, high)``, axis lengths."""


@dataclass(frozen=True, slots=True)
class Found:
    """A shape that a method placed.

    Parameters
    ----------
    shape : Shape
        Axis lengths. A cut is an `Interval` that is open above.
    evidence : mapping of str to float
        How sure it is, in figures with fixed names: ``depth`` (lowest density between two peaks by the lower
        peak, 0 is a clean valley), ``peaks``, ``spread``, ``share`` …
    """

    shape: Shape
    evidence: Mapping[str, float] = field(default_factory=dict)
