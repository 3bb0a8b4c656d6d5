"""Every real file against fcsparser 0.2.8, in its own environment, and against FlowIO."""

from __future__ import annotations

import csv
import json
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle.read_all import digest

from tregflow.errors import FileError
from tregflow.io.fcs import read_fcs
from tregflow.io.readers import FLOWIO, Reading
from tregflow.sample import Sample
from tregflow.verify.differences import split

pytestmark = [pytest.mark.data, pytest.mark.oracle]

SCRIPT = Path(__file__).parent / "oracle" / "read_all.py"

INSIDE_TEXT = (
    "HEADER puts DATA inside TEXT, where no event can be; fcsparser follows it, tregflow and FlowIO do not"
)
OTHER_COLUMNS = {
    "instruments/facejava/faceflow/int-10000_events_random.fcs": (6, INSIDE_TEXT),  # 512 in 256-641
    "instruments/flowio/data_start_offset_discrepancy_example.fcs": (26, INSIDE_TEXT),  # 5555 in 74-6080
}
"""Files of which fcsparser reads other values: how many columns, and why it is wrong."""

EMPTY_VALUES = (
    "$P3S and $P4S are empty, which the standard forbids; fcsparser takes $P6N behind them for a value"
)
OTHER_NAMES = {
    "instruments/flowcore/0877408774.B08": ({6}, EMPTY_VALUES),
    "instruments/flowcore/0877408774.E07": ({6}, EMPTY_VALUES),
    "instruments/flowcore/0877408774.F06": ({6}, EMPTY_VALUES),
}
"""Files of which fcsparser has other channel names: which channels, and why it is wrong."""

KEPT = "the second data set has no such stain; fcsparser keeps those of the first"
OTHER_STAINS = {
    ("instruments/cytoflow/Beckman Coulter - Cytomics FC500.LMD", 2): ({1, 2, 3, 4}, KEPT),
    ("instruments/cytoflow/Beckman Coulter - Gallios.LMD", 2): ({1, 2, 3, 4, 5}, KEPT),
    ("instruments/cytopy/test.FCS", 2): ({1, 2, 3, 4, 5, 6, 7}, KEPT),
    ("instruments/flowio/coulter.lmd", 2): ({1, 2, 3, 4, 5, 6, 7, 8}, KEPT),
}
"""Data sets of which fcsparser has other stains: which channels, and why it is wrong."""

PADDED = "blanks stand before the keywords and fcsparser does not find them"
NOT_BY_THE_ORACLE = {
    "instruments/cytoflow/Partec - CyFlow v2.9.fcs": PADDED,
    "instruments/cytoflow/Partec padded-TEXT PU87@10+B200.fcs": PADDED,
}
"""Files that tregflow reads and fcsparser refuses."""

NOT_BY_TREGFLOW = {
    ("instruments/cytoflow/Beckman Coulter - Cytomics FC500.LMD", 1): "E-LAYOUT",
    ("instruments/facejava/fcsdata/ascii-2_events_missing_parameter_names.fcs", 1): "E-LAYOUT",
    ("instruments/facejava/fcsdata/ascii-4_events.fcs", 1): "E-LAYOUT",
    ("instruments/facejava/fcsdata/invalid-bad_data_set_type.fcs", 1): "E-MODE",
    ("instruments/facejava/fcsdata/invalid-no_crc.fcs", 1): "E-LAYOUT",
    ("instruments/fcsparser/corrupted/corrupted.fcs", 1): "E-NOT-FCS",
    ("instruments/fcsparser/cytek-nl-2000/sample_header.fcs", 1): "E-TRUNCATED",
    ("instruments/npm_fcs/AriaFile1.fcs", 1): "E-TRUNCATED",
    ("instruments/webduvet/wrongFile.fcs", 1): "E-NOT-FCS",
}
"""Data sets that tregflow refuses, and why."""

GARBLED = ("instruments/cytoflow/Beckman Coulter - Cytomics FC500.LMD", 1)
"""The one of them that fcsparser reads all the same: integers of 10 bits as if they had 8."""


@dataclass(frozen=True)
class Both:
    """One data set by tregflow and by the oracle."""

    file: str
    number: int
    path: Path
    is_one_of_several: bool
    oracle: dict[str, Any]

    @cached_property
    def sample(self) -> Sample | FileError:
        try:
            return read_fcs(self.path, data_set=self.number)
        except FileError as error:
            return error

    @property
    def is_read(self) -> bool:
        return isinstance(self.sample, Sample) and "error" not in self.oracle

    @cached_property
    def columns(self) -> list[str]:
        return [digest(self.sample.stored_column(place)) for place in range(len(self.sample.channels))]

    def other(self, letter: str, words: list[str | None]) -> set[int]:
        """Return the channels, counted from 1, of which a keyword is not what the oracle says."""
        stated = [self.sample.keywords.get(f"$P{number}{letter}", "").strip() for number in self.numbers]
        return {number for number in self.numbers if stated[number - 1] != (words[number - 1] or "").strip()}

    @property
    def numbers(self) -> range:
        return range(1, len(self.sample.channels) + 1)


@pytest.fixture(scope="module")
def read(data, oracle) -> list[Both]:
    """Return every data set of the manifest."""
    with (data / "MANIFEST.csv").open(encoding="utf-8", newline="") as manifest:
        rows = [row["file"] for row in csv.DictReader(manifest)]
    asked = [(file, rows[:place].count(file)) for place, file in enumerate(rows)]
    said = subprocess.run([oracle, SCRIPT], input=json.dumps([(str(data / file), place) for file, place in asked]),
                          capture_output=True, text=True, check=True, timeout=600)  # fmt: skip
    lines = map(json.loads, said.stdout.splitlines())
    return [Both(file, place + 1, data / file, rows.count(file) > 1, line)
            for (file, place), line in zip(asked, lines, strict=True)]  # fmt: skip


@pytest.fixture(scope="module")
def shared(read) -> list[Both]:
    """Return the data sets that both read."""
    return [one for one in read if one.is_read]


def test_what_either_refuses_is_counted_and_named(read):
    refused = {(one.file, one.number): one.sample.code for one in read if isinstance(one.sample, FileError)}
    assert refused == NOT_BY_TREGFLOW
    lines = {(one.file, one.number): one.oracle for one in read}
    assert {key for key in NOT_BY_TREGFLOW if "error" not in lines[key]} == {GARBLED}
    assert {one.file for one in read if "error" in one.oracle} - {file for file, _ in NOT_BY_TREGFLOW} == set(
        NOT_BY_THE_ORACLE
    )
    assert sum("error" in one.oracle for one in read) == 10


def test_every_column_is_the_oracles(shared, record_property):
    other = {}
    for one in shared:
        assert one.oracle["n_events"] == len(one.sample), one.file
        pairs = zip(one.columns, one.oracle["columns"], strict=True)
        if count := sum(ours != theirs for ours, theirs in pairs):
            other[one.file] = count
    assert other == {file: count for file, (count, _) in OTHER_COLUMNS.items()}
    columns = sum(len(one.columns) for one in shared)
    assert len(shared) == 278
    assert columns == 6160
    excused = sum(other.values())
    record_property("figures", f"fcsparser 0.2.8: {len(shared)} real data sets, {columns - excused:,} of {columns:,} columns the "
                    f"same; {excused} in {len(other)} files whose HEADER puts DATA inside TEXT")  # fmt: skip


def test_every_name_and_stain_is_the_oracles(shared):
    names = {one.file: found for one in shared if (found := one.other("N", one.oracle["names"]))}
    stains = {
        (one.file, one.number): found for one in shared if (found := one.other("S", one.oracle["stains"]))
    }
    assert names == {file: channels for file, (channels, _) in OTHER_NAMES.items()}
    assert stains == {key: channels for key, (channels, _) in OTHER_STAINS.items()}


def test_every_spillover_matrix_is_the_oracles(shared):
    compared = [one for one in shared if one.sample.spillover]
    for one in compared:
        ours, theirs = one.sample.spillover, split(one.oracle["spillover"][one.sample.spillover.source])
        assert theirs.names == ours.names, one.file
        assert np.array_equal(np.reshape(theirs.numbers, ours.matrix.shape), ours.matrix), one.file
    assert len(compared) > 100


def test_nothing_differs_from_what_flowio_and_the_oracle_agree_on(shared, record_property):
    against, confirmed, values = [], 0, 0
    for one in shared:
        theirs = _by_flowio(one)
        if theirs is None or theirs.n_events != one.oracle["n_events"]:
            continue
        agreed = [place for place, column in enumerate(theirs.columns)
                  if digest(column) == one.oracle["columns"][place]]  # fmt: skip
        against += [
            (one.file, place) for place in agreed if one.columns[place] != one.oracle["columns"][place]
        ]
        confirmed, values = confirmed + len(agreed), values + len(agreed) * theirs.n_events
    assert against == []
    assert confirmed > 6_000
    record_property("figures", f"0 of {values:,} stored values ({confirmed:,} columns) that FlowIO 1.4.0 and fcsparser 0.2.8 "
                    "agree on are others in tregflow")  # fmt: skip


def _by_flowio(one: Both) -> Reading | None:
    """Return what FlowIO reads with as few switches as it needs."""
    for switches in FLOWIO.ways:
        try:
            return FLOWIO.read(one.path, one.number if one.is_one_of_several else None, switches)
        except Exception:  # noqa: BLE001 - whatever it refuses with
            continue
    return None


def test_a_digest_tells_columns_apart():
    """Or nothing above could fail."""
    column = np.array([1.5, np.nan, -0.0])
    assert digest(column) == digest(column.astype(">f4"))
    assert digest(np.array([1, 2], np.uint16)) == digest(np.array([1.0, 2.0]))
    for other in ([1.5, np.nan, 0.0], [1.5, 0.0, -0.0], [np.nextafter(1.5, 2), np.nan, -0.0], [1.5, np.nan]):
        assert digest(column) != digest(np.array(other))
