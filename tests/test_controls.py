"""Gates look at the right tubes of their run, at no others, and say which; what is not used is said too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import builders
import numpy as np
import pytest
import studies
from studies import everything

from tregflow import controls
from tregflow.batch import Batch, Request, gate_batch, plan_batch
from tregflow.controls import around, neighbours, runs_of, unbridged
from tregflow.io.fcs.writing import write_fcs
from tregflow.io.tables import read_sheet
from tregflow.io.trials import write_trial
from tregflow.job import gate_file
from tregflow.outcome import Outcome
from tregflow.rehearsal import rehearse
from tregflow.simulation import KINDS, simulate
from tregflow.study import Tube
from tregflow.template import Template
from tregflow.tubes import Beside

STORED = 0.5
AT = 0.9
EVENTS = 200
DETECTORS = {"CD4": "V450-A", "FOXP3": "PE-A"}


def template(tube: str = "fmo", across: str = "sample", **changes: Any) -> Template:
    """Return a template that places its FOXP3 gate on another tube; axis units are the file's own."""
    gate = {
        "quantile": {
            "of": "CD4",
            "at": AT,
            "keep": "above",
            "stored": STORED,
            "least": 50,
            "tube": tube,
            "across": across,
        }
    }
    return builders.template(
        builders.row("CD4", "root", ["CD4"], builders.above(0.5)),
        builders.row("Treg", "CD4", ["FOXP3"], gate),
        **{"draws": 0, "shifts": [], **changes},
    )


ON_FMO, ON_REFERENCE = template("fmo"), template("reference")
ACROSS_SUBJECT, ACROSS_RUN = template("sample", "subject"), template("sample", "run")


class Lab:
    """A folder of small files and their sheet. Three in four events are CD4+; FOXP3 of a tube lies around its own place."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.rows = folder, list[dict[str, str]]()
        folder.mkdir(parents=True, exist_ok=True)

    def tube(self, sample: str, foxp3: float, /, *, serial: str = "A", volts: float = 450, stains: Mapping[str, str] | None = None,
             detectors: Mapping[str, str] = DETECTORS, date: str = "15-MAR-2021", events: int = EVENTS,
             tag: str = "", **cells: str) -> Path:  # fmt: skip
        """Write a file and its row: of run R1, unless said otherwise."""
        subject, _, visit = sample.partition("_")
        path = self.folder / f"{sample}.fcs"
        stains = {"CD4": "CD4", "FOXP3": "FOXP3"} if stains is None else stains
        columns = {"CD4": np.where(np.arange(events) % 4 < 3, 0.8, 0.1), "FOXP3": _foxp3(foxp3, events)}
        keywords = {"$DATE": date, "$CYTSN": serial, "$P1V": "400", "$P2V": f"{volts:g}", "$P2TAG": tag}
        write_fcs(path, [detectors[name] for name in detectors], [columns[name].astype(np.float64) for name in detectors],
                  stains=[stains.get(name, "") for name in detectors], ranges=[1] * len(detectors), keywords=keywords)  # fmt: skip
        row = {
            "file": path.name,
            "sample": sample,
            "subject": subject,
            "visit": visit,
            "tube": "full",
            "run": "R1",
        }
        self.rows = [*(one for one in self.rows if one["sample"] != sample), row | cells]
        return path

    def fmo(self, sample: str, foxp3: float, /, **told: Any) -> Path:
        return self.tube(sample, foxp3, tube=told.pop("tube", "fmo:FOXP3"), **told)

    def reference(self, sample: str, foxp3: float, /, **told: Any) -> Path:
        return self.tube(sample, foxp3, tube="reference", subject="", visit="", **told)

    def request(self, stored: Template, out: str = "out", **settings: Any) -> Request:
        studies.write_sheet(self.folder, self.rows)
        tubes = read_sheet(self.folder / "samples.csv", ())
        return Request(stored, tubes, self.folder, self.folder.parent / out, **{"plots": False, **settings})

    def gated(self, stored: Template, out: str = "out", **settings: Any) -> dict[str, Outcome]:
        """Gate every row in this process and return what came of it: what a batch does, without its workers."""
        return {
            job.tube.sample: gate_file(job).outcome for job in self.request(stored, out, **settings).jobs()
        }

    def batch(self, stored: Template, out: str = "out", **settings: Any) -> Batch:
        return gate_batch(self.request(stored, out, **settings))


def _foxp3(place: float, events: int) -> np.ndarray:
    """Return values around a place, of which four in five are a little below it."""
    return place + np.random.default_rng(round(1e6 * place)).normal(0, 0.01, events)


def cut(*places: float) -> float:
    """Return where a tube's, or pooled tubes', CD4+ events have the quantile: numpy's own, of the values as written."""
    is_cd4 = np.arange(EVENTS) % 4 < 3
    return float(np.quantile(np.concatenate([_foxp3(place, EVENTS)[is_cd4] for place in places]), AT))


def placed(outcome: Outcome) -> tuple[float, str, str]:
    """Return the cut of the FOXP3 gate, its status and the tube that it was placed on."""
    gate = outcome.gates["Treg"]
    return gate["shape"]["interval"]["low"], gate["status"], gate["tube"]


def fell_back(outcome: Outcome) -> str:
    """Return why the FOXP3 gate fell back; and see that it did."""
    gate = outcome.gates["Treg"]
    assert (gate["status"], gate["shape"]["interval"]["low"]) == ("fallback", STORED)
    assert outcome.verdict == "review"
    return str(gate["reason"])


def said(outcome: Outcome, code: str) -> list[str]:
    return [finding.sentence for finding in outcome.findings if finding.code == code]


@pytest.fixture
def lab(tmp_path) -> Lab:
    return Lab(tmp_path / "study")


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch) -> None:
    monkeypatch.setattr(controls, "_GATED", {})


class TestPlacedOn:
    def test_the_fmo_of_the_run(self, lab):
        lab.tube("S01_W00", 0.40)
        lab.fmo("S01_fmo", 0.20, visit="W00")
        found = lab.gated(ON_FMO)["S01_W00"]
        assert placed(found) == (pytest.approx(cut(0.20), abs=2e-6), "moved", "fmo:FOXP3")
        assert found.measures[0]["numerator"] == EVENTS * 3 // 4
        assert said(found, "N-ACROSS") == []

    def test_the_reference_tube_of_the_run(self, lab):
        lab.tube("S01_W00", 0.40)
        lab.reference("R1_ref", 0.30)
        found = lab.gated(ON_REFERENCE)
        assert placed(found["S01_W00"]) == (pytest.approx(cut(0.30), abs=2e-6), "moved", "reference")
        assert placed(found["R1_ref"]) == placed(found["S01_W00"])

    def test_its_own_fmo_before_another_subjects_and_that_of_its_visit_before_another_visits(self, lab):
        for sample, place in (("S01_W00", 0.40), ("S01_W12", 0.41), ("S02_W00", 0.42)):
            lab.tube(sample, place)
        lab.fmo("A_other", 0.10, subject="S02", visit="W00")
        lab.fmo("B_later", 0.20, subject="s01", visit="W12")
        lab.fmo("C_own", 0.30, subject="S01", visit="w00")
        found = lab.gated(ON_FMO)
        places = {sample: placed(found[sample])[0] for sample in ("S01_W00", "S01_W12", "S02_W00")}
        assert places == pytest.approx(
            {"S01_W00": cut(0.30), "S01_W12": cut(0.20), "S02_W00": cut(0.10)}, abs=2e-6
        )
        assert not any(said(one, "N-ACROSS") for one in found.values())

    def test_another_subjects_fmo_which_is_noted_with_its_name(self, lab):
        lab.tube("S01_W00", 0.40)
        lab.fmo("S02_fmo", 0.20, subject="S02")
        found = lab.gated(ON_FMO)["S01_W00"]
        assert placed(found)[0] == pytest.approx(cut(0.20), abs=2e-6)
        assert said(found, "N-ACROSS") == ["fmo:FOXP3 is S02_fmo, not a tube of this subject"]
        assert found.verdict == "pass"

    def test_nobodys_fmo_is_not_its_own_either(self, lab):
        lab.tube("S01_W00", 0.40, subject="", visit="")
        lab.fmo("fmo", 0.20, subject="", visit="")
        assert said(lab.gated(ON_FMO)["S01_W00"], "N-ACROSS") == [
            "fmo:FOXP3 is fmo, not a tube of this subject"
        ]

    @pytest.mark.parametrize("written", ["fmo:FOXP3", "FMO:foxp3", "fmo:Fox-P3", "fmo:scurfin"])
    def test_an_fmo_however_the_sheet_spells_its_marker(self, lab, written):
        stored = template("fmo", markers={"CD4": {}, "FOXP3": {"aliases": ["scurfin"]}})
        lab.tube("S01_W00", 0.40)
        lab.fmo("S01_fmo", 0.20, tube=written)
        assert placed(lab.gated(stored)["S01_W00"])[2] == "fmo:FOXP3"

    def test_an_fmo_that_does_not_name_what_it_leaves_out(self, lab):
        """Its marker is looked for on the detector that it has in the full tube."""
        lab.tube("S01_W00", 0.40)
        lab.fmo("S01_fmo", 0.20, stains={"CD4": "CD4"})
        found = lab.gated(ON_FMO)["S01_W00"]
        assert placed(found)[0] == pytest.approx(cut(0.20), abs=2e-6)

    def test_the_tubes_of_the_day_and_cytometer_where_the_sheet_names_no_run(self, lab):
        lab.tube("S01_W00", 0.40, run="")
        lab.tube("S01_W12", 0.40, run="", date="16-MAR-2021")
        lab.fmo("S01_fmo", 0.20, run="")
        found = lab.gated(ON_FMO)
        assert placed(found["S01_W00"])[2] == "fmo:FOXP3"
        assert fell_back(found["S01_W12"]) == "there is no fmo:FOXP3 tube in the run"

    def test_a_gate_on_the_way_that_the_control_itself_places(self, lab):
        """A reference tube places what is placed on reference tubes, on its own events, and goes on from there."""
        content = ON_REFERENCE.to_mapping()
        on_way = {"at": 0.5, "keep": "above", "stored": 0.95, "least": 50, "tube": "reference"}
        content["populations"][0]["gate"] = {"quantile": on_way}
        lab.tube("S01_W00", 0.40)
        lab.reference("R1_ref", 0.30)
        found = lab.gated(Template.from_mapping(content))["S01_W00"]
        assert placed(found) == (pytest.approx(cut(0.30), abs=2e-6), "moved", "reference")

    def test_nothing_else_where_no_gate_asks(self, lab):
        lab.tube("S01_W00", 0.40)
        lab.fmo("S01_fmo", 0.20)
        found = lab.gated(template("sample"))["S01_W00"]
        assert placed(found) == (pytest.approx(cut(0.40), abs=2e-6), "moved", "")
        assert not [part for part in found.parts if part.startswith("run")]


class TestNotPlacedOn:
    """What cannot be used is said with the reason, and the gate falls back to its stored cut."""

    @pytest.mark.parametrize(
        ("told", "why"),
        [
            ({"run": "R2"}, "there is no fmo:FOXP3 tube in the run"),
            ({"tube": "fmo:CD4"}, "there is no fmo:FOXP3 tube in the run"),
            ({"tube": "unstained"}, "there is no fmo:FOXP3 tube in the run"),
            ({"serial": "B"}, 'S01_fmo was acquired otherwise: serial number "B", here "A"'),
            ({"volts": 470}, "S01_fmo was acquired otherwise: FOXP3 on PE-A 470 V, here 450 V"),
            ({"detectors": {"CD4": "V450-A", "FOXP3": "APC-A"}}, "S01_fmo was acquired otherwise: FOXP3 on APC-A, here on PE-A"),
            ({"detectors": {"CD4": "V450-A"}}, "S01_fmo has no channel for FOXP3"),
            ({"stains": {"FOXP3": "FOXP3"}}, "CD4 could not be placed in S01_fmo, it has no channel for CD4"),
            ({"events": 0}, "S01_fmo cannot be used (E-EMPTY-FILE)"),
            ({"events": 40}, "CD4 of the tube fmo:FOXP3 has 30 events, 50 are needed"),
        ],
    )  # fmt: skip
    def test_a_tube_that_does_not_fit(self, lab, told, why):
        lab.tube("S01_W00", 0.40)
        lab.fmo("S01_fmo", 0.20, **told)
        assert fell_back(lab.gated(ON_FMO)["S01_W00"]) == why

    def test_voltages_that_were_only_tuned_fit(self, lab):
        lab.tube("S01_W00", 0.40)
        lab.fmo("S01_fmo", 0.20, volts=459)
        assert placed(lab.gated(ON_FMO)["S01_W00"])[2] == "fmo:FOXP3"

    def test_a_file_that_cannot_be_read(self, lab):
        lab.tube("S01_W00", 0.40)
        path = lab.fmo("S01_fmo", 0.20)
        path.write_bytes(path.read_bytes()[:-1000])
        found = lab.gated(ON_FMO)
        assert fell_back(found["S01_W00"]) == "S01_fmo cannot be used (E-TRUNCATED)"
        assert found["S01_fmo"].state == "refused"

    def test_a_file_that_is_not_there(self, lab):
        lab.tube("S01_W00", 0.40)
        lab.fmo("S01_fmo", 0.20).unlink()
        assert fell_back(lab.gated(ON_FMO)["S01_W00"]) == "S01_fmo cannot be used (E-MISSING)"

    def test_the_next_one_is_used_and_both_are_told(self, lab):
        lab.tube("S01_W00", 0.40)
        lab.fmo("S01_fmo", 0.20, serial="B")
        lab.fmo("S02_fmo", 0.30, subject="S02")
        found = lab.gated(ON_FMO)["S01_W00"]
        assert placed(found)[0] == pytest.approx(cut(0.30), abs=2e-6)
        assert said(found, "N-ACROSS") == ["fmo:FOXP3 is S02_fmo, not a tube of this subject; S01_fmo was acquired otherwise: "
                                           'serial number "B", here "A"']  # fmt: skip

    def test_all_that_were_tried_are_told(self, lab):
        lab.tube("S01_W00", 0.40)
        lab.fmo("S01_fmo", 0.20, serial="B")
        lab.fmo("S02_fmo", 0.30, subject="S02", volts=500)
        assert fell_back(lab.gated(ON_FMO)["S01_W00"]) == (
            'S01_fmo was acquired otherwise: serial number "B", here "A"; '
            "S02_fmo was acquired otherwise: FOXP3 on PE-A 500 V, here 450 V"
        )

    def test_a_file_gated_by_its_name_alone(self, lab):
        lab.tube("S01_W00", 0.40)
        lab.fmo("S01_fmo", 0.20)
        request = replace(lab.request(ON_FMO), tubes=(Tube("S01_W00", "S01_W00.fcs"),))
        (job,) = request.jobs()
        assert fell_back(gate_file(job).outcome) == "there is no fmo:FOXP3 tube in the run"

    def test_without_a_stored_cut_there_is_no_number(self, lab):
        content = ON_FMO.to_mapping()
        del content["populations"][1]["gate"]["quantile"]["stored"]
        lab.tube("S01_W00", 0.40)
        found = lab.gated(Template.from_mapping(content))["S01_W00"]
        assert (found.verdict, found.measures[0]["percent"]) == ("fail", None)

    def test_a_path_that_the_control_cannot_go_down_is_not_gone_down(self, lab):
        """A control without a marker of the way would hold other cells; it is never gated as if the gate were open."""
        lab.tube("S01_W00", 0.40)
        lab.fmo("S01_fmo", 0.20, stains={"FOXP3": "FOXP3"})
        optional = template("fmo", markers={"CD4": {"optional": True}, "FOXP3": {}})
        assert "has no channel for CD4" in fell_back(lab.gated(optional)["S01_W00"])


class TestBridge:
    LANDMARKS = {"CD4": {"FOXP3": [0.30, 0.31, 0.32, 0.33, 0.34, 0.35, 0.36, 0.37]}}  # noqa: RUF012

    def bridged(self) -> Template:
        return template("sample", bridge={"landmarks": self.LANDMARKS})

    def test_a_run_without_a_reference_tube_is_noted(self, lab):
        lab.tube("S01_W00", 0.40)
        found = lab.gated(self.bridged())["S01_W00"]
        assert said(found, "N-UNBRIDGED") == [
            "there is no reference tube in the run, so stored coordinates are used as they are"
        ]
        assert found.verdict == "pass"

    def test_so_is_one_whose_reference_tube_cannot_be_used(self, lab):
        lab.tube("S01_W00", 0.40)
        lab.reference("R1_ref", 0.33, events=0)
        found = lab.gated(self.bridged())["S01_W00"]
        assert said(found, "N-UNBRIDGED") == ["R1_ref cannot be used (E-EMPTY-FILE), so stored coordinates are used as they are"]  # fmt: skip

    def test_a_run_with_one_is_not(self, lab):
        lab.tube("S01_W00", 0.40)
        lab.reference("R1_ref", 0.33)
        found = lab.gated(self.bridged())
        assert not any(said(one, "N-UNBRIDGED") for one in found.values())

    def test_a_control_that_lacks_the_way_is_told_with_a_bridge_too(self, lab):
        lab.tube("S01_W00", 0.40)
        lab.reference("R1_ref", 0.33)
        lab.fmo("S01_fmo", 0.20, stains={"FOXP3": "FOXP3"})
        found = lab.gated(template("fmo", bridge={"landmarks": self.LANDMARKS}))["S01_W00"]
        assert (
            found.gates["Treg"]["reason"] == "CD4 could not be placed in S01_fmo, it has no channel for CD4"
        )

    def test_runs_side_by_side_that_nothing_bridges_are_said_once(self, lab):
        lab.tube("S01_W00", 0.40)
        lab.tube("S01_W12", 0.41, run="R2")
        lab.tube("S02_W12", 0.42, run="R3")
        batch = lab.batch(template("sample"))
        (told,) = [str(one) for one in batch.general]
        assert told == ("N-UNBRIDGED  the template has no bridge between runs, so what differs between them may look like "
                        "treatment: W00 in R1; W12 in R2 and R3")  # fmt: skip
        assert studies.record(lab.folder.parent / "out")["notes"][0]["code"] == "N-UNBRIDGED"

    def test_and_only_those_runs_that_lack_a_reference_tube(self, lab):
        lab.tube("S01_W00", 0.40)
        lab.tube("S01_W12", 0.41, run="R2")
        lab.reference("R1_ref", 0.33)
        (told,) = lab.batch(self.bridged()).general
        assert told.sentence.startswith("no reference tube bridges R2, so ")

    @pytest.mark.parametrize("runs", [("R1", "R1"), ("", "")])
    def test_one_run_needs_no_bridge(self, lab, runs):
        for (sample, place), run in zip((("S01_W00", 0.40), ("S01_W12", 0.41)), runs, strict=True):
            lab.tube(sample, place, run=run)
        assert lab.batch(template("sample")).general == ()

    def test_files_without_numbers_need_none(self):
        refused = Outcome("b", "refused", {}, studies.done("b").file)
        pairs = [(Tube("a", "a.fcs", run="R1"), studies.done("a")), (Tube("b", "b.fcs", run="R2"), refused)]
        assert unbridged(pairs, template("sample")) == ()
        assert unbridged([pairs[0], (pairs[1][0], studies.done("b"))], template("sample"))


class TestAcross:
    def full(self, lab: Lab, **runs: str) -> None:
        for sample, place in {"S01_W00": 0.40, "S01_W12": 0.30, "S02_W00": 0.20}.items():
            lab.tube(sample, place, run=runs.get(sample, "R1"))
        lab.reference("R1_ref", 0.60)
        lab.fmo("S01_fmo", 0.10, visit="W00")

    def test_the_subjects_tubes_are_pooled(self, lab):
        self.full(lab)
        found = lab.gated(ACROSS_SUBJECT)
        for sample, other in (("S01_W00", "S01_W12"), ("S01_W12", "S01_W00")):
            assert placed(found[sample])[0] == pytest.approx(cut(0.40, 0.30), abs=2e-6)
            assert found[sample].gates["Treg"]["across"] == [other]
        assert placed(found["S02_W00"])[0] == pytest.approx(cut(0.20), abs=2e-6)
        assert said(found["S02_W00"], "N-ACROSS") == ["there is no other full tube of the subject in the run to pool with"]  # fmt: skip

    def test_so_are_the_runs_and_the_cut_is_one(self, lab):
        self.full(lab)
        found = lab.gated(ACROSS_RUN)
        cuts = {placed(found[sample])[0] for sample in ("S01_W00", "S01_W12", "S02_W00")}
        assert len(cuts) == 1
        assert cuts.pop() == pytest.approx(cut(0.40, 0.30, 0.20), abs=2e-6)
        assert found["S01_W12"].gates["Treg"]["across"] == ["S01_W00", "S02_W00"]
        assert placed(found["R1_ref"])[0] == pytest.approx(cut(0.60), abs=2e-6)
        assert not said(found["R1_ref"], "N-ACROSS")

    def test_only_where_they_share_a_run(self, lab):
        self.full(lab, S01_W12="R2")
        found = lab.gated(ACROSS_SUBJECT)
        assert placed(found["S01_W00"])[0] == pytest.approx(cut(0.40), abs=2e-6)
        assert found["S01_W00"].gates["Treg"]["across"] == []

    def test_not_a_tube_that_was_acquired_otherwise_or_cannot_be_read(self, lab):
        self.full(lab)
        lab.tube("S01_W12", 0.30, serial="B")
        path = lab.tube("S02_W00", 0.20)
        path.write_bytes(path.read_bytes()[:-1000])
        lab.tube("S02_W12", 0.25, events=0)
        found = lab.gated(ACROSS_RUN)["S01_W00"]
        assert placed(found)[0] == pytest.approx(cut(0.40), abs=2e-6)
        assert said(found, "N-ACROSS") == [
            'S01_W12 cannot be pooled, it was acquired otherwise: serial number "B", here "A"; S02_W00 cannot be pooled (E-TRUNCATED)',
            "S02_W12 cannot be pooled, it holds no events",
        ]

    def test_nor_one_that_lacks_a_marker(self, lab):
        optional = template("sample", "run", markers={"CD4": {"optional": True}, "FOXP3": {}})
        self.full(lab)
        lab.tube("S01_W12", 0.30, stains={"FOXP3": "FOXP3"})
        told = said(lab.gated(optional)["S01_W00"], "N-ACROSS")
        assert "S01_W12 cannot be pooled, it has no channel for CD4" in told

    def test_one_patients_number_is_its_own_unless_the_template_says_run(self, lab):
        """More subjects, with controls of their own, leave a patient's outcome as it was to the last byte."""
        for stored, out in (
            (ON_FMO, "fmo"),
            (ON_REFERENCE, "reference"),
            (ACROSS_SUBJECT, "subject"),
            (ACROSS_RUN, "run"),
        ):
            lab.rows = []
            for sample, place in (("S01_W00", 0.40), ("S01_W12", 0.41)):
                lab.tube(sample, place)
            lab.fmo("S01_fmo", 0.10, visit="W00")
            lab.reference("R1_ref", 0.60)
            before = lab.gated(stored, out)["S01_W00"]
            lab.tube("A02_W00", 0.20)
            lab.fmo("A02_fmo", 0.15, visit="W00")
            is_same = lab.gated(stored, f"{out} again")["S01_W00"] == before
            assert is_same == (stored is not ACROSS_RUN)


class TestAgain:
    """Everything that could change an outcome is in its key, and nothing else is."""

    def study(self, lab: Lab) -> None:
        for run, visit in (("R1", "W00"), ("R2", "W12")):
            lab.tube(f"S01_{visit}", 0.40, run=run)
            lab.tube(f"S02_{visit}", 0.42, run=run)

    def plans(self, lab: Lab, stored: Template = ON_FMO) -> dict[str, tuple[str, ...]]:
        return {tube.sample: ended.why for tube, ended in plan_batch(lab.request(stored)) if ended.why}

    def test_a_control_that_is_added_gates_the_tubes_of_its_run_again(self, lab):
        self.study(lab)
        lab.gated(ON_FMO)
        assert self.plans(lab) == {}
        lab.fmo("S01_fmo", 0.20, run="R2")
        why = ("the run's fmo:FOXP3 tube changed",)
        assert self.plans(lab) == {"S01_W12": why, "S02_W12": why, "S01_fmo": ("no outcome yet",)}
        found = lab.gated(ON_FMO)
        assert placed(found["S01_W12"])[2] == "fmo:FOXP3"
        assert self.plans(lab) == {}

    def test_one_that_changes_is_refused_until_accepted(self, lab):
        self.study(lab)
        lab.fmo("S01_fmo", 0.20)
        lab.batch(ON_FMO)
        lab.fmo("S01_fmo", 0.30)
        found = lab.gated(ON_FMO)
        (told,) = found["S01_W00"].findings
        assert (told.code, told.sentence) == ("E-CHANGED", "S01_fmo, which its gates look at, does not hold what it did "
                                              "before; if the new file is right, run again with --accept-changed")  # fmt: skip
        assert found["S01_fmo"].findings[0].code == "E-CHANGED"
        assert found["S01_W12"].verdict == "review"
        accepted = lab.gated(ON_FMO, accept_changed=True)["S01_W00"]
        assert placed(accepted)[0] == pytest.approx(cut(0.30), abs=2e-6)

    @pytest.mark.parametrize("stored", [ACROSS_RUN, ACROSS_SUBJECT])
    def test_so_is_a_companion(self, lab, stored):
        self.study(lab)
        lab.tube("S01_W12", 0.41)
        lab.gated(stored)
        lab.tube("S01_W12", 0.30)
        assert self.plans(lab, stored)["S01_W00"] == ("the run's tubes to pool changed",)
        assert placed(lab.gated(stored)["S01_W00"])[0] != pytest.approx(cut(0.40, 0.41), abs=1e-3)

    def test_what_a_row_says_of_how_a_control_is_read_counts(self, lab):
        self.study(lab)
        lab.fmo("S01_fmo", 0.20)
        lab.gated(ON_FMO)
        lab.rows[-1]["channel:FOXP3"] = "PE-A"
        assert set(self.plans(lab)) == {"S01_fmo", "S01_W00", "S02_W00"}

    def test_tubes_that_nobody_asks_for_do_not(self, lab):
        self.study(lab)
        lab.fmo("S01_fmo", 0.20)
        before = lab.gated(ON_FMO)
        lab.fmo("S01_fmo4", 0.30, tube="fmo:CD4")
        lab.tube("S01_none", 0.30, tube="unstained")
        lab.reference("R1_ref", 0.20)
        lab.tube("S03_W00", 0.30)
        lab.fmo("A_other", 0.30, run="R3")
        assert set(self.plans(lab)) == {"S01_fmo4", "S01_none", "R1_ref", "S03_W00", "A_other"}
        assert {sample: found for sample, found in lab.gated(ON_FMO).items() if sample in before} == before

    def test_a_control_that_changes_while_it_is_read_makes_no_outcome(self, lab, monkeypatch):
        self.study(lab)
        path = lab.fmo("S01_fmo", 0.20)
        real = controls.read_tube

        def growing(at: Path, *more: Any) -> Any:
            sample = real(at, *more)
            if at == path:
                with path.open("ab") as file:
                    file.write(b"more")
            return sample

        monkeypatch.setattr(controls, "read_tube", growing)
        job = next(job for job in lab.request(ON_FMO).jobs() if job.tube.sample == "S01_W00")
        (told,) = gate_file(job).outcome.findings
        assert (
            str(told)
            == "E-CHANGED  a tube that its gates look at changed while it was being read; is it still being written?"
        )
        assert not studies.outcomes(lab.folder.parent / "out")
        assert controls._GATED == {}

    def test_a_page_is_drawn_with_the_same_controls(self, lab):
        self.study(lab)
        lab.fmo("S01_fmo", 0.20)
        jobs = lab.request(ON_FMO, plots=True).jobs()
        job = next(job for job in jobs if job.tube.sample == "S01_W00")
        gate_file(job)
        page = job.folder.plot_path("S01_W00")
        drawn = page.read_bytes()
        from tregflow.job import draw_again

        draw_again(job)
        assert page.read_bytes() == drawn
        lab.fmo("S01_fmo", 0.30)
        draw_again(job)
        assert not page.exists()


class TestBatches:
    def study(self, lab: Lab) -> None:
        for number, (run, visit) in enumerate((("R1", "W00"), ("R2", "W12"))):
            for place, subject in enumerate(("S01", "S02", "S03")):
                lab.tube(f"{subject}_{visit}", 0.40 + 0.01 * place + 0.1 * number, run=run)
                lab.fmo(f"{subject}_{visit}_fmo", 0.20 + 0.01 * place + 0.1 * number, run=run, visit=visit)
            lab.reference(f"{run}_ref", 0.35 + 0.1 * number, run=run)

    @pytest.mark.parametrize("stored", [ON_FMO, ACROSS_RUN], ids=["fmo", "run"])
    def test_the_bytes_are_the_same_for_two_workers_any_order_and_one_by_one(self, lab, stored):
        self.study(lab)
        lab.batch(stored, "one")
        lab.rows.reverse()
        lab.batch(stored, "two", workers=2)
        out = lab.folder.parent
        assert everything(out / "two") == everything(out / "one")
        alone = {}
        for job in lab.request(stored, "alone").jobs():
            controls._GATED.clear()
            alone[job.tube.sample] = gate_file(job).outcome
        for sample, outcome in alone.items():
            assert (out / "one" / "outcomes" / f"{sample}.json").read_bytes() == outcome.to_bytes()

    def test_a_control_is_read_once_for_the_tubes_of_its_run(self, lab, monkeypatch):
        for subject in ("S01", "S02", "S03"):
            lab.tube(f"{subject}_W00", 0.40)
        lab.fmo("S01_fmo", 0.20, visit="W00")
        read, real = [], controls.read_tube
        monkeypatch.setattr(
            controls, "read_tube", lambda path, *more: read.append(path.stem) or real(path, *more)
        )
        lab.gated(ON_FMO)
        assert read == ["S01_fmo"]

    def test_what_is_kept_of_controls_is_bounded(self, lab):
        for number in range(controls.KEPT + 3):
            lab.tube(f"S{number}_W00", 0.40)
            lab.fmo(f"S{number}_fmo", 0.20 + 0.01 * number, visit="W00")
        found = lab.gated(ON_FMO)
        assert len(controls._GATED) == controls.KEPT
        places = [placed(found[f"S{number}_W00"])[0] for number in range(controls.KEPT + 3)]
        assert places == pytest.approx([cut(0.20 + 0.01 * n) for n in range(controls.KEPT + 3)], abs=2e-6)

    def test_so_is_the_memory_that_it_takes(self, lab, monkeypatch):
        size = EVENTS * len(DETECTORS) * 8
        for number in range(4):
            lab.tube(f"S{number}_W00", 0.40)
            lab.fmo(f"S{number}_fmo", 0.20 + 0.01 * number, visit="W00")
        monkeypatch.setattr(controls, "LARGEST", 2 * size)
        before = lab.gated(ON_FMO)
        assert len(controls._GATED) == 2
        controls._GATED.clear()
        monkeypatch.setattr(controls, "LARGEST", size - 1)
        assert lab.gated(ON_FMO, "again") == before
        assert controls._GATED == {}

    def test_a_tube_that_leans_on_a_flagged_control_is_flagged(self, lab):
        """The FMO was acquired before its blood was drawn: it may be another tube than its row says."""
        self.study(lab)
        row = next(row for row in lab.rows if row["sample"] == "S01_W00_fmo")
        row["collected"] = "2021-04-01"  # drawn after it was acquired
        found = {tube.sample: outcome for tube, outcome in lab.batch(ON_FMO).pairs}
        assert "F-DATE" in [one.code for one in found["S01_W00_fmo"].findings]
        assert said(found["S01_W00"], "F-CONTROL") == [
            "its gates look at S01_W00_fmo, its fmo:FOXP3 tube, which is flagged itself: F-DATE"
        ]
        assert found["S01_W00"].verdict == "review"
        assert {sample for sample, one in found.items() if said(one, "F-CONTROL")} == {"S01_W00", "R1_ref"}

    def test_so_is_one_whose_control_is_a_copy_of_another_file(self, lab):
        self.study(lab)
        (lab.folder / "S01_W00_fmo.fcs").write_bytes((lab.folder / "S02_W12_fmo.fcs").read_bytes())
        found = {tube.sample: outcome for tube, outcome in lab.batch(ON_FMO).pairs}
        assert found["S01_W00_fmo"].state == "refused"
        (told,) = said(found["S01_W00"], "F-CONTROL")
        assert told.startswith(
            "its gates look at S01_W00_fmo, its fmo:FOXP3 tube, which is refused itself: E-TWICE"
        )
        assert found["S03_W00"].is_clean


class TestChoosing:
    """Which tubes are looked at is decided by rows and headers, whatever order they come in."""

    def test_the_order_of_rows_does_not_matter(self, lab):
        lab.tube("S01_W00", 0.40)
        for number in range(4):
            lab.fmo(
                f"S0{number % 2 + 1}_fmo{number}",
                0.2,
                subject=f"S0{number % 2 + 1}",
                serial="AB"[number // 2],
            )
        request = lab.request(ON_FMO)
        near = neighbours(request.tubes, lab.folder, ON_FMO, {})["S01_W00"]
        own = Beside(request.tubes[0], lab.folder / "S01_W00.fcs")
        found = around(own, near, ON_FMO)
        assert found.controls["fmo:FOXP3"].sample == "S01_fmo0"
        assert around(own, near[::-1], ON_FMO) == found

    def test_only_gated_tubes_look_around(self, lab):
        lab.tube("S01_W00", 0.40)
        lab.fmo("S01_fmo", 0.20)
        lab.reference("R1_ref", 0.20)
        request = lab.request(ON_FMO)
        assert set(neighbours(request.tubes, lab.folder, ON_FMO, {})) == {"S01_W00", "R1_ref"}
        assert neighbours(request.tubes, lab.folder, template("sample"), {}) == {}

    def test_headers_are_read_only_where_the_sheet_names_no_run(self, lab, monkeypatch):
        lab.tube("S01_W00", 0.40)
        lab.tube("S01_W12", 0.40, run="")
        lab.tube("S02_W00", 0.40, run="").write_bytes(b"no FCS file")
        seen, real = [], controls.scan_fcs
        monkeypatch.setattr(
            controls, "scan_fcs", lambda path, **more: seen.append(path.stem) or real(path, **more)
        )
        assert runs_of(lab.request(ON_FMO).tubes, lab.folder) == {
            "S01_W00": "R1", "S01_W12": "15-MAR-2021 A", "S02_W00": "",
        }  # fmt: skip
        assert seen == ["S01_W12", "S02_W00"]

    def test_a_refused_tube_looks_at_nothing(self, lab):
        path = lab.tube("S01_W00", 0.40)
        lab.fmo("S01_fmo", 0.20)
        path.write_bytes(b"no FCS file")
        found = lab.gated(ON_FMO)["S01_W00"]
        assert found.state == "refused"
        assert not [part for part in found.parts if part.startswith("run")]


class TestSaidBefore:
    """`check` says before gating which controls are asked for, and which runs lack them."""

    def rehearsed(self, lab: Lab, stored: Template):
        request = lab.request(stored)
        return rehearse(stored, request.tubes, lab.folder)

    def test_what_is_asked_for_and_who_lacks_it(self, lab):
        for number, run in enumerate(("R1", "R2", "R3")):
            lab.tube(f"S01_W{number:02}", 0.40 + 0.01 * number, run=run)
        lab.fmo("S01_fmo", 0.20, run="R2")
        lab.reference("ref", 0.30, run="R9")
        found = self.rehearsed(lab, template("fmo", bridge={"landmarks": TestBridge.LANDMARKS}))
        assert [str(one) for one in found.general if one.code == "N-TUBES"] == [
            "N-TUBES  made  gates look at these tubes of each run: fmo:FOXP3 (not in R1 and R3), reference (not in R1, R2 and R3)"
        ]
        lacks = (
            "there is no fmo:FOXP3 tube in the run; the gates on fmo:FOXP3 fall back to their stored places"
        )
        without = {
            sample: [one.sentence for one in told if one.code == "F-CONTROL"]
            for sample, told in found.said.items()
        }
        assert without == {
            "S01_W00": [lacks],
            "S01_W01": [],
            "S01_W02": [lacks],
            "S01_fmo": [],
            "ref": [lacks],
        }
        assert set(found.troubled) == {"S01_W00", "S01_W02", "ref"}
        assert "N-UNBRIDGED" in [one.code for one in found.said["S01_W01"]]

    def test_a_control_that_is_there_and_does_not_fit(self, lab):
        lab.tube("S01_W00", 0.40)
        lab.fmo("S01_fmo", 0.20, volts=500)
        found = self.rehearsed(lab, ON_FMO)
        assert [str(one) for one in found.general] == [
            "N-TUBES  made  gates look at these tubes of each run: fmo:FOXP3 (in every run)"
        ]
        (told,) = [one.sentence for one in found.said["S01_W00"] if one.code == "F-CONTROL"]
        assert told.startswith("S01_fmo was acquired otherwise: FOXP3 on PE-A 500 V, here 450 V; ")

    def test_files_that_no_run_is_known_of(self, lab):
        lab.tube("S01_W00", 0.40, run="", date="", serial="")
        found = self.rehearsed(lab, ON_FMO)
        assert str(found.general[0]).endswith("fmo:FOXP3 (not in files without a run)")

    def test_nothing_where_no_gate_asks(self, lab):
        lab.tube("S01_W00", 0.40)
        found = self.rehearsed(lab, template("sample"))
        assert found.general == ()
        assert found.troubled == ()

    def test_gating_says_the_same_of_borrowed_tubes(self, lab):
        lab.tube("S01_W00", 0.40)
        lab.fmo("S02_fmo", 0.20, subject="S02", visit="W00")
        told = [one for one in self.rehearsed(lab, ON_FMO).said["S01_W00"] if one.code == "N-ACROSS"]
        assert [one.sentence for one in told] == said(lab.gated(ON_FMO)["S01_W00"], "N-ACROSS") != []


ON_FMO_OF_TRIAL = """\
template: 1
name: fmo
markers: {CD3: {}, CD4: {}, CD25: {}, FOXP3: {}}
compensation: file
scales:
  fluorescence: {logicle: {T: 262144, W: 0.5, M: 4.5, A: 0}}
populations:
  - {name: CD3, parent: root, markers: [CD3], gate: {interval: {low: 0.5}}}
  - {name: CD4, parent: CD3, markers: [CD4], gate: {interval: {low: 0.5}}}
  - {name: CD25hi, parent: CD4, markers: [CD25], gate: {interval: {low: 0.5}}}
  - name: Treg
    parent: CD25hi
    markers: [FOXP3]
    gate: {quantile: {of: CD4, tube: fmo, at: 0.995, keep: above, least: 2000, stored: 0.40, within: [0.3, 0.5]}}
report:
  primary: {name: "Treg of CD4", count: Treg, of: CD4}
limits: {CD4: {refuse_below: 50, review_below: 100}}
draws: 0
"""


@pytest.fixture(scope="module")
def trials(tmp_path_factory) -> dict[str, dict[str, Outcome]]:
    root = tmp_path_factory.mktemp("trials")
    found = {}
    for kind in ("clean", "missing-fmo"):
        options = {"subjects": 2, "events": 4_000, "control_events": 4_000, "seed": 4, "enriched": True}
        write_trial(simulate(**options, **KINDS[kind]), root / kind)
        batch = studies.gated(
            root / kind, root / f"{kind} out", template=studies.small(ON_FMO_OF_TRIAL), workers=2
        )
        found[kind] = {tube.sample: outcome for tube, outcome in batch.pairs if tube.tube == "full"}
    return found


class TestSimulated:
    """A simulated trial with all its controls, and the same without the FMO tubes that the template asks for."""

    def test_with_fmo_tubes_the_run_has_one_cut(self, trials):
        clean = trials["clean"]
        assert {(one.gates["Treg"]["tube"], one.verdict) for one in clean.values()} == {("fmo:FOXP3", "pass")}
        for visit in ("W00", "W12"):
            assert len({placed(clean[f"{subject}_{visit}"])[0] for subject in ("S01", "S02")}) == 1
        borrowed = {sample for sample, one in clean.items() if said(one, "N-ACROSS")}
        assert borrowed == {"S02_W00", "S02_W12"}

    def test_without_them_every_number_is_for_review_and_says_why(self, trials):
        for one in trials["missing-fmo"].values():
            gate = one.gates["Treg"]
            assert (gate["status"], gate["reason"]) == ("fallback", "there is no fmo:FOXP3 tube in the run")
            assert one.verdict == "review"
