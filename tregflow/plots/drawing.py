"""How one panel looks: its density or histogram, the gate, the ticks and the words around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tregflow.gating import Status
from tregflow.plots.axes import Axis, Counts, ticks
from tregflow.plots.paint import (
    WHITE,
    Box,
    Dash,
    Image,
    Paper,
    bars,
    coloured,
    enlarged,
    scale_of,
    shortened,
    width_of,
    wrapped,
)
from tregflow.plots.panels import Backgate, Outline, Panel
from tregflow.sample import Values
from tregflow.transforms import Identity

CAPTION, BELOW = 64, 36
"""Pixels above and below a plot."""

SMALL_SIDE, SMALL_CAPTION, SMALL_BELOW = 180, 18, 18
"""Pixels of the side of a plot that shows where the primary measure's cells lie, above and below it."""

SMALL_BINS = 60

MARGIN, LINE = 52, 12
"""Left of a plot; and of one line of notes."""

INK, FAINT, FRAME = "#1a1a1a", "#5f5f5f", "#8a8a8a"
PLAIN, GHOST, CELLS, WINDOW = "#7d8699", "#d4d4d4", "#c2447c", "#fbf3b4"
INKS = {True: "#3b528b", False: "#bcc4d1"}
"""Colour of a bar by whether the gate keeps it."""

DENSITY, GREY, WARM = scale_of("viridis"), scale_of("Greys", 0.15, 0.5), scale_of("plasma", 0.62, 0.2)

DASHED: Dash = (0, (4, 3))
SMOOTH = np.array([1, 4, 6, 4, 1]) / 16
"""Weights of neighbouring bins in a histogram's outline; the bars are the counts themselves."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a status is coloured.

    Parameters
    ----------
    colour, tint, ink : str
        Of the frame, of the band that names the status, and of the words in it.
    is_hatched : bool
        Whether the band is, because there is no gate.
    is_loud : bool
        Whether someone must look: the frame is thick.
    """

    colour: str
    tint: str
    ink: str = INK
    is_hatched: bool = False
    is_loud: bool = False


LOOKS: Mapping[Status, Look] = {
    "stored": Look("#8a8a8a", "#ebebeb"),
    "found": Look("#0072b2", "#d3e6f2"),
    "moved": Look("#009e73", "#b5e3d5"),
    "at bound": Look("#e69f00", "#e69f00", is_loud=True),
    "fallback": Look("#d55e00", "#d55e00", "#ffffff", is_loud=True),
    "corrected": Look("#aa4499", "#dfb3d6", is_loud=True),
    "skipped": Look("#6e6e6e", "#e4e4e4", is_hatched=True, is_loud=True),
    "refused": Look("#2b2b2b", "#e4e4e4", is_hatched=True, is_loud=True),
}
"""Okabe and Ito's colours, which colour-blind eyes keep apart; the words say the same."""


def note_lines(panel: Panel, side: int) -> list[str]:
    """Return the notes of a panel as lines below it; a panel without axes has them inside."""
    return [line for note in panel.notes for line in wrapped(note, MARGIN + side, 8, 2)] if panel.axes else []


def paint_panel(paper: Paper, panel: Panel, left: float, top: float, side: int) -> None:
    """Paint one gate.

    Parameters
    ----------
    paper : Paper
        What it is painted on.
    panel : Panel
        What it says.
    left, top : float
        Corner of its place on the paper, pixels.
    side : int
        Of its plot, pixels; a multiple of 120.
    """
    plot = Box(left + MARGIN, top + CAPTION, side, side)
    _caption(paper, panel, plot)
    if len(panel.axes) == 2:
        _density(paper, panel, plot)
    elif panel.axes:
        _histogram(paper, panel, plot)
    else:
        _words_only(paper, panel, plot)
    look = LOOKS[panel.status]
    paper.rectangle(plot, edge=look.colour if look.is_loud else FRAME, width=2.4 if look.is_loud else 0.8)
    for number, line in enumerate(note_lines(panel, side)):
        paper.text(left, plot.bottom + BELOW + 8 + number * LINE, line)


def paint_backgate(paper: Paper, backgate: Backgate, left: float, top: float) -> None:
    """Paint where some cells lie among an ancestor's events.

    Parameters
    ----------
    paper : Paper
        What it is painted on.
    backgate : Backgate
        The ancestor's panel and the cells.
    left, top : float
        Corner of its place on the paper, pixels.
    """
    panel, plot = backgate.panel, Box(left, top + SMALL_CAPTION, SMALL_SIDE, SMALL_SIDE)
    title = shortened(panel.population, SMALL_SIDE, 8.5, bold=True)
    paper.text(plot.left, plot.top - 6, title, size=8.5, bold=True)
    behind, cells = _summed(panel.raster, SMALL_BINS), _summed(backgate.raster, SMALL_BINS)
    image = (
        _two_histograms(behind, cells)
        if behind.ndim == 1
        else _over(coloured(behind, GREY), coloured(cells, WARM))
    )
    paper.image(enlarged(image, SMALL_SIDE // SMALL_BINS), plot.left, plot.top)
    _gate(paper, panel, plot)
    paper.rectangle(plot, edge=FRAME, width=0.8)
    paper.text(plot.left, plot.bottom + 13, _axes_in_words(panel), colour=FAINT)


def _caption(paper: Paper, panel: Panel, plot: Box) -> None:
    look, band = LOOKS[panel.status], Box(plot.left, plot.top - 19, plot.width, 19)
    paper.text(plot.left, plot.top - 50, _title(panel, plot.width), size=9.5, bold=True)
    if panel.is_reference:
        paper.text(plot.right, plot.top - 50, "reference", colour=FAINT, align="right")
    paper.text(plot.left, plot.top - 26, panel.percent, size=15, bold=True)
    paper.text(plot.right, plot.top - 26, panel.count, size=8.5, align="right")
    paper.rectangle(band, face=look.tint, edge=look.colour, width=0.8)
    if look.is_hatched:
        paper.hatching(band, look.colour)
        words = width_of(panel.status_words, 8.5, bold=look.is_loud)
        paper.rectangle(Box(band.left + 5, band.top + 2, round(words) + 12, band.height - 4), face=look.tint)
    paper.rectangle(Box(band.left, band.top, 6, band.height), face=look.colour)
    paper.text(
        band.left + 11, band.bottom - 6, panel.status_words, size=8.5, colour=look.ink, bold=look.is_loud
    )


def _title(panel: Panel, width: float) -> str:
    """Return whose gate it is in whose events; what is too long loses the parent first."""
    whole, room = f"{panel.parent} → {panel.population}", width - 62 * panel.is_reference
    if width_of(whole, 9.5, bold=True) <= room:
        return whole
    own = f" → {panel.population}"
    left = max(room - width_of(own, 9.5, bold=True) - 2, 20)
    return shortened(shortened(panel.parent, left, 9.5, bold=True) + own, room, 9.5, bold=True)


def _words_only(paper: Paper, panel: Panel, plot: Box) -> None:
    look = LOOKS[panel.status]
    paper.rectangle(plot, face="#f4f4f4")
    if look.is_hatched:
        paper.hatching(plot, GHOST)
    lines = [line for note in panel.notes for line in wrapped(note, plot.width - 36, 9.5, 6)]
    above = plot.top + plot.height / 2 - 8 * len(lines)
    paper.rectangle(Box(plot.left + 10, above - 8, plot.width - 20, 16 * len(lines) + 16), face="#ffffff")
    for number, line in enumerate(lines):
        paper.text(plot.left + plot.width / 2, above + 12 + 16 * number, line, size=9.5, align="center")


def _density(paper: Paper, panel: Panel, plot: Box) -> None:
    image = coloured(panel.raster, DENSITY)
    paper.image(enlarged(image, plot.width // len(image)), plot.left, plot.top)
    _gate(paper, panel, plot)
    _bottom_axis(paper, panel.axes[0], plot)
    _left_axis(paper, panel.axes[1], plot)


def _histogram(paper: Paper, panel: Panel, plot: Box) -> None:
    counts = _summed(panel.raster, _bars(int(panel.raster.sum()), plot.width))
    top = 1.08 * max(int(counts.max()), 1)
    kept = _holds(panel.kept, panel, plot.width)
    inks = [INKS[inside] if panel.kept else PLAIN for inside in kept]
    ground = [WINDOW if inside else WHITE for inside in _holds(panel.window, panel, plot.width)]
    columns = counts.repeat(plot.width // len(counts)) / top
    paper.image(bars(columns, plot.height, inks, ground), plot.left, plot.top)
    paper.lines([_smoothed(counts / top, plot)], INK, width=0.7, inside=plot)
    _gate(paper, panel, plot)
    labels, minor = ticks(Identity(), 0.0, top)
    _bottom_axis(paper, panel.axes[0], plot)
    _left_axis(paper, Axis("events", "events", 0.0, top, labels, minor), plot)


def _bars(events: int, width: int) -> int:
    """Return how many bars show so many events without being noise."""
    enough = ((240, 10_000), (120, 1_000), (60, 0))
    return next(n for n, least in enough if events >= least and width % n == 0)


def _holds(limits: tuple[float, ...], panel: Panel, width: int) -> list[bool]:
    """Return which columns of pixels lie between two limits; none where there are no limits."""
    axis = panel.axes[0]
    middles = axis.low + (np.arange(width) + 0.5) / width * (axis.high - axis.low)
    return [bool(limits) and limits[0] <= middle < limits[1] for middle in middles]


def _smoothed(heights: Values, plot: Box) -> Values:
    places = (np.arange(len(heights)) + 0.5) / len(heights)
    return plot.at(places, np.convolve(heights, SMOOTH, mode="same"))


def _gate(paper: Paper, panel: Panel, plot: Box) -> None:
    """Draw the stored gate dashed and the placed one solid, both legible on any ground."""
    for outline, width, dash in ((panel.stored, 1.1, DASHED), (panel.placed, 1.5, "solid")):
        paths = _paths(outline, panel.axes, plot)
        paper.lines(paths, "#ffffffcc", width=width + 1.8, inside=plot)
        paper.lines(paths, INK, width=width, dash=dash, inside=plot)


def _paths(outline: Outline, axes: tuple[Axis, ...], plot: Box) -> list[Values]:
    if len(axes) == 1:
        ends = np.array([0.0, 1.0])
        return [plot.at(axes[0].fraction(np.array([edge, edge])), ends) for edge in outline.edges]
    return [plot.at(axes[0].fraction(path[:, 0]), axes[1].fraction(path[:, 1])) for path in outline.paths]


def _bottom_axis(paper: Paper, axis: Axis, plot: Box) -> None:
    for place, words in axis.labels:
        paper.text(plot.left + axis.fraction(place) * plot.width, plot.bottom + 16, words, align="center")
    marks = _marks(axis, plot.left, plot.width)
    paper.lines([np.array([(x, plot.bottom), (x, plot.bottom + long)]) for x, long in marks], INK, width=0.7)
    detector, start, gap = _named(axis, plot.width)
    paper.text(plot.left + start, plot.bottom + 31, axis.marker, size=9, bold=True)
    paper.text(plot.left + start + gap, plot.bottom + 31, detector, colour=FAINT)


def _left_axis(paper: Paper, axis: Axis, plot: Box) -> None:
    for place, words in axis.labels:
        paper.text(plot.left - 7, plot.bottom - axis.fraction(place) * plot.height + 3, words, align="right")
    marks = _marks(axis, plot.bottom, -plot.height)
    paper.lines([np.array([(plot.left, y), (plot.left - long, y)]) for y, long in marks], INK, width=0.7)
    detector, start, gap = _named(axis, plot.height)
    paper.text(plot.left - 37, plot.bottom - start, axis.marker, size=9, bold=True, turned=True)
    paper.text(plot.left - 37, plot.bottom - start - gap, detector, colour=FAINT, turned=True)


def _named(axis: Axis, length: float) -> tuple[str, float, float]:
    """Return the detector's name, where the pair of marker and detector begins, and where the second does."""
    gap = width_of(axis.marker, 9, bold=True) + 6
    detector = shortened(axis.detector, length - gap, 8) if axis.detector != axis.marker else ""
    return detector, max((length - gap - width_of(detector, 8)) / 2, 0), gap


def _marks(axis: Axis, start: float, length: float) -> list[tuple[float, float]]:
    """Return where ticks stand along an axis, pixels, and how long they are."""
    places = [(place, 5.0) for place, _ in axis.labels] + [(place, 2.5) for place in axis.minor]
    return [(start + axis.fraction(place) * length, long) for place, long in places]


def _summed(counts: Counts, n: int) -> Counts:
    """Add bins up until there are n along each axis: every event is still there."""
    if counts.ndim == 1:
        return np.asarray(counts.reshape(n, -1).sum(axis=1))
    return np.asarray(counts.reshape(n, len(counts) // n, n, -1).sum(axis=(1, 3)))


def _over(below: Image, above: Image) -> Image:
    return np.where((above == 255).all(axis=2, keepdims=True), below, above)


def _two_histograms(behind: Counts, cells: Counts) -> Image:
    """Return two histograms, each as high as the plot allows."""
    grey, warm = (bars(counts / (1.08 * max(int(counts.max()), 1)), len(counts), [ink] * len(counts))
                  for counts, ink in ((behind, GHOST), (cells, CELLS)))  # fmt: skip
    return _over(grey, warm)


def _axes_in_words(panel: Panel) -> str:
    return shortened(" against ".join(axis.marker for axis in reversed(panel.axes)), SMALL_SIDE, 8)
