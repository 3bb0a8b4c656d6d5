"""How one panel looks: its density or histogram, the gate, the ticks and the words around them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    rgb,
    scale_of,
    shortened,
    width_of,
    wrapped,
)
from tregflow.plots.panels import CALLED_TO, Backgate, Outline, Panel
from tregflow.plots.signs import Sign
from tregflow.sample import Values
from tregflow.transforms import Identity

CAPTION, BELOW = 64, 38
"""Pixels above and below a plot."""

SMALL_SIDE, SMALL_CAPTION, SMALL_BELOW = 180, 18, 18
"""Pixels of the side of a plot that shows where the primary measure's cells lie, above and below it."""

SMALL_BINS = 60

MARGIN, LINE = 52, 12
"""Left of a plot; and of one line of notes."""

INK, FAINT, STORED, FRAME = "#1a1a1a", "#5f5f5f", "#4a4a4a", "#8a8a8a"
PLAIN, GHOST, CELLS, WINDOW = "#7d8699", "#d4d4d4", "#c2447c", "#fbf3b4"
LEAN, SPREAD, RIM, HALO = "#8b1a6b", "#b0b0b0a8", "#a8973a", "#ffffffd8"
"""Of the outline that a gate was placed on, of how far its border may lie, of a window's edges, around lines."""

INKS = {True: "#3b528b", False: "#bcc4d1"}
"""Colour of a bar by whether the gate keeps it."""

DENSITY, GREY, WARM = scale_of("viridis"), scale_of("Greys", 0.15, 0.5), scale_of("plasma", 0.62, 0.2)

DASHED: Dash = (0, (4, 3))
DASHED_FINE: Dash = (0, (2.5, 2))
DOTTED: Dash = (0, (1, 1.6))
DASH_DOT: Dash = (0, (4, 1.2, 1, 1.2))

VISIBLE = 6
"""Pixels that a gate must have moved for an arrow to show it."""

HIGH = 0.9
"""Where along its height a cut's arrow is drawn."""

POINTS = 0.72
"""Points in a pixel."""

WALL = 9
"""Pixels of the hatched strip beyond the edge at which a cut stopped."""

FAINTEST = 0.15
"""A side of a cut whose highest bar is lower than this share of the highest of all is drawn once more, larger."""

MAGNIFIED = (500, 200, 100, 50, 20, 10, 5)
"""So many times, the most that fits."""

ENOUGH = 50
"""Events on the faint side of a cut below which drawing them larger would show chance alone."""

SMOOTH = np.array([1, 4, 6, 4, 1]) / 16
"""Weights of neighbouring bins in a histogram's outline; the bars are the counts themselves."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a sign is drawn: in a colour, with a symbol, and in words.

    Parameters
    ----------
    symbol : str
        One letter of the font.
    colour, tint, ink : str
        Of the symbol's box and the frame, of the band that names the sign, and of the words in it.
    frame : str or tuple
        Dashes of the frame, which tell two frames apart in grey.
    line : str or tuple
        Dashes of the gate itself.
    is_hatched : bool
        Whether the band is, because there is no gate.
    """

    symbol: str
    colour: str
    tint: str
    ink: str = INK
    frame: Dash = "solid"
    line: Dash = "solid"
    is_hatched: bool = False

    @property
    def on_colour(self) -> str:
        """White or ink, whichever is legible on the colour."""
        red, green, blue = rgb(self.colour)
        return WHITE if 0.3 * red + 0.59 * green + 0.11 * blue < 140 else INK


LOOKS: Mapping[Sign, Look] = {
    "found": Look("✓", "#0072b2", "#edf4f9"),
    "stored": Look("=", "#7a7a7a", "#f1f1f1"),
    "moved": Look("→", "#009e73", "#c3e9dd"),
    "corrected": Look("✎", "#56b4e9", "#d3ecfa"),
    "weak": Look("≈", "#cc79a7", "#f3d3e4", frame=DOTTED),
    "unsettled": Look("?", "#8f4b7c", "#8f4b7c", WHITE, frame=DASH_DOT),
    "at bound": Look("⇥", "#e69f00", "#ffc94d"),
    "fallback": Look("↩", "#d55e00", "#d55e00", WHITE, frame=(0, (6, 2.5)), line=DASH_DOT),
    "skipped": Look("⊘", "#6e6e6e", "#e4e4e4", frame=DASHED, is_hatched=True),
    "refused": Look("✕", "#2b2b2b", "#e4e4e4", is_hatched=True),
}
"""Okabe and Ito's colours, which colour-blind eyes keep apart; symbols, dashes and words say the same."""


SAMPLES: tuple[tuple[str, str, float, Dash], ...] = (
    ("gate", INK, 1.5, "solid"),
    ("stored gate, not used", STORED, 1.0, DASHED),
    ("stored gate, used instead", LOOKS["fallback"].colour, 2.4, LOOKS["fallback"].line),
    ("moved (arrow)", LOOKS["moved"].colour, 1.8, "solid"),
    ("where the gate may lie", WINDOW, 8, "solid"),
    ("edge at which it stopped (hatched)", LOOKS["at bound"].colour, 8, "solid"),
    ("cells it was placed on", LEAN, 1.3, DOTTED),
    ("bars once more, higher", FAINT, 0.8, DASHED_FINE),
    ("spread of its place", SPREAD, 8, "solid"),
)
"""Lines of a panel, with what they mean."""


def is_loud(sign: Sign) -> bool:
    """Whether someone must look: the panel is framed."""
    return sign in CALLED_TO


def height_of(panel: Panel, side: int) -> int:
    """Return the pixels that a panel takes from top to bottom, its lines of words included."""
    return CAPTION + side + BELOW + LINE * len(lines_below(panel, side)) + 4


def lines_below(panel: Panel, side: int) -> list[tuple[str, str]]:
    """Return the lines below a plot with their colours: why to look, then what else must be known.

    A panel without axes has its words inside.
    """
    if not panel.axes:
        return []
    said = [(panel.reason, INK, 3), *((note, INK, 2) for note in panel.notes), (panel.leans_on, FAINT, 2)]
    return [(line, ink) for words, ink, most in said for line in wrapped(words, MARGIN + side + 12, 8, most)]


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
    if is_loud(panel.sign):
        _card(paper, panel, Box(left - 4, top, MARGIN + side + 14, height_of(panel, side)))
    _caption(paper, panel, plot)
    if len(panel.axes) == 2:
        _density(paper, panel, plot)
    elif panel.axes:
        _histogram(paper, panel, plot)
    else:
        _words_only(paper, panel, plot)
    paper.rectangle(plot, edge=FRAME, width=0.8)
    for number, (line, ink) in enumerate(lines_below(panel, side)):
        paper.text(left + 2, plot.bottom + BELOW + 8 + number * LINE, line, colour=ink)


def paint_badge(paper: Paper, sign: Sign, left: float, top: float, side: int = 19) -> None:
    """Paint the symbol of a sign in its box.

    Parameters
    ----------
    paper : Paper
        What it is painted on.
    sign : str
        Whose symbol.
    left, top : float
        Corner of the box, pixels.
    side : int, default 19
        Of the box, pixels.
    """
    look = LOOKS[sign]
    paper.rectangle(Box(left, top, side, side), face=look.colour)
    paper.text(
        left + side / 2, top + 0.79 * side, look.symbol, size=0.62 * side,
        colour=look.on_colour, bold=True, align="center",
    )  # fmt: skip


def _card(paper: Paper, panel: Panel, box: Box) -> None:
    """Put a tinted card with a heavy border below a panel that someone must look at."""
    look = LOOKS[panel.sign]
    paper.rectangle(box, face=look.colour + "1c")
    paper.border(box, look.colour, 2.6, look.frame)


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
    _borders(paper, panel, plot)
    paper.rectangle(plot, edge=FRAME, width=0.8)
    paper.text(plot.left, plot.bottom + 13, _axes_in_words(panel), colour=FAINT)


def paint_samples(paper: Paper, left: float, baseline: float) -> None:
    """Write what each kind of line means, beside a piece of it.

    Parameters
    ----------
    paper : Paper
        What it is painted on.
    left, baseline : float
        Where the first begins, pixels.
    """
    for words, ink, width, dash in SAMPLES:
        paper.lines(
            [np.array([(left, baseline - 4), (left + 30, baseline - 4)])], ink, width=width, dash=dash
        )
        paper.text(left + 36, baseline, words, colour=FAINT)
        left += 36 + width_of(words, 8) + 15


def _caption(paper: Paper, panel: Panel, plot: Box) -> None:
    paper.text(plot.left, plot.top - 50, _title(panel, plot.width), size=9.5, bold=True)
    if panel.is_reference:
        paper.text(plot.right, plot.top - 50, "reference", colour=FAINT, align="right")
    paper.text(plot.left, plot.top - 26, panel.percent, size=15, bold=True)
    paper.text(plot.right, plot.top - 26, panel.count, size=8.5, align="right")
    _band(paper, panel, Box(plot.left, plot.top - 19, plot.width, 19))


def _band(paper: Paper, panel: Panel, band: Box) -> None:
    """Name the sign of a gate above its plot, with how clearly it parts its events where there is room."""
    look, is_bold = LOOKS[panel.sign], is_loud(panel.sign)
    words = shortened(panel.status_words, band.width - 30, 8.5, bold=is_bold)
    wide = width_of(words, 8.5, bold=is_bold)
    paper.rectangle(band, face=look.tint, edge=look.colour, width=0.8)
    if look.is_hatched:
        paper.hatching(band, look.colour)
        paper.rectangle(Box(band.left + 20, band.top + 2, round(wide) + 12, band.height - 4), face=look.tint)
    paint_badge(paper, panel.sign, band.left, band.top, band.height)
    paper.text(band.left + 25, band.bottom - 6, words, size=8.5, colour=look.ink, bold=is_bold)
    if panel.figures and 25 + wide + 10 + width_of(panel.figures, 8) < band.width:
        paper.text(band.right - 5, band.bottom - 6, panel.figures, colour=look.ink, align="right")


def _title(panel: Panel, width: float) -> str:
    """Return whose gate it is in whose events; what is too long loses the parent first."""
    whole, room = f"{panel.parent} → {panel.population}", width - 62 * panel.is_reference
    if width_of(whole, 9.5, bold=True) <= room:
        return whole
    own = f" → {panel.population}"
    left = max(room - width_of(own, 9.5, bold=True) - 2, 20)
    return shortened(shortened(panel.parent, left, 9.5, bold=True) + own, room, 9.5, bold=True)


def _words_only(paper: Paper, panel: Panel, plot: Box) -> None:
    look = LOOKS[panel.sign]
    paper.rectangle(plot, face="#f4f4f4")
    if look.is_hatched:
        paper.hatching(plot, GHOST)
    said = [words for words in (panel.reason, *panel.notes) if words]
    lines = [line for words in said for line in wrapped(words, plot.width - 36, 9.5, 6)]
    above = plot.top + plot.height / 2 - 8 * len(lines)
    paper.rectangle(Box(plot.left + 10, above - 8, plot.width - 20, 16 * len(lines) + 16), face="#ffffff")
    for number, line in enumerate(lines):
        paper.text(plot.left + plot.width / 2, above + 12 + 16 * number, line, size=9.5, align="center")


def _density(paper: Paper, panel: Panel, plot: Box) -> None:
    image = _on_window(coloured(panel.raster, DENSITY), panel)
    paper.image(enlarged(image, plot.width // len(image)), plot.left, plot.top)
    if panel.lean is not None:
        _haloed(paper, _half_of(panel.lean, plot), LEAN, 1.1, DOTTED, plot)
    _gate(paper, panel, plot)
    _bottom_axis(paper, panel.axes[0], plot)
    _left_axis(paper, panel.axes[1], plot)


def _on_window(image: Image, panel: Panel) -> Image:
    """Tint the paper where the gate may lie; bins with events keep their colour."""
    if not panel.windows:
        return image
    inside = [_between(panel.windows[place] if place < len(panel.windows) else (-math.inf, math.inf), axis, len(image))
              for place, axis in enumerate(panel.axes)]  # fmt: skip
    free = (image == 255).all(axis=2) & inside[0] & inside[1][::-1, np.newaxis]
    return np.where(free[:, :, np.newaxis], np.array(rgb(WINDOW), np.uint8), image)


def _half_of(counts: Counts, plot: Box) -> list[Values]:
    """Return the border of the densest bins that hold half of some events, as short lines between bins."""
    smooth = counts.astype(float)
    for axis in (0, 1):
        smooth = np.apply_along_axis(np.convolve, axis, smooth, SMOOTH, mode="same")
    order = np.sort(smooth, axis=None)[::-1]
    level = order[np.searchsorted(np.cumsum(order), order.sum() / 2)] if counts.any() else math.inf
    dense, step = np.pad(smooth >= level, 1), plot.width / len(counts)
    rights, tops = np.argwhere(dense[1:] != dense[:-1]), np.argwhere(dense[:, 1:] != dense[:, :-1])
    upright = [np.array([(x, y - 1), (x, y)]) for x, y in rights]
    level_ones = [np.array([(x - 1, y), (x, y)]) for x, y in tops]
    return [
        plot.at(end[:, 0] * step / plot.width, end[:, 1] * step / plot.height) for end in upright + level_ones
    ]


def _histogram(paper: Paper, panel: Panel, plot: Box) -> None:
    counts = _summed(panel.raster, _bars(int(panel.raster.sum()), plot.width))
    top = 1.08 * max(int(counts.max()), 1)
    kept = _between(panel.kept, panel.axes[0], plot.width)
    inks = [INKS[bool(inside)] if panel.kept else PLAIN for inside in kept]
    inside = _between(panel.windows[0] if panel.windows else (), panel.axes[0], plot.width)
    columns = counts.repeat(plot.width // len(counts)) / top
    paper.image(
        bars(columns, plot.height, inks, [WINDOW if here else WHITE for here in inside]), plot.left, plot.top
    )
    paper.lines([_smoothed(counts / top, plot)], INK, width=0.7, inside=plot)
    _magnified(paper, panel, counts, plot)
    if panel.lean is not None:
        lean = _summed(panel.lean, len(counts))
        _haloed(paper, [_smoothed(lean / (1.08 * max(int(lean.max()), 1)), plot)], LEAN, 1.3, DOTTED, plot)
    _gate(paper, panel, plot)
    labels, minor = ticks(Identity(), 0.0, top)
    _bottom_axis(paper, panel.axes[0], plot)
    _left_axis(paper, Axis("events", "events", 0.0, top, labels, minor), plot)


def _magnified(paper: Paper, panel: Panel, counts: Counts, plot: Box) -> None:
    """Draw the outline once more, so many times higher, where one side of a cut would hardly be seen."""
    if len(panel.placed.edges) != 1:
        return
    top = 1.08 * max(int(counts.max()), 1)
    cut = int(np.clip(panel.axes[0].fraction(panel.placed.edges[0]), 0, 1) * len(counts))
    sides = counts[:cut], counts[cut:]
    faint, other = sorted((int(side.max(initial=0)), place) for place, side in enumerate(sides))
    times = next((times for times in MAGNIFIED if times * faint[0] <= 0.7 * top), 0)
    if sides[faint[1]].sum() < ENOUGH or faint[0] > FAINTEST * other[0] or not times:
        return
    paper.lines([_smoothed(times * counts / top, plot)], FAINT, width=0.8, dash=DASHED_FINE, inside=plot)
    at, align = [(plot.left + 4, "left"), (plot.right - 4, "right")][faint[1]]
    paper.text(at, plot.top + 14, f"× {times}", colour=FAINT, align=align)


def _bars(events: int, width: int) -> int:
    """Return how many bars show so many events without being noise."""
    enough = ((240, 10_000), (120, 1_000), (60, 0))
    return next(n for n, least in enough if events >= least and width % n == 0)


def _between(limits: tuple[float, ...], axis: Axis, n: int) -> NDArray[np.bool_]:
    """Return which of n columns of an axis lie between two limits; none where there are no limits."""
    middles = axis.low + (np.arange(n) + 0.5) / n * (axis.high - axis.low)
    return (middles >= limits[0]) & (middles < limits[1]) if limits else np.zeros(n, bool)


def _smoothed(heights: Values, plot: Box) -> Values:
    places = (np.arange(len(heights)) + 0.5) / len(heights)
    return plot.at(places, np.convolve(heights, SMOOTH, mode="same"))


def _gate(paper: Paper, panel: Panel, plot: Box) -> None:
    """Draw where the gate may lie, its border, and how it came there."""
    _rims(paper, panel, plot)
    _borders(paper, panel, plot)
    _arrow(paper, panel, plot)


def _borders(paper: Paper, panel: Panel, plot: Box) -> None:
    """Draw the stored gate dashed and the placed one, in the line of its sign, with the spread of its place."""
    look, paths = LOOKS[panel.sign], _paths(panel.placed, panel.axes, plot)
    _haloed(paper, _paths(panel.stored, panel.axes, plot), STORED, 1.0, DASHED, plot)
    ink, width = (look.colour, 2.4) if look.line != "solid" else (INK, 1.5)
    paper.lines(paths, HALO, width=width + 1.8, inside=plot)
    if math.isfinite(panel.spread):
        wide = 2 * panel.axes[0].fraction(panel.axes[0].low + panel.spread) * plot.width
        paper.lines(paths, SPREAD, width=wide * POINTS, inside=plot)
    paper.lines(paths, ink, width=width, dash=look.line, inside=plot)


def _haloed(paper: Paper, paths: list[Values], ink: str, width: float, dash: Dash, plot: Box) -> None:
    """Draw lines that are legible on any ground."""
    paper.lines(paths, HALO, width=width + 1.8, inside=plot)
    paper.lines(paths, ink, width=width, dash=dash, inside=plot)


def _rims(paper: Paper, panel: Panel, plot: Box) -> None:
    """Draw the edges of the window, and a wall behind the one at which the gate stopped."""
    for place, window in enumerate(panel.windows[: len(panel.axes)]):
        ends = panel.axes[place].fraction(np.array([edge for edge in window if math.isfinite(edge)]))
        across = [np.array([end, end]) for end in ends if 0 < end < 1]
        along = np.array([0.0, 1.0])
        rims = [plot.at(*((end, along) if place == 0 else (along, end))) for end in across]
        paper.lines(rims, RIM, width=0.7, dash=DOTTED, inside=plot)
    if math.isfinite(panel.hit):
        x = plot.left + panel.axes[0].fraction(panel.hit) * plot.width
        beyond = x if panel.hit == panel.windows[0][1] else x - WALL
        wall = Box(beyond, plot.top, WALL, plot.height)
        paper.rectangle(wall, face=LOOKS["at bound"].colour + "80")
        paper.hatching(wall, INK)


def _arrow(paper: Paper, panel: Panel, plot: Box) -> None:
    """Draw an arrow from the stored gate to the placed one, if it is long enough to be seen."""
    if panel.travel is None:
        return
    across = panel.axes[0].fraction(panel.travel[:, 0])
    up = panel.axes[1].fraction(panel.travel[:, 1]) if len(panel.axes) == 2 else np.full(2, math.nan)
    start, end = plot.at(across, np.where(np.isnan(up), HIGH, up))
    if (far := math.dist(start, end)) < VISIBLE:
        return
    along = (end - start) / far
    side, back = np.array([-along[1], along[0]]), end - min(0.6 * far, 8) * along
    head = np.array([back + 4.5 * side, end, back - 4.5 * side])
    _haloed(paper, [np.array([start, end]), head], LOOKS["moved"].colour, 1.8, "solid", plot)


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
