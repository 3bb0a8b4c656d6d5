"""What one gate says of itself in a word, a distance and one sentence, as a person should hear it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from tregflow.gates.shapes import Interval, Rectangle, Shape
from tregflow.gating.placing import Placed, Status
from tregflow.hierarchy import Gate, Population

Sign = Status | Literal["weak", "unsettled"]
"""A status, or the doubt that outweighs it."""

Windows = tuple[tuple[float, float], ...]

DOUBTED: Mapping[str, Sign] = {"bound": "at bound", "unsettled": "unsettled", "weak": "weak"}
"""The sign of each kind of doubt, the gravest first."""

SETTLED: frozenset[Status] = frozenset({"refused", "fallback", "skipped", "corrected", "at bound"})
"""Statuses that say more than a doubt does."""

SPOKEN: Mapping[Status, str] = {
    "fallback": "fallback: stored gate used",
    "skipped": "skipped: all kept",
    "corrected": "corrected by a reviewer",
}


def sign_of(placed: Placed) -> Sign:
    """Return the one sign that a gate is shown under.

    Parameters
    ----------
    placed : Placed
        The gate.

    Returns
    -------
    str
        Its status; of a gate that was found with a doubt, the gravest doubt.
    """
    if placed.status in SETTLED:
        return placed.status
    kinds = {doubt.kind for doubt in placed.doubts}
    return next((sign for kind, sign in DOUBTED.items() if kind in kinds), placed.status)


def status_words(placed: Placed) -> str:
    """Say how a gate came about and how far it lies from the stored one.

    Parameters
    ----------
    placed : Placed
        The gate.

    Returns
    -------
    str
        With the distance in decades where the axis has decades, else in axis units.

    Examples
    --------
    >>> status_words(Placed(Interval(0.55), "moved", shift=0.05, shift_decades=0.23))
    'moved +0.23 decade'
    """
    if placed.status in SPOKEN:
        return SPOKEN[placed.status]
    return sign_of(placed) + _distance(placed)


def _distance(placed: Placed) -> str:
    """Return how far the edge that moved most went, and of an outline along which axis."""
    along = "" if isinstance(placed.shape, Interval) or not placed.along else f" in {placed.along}"
    if math.isfinite(placed.shift_decades):
        return f" {placed.shift_decades:+z.2f} decade{along}".replace("-", "−", 1)
    if math.isnan(placed.shift):
        return ""
    return f" {placed.shift:{'+z.3f' if abs(placed.shift) < 10 else '+z,.0f'}}{along}".replace("-", "−", 1)


def reason(population: Population, placed: Placed) -> str:
    """Say in one sentence why someone should look at a gate.

    Parameters
    ----------
    population : Population
        Whose gate it is.
    placed : Placed
        The gate.

    Returns
    -------
    str
        Empty where there is nothing to say.
    """
    said = [placed.reason, _stopped(placed, population.gate), *(doubt.sentence for doubt in placed.doubts)]
    return "; ".join(part for part in said if part)


def _stopped(placed: Placed, gate: Gate) -> str:
    edge = hit(placed, gate)
    if math.isnan(edge):
        return ""
    low, high = windows(gate)[0]
    side = "high" if edge == high else "low"
    return f"stopped at {edge:g}, the {side} edge of its window {low:g} to {high:g}"


def where(placed: Placed, stored: Shape | None) -> str:
    """Say where a cut lies and where the template has it; empty for outlines."""
    shapes = (placed.shape, stored)
    if not all(isinstance(shape, Interval) for shape in shapes):
        return ""
    now, then = (edges(shape) for shape in shapes)
    return f"cut at {now[0]:.3f}, stored at {then[0]:g}" if len(now) == len(then) == 1 else ""


def figures(placed: Placed) -> str:
    """Return what tells best how clearly a gate parts its events, for a line with little room."""
    seen = placed.evidence
    if math.isfinite(seen.get("depth", math.nan)):
        return f"depth {seen['depth']:.2f}"
    return f"{seen['separation']:.1f} SD apart" if math.isfinite(seen.get("separation", math.nan)) else ""


def leans_on(population: Population, placed: Placed) -> str:
    """Say on whose events a gate was placed, where it is not its own parent in its own tube alone."""
    shared = f" of {len(placed.across) + 1} samples together" if placed.across else ""
    if placed.tube:
        return f"placed on {placed.of} of {placed.tube}{shared}, {placed.n_of:,} events"
    if placed.of not in {"", population.parent}:
        return f"dotted outline: {placed.of}{shared}, {placed.n_of:,} events, on which it was placed"
    return f"placed on {placed.of}{shared}, {placed.n_of:,} events" if shared else ""


def windows(gate: Gate) -> Windows:
    """Return where a gate had to stay: a range of the first axis, or one of each; empty where it was free."""
    within: Any = gate.within or gate.settings.get("within")
    if within is None:
        return ()
    ranges = within if isinstance(within[0], tuple) else (within,)
    return tuple((float(low), float(high)) for low, high in ranges)


def hit(placed: Placed, gate: Gate) -> float:
    """Return the edge of its window at which a cut stopped; NaN where it did not, or it is no cut."""
    if placed.status != "at bound" or not windows(gate):
        return math.nan
    return next(
        (end for end in windows(gate)[0] for cut in edges(placed.shape) if math.isclose(end, cut)), math.nan
    )


def edges(shape: Shape | None) -> tuple[float, ...]:
    """Return the finite edges along the first axis; none for outlines that have no straight ones."""
    if isinstance(shape, Interval):
        return tuple(end for end in (shape.low, shape.high) if math.isfinite(end))
    if isinstance(shape, Rectangle):
        return tuple(end for end in (shape.low[0], shape.high[0]) if math.isfinite(end))
    return ()
