"""Samples and templates made in memory, with known truth."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tregflow.gating import Gated, gate
from tregflow.sample import Channel, Sample, Spillover
from tregflow.template import Template

Words = dict[str, Any]

LOGICLE: Words = {"logicle": {"T": 262144.0, "W": 0.5, "M": 4.5, "A": 0.0}}
PLAIN: Words = {"linear": {"T": 1.0}}
"""A scale on which axis units are the file's own: edges can be read off."""


def sample(
    columns: Mapping[str, Any],
    stains: Mapping[str, str] | None = None,
    *,
    spillover: Spillover | None = None,
    **said: Mapping[str, Any],
) -> Sample:
    """Return a file with these columns by ``$PnN``; `said` sets fields of its channels by name.

    Scatter has the range 0 to 1000, everything else 0 to 1.
    """
    stains = stains or {}
    fields = [{field: values[name] for field, values in said.items() if name in values} for name in columns]
    channels = tuple(
        Channel(
            name, stains.get(name, ""), **{"range": 1000.0 if name.startswith(("FSC", "SSC")) else 1.0, **own}
        )
        for name, own in zip(columns, fields, strict=True)
    )
    records = np.column_stack([np.asarray(column, dtype=np.float64) for column in columns.values()])
    return Sample("made.fcs", channels, records, spillover=spillover)


def named(names: Sequence[str], stains: Sequence[str] = (), **said: Any) -> Sample:
    """Return a file of three events whose channels have these names and stains; names may repeat."""
    words = [*stains, *[""] * (len(names) - len(stains))]
    channels = tuple(Channel(name, stain, range=1000.0) for name, stain in zip(names, words, strict=True))
    return Sample("made.fcs", channels, np.ones((3, len(names))), **said)


def words(*populations: Words, **changes: Any) -> Words:
    """Return a template of these populations on scales whose units are the file's own.

    The primary measure is the last population in per cent of the root, without limits.
    """
    rows = [
        population if "name" in population else {"name": f"P{n}", **population}
        for n, population in enumerate(populations)
    ]
    used = [marker for row in rows for marker in row.get("markers", [])]
    return {
        "template": 1,
        "name": "made",
        "markers": {marker: {} for marker in used if not marker.startswith("FSC")},
        "compensation": "none",
        "scales": {"fluorescence": copy.deepcopy(PLAIN)},
        "populations": rows,
        "report": {"primary": {"name": "share", "count": rows[-1]["name"], "of": "root"}},
        "limits": {"root": {"refuse_below": 0, "review_below": 0}},
        **changes,
    }


def row(name: str, parent: str, markers: Sequence[str], gate: Words, **said: Any) -> Words:
    """Return one population as a template writes it."""
    return {"name": name, "parent": parent, "markers": list(markers), "gate": gate, **said}


def above(edge: float) -> Words:
    """Return an interval open above."""
    return {"interval": {"low": edge}}


def template(*populations: Words, **changes: Any) -> Template:
    """Return the template of `words`."""
    return Template.from_mapping(words(*populations, **changes))


def gated(stored: Template, file: Sample, **more: Any) -> Gated:
    """Bind a file and gate it."""
    return gate(stored.bind(file), stored, **more)


def two_peaks(
    low: float = 0.2, high: float = 0.8, events: int = 2000, spread: float = 0.03, seed: int = 1
) -> np.ndarray:
    """Return as many events around each of two places."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(low, spread, events), rng.normal(high, spread, events)])
