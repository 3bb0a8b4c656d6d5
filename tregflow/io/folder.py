"""The results folder: outcomes that survive anything, tables that appear whole and together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tregflow.errors import BusyError, Finding, InputError, OutputError
from tregflow.io.files import PART, sha256, unwritten, write_together, write_whole
from tregflow.outcome import MARK, Outcome

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK = ".lock"
RECORD = "run.json"
OUTCOMES, PLOTS, FAULTS = "outcomes", "plots", "faults"


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
        self.refuse_foreign()
        lock = self._locked()
        try:
            self._sweep()
            yield
        finally:
            lock.release()

    def refuse_foreign(self) -> None:
        """Refuse a folder that holds something else than results.

        Raises
        ------
        InputError
            ``E-OUT``.
        OutputError
            ``E-WRITE``: it cannot be looked into.
        """
        try:
            is_file = self.path.exists() and not self.path.is_dir()
            inside = {entry.name for entry in self.path.iterdir()} if self.path.is_dir() else set()
        except OSError as error:
            raise unwritten(self.path, error) from error
        if is_file:
            raise InputError(Finding("E-OUT", "is a file; --out names a folder", str(self.path)))
        if inside and not inside & {OUTCOMES, RECORD, LOCK}:
            raise InputError(Finding("E-OUT", f"is not empty and holds no results of tregflow ({', '.join(sorted(inside)[:3])}"
                                     f"{' …' if len(inside) > 3 else ''}); name a new folder", str(self.path)))  # fmt: skip

    def _locked(self) -> BaseFileLock:
        from filelock import FileLock, Timeout  # workers hold no folder

        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / LOCK, timeout=0)
            lock.acquire()
        except Timeout:
            raise BusyError(Finding("E-BUSY", "another run of tregflow is writing here; wait for it or choose another --out",
                                    str(self.path))) from None  # fmt: skip
        except OSError as error:
            raise unwritten(self.path, error) from error
        except NotImplementedError:
            raise OutputError(Finding("E-WRITE", "this drive cannot keep two runs apart, as it has no file locks; choose "
                                      "another --out", str(self.path))) from None  # fmt: skip
        return lock

    def _sweep(self) -> None:
        """Take away what a killed run left half written."""
        for folder in ("", OUTCOMES, PLOTS, FAULTS):
            for part in (self.path / folder).glob(f".*{PART}"):
                _remove(part)

    def outcome(self, sample: str) -> Outcome | None:
        """Return a sample's outcome; None if there is none, or none of this version."""
        try:
            outcome = Outcome.from_bytes(self._outcome_path(sample).read_bytes())
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return outcome if outcome.sample == sample else None  # where a file system takes a for A

    def keep(self, outcome: Outcome) -> None:
        """Write one outcome."""
        write_whole(self._outcome_path(outcome.sample), outcome.to_bytes())

    def draw(self, sample: str, page: bytes | None) -> None:
        """Write a sample's plot page; where there is none, take an earlier one away."""
        if page is None:
            _remove(self.plot_path(sample))
        else:
            write_whole(self.plot_path(sample), page)

    def is_marked(self, sample: str, mark: str) -> bool:
        """Whether a sample's plot page bears a mark, or none where `mark` is empty."""
        page = self.plot_path(sample).read_bytes()
        return mark.encode() in page if mark else MARK.encode() not in page

    def forgive(self, sample: str) -> None:
        """Take away the traceback of a fault that is over."""
        _remove(self.fault_path(sample))

    def published(self) -> dict[str, str]:
        """Return the SHA-256 of the file that each published number is of, by sample; none before a run has ended."""
        try:
            held = json.loads((self.path / RECORD).read_bytes())["published"]
            return {str(sample): str(sha) for sample, sha in held.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def publish(self, files: Mapping[str, bytes]) -> None:
        """Write tables and record, none of them before there was room for all."""
        write_together({self.path / name: content for name, content in files.items()})

    def plot_path(self, sample: str) -> Path:
        """Return where a sample's plot page goes."""
        return self.path / PLOTS / f"{sample}.png"

    def fault_path(self, sample: str) -> Path:
        """Return where the traceback of a fault of ours goes."""
        return self.path / FAULTS / f"{sample}.txt"

    def strangers(self, samples: set[str]) -> list[str]:
        """Return samples with an outcome here that the sheet does not name."""
        return sorted({path.stem for path in self.path.glob(f"{OUTCOMES}/[!.]*.json")} - samples)

    def contents(self, samples: set[str], tables: Mapping[str, bytes]) -> dict[str, str]:
        """Return the SHA-256 of every table and of all that is here of these samples."""
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in tables.items()}
        for sample in sorted(samples):
            paths = (self._outcome_path(sample), self.plot_path(sample), self.fault_path(sample))
            hashes |= {
                path.relative_to(self.path).as_posix(): sha256(path) for path in paths if path.exists()
            }
        return hashes

    def _outcome_path(self, sample: str) -> Path:
        return self.path / OUTCOMES / f"{sample}.json"


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise unwritten(path, error) from error
