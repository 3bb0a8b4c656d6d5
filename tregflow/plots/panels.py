"""What a page says, as values: counts per bin, outlines and words, before anything is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from tregflow.checks import Judged, Verdict, judge, placements
from tregflow.errors import Finding
from tregflow.gates.shapes import (
    And,
    Ellipse,
    Everything,
    Interval,
    Members,
    Not,
    Or,
    Point,
    Polygon,
    Rectangle,
    Shape,
    parts,
)
from tregflow.gating import Gated
from tregflow.gating.placing import Placed
from tregflow.hierarchy import ROOT, Population
from tregflow.plots.axes import FEW, Axis, Counts, fitted_axis
from tregflow.plots.signs import (
    Sign,
    Windows,
    edges,
    figures,
    hit,
    leans_on,
    reason,
    sign_of,
    status_words,
    where,
    windows,
)
from tregflow.populations import Count, count
from tregflow.sample import Rows, Values

BINS = {0: 1, 1: 240, 2: 120}
"""Bins along each axis of a panel, by its number of axes."""

FAR = 1e12
"""Stands for an open edge where a line must end somewhere; larger than any axis."""

NO_ROWS: Rows = np.empty(0, np.intp)
NO_SPREADS: Mapping[str, float] = MappingProxyType({})

CALLED_TO: frozenset[Sign] = frozenset({"refused", "fallback", "at bound", "unsettled", "weak", "skipped"})
"""Signs at which someone must look."""

TOLD: frozenset[Sign] = frozenset({"moved", "corrected"})
"""Signs that are worth a line, and no more."""


@dataclass(frozen=True, eq=False)
class Outline:
    """A shape's border, to be drawn.

    Parameters
    ----------
    edges : tuple of float
        On one axis: the finite edges, axis units.
    paths : tuple of ndarray, each of shape (n_corners, 2)
        On two axes: closed lines, axis units.
    """

    edges: tuple[float, ...] = ()
    paths: tuple[Values, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.edges or self.paths)


NOTHING = Outline()


@dataclass(frozen=True, eq=False)
class Panel:
    """One gate: its parent's events, its border, and what is said of it.

    Parameters
    ----------
    population, parent : str
        Whose gate it is, and whose events are shown.
    axes : tuple of Axis
        None, one or two; none where a marker is absent or the gate names no markers.
    raster : ndarray of int, shape (n_bins,) * n_axes
        Events of the parent per bin; its sum is the parent's count.
    placed, stored : Outline
        The gate; and the template's, where another was placed.
    kept : tuple of float
        What an interval keeps, axis units; empty for other shapes.
    windows : tuple of (float, float)
        Where the gate had to stay, axis units: a range of the first axis, or one of each; empty where
        it was free.
    hit : float
        The edge of its window at which a cut stopped; NaN where it did not.
    travel : ndarray of shape (2, n_axes), or None
        From the stored gate to the placed one, axis units; None where it did not move. On two axes a cut
        of the first has NaN on the second.
    lean : ndarray of int, or None
        Events per bin of the population that the gate was placed on, where that is another one of this file.
    spread : float
        Standard deviation of the gate's position, axis units; NaN where it is not known.
    sign : str
        How the gate came about, or what there is to doubt of it.
    percent, count, status_words : str
        Percent of parent, events of events, status with shift.
    figures : str
        How clearly the gate parts its events.
    reason : str
        Why someone should look; empty where nobody need.
    leans_on : str
        On whose events it was placed, where those are not its parent's.
    notes : tuple of str
        What else must be known.
    is_reference : bool
        Whether the population serves other gates.
    """

    population: str
    parent: str
    axes: tuple[Axis, ...]
    raster: Counts
    placed: Outline
    stored: Outline
    kept: tuple[float, ...]
    windows: Windows
    hit: float
    travel: Values | None
    lean: Counts | None
    spread: float
    sign: Sign
    percent: str
    count: str
    status_words: str
    figures: str
    reason: str
    leans_on: str
    notes: tuple[str, ...]
    is_reference: bool


@dataclass(frozen=True, eq=False)
class Backgate:
    """Where the cells of the primary measure lie in a panel on the way to them.

    Parameters
    ----------
    panel : Panel
        The ancestor's panel.
    raster : ndarray of int
        The cells per bin, on the panel's axes.
    """

    panel: Panel
    raster: Counts


@dataclass(frozen=True, slots=True)
class Remark:
    """One gate that is not as quiet as the others, in one line.

    Parameters
    ----------
    sign : str
        What it is shown under.
    population : str
        Whose gate it is.
    status_words : str
        How it came about.
    codes : tuple of str
        Codes of what is said of it.
    sentence : str
        Why it stands here.
    is_aside : bool
        Whether the primary measure does not depend on it.
    """

    sign: Sign
    population: str
    status_words: str
    codes: tuple[str, ...]
    sentence: str
    is_aside: bool


@dataclass(frozen=True, slots=True)
class Header:
    """What stands above the panels.

    Parameters
    ----------
    title, file, template : str
        The sample; its file with its events; the template with its hash.
    measure, percent, count : str
        The primary measure, its percent, and events of events.
    verdict : str
        ``pass``, ``review`` or ``fail``.
    flags : tuple of Finding
        What refuses or flags the number besides its gates.
    notes : tuple of str
        Codes of the notes.
    """

    title: str
    file: str
    template: str
    measure: str
    percent: str
    count: str
    verdict: Verdict
    flags: tuple[Finding, ...]
    notes: tuple[str, ...]


def header(gated: Gated, title: str, file: str = "") -> Header:
    """Return what is said of the sample as a whole.

    Parameters
    ----------
    gated : Gated
        The file.
    title : str
        What the sample is called.
    file : str, optional
        The file's name.

    Returns
    -------
    Header
    """
    judged, template = judge(gated)[0], gated.template
    numbers = judged.percent
    of = f"{_number(numbers.numerator)} {numbers.measure.count} of {_number(numbers.denominator)} {numbers.measure.of}"
    source = " · ".join([*([f"file {file}"] if file else []), f"{len(gated.bound.sample):,} events"])
    about = f"template {template.name} (sha256 {template.hash[:8]})"
    of_gates = frozenset(placements(gated))  # these have lines of their own
    flags = [
        finding
        for answer in ("refuse", "flag")
        for finding in judged.findings
        if finding.answer == answer and finding not in of_gates
    ]
    percent, notes = _headline(judged), _notes(judged)
    return Header(
        title, source, about, numbers.measure.name, percent, of, judged.verdict, tuple(flags), notes
    )


def _headline(judged: Judged) -> str:
    return "no number" if math.isnan(judged.percent.percent) else percent_words(judged.percent.percent)


def _notes(judged: Judged) -> tuple[str, ...]:
    codes = [finding.code for finding in judged.findings if finding.answer == "note"]
    return tuple(dict.fromkeys(codes))


def remarks(gated: Gated) -> tuple[Remark, ...]:
    """Return a line for every gate that someone must look at, then for those that moved or were corrected.

    Parameters
    ----------
    gated : Gated
        The file.

    Returns
    -------
    tuple of Remark
        Each half in the template's order; gates that are not in it are as the template expects them.
    """
    bearing = frozenset(judge(gated)[0].findings)
    return tuple(
        _remark(gated, population, bearing)
        for group in (CALLED_TO, TOLD)
        for population in gated.template.populations
        if sign_of(gated.placed[population.name]) in group
    )


def _remark(gated: Gated, population: Population, bearing: frozenset[Finding]) -> Remark:
    placed, said = gated.placed[population.name], placements(gated, [population.name])
    return Remark(
        sign_of(placed), population.name, status_words(placed),
        codes=tuple(dict.fromkeys(finding.code for finding in said)),
        sentence=reason(population, placed) or where(placed, population.gate.stored),
        is_aside=bool(said) and bearing.isdisjoint(said),
    )  # fmt: skip


def panels(gated: Gated, spreads: Mapping[str, float] = NO_SPREADS) -> tuple[Panel, ...]:
    """Return a panel for every gate.

    Parameters
    ----------
    gated : Gated
        The file.
    spreads : mapping of str to float, optional
        Standard deviation of each gate's position by population, axis units.

    Returns
    -------
    tuple of Panel
        In the template's order.
    """
    counts = {row.population: row for row in count(gated)}
    return tuple(
        panel(gated, population, counts[population.name], spreads.get(population.name, math.nan))
        for population in gated.template.populations
    )


def panel(gated: Gated, population: Population, counted: Count, spread: float = math.nan) -> Panel:
    """Return the panel of one gate.

    Parameters
    ----------
    gated : Gated
        The file.
    population : Population
        Whose gate it is.
    counted : Count
        Its row of the population table, which the panel repeats.
    spread : float, optional
        Standard deviation of the gate's position, axis units.

    Returns
    -------
    Panel
    """
    placed, rows = gated.placed[population.name], gated.members.get(population.parent, NO_ROWS)
    points, cuts = _points(gated, population, rows), _cuts_to_see(population, placed)
    markers = population.markers[: points.shape[1]]
    axes = tuple(fitted_axis(gated.bound, marker, points[:, i], cuts) for i, marker in enumerate(markers))
    shape, stored = placed.shape, population.gate.stored
    return Panel(
        population.name, population.parent, axes, raster(points, axes),
        placed=outline(shape, axes),
        stored=outline(stored, axes) if stored != shape else NOTHING,
        kept=(shape.low, shape.high) if isinstance(shape, Interval) else (),
        windows=windows(population.gate),
        hit=hit(placed, population.gate),
        travel=_travel(placed, stored, axes),
        lean=_lean(gated, population, axes),
        spread=spread,
        sign=sign_of(placed),
        percent=percent_words(counted.percent_of_parent),
        count=f"{_number(counted.count)} of {len(rows):,}",
        status_words=status_words(placed),
        figures=figures(placed),
        reason=reason(population, placed),
        leans_on=leans_on(population, placed),
        notes=(*_explanations(population, placed, axes, len(rows)), *_beyond(points, axes)),
        is_reference=population.is_reference,
    )  # fmt: skip


def backgates(gated: Gated, shown: Sequence[Panel]) -> tuple[Backgate, ...]:
    """Return where the primary measure's cells lie in the panels on the way to them.

    Parameters
    ----------
    gated : Gated
        The file.
    shown : sequence of Panel
        What `panels` returned for it.

    Returns
    -------
    tuple of Backgate
        From the root down; panels without axes are left out.
    """
    name = gated.template.primary.count
    path, rows = gated.template.path(name), gated.members.get(name, NO_ROWS)
    return tuple(
        Backgate(above, raster(_points(gated, gated.template.population(above.population), rows), above.axes))
        for above in shown
        if above.population in path and above.axes
    )


def _lean(gated: Gated, population: Population, axes: Sequence[Axis]) -> Counts | None:
    """Count the events that a gate leans on, where they are other ones of this file."""
    placed = gated.placed[population.name]
    if placed.tube or placed.of in {"", population.parent} or not axes:
        return None
    return raster(_points(gated, population, gated.members.get(placed.of, NO_ROWS)), axes)


def _travel(placed: Placed, stored: Shape | None, axes: Sequence[Axis]) -> Values | None:
    """Return where a gate that moved came from and where it went."""
    if placed.status not in {"moved", "at bound", "corrected"} or not axes:
        return None
    if isinstance(stored, Polygon) and isinstance(placed.shape, Polygon):
        return _carried(np.array(stored.vertices), np.array(placed.shape.vertices), axes)
    return _way(_anchor(stored, axes), _anchor(placed.shape, axes))


def _way(start: Point | None, end: Point | None) -> Values | None:
    return None if start is None or end is None else np.array([start, end])


def _carried(then: Values, now: Values, axes: Sequence[Axis]) -> Values | None:
    """Return the way of the corner that is best in view; None unless all corners went alike.

    Where two outlines differ in form no single way is theirs: both are drawn, and that says it.
    """
    if len(then) != len(now):
        return None
    ways, (low, high) = now - then, np.array([(axis.low, axis.high) for axis in axes]).T
    seen = np.flatnonzero(((then > low) & (then < high) & (now > low) & (now < high)).all(axis=1))
    alike = np.abs(ways - ways.mean(axis=0)).max() <= np.abs(ways.mean(axis=0)).max() / 2
    if not alike or not len(seen):
        return None
    best = min(seen, key=lambda corner: np.abs((then[corner] - low) / (high - low) - 0.5).max())
    return np.array([then[best], now[best]])


def _anchor(shape: Shape | None, axes: Sequence[Axis]) -> Point | None:
    """Return a point that moves as the shape does: the edge of a cut, the middle of an ellipse."""
    if cut := edges(shape):
        return (cut[0], math.nan)[: len(axes)]
    return shape.centre[: len(axes)] if isinstance(shape, Ellipse) else None


def raster(points: Values, axes: Sequence[Axis]) -> Counts:
    """Count events per bin.

    Parameters
    ----------
    points : ndarray, shape (n_events, n_axes)
        Axis units.
    axes : sequence of Axis
        None, one or two.

    Returns
    -------
    ndarray of int, shape (n_bins,) * n_axes
        Sums to the number of events.
    """
    n = BINS[len(axes)]
    flat = np.zeros(len(points), np.intp)
    for place, axis in enumerate(axes):
        flat = flat * n + axis.bins(points[:, place], n)
    return np.bincount(flat, minlength=n ** len(axes)).reshape((n,) * len(axes))


def outline(shape: Shape | None, axes: Sequence[Axis]) -> Outline:
    """Return the border of a shape; of a combination, that of its parts.

    Parameters
    ----------
    shape : Shape or None
        Axis units.
    axes : sequence of Axis
        What it is drawn on.

    Returns
    -------
    Outline
        Empty where there is nothing to draw.
    """
    if shape is None or not axes:
        return NOTHING
    if combined := [outline(part, axes) for part in parts(shape)]:
        return Outline(sum((part.edges for part in combined), ()), sum((part.paths for part in combined), ()))
    return Outline(edges=_edges(shape)) if len(axes) == 1 else Outline(paths=_paths(shape))


def _edges(shape: Shape) -> tuple[float, ...]:
    if not isinstance(shape, Ellipse):
        return edges(shape)
    reach = math.sqrt(shape.distance * shape.covariance[0][0])
    return shape.centre[0] - reach, shape.centre[0] + reach


def _paths(shape: Shape) -> tuple[Values, ...]:
    if isinstance(shape, Polygon):
        return (_closed(np.array(shape.vertices)),)
    if isinstance(shape, Rectangle):
        (left, bottom), (right, top) = (np.clip(corner[:2], -FAR, FAR) for corner in (shape.low, shape.high))
        return (_closed(np.array([(left, bottom), (right, bottom), (right, top), (left, top)])),)
    return (_ring(shape),) if isinstance(shape, Ellipse) else ()


def _ring(ellipse: Ellipse) -> Values:
    """Return the border of an ellipse; of one on more axes, that of its shadow on the first two."""
    angle = np.linspace(0, 2 * np.pi, 121)
    spread = np.linalg.cholesky(ellipse.distance * np.array(ellipse.covariance)[:2, :2])
    ring: Values = np.column_stack([np.cos(angle), np.sin(angle)]) @ spread.T + np.array(ellipse.centre[:2])
    return ring


def _closed(corners: Values) -> Values:
    return np.vstack([corners, corners[:1]])


def described(shape: Shape) -> str:
    """Say in words what a combination combines.

    Parameters
    ----------
    shape : Shape
        Any.

    Returns
    -------
    str

    Examples
    --------
    >>> described(And((Members("CD4"), Not(Members("CD8")))))
    'CD4 and not CD8'
    """
    if isinstance(shape, Members):
        return shape.population
    if isinstance(shape, Not):
        return f"not {_bracketed(shape.part)}"
    if isinstance(shape, (And, Or)):
        return (" and " if isinstance(shape, And) else " or ").join(map(_bracketed, shape.parts))
    return "everything" if isinstance(shape, Everything) else f"this {type(shape).__name__.lower()}"


def _bracketed(shape: Shape) -> str:
    return f"({described(shape)})" if isinstance(shape, (And, Or)) else described(shape)


def percent_words(percent: float) -> str:
    """Return a percent with about three figures.

    Parameters
    ----------
    percent : float
        0 to 100, or NaN.

    Returns
    -------
    str

    Examples
    --------
    >>> [percent_words(percent) for percent in (100, 99.95, 6.406, 0.0123, float("nan"))]
    ['100 %', '99.95 %', '6.41 %', '0.012 %', '– %']
    """
    if math.isnan(percent) or percent in {0, 100}:
        return "– %" if math.isnan(percent) else f"{percent:.0f} %"
    if percent < 0.1:
        return f"{percent:.2g} %"
    return f"{percent:.{1 if 10 <= percent < 99 else 2 if percent >= 1 else 3}f} %"


def _number(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"


def _points(gated: Gated, population: Population, rows: Rows) -> Values:
    """Return events on the axes that can be drawn: the first two, if the file has them all."""
    if any(marker not in gated.bound.channels for marker in population.markers):
        return np.empty((len(rows), 0))
    return gated.bound.view(population.markers[:2], rows).points()


def _cuts_to_see(population: Population, placed: Placed) -> tuple[float, ...]:
    """Return the cuts that an axis must be long enough for."""
    shapes = (placed.shape, population.gate.stored)
    cuts = [edge for shape in shapes if isinstance(shape, Interval) for edge in (shape.low, shape.high)]
    return (*cuts, *(population.gate.within or ()))


def _explanations(population: Population, placed: Placed, axes: Sequence[Axis], events: int) -> list[str]:
    said: list[str] = []
    if placed.shape is not None and (parts(placed.shape) or isinstance(placed.shape, Members)):
        said.append(f"keeps {described(placed.shape)}")
    if len(population.markers) > len(axes) > 0:
        said.append(
            f"on {', '.join(population.markers)}: the first two are shown, with the gate's shadow on them"
        )
    if not events and placed.status != "refused":
        said.append("no events in " + ("the file" if population.parent == ROOT else population.parent))
    return said


def _beyond(points: Values, axes: Sequence[Axis]) -> list[str]:
    shares = [(axis, axis.beyond(points[:, place]) / max(len(points), 1)) for place, axis in enumerate(axes)]
    return [f"{100 * share:.1f} % lie beyond the {axis.marker} axis, drawn at its end"
            for axis, share in shares if share > FEW]  # fmt: skip
