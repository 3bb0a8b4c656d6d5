"""Random edits of HEADER and TEXT: every case is read or refused in a sentence, in little time and memory.

``benchmarks/fuzz.py`` does the same many more times.
"""

from __future__ import annotations

import gzip
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from fcs_edits import Case, Good, cases, goods, judged, limited, peak_memory, stored_of
from hypothesis import HealthCheck, Phase, given, seed, settings

from tregflow.errors import FileError
from tregflow.io.fcs import read_fcs

GROUPS, SIZE = 5, 1_000
"""What a run shares among processes: each group is a fair sample of all files and all kinds of edit."""

SILENT = 0.02
"""Share of the cases that may be read with other stored values and without a flag."""

OTHER_WORDS = 0.03
"""Share of the cases that may be read with the same values under other words or scaling, and without a flag."""

SECONDS, MEGABYTES = 2.0, 300.0


@pytest.mark.parametrize("good", goods(), ids=lambda good: good.name)
def test_good_files_are_read_as_they_were_made(tmp_path: Path, good: Good) -> None:
    path = tmp_path / "tube.fcs"
    path.write_bytes(good.raw)
    sample = read_fcs(path, data_set=good.number)
    assert stored_of(sample) == good.stored
    assert sample.names == good.names
    assert [finding for finding in sample.findings if finding.code[0] == "F"] == []


@pytest.mark.parametrize("group", range(GROUPS))
def test_edits_are_read_or_refused_in_a_sentence(
    tmp_path: Path, group: int, record_property: Callable[[str, object], None]
) -> None:
    answers: Counter[str] = Counter()
    unseen: dict[str, list[Case]] = {"silent": [], "other words": []}
    longest = 0.0

    @seed(group)
    @settings(max_examples=SIZE, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(cases())
    def read_or_refused(case: Case) -> None:
        nonlocal longest
        with limited(SECONDS):
            outcome = judged(case, tmp_path / "tube.fcs")
        longest = max(longest, outcome.seconds)
        answers[outcome.answer] += 1
        if outcome.answer in unseen:
            unseen[outcome.answer].append(case)

    with peak_memory() as grown:
        read_or_refused()
    silent, worded = (100 * len(cases) / answers.total() for cases in unseen.values())
    counted = ", ".join(f"{answer} {count}" for answer, count in sorted(answers.items()))
    record_property(
        "figures",
        f"fuzz, group {group}: {answers.total():,} cases, {counted} ({silent:.2f} % silent, {worded:.2f} % other words),"
        f" longest {1000 * longest:.0f} ms, memory +{grown():.0f} MB",
    )
    assert answers.total() >= SIZE
    assert silent <= 100 * SILENT, unseen["silent"]
    assert worded <= 100 * OTHER_WORDS, unseen["other words"]
    assert min(answers[answer] for answer in ("refused", "said", "as before")) > SIZE / 20, answers
    assert longest < SECONDS
    assert not grown() > MEGABYTES


def test_damaged_packing_is_never_read_as_other_events(tmp_path: Path) -> None:
    path, rng, answers = tmp_path / "tube.fcs", random.Random(0), Counter[str]()
    for good in goods():
        packed = gzip.compress(good.raw)
        for _ in range(40):
            path.write_bytes(_damaged(packed, rng))
            try:
                answers["as before"] += stored_of(read_fcs(path, data_set=good.number)) == good.stored
                answers["read"] += 1
            except FileError as problem:
                answers[problem.code] += 1
    assert answers["read"] == answers["as before"] > 10, answers
    assert set(answers) == {"read", "as before", "E-PACKED", "E-NOT-FCS"}, answers


def _damaged(packed: bytes, rng: random.Random) -> bytes:
    """Replace, insert, delete or append some bytes, at the ends as often as in the middle."""
    at = rng.choice((rng.randrange(12), rng.randrange(len(packed)), len(packed) - rng.randrange(1, 12)))
    end, new = at + rng.randrange(3), rng.randbytes(rng.randrange(3))
    return rng.choice((packed[:at] + new + packed[end:], packed[:at], packed + new * 9))
