"""YAML is read as data, with a place for every value, and every mistake of the writing is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tregflow import load_template
from tregflow.errors import InputError
from tregflow.io.documents import read_yaml
from tregflow.sample import Spillover

STORED = Path(__file__).parents[2] / "gating_strategies"

GOOD = """\
template: 1
name: made
markers: {CD4: {}}
compensation: none
scales: {fluorescence: {logicle: {}}}
populations:
  - {name: A, parent: root, markers: [CD4], gate: {interval: {low: 0.5}}}
report: {primary: {name: share, count: A, of: root}}
"""


@pytest.fixture
def write(tmp_path):
    def written(text: str | bytes, name: str = "t.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def refused(path: Path, read=read_yaml) -> list[str]:
    with pytest.raises(InputError) as error:
        read(path)
    assert error.value.status == 2
    return str(error.value).splitlines()


def noted(path: Path) -> list[str]:
    return [str(finding) for finding in read_yaml(path).findings]


def value(write, text: str):
    return read_yaml(write(f"a: {text}\n")).content["a"]


# ------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize("path", sorted(STORED.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_templates_are_read_as_another_reader_does(path):
    document = read_yaml(path)
    assert document.content == YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    assert document.findings == ()
    assert load_template(path).to_mapping() == document.content


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("NO", "NO"),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("0123", "0123"),
        ("00.5", "00.5"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("2021-03-15", "2021-03-15"),
        ("12e", "12e"),
        ("CD4+", "CD4+"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("|\n  12", "12\n"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("1e3", 1000.0),
        ("1.10", 1.1),
        (".5", 0.5),
        ("-0.5", -0.5),
        ("1.", 1.0),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
    ],
)
def test_a_value_is_what_it_looks_like(write, written, read):
    found = value(write, written)
    assert found == read
    assert type(found) is type(read)


def test_not_a_number(write):
    assert np.isnan(value(write, ".nan"))


def test_a_number_too_long_for_a_number_is_a_text(write):
    assert value(write, "9" * 5000) == "9" * 5000


@pytest.mark.parametrize("key", ["NO", "1", "0123", "1:30", "true", "null", "1.5"])
def test_keys_are_texts_as_written(write, key):
    assert read_yaml(write(f"{{{key}: a}}\n")).content == {key: "a"}


def test_a_byte_order_mark_is_no_text(write):
    assert read_yaml(write(b"\xef\xbb\xbfa: 1\n")).content == {"a": 1}


def test_unicode_is_kept(write):
    assert value(write, "Régulatrice µ") == "Régulatrice µ"


def test_every_value_and_key_has_its_place(write):
    places = read_yaml(write("# comment\na:\n  - x\n  - {b: [1, 2]}\n")).places
    assert places.of(("a",), key=True) == "t.yaml:2:1"
    assert places.of(("a", 0)) == "t.yaml:3:5"
    assert places.of(("a", 1, "b"), key=True) == "t.yaml:4:6"
    assert places.of(("a", 1, "b", 1)) == "t.yaml:4:13"


# ----------------------------------------------------------------------------------------- mistakes


def test_a_key_that_is_there_twice_does_not_hide_the_rest(write):
    document = read_yaml(write("a: 1\nb: {c: 1, c: {d: 2}}\na: 3\n"))
    assert document.content == {"a": 1, "b": {"c": 1}}
    assert [str(finding) for finding in document.findings] == [
        'E-YAML  t.yaml:2:11  b.c: "c" is written twice; a key has one value',
        'E-YAML  t.yaml:3:1  a: "a" is written twice; a key has one value',
    ]


def test_a_key_twice_is_said_together_with_a_name_that_leads_nowhere(write):
    text = GOOD.replace("parent: root", "parent: rot").replace("name: made", "name: made\nname: other")
    assert refused(write(text), load_template) == [
        'E-YAML  t.yaml:3:1  name: "name" is written twice; a key has one value',
        'E-TEMPLATE  t.yaml:8:23  populations[0].parent: "rot" is not defined; did you mean "root"?',
    ]


@pytest.mark.parametrize(
    ("text", "where", "sentence"),
    [
        ("a: &x 1\nb: 2\n", "1:4", "anchors"),
        ("a: &x [1]\nb: *x\n", "1:4", "anchors"),
        ("a: 1\nb: *x\n", "2:4", "anchors (&) and aliases (*) are not read"),
        ("a: !!python/object:os.system x\n", "1:4", "a tag (!) is not read; a template is data"),
        ("a: !!str 12\n", "1:4", "a tag"),
        ("a: !mine {b: 1}\n", "1:4", "a tag"),
        ("<<: {a: 1}\nb: 1\n", "1:1", "a merge (<<) is not read"),
        ("? [a, b]\n: 1\n", "1:3", "a key is a text"),
        ("%YAML 1.1\n---\na: NO\n", "2:1", "directives (%) are not read"),
        ("a: 1\n---\nb: 2\n", "3:1", "a second document begins here"),
    ],
)
def test_what_is_not_data_is_not_read(write, text, where, sentence):
    found = noted(write(text))
    assert found
    assert found[0].startswith(f"E-YAML  t.yaml:{where}  {sentence}")


def test_an_alias_bomb_costs_nothing(write):
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40))]
    assert len(noted(write("\n".join(lines)))) > 39


def test_the_list_goes_on_after_an_error_of_syntax(write):
    (said,) = refused(write("a: [1, 2\nb: 3\n"))
    assert said.startswith("E-YAML  t.yaml:2:")


@pytest.mark.parametrize(
    "text", ["a: 'x\n", "a: b: c\n", "\ta: 1\n", "a: }\n", "- a\nb: 1\n", "a: %x\n", "@\n"]
)
def test_what_is_not_yaml_has_a_place(write, text):
    assert all(said.startswith("E-YAML  t.yaml:") for said in refused(write(text)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb\nc: 2\n", "E-YAML  t.yaml:3:1  a colon is missing before this place"),
        ("a:\n\tb: 1\n", "E-YAML  t.yaml:2:1  a tab; indent with blanks"),
        ("FCS3.1    ", "E-YAML  t.yaml  is an FCS file, not a template"),
        (
            "file,subject\na.fcs,1\n",
            "E-YAML  t.yaml  is empty or is not a list of keys with values; is it the sample sheet? --template is the YAML",
        ),
        (
            "file;channel:CD25\na.fcs;FL1-A\n",
            "E-YAML  t.yaml  is empty or is not a list of keys with values; is it the sample sheet? --template is the YAML",
        ),
        ("just words\n", "E-YAML  t.yaml  is empty or is not a list of keys with values"),
        ("[a, b]\n", "E-YAML  t.yaml  is empty or is not a list of keys with values"),
    ],
)
def test_what_is_no_template_is_said_in_words(write, text, said):
    assert refused(write(text)) == [said]


@pytest.mark.parametrize("text", ["a: \x01\n", "a: \x00b\n", "\x1b[0m"])
def test_control_characters_are_refused(write, text):
    assert refused(write(text))[0].startswith("E-YAML  t.yaml  ")


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# only a comment\n", "- a\n- b\n", "text\n", "12\n", "---\n...\n"]
)
def test_what_holds_no_keys_is_refused(write, text):
    assert refused(write(text)) == ["E-YAML  t.yaml  is empty or is not a list of keys with values"]


def test_what_is_not_utf8_is_refused(write):
    assert refused(write(b"a: caf\xe9\n")) == [
        "E-YAML  t.yaml  is not UTF-8 text at byte 6; save it as UTF-8"
    ]


def test_a_megabyte_is_enough(write):
    said = refused(write(b"a: 1\n" + b"#" * 1_000_000))
    assert said == ["E-YAML  t.yaml  has 1,000,005 bytes; a template has at most 1,000,000"]


@pytest.mark.parametrize("text", ["a: " + "[" * 20_000, "a: " + "{b: " * 5_000, "- " * 5_000 + "a"])
def test_deep_nesting_is_refused_and_not_walked(write, text):
    (said,) = refused(write(text))
    assert said.startswith("E-YAML  t.yaml:1:")
    assert said.endswith("is nested deeper than 50 levels")


def test_fifty_levels_are_read(write):
    assert read_yaml(write("a: " + "[" * 49 + "]" * 49)).findings == ()


def test_a_file_that_is_not_there(tmp_path):
    assert refused(tmp_path / "no.yaml") == [f"E-MISSING  no.yaml  there is no such file in {tmp_path}"]


def test_a_folder_is_not_a_file(tmp_path):
    assert refused(tmp_path)[0].startswith("E-UNREADABLE  ")


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("aé:#-[]{}&*!|>'\"%@ \n\t,0e.", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab:1N", min_size=1, max_size=3), inner, max_size=3),
    max_leaves=8,
))  # fmt: skip
def test_what_is_written_as_json_comes_back(tmp_path_factory, content):
    """JSON is YAML: whatever is quoted and numbered by another writer is read alike."""
    import json

    path = tmp_path_factory.mktemp("json") / "t.yaml"
    path.write_text(json.dumps({"a": content}), encoding="utf-8")
    document = read_yaml(path)
    assert document.content == {"a": content}
    assert document.findings == ()


# ------------------------------------------------------------------------------------ load_template


def test_a_template_is_loaded(write):
    assert load_template(str(write(GOOD))).name == "made"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "name: made",
            "name: 1e3",
            "E-TEMPLATE  t.yaml:2:7  name: expected a text, got 1000.0; put it in quotes",
        ),
        ("name: made", "name: 012 3", ""),
        ("name: made", "name: NO", ""),
        ("name: made", "name: 1:30", ""),
        ("name: made", "name: 12", "E-TEMPLATE  t.yaml:2:7  name: expected a text, got 12; put it in quotes"),
        (
            "low: 0.5",
            "low: .inf",
            "E-TEMPLATE  t.yaml:7:68  populations[0].gate.interval.low: must be a finite number",
        ),
        (
            "low: 0.5",
            "low: 0,5",
            'E-TEMPLATE  t.yaml:7:70  populations[0].gate.interval.5: "5" is not known here',
        ),
    ],
)
def test_words_that_other_readers_take_for_something_else(write, old, new, sentence):
    path = write(GOOD.replace(old, new))
    if sentence:
        assert any(said.startswith(sentence) for said in refused(path, load_template))
    else:
        assert load_template(path).name == new.partition(": ")[2]


def test_a_compensation_table_is_read_from_beside_the_template(write):
    (path := write("FL1-A,FL2-A\n1,0.1\n0,1\n", "spill.csv")).rename(path.with_name("matrix.csv"))
    template = load_template(write(GOOD.replace("compensation: none", "compensation: matrix.csv")))
    assert isinstance(template.compensation, Spillover)
    assert template.compensation.names == ("FL1-A", "FL2-A")
    assert template.compensation.matrix.tolist() == [[1, 0.1], [0, 1]]


def test_the_hash_knows_the_tables_content(write):
    path = write(GOOD.replace("compensation: none", "compensation: spill.csv"))
    write("FL1-A,FL2-A\n1,0.1\n0,1\n", "spill.csv")
    first = load_template(path).hash
    write("FL1-A,FL2-A\n1,0.2\n0,1\n", "spill.csv")
    assert load_template(path).hash != first


def test_compensation_that_is_no_table_is_said_with_its_place(write):
    (said,) = refused(write(GOOD.replace("compensation: none", "compensation: flie")), load_template)
    assert said == (
        'E-TEMPLATE  t.yaml:4:15  compensation: "flie" is neither file nor none, and there is no such table beside '
        't.yaml; did you mean "file"?'
    )
