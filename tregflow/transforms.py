"""Logicle, arcsinh, log and linear scales with their inverses, in the units of Gating-ML 2.0.

Each transform is a frozen value: its parameters are its identity. Called, it takes linear scale
values to axis units, about 0 to 1; `inverse` goes back. All are monotone, so a gate's edge can be
taken back to linear units instead of every event being brought to the axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Protocol

import numpy as np

from tregflow.sample import BLOCK, Values

LN10 = math.log(10)

MOST_DECADES = 100.0
"""Decades of an axis beyond which its constants leave the range of floating-point numbers."""


class Transform(Protocol):
    """What an axis needs of its scale."""

    @property
    def decade(self) -> float:
        """Axis units per decade far from zero; NaN where the axis is not log-like."""

    @property
    def positive(self) -> bool:
        """Whether values at and below zero have no place on the axis."""

    def __call__(self, x: Values) -> Values:
        """Return linear values in axis units; NaN where the scale has none."""

    def inverse(self, y: Values) -> Values:
        """Return axis units in linear values."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The file's own units: scatter, width and time."""

    decade: ClassVar[float] = math.nan
    positive: ClassVar[bool] = False

    def __call__(self, x: Values) -> Values:
        """Return `x` itself."""
        return x

    def inverse(self, y: Values) -> Values:
        """Return `y` itself."""
        return y


@dataclass(frozen=True, slots=True)
class Linear:
    """``(x + A) / (T + A)`` (Gating-ML 2.0, 6.1).

    Parameters
    ----------
    T : float
        Linear value that lands at 1; above 0.
    A : float, default 0
        Linear units below zero that land at 0; 0 to T.
    """

    T: float
    A: float = 0.0

    decade: ClassVar[float] = math.nan
    positive: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _demand(self.T > 0, f"T is {self.T:g} and must be above 0")
        _demand(0 <= self.A <= self.T, f"A is {self.A:g} and must lie between 0 and T")

    def __call__(self, x: Values) -> Values:
        """Return linear values in axis units."""
        return (x + self.A) / (self.T + self.A)

    def inverse(self, y: Values) -> Values:
        """Return axis units in linear values."""
        return y * (self.T + self.A) - self.A


@dataclass(frozen=True, slots=True)
class Log:
    """``log10(x / T) / M + 1`` (Gating-ML 2.0, 6.2); at and below zero there is no value.

    Parameters
    ----------
    T : float
        Linear value that lands at 1; above 0.
    M : float
        Decades from 0 to 1; above 0.
    """

    T: float
    M: float

    positive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _demand(self.T > 0, f"T is {self.T:g} and must be above 0")
        _demand(self.M > 0, f"M is {self.M:g} and must be above 0")

    @property
    def decade(self) -> float:
        """Axis units per decade."""
        return 1 / self.M

    def __call__(self, x: Values) -> Values:
        """Return linear values in axis units, NaN where `x` is not above 0."""
        positive = np.where(x > 0, x, np.nan)
        return np.log10(positive / self.T) / self.M + 1

    def inverse(self, y: Values) -> Values:
        """Return axis units in linear values."""
        with np.errstate(over="ignore"):  # an edge beyond every number is open
            return self.T * np.power(10.0, self.M * (np.asarray(y) - 1))


@dataclass(frozen=True, slots=True)
class Arcsinh:
    """``(asinh(x sinh(M ln 10) / T) + A ln 10) / ((M + A) ln 10)`` (Gating-ML 2.0, 6.3).

    Parameters
    ----------
    T : float
        Linear value that lands at 1; above 0.
    M : float
        Decades from 0 to 1; above 0, at most 100.
    A : float, default 0
        Further decades below; 0 to M.
    """

    T: float
    M: float
    A: float = 0.0

    positive: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _demand(self.T > 0, f"T is {self.T:g} and must be above 0")
        _demand(
            0 < self.M <= MOST_DECADES, f"M is {self.M:g} and must be above 0 and at most {MOST_DECADES:g}"
        )
        _demand(0 <= self.A <= self.M, f"A is {self.A:g} and must lie between 0 and M")

    @property
    def decade(self) -> float:
        """Axis units per decade far from zero."""
        return 1 / (self.M + self.A)

    def __call__(self, x: Values) -> Values:
        """Return linear values in axis units."""
        stretched = np.arcsinh(x * (math.sinh(self.M * LN10) / self.T))
        return (stretched + self.A * LN10) / ((self.M + self.A) * LN10)

    def inverse(self, y: Values) -> Values:
        """Return axis units in linear values."""
        stretched = np.asarray(y) * ((self.M + self.A) * LN10) - self.A * LN10
        with np.errstate(over="ignore"):  # an edge beyond every number is open
            return np.sinh(stretched) * (self.T / math.sinh(self.M * LN10))


@dataclass(frozen=True, slots=True)
class Logicle:
    """The biexponential scale of Parks and Moore (Gating-ML 2.0, 6.4).

    Parameters
    ----------
    T : float, default 262144
        Linear value that lands at 1; above 0.
    W : float, default 0.5
        Decades of nearly linear zone; 0 to M / 2.
    M : float, default 4.5
        Decades from 0 to 1; above 0, at most 100.
    A : float, default 0
        Further negative decades; -W to M - 2 W.

    Notes
    -----
    The curve gives x for y, x = a exp(b y) - c exp(-d y) - f, and is odd about the y of zero. Its
    root is taken from a table that is even in asinh(x) and sharpened by one Halley step; beyond the
    table the exponential alone is undone, the rest put back. The result agrees with an iterated root to the last bits.
    """

    T: float = 262144.0
    W: float = 0.5
    M: float = 4.5
    A: float = 0.0

    positive: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _demand(self.T > 0, f"T is {self.T:g} and must be above 0")
        _demand(
            0 < self.M <= MOST_DECADES, f"M is {self.M:g} and must be above 0 and at most {MOST_DECADES:g}"
        )
        _demand(0 <= self.W <= self.M / 2, f"W is {self.W:g} and must lie between 0 and M / 2")
        _demand(
            -self.W <= self.A <= self.M - 2 * self.W, f"A is {self.A:g} and must lie between -W and M - 2 W"
        )

    @property
    def decade(self) -> float:
        """Axis units per decade far from zero."""
        return 1 / (self.M + self.A)

    @property
    def zero(self) -> float:
        """Where linear 0 lands on the axis."""
        return (self.A + self.W) / (self.M + self.A)

    def __call__(self, x: Values) -> Values:
        """Return linear values in axis units."""
        curve = _curve(self.T, self.W, self.M, self.A)
        linear = np.atleast_1d(np.asarray(x, dtype=np.float64))
        axis = np.empty_like(linear)
        for start in range(0, len(linear), BLOCK):
            axis[start : start + BLOCK] = curve.root(linear[start : start + BLOCK])
        return axis.reshape(np.shape(x))

    def inverse(self, y: Values) -> Values:
        """Return axis units in linear values."""
        curve = _curve(self.T, self.W, self.M, self.A)
        away = np.asarray(y, dtype=np.float64) - curve.x1
        with np.errstate(over="ignore"):  # an edge beyond every number is open
            return np.copysign(curve.linear(np.abs(away) + curve.x1), away)


class _Curve:
    """The constants and the table of one logicle (Moore and Parks 2012)."""

    BEND, CELLS, TOP = 150.0, 16_384, 1.5

    def __init__(self, T: float, W: float, M: float, A: float) -> None:
        w, x2 = W / (M + A), A / (M + A)
        x0, self.x1 = x2 + 2 * w, x2 + w
        self.b = (M + A) * LN10
        self.d = _second_rate(self.b, w)
        c_a = math.exp(x0 * (self.b + self.d))
        f_a = math.exp(self.b * self.x1) - c_a * math.exp(-self.d * self.x1)
        self.a = T / (math.exp(self.b) - f_a - c_a * math.exp(-self.d))
        self.c, self.f = c_a * self.a, f_a * self.a
        self.bend = self.BEND * T / 262144.0
        self._tabulate()

    def _tabulate(self) -> None:
        y = np.linspace(self.x1, self.TOP, 20_001)
        x = self.linear(y)
        x[0] = 0.0
        self.largest = float(x[-1])
        self.step = math.asinh(self.largest / self.bend) / self.CELLS
        knots = self.bend * np.sinh(self.step * np.arange(self.CELLS + 1))
        self.table = np.interp(knots, x, y)
        self.rise = np.diff(self.table)

    def linear(self, y: Values) -> Values:
        """Return x for y at or above the y of zero."""
        return self.a * np.exp(self.b * y) - self.c * np.exp(-self.d * y) - self.f

    def root(self, x: Values) -> Values:
        """Return y for x."""
        size = np.abs(x)
        near = np.minimum(size, self.largest)
        place = np.arcsinh(near / self.bend) / self.step
        cell = np.fmin(place, self.CELLS - 1).astype(
            np.intp
        )  # what is not a number stays none, through place
        y = self._halley(self.table[cell] + (place - cell) * self.rise[cell], near)
        beyond = size > self.largest
        if beyond.any():
            y[beyond] = self._far(size[beyond])
        return np.copysign(y - self.x1, x) + self.x1

    def _halley(self, y: Values, size: Values) -> Values:
        up, down = self.a * np.exp(self.b * y), self.c * np.exp(-self.d * y)
        miss = up - down
        miss -= self.f
        miss -= size
        up *= self.b
        down *= self.d
        slope = up + down
        up *= self.b
        down *= self.d
        up -= down  # the second derivative
        up *= miss
        up *= 0.5
        up /= slope
        slope -= up
        return y - np.divide(miss, slope, out=miss)

    def _far(self, size: Values) -> Values:
        """Return y beyond the table, where the curve is all but an exponential and no number overflows."""
        y = np.log(size) / self.b
        for _ in range(6):  # each takes the error down a thousandfold or more
            y = (np.log(size + self.f + self.c * np.exp(-self.d * y)) - math.log(self.a)) / self.b
        return y


@cache
def _curve(T: float, W: float, M: float, A: float) -> _Curve:
    return _Curve(T, W, M, A)


def _second_rate(b: float, w: float) -> float:
    """Return d, the root of 2 (ln d - ln b) + w (b + d) = 0 in (0, b]."""
    low, high = 1e-12, b
    for _ in range(200):
        middle = (low + high) / 2
        too_high = 2 * (math.log(middle) - math.log(b)) + w * (b + middle) > 0
        low, high = (low, middle) if too_high else (middle, high)
    return high if w == 0 else (low + high) / 2


def _demand(holds: bool, sentence: str) -> None:
    if not holds:
        raise ValueError(sentence)


TRANSFORMS: dict[str, type[Logicle | Arcsinh | Log | Linear]] = {
    "logicle": Logicle,
    "arcsinh": Arcsinh,
    "log": Log,
    "linear": Linear,
}
"""The scales a template may name."""
