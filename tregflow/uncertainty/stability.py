"""How steadily each gate stands: what its place owes to chance.

A file is a sample of the cells that were there. It is drawn anew many times, with replacement (the
bootstrap: an event counts in a draw as often as it came, about Poisson with mean 1), and every gate
is placed again, from the root down, on what its parents keep in that draw. The scatter of its edges over
the draws is what another tube of the same cells would have moved them. It says nothing of drift, of
staining or of the choice of gates, and a stored gate has none of it.

Control tubes and companions that a gate was placed on are drawn anew likewise. The bridge to the run's
reference tube is held.

Large files are drawn in part (m out of n; Bickel, Götze and van Zwet 1997): so many events as leave
`DRAWN` of the smallest population that a gate was placed on. Each then counts for all that it stands
for, and the scatter is taken back to that of the whole file, by the root of the share drawn. Reported
counts are always those of all events.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tregflow.gates.method import Doubt
from tregflow.gates.shapes import OPEN, Ellipse, Polygon, Shape, bounds, named
from tregflow.gating import Gated
from tregflow.gating.placing import Others, Placed, Walk
from tregflow.gating.walking import walked
from tregflow.sample import Rows, Values
from tregflow.template import ROOT, Measure, Population, Template
from tregflow.uncertainty.shelf import Shelf, of_walk, shelved
from tregflow.uncertainty.shifts import Scenario, Step, moved, perturbed
from tregflow.view import Mask

DRAWN = 2500
"""Events, of the smallest population that a gate was placed on, that a draw leaves."""

WHOLE = 20_000
"""Events up to which a file is drawn whole."""

UNSTEADY = 0.1
"""Share of draws without an answer, or with one at a bound, from which on a gate that was found is doubted: it
hangs on a few events whether there is one, and with the next tube there may be none."""

SEEN = 20_000
"""Events of a population that are looked at to say where its middle is, and which share lies near a border. They
come first on the shelf, whose order is random: a share of 1 % is told to 0.07 %."""


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How one gate stood over the draws.

    Parameters
    ----------
    spread : float
        Standard deviation of its position, axis units: of the edge, or the centre of an ellipse, that scatters
        most by the length of its axis. 0 for a gate that is not placed on events; NaN where there is no gate.
    spread_decades : float
        The same in decades; NaN on an axis that is not log-like.
    along : str
        The marker whose axis that edge lies on.
    near : float
        Share of the parent's events, 0 to 1, that change sides when the gate moves by one spread.
    draws : int
        Draws in which the gate was placed anew.
    fallen : int
        Of these, with no answer: it fell back, or was refused.
    bound : int
        Of these, stopped at a bound.
    """

    spread: float = 0.0
    spread_decades: float = math.nan
    along: str = ""
    near: float = 0.0
    draws: int = 0
    fallen: int = 0
    bound: int = 0


NOWHERE = Steadiness(math.nan, near=math.nan)
"""Of a gate that was skipped or refused."""


@dataclass(frozen=True, slots=True)
class Stability:
    """How steadily the gates of a file stand, and what its percents owe to it.

    Parameters
    ----------
    draws : int
        How often the file was drawn; 0 where that was not asked for, or no gate is placed on events.
    share : float
        Share of the events that a draw stands for, 0 to 1.
    gates : mapping of str to Steadiness
        By population.
    measures : mapping of str to float
        Standard deviation of the percent over the draws, by measure, as far as gates cause it; NaN where
        there is no number. Counting is not in it: the interval beside the percent says what that does.
    """

    draws: int
    share: float = 1.0
    gates: Mapping[str, Steadiness] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What the numbers of a file owe to its gates.

    Parameters
    ----------
    gated : Gated
        The file; gates that do not stand steadily are doubted.
    stability : Stability
        From drawing it anew.
    scenarios : tuple of Scenario
        From shifting its gates.
    """

    gated: Gated
    stability: Stability
    scenarios: tuple[Scenario, ...]


def uncertainty(gated: Gated, draws: int | None = None) -> Uncertainty:
    """Draw a gated file anew and shift its gates.

    Parameters
    ----------
    gated : Gated
        What `gate` returned.
    draws : int, optional
        How often; as the template says where it is not given. 0 only shifts.

    Returns
    -------
    Uncertainty
    """
    shelf = shelved(gated)
    sure = stability(gated, gated.template.draws if draws is None else draws, shelf)
    return Uncertainty(doubted(gated, sure), sure, perturbed(gated, shelf))


def stability(gated: Gated, draws: int, shelf: Shelf | None = None) -> Stability:
    """Draw a gated file anew and place its gates again each time.

    Parameters
    ----------
    gated : Gated
        What `gate` returned.
    draws : int
        How often.
    shelf : Shelf, optional
        The same file on the shelf, where somebody has put it there.

    Returns
    -------
    Stability

    Notes
    -----
    The part of a percent that gates cause is, in each draw, the percent in the gates placed on that draw less
    the percent of the same drawn events in the gates of the file: what counting does to both cancels. What
    is left of it, the events that changed sides and count at random, is Poisson and taken off the variance.
    That is the scatter of the percent of the undrawn file in the gates of the draws, without counting every
    event in every draw.
    """
    gates = {name: _at_rest(placed) for name, placed in gated.placed.items()}
    drawn = {name for name in gated.placed if _is_drawn(name, gated)} if draws else set[str]()
    if not drawn:
        numbers = {one.name: _unmoved(one, gated) for one in gated.template.measures} if draws else {}
        return Stability(0, 1.0, gates if draws else {}, numbers)
    shelf, share = shelf or shelved(gated), _share(gated)
    seen = [_seen(gated, was, walk, share) for was, walk in _walks(gated, shelf, share, draws)]
    gates |= {
        name: _steadiness(name, gated, shelf, [one.placed[name] for one in seen], share) for name in drawn
    }
    measures = {one.name: _scatter([draw.moves[one.name] for draw in seen], share)
                for one in gated.template.measures}  # fmt: skip
    return Stability(draws, share, gates, measures)


def doubted(gated: Gated, sure: Stability) -> Gated:
    """Return a file whose gates are doubted where they do not stand steadily.

    Parameters
    ----------
    gated : Gated
        The file.
    sure : Stability
        From drawing it anew.

    Returns
    -------
    Gated
    """
    placed = {
        name: _doubted(one, sure.gates.get(name, NOWHERE), is_whole=sure.share == 1)
        for name, one in gated.placed.items()
    }
    return replace(gated, placed=placed)


def _doubted(placed: Placed, steady: Steadiness, *, is_whole: bool) -> Placed:
    """Return a gate with a doubt where it often has no answer; a part of the file may not see what the file shows."""
    often = steady.fallen + steady.bound > UNSTEADY * steady.draws
    if not (is_whole and often and placed.status in ("found", "moved")):
        return placed
    seen = f"had no answer in {steady.fallen} and stopped at a bound in {steady.bound} of {steady.draws} draws of its events"
    return replace(placed, doubts=(*placed.doubts, Doubt("unsettled", f"{seen}; look whether it lies well")))


def _at_rest(placed: Placed) -> Steadiness:
    is_there = placed.shape is not None and placed.status != "skipped"
    return Steadiness() if is_there else NOWHERE


def _is_drawn(name: str, gated: Gated) -> bool:
    """Whether a gate is placed on events, or would be in a file that gave an answer."""
    status = gated.placed[name].status
    has_method = bool(gated.template.population(name).gate.method)
    return has_method and status in ("found", "moved", "at bound", "fallback")


def _unmoved(measure: Measure, gated: Gated) -> float:
    return 0.0 if {measure.count, measure.of} <= gated.members.keys() else math.nan


# -------------------------------------------------------------------------------------------- draws

Inside = Mapping[str, Mask]
"""Which of the drawn events a population holds, by name."""


def _share(gated: Gated) -> float:
    """Return the share of the events to be drawn, 0 to 1."""
    placed_on = [placed.n_of for placed in gated.placed.values() if placed.n_of]
    events = len(gated.members[ROOT])
    return 1.0 if events <= WHOLE else min(1.0, DRAWN / max(1, min(placed_on, default=events)))


def _walks(gated: Gated, shelf: Shelf, share: float, draws: int) -> Iterator[tuple[Inside, Walk]]:
    """Yield the file gated on each draw, and which of the drawn events its populations held before."""
    template, rng, others = _freed(gated), np.random.default_rng(shelf.seed), _laid(gated)
    measured = {name for one in template.measures for name in (one.count, one.of)}
    for _ in range(draws):
        places, weights = _drawn(shelf.events, share, rng)
        drawn = Walk(shelf.drawn(places), {ROOT: np.arange(len(places))}, weights=weights,
                     before=gated.placed, starts=gated.fitted)  # fmt: skip
        was = {name: shelf.inside[name].take(places) for name in measured & shelf.members.keys()}
        yield was, walked(drawn, template, others.drawn(share), beside=False)


def _drawn(events: int, share: float, rng: np.random.Generator) -> tuple[Rows, Values]:
    """Return the events of a draw, a share of all with replacement, and what each counts: all count as the file."""
    if not events:
        return np.empty(0, np.intp), np.empty(0)
    wanted = max(1, round(share * events))
    places, times = np.unique(rng.integers(0, events, wanted, np.intp), return_counts=True)
    return places, times.astype(np.float64) * (events / wanted)


def _freed(gated: Gated) -> Template:
    """Return the template without least numbers of events where the file has them: a draw holds fewer."""
    populations = tuple(
        replace(one, gate=replace(one.gate, least=0)) if gated.placed[one.name].n_of else one
        for one in gated.template.populations
    )
    models = tuple(
        replace(one, least=0) if not isinstance(gated.fitted.get(one.name, ""), str) else one
        for one in gated.template.models
    )
    return replace(gated.template, populations=populations, models=models)


@dataclass(frozen=True, eq=False)
class _Tube:
    """Another tube, on the shelf, that gates are placed on."""

    shelf: Shelf
    rng: np.random.Generator

    def drawn(self, share: float) -> Walk:
        """Return a draw of the tube: the populations that are asked for, as they were gated."""
        places, weights = _drawn(self.shelf.events, share, self.rng)
        members = {name: np.flatnonzero(mask.take(places)) for name, mask in self.shelf.inside.items()}
        return Walk(self.shelf.drawn(places), members, weights=weights)


@dataclass(frozen=True, eq=False)
class _Laid:
    """What gates may look at besides their own tube, to be drawn."""

    others: Others
    controls: Mapping[str, _Tube]
    companions: Mapping[str, _Tube]

    def drawn(self, share: float) -> Others:
        """Return a draw of every tube that a gate is placed on; the rest as they are."""
        controls = {name: tube.drawn(share) for name, tube in self.controls.items()}
        companions = {name: tube.drawn(share) for name, tube in self.companions.items()}
        return replace(self.others, controls={**self.others.controls, **controls},
                       companions={**self.others.companions, **companions})  # fmt: skip


def _laid(gated: Gated) -> _Laid:
    """Lay the tubes on the shelf that gates are placed on beside the file's own."""
    gates, others = gated.template.populations, gated.others
    controls = {name: _tube(walk, [one for one in gates if one.control == name])
                for name, walk in others.controls.items() if any(one.control == name for one in gates)}  # fmt: skip
    pooled = [one for one in gates if one.gate.across != "sample"]
    companions = {name: _tube(walk, pooled) for name, walk in others.companions.items()} if pooled else {}
    return _Laid(others, controls, companions)


def _tube(walk: Walk, gates: Sequence[Population]) -> _Tube:
    asked = {one.gate.of or one.parent for one in gates}
    top = min(asked) if len(asked) == 1 and asked <= walk.members.keys() else ROOT
    shelf = of_walk(walk, top, asked, {marker for one in gates for marker in one.markers})
    return _Tube(shelf, np.random.default_rng(shelf.seed))


# ---------------------------------------------------------------------------------- what they show


@dataclass(frozen=True, slots=True)
class _Draw:
    """What is kept of a draw.

    Parameters
    ----------
    placed : mapping of str to Placed
        Its gates.
    moves : mapping of str to (float, float)
        By measure: the percent in its gates less that in the file's, per cent, and the variance that counting
        adds to that.
    """

    placed: Mapping[str, Placed]
    moves: Mapping[str, tuple[float, float]]


def _seen(gated: Gated, was: Inside, walk: Walk, share: float) -> _Draw:
    assert walk.weights is not None
    parted = {name: _parted(mask, walk.members[name], walk.weights)
              for name, mask in was.items() if name in walk.members}  # fmt: skip
    moves = {one.name: _move(one, parted, walk.weights, share) for one in gated.template.measures}
    return _Draw(walk.placed, moves)


@dataclass(frozen=True, eq=False)
class _Parted:
    """A population of a draw in the gates of the file and in those of the draw.

    Parameters
    ----------
    before, now : float
        What its events count, in either.
    change : ndarray, shape (n_drawn,)
        Which of the drawn events came (1) and went (-1).
    """

    before: float
    now: float
    change: Values


def _parted(was: Mask, members: Rows, weights: Values) -> _Parted:
    change = np.zeros(len(was))
    change[members] = 1.0
    change -= was
    before = float(weights.compress(was).sum())
    return _Parted(before, before + float(weights @ change), change)


def _move(
    measure: Measure, parted: Mapping[str, _Parted], weights: Values, share: float
) -> tuple[float, float]:
    """Return by how much the gates of a draw change a percent, and the variance that counting adds."""
    if not {measure.count, measure.of} <= parted.keys():
        return math.nan, math.nan
    part, whole = parted[measure.count], parted[measure.of]
    if not whole.before or not whole.now:
        return math.nan, math.nan
    percent = 100 * part.before / whole.before
    does = 100 * part.change - percent * whole.change  # what each event does to the percent, by the whole
    owed = float(weights @ (does * does)) / whole.before**2 / share
    return 100 * part.now / whole.now - percent, owed


def _scatter(moves: Sequence[tuple[float, float]], share: float) -> float:
    """Return the standard deviation of a percent that gates cause in the whole file, per cent."""
    percents, counting = np.array(moves).T
    caused = _sd(percents) ** 2 - float(np.nanmean(counting)) if np.isfinite(percents).sum() > 1 else math.nan
    return math.sqrt(max(0.0, caused) * share) if math.isfinite(caused) else math.nan


def _sd(values: Values) -> float:
    """Return the standard deviation of what is finite, NaN of fewer than two values."""
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return math.nan
    return float(finite.std(ddof=1)) if np.ptp(finite) else 0.0


def _steadiness(name: str, gated: Gated, shelf: Shelf, placed: Sequence[Placed], share: float) -> Steadiness:
    population, bound = gated.template.population(name), gated.bound
    units = tuple(bound.unit(marker) for marker in population.markers)
    spreads = _spreads(population, gated, shelf, placed) * math.sqrt(share)
    fallen = sum(one.status in ("fallback", "refused") for one in placed)
    stopped = sum(one.status == "at bound" for one in placed)
    told = Steadiness(math.nan, near=math.nan, draws=len(placed), fallen=fallen, bound=stopped)
    if not np.isfinite(spreads).any():
        return told
    axis = int(np.nanargmax(spreads / np.array(units)))
    marker, spread = population.markers[axis], float(spreads[axis])
    decades = spread / bound.scales[marker].decade
    return replace(told, spread=spread, spread_decades=decades, along=marker,
                   near=_near(population, gated, shelf, spreads))  # fmt: skip


def _spreads(population: Population, gated: Gated, shelf: Shelf, placed: Sequence[Placed]) -> Values:
    """Return by how much a gate scatters along each axis: of its edges there, the one that scatters most."""
    units = tuple(gated.bound.unit(marker) for marker in population.markers)
    shape = gated.placed[population.name].shape
    middle = _middle(population, shelf)
    like = [one.shape for one in placed if one.shape is not None and type(one.shape) is type(shape)]
    places = np.array([_edges(shape, middle, units) for shape in like])
    if len(places) < 2:
        return np.full(len(units), math.nan)
    return np.array([max((_sd(edge) for edge in axis.T), key=_known) for axis in places.transpose(1, 0, 2)])


def _known(spread: float) -> float:
    return spread if math.isfinite(spread) else -1.0


def _middle(population: Population, shelf: Shelf) -> tuple[float, ...]:
    """Return the middle of a population's events on its axes: where its outline is crossed."""
    rows = shelf.members.get(population.name, np.empty(0, np.intp))[:SEEN]
    if not len(rows):
        return (math.nan,) * len(population.markers)
    return tuple(float(np.median(shelf.held.scaled(marker, rows))) for marker in population.markers)


def _edges(
    shape: Shape, middle: tuple[float, ...], units: tuple[float, ...]
) -> tuple[tuple[float, float], ...]:
    """Return the lower and the upper edge of a shape on each axis, NaN where it is open.

    Those of an outline lie where the lines through the middle of its events cross it: its outermost
    corners may be where no events are. An ellipse stands for its centre.
    """
    if isinstance(shape, Ellipse):
        return tuple((place, place) for place in shape.centre)
    if isinstance(shape, Polygon) and all(map(math.isfinite, middle)):
        return tuple(_closed(_crossed(shape, axis, middle), units[axis]) for axis in (0, 1))
    return tuple(_closed(bounds(shape, axis, units), units[axis]) for axis in range(len(units)))


def _closed(pair: tuple[float, float], unit: float) -> tuple[float, float]:
    low, high = (place if OPEN[0] * unit < place < OPEN[1] * unit else math.nan for place in pair)
    return low, high


def _crossed(shape: Polygon, axis: int, middle: tuple[float, ...]) -> tuple[float, float]:
    """Return where a line along an axis through the middle leaves a polygon, downwards and upwards."""
    own, other = np.array(shape.vertices)[:, axis], np.array(shape.vertices)[:, 1 - axis] - middle[1 - axis]
    own_next, other_next = np.roll(own, -1), np.roll(other, -1)
    crosses = (other >= 0) != (other_next >= 0)
    share = other[crosses] / (other[crosses] - other_next[crosses])
    places = own[crosses] + share * (own_next[crosses] - own[crosses])
    below, above = places[places < middle[axis]], places[places >= middle[axis]]
    return float(below.max(initial=-math.inf)), float(above.min(initial=math.inf))


def _near(population: Population, gated: Gated, shelf: Shelf, spreads: Values) -> float:
    """Return the share of a parent's events that change sides when a gate moves by one spread along an axis."""
    shape, rows = gated.placed[population.name].shape, shelf.members[population.parent]
    if shape is None or named(shape):
        return math.nan
    rows = rows[:SEEN]
    markers, units = population.markers, [gated.bound.unit(marker) for marker in population.markers]
    view = shelf.held.cut(markers, rows).view(markers, np.arange(len(rows)))
    inside, changed = shape.contains(view), np.zeros(len(rows), bool)
    for axis, spread in enumerate(spreads):
        for way in (spread, -spread) if spread > 0 else ():
            steps: list[Step | None] = [None] * len(markers)
            steps[axis] = _by(way)
            changed |= moved(shape, steps, units).contains(view) != inside
    return float(changed.mean()) if len(rows) else math.nan


def _by(way: float) -> Step:
    return lambda edges: edges + way
