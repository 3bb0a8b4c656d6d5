"""Ink on paper, measured in pixels from its top left corner.

Matplotlib's figure is used without its axes, whose ticks would cost more than the gating. Nothing
is taken from pyplot or from a user's settings that would make two pages of one file differ.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Bbox, IdentityTransform
from numpy.typing import NDArray

from tregflow.sample import Values

Image = NDArray[np.uint8]
Dash = str | tuple[float, tuple[float, ...]]

DPI = 100
COMPRESSION = 4
"""Level of zlib: twice as fast as the highest, a few per cent larger."""

LETTER = 0.58
"""Width of a letter as a share of the font's size: a little more than the mean of a sentence."""

WHITE = "#ffffff"

FONTS = {False: "DejaVuSans.ttf", True: "DejaVuSans-Bold.ttf"}
"""By whether it is bold; the files that matplotlib brings."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of the page, in pixels from its top left corner."""

    left: float
    top: float
    width: int
    height: int

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The bottom edge."""
        return self.top + self.height

    def at(self, across: Values, up: Values) -> Values:
        """Return fractions of the width and of the height, counted upwards, in pixels; shape (n, 2)."""
        return np.column_stack([self.left + across * self.width, self.bottom - up * self.height])


class Paper:
    """A white page that is painted on, the last thing on top.

    Parameters
    ----------
    width, height : int
        Pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._figure = Figure((width / DPI, height / DPI), dpi=DPI, facecolor="white", edgecolor="white")
        self._canvas = FigureCanvasAgg(self._figure)
        self._layers = 0

    def image(self, pixels: Image, left: float, top: float) -> None:
        """Lay down an image, pixel by pixel.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (height, width, 3)
            Red, green, blue; the first row on top.
        left, top : float
            Where its corner goes.
        """
        bottom = self.height - round(top) - len(pixels)
        self._figure.figimage(pixels, round(left), bottom, origin="upper", zorder=self._above())

    def rectangle(self, box: Box, face: str = "none", edge: str = "none", width: float = 0.0) -> None:
        """Paint a rectangle, filled, bordered or both."""
        corner = (box.left, self.height - box.bottom)
        painted = Rectangle(corner, box.width, box.height, facecolor=face, edgecolor=edge, linewidth=width)
        painted.set_joinstyle("miter")
        self._add(painted)

    def border(self, box: Box, colour: str, width: float, dash: Dash = "solid") -> None:
        """Draw the border of a rectangle, dashed where a rectangle's own cannot be told apart in grey."""
        x, y = [box.left, box.right, box.right, box.left], [box.top, box.top, box.bottom, box.bottom]
        self.lines([np.column_stack([[*x, box.left], [*y, box.top]])], colour, width=width, dash=dash)

    def hatching(self, box: Box, colour: str) -> None:
        """Fill a rectangle with slanted lines; matplotlib's own take colour and width from a user's settings."""
        starts = np.arange(box.left - box.height, box.right, 7)
        slants = [np.array([(start, box.bottom), (start + box.height, box.top)]) for start in starts]
        self.lines(slants, colour, width=0.8, inside=box)

    def lines(
        self,
        paths: Iterable[Values],
        colour: str,
        *,
        width: float = 1.0,
        dash: Dash = "solid",
        inside: Box | None = None,
    ) -> None:
        """Draw lines.

        Parameters
        ----------
        paths : iterable of ndarray, each of shape (n, 2)
            Pixels.
        colour : str
            Of all of them.
        width : float, default 1
            Points.
        dash : str or tuple
            As matplotlib writes it.
        inside : Box, optional
            Where ink may fall.
        """
        turned = [np.column_stack([path[:, 0], self.height - path[:, 1]]) for path in paths]
        drawn = LineCollection(turned, colors=colour, linewidths=width, linestyles=[dash], antialiaseds=True)
        self._add(drawn)
        if inside:
            drawn.set_clip_box(
                Bbox.from_bounds(inside.left, self.height - inside.bottom, inside.width, inside.height)
            )

    def text(
        self,
        left: float,
        baseline: float,
        words: str,
        *,
        size: float = 8.0,
        colour: str = "#1a1a1a",
        bold: bool = False,
        align: str = "left",
        turned: bool = False,
    ) -> None:
        """Write one line, exactly as it is: nothing in it is markup.

        Parameters
        ----------
        left, baseline : float
            Pixels; of the end or the middle where `align` says so.
        words : str
            Characters that the font lacks appear as question marks.
        size : float, default 8
            Points.
        colour : str
            Of the letters.
        bold : bool
            Whether the bold font is used.
        align : str
            ``left``, ``center`` or ``right``.
        turned : bool
            Whether it reads upwards.
        """
        along: dict[str, Any] = {"ha": align, "va": "baseline"}
        if turned:
            along = {
                "ha": "right",
                "va": {"left": "bottom", "center": "center", "right": "top"}[align],
                "rotation": 90,
            }
        self._add(Text(left, self.height - baseline, legible(words, bold=bold), color=colour, parse_math=False,
                       usetex=False, fontproperties=_font(size, bold), **along))  # fmt: skip

    def png(self, comment: str = "") -> bytes:
        """Return the paper as a PNG file without a date or the name of a program, with a comment if there is one."""
        written = io.BytesIO()
        told = {"Comment": comment} if comment else {}
        options = {"metadata": {"Software": None, **told}, "pil_kwargs": {"compress_level": COMPRESSION}}
        self._canvas.print_png(written, **options)  # type: ignore[no-untyped-call]
        return written.getvalue()

    def _add(self, artist: Artist) -> None:
        artist.set_transform(IdentityTransform())
        artist.set_zorder(self._above())
        self._figure.add_artist(artist)

    def _above(self) -> int:
        self._layers += 1
        return self._layers


def legible(words: str, *, bold: bool = False) -> str:
    r"""Return words on one line, with a question mark for what the font cannot show.

    Parameters
    ----------
    words : str
        Anything.
    bold : bool
        Which font.

    Returns
    -------
    str

    Examples
    --------
    >>> legible("CD4 → Treg\n日")
    'CD4 → Treg ?'
    """
    known = _characters(bold)
    return "".join(letter if ord(letter) in known else "?" for letter in " ".join(words.split()))


def width_of(words: str, size: float, *, bold: bool = False) -> float:
    """Return how wide words are when written.

    Parameters
    ----------
    words : str
        One line.
    size : float
        Points.
    bold : bool
        Which font.

    Returns
    -------
    float
        Pixels.
    """
    font = get_font(_font_file(bold))
    font.set_size(size, DPI)
    font.set_text(legible(words, bold=bold))
    return float(font.get_width_height()[0]) / 64


def shortened(words: str, width: float, size: float, *, bold: bool = False) -> str:
    """Return words that fit a width, the end left out if it must be.

    Parameters
    ----------
    words : str
        One line.
    width : float
        Pixels.
    size : float
        Points.
    bold : bool
        Which font.

    Returns
    -------
    str
    """
    left = words[: int(width)]
    while left and width_of(left + "…" * (left != words), size, bold=bold) > width:
        left = left[:-1].rstrip()
    return left if left == words else left + "…"


def wrapped(words: str, width: float, size: float, most: int = 3) -> list[str]:
    """Return words as lines that fit a width.

    Parameters
    ----------
    words : str
        A sentence.
    width : float
        Pixels.
    size : float
        Points.
    most : int, default 3
        Lines; what is left over ends in an ellipsis.

    Returns
    -------
    list of str
    """
    letters = int(width / (LETTER * size * DPI / 72))
    return textwrap.wrap(words, max(letters, 4), max_lines=most, placeholder=" …")


def enlarged(pixels: Image, by: int) -> Image:
    """Return an image with every pixel drawn as a square."""
    return pixels.repeat(by, axis=0).repeat(by, axis=1)


def coloured(counts: NDArray[np.intp], inks: Image) -> Image:
    """Return counts as colours on a logarithmic scale, white where there are none.

    Parameters
    ----------
    counts : ndarray of int, shape (width, height)
        First axis to the right, second upwards.
    inks : ndarray of uint8, shape (n, 3)
        Colours from one event to the most.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        The first row on top.
    """
    level = np.log1p(counts) / max(np.log1p(counts.max(initial=0)), np.log(2))
    palette = np.vstack([np.full((1, 3), 255, np.uint8), inks])
    ink = np.where(counts, 1 + (level * (len(inks) - 1)).astype(np.intp), 0)
    return palette[ink].transpose(1, 0, 2)[::-1]


def bars(counts: Values, height: int, inks: Sequence[str], ground: Sequence[str] = ()) -> Image:
    """Return a filled histogram.

    Parameters
    ----------
    counts : ndarray, shape (n_bins,)
        Height of each bar; 1 fills the image.
    height : int
        Pixels.
    inks : sequence of str
        Colour of each bar, ``#rrggbb``.
    ground : sequence of str, optional
        Colour above each bar; white unless given.

    Returns
    -------
    ndarray of uint8, shape (height, n_bins, 3)
        The first row on top.
    """
    tall = np.arange(height)[::-1, np.newaxis] < np.ceil(counts * height)[np.newaxis]
    ink, paper = (np.array([rgb(colour) for colour in colours], np.uint8)
                  for colours in (inks, ground or [WHITE] * len(inks)))  # fmt: skip
    return np.where(tall[:, :, np.newaxis], ink, paper)


@cache
def rgb(colour: str) -> tuple[int, int, int]:
    """Return ``#rrggbb`` as numbers from 0 to 255."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def scale_of(name: str, first: float = 0.0, last: float = 1.0) -> Image:
    """Return 256 colours of a stretch of one of matplotlib's colour maps; shape (256, 3)."""
    shades: Values = matplotlib.colormaps[name](np.linspace(first, last, 256))[:, :3]
    return np.round(255 * shades).astype(np.uint8)


@cache
def _font(size: float, bold: bool) -> FontProperties:
    return FontProperties(fname=_font_file(bold), size=size)


@cache
def _characters(bold: bool) -> frozenset[int]:
    return frozenset(get_font(_font_file(bold)).get_charmap())


def _font_file(bold: bool) -> Path:
    return Path(matplotlib.get_data_path(), "fonts", "ttf", FONTS[bold])
