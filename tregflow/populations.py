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
WELL_ABOVE = 3.0
"""Robust SDs of the negatives above zero from which on a median may stand below a ratio's line: nearer to it
the ratio says what the background was, not what the cells were."""


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


@dataclass(frozen=True, slots=True)
class Contrast:
    """A marker on one population beside another of the same tube.

    Parameters
    ----------
    marker : str
    first, second : str
        Populations, as the template's report names them.
    difference : float
        Median of the first less median of the second, axis units; NaN where one is empty.
    above_fmo : float
        Median of the first less that of the run's FMO tube of this marker, linear units: of the smallest
        population at or above it that the FMO tube was gated down to. NaN where no gate looks at such a tube.
    ratio : float
        Linear median of the first by that of the second, each less the FMO's where there is one; NaN where
        the second is not well above zero.
    """

    marker: str
    first: str
    second: str
    difference: float
    above_fmo: float
    ratio: float


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


def contrasted(gated: Gated) -> tuple[Contrast, ...]:
    """Return each marker that the template reports on two populations, the first beside the second.

    Parameters
    ----------
    gated : Gated
        What `gate` returned.

    Returns
    -------
    tuple of Contrast
        In the template's order. A marker that the file does not have, or that is reported on one
        population, has none.
    """
    pairs = [(marker, *names[:2]) for marker, names in gated.template.medians.items() if len(names) > 1]
    return tuple(_contrast(gated, *pair) for pair in pairs if pair[0] in gated.bound.channels)


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


def _median(gated: Gated, marker: str, rows: Rows) -> float:
    if not len(rows) or marker not in gated.bound.channels:
        return math.nan
    return float(np.median(gated.bound.linear(marker, rows)))


def _contrast(gated: Gated, marker: str, first: str, second: str) -> Contrast:
    rows = [gated.members.get(name, np.empty(0, np.intp)) for name in (first, second)]
    linear = [_median(gated, marker, some) for some in rows]
    on_axis = gated.bound.scales[marker](np.array(linear))
    empty = [_empty(gated, marker, name) for name in (first, second)]
    over, under = (
        value - (base[0] if math.isfinite(base[0]) else 0.0)
        for value, base in zip(linear, empty, strict=True)
    )
    noise = empty[1][1] if math.isfinite(empty[1][1]) else _noise(gated, marker, second)
    ratio = over / under if under > WELL_ABOVE * noise else math.nan
    return Contrast(marker, first, second, float(on_axis[0] - on_axis[1]), linear[0] - empty[0][0], ratio)


def _empty(gated: Gated, marker: str, name: str) -> tuple[float, float]:
    """Return median and robust SD of a marker where the run's FMO tube left it out; NaN where no gate looks at one."""
    fmo = gated.others.controls.get(f"fmo:{marker}")
    line = [*reversed(gated.template.path(name)), ROOT]
    if fmo is None or marker not in fmo.bound.channels:
        return math.nan, math.nan
    reached = next((above for above in line if len(fmo.members.get(above, ()))), None)
    if reached is None:
        return math.nan, math.nan
    values = fmo.bound.linear(marker, fmo.members[reached])
    return float(np.median(values)), negatives(values)[1]


def _noise(gated: Gated, marker: str, name: str) -> float:
    """Return the robust SD of the negatives that a population was cut from."""
    parent = next((one.parent for one in gated.template.populations if one.name == name), ROOT)
    rows = gated.members.get(parent, np.empty(0, np.intp))
    return negatives(gated.bound.linear(marker, rows))[1] if len(rows) else math.nan


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
    The mode is the middle of the shortest stretch that holds a tenth of the values. The spread is 1.4826 times
    the median distance of the values below it: a normal distribution's standard deviation.
    """
    ordered = np.sort(values)
    if len(ordered) < 2:
        return math.nan, math.nan
    tenth = max(2, len(ordered) // 10)
    first = int(np.argmin(ordered[tenth - 1 :] - ordered[: len(ordered) - tenth + 1]))
    mode = float(np.median(ordered[first : first + tenth]))
    below = ordered[ordered < mode]
    return mode, float(1.4826 * np.median(mode - below)) if len(below) else 0.0
