"""Outcome: all that is known of one file after gating, as one value that goes to disk and back.

The tables are made from outcomes and from nothing else, so that a run that was interrupted, or ran
on other workers, ends with the same tables.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from tregflow.checks import Judged, judge, placements
from tregflow.errors import Finding
from tregflow.gating import Gated, Placed
from tregflow.populations import contrasted, count
from tregflow.template import Template
from tregflow.uncertainty.shifts import Scenario, lowest_and_highest
from tregflow.uncertainty.stability import Steadiness, Uncertainty

SCHEMA = 3
"""Version of the outcome format and of every number in it: a change of either changes every key."""

MARK = "between files "
"""How the mark of a page begins that says what shows between files."""

REST = "template: name, matrix or order of gates"
"""The part of a key that covers the whole template: what is left where no named part of it changed."""

State = Literal["done", "control", "refused"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a file was, and what was done to it before gating.

    Parameters
    ----------
    name : str
        The file's name.
    sha256 : str
        Of the file, hexadecimal.
    events : int
        In the data set.
    data_sha256 : str
        Of the events as they are stored, hexadecimal: the same for a copy with another name or other
        keywords, packed or not.
    acquired : str
        ``$DATE`` and ``$CYTSN`` as written, from which a run is guessed.
    channels : mapping of str to str
        ``$PnN`` by marker.
    compensation : str
        Source of the matrix, or ``none``.
    stored_values : mapping of str to str
        How stored values of each bound channel became linear.
    axes : mapping of str to str
        The scale of each bound channel, with its parameters.
    date : str
        ``$DATE`` as 2021-03-15; empty where it can be read in two ways.
    cytometer, serial : str
        ``$CYT`` and ``$CYTSN``.
    voltages, gains : mapping of str to float
        ``$PnV``, where it is stated, and the gain that ``$PnG`` states, by ``$PnN``.
    """

    name: str
    sha256: str = ""
    events: int | None = None
    data_sha256: str = ""
    acquired: str = ""
    channels: Mapping[str, str] = field(default_factory=dict)
    compensation: str = ""
    stored_values: Mapping[str, str] = field(default_factory=dict)
    axes: Mapping[str, str] = field(default_factory=dict)
    date: str = ""
    cytometer: str = ""
    serial: str = ""
    voltages: Mapping[str, float] = field(default_factory=dict)
    gains: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One file, gated or refused.

    Parameters
    ----------
    sample : str
        The row's name.
    state : str
        ``done``, ``control`` (read and bound, not gated) or ``refused``.
    parts : mapping of str to str
        Hash of everything that could change the outcome, by what it is.
    file : Evidence
        The file.
    findings : tuple of Finding
        About the file as a whole.
    gates : mapping of str to mapping
        Every gate as it was placed: shape in template coordinates, status, shift, evidence, how steadily it stands.
    populations : tuple of mapping
        Rows of the population table.
    measures : tuple of mapping
        Reported percentages with verdict and findings, and what they owe to the gates.
    contrasts : tuple of mapping
        Markers on one population beside another.
    scenarios : tuple of mapping
        Counts of the measures with gates shifted.
    """

    sample: str
    state: State
    parts: Mapping[str, str]
    file: Evidence
    findings: tuple[Finding, ...] = ()
    gates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    populations: tuple[Mapping[str, Any], ...] = ()
    measures: tuple[Mapping[str, Any], ...] = ()
    contrasts: tuple[Mapping[str, Any], ...] = ()
    scenarios: tuple[Mapping[str, Any], ...] = ()

    @property
    def key(self) -> str:
        """SHA-256 over everything that could change the outcome."""
        return hashlib.sha256(_canonical({"schema": SCHEMA, "parts": dict(self.parts)})).hexdigest()

    @property
    def verdict(self) -> str:
        """The verdict of the primary measure; ``fail`` for a refused file, empty for a control."""
        if self.state == "control":
            return ""
        return str(self.measures[0]["verdict"]) if self.measures else "fail"

    @property
    def is_clean(self) -> bool:
        """Whether nothing was refused or flagged, in any measure."""
        said = [finding for finding in self.findings if finding.answer != "note"]
        return not said and all(measure["verdict"] == "pass" for measure in self.measures)

    def adding(self, *findings: Finding) -> Outcome:
        """Return the outcome with more said about the file; a flag bears on every measure."""
        flags = [finding for finding in findings if finding.answer == "flag"]
        measures = tuple(_flagged(measure, flags) for measure in self.measures) if flags else self.measures
        return replace(self, findings=(*self.findings, *findings), measures=measures)

    def refusing(self, finding: Finding) -> Outcome:
        """Return the outcome without its numbers."""
        return Outcome(self.sample, "refused", self.parts, self.file, (*self.findings, finding))

    def to_bytes(self) -> bytes:
        """Return the outcome as JSON, the same bytes for the same outcome."""
        body = self._body()
        seal = hashlib.sha256(_canonical(body)).hexdigest()
        return _canonical({"schema": SCHEMA, "key": self.key, "seal": seal, **body}, indent=1) + b"\n"

    def _body(self) -> dict[str, Any]:
        """Return what goes to disk."""
        told = [asdict(finding) for finding in self.findings]
        return {"sample": self.sample, "state": self.state, "parts": dict(self.parts), "file": asdict(self.file),
                "findings": told, "gates": _plain(self.gates), "populations": _plain(self.populations),
                "measures": _plain(self.measures), "contrasts": _plain(self.contrasts),
                "scenarios": _plain(self.scenarios)}  # fmt: skip

    @classmethod
    def from_bytes(cls, content: bytes) -> Outcome:
        """Return the outcome that `to_bytes` wrote.

        Raises
        ------
        ValueError
            If the content is not a whole outcome of this version, as it was written.
        """
        written = json.loads(content)
        if not isinstance(written, dict) or written.pop("schema", None) != SCHEMA:
            raise ValueError("not an outcome of this version")
        key, seal = written.pop("key"), written.pop("seal")
        if hashlib.sha256(_canonical(written)).hexdigest() != seal:
            raise ValueError("the outcome was changed after it was written")
        outcome = _outcome(written)
        if outcome.key != key:
            raise ValueError("the key does not fit the outcome")
        return outcome


def done(
    sample: str, parts: Mapping[str, str], file: Evidence, gated: Gated, sure: Uncertainty | None = None
) -> Outcome:
    """Return the outcome of a gated file, in the values that it has when it comes back from disk.

    Parameters
    ----------
    sample : str
        The row's name.
    parts : mapping of str to str
        Hash of everything that could change the outcome.
    file : Evidence
        The file.
    gated : Gated
        The file, gated; judged as it is.
    sure : Uncertainty, optional
        What its numbers owe to the gates.

    Returns
    -------
    Outcome
    """
    steady = sure.stability.gates if sure else {}
    gates = {name: _gate(placed) | _steady(steady.get(name)) for name, placed in gated.placed.items()}
    measures = (_measure(judged) | _owed(judged, gated, sure) for judged in judge(gated))
    said = dict.fromkeys((*gated.findings, *placements(gated)))
    return Outcome(sample, "done", parts, file, tuple(said), _plain(gates), _rows(map(asdict, count(gated))),
                   _rows(measures), _rows(map(asdict, contrasted(gated))),
                   _rows(map(_scenario, sure.scenarios if sure else ())))  # fmt: skip


def parts_of(template: Template) -> dict[str, str]:
    """Return the hash of everything in a template that could change an outcome, gate by gate.

    Parameters
    ----------
    template : Template
        The stored hierarchy.

    Returns
    -------
    dict of str to str
        By what it is, so that a re-run can say what changed.
    """
    content = template.content
    parts = {f"template: {name}": _hash(content.get(name)) for name in
             ("markers", "compensation", "scales", "report", "limits", "scaling", "models", "bridge", "shifts", "draws")}  # fmt: skip
    parts |= {f"template: gate {gate['name']}": _hash(gate) for gate in content["populations"]}
    parts[REST] = template.hash
    return parts


def changed(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return in sentences what differs between the parts of two keys, the most telling first."""
    names = [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]
    is_told = any(name.startswith("template: ") for name in names if name != REST)
    return [_sentence(name, old, new) for name in names if name != REST or not is_told]


def _sentence(part: str, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    owner, _, name = part.partition(": ")
    if name:
        return f"the {owner}'s {name} {'changed' if part in old and part in new else 'was added' if part in new else 'is gone'}"
    return f"the {'version of ' if owner != 'file' else ''}{owner} changed"


def _hash(value: Any) -> str:
    return hashlib.sha256(_canonical(value)).hexdigest()[:16]


def _canonical(value: Any, indent: int | None = None) -> bytes:
    return json.dumps(
        value, sort_keys=indent is None, indent=indent, ensure_ascii=False, allow_nan=False
    ).encode()


def _gate(placed: Placed) -> dict[str, Any]:
    return {"shape": placed.shape.to_mapping() if placed.shape else None, "status": placed.status, "shift": placed.shift,
            "shift_decades": placed.shift_decades, "along": placed.along, "of": placed.of, "n_of": placed.n_of,
            "off_axis": placed.off_axis, "tube": placed.tube, "across": list(placed.across),
            "evidence": dict(placed.evidence), "doubts": [asdict(doubt) for doubt in placed.doubts],
            "reason": placed.reason}  # fmt: skip


def _steady(steady: Steadiness | None) -> dict[str, Any]:
    return {"stability": asdict(steady)} if steady else {}


def _owed(judged: Judged, gated: Gated, sure: Uncertainty | None) -> dict[str, Any]:
    """Return what a percent owes to its gates; nothing where there is no percent."""
    name = judged.percent.measure.name
    if sure is None or judged.verdict == "fail":
        return dict.fromkeys(("gate_low", "gate_high", "gate_stability"))
    low, high = lowest_and_highest(sure.scenarios, name, gated.template.shifts)
    return {"gate_low": low, "gate_high": high, "gate_stability": sure.stability.measures.get(name)}


def _scenario(scenario: Scenario) -> dict[str, Any]:
    return {"scenario": scenario.name, "gate": scenario.gate, "marker": scenario.marker,
            "shift_decades": scenario.shift, "counts": scenario.counts}  # fmt: skip


def _measure(judged: Judged) -> dict[str, Any]:
    percent = judged.percent
    return {"measure": percent.measure.name, "role": percent.measure.role, "numerator": percent.numerator,
            "denominator": percent.denominator, "percent": percent.percent, "ci_low": percent.low, "ci_high": percent.high,
            "verdict": judged.verdict, "findings": [asdict(finding) for finding in judged.findings]}  # fmt: skip


def _flagged(measure: Mapping[str, Any], flags: Iterable[Finding]) -> dict[str, Any]:
    """Return a measure that someone must look at; one without a number stays without."""
    verdict = "fail" if measure["verdict"] == "fail" else "review"
    said = [*measure.get("findings", ()), *map(asdict, flags)]
    return {**measure, "verdict": verdict, "findings": said}


def _plain(value: Any) -> Any:
    """Return values that JSON has: no number where there is none."""
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def _rows(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(map(_plain, values))


def _outcome(written: dict[str, Any]) -> Outcome:
    return Outcome(written["sample"], written["state"], written["parts"], Evidence(**written["file"]),
                   findings_from(written["findings"]), written["gates"], tuple(written["populations"]),
                   tuple(written["measures"]), tuple(written["contrasts"]), tuple(written["scenarios"]))  # fmt: skip


def findings_from(written: Iterable[Mapping[str, str]]) -> tuple[Finding, ...]:
    """Return findings from their mappings."""
    return tuple(Finding(**finding) for finding in written)


def digest(findings: Sequence[Finding]) -> str:
    """Return what a page is marked with that says these findings of a file and others; nothing for none."""
    said = [asdict(finding) for finding in findings]
    return f"{MARK}{hashlib.sha256(_canonical(said)).hexdigest()}" if said else ""


def storable(name: str) -> str:
    """Return a file's name with ``?`` for bytes that no text can hold: not all names are UTF-8."""
    return name.encode("utf-8", "replace").decode("utf-8")


def summary(findings: Sequence[Finding]) -> str:
    """Return the codes of findings, once each, the gravest first."""
    order = {"E": 0, "F": 1, "N": 2}
    return " ".join(
        sorted(dict.fromkeys(finding.code for finding in findings), key=lambda code: order[code[0]])
    )
