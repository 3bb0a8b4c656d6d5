"""A simulated trial says what it is made of, and is made of what it says."""

from __future__ import annotations

import numpy as np
import pytest

from tregflow.errors import InputError
from tregflow.simulation import (
    DETECTORS,
    DYES,
    FMO,
    LABELS,
    MARKERS,
    TCONV,
    TREG,
    Trial,
    Truth,
    Tube,
    acquire,
    simulate,
)

FLUORESCENCE = slice(6, 14)
SHEET = {"file", "sample", "subject", "visit", "tube", "run", "collected", "day0", "material"}


@pytest.fixture(scope="module")
def trial() -> Trial:
    return simulate(subjects=2, events=8_000, seed=5, drift=0.1, control_events=6_000)


@pytest.fixture(scope="module")
def tubes(trial: Trial) -> dict[str, Tube]:
    return {tube.row["sample"]: tube for tube in trial}


def full(**settings) -> list[Tube]:
    return list(simulate(**{"controls": False, "drift": 0.0, **settings}))


def compensated(tube: Tube) -> np.ndarray:
    return np.linalg.solve(tube.spillover.T, tube.values[:, FLUORESCENCE].T.astype(float)).T


def column(tube: Tube, marker: str) -> np.ndarray:
    return compensated(tube)[:, MARKERS.index(marker)]


def channel(tube: Tube, name: str) -> np.ndarray:
    return tube.values[:, [detector.name for detector in DETECTORS].index(name)]


class TestPlan:
    def test_every_run_has_its_subjects_and_its_controls(self, trial):
        kinds = [row["tube"] for row in trial.rows if row["run"] == "R02"]
        singles = [f"single:{marker}" for marker in MARKERS]
        assert kinds == ["full", "full", *(f"fmo:{m}" for m in FMO), *singles, "unstained", "reference"]

    def test_visits_of_a_subject_are_in_different_runs(self, trial):
        runs = {row["visit"]: row["run"] for row in trial.rows if row["subject"] == "S01"}
        assert runs == {"W00": "R01", "W12": "R02"}

    def test_subjects_beyond_a_run_open_another(self):
        rows = simulate(subjects=5, subjects_per_run=2, controls=False).rows
        assert [row["run"] for row in rows if row["visit"] == "W00"] == ["R01", "R01", "R03", "R03", "R05"]

    def test_sheet_columns_files_and_samples(self, trial):
        assert all(set(row) == SHEET for row in trial.rows)
        for key in ("file", "sample"):
            assert len({row[key].casefold() for row in trial.rows}) == len(trial)

    def test_dates_fit_the_visit(self, trial):
        first, last = (row for row in trial.rows if row["subject"] == "S02" and row["tube"] == "full")
        assert first["collected"] == first["day0"] == last["day0"]
        assert np.datetime64(last["collected"]) - np.datetime64(last["day0"]) == np.timedelta64(84, "D")

    def test_a_reference_tube_belongs_to_nobody(self, trial):
        row = next(row for row in trial.rows if row["tube"] == "reference")
        assert row["subject"] == row["visit"] == row["collected"] == ""

    @pytest.mark.parametrize(
        ("settings", "seen"),
        [
            ({"subjects": 0}, "subjects is 0"),
            ({"events": 0}, "events is 0"),
            ({"seed": -1}, "seed is -1"),
            ({"drift": float("nan")}, "drift is nan"),
            ({"visits": ()}, "visits are none"),
            ({"visits": ("W0", "w0")}, "visits are W0, w0"),
            ({"visits": ("W0", "../x")}, 'visit "../x" cannot name a file'),
        ],
    )
    def test_what_is_no_trial_is_refused(self, settings, seen):
        with pytest.raises(InputError, match="E-USAGE") as refused:
            simulate(**settings)
        assert seen in str(refused.value)


class TestDeterminism:
    def test_same_seed_same_events(self, trial, tubes):
        for order in trial.orders[::5]:
            np.testing.assert_array_equal(acquire(order).values, tubes[order.row["sample"]].values)

    def test_another_seed_other_events(self):
        one, other = (full(subjects=1, events=500, seed=seed)[0] for seed in (1, 2))
        assert not np.array_equal(one.values, other.values)

    def test_more_subjects_change_nobody(self, tubes):
        more = simulate(subjects=9, events=8_000, seed=5, drift=0.1, control_events=6_000)
        again = {order.row["sample"]: order for order in more.orders}
        for sample in ("S01_W00", "S02_W12", "R01_fmo_FOXP3", "R02_reference"):
            tube = acquire(again[sample])
            assert tube.row == tubes[sample].row
            np.testing.assert_array_equal(tube.values, tubes[sample].values)


class TestTruth:
    def test_counts_are_those_of_the_labels(self, tubes):
        for tube in tubes.values():
            names = [LABELS[label] for label in tube.truth.labels]
            tregs = sum(map(names.count, TREG))
            cd4 = tregs + sum(map(names.count, TCONV))
            assert (tube.truth.tregs, tube.truth.cd4) == (tregs, cd4)
            assert tube.truth.percent == pytest.approx(100 * tregs / cd4)
            singles = len(names) - sum(map(names.count, ("debris", "dead", "doublet")))
            assert tube.truth.live_singlets.sum() == singles

    def test_a_percent_of_nothing_is_nan(self):
        assert np.isnan(Truth(np.zeros(3, np.uint8)).percent)

    def test_baselines_are_in_the_human_range(self):
        percents = [tube.truth.percent for tube in full(subjects=20, events=20_000, visits=("W00",))]
        assert 3.5 < min(percents) < max(percents) < 13
        assert np.std(percents) > 1

    def test_treatment_multiplies_tregs_and_their_cd25(self):
        tubes = full(subjects=12, events=20_000, subjects_per_run=12)
        before, after = tubes[:12], tubes[12:]
        folds = [late.truth.percent / early.truth.percent for early, late in zip(before, after, strict=True)]
        assert 1.5 < np.median(folds) < 1.95
        bright = [np.median(column(tube, "CD25")[tube.truth.among(TREG)]) for tube in tubes]
        assert 1.2 < np.median(np.divide(bright[12:], bright[:12])) < 1.4
        dim = [np.median(column(tube, "CD25")[tube.truth.among(TCONV)]) for tube in tubes]
        assert 0.9 < np.median(np.divide(dim[12:], dim[:12])) < 1.1

    def test_enriched_tubes_hold_enough_cd4(self):
        assert min(tube.truth.cd4 for tube in full(subjects=10, events=20_000, enriched=True)) > 10_000


class TestCytometer:
    @pytest.mark.parametrize("marker", MARKERS)
    def test_single_stains_lie_on_their_axis_after_compensation(self, tubes, marker):
        own = MARKERS.index(marker)
        light, dark = compensated(tubes[f"R01_single_{marker}"]), compensated(tubes["R01_unstained"])
        plain = ~tubes[f"R01_single_{marker}"].truth.among(("dead", "doublet", "monocyte", "debris"))
        brightest = light[plain][np.argsort(light[plain, own])[-100:]]
        others = np.arange(len(MARKERS)) != own
        glow = np.median(dark[tubes["R01_unstained"].truth.live_singlets], axis=0)
        np.testing.assert_allclose(np.median(brightest, axis=0)[others], glow[others], atol=150)

    @pytest.mark.parametrize("marker", ["CD3", "CD4", "CD8", "CD127", "CD45RA"])
    def test_single_stains_give_the_matrix_back(self, tubes, marker):
        kind, own = "CD8 naive" if marker == "CD8" else "Tconv naive", MARKERS.index(marker)
        bright, dark = (
            np.median(tube.values[tube.truth.among((kind,)), FLUORESCENCE], axis=0)
            for tube in (tubes[f"R02_single_{marker}"], tubes["R02_unstained"])
        )
        rise = (bright - dark) / (bright - dark)[own]
        np.testing.assert_allclose(rise, tubes["R02_unstained"].spillover[own], atol=0.01)

    @pytest.mark.parametrize("marker", FMO)
    def test_an_fmo_lacks_its_dye_and_no_other(self, tubes, marker):
        fmo, stained = tubes[f"R01_fmo_{marker}"], tubes["S01_W00"]
        assert np.quantile(column(fmo, marker)[fmo.truth.among(TREG)], 0.95) < 700
        for other in ("CD3", "CD4"):
            medians = [np.median(column(tube, other)[tube.truth.among(TCONV)]) for tube in (fmo, stained)]
            assert medians[0] == pytest.approx(medians[1], rel=0.05)

    def test_unstained_cells_only_glow(self, tubes):
        tube = tubes["R01_unstained"]
        assert np.quantile(compensated(tube)[tube.truth.among(TCONV)], 0.99) < 1_000

    def test_without_drift_the_reference_stays_where_it_is(self):
        trial = simulate(subjects=1, events=20_000, drift=0.0)
        first, last = (acquire(order) for order in trial.orders if order.row["tube"] == "reference")
        memory = [compensated(tube)[tube.truth.among(("Tconv memory",))] for tube in (first, last)]
        np.testing.assert_allclose(*(np.median(cells, axis=0) for cells in memory), rtol=0.05)
        np.testing.assert_array_equal(first.spillover, last.spillover)

    def test_drift_is_the_spread_of_gains_between_runs(self):
        trial = simulate(subjects=40, events=1_500, drift=0.2, subjects_per_run=1, visits=("W00",))
        tubes = [acquire(order) for order in trial.orders if order.row["tube"] == "reference"]
        decades = [np.log10(np.median(column(tube, "CD4")[tube.truth.among(TCONV)])) for tube in tubes]
        assert 0.13 < np.std(decades) < 0.27

    def test_negatives_spread_around_their_glow_and_below_zero(self):
        tube = full(subjects=1)[0]
        foxp3 = column(tube, "FOXP3")[tube.truth.among(("Tconv naive",))]
        assert 50 < np.median(foxp3) < 250
        assert 0.005 < (foxp3 < 0).mean() < 0.25

    def test_doublets_have_the_area_of_two_and_the_height_of_one(self):
        tube = full(subjects=1)[0]
        ratio = channel(tube, "FSC-H") / channel(tube, "FSC-A")
        unsaturated = channel(tube, "FSC-A") < 65_535
        single = np.median(ratio[tube.truth.live_singlets])
        assert np.median(ratio[tube.truth.among(("doublet",)) & unsaturated]) < 0.75 * single

    def test_time_runs_forward(self, tubes):
        assert all((np.diff(channel(tube, "Time")) >= 0).all() for tube in tubes.values())

    def test_values_saturate_at_the_range(self, tubes):
        ranges = [detector.range for detector in DETECTORS]
        assert all((tube.values.max(axis=0) <= np.array(ranges) - 1).all() for tube in tubes.values())

    def test_integers_are_the_rounded_floats(self):
        whole, exact = (
            full(subjects=1, events=5_000, enriched=True, visits=("W00",), integers=integers)[0]
            for integers in (True, False)
        )
        assert whole.values.dtype == np.uint32
        assert np.abs(whole.values - np.maximum(exact.values.astype(float), 0)).max() <= 0.51
        t_cells = exact.truth.among((*TCONV, *TREG))
        assert (exact.values[t_cells, FLUORESCENCE] < 0).mean() < 0.005


def test_tregs_can_be_found_but_not_for_nothing():
    for tube in full(subjects=3, seed=4):
        cd4 = tube.truth.among((*TCONV, *TREG))
        cd25, cd127, foxp3 = (column(tube, marker)[cd4] for marker in ("CD25", "CD127", "FOXP3"))
        found = (cd25 > 1_500) & (cd127 < np.minimum(1_800, cd25)) & (foxp3 > 450)
        truth = tube.truth.among(TREG)[cd4]
        f1 = 2 * (found & truth).sum() / (found.sum() + truth.sum())
        assert 0.90 < f1 < 0.99


def test_treg_cd4_is_dimmer():
    tube = full(subjects=1)[0]
    treg, tconv = (np.median(column(tube, "CD4")[tube.truth.among(kinds)]) for kinds in (TREG, TCONV))
    assert treg / tconv == pytest.approx(0.83, abs=0.05)


def test_names_are_those_of_the_panel():
    assert [detector.stain for detector in DETECTORS[FLUORESCENCE]] == list(MARKERS)
    assert [detector.name for detector in DETECTORS[FLUORESCENCE]] == list(DYES)
