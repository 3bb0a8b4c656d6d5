"""Calls into code that may hang, ask for more memory than there is, or crash: each in a process that can be ended.

A *plan* is a generator that yields calls and is sent their answers; it returns what came of them. Plans
run side by side, one process each; a call that does not keep to its limits is answered with `Stopped`, its
process is ended, and the plan goes on in a new one.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Thread
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")
Plan = Generator["Call", Any, T]

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""What tells numeric libraries to use one thread: the memory of each counts."""

USED = 2**31
"""Bytes that a process is taken to use before a call, where the system does not say."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call with its limits.

    Parameters
    ----------
    work : callable
        A function of a module, so that another process finds it.
    arguments : tuple
        Its arguments.
    seconds : float
        How long it may take.
    room : int
        Bytes of memory that it may take; kept to where the system counts them.
    """

    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    seconds: float
    room: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """A call that came to no answer.

    Parameters
    ----------
    why : {"time", "memory", "death", "fault"}
        It took too long, asked for too much, ended its process, or raised what it should not.
    told : str
        Where a fault happened; quotes no value.
    """

    why: Literal["time", "memory", "death", "fault"]
    told: str = ""


def run(plans: Iterable[Plan[T]], workers: int) -> Iterator[T]:
    """Follow plans, several at a time.

    Parameters
    ----------
    plans : iterable of generator
        Each yields a `Call`, is sent its answer or `Stopped`, and returns a result.
    workers : int
        Processes at a time, at least 1.

    Yields
    ------
    object
        What each plan returned, in the order in which they end.
    """
    waiting = deque(plans)
    lanes: list[_Lane[T]] = [_Lane() for _ in range(min(workers, len(waiting)))]
    try:
        for lane in lanes:
            lane.follow(waiting.popleft())
        while busy := [lane for lane in lanes if lane.plan]:
            for lane in _answered(busy):
                yield from lane.go_on(lane.answer())
                if not lane.plan and waiting:
                    lane.follow(waiting.popleft())
    finally:
        for lane in lanes:
            lane.end()


def _answered(busy: list[_Lane[T]]) -> list[_Lane[T]]:
    """Wait until a call is answered or its time is over; return the lanes of which that is so."""
    first = min(lane.deadline for lane in busy)
    ready = wait([lane.connection for lane in busy], max(first - time.monotonic(), 0))
    return [lane for lane in busy if lane.connection in ready or lane.deadline <= time.monotonic()]


@dataclass(eq=False)
class _Lane(Generic[T]):
    """A plan that is followed, and the process that does its calls."""

    plan: Plan[T] | None = None
    deadline: float = 0.0
    child: _Child | None = field(default=None)

    @property
    def connection(self) -> Connection[Any, Any]:
        assert self.child
        return self.child.connection

    def follow(self, plan: Plan[T]) -> None:
        """Begin with a plan; every plan makes at least one call."""
        self.plan = plan
        self._give(next(plan))

    def go_on(self, answer: Any) -> Iterator[T]:
        """Tell the plan an answer; yield its result where that was the last."""
        assert self.plan
        try:
            self._give(self.plan.send(answer))
        except StopIteration as ended:
            self.plan = None
            yield ended.value

    def answer(self) -> Any:
        """Return what the call was answered; the process is ended where it cannot be trusted with another."""
        assert self.child
        try:
            found = self.connection.recv() if self.connection.poll() else Stopped("time")
        except (EOFError, OSError):
            found = Stopped("death")
        if isinstance(found, Stopped):
            self.end()
        return found

    def end(self) -> None:
        """End the process, whatever it is doing."""
        if self.child:
            self.child.end()
        self.child = None

    def _give(self, call: Call) -> None:
        self.child = self.child or _Child()
        with suppress(OSError):  # a process that is gone already answers with its end
            self.child.connection.send(call)
        self.deadline = time.monotonic() + call.seconds


class _Child:
    """A process that does one call after the other."""

    def __init__(self) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with _inherited_deafness():
            self._process.start()
        theirs.close()
        with suppress(EOFError):
            self.connection.recv()  # it has started: from here on its time counts

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self._process.close()
        self.connection.close()


@contextmanager
def _inherited_deafness() -> Iterator[None]:
    """Let a process start deaf to interrupts: only the parent is interrupted, and ends it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # it would lift the mask if it started below
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


# ------------------------------------------------------------------------------- in the process


def _serve(connection: Connection[Any, Any]) -> None:
    """Do calls until the parent is gone or has no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_outlive_nobody, daemon=True).start()
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    _fall_silent()
    connection.send(None)
    with suppress(EOFError):
        while True:
            connection.send(_done(connection.recv()))


def _done(call: Call) -> Any:
    _confine(call.room)
    try:
        return call.work(*call.arguments)
    except MemoryError:
        return Stopped("memory")
    except Exception as error:  # noqa: BLE001 - a fault ends its call and no other
        return Stopped("fault", _place(error))


def _place(error: BaseException) -> str:
    """Return class and place of an error: its message may quote a file."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"


def _confine(room: int) -> None:
    """Limit the memory of this process, where the system can."""
    try:
        import resource
    except ImportError:
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_used() + room, hard))


def _used() -> int:
    """Return the bytes of address space that this process has."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    except OSError:
        return USED
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _fall_silent() -> None:
    """Print nothing: what is said here may quote a file."""
    logging.disable()
    silence = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - open as long as the process is
    sys.stdout = sys.stderr = silence


def _outlive_nobody() -> None:
    parent = parent_process()
    if parent:
        parent.join()
        os._exit(1)
