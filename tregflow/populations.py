"""Members to counts and percentages: the rows of the population table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


from tregflow.gating import Gated
from tregflow.sample import Rows, Values
from tregflow.template import ROOT, Measure, Population

Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Count:
    """One population of one file.

    Parameters
    ----------
    population, path : str
        Its name, and the names from the root's child down to it joined by ``/``.
    parent : str
        The population it was cut from.
    count : int or None
        Events; None where its gate, or one above it, was refused.
    percent_of_parent : float
        0 to 100; NaN where the parent is empty or the gate refused.
    status : str
        How its gate was placed.
    shift, shift_decades : float
        How far the gate lies from the stored one, axis units and decades; NaN where not comparable.
    reason : str
        Why the gate fell back, was skipped or refused.
    is_reference : bool
        Whether it serves other gates.
    medians : mapping of str to float
        Median compensated linear value by marker; NaN where the population is empty.
    """

    population: str
    path: str
    parent: str
    count: int | None
    percent_of_parent: float
    status: str
    shift: float = math.nan
    shift_decades: float = math.nan
    reason: str = ""
    is_reference: bool = False
    medians: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Percent:
    """One measure of one file.

    Parameters
    ----------
    measure : Measure
        What is counted, of what.
    numerator, denominator : int or None
        Events; None where a gate was refused.
    percent : float
        0 to 100; NaN where there is no denominator.
    low, high : float
        Wilson's 95 % interval for counting error alone, in per cent.
    """

    measure: Measure
    numerator: int | None
    denominator: int | None
    percent: float
    low: float
    high: float


def count(gated: Gated) -> tuple[Count, ...]:
    """Count every population of a gated file.

    Parameters
    ----------
    gated : Gated
        What `gate` returned.

    Returns
    -------
    tuple of Count
        The root first, then the template's order.
    """
    rows = [_counted(gated, population) for population in gated.template.populations]
    return (Count(ROOT, ROOT, "", len(gated.members[ROOT]), math.nan, "stored"), *rows)


def measured(gated: Gated) -> tuple[Percent, ...]:
    """Return every measure that the template reports, the primary first."""
    return tuple(_percent(gated, measure) for measure in gated.template.measures)


def wilson(numerator: int, denominator: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval for a proportion, in per cent.

    Parameters
    ----------
    numerator, denominator : int
        Events.

    Returns
    -------
    low, high : float
        Per cent; NaN for an empty denominator.

    Notes
    -----
    Wilson 1927: (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n).

    Examples
    --------
    >>> low, high = wilson(0, 2000)
    >>> round(low, 6), round(high, 4)
    (0.0, 0.1917)
    """
    if not denominator:
        return math.nan, math.nan
    share, weight = numerator / denominator, Z95**2 / denominator
    middle = share + weight / 2
    reach = Z95 * math.sqrt(share * (1 - share) / denominator + weight / (4 * denominator))
    low, high = (middle - reach) / (1 + weight), (middle + reach) / (1 + weight)
    return 100 * max(low, 0.0), 100 * min(high, 1.0)


def _counted(gated: Gated, population: Population) -> Count:
    placed, path = gated.placed[population.name], "/".join(gated.template.path(population.name))
    members, parent = gated.members.get(population.name), gated.members.get(population.parent)
    share = math.nan if members is None or parent is None else _share(len(members), len(parent))
    return Count(
        population.name,
        path,
        population.parent,
        None if members is None else len(members),
        share,
        placed.status,
        placed.shift,
        placed.shift_decades,
        placed.reason,
        population.is_reference,
        _medians(gated, population.name),
    )


def _share(part: int, whole: int) -> float:
    return 100 * part / whole if whole else math.nan


def _medians(gated: Gated, name: str) -> dict[str, float]:
    wanted = [marker for marker, names in gated.template.medians.items() if name in names]
    rows = gated.members.get(name, np.empty(0, np.intp))
    return {marker: _median(gated, marker, rows) for marker in wanted}


def _median(gated: Gated, marker: str, rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> float:
    if not len(rows) or marker not in gated.bound.channels:
        return math.nan
    return float(np.median(gated.bound.linear(marker, rows)))


def _percent(gated: Gated, measure: Measure) -> Percent:
    parts = [gated.members.get(name) for name in (measure.count, measure.of)]
    numerator, denominator = (None if rows is None else len(rows) for rows in parts)
    if numerator is None or denominator is None:
        return Percent(measure, numerator, denominator, math.nan, math.nan, math.nan)
    return Percent(
        measure, numerator, denominator, _share(numerator, denominator), *wilson(numerator, denominator)
    )


def negatives(values: Values) -> tuple[float, float]:
    """Return the lower mode of some values and the robust SD of its lower side, where no positives are.

    Parameters
    ----------
    values : ndarray, shape (n_events,)
        Linear units, in which negatives lie closest together.

    Returns
    -------
    mode, spread : float
        Linear units; NaN of fewer than two values.

    Notes
    -----
    The mode is that of half samples (Robertson and Cryer 1974): the shortest stretch that holds half of
    the values, and of those half again. The spread is 1.4826 times the median distance of the values
    below it.
    """
    ordered = np.sort(values)
    if len(ordered) < 2:
        return math.nan, math.nan
    mode = _mode(ordered)
    below = ordered[ordered < mode]
    return mode, float(1.4826 * np.median(mode - below)) if len(below) else 0.0


def _mode(ordered: Values) -> float:
    while len(ordered) > 2:
        half = (len(ordered) + 1) // 2
        first = int(np.argmin(ordered[half - 1 :] - ordered[: len(ordered) - half + 1]))
        ordered = ordered[first : first + half]
    return float(ordered.mean())
