"""A first draft of the sample sheet, from file names and headers.

Nothing here is certain: what was read from a name is said to be guessed, and a column that could
not be guessed is left empty for a person to fill.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tregflow.errors import FileError, Finding, InputError
from tregflow.io.fcs import Scan, scan_fcs
from tregflow.io.tables import FORMULA, write_table
from tregflow.outcome import storable
from tregflow.study import safe, stem

COLUMNS = ("file", "sample", "subject", "visit", "tube", "run", "collected", "day0")
WORDS = re.compile(r"[^A-Za-z0-9]+")
VISIT = re.compile(r"(?:w|wk|week|v|visit|d|day|m|month|t)\d{1,3}|baseline|screening|scr|bl", re.IGNORECASE)
SUBJECT = re.compile(r"(?=.*\d)[A-Za-z]{0,6}\d{1,6}[A-Za-z]?")
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
        ``E-OUT``: the sheet exists. ``E-MISSING``: no folder, or no FCS file in it.
    """
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
        return [{"file": _relative(path, root), "tube": "full"}], error.at(path.name).findings


def _fcs_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(Finding("E-MISSING", "is not a folder", str(folder)))
    found = sorted(path for path in folder.rglob("*") if not path.name.startswith(".") and _is_fcs(path))
    if not found:
        raise InputError(Finding("E-MISSING", "holds no FCS file", str(folder)))
    return found


def _is_fcs(path: Path) -> bool:
    """Whether a file is one by its name or its first bytes."""
    if not path.is_file() or path.suffix.casefold() == ".fcs":
        return path.is_file()
    try:
        with path.open("rb") as file:
            return file.read(3) == b"FCS"
    except OSError:
        return False


def _row(path: Path, root: Path, scan: Scan) -> Row:
    words = [word for word in WORDS.split(path.stem) if word]
    stains = [channel.stain for channel in scan.channels if channel.stain]
    tube, markers = _tube(path.stem, words, stains), {WORDS.sub("", stain).casefold() for stain in stains}
    visit = next((word for word in words if VISIT.fullmatch(word)), "")
    subject = next(
        (
            word
            for word in words
            if SUBJECT.fullmatch(word) and word.casefold() not in {visit.casefold(), *markers}
        ),
        "",
    )
    run = " ".join(word for word in (scan.keywords.get("$DATE", ""), scan.keywords.get("$CYTSN", "")) if word)
    return {
        "file": _relative(path, root),
        "subject": subject if tube != "reference" else "",
        "visit": visit,
        "tube": tube,
        "run": run,
    }


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
        filled = sum(bool(row.get(column)) for row in rows)
        said.append(Finding("N-GUESSED", f"{column}: guessed from {source} in {filled} of {len(rows)} rows"
                            + ("" if filled == len(rows) else "; the others are empty")))  # fmt: skip
    return said
