"""What tests share: the folder of real files, random examples that are the same each time, figures said at the end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parents[1]

settings.register_profile("stable", derandomize=True, database=None, deadline=None)
settings.load_profile("stable")


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder of real files; without it a test is skipped, and fails where CI runs it."""
    folder = Path(os.environ.get("TREGFLOW_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        _go_without(f"no folder of real files at {folder}; set TREGFLOW_DATA")
    return folder


@pytest.fixture(scope="session")
def oracle() -> Path:
    """Return the Python that has fcsparser 0.2.8; without it a test is skipped, and fails where CI runs it."""
    python = Path(os.environ.get("TREGFLOW_ORACLE", ""))
    if not python.is_file():
        _go_without(
            "no Python with fcsparser 0.2.8; make one of tests/oracle/requirements.txt and set TREGFLOW_ORACLE"
        )
    return python


def _go_without(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_terminal_summary(terminalreporter) -> None:
    """Write the lines that tests recorded as their figures (``record_property("figures", …)``)."""
    reports = [
        report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])
    ]
    said = [
        value
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "figures"
    ]
    if said:
        terminalreporter.section("figures")
    for line in said:
        terminalreporter.write_line(line)
