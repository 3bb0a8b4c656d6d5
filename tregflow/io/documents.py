"""YAML in, as plain values with the line and column of each.

Only data is read: mappings, lists and values. A value is what it looks like and nothing else:
``NO``, ``1:30`` and ``0123`` are texts, keys are always texts, and tags, anchors, aliases and
directives are refused. What is wrong is gathered, so that a key that is there twice does not hide
a population that is not there at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StreamMark, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from tregflow.document import Document, Places, Trail, spelled
from tregflow.errors import Finding, InputError, nearest
from tregflow.template import Template

LARGEST, DEEPEST = 1_000_000, 50
"""Bytes and levels of a document."""

WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
WORDS = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
}
PROBLEMS = {
    "could not find expected ':'": "a colon is missing before this place",
    "'\\t' that cannot start any token": "a tab; indent with blanks",
}
"""What to say where YAML cannot be split, by what its reader says."""

ENDLESS = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


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
        ``E-YAML``, ``E-TEMPLATE`` or ``E-UNBUILT``, with every mistake and its line and column;
        what reading the compensation table raises.
    """
    from tregflow.io.tables import read_spillover

    path = Path(path)
    document = read_yaml(path)
    template = Template.from_document(document)
    asked = template.compensation
    if not isinstance(asked, str) or asked in {"file", "none"}:
        return template
    if not (path.parent / asked).is_file():
        said = (
            f'compensation: "{asked}" is neither file nor none, and there is no such table beside {path.name}'
        )
        where = document.places.of(("compensation",))
        raise InputError(Finding("E-TEMPLATE", said + nearest(asked, ["file", "none"]), where))
    return template.compensated_by(read_spillover(path.parent / asked))


def read_yaml(path: Path) -> Document:
    """Read one YAML file as plain values.

    Parameters
    ----------
    path : Path
        UTF-8, at most 1 MB, nested at most 50 levels deep, without tags, anchors, aliases or directives.

    Returns
    -------
    Document
        Its findings are the mistakes that leave the rest readable.

    Raises
    ------
    InputError
        ``E-YAML``: what cannot be read any further. ``E-MISSING``, ``E-UNREADABLE``.
    """
    reader, text = _Reader(path.name), _text(path)
    hint = "; is it the sample sheet? --template is the YAML" if _is_tabular(text) else ""
    try:
        content = reader.document(YAML(typ="rt").parse(text))
    except MarkedYAMLError as error:
        reader.note(error.problem_mark, _in_words(f"{error.problem or error.context}") + hint)
    except YAMLError as error:
        reader.note(None, str(error).partition("\n")[0] + hint)
    else:
        if isinstance(content, dict):
            return Document(content, Places(path.name, reader.values, reader.keys), tuple(reader.found))
        reader.note(None, f"is empty or is not a list of keys with values{hint}")
    raise InputError(reader.found)


def _in_words(problem: str) -> str:
    """Return what a reader of YAML found, as a person would say it."""
    return next((words for sign, words in PROBLEMS.items() if sign in problem), problem)


def _is_tabular(text: str) -> bool:
    """Whether a text begins as a table does, not as keys with values."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    is_listed = first.count(",") or first.count(";")
    return bool(is_listed) and not re.search(r":(\s|$)", first) and first[0] not in "#%[{-&*!"


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        said = f"there is no such file in {path.parent.resolve()}"
        raise InputError(Finding("E-MISSING", said, path.name)) from None
    except OSError as error:
        raise InputError(Finding("E-UNREADABLE", str(error.strerror), path.name)) from None
    if content.startswith(b"FCS"):
        raise InputError(Finding("E-YAML", "is an FCS file, not a template", path.name))
    if len(content) > LARGEST:
        said = f"has {len(content):,} bytes; a template has at most {LARGEST:,}"
        raise InputError(Finding("E-YAML", said, path.name))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        said = f"is not UTF-8 text at byte {error.start}; save it as UTF-8"
        raise InputError(Finding("E-YAML", said, path.name)) from None


@dataclass(slots=True)
class _Reader:
    """Turns the events of one document into plain values."""

    name: str
    found: list[Finding] = field(default_factory=list)
    values: dict[Trail, str] = field(default_factory=dict)
    keys: dict[Trail, str] = field(default_factory=dict)

    def note(self, mark: StreamMark | None, sentence: str) -> None:
        where = f"{self.name}:{_spot(mark)}" if mark else self.name
        self.found.append(Finding("E-YAML", sentence, where))

    def document(self, events: Iterator[Event]) -> Any:
        content: Any = None
        for event in events:
            if isinstance(event, DocumentStartEvent) and (event.version or event.tags):
                self.note(event.start_mark, "directives (%) are not read")
            elif isinstance(event, NodeEvent):
                if content is not None:
                    self.note(event.start_mark, "a second document begins here; a file holds one")
                content = self._value(event, events, ())
        return content

    def _value(self, event: Event, events: Iterator[Event], path: Trail) -> Any:
        self._refuse_unsafe(event)
        if isinstance(event, (MappingStartEvent, SequenceStartEvent)) and len(path) >= DEEPEST:
            self.note(event.start_mark, f"is nested deeper than {DEEPEST} levels")
            raise InputError(self.found)
        if isinstance(event, MappingStartEvent):
            return self._mapping(events, path)
        if isinstance(event, SequenceStartEvent):
            return self._list(events, path)
        return _scalar(event) if isinstance(event, ScalarEvent) else None

    def _mapping(self, events: Iterator[Event], path: Trail) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            key = self._key(event, events, path)
            here = (*path, key)
            if key in mapping:
                self.note(event.start_mark, f'{spelled(here)}: "{key}" is written twice; a key has one value')
                self._value(next(events), events, (*here, "again"))
                continue
            value = next(events)
            self.keys[here], self.values[here] = _spot(event.start_mark), _spot(value.start_mark)
            mapping[key] = self._value(value, events, here)
        return mapping

    def _key(self, event: Event, events: Iterator[Event], path: Trail) -> str:
        if isinstance(event, ScalarEvent):
            self._refuse_unsafe(event)
            if event.value == "<<" and event.style is None:
                self.note(event.start_mark, "a merge (<<) is not read; write the values out")
            return str(event.value)
        self.note(event.start_mark, "a key is a text")
        self._value(event, events, (*path, "?"))
        return "?"

    def _list(self, events: Iterator[Event], path: Trail) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(events), SequenceEndEvent):
            here = (*path, len(values))
            self.keys[here] = self.values[here] = _spot(event.start_mark)
            values.append(self._value(event, events, here))
        return values

    def _refuse_unsafe(self, event: Event) -> None:
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            self.note(event.start_mark, "anchors (&) and aliases (*) are not read; write the value out")
        elif getattr(event, "tag", None) is not None:
            self.note(event.start_mark, "a tag (!) is not read; a template is data")


def _scalar(event: ScalarEvent) -> Any:
    """Return what a value looks like: YAML 1.2, but a number with leading zeros is a text."""
    text = str(event.value)
    if event.style is not None:
        return text
    if text in WORDS:
        return WORDS[text]
    if WHOLE.fullmatch(text):
        return int(text) if len(text) < 300 else text
    if NUMBER.fullmatch(text) and not re.match(r"[-+]?0[0-9]", text):
        return float(text)
    return float(text.replace(".", "", 1)) if ENDLESS.fullmatch(text) else text


def _spot(mark: StreamMark) -> str:
    return f"{mark.line + 1}:{mark.column + 1}"
