"""Calls that do not keep to their limits end; nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import doubles
import pytest
from studies import until

from tregflow.io.confined import Call, Stopped, run

ROOM = 2**30
PROCESSES = Path("/proc")


def call(work, *arguments, seconds: float = 60, room: int = ROOM) -> Call:
    return Call(work, arguments, seconds, room)


def plan(*calls: Call):
    """Return every answer."""
    answers = ()
    for one in calls:
        answers += ((yield one),)
    return answers


def test_a_plan_is_sent_its_answers_and_plans_do_not_mix():
    plans = [plan(*(call(doubles.answered, f"{number}{letter}") for letter in "abc")) for number in range(5)]
    found = list(run(plans, 2))
    assert sorted(found) == [tuple(f"{number}{letter}" for letter in "abc") for number in range(5)]


def test_nothing_to_do_is_nothing():
    assert list(run([], 2)) == []


@pytest.mark.parametrize(
    ("doomed", "why"),
    [
        (call(doubles.slow, 600, seconds=0.3), "time"),
        (call(doubles.greedy, 2 * ROOM), "memory"),
        (call(doubles.deadly), "death"),
        (call(doubles.faulty), "fault"),
    ],
)
def test_a_call_beyond_its_limits_is_stopped_and_the_plan_goes_on(doomed, why):
    if why == "memory" and sys.platform != "linux":
        pytest.skip("only Linux counts the memory that is asked for")
    calm, (first, second, third) = run(
        [plan(call(doubles.answered, "calm")), plan(doomed, call(doubles.answered, "next"), doomed)], 1
    )
    assert calm == ("calm",)
    assert (first.why, second, third.why) == (why, "next", why)


def test_a_fault_tells_its_place_and_no_more():
    ((stopped,),) = run([plan(call(doubles.faulty))], 1)
    assert isinstance(stopped, Stopped)
    assert stopped.told.startswith("KeyError in doubles.py, line ")
    assert doubles.NAME not in stopped.told


def test_memory_is_counted_from_call_to_call():
    """A process that has served many calls is given as much as a new one."""
    ((*answers,),) = run([plan(*[call(doubles.greedy, ROOM // 2)] * 6)], 1)
    assert answers == [ROOM // 16] * 6


def test_one_process_serves_many_calls():
    ((first, second),) = run([plan(call(doubles.process), call(doubles.process))], 1)
    assert first == second != os.getpid()


def test_plans_run_side_by_side():
    started = time.monotonic()
    list(run([plan(call(doubles.slow, 2)) for _ in range(4)], 4))
    assert time.monotonic() - started < 4 * 2


def test_nothing_is_printed(capfd):
    assert list(run([plan(call(doubles.quiet))], 1)) == [("quiet",)]
    assert capfd.readouterr() == ("", "")


def test_a_consumer_that_stops_ends_the_processes():
    with closing(run([plan(call(doubles.process)), plan(call(doubles.slow, 600))], 2)) as running:
        (pid,) = next(running)
        assert _is_alive(pid)
    assert not _is_alive(pid)


@pytest.mark.skipif(not PROCESSES.exists(), reason="no list of processes here")
def test_processes_end_when_their_parent_is_killed(tmp_path):
    note = tmp_path / "pid"
    env = {**os.environ, "PYTHONPATH": str(Path(doubles.__file__).parent)}
    with subprocess.Popen([sys.executable, "-m", "doubles", str(note)], env=env) as parent:
        until(note.exists)
        parent.kill()
    until(lambda: not _runs(note.read_text()), 10)


def _runs(pid: str) -> bool:
    try:
        return (PROCESSES / pid / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
