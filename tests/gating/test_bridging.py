"""A template across the bridge: what is stored goes where the run's reference tube went."""

from __future__ import annotations

import re

import numpy as np
import pytest
from builders import LOGICLE, gated, row, sample, template

from tregflow.gates.bridge import QUANTILES
from tregflow.gating.bridging import bridged
from tregflow.gating.placing import Walk
from tregflow.template import Template

RNG = np.random.default_rng(8)
CELLS = 10 ** np.concatenate([RNG.normal(2.2, 0.25, 8_000), RNG.normal(3.6, 0.2, 2_000)])
CUT = 900.0
"""Linear units: between the two peaks."""


def stored_at(scale, **bridge) -> Template:
    """Return a template with one stored cut, and the landmarks of `CELLS`."""
    gate = {"interval": {"low": float(scale(np.array(CUT)))}}
    lain = [float(place) for place in np.quantile(scale(CELLS), QUANTILES)]
    return template(row("A", "root", ["CD25"], gate), scales={"fluorescence": LOGICLE},
                    bridge={"landmarks": {"root": {"CD25": lain}}, **bridge})  # fmt: skip


SCALE = template(
    row("A", "root", ["CD25"], {"interval": {"low": 0.5}}), scales={"fluorescence": LOGICLE}
).scales["CD25"]
STORED = stored_at(SCALE, drift=0.15)


def reference(gain: float = 1.0, cells: np.ndarray = CELLS, stored: Template = STORED):
    return gated(stored, sample({"CD25": gain * cells}))


def across(gain: float, stored: Template = STORED, cells: np.ndarray = CELLS):
    return gated(
        stored, sample({"CD25": gain * CELLS}), references={"reference": reference(gain, cells, stored)}
    )


@pytest.mark.parametrize("gain", [0.7, 1.0, 1.5, 2.0])
def test_a_stored_cut_follows_the_gain_of_the_run(gain):
    placed = across(gain).placed["A"]
    assert float(SCALE.inverse(np.array(placed.shape.low))) == pytest.approx(gain * CUT, rel=0.06)
    assert placed.status == "stored"


def test_the_percent_is_the_same_on_both_sides():
    shares = [len(across(gain).members["A"]) / len(CELLS) for gain in (0.7, 1.0, 2.0)]
    assert shares == pytest.approx([0.2, 0.2, 0.2], abs=0.004)


def test_what_moved_is_said_in_decades():
    (said,) = [finding for finding in across(2.0).findings if finding.code == "N-BRIDGED"]
    told = re.fullmatch(r"stored .* decades: CD25 of root \+(0\.\d\d) to \+(0\.\d\d)", said.sentence)
    assert told
    low, high = map(float, told.groups())
    assert (
        0.15 < low < 0.30 <= high < 0.40
    )  # twice the light is 0.30; near zero an axis has steeper and flatter decades


def test_a_detector_that_went_too_far_is_flagged():
    assert "F-BRIDGE" in {finding.code for finding in across(8.0).findings}


def test_a_run_without_a_reference_tube_is_gated_as_stored():
    alone = gated(STORED, sample({"CD25": CELLS}))
    assert alone.template is STORED
    assert not {"N-BRIDGED", "F-BRIDGE"} & {finding.code for finding in alone.findings}


def test_a_reference_with_few_events_carries_nothing_and_says_so():
    found = across(2.0, cells=CELLS[::10])
    assert found.placed["A"].shape.low == pytest.approx(float(SCALE(np.array(CUT))))
    (said,) = [finding for finding in found.findings if finding.code == "F-BRIDGE"]
    assert "CD25 of root" in said.sentence


class TestSameCells:
    """The reference tube's own percent tells whether it is the tube that the landmarks are of."""

    KNOWN = stored_at(SCALE, drift=0.15, percent=20.0)

    def test_the_same_cells_are_known_in_a_run_of_another_gain(self):
        assert "F-BRIDGE" not in {finding.code for finding in across(1.6, self.KNOWN).findings}

    def test_other_cells_are_flagged(self):
        others = np.concatenate([CELLS[:8_000], CELLS[:1_000] * 1.1, CELLS[8_000:9_000]])
        (said,) = [
            finding for finding in across(1.0, self.KNOWN, others).findings if finding.code == "F-BRIDGE"
        ]
        assert "when the template was made it had 20 %; is it the same sample?" in said.sentence


def test_kinds_and_windows_go_too():
    kinds = {"low": {"at": [0.4], "spread": [0.05]}, "high": {"at": [0.7], "spread": [0.05], "steady": False}}
    valley = row("A", "root", ["CD25"], {"valley": {"keep": "above", "stored": 0.55, "within": [0.5, 0.6]}})
    made = template(valley, scales={"fluorescence": LOGICLE}, models={"all": {"of": "root", "markers": ["CD25"], "kinds": kinds}},
                    bridge=STORED.to_mapping()["bridge"])  # fmt: skip
    walk = Walk(made.bind(sample({"CD25": 2 * CELLS})), {"root": np.arange(len(CELLS))})
    carried, _ = bridged(made, {"reference": walk})
    decade = SCALE.decade * np.log10(2)
    assert carried.population("A").gate.within == pytest.approx((0.5 + decade, 0.6 + decade), abs=0.012)
    assert carried.models[0].model.kinds[1].at[0] == pytest.approx(0.7 + decade, abs=0.012)
