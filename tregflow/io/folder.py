"""The results folder: outcomes that survive anything, tables that appear whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from tregflow.errors import BusyError, Finding, InputError
from tregflow.io.files import sha256, unwritten, write_whole
from tregflow.outcome import Outcome

TABLES = ("treg.csv", "populations.csv", "files.csv")


@dataclass(frozen=True, slots=True)
class Folder:
    """Where results live.

    Parameters
    ----------
    path : Path
        The folder; it need not exist yet.
    """

    path: Path

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for one run.

        Raises
        ------
        InputError
            ``E-OUT``: it holds something else.
        OutputError
            ``E-WRITE``: it cannot be made.
        BusyError
            ``E-BUSY``: another run holds it.
        """
        self._refuse_foreign()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / ".lock", timeout=0)
            lock.acquire()
        except Timeout:
            raise BusyError(Finding("E-BUSY", "another run of tregflow is writing here; wait for it or choose another --out",
                                    str(self.path))) from None  # fmt: skip
        except OSError as error:
            raise unwritten(self.path, error) from error
        try:
            self._sweep()
            yield
        finally:
            lock.release()

    def _refuse_foreign(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise InputError(Finding("E-OUT", "is a file; --out names a folder", str(self.path)))
        if not self.path.is_dir():
            return
        inside = {entry.name for entry in self.path.iterdir()}
        if inside and not inside & {"outcomes", "run.json", ".lock"}:
            raise InputError(Finding("E-OUT", f"is not empty and holds no results of tregflow ({', '.join(sorted(inside)[:3])}"
                                     f"{' …' if len(inside) > 3 else ''}); name a new folder", str(self.path)))  # fmt: skip

    def _sweep(self) -> None:
        """Take away what a killed run left half written."""
        for part in self.path.glob("**/.*.part"):
            part.unlink(missing_ok=True)

    def outcome(self, sample: str) -> Outcome | None:
        """Return a sample's outcome; None if there is none, or none of this version."""
        try:
            return Outcome.from_bytes(self._outcome_path(sample).read_bytes())
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, outcome: Outcome) -> None:
        """Write one outcome."""
        write_whole(self._outcome_path(outcome.sample), outcome.to_bytes())

    def plot_path(self, sample: str) -> Path:
        """Return where a sample's plot page goes."""
        return self.path / "plots" / f"{sample}.png"

    def fault_path(self, sample: str) -> Path:
        """Return where the traceback of a fault of ours goes."""
        return self.path / "faults" / f"{sample}.txt"

    def strangers(self, samples: set[str]) -> list[str]:
        """Return samples with an outcome here that the sheet does not name."""
        return sorted({path.stem for path in self.path.glob("outcomes/*.json")} - samples)

    def contents(self, samples: set[str]) -> dict[str, str]:
        """Return the SHA-256 of every table and of every outcome and plot of these samples."""
        paths = [self.path / name for name in TABLES]
        for sample in sorted(samples):
            paths += [path for path in (self._outcome_path(sample), self.plot_path(sample)) if path.exists()]
        return {path.relative_to(self.path).as_posix(): sha256(path) for path in paths}

    def _outcome_path(self, sample: str) -> Path:
        return self.path / "outcomes" / f"{sample}.json"
