"""What keeps people with disabilities from using a page, as far as a program can tell (axe)."""

from __future__ import annotations

import json
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

#: WCAG 2.2 A and AA (the size of targets too, which axe leaves out by itself), and good practice.
_OPTIONS = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}


def axe_violations(page: Page) -> list[str]:
    """One line for each rule and element: `color-contrast (serious) at .hint: …`; none is right."""
    page.evaluate(AXE_SCRIPT)
    found: dict[str, Any] = page.evaluate(f"() => axe.run(document, {json.dumps(_OPTIONS)})")
    assert found["testEngine"]["name"] == "axe-core", "axe has run"
    return [
        f"{violation['id']} ({violation['impact']}) at {_place(node)}: {violation['help']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def _place(node: dict[str, Any]) -> str:
    """The element's selector; within frames and shadows a path of them."""
    return " ".join(str(part) for part in node["target"])
