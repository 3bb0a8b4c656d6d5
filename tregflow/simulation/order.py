"""A tube that has not been acquired yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from tregflow.simulation.settings import Settings


@dataclass(frozen=True, slots=True)
class Order:
    """A tube that has not been acquired yet.

    Parameters
    ----------
    row : mapping of str to str
        Its row of the sample sheet.
    settings : Settings
        Those of its visit.
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

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Run, donor, visit and tube: what the tube's generators are seeded with, after the trial."""
        return (self.row["run"], self.donor, self.row["visit"], self.row["tube"])
