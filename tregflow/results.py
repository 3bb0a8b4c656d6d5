"""Outcomes to the rows of the result tables: formats, and computes nothing.

Rows are ordered by sample name, so that the order of the sheet and of the workers leaves no trace.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tregflow.errors import Finding
from tregflow.hierarchy import ROOT
from tregflow.outcome import Outcome, findings_from, storable, summary
from tregflow.study import Tube
from tregflow.template import Template

Cells = dict[str, object]
Pair = tuple[Tube, Outcome]

TREG = ("subject", "visit", "collected", "sample", "run", "measure", "role", "numerator", "denominator", "percent",
        "ci_low", "ci_high", "gate_low", "gate_high", "gate_stability", "verdict", "codes", "decision",
        "reviewed_by", "template_sha256", "file_sha256")  # fmt: skip
"""Columns of ``treg.csv``. `gate_low` and `gate_high` are the smallest and largest percent with each gate on the path
shifted by the first stated shift, one at a time: a range, no confidence interval. `gate_stability` is the
standard deviation of the percent that placing the gates anew on draws of the file causes, counting apart."""

CONTRASTS = ("difference", "above_fmo", "ratio")
"""What stands in ``treg.csv`` for each marker reported on two populations: medians of the first less the second in
axis units; of the first less the FMO's, linear; of the first by the second where that is well above zero."""

POPULATIONS = ("sample", "subject", "visit", "run", "population", "path", "parent", "count", "percent_of_parent",
               "status", "gate", "of", "n_of", "tube", "across", "shift", "shift_decades", "along", "depth", "separation",
               "spread", "spread_decades", "spread_along", "near", "draws", "draws_fallen", "draws_at_bound", "doubts",
               "reason", "is_reference")  # fmt: skip
"""Columns of ``populations.csv``. `spread` is the standard deviation of the gate's position over the draws, sampling
alone; `near` the share of the parent's events that one spread would move to the other side."""

PERTURBATIONS = ("sample", "subject", "visit", "run", "measure", "scenario", "gate", "marker", "shift_decades",
                 "numerator", "denominator", "percent", "template_sha256", "file_sha256")  # fmt: skip
FILES = ("sample", "file", "subject", "visit", "tube", "run", "state", "verdict", "codes", "sentences", "events",
         "channels", "stored_values", "axes", "compensation", "sha256", "data_sha256")  # fmt: skip


def paired(tubes: Iterable[Tube], outcomes: Mapping[str, Outcome]) -> tuple[Pair, ...]:
    """Return each tube with its outcome, by sample name, numbers within names in order of size."""
    pairs = [(tube, outcomes[tube.sample]) for tube in tubes]
    return tuple(sorted(pairs, key=lambda pair: (_natural(pair[0].sample), pair[0].sample)))


def run_of(tube: Tube, outcome: Outcome) -> str:
    """Return a tube's run: the sheet's, else the guess from date and cytometer."""
    return tube.run or outcome.file.acquired


def treg_table(pairs: Sequence[Pair], template: Template) -> tuple[list[str], list[Cells]]:
    """Return columns and rows of ``treg.csv``: every full tube x every measure, always a row."""
    rows = [cells for pair in pairs if pair[0].tube == "full" for cells in _treg_rows(pair, template)]
    pairings = [marker for marker, names in template.medians.items() if len(names) > 1]
    contrasts = [f"{what}_{marker}" for marker in pairings for what in CONTRASTS]
    return [*TREG, *contrasts, *_own(pairs)], rows


def perturbation_table(pairs: Sequence[Pair], template: Template) -> tuple[list[str], list[Cells]]:
    """Return columns and rows of ``perturbations.csv``: every full tube x measure x scenario of shifted gates."""
    rows = [cells for pair in pairs if pair[0].tube == "full" for cells in _perturbation_rows(pair, template)]
    return [*PERTURBATIONS, *_own(pairs)], rows


def population_table(pairs: Sequence[Pair], template: Template) -> tuple[list[str], list[Cells]]:
    """Return columns and rows of ``populations.csv``: one row per gated sample and population."""
    medians = [f"median_{marker}" for marker in template.medians]
    rows = [cells for pair in pairs for cells in _population_rows(pair, template)]
    return [*POPULATIONS, *medians, "template_sha256", "file_sha256", *_own(pairs)], rows


def file_table(pairs: Sequence[Pair]) -> tuple[list[str], list[Cells]]:
    """Return columns and rows of ``files.csv``: one row per input file."""
    return [*FILES, *_own(pairs)], [_file_row(*pair) for pair in pairs]


def _treg_rows(pair: Pair, template: Template) -> Iterator[Cells]:
    tube, outcome = pair
    common: Cells = {"subject": tube.subject, "visit": tube.visit, "collected": tube.collected, "sample": tube.sample,
                     "run": run_of(tube, outcome), "template_sha256": template.hash,
                     "file_sha256": outcome.file.sha256, **tube.extra}  # fmt: skip
    for place, measure in enumerate(template.measures):
        told: Mapping[str, Any] = outcome.measures[place] if outcome.measures else {"verdict": "fail"}
        findings = findings_from(told["findings"]) if outcome.measures else outcome.findings
        contrasts = {} if told["verdict"] == "fail" else _contrasts(outcome)
        yield {
            **common,
            **told,
            **contrasts,
            "measure": measure.name,
            "role": measure.role,
            "codes": summary(findings),
        }


def _contrasts(outcome: Outcome) -> Cells:
    return {f"{what}_{one['marker']}": one[what] for one in outcome.contrasts for what in CONTRASTS}


def _perturbation_rows(pair: Pair, template: Template) -> Iterator[Cells]:
    """Yield measure by measure; a percent that was refused is refused under every shift."""
    tube, outcome = pair
    common: Cells = {**tube.extra, "sample": tube.sample, "subject": tube.subject, "visit": tube.visit,
                     "run": run_of(tube, outcome), "template_sha256": template.hash,
                     "file_sha256": outcome.file.sha256}  # fmt: skip
    for told in outcome.measures:
        for scenario in outcome.scenarios:
            if counts := scenario["counts"].get(told["measure"]):
                part, whole = counts
                percent = 100 * part / whole if whole and told["verdict"] != "fail" else None
                yield {**common, **scenario, "measure": told["measure"], "numerator": part, "denominator": whole, "percent": percent}  # fmt: skip


def _population_rows(pair: Pair, template: Template) -> Iterator[Cells]:
    tube, outcome = pair
    for counted in outcome.populations:
        medians = {f"median_{marker}": value for marker, value in counted["medians"].items()}
        is_root, gate = counted["population"] == ROOT, outcome.gates.get(counted["population"], {})
        yield {**tube.extra, **counted, **_placing(gate), **medians, "status": "" if is_root else counted["status"],
               "sample": tube.sample, "subject": tube.subject, "visit": tube.visit, "run": run_of(tube, outcome),
               "template_sha256": template.hash, "file_sha256": outcome.file.sha256}  # fmt: skip


def _placing(gate: Mapping[str, Any]) -> Cells:
    """Return how a gate was placed, and how steadily it stands."""
    steady, evidence = gate.get("stability", {}), gate.get("evidence", {})
    return {
        "gate": _shape(gate), "of": gate.get("of"), "n_of": gate.get("n_of") if gate.get("of") else None,
        "tube": gate.get("tube"), "across": " ".join(gate.get("across", ())), "along": gate.get("along"),
        "depth": evidence.get("depth"), "separation": evidence.get("separation"),
        "doubts": " ".join(dict.fromkeys(doubt["kind"] for doubt in gate.get("doubts", ()))),
        "spread": steady.get("spread"), "spread_decades": steady.get("spread_decades"),
        "spread_along": steady.get("along"), "near": steady.get("near"), "draws": steady.get("draws"),
        "draws_fallen": steady.get("fallen"), "draws_at_bound": steady.get("bound"),
    }  # fmt: skip


def _shape(gate: Mapping[str, Any]) -> str:
    """Return a placed shape as compact JSON; nothing where there is none."""
    shape = gate.get("shape")
    return json.dumps(shape, separators=(",", ":"), ensure_ascii=False) if shape else ""


def _file_row(tube: Tube, outcome: Outcome) -> Cells:
    file, said = outcome.file, every_finding(outcome)
    return {**tube.extra, "sample": tube.sample, "file": storable(tube.file), "subject": tube.subject, "visit": tube.visit,
            "tube": tube.tube, "run": run_of(tube, outcome), "state": outcome.state, "verdict": outcome.verdict,
            "codes": summary(said), "sentences": " | ".join(f"{finding.code} {finding.sentence}" for finding in said),
            "events": file.events, "channels": _listed(file.channels), "stored_values": _listed(file.stored_values),
            "axes": _listed(file.axes), "compensation": file.compensation, "sha256": file.sha256,
            "data_sha256": file.data_sha256}  # fmt: skip


def every_finding(outcome: Outcome) -> tuple[Finding, ...]:
    """Return all that was said of a file and of its measures, once each."""
    of_measures = [finding for measure in outcome.measures for finding in findings_from(measure["findings"])]
    return tuple(dict.fromkeys([*outcome.findings, *of_measures]))


def _listed(values: Mapping[str, str]) -> str:
    return "; ".join(f"{name} = {value}" for name, value in values.items())


def _own(pairs: Sequence[Pair]) -> list[str]:
    """Return the study's own columns, in the sheet's order."""
    return list(
        dict.fromkeys(column for tube, _ in pairs for column in tube.extra if column.startswith("x_"))
    )


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdigit() else -1, part.casefold()) for part in re.split(r"(\d+)", name)]
