"""Which detector carries which marker: matched by whole names, never by a part of one.

A marker is looked for by ``$PnS``, then by ``$PnN``, then as one whole word of a longer ``$PnS``
("BV785 - CD3"). Case, spaces, hyphens and a leading ``Comp-`` or ``FJComp-`` do not count. The
first way that finds anything decides; if it finds two detectors, the file is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tregflow.errors import FileError, Finding, nearest
from tregflow.sample import Sample

COMPENSATED = re.compile(r"^(?:FJ)?Comp-|^<(?=.*>$)", re.IGNORECASE)
SUFFIX = re.compile(r"-([AHW])>?$", re.IGNORECASE)
WORDS = re.compile(r"\s+-\s+|[\s:/]+")


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
    """

    name: str
    aliases: tuple[str, ...] = ()
    optional: bool = False

    @property
    def folded(self) -> frozenset[str]:
        """Every name that means this marker."""
        return frozenset(map(folded, (self.name, *self.aliases)))


@dataclass(slots=True)
class _Search:
    """One file's channels while markers are looked for."""

    sample: Sample
    compensating: bool
    findings: list[Finding] = field(default_factory=list)
    refused: list[Finding] = field(default_factory=list)

    def channel(self, marker: Marker, named: str | None) -> int | None:
        """Return the channel of a marker, or None with the reason noted."""
        if named is not None:
            return self._by_sheet(marker, named)
        for way in (self._by_stain, self._by_name, self._by_word):
            if places := self._chosen(marker, way(marker)):
                return self._only(marker, places)
        if not marker.optional:
            self._refuse(f"no channel for {marker.name}; {self._has()}. Name it in the sheet as "
                         f"channel:{marker.name}")  # fmt: skip
        return None

    def _by_sheet(self, marker: Marker, named: str) -> int | None:
        places = [place for place, name in enumerate(self.sample.names) if name.strip() == named.strip()]
        if len(places) != 1:
            said = "is no channel of this file" if not places else "is the name of two channels of this file"
            self._refuse(f'the sheet says channel:{marker.name} is "{named}", which {said}; {self._has()}'
                         + nearest(named, self.sample.names))  # fmt: skip
            return None
        stain = self.sample.stains[places[0]]
        if stain and folded(stain) not in marker.folded and not marker.folded & set(_words(stain)):
            self.findings.append(Finding("F-STAIN", f'the sheet binds {marker.name} to {named}, which the file says is '
                                         f'stained with "{stain}"'))  # fmt: skip
        return places[0]

    def _by_stain(self, marker: Marker) -> list[int]:
        return [place for place, stain in enumerate(self.sample.stains) if folded(stain) in marker.folded]

    def _by_name(self, marker: Marker) -> list[int]:
        return [place for place, name in enumerate(self.sample.names) if folded(name) in marker.folded]

    def _by_word(self, marker: Marker) -> list[int]:
        places = [place for place, stain in enumerate(self.sample.stains) if marker.folded & set(_words(stain))]
        if places:
            stain = self.sample.stains[places[0]]
            self.findings.append(Finding("N-TOKEN", f'{marker.name} was bound by one word of the stain "{stain}"'))
        return places

    def _chosen(self, marker: Marker, places: list[int]) -> list[int]:
        return self._of_suffixes(self._of_twins(marker, places))

    def _of_twins(self, marker: Marker, places: list[int]) -> list[int]:
        """Of raw and compensated columns of one detector, take those that the setting means."""
        done = [place for place in places if COMPENSATED.match(self.sample.names[place])]
        if not done or len(done) == len(places):
            return places
        kept = [place for place in places if (place in done) != self.compensating]
        what = "raw" if self.compensating else "compensated"
        self.findings.append(Finding("N-TWIN", f"{marker.name} has raw and compensated columns; the {what} one was taken"))
        return kept

    def _of_suffixes(self, places: list[int]) -> list[int]:
        """Of channels that differ only in -A, -H, -W, take -A."""
        stems = {SUFFIX.sub("", self.sample.names[place]) for place in places}
        areas = [place for place in places if _suffix(self.sample.names[place]) == "A"]
        return areas if len(stems) == 1 and len(areas) == 1 else places

    def _only(self, marker: Marker, places: list[int]) -> int | None:
        if len(places) == 1:
            return places[0]
        which = " and ".join(self._spelled(place) for place in places)
        self._refuse(f"{which} all claim {marker.name}; name one in the sheet as channel:{marker.name}"
                     if len(places) > 2 else f"{which} both claim {marker.name}; name one in the sheet as "
                     f"channel:{marker.name}")  # fmt: skip
        return None

    def _spelled(self, place: int) -> str:
        name, stain = self.sample.names[place], self.sample.stains[place]
        return f"{name} ({stain})" if stain else name

    def _has(self) -> str:
        return "this file has " + ", ".join(map(self._spelled, range(len(self.sample.names))))

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
    search = _Search(sample, compensating)
    places = {marker.name: search.channel(marker, named.get(marker.name)) for marker in markers}
    channels = {name: place for name, place in places.items() if place is not None}
    for first, second in _shared(channels):
        search.refused.append(Finding("E-MARKER", f"{first} and {second} are both bound to "
                                      f"{sample.names[channels[first]]}"))  # fmt: skip
    if search.refused:
        raise FileError(search.refused)
    return channels, tuple(search.findings)


def folded(name: str) -> str:
    """Return a name without what does not count."""
    bare = COMPENSATED.sub("", name.strip()).removesuffix(">") if COMPENSATED.match(name.strip()) else name
    return re.sub(r"[\s-]", "", bare).casefold()


def _words(stain: str) -> list[str]:
    words = [folded(word) for word in WORDS.split(stain.strip()) if word]
    return words if len(words) > 1 else []


def _suffix(name: str) -> str:
    found = SUFFIX.search(name)
    return found.group(1).upper() if found else ""


def _shared(channels: Mapping[str, int]) -> list[tuple[str, str]]:
    names = list(channels)
    return [(first, second) for place, first in enumerate(names) for second in names[place + 1 :]
            if channels[first] == channels[second]]  # fmt: skip
