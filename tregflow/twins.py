"""Rows of a sheet that lead to the same events: suspected by a fingerprint, settled by every byte."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tregflow.errors import FileError, Finding
from tregflow.io.fcs import read_fcs
from tregflow.outcome import storable
from tregflow.sample import Sample

PRINTED = 65_536
"""Bytes at the beginning, middle and end of DATA that its fingerprint is made of."""

NAMED = 3
"""Twins that one sentence names."""

Place = tuple[Path, int | None]
"""A file and which of its data sets."""


def fingerprint(sample: Sample) -> str:
    """Return a fingerprint of DATA: its size and three stretches of it."""
    raw = sample.records.reshape(-1).view(np.uint8) if len(sample) else np.empty(0, np.uint8)
    middle = max(0, len(raw) // 2 - PRINTED // 2)
    digest = hashlib.sha256(f"{len(raw)}".encode())
    for start in (0, middle, max(0, len(raw) - PRINTED)):
        digest.update(raw[start : start + PRINTED].tobytes())
    return digest.hexdigest()[:32]


def twins(prints: Mapping[str, str], places: Mapping[str, Place]) -> dict[str, Finding]:
    """Refuse the samples that hold the same events as another.

    Parameters
    ----------
    prints : mapping of str to str
        Fingerprint of each sample's events; files with different ones are not compared.
    places : mapping of str to (Path, int or None)
        File and data set of each sample.

    Returns
    -------
    dict of str to Finding
        ``E-TWICE`` with the names of the others, by sample.
    """
    groups = [
        same
        for alike in _grouped(prints)
        for same in _grouped({name: _events(*places[name]) for name in alike})
    ]
    return {
        name: _told([other for other in group if other != name], places) for group in groups for name in group
    }


def _told(others: Sequence[str], places: Mapping[str, Place]) -> Finding:
    named = " and ".join(f"{name} ({storable(places[name][0].name)})" for name in others[:NAMED])
    more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
    hint = (
        "one of the two is a wrong copy: export it again, or take its row out of the sheet"
        if len(others) == 1
        else "all but one are wrong copies: export them again, or take their rows out of the sheet"
    )
    return Finding("E-TWICE", f"holds the same events as {named}{more}; {hint}")


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
