"""A written trial holds what the simulated one holds."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import flowio
import numpy as np
import pytest

from tregflow.errors import InputError, OutputError
from tregflow.io.fcs import read_fcs
from tregflow.io.trials import write_trial
from tregflow.simulation import DETECTORS, DYES, KINDS, LABELS, TREG, Trial, simulate


@pytest.fixture(scope="module", params=[False, True], ids=["floats", "integers"])
def trial(request: pytest.FixtureRequest) -> Trial:
    return simulate(subjects=2, events=3_000, seed=3, control_events=900, integers=request.param)


@pytest.fixture(scope="module")
def folder(trial: Trial, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trial")
    write_trial(trial, folder)
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_another_reader_finds_equal_values(trial, folder):
    for tube in trial:
        file = flowio.FlowData(str(folder / tube.row["file"]))
        np.testing.assert_array_equal(file.as_array(preprocess=False), tube.values)
        assert file.pnn_labels == [detector.name for detector in DETECTORS]
        assert file.pns_labels == [detector.stain for detector in DETECTORS]


def test_our_reader_finds_equal_values_and_nothing_odd(trial, folder):
    for tube in trial:
        sample = read_fcs(folder / tube.row["file"])
        np.testing.assert_array_equal(sample.stored, tube.values)
        np.testing.assert_array_equal(sample.events, tube.values)
        assert sample.spillover.names == DYES
        np.testing.assert_array_equal(sample.spillover.matrix, tube.spillover)
        assert sample.findings == ()


def test_integers_take_the_bytes_of_their_range(trial, folder):
    text = flowio.FlowData(str(folder / "fcs" / "S01_W00.fcs")).text
    bits = {detector.kind: int(text[f"p{number}b"]) for number, detector in enumerate(DETECTORS, 1)}
    expected = {"F": {"scatter": 32, "fluorescence": 32}, "I": {"scatter": 16, "fluorescence": 32}}
    assert bits.items() >= expected[text["datatype"]].items()


def test_the_sheet_is_that_of_the_trial(trial, folder):
    rows = table(folder / "samples.csv")
    assert rows == list(trial.rows)
    assert all((folder / row["file"]).is_file() for row in rows)
    assert len(list((folder / "fcs").iterdir())) == len(rows)


def test_the_truth_can_be_recounted_from_the_folder(folder):
    names = json.loads((folder / "truth" / "labels.json").read_text())
    assert tuple(names) == LABELS
    for row in table(folder / "truth.csv"):
        labels = np.load(folder / "truth" / f"{row['sample']}.npy")
        assert labels.dtype == np.uint8
        assert len(labels) == int(row["events"])
        tregs = np.isin(labels, [names.index(kind) for kind in TREG]).sum()
        assert tregs == int(row["treg"])
        assert float(row["percent"]) == pytest.approx(100 * tregs / int(row["cd4"]), abs=1e-6)


def test_options_and_runs_stand_beside_the_truth(tmp_path):
    trial = simulate(subjects=1, events=50, controls=False, stain_drift=0.1, **KINDS["other-dye"])
    write_trial(trial, tmp_path / "trial")
    told = json.loads((tmp_path / "trial" / "truth" / "settings.json").read_text())
    assert told == json.loads(json.dumps(trial.options))
    runs = json.loads((tmp_path / "trial" / "truth" / "runs.json").read_text())
    assert list(runs) == ["R01", "R02"]
    for tube in trial:
        run, cytometer = runs[tube.row["run"]], tube.cytometer
        assert run["markers"] == [detector.stain for detector in tube.detectors[6:14]]
        assert run["dyes"] == [detector.name for detector in tube.detectors[6:14]]
        np.testing.assert_allclose(10 ** np.array(run["gain"]), cytometer.gains, rtol=1e-5)
        np.testing.assert_allclose(10 ** np.array(run["stain"]), cytometer.stains, rtol=1e-5)
        np.testing.assert_array_equal(run["offset"], cytometer.offsets)
        np.testing.assert_array_equal(run["spillover"], cytometer.mixing)


def test_a_file_states_its_own_dyes_and_the_matrix_with_its_error(tmp_path):
    trial = simulate(
        subjects=1, events=50, controls=False, compensation_drift=0.3, other_dye="FOXP3", at="W12"
    )
    for tube, path in zip(trial, write_trial(trial, tmp_path / "trial"), strict=True):
        sample = read_fcs(path)
        assert [channel.stain or "" for channel in sample.channels] == [one.stain for one in tube.detectors]
        assert [channel.name for channel in sample.channels] == [one.name for one in tube.detectors]
        assert sample.spillover.names == tube.cytometer.dyes
        np.testing.assert_array_equal(sample.spillover.matrix, tube.spillover)
    assert "PE-CF594-A" in sample.spillover.names
    assert not np.array_equal(tube.spillover, tube.cytometer.mixing)


def test_the_shipped_study_is_this_simulation_still():
    """``sample_fcs`` was written before any trouble could be asked for, by the command that README names."""
    shipped = Path(__file__).resolve().parents[2] / "sample_fcs"
    trial = simulate(subjects=3, events=19_000, seed=7, enriched=True, integers=True, control_events=8_000)
    files = {tube.row["file"]: tube for tube in trial}
    for path in sorted((shipped / "fcs").iterdir()):
        tube = files.pop(f"fcs/{path.name}")
        np.testing.assert_array_equal(read_fcs(path).stored, tube.values)
        np.testing.assert_array_equal(np.load(shipped / "truth" / f"{path.stem}.npy"), tube.truth.labels)
    assert files == {}


def test_the_date_does_not_depend_on_the_locale(folder):
    assert flowio.FlowData(str(folder / "fcs" / "S01_W00.fcs")).text["date"] == "12-JAN-2026"


def test_same_trial_same_bytes(trial, folder, tmp_path):
    write_trial(trial, tmp_path / "again")
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert files == sorted(p.relative_to(tmp_path / "again") for p in tmp_path.rglob("*") if p.is_file())
    for file in files:
        assert (folder / file).read_bytes() == (tmp_path / "again" / file).read_bytes(), file


def test_paths_come_in_the_order_of_the_sheet(tmp_path):
    trial = simulate(subjects=2, events=10, controls=False)
    paths = write_trial(trial, tmp_path / "new" / "deep")
    assert [path.name for path in paths] == ["S01_W00.fcs", "S02_W00.fcs", "S01_W12.fcs", "S02_W12.fcs"]


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(InputError, match=r'E-OUT .* the folder holds "mine.txt" already'):
        write_trial(simulate(subjects=1, events=10), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"E-WRITE .*the trial is not complete"):
        write_trial(simulate(subjects=1, events=10), tmp_path / "file" / "trial")
