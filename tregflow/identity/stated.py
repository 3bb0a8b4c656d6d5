"""What a file says of itself, as far as it is held against its row, and what speaks against a row."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tregflow.errors import Finding, printable
from tregflow.fingerprint import volts
from tregflow.privacy import BLANKS
from tregflow.sample import Channel
from tregflow.study import Tube

NAMING = (
    "$FIL", "$SMNO", "$SRC", "TUBE NAME", "TUBENAME", "GROUPNAME", "SAMPLE ID", "SAMPLEID", "@SAMPLEID1",
)  # fmt: skip
"""Keywords that name file, tube or specimen; BD, Cytek and Beckman Coulter have words of their own."""


LONGEST = 80
"""Characters of a word that tables carry on."""

NAMED = 3
"""Tubes that one sentence names."""


MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "mär": 3, "mrz": 3, "apr": 4, "may": 5, "mai": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9,
    "oct": 10, "okt": 10, "nov": 11, "dec": 12, "dez": 12,
}  # fmt: skip
DAY_FIRST = re.compile(r"(?P<day>\d{1,2})[-. /](?P<month>[^\W\d_]{3,9})[-. /](?P<year>\d{4}|\d{2})")
YEAR_FIRST = re.compile(r"(?P<year>\d{4})[-. /](?P<month>[^\W\d_]{3,9}|\d{2})[-. /](?P<day>\d{1,2})")
EARLIEST = 1900
"""A year before it was never set."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What a file says of itself.

    Parameters
    ----------
    names : mapping of str to str
        Values of the keywords in `NAMING` that it has. They may name a person and are never shown.
    date : str
        ``$DATE`` as 2021-03-15; empty where it is missing or can be read in two ways.
    cytometer, serial : str
        ``$CYT`` and ``$CYTSN``.
    voltages, gains : mapping of str to float
        ``$PnV``, where it is a number above 0, and the gain that ``$PnG`` states, by ``$PnN``.
    channels : mapping of str to str
        ``$PnN`` by marker, of a gated tube.
    """

    names: Mapping[str, str] = field(default_factory=dict, repr=False)
    date: str = ""
    cytometer: str = ""
    serial: str = ""
    voltages: Mapping[str, float] = field(default_factory=dict)
    gains: Mapping[str, float] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Doubt:
    """What speaks against one row.

    Parameters
    ----------
    finding : Finding
        The sentence.
    keywords : tuple of str
        Keywords with values that may be shown on a terminal only, and only if asked for.
    """

    finding: Finding
    keywords: tuple[str, ...] = ()


Read = tuple[Tube, Stated]
"""A row and what its file says."""


def stated(keywords: Mapping[str, str], channels: Sequence[Channel]) -> Stated:
    """Return what a file says of itself, markers apart."""
    voltages = {channel.name: volts(channel) for channel in channels}
    return Stated(
        naming(keywords),
        acquired_on(keywords.get("$DATE", "")),
        plain(keywords.get("$CYT", "")),
        plain(keywords.get("$CYTSN", "")),
        {name: voltage for name, voltage in voltages.items() if voltage > 0},
        {channel.name: channel.stated_gain for channel in channels if not math.isnan(channel.stated_gain)},
    )


def naming(keywords: Mapping[str, str]) -> dict[str, str]:
    """Return the keywords that name file, tube or specimen, with their values."""
    return {key: keywords[key] for key in NAMING if keywords.get(key, "").strip(BLANKS)}


def acquired_on(word: str) -> str:
    """Return a date as 2021-03-15; empty where day, month and year cannot be told apart.

    Examples
    --------
    >>> acquired_on("15-MAR-2021"), acquired_on("2021-Mar-15"), acquired_on("03-04-2021")
    ('2021-03-15', '2021-03-15', '')
    """
    found = DAY_FIRST.fullmatch(plain(word)) or YEAR_FIRST.fullmatch(plain(word))
    if not found:
        return ""
    year, month, day = found["year"], found["month"].casefold(), int(found["day"])
    whole = int(year) if len(year) == 4 else int(year) + (2000 if int(year) < 70 else 1900)
    try:
        date = dt.date(whole, int(month) if month.isdecimal() else MONTHS.get(month[:3], 0), day)
    except ValueError:
        return ""
    return date.isoformat() if date.year >= EARLIEST else ""


def listed(samples: Iterable[str]) -> str:
    """Return the first samples by name, and how many more there are."""
    ordered = sorted(samples)
    *first, last = [*ordered[:NAMED], *([f"{len(ordered) - NAMED} more"] if len(ordered) > NAMED else [])]
    return f"{', '.join(first)} and {last}" if first else last


def plain(word: str) -> str:
    """Return a technical word in one line, printable and short."""
    return printable(" ".join(word.strip(BLANKS).split()), "?")[:LONGEST]
