"""One file, from its bytes to its outcome: everything that happens to it, in order."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tregflow.errors import Finding, OutputError, TregflowError, nearest, refuse
from tregflow.gating import Gated, gate
from tregflow.io.fcs import read_fcs
from tregflow.io.files import sha256, write_whole
from tregflow.io.folder import Folder
from tregflow.outcome import Evidence, Outcome, changed, done, parts_of, storable
from tregflow.sample import Channel, Sample
from tregflow.study import Tube
from tregflow.template import Template
from tregflow.view import Bound

TRANSIENT = {"E-INTERNAL", "E-WORKER", "E-CHANGED", "E-MISSING", "E-UNREADABLE"}
"""Refusals that say nothing lasting of the file: they are not kept, and the next run tries it again."""

PRINTED = 65_536
"""Bytes at the beginning, middle and end of DATA that its fingerprint is made of."""


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
    """

    tube: Tube
    path: Path
    template: Template
    folder: Folder
    plots: bool = True
    accept_changed: bool = False


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
    """

    outcome: Outcome
    why: tuple[str, ...] = field(default=())
    kept: bool = False


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
    except Exception:  # noqa: BLE001 - the one border where a fault of ours must take no other file with it
        return Ended(_fault(job))


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
        return Ended(old, kept=True)
    why = tuple(_why(job, old, parts)) if old else ()
    outcome, page = _gated(job, parts)
    if _stamp(job.path) != before:
        raise refuse("E-CHANGED", "the file changed while it was being read; is it still being written?")
    job.folder.draw(job.tube.sample, page)
    job.folder.keep(outcome)
    job.folder.forgive(job.tube.sample)
    return Ended(outcome, why)


def _earlier(job: Job, parts: Mapping[str, str]) -> Outcome | None:
    """Return the sample's earlier outcome, unless it is another file's and nobody said that this is right."""
    old = job.folder.outcome(job.tube.sample)
    has_numbers = old is not None and old.state != "refused"
    if old and has_numbers and old.parts.get("file") != parts["file"] and not job.accept_changed:
        raise refuse("E-CHANGED", f"the content is not what was gated as {job.tube.sample} before; if the new file is right, "
                     "run again with --accept-changed")  # fmt: skip
    return old


def _gated(job: Job, parts: Mapping[str, str]) -> tuple[Outcome, bytes | None]:
    evidence = replace(_named(job), sha256=parts["file"])
    try:
        sample = _read(job)
        evidence = _with_events(evidence, sample)
        bound = job.template.bind(sample, job.tube.channels)
        evidence = _bound_evidence(evidence, bound)
        if not job.tube.is_gated:
            return Outcome(
                job.tube.sample, "control", parts, evidence, (*sample.findings, *bound.findings)
            ), None
        return _counted(job, parts, evidence, bound)
    except TregflowError as error:
        if error.code in TRANSIENT:
            raise
        return Outcome(job.tube.sample, "refused", parts, evidence, _said(error)), None


def _counted(
    job: Job, parts: Mapping[str, str], evidence: Evidence, bound: Bound
) -> tuple[Outcome, bytes | None]:
    if not len(bound.sample):
        raise refuse("E-EMPTY-FILE", "the file holds 0 events; a percentage of nothing is not a number")
    gated = gate(bound, job.template)
    return done(job.tube.sample, parts, evidence, gated), _page(job, gated)


def _page(job: Job, gated: Gated) -> bytes | None:
    if not job.plots:
        return None
    from tregflow.plots import page

    return page(gated, job.tube.sample)


def _read(job: Job) -> Sample:
    scaling = job.template.scaling
    return read_fcs(job.path, gain=scaling.gain or "apply", log_on_floats=scaling.log_on_floats == "apply",
                    data_set=job.tube.data_set)  # fmt: skip


def _stamp(path: Path) -> tuple[int, int]:
    """Return size and time of a file; zeros where there is none."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _parts(job: Job) -> dict[str, str]:
    """Return the hash of everything that could change the outcome, by what it is."""
    row = repr((job.tube.file, job.tube.tube, job.tube.data_set, sorted(job.tube.channels.items())))
    return {"file": _content(job.path), "row: file, tube, data set, channels": hashlib.sha256(row.encode()).hexdigest()[:16],
            "numpy": np.__version__, **parts_of(job.template)}  # fmt: skip


def _content(path: Path) -> str:
    """Return the SHA-256 of a file that can be read to its end."""
    try:
        if path.exists() and not path.is_file():
            raise refuse("E-UNREADABLE", "is a folder, a device or a pipe; name the FCS file itself")
        return sha256(path)
    except FileNotFoundError:
        raise refuse(
            "E-MISSING", f"there is no such file in {_folder(path)}{nearest(path.name, _beside(path))}"
        ) from None
    except OSError as error:
        raise refuse("E-UNREADABLE", f"the system did not let the file be read: {error.strerror}") from None


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
    acquired = " ".join(
        word for word in (sample.keywords.get("$DATE", ""), sample.keywords.get("$CYTSN", "")) if word
    )
    return replace(evidence, events=len(sample), print=fingerprint(sample), acquired=acquired)


def _bound_evidence(evidence: Evidence, bound: Bound) -> Evidence:
    names = {marker: bound.sample.names[place] for marker, place in bound.channels.items()}
    scaling = {marker: _scaling(bound.sample.channels[place]) for marker, place in bound.channels.items()}
    matrix = bound.compensation.source if bound.compensation else "none"
    return replace(evidence, channels=names, scaling=scaling, compensation=matrix)


def _scaling(channel: Channel) -> str:
    words = [f"log {channel.decades:g} decades undone" if channel.decades else "linear"]
    if channel.gain != 1:
        words.append(f"divided by gain {channel.gain:g}")
    elif channel.stated_gain != 1:
        words.append(f"gain {channel.stated_gain:g} ignored")
    return ", ".join(words)


def fingerprint(sample: Sample) -> str:
    """Return a fingerprint of DATA: its size and three stretches of it."""
    raw = sample.records.reshape(-1).view(np.uint8) if len(sample) else np.empty(0, np.uint8)
    middle = max(0, len(raw) // 2 - PRINTED // 2)
    digest = hashlib.sha256(f"{len(raw)}".encode())
    for start in (0, middle, max(0, len(raw) - PRINTED)):
        digest.update(raw[start : start + PRINTED].tobytes())
    return digest.hexdigest()[:32]


def _passing(job: Job, error: TregflowError) -> Outcome:
    """Return a refusal that says nothing lasting of the file and is not kept."""
    return Outcome(job.tube.sample, "refused", {}, _named(job), _said(error))


def _said(error: TregflowError) -> tuple[Finding, ...]:
    return tuple(Finding(finding.code, finding.sentence) for finding in error.findings)


def _fault(job: Job) -> Outcome:
    write_whole(job.folder.fault_path(job.tube.sample), traceback.format_exc().encode("utf-8", "replace"))
    told = f"a fault of tregflow's own; the traceback is in faults/{job.tube.sample}.txt: please report it"
    return Outcome(job.tube.sample, "refused", {}, _named(job), (Finding("E-INTERNAL", told),))
