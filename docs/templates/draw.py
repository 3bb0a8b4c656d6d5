"""Draw every picture of the documentation anew: the pages that ``tregflow gate`` writes, with fewer colours.

    python docs/templates/draw.py [PICTURE ...]

Simulated tubes are made here or taken from ``sample_fcs/``; the real tubes are those of the folder that TREGFLOW_DATA
names, and pictures of them are left as they are where there is none. A picture that does not show what its place in
the text says of it ends the run with exit status 1.
"""

from __future__ import annotations

import csv
import io
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tregflow.batch import Request, gate_batch
from tregflow.io.documents import load_template
from tregflow.io.tables import read_sheet
from tregflow.io.trials import write_trial
from tregflow.outcome import Outcome
from tregflow.simulation import KINDS, Shift, simulate
from tregflow.study import Tube

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DATA = Path(os.environ.get("TREGFLOW_DATA") or ROOT.parent / "shared" / "data")
SEEDS = range(1, 21)
COMMON = 128


@dataclass(frozen=True, slots=True)
class Picture:
    """A page of one tube.

    Parameters
    ----------
    name : str
        Its file, without ending, relative to this folder.
    template : str
        A file of ``gating_strategies/``, without ending.
    sample : str
        The tube.
    trial : mapping of str to object
        Options of `simulate`; empty for a tube of ``sample_fcs/``.
    real : str
        The set of real tubes it is of; empty for a simulated one.
    shows : str
        The status or doubt that a gate of it must have; ``all found`` where every gate must be found without
        doubt, empty where the text says nothing of it.
    seeds : sequence of int
        Simulated trials are made with these in turn, until one shows it.
    """

    name: str
    template: str
    sample: str
    trial: Mapping[str, Any] = field(default_factory=dict)
    real: str = ""
    shows: str = ""
    seeds: Sequence[int] = (7,)


TROUBLES = partial(Picture, template="treg", sample="S01_W12")

PICTURES = (
    Picture("../page", "treg", "S01_W12"),
    TROUBLES("treg-found", trial={"drift": 0.03}, shows="all found", seeds=SEEDS),
    TROUBLES("treg-moved", trial=KINDS["cd25-shift"], shows="moved"),
    TROUBLES("treg-at-bound", trial={"shifts": (Shift("CD25", 0.8),)}, shows="at bound"),
    TROUBLES("treg-fallback", trial={"failed": ("LD",)}, shows="fallback"),
    TROUBLES("treg-weak", trial=KINDS["no-valley"], shows="weak"),
    Picture("treg-surface", "treg-surface", "S01_W00"),
    Picture("treg-fmo", "treg-fmo", "S01_W00"),
    Picture("treg-fixed", "treg-fixed", "S01_W00", shows="stored"),
    Picture("treg-subsets", "treg-subsets", "S01_W12"),
    Picture("flowatlas-tcells", "flowatlas-tcells", "412C_Blood", real="flowatlas_tcells"),
    Picture("flowatlas-lymphocytes", "flowatlas-lymphocytes", "412C_Blood", real="flowatlas_lymphocytes"),
)


class UnshownError(Exception):
    """A picture does not show what it is there for."""


def draw(picture: Picture) -> str:
    """Draw one picture and return what there is to say of it.

    Raises
    ------
    UnshownError
        If it does not show what it is there for.
    """
    if picture.real and not (DATA / "treg" / picture.real).is_dir():
        return f"left as it is: no folder {picture.real} of real tubes; set TREGFLOW_DATA"
    for said, outcome, page in _drawn(picture):
        if _has(outcome, picture.shows):
            place = (HERE / f"{picture.name}.png").resolve()
            place.write_bytes(_smaller(page))
            return f"{said}; {outcome.verdict}; {place.stat().st_size / 1000:.0f} kB"
    raise UnshownError(f'no page shows "{picture.shows}"')


def _drawn(picture: Picture) -> Iterator[tuple[str, Outcome, bytes]]:
    """Yield the page of the tube, of each trial that may be shown, with its outcome and truth."""
    if picture.real:
        folder = DATA / "treg" / picture.real
        yield "real cells", *_gated(picture, _real_tubes(picture, folder), folder)
    elif not picture.trial:
        folder = ROOT / "sample_fcs"
        yield _truth(folder, picture), *_gated(picture, _run_of(picture, folder), folder)
    for seed in picture.seeds if picture.trial else ():
        with tempfile.TemporaryDirectory() as made:
            trial = simulate(subjects=1, events=40_000, seed=seed, controls=False, **picture.trial)
            write_trial(trial, Path(made) / "trial")
            folder = Path(made) / "trial"
            said = f"seed {seed}, {_truth(folder, picture)}"
            yield said, *_gated(picture, _run_of(picture, folder), folder)


def _gated(picture: Picture, tubes: Sequence[Tube], root: Path) -> tuple[Outcome, bytes]:
    """Gate a tube, with the controls of its run beside it, as the command line does."""
    template = load_template(ROOT / "gating_strategies" / f"{picture.template}.yaml")
    with tempfile.TemporaryDirectory() as made:
        out = Path(made) / "out"
        batch = gate_batch(Request(template, tuple(tubes), root, out))
        outcome = next(outcome for tube, outcome in batch.pairs if tube.sample == picture.sample)
        return outcome, (out / "plots" / f"{picture.sample}.png").read_bytes()


def _run_of(picture: Picture, folder: Path) -> list[Tube]:
    """Return a tube and the controls of its run, from a trial's sheet."""
    template = load_template(ROOT / "gating_strategies" / f"{picture.template}.yaml")
    tubes = read_sheet(folder / "samples.csv", [marker.name for marker in template.markers])
    own = next(tube for tube in tubes if tube.sample == picture.sample)
    return [own, *(tube for tube in tubes if tube.run == own.run and tube.tube.startswith("fmo"))]


def _real_tubes(picture: Picture, folder: Path) -> list[Tube]:
    """Return a tube of the organ donors, its detectors named by the set's own panel."""
    donor, _, tissue = picture.sample.partition("_")
    with (folder / "panel.csv").open(newline="") as file:
        panel = {
            row["marker"].upper(): row["channel"] for row in csv.DictReader(file) if row["donor"] == donor
        }
    template = load_template(ROOT / "gating_strategies" / f"{picture.template}.yaml")
    channels = {marker.name: panel[marker.name.upper()] for marker in template.markers}
    (path,) = sorted((folder / donor).glob(f"*{tissue}*.fcs"))
    return [Tube(picture.sample, f"{donor}/{path.name}", donor, tissue, donor, channels=channels)]


def _truth(folder: Path, picture: Picture) -> str:
    """Return the true percentage of a simulated tube, as it may stand in the text."""
    with (folder / "truth.csv").open(newline="") as file:
        percent = next(row["percent"] for row in csv.DictReader(file) if row["sample"] == picture.sample)
    return f"truly {float(percent):.2f} % of CD4+"


def _has(outcome: Outcome, wanted: str) -> bool:
    told = [
        {gate["status"], *(doubt["kind"] for doubt in gate.get("doubts", ()))}
        for gate in outcome.gates.values()
    ]
    return (
        all(one == {"found"} for one in told)
        if wanted == "all found"
        else not wanted or any(wanted in one for one in told)
    )


def _smaller(page: bytes) -> bytes:
    """Return a page in 256 colours, a third of the size: the commonest as they are, the others nearly."""
    seen = np.asarray(Image.open(io.BytesIO(page)).convert("RGB"))
    colours, places, counts = np.unique(seen.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True)
    common = colours[np.argsort(-counts, kind="stable")[:COMMON]]
    spread = Image.fromarray(colours[None]).quantize(256 - len(common), Image.Quantize.MAXCOVERAGE)
    few = np.concatenate([common, np.reshape(spread.getpalette() or [], (-1, 3))])[:256].astype(np.uint8)
    distances = ((colours[:, None].astype(int) - few) ** 2).sum(axis=2)
    out, drawn = (
        io.BytesIO(),
        Image.fromarray(distances.argmin(axis=1)[places].astype(np.uint8).reshape(seen.shape[:2])),
    )
    drawn.putpalette(few.tobytes())
    drawn.save(out, "PNG", optimize=True)
    return out.getvalue()


def main(names: Sequence[str]) -> int:
    """Draw the pictures that are named, all where none is; return the exit status."""
    status = 0
    for picture in PICTURES:
        if names and Path(picture.name).name not in names:
            continue
        try:
            said = draw(picture)
        except UnshownError as error:
            said, status = f"NOT DRAWN: {error}", 1
        sys.stdout.write(f"{Path(picture.name).name}: {said}\n")
        sys.stdout.flush()
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
