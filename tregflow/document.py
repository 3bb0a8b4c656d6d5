"""A document as plain values, with the place of each: what parsing complains about.

`checked` holds a document against a pydantic model and turns every mistake into a sentence with
line and column, the value that was seen and the nearest right name.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from tregflow.errors import Finding, InputError, nearest

Trail = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """A mapping whose keys are all known and whose values are what they look like."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    strangers: ClassVar[Mapping[str, tuple[str, str]]] = MappingProxyType({})
    """Keys that people may write here though they are not known: a code, and what to tell them."""

    absent: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """What to write where a key is missing."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the values and keys of a document stand.

    Parameters
    ----------
    name : str
        The document's name.
    values, keys : mapping of path to str
        ``line:column`` of a value, and of the key before it.
    """

    name: str = ""
    values: Mapping[Trail, str] = field(default_factory=lambda: MappingProxyType({}))
    keys: Mapping[Trail, str] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, path: Trail, *, key: bool = False) -> str:
        """Return ``name:line:column`` of a value, or of the nearest thing around it."""
        marks = self.keys if key else self.values
        for end in range(len(path), 0, -1):
            if path[:end] in marks:
                return ":".join(part for part in (self.name, marks[path[:end]]) if part)
        return self.name


@dataclass(frozen=True, slots=True)
class Document:
    """Plain values and where they stand.

    Parameters
    ----------
    content : mapping
        Mappings, lists, texts, numbers, true, false and None.
    places : Places
        Where each of them stands.
    findings : tuple of Finding
        Mistakes of the writing itself, such as a key that is there twice.
    """

    content: Mapping[str, Any]
    places: Places = Places()
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class Mistakes:
    """What is wrong with a document, gathered so that everything is said at once.

    Parameters
    ----------
    code : str
        Of a mistake that has none of its own.
    places : Places
        Where things stand.
    found : list of Finding
        Mistakes so far.
    """

    code: str
    places: Places
    found: list[Finding] = field(default_factory=list)

    @classmethod
    def of(cls, document: Document, code: str) -> Mistakes:
        """Return the mistakes that reading a document found."""
        return cls(code, document.places, list(document.findings))

    def add(self, path: Trail, sentence: str, *, key: bool = False, code: str = "") -> None:
        """Note one mistake at one path."""
        words = f"{spelled(path)}: {sentence}" if path else sentence
        self.found.append(Finding(code or self.code, words, self.places.of(path, key=key)))

    def raise_any(self) -> None:
        """Raise `InputError` with all mistakes, once each, in the order of the document."""
        if self.found:
            raise InputError(sorted(dict.fromkeys(self.found), key=_line))


def spelled(path: Trail) -> str:
    """Return a path as people write it: ``populations[1].parent``."""
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return words.lstrip(".")


def checked(model: type[Model], document: Document, mistakes: Mistakes) -> Model | None:
    """Hold a document against its model.

    Parameters
    ----------
    model : type of BaseModel
        What the document may say.
    document : Document
        What it says.
    mistakes : Mistakes
        Where every mistake goes.

    Returns
    -------
    model or None
        None if there were mistakes.
    """
    try:
        return model.model_validate(document.content)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _tell(model, detail, document.content, mistakes)
        return None


def unknown_keys(model: type[BaseModel], content: Any) -> list[Trail]:
    """Return the paths of the keys that a model does not know."""
    try:
        model.model_validate(content)
    except ValidationError as error:
        details = error.errors(include_url=False)
        return [_real(detail["loc"], content) for detail in details if detail["type"] == "extra_forbidden"]
    return []


def fits(model: type[BaseModel], content: Any) -> bool:
    """Whether a model has nothing to say against some content."""
    try:
        model.model_validate(content)
    except ValidationError:
        return False
    return True


def _tell(model: type[BaseModel], detail: ErrorDetails, content: Any, mistakes: Mistakes) -> None:
    path, kind, last = _real(detail["loc"], content), detail["type"], detail["loc"][-1:]
    if kind == "extra_forbidden":
        _tell_unknown(model, path, content, mistakes)
    elif kind == "missing":
        missing = f"value {last[0] + 1}" if isinstance(last[0], int) else f'"{last[0]}"'
        mistakes.add(path, f"{missing} is missing{_to_write(_model_at(model, path), last[0])}")
    else:
        mistakes.add(path, _sentence(detail))


def _to_write(around: type[BaseModel] | None, key: str | int) -> str:
    absent = around.absent if around and issubclass(around, Strict) else {}
    return f"; {absent[key]}" if isinstance(key, str) and key in absent else ""


def _tell_unknown(model: type[BaseModel], path: Trail, content: Any, mistakes: Mistakes) -> None:
    name, around = str(path[-1]), _model_at(model, path[:-1])
    if around and issubclass(around, Strict) and name in around.strangers:
        code, sentence = around.strangers[name]
        mistakes.add(path, sentence, key=True, code=code)
        return
    known = list(_fields(around)) if around else []
    meant = split_number(path, content)
    split = f"; is {meant.replace('.', ',')} meant as {meant}?" if meant else ""
    hint = split or nearest(name, known) or f"; known are {', '.join(known)}"
    mistakes.add(path, f'"{name}" is not known here{hint}', key=True)


def split_number(path: Trail, content: Any) -> str:
    """Return the number of which a decimal comma made a key, ``{stored: 0,54}``; empty where none did."""
    for part in path[:-1]:
        content = content[part]
    name, keys = str(path[-1]), list(content)
    before = content[keys[keys.index(name) - 1]]
    is_split = name.isdecimal() and content[name] is None and type(before) is int
    return f"{before}.{name}" if is_split else ""


EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "[low, high]",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
"""What to say was expected, by pydantic's name of the mistake."""

DEMANDED = {
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "too_short": "needs at least {min_length} values",
    "too_long": "takes at most {max_length} values",
    "string_too_short": "must not be empty",
    "finite_number": "must be a finite number (write null for an open edge)",
}
"""What to say of a value of the right kind."""


def _sentence(detail: ErrorDetails) -> str:
    kind, seen, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        words = str(context["expected"])
        return f"expected {words}, got {_shown(seen)}{nearest(str(seen), words.replace(chr(39), '').split(' or '))}"
    if kind in DEMANDED:
        return f"{DEMANDED[kind].format(**context)}, got {_shown(seen)}{_as_fraction(seen, context)}"
    expected = (
        "[x, y]"
        if kind == "tuple_type" and "vertices" in detail["loc"]
        else EXPECTED.get(kind, detail["msg"])
    )
    return f"expected {expected}, got {_shown(seen)}{_mended(kind, seen)}"


def _as_fraction(seen: Any, context: Mapping[str, Any]) -> str:
    is_percent = context.get("lt") == 1 and isinstance(seen, (int, float)) and 1 < seen < 100
    return f"; it is a fraction, {seen:g} % is {seen / 100:g}" if is_percent else ""


def _mended(kind: str, seen: Any) -> str:
    """Return how a value of the wrong kind becomes one of the right kind, where that is plain."""
    if kind == "string_type" and seen is not None and not isinstance(seen, (list, dict)):
        return "; put it in quotes"
    if kind == "float_type" and isinstance(seen, str) and re.fullmatch(r"[-+]?[0-9]+,[0-9]+", seen):
        return f"; write {seen.replace(',', '.')}"
    return ""


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    words = f'"{value}"' if isinstance(value, str) else repr(value)
    return words if len(words) <= 60 else words[:57] + "…"


def _real(loc: tuple[str | int, ...], content: Any) -> Trail:
    """Return the path without the names of alternatives that the model adds to it."""
    path: list[str | int] = []
    for part in loc:
        is_key = isinstance(content, Mapping) and part in content
        is_place = isinstance(content, list) and isinstance(part, int) and part < len(content)
        if is_key or is_place:
            content = content[part]
            path.append(part)
    return tuple(path)


def _model_at(model: type[BaseModel], path: Trail) -> type[BaseModel] | None:
    """Return the model of what stands at a path."""
    options: list[Any] = [model]
    for part in path:
        options = [inner for option in options for inner in _inside(option, part)]
    return next((option for option in options if _is_model(option)), None)


def _inside(option: Any, part: str | int) -> Iterator[Any]:
    """Yield what may stand at one step inside an annotation."""
    if _is_model(option):
        yield from _options(_fields(option).get(str(part)))
    elif typing.get_origin(option) in (list, tuple) and isinstance(part, int):
        yield from _options(typing.get_args(option)[0])
    elif typing.get_origin(option) is dict:
        yield from _options(typing.get_args(option)[1])


def _options(annotation: Any) -> Iterator[Any]:
    """Yield the alternatives of an annotation, without what only decorates them."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _options(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _options(part)
    else:
        yield annotation


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()}


def _is_model(annotation: Any) -> typing.TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _line(finding: Finding) -> tuple[int, ...]:
    numbers = finding.where.rsplit(":", 2)[1:]
    return tuple(int(number) for number in numbers if number.isdigit())
