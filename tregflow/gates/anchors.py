"""Anchors: stored outlines that a reference population carries.

A reference is a population that treatment leaves alone, such as the conventional CD4+ T cells of the
same tube. Where it lies now, beside where it lay when the outline was drawn, says how the detectors
and stains of this tube differ from those days, whatever the cells of interest do.

Three things drift. A gain multiplies all light, a stain's brightness what is bound, an offset is added.
A bright reference (CD127 of conventional T cells) sees gain and stain: the outline is multiplied with
it. A reference in the linear zone about zero (CD25) sees by its middle the offset and next to nothing of
the gain: 0.2 decade of it moves cells at 30 linear units by 0.019 of the axis and bright ones by 0.049.
But the negatives' own noise goes with the gain. So their spread, where the template knows it, stretches
the axis about their middle; and because more spilled light spreads them too, the gain still does not
count as seen, and how far an edge may move is bounded.

Measured by the SD of the log fold error of the CD25 x CD127 gate, with gain and stain of each detector shifted
by 0.2 decade (SD). Five real tubes, diluted to 2, 4, 8 and 16 % Tregs: 0.70 with the fixed outline, 0.09
with the anchored one, 0.04 where nothing had moved. Simulated tubes, whose CD25-negatives are dim: under gain
0.21 fixed, 0.10 when offset alone was followed, 0.02 with the spread; under stain 0.19, 0.05 and 0.02; where
nothing had moved 0.02, which is what following costs. The reference there was the upper half of CD4+ by CD127, without a
cut in CD25: a CD25 quantile of all CD4+ moves with the share of Tregs itself, and what is kept with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt

from tregflow.errors import GateError
from tregflow.gates.density import weighed
from tregflow.gates.method import Doubt, Found, counted
from tregflow.gates.quantiles import quantiles
from tregflow.gates.shapes import OPEN, Interval, Point, Polygon, Rectangle, Shape
from tregflow.sample import Values
from tregflow.transforms import Transform

Positive = Annotated[float, Gt(0)]
Outline = Interval | Rectangle | Polygon
Motion = Callable[[float], float]
"""From where an edge was to where it goes, on one axis."""

FEWEST = 200
"""Events whose median is known to a tenth of their spread."""
ONE_SD = 0.15865525393145707
"""Share of a normal distribution that lies more than one standard deviation below its middle."""
BRIGHT = 0.5
"""Share of the axis's decade that a tenfold light must move a reference by, for it to see a gain."""
STEP = 0.01
"""Decades to either side within which an axis's slope is taken."""
GRID = 1e-9
"""Axis units that make no difference."""

AXES = ("first", "second")


def anchored(
    points: Values,
    weights: Values | None = None,
    near: Shape | None = None,  # noqa: ARG001 - as all methods
    scales: Sequence[Transform] = (),
    *,
    outline: Outline,
    at: tuple[float, ...],
    spread: tuple[Positive | None, ...] | None = None,
    drift: Positive = 0.085,
) -> Found:
    """Keep what lies inside a stored outline that moves with a reference population.

    Parameters
    ----------
    points : ndarray, shape (n_events, n_axes)
        Events of the reference population, axis units of log-like scales.
    weights : ndarray, shape (n_events,), optional
        How often each event counts.
    near : Shape, optional
        Not used.
    scales : sequence of Transform
        The scale of each axis.
    outline : Interval, Rectangle or Polygon
        The outline where the reference lies at `at`, axis units. Sides at or below -0.2 or at or above 1.1
        are open and stay.
    at : tuple of float
        Median of the reference on each axis when the outline was drawn, axis units.
    spread : tuple of float, optional
        How far its 15.87 % quantile lay below that median on each axis, axis units; a normal distribution's
        standard deviation. An axis for which it is given is stretched by it; one without (null) follows the median
        alone: by a factor where the reference is bright, by an offset where it is dim.
    drift : float, default 0.085
        The most that an edge or corner moves along an axis, axis units.

    Returns
    -------
    Found
        The outline, moved. Evidence for each axis, numbered from 0: ``shift_0`` (of the reference, axis units), and
        ``gain_0`` (decades, where the reference is bright) or ``offset_0`` (linear units) and ``stretch_0``
        (decades, with `spread`); ``unseen`` (axes on which the reference is too dim to see a gain), ``events``.
        A doubt where `drift` held an edge back.

    Raises
    ------
    GateError
        If there are fewer than 200 events, they have no spread, an axis is not log-like, or a reference that was
        bright has lost its light.

    Notes
    -----
    With x an edge, m and s the reference's median and spread downwards, all in linear units, then and now: on an axis
    with `spread`, m_now + (x - m_then) s_now / s_then; on one without, x m_now / m_then where the reference is
    bright, x + m_now - m_then where it is dim. It is bright if a tenfold light moves it by at least half of the axis's
    decade. What lies above the median decides nothing: there, cells of interest may be among the reference.
    """
    points, weights, events = weighed(points, weights)
    if events < FEWEST:
        raise GateError(f"{counted(events)}, a reference needs {FEWEST}")
    now, spread_now = lying(points, weights)
    spreads = spread or (None,) * len(at)
    followed = [
        _followed(axis, *known)
        for axis, known in enumerate(zip(scales, at, spreads, now, spread_now, strict=True))
    ]
    bounded = [_Bounded(one, drift) for one in followed]
    evidence = {
        f"{name}_{axis}": figure for axis, one in enumerate(followed) for name, figure in one.evidence.items()
    }
    told = {**evidence, "unseen": sum("gain" not in one.evidence for one in followed), "events": events}
    return Found(moved(outline, bounded), told, tuple(_held(outline, bounded)))


def lying(points: Values, weights: Values | None = None) -> tuple[Point, Point]:
    """Return where a reference lies: what a template stores as `at` and `spread`.

    Parameters
    ----------
    points : ndarray, shape (n_events, n_axes)
        At least one event, axis units.
    weights : ndarray, shape (n_events,), optional
        How often each event counts.

    Returns
    -------
    at : tuple of float
        Median on each axis.
    spread : tuple of float
        How far the 15.87 % quantile lies below it.
    """
    found = [quantiles(column, (ONE_SD, 0.5), weights) for column in points.T]
    return tuple(float(high) for _, high in found), tuple(float(high - low) for low, high in found)


@dataclass(frozen=True, slots=True)
class _Followed:
    """How the linear units of one axis went: ``to + (x - centre) * factor``."""

    scale: Transform
    centre: float
    to: float
    factor: float
    evidence: dict[str, float]

    def __call__(self, edge: float) -> float:
        linear = _linear(self.scale, edge)
        return (
            edge
            + _placed(self.scale, self.to + (linear - self.centre) * self.factor)
            - _placed(self.scale, linear)
        )


def _followed(
    axis: int, scale: Transform, at: float, spread: float | None, now: float, spread_now: float
) -> _Followed:
    """Return how one axis went, by where the reference lay and lies."""
    if not math.isfinite(scale.decade):
        raise GateError(f"the {AXES[axis]} axis is not log-like, so a reference cannot tell gain from offset")
    if spread_now <= 0:
        raise GateError(f"the reference has no spread on the {AXES[axis]} axis")
    centre, to, shift = _linear(scale, at), _linear(scale, now), {"shift": now - at}
    if spread is not None:
        stretch = (to - _linear(scale, now - spread_now)) / (centre - _linear(scale, at - spread))
        return _Followed(
            scale, centre, to, stretch, {**shift, "offset": to - centre, "stretch": math.log10(stretch)}
        )
    if _is_bright(scale, centre):
        if to <= 0:
            raise GateError(
                f"the reference has no light left on the {AXES[axis]} axis: it lies at {now:.2f}, not {at:.2f}"
            )
        return _Followed(scale, 0.0, 0.0, to / centre, {**shift, "gain": math.log10(to / centre)})
    return _Followed(scale, centre, to, 1.0, {**shift, "offset": to - centre})


def _is_bright(scale: Transform, linear: float) -> bool:
    if linear <= 0:
        return False
    rise = _placed(scale, linear * 10**STEP) - _placed(scale, linear * 10**-STEP)
    return rise / (2 * STEP) >= BRIGHT * scale.decade


def _linear(scale: Transform, place: float) -> float:
    return float(scale.inverse(np.array([place]))[0])


def _placed(scale: Transform, linear: float) -> float:
    return float(scale(np.array([linear]))[0])


@dataclass(frozen=True, slots=True)
class _Bounded:
    """A motion that goes no further than it may."""

    motion: _Followed
    drift: float

    def __call__(self, edge: float) -> float:
        return edge + min(max(self.asked(edge), -self.drift), self.drift)

    def asked(self, edge: float) -> float:
        """Return by how much the edge would move, axis units; an open one does not."""
        return self.motion(edge) - edge if is_closed(edge) else 0.0


def _held(outline: Outline, bounded: Sequence[_Bounded]) -> list[Doubt]:
    """Return a doubt for each axis on which the bound was reached."""
    doubts = []
    for axis, (edges, one) in enumerate(zip(_edges(outline), bounded, strict=True)):
        most = max((one.asked(edge) for edge in edges), key=abs, default=0.0)
        if abs(most) >= one.drift - GRID:
            told = (
                f"the reference asks for {most:+.3f} along the {AXES[axis]} axis, the drift is {one.drift:g}"
            )
            doubts.append(Doubt("bound", told))
    return doubts


def _edges(outline: Outline) -> list[Point]:
    """Return every edge, or corner's place, along each axis."""
    if isinstance(outline, Interval):
        return [(outline.low, outline.high)]
    if isinstance(outline, Rectangle):
        return list(zip(outline.low, outline.high, strict=True))
    return list(zip(*outline.vertices, strict=True))


def is_closed(edge: float) -> bool:
    """Whether an edge lies on the axis; beyond, it says that the side is open."""
    return OPEN[0] < edge < OPEN[1]


def moved(outline: Outline, motions: Sequence[Motion]) -> Outline:
    """Return an outline whose edges and corners went along each axis; open sides stay.

    Parameters
    ----------
    outline : Interval, Rectangle or Polygon
        Axis units.
    motions : sequence of callable
        One for each axis.
    """
    if isinstance(outline, Interval):
        (motion,) = motions
        return Interval(_gone(motion, outline.low), _gone(motion, outline.high))
    if isinstance(outline, Rectangle):
        return Rectangle(_all_gone(motions, outline.low), _all_gone(motions, outline.high))
    x_motion, y_motion = motions
    return Polygon(tuple((_gone(x_motion, x), _gone(y_motion, y)) for x, y in outline.vertices))


def _all_gone(motions: Sequence[Motion], point: Point) -> Point:
    return tuple(_gone(motion, edge) for motion, edge in zip(motions, point, strict=True))


def _gone(motion: Motion, edge: float) -> float:
    return motion(edge) if is_closed(edge) else edge
