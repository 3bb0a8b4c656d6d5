"""Gates: shapes that contain events, and methods that place shapes.

A method is one function and one line here. `CUTS` place an edge on one axis; `CLOUDS` place an
outline on two; `CARRIED` move a stored outline with a reference. Fixed shapes need no method: a
template writes them as they are. A `mixture` looks at no events of its own: it parts the kinds that a
model of the template found.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache

from tregflow.gates import anchors, clouds, cuts
from tregflow.gates.method import Found

CUTS: Mapping[str, Callable[..., Found]] = {
    "valley": cuts.valley,
    "tail": cuts.tail,
    "quantile": cuts.quantile,
}
CLOUDS: Mapping[str, Callable[..., Found]] = {
    "debris_cut": clouds.debris_cut,
    "singlet_band": clouds.singlet_band,
    "cluster": clouds.cluster,
}
CARRIED: Mapping[str, Callable[..., Found]] = {
    "anchored": anchors.anchored,
}
METHODS: Mapping[str, Callable[..., Found]] = {**CUTS, **CLOUDS, **CARRIED}


def is_cut(method: str) -> bool:
    """Whether a method places an edge on one axis."""
    return method in CUTS


@cache
def takes(method: str, setting: str) -> bool:
    """Whether a method is told something: the window, or the scales of its axes."""
    return setting in inspect.signature(METHODS[method]).parameters
