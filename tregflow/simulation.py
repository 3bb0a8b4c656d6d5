"""A trial of known truth: tubes of blood whose every cell is known, made from a seed.

What is modelled is the cell and the cytometer, never a gate. A cell has a kind, a size and so much
of each dye; a doublet is two cells added. The cytometer mixes the dyes by the spillover matrix, adds
the cell's own glow, counts photons, and saturates at the range of its detectors. The truth of a tube
is the count of the labels that were drawn, not the share they were drawn from.

The detectors drift from run to run: a gain multiplies stained and unstained light alike and turns
the spillover matrix with it, so the matrix that goes with a tube is true for that tube. Treatment
raises the share of Tregs and the CD25 of each.

Every tube has a generator of its own, seeded by trial, run, subject, visit and tube: a subject added
to a trial changes nobody else's events. The same seed gives the same events; between machines a
value may differ in its last digit, as exponentials do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tregflow.errors import Finding, InputError

Floats = NDArray[np.float64]

MARKERS = ("LD", "CD3", "CD4", "CD8", "CD25", "CD127", "FOXP3", "CD45RA")
"""What is stained, in the order of `DYES`."""

DYES = ("BV510-A", "APC-Cy7-A", "BV421-A", "BV605-A", "PE-Cy7-A", "APC-A", "PE-A", "FITC-A")
"""The detector that belongs to each marker's dye."""

FMO = ("CD25", "CD127", "FOXP3")
"""The markers that a run leaves out one at a time."""

TIMESTEP = 0.01
"""Seconds per unit of Time."""

LIVE = ("monocyte", "B", "NK", "CD8 naive", "CD8 memory")
TCONV = ("Tconv naive", "Tconv memory", "Tconv effector", "Tconv activated")
TREG = ("Treg resting", "Treg effector")

LABELS = ("debris", "dead", "doublet", *LIVE, *TCONV, *TREG)
"""Kinds of event; an event's label is a place in this tuple."""

# fmt: off
_SCATTER = {  # forward and side scatter, decades of spread of each, own glow
    "debris":          ( 6_500,  3_500, 0.170, 0.220, 0.4),
    "dead":            (16_000, 12_000, 0.080, 0.120, 2.2),
    "monocyte":        (36_000, 21_000, 0.050, 0.090, 2.5),
    "B":               (23_500,  7_600, 0.040, 0.075, 1.0),
    "NK":              (25_000,  9_200, 0.042, 0.085, 1.1),
    "CD8 naive":       (23_000,  7_700, 0.038, 0.070, 0.9),
    "CD8 memory":      (24_500,  8_600, 0.042, 0.080, 1.0),
    "Tconv naive":     (23_000,  7_400, 0.038, 0.070, 0.9),
    "Tconv memory":    (24_000,  7_900, 0.040, 0.075, 1.0),
    "Tconv effector":  (24_500,  8_500, 0.042, 0.080, 1.0),
    "Tconv activated": (27_500,  9_300, 0.048, 0.085, 1.3),
    "Treg resting":    (23_500,  7_500, 0.038, 0.070, 0.9),
    "Treg effector":   (25_000,  8_000, 0.042, 0.075, 1.1),
}
_STAIN = {  # decades of dye on a cell: median, in the order of MARKERS
    "debris":          (2.0, 1.6, 1.5, 1.3, 1.2, 1.4, 1.2, 1.7),
    "dead":            (4.15, 3.0, 2.9, 2.8, 2.8, 2.8, 2.8, 2.9),
    "monocyte":        (2.1, 1.3, 3.1, 1.3, 1.6, 1.6, 1.5, 2.7),
    "B":               (1.9, 1.2, 1.1, 1.2, 2.2, 1.3, 1.3, 4.1),
    "NK":              (1.9, 1.3, 1.2, 2.6, 1.5, 1.7, 1.3, 3.9),
    "CD8 naive":       (1.9, 4.10, 1.2, 4.45, 1.5, 3.60, 1.3, 4.15),
    "CD8 memory":      (1.9, 4.05, 1.2, 4.40, 1.7, 3.30, 1.4, 3.10),
    "Tconv naive":     (1.9, 4.15, 4.20, 1.3, 2.00, 3.62, 1.3, 4.15),
    "Tconv memory":    (1.9, 4.12, 4.23, 1.3, 2.68, 3.70, 1.5, 2.75),
    "Tconv effector":  (1.9, 4.10, 4.20, 1.6, 2.10, 2.75, 1.5, 2.60),
    "Tconv activated": (1.9, 4.08, 4.25, 1.4, 3.28, 3.38, 2.48, 2.60),
    "Treg resting":    (1.9, 4.10, 4.12, 1.3, 3.44, 2.88, 2.95, 4.05),
    "Treg effector":   (1.9, 4.08, 4.13, 1.3, 3.74, 2.68, 3.32, 2.55),
}
_SPREAD = {  # decades of spread
    "debris":          (.30, .30, .30, .30, .30, .30, .30, .35),
    "dead":            (.26, .35, .35, .35, .32, .32, .32, .35),
    "monocyte":        (.14, .25, .16, .25, .30, .30, .25, .30),
    "B":               (.13, .25, .25, .25, .30, .25, .25, .14),
    "NK":              (.13, .25, .25, .55, .30, .35, .25, .20),
    "CD8 naive":       (.13, .11, .25, .11, .25, .17, .25, .12),
    "CD8 memory":      (.13, .12, .25, .12, .30, .38, .25, .55),
    "Tconv naive":     (.13, .11, .09, .25, .27, .15, .25, .12),
    "Tconv memory":    (.13, .11, .09, .25, .28, .19, .30, .38),
    "Tconv effector":  (.13, .12, .09, .30, .30, .24, .28, .30),
    "Tconv activated": (.13, .12, .10, .25, .20, .19, .24, .30),
    "Treg resting":    (.13, .11, .09, .25, .17, .19, .19, .14),
    "Treg effector":   (.13, .11, .09, .25, .18, .22, .19, .28),
}
_SKEW = np.array([.15, -.15, -.12, -.15, .10, -.12, .05, -.20])[:, None]
_GLOW = np.array([260., 120., 180., 210., 130., 120., 150., 240.])  # of a lymphocyte, per detector
_GRAIN = np.array([7., 12., 6., 7., 8., 6., 6., 7.])                # units per photo-electron
# fmt: on

_BLOOD = {  # share of each kind among all events but doublets; CD4+ as a whole
    "debris": 0.12,
    "dead": 0.045,
    "monocyte": 0.13,
    "B": 0.08,
    "NK": 0.09,
    "CD8 naive": 0.08,
    "CD8 memory": 0.10,
    "CD4": 0.355,
}
_ENRICHED = {
    "debris": 0.02,
    "dead": 0.02,
    "monocyte": 0.015,
    "B": 0.05,
    "NK": 0.05,
    "CD8 naive": 0.08,
    "CD8 memory": 0.08,
    "CD4": 0.685,
}
_CONVENTIONAL = dict(zip(TCONV, (0.44, 0.47, 0.035, 0.035), strict=True))  # among Tconv

_SPILL = {  # share of the first dye's light in the second one's detector
    ("BV421-A", "BV510-A"): 0.080,
    ("BV421-A", "BV605-A"): 0.012,
    ("BV510-A", "BV421-A"): 0.025,
    ("BV510-A", "BV605-A"): 0.110,
    ("BV510-A", "FITC-A"): 0.010,
    ("BV605-A", "BV421-A"): 0.020,
    ("BV605-A", "PE-A"): 0.040,
    ("BV605-A", "APC-A"): 0.015,
    ("BV605-A", "PE-Cy7-A"): 0.010,
    ("FITC-A", "PE-A"): 0.075,
    ("FITC-A", "BV510-A"): 0.030,
    ("FITC-A", "BV605-A"): 0.010,
    ("PE-A", "BV605-A"): 0.070,
    ("PE-A", "FITC-A"): 0.008,
    ("PE-A", "PE-Cy7-A"): 0.030,
    ("PE-Cy7-A", "PE-A"): 0.020,
    ("PE-Cy7-A", "APC-Cy7-A"): 0.060,
    ("PE-Cy7-A", "APC-A"): 0.004,
    ("APC-A", "APC-Cy7-A"): 0.075,
    ("APC-A", "PE-Cy7-A"): 0.006,
    ("APC-Cy7-A", "APC-A"): 0.025,
    ("APC-Cy7-A", "PE-Cy7-A"): 0.022,
}

_LEANING = (  # kinds in which the second marker leans on the first, and the correlation it gains
    (TCONV, "CD25", "CD127", 0.45),
    (TREG, "CD25", "CD127", -0.25),
    (TREG, "CD25", "FOXP3", 0.40),
)

_ELECTRONIC = 30.0  # units of noise that no light explains
_TAIL = 0.03  # weight of the tails, Tukey's h


@dataclass(frozen=True, slots=True)
class Detector:
    """One channel of the cytometer.

    Parameters
    ----------
    name, stain : str
        ``$PnN`` and ``$PnS``.
    range : int
        ``$PnR``: values saturate one unit below it.
    kind : str
        ``scatter``, ``fluorescence`` or ``time``.
    """

    name: str
    stain: str
    range: int
    kind: Literal["scatter", "fluorescence", "time"]


DETECTORS = (
    *(Detector(f"{light}-{part}", "", 65_536, "scatter") for light in ("FSC", "SSC") for part in "AHW"),
    *(Detector(dye, marker, 262_144, "fluorescence") for dye, marker in zip(DYES, MARKERS, strict=True)),
    Detector("Time", "", 65_536, "time"),
)
"""Every channel of a tube, in file order."""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What each event of a tube is.

    Parameters
    ----------
    labels : ndarray of uint8, shape (n_events,)
        Places in `LABELS`.
    """

    labels: NDArray[np.uint8]

    def among(self, kinds: Sequence[str]) -> NDArray[np.bool_]:
        """Return which events are of some `kinds`; shape (n_events,)."""
        return np.isin(self.labels, [LABELS.index(kind) for kind in kinds])

    @property
    def live_singlets(self) -> NDArray[np.bool_]:
        """Which events are one living cell; shape (n_events,)."""
        return self.among((*LIVE, *TCONV, *TREG))

    @property
    def cd4(self) -> int:
        """Live single CD4+ T cells, Tregs included."""
        return int(self.among((*TCONV, *TREG)).sum())

    @property
    def tregs(self) -> int:
        """Live single Tregs."""
        return int(self.among(TREG).sum())

    @property
    def percent(self) -> float:
        """Tregs as percent of CD4+ T cells; NaN where there are none."""
        return 100 * self.tregs / self.cd4 if self.cd4 else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Tube:
    """One acquired tube.

    Parameters
    ----------
    row : mapping of str to str
        Its row of the sample sheet.
    values : ndarray of float32 or uint32, shape (n_events, n_channels)
        As stored: uncompensated, columns as in `DETECTORS`.
    spillover : ndarray, shape (n_dyes, n_dyes)
        True for this tube: share of the light of row i's dye in column j's detector, as in `DYES`.
    truth : Truth
    acquired : date
        The day on the cytometer.
    """

    row: Mapping[str, str]
    values: NDArray[Any]
    spillover: Floats
    truth: Truth
    acquired: date


@dataclass(frozen=True, slots=True)
class Settings:
    """What all tubes of a trial have in common; the parameters are those of `simulate`."""

    seed: int
    drift: float
    enriched: bool
    integers: bool
    fold: float
    cd25_fold: float


@dataclass(frozen=True, slots=True)
class Order:
    """A tube that has not been acquired yet.

    Parameters
    ----------
    row : mapping of str to str
        Its row of the sample sheet.
    settings : Settings
    donor : str
        Whose cells: a subject, or ``reference``.
    treated : bool
        Whether the cells were drawn under treatment.
    events : int
    acquired : date
        The day on the cytometer.
    """

    row: Mapping[str, str]
    settings: Settings
    donor: str
    treated: bool
    events: int
    acquired: date


@dataclass(frozen=True, slots=True)
class Trial:
    """Tubes that are made when they are asked for, one at a time.

    Parameters
    ----------
    orders : tuple of Order
        Run by run, the subjects' tubes first.
    """

    orders: tuple[Order, ...] = field(repr=False)

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
) -> Trial:
    """Plan a trial whose truth is known.

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

    Returns
    -------
    Trial
        Iterate over it for its tubes.

    Raises
    ------
    InputError
        If a number is below what makes a trial, or the visits cannot be told apart or written.

    Examples
    --------
    >>> trial = simulate(subjects=2, events=5_000, seed=7, controls=False)
    >>> [tube.row["sample"] for tube in trial]
    ['S01_W00', 'S02_W00', 'S01_W12', 'S02_W12']
    """
    _require(1, subjects=subjects, subjects_per_run=subjects_per_run)
    _require(1, events=events, control_events=control_events)
    _require(0, seed=seed, drift=drift, fold=fold, cd25_fold=cd25_fold)
    _require_visits(visits)
    settings = Settings(seed, drift, enriched, integers, fold, cd25_fold)
    orders: list[Order] = []
    for first in range(1, subjects + 1, subjects_per_run):
        group = range(first, min(first + subjects_per_run, subjects + 1))
        for place, visit in enumerate(visits):
            number = (first - 1) // subjects_per_run * len(visits) + place + 1
            run = _Run(number, visit, place, settings)
            orders += [run.order(subject, "full", events) for subject in group]
            orders += _controls(run, first, events, control_events) if controls else []
    return Trial(tuple(orders))


def _require(least: int, **numbers: float) -> None:
    for name, number in numbers.items():
        if not number >= least:
            raise InputError(Finding("E-USAGE", f"{name} is {number:g}, but a trial needs at least {least}"))


def _require_visits(visits: Sequence[str]) -> None:
    if not visits or len({visit.casefold() for visit in visits}) < len(visits):
        sentence = f"visits are {', '.join(visits) or 'none'}; a trial needs at least one, each named once"
        raise InputError(Finding("E-USAGE", sentence))
    for visit in visits:
        if not re.fullmatch(r"[A-Za-z0-9._-]+", visit):
            sentence = f'visit "{visit}" cannot name a file; use letters, digits, ".", "_" and "-"'
            raise InputError(Finding("E-USAGE", sentence))


# ---------------------------------------------------------------------------------- who and when


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
        return Order(row, self.settings, "reference", False, events, self.acquired)


def _row(stem: str, tube: str, run: str, **whose: str) -> dict[str, str]:
    """Return a row of the sample sheet; what a tube has none of stays empty."""
    nobody = {"subject": "", "visit": ""}
    row = {"file": f"fcs/{stem}.fcs", "sample": stem, **nobody, "tube": tube, "run": run}
    return row | {"collected": "", "day0": "", "material": "frozen"} | whose


def _controls(run: _Run, subject: int, events: int, control_events: int) -> list[Order]:
    few = max(1, control_events // 3)
    return [
        *(run.order(subject, f"fmo:{marker}", control_events) for marker in FMO),
        *(run.order(subject, f"single:{marker}", few) for marker in MARKERS),
        run.order(subject, "unstained", few),
        run.reference(events),
    ]


def _day(visit: str, place: int) -> int:
    """Return the days from the first dose to a visit."""
    week = re.fullmatch(r"[Ww](\d{1,3})", visit)
    return 7 * int(week[1]) if week else 84 * place


def _generator(settings: Settings, *key: str) -> np.random.Generator:
    return np.random.default_rng([settings.seed, int.from_bytes("|".join(key).encode(), "little")])


# ---------------------------------------------------------------------------------- the donor


@dataclass(frozen=True, slots=True, eq=False)
class _Donor:
    shares: dict[str, float]  # of all events but doublets, by kind
    doublets: float  # share of the cells that pass the laser in twos
    brightness: Floats  # decades that this donor's cells have more of, shape (n_markers,)
    treg_cd25: float  # decades that treatment adds


def _donor(settings: Settings, name: str) -> _Donor:
    """Return a donor as nature made them, before treatment."""
    rng = _generator(settings, "donor", name)
    shares = _varied(rng, 0.15, _ENRICHED if settings.enriched else _BLOOD)
    conventional = _varied(rng, 0.15, _CONVENTIONAL)
    tregs, resting = 0.04 + 0.08 * rng.beta(2, 3.5), rng.uniform(0.22, 0.42)
    cd4 = shares.pop("CD4")
    shares |= {kind: cd4 * (1 - tregs) * share for kind, share in conventional.items()}
    shares |= {"Treg resting": cd4 * tregs * resting, "Treg effector": cd4 * tregs * (1 - resting)}
    doublets = rng.uniform(0.015, 0.025) if settings.enriched else rng.uniform(0.03, 0.05)
    return _Donor(shares, doublets, 0.03 * rng.standard_normal(len(MARKERS)), 0.0)


def _varied(rng: np.random.Generator, spread: float, shares: Mapping[str, float]) -> dict[str, float]:
    """Return shares that sum to one, each multiplied by a lognormal factor of some spread."""
    factors = np.exp(spread * rng.standard_normal(len(shares)))
    varied = dict(zip(shares, factors * list(shares.values()), strict=True))
    total = sum(varied.values())
    return {kind: float(share / total) for kind, share in varied.items()}


def _treated(settings: Settings, name: str, donor: _Donor) -> _Donor:
    """Return the donor under treatment: more Tregs, at the cost of the other CD4+, with more CD25."""
    rng = _generator(settings, "response", name)
    cd4 = sum(donor.shares[kind] for kind in (*TCONV, *TREG))
    before = sum(donor.shares[kind] for kind in TREG) / cd4
    after = min(0.4, before * settings.fold * np.exp(0.15 * rng.standard_normal()))
    factors = dict.fromkeys(TREG, after / before) | dict.fromkeys(TCONV, (1 - after) / (1 - before))
    shares = {kind: share * factors.get(kind, 1.0) for kind, share in donor.shares.items()}
    cd25 = float(np.log10(max(settings.cd25_fold, 1e-3)) + 0.025 * rng.standard_normal())
    return replace(donor, shares=shares, treg_cd25=cd25)


def _drawn(order: Order) -> _Donor:
    """Return the donor on the day of the draw: treated or not, and a little different every time."""
    donor = _donor(order.settings, order.donor)
    if order.treated:
        donor = _treated(order.settings, order.donor, donor)
    rng = _generator(order.settings, "draw", order.donor, order.row["visit"])
    return replace(donor, shares=_varied(rng, 0.05, donor.shares))


# ---------------------------------------------------------------------------------- the cells


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    labels: NDArray[np.uint8]  # (n_events,)
    area: Floats  # forward and side scatter, (2, n_events)
    height: Floats  # likewise
    light: Floats  # in each dye's detector, (n_dyes, n_events)


def acquire(order: Order) -> Tube:
    """Make the events of one tube.

    Parameters
    ----------
    order : Order
        One of a trial's.

    Returns
    -------
    Tube
        Always the same for one order.
    """
    row, settings = order.row, order.settings
    rng = _generator(settings, row["run"], order.donor, row["visit"], row["tube"])
    cytometer = _cytometer(settings, row["run"])
    cells = _passing(rng, _drawn(order), _stained(row["tube"]), cytometer, order.events)
    columns = [
        *_scattered(rng, cells, cytometer),
        *_detected(rng, cells, cytometer),
        _time(rng, order.events),
    ]
    values = _stored(columns, settings.integers)
    return Tube(row, values, cytometer.spillover, Truth(cells.labels), order.acquired)


def _passing(
    rng: np.random.Generator, donor: _Donor, stained: Floats, cytometer: _Cytometer, events: int
) -> _Cells:
    """Return the cells as they pass the laser, before any noise."""
    shares = np.array([donor.shares.get(kind, 0.0) for kind in LABELS])
    labels = rng.choice(len(LABELS), events, p=shares / shares.sum()).astype(np.uint8)
    size = rng.standard_normal(events)
    area = _area(rng, labels, size)
    height = 0.8 * area * (1 + 0.035 * rng.standard_normal(area.shape))
    dye = stained[:, None] * 10 ** _decades(rng, labels, size, donor)
    light = _mixed(cytometer.gains[:, None] * dye, cytometer.spillover)
    light += (cytometer.gains * _GLOW)[:, None] * _glow(rng, labels, size)
    return _paired(rng, _Cells(labels, area, height, light), donor.doublets)


def _stained(tube: str) -> Floats:
    """Return 1 for each marker that is in the tube and 0 for the others; shape (n_markers,)."""
    kind, _, marker = tube.partition(":")
    every = set(MARKERS)
    left_out = {"fmo": {marker}, "single": every - {marker}, "unstained": every}.get(kind, set())
    return np.array([float(name not in left_out) for name in MARKERS])


def _by_label(table: Mapping[str, Sequence[float]]) -> Floats:
    """Return a table's columns over `LABELS`, doublets empty; shape (n_columns, n_labels)."""
    nothing = (0.0,) * len(table["dead"])
    return np.array([table.get(kind, nothing) for kind in LABELS]).T


_SCATTER_BY_LABEL = _by_label(_SCATTER)
_STAIN_BY_LABEL = _by_label(_STAIN)
_SPREAD_BY_LABEL = _by_label(_SPREAD)


def _area(rng: np.random.Generator, labels: NDArray[np.uint8], size: Floats) -> Floats:
    medians, spreads = _SCATTER_BY_LABEL[:2, labels], _SCATTER_BY_LABEL[2:4, labels]
    own = rng.standard_normal((2, labels.size))
    return np.asarray(medians * 10 ** (spreads * (0.6 * size + 0.8 * own)))


def _decades(rng: np.random.Generator, labels: NDArray[np.uint8], size: Floats, donor: _Donor) -> Floats:
    """Return each marker's brightness on each cell, log10 units; shape (n_markers, n_events)."""
    with_size = np.where(labels == LABELS.index("dead"), 0.85, 0.30)
    score = with_size * size + np.sqrt(1 - with_size**2) * rng.standard_normal((len(MARKERS), labels.size))
    for kinds, first, second, correlation in _LEANING:
        rows = np.flatnonzero(Truth(labels).among(kinds))
        lead, own = MARKERS.index(first), MARKERS.index(second)
        score[own, rows] = correlation * score[lead, rows] + np.sqrt(1 - correlation**2) * score[own, rows]
    score = np.expm1(_SKEW * score) / _SKEW * np.exp(_TAIL / 2 * score**2)  # Tukey's g and h
    decades = _STAIN_BY_LABEL[:, labels] + _SPREAD_BY_LABEL[:, labels] * score + donor.brightness[:, None]
    decades[MARKERS.index("CD25"), Truth(labels).among(TREG)] += donor.treg_cd25
    return np.asarray(decades)


def _glow(rng: np.random.Generator, labels: NDArray[np.uint8], size: Floats) -> Floats:
    """Return each cell's autofluorescence, a lymphocyte's being 1; shape (n_events,)."""
    decades = 0.06 * size + 0.07 * rng.standard_normal(labels.size)
    return np.asarray(_SCATTER_BY_LABEL[4, labels] * 10**decades)


def _mixed(bright: Floats, spillover: Floats) -> Floats:
    """Return what each detector sees of all dyes, added dye by dye in a fixed order; same shape."""
    seen = bright.copy()
    for row, column in np.argwhere(spillover - np.eye(len(DYES))):
        seen[column] += spillover[row, column] * bright[row]
    return seen


def _paired(rng: np.random.Generator, cells: _Cells, share: float) -> _Cells:
    """Return the cells after some met another in the laser: areas and light add, heights hardly."""
    whole = np.flatnonzero(cells.labels != LABELS.index("debris"))
    first = whole[rng.random(whole.size) < share]
    second = whole[rng.integers(0, max(whole.size, 1), first.size)]
    low, high = np.sort([cells.height[:, first], cells.height[:, second]], axis=0)
    labels, area = cells.labels.copy(), cells.area.copy()
    height, light = cells.height.copy(), cells.light.copy()
    labels[first] = LABELS.index("doublet")
    area[:, first] += cells.area[:, second]
    light[:, first] += cells.light[:, second]
    height[:, first] = high + rng.beta(1, 5, first.size) * low
    return _Cells(labels, area, height, light)


# ---------------------------------------------------------------------------------- the cytometer


@dataclass(frozen=True, slots=True, eq=False)
class _Cytometer:
    gains: Floats  # of each dye's detector, (n_dyes,)
    scatter_gains: Floats  # forward and side, (2,)
    spillover: Floats


def _cytometer(settings: Settings, run: str) -> _Cytometer:
    """Return the detectors as they stand in a run, and the matrix that its single stains would give."""
    rng = _generator(settings, "run", run)
    gains = 10 ** (settings.drift * rng.standard_normal(len(DYES)))
    scatter_gains = 10 ** (0.2 * settings.drift * rng.standard_normal(2))
    spillover = np.eye(len(DYES))
    for (dye, detector), share in _SPILL.items():
        row, column = DYES.index(dye), DYES.index(detector)
        spillover[row, column] = round(share * gains[column] / gains[row], 6)  # as a file holds it
    return _Cytometer(gains, scatter_gains, spillover)


def _scattered(rng: np.random.Generator, cells: _Cells, cytometer: _Cytometer) -> Iterator[Floats]:
    """Yield area, height and width of forward, then of side scatter; shape (n_events,) each."""
    for gain, area, height in zip(cytometer.scatter_gains, cells.area, cells.height, strict=True):
        width = 17_000 * area / height * (1 + 0.02 * rng.standard_normal(area.size))
        yield from (gain * area, gain * height, width)


def _detected(rng: np.random.Generator, cells: _Cells, cytometer: _Cytometer) -> Floats:
    """Return light with the noise of photons and electronics; shape (n_dyes, n_events)."""
    photons = (_GRAIN * cytometer.gains)[:, None] * cells.light
    return cells.light + np.sqrt(photons + _ELECTRONIC**2) * rng.standard_normal(photons.shape)


def _time(rng: np.random.Generator, events: int) -> Floats:
    """Return when each event passed, in units of `TIMESTEP`; a tube is over within ten minutes."""
    per_second = max(2_500.0, events / 600)
    return np.cumsum(rng.exponential(1 / per_second, events)) / TIMESTEP


def _stored(columns: Sequence[Floats], integers: bool) -> NDArray[Any]:
    """Return what the file holds; shape (n_events, n_channels)."""
    values = np.empty((columns[0].size, len(columns)), np.uint32 if integers else np.float32)
    for place, (column, detector) in enumerate(zip(columns, DETECTORS, strict=True)):
        seen = np.minimum(column, detector.range - 1)
        values[:, place] = np.maximum(np.rint(seen), 0) if integers else seen
    return values
