"""The tree is the explanation: imports point one way, and each layer keeps to what it may touch."""

from __future__ import annotations

import ast
import graphlib
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

import tregflow
from tregflow.errors import CODES

ROOT = Path(tregflow.__file__).parent

ORDER = (
    "errors", "privacy", "sample", "compensation", "transforms", "view", "events", "gates", "document", "grammar", "hierarchy",
    "binding", "fingerprint", "meaning", "template", "study", "identity", "gating", "populations", "uncertainty", "checks",
    "tuning", "outcome", "results", "simulation", "io", "sheet", "plots", "twins", "tubes", "controls", "job", "bench", "pool",
    "batch", "rehearsal", "verify", "terminal", "cli", "__main__",
)  # fmt: skip
"""A module imports only from names before its own; inside a folder, in any way without a circle."""

PURE = ORDER[: ORDER.index("io")]
WORLD = {
    "asyncio", "concurrent", "ctypes", "fcntl", "glob", "http", "io", "logging", "mmap", "multiprocessing", "os",
    "pathlib", "platform", "random", "secrets", "shutil", "signal", "socket", "sqlite3", "subprocess", "sys",
    "tempfile", "threading", "time", "urllib", "uuid", "matplotlib", "rich", "typer", "ruamel", "filelock",
}  # fmt: skip
"""What nothing above ``io`` may import: files, clock, logging, plots, web, processes, chance."""


@dataclass(frozen=True)
class Module:
    name: str
    path: Path

    @property
    def seat(self) -> str:
        """The name in ORDER that the module sits under."""
        return self.name.split(".")[1] if "." in self.name else ""

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    def imports(self) -> Iterator[tuple[str, str]]:
        """Yield module and name of everything imported anywhere, inside functions too; no name for a whole module."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, "") for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name} imports relatively"
                yield from (_imported(node.module or "", alias.name) for alias in node.names)


def _imported(module: str, name: str) -> tuple[str, str]:
    whole = f"{module}.{name}"
    return (whole, "") if whole in NAMES else (module, name)


def _named(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = sorted(path for path in ROOT.rglob("*.py") if "cache" not in str(path))
NAMES = {_named(path) for path in PATHS}
MODULES = [Module(_named(path), path) for path in PATHS]
INNER = [module for module in MODULES if module.name != "tregflow"]
every_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
every_inner_module = pytest.mark.parametrize("module", INNER, ids=lambda module: module.name)
every_pure_module = pytest.mark.parametrize(
    "module", [module for module in INNER if module.seat in PURE], ids=lambda module: module.name
)


def _ours(module: Module) -> set[tuple[str, str]]:
    return {(home, name) for home, name in module.imports() if home.partition(".")[0] == "tregflow"}


# -------------------------------------------------------------------------------------------- imports


def test_every_module_has_a_seat():
    assert {module.seat for module in INNER} == set(ORDER)


@every_inner_module
def test_imports_point_one_way(module):
    seats = {home.split(".")[1] for home, _ in _ours(module) if "." in home}
    assert [seat for seat in seats if ORDER.index(seat) > ORDER.index(module.seat)] == []


def test_there_is_no_circle():
    edges = {module.name: {home for home, _ in _ours(module)} - {"tregflow", module.name} for module in INNER}
    assert list(graphlib.TopologicalSorter(edges).static_order())


@every_inner_module
def test_the_bare_package_gives_its_version_only(module):
    assert {name for home, name in _ours(module) if home == "tregflow"} <= {"__version__"}


@every_inner_module
def test_nobody_imports_the_command_line(module):
    if module.seat != "__main__":
        assert not {home for home, _ in _ours(module) if home.startswith("tregflow.cli")}


@every_inner_module
def test_nobody_takes_anothers_private_name(module):
    assert not {(home, name) for home, name in _ours(module) if re.match(r"_(?!_)", name)}
    modules = _local_names_of_modules(module)
    taken = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules
        if re.match(r"_(?!_)", node.attr)
    }
    assert not taken


def _local_names_of_modules(module: Module) -> set[str]:
    aliases = [
        alias for node in ast.walk(module.tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    ours = {name.rpartition(".")[2] for name in NAMES}
    return {alias.asname or alias.name for alias in aliases if alias.name in ours}


def test_there_is_no_utils():
    assert not [name for name in NAMES if re.search(r"util|helper|misc|common|manager", name)]


# ------------------------------------------------------------------------------------ above the world


@every_pure_module
def test_nothing_above_io_touches_the_world(module):
    assert {home.partition(".")[0] for home, _ in module.imports()} & WORLD == set()


@every_pure_module
def test_nothing_above_io_opens_prints_or_asks_the_clock(module):
    calls = {ast.unparse(node.func) for node in ast.walk(module.tree) if isinstance(node, ast.Call)}
    assert not {call for call in calls if call in {"open", "print", "input", "exec", "eval"}}
    assert not {
        call
        for call in calls
        if re.search(r"\.(now|today|utcnow|fromfile|tofile|memmap|savetxt|loadtxt)$", call)
    }


@every_module
def test_every_generator_is_seeded(module):
    calls = [node for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
    drawn = [node for node in calls if re.search(r"\brandom\.\w+$", ast.unparse(node.func))]
    made = [node for node in calls if ast.unparse(node.func).endswith("default_rng")]
    assert all(
        ast.unparse(node.func).endswith(("default_rng", "Generator", "SeedSequence")) for node in drawn
    )
    assert all(node.args or node.keywords for node in made)


def test_gates_know_nothing_of_templates():
    """A method is a function of events: it sees neither names nor files."""
    inner = {home.split(".")[1] for module in INNER if module.seat == "gates" for home, _ in _ours(module)}
    assert inner <= {"errors", "privacy", "sample", "compensation", "transforms", "view", "gates"}


# ------------------------------------------------------------------------------------------- manners


@every_module
def test_every_module_says_what_it_is_for(module):
    assert (ast.get_docstring(module.tree) or "").strip()


@every_module
def test_no_exception_is_swallowed_and_no_error_is_a_formula(module):
    handlers = [node for node in ast.walk(module.tree) if isinstance(node, ast.ExceptHandler)]
    assert all(handler.type for handler in handlers)
    words = [
        node.value
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert not [word for word in words if re.search(r"\binvalid\b|\bfailed to\b", word, re.IGNORECASE)]


def test_every_code_is_used_and_every_used_code_is_known():
    literals = {
        node.value
        for module in MODULES
        for node in ast.walk(_without(module, "CODES") if module.seat == "errors" else module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    used = {word for word in literals if re.fullmatch(r"[EFN]-[A-Z]+(-[A-Z]+)*", word)}
    assert used - set(CODES) == set()
    assert set(CODES) - used == set()


def _without(module: Module, name: str) -> ast.Module:
    kept = [
        node
        for node in module.tree.body
        if not (isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name)
    ]
    return ast.Module(kept, [])


@pytest.mark.parametrize("name", tregflow.__all__)
def test_every_public_name_resolves_and_is_documented(name):
    found = getattr(tregflow, name)
    assert found.__name__ == name
    assert (found.__doc__ or "").strip()
    assert name in dir(tregflow)


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        importlib.import_module("tregflow").nothing  # noqa: B018


# --------------------------------------------------------------------------------------- proportions


def _lines(node: ast.FunctionDef) -> int:
    """Return how many lines a function works on, its signature and docstring apart."""
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def _functions(module: Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef):
            yield f"{module.name}.{node.name}", _lines(node)


def test_half_of_the_functions_work_in_ten_lines_and_nine_of_ten_in_thirty():
    lengths = sorted(length for module in MODULES for _, length in _functions(module))
    assert lengths[len(lengths) // 2] < 10
    assert lengths[len(lengths) * 9 // 10] <= 30
    longest = {name: length for module in MODULES for name, length in _functions(module) if length > 60}
    assert longest == {}


def test_no_module_is_a_book():
    lengths = {module.name: len(module.path.read_text(encoding="utf-8").splitlines()) for module in MODULES}
    assert {name: length for name, length in lengths.items() if length > 750} == {}
