"""Tables in and out: CSV in the dialects that laboratories have, and .xlsx in.

Everything written goes through one writer, which keeps a spreadsheet from taking a text for a
formula.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tregflow.errors import Finding, InputError, nearest
from tregflow.io.files import write_whole
from tregflow.sample import Spillover
from tregflow.study import NUMBERS, Row, Tube, tubes_from_rows

DELIMITERS = ",;\t"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
PLAIN = re.compile(r"[-+]?[0-9]+([.,][0-9]+)?([eE][-+]?[0-9]+)?")
"""A number, which a spreadsheet may take for one."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text cells.

    Parameters
    ----------
    name : str
        The file's name.
    columns : tuple of str
        The header, stripped.
    rows : tuple of Row
        Rows that are not empty.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(path: Path, *, decimal: str = ".") -> Table:
    """Read a table of text cells.

    Parameters
    ----------
    path : Path
        ``.xlsx``, or text in UTF-8 (with or without BOM) or Latin-1, separated by comma, semicolon
        or tab.
    decimal : {".", ","}
        How its numbers are written; a decimal comma is never guessed.

    Returns
    -------
    Table

    Raises
    ------
    InputError
        ``E-MISSING``, ``E-UNREADABLE``, ``E-TABLE``.
    """
    if path.is_dir():
        raise InputError(Finding("E-UNREADABLE", "is a folder; name the sheet in it", path.name))
    lines = _sheet_lines(path) if _is_workbook(path) else _text_lines(path)
    filled = [(number, cells) for number, cells in lines if any(cell.strip() for cell in cells)]
    if not filled:
        raise InputError(Finding("E-TABLE", _told(path, "is empty"), path.name))
    columns = _columns(filled[0][1])
    rows = [_row(number, cells, columns, path.name) for number, cells in filled[1:]]
    return Table(path.name, columns, tuple(_pointed(row) if decimal == "," else row for row in rows))


def read_sheet(path: Path, markers: Iterable[str], *, decimal: str = ".") -> tuple[Tube, ...]:
    """Read a sample sheet.

    Parameters
    ----------
    path : Path
        See `read_table`.
    markers : iterable of str
        Markers of the template.
    decimal : {".", ","}
        How its numbers are written.

    Returns
    -------
    tuple of Tube

    Raises
    ------
    InputError
        ``E-SHEET`` and what `read_table` raises.
    """
    table = read_table(path)
    if not table.rows:
        raise InputError(Finding("E-SHEET", _told(path, "has a header and no rows"), path.name))
    own = [column for column in table.columns if column in NUMBERS or column.startswith("x_")]
    rows = [_pointed(row, own) for row in table.rows] if decimal == "," else table.rows
    return tubes_from_rows(rows, table.columns, table.name, markers)


def read_spillover(path: Path, *, decimal: str = ".") -> Spillover:
    """Read a spillover matrix: a header of detectors, then a row per fluorochrome.

    Parameters
    ----------
    path : Path
        See `read_table`. A first column of names is allowed and must repeat the header's order.
    decimal : {".", ","}
        How its numbers are written.

    Returns
    -------
    Spillover

    Raises
    ------
    InputError
        ``E-SPILL`` and what `read_table` raises.
    """
    table = read_table(path, decimal=decimal)
    labelled = bool(table.rows) and not _is_number(table.rows[0].cells.get(table.columns[0], ""))
    names = table.columns[1:] if labelled else table.columns
    if labelled:
        _check_labels(table, names)
    values = [[_number(row, name, table.name) for name in names] for row in table.rows]
    if len(values) != len(names):
        said = f"has {len(values)} rows and {len(names)} columns of detectors; it must be square"
        raise InputError(Finding("E-SPILL", said, table.name))
    return Spillover(names, np.array(values, dtype=np.float64).reshape(len(names), len(names)), table.name)


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a CSV in UTF-8, one line feed after each row, whole or not at all.

    Parameters
    ----------
    path : Path
        Where to.
    columns : sequence of str
        The header.
    rows : iterable of mapping
        Cells by column; a missing one, None and NaN are empty.
    """
    write_whole(path, table_bytes(columns, rows))


def table_bytes(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> bytes:
    """Return a CSV as `write_table` writes it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_written(row.get(column)) for column in columns] for row in rows)
    return text.getvalue().encode()


def _written(cell: object) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else ""
    if isinstance(cell, float):
        return _written_number(float(cell))
    if isinstance(cell, int):
        return str(cell)
    words = str(cell)
    return f"'{words}" if words.startswith(FORMULA) and not PLAIN.fullmatch(words) else words


def _written_number(number: float) -> str:
    if not abs(number) < 1e15:
        return repr(number)
    words = f"{number:.6f}".rstrip("0").rstrip(".")
    return "0" if words == "-0" else words


def _text_lines(path: Path) -> list[tuple[int, list[str]]]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise _absent(path) from None
    except OSError as error:
        raise InputError(Finding("E-UNREADABLE", str(error.strerror), path.name)) from None
    if b"\0" in content:
        raise InputError(Finding("E-TABLE", "holds NUL bytes; save it as CSV in UTF-8", path.name))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return list(_split(text, path.name))


def _absent(path: Path) -> InputError:
    return InputError(Finding("E-MISSING", f"there is no such file in {path.parent.resolve()}", path.name))


def _split(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the line it begins on; a quoted cell may hold line breaks."""
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=_delimiter(text), strict=True)
    begins = 1
    try:
        for cells in reader:
            yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as error:
        said = f"{error}; a cell that holds quotes, separators or line breaks stands in quotes"
        raise InputError(Finding("E-TABLE", said, f"{name}:{begins}")) from None


def _delimiter(text: str) -> str:
    """Return the separator that the header has most of, quoted cells apart."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(DELIMITERS, key=re.sub(r'"[^"]*"', "", header).count)


def _is_workbook(path: Path) -> bool:
    return path.suffix.casefold() == ".xlsx"


def _told(path: Path, sentence: str) -> str:
    """Return a sentence about a table; of a workbook with several worksheets it says which was read."""
    if not _is_workbook(path):
        return sentence
    from python_calamine import CalamineWorkbook

    first, *others = CalamineWorkbook.from_path(path).sheet_names
    if not others:
        return sentence
    rest = f"the others are {', '.join(others)}" if len(others) > 1 else f"the other is {others[0]}"
    return f'worksheet "{first}" {sentence}; the first worksheet is read, {rest}'


def _sheet_lines(path: Path) -> list[tuple[int, list[str]]]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        cells = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (CalamineError, OSError, IndexError) as error:
        if not path.exists():
            raise _absent(path) from None
        raise InputError(
            Finding("E-TABLE", f"is not a workbook that can be read ({error})", path.name)
        ) from None
    return [(number, [_cell(cell) for cell in row]) for number, row in enumerate(cells, 1)]


def _cell(cell: object) -> str:
    """Return a workbook's cell as a person would have typed it."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, dt.datetime) and cell.time() == dt.time():
        return cell.date().isoformat()
    return cell.isoformat() if isinstance(cell, (dt.date, dt.time)) else str(cell)


def _columns(header: Sequence[str]) -> tuple[str, ...]:
    """Return the header without the empty cells that a spreadsheet leaves at its end."""
    columns = [cell.strip() for cell in header]
    while columns and not columns[-1]:
        columns.pop()
    return tuple(columns)


def _row(number: int, cells: Sequence[str], columns: Sequence[str], name: str) -> Row:
    if any(cell.strip() for cell in cells[len(columns) :]):
        said = (
            f"has {len(cells)} cells, the header {len(columns)}; put cells that hold the separator in quotes"
        )
        raise InputError(Finding("E-TABLE", said, f"{name}:{number}"))
    return Row(number, {column: cell.strip() for column, cell in zip(columns, cells, strict=False)})


def _pointed(row: Row, columns: Sequence[str] | None = None) -> Row:
    cells = {
        column: _with_point(cell)
        for column, cell in row.cells.items()
        if columns is None or column in columns
    }
    return Row(row.line, {**row.cells, **cells})


def _with_point(cell: str) -> str:
    pointed = cell.replace(",", ".")
    return pointed if cell.count(",") == 1 and _is_number(pointed) else cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(row: Row, column: str, name: str) -> float:
    cell = row.cells.get(column, "")
    if _is_number(cell):
        return float(cell)
    hint = "; if the comma is a decimal comma, write it with a point" if "," in cell else ""
    raise InputError(Finding("E-SPILL", f'"{cell}" is not a number{hint}', f"{name}:{row.line}:{column}"))


def _check_labels(table: Table, names: Sequence[str]) -> None:
    for row, name in zip(table.rows, names, strict=False):
        label = row.cells.get(table.columns[0], "")
        if label != name:
            said = f'row "{label}" stands where the header has "{name}"; rows and columns must be in the same order'
            raise InputError(Finding("E-SPILL", said + nearest(label, names), f"{table.name}:{row.line}"))
