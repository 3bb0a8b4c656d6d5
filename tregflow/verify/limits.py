"""What the other readers are known to do wrongly, each with the proof that a difference comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

import numpy as np

from tregflow.io.readers import Reading
from tregflow.privacy import BLANKS
from tregflow.sample import Sample

What = Literal["channels", "events", "values", "names", "stains", "spillover"]

LETTERS: Mapping[What, str] = {"names": "N", "stains": "S"}
FLOAT_BITS = {"F": "32", "D": "64"}


class Case(NamedTuple):
    """Two readings of the same bytes, and what bears on who is right.

    Parameters
    ----------
    sample : Sample
        What tregflow's reader makes of them.
    reading : Reading
        What the other one does.
    reader : str
        The other reader's name.
    data_set : int
        Which data set this is, counted from 1.
    supplement : str
        The supplemental TEXT in capitals; empty where there is none.
    """

    sample: Sample
    reading: Reading
    reader: str = ""
    data_set: int = 1
    supplement: str = ""

    def key(self, what: What, place: int) -> str:
        """Return the keyword of a channel's name or stain; of the matrix, where that is meant."""
        if what == "spillover":
            return self.sample.spillover.source if self.sample.spillover else ""
        return f"$P{place + 1}{LETTERS[what]}"

    def stated(self, key: str) -> str:
        """Return what TEXT says, without blanks around it; empty where it says nothing."""
        return self.sample.keywords.get(key, "").strip(BLANKS)

    def words(self, what: What, place: int) -> tuple[str, str | None]:
        """Return a channel's name or stain by either reader; None where the other has no such keyword."""
        other = (self.reading.names if what == "names" else self.reading.stains)[place]
        return self.stated(self.key(what, place)), None if other is None else other.strip(BLANKS)

    def is_lost(self, what: What, place: int) -> bool:
        """Whether the other reader does not have the keyword at all."""
        if what == "spillover":
            return not {self.key(what, place), self.key(what, place).strip("$")} & set(self.reading.spillover)
        return self.words(what, place)[1] is None


class Limit(NamedTuple):
    """One thing that readers are known to do wrongly.

    Parameters
    ----------
    readers : tuple of str
        Whose limit it is.
    whats : tuple of str
        Differences that it may explain.
    proof : callable
        Whether it explains the difference of one channel, counted from 0.
    told : str
        The limit in words.
    """

    readers: tuple[str, ...]
    whats: tuple[What, ...]
    proof: Callable[[Case, What, int], bool]
    told: str

    def explains(self, case: Case, what: What, place: int) -> bool:
        """Whether a difference of one channel comes of this limit."""
        return case.reader in self.readers and what in self.whats and self.proof(case, what, place)


def known(case: Case, what: What, places: Iterable[int]) -> str:
    """Return the limits of the other reader that explain a difference.

    Parameters
    ----------
    case : Case
        The two readings.
    what : str
        What differs.
    places : iterable of int
        The channels in which it does, counted from 0.

    Returns
    -------
    str
        Empty unless every one of the channels is explained.
    """
    told = [next((one.told for one in LIMITS if one.explains(case, what, place)), "") for place in places]
    return "; ".join(dict.fromkeys(told)) if all(told) else ""


# ------------------------------------------------------------------------------------- proofs


def _is_in_supplement(case: Case, what: What, place: int) -> bool:
    return case.is_lost(what, place) and case.key(what, place) in case.supplement


def _is_behind_an_empty_value(case: Case, what: What, place: int) -> bool:
    return case.is_lost(what, place) and "" in case.sample.keywords.values()


def _is_private(case: Case, what: What, place: int) -> bool:
    private = case.key(what, place).strip("$")
    return private in case.sample.keywords and case.words(what, place)[1] == case.stated(private).replace(
        "$", ""
    )


def _has_lost_dollars(case: Case, what: What, place: int) -> bool:
    ours, theirs = case.words(what, place)
    return theirs == ours.replace("$", "")


def _is_left_double(case: Case, what: What, place: int) -> bool:
    ours, theirs = case.words(what, place)
    return any(theirs == ours.replace(sign, 2 * sign) for sign in "|\\*" if sign in ours)


def _is_read_as_latin(case: Case, what: What, place: int) -> bool:
    ours, theirs = case.words(what, place)
    return not ours.isascii() and theirs == ours.encode().decode("latin-1").strip(BLANKS)


def _has_lost_letters(case: Case, what: What, place: int) -> bool:
    ours, theirs = case.words(what, place)
    return not ours.isascii() and theirs == ours.encode("ascii", "ignore").decode().strip(BLANKS)


def _is_of_an_earlier_set(case: Case, what: What, place: int) -> bool:
    return case.data_set > 1 and case.key(what, place) not in case.sample.keywords


def _stops_at_total(case: Case, *_: object) -> bool:
    read = case.reading.n_events
    return case.stated("$TOT") == str(read) and read < len(case.sample)


def _goes_by_header(case: Case, *_: object) -> bool:
    return any(finding.code == "F-OFFSETS" for finding in case.sample.findings)


def _has_own_type(case: Case, what: What, place: int) -> bool:
    """Whether a channel has a type of its own, or one of another width moves every value behind it."""
    own = _own_types(case)
    return (what == "values" and place in own) or _is_shifted(case, own)


def _own_types(case: Case) -> list[int]:
    common = case.stated("$DATATYPE").upper()
    letters = [
        case.stated(f"$P{number}DATATYPE").upper() for number in range(1, len(case.sample.channels) + 1)
    ]
    return [place for place, letter in enumerate(letters) if letter and letter != common]


def _is_shifted(case: Case, own: Iterable[int]) -> bool:
    """Whether FlowIO, which gives every float the same width, loses its place; fcsparser goes by ``$PnB``."""
    common = FLOAT_BITS.get(case.stated("$DATATYPE").upper(), "")
    widths = {case.stated(f"$P{place + 1}B") for place in own}
    return case.reader == "FlowIO" and bool(common) and not widths <= {common}


def _has_odd_widths(case: Case, *_: object) -> bool:
    widths = {case.stated(f"$P{number}B") for number in range(1, len(case.sample.channels) + 1)}
    return case.stated("$DATATYPE").upper() == "I" and not widths <= {"8", "16", "32"}


def _is_cleared(case: Case, _: What, place: int) -> bool:
    has_range = case.sample.channels[place].range > 1
    return (
        case.stated("$DATATYPE").upper() == "I" and not has_range and not np.any(case.reading.columns[place])
    )


BOTH = ("FlowIO", "fcsparser")
FLOWIO, FCSPARSER = ("FlowIO",), ("fcsparser",)
WORDS: tuple[What, ...] = ("names", "stains")

LIMITS = (
    Limit(BOTH, (*WORDS, "spillover"), _is_in_supplement, "it does not read the supplemental TEXT"),
    Limit(BOTH, (*WORDS, "spillover"), _is_behind_an_empty_value, "it cannot split a TEXT with empty values"),
    Limit(BOTH, ("values", "events"), _has_own_type, "it does not know $PnDATATYPE of FCS 3.2"),
    Limit(BOTH, ("values",), _is_cleared, "it clears integers whose $PnR is 0 or 1"),
    Limit(FLOWIO, WORDS, _is_private, "it takes the $ off keywords, so that a private P1N replaces $P1N"),
    Limit(FLOWIO, WORDS, _has_lost_dollars, "it takes every $ out of TEXT"),
    Limit(FLOWIO, WORDS, _is_left_double, "it leaves doubled delimiters doubled"),
    Limit(FLOWIO, WORDS, _is_read_as_latin, "it reads all of TEXT as Latin-1 where one value is not UTF-8"),
    Limit(FCSPARSER, WORDS, _is_of_an_earlier_set, "it keeps keywords of the data sets before this one"),
    Limit(FCSPARSER, WORDS, _has_lost_letters, "it leaves out letters that are not UTF-8"),
    Limit(FCSPARSER, ("values",), _has_odd_widths, "it reads integers of 8, 16 and 32 bits only"),
    Limit(
        FCSPARSER, ("values",), _goes_by_header, "it takes DATA where HEADER says, and TEXT says otherwise"
    ),
    Limit(FCSPARSER, ("events",), _stops_at_total, "it stops at $TOT"),
)
"""The first that explains a difference is told."""
