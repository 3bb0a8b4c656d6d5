"""The meaning of a template as a whole: populations, measures, limits, markers and scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from tregflow.binding import Marker
from tregflow.document import Mistakes, Trail
from tregflow.errors import nearest
from tregflow.grammar import (
    MeasureWords,
    TemplateWords,
)
from tregflow.hierarchy import (
    ROOT,
    UNSCALED,
    Limit,
    Measure,
    Population,
    counted,
    path,
    resting_on,
)
from tregflow.meaning.gates import Gates
from tregflow.meaning.words import REFUSED_MEASURE, is_refused
from tregflow.transforms import TRANSFORMS, Identity, Transform

DEFAULT_LIMIT = (500, 2000)
"""Events of the primary denominator below which a number is refused, and reviewed."""


class Meaning(Gates):
    """Turns words into values, noting what has no meaning.

    Parameters
    ----------
    words : TemplateWords
        What the grammar let pass.
    mistakes : Mistakes
        Where every mistake goes.
    """

    def __init__(self, words: TemplateWords, mistakes: Mistakes) -> None:
        super().__init__(words, mistakes)
        self.populations = tuple(self._population(place) for place in range(len(words.populations)))
        self.models = tuple(self._model(name) for name, said in words.models.items() if not is_refused(said))
        self.bridge = self._bridge()
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
        markers = tuple(
            Marker(name, tuple(words.aliases), words.optional,
                   words.fingerprint.model_dump(exclude_none=True) if words.fingerprint else {})
            for name, words in said
        )  # fmt: skip
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
        fitted = [marker for model in self.models for marker in model.markers]
        bridged = (
            [marker for markers in self.words.bridge.landmarks.values() for marker in markers]
            if self.words.bridge
            else []
        )
        return {name: _scale(name, named) for name in dict.fromkeys([*used, *shown, *fitted, *bridged])}

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
