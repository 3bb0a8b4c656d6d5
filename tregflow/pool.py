"""Worker processes that may die.

A worker that dies breaks its pool. The files that were under way are gated again, each in a process
of its own, and only the one that kills that too is refused; what had ended stays as it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context

from tregflow.errors import Finding
from tregflow.job import Ended, Job, gate_file
from tregflow.outcome import Evidence, Outcome

Work = Callable[[Job], Ended]

WORKER = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "268435456",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "MALLOC_TOP_PAD_": "67108864",
}
"""Environment of a worker: one thread each, and, where the C library is glibc, freed memory is kept
for the next array instead of being given back page by page, which costs as much as gating does."""


def run(jobs: Sequence[Job], workers: int, work: Work = gate_file) -> Iterator[Ended]:
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
    waiting = list(reversed(jobs))
    while waiting:
        under_way = yield from _pooled(waiting, workers, work)
        for job in under_way:
            yield _alone(job, work)


def _pooled(waiting: list[Job], workers: int, work: Work) -> Generator[Ended, None, list[Job]]:
    """Take jobs off the list until it is empty or a worker dies; return those under way then."""
    futures: dict[Future[Ended], Job] = {}
    with _pool(min(workers, len(waiting))) as pool:
        try:
            while waiting or futures:
                while waiting and len(futures) < workers:
                    futures[pool.submit(work, waiting[-1])] = waiting[-1]
                    waiting.pop()
                for future in wait(futures, return_when=FIRST_COMPLETED).done:
                    ended = future.result()
                    del futures[future]
                    yield ended
        except BrokenProcessPool:
            return [futures.pop(future) for future in list(futures)]
        except BaseException:
            _stop(pool)
            raise
    return []


def _alone(job: Job, work: Work) -> Ended:
    """Gate a file that was under way when a worker died, in a process of its own."""
    try:
        with _pool(1) as pool:
            ended = pool.submit(work, job).result()
    except BrokenProcessPool:
        told = ("the process that gated this file died twice, the second time alone with it; it may need more memory than "
                "there is")  # fmt: skip
        return Ended(Outcome(job.tube.sample, "refused", {}, Evidence(job.path.name), (Finding("E-WORKER", told),)))
    if ended.kept:
        return ended
    outcome = ended.outcome.adding(Finding("N-RETRIED", "a process died while this file was under way; it was gated again, "
                                           "alone"))  # fmt: skip
    job.folder.keep(outcome)
    return replace(ended, outcome=outcome)


def _pool(workers: int) -> ProcessPoolExecutor:
    """Return a pool whose processes start alike on every system and use one thread each."""
    os.environ |= WORKER
    return ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn"))


def _stop(pool: ProcessPoolExecutor) -> None:
    """End a pool now: what its workers have kept is whole, the rest is gated by the next run."""
    processes = list((pool._processes or {}).values())  # noqa: SLF001 - there is no public way to end a worker
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()


