"""A finding says code, place and sentence; what closes a command says its exit status."""

from __future__ import annotations

import pickle
import re

import pytest

from tregflow.errors import (
    CODES,
    BusyError,
    FileError,
    Finding,
    InputError,
    OutputError,
    TregflowError,
    nearest,
    refuse,
)

ONE, OTHER = Finding("E-MARKER", "no channel for CD4"), Finding("E-SPILL", "no matrix", "other.fcs")


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_named_alike_and_explained(code):
    assert re.fullmatch(r"[EFN]-[A-Z]+(-[A-Z]+)*", code)
    assert CODES[code].endswith(".")
    assert not re.search(r"invalid|failed to", CODES[code], re.IGNORECASE)


@pytest.mark.parametrize(("code", "answer"), [("E-GATE", "refuse"), ("F-FEW", "flag"), ("N-MOVED", "note")])
def test_the_first_letter_is_the_answer(code, answer):
    assert Finding(code, "").answer == answer


def test_a_code_that_nobody_explained_is_a_fault_of_ours():
    with pytest.raises(KeyError, match="E-NOPE is not in CODES"):
        Finding("E-NOPE", "what")


def test_a_finding_is_one_line():
    assert str(Finding("E-MARKER", "no channel for CD4", "a.fcs")) == "E-MARKER  a.fcs  no channel for CD4"
    assert str(ONE) == "E-MARKER  no channel for CD4"


def test_a_place_is_given_once():
    assert ONE.at("a.fcs").where == "a.fcs"
    assert ONE.at("a.fcs").at("b.fcs").where == "a.fcs"
    assert ONE.where == ""


def test_an_error_carries_its_findings():
    error = FileError([ONE, OTHER])
    assert error.code == "E-MARKER"
    assert error.findings == (ONE, OTHER)
    assert str(error) == "E-MARKER  no channel for CD4\nE-SPILL  other.fcs  no matrix"


def test_an_error_said_of_a_place_keeps_its_kind():
    error = InputError([ONE, OTHER]).at("a.fcs")
    assert isinstance(error, InputError)
    assert [finding.where for finding in error.findings] == ["a.fcs", "other.fcs"]


@pytest.mark.parametrize(
    ("kind", "status"),
    [(TregflowError, 1), (FileError, 1), (InputError, 2), (OutputError, 4), (BusyError, 5)],
)
def test_errors_say_how_a_command_ends_and_cross_processes(kind, status):
    error = kind(ONE)
    assert error.status == status
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.findings) == (kind, (ONE,))


def test_refusing_a_file():
    error = refuse("E-SPILL", "no matrix", "a.fcs")
    assert isinstance(error, FileError)
    assert str(error) == "E-SPILL  a.fcs  no matrix"


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("CD4+", ["CD3", "CD4"], '; did you mean "CD4"?'),
        ("fopx3", ["CD3", "FOXP3"], '; did you mean "FOXP3"?'),
        ("zebra", ["CD3", "FOXP3"], ""),
        ("", ["CD3"], ""),
        ("CD3", [], ""),
    ],
)
def test_the_nearest_name_is_offered_or_none(word, known, hint):
    assert nearest(word, known) == hint
