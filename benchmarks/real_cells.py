"""Real cells of known truth: tubes of organ donors, gated by hand, thinned to Treg percentages that are known.

The manual gates of a FlowJo workspace say which events are CD4+ and which of them Tregs; FlowKit computes
their members. Both kinds are resampled to a stated percentage, their compensated values are changed as a
cytometer or a stain changes them from run to run, and the result is spilled again by the matrix of the same
donor's raw unstained tube. What a trial then measures is known: the count of each file, and so the fold
between two visits of one subject.

    python benchmarks/real_cells.py OUT --set tcells --seed 1 [--tubes 412C:Blood 390C:mLN] [--percents 2 4 8 16]

OUT gets ``samples.csv``, ``fcs/``, ``truth.csv`` (counts), ``folds.csv`` (every pair of visits), ``shifts.csv``
(what was done to each detector of each run) and ``truth/SAMPLE.npy`` (one label per event, in file order).
Templates gate these files with ``compensation: file``.

What is not real in them. The exports hold no scatter, time or viability, and no CD19 among the T cells: in
detectors of the matrix that the export left out, values are drawn from the unstained tube. No raw tube of
donor 390C is known: it borrows the matrix of 403C, and its CD4, which stood on a detector of its own
(355 670/30), the row and column of the others' CD4 detector (355 820/60); its CD45 there is left out. Noise
follows gain; neither photon noise nor the spread of spilled light is drawn anew. Where a tube has fewer
Tregs than asked for, events repeat, and files of one tube share events: their errors are not independent.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tregflow.io.fcs.writing import write_fcs

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("TREGFLOW_DATA") or ROOT.parent / "shared" / "data")

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]

LABELS = ("other", "Tconv", "Treg")
"""What an event is by the manual gates: not CD4+, CD4+ but no Treg, Treg. A label is a place in this tuple."""

TISSUES = {"bone marrow": "BM", "ileum": "Ileum", "liver": "Liver", "lung": "Lung", "spleen": "Spleen",
           "mesenteric LN": "mLN", "blood": "Blood", "unstained control": "unstained"}  # fmt: skip
"""How tubes are named, by the tissue of the reference tables."""

TUBES = {"tcells": ("412C:Blood", "390C:mLN", "412C:mLN", "390C:Spleen", "403C:Lung"),
         "lymphocytes": ("412C:Blood", "412C:mLN", "403C:Lung", "390C:Lung")}  # fmt: skip
"""Tubes with at least 500 Tregs, the ones that are diluted unless others are named."""

FEW = 100
"""Events below the unstained level from which the noise of a stained tube can be told."""


# ------------------------------------------------------------------------------------ manual gates


@dataclass(frozen=True, slots=True)
class Definition:
    """The manual gates of one set of tubes; each path is the end of the whole one.

    Parameters
    ----------
    folder : str
        Where the set stands among the real files.
    cd4, mid, treg : tuple of str
        CD4+, the CD25 x CD127 gate (empty where there is none) and the Tregs.
    """

    folder: str
    cd4: tuple[str, ...]
    mid: tuple[str, ...]
    treg: tuple[str, ...]


SETS = {
    "tcells": Definition("treg/flowatlas_tcells", ("CD4",), ("CD4", "127lo 25+"), ("CD4", "127lo 25+", "CD4 | Treg")),
    "lymphocytes": Definition("treg/flowatlas_lymphocytes", ("CD4",), (), ("CD4", "Treg")),
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Tube:
    """One tube and what the manual gates make of each event.

    Parameters
    ----------
    donor, tissue, file : str
        Tissue as in `TISSUES`; the file relative to its set.
    detectors, markers : tuple of str
        Of each column; detectors as raw files name them (``355 379/28-A``).
    values : ndarray, shape (n_events, n_markers)
        Compensated, linear, of every event of the file.
    cd4, mid, treg : ndarray of bool, shape (n_events,)
        Members of the manual gates; `mid` is all False where the set has no CD25 x CD127 gate.
    """

    donor: str
    tissue: str
    file: str
    detectors: tuple[str, ...]
    markers: tuple[str, ...]
    values: Floats
    cd4: Mask
    mid: Mask
    treg: Mask

    @property
    def name(self) -> str:
        """Donor and tissue, as the command line names tubes."""
        return f"{self.donor}:{self.tissue}"

    @property
    def percent(self) -> float:
        """Tregs in per cent of CD4+, 0-100; NaN without CD4+ events."""
        return float(100 * self.treg.sum() / self.cd4.sum()) if self.cd4.any() else math.nan

    def column(self, marker: str) -> Floats:
        """Return the values of one marker; shape (n_events,)."""
        return self.values[:, self.markers.index(marker)]


def manual(set_: str, data: Path = DATA, cache: Path | None = None) -> tuple[Tube, ...]:
    """Return every tube of a set with the members of its manual gates, computed by FlowKit.

    Parameters
    ----------
    set_ : str
        ``tcells`` or ``lymphocytes``.
    data : Path
        Folder of real files.
    cache : Path, optional
        Folder that keeps the members, one ``SET__DONOR__TISSUE.npz`` for each tube; made if missing.
        What stands there is believed: empty it when the files or the gates change.

    Returns
    -------
    tuple of Tube
        In the order of ``reference_treg.csv``, unstained controls among them.
    """
    folder = data / SETS[set_].folder
    rows = _table(folder / "reference_treg.csv")
    kept = {row["file"]: cache / _npz(set_, row) for row in rows} if cache else {}
    if kept and all(path.is_file() for path in kept.values()):
        return tuple(_loaded(row, kept[row["file"]]) for row in rows)
    tubes = tuple(_gated(SETS[set_], folder, rows))
    for tube in tubes if cache else ():
        _save(tube, kept[tube.file])
    return tubes


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _npz(set_: str, row: Mapping[str, str]) -> str:
    return f"{set_}__{row['donor']}__{TISSUES[row['tissue']]}.npz"


def _gated(definition: Definition, folder: Path, rows: Sequence[Mapping[str, str]]) -> Iterator[Tube]:
    import flowkit as fk

    samples = [fk.Sample(str(folder / row["file"])) for row in rows]
    with warnings.catch_warnings():  # the workspace knows tubes that are not among the files
        warnings.filterwarnings("ignore", "WSP references")
        workspace = fk.Workspace(str(folder / "workspace.wsp"), fcs_samples=samples)
    panel = _table(folder / "panel.csv")
    for row, sample in zip(rows, samples, strict=True):
        workspace.analyze_samples(sample_id=sample.id, use_mp=False)
        masks = [_members(workspace, sample, path) for path in (definition.cd4, definition.mid, definition.treg)]  # fmt: skip
        of_channel = {entry["channel"]: _marker(entry) for entry in panel if entry["donor"] == row["donor"]}
        places = [sample.pnn_labels.index(channel) for channel in of_channel]
        yield Tube(row["donor"], TISSUES[row["tissue"]], row["file"], tuple(map(_detector, of_channel)),
                   tuple(of_channel.values()), sample.get_events("raw")[:, places], *masks)  # fmt: skip


def _members(workspace: Any, sample: Any, path: tuple[str, ...]) -> Mask:
    """Return the members of the one gate whose whole path ends with `path`."""
    if not path:
        return np.zeros(sample.event_count, bool)
    gates = workspace.get_gate_ids(sample.id)
    ((name, parents),) = [gate for gate in gates if (*gate[1], gate[0])[-len(path) :] == path]
    return np.asarray(workspace.get_gate_membership(sample.id, name, parents), bool)


def _marker(entry: Mapping[str, str]) -> str:
    return "FOXP3" if entry["marker"] == "Foxp3" else entry["marker"]


def _detector(channel: str) -> str:
    return channel.removeprefix("FJComp-").replace("_", "/")


def _save(tube: Tube, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}")
    with part.open("wb") as file:
        np.savez(file, names=np.array(tube.markers), detectors=np.array(tube.detectors), values=tube.values,
                 cd4=tube.cd4, mid=tube.mid, treg=tube.treg)  # fmt: skip
    part.replace(path)


def _loaded(row: Mapping[str, str], path: Path) -> Tube:
    with np.load(path) as kept:
        words = [tuple(map(str, kept[name])) for name in ("detectors", "names")]
        arrays = [kept[name] for name in ("values", "cd4", "mid", "treg")]
    return Tube(row["donor"], TISSUES[row["tissue"]], row["file"], words[0], words[1], *arrays)


# ------------------------------------------------------------------- a tube on the detectors of a raw file

RAW = {"412C": "412C_unst_022.fcs", "403C": "403C_Donor_unst_021.fcs", "390C": "403C_Donor_unst_021.fcs"}
"""The raw unstained tube whose matrix a donor's files are spilled by."""

STANDS_FOR = {"390C": {"355 820/60-A": "355 670/30-A"}}
"""Detectors of a borrowed matrix that stand for another one of the donor's."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A tube on the detectors of a raw file, ready to be resampled.

    Parameters
    ----------
    tube : Tube
    detectors, stains : tuple of str
        ``$PnN`` and ``$PnS``; no stain where the export left a detector out.
    matrix : ndarray, shape (n_detectors, n_detectors)
        Spillover, rows dyes.
    values : ndarray, shape (n_events, n_detectors)
        Compensated.
    unstained : ndarray, shape (n_cells, n_detectors)
        Compensated values of the donor's unstained cells.
    level : ndarray, shape (n_detectors,)
        Median of the unstained cells: autofluorescence.
    noise : ndarray, shape (n_detectors,)
        SD of the unstained cells about `level`.
    spread : ndarray, shape (n_detectors,)
        The same in the stained tube, where light that other dyes spilled adds to it; never below `noise`.
    """

    tube: Tube
    detectors: tuple[str, ...]
    stains: tuple[str, ...]
    matrix: Floats
    values: Floats
    unstained: Floats
    level: Floats
    noise: Floats
    spread: Floats

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Place in `LABELS` of each event; shape (n_events,)."""
        return self.tube.cd4.astype(np.uint8) + self.tube.treg

    def place(self, marker: str) -> int:
        """Return the column of a marker."""
        return self.stains.index(marker)


def source(tube: Tube, data: Path = DATA) -> Source:
    """Put a tube on the detectors of its donor's raw files.

    Parameters
    ----------
    tube : Tube
    data : Path
        Folder of real files.

    Returns
    -------
    Source
        Detectors in the order of the matrix; the same for the same tube. Where the export left a
        detector out, values are drawn from the middle nine tenths of the raw unstained tube's.

    Notes
    -----
    Noise is the distance below the unstained median that 68.27 % of the events below it keep: half a
    normal distribution, whatever stands above. In the stained tube CD4+ events below that level can be
    nothing but noise; of fewer than `FEW`, the unstained tube's is taken.
    """
    raw, names, matrix = _raw_unstained(data / "treg/flowatlas_raw_unstained" / RAW[tube.donor])
    detectors = tuple(STANDS_FOR.get(tube.donor, {}).get(name, name) for name in names)
    middle = [_middle(column) for column in (raw @ np.linalg.inv(matrix)).T]
    rng = _generator(0, tube.name, "left out")
    unstained = _on(detectors, *_control(tube.donor, data), middle, rng)
    values = _on(detectors, tube.detectors, tube.values, middle, rng)
    level = np.median(unstained, axis=0)
    noise = np.array([_below(*pair) for pair in zip(unstained.T, level, strict=True)])
    seen = [_below(*pair) for pair in zip(values[tube.cd4].T, level, strict=True)]
    of_detector = dict(zip(tube.detectors, tube.markers, strict=True))
    stains = tuple(of_detector.get(name, "") for name in detectors)
    return Source(tube, detectors, stains, matrix, values, unstained, level, noise, np.fmax(noise, seen))


def _raw_unstained(path: Path) -> tuple[Floats, tuple[str, ...], Floats]:
    """Return the raw events of a tube on the detectors of its matrix, their names, and the matrix."""
    from flowio import FlowData
    from flowutils.compensate import get_spill

    file = FlowData(str(path))
    matrix, names = get_spill(file.text["spill"])
    places = [file.pnn_labels.index(name) for name in names]
    return file.as_array(preprocess=False)[:, places], tuple(names), matrix


def _control(donor: str, data: Path) -> tuple[tuple[str, ...], Floats]:
    """Return detectors and compensated values of a donor's unstained T-cell gate."""
    from flowio import FlowData

    folder = data / SETS["tcells"].folder
    rows = _table(folder / "reference_treg.csv")
    (name,) = [row["file"] for row in rows if (row["donor"], TISSUES[row["tissue"]]) == (donor, "unstained")]
    file = FlowData(str(folder / name))
    return tuple(map(_detector, file.pnn_labels)), file.as_array(preprocess=False)


def _middle(column: Floats) -> Floats:
    """Return the middle nine tenths: a raw tube holds debris and other tubes' bright cells."""
    low, high = np.quantile(column, [0.05, 0.95])
    middle: Floats = column[(column >= low) & (column <= high)]
    return middle


def _on(
    detectors: Sequence[str],
    known: Sequence[str],
    values: Floats,
    others: Sequence[Floats],
    rng: np.random.Generator,
) -> Floats:
    """Return values in the order of `detectors`; columns that are not known are drawn."""
    columns = [
        values[:, known.index(name)] if name in known else rng.choice(others[place], len(values))
        for place, name in enumerate(detectors)
    ]
    return np.column_stack(columns)


def _below(column: Floats, level: float) -> float:
    """Return the SD of noise about a level, from what lies below it; NaN where that is little."""
    below = level - column[column < level]
    return float(np.quantile(below, math.erf(math.sqrt(0.5)))) if len(below) >= FEW else math.nan


def _generator(seed: int, *key: str) -> np.random.Generator:
    return np.random.default_rng([seed, int.from_bytes("|".join(key).encode(), "little")])


# ----------------------------------------------------------------------------------- what a run changes


@dataclass(frozen=True, slots=True, eq=False)
class Shift:
    """What one run does to each detector; shape (n_detectors,) each.

    Parameters
    ----------
    gain : ndarray
        Decades by which the detector multiplies all light: stained, unstained and spilled.
    stain : ndarray
        Decades by which the light of the detector's own dye is multiplied.
    offset : ndarray
        Added to the compensated value, file's units.
    """

    gain: Floats
    stain: Floats
    offset: Floats


def shift(
    tube: Source,
    gain: Mapping[str, float] | None = None,
    stain: Mapping[str, float] | None = None,
    offset: Mapping[str, float] | None = None,
) -> Shift:
    """Return a shift stated by marker; what is not named stays.

    Parameters
    ----------
    tube : Source
    gain, stain : mapping of str to float, optional
        Decades by marker.
    offset : mapping of str to float, optional
        SDs of the unstained cells by marker.
    """
    words = [[(by or {}).get(stain, 0.0) for stain in tube.stains] for by in (gain, stain, offset)]
    shifts = np.array(words, float)
    return Shift(shifts[0], shifts[1], shifts[2] * tube.noise)


def drawn_shift(
    tube: Source,
    rng: np.random.Generator,
    *,
    gain: float = 0.0,
    stain: float = 0.0,
    offset: float = 0.0,
    is_fixed: bool = False,
) -> Shift:
    """Draw what a run does to each detector, one apart from the other.

    Parameters
    ----------
    tube : Source
    rng : numpy.random.Generator
    gain, stain : float, default 0.0
        SD in decades.
    offset : float, default 0.0
        SD in SDs of the unstained cells.
    is_fixed : bool, default False
        Whether only the direction is drawn, and the size is as stated.
    """
    draws = rng.standard_normal((3, len(tube.detectors)))
    steps = np.sign(draws) if is_fixed else draws
    return Shift(gain * steps[0], stain * steps[1], offset * steps[2] * tube.noise)


def dye_light(values: Floats, level: Floats, spread: Floats) -> Floats:
    """Estimate the part of compensated values that is light of the detector's own dye.

    Parameters
    ----------
    values : ndarray, shape (n_events, n_detectors)
        Compensated.
    level, spread : ndarray, shape (n_detectors,)
        Autofluorescence, and the SD of noise about it; see `Source`.

    Returns
    -------
    ndarray, shape (n_events, n_detectors)
        0 up to `level`; all but what lies above it from a few `spread` on.

    Notes
    -----
    With y what lies above `level` and s the spread, ``y * y**2 / (y**2 + s**2)``: the empirical Wiener
    estimate. It is smooth and rises with the value, so a stain shift keeps the order of events in each
    detector, and every manual cut has its place after it. An antibody that binds without its target
    carries its dye there: that light, which the negatives of an intracellular stain show, counts.
    """
    above: Floats = np.maximum(values - level, 0.0)
    return above**3 / (above**2 + spread**2)


def with_gain(matrix: Floats, gain: Floats) -> Floats:
    """Return the spillover that single stains show after a gain shift.

    Row i is divided by what its own detector gained and column j multiplied by what detector j did;
    rounded to nine decimals, as the file holds it.
    """
    factors = 10.0**gain
    return np.round(matrix * factors / factors[:, None], 9)


# ------------------------------------------------------------------------------------------ dilution


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Events drawn from one tube.

    Parameters
    ----------
    rows : ndarray of int, shape (n_events,)
        Events of the tube, in the order of the file to be.
    labels : ndarray of uint8, shape (n_events,)
        Places in `LABELS`.
    """

    rows: Rows
    labels: NDArray[np.uint8]

    @property
    def cd4(self) -> int:
        """Count of CD4+ events, Tregs among them."""
        return int((self.labels > 0).sum())

    @property
    def treg(self) -> int:
        """Count of Tregs."""
        return int((self.labels == LABELS.index("Treg")).sum())

    @property
    def percent(self) -> float:
        """Tregs in per cent of CD4+, 0-100; NaN without CD4+ events."""
        return 100 * self.treg / self.cd4 if self.cd4 else math.nan

    @property
    def repeated(self) -> int:
        """Count of events that stand in the file already."""
        return len(self.rows) - len(np.unique(self.rows))


@dataclass(frozen=True, slots=True, eq=False)
class Acquired:
    """What a file holds, and what compensation must give back.

    Parameters
    ----------
    cells : Cells
    raw : ndarray of float32, shape (n_events, n_detectors)
        Spilled: the file's values.
    values : ndarray, shape (n_events, n_detectors)
        Compensated values after the shift.
    matrix : ndarray, shape (n_detectors, n_detectors)
        The spillover of the file, true for its gains.
    """

    cells: Cells
    raw: NDArray[np.float32]
    values: Floats
    matrix: Floats


def resampled(
    tube: Source, percent: float, rng: np.random.Generator, *, cd4: int = 10_000, has_others: bool = True
) -> Cells:
    """Draw events so that Tregs make a stated share of CD4+.

    Parameters
    ----------
    tube : Source
    percent : float
        Tregs in per cent of CD4+, 0-100.
    rng : numpy.random.Generator
    cd4 : int, default 10_000
        CD4+ events to draw.
    has_others : bool, default True
        Whether events that are not CD4+ come along, as many for each CD4+ one as in the tube.

    Returns
    -------
    Cells
        Shuffled. Of each kind, no event twice where the tube has enough; see `balanced`.
    """
    treg = round(cd4 * percent / 100)
    others = round(cd4 * (~tube.tube.cd4).sum() / tube.tube.cd4.sum()) if has_others else 0
    counts = (others, cd4 - treg, treg)
    pools = [np.flatnonzero(tube.labels == label) for label in range(len(LABELS))]
    rows = np.concatenate([balanced(pool, count, rng) for pool, count in zip(pools, counts, strict=True)])
    rows = rng.permutation(rows)
    return Cells(rows, tube.labels[rows])


def balanced(pool: Rows, count: int, rng: np.random.Generator) -> Rows:
    """Draw rows without replacement; where they do not suffice, each as often, the rest without replacement.

    Raises
    ------
    ValueError
        If there is nothing to draw from.
    """
    if count and not len(pool):
        raise ValueError("the tube has no event of a kind that is asked for")
    times, rest = divmod(count, len(pool)) if count else (0, 0)
    return np.concatenate([np.tile(pool, times), rng.choice(pool, rest, replace=False)]).astype(np.intp)


def acquired(tube: Source, cells: Cells, change: Shift) -> Acquired:
    """Return what the cytometer makes of stained cells in a run.

    Parameters
    ----------
    tube : Source
    cells : Cells
    change : Shift
        What the run does.
    """
    return _acquired(tube, cells, _stained(tube, cells, change), change)


def without(
    tube: Source, cells: Cells, change: Shift, marker: str, rng: np.random.Generator, *, is_widened: bool = True
) -> Acquired:  # fmt: skip
    """Return the same cells stained with everything but one marker (FMO).

    Parameters
    ----------
    tube : Source
    cells : Cells
    change : Shift
    marker : str
        What is left out: its values are drawn from the unstained cells.
    rng : numpy.random.Generator
    is_widened : bool, default True
        Whether the draws are widened about their level to the noise of the stained tube. An FMO shows
        what the other dyes spread into the detector, and unstained cells do not: in the CD25 detector
        of these tubes the noise is up to 14 times theirs.
    """
    values = _stained(tube, cells, change)
    place = tube.place(marker)
    draws = rng.choice(tube.unstained[:, place], len(values))
    factor = tube.spread[place] / tube.noise[place] if is_widened else 1.0
    values[:, place] = tube.level[place] + factor * (draws - tube.level[place])
    return _acquired(tube, cells, values, change)


def unstained(tube: Source, change: Shift, rng: np.random.Generator) -> Acquired:
    """Return half of the donor's unstained cells in a run, another half each time; none counts as CD4+."""
    count = len(tube.unstained)
    rows = rng.choice(count, count // 2, replace=False)
    return _acquired(tube, Cells(rows, np.zeros(len(rows), np.uint8)), tube.unstained[rows], change)


def _stained(tube: Source, cells: Cells, change: Shift) -> Floats:
    values = tube.values[cells.rows]
    return values + (10.0**change.stain - 1) * dye_light(values, tube.level, tube.spread)


def _acquired(tube: Source, cells: Cells, values: Floats, change: Shift) -> Acquired:
    values = 10.0**change.gain * values + change.offset
    matrix = with_gain(tube.matrix, change.gain)
    return Acquired(cells, (values @ matrix).astype(np.float32), values, matrix)


def write_tube(path: Path, tube: Source, made: Acquired) -> None:
    """Write one tube as FCS 3.1, ``$SPILLOVER`` with it."""
    write_fcs(
        path, tube.detectors, list(made.raw.T), stains=tube.stains, spillover=(tube.detectors, made.matrix),
        keywords={"$FIL": path.name, "$CYT": "LSRFortessa X50", "$COM": "Real cells, resampled and spilled again"},
        delimiter="|",
    )  # fmt: skip


# --------------------------------------------------------------------------------------------- a trial


@dataclass(frozen=True, slots=True)
class Design:
    """What a trial of diluted tubes is.

    Parameters
    ----------
    percents : tuple of float
        Tregs in per cent of CD4+, one visit each.
    cd4 : int
        CD4+ events of each file.
    replicates : int
        Subjects made of each tube.
    gain, stain, offset : float
        See `drawn_shift`; every visit of every subject is a run of its own.
    is_fixed : bool
        See `drawn_shift`.
    has_others : bool
        Whether events that are not CD4+ come along.
    controls : tuple of str
        Control tubes of every run: ``fmo:MARKER``, ``unstained``, ``reference`` (the tube at its own
        percentage, other events of the same aliquot in every run).
    """

    percents: tuple[float, ...] = (2, 4, 8, 16)
    cd4: int = 10_000
    replicates: int = 1
    gain: float = 0.2
    stain: float = 0.2
    offset: float = 0.0
    is_fixed: bool = False
    has_others: bool = True
    controls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """One file of a trial.

    Parameters
    ----------
    row : dict of str to str
        Of the sample sheet.
    tube : Source
    acquired : Acquired
    change : Shift
        What its run did.
    """

    row: dict[str, str]
    tube: Source
    acquired: Acquired
    change: Shift


def trial(sources: Sequence[Source], design: Design, seed: int) -> Iterator[Made]:
    """Yield the files of a trial, subject by subject and visit by visit.

    Parameters
    ----------
    sources : sequence of Source
        Tubes, in the order of the subjects.
    design : Design
    seed : int
        The same seed makes the same files, whatever other tubes and controls are asked for.
    """
    for tube, replicate in itertools.product(sources, range(1, design.replicates + 1)):
        subject = f"{tube.tube.donor}-{tube.tube.tissue}-{replicate}"
        for number, percent in enumerate(design.percents, 1):
            yield from _visit(tube, subject, f"V{number}", percent, design, seed)


def _visit(
    tube: Source, subject: str, visit: str, percent: float, design: Design, seed: int
) -> Iterator[Made]:
    run = f"{subject}_{visit}"
    change = drawn_shift(tube, _generator(seed, run, "run"), gain=design.gain, stain=design.stain,
                         offset=design.offset, is_fixed=design.is_fixed)  # fmt: skip
    cells = resampled(
        tube, percent, _generator(seed, run, "full"), cd4=design.cd4, has_others=design.has_others
    )
    yield Made(_row(run, "full", subject, visit), tube, acquired(tube, cells, change), change)
    for control in design.controls:
        whose = ("", "") if control == "reference" else (subject, visit)
        made = _control_tube(control, tube, cells, change, _generator(seed, run, control))
        yield Made(_row(run, control, *whose), tube, made, change)


def _control_tube(
    control: str, tube: Source, cells: Cells, change: Shift, rng: np.random.Generator
) -> Acquired:
    if control == "unstained":
        return unstained(tube, change, rng)
    if control == "reference":
        has_others = bool((cells.labels == 0).any())
        aliquot = resampled(tube, tube.tube.percent, rng, cd4=cells.cd4, has_others=has_others)
        return acquired(tube, aliquot, change)
    return without(tube, cells, change, control.removeprefix("fmo:"), rng)


def _row(run: str, tube: str, subject: str = "", visit: str = "") -> dict[str, str]:
    sample = run if tube == "full" else f"{run}_{tube.replace(':', '_')}"
    return {"file": f"fcs/{sample}.fcs", "sample": sample, "subject": subject, "visit": visit, "tube": tube,
            "run": run}  # fmt: skip


def write(made: Iterable[Made], folder: Path) -> list[dict[str, str]]:
    """Write a trial, tube by tube; the sample sheet comes last.

    Parameters
    ----------
    made : iterable of Made
    folder : Path
        New or empty.

    Returns
    -------
    list of dict
        The rows of ``truth.csv``.

    Raises
    ------
    FileExistsError
        If the folder holds something.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty")
    for name in ("fcs", "truth"):
        (folder / name).mkdir(parents=True)
    sheet, truths, shifts = [], [], []
    for one in made:
        write_tube(folder / one.row["file"], one.tube, one.acquired)
        np.save(folder / "truth" / f"{one.row['sample']}.npy", one.acquired.cells.labels)
        sheet.append(one.row)
        truths.append(_truth(one))
        shifts += _said(one) if one.row["tube"] == "full" else []
    (folder / "truth" / "labels.json").write_text(json.dumps(LABELS) + "\n", encoding="utf-8")
    for name, rows in (("truth", truths), ("folds", folds(truths)), ("shifts", shifts), ("samples", sheet)):
        _write_table(folder / f"{name}.csv", rows)
    return truths


def _truth(made: Made) -> dict[str, str]:
    cells, tube = made.acquired.cells, made.tube.tube
    return {
        "sample": made.row["sample"], "file": made.row["file"], "tube": made.row["tube"],
        "subject": made.row["subject"], "visit": made.row["visit"], "donor": tube.donor, "tissue": tube.tissue,
        "events": str(len(cells.rows)), "cd4": str(cells.cd4), "treg": str(cells.treg),
        "percent": f"{cells.percent:.6f}" if cells.cd4 else "", "repeated": str(cells.repeated),
    }  # fmt: skip


def _said(made: Made) -> list[dict[str, str]]:
    columns = (made.tube.detectors, made.tube.stains, made.change.gain, made.change.stain, made.change.offset)
    return [
        {"run": made.row["run"], "detector": detector, "marker": marker,
         "gain": f"{gain:.6f}", "stain": f"{stain:.6f}", "offset": f"{offset:.3f}"}
        for detector, marker, gain, stain, offset in zip(*columns, strict=True)
    ]  # fmt: skip


def folds(truths: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return the true fold of every pair of visits of a subject, by the counts of its files.

    Parameters
    ----------
    truths : sequence of mapping
        Rows of ``truth.csv``.

    Returns
    -------
    list of dict
        ``subject``, ``from``, ``to`` (visits, earlier first) and ``log_fold``, natural logarithm.
    """
    full = [row for row in truths if row["tube"] == "full"]
    pairs = [pair for pair in itertools.combinations(full, 2) if pair[0]["subject"] == pair[1]["subject"]]
    return [
        {"subject": one["subject"], "from": one["visit"], "to": other["visit"],
         "log_fold": f"{math.log(_fraction(other) / _fraction(one)):.9f}"}
        for one, other in pairs
    ]  # fmt: skip


def _fraction(row: Mapping[str, str]) -> float:
    return int(row["treg"]) / int(row["cd4"])


def _write_table(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def main(words: Sequence[str] | None = None) -> None:
    asked = _options().parse_args(words)
    tubes = {tube.name: tube for tube in manual(asked.set, asked.data, asked.cache)}
    wanted = asked.tubes or TUBES[asked.set]
    unknown = sorted(set(wanted) - set(tubes))
    if unknown:
        raise SystemExit(f"no tube {', '.join(unknown)} in {asked.set}; it has {', '.join(sorted(tubes))}")
    design = Design(tuple(asked.percents), asked.cd4, asked.replicates, asked.gain, asked.stain, asked.offset,
                    asked.fixed, not asked.no_others, tuple(asked.controls))  # fmt: skip
    truths = write(trial([source(tubes[name], asked.data) for name in wanted], design, asked.seed), asked.out)
    for row in truths:
        print(f"{row['sample']:<36}{row['cd4']:>7} CD4+{row['treg']:>6} Treg {row['percent'] or '-':>10} %"
              f"{row['repeated']:>6} repeated")  # fmt: skip


def _options() -> argparse.ArgumentParser:
    default = Design()
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("out", type=Path, help="new or empty folder")
    options.add_argument("--set", choices=SETS, default="tcells", help="whose manual gates are the truth")
    options.add_argument("--seed", type=int, required=True)
    options.add_argument("--tubes", nargs="+", metavar="DONOR:TISSUE")
    options.add_argument("--percents", type=float, nargs="+", default=default.percents)
    options.add_argument("--cd4", type=int, default=default.cd4, help="CD4+ events of each file")
    options.add_argument("--replicates", type=int, default=default.replicates, help="subjects of each tube")
    options.add_argument("--gain", type=float, default=default.gain, help="decades, SD")
    options.add_argument("--stain", type=float, default=default.stain, help="decades, SD")
    options.add_argument(
        "--offset", type=float, default=default.offset, help="SDs of the unstained cells, SD"
    )
    options.add_argument("--fixed", action="store_true", help="shifts of just that size, up or down")
    options.add_argument("--no-others", action="store_true", help="CD4+ events alone")
    options.add_argument("--controls", nargs="+", default=(), metavar="fmo:MARKER | unstained | reference")
    options.add_argument("--data", type=Path, default=DATA, help="folder of real files")
    options.add_argument("--cache", type=Path, help="folder that keeps the members of the manual gates")
    return options


if __name__ == "__main__":
    main()
