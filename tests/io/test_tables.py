"""Tables are read in the dialects that laboratories have, and written so that none is misread."""

from __future__ import annotations

import csv
import datetime as dt
import io

import numpy as np
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from tregflow.errors import InputError
from tregflow.io.tables import read_sheet, read_spillover, read_table, table_bytes, write_table

MARKERS = ("CD4", "CD25")


@pytest.fixture
def write(tmp_path):
    def written(content: str | bytes, name: str = "samples.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


@pytest.fixture
def workbook(tmp_path):
    def written(rows, name: str = "samples.xlsx", *, first: str | None = None, others=()):
        book = xlsxwriter.Workbook(str(tmp_path / name))
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        page = book.add_worksheet(first)
        for other in others:
            book.add_worksheet(other).write(0, 0, "file")
        for line, cells in enumerate(rows):
            for place, cell in enumerate(cells):
                if isinstance(cell, dt.date):
                    page.write_datetime(line, place, cell, day)
                else:
                    page.write(line, place, cell)
        book.close()
        return tmp_path / name

    return written


def cells(path, **more):
    table = read_table(path, **more)
    return [list(row.cells.values()) for row in table.rows]


def refused(read, *args, **kwargs) -> str:
    with pytest.raises(InputError) as error:
        read(*args, **kwargs)
    assert error.value.status == 2
    return str(error.value)


# ---------------------------------------------------------------------------------------- dialects


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_encodings_separators_and_line_ends(write, separator, ends, encoding):
    lines = [["file", "subject"], ["a.fcs", "Müller"], ["b.fcs", ""]]
    text = "".join(separator.join(line) + ends for line in lines)
    table = read_table(write(text.encode(encoding)))
    assert table.columns == ("file", "subject")
    assert [(row.line, *row.cells.values()) for row in table.rows] == [
        (2, "a.fcs", "Müller"),
        (3, "b.fcs", ""),
    ]


def test_quoted_cells_hold_separators_quotes_and_line_breaks(write):
    table = read_table(write('file,x_note\n"a,1.fcs","one\ntwo ""three"""\nb.fcs,"x;y"\n'))
    assert cells(write('file,x_note\n"a,1.fcs","one\ntwo ""three"""\nb.fcs,"x;y"\n')) == [
        ["a,1.fcs", 'one\ntwo "three"'],
        ["b.fcs", "x;y"],
    ]
    assert [row.line for row in table.rows] == [2, 4]


def test_separators_inside_a_quoted_header_do_not_count(write):
    assert read_table(write('file;"x_a,b,c,d"\na.fcs;1\n')).columns == ("file", "x_a,b,c,d")


def test_blank_lines_and_blanks_around_cells(write):
    table = read_table(write("\n,\n file , subject \n\n a.fcs ,  1 \n,\n"))
    assert table.columns == ("file", "subject")
    assert [(row.line, row.cells) for row in table.rows] == [(5, {"file": "a.fcs", "subject": "1"})]


def test_empty_columns_at_the_end_are_those_of_a_spreadsheet(write):
    assert read_table(write("file,subject,,\na.fcs,1,,\nb.fcs\n")).columns == ("file", "subject")


def test_cells_beyond_the_header_are_refused(write):
    said = refused(read_table, write("file,subject\na,b.fcs,1\n"))
    assert said == (
        "E-TABLE  samples.csv:2  has 3 cells, the header 2; put cells that hold the separator in quotes"
    )


@pytest.mark.parametrize("text", ['file\n"a.fcs\n', 'file\n"a"b.fcs\n', "file\n" + "x" * 200_000])
def test_what_cannot_be_split_has_its_line(write, text):
    assert refused(read_table, write(text)).startswith("E-TABLE  samples.csv:2  ")


@pytest.mark.parametrize("content", [b"", b"\n\n", b" , \n", b"\xef\xbb\xbf"])
def test_an_empty_table(write, content):
    assert refused(read_table, write(content)) == "E-TABLE  samples.csv  is empty"


def test_utf16_is_said(write):
    said = refused(read_table, write("file,subject\na,1\n".encode("utf-16")))
    assert said == "E-TABLE  samples.csv  holds NUL bytes; save it as CSV in UTF-8"


@pytest.mark.parametrize("name", ["no.csv", "no.xlsx"])
def test_a_table_that_is_not_there(tmp_path, name):
    assert refused(read_table, tmp_path / name) == f"E-MISSING  {name}  there is no such file in {tmp_path}"


def test_a_folder_is_no_table(tmp_path):
    said = f"E-UNREADABLE  {tmp_path.name}  is a folder; name the sheet in it"
    assert refused(read_table, tmp_path) == said


# ------------------------------------------------------------------------------------ decimal comma


def test_a_decimal_comma_is_never_guessed(write):
    path = write("file;volume_ul\na.fcs;4,5\n")
    assert "if the comma is a decimal comma, say --decimal ," in refused(read_sheet, path, MARKERS)
    (tube,) = read_sheet(path, MARKERS, decimal=",")
    assert tube.extra == {"volume_ul": "4.5"}


def test_a_declared_decimal_comma_touches_numbers_only(write):
    (tube,) = read_sheet(
        write("file;subject;visit;x_dose;x_note\n1,5;2,5;3,5;0,5;a,b\n"), MARKERS, decimal=","
    )
    assert (tube.file, tube.subject, tube.visit) == ("1,5", "2,5", "3,5")
    assert tube.extra == {"x_dose": "0.5", "x_note": "a,b"}


def test_a_declared_decimal_comma_in_any_table(write):
    assert cells(write("a;b;c\n1,5;1,2,3;x,y\n"), decimal=",") == [["1.5", "1,2,3", "x,y"]]
    assert cells(write("a;b\n1,5;2\n")) == [["1,5", "2"]]


# --------------------------------------------------------------------------------------- workbooks


def test_a_workbook_is_read_as_it_would_have_been_typed(workbook):
    path = workbook([
        ["file", "subject", "collected", "volume_ul", "x_flag", "x_note", None],
        ["a.fcs", 12, dt.date(2021, 3, 15), 4.5, True, "a\nb"],
        [],
        ["b.fcs", "012", dt.date(2021, 3, 16), 4, None, "x,y;z"],
    ])  # fmt: skip
    one, other = read_sheet(path, MARKERS)
    assert (one.subject, one.collected, one.extra) == (
        "12",
        "2021-03-15",
        {"volume_ul": "4.5", "x_flag": "True", "x_note": "a\nb"},
    )
    assert (other.subject, other.collected, other.extra["volume_ul"]) == ("012", "2021-03-16", "4")
    assert [row.line for row in read_table(path).rows] == [2, 4]


def test_a_workbook_in_name_only(write):
    assert "E-TABLE  samples.xlsx  is not a workbook that can be read" in refused(
        read_table, write("file\na\n", "samples.xlsx")
    )


def test_an_empty_workbook(workbook):
    assert refused(read_table, workbook([])) == "E-TABLE  samples.xlsx  is empty"


@pytest.mark.parametrize(
    ("rows", "said"),
    [([], 'E-TABLE  samples.xlsx  worksheet "Lies mich" is empty'),
     ([["Bitte lesen"]], 'E-SHEET  samples.xlsx  worksheet "Lies mich" has a header and no rows')],
)  # fmt: skip
@pytest.mark.parametrize(
    ("others", "rest"),
    [(["Proben"], "the other is Proben"), (["Proben", "Alt"], "the others are Proben, Alt")],
)
def test_of_several_worksheets_it_is_said_which_was_read(workbook, rows, said, others, rest):
    path = workbook(rows, first="Lies mich", others=others)
    assert refused(read_sheet, path, MARKERS) == f"{said}; the first worksheet is read, {rest}"


# ------------------------------------------------------------------------------------------- sheets


def test_a_sheet_of_a_header_alone(write):
    assert (
        refused(read_sheet, write("file,subject\n"), MARKERS)
        == "E-SHEET  samples.csv  has a header and no rows"
    )


def test_mistakes_of_a_sheet_name_it(write):
    said = refused(read_sheet, write("file;visits\na.fcs;1\n", "trial.csv"), MARKERS)
    assert said.startswith(
        'E-SHEET  trial.csv:1:visits  "visits" is not a column of a sheet; did you mean "visit"?'
    )


def test_own_columns_are_carried(write):
    (tube,) = read_sheet(write("file,x_site,x_dose\na.fcs,Basel,1.50\n"), MARKERS)
    assert tube.extra == {"x_site": "Basel", "x_dose": "1.50"}


# ---------------------------------------------------------------------------------------- spillover


@pytest.mark.parametrize(
    "text",
    [
        "FL1-A,FL2-A\n1,0.1\n0.02,1\n",
        ",FL1-A,FL2-A\nFL1-A,1,0.1\nFL2-A,0.02,1\n",
        "dye\tFL1-A\tFL2-A\nFL1-A\t1\t1e-1\nFL2-A\t.02\t1.0\n",
    ],
)
def test_a_matrix_with_and_without_names_of_rows(write, text):
    matrix = read_spillover(write(text, "m.csv"))
    assert matrix.names == ("FL1-A", "FL2-A")
    assert matrix.source == "m.csv"
    np.testing.assert_array_equal(matrix.matrix, [[1, 0.1], [0.02, 1]])


def test_a_matrix_with_decimal_commas(write):
    path = write("FL1-A;FL2-A\n1;0,1\n0;1\n", "m.csv")
    said = 'E-SPILL  m.csv:2:FL2-A  "0,1" is not a number; if the comma is a decimal comma, write it with a point'
    assert refused(read_spillover, path) == said
    assert read_spillover(path, decimal=",").matrix[0, 1] == 0.1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("FL1-A,FL2-A\n1,0\n", "E-SPILL  m.csv  has 1 rows and 2 columns of detectors; it must be square"),
        ("FL1-A,FL2-A\n1,x\n0,1\n", 'E-SPILL  m.csv:2:FL2-A  "x" is not a number'),
        ("FL1-A,FL2-A\n1\n0,1\n", 'E-SPILL  m.csv:2:FL2-A  "" is not a number'),
        (
            ",FL1-A,FL2-A\nFL2-A,1,0\nFL1-A,0,1\n",
            'E-SPILL  m.csv:2  row "FL2-A" stands where the header has "FL1-A"; rows and columns must be in the same order',
        ),
        ("FL1-A\n", "E-SPILL  m.csv  has 0 rows and 1 columns of detectors; it must be square"),
    ],
)
def test_a_matrix_that_is_none(write, text, sentence):
    assert refused(read_spillover, write(text, "m.csv")).startswith(sentence)


# ------------------------------------------------------------------------------------------ writing


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        (None, ""), (float("nan"), ""), (np.float64("nan"), ""), (True, "yes"), (False, ""), (0, "0"), (1763, "1763"),
        (8.5, "8.5"), (8.0, "8"), (1 / 3, "0.333333"), (-0.0, "0"), (-1e-9, "0"), (-2.5, "-2.5"), (1e20, "1e+20"),
        (np.float64(0.25), "0.25"), (np.int64(7), "7"), ("plain", "plain"), ("a,b", '"a,b"'), ("a\nb", '"a\nb"'),
        ("=1+1", "'=1+1"), ("+cmd", "'+cmd"), ("-x", "'-x"), ("@SUM(A1)", "'@SUM(A1)"), ("\tx", "'\tx"),
        ("-1.5", "-1.5"), ("+3", "+3"), ("-2,5", '"-2,5"'), ("-1e-3", "-1e-3"), ("-1+1", "'-1+1"), ("-inf", "'-inf"),
    ],
)  # fmt: skip
def test_cells_as_they_are_written(cell, written):
    assert table_bytes(["a"], [{"a": cell}]).decode() == f"a\n{written or chr(34) * 2}\n"


def test_a_table_is_written_whole_in_the_order_of_its_header(tmp_path):
    write_table(tmp_path / "deep" / "t.csv", ["b", "a"], [{"a": 1, "b": "é", "c": 3}, {"a": 2}])
    assert (tmp_path / "deep" / "t.csv").read_bytes() == "b,a\né,1\n,2\n".encode()


TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12).map(str.strip)


@given(st.lists(st.fixed_dictionaries({"a": TEXT, "b": TEXT}), max_size=5))
def test_another_reader_reads_what_was_written(rows):
    content = table_bytes(["a", "b"], rows).decode()
    read = list(csv.DictReader(io.StringIO(content, newline="")))
    assert [{key: cell.removeprefix("'") for key, cell in line.items()} for line in read] == [
        {key: cell.removeprefix("'") for key, cell in line.items()} for line in rows
    ]
    assert not any(cell.startswith(("=", "@")) for line in read for cell in line.values())
