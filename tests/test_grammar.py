"""The grammar follows the methods' signatures; its JSON schema tells right from wrong."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import jsonschema
import pytest
from builders import above, row, words
from ruamel.yaml import YAML

from tregflow.errors import InputError
from tregflow.gates import CARRIED, CLOUDS, CUTS, METHODS, is_cut, takes
from tregflow.grammar import SHAPES, GateWords, TemplateWords, schema
from tregflow.template import Template
from tregflow.transforms import TRANSFORMS

STORED = Path(__file__).parents[1] / "gating_strategies"
VALIDATOR = jsonschema.Draft202012Validator(schema())


def test_the_schema_beside_the_templates_is_this_one():
    written = (STORED / "template.schema.json").read_text(encoding="utf-8")
    assert written == json.dumps(schema(), indent=1, ensure_ascii=False) + "\n", (
        "run: tregflow schema > that file"
    )


def test_the_schema_is_a_schema():
    VALIDATOR.check_schema(schema())


@pytest.mark.parametrize("path", sorted(STORED.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_templates_follow_it_and_name_it(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=template.schema.json\n")
    VALIDATOR.validate(json.loads(json.dumps(YAML(typ="safe").load(text))))


@pytest.mark.parametrize(
    "gate",
    [
        {},
        {"interval": {"low": 1.0}, "members": "A"},
        {"interval": {"lo": 1.0}},
        {"interval": None},
        {"vally": {"keep": "above"}},
        {"valley": {}},
        {"valley": {"keep": "left"}},
        {"valley": {"keep": "above", "within": [0.1]}},
        {"valley": {"keep": "above", "smooth": "fine"}},
        {"valley": {"keep": "above", "smooth": 0}},
        {"quantile": {"keep": "above"}},
        {"quantile": {"keep": "above", "at": 1.0}},
        {"polygon": {"vertices": [[0, 0], [1, 1]]}},
        {"polygon": {"vertices": [[0, 0], [1, 1], [1]]}},
        {"and": []},
        {"and": [{"valley": {"keep": "above"}}]},
        {"not": [{"interval": {"low": 0.1}}]},
    ],
    ids=json.dumps,
)
def test_what_the_parser_refuses_the_schema_refuses(gate):
    content = words(row("A", "root", ["CD4"], gate))
    assert not VALIDATOR.is_valid(content)
    with pytest.raises(ValueError, match="validation error"):
        TemplateWords.model_validate(content)


@pytest.mark.parametrize(
    "change",
    [
        {"template": 2},
        {"name": ""},
        {"zork": 1},
        {"populations": []},
        {"scales": {"CD4": "nothing"}},
        {"scales": {"CD4": {"logicle": {"Q": 1}}}},
        {"scales": {"CD4": {"logicle": {}, "log": {}}}},
        {"scaling": {"gain": "maybe"}},
        {"markers": {"CD4": {"alias": ["x"]}}},
        {"limits": {"A": {"refuse_below": -1}}},
        {"report": {}},
        {"compensation": None},
    ],
    ids=str,
)
def test_the_rest_of_a_template_too(change):
    content = words(row("A", "root", ["CD4"], above(0.5)))
    assert VALIDATOR.is_valid(content)
    assert not VALIDATOR.is_valid({**content, **change})
    with pytest.raises(ValueError, match="validation error"):
        TemplateWords.model_validate({**content, **change})


@pytest.mark.parametrize("name", METHODS)
def test_a_methods_settings_are_the_keywords_of_its_function(name):
    described = schema()["$defs"][f"{name}_settings"]
    parameters = inspect.signature(METHODS[name]).parameters.values()
    own = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    shared = {"of", "least", "across", "tube", "stored"} | ({"keep", "within"} if name in CUTS else set())
    assert set(described["properties"]) == own | shared
    required = {
        parameter.name
        for parameter in parameters
        if parameter.name in own and parameter.default is parameter.empty
    }
    assert set(described.get("required", [])) == required | ({"keep"} if name in CUTS else set())
    assert described["description"] == (inspect.getdoc(METHODS[name]) or "").partition("\n")[0]


@pytest.mark.parametrize("name", [*(f"{method}_settings" for method in METHODS), *TRANSFORMS])
def test_every_setting_is_described(name):
    settings = schema()["$defs"][name]["properties"]
    assert [key for key, said in settings.items() if not said.get("description")] == []


def test_a_setting_is_described_in_the_words_of_its_docstring():
    described = schema()["$defs"]
    assert described["quantile_settings"]["properties"]["at"]["description"] == (
        "Fraction of the events below the cut, between 0 and 1."
    )
    assert described["Gate"]["properties"]["and"]["description"] == "Inside every part."


def test_no_title_is_the_name_of_a_class():
    assert '"title": "' not in json.dumps(schema())


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ("template", '"template" is missing; write template: 1 as the first line'),
        ("compensation", '"compensation" is missing; write compensation: file, none, or the path of a table'),
        ("high", 'populations[0].gate.rectangle: "high" is missing; write high: [null, null] where open'),
    ],
)
def test_what_to_write_where_a_key_is_missing(left_out, said):
    corners = {"low": [0.1, 0.1], "high": [0.9, 0.9]}
    content = words(row("A", "root", ["CD4", "CD8"], {"rectangle": corners}))
    (corners if left_out in corners else content).pop(left_out)
    with pytest.raises(InputError) as error:
        Template.from_mapping(content)
    assert said in [finding.sentence for finding in error.value.findings]


def test_a_gate_is_a_shape_or_a_method():
    assert set(schema()["$defs"]["Gate"]["properties"]) == SHAPES | set(METHODS) | {"mixture"}
    assert not SHAPES & set(METHODS)


def test_a_scale_is_a_transform():
    assert set(schema()["$defs"]["Scale"]["properties"]) == set(TRANSFORMS)


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_known_by_what_they_place(name):
    assert is_cut(name) == (name in CUTS) == (name not in {**CLOUDS, **CARRIED})
    assert takes(name, "within") == ("within" in inspect.signature(METHODS[name]).parameters)


@pytest.mark.parametrize("alias", ["and", "or", "not"])
def test_a_combination_says_the_word_that_was_written(alias):
    part = {"interval": {"low": 0.1}}
    kind, said = GateWords.model_validate({alias: part if alias == "not" else [part, "A"]}).spoken()
    assert kind == alias
    assert said is not None
