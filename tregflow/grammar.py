"""What a template may say: the document's models, built from the gates' own signatures.

A gate method's settings are the keyword arguments of its function; nothing here names one. The
same models check a template and make the JSON schema that lets an editor complete it.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, create_model, model_validator
from pydantic import Strict as Strictness

from tregflow.document import Strict
from tregflow.gates import CUTS, METHODS
from tregflow.transforms import TRANSFORMS

Lenient = Strictness(strict=False)
"""YAML has lists where values are tuples."""

Pair = Annotated[tuple[float, float], Lenient]
Edges = Annotated[list[float | None], Field(min_length=1)]
Name = Annotated[str, Field(min_length=1)]


def _later(what: str) -> tuple[str, str]:
    return "E-UNBUILT", f"{what} not available in this version"


class IntervalWords(Strict):
    """``low <= x < high`` on one axis, axis units; leave out an open edge."""

    low: float | None = Field(None, description="The lower edge.")
    high: float | None = Field(None, description="The upper edge.")


class RectangleWords(Strict):
    """``low <= x < high`` on each axis, axis units; null where open."""

    absent = MappingProxyType(
        {
            "low": "write low: [null, null] where open",
            "high": "write high: [null, null] where open",
        }
    )

    low: Edges = Field(description="The lower edge on each axis.")
    high: Edges = Field(description="The upper edge on each axis.")


class PolygonWords(Strict):
    """Corners in order, axis units."""

    vertices: Annotated[list[Pair], Field(min_length=3)] = Field(
        description="[x, y] of each corner; the last joins the first."
    )


class EllipseWords(Strict):
    """Centre, covariance and squared distance of the border, axis units."""

    centre: Annotated[list[float], Field(min_length=1)] = Field(description="One position on each axis.")
    covariance: list[list[float]] = Field(description="A row per axis; symmetric and positive definite.")
    distance: Annotated[float, Field(gt=0)] = Field(
        1.0, description="Squared Mahalanobis distance of the border."
    )


def _one_key_described(described: dict[str, Any]) -> None:
    """Say in JSON schema that one key is there, and that it says something."""
    described |= {"minProperties": 1, "maxProperties": 1}
    for key, said in described.get("properties", {}).items():
        told = {"description": said["description"]} if "description" in said else {}
        option = next(option for option in said.get("anyOf", [said]) if option != {"type": "null"})
        described["properties"][key] = {**option, **told}


class OneKey(Strict):
    """A mapping with exactly one of its keys."""

    model_config = ConfigDict(json_schema_extra=lambda described: _one_key_described(described))

    @model_validator(mode="before")
    @classmethod
    def _one_key(cls, written: Any) -> Any:
        if isinstance(written, Mapping):
            if len(written) != 1:
                raise ValueError(f"expected one key, got {', '.join(map(str, written)) or 'none'}")
            ((key, value),) = written.items()
            if value is None:
                raise ValueError(f'"{key}" has no settings; write {key}: {{}} if it needs none')
        return written

    def spoken(self) -> tuple[str, Any]:
        """Return the key that is there and its value."""
        ((name, value),) = ((name, getattr(self, name)) for name in self.model_fields_set)
        return type(self).model_fields[name].alias or name, value


class OutlineWords(OneKey):
    """A shape on its own."""

    interval: IntervalWords | None = None
    rectangle: RectangleWords | None = None
    polygon: PolygonWords | None = None
    ellipse: EllipseWords | None = None


Stored = Annotated[
    Annotated[float, Tag("cut")] | Annotated[OutlineWords, Tag("outline")],
    Discriminator(lambda written: "cut" if isinstance(written, (int, float)) else "outline"),
]
"""The position of a cut, or a shape."""

Part = Annotated[
    Annotated[str, Tag("name")] | Annotated["FormWords", Tag("form")],
    Discriminator(lambda written: "name" if isinstance(written, str) else "form"),
]
"""The name of a population, or a shape."""

Parts = Annotated[list[Part], Field(min_length=1)]


class FormWords(OutlineWords):
    """A shape, or a combination of shapes and of populations above."""

    members: str | None = Field(None, description="The members of a population above.")
    all_of: Parts | None = Field(None, alias="and", description="Inside every part.")
    any_of: Parts | None = Field(None, alias="or", description="Inside at least one part.")
    none_of: Part | None = Field(None, alias="not", description="Outside the part, inside the parent.")

    strangers = MappingProxyType(
        {
            name: (
                "E-TEMPLATE",
                f"{name} is placed on events and cannot be a part; make it a population and name that here",
            )
            for name in METHODS
        }
    )


SHAPES = frozenset(info.alias or name for name, info in FormWords.model_fields.items())
"""Gates that are written as they are, without a method."""


def _settings(function: Callable[..., Any]) -> dict[str, Any]:
    hints, says = typing.get_type_hints(function, include_extras=True), _parameters(function)
    return {
        name: (
            OutlineWords if name == "outline" else _listed(hints[name]),
            Field(... if given.default is given.empty else given.default, description=says[name]),
        )
        for name, given in inspect.signature(function).parameters.items()
        if given.kind is given.KEYWORD_ONLY
    }


def _parameters(described: Any) -> dict[str, str]:
    """Return what a numpydoc docstring says of each parameter."""
    section = (inspect.getdoc(described) or "").partition("Parameters\n----------\n")[2]
    entries = re.findall(r"^(\w[\w, ]*) : .*\n((?:    .*\n?)+)", section.partition("\n\n")[0], re.MULTILINE)
    return {
        name.strip(): " ".join(words.split()).replace("``", "")
        for names, words in entries
        for name in names.split(",")
    }


def _listed(annotation: Any) -> Any:
    """Return an annotation whose tuples may be written as lists."""
    parts = tuple(map(_listed, typing.get_args(annotation)))
    if typing.get_origin(annotation) is tuple:
        return Annotated[tuple[parts], Lenient]  # type: ignore[valid-type]
    if typing.get_origin(annotation) is Annotated or not parts:
        return annotation
    return typing.Union[parts]  # noqa: UP007 - made at run time


def _words(function: Callable[..., Any], shared: type[BaseModel]) -> type[BaseModel]:
    says = (inspect.getdoc(function) or "").partition("\n")[0]
    own = _settings(function)
    return create_model(f"{function.__name__}_settings", __base__=shared, __doc__=says, **own)


class Shared(Strict):
    """What every method may be told."""

    of: str | None = Field(
        None, description="Population on whose events the gate is placed; the parent unless named."
    )
    least: Annotated[int, Field(ge=2)] = Field(
        200, description="Fewest events to place it on; below, the stored gate."
    )
    tube: Literal["sample", "fmo", "reference"] = Field(
        "sample", description="On which tube it is placed: its own, or the run's FMO or reference tube."
    )
    across: Literal["sample", "subject", "run"] = Field(
        "sample", description="Whose tubes of the run are pooled to place it; the result names them."
    )


class CutShared(Shared):
    """What every method on one axis may be told."""

    keep: Literal["above", "below"] = Field(description="The side that the population is on.")
    within: Pair | None = Field(None, description="The cut never leaves this window; axis units.")
    stored: float | None = Field(None, description="The cut to fall back to; axis units.")


class MixtureWords(Strict):
    """Keep some kinds of cells of a model: the border lies where they and the others are equally likely."""

    model: str = Field(description="Name of the model, under models.")
    keep: Annotated[list[Name], Field(min_length=1)] = Field(
        description="The kinds that the population holds."
    )
    probability: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5, description="That a cell on the border is of a kept kind."
    )
    within: Pair | None = Field(None, description="A cut never leaves this window; axis units.")
    stored: Stored | None = Field(None, description="The cut, or the outline, to fall back to; axis units.")


class MethodWords(FormWords):
    """A shape, a combination, or a method that places one."""

    strangers = MappingProxyType({"quadrant_share": _later("quadrants of a population are")})

    mixture: MixtureWords | None = None


def _gate_words() -> type[MethodWords]:
    """Return the model of a gate: one shape, one method, or a combination."""
    outline = Field(None, description="The outline to fall back to.")
    cloud = create_model("CloudShared", __base__=Shared, stored=(OutlineWords | None, outline))
    placed: dict[str, Any] = {
        name: (_words(function, CutShared if name in CUTS else cloud) | None, None)
        for name, function in METHODS.items()
    }
    says = "One shape, one method that places a shape, or a combination."
    return create_model("Gate", __base__=MethodWords, __doc__=says, **placed)


GateWords = _gate_words()


def _scale_words() -> type[OneKey]:
    words: dict[str, Any] = {}
    for name, kind in TRANSFORMS.items():
        hints, says = typing.get_type_hints(kind), _parameters(kind)
        given: dict[str, Any] = {
            part.name: (
                hints[part.name],
                Field(... if part.default is MISSING else part.default, description=says[part.name]),
            )
            for part in fields(kind)
        }
        about = (inspect.getdoc(kind) or "").partition("\n")[0]
        words[name] = (create_model(name, __base__=Strict, __doc__=about, **given) | None, None)
    return create_model("Scale", __base__=OneKey, __doc__="How linear values become an axis.", **words)


ScaleWords = _scale_words()

AnyScale = Annotated[
    Annotated[Literal["none"], Tag("word")] | Annotated[ScaleWords, Tag("scale")],  # type: ignore[valid-type]
    Discriminator(lambda written: "word" if isinstance(written, str) else "scale"),
]


class FingerprintWords(Strict):
    """The dye, detector and voltage that stored coordinates belong to."""

    detector: Name | None = Field(None, description="$PnN of the detector.")
    dye: Name | None = Field(None, description="The dye, for the reader.")
    voltage: Annotated[float, Field(gt=0)] | None = Field(None, description="$PnV of the detector.")


class MarkerWords(Strict):
    """How a file may call a marker."""

    aliases: list[Name] = Field(default_factory=list)
    optional: bool = Field(
        False, description="If no detector carries it, its gates are skipped and the result says so."
    )
    fingerprint: FingerprintWords | None = Field(
        None, description="What its stored coordinates belong to; another one is flagged."
    )


Positions = Annotated[tuple[float, ...], Lenient, Field(min_length=1, max_length=3)]


class KindWords(Strict):
    """One kind of cells: where it lies and how far it spreads."""

    at: Positions = Field(description="Its middle on each axis of the model; axis units.")
    spread: Positions = Field(description="Its standard deviation on each axis; axis units.")
    steady: bool = Field(
        True, description="Whether treatment leaves it where it is: steady kinds say how dyes moved."
    )


class ModelWords(Strict):
    """The kinds of cells in a population, fitted once per file."""

    of: str = Field(description="The population.")
    markers: Annotated[list[Name], Field(min_length=1, max_length=3)] = Field(
        description="Axes of the model."
    )
    kinds: Annotated[dict[Name, KindWords], Field(min_length=2)]
    guide: Annotated[float, Field(gt=0)] = Field(
        1.0, description="How much the written kinds count, beside the events of each."
    )
    follow: Annotated[float, Field(gt=0)] = Field(
        0.1, description="How far all kinds together may lie from where they are written; axis units."
    )
    least: Annotated[int, Field(ge=2)] = Field(200, description="Fewest events to fit; below, stored gates.")


class BridgeWords(Strict):
    """Where the reference tube lay when the template was made: stored coordinates move with it."""

    drift: Annotated[float, Field(gt=0)] = Field(
        0.1, description="The most that a landmark may move; axis units."
    )
    percent: Annotated[float, Field(gt=0, le=100)] | None = Field(
        None,
        description="What the reference tube's primary percent was: a run whose reference has another is flagged.",
    )
    landmarks: dict[str, dict[str, list[float]]] = Field(
        description="By population, then marker: positions of the quantiles 0.02 0.1 0.25 0.5 0.75 0.9 0.97 0.99."
    )


class PopulationWords(Strict):
    """A gate inside a parent."""

    name: Name
    parent: str
    markers: list[str] = Field(default_factory=list)
    gate: GateWords  # type: ignore[valid-type]
    role: Literal["reference"] | None = None


class MeasureWords(Strict):
    """A percentage: the events of one population in per cent of another's."""

    name: Name
    count: str
    of: str


class ReportWords(Strict):
    """What the tables show."""

    primary: MeasureWords
    also: list[MeasureWords] = Field(default_factory=list)
    medians: dict[str, list[str]] = Field(default_factory=dict)


class LimitWords(Strict):
    """How many events a population needs that a reported percent is taken of or leans on."""

    refuse_below: Annotated[int, Field(ge=0)] = 0
    review_below: Annotated[int, Field(ge=0)] = 0


class ScalingWords(Strict):
    """How stored values become scale values where files leave it open."""

    gain: Literal["apply", "ignore"] | None = None
    log_on_floats: Literal["refuse", "ignore", "apply"] = "refuse"


class HistoryWords(Strict):
    """How one version of a template came out of the one before."""

    version: Annotated[int, Field(ge=1)]
    reason: Name = Field(description="Why it was changed.")
    before: str | None = Field(None, description="SHA-256 of the version before.")
    on: list[str] = Field(default_factory=list, description="The samples that it was changed on.")
    moved: dict[str, str] = Field(default_factory=dict, description="What moved, by gate, in words.")


class TemplateWords(Strict):
    """A stored gating template."""

    absent = MappingProxyType(
        {
            "template": "write template: 1 as the first line",
            "compensation": "write compensation: file, none, or the path of a table",
        }
    )

    template: Literal[1] = Field(description="Version of the format.")
    name: Name
    version: Annotated[int, Field(ge=1)] = Field(
        1, description="Of this template, counted by those who change it."
    )
    history: list[HistoryWords] = Field(default_factory=list)
    markers: dict[str, MarkerWords]
    compensation: Name = Field(description="file, none, or the path of a table relative to the template.")
    scales: dict[str, AnyScale] = Field(default_factory=dict)
    populations: Annotated[list[PopulationWords], Field(min_length=1)]
    report: ReportWords
    limits: dict[str, LimitWords] = Field(default_factory=dict)
    scaling: ScalingWords = ScalingWords()
    models: dict[Name, ModelWords] = Field(default_factory=dict)
    bridge: BridgeWords | None = None
    shifts: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        default_factory=lambda: [0.1, 0.2],
        description="Decades by which gates are shifted to see what the percent owes them.",
    )
    draws: Annotated[int, Field(ge=0)] = Field(
        50, description="Bootstrap draws that every gate is placed on again."
    )


def schema() -> dict[str, Any]:
    """Return the JSON schema of a template, for editors."""
    described = TemplateWords.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_untitled(described)}


def _untitled(described: Any) -> Any:
    """Return a schema without titles, which would be the names of classes."""
    if isinstance(described, list):
        return [_untitled(part) for part in described]
    if not isinstance(described, dict):
        return described
    return {
        key: _untitled(part)
        for key, part in described.items()
        if not (key == "title" and isinstance(part, str))
    }
