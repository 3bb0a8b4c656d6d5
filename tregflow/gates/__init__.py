"""Gates: shapes that contain events, and methods that place shapes.

A method is one function and one line here. `CUTS` place an edge on one axis; `CLOUDS` place an
outline on two. Fixed shapes need no method: a template writes them as they are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache

from tregflow.gates import clouds, cuts
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
METHODS: Mapping[str, Callable[..., Found]] = {**CUTS, **CLOUDS}


def is_cut(method: str) -> bool:
    """Whether a method places an edge on one axis."""
    return method in CUTS


@cache
def takes_window(method: str) -> bool:
    """Whether a method looks at the window itself."""
    return "within" in inspect.signature(METHODS[method]).parameters
