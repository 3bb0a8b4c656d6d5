"""A first draft of the sample sheet, from file names and headers.

Nothing here is certain: what was read from a name is said to be guessed, and a column that could
not be guessed is left empty for a person to fill.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tregflow.errors import FileError, Finding, InputError
from tregflow.identity import plain
from tregflow.io.fcs import Scan, scan_fcs
from tregflow.io.tables import FORMULA, write_table
from tregflow.outcome import storable
from tregflow.study import safe, stem

COLUMNS = ("file", "sample", "subject", "visit", "tube", "run", "collected", "day0")
WORDS = re.compile(r"[^A-Za-z0-9]+")
VISIT_WORD = "wk|week|woche|visite?|tag|day|monat|month"
VISIT = re.compile(rf"(?:w|v|d|m|t|{VISIT_WORD})\d{{1,3}}|baseline|screening|scr|bl", re.IGNORECASE)
SPLIT_VISIT = re.compile(rf"(?<![A-Za-z])({VISIT_WORD})[ _-]+(\d{{1,3}})(?!\d)", re.IGNORECASE)
SUBJECT = re.compile(r"(?=.*\d)[A-Za-z]{0,6}\d{1,6}[A-Za-z]?")
DATE = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])|(?:[0-2]\d|3[01])(?:0[1-9]|1[0-2])(?:19|20)\d\d"
                  r"|\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")  # fmt: skip
DATE_PARTS = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d[-_.]\d\d?[-_.]\d\d?|\d\d?[-_.]\d\d?[-_.](?:19|20)\d\d)(?!\d)"
)
"""A date written as one number, and one written with signs between its parts."""
RUN = re.compile(r"(?:r|run|batch|lauf)\d{1,4}", re.IGNORECASE)
"""What a run is called; a word like it that only controls bear is no subject."""

VALUES = 8
"""Guessed values that one line names."""

CSV = {".csv", ".tsv", ".txt"}
KINDS = {
    "unstained": "unstained",
    "unst": "unstained",
    "us": "unstained",
    "reference": "reference",
    "ref": "reference",
}

Row = dict[str, object]


def draft(folder: Path, sheet: Path) -> tuple[int, tuple[Finding, ...]]:
    """Write a draft of the sheet for a folder of FCS files.

    Parameters
    ----------
    folder : Path
        Looked through with all folders below it.
    sheet : Path
        Where the draft goes; must not exist.

    Returns
    -------
    rows : int
        Files found.
    findings : tuple of Finding
        Files that cannot be read, and what was guessed.

    Raises
    ------
    InputError
        ``E-OUT``: the sheet exists. ``E-USAGE``: it is to be something else than CSV. ``E-MISSING``: no
        folder, or no FCS file in it.
    """
    if sheet.suffix.casefold() not in CSV:
        raise InputError(Finding("E-USAGE", "init writes CSV; name it .csv", str(sheet)))
    if sheet.exists():
        raise InputError(
            Finding("E-OUT", "exists already and is not overwritten; name another with --samples", str(sheet))
        )
    rows: list[Row] = []
    findings: list[Finding] = []
    for path in _fcs_files(folder):
        row, said = _drafted(path, sheet.parent)
        rows += row
        findings += said
    _unname_runs(rows)
    _tell_apart(rows)
    write_table(sheet, COLUMNS, rows)
    return len(rows), (*findings, *_guessed(rows))


def _drafted(path: Path, root: Path) -> tuple[list[Row], Sequence[Finding]]:
    """Return the row of one file, and why it is bare, or not there at all."""
    if storable(path.name) != path.name:
        return [], [
            Finding(
                "E-UNREADABLE",
                "its name is not UTF-8 and no sheet can hold it; rename it",
                storable(path.name),
            )
        ]
    try:
        return [_row(path, root, scan_fcs(path))], ()
    except FileError as error:
        file = _relative(path, root)
        return [_row(path, root)], [replace(finding, where=file) for finding in error.findings]


def _fcs_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(Finding("E-MISSING", "is not a folder", str(folder)))
    found = sorted(path for path in folder.rglob("*") if not path.name.startswith(".") and _is_fcs(path))
    if not found:
        raise InputError(Finding("E-MISSING", "holds no FCS file", str(folder)))
    return found


def _is_fcs(path: Path) -> bool:
    """Whether a file is one by its name or its first bytes."""
    if not path.is_file() or path.name.casefold().endswith((".fcs", ".fcs.gz")):
        return path.is_file()
    try:
        with path.open("rb") as file:
            return file.read(3) == b"FCS"
    except OSError:
        return False


def _row(path: Path, root: Path, scan: Scan | None = None) -> Row:
    """Return the row that a file's name, and its header where it can be read, suggest."""
    words = _words(path.stem)
    stains = [channel.stain for channel in scan.channels if channel.stain] if scan else []
    tube, markers = _tube(path.stem, words, stains), {WORDS.sub("", stain).casefold() for stain in stains}
    visit = next((word for word in words if VISIT.fullmatch(word)), "")
    keywords = scan.keywords if scan else {}
    acquired = [plain(keywords.get(name, "")) for name in ("$DATE", "$CYTSN")]
    return {
        "file": _relative(path, root),
        "subject": _subject(words, {visit.casefold(), *markers}) if tube != "reference" else "",
        "visit": visit,
        "tube": tube,
        "run": " ".join(word for word in acquired if word),
    }


def _words(stem: str) -> list[str]:
    """Return the words of a name, without dates; ``Woche 12`` is one."""
    joined = SPLIT_VISIT.sub(r"\1\2", DATE_PARTS.sub(" ", stem))
    return [word for word in WORDS.split(joined) if word and not DATE.fullmatch(word)]


def _subject(words: Sequence[str], others: set[str]) -> str:
    """Return the word that may name a person: one with letters before a mere number."""
    found = [word for word in words if SUBJECT.fullmatch(word) and word.casefold() not in others]
    return min(found, key=str.isdigit, default="")


def _unname_runs(rows: Sequence[Row]) -> None:
    """Leave the subject empty where only controls bear it and it reads like a run."""
    full = {str(row.get("subject", "")).casefold() for row in rows if row["tube"] == "full"}
    for row in rows:
        subject = str(row.get("subject", ""))
        if RUN.fullmatch(subject) and subject.casefold() not in full:
            row["subject"] = ""


def _tube(stem: str, words: Sequence[str], stains: Iterable[str]) -> str:
    folded = [word.casefold() for word in words]
    for word, kind in KINDS.items():
        if word in folded:
            return kind
    marker = next((stain for stain in stains if WORDS.sub("", stain).casefold() in folded), "")
    if "fmo" in stem.casefold():
        return f"fmo:{marker}" if marker else "fmo:?"
    is_single = {"single", "comp", "compensation", "ss"} & set(folded)
    return f"single:{marker}" if is_single and marker else "full"


def _relative(path: Path, root: Path) -> str:
    """Return how a sheet names a file; never with a first sign that a spreadsheet takes for a formula."""
    try:
        file = path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return str(path.resolve())
    return f"./{file}" if file.startswith(FORMULA) else file


def _tell_apart(rows: Sequence[Row]) -> None:
    """Give rows that would share a name their file's, with its folders where that is shared too."""
    for name in (stem, lambda file: safe(file.removesuffix(Path(file).suffix))):
        for row in _alike(rows):
            row["sample"] = name(str(row["file"]))
    for number, row in enumerate(_alike(rows), 1):
        row["sample"] = f"{row['sample']}_{number}"


def _alike(rows: Sequence[Row]) -> list[Row]:
    """Return the rows whose samples would have a name that another has too, or none."""
    names = [_name(row) for row in rows]
    counts = Counter(names)
    return [row for row, name in zip(rows, names, strict=True) if counts[name] > 1 or not name]


def _name(row: Row) -> str:
    """Return the name that the sheet's reader would give a row, letters folded."""
    if row.get("sample"):
        return str(row["sample"]).casefold()
    words = [str(row[column]) for column in ("subject", "visit") if row.get(column)]
    if not words:
        return stem(str(row["file"])).casefold()
    return "_".join(map(safe, words if row["tube"] == "full" else [*words, str(row["tube"])])).casefold()


def _guessed(rows: Sequence[Row]) -> list[Finding]:
    said = []
    for column, source in (("subject", "the file name"), ("visit", "the file name"), ("tube", "the file name"),
                           ("run", "date and cytometer in the file")):  # fmt: skip
        filled = [str(row[column]) for row in rows if row.get(column)]
        values = list(dict.fromkeys(filled))
        named = ", ".join(values[:VALUES]) + (" …" if len(values) > VALUES else "")
        said.append(Finding("N-GUESSED", f"{column}: guessed from {source} in {len(filled)} of {len(rows)} rows"
                            + (f" ({named})" if filled else "")
                            + ("" if len(filled) == len(rows) else "; the others are empty")))  # fmt: skip
    return said
