"""The detectors as they stand in a run: gains, spillover, how bright the run was stained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tregflow.simulation.panel import MARKERS, dyes
from tregflow.simulation.settings import Settings

Floats = NDArray[np.float64]

# fmt: off
_DETECTED = {  # decades against the marker's first dye, glow of a lymphocyte, units per photo-electron
    "BV510-A":    (.00, 260.,  7.),
    "APC-Cy7-A":  (.00, 120., 12.),
    "BV421-A":    (.00, 180.,  6.),
    "BV605-A":    (.00, 210.,  7.),
    "PE-Cy7-A":   (.00, 130.,  8.),
    "APC-A":      (.00, 120.,  6.),
    "PE-A":       (.00, 150.,  6.),
    "FITC-A":     (.00, 240.,  7.),
    "BB700-A":    (-.25, 160., 10.),
    "BV711-A":    (-.15, 140.,  8.),
    "PE-CF594-A": (-.20, 180.,  7.),
}
# fmt: on

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
    # the other dyes
    ("PE-CF594-A", "BV605-A"): 0.100,
    ("PE-CF594-A", "PE-Cy7-A"): 0.050,
    ("PE-CF594-A", "APC-A"): 0.020,
    ("BV605-A", "PE-CF594-A"): 0.120,
    ("FITC-A", "PE-CF594-A"): 0.030,
    ("PE-Cy7-A", "PE-CF594-A"): 0.015,
    ("BB700-A", "PE-A"): 0.012,
    ("BB700-A", "APC-A"): 0.040,
    ("BB700-A", "APC-Cy7-A"): 0.050,
    ("BV605-A", "BB700-A"): 0.030,
    ("FITC-A", "BB700-A"): 0.020,
    ("PE-A", "BB700-A"): 0.060,
    ("BV711-A", "BV421-A"): 0.030,
    ("BV711-A", "APC-Cy7-A"): 0.060,
    ("BV711-A", "PE-Cy7-A"): 0.020,
    ("BV510-A", "BV711-A"): 0.030,
    ("BV605-A", "BV711-A"): 0.080,
    ("APC-Cy7-A", "BV711-A"): 0.030,
    ("PE-Cy7-A", "BV711-A"): 0.030,
}


@dataclass(frozen=True, slots=True, eq=False)
class Cytometer:
    """The detectors as they stand in a run, for the dyes of `MARKERS` in their order.

    Parameters
    ----------
    dyes : tuple of str
        The detector of each dye.
    gains : ndarray, shape (n_dyes,)
        Factor on all light of a detector.
    scatter_gains : ndarray, shape (2,)
        Likewise of forward and side scatter.
    stains : ndarray, shape (n_dyes,)
        Factor on the light of the dye on every cell, against a usual run's with the usual dye.
    offsets : ndarray, shape (n_dyes,)
        Units added to every event.
    mixing : ndarray, shape (n_dyes, n_dyes)
        Share of the light of row i's dye in column j's detector.
    spillover : ndarray, shape (n_dyes, n_dyes)
        The same as the run's single stains gave it and its files state it, off by the compensation error.
    glow : ndarray, shape (n_dyes,)
        Light of an unstained lymphocyte in each detector of gain 1, units.
    grain : ndarray, shape (n_dyes,)
        Units per photo-electron at gain 1.
    """

    dyes: tuple[str, ...]
    gains: Floats
    scatter_gains: Floats
    stains: Floats
    offsets: Floats
    mixing: Floats
    spillover: Floats
    glow: Floats
    grain: Floats


def cytometer_of(settings: Settings, run: str) -> Cytometer:
    """Return the detectors as they stand in a run; each sort of drift has a generator of its own."""
    rng = settings.generator("run", run)
    gains = 10 ** (settings.drift * rng.standard_normal(len(MARKERS)) + _shifts(settings, "gain"))
    scatter_gains = 10 ** (0.2 * settings.drift * rng.standard_normal(2))
    names = dyes(settings.other_dye)
    fainter, glow, grain = np.array([_DETECTED[name] for name in names]).T
    stains = 10 ** (_drifted(settings, "stain", settings.stain_drift, run) + fainter)
    offsets = _drifted(settings, "offset", settings.offset_drift, run)
    mixing = _mixing(names, gains)
    spillover = _stated(settings, run, mixing)
    return Cytometer(names, gains, scatter_gains, stains, offsets, mixing, spillover, glow, grain)


def _shifts(settings: Settings, sort: str) -> Floats:
    """Return the fixed shifts of one sort, one number a marker."""
    amounts = np.zeros(len(MARKERS))
    for shift in settings.shifts:
        amounts[MARKERS.index(shift.marker)] += shift.amount if shift.of == sort else 0.0
    return amounts


def _drifted(settings: Settings, sort: str, spread: float, run: str) -> Floats:
    """Return a run's drift of one sort with the fixed shifts, one number a marker."""
    rng = settings.generator(sort, run)
    return spread * rng.standard_normal(len(MARKERS)) + _shifts(settings, sort)


def _mixing(names: tuple[str, ...], gains: Floats) -> Floats:
    """Return the share of each dye's light in each detector, which turns with the gains."""
    mixing = np.eye(len(names))
    for (dye, detector), share in _SPILL.items():
        if dye in names and detector in names:
            row, column = names.index(dye), names.index(detector)
            mixing[row, column] = round(share * gains[column] / gains[row], 6)  # as a file holds it
    return mixing


def _stated(settings: Settings, run: str, mixing: Floats) -> Floats:
    """Return the matrix with the error that its single stains gave it, relative to each coefficient."""
    rng = settings.generator("compensation", run)
    wrong = np.maximum(1 + settings.compensation_drift * rng.standard_normal(mixing.shape), 0)
    np.fill_diagonal(wrong, 1)
    return np.asarray(np.round(mixing * wrong, 6))
