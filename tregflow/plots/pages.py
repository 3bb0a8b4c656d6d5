"""Where everything on a page goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TypeVar

from tregflow.errors import Finding
from tregflow.gating import Gated
from tregflow.plots import drawing
from tregflow.plots.drawing import (
    FAINT,
    INK,
    LOOKS,
    height_of,
    is_loud,
    paint_backgate,
    paint_badge,
    paint_panel,
    paint_samples,
)
from tregflow.plots.paint import WHITE, Box, Paper, shortened, width_of, wrapped
from tregflow.plots.panels import (
    NO_SPREADS,
    Backgate,
    Header,
    Panel,
    Remark,
    backgates,
    header,
    panels,
    remarks,
)

Item = TypeVar("Item")

WIDTH, EDGE = 1600, 24
"""Pixels across a page, and left free at its sides."""

HEADER, HEADING, FOOTER, GAP = 112, 26, 46, 10
"""Pixels from top to bottom: the page's head, a block's heading, the page's foot, between rows."""

REMARK, REMARKS = 20, 8
"""Pixels of a line that calls attention to a gate, and most of these lines."""

FEW = 3
"""Panels that are drawn larger, because there are no more."""

SMALL_COLUMNS = 8
"""Panels in a row of the block that shows where the primary measure's cells lie."""

FLAGS = 4
"""Lines of the head that flags may fill."""

VERDICTS = {"pass": "#007a59", "review": "#e69f00", "fail": "#d55e00"}

LEGEND = (
    "Every event of the parent is drawn: per bin, logarithmic, dark few to yellow many; dark bars are kept."
)
ALL = "all of them in colour over the parent's events in grey (histograms: each as high as fits)"


def page(
    gated: Gated,
    title: str,
    file: str = "",
    comment: str = "",
    spreads: Mapping[str, float] = NO_SPREADS,
) -> bytes:
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
    spreads : mapping of str to float, optional
        Standard deviation of each gate's position by population, axis units; a faint band around it.

    Returns
    -------
    bytes
        A PNG file, the same for the same events.
    """
    shown, called = panels(gated, spreads), remarks(gated)
    columns, side = (FEW, 360) if len(shown) <= FEW else (5, 240)
    rows, small = _rows(shown, columns), _rows(backgates(gated, shown), SMALL_COLUMNS)
    heights, start = [_height(row, side) for row in rows], HEADER + _strip_height(called)
    paper = Paper(WIDTH, start + sum(heights) + _small_height(len(small)) + FOOTER)
    _paint_header(paper, header(gated, title, file), _summary(shown))
    _paint_strip(paper, called, gated.template.primary.name)
    for row, top in zip(rows, accumulate([start, *heights]), strict=False):
        for left, panel in zip(_lefts(columns), row, strict=False):
            paint_panel(paper, panel, left, top, side)
    if small:
        _paint_backgates(paper, small, start + sum(heights), gated.template.primary.count)
    _paint_legend(paper, paper.height - FOOTER)
    return paper.png(comment)


def _rows(items: Sequence[Item], length: int) -> list[Sequence[Item]]:
    return [items[start : start + length] for start in range(0, len(items), length)]


def _lefts(columns: int) -> list[float]:
    return [EDGE + column * (WIDTH - 2 * EDGE) / columns for column in range(columns)]


def _height(row: Sequence[Panel], side: int) -> int:
    return max(height_of(panel, side) for panel in row) + GAP


def _strip_height(called: Sequence[Remark]) -> int:
    return REMARK * min(len(called), REMARKS) + 8 if called else 0


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


def _paint_header(paper: Paper, said: Header, summary: tuple[str, str]) -> None:
    paper.text(EDGE, 42, shortened(said.title, 430, 18, bold=True), size=18, bold=True)
    paper.text(EDGE, 60, shortened(said.file, 430, 9), size=9, colour=FAINT)
    paper.text(EDGE, 74, shortened(said.template, 430, 9), size=9, colour=FAINT)
    if said.notes:
        paper.text(EDGE, 89, shortened("notes: " + ", ".join(said.notes), 430, 8.5), size=8.5, colour=FAINT)
    paper.text(480, 30, shortened(said.measure, 230, 10, bold=True), size=10, bold=True)
    paper.text(480, 64, said.percent, size=24, bold=True)
    paper.text(480, 84, shortened(said.count, 230, 9), size=9)
    _paint_verdict(paper, said, summary)
    paper.rectangle(Box(EDGE, HEADER - 10, WIDTH - 2 * EDGE, 1), face="#c8c8c8")


def _paint_verdict(paper: Paper, said: Header, summary: tuple[str, str]) -> None:
    paper.rectangle(Box(730, 24, 116, 36), face=VERDICTS[said.verdict])
    ink = INK if said.verdict == "review" else WHITE
    paper.text(788, 49, said.verdict.upper(), size=15, colour=ink, bold=True, align="center")
    paper.text(870, 36, summary[0], size=10, bold=True)
    paper.text(870 + width_of(summary[0], 10, bold=True) + 12, 36, summary[1], size=8.5, colour=FAINT)
    for number, (code, words) in enumerate(_flag_lines(said.flags) or [("no other flags", "")]):
        paper.text(870, 54 + 14 * number, code, size=8.5, bold=True)
        paper.text(990, 54 + 14 * number, words, size=8.5)


def _summary(shown: Sequence[Panel]) -> tuple[str, str]:
    """Return how many gates someone must look at, and how many there are of each sign."""
    loud, signs = sum(is_loud(panel.sign) for panel in shown), Counter(panel.sign for panel in shown)
    counts = ", ".join(f"{signs[sign]} {sign}" for sign in LOOKS if sign in signs)
    asks = "asks" if loud == 1 else "ask"
    return (f"{loud} of {len(shown)} gates {asks} for a look" if loud else "No gate asks for a look"), counts


def _paint_strip(paper: Paper, called: Sequence[Remark], primary: str) -> None:
    """Write a line for every gate that is not as quiet as the others."""
    top = HEADER - 4
    shown = called if len(called) <= REMARKS else called[: REMARKS - 1]
    for number, remark in enumerate(shown):
        _paint_remark(paper, remark, top + number * REMARK, primary)
    if rest := called[len(shown) :]:
        words = f"and {len(rest)} more: " + ", ".join(f"{one.population} ({one.sign})" for one in rest)
        paper.text(EDGE + 24, top + len(shown) * REMARK + 12, shortened(words, WIDTH - 80, 8.5), size=8.5)
    if called:
        paper.rectangle(Box(EDGE, top + _strip_height(called) - 4, WIDTH - 2 * EDGE, 1), face="#c8c8c8")


def _paint_remark(paper: Paper, remark: Remark, top: float, primary: str) -> None:
    look, baseline = LOOKS[remark.sign], top + 12
    if is_loud(remark.sign):
        paper.rectangle(Box(EDGE, top - 1, WIDTH - 2 * EDGE, 18), face=look.colour + "24")
    paint_badge(paper, remark.sign, EDGE, top - 1, 18)
    bold = is_loud(remark.sign)
    paper.text(EDGE + 26, baseline, shortened(remark.population, 190, 9, bold=True), size=9, bold=True)
    paper.text(250, baseline, shortened(remark.status_words, 220, 8.5, bold=bold), size=8.5, bold=bold)
    aside = f"not on the way to {primary}" if remark.is_aside else ""
    room = 1390 - 485 - (width_of(aside, 8) + 14 if aside else 0)
    paper.text(485, baseline, shortened(remark.sentence, room, 8.5), size=8.5)
    paper.text(1390, baseline, aside, colour=FAINT, align="right")
    paper.text(WIDTH - EDGE - 6, baseline, ", ".join(remark.codes), size=8.5, colour=FAINT, align="right")


def _flag_lines(flags: Sequence[Finding]) -> list[tuple[str, str]]:
    """Return flags as lines, each with its code where it begins, and how many more there are."""
    lines = []
    for flag in flags:
        sentence = wrapped(flag.sentence, WIDTH - EDGE - 990, 8.5, 2)
        lines += [(flag.code if part == sentence[0] else "", part) for part in sentence]
    if len(lines) > FLAGS:
        return [*lines[: FLAGS - 1], (f"{len(flags)} in all", "see files.csv")]
    return lines


def _paint_legend(paper: Paper, top: float) -> None:
    left: float = EDGE
    for sign in LOOKS:
        paint_badge(paper, sign, left, top + 5, 14)
        paper.text(left + 19, top + 16, sign, colour=INK if is_loud(sign) else FAINT)
        left += 19 + width_of(sign, 8) + 16
    paper.text(left + 4, top + 16, "Framed panels ask for a look. " + LEGEND, colour=FAINT)
    paint_samples(paper, EDGE, top + 36)
