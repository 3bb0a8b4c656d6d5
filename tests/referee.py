"""FlowKit as the referee: one template gated by tregflow and by FlowKit, compared event by event.

The template's own words (the mapping that a YAML file holds) are the common source: tregflow reads
them with `Template.from_mapping`, and `strategy` turns them into a FlowKit strategy without a line
of tregflow's.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import flowkit as fk
import flowutils
import numpy as np
from fcs_bytes import fcs_bytes, parameter

from tregflow.gating import gate
from tregflow.io.fcs import read_fcs
from tregflow.sample import Sample
from tregflow.template import Template

NEAR = 1e-9
"""Axis units from an edge within which two roundings may put an event on either side."""

STRAIGHT = frozenset({"none", "linear"})
"""Scales on which both programs do the same arithmetic, so that no event may differ."""

Mask = np.ndarray
Words = Mapping[str, Any]


@dataclass(eq=False)
class Tube:
    """One file, read by both.

    Parameters
    ----------
    name : str
        What figures call it.
    path : Path
        The file.
    is_exact : bool
        Whether its spillover can be undone without rounding.
    """

    name: str
    path: Path
    is_exact: bool = False
    _axes: dict[tuple[str, str, bool], np.ndarray] = field(default_factory=dict)

    def _repr_pretty_(self, printer: Any, _: bool) -> None:  # how hypothesis shows an example
        printer.text(repr(self.name))

    @cached_property
    def ours(self) -> Sample:
        return read_fcs(self.path)

    @cached_property
    def theirs(self) -> fk.Sample:
        return fk.Sample(str(self.path), sample_id=self.name)

    @property
    def is_compensable(self) -> bool:
        return bool({"spill", "spillover"} & set(self.theirs.metadata))

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Channels that gates may be drawn on: not Time, which FlowKit counts in seconds, and not constant."""
        raw = self.theirs.get_events("raw")
        return tuple(name for place, name in enumerate(self.theirs.pnn_labels)
                     if name.casefold() not in {"time", "event_length"} and len(np.unique(raw[:, place])) > 20)  # fmt: skip

    @cached_property
    def mixed(self) -> frozenset[str]:
        """Channels that compensation changes."""
        text = self.theirs.metadata.get("spillover") or self.theirs.metadata.get("spill")
        return frozenset(flowutils.compensate.get_spill(text)[1]) if text else frozenset()

    @cached_property
    def _compensated(self) -> np.ndarray:
        text = self.theirs.metadata.get("spillover") or self.theirs.metadata.get("spill")
        matrix, detectors = flowutils.compensate.get_spill(text)
        places = [self.theirs.pnn_labels.index(name) for name in detectors]
        return flowutils.compensate.compensate(self.theirs.get_events("raw"), matrix, places)

    def linear(self, channel: str, *, compensated: bool) -> np.ndarray:
        """Return FlowKit's linear values of one channel."""
        events = self._compensated if compensated else self.theirs.get_events("raw")
        return events[:, self.theirs.pnn_labels.index(channel)]

    def axis(self, channel: str, scale: Any, *, compensated: bool) -> np.ndarray:
        """Return FlowKit's axis values of one channel."""
        key = (channel, repr(scale), compensated)
        if key not in self._axes:
            linear = self.linear(channel, compensated=compensated)
            with np.errstate(all="ignore"):  # FlowKit takes the logarithm of what is not above zero
                self._axes[key] = linear if scale == "none" else transform(scale).apply(linear[:, None])[:, 0]
        return self._axes[key]

    def mixes(self, channel: str, words: Words) -> bool:
        """Whether the two programs reach a channel's linear values by different roundings."""
        return words["compensation"] == "file" and channel in self.mixed and not self.is_exact


def kind(scale: Any) -> str:
    """Return the name of a scale as a template writes it."""
    return scale if isinstance(scale, str) else next(iter(scale))


def template(scales: Words, populations: Sequence[Words], *, compensated: bool) -> dict[str, Any]:
    """Return a template with these scales, one marker each, and these populations."""
    return {
        "template": 1, "name": "drawn", "markers": {marker: {} for marker in scales}, "scales": dict(scales),
        "compensation": "file" if compensated else "none", "scaling": {"gain": "apply"}, "populations": list(populations),
        "report": {"primary": {"name": "first", "count": populations[0]["name"], "of": "root"}},
    }  # fmt: skip


# ------------------------------------------------------------------------------------- FlowKit's side


def transform(scale: Words) -> Any:
    """Return FlowKit's transform of a template's scale."""
    ((name, settings),) = scale.items()
    makers = {"logicle": fk.transforms.LogicleTransform, "arcsinh": fk.transforms.AsinhTransform,
              "log": fk.transforms.LogTransform, "linear": fk.transforms.LinearTransform}  # fmt: skip
    return makers[name](**{f"param_{letter.lower()}": value for letter, value in settings.items()})


@dataclass
class _Tree:
    """A FlowKit strategy while it grows."""

    channels: Mapping[str, str]
    scales: Words
    compensated: bool
    strategy: fk.GatingStrategy = field(default_factory=fk.GatingStrategy)
    paths: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"root": ()})

    def add(self, name: str, words: Any, markers: Sequence[str], path: tuple[str, ...]) -> dict[str, Any]:
        """Add what a gate says, helpers first; return how a Boolean gate refers to it."""
        if isinstance(words, str):
            return {"ref": words, "path": self.paths[words], "complement": False}
        ((what, said),) = words.items()
        if what == "members":
            return self.add(name, said, markers, path)
        if what in {"and", "or"}:
            refs = [self._part(f"{name}.{place}", part, markers, path) for place, part in enumerate(said)]
            self.strategy.add_gate(fk.gates.BooleanGate(name, what, refs), path)
        elif what == "not":
            refs = [self.add(f"{name}.0", said, markers, path)]
            self.strategy.add_gate(fk.gates.BooleanGate(name, "not", refs), path)
        else:
            self.strategy.add_gate(_drawn(name, what, said, self._dimensions(markers, what, said)), path)
        return {"ref": name, "path": path, "complement": False}

    def _part(self, name: str, words: Any, markers: Sequence[str], path: tuple[str, ...]) -> dict[str, Any]:
        if isinstance(words, Mapping) and "not" in words:
            return self.add(name, words["not"], markers, path) | {"complement": True}
        return self.add(name, words, markers, path)

    def _dimensions(self, markers: Sequence[str], what: str, said: Words) -> list[fk.Dimension]:
        edges = _edges(what, said) or [(None, None)] * len(markers)
        return [fk.Dimension(self.channels[marker], "FCS" if self.compensated else "uncompensated",
                             None if self.scales[marker] == "none" else f"on {marker}", low, high)
                for marker, (low, high) in zip(markers, edges, strict=True)]  # fmt: skip


def _edges(what: str, said: Words) -> list[tuple[float | None, float | None]]:
    if what == "interval":
        return [(said.get("low"), said.get("high"))]
    return list(zip(said["low"], said["high"], strict=True)) if what == "rectangle" else []


def _drawn(name: str, what: str, said: Words, dimensions: list[fk.Dimension]) -> Any:
    if what == "polygon":
        return fk.gates.PolygonGate(name, dimensions, said["vertices"])
    if what == "ellipse":
        return fk.gates.EllipsoidGate(
            name, dimensions, said["centre"], said["covariance"], said.get("distance", 1.0)
        )
    return fk.gates.RectangleGate(name, dimensions)


def members_by_flowkit(words: Words, channels: Mapping[str, str], tube: Tube) -> dict[str, Mask]:
    """Return the members of every population as FlowKit sees them; each shape (n_events,)."""
    tree = _Tree(channels, words["scales"], words["compensation"] == "file")
    for marker, scale in words["scales"].items():
        if scale != "none":
            tree.strategy.add_transform(f"on {marker}", transform(scale))
    for population in words["populations"]:
        parent = population["parent"]
        path = (*tree.paths[parent], parent)
        tree.paths[population["name"]] = path
        gate_words = population["gate"]
        if "members" in gate_words:  # FlowKit has no gate that is another population
            gate_words = {"and": [gate_words["members"]]}
        tree.add(population["name"], gate_words, population["markers"], path)
    with np.errstate(all="ignore"):  # logarithms of what is not above zero, again
        results = tree.strategy.gate_sample(tube.theirs)
    return {
        name: np.asarray(results.get_gate_membership(name, path)) for name, path in tree.paths.items() if path
    }


# ----------------------------------------------------------------------------------------- our side


def members_by_tregflow(words: Words, channels: Mapping[str, str], sample: Sample) -> dict[str, Mask]:
    """Return the members of every population, and of the root, as tregflow sees them."""
    template = Template.from_mapping(words)
    gated = gate(template.bind(sample, channels), template)
    return {name: _flags(rows, len(sample)) for name, rows in gated.members.items()}


def _flags(rows: np.ndarray, length: int) -> Mask:
    flags = np.zeros(length, bool)
    flags[rows] = True
    return flags


# ------------------------------------------------------------------------------------ the comparison


@dataclass(frozen=True)
class Compared:
    """One hierarchy on one file.

    Parameters
    ----------
    events : int
        Memberships compared: populations times events.
    wrong : dict of str to int
        Events that differ with no edge near, by population.
    border : int
        Memberships that differ within `NEAR` of an edge on a curved axis.
    left_out : int
        Memberships not compared, because a logarithm has no value there.
    shares : dict of str to float
        Per cent of the parent by population, as FlowKit sees it; NaN where the parent is empty.
    """

    events: int
    wrong: dict[str, int]
    border: int
    left_out: int
    shares: dict[str, float]


def compared(
    words: Words,
    channels: Mapping[str, str],
    tube: Tube,
    sample: Sample | None = None,
    *,
    mixing_rounds: bool = False,
) -> Compared:
    """Gate one file by both programs and compare event by event.

    Parameters
    ----------
    words : mapping
        The template.
    channels : mapping of str to str
        ``$PnN`` of every marker.
    tube : Tube
        The file.
    sample : Sample, optional
        What tregflow gates, if not the tube's own.
    mixing_rounds : bool
        Whether an event near an edge on a linear or unscaled axis may differ where a matrix was undone.
    """
    theirs = members_by_flowkit(words, channels, tube)
    ours = members_by_tregflow(words, channels, sample or tube.ours)
    edge = _Edge(words, channels, tube, mixing_rounds)
    wrong, border, events, left_out = {}, 0, 0, 0
    for population in words["populations"]:
        name = population["name"]
        comparable = ours["root"] & ~edge.blind(name)
        differs = comparable & (ours[name] != theirs[name])
        near = edge.near(name) if differs.any() else differs
        events, left_out = events + int(comparable.sum()), left_out + int((~comparable).sum())
        border += int((differs & near).sum())
        if (differs & ~near).any():
            wrong[name] = int((differs & ~near).sum())
    return Compared(events, wrong, border, left_out, dict(_shares(words, theirs)))


def _shares(words: Words, members: Mapping[str, Mask]) -> Iterator[tuple[str, float]]:
    for population in words["populations"]:
        parent = members.get(population["parent"], np.ones(1, bool))
        total = len(members[population["name"]]) if population["parent"] == "root" else parent.sum()
        yield population["name"], float(100 * members[population["name"]].sum() / total) if total else np.nan


@dataclass
class _Edge:
    """Which events lie so near an edge, of a population or of one it leans on, that rounding decides."""

    words: Words
    channels: Mapping[str, str]
    tube: Tube
    mixing_rounds: bool
    _near: dict[str, Mask] = field(default_factory=dict)
    _blind: dict[str, Mask] = field(default_factory=dict)

    @cached_property
    def populations(self) -> dict[str, Words]:
        return {population["name"]: population for population in self.words["populations"]}

    @property
    def compensated(self) -> bool:
        return self.words["compensation"] == "file"

    def none(self) -> Mask:
        return np.zeros(len(self.tube.ours), bool)

    def near(self, name: str) -> Mask:
        """Return the events whose membership a step of `NEAR` along an axis that rounds would change."""
        if name not in self._near:
            population = self.populations[name]
            found = self.none()
            for what, said in leaves(population["gate"]):
                found |= self._decided(what, said, population["markers"])
            for other in self._leans_on(population):
                found |= self.near(other)
            self._near[name] = found
        return self._near[name]

    def blind(self, name: str) -> Mask:
        """Return the events that have no value on a logarithmic axis of a population or one it leans on."""
        if name not in self._blind:
            population = self.populations[name]
            found = self.none()
            for marker in population["markers"]:
                if kind(self.words["scales"][marker]) == "log":
                    found |= ~(self.tube.linear(self.channels[marker], compensated=self.compensated) > 0)
            for other in self._leans_on(population):
                found |= self.blind(other)
            self._blind[name] = found
        return self._blind[name]

    def _leans_on(self, population: Words) -> list[str]:
        return [other for other in (population["parent"], *references(population["gate"])) if other != "root"]

    def _rounds(self, channel: str, scale: Any) -> bool:
        return kind(scale) not in STRAIGHT or (self.mixing_rounds and self.tube.mixes(channel, self.words))

    def _decided(self, what: str, said: Words, markers: Sequence[str]) -> Mask:
        axes = [(self.channels[marker], self.words["scales"][marker]) for marker in markers]
        points = np.column_stack([self.tube.axis(*axis, compensated=self.compensated) for axis in axes])
        rounds = [self._rounds(*axis) for axis in axes]
        with np.errstate(invalid="ignore"):  # events that a logarithm sent to infinity
            if what == "polygon":
                return _near_outline(np.array(said["vertices"], float), points, rounds)
            unit = np.array([NEAR * (_reach(column) if kind(scale) == "none" else 1)
                             for column, (_, scale) in zip(points.T, axes, strict=True)])  # fmt: skip
            steps = itertools.product(*((-1, 0, 1) if axis_rounds else (0,) for axis_rounds in rounds))
            inside = [holds(what, said, points + unit * np.array(step)) for step in steps]
        return np.logical_or.reduce(inside) & ~np.logical_and.reduce(inside)


def _near_outline(corners: np.ndarray, points: np.ndarray, rounds: Sequence[bool]) -> Mask:
    """Return which points lie within `NEAR` of an outline, measured along the axes that round."""
    found = np.zeros(len(points), bool)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        for along in (axis for axis in (0, 1) if rounds[axis]):
            across, place = points[:, 1 - along], points[:, along]
            low, high = sorted((a[1 - along], b[1 - along]))
            slack = NEAR if rounds[1 - along] else 0.0
            share = (
                np.clip((across - a[1 - along]) / (b[1 - along] - a[1 - along]), 0, 1)
                if high > low
                else np.nan
            )
            crossing = a[along] + share * (b[along] - a[along])
            found |= (low - slack <= across) & (across <= high + slack) & (np.abs(place - crossing) <= NEAR)
    return found


def _reach(values: np.ndarray) -> float:
    return float(np.abs(values[np.isfinite(values)]).max())


def holds(what: str, said: Words, points: np.ndarray) -> Mask:
    """Return which points lie in a shape, by FlowUtils; shape (n_points, n_axes) in, (n_points,) out."""
    if what == "polygon":
        return flowutils.gating.points_in_polygon(
            np.array(said["vertices"], float), np.ascontiguousarray(points)
        )
    if what == "ellipse":
        return flowutils.gating.points_in_ellipsoid(
            said["covariance"], said["centre"], said.get("distance", 1.0), points
        )
    inside = np.ones(len(points), bool)
    for axis, (low, high) in enumerate(_edges(what, said)):
        inside &= (low is None) | (points[:, axis] >= (low if low is not None else 0))
        inside &= (high is None) | (points[:, axis] < (high if high is not None else 0))
    return inside


def leaves(words: Any) -> Iterator[tuple[str, Words]]:
    """Yield every drawn shape of a gate."""
    if isinstance(words, str):
        return
    ((what, said),) = words.items()
    if what in {"and", "or"}:
        for part in said:
            yield from leaves(part)
    elif what == "not":
        yield from leaves(said)
    elif what != "members":
        yield what, said


def references(words: Any) -> Iterator[str]:
    """Yield every population that a gate refers to."""
    if isinstance(words, str):
        yield words
        return
    ((what, said),) = words.items()
    if what in {"and", "or"}:
        for part in said:
            yield from references(part)
    elif what in {"not", "members"}:
        yield from references(said)


# ------------------------------------------------------------------------------------------- files


def spilled(names: Sequence[str], matrix: np.ndarray) -> str:
    """Return the value of ``$SPILLOVER``."""
    return ",".join([str(len(names)), *names, *(repr(float(share)) for share in matrix.ravel())])


def floats(seed: int, events: int = 3_000) -> bytes:
    """Return five dyes with a spillover that rounds, gains other than 1, doubles in no channel."""
    rng = np.random.default_rng(seed)
    dyes = ["FITC-A", "PE-A", "PerCP-A", "APC-A", "BV421-A"]
    matrix = np.eye(5) + np.where(np.eye(5), 0, rng.uniform(0, 0.2, (5, 5))).round(4)
    bright = np.where(
        rng.random((events, 5)) < 0.4, rng.lognormal(9, 0.8, (events, 5)), rng.normal(0, 150, (events, 5))
    )
    stained = bright @ matrix + rng.normal(0, 20, (events, 5))
    scatter = np.column_stack([rng.normal(9e4, 2e4, events), rng.lognormal(10.5, 0.4, events)])
    gains = dict(
        zip(["FSC-A", "SSC-A", *dyes], ["2.5", "1.0", "1.0", "3.67", "1.0", "8", "0.5"], strict=True)
    )
    channels = [parameter(name, G=gain, E="0,0") for name, gain in gains.items()]
    return fcs_bytes(np.column_stack([scatter, stained]).tolist(), channels, order="big",
                     keywords={"$SPILLOVER": spilled(dyes, matrix)})  # fmt: skip


def whole_numbers(seed: int, events: int = 2_000) -> bytes:
    """Return 10-bit events, many on one value, with a spillover that is undone without rounding.

    The matrix is triangular with ones on its diagonal and eighths below: so is its inverse.
    """
    rng = np.random.default_rng(seed)
    dyes = ["V450-A", "B530-A", "R660-A", "Y585-A"]
    matrix = np.eye(4) + np.tril(rng.integers(0, 3, (4, 4)), -1) / 8
    stained = np.where(
        rng.random((events, 4)) < 0.5, rng.normal(600, 120, (events, 4)), rng.normal(60, 30, (events, 4))
    )
    scatter = rng.normal(512, 100, (events, 2))
    rows = np.clip(np.column_stack([scatter, stained]), 0, 1023).round()
    channels = [parameter(name, span=1024) for name in ["FSC-A", "SSC-A", *dyes]]
    return fcs_bytes(rows.tolist(), channels, keywords={"$SPILLOVER": spilled(dyes, matrix)})


def log_amplified(seed: int, events: int = 3_000) -> bytes:
    """Return 16-bit integers: scatter with gain, four dyes behind logarithmic amplifiers, a spillover."""
    rng = np.random.default_rng(seed)
    dyes = ["FL1-H", "FL2-H", "FL3-H", "FL4-H"]
    matrix = np.eye(4) + np.where(np.eye(4), 0, rng.uniform(0, 0.1, (4, 4))).round(3)
    stained = np.where(
        rng.random((events, 4)) < 0.5, rng.normal(650, 90, (events, 4)), rng.normal(220, 60, (events, 4))
    )
    rows = np.clip(np.column_stack([rng.normal(400, 90, (events, 2)), stained]), 0, 1023).round()
    channels = [parameter("FSC-H", 16, 1024, G="3.67"), parameter("SSC-H", 16, 1024, G="8"),
                *(parameter(name, 16, 1024, E=amplifier) for name, amplifier in
                  zip(dyes, ["4,1", "4,0", "4,0.1", "4.5,1"], strict=True))]  # fmt: skip
    return fcs_bytes(rows.tolist(), channels, datatype="I", keywords={"$SPILLOVER": spilled(dyes, matrix)})


def with_gaps(seed: int, events: int = 1_500) -> bytes:
    """Return floats without a spillover, a few of them not finite."""
    rng = np.random.default_rng(seed)
    rows = rng.lognormal(6, 1.5, (events, 6)) - 200
    for value in (np.nan, np.inf, -np.inf):
        rows[rng.integers(0, events, 5), rng.integers(0, 6, 5)] = value
    return fcs_bytes(rows.tolist(), [parameter(f"C{number}-A", G="1.5") for number in range(6)])
