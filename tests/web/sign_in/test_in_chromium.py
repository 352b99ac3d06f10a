"""Passkeys in a real browser, with its virtual authenticator, under a strict policy of contents."""

from __future__ import annotations

import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Page, expect
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from tests.gateways.http.house import NOON
from tests.web.authenticator import add_authenticator
from tests.web.conftest import OpenPage
from tests.web.devices import PHONE, PLAIN_PHONE
from tests.web.sign_in.hall import Hall, sentences
from tests.web.watch import Watch

from zhiwei.web.sign_in.codes import new_link
from zhiwei.web.sign_in.model import Deed, Face

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SAID = sentences("zh")


class Server:
    """The hall on a real socket."""

    def __init__(self, folder: Path) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.origin = f"http://localhost:{self._socket.getsockname()[1]}"
        self.hall = Hall(folder, origin=self.origin)
        app = self.hall.app
        app.mount("/static", StaticFiles(directory=str(files("zhiwei.web") / "static")))
        app.middleware("http")(_with_policy)
        app.get("/me")(_home)
        app.get("/favicon.ico")(_nothing)
        config = uvicorn.Config(app, log_level="warning", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()
        # The socket listens already: whoever comes early waits in its queue.

    def close(self) -> None:
        """Stop."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        self.hall.close()


async def _with_policy(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    response = await call_next(request)
    response.headers["Content-Security-Policy"] = POLICY
    return response


async def _home() -> HTMLResponse:
    return HTMLResponse("<!doctype html><html lang='zh'><title>x</title><h1>home</h1></html>")


async def _nothing() -> Response:
    return Response(status_code=204)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server; it is opened and closed where no loop of Playwright's is marked as running."""
    with ThreadPoolExecutor(1) as elsewhere:
        one = elsewhere.submit(Server, tmp_path).result()
        yield one
        elsewhere.submit(one.close).result()


def enter(server: Server, page: Page) -> None:
    """Sign in with a link, made a moment ago."""
    path = new_link(server.hall.store, Face.CARDHOLDER, server.hall.holder, NOON)
    page.goto(path)
    page.get_by_role("button", name=SAID["sign_in.enter"]).click()
    expect(page.get_by_role("heading", name="home")).to_be_visible()


def test_a_passkey_is_made_used_and_proves_a_change(
    server: Server, open_page: OpenPage, watch: Watch
) -> None:
    """From the first visit by a link to a loosening, all by clicks."""
    page: Page = open_page(PHONE, server.origin)
    add_authenticator(page)
    watch.expect("console error: .* 409")
    enter(server, page)
    page.goto("/me/security")
    page.get_by_label(SAID["security.label"]).fill("我的手机")
    page.get_by_role("button", name=SAID["security.add"]).click()
    # The page comes anew, with the key in its list.
    expect(page.get_by_role("button", name=f"{SAID['security.remove']} 我的手机")).to_be_visible()
    page.context.clear_cookies()
    page.goto("/sign-in")
    page.get_by_role("button", name=SAID["sign_in.with_passkey"]).click()
    expect(page.get_by_role("heading", name="home")).to_be_visible()
    cookie = next(one for one in page.context.cookies() if one["name"] == "zw")
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    hall = server.hall
    found = hall.desk.sessions.session_of(cookie["value"])
    assert found is not None
    hall.store.add_deed(Deed("deed_1", found.id, "lift_stop", "", "{}", NOON, NOON + 600_000))
    page.goto("/me/prove/deed_1")
    page.get_by_role("button", name=SAID["prove.passkey"]).click()
    page.wait_for_url("**/me?done=1")
    assert [deed.id for deed in hall.doings.done] == ["deed_1"]
    page.go_back()
    page.reload()
    expect(page.get_by_role("alert")).to_have_text(SAID["sign_in.problem.deed_gone"])
    assert len(hall.doings.done) == 1


def test_a_finger_that_is_not_recognized_changes_nothing(
    server: Server, open_page: OpenPage
) -> None:
    """The page says so, and the button can be pressed again."""
    page: Page = open_page(PHONE, server.origin)
    authenticator = add_authenticator(page)
    enter(server, page)
    page.goto("/me/security")
    authenticator.refuse()
    page.get_by_role("button", name=SAID["security.add"]).click()
    expect(page.get_by_role("alert")).to_have_text(SAID["sign_in.problem.cancelled"])
    assert authenticator.count() == 0
    authenticator.recognize()
    page.get_by_role("button", name=SAID["security.add"]).click()
    expect(page.get_by_role("button", name=f"{SAID['security.remove']} passkey")).to_be_visible()


def test_without_scripts_the_forms_of_codes_are_enough(server: Server, open_page: OpenPage) -> None:
    """Passkey forms stay hidden, and nothing on the page does nothing."""
    plain: Page = open_page(PLAIN_PHONE, server.origin)
    plain.goto("/sign-in")
    expect(plain.get_by_role("button", name=SAID["sign_in.with_passkey"])).to_be_hidden()
    plain.get_by_label(SAID["sign_in.phone"]).fill("13800138000")
    plain.get_by_role("button", name=SAID["sign_in.send_code"]).click()
    expect(plain.get_by_role("heading", name=SAID["sign_in.code.title"])).to_be_visible()
    # It is sent after the answer.
    assert server.hall.was_sent.wait(30)
    plain.get_by_label(SAID["sign_in.code.label"]).fill(server.hall.code)
    plain.get_by_role("button", name=SAID["sign_in.enter"]).click()
    expect(plain.get_by_role("heading", name="home")).to_be_visible()
