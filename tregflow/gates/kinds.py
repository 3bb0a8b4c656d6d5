"""Kinds of cells in a population, found together: where each lies, how far it spreads, how many it has.

A template writes each kind as a normal distribution. A tube's dyes move all of them, treatment some,
and the events say how far: a mixture of normal distributions is fitted by expectation and
maximisation (EM), guided by what is written. The written kinds count in every round as a number of
events would. They follow the tube by one shift that the steady kinds share, so that kinds which
treatment brightens cannot drag the others along; a kind without events stays where that shift puts
it. The shares are never guided: nothing pulls a percent to what a template expects.

Events are summed over the cells of a grid, with their first and second moments, so that nothing is
lost to the grid but which event of a cell belongs to which kind. Coordinates are whole steps of 4e-6
there: their sums are exact, in any order. scikit-learn's mixtures can neither weigh events nor be
guided, and cost more to import than a file to gate; where both can, they agree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from tregflow.errors import GateError
from tregflow.gates.method import Doubt, counted
from tregflow.sample import Values
from tregflow.view import Mask

FEWEST = 50
"""Events below which no kinds are looked for."""
LEAST = 20.0
"""Events that a kind is taken to have where it is guided: one with next to none stays in its place."""
FAINT = 1e-6
"""Events that the written kind counts in an unguided fit, for a kind that has none at all."""
REACH = 6.0
"""Spreads of the widest kind, beyond where kinds may lie, from which on an event belongs to none."""
PILE = 0.002
"""Share of the events on the outermost value of an axis from which on they are piled up there."""
FEWEST_PILED = 10
"""Events on one value that may be chance, or one event drawn often."""
BITS = 18
"""Binary places of a coordinate in the grid, steps of 4e-6: sums of their products are exact."""
CELL = 1.0
"""How wide a cell is, narrowest spreads."""
MOST_CELLS = 128
"""Cells along an axis."""
PLACES = 5
"""Shifts along each axis that a fit may start from."""

RARE = 1e-6
"""Least share of a kind."""
SETTLED = 3e-7
"""Change in a round, in shares and written spreads, below which a fit is settled."""
SETTLED_NEAR = 3e-4
"""The same from a start near by: far below what the events themselves leave open."""
ROUNDS = 300
"""Rounds after which a fit is not going to settle."""
WORSE = 2.0
"""Times the last change from which on the next step is a round's own: the longer one led astray."""
LONGEST = 100.0
"""Longest step, by a round's own."""
THINNEST = 0.02
"""Least variance, written variances, that a step may lead to."""

STRAYED = 1.4
"""Written spreads by which a steady kind may lie beside where the shift puts it. On simulated tubes with
drifts of 0.2 decades, heavy tails or 300 cells it was 1.33 at most."""
FADED = 2.5
"""Written spreads below its place, had nothing guided it, from which on a bright kind is taken for unstained: a stain that
is 0.2 decade off (SD) reaches 2 in one of a hundred runs."""
MISFIT = 0.16
"""Share of the events that may lie elsewhere than the kinds do; on such tubes 0.13 at most."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of cells as a template writes it.

    Parameters
    ----------
    name : str
    at : tuple of float
        Its middle on each axis, axis lengths.
    spread : tuple of float
        Its standard deviation on each axis, axis lengths.
    steady : bool, default True
        Whether treatment leaves it where it is: the steady kinds say how the tube's dyes moved.
    """

    name: str
    at: tuple[float, ...]
    spread: tuple[float, ...]
    steady: bool = True


@dataclass(frozen=True)
class Model:
    """The kinds of cells in a population.

    Parameters
    ----------
    kinds : tuple of Kind
        Two or more, on the same axes.
    guide : float, default 1
        What the written place and spread of a kind count, by the events that it has.
    follow : float, default 0.1
        How far all kinds together may lie from where they are written, on each axis; axis lengths.
    """

    kinds: tuple[Kind, ...]
    guide: float = 1.0
    follow: float = 0.1

    @cached_property
    def at(self) -> Values:
        """Written middles; shape (n_kinds, n_axes)."""
        return np.array([kind.at for kind in self.kinds])

    @cached_property
    def spread(self) -> Values:
        """Written standard deviations; shape (n_kinds, n_axes)."""
        return np.array([kind.spread for kind in self.kinds])

    @cached_property
    def steady(self) -> Mask:
        """Which kinds treatment leaves where they are."""
        return np.array([kind.steady for kind in self.kinds])

    def among(self, names: tuple[str, ...]) -> Mask:
        """Return which kinds have one of some names."""
        return np.array([kind.name in names for kind in self.kinds])

    @cached_property
    def box(self) -> tuple[Values, Values]:
        """Lower and upper corner of where events of these kinds lie, axis lengths."""
        beyond = REACH * self.spread.max(axis=0) + self.follow
        return self.at.min(axis=0) - beyond, self.at.max(axis=0) + beyond


@dataclass(frozen=True, eq=False)
class Normals:
    """Normal distributions, each with a share of the events.

    Parameters
    ----------
    shares : ndarray, shape (n_kinds,)
    means : ndarray, shape (n_kinds, n_axes)
    covariances : ndarray, shape (n_kinds, n_axes, n_axes)
    """

    shares: Values
    means: Values
    covariances: Values

    def on(self, axes: tuple[int, ...]) -> Normals:
        """Return the same distributions on some of their axes."""
        chosen = list(axes)
        return Normals(self.shares, self.means[:, chosen], self.covariances[:, chosen][:, :, chosen])

    def moved(self, shift: Values) -> Normals:
        """Return the same distributions elsewhere."""
        return Normals(self.shares, self.means + shift, self.covariances)

    def of(self, kinds: Mask) -> Normals:
        """Return some of the distributions."""
        return Normals(self.shares[kinds], self.means[kinds], self.covariances[kinds])

    @cached_property
    def precisions(self) -> Values:
        """Inverse covariances; shape (n_kinds, n_axes, n_axes)."""
        return np.asarray(np.linalg.inv(self.covariances), np.float64)

    @cached_property
    def _weights(self) -> Values:
        """Of the features of an event in the logarithm of each kind's density; (n_kinds, n_features)."""
        pulled = np.einsum("kij,kj->ki", self.precisions, self.means)
        level = np.log(self.shares) - 0.5 * (
            np.einsum("ki,ki->k", pulled, self.means)
            + np.linalg.slogdet(self.covariances)[1]
            + self.means.shape[1] * math.log(2 * math.pi)
        )
        rows, columns = triangle(self.means.shape[1])
        squares = np.where(rows == columns, -0.5, -1.0) * self.precisions[:, rows, columns]
        return np.column_stack([level, pulled, squares])

    def logs(self, features: Values) -> Values:
        """Return the logarithm of each kind's share of the density; (n_features, n) in, (n_kinds, n) out."""
        logs: Values = np.einsum("kf,fn->kn", self._weights, features)
        return logs

    def odds(self, points: Values, kept: Mask) -> Values:
        """Return the logarithm of the odds of some kinds against the others, at each point; (n, n_axes) in."""
        logs = self.logs(features(points))
        return _together(logs[kept]) - _together(logs[~kept])


def _together(logs: Values) -> Values:
    """Return the logarithm of the sum of densities that are given by their logarithms; along the first axis."""
    highest = logs.max(axis=0)
    together: Values = highest + np.log(np.exp(logs - highest).sum(axis=0))
    return together


@cache
def triangle(axes: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of a symmetric matrix's upper triangle."""
    return np.triu_indices(axes)


def features(points: Values) -> Values:
    """Return what the logarithm of a normal density is linear in: 1, each axis, each product of two.

    Parameters
    ----------
    points : ndarray, shape (n_points, n_axes)

    Returns
    -------
    ndarray, shape (n_features, n_points)
    """
    columns = np.ascontiguousarray(points.T)
    rows, others = triangle(len(columns))
    return np.concatenate([np.ones((1, len(points))), columns, columns[rows] * columns[others]])


@dataclass(frozen=True, eq=False)
class Cells:
    """Events in the cells of a grid.

    Parameters
    ----------
    middle : ndarray, shape (n_axes,)
        Where coordinates are counted from, axis lengths.
    low, widths : ndarray, shape (n_axes,)
        Lower corner of the grid, counted from there, and how wide a cell is, axis lengths.
    counts : ndarray, shape (n_cells,)
        Events in each cell that holds any.
    features : ndarray, shape (n_features, n_cells)
        Means of the events' features in each cell.
    beyond : float
        Share of the events that lie in no cell.
    """

    middle: Values
    low: Values
    widths: Values
    counts: Values
    features: Values
    beyond: float

    @property
    def events(self) -> float:
        """Events in all cells."""
        return float(self.counts.sum())


@dataclass(frozen=True, eq=False)
class Fit:
    """Kinds of cells as they were found.

    Parameters
    ----------
    model : Model
        What was written.
    points : ndarray, shape (n_events, n_axes)
        The events, axis lengths.
    weights : ndarray, shape (n_events,), or None
        How often each counts.
    cells : Cells
        The same, those that count, in the cells of a grid.
    found : Normals
        Share, mean and covariance of each kind, axis lengths.
    shift : ndarray, shape (n_axes,)
        How far the steady kinds lie from where they are written, axis lengths.
    evidence : mapping of str to float
        ``events`` (that count); ``beyond`` (share of all events that do not); ``misfit`` (share of the
        events that lie elsewhere than the kinds do, on the axis where it is largest, chance taken out);
        ``strayed`` (how far the events of a steady kind lie from where the shift puts it, the kind for
        which it is largest, written spreads); ``faded`` (how far another kind lies below its place); ``shift`` (the largest of all axes, signed); ``rounds``. Of
        a fit of which nothing more was to be told only the last two.
    doubts : tuple of Doubt
        Why a person should look at it.
    """

    model: Model
    points: Values
    weights: Values | None
    cells: Cells
    found: Normals
    shift: Values
    evidence: Mapping[str, float]
    doubts: tuple[Doubt, ...]

    def counts(self, inside: Mask | None = None) -> Values:
        """Return how often each of some events counts."""
        events = len(self.points) if inside is None else int(inside.sum())
        if self.weights is None:
            return np.ones(events)
        return self.weights if inside is None else self.weights[inside]

    def responsibilities(self, points: Values) -> Values:
        """Return how likely each kind is at each point; (n, n_axes) in, (n, n_kinds) out."""
        logs = self.found.logs(features(points))
        shares: Values = np.exp(logs - np.logaddexp.reduce(logs)).T
        return shares


def fit(
    points: Values,
    model: Model,
    weights: Values | None = None,
    near: Fit | None = None,
    *,
    is_told: bool = True,
) -> Fit:
    """Find the kinds of cells of a model among events.

    Parameters
    ----------
    points : ndarray, shape (n_events, n_axes)
        Events of the model's population, axis lengths, finite. Left alone.
    model : Model
    weights : ndarray, shape (n_events,), optional
        How often each event counts; once where it is not given.
    near : Fit, optional
        Of nearly the same events, to start from.
    is_told : bool
        Whether to work out how well the kinds fit; without, only the doubts that they did not settle or
        reached a bound are told.

    Returns
    -------
    Fit
        Rounded to a grid of 1e-6.

    Raises
    ------
    GateError
        If fewer than 50 events lie where the kinds may lie, those left out that pile up at the end of
        an axis.

    Notes
    -----
    With N events in a kind and their mean m and covariance S (of EM's M-step), the kind's mean becomes
    ``(N m + g (a + shift)) / (N + g)`` and its covariance ``(N S' + g diag(spread^2)) / (N + g)``, where
    g = guide · max(N, 20) and S' is about the new mean. The shift is the mean of m - a over the events of
    the steady kinds, held to `follow`. Rounds are joined to longer steps by SQUAREM (Varadhan and Roland
    2008, scheme S3), which leads to the same place in a sixth of the rounds. Events of one cell of the
    grid, as wide as the narrowest spread, share their odds (Verbeek, Nunnink and Vlassis 2006).
    """
    cells = _binned(points, model, weights)
    if cells.events < FEWEST:
        raise GateError(f"{counted(cells.events)} where the model's kinds may lie, {FEWEST} are needed")
    written = _Written(cells, model)
    start = near.found.moved(-cells.middle) if near else _start(written)
    settled = _settled(written, start, SETTLED_NEAR if near else SETTLED)
    return _reported(written, settled, points, weights, is_told)


# --------------------------------------------------------------------------------------- the grid


def _binned(points: Values, model: Model, weights: Values | None) -> Cells:
    weights = np.ones(len(points)) if weights is None else weights
    middle, (low, high) = model.at.mean(axis=0), model.box
    columns = np.ascontiguousarray(points.T)
    seen = np.flatnonzero(_seen(columns, model, weights))
    counts = weights.take(seen)
    steps = np.rint((columns.take(seen, axis=1) - middle[:, None]) * 2.0**BITS)
    widths = np.maximum(CELL * model.spread.min(axis=0), (high - low) / MOST_CELLS)
    cells = _numbered(steps * 2.0**-BITS, low - middle, high - middle, widths)
    sums = np.stack([np.bincount(cells, counts * column) for column in features(steps.T)])
    means = sums / sums[0]
    means[1 : 1 + len(columns)] *= 2.0**-BITS
    means[1 + len(columns) :] *= 4.0**-BITS
    beyond = 1 - float(counts.sum()) / max(float(weights.sum()), FAINT)
    return Cells(middle, low - middle, widths, sums[0], means, beyond)


def _seen(columns: Values, model: Model, weights: Values) -> Mask:
    """Return which events count: those in the model's box that are not piled up at an end of an axis."""
    counts = weights > 0
    seen, many = counts.copy(), max(PILE * weights.sum(), FEWEST_PILED)
    for column, low, high in zip(columns, *model.box, strict=True):
        seen &= (column > low) & (column < high)
        for end in (column.min(where=counts, initial=math.inf), column.max(where=counts, initial=-math.inf)):
            piled = column == end
            if weights[piled].sum() > many:
                seen &= ~piled
    return seen


def _numbered(columns: Values, low: Values, high: Values, widths: Values) -> NDArray[np.intp]:
    """Return the number of each event's cell, from 0 to the number of cells that hold any."""
    numbers = np.zeros(columns.shape[1], np.intp)
    for column, first, last, width in zip(columns, low, high, widths, strict=True):
        numbers *= math.ceil((last - first) / width) + 1
        numbers += ((column - first) / width).astype(np.intp)
    holds = np.bincount(numbers) > 0
    return (np.cumsum(holds) - 1).take(numbers)


# --------------------------------------------------------------------------------------- rounds


@dataclass(frozen=True, eq=False)
class _Written:
    """A model over the events it is fitted to; coordinates count from the events' middle."""

    cells: Cells
    model: Model

    @cached_property
    def at(self) -> Values:
        return self.model.at - self.cells.middle

    @cached_property
    def covariances(self) -> Values:
        return self.model.spread[:, :, None] * np.eye(self.at.shape[1]) * self.model.spread[:, None, :]

    @cached_property
    def units(self) -> Values:
        """What a state's numbers are counted in: shares of all events, written spreads."""
        rows, columns = triangle(self.at.shape[1])
        spread = self.model.spread
        products = spread[:, rows] * spread[:, columns]
        return np.concatenate([np.ones(len(spread)), spread.ravel(), products.ravel()])

    def placed(self, shift: Values) -> Normals:
        """Return the written kinds, moved by a shift, with equal shares."""
        kinds = len(self.at)
        return Normals(np.full(kinds, 1 / kinds), self.at + shift, self.covariances)

    def likelihood(self, found: Normals) -> float:
        """Return the mean logarithm of the density."""
        density = np.logaddexp.reduce(found.logs(self.cells.features))
        return float(np.einsum("n,n->", self.cells.counts, density) / self.cells.events)

    def moments(self, found: Normals) -> tuple[Values, Values, Values]:
        """Return events, sum and sum of squares of each kind."""
        logs = found.logs(self.cells.features)
        likely = np.exp(logs - logs.max(axis=0))
        likely *= self.cells.counts / likely.sum(axis=0)
        sums, axes = np.einsum("kn,fn->kf", likely, self.cells.features), self.at.shape[1]
        squares = np.empty((len(sums), axes, axes))
        rows, columns = triangle(axes)
        squares[:, rows, columns] = squares[:, columns, rows] = sums[:, 1 + axes :]
        return sums[:, 0], sums[:, 1 : 1 + axes], squares

    def shift(self, events: Values, sums: Values) -> Values:
        """Return how far the steady kinds lie from where they are written, held to what they may."""
        steady = self.model.steady
        away = sums[steady].sum(axis=0) - np.einsum("k,ki->i", events[steady], self.at[steady])
        follow = self.model.follow
        shift: Values = np.clip(away / max(float(events[steady].sum()), FAINT), -follow, follow)
        return shift

    def after(self, found: Normals) -> Normals:
        """Return the kinds after one round."""
        events, sums, squares = self.moments(found)
        guide = self.model.guide * np.maximum(events, LEAST) + FAINT
        share = (events + guide)[:, None]
        means = (sums + guide[:, None] * (self.at + self.shift(events, sums))) / share
        crossed = np.einsum("ki,kj->kij", sums, means)
        about = events[:, None, None] * np.einsum("ki,kj->kij", means, means)
        scatter = squares - crossed - crossed.transpose(0, 2, 1) + about
        covariances = (scatter + guide[:, None, None] * self.covariances) / share[:, :, None]
        return Normals(_shared(events), means, covariances)

    def flat(self, found: Normals) -> Values:
        """Return a state as one line of numbers."""
        rows, columns = triangle(self.at.shape[1])
        upper = found.covariances[:, rows, columns]
        return np.concatenate([found.shares, found.means.ravel(), upper.ravel()]) / self.units

    def unflat(self, line: Values) -> Normals:
        """Return the state that a line of numbers stands for; its shares made sound."""
        kinds, axes = self.at.shape
        shares, means, upper = np.split(line * self.units, [kinds, kinds + kinds * axes])
        covariances = np.empty((kinds, axes, axes))
        rows, columns = triangle(axes)
        covariances[:, rows, columns] = covariances[:, columns, rows] = upper.reshape(kinds, -1)
        return Normals(_shared(shares), means.reshape(kinds, axes), covariances)

    def is_sound(self, found: Normals) -> bool:
        """Return whether every kind has an extent in every direction."""
        scale = self.model.spread[:, :, None] * self.model.spread[:, None, :]
        return bool(np.linalg.eigvalsh(found.covariances / scale).min() > THINNEST)


def _shared(events: Values) -> Values:
    """Return what shares of all some events are, none quite nothing."""
    shares: Values = np.maximum(events / events.sum(), RARE)
    shares /= shares.sum()
    return shares


def _start(written: _Written) -> Normals:
    """Return the written kinds where they are likeliest, looked for axis by axis."""
    shift = np.zeros(written.at.shape[1])
    follow = written.model.follow
    for axis in range(len(shift)):
        tries = np.repeat(shift[None], PLACES, axis=0)
        tries[:, axis] = np.linspace(-follow, follow, PLACES)
        shift = max(tries, key=lambda moved: written.likelihood(written.placed(moved)))
    return written.placed(shift)


@dataclass(frozen=True, slots=True)
class _Settled:
    found: Normals
    rounds: int


def _settled(written: _Written, start: Normals, enough: float) -> _Settled:
    """Return the kinds after rounds enough."""
    found, rounds, before = start, 0, math.inf
    while rounds < ROUNDS:
        once = written.after(found)
        here, there = written.flat(found), written.flat(once)
        first = there - here
        change = float(np.abs(first).max())
        if change < enough:
            return _Settled(once, rounds + 1)
        twice, rounds = written.after(once), rounds + 2
        bend = written.flat(twice) - there - first
        length = 1.0 if change > WORSE * before else _length(first, bend)
        leap = written.unflat(here + 2 * length * first + length**2 * bend)
        found, before = leap if written.is_sound(leap) else twice, change
    return _Settled(found, rounds)


def _length(first: Values, bend: Values) -> float:
    """Return the step of SQUAREM, in rounds."""
    squared = np.einsum("i,i->", first, first) / max(np.einsum("i,i->", bend, bend), FAINT**4)
    return min(max(math.sqrt(squared), 1.0), LONGEST)


# --------------------------------------------------------------------------------------- what is said


def _reported(
    written: _Written, settled: _Settled, points: Values, weights: Values | None, is_told: bool
) -> Fit:
    model, cells = written.model, written.cells
    events, sums, _ = written.moments(settled.found)
    shift = np.round(written.shift(events, sums), 6)
    evidence = {"shift": float(shift[np.abs(shift).argmax()]), "rounds": settled.rounds}
    doubts = [*_unsettled(model, evidence)]
    if is_told:
        away = settled.found.means - written.at - shift
        strayed, faded = _strayed(model, away, events), _faded(model, away, events)
        misfit = max(_misfit(cells, settled.found, axis) for axis in range(len(shift)))
        evidence = {"events": cells.events, "beyond": cells.beyond, "misfit": misfit,
                    "strayed": float(strayed.max()), "faded": float(faded.max()), **evidence}  # fmt: skip
        doubts += _elsewhere(evidence, *(model.kinds[int(far.argmax())].name for far in (strayed, faded)))
    found = settled.found.moved(cells.middle)
    found = Normals(np.round(found.shares, 9), np.round(found.means, 6), np.round(found.covariances, 12))
    return Fit(model, points, weights, cells, found, shift, evidence, tuple(doubts))


def _strayed(model: Model, away: Values, events: Values) -> Values:
    """Return how far each steady kind's own events lie from where the shift puts it, written spreads."""
    own = (1 + model.guide) * np.abs(away / model.spread).max(axis=1)  # as far as nothing guided them
    strayed: Values = np.where(model.steady & (events >= LEAST), own, 0.0)
    return strayed


def _faded(model: Model, away: Values, events: Values) -> Values:
    """Return how far each other kind lies below where it is written on an axis on which it is bright, written spreads.

    Treatment makes cells brighter; none that is known takes a stain away.
    """
    at, steady = np.array([kind.at for kind in model.kinds]), model.steady
    is_bright = at > at[steady].max(axis=0)
    below = (1 + model.guide) * np.where(is_bright, -away / model.spread, 0.0).max(axis=1)
    faded: Values = np.where(~steady & (events >= LEAST), below, 0.0)
    return faded


def _misfit(cells: Cells, found: Normals, axis: int) -> float:
    """Return the share of events that the kinds put elsewhere along an axis, beyond what chance does."""
    width, events = cells.widths[axis], cells.events
    bins = ((cells.features[1 + axis] - cells.low[axis]) / width).astype(np.intp)
    seen = np.bincount(bins, cells.counts) / events
    edges = cells.low[axis] + width * np.arange(1, len(seen))
    spread = np.sqrt(2 * found.covariances[:, axis, axis])
    below = 0.5 + 0.5 * _erf((edges - found.means[:, axis, None]) / spread[:, None])
    placed = np.diff(np.einsum("k,ke->e", found.shares, below), prepend=0.0, append=1.0)
    chance = np.sqrt(np.maximum(placed, 0.0) * (2 / math.pi) / events).sum()
    return max(0.0, 0.5 * float(np.abs(seen - placed).sum() - chance))


_erf = np.vectorize(math.erf, otypes=[np.float64])


def _unsettled(model: Model, evidence: Mapping[str, float]) -> Iterator[Doubt]:
    if evidence["rounds"] >= ROUNDS:
        yield Doubt("unsettled", f"the kinds of cells had not settled after {ROUNDS} rounds")
    if abs(evidence["shift"]) >= model.follow - 1e-6:
        yield Doubt(
            "bound",
            f"all cells lie {model.follow:g} axis units or more from where the model has them: another dye or panel?",
        )


def _elsewhere(evidence: Mapping[str, float], farthest: str, darkest: str) -> Iterator[Doubt]:
    if evidence["strayed"] > STRAYED:
        told = f'the kind "{farthest}" lies {evidence["strayed"]:.1f} SD from where the other kinds put it'
        yield Doubt("weak", f"{told}; the model does not fit this tube")
    if evidence["faded"] > FADED:
        told = f'the kind "{darkest}" lies {evidence["faded"]:.1f} SD below where it is written'
        yield Doubt("weak", f"{told}: was its marker stained?")
    if evidence["misfit"] > MISFIT:
        yield Doubt(
            "weak", f"{100 * evidence['misfit']:.0f} % of the events lie where the model has no cells"
        )
