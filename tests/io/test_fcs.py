"""The reader against files whose every byte is known, and against every real file there is."""

from __future__ import annotations

import csv
import gzip
import math
import os
import struct
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fcs_bytes import fcs_bytes, parameter, parameters
from hypothesis import given
from hypothesis import strategies as st

from tregflow.errors import FileError
from tregflow.io.fcs import Scan, read_fcs, scan_fcs
from tregflow.io.fcs.spill import SpillError, parse_spillover
from tregflow.io.fcs.text import decimal, parse_text, whole
from tregflow.privacy import listed, shown
from tregflow.sample import Sample

ROWS = [[1.5, -2.25, 3e5], [4.0, 5.5, 6.125], [7.0, 8.0, 0.0], [-1e-3, 2.0, 1.0]]
COUNTS = [[1, 2, 3], [100, 200, 255], [0, 7, 9], [40, 50, 60]]

Read = Callable[..., Sample]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write bytes to a file and read it; keywords go to `read_fcs`."""

    def written(raw: bytes, **options: Any) -> Sample:
        path = tmp_path / "tube.fcs"
        path.write_bytes(raw)
        return read_fcs(path, **options)

    return written


@pytest.fixture
def refused(read: Read) -> Callable[..., str]:
    """Return the sentence that refuses bytes, after a look at its code and its file."""

    def sentence(raw: bytes, code: str, **options: Any) -> str:
        with pytest.raises(FileError) as caught:
            read(raw, **options)
        finding = caught.value.findings[0]
        assert (finding.code, finding.where) == (code, "tube.fcs"), str(caught.value)
        return finding.sentence

    return sentence


def codes(sample: Sample | Scan) -> list[str]:
    return [finding.code for finding in sample.findings]


def sentence(sample: Sample | Scan, code: str) -> str:
    return next(finding.sentence for finding in sample.findings if finding.code == code)


def integers(rows: list[list[int]], bits: int = 16, span: float | str = 1024, **more: Any) -> bytes:
    return fcs_bytes(rows, parameters(len(rows[0]), bits, span), datatype="I", **more)


# --- what is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["FCS2.0", "FCS3.0", "FCS3.1", "FCS3.2"])
@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("datatype", ["F", "D"])
def test_floats_of_every_version_and_order(read: Read, version: str, order: str, datatype: str) -> None:
    bits = {"F": 32, "D": 64}[datatype]
    sample = read(fcs_bytes(ROWS, parameters(3, bits), datatype=datatype, order=order, version=version))
    kind = np.float32 if datatype == "F" else np.float64
    assert sample.stored.dtype == kind
    np.testing.assert_array_equal(sample.stored, np.array(ROWS, kind))
    np.testing.assert_array_equal(sample.events, np.array(ROWS, kind).astype(float))
    assert (len(sample), sample.names, codes(sample)) == (4, ("C1-A", "C2-A", "C3-A"), [])


@pytest.mark.parametrize("bits", [8, 16, 24, 32, 40, 48, 56, 64])
@pytest.mark.parametrize("order", ["little", "big"])
def test_integers_of_every_width_and_order(read: Read, bits: int, order: str) -> None:
    top = 2**bits - 1
    rows = [[0, 1, top], [top - 1, 200, 2 ** (bits - 1)]]
    sample = read(integers(rows, bits, 2**bits, order=order))
    assert [
        [int(value) for value in row] for row in zip(*map(sample.stored_column, range(3)), strict=True)
    ] == rows
    assert [channel.mask for channel in sample.channels] == [None] * 3
    np.testing.assert_array_equal(sample.events, np.array(rows, float))


@pytest.mark.parametrize("order", ["little", "big"])
def test_any_mix_of_widths_and_types(read: Read, order: str) -> None:
    channels = [parameter("a", 8, 256), parameter("b", 24, 2**24), parameter("c", 64, 2**64)]
    channels += [parameter("d", 32, 4096, DATATYPE="F"), parameter("e", 64, 1, DATATYPE="D")]
    channels += [parameter("f", 16, 1024)]
    rows = [[255, 2**24 - 1, 2**64 - 1, -0.5, 1e300, 1023], [1, 2, 3, 4.5, 5.25, 6]]
    sample = read(fcs_bytes(rows, channels, datatype="I", order=order, version="FCS3.2"))
    assert sample.records.dtype.names == ("f0", "f1", "f2", "f3", "f4", "f5")
    for index in range(6):
        assert sample.stored_column(index).tolist() == [row[index] for row in rows]
    np.testing.assert_array_equal(sample.columns([5, 0]), [[1023, 6], [255, 1]])


def test_nan_and_infinity_are_read_without_a_warning(read: Read) -> None:
    plain = fcs_bytes(ROWS, parameters(3))
    signalling = struct.pack("<I", 0x7F800001)
    raw = plain[:BEGIN] + signalling + struct.pack("<2f", math.inf, math.nan) + plain[BEGIN + 12 :]
    sample = read(raw)
    np.testing.assert_array_equal(sample.events[0], [math.nan, math.inf, math.nan])
    np.testing.assert_array_equal(sample.stored[1:], np.array(ROWS[1:], np.float32))


def test_events_are_mapped_and_cannot_be_written(read: Read) -> None:
    sample = read(fcs_bytes(ROWS, parameters(3)))
    assert sample.records.shape == (4, 3)
    assert not sample.records.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        sample.records[0, 0] = 1


def test_a_tube_without_events_is_read(read: Read) -> None:
    assert len(read(fcs_bytes([], parameters(3)))) == 0
    sample = read(fcs_bytes([], parameters(3), header=(0, 0), stated=(0, 0)))
    assert sample.records.shape == (0, 3)
    assert sample.events.shape == (0, 3)


@pytest.mark.parametrize(
    ("span", "mask"),
    [
        *((1024, 1023), (1000, 1023), (262144, 262143), ("1024.0", 1023), (2**31, 2**31 - 1)),
        *((2**32, None), (2**40, None), (0, None), (-5, None), ("4294967295", None)),
    ],
)
def test_junk_above_the_range_is_masked(read: Read, span: float | str, mask: int | None) -> None:
    rows = [[2**32 - 1], [0xABCD1234]]
    sample = read(integers(rows, 32, span))
    assert sample.channels[0].mask == mask
    wanted = [row[0] & (2**32 - 1 if mask is None else mask) for row in rows]
    assert sample.stored_column(0).tolist() == wanted
    np.testing.assert_array_equal(sample.columns([0])[0], wanted)


def test_values_beyond_the_range_are_never_clipped(read: Read) -> None:
    assert read(integers([[1010]], 16, 1000)).stored[0, 0] == 1010
    assert read(fcs_bytes([[3e5], [-5000.0]], [parameter("FITC-A", 32, 1024)])).stored.ravel().tolist() == [
        3e5,
        -5000,
    ]


# --- scaling --------------------------------------------------------------------------------------


def one_channel(*values: float, datatype: str = "I", name: str = "FL1-H", **letters: Any) -> bytes:
    bits = 16 if datatype == "I" else 32
    return fcs_bytes(
        [[value] for value in values], [parameter(name, bits, 1024, **letters)], datatype=datatype
    )


def test_logarithmic_integers_are_linearised(read: Read) -> None:
    sample = read(one_channel(0, 256, 512, 1023, E="4,1"))
    np.testing.assert_allclose(sample.events[:, 0], [1, 10, 100, 9910.4586], rtol=1e-8)
    assert (sample.channels[0].decades, sample.channels[0].offset) == (4, 1)
    assert "FL1-H" in sentence(sample, "N-SCALING")


@pytest.mark.parametrize(
    ("written", "value"), [("4,0.1", 10), ("4,0", 100), (" 4.0 , 0.00 ", 100), ("4,1e0", 100)]
)
def test_offset_of_a_logarithmic_amplifier(read: Read, written: str, value: float) -> None:
    np.testing.assert_allclose(read(one_channel(512, E=written)).events, [[value]])


def test_logarithm_on_floats_is_applied_only_when_asked_for(read: Read) -> None:
    raw = one_channel(512.0, datatype="F", E="4,1")
    left = read(raw)
    assert (left.events[0, 0], left.channels[0].decades, left.channels[0].stated_decades) == (512, 0, 4)
    assert "not applied" in sentence(left, "N-SCALING")
    assert read(raw, log_on_floats=True).events[0, 0] == pytest.approx(100)


def test_gain_is_divided_out_unless_ignored(read: Read) -> None:
    raw = one_channel(100, G="8")
    applied, ignored = read(raw), read(raw, gain="ignore")
    assert (applied.events[0, 0], ignored.events[0, 0]) == (12.5, 100)
    assert (applied.channels[0].gain, ignored.channels[0].gain) == (8, 1)
    assert applied.channels[0].stated_gain == ignored.channels[0].stated_gain == 8
    assert "divided out of FL1-H" in sentence(applied, "N-SCALING")
    assert "not applied" in sentence(ignored, "N-SCALING")


@pytest.mark.parametrize(
    "letters", [{"G": 0}, {"G": "none"}, {"G": -2}, {"G": 8, "name": "Time"}, {"G": 8, "name": "HDR-T"}]
)
def test_gain_that_means_none(read: Read, letters: dict[str, Any]) -> None:
    assert read(one_channel(100, **letters)).events[0, 0] == 100


def test_gain_behind_a_logarithmic_amplifier_is_not_applied(read: Read) -> None:
    assert read(one_channel(512, E="4,1", G=10)).events[0, 0] == pytest.approx(100)


@pytest.mark.parametrize("written", ["4", "4,1", "x,y", "-4,1", "nan,1", "99,1", ""])
def test_odd_amplifiers_on_floats_do_no_harm(read: Read, written: str) -> None:
    assert read(one_channel(512.0, datatype="F", E=written or None)).events[0, 0] == 512


@pytest.mark.parametrize("written", ["x,y", "-4,1", "nan,1", "99,1", "4,-1", "four"])
def test_odd_amplifiers_on_integers_refuse(refused: Callable[..., str], written: str) -> None:
    assert "$P1E is" in refused(one_channel(512, E=written), "E-KEYWORD")


def test_logarithm_without_a_range_refuses(refused: Callable[..., str]) -> None:
    raw = fcs_bytes([[5]], [parameter("FL1", 16, 0, E="4,1")], datatype="I")
    assert "$P1R above 0" in refused(raw, "E-KEYWORD")


# --- channels and keywords ------------------------------------------------------------------------


def test_channels_carry_what_the_file_says(read: Read) -> None:
    sample = read(fcs_bytes([[1.0]], [parameter(" FITC-A ", 32, 262144, S=" CD3 ", V="450.5")]))
    channel = sample.channels[0]
    assert (channel.name, channel.stain, channel.voltage, channel.range) == ("FITC-A", "CD3", "450.5", 262144)
    assert sample.stains == ("CD3",)


def test_floats_need_no_width_and_no_range(read: Read) -> None:
    raw = fcs_bytes(ROWS, [parameter("a"), {"N": "b", "E": "0,0"}, parameter("c", 32, "NA")])
    sample = read(raw)
    assert codes(sample) == ["N-KEYWORD"] * 3
    assert any("$P3R is no number" in finding.sentence for finding in sample.findings)
    assert "$P2B missing" in sentence(sample, "N-KEYWORD")
    assert math.isnan(sample.channels[1].range)
    assert math.isnan(sample.channels[2].range)


def test_missing_and_equal_names_are_flagged(read: Read) -> None:
    sample = read(fcs_bytes(ROWS, [parameter("PE-A"), parameter("PE-A"), {"B": 32, "R": 1, "E": "0,0"}]))
    assert sample.names == ("PE-A", "PE-A", "P3")
    said = [finding.sentence for finding in sample.findings if finding.code == "F-NAMES"]
    assert "$P3N missing" in said[0]
    assert "two channels are called PE-A" in said[1]


def test_keys_are_folded_stripped_and_keep_their_dollar(read: Read) -> None:
    more = [("P1N", "private"), ("\n  tube name ", "x"), ("$com", "cost$5")]
    sample = read(fcs_bytes(ROWS, parameters(3), more=more))
    assert sample.names[0] == "C1-A"
    assert sample.keywords["P1N"] == "private"
    assert (sample.keywords["TUBE NAME"], sample.keywords["$COM"]) == ("x", "cost$5")
    with pytest.raises(TypeError):
        sample.keywords["X"] = "y"  # type: ignore[index]


@pytest.mark.parametrize(
    "delimiter", ["/", "\\", "|", "!", "\f", "\r", "*", "^", "+", "[", "?", ".", "\x1e", "\x01", "~", "#"]
)
def test_any_delimiter_even_doubled(read: Read, delimiter: str) -> None:
    words = {"$SRC": f"a{delimiter}b{delimiter}{delimiter}c", "X": "y"}
    sample = read(fcs_bytes(ROWS, parameters(3), delimiter=delimiter, keywords=words))
    assert (sample.keywords["$SRC"], sample.keywords["X"]) == (words["$SRC"], "y")
    assert "N-TEXT" not in codes(sample)


def test_empty_values_are_understood(read: Read) -> None:
    words = {"$SRC": "", "$OP": "", "$CYT": "X"}
    sample = read(fcs_bytes(ROWS, parameters(3), more=[*words.items(), ("$FIL", "a"), ("LAST", "")]))
    assert {key: sample.keywords[key] for key in [*words, "LAST"]} == {**words, "LAST": ""}
    assert "empty values" in sentence(sample, "N-TEXT")


def test_text_that_is_not_closed_or_padded(read: Read) -> None:
    sample = read(fcs_bytes(ROWS, parameters(3), more=[("X", "end")], last_delimiter=False))
    assert sample.keywords["X"] == "end"
    assert "does not end with its delimiter" in sentence(sample, "N-TEXT")
    sample = read(fcs_bytes(ROWS, parameters(3), more=[("X", "end"), ("   \n  ",)], last_delimiter=False))  # type: ignore[list-item]
    assert (sample.keywords["X"], codes(sample)) == ("end", [])


def test_an_odd_number_of_words_is_noted(read: Read) -> None:
    sample = read(fcs_bytes(ROWS, parameters(3), more=[("X", "1"), ("lonely",)], last_delimiter=False))  # type: ignore[list-item]
    assert "odd number of words" in " ".join(finding.sentence for finding in sample.findings)
    assert "LONELY" not in sample.keywords


def test_utf_8_and_latin_1_and_nul(read: Read) -> None:
    sample = read(
        fcs_bytes(ROWS, [parameter("a", S="β-cat"), parameter("b"), parameter("c")], keywords={"X": "a\0b"})
    )
    assert (sample.stains[0], sample.keywords["X"], codes(sample)) == ("β-cat", "a\0b", [])
    sample = read(fcs_bytes(ROWS, parameters(3), keywords={"$OP": "Müller", "X": "é"}, encoding="latin-1"))
    assert sample.keywords["$OP"] == "Müller"
    note = sentence(sample, "N-ENCODING")
    assert "$OP and 1 private keyword" in note
    assert "Müller" not in note


def test_a_key_twice(read: Read, refused: Callable[..., str]) -> None:
    sample = read(fcs_bytes(ROWS, parameters(3), more=[("$SRC", "Jane"), ("$SRC", "Joan"), ("$PAR", "3")]))
    assert sample.keywords["$SRC"] == "Jane"
    assert sentence(sample, "N-TEXT") == "TEXT gives $SRC twice, differently; the first one was kept"
    said = refused(fcs_bytes(ROWS, parameters(3), more=[("$P2N", "CD4")]), "E-TEXT")
    assert '$P2N twice, first "C2-A"' in said


def test_supplemental_text_is_read_with_its_own_delimiter(read: Read) -> None:
    sample = read(fcs_bytes(ROWS, parameters(3), supplement="|$P1S|CD25|$P2N|CD4|"))
    assert (sample.stains[0], sample.names[1]) == ("CD25", "C2-A")
    assert "$P2N" in sentence(sample, "F-SUPPLEMENT")


@pytest.mark.parametrize("span", [(99_000, 99_999), (58, 300), (0, 0), (7, 7)])
def test_supplemental_text_that_is_none(read: Read, span: tuple[int, int]) -> None:
    words = {"$BEGINSTEXT": f"{span[0]:012d}", "$ENDSTEXT": f"{span[1]:012d}"}
    sample = read(fcs_bytes(ROWS, parameters(3), keywords=words))
    assert len(sample) == 4
    assert codes(sample) == (["N-TEXT"] if span[0] == 99_000 else [])


# --- spillover ------------------------------------------------------------------------------------

MATRIX = "2,C1-A,C2-A,1,0.25,0.1,1"


@pytest.mark.parametrize("key", ["$SPILLOVER", "SPILL", "$SPILL", "SPILLOVER", "spill"])
def test_spillover_keywords(read: Read, key: str) -> None:
    written = MATRIX.replace(",", " ,\n") + ","
    spillover = read(fcs_bytes(ROWS, parameters(3), keywords={key: written})).spillover
    assert spillover is not None
    assert (spillover.names, spillover.source) == (("C1-A", "C2-A"), key.upper())
    np.testing.assert_array_equal(spillover.matrix, [[1, 0.25], [0.1, 1]])
    assert not spillover.matrix.flags.writeable


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2,a,b,1,0,0", "2 names and 2 x 2 = 4 values, but 5 words follow"),
        ("2,a,b,1,0,0,1,7", "but 7 words follow"),
        ("2,a,b,1,x,0,1", '"x" where a number should be'),
        ("2,a,b,1,nan,0,1", '"nan" where a number should be'),
        ("two,a,b,1,0,0,1", 'begins with "two"'),
        ("999999999999,a,b", "but 2 words follow"),
    ],
)
def test_malformed_spillover_is_noted_and_left_out(read: Read, written: str, said: str) -> None:
    sample = read(fcs_bytes(ROWS, parameters(3), keywords={"SPILL": written}))
    assert sample.spillover is None
    note = sentence(sample, "N-SPILL")
    assert said in note
    assert "compensation: file refuses this file" in note
    with pytest.raises(SpillError, match="SPILL"):
        parse_spillover(written, "SPILL")


def test_two_spillover_keywords(read: Read) -> None:
    same = read(
        fcs_bytes(
            ROWS, parameters(3), keywords={"SPILL": MATRIX, "$SPILLOVER": MATRIX.replace("0.25", "0.2500000")}
        )
    )
    assert same.spillover is not None
    assert same.spillover.source == "$SPILLOVER"
    assert "same matrix" in sentence(same, "N-SPILL")
    other = read(
        fcs_bytes(ROWS, parameters(3), keywords={"SPILL": MATRIX, "$SPILLOVER": "2,C1-A,C2-A,1,0,0,1"})
    )
    assert other.spillover is None
    assert "different matrices" in sentence(other, "N-SPILL")


@pytest.mark.parametrize(
    ("key", "written"), [("$COMP", "2,0,0,0,0"), ("$COMP", "2,1,0,0,1"), ("$DFC1TO2", "0.0")]
)
def test_nothing_subtracted_says_nothing(read: Read, key: str, written: str) -> None:
    sample = read(fcs_bytes(ROWS, parameters(3), keywords={key: written}))
    assert (sample.spillover, codes(sample)) == (None, [])


@pytest.mark.parametrize("written", ["3,0.0,-0.1,0.0,-40.0,0.0,0.0,0.0,0.0,0.0", "2,0,12.5,0,0", "2,0,x,0,0"])
def test_a_matrix_of_what_was_subtracted_is_no_spillover(read: Read, written: str) -> None:
    sample = read(fcs_bytes(ROWS, parameters(3), keywords={"$COMP": written}))
    assert sample.spillover is None
    assert "$COMP" in sentence(sample, "N-SPILL")


def test_what_the_instrument_subtracted_is_no_matrix(read: Read) -> None:
    sample = read(fcs_bytes(ROWS, parameters(3), keywords={"$DFC1TO2": "12.5", "$DFC2TO1": "0.0"}))
    assert sample.spillover is None
    assert "$DFCiTOj (1 of 2 not 0)" in sentence(sample, "N-SPILL")
    both = read(fcs_bytes(ROWS, parameters(3), keywords={"$DFC1TO2": "12.5", "SPILL": "2,C1-A"}))
    assert codes(both) == ["N-SPILL", "N-SPILL"]


# --- packed files, and events that do not look like any ---------------------------------------------


def test_a_packed_file_is_what_it_packs(read: Read) -> None:
    sample = read(gzip.compress(PLAIN))
    assert truth(sample)
    assert f"hold {len(PLAIN):,}" in sentence(sample, "N-PACKED")
    assert truth(read(gzip.compress(PLAIN[:300]) + gzip.compress(PLAIN[300:])))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (gzip.compress(b"FCS3.1" * 99, mtime=0)[:-9], "ends before"),
        (
            gzip.compress(b"FCS3.1" * 99, mtime=0)[:12] + b"xx" + gzip.compress(b"FCS3.1" * 99, mtime=0)[14:],
            "is damaged",
        ),
        (gzip.compress(b"FCS3.1", mtime=0) + b"junk", "is damaged"),
        (b"\x1f\x8b", "ends before"),
        (gzip.compress(bytes(10**7), mtime=0), "unpacks to more than"),
    ],
)
def test_what_cannot_be_unpacked(refused: Callable[..., str], raw: bytes, said: str) -> None:
    assert said in refused(raw, "E-PACKED")


def test_what_was_packed_twice_and_what_packs_nothing(refused: Callable[..., str]) -> None:
    assert "packed with gzip; unpack it first" in refused(gzip.compress(gzip.compress(PLAIN)), "E-NOT-FCS")
    assert "empty" in refused(gzip.compress(b""), "E-NOT-FCS")


@pytest.mark.parametrize("zeros", [1, 5, 200_000])
def test_zeros_at_the_end_are_counted_and_flagged(read: Read, zeros: int) -> None:
    full = [[1.0, 0.0], [0.0, 5.0], [0.0, 2.0]]
    assert codes(read(fcs_bytes(full, parameters(2)))) == []
    raw = fcs_bytes(
        full, parameters(2), keywords={"$TOT": f"{3 + zeros:9d}"}, late=8 * zeros, behind=bytes(8 * zeros)
    )
    assert f"the last {zeros:,} of {3 + zeros:,} events" in sentence(read(raw), "F-ZEROS")


def test_zeros_at_the_end_of_a_file_that_holds_zeros_throughout(read: Read) -> None:
    sparse = [[0.0, 0.0], [1.0, 0.0]] * 50
    assert codes(read(fcs_bytes([*sparse, [0.0, 0.0]], parameters(2)))) == []
    assert codes(read(fcs_bytes([*sparse, *[[0.0, 0.0]] * 9], parameters(2)))) == []
    assert codes(read(fcs_bytes([*sparse, *[[0.0, 0.0]] * 40], parameters(2)))) == ["F-ZEROS"]


def test_events_of_zeros_alone(read: Read) -> None:
    assert "the last 2 of 2 events" in sentence(read(integers([[0, 0], [0, 0]])), "F-ZEROS")


@pytest.mark.parametrize("value", [2e12, -3e30, 1e-31, -1e-38])
def test_magnitudes_that_nothing_measures_are_flagged(read: Read, value: float) -> None:
    rows = [[1.0, 5.0] for _ in range(200)]
    rows[7][1] = rows[70][1] = value
    assert codes(read(fcs_bytes(rows, parameters(2)))) == []
    rows[99][1] = value
    sample = read(fcs_bytes(rows, parameters(2)))
    assert "2 % of the values of C2-A" in sentence(sample, "F-MAGNITUDE")


def test_bytes_in_the_wrong_order_are_flagged(read: Read) -> None:
    rows = [[value * 1.1, value * 17.3] for value in range(1, 300)]
    swapped = {"$BYTEORD": "4,3,2,1"}
    assert "byte order" in sentence(read(fcs_bytes(rows, parameters(2), keywords=swapped)), "F-MAGNITUDE")
    counts = [[value, 3 * value] for value in range(1, 300)]
    assert codes(read(integers(counts))) == []
    assert "$BYTEORD" in sentence(read(integers(counts, keywords=swapped)), "F-MAGNITUDE")


def test_junk_above_the_range_alone_is_no_wrong_order(read: Read) -> None:
    sample = read(integers([[value | 0xF400, value] for value in range(1, 300)]))
    assert codes(sample) == ["N-MASKED"]
    assert "100 % of the 299 events (C1-A)" in sentence(sample, "N-MASKED")
    assert codes(read(integers([[value % 16 | 0x80] for value in range(1, 300)], 8, 16))) == ["N-MASKED"]


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("value", [1024, 3175])
def test_one_event_beyond_its_range_is_enough(read: Read, bits: int, value: int) -> None:
    rows = [[number % 1000, 5] for number in range(20_000)]
    assert codes(read(integers(rows, bits))) == []
    rows[-3][0] = value
    sample = read(integers(rows, bits))
    assert "in up to 0.005 % of the 20,000 events" in sentence(sample, "F-MAGNITUDE")
    assert sample.stored[-3, 0] == value & 1023


def test_negative_integers_are_no_tag(read: Read) -> None:
    rows = [[2**32 - number, 7] for number in range(1, 50)]
    assert codes(read(integers(rows, 32, 262144))) == ["F-MAGNITUDE"]


def test_time_may_run_beyond_its_range(read: Read) -> None:
    channels = [parameter("FL1-A", 32, 2**18), parameter("Time", 32, 11209599)]
    rows = [[number, 40_000_000 * number % 2**32] for number in range(1, 200)]
    assert codes(read(fcs_bytes(rows, channels, datatype="I"))) == ["N-MASKED"]
    channels = [parameter("FL1-A", 16, 1024), parameter("Time", 16, 2**32)]
    assert codes(read(fcs_bytes([[1, 2], [3, 4]], channels, datatype="I"))) == []
    epoch = fcs_bytes(
        [[1.0, 1.7e18], [2.0, 1.8e18]], [parameter("a", 64), parameter("Time", 64)], datatype="D"
    )
    assert codes(read(epoch)) == []


def test_ranges_that_integers_cannot_have(read: Read) -> None:
    assert "$P1R is 1048576, but 16 bits hold at most 65,536" in sentence(
        read(integers(COUNTS, 16, 2**20)), "F-RANGE"
    )
    assert "not above 1" in sentence(read(integers(COUNTS, 16, 0)), "F-RANGE")


@pytest.mark.parametrize("last", ["Groß", "10 €", "CD4–CD8", "two\r\nlines", "tab\there"])
def test_a_last_value_that_is_text_is_no_sign_of_lost_bytes(read: Read, last: str) -> None:
    sample = read(fcs_bytes(ROWS, parameters(3), more=[("X", last)], last_delimiter=False))
    assert (sample.keywords["X"], codes(sample)) == (last, ["N-TEXT"])


@pytest.mark.parametrize(
    "behind",
    [b"0000A3F1", b"00043521", b"0000a3f1", b"    A3F1", b"<signature>x</signature>00000000", b"junk"],
)
def test_checksums_and_footers_are_no_sign_of_lost_bytes(read: Read, behind: bytes) -> None:
    assert codes(read(fcs_bytes(ROWS, parameters(3), behind=behind))) == []


@pytest.mark.parametrize("lost", [1, 2, 6])
def test_bytes_lost_from_text_show_in_what_ends_the_file(read: Read, lost: int) -> None:
    raw = fcs_bytes(ROWS, parameters(3), more=[("X", "filler filler"), ("Y", "z")])
    at = raw.index(b"filler") + 1
    assert "F-SHIFT" in codes(read(raw[:at] + raw[at + lost :]))
    assert "F-SHIFT" in codes(read(raw[:at] + b"x" * lost + raw[at:]))


@pytest.mark.parametrize("key", ["$TOT", "$PAR", "$NEXTDATA", "$BYTEORD", "SPILL"])
def test_numbers_of_thousands_of_digits(read: Read, key: str) -> None:
    raw = fcs_bytes(ROWS, parameters(3), keywords={key: "0" * 5000 + "3"})
    try:
        said = codes(read(raw))
    except FileError as problem:
        said = [problem.code]
    assert set(said) & {"E-KEYWORD", "E-LAYOUT", "F-TOT", "N-DATASET", "N-SPILL"}


@pytest.mark.parametrize("private", ["TUBE NAME", "note/with one"])
def test_an_empty_value_does_not_swallow_the_keyword_behind_it(read: Read, private: str) -> None:
    more = [
        (private.replace("/", "//"), ""),
        ("$P3S", "CD3//CD19"),
        ("X", ""),
        ("$SPILLOVER", MATRIX),
        ("W", ""),
    ]
    sample = read(fcs_bytes(ROWS, parameters(3), more=more))
    assert sample.stains == ("", "", "CD3/CD19")
    assert sample.spillover is not None
    assert sample.keywords[private.upper()] == ""
    assert "empty values" in sentence(sample, "N-TEXT")


def test_a_key_with_a_delimiter_inside_is_noted(read: Read) -> None:
    sample = read(fcs_bytes(ROWS, parameters(3), more=[("Comments", ""), ("Row", "2"), ("Z", "1")]))
    assert "a delimiter inside" in sentence(sample, "N-TEXT")


def test_one_value_that_is_the_name_of_a_keyword_does_no_harm(
    read: Read, refused: Callable[..., str]
) -> None:
    sample = read(fcs_bytes(ROWS, parameters(3), keywords={"$COM": "$SMNO", "$OP": "x"}))
    assert (truth(sample), codes(sample)) == (True, [])
    more = [("CREATOR", "$CYT"), ("X", "$FIL"), ("y", "z")]
    assert "a delimiter is missing" in refused(fcs_bytes(ROWS, parameters(3), more=more), "E-TEXT")


def test_files_of_2_0_may_leave_the_total_out(read: Read) -> None:
    sample = read(fcs_bytes(ROWS, parameters(3), keywords={"$TOT": None}, version="FCS2.0"))
    assert truth(sample)
    assert "as FCS 2.0 allows; DATA holds 4 events" in sentence(sample, "N-KEYWORD")


# --- where the events are -------------------------------------------------------------------------


def truth(sample: Sample) -> bool:
    return bool(np.array_equal(sample.stored, np.array(ROWS, np.float32)))


def begin_of(raw: bytes) -> int:
    """Return where DATA begins in a file of `ROWS`."""
    return raw.index(struct.pack("<3f", *ROWS[0]))


PLAIN = fcs_bytes(ROWS, parameters(3))
BEGIN, LAST = begin_of(PLAIN), begin_of(PLAIN) + 47


def test_data_end_one_too_high(read: Read) -> None:
    for behind in (b"00000000", b""):
        sample = read(fcs_bytes(ROWS, parameters(3), late=1, behind=behind))
        assert truth(sample)
        assert "one byte too high; 4 events of 12 bytes prove it" in sentence(sample, "N-OFFSETS")


def test_offsets_in_text_alone_as_in_large_files(read: Read) -> None:
    for header in [(0, 0), ("", ""), (0, -1), (99999999, 99999999), (BEGIN, 0), (BEGIN, 99999999)]:
        sample = read(fcs_bytes(ROWS, parameters(3), header=header))
        assert truth(sample)
        assert set(codes(sample)) <= {"N-OFFSETS"}


def test_offsets_in_header_alone(read: Read) -> None:
    for stated in [(0, 0), (BEGIN, BEGIN), ("x" * 12, "y" * 12)]:
        sample = read(fcs_bytes(ROWS, parameters(3), stated=stated))
        assert truth(sample)
        assert codes(sample) == ["N-OFFSETS"]
    assert truth(read(fcs_bytes(ROWS, parameters(3), header=(BEGIN, 0), stated=(0, 0))))
    assert truth(read(fcs_bytes(ROWS, parameters(3), header=(BEGIN, BEGIN), stated=(BEGIN, BEGIN))))


@pytest.mark.parametrize("wrong", [(BEGIN - 20, LAST), (BEGIN, LAST + 100), (70, 90), (BEGIN, BEGIN - 5)])
def test_offsets_that_differ_are_flagged_and_the_fitting_ones_taken(
    read: Read, wrong: tuple[int, int]
) -> None:
    for place in ("header", "stated"):
        sample = read(fcs_bytes(ROWS, parameters(3), **{place: wrong}))
        assert truth(sample)
        assert f"({wrong[0]}-{wrong[1]})" in sentence(sample, "F-OFFSETS")
        assert f"({BEGIN}-{LAST})" in sentence(sample, "F-OFFSETS")


def test_offsets_that_both_fit_are_settled_by_what_lies_before(
    read: Read, refused: Callable[..., str]
) -> None:
    late = (BEGIN + 4, LAST + 4)
    for place in ("header", "stated"):
        assert truth(read(fcs_bytes(ROWS, parameters(3), **{place: late})))
    zeros = [[0.0, 0.0, 0.0]] * 4
    said = refused(fcs_bytes(zeros, parameters(3), header=late), "E-OFFSETS")
    assert f"({BEGIN}-{LAST})" in said
    assert f"({late[0]}-{late[1]})" in said


def test_both_offsets_shifted_leave_a_gap_that_is_flagged(read: Read) -> None:
    late = (BEGIN + 4, LAST + 4)
    sample = read(fcs_bytes(ROWS, parameters(3), header=late, stated=late))
    assert "columns may have rotated" in sentence(sample, "F-GAP")


@pytest.mark.parametrize("edit", ["add", "lose"])
def test_a_byte_added_or_lost_in_text_is_flagged(read: Read, edit: str) -> None:
    raw = fcs_bytes([[1.1, 2.2, 3.3]], parameters(3), keywords={"X": "something"})
    middle = raw.index(b"something") + 4
    changed = raw[:middle] + b"!" + raw[middle:] if edit == "add" else raw[:middle] + raw[middle + 1 :]
    sample = read(changed)
    assert sample.stored[0, 0] != np.float32(1.1)
    assert "bytes may be lost or added" in sentence(sample, "F-SHIFT")


def test_other_segments_and_fill_are_no_gap(read: Read) -> None:
    sample = read(fcs_bytes(ROWS, parameters(3), gap=b" " * 100 + b"\0\r\n"))
    assert (truth(sample), codes(sample)) == (True, [])
    here = len(fcs_bytes(ROWS, parameters(3), before=b" " * 16)) - 8 - 48
    other = f"{here:8d}{here + 9:8d}".encode()
    sample = read(fcs_bytes(ROWS, parameters(3), before=other, gap=b"otherstuff"))
    assert (truth(sample), codes(sample)) == (True, [])


def test_the_event_count_is_compared_with_data(read: Read, refused: Callable[..., str]) -> None:
    short = read(fcs_bytes(ROWS, parameters(3), keywords={"$TOT": 3}))
    assert truth(short)
    assert '$TOT is "3", but DATA holds 4 events of 12 bytes' in sentence(short, "F-TOT")
    for missing in (None, "many"):
        sample = read(fcs_bytes(ROWS, parameters(3), keywords={"$TOT": missing}))
        assert truth(sample)
        assert codes(sample) == ["F-TOT"]
    assert "$TOT is missing" in sentence(
        read(fcs_bytes(ROWS, parameters(3), keywords={"$TOT": None})), "F-TOT"
    )
    said = refused(fcs_bytes(ROWS, parameters(3), keywords={"$TOT": 5}, behind=b" " * 99), "E-OFFSETS")
    assert "5 events of 12 bytes, 60 in all" in said
    assert "48 bytes" in said
    assert "negative" in refused(fcs_bytes(ROWS, parameters(3), keywords={"$TOT": -4}), "E-KEYWORD")


def test_padding_behind_the_events_is_flagged(read: Read) -> None:
    sample = read(fcs_bytes(ROWS, parameters(3), late=5))
    assert truth(sample)
    said = sentence(sample, "F-OFFSETS")
    assert "give 53 bytes to DATA" in said
    assert "4 events of 12 bytes need 48" in said


def test_events_announced_as_none_while_bytes_follow(refused: Callable[..., str]) -> None:
    said = refused(fcs_bytes(ROWS, parameters(3), keywords={"$TOT": 0}), "E-OFFSETS")
    assert "still being written?" in said
    said = refused(
        fcs_bytes(ROWS, parameters(3), keywords={"$TOT": 0}, header=(0, 0), stated=(0, 0)), "E-OFFSETS"
    )
    assert "bytes follow TEXT" in said


@pytest.mark.parametrize("lost", [1, 30, 48])
def test_a_cut_file_says_how_much_is_missing(refused: Callable[..., str], lost: int) -> None:
    raw = fcs_bytes(ROWS, parameters(3), behind=b"")
    assert f"{lost} of 48 bytes of DATA are missing" in refused(raw[:-lost], "E-TRUNCATED")


def test_a_cut_text_and_a_cut_header(refused: Callable[..., str]) -> None:
    assert "TEXT ends at byte" in refused(PLAIN[:200], "E-TRUNCATED")
    assert "inside its HEADER" in refused(PLAIN[:40], "E-TRUNCATED")


def test_a_total_cut_by_the_end_of_text_is_not_believed(refused: Callable[..., str]) -> None:
    words = {"$TOT": None}
    raw = fcs_bytes(ROWS, parameters(3), keywords=words, more=[("$TOT", "2")], last_delimiter=False)
    assert "$TOT announces 2 events" in refused(raw, "E-OFFSETS")


@pytest.mark.parametrize(
    ("offsets", "said"),
    [
        ((60, 107), "overlap TEXT"),
        ((BEGIN + 10, BEGIN), "0 bytes"),
        ((10, 57), "overlap HEADER"),
        ((BEGIN - 30, BEGIN + 17), "overlap TEXT"),
    ],
)
def test_impossible_offsets_refuse(refused: Callable[..., str], offsets: tuple[int, int], said: str) -> None:
    assert said in refused(fcs_bytes(ROWS, parameters(3), header=offsets, stated=offsets), "E-OFFSETS")


def test_segments_that_overlap_the_events_refuse(refused: Callable[..., str]) -> None:
    words = {"$BEGINSTEXT": f"{BEGIN + 4:012d}", "$ENDSTEXT": f"{BEGIN + 20:012d}"}
    assert "supplemental TEXT" in refused(fcs_bytes(ROWS, parameters(3), keywords=words), "E-OFFSETS")
    raw = bytearray(PLAIN)
    raw[42:58] = f"{BEGIN:8d}{BEGIN + 10:8d}".encode()
    assert "overlap ANALYSIS" in refused(bytes(raw), "E-OFFSETS")


def test_no_offsets_at_all_refuse(refused: Callable[..., str]) -> None:
    said = refused(fcs_bytes(ROWS, parameters(3), header=(0, 0), stated=(0, 0)), "E-OFFSETS")
    assert "neither HEADER nor TEXT" in said


@pytest.mark.parametrize("total", [10**9, 10**12, 10**17])
def test_huge_claims_are_refused_before_memory_is_taken(refused: Callable[..., str], total: int) -> None:
    last = BEGIN + total * 12 - 1
    raw = fcs_bytes(ROWS, parameters(3), keywords={"$TOT": total}, stated=(BEGIN, min(last, 10**11)))
    assert refused(raw, "E-OFFSETS")
    assert "10,000" in refused(fcs_bytes(ROWS, parameters(3), keywords={"$PAR": total}), "E-KEYWORD")


def test_analysis_offsets_without_meaning_are_noted(read: Read) -> None:
    raw = bytearray(PLAIN)
    raw[42:58] = b"   what      ever"[:16]
    sample = read(bytes(raw))
    assert truth(sample)
    assert "ANALYSIS" in sentence(sample, "N-OFFSETS")
    raw[42:58] = b" " * 16
    assert codes(read(bytes(raw))) == []


def test_bytes_behind_the_events_do_not_matter(read: Read) -> None:
    for behind in (b"", b"\0" * 500, b"00012345" + b"junk" * 9):
        assert codes(read(fcs_bytes(ROWS, parameters(3), behind=behind))) == []
    assert truth(read(fcs_bytes(ROWS, parameters(3), analysis=b"/a/b/")))


# --- several data sets ----------------------------------------------------------------------------


def chained(*sets: bytes) -> bytes:
    """Return data sets that state the next one's place in a ``$NEXTDATA`` of four digits."""
    linked = [raw.replace(b"$NEXTDATA/0000/", b"$NEXTDATA/%04d/" % len(raw)) for raw in sets[:-1]]
    return b"".join([*linked, sets[-1]])


def one_of(value: float) -> bytes:
    return fcs_bytes([[value]], parameters(1), keywords={"$NEXTDATA": "0000"})


def test_a_data_set_is_chosen_by_number(read: Read, refused: Callable[..., str]) -> None:
    raw = chained(one_of(1.0), one_of(2.0), one_of(3.0))
    assert "3 data sets" in refused(raw, "E-DATASET")
    for number in (1, 2, 3):
        sample = read(raw, data_set=number)
        assert sample.stored[0, 0] == number
        assert f"data set {number} was read" in sentence(sample, "N-DATASET")
    for number in (0, 4, -1):
        assert "holds 3 data sets" in refused(raw, "E-DATASET", data_set=number)
    assert read(PLAIN, data_set=1).names == read(PLAIN).names
    assert "holds 1 data set" in refused(PLAIN, "E-DATASET", data_set=2)


@pytest.mark.parametrize("following", ["word", "123456789", "-5", "60", "1"])
def test_a_next_data_set_that_is_none(read: Read, following: str) -> None:
    sample = read(fcs_bytes(ROWS, parameters(3), keywords={"$NEXTDATA": following}))
    assert truth(sample)
    assert "$NEXTDATA" in sentence(sample, "N-DATASET")


def test_a_broken_second_data_set_leaves_the_first_to_who_asks_for_it(
    read: Read, refused: Callable[..., str]
) -> None:
    raw = chained(one_of(1.0), one_of(2.0)[:100])
    sample = read(raw, data_set=1)
    assert sample.stored[0, 0] == 1
    assert "data set 2 cannot be read" in sentence(sample, "N-DATASET")
    said = refused(raw, "E-DATASET")
    assert "data set 2 cannot be read" in said
    assert "name it as data_set" in said


def test_events_may_not_reach_into_the_next_data_set(refused: Callable[..., str]) -> None:
    first = fcs_bytes([[1.0], [2.0]], parameters(1), keywords={"$NEXTDATA": "0000"}, behind=b"")[:-4]
    assert "4 of 8 bytes of DATA" in refused(chained(first, one_of(2.0)), "E-TRUNCATED", data_set=1)


def test_joined_files_are_flagged(read: Read) -> None:
    sample = read(PLAIN + PLAIN)
    assert truth(sample)
    assert "two files joined" in sentence(sample, "F-JOINED")


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\x89PNG\r\n\x1a\n\x00\x07", "89 50 4e 47"),
        (b"PK\x03\x04abc", "zip"),
        (b"Zebediah Quux;12;CD4", "the file is text"),
        (b"FCS1.0    " + b" " * 60, '"FCS1.0"'),
        (b"FCS9.9    " + b" " * 60, "FCS2.0, FCS3.0, FCS3.1, FCS3.2 are read"),
    ],
)
def test_what_is_not_fcs(refused: Callable[..., str], raw: bytes, said: str) -> None:
    answer = refused(raw, "E-NOT-FCS")
    assert said in answer
    assert answer.isprintable()
    assert "Zebediah" not in answer


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    for name, code, said in [("nowhere.fcs", "E-MISSING", "no such file"), (".", "E-UNREADABLE", "a folder")]:
        with pytest.raises(FileError) as caught:
            read_fcs(tmp_path / name)
        assert caught.value.code == code
        assert said in str(caught.value)
    os.mkfifo(tmp_path / "pipe.fcs")
    with pytest.raises(FileError, match="a device or a pipe"):
        scan_fcs(tmp_path / "pipe.fcs")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "locked.fcs"
    path.write_bytes(PLAIN)
    path.chmod(0)
    with pytest.raises(FileError, match=r"E-UNREADABLE  locked\.fcs"):
        read_fcs(path)


@pytest.mark.parametrize(
    ("place", "written", "said"),
    [
        (10, b"      xx", "not numbers"),
        (10, b"      10", "begin at 58"),
        (10, b"        ", "begin at 58"),
        (18, b"      58", "end behind"),
        (26, b"     abc", "offsets of DATA in HEADER are not numbers"),
        (26, b"      -9", "not negative"),
    ],
)
def test_a_header_without_meaning(refused: Callable[..., str], place: int, written: bytes, said: str) -> None:
    assert said in refused(PLAIN[:place] + written + PLAIN[place + 8 :], "E-HEADER")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ({"$PAR": None}, "E-KEYWORD", "$PAR is missing"),
        ({"$PAR": "0"}, "E-KEYWORD", '$PAR is "0"'),
        ({"$PAR": "three"}, "E-KEYWORD", '$PAR is "three"'),
        ({"$PAR": "2"}, "E-KEYWORD", "$P3N, $P3B, $P3R of one more parameter"),
        ({"$DATATYPE": None}, "E-KEYWORD", "$DATATYPE is missing"),
        ({"$DATATYPE": "A"}, "E-LAYOUT", "ASCII"),
        ({"$DATATYPE": "Q"}, "E-LAYOUT", "unknown type"),
        ({"$P2DATATYPE": "A"}, "E-LAYOUT", "$P2DATATYPE"),
        ({"$BYTEORD": None}, "E-KEYWORD", "$BYTEORD is missing"),
        ({"$BYTEORD": "3,4,1,2"}, "E-LAYOUT", '"3,4,1,2"'),
        ({"$BYTEORD": "1,1,1,1"}, "E-LAYOUT", '"1,1,1,1"'),
        ({"$BYTEORD": "big"}, "E-LAYOUT", '"big"'),
        ({"$BYTEORD": "1"}, "E-LAYOUT", '"1"'),
        ({"$MODE": "C"}, "E-MODE", "one correlated histogram"),
        ({"$MODE": "U"}, "E-MODE", "histograms"),
        ({"$MODE": "Z"}, "E-MODE", '"Z"'),
        ({"$P1B": None}, "E-KEYWORD", "$P1B is missing"),
        ({"$P1B": "10"}, "E-LAYOUT", '$P1B is "10" bits'),
        ({"$P1B": "0"}, "E-LAYOUT", "8 to 64 bits"),
        ({"$P1B": "72"}, "E-LAYOUT", "8 to 64 bits"),
        ({"$P1B": "*"}, "E-LAYOUT", '"*"'),
        ({"$P1R": None}, "E-KEYWORD", "$P1R is missing"),
        ({"$P1R": "wide"}, "E-KEYWORD", '$P1R is "wide"'),
    ],
)
def test_keywords_that_decide_how_events_are_read(
    refused: Callable[..., str], words: dict[str, str | None], code: str, said: str
) -> None:
    assert said in refused(integers(COUNTS, keywords=words), code)


@pytest.mark.parametrize("written", ["1,2", "1,2,3,4", " 1, 2, 3, 4 ", "1,2,3"])
def test_byte_orders_that_mean_the_same(read: Read, written: str) -> None:
    assert read(integers(COUNTS, keywords={"$BYTEORD": written})).stored.tolist() == COUNTS


def test_a_missing_mode_is_noted_except_in_3_2(read: Read) -> None:
    assert "$MODE" in sentence(read(fcs_bytes(ROWS, parameters(3), keywords={"$MODE": None})), "N-KEYWORD")
    assert codes(read(fcs_bytes(ROWS, parameters(3), keywords={"$MODE": None}, version="FCS3.2"))) == []


def test_a_float_of_another_width_must_fit_exactly(read: Read, refused: Callable[..., str]) -> None:
    wide = {f"$P{number}B": "64" for number in (1, 2, 3)}
    sample = read(fcs_bytes(ROWS, parameters(3), keywords=wide))
    assert truth(sample)
    assert '$P1B is "64"' in sentence(sample, "N-KEYWORD")
    doubles = [[1.0, 2.0, 3.0]] * 4
    raw = fcs_bytes(doubles, parameters(3, 64), datatype="D", keywords={"$DATATYPE": "F"})
    assert "4 events of 12 bytes" in refused(raw, "E-OFFSETS")


def test_text_that_cannot_be_split(refused: Callable[..., str]) -> None:
    raw = bytearray(PLAIN)
    raw[58] = 200
    assert "begins with byte 200" in refused(bytes(raw), "E-TEXT")
    raw = bytearray(fcs_bytes(ROWS, parameters(3), keywords={"X": "y" * 1_000_001}, header=(0, 0)))
    at = raw.index(b"y" * 100)
    raw[at : at + 1_000_001] = b"/" * 1_000_001
    assert "delimiters" in refused(bytes(raw), "E-TEXT")


def test_messages_never_quote_what_may_name_a_person(tmp_path: Path) -> None:
    person = dict.fromkeys(["$SRC", "$SMNO", "$OP", "$COM", "$FIL", "$INST", "PATIENT ID"], "Zebediah")
    files = [
        fcs_bytes(ROWS, parameters(3), keywords=person, more=[(key, "Other") for key in person]),
        fcs_bytes(ROWS, parameters(3), keywords={**person, "$TOT": "9"}, header=(5, 5)),
        fcs_bytes(
            ROWS,
            parameters(3),
            keywords={**person, "A//B": "Zebediah//x"},
            more=[("Zebediah", ""), ("q", "")],
        ),
        fcs_bytes(ROWS, parameters(3), keywords=person, supplement="/$SRC/Zebulon/PATIENT ID/Zebulon/"),
    ]
    for raw in files:
        path = tmp_path / "tube.fcs"
        path.write_bytes(raw)
        try:
            said = " ".join(map(str, scan_fcs(path).findings))
        except FileError as problem:
            said = str(problem)
        assert said
        assert "zeb" not in said.lower()


# --- the scan -------------------------------------------------------------------------------------


def test_scan_says_where_the_events_are(tmp_path: Path) -> None:
    path = tmp_path / "tube.fcs"
    path.write_bytes(PLAIN)
    scan, sample = scan_fcs(path), read_fcs(path)
    assert (scan.name, scan.version, scan.n_events) == ("tube.fcs", "FCS3.1", 4)
    assert (scan.data_offset, scan.data_length) == (BEGIN, 48)
    assert (scan.data_set, scan.n_data_sets) == (1, 1)
    assert scan.channels == sample.channels
    assert scan.keywords == sample.keywords
    assert PLAIN[scan.data_offset :][: scan.data_length] == sample.records.tobytes()


def test_scan_of_a_later_data_set_counts_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tube.fcs"
    raw = chained(one_of(1.0), one_of(2.0))
    path.write_bytes(raw)
    scan = scan_fcs(path, data_set=2)
    assert raw[scan.data_offset :][: scan.data_length] == struct.pack("<f", 2.0)
    assert (scan.data_set, scan.n_data_sets) == (2, 2)


# --- pieces ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "number"),
    [
        (" 12 ", 12),
        ("0012", 12),
        ("-3", -3),
        ("1.0", None),
        ("1_0", None),
        ("", None),
        (None, None),
        ("٣", None),
    ],
)
def test_whole_numbers(written: str | None, number: int | None) -> None:
    assert whole(written) == number


@pytest.mark.parametrize(
    ("written", "number"),
    [
        (" 1.5\0", 1.5),
        ("1e3", 1000),
        (".5", 0.5),
        ("nan", None),
        ("inf", None),
        ("1_0", None),
        ("", None),
        (None, None),
    ],
)
def test_decimal_numbers(written: str | None, number: float | None) -> None:
    assert decimal(written) == number


def test_words_for_messages() -> None:
    assert shown(" a\x1b[31m\n<b> ") == '"a.[31m.<b>"'
    assert len(shown("x" * 1000)) < 30
    assert listed([f"C{number}" for number in range(9)]) == "C0, C1, C2, C3, C4, C5 and 3 more"


@given(st.dictionaries(st.text("abc$/ ", min_size=1), st.text("xy/ ", min_size=1), min_size=1))
def test_words_come_back_as_the_standard_doubles_them(words: dict[str, str]) -> None:
    clean = {key.strip(" /").upper(): value.strip("/") for key, value in words.items()}
    clean = {key: value for key, value in clean.items() if key and value}
    clean |= {"$PAR": "1", "$DATATYPE": "F", "$BYTEORD": "1,2,3,4"}
    said = "".join(f"/{word.replace('/', '//')}" for pair in clean.items() for word in pair)
    assert parse_text(f"{said}/".encode()).keywords == clean


# --- every real file ------------------------------------------------------------------------------

REFUSED = {
    "instruments/cytoflow/Beckman Coulter - Cytomics FC500.LMD#0": "E-LAYOUT",
    "instruments/facejava/fcsdata/ascii-2_events_missing_parameter_names.fcs#": "E-LAYOUT",
    "instruments/facejava/fcsdata/ascii-4_events.fcs#": "E-LAYOUT",
    "instruments/facejava/fcsdata/invalid-bad_data_set_type.fcs#0": "E-MODE",
    "instruments/facejava/fcsdata/invalid-no_crc.fcs#": "E-LAYOUT",
    "instruments/fcsparser/corrupted/corrupted.fcs#": "E-NOT-FCS",
    "instruments/fcsparser/cytek-nl-2000/sample_header.fcs#": "E-TRUNCATED",
    "instruments/npm_fcs/AriaFile1.fcs#": "E-TRUNCATED",
    "instruments/webduvet/wrongFile.fcs#": "E-NOT-FCS",
}
"""Data sets that are refused, by file and place in it: 10-bit, ASCII, a histogram, no FCS, cut."""

FLOWIO_CANNOT = {
    "instruments/cytoflow/Partec - CyFlow v2.9.fcs": (72989, 4),
    "instruments/cytoflow/Partec padded-TEXT PU87@10+B200.fcs": (5000, 3),
    "instruments/fcsparser/fake_large_fcs/fake_large_fcs.fcs": (11585, 11),
}
"""Files that FlowIO 1.4.0 fails on and that are read, with their events and parameters."""

HEADER_IS_RIGHT = {
    "instruments/cytoflow/Beckman Coulter - Cyan.fcs",
    "instruments/facejava/compensation/int-10_events_8_parameters.fcs",
    "instruments/facejava/fcsdata/double-5_events.fcs",
}
"""Files whose TEXT misplaces DATA; the events count upwards only from where HEADER says."""


def entries(data: Path) -> list[dict[str, str]]:
    with (data / "MANIFEST.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def number_of(entry: dict[str, str], sets: Counter[str]) -> int | None:
    return int(entry["data_set"]) + 1 if sets[entry["file"]] > 1 else None


@pytest.mark.data
def test_every_real_file_is_read_or_refused(data: Path) -> None:
    listed_files = entries(data)
    sets = Counter(entry["file"] for entry in listed_files)
    refusals = {}
    for entry in listed_files:
        try:
            sample = read_fcs(data / entry["file"], data_set=number_of(entry, sets))
        except FileError as problem:
            refusals[f"{entry['file']}#{entry['data_set']}"] = problem.code
            continue
        counts = (len(sample), len(sample.channels))
        wanted = FLOWIO_CANNOT.get(entry["file"]) or (int(entry["events"]), int(entry["parameters"]))
        assert counts == wanted, entry["file"]
        if (
            sample.spillover is None
            and sample.keywords.get(entry["spill_keyword"].upper(), "0").strip() != "0"
        ):
            assert "N-SPILL" in codes(sample), entry["file"]
    assert refusals == REFUSED


@pytest.mark.data
def test_files_of_several_data_sets_ask_which(data: Path) -> None:
    sets = Counter(entry["file"] for entry in entries(data))
    for name, count in sets.items():
        if count > 1:
            with pytest.raises(FileError, match=f"the file holds {count} data sets"):
                scan_fcs(data / name)


@pytest.mark.data
def test_stored_values_equal_flowio(data: Path) -> None:
    flowio = pytest.importorskip("flowio")
    compared = 0
    for name, loads in by_file(data).items():
        if name in FLOWIO_CANNOT or loads.startswith("FAIL"):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            others = flowio.read_multiple_data_sets(
                str(data / name),
                ignore_offset_error="ignore_offset_error" in loads,
                ignore_offset_discrepancy=True,
                use_header_offsets=name in HEADER_IS_RIGHT,
            )
        for number, other in enumerate(others, 1):
            if other.events is None or f"{name}#{number - 1}" in REFUSED:
                continue
            stored = read_fcs(data / name, data_set=number if len(others) > 1 else None).stored
            events = np.reshape(other.events, stored.shape)
            np.testing.assert_array_equal(stored, events, err_msg=name)
            compared += 1
    assert compared == 275


def by_file(data: Path) -> dict[str, str]:
    return {entry["file"]: entry["flowio_1.4.0_load"] for entry in entries(data)}


@pytest.mark.data
def test_24_bit_integers_of_a_real_file(data: Path) -> None:
    path = data / "instruments/flowcal/Data003.fcs"
    scan, sample = scan_fcs(path), read_fcs(path)
    raw = path.read_bytes()[scan.data_offset :]
    for event in (0, 1, len(sample) - 1):
        words = [raw[24 * event + 3 * index :][:3] for index in range(8)]
        assert sample.stored[event].tolist() == [int.from_bytes(word, "big") for word in words]
