"""YAML in, as plain values with the line and column of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, StreamMark
from ruamel.yaml.events import AliasEvent, Event, MappingStartEvent, NodeEvent, SequenceStartEvent

from tregflow.document import Document, Places, Trail
from tregflow.errors import Finding, InputError
from tregflow.template import Template

LARGEST, DEEPEST = 1_000_000, 50


def load_template(path: str | Path) -> Template:
    """Read a stored template.

    Parameters
    ----------
    path : str or Path
        A YAML file; a compensation table that it names is relative to it.

    Returns
    -------
    Template

    Raises
    ------
    InputError
        ``E-YAML`` or ``E-TEMPLATE``, with every mistake and its line and column.
    """
    from tregflow.io.tables import read_spillover

    path = Path(path)
    template = Template.from_document(read_yaml(path))
    if not isinstance(template.compensation, str) or template.compensation in {"file", "none"}:
        return template
    return template.compensated_by(read_spillover(path.parent / template.compensation))


def read_yaml(path: Path) -> Document:
    """Read one YAML file as plain values.

    Parameters
    ----------
    path : Path
        UTF-8, at most 1 MB, without tags, anchors or aliases.

    Returns
    -------
    Document

    Raises
    ------
    InputError
        ``E-YAML``.
    """
    text = _text(path)
    try:
        _refuse_unsafe(text, path.name)
        loaded = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        raise _refused(path.name, error.problem_mark, _told(error)) from None
    if not isinstance(loaded, CommentedMap):
        raise InputError(Finding("E-YAML", "is empty or is not a list of keys with values", path.name))
    places: dict[Trail, str] = {}
    keys: dict[Trail, str] = {}
    return Document(_plain(loaded, (), places, keys), Places(path.name, places, keys))


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(Finding("E-MISSING", f"there is no such file in {path.parent.resolve()}", path.name)) from None
    except OSError as error:
        raise InputError(Finding("E-UNREADABLE", str(error.strerror), path.name)) from None
    if len(content) > LARGEST:
        raise InputError(Finding("E-YAML", f"has {len(content):,} bytes; a template has at most {LARGEST:,}", path.name))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(Finding("E-YAML", f"is not UTF-8 text at byte {error.start}", path.name)) from None


def _refuse_unsafe(text: str, name: str) -> None:
    depth = 0
    for event in YAML(typ="rt").parse(text):
        mark = event.start_mark
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise _refused(name, mark, "anchors (&) and aliases (*) are not read; write the value out")
        if _is_tagged(event):
            raise _refused(name, mark, "a tag (!) is not read; a template is data")
        depth += isinstance(event, (MappingStartEvent, SequenceStartEvent))
        depth -= type(event).__name__ in {"MappingEndEvent", "SequenceEndEvent"}
        if depth > DEEPEST:
            raise _refused(name, mark, f"is nested deeper than {DEEPEST} levels")


def _is_tagged(event: Event) -> bool:
    return isinstance(event, NodeEvent) and getattr(event, "tag", None) is not None


def _told(error: MarkedYAMLError) -> str:
    if "duplicate key" in str(error.problem):
        key = str(error.problem).split('"')[1]
        return f'"{key}" is written twice here; a key has one value'
    return f"{error.problem or error.context}"


def _refused(name: str, mark: StreamMark | None, sentence: str) -> InputError:
    where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
    return InputError(Finding("E-YAML", sentence, where))


def _plain(node: Any, path: Trail, places: dict[Trail, str], keys: dict[Trail, str]) -> Any:
    """Return the node as plain values, noting where each value and key stands."""
    if isinstance(node, (CommentedMap, CommentedSeq)):
        for part, key_mark, value_mark in _parts(node):
            places[(*path, part)] = f"{value_mark[0] + 1}:{value_mark[1] + 1}"
            keys[(*path, part)] = f"{key_mark[0] + 1}:{key_mark[1] + 1}"
    if isinstance(node, CommentedMap):
        return {key: _plain(value, (*path, key), places, keys) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value, (*path, place), places, keys) for place, value in enumerate(node)]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _parts(node: CommentedMap | CommentedSeq) -> Iterator[tuple[Any, tuple[int, int], tuple[int, int]]]:
    if isinstance(node, CommentedMap):
        for key in node:
            yield key, node.lc.key(key), node.lc.value(key)
    else:
        for place in range(len(node)):
            yield place, node.lc.item(place), node.lc.item(place)
