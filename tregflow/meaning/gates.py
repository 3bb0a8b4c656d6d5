"""The gates of a template, its models and its bridge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from tregflow.document import Trail
from tregflow.errors import nearest
from tregflow.gates import CARRIED, is_cut
from tregflow.gates.bridge import QUANTILES
from tregflow.gates.kinds import Kind, Model
from tregflow.gates.shapes import Interval, Members, Shape, from_mapping, parts
from tregflow.grammar import SHAPES
from tregflow.hierarchy import Bridge, Gate, Kinds, kept
from tregflow.meaning.flaws import axes_of, flaw
from tregflow.meaning.names import Names
from tregflow.meaning.words import is_refused


class Gates(Names):
    """The gates that words stand for, and a note of every figure that contradicts another."""

    def _gate(self, words: Any, trail: Trail, axes: int) -> Gate:
        kind, said = words.spoken()
        if kind in SHAPES:
            return Gate(stored=self._shape(words, trail, axes))
        if kind == "mixture":
            return self._mixture(said, (*trail, kind), axes)
        if kind in CARRIED:
            return self._anchored(kind, said, (*trail, kind), axes)
        wanted = 1 if is_cut(kind) else 2
        if axes != wanted:
            has = f"{kind} works on {wanted} marker{'s'[: wanted > 1]}, the population has {axes}"
            self.mistakes.add((*trail, kind), has, key=True)
        return self._method(kind, said, (*trail, kind))

    def _method(self, kind: str, said: Any, trail: Trail) -> Gate:
        self._check_shared(said, trail)
        shared = {"of", "least", "across", "tube", "stored"} | ({"keep", "within"} if is_cut(kind) else set())
        own = {name: value for name, value in said if name not in shared}
        if is_cut(kind):
            self._check_window(said, trail)
            stored = None if said.stored is None else kept(said.stored, said.keep)
            return Gate(
                kind, own, stored, said.keep, said.within, said.of or "", said.least, said.tube, said.across
            )
        axes = len(self.words.populations[len(self.above)].markers)
        outline = None if said.stored is None else self._shape(said.stored, (*trail, "stored"), axes)
        return Gate(
            kind, own, outline, of=said.of or "", least=said.least, tube=said.tube, across=said.across
        )

    def _anchored(self, kind: str, said: Any, trail: Trail, axes: int) -> Gate:
        """Return a gate that carries its own outline, which is also what it falls back to."""
        gate = self._method(kind, said, trail)
        outline = self._shape(said.outline, (*trail, "outline"), axes)
        for key in ("at", "spread"):
            places = getattr(said, key)
            if places is not None and len(places) != axes:
                has = f"{len(places)} number{'s'[: len(places) != 1]}, the population has {axes} marker{'s'[: axes != 1]}"
                self.mistakes.add((*trail, key), has)
        return replace(gate, settings={**gate.settings, "outline": outline}, stored=gate.stored or outline)

    def _mixture(self, said: Any, trail: Trail, axes: int) -> Gate:
        own = {"keep": tuple(said.keep), "probability": said.probability}
        model = self.words.models.get(said.model)
        if model is None:
            known = nearest(said.model, self.words.models)
            self.mistakes.add((*trail, "model"), f'"{said.model}" is not among the models{known}')
            return Gate("mixture", own, Interval())
        if is_refused(model):
            return Gate("mixture", own, Interval())
        self._check_kept(said, model, trail)
        self._check_model_axes(model, said.model, trail)
        self._check_above(model.of, (*trail, "model"))
        is_cut = isinstance(said.stored, float | int)
        if said.stored is not None and is_cut != (axes == 1):
            self.mistakes.add((*trail, "stored"), f"a {'cut' if is_cut else 'shape'}, the population has {axes} "
                              f"marker{'s'[: axes != 1]}")  # fmt: skip
            return Gate("mixture", own, Interval(), of=model.of, model=said.model)
        if is_cut:
            self._check_window(said, trail)
            return Gate("mixture", own, kept(float(said.stored), "above"), "above", said.within, model.of, model.least,
                        model=said.model)  # fmt: skip
        outline = None if said.stored is None else self._shape(said.stored, (*trail, "stored"), axes)
        within = said.within if axes == 1 else None
        if said.within is not None and axes != 1:
            self.mistakes.add(
                (*trail, "within"), "a window holds a cut on one axis; bound outlines by the model's follow"
            )
        return Gate("mixture", own, outline, within=within, of=model.of, least=model.least, model=said.model)

    def _check_kept(self, said: Any, model: Any, trail: Trail) -> None:
        for place, kind in enumerate(said.keep):
            if kind not in model.kinds:
                told = f'"{kind}" is not a kind of {said.model}{nearest(kind, model.kinds)}'
                self.mistakes.add((*trail, "keep", place), told)
        if not set(model.kinds) - set(said.keep):
            self.mistakes.add((*trail, "keep"), "every kind is kept, so there is nothing to part")

    def _check_model_axes(self, model: Any, name: str, trail: Trail) -> None:
        markers = self.words.populations[len(self.above)].markers
        for marker in markers:
            if marker not in model.markers:
                self.mistakes.add(
                    (*trail, "model"), f"{marker} is not an axis of {name}{nearest(marker, model.markers)}"
                )
        if len(markers) == 3 and len(model.markers) != 3:
            self.mistakes.add(
                (*trail, "model"), f"a gate on three markers needs a model of three; {name} has fewer"
            )

    # --------------------------------------------------------------------------- models, bridge

    def _model(self, name: str) -> Kinds:
        words, trail = self.words.models[name], ("models", name)
        self._check_known(words.of, (*trail, "of"))
        self._check_axes(words.markers, (*trail, "markers"))
        kinds = tuple(self._kind(kind, words, (*trail, "kinds", kind)) for kind in words.kinds)
        if not any(kind.steady for kind in kinds):
            self.mistakes.add((*trail, "kinds"), "no kind is steady, so nothing says how the dyes moved")
        return Kinds(
            name, words.of, tuple(words.markers), Model(kinds, words.guide, words.follow), words.least
        )

    def _kind(self, name: str, model: Any, trail: Trail) -> Kind:
        words = model.kinds[name]
        for key in ("at", "spread"):
            if len(getattr(words, key)) != len(model.markers):
                has, wanted = len(getattr(words, key)), len(model.markers)
                self.mistakes.add((*trail, key), f"{has} number{'s'[: has != 1]}, the model has {wanted} "
                                  f"marker{'s'[: wanted != 1]}")  # fmt: skip
        if min(words.spread) <= 0:
            self.mistakes.add((*trail, "spread"), "a standard deviation must be above 0")
        return Kind(name, words.at, words.spread, words.steady)

    def _bridge(self) -> Bridge | None:
        words = self.words.bridge
        if words is None:
            return None
        for name, markers in words.landmarks.items():
            trail: Trail = ("bridge", "landmarks", name)
            self._check_known(name, trail, key=True)
            for marker, positions in markers.items():
                self._check_marker(marker, (*trail, marker), key=True)
                self._check_landmarks(positions, (*trail, marker))
        landmarks = {name: {marker: tuple(places) for marker, places in markers.items()}
                     for name, markers in words.landmarks.items()}  # fmt: skip
        return Bridge(landmarks, words.drift, math.nan if words.percent is None else words.percent)

    def _check_landmarks(self, positions: Sequence[float], trail: Trail) -> None:
        if len(positions) != len(QUANTILES):
            wanted = " ".join(map(str, QUANTILES))
            self.mistakes.add(trail, f"{len(positions)} positions; one for each of the quantiles {wanted}")
        elif list(positions) != sorted(positions):
            self.mistakes.add(trail, "the positions must not fall")

    def _check_shared(self, said: Any, trail: Trail) -> None:
        markers = self.words.populations[len(self.above)].markers
        if said.tube == "fmo" and len(markers) != 1:
            told = f"an FMO tube leaves out one marker, the population has {len(markers)}"
            self.mistakes.add((*trail, "tube"), told)
        if said.tube != "sample" and said.across != "sample":
            told = f"placed on the {said.tube} tube, so there is nothing to pool; leave out across"
            self.mistakes.add((*trail, "across"), told)
        if said.of is not None:
            self._check_above(said.of, (*trail, "of"))

    def _check_window(self, said: Any, trail: Trail) -> None:
        if said.within is None:
            return
        low, high = said.within
        if not low < high:
            order = f"runs from {low:g} to {high:g}; the first must be the smaller"
            self.mistakes.add((*trail, "within"), order)
        elif said.stored is not None and not low <= said.stored <= high:
            outside = f"{said.stored:g} lies outside the window {low:g} to {high:g}"
            self.mistakes.add((*trail, "stored"), outside)

    def _shape(self, words: BaseModel, trail: Trail, axes: int) -> Shape:
        shape = from_mapping(words.model_dump(exclude_unset=True, by_alias=True))
        self._check_shape(shape, trail, axes)
        return shape

    def _check_shape(self, shape: Shape, trail: Trail, axes: int) -> None:
        if isinstance(shape, Members):
            self._check_above(shape.population, trail)
        for part in parts(shape):
            self._check_shape(part, trail, axes)
        if (wanted := axes_of(shape)) is not None and wanted != axes:
            has = f"the population has {axes} marker{'s'[: axes != 1]}"
            self.mistakes.add(trail, f"a shape on {wanted} {'axis' if wanted == 1 else 'axes'}, {has}")
        elif sentence := flaw(shape):
            self.mistakes.add(trail, sentence)
