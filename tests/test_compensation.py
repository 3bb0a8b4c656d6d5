"""Spillover out: by name, in file order, the same for an event whoever else is asked for."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import flowutils
import numpy as np
import pytest
from builders import above, named, row, sample, template
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tregflow.compensation import Compensation, compensate, match
from tregflow.errors import FileError, Finding
from tregflow.io.fcs import read_fcs
from tregflow.sample import Sample, Spillover, Values
from tregflow.template import Template

SPILL = np.array([[1.0, 0.24, 0.03], [0.01, 1.0, 0.14], [0.02, 0.18, 1.0]])
DYES = ("B-A", "C-A", "D-A")


def spillover(names: tuple[str, ...] = DYES, matrix: Any = SPILL, source: str = "$SPILLOVER") -> Spillover:
    return Spillover(names, np.array(matrix, dtype=float), source)


def tube(events: Any = None) -> Sample:
    """Return a file of scatter, three dyes and Time."""
    events = np.ones((4, 3)) if events is None else np.asarray(events)
    scatter, clock = np.full(len(events), 500.0), np.arange(len(events), dtype=float)
    return sample({"FSC-A": scatter, "B-A": events[:, 0], "C-A": events[:, 1], "D-A": events[:, 2], "Time": clock},
                  {"B-A": "CD3", "C-A": "CD4", "D-A": "CD25"})  # fmt: skip


def undone(events: Any, matrix: Spillover | None = None) -> Values:
    """Return the compensated dyes of a file; shape (n_events, 3)."""
    file = tube(events)
    compensation = match(matrix or spillover(), file)
    rows, raw = np.arange(len(file)), list(file.columns(compensation.detectors))
    return np.column_stack([compensate(raw, compensation.weights(channel), rows) for channel in (1, 2, 3)])


# --------------------------------------------------------------------------------------------- laws


@given(arrays(float, (20, 3), elements=st.floats(-1e5, 1e5)))
def test_compensation_undoes_spillover(true: Values) -> None:
    np.testing.assert_allclose(undone(true @ SPILL), true, rtol=0, atol=1e-6)


@given(arrays(float, (20, 3), elements=st.floats(-1e5, 1e5)))
def test_compensation_is_flowutils(events: Values) -> None:
    theirs = flowutils.compensate.compensate(events, SPILL)
    np.testing.assert_allclose(undone(events), theirs, rtol=0, atol=1e-9)


def test_rows_are_dyes_and_columns_detectors() -> None:
    only_first_dye = [[100.0, 24.0, 3.0]]
    np.testing.assert_allclose(undone(only_first_dye), [[100, 0, 0]], atol=1e-12)


events_of = np.random.default_rng(2).lognormal(7, 1.5, (40_000, 3))


@given(
    rows=st.sets(st.integers(0, 39_999), min_size=1, max_size=300),
    stretch=st.tuples(st.integers(0, 39_000), st.integers(1, 999)),
)
def test_some_rows_are_the_same_to_the_bit_as_all(rows: set[int], stretch: tuple[int, int]) -> None:
    compensation = match(spillover(), tube(events_of[:4]))
    raw = list(np.ascontiguousarray(events_of.T))
    weights = compensation.weights(2)
    whole = compensate(raw, weights, np.arange(len(events_of)))
    for some in (
        np.array(sorted(rows)),
        np.arange(stretch[0], sum(stretch)),
        np.arange(stretch[0], sum(stretch), 2),
    ):
        np.testing.assert_array_equal(compensate(raw, weights, some), whole[some])


def test_nobody_is_compensated_to_nothing() -> None:
    assert compensate([np.ones(3)] * 3, np.ones(3), np.empty(0, np.intp)).shape == (0,)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
def test_the_order_of_the_matrix_does_not_matter_to_the_bit(order: tuple[int, ...]) -> None:
    turned = spillover(tuple(DYES[place] for place in order), SPILL[np.ix_(order, order)])
    np.testing.assert_array_equal(undone(events_of[:500], turned), undone(events_of[:500]))


def test_a_matrix_of_some_detectors_leaves_the_others_alone() -> None:
    compensation = match(spillover(("D-A", "B-A"), [[1, 0.1], [0.2, 1]]), tube())
    assert compensation.detectors == (1, 3)
    file, rows = tube(events_of[:100]), np.arange(100)
    raw = list(file.columns(compensation.detectors))
    found = np.column_stack([compensate(raw, compensation.weights(channel), rows) for channel in (1, 3)])
    np.testing.assert_allclose(found @ [[1, 0.2], [0.1, 1]], events_of[:100, [0, 2]], rtol=1e-12)


def test_the_input_is_left_alone() -> None:
    matrix = spillover()
    before = matrix.matrix.copy()
    match(matrix, tube())
    np.testing.assert_array_equal(matrix.matrix, before)


# ------------------------------------------------------------------------------------- matching names


def codes(compensation: Compensation) -> list[str]:
    return [finding.code for finding in compensation.findings]


def test_a_plain_matrix_says_nothing() -> None:
    assert codes(match(spillover(), tube())) == []


def test_names_of_stains_are_matched_one_to_one_and_flagged() -> None:
    compensation = match(spillover(("CD3", "CD4", "CD25")), tube())
    assert compensation.detectors == (1, 2, 3)
    assert codes(compensation) == ["F-SPILL-STAIN"]
    assert compensation.findings[0].sentence == (
        "the $SPILLOVER matrix names stains, not detectors; each was matched to its one channel"
    )


def test_numbers_for_names_are_matched_by_place_and_flagged() -> None:
    compensation = match(spillover(("4", "2", "3")), tube())
    assert compensation.detectors == (1, 2, 3)
    assert codes(compensation) == ["F-SPILL-INDEX"]
    assert f"4 = {tube().names[3]}, 2 = {tube().names[1]}" in compensation.findings[0].sentence
    plain = match(spillover((tube().names[3], tube().names[1], tube().names[2])), tube())
    np.testing.assert_array_equal(compensation.unmix, plain.unmix)


@pytest.mark.parametrize(
    "names",
    [
        ("0", "1", "2"),
        ("1", "2", "99"),
        ("1", "1", "2"),
        ("1", "2", "x"),
        ("1", "2", "9" * 5000),
        ("1", "2", "٣"),
    ],
)
def test_numbers_that_are_no_places_refuse(names: tuple[str, ...]) -> None:
    with pytest.raises(FileError, match="E-SPILL"):
        match(spillover(names), tube())


def test_blanks_around_names_do_not_count() -> None:
    assert match(spillover((" B-A", "C-A ", "D-A")), tube()).detectors == (1, 2, 3)


def test_scatter_in_the_matrix_is_fine_while_it_is_not_mixed() -> None:
    matrix = np.eye(3)
    matrix[1, 2] = 0.1
    assert match(spillover(("FSC-A", "B-A", "C-A"), matrix), tube()).detectors == (0, 1, 2)


@pytest.mark.parametrize(
    ("matrix", "code", "sentence"),
    [
        (np.eye(3), "F-SPILL-IDENTITY", "the $SPILLOVER matrix is the identity: the events were compensated before, or not "
         "at all; write compensation: none if the first"),
        ([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]], "N-SPILL", "the $SPILLOVER matrix has condition number 19: it magnifies noise"),
        ([[1, 0.99, 0], [0.99, 1, 0], [0, 0, 1]], "F-SPILL-CONDITION",
         "the $SPILLOVER matrix has condition number 199: it magnifies noise"),
    ],
)  # fmt: skip
def test_an_odd_matrix_is_used_and_said(matrix: Any, code: str, sentence: str) -> None:
    (finding,) = match(spillover(matrix=matrix), tube()).findings
    assert (finding.code, finding.sentence) == (code, sentence)


REFUSALS = {
    "a name that is no channel": (
        spillover(("B-A", "C-A", "E-A")),
        "the $SPILLOVER matrix names E-A, which is not exactly one channel of the file; it has FSC-A, B-A, C-A, D-A, Time",
    ),
    "not square": (
        spillover(matrix=SPILL[:2]),
        "the $SPILLOVER matrix is 2 x 3 and names 3 detectors; it must be square",
    ),
    "fewer names": (
        spillover(DYES[:2]),
        "the $SPILLOVER matrix is 3 x 3 and names 2 detectors; it must be square",
    ),
    "a name twice": (spillover(("B-A", "B-A", "D-A")), "the $SPILLOVER matrix names a detector twice"),
    "not a number": (
        spillover(matrix=[[1, np.nan, 0], [0, 1, 0], [0, 0, 1]]),
        "the $SPILLOVER matrix holds a value that is not a finite number",
    ),
    "infinite": (
        spillover(matrix=[[1, np.inf, 0], [0, 1, 0], [0, 0, 1]]),
        "the $SPILLOVER matrix holds a value that is not a finite number",
    ),
    "per cent": (
        spillover(matrix=100 * SPILL),
        "the $SPILLOVER matrix has 100 on its diagonal: it is in per cent; divide it by 100",
    ),
    "a small diagonal": (
        spillover(matrix=np.diag([1, 0.4, 1])),
        "the diagonal of the $SPILLOVER matrix runs from 0.4 to 1; it should be 1",
    ),
    "a large diagonal": (
        spillover(matrix=np.diag([1, 2.5, 1])),
        "the diagonal of the $SPILLOVER matrix runs from 1 to 2.5; it should be 1",
    ),
    "negative": (
        spillover(matrix=[[1, -0.2, 0], [0, 1, 0], [0, 0, 1]]),
        "the $SPILLOVER matrix holds -0.2; a detector cannot see so much less than nothing of another dye",
    ),
    "singular": (
        spillover(matrix=[[1, 1, 0], [1, 1, 0], [0, 0, 1]]),
        "the $SPILLOVER matrix cannot be undone",
    ),
    "mixed scatter": (
        spillover(("FSC-A", "B-A", "C-A"), [[1, 0.1, 0], [0, 1, 0], [0, 0, 1]]),
        "the matrix mixes FSC-A with fluorescence; scatter and time take no compensation",
    ),
    "mixed into scatter": (
        spillover(("FSC-A", "B-A", "C-A"), [[1, 0, 0], [0.1, 1, 0], [0, 0, 1]]),
        "the matrix mixes FSC-A with fluorescence; scatter and time take no compensation",
    ),
    "mixed time": (
        spillover(("Time", "B-A", "C-A"), [[1, 0.1, 0], [0, 1, 0], [0, 0, 1]]),
        "the matrix mixes Time with fluorescence; scatter and time take no compensation",
    ),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_matrix_that_cannot_be_used_is_refused(kind: str) -> None:
    matrix, sentence = REFUSALS[kind]
    with pytest.raises(FileError) as caught:
        match(matrix, tube())
    (finding,) = caught.value.findings
    assert finding.code == "E-SPILL"
    assert finding.sentence.startswith(sentence)


def test_a_name_of_two_channels_is_refused() -> None:
    with pytest.raises(
        FileError, match=r"the \$SPILLOVER matrix names C-A, which is not exactly one channel"
    ):
        match(spillover(), named(["B-A", "C-A", "C-A", "D-A"]))


def test_of_many_unknown_names_four_are_said() -> None:
    strangers = tuple(f"X{place}" for place in range(6))
    with pytest.raises(FileError, match="names X0, X1, X2, X3 …, which is not"):
        match(spillover(strangers, np.eye(6)), tube())


# ------------------------------------------------------------------------------- what a template asks


def asking(**changes: Any) -> Template:
    return template(row("P", "root", ["CD4"], above(1.0)), **{"compensation": "file", **changes})


def test_a_file_without_a_matrix_is_refused_where_the_template_wants_one() -> None:
    with pytest.raises(FileError) as caught:
        asking().bind(tube())
    (finding,) = caught.value.findings
    assert finding.code == "E-SPILL"
    assert finding.sentence.startswith("the template asks for the file's compensation and the file has no spillover matrix "
                                       "that can be used. Export it with compensation")  # fmt: skip


def test_the_reason_why_a_matrix_could_not_be_read_is_repeated() -> None:
    told = Finding("N-SPILL", "$SPILLOVER announces 3 names and 3 x 3 = 9 values, but 4 words follow")
    with pytest.raises(FileError, match="that can be used: \\$SPILLOVER announces 3 names"):
        asking().bind(replace(tube(), findings=(told,)))


def test_compensated_channels_are_not_compensated_again() -> None:
    file = sample({"FJComp-B-A": np.ones(3), "C-A": np.ones(3)}, {"FJComp-B-A": "CD4"})
    with pytest.raises(
        FileError, match="FJComp-B-A is compensated already and the template asks for compensation"
    ):
        asking().bind(file)


def test_a_template_without_compensation_takes_a_bad_matrix() -> None:
    file = replace(tube(), spillover=spillover(matrix=100 * SPILL))
    assert asking(compensation="none").bind(file).compensation is None
    with pytest.raises(FileError, match="it is in per cent"):
        asking().bind(file)


def test_a_table_that_the_template_names_goes_before_the_files_matrix() -> None:
    file = replace(tube(events_of[:50]), spillover=spillover())
    own = asking(compensation="table.csv").compensated_by(
        spillover(matrix=np.eye(3) + np.diag([0.1, 0.1], 1), source="table.csv")
    )
    bound = own.bind(file)
    assert bound.compensation is not None
    assert bound.compensation.source == "table.csv"


# --------------------------------------------------------------------------------------- real stains


RESIDUE = 0.05
"""Of a stain's own median: beyond it a control is flagged. Medians do not add up as the matrix does."""


@pytest.mark.data
def test_single_stains_of_flowcore_give_its_matrix_and_are_undone_by_it(data: Path) -> None:
    folder = data / "labelled" / "compensation_flowcore_compdata"
    with (folder / "comp_match").open(newline="") as lines:
        files = {row["channel"]: read_fcs(folder / "data" / row["filename"]) for row in csv.DictReader(lines)}
    dyes = ("FL1-H", "FL2-H", "FL3-H", "FL4-H")
    wanted = np.loadtxt(folder / "compref1", skiprows=1, usecols=range(1, 5))
    medians = {stain: np.median(_of(file, dyes), axis=0) for stain, file in files.items()}
    np.testing.assert_allclose(medians["unstained"], [4.10470, 4.53158, 3.65174, 7.23394], rtol=1e-5)
    rise = np.array([medians[dye] - medians["unstained"] for dye in dyes])
    matrix = rise / np.diag(rise)[:, None]
    np.testing.assert_allclose(matrix, wanted, rtol=0, atol=1e-6)
    background = _medians(files["unstained"], dyes, wanted)
    for place, dye in enumerate(dyes):
        above = _medians(files[dye], dyes, wanted) - background
        assert np.abs(np.delete(above, place)).max() < RESIDUE * above[place], dye


def _medians(file: Sample, dyes: tuple[str, ...], matrix: Values) -> Values:
    compensation = match(Spillover(dyes, matrix, "compref1"), file)
    raw, rows = list(file.columns(compensation.detectors)), np.arange(len(file))
    return np.array(
        [
            np.median(compensate(raw, compensation.weights(channel), rows))
            for channel in compensation.detectors
        ]
    )


def _of(file: Sample, names: tuple[str, ...]) -> Values:
    return file.columns([file.names.index(name) for name in names]).T
