"""What a template's coordinates belong to: where the reference tube lay, and which detectors they were read off."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tregflow.binding import bare
from tregflow.errors import GateError
from tregflow.fingerprint import is_tuning
from tregflow.gates.bridge import Carry, Landmarks, carrying, landmarks
from tregflow.gating import Gated
from tregflow.hierarchy import ROOT
from tregflow.populations import measured
from tregflow.template import Template
from tregflow.transforms import Identity, Transform
from tregflow.tuning.coordinates import Motion, Words, is_open, moved, on_grid, places, significant
from tregflow.tuning.voting import Ballot

ANYWHERE = 1.0
"""Axis units that landmarks may have moved by when a person looks: the whole axis."""


def with_bridge(
    content: Words, references: Sequence[Gated], template: Template
) -> tuple[Words, tuple[str, ...]]:
    """Return a template's words with the landmarks of reference tubes.

    Parameters
    ----------
    content : dict
        Left alone.
    references : sequence of Gated
        Reference tubes, gated with the template these words make; of several, the median.
    template : Template
        What the words mean.

    Returns
    -------
    content : dict
        For each marker on a scale that a gate stores a coordinate of, the landmarks of the nearest population at or
        above the gate's parent that has events enough and is none that the primary measure counts: its size would
        move with the patient. A drift that was written is kept.
    told : tuple of str
        What has no landmarks, and why.
    """
    content, told = copy.deepcopy(content), list[str]()
    lain: dict[str, dict[str, list[float]]] = {}
    for name, marker in _wanted(content, template):
        found = _nearest(name, marker, references, template)
        if isinstance(found, str):
            told.append(f"{marker} of {name} has no landmarks: {found}")
        else:
            above, positions = found
            lain.setdefault(above, {})[marker] = [on_grid(one, template.scales[marker]) for one in positions]
    drift = _drift(content)
    content.pop("bridge", None)
    if lain:
        content["bridge"] = {**drift, **_percent(references), "landmarks": lain}
    return content, tuple(dict.fromkeys(told))


def _percent(references: Sequence[Gated]) -> Words:
    """Return the primary percent of the reference tubes, by which another run's are known as the same cells."""
    percents = [measured(gated)[0].percent for gated in references]
    middle = float(np.median(percents))
    return {"percent": round(middle, 3)} if middle > 0 else {}


def _drift(content: Words) -> Words:
    bridge = content.get("bridge") or {}
    return {"drift": bridge["drift"]} if "drift" in bridge else {}


def _wanted(content: Words, template: Template) -> Iterator[tuple[str, str]]:
    """Yield the population and marker of every stored coordinate on a scaled axis, once each, lineage first."""
    asked = dict.fromkeys(
        [(population.parent, population.markers[place.axis])
         for population, words in zip(template.populations, content["populations"], strict=True)
         for place in places(words["gate"])]
        + [(kinds.of, marker) for kinds in template.models for marker in kinds.markers])  # fmt: skip
    yield from ((name, marker) for name, marker in asked if not isinstance(template.scales[marker], Identity))


def _nearest(
    name: str, marker: str, references: Sequence[Gated], template: Template
) -> tuple[str, list[float]] | str:
    """Return the first population upwards that has landmarks in every reference tube, or why none has."""
    counted = template.counted(template.primary)
    line = [*reversed(template.path(name)), ROOT]
    why = ""
    for above in (one for one in line if one not in counted and not _is_reference(one, template)):
        found = [_landmarks(above, marker, gated) for gated in references]
        if lost := [one for one in found if isinstance(one, str)]:
            why = why or lost[0]
        else:
            return above, list(_middle([one for one in found if isinstance(one, Landmarks)]).positions)
    return why


def _is_reference(name: str, template: Template) -> bool:
    return name != ROOT and template.population(name).is_reference


def _landmarks(name: str, marker: str, gated: Gated) -> Landmarks | str:
    if marker not in gated.bound.channels or name not in gated.members:
        return f"the reference tube has no {marker if name in gated.members else name}"
    values = gated.bound.scaled(marker, gated.members[name])
    try:
        return landmarks(values[np.isfinite(values)])
    except GateError as error:
        return f"{name} has {error}"


def _middle(found: Sequence[Landmarks]) -> Landmarks:
    """Return the landmarks in the middle of those of several tubes, as sure as the least sure of them."""
    positions, errors = (np.array([getattr(one, name) for one in found]) for name in ("positions", "errors"))
    rising = np.maximum.accumulate(np.median(positions, axis=0))
    return Landmarks(
        tuple(rising.tolist()), tuple(errors.max(axis=0).tolist()), min(one.events for one in found)
    )


# ------------------------------------------------------------------------- from an older bridge


def off_bridge(
    content: Words, references: Sequence[Gated], template: Template
) -> tuple[Words, tuple[str, ...]]:
    """Return a template's words with every coordinate where the reference tubes have it now.

    What is stored belongs to the landmarks of the old bridge; before others are written it has to follow them.

    Parameters
    ----------
    content : dict
        With a bridge. Left alone.
    references : sequence of Gated
        Reference tubes, gated with the template as the old bridge carries it.
    template : Template
        What the words mean.

    Returns
    -------
    content : dict
        Its bridge is for `with_bridge` to replace.
    told : tuple of str
        What could not be carried, and why.
    """
    content, carries, told = copy.deepcopy(content), dict[tuple[str, str], Carry](), list[str]()
    for name, markers in (template.bridge.landmarks if template.bridge else {}).items():
        for marker, stored in markers.items():
            try:
                carries[name, marker] = _carry(name, marker, stored, references)
            except GateError as error:
                told.append(f"{marker} of {name} stays as it was stored: {error}")
    for population, words in zip(template.populations, content["populations"], strict=True):
        motions = _motions(population.parent, population.markers, carries, template)
        words["gate"] = _with_reference(moved(words["gate"], motions), motions)
    for kinds in template.models:
        motions = _motions(kinds.of, kinds.markers, carries, template)
        for kind in content["models"][kinds.name]["kinds"].values():
            kind["at"] = _points(kind["at"], motions)
    return content, tuple(told)


def _carry(name: str, marker: str, stored: Sequence[float], references: Sequence[Gated]) -> Carry:
    found = [_landmarks(name, marker, gated) for gated in references]
    for one in found:
        if isinstance(one, str):
            raise GateError(one)
    return carrying(stored, _middle([one for one in found if isinstance(one, Landmarks)]), ANYWHERE)


def _motions(
    name: str, markers: Sequence[str], carries: Mapping[tuple[str, str], Carry], template: Template
) -> dict[int, Motion]:
    """Return how coordinates move along each axis: as in the nearest population upwards that has landmarks."""
    line = [*reversed(template.path(name)), ROOT]
    motions = {}
    for axis, marker in enumerate(markers):
        if near := next((carries[one, marker] for one in line if (one, marker) in carries), None):
            motions[axis] = _on_scale(near, template.scales[marker])
    return motions


def _on_scale(carry: Carry, scale: Transform) -> Motion:
    return lambda place: place if is_open(place, scale) else on_grid(carry(place), scale)


def _with_reference(gate: Words, motions: Mapping[int, Motion]) -> Words:
    """Return the words of a gate whose reference, if it is anchored, moved too."""
    (said,) = gate.values()
    if isinstance(said, Mapping) and "outline" in said:
        low = [place - wide for place, wide in zip(said["at"], said.get("spread") or [], strict=False)]
        high = _points(said["at"], motions)
        spread = [significant(one - other) for one, other in zip(high, _points(low, motions), strict=False)]
        said |= {"at": high, **({"spread": spread} if said.get("spread") else {})}  # type: ignore[operator]
    return gate


def _points(places: Sequence[float], motions: Mapping[int, Motion]) -> list[float]:
    return [motions[axis](place) if axis in motions else place for axis, place in enumerate(places)]


# ----------------------------------------------------------------------------------- fingerprints


def with_fingerprints(
    content: Words, ballots: Sequence[Ballot], template: Template
) -> tuple[Words, tuple[str, ...]]:
    """Return a template's words with the detector and the voltage of every marker on a scale.

    Parameters
    ----------
    content : dict
        Left alone.
    ballots : sequence of Ballot
        Of the tubes.
    template : Template
        What the words mean.

    Returns
    -------
    content : dict
        Where all tubes agree: on the detector, and on its voltage within what daily checks tune.
    told : tuple of str
        On what they do not.
    """
    content, told = copy.deepcopy(content), list[str]()
    for marker in (one.name for one in template.markers if not _is_unscaled(one.name, template)):
        seen = {one.sample: one.detectors[marker] for one in ballots if marker in one.detectors}
        names = {bare(name).casefold(): name for name, _ in seen.values()}
        if len(names) > 1:
            told.append(
                f"{marker} has no fingerprint: the tubes have it on {' and '.join(sorted(names.values()))}"
            )
        elif seen:
            (name,) = names.values()
            volts, said = _voltage(marker, [volts for _, volts in seen.values()])
            words = content["markers"][marker] = content["markers"][marker] or {}
            words["fingerprint"] = {**_dye(words, name), "detector": name, **volts}
            told += said
    return content, tuple(told)


def _is_unscaled(marker: str, template: Template) -> bool:
    return isinstance(template.scales.get(marker, Identity()), Identity)


def _dye(words: Mapping[str, Words], detector: str) -> dict[str, str]:
    """Return the dye that was written, where the detector is the one it was written for."""
    old = words.get("fingerprint") or {}
    is_same = bare(old.get("detector") or detector).casefold() == bare(detector).casefold()
    return {"dye": old["dye"]} if old.get("dye") and is_same else {}


def _voltage(marker: str, volts: Sequence[float]) -> tuple[dict[str, float], list[str]]:
    stated = [one for one in volts if math.isfinite(one)]
    if not stated:
        return {}, [f"{marker} has no voltage in its fingerprint: the tubes state none"]
    if len(stated) < len(volts) or not is_tuning(min(stated), max(stated)):
        told = (
            f"the tubes have {min(stated):g} to {max(stated):g} V"
            if len(stated) == len(volts)
            else "not every tube states it"
        )
        return {}, [f"{marker} has no voltage in its fingerprint: {told}"]
    middle = float(np.median(stated))
    return {"voltage": int(middle) if middle.is_integer() else middle}, []
