"""What four readers make of the hazard files and of real files, side by side.

The first part gives every case of ``tests/fcs_hazards.py`` to tregflow, FlowIO, FlowKit and fcsparser and
compares what they give back with the truth of the case. The second does the same with the folder of real
files, where tregflow is compared with what the others agree on. Each reader runs in a process of its own,
which ends with a file that takes more than ten seconds or too much memory and begins again with the next.

    python benchmarks/readers.py [--hazards | --files] [--quick MB] [--fcsparser PYTHON] [--data FOLDER]

Stored values and names are compared, and stains where a case is about them. FlowKit gives scale values
only, and multiplies time by its step; where a case is about spillover, it is asked to compensate as its
gating does. The others leave spillover to their users and are asked for values and names alone.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import logging
import os
import resource
import select
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SECONDS, STARTING = 10, 120
"""Within which a file is read, and a reader imported."""
MEGABYTES = 300
"""What reading a small file may take."""
ADDRESSES = 6 * 2**30
"""Bytes that a process may address: enough for a file of 2 GiB to be mapped, not for what is claimed of it."""

READERS = ("tregflow", "FlowIO", "FlowKit", "fcsparser")
OUTCOMES = ("right", "right + warning", "clear error", "raw traceback", "silently wrong", "wrong + warning",
            f"crash, hang, > {MEGABYTES} MB")  # fmt: skip
LOST = OUTCOMES[-1]
UNSAID = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ResourceWarning)
"""Warnings that are not about the file."""


# ---------------------------------------------------------------------------------- in the reader's process


def read_tregflow(path: str, told: Mapping[str, Any]) -> dict[str, Any]:
    from tregflow.io.fcs import read_fcs

    sample = read_fcs(path, **told.get("options", {}))
    flags = [finding.code for finding in sample.findings if finding.code[0] == "F"]
    left_open = [finding.code for finding in sample.findings if finding.code == "N-SCALING"]
    spill = sample.spillover and [list(sample.spillover.names), sample.spillover.matrix.tolist()]
    return {
        "stored": sample.stored,
        "scale": sample.events,
        "names": sample.names,
        "stains": sample.stains,
        "said": flags,  # notes hold nothing back, and are no warning
        "left open": left_open,  # but for what the file leaves open: binding then asks, if a gate needs it
        "spillover": spill,
    }


def read_flowio(path: str, told: Mapping[str, Any]) -> dict[str, Any]:
    import flowio

    number, switches = told.get("options", {}).get("data_set"), told.get("switches", {})
    if number is None:
        data = flowio.FlowData(path, **switches)
    else:
        data = flowio.read_multiple_data_sets(path, **switches)[number - 1]
    return {"stored": data.as_array(preprocess=False), "names": data.pnn_labels, "stains": data.pns_labels}


def read_flowkit(path: str, told: Mapping[str, Any]) -> dict[str, Any]:
    import flowkit

    options = told.get("options", {})
    as_stored = {"preprocess": not told.get("as_stored") and options.get("gain") != "ignore"}
    if "data_set" in options:
        sets = flowkit.read_multi_dataset_fcs(path)
        sample = sets[options["data_set"] - 1]
    else:
        sample = flowkit.Sample(path, **as_stored)
    given = {"names": sample.pnn_labels, "stains": sample.pns_labels}
    events = sample.get_events(source="raw")
    if told.get("compensate"):
        given["unmixed"] = _unmixed(sample)
    return {**given, "stored" if told.get("as_stored") else "scale": events}


def _unmixed(sample: Any) -> Any:
    """Return what a FlowKit gate sees that asks for the file's compensation."""
    import flowkit

    said = sample.get_metadata()
    spill = said.get("spillover", said.get("spill"))
    if spill is None:
        return sample.get_events(source="raw")
    detectors = [sample.pnn_labels[place] for place in sample.fluoro_indices]
    return flowkit.Matrix(spill, detectors, null_channels=sample.null_channels).apply(sample)


def read_fcsparser(path: str, told: Mapping[str, Any]) -> dict[str, Any]:
    import fcsparser

    number = told.get("options", {}).get("data_set", 1)
    words, table = fcsparser.parse(path, channel_naming="$PnN", dtype=None, data_set=number - 1)
    stains = [words.get(f"$P{place}S", "") for place in range(1, table.shape[1] + 1)]
    return {"stored": table.to_numpy(), "names": list(map(str, table.columns)), "stains": stains}


READ: dict[str, Callable[[str, Mapping[str, Any]], dict[str, Any]]] = {
    "tregflow": read_tregflow,
    "FlowIO": read_flowio,
    "FlowKit": read_flowkit,
    "fcsparser": read_fcsparser,
}


def is_clear(error: BaseException) -> bool:
    """Whether a person who does not program can act on an error."""
    kind, told = type(error), str(error)
    own = ("tregflow.errors", "flowio.exceptions", "flowkit.exceptions")
    return (
        kind.__module__ in own
        or kind.__name__ == "ParserFeatureNotImplementedError"
        or (kind is NotImplementedError and bool(told))
        or "The FCS file" in told
        or "Timestep value should be" in told
        or "Matrix labels do not match" in told
    )


class _Told(logging.Handler):
    """Counts what is logged as a warning."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, _record: logging.LogRecord) -> None:
        """Count it."""
        self.count += 1


def work(name: str) -> None:
    """Read what standard input names, a line each, and answer in lines."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a reader prints is no answer
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    handler = _Told()
    logging.getLogger().addHandler(handler)
    __import__({"FlowIO": "flowio", "FlowKit": "flowkit", "tregflow": "tregflow.io.fcs"}.get(name, name))
    print(json.dumps({"version": _version(name)}), file=answers, flush=True)
    for line in sys.stdin:
        told = json.loads(line)
        handler.count = 0
        print(json.dumps(_answered(READ[name], told, handler)), file=answers, flush=True)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"


def _answered(read: Callable[..., dict[str, Any]], told: Mapping[str, Any], handler: _Told) -> dict[str, Any]:
    before, started = _resident(reset=True), time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            given = read(told["path"], told)
        except MemoryError:
            return {"kind": "memory", "error": "MemoryError"}
        except Exception as error:  # noqa: BLE001 - whatever a reader raises is its answer
            kind = "clear" if is_clear(error) else "raw"
            answer: dict[str, Any] = {"kind": kind, "error": f"{type(error).__name__}: {error}"[:200]}
        else:
            answer = {"kind": "read", **_kept(given, told)}
    heard = [one for one in caught if not issubclass(one.category, UNSAID)]
    answer["warned"] = bool(heard or handler.count or answer.get("said"))
    return {**answer, "peak": _resident() - before, "seconds": time.process_time() - started}


def _kept(given: dict[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was read as far as it goes into a line, and put values where they were asked for."""
    plain = {key: given[key] for key in ("said", "left open", "spillover") if key in given}
    for key in ("names", "stains"):
        plain[key] = ["" if word is None else str(word) for word in given[key]]
    for key in ("stored", "scale", "unmixed"):
        if key not in given:
            continue
        values = np.asarray(given[key]).astype(np.float64) + 0.0
        plain[key] = hashlib.sha256(repr(values.shape).encode() + _same_nan(values).tobytes()).hexdigest()
        if told.get("keep"):
            np.save(f"{told['keep']}.{key}.npy", values)
    return plain


def _same_nan(values: Any) -> Any:
    values[np.isnan(values)] = np.nan
    return np.ascontiguousarray(values)


def _resident(*, reset: bool = False) -> float:
    """Return the most memory that was resident since the last reset, in megabytes."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    words = Path("/proc/self/status").read_text().split()
    return float(words[words.index("VmHWM:") + 1]) / 1024


# ---------------------------------------------------------------------------------- around it


class Reader:
    """A reader in a process of its own, started again where it ended."""

    def __init__(self, name: str, python: str = sys.executable) -> None:
        self.name, self.python = name, python
        self.version, self.process = "", None

    def ask(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to one file."""
        process = self.process or self._started()
        try:
            process.stdin.write(json.dumps(told).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            return self._ended("crash")
        answer = self._line(process, SECONDS)
        if answer is None:
            return self._ended("hang" if process.poll() is None else "crash")
        if answer.get("kind") == "memory":
            self._ended("memory")
        return answer

    def close(self) -> None:
        """End the process."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _started(self) -> Any:
        env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        env |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        line = [self.python, os.fspath(Path(__file__).resolve()), "--worker", self.name]
        self.process = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, bufsize=0
        )
        ready = self._line(self.process, STARTING)
        if ready is None:
            raise SystemExit(f"{self.name} cannot be started with {self.python}")
        self.version = ready["version"]
        return self.process

    def _ended(self, kind: str) -> dict[str, Any]:
        self.close()
        return {"kind": kind}

    @staticmethod
    def _line(process: Any, seconds: float) -> dict[str, Any] | None:
        end, line = time.monotonic() + seconds, b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([process.stdout], [], [], max(0, end - time.monotonic()))
            piece = os.read(process.stdout.fileno(), 2**16) if ready else b""
            if not piece:
                return None
            line += piece
        return json.loads(line)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in plain text, the first column to the left."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(head))]
    lines = ["  ".join(cell.ljust(width) if not place else cell.rjust(width)
                       for place, (cell, width) in enumerate(zip(row, widths, strict=True))) for row in cells]  # fmt: skip
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


# ---------------------------------------------------------------------------------- hazards


@dataclass(frozen=True)
class Verdict:
    """What one reader made of one case."""

    case: Any
    outcome: str
    is_right: bool
    answer: dict[str, Any]


def verdicts(reader: Reader, cases: Sequence[Any]) -> Iterator[Verdict]:
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            told = {
                "options": dict(case.options),
                "compensate": "spillover" in case.about,
                "keep": f"{folder}/values",
            }
            answer = reader.ask({"path": os.fspath(case.write(Path(folder))), **told})
            values = {
                key: np.load(f"{folder}/values.{key}.npy")
                for key in ("stored", "scale", "unmixed")
                if key in answer
            }
        if case.is_open and answer.get("left open"):
            answer["warned"] = True
        outcome = _outcome(case, answer, values)
        yield Verdict(case, outcome, is_as_it_should(outcome, _demand(case, reader.name)), answer)


def _outcome(case: Any, answer: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    kind = answer["kind"]
    if kind in {"crash", "hang", "memory"} or answer.get("peak", 0) > MEGABYTES:
        return LOST
    if kind != "read":
        return {"clear": "clear error", "raw": "raw traceback"}[kind]
    if _is_true(case, answer, values):
        return "right + warning" if answer["warned"] else "right"
    return "wrong + warning" if answer["warned"] else "silently wrong"


def _demand(case: Any, reader: str) -> str:
    """Return what is asked of a reader; one that scales or compensates has to say what it leaves open."""
    if case.is_open and reader in {"tregflow", "FlowKit"}:
        return "warn"
    if _is_unusable(case) and reader == "FlowKit":
        return "refuse"
    return case.demand


def _is_unusable(case: Any) -> bool:
    """Whether a case is about a matrix that nobody may use."""
    return (
        "spillover" in case.about
        and "N-SPILL" in getattr(case.answer, "notes", ())
        and case.answer.spillover is None
    )


def is_as_it_should(outcome: str, demand: str) -> bool:
    """Whether an outcome is what a case asks for.

    What must be refused wants a clear error, what must be flagged may be refused as clearly; what is legal
    wants its values; and what is neither may be read or refused.
    """
    wanted = {
        "refuse": {"clear error"},
        "warn": {"right + warning", "clear error"},
        "read": {"right", "right + warning"},
        "either": {"right", "right + warning", "clear error"},
    }
    return outcome in wanted[demand]


def _is_true(case: Any, answer: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    truth = case.truth
    if truth is None or not _names_are_true(case, truth, answer):
        return False
    stored = np.array(truth.stored, float).reshape(len(truth.stored), len(truth.names))
    scale = stored if truth.scale is None else np.array(truth.scale, float)
    if "stored" in values and not np.array_equal(values["stored"], stored, equal_nan=True):
        return False
    if "scale" in values and not _is_scale(case, values["scale"], scale):
        return False
    if "unmixed" in values:
        return not _is_unusable(case) and _is_scale(case, values["unmixed"], _unspilt(truth, scale))
    return True


def _is_scale(case: Any, found: Any, true: Any) -> bool:
    """Whether values are those of the detectors; FlowKit's time may be in seconds."""
    if found.shape != true.shape:
        return False
    if case.hazard == 29 and true.size:
        step = found[0, -1] / true[0, -1]
        true = np.column_stack([true[:, :-1], true[:, -1] * (step if step > 0 else 1)])
    return bool(np.allclose(found, true, rtol=1e-9, equal_nan=True))


def _unspilt(truth: Any, scale: Any) -> Any:
    if truth.spillover is None:
        return scale
    names, rows = truth.spillover
    places = [truth.names.index(name) for name in names]
    unmixed = scale.copy()
    unmixed[:, places] = scale[:, places] @ np.linalg.inv(np.array(rows, float))
    return unmixed


def _names_are_true(case: Any, truth: Any, answer: Mapping[str, Any]) -> bool:
    """Whether names are right; those that are missing or double may be called anything, if that is said."""
    if "F-NAMES" in getattr(case.answer, "flags", ()):
        return True
    stains = (
        [word.strip(" \0\r\n\t") for word in answer["stains"]]
        if "stains" in case.about
        else list(truth.stains)
    )
    return [word.strip() for word in answer["names"]] == list(truth.names) and stains == list(truth.stains)


def hazards(readers: Sequence[Reader]) -> None:
    sys.path.insert(0, os.fspath(ROOT / "tests"))
    from fcs_hazards import CASES

    found = {reader.name: list(verdicts(reader, CASES)) for reader in readers}
    for reader in readers:
        reader.close()
    groups = list(dict.fromkeys(case.group for case in CASES))
    demands = Counter(case.demand for case in CASES)
    asked = ", ".join(f"{demands[kind]} {what}" for kind, what in
                      (("read", "to be read"), ("refuse", "to be refused"), ("warn", "to be flagged"), ("either", "to be read or refused")))  # fmt: skip
    print(f"\n{len(CASES)} hazard files: {asked}\n")
    head = ["reader", *OUTCOMES, f"as it should / {len(CASES)}"]
    print(table(head, [[_titled(reader), *_tally(found[reader.name])] for reader in readers]))
    print("\nas it should, by group\n")
    rows = [
        [
            f"{group} /{sum(case.group == group for case in CASES)}",
            *(_right(found[one.name], group) for one in readers),
        ]
        for group in groups
    ]
    print(
        table(
            ["group", *(reader.name for reader in readers)],
            [*rows, [f"all /{len(CASES)}", *(_right(found[one.name]) for one in readers)]],
        )
    )
    for reader in readers:
        print(f"\n{_titled(reader)}, by group\n")
        print(
            table(
                ["group", *OUTCOMES, "as it should"],
                [[group, *_tally(_of(found[reader.name], group))] for group in groups],
            )
        )
    for reader in readers:
        _name_wrong(reader, found[reader.name])
    _peaks(readers, found)


def _titled(reader: Reader) -> str:
    return f"{reader.name} {reader.version}"


def _of(found: Sequence[Verdict], group: str) -> list[Verdict]:
    return [one for one in found if one.case.group == group]


def _right(found: Sequence[Verdict], group: str = "") -> int:
    return sum(one.is_right for one in found if not group or one.case.group == group)


def _tally(found: Sequence[Verdict]) -> list[int]:
    outcomes = Counter(one.outcome for one in found)
    return [*(outcomes[outcome] for outcome in OUTCOMES), _right(found)]


def _name_wrong(reader: Reader, found: Sequence[Verdict]) -> None:
    named = {"silently wrong", LOST} | ({*OUTCOMES} if reader.name == "tregflow" else set())
    wrong = [one for one in found if not one.is_right and one.outcome in named]
    print(
        f"\n{_titled(reader)}: {len(wrong)} {'not as it should' if reader.name == 'tregflow' else 'silently wrong, or lost'}"
    )
    for one in wrong:
        print(f"  {one.outcome}: {one.case.id}")


def _peaks(readers: Sequence[Reader], found: Mapping[str, Sequence[Verdict]]) -> None:
    print()
    for reader in readers:
        worst = max(found[reader.name], key=lambda one: one.answer.get("peak", 0))
        slowest = max(found[reader.name], key=lambda one: one.answer.get("seconds", 0))
        print(f"{reader.name}: at most {worst.answer.get('peak', 0):.0f} MB ({worst.case.id}) and "
              f"{slowest.answer.get('seconds', 0):.2f} CPU s ({slowest.case.id}), of the files it answered")  # fmt: skip


# ---------------------------------------------------------------------------------- real files

SWITCHES = {
    "ignore_offset_error": {"ignore_offset_error": True},
    "ignore_offset_discrepancy": {"ignore_offset_discrepancy": True},
}


def real_files(readers: Sequence[Reader], data: Path, largest: float) -> None:
    with (data / "MANIFEST.csv").open(newline="", encoding="utf-8") as lines:
        entries = list(csv.DictReader(lines))
    small = [entry for entry in entries if (data / entry["file"]).stat().st_size <= largest * 1e6]
    left = (
        f"; {len(entries) - len(small)} larger than {largest:g} MB were left out"
        if len(small) < len(entries)
        else ""
    )
    names = {entry["file"] for entry in small}
    print(f"\n{len(small)} data sets of {len(names)} real files{left}\n")
    found = {reader.name: {} for reader in readers}
    told = {}
    for reader in readers:
        for key, task in _tasks(small, data):
            found[reader.name][key] = reader.ask(task | {"as_stored": True})
            if reader.name == "FlowIO" and found["FlowIO"][key]["kind"] != "read" and task["switches"]:
                told[key] = reader.ask(task)
        reader.close()
    _compare(readers, found, told)
    _exceptions(found, told)


def _tasks(entries: Sequence[Mapping[str, str]], data: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    sets = Counter(entry["file"] for entry in entries)
    for entry in entries:
        number = int(entry["data_set"] or 0) + 1
        several = sets[entry["file"]] > 1
        switches = [value for word, value in SWITCHES.items() if word in entry["flowio_1.4.0_load"]]
        yield (
            f"{entry['file']}{f' #{number}' if several else ''}",
            {
                "path": os.fspath(data / entry["file"]),
                "options": {"data_set": number} if several else {},
                "switches": switches[0] if switches else {},
            },
        )


Found = Mapping[str, Mapping[str, dict[str, Any]]]


def _compare(readers: Sequence[Reader], found: Found, told: Mapping[str, dict[str, Any]]) -> None:
    ours = found["tregflow"]
    rows = [[_titled(reader), *_counts(found[reader.name], ours)] for reader in readers]
    if told:
        rows.append(["FlowIO, told what to overlook", *_counts({**found["FlowIO"], **told}, ours)])
    head = [
        "reader",
        "read",
        "values as ours",
        "other values",
        "we refuse",
        "clear error",
        "raw traceback",
        LOST,
    ]
    print(table(head, rows))


def _counts(answers: Mapping[str, dict[str, Any]], ours: Mapping[str, dict[str, Any]]) -> list[int]:
    read = {key: answer for key, answer in answers.items() if answer["kind"] == "read"}
    both = [key for key in read if ours[key]["kind"] == "read"]
    same = sum(read[key]["stored"] == ours[key]["stored"] for key in both)
    kinds = Counter(answer["kind"] for answer in answers.values())
    lost = sum(kinds[kind] for kind in ("crash", "hang", "memory"))
    return [len(read), same, len(both) - same, len(read) - len(both), kinds["clear"], kinds["raw"], lost]


def _exceptions(found: Found, told: Mapping[str, dict[str, Any]]) -> None:
    ours, one, other = found["tregflow"], {**found["FlowIO"], **told}, found["fcsparser"]
    agreed = [
        key
        for key in ours
        if "read" == one[key]["kind"] == other[key]["kind"] and one[key]["stored"] == other[key]["stored"]
    ]
    against = [key for key in agreed if ours[key].get("stored") != one[key]["stored"]]
    print(f"\nFlowIO and fcsparser agree on {len(agreed)}; our values differ in {len([k for k in against if ours[k]['kind'] == 'read'])} of these, "
          f"and we refuse {len([k for k in against if ours[k]['kind'] != 'read'])}:")  # fmt: skip
    for key in against:
        print(f"  {key}: {_said(ours[key])}")
    for title, answers in (("FlowIO", one), ("fcsparser", other)):
        differing = [
            key
            for key in ours
            if "read" == ours[key]["kind"] == answers[key]["kind"]
            and ours[key]["stored"] != answers[key]["stored"]
        ]
        print(f"\nother values than ours in {title}: {len(differing)}")
        for key in differing:
            third = other if title == "FlowIO" else one
            print(
                f"  {key}: {_third(ours[key], answers[key], third[key], 'fcsparser' if title == 'FlowIO' else 'FlowIO')}"
            )
    refused = defaultdict(list)
    for key, answer in one.items():
        if answer["kind"] != "read":
            refused[answer.get("error", answer["kind"])[:60]].append(key)
    print(
        f"\nFlowIO gives no events of {sum(map(len, refused.values()))}, whatever it is told; of these we say:"
    )
    for error, keys in refused.items():
        for key in keys:
            print(f"  {key}\n      FlowIO: {error}\n      tregflow: {_said(ours[key])}")
    print("\nwe refuse, and FlowIO reads:")
    for key, answer in ours.items():
        if answer["kind"] != "read" and one[key]["kind"] == "read":
            print(f"  {key}: {_said(answer)}")


def _said(answer: Mapping[str, Any]) -> str:
    if answer["kind"] != "read":
        return f"refused, {answer.get('error', answer['kind']).removeprefix('FileError: ')}"
    return f"read{', ' + ', '.join(sorted(set(answer['said']))) if answer['said'] else ''}"


def _third(ours: Mapping[str, Any], other: Mapping[str, Any], third: Mapping[str, Any], name: str) -> str:
    """Return whom the other reader agrees with."""
    if third["kind"] != "read":
        return f"{name} gives nothing; {_said(ours)}"
    return f"{name} agrees with {'us' if third['stored'] == ours['stored'] else 'it' if third['stored'] == other['stored'] else 'neither'}; {_said(ours)}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hazards", action="store_true", help="hazard files only")
    parser.add_argument("--files", action="store_true", help="real files only")
    parser.add_argument(
        "--quick", type=float, default=float("inf"), metavar="MB", help="leave out larger real files"
    )
    parser.add_argument(
        "--fcsparser", default=sys.executable, metavar="PYTHON", help="an interpreter with another fcsparser"
    )
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("TREGFLOW_DATA") or ROOT.parent / "shared" / "data")
    )
    parser.add_argument("--worker", choices=READERS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        work(asked.worker)
        return
    readers = [Reader(name, asked.fcsparser if name == "fcsparser" else sys.executable) for name in READERS]
    if not asked.files:
        hazards(readers)
    if not asked.hazards:
        real_files(readers, asked.data, asked.quick)


if __name__ == "__main__":
    main()
