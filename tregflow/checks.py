"""Counts, shapes and statuses to verdicts: may this number be used, and why not.

A verdict never looks at the outcome. The number of events above the endpoint's gate, how the gates
on the way were placed and what the file said may withhold a number; the percentage itself may not,
nor the count of the population it is about. Flagging on those would remove the responders.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tregflow.errors import Finding
from tregflow.gating import Gated
from tregflow.populations import Percent, measured
from tregflow.template import Measure, Template

Verdict = Literal["pass", "review", "fail"]


@dataclass(frozen=True, slots=True)
class Judged:
    """A measure with its verdict.

    Parameters
    ----------
    percent : Percent
        The number; NaN where it is refused.
    verdict : str
        ``pass``, ``review`` (computed, withheld until a reviewer accepts it) or ``fail`` (no number).
    findings : tuple of Finding
        Everything that bears on this number, notes included.
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
    said = (_placement(name, gated) for name in names)
    return tuple(finding for finding in said if finding)


def _judged(gated: Gated, percent: Percent) -> Judged:
    path = _line(gated.template, percent.measure)
    findings = (*gated.findings, *placements(gated, path), *_few(gated, percent.measure), *_empty(percent))
    outcome = verdict(findings)
    number = replace(percent, percent=math.nan, low=math.nan, high=math.nan) if outcome == "fail" else percent
    return Judged(number, outcome, findings)


def _line(template: Template, measure: Measure) -> list[str]:
    """Return every population whose gate the measure depends on, in the template's order."""
    needed, asked = set[str](), [measure.count, measure.of]
    while asked:
        name = asked.pop()
        if name not in needed and name != "root":
            needed.add(name)
            asked += template.leans_on(name)
    return [population.name for population in template.populations if population.name in needed]


def _placement(name: str, gated: Gated) -> Finding | None:
    placed, stored = gated.placed[name], gated.template.population(name).gate.stored
    if placed.status == "fallback":
        return Finding("F-FALLBACK", f"{name}: {placed.reason}; the stored gate was used")
    if placed.status == "at bound":
        return Finding("F-BOUND", f"{name}: the gate stopped at the edge of its window, {placed.shift:+.3f} axis units from "
                       "the stored one; look at the plot" if stored else f"{name}: the gate stopped at the edge of its window")  # fmt: skip
    if placed.status == "skipped":
        return Finding("F-SKIPPED", f"{name} was skipped: {placed.reason}")
    if placed.status == "refused":
        return Finding("E-GATE", f"{name}: {placed.reason}, and there is no stored gate to fall back to")
    if placed.status == "moved":
        return Finding("N-MOVED", f"{name} was found {placed.shift:+.3f} axis units from the stored gate{_in_decades(placed.shift_decades)}")
    return None


def _in_decades(shift: float) -> str:
    return f" ({shift:+.2f} decade)" if math.isfinite(shift) else ""


def _few(gated: Gated, measure: Measure) -> list[Finding]:
    """Hold the populations above the one that is counted against the template's limits."""
    above = [name for name in _line(gated.template, measure) if name in gated.template.limits and name != measure.count]
    findings = []
    for name in above:
        events, limit = len(gated.members.get(name, ())), gated.template.limits[name]
        if events < limit.refuse_below:
            findings.append(Finding("E-FEW", f"{name} has {events:,} events; below {limit.refuse_below:,} no percent is reported"))
        elif events < limit.review_below:
            findings.append(Finding("F-FEW", f"{name} has {events:,} events; below {limit.review_below:,} someone must look"))
    return findings


def _empty(percent: Percent) -> list[Finding]:
    if percent.denominator != 0:
        return []
    return [Finding("F-EMPTY", f"{percent.measure.of} is empty, so {percent.measure.name} has no denominator")]
