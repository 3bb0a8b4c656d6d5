"""Worker processes that may die.

A worker that dies breaks its pool. The files that were under way are gated again, each in a process
of its own, and only the one that kills that too is refused; what had ended stays as it was. Only the
parent is interrupted: it ends its workers, and workers end by themselves when their parent is gone.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context, parent_process
from threading import Thread, current_thread, main_thread
from types import FrameType

from tregflow.errors import Finding
from tregflow.job import Ended, Job, gate_file
from tregflow.outcome import Evidence, Outcome, storable

Work = Callable[[Job], Ended]

MOST = 61
"""Processes that Windows allows a pool."""

WORKER = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "268435456",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "MALLOC_TOP_PAD_": "67108864",
}
"""Environment of a worker: one thread, and, where the C library is glibc, freed memory kept for the next
array; given back page by page and asked for again it costs as much as gating does."""


def run(jobs: Sequence[Job], workers: int, work: Work = gate_file) -> Generator[Ended, None, None]:
    """Gate files in worker processes.

    Parameters
    ----------
    jobs : sequence of Job
        One per file.
    workers : int
        Processes at a time, at least 1.
    work : callable, optional
        What a worker does with a job.

    Yields
    ------
    Ended
        In the order in which files end.
    """
    waiting, workers = list(reversed(jobs)), min(workers, MOST)
    while waiting:
        under_way = yield from _pooled(waiting, workers, work)
        for job in under_way:
            yield _alone(job, work)


def _pooled(waiting: list[Job], workers: int, work: Work) -> Generator[Ended, None, list[Job]]:
    """Take jobs off the list until it is empty or a worker dies; return those under way then."""
    under_way: dict[Future[Ended], Job] = {}
    try:
        with _pool(min(workers, len(waiting))) as pool:
            while waiting or under_way:
                while waiting and len(under_way) < workers:
                    under_way[_submitted(pool, work, waiting[-1])] = waiting[-1]
                    waiting.pop()
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    ended = future.result()
                    del under_way[future]
                    yield ended
    except BrokenProcessPool:
        for future in [future for future in under_way if _has_ended(future)]:
            del under_way[future]
            yield future.result()
    return list(under_way.values())


def _has_ended(future: Future[Ended]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _alone(job: Job, work: Work) -> Ended:
    """Gate a file that was under way when a worker died, in a process of its own."""
    try:
        with _pool(1) as pool:
            ended = _submitted(pool, work, job).result()
    except BrokenProcessPool:
        return Ended(_killing(job))
    if ended.kept:
        return ended
    outcome = ended.outcome.adding(Finding("N-RETRIED", "a process died while this file was under way; it was gated again, "
                                           "alone"))  # fmt: skip
    if outcome.parts:  # a refusal that does not last is not kept, and never takes the place of an outcome
        job.folder.keep(outcome)
    return replace(ended, outcome=outcome)


def _killing(job: Job) -> Outcome:
    told = "the process that gated this file died twice, the second time alone with it; it may need more memory than there is"
    return Outcome(
        job.tube.sample, "refused", {}, Evidence(storable(job.path.name)), (Finding("E-WORKER", told),)
    )


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Hold a pool whose processes start alike on every system and use one thread each."""
    os.environ.update(WORKER)
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _become_worker)
    try:
        yield pool
    except BaseException:
        _stop(pool)
        raise
    finally:
        pool.shutdown()


def _stop(pool: ProcessPoolExecutor) -> None:
    """End a pool now: what its workers have kept is whole, the rest is gated by the next run."""
    for process in list((pool._processes or {}).values()):  # noqa: SLF001 - there is no public way to end a worker
        process.terminate()
    pool.shutdown(cancel_futures=True)


def _submitted(pool: ProcessPoolExecutor, work: Work, job: Job) -> Future[Ended]:
    with _uninterrupted():
        return pool.submit(work, job)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put an interrupt off while a worker starts, so that it starts whole; the worker never sees it."""
    if current_thread() is not main_thread():  # interrupts reach the main thread, and only it may say how
        yield
        return
    put_off: list[tuple[int, FrameType | None]] = []
    earlier = signal.signal(signal.SIGINT, lambda *interrupt: put_off.append(interrupt))
    try:
        with _inherited_deafness():
            yield
    finally:
        signal.signal(signal.SIGINT, earlier)
        if put_off and callable(earlier):
            earlier(*put_off[0])


@contextmanager
def _inherited_deafness() -> Iterator[None]:
    """Let processes that start meanwhile be deaf to interrupts from their first instruction on."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


def _become_worker() -> None:
    """Leave interrupts to the parent, and end when it is gone, whatever ended it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_outlive_nobody, daemon=True).start()


def _outlive_nobody() -> None:
    parent = parent_process()
    if parent:
        parent.join()
        os._exit(1)
