"""The second reader: what agrees, what differs and where, what was not read, and what is said of it."""

from __future__ import annotations

import gzip
import json
import math
from dataclasses import replace
from pathlib import Path

import doubles
import numpy as np
import pytest
from doubles import NAME
from fcs_bytes import fcs_bytes, parameter, parameters
from studies import command

from tregflow.errors import CODES
from tregflow.io.confined import Stopped
from tregflow.io.fcs import read_fcs
from tregflow.io.readers import FCSPARSER, FLOWIO, READERS, Reading
from tregflow.verify import Asked, Verified, compare, document, status, verify
from tregflow.verify.asking import OwnMemoryError, _plan, ask, look_at
from tregflow.verify.differences import split
from tregflow.verify.limits import Case

SHIPPED = Path(__file__).resolve().parents[1] / "sample_fcs"
ROWS = [[1.5, -2.25, 3e5], [4.0, 5.5, 6.125], [7.0, 8.0, 0.0], [-1e-3, 2.0, 1.0]]
COUNTS = [[1, 2, 3], [100, 200, 255], [0, 7, 9]]
SPILL = "2,C1-A,C3-A,1,0.25,0.125,1"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return an empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def made(folder):
    """Write bytes to a file of the working folder."""

    def path(raw: bytes, name: str = "tube.fcs") -> Path:
        (folder / name).write_bytes(raw)
        return folder / name

    return path


def two_data_sets(second: bytes = b"", **more) -> bytes:
    def first(length: int) -> bytes:
        return fcs_bytes(ROWS, parameters(3), keywords={"$NEXTDATA": str(length).rjust(8)}, **more)

    return first(len(first(0))) + (second or fcs_bytes(ROWS[:2], parameters(3)))


def asked(path: Path, **more) -> Asked:
    return Asked(path.name, path, **more)


def greedy(*_: object, **__: object) -> tuple:
    raise MemoryError


def kinds(found: Verified) -> dict[str, str]:
    return {answer.reader: answer.kind for answer in found.answers}


# ---------------------------------------------------------------------------------- differences


class TestCompare:
    """Two readings of the same bytes, one of them bent by hand."""

    @pytest.fixture
    def case(self, made) -> Case:
        channels = [parameter("C1-A", S="CD4"), parameter("C2-A"), parameter("C3-A")]
        path = made(fcs_bytes(ROWS, channels, keywords={"$SPILLOVER": SPILL}))
        return Case(read_fcs(path), FLOWIO.read(path, None, ()), "FlowIO")

    def bent(self, case: Case, **changes) -> tuple:
        return compare(case._replace(reading=replace(case.reading, **changes)))

    def test_what_is_alike_does_not_differ(self, case):
        assert compare(case) == ()

    def test_one_value_is_told_with_its_place(self, case):
        columns = [column.copy() for column in case.reading.columns]
        columns[1][2] = np.nextafter(8.0, 9.0)
        columns[2][1:] = 7
        (found,) = self.bent(case, columns=tuple(columns))
        assert (found.what, found.count, found.of) == ("values", 4, 12)
        assert (found.channel, found.event, found.name) == (2, 3, "C2-A")
        assert (found.ours, found.theirs) == (8.0, np.nextafter(8.0, 9.0))
        assert found.known == ""
        assert found.sentence("FlowIO") == (
            "FlowIO differs in 4 of 12 values, first in event 3 of channel 2 (C2-A): tregflow 8, FlowIO 8.000000000000002"
        )

    def test_nan_is_nan_and_nothing_else_is(self, made):
        rows = [[math.nan, math.inf, -0.0], [1.0, math.nan, 2.0]]
        path = made(fcs_bytes(rows, parameters(3)))
        case = Case(read_fcs(path), FLOWIO.read(path, None, ()), "FlowIO")
        assert compare(case) == ()
        columns = [column.copy() for column in case.reading.columns]
        columns[0][0], columns[1][1] = 0.0, math.inf
        (found,) = self.bent(case, columns=tuple(columns))
        assert (found.count, found.channel, found.event) == (2, 1, 1)
        assert math.isnan(found.ours)

    def test_whole_numbers_beyond_floats_are_compared_as_whole_numbers(self, made):
        path = made(fcs_bytes([[2**53 + 1, 2, 3]], parameters(3, 64, 2**60), datatype="I"))
        columns = [np.array([value], np.uint64) for value in (2**53 + 1, 2, 3)]
        names = ("C1-A", "C2-A", "C3-A")
        case = Case(read_fcs(path), Reading(tuple(columns), names, (None,) * 3, {}))
        assert compare(case) == ()
        columns[0] = columns[0] - np.uint64(1)
        assert [one.count for one in self.bent(case, columns=tuple(columns))] == [1]

    def test_another_number_of_events(self, case):
        found = self.bent(case, columns=tuple(column[:3] for column in case.reading.columns))
        assert [(one.what, one.count, one.of) for one in found] == [("events", 3, 4)]
        assert found[0].sentence("FlowIO") == "FlowIO reads 3 events, tregflow 4"

    def test_another_number_of_channels(self, case):
        (found,) = self.bent(
            case, columns=case.reading.columns[:2], names=("C1-A", "C2-A"), stains=("CD4", None)
        )
        assert (found.what, found.count, found.of) == ("channels", 2, 3)

    @pytest.mark.parametrize(
        ("field", "words", "channel", "count"),
        [
            ("names", ("C1-A", "C3-A", "C2-A"), 2, 2),
            ("names", ("C1-A", "C2-A", None), 3, 1),
            ("stains", ("CD8", "", None), 1, 1),
            ("stains", ("CD4", "CD25", None), 2, 1),
        ],
    )
    def test_names_and_stains(self, case, field, words, channel, count):
        (found,) = self.bent(case, **{field: words})
        assert (found.what, found.channel, found.count, found.of) == (field, channel, count, 3)
        assert found.known == ""

    def test_blanks_around_names_are_nothing(self, case):
        assert self.bent(case, names=(" C1-A", "C2-A\r\n", "C3-A\0")) == ()

    @pytest.mark.parametrize(
        "written",
        [
            "2,C1-A,C3-A,1,0.25,0.126,1",
            "2,C1-A,C2-A,1,0.25,0.125,1",
            "2,C3-A,C1-A,1,0.25,0.125,1",
            "1,C1-A,1",
            "2,C1-A,C3-A,1,0.25,0.125",
            "two",
        ],
    )
    def test_another_matrix(self, case, written):
        assert [one.what for one in self.bent(case, spillover={"SPILLOVER": written})] == ["spillover"]

    def test_no_matrix(self, case):
        (found,) = self.bent(case, spillover={})
        assert found.sentence("FlowIO") == "FlowIO differs in the spillover matrix: FlowIO has none"

    def test_the_number_that_differs_is_told(self, case):
        (found,) = self.bent(case, spillover={"$SPILLOVER": "2, C1-A, C3-A, 1, .25, 0.5, 1,"})
        assert found.sentence("FlowIO").endswith("row 2, column 1: tregflow 0.125, FlowIO 0.5")

    def test_a_matrix_that_tregflow_does_not_have(self, made):
        path = made(fcs_bytes(ROWS, parameters(3)))
        case = Case(read_fcs(path), FLOWIO.read(path, None, ()), "FlowIO")
        assert [one.what for one in self.bent(case, spillover={"SPILL": SPILL})] == ["spillover"]
        assert self.bent(case, spillover={"SPILL": "no matrix"}) == ()

    def test_a_matrix_that_tregflow_says_it_does_not_use_is_no_difference(self, made):
        path = made(
            fcs_bytes(ROWS, parameters(3), keywords={"SPILL": SPILL, "$SPILLOVER": SPILL.replace("25", "5")})
        )
        sample = read_fcs(path)
        assert (sample.spillover, "N-SPILL" in [one.code for one in sample.findings]) == (None, True)
        assert compare(Case(sample, FLOWIO.read(path, None, ()), "FlowIO")) == ()

    @pytest.mark.parametrize(
        ("written", "names", "numbers"),
        [
            ("1,FL1,1", ("FL1",), (1.0,)),
            ("2,1,0.5,0.25,1", (), (1.0, 0.5, 0.25, 1.0)),
            (" 2 , a , b , 1 , 2 , 3 , 4 ,\r\n", ("a", "b"), (1.0, 2.0, 3.0, 4.0)),
        ],
    )
    def test_a_matrix_is_split(self, written, names, numbers):
        assert split(written) == (names, numbers, round(len(numbers) ** 0.5))

    @pytest.mark.parametrize(
        "written", ["", "0", "-1,1", "x", "2,a,b,1,2,3", "2,a,b,1,2,3,4,5", "1,a,b", "1.5,a,1"]
    )
    def test_what_is_no_matrix(self, written):
        assert split(written) is None


class TestLimits:
    """Where it is known that the other reader is wrong, it differs all the same, and the limit is told."""

    CHANNELS = (parameter("FSC-A"), parameter("Time", DATATYPE="I"), parameter("CD4-A", S="CD4"))
    EMPTY = (("$P1S", ""), ("$P3N", "C3-A"))

    @pytest.mark.parametrize(
        ("reader", "raw", "what", "count", "channel"),
        [
            # hazard 14: a private keyword like a standard one, and a $ in a value
            (FLOWIO, fcs_bytes(ROWS, parameters(3), more=[("P2N", NAME)]), "names", 1, 2),
            (FLOWIO, fcs_bytes(ROWS, [*parameters(2), parameter("C3", S="cost$5")]), "stains", 1, 3),
            # hazard 17: stains in the supplemental TEXT
            (FLOWIO, fcs_bytes(ROWS, parameters(3), supplement="/$P2S/CD4/$P3S/CD8/"), "stains", 2, 2),
            (FCSPARSER, fcs_bytes(ROWS, parameters(3), supplement="/$P2S/CD4/$P3S/CD8/"), "stains", 2, 2),
            (FLOWIO, fcs_bytes(ROWS, parameters(3), supplement=f"/$SPILLOVER/{SPILL}/"), "spillover", 1, 0),
            # hazard 25: a type of its own
            (FLOWIO, fcs_bytes(COUNTS, CHANNELS, version="FCS3.2"), "values", 3, 2),
            (FCSPARSER, fcs_bytes(COUNTS, CHANNELS, version="FCS3.2"), "values", 3, 2),
            # hazard 10: empty values, by which the reading of keywords falls out of step
            (FCSPARSER, fcs_bytes(ROWS, parameters(3), keywords={"$P3N": None}, more=EMPTY), "names", 1, 3),
            # hazard 16: letters that are not UTF-8, beside some that are
            (FLOWIO, fcs_bytes(ROWS, [*parameters(2), parameter("µ")], more=[("X", "?")]).replace(b"X/?", b"X/\xb5"), "names", 1, 3),
            # hazard 18: $TOT too small
            (FCSPARSER, fcs_bytes(ROWS, parameters(3), keywords={"$TOT": "3"}), "events", 3, 0),
            # hazards 20, 21: no range; 24 bits
            (FLOWIO, fcs_bytes(COUNTS, parameters(3, 16, 0), datatype="I"), "values", 8, 1),
            (FCSPARSER, fcs_bytes(COUNTS, parameters(3, 24, 256), datatype="I"), "values", 8, 1),
            # hazard 9: a doubled delimiter
            (FLOWIO, fcs_bytes(ROWS, [*parameters(2), parameter("A|B")], delimiter="|"), "names", 1, 3),
        ],
    )  # fmt: skip
    def test_a_known_limit_is_a_difference_with_its_reason(self, made, reader, raw, what, count, channel):
        answer = ask(reader, made(raw), None)
        assert answer.kind == "differs"
        (found,) = answer.differences
        assert (found.what, found.count, found.channel) == (what, count, channel)
        assert found.known
        assert found.known in found.sentence(reader.name)
        assert [finding.code for finding in answer.findings] == ["F-DIFFER"]

    def test_values_before_the_type_of_its_own_are_told_exactly(self, made):
        (found,) = ask(FLOWIO, made(fcs_bytes(COUNTS, self.CHANNELS, version="FCS3.2")), None).differences
        assert (found.event, found.ours) == (1, 2)
        assert found.theirs == np.array([2], "<u4").view("<f4")[0]

    def test_keywords_of_an_earlier_data_set(self, made):
        first = [parameter("C1-A", S="CD4"), *parameters(3)[1:]]

        def written(length: int) -> bytes:
            return fcs_bytes(ROWS, first, keywords={"$NEXTDATA": str(length).rjust(8)})

        path = made(written(len(written(0))) + fcs_bytes(ROWS, parameters(3)))
        (found,) = ask(FCSPARSER, path, 2).differences
        assert (found.what, found.count, found.channel, bool(found.known)) == ("stains", 1, 1, True)

    def test_one_channel_that_nothing_explains_leaves_the_difference_unexplained(self, made):
        path = made(fcs_bytes(ROWS, parameters(3), more=[("P2N", "B")]))
        reading = FLOWIO.read(path, None, ())
        case = Case(read_fcs(path), reading, "FlowIO")
        (found,) = compare(case)
        assert found.known
        bent = replace(reading, names=(*reading.names[:2], "else"))
        (found,) = compare(case._replace(reading=bent))
        assert (found.count, found.known) == (2, "")

    def test_a_limit_of_one_reader_excuses_no_other(self, made):
        path = made(fcs_bytes(ROWS, parameters(3), more=[("P2N", "B")]))
        reading = FLOWIO.read(path, None, ())
        (found,) = compare(Case(read_fcs(path), reading, "fcsparser"))
        assert found.known == ""

    def test_a_stain_that_the_supplement_does_not_hold_is_not_excused_by_it(self, made):
        path = made(fcs_bytes(ROWS, [*parameters(2), parameter("C3-A", S="CD4")], supplement="/$P2S/CD8/"))
        reading = replace(FLOWIO.read(path, None, ()), stains=(None, None, None))
        case = Case(read_fcs(path), reading, "FlowIO", supplement="/$P2S/CD8/")
        (found,) = compare(case)
        assert (found.count, found.known) == (2, "")


# -------------------------------------------------------------------------------------- answers


class TestAsk:
    def test_both_agree_about_plain_files(self, made):
        path = made(fcs_bytes(ROWS, parameters(3), keywords={"$SPILLOVER": SPILL}))
        for reader in READERS:
            answer = ask(reader, path, None)
            assert (answer.kind, answer.events, answer.channels) == ("agrees", 4, 3)
            assert list(answer.findings) == []

    def test_fcsparser_and_big_endian_files(self, made):
        answer = ask(FCSPARSER, made(fcs_bytes(ROWS, parameters(3), order="big")), None)
        assert (answer.kind, answer.error) == ("refuses", "AttributeError")
        (finding,) = answer.findings
        assert finding.code == "N-READER"
        assert "cannot read big-endian files under numpy 2" in finding.sentence

    @pytest.mark.parametrize(
        ("raw", "switches"),
        [
            (fcs_bytes(ROWS, parameters(3), late=1), ("ignore_offset_error",)),
            (fcs_bytes(ROWS, parameters(3), header=(10, 30)), ("ignore_offset_discrepancy",)),
            (fcs_bytes(ROWS, parameters(3), stated=(10, 30)), ("use_header_offsets",)),
            (fcs_bytes(ROWS, parameters(3), stated=(10, 30), late=1), ("ignore_offset_error", "use_header_offsets")),
        ],
    )  # fmt: skip
    def test_flowio_agrees_only_if_told(self, made, raw, switches):
        path = made(raw)
        answer = ask(FLOWIO, path, None)
        assert (answer.kind, answer.switches) == ("agrees if told", switches)
        assert answer.error
        (finding,) = answer.findings
        assert finding.code == "N-READER"
        assert all(switch in finding.sentence for switch in switches)

    def test_what_a_reader_reads_untold_is_final(self, made):
        """No switch is tried to talk a difference away."""
        path, tried = made(fcs_bytes(ROWS, parameters(3))), []

        def read(path, data_set, switches) -> Reading:
            tried.append(switches)
            return doubles.lying(path, data_set, ()) if not switches else FLOWIO.read(path, data_set, ())

        answer = ask(replace(FLOWIO, read=read), path, None)
        assert (answer.kind, tried) == ("differs", [()])

    def test_a_reader_that_differs_whatever_it_is_told_differs(self, made):
        def read(path, data_set, switches) -> Reading:
            if not switches:
                raise ValueError
            return doubles.lying(path, data_set, ())

        answer = ask(replace(FLOWIO, read=read), made(fcs_bytes(ROWS, parameters(3))), None)
        assert (answer.kind, answer.switches) == ("differs", ("ignore_offset_error",))

    def test_files_of_several_data_sets(self, made):
        path = made(two_data_sets())
        for number, events in ((1, 4), (2, 2)):
            answer = ask(FLOWIO, path, number)
            assert (answer.kind, answer.switches, answer.events) == (
                "agrees if told",
                ("read_multiple_data_sets",),
                events,
            )
            assert ask(FCSPARSER, path, number).kind == "agrees"

    def test_a_packed_file_is_unpacked_for_them(self, made):
        path = made(gzip.compress(fcs_bytes(ROWS, parameters(3))), "tube.fcs.gz")
        assert [ask(reader, path, None).kind for reader in READERS] == ["agrees", "agrees"]

    def test_a_file_that_tregflow_refuses_is_read_or_refused_and_not_compared(self, made):
        path = made(fcs_bytes(ROWS, parameters(3), keywords={"$MODE": "C"}))
        answers = [ask(reader, path, None) for reader in READERS]
        assert [answer.kind for answer in answers] == ["reads", "refuses"]
        assert (answers[0].events, answers[0].channels) == (4, 3)
        assert all(answer.differences == () for answer in answers)

    def test_a_packed_file_that_tregflow_refuses_is_not_unpacked(self, made):
        path = made(gzip.compress(fcs_bytes(ROWS, parameters(3)))[:-20], "cut.fcs.gz")
        assert {ask(reader, path, None).kind for reader in READERS} == {"refuses"}


class TestLook:
    def test_one_data_set(self, made):
        (seen,) = look_at(made(fcs_bytes(ROWS, parameters(3))), None, every=True)
        assert (seen.data_set, seen.events, seen.channels, seen.size, seen.refusals) == (None, 4, 3, 48, ())

    def test_every_data_set_or_the_one_that_is_meant(self, made):
        path = made(two_data_sets())
        assert [(one.data_set, one.events) for one in look_at(path, None, every=True)] == [(1, 4), (2, 2)]
        assert [(one.data_set, one.events) for one in look_at(path, 2, every=False)] == [(2, 2)]
        (seen,) = look_at(path, None, every=False)
        assert seen.is_refused("E-DATASET")

    def test_one_data_set_that_is_refused_hides_no_other(self, made):
        ten_bits = fcs_bytes([], parameters(3), datatype="I", keywords={f"$P{n}B": "10" for n in (1, 2, 3)})
        path = made(two_data_sets(ten_bits))
        assert [one.is_refused("E-LAYOUT") for one in look_at(path, None, every=True)] == [False, True]


# ------------------------------------------------------------------------------- files in order


class TestVerify:
    def test_the_shipped_files_are_confirmed_twice(self):
        paths = sorted((SHIPPED / "fcs").glob("S0*.fcs"))
        found = verify([Asked(path.name, path) for path in paths], workers=2)
        assert [one.file for one in found] == [path.name for path in paths]
        assert {tuple(kinds(one).values()) for one in found} == {("agrees", "agrees")}
        assert {one.state for one in found} == {"confirmed"}
        assert status(found) == 0

    @pytest.mark.parametrize(
        ("double", "told"),
        [
            (doubles.hanging_at_one, "gave up after 5 s"),
            (doubles.greedy_at_one, "asked for too much memory"),
            (doubles.dying_at_one, "ended its process"),
        ],
    )
    def test_a_reader_that_does_not_end_is_given_up_and_the_next_file_goes_on(self, made, double, told):
        raw = fcs_bytes(ROWS, parameters(3))
        paths = [made(raw, f"{name}.fcs") for name in ("one", "two")]
        one, two = verify(
            [asked(path) for path in paths], seconds=5, readers=[doubles.reader(double), FLOWIO]
        )
        assert kinds(one) == {"Double": "gave up", "FlowIO": "agrees"}
        assert kinds(two) == {"Double": "agrees", "FlowIO": "agrees"}
        assert [(finding.code, finding.sentence) for finding in one.findings] == [
            ("N-READER", f"Double {told}")
        ]
        assert (one.state, two.state) == ("confirmed", "confirmed")

    def test_a_claim_that_a_reader_believes_exhausts_nothing(self, made):
        """A claim of 120 GB: fcsparser believes it."""
        path = made(fcs_bytes(ROWS, parameters(3), keywords={"$TOT": 10**10}))
        (found,) = verify([asked(path)], readers=[FCSPARSER])
        assert found.state == "refused"
        assert [answer.kind for answer in found.answers] in (["gave up"], ["refuses"])

    def test_one_that_differs_outweighs_one_that_agrees(self, made):
        path = made(fcs_bytes(ROWS, parameters(3)))
        (found,) = verify([asked(path)], readers=[doubles.reader(doubles.lying), FLOWIO])
        assert kinds(found) == {"Double": "differs", "FlowIO": "agrees"}
        (difference,) = found.answers[0].differences
        assert (difference.channel, difference.event, difference.ours, difference.theirs) == (2, 3, 8.0, 9.0)
        assert (found.state, status([found])) == ("differs", 1)

    def test_nobody_who_confirms(self, made):
        path = made(fcs_bytes(ROWS, parameters(3), order="big"))
        (found,) = verify([asked(path)], readers=[FCSPARSER])
        assert (found.state, status([found])) == ("unconfirmed", 1)

    def test_a_file_that_changes_meanwhile(self, made):
        path = made(fcs_bytes(ROWS, parameters(3)))
        (found,) = verify([asked(path)], readers=[doubles.reader(doubles.writing)])
        assert [finding.code for finding in found.findings] == ["E-CHANGED"]
        assert (found.state, found.answers) == ("refused", ())

    def test_a_file_that_is_not_there_asks_nobody(self, folder):
        (found,) = verify([Asked("nothing.fcs", folder / "nothing.fcs")])
        assert [finding.code for finding in found.findings] == ["E-MISSING"]
        assert (found.state, found.answers, status([found])) == ("refused", (), 1)

    def test_a_refused_file_says_whether_the_others_read_it(self, made):
        """Hazard 19: one channel more than announced; both others rotate the columns and say nothing."""
        path = made(fcs_bytes(ROWS, parameters(3), keywords={"$PAR": 2}))
        (found,) = verify([asked(path)])
        assert found.state == "refused"
        assert set(kinds(found).values()) == {"reads"}
        (finding,) = found.findings
        assert finding.code == "E-KEYWORD"
        assert "FlowIO reads 6 events of 2 channels" in finding.sentence
        assert "fcsparser reads 4 events of 2 channels" in finding.sentence

    def test_a_fault_of_the_comparison_confirms_nothing(self, made):
        path = made(fcs_bytes(ROWS, parameters(3)))
        (found,) = verify([asked(path)], readers=[doubles.reader(doubles.empty_handed)])
        assert (kinds(found), found.state) == ({"Double": "fault"}, "unconfirmed")
        (finding,) = found.findings
        assert finding.code == "E-INTERNAL"
        assert "please report it" in finding.sentence

    def test_a_fault_of_the_comparison_ends_with_3_whoever_else_agrees(self, made):
        path = made(fcs_bytes(ROWS, parameters(3)))
        (found,) = verify([asked(path)], readers=[doubles.reader(doubles.empty_handed), FLOWIO])
        assert kinds(found) == {"Double": "fault", "FlowIO": "agrees"}
        assert status([found]) == 3

    @pytest.mark.parametrize("place", ["compare", "read_fcs"])
    def test_memory_that_tregflow_takes_is_nobody_elses_fault(self, made, monkeypatch, place):
        path = made(fcs_bytes(ROWS, parameters(3)))
        with pytest.raises(MemoryError):
            ask(replace(FLOWIO, read=greedy), path, None)
        monkeypatch.setattr(f"tregflow.verify.asking.{place}", greedy)
        with pytest.raises(OwnMemoryError):
            ask(FLOWIO, path, None)

    @pytest.mark.parametrize("last", [f"{10**11:12d}", "9" * 5_000, "0" * 5_000 + "99", "²", "-1"])
    def test_a_supplement_that_is_claimed_to_be_huge_costs_nothing(self, made, last):
        """Of 1e11 bytes once: what tregflow asked for was put down to the other reader."""
        path = made(fcs_bytes(ROWS, parameters(3), keywords={"$BEGINSTEXT": "600", "$ENDSTEXT": last}))
        (found,) = verify([asked(path)], readers=[FCSPARSER])
        assert (kinds(found), status([found])) == ({"fcsparser": "agrees"}, 0)

    @pytest.mark.parametrize("why", ["time", "memory", "death", "fault"])
    def test_a_fault_of_tregflows_own_reader_is_told_and_ends_with_3(self, made, why):
        plan = _plan(asked(made(fcs_bytes(ROWS, parameters(3)))), READERS, 60)
        next(plan)
        with pytest.raises(StopIteration) as ended:
            plan.send(Stopped(why, "KeyError in text.py, line 3" if why == "fault" else ""))
        assert [finding.code for finding in ended.value.value[0].findings] == ["E-INTERNAL"]
        assert status(ended.value.value) == 3

    def test_any_number_of_workers_finds_the_same(self, made):
        paths = [made(fcs_bytes(ROWS[:size], parameters(3), order=order), f"{size}{order}.fcs")
                 for size in (1, 2, 3) for order in ("little", "big")]  # fmt: skip
        one, three = (verify([asked(path) for path in paths], workers=workers) for workers in (1, 3))
        assert one == three

    def test_each_file_is_told_as_it_ends(self, made):
        paths = [made(fcs_bytes(ROWS, parameters(3)), f"{number}.fcs") for number in range(3)]
        ended: list[str] = []
        verify([asked(path) for path in paths], readers=[FLOWIO], ended=ended.append)
        assert ended == ["0.fcs", "1.fcs", "2.fcs"]


# ---------------------------------------------------------------------------------- the command


class TestCommand:
    def test_files_that_are_confirmed(self, made, capsys):
        for name in ("visit1.fcs", "visit2.fcs"):
            made(fcs_bytes(ROWS, parameters(3)), name)
        ended = command(capsys, "verify", "visit1.fcs", "visit2.fcs", "visit1.fcs")
        assert (ended.status, ended.err) == (0, "")
        lines = [line.split() for line in ended.out.splitlines()]
        assert lines[0][:2] == ["file", "events"]
        assert lines[1] == ["visit1.fcs", "4", "agrees", "agrees", "confirmed"]
        assert "2 files: 2 confirmed by another reader." in ended.out
        assert "To look at" not in ended.out

    def test_a_file_that_differs_with_what_to_do(self, made, capsys):
        made(fcs_bytes(ROWS, parameters(3), more=[("P2N", "x")]))
        ended = command(capsys, "verify", "tube.fcs")
        assert ended.status == 1
        assert "F-DIFFER tube.fcs FlowIO differs in 1 of 3 channel names" in ended.said
        assert "tregflow explain CODE" in ended.out

    @pytest.mark.parametrize("code", ["F-DIFFER", "N-READER", "E-CHANGED"])
    def test_what_is_said_is_explained(self, capsys, code):
        assert CODES[code] in command(capsys, "explain", code).out

    def test_the_rows_of_a_sheet(self, made, capsys):
        made(fcs_bytes(ROWS, parameters(3)), "a.fcs")
        made(two_data_sets(), "b.fcs")
        Path("sheet.csv").write_text("file,data_set,channel:CD4\na.fcs,,C1-A\nb.fcs,2,\n")
        ended = command(capsys, "verify", "--samples", "sheet.csv", "-j", "1")
        assert ended.status == 0
        rows = [line.split() for line in ended.out.splitlines()[1:3]]
        assert rows[0][:2] == ["a.fcs", "4"]
        assert rows[1][:5] == ["b.fcs", "(data", "set", "2)", "2"]

    def test_a_sheet_that_names_no_data_set_of_several(self, made, capsys):
        made(two_data_sets(), "b.fcs")
        Path("samples.csv").write_text("file\nb.fcs\n")
        ended = command(capsys, "verify")
        assert ended.status == 1
        assert "E-DATASET" in ended.out
        named = command(capsys, "verify", "b.fcs")
        assert named.status == 0
        assert [word for word in named.said.split() if word == "confirmed"] == ["confirmed"] * 3

    def test_files_of_one_name_in_two_folders_are_told_apart(self, folder, made, capsys):
        for name in ("a", "b"):
            (folder / name).mkdir()
            made(fcs_bytes(ROWS, parameters(3)), f"{name}/tube.fcs")
        out = command(capsys, "verify", "a/tube.fcs", "b/tube.fcs").out
        assert "a/tube.fcs" in out
        assert "b/tube.fcs" in out

    def test_json(self, made, capsys):
        made(
            fcs_bytes(
                [[math.nan, 2, 3]],
                [parameter("A"), parameter("B", DATATYPE="I"), parameter("C")],
                version="FCS3.2",
            )
        )
        made(fcs_bytes(ROWS, parameters(3), late=1), "late.fcs")
        ended = command(capsys, "verify", "--json", "tube.fcs", "late.fcs", "nothing.fcs")
        assert ended.status == 1
        told = json.loads(ended.out)
        assert list(told) == ["schema", "readers", "summary", "files"]
        assert told["schema"] == 1
        assert told["readers"] == {reader.name: reader.version for reader in READERS}
        assert told["summary"] == {"confirmed": 1, "differs": 1, "unconfirmed": 0, "refused": 1}
        first, late, absent = told["files"]
        assert list(first) == ["file", "data_set", "state", "events", "channels", "findings", "answers"]
        assert list(first["findings"][0]) == ["code", "sentence"]
        answer = first["answers"][0]
        assert list(answer) == [
            "reader",
            "kind",
            "switches",
            "error",
            "reason",
            "events",
            "channels",
            "differences",
        ]
        (difference,) = answer["differences"]
        assert list(difference) == [
            "what",
            "count",
            "of",
            "channel",
            "event",
            "name",
            "ours",
            "theirs",
            "detail",
            "known",
        ]
        assert (difference["what"], difference["channel"], difference["event"], difference["ours"]) == (
            "values",
            2,
            1,
            2,
        )
        assert answer["kind"] == "differs"
        assert difference["known"]
        assert late["answers"][0]["switches"] == ["ignore_offset_error"]
        assert absent["answers"] == []

    def test_a_number_that_is_not_finite_is_its_name(self, made, capsys):
        path = made(fcs_bytes([[math.nan, 2, 3]], parameters(3)))
        sample, reading = read_fcs(path), FLOWIO.read(path, None, ())
        bent = replace(reading, columns=(np.array([math.inf]), *reading.columns[1:]))
        answer = replace(ask(FLOWIO, path, None), kind="differs", differences=compare(Case(sample, bent)))
        (told,) = document([Verified("a.fcs", answers=(answer,))], {})["files"][0]["answers"][0][
            "differences"
        ]
        assert (told["ours"], told["theirs"]) == ("nan", "inf")

    @pytest.mark.parametrize(
        ("words", "seen"),
        [
            ((), "there is no samples.csv here"),
            (("a.fcs", "--samples", "sheet.csv"), "not both"),
            (("--decimal", ";"), "--decimal"),
            (("--samples", "sheet.csv"), "sheet.csv"),
        ],
    )
    def test_a_command_that_cannot_be_done(self, folder, capsys, words, seen):
        ended = command(capsys, "verify", *words)
        assert (ended.status, ended.out) == (2, "")
        assert seen in ended.said

    def test_it_gives_up_when_it_is_told_to(self, made, capsys):
        made(fcs_bytes(ROWS, parameters(3)))
        assert command(capsys, "verify", "--timeout", "0", "tube.fcs").status == 2

    def test_long_lists_show_first_what_is_not_confirmed(self, capsys, monkeypatch):
        from tregflow import terminal

        monkeypatch.setattr(terminal, "LONGEST", 2)
        found = [Verified(f"{name}.fcs", answers=()) for name in "ab"]
        path = SHIPPED / "fcs" / "R01_single_LD.fcs"
        fine = Verified("fine.fcs", answers=(ask(FLOWIO, path, None),))
        terminal.show_verified([fine, *found], {"FlowIO": ""})
        out = capsys.readouterr().out
        assert out.index("a.fcs") < out.index("b.fcs") < out.index("… and 1 more")
        assert "fine.fcs" not in out


class TestPrivacy:
    """No keyword's value is shown that is not on the keep-list, whichever reader stumbles over it."""

    KEYWORDS = ("$SRC", "$SMNO", "$OP", "$COM", "$FIL", "$INST", "PATIENT ID", "P1N", "P2S", "SAMPLE")
    TRIPPING = (
        "$TOT",
        "$NEXTDATA",
        "$BEGINDATA",
        "$PAR",
        "$P1B",
        "$P2R",
        "$DATATYPE",
        "$BYTEORD",
        "$MODE",
        "$TIMESTEP",
    )

    @pytest.mark.parametrize("form", [(), ("--json",)])
    def test_a_name_is_nowhere(self, made, capfd, form):
        told = dict.fromkeys(self.KEYWORDS, NAME)
        names = [made(fcs_bytes(ROWS, parameters(3), keywords=told), "plain.fcs").name]
        names.append(made(fcs_bytes(ROWS, parameters(3), keywords=told, order="big", late=1), "big.fcs").name)
        names.append(
            made(
                fcs_bytes(ROWS, parameters(3), keywords=told, delimiter="[", analysis=NAME.encode()),
                "odd.fcs",
            ).name
        )
        ended = command(capfd, "verify", *form, *names)
        assert ended.status == 1
        assert "plain.fcs" in ended.out
        assert not [word for word in NAME.split() if word in ended.out + ended.err]

    @pytest.mark.parametrize("key", TRIPPING)
    def test_what_trips_another_reader_is_not_quoted(self, made, key):
        """Tregflow may: these keywords are technical ones."""
        path = made(fcs_bytes(COUNTS, parameters(3, 16, 1024), datatype="I", keywords={key: f"7 {NAME}"}))
        for reader in READERS:
            answer = ask(reader, path, None)
            assert not [word for word in NAME.split() if word in str(answer) + answer.told]

    def test_what_a_reader_says_aloud_is_not_heard(self, made, capfd):
        path = made(fcs_bytes(ROWS, parameters(3)))
        (found,) = verify([asked(path)], readers=[doubles.reader(doubles.talking)])
        assert found.answers[0].error == "ValueError"
        told = json.dumps(document([found], {})) + str(found)
        assert not [word for word in NAME.split() if word in told + "".join(capfd.readouterr())]
