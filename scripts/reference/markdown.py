"""Markdown: headings and tables, with every cell on one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: Stands at the top of every generated page.
NOTICE = "<!-- Made from the code by `make reference`; do not edit by hand. -->"


def page(title: str, *parts: str) -> str:
    """A whole page: the notice, the title, and the parts with a blank line between them."""
    blocks = [NOTICE, f"# {title}", *(part.strip("\n") for part in parts if part.strip())]
    return "\n\n".join(blocks) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; its cells are escaped, so that no text can break out of its cell."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in rows:
        assert len(row) == len(head), f"a row has {len(row)} cells, the head {len(head)}"
        lines.append("| " + " | ".join(cell(value) for value in row) + " |")
    return "\n".join(lines)


def cell(value: object) -> str:
    """One cell: on one line, with its bars escaped."""
    return " ".join(str(value).split()).replace("|", "\\|")


def code(value: object) -> str:
    """A word of the machine's, empty where there is none."""
    text = str(value)
    return f"`{text}`" if text else ""


def codes(values: Iterable[object], between: str = ", ") -> str:
    """Several words of the machine's."""
    return between.join(code(value) for value in values)


def bullets(items: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {cell(item)}" for item in items)
