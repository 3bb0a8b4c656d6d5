"""What differs between two versions of a template, and what came of it, in words and columns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tregflow.gates.shapes import Shape, bounds, from_mapping
from tregflow.grammar import SHAPES
from tregflow.template import Template
from tregflow.transforms import Identity, Transform
from tregflow.tuning.coordinates import Place, Words, at, places
from tregflow.tuning.voting import Ballot, Vote

WHAT = {"cut": "cut", "window": "window", "edge": "outline", "corner": "outline", "centre": "outline"}
NOWHERE = "–"
"""Stands in a table for what is not there."""

LONGEST = 40
"""Signs of before and after from which on a history keeps the distance alone: the versions hold the numbers."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a new version of a template has elsewhere.

    Parameters
    ----------
    name : str
        A gate, a model, ``bridge`` or ``fingerprints``.
    what : str
        ``cut``, ``window``, ``outline``, ``reference``, a kind's name, ``landmarks of …``, a marker.
    before, after : str
        In words; empty where there is none.
    distance : float
        Axis units, of the coordinate that moved most; NaN where there is nothing to compare.
    decades : float
        The same in decades of linear units; NaN where either is not above zero.
    marker : str
        The axis of that coordinate.
    """

    name: str
    what: str
    before: str
    after: str
    distance: float = math.nan
    decades: float = math.nan
    marker: str = ""

    @property
    def moved(self) -> str:
        """How far, in words; empty where there is nothing to compare."""
        if not math.isfinite(self.distance):
            return ""
        decades = f", {self.decades:+.2f} decade" if math.isfinite(self.decades) else ""
        return f"{self.distance:+.4g} along {self.marker}{decades}"

    @property
    def sentence(self) -> str:
        """What changed, as a template's history keeps it."""
        if self.moved and len(self.before + self.after) > LONGEST:
            return f"{self.what} {self.moved}"
        went = f"{self.before} → {self.after}" if self.before else self.after or "taken out"
        return f"{self.what} {went}" + (f" ({self.moved})" if self.moved else "")


def changes(old: Template, new: Template) -> tuple[Change, ...]:
    """Return what a new version of a template has elsewhere.

    Parameters
    ----------
    old, new : Template
        With the same populations, models and markers.

    Returns
    -------
    tuple of Change
        Gates in their order, then models, bridge and fingerprints.
    """
    return (*_of_gates(old, new), *_of_models(old, new), *_of_bridge(old, new), *_of_fingerprints(old, new))


def recorded(
    content: Words, reason: str, before: Template, samples: Sequence[str], said: Sequence[Change]
) -> Words:
    """Return a template's words as its next version, with an entry in its history.

    Parameters
    ----------
    content : dict
        What the new version says.
    reason : str
        Why it was made.
    before : Template
        The version before.
    samples : sequence of str
        What it was changed on.
    said : sequence of Change
        What changed.

    Returns
    -------
    dict
    """
    version = int(content.get("version", 1)) + 1
    moved: dict[str, str] = {}
    for one in said:
        moved[one.name] = "; ".join(filter(None, [moved.get(one.name), one.sentence]))
    entry = {"version": version, "reason": reason, "before": before.hash, "on": list(samples), "moved": moved}
    return {**content, "version": version, "history": [*content.get("history", []), entry]}


# ---------------------------------------------------------------------------------------- gates


def _of_gates(old: Template, new: Template) -> Iterator[Change]:
    for before, after, population in zip(_gates(old), _gates(new), old.populations, strict=True):
        if before != after:
            yield from _of_gate(population.name, before, after, population.markers, old.scales)


def _gates(template: Template) -> list[Words]:
    return [population["gate"] for population in template.content["populations"]]


def _of_gate(
    name: str, before: Words, after: Words, markers: Sequence[str], scales: Mapping[str, Transform]
) -> Iterator[Change]:
    for what in dict.fromkeys(WHAT.values()):
        then, now = (_coordinates(gate, what) for gate in (before, after))
        if then != now:
            old, new = (_told(gate, what, markers, scales) for gate in (before, after))
            yield Change(name, what, old, new, *_farthest(then, now, markers, scales, (before, after)))
    (was,), (lies,) = before.values(), after.values()
    if isinstance(was, Mapping) and "outline" in was and _lying(was) != _lying(lies):
        pairs = list(zip(was["at"], lies["at"], markers, strict=True))
        yield Change(name, "reference", _lying(was), _lying(lies), *_most(pairs, scales))


def _lying(said: Mapping[str, Any]) -> str:
    """Return where the reference of an anchored gate lies, in words."""
    return _kind(said["at"], said.get("spread"))


def _coordinates(gate: Words, what: str) -> dict[Place, float]:
    return {place: at(gate, place.trail) for place in places(gate) if WHAT[place.part] == what}


def _told(gate: Words, what: str, markers: Sequence[str], scales: Mapping[str, Transform]) -> str:
    """Return where a gate's cut, window or outline lies, in words."""
    if what != "outline":
        edges = [f"{value:g}" for value in _coordinates(gate, what).values()]
        return ", ".join(" to ".join(edges[start : start + 2]) for start in range(0, len(edges), 2))
    shape = _shape(gate)
    if shape is None:
        return ""
    reach = [_bounds(shape, axis, _lengths(markers, scales)) for axis, _ in enumerate(markers)]
    told = [f"{marker} {_range(low, high)}" for marker, (low, high) in zip(markers, reach, strict=True)
            if math.isfinite(low) or math.isfinite(high)]  # fmt: skip
    return ", ".join(told) or "of several parts"


def _shape(gate: Words) -> Shape | None:
    """Return the outline that a gate stores; None for a cut."""
    ((kind, said),) = gate.items()
    words = gate if kind in SHAPES else said.get("outline") or said.get("stored")
    return from_mapping(words) if isinstance(words, Mapping) else None


def _lengths(markers: Sequence[str], scales: Mapping[str, Transform]) -> tuple[float, ...]:
    """Return the length of each axis; endless in the file's own units."""
    return tuple(math.inf if isinstance(scales[marker], Identity) else 1.0 for marker in markers)


def _bounds(shape: Shape, axis: int, lengths: tuple[float, ...]) -> tuple[float, float]:
    """Return the edges of an outline on an axis; of an ellipse the centre, which is what moves."""
    if hasattr(shape, "centre"):
        return shape.centre[axis], shape.centre[axis]
    return bounds(shape, axis, lengths)


def _range(low: float, high: float) -> str:
    if low == high:
        return f"{low:g}"
    if not math.isfinite(high):
        return f"from {low:g}"
    return f"{low:g} to {high:g}" if math.isfinite(low) else f"to {high:g}"


def _farthest(then: Mapping[Place, float], now: Mapping[Place, float], markers: Sequence[str],
              scales: Mapping[str, Transform], gates: tuple[Words, Words]) -> tuple[float, float, str]:  # fmt: skip
    """Return how far the coordinate that moved most did: of two outlines of other corners, the edge."""
    if then.keys() == now.keys():
        return _most([(then[place], now[place], markers[place.axis]) for place in then], scales)
    shapes = [_shape(gate) for gate in gates]
    pairs = [(old, new, marker) for axis, marker in enumerate(markers)
             for old, new in zip(*(_bounds(shape, axis, _lengths(markers, scales)) for shape in shapes if shape), strict=True)]  # fmt: skip
    return _most([one for one in pairs if math.isfinite(one[0]) and math.isfinite(one[1])], scales)


def _most(
    pairs: Sequence[tuple[float, float, str]], scales: Mapping[str, Transform]
) -> tuple[float, float, str]:
    """Return distance, decades and marker of the pair that lies farthest apart by its axis."""
    if not pairs:
        return math.nan, math.nan, ""
    sizes = {marker: max(abs(one) for old, new, axis in pairs if axis == marker for one in (old, new))
             if isinstance(scales[marker], Identity) else 1.0 for _, _, marker in pairs}  # fmt: skip
    old, new, marker = max(pairs, key=lambda one: abs(one[1] - one[0]) / (sizes[one[2]] or 1.0))
    return new - old, _decades(old, new, scales[marker]), marker


def _decades(old: float, new: float, scale: Transform) -> float:
    low, high = (float(one) for one in scale.inverse(np.array([old, new])))
    return math.log10(high / low) if low > 0 and high > 0 else math.nan


# ------------------------------------------------------------------------- models, bridge, detectors


def _of_models(old: Template, new: Template) -> Iterator[Change]:
    for kinds in old.models:
        then, now = (one.content["models"][kinds.name]["kinds"] for one in (old, new))
        for kind, before in then.items():
            after = now[kind]
            if (before["at"], before["spread"]) != (after["at"], after["spread"]):
                pairs = list(zip(before["at"], after["at"], kinds.markers, strict=True))
                yield Change(kinds.name, kind, _kind(before["at"], before["spread"]), _kind(after["at"], after["spread"]),
                             *_most(pairs, old.scales))  # fmt: skip


def _kind(middle: Sequence[float], spread: Sequence[float | None] | None) -> str:
    if spread is None:
        return ", ".join(f"{place:g}" for place in middle)
    widths = ["" if wide is None else f" ± {wide:g}" for wide in spread]
    return ", ".join(f"{place:g}{width}" for place, width in zip(middle, widths, strict=True))


def _of_bridge(old: Template, new: Template) -> Iterator[Change]:
    then, now = (dict(one.bridge.landmarks) if one.bridge else {} for one in (old, new))
    for name in dict.fromkeys([*then, *now]):
        before, after = then.get(name, {}), now.get(name, {})
        if before != after:
            pairs = [pair for marker in before if marker in after
                     for pair in zip(before[marker], after[marker], [marker] * len(after[marker]), strict=True)]  # fmt: skip
            yield Change(
                "bridge",
                f"landmarks of {name}",
                ", ".join(before),
                ", ".join(after),
                *_most(pairs, old.scales),
            )


def _of_fingerprints(old: Template, new: Template) -> Iterator[Change]:
    for before, after in zip(old.markers, new.markers, strict=True):
        if before.fingerprint != after.fingerprint:
            yield Change(
                "fingerprints", before.name, _detector(before.fingerprint), _detector(after.fingerprint)
            )


def _detector(fingerprint: Mapping[str, Any]) -> str:
    volts = [f"{fingerprint['voltage']:g} V"] if "voltage" in fingerprint else []
    return ", ".join([*(str(fingerprint[key]) for key in ("detector", "dye") if key in fingerprint), *volts])


# ---------------------------------------------------------------------------------------- tables


def table_of_changes(said: Sequence[Change]) -> list[str]:
    """Return what changed as lines of one table."""
    rows = [(one.name, one.what, one.before or NOWHERE, one.after or NOWHERE, one.moved) for one in said]
    return _columns([("gate", "what", "before", "after", "moved by"), *rows])


def table_of_tubes(measure: str, before: Sequence[Ballot], after: Sequence[Ballot]) -> list[str]:
    """Return the primary percent of every tube before and after as lines of one table."""
    now = {one.sample: one for one in after}
    rows = [(one.sample, *_number(one), *_number(now[one.sample])) for one in before if one.sample in now]
    return _columns([("sample", f"{measure} before", "", "after", ""), *rows])


def _number(one: Ballot) -> tuple[str, str]:
    return f"{one.percent:.2f} %" if math.isfinite(one.percent) else NOWHERE, one.verdict


def told_of_votes(votes: Sequence[Vote]) -> list[str]:
    """Return how many tubes each gate was moved by, a line for each that some did not vote on."""
    whole = [one for one in votes if not one.why]
    lines = [f"{_all(whole[0].asked)} voted on {', '.join(one.name for one in whole)}"] if whole else []
    for one in votes:
        if one.why:
            kept = "" if one.voted else ", so it stays as it was"
            lines.append(f"{one.name}: {one.voted} of {one.asked} tubes voted{kept}; {'; '.join(one.why)}")
    return lines


def _all(tubes: int) -> str:
    return "the 1 tube" if tubes == 1 else f"all {tubes} tubes"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
