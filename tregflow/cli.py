"""The command line: options to values, one call, the outcome printed."""

from __future__ import annotations

import codecs
import io
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

from tregflow.errors import CODES, Finding, InputError, TregflowError, nearest
from tregflow.privacy import told_fault

if TYPE_CHECKING:
    from tregflow.batch import Request
    from tregflow.results import Pair
    from tregflow.study import Tube
    from tregflow.template import Template
    from tregflow.verify import Asked

INTERRUPTED = 130
"""The exit status that shells know for a run ended by Ctrl-C."""

SPELLED = {"–": "-", "…": "...", "×": "x", "→": "->", "±": "+-"}
"""Signs of ours, in ASCII."""

DRAWS = {"full": 200, "standard": None, "off": 0}
"""How often a file is drawn anew, by how much is asked; None for as the template says."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
                  help="From a cytometer's FCS files to the Treg percentage of every patient visit.")  # fmt: skip
templates = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Templates for a cytometer of your own."
)
app.add_typer(templates, name="template")


class ColumnsInHelp(TyperCommand):
    """A command whose help ends with the columns of a sheet."""

    def format_epilog(self, _: Any, formatter: Any) -> None:
        """Write the columns; what they mean stands with the sheet and is read when asked for."""
        from tregflow.study import COLUMNS

        more = {"channel:MARKER": "the channel that carries a marker", "x_NAME": "a column of your own"}
        with formatter.section("Columns of the sheet"):
            formatter.write_dl([*COLUMNS.items(), *more.items()])


class KindsInHelp(TyperCommand):
    """A command whose help ends with the kinds of trial and the options that each sets."""

    def format_epilog(self, _: Any, formatter: Any) -> None:
        """Write the kinds; the simulation is loaded when they are asked for."""
        from tregflow.simulation import KINDS, in_words

        with formatter.section("Kinds of trial, and what each sets"):
            formatter.write_dl([(name, in_words(options)) for name, options in KINDS.items()])


TemplateOption = Annotated[
    Path, typer.Option("--template", "-t", metavar="YAML", help="The stored gating template.")
]
SamplesOption = Annotated[
    Path | None, typer.Option("--samples", "-s", metavar="TABLE", help="The sample sheet; samples.csv where it lies beside "
                              "the template or here.")]  # fmt: skip
FilesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILES", help="FCS files, instead of a sheet.", show_default=False),
]
DecimalOption = Annotated[
    str, typer.Option("--decimal", metavar=". or ,", help="How the sheet writes numbers.")
]


@app.callback(invoke_without_command=True)
def about(
    is_version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """From a cytometer's FCS files to the Treg percentage of every patient visit."""
    if is_version:
        from tregflow import __version__

        sys.stdout.write(f"tregflow {__version__}\n")
        raise typer.Exit


@app.command()
def gate(
    template: TemplateOption,
    files: FilesArgument = None,
    samples: SamplesOption = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The results folder.")] = Path("tregflow_results"),
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="Files at a time; 0 is one per processor.")] = 0,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw a page per sample.")] = True,
    accept_changed: Annotated[bool, typer.Option("--accept-changed", help="Gate files anew whose content changed under their "
                                                 "name.")] = False,
    uncertainty: Annotated[str, typer.Option("--uncertainty", metavar="full|standard|off", help="How often files are drawn anew "
                                             "to see how steadily gates stand: 200 times, as the template says, never.")] = "standard",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be gated and why; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print treg.csv's rows as JSON.")] = False,
    decimal: DecimalOption = ".",
) -> None:  # fmt: skip
    """Gate every file of a sheet and write the tables and plots.

    Exit status: 0 all well, 1 something was refused or flagged, 2 the command, sheet or template is
    wrong, 3 a fault of tregflow's own, 4 could not write, 5 another run holds the folder.
    """
    from tregflow.batch import Request, gate_batch, plan_batch
    from tregflow.terminal import progress, show_batch, show_inputs, show_plan

    stored, tubes, sheet = _inputs(template, samples, files, decimal)
    request = Request(
        stored,
        tubes,
        _root(sheet),
        out,
        plots,
        _workers(jobs, len(tubes)),
        accept_changed,
        sheet=sheet,
        draws=_draws(uncertainty),
    )
    if not as_json:
        show_inputs(stored, template, sheet, len(tubes))
    if dry_run:
        show_plan(plan_batch(request))
        return
    with progress(len(tubes)) as seen:
        batch = gate_batch(request, seen)
    if as_json:
        _print_json({"schema": 1, "rows": _treg_rows(request, batch.pairs)})
    else:
        show_batch(batch, out, stored.primary.name)
    raise typer.Exit(batch.status)


@app.command()
def check(
    template: TemplateOption,
    files: FilesArgument = None,
    samples: SamplesOption = None,
    show_values: Annotated[bool, typer.Option("--show-values", help="Print, on the terminal only, what the keywords say that "
                                              "contradict the sheet; it may name a person.")] = False,
    decimal: DecimalOption = ".",
) -> None:  # fmt: skip
    """Check template, sheet and files without gating.

    Exit status: 0 every file can be gated, 1 a file cannot or must be looked at, 2 the command, sheet
    or template is wrong.
    """
    from tregflow.rehearsal import rehearse
    from tregflow.terminal import show_check, show_inputs

    stored, tubes, sheet = _inputs(template, samples, files, decimal)
    show_inputs(stored, template, sheet, len(tubes))
    found = rehearse(stored, tubes, _root(sheet))
    named = ["-s", str(samples)] if samples else []
    words = [
        "tregflow",
        "gate",
        "-t",
        str(template),
        *named,
        *(["--decimal", decimal] if decimal != "." else []),
    ]
    show_check(found, tubes, shlex.join([*words, *(files or [])]), values=show_values)
    raise typer.Exit(1 if found.troubled else 0)


@app.command(cls=ColumnsInHelp)
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the FCS files are.")],
    sheet: Annotated[Path | None, typer.Option("--samples", "-s", metavar="TABLE", help="The sheet to write; FOLDER/samples.csv.")] = None,
) -> None:  # fmt: skip
    """Draft the sample sheet from file names and headers."""
    from tregflow.sheet import draft
    from tregflow.terminal import counted, out, say_findings, shown

    sheet = sheet or folder / "samples.csv"
    written, findings = draft(folder, sheet)
    say_findings("", findings, notes=True)
    out.print(f"{counted(written, 'row')} in {shown(str(sheet))}. What was guessed is guessed: look it through, then run "
              "tregflow check")  # fmt: skip


@app.command(cls=KindsInHelp)
def simulate(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="An empty or new folder.")],
    subjects: Annotated[int, typer.Option(help="Patients, two visits each.")] = 6,
    events: Annotated[int, typer.Option(help="Events of a full tube.")] = 60_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same trial.")] = 1,
    drift: Annotated[float | None, typer.Option(show_default="0.05", help="Run-to-run drift of each detector, SD in decades.")] = None,
    enriched: Annotated[bool, typer.Option("--enriched", help="Lymphocytes, mostly CD4+.")] = False,
    integers: Annotated[bool, typer.Option("--integers", help="Store 16- and 32-bit integers.")] = False,
    controls: Annotated[bool, typer.Option("--controls/--no-controls", help="FMO, single-stain, unstained and reference tubes.")] = True,
    control_events: Annotated[int, typer.Option(help="Events of an FMO tube.")] = 20_000,
    kind: Annotated[list[str] | None, typer.Option("--kind", metavar="NAME", help="What goes wrong, by a name from the list below; "
                                                   "may be given again. An option given beside it has the last word.")] = None,
    at: Annotated[str | None, typer.Option(metavar="VISIT", help="The visit at which it goes wrong, W00 or W12.",
                                           show_default="every one")] = None,
    stain_drift: Annotated[float | None, typer.Option(show_default="0", help="Run-to-run drift of each dye's brightness, SD in decades.")] = None,
    offset_drift: Annotated[float | None, typer.Option(show_default="0", help="Run-to-run drift of each detector's offset, SD in units.")] = None,
    compensation_drift: Annotated[float | None, typer.Option(show_default="0", help="Error of the files' spillover, SD as a share of "
                                                             "each coefficient.")] = None,
    cd4: Annotated[int | None, typer.Option(show_default="as many as come", help="CD4+ T cells of a full tube, about.")] = None,
    dead: Annotated[float | None, typer.Option(show_default="0.05", help="Share of dead cells, about.")] = None,
    fold: Annotated[float | None, typer.Option(show_default="1.7", help="Treatment's factor on the share of Tregs.")] = None,
    cd25_fold: Annotated[float | None, typer.Option(show_default="1.3", help="Treatment's factor on the CD25 of a Treg.")] = None,
    foxp3_fold: Annotated[float | None, typer.Option(show_default="1", help="Treatment's factor on the FOXP3 of a Treg.")] = None,
) -> None:  # fmt: skip
    """Write a two-visit trial whose truth is known, event by event."""
    from tregflow.io.trials import write_trial
    from tregflow.simulation import options_of
    from tregflow.simulation import simulate as planned
    from tregflow.terminal import out, shown

    asked = {"drift": drift, "at": at, "stain_drift": stain_drift, "offset_drift": offset_drift, "compensation_drift":
             compensation_drift, "cd4": cd4, "dead": dead, "fold": fold, "cd25_fold": cd25_fold, "foxp3_fold": foxp3_fold}  # fmt: skip
    given = {option: value for option, value in asked.items() if value is not None}
    trial = planned(subjects=subjects, events=events, seed=seed, enriched=enriched, integers=integers, controls=controls,
                    control_events=control_events, **(options_of(kind or ()) | given))  # fmt: skip
    paths = write_trial(trial, folder)
    out.print(f"{len(paths)} FCS files, samples.csv, truth.csv and truth/ are in {shown(str(folder))}")


@app.command()
def verify(
    files: FilesArgument = None,
    samples: Annotated[Path | None, typer.Option("--samples", "-s", metavar="TABLE", help="The sample sheet, instead of files; "
                                                 "samples.csv where it lies here.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="Files at a time; 0 is one per processor.")] = 0,
    seconds: Annotated[float, typer.Option("--timeout", min=0.1, metavar="SECONDS", help="How long a reader may take for one "
                                           "file.")] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything that was found as JSON.")] = False,
    decimal: DecimalOption = ".",
) -> None:  # fmt: skip
    """Read every file again with FlowIO and fcsparser, and compare.

    Stored values are compared one by one, exactly; and channel names, stains and the spillover matrix.

    Exit status: 0 every file was confirmed by another reader and none differs, 1 one was not, 2 the
    command or sheet is wrong, 3 a fault of tregflow's own.
    """
    from tregflow import verify as second
    from tregflow.io.readers import READERS
    from tregflow.terminal import advance, show_verified

    asked = _asked(files or [], samples, decimal)
    versions = {reader.name: reader.version for reader in READERS}
    with advance(len(asked), "reading") as ended:
        found = second.verify(asked, workers=_workers(jobs, len(asked)), seconds=seconds, ended=ended)
    if as_json:
        _print_json(second.document(found, versions))
    else:
        show_verified(found, versions)
    raise typer.Exit(second.status(found))


@app.command()
def explain(
    code: Annotated[str, typer.Argument(metavar="CODE", help="Such as F-FALLBACK; all where none is named.", show_default=False)] = "",
) -> None:  # fmt: skip
    """Say what a code means and what to do."""
    from tregflow.terminal import out

    known = code.upper()
    if not code:
        width = max(map(len, CODES))
        out.print(
            "\n".join(f"{one:{width}}  {told.split('. ')[0].rstrip('.')}." for one, told in CODES.items())
        )
        return
    if known not in CODES:
        raise InputError(Finding("E-USAGE", f'"{code}" is not a code{nearest(code, CODES)}'))
    answer = Finding(known, "").answer
    means = {"refuse": "refused: there is no number", "flag": "flagged: a number is computed and someone must look",
             "note": "noted: it changes nothing"}  # fmt: skip
    out.print(f"{known}  ({means[answer]})\n{CODES[known]}")


@templates.command()
def tune(
    template: Annotated[Path, typer.Argument(metavar="TEMPLATE", help="The stored gating template; it is left alone.")],
    files: FilesArgument = None,
    samples: SamplesOption = None,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="SAMPLE", help="Look at this sample of the sheet; may be "
                                                   "given again. All unless named.")] = None,
    new: Annotated[Path | None, typer.Option("--out", "-o", metavar="YAML", help="The new version; must not exist.")] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the template's history.")] = "",
    moves: Annotated[list[str] | None, typer.Option("--move", metavar="'GATE [MARKER] DECADES'", help="Move what a gate stores on a "
                                                    "marker (cut, window, outline), or the kinds of a model: 'CD4 +0.1'. May be "
                                                    "given again.")] = None,
    cuts: Annotated[list[str] | None, typer.Option("--set", metavar="'GATE PLACE'", help="Set a stored cut, its window moves along: "
                                                   "'Treg 0.47'. May be given again.")] = None,
    to_found: Annotated[bool, typer.Option("--to-found", help="Move every stored gate to the middle of where its method found it in "
                                           "the tubes; those with doubts do not vote.")] = False,
    bridge: Annotated[bool, typer.Option("--bridge", help="Write where the run's reference tube lies, so that stored gates can "
                                         "follow it in other runs.")] = False,
    fingerprint: Annotated[bool, typer.Option("--fingerprint", help="Write the detector and voltage of each marker, where the tubes "
                                              "agree.")] = False,
    plots: Annotated[Path | None, typer.Option("--plots", metavar="DIR", help="Draw a page of each tube before and after.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change; write no template.")] = False,
    decimal: DecimalOption = ".",
) -> None:  # fmt: skip
    """Move the stored gates of a template on chosen tubes, and write it as a new version.

    Exit status: 0 all well, 1 a tube could not be gated or nothing changed, 2 the command, sheet or
    template is wrong, 4 could not write.
    """
    from tregflow.bench import bench_of, told_of
    from tregflow.bench import tune as tuned_on
    from tregflow.io.revisions import write_revision
    from tregflow.terminal import advance, out, say_findings, show_inputs, shown
    from tregflow.tuning import wish

    _refuse_unwritable(new, reason, dry_run=dry_run)
    stored, tubes, sheet = _inputs(template, samples, files, decimal)
    asked = wish(stored, moves or (), cuts or (), to_found=to_found, bridge=bridge, fingerprint=fingerprint)
    bench = bench_of(tubes, only or (), _root(sheet), plots)
    show_inputs(stored, template, sheet, len(tubes))
    with advance(2 * len(bench.voters), "gating") as ended:
        content, tuned = tuned_on(stored, asked, bench, " ".join(reason.split()), ended)
    out.print("\n".join(shown(line) for line in told_of(tuned)), highlight=False)
    for sample, findings in tuned.refused.items():
        say_findings(sample, findings)
    if tuned.changes and new and not dry_run:
        written = write_revision(template, content, new)
        out.print(f"version {content['version']} is in {shown(str(new))} (sha256 {written.hash[:8]}); look at its plots before it "
                  "is used")  # fmt: skip
    else:
        out.print("no template was written")
    raise typer.Exit(0 if tuned.changes and not tuned.refused else 1)


def _refuse_unwritable(new: Path | None, reason: str, *, dry_run: bool) -> None:
    """Refuse a new template without a name or a reason, or with a name that is taken, before any tube is read."""
    from tregflow.io.revisions import refuse_existing

    if new:
        refuse_existing(new)
    asked = {"--out NEW.yaml": new, "--reason TEXT": reason.strip()}
    missing = [option for option, given in asked.items() if not given]
    if missing and not dry_run:
        told = f"a new version needs {' and '.join(missing)}; --dry-run only shows it"
        raise InputError(Finding("E-USAGE", told))


@app.command()
def schema() -> None:
    """Print the JSON schema of a template, for editors."""
    from tregflow.grammar import schema as of_template

    _print_json(of_template())


def _inputs(
    template: Path, samples: Path | None, files: list[str] | None, decimal: str
) -> tuple[Template, tuple[Tube, ...], Path | None]:
    """Return template, rows and sheet; what is wrong with any of them is told together."""
    from tregflow.io.documents import load_template

    _refuse_contradictions(files, samples, decimal)
    mistakes: list[Finding] = []
    stored: Template | None = None
    try:
        stored = load_template(template)
    except InputError as error:
        mistakes += error.findings
    try:
        sheet = None if files else samples or _found_sheet(template)
        tubes = _tubes(sheet, files or [], stored, decimal)
    except InputError as error:
        raise InputError([*mistakes, *error.findings]) from None
    if stored is None:
        raise InputError(mistakes)
    return stored, tubes, sheet


def _refuse_contradictions(files: Sequence[str] | None, samples: Path | None, decimal: str) -> None:
    if decimal not in {".", ","}:
        raise InputError(Finding("E-USAGE", f'--decimal is . or , and not "{decimal}"'))
    if files and samples:
        raise InputError(Finding("E-USAGE", "name files or a sheet (--samples), not both"))


def _tubes(
    sheet: Path | None, files: Sequence[str], stored: Template | None, decimal: str
) -> tuple[Tube, ...]:
    from tregflow.io.tables import read_sheet
    from tregflow.study import tubes_from_files

    if sheet is None:
        return tubes_from_files(files)
    return read_sheet(sheet, [marker.name for marker in stored.markers] if stored else (), decimal=decimal)


def _asked(files: Sequence[str], samples: Path | None, decimal: str) -> list[Asked]:
    """Return what is to be verified: every data set of files that are named, those that a sheet means."""
    from tregflow.io.files import located
    from tregflow.verify import Asked

    _refuse_contradictions(files, samples, decimal)
    if files:
        return [Asked(file, Path(file), every=True) for file in dict.fromkeys(files)]
    sheet = samples or Path("samples.csv")
    if not samples and not sheet.is_file():
        raise InputError(
            Finding("E-USAGE", "there is no samples.csv here; name files, or a sheet with --samples")
        )
    places = {
        (tube.file, tube.data_set): located(sheet.parent, tube.file)
        for tube in _tubes(sheet, [], None, decimal)
    }
    return [Asked(file, path, data_set) for (file, data_set), path in places.items()]


def _root(sheet: Path | None) -> Path:
    return sheet.parent if sheet else Path()


def _found_sheet(template: Path) -> Path:
    there, here = template.parent / "samples.csv", Path("samples.csv")
    found = [path for path in (there, here) if path.is_file()]
    if not found:
        raise InputError(Finding("E-USAGE", f"there is no samples.csv beside {template.name} or here; name files, name a sheet with "
                                 "--samples, or draft one with tregflow init FOLDER"))  # fmt: skip
    if len(found) == 2 and not there.samefile(here):
        raise InputError(Finding("E-USAGE", f"there are two sheets, {there} beside the template and {here.resolve()} here; say "
                                 "which with --samples"))  # fmt: skip
    return found[0]


def _draws(uncertainty: str) -> int | None:
    if uncertainty not in DRAWS:
        raise InputError(
            Finding("E-USAGE", f'--uncertainty is full, standard or off, and not "{uncertainty}"')
        )
    return DRAWS[uncertainty]


def _workers(jobs: int, files: int) -> int:
    return max(1, min(jobs or _processors(), files))


def _processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _treg_rows(request: Request, pairs: Sequence[Pair]) -> list[dict[str, object]]:
    from tregflow.results import treg_table

    columns, rows = treg_table(pairs, request.template)
    return [{column: row.get(column) for column in columns} for row in rows]


def _print_json(content: Mapping[str, object]) -> None:
    """Print JSON that every pipe can carry."""
    sys.stdout.write(json.dumps(content, indent=1, allow_nan=False) + "\n")


def main() -> NoReturn:
    """Run the command line and end with its exit status."""
    _speak_any_encoding()
    try:
        app(standalone_mode=True)
    except TregflowError as error:
        from tregflow.terminal import say_error

        say_error(error)
        sys.exit(error.status)
    except (KeyboardInterrupt, SystemExit) as ended:
        status = ended.code if isinstance(ended, SystemExit) else INTERRUPTED
        if status == INTERRUPTED:
            sys.stderr.write(
                "interrupted; run the same command again: files that gate has finished are kept\n"
            )
        sys.exit(status)
    except Exception as error:  # noqa: BLE001 - the last border: a fault of ours, kept in a file
        sys.exit(_fault(error))
    sys.exit(0)


def _speak_any_encoding() -> None:
    """Spell signs that a terminal does not have, instead of ending the run on one."""
    codecs.register_error("spelled", _spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="spelled")


def _spelled(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(SPELLED.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


def _fault(error: BaseException) -> int:
    told = told_fault(error)
    try:
        handle, name = tempfile.mkstemp(prefix="tregflow-fault-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(told)
    except OSError:
        sys.stderr.write(f"{told}E-INTERNAL  a fault of tregflow's own, told above: please report it\n")
        return 3
    sys.stderr.write(f"E-INTERNAL  a fault of tregflow's own; the traceback is in {name}: please report it\n")
    return 3


if __name__ == "__main__":
    main()
