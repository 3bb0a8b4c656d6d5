"""A document as plain values, with the place of each: what parsing complains about.

`checked` holds a document against a pydantic model and turns every mistake into a sentence with
line and column, the value that was seen and the nearest right name.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from tregflow.errors import Finding, InputError, nearest

Trail = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """A mapping whose keys are all known and whose values are what they look like."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


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
    """Plain values and where they stand."""

    content: Mapping[str, Any]
    places: Places = Places()


@dataclass(slots=True)
class Mistakes:
    """What is wrong with a document, gathered so that everything is said at once."""

    code: str
    places: Places
    found: list[Finding] = field(default_factory=list)

    def add(self, path: Trail, sentence: str, *, key: bool = False, code: str = "") -> None:
        """Note one mistake at one path."""
        words = f"{spelled(path)}: {sentence}" if path else sentence
        self.found.append(Finding(code or self.code, words, self.places.of(path, key=key)))

    def raise_any(self) -> None:
        """Raise `InputError` with all mistakes, in the order of the document."""
        if self.found:
            raise InputError(sorted(self.found, key=_line))


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


def _tell(model: type[BaseModel], detail: ErrorDetails, content: Any, mistakes: Mistakes) -> None:
    path = _real(detail["loc"], content)
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        known = list(_fields(model, path[:-1]))
        hint = nearest(str(path[-1]), known) or f"; known are {', '.join(known)}"
        mistakes.add(path, f'"{path[-1]}" is not known here{hint}', key=True)
    elif kind == "missing":
        mistakes.add(path, f'"{detail["loc"][-1]}" is missing')
    elif kind == "literal_error":
        mistakes.add(path, f"expected {context['expected']}, got {_shown(detail['input'])}"
                     + nearest(str(detail["input"]), str(context["expected"]).replace("'", "").split(" or ")))  # fmt: skip
    elif kind == "value_error":
        mistakes.add(path, str(context["error"]))
    else:
        mistakes.add(path, f"{_plainer(detail['msg'])}, got {_shown(detail['input'])}")


def _plainer(message: str) -> str:
    words = message.replace("Input should be a valid", "expected a").replace("Input should", "should")
    return (words.replace("dictionary or instance of", "mapping for").replace("expected a dictionary", "expected a mapping")
            .replace("expected a integer", "expected an integer").replace("expected a string", "expected a text"))  # fmt: skip


def _shown(value: Any) -> str:
    words = f'"{value}"' if isinstance(value, str) else "nothing" if value is None else repr(value)
    return words if len(words) <= 60 else words[:57] + "…"


def _real(loc: tuple[str | int, ...], content: Any) -> Trail:
    """Return the path without the names of alternatives that the model adds to it."""
    path: list[str | int] = []
    for place, part in enumerate(loc):
        inside = isinstance(content, Mapping) and part in content
        if inside or (isinstance(content, list) and isinstance(part, int) and part < len(content)):
            content = content[part]
            path.append(part)
        elif place == len(loc) - 1 and isinstance(content, Mapping) and not str(part).startswith("function-"):
            return tuple(path)
    return tuple(path)


def _fields(model: type[BaseModel], path: Trail) -> Iterator[str]:
    here: type[BaseModel] | None = model
    for part in path:
        if here and isinstance(part, str) and part in (fields := _aliased(here)):
            here = _model_inside(fields[part])
    return iter(_aliased(here) if here else ())


def _aliased(model: type[BaseModel]) -> dict[str, Any]:
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()}


def _model_inside(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inside = (_model_inside(part) for part in typing.get_args(annotation))
    return next((found for found in inside if found), None)


def _line(finding: Finding) -> tuple[int, ...]:
    numbers = finding.where.rsplit(":", 2)[1:]
    return tuple(int(number) for number in numbers if number.isdigit())
