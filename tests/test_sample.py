"""A sample: what is stored, what the detector measured, and that nobody can change either."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tregflow.io.fcs import read_fcs
from tregflow.sample import BLOCK, Channel, Sample

LOG = {"range": 1024.0, "decades": 4.0, "stated_decades": 4.0}


def made(records: Any, *channels: Channel) -> Sample:
    return Sample("made.fcs", channels, records)


def test_names_and_stains_stand_in_file_order() -> None:
    file = made(np.zeros((2, 2), "f4"), Channel("FSC-A"), Channel("PE-A", "CD25"))
    assert file.names == ("FSC-A", "PE-A")
    assert file.stains == ("", "CD25")
    assert len(file) == 2


@pytest.mark.parametrize(
    ("offset", "stored", "scale"),
    [(1.0, 0, 1.0), (1.0, 256, 10.0), (1.0, 512, 100.0), (1.0, 1023, 9910.4586), (0.1, 512, 10.0)],
)
def test_a_logarithmic_amplifier_is_undone(offset: float, stored: int, scale: float) -> None:
    channel = Channel("FL1", offset=offset, **LOG)
    assert not channel.is_linear
    assert channel.to_scale(np.array([stored], "u2"))[0] == pytest.approx(scale, rel=1e-8)


def test_gain_is_divided_out() -> None:
    channel = Channel("FSC", gain=4.0, stated_gain=4.0)
    assert not channel.is_linear
    assert channel.to_scale(np.array([10], "u2")).tolist() == [2.5]


def test_what_is_stated_and_not_applied_changes_nothing() -> None:
    channel = Channel("FL1", stated_decades=4.0, stated_gain=8.0)
    assert channel.is_linear
    assert channel.to_scale(np.array([10.5], "f4")).tolist() == [10.5]


def test_bits_above_the_range_are_masked_and_values_never_clipped() -> None:
    file = made(np.array([[5, 5], [1024 + 7, 1000], [65535, 1023]], "u2"), Channel("A", range=1024, mask=1023),
                Channel("B", range=1000, mask=1023))  # fmt: skip
    assert file.stored.tolist() == [[5, 5], [7, 1000], [1023, 1023]]
    assert file.events.tolist() == file.stored.tolist()


def test_masking_comes_before_the_amplifier() -> None:
    file = made(np.array([[1024 + 512]], "u2"), Channel("FL1", mask=1023, **LOG))
    assert file.events[0, 0] == pytest.approx(100)


def test_scale_values_are_float64_whatever_is_stored() -> None:
    big = made(np.array([[2**31 + 1]], "<u4"), Channel("A"))
    assert big.events.dtype == np.float64
    assert big.events[0, 0] == 2**31 + 1
    assert made(np.array([[0.1]], ">f4"), Channel("A")).events[0, 0] == np.float32(0.1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_columns_of_different_types_stand_side_by_side(order: str) -> None:
    records = np.zeros(3, [("f0", f"{order}f4"), ("f1", f"{order}u2"), ("f2", f"{order}f8")])
    records["f0"], records["f1"], records["f2"] = [0.5, 1, 2], [1, 2, 3], [1e-300, 0, -1]
    file = made(records, Channel("A"), Channel("B", gain=2.0), Channel("C"))
    assert file.events.tolist() == [[0.5, 0.5, 1e-300], [1, 1, 0], [2, 1.5, -1]]
    assert file.stored_column(1).dtype.isnative


@pytest.mark.parametrize(("width", "order"), [(3, "<"), (3, ">"), (5, "<"), (7, ">")])
def test_odd_bytes_are_put_together(width: int, order: str) -> None:
    numbers = [1, 2**16 + 5, 2 ** (8 * width) - 1]
    shifts = [str(8 * place) for place in range(width)][:: 1 if order == "<" else -1]
    raw = b"".join(number.to_bytes(width, "little" if order == "<" else "big") for number in numbers)
    records = np.frombuffer(raw, [("f0", [(shift, "u1") for shift in shifts])])
    assert made(records, Channel("A")).stored_column(0).tolist() == numbers


@given(
    values=arrays(
        np.float32, st.tuples(st.integers(0, 40), st.just(3)), elements=st.floats(-1e6, 1e6, width=32)
    ),
    wanted=st.lists(st.integers(0, 2), min_size=1, max_size=3),
)
def test_columns_are_those_of_events(values: Any, wanted: list[int]) -> None:
    file = made(values, Channel("A", gain=2.0), Channel("B"), Channel("C", gain=0.5))
    columns = file.columns(wanted)
    assert columns.shape == (len(wanted), len(values))
    np.testing.assert_array_equal(columns, file.events[:, wanted].T)
    np.testing.assert_array_equal(file.events, values.astype(float) / [2.0, 1.0, 0.5])


def test_columns_longer_than_a_block_are_whole() -> None:
    values = np.random.default_rng(1).normal(size=(2 * BLOCK + 17, 2)).astype("f4")
    file = made(values, Channel("A"), Channel("B", gain=3.0))
    np.testing.assert_array_equal(file.columns([1, 0]), [values[:, 1].astype(float) / 3.0, values[:, 0]])
    assert file.columns([0])[0].flags.c_contiguous


def test_some_rows_of_a_stored_column() -> None:
    file = made(np.arange(12, dtype="u2").reshape(6, 2), Channel("A"), Channel("B"))
    assert file.stored_column(1, np.array([0, 5])).tolist() == [1, 11]
    assert file.stored_column(0, slice(1, 3)).tolist() == [2, 4]


@pytest.mark.parametrize("what", ["stored", "events"])
def test_nobody_can_change_a_sample(what: str) -> None:
    records = np.arange(6, dtype="f4").reshape(3, 2)
    values = getattr(made(records, Channel("A"), Channel("B")), what)
    with pytest.raises(ValueError, match="read-only"):
        values[0, 0] = 9
    assert records[0, 0] == 0


def test_an_empty_tube_has_columns_without_events() -> None:
    file = made(np.empty((0, 2), "f4"), Channel("A"), Channel("B"))
    assert file.events.shape == (0, 2)
    assert file.columns([1]).shape == (1, 0)


def test_what_is_not_finite_is_kept_and_does_not_warn() -> None:
    file = made(
        np.array([[np.nan, 1], [np.inf, 2], [-np.inf, 3]], "f4"), Channel("A", gain=2.0), Channel("B")
    )
    np.testing.assert_array_equal(file.events[:, 0], [np.nan, np.inf, -np.inf])


def test_pages_that_were_given_back_are_mapped_again():
    file = Path(__file__).resolve().parents[1] / "sample_fcs" / "fcs" / "S01_W00.fcs"
    mapped = read_fcs(file)
    first = mapped.events
    mapped.let_go()
    np.testing.assert_array_equal(mapped.events, first)
    np.testing.assert_array_equal(
        mapped.stored, first
    )  # linear throughout, so scale values are the stored ones


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "linear as stored"),
        ({**LOG, "offset": 0.1}, "log amplifier undone ($PnE 4,0.1 over 1024)"),
        ({"stated_decades": 4.0}, "linear as stored ($PnE 4 decades on floats, not undone)"),
        ({"gain": 8.0, "stated_gain": 8.0}, "linear as stored, divided by gain 8 ($PnG)"),
        ({"stated_gain": 8.0}, "linear as stored, gain 8 not applied ($PnG; as asked)"),
        (
            {**LOG, "stated_gain": 8.0},
            "log amplifier undone ($PnE 4,1 over 1024), gain 8 not applied ($PnG; behind a log amplifier)",
        ),
        ({"is_time": True}, "linear as stored, steps as stored, no valid $TIMESTEP"),
        (
            {"is_time": True, "step": 0.01, "stated_gain": 2.0},
            "linear as stored, gain 2 not applied ($PnG; time), steps as stored, $TIMESTEP 0.01 s not applied",
        ),
    ],
)
def test_scaling_is_said_aloud(fields: dict[str, Any], words: str) -> None:
    assert Channel("FL1", **fields).scaling == words
