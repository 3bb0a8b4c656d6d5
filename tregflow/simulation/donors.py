"""Whose blood it is: the share of each kind of cell, and what treatment does to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tregflow.simulation.order import Order
from tregflow.simulation.panel import MARKERS
from tregflow.simulation.settings import Settings
from tregflow.simulation.truth import TCONV, TREG

Floats = NDArray[np.float64]

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


@dataclass(frozen=True, slots=True, eq=False)
class Donor:
    """Whose blood is in a tube.

    Parameters
    ----------
    shares : dict of str to float
        Of all events but doublets, by kind; they sum to one.
    doublets : float
        Share of the cells that pass the laser in twos.
    brightness : ndarray, shape (n_markers,)
        Decades of each marker that this donor's cells have more of.
    brightened : tuple of (tuple of str, str, float)
        Kinds of cell, a marker, and the decades of it that treatment adds to them.
    """

    shares: dict[str, float]
    doublets: float
    brightness: Floats
    brightened: tuple[tuple[tuple[str, ...], str, float], ...] = ()

    @property
    def cd4(self) -> float:
        """Share of live CD4+ T cells among all events, those lost in doublets left out."""
        return (1 - self.doublets) * sum(self.shares[kind] for kind in (*TCONV, *TREG))


def drawn(order: Order) -> Donor:
    """Return the donor on the day of the draw: treated or not, and a little different every time."""
    donor = _donor(order.settings, order.donor)
    if order.treated:
        donor = _treated(order.settings, order.donor, donor)
    rng = order.settings.generator("draw", order.donor, order.row["visit"])
    return replace(donor, shares=_varied(rng, 0.05, donor.shares))


def _donor(settings: Settings, name: str) -> Donor:
    """Return a donor as nature made them, before treatment."""
    rng = settings.generator("donor", name)
    shares = _varied(rng, 0.15, _ENRICHED if settings.enriched else _BLOOD)
    conventional = _activated(_varied(rng, 0.15, _CONVENTIONAL), settings.activated)
    tregs, resting = 0.04 + 0.08 * rng.beta(2, 3.5), rng.uniform(0.22, 0.42)
    cd4 = shares.pop("CD4")
    shares |= {kind: cd4 * (1 - tregs) * share for kind, share in conventional.items()}
    shares |= {"Treg resting": cd4 * tregs * resting, "Treg effector": cd4 * tregs * (1 - resting)}
    doublets = rng.uniform(0.015, 0.025) if settings.enriched else rng.uniform(0.03, 0.05)
    brightness = 0.03 * rng.standard_normal(len(MARKERS))
    return Donor(_dying(shares, settings.dead), doublets, brightness)


def _varied(rng: np.random.Generator, spread: float, shares: Mapping[str, float]) -> dict[str, float]:
    """Return shares that sum to one, each multiplied by a lognormal factor of some spread."""
    factors = np.exp(spread * rng.standard_normal(len(shares)))
    varied = dict(zip(shares, factors * list(shares.values()), strict=True))
    total = sum(varied.values())
    return {kind: float(share / total) for kind, share in varied.items()}


def _activated(conventional: Mapping[str, float], usual: float) -> dict[str, float]:
    """Return the kinds of Tconv when so many are activated in the usual donor; each keeps being unusual."""
    before = conventional["Tconv activated"]
    after = min(0.95, before * usual / _CONVENTIONAL["Tconv activated"])
    rest = (1 - after) / (1 - before)
    return {kind: share * rest for kind, share in conventional.items()} | {"Tconv activated": after}


def _dying(shares: dict[str, float], dead: float | None) -> dict[str, float]:
    """Return the shares when so many of all cells are dead, whatever kind they were."""
    if dead is None:
        return shares
    cells = 1 - shares["debris"]
    alive = cells * (1 - dead) / (cells - shares["dead"])
    kept = {"debris": shares["debris"], "dead": cells * dead}
    return {kind: share * alive for kind, share in shares.items()} | kept


def _treated(settings: Settings, name: str, donor: Donor) -> Donor:
    """Return the donor under treatment: more Tregs, at the cost of the other CD4+, and brighter cells."""
    rng = settings.generator("response", name)
    cd4 = sum(donor.shares[kind] for kind in (*TCONV, *TREG))
    before = sum(donor.shares[kind] for kind in TREG) / cd4
    after = min(0.4, before * settings.fold * np.exp(0.15 * rng.standard_normal()))
    factors = dict.fromkeys(TREG, after / before) | dict.fromkeys(TCONV, (1 - after) / (1 - before))
    shares = {kind: share * factors.get(kind, 1.0) for kind, share in donor.shares.items()}
    cd25 = _logged(settings.cd25_fold) + 0.025 * float(rng.standard_normal())
    more = 1 + 0.1 * settings.generator("brightening", name).standard_normal(2)
    foxp3, tconv = more * [_logged(settings.foxp3_fold), _logged(settings.tconv_cd25_fold)]
    brightened = (
        (TREG, "CD25", cd25),
        (TREG, "FOXP3", float(foxp3)),
        (("Tconv activated",), "CD25", float(tconv)),
    )
    return replace(donor, shares=shares, brightened=brightened)


def _logged(fold: float) -> float:
    return float(np.log10(max(fold, 1e-3)))
