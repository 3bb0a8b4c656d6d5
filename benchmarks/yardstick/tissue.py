"""Real tubes against their manual gates, with outlines placed on the other donors.

`replaced` is how a laboratory would carry a template to cells of its own, as one plain rule: what is
stored is moved, never reshaped, and only training tubes and their manual members are looked at.
"""

from __future__ import annotations

import copy
import csv
import itertools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import real_cells
from numpy.typing import NDArray

from tregflow.gates.anchors import lying
from tregflow.gates.shapes import Ellipse, Interval, Polygon, Rectangle, Shape
from tregflow.gating import Gated, gate
from tregflow.io.fcs import read_fcs
from tregflow.sample import Sample
from tregflow.study import Tube
from tregflow.template import Template
from yardstick.oracle import FEWEST, f1
from yardstick.product import answers
from yardstick.scoring import Row, Trial, Truth, scored

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Content = dict[str, Any]

ENOUGH = 500
"""CD4+ events from which a tube can place outlines, and is judged by its percent."""

COARSE, FINE = (0.12, 0.02), (0.02, 0.005)
"""Reach and step of the two grids of moves, axis units."""

ROUNDS = 5
"""Times that events are given to kinds, and kinds put where their events are."""

LEAST_SPREAD = 0.01
"""Axis units below which a kind's spread is not believed."""

SHAPES = ("interval", "rectangle", "polygon", "ellipse")


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A tube with the members of its manual gates.

    Parameters
    ----------
    tube : real_cells.Tube
    path : Path
    channels : mapping of str to str
        ``$PnN`` by marker.
    sample : Sample
        The file as it is read.
    """

    tube: real_cells.Tube
    path: Path
    channels: Mapping[str, str]
    sample: Sample

    @property
    def truth(self) -> Truth:
        """What each event is."""
        return Truth(self.tube.cd4.astype(np.int64) + self.tube.treg, self.tube.cd4, self.tube.treg)

    def wanted(self, template: Template, population: str) -> Mask | None:
        """Return what a population is meant to hold by the manual gates; None where they do not say."""
        measure = template.primary
        below = template.path(measure.count)
        if population not in below:
            return None
        if population in template.path(measure.of):
            return self.tube.cd4
        is_last = population == measure.count or not self.tube.mid.any()
        return self.tube.treg if is_last else self.tube.mid

    def gated(self, content: Mapping[str, Any]) -> Gated:
        """Return the tube gated with a template's content."""
        template = Template.from_mapping(content)
        return gate(template.bind(self.sample, self.channels), template)


def trained(set_: str, template: Template, cache: Path | None) -> list[Trained]:
    """Return the stained tubes of a set."""
    folder = real_cells.DATA / real_cells.SETS[set_].folder
    channels = _channels(folder / "panel.csv", [marker.name for marker in template.markers])
    return [Trained(tube, folder / tube.file, channels[tube.donor], read_fcs(folder / tube.file))
            for tube in real_cells.manual(set_, cache=cache) if tube.tissue != "unstained"]  # fmt: skip


def _channels(panel: Path, markers: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the channel of each marker by donor."""
    spelled = {marker.casefold(): marker for marker in markers}
    found: dict[str, dict[str, str]] = {}
    with panel.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if marker := spelled.get(row["marker"].casefold()):
                found.setdefault(row["donor"], {})[marker] = row["channel"]
    return found


# ------------------------------------------------------------------------------------- leaving one donor out


def replaced(content: Mapping[str, Any], training: Sequence[Trained]) -> Content:
    """Return a template's content with its stored coordinates placed on training tubes.

    Parameters
    ----------
    content : mapping
        What `Template.to_mapping` returns.
    training : sequence of Trained
        Tubes; those below `ENOUGH` CD4+ events are not looked at.

    Returns
    -------
    dict
        Of the same template, other numbers.

    Notes
    -----
    From the top of the hierarchy down. *Kinds of a model*: manual Tregs are given to the nearest of the kinds
    that are kept, other CD4+ events to the nearest of the rest, and each kind is put at the median of what
    it was given and as wide as its robust SD, the median over tubes of both; five rounds. *Where a reference
    population lies* (``at`` and ``spread`` of ``anchored``): the medians over tubes. *Outlines, stored cuts and
    their windows*: moved as a whole to where the mean over tubes of F1 against the manual members, inside
    the manual parent, is highest, on a grid of 0.02 and then of 0.005 axis units; of equal moves the smallest.
    """
    placed: Content = copy.deepcopy(dict(content))
    tubes = [tube for tube in training if tube.tube.cd4.sum() >= ENOUGH]
    for name in placed.get("models", {}):
        _put_kinds(placed, name, tubes)
    for written in placed["populations"]:
        _put_anchor(placed, written, tubes)
        _put_outline(placed, written, tubes)
    return placed


def _put_anchor(placed: Content, written: Content, tubes: Sequence[Trained]) -> None:
    settings = written["gate"].get("anchored")
    if not settings:
        return
    found = []
    for tube in tubes:
        gated = tube.gated(placed)
        rows = gated.members.get(settings["of"], np.empty(0, np.intp))
        if len(rows) >= FEWEST:
            found.append(lying(gated.bound.view(tuple(written["markers"]), rows).points()))
    for name, told in zip(("at", "spread"), zip(*found, strict=True), strict=False):
        if name in settings:
            settings[name] = _plain(np.median(told, axis=0))


def _put_outline(placed: Content, written: Content, tubes: Sequence[Trained]) -> None:
    """Move what one population stores to where it agrees best with the manual members."""
    cases = [case for tube in tubes if (case := _case(placed, written, tube)) is not None]
    if not cases:
        return
    move = np.zeros(cases[0].points.shape[1])
    for reach, step in (COARSE, FINE):
        around = itertools.product(np.arange(-reach, reach + step / 2, step), repeat=len(move))
        moves = sorted((move + np.array(by) for by in around), key=lambda by: float(np.abs(by).sum()))
        worths = [np.mean([case.worth(by) for case in cases]) for by in moves]
        move = moves[int(np.argmax(np.round(worths, 9)))]
    written["gate"] = moved(written["gate"], _plain(move))


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """One tube's events inside the manual parent, and the shape that is to be moved."""

    shape: Shape
    points: Floats
    wanted: Mask

    def worth(self, by: Floats) -> float:
        inside = held(self.shape, self.points - by)
        return f1(int(inside.sum()), int(self.wanted.sum()), int((inside & self.wanted).sum()))


def _case(placed: Content, written: Content, tube: Trained) -> _Case | None:
    template = Template.from_mapping(placed)
    population = template.population(written["name"])
    wanted = tube.wanted(template, population.name)
    if wanted is None or wanted.sum() < FEWEST:
        return None
    gated = tube.gated(placed)
    is_anchored = population.gate.method == "anchored" and population.name in gated.placed
    shape = gated.placed[population.name].shape if is_anchored else population.gate.stored
    if not isinstance(shape, (Interval, Rectangle, Polygon, Ellipse)):
        return None
    parent = tube.wanted(template, population.parent)
    rows = np.flatnonzero(parent) if parent is not None else gated.members[population.parent]
    return _Case(shape, gated.bound.view(population.markers, rows).points(), wanted[rows])


def held(shape: Shape, points: Floats) -> Mask:
    """Return which points a shape holds; points (n_events, n_axes), axis units."""
    if isinstance(shape, (Polygon, Ellipse)):
        return shape.holds(points)
    low, high = shape.low, shape.high  # type: ignore[attr-defined]
    return np.asarray(((points >= np.atleast_1d(low)) & (points < np.atleast_1d(high))).all(axis=1))


def moved(gate_: Mapping[str, Any], by: Sequence[float]) -> Content:
    """Return a gate, as a template writes it, with every coordinate that it stores moved.

    Parameters
    ----------
    gate_ : mapping
        A shape, or a method with ``stored``, ``outline`` and ``within``.
    by : sequence of float
        Axis units, one number per axis.
    """
    ((kind, settings),) = gate_.items()
    if kind in SHAPES:
        return {kind: _moved_shape(kind, settings, by)}
    return {kind: {name: _moved_setting(name, value, by) for name, value in settings.items()}}


def _moved_shape(kind: str, settings: Mapping[str, Any], by: Sequence[float]) -> Content:
    if kind == "interval":
        return {edge: _plus(value, by[0]) for edge, value in settings.items()}
    if kind == "rectangle":
        return {edge: [*map(_plus, values, by)] for edge, values in settings.items()}
    if kind == "polygon":
        return {"vertices": [[*map(_plus, vertex, by)] for vertex in settings["vertices"]]}
    return {**settings, "centre": [*map(_plus, settings["centre"], by)]}


def _moved_setting(name: str, value: Any, by: Sequence[float]) -> Any:
    if name in ("stored", "outline") and isinstance(value, Mapping):
        return moved(value, by)
    if name == "stored" and isinstance(value, (int, float)):
        return _plus(value, by[0])
    if name == "within" and value and isinstance(value[0], (int, float)):
        return [_plus(edge, by[0]) for edge in value]
    if name == "within" and value:
        return [[_plus(edge, step) for edge in pair] for pair, step in zip(value, by, strict=True)]
    return value


def _plus(edge: float | None, by: float) -> float | None:
    return None if edge is None else round(edge + by, 6)


def _plain(values: Floats) -> list[float]:
    return [round(float(value), 6) for value in values]


# -------------------------------------------------------------------------------------------- kinds of a model


def _put_kinds(placed: Content, name: str, tubes: Sequence[Trained]) -> None:
    """Put the kinds of one model where the manual members lie."""
    model = placed["models"][name]
    kept = _kept_kinds(placed, name)
    for _ in range(ROUNDS):
        found = [_given(placed, model, kept, tube) for tube in tubes]
        for kind, settings in model["kinds"].items():
            told = [one[kind] for one in found if kind in one]
            if told:
                settings["at"], settings["spread"] = (_plain(np.median(part, axis=0)) for part in zip(*told, strict=True))  # fmt: skip


def _kept_kinds(placed: Content, name: str) -> frozenset[str]:
    """Return the kinds that a gate on the way to the Tregs keeps."""
    template = Template.from_mapping(placed)
    below = set(template.path(template.primary.count)) - set(template.path(template.primary.of))
    gates = [written["gate"].get("mixture") for written in placed["populations"] if written["name"] in below]
    return frozenset(kind for gate_ in gates if gate_ and gate_["model"] == name for kind in gate_["keep"])


def _given(
    placed: Content, model: Content, kept: frozenset[str], tube: Trained
) -> dict[str, tuple[Floats, Floats]]:
    """Return median and robust SD of the events that each kind is given; kinds with few are left out."""
    template = Template.from_mapping(placed)
    bound = template.bind(tube.sample, tube.channels)
    rows = np.flatnonzero(tube.tube.cd4)
    points = bound.view(tuple(model["markers"]), rows).points()
    found = {}
    for is_treg in (True, False):
        kinds = [kind for kind in model["kinds"] if (kind in kept) == is_treg]
        own = points[tube.tube.treg[rows] == is_treg]
        if not kinds or not len(own):
            continue
        nearest = np.argmin([_away(own, model["kinds"][kind]) for kind in kinds], axis=0)
        for place, kind in enumerate(kinds):
            if (nearest == place).sum() >= FEWEST:
                found[kind] = _middle(own[nearest == place])
    return found


def _away(points: Floats, kind: Mapping[str, Any]) -> Floats:
    return np.asarray((((points - kind["at"]) / kind["spread"]) ** 2).sum(axis=1))


def _middle(points: Floats) -> tuple[Floats, Floats]:
    middle = np.median(points, axis=0)
    spread = 1.4826 * np.median(np.abs(points - middle), axis=0)
    return middle, np.maximum(spread, LEAST_SPREAD)


# ------------------------------------------------------------------------------------------------------ judging


def tissue_rows(set_: str, template: Template, cache: Path | None = None) -> Iterator[tuple[Row, str]]:
    """Yield every tube under the template as it is shipped and as placed on the other donors, and the peer.

    Parameters
    ----------
    set_ : str
        Whose manual gates are the truth.
    template : Template
        Of the same definition.
    cache : Path, optional
        Where members of manual gates are kept.

    Yields
    ------
    row : Row
        `Row.kind` is the set; subject and visit are donor and tissue.
    statuses : str
        How gates came about, those that were neither stored nor found.
    """
    tubes = trained(set_, template, cache)
    for donor in dict.fromkeys(tube.tube.donor for tube in tubes):
        own = [tube for tube in tubes if tube.tube.donor == donor]
        others = [tube for tube in tubes if tube.tube.donor != donor]
        left_out = Template.from_mapping(replaced(template.to_mapping(), others))
        yield from _judged(set_, "left out", left_out, own)
        yield from _judged(set_, "as shipped", template, own)


def _judged(set_: str, gates: str, template: Template, tubes: Sequence[Trained]) -> Iterator[tuple[Row, str]]:
    by_sample = {f"{tube.tube.donor}_{tube.tube.tissue}": tube for tube in tubes}
    root = real_cells.DATA / real_cells.SETS[set_].folder
    sheet = [Tube(name, tube.tube.file, subject=tube.tube.donor, visit=tube.tube.tissue, run=tube.tube.donor,
                  channels=tube.channels) for name, tube in by_sample.items()]  # fmt: skip
    is_first = gates == "left out"
    with tempfile.TemporaryDirectory() as folder:
        for answer in answers(template, sheet, root, Path(folder) / "out"):
            tube = by_sample[answer.tube.sample]
            trial = Trial(set_, 0.0, len(tube.sample), 0)
            for row in scored(answer, tube.truth, trial, gates, oracles=is_first, peer=is_first):
                yield row, answer.statuses if row.gates == gates else ""
