"""What a first visit costs: requests, and bytes as they come over the line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page


@dataclass(frozen=True)
class Weight:
    """The cost of one load."""

    #: Every request, the page's own and redirects too.
    requests: int
    #: Answers with their headers, compressed as they were sent.
    transferred_bytes: int


def first_load(page: Page, path: str) -> Weight:
    """Load a page that was not open before and wait until nothing is under way any more.

    The page must be of a new context, whose cache is empty. Not for pages that keep a request open
    (an event stream): the wait would not end.
    """
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    asked: list[str] = []
    sizes: list[float] = []

    def on_request(event: dict[str, Any]) -> None:
        if event["request"]["url"].startswith("http"):
            asked.append(event["request"]["url"])
        if "redirectResponse" in event:
            sizes.append(event["redirectResponse"]["encodedDataLength"])

    session.on("Network.requestWillBeSent", on_request)
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(path, wait_until="networkidle")
    session.detach()
    return Weight(len(asked), round(sum(sizes)))
