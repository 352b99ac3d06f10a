"""The statements of `queries.sql` by name."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def _statements(text: str) -> dict[str, str]:
    parts = _NAME.split(text)
    return {
        name: "\n".join(
            line for line in body.strip().splitlines() if not line.startswith("--")
        ).rstrip(";\n")
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


QUERIES: Final = _statements((files(__package__) / "queries.sql").read_text(encoding="utf-8"))
