"""A batch: a sheet and a template to a results folder.

One file's number never depends on another's, on their order or on the number of workers; where the
template asks for control tubes of the run, or for tubes to pool, it depends on those and names them. What
needs all files together, and is said here: two rows that lead to the same events are both refused, a file
that names another row, or was acquired unlike the subject's others, is flagged, and so is one that leans on
a control which is. Outcomes stay as they are, each its own file's; pages of refused files go, and tables and
record say what was said, until the sheet or the files are mended.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tregflow import __version__
from tregflow.controls import neighbours, unbridged
from tregflow.errors import Finding
from tregflow.identity import Stated, doubts
from tregflow.io.files import located, sha256
from tregflow.io.folder import RECORD, Folder
from tregflow.io.tables import table_bytes
from tregflow.job import Ended, Job, draw_again, gate_file, plan
from tregflow.outcome import SCHEMA, Outcome, digest, storable, summary
from tregflow.pool import Work, run
from tregflow.results import Pair, file_table, paired, perturbation_table, population_table, treg_table
from tregflow.study import Tube
from tregflow.template import Template
from tregflow.twins import twins

OF_GATES = frozenset({"F-FALLBACK", "F-BOUND", "F-WEAK", "F-UNSETTLED", "F-SKIPPED", "F-BRIDGE"})
"""Flags that a tube's own gates raise: they say nothing of its events, on which others may lean."""

LIBRARIES = ("numpy", "scipy", "matplotlib")


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be gated, with what, into which folder.

    Parameters
    ----------
    template : Template
        The stored hierarchy.
    tubes : tuple of Tube
        Rows of the sheet.
    root : Path
        What their file names are relative to.
    out : Path
        The results folder.
    plots : bool
        Whether to draw a page per sample.
    workers : int
        Processes at a time.
    accept_changed : bool
        Whether files whose content changed under their name are gated anew.
    work : callable
        What a worker does with a job.
    sheet : Path or None
        The sheet that the rows came from; None where files were named.
    draws : int or None
        How often each file is drawn anew to see how steadily its gates stand; None for as the template says.
    """

    template: Template
    tubes: tuple[Tube, ...]
    root: Path
    out: Path
    plots: bool = True
    workers: int = 1
    accept_changed: bool = False
    work: Work = gate_file
    sheet: Path | None = None
    draws: int | None = None

    def jobs(self) -> list[Job]:
        """Return one job per tube."""
        folder = Folder(self.out)
        published = folder.published()
        beside = neighbours(self.tubes, self.root, self.template, published)
        return [Job(tube, located(self.root, tube.file), self.template, folder, self.plots, self.accept_changed,
                    published.get(tube.sample, ""), others=beside.get(tube.sample, ()), draws=self.draws) for tube in self.tubes]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that has ended.

    Parameters
    ----------
    pairs : tuple of (Tube, Outcome)
        By sample name.
    again : mapping of str to tuple of str
        Why a sample was gated again, where it had an outcome before.
    kept : frozenset of str
        Samples whose earlier outcome still held.
    strangers : tuple of str
        Outcomes in the folder that the sheet does not name.
    general : tuple of Finding
        What there is to say of all files together.
    """

    pairs: tuple[Pair, ...]
    again: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    strangers: tuple[str, ...] = ()
    general: tuple[Finding, ...] = ()

    @property
    def by_visit(self) -> dict[str, tuple[int, int]]:
        """Full tubes whose primary measure does not pass, and all, by visit: flags must not favour one."""
        told: dict[str, list[bool]] = {}
        for tube, outcome in self.pairs:
            if tube.tube == "full":
                told.setdefault(tube.visit, []).append(outcome.verdict != "pass")
        return {visit: (sum(flags), len(flags)) for visit, flags in sorted(told.items())}

    @property
    def status(self) -> int:
        """The exit status: 3 a fault of ours, 1 something refused or flagged, 0 all well."""
        outcomes = [outcome for _, outcome in self.pairs]
        if any(finding.code == "E-INTERNAL" for outcome in outcomes for finding in outcome.findings):
            return 3
        return 0 if all(outcome.is_clean for outcome in outcomes) else 1


def gate_batch(request: Request, seen: Callable[[Ended], None] = lambda _: None) -> Batch:
    """Gate every file of a sheet and publish the tables.

    Parameters
    ----------
    request : Request
        What, with what, where to.
    seen : callable, optional
        Called with each file as it ends.

    Returns
    -------
    Batch

    Raises
    ------
    InputError, OutputError, BusyError
        The folder cannot be used; nothing was published.
    """
    started, sheet, folder = time.time(), _sheet(request.sheet), Folder(request.out)
    with folder.held():
        jobs = request.jobs()
        with closing(run(jobs, request.workers, request.work)) as ended:
            ends = dict(_seen(ended, seen))
        outcomes = {sample: ended.outcome for sample, ended in ends.items()}
        pairs = paired(request.tubes, _across(request, ends))
        general = unbridged(pairs, request.template)
        _redraw(request, jobs, ends, pairs)
        _publish(request, pairs, general, started, sheet)
        strangers = folder.strangers(set(outcomes))
    twice = {tube.sample for tube, outcome in pairs if outcome.state != outcomes[tube.sample].state}
    again = {sample: ended.why for sample, ended in ends.items() if ended.why and sample not in twice}
    kept = frozenset(name for name, ended in ends.items() if ended.kept)
    return Batch(pairs, again, kept, tuple(strangers), general)


def plan_batch(request: Request) -> list[tuple[Tube, Ended]]:
    """Return what `gate_batch` would do with each file, and why; writes nothing.

    Parameters
    ----------
    request : Request
        What, with what, where to.

    Returns
    -------
    list of (Tube, Ended)
        In the sheet's order.

    Raises
    ------
    InputError, OutputError
        The folder cannot be used.
    """
    Folder(request.out).refuse_foreign()
    return [(job.tube, plan(job)) for job in request.jobs()]


def _seen(ends: Iterable[Ended], seen: Callable[[Ended], None]) -> Iterable[tuple[str, Ended]]:
    for ended in ends:
        seen(ended)
        yield ended.outcome.sample, ended


def _across(request: Request, ends: Mapping[str, Ended]) -> dict[str, Outcome]:
    """Return the outcomes with what only shows when files are held against each other."""
    outcomes = {sample: ended.outcome for sample, ended in ends.items()}
    twice = _twins(request, outcomes)
    doubted = doubts(request.tubes, _stated(request, ends))
    settled = {}
    for tube in request.tubes:
        outcome = outcomes[tube.sample].adding(*(doubt.finding for doubt in doubted.get(tube.sample, ())))
        if not tube.run and outcome.file.acquired:
            outcome = outcome.adding(
                Finding("N-RUN-GUESSED", f"the run was taken from the file: {outcome.file.acquired}")
            )
        if tube.sample in twice:
            outcome = outcome.refusing(twice[tube.sample])
        settled[tube.sample] = outcome
    return {
        sample: outcome.adding(*_borrowed_doubts(ends[sample], settled))
        for sample, outcome in settled.items()
    }


def _borrowed_doubts(ended: Ended, settled: Mapping[str, Outcome]) -> Iterable[Finding]:
    """Yield a flag where a tube leans on another that is refused, or flagged for something that it is not itself."""
    own = OF_GATES | {finding.code for finding in settled[ended.outcome.sample].findings}
    for sample, what in sorted(ended.leans_on.items()):
        other = settled.get(sample)
        if other is None or sample == ended.outcome.sample or ended.outcome.state == "refused":
            continue
        grave = [one for one in other.findings if one.answer != "note" and one.code not in own]
        if grave:
            how = "refused" if other.state == "refused" else "flagged"
            told = f"its gates look at {sample}, {what}, which is {how} itself: {summary(grave)}"
            yield Finding("F-CONTROL", told)


def _redraw(
    request: Request, jobs: Iterable[Job], ends: Mapping[str, Ended], pairs: tuple[Pair, ...]
) -> None:
    """Draw the pages again that say something else of a file among others than the tables do."""
    between = {
        tube.sample: tuple(one for one in outcome.findings if one.answer == "flag"
                           and one not in ends[tube.sample].outcome.findings)
        for tube, outcome in pairs if outcome.state == "done"
    }  # fmt: skip
    folder = Folder(request.out)
    drawn = [job for job in jobs if request.plots and job.tube.sample in between
             and folder.plot_path(job.tube.sample).exists()]  # fmt: skip
    again = [
        replace(job, between=between[job.tube.sample])
        for job in drawn
        if not folder.is_marked(job.tube.sample, digest(between[job.tube.sample]))
    ]
    for _ in run(again, request.workers, draw_again):
        pass


def _twins(request: Request, outcomes: Mapping[str, Outcome]) -> dict[str, Finding]:
    hashes = {sample: outcome.file.data_sha256 for sample, outcome in outcomes.items() if outcome.file.events}
    files = {tube.sample: storable(located(request.root, tube.file).name) for tube in request.tubes}
    return twins(hashes, files)


def _stated(request: Request, ends: Mapping[str, Ended]) -> dict[str, Stated]:
    """Return what the files that were read say of themselves."""
    said = {}
    for tube in request.tubes:
        outcome, names = ends[tube.sample].outcome, ends[tube.sample].names
        if outcome.state != "refused":
            file = outcome.file
            said[tube.sample] = Stated(names, file.date, file.cytometer, file.serial, file.voltages, file.gains, file.channels)  # fmt: skip
    return said


def _sheet(path: Path | None) -> dict[str, str] | None:
    return {"name": storable(path.name), "sha256": sha256(path)} if path else None


def _publish(
    request: Request,
    pairs: tuple[Pair, ...],
    general: tuple[Finding, ...],
    started: float,
    sheet: dict[str, str] | None,
) -> None:
    """Write the tables and the record of the run together; the record names the rest by hash."""
    tables = {
        "treg.csv": treg_table(pairs, request.template),
        "populations.csv": population_table(pairs, request.template),
        "perturbations.csv": perturbation_table(pairs, request.template),
        "files.csv": file_table(pairs),
    }
    written = {name: table_bytes(columns, rows) for name, (columns, rows) in tables.items()}
    folder = Folder(request.out)
    for tube, outcome in pairs:
        if outcome.state == "refused":
            folder.draw(tube.sample, None)
    told = {
        **_record(request, pairs, written),
        "notes": [asdict(one) for one in general],
        "flagged by visit": {
            visit: {"not passed": flagged, "tubes": tubes}
            for visit, (flagged, tubes) in Batch(pairs).by_visit.items()
        },
        "sheet": sheet,
        **_times(started),
    }
    record = json.dumps(told, indent=1, ensure_ascii=False).encode() + b"\n"
    folder.publish({**written, RECORD: record})


def _times(started: float) -> dict[str, Any]:
    return {"started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "seconds": round(time.time() - started, 3)}  # fmt: skip


def _record(request: Request, pairs: tuple[Pair, ...], tables: Mapping[str, bytes]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "versions": {"tregflow": __version__, **{name: version(name) for name in LIBRARIES}},
        "environment": _environment(),
        "template": {
            "name": request.template.name,
            "sha256": request.template.hash,
            "content": request.template.content,
        },
        "inputs": {
            tube.sample: {"file": storable(tube.file), "sha256": outcome.file.sha256}
            for tube, outcome in pairs
        },
        "published": _published(Folder(request.out).published(), pairs),
        "refused": {
            tube.sample: summary(outcome.findings) for tube, outcome in pairs if outcome.state == "refused"
        },
        "options": {
            "plots": request.plots,
            "jobs": request.workers,
            "accept_changed": request.accept_changed,
            "draws": request.template.draws if request.draws is None else request.draws,
        },
        "contents": Folder(request.out).contents({tube.sample for tube, _ in pairs}, tables),
    }


def _published(earlier: Mapping[str, str], pairs: tuple[Pair, ...]) -> dict[str, str]:
    """Return the SHA-256 of the file that each published number is of: what nobody may replace unsaid.

    A refusal that lasts (a damaged file, two rows with the same events) publishes no number, so its
    file may be replaced; one that may be over tomorrow leaves what was published before protected.
    """
    held = dict(earlier)
    for tube, outcome in pairs:
        if outcome.state != "refused":
            held[tube.sample] = outcome.file.sha256
        elif outcome.parts:
            held.pop(tube.sample, None)
    return dict(sorted(held.items()))


def _environment() -> dict[str, Any]:
    return {"python": sys.version.split()[0], "system": platform.platform(), "machine": platform.machine(),
            "processors": os.cpu_count(), "linear algebra": _linear_algebra()}  # fmt: skip


def _linear_algebra() -> str:
    built: Any = np.show_config(mode="dicts")
    return str(built.get("Build Dependencies", {}).get("blas", {}).get("name", "unknown"))
