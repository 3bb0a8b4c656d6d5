"""A sheet's rows are tubes with unique names, or every mistake is said with its row and column."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tregflow.errors import InputError
from tregflow.study import COLUMNS, Row, safe, stem, tubes_from_files, tubes_from_rows

MARKERS = ("CD4", "CD25", "CD127")


def tubes(*rows, markers=MARKERS):
    columns = list(dict.fromkeys(column for cells in rows for column in cells))
    lines = [
        Row(number, {column: cells.get(column, "") for column in columns})
        for number, cells in enumerate(rows, 2)
    ]
    return tubes_from_rows(lines, columns, "samples.csv", markers)


def mistakes(*rows, **more) -> list[str]:
    with pytest.raises(InputError) as error:
        tubes(*rows, **more)
    assert error.value.status == 2
    return str(error.value).splitlines()


def names(*rows) -> list[str]:
    return [tube.sample for tube in tubes(*rows)]


# ------------------------------------------------------------------------------------------ names


def test_a_file_alone_is_named_by_its_stem():
    assert names({"file": "run 1/Patient 01_W0.fcs"}, {"file": "b.FCS"}, {"file": "c"}) == [
        "Patient-01_W0",
        "b",
        "c",
    ]


def test_a_name_is_made_from_what_tells_tubes_apart():
    assert names(
        {"file": "1", "subject": "01", "visit": "W0", "tube": "full"},
        {"file": "2", "subject": "01", "visit": "W0", "tube": "fmo:CD25"},
        {"file": "3", "subject": "01", "visit": "W0", "tube": "FMO:CD127"},
        {"file": "4", "subject": "02", "run": "R1"},
        {"file": "5", "subject": "03", "visit": "W0", "run": "R1"},
        {"file": "6", "subject": "03", "visit": "W0", "run": "R2"},
        {"file": "7", "subject": "04", "visit": "W0", "replicate": "1"},
        {"file": "8", "subject": "04", "visit": "W0", "replicate": "2"},
        {"file": "9", "tube": "reference", "run": "R1"},
    ) == [
        "01_W0",
        "01_W0_fmo-CD25",
        "01_W0_FMO-CD127",
        "02",
        "03_W0_R1",
        "03_W0_R2",
        "04_W0_1",
        "04_W0_2",
        "9",
    ]


def test_run_and_replicate_together():
    rows = [
        {"file": f"{run}{number}", "subject": "1", "run": run, "replicate": number}
        for run in "AB"
        for number in "12"
    ]
    assert names(*rows) == ["1_A_1", "1_A_2", "1_B_1", "1_B_2"]


def test_a_given_name_stays():
    assert names({"file": "a", "sample": "P1", "subject": "01"}, {"file": "b", "sample": "P 2"}) == [
        "P1",
        "P-2",
    ]


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [
        ({"subject": "a", "visit": "W0"}, {"subject": "A", "visit": "w0"}, "A_w0"),
        ({"sample": "P 1"}, {"sample": "p-1"}, "p-1"),
        ({"subject": "1", "run": "R"}, {"subject": "1", "run": "r"}, "1_r"),
        ({"sample": "1_W0"}, {"subject": "1", "visit": "W0"}, "1_W0"),
    ],
)
def test_the_same_name_twice_case_ignored(one, other, name):
    assert mistakes({"file": "a.fcs", **one}, {"file": "b.fcs", **other}) == [
        f"E-SHEET  samples.csv:3  is the same sample as line 2 ({name}); tell them apart by run, replicate or sample, "
        "or take one out"
    ]


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("Müller", "Mueller"), ("Mu\u0308ller", "Mueller"), ("Groß", "Gross"), ("Søren", "Soren"), ("Ångström", "Angstroem"),
        ("Łukasz", "Lukasz"), ("Peña", "Pena"), ("Çelik", "Celik"), ("Žižek", "Zizek"), ("Æsir", "Aesir"), ("P²", "P2"),
    ],
)  # fmt: skip
def test_letters_with_accents_become_letters(word, name):
    assert safe(word) == name


def test_two_names_that_only_an_accent_tells_apart():
    rows = [
        {"file": file, "subject": name, "visit": "W0"} for file, name in (("a", "Müller"), ("b", "Mueller"))
    ]
    assert mistakes(*rows) == [
        'E-SHEET  samples.csv:3  is the same sample as line 2 (Mueller_W0: "Müller_W0" and "Mueller_W0" are the same '
        "in the letters of a file name); tell them apart by run, replicate or sample, or take one out"
    ]


@pytest.mark.parametrize("more", [{}, {"run": "R1"}])
def test_a_subject_in_another_script_needs_a_name(more):
    cells = {"visit": "W0", **more}
    said = mistakes({"file": "a", "subject": "山田", **cells}, {"file": "b", "subject": "鈴木", **cells})
    assert [line.split("  ")[1] for line in said] == ["samples.csv:2:sample", "samples.csv:3:sample"]
    assert "no letter or digit is left of the name; write one in the column sample" in said[0]


def test_a_row_twice():
    cells = {"file": "a.fcs", "subject": "1", "visit": "W0", "run": "R1", "x_site": "B"}
    assert "samples.csv:3  is the same sample as line 2 (1_W0_R1)" in mistakes(cells, cells)[0]


def test_a_name_without_letters():
    assert (
        "samples.csv:2:sample  no letter or digit is left of the name"
        in mistakes({"file": "a.fcs", "sample": "???"})[0]
    )


def test_a_name_that_fits_no_folder():
    assert (
        "a name of 200 characters; at most 120 fit a file name"
        in mistakes({"file": "a", "sample": "x" * 200})[0]
    )


@pytest.mark.parametrize("device", ["con", "PRN", "aux", "nul", "COM1", "lpt9"])
def test_names_of_devices_are_changed(device):
    assert safe(device) == f"{device}_"
    assert safe(f"{device}.fcs") == f"{device}_.fcs"
    assert safe(f"{device}s") == f"{device}s"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("a/b.fcs", "b"),
        ("a/b.FCS.gz", "b"),
        ("b.gz", "b"),
        ("a\\b.c.fcs", "b.c"),
        (".hidden", "hidden"),
        ("../x y.fcs", "x-y"),
        ("nul.fcs", "nul_"),
        ("é.fcs", "e"),
        ("山田.fcs", ""),
    ],
)
def test_stems(file, name):
    assert stem(file) == name


@given(st.text(max_size=30))
def test_a_safe_name_is_safe_and_stays(word):
    name = safe(word)
    assert not set(name) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    assert not name.startswith((".", "-"))
    assert safe(name) == name


# -------------------------------------------------------------------------------------- what is right


def test_a_row_is_a_tube():
    (tube,) = tubes({
        "file": "a.fcs", "subject": "012", "visit": "W0", "tube": "Reference", "run": "R1", "collected": "2021-03-15",
        "data_set": "2", "channel:CD4": "FL1-A", "channel:CD25": "", "x_site": "Basel", "hours_to_stain": "4.5",
    })  # fmt: skip
    assert (tube.sample, tube.file, tube.subject, tube.visit) == ("012_W0_Reference", "a.fcs", "012", "W0")
    assert (tube.run, tube.collected, tube.tube, tube.data_set) == ("R1", "2021-03-15", "reference", 2)
    assert tube.channels == {"CD4": "FL1-A"}
    assert tube.extra == {"x_site": "Basel", "hours_to_stain": "4.5"}


@pytest.mark.parametrize(
    ("word", "kind", "is_gated"),
    [
        ("", "full", True), ("FULL", "full", True), ("reference", "reference", True), ("Unstained", "unstained", False),
        ("FMO:CD25", "fmo:CD25", False), ("single:CD4", "single:CD4", False),
    ],
)  # fmt: skip
def test_kinds_of_tubes(word, kind, is_gated):
    (tube,) = tubes({"file": "a", "tube": word})
    assert (tube.tube, tube.is_gated) == (kind, is_gated)


@pytest.mark.parametrize("column", ["channel:FSC-A", "channel:ssc-h", "channel:Time", "channel:CD4"])
def test_a_channel_of_any_marker_that_a_gate_may_use(column):
    (tube,) = tubes({"file": "a", column: "FS INT"})
    assert tube.channels == {column.removeprefix("channel:"): "FS INT"}


def test_every_column_that_is_known_is_taken():
    right = {
        "collected": "2021-01-02",
        "day0": "2021-01-01",
        "tube": "full",
        "data_set": "1",
        "part": "",
        "supersedes": "",
    }
    numbers = dict.fromkeys(("hours_to_stain", "last_dose", "volume_ul", "lymphocytes"), "1e3")
    assert tubes(dict.fromkeys(COLUMNS, "word") | right | numbers)


# -------------------------------------------------------------------------------------- what is not


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        (
            "visits",
            '"visits" is not a column of a sheet; did you mean "visit"? (your own begin with x_: x_visits)',
        ),
        (
            "Subject",
            '"Subject" is not a column of a sheet; did you mean "subject"? (your own begin with x_: x_Subject)',
        ),
        ("site", '"site" is not a column of a sheet (your own begin with x_: x_site)'),
        ("Datei", '"Datei" is not a column of a sheet (your own begin with x_: x_Datei)'),
        ("", '"" is not a column of a sheet; give it a name'),
        ("channel:CD52", '"CD52" is not a marker of the template; did you mean "CD25"?'),
        ("channel:", '"" is not a marker of the template'),
    ],
)
def test_unknown_columns(column, sentence):
    said = mistakes({"file": "a.fcs", column: "1"})
    assert said[0].removeprefix("E-SHEET  samples.csv:1").lstrip(":").removeprefix(column).strip() == sentence


def test_no_column_file():
    assert mistakes({"subject": "1", "visit": "2"}, {"subject": "2", "visit": "2"}) == [
        "E-SHEET  samples.csv:1:file  there is no column file; the sheet has subject, visit"
    ]


def test_a_column_twice():
    with pytest.raises(InputError, match=r"samples\.csv:1:visit  this column is there twice"):
        tubes_from_rows(
            [Row(2, {"file": "a", "visit": "1"})], ["file", "visit", "visit"], "samples.csv", MARKERS
        )


@pytest.mark.parametrize(
    ("cells", "where", "sentence"),
    [
        ({"file": ""}, "file", "is empty; every row names a file"),
        ({"tube": "fulll"}, "tube", '"fulll" is not full, fmo:MARKER, single:MARKER, unstained or reference; did you mean "full"?'),
        ({"tube": "fmo"}, "tube", '"fmo" is not full, fmo:MARKER, single:MARKER, unstained or reference; did you mean "fmo:"?'),
        ({"tube": "fmo:?"}, "tube", '"fmo:?" leaves the marker open; write which it is'),
        ({"collected": "15.3.2021"}, "collected", '"15.3.2021" is not a date; write it as 2021-03-15'),
        ({"collected": "20210315"}, "collected", '"20210315" is not a date; write it as 2021-03-15'),
        ({"day0": "2021-02-30"}, "day0", '"2021-02-30" is not a date; write it as 2021-03-15'),
        ({"day0": "2021-W01-1"}, "day0", '"2021-W01-1" is not a date; write it as 2021-03-15'),
        ({"volume_ul": "many"}, "volume_ul", '"many" is not a number'),
        ({"volume_ul": "nan"}, "volume_ul", '"nan" is not a number'),
        ({"volume_ul": "1_0"}, "volume_ul", '"1_0" is not a number'),
        ({"volume_ul": "4,5"}, "volume_ul", '"4,5" is not a number; if the comma is a decimal comma, say --decimal ,'),
        ({"data_set": "0"}, "data_set", '"0" is not a data set; they are counted 1, 2, 3'),
        ({"data_set": "1.5"}, "data_set", '"1.5" is not a data set; they are counted 1, 2, 3'),
        ({"data_set": "²"}, "data_set", '"²" is not a data set; they are counted 1, 2, 3'),
        ({"subject": "=1+1"}, "subject", "begins with a sign that a spreadsheet takes for a formula; name it otherwise"),
        ({"sample": "@SUM(A1)"}, "sample", "begins with a sign that a spreadsheet takes for a formula; name it otherwise"),
        ({"visit": "-1"}, "visit", "begins with a sign that a spreadsheet takes for a formula; name it otherwise"),
        ({"run": "+R"}, "run", "begins with a sign that a spreadsheet takes for a formula; name it otherwise"),
    ],
)  # fmt: skip
def test_cells_that_have_no_meaning(cells, where, sentence):
    assert mistakes({"file": "a.fcs", **cells}) == [f"E-SHEET  samples.csv:2:{where}  {sentence}"]


@pytest.mark.parametrize("column", ["part", "supersedes"])
def test_what_is_not_built_is_refused_as_that(column):
    assert mistakes({"file": "a.fcs", column: "1"}) == [
        f"E-UNBUILT  samples.csv:2:{column}  {column} is not available in this version; gate the tubes in sheets of their own"
    ]


def test_everything_is_said_at_once():
    said = mistakes({"file": "", "visist": "1", "tube": "x"}, {"file": "", "day0": "now"})
    assert len(said) == 5


# ----------------------------------------------------------------------------- files without a sheet


def test_files_by_name():
    assert [(tube.sample, tube.file, tube.tube) for tube in tubes_from_files(["d/a 1.fcs", "b.fcs"])] == [
        ("a-1", "d/a 1.fcs", "full"),
        ("b", "b.fcs", "full"),
    ]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (
            ["d/a.fcs", "e/A.fcs"],
            "E-USAGE  d/a.fcs and e/A.fcs would both be A; write a sheet with a column sample",
        ),
        (["a.fcs", "b.fcs", "a.fcs"], "E-USAGE  a.fcs is named twice"),
        (["山田.fcs"], "E-USAGE  no letter or digit is left of the name of 山田.fcs; write a sheet"),
        (
            ["Müller.fcs", "Mueller.fcs"],
            "E-USAGE  Müller.fcs and Mueller.fcs would both be Mueller; write a sheet",
        ),
        (["*.fcs"], "E-USAGE  there is no file *.fcs"),
        (["."], "E-USAGE  . is a folder; draft a sheet with tregflow init ."),
        (["data/.."], "E-USAGE  data/.. is a folder; draft a sheet with tregflow init data/.."),
        (["data/"], "E-USAGE  data/ is a folder; draft a sheet with tregflow init data/"),
    ],
)
def test_files_that_would_share_a_name(files, sentence):
    with pytest.raises(InputError) as error:
        tubes_from_files(files)
    assert str(error.value).startswith(sentence)
