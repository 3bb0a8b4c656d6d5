"""From a cytometer's FCS files to the Treg percentage of every patient visit.

Read downwards; a module imports only from those above it.

================  ===================================================================
errors            every finding and error a user can act on, with its code
privacy           what of a file may be shown
sample            one file's channels and its events, read-only
compensation      spillover out
transforms        logicle, arcsinh, log, linear, with inverses
view              what a gate sees: columns under marker names, in a population's rows
events            what is to be said of a file's events before gates look at them
gates             shapes (what is inside), and the methods that place them
document          a document as plain values, each with its place
grammar           what a template may say, from the gates' own signatures
hierarchy         gates, populations, measures, limits: the values of a template
binding           which detector carries which marker
fingerprint       the dye, detector and voltage that stored coordinates belong to
meaning           checked words to values, or to mistakes
template          the stored hierarchy; the only way in
study             the rows of a sample sheet
identity          whether a file is the tube that its row says, and like the subject's others
gating            template x sample: placing, the walk, the bridge to a run's reference tube
populations       members to counts and percentages
uncertainty       what a percent owes to its gates: draws of the file, gates shifted
checks            counts and statuses to verdicts
tuning            stored gates moved on tubes: a template for a cytometer of one's own
outcome           all that is known of one file after gating; goes to disk and back
results           outcomes to the rows of the tables
simulation        a trial of known truth
io                FCS files, YAML, tables, the results folder: the world begins here
sheet             a first draft of the sample sheet
plots             a page per sample
twins             two rows that lead to the same events
tubes             a row's file: its hash, its events, its markers
controls          the tubes of a run that a gate may look at beside its own
job               one file, from its bytes to its outcome
bench             tubes gated with a template as it is and as it would be
pool              worker processes that may die
batch             a sheet and a template to a results folder
rehearsal         everything that can be said without gating
verify            every file read again by two other readers
terminal          what people see
cli               the command line
================  ===================================================================
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "read_fcs": "tregflow.io.fcs",
    "Sample": "tregflow.sample",
    "load_template": "tregflow.io.documents",
    "Template": "tregflow.template",
    "gate": "tregflow.gating",
    "Gated": "tregflow.gating",
    "count": "tregflow.populations",
    "simulate": "tregflow.simulation",
    "TregflowError": "tregflow.errors",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: ``--help`` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tregflow' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
