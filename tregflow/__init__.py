"""From a cytometer's FCS files to the Treg percentage of every patient visit."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "read_fcs": "tregflow.io.fcs",
    "Sample": "tregflow.sample",
    "load_template": "tregflow.io.documents",
    "Template": "tregflow.template",
    "gate": "tregflow.gating",
    "Gated": "tregflow.gating",
    "count": "tregflow.populations",
    "simulate": "tregflow.simulation",
    "TregflowError": "tregflow.errors",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: ``--help`` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tregflow' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
