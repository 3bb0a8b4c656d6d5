"""What is written can be read by others, byte for byte the same each time."""

from __future__ import annotations

from pathlib import Path

import flowio
import numpy as np
import pytest

from tregflow.errors import OutputError
from tregflow.io.fcs import read_fcs
from tregflow.io.fcs.writing import LARGEST, write_fcs

RNG = np.random.default_rng(0)
FLOATS = [RNG.normal(0, 1e4, 1_000).astype(np.float32) for _ in range(3)]
MIXED = [RNG.integers(0, 2**bits, 1_000, dtype=f"u{bits // 8}") for bits in (16, 32, 16)]
NAMES = ["FSC-A", "PE-A", "Time"]


def read(path: Path) -> flowio.FlowData:
    return flowio.FlowData(str(path))


@pytest.mark.parametrize("columns", [FLOATS, [c.astype("f8") for c in FLOATS], MIXED], ids=["F", "D", "I"])
def test_values_come_back_equal(tmp_path, columns):
    write_fcs(tmp_path / "a.fcs", NAMES, columns)
    np.testing.assert_array_equal(
        read(tmp_path / "a.fcs").as_array(preprocess=False), np.column_stack(columns)
    )


def test_big_endian_columns_are_written_by_value(tmp_path):
    write_fcs(tmp_path / "a.fcs", NAMES, [column.astype(">f4") for column in FLOATS])
    np.testing.assert_array_equal(
        read(tmp_path / "a.fcs").as_array(preprocess=False), np.column_stack(FLOATS)
    )


def test_keywords_say_what_is_stored(tmp_path):
    write_fcs(tmp_path / "a.fcs", NAMES, MIXED, stains=["", "LIVE/DEAD", ""], ranges=[65_536, 262_144, 1_024])
    text = read(tmp_path / "a.fcs").text
    assert [text[f"p{number}b"] for number in (1, 2, 3)] == ["16", "32", "16"]
    assert [text[f"p{number}r"] for number in (1, 2, 3)] == ["65536", "262144", "1024"]
    assert (text["tot"], text["par"], text["datatype"], text["byteord"]) == ("1000", "3", "I", "1,2,3,4")
    assert text["p2s"] == "LIVE/DEAD"
    assert "p1s" not in text


def test_delimiters_are_doubled(tmp_path):
    write_fcs(tmp_path / "a.fcs", NAMES, FLOATS, keywords={"a/b": "c//d/"})
    assert b"/a//b/c////d///" in (tmp_path / "a.fcs").read_bytes()
    assert read_fcs(tmp_path / "a.fcs").keywords["A/B"] == "c//d/"


def test_offsets_fit_the_bytes(tmp_path):
    write_fcs(tmp_path / "a.fcs", NAMES, FLOATS, keywords={"$CYT": "µ"})
    content = (tmp_path / "a.fcs").read_bytes()
    assert content[:10] == b"FCS3.1    "
    text_begin, text_end, begin, end, *analysis = (int(content[at : at + 8]) for at in range(10, 58, 8))
    text = content[text_begin : text_end + 1].decode()
    assert (text[0], text[-1], analysis) == ("/", "/", [0, 0])
    assert f"/$BEGINDATA/{begin}/$ENDDATA/{end}/" in text
    assert content[begin : end + 1] == np.column_stack(FLOATS).astype("<f4").tobytes()
    assert content[end + 1 :] == b"0" * 8


def test_offsets_too_long_for_the_header_are_zero_there(tmp_path):
    columns = [np.arange(LARGEST // 16 + 1, dtype=np.uint64)] * 2
    write_fcs(tmp_path / "a.fcs", ["one", "two"], columns)
    with (tmp_path / "a.fcs").open("rb") as file:
        assert file.read(58)[26:42] == b"       0" * 2
        text = file.read(1_000).decode("latin-1").split("/")
        begin, end = (int(text[text.index(key) + 1]) for key in ("$BEGINDATA", "$ENDDATA"))
        assert end > LARGEST
        file.seek(begin)
        stored = np.fromfile(file, "<u8", 2 * len(columns[0]))
    np.testing.assert_array_equal(stored[::2], columns[0])
    assert begin + stored.nbytes == end + 1


def test_spillover_keeps_its_digits(tmp_path):
    matrix = np.array([[1, 0.123456], [0.000001, 1]])
    write_fcs(tmp_path / "a.fcs", NAMES, FLOATS, spillover=(["PE-A", "FSC-A"], matrix))
    assert read(tmp_path / "a.fcs").text["spillover"] == "2,PE-A,FSC-A,1,0.123456,1e-06,1"


def test_same_call_same_bytes(tmp_path):
    for name in "ab":
        write_fcs(tmp_path / name, NAMES, FLOATS, keywords={"$DATE": "01-JAN-2024"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_no_events_are_written_too(tmp_path):
    write_fcs(tmp_path / "a.fcs", NAMES, [column[:0] for column in FLOATS])
    content = (tmp_path / "a.fcs").read_bytes()
    assert b"/$TOT/0/" in content
    assert content[26:42] == b"       0" * 2


def test_what_cannot_be_written_leaves_nothing_and_says_so(tmp_path):
    path = tmp_path / "missing" / "a.fcs"
    with pytest.raises(
        OutputError, match=r"E-WRITE .*a\.fcs  No such file or directory; nothing was written"
    ):
        write_fcs(path, NAMES, FLOATS)


def test_a_failure_in_the_middle_leaves_the_old_file(tmp_path):
    (tmp_path / "a.fcs").mkdir()
    with pytest.raises(OutputError, match="E-WRITE"):
        write_fcs(tmp_path / "a.fcs", NAMES, FLOATS)
    assert [path.name for path in tmp_path.iterdir()] == ["a.fcs"]


@pytest.mark.parametrize(
    ("names", "columns", "extra", "reason"),
    [
        (NAMES[:2], FLOATS, {}, "one length"),
        ([], [], {}, "at least 1"),
        (["a", "a", "b"], FLOATS, {}, "unique"),
        (["a,b", "c", "d"], FLOATS, {}, "without commas"),
        (NAMES, [FLOATS[0], FLOATS[1], FLOATS[2][:5]], {}, "one dimension and one length"),
        (NAMES, [FLOATS[0], FLOATS[1], MIXED[0]], {}, "f4, u2"),
        (NAMES, FLOATS, {"keywords": {"a": "/b"}}, "begins with the delimiter"),
        (NAMES, FLOATS, {"spillover": (["PE-A"], np.eye(2))}, "square"),
        (NAMES, FLOATS, {"spillover": (["CD3"], np.eye(1))}, "name channels"),
    ],
)
def test_what_is_no_data_set_is_refused(tmp_path, names, columns, extra, reason):
    with pytest.raises(ValueError, match=reason):
        write_fcs(tmp_path / "a.fcs", names, columns, **extra)
    assert not list(tmp_path.iterdir())
