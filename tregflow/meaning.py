"""What a template's words mean: values, or mistakes that are noted.

`read_words` holds a document against the grammar; `Meaning` turns the words into the values of
`hierarchy` and notes every name that leads nowhere and every figure that contradicts another. What
the grammar refused does not hide what comes after it: all mistakes are said at once.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from pydantic import BaseModel

from tregflow.binding import Marker
from tregflow.document import Document, Mistakes, Trail, checked, fits, split_number, unknown_keys
from tregflow.errors import nearest
from tregflow.gates import is_cut
from tregflow.gates.shapes import Ellipse, Interval, Members, Polygon, Rectangle, Shape, from_mapping, parts
from tregflow.grammar import (
    SHAPES,
    LimitWords,
    MarkerWords,
    MeasureWords,
    PopulationWords,
    ScaleWords,
    TemplateWords,
)
from tregflow.hierarchy import (
    ROOT,
    UNSCALED,
    Gate,
    Limit,
    Measure,
    Population,
    counted,
    kept,
    path,
    resting_on,
)
from tregflow.transforms import TRANSFORMS, Identity, Transform

DEFAULT_LIMIT = (500, 2000)
"""Events of the primary denominator below which a number is refused, and reviewed."""

REFUSED_GATE = {"members": ROOT}
"""Stands for a gate that the grammar refused, while the rest is looked through."""

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
    "markers": {},
    "compensation": "none",
    "scales": {"fluorescence": "none"},
    "populations": [{"name": "refused", "parent": ROOT, "gate": REFUSED_GATE}],
    "report": {"primary": REFUSED_MEASURE},
    "limits": {},
    "scaling": {},
}
_PIECES: tuple[tuple[str, type[BaseModel], Any], ...] = (
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


class Meaning:
    """Turns words into values, noting what has no meaning.

    Parameters
    ----------
    words : TemplateWords
        What the grammar let pass.
    mistakes : Mistakes
        Where every mistake goes.
    """

    def __init__(self, words: TemplateWords, mistakes: Mistakes) -> None:
        self.words, self.mistakes = words, mistakes
        self.names = [population.name for population in words.populations]
        self.above: list[str] = []
        self.populations = tuple(self._population(place) for place in range(len(words.populations)))
        self.measures = self._measures()
        self.markers = self._markers()
        self.limits = self._limits()
        self.scales = self._scales()
        self.medians = {marker: tuple(names) for marker, names in words.report.medians.items()}
        self._check_rest()

    def _population(self, place: int) -> Population:
        words, trail = self.words.populations[place], ("populations", place)
        self._check_name(words.name, (*trail, "name"))
        self._check_parent(words, (*trail, "parent"))
        self._check_axes(words.markers, (*trail, "markers"))
        gate = self._gate(words.gate, (*trail, "gate"), len(words.markers))
        self.above.append(words.name)
        return Population(words.name, words.parent, tuple(words.markers), gate, words.role == "reference")

    # ------------------------------------------------------------------------------------- names

    def _check_name(self, name: str, trail: Trail) -> None:
        if name == ROOT or "/" in name:
            said = f'"{name}" cannot name a population: root is the whole file and / joins a path'
            self.mistakes.add(trail, said)
        if name.casefold() in map(str.casefold, self.above):
            self.mistakes.add(trail, f'"{name}" is the name of a population above')

    def _check_parent(self, words: PopulationWords, trail: Trail) -> None:
        if words.parent in (ROOT, *self.above):
            return
        if circle := self._circle(words.name):
            said = f"{' → '.join(circle)} is a circle; one of them must have a parent outside it"
            self.mistakes.add(trail, said)
        else:
            self._unknown(words.parent, trail)

    def _circle(self, name: str) -> list[str]:
        parents = {population.name: population.parent for population in reversed(self.words.populations)}
        walked = [name]
        while (parent := parents.get(walked[-1])) and parent not in walked:
            walked.append(parent)
        return [*walked, name] if parent == name else []

    def _check_above(self, name: str, trail: Trail) -> None:
        if name not in (ROOT, *self.above):
            self._unknown(name, trail)

    def _unknown(self, name: str, trail: Trail) -> None:
        if name in self.names:
            self.mistakes.add(trail, f'"{name}" is defined below; move it above')
        else:
            self.mistakes.add(trail, f'"{name}" is not defined{nearest(name, [ROOT, *self.above])}')

    def _check_known(self, name: str, trail: Trail, *, key: bool = False) -> bool:
        """Note a name that no population has, wherever it stands."""
        if name in (ROOT, *self.names):
            return True
        self.mistakes.add(trail, f'"{name}" is not a population{nearest(name, self.names)}', key=key)
        return False

    def _check_axes(self, markers: Sequence[str], trail: Trail) -> None:
        for axis, marker in enumerate(markers):
            self._check_marker(marker, (*trail, axis))
            if marker in markers[:axis]:
                self.mistakes.add((*trail, axis), f'"{marker}" is an axis of this gate already')

    def _check_marker(self, name: str, trail: Trail, *, key: bool = False) -> None:
        unscaled = UNSCALED.fullmatch(name)
        if name not in self.words.markers and not unscaled:
            said = f'"{name}" is not among the markers{nearest(name, self.words.markers)}'
            self.mistakes.add(trail, said, key=key)
        elif not unscaled and not {name, "fluorescence"} & set(self.words.scales):
            said = f"{name} has no scale; write scales: {{fluorescence: …}} or {{{name}: …}}"
            self.mistakes.add(trail, said, key=key)

    # ------------------------------------------------------------------------------------- gates

    def _gate(self, words: Any, trail: Trail, axes: int) -> Gate:
        kind, said = words.spoken()
        if kind in SHAPES:
            return Gate(stored=self._shape(words, trail, axes))
        wanted = 1 if is_cut(kind) else 2
        if axes != wanted:
            has = f"{kind} works on {wanted} marker{'s'[: wanted > 1]}, the population has {axes}"
            self.mistakes.add((*trail, kind), has, key=True)
        return self._method(kind, said, (*trail, kind))

    def _method(self, kind: str, said: Any, trail: Trail) -> Gate:
        self._check_shared(said, trail)
        shared = {"of", "least", "across", "stored"} | ({"keep", "within"} if is_cut(kind) else set())
        own = {name: value for name, value in said if name not in shared}
        if is_cut(kind):
            self._check_window(said, trail)
            stored = None if said.stored is None else kept(said.stored, said.keep)
            return Gate(kind, own, stored, said.keep, said.within, said.of or "", said.least)
        outline = None if said.stored is None else self._shape(said.stored, (*trail, "stored"), 2)
        return Gate(kind, own, outline, of=said.of or "", least=said.least)

    def _check_shared(self, said: Any, trail: Trail) -> None:
        later = "not available in this version"
        if said.across != "sample":
            self.mistakes.add((*trail, "across"), f"across: {said.across} is {later}", code="E-UNBUILT")
        if said.of is None:
            return
        if said.of.casefold().startswith("fmo"):
            self.mistakes.add((*trail, "of"), f"gates on an FMO tube are {later}", code="E-UNBUILT")
        else:
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
        if (wanted := _axes(shape)) is not None and wanted != axes:
            has = f"the population has {axes} marker{'s'[: axes != 1]}"
            self.mistakes.add(trail, f"a shape on {wanted} {'axis' if wanted == 1 else 'axes'}, {has}")
        elif sentence := _flaw(shape):
            self.mistakes.add(trail, sentence)

    # ---------------------------------------------------------------------------- report, limits

    def _measures(self) -> tuple[Measure, ...]:
        report = self.words.report
        primary = self._measure(report.primary, ("report", "primary"), ())
        measures = [primary]
        for place, words in enumerate(report.also):
            measures.append(self._measure(words, ("report", "also", place), measures))
        return tuple(measures)

    def _measure(self, words: MeasureWords, trail: Trail, before: Sequence[Measure]) -> Measure:
        if words.model_dump() != REFUSED_MEASURE:
            self._check_measure(words, trail)
            if words.name in [measure.name for measure in before]:
                self.mistakes.add((*trail, "name"), f'"{words.name}" is the name of a measure above')
        return Measure(words.name, words.count, words.of, "secondary" if before else "primary")

    def _check_measure(self, words: MeasureWords, trail: Trail) -> None:
        known = [self._check_known(getattr(words, key), (*trail, key)) for key in ("count", "of")]
        line = path(self.populations, words.count)
        if words.count == ROOT:
            self.mistakes.add((*trail, "count"), "root is the whole file; it lies below nothing")
        elif all(known) and words.of not in (ROOT, *line[:-1]) and self._is_rooted(line):
            said = f'"{words.count}" does not lie below "{words.of}", so its percent of it has no meaning'
            self.mistakes.add((*trail, "of"), said)

    def _is_rooted(self, line: Sequence[str]) -> bool:
        """Whether the way up from a population ends at the root, and not at a mistake."""
        return any(population.name in line and population.parent == ROOT for population in self.populations)

    def _limits(self) -> dict[str, Limit]:
        limits = {
            name: Limit(words.refuse_below, words.review_below) for name, words in self.words.limits.items()
        }
        for name, limit in limits.items():
            if self._check_known(name, ("limits", name), key=True):
                self._check_limit(name, limit)
        return limits | {self.measures[0].of: self._primary_limit()}

    def _primary_limit(self) -> Limit:
        """Return the limit of the primary denominator: what is not written is the default."""
        words = self.words.limits.get(self.measures[0].of)
        written = words.model_dump(exclude_unset=True) if words else {}
        refuse = written.get(
            "refuse_below", min(DEFAULT_LIMIT[0], written.get("review_below", DEFAULT_LIMIT[0]))
        )
        return Limit(refuse, written.get("review_below", max(DEFAULT_LIMIT[1], refuse)))

    def _check_limit(self, name: str, limit: Limit) -> None:
        primary, trail = self.measures[0], ("limits", name)
        if name in resting_on(self.populations, primary.count) and primary.count != ROOT:
            said = f'"{name}" shows the outcome, {primary.name}, and a verdict must not look at it; limit a population above'
            self.mistakes.add(trail, said, key=True)
        elif not (self.mistakes.found or name == ROOT or self._bears(name)):
            self.mistakes.add(
                trail, f'no reported percent is taken of "{name}" or of what is in it', key=True
            )
        if 0 < limit.review_below < limit.refuse_below:
            said = f"{limit.review_below:,} lies below refuse_below, {limit.refuse_below:,}: nothing would be reviewed"
            self.mistakes.add((*trail, "review_below"), said)

    def _bears(self, name: str) -> bool:
        """Whether some measure depends on a population otherwise than by counting it."""
        resting = resting_on(self.populations, name)
        reported = [measure for measure in self.measures if measure.count in resting]
        return any(name not in counted(self.populations, measure) for measure in reported)

    # -------------------------------------------------------------------------- markers, scales

    def _markers(self) -> tuple[Marker, ...]:
        said = self.words.markers.items()
        markers = tuple(Marker(name, tuple(words.aliases), words.optional) for name, words in said)
        for marker in markers:
            if "" in marker.folded:
                self.mistakes.add(
                    ("markers", marker.name), "a name of blanks and hyphens means no channel", key=True
                )
        for first, second in combinations(markers, 2):
            if shared := first.folded & second.folded - {""}:
                said_of = f'"{min(shared)}" means {first.name} too; a name means one marker'
                self.mistakes.add(("markers", second.name), said_of, key=True)
        return markers

    def _scales(self) -> dict[str, Transform]:
        for name in self.words.scales:
            if name != "fluorescence" and name not in self.words.markers and not UNSCALED.fullmatch(name):
                known = ["fluorescence", *self.words.markers]
                said = f'"{name}" is not among the markers{nearest(name, known)}'
                self.mistakes.add(("scales", name), said, key=True)
        named = {name: self._transform(name) for name in self.words.scales}
        used = [marker for population in self.words.populations for marker in population.markers]
        shown = self.words.report.medians
        return {name: _scale(name, named) for name in dict.fromkeys([*used, *shown])}

    def _transform(self, name: str) -> Transform:
        words = self.words.scales[name]
        if isinstance(words, str):
            return Identity()
        kind, said = words.spoken()
        try:
            return TRANSFORMS[kind](**said.model_dump())
        except ValueError as error:
            self.mistakes.add(("scales", name, kind), str(error))
            return Identity()

    def _check_rest(self) -> None:
        for marker, names in self.medians.items():
            trail = ("report", "medians", marker)
            self._check_marker(marker, trail, key=True)
            for place, name in enumerate(names):
                self._check_known(name, (*trail, place))
        if self.words.compensation == "controls":
            said = "controls is not available in this version; name a table, or write file"
            self.mistakes.add(("compensation",), said, code="E-UNBUILT")


def _scale(name: str, named: Mapping[str, Transform]) -> Transform:
    if name in named:
        return named[name]
    return Identity() if UNSCALED.fullmatch(name) else named.get("fluorescence", Identity())


def _axes(shape: Shape) -> int | None:
    if isinstance(shape, Interval):
        return 1
    if isinstance(shape, Polygon):
        return 2
    if isinstance(shape, Rectangle):
        return len(shape.low)
    return len(shape.centre) if isinstance(shape, Ellipse) else None


def _flaw(shape: Shape) -> str:
    if isinstance(shape, Interval):
        return _edges_flaw([(shape.low, shape.high)])
    if isinstance(shape, Rectangle):
        return _rectangle_flaw(shape)
    if isinstance(shape, Polygon):
        return _polygon_flaw(shape)
    return _ellipse_flaw(shape) if isinstance(shape, Ellipse) else ""


def _polygon_flaw(shape: Polygon) -> str:
    (x0, y0), *others = shape.vertices
    arms = [(x - x0, y - y0) for x, y in others]
    is_line = all(ax * by == ay * bx for (ax, ay), (bx, by) in combinations(arms, 2))
    return "the corners lie on one line, so nothing lies inside" if is_line else ""


def _edges_flaw(edges: Iterable[tuple[float, float]]) -> str:
    edges = list(edges)
    for low, high in edges:
        if not low < high:
            return f"low is {low:g} and high {high:g}; low must be the smaller"
    if all(math.isinf(edge) for pair in edges for edge in pair):
        return "has no edge and would keep everything"
    return ""


def _rectangle_flaw(shape: Rectangle) -> str:
    if len(shape.low) != len(shape.high):
        return f"low has {len(shape.low)} edges and high {len(shape.high)}"
    return _edges_flaw(zip(shape.low, shape.high, strict=True))


def _ellipse_flaw(shape: Ellipse) -> str:
    size, matrix = len(shape.centre), shape.covariance
    if len(matrix) != size or any(len(row) != size for row in matrix):
        return f"the covariance must be {size} x {size}"
    return "" if shape.is_proper else "the covariance must be symmetric and positive definite"
