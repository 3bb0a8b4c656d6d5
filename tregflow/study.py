"""Study: the rows of a sample sheet as values.

One row is one FCS file. Identity is the row and the file's content, never ``$FIL``.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tregflow.errors import Finding, InputError, nearest
from tregflow.hierarchy import UNSCALED

COLUMNS: Mapping[str, str] = {
    "file": "path of the FCS file, relative to the sheet",
    "sample": "name of the row in every output; made from the other columns where it is missing",
    "subject": "as the study names the person",
    "visit": "as the study names the visit",
    "tube": "full, fmo:MARKER, single:MARKER, unstained or reference",
    "run": "tubes acquired together share a run",
    "collected": "ISO date of the draw",
    "day0": "ISO date of the subject's first dose",
    "part": "part of one stained tube",
    "replicate": "replicate staining",
    "supersedes": "sample that this tube replaces",
    "reason": "why it replaces it",
    "panel": "panel variant",
    "material": "fresh or frozen",
    "hours_to_stain": "hours from draw to staining",
    "last_dose": "hours since the last dose",
    "beads": "counting beads",
    "volume_ul": "volume",
    "lymphocytes": "lymphocytes per microlitre",
    "data_set": "which data set of a file with several, counted from 1",
}
"""Columns that a sheet may have, beside ``channel:MARKER`` and ``x_…``."""

UNBUILT = ("part", "supersedes")
"""Columns that would change numbers and are not available in this version."""

NAMED = ("sample", "subject", "visit", "run")
FORMULA = ("=", "+", "-", "@")
NUMBERS = ("hours_to_stain", "last_dose", "volume_ul", "lymphocytes")
DATES = ("collected", "day0")
GATED_TUBES = ("full", "reference")
TUBES = re.compile(r"full|reference|unstained|(?:fmo|single):\S.*", re.IGNORECASE)
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
LATIN = str.maketrans({
    "ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "Ae",
    "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D",
    "þ": "th", "Þ": "Th", "ı": "i",
})  # fmt: skip
"""Letters that are more than a letter and its accent."""
DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)")
NEAR = 0.75
"""Likeness from which on a column's name may be a slip for another."""
LONGEST = 120
"""Characters of a name that still leave room for a folder and an ending."""


@dataclass(frozen=True, slots=True)
class Tube:
    """One row of a sheet.

    Parameters
    ----------
    sample : str
        Its name in every output; unique, letters, digits, ``.``, ``_`` and ``-``.
    file : str
        As the sheet writes it.
    subject, visit, run, collected : str
        As the sheet writes them; empty where it does not.
    tube : str
        ``full``, ``reference``, ``unstained``, ``fmo:MARKER`` or ``single:MARKER``.
    data_set : int or None
        Counted from 1.
    channels : mapping of str to str
        ``$PnN`` by marker, where the sheet names one.
    extra : mapping of str to str
        Every other column, as written.
    """

    sample: str
    file: str
    subject: str = ""
    visit: str = ""
    run: str = ""
    collected: str = ""
    tube: str = "full"
    data_set: int | None = None
    channels: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_gated(self) -> bool:
        """Whether the tube is gated; controls are only read and bound."""
        return self.tube in GATED_TUBES


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table as it was read.

    Parameters
    ----------
    line : int
        Counted from 1, the header being 1.
    cells : mapping of str to str
        By column.
    """

    line: int
    cells: Mapping[str, str]


def tubes_from_rows(
    rows: Sequence[Row], columns: Sequence[str], name: str, markers: Iterable[str]
) -> tuple[Tube, ...]:
    """Return the tubes of a sheet, in its order.

    Parameters
    ----------
    rows : sequence of Row
        Text cells.
    columns : sequence of str
        The header.
    name : str
        The sheet's name, for messages.
    markers : iterable of str
        Markers of the template, for ``channel:MARKER``.

    Returns
    -------
    tuple of Tube

    Raises
    ------
    InputError
        ``E-SHEET``: every mistake with its row and column.
    """
    found = _Sheet(name, tuple(markers))
    found.check_columns(columns)
    for row in rows:
        found.check_row(row)
    found.raise_any()
    names = _names(rows)
    found.check_names(rows, names)
    found.raise_any()
    return tuple(map(_tube, rows, names))


def tubes_from_files(files: Sequence[str]) -> tuple[Tube, ...]:
    """Return tubes for files named on the command line: the sample is the file's stem.

    Parameters
    ----------
    files : sequence of str
        As they were named.

    Returns
    -------
    tuple of Tube

    Raises
    ------
    InputError
        ``E-USAGE``: two files would share a name.
    """
    rows = [Row(place, {"file": file}) for place, file in enumerate(files, 1)]
    names = _names(rows)
    first: dict[str, str] = {}
    clashes = []
    for name, file in zip(names, files, strict=True):
        if not name or name.casefold() in first:
            clashes.append(Finding("E-USAGE", _clash(name, first.get(name.casefold(), ""), file)))
        first.setdefault(name.casefold(), file)
    if clashes:
        raise InputError(clashes)
    return tuple(map(_tube, rows, names))


def _clash(name: str, earlier: str, file: str) -> str:
    hint = "write a sheet with a column sample (tregflow init FOLDER drafts one)"
    if set(file) & set("*?"):
        return f"there is no file {file}"
    if re.search(r"(^|[\\/])\.{0,2}$", file):
        return f"{file} is a folder; draft a sheet with tregflow init {file}"
    if not name:
        return f"no letter or digit is left of the name of {file}; {hint}"
    return (
        f"{file} is named twice" if earlier == file else f"{earlier} and {file} would both be {name}; {hint}"
    )


def stem(file: str) -> str:
    """Return a file's name without folder and ending, in characters safe for any file system."""
    return safe(_bare_stem(file))


def _bare_stem(file: str) -> str:
    base = re.split(r"[\\/]", file)[-1]
    base = base[:-3] if base.casefold().endswith(".fcs.gz") else base
    return base[: base.rfind(".")] if "." in base[1:] else base


def safe(word: str) -> str:
    """Return a word in letters, digits, ``.``, ``_`` and ``-``; accents go, ``ä`` becomes ``ae``."""
    parted = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", word).translate(LATIN))
    plain = "".join(letter for letter in parted if not unicodedata.combining(letter))
    return DEVICES.sub(r"\1_", UNSAFE.sub("-", plain).strip("-."), count=1)


class _Sheet:
    """Gathers what is wrong with a sheet."""

    def __init__(self, name: str, markers: tuple[str, ...]) -> None:
        self.name, self.markers = name, markers
        self.mistakes: list[Finding] = []
        self.has_files = True

    def add(self, line: int, column: str, sentence: str, code: str = "E-SHEET") -> None:
        where = f"{self.name}:{line}:{column}" if column else f"{self.name}:{line}"
        self.mistakes.append(Finding(code, sentence, where))

    def raise_any(self) -> None:
        if self.mistakes:
            raise InputError(self.mistakes)

    def check_columns(self, columns: Sequence[str]) -> None:
        self.has_files = "file" in columns
        if not self.has_files:
            self.add(
                1, "file", f"there is no column file; the sheet has {', '.join(columns) or 'no columns'}"
            )
        for place, column in enumerate(columns):
            if column in columns[:place]:
                self.add(1, column, "this column is there twice")
            elif column.startswith("channel:"):
                self._check_marker(column, column.removeprefix("channel:"))
            elif column not in COLUMNS and not column.startswith("x_"):
                own = f" (your own begin with x_: x_{column})" if column else "; give it a name"
                self.add(
                    1, column, f'"{column}" is not a column of a sheet{nearest(column, _near(column))}{own}'
                )

    def _check_marker(self, column: str, marker: str) -> None:
        if self.markers and marker not in self.markers and not UNSCALED.fullmatch(marker):
            said = f'"{marker}" is not a marker of the template{nearest(marker, self.markers)}'
            self.add(1, column, said)

    def check_row(self, row: Row) -> None:
        if self.has_files and not row.cells.get("file"):
            self.add(row.line, "file", "is empty; every row names a file")
        self._check_tube(row)
        for column in UNBUILT:
            if row.cells.get(column):
                later = f"{column} is not available in this version; gate the tubes in sheets of their own"
                self.add(row.line, column, later, "E-UNBUILT")
        for column, (is_right, wanted) in VALUES.items():
            word = row.cells.get(column, "")
            if word and not is_right(word):
                self.add(row.line, column, f'"{word}" is not {wanted}{_comma_hint(column, word)}')
        for column in NAMED:
            if row.cells.get(column, "").startswith(FORMULA):
                said = "begins with a sign that a spreadsheet takes for a formula; name it otherwise"
                self.add(row.line, column, said)

    def _check_tube(self, row: Row) -> None:
        tube = row.cells.get("tube", "")
        if tube and not TUBES.fullmatch(tube):
            known = ["full", "unstained", "reference", "fmo:", "single:"]
            said = f'"{tube}" is not full, fmo:MARKER, single:MARKER, unstained or reference'
            self.add(row.line, "tube", said + nearest(tube, known))
        elif tube.endswith(":?"):
            self.add(row.line, "tube", f'"{tube}" leaves the marker open; write which it is')

    def check_names(self, rows: Sequence[Row], names: Sequence[str]) -> None:
        first: dict[str, Row] = {}
        for row, name in zip(rows, names, strict=True):
            if not name:
                said = "no letter or digit is left of the name; write one in the column sample"
                self.add(row.line, "sample", said)
                continue
            if len(name) > LONGEST:
                self.add(
                    row.line, "sample", f"a name of {len(name)} characters; at most {LONGEST} fit a file name"
                )
            earlier = first.setdefault(name.casefold(), row)
            if earlier is not row:
                said = f"is the same sample as line {earlier.line} ({name}{_respelled(earlier, row)})"
                self.add(
                    row.line, "", f"{said}; tell them apart by run, replicate or sample, or take one out"
                )


def _respelled(one: Row, other: Row) -> str:
    """Return how two rows of one name are written in the sheet, where that differs."""
    names = [_base(row, str) for row in (one, other)]
    if len({name.casefold() for name in names}) == 1 or all(map(str.isascii, names)):
        return ""
    return f': "{names[0]}" and "{names[1]}" are the same in the letters of a file name'


def _near(word: str) -> list[str]:
    """Return the columns that a word may be a slip for."""
    from difflib import SequenceMatcher

    return [known for known in COLUMNS if SequenceMatcher(None, word.casefold(), known).ratio() >= NEAR]


def _is_date(word: str) -> bool:
    try:
        return dt.date.fromisoformat(word).isoformat() == word
    except ValueError:
        return False


def _is_number(word: str) -> bool:
    return bool(re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", word))


def _is_data_set(word: str) -> bool:
    return bool(re.fullmatch(r"[1-9][0-9]{0,5}", word))


def _comma_hint(column: str, word: str) -> str:
    return "; if the comma is a decimal comma, say --decimal ," if column in NUMBERS and "," in word else ""


VALUES: Mapping[str, tuple[Callable[[str], bool], str]] = {
    **dict.fromkeys(DATES, (_is_date, "a date; write it as 2021-03-15")),
    **dict.fromkeys(NUMBERS, (_is_number, "a number")),
    "data_set": (_is_data_set, "a data set; they are counted 1, 2, 3"),
}
"""What a cell must be that is not empty, and how to say so."""


def _names(rows: Sequence[Row]) -> list[str]:
    """Return a name per row: as given, else subject and visit, with tube, run and replicate where needed."""
    names = [_base(row) for row in rows]
    for column in ("run", "replicate"):
        bearers = Counter(name.casefold() for name in names)
        for place, row in enumerate(rows):
            is_shared = names[place] and bearers[names[place].casefold()] > 1 and not row.cells.get("sample")
            if is_shared and row.cells.get(column):
                names[place] = f"{names[place]}_{safe(row.cells[column])}"
    return names


def _base(row: Row, spell: Callable[[str], str] = safe) -> str:
    """Return a row's name before run and replicate; empty where a part of it leaves no letter."""
    cells = row.cells
    if cells.get("sample"):
        return spell(cells["sample"])
    words = [spell(cells[column]) for column in ("subject", "visit") if cells.get(column)]
    if not words:
        return spell(_bare_stem(cells["file"]))
    tube = cells.get("tube", "").casefold()
    return (
        "_".join([*words, spell(cells["tube"])] if tube not in {"", "full"} else words) if all(words) else ""
    )


def _tube(row: Row, name: str) -> Tube:
    cells = row.cells
    channels = {
        column.removeprefix("channel:"): word
        for column, word in cells.items()
        if column.startswith("channel:") and word
    }
    known = {"file", "sample", "subject", "visit", "run", "collected", "tube", "data_set"}
    extra = {
        column: word
        for column, word in cells.items()
        if column not in known and not column.startswith("channel:")
    }
    return Tube(
        name,
        cells["file"],
        cells.get("subject", ""),
        cells.get("visit", ""),
        cells.get("run", ""),
        cells.get("collected", ""),
        _kind(cells.get("tube", "")),
        int(cells["data_set"]) if cells.get("data_set") else None,
        channels,
        extra,
    )


def _kind(word: str) -> str:
    kind, colon, marker = word.partition(":")
    return (kind.casefold() or "full") + colon + marker
