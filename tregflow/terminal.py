"""What people see in the terminal: results on standard output, the rest on standard error."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any
from unicodedata import category

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from tregflow.errors import Finding, TregflowError

if TYPE_CHECKING:
    from tregflow.batch import Batch
    from tregflow.job import Ended
    from tregflow.outcome import Outcome
    from tregflow.rehearsal import Rehearsed
    from tregflow.results import Pair
    from tregflow.study import Tube
    from tregflow.template import Template
    from tregflow.verify import Verified

COLOURS = {
    "pass": "green",
    "review": "yellow",
    "fail": "red",
    "": "dim",
    "refuse": "red",
    "flag": "yellow",
    "note": "dim",
}
LONGEST = 60
"""Rows of a table that a terminal shows; the files hold all."""

NAMED = 8
"""Samples that one line names."""

WIDE = 140
"""Columns to write where there is no terminal to measure."""

PLANNED = {"gate": "would be gated", "keep": "would be kept", "refuse": "would be refused"}

PLAIN: Any = {"highlight": False, "markup": False, "emoji": False, "soft_wrap": True}
"""A name is printed as it is, whatever brackets and colons it holds."""

out = Console(width=None if sys.stdout.isatty() else WIDE, **PLAIN)
err = Console(stderr=True, **PLAIN)


LONGEST_VALUE = 100
"""Signs of a keyword's value that are shown."""

FIRST = {"F-IDENTITY", "F-DATE", "E-TWICE"}
"""What contradicts the sheet: said before what bears on one number."""


def shown(word: str) -> str:
    """Return a word without the signs that would steer a terminal."""
    return "".join("\N{REPLACEMENT CHARACTER}" if category(sign).startswith("C") else sign for sign in word)


def say_error(error: TregflowError) -> None:
    """Print what is wrong, a line per mistake."""
    for finding in error.findings:
        err.print(_line(finding))


def say_findings(where: str, findings: Iterable[Finding], *, notes: bool = False) -> None:
    """Print what was said of one file, a line each; notes only if asked for."""
    for finding in findings:
        if notes or finding.answer != "note":
            out.print(Text("  ") + _line(finding.at(where)))


def titled(sample: str, file: str) -> str:
    """Return a sample's name, with its file's where that is another."""
    name = re.split(r"[\\/]", file)[-1]
    return sample if PurePath(name).stem.casefold() == sample.casefold() else f"{sample} ({name})"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 file``, ``2 files``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """Return as many words as one line names, and how many more there are."""
    more = f" and {len(words) - NAMED} more" if len(words) > NAMED else ""
    return shown(", ".join(words[:NAMED])) + more


def show_inputs(template: Template, path: Path, sheet: Path | None, rows: int) -> None:
    """Print which template and which sheet are used."""
    source = f"{shown(str(sheet))}, {counted(rows, 'row')}" if sheet else f"{counted(rows, 'file')} named"
    out.print(
        Text(
            f"{source}; template {shown(str(path))} ({shown(template.name)}, sha256 {template.hash[:8]})",
            "dim",
        )
    )


def show_check(found: Rehearsed, tubes: Sequence[Tube], command: str, *, values: bool = False) -> None:
    """Print what there is to say before gating, how markers are bound, and what to do next.

    With `values`, also what the keywords say that contradict the sheet.
    """
    titles = {tube.sample: titled(tube.sample, tube.file) for tube in tubes}
    say_findings("", found.general, notes=True)
    _show_grouped(found.said, titles)
    if values:
        _show_values(found.values, titles)
    for marker, words in _bindings(found.channels, titles).items():
        out.print(Text(f"{shown(marker)} = {shown(words)}", "dim"))
    ready, troubled = len(tubes) - len(found.troubled), len(found.troubled)
    refused = sum(any(one.answer == "refuse" for one in said) for said in found.said.values())
    if troubled:
        out.print(
            f"{counted(len(tubes), 'file')}: {refused} to mend, {troubled - refused} flagged, {ready} with nothing to say"
        )
        mend = (
            "mend what is named and check again; gating now gates the others"
            if refused
            else "gating computes them for review"
        )
        out.print(f"Next: tregflow explain CODE says what a code means; {mend}: {shown(command)}")
    else:
        out.print(
            f"{counted(len(tubes), 'file')} {'is' if ready == 1 else 'are'} ready to gate\nNext: {shown(command)}"
        )


def _show_values(values: Mapping[str, Mapping[str, str]], titles: Mapping[str, str]) -> None:
    """Print keywords that may name a person where somebody reads them, and nowhere that keeps them."""
    if not values:
        out.print(Text("no keyword contradicts the sheet, so there is no value to show", "dim"))
    elif not sys.stdout.isatty():
        err.print(
            "--show-values: the values may name a person, so they are shown on a terminal and written into no file"
        )
    else:
        out.print(Text("\nShown here and written nowhere, as it may name a person", "bold"))
        for sample, said in values.items():
            for key, value in said.items():
                out.print(f"  {shown(titles[sample])}  {key} = {shown(value.strip()[:LONGEST_VALUE])}")


def _show_grouped(said: Mapping[str, Sequence[Finding]], titles: Mapping[str, str]) -> None:
    """Print findings, those that several files share in one line."""
    groups: dict[Finding, list[str]] = {}
    for sample, findings in said.items():
        for finding in dict.fromkeys(replace(one, where="") for one in findings):
            groups.setdefault(finding, []).append(sample)
    for finding, samples in groups.items():
        if len(samples) == 1:
            say_findings(titles[samples[0]], [finding], notes=True)
        else:
            where = f"in {_which(samples, titles)}: {finding.sentence}"
            out.print(Text.assemble("  ", (finding.code, COLOURS[finding.answer]), "  ", shown(where)))


def _which(samples: Sequence[str], titles: Mapping[str, str]) -> str:
    if len(samples) == len(titles):
        return "the 1 file" if len(titles) == 1 else f"all {len(titles):,} files"
    return f"{counted(len(samples), 'file')} ({listed([titles[sample] for sample in samples])})"


def _bindings(channels: Mapping[str, Mapping[str, str]], titles: Mapping[str, str]) -> dict[str, str]:
    """Return the channel of each marker in words; markers alike in all files share an entry."""
    used: dict[str, dict[str, list[str]]] = {}
    for sample, names in channels.items():
        for marker, name in _renamed(names):
            used.setdefault(marker, {}).setdefault(name, []).append(sample)
    alike = [(marker, name) for marker, found in used.items() for name, samples in found.items()
             if len(samples) == len(channels)]  # fmt: skip
    words = {marker: "; ".join(f"{name} in {_which(samples, titles)}" for name, samples in found.items())
             for marker, found in used.items() if marker not in dict(alike)}  # fmt: skip
    if alike:
        *first, (marker, name) = alike
        key = "".join(f"{one} = {other}, " for one, other in first) + marker
        words = {
            key: f"{name} in {'all ' if len(channels) > 1 else ''}{counted(len(channels), 'gated file')}",
            **words,
        }
    return words


def _renamed(names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the markers whose channel is not simply called so."""
    return [(marker, name) for marker, name in names.items() if marker != name]


@contextmanager
def progress(total: int) -> Iterator[Callable[[Ended], None]]:
    """Show a bar on a terminal while files are gated; nothing elsewhere."""
    with advance(total, "gating") as seen:
        yield lambda ended: seen(ended.outcome.sample)


@contextmanager
def advance(total: int, word: str) -> Iterator[Callable[[str], None]]:
    """Show a bar on a terminal that advances with every name it is told; nothing elsewhere."""
    columns = (TextColumn(word), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
               TextColumn("{task.fields[last]}", markup=False))  # fmt: skip
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=total, last="")
        yield lambda name: bar.update(task, advance=1, last=shown(name))


def show_batch(batch: Batch, folder: Path, primary: str) -> None:
    """Print the percentages, what was refused or flagged, and what to do next."""
    gated = [pair for pair in batch.pairs if pair[0].tube == "full"]
    if gated:
        _print_whole(_percentages(gated[:LONGEST], primary))
    else:
        out.print("There is no full tube in the sheet, so there is no percentage to show.")
    if len(gated) > LONGEST:
        out.print(f"… and {len(gated) - LONGEST} more in {shown(str(folder / 'treg.csv'))}")
    _show_trouble(batch.pairs)
    say_findings("", batch.general, notes=True)
    _show_visits(batch.by_visit)
    _show_changes(batch)
    _show_next(batch, folder)


def _show_visits(by_visit: Mapping[str, tuple[int, int]]) -> None:
    """Print how many tubes of each visit do not pass, where there are some and several visits."""
    if len(by_visit) > 1 and any(flagged for flagged, _ in by_visit.values()):
        told = ", ".join(
            f"{shown(visit) or 'no visit'} {flagged} of {tubes}"
            for visit, (flagged, tubes) in by_visit.items()
        )
        out.print(f"For review or without a number, by visit: {told}")


def show_plan(plans: Sequence[tuple[Tube, Ended]]) -> None:
    """Print what would be kept, gated or refused, and why."""
    words = [_planned(ended) for _, ended in plans]
    for word, (tube, ended) in zip(words, plans, strict=True):
        said = ended.why or [finding.sentence for finding in ended.outcome.findings if word == "refuse"]
        out.print(
            Text.assemble(
                f"{word}  {shown(titled(tube.sample, tube.file))}  ",
                (shown("; ".join(said) or "nothing changed"), "dim"),
            )
        )
    counts = ", ".join(f"{words.count(word)} {told}" for word, told in PLANNED.items() if word in words)
    out.print(f"{counted(len(plans), 'file')}: {counts}; nothing was written")


VERDICTS = {
    "confirmed": "confirmed by another reader",
    "differs": "read differently by another reader",
    "unconfirmed": "not confirmed by any",
    "refused": "not read by tregflow",
}
TONES = {"agrees": "green", "agrees if told": "green", "differs": "red", "confirmed": "green", "refused": "red",
         "unconfirmed": "yellow", "fault": "red"}  # fmt: skip


def show_verified(found: Sequence[Verified], versions: Mapping[str, str]) -> None:
    """Print what the other readers made of every file, what there is to look at, and what to do."""
    names = _shortest([one.label for one in found])
    first = sorted(found, key=lambda one: one.state == "confirmed") if len(found) > LONGEST else found
    _print_whole(_answers(first[:LONGEST], names, versions))
    if len(found) > LONGEST:
        out.print(f"… and {len(found) - LONGEST} more; --json prints them all")
    _show_said("To look at", found, names, grave=True)
    _show_said("Good to know", found, names, grave=False)
    states = [one.state for one in found]
    counts = [f"{states.count(state)} {told}" for state, told in VERDICTS.items() if state in states]
    out.print(f"\n{counted(len(found), 'file')}: {', '.join(counts)}.")
    if set(states) == {"confirmed"}:
        out.print("Every stored value, channel name and spillover matrix was found again.")
    else:
        out.print("Next: tregflow explain CODE says what a code means and what to do.")


def _show_said(title: str, found: Sequence[Verified], names: Mapping[str, str], *, grave: bool) -> None:
    """Print what was said of files; notes are grave where they are why nothing was confirmed."""
    said = {one.label: [finding for finding in one.findings
                        if grave == (finding.answer != "note" or one.state == "unconfirmed")] for one in found}  # fmt: skip
    if any(said.values()):
        out.print(Text(f"\n{title}", "bold"))
        _show_grouped(said, names)


def _answers(found: Sequence[Verified], names: Mapping[str, str], versions: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("file", no_wrap=True)
    table.add_column("events", justify="right", no_wrap=True)
    for name in (*(f"{reader} {version}".strip() for reader, version in versions.items()), "file is"):
        table.add_column(name, no_wrap=True)
    for one in found:
        kinds = {answer.reader: answer.kind for answer in one.answers}
        words = [*(kinds.get(reader, "–") for reader in versions), one.state]
        table.add_row(shown(names[one.label]), "–" if one.state == "refused" else f"{one.events:,}",
                      *(Text(word, TONES.get(word, "")) for word in words))  # fmt: skip
    return table


def _shortest(labels: Sequence[str]) -> dict[str, str]:
    """Return the names of files without their folders, where they can still be told apart."""
    bare = {label: re.split(r"[\\/]", label)[-1] for label in labels}
    bearers = Counter(bare.values())
    return {label: name if bearers[name] == 1 else label for label, name in bare.items()}


def _planned(ended: Ended) -> str:
    if ended.kept:
        return "keep"
    return "gate" if ended.why or ended.outcome.state != "refused" else "refuse"


def _percentages(pairs: Sequence[Pair], primary: str) -> Table:
    """Return the table of percentages; how the gates were placed only where the terminal has room for it."""
    roomy = _table(pairs, primary, with_gates=True)
    return roomy if _width(roomy) <= out.width else _table(pairs, primary, with_gates=False)


def _table(pairs: Sequence[Pair], primary: str, *, with_gates: bool) -> Table:
    title = Text(f"{shown(primary)}, per cent", "bold")
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in (
        "sample",
        "%",
        "95 % counting",
        "events",
        "of",
        *(["gates"] if with_gates else []),
        "verdict",
    ):
        table.add_column(
            name, justify="left" if name in {"sample", "gates", "verdict"} else "right", no_wrap=True
        )
    for tube, outcome in pairs:
        gates = [_statuses(outcome)] if with_gates else []
        table.add_row(
            tube.sample, *_numbers(outcome), *gates, Text(outcome.verdict, COLOURS[outcome.verdict])
        )
    return table


def _width(table: Table) -> int:
    return out.measure(table, options=out.options.update(width=10_000)).maximum


def _print_whole(table: Table) -> None:
    """Print a table without cutting a number, even where its lines are longer than the terminal's."""
    lines = out.render_lines(table, out.options.update(width=max(out.width, _width(table))), pad=False)
    for line in lines:
        out.print(Text.assemble(*((part.text, part.style or "") for part in line)))


def _numbers(outcome: Outcome) -> tuple[str, str, str, str]:
    if not outcome.measures:
        return "–", "", "", ""
    told: dict[str, Any] = dict(outcome.measures[0])
    numerator, denominator = (
        f"{told[name]:,}" if told[name] is not None else "" for name in ("numerator", "denominator")
    )
    if told["percent"] is None or told["percent"] != told["percent"]:
        return "–", "", numerator, denominator
    return f"{told['percent']:.2f}", f"{told['ci_low']:.2f} – {told['ci_high']:.2f}", numerator, denominator


def _statuses(outcome: Outcome) -> str:
    """Count the gates by status, leaving out those that are as stored or as expected."""
    seen = [_status(gate) for gate in outcome.gates.values()]
    order = (
        "refused",
        "fallback",
        "at bound",
        "skipped",
        "weak",
        "unsettled",
        "corrected",
        "moved",
        "found",
        "stored",
    )
    return ", ".join(f"{seen.count(status)} {status}" for status in order if status in seen)


def _status(gate: Mapping[str, Any]) -> str:
    """Return a gate's status, or what is doubtful of one that was found: as its panel says."""
    doubts = [doubt["kind"] for doubt in gate.get("doubts", ())]
    told = next((kind for kind in ("weak", "unsettled") if kind in doubts), "")
    return told if told and gate["status"] in ("found", "moved") else str(gate["status"])


def _show_trouble(pairs: Sequence[Pair]) -> None:
    """Print what was refused or flagged, what several files share in one line; contradictions of the sheet first."""
    from tregflow.results import every_finding

    said = {tube.sample: _grave(every_finding(outcome)) for tube, outcome in pairs if not outcome.is_clean}
    titles = {tube.sample: titled(tube.sample, outcome.file.name) for tube, outcome in pairs}
    if said:
        out.print(Text("\nTo look at", "bold"))
    for first in (True, False):
        _show_grouped({sample: [one for one in findings if (one.code in FIRST) == first]
                       for sample, findings in said.items()}, titles)  # fmt: skip


def _grave(findings: Sequence[Finding]) -> list[Finding]:
    """Return what refuses or flags; of gates that have no place, those that others did not take along."""
    return [
        one for one in findings if one.answer != "note" and not one.sentence.endswith("could not be placed")
    ]


def _show_changes(batch: Batch) -> None:
    if batch.kept:
        told = f"kept without gating again, as nothing changed: {len(batch.kept)} of {counted(len(batch.pairs), 'file')}"
        out.print(Text(f"\n{told}", "dim"))
    titles = {tube.sample: titled(tube.sample, outcome.file.name) for tube, outcome in batch.pairs}
    for sample, why in sorted(batch.again.items()):
        out.print(Text(f"{shown(titles[sample])} was gated again: {shown('; '.join(why))}", "dim"))
    if batch.strangers:
        out.print(Text(f"not in this sheet, and left alone: {listed(batch.strangers)}", "dim"))


def _show_next(batch: Batch, folder: Path) -> None:
    outcomes = [outcome for _, outcome in batch.pairs]
    states = [
        f"{sum(outcome.state == state for outcome in outcomes)} {state}"
        for state in ("done", "control", "refused")
    ]
    pages = {one.sample for one in outcomes if (folder / "plots" / f"{one.sample}.png").is_file()}
    out.print(f"\n{counted(len(outcomes), 'file')}: {', '.join(states)}. Results are in {shown(str(folder))}/: treg.csv, "
              "populations.csv, files.csv, perturbations.csv" + (", plots/" if pages else ""))  # fmt: skip
    refused = [outcome for outcome in outcomes if _is_refused(outcome)]
    flagged = [one for one in outcomes if not one.is_clean and not _is_refused(one)]
    few = [one for one in refused if _refusals(one) == {"E-FEW"}]
    if refused and len(few) == len(refused):
        out.print(f"Next: {counted(len(few), 'tube')} without a number for want of cells: acquire more, or leave them empty; the "
                  "limit is in the template.")  # fmt: skip
    elif refused:
        out.print("Next: tregflow explain CODE says what a code means; mend what was refused and run the same command "
                  "again, only what changed is gated anew.")  # fmt: skip
    if flagged:
        out.print(f"{'Also' if refused else 'Next'}: {_to_look_at(flagged, pages)}. "
                  "tregflow explain CODE says what a code means.")  # fmt: skip
    if pages and not refused and not flagged:
        out.print("Next: look at the plots, a page per sample.")


def _to_look_at(flagged: Sequence[Outcome], pages: set[str]) -> str:
    """Return which numbers are flagged, with their pages, and how many controls are."""
    numbers = [one.sample for one in flagged if one.measures]
    controls = len(flagged) - len(numbers)
    where = [f"plots/{sample}.png" if sample in pages else sample for sample in numbers]
    hint = "; run without --no-plots to draw every page" if numbers and not pages & set(numbers) else ""
    told = [f"{len(numbers)} to look at: {listed(where)}{hint}"] if numbers else []
    return "; ".join([*told, *([f"{counted(controls, 'control')} flagged"] if controls else [])])


def _refusals(outcome: Outcome) -> set[str]:
    """Return the codes that a file, or a number of it, was refused for."""
    from tregflow.results import every_finding

    return {finding.code for finding in every_finding(outcome) if finding.answer == "refuse"}


def _is_refused(outcome: Outcome) -> bool:
    said = [finding for finding in outcome.findings if finding.answer == "refuse"]
    return bool(said) or any(measure["verdict"] == "fail" for measure in outcome.measures)


def _line(finding: Finding) -> Text:
    parts = [shown(part) for part in (finding.where, finding.sentence) if part]
    return Text.assemble((finding.code, COLOURS[finding.answer]), *(f"  {part}" for part in parts))
