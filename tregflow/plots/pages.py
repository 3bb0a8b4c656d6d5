"""Where everything on a page goes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

from tregflow.errors import Finding
from tregflow.gating import Gated
from tregflow.plots import drawing
from tregflow.plots.drawing import FAINT, INK, LINE, note_lines, paint_backgate, paint_panel
from tregflow.plots.paint import WHITE, Box, Paper, shortened, wrapped
from tregflow.plots.panels import Backgate, Header, Panel, backgates, header, panels

Item = TypeVar("Item")

WIDTH, EDGE = 1600, 24
"""Pixels across a page, and left free at its sides."""

HEADER, HEADING, FOOTER, GAP = 112, 26, 24, 10
"""Pixels from top to bottom: the page's head, a block's heading, the page's foot, between rows."""

FEW = 3
"""Panels that are drawn larger, because there are no more."""

SMALL_COLUMNS = 8
"""Panels in a row of the block that shows where the primary measure's cells lie."""

FLAGS = 5
"""Lines of the head that flags may fill."""

VERDICTS = {"pass": "#007a59", "review": "#e69f00", "fail": "#d55e00"}

LEGEND = (
    "Every event of the parent is drawn. Colour: events per bin, logarithmic, dark few to yellow many, white none. "
    "Dark bars are kept. Solid line: the gate as placed; dashed: the template's; yellow: where the cut may lie. "
    "Thick frame: someone must look."
)
ALL = "all of them in colour over the parent's events in grey (histograms: each as high as fits)"


def page(gated: Gated, title: str, file: str = "", comment: str = "") -> bytes:
    """Draw the page of one sample.

    Parameters
    ----------
    gated : Gated
        The file.
    title : str
        What the sample is called.
    file : str, optional
        The file's name.
    comment : str, optional
        Written into the file and not shown.

    Returns
    -------
    bytes
        A PNG file, the same for the same events.
    """
    shown = panels(gated)
    columns, side = (FEW, 360) if len(shown) <= FEW else (5, 240)
    rows, small = _rows(shown, columns), _rows(backgates(gated, shown), SMALL_COLUMNS)
    heights = [_height(row, side) for row in rows]
    paper = Paper(WIDTH, HEADER + sum(heights) + _small_height(len(small)) + FOOTER)
    _paint_header(paper, header(gated, title, file))
    for row, top in zip(rows, accumulate([HEADER, *heights]), strict=False):
        for left, panel in zip(_lefts(columns), row, strict=False):
            paint_panel(paper, panel, left, top, side)
    if small:
        _paint_backgates(paper, small, HEADER + sum(heights), gated.template.primary.count)
    paper.text(EDGE, paper.height - 9, LEGEND, colour=FAINT)
    return paper.png(comment)


def _rows(items: Sequence[Item], length: int) -> list[Sequence[Item]]:
    return [items[start : start + length] for start in range(0, len(items), length)]


def _lefts(columns: int) -> list[float]:
    return [EDGE + column * (WIDTH - 2 * EDGE) / columns for column in range(columns)]


def _height(row: Sequence[Panel], side: int) -> int:
    notes = max(len(note_lines(panel, side)) for panel in row)
    return drawing.CAPTION + side + drawing.BELOW + notes * LINE + GAP


def _small_height(rows: int) -> int:
    each = drawing.SMALL_CAPTION + drawing.SMALL_SIDE + drawing.SMALL_BELOW + GAP
    return HEADING + rows * each if rows else 0


def _paint_backgates(paper: Paper, rows: Sequence[Sequence[Backgate]], top: int, name: str) -> None:
    paper.rectangle(Box(EDGE, top, WIDTH - 2 * EDGE, 1), face="#c8c8c8")
    cells = int(rows[0][0].raster.sum())
    said = ALL if cells else "there are none"
    paper.text(EDGE, top + 19, f"Where the {name} cells lie on the way to them: {said}", size=9.5, bold=True)
    for number, row in enumerate(rows):
        below = top + HEADING + number * (_small_height(1) - HEADING)
        for left, backgate in zip(_lefts(SMALL_COLUMNS), row, strict=False):
            paint_backgate(paper, backgate, left, below)


def _paint_header(paper: Paper, said: Header) -> None:
    paper.text(EDGE, 42, shortened(said.title, 430, 18, bold=True), size=18, bold=True)
    paper.text(EDGE, 60, shortened(said.file, 430, 9), size=9, colour=FAINT)
    paper.text(EDGE, 74, shortened(said.template, 430, 9), size=9, colour=FAINT)
    if said.notes:
        paper.text(EDGE, 89, shortened("notes: " + ", ".join(said.notes), 430, 8.5), size=8.5, colour=FAINT)
    paper.text(480, 30, shortened(said.measure, 230, 10, bold=True), size=10, bold=True)
    paper.text(480, 64, said.percent, size=24, bold=True)
    paper.text(480, 84, shortened(said.count, 230, 9), size=9)
    _paint_verdict(paper, said)
    paper.rectangle(Box(EDGE, HEADER - 10, WIDTH - 2 * EDGE, 1), face="#c8c8c8")


def _paint_verdict(paper: Paper, said: Header) -> None:
    paper.rectangle(Box(730, 24, 116, 36), face=VERDICTS[said.verdict])
    ink = INK if said.verdict == "review" else WHITE
    paper.text(788, 49, said.verdict.upper(), size=15, colour=ink, bold=True, align="center")
    for number, (code, words) in enumerate(_flag_lines(said.flags)):
        paper.text(870, 32 + 14 * number, code, size=8.5, bold=True)
        paper.text(990, 32 + 14 * number, words, size=8.5)


def _flag_lines(flags: Sequence[Finding]) -> list[tuple[str, str]]:
    """Return flags as lines, each with its code where it begins, and how many more there are."""
    lines = []
    for flag in flags:
        sentence = wrapped(flag.sentence, WIDTH - EDGE - 990, 8.5, 2)
        lines += [(flag.code if part == sentence[0] else "", part) for part in sentence]
    if len(lines) > FLAGS:
        return [*lines[: FLAGS - 1], (f"{len(flags)} in all", "see the panels and files.csv")]
    return lines or [("no flags", "")]
