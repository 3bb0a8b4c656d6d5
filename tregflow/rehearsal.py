"""Everything that can be said of a template, a sheet and its files without gating."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tregflow.controls import around, control_name, looks_around, neighbours, runs_of
from tregflow.errors import Finding, TregflowError
from tregflow.identity import Doubt, Stated, doubts, stated
from tregflow.identity.stated import listed
from tregflow.io.fcs import read_fcs
from tregflow.io.files import located
from tregflow.job import EMPTY
from tregflow.outcome import storable
from tregflow.sample import Sample
from tregflow.study import Tube
from tregflow.template import Template
from tregflow.tubes import Beside, bind_control, refuse_absent
from tregflow.twins import data_sha256, twins
from tregflow.view import Bound

NOWHERE = "files without a run"

NAMED = 8
"""Subjects that one sentence names."""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What there is to say before gating.

    Parameters
    ----------
    general : tuple of Finding
        Of the template and the sheet as a whole.
    said : mapping of str to tuple of Finding
        Of each file, by sample, in the sheet's order.
    channels : mapping of str to mapping of str to str
        ``$PnN`` by marker, by sample; only gated tubes that could be bound.
    values : mapping of str to mapping of str to str
        What the keywords say that an ``F-IDENTITY`` or ``N-IDENTITY`` is about, by sample. They may name
        a person: for the terminal of somebody who asks, and for nothing else.
    """

    general: tuple[Finding, ...]
    said: Mapping[str, tuple[Finding, ...]]
    channels: Mapping[str, Mapping[str, str]]
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)

    @property
    def troubled(self) -> tuple[str, ...]:
        """Samples with something to mend or to look at."""
        return tuple(name for name, said in self.said.items() if any(one.answer != "note" for one in said))


def rehearse(template: Template, tubes: Sequence[Tube], root: Path) -> Rehearsed:
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
    Rehearsed
    """
    seen = {tube.sample: _seen(template, tube, root) for tube in tubes}
    files = {tube.sample: storable(located(root, tube.file).name) for tube in tubes}
    twice = twins({name: one.data_sha256 for name, one in seen.items() if one.data_sha256}, files)
    doubted = doubts(tubes, {name: one.stated for name, one in seen.items() if one.stated})
    lost, beside = _incomparable(tubes), _beside(template, tubes, root)
    said = {name: (*one.said, *(doubt.finding for doubt in doubted.get(name, ())), *beside.get(name, ()),
                   *(each[name] for each in (twice, lost) if name in each))
            for name, one in seen.items()}  # fmt: skip
    channels = {name: one.channels for name, one in seen.items() if one.channels}
    values = {name: told for name, one in seen.items() if (told := _values(one, doubted.get(name, ())))}
    general = (*_wide_windows(template), *_single_visits(tubes), *_asked_of_runs(template, tubes, root))
    return Rehearsed(general, said, channels, values)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What there is to say of one file, the hash of its events, its channels by marker, and what it says of itself."""

    said: tuple[Finding, ...]
    data_sha256: str = ""
    channels: Mapping[str, str] = field(default_factory=dict)
    stated: Stated | None = field(default=None, repr=False)


def _seen(template: Template, tube: Tube, root: Path) -> _Seen:
    path, scaling = located(root, tube.file), template.scaling
    try:
        refuse_absent(path)
        sample = read_fcs(path, gain=scaling.gain or "apply", log_on_floats=scaling.log_on_floats == "apply",
                          data_set=tube.data_set)  # fmt: skip
    except TregflowError as error:
        return _Seen(error.findings)
    digest = data_sha256(sample) if len(sample) else ""
    try:
        said, channels = _bound(template, tube, sample)
    except TregflowError as error:
        return _Seen((*sample.findings, *error.findings), digest)
    own = replace(stated(sample.keywords, sample.channels), channels=channels) if len(sample) else None
    return _Seen((*sample.findings, *said, *_too_few(template, tube, sample)), digest, channels, own)


def _bound(template: Template, tube: Tube, sample: Sample) -> tuple[tuple[Finding, ...], Mapping[str, str]]:
    """Return what binding has to say; and the channels, where the tube is one to be gated."""
    if not tube.is_gated:
        return bind_control(template, sample, tube.channels)[1], {}
    bound: Bound = template.bind(sample, tube.channels)
    return bound.findings, {marker: sample.names[place] for marker, place in bound.channels.items()}


def _values(seen: _Seen, doubted: Sequence[Doubt]) -> dict[str, str]:
    """Return what the keywords say that doubts are about."""
    names = seen.stated.names if seen.stated else {}
    return {key: names[key] for doubt in doubted for key in doubt.keywords}


def _too_few(template: Template, tube: Tube, sample: Sample) -> tuple[Finding, ...]:
    """Say where a file cannot reach a limit whatever its events are."""
    limit = template.limits[template.primary.of]
    if not tube.is_gated or len(sample) >= max(limit.review_below, 1):
        return ()
    if not len(sample):
        return (EMPTY,)
    code, least = (
        ("E-FEW", limit.refuse_below) if len(sample) < limit.refuse_below else ("F-FEW", limit.review_below)
    )
    return (
        Finding(code, f"the file has {len(sample):,} events in all; {template.primary.of} needs {least:,}"),
    )


def _beside(template: Template, tubes: Sequence[Tube], root: Path) -> dict[str, tuple[Finding, ...]]:
    """Return what there is to say of the tubes that each gated tube's gates look at, as far as headers tell."""
    near = neighbours(tubes, root, template, {})
    said = {}
    for tube in tubes:
        if tube.is_gated and looks_around(template):
            found = around(Beside(tube, located(root, tube.file)), near.get(tube.sample, ()), template)
            lacking = [Finding("F-CONTROL", f"{why}; the gates on {name} fall back to their stored places")
                       for name, why in found.absent.items() if any(one.control == name for one in template.populations)]  # fmt: skip
            said[tube.sample] = (*found.findings, *lacking)
    return said


def _asked_of_runs(template: Template, tubes: Sequence[Tube], root: Path) -> tuple[Finding, ...]:
    """Say which control tubes the template asks for, and which runs have none of them in the sheet."""
    if not template.controls:
        return ()
    run_of = runs_of(tubes, root)
    runs = {run_of[tube.sample] or NOWHERE for tube in tubes if tube.tube == "full"}
    told = []
    for name in sorted(template.controls):
        having = {run_of[tube.sample] for tube in tubes if control_name(tube, template) == name}
        lacking = sorted(runs - having)
        told.append(f"{name} (not in {listed(lacking)})" if lacking else f"{name} (in every run)")
    return (Finding("N-TUBES", f"gates look at these tubes of each run: {', '.join(told)}", template.name),)


def _incomparable(tubes: Sequence[Tube]) -> dict[str, Finding]:
    """Say which full tubes lack the subject or visit that others have."""
    full = [tube for tube in tubes if tube.tube == "full"]
    used = [column for column in ("subject", "visit") if any(getattr(tube, column) for tube in full)]
    lacking = {tube.sample: [column for column in used if not getattr(tube, column)] for tube in full}
    return {sample: Finding("N-SHEET", f"the sheet gives no {' and no '.join(columns)}; it is gated, and cannot be compared")
            for sample, columns in lacking.items() if columns}  # fmt: skip


def _single_visits(tubes: Sequence[Tube]) -> tuple[Finding, ...]:
    """Say which subjects have one visit where others have more."""
    visits: dict[str, set[str]] = {}
    for tube in tubes:
        if tube.tube == "full" and tube.subject and tube.visit:
            visits.setdefault(tube.subject, set()).add(tube.visit)
    single = [subject for subject, seen in visits.items() if len(seen) == 1]
    if not single or len(single) == len(visits):
        return ()
    more = f" and {len(single) - NAMED} more" if len(single) > NAMED else ""
    return (
        Finding("N-SHEET", f"only one visit of {', '.join(single[:NAMED])}{more}; a comparison needs two"),
    )


def _wide_windows(template: Template) -> tuple[Finding, ...]:
    """Say which windows let a cut move by more than a decade."""
    said = []
    for population in template.populations:
        within = population.gate.within
        decade = template.scales[population.markers[0]].decade if within else math.nan
        if within and within[1] - within[0] > decade:
            said.append(Finding("N-WINDOW", f"{population.name}: the window {within[0]:g} to {within[1]:g} is "
                                f"{(within[1] - within[0]) / decade:.1f} decades wide", template.name))  # fmt: skip
    return tuple(said)
