"""A template across the bridge: stored coordinates carried to where a run's detectors stand.

The reference tube is the same cells, stained in every run. Where its landmarks lay when the template
was made and where they lie in this run tell how gain, stain and offset of each detector moved, apart
from any patient. Every stored coordinate of that marker moves with them: cuts, windows, outlines,
the kinds of a model. A gate takes the landmarks of the nearest population at or above its parent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tregflow.errors import Finding, GateError
from tregflow.gates.bridge import Carry, Landmarks, carried, carrying, landmarks
from tregflow.gates.kinds import Kind
from tregflow.gating.placing import Walk
from tregflow.gating.walking import walked
from tregflow.hierarchy import REFERENCE, ROOT, Bridge, Gate, Kinds, Population
from tregflow.template import Template

ALIKE = 1.25
"""Factor by which the reference tube's own percent may differ from what it was: two runs of one aliquot differ
by counting and staining, a fifth at most; other cells differ by more."""

Carries = Mapping[tuple[str, str], Carry]
"""By population and marker."""


def bridged(template: Template, controls: Mapping[str, Walk]) -> tuple[Template, tuple[Finding, ...]]:
    """Carry a template to a run by its reference tube.

    Parameters
    ----------
    template : Template
        As it was stored.
    controls : mapping of str to Walk
        Control tubes of the run, gated, by tube name.

    Returns
    -------
    template : Template
        With stored coordinates where the run has them; the same where it has no bridge or no reference tube.
    findings : tuple of Finding
        ``N-BRIDGED``, ``F-BRIDGE``.
    """
    if template.bridge is None or REFERENCE not in controls:
        return template, ()
    carries, said = _carries(template, template.bridge, controls[REFERENCE])
    across = _moved(template, carries)
    return across, (*said, *_other_cells(across, template.bridge, controls[REFERENCE]))


def _other_cells(template: Template, bridge: Bridge, reference: Walk) -> Iterator[Finding]:
    """Yield a flag where the reference tube, gated with what it carried, has another percent than it had."""
    if math.isnan(bridge.percent):
        return
    seen = walked(Walk(reference.bound, {ROOT: reference.members[ROOT]}), template)
    part, whole = (len(seen.members.get(name, ())) for name in (template.primary.count, template.primary.of))
    now = 100 * part / whole if whole else 0.0
    if not bridge.percent / ALIKE <= now <= bridge.percent * ALIKE:
        told = f"with gates carried to this run the reference tube has {now:.3g} % {template.primary.name}"
        then = f"when the template was made it had {bridge.percent:.3g} %; is it the same sample?"
        yield Finding("F-BRIDGE", f"{told}, {then}")


def _carries(template: Template, bridge: Bridge, reference: Walk) -> tuple[Carries, tuple[Finding, ...]]:
    """Return how each marker moved in each population, and what is to be said of it.

    From the root down: a population of the reference tube is found with what moved above it carried already,
    or its landmarks would be those of other cells.
    """
    carries: dict[tuple[str, str], Carry] = {}
    told, flagged = list[str](), list[str]()
    order = [ROOT, *(population.name for population in template.populations)]
    for name in sorted(bridge.landmarks, key=order.index):
        seen = walked(Walk(reference.bound, {ROOT: reference.members[ROOT]}), _moved(template, carries))
        for marker, stored in bridge.landmarks[name].items():
            try:
                carries[name, marker] = carry = carrying(stored, _landmarks(seen, name, marker), bridge.drift)
            except GateError as error:
                flagged.append(f"{marker} of {name}: {error}")
                continue
            told.append(f"{marker} of {name} {_in_decades(carry, reference.bound.scales[marker].decade)}")
            if carry.is_bound:
                flagged.append(f"{marker} of {name} moved by more than {bridge.drift:g} axis units")
    return carries, tuple(_said(told, flagged))


def _in_decades(carry: Carry, decade: float) -> str:
    return f"{min(carry.shifts) / decade:+.2f} to {max(carry.shifts) / decade:+.2f}"


def _said(told: Sequence[str], flagged: Sequence[str]) -> Iterator[Finding]:
    if told:
        moved = f"stored coordinates follow the run's reference tube, decades: {'; '.join(told)}"
        yield Finding("N-BRIDGED", moved)
    if flagged:
        yield Finding("F-BRIDGE", f"the reference tube does not carry every coordinate: {'; '.join(flagged)}")


def _landmarks(reference: Walk, name: str, marker: str) -> Landmarks:
    if marker not in reference.bound.channels:
        raise GateError("the reference tube has no channel for it")
    if name not in reference.members:
        raise GateError("the reference tube's population could not be placed")
    values = reference.bound.scaled(marker, reference.members[name])
    return landmarks(values[np.isfinite(values)])


def _moved(template: Template, carries: Carries) -> Template:
    """Return a template whose stored coordinates are carried."""
    populations = tuple(_population(template, carries, one) for one in template.populations)
    models = tuple(_kinds(template, carries, one) for one in template.models)
    return replace(template, populations=populations, models=models)


def _nearest(template: Template, carries: Carries, name: str, marker: str) -> Carry | None:
    """Return how a marker moved in a population, or in the nearest one above that has landmarks."""
    line = [*reversed(template.path(name)), ROOT]
    return next((carries[above, marker] for above in line if (above, marker) in carries), None)


def _population(template: Template, carries: Carries, population: Population) -> Population:
    along = [_nearest(template, carries, population.parent, marker) for marker in population.markers]
    if not any(along):
        return population
    return replace(population, gate=_gate(population.gate, along))


def _gate(gate: Gate, along: Sequence[Carry | None]) -> Gate:
    within = gate.within
    if within and along[0]:
        within = (along[0](within[0]), along[0](within[1]))
    settings = {name: _setting(name, gate.settings, along) for name in gate.settings}
    stored = gate.stored and carried(gate.stored, tuple(along))
    return replace(gate, stored=stored, within=within, settings=settings)


def _setting(name: str, settings: Mapping[str, Any], along: Sequence[Carry | None]) -> Any:
    """Return a method's own setting where it is a coordinate: an outline, or where its reference lay and how wide."""
    value = settings[name]
    if name == "outline":
        return carried(value, tuple(along))
    if name == "at" and isinstance(value, tuple):
        return _places(value, along)
    if name == "spread" and isinstance(value, tuple):
        return tuple(_width(*known) for known in zip(settings["at"], value, along, strict=True))
    return value


def _width(at: float, spread: float | None, carry: Carry | None) -> float | None:
    """Return a spread below a place as it is where both were carried."""
    return carry(at) - carry(at - spread) if carry and spread is not None else spread


def _places(places: tuple[float, ...], along: Sequence[Carry | None]) -> tuple[float, ...]:
    return tuple(carry(place) if carry else place for carry, place in zip(along, places, strict=True))


def _kinds(template: Template, carries: Carries, kinds: Kinds) -> Kinds:
    along = [_nearest(template, carries, kinds.of, marker) for marker in kinds.markers]
    if not any(along):
        return kinds
    moved = tuple(_kind(kind, along) for kind in kinds.model.kinds)
    return replace(kinds, model=replace(kinds.model, kinds=moved))


def _kind(kind: Kind, along: Sequence[Carry | None]) -> Kind:
    return replace(
        kind, at=tuple(carry(place) if carry else place for carry, place in zip(along, kind.at, strict=True))
    )
