"""What a trial is asked to be: how much drifts, what treatment does, what goes wrong and at which visit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np

from tregflow.errors import Finding, InputError, nearest
from tregflow.simulation.panel import FMO, MARKERS, OTHER_DYES


@dataclass(frozen=True, slots=True)
class Shift:
    """A fixed shift of one dye, in every tube of a run.

    Parameters
    ----------
    marker : str
        One of `MARKERS`.
    amount : float
        Decades of gain or stain, units of offset; below 0 for less.
    of : str, default ``stain``
        ``gain`` of the detector, for stained and unstained light alike, with the spillover matrix that
        goes with it; ``stain``, how bright the bound dye is, the cell's own glow left alone; or
        ``offset``, units added to every event.
    """

    marker: str
    amount: float
    of: Literal["gain", "stain", "offset"] = "stain"

    def __str__(self) -> str:
        return f"{self.marker} {self.of} {self.amount:+g}"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the tubes of a trial have in common; the parameters are those of `simulate`."""

    seed: int = 1
    drift: float = 0.05
    enriched: bool = False
    integers: bool = False
    fold: float = 1.7
    cd25_fold: float = 1.3
    foxp3_fold: float = 1.0
    tconv_cd25_fold: float = 1.0
    tails: float = 1.0
    stain_drift: float = 0.0
    offset_drift: float = 0.0
    compensation_drift: float = 0.0
    shifts: tuple[Shift, ...] = ()
    cd4: int = 0
    dead: float | None = None
    sticky: float = 0.0
    activated: float = 0.035
    foxp3_background: float = 0.0
    failed: tuple[str, ...] = ()
    fmo: tuple[str, ...] = FMO
    other_dye: str = ""
    at: str = ""

    def during(self, visit: str) -> Settings:
        """Return the settings of a visit's runs: without the troubles that hold at another visit."""
        return self if self.at in ("", visit) else self._without(TROUBLES)

    @property
    def healthy(self) -> Settings:
        """The settings for a donor who is not the trial's: the subjects' own troubles left out."""
        return self._without(("dead", "activated"))

    def _without(self, names: Iterable[str]) -> Settings:
        return replace(self, **{name: _DEFAULTS[name] for name in names})

    def generator(self, *key: str) -> np.random.Generator:
        """Return the generator that belongs to a key: the same whatever else is drawn."""
        return np.random.default_rng([self.seed, int.from_bytes("|".join(key).encode(), "little")])


_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Settings)}

TROUBLES = (
    "stain_drift",
    "offset_drift",
    "compensation_drift",
    "shifts",
    "cd4",
    "dead",
    "sticky",
    "activated",
    "foxp3_background",
    "failed",
    "fmo",
    "other_dye",
)
"""The settings that may hold at one visit only."""


_FROM_ZERO = (
    "seed",
    "drift",
    "fold",
    "cd25_fold",
    "foxp3_fold",
    "tconv_cd25_fold",
    "tails",
    "stain_drift",
    "offset_drift",
    "compensation_drift",
    "cd4",
    "foxp3_background",
)


def require(least: float, **numbers: float) -> None:
    """Refuse numbers below the least that makes a trial.

    Raises
    ------
    InputError
        ``E-USAGE``, which names the number.
    """
    for name, number in numbers.items():
        if not number >= least:
            raise _refused(f"{name} is {number:g}, but a trial needs at least {least:g}")


def require_visits(visits: Iterable[str], at: str) -> None:
    """Refuse visits that cannot be told apart or written, and troubles at a visit that is none of them.

    Raises
    ------
    InputError
        ``E-USAGE``, which names the visit.
    """
    visits = tuple(visits)
    if not visits or len({visit.casefold() for visit in visits}) < len(visits):
        told = ", ".join(visits) or "none"
        raise _refused(f"visits are {told}; a trial needs at least one, each named once")
    for visit in visits:
        if not re.fullmatch(r"[A-Za-z0-9._-]+", visit):
            raise _refused(f'visit "{visit}" cannot name a file; use letters, digits, ".", "_" and "-"')
    if at and at not in visits:
        raise _refused(f'at is "{at}", which is no visit of this trial{nearest(at, visits)}')


def require_settings(settings: Settings) -> None:
    """Refuse settings that no blood or cytometer can have.

    Raises
    ------
    InputError
        ``E-USAGE``, which names the setting and what was seen.
    """
    require(0, **{name: getattr(settings, name) for name in _FROM_ZERO})
    shares = {"dead": settings.dead or 0.0, "sticky": settings.sticky, "activated": settings.activated}
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise _refused(f"{name} is {share:g}, but it is a share from 0 to below 1")
    stained = (*settings.failed, *settings.fmo, *(shift.marker for shift in settings.shifts))
    _require_known("marker", stained, MARKERS)
    _require_known("marker with another dye", filter(None, [settings.other_dye]), OTHER_DYES)
    _require_known("kind of shift", (shift.of for shift in settings.shifts), ("gain", "stain", "offset"))
    for shift in settings.shifts:
        if not np.isfinite(shift.amount):
            raise _refused(f"the shift of {shift.marker} is {shift.amount:g}, but it is a finite number")


def _require_known(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    known = tuple(known)
    for name in names:
        if name not in known:
            raise _refused(f'"{name}" is no {what} of a trial; there are {", ".join(known)}')


def _refused(sentence: str) -> InputError:
    return InputError(Finding("E-USAGE", sentence))
