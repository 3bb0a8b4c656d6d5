"""Kinds of event, and which kind each event of a tube is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LIVE = ("monocyte", "B", "NK", "CD8 naive", "CD8 memory")
TCONV = ("Tconv naive", "Tconv memory", "Tconv effector", "Tconv activated")
TREG = ("Treg resting", "Treg effector")

LABELS = ("debris", "dead", "doublet", *LIVE, *TCONV, *TREG)
"""Kinds of event; an event's label is a place in this tuple."""


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
