"""The source tree as the house rules see it: files that git would track, and parsed modules."""

from __future__ import annotations

import ast
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "zhiwei"
#: Folders that hold no source, for a tree that git does not know (an unpacked archive), or where
#: there is no git.
NOT_SOURCE = frozenset(
    [
        ".git",
        ".hypothesis",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".venv",
        "__pycache__",
        "build",
        "dist",
    ]
)


@dataclass(frozen=True)
class Module:
    """One Python file. `path` is relative to the root of the repository, with forward slashes."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        """The parsed file."""
        return parsed(self.text)

    @property
    def name(self) -> str:
        """Dotted name inside the package (`core.money`); empty for itself and outside it."""
        inside = self.path.removeprefix("src/zhiwei/")
        if inside == self.path:
            return ""
        dotted = inside.removesuffix(".py").replace("/", ".")
        return dotted.removesuffix(".__init__").removesuffix("__init__")

    @property
    def is_package(self) -> bool:
        """The file speaks for a folder, so a relative import counts from the folder itself."""
        return self.path.endswith("/__init__.py")

    def at(self, node: ast.AST) -> str:
        """Where `node` is, for a complaint that an editor can follow."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


@cache
def parsed(text: str) -> ast.Module:
    """Parse once; many rules read the same files."""
    return ast.parse(text)


@cache
def tracked_files() -> tuple[Path, ...]:
    """Name all files that git tracks or would track: a new one is judged before its commit."""
    if shutil.which("git") and (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
        names = listed.stdout.split("\0")
        return tuple(path for name in names if name and (path := ROOT / name).is_file())
    return tuple(
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not NOT_SOURCE.intersection(path.relative_to(ROOT).parts)
    )


@cache
def modules() -> tuple[Module, ...]:
    """Read all Python files of the repository."""
    return tuple(
        Module(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
        for path in tracked_files()
        if path.suffix == ".py"
    )
