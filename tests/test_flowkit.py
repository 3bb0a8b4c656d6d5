"""Gating is FlowKit's, event for event: random hierarchies, gated by both, compared one by one.

Each hierarchy has five markers, one per kind of scale, on channels drawn anew; its gates are drawn
over the events, a third of the edges on an event's own value. An event may differ only within 1e-9
axis units of an edge on a curved scale, where both programs round twice; on linear scales and on
none, none may. There an edge on an event is that event's value to the last bit, unless a matrix was
undone that rounds (FlowKit solves, tregflow inverts): then to single precision, and the last bits
have a test of their own.

What is not compared: events that a logarithmic axis has no value for (x <= 0), which tregflow leaves
out of every gate on that axis and FlowKit leaves in some (an interval open below holds x = 0 there),
and Time, which FlowKit counts in seconds.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flowkit as fk
import numpy as np
import pytest
import referee
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from referee import STRAIGHT, Compared, Tube, compared, kind, template

SCALES: dict[str, list[Any]] = {
    "none": ["none"],
    "linear": [{"linear": {"T": T, "A": A}} for T, A in [(262144.0, 1000.0), (10000.0, 500.0), (1024.0, 0.0)]],
    "log": [{"log": {"T": T, "M": M}} for T, M in [(262144.0, 4.5), (10000.0, 5.0), (1024.0, 3.0)]],
    "arcsinh": [{"arcsinh": {"T": T, "M": M, "A": A}}
                for T, M, A in [(262144.0, 4.5, 0.0), (10000.0, 4.0, 1.0), (1000.0, 2.5, 0.5)]],
    "logicle": [{"logicle": {"T": T, "W": W, "M": M, "A": A}}
                for T, W, M, A in [(262144.0, 0.5, 4.5, 0.0), (262144.0, 1.0, 4.5, 0.0), (262144.0, 2.25, 4.5, 0.0),
                                   (262144.0, 0.0, 4.5, 0.0), (10000.0, 0.5, 4.5, 0.5), (4e6, 1.2, 6.5, 0.0),
                                   (1024.0, 0.3, 3.0, 0.0), (262144.0, 0.5, 4.5, -0.3)]],
}  # fmt: skip
SHAPES = ["interval", "rectangle", "polygon", "crossing polygon", "ellipse"]
FORMS = ["plain", "and", "or", "not"]
REFERRING = ["members", "and", "or", "not"]
CELLS = list(itertools.product(SHAPES, SCALES, FORMS))
random.Random(7).shuffle(CELLS)
HANDS = [CELLS[place : place + 5] for place in range(0, len(CELLS), 5)]
"""Every shape x scale x combination, dealt in fives: a hierarchy is drawn with one hand."""

AXES = {"interval": [1], "rectangle": [2, 1, 3], "polygon": [2], "crossing polygon": [2], "ellipse": [2, 3]}
STAR = [0, 2, 4, 1, 3]


@dataclass
class Tally:
    """What a campaign drew and found."""

    seen: set[str] = field(default_factory=set)
    shapes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    referring: Counter[str] = field(default_factory=Counter)
    logicles: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)
    edges: Counter[str] = field(default_factory=Counter)
    populations: int = 0
    compensated: int = 0
    midway: int = 0
    events: int = 0
    border: int = 0
    left_out: int = 0

    def add(self, drawn: Drawn, found: Compared) -> None:
        if repr(drawn) in self.seen:
            return
        self.seen.add(repr(drawn))
        self.files[drawn.tube.name] += 1
        self.edges.update(drawn.edges)
        self.compensated += drawn.words["compensation"] == "file"
        self.populations += len(drawn.words["populations"])
        self.midway += sum(1 <= share <= 99 for share in found.shares.values())
        self.events, self.border = self.events + found.events, self.border + found.border
        self.left_out += found.left_out
        for population in drawn.words["populations"]:
            self._count(population, drawn.words["scales"])

    def _count(self, population: dict[str, Any], scales: dict[str, Any]) -> None:
        self.referring.update(form for form, _ in _referred(population["gate"]))
        for form, shape in _formed(population["gate"]):
            self.shapes.update((shape, marker, form) for marker in population["markers"])
            if "logicle" in population["markers"]:
                self.logicles[repr(scales["logicle"])] += 1

    @property
    def figures(self) -> str:
        on_events = self.edges["event"] / self.edges.total()
        return (f"{len(self.seen):,} hierarchies ({self.compensated:,} compensated) on {len(self.files)} files, "
                f"{self.populations:,} populations ({self.midway / self.populations:.0%} hold 1-99 % of their parent), "
                f"{self.edges.total():,} edges ({on_events:.0%} on events), {self.events:,} memberships compared: 0 differ; "
                f"{self.border:,} within 1e-9 of an edge on a curved scale fell either way; "
                f"{self.left_out:,} not compared (not finite, or no logarithm); "
                f"rarest shape x scale x form {min(self.shapes.values())} times")  # fmt: skip


def _formed(words: Any, form: str = "plain") -> list[tuple[str, str]]:
    """Return each drawn shape with the combination right around it."""
    if isinstance(words, str):
        return []
    ((what, said),) = words.items()
    if what in {"and", "or"}:
        return [pair for part in said for pair in _formed(part, what)]
    if what == "not":
        return _formed(said, what)
    crosses = what == "polygon" and _crosses(said["vertices"])
    return [] if what == "members" else [(form, "crossing polygon" if crosses else what)]


def _referred(words: Any, form: str = "members") -> list[tuple[str, str]]:
    if isinstance(words, str):
        return [(form, words)]
    ((what, said),) = words.items()
    if what in {"and", "or"}:
        return [pair for part in said for pair in _referred(part, what)]
    return _referred(said, what) if what in {"not", "members"} else []


def _crosses(vertices: list[list[float]]) -> bool:
    """Whether two edges that share no corner meet."""
    count = len(vertices)
    edges = [(vertices[place], vertices[(place + 1) % count]) for place in range(count)]
    return any(_meet(*edges[one], *edges[other]) for one in range(count) for other in range(one + 2, count)
               if (other + 1) % count != one)  # fmt: skip


def _meet(a: list[float], b: list[float], c: list[float], d: list[float]) -> bool:
    def side(p: list[float], q: list[float], r: list[float]) -> float:
        return np.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


# -------------------------------------------------------------------------------------- drawing gates


@dataclass(repr=False)
class Drawn:
    """A hierarchy drawn over a file."""

    tube: Tube
    words: dict[str, Any]
    channels: dict[str, str]
    edges: Counter[str]

    def __repr__(self) -> str:
        return f"{self.tube.name} {self.channels} {self.words}"


@dataclass(repr=False)
class Pen:
    """Draws gates over one file's events."""

    draw: Callable[[st.SearchStrategy[Any]], Any]
    tube: Tube
    channels: dict[str, str]
    scales: dict[str, Any]
    compensated: bool
    edges: Counter[str] = field(default_factory=Counter)

    def values(self, marker: str) -> np.ndarray:
        return self.tube.axis(self.channels[marker], self.scales[marker], compensated=self.compensated)

    def mixes(self, marker: str) -> bool:
        """Whether an edge right on an event would test two ways to undo a matrix, not how a gate is read."""
        words = {"compensation": "file" if self.compensated else "none"}
        return kind(self.scales[marker]) in STRAIGHT and self.tube.mixes(self.channels[marker], words)

    def edge(self, marker: str, low: float, high: float) -> float:
        """Return an edge between two quantiles, on an event's value or between the values of events."""
        values = self.values(marker)
        values = np.sort(values[np.isfinite(values)])
        place = low + (high - low) * self.draw(st.integers(0, 100)) / 100
        value = float(values[round(place * (len(values) - 1))])
        on_event = self.draw(st.integers(0, 2)) == 0
        self.edges["event" if on_event else "between"] += 1
        if on_event:
            return float(np.float32(value)) if self.mixes(marker) else value
        return float(f"{value:.3g}") + 1e-4 * float(values[-1] - values[0])

    def sides(self, marker: str) -> tuple[float | None, float | None]:
        which = self.draw(st.sampled_from(["both", "both", "low", "high"]))
        low = self.edge(marker, 0.0, 0.45) if which != "high" else None
        high = self.edge(marker, 0.55, 1.0) if which != "low" else None
        return low, (None if low is not None and high is not None and not low < high else high)

    def shape(self, markers: list[str], which: str = "") -> dict[str, Any]:
        which = which or self.draw(
            st.sampled_from([shape for shape in SHAPES if len(markers) in AXES[shape]])
        )
        if which == "interval":
            low, high = self.sides(markers[0])
            return {"interval": {"low": low, "high": high}}
        if which == "rectangle":
            low, high = zip(*map(self.sides, markers), strict=True)
            return {"rectangle": {"low": list(low), "high": list(high)}}
        if which == "ellipse":
            return self.ellipse(markers)
        return self.polygon(*markers, crosses=which == "crossing polygon")

    def polygon(self, x: str, y: str, *, crosses: bool) -> dict[str, Any]:
        if self.draw(st.booleans()):
            left, right = self.edge(x, 0.0, 0.4), self.edge(x, 0.6, 1.0)
            low, high = self.edge(y, 0.0, 0.4), self.edge(y, 0.6, 1.0)
            box = [[left, low], [right, low], [right, high], [left, high]]
            return {
                "polygon": {
                    "vertices": self.opened([box[0], box[2], box[1], box[3]] if crosses else box, x, y)
                }
            }
        # five corners, each in its own sector of the middle of the events: joined in order or every other
        sectors = [((0.35, 0.65), (0.0, 0.15)), ((0.85, 1.0), (0.3, 0.5)), ((0.7, 0.85), (0.85, 1.0)),
                   ((0.15, 0.3), (0.85, 1.0)), ((0.0, 0.15), (0.3, 0.5))]  # fmt: skip
        corners = [[self.edge(x, *across), self.edge(y, *up)] for across, up in sectors]
        return {
            "polygon": {
                "vertices": self.opened([corners[place] for place in STAR] if crosses else corners, x, y)
            }
        }

    def opened(self, corners: list[list[float]], x: str, y: str) -> list[list[float]]:
        """Pull corners that fell on one line apart: many events share a value, and a template refuses a line."""
        (x0, y0), (x1, y1), *_ = corners
        if any((x1 - x0) * (v - y0) != (u - x0) * (y1 - y0) for u, v in corners):
            return corners
        across, up = (np.ptp(values[np.isfinite(values)]) for values in map(self.values, (x, y)))
        return [[x0, y0], [x0 + float(across), y0], [x0, y0 + float(up)], *corners[3:]]

    def ellipse(self, markers: list[str]) -> dict[str, Any]:
        points = np.column_stack([self.values(marker) for marker in markers])
        points = points[np.isfinite(points).all(axis=1)]
        at = [self.draw(st.integers(20, 80)) / 100 for _ in markers]
        centre = [float(np.quantile(column, place)) for column, place in zip(points.T, at, strict=True)]
        reach = np.array([np.subtract(*np.quantile(column, [0.9, 0.1])) or 1.0 for column in points.T]) / 2
        lean = self.draw(st.integers(-4, 8)) / 10
        covariance = np.outer(reach, reach) * np.where(np.eye(len(markers)), 1, lean)
        away = points - centre
        squared = np.sort(((away @ np.linalg.inv(covariance)) * away).sum(axis=1))
        distance = float(squared[round((len(squared) - 1) * self.draw(st.integers(15, 85)) / 100)])
        on_event = self.draw(st.integers(0, 2)) == 0
        self.edges["event" if on_event else "between"] += 1
        straight = all(kind(self.scales[marker]) in STRAIGHT for marker in markers)
        distance = float(np.float32(distance)) if not on_event or straight else distance
        return {"ellipse": {"centre": centre, "covariance": covariance.tolist(), "distance": distance or 1.0}}

    def gate(self, markers: list[str], shape: str, form: str, above: list[str]) -> dict[str, Any]:
        drawn = self.shape(markers, shape)
        if form in {"and", "or"}:
            others = [self.part(markers, above) for _ in range(self.draw(st.integers(1, 2)))]
            return {form: [*others, drawn] if self.draw(st.booleans()) else [drawn, *others]}
        return {"not": drawn} if form == "not" else drawn

    def part(self, markers: list[str], above: list[str]) -> Any:
        """Return a part of a combination: a shape, or seldom a name, a complement or another combination."""
        what = self.draw(st.integers(0, 9))
        if what == 0 and above:
            return self.draw(st.sampled_from(above))
        if what == 1:
            return {"not": self.shape(markers)}
        if what == 2:
            return {
                self.draw(st.sampled_from(["and", "or"])): [self.shape(markers), {"not": self.shape(markers)}]
            }
        return self.shape(markers)

    def referring(self, form: str, markers: list[str], above: list[str]) -> dict[str, Any]:
        name = self.draw(st.sampled_from(above))
        if form in {"members", "not"}:
            return {form: name}
        return {form: [name, self.draw(st.sampled_from([{"not": name}, self.shape(markers), *above]))]}


@st.composite
def hierarchies(draw: Any, tube: Tube, hand: list[tuple[str, str, str]]) -> Drawn:
    """Draw a hierarchy over one file, with a gate for each card of a hand and two that refer to others."""
    compensated = tube.is_compensable and draw(st.booleans())
    carriers = draw(st.lists(st.sampled_from(tube.channels), min_size=5, max_size=5, unique=True))
    scales = {name: draw(st.sampled_from(kinds)) for name, kinds in SCALES.items()}
    pen = Pen(draw, tube, dict(zip(SCALES, carriers, strict=True)), scales, compensated)
    populations: list[dict[str, Any]] = []
    for number, card in enumerate([*hand, None, None]):
        above = [population["name"] for population in populations]
        shape, scale, form = card or (
            "",
            draw(st.sampled_from(list(SCALES))),
            draw(st.sampled_from(REFERRING)),
        )
        axes = draw(st.sampled_from(AXES.get(shape, [1, 2])))
        rest = [name for name in SCALES if name != scale]
        others = draw(st.lists(st.sampled_from(rest), min_size=axes - 1, max_size=axes - 1, unique=True))
        markers = draw(st.permutations([scale, *others]))
        gate = pen.gate(markers, shape, form, above) if card else pen.referring(form, markers, above)
        parent = draw(st.sampled_from(["root", "root", *above]))
        populations.append({"name": f"P{number}", "parent": parent, "markers": markers, "gate": gate})
    return Drawn(tube, template(scales, populations, compensated=compensated), pen.channels, pen.edges)


# --------------------------------------------------------------------------------------- the campaigns


def campaign(dealt: Iterable[tuple[Tube, list[tuple[str, str, str]]]], examples: int) -> Tally:
    """Compare so many hierarchies for each file and hand; the first that differs is shrunk and shown."""
    tally = Tally()
    for tube, hand in dealt:

        @settings(max_examples=examples, derandomize=True, database=None, deadline=None,
                  phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(hierarchies(tube, hand))
        def same(drawn: Drawn) -> None:
            found = compared(drawn.words, drawn.channels, drawn.tube)
            assert not found.wrong
            tally.add(drawn, found)

        same()
    return tally


def _require_variety(tally: Tally) -> None:
    cells = {(shape, scale, form): tally.shapes[shape, scale, form]
             for shape in SHAPES for scale in SCALES for form in FORMS}  # fmt: skip
    assert {cell: count for cell, count in cells.items() if count < 20} == {}
    assert {form: tally.referring[form] for form in REFERRING if tally.referring[form] < 20} == {}
    assert len(tally.logicles) == len(SCALES["logicle"])
    assert min(tally.logicles.values()) >= 20
    _require_substance(tally)


def _require_substance(tally: Tally) -> None:
    assert tally.midway >= tally.populations / 2
    assert tally.edges["event"] >= tally.edges.total() / 4


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> list[Tube]:
    folder = tmp_path_factory.mktemp("synthetic")
    made = {"floats": referee.floats(1), "more floats": referee.floats(2), "whole numbers": referee.whole_numbers(3),
            "log amplified": referee.log_amplified(4), "with gaps": referee.with_gaps(5)}  # fmt: skip
    for name, raw in made.items():
        (folder / f"{name}.fcs").write_bytes(raw)
    return [Tube(name, folder / f"{name}.fcs", is_exact=name == "whole numbers") for name in made]


REAL = ["flowatlas_tcells/390C/Donor_Liver_026.cleaned.fcs", "flowatlas_tcells/412C/412C_mLN_026.cleaned.fcs",
        "flowatlas_lymphocytes/390C/390C_Liver_026.fcs", "flowatlas_lymphocytes/412C/412C_Ileum_027.fcs",
        "flowatlas_raw_unstained/403C_Donor_unst_021.fcs", "flowatlas_raw_unstained/412C_unst_022.fcs",
        "sdy420_cytof_cd25_cd127/11059_cells_found.573523.fcs", "cycombine_spectral_foxp3/test.fcs"]  # fmt: skip


def test_random_hierarchies_on_synthetic_files(
    synthetic: list[Tube], record_property: Callable[..., None]
) -> None:
    tally = campaign(itertools.product(synthetic, HANDS), examples=6)
    record_property("figures", f"FlowKit, synthetic files: {tally.figures}")
    assert len(tally.seen) >= 200
    assert len(tally.files) == len(synthetic)
    _require_variety(tally)


@pytest.mark.data
def test_random_hierarchies_on_real_files(data: Path, record_property: Callable[..., None]) -> None:
    tubes = [Tube(Path(name).name, data / "treg" / name) for name in REAL]
    dealt = [
        (tube, hand)
        for place, tube in enumerate(tubes)
        for hand in HANDS[place % 4 :: 2 if tube.is_compensable else 4]
    ]
    tally = campaign(dealt, examples=4)
    record_property("figures", f"FlowKit, files of shared/data/treg: {tally.figures}")
    assert len(tally.files) == len(REAL)
    assert tally.compensated >= 20
    _require_substance(tally)


def test_an_edge_on_a_compensated_value_is_decided_by_its_last_bit(
    synthetic: list[Tube], record_property: Callable[..., None]
) -> None:
    tube = next(tube for tube in synthetic if tube.name == "floats")
    values = tube.axis("PE-A", "none", compensated=True)
    populations = [{"name": f"P{row}", "parent": "root", "markers": ["m"],
                    "gate": {"interval": {"low": float(values[row])}}} for row in range(200)]  # fmt: skip
    words = template({"m": "none"}, populations, compensated=True)
    found = compared(words, {"m": "PE-A"}, tube, mixing_rounds=True)
    record_property("figures", f"FlowKit, 200 edges on compensated values, not scaled: {found.border} events within "
                    "1e-9 of full scale fell either way, 0 others")  # fmt: skip
    assert not found.wrong
    assert 0 < found.border <= 200


def test_quadrants_are_four_rectangles(synthetic: list[Tube]) -> None:
    tube, cuts = synthetic[0], (120.0, 900.0)
    quadrants = {"low low": (None, cuts[0], None, cuts[1]), "low high": (None, cuts[0], cuts[1], None),
                 "high low": (cuts[0], None, None, cuts[1]), "high high": (cuts[0], None, cuts[1], None)}  # fmt: skip
    dividers = [fk.QuadrantDivider(axis, channel, "uncompensated", [cut])
                for axis, channel, cut in zip("xy", ["PE-A", "APC-A"], cuts, strict=True)]  # fmt: skip
    strategy = fk.GatingStrategy()
    corners = [
        fk.gates.Quadrant(name, ["x", "y"], [edges[:2], edges[2:]]) for name, edges in quadrants.items()
    ]
    strategy.add_gate(fk.gates.QuadrantGate("four", dividers, corners), ("root",))
    results = strategy.gate_sample(tube.theirs)
    populations = [{"name": name, "parent": "root", "markers": ["x", "y"],
                    "gate": {"rectangle": {"low": [left, low], "high": [right, high]}}}
                   for name, (left, right, low, high) in quadrants.items()]  # fmt: skip
    words = template({"x": "none", "y": "none"}, populations, compensated=False)
    ours = referee.members_by_tregflow(words, {"x": "PE-A", "y": "APC-A"}, tube.ours)
    for name in quadrants:
        np.testing.assert_array_equal(ours[name], results.get_gate_membership(name, ("root", "four")))
        assert 0 < ours[name].mean() < 1
