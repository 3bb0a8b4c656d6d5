"""Columns of text, for the terminal and for a page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from yardstick.scoring import (
    GateRow,
    Row,
    Share,
    deviation,
    false_flags,
    fold_errors,
    grouped,
    largest,
    mean,
    recall,
)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return lines of aligned columns: the first to the left, the others to the right."""
    cells = [list(map(str, heads)), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(heads))]
    lines = [
        "  ".join(cell.rjust(width) if place and _is_short(cells, place) else cell.ljust(width)
                  for place, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in cells
    ]  # fmt: skip
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _is_short(cells: Sequence[Sequence[str]], place: int) -> bool:
    """Return whether a column holds numbers rather than words."""
    return all(row[place][:1] in "+-0123456789n" or not row[place] for row in cells[1:])


def number(value: float, digits: int = 3, *, is_signed: bool = False) -> str:
    """Return a number, or a dash where there is none."""
    return "-" if math.isnan(value) else f"{value:{'+' if is_signed else ''}.{digits}f}"


def drift_table(rows: Sequence[Row]) -> str:
    """Return percent, events and folds by kind and size of drift, events and gates.

    The gap is the mean over tubes of the better oracle's F1 less the gates'.
    """
    heads = ("drift", "size", "events", "gates", "tubes", "mean |error|", "largest", "bias", "F1", "outline",
             "boundary", "gap", "folds", "mean", "SD", "flagged", "without a number")  # fmt: skip
    best = {_tube(row): (row.outline, row.boundary) for row in rows if not math.isnan(row.oracle)}
    groups = grouped(rows, lambda row: (row.kind, row.size, row.events, row.gates))
    return table(heads, (_drift_cells(key, own, best) for key, own in groups.items()))


def _tube(row: Row) -> tuple[object, ...]:
    return (row.kind, row.size, row.events, row.seed, row.sample)


def _drift_cells(
    key: tuple[str, float, int, str],
    own: Sequence[Row],
    best: dict[tuple[object, ...], tuple[float, float]],
) -> tuple[object, ...]:
    kind, size, events, gates = key
    errors, folds = [row.error for row in own], fold_errors(own)
    oracles = [best.get(_tube(row), (math.nan, math.nan)) for row in own]
    gaps = [max(pair) - row.f1 for row, pair in zip(own, oracles, strict=True) if not math.isnan(pair[0])]
    usable = [fold for fold in folds if not math.isnan(fold)]
    return (
        kind, f"{size:g}", events, gates, len(own), number(mean(map(abs, errors))),
        number(largest(map(abs, errors)), 2), number(mean(errors), is_signed=True),
        number(mean(row.f1 for row in own), 4), number(mean(pair[0] for pair in oracles), 4),
        number(mean(pair[1] for pair in oracles), 4), number(mean(gaps), 4, is_signed=True),
        f"{len(usable)}/{len(folds)}", number(mean(folds), is_signed=True), number(deviation(folds)),
        sum(row.is_flagged for row in own) if any(row.verdict for row in own) else "-",
        sum(not row.has_number for row in own),
    )  # fmt: skip


def gate_table(rows: Sequence[GateRow]) -> str:
    """Return the F1 of each gate inside its parent, and of the best cut where the gate is one."""
    heads = ("gates", "population", "tubes", "F1", "lowest", "best cut", "gap", "largest gap")
    groups = grouped(rows, lambda row: (row.gates, row.population))
    return table(heads, (_gate_cells(key, own) for key, own in groups.items()))


def _gate_cells(key: tuple[str, str], own: Sequence[GateRow]) -> tuple[object, ...]:
    gaps = [row.oracle - row.f1 for row in own]
    least = -largest(-row.f1 for row in own)
    return (*key, len(own), number(mean(row.f1 for row in own), 4), number(least, 4),
            number(mean(row.oracle for row in own), 4), number(mean(gaps), 4), number(largest(gaps), 4))  # fmt: skip


def failure_table(rows: Sequence[Row]) -> str:
    """Return, by kind, how many percents are wrong by more than a fifth, and how many are flagged."""
    heads = ("kind", "gates", "tubes", "no number", "mean |error|", "wrong", "wrong, flagged", "silent", "right, flagged",
             "codes of the flagged")  # fmt: skip
    groups = grouped(rows, lambda row: (row.kind, row.gates))
    return table(heads, (_failure_cells(key, own) for key, own in groups.items()))


def _failure_cells(key: tuple[str, str], own: Sequence[Row]) -> tuple[object, ...]:
    wrong = [row for row in own if row.is_wrong]
    silent = sum(not row.is_flagged for row in wrong)
    right = false_flags([row for row in own if row.has_number])
    return (*key, len(own), sum(not row.has_number for row in own), number(mean(abs(row.error) for row in own)),
            len(wrong), len(wrong) - silent, silent, f"{right.hits}/{right.of}",
            _codes(row for row in own if row.is_flagged))  # fmt: skip


def _codes(rows: Iterable[Row]) -> str:
    """Return codes that flag or refuse, the most frequent first."""
    counted: dict[str, int] = {}
    for row in rows:
        for code in row.codes.split():
            if code[0] in "EF":
                counted[code] = counted.get(code, 0) + 1
    return (
        " ".join(
            f"{code}:{count}" for code, count in sorted(counted.items(), key=lambda one: (-one[1], one[0]))
        )
        or "-"
    )


def silent_table(rows: Sequence[Row]) -> str:
    """Return the percents that are wrong and that nobody is asked to look at, one by one."""
    heads = ("kind", "seed", "sample", "gates", "true %", "percent", "codes")
    silent = [row for row in rows if row.is_wrong and not row.is_flagged]
    return table(heads, ((row.kind, row.seed, row.sample, row.gates, number(row.truth, 2), number(row.percent, 2),
                          row.codes) for row in silent)) if silent else "none"  # fmt: skip


def tissue_table(rows: Sequence[tuple[Row, str]]) -> str:
    """Return real tubes beside their manual gates; ``factor`` is how far off the percent is, above 1."""
    heads = ("set", "sample", "gates", "manual CD4+", "manual %", "percent", "factor", "F1", "outline", "boundary",
             "verdict", "codes", "statuses")  # fmt: skip
    order = sorted(
        rows, key=lambda pair: (pair[0].kind, pair[0].gates != "left out", pair[0].gates, pair[0].sample)
    )
    return table(heads, (
        (row.kind, row.sample, row.gates, row.cd4, number(row.truth, 2), number(row.percent, 2), number(factor(row), 2),
         number(row.f1), number(row.outline), number(row.boundary), row.verdict, row.codes, statuses)
        for row, statuses in order
    ))  # fmt: skip


def agreement_lines(rows: Sequence[Row], bounds: Sequence[float], enough: int) -> list[str]:
    """Return, for each set and its gates, how many tubes lie within some factors of the manual percent."""
    lines = []
    for (kind, gates), own in grouped(rows, lambda row: (row.kind, row.gates)).items():
        large = [row for row in own if row.cd4 >= enough]
        small = [row for row in own if row.cd4 < enough]
        within = ", ".join(
            f"{sum(factor(row) <= bound for row in large)}/{len(large)} within {bound:g}" for bound in bounds
        )
        flagged = f"smaller ones with review or fail: {sum(row.is_flagged for row in small)}/{len(small)}"
        lines.append(f"{kind}, {gates}: of tubes with at least {enough} CD4+, {within}; mean F1 "
                     f"{number(mean(row.f1 for row in large))}; {flagged}")  # fmt: skip
    return lines


def factor(row: Row) -> float:
    """Return by what factor a percent is off, above 1; NaN where there is none, infinite where one of the two is 0."""
    if not row.has_number or row.percent == row.truth:
        return 1.0 if row.has_number else math.nan
    return (
        math.inf if 0 in (row.percent, row.truth) else max(row.percent / row.truth, row.truth / row.percent)
    )


def fold_table(rows: Sequence[Row]) -> str:
    """Return the folds of diluted tubes by the tube that they were made of."""
    heads = ("drift", "size", "cells of", "gates", "folds", "mean", "SD", "flagged")
    groups = grouped(rows, lambda row: (row.kind, row.size, row.subject.rpartition("-")[0], row.gates))
    return table(heads, (_fold_cells(key, own) for key, own in groups.items()))


def _fold_cells(key: tuple[str, float, str, str], own: Sequence[Row]) -> tuple[object, ...]:
    kind, size, of, gates = key
    folds = fold_errors(own)
    usable = sum(not math.isnan(fold) for fold in folds)
    flagged = f"{sum(row.is_flagged for row in own)}/{len(own)}" if any(row.verdict for row in own) else "-"
    return (kind, f"{size:g}", of, gates, f"{usable}/{len(folds)}", number(mean(folds), is_signed=True),
            number(deviation(folds)), flagged)  # fmt: skip


def verdict_lines(rows: Sequence[Row], clean: str) -> list[str]:
    """Return recall and false rate over all tubes, one line for each set of gates."""
    lines = []
    for gates, own in grouped(rows, lambda row: row.gates).items():
        of_clean = [row for row in own if row.kind == clean]
        by_kind = [recall(some) for some in grouped(own, lambda row: row.kind).values()]
        shares = [100 * one.hits / one.of for one in by_kind if one.of]
        lines.append(f"{gates}: of percents off by more than a fifth, review or fail: {recall(own)}; "
                     f"mean over {len(shares)} kinds with any: {number(mean(shares), 1)} %")  # fmt: skip
        lines.append(f"{gates}: of clean tubes that are right, review or fail: {false_flags(of_clean)}")
    return lines


def visit_table(rows: Sequence[Row], clean: str) -> str:
    """Return flags by visit: a difference between visits would be a verdict that sees the outcome."""
    heads = ("gates", "visit", "clean tubes", "flagged", "all tubes", "flagged")
    groups = grouped(sorted(rows, key=lambda row: row.visit), lambda row: (row.gates, row.visit))
    return table(heads, (_visit_cells(key, own, clean) for key, own in groups.items()))


def _visit_cells(key: tuple[str, str], own: Sequence[Row], clean: str) -> tuple[object, ...]:
    of_clean = [row for row in own if row.kind == clean]
    flagged = [Share(sum(row.is_flagged for row in some), len(some)) for some in (of_clean, own)]
    return (*key, len(of_clean), flagged[0], len(own), flagged[1])
