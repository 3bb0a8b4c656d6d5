"""Real patients' cells: the organ-donor T-cell tubes, gated with the template placed on their donors."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tregflow.batch import Request, gate_batch
from tregflow.io.documents import load_template
from tregflow.io.tables import read_sheet

pytestmark = pytest.mark.data

ROOT = Path(__file__).resolve().parents[1]
SHEET = ROOT / "tests" / "golden" / "flowatlas_samples.csv"
GOLDEN = ROOT / "tests" / "golden" / "flowatlas_treg.csv"
FOLDER = Path("treg/flowatlas_tcells")


@pytest.fixture(scope="module")
def rows(data, tmp_path_factory) -> list[dict[str, str]]:
    """Return the primary measure of every tissue tube."""
    template = load_template(ROOT / "gating_strategies" / "flowatlas-tcells.yaml")
    out = tmp_path_factory.mktemp("flowatlas") / "out"
    tubes = read_sheet(SHEET, [marker.name for marker in template.markers])
    gate_batch(Request(template, tubes, data / FOLDER, out, plots=False, workers=2))
    with (out / "treg.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["role"] == "primary"]


def test_counts_are_those_of_the_frozen_template(rows):
    with GOLDEN.open(newline="") as file:
        golden = list(csv.DictReader(file))
    assert [{column: row[column] for column in golden[0]} for row in rows] == golden


def test_cd4_is_found_on_another_detector_in_one_donor(rows, data):
    assert {row["subject"] for row in rows} == {"390C", "403C", "412C"}
    assert all(row["denominator"] for row in rows)


def test_tubes_with_enough_cells_lie_within_a_factor_of_1_6_of_the_manual_gates(rows, data):
    with SHEET.open(newline="") as file:
        files = {f"{row['subject']}_{row['visit']}": row["file"] for row in csv.DictReader(file)}
    with (data / FOLDER / "reference_treg.csv").open(newline="") as file:
        manual = {row["file"]: row["flowjo_treg_pct_of_cd4"] for row in csv.DictReader(file)}
    enough = [row for row in rows if int(row["denominator"]) >= 500]
    ratios = {row["sample"]: float(row["percent"]) / float(manual[files[row["sample"]]]) for row in enough}
    assert len(ratios) == 10
    assert all(1 / 1.6 < ratio < 1.6 for ratio in ratios.values()), ratios
