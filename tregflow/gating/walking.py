"""The walk: one tube, and its companions beside it, down a template's hierarchy."""

from __future__ import annotations

from tregflow.gates.shapes import members
from tregflow.gating.placing import ALONE, Others, Placed, Walk, fitted, place
from tregflow.hierarchy import Population
from tregflow.template import ROOT, Template


def walked(walk: Walk, template: Template, others: Others = ALONE, *, beside: bool = True) -> Walk:
    """Walk a tube, and its companions beside it, down a template's hierarchy.

    Parameters
    ----------
    walk : Walk
        The tube at the root.
    template : Template
        The stored hierarchy.
    others : Others
        What gates may look at besides.
    beside : bool
        Whether companions are walked too; False where they have been.

    Returns
    -------
    Walk
        The same, with every gate placed.
    """
    alone = Others(others.controls, others.absent, {}, others.corrections)
    peers = tuple(others.companions.values()) if beside else ()
    for one in (walk, *peers):
        _fit(template, ROOT, one)
    for population in template.populations:
        found = place(population, walk, others)
        _step(population, found, walk)
        _fit(template, population.name, walk)
        for peer in peers:
            _step(population, found if found.across else place(population, peer, alone), peer)
            _fit(template, population.name, peer)
    return walk


def _step(population: Population, found: Placed, walk: Walk) -> None:
    """Enter a placed gate, and the events that lie in it."""
    walk.placed[population.name] = found
    if found.shape is not None and population.parent in walk.members:
        view = walk.view(population.markers, population.parent)
        walk.members[population.name] = members(found.shape, view)


def _fit(template: Template, name: str, walk: Walk) -> None:
    """Fit the models of a population that has just been reached."""
    for kinds in template.models:
        if kinds.of == name:
            walk.fitted[kinds.name] = fitted(kinds, walk)
