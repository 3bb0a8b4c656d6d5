"""A batch: a sheet and a template to a results folder.

One file's number never depends on another's, on their order or on the number of workers. What does
need all files together, and is said here: two rows that lead to the same events are both refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tregflow import __version__
from tregflow.errors import FileError, Finding
from tregflow.io.fcs import read_fcs
from tregflow.io.files import located
from tregflow.io.folder import RECORD, Folder
from tregflow.io.tables import table_bytes
from tregflow.job import Ended, Job, gate_file, plan
from tregflow.outcome import SCHEMA, Outcome, storable
from tregflow.pool import Work, run
from tregflow.results import Pair, file_table, paired, population_table, treg_table
from tregflow.study import Tube
from tregflow.template import Template

LIBRARIES = ("numpy", "scipy", "matplotlib")

Place = tuple[Path, int | None]
"""A file and which of its data sets."""


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
    """

    template: Template
    tubes: tuple[Tube, ...]
    root: Path
    out: Path
    plots: bool = True
    workers: int = 1
    accept_changed: bool = False
    work: Work = gate_file

    def jobs(self) -> list[Job]:
        """Return one job per tube."""
        folder = Folder(self.out)
        return [Job(tube, located(self.root, tube.file), self.template, folder, self.plots, self.accept_changed)
                for tube in self.tubes]  # fmt: skip


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
    """

    pairs: tuple[Pair, ...]
    again: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    strangers: tuple[str, ...] = ()

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
    started, folder = time.time(), Folder(request.out)
    with folder.held(), closing(run(request.jobs(), request.workers, request.work)) as ended:
        ends = dict(_seen(ended, seen))
        outcomes = {sample: ended.outcome for sample, ended in ends.items()}
        pairs = paired(request.tubes, _across(request, outcomes))
        _publish(request, pairs, started)
        strangers = folder.strangers(set(outcomes))
    again = {sample: ended.why for sample, ended in ends.items() if ended.why}
    return Batch(
        pairs, again, frozenset(name for name, ended in ends.items() if ended.kept), tuple(strangers)
    )


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


def _across(request: Request, outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """Return the outcomes with what only shows when files are held against each other."""
    twice = _twins(request, outcomes)
    settled = {}
    for tube in request.tubes:
        outcome = outcomes[tube.sample]
        if not tube.run and outcome.file.acquired:
            outcome = outcome.adding(
                Finding("N-RUN-GUESSED", f"the run was taken from the file: {outcome.file.acquired}")
            )
        if tube.sample in twice:
            outcome = outcome.refusing(told_twice(twice[tube.sample]))
        settled[tube.sample] = outcome
    return settled


def twins(prints: Mapping[str, str], places: Mapping[str, Place]) -> dict[str, list[str]]:
    """Return the samples that hold the same events as another.

    Parameters
    ----------
    prints : mapping of str to str
        Fingerprint of each sample's events; files with different ones are not compared.
    places : mapping of str to (Path, int or None)
        File and data set of each sample.

    Returns
    -------
    dict of str to list of str
        The others, by sample.
    """
    groups = [
        same
        for alike in _grouped(prints)
        for same in _grouped({name: _events(*places[name]) for name in alike})
    ]
    return {name: [other for other in group if other != name] for group in groups for name in group}


def told_twice(others: Sequence[str]) -> Finding:
    """Return the refusal of a file that holds the same events as others."""
    named = " and ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    return Finding("E-TWICE", f"holds the same events as {named}; which of them is right, the sheet must say")


def _grouped(keys: Mapping[str, str]) -> list[list[str]]:
    """Return the groups of two and more names that share a key, names in order."""
    groups: dict[str, list[str]] = {}
    for name, key in sorted(keys.items()):
        groups.setdefault(key, []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _events(path: Path, data_set: int | None) -> str:
    """Return the SHA-256 of a file's events; its own path where it is gone by now."""
    try:
        records = read_fcs(path, data_set=data_set).records
    except FileError:
        return str(path)
    return hashlib.sha256(records.tobytes()).hexdigest()


def _twins(request: Request, outcomes: Mapping[str, Outcome]) -> dict[str, list[str]]:
    places = {tube.sample: (located(request.root, tube.file), tube.data_set) for tube in request.tubes}
    return twins(
        {sample: outcome.file.print for sample, outcome in outcomes.items() if outcome.file.events}, places
    )


def _publish(request: Request, pairs: tuple[Pair, ...], started: float) -> None:
    """Write the tables and the record of the run together; the record names the rest by hash."""
    tables = {
        "treg.csv": treg_table(pairs, request.template),
        "populations.csv": population_table(pairs, request.template),
        "files.csv": file_table(pairs),
    }
    written = {name: table_bytes(columns, rows) for name, (columns, rows) in tables.items()}
    record = (
        json.dumps(_record(request, pairs, started, written), indent=1, ensure_ascii=False).encode() + b"\n"
    )
    Folder(request.out).publish({**written, RECORD: record})


def _record(
    request: Request, pairs: tuple[Pair, ...], started: float, tables: Mapping[str, bytes]
) -> dict[str, Any]:
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
        "options": {
            "plots": request.plots,
            "jobs": request.workers,
            "accept_changed": request.accept_changed,
        },
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 3),
        "contents": Folder(request.out).contents({tube.sample for tube, _ in pairs}, tables),
    }


def _environment() -> dict[str, Any]:
    return {"python": sys.version.split()[0], "system": platform.platform(), "machine": platform.machine(),
            "processors": os.cpu_count(), "linear algebra": _linear_algebra()}  # fmt: skip


def _linear_algebra() -> str:
    built: Any = np.show_config(mode="dicts")
    return str(built.get("Build Dependencies", {}).get("blas", {}).get("name", "unknown"))
