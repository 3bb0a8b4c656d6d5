"""One file, from its bytes to its outcome: everything that happens to it, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from tregflow import __version__
from tregflow.controls import Around, around, lend, looks_around, parts_of_run
from tregflow.errors import FileError, Finding, OutputError, TregflowError, refuse
from tregflow.gating import Gated, gate
from tregflow.identity import naming, stated
from tregflow.io.fcs import scan_fcs
from tregflow.io.files import write_whole
from tregflow.io.folder import Folder
from tregflow.outcome import Evidence, Outcome, changed, digest, done, parts_of, storable
from tregflow.privacy import told_fault
from tregflow.sample import Sample
from tregflow.study import Tube
from tregflow.template import Template
from tregflow.transforms import Identity, Transform
from tregflow.tubes import Beside, acquired, bind_control, content, read_tube, stamp
from tregflow.twins import data_sha256
from tregflow.uncertainty.stability import doubted, stability, uncertainty
from tregflow.view import Bound

TRANSIENT = {"E-INTERNAL", "E-WORKER", "E-CHANGED", "E-MISSING", "E-UNREADABLE"}
"""Refusals that say nothing lasting of the file: they are not kept, and the next run tries it again."""

EMPTY = Finding("E-EMPTY-FILE", "the file holds 0 events; a percentage of nothing is not a number")


@dataclass(frozen=True, slots=True)
class Job:
    """One file to be gated.

    Parameters
    ----------
    tube : Tube
        Its row.
    path : Path
        The file.
    template : Template
        What to gate it with.
    folder : Folder
        Where its outcome goes.
    plots : bool
        Whether to draw its page.
    accept_changed : bool
        Whether a file whose content changed under its name is gated anew.
    published : str
        SHA-256 of the file whose number the last finished run published under this name; empty where
        it published none.
    between : tuple of Finding
        Flags that only show when files are held against each other: for the page, not for the outcome.
    others : tuple of Beside
        Tubes of its run that the template's gates may look at.
    draws : int or None
        How often the file is drawn anew to see how steadily its gates stand; None for as the template says.
    """

    tube: Tube
    path: Path
    template: Template
    folder: Folder
    plots: bool = True
    accept_changed: bool = False
    published: str = ""
    between: tuple[Finding, ...] = ()
    others: tuple[Beside, ...] = ()
    draws: int | None = None

    @property
    def drawn(self) -> int:
        """How often the file is drawn anew."""
        return self.template.draws if self.draws is None else self.draws


@dataclass(frozen=True, slots=True)
class Ended:
    """How one job ended.

    Parameters
    ----------
    outcome : Outcome
        What is known of the file now.
    why : tuple of str
        What changed since its last outcome; empty where there was none, or it still holds.
    kept : bool
        Whether an earlier outcome still holds.
    names : mapping of str to str
        Keywords that name file, tube and specimen. They may name a person: compared in memory, kept nowhere.
    leans_on : mapping of str to str
        Other samples that its gates look at, with what each is to it.
    """

    outcome: Outcome
    why: tuple[str, ...] = field(default=())
    kept: bool = False
    names: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    leans_on: Mapping[str, str] = field(default_factory=dict)


def gate_file(job: Job) -> Ended:
    """Gate one file and keep its outcome.

    Parameters
    ----------
    job : Job
        The file.

    Returns
    -------
    Ended
        Whatever happens to the file is an outcome.

    Raises
    ------
    OutputError
        The outcome or the plot could not be written, which no other file would survive either.
    """
    try:
        return _ended(job)
    except OutputError:
        raise
    except TregflowError as error:
        return Ended(_passing(job, error))
    except Exception as error:  # noqa: BLE001 - the one border where a fault of ours must take no other file with it
        return Ended(_fault(job, error))


def draw_again(job: Job) -> Ended:
    """Draw a gated file's page with what only shows between files; its outcome stays as it is.

    Parameters
    ----------
    job : Job
        The file, and what shows between files.

    Returns
    -------
    Ended
        The outcome as it was kept. A file that is not what was gated any more has no page.
    """
    outcome = job.folder.outcome(job.tube.sample) or Outcome(job.tube.sample, "done", {}, _named(job))
    page = None
    with suppress(FileError):
        found = _around(job)
        if _parts(job, found) == dict(outcome.parts):
            bound = job.template.bind(_read(job), job.tube.channels)
            gated = _placed(job, found, bound)
            page = _page(job, doubted(gated, stability(gated, job.drawn)))
    job.folder.draw(job.tube.sample, page)
    return Ended(outcome, kept=True)


def plan(job: Job) -> Ended:
    """Say what `gate_file` would do, and do nothing: keep, gate and why, or refuse."""
    try:
        parts = _parts(job, _around(job))
        old = _earlier(job, parts)
    except TregflowError as error:
        return Ended(_passing(job, error))
    if old is None:
        return Ended(Outcome(job.tube.sample, "done", parts, _named(job)), ("no outcome yet",))
    return Ended(old, tuple(_why(job, old, parts)), _holds(job, old, parts))


def _ended(job: Job) -> Ended:
    before, found = stamp(job.path), _around(job)
    parts = _parts(job, found)
    old = _earlier(job, parts)
    if old and _holds(job, old, parts):
        return Ended(old, kept=True, names=_names(job), leans_on=found.samples)
    why = tuple(_why(job, old, parts)) if old else ()
    outcome, page, names = _gated(job, parts, found)
    if stamp(job.path) != before:
        raise refuse("E-CHANGED", "the file changed while it was being read; is it still being written?")
    if not _run_parts(job, found).items() <= parts.items():
        raise refuse(
            "E-CHANGED",
            "a tube that its gates look at changed while it was being read; is it still being written?",
        )
    job.folder.draw(job.tube.sample, None)  # a run that is killed here leaves no page of other gates
    job.folder.keep(outcome)
    job.folder.draw(job.tube.sample, page)
    job.folder.forgive(job.tube.sample)
    return Ended(outcome, why, names=names, leans_on=found.samples)


def _around(job: Job) -> Around:
    """Return what of its run the tube's gates look at."""
    return around(Beside(job.tube, job.path), job.others, job.template) if job.tube.is_gated else Around()


def _names(job: Job) -> dict[str, str]:
    """Return what names a file that is not gated again; nothing where it cannot be read by now."""
    try:
        return naming(scan_fcs(job.path, data_set=job.tube.data_set).keywords)
    except FileError:
        return {}


def _earlier(job: Job, parts: Mapping[str, str]) -> Outcome | None:
    """Return the sample's earlier outcome, unless a number was published of another file and nobody said that this is right."""
    if job.published not in {"", parts["file"]} and not job.accept_changed:
        raise refuse("E-CHANGED", f"the content is not what was gated as {job.tube.sample} before; if the new file is right, "
                     "run again with --accept-changed")  # fmt: skip
    return job.folder.outcome(job.tube.sample)


def _gated(job: Job, parts: Mapping[str, str], found: Around) -> tuple[Outcome, bytes | None, dict[str, str]]:
    evidence = replace(_named(job), sha256=parts["file"])
    try:
        sample = _read(job)
        evidence = _with_events(evidence, sample)
        if not job.tube.is_gated:
            return _control(job, parts, evidence, sample), None, naming(sample.keywords)
        bound = job.template.bind(sample, job.tube.channels)
        return *_counted(job, parts, found, _bound_evidence(evidence, bound), bound), naming(sample.keywords)
    except TregflowError as error:
        if error.code in TRANSIENT:
            raise
        return Outcome(job.tube.sample, "refused", parts, evidence, _said(error)), None, {}


def _control(job: Job, parts: Mapping[str, str], evidence: Evidence, sample: Sample) -> Outcome:
    bound, said = bind_control(job.template, sample, job.tube.channels)
    evidence = _bound_evidence(evidence, bound) if bound else evidence
    return Outcome(job.tube.sample, "control", parts, evidence, (*sample.findings, *said))


def _counted(
    job: Job, parts: Mapping[str, str], found: Around, evidence: Evidence, bound: Bound
) -> tuple[Outcome, bytes | None]:
    if not len(bound.sample):
        raise FileError(EMPTY)
    sure = uncertainty(_placed(job, found, bound), job.drawn)
    return done(job.tube.sample, parts, evidence, sure.gated, sure), _page(job, sure.gated)


def _placed(job: Job, found: Around, bound: Bound) -> Gated:
    """Gate a bound file, with what of its run the template's gates look at."""
    if not looks_around(job.template):
        return gate(bound, job.template)
    lent = lend(bound, found, job.template)
    noted = replace(bound, findings=(*bound.findings, *lent.findings))
    return gate(
        noted, job.template, references=lent.references, absent=lent.absent, companions=lent.companions
    )


def _page(job: Job, gated: Gated) -> bytes | None:
    if not job.plots:
        return None
    from tregflow.plots import page

    said = replace(gated, findings=(*gated.findings, *job.between))
    return page(said, job.tube.sample, storable(job.path.name), digest(job.between))


def _read(job: Job) -> Sample:
    return read_tube(job.path, job.tube, job.template)


def _parts(job: Job, found: Around) -> dict[str, str]:
    """Return the hash of everything that could change the outcome, by what it is."""
    tube = job.tube
    row = {
        "file name": tube.file,
        "tube": tube.tube,
        "data set": tube.data_set,
        "channels": sorted(tube.channels.items()),
    }
    return {"file": content(job.path), **{f"row: {name}": _hash(value) for name, value in row.items()},
            "numpy": np.__version__, "tregflow": __version__,
            "request: number of draws": str(job.drawn), **parts_of(job.template), **_run_parts(job, found)}  # fmt: skip


def _run_parts(job: Job, found: Around) -> dict[str, str]:
    return parts_of_run(found, accept_changed=job.accept_changed)


def _hash(value: object) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _holds(job: Job, old: Outcome, parts: Mapping[str, str]) -> bool:
    lasting = not TRANSIENT & {finding.code for finding in old.findings}
    drawn = not (job.plots and old.state == "done") or job.folder.plot_path(old.sample).exists()
    return lasting and drawn and dict(old.parts) == dict(parts)


def _why(job: Job, old: Outcome, parts: Mapping[str, str]) -> list[str]:
    if differing := changed(old.parts, parts):
        return differing
    return (
        []
        if _holds(job, old, parts)
        else ["the plot is missing" if old.state == "done" else "it was refused before"]
    )


def _named(job: Job) -> Evidence:
    return Evidence(storable(job.path.name))


def _with_events(evidence: Evidence, sample: Sample) -> Evidence:
    said = stated(sample.keywords, sample.channels)
    return replace(evidence, events=len(sample), data_sha256=data_sha256(sample), acquired=acquired(sample.keywords), date=said.date,
                   cytometer=said.cytometer, serial=said.serial, voltages=said.voltages, gains=said.gains)  # fmt: skip


def _bound_evidence(evidence: Evidence, bound: Bound) -> Evidence:
    names = {marker: bound.sample.names[place] for marker, place in bound.channels.items()}
    stored = {marker: bound.sample.channels[place].scaling for marker, place in bound.channels.items()}
    stored |= {channel.name: channel.scaling for channel in bound.sample.channels if channel.is_time}
    axes = {marker: _axis(scale) for marker, scale in bound.scales.items()}
    matrix = bound.compensation.source if bound.compensation else "none"
    return replace(evidence, channels=names, stored_values=stored, compensation=matrix, axes=axes)


def _axis(scale: Transform) -> str:
    """Return a scale with its parameters, such as ``logicle T=262144 W=0.5 M=4.5 A=0``."""
    given = [f"{one.name}={getattr(scale, one.name):g}" for one in fields(cast("Any", scale))]
    name = "none" if isinstance(scale, Identity) else type(scale).__name__.casefold()
    return " ".join([name, *given])


def _passing(job: Job, error: TregflowError) -> Outcome:
    """Return a refusal that says nothing lasting of the file and is not kept."""
    return Outcome(job.tube.sample, "refused", {}, _named(job), _said(error))


def _said(error: TregflowError) -> tuple[Finding, ...]:
    return tuple(Finding(finding.code, finding.sentence) for finding in error.findings)


def _fault(job: Job, error: Exception) -> Outcome:
    write_whole(job.folder.fault_path(job.tube.sample), told_fault(error).encode("utf-8", "replace"))
    told = f"a fault of tregflow's own; the traceback is in faults/{job.tube.sample}.txt: please report it"
    return Outcome(job.tube.sample, "refused", {}, _named(job), (Finding("E-INTERNAL", told),))
