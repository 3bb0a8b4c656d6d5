"""Who comes when: a trial as the list of its tubes, run by run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from tregflow.simulation.donors import drawn
from tregflow.simulation.order import Order
from tregflow.simulation.panel import FMO, MARKERS
from tregflow.simulation.settings import Settings, Shift, require, require_settings, require_visits
from tregflow.simulation.tubes import Tube, acquire


@dataclass(frozen=True, slots=True)
class Trial:
    """Tubes that are made when they are asked for, one at a time.

    Parameters
    ----------
    orders : tuple of Order
        Run by run, the subjects' tubes first.
    options : mapping of str to object
        Every option of `simulate`, as plain values.
    """

    orders: tuple[Order, ...] = field(repr=False)
    options: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.orders)

    def __iter__(self) -> Iterator[Tube]:
        return map(acquire, self.orders)

    @property
    def rows(self) -> tuple[Mapping[str, str], ...]:
        """The sample sheet."""
        return tuple(order.row for order in self.orders)


def simulate(
    *,
    subjects: int = 6,
    events: int = 60_000,
    seed: int = 1,
    drift: float = 0.05,
    visits: Sequence[str] = ("W00", "W12"),
    enriched: bool = False,
    integers: bool = False,
    controls: bool = True,
    control_events: int = 20_000,
    subjects_per_run: int = 6,
    fold: float = 1.7,
    cd25_fold: float = 1.3,
    foxp3_fold: float = 1.0,
    tconv_cd25_fold: float = 1.0,
    tails: float = 1.0,
    at: str = "",
    stain_drift: float = 0.0,
    offset_drift: float = 0.0,
    compensation_drift: float = 0.0,
    shifts: Sequence[Shift] = (),
    cd4: int = 0,
    dead: float | None = None,
    sticky: float = 0.0,
    activated: float = 0.035,
    foxp3_background: float = 0.0,
    failed: Sequence[str] = (),
    fmo: Sequence[str] = FMO,
    other_dye: str = "",
) -> Trial:
    """Plan a trial whose truth is known.

    The options after `at` are troubles: they hold in every tube, or in those of one visit. `KINDS`
    has sets of options by name: ``simulate(seed=3, **KINDS["sticky"])``.

    Parameters
    ----------
    subjects : int, default 6
        Each gives one full tube per visit.
    events : int, default 60_000
        Events of a full tube and of a reference tube.
    seed : int, default 1
        From 0. The same seed gives the same trial.
    drift : float, default 0.05
        Standard deviation of each detector's gain from run to run, decades.
    visits : sequence of str
        The first is before treatment, all others are under it. ``W12`` is drawn 12 weeks after the
        first dose; names without a week follow each other by 12 weeks.
    enriched : bool, default False
        Lymphocytes, mostly CD4+, with little debris and few monocytes, instead of blood mononuclear
        cells.
    integers : bool, default False
        Store whole numbers from 0 instead of 32-bit floats.
    controls : bool, default True
        Add to each run FMO, single-stain and unstained tubes of its first subject, and a reference
        tube of one donor who is the same in every run.
    control_events : int, default 20_000
        Events of an FMO tube; single-stain and unstained tubes have a third of them.
    subjects_per_run : int, default 6
        Subjects whose tubes of one visit are acquired together; each visit has runs of its own.
    fold, cd25_fold : float, default 1.7 and 1.3
        Median factor by which treatment multiplies the share of Tregs and the CD25 of a Treg.
    foxp3_fold, tconv_cd25_fold : float, default 1
        Median factor by which treatment multiplies the FOXP3 of a Treg and the CD25 of an activated
        conventional T cell.
    tails : float, default 1
        Factor on the skew and on the tails of every marker of every kind of cell; 0 for neither.
    at : str, default ""
        The visit at which the troubles hold; at all of them where it is empty.
    stain_drift : float, default 0
        Standard deviation of each dye's brightness from run to run, decades: of the bound dye, not
        of the cell's own glow.
    offset_drift : float, default 0
        Standard deviation of what each detector adds to every event, from run to run, units.
    compensation_drift : float, default 0
        Standard deviation of each coefficient of the files' matrix around the true one, from run to
        run, as a share of the coefficient.
    shifts : sequence of Shift
        Of single dyes, in every run of the visit; they add to the drift.
    cd4 : int, default 0
        About how many live single CD4+ T cells a full tube has, by fewer or more events; as many as
        there are among `events` where it is 0.
    dead : float, optional
        Share of dead cells among the subjects' cells; one in twenty or so where it is not given.
    sticky : float, default 0
        Share of monocytes, B and NK cells that hold much CD25 and FOXP3 antibody.
    activated : float, default 0.035
        Share of activated cells among the subjects' conventional CD4+ T cells: CD25 bright, CD127
        middling, FOXP3 dim.
    foxp3_background : float, default 0
        Median units of FOXP3 antibody on every cell beside what FOXP3 binds, with 0.25 decades of
        spread; it becomes brighter and dimmer with the stain.
    failed : sequence of str
        Markers whose staining failed: their dye is in no tube.
    fmo : sequence of str
        Markers that have an FMO tube in each run.
    other_dye : str, default ""
        A marker of `OTHER_DYES` that has its other dye, on another detector.

    Returns
    -------
    Trial
        Iterate over it for its tubes.

    Raises
    ------
    InputError
        If a number is not one that a trial can have, a name is not known, or the visits cannot be
        told apart or written.

    Examples
    --------
    >>> trial = simulate(subjects=2, events=5_000, seed=7, controls=False)
    >>> [tube.row["sample"] for tube in trial]
    ['S01_W00', 'S02_W00', 'S01_W12', 'S02_W12']
    """
    require(1, subjects=subjects, subjects_per_run=subjects_per_run)
    require(1, events=events, control_events=control_events)
    require_visits(visits, at)
    settings = Settings(
        seed=seed,
        drift=drift,
        enriched=enriched,
        integers=integers,
        fold=fold,
        cd25_fold=cd25_fold,
        foxp3_fold=foxp3_fold,
        tconv_cd25_fold=tconv_cd25_fold,
        tails=tails,
        stain_drift=stain_drift,
        offset_drift=offset_drift,
        compensation_drift=compensation_drift,
        shifts=tuple(shifts),
        cd4=cd4,
        dead=dead,
        sticky=sticky,
        activated=activated,
        foxp3_background=foxp3_background,
        failed=tuple(failed),
        fmo=tuple(fmo),
        other_dye=other_dye,
        at=at,
    )
    require_settings(settings)
    plan = _Plan(subjects, events, tuple(visits), controls, control_events, subjects_per_run)
    return Trial(tuple(_orders(plan, settings)), asdict(plan) | asdict(settings))


# ---------------------------------------------------------------------------------- who and when


@dataclass(frozen=True, slots=True)
class _Plan:
    subjects: int
    events: int
    visits: tuple[str, ...]
    controls: bool
    control_events: int
    subjects_per_run: int


def _orders(plan: _Plan, settings: Settings) -> Iterator[Order]:
    for block, first in enumerate(range(1, plan.subjects + 1, plan.subjects_per_run)):
        group = range(first, min(first + plan.subjects_per_run, plan.subjects + 1))
        for place, visit in enumerate(plan.visits):
            number = block * len(plan.visits) + place + 1
            run = _Run(number, visit, place, settings.during(visit))
            yield from (_enough(run.order(subject, "full", plan.events)) for subject in group)
            yield from _controls(run, first, plan) if plan.controls else ()


def _enough(order: Order) -> Order:
    """Return the order with as many events as its CD4+ T cells need."""
    wanted = order.settings.cd4
    return replace(order, events=max(1, round(wanted / drawn(order).cd4))) if wanted else order


@dataclass(frozen=True, slots=True)
class _Run:
    number: int
    visit: str
    place: int  # of the visit among all
    settings: Settings

    @property
    def name(self) -> str:
        return f"R{self.number:02d}"

    @property
    def acquired(self) -> date:
        return date(2026, 1, 5) + timedelta(7 * self.number)

    def order(self, number: int, tube: str, events: int) -> Order:
        subject = f"S{number:02d}"
        stem = f"{subject}_{self.visit}" if tube == "full" else f"{self.name}_{tube.replace(':', '_')}"
        day0 = date(2022, 3, 7) + timedelta(number)
        collected = day0 + timedelta(_day(self.visit, self.place))
        row = _row(
            stem,
            tube,
            self.name,
            subject=subject,
            visit=self.visit,
            collected=collected.isoformat(),
            day0=day0.isoformat(),
        )
        return Order(row, self.settings, subject, self.place > 0, events, self.acquired)

    def reference(self, events: int) -> Order:
        row = _row(f"{self.name}_reference", "reference", self.name)
        return Order(row, self.settings.healthy, "reference", False, events, self.acquired)


def _row(stem: str, tube: str, run: str, **whose: str) -> dict[str, str]:
    """Return a row of the sample sheet; what a tube has none of stays empty."""
    nobody = {"subject": "", "visit": ""}
    row = {"file": f"fcs/{stem}.fcs", "sample": stem, **nobody, "tube": tube, "run": run}
    return row | {"collected": "", "day0": "", "material": "frozen"} | whose


def _controls(run: _Run, subject: int, plan: _Plan) -> list[Order]:
    few = max(1, plan.control_events // 3)
    return [
        *(run.order(subject, f"fmo:{marker}", plan.control_events) for marker in run.settings.fmo),
        *(run.order(subject, f"single:{marker}", few) for marker in MARKERS),
        run.order(subject, "unstained", few),
        run.reference(plan.events),
    ]


def _day(visit: str, place: int) -> int:
    """Return the days from the first dose to a visit."""
    week = re.fullmatch(r"[Ww](\d{1,3})", visit)
    return 7 * int(week[1]) if week else 84 * place
