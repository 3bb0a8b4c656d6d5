"""The tubes of a run that a gate may look at beside its own: FMO and reference tubes, and tubes it is pooled with.

A control is used where it belongs to the same run and was acquired like the tube that leans on it: the same
cytometer, the same detectors, voltages within what daily checks tune. The subject's own FMO comes before
another's, and another's is noted. What is not used is said, with the reason, and the gates that asked for it
fall back. Whether a control can be used is decided by its header and its row; which ones are, and what they
hold, is part of the outcome's key, so that a control that is added later gates the tubes of its run again.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tregflow.binding import Marker, folded
from tregflow.errors import FileError, Finding, refuse
from tregflow.gating import Gated, gate
from tregflow.hierarchy import REFERENCE, ROOT, Bridge, Population
from tregflow.identity import Stated, how_unlike, stated
from tregflow.identity.stated import listed
from tregflow.io.fcs import Scan, scan_fcs
from tregflow.io.fcs.spill import subtracted
from tregflow.io.files import located
from tregflow.outcome import Outcome
from tregflow.sample import Sample
from tregflow.study import Tube
from tregflow.template import Template
from tregflow.tubes import Beside, acquired, bind_control, known_content, read_tube, refuse_absent
from tregflow.view import Bound

FMO = "fmo:"

KEPT = 4
LARGEST = 2**27
"""Gated controls, and bytes of their columns together, that a process keeps for the next tube of their run."""

_GATED: dict[tuple[object, ...], Gated] = {}


@dataclass(frozen=True, slots=True)
class Around:
    """The tubes of a run that a tube's gates look at.

    Parameters
    ----------
    controls : mapping of str to Beside
        By tube name, as `Template.controls` has them.
    absent : mapping of str to str
        Why a control that the template asks for is not used, by tube name.
    companions : tuple of Beside
        Full tubes whose events are pooled with its own.
    findings : tuple of Finding
        ``N-ACROSS``, ``N-UNBRIDGED``.
    """

    controls: Mapping[str, Beside] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    companions: tuple[Beside, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def samples(self) -> dict[str, str]:
        """The samples that it leans on, with what each is to it."""
        pooled = {one.sample: "a tube that is pooled with it" for one in self.companions}
        return pooled | {one.sample: f"its {name} tube" for name, one in self.controls.items()}


@dataclass(frozen=True, eq=False, slots=True)
class Lent:
    """What `gate` is handed of a tube's surroundings.

    Parameters
    ----------
    references : mapping of str to Gated
        Controls, gated down to what gates ask of them, by tube name.
    absent : mapping of str to str
        Why a control is not among them, by tube name.
    companions : mapping of str to Bound
        Tubes to pool with, by sample.
    findings : tuple of Finding
        What there is to say of the tubes that were and were not used.
    """

    references: Mapping[str, Gated] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    companions: Mapping[str, Bound] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


# ------------------------------------------------------------------------------ who shares a run


def looks_around(template: Template) -> bool:
    """Whether any gate of a template looks at another tube."""
    return bool(template.controls) or template.across != "sample"


def neighbours(
    tubes: Sequence[Tube], root: Path, template: Template, published: Mapping[str, str]
) -> dict[str, tuple[Beside, ...]]:
    """Return the tubes of its run that each gated tube's gates may look at.

    Parameters
    ----------
    tubes : sequence of Tube
        Rows of the sheet.
    root : Path
        What their files are relative to.
    template : Template
        The stored hierarchy.
    published : mapping of str to str
        SHA-256 of what the last finished run saw, by sample.

    Returns
    -------
    dict of str to tuple of Beside
        By sample, in order of their names; empty where the template looks at no other tube.
    """
    if not looks_around(template):
        return {}
    runs: dict[str, list[Beside]] = defaultdict(list)
    names = runs_of(tubes, root)
    for tube in sorted(tubes, key=lambda tube: tube.sample):
        if names[tube.sample]:
            runs[names[tube.sample]].append(_row(tube, root, published))
    return {
        tube.sample: tuple(_asked_of(runs[names[tube.sample]], tube, template))
        for tube in tubes
        if tube.is_gated and names[tube.sample]
    }


def runs_of(tubes: Iterable[Tube], root: Path) -> dict[str, str]:
    """Return the run of each row, by sample: the sheet's, else date and cytometer in the file's header.

    Empty where neither says anything.
    """
    return {tube.sample: tube.run or _guessed_run(located(root, tube.file), tube) for tube in tubes}


def _guessed_run(path: Path, tube: Tube) -> str:
    try:
        refuse_absent(path)
        return acquired(scan_fcs(path, data_set=tube.data_set).keywords)
    except FileError:
        return ""


def _row(tube: Tube, root: Path, published: Mapping[str, str]) -> Beside:
    return Beside(tube, located(root, tube.file), published.get(tube.sample, ""))


def _asked_of(run: Sequence[Beside], tube: Tube, template: Template) -> Iterator[Beside]:
    for one in run:
        is_pooled = one.tube.tube == tube.tube == "full" and one.sample != tube.sample
        if control_name(one.tube, template) or (is_pooled and _is_pooled(one.tube, tube, template)):
            yield one


def control_name(tube: Tube, template: Template) -> str:
    """Return what a template that asks for a tube calls it; empty where it does not ask for it."""
    if tube.tube in template.controls:
        return tube.tube
    kind, _, written = tube.tube.partition(":")
    asked = {name.removeprefix(FMO): name for name in template.controls if name.startswith(FMO)}
    if kind != "fmo" or not asked:
        return ""
    declared = {marker.name: marker for marker in template.markers}
    return next((name for marker, name in asked.items()
                 if folded(written) in declared.get(marker, Marker(marker)).folded), "")  # fmt: skip


def _is_pooled(one: Tube, tube: Tube, template: Template) -> bool:
    return template.across == "run" or (template.across == "subject" and _is_subjects(one, tube))


def _is_subjects(one: Tube, tube: Tube) -> bool:
    return bool(tube.subject) and one.subject.casefold() == tube.subject.casefold()


def unbridged(pairs: Iterable[tuple[Tube, Outcome]], template: Template) -> tuple[Finding, ...]:
    """Say where numbers of several runs stand beside each other that nothing bridges.

    Parameters
    ----------
    pairs : iterable of (Tube, Outcome)
        Every row and what came of it.
    template : Template
        The stored hierarchy.

    Returns
    -------
    tuple of Finding
        ``N-UNBRIDGED`` with the runs of each visit; none where one run holds all numbers.
    """
    full = [(tube, outcome) for tube, outcome in pairs if tube.tube == "full" and outcome.measures]
    visits: dict[str, set[str]] = defaultdict(set)
    without = set[str]()
    for tube, outcome in full:
        run = tube.run or outcome.file.acquired or "a run that nobody names"
        visits[tube.visit or "files without a visit"].add(run)
        if not template.bridge or any(one.code == "N-UNBRIDGED" for one in outcome.findings):
            without.add(run)
    if len(set().union(*visits.values())) < 2 or not without:
        return ()
    why = (
        f"no reference tube bridges {listed(without)}"
        if template.bridge
        else "the template has no bridge between runs"
    )
    told = "; ".join(f"{visit} in {listed(runs)}" for visit, runs in sorted(visits.items()))
    return (Finding("N-UNBRIDGED", f"{why}, so what differs between them may look like treatment: {told}"),)


# ---------------------------------------------------------------------------- which can be used


def around(own: Beside, others: Sequence[Beside], template: Template) -> Around:
    """Choose what a tube's gates look at, by rows and headers alone.

    Parameters
    ----------
    own : Beside
        The tube.
    others : sequence of Beside
        Those of its run, as `neighbours` gives them; itself among them where it is a control.
    template : Template
        The stored hierarchy.

    Returns
    -------
    Around
        Nothing where the template looks at no other tube, or where the tube's own header refuses it.
    """
    if not looks_around(template):
        return Around()
    try:
        bound = template.bind(_headed(own, template), own.tube.channels)
    except FileError:
        return Around()
    said = _said_by(bound)
    chosen = {name: _chosen(name, own, said, others, template) for name in sorted(template.controls)}
    companions, pooled = _companions(own, said, others, template)
    controls = {name: one.control for name, one in chosen.items() if one.control}
    absent = {name: one.told for name, one in chosen.items() if not one.control}
    return Around(
        controls, absent, companions, (*_borrowed(own, chosen), *_unbridged(absent, template), *pooled)
    )


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The control that is used under a name; and what was tried before it, or why there is none."""

    control: Beside | None
    told: str = ""


def _chosen(name: str, own: Beside, said: Stated, others: Sequence[Beside], template: Template) -> _Chosen:
    """Return the first control of a name that can be used: its own before another subject's."""
    tried = list[str]()
    mine = [one for one in others if control_name(one.tube, template) == name]
    for one in sorted(mine, key=lambda one: (_distance(one, own), one.sample)):
        why = "" if one.sample == own.sample else _unusable(name, one, said, template)
        if not why:
            return _Chosen(one, "; ".join(tried))
        tried.append(why)
    return _Chosen(None, "; ".join(tried) or f"there is no {name} tube in the run")


def _distance(one: Beside, own: Beside) -> int:
    """Return how far a control is from a tube: itself, of its subject and visit, of its subject, of another."""
    if one.sample == own.sample:
        return 0
    if not _is_subjects(one.tube, own.tube):
        return 3
    return 1 if one.tube.visit.casefold() == own.tube.visit.casefold() else 2


def _unusable(name: str, one: Beside, said: Stated, template: Template) -> str:
    """Return why a control cannot be used for a tube, as far as its header says; empty where it can."""
    try:
        bound = _bound(name, one, _headed(one, template), said.channels, template)
    except FileError as error:
        return f"{one.sample} cannot be used ({error.code})"
    if bound is None:
        return f"{one.sample} cannot be used, two of its detectors claim one marker"
    marker = name.removeprefix(FMO)
    if name.startswith(FMO) and marker in said.channels and marker not in bound.channels:
        return f"{one.sample} has no channel for {marker}"
    how = how_unlike(said, _said_by(bound))
    return f"{one.sample} was acquired otherwise: {how}" if how else ""


def _companions(
    own: Beside, said: Stated, others: Sequence[Beside], template: Template
) -> tuple[tuple[Beside, ...], tuple[Finding, ...]]:
    """Return the full tubes that can be pooled with a tube, and what is to be said of the others."""
    if template.across == "sample" or own.tube.tube != "full":
        return (), ()
    full = [one for one in others if one.tube.tube == "full"]
    why = {one.sample: _unpoolable(one, said, template) for one in full}
    usable = tuple(one for one in full if not why[one.sample])
    told = [reason for reason in why.values() if reason]
    if not usable:
        whose = "of the subject " if template.across == "subject" else ""
        told.append(f"there is no other full tube {whose}in the run to pool with")
    return usable, ((Finding("N-ACROSS", "; ".join(told)),) if told else ())


def _unpoolable(one: Beside, said: Stated, template: Template) -> str:
    try:
        other = _said_by(template.bind(_headed(one, template), one.tube.channels))
    except FileError as error:
        return f"{one.sample} cannot be pooled ({error.code})"
    if missing := [marker for marker in said.channels if marker not in other.channels]:
        return f"{one.sample} cannot be pooled, it has no channel for {' and '.join(missing)}"
    how = how_unlike(said, other)
    return f"{one.sample} cannot be pooled, it was acquired otherwise: {how}" if how else ""


def _borrowed(own: Beside, chosen: Mapping[str, _Chosen]) -> Iterator[Finding]:
    """Yield a note for each FMO tube that is another subject's, and why not its own."""
    for name, one in chosen.items() if own.tube.tube == "full" else ():
        is_own = one.control and (
            one.control.sample == own.sample or _is_subjects(one.control.tube, own.tube)
        )
        if one.control and name != REFERENCE and not is_own:
            why = f"; {one.told}" if one.told else ""
            yield Finding("N-ACROSS", f"{name} is {one.control.sample}, not a tube of this subject{why}")


def _unbridged(absent: Mapping[str, str], template: Template) -> Iterator[Finding]:
    if template.bridge and REFERENCE in absent:
        yield Finding("N-UNBRIDGED", f"{absent[REFERENCE]}, so stored coordinates are used as they are")


def _headed(one: Beside, template: Template) -> Sample:
    """Return a file by its header: everything but its events."""
    refuse_absent(one.path)
    scaling = template.scaling
    scan: Scan = scan_fcs(one.path, gain=scaling.gain or "apply", log_on_floats=scaling.log_on_floats == "apply",
                          data_set=one.tube.data_set)  # fmt: skip
    return Sample(scan.name, scan.channels, np.empty((0, len(scan.channels))), scan.keywords, scan.spillover,
                  scan.findings, subtracted(scan.keywords))  # fmt: skip


def _said_by(bound: Bound) -> Stated:
    """Return what a file says of itself, with the channels of its markers."""
    names = {marker: bound.sample.names[place] for marker, place in bound.channels.items()}
    return replace(stated(bound.sample.keywords, bound.sample.channels), channels=names)


def _bound(
    name: str, one: Beside, sample: Sample, detectors: Mapping[str, str], template: Template
) -> Bound | None:
    """Bind a control; the marker that an FMO leaves out is looked for on the detector it has in the full tube."""
    bound, _ = bind_control(template, sample, one.tube.channels)
    marker = name.removeprefix(FMO)
    if bound is None or marker in bound.channels or sample.names.count(detectors.get(marker, "")) != 1:
        return bound
    if sample.names.index(detectors[marker]) in bound.channels.values():
        return bound
    filled, _ = bind_control(template, sample, {**one.tube.channels, marker: detectors[marker]})
    return filled or bound


# ------------------------------------------------------------------------------- what they hold


def parts_of_run(found: Around, *, accept_changed: bool = False) -> dict[str, str]:
    """Return the hash of everything in a tube's surroundings that could change its outcome, by what it is.

    Parameters
    ----------
    found : Around
        What its gates look at.
    accept_changed : bool
        Whether files may hold something else than the last finished run saw under their names.

    Returns
    -------
    dict of str to str
        The SHA-256 of the file first, where it is one.

    Raises
    ------
    FileError
        ``E-CHANGED``, and what `content` refuses.
    """
    notes = [finding.sentence for finding in found.findings]
    parts = {
        f"run: {name} tube": _row_hash(one, notes, accept_changed) for name, one in found.controls.items()
    }
    parts |= {f"run: {name} tube": _hash([why, *notes]) for name, why in found.absent.items()}
    if found.companions or (notes and not parts):
        pooled = [_row_hash(one, notes, accept_changed) for one in found.companions]
        parts["run: tubes to pool"] = _hash([*pooled, *notes])
    return parts


def _row_hash(one: Beside, notes: Sequence[str], accept_changed: bool) -> str:
    """Return the hash of a file, and of its row's part and what was noted."""
    try:
        sha = known_content(one.path)
    except FileError as error:  # its header was read a moment ago
        raise refuse(
            "E-CHANGED", f"{one.sample}, which its gates look at, cannot be read any more"
        ) from error
    if one.published not in {"", sha} and not accept_changed:
        raise refuse("E-CHANGED", f"{one.sample}, which its gates look at, does not hold what it did before; if the new "
                     "file is right, run again with --accept-changed")  # fmt: skip
    return f"{sha} {_hash((one.sample, *_row_of(one), *notes))}"


def _row_of(one: Beside) -> tuple[object, ...]:
    """Return what a row says of how its file is read and bound."""
    return one.tube.data_set, tuple(sorted(one.tube.channels.items()))


def _hash(value: object) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "surrogateescape")).hexdigest()[:16]


# ------------------------------------------------------------------------------ reading, gating


def lend(bound: Bound, found: Around, template: Template) -> Lent:
    """Read and gate what a tube's gates look at.

    Parameters
    ----------
    bound : Bound
        The tube.
    found : Around
        What was chosen for it.
    template : Template
        The stored hierarchy.

    Returns
    -------
    Lent
        A control whose events cannot be used is among the absent, with the reason.
    """
    references: dict[str, Gated] = {}
    absent = dict(found.absent)
    for name in sorted(found.controls, key=lambda name: (name != REFERENCE, name)):
        lent = _reference(name, found, bound, template, references)
        if isinstance(lent, str):
            absent[name] = lent
        else:
            references[name] = lent
    late = {name: why for name, why in absent.items() if name not in found.absent}
    companions, lost = _pooled(found.companions, template)
    told = (Finding("N-ACROSS", "; ".join(lost)),) if lost else ()
    return Lent(references, absent, companions, (*found.findings, *_unbridged(late, template), *told))


def _reference(
    name: str, found: Around, bound: Bound, template: Template, references: Mapping[str, Gated]
) -> Gated | str:
    """Return a control, gated down to what gates ask of it, or why it cannot be used after all."""
    one, asked = found.controls[name], _asked(template, name)
    try:
        gated = _remembered(name, found, bound, template, references)
    except FileError as error:
        return f"{one.sample} cannot be used ({error.code})"
    if any(population in gated.members for population in asked):
        return gated
    missing = [marker for marker in bound.channels if marker not in gated.bound.channels]
    why = f", it has no channel for {' and '.join(missing)}" if missing else ""
    return f"{' and '.join(asked)} could not be placed in {one.sample}{why}"


def _remembered(
    name: str, found: Around, bound: Bound, template: Template, references: Mapping[str, Gated]
) -> Gated:
    """Return a gated control, from memory where this process gated the same with the same of everything."""
    one, lender = found.controls[name], found.controls[REFERENCE] if REFERENCE in references else None
    detectors = {marker: bound.sample.names[place] for marker, place in bound.channels.items()}
    sha = known_content(one.path)
    key = (name, sha, _row_of(one), lender and (known_content(lender.path), _row_of(lender)), template.hash,
           tuple(sorted(detectors.items())))  # fmt: skip
    if key in _GATED:
        return _GATED[key]
    gated = _gated(name, one, detectors, template, references)
    if known_content(one.path) == sha and _bytes(gated) <= LARGEST:
        while len(_GATED) >= KEPT or sum(map(_bytes, _GATED.values())) + _bytes(gated) > LARGEST:
            del _GATED[next(iter(_GATED))]
        _GATED[key] = gated
    return gated


def _bytes(gated: Gated) -> int:
    """Return how much memory a gated control's columns take."""
    return 8 * len(gated.bound.sample) * len(gated.bound.used)


def _gated(
    name: str, one: Beside, detectors: Mapping[str, str], template: Template, references: Mapping[str, Gated]
) -> Gated:
    sample = read_tube(one.path, one.tube, template)
    if not len(sample):
        raise refuse("E-EMPTY-FILE", "the file holds 0 events")
    control = _bound(name, one, sample, detectors, template)
    if control is None:
        raise refuse("E-MARKER", "two detectors claim one marker")
    absent = {marker for marker in detectors if marker not in control.channels}
    lent = {
        other: gated for other, gated in references.items() if other == REFERENCE != name
    }  # the key knows no more
    return gate(control, _pruned(template, name, absent), references=lent)


def _asked(template: Template, name: str) -> list[str]:
    """Return the populations of a control whose events are looked at."""
    asked = [one.gate.of or one.parent for one in template.populations if one.control == name]
    bridged = list(template.bridge.landmarks) if template.bridge and name == REFERENCE else []
    return list(dict.fromkeys([*asked, *bridged]))


def _pruned(template: Template, name: str, absent: set[str]) -> Template:
    """Return what of a template a control is gated with: the way to what is asked of it.

    A population whose marker the control does not have, and the full tube does, is left out with all that lean
    on it: it would hold other cells. Gates that the control itself places are placed on its own events.
    """
    needed = _leaned_on(template, _asked(template, name))
    kept = list[Population]()
    for one in template.populations:
        leans = {*one.leans_on, *_model_of(template, one)}
        is_reached = leans <= {ROOT, *(other.name for other in kept)}
        if one.name in needed and is_reached and not absent & set(one.markers):
            kept.append(_on_its_own(one) if one.control == name else one)
    models = tuple(kinds for kinds in template.models if any(one.gate.model == kinds.name for one in kept))
    bridge = template.bridge and _bridge_of(template.bridge, {ROOT, *(one.name for one in kept)})
    return replace(template, populations=tuple(kept), models=models, bridge=bridge, draws=0, shifts=())


def _bridge_of(bridge: Bridge, names: set[str]) -> Bridge:
    """Return a bridge with the landmarks of some populations: all that gates on the way to them follow."""
    return replace(bridge, landmarks={name: at for name, at in bridge.landmarks.items() if name in names})


def _leaned_on(template: Template, names: Iterable[str]) -> set[str]:
    """Return populations with all that their members depend on."""
    needed, asked = set[str](), list(names)
    while asked:
        name = asked.pop()
        if name not in needed and name != ROOT:
            needed.add(name)
            one = template.population(name)
            asked += [*one.leans_on, *_model_of(template, one)]
    return needed


def _model_of(template: Template, one: Population) -> list[str]:
    """Return the population that the model of a gate is fitted to."""
    return [kinds.of for kinds in template.models if kinds.name == one.gate.model]


def _on_its_own(one: Population) -> Population:
    return replace(one, gate=replace(one.gate, tube="sample"))


def _pooled(companions: Sequence[Beside], template: Template) -> tuple[dict[str, Bound], list[str]]:
    """Return the tubes to pool with, bound, and why others cannot be after all."""
    bound, lost = dict[str, Bound](), list[str]()
    for one in companions:
        try:
            bound[one.sample] = template.bind(read_tube(one.path, one.tube, template), one.tube.channels)
        except FileError as error:
            lost.append(f"{one.sample} cannot be pooled ({error.code})")
            continue
        if not len(bound[one.sample].sample):
            del bound[one.sample]
            lost.append(f"{one.sample} cannot be pooled, it holds no events")
    return bound, lost
