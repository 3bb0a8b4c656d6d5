"""What people see in the terminal: results on standard output, the rest on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import category

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tregflow.errors import Finding, TregflowError

if TYPE_CHECKING:
    from tregflow.batch import Batch
    from tregflow.job import Ended
    from tregflow.outcome import Outcome
    from tregflow.results import Pair
    from tregflow.study import Tube

COLOURS = {"pass": "green", "review": "yellow", "fail": "red", "": "dim", "refuse": "red", "flag": "yellow", "note": "dim"}
LONGEST = 60
"""Rows of a table that a terminal shows; the files hold all."""

WIDE = 140
"""Columns to write where there is no terminal to measure."""

PLANNED = {"gate": "would be gated", "keep": "would be kept", "refuse": "would be refused"}

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def shown(word: str) -> str:
    """Return a word that a terminal shows as it is: no markup, and no sign that would steer it."""
    return escape("".join("\N{REPLACEMENT CHARACTER}" if category(sign).startswith("C") else sign for sign in word))


def say_error(error: TregflowError) -> None:
    """Print what is wrong, a line per mistake."""
    for finding in error.findings:
        err.print(_line(finding))


def say_findings(where: str, findings: Iterable[Finding], *, notes: bool = False) -> None:
    """Print what was said of one file, a line each; notes only if asked for."""
    for finding in findings:
        if notes or finding.answer != "note":
            out.print(f"  {_line(finding.at(where))}")


@contextmanager
def progress(total: int) -> Iterator[Callable[[Ended], None]]:
    """Show a bar on a terminal while files end; nothing elsewhere."""
    columns = (TextColumn("gating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[last]}"))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=total, last="")
        yield lambda ended: bar.update(task, advance=1, last=shown(ended.outcome.sample))


def show_batch(batch: Batch, folder: Path, primary: str) -> None:
    """Print the percentages, what was refused or flagged, and what to do next."""
    gated = [pair for pair in batch.pairs if pair[0].tube == "full"]
    out.print(_percentages(gated[:LONGEST], primary))
    if len(gated) > LONGEST:
        out.print(f"… and {len(gated) - LONGEST} more in {shown(str(folder / 'treg.csv'))}")
    _show_trouble(batch.pairs)
    _show_changes(batch)
    _show_next(batch, folder)


def show_plan(plans: Sequence[tuple[Tube, Ended]]) -> None:
    """Print what would be kept, gated or refused, and why."""
    words = [_planned(ended) for _, ended in plans]
    for word, (tube, ended) in zip(words, plans, strict=True):
        said = ended.why or [finding.sentence for finding in ended.outcome.findings if word == "refuse"]
        out.print(f"{word}  {shown(tube.sample)}  [dim]{shown('; '.join(said) or 'nothing changed')}[/]")
    counts = ", ".join(f"{words.count(word)} {told}" for word, told in PLANNED.items() if word in words)
    out.print(f"{len(plans)} files: {counts}; nothing was written")


def _planned(ended: Ended) -> str:
    if ended.kept:
        return "keep"
    return "gate" if ended.why or ended.outcome.state != "refused" else "refuse"


def _percentages(pairs: Sequence[Pair], primary: str) -> Table:
    table = Table(title=f"{shown(primary)}, per cent", title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("sample", no_wrap=True)
    for name in ("%", "95 % counting", "events", "of"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("gates", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for tube, outcome in pairs:
        table.add_row(shown(tube.sample), *_numbers(outcome), _statuses(outcome), _coloured(outcome.verdict, outcome.verdict))
    return table


def _numbers(outcome: Outcome) -> tuple[str, str, str, str]:
    if not outcome.measures:
        return "–", "", "", ""
    told: dict[str, Any] = dict(outcome.measures[0])
    numerator, denominator = (f"{told[name]:,}" if told[name] is not None else "" for name in ("numerator", "denominator"))
    if told["percent"] is None or told["percent"] != told["percent"]:
        return "–", "", numerator, denominator
    return f"{told['percent']:.2f}", f"{told['ci_low']:.2f} – {told['ci_high']:.2f}", numerator, denominator


def _statuses(outcome: Outcome) -> str:
    """Count the gates by status, leaving out those that are as stored or as expected."""
    seen = [gate["status"] for gate in outcome.gates.values()]
    order = ("refused", "fallback", "at bound", "skipped", "corrected", "moved", "found", "stored")
    return ", ".join(f"{seen.count(status)} {status}" for status in order if status in seen)


def _show_trouble(pairs: Sequence[Pair]) -> None:
    from tregflow.results import every_finding

    troubled = [(tube, outcome) for tube, outcome in pairs if not outcome.is_clean]
    if troubled:
        out.print("\n[bold]To look at[/]")
    for tube, outcome in troubled:
        say_findings(tube.sample, every_finding(outcome))


def _show_changes(batch: Batch) -> None:
    if batch.kept:
        out.print(f"\n[dim]{len(batch.kept)} of {len(batch.pairs)} files had an outcome that still holds; they were not gated again[/]")
    for sample, why in sorted(batch.again.items()):
        out.print(f"[dim]{shown(sample)} was gated again: {shown('; '.join(why))}[/]")
    if batch.strangers:
        out.print(f"[dim]not in this sheet, and left alone: {shown(', '.join(batch.strangers[:8]))}[/]")


def _show_next(batch: Batch, folder: Path) -> None:
    outcomes = [outcome for _, outcome in batch.pairs]
    states = [f"{sum(outcome.state == state for outcome in outcomes)} {state}" for state in ("done", "control", "refused")]
    has_plots = (folder / "plots").is_dir()
    out.print(f"\n{len(outcomes)} files: {', '.join(states)}. Results are in {shown(str(folder))}/: treg.csv, populations.csv, "
              "files.csv" + (", plots/" if has_plots else ""))  # fmt: skip
    if batch.status:
        out.print("Next: tregflow explain CODE says what a code means; mend what was refused and run the same command "
                  "again, only what changed is gated anew.")  # fmt: skip
    elif has_plots:
        out.print("Next: look at the plots, a page per sample.")


def _line(finding: Finding) -> str:
    where = f"  {shown(finding.where)}" if finding.where else ""
    return f"{_coloured(finding.code, finding.answer)}{where}  {shown(finding.sentence)}"


def _coloured(word: str, kind: str) -> str:
    return f"[{COLOURS[kind]}]{word}[/]" if word else ""
