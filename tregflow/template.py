"""Template: the stored hierarchy as a frozen tree.

`Template.from_document` is the only way in. A template that exists is right: parents stand above
their children, markers are declared, every shape has the axes of its population, every number in a
report has a denominator. Nothing downstream asks again.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tregflow import binding, fingerprint
from tregflow.binding import Marker
from tregflow.compensation import Compensation, uncovered
from tregflow.compensation import match as match_spillover
from tregflow.errors import Finding, refuse
from tregflow.hierarchy import (
    REFERENCE,
    ROOT,
    UNSCALED,
    Across,
    Bridge,
    Gate,
    Kinds,
    Limit,
    Measure,
    Population,
    Scaling,
    counted,
    path,
)
from tregflow.sample import Channel, Sample, Spillover
from tregflow.transforms import Identity, Transform
from tregflow.view import Bound

if TYPE_CHECKING:
    from tregflow.document import Document

__all__ = ["ROOT", "UNSCALED", "Gate", "Limit", "Measure", "Population", "Scaling", "Template"]


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
    models : tuple of Kinds
        The kinds of cells that mixture gates part.
    bridge : Bridge or None
        Where the reference tube lay when the template was made.
    shifts : tuple of float
        Decades by which gates are shifted to see what the percent owes them.
    draws : int
        Bootstrap draws.
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
    models: tuple[Kinds, ...] = ()
    bridge: Bridge | None = None
    shifts: tuple[float, ...] = ()
    draws: int = 0

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
            ``E-TEMPLATE``, ``E-UNBUILT``, ``E-YAML``: every mistake, in the order of the document.
        """
        from tregflow.document import Mistakes  # a process that is handed a template reads none
        from tregflow.meaning import Meaning, read_words

        mistakes = Mistakes.of(document, "E-TEMPLATE")
        words = read_words(document, mistakes)
        said = Meaning(words, mistakes) if words else None
        mistakes.raise_any()
        assert words is not None
        assert said is not None
        scaling = Scaling(words.scaling.gain, words.scaling.log_on_floats)
        content = copy.deepcopy(dict(document.content))
        return cls(
            words.name,
            said.markers,
            words.compensation,
            said.scales,
            said.populations,
            said.measures,
            said.medians,
            said.limits,
            scaling,
            content,
            said.models,
            said.bridge,
            tuple(words.shifts),
            words.draws,
        )

    @classmethod
    def from_mapping(cls, content: Mapping[str, Any]) -> Template:
        """Return the template that plain values describe; see `from_document`."""
        from tregflow.document import Document

        return cls.from_document(Document(content))

    def to_mapping(self) -> Mapping[str, Any]:
        """Return the document that the template came from."""
        return copy.deepcopy(dict(self.content))

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

    @property
    def controls(self) -> frozenset[str]:
        """The control tubes of the run that gates, or the bridge, look at: ``fmo:FOXP3``, ``reference``."""
        asked = {population.control for population in self.populations} - {""}
        return frozenset(asked | ({REFERENCE} if self.bridge else set()))

    @property
    def across(self) -> Across:
        """Whose tubes are pooled for some gate: the widest of ``sample``, ``subject`` and ``run``."""
        asked = {population.gate.across for population in self.populations}
        return "run" if "run" in asked else "subject" if "subject" in asked else "sample"

    def population(self, name: str) -> Population:
        """Return a population by name."""
        return next(population for population in self.populations if population.name == name)

    def path(self, name: str) -> tuple[str, ...]:
        """Return the populations from the root's child down to one."""
        return path(self.populations, name)

    def counted(self, measure: Measure) -> frozenset[str]:
        """Return the populations whose size is what a measure measures: no verdict may look at it."""
        return counted(self.populations, measure)

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
        compensation = _unmixed(sample, channels, self.compensation) if compensating else None
        scaled = _scaled(sample, _used(sample, channels, compensation), self.scaling)
        mixed = self._mixed(sample, channels, compensation) if compensation else ()
        mixed = (*mixed, *_rewritten(sample)) if compensating else mixed
        scales = {name: self.scales[name] for name in channels}
        strange = fingerprint.strangers(self.markers, sample, channels)
        said = (*found, *scaled, *mixed, *fingerprint.findings_of(strange))
        return Bound(sample, channels, scales, compensation, said, strange)

    def _mixed(
        self, sample: Sample, channels: Mapping[str, int], compensation: Compensation
    ) -> tuple[Finding, ...]:
        """Return what is to be said of a matrix, and of what it leaves out."""
        scaled = {
            name: place for name, place in channels.items() if not isinstance(self.scales[name], Identity)
        }
        return (*compensation.findings, *uncovered(compensation, sample, scaled))

    def _needed(self) -> list[Marker]:
        declared = {marker.name: marker for marker in self.markers}
        return [declared.get(name, Marker(name)) for name in self.scales]


def _unmixed(sample: Sample, channels: Mapping[str, int], asked: str | Spillover) -> Compensation:
    """Return the compensation that a template asks for, matched to a file."""
    done = [
        sample.names[place] for place in channels.values() if binding.COMPENSATED.match(sample.names[place])
    ]
    if done:
        raise refuse(
            "E-SPILL",
            f"{done[0]} is compensated already and the template asks for compensation; "
            "write compensation: none",
        )
    if sample.subtracted and isinstance(asked, str):
        raise refuse(
            "E-SPILL",
            f"{sample.subtracted} while it acquired, and the template compensates again; write compensation: "
            "none, or name a table in the template if the file was acquired without",
        )
    spillover = sample.spillover if isinstance(asked, str) else asked
    if spillover is None:
        told = [finding.sentence for finding in sample.findings if finding.code == "N-SPILL"]
        raise refuse(
            "E-SPILL",
            "the template asks for the file's compensation and the file has no spillover "
            f"matrix that can be used{': ' + told[0] if told else ''}. Export it with compensation, name "
            "a table in the template, or write compensation: none",
        )
    return match_spillover(spillover, sample)


def _rewritten(sample: Sample) -> Iterator[Finding]:
    """Yield a flag where the instrument, or a program that wrote the file, may have compensated the events."""
    if sample.subtracted:
        told = f"{sample.subtracted} while it acquired, and the template's table compensates again"
        yield Finding("F-TRANSFORMED", f"{told}; look whether the plots are compensated twice")
    said = sample.keywords.get("TRANSFORMATION", "").strip().casefold()
    if said in {"applied", "custom"}:
        seen = f'the keyword transformation says "{said}": R\'s flowCore wrote the file'
        told = f"{seen}, perhaps compensated or transformed, and the template compensates"
        yield Finding("F-TRANSFORMED", f"{told}; compare with the cytometer's own export")


def _scaled(sample: Sample, names: Mapping[int, str], scaling: Scaling) -> list[Finding]:
    """Return what is to be said of amplifiers that a file leaves open; `names` are of every channel used."""
    findings: list[Finding] = []
    for place, name in names.items():
        channel = sample.channels[place]
        findings += _of_gain(name, channel, scaling)
        if channel.stated_decades and not channel.decades:
            findings.append(_log_unapplied(name, channel, scaling))
    return findings


def _of_gain(name: str, channel: Channel, scaling: Scaling) -> Iterator[Finding]:
    """Yield a flag where a gain may be applied or not and the template does not say; refuse one without meaning."""
    if math.isnan(channel.stated_gain):
        raise refuse("E-SCALING", f"the gain ($PnG) of {name} is no number above 0; export the file again")
    if channel.stated_gain == 1 or channel.is_time or scaling.gain is not None:
        return
    told = f"{name} has gain {channel.stated_gain:g}, which was divided out; write scaling: {{gain: apply}}"
    if channel.decades:
        told = f"{name} has gain {channel.stated_gain:g} behind a log amplifier, which was not divided out"
        told = f"{told}, as gains are of linear amplifiers; write scaling: {{gain: apply}}"
    yield Finding("F-GAIN", f"{told} or {{gain: ignore}} in the template")


def _used(sample: Sample, channels: Mapping[str, int], compensation: Compensation | None) -> dict[int, str]:
    """Return every channel that a gate's value is made from, named by marker and detector."""
    mixed = (
        compensation.detectors
        if compensation and set(compensation.detectors) & set(channels.values())
        else ()
    )
    names = {place: sample.names[place] for place in mixed}
    return names | {place: f"{name} ({sample.names[place]})" for name, place in channels.items()}


def _log_unapplied(name: str, channel: Channel, scaling: Scaling) -> Finding:
    claimed = f"claims {channel.stated_decades:g} log decades"
    claimed = "its $PnE is no pair of numbers" if math.isnan(channel.stated_decades) else claimed
    seen = f"{name} holds floating-point values and {claimed}"
    if scaling.log_on_floats != "ignore":
        raise refuse(
            "E-SCALING",
            f"{seen}; write scaling: {{log_on_floats: ignore}} if the values are linear already "
            "(usual), or apply",
        )
    return Finding("N-SCALING", f"{seen}, which was not applied, as the template says")
