"""Rows of a sheet that lead to the same events, known by the SHA-256 of DATA."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from tregflow.errors import Finding
from tregflow.sample import Sample

NAMED = 3
"""Twins that one sentence names."""


def data_sha256(sample: Sample) -> str:
    """Return the SHA-256 of the events as they are stored, hexadecimal.

    Keywords, the file's name and its packing leave no trace in it; bytes of DATA behind the last whole
    event do not count.
    """
    stored = np.ascontiguousarray(sample.records).reshape(-1).view(np.uint8)
    return hashlib.sha256(stored.data).hexdigest()


def twins(hashes: Mapping[str, str], files: Mapping[str, str]) -> dict[str, Finding]:
    """Refuse the samples that hold the same events as another.

    Parameters
    ----------
    hashes : mapping of str to str
        `data_sha256` by sample, of those that hold events at all.
    files : mapping of str to str
        The name of each sample's file.

    Returns
    -------
    dict of str to Finding
        ``E-TWICE`` with the names of the others, by sample.
    """
    groups: dict[str, list[str]] = {}
    for sample, digest in sorted(hashes.items()):
        groups.setdefault(digest, []).append(sample)
    return {
        sample: _told([other for other in group if other != sample], files)
        for group in groups.values()
        if len(group) > 1
        for sample in group
    }


def _told(others: Sequence[str], files: Mapping[str, str]) -> Finding:
    named = " and ".join(f"{name} ({files[name]})" for name in others[:NAMED])
    more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
    hint = (
        "one of the two is a wrong copy: export it again, or take its row out of the sheet"
        if len(others) == 1
        else "all but one are wrong copies: export them again, or take their rows out of the sheet"
    )
    return Finding("E-TWICE", f"holds the same events as {named}{more}; {hint}")
