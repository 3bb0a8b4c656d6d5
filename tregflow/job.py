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
from tregflow.binding import Marker
from tregflow.errors import FileError, Finding, OutputError, TregflowError, nearest, refuse
from tregflow.gating import Gated, gate
from tregflow.identity import naming, plain, stated
from tregflow.io.fcs import read_fcs, scan_fcs
from tregflow.io.files import sha256, write_whole
from tregflow.io.folder import Folder
from tregflow.outcome import Evidence, Outcome, changed, digest, done, parts_of, storable
from tregflow.privacy import told_fault
from tregflow.sample import Sample
from tregflow.study import Tube
from tregflow.template import Template
from tregflow.transforms import Identity, Transform
from tregflow.twins import data_sha256
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
    """

    tube: Tube
    path: Path
    template: Template
    folder: Folder
    plots: bool = True
    accept_changed: bool = False
    published: str = ""
    between: tuple[Finding, ...] = ()


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
    """

    outcome: Outcome
    why: tuple[str, ...] = field(default=())
    kept: bool = False
    names: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)


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
        if _content(job.path) == outcome.file.sha256:
            bound = job.template.bind(_read(job), job.tube.channels)
            page = _page(job, gate(bound, job.template))
    job.folder.draw(job.tube.sample, page)
    return Ended(outcome, kept=True)


def plan(job: Job) -> Ended:
    """Say what `gate_file` would do, and do nothing: keep, gate and why, or refuse."""
    try:
        parts = _parts(job)
        old = _earlier(job, parts)
    except TregflowError as error:
        return Ended(_passing(job, error))
    if old is None:
        return Ended(Outcome(job.tube.sample, "done", parts, _named(job)), ("no outcome yet",))
    return Ended(old, tuple(_why(job, old, parts)), _holds(job, old, parts))


def _ended(job: Job) -> Ended:
    before, parts = _stamp(job.path), _parts(job)
    old = _earlier(job, parts)
    if old and _holds(job, old, parts):
        return Ended(old, kept=True, names=_names(job))
    why = tuple(_why(job, old, parts)) if old else ()
    outcome, page, names = _gated(job, parts)
    if _stamp(job.path) != before:
        raise refuse("E-CHANGED", "the file changed while it was being read; is it still being written?")
    job.folder.draw(job.tube.sample, None)  # a run that is killed here leaves no page of other gates
    job.folder.keep(outcome)
    job.folder.draw(job.tube.sample, page)
    job.folder.forgive(job.tube.sample)
    return Ended(outcome, why, names=names)


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


def _gated(job: Job, parts: Mapping[str, str]) -> tuple[Outcome, bytes | None, dict[str, str]]:
    evidence = replace(_named(job), sha256=parts["file"])
    try:
        sample = _read(job)
        evidence = _with_events(evidence, sample)
        if not job.tube.is_gated:
            return _control(job, parts, evidence, sample), None, naming(sample.keywords)
        bound = job.template.bind(sample, job.tube.channels)
        return *_counted(job, parts, _bound_evidence(evidence, bound), bound), naming(sample.keywords)
    except TregflowError as error:
        if error.code in TRANSIENT:
            raise
        return Outcome(job.tube.sample, "refused", parts, evidence, _said(error)), None, {}


def _control(job: Job, parts: Mapping[str, str], evidence: Evidence, sample: Sample) -> Outcome:
    bound, said = bind_control(job.template, sample, job.tube.channels)
    evidence = _bound_evidence(evidence, bound) if bound else evidence
    return Outcome(job.tube.sample, "control", parts, evidence, (*sample.findings, *said))


def bind_control(
    template: Template, sample: Sample, named: Mapping[str, str]
) -> tuple[Bound | None, tuple[Finding, ...]]:
    """Bind what a control tube has of a template's markers; it need not have them all.

    Parameters
    ----------
    template : Template
        The stored hierarchy.
    sample : Sample
        The file.
    named : mapping of str to str
        Channels that the sheet names outright, by marker.

    Returns
    -------
    bound : Bound or None
        None where a marker cannot be told from another.
    findings : tuple of Finding
        ``N-CONTROL`` where markers are not bound.

    Raises
    ------
    FileError
        What is wrong with the file itself: ``E-SPILL``, ``E-SCALING``.
    """
    declared = {marker.name: marker for marker in template.markers}
    markers = tuple(replace(declared.get(name, Marker(name)), optional=True) for name in template.scales)
    try:
        bound = replace(template, markers=markers).bind(sample, named)
    except FileError as error:
        if {finding.code for finding in error.findings} != {"E-MARKER"}:
            raise
        return None, (
            Finding("N-CONTROL", f"not bound: {'; '.join(one.sentence for one in error.findings)}"),
        )
    missing = [marker.name for marker in markers if marker.name not in bound.channels
               and not declared.get(marker.name, marker).optional]  # fmt: skip
    told = f"this control does not have every marker of the template: {', '.join(missing)} not bound"
    return bound, (*bound.findings, *([Finding("N-CONTROL", told)] if missing else []))


def _counted(
    job: Job, parts: Mapping[str, str], evidence: Evidence, bound: Bound
) -> tuple[Outcome, bytes | None]:
    if not len(bound.sample):
        raise FileError(EMPTY)
    gated = gate(bound, job.template)
    return done(job.tube.sample, parts, evidence, gated), _page(job, gated)


def _page(job: Job, gated: Gated) -> bytes | None:
    if not job.plots:
        return None
    from tregflow.plots import page

    said = replace(gated, findings=(*gated.findings, *job.between))
    return page(said, job.tube.sample, storable(job.path.name), digest(job.between))


def _read(job: Job) -> Sample:
    scaling = job.template.scaling
    return read_fcs(job.path, gain=scaling.gain or "apply", log_on_floats=scaling.log_on_floats == "apply",
                    data_set=job.tube.data_set)  # fmt: skip


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what changes when a file does: size, times and place on the disk; nothing where there is none."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _parts(job: Job) -> dict[str, str]:
    """Return the hash of everything that could change the outcome, by what it is."""
    tube = job.tube
    row = {
        "file name": tube.file,
        "tube": tube.tube,
        "data set": tube.data_set,
        "channels": sorted(tube.channels.items()),
    }
    return {"file": _content(job.path), **{f"row: {name}": _hash(value) for name, value in row.items()},
            "numpy": np.__version__, "tregflow": __version__, **parts_of(job.template)}  # fmt: skip


def _hash(value: object) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _content(path: Path) -> str:
    """Return the SHA-256 of a file that can be read to its end."""
    refuse_absent(path)
    try:
        return sha256(path)
    except OSError as error:
        raise _locked(error) from None


def refuse_absent(path: Path) -> None:
    """Refuse what is no file.

    Parameters
    ----------
    path : Path
        What a row names.

    Raises
    ------
    FileError
        ``E-MISSING``, ``E-UNREADABLE``.
    """
    try:
        is_there, is_file = path.exists(), path.is_file()
    except OSError as error:
        raise _locked(error) from None
    if not is_there:
        raise refuse(
            "E-MISSING", f"there is no such file in {_folder(path)}{nearest(path.name, _beside(path))}"
        )
    if not is_file:
        raise refuse("E-UNREADABLE", "is a folder, a device or a pipe; name the FCS file itself")


def _locked(error: OSError) -> FileError:
    return refuse("E-UNREADABLE", f"the system did not let the file be read: {error.strerror}")


def _folder(path: Path) -> str:
    return storable("the working folder" if path.parent == Path() else str(path.parent))


def _beside(path: Path) -> list[str]:
    try:
        return sorted(storable(other.name) for other in path.parent.iterdir())
    except OSError:
        return []


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
    acquired = plain(" ".join(sample.keywords.get(key, "") for key in ("$DATE", "$CYTSN")))
    return replace(evidence, events=len(sample), data_sha256=data_sha256(sample), acquired=acquired, date=said.date,
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
