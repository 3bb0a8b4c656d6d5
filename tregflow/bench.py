"""The bench: tubes read and gated with a template as it is and as it would be.

A tube is read, gated, asked for its ballot and let go of, before and after: a template may be tuned on
more tubes than memory holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tregflow.controls import Around, around, lend, looks_around, neighbours, runs_of
from tregflow.errors import FileError, Finding, InputError, nearest
from tregflow.gating import Gated, gate
from tregflow.hierarchy import REFERENCE
from tregflow.io.files import located, write_whole
from tregflow.job import EMPTY
from tregflow.outcome import storable
from tregflow.sample import Spillover
from tregflow.study import Tube
from tregflow.template import Template
from tregflow.tubes import Beside, read_tube, refuse_absent
from tregflow.tuning import (
    Ballot,
    Change,
    Vote,
    Wish,
    ballot,
    changes,
    off_bridge,
    recorded,
    table_of_changes,
    table_of_tubes,
    told_of_votes,
    tuned,
    with_bridge,
)
from tregflow.tuning.coordinates import Words


@dataclass(frozen=True, slots=True)
class Bench:
    """Tubes and how to look at them.

    Parameters
    ----------
    tubes : tuple of Tube
        Every row of the sheet.
    chosen : tuple of Tube
        Those that the template is tuned on.
    root : Path
        What their files are relative to.
    plots : Path or None
        Where pages go; None for none.
    """

    tubes: tuple[Tube, ...]
    chosen: tuple[Tube, ...]
    root: Path
    plots: Path | None = None

    @property
    def voters(self) -> tuple[Tube, ...]:
        """The chosen full tubes; reference tubes where none is chosen."""
        full = tuple(tube for tube in self.chosen if tube.tube == "full")
        return full or tuple(tube for tube in self.chosen if tube.is_gated)

    @property
    def references(self) -> tuple[Tube, ...]:
        """The chosen reference tubes; where none is, those of the chosen tubes' runs."""
        mine = tuple(tube for tube in self.chosen if tube.tube == REFERENCE)
        if mine:
            return mine
        runs = runs_of(self.tubes, self.root)
        theirs = {runs[tube.sample] for tube in self.chosen} - {""}
        return tuple(tube for tube in self.tubes if tube.tube == REFERENCE and runs[tube.sample] in theirs)


@dataclass(frozen=True, slots=True)
class Tuned:
    """What tuning a template came to.

    Parameters
    ----------
    template : Template
        The new version; the old one where nothing changed.
    changes : tuple of Change
        What it has elsewhere.
    votes : tuple of Vote
        By how many tubes each gate was moved, where gates went to where they were found.
    told : tuple of str
        What could not be written.
    before, after : tuple of Ballot
        The tubes, with the old version and with the new.
    refused : mapping of str to tuple of Finding
        Tubes that could not be gated.
    """

    template: Template
    changes: tuple[Change, ...]
    votes: tuple[Vote, ...] = ()
    told: tuple[str, ...] = ()
    before: tuple[Ballot, ...] = ()
    after: tuple[Ballot, ...] = ()
    refused: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)


def bench_of(tubes: Sequence[Tube], only: Sequence[str], root: Path, plots: Path | None = None) -> Bench:
    """Return a bench with some rows of a sheet on it.

    Parameters
    ----------
    tubes : sequence of Tube
        Every row.
    only : sequence of str
        Samples that are chosen; all where none is named.
    root : Path
        What their files are relative to.
    plots : Path, optional
        Where pages go.

    Returns
    -------
    Bench

    Raises
    ------
    InputError
        ``E-USAGE``: a name that no row has; no row that is gated.
    """
    names = [tube.sample for tube in tubes]
    unknown = [Finding("E-USAGE", f'--only "{name}": no row of the sheet has this sample{nearest(name, names)}')
               for name in only if name not in names]  # fmt: skip
    if unknown:
        raise InputError(unknown)
    chosen = tuple(tube for tube in tubes if not only or tube.sample in only)
    if not any(tube.is_gated for tube in chosen):
        raise InputError(
            Finding("E-USAGE", "no full or reference tube is chosen, so there is nothing to look at")
        )
    return Bench(tuple(tubes), chosen, root, plots)


def tune(template: Template, asked: Wish, bench: Bench, reason: str = "",
         ended: Callable[[str], None] = lambda _: None) -> tuple[Words, Tuned]:  # fmt: skip
    """Tune a template on a bench, and write nothing of it.

    Parameters
    ----------
    template : Template
        As it is.
    asked : Wish
        What is to be changed.
    bench : Bench
        The tubes. Their pages are drawn, where the bench has a place for them.
    reason : str
        Why.
    ended : callable
        Told the name of each tube that was gated.

    Returns
    -------
    content : dict
        What the new version says.
    tuned : Tuned

    Raises
    ------
    InputError
        ``E-USAGE``: there is no reference tube for a bridge, or no tube could be gated; ``E-TEMPLATE``: what the changes come
        to is no template.
    """
    before, refused = _ballots(bench.voters, template, bench, "before", ended)
    if not before:
        raise InputError([finding for said in refused.values() for finding in said])
    content, lost = dict(template.to_mapping()), tuple[str, ...]()
    if asked.bridge and template.bridge:
        content, lost = off_bridge(content, _references(template, bench), template)
    content, votes, told = tuned(content, asked, before, template)
    if asked.bridge:
        gated = _references(_template({**content, "bridge": None}, template), bench)
        content, more = with_bridge(content, gated, template)
        lost = (*lost, *more)
    said = changes(template, _template(content, template))
    if not said:
        return content, Tuned(template, (), votes, (*lost, *told), before, before, refused)
    content = recorded(content, reason or "none was given", template, [one.sample for one in before], said)
    new = _template(content, template)
    after, _ = _ballots(bench.voters, new, bench, "after", ended)
    return content, Tuned(new, said, votes, (*lost, *told), before, after, refused)


def told_of(tuned: Tuned) -> list[str]:
    """Return what tuning came to, as lines: what moved, who voted, each tube before and after."""
    moved = table_of_changes(tuned.changes) if tuned.changes else ["nothing changed"]
    said = [*told_of_votes(tuned.votes), *tuned.told]
    tubes = table_of_tubes(tuned.template.primary.name, tuned.before, tuned.after)
    return [*moved, *(["", *said] if said else []), "", *tubes]


def _template(content: Words, like: Template) -> Template:
    """Return the template that words make, with the matrix that they name."""
    template = Template.from_mapping({key: value for key, value in content.items() if value is not None})
    return (
        template.compensated_by(like.compensation) if isinstance(like.compensation, Spillover) else template
    )


def _ballots(
    tubes: Sequence[Tube], template: Template, bench: Bench, when: str, ended: Callable[[str], None]
) -> tuple[tuple[Ballot, ...], dict[str, tuple[Finding, ...]]]:
    """Gate tubes one after the other; return what they say, and why others say nothing."""
    ballots, refused = list[Ballot](), dict[str, tuple[Finding, ...]]()
    near = neighbours(bench.tubes, bench.root, template, {})
    for tube in tubes:
        try:
            gated = _gated(tube, template, bench, near.get(tube.sample, ()))
        except FileError as error:
            refused[tube.sample] = error.findings
            continue
        ballots.append(ballot(tube.sample, gated))
        if bench.plots:
            _draw(bench.plots / f"{tube.sample}_{when}.png", gated, tube)
        ended(tube.sample)
    return tuple(ballots), refused


def _references(template: Template, bench: Bench) -> list[Gated]:
    """Return the bench's reference tubes, gated without a bridge."""
    if not bench.references:
        told = "--bridge needs a reference tube: none is chosen, and the chosen tubes' runs have none"
        raise InputError(Finding("E-USAGE", told))
    near = neighbours(bench.tubes, bench.root, template, {})
    try:
        return [_gated(tube, template, bench, near.get(tube.sample, ())) for tube in bench.references]
    except FileError as error:
        raise InputError(error.findings) from error


def _gated(tube: Tube, template: Template, bench: Bench, near: Sequence[Beside]) -> Gated:
    """Read a tube and gate it, with what of its run its gates look at."""
    own = Beside(tube, located(bench.root, tube.file))
    try:
        refuse_absent(own.path)
        found = around(own, near, template) if looks_around(template) else Around()
        bound = template.bind(read_tube(own.path, tube, template), tube.channels)
        if not len(bound.sample):
            raise FileError(EMPTY)
        if not looks_around(template):
            return gate(bound, template)
        lent = lend(bound, found, template)
    except FileError as error:
        raise FileError(finding.at(tube.sample) for finding in error.findings) from error
    noted = replace(bound, findings=(*bound.findings, *lent.findings))
    return gate(noted, template, references=lent.references, absent=lent.absent, companions=lent.companions)


def _draw(path: Path, gated: Gated, tube: Tube) -> None:
    from tregflow.plots import page

    write_whole(path, page(gated, path.stem, storable(Path(tube.file).name)))
