"""Every hazard is answered as the standard and good sense ask, in a sentence that a technician can act on."""

from __future__ import annotations

import re
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import fcs_hazards as hazards
import numpy as np
import pytest
from fcs_hazards import BOUND, CASES, HAZARDS, OF_A_STUDY, REPAIRS, STUDIES, Bound, Case, Read, Refused, Study
from studies import rows_of

from tregflow.errors import FileError, Finding
from tregflow.io.fcs import read_fcs, scan_fcs
from tregflow.sample import Sample

SECONDS = 2
"""Within which every file is answered."""

MEGABYTES = 20
"""What may be taken for a file that claims to be large."""

PERSON = "Zebediah Quux"
HIDDEN = (
    *("$SRC", "$SMNO", "$OP", "$COM", "$FIL", "$INST", "$EXP", "$PROJ", "$CELLS", "$SYS", "$LAST_MODIFIER"),
    *("PATIENT ID", "TUBE NAME", "EXPERIMENT NAME", "#SAMPLE", PERSON),
)
"""Keys whose values are not to be shown; a key may be a name too."""

PLANTED = tuple((key, f"{PERSON} {turn}") for turn in (1, 2) for key in HIDDEN)
"""Each twice and differently, which is worth a note by itself."""

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
refusals = [case for case in CASES if isinstance(case.answer, Refused)]


# ---------------------------------------------------------------------------------- the answers


@every_case
def test_every_hazard_is_answered(case: Case, tmp_path: Path) -> None:
    path = case.write(tmp_path)
    started = time.process_time()
    if isinstance(case.answer, Refused):
        with pytest.raises(FileError) as caught:
            read_fcs(path, **case.options)
        check_refused(case, caught.value.findings)
    else:
        check_read(case, case.answer, read_fcs(path, **case.options))
    assert time.process_time() - started < SECONDS


def check_refused(case: Case, findings: Sequence[Finding]) -> None:
    check_sentences(findings, case.file)
    first = findings[0]
    assert first.code == case.answer.code, first
    assert missing(case.figures(), first.sentence) == [], first


def check_read(case: Case, truth: Read, sample: Sample) -> None:
    check_sentences(sample.findings, case.file)
    check_codes(sample.findings, truth.flags, truth.notes)
    assert (sample.names, sample.stains) == (truth.names, truth.stains)
    assert_same(stored_of(sample), truth.stored)
    scale = np.array(truth.stored if truth.scale is None else truth.scale, float)
    np.testing.assert_allclose(sample.events, scale.reshape(sample.events.shape), rtol=1e-12)
    check_spillover(truth, sample)
    told = [finding.sentence for finding in sample.findings if finding.code in truth.flags | truth.notes]
    assert not case.figures() or holds_all(told, case.figures()), told


def check_sentences(findings: Iterable[Finding], where: str) -> None:
    for finding in findings:
        assert finding.where == where
        assert finding.sentence
        assert str(finding).isprintable(), repr(finding.sentence)


def check_codes(findings: Sequence[Finding], flags: frozenset[str], notes: frozenset[str]) -> None:
    said = {finding.code for finding in findings}
    assert {code for code in said if code.startswith("F-")} == flags, list(map(str, findings))
    assert notes <= said, list(map(str, findings))


def check_spillover(truth: Read, sample: Sample) -> None:
    if truth.spillover is None or sample.spillover is None:
        assert truth.spillover is sample.spillover is None
        return
    assert sample.spillover.names == truth.spillover[0]
    np.testing.assert_array_equal(sample.spillover.matrix, truth.spillover[1])


def holds_all(sentences: Iterable[str], figures: Sequence[str]) -> bool:
    return any(not missing(figures, sentence) for sentence in sentences)


def missing(figures: Iterable[str], sentence: str) -> list[str]:
    """Return what does not stand in a sentence; a number has to stand there whole, not in a longer one."""
    return [figure for figure in figures if not re.search(_bounded(figure), sentence)]


def _bounded(figure: str) -> str:
    before = r"(?<![\w.,])" if figure[0].isdigit() else ""
    behind = r"(?!\w|[.,]\d)" if figure[-1].isdigit() else ""
    return before + re.escape(figure) + behind


@pytest.mark.parametrize("sentence", ["1,234", "234,1", "1234", "2345", "FCS2.34", "234.5", "$P234B", "P234"])
def test_a_part_of_a_number_is_not_the_number(sentence: str) -> None:
    assert missing(["234"], sentence) == ["234"]
    assert missing(["234"], f"{sentence}; 234, or (234-235)") == []


def stored_of(sample: Sample) -> list[list[Any]]:
    columns = [sample.stored_column(place).tolist() for place in range(len(sample.channels))]
    return [list(row) for row in zip(*columns, strict=True)]


def assert_same(found: list[list[Any]], truth: Any) -> None:
    """Compare values exactly: as Python numbers, of which integers keep all their digits; NaN equals NaN."""
    assert len(found) == len(truth)
    differing = [
        (one, other)
        for row, true in zip(found, truth, strict=True)
        for one, other in zip(row, true, strict=True)
        if one != other and not (one != one and other != other)  # only NaN differs from itself
    ]
    assert differing == []


@pytest.mark.parametrize("case", refusals, ids=lambda case: case.id)
def test_what_is_refused_is_refused_without_its_events(case: Case, tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        scan_fcs(case.write(tmp_path), **case.options)
    assert caught.value.code == case.answer.code


@pytest.mark.parametrize("case", [case for case in CASES if case.hazard in {8, 33}], ids=lambda case: case.id)
def test_a_claim_takes_no_memory(case: Case, tmp_path: Path) -> None:
    path = case.write(tmp_path)
    tracemalloc.start()
    try:
        hazards.findings(case, path.parent)
        assert tracemalloc.get_traced_memory()[1] < MEGABYTES * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("case", BOUND, ids=lambda case: case.id)
def test_every_hazard_of_a_template_is_answered(case: Bound, tmp_path: Path) -> None:
    path = tmp_path / "tube.fcs"
    path.write_bytes(case.build(()))
    if isinstance(case.answer, Refused):
        with pytest.raises(FileError) as caught:
            hazards.gated(case, path)
        assert caught.value.code == case.answer.code
        assert missing(case.answer.figures, str(caught.value)) == []
        return
    found, truth = hazards.gated(case, path), case.answer
    check_codes(found.findings, truth.flags, truth.notes)
    bound = found.bound
    assert {marker: bound.sample.names[place] for marker, place in bound.channels.items()} == truth.channels
    for marker, values in truth.linear.items():
        np.testing.assert_allclose(bound.linear(marker, np.arange(len(bound.sample))), values, rtol=1e-12)
    told = [finding.sentence for finding in found.findings if finding.code in truth.flags | truth.notes]
    assert not truth.figures or holds_all(told, truth.figures), told


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.id)
def test_every_hazard_of_a_sheet_is_answered(study: Study, tmp_path: Path) -> None:
    outcomes = hazards.together(study, tmp_path)
    assert set(outcomes) == set(study.files)
    codes = {finding.code for outcome in outcomes.values() for finding in outcome.findings}
    assert {code for code in codes if code[0] in "EF"} == ({study.code} if study.code else set())
    state = "refused" if study.code else "done"
    assert {outcome.state for outcome in outcomes.values()} == {state}
    names = [row["file"] for row in rows_of(tmp_path / "out" / "files.csv")]
    assert len(names) == len(study.files)
    assert all(name[0] not in "=+-@" for name in names)


# ---------------------------------------------------------------------------------- whether all are there


def test_every_hazard_has_cases_at_every_distance() -> None:
    of_a_study = [case for case in (*BOUND, *STUDIES) if case.hazard in OF_A_STUDY]
    for number in set(HAZARDS) - {0}:
        cases = [case for case in (*CASES, *of_a_study) if case.hazard == number]
        assert len(cases) >= 3, HAZARDS[number]
        assert {case.distance for case in cases} == {"legal", "illegal", "far"}, HAZARDS[number]


def test_there_are_many_cases_and_each_has_a_name_of_its_own() -> None:
    assert len(CASES) >= 150
    assert [name for name, count in Counter(case.id for case in CASES).items() if count > 1] == []
    assert [
        name for name, count in Counter(case.id for case in (*BOUND, *STUDIES)).items() if count > 1
    ] == []


def test_every_repair_that_strict_readers_offer_has_a_case() -> None:
    assert {case.repair for case in (*CASES, *BOUND)} - {""} == set(REPAIRS)


def test_a_case_is_the_same_each_time_it_is_built() -> None:
    assert [case.id for case in CASES if case.build(()) != case.build(())] == []


def test_the_page_says_what_the_cases_say() -> None:
    assert hazards.PAGE.read_text(encoding="utf-8") == hazards.page()


# ---------------------------------------------------------------------------------- names of persons


def said_of(case: Case, folder: Path, planted: Sequence[tuple[str, str]]) -> tuple[str, set[str]]:
    """Return everything said of a case with further keywords, and the codes that refuse or flag it."""
    path = case.write(folder, planted)
    try:
        findings = read_fcs(path, **case.options).findings
    except FileError as error:
        findings = error.findings
    return "\n".join(map(str, findings)), {finding.code for finding in findings if finding.code[0] in "EF"}


def answers_of(case: Case) -> set[str]:
    return {case.answer.code} if isinstance(case.answer, Refused) else set(case.answer.flags)


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.build(PLANTED) != case.build(()) or case.hazard == 38],
    ids=lambda case: case.id,
)
def test_nobody_is_named(case: Case, tmp_path: Path) -> None:
    said, codes = said_of(case, tmp_path, PLANTED)
    assert "zebediah" not in said.casefold()
    assert "quux" not in said.casefold()
    assert codes == answers_of(case), said


@pytest.mark.parametrize("case", BOUND, ids=lambda case: case.id)
def test_nobody_is_named_when_a_file_is_bound(case: Bound, tmp_path: Path) -> None:
    path = tmp_path / "tube.fcs"
    path.write_bytes(case.build(PLANTED))
    try:
        findings = hazards.gated(case, path).findings
    except FileError as error:
        findings = error.findings
    assert not any(word in str(finding).casefold() for finding in findings for word in ("zebediah", "quux"))


@pytest.mark.parametrize("sign", ["/", "//", "/$", "\0", "\n"])
@pytest.mark.parametrize("key", ["$COM", "X", "$P1S", "$NEXTDATA"])
def test_nobody_is_named_where_words_are_out_of_step(tmp_path: Path, sign: str, key: str) -> None:
    """An undoubled delimiter makes keys of values: `Quux` becomes one."""
    tube = next(case for case in CASES if case.hazard == 0)
    keep = key == "$P1S"  # a stain may be shown, whatever it says
    planted = [("$SRC", f"a{sign}Zebediah"), (key, f"3{sign}{'Quux' if not keep else 'x'}"), ("$OP", "Quux")]
    said, _ = said_of(tube, tmp_path, planted)
    assert "zebediah" not in said.casefold()
    assert "quux" not in said.casefold()
