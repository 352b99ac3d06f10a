"""A person at the cardholder's pages: signed in, fills in the forms that are there, reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from html import unescape

import httpx
from playwright.sync_api import BrowserContext
from tests.web.town import NOON, Town

from zhiwei.clock import ManualClock
from zhiwei.stores.faces import SqliteFaceStore
from zhiwei.web.sign_in.model import Face, Proof, Role
from zhiwei.web.sign_in.sessions import Sessions

FORM = re.compile(r'<form[^>]*action="(?P<action>[^"]+)"[^>]*>(?P<fields>.*?)</form>', re.DOTALL)
FIELD = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
NOON_MS = int(datetime.fromisoformat(NOON).timestamp() * 1000)


def session_cookie(
    town: Town,
    cardholder: str,
    face: Face = Face.CARDHOLDER,
    subject: str = "",
    role: Role = Role.VIEWER,
    now_ms: int = NOON_MS,
) -> str:
    """The cookie of a session that is new at `now_ms`, kept where the server keeps its own."""
    store = SqliteFaceStore(town.server.data)
    try:
        sessions = Sessions(store, ManualClock(now_ms))
        who = subject or cardholder
        return sessions.open(face, who, cardholder, role, Proof.LINK)[0]
    finally:
        store.close()


def sign_in(context: BrowserContext, town: Town, cardholder: str) -> None:
    """Give a browser a session."""
    cookie = session_cookie(town, cardholder)
    context.add_cookies([{"name": "zw", "value": cookie, "url": town.site}])


class Person:
    """Somebody with a browser."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def get(self, path: str) -> httpx.Response:
        """Open a page."""
        return self.client.get(path)

    def text(self, path: str) -> str:
        """What a page says, without its tags."""
        return read(self.get(path))

    def form(self, page: str, action: str, **wanted: str) -> dict[str, str]:
        """Hidden fields of a form of a page; `wanted` = fields by which it is told from others."""
        for match in FORM.finditer(self.get(page).text):
            fields = {name: unescape(value) for name, value in FIELD.findall(match["fields"])}
            if unescape(match["action"]) == action and wanted.items() <= fields.items():
                return fields
        raise AssertionError(f"no form on {page} goes to {action} {wanted}")

    def press(
        self, page: str, action: str, fields: dict[str, object] | None = None, **wanted: str
    ) -> httpx.Response:
        """Send a form of a page, with these fields filled in."""
        filled: dict[str, object] = {**self.form(page, action, **wanted), **(fields or {})}
        return self.client.post(action, data=filled)


def read(answer: httpx.Response) -> str:
    """A page without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


@contextmanager
def person(
    town: Town,
    cardholder: str,
    face: Face = Face.CARDHOLDER,
    subject: str = "",
    now_ms: int = NOON_MS,
) -> Iterator[Person]:
    """Somebody who is signed in; Chinese unless they choose."""
    cookie = session_cookie(town, cardholder, face, subject, now_ms=now_ms)
    with httpx.Client(base_url=town.site, cookies={"zw": cookie}, timeout=30) as client:
        yield Person(client)
