"""The names in a template: which of them lead somewhere."""

from __future__ import annotations

from collections.abc import Sequence

from tregflow.document import Mistakes, Trail
from tregflow.errors import nearest
from tregflow.grammar import PopulationWords, TemplateWords
from tregflow.hierarchy import ROOT, UNSCALED


class Names:
    """What a template names, and a note of every name that leads nowhere.

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
