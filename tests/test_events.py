"""What is said of a file's events before any gate looks at them."""

from __future__ import annotations

import numpy as np
import pytest
from builders import sample

from tregflow.events import said_of_events
from tregflow.transforms import Arcsinh, Identity, Linear, Log, Logicle, Transform
from tregflow.view import Bound

LOGICLE = Logicle(262144.0, 0.5, 4.5, 0.0)


def codes(columns: dict[str, np.ndarray], scales: dict[str, Transform]) -> list[str]:
    file = sample(columns)
    bound = Bound(file, {name: file.names.index(name) for name in scales}, scales)
    return [finding.code for finding in said_of_events(bound, bound.finite())]


def spread(top: float, events: int = 10_000) -> np.ndarray:
    return np.linspace(-top / 10, top, events)


@pytest.mark.parametrize("scale", [LOGICLE, Arcsinh(262144.0, 4.5, 0.0), Log(10_000.0, 4.0)])
def test_values_that_are_transformed_already_are_flagged(scale: Transform) -> None:
    assert codes({"CD4": spread(4.5), "CD25": spread(19.9)}, {"CD4": scale, "CD25": scale}) == [
        "F-TRANSFORMED"
    ]


@pytest.mark.parametrize("top", [21.0, 250.0, 3e5])
def test_one_dye_as_bright_as_a_cytometer_measures_is_enough(top: float) -> None:
    assert codes({"CD4": spread(4.5), "CD25": spread(top)}, {"CD4": LOGICLE, "CD25": LOGICLE}) == []


def test_a_thousandth_of_the_events_does_not_hide_it() -> None:
    few = spread(4.0)
    few[:8] = 1e5
    assert codes({"CD4": few}, {"CD4": LOGICLE}) == ["F-TRANSFORMED"]


@pytest.mark.parametrize("scale", [Identity(), Arcsinh(100.0, 2.0, 0.0), Logicle(999.0, 0.3, 3.0, 0.0)])
def test_scales_in_small_units_expect_small_values(scale: Transform) -> None:
    assert codes({"CD4": spread(4.5)}, {"CD4": scale}) == []


def test_nothing_is_said_of_zeros_of_no_events_and_of_nothing_finite() -> None:
    for column in (np.zeros(9), np.empty(0)):
        assert codes({"CD4": column}, {"CD4": LOGICLE}) == []
    assert codes({"CD4": np.full(9, np.nan)}, {"CD4": LOGICLE}) == ["F-NONFINITE"]


def test_scatter_is_not_asked_even_on_a_scale() -> None:
    columns = {"FSC-A": spread(3e5), "CD4": spread(4.0)}
    assert codes(columns, {"FSC-A": Linear(262144.0, 0.0), "CD4": LOGICLE}) == ["F-TRANSFORMED"]
    assert codes({"FSC-A": spread(3e5), "CD4": spread(4.0)}, {"FSC-A": Identity(), "CD4": LOGICLE}) == [
        "F-TRANSFORMED"
    ]


@pytest.mark.parametrize(("lost", "code"), [(1, "N-NONFINITE"), (2, "N-NONFINITE"), (3, "F-NONFINITE")])
def test_one_event_in_a_thousand_may_be_left_out_with_a_note(lost: int, code: str) -> None:
    column = spread(3e5, 2000)
    column[:lost] = np.nan
    assert codes({"CD4": column}, {"CD4": LOGICLE}) == [code]
