"""What a gate method is: events in, a shape out, or the reason why not.

A method is a function of the events of one population. It sees axis lengths: a scaled axis as it
is, about 0 to 1, an axis in the file's own units divided by its range, so that one width serves
both. It keeps nothing, leaves its input alone, gives the same shape for the same events in any
order, and raises `GateError` with a reason where it has no answer. What all methods share, the
caller applies: which side to keep, the window, the stored gate to fall back to, rounding.

All are called alike: ``method(points, weights, near, **settings)``. `weights` says how often each
event counts: whole weights give what the repeated events give, so a resampled file needs no copy.
`near` is a shape that the method found on nearly the same events: a start that saves work and
never changes the answer to the same events. The settings are the keys of a template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tregflow.gates.shapes import Shape

Range = tuple[float, float]
"""``(low, high)``, axis lengths."""


def counted(events: float) -> str:
    """Return how many events there are, in words."""
    return "1 event" if events == 1 else f"{events:,.0f} events"


@dataclass(frozen=True, slots=True)
class Doubt:
    """A reason to look at a gate that was found all the same.

    Parameters
    ----------
    kind : str
        ``weak``, kinds of cells part less clearly than the method trusts; ``bound``, a bound of
        movement inside the method was reached; ``unsettled``, it did not converge.
    sentence : str
        What was seen, with its figures, to follow the gate's name: "the valley is only 8 % deep …".
    whose : str
        What is doubted where it is not the gate itself: the model that several gates share.
    """

    kind: Literal["weak", "bound", "unsettled"]
    sentence: str
    whose: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A shape that a method placed.

    Parameters
    ----------
    shape : Shape
        Axis lengths. A cut is an `Interval` that is open above.
    evidence : mapping of str to float
        How sure it is, in figures with fixed names: ``depth`` (lowest density between two peaks by the lower
        peak, 0 is a clean valley), ``separation``, ``peaks``, ``spread``, ``share``, ``kernel``, ``events`` …
    doubts : tuple of Doubt
        Why a person should look at it; each orders a review.
    """

    shape: Shape
    evidence: Mapping[str, float] = field(default_factory=dict)
    doubts: tuple[Doubt, ...] = ()
