"""CPU seconds of reading: tregflow beside FlowIO and fcsparser, on the same files, in turn, in one run.

python benchmarks/read_speed.py --rounds 7

Every channel of every event is brought to float64 scale values (tregflow), or to an array of the values as
stored (the others). Hashing is not part of it. A scan reads HEADER and TEXT alone.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tregflow.io.fcs import read_fcs, scan_fcs
from tregflow.io.fcs.writing import write_fcs

EVENTS, CHANNELS, SCANNED = 1_000_000, 12, 1_000
SLOW = 1
"""Rounds of a reader that takes seconds."""


def main() -> None:
    """Write the files, read them in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        files = written(Path(folder))
        print(
            f"{EVENTS:,} events x {CHANNELS} channels; median CPU seconds of {rounds} rounds in turn (least to most)"
        )
        print(f"{'':24}{'tregflow':>22}{'FlowIO':>22}{'fcsparser':>22}")
        for name, path in files.items():
            costs = [timed(reader, path, rounds) for reader in (ours, flowio, fcsparser)]
            print(f"{name:24}" + "".join(f"{told(cost):>22}" for cost in costs))
        many = copies(Path(folder) / "many")
        scans = [alone(scan, many) for _ in range(rounds)]
        print(f"HEADER and TEXT of {SCANNED:,} files: {told(scans)} CPU s")


def written(folder: Path) -> dict[str, Path]:
    """Return one file of each kind of storage."""
    rng = np.random.default_rng(1)
    names = [f"C{place}-A" for place in range(CHANNELS)]
    values = rng.normal(2000, 5000, (CHANNELS, EVENTS))
    counts = rng.integers(0, 2**31, (CHANNELS, EVENTS), np.uint32)
    tagged = (counts % 1024 + 1024 * np.arange(1, CHANNELS + 1, dtype=np.uint32)[:, None]).astype(np.uint16)
    kinds = {
        "float32": (list(values.astype(np.float32)), 262_144),
        "uint16, 1024 and a tag": (list(tagged), 1024),
        "uint32, $PnR 262144": (list(counts % 262_144), 262_144),
        "the same, junk above it": (list(counts), 262_144),
        "uint32, $PnR 2**32": (list(counts), 2**32),
    }
    paths = {}
    for name, (columns, span) in kinds.items():
        paths[name] = folder / f"{len(paths)}.fcs"
        write_fcs(paths[name], names, columns, ranges=[span] * CHANNELS)
    return paths


def copies(folder: Path) -> list[Path]:
    """Return many small files with the keywords of a real panel."""
    folder.mkdir()
    names = [
        f"{dye}-{letter}"
        for dye in ("FSC", "SSC", "FITC", "PE", "APC", "BV421", "BV605", "BV786")
        for letter in "AHW"
    ]
    matrix = (names[6::3], np.eye(6) + 0.01)
    words = {f"$P{place}V": "450" for place in range(1, len(names) + 1)} | {
        f"WORD {place}": "x" * 20 for place in range(150)
    }
    first = folder / "0.fcs"
    write_fcs(first, names, [np.ones(500, np.float32)] * len(names), spillover=matrix, keywords=words)
    paths = [folder / f"{place}.fcs" for place in range(SCANNED)]
    for path in paths[1:]:
        path.write_bytes(first.read_bytes())
    return paths


def ours(path: Path) -> None:
    """Read with tregflow, to scale values."""
    sample = read_fcs(path)
    sample.columns(range(len(sample.channels)))


def flowio(path: Path) -> None:
    """Read with FlowIO, to an array."""
    from flowio import FlowData

    np.reshape(np.asarray(FlowData(str(path)).events, np.float64), (-1, CHANNELS))


def fcsparser(path: Path) -> None:
    """Read with fcsparser, to its table."""
    import fcsparser as reader

    reader.parse(str(path))


def scan(paths: list[Path]) -> None:
    """Read HEADER and TEXT of many files."""
    for path in paths:
        scan_fcs(path)


def timed(reader: Callable[[Path], None], path: Path, rounds: int) -> list[float]:
    """Return the CPU seconds of some rounds; of one, where it takes long."""
    costs = [alone(reader, path)]
    return costs + [alone(reader, path) for _ in range(SLOW - 1 if costs[0] > 1.5 else rounds - 1)]


def alone(reader: Callable[..., None], what: object) -> float:
    """Return the CPU seconds of one reading, in a process of its own that has read a file before."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(cost, (reader, what))


def cost(reader: Callable[..., None], what: object) -> float:
    """Return CPU seconds of the second of two readings."""
    warnings.simplefilter("ignore")
    seconds = 0.0
    for _ in range(2):
        started = time.process_time()
        reader(what)
        seconds = time.process_time() - started
    return seconds


def told(costs: list[float]) -> str:
    """Return median and range."""
    return f"{statistics.median(costs):.3f} ({min(costs):.3f}-{max(costs):.3f})"


if __name__ == "__main__":
    main()
