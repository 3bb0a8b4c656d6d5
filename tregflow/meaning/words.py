"""A template's words as far as they can be understood: what the grammar refuses is taken out.

One mistake must not hide another. What the grammar refuses is noted and taken out, and what is left is
read as if it had been right, with stand-ins where something must be.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from tregflow.document import Document, Mistakes, Trail, checked, fits, split_number, unknown_keys
from tregflow.grammar import (
    LimitWords,
    MarkerWords,
    MeasureWords,
    ModelWords,
    PopulationWords,
    ScaleWords,
    TemplateWords,
)
from tregflow.hierarchy import ROOT

REFUSED_GATE = {"members": ROOT}
"""Stands for a gate that the grammar refused, while the rest is looked through."""

REFUSED_MODEL = {
    "of": ROOT,
    "markers": ["refused"],
    "kinds": {name: {"at": [0.0], "spread": [1.0]} for name in ("refused", "too")},
}
"""Stands for a model that the grammar refused."""

REFUSED_MEASURE = {"name": "refused", "count": ROOT, "of": ROOT}
"""Stands for a measure that the grammar refused."""


def read_words(document: Document, mistakes: Mistakes) -> TemplateWords | None:
    """Hold a document against the grammar.

    Parameters
    ----------
    document : Document
        A template.
    mistakes : Mistakes
        Where every mistake goes.

    Returns
    -------
    TemplateWords or None
        Where some of it was refused, the rest, so that its mistakes can be told too; None where
        the rest is no template.
    """
    words = checked(TemplateWords, document, mistakes)
    return words if words or not isinstance(document.content, Mapping) else _rest(document.content)


def _rest(content: Mapping[str, Any]) -> TemplateWords | None:
    """Return what is left of a document when everything that the grammar refuses is taken out."""
    left = {**_SKELETON, **copy.deepcopy(dict(content))}
    for trail in unknown_keys(TemplateWords, left):
        _take_out(left, trail)
    if not isinstance(left["markers"], dict) or not isinstance(left["populations"], list):
        return None
    left["populations"] = [_population_left(piece, place) for place, piece in enumerate(left["populations"])]
    left["report"] = _report_left(left["report"])
    for key, model, instead in _PIECES:
        left[key] = _pieces_left(left[key], model, instead)
    for key in [key for key, piece in left.items() if not fits(TemplateWords, {**_SKELETON, key: piece})]:
        left[key] = _SKELETON[key]
    return TemplateWords.model_validate(left) if fits(TemplateWords, left) else None


_SKELETON: Mapping[str, Any] = {
    "template": 1,
    "name": "refused",
    "version": 1,
    "history": [],
    "markers": {},
    "compensation": "none",
    "scales": {"fluorescence": "none"},
    "populations": [{"name": "refused", "parent": ROOT, "gate": REFUSED_GATE}],
    "report": {"primary": REFUSED_MEASURE},
    "limits": {},
    "scaling": {},
    "models": {},
    "bridge": None,
    "shifts": [],
    "draws": 0,
}
_PIECES: tuple[tuple[str, type[BaseModel], Any], ...] = (
    ("models", ModelWords, REFUSED_MODEL),
    ("markers", MarkerWords, {}),
    ("limits", LimitWords, {}),
    ("scales", ScaleWords, "none"),
)


def _take_out(content: Any, trail: Trail) -> None:
    """Take out what stands at a path; a mapping that it leaves empty says nothing any more.

    What a decimal comma split is put together, so that nothing is said of its first half.
    """
    meant = split_number(trail, content)
    for part in trail[:-2]:
        content = content[part]
    holder = content[trail[-2]] if trail[:-1] else content
    if meant:
        holder[list(holder)[list(holder).index(trail[-1]) - 1]] = float(meant)
    del holder[trail[-1]]
    if trail[:-1] and not holder:
        content[trail[-2]] = None


def _population_left(piece: Any, place: int) -> Any:
    """Return a population, or as much of it as can be understood."""
    if fits(PopulationWords, piece):
        return piece
    left = {"name": f"refused {place}", "parent": ROOT, "gate": REFUSED_GATE}
    said = piece if isinstance(piece, Mapping) else {}
    for key in {"name", "parent", "markers"} & set(said):
        if fits(PopulationWords, {**left, key: said[key]}):
            left[key] = said[key]
    return left


def _pieces_left(pieces: Any, model: type[BaseModel], instead: Any) -> Any:
    if not isinstance(pieces, Mapping):
        return pieces
    return {
        name: piece if fits(model, piece) or piece == instead else instead for name, piece in pieces.items()
    }


def _report_left(report: Any) -> Any:
    report = dict(report) if isinstance(report, Mapping) else {}
    also = report.get("also", [])
    measures = [report.get("primary"), *(also if isinstance(also, list) else [])]
    primary, *others = [piece if fits(MeasureWords, piece) else REFUSED_MEASURE for piece in measures]
    return {**report, "primary": primary, "also": others}


def is_refused(model: ModelWords) -> bool:
    """Whether a model stands for one that the grammar refused."""
    return model.markers == REFUSED_MODEL["markers"] and list(model.kinds) == list(REFUSED_MODEL["kinds"])
