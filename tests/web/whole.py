"""A page as people see it: loaded, with the pieces that it asks for by itself."""

from __future__ import annotations

from playwright.sync_api import Page, Request, Response, expect

#: Elements that htmx fills as soon as the page is there.
_PIECES = "[hx-trigger^=load]"
#: htmx marks an element with it from its call until the answer stands in it.
_UNDER_WAY = ".htmx-request"


def open_whole(page: Page, path: str) -> Response:
    """Load a page and wait until every piece of it has come; the answer that the page itself is.

    Ends as soon as that is so, where `networkidle` always waits half a second more.
    """
    came: list[Request] = []

    def on_finished(request: Request) -> None:
        if _is_piece(request):
            came.append(request)

    page.on("requestfinished", on_finished)
    answer = page.goto(path)
    assert answer is not None, "the page is another one than before"
    due = page.locator(_PIECES).count()
    while len(came) < due:
        page.wait_for_event("requestfinished", _is_piece)
    page.remove_listener("requestfinished", on_finished)
    expect(page.locator(_UNDER_WAY)).to_have_count(0)
    return answer


def _is_piece(request: Request) -> bool:
    return request.resource_type in {"fetch", "xhr"}
