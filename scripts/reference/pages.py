"""The list of pages, in the order of the index."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from scripts.reference.cli import cli_page
from scripts.reference.errors import errors_page
from scripts.reference.events import events_page
from scripts.reference.http import http_page
from scripts.reference.iso8583 import iso8583_page
from scripts.reference.markdown import page, table
from scripts.reference.metrics import metrics_page
from scripts.reference.openapi import openapi_text
from scripts.reference.policy import policy_page
from scripts.reference.reasons import reasons_page
from scripts.reference.settings import settings_page
from scripts.reference.source import ROOT

FOLDER: Final = ROOT / "docs" / "reference"


def index_page() -> str:
    """What there is, for who opens the folder."""
    rows = []
    for name, make in PAGES.items():
        if name.endswith(".md") and name != "README.md":
            title = make().partition("\n# ")[2].partition("\n")[0]
            rows.append((f"[{name}]({name})", title))
    contract = ("[openapi.json](openapi.json)", "The contract of the HTTP door")
    about = "These pages are made from the code by `make reference`; a test says when one is old."
    return page("Reference 参考", about, table(("page", "what it holds"), [*rows, contract]))


PAGES: Final[dict[str, Callable[[], str]]] = {
    "README.md": index_page,
    "reasons.md": reasons_page,
    "settings.md": settings_page,
    "policy.md": policy_page,
    "iso8583.md": iso8583_page,
    # Before the page that is made from it.
    "openapi.json": openapi_text,
    "http.md": http_page,
    "cli.md": cli_page,
    "events.md": events_page,
    "metrics.md": metrics_page,
    "errors.md": errors_page,
}


def write(folder: Path = FOLDER) -> list[str]:
    """Write all pages; the names of those that have changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    for name, make in PAGES.items():
        path = folder / name
        text = make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(name)
    return changed
