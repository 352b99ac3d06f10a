"""The statements of a store's `queries.sql` by name, one comment before each."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


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
