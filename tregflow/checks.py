"""Counts, shapes and statuses to verdicts: may this number be used, and why not.

A verdict never looks at the outcome. The number of events that a percent is taken of, how the gates
on the way were placed and what the file said may withhold a number; the percentage itself may not,
nor the size of any population between the two it compares. Flagging on those would remove the
responders. A template with such a limit on the primary measure is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tregflow.errors import Finding
from tregflow.gates.shapes import Interval, Rectangle, Shape, named
from tregflow.gating import Gated
from tregflow.gating.placing import Placed, Status
from tregflow.populations import Percent, measured
from tregflow.template import ROOT, Gate, Limit, Measure

Verdict = Literal["pass", "review", "fail"]

OFF_AXIS = 0.001
"""Share of a parent's events without a place on an axis from which on someone must look."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A measure with its verdict.

    Parameters
    ----------
    percent : Percent
        The number; NaN where it is refused.
    verdict : str
        ``pass``, ``review`` (computed, not to be used before someone has looked) or ``fail`` (no number).
    findings : tuple of Finding
        Everything that bears on this number: flags of the file, and what its gates have to say, notes
        included. Notes of the file stay with the file.
    """

    percent: Percent
    verdict: Verdict
    findings: tuple[Finding, ...]


def judge(gated: Gated) -> tuple[Judged, ...]:
    """Judge every measure of a gated file.

    Parameters
    ----------
    gated : Gated
        What `gate` returned.

    Returns
    -------
    tuple of Judged
        The primary first.
    """
    return tuple(_judged(gated, percent) for percent in measured(gated))


def verdict(findings: Iterable[Finding]) -> Verdict:
    """Return what a set of findings amounts to."""
    answers = {finding.answer for finding in findings}
    return "fail" if "refuse" in answers else "review" if "flag" in answers else "pass"


def placements(gated: Gated, names: Sequence[str] | None = None) -> tuple[Finding, ...]:
    """Return what the placing of gates has to say, for some populations or for all."""
    names = [population.name for population in gated.template.populations] if names is None else names
    return tuple(finding for name in names for finding in _said_of(name, gated))


def _judged(gated: Gated, percent: Percent) -> Judged:
    line, few = _line(gated, percent.measure), _few(gated, percent.measure)
    of_file = (finding for finding in gated.findings if finding.answer != "note")
    findings = (*of_file, *placements(gated, line), *few, *_empty(percent))
    outcome = verdict(findings)
    number = replace(percent, percent=math.nan, low=math.nan, high=math.nan) if outcome == "fail" else percent
    return Judged(number, outcome, findings)


def _line(gated: Gated, measure: Measure) -> list[str]:
    """Return every population whose gate the measure depends on as it was placed, in the template's order."""
    needed, asked = set[str](), [measure.count, measure.of]
    while asked:
        name = asked.pop()
        if name not in needed and name != ROOT:
            needed.add(name)
            asked += _leaned_on(gated, name)
    return [population.name for population in gated.template.populations if population.name in needed]


def _leaned_on(gated: Gated, name: str) -> list[str]:
    """Return what a population's members were taken from, and what its gate was placed on."""
    placed, population = gated.placed[name], gated.template.population(name)
    shape = placed.shape or population.gate.stored
    return [other for other in (population.parent, placed.of, *named(shape)) if other]


def _said_of(name: str, gated: Gated) -> Iterator[Finding]:
    """Yield how a gate was placed, then what is doubtful about it, then what it was placed on."""
    placed, gate = gated.placed[name], gated.template.population(name).gate
    if placed.status in _SAID:
        code, sentence = _SAID[placed.status]
        yield Finding(code, f"{name}{sentence(placed, gate)}")
    for doubt in placed.doubts:
        if doubt.kind in _DOUBTED:
            yield Finding(_DOUBTED[doubt.kind], f"{doubt.whose or name}: {doubt.sentence}")
    if placed.evidence.get("unseen") and not _is_bridged(gated):
        told = (
            "the cells that it follows are too dim on an axis to tell the gain and the stain of its detector"
        )
        yield Finding("N-GAIN", f"{name}: {told}")
    if placed.across:
        yield Finding(
            "N-ACROSS", f"{name} was placed on its own events and those of {', '.join(placed.across)}"
        )
    if placed.off_axis:
        parent = gated.template.population(name).parent
        told = f"{placed.off_axis:,} of {len(gated.members[parent]):,} events of {parent} lie at or below zero of a log axis"
        code = "F-OFF-AXIS" if placed.off_axis > OFF_AXIS * len(gated.members[parent]) else "N-OFF-AXIS"
        yield Finding(code, f"{name}: {told}: they are neither in the gate nor on its other side")


def _is_bridged(gated: Gated) -> bool:
    return any(finding.code == "N-BRIDGED" for finding in gated.findings)


_DOUBTED = {"weak": "F-WEAK", "unsettled": "F-UNSETTLED"}
"""Flags of a method's doubts; a bound that was reached is the status."""


def _stored(shape: Shape | None) -> str:
    return f"cut {_edge(shape):.4g}" if isinstance(shape, Interval) else "outline"


def _stopped(placed: Placed, gate: Gate) -> str:
    """Return at which edge of which window a cut stopped, or the cut of an outline that has one."""
    if bound := [doubt.sentence for doubt in placed.doubts if doubt.kind == "bound"]:
        return f": {'; '.join(bound)}"
    low, high = gate.within or gate.settings["within"]
    cut = placed.shape.low[0] if isinstance(placed.shape, Rectangle) else _edge(placed.shape)
    side = "low" if cut <= low else "high"
    return f": stopped at {cut:.4g}, the {side} edge of its window {low:.4g} to {high:.4g}"


def _edge(shape: Shape | None) -> float:
    assert isinstance(shape, Interval)
    return shape.low if math.isfinite(shape.low) else shape.high


_SAID: Mapping[Status, tuple[str, Callable[[Placed, Gate], str]]] = {
    "fallback": (
        "F-FALLBACK",
        lambda placed, _: f": {placed.reason}; the stored {_stored(placed.shape)} was used",
    ),
    "at bound": ("F-BOUND", _stopped),
    "skipped": ("F-SKIPPED", lambda placed, _: f" was skipped: {placed.reason}"),
    "refused": ("E-GATE", lambda placed, _: f" has no gate: {placed.reason}"),
    "moved": ("N-MOVED", lambda placed, _: f" was found{_shifted(placed)}"),
}
"""What is said of a status; of ``found``, ``stored`` and ``corrected`` nothing."""


def _shifted(placed: Placed) -> str:
    if not math.isfinite(placed.shift):
        return ""
    decades = f" ({placed.shift_decades:+.2f} decade)" if math.isfinite(placed.shift_decades) else ""
    return f", {placed.shift:+.4g} axis units{decades} from the stored one along {placed.along}"


def _few(gated: Gated, measure: Measure) -> list[Finding]:
    """Hold the populations that are not themselves the measure against the template's limits."""
    blind = gated.template.counted(measure)
    held = [
        name for name in (ROOT, *_line(gated, measure)) if name in gated.template.limits and name not in blind
    ]
    said = (_short(name, len(gated.members.get(name, ())), gated.template.limits[name]) for name in held)
    return [finding for finding in said if finding]


def _short(name: str, events: int, limit: Limit) -> Finding | None:
    has = f"{name} has {events:,} events; below"
    if events < limit.refuse_below:
        return Finding("E-FEW", f"{has} {limit.refuse_below:,} no percent is reported")
    if events < limit.review_below:
        return Finding("F-FEW", f"{has} {limit.review_below:,} someone must look")
    return None


def _empty(percent: Percent) -> list[Finding]:
    if percent.denominator != 0:
        return []
    return [
        Finding("F-EMPTY", f"{percent.measure.of} is empty, so {percent.measure.name} has no denominator")
    ]
