"""A mistake is said with its place, what was seen and the nearest right name."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from tregflow.document import Document, Mistakes, Places, Strict, checked, fits, spelled, unknown_keys
from tregflow.errors import Finding, InputError


class Inner(Strict):
    strangers = {"older": ("E-UNBUILT", "older words are not read")}  # noqa: RUF012

    size: Annotated[int, Field(ge=1)] = 1
    sort: Literal["round", "flat"] = "round"


class Edges(Strict):
    absent = {"low": "write low: null where open"}  # noqa: RUF012

    low: float | None


class Outer(Strict):
    name: Annotated[str, Field(min_length=1)]
    ratio: float = 0.5
    share: Annotated[float, Field(lt=1)] = 0.5
    window: tuple[float, float] | None = None
    edges: Edges | None = None
    is_open: bool = False
    inner: Inner | None = None
    many: Annotated[list[Inner], Field(max_length=2)] = Field(default_factory=list)
    named: dict[str, Inner] = Field(default_factory=dict)


def said(content) -> list[str]:
    mistakes = Mistakes.of(Document(content), "E-TEMPLATE")
    assert (checked(Outer, Document(content), mistakes) is None) == bool(mistakes.found)
    assert fits(Outer, content) == (not mistakes.found)
    return [finding.sentence for finding in mistakes.found]


def test_what_is_right_comes_back():
    assert checked(Outer, Document({"name": "a", "ratio": 1}), Mistakes("E-TEMPLATE", Places())).ratio == 1.0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, '"name" is missing'),
        ({"name": ""}, 'name: must not be empty, got ""'),
        ({"name": 12}, "name: expected a text, got 12; put it in quotes"),
        ({"name": True}, "name: expected a text, got true; put it in quotes"),
        ({"name": None}, "name: expected a text, got nothing"),
        ({"name": ["a"]}, "name: expected a text, got ['a']"),
        ({"name": "a", "ratio": "x"}, 'ratio: expected a number, got "x"'),
        ({"name": "a", "ratio": True}, "ratio: expected a number, got true"),
        (
            {"name": "a", "ratio": float("nan")},
            "ratio: must be a finite number (write null for an open edge), got nan",
        ),
        ({"name": "a", "is_open": "yes"}, 'is_open: expected true or false, got "yes"'),
        ({"name": "a", "is_open": 1}, "is_open: expected true or false, got 1"),
        ({"name": "a", "many": {}}, "many: expected a list, got {}"),
        ({"name": "a", "many": [{}] * 3}, "many: takes at most 2 values, got [{}, {}, {}]"),
        ({"name": "a", "inner": []}, "inner: expected a mapping, got []"),
        ({"name": "a", "inner": {"size": 0}}, "inner.size: must be at least 1, got 0"),
        ({"name": "a", "inner": {"size": 1.5}}, "inner.size: expected a whole number, got 1.5"),
        (
            {"name": "a", "inner": {"sort": "rond"}},
            "inner.sort: expected 'round' or 'flat', got \"rond\"; did you mean \"round\"?",
        ),
        (
            {"name": "a", "many": [{}, {"sise": 2}]},
            'many[1].sise: "sise" is not known here; did you mean "size"?',
        ),
        (
            {"name": "a", "named": {"size": {"x": 2}}},
            'named.size.x: "x" is not known here; known are size, sort',
        ),
        ({"name": "a", "named": {"b": {"older": 2}}}, "named.b.older: older words are not read"),
        ({"name": "a", "rato": 1}, 'rato: "rato" is not known here; did you mean "ratio"?'),
        (
            {"name": "a", "ratio": 0, "54": None},
            '54: "54" is not known here; is 0,54 meant as 0.54?',
        ),
        ({"name": "a", "ratio": "0,54"}, 'ratio: expected a number, got "0,54"; write 0.54'),
        ({"name": "a", "window": 0.44}, "window: expected [low, high], got 0.44"),
        ({"name": "a", "share": 99.5}, "share: must be below 1, got 99.5; it is a fraction, 99.5 % is 0.995"),
        ({"name": "a", "share": 1}, "share: must be below 1, got 1"),
        ({"name": "a", "share": 250}, "share: must be below 1, got 250"),
        ({"name": "a", "edges": {}}, 'edges: "low" is missing; write low: null where open'),
    ],
)
def test_every_kind_of_mistake_is_a_sentence(content, sentence):
    assert said(content) == [sentence]


def test_a_long_value_is_cut():
    (sentence,) = said({"name": "a", "ratio": "x" * 500})
    assert sentence.endswith("…")
    assert len(sentence) < 100


def test_all_mistakes_are_found():
    assert len(said({"ratio": "x", "many": [{"sise": 1}, {"size": 0}], "b": 1})) == 5


def test_keys_that_are_not_known_are_found_by_path():
    content = {"name": "a", "b": 1, "many": [{}, {"sise": 1}], "named": {"q": {"older": 1}}}
    assert unknown_keys(Outer, content) == [("many", 1, "sise"), ("named", "q", "older"), ("b",)]
    assert unknown_keys(Outer, {"name": "a"}) == []


def test_a_key_that_is_not_built_yet_has_its_own_code():
    mistakes = Mistakes("E-TEMPLATE", Places())
    checked(Outer, Document({"name": "a", "inner": {"older": 1}}), mistakes)
    assert [finding.code for finding in mistakes.found] == ["E-UNBUILT"]


# -------------------------------------------------------------------------------------------- places

PLACES = Places("t.yaml", {("a",): "1:4", ("a", 0): "2:7"}, {("a",): "1:1"})


@pytest.mark.parametrize(
    ("path", "key", "where"),
    [
        (("a",), False, "t.yaml:1:4"),
        (("a",), True, "t.yaml:1:1"),
        (("a", 0), False, "t.yaml:2:7"),
        (("a", 0, "b", 3), False, "t.yaml:2:7"),
        (("b",), False, "t.yaml"),
        ((), False, "t.yaml"),
    ],
)
def test_a_place_is_that_of_the_nearest_thing_around(path, key, where):
    assert PLACES.of(path, key=key) == where


def test_without_marks_there_is_no_place():
    assert Places().of(("a", 1)) == ""


@pytest.mark.parametrize(
    ("path", "words"), [((), ""), (("a",), "a"), (("a", 1, "b"), "a[1].b"), ((1,), "[1]")]
)
def test_paths_are_written_as_people_write_them(path, words):
    assert spelled(path) == words


def test_mistakes_come_in_the_order_of_the_document_and_once():
    mistakes = Mistakes("E-TEMPLATE", Places("t.yaml", {("a",): "12:4", ("b",): "2:31", ("c",): "2:4"}))
    for name in ("a", "b", "c", "b"):
        mistakes.add((name,), "is wrong")
    with pytest.raises(InputError) as error:
        mistakes.raise_any()
    assert [finding.where for finding in error.value.findings] == ["t.yaml:2:4", "t.yaml:2:31", "t.yaml:12:4"]


def test_what_reading_found_is_said_with_the_rest():
    twice = Finding("E-YAML", "twice", "t.yaml:1:1")
    mistakes = Mistakes.of(Document({}, PLACES, (twice,)), "E-TEMPLATE")
    mistakes.add(("a", 0), "is wrong")
    with pytest.raises(InputError) as error:
        mistakes.raise_any()
    assert [finding.code for finding in error.value.findings] == ["E-YAML", "E-TEMPLATE"]


def test_no_mistakes_no_error():
    Mistakes("E-TEMPLATE", Places()).raise_any()
