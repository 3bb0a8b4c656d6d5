"""Whether a file is the tube that its row says, and was acquired like the subject's others.

A file's identity is its row and its content; what it says of itself is only held against the sheet.
Keywords that name the tube (``$FIL``, the specimen, …) are looked through for subjects and visits of
the sheet: one that names another row's and not its own is a sign of swapped files. What they say may
name a person, so their values stay in memory: a sentence quotes the sheet's words and the keyword's key.

A false alarm costs a look at a good tube, and many of them cost the next true one, so a word counts
only where it cannot well be something else. Names match whole: ``S01`` is in ``CTX_S01W00.fcs`` and
``s1-w0``, not in ``S011``. A name of letters and digits, such as ``S02``, speaks for itself where it is
spelled like that. A bare number, two characters, a mere word or what could be a well speak only where this
keyword names the own subject (or visit) in most other full tubes; a number below 100 needs a word like
*visit* before it; a counter at the end of ``$FIL`` and the number of a specimen are no names. The
experiment's name is not looked at: one experiment holds many subjects, and it is often copied from the
visit before.

Everything else compares technical keywords: date, cytometer, detectors, voltages, gains. Voltages of
scatter detectors are named beside others, and raise nothing alone: they are trimmed from day to day,
and debris and singlets are found in each file's own events.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from tregflow.identity.acquisition import how_unlike, misdated, unlike_controls, unlike_run, unlike_visits
from tregflow.identity.names import misnamed
from tregflow.identity.stated import NAMING, Doubt, Stated, acquired_on, naming, plain, stated
from tregflow.study import Tube

__all__ = ["NAMING", "Doubt", "Stated", "acquired_on", "doubts", "how_unlike", "naming", "plain", "stated"]


def doubts(tubes: Sequence[Tube], said: Mapping[str, Stated]) -> dict[str, tuple[Doubt, ...]]:
    """Hold files against their rows and against each other.

    Parameters
    ----------
    tubes : sequence of Tube
        Every row of the sheet, in any order.
    said : mapping of str to Stated
        What the files say, by sample; a file that was not read is left out.

    Returns
    -------
    dict of str to tuple of Doubt
        By sample; samples that nothing speaks against are left out.
    """
    read = [(tube, said[tube.sample]) for tube in sorted(tubes, key=_place) if tube.sample in said]
    found: dict[str, list[Doubt]] = defaultdict(list)
    for sample, doubt in (
        *misnamed(sorted(tubes, key=_place), read),
        *misdated(read),
        *unlike_visits(read),
        *unlike_run(read),
        *unlike_controls(read),
    ):
        found[sample].append(doubt)
    return {sample: tuple(all_of_it) for sample, all_of_it in found.items()}


def _place(tube: Tube) -> str:
    return tube.sample
