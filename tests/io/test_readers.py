"""The other readers as they are: what they read, what they must be told, and what their errors mean."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from doubles import NAME
from fcs_bytes import fcs_bytes, parameter, parameters

from tregflow.errors import FileError
from tregflow.io.readers import FCSPARSER, FLOWIO, READERS, NoEventsError, Reader, error_name, unpacked

ROWS = [[1.5, -2.25, 3e5], [4.0, 5.5, 6.125], [7.0, 8.0, 0.0]]
COUNTS = [[1, 2, 3], [100, 200, 255], [0, 7, 9]]

every_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)


@pytest.fixture
def written(tmp_path):
    """Write bytes to a file."""

    def path(raw: bytes) -> Path:
        (tmp_path / "tube.fcs").write_bytes(raw)
        return tmp_path / "tube.fcs"

    return path


def raised(reader: Reader, path: Path) -> Exception:
    with pytest.raises(Exception) as caught:
        reader.read(path, None, ())
    return caught.value


@every_reader
class TestReading:
    def test_values_names_stains_and_spillover(self, reader, written):
        spill = "2,C1-A,C3-A,1,0.25,0.125,1"
        channels = [parameter("C1-A", S="CD4"), parameter("C2-A"), parameter("C3-A")]
        found = reader.read(written(fcs_bytes(ROWS, channels, keywords={"$SPILLOVER": spill})), None, ())
        assert np.column_stack(found.columns).tolist() == ROWS
        assert found.n_events == 3
        assert found.names == ("C1-A", "C2-A", "C3-A")
        assert found.stains == ("CD4", None, None)
        assert list(found.spillover.values()) == [spill]

    @pytest.mark.parametrize("bits", [8, 16, 32])
    def test_integers_are_stored_ones_and_masked(self, reader, written, bits):
        found = reader.read(written(fcs_bytes(COUNTS, parameters(3, bits, 128), datatype="I")), None, ())
        assert np.column_stack(found.columns).tolist() == (np.array(COUNTS) & 127).tolist()

    def test_widths_may_be_mixed(self, reader, written):
        channels = [parameter("A", 8, 256), parameter("B", 16, 1024), parameter("C", 32, 2**18)]
        found = reader.read(written(fcs_bytes(COUNTS, channels, datatype="I")), None, ())
        assert np.column_stack(found.columns).tolist() == COUNTS

    def test_no_scaling_is_applied(self, reader, written):
        channels = [
            {**parameter("A", 16, 1024), "E": "4,1"},
            parameter("B", 16, 1024, G=8),
            parameter("Time", 16, 1024),
        ]
        raw = fcs_bytes(COUNTS, channels, datatype="I", keywords={"$TIMESTEP": "0.01"})
        assert np.column_stack(reader.read(written(raw), None, ()).columns).tolist() == COUNTS

    def test_no_events_are_no_events(self, reader, written):
        found = reader.read(written(fcs_bytes([], parameters(3))), None, ())
        assert (len(found.columns), found.n_events) == (3, 0)

    def test_the_data_set_that_is_meant(self, reader, written):
        found = reader.read(written(two_data_sets()), 2, ())
        assert np.column_stack(found.columns).tolist() == ROWS[:1]
        assert reader.read(written(two_data_sets()), 1, ()).n_events == 3

    def test_what_is_odd_is_not_printed(self, reader, written, capfd):
        raw = fcs_bytes(ROWS, parameters(3), keywords={"$SRC": NAME}, last_delimiter=False, analysis=b"/A/1/")
        reader.read(written(raw), None, ())
        assert capfd.readouterr() == ("", "")

    def test_its_version_is_known(self, reader):
        assert reader.version.split(".")[0].isdecimal()


def two_data_sets() -> bytes:
    def first(length: int) -> bytes:
        return fcs_bytes(ROWS, parameters(3), keywords={"$NEXTDATA": str(length).rjust(8)})

    return first(len(first(0))) + fcs_bytes(ROWS[:1], parameters(3))


class TestSwitches:
    """FlowIO reads some files only if told to overlook something."""

    @pytest.mark.parametrize(
        ("raw", "switches"),
        [
            (fcs_bytes(ROWS, parameters(3), late=1), ("ignore_offset_error",)),
            (fcs_bytes(ROWS, parameters(3), header=(1, 36)), ("ignore_offset_discrepancy",)),
            (fcs_bytes(ROWS, parameters(3), stated=(1, 36)), ("use_header_offsets",)),
        ],
    )
    def test_it_reads_what_it_refuses_untold(self, written, raw, switches):
        path = written(raw)
        assert FLOWIO.reason(raised(FLOWIO, path))
        assert switches in FLOWIO.ways
        assert np.column_stack(FLOWIO.read(path, None, switches).columns).tolist() == ROWS

    def test_the_least_is_tried_first(self):
        assert FLOWIO.ways[0] == ()
        assert sorted(FLOWIO.ways, key=len) == list(FLOWIO.ways)
        assert FCSPARSER.ways == ((),)


class TestReasons:
    """What is known of an error is told; what it quotes never is."""

    @pytest.mark.parametrize(
        ("reader", "raw", "kind"),
        [
            (FLOWIO, fcs_bytes(ROWS, parameters(3), late=1), "FCSParsingError"),
            (FLOWIO, fcs_bytes(ROWS, parameters(3), late=2), "FCSParsingError"),
            (FLOWIO, fcs_bytes(ROWS, parameters(3), late=500), "FCSParsingError"),
            (FLOWIO, fcs_bytes(ROWS, parameters(3), header=(1, 36)), "DataOffsetDiscrepancyError"),
            (FLOWIO, fcs_bytes(COUNTS, parameters(3, 24, 256), datatype="I"), "NoEventsError"),
            (FLOWIO, fcs_bytes(COUNTS, parameters(3, 16, "1024.0"), datatype="I"), "ValueError"),
            (FLOWIO, fcs_bytes(ROWS, parameters(3), keywords={"$PAR": 2}), "ValueError"),
            (FLOWIO, fcs_bytes(ROWS, parameters(3), keywords={"$DATATYPE": "A"}), "struct.error"),
            (FLOWIO, fcs_bytes(ROWS, parameters(3), keywords={"$MODE": "c"}), "NotImplementedError"),
            (FLOWIO, fcs_bytes(ROWS, parameters(3), delimiter="["), "error"),
            (FLOWIO, fcs_bytes(ROWS, parameters(3), keywords={"$NEXTDATA": 999}), "MultipleDataSetsError"),
            (FLOWIO, fcs_bytes(COUNTS, [*parameters(2, 16, 2**18), parameter("C", 16, 9)], datatype="I"), "OverflowError"),
            (FCSPARSER, fcs_bytes(ROWS, parameters(3), keywords={"$MODE": "C"}), "ParserFeatureNotImplementedError"),
            (FCSPARSER, fcs_bytes(ROWS, parameters(3), keywords={"$BYTEORD": "3,4,1,2"}), "ParserFeatureNotImplementedError"),
            (FCSPARSER, fcs_bytes(ROWS, parameters(3), keywords={"$DATATYPE": "A"}), "ParserFeatureNotImplementedError"),
            (FCSPARSER, fcs_bytes(ROWS, parameters(3), header=(99999, 99999)), "ValueError"),
            (FCSPARSER, b"FCS3.0" + b" " * 60, "ValueError"),
            (FCSPARSER, b"FCS3.0    " + b"   99999" * 6, "ValueError"),
            (FCSPARSER, fcs_bytes(COUNTS, [parameter("A", 8, 9), parameter("A", 16, 9), parameter("B", 8, 9)], datatype="I"), "ValueError"),
        ],
    )  # fmt: skip
    def test_errors_that_are_known(self, written, reader, raw, kind):
        error = raised(reader, written(raw))
        assert error_name(error).endswith(kind)
        assert reader.reason(error)

    @pytest.mark.parametrize(
        ("reader", "key"),
        [(reader, key) for reader in READERS for key in ("$TOT", "$PAR", "$DATATYPE")]
        + [(FLOWIO, "$P2R"), (FLOWIO, "$BEGINDATA"), (FCSPARSER, "$P2B"), (FCSPARSER, "$NEXTDATA")],
    )
    def test_a_keyword_that_is_not_found_is_named(self, written, reader, key):
        raw = fcs_bytes(ROWS, parameters(3), keywords={key: None})
        assert reader.reason(raised(reader, written(raw))) == f"it does not find {key}"

    def test_big_endian_files_and_numpy_2(self, written):
        error = raised(FCSPARSER, written(fcs_bytes(ROWS, parameters(3), order="big")))
        assert FCSPARSER.reason(error) == "it cannot read big-endian files under numpy 2"

    @every_reader
    @pytest.mark.parametrize(
        "key", ["$TOT", "$PAR", "$NEXTDATA", "$DATATYPE", "$BYTEORD", "$P1B", "$P1R", "$MODE"]
    )
    def test_a_name_in_the_wrong_place_is_not_quoted(self, written, reader, key):
        raw = fcs_bytes(COUNTS, parameters(3, 16, 1024), datatype="I", keywords={key: NAME})
        try:
            reader.read(written(raw), None, ())
        except Exception as error:  # noqa: BLE001 - whatever it is
            said = f"{error_name(error)} {reader.reason(error)}"
            assert NAME.split()[0] not in said

    def test_a_key_that_may_be_anybodys_is_not_named(self):
        for key in (NAME, "$SRC", "src", 7, ""):
            assert FLOWIO.reason(KeyError(key)) == "it does not find a keyword"
        assert FLOWIO.reason(KeyError()) == "it does not find a keyword"

    def test_what_is_not_known_has_no_reason(self):
        assert FLOWIO.reason(ZeroDivisionError(NAME)) == ""
        assert FLOWIO.reason(NoEventsError()) != ""


class TestUnpacked:
    def test_a_plain_file_is_itself(self, written):
        path = written(fcs_bytes(ROWS, parameters(3)))
        with unpacked(path) as plain:
            assert plain == path

    def test_a_packed_file_is_what_it_holds_and_leaves_nothing(self, written):
        raw = fcs_bytes(ROWS, parameters(3))
        with unpacked(written(gzip.compress(raw))) as plain:
            assert plain.read_bytes() == raw
        assert not plain.exists()
        assert not plain.parent.exists()

    def test_no_more_is_unpacked_than_tregflow_believes(self, written):
        path = written(gzip.compress(bytes(5_000_000)))
        with pytest.raises(FileError) as caught, unpacked(path):
            raise AssertionError
        assert caught.value.code == "E-PACKED"

    def test_a_packed_file_that_is_damaged_is_refused(self, written):
        path = written(gzip.compress(fcs_bytes(ROWS, parameters(3)))[:-20])
        with pytest.raises(FileError) as caught, unpacked(path):
            raise AssertionError
        assert caught.value.code == "E-PACKED"
