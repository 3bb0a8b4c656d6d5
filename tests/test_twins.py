"""Files with the same events are told of each other, and no two others are."""

from __future__ import annotations

from pathlib import Path

import pytest
import studies
from studies import SAMPLES

from tregflow.twins import twins


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return studies.study(tmp_path_factory.mktemp("study"))


def file_of(folder: Path, sample: str) -> Path:
    return folder / "fcs" / f"{sample}.fcs"


def test_300_copies_are_compared_in_no_time(folder):
    names = [f"S{number}" for number in range(300)]
    found = twins(dict.fromkeys(names, "same"), dict.fromkeys(names, (file_of(folder, "S01_W00"), None)))
    assert set(found) == set(names)
    assert found["S7"].sentence == (
        "holds the same events as S0 (S01_W00.fcs) and S1 (S01_W00.fcs) and S10 (S01_W00.fcs) and 296 more; "
        "all but one are wrong copies: export them again, or take their rows out of the sheet"
    )


def test_files_alike_at_a_glance_are_compared_whole(folder):
    places = {sample: (file_of(folder, sample), None) for sample in SAMPLES[:2]}
    assert twins(dict.fromkeys(places, "same"), places) == {}


def test_a_file_that_is_gone_by_now_is_nobodys_twin(folder):
    places = {"A": (folder / "gone.fcs", None), "B": (file_of(folder, "S01_W00"), None)}
    assert twins(dict.fromkeys(places, "same"), places) == {}
