"""How long a function and a file may be, what things may be called, what may inherit."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.house.tree import ROOT, Module

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 500
#: Names that say nothing; a reader cannot guess what is inside, so everything ends up inside.
EMPTY_NAMES = frozenset({"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"})
#: Kinds of class that are meant to be inherited from. Ours are exceptions and protocols, nothing
#: else.
HERITABLE = frozenset({"Enum", "Exception", "Flag", "Generic", "IntEnum", "IntFlag", "StrEnum"})
#: Parts where no framework asks for a base class.
OURS_ALONE = frozenset({"core", "services", "guardian", "ports", "engine", "stores", "vault"})


def functions_are_short(module: Module) -> Iterator[str]:
    """A function fits on a screen; its docstring and comment lines do not count."""
    for node in ast.walk(module.tree):
        if isinstance(node, FUNCTION):
            length = lines_of_code(module, node)
            if length > FUNCTION_LINES_MAX:
                what = f"`{node.name}` has {length} lines, more than {FUNCTION_LINES_MAX}"
                yield f"{module.at(node)}: {what}"


def lines_of_code(module: Module, node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines from `def` to the end, without docstring, comment lines and blank lines."""
    numbers = set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        numbers -= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    lines = module.text.splitlines()
    return sum(not is_blank_or_comment(lines[number - 1]) for number in numbers)


def is_blank_or_comment(line: str) -> bool:
    """Nothing that runs."""
    return not line.strip() or line.strip().startswith("#")


def files_are_short(module: Module) -> Iterator[str]:
    """A file that grows past this has a seam in it that nobody drew."""
    length = len(module.text.splitlines())
    if length > FILE_LINES_MAX:
        yield f"{module.path}:1: the file has {length} lines, more than {FILE_LINES_MAX}"


def names_say_something(module: Module) -> Iterator[str]:
    """No file is called `utils` or the like, and no function `get_` something."""
    if not module.name:
        return
    for part in PurePosixPath(module.path).with_suffix("").parts:
        if part.strip("_") in EMPTY_NAMES:
            yield f"{module.path}:1: `{part}` says nothing about what is inside"
    for node in own_functions(module.tree):
        if node.name.startswith("get_"):
            yield f"{module.at(node)}: `{node.name}` is called by its noun, without `get_`"


def own_functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Find the names that we chose: a class with a base may have to answer to the base's names."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.bases:
            yield from (method for method in node.body if isinstance(method, FUNCTION))
        elif isinstance(node, FUNCTION):
            yield node


def inheritance_is_rare(module: Module) -> Iterator[str]:
    """In what is ours alone, only exceptions and protocols inherit; doors do as frameworks ask."""
    if module.name.partition(".")[0] not in OURS_ALONE:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                name = last_name(base)
                if name not in HERITABLE and not name.endswith(("Error", "Protocol", "Warning")):
                    yield f"{module.at(node)}: `{node.name}` inherits from `{name}`"


def last_name(node: ast.expr) -> str:
    """`asyncio.Protocol` and `Protocol[T]` are both `Protocol`."""
    if isinstance(node, ast.Subscript):
        return last_name(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ast.unparse(node)


def hot_modules_can_be_compiled(module: Module) -> Iterator[str]:
    """`dataclass(slots=True)` makes a second class, which mypyc refuses or gets wrong."""
    if not is_hot(module):
        return
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or last_name(node.func) != "dataclass":
            continue
        if any(keyword.arg == "slots" for keyword in node.keywords):
            yield f"{module.at(node)}: a hot module may not use `dataclass(slots=...)`"


def is_hot(module: Module) -> bool:
    """The file is in the list of pyproject.toml that mypyc compiles."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["zhiwei"]["compiled"]["modules"]
    path = PurePosixPath(module.path.removeprefix("src/"))
    # Up to Python 3.12 `**` matches exactly one folder here, so a folder's own files are asked
    # apart.
    return any(
        path.match(pattern) or path.match(pattern.replace("**/", "")) for pattern in patterns
    )
