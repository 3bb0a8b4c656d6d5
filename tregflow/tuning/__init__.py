"""Tuning a template: stored gates moved on chosen tubes, for a cytometer of one's own.

Words in, words out: nothing here reads or writes a file. `ballot` lets a gated tube say where its gates
were found, `tuned` makes the new words of all ballots and of what a person asks for, `off_bridge` and `with_bridge`
bring them to where the reference tube lies, `recorded` the next version and its history. A template is never written
over, because results carry its hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tregflow.errors import Finding, InputError
from tregflow.template import Template
from tregflow.tuning.asking import Cut, Move, read_cut, read_move, with_cut, with_move
from tregflow.tuning.bridges import off_bridge, with_bridge, with_fingerprints
from tregflow.tuning.changes import Change, changes, recorded, table_of_changes, table_of_tubes, told_of_votes
from tregflow.tuning.coordinates import Words
from tregflow.tuning.voting import Ballot, Vote, ballot, to_found

__all__ = ["Ballot", "Change", "Cut", "Move", "Vote", "Wish", "ballot", "changes", "off_bridge", "read_cut", "read_move", "recorded",
           "table_of_changes", "table_of_tubes", "told_of_votes", "tuned", "with_bridge", "wish"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be changed in a template.

    Parameters
    ----------
    moves : tuple of Move
    cuts : tuple of Cut
    to_found, bridge, fingerprint : bool
        Whether gates go to where they were found, and whether landmarks and detectors are written.
    """

    moves: tuple[Move, ...] = ()
    cuts: tuple[Cut, ...] = ()
    to_found: bool = False
    bridge: bool = False
    fingerprint: bool = False


def wish(template: Template, moves: Sequence[str], cuts: Sequence[str], *, to_found: bool = False, bridge: bool = False,
         fingerprint: bool = False) -> Wish:  # fmt: skip
    """Return what words ask to be changed.

    Parameters
    ----------
    template : Template
        That is to be changed.
    moves, cuts : sequence of str
        As `read_move` and `read_cut` take them.
    to_found, bridge, fingerprint : bool
        As `Wish` has them.

    Returns
    -------
    Wish

    Raises
    ------
    InputError
        ``E-USAGE``: every mistake in the words; nothing is asked for; gates would leave the bridge that they stand on.
    """
    read, mistakes = [], list[Finding]()
    for text, reader in [*((one, read_move) for one in moves), *((one, read_cut) for one in cuts)]:
        try:
            read.append(reader(text, template))
        except InputError as error:
            mistakes += error.findings
    if not (read or mistakes or to_found or bridge or fingerprint):
        mistakes.append(
            Finding(
                "E-USAGE",
                "nothing is to be changed; say --move, --set, --to-found, --bridge or --fingerprint",
            )
        )
    if to_found and template.bridge and not bridge:
        told = "stored coordinates belong to the landmarks of the template's bridge; give --bridge with --to-found, so that both move"
        mistakes.append(Finding("E-USAGE", told))
    if mistakes:
        raise InputError(mistakes)
    return Wish(tuple(one for one in read if isinstance(one, Move)), tuple(one for one in read if isinstance(one, Cut)),
                to_found, bridge, fingerprint)  # fmt: skip


def tuned(
    content: Words, asked: Wish, ballots: Sequence[Ballot], template: Template
) -> tuple[Words, tuple[Vote, ...], tuple[str, ...]]:
    """Return a template's words with everything done that is asked for, but the bridge.

    Parameters
    ----------
    content : dict
        Left alone.
    asked : Wish
        First gates go to where they were found, then cuts are set, then moves are made.
    ballots : sequence of Ballot
        Of the tubes.
    template : Template
        What the words mean.

    Returns
    -------
    content : dict
    votes : tuple of Vote
        Of gates that were to go to where they were found.
    told : tuple of str
        What could not be written.
    """
    votes, told = tuple[Vote, ...](), tuple[str, ...]()
    if asked.to_found:
        content, votes = to_found(content, ballots, template)
    for cut in asked.cuts:
        content = with_cut(content, cut, template)
    for move in asked.moves:
        content = with_move(content, move, template)
    if asked.fingerprint:
        content, told = with_fingerprints(content, ballots, template)
    return content, votes, told
