"""Kinds of trial by name: what can go wrong in a laboratory, as options of `simulate`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tregflow.errors import Finding, InputError, nearest
from tregflow.simulation.settings import Shift

KINDS: Mapping[str, Mapping[str, Any]] = {
    "clean": {},
    "gain": {"drift": 0.2},
    "stain": {"stain_drift": 0.2},
    "offset": {"offset_drift": 80.0},
    "compensation": {"compensation_drift": 0.2},
    "treatment": {"cd25_fold": 2.0, "foxp3_fold": 1.5, "tconv_cd25_fold": 1.5},
    "tails": {"tails": 2.5},
    "few-cells": {"cd4": 500},
    "very-few-cells": {"cd4": 300},
    "dead": {"dead": 0.4},
    "sticky": {"sticky": 0.5},
    "activated": {"activated": 0.10},
    "no-valley": {"foxp3_background": 500.0, "shifts": (Shift("FOXP3", -0.45),)},
    "foxp3-failed": {"failed": ("FOXP3",)},
    "missing-fmo": {"fmo": ("CD25", "CD127")},
    "cd25-shift": {"shifts": (Shift("CD25", 0.4),), "at": "W12"},
    "cd25-gain": {"shifts": (Shift("CD25", 0.4, "gain"),), "at": "W12"},
    "other-dye": {"other_dye": "FOXP3", "at": "W12"},
}
"""Options of `simulate` that each kind sets. They hold at every visit, the last three at ``W12``; give
`at` for another."""


def options_of(kinds: Iterable[str]) -> dict[str, Any]:
    """Return the options of `simulate` that some kinds set together.

    Parameters
    ----------
    kinds : iterable of str
        Names in `KINDS`. The shifts of all of them add up; one `at` holds for all.

    Returns
    -------
    dict of str to object

    Raises
    ------
    InputError
        If a name is no kind, or two kinds set an option to different values.

    Examples
    --------
    >>> options_of(["few-cells", "dead"])
    {'cd4': 500, 'dead': 0.4}
    """
    together: dict[str, Any] = {}
    for kind in dict.fromkeys(kinds):
        if kind not in KINDS:
            hint = nearest(kind, KINDS) or f"; there are {', '.join(KINDS)}"
            sentence = f'"{kind}" is no kind of trial{hint}'
            raise InputError(Finding("E-USAGE", sentence))
        for option, value in KINDS[kind].items():
            together[option] = _both(option, together.get(option, value), value)
    return together


def _both(option: str, one: Any, other: Any) -> Any:
    if option == "shifts":
        return one if one is other else one + other
    if one != other:
        sentence = f"two kinds set {option}, to {one} and to {other}; leave one of them out"
        raise InputError(Finding("E-USAGE", sentence))
    return one


def in_words(options: Mapping[str, Any]) -> str:
    """Return options in a line, such as ``cd4 500, dead 0.4``."""
    return ", ".join(f"{option} {_value(value)}" for option, value in options.items()) or "as without a kind"


def _value(value: Any) -> str:
    return " and ".join(map(str, value)) if isinstance(value, tuple) else str(value)
