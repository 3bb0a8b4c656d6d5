"""The comparison with FlowKit notices: each of these small mistakes makes it report events that differ."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import referee
from referee import Tube, compared, template

from tregflow.gates import shapes
from tregflow.io.fcs import read_fcs
from tregflow.sample import Spillover, Values
from tregflow.view import Mask, View

LOGICLE = {"logicle": {"T": 262144.0, "W": 0.5, "M": 4.5, "A": 0.0}}
ARCSINH = {"arcsinh": {"T": 262144.0, "M": 4.5, "A": 0.0}}


def population(name: str, parent: str, markers: str, gate: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "parent": parent, "markers": markers.split(), "gate": gate}


@pytest.fixture(scope="module")
def tubes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tube]:
    folder = tmp_path_factory.mktemp("mutants")
    made = {"floats": referee.floats(1), "whole numbers": referee.whole_numbers(3)}
    for name, raw in made.items():
        (folder / name).write_bytes(raw)
    return {name: Tube(name, folder / name, is_exact=name == "whole numbers") for name in made}


Hierarchy = tuple[Tube, dict[str, Any], dict[str, str]]


@pytest.fixture(scope="module")
def hierarchies(tubes: dict[str, Tube]) -> list[Hierarchy]:
    """Return a few templates, each with its file and the channels of its markers."""
    cells = population(
        "Cells",
        "root",
        "a b",
        {"polygon": {"vertices": [[3e4, 1e4], [4.5e4, 1e4], [4.6e4, 1e5], [2.8e4, 6e4]]}},
    )
    bright = population("Bright", "Cells", "c", {"interval": {"low": 0.45}})
    rest = population(
        "Rest", "Cells", "c d", {"not": {"rectangle": {"low": [0.3, 0.2], "high": [1.0, None]}}}
    )
    mixed = population("Mixed", "Rest", "c d", {"and": ["Bright", {"not": {"ellipse": {
        "centre": [0.6, 0.5], "covariance": [[0.04, 0.01], [0.01, 0.05]]}}}]})  # fmt: skip
    curved = template(
        {"a": "none", "b": "none", "c": LOGICLE, "d": ARCSINH}, [cells, bright, rest, mixed], compensated=True
    )
    low = population("Low", "root", "a", {"interval": {"low": 400.0, "high": 520.0}})
    band = population("Band", "Low", "b", {"interval": {"low": 60.0, "high": 640.0}})
    star = population(
        "Star", "root", "a b", {"polygon": {"vertices": [[300, 300], [700, 620], [300, 620], [700, 300]]}}
    )
    whole = template({"a": "none", "b": "none"}, [low, band, star], compensated=True)
    return [
        (tubes["floats"], curved, {"a": "FSC-A", "b": "SSC-A", "c": "PE-A", "d": "APC-A"}),
        (tubes["whole numbers"], whole, {"a": "FSC-A", "b": "V450-A"}),
    ]


def differing(hierarchies: list[Hierarchy]) -> int:
    return sum(sum(compared(words, channels, tube).wrong.values()) for tube, words, channels in hierarchies)


def differing_events(hierarchies: list[Hierarchy], sample: Callable[[Path], Any]) -> int:
    """Return how many events differ when tregflow gates what `sample` makes of each file."""
    return sum(
        sum(compared(words, channels, tube, sample(tube.path)).wrong.values())
        for tube, words, channels in hierarchies
    )


def test_nothing_differs_unchanged(hierarchies: list[Hierarchy]) -> None:
    assert differing(hierarchies) == 0
    for tube, words, channels in hierarchies:
        shares = compared(words, channels, tube).shares
        assert all(1 <= share <= 99 for share in shares.values()), shares


@pytest.mark.parametrize(
    ("above", "below", "differs"),
    [(operator.ge, operator.lt, False), (operator.ge, operator.le, True), (operator.gt, operator.lt, True)],
    ids=["low <= x < high", "low <= x <= high", "low < x < high"],
)
def test_another_interval_is_noticed(
    hierarchies: list[Hierarchy],
    monkeypatch: pytest.MonkeyPatch,
    above: Callable[[Values, float], Mask],
    below: Callable[[Values, float], Mask],
    differs: bool,
) -> None:
    def contains(self: shapes.Interval, view: View) -> Mask:
        x, scale = view.linear(0), view.scale(0)
        return above(x, scale.inverse(np.float64(self.low))) & below(x, scale.inverse(np.float64(self.high)))

    monkeypatch.setattr(shapes.Interval, "contains", contains)
    assert (differing(hierarchies) > 0) is differs


def test_a_transposed_matrix_is_noticed(hierarchies: list[Hierarchy]) -> None:
    def transposed(path: Path) -> Any:
        sample = read_fcs(path)
        assert sample.spillover is not None
        turned = Spillover(sample.spillover.names, sample.spillover.matrix.T.copy(), "transposed")
        return replace(sample, spillover=turned)

    assert differing_events(hierarchies, read_fcs) == 0
    assert differing_events(hierarchies, transposed) > 0


def test_a_dropped_complement_is_noticed(
    hierarchies: list[Hierarchy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shapes.Not, "contains", lambda self, view: self.part.contains(view))
    assert differing(hierarchies) > 0


def test_an_ignored_gain_is_noticed(hierarchies: list[Hierarchy]) -> None:
    assert differing_events(hierarchies, lambda path: read_fcs(path, gain="ignore")) > 0


def test_a_forgotten_matrix_is_noticed(hierarchies: list[Hierarchy]) -> None:
    for tube, words, channels in hierarchies:
        without = copy.deepcopy(words) | {"compensation": "none"}
        ours = referee.members_by_tregflow(without, channels, tube.ours)
        theirs = referee.members_by_flowkit(words, channels, tube)
        assert any((ours[name] != theirs[name]).any() for name in theirs)


def test_a_polygon_filled_where_it_crosses_itself_is_noticed(
    hierarchies: list[Hierarchy], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hull(self: shapes.Polygon, view: View) -> Mask:
        corners = np.array(self.vertices)
        points: Values = view.points()
        return ((points >= corners.min(axis=0)) & (points < corners.max(axis=0))).all(axis=1)

    monkeypatch.setattr(shapes.Polygon, "contains", hull)
    assert differing(hierarchies) > 0
