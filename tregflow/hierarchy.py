"""The parts of a template as values: gates, populations, measures, limits.

Nothing here knows YAML or a file. A population stands below its parent; what it *leans on* is
everything whose members decide its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tregflow.gates.kinds import Model
from tregflow.gates.shapes import Interval, Shape, named

ROOT = "root"
UNSCALED = re.compile(r"(FSC|SSC)(-[AHW])?|Time|Width", re.IGNORECASE)
"""Markers that need no declaration and have no scale unless the template gives them one."""

Keep = Literal["above", "below"]
Role = Literal["primary", "secondary"]
Whose = Literal["sample", "fmo", "reference"]
Across = Literal["sample", "subject", "run"]
REFERENCE = "reference"
"""The control aliquot that is stained in every run."""


@dataclass(frozen=True, slots=True)
class Gate:
    """How a population is cut out of its parent.

    Parameters
    ----------
    method : str
        Name of a method; empty where the shape is written in the template.
    settings : mapping of str to Any
        The method's own settings.
    stored : Shape or None
        The fixed shape, or what a method falls back to; axis units.
    keep : str
        ``above`` or ``below`` a cut.
    within : tuple of float or None
        Window of a cut, axis units.
    of : str
        Population on whose events the gate is placed; empty for the parent.
    least : int
        Fewest events to place it on.
    tube : str
        Whose events: the ``sample``'s own, or those of the run's ``fmo`` or ``reference`` tube.
    across : str
        Whose events are pooled: of the ``sample`` alone, of the ``subject``'s tubes of the run, of the ``run``'s.
    model : str
        Name of the model whose kinds the gate parts; empty for other methods.
    """

    method: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    stored: Shape | None = None
    keep: Keep = "above"
    within: tuple[float, float] | None = None
    of: str = ""
    least: int = 0
    tube: Whose = "sample"
    across: Across = "sample"
    model: str = ""


@dataclass(frozen=True, slots=True)
class Population:
    """A named gate inside a parent.

    Parameters
    ----------
    name, parent : str
        Its own name and that of the population it is cut from, or ``root``.
    markers : tuple of str
        The axes of its gate, in order.
    gate : Gate
        How it is cut out.
    is_reference : bool
        Whether it serves other gates.
    """

    name: str
    parent: str
    markers: tuple[str, ...]
    gate: Gate
    is_reference: bool = False

    @property
    def leans_on(self) -> tuple[str, ...]:
        """The populations, and the root, that its members depend on directly."""
        return tuple(name for name in (self.parent, self.gate.of, *named(self.gate.stored)) if name)

    @property
    def control(self) -> str:
        """The control tube that its gate is placed on, such as ``fmo:FOXP3``; empty for the sample's own."""
        if self.gate.tube == "fmo":
            return f"fmo:{self.markers[0]}"
        return REFERENCE if self.gate.tube == REFERENCE else ""


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of cells in a population: fitted once per file, for every gate that parts them.

    Parameters
    ----------
    name : str
    of : str
        The population.
    markers : tuple of str
        Axes of the model, one to three.
    model : Model
        The kinds.
    least : int
        Fewest events to fit it to.
    """

    name: str
    of: str
    markers: tuple[str, ...]
    model: Model
    least: int = 200


@dataclass(frozen=True, slots=True)
class Bridge:
    """Where the run's reference tube lay when the template was made.

    Parameters
    ----------
    landmarks : mapping of str to mapping of str to tuple of float
        By population, then by marker: the positions of `tregflow.gates.bridge.QUANTILES`, axis units.
    drift : float
        The most that a landmark may move, axis units.
    percent : float
        The reference tube's primary percent then; NaN where it is not written.
    """

    landmarks: Mapping[str, Mapping[str, tuple[float, ...]]]
    drift: float = 0.1
    percent: float = math.nan


@dataclass(frozen=True, slots=True)
class Measure:
    """Events of `count` in per cent of the events of `of`.

    Parameters
    ----------
    name : str
        As the tables call it.
    count, of : str
        Populations; `count` lies below `of`.
    role : str
        ``primary`` or ``secondary``.
    """

    name: str
    count: str
    of: str
    role: Role = "secondary"


@dataclass(frozen=True, slots=True)
class Limit:
    """Events of a population below which a number is refused, or reviewed.

    Parameters
    ----------
    refuse_below, review_below : int
        Events.
    """

    refuse_below: int = 0
    review_below: int = 0


@dataclass(frozen=True, slots=True)
class Scaling:
    """How stored values become scale values where files leave it open.

    Parameters
    ----------
    gain : str or None
        ``apply`` or ``ignore``; None where the template does not say.
    log_on_floats : str
        ``refuse``, ``ignore`` or ``apply``.
    """

    gain: Literal["apply", "ignore"] | None = None
    log_on_floats: Literal["refuse", "ignore", "apply"] = "refuse"


def kept(cut: float, keep: Keep) -> Interval:
    """Return the side of a cut that a population is on."""
    return Interval(low=cut) if keep == "above" else Interval(high=cut)


def path(populations: Iterable[Population], name: str) -> tuple[str, ...]:
    """Return the populations from the root's child down to one; none for the root."""
    parents = {population.name: population.parent for population in populations}
    line: list[str] = []
    while name in parents and name not in line:
        line.append(name)
        name = parents[name]
    return tuple(reversed(line))


def counted(populations: Sequence[Population], measure: Measure) -> frozenset[str]:
    """Return the populations whose size is what a measure measures.

    They lie below its denominator on the way to what it counts. A verdict must not look at how
    many events they hold: it would withhold the numbers of those who respond, or of those who do not.
    """
    return frozenset(path(populations, measure.count)) - frozenset(path(populations, measure.of))


def resting_on(populations: Iterable[Population], name: str) -> frozenset[str]:
    """Return one population and every population whose members depend on it."""
    resting = {name}
    for population in populations:
        if resting.intersection(population.leans_on):
            resting.add(population.name)
    return frozenset(resting)
