"""Everything that can be said of a template, a sheet and its files without gating."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tregflow.batch import told_twice, twins
from tregflow.errors import Finding, TregflowError
from tregflow.io.fcs import read_fcs
from tregflow.io.files import located
from tregflow.job import fingerprint
from tregflow.sample import Sample
from tregflow.study import Tube
from tregflow.template import Template


def rehearse(template: Template, tubes: Sequence[Tube], root: Path) -> dict[str, tuple[Finding, ...]]:
    """Read, bind and match every file as gating would, and gate none.

    Parameters
    ----------
    template : Template
        The stored hierarchy.
    tubes : sequence of Tube
        Rows of the sheet.
    root : Path
        What their files are relative to.

    Returns
    -------
    dict of str to tuple of Finding
        By sample; the template's own under its name, and only where there is something to say.
    """
    seen = {tube.sample: _seen(template, tube, root) for tube in tubes}
    places = {tube.sample: (located(root, tube.file), tube.data_set) for tube in tubes}
    twice = twins({name: one.print for name, one in seen.items() if one.print}, places)
    found = {template.name: _wide_windows(template)}
    for name, one in seen.items():
        found[name] = (*one.said, told_twice(twice[name])) if name in twice else one.said
    return {name: findings for name, findings in found.items() if findings}


@dataclass(frozen=True, slots=True)
class _Seen:
    """What there is to say of one file, and the fingerprint of its events; empty where it has none."""

    said: tuple[Finding, ...]
    print: str = ""


def _seen(template: Template, tube: Tube, root: Path) -> _Seen:
    path, scaling = located(root, tube.file), template.scaling
    try:
        sample = read_fcs(path, gain=scaling.gain or "apply", log_on_floats=scaling.log_on_floats == "apply",
                          data_set=tube.data_set)  # fmt: skip
    except TregflowError as error:
        return _Seen(error.findings)
    return _Seen(_bound(template, tube, sample), fingerprint(sample) if len(sample) else "")


def _bound(template: Template, tube: Tube, sample: Sample) -> tuple[Finding, ...]:
    try:
        bound = template.bind(sample, tube.channels)
    except TregflowError as error:
        return (*sample.findings, *error.findings)
    return (*sample.findings, *bound.findings, *_too_few(template, tube, sample))


def _too_few(template: Template, tube: Tube, sample: Sample) -> tuple[Finding, ...]:
    """Say where a file cannot reach a limit whatever its events are."""
    limit = template.limits[template.primary.of]
    if not tube.is_gated or len(sample) >= max(limit.review_below, 1):
        return ()
    if not len(sample):
        return (Finding("E-EMPTY-FILE", "the file holds 0 events; a percentage of nothing is not a number"),)
    code, least = (
        ("E-FEW", limit.refuse_below) if len(sample) < limit.refuse_below else ("F-FEW", limit.review_below)
    )
    return (
        Finding(code, f"the file has {len(sample):,} events in all; {template.primary.of} needs {least:,}"),
    )


def _wide_windows(template: Template) -> tuple[Finding, ...]:
    """Say which windows let a cut move by more than a decade."""
    said = []
    for population in template.populations:
        within = population.gate.within
        decade = template.scales[population.markers[0]].decade if within else math.nan
        if within and within[1] - within[0] > decade:
            said.append(Finding("N-WINDOW", f"{population.name}: the window {within[0]:g} to {within[1]:g} is "
                                f"{(within[1] - within[0]) / decade:.1f} decades wide"))  # fmt: skip
    return tuple(said)
