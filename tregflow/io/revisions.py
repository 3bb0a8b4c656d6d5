"""A template written as its next version: what did not change stays as a person wrote it."""

from __future__ import annotations

import io
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.util import load_yaml_guess_indent

from tregflow.errors import Finding, InputError
from tregflow.io.documents import load_template
from tregflow.io.files import PART, unwritten
from tregflow.template import Template

ENDLESS_LINE = 10_000
"""Columns at which a line would be broken: none is."""

KEY = re.compile(r" *[^\s:#'\"\[{-][^:#'\"\[{]*: +(?=\S)")
"""The key that a line begins with, and the blanks behind it."""

AFTER = {"version": "name"}
"""Keys that are not put at the end of the document where they are new, and the key they follow."""


def write_revision(old: Path, content: Mapping[str, Any], new: Path) -> Template:
    """Write a new version of a template beside what it was made from.

    Parameters
    ----------
    old : Path
        The template as it is; left alone.
    content : mapping
        What the new version says.
    new : Path
        Where it goes; must not exist.

    Returns
    -------
    Template
        As it was read back.

    Raises
    ------
    InputError
        ``E-OUT``: the file exists. What reading the new version raises: nothing is left behind then.
    OutputError
        ``E-WRITE``.
    """
    refuse_existing(new)
    part = new.with_name(f".{new.stem[:40]}.{secrets.token_hex(4)}{PART}")
    try:
        new.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            file.write(revised(_text(old), content).encode())
            file.flush()
            os.fsync(file.fileno())
        template = _read_back(part, new.name, content)
        _publish(part, new)
    except OSError as error:
        raise unwritten(new, error) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return template


def refuse_existing(path: Path) -> None:
    """Refuse to write over a template.

    Raises
    ------
    InputError
        ``E-OUT``.
    """
    if os.path.lexists(path):
        told = "exists already and is not overwritten, because results may carry its hash; name another with --out"
        raise InputError(Finding("E-OUT", told, str(path)))


def revised(text: str, content: Mapping[str, Any]) -> str:
    """Return the text of a document with other values.

    Parameters
    ----------
    text : str
        YAML without anchors, tags and directives.
    content : mapping
        What it shall say.

    Returns
    -------
    str
        Comments, the order of keys and the style of every list and mapping are kept; so are the blanks in lines
        where nothing changed. What is new is written a line per key.
    """
    plain, document = YAML(typ="safe", pure=True), YAML(typ="rt")
    _, indent, offset = load_yaml_guess_indent(text)
    document.width, document.preserve_quotes = ENDLESS_LINE, True
    document.brace_single_entry_mapping_in_flow_sequence = True
    document.indent(mapping=2, sequence=indent or 4, offset=2 if offset is None else offset)
    tree = document.load(text)
    _merge(tree, plain.load(text), content)
    written = io.StringIO()
    document.dump(tree, written)
    return "".join(_spaced(written.getvalue(), text))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig")


def _read_back(part: Path, name: str, content: Mapping[str, Any]) -> Template:
    """Return what was written as anyone will read it; a fault of ours if it says something else."""
    try:
        template = load_template(part)
    except InputError as error:
        raise InputError(Finding(one.code, one.sentence, one.where.replace(part.name, name))
                         for one in error.findings) from None  # fmt: skip
    if template.to_mapping() != content:
        raise RuntimeError(f"{name} would not say what it should")
    return template


def _publish(part: Path, new: Path) -> None:
    """Give a finished file its name, unless somebody took it meanwhile."""
    try:
        os.link(part, new)
    except FileExistsError:
        refuse_existing(new)
    except OSError:  # a file system without hard links
        refuse_existing(new)
        part.replace(new)


# --------------------------------------------------------------------------------------- values


def _merge(tree: Any, old: Any, new: Any) -> None:
    """Write what differs into a document, in place; `old` says what its nodes mean."""
    if isinstance(new, Mapping):
        _merge_mapping(tree, old, new)
    else:
        for place, value in enumerate(new):
            if place >= len(tree):
                tree.append(_node(value))
            elif not _is_same(old[place], value):
                _merge_value(tree, place, old[place], value)
        del tree[len(new) :]


def _merge_mapping(tree: Any, old: Mapping[Any, Any], new: Mapping[str, Any]) -> None:
    keys = {str(key): key for key in tree}
    if not tree:  # it was written {}
        tree.fa.set_flow_style()
    for key in set(keys) - set(new):
        del tree[keys[key]]
    for key, value in new.items():
        if key not in keys:
            places = {str(known): place for place, known in enumerate(tree)}
            tree.insert(places.get(AFTER.get(key, ""), len(tree)) + 1, key, _node(value))
        elif not _is_same(old[keys[key]], value):
            _merge_value(tree, keys[key], old[keys[key]], value)


def _merge_value(tree: Any, key: Any, old: Any, new: Any) -> None:
    if type(old) is type(new) and isinstance(old, dict | list):
        _merge(tree[key], old, new)
    else:
        tree[key] = _styled(_node(new), tree[key])


def _is_same(old: Any, new: Any) -> bool:
    return type(old) is type(new) and bool(old == new)


def _styled(node: Any, like: Any) -> Any:
    """Return a new list or mapping in one line, where what it replaces was."""
    if (
        isinstance(like, CommentedMap | CommentedSeq)
        and isinstance(node, CommentedMap | CommentedSeq)
        and like.fa.flow_style()
    ):
        node.fa.set_flow_style()
    return node


def _node(value: Any) -> Any:
    """Return a new value as a document holds it: a line per key, lists of plain values in one line."""
    if isinstance(value, Mapping):
        return CommentedMap((key, _node(one)) for key, one in value.items())
    if not isinstance(value, list | tuple):
        return value
    node = CommentedSeq(map(_node, value))
    if not any(isinstance(one, Mapping) for one in value):
        node.fa.set_flow_style()
    return node


# --------------------------------------------------------------------------------------- blanks


def _spaced(text: str, like: str) -> Iterator[str]:
    """Yield lines with the blanks that align them in another text: inside the same line, or behind the same key."""
    lines = like.splitlines(keepends=True)
    same = {_squeezed(line): line for line in lines}
    keys = {_squeezed(found[0]): found[0] for line in lines if (found := KEY.match(line))}
    for line in text.splitlines(keepends=True):
        found = KEY.match(line)
        behind = found and keys.get(_squeezed(found[0]))
        yield same.get(_squeezed(line)) or (behind + line[len(found[0]) :] if found and behind else line)


def _squeezed(line: str) -> tuple[str, str]:
    """Return a line's indentation, and the rest without what blanks align."""
    bare = line.lstrip(" ")
    return line[: len(line) - len(bare)], re.sub(r" +", " ", bare).rstrip()
