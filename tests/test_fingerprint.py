"""Stored coordinates hold for the dye, detector and voltage that they were placed on, and the file says when it has others."""

from __future__ import annotations

from typing import Any

import builders
import numpy as np
import pytest
from studies import gated, small

from tregflow.binding import Marker
from tregflow.fingerprint import findings_of, is_tuning, strangers, volts
from tregflow.io.trials import write_trial
from tregflow.sample import Channel, Sample
from tregflow.simulation import KINDS, simulate
from tregflow.template import Template

KEPT: dict[str, Any] = {"detector": "PE-A", "dye": "PE", "voltage": 450.0}


def strange(fingerprint: dict[str, Any], name: str = "PE-A", voltage: str = "450", tag: str = "") -> str:
    """Return how a file with one channel for CD25 differs from what its coordinates belong to."""
    channels = (Channel("FSC-A"), Channel(name, "CD25", voltage=voltage))
    sample = Sample("made.fcs", channels, np.ones((3, 2)), {"$P2TAG": tag, "$P1TAG": "BV421"})
    markers = [Marker("CD25", fingerprint=fingerprint), Marker("CD3", fingerprint=KEPT), Marker("CD4")]
    found = strangers(markers, sample, {"CD25": 1, "CD4": 0})
    assert set(found) <= {"CD25"}
    return found.get("CD25", "")


@pytest.mark.parametrize(
    ("fingerprint", "told", "way"),
    [
        ({}, {"name": "APC-A"}, ""),
        (KEPT, {}, ""),
        (KEPT, {"name": "pe-a"}, ""),
        (KEPT, {"name": "Comp-PE-A"}, ""),
        (KEPT, {"name": "PE-H"}, "is on PE-H, in the template on PE-A"),
        (KEPT, {"name": "APC-A", "voltage": "600"}, "is on APC-A, in the template on PE-A"),
        ({"voltage": 450.0}, {"name": "APC-A"}, ""),
        (KEPT, {"voltage": "459"}, ""),
        (KEPT, {"voltage": "460"}, "runs at 460 V, in the template at 450 V"),
        (KEPT, {"voltage": "441"}, "runs at 441 V, in the template at 450 V"),
        (KEPT, {"voltage": ""}, ""),
        (KEPT, {"voltage": "0"}, ""),
        (KEPT, {"tag": "pe"}, ""),
        (KEPT, {"tag": "PE-CF594"}, "has another dye ($P2TAG), in the template PE"),
        (KEPT, {"tag": "BV421", "voltage": "500"}, "has another dye ($P2TAG), in the template PE and runs at 500 V, "
         "in the template at 450 V"),
        ({"dye": "PE"}, {"tag": "APC", "name": "APC-A"}, "has another dye ($P2TAG), in the template PE"),
    ],
)  # fmt: skip
def test_what_both_state_is_compared(fingerprint, told, way):
    assert strange(fingerprint, **told) == way


def test_the_dye_of_a_file_is_not_shown():
    """The value of ``$PnTAG`` is not on the keep-list."""
    assert "Qvyxholm" not in strange(KEPT, tag="Qvyxholm")


def test_all_markers_are_one_sentence():
    (told,) = findings_of(
        {"CD25": "is on A, in the template on B", "FOXP3": "runs at 1 V, in the template at 2 V"}
    )
    assert str(told) == (
        "F-FINGERPRINT  CD25 is on A, in the template on B; FOXP3 runs at 1 V, in the template at 2 V"
    )
    assert findings_of({}) == ()


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("450", 450.0),
        (" 450.5 ", 450.5),
        ("0", None),
        ("-4", None),
        ("", None),
        ("inf", None),
        ("high", None),
    ],
)
def test_a_voltage_is_a_number_above_0(written, number):
    assert volts(Channel("PE-A", voltage=written)) == pytest.approx(number if number else np.nan, nan_ok=True)


def test_tuning_is_the_same_seen_from_either_side():
    assert is_tuning(450, 459)
    assert is_tuning(459, 450)
    assert not is_tuning(450, 459.1)
    assert not is_tuning(450, np.nan)


class TestGates:
    """Stored gates of a strange marker are refused; what was found in the file's own events stands."""

    def template(self, gate: dict[str, Any], voltage: float) -> Template:
        markers = {"FOXP3": {"fingerprint": {"detector": "PE-A", "voltage": voltage}}}
        return builders.template(
            builders.row("Treg", "root", ["FOXP3"], gate), markers=markers, draws=0, shifts=[]
        )

    def file(self) -> Sample:
        return builders.sample({"PE-A": np.linspace(0, 1, 1000)}, {"PE-A": "FOXP3"}, voltage={"PE-A": "450"})

    @pytest.mark.parametrize(
        ("gate", "status"),
        [
            (builders.above(0.5), "refused"),
            ({"quantile": {"keep": "above", "at": 0.9}}, "found"),
            ({"quantile": {"keep": "above", "at": 0.9, "least": 5000, "stored": 0.5}}, "refused"),
        ],
    )
    def test_another_voltage(self, gate, status):
        found = builders.gated(self.template(gate, 500), self.file())
        assert found.placed["Treg"].status == status
        assert [one.code for one in found.findings] == ["F-FINGERPRINT"]
        as_made = builders.gated(self.template(gate, 450), self.file())
        assert as_made.placed["Treg"].status != "refused"
        assert as_made.findings == ()


TEMPLATE = """\
template: 1
name: stored
markers: {CD3: {}, CD4: {}, FOXP3: {fingerprint: {detector: PE-A, dye: PE, voltage: 430}}}
compensation: file
scales:
  fluorescence: {logicle: {T: 262144, W: 0.5, M: 4.5, A: 0}}
populations:
  - {name: CD3, parent: root, markers: [CD3], gate: {interval: {low: 0.5}}}
  - {name: CD4, parent: CD3, markers: [CD4], gate: {interval: {low: 0.5}}}
  - {name: Treg, parent: CD4, markers: [FOXP3], gate: {interval: {low: 0.4}}}
report:
  primary: {name: "Treg of CD4", count: Treg, of: CD4}
limits: {CD4: {refuse_below: 50, review_below: 100}}
draws: 0
"""


def test_another_dye_at_one_visit_refuses_its_numbers_and_flags_both_visits(tmp_path):
    """A simulated trial whose FOXP3 has another dye, and so another detector, at week 12."""
    folder = tmp_path / "study"
    write_trial(
        simulate(subjects=2, events=4_000, seed=4, controls=False, enriched=True, **KINDS["other-dye"]),
        folder,
    )
    found = {
        tube.sample: outcome
        for tube, outcome in gated(folder, tmp_path / "out", template=small(TEMPLATE)).pairs
    }
    for subject in ("S01", "S02"):
        before, after = (found[f"{subject}_{visit}"] for visit in ("W00", "W12"))
        assert [one.code for one in before.findings if one.answer == "flag"] == ["F-DETECTOR"]
        assert {"F-DETECTOR", "F-FINGERPRINT"} <= {one.code for one in after.findings}
        (told,) = [one.sentence for one in after.findings if one.code == "F-FINGERPRINT"]
        assert told == "FOXP3 is on PE-CF594-A, in the template on PE-A"
        assert (before.verdict, after.verdict) == ("review", "fail")
        assert after.measures[0]["percent"] is None
        assert after.gates["Treg"]["status"] == "refused"
