"""What a store keeps as SQL beside its code: its statements by name, its migrations by number."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_MIGRATION: Final = re.compile(r"(\d{4})\.sql")


def statements_of(package: str) -> dict[str, str]:
    """The statements of the file `queries.sql` in a package, without their comments."""
    text = (files(package) / "queries.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)
    return {
        name: "\n".join(
            line for line in body.strip().splitlines() if not line.startswith("--")
        ).rstrip(";\n")
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def migrations_of(package: str) -> dict[int, str]:
    """Scripts in a package's `migrations` by the number of the schema that they make, in order."""
    found: dict[int, str] = {}
    for file in (files(package) / "migrations").iterdir():
        match = _MIGRATION.fullmatch(file.name)
        if match is not None:
            found[int(match[1])] = file.read_text(encoding="utf-8")
    return dict(sorted(found.items()))
