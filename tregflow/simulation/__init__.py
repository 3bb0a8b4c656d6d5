"""A trial of known truth: tubes of blood whose every cell is known, made from a seed.

What is modelled is the cell and the cytometer, never a gate. A cell has a kind, a size and so much
of each dye; a doublet is two cells added. The cytometer mixes the dyes by the spillover matrix, adds
the cell's own glow, counts photons, and saturates at the range of its detectors. The truth of a tube
is the count of the labels that were drawn, not the share they were drawn from.

From run to run four things drift apart from each other. A detector's gain multiplies stained and
unstained light alike and turns the spillover matrix with it, so the matrix that goes with a tube is
true for that tube. A dye's brightness multiplies what is bound and leaves the cell's own glow alone.
An offset is added to every event. And the matrix that the files state may be off. Treatment raises the
share of Tregs and the CD25 and FOXP3 of each. What else goes wrong in laboratories has an option each,
and `KINDS` has them by name.

Every tube has a generator of its own, seeded by trial, run, subject, visit and tube: a subject added
to a trial changes nobody else's events. Every sort of drift and trouble has one too: the cells of a
trial stay the same when one is added, as far as it leaves them alone. The same seed gives the same
events; between machines a value may differ in its last digit, as exponentials do.

================  ===================================================================
panel             markers, dyes, detectors
truth             kinds of event, and which kind each event is
settings          what a trial is asked to be
order             a tube that has not been acquired yet
donors            whose blood it is, before and under treatment
cytometer         how a run's detectors and stains stand
cells             the cells as they pass the laser
tubes             from an order to stored events
trial             who comes when
kinds             what goes wrong, by name
================  ===================================================================
"""

from __future__ import annotations

from tregflow.simulation.cytometer import Cytometer, cytometer_of
from tregflow.simulation.kinds import KINDS, in_words, options_of
from tregflow.simulation.order import Order
from tregflow.simulation.panel import DETECTORS, DYES, FMO, MARKERS, OTHER_DYES, TIMESTEP, Detector
from tregflow.simulation.settings import Settings, Shift
from tregflow.simulation.trial import Trial, simulate
from tregflow.simulation.truth import LABELS, LIVE, TCONV, TREG, Truth
from tregflow.simulation.tubes import Tube, acquire

__all__ = [
    "DETECTORS",
    "DYES",
    "FMO",
    "KINDS",
    "LABELS",
    "LIVE",
    "MARKERS",
    "OTHER_DYES",
    "TCONV",
    "TIMESTEP",
    "TREG",
    "Cytometer",
    "Detector",
    "Order",
    "Settings",
    "Shift",
    "Trial",
    "Truth",
    "Tube",
    "acquire",
    "cytometer_of",
    "in_words",
    "options_of",
    "simulate",
]
