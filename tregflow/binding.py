"""Which detector carries which marker: matched by whole names, never by a part of one.

A marker is looked for by ``$PnS``, then by ``$PnN``, then as one whole word of a longer ``$PnS``
("BV785 - CD3") or what stands between its hyphens ("L/D Aqua - Viability"). Case, spaces, hyphens and a leading ``Comp-`` or ``FJComp-`` do not count; the
``-A``, ``-H`` or ``-W`` that ends a ``$PnN`` does: CD45R-A is not CD45RA. The first way that finds
anything decides; if it finds two detectors, the file is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import combinations

from tregflow.errors import FileError, Finding, nearest
from tregflow.sample import Sample

COMPENSATED = re.compile(r"^\s*(?:(?:FJ)?Comp-|<(?=.*>\s*$))", re.IGNORECASE)
SUFFIX = re.compile(r"-[AHW]$", re.IGNORECASE)
PARTS = re.compile(r"\s+-\s+")
WORDS = re.compile(r"\s+-\s+|[\s:/]+")
SHOWN = 40
"""Channels that a message lists."""
ALIKE = 0.85
"""Likeness from which on a name may be a slip for another: HLADR and HLADQ are below."""


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker of a template.

    Parameters
    ----------
    name : str
        What gates call it.
    aliases : tuple of str
        What files may call it.
    optional : bool
        Whether a file may lack it.
    fingerprint : mapping of str to str or float
        ``detector``, ``dye`` and ``voltage`` that its stored coordinates belong to, where stated.
    """

    name: str
    aliases: tuple[str, ...] = ()
    optional: bool = False
    fingerprint: Mapping[str, str | float] = field(default_factory=dict)

    @property
    def folded(self) -> frozenset[str]:
        """Every name that means this marker."""
        return frozenset(map(folded, (self.name, *self.aliases)))

    @property
    def folded_with_suffix(self) -> frozenset[str]:
        """Its names that say which of area, height and width is meant."""
        return frozenset(folded(name) for name in (self.name, *self.aliases) if SUFFIX.search(name))

    def is_name(self, name: str) -> bool:
        """Whether a ``$PnN`` means this marker; one with a suffix does under the bare name too."""
        stem = SUFFIX.sub("", bare(name))
        if stem == bare(name):
            return folded(name) in self.folded
        return folded(stem) in self.folded or folded(name) in self.folded_with_suffix

    def is_stain(self, stain: str) -> bool:
        """Whether a ``$PnS``, or one whole word of it, means this marker."""
        return folded(stain) in self.folded or bool(self.folded & _words(stain))

    def is_like(self, name: str) -> bool:
        """Whether a name of a file may be meant for this marker, though it does not say so."""
        pieces = {_characters(piece) for piece in (name, *re.split(r"[\W_]+", name))} - {""}
        own = {_characters(word) for word in (self.name, *self.aliases)}
        return any(_are_alike(one, other) for one in own for other in pieces)


@dataclass(slots=True)
class _Search:
    """One file's channels while markers are looked for."""

    sample: Sample
    compensating: bool
    markers: tuple[Marker, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    refused: list[Finding] = field(default_factory=list)
    missing: list[Marker] = field(default_factory=list)

    def channel(self, marker: Marker, named: str | None) -> int | None:
        """Return the channel of a marker, or None with the reason noted."""
        if named is not None:
            return self._by_sheet(marker, named)
        for way in (self._by_stain, self._by_name, self._by_word):
            if places := self._chosen(marker, way(marker)):
                return self._only(marker, places)
        if not marker.optional:
            self.missing.append(marker)
        return None

    def refusals(self) -> list[Finding]:
        """Return why the file is refused: what is missing in one sentence, then the rest."""
        if not self.missing:
            return self.refused
        *names, last = [marker.name for marker in self.missing]
        listed = f"{', '.join(names)} and {last}" if names else last
        alike = "".join(map(self._alike, self.missing))
        advice = (
            "Add the file's word to the marker's aliases in the template, or write the detector ($PnN) into "
        )
        said = f"no channel for {listed}; {self._has()}{alike}. {advice}a sheet column channel:{(*names, last)[0]}"
        return [Finding("E-MARKER", said), *self.refused]

    def _alike(self, marker: Marker) -> str:
        """Return the channel that may be meant by a marker that is missing."""
        channels = zip(self.sample.names, self.sample.stains, strict=True)
        near = [place for place, words in enumerate(channels) if any(map(marker.is_like, words))]
        return f"; {marker.name} may be {self._spelled(near[0])}" if near else ""

    def _by_sheet(self, marker: Marker, named: str) -> int | None:
        places = [place for place, name in enumerate(self.sample.names) if name.strip() == named.strip()]
        if len(places) != 1:
            said = "is no channel of this file" if not places else "is the name of two channels of this file"
            hint = "" if places else nearest(named, self.sample.names)
            self._refuse(
                f'the sheet says channel:{marker.name} is "{named}", which {said}; {self._has()}{hint}'
            )
            return None
        self._hold_stain_against(marker, places[0])
        return places[0]

    def _hold_stain_against(self, marker: Marker, place: int) -> None:
        name, stain = self.sample.names[place], self.sample.stains[place]
        if not stain or marker.is_stain(stain):
            return
        told = f'the sheet binds {marker.name} to {name}, which the file says is stained with "{stain}"'
        other = next((other.name for other in self.markers if other.is_stain(stain)), "")
        if other:
            self._refuse(
                f"{told}: that is {other} in the template; correct the sheet, or clear its channel:{marker.name}"
            )
        else:
            self.findings.append(Finding("F-STAIN", told))

    def _by_stain(self, marker: Marker) -> list[int]:
        return [place for place, stain in enumerate(self.sample.stains) if folded(stain) in marker.folded]

    def _by_name(self, marker: Marker) -> list[int]:
        return [place for place, name in enumerate(self.sample.names) if marker.is_name(name)]

    def _by_word(self, marker: Marker) -> list[int]:
        stains = enumerate(self.sample.stains)
        places = self._chosen(marker, [place for place, stain in stains if marker.folded & _words(stain)])
        if len(places) == 1:
            stain = self.sample.stains[places[0]]
            told = f'{marker.name} was bound by one part of the stain "{stain}"'
            self.findings.append(Finding("N-TOKEN", told))
        return places

    def _chosen(self, marker: Marker, places: list[int]) -> list[int]:
        return self._of_suffixes(self._of_twins(marker, places))

    def _of_twins(self, marker: Marker, places: list[int]) -> list[int]:
        """Of raw and compensated columns of the same detectors, take those that the setting means."""
        done = [place for place in places if COMPENSATED.match(self.sample.names[place])]
        raw = [place for place in places if place not in done]
        if not done or self._detectors(done) != self._detectors(raw):
            return places
        what = "raw" if self.compensating else "compensated"
        told = f"{marker.name} has raw and compensated columns; the {what} one was taken"
        self.findings.append(Finding("N-TWIN", told))
        return raw if self.compensating else done

    def _of_suffixes(self, places: list[int]) -> list[int]:
        """Of channels that differ only in -A, -H, -W, take -A."""
        names = {place: bare(self.sample.names[place]) for place in places}
        areas = [place for place, name in names.items() if name.casefold().endswith("-a")]
        told_apart = all(map(SUFFIX.search, names.values())) and len(self._detectors(places)) == 1
        return areas if told_apart and len(areas) == 1 else places

    def _detectors(self, places: list[int]) -> set[str]:
        return {SUFFIX.sub("", bare(self.sample.names[place])).casefold() for place in places}

    def _only(self, marker: Marker, places: list[int]) -> int | None:
        if len(places) == 1:
            return places[0]
        which = " and ".join(map(self._spelled, places))
        claim = f"{which} {'both' if len(places) == 2 else 'all'} claim {marker.name}"
        self._refuse(f"{claim}; name one in the sheet as channel:{marker.name}")
        return None

    def _spelled(self, place: int) -> str:
        name, stain = self.sample.names[place], self.sample.stains[place]
        return f"{name} ({stain})" if stain else name

    def _has(self) -> str:
        count = len(self.sample.names)
        more = f", … and {count - SHOWN} more" if count > SHOWN else ""
        return "this file has " + ", ".join(map(self._spelled, range(min(count, SHOWN)))) + more

    def _refuse(self, sentence: str) -> None:
        self.refused.append(Finding("E-MARKER", sentence))


def match(
    markers: Iterable[Marker], sample: Sample, named: Mapping[str, str], *, compensating: bool
) -> tuple[dict[str, int], tuple[Finding, ...]]:
    """Find the channel of each marker.

    Parameters
    ----------
    markers : iterable of Marker
        Those that a gate or a table needs.
    sample : Sample
        The file.
    named : mapping of str to str
        Channels (``$PnN``) that the sheet names outright, by marker.
    compensating : bool
        Whether a matrix will be applied: of raw and compensated twins, which is meant.

    Returns
    -------
    channels : dict of str to int
        By marker; an optional marker that is absent is left out.
    findings : tuple of Finding
        What binding had to say.

    Raises
    ------
    FileError
        ``E-MARKER``: every marker that is missing or claimed twice, together.
    """
    markers = tuple(markers)
    search = _Search(sample, compensating, markers)
    places = {marker.name: search.channel(marker, named.get(marker.name)) for marker in markers}
    channels = {name: place for name, place in places.items() if place is not None}
    for first, second in combinations(channels, 2):
        if channels[first] == channels[second]:
            told = f"{first} and {second} are both bound to {sample.names[channels[first]]}"
            search.refused.append(Finding("E-MARKER", told))
    if refusals := search.refusals():
        raise FileError(refusals)
    return channels, tuple(search.findings)


def bare(name: str) -> str:
    """Return a name without the sign that its values are compensated: ``Comp-X``, ``<X>``."""
    return COMPENSATED.sub("", name).strip().removesuffix(">") if COMPENSATED.match(name) else name.strip()


@lru_cache(maxsize=4096)
def folded(name: str) -> str:
    """Return a name without what does not count."""
    return re.sub(r"[\s-]", "", bare(name)).casefold()


@lru_cache(maxsize=4096)
def _words(stain: str) -> frozenset[str]:
    words = [folded(word) for word in (*WORDS.split(stain.strip()), *PARTS.split(stain.strip())) if word]
    return frozenset(words) - {"", folded(stain)}


def _characters(name: str) -> str:
    return re.sub(r"[\W_]", "", SUFFIX.sub("", bare(name))).casefold()


def _are_alike(one: str, other: str) -> bool:
    """Whether two names differ by a slip: CD25 and CD27 do not, a number is no slip."""
    same_numbers = re.findall(r"\d+", one) == re.findall(r"\d+", other)
    return same_numbers and SequenceMatcher(None, one, other).ratio() >= ALIKE
