"""Spillover out: from a matrix and a file's detectors to compensated values.

Rows of a spillover matrix are fluorochromes, columns detectors: observed = true @ matrix, hence
true = observed @ inverse. The inverse is taken once per file. A compensated value is summed
detector by detector in file order, without a matrix product: a product of some rows differs in the
last bit from the product of all, and an event must not depend on who else was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tregflow.errors import Finding, refuse
from tregflow.sample import BLOCK, Rows, Sample, Spillover, Values

DENSE = 3
"""Events of a stretch per event wanted, up to which mixing the whole stretch is cheaper than picking."""

PAIRS = 4
"""Pairs of number and channel that a sentence shows."""

SCATTER = ("FSC", "SSC", "FS ", "SS ", "TIME", "EVENT_LENGTH", "HDR-T", "WIDTH")


@dataclass(frozen=True, eq=False)
class Compensation:
    """A matrix matched to one file's channels.

    Parameters
    ----------
    detectors : tuple of int
        Channels that the matrix mixes, in file order.
    unmix : ndarray, shape (n_detectors, n_detectors)
        The inverse: column j makes detector j's compensated value from all raw ones.
    source : str
        Where the matrix came from.
    findings : tuple of Finding
        What was odd about it.
    """

    detectors: tuple[int, ...]
    unmix: Values
    source: str
    findings: tuple[Finding, ...] = ()

    def weights(self, channel: int) -> Values:
        """Return what each detector contributes to one channel's value; shape (n_detectors,)."""
        return self.unmix[:, self.detectors.index(channel)]


def compensate(raw: Sequence[Values], weights: Values, rows: Rows) -> Values:
    """Mix raw detector values into one compensated column.

    Parameters
    ----------
    raw : sequence of ndarray, each shape (n_events,)
        Scale values of the detectors, in file order.
    weights : ndarray, shape (n_detectors,)
        A column of the inverse spillover matrix.
    rows : ndarray of int, shape (n_rows,)
        Events wanted.

    Returns
    -------
    ndarray, shape (n_rows,)
        Compensated linear values.
    """
    mixed = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK):
        _mix(raw, weights, rows[start : start + BLOCK], mixed[start : start + BLOCK])
    return mixed


def _mix(raw: Sequence[Values], weights: Values, rows: Rows, mixed: Values) -> None:
    """Mix one block; where most of its stretch is wanted, the whole stretch is mixed and the rest dropped."""
    first, last = rows[0], rows[-1] + 1
    if last - first <= DENSE * len(rows):
        stretch = [column[first:last] for column in raw]
        np.take(_summed(stretch, weights), rows - first, out=mixed, mode="clip")
    else:
        mixed[:] = _summed([column.take(rows, mode="clip") for column in raw], weights)


def _summed(columns: Sequence[Values], weights: Values) -> Values:
    total: Values = columns[0] * weights[0]
    share = np.empty_like(total)
    for column, weight in zip(columns[1:], weights[1:], strict=True):
        total += np.multiply(column, weight, out=share)
    return total


def match(spillover: Spillover, sample: Sample) -> Compensation:
    """Match a spillover matrix to a file's channels, by name and never by position.

    Parameters
    ----------
    spillover : Spillover
        From the file or from a table.
    sample : Sample
        The file.

    Returns
    -------
    Compensation

    Raises
    ------
    FileError
        ``E-SPILL``: a name that is no channel, or a matrix that cannot be undone.
    """
    _check_matrix(spillover)
    channels, stain_notes = _channels(spillover, sample)
    order = np.argsort(channels)
    matrix = spillover.matrix[np.ix_(order, order)]
    detectors = tuple(int(channels[place]) for place in order)
    _check_scatter(matrix, [sample.names[detector] for detector in detectors])
    notes = (*stain_notes, *_notes(matrix, spillover.source))
    return Compensation(detectors, np.linalg.inv(matrix).astype(np.float64), spillover.source, notes)


def uncovered(compensation: Compensation, sample: Sample, gated: Mapping[str, int]) -> tuple[Finding, ...]:
    """Return what is to be said of gated fluorescence that a matrix leaves out.

    Parameters
    ----------
    compensation : Compensation
        The matrix, matched to the file.
    sample : Sample
        The file.
    gated : mapping of str to int
        Channels of the markers on a scale.

    Raises
    ------
    FileError
        ``E-SPILL``: the matrix names none of them.
    """
    dyes = {
        name: place for name, place in gated.items() if not sample.names[place].upper().startswith(SCATTER)
    }
    outside = [name for name, place in dyes.items() if place not in compensation.detectors]
    if not outside:
        return ()
    count = len(compensation.detectors)
    said = f"the {compensation.source} matrix names {count} detector{'s'[: count != 1]}"
    shown = ", ".join(f"{name} ({sample.names[dyes[name]]})" for name in outside)
    if len(outside) == len(dyes):
        raise refuse("E-SPILL", f"{said} and none of the gated ones: {shown}; it belongs to another panel")
    is_one = len(outside) == 1
    verbs = ("is", "stays") if is_one else ("are", "stay")
    what = f"{said}; {shown} {verbs[0]} gated and not in it, and {verbs[1]} uncompensated"
    return (Finding("F-SPILL-PARTIAL", what),)


def _channels(spillover: Spillover, sample: Sample) -> tuple[list[int], list[Finding]]:
    by_name = [_places(sample.names, name) for name in spillover.names]
    if all(len(places) == 1 for places in by_name):
        return [places[0] for places in by_name], []
    by_stain = [_places(sample.stains, name) for name in spillover.names]
    found = [places[0] for places in by_stain if len(places) == 1]
    if len(set(found)) == len(spillover.names):
        what = (
            f"the {spillover.source} matrix names stains, not detectors; each was matched to its one channel"
        )
        return found, [Finding("F-SPILL-STAIN", what)]
    is_a_name = any(_places((*sample.names, *sample.stains), name) for name in spillover.names)
    if not is_a_name and (numbered := _by_place(spillover.names, len(sample.channels))):
        pairs = ", ".join(f"{place + 1} = {sample.names[place]}" for place in numbered[:PAIRS])
        more = " …" if len(numbered) > PAIRS else ""
        what = f"the {spillover.source} matrix numbers its detectors; each was matched by its place: {pairs}{more}"
        return numbered, [Finding("F-SPILL-INDEX", what)]
    unknown = [name for name, places in zip(spillover.names, by_name, strict=True) if len(places) != 1]
    raise refuse("E-SPILL", f"the {spillover.source} matrix names {', '.join(unknown[:4])}"
                 f"{' …' if len(unknown) > 4 else ''}, which is not exactly one channel of the file; it has "
                 f"{', '.join(sample.names)}")  # fmt: skip


def _by_place(names: Sequence[str], count: int) -> list[int]:
    """Return the channels that numbers from 1 mean; none unless every name is such a number, once."""
    numbers = [int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 6]
    is_one_to_one = len(set(numbers)) == len(names) and all(1 <= number <= count for number in numbers)
    return [number - 1 for number in numbers] if is_one_to_one else []


def _places(words: Sequence[str], word: str) -> list[int]:
    return [place for place, known in enumerate(words) if known.strip() == word.strip()]


def _check_matrix(spillover: Spillover) -> None:
    matrix, named = spillover.matrix, len(spillover.names)
    if matrix.shape != (named, named):
        raise refuse("E-SPILL", f"the {spillover.source} matrix is {' x '.join(map(str, matrix.shape))} "
                     f"and names {named} detectors; it must be square")  # fmt: skip
    if len(set(spillover.names)) != named:
        raise refuse("E-SPILL", f"the {spillover.source} matrix names a detector twice")
    if not np.isfinite(matrix).all():
        raise refuse("E-SPILL", f"the {spillover.source} matrix holds a value that is not a finite number")
    _check_values(matrix, spillover.source)


def _check_values(matrix: Values, source: str) -> None:
    diagonal = np.diag(matrix)
    if np.allclose(diagonal, 100):
        raise refuse(
            "E-SPILL", f"the {source} matrix has 100 on its diagonal: it is in per cent; divide it by 100"
        )
    if diagonal.min() < 0.5 or diagonal.max() > 2:
        raise refuse("E-SPILL", f"the diagonal of the {source} matrix runs from {diagonal.min():g} to "
                     f"{diagonal.max():g}; it should be 1")  # fmt: skip
    if matrix.min() < -0.1:
        raise refuse("E-SPILL", f"the {source} matrix holds {matrix.min():g}; a detector cannot see so much less "
                     "than nothing of another dye")  # fmt: skip
    if np.linalg.cond(matrix) > 1e6:
        raise refuse("E-SPILL", f"the {source} matrix cannot be undone (condition number {np.linalg.cond(matrix):.1g}): "
                     "two of its rows are all but the same")  # fmt: skip


def _check_scatter(matrix: Values, names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        alone = np.zeros(len(names))
        alone[place] = 1
        is_mixed = not (np.array_equal(matrix[place], alone) and np.array_equal(matrix[:, place], alone))
        if name.upper().startswith(SCATTER) and is_mixed:
            raise refuse(
                "E-SPILL", f"the matrix mixes {name} with fluorescence; scatter and time take no compensation"
            )


def _notes(matrix: Values, source: str) -> list[Finding]:
    if np.array_equal(matrix, np.eye(len(matrix))):
        return [Finding("F-SPILL-IDENTITY", f"the {source} matrix is the identity: the events were compensated before, "
                        "or not at all; write compensation: none if the first")]  # fmt: skip
    condition = float(np.linalg.cond(matrix))
    if condition <= 10:
        return []
    code = "F-SPILL-CONDITION" if condition > 100 else "N-SPILL"
    return [Finding(code, f"the {source} matrix has condition number {condition:.0f}: it magnifies noise")]
