"""Swapped files, wrong dates and other cytometers are told; an ordinary study is left in peace."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tregflow.errors import FileError
from tregflow.identity import NAMING, Doubt, Stated, acquired_on, doubts, how_unlike, naming, plain, stated
from tregflow.io.fcs import scan_fcs
from tregflow.sample import Channel
from tregflow.study import Tube

Pair = tuple[Tube, Stated]

SUBJECTS = {
    "S01": ("S01", "S02", "S03", "S10"),
    "three digits": ("012", "005", "101", "110"),
    "letter and digit": ("P1", "P2", "P3", "P11"),
    "site and number": ("AB-012", "AB-013", "CD-012", "CD-101"),
    "numbers with a hyphen": ("101-001", "101-002", "102-001", "102-003"),
    "digits before a letter": ("390C", "403C", "412C", "428C"),
    "initials": ("ANM", "BKL", "CTO", "DRF"),
    "words": ("Donor 1", "Donor 2", "Donor 3", "Donor 4"),
}
VISITS = {
    "weeks": ("W00", "W12"),
    "weeks in words": ("Week 0", "Week 12"),
    "V": ("V1", "V2"),
    "days": ("D1", "D15"),
    "words": ("baseline", "follow-up"),
}
NAMES = (
    "{s}_{v}.fcs",
    "CTX {v} {s} Treg.fcs",
    "Specimen_001_{s}_{v}_003.fcs",
    "2022-03-08_{s}-{v}_Tregs.LMD",
    "export_{s} {v}_017_Lymphocytes.fcs",
)


def tube(subject: str = "S01", visit: str = "W00", kind: str = "full", **cells) -> Tube:
    sample = "_".join([subject, visit] if kind == "full" else [subject, visit, kind])
    return Tube(cells.pop("sample", sample.replace(" ", "")), "a.fcs", subject, visit, tube=kind, **cells)


def named(value: str, key: str = "$FIL") -> Stated:
    return Stated({key: value})


def found(pairs: Iterable[Pair]) -> dict[str, tuple[Doubt, ...]]:
    pairs = list(pairs)
    return doubts([one for one, _ in pairs], {one.sample: said for one, said in pairs})


def codes(pairs: Iterable[Pair]) -> dict[str, list[str]]:
    return {sample: [one.finding.code for one in said] for sample, said in found(pairs).items()}


def all_told(samples: Iterable[str], code: str) -> dict[str, list[str]]:
    return {sample: [code] for sample in samples}


def sentence(pairs: Iterable[Pair], sample: str) -> str:
    (doubt,) = found(pairs)[sample]
    return str(doubt.finding)


def study(
    subjects: Iterable[str], visits: Iterable[str], name: str, key: str = "$FIL"
) -> dict[tuple[str, str], str]:
    """Return what the files of a study say of themselves, each of its own row."""
    return {(s, v): name.format(s=s, v=v) for s in subjects for v in visits}


def rows(said: Mapping[tuple[str, str], str], key: str = "$FIL") -> list[Pair]:
    return [(tube(*names), named(value, key)) for names, value in said.items()]


class TestNames:
    """The names in keywords are those of the row, or somebody is told."""

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("visits", VISITS.values(), ids=VISITS)
    @pytest.mark.parametrize("subjects", SUBJECTS.values(), ids=SUBJECTS)
    def test_files_that_name_their_own_are_left_in_peace(self, subjects, visits, name):
        assert found(rows(study(subjects, visits, name))) == {}

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("visits", VISITS.values(), ids=VISITS)
    @pytest.mark.parametrize("subjects", SUBJECTS.values(), ids=SUBJECTS)
    def test_two_subjects_files_that_were_swapped_are_both_flagged(self, subjects, visits, name):
        said = study(subjects, visits, name)
        one, other = (subjects[0], visits[0]), (subjects[2], visits[0])
        said[one], said[other] = said[other], said[one]
        samples = {tube(*one).sample: subjects[2], tube(*other).sample: subjects[0]}
        assert codes(rows(said)) == all_told(samples, "F-IDENTITY")
        for sample, subject in samples.items():
            assert f"$FIL names subject {subject}, where the sheet says" in sentence(rows(said), sample)

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("visits", VISITS.values(), ids=VISITS)
    def test_one_subjects_visits_that_were_swapped_are_both_flagged(self, visits, name):
        said = study(SUBJECTS["S01"], visits, name)
        one, other = ("S02", visits[0]), ("S02", visits[1])
        said[one], said[other] = said[other], said[one]
        assert codes(rows(said)) == {tube(*row).sample: ["F-IDENTITY"] for row in (one, other)}
        assert f"names visit {visits[1]}, where the sheet says {visits[0]}" in sentence(rows(said), tube(*one).sample)  # fmt: skip

    @pytest.mark.parametrize("style", ["{s}{v}", "{v}{s}_Treg", "x-{s}{v}-y"])
    def test_subject_and_visit_may_be_written_in_one_word(self, style):
        said = study(("S01", "S02"), ("W00", "W12"), style)
        assert found(rows(said)) == {}
        said["S01", "W00"] = style.format(s="S02", v="W12")
        assert sentence(rows(said), "S01_W00") == (
            "F-IDENTITY  $FIL names subject S02 and visit W12, where the sheet says S01 and W00; compare with S02_W12, "
            "files may have been swapped, or the sheet mistyped"
        )

    def test_so_may_a_bare_number_and_a_visit_but_not_in_two(self):
        said = study(("012", "005"), ("W00", "W12"), "{s}{v} x")
        assert found(rows(said)) == {}
        said["012", "W00"] = "005W00 x"
        assert "names subject 005, where" in sentence(rows(said), "012_W00")
        assert found([(tube("012"), named("Specimen_005_W00 x")), (tube("005"), Stated())]) == {}
        assert found([(tube("5", "D1"), named("2D8 x")), (tube("2", "D8"), Stated())]) == {}

    @pytest.mark.parametrize("spelled", ["S02", "s02", "S-02", "S 02", "_S02_", "CTX.S02.x", "S02 (2)"])
    def test_a_whole_name_is_found_however_it_is_spelled(self, spelled):
        pairs = [(tube(), named(spelled)), (tube("S02"), Stated())]
        assert codes(pairs) == {"S01_W00": ["F-IDENTITY"]}

    @pytest.mark.parametrize("spelled", ["S021", "S02b", "XS02", "5S02", "S0", "S20", "02", "S", "S002", ""])
    def test_a_part_of_another_word_is_no_name(self, spelled):
        pairs = [(tube(), named(spelled)), (tube("S02"), Stated())]
        assert found(pairs) == {}

    def test_zeros_before_a_number_do_not_count_among_letters_and_do_in_a_bare_number(self):
        said = study(("S1", "S2", "S3"), ("W0", "W12"), "{s}_{v}.fcs") | {("S1", "W0"): "S02_W00.fcs"}
        assert "names subject S2, where" in sentence(rows(said), "S1_W0")
        said = study(SUBJECTS["three digits"], ("W00", "W12"), "{s}_{v}.fcs") | {
            ("012", "W00"): "0101 W00.fcs"
        }
        assert codes(rows(said)) == all_told(["012_W00"], "N-IDENTITY")

    def test_the_longest_name_that_fits_is_meant(self):
        said = {("S01", "W00"): "AB-S01_W00.fcs", ("AB-S01", "W00"): "AB-S01_W00.fcs"}
        assert "names subject AB-S01, where the sheet says S01" in sentence(rows(said), "S01_W00")
        assert set(found(rows(said))) == {"S01_W00"}

    def test_a_file_that_names_its_own_too_is_left_in_peace(self):
        pairs = [(tube(), named("S01 after S02, W00 and W12")), (tube("S02", "W12"), Stated())]
        assert found(pairs) == {}

    def test_a_row_without_subject_or_visit_has_nothing_to_contradict(self):
        pairs = [
            (tube("", "W00"), named("S02")),
            (tube("S02"), Stated()),
            (tube("S03", ""), named("W00_S03")),
        ]
        assert found(pairs) == {}

    def test_what_the_row_says_elsewhere_is_not_another_subject(self):
        pairs = [
            (tube(run="R02", extra={"x_rack": "K17"}), named("R02_fmo_K17.fcs")),
            (tube("R02"), Stated()),
            (tube("K17"), Stated()),
        ]
        assert found(pairs) == {}
        assert set(codes([(replace(pairs[0][0], run="", extra={}), pairs[0][1]), *pairs[1:]])) == {"S01_W00"}

    def test_every_keyword_is_looked_at_and_named_and_those_that_agree_together(self):
        for key in NAMING:
            assert f"  {key} names subject S02," in sentence([(tube(), named("S02", key)), (tube("S02"), Stated())], "S01_W00")  # fmt: skip
        said = Stated({"$FIL": "S02_W00.fcs", "$SRC": "S01", "TUBE NAME": "S02 W00", "SAMPLE ID": "S03"})
        (doubt,) = found([(tube(), said), (tube("S02"), Stated()), (tube("S03"), Stated())])["S01_W00"]
        assert doubt.keywords == ("$FIL", "TUBE NAME", "SAMPLE ID")
        assert str(doubt.finding) == (
            "F-IDENTITY  $FIL and TUBE NAME name subject S02, where the sheet says S01; SAMPLE ID names subject S03, where "
            "the sheet says S01; compare with S02_W00 and S03_W00, files may have been swapped, or the sheet mistyped"
        )

    def test_other_keywords_are_not(self):
        assert naming({"$FIL": "a", "$OP": "S02", "EXPERIMENT NAME": "S02", "$COM": "S02", "$SMNO": " \0"}) == {"$FIL": "a"}  # fmt: skip

    def test_a_control_is_held_against_its_row_as_well(self):
        pairs = [(tube(kind="fmo:CD25"), named("S02_W00_FMO CD25.fcs")), (tube("S02"), named("S02_W00.fcs"))]
        assert codes(pairs) == {"S01_W00_fmo:CD25": ["F-IDENTITY"]}

    def test_a_row_whose_file_was_not_read_lends_its_name(self):
        tubes = [tube(), tube("S02")]
        assert set(doubts(tubes, {"S01_W00": named("S02")})) == {"S01_W00"}

    def test_the_tube_that_is_meant_is_of_the_same_visit_and_kind_and_few_are_named(self):
        others = [tube("S02", visit) for visit in ("W00", "W04", "W08", "W12", "W16")]
        others += [tube("S02", "W08", "unstained")]
        told = sentence([(tube("S01", "W08"), named("S02")), *((one, Stated()) for one in others)], "S01_W08")
        assert "compare with S02_W08, files" in told
        told = sentence([(tube("S01", "W99"), named("S02")), *((one, Stated()) for one in others)], "S01_W99")
        assert "compare with S02_W00, S02_W04, S02_W08 and 2 more, files" in told


class TestFalseAlarms:
    """What could well be something else accuses nobody, unless the keyword names the own in most other tubes."""

    def test_wells_and_panels_are_not_visits(self):
        said = study(("S01", "S02"), ("D1", "D8"), "{s}_H7_D08.fcs")
        assert found(rows(said)) == {}

    def test_a_version_is_not_a_visit(self):
        assert found(rows(study(("S01", "S02"), ("V1", "V2", "V3"), "{s}_panel_v2.fcs"))) == {}

    def test_counters_are_not_subjects(self):
        subjects = [f"{number:03}" for number in range(1, 9)]
        said = {(subject, visit): f"Specimen_001_Tube_{place:03}_{place:03}.fcs"
                for visit in ("W00", "W12") for place, subject in enumerate(subjects[visit == "W12":], 1)}  # fmt: skip
        assert "F-IDENTITY" not in str(codes(rows(said)))

    @pytest.mark.parametrize(("value", "flagged"), [("CTX 002 W00 x.fcs", True), ("Specimen_002_W00 x.fcs", False),
                                                    ("Tube 002 W00 x.fcs", False), ("x W00_002.fcs", False), ("002.fcs", True)])  # fmt: skip
    def test_a_number_that_is_counted_is_no_subject(self, value, flagged):
        said = study(("001", "002", "003", "004"), ("W00",), "CTX {s} {v} x.fcs") | {("004", "W00"): value}
        assert ("F-IDENTITY" in codes(rows(said))["004_W00"]) is flagged

    def test_what_a_program_names_tubes_does_not_speak_for_itself(self):
        assert found([(tube("Tube1"), named("Tube2.fcs")), (tube("Tube2"), Stated())]) == {}

    def test_a_number_below_100_needs_a_word_that_tells_what_it_is(self):
        said = study(("1", "2", "3"), ("1", "2"), "P{s} visit {v}.fcs")
        assert found(rows(said)) == {}
        said["2", "2"] = "P1 visit 2.fcs"
        assert "$FIL names subject 1, where the sheet says 2;" in sentence(rows(said), "2_2")
        said["2", "2"] = "run 1 of 3 visit 2.fcs"
        assert "F-IDENTITY" not in str(codes(rows(said)))

    @pytest.mark.parametrize(("good", "flagged"), [(1, False), (2, True), (9, True)])
    def test_a_word_accuses_where_most_others_name_their_own(self, good, flagged):
        subjects = ("ANM", "BKL", "CTO", "DRF", "EWS", "FIT", "GUS", "HAM", "IDA")
        said = {(subject, "W00"): f"{subject}.fcs" for subject in subjects[:good]}
        said["LEO", "W00"] = "ANM.fcs"
        said["MAX", "W00"] = "Tube_001.fcs"
        assert ("F-IDENTITY" in codes(rows(said)).get("LEO_W00", [])) is flagged

    def test_and_not_where_it_is_always_the_same_word(self):
        said = {("ANM", f"W{number}"): "ANM.fcs" for number in range(9)} | {("BKL", "W0"): "ANM.fcs"}
        assert found(rows(said)) == {}

    def test_two_files_of_a_sheet_are_enough_where_names_speak_for_themselves(self):
        said = {("S01", "W00"): "S02.fcs", ("S02", "W00"): "S01.fcs"}
        assert codes(rows(said)) == all_told(("S01_W00", "S02_W00"), "F-IDENTITY")

    @pytest.mark.parametrize("value", ["S02" * 400, "1" * 5000, "é" * 2000, "S02 " * 2000, "\ud800S02", "١٢"])
    def test_the_oddest_values_end_in_an_answer(self, value):
        found([(tube("1", "12"), named(value)), (tube("S02"), Stated())])


class TestSilence:
    """A keyword that names the own in most tubes and not in one is noted there."""

    SAID = study(("S01", "S02", "S03"), ("W00", "W12"), "{s}_{v}.fcs")

    def test_it_is_noted(self):
        said = self.SAID | {("S03", "W12"): "Tube_006.fcs"}
        assert found(rows(said)) == {
            "S03_W12": (Doubt(found(rows(said))["S03_W12"][0].finding, ("$FIL",)),)}  # fmt: skip
        assert sentence(rows(said), "S03_W12") == (
            "N-IDENTITY  $FIL does not name subject S03, though it names the sheet's own in 5 of 5 other full tubes; "
            "$FIL does not name visit W12, though it names the sheet's own in 5 of 5 other full tubes"
        )

    @pytest.mark.parametrize(("silent", "noted"), [(1, True), (2, True), (3, False), (6, False)])
    def test_as_long_as_most_others_speak(self, silent, noted):
        said = {row: value if place >= silent else "Tube.fcs" for place, (row, value) in enumerate(self.SAID.items())}  # fmt: skip
        assert bool(found(rows(said))) is noted

    def test_three_others_are_needed(self):
        said = study(("S01", "S02", "S03"), ("W00",), "{s}.fcs") | {("S04", "W00"): "Tube.fcs"}
        assert codes(rows(said)) == {"S04_W00": ["N-IDENTITY"]}
        del said["S01", "W00"]
        assert found(rows(said)) == {}

    def test_controls_and_missing_keywords_are_no_silence(self):
        more = [(tube(kind="unstained"), named("Unstained.fcs")), (tube("S04"), Stated())]
        assert found([*rows(self.SAID), *more]) == {}


class TestPrivacy:
    """The sheet's words and the keyword's key are said; the keyword's value never is."""

    @given(
        st.lists(
            st.sampled_from(["Müller", "Erika", "1961-02-03", "S02", "W12", "007", "_", " "]), max_size=8
        )
    )
    def test_no_sentence_holds_a_value(self, words):
        said = Stated(dict.fromkeys(NAMING, "-".join(words)))
        told = found([(tube(), said), *rows(study(("S02", "S03"), ("W00", "W12"), "{s}_{v}"))])
        everything = repr(told) + repr(said)
        assert not [word for word in ("Müller", "Erika", "1961", "007") if word in everything]

    def test_nor_does_what_is_printed_of_a_file(self):
        assert "Müller" not in repr(stated({"$FIL": "Müller", "$SRC": "Müller", "$CYT": "LSR"}, ()))


class TestDates:
    @pytest.mark.parametrize(
        ("written", "date"),
        [
            ("15-MAR-2021", "2021-03-15"),
            ("15-Mar-21", "2021-03-15"),
            (" 5-mar-2021\0", "2021-03-05"),
            ("15 Mar 2021", "2021-03-15"),
            ("2021-Mar-15", "2021-03-15"),
            ("2021-03-15", "2021-03-15"),
            ("2021/03/15", "2021-03-15"),
            ("15-MÄR-2021", "2021-03-15"),
            ("15-MRZ-2021", "2021-03-15"),
            ("03-DEZ-2021", "2021-12-03"),
            ("03-OKT-2021", "2021-10-03"),
            ("15-March-2021", "2021-03-15"),
            ("28-Aug-00", "2000-08-28"),
            ("28-Aug-99", "1999-08-28"),
            ("29-FEB-2020", "2020-02-29"),
        ],
    )
    def test_a_date_that_can_be_read_in_one_way(self, written, date):
        assert acquired_on(written) == date

    @pytest.mark.parametrize(
        "written",
        ["", " ", "03-07-2024", "15-03-2021", "3/7/24", "15-XXX-2021", "29-FEB-2021", "32-JAN-2021", "00-JAN-2021", "01-Jan-0001",
         "2021-13-01", "20210315", "yesterday", "15-MAR-2021 12:00", "15-MAR", "١٥-MAR-2021x", "15--MAR-2021"],
    )  # fmt: skip
    def test_one_that_cannot_is_not_compared(self, written):
        assert acquired_on(written) == ""

    @pytest.mark.parametrize(
        ("date", "flagged"),
        [
            ("2021-03-15", False),
            ("2021-03-14", True),
            ("1999-01-01", True),
            ("2026-01-01", False),
            ("", False),
        ],
    )
    def test_no_tube_is_acquired_before_the_blood_is_drawn(self, date, flagged):
        pairs = [(tube(collected="2021-03-15"), Stated(date=date))]
        assert codes(pairs) == ({"S01_W00": ["F-DATE"]} if flagged else {})

    def test_and_the_sentence_says_both_dates(self):
        assert sentence([(tube(collected="2021-03-15"), Stated(date="2021-03-14"))], "S01_W00") == (
            "F-DATE  acquired on 2021-03-14 ($DATE), before the blood was drawn: collected says 2021-03-15"
        )

    def test_a_row_without_collected_says_nothing_of_it(self):
        assert found([(tube(), Stated(date="1999-01-01"))]) == {}

    @staticmethod
    def run(*days: str, run: str = "R1") -> list[Pair]:
        return [(tube(f"S{number:02}", run=run), Stated(date=day)) for number, day in enumerate(days, 1)]

    @pytest.mark.parametrize(
        ("days", "flagged"),
        [
            (["2021-03-15", "2021-03-15"], []),
            (["2021-03-15", "2021-03-16"], []),
            (["2021-03-15", "2021-03-15", "2021-03-17"], ["S03_W00"]),
            (["2021-12-31", "2022-01-01", "2022-01-01"], []),
            (["2021-03-15", "2021-03-15", "2022-03-15"], ["S03_W00"]),
            (["2021-03-15", "2021-03-17"], ["S01_W00", "S02_W00"]),
            (["2021-03-15", ""], []),
            (["2021-03-15", "2021-03-16", "2021-03-16", "2021-03-17"], []),
        ],
    )
    def test_a_run_is_of_one_day_and_may_pass_midnight(self, days, flagged):
        assert codes(self.run(*days)) == all_told(flagged, "F-DATE")

    def test_controls_belong_to_the_run_and_other_runs_do_not(self):
        others = [
            (tube("S07", run="R2"), Stated(date="2020-01-01")),
            (tube("S08"), Stated(date="2019-01-01")),
        ]
        control = (tube(kind="unstained", run="R1"), Stated(date="2021-03-20"))
        pairs = [*self.run("2021-03-15", "2021-03-15"), control, *others]
        assert codes(pairs) == {"S01_W00_unstained": ["F-DATE"]}
        assert sentence(pairs, "S01_W00_unstained") == (
            "F-DATE  acquired on 2021-03-20 ($DATE), but other tubes of run R1 on 2021-03-15 (S01_W00 and S02_W00)"
        )


class TestCytometers:
    @staticmethod
    def visits(one: Stated, other: Stated, subject: str = "S01") -> list[Pair]:
        return [(tube("S01", "W00"), one), (tube(subject, "W12"), other)]

    @pytest.mark.parametrize(
        ("one", "other", "flagged"),
        [
            (("LSR", "H1"), ("LSR", "H1"), False),
            (("LSR", "H1"), ("LSR", "h1"), False),
            (("LSR", "H1"), ("LSR II", "H1"), False),
            (("LSR", "H1"), ("LSR", "H2"), True),
            (("LSR", ""), ("LSR", "H2"), False),
            (("LSR", ""), ("Canto", "H2"), True),
            (("LSR", "0"), ("LSR", "H2"), False),
            (("", ""), ("Canto", ""), False),
            (("LSR", ""), ("lsr", ""), False),
        ],
    )
    def test_serial_numbers_decide_and_names_where_there_are_none(self, one, other, flagged):
        pairs = self.visits(*(Stated(cytometer=name, serial=serial) for name, serial in (one, other)))
        assert codes(pairs) == (all_told(("S01_W00", "S01_W12"), "F-CYTOMETER") if flagged else {})

    def test_the_sentence_says_which_other_tube_and_both_cytometers(self):
        pairs = self.visits(Stated(serial="H1"), Stated(serial="H2"))
        assert sentence(pairs, "S01_W00") == (
            'F-CYTOMETER  another cytometer than in S01_W12 (serial number "H2", here "H1")'
        )

    def test_other_subjects_controls_and_the_same_visit_may_have_their_own(self):
        assert found(self.visits(Stated(serial="H1"), Stated(serial="H2"), "S02")) == {}
        pairs = [
            (tube(), Stated(serial="H1")),
            (tube(sample="again"), Stated(serial="H2")),
            (tube("S01", "W12", "unstained"), Stated(serial="H3")),
        ]
        assert found(pairs) == {}

    def test_tubes_that_differ_in_the_same_way_are_named_together(self):
        pairs = [(tube("S01", visit), Stated(serial="H2")) for visit in ("W1", "W2", "W3", "W4", "W5")]
        pairs.append((tube("S01", "W0"), Stated(serial="H1")))
        assert sentence(pairs, "S01_W0").endswith(
            'in S01_W1, S01_W2, S01_W3 and 2 more (serial number "H2", here "H1")'
        )
        assert len(found(pairs)) == 6


def bound(volts: Mapping[str, float], gains: Mapping[str, float] | None = None, **channels: str) -> Stated:
    """Return what a file says whose markers sit on these detectors."""
    channels = channels or {"CD25": "PE-A", "CD4": "BV421-A"}
    gains = dict.fromkeys((*volts, *channels.values(), *(gains or {})), 1.0) | dict(gains or {})
    return Stated(voltages=dict(volts), gains=gains, channels=channels)


class TestDetectors:
    @pytest.mark.parametrize(
        ("there", "flagged"),
        [("PE-A", False), ("pe-a", False), ("Comp-PE-A", False), ("PE-H", True), ("APC-A", True)],
    )
    def test_a_marker_stays_on_its_detector(self, there, flagged):
        pairs = [(tube("S01", "W00"), bound({}, CD25="PE-A")), (tube("S01", "W12"), bound({}, CD25=there))]
        assert codes(pairs) == (all_told(("S01_W00", "S01_W12"), "F-DETECTOR") if flagged else {})

    def test_all_are_named_on_both_sides(self):
        pairs = [
            (tube("S01", "W00"), bound({}, CD25="PE-A", CD4="APC-A", CD3="V450")),
            (tube("S01", "W12"), bound({}, CD25="APC-A", CD4="PE-A", CD8="V500")),
        ]
        assert sentence(pairs, "S01_W00") == (
            "F-DETECTOR  another detector than in S01_W12 (CD25 on APC-A, here on PE-A; CD4 on PE-A, here on APC-A)"
        )


class TestVoltages:
    @pytest.mark.parametrize(
        ("here", "there", "code"),
        [
            ({"PE-A": 450}, {"PE-A": 450}, ""),
            ({"PE-A": 450}, {"PE-A": 451}, "N-VOLTAGE"),
            ({"PE-A": 450}, {"PE-A": 459}, "N-VOLTAGE"),
            ({"PE-A": 450}, {"PE-A": 460}, "F-VOLTAGE"),
            ({"PE-A": 450}, {"PE-A": 900}, "F-VOLTAGE"),
            ({"PE-A": 450}, {}, ""),
            ({"PE-A": 450}, {"BV421-A": 500}, ""),
            ({"PE-A": 450, "APC-A": 300}, {"PE-A": 450, "APC-A": 700}, ""),
        ],
    )
    def test_a_gated_detector_runs_as_at_the_other_visit(self, here, there, code):
        pairs = [(tube("S01", "W00"), bound(here)), (tube("S01", "W12"), bound(there))]
        assert codes(pairs) == (all_told(("S01_W00", "S01_W12"), code) if code else {})

    def test_many_detectors_are_counted(self):
        names = {f"M{place}": f"D{place}" for place in range(5)}
        here, there = (bound(dict.fromkeys(names.values(), volts), **names) for volts in (400, 500))
        told = sentence([(tube("S01", "W00"), here), (tube("S01", "W12"), there)], "S01_W00")
        assert told.endswith("M2 on D2 500 V, here 400 V; 2 more)")

    @pytest.mark.parametrize(("written", "volts"), [("450", 450), ("450.0", 450), (" 4.5e2 ", 450), ("0", None), ("-1", None),
                                                    ("", None), ("nan", None), ("inf", None), ("high", None)])  # fmt: skip
    def test_a_voltage_is_a_number_above_0_or_not_stated(self, written, volts):
        assert stated({}, [Channel("PE-A", voltage=written)]).voltages == ({"PE-A": volts} if volts else {})

    def test_the_gain_that_a_detector_ran_at_counts_whether_or_not_it_was_applied(self):
        one, other = (Channel("PE-A", gain=gain, stated_gain=gain) for gain in (1.0, 4.0))
        ignored, odd = Channel("PE-A", gain=1.0, stated_gain=4.0), Channel("PE-A", stated_gain=float("nan"))
        said = [
            replace(stated({}, [channel]), channels={"CD25": "PE-A"})
            for channel in (one, other, ignored, odd)
        ]
        for there in said[1:3]:
            pairs = [(tube("S01", "W00"), said[0]), (tube("S01", "W12"), there)]
            assert sentence(pairs, "S01_W00") == (
                "F-VOLTAGE  another voltage or gain than in S01_W12 (CD25 on PE-A gain 4, here 1)"
            )
        assert found([(tube("S01", "W00"), said[0]), (tube("S01", "W12"), said[3])]) == {}

    def test_scatter_is_named_beside_others_and_raises_nothing_alone(self):
        channels = {"FSC-A": "FSC-A", "CD25": "PE-A"}
        here, scatter, both = (bound({"FSC-A": fsc, "PE-A": pe}, **channels) for fsc, pe in ((300, 450), (320, 450), (320, 470)))  # fmt: skip
        assert found([(tube("S01", "W00"), here), (tube("S01", "W12"), scatter)]) == {}
        assert sentence([(tube("S01", "W00"), here), (tube("S01", "W12"), both)], "S01_W00") == (
            "F-VOLTAGE  another voltage or gain than in S01_W12 (FSC-A 320 V, here 300 V; CD25 on PE-A 470 V, here 450 V)"
        )

    def test_a_marker_that_moved_is_told_as_that_and_not_as_a_voltage(self):
        pairs = [(tube("S01", "W00"), bound({"PE-A": 450, "APC-A": 500}, CD25="PE-A")),
                 (tube("S01", "W12"), bound({"PE-A": 450, "APC-A": 500}, CD25="APC-A"))]  # fmt: skip
        assert codes(pairs) == all_told(("S01_W00", "S01_W12"), "F-DETECTOR")

    def test_a_run_is_acquired_on_one_cytometer_and_stained_alike(self):
        here = Stated(serial="SIM2", channels={"CD25": "FITC-A", "CD4": "BV421-A"})
        usual = Stated(serial="SIM1", channels={"CD25": "PE-A", "CD4": "BV421-A"})
        controls = [
            (tube("", "", kind, run="R1", sample=kind[:4]), usual)
            for kind in ("reference", "fmo:CD4", "unstained")
        ]
        other = (tube("S02", run="R1"), usual)
        assert codes([(tube(run="R1"), here), other, *controls]) == {"S01_W00": ["F-CYTOMETER", "F-DETECTOR"]}
        assert codes([(tube(run="R2"), here), other, *controls]) == {}
        odd = [(one, here) if one.tube == "unstained" else (one, said) for one, said in controls]
        assert codes([other, *odd]) == {}

    @pytest.mark.parametrize("kind", ["fmo:CD25", "single:CD4", "unstained", "reference"])
    def test_the_controls_of_a_run_run_alike_though_they_bind_no_marker(self, kind):
        control = Stated(voltages={"PE-A": 500, "BV421-A": 400}, gains={"PE-A": 1, "BV421-A": 1})
        full = (tube(run="R1"), bound({"PE-A": 450, "BV421-A": 400}))
        pairs = [full, (tube("", "", kind, run="R1", sample="C"), control)]
        assert sentence(pairs, "S01_W00") == (
            "F-VOLTAGE  another voltage or gain than in controls of its run, C (CD25 on PE-A 500 V, here 450 V)"
        )
        assert found([full, (tube("", "", kind, run="R2", sample="C"), control)]) == {}

    @pytest.mark.parametrize(("odd", "flagged"), [(0, False), (1, False), (2, False), (3, True), (4, True)])
    def test_a_control_is_told_where_it_is_the_odd_one(self, odd, flagged):
        control = Stated(voltages={"PE-A": 500}, gains={"PE-A": 1})
        pairs = [(tube(f"S{n:02}", run="R1"), bound({"PE-A": 450 if n < odd else 500})) for n in range(4)]
        pairs.append((tube("", "", "unstained", run="R1", sample="C"), control))
        assert codes(pairs) == all_told([f"S{n:02}_W00" for n in range(odd)] + ["C"] * flagged, "F-VOLTAGE")
        if flagged:
            assert sentence(pairs, "C").startswith(
                "F-VOLTAGE  another voltage or gain than in full tubes of its run, S00_W00, "
            )

    def test_other_subjects_of_a_run_are_not_compared(self):
        pairs = [(tube("S01", run="R1"), bound({"PE-A": 450})), (tube("S02", run="R1"), bound({"PE-A": 500}))]
        assert found(pairs) == {}

    def test_a_run_that_the_sheet_leaves_out_is_that_of_date_and_cytometer(self):
        full = (tube(), replace(bound({"PE-A": 450}), date="2021-03-15", serial="H1"))
        control = replace(bound({"PE-A": 500}), date="2021-03-15", serial="H1")
        assert set(codes([full, (tube(kind="unstained"), control)])) == {"S01_W00"}
        assert found([full, (tube(kind="unstained"), replace(control, serial="H2"))]) == {}
        nothing_known = replace(full[1], date="", serial="")
        assert (
            found([(full[0], nothing_known), (tube(kind="unstained"), replace(control, date="", serial=""))])
            == {}
        )

    def test_visits_and_controls_are_two_sentences(self):
        pairs = [(tube("S01", "W00", run="R1"), bound({"PE-A": 450})), (tube("S01", "W12", run="R2"), bound({"PE-A": 500})),
                 (tube("", "", "unstained", run="R1", sample="C"), bound({"PE-A": 550}))]  # fmt: skip
        assert codes(pairs) == {"S01_W00": ["F-VOLTAGE", "F-VOLTAGE"], "S01_W12": ["F-VOLTAGE"]}


@pytest.mark.parametrize(
    ("there", "how"),
    [
        ({}, ""),
        ({"serial": "H2"}, 'serial number "H2", here "H1"'),
        ({"serial": "", "cytometer": "Canto"}, 'cytometer "Canto", here "LSR"'),
        ({"serial": ""}, ""),
        ({"channels": {"CD25": "APC-A"}}, "CD25 on APC-A, here on PE-A"),
        ({"channels": {"CD4": "APC-A"}}, ""),
        ({"voltages": {"PE-A": 500.0}}, "CD25 on PE-A 500 V, here 450 V"),
        ({"voltages": {"PE-A": 459.0}}, ""),
        ({"voltages": {"PE-A": 459.1}}, "CD25 on PE-A 459.1 V, here 450 V"),
        ({"voltages": {}}, ""),
        ({"voltages": {"PE-A": 450.0, "APC-A": 1.0}}, ""),
        ({"gains": {"PE-A": 2.0}}, "CD25 on PE-A gain 2, here 1"),
        ({"serial": "H2", "voltages": {"PE-A": 500.0}}, 'serial number "H2", here "H1"'),
    ],
)
def test_a_control_holds_where_it_was_acquired_alike(there, how):
    own = replace(bound({"PE-A": 450.0}, CD25="PE-A"), serial="H1", cytometer="LSR")
    assert how_unlike(own, replace(own, **there)) == how


class TestLaws:
    WORDS = st.sampled_from(["S01", "S02", "W00", "W12", "1", "012", "A1", "Tube", ""])
    ROWS = st.lists(
        st.tuples(
            st.sampled_from(["S01", "S02", "012", "1"]),
            st.sampled_from(["W00", "W12", "2", ""]),
            st.sampled_from(["full", "full", "unstained"]),
            st.lists(WORDS, max_size=4).map(" ".join),
            st.sampled_from(["", "2021-03-15", "2021-03-16", "2021-03-20"]),
            st.sampled_from(["", "H1", "H2"]),
            st.sampled_from([400.0, 450.0]),
            st.sampled_from(["PE-A", "APC-A"]),
        ),
        max_size=7,
    )

    @settings(max_examples=200)
    @given(ROWS, st.randoms(use_true_random=False))
    def test_the_order_of_rows_does_not_matter(self, drawn, chance: random.Random):
        pairs = [
            (tube(subject, visit, kind, sample=f"T{place}", run="R1", collected="2021-03-16"),
             replace(bound({"PE-A": volts, "APC-A": volts}, CD25=detector), names={"$FIL": words}, date=date, serial=serial))
            for place, (subject, visit, kind, words, date, serial, volts, detector) in enumerate(drawn)
        ]  # fmt: skip
        turned = chance.sample(pairs, len(pairs))
        assert found(turned) == found(pairs)

    @given(ROWS)
    def test_a_row_is_told_only_of_its_own_subject_its_run_and_names_of_the_sheet(self, drawn):
        """What is said of a subject stays the same when files of others, of other runs and silent, come in."""
        pairs = [
            (tube(subject, visit, kind, sample=f"T{place}", run="R1"), replace(bound({"PE-A": volts}, CD25="PE-A"), serial=serial))
            for place, (subject, visit, kind, _, _, serial, volts, _) in enumerate(drawn)
        ]  # fmt: skip
        other = (tube("S99", "W12", run="R9"), replace(bound({"PE-A": 999.0}, CD25="PE-A"), serial="H9"))
        assert found([*pairs, other]) == found(pairs)


@pytest.fixture(scope="module")
def real(data) -> dict[Path, dict[str, str]]:
    """Return what every real file says of its name."""
    said = {}
    for path in sorted(path for path in data.rglob("*") if path.is_file()):
        for data_set in (None, 1):
            try:
                said[path] = naming(scan_fcs(path, data_set=data_set).keywords)
                break
            except FileError:
                continue
    return {path: names for path, names in said.items() if names}


TRIALS = {**SUBJECTS, "numbers": tuple(map(str, range(1, 21))), "wells": ("A1", "A2", "B7", "H12")}
TRIAL_VISITS = (*VISITS.values(), ("1", "2", "3"), ("pre", "post"))


@pytest.mark.data
class TestRealNames:
    @pytest.mark.parametrize("style", TRIALS)
    def test_no_real_file_is_taken_for_one_of_another_study(self, real, style):
        """Each file stands in sheets of names that are not its own: whoever is accused is accused wrongly."""
        me = tube("ZZ9000", "EXTRA99")
        sheets = [
            [me, *(tube(subject, visit) for subject in TRIALS[style] for visit in visits)]
            for visits in TRIAL_VISITS
        ]
        accused = {
            path.name
            for path, names in real.items()
            for sheet in sheets
            if doubts(sheet, {me.sample: Stated(names)})
        }
        own = {path.name for path in real if style == "digits before a letter" and "flowatlas" in str(path)}
        assert accused - own == ({"Donor1.fcs", "Donor2.fcs"} if style == "words" else set())
        assert len(real) > 200

    def test_real_donors_files_name_their_own_and_are_found_when_swapped(self, real):
        """The organ donors' tubes: who published them says in the folder's name whose they are."""
        paths = [path for path in real if "flowatlas_tcells" in str(path) and "controls" not in str(path)]
        pairs = [(Tube(path.name, path.name, path.parent.name), Stated(real[path])) for path in paths]
        assert not [one for said in found(pairs).values() for one in said if one.finding.answer == "flag"]
        turned = {"390C": "412C", "412C": "390C", "403C": "403C"}
        swapped = [(replace(one, subject=turned[one.subject]), said) for one, said in pairs]
        accused = {sample for sample, said in found(swapped).items() if said[0].finding.code == "F-IDENTITY"}
        assert accused == {path.name for path in paths if path.parent.name != "403C" and path.parent.name in str(real[path])}  # fmt: skip
        assert len(accused) > 8


def test_technical_words_are_one_printable_line():
    assert plain(" SIM\x1b[31m1\n9\0 ") == "SIM?[31m1 9"
    assert len(plain("x" * 5000)) == 80


def test_what_is_counted_is_no_name():
    people = ["P01", "P02", "P03"]
    said = [
        Stated({"$FIL": "Plate P02 A01.fcs", "$SRC": f"{person} {visit}"})
        for person in people
        for visit in ("W00", "W12")
    ]
    tubes = [tube(person, visit) for person in people for visit in ("W00", "W12")]
    assert found(list(zip(tubes, said, strict=True))) == {}
