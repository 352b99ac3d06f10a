"""What stands in the source beside the code: `#:` comments, docstrings, calls."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "zhiwei"


@dataclass(frozen=True)
class SourceFile:
    """One parsed Python file of the package."""

    #: Relative to the package, with forward slashes.
    path: str
    text: str
    tree: ast.Module


def source_files() -> Iterator[SourceFile]:
    """All Python files of the package, sorted by path."""
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        yield SourceFile(path.relative_to(PACKAGE).as_posix(), text, ast.parse(text))


def source_of(module: ModuleType) -> SourceFile:
    """The file of a module; of the source even where the module that runs is compiled."""
    path = PACKAGE.parent / (module.__name__.replace(".", "/") + ".py")
    text = path.read_text(encoding="utf-8")
    return SourceFile(path.relative_to(PACKAGE).as_posix(), text, ast.parse(text))


def comments_in(module: ModuleType, class_name: str = "") -> dict[str, str]:
    """The `#:` comment above each name that a class (or the module itself) assigns, in order.

    A name without one has an empty text.
    """
    file = source_of(module)
    lines = file.text.splitlines()
    body = file.tree.body
    if class_name:
        (body,) = [
            node.body
            for node in file.tree.body
            if isinstance(node, ast.ClassDef) and node.name == class_name
        ]
    return {
        target.id: _comment_above(lines, statement.lineno)
        for statement in body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for target in (
            statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        )
        if isinstance(target, ast.Name)
    }


def _comment_above(lines: list[str], number: int) -> str:
    """The `#:` lines that stand directly above a line (counted from 1), as one text."""
    found: list[str] = []
    for line in reversed(lines[: number - 1]):
        text = line.strip()
        if not text.startswith("#:"):
            break
        found.insert(0, text.removeprefix("#:").strip())
    return " ".join(found)


def summary(documented: object) -> str:
    """The first paragraph of a docstring, on one line."""
    text = inspect.getdoc(documented) or ""
    return " ".join(text.split("\n\n", 1)[0].split())


def headings_in(module: ModuleType, class_name: str) -> dict[int, str]:
    """Comments of the form `# 3xx: what these have in common.` in a class, by their hundred."""
    text = source_of(module).text
    body = text[text.index(f"class {class_name}(") :]
    found = re.findall(r"^    # (\d)xx: (.+)$", body, flags=re.MULTILINE)
    return {int(hundred): words for hundred, words in found}
