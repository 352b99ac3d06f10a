"""Sees what a page must never do: ask somebody else for something, or complain in the console."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, WebError

#: Addresses that nobody is asked at.
_LOCAL_SCHEMES = frozenset({"about", "blob", "data"})


class Watch:
    """Collects the faults of every page of a test; what is left at its end makes it fail."""

    def __init__(self) -> None:
        self._faults: list[str] = []
        self._expected: list[re.Pattern[str]] = []

    def over(self, context: BrowserContext, site: str) -> None:
        """Look at every page of a context; whatever is not of `site` is a third party."""
        context.on("request", lambda request: self._asked(request, site))
        context.on("console", self._said)
        context.on("weberror", self._raised)

    def expect(self, pattern: str) -> None:
        """A fault that the test provokes itself, as a regular expression; it must then happen.

        Faults read `third party: URL`, `console error: TEXT (URL)`, `console warning: …`,
        `script error: TEXT`. A page that answers 4xx is one: `console error: .* 404`.
        """
        self._expected.append(re.compile(pattern))

    def complaints(self) -> list[str]:
        """The faults that nobody expected, and the expected ones that did not happen."""
        unexpected = [
            fault for fault in self._faults if not any(p.search(fault) for p in self._expected)
        ]
        missing = [
            f"expected, but did not happen: {pattern.pattern}"
            for pattern in self._expected
            if not any(pattern.search(fault) for fault in self._faults)
        ]
        return unexpected + missing

    def _asked(self, request: Request, site: str) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in _LOCAL_SCHEMES or f"{parts.scheme}://{parts.netloc}" == site:
            return
        self._faults.append(f"third party: {request.url}")

    def _said(self, message: ConsoleMessage) -> None:
        # A refusal by the Content-Security-Policy is an error of the console too.
        if message.type in {"error", "warning"}:
            place = message.location.get("url", "")
            self._faults.append(f"console {message.type}: {message.text} ({place})")

    def _raised(self, error: WebError) -> None:
        self._faults.append(f"script error: {error.error.message}")
