"""The system's Chromium, driven by Playwright: started once, without a way to other hosts."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

#: Quiet (nothing is fetched in the background), small, and alone: no name but this machine's own
#: is found, so that a request to somebody else fails in the same way with and without a network.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP localhost 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def chromium_path() -> str | None:
    """Where the system has its Chromium; None where it has none."""
    return shutil.which("chromium")


def needed_chromium() -> str:
    """Where Chromium is; without one the test is skipped, and in CI it fails."""
    path = chromium_path()
    if path is None:
        reason = "there is no Chromium here (Debian: `apt-get install chromium fonts-noto-cjk`)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@contextmanager
def launched(path: str) -> Iterator[Browser]:
    """A browser without a window, until the end of the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


class LoopBetweenTests:
    """Playwright's event loop, out of the way of tests that run loops of their own.

    Between two calls Playwright leaves its loop marked as running in this thread, and any
    `asyncio.run` of another test would be refused while the browser is kept for the next one.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def show(self) -> None:
        """Before Playwright is called again."""
        if self._loop is not None:
            asyncio.events._set_running_loop(self._loop)
            self._loop = None

    def hide(self) -> None:
        """After the last call of a test."""
        self._loop = asyncio.events._get_running_loop()
        asyncio.events._set_running_loop(None)
