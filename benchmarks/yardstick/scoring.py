"""One row per tube and set of gates, and what rows say together."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tregflow.gates.shapes import Interval
from tregflow.gating import Gated
from tregflow.hierarchy import path
from yardstick import mindensity, oracle
from yardstick.oracle import Told, f1
from yardstick.product import Answer

Mask = NDArray[np.bool_]
Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)

WRONG = 0.2
"""Share of the true percent by which a percent is off that is called wrong."""

Z = 1.959963984540054
"""Standard normal quantile of 0.975."""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What each event of a file is.

    Parameters
    ----------
    labels : ndarray of int, shape (n_events,)
        Kinds, in file order.
    cd4, treg : ndarray of bool, shape (n_events,)
        Live single CD4+ events, and those of them that are Tregs.
    gates : mapping of str to ndarray of bool
        What each population of a template is meant to hold, by its name.
    """

    labels: NDArray[np.int64]
    cd4: Mask
    treg: Mask
    gates: Mapping[str, Mask] = field(default_factory=dict)

    @property
    def percent(self) -> float:
        """Tregs in per cent of CD4+, 0-100; NaN without CD4+ events."""
        return 100 * int(self.treg.sum()) / int(self.cd4.sum()) if self.cd4.any() else math.nan


@dataclass(frozen=True, slots=True)
class Row:
    """One tube under one set of gates.

    Parameters
    ----------
    kind, size, events, seed
        The trial that it comes from.
    gates : str
        Name of a template, or ``mindensity``.
    sample, subject, visit : str
        As in the sheet.
    cd4 : int
        True CD4+ events.
    truth, percent : float
        Tregs in per cent of CD4+; `percent` is NaN where there is none.
    f1, outline, boundary : float
        Of the gates' Treg events, and of the two oracles inside the same CD4+ gate; NaN where not asked for.
    verdict, codes : str
        Empty for gates that say nothing.
    """

    kind: str
    size: float
    events: int
    seed: int
    gates: str
    sample: str
    subject: str
    visit: str
    cd4: int
    truth: float
    percent: float
    f1: float = math.nan
    outline: float = math.nan
    boundary: float = math.nan
    verdict: str = ""
    codes: str = ""

    @property
    def error(self) -> float:
        """Percentage points from the truth."""
        return self.percent - self.truth

    @property
    def oracle(self) -> float:
        """F1 of the better oracle."""
        return float(np.fmax(self.outline, self.boundary))

    @property
    def has_number(self) -> bool:
        """Whether there is a percent."""
        return not math.isnan(self.percent)

    @property
    def is_wrong(self) -> bool:
        """Whether the percent is off by more than a fifth of the true one."""
        return self.has_number and abs(self.error) > WRONG * self.truth

    @property
    def is_flagged(self) -> bool:
        """Whether somebody is asked to look."""
        return self.verdict in ("review", "fail")


@dataclass(frozen=True, slots=True)
class GateRow:
    """One gate of one tube, inside its own parent.

    Parameters
    ----------
    gates, population, sample : str
    f1, oracle : float
        Of its members, and of the best cut; `oracle` is NaN for gates that are no cut.
    """

    gates: str
    population: str
    sample: str
    f1: float
    oracle: float


@dataclass(frozen=True, slots=True)
class Trial:
    """Where rows come from; see `Row`."""

    kind: str
    size: float
    events: int
    seed: int


# ------------------------------------------------------------------------------------------------- a tube


def scored(
    answer: Answer, truth: Truth, trial: Trial, gates: str, *, oracles: bool = True, peer: bool = True
) -> list[Row]:
    """Return a tube's row, and that of the peer inside the same CD4+ gate.

    Parameters
    ----------
    answer : Answer
    truth : Truth
    trial : Trial
    gates : str
        Name of the template.
    oracles : bool, default True
        Whether to search for the best gates.
    peer : bool, default True
        Whether to add the peer's row.
    """
    told = _told(answer.again, truth) if answer.again else None
    blank = Row(trial.kind, trial.size, trial.events, trial.seed, gates, answer.tube.sample, answer.tube.subject,
                answer.tube.visit, int(truth.cd4.sum()), truth.percent, math.nan)  # fmt: skip
    best = (oracle.outline(told), oracle.boundary(told)) if told and oracles else (math.nan, math.nan)
    row = replace(blank, percent=answer.percent, f1=_event_f1(answer, truth), outline=best[0], boundary=best[1],
                  verdict=answer.verdict, codes=answer.codes)  # fmt: skip
    if not peer or not told:
        return [row]
    percent, worth = _peer(told)
    return [row, replace(blank, gates="mindensity", percent=percent, f1=worth)]


def _event_f1(answer: Answer, truth: Truth) -> float:
    """Return the F1 of the Treg gate's events over the whole file."""
    name = answer.again.template.primary.count if answer.again else ""
    if not answer.again or name not in answer.again.members:
        return math.nan
    rows = answer.again.members[name]
    return f1(len(rows), int(truth.treg.sum()), int(truth.treg[rows].sum()))


def _told(gated: Gated, truth: Truth) -> Told | None:
    """Return the events of the denominator on the axes of the gates below it."""
    measure, populations = gated.template.primary, gated.template.populations
    if measure.of not in gated.members:
        return None
    below = set(path(populations, measure.count)) - set(path(populations, measure.of))
    used = [marker for one in populations if one.name in below for marker in one.markers]
    axes = tuple(marker for marker in dict.fromkeys(used) if marker in gated.bound.channels)
    rows = gated.members[measure.of]
    points = gated.bound.view(axes, rows).points()
    placed = np.isfinite(points).all(axis=1)
    rows, points = rows[placed], points[placed]
    missed = int(truth.treg.sum() - truth.treg[rows].sum())
    return Told(axes, points, truth.treg[rows], truth.labels[rows].astype(np.int64), missed)


def _peer(told: Told) -> tuple[float, float]:
    """Return percent and F1 of the peer's valleys."""
    if not len(told.points):
        return math.nan, math.nan
    kept = mindensity.kept(zip(told.axes, told.points.T, strict=True))
    worth = f1(int(kept.sum()), told.all_wanted, int((kept & told.wanted).sum()))
    return 100 * float(kept.mean()), worth


def gate_rows(answer: Answer, truth: Truth, gates: str) -> Iterator[GateRow]:
    """Yield the F1 of every gate whose meaning the truth knows, inside its own parent."""
    again = answer.again
    for population in again.template.populations if again else ():
        wanted = truth.gates.get(population.name)
        if again is None or wanted is None or population.name not in again.members:
            continue
        parent, rows = again.members[population.parent], again.members[population.name]
        own = f1(len(rows), int(wanted[parent].sum()), int(wanted[rows].sum()))
        best = math.nan
        if isinstance(again.placed[population.name].shape, Interval):
            values = again.bound.linear(population.markers[0], parent)
            told = Told(population.markers, values[:, None], wanted[parent], truth.labels[parent])
            best = oracle.best_cut(values, told)
        yield GateRow(gates, population.name, answer.tube.sample, own, best)


# ---------------------------------------------------------------------------------------------- many tubes


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Return the Wilson 95 % interval of a share, as fractions; NaN where nothing was counted.

    Parameters
    ----------
    hits, of : int
        Counts.
    """
    if not of:
        return math.nan, math.nan
    share, squared = hits / of, Z * Z / of
    middle = (share + squared / 2) / (1 + squared)
    half = Z * math.sqrt(share * (1 - share) / of + squared / of / 4) / (1 + squared)
    return max(0.0, middle - half), min(1.0, middle + half)


def fold_errors(rows: Iterable[Row]) -> list[float]:
    """Return how far each fold between two visits of a subject is from the true one, natural logarithms.

    Parameters
    ----------
    rows : iterable of Row
        Of one set of gates. Visits are paired as they follow each other by name.

    Returns
    -------
    list of float
        One per subject and pair of visits; NaN where a visit has no percent above 0.
    """
    ordered = sorted(rows, key=lambda row: row.visit)
    of_subject = grouped(ordered, lambda row: (row.kind, row.size, row.events, row.seed, row.subject))
    return [_off(late) - _off(early) for own in of_subject.values()
            for place, early in enumerate(own) for late in own[place + 1 :]]  # fmt: skip


def _off(row: Row) -> float:
    return math.log(row.percent / row.truth) if row.percent > 0 and row.truth > 0 else math.nan


def grouped(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Return items by a key, in the order in which the keys come first."""
    groups: dict[Key, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def mean(values: Iterable[float]) -> float:
    """Return the mean of what is a number; NaN for none."""
    told = [value for value in values if not math.isnan(value)]
    return statistics.fmean(told) if told else math.nan


def deviation(values: Iterable[float]) -> float:
    """Return the standard deviation of what is a number; NaN for fewer than two."""
    told = [value for value in values if not math.isnan(value)]
    return statistics.stdev(told) if len(told) > 1 else math.nan


def largest(values: Iterable[float]) -> float:
    """Return the largest of what is a number; NaN for none."""
    return max((value for value in values if not math.isnan(value)), default=math.nan)


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many.

    Parameters
    ----------
    hits, of : int
    """

    hits: int
    of: int

    def __str__(self) -> str:
        if not self.of:
            return "none"
        low, high = (100 * edge for edge in wilson(self.hits, self.of))
        return f"{self.hits}/{self.of} = {100 * self.hits / self.of:.1f} % ({low:.1f}-{high:.1f})"


def recall(rows: Sequence[Row]) -> Share:
    """Return how many of the wrong percents somebody is asked to look at."""
    wrong = [row for row in rows if row.is_wrong]
    return Share(sum(row.is_flagged for row in wrong), len(wrong))


def false_flags(rows: Sequence[Row]) -> Share:
    """Return how many of the right percents, and of tubes without one, somebody is asked to look at."""
    right = [row for row in rows if not row.is_wrong]
    return Share(sum(row.is_flagged for row in right), len(right))
