"""What is stained, with which dyes, and the detectors that see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MARKERS = ("LD", "CD3", "CD4", "CD8", "CD25", "CD127", "FOXP3", "CD45RA")
"""What is stained, in the order of `DYES`."""

DYES = ("BV510-A", "APC-Cy7-A", "BV421-A", "BV605-A", "PE-Cy7-A", "APC-A", "PE-A", "FITC-A")
"""The detector that belongs to each marker's dye."""

OTHER_DYES = {"CD25": "BB700-A", "CD127": "BV711-A", "FOXP3": "PE-CF594-A"}
"""The detector of the dye that a marker is bought with where its own is not to be had."""

FMO = ("CD25", "CD127", "FOXP3")
"""The markers that a run leaves out one at a time."""

TIMESTEP = 0.01
"""Seconds per unit of Time."""


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


def dyes(other: str = "") -> tuple[str, ...]:
    """Return the dye's detector of each marker, in the order of `MARKERS`.

    Parameters
    ----------
    other : str, default ""
        A marker of `OTHER_DYES` that has its other dye; none where it is empty.
    """
    return tuple(
        OTHER_DYES[marker] if marker == other else dye for marker, dye in zip(MARKERS, DYES, strict=True)
    )


def detectors(other: str = "") -> tuple[Detector, ...]:
    """Return every channel of a tube, in file order; `other` as in `dyes`."""
    return (
        *(Detector(f"{light}-{part}", "", 65_536, "scatter") for light in ("FSC", "SSC") for part in "AHW"),
        *(
            Detector(dye, marker, 262_144, "fluorescence")
            for dye, marker in zip(dyes(other), MARKERS, strict=True)
        ),
        Detector("Time", "", 65_536, "time"),
    )


DETECTORS = detectors()
"""Every channel of a tube that is stained with `DYES`, in file order."""
