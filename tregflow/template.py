"""Template: the stored hierarchy as a frozen tree.

`Template.from_document` is the only way in. A template that exists is right: parents stand above
their children, markers are declared, every shape has the axes of its population, every number in a
report has a denominator. Nothing downstream asks again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from tregflow import binding
from tregflow.binding import Marker
from tregflow.compensation import Compensation
from tregflow.compensation import match as match_spillover
from tregflow.document import Document, Mistakes, Trail, checked
from tregflow.errors import Finding, nearest, refuse
from tregflow.gates.shapes import (
    Ellipse,
    Interval,
    Members,
    Polygon,
    Rectangle,
    Shape,
    from_mapping,
    named,
    parts,
)
from tregflow.grammar import GateWords, PopulationWords, TemplateWords, is_cut
from tregflow.sample import Channel, Sample, Spillover
from tregflow.transforms import TRANSFORMS, Identity, Transform
from tregflow.view import Bound

ROOT = "root"
UNSCALED = re.compile(r"(FSC|SSC)(-[AHW])?|Time|Width", re.IGNORECASE)
"""Markers that need no declaration and have no scale unless the template gives them one."""

DEFAULT_LIMIT = (500, 2000)
"""Events of the primary denominator below which a number is refused, and reviewed."""


@dataclass(frozen=True, slots=True)
class Gate:
    """How a population is cut out of its parent.

    Parameters
    ----------
    method : str
        Name of a method; empty where the shape is written in the template.
    settings : mapping of str to Any
        The method's own settings.
    stored : Shape or None
        The fixed shape, or what a method falls back to; axis units.
    keep : str
        ``above`` or ``below`` a cut.
    within : tuple of float or None
        Window of a cut, axis units.
    of : str
        Population on whose events the gate is placed; empty for the parent.
    least : int
        Fewest events to place it on.
    """

    method: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    stored: Shape | None = None
    keep: Literal["above", "below"] = "above"
    within: tuple[float, float] | None = None
    of: str = ""
    least: int = 0


@dataclass(frozen=True, slots=True)
class Population:
    """A named gate inside a parent."""

    name: str
    parent: str
    markers: tuple[str, ...]
    gate: Gate
    is_reference: bool = False


@dataclass(frozen=True, slots=True)
class Measure:
    """Events of `count` in per cent of the events of `of`."""

    name: str
    count: str
    of: str
    role: Literal["primary", "secondary"] = "secondary"


@dataclass(frozen=True, slots=True)
class Limit:
    """Events of a population below which a number is refused, or reviewed."""

    refuse_below: int = 0
    review_below: int = 0


@dataclass(frozen=True, slots=True)
class Scaling:
    """How stored values become scale values where files leave it open."""

    gain: Literal["apply", "ignore"] | None = None
    log_on_floats: Literal["refuse", "ignore", "apply"] = "refuse"


@dataclass(frozen=True)
class Template:
    """A stored gating template, checked.

    Parameters
    ----------
    name : str
        As the document calls it.
    markers : tuple of Marker
        Declared markers.
    compensation : str or Spillover
        ``file``, ``none``, or the table that the document names.
    scales : mapping of str to Transform
        Axis of each marker that a gate or a table uses.
    populations : tuple of Population
        Parents above children.
    measures : tuple of Measure
        The primary first.
    medians : mapping of str to tuple of str
        Populations whose median is reported, by marker.
    limits : mapping of str to Limit
        By population.
    scaling : Scaling
        Where files leave scaling open.
    content : mapping
        The document as it was written, for the record.
    """

    name: str
    markers: tuple[Marker, ...]
    compensation: str | Spillover
    scales: Mapping[str, Transform]
    populations: tuple[Population, ...]
    measures: tuple[Measure, ...]
    medians: Mapping[str, tuple[str, ...]]
    limits: Mapping[str, Limit]
    scaling: Scaling
    content: Mapping[str, Any] = field(repr=False)

    @classmethod
    def from_document(cls, document: Document) -> Template:
        """Return the template that a document describes.

        Parameters
        ----------
        document : Document
            Plain values and where they stand.

        Returns
        -------
        Template

        Raises
        ------
        InputError
            ``E-TEMPLATE``, ``E-UNBUILT``: every mistake, in the order of the document.
        """
        mistakes = Mistakes("E-TEMPLATE", document.places)
        words = checked(TemplateWords, document, mistakes)
        mistakes.raise_any()
        assert words is not None
        template = _built(words, document, mistakes)
        mistakes.raise_any()
        return template

    @classmethod
    def from_mapping(cls, content: Mapping[str, Any]) -> Template:
        """Return the template that plain values describe; see `from_document`."""
        return cls.from_document(Document(content))

    def to_mapping(self) -> Mapping[str, Any]:
        """Return the document that the template came from."""
        return self.content

    @property
    def hash(self) -> str:
        """SHA-256 of the document's values and of the matrix that it names, hexadecimal."""
        written = json.dumps(self.content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = hashlib.sha256(written.encode())
        if isinstance(self.compensation, Spillover):
            digest.update("\n".join(self.compensation.names).encode())
            digest.update(self.compensation.matrix.tobytes())
        return digest.hexdigest()

    @property
    def primary(self) -> Measure:
        """The one measure that the endpoint is about."""
        return self.measures[0]

    def population(self, name: str) -> Population:
        """Return a population by name."""
        return next(population for population in self.populations if population.name == name)

    def path(self, name: str) -> tuple[str, ...]:
        """Return the populations from the root's child down to one."""
        if name == ROOT:
            return ()
        return (*self.path(self.population(name).parent), name)

    def leans_on(self, name: str) -> tuple[str, ...]:
        """Return the populations that one population's members depend on directly."""
        population = self.population(name)
        needed = (population.parent, population.gate.of, *named(population.gate.stored))
        return tuple(other for other in needed if other not in {"", ROOT})

    def compensated_by(self, spillover: Spillover) -> Template:
        """Return the template with the table that it names."""
        return replace(self, compensation=spillover)

    def bind(self, sample: Sample, named: Mapping[str, str] = MappingProxyType({})) -> Bound:
        """Give a file's channels the template's marker names, compensation and scales.

        Parameters
        ----------
        sample : Sample
            The file.
        named : mapping of str to str
            Channels that the sheet names outright, by marker.

        Returns
        -------
        Bound

        Raises
        ------
        FileError
            ``E-MARKER``, ``E-SPILL``, ``E-SCALING``.
        """
        compensating = self.compensation != "none"
        channels, found = binding.match(self._needed(), sample, named, compensating=compensating)
        scaled = self._scaled(sample, channels)
        compensation = self._matrix(sample, channels) if compensating else None
        said = (*found, *scaled, *(compensation.findings if compensation else ()))
        return Bound(sample, channels, {name: self.scales[name] for name in channels}, compensation, said)

    def _needed(self) -> list[Marker]:
        declared = {marker.name: marker for marker in self.markers}
        return [declared.get(name, Marker(name)) for name in self.scales]

    def _matrix(self, sample: Sample, channels: Mapping[str, int]) -> Compensation | None:
        done = [sample.names[place] for place in channels.values() if binding.COMPENSATED.match(sample.names[place])]
        if done:
            raise refuse("E-SPILL", f"{done[0]} is compensated already and the template asks for compensation; "
                         "write compensation: none")  # fmt: skip
        spillover = sample.spillover if isinstance(self.compensation, str) else self.compensation
        if spillover is None:
            told = [finding.sentence for finding in sample.findings if finding.code == "N-SPILL"]
            raise refuse("E-SPILL", "the template asks for the file's compensation and the file has no spillover "
                         f"matrix that can be used{': ' + told[0] if told else ''}. Export it with compensation, name "
                         "a table in the template, or write compensation: none")  # fmt: skip
        return match_spillover(spillover, sample)

    def _scaled(self, sample: Sample, channels: Mapping[str, int]) -> list[Finding]:
        findings = []
        for name, place in channels.items():
            channel = sample.channels[place]
            if channel.stated_gain != 1 and self.scaling.gain is None:
                findings.append(Finding("F-GAIN", f"{name} ({channel.name}) has gain {channel.stated_gain:g}, which was "
                                        "divided out; write scaling: {gain: apply} or {gain: ignore} in the template"))  # fmt: skip
            if channel.stated_decades and not channel.decades:
                findings.append(self._log_unapplied(name, channel))
        return findings

    def _log_unapplied(self, name: str, channel: Channel) -> Finding:
        seen = f"{name} ({channel.name}) holds floating-point values and claims {channel.stated_decades:g} log decades"
        if self.scaling.log_on_floats == "refuse":
            raise refuse("E-SCALING", f"{seen}; write scaling: {{log_on_floats: ignore}} if the values are linear already "
                         "(usual), or apply")  # fmt: skip
        return Finding("N-SCALING", f"{seen}, which was not applied, as the template says")


def _built(words: TemplateWords, document: Document, mistakes: Mistakes) -> Template:
    builder = _Builder(words, mistakes)
    populations = tuple(builder.population(place) for place in range(len(words.populations)))
    measures = builder.measures(populations)
    builder.check_rest()
    compensation = words.compensation
    if compensation == "controls":
        mistakes.add(("compensation",), "controls is not available in this version; name a table, or write file",
                     code="E-UNBUILT")  # fmt: skip
    return Template(words.name, builder.markers(), compensation, builder.scales(), populations, measures,
                    {marker: tuple(names) for marker, names in words.report.medians.items()},
                    builder.limits(), Scaling(words.scaling.gain, words.scaling.log_on_floats),
                    document.content)  # fmt: skip


class _Builder:
    """Turns checked words into values, noting what has no meaning."""

    def __init__(self, words: TemplateWords, mistakes: Mistakes) -> None:
        self.words, self.mistakes = words, mistakes
        self.names = [population.name for population in words.populations]
        self.above: list[str] = []

    def population(self, place: int) -> Population:
        words, trail = self.words.populations[place], ("populations", place)
        self._check_name(words.name, (*trail, "name"))
        self._check_parent(words, (*trail, "parent"))
        for axis, marker in enumerate(words.markers):
            self._check_marker(marker, (*trail, "markers", axis))
        gate = self._gate(words.gate, (*trail, "gate"), len(words.markers))
        self.above.append(words.name)
        return Population(words.name, words.parent, tuple(words.markers), gate, words.role == "reference")

    def _check_name(self, name: str, trail: Trail) -> None:
        if name == ROOT or "/" in name:
            self.mistakes.add(trail, f'"{name}" cannot name a population: root is the whole file and / joins a path')
        if name.casefold() in map(str.casefold, self.above):
            self.mistakes.add(trail, f'"{name}" is the name of a population above')

    def _check_parent(self, words: PopulationWords, trail: Trail) -> None:
        if words.parent == ROOT or words.parent in self.above:
            return
        if circle := self._circle(words.name):
            self.mistakes.add(trail, f"{' → '.join(circle)} is a circle; one of them must have a parent outside it")
        else:
            self._unknown(words.parent, trail)

    def _circle(self, name: str) -> list[str]:
        parents = {population.name: population.parent for population in self.words.populations}
        walked = [name]
        while (parent := parents.get(walked[-1])) and parent not in walked:
            walked.append(parent)
        return [*walked, name] if parent == name else []

    def _unknown(self, name: str, trail: Trail) -> None:
        if name in self.names:
            self.mistakes.add(trail, f'"{name}" is defined below; move it above')
        else:
            self.mistakes.add(trail, f'"{name}" is not defined{nearest(name, [ROOT, *self.above])}')

    def _check_above(self, name: str, trail: Trail) -> None:
        if name not in self.above:
            self._unknown(name, trail)

    def _check_marker(self, name: str, trail: Trail) -> None:
        if name not in self.words.markers and not UNSCALED.fullmatch(name):
            self.mistakes.add(trail, f'"{name}" is not among the markers{nearest(name, self.words.markers)}')
        elif name in self.words.markers or UNSCALED.fullmatch(name):
            self._check_scale(name, trail)

    def _check_scale(self, name: str, trail: Trail) -> None:
        if not {name, "fluorescence"} & set(self.words.scales) and not UNSCALED.fullmatch(name):
            self.mistakes.add(trail, f"{name} has no scale; write scales: {{fluorescence: …}} or {{{name}: …}}")

    def _gate(self, words: GateWords, trail: Trail, axes: int) -> Gate:  # type: ignore[valid-type]
        kind, said = words.spoken()  # type: ignore[attr-defined]
        if kind in TRIVIAL:
            return Gate(stored=self._shape(words, trail, axes))
        wanted = 1 if is_cut(kind) else 2
        if axes != wanted:
            self.mistakes.add((*trail, kind), f"{kind} works on {wanted} marker{'s'[: wanted > 1]}, the population has {axes}")
        return self._method(kind, said, (*trail, kind))

    def _method(self, kind: str, said: Any, trail: Trail) -> Gate:
        if said.of is not None:
            self._check_of(said.of, (*trail, "of"))
        if said.across != "sample":
            self.mistakes.add((*trail, "across"), f"across: {said.across} is not available in this version", code="E-UNBUILT")
        shared = {"of", "least", "across", "stored"} | ({"keep", "within"} if is_cut(kind) else set())
        own = {name: getattr(said, name) for name in type(said).model_fields if name not in shared}
        if is_cut(kind):
            self._check_window(said, trail)
            stored = None if said.stored is None else _kept(said.stored, said.keep)
            return Gate(kind, own, stored, said.keep, said.within, said.of or "", said.least)
        outline = None if said.stored is None else self._shape(said.stored, (*trail, "stored"), 2)
        return Gate(kind, own, outline, of=said.of or "", least=said.least)

    def _check_of(self, name: str, trail: Trail) -> None:
        if name.casefold().startswith("fmo"):
            self.mistakes.add(trail, "gates on an FMO tube are not available in this version", code="E-UNBUILT")
        else:
            self._check_above(name, trail)

    def _check_window(self, said: Any, trail: Trail) -> None:
        if said.within is None:
            return
        low, high = said.within
        if not low < high:
            self.mistakes.add((*trail, "within"), f"runs from {low:g} to {high:g}; the first must be the smaller")
        elif said.stored is not None and not low <= said.stored <= high:
            self.mistakes.add((*trail, "stored"), f"{said.stored:g} lies outside the window {low:g} to {high:g}")

    def _shape(self, words: GateWords, trail: Trail, axes: int) -> Shape:  # type: ignore[valid-type]
        shape = from_mapping(_dumped(words))
        self._check_shape(shape, trail, axes)
        return shape

    def _check_shape(self, shape: Shape, trail: Trail, axes: int) -> None:
        if isinstance(shape, Members):
            self._check_above(shape.population, trail)
        for part in parts(shape):
            self._check_shape(part, trail, axes)
        if (wanted := _axes(shape)) is not None and wanted != axes:
            self.mistakes.add(trail, f"a shape on {wanted} {'axis' if wanted == 1 else 'axes'}, "
                              f"the population has {axes} marker{'' if axes == 1 else 's'}")  # fmt: skip
        elif sentence := _flaw(shape):
            self.mistakes.add(trail, sentence)

    def measures(self, populations: Iterable[Population]) -> tuple[Measure, ...]:
        parents = {population.name: population.parent for population in populations}
        report, measures = self.words.report, []
        trails: list[Trail] = [("report", "primary"), *(("report", "also", place) for place in range(len(report.also)))]
        for trail, words in zip(trails, (report.primary, *report.also), strict=True):
            self._check_measure(words.count, words.of, trail, parents)
            role: Literal["primary", "secondary"] = "secondary" if measures else "primary"
            if words.name in [measure.name for measure in measures]:
                self.mistakes.add((*trail, "name"), f'"{words.name}" is the name of a measure above')
            measures.append(Measure(words.name, words.count, words.of, role))
        return tuple(measures)

    def _check_measure(self, count: str, of: str, trail: Trail, parents: Mapping[str, str]) -> None:
        missing = [key for key, name in (("count", count), ("of", of)) if name not in (*self.names, ROOT)]
        for key in missing:
            name = count if key == "count" else of
            self.mistakes.add((*trail, key), f'"{name}" is not a population{nearest(name, self.names)}')
        line = [count]
        while not missing and line[-1] in parents and len(line) <= len(parents):
            line.append(parents[line[-1]])
        if not missing and of not in line:
            self.mistakes.add((*trail, "of"), f'"{count}" does not lie below "{of}", so its percent of it has no meaning')

    def check_rest(self) -> None:
        for name in self.words.scales:
            if name != "fluorescence" and name not in self.words.markers and not UNSCALED.fullmatch(name):
                self.mistakes.add(("scales", name), f'"{name}" is not among the markers'
                                  f'{nearest(name, ["fluorescence", *self.words.markers])}', key=True)  # fmt: skip
            self._transform(name)
        for name in self.words.limits:
            if name not in self.names:
                self.mistakes.add(("limits", name), f'"{name}" is not a population{nearest(name, self.names)}', key=True)
        for marker, names in self.words.report.medians.items():
            self._check_marker(marker, ("report", "medians", marker))
            for place, name in enumerate(names):
                if name not in self.names:
                    self.mistakes.add(("report", "medians", marker, place),
                                      f'"{name}" is not a population{nearest(name, self.names)}')  # fmt: skip

    def markers(self) -> tuple[Marker, ...]:
        return tuple(Marker(name, tuple(words.aliases), words.optional) for name, words in self.words.markers.items())

    def scales(self) -> dict[str, Transform]:
        used = [marker for population in self.words.populations for marker in population.markers]
        return {name: self._scale(name) for name in dict.fromkeys([*used, *self.words.report.medians])}

    def _scale(self, name: str) -> Transform:
        if name in self.words.scales:
            return self._transform(name)
        return Identity() if UNSCALED.fullmatch(name) else self._transform("fluorescence")

    def _transform(self, name: str) -> Transform:
        words = self.words.scales.get(name, "none")
        if isinstance(words, str):
            return Identity()
        kind, said = words.spoken()  # type: ignore[attr-defined]
        try:
            return TRANSFORMS[kind](**said.model_dump())
        except ValueError as error:
            trail: Trail = ("scales", name, kind)
            if self.mistakes.places.of(trail) not in [mistake.where for mistake in self.mistakes.found]:
                self.mistakes.add(trail, str(error))
            return Identity()

    def limits(self) -> dict[str, Limit]:
        limits = {name: Limit(words.refuse_below, words.review_below) for name, words in self.words.limits.items()}
        limits.setdefault(self.words.report.primary.of, Limit(*DEFAULT_LIMIT))
        return limits


TRIVIAL = frozenset({"interval", "rectangle", "polygon", "ellipse", "members", "and", "or", "not"})


def _kept(cut: float, keep: str) -> Interval:
    return Interval(low=cut) if keep == "above" else Interval(high=cut)


def _dumped(words: Any) -> dict[str, Any]:
    return dict(words.model_dump(exclude_unset=True, by_alias=True))


def _axes(shape: Shape) -> int | None:
    if isinstance(shape, Interval):
        return 1
    if isinstance(shape, Polygon):
        return 2
    if isinstance(shape, Rectangle):
        return len(shape.low)
    return len(shape.centre) if isinstance(shape, Ellipse) else None


def _flaw(shape: Shape) -> str:
    if isinstance(shape, Interval) and not shape.low < shape.high:
        return f"low is {shape.low:g} and high {shape.high:g}; low must be the smaller"
    if isinstance(shape, Rectangle):
        return _rectangle_flaw(shape)
    return _ellipse_flaw(shape) if isinstance(shape, Ellipse) else ""


def _rectangle_flaw(shape: Rectangle) -> str:
    if len(shape.low) != len(shape.high):
        return f"low has {len(shape.low)} edges and high {len(shape.high)}"
    if any(low >= high for low, high in zip(shape.low, shape.high, strict=True)):
        return "every low edge must be smaller than its high edge"
    return ""


def _ellipse_flaw(shape: Ellipse) -> str:
    size, matrix = len(shape.centre), shape.covariance
    if len(matrix) != size or any(len(row) != size for row in matrix):
        return f"the covariance must be {size} x {size}"
    return "" if shape.is_proper else "the covariance must be symmetric and positive definite"
