"""A simulated trial says what it is made of, and is made of what it says."""

from __future__ import annotations

import csv
import hashlib
import inspect
import json
from dataclasses import fields
from functools import cache

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks
from scipy.stats import kurtosis, skew
from studies import command

from tregflow.errors import InputError
from tregflow.simulation import (
    DETECTORS,
    DYES,
    FMO,
    KINDS,
    LABELS,
    MARKERS,
    TCONV,
    TREG,
    Settings,
    Shift,
    Trial,
    Truth,
    Tube,
    acquire,
    cytometer_of,
    in_words,
    options_of,
    simulate,
)
from tregflow.simulation.donors import drawn
from tregflow.simulation.settings import TROUBLES

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
            ({"at": "w12"}, 'at is "w12", which is no visit of this trial; did you mean "W12"?'),
            ({"stain_drift": -0.1}, "stain_drift is -0.1, but a trial needs at least 0"),
            ({"tails": float("nan")}, "tails is nan"),
            ({"cd4": -1}, "cd4 is -1"),
            ({"dead": 1.0}, "dead is 1, but it is a share from 0 to below 1"),
            ({"sticky": float("nan")}, "sticky is nan, but it is a share"),
            ({"activated": -0.1}, "activated is -0.1, but it is a share"),
            ({"failed": ("FoxP3",)}, '"FoxP3" is no marker of a trial; there are LD, CD3,'),
            ({"fmo": ("CD26",)}, '"CD26" is no marker'),
            (
                {"other_dye": "CD4"},
                '"CD4" is no marker with another dye of a trial; there are CD25, CD127, FOXP3',
            ),
            ({"shifts": (Shift("CD26", 0.4),)}, '"CD26" is no marker'),
            ({"shifts": (Shift("CD25", 0.4, "voltage"),)}, '"voltage" is no kind of shift'),
            (
                {"shifts": (Shift("CD25", float("inf")),)},
                "the shift of CD25 is inf, but it is a finite number",
            ),
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


# ---------------------------------------------------------------------------------- what goes wrong


def fingerprint(**settings) -> str:
    """Return a hash of everything that the tubes of a trial hold."""
    seen = hashlib.sha256()
    for tube in simulate(**settings):
        seen.update(repr(sorted(tube.row.items())).encode())
        seen.update(tube.values.tobytes() + tube.truth.labels.tobytes() + tube.spillover.tobytes())
        seen.update(str(tube.acquired).encode())
    return seen.hexdigest()


@pytest.mark.parametrize(
    ("settings", "known"),
    [
        (
            {"subjects": 2, "events": 3_000, "control_events": 1_500},
            "6962429f4bf451332e568b4cdb470cc03d5a4abbd544a0a7ba21fb2dd1aac80d",
        ),
        (
            {"subjects": 1, "events": 4_000, "seed": 9, "drift": 0.2, "enriched": True, "integers": True, "controls": False},
            "5b3aa82357495a815649e43f0d4bafd4a21364ee736c4c2dc1ff5fbca6157b50",
        ),
    ],
    ids=["as usual", "enriched integers"],
)  # fmt: skip
def test_a_trial_without_troubles_is_what_it_was_before_there_were_any(settings, known):
    """The hashes were taken before the first trouble was written."""
    assert fingerprint(**settings) == known


def test_what_is_not_asked_for_does_not_happen():
    defaults = {name: asked.default for name, asked in inspect.signature(simulate).parameters.items()}
    assert all(defaults[field.name] == field.default for field in fields(Settings))
    assert set(TROUBLES) < {field.name for field in fields(Settings)}


USUAL = {"subjects": 1, "events": 20_000, "control_events": 9_000, "drift": 0.0, "seed": 8}


def by_sample(**settings) -> dict[str, Tube]:
    return {tube.row["sample"]: tube for tube in simulate(**{**USUAL, **settings})}


untroubled = cache(by_sample)


def both(**trouble) -> tuple[dict[str, Tube], dict[str, Tube]]:
    """Return a trial without drift by sample, and the same with trouble."""
    return untroubled(), by_sample(**trouble)


def median(tube: Tube, marker: str, kinds: tuple[str, ...]) -> float:
    return float(np.median(column(tube, marker)[tube.truth.among(kinds)]))


def decades(tube: Tube, other: Tube, marker: str, kinds: tuple[str, ...]) -> float:
    return np.log10(median(other, marker, kinds) / median(tube, marker, kinds))


SMALL = {"subjects": 1, "events": 1_500, "control_events": 600, "drift": 0.1}
RUNS = [f"R{number:03d}" for number in range(400)]


class TestKinds:
    @pytest.mark.parametrize("kind", sorted(set(KINDS) - {"clean", "gain", "treatment", "tails"}))
    def test_a_trouble_at_a_visit_leaves_the_others_alone(self, kind):
        clean, troubled = (
            {tube.row["sample"]: tube for tube in simulate(**{**SMALL, **options})}
            for options in ({}, {**KINDS[kind], "at": "W12"})
        )
        early = [sample for sample, tube in clean.items() if tube.row["run"] == "R01"]
        assert early == [sample for sample, tube in troubled.items() if tube.row["run"] == "R01"]
        for sample in early:
            np.testing.assert_array_equal(clean[sample].values, troubled[sample].values)
            np.testing.assert_array_equal(clean[sample].spillover, troubled[sample].spillover)
        assert troubled.keys() != clean.keys() or any(
            not np.array_equal(clean[sample].values, troubled[sample].values)
            or not np.array_equal(clean[sample].spillover, troubled[sample].spillover)
            for sample in set(clean) - set(early)
        )

    @pytest.mark.parametrize("kind", sorted(set(KINDS) - {"clean"}))
    def test_every_kind_is_another_trial_and_always_the_same(self, kind):
        prints = [fingerprint(**{**SMALL, **options}) for options in ({}, KINDS[kind], KINDS[kind])]
        assert prints[0] != prints[1] == prints[2]

    @pytest.mark.parametrize(
        "kind",
        ["gain", "stain", "offset", "compensation", "treatment", "tails", "sticky", "no-valley", "foxp3-failed",
         "cd25-shift", "cd25-gain", "other-dye"],
    )  # fmt: skip
    def test_the_cells_stay_who_they_were(self, kind):
        for clean, troubled in zip(
            full(subjects=1, events=2_000), full(subjects=1, events=2_000, **KINDS[kind]), strict=True
        ):
            np.testing.assert_array_equal(clean.truth.labels, troubled.truth.labels)

    def test_kinds_add_up(self):
        assert options_of(["few-cells", "sticky", "few-cells"]) == {"cd4": 500, "sticky": 0.5}
        both_dyes = options_of(["no-valley", "cd25-shift"])["shifts"]
        assert both_dyes == (Shift("FOXP3", -0.45), Shift("CD25", 0.4))
        assert options_of([]) == options_of(["clean"]) == {}

    @pytest.mark.parametrize(
        ("kinds", "seen"),
        [
            (["few-cell"], '"few-cell" is no kind of trial; did you mean "few-cells"?'),
            (["?"], '"?" is no kind of trial; there are clean, gain, stain,'),
            (["few-cells", "very-few-cells"], "two kinds set cd4, to 500 and to 300; leave one of them out"),
        ],
    )
    def test_kinds_that_are_none_or_contradict_are_refused(self, kinds, seen):
        with pytest.raises(InputError, match="E-USAGE") as refused:
            options_of(kinds)
        assert seen in str(refused.value)

    def test_in_words(self):
        assert in_words(KINDS["cd25-gain"]) == "shifts CD25 gain +0.4, at W12"
        assert in_words(KINDS["missing-fmo"]) == "fmo CD25 and CD127"
        assert in_words({}) == "as without a kind"

    def test_a_trial_tells_its_options(self):
        trial = simulate(subjects=2, visits=("W00",), **KINDS["no-valley"])
        told = {"subjects": 2, "visits": ("W00",), "drift": 0.05, "foxp3_background": 500.0}
        assert told.items() <= trial.options.items()
        assert trial.options["shifts"] == ({"marker": "FOXP3", "amount": -0.45, "of": "stain"},)
        assert trial.options.keys() == inspect.signature(simulate).parameters.keys()


class TestDrifts:
    @pytest.mark.parametrize(
        ("option", "moved"), [("drift", "gains"), ("stain_drift", "stains"), ("offset_drift", "offsets")]
    )
    def test_each_has_its_spread_and_moves_nothing_else(self, option, moved):
        still, moving = Settings(drift=0.0), Settings(**{"drift": 0.0, option: 0.3})
        seen = np.array([getattr(cytometer_of(moving, run), moved) for run in RUNS])
        seen = seen if moved == "offsets" else np.log10(seen)
        np.testing.assert_allclose(seen.std(axis=0), 0.3, rtol=0.15)
        np.testing.assert_allclose(seen.mean(axis=0), 0.0, atol=0.06)
        assert np.abs(np.corrcoef(seen.T) - np.eye(len(MARKERS))).max() < 0.2
        for name in {"gains", "stains", "offsets"} - {moved}:
            for run in RUNS[:5]:
                was, now = (getattr(cytometer_of(settings, run), name) for settings in (still, moving))
                np.testing.assert_array_equal(was, now)

    def test_drifts_are_drawn_apart(self):
        every = Settings(drift=0.1, stain_drift=0.1, offset_drift=0.1)
        seen = [cytometer_of(every, run) for run in RUNS]
        drawn = [[np.log10(one.gains), np.log10(one.stains), one.offsets] for one in seen]
        assert np.abs(np.corrcoef(np.array(drawn)[:, :, 4].T) - np.eye(3)).max() < 0.2
        alone = [cytometer_of(Settings(drift=0.1), run) for run in RUNS]
        for one, other in zip(seen, alone, strict=True):
            np.testing.assert_array_equal(one.gains, other.gains)

    def test_the_stated_matrix_is_off_by_the_error_and_the_light_is_not(self):
        settings = Settings(drift=0.0, compensation_drift=0.2)
        off = np.array([cytometer_of(settings, run).spillover for run in RUNS])
        true = cytometer_of(Settings(drift=0.0), "R01").spillover
        np.testing.assert_array_equal(cytometer_of(settings, "R01").mixing, true)
        np.testing.assert_array_equal(off[:, true == 0], 0)
        np.testing.assert_array_equal(off[:, np.eye(len(DYES), dtype=bool)], 1)
        spilt = (true > 0) & (true < 1)
        np.testing.assert_allclose((off[:, spilt] / true[spilt]).std(axis=0), 0.2, rtol=0.15)
        np.testing.assert_allclose((off[:, spilt] / true[spilt]).mean(axis=0), 1, atol=0.05)

    def test_compensation_with_a_wrong_matrix_leaves_what_is_wrong_of_the_light(self):
        clean, troubled = both(compensation_drift=0.3)
        for tube in troubled.values():
            np.testing.assert_array_equal(tube.values, clean[tube.row["sample"]].values)
        was, now, own = clean["R02_single_CD4"], troubled["R02_single_CD4"], MARKERS.index("CD4")
        left = median(was, "CD4", TCONV) * (now.cytometer.mixing @ np.linalg.inv(now.spillover))[own]
        wrong = [place for place in range(len(MARKERS)) if place != own and abs(left[place]) > 60]
        assert wrong
        for place in wrong:
            moved = median(now, MARKERS[place], TCONV) - median(was, MARKERS[place], TCONV)
            assert moved == pytest.approx(left[place], rel=0.1)

    def test_the_tubes_follow_the_stain_that_the_run_tells(self):
        clean, troubled = both(stain_drift=0.2)
        for sample in ("S01_W00", "S01_W12"):
            told = np.log10(troubled[sample].cytometer.stains)
            for marker, kinds in (("CD3", TCONV), ("CD4", TCONV), ("CD45RA", ("Tconv naive",))):
                moved = decades(clean[sample], troubled[sample], marker, kinds)
                assert moved == pytest.approx(told[MARKERS.index(marker)], abs=0.02)


class TestShifts:
    def test_of_the_stain_moves_the_stained_and_not_the_glow(self):
        clean, troubled = both(shifts=(Shift("CD25", 0.4),), at="W12")
        moved = decades(clean["S01_W12"], troubled["S01_W12"], "CD25", TREG)
        assert moved == pytest.approx(0.4, abs=0.02)  # the glow beneath it stays
        assert decades(clean["S01_W12"], troubled["S01_W12"], "FOXP3", TREG) == pytest.approx(0, abs=0.01)
        for sample in ("R02_unstained", "R02_fmo_CD25", "R02_single_CD4"):
            np.testing.assert_array_equal(clean[sample].values, troubled[sample].values)

    def test_of_the_gain_moves_all_light_and_the_matrix(self):
        clean, troubled = both(shifts=(Shift("CD25", 0.4, "gain"),), at="W12")
        moved = decades(clean["S01_W12"], troubled["S01_W12"], "CD25", TREG)
        assert moved == pytest.approx(0.4, abs=0.01)
        dark = decades(clean["R02_unstained"], troubled["R02_unstained"], "CD25", TCONV)
        assert dark == pytest.approx(0.4, abs=0.03)
        own, others = MARKERS.index("CD25"), [place for place, name in enumerate(MARKERS) if name != "CD25"]
        was, now = clean["S01_W12"].spillover, troubled["S01_W12"].spillover
        np.testing.assert_allclose(now[own, others], was[own, others] / 10**0.4, atol=1e-6)
        np.testing.assert_allclose(now[others, own], was[others, own] * 10**0.4, atol=1e-6)
        np.testing.assert_array_equal(now[np.ix_(others, others)], was[np.ix_(others, others)])

    def test_of_the_offset_is_added_to_every_event(self):
        clean, troubled = both(shifts=(Shift("FOXP3", -150.0, "offset"),))
        for sample in ("S01_W00", "R02_unstained", "R02_reference"):
            was, now = (channel(tubes[sample], "PE-A").astype(float) for tubes in (clean, troubled))
            np.testing.assert_allclose((now - was)[was < 262_143], -150, atol=0.02)

    def test_they_add_up(self):
        told = cytometer_of(Settings(drift=0.0, shifts=(Shift("CD25", 0.4), Shift("CD25", -0.1))), "R01")
        np.testing.assert_allclose(np.log10(told.stains), [0, 0, 0, 0, 0.3, 0, 0, 0], atol=1e-12)


class TestCells:
    def test_treatment_brightens_what_it_is_told_to(self):
        clean, troubled = both(cd25_fold=2.6, foxp3_fold=2.0, tconv_cd25_fold=1.5)
        was, now = clean["S01_W12"], troubled["S01_W12"]
        assert 10 ** decades(was, now, "CD25", TREG) == pytest.approx(2, rel=0.03)
        assert 10 ** decades(was, now, "FOXP3", TREG) == pytest.approx(2, rel=0.2)
        assert 10 ** decades(was, now, "CD25", ("Tconv activated",)) == pytest.approx(1.5, rel=0.15)
        assert decades(was, now, "CD25", ("Tconv memory",)) == pytest.approx(0, abs=0.01)
        np.testing.assert_array_equal(clean["S01_W00"].values, troubled["S01_W00"].values)

    def test_subjects_answer_around_the_fold(self):
        orders = simulate(subjects=200, controls=False, foxp3_fold=3.0, tconv_cd25_fold=0.5).orders
        added = [drawn(order).brightened for order in orders if order.treated]
        for place, fold in ((1, 3.0), (2, 0.5)):
            answers = [of_one[place][2] for of_one in added]
            assert np.median(answers) == pytest.approx(np.log10(fold), rel=0.03)
            assert np.std(answers) == pytest.approx(0.1 * abs(np.log10(fold)), rel=0.2)

    @pytest.mark.parametrize("wanted", [300, 500])
    def test_few_cells_are_about_as_few_as_asked(self, wanted):
        tubes = full(subjects=30, cd4=wanted)
        counts = np.array([tube.truth.cd4 for tube in tubes])
        assert counts.mean() == pytest.approx(wanted, rel=0.03)
        assert (np.abs(counts - wanted) < 5 * np.sqrt(wanted)).all()
        assert {len(tube.values) for tube in both(cd4=wanted)[1].values() if tube.row["tube"] != "full"} == {
            20_000, 9_000, 3_000
        }  # fmt: skip

    def test_many_are_dead_and_the_living_stay_in_proportion(self):
        tubes = full(subjects=12, events=8_000, dead=0.4)
        counts = [(tube.truth.among(("dead",)).sum(), tube.truth.live_singlets.sum()) for tube in tubes]
        assert np.mean([dead / (dead + live) for dead, live in counts]) == pytest.approx(0.4, abs=0.015)
        usual = full(subjects=12, events=8_000)
        percents = [np.mean([tube.truth.percent for tube in trial]) for trial in (tubes, usual)]
        assert percents[0] == pytest.approx(percents[1], rel=0.06)

    def test_the_reference_donor_has_no_part_in_the_subjects_troubles(self):
        clean, troubled = both(dead=0.4, activated=0.1)
        np.testing.assert_array_equal(clean["R02_reference"].values, troubled["R02_reference"].values)
        assert not np.array_equal(clean["R02_fmo_CD25"].values, troubled["R02_fmo_CD25"].values)

    def test_sticky_cells_have_no_cd3_but_signals_of_a_treg(self):
        clean, troubled = both(sticky=0.5)
        was, now = clean["S01_W00"], troubled["S01_W00"]
        lacking = now.truth.among(("monocyte", "B", "NK"))
        more = np.array([column(now, marker) - column(was, marker) for marker in ("CD25", "FOXP3")])
        held = lacking & (more > 300).all(axis=0)
        assert held.sum() / lacking.sum() == pytest.approx(0.5, abs=0.03)
        for marker in ("CD25", "FOXP3"):
            low, high = np.quantile(column(now, marker)[now.truth.among(TREG)], [0.1, 0.9])
            assert low < np.median(column(now, marker)[held]) < high
        assert np.quantile(column(now, "CD3")[lacking], 0.95) < 1_000
        others = ~lacking & ~now.truth.among(("doublet",))
        np.testing.assert_array_equal(was.values[others], now.values[others])
        dark = column(troubled["R01_fmo_FOXP3"], "FOXP3")[troubled["R01_fmo_FOXP3"].truth.among(("B",))]
        assert np.quantile(dark, 0.95) < 700

    @pytest.mark.parametrize(("asked", "share"), [({}, 0.035), ({"activated": 0.10}, 0.10)])
    def test_so_many_conventional_cells_are_activated(self, asked, share):
        tubes = full(subjects=20, events=6_000, **asked)
        seen = [
            tube.truth.among(("Tconv activated",)).sum() / tube.truth.among(TCONV).sum() for tube in tubes
        ]
        assert np.median(seen) == pytest.approx(share, rel=0.12)
        usual = np.mean([tube.truth.percent for tube in full(subjects=20, events=6_000)])
        assert np.mean([tube.truth.percent for tube in tubes]) == pytest.approx(usual, rel=0.05)

    def test_without_a_valley_foxp3_has_one_peak_and_tregs_are_its_shoulder(self):
        def peaks(tube: Tube) -> int:
            cd4 = np.arcsinh(column(tube, "FOXP3")[tube.truth.among((*TCONV, *TREG))] / 100)
            counts = gaussian_filter1d(np.histogram(cd4, 256, (-3, 7))[0].astype(float), 5)
            return len(find_peaks(counts, prominence=0.003 * counts.max())[0])

        clean, troubled = full(subjects=4), full(subjects=4, **KINDS["no-valley"])
        assert {peaks(tube) for tube in clean} == {2}
        assert {peaks(tube) for tube in troubled} == {1}
        for tube in troubled:
            assert 0.3 < np.log10(median(tube, "FOXP3", TREG) / median(tube, "FOXP3", TCONV)) < 0.6

    def test_a_stain_that_failed_shows_nobody(self):
        clean, troubled = both(failed=("FOXP3",))
        tube = troubled["S01_W00"]
        assert median(tube, "FOXP3", TREG) == pytest.approx(median(tube, "FOXP3", TCONV), abs=40)
        assert decades(clean["S01_W00"], tube, "CD25", TREG) == pytest.approx(0, abs=0.01)
        np.testing.assert_array_equal(troubled["R01_single_FOXP3"].values[:, 6:14] < 5_000, True)

    def test_tails_are_heavier_around_the_same_middle(self):
        usual, heavy, none = (full(subjects=1, tails=tails, visits=("W00",))[0] for tails in (1.0, 3.0, 0.0))
        naive = usual.truth.among(("Tconv naive",))
        shapes = [np.log10(column(tube, "CD45RA")[naive]) for tube in (none, usual, heavy)]
        np.testing.assert_allclose(*([np.median(shape) for shape in shapes[::2]]), atol=0.005)
        assert abs(skew(shapes[0])) < 0.1 < -skew(shapes[1]) < -skew(shapes[2])
        assert abs(kurtosis(shapes[0])) < 0.2 < kurtosis(shapes[1]) < kurtosis(shapes[2])


class TestControls:
    def test_a_missing_fmo_is_in_no_run(self):
        tubes = [row["tube"] for row in simulate(subjects=1, **KINDS["missing-fmo"]).rows]
        assert tubes.count("fmo:CD25") == tubes.count("fmo:CD127") == 2
        assert "fmo:FOXP3" not in tubes

    @pytest.mark.parametrize(
        ("marker", "dye", "kinds"),
        [
            ("CD25", "BB700-A", ("Treg effector",)),
            ("CD127", "BV711-A", ("Tconv memory",)),
            ("FOXP3", "PE-CF594-A", ("Treg effector",)),
        ],
    )
    def test_another_dye_has_its_own_detector_brightness_and_spillover(self, marker, dye, kinds):
        clean, troubled = both(other_dye=marker, at="W12")
        was, now = clean["S01_W12"], troubled["S01_W12"]
        place = MARKERS.index(marker)
        assert now.detectors[6 + place].name == now.cytometer.dyes[place] == dye
        assert [detector.stain for detector in now.detectors[FLUORESCENCE]] == list(MARKERS)
        assert troubled["S01_W00"].detectors == was.detectors == DETECTORS
        assert decades(was, now, marker, kinds) == pytest.approx(
            np.log10(now.cytometer.stains[place]), abs=0.06
        )
        assert abs(decades(was, now, marker, kinds)) > 0.1
        others = np.arange(len(MARKERS)) != place
        np.testing.assert_array_equal(
            was.spillover[np.ix_(others, others)], now.spillover[np.ix_(others, others)]
        )
        assert (was.spillover[place, others] != now.spillover[place, others]).any()

    def test_single_stains_of_another_dye_give_its_row_of_the_matrix_back(self):
        trial = simulate(subjects=1, events=100, control_events=60_000, drift=0.1, other_dye="CD127")
        tubes = {tube.row["sample"]: tube for tube in trial}
        bright, dark = (
            np.median(tube.values[tube.truth.among(("Tconv memory",)), FLUORESCENCE], axis=0)
            for tube in (tubes["R01_single_CD127"], tubes["R01_unstained"])
        )
        rise = (bright - dark) / (bright - dark)[MARKERS.index("CD127")]
        np.testing.assert_allclose(rise, tubes["R01_unstained"].spillover[MARKERS.index("CD127")], atol=0.01)


class TestCommand:
    def test_kinds_and_options_are_those_of_the_trial(self, tmp_path, capsys):
        words = ["--kind", "cd25-shift", "--kind", "few-cells", "--cd4", "120", "--foxp3-fold", "1.4"]
        ended = command(capsys, "simulate", tmp_path / "trial", "--subjects", "2", "--no-controls", *words)
        assert ended.status == 0
        told = json.loads((tmp_path / "trial" / "truth" / "settings.json").read_text())
        trial = simulate(subjects=2, controls=False, foxp3_fold=1.4, **{**KINDS["cd25-shift"], "cd4": 120})
        assert told == json.loads(json.dumps(trial.options))
        with (tmp_path / "trial" / "truth.csv").open(newline="") as file:
            counts = {row["sample"]: int(row["cd4"]) for row in csv.DictReader(file)}
        assert counts == {tube.row["sample"]: tube.truth.cd4 for tube in trial}
        assert counts["S01_W12"] < 200 < 10_000 < counts["S01_W00"]

    @pytest.mark.parametrize(
        ("words", "seen"),
        [
            (["--kind", "stciky"], 'E-USAGE  "stciky" is no kind of trial; did you mean "sticky"?'),
            (["--at", "W24"], 'E-USAGE  at is "W24", which is no visit of this trial; did you mean'),
        ],
    )
    def test_what_is_no_kind_and_no_visit_is_refused(self, tmp_path, capsys, words, seen):
        ended = command(capsys, "simulate", tmp_path / "trial", *words)
        assert (ended.status, (tmp_path / "trial").exists()) == (2, False)
        assert seen in ended.err

    def test_the_help_has_every_kind(self, capsys):
        lines = command(capsys, "simulate", "--help").out.splitlines()
        for kind, options in KINDS.items():
            assert any(line.split() == [kind, *in_words(options).split()] for line in lines)
