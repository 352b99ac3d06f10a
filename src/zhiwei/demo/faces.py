"""The two faces in the demonstration: a customer and an operator open their pages and use them.

They come in as people do, by one-time links, and press the buttons of the real forms; whoever looks
on gets links of their own for a browser.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from html import unescape
from typing import Final, final

import httpx

from zhiwei.demo import checks
from zhiwei.demo.checks import Claims
from zhiwei.demo.server import Server, ServerError
from zhiwei.simulate.http_door import HttpDoor
from zhiwei.simulate.telling import Line
from zhiwei.stores.faces import SqliteFaceStore
from zhiwei.web.sign_in.codes import new_link
from zhiwei.web.sign_in.model import Face

_FORM: Final = re.compile(
    r'<form[^>]*action="(?P<action>[^"]+)"[^>]*>(?P<fields>.*?)</form>', re.DOTALL
)
_HIDDEN: Final = re.compile(r'type="hidden" name="([^"]+)" value="([^"]*)"')
_OPERATOR: Final = re.compile(r"\bop_[0-9a-z]+")
_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Whose:
    """Whose pages are shown."""

    cardholder: str
    card: str
    #: A refused authorization of the card.
    refused: str


@final
class Faces:
    """Visits to the pages of one server."""

    def __init__(self, server: Server, claims: Claims, door: Callable[[], HttpDoor]) -> None:
        """`door` = the server's HTTP door, once it is open."""
        self._server: Final = server
        self._door: Final = door
        self._claims: Final = claims
        self._operator = ""

    @property
    def site(self) -> str:
        """Where browsers find the pages: by a name, since passkeys belong to one."""
        return self._server.http.replace("127.0.0.1", "localhost")

    async def show(self, whose: Whose) -> None:
        """Use both faces, and claim what they should have done."""
        await asyncio.to_thread(self._customer, whose)
        await asyncio.to_thread(self._desk, whose)

    def links(self, whose: Whose) -> tuple[str, str]:
        """A link for the customer and one for the operator; each lets one browser in, once."""
        return (
            self.site + self._link(f"cardholder:{whose.cardholder}"),
            self.site + self._link(f"operator:{self._operator}"),
        )

    def _customer(self, whose: Whose) -> None:
        """The customer reads why, stops the card with one tap, and cannot lift it so easily."""
        path = f"/me/cards/{whose.card}"
        with closing(self._entered(f"cardholder:{whose.cardholder}")) as browser:
            history = browser.get(f"{path}/history?show=declined").text
            line = re.search(rf'href="({path}/history/[0-9]+)"', history)
            why = browser.get(line[1]).text if line is not None else ""
            stopped = self._press(browser, "/me", f"{path}/do/stop_card")
            home = browser.get("/me").text
            lifted = self._press(browser, "/me", f"{path}/do/lift_stop")
        self._claims.claim(
            checks.FACES,
            held=re.search(rf'href="{path}/(locks|limits|verification)#', why) is not None,
            line=Line(
                "客户打开自己的记录页：每笔拒绝都写着是哪一项设置，并有按钮直达",
                "the customer's history names the control behind each refusal, with a button to it",
            ),
        )
        is_stopped = stopped.status_code == 303 and f"{path}/do/lift_stop" in home
        self._claims.claim(
            checks.FACES,
            held=is_stopped,
            line=Line("在页面上一按止付，立即生效", "one tap on the page stops the card at once"),
        )
        self._claims.claim(
            checks.FACES,
            held=lifted.headers.get("location", "").startswith("/me/prove/"),
            line=Line(
                "解除止付则要先证明是本人（通行密钥或短信验证码）",
                "to lift it the page asks for proof first: a passkey or a code by text message",
            ),
        )

    def _desk(self, whose: Whose) -> None:
        """The operator opens the decision and its why."""
        data = ("--data", str(self._server.data))
        made = self._server.command("operators", "add", "Demo", "--role", "officer", *data)
        found = _OPERATOR.search(made)
        if found is None:
            raise ServerError("no operator was made")
        self._operator = found[0]
        with closing(self._entered(f"operator:{self._operator}")) as browser:
            live = browser.get("/console")
            why = browser.get(f"/console/decisions/{whose.refused}")
        self._claims.claim(
            checks.FACES,
            held=live.status_code == why.status_code == 200 and whose.refused in why.text,
            line=Line(
                "运营控制台打开同一笔：问过的每项控制、它们的数字和策略版本",
                "the console opens the same decision: every control that was asked, its numbers, "
                "and the policy's version",
            ),
        )

    def _entered(self, who: str) -> httpx.Client:
        """A browser in which somebody has signed in."""
        browser = httpx.Client(base_url=self.site, timeout=_SECONDS)
        link = self._link(who)
        entered = self._press(browser, link, "")
        if entered.status_code != 303:
            browser.close()
            raise ServerError(f"a one-time link let nobody in: {entered.status_code}")
        return browser

    def _link(self, who: str) -> str:
        """A link as `zhiwei enter` prints it, but by the server's clock, which stands elsewhere."""
        kind, _, subject = who.partition(":")
        face = Face.OPERATOR if kind == "operator" else Face.CARDHOLDER
        with closing(self._door()) as door:
            now = str(door.call("GET", "/v1/test_helpers/clock").document["now"])
        now_ms = int(datetime.fromisoformat(now).timestamp() * 1000)
        store = SqliteFaceStore(self._server.data)
        try:
            return new_link(store, face, subject, now_ms)
        finally:
            store.close()

    def _press(self, browser: httpx.Client, page: str, action: str) -> httpx.Response:
        """Send the form of a page that goes to `action`; empty = the page's own form."""
        text = browser.get(page).text
        for form in _FORM.finditer(text):
            if unescape(form["action"]) == action:
                return browser.post(action, data=dict(_HIDDEN.findall(form["fields"])))
        return browser.post(action or page, data=dict(_HIDDEN.findall(text)))
