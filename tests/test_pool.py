"""Workers may die: only the file that kills them suffers, and nothing is left behind."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import pytest
import studies
from studies import SAMPLES, WAIT, started, until

from tregflow.pool import run

PROCESSES = Path("/proc")


def ends(folder: Path, out: Path, work, workers: int = 1) -> dict:
    jobs = studies.request(folder, out).jobs()
    return {ended.outcome.sample: ended for ended in run(jobs, workers, work)}


def children(pid: int) -> list[str]:
    return (PROCESSES / f"{pid}/task/{pid}/children").read_text().split()


def is_alive(pid: str) -> bool:
    try:
        return (PROCESSES / pid / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def workers_of(folder: Path) -> list[str]:
    return [path.name for path in (folder / "pids").iterdir()]


class TestDeath:
    def test_a_file_that_kills_its_worker_twice_is_refused_and_no_other_suffers(self, tmp_path):
        folder = studies.study(tmp_path)
        ended = ends(folder, tmp_path / "out", partial(studies.dying, "S01_W12"), workers=2)
        codes = {sample: [finding.code for finding in one.outcome.findings] for sample, one in ended.items()}
        assert set(codes) == set(SAMPLES)
        assert codes["S01_W12"] == ["E-WORKER"]
        assert ended["S01_W12"].outcome.state == "refused"
        assert "died twice, the second time alone with it" in ended["S01_W12"].outcome.findings[0].sentence
        assert studies.outcomes(tmp_path / "out") == set(SAMPLES) - {"S01_W12"}

    def test_a_worker_that_dies_once_costs_a_note(self, tmp_path):
        folder = studies.study(tmp_path)
        calm = {
            sample: one.outcome for sample, one in ends(folder, tmp_path / "calm", studies.gate_file).items()
        }
        work = partial(studies.dying_once, "S02_W00", tmp_path / "flag")
        ended = ends(folder, tmp_path / "out", work)
        for sample, one in ended.items():
            noted = [finding.code for finding in one.outcome.findings if finding.code == "N-RETRIED"]
            assert len(noted) == (sample == "S02_W00")
            assert one.outcome.measures == calm[sample].measures
            assert one.outcome.populations == calm[sample].populations
        kept = (tmp_path / "out" / "outcomes" / "S02_W00.json").read_bytes()
        assert kept == ended["S02_W00"].outcome.to_bytes()

    def test_a_file_that_was_done_when_its_worker_died_is_not_gated_again(self, tmp_path):
        folder = studies.study(tmp_path)
        work = partial(studies.dying_late, "S01_W00", tmp_path / "flag")
        ended = ends(folder, tmp_path / "out", work)
        assert set(ended) == set(SAMPLES)
        assert ended["S01_W00"].kept

    def test_a_refusal_that_does_not_last_never_replaces_an_outcome(self, tmp_path):
        folder, out = studies.study(tmp_path), tmp_path / "out"
        studies.gated(folder, out)
        before = (out / "outcomes" / "S01_W00.json").read_bytes()
        studies.rewritten(folder / "fcs/S01_W00.fcs", folder / "fcs/S01_W00.fcs", events=3_000)
        jobs = [studies.job(folder, out)]
        (ended,) = run(jobs, 1, partial(studies.dying_once, "S01_W00", tmp_path / "flag"))
        assert [finding.code for finding in ended.outcome.findings] == ["E-CHANGED", "N-RETRIED"]
        assert (out / "outcomes" / "S01_W00.json").read_bytes() == before


class TestEnd:
    def test_an_interrupt_ends_with_130_and_keeps_what_is_done(self, tmp_path):
        folder, out = studies.study(tmp_path), tmp_path / "tregflow_results"
        with started(folder, seconds=0.7) as process:
            until(lambda: studies.outcomes(out))
            os.killpg(process.pid, signal.SIGINT)
            said, err = process.communicate(timeout=WAIT)
        assert process.returncode == 130
        assert err == "interrupted; run the same command again: files that gate has finished are kept\n"
        assert said.startswith("samples.csv, 4 rows; ")
        assert said.count("\n") == 1
        assert 1 <= len(studies.outcomes(out)) < 4
        assert not (out / "run.json").exists()
        assert not any(map(is_alive, workers_of(folder)))

    @pytest.mark.skipif(not PROCESSES.exists(), reason="no list of processes here")
    def test_an_interrupt_while_workers_start_ends_quietly_too(self, tmp_path):
        folder = studies.study(tmp_path)
        with started(folder) as process:
            until(
                lambda: len(children(process.pid)) == 2
            )  # the tracker of semaphores, and a worker that imports
            os.killpg(process.pid, signal.SIGINT)
            _, err = process.communicate(timeout=WAIT)
        assert process.returncode == 130
        assert err == "interrupted; run the same command again: files that gate has finished are kept\n"

    def test_workers_end_when_their_parent_is_killed(self, tmp_path):
        folder = studies.study(tmp_path)
        with started(folder) as process:
            until(lambda: workers_of(folder))
            process.kill()
            process.wait(WAIT)
            until(lambda: not any(map(is_alive, workers_of(folder))), 10)

    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_consumer_that_stops_ends_the_workers(self, tmp_path, workers):
        folder = studies.study(tmp_path)
        (tmp_path / "pids").mkdir()
        running = run(studies.request(folder, tmp_path / "out").jobs(), workers,
                      partial(studies.slow, 0.0 if workers == 1 else 0.1, str(tmp_path / "pids")))  # fmt: skip
        next(running)
        running.close()
        assert not any(map(is_alive, workers_of(folder)))
