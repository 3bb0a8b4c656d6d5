"""A template's next version keeps what a person wrote: comments, order, style; and is there whole or not at all."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest
from studies import TEMPLATE

from tregflow.errors import InputError, OutputError
from tregflow.io import revisions
from tregflow.io.documents import load_template
from tregflow.io.revisions import revised, write_revision

SHIPPED = sorted((Path(__file__).parents[1] / "gating_strategies").glob("*.yaml"))

COMMENTED = """\
# Whole-line comment.
template: 1
name: small          # beside the name
markers:
  CD3:   {}
  FOXP3: {aliases: [Foxp3]}   # the dye is PE
compensation: none
scales: {fluorescence: {linear: {T: 1.0}}}

populations:
  # CD3 first.
  - {name: CD3,  parent: root, markers: [CD3],   gate: {interval: {low: 0.50}}}   # by eye
  - name: Treg
    parent: CD3
    markers: [FOXP3]
    gate: {valley: {keep: above, stored: 0.40, within: [0.30, 0.50]}}  # of March
report:
  primary: {name: "Treg of CD3", count: Treg, of: CD3}
# The end.
"""


@pytest.fixture
def old(tmp_path) -> Path:
    (tmp_path / "old.yaml").write_text(COMMENTED)
    return tmp_path / "old.yaml"


def content_of(path: Path) -> dict:
    return dict(load_template(path).to_mapping())


def differing(before: str, after: str) -> list[str]:
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line.startswith(("-", "+"))]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_template_with_nothing_changed_is_the_same_text(path):
    assert revised(path.read_text(), content_of(path)) == path.read_text()


def test_a_number_changes_one_line_and_nothing_else(old):
    content = content_of(old)
    content["populations"][1]["gate"]["valley"]["stored"] = 0.42
    assert differing(COMMENTED, revised(COMMENTED, content)) == [
        "-     gate: {valley: {keep: above, stored: 0.40, within: [0.30, 0.50]}}  # of March",
        "+     gate: {valley: {keep: above, stored: 0.42, within: [0.30, 0.50]}}  # of March",
    ]


def test_what_is_new_has_its_place(old):
    content = content_of(old)
    content["version"] = 2
    content["markers"]["CD3"] = {"fingerprint": {"detector": "APC-A", "voltage": 400}}
    content["history"] = [{"version": 2, "reason": "dim: a lot", "on": ["a", "b"], "moved": {"CD3": "cut"}}]
    assert differing(COMMENTED, revised(COMMENTED, content)) == [
        "+ version: 2",
        "-   CD3:   {}",
        "+   CD3:   {fingerprint: {detector: APC-A, voltage: 400}}",
        "+ history:",
        "+   - version: 2",
        "+     reason: 'dim: a lot'",
        "+     on: [a, b]",
        "+     moved:",
        "+       CD3: cut",
    ]
    assert revised(COMMENTED, content).splitlines()[2:4] == [
        "name: small          # beside the name",
        "version: 2",
    ]


def test_lists_may_grow_and_shrink_and_keys_go(old):
    content = content_of(old)
    content["populations"][0]["gate"] = {"polygon": {"vertices": [[0.1, 0.2], [0.3, 0.4], [0.5, 0.1]]}}
    content["markers"]["FOXP3"] = {"aliases": ["Foxp3", "FoxP3 (236A)"]}
    once = revised(COMMENTED, content)
    assert "gate: {polygon: {vertices: [[0.1, 0.2], [0.3, 0.4], [0.5, 0.1]]}}} # by eye" in once
    assert "FOXP3: {aliases: [Foxp3, FoxP3 (236A)]} # the dye is PE" in once
    assert _read(once) == content
    assert _read(revised(once, content_of(old))) == content_of(old)


def test_what_is_written_is_what_is_read(old, tmp_path):
    content = content_of(old)
    content["populations"][0]["gate"]["interval"]["low"] = 0.47
    template = write_revision(old, content, tmp_path / "new.yaml")
    assert template.hash == load_template(tmp_path / "new.yaml").hash != load_template(old).hash
    assert template.to_mapping() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.yaml", "old.yaml"]


def test_no_template_is_written_over(old):
    with pytest.raises(InputError, match=r"E-OUT .*old.yaml  exists already and is not overwritten"):
        write_revision(old, content_of(old), old)
    assert old.read_text() == COMMENTED


def test_one_that_is_wrong_leaves_nothing_behind(old, tmp_path):
    content = content_of(old)
    content["populations"][1]["gate"]["valley"]["within"] = [0.5, 0.3]
    with pytest.raises(
        InputError, match=r"new.yaml:16:\d+  populations\[1\].gate.valley.within: runs from 0.5 to 0.3"
    ):
        write_revision(old, content, tmp_path / "new.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["old.yaml"]


def test_one_that_says_something_else_is_not_published(old, tmp_path, monkeypatch):
    monkeypatch.setattr(revisions, "revised", lambda text, _: text)
    with pytest.raises(RuntimeError, match=r"new.yaml would not say what it should"):
        write_revision(old, {**content_of(old), "version": 2}, tmp_path / "new.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["old.yaml"]


def test_a_name_taken_meanwhile_is_left_alone(old, tmp_path, monkeypatch):
    def late(part: Path, name: str, content: dict) -> object:
        (tmp_path / "new.yaml").write_text("mine")
        return read_back(part, name, content)

    read_back = revisions._read_back
    monkeypatch.setattr(revisions, "_read_back", late)
    with pytest.raises(InputError, match="E-OUT"):
        write_revision(old, content_of(old), tmp_path / "new.yaml")
    assert (tmp_path / "new.yaml").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_disk_without_hard_links(old, tmp_path, monkeypatch):
    def unable(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", unable)
    assert write_revision(old, content_of(old), tmp_path / "new.yaml").name == "small"
    assert load_template(tmp_path / "new.yaml").name == "small"


def test_a_place_that_cannot_be_written_is_told(old):
    with pytest.raises(OutputError, match="E-WRITE"):
        write_revision(old, content_of(old), old / "below" / "new.yaml")


def test_a_block_of_lists_keeps_its_indentation():
    text = TEMPLATE.replace("  - {", "- {")
    assert differing(text, revised(text, {**dict(_read(text)), "version": 3})) == ["+ version: 3"]


def _read(text: str) -> dict:
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(text)
