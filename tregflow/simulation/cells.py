"""The cells as they pass the laser: how large, how much of each dye, how much glow; two at a time as doublets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tregflow.simulation.cytometer import Cytometer
from tregflow.simulation.donors import Donor
from tregflow.simulation.order import Order
from tregflow.simulation.panel import MARKERS
from tregflow.simulation.truth import LABELS, TCONV, TREG, Truth

Floats = NDArray[np.float64]

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
_STICKY = {"CD25": (3.50, .25), "FOXP3": (3.15, .25)}  # decades of dye that a sticky cell holds, spread
# fmt: on

_LEANING = (  # kinds in which the second marker leans on the first, and the correlation it gains
    (TCONV, "CD25", "CD127", 0.45),
    (TREG, "CD25", "CD127", -0.25),
    (TREG, "CD25", "FOXP3", 0.40),
)

_TAIL = 0.03  # weight of the tails, Tukey's h
_WITHOUT_CD3 = ("monocyte", "B", "NK")


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Cells as they pass the laser, before any noise.

    Parameters
    ----------
    labels : ndarray of uint8, shape (n_events,)
        Places in `LABELS`.
    area, height : ndarray, shape (2, n_events)
        Forward and side scatter.
    light : ndarray, shape (n_dyes, n_events)
        In each dye's detector.
    """

    labels: NDArray[np.uint8]
    area: Floats
    height: Floats
    light: Floats


def passing(rng: np.random.Generator, order: Order, donor: Donor, cytometer: Cytometer) -> Cells:
    """Return the cells of a tube as they pass the laser.

    Parameters
    ----------
    rng : Generator
        The tube's.
    order : Order
    donor : Donor
        On the day of the draw.
    cytometer : Cytometer
        Of the tube's run.
    """
    shares = np.array([donor.shares.get(kind, 0.0) for kind in LABELS])
    labels = rng.choice(len(LABELS), order.events, p=shares / shares.sum()).astype(np.uint8)
    size = rng.standard_normal(order.events)
    area = _area(rng, labels, size)
    height = 0.8 * area * (1 + 0.035 * rng.standard_normal(area.shape))
    bound = 10 ** _decades(rng, labels, size, donor, order.settings.tails)
    _stick(bound, labels, order)
    dye = (_stained(order) * cytometer.stains)[:, None] * bound
    light = _mixed(cytometer.gains[:, None] * dye, cytometer.mixing)
    light += (cytometer.gains * cytometer.glow)[:, None] * _glow(rng, labels, size)
    return _paired(rng, Cells(labels, area, height, light), donor.doublets)


def _stained(order: Order) -> Floats:
    """Return 1 for each marker whose stain is in the tube and 0 for the others; shape (n_markers,)."""
    kind, _, marker = order.row["tube"].partition(":")
    every = set(MARKERS)
    left_out = {"fmo": {marker}, "single": every - {marker}, "unstained": every}.get(kind, set())
    left_out = left_out | set(order.settings.failed)
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


def _decades(
    rng: np.random.Generator, labels: NDArray[np.uint8], size: Floats, donor: Donor, tails: float
) -> Floats:
    """Return each marker's brightness on each cell, log10 units; shape (n_markers, n_events)."""
    with_size = np.where(labels == LABELS.index("dead"), 0.85, 0.30)
    score = with_size * size + np.sqrt(1 - with_size**2) * rng.standard_normal((len(MARKERS), labels.size))
    for kinds, first, second, correlation in _LEANING:
        rows = np.flatnonzero(Truth(labels).among(kinds))
        lead, own = MARKERS.index(first), MARKERS.index(second)
        score[own, rows] = correlation * score[lead, rows] + np.sqrt(1 - correlation**2) * score[own, rows]
    skewed = _tailed(score, tails)
    decades = _STAIN_BY_LABEL[:, labels] + _SPREAD_BY_LABEL[:, labels] * skewed + donor.brightness[:, None]
    for cells, marker, more in donor.brightened:
        decades[MARKERS.index(marker), Truth(labels).among(cells)] += more
    return np.asarray(decades)


def _tailed(score: Floats, tails: float) -> Floats:
    """Return normal scores with skew and tails: Tukey's g and h, both multiplied by `tails`; same shape."""
    skew = _SKEW * max(tails, 1e-6)  # the formula has a gap at no skew
    return np.asarray(np.expm1(skew * score) / skew * np.exp(_TAIL * tails / 2 * score**2))


def _stick(bound: Floats, labels: NDArray[np.uint8], order: Order) -> None:
    """Add the antibody that binds where its marker is not, cell by cell; the cells stay the same otherwise."""
    settings = order.settings
    if settings.sticky:
        rng = settings.generator("sticky", *order.key)
        cells = Truth(labels).among(_WITHOUT_CD3) & (rng.random(labels.size) < settings.sticky)
        for marker, (median, spread) in _STICKY.items():
            more = 10 ** (median + spread * rng.standard_normal(labels.size))
            bound[MARKERS.index(marker)] += np.where(cells, more, 0.0)
    if settings.foxp3_background:
        rng = settings.generator("background", *order.key)
        more = settings.foxp3_background * 10 ** (0.25 * rng.standard_normal(labels.size))
        bound[MARKERS.index("FOXP3")] += np.where(labels == LABELS.index("debris"), 0.0, more)


def _glow(rng: np.random.Generator, labels: NDArray[np.uint8], size: Floats) -> Floats:
    """Return each cell's autofluorescence, a lymphocyte's being 1; shape (n_events,)."""
    decades = 0.06 * size + 0.07 * rng.standard_normal(labels.size)
    return np.asarray(_SCATTER_BY_LABEL[4, labels] * 10**decades)


def _mixed(bright: Floats, mixing: Floats) -> Floats:
    """Return what each detector sees of all dyes, added dye by dye in a fixed order; same shape."""
    seen = bright.copy()
    for row, column in np.argwhere(mixing - np.eye(len(mixing))):
        seen[column] += mixing[row, column] * bright[row]
    return seen


def _paired(rng: np.random.Generator, cells: Cells, share: float) -> Cells:
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
    return Cells(labels, area, height, light)
