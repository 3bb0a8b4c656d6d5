"""What a person asks to be moved, from words: ``CD4 CD4 +0.1``, ``Treg 0.47``."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

from tregflow.errors import Finding, InputError, nearest
from tregflow.template import Template
from tregflow.tuning.coordinates import Words, at, brightened, moved, on_grid, places, put, shifted


@dataclass(frozen=True, slots=True)
class Move:
    """Coordinates of a gate, or the kinds of a model, to be moved along one marker.

    Parameters
    ----------
    name : str
        A population, or a model.
    marker : str
        One of its axes.
    decades : float
        Linear units are multiplied with ten to this power.
    """

    name: str
    marker: str
    decades: float


@dataclass(frozen=True, slots=True)
class Cut:
    """A stored cut to be set.

    Parameters
    ----------
    name : str
        A population.
    place : float
        Axis units.
    """

    name: str
    place: float


def read_move(text: str, template: Template) -> Move:
    """Return the move that words ask for: ``GATE DECADES`` or ``GATE MARKER DECADES``.

    Parameters
    ----------
    text : str
        A name may hold blanks; the last word is the number.
    template : Template
        Whose populations and models may be named.

    Returns
    -------
    Move

    Raises
    ------
    InputError
        ``E-USAGE``: no number, an unknown name, a marker that is not an axis, nothing stored to be moved.
    """
    words, decades = _number(text, "--move", "GATE +0.1 or GATE MARKER -0.05")
    axes = _axes(template)
    name, marker = _split(words, template)
    if name not in axes:
        raise _refused(f'--move "{text}": {_unknown(words, template, axes)}')
    if not marker and len(axes[name]) != 1:
        told = " and ".join(axes[name]) or "no marker"
        raise _refused(f'--move "{text}": {name} stands on {told}; write GATE MARKER {decades:+g}')
    marker = marker or axes[name][0]
    if marker not in axes[name]:
        told = f"{marker} is not an axis of {name}{nearest(marker, axes[name]) or '; it has ' + ' and '.join(axes[name])}"
        raise _refused(f'--move "{text}": {told}')
    if not list(_stored(name, marker, template)):
        raise _refused(
            f'--move "{text}": {name} stores no coordinate of {marker}, it is placed on the events alone'
        )
    return Move(name, marker, decades)


def read_cut(text: str, template: Template) -> Cut:
    """Return the cut that words ask for: ``GATE PLACE``.

    Raises
    ------
    InputError
        ``E-USAGE``: no number, an unknown name, a gate that does not store one cut.
    """
    name, place = _number(text, "--set", "GATE 0.47")
    known = [population.name for population in template.populations]
    if name not in known:
        raise _refused(f'--set "{text}": "{name}" is not a population{nearest(name, known)}')
    cuts = [one for one in places(_gate(template, name)) if one.part in ("cut", "edge", "corner", "centre")]
    if len(cuts) != 1:
        told = "does not store one cut but an outline" if cuts else "stores no cut"
        raise _refused(f'--set "{text}": {name} {told}{"; move it with --move" if cuts else ""}')
    return Cut(name, place)


def with_move(content: Words, move: Move, template: Template) -> Words:
    """Return a template's words with one move made.

    Parameters
    ----------
    content : dict
        Left alone.
    move : Move
        What `read_move` returned. Of a gate, every coordinate on the marker moves: cut, window, outline. The place of an
        anchored gate's reference does not, because it is the gate that shall lie elsewhere beside it.
    template : Template
        Whose axes and scales the words have.

    Returns
    -------
    dict
    """
    content, motion = copy.deepcopy(content), brightened(template.scales[move.marker], move.decades)
    axis = _axes(template)[move.name].index(move.marker)
    if _is_population(move.name, template):
        place = _place(template, move.name)
        content["populations"][place]["gate"] = moved(content["populations"][place]["gate"], {axis: motion})
        return content
    for kind in content["models"][move.name]["kinds"].values():
        kind["at"][axis] = motion(kind["at"][axis])
    return content


def with_cut(content: Words, cut: Cut, template: Template) -> Words:
    """Return a template's words with one cut set; its window moves along and keeps its width."""
    content, place = copy.deepcopy(content), _place(template, cut.name)
    scale = template.scales[template.populations[place].markers[0]]
    gate = content["populations"][place]["gate"]
    (stored,) = (one for one in places(gate) if one.part != "window")
    here = on_grid(cut.place, scale)
    gate = moved(gate, {0: shifted(scale, here - at(gate, stored.trail))}, ("window",))
    put(gate, stored.trail, here)
    content["populations"][place]["gate"] = gate
    return content


def _number(text: str, option: str, example: str) -> tuple[str, float]:
    """Return the words before the last, and the last as a number."""
    words = text.split()
    try:
        number = float(words[-1]) if words[1:] else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _refused(
            f'{option} "{text}" does not end with a number after a name; write {option} "{example}"'
        )
    return " ".join(words[:-1]), number


def _split(words: str, template: Template) -> tuple[str, str]:
    """Return the name and the marker in some words: the longest name that is known, then the rest."""
    known = sorted(_axes(template), key=len, reverse=True)
    name = next((one for one in known if words == one or words.startswith(f"{one} ")), words)
    return name, words[len(name) :].strip()


def _unknown(words: str, template: Template, axes: dict[str, tuple[str, ...]]) -> str:
    """Return what is said of words that begin with no name that is known."""
    declared = {marker for markers in axes.values() for marker in markers}
    ends = [marker for marker in sorted(declared, key=len, reverse=True) if words.endswith(f" {marker}")]
    name = words.removesuffix(f" {ends[0]}") if ends else words
    kinds = "a population or a model" if template.models else "a population"
    return f'"{name}" is not {kinds}{nearest(name, axes)}'


def _axes(template: Template) -> dict[str, tuple[str, ...]]:
    """Return the markers of every name that can be moved; populations have the first word."""
    models = {kinds.name: kinds.markers for kinds in template.models}
    return models | {population.name: population.markers for population in template.populations}


def _stored(name: str, marker: str, template: Template) -> Iterator[object]:
    """Yield the coordinates of a gate, or of a model's kinds, on one marker."""
    axis = _axes(template)[name].index(marker)
    if _is_population(name, template):
        yield from (one for one in places(_gate(template, name)) if one.axis == axis)
    else:
        yield from next(kinds for kinds in template.models if kinds.name == name).model.kinds


def _is_population(name: str, template: Template) -> bool:
    return any(population.name == name for population in template.populations)


def _gate(template: Template, name: str) -> Words:
    gate: Words = template.content["populations"][_place(template, name)]["gate"]
    return gate


def _place(template: Template, name: str) -> int:
    return next(place for place, population in enumerate(template.populations) if population.name == name)


def _refused(sentence: str) -> InputError:
    return InputError(Finding("E-USAGE", sentence))
