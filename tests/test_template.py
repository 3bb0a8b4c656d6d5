"""A template that exists is right; one that is not says everything that is wrong with it."""

from __future__ import annotations

import copy
import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import LOGICLE, PLAIN, above, named, row, sample, template, words
from hypothesis import given
from hypothesis import strategies as st

from tregflow import load_template
from tregflow.errors import FileError, Finding, InputError
from tregflow.gates.shapes import And, Interval, Members, Not, Polygon
from tregflow.hierarchy import Limit, counted, path, resting_on
from tregflow.io.documents import read_yaml
from tregflow.sample import Channel, Sample, Spillover
from tregflow.template import Template
from tregflow.transforms import Identity, Linear, Logicle

STORED = Path(__file__).parents[1] / "gating_strategies"
VALLEY = {"keep": "above", "stored": 0.5, "within": [0.4, 0.6]}


def mistakes(content: dict[str, Any]) -> list[str]:
    with pytest.raises(InputError) as error:
        Template.from_mapping(content)
    assert error.value.status == 2
    return [finding.sentence for finding in error.value.findings]


def codes(content: dict[str, Any]) -> set[str]:
    with pytest.raises(InputError) as error:
        Template.from_mapping(content)
    return {finding.code for finding in error.value.findings}


def of_gate(gate: Any, markers: list[str] | None = None, **said: Any) -> list[str]:
    """Return what is said of the gate of one population, without its path."""
    found = mistakes(words(row("A", "root", ["CD4"] if markers is None else markers, gate, **said)))
    return [sentence.removeprefix("populations[0].gate") for sentence in found]


# ------------------------------------------------------------------------------- what is right


def test_the_shipped_template_means_what_it_says():
    stored = load_template(STORED / "treg.yaml")
    assert stored.primary.count == "Treg"
    assert stored.primary.role == "primary"
    assert {measure.role for measure in stored.measures[1:]} == {"secondary"}
    assert stored.path("Treg")[0] == stored.populations[0].name
    assert stored.path("Treg")[-1] == "Treg"
    assert stored.path("root") == ()
    assert isinstance(stored.scales["CD4"], Logicle)
    assert isinstance(stored.scales["FSC-A"], Identity)


def test_a_fixed_gate_is_its_shape():
    gate = template(row("A", "root", ["CD4"], {"interval": {"low": 0.2, "high": None}})).population("A").gate
    assert (gate.method, gate.stored) == ("", Interval(low=0.2))


@pytest.mark.parametrize(("keep", "shape"), [("above", Interval(low=0.5)), ("below", Interval(high=0.5))])
def test_a_cut_stores_the_side_it_keeps(keep, shape):
    gate = (
        template(row("A", "root", ["CD4"], {"valley": {**VALLEY, "keep": keep, "smooth": 0.02}}))
        .population("A")
        .gate
    )
    assert (gate.method, gate.stored, gate.keep, gate.within, gate.least) == (
        "valley",
        shape,
        keep,
        (0.4, 0.6),
        200,
    )
    assert gate.settings["smooth"] == 0.02
    assert not {"keep", "stored", "within", "of", "least", "across"} & set(gate.settings)


def test_a_cloud_keeps_its_own_window_and_stored_outline():
    outline = {"polygon": {"vertices": [[0, 0], [1, 0], [0, 1]]}}
    gate = (
        template(
            row(
                "A",
                "root",
                ["FSC-A", "FSC-H"],
                {"cluster": {"within": [[0.1, 0.9], [0, 1]], "stored": outline}},
            )
        )
        .population("A")
        .gate
    )
    assert gate.settings["within"] == ((0.1, 0.9), (0.0, 1.0))
    assert isinstance(gate.stored, Polygon)


def test_combinations_name_populations_above():
    one = row("A", "root", ["CD4"], above(0.5))
    other = row("B", "root", ["CD4"], {"and": [{"not": "A"}, {"interval": {"low": 0.1}}, {"members": "A"}]})
    population = template(one, other).population("B")
    assert population.gate.stored == And((Not(Members("A")), Interval(low=0.1), Members("A")))
    assert population.leans_on == ("root", "A", "A")


def test_names_need_no_axes():
    both = [row("A", "root", ["CD4"], above(0.5)), row("B", "root", ["CD4"], above(0.6))]
    assert template(*both, row("C", "root", [], {"and": ["A", "B"]})).population("C").markers == ()


def test_scales_of_single_markers_go_first():
    scales = {
        "fluorescence": LOGICLE,
        "CD8": {"linear": {"T": 5.0}},
        "FSC-A": {"linear": {"T": 3.0}},
        "CD3": "none",
    }
    gates = [row(name, "root", [name], above(0.1)) for name in ("CD4", "CD8", "CD3", "FSC-A", "Time")]
    found = template(*gates, scales=scales).scales
    assert found == {
        "CD4": Logicle(),
        "CD8": Linear(5.0),
        "CD3": Identity(),
        "FSC-A": Linear(3.0),
        "Time": Identity(),
    }


def test_the_primary_denominator_has_a_limit_unless_the_template_gives_one():
    gates = [row("A", "root", ["CD4"], above(0.1)), row("B", "A", ["CD4"], above(0.2))]
    report = {"primary": {"name": "b", "count": "B", "of": "A"}}
    assert template(*gates, report=report, limits={}).limits == {"A": Limit(500, 2000)}
    assert template(*gates, report=report, limits={"A": {"refuse_below": 3}}).limits == {"A": Limit(3, 2000)}


def test_what_is_reported_of_what_shows_the_outcome():
    stored = load_template(STORED / "treg.yaml")
    line = stored.path("Treg")
    below = set(line[line.index(stored.primary.of) + 1 :])
    assert stored.counted(stored.primary) == below
    assert resting_on(stored.populations, "Treg") == {"Treg"}
    assert set(line) <= resting_on(stored.populations, line[0])


def test_paths_end_where_a_circle_begins():
    gates = template(row("A", "root", ["CD4"], above(0.1))).populations
    assert path(gates, "nobody") == ()
    assert counted(gates, template(row("A", "root", ["CD4"], above(0.1))).primary) == {"A"}


# ------------------------------------------------------------------- names that lead nowhere


def test_an_unknown_parent():
    found = mistakes(words(row("CD4", "root", ["CD4"], above(0.1)), row("B", "CD4+", ["CD4"], above(0.1))))
    assert found == ['populations[1].parent: "CD4+" is not defined; did you mean "CD4"?']


def test_a_parent_below():
    found = mistakes(words(row("A", "B", ["CD4"], above(0.1)), row("B", "root", ["CD4"], above(0.1))))
    assert found == ['populations[0].parent: "B" is defined below; move it above']


def test_circles():
    gates = [
        row("A", "C", ["CD4"], above(0.1)),
        row("B", "A", ["CD4"], above(0.1)),
        row("C", "B", ["CD4"], above(0.1)),
    ]
    assert mistakes(words(*gates))[0] == (
        "populations[0].parent: A → C → B → A is a circle; one of them must have a parent outside it"
    )
    assert "A → A is a circle" in mistakes(words(row("A", "A", ["CD4"], above(0.1))))[0]


def test_a_name_twice_or_that_cannot_be():
    twice = [row("Treg", "root", ["CD4"], above(0.1)), row("treg", "root", ["CD4"], above(0.1))]
    assert mistakes(words(*twice)) == ['populations[1].name: "treg" is the name of a population above']
    for name in ("root", "CD4/CD8"):
        assert (
            f'"{name}" cannot name a population' in mistakes(words(row(name, "root", ["CD4"], above(0.1))))[0]
        )


def test_an_unknown_marker():
    gate = row("A", "root", ["CD25", "CD4"], {"rectangle": {"low": [0, 0], "high": [1, 1]}})
    found = mistakes(words(gate, markers={"CD4": {}, "CD127": {}}))
    assert found == ['populations[0].markers[0]: "CD25" is not among the markers; did you mean "CD127"?']


def test_a_marker_without_a_scale():
    found = mistakes(words(row("A", "root", ["CD4"], above(0.1)), scales={}))
    assert found == [
        "populations[0].markers[0]: CD4 has no scale; write scales: {fluorescence: …} or {CD4: …}"
    ]


def test_an_axis_twice():
    found = of_gate({"rectangle": {"low": [0, 0], "high": [1, 1]}}, ["CD4", "CD4"])
    assert found == ['populations[0].markers[1]: "CD4" is an axis of this gate already']


@pytest.mark.parametrize("alias", ["CD4", "cd-4", "Comp-CD4"])
def test_a_name_that_means_two_markers(alias):
    found = mistakes(
        words(row("A", "root", ["CD4"], above(0.1)), markers={"CD4": {}, "CD25": {"aliases": [alias]}})
    )
    assert found == ['markers.CD25: "cd4" means CD4 too; a name means one marker']


@pytest.mark.parametrize("markers", [{"CD4": {"aliases": [" - "]}}, {"CD4": {}, "--": {}}])
def test_a_name_that_means_nothing(markers):
    (found,) = mistakes(words(row("A", "root", ["CD4"], above(0.1)), markers=markers))
    assert "a name of blanks and hyphens means no channel" in found


def test_names_in_report_limits_medians_and_scales():
    content = words(row("Treg", "root", ["CD4"], above(0.1)))
    content["report"] = {
        "primary": {"name": "a", "count": "Trag", "of": "rot"},
        "also": [{"name": "a", "count": "Treg", "of": "root"}],
        "medians": {"CD5": ["Treg", "tregs"]},
    }
    content["limits"] = {"Tregs": {}}
    content["scales"]["flourescence"] = "none"
    assert sorted(mistakes(content)) == sorted([
        'report.primary.count: "Trag" is not a population; did you mean "Treg"?',
        'report.primary.of: "rot" is not a population',
        'report.also[0].name: "a" is the name of a measure above',
        'report.medians.CD5: "CD5" is not among the markers; did you mean "CD4"?',
        'report.medians.CD5[1]: "tregs" is not a population; did you mean "Treg"?',
        'limits.Tregs: "Tregs" is not a population; did you mean "Treg"?',
        'scales.flourescence: "flourescence" is not among the markers; did you mean "fluorescence"?',
    ])  # fmt: skip


@pytest.mark.parametrize(("count", "of"), [("A", "B"), ("A", "A"), ("C", "B"), ("B", "C")])
def test_a_measure_lies_below_its_denominator(count, of):
    gates = [
        row("A", "root", ["CD4"], above(0.1)),
        row("B", "A", ["CD4"], above(0.1)),
        row("C", "A", ["CD4"], above(0.1)),
    ]
    found = mistakes(words(*gates, report={"primary": {"name": "x", "count": count, "of": of}}))
    assert found == [
        f'report.primary.of: "{count}" does not lie below "{of}", so its percent of it has no meaning'
    ]


def test_the_whole_file_is_not_counted():
    (found,) = mistakes(
        words(
            row("A", "root", ["CD4"], above(0.1)),
            report={"primary": {"name": "x", "count": "root", "of": "root"}},
        )
    )
    assert found == "report.primary.count: root is the whole file; it lies below nothing"


# -------------------------------------------------------------------------------------- gates


@pytest.mark.parametrize(
    ("gate", "sentence"),
    [
        ({"vally": VALLEY}, '.vally: "vally" is not known here; did you mean "valley"?'),
        ({"valley": {**VALLEY, "smoth": 1}}, '.valley.smoth: "smoth" is not known here; did you mean "smooth"?'),
        ({"valley": {"stored": 0.5}}, '.valley: "keep" is missing'),
        ({"valley": {**VALLEY, "keep": "up"}}, ".valley.keep: expected 'above' or 'below', got \"up\""),
        ({"valley": {**VALLEY, "least": 1}}, ".valley.least: must be at least 2, got 1"),
        ({"valley": {**VALLEY, "within": [0.6, 0.4]}}, ".valley.within: runs from 0.6 to 0.4; the first must be the smaller"),
        ({"valley": {**VALLEY, "within": [0.6]}}, ".valley.within: value 2 is missing"),
        ({"valley": {**VALLEY, "stored": 0.7}}, ".valley.stored: 0.7 lies outside the window 0.4 to 0.6"),
        ({"valley": {**VALLEY, "of": "Tconv"}}, '.valley.of: "Tconv" is not defined'),
        ({"valley": {**VALLEY, "across": "visit"}}, """.valley.across: expected 'sample', 'subject' or 'run', got "visit\""""),
        ({"valley": {**VALLEY, "across": "run", "tube": "fmo"}}, ".valley.across: placed on the fmo tube, so there is nothing to pool; leave out across"),
        ({"quantile": {"keep": "above", "at": 0.9, "of": "fmo:CD4"}}, '.quantile.of: "fmo:CD4" is not defined'),
        ({"quantile": {"keep": "above", "at": 1.5}}, ".quantile.at: must be below 1, got 1.5; it is a fraction, 1.5 % is 0.015"),
        ({"anchored": {"outline": {"interval": {"low": 0.4}}, "at": [0.3, 0.4]}}, ".anchored.at: 2 numbers, the population has 1 marker"),
        ({"quadrant_share": {}}, ".quadrant_share: quadrants of a population are not available in this version"),
        ({"cluster": {}}, ".cluster: cluster works on 2 markers, the population has 1"),
        ({"cluster": None}, ': "cluster" has no settings; write cluster: {} if it needs none'),
        ({}, ": expected one key, got none"),
        ({"interval": {}, "members": "A"}, ": expected one key, got interval, members"),
        ({"interval": {"low": 0.5, "high": 0.5}}, ": low is 0.5 and high 0.5; low must be the smaller"),
        ({"interval": {}}, ": has no edge and would keep everything"),
        ({"interval": {"low": float("nan")}}, ".interval.low: must be a finite number (write null for an open edge), got nan"),
        ({"rectangle": {"low": [0, 0], "high": [1, 1]}}, ": a shape on 2 axes, the population has 1 marker"),
        ({"polygon": {"vertices": [[0, 0], [1, 1]]}}, ".polygon.vertices: needs at least 3 values, got [[0, 0], [1, 1]]"),
        ({"polygon": {"vertices": [[0, 0], [1, 1], [2]]}}, ".polygon.vertices[2]: value 2 is missing"),
        ({"not": "Nobody"}, ': "Nobody" is not defined'),
        ({"not": "A"}, ': "A" is defined below; move it above'),
        ({"and": [{"valley": VALLEY}]}, ".and[0].valley: valley is placed on events and cannot be a part; make it a population and name that here"),
        ({"and": []}, ".and: needs at least 1 values, got []"),
        ("CD4", ': expected a mapping, got "CD4"'),
        (None, ": expected a mapping, got nothing"),
    ],
)  # fmt: skip
def test_a_gate_that_has_no_meaning(gate, sentence):
    assert of_gate(gate) == [sentence]


@pytest.mark.parametrize(
    ("gate", "sentence"),
    [
        ({"interval": {"low": 0}}, ": a shape on 1 axis, the population has 2 markers"),
        ({"rectangle": {"low": [0], "high": [1]}}, ": a shape on 1 axis, the population has 2 markers"),
        ({"rectangle": {"low": [0, 0], "high": [1]}}, ": low has 2 edges and high 1"),
        ({"rectangle": {"low": [0, 2], "high": [1, 1]}}, ": low is 2 and high 1; low must be the smaller"),
        ({"rectangle": {"low": [None, None], "high": [None, None]}}, ": has no edge and would keep everything"),
        ({"valley": VALLEY}, ".valley: valley works on 1 marker, the population has 2"),
        ({"ellipse": {"centre": [0], "covariance": [[1]]}}, ": a shape on 1 axis, the population has 2 markers"),
        ({"ellipse": {"centre": [0, 0], "covariance": [[1]]}}, ": the covariance must be 2 x 2"),
        ({"ellipse": {"centre": [0, 0], "covariance": [[1, 0], [0]]}}, ": the covariance must be 2 x 2"),
        ({"ellipse": {"centre": [0, 0], "covariance": [[1, 0.5], [0, 1]]}}, ": the covariance must be symmetric and positive definite"),
        ({"ellipse": {"centre": [0, 0], "covariance": [[1, 2], [2, 1]]}}, ": the covariance must be symmetric and positive definite"),
        ({"ellipse": {"centre": [0, 0], "covariance": [[1, 0], [0, 1]], "distance": 0}}, ".ellipse.distance: must be above 0, got 0"),
        ({"cluster": {"stored": {"interval": {"low": 1}}}}, ".cluster.stored: a shape on 1 axis, the population has 2 markers"),
        ({"cluster": {"stored": {"not": "A"}}}, '.cluster.stored.not: "not" is not known here'),
    ],
)  # fmt: skip
def test_a_gate_on_two_axes_that_has_no_meaning(gate, sentence):
    assert [found[: len(sentence)] for found in of_gate(gate, ["CD4", "CD8"])] == [sentence]


@pytest.mark.parametrize(
    ("scale", "sentence"),
    [
        ({"logicle": {"W": 3}}, "W is 3 and must lie between 0 and M / 2"),
        ({"logicle": {"T": -1}}, "T is -1 and must be above 0"),
        ({"log": {"T": 100, "M": 0}}, "M is 0 and must be above 0"),
        ({"log": {"T": 100}}, 'scales.fluorescence.log: "M" is missing'),
        ({"biex": {}}, '"biex" is not known here'),
        ({"logicle": {"w": 1}}, 'scales.fluorescence.logicle.w: "w" is not known here; did you mean "W"?'),
        ("nune", 'expected \'none\', got "nune"; did you mean "none"?'),
        (3, "expected a mapping, got 3"),
    ],
)
def test_a_scale_that_has_no_meaning(scale, sentence):
    (found,) = mistakes(words(row("A", "root", ["CD4"], above(0.1)), scales={"fluorescence": scale}))
    assert sentence in found


@pytest.mark.parametrize(
    "change",
    [
        {"compensation": "controls"},
        {"populations": [row("A", "root", ["CD4"], {"quadrant_share": {}})]},
        {
            "populations": [row("A", "root", ["CD4", "CD8"], {"quadrant_share": {}})],
            "markers": {"CD4": {}, "CD8": {}},
        },
    ],
    ids=lambda change: str(next(iter(change))),
)
def test_what_is_not_built_is_refused_as_that(change):
    content = {**words(row("A", "root", ["CD4"], above(0.1))), **change}
    assert codes(content) == {"E-UNBUILT"}
    assert all("not available in this version" in sentence for sentence in mistakes(content))


# ------------------------------------------------------- verdicts must be blind to the outcome

LINE = [
    row("CD4", "root", ["CD4"], above(0.1)),
    row("Tconv", "CD4", ["CD25"], {"interval": {"high": 0.1}}, role="reference"),
    row("CD25hi", "CD4", ["CD25"], above(0.3)),
    row("Treg", "CD25hi", ["FOXP3"], {"quantile": {"keep": "above", "at": 0.99, "of": "Tconv"}}),
    row("naive", "Treg", ["CD4"], above(0.2)),
    row("others", "CD4", [], {"not": "Treg"}),
    row("aside", "root", ["CD4"], above(0.4)),
]
REPORT = {
    "primary": {"name": "Treg of CD4", "count": "Treg", "of": "CD4"},
    "also": [{"name": "Treg of CD25hi", "count": "Treg", "of": "CD25hi"}],
}
SAID = '"{}" shows the outcome, Treg of CD4, and a verdict must not look at it; limit a population above'


@pytest.mark.parametrize("name", ["Treg", "naive", "others"])
def test_a_limit_that_would_look_at_the_outcome(name):
    found = mistakes(words(*LINE, report=REPORT, limits={name: {"refuse_below": 50}}))
    assert found == [f"limits.{name}: {SAID.format(name)}"]


@pytest.mark.parametrize("name", ["CD4", "Tconv", "root", "CD25hi"])
def test_limits_that_do_not(name):
    assert template(*LINE, report=REPORT, limits={name: {"refuse_below": 50}}).limits[name] == Limit(
        50, 2000 if name == "CD4" else 0
    )


@pytest.mark.parametrize("name", ["CD25hi", "aside"])
def test_a_limit_that_bears_on_nothing(name):
    """Between the two that the primary compares a limit would show the outcome; aside it does nothing."""
    found = mistakes(words(*LINE, report={"primary": REPORT["primary"]}, limits={name: {"refuse_below": 50}}))
    assert found == [f'limits.{name}: no reported percent is taken of "{name}" or of what is in it']


def test_a_review_limit_below_the_refusing_one():
    found = mistakes(words(*LINE, report=REPORT, limits={"CD4": {"refuse_below": 2000, "review_below": 500}}))
    assert found == ["limits.CD4.review_below: 500 lies below refuse_below, 2,000: nothing would be reviewed"]


# ----------------------------------------------------------------------------- all at once

MANY = """\
template: 1
name: made
markers: {CD4: {aliass: [x]}, CD25: {}}
compensation: controls
scales:
  fluorescence: {logicle: {W: 9}}
  CD52: none
populations:
  - {name: A, parent: rot, markers: [CD4], gate: {vally: {}}}
  - {name: B, parent: A, markers: [CD5], gate: {valley: {keep: above, smoth: 1, within: [0.6, 0.4]}}}
  - name: C
    parent: D
    markers: [CD4, CD25]
    gate: {interval: {low: 0.1}}
  - {name: D, parent: C, markers: [CD4], gate: {interval: {lo: 0.1}}}
  - {parent: A, markers: [CD4, CD25], gate: {ellipse: {centre: [0, 0], covariance: [[1, 2], [2, 1]]}}}
  - 12
report:
  primary: {name: x, count: E, of: A}
  also: [{name: y, count: A}, {name: x, count: A, of: root}]
  medians: {CD4: [A, F]}
limits: {G: {}, A: {refuse_below: lots}}
shifts: [0.0]
"""


SAID_OF_MANY = """\
E-TEMPLATE  t.yaml:3:17  markers.CD4.aliass: "aliass" is not known here; did you mean "aliases"?
E-UNBUILT  t.yaml:4:15  compensation: controls is not available in this version; name a table, or write file
E-TEMPLATE  t.yaml:6:27  scales.fluorescence.logicle: W is 9 and must lie between 0 and M / 2
E-TEMPLATE  t.yaml:7:3  scales.CD52: "CD52" is not among the markers; did you mean "CD25"?
E-TEMPLATE  t.yaml:9:23  populations[0].parent: "rot" is not defined; did you mean "root"?
E-TEMPLATE  t.yaml:9:51  populations[0].gate.vally: "vally" is not known here; did you mean "valley"?
E-TEMPLATE  t.yaml:10:36  populations[1].markers[0]: "CD5" is not among the markers; did you mean "CD25"?
E-TEMPLATE  t.yaml:10:71  populations[1].gate.valley.smoth: "smoth" is not known here; did you mean "smooth"?
E-TEMPLATE  t.yaml:10:89  populations[1].gate.valley.within: runs from 0.6 to 0.4; the first must be the smaller
E-TEMPLATE  t.yaml:12:13  populations[2].parent: C → D → C is a circle; one of them must have a parent outside it
E-TEMPLATE  t.yaml:14:11  populations[2].gate: a shape on 1 axis, the population has 2 markers
E-TEMPLATE  t.yaml:15:60  populations[3].gate.interval.lo: "lo" is not known here; did you mean "low"?
E-TEMPLATE  t.yaml:16:5  populations[4]: "name" is missing
E-TEMPLATE  t.yaml:17:5  populations[5]: expected a mapping, got 12
E-TEMPLATE  t.yaml:19:29  report.primary.count: "E" is not a population
E-TEMPLATE  t.yaml:20:10  report.also[0]: "of" is missing
E-TEMPLATE  t.yaml:20:38  report.also[1].name: "x" is the name of a measure above
E-TEMPLATE  t.yaml:21:22  report.medians.CD4[1]: "F" is not a population
E-TEMPLATE  t.yaml:22:10  limits.G: "G" is not a population
E-TEMPLATE  t.yaml:22:35  limits.A.refuse_below: expected a whole number, got "lots"
E-TEMPLATE  t.yaml:23:10  shifts[0]: must be above 0, got 0.0
"""


def test_every_mistake_is_said_with_its_line_and_column(tmp_path):
    (tmp_path / "t.yaml").write_text(MANY)
    with pytest.raises(InputError) as error:
        Template.from_document(read_yaml(tmp_path / "t.yaml"))
    assert str(error.value).splitlines() == SAID_OF_MANY.splitlines()


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"populations": 3},
        {"markers": [], "populations": []},
        {"report": 3, "scales": 4, "limits": 5, "markers": {}, "populations": [[]]},
    ],
)
def test_what_is_no_template_at_all(content):
    assert mistakes(content)


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(["A", "B", "root", "CD4", "none", "above", "file"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "parent", "gate", "low", "valley", "interval", "and", "primary", "of", "CD4"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for part, inner in inside for found in _paths(inner, (*path, part)))]


def _changed(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    content = copy.deepcopy(content)
    around = content
    for part in path[:-1]:
        around = around[part]
    around[path[-1]] = value
    return content


FULL = words(
    *LINE, row("box", "CD4", ["CD4", "FSC-A"], {"or": [{"rectangle": {"low": [0.1, None], "high": [0.5, 0.6]}}, {"not": "Treg"}]}),
    row("cut", "CD4", ["CD25"], {"valley": VALLEY}), row("cloud", "CD4", ["FSC-A", "FSC-H"], {"cluster": {"within": [[0, 1], [0, 1]]}}),
    report={**REPORT, "medians": {"CD25": ["Treg"]}}, limits={"CD4": {"refuse_below": 5, "review_below": 9}},
    scaling={"gain": "apply"}, scales={"fluorescence": LOGICLE, "FSC-A": "none"}, name="full",
)  # fmt: skip


@given(st.data())
def test_whatever_is_written_is_a_template_or_refused_in_words(data):
    """No junk anywhere in a template is more than an InputError."""
    trail = data.draw(st.sampled_from(_paths(FULL)[1:]))
    content = _changed(FULL, trail, data.draw(JUNK))
    try:
        Template.from_mapping(content)
        said = ["all is well"]
    except InputError as error:
        said = [finding.sentence for finding in error.findings]
    assert said
    assert not any("pydantic" in sentence or "Input should" in sentence for sentence in said)


# ----------------------------------------------------------------------------- to mapping, hash


def shuffled(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        return {key: shuffled(value[key], rng) for key in rng.sample(list(value), len(value))}
    return [shuffled(inner, rng) for inner in value] if isinstance(value, list) else value


@st.composite
def contents(draw: Any) -> dict[str, Any]:
    edge = st.floats(0, 1).map(lambda value: round(value, 3))
    gates = []
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["interval", "valley", "quantile"]))
        settings = {"interval": {"low": draw(edge)}, "valley": {"keep": "above", "stored": draw(edge)},
                    "quantile": {"keep": "below", "at": draw(st.sampled_from([0.5, 0.99]))}}[kind]  # fmt: skip
        parent = draw(st.sampled_from(["root", *(f"P{above}" for above in range(number))]))
        gates.append(
            row(f"P{number}", parent, [draw(st.sampled_from(["CD4", "CD8", "FSC-A"]))], {kind: settings})
        )
    return words(
        *gates, markers={"CD4": {}, "CD8": {"aliases": ["CD8a"]}}, name=draw(st.text(min_size=1, max_size=5))
    )


@given(contents())
def test_to_mapping_and_back(content):
    stored = Template.from_mapping(content)
    again = Template.from_mapping(stored.to_mapping())
    assert again == stored
    assert again.hash == stored.hash
    assert json.loads(json.dumps(stored.to_mapping())) == content


@given(contents(), st.randoms(use_true_random=False))
def test_the_hash_does_not_know_the_order_of_keys(content, rng):
    assert Template.from_mapping(shuffled(content, rng)).hash == Template.from_mapping(content).hash


def test_the_hash_is_the_same_everywhere():
    assert (
        template(row("A", "root", ["CD4"], above(0.5))).hash
        == "6cde63ff5e072ccf79f5f090c223dd762f23d3beec8f20897742657b93dd0b9c"
    )


def _other(value: Any) -> Any:
    swaps = {"above": "below", "root": "CD4", "apply": "ignore", "none": LOGICLE, "reference": None}
    if isinstance(value, str):
        return swaps.get(value, f"{value}x")
    return value + (0.01 if isinstance(value, float) else 1) if isinstance(value, (int, float)) else 0.05


@pytest.mark.parametrize("trail", [trail for trail in _paths(FULL) if trail], ids=str)
def test_the_hash_changes_with_every_value(trail):
    value = FULL
    for part in trail:
        value = value[part]
    if isinstance(value, (dict, list)) and value:
        return
    try:
        changed = Template.from_mapping(_changed(FULL, trail, _other(value)))
    except InputError:
        return
    assert changed.hash != Template.from_mapping(FULL).hash


def test_nothing_remembers_the_mapping_that_was_given():
    content = words(row("A", "root", ["CD4"], above(0.5)))
    stored = Template.from_mapping(content)
    before = stored.hash
    content["populations"][0]["gate"]["interval"]["low"] = 0.7
    stored.to_mapping()["populations"][0]["name"] = "B"
    assert stored.hash == before


# --------------------------------------------------------------------------------------- binding

SPILL = Spillover(("FL1-A", "FL2-A"), np.array([[1, 0.2], [0, 1]]), "$SPILLOVER")
ONE = row("A", "root", ["CD4"], above(0.1))


def asking(compensation: str, **more: Any) -> Template:
    return template(ONE, compensation=compensation, **more)


def refused(stored: Template, file: Any) -> str:
    with pytest.raises(FileError) as error:
        stored.bind(file)
    return str(error.value)


def test_a_file_is_bound_under_marker_names():
    bound = template(ONE).bind(sample({"FL1-A": [1, 2], "FSC-A": [3, 4]}, {"FL1-A": "CD4"}))
    assert bound.channels == {"CD4": 0}
    assert bound.compensation is None
    assert bound.linear("CD4", np.arange(2)).tolist() == [1, 2]


def test_only_what_a_gate_or_a_table_uses_must_be_there():
    stored = template(ONE, markers={"CD4": {}, "CD8": {}})
    assert stored.bind(named(["FL1-A"], ["CD4"])).channels == {"CD4": 0}
    report = {"primary": {"name": "a", "count": "A", "of": "root"}, "medians": {"CD8": ["A"]}}
    assert "no channel for CD8" in refused(
        template(ONE, markers={"CD4": {}, "CD8": {}}, report=report), named(["FL1-A"], ["CD4"])
    )


def test_compensation_from_the_file():
    file = sample({"FL1-A": [10.0], "FL2-A": [7.0]}, {"FL1-A": "CD8", "FL2-A": "CD4"}, spillover=SPILL)
    bound = asking("file").bind(file)
    assert bound.linear("CD4", np.arange(1)).tolist() == [5.0]
    assert template(ONE).bind(file).linear("CD4", np.arange(1)).tolist() == [7.0]


def test_a_table_goes_before_the_files_matrix():
    file = sample({"FL1-A": [10.0], "FL2-A": [7.0]}, {"FL2-A": "CD4"}, spillover=SPILL)
    table = Spillover(("FL1-A", "FL2-A"), np.array([[1, 0.5], [0, 1]]), "table.csv")
    assert asking("table.csv").compensated_by(table).bind(file).linear("CD4", np.arange(1)).tolist() == [2.0]


def test_a_decimal_comma_in_braces_is_one_mistake():
    gate = {"valley": {"keep": "above", "stored": 0, "54": None, "within": [0.44, 0.64]}}
    with pytest.raises(InputError) as error:
        template(row("A", "root", ["CD4"], gate))
    assert [finding.sentence for finding in error.value.findings] == [
        'populations[0].gate.valley.54: "54" is not known here; is 0,54 meant as 0.54?'
    ]


PANEL = {
    "FSC-A": [1.0],
    "FL1-A": [10.0],
    "FL2-A": [7.0],
    "BV510-A": [3.0],
    "APC-Cy7-A": [4.0],
    "FL5-A": [5.0],
}
STAINED = {"FL1-A": "CD8", "FL2-A": "CD4", "BV510-A": "LD", "APC-Cy7-A": "CD3"}


def looking_at(*markers: str, **more: Any) -> Template:
    rows = [row(f"P{place}", "root", [marker], above(0.1)) for place, marker in enumerate(markers)]
    return template(*rows, compensation="file", **more)


def said_of(stored: Template) -> list[str]:
    return [str(finding) for finding in stored.bind(sample(PANEL, STAINED, spillover=SPILL)).findings]


def test_a_matrix_of_every_gated_detector_needs_no_word():
    assert said_of(looking_at("CD4", "CD8")) == []


@pytest.mark.parametrize(
    ("markers", "outside"),
    [
        (["CD4", "LD"], "LD (BV510-A) is gated and not in it, and stays uncompensated"),
        (
            ["CD4", "LD", "CD3"],
            "LD (BV510-A), CD3 (APC-Cy7-A) are gated and not in it, and stay uncompensated",
        ),
    ],
)
def test_a_matrix_that_leaves_out_gated_detectors_is_flagged(markers, outside):
    assert said_of(looking_at(*markers)) == [
        f"F-SPILL-PARTIAL  the $SPILLOVER matrix names 2 detectors; {outside}"
    ]


def test_a_matrix_of_none_of_the_gated_detectors_is_refused():
    said = refused(looking_at("LD", "CD3"), sample(PANEL, STAINED, spillover=SPILL))
    assert said == (
        "E-SPILL  the $SPILLOVER matrix names 2 detectors and none of the gated ones: LD (BV510-A), CD3 (APC-Cy7-A); "
        "it belongs to another panel"
    )


def test_scatter_and_axes_in_the_files_own_units_need_no_matrix():
    scales = {"fluorescence": PLAIN, "FSC-A": PLAIN, "LD": "none"}
    assert said_of(looking_at("CD4", "FSC-A", "LD", scales=scales)) == []


def test_compensation_that_is_asked_for_and_not_there():
    said = refused(asking("file"), named(["FL1-A"], ["CD4"]))
    assert said.startswith(
        "E-SPILL  the template asks for the file's compensation and the file has no spillover matrix"
    )


def test_why_the_files_matrix_cannot_be_used_is_told():
    unread = Finding("N-SPILL", "$SPILLOVER has 3 names and 4 values")
    said = refused(asking("file"), named(["FL1-A"], ["CD4"], findings=(unread,)))
    assert "no spillover matrix that can be used: $SPILLOVER has 3 names and 4 values. Export it" in said


def test_compensating_twice_is_refused():
    said = refused(asking("file"), named(["Comp-FL1-A"], ["CD4"], spillover=SPILL))
    assert said.startswith("E-SPILL  Comp-FL1-A is compensated already")


def test_gain_that_nobody_decided_is_flagged():
    file = sample({"FL1-A": [10.0]}, {"FL1-A": "CD4"}, gain={"FL1-A": 2.0}, stated_gain={"FL1-A": 2.0})
    assert [finding.code for finding in template(ONE).bind(file).findings] == ["F-GAIN"]
    assert template(ONE, scaling={"gain": "apply"}).bind(file).findings == ()


def test_a_gain_behind_a_log_amplifier_is_not_applied_and_flagged_until_somebody_decides():
    said = {"decades": {"FL1-A": 4.0}, "stated_decades": {"FL1-A": 4.0}, "stated_gain": {"FL1-A": 8.0}}
    file = sample({"FL1-A": [10.0]}, {"FL1-A": "CD4"}, **said)
    (found,) = template(ONE).bind(file).findings
    assert found.code == "F-GAIN"
    assert "gain 8 behind a log amplifier, which was not divided out" in found.sentence
    assert template(ONE, scaling={"gain": "ignore"}).bind(file).findings == ()


@pytest.mark.parametrize("word", ["applied", " Custom "])
def test_a_file_written_by_r_is_flagged_where_the_template_compensates(word):
    keywords = {"TRANSFORMATION": word}
    file = named(["FL1-A"], ["CD4"], keywords=keywords, spillover=Spillover(("FL1-A",), np.eye(1), "SPILL"))
    assert "F-TRANSFORMED" in [finding.code for finding in asking("file").bind(file).findings]
    assert template(ONE).bind(named(["FL1-A"], ["CD4"], keywords=keywords)).findings == ()
    plain = replace(file, keywords={"TRANSFORMATION": "none"})
    assert "F-TRANSFORMED" not in [finding.code for finding in asking("file").bind(plain).findings]


def test_what_the_instrument_subtracted_is_not_compensated_again():
    matrix = Spillover(("FL1-A",), np.eye(1), "SPILL")
    file = named(
        ["FL1-A"],
        ["CD4"],
        spillover=matrix,
        subtracted="$DFCiTOj (2 of 6 not 0) says what the instrument subtracted",
    )
    assert "E-SPILL  $DFCiTOj (2 of 6 not 0)" in refused(asking("file"), file)
    found = asking("file").compensated_by(matrix).bind(file).findings
    assert "F-TRANSFORMED" in [finding.code for finding in found]
    assert template(ONE).bind(file).findings == ()


def test_an_amplifier_of_floats_without_meaning():
    file = sample({"FL1-A": [10.0]}, {"FL1-A": "CD4"}, stated_decades={"FL1-A": math.nan})
    for scaling in ({}, {"log_on_floats": "apply"}):
        assert "its $PnE is no pair of numbers" in refused(template(ONE, scaling=scaling), file)
    assert template(ONE, scaling={"log_on_floats": "ignore"}).bind(file).findings[0].code == "N-SCALING"


def test_log_amplifiers_of_floats():
    file = sample({"FL1-A": [10.0]}, {"FL1-A": "CD4"}, stated_decades={"FL1-A": 4.0})
    assert refused(template(ONE), file).startswith(
        "E-SCALING  CD4 (FL1-A) holds floating-point values and claims 4 log decades"
    )
    found = template(ONE, scaling={"log_on_floats": "ignore"}).bind(file).findings
    assert [finding.code for finding in found] == ["N-SCALING"]


def test_an_optional_marker_that_is_absent_has_no_channel():
    stored = template(row("A", "root", ["LD"], above(0.1)), markers={"LD": {"optional": True}})
    assert stored.bind(named(["FL1-A"])).channels == {}


# ------------------------------------------------------------------------- amplifiers of what is mixed in


MIXED = Spillover(("CD4-A", "CD8-A"), np.array([[1.0, 0.2], [0.1, 1.0]]), "SPILL")


def mixed(**said):
    """Bind CD4, into which CD8's detector is mixed, CD8 itself carrying no marker of the template."""
    stored = template(row("A", "root", ["CD4"], above(0.5)), compensation="file")
    channels = (Channel("CD4-A", "CD4"), Channel("CD8-A", "", **said))
    file = Sample("a.fcs", channels, np.ones((4, 2)), spillover=MIXED)
    return stored.bind(file)


def test_the_gain_of_a_detector_that_is_only_mixed_in_is_flagged():
    codes = [finding.code for finding in mixed(gain=0.05, stated_gain=0.05).findings]
    assert "F-GAIN" in codes
    assert "F-GAIN" not in [finding.code for finding in mixed().findings]


@pytest.mark.parametrize("said", [{"stated_gain": math.nan}, {"stated_decades": 4.0}])
def test_an_amplifier_that_leaves_values_open_refuses_the_file_wherever_it_is_mixed_in(said):
    with pytest.raises(FileError) as error:
        mixed(**said)
    assert error.value.code == "E-SCALING"
    assert "CD8-A" in str(error.value)


@pytest.mark.parametrize(
    "corners", [[[0, 0], [1, 1], [2, 2]], [[0.5, 0.5]] * 3, [[0, 1], [0, 2], [0, 3], [0, 1]]]
)
def test_a_polygon_without_area_is_refused(corners):
    found = mistakes(words(row("A", "root", ["CD4", "CD8"], {"polygon": {"vertices": corners}})))
    assert any("the corners lie on one line, so nothing lies inside" in said for said in found)
