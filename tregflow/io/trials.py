"""A simulated trial as a folder: FCS files, the sample sheet, and the truth beside them."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tregflow.errors import Finding, InputError, OutputError
from tregflow.io.fcs.writing import write_fcs
from tregflow.simulation import LABELS, MARKERS, TIMESTEP, Cytometer, Trial, Tube, cytometer_of

SHEET = "samples.csv"
TRUTH = "truth.csv"
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def write_trial(trial: Trial, folder: str | os.PathLike[str]) -> list[Path]:
    """Write a trial, tube by tube; the sample sheet comes last.

    Beside the FCS files stand ``samples.csv``, ``truth.csv`` (counts and percent of each file),
    ``truth/SAMPLE.npy`` (uint8, one label per event, in file order) and ``truth/labels.json``
    (what the labels mean), ``truth/settings.json`` (every option of the trial) and ``truth/runs.json``
    (how each run's detectors and stains truly stood).

    Parameters
    ----------
    trial : Trial
    folder : path
        Made if it is missing; must be empty.

    Returns
    -------
    list of Path
        The FCS files, in the order of the sheet.

    Raises
    ------
    InputError
        If the folder holds something.
    OutputError
        If something cannot be written.
    """
    folder = Path(folder)
    try:
        _make(folder)
        written = [_write_tube(tube, folder) for tube in trial]
        for name, told in (("labels", LABELS), ("settings", trial.options), ("runs", _runs(trial))):
            _write_json(folder / "truth" / f"{name}.json", told)
        _write_table(folder / TRUTH, (row for _, row in written))
        _write_table(folder / SHEET, trial.rows)
    except OSError as error:
        sentence = f"{error.strerror}; the trial is not complete"
        raise OutputError(Finding("E-WRITE", sentence, str(error.filename or folder))) from error
    return [path for path, _ in written]


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    inside = min((path.name for path in folder.iterdir()), default=None)
    if inside:
        sentence = f'the folder holds "{inside}" already; a trial is written to an empty or new folder'
        raise InputError(Finding("E-OUT", sentence, str(folder)))
    (folder / "truth").mkdir()


def _write_tube(tube: Tube, folder: Path) -> tuple[Path, dict[str, str]]:
    path = folder / tube.row["file"]
    path.parent.mkdir(exist_ok=True)
    write_fcs(
        path,
        [detector.name for detector in tube.detectors],
        _columns(tube),
        stains=[detector.stain for detector in tube.detectors],
        ranges=[detector.range for detector in tube.detectors],
        spillover=(tube.cytometer.dyes, tube.spillover),
        keywords=_keywords(tube),
    )
    np.save(folder / "truth" / f"{tube.row['sample']}.npy", tube.truth.labels)
    return path, _truth(tube)


def _columns(tube: Tube) -> list[NDArray[Any]]:
    """Return the channels, integers in the smallest type that holds their detector's range."""
    if tube.values.dtype.kind == "f":
        return list(tube.values.T)
    return [
        column.astype(np.min_scalar_type(detector.range - 1))
        for column, detector in zip(tube.values.T, tube.detectors, strict=True)
    ]


def _keywords(tube: Tube) -> dict[str, str]:
    voltages = {
        f"$P{number}V": str(300 + 10 * number)
        for number, detector in enumerate(tube.detectors, 1)
        if detector.kind != "time"
    }
    return {
        "$FIL": Path(tube.row["file"]).name,
        "$CYT": "tregflow simulated cytometer",
        "$CYTSN": "SIM1",
        "$DATE": _date(tube.acquired),
        "$TIMESTEP": str(TIMESTEP),
        "$COM": "Simulated events; no person's cells",
        "TUBE NAME": tube.row["tube"],
        **voltages,
    }


def _date(day: date) -> str:
    """Return a day as ``$DATE`` writes it, whatever the locale."""
    return f"{day:%d}-{MONTHS[day.month - 1]}-{day.year}"


def _truth(tube: Tube) -> dict[str, str]:
    truth = tube.truth
    return {
        "sample": tube.row["sample"],
        "file": tube.row["file"],
        "tube": tube.row["tube"],
        "events": str(truth.labels.size),
        "live_singlets": str(int(truth.live_singlets.sum())),
        "cd4": str(truth.cd4),
        "treg": str(truth.tregs),
        "percent": f"{truth.percent:.6f}" if truth.cd4 else "",
    }


def _runs(trial: Trial) -> dict[str, Any]:
    settings = {order.row["run"]: order.settings for order in trial.orders}
    return {run: _stood(cytometer_of(own, run)) for run, own in settings.items()}


def _stood(cytometer: Cytometer) -> dict[str, Any]:
    """Return a run's gains and stains in decades, offsets in units, and the true matrix, in the order of `dyes`."""
    return {
        "markers": MARKERS,
        "dyes": cytometer.dyes,
        "gain": np.log10(cytometer.gains).round(6).tolist(),
        "stain": np.log10(cytometer.stains).round(6).tolist(),
        "offset": cytometer.offsets.round(6).tolist(),
        "spillover": cytometer.mixing.tolist(),
    }


def _write_json(path: Path, told: Any) -> None:
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _write_table(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
