"""How steadily each gate stands: what its place owes to chance.

A file is a sample of the cells that were there. It is drawn anew many times: in each draw every event
counts a random number of times, Poisson with mean 1 (Efron's bootstrap for counts; Hanley and
MacGibbon 2006), and every gate is placed again down the path, on what its parents keep in that draw.
The scatter of the edges over the draws is what another tube of the same cells would have moved them.
It says nothing of drift, staining or the choice of gates, and a stored gate has none of it.

What a file's tubes share is drawn with them: an FMO's events count anew in each draw where a gate was
placed on them. The bridge to the run's reference tube is held.

Large files are drawn in part (m of n; Bickel, Götze and van Zwet 1997): as many events as leave
`DRAWN` of the smallest population that a gate was placed on. Each then counts for all that it stands
for, and the scatter is taken back to that of the whole file, by the root of the share that was drawn.
Reported counts are always those of all events.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tregflow.gates.method import Doubt
from tregflow.gates.shapes import Ellipse, Shape, bounds
from tregflow.gating import Gated, walked
from tregflow.placing import Fitted, Others, Placed, Walk
from tregflow.populations import wilson  # noqa: F401
from tregflow.sample import Rows, Values
from tregflow.shelf import Shelf, of_walk, shelved
from tregflow.shifts import Scenario, moved, perturbed
from tregflow.template import ROOT, Measure, Population, Template
