"""Diluted tubes of real cells: what they say of themselves is true of the files."""

from __future__ import annotations

import csv
import importlib
import itertools
import math
import sys
from pathlib import Path

import flowio
import flowutils
import numpy as np
import pytest

from tregflow.batch import Request, gate_batch
from tregflow.compensation import compensate, match
from tregflow.io.documents import load_template
from tregflow.io.fcs import read_fcs
from tregflow.io.tables import read_sheet

pytestmark = pytest.mark.data

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "benchmarks"))
cells = importlib.import_module("real_cells")

DILUTED = [(set_, name) for set_, names in cells.TUBES.items() for name in names]
ROUNDED = float(np.finfo(np.float32).eps) / 2
"""What storing a value as float32 changes of it at most, as a share."""


@pytest.fixture(scope="module")
def tubes(data, tmp_path_factory):
    """Return every tube of both sets by set and name."""
    cache = tmp_path_factory.mktemp("members")
    return {(set_, tube.name): tube for set_ in cells.SETS for tube in cells.manual(set_, data, cache)}


@pytest.fixture(scope="module")
def sources(data, tubes):
    """Return the tubes that are diluted, on the detectors of raw files."""
    return {key: cells.source(tubes[key], data) for key in DILUTED}


@pytest.fixture(scope="module")
def blood(sources):
    return sources["tcells", "412C:Blood"]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def drawn(tube, percent: float = 8, **said):
    return cells.resampled(tube, percent, rng(1), **{"cd4": 2_000, **said})


# ------------------------------------------------------------------------------------ manual gates


@pytest.mark.parametrize("set_", cells.SETS)
def test_members_are_as_many_as_the_reference_table_says(set_, tubes, data):
    rows = table(data / cells.SETS[set_].folder / "reference_treg.csv")
    assert len(rows) == sum(key[0] == set_ for key in tubes)
    for row in rows:
        tube = tubes[set_, f"{row['donor']}:{cells.TISSUES[row['tissue']]}"]
        assert (tube.cd4.sum(), tube.treg.sum()) == (int(row["flowkit_cd4"]), int(row["flowkit_treg"]))
        assert tube.mid.sum() == int(row["flowkit_cd25hi_cd127lo"] or 0)
        assert len(tube.values) == int(row["events"])
        if row["flowkit_treg_pct_of_cd4"]:
            assert tube.percent == pytest.approx(float(row["flowkit_treg_pct_of_cd4"]), abs=1e-4)
        else:
            assert math.isnan(tube.percent)


def test_tregs_are_inside_their_parents(tubes):
    for (set_, _), tube in tubes.items():
        assert not (tube.treg & ~tube.cd4).any()
        assert not (tube.mid & ~tube.cd4).any()
        assert set_ == "lymphocytes" or not (tube.treg & ~tube.mid).any()


def test_values_are_the_file_s_by_the_marker_of_the_panel(tubes, data):
    for donor, channel in (("412C:mLN", "FJComp-355 820_60-A"), ("390C:mLN", "FJComp-355 670_30-A")):
        tube = tubes["tcells", donor]
        file = flowio.FlowData(str(data / cells.SETS["tcells"].folder / tube.file))
        events = file.as_array(preprocess=False)
        np.testing.assert_array_equal(tube.column("CD4"), events[:, file.pnn_labels.index(channel)])
        np.testing.assert_array_equal(
            tube.column("FOXP3"), events[:, file.pnn_labels.index("FJComp-561 585_15-A")]
        )


def test_the_cache_gives_back_what_was_computed(data, tmp_path):
    computed = cells.manual("lymphocytes", data, tmp_path)
    assert len(list(tmp_path.glob("lymphocytes__*.npz"))) == len(computed)
    for one, other in zip(computed, cells.manual("lymphocytes", data, tmp_path), strict=True):
        assert (one.name, one.file, one.markers, one.detectors) == (
            other.name, other.file, other.markers, other.detectors)  # fmt: skip
        for field in ("values", "cd4", "mid", "treg"):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


# --------------------------------------------------------------------------------------- dilution


@pytest.mark.parametrize("percent", [2, 4, 8, 16])
def test_counts_are_those_asked_for_and_the_events_are_manual_members(sources, percent):
    for tube in sources.values():
        made = cells.resampled(tube, percent, rng(percent))
        assert (made.cd4, made.treg, made.percent) == (10_000, 100 * percent, percent)
        assert tube.tube.treg[made.rows[made.labels == 2]].all()
        tconv = made.rows[made.labels == 1]
        assert (tube.tube.cd4[tconv] & ~tube.tube.treg[tconv]).all()
        assert not tube.tube.cd4[made.rows[made.labels == 0]].any()


def test_no_event_repeats_while_the_tube_has_enough(blood):
    assert drawn(blood).repeated == 0
    enough = int(blood.tube.treg.sum())
    too_many = cells.resampled(blood, 16, rng(), cd4=10_000)
    times = np.bincount(too_many.rows[too_many.labels == 2])
    assert too_many.repeated == 1_600 - enough
    assert set(times[times > 0]) == {1, 2}


def test_kinds_of_event_are_mixed_along_the_file(blood):
    made = drawn(blood)
    halves = [(half == 2).sum() for half in np.array_split(made.labels, 2)]
    assert sum(halves) == 160
    assert min(halves) > 50
    assert (np.diff(made.rows) < 0).mean() == pytest.approx(0.5, abs=0.05)  # nor in the order of the tube


def test_events_that_are_not_cd4_come_along_or_stay(blood):
    share = (~blood.tube.cd4).sum() / blood.tube.cd4.sum()
    assert (drawn(blood).labels == 0).sum() == round(2_000 * share)
    assert len(drawn(blood, has_others=False).rows) == 2_000


def test_a_tube_without_tregs_is_refused(tubes, data):
    ileum = cells.source(tubes["tcells", "390C:Ileum"], data)
    with pytest.raises(ValueError, match="no event of a kind"):
        drawn(ileum)


# ------------------------------------------------------------------------------- what a run changes


def test_gain_multiplies_every_value_and_what_single_stains_show(blood):
    change = cells.shift(blood, gain={"CD25": 0.2, "FOXP3": -0.3})
    before = cells.acquired(blood, drawn(blood), cells.shift(blood))
    after = cells.acquired(blood, drawn(blood), change)
    factors = np.ones(len(blood.detectors))
    factors[[blood.place("CD25"), blood.place("FOXP3")]] = 10**0.2, 10**-0.3
    np.testing.assert_allclose(after.values, before.values * factors, rtol=1e-12)
    np.testing.assert_allclose(
        after.raw, before.raw * factors, rtol=1e-4, atol=0.1
    )  # nine decimals of the matrix
    np.testing.assert_array_equal(np.diag(after.matrix), 1)


def test_stain_moves_what_is_stained_and_leaves_what_is_not(blood):
    made, place = drawn(blood), blood.place("CD127")
    before = cells.acquired(blood, made, cells.shift(blood)).values
    after = cells.acquired(blood, made, cells.shift(blood, stain={"CD127": 0.2})).values
    np.testing.assert_array_equal(np.delete(after, place, 1), np.delete(before, place, 1))
    before, after, level = before[:, place], after[:, place], blood.level[place]
    dark, bright = before <= level, before > level + 20 * blood.spread[place]
    assert dark.sum() > 10
    assert bright.sum() > 1_000
    np.testing.assert_array_equal(after[dark], before[dark])
    np.testing.assert_allclose((after[bright] - level) / (before[bright] - level), 10**0.2, rtol=0.003)


@pytest.mark.parametrize("stain", [-0.6, 0.6])
def test_stain_keeps_the_order_of_events(blood, stain):
    everywhere = cells.shift(blood, stain=dict.fromkeys(filter(None, blood.stains), stain))
    before = cells.acquired(blood, drawn(blood), cells.shift(blood)).values
    after = cells.acquired(blood, drawn(blood), everywhere).values
    for old, new in zip(before.T, after.T, strict=True):
        assert (np.diff(new[np.argsort(old)]) >= 0).all()


def test_offset_adds_the_same_to_every_event(blood):
    before = cells.acquired(blood, drawn(blood), cells.shift(blood))
    after = cells.acquired(blood, drawn(blood), cells.shift(blood, offset={"FOXP3": -2.0}))
    place = blood.place("FOXP3")
    added = after.values - before.values
    np.testing.assert_allclose(added[:, place], -2 * blood.noise[place], rtol=1e-9)
    np.testing.assert_array_equal(np.delete(added, place, 1), 0)
    amplified = cells.shift(blood, gain={"FOXP3": 0.3})
    both = cells.shift(blood, gain={"FOXP3": 0.3}, offset={"FOXP3": -2.0})
    more = [cells.acquired(blood, drawn(blood), change).values[:, place] for change in (amplified, both)]
    np.testing.assert_allclose(more[1] - more[0], -2 * blood.noise[place], rtol=1e-9)  # not amplified


def test_noise_is_told_from_what_lies_below_the_unstained_level(sources):
    spleen = sources["tcells", "390C:Spleen"]
    place = spleen.place("CD25")
    level = np.median(spleen.unstained[:, place])
    assert spleen.level[place] == level
    stained = spleen.values[spleen.tube.cd4, place]
    low = np.quantile(stained[stained < level], 1 - 0.6827)  # one SD of half a normal distribution
    assert spleen.spread[place] == pytest.approx(level - low, rel=1e-3)
    assert spleen.spread[place] > 5 * spleen.noise[place]
    for tube in sources.values():
        assert (tube.spread >= tube.noise).all()
        assert (tube.noise > 0).all()


def test_drawn_shifts_are_of_the_size_asked_for(blood):
    many = [cells.drawn_shift(blood, rng(seed), gain=0.2, stain=0.1, offset=0.5) for seed in range(200)]
    assert np.std([one.gain for one in many]) == pytest.approx(0.2, rel=0.05)
    assert np.std([one.stain for one in many]) == pytest.approx(0.1, rel=0.05)
    assert np.std([one.offset / blood.noise for one in many]) == pytest.approx(0.5, rel=0.05)
    fixed = cells.drawn_shift(blood, rng(), gain=0.2, is_fixed=True).gain
    np.testing.assert_allclose(np.abs(fixed), 0.2)
    assert len(np.unique(fixed)) == 2


def test_an_fmo_shows_the_noise_and_no_stain(blood):
    made = cells.resampled(blood, 16, rng(1))
    change = cells.shift(blood, gain={"CD127": 0.2}, stain={"CD127": 0.4, "CD25": 0.2})
    full = cells.acquired(blood, made, change)
    fmo = cells.without(blood, made, change, "CD127", rng(2))
    place = blood.place("CD127")
    np.testing.assert_array_equal(np.delete(fmo.values, place, 1), np.delete(full.values, place, 1))
    level, spread = (10**0.2 * one[place] for one in (blood.level, blood.spread))
    low, middle, high = np.quantile(fmo.values[:, place], [0.1587, 0.5, 0.8413])
    assert middle == pytest.approx(level, abs=0.05 * spread)
    assert (middle - low, high - middle) == pytest.approx((spread, spread), rel=0.25)
    assert np.median(full.values[:, place]) > level + 10 * spread
    bare = cells.without(blood, made, change, "CD127", rng(2), is_widened=False)
    unstained = 10**0.2 * blood.unstained[:, place]
    assert np.isin(bare.values[:, place], unstained).all()


def test_unstained_cells_are_the_donor_s_and_other_ones_in_each_run(blood):
    change = cells.shift(blood, gain={"CD25": 0.2}, stain={"CD25": 0.4})
    one, other = (cells.unstained(blood, change, rng(seed)) for seed in (1, 2))
    assert (one.cells.cd4, one.cells.repeated, len(one.cells.rows)) == (0, 0, len(blood.unstained) // 2)
    assert not np.array_equal(np.sort(one.cells.rows), np.sort(other.cells.rows))
    place = blood.place("CD25")
    assert np.isin(one.values[:, place], 10**0.2 * blood.unstained[:, place]).all()


# -------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize(("set_", "name"), DILUTED)
def test_a_file_gives_back_the_shifted_values(set_, name, sources, tmp_path):
    tube = sources[set_, name]
    made = cells.acquired(tube, drawn(tube), cells.drawn_shift(tube, rng(3), gain=0.2, stain=0.2, offset=1))
    cells.write_tube(tmp_path / "made.fcs", tube, made)
    bound = ROUNDED * np.abs(made.raw) @ np.abs(np.linalg.inv(made.matrix)) + 1e-6
    assert np.median(np.abs(made.values) / bound) > 1e3  # the bound is small beside the values

    file = read_fcs(tmp_path / "made.fcs")
    assert file.stains == tube.stains
    compensation = match(file.spillover, file)
    raw, rows = list(file.columns(compensation.detectors)), np.arange(len(file))
    for place in range(len(tube.detectors)):
        ours = compensate(raw, compensation.weights(place), rows)
        assert (np.abs(ours - made.values[:, place]) <= bound[:, place]).all()


def test_an_unshifted_file_holds_the_export_s_events(sources, tmp_path):
    for (_, name), tube in sources.items():
        made = cells.acquired(tube, drawn(tube), cells.shift(tube))
        path = tmp_path / f"{name.replace(':', '_')}.fcs"
        cells.write_tube(path, tube, made)
        file = flowio.FlowData(str(path))
        matrix, detectors = flowutils.compensate.get_spill(file.text["spillover"])
        assert list(detectors) == file.pnn_labels
        events = file.as_array(preprocess=False)
        undone = flowutils.compensate.compensate(events, matrix)
        bound = ROUNDED * np.abs(events) @ np.abs(np.linalg.inv(matrix)) + 1e-6
        for marker in ("CD4", "CD8", "CD25", "CD127", "FOXP3", "Helios", "CD3"):
            place = file.pns_labels.index(marker)
            wanted = tube.tube.column(marker)[made.cells.rows]
            assert (np.abs(undone[:, place] - wanted) <= bound[:, place]).all()


def test_the_matrix_is_the_raw_tube_s_under_the_donor_s_detectors(sources):
    own, borrowed = sources["tcells", "403C:Lung"], sources["tcells", "390C:mLN"]
    assert own.detectors[own.place("CD4")] == "355 820/60-A"
    assert borrowed.detectors[borrowed.place("CD4")] == "355 670/30-A"
    np.testing.assert_array_equal(own.matrix, borrowed.matrix)
    assert own.matrix[own.detectors.index("405 605/40-A"), own.detectors.index("405 670/30-A")] > 0.5


# --------------------------------------------------------------------------------------------- trial

SMALL = cells.Design(
    percents=(4, 8), cd4=1_000, replicates=2, controls=("fmo:FOXP3", "unstained", "reference")
)


def written(folder: Path, *tubes, design=SMALL, seed: int = 7) -> Path:
    cells.write(cells.trial(tubes, design, seed), folder)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_seed_writes_the_same_files(blood, tmp_path):
    one, same = (content(written(tmp_path / name, blood)) for name in ("one", "same"))
    other = content(written(tmp_path / "other", blood, seed=8))
    assert one == same
    assert one.keys() == other.keys()
    assert all(one[name] != other[name] for name in one if name.endswith(".fcs"))


def test_a_subject_does_not_depend_on_what_else_is_asked_for(blood, sources, tmp_path):
    alone = content(written(tmp_path / "alone", blood, design=cells.Design(percents=(4, 8), cd4=1_000)))
    among = content(written(tmp_path / "among", sources["tcells", "412C:mLN"], blood))
    files = [name for name in alone if name.endswith(".fcs")]
    assert len(files) == 2
    assert all(alone[name] == among[name] for name in files)


def test_every_file_of_a_trial_draws_events_of_its_own(blood):
    design = cells.Design(percents=(4, 4), cd4=1_000, replicates=2)
    files = [set(made.acquired.cells.rows) for made in cells.trial([blood], design, 7)]
    runs = [made.change.gain[0] for made in cells.trial([blood], design, 7)]
    assert len(files) == len(set(runs)) == 4
    assert all(len(one & other) < 0.3 * len(one) for one, other in itertools.combinations(files, 2))


def test_truth_and_folds_are_those_of_the_labels(blood, tmp_path):
    folder = written(tmp_path / "trial", blood)
    truths = {row["sample"]: row for row in table(folder / "truth.csv")}
    for name, row in truths.items():
        labels = np.load(folder / "truth" / f"{name}.npy")
        assert flowio.FlowData(str(folder / row["file"])).event_count == len(labels) == int(row["events"])
        assert ((labels > 0).sum(), (labels == 2).sum()) == (int(row["cd4"]), int(row["treg"]))
    folds = table(folder / "folds.csv")
    assert [(row["subject"], row["from"], row["to"]) for row in folds] == [
        ("412C-Blood-1", "V1", "V2"), ("412C-Blood-2", "V1", "V2")]  # fmt: skip
    for row in folds:
        before, after = (
            float(truths[f"{row['subject']}_{row[visit]}"]["percent"]) for visit in ("from", "to")
        )
        assert float(row["log_fold"]) == pytest.approx(math.log(after / before), abs=1e-6)
        assert float(row["log_fold"]) == pytest.approx(math.log(2), abs=1e-6)


def test_a_folder_that_holds_something_is_left_alone(blood, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        written(tmp_path, blood)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_trial_without_shifts_is_gated_and_its_folds_are_found(sources, tmp_path):
    words = (ROOT / "gating_strategies" / "flowatlas-tcells.yaml").read_text()
    (tmp_path / "diluted.yaml").write_text(words.replace("compensation: none", "compensation: file"))
    template = load_template(tmp_path / "diluted.yaml")
    design = cells.Design(percents=(4, 16), gain=0, stain=0, controls=("fmo:FOXP3", "unstained", "reference"))
    tubes = [sources["tcells", name] for name in ("390C:mLN", "390C:Spleen", "403C:Lung")]
    trial = written(tmp_path / "trial", *tubes, design=design)
    sheet = read_sheet(trial / "samples.csv", [marker.name for marker in template.markers])
    gate_batch(Request(template, sheet, trial, tmp_path / "out", plots=False))
    states = [row["state"] for row in table(tmp_path / "out" / "files.csv")]
    assert (states.count("done"), states.count("control")) == (12, 12)
    percents = {
        (row["subject"], row["visit"]): float(row["percent"])
        for row in table(tmp_path / "out" / "treg.csv") if row["role"] == "primary"
    }  # fmt: skip
    for row in table(trial / "folds.csv"):
        before, after = (percents[row["subject"], row[visit]] for visit in ("from", "to"))
        assert math.log(after / before) == pytest.approx(float(row["log_fold"]), abs=0.15)
        assert 12 < after < 18  # other hands' outlines: of the truth's order


def test_the_command_writes_a_trial(data, tmp_path, capsys):
    words = [
        "--set",
        "lymphocytes",
        "--seed",
        "1",
        "--tubes",
        "412C:mLN",
        "--cd4",
        "500",
        "--data",
        str(data),
    ]
    cells.main([str(tmp_path / "trial"), *words, "--cache", str(tmp_path / "members")])
    assert len(list((tmp_path / "trial" / "fcs").glob("*.fcs"))) == 4
    assert "412C-mLN-1_V2" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no tube 412C:Moon in lymphocytes; it has"):
        cells.main(
            [str(tmp_path / "no"), *words, "--cache", str(tmp_path / "members"), "--tubes", "412C:Moon"]
        )
