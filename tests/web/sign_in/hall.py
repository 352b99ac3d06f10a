"""A house with its entrance: real stores, the real pages and frame, a browser's cookies."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from html import unescape
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
from babel.messages.pofile import read_po
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from tests.gateways.http.house import NOON, World, sqlite_world

from zhiwei.gateways.http.house import MessageDesk
from zhiwei.messaging.model import Message
from zhiwei.messaging.reply import Taken
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.faces import SqliteFaceStore
from zhiwei.stores.messages.store import SqliteMessageStore
from zhiwei.web.frame.assets import asset_routes, load_assets
from zhiwei.web.frame.drawing import Frame
from zhiwei.web.frame.shown import filters
from zhiwei.web.frame.words import load_face_words
from zhiwei.web.sign_in.counter import Counter, Facts
from zhiwei.web.sign_in.entering import SignIn, sign_in_of
from zhiwei.web.sign_in.entrance_pages import entrance_routes
from zhiwei.web.sign_in.model import Deed, Face, Operator, Proof, Role, Session
from zhiwei.web.sign_in.proof_pages import proof_routes
from zhiwei.web.sign_in.security_pages import security_routes
from zhiwei.web.sign_in.settings import FaceSettings
from zhiwei.web.sign_in.site import site_at

ORIGIN = "http://localhost:8080"
PHONE = "+8613800138000"


def sentences(language: str) -> dict[str, str]:
    """What the pages say."""
    place = files("zhiwei.web") / "locale" / language / "LC_MESSAGES" / "sign_in.po"
    with place.open("rb") as file:
        return {str(one.id): str(one.string) for one in read_po(file) if one.id}


class Doings:
    """The table of deeds: remembers what was done."""

    def __init__(self) -> None:
        self.done: list[Deed] = []

    async def told(self, request: Request, session: Session, deed: Deed) -> Facts:
        """What it is."""
        return {"what": "解除尾号1232的止付"}

    async def perform(self, request: Request, session: Session, deed: Deed) -> Response:
        """Do it."""
        self.done.append(deed)
        return RedirectResponse("/me?done=1", 303)


class Hall:
    """The house, its store of faces, and what was sent."""

    def __init__(
        self, folder: Path, settings: FaceSettings | None = None, origin: str = ORIGIN
    ) -> None:
        self.world: World = sqlite_world(folder)
        self.store = SqliteFaceStore(folder)
        self.messages: list[Message] = []
        self.was_sent = threading.Event()
        self.queue_fails = False
        self._mail = SqliteMessageStore(folder)
        self._mail_reader = self._mail.reader()
        house = self.world.house
        object.__setattr__(
            house, "messages", MessageDesk(self._mail_reader, _no_replay, _no_inbound, self._queue)
        )
        self.desk: SignIn = sign_in_of(
            house,
            self.store,
            site_at(origin),
            settings if settings is not None else FaceSettings(),
            sends_sms=True,
        )
        self.doings = Doings()
        self.app = self._opened(origin)
        self.holder = self.world.cardholder(phone=PHONE, name="王芳")

    def _opened(self, origin: str) -> FastAPI:
        """The application, with the entrance and no rooms behind it."""
        assets, words = load_assets(), self.world.house.words
        shown = filters(words, words.country)
        frame = Frame(load_face_words(), assets, shown, is_secure=self.desk.site.is_secure)
        counter = Counter(self.desk, frame, self.doings)
        app = FastAPI()
        app.include_router(asset_routes(assets))
        for routes in (entrance_routes, security_routes, proof_routes):
            app.include_router(routes(counter))
        return app

    async def _queue(self, messages: Sequence[Message]) -> int:
        if self.queue_fails:
            raise StoreUnavailableError
        self.messages += messages
        self.was_sent.set()
        return len(messages)

    @property
    def code(self) -> str:
        """The code that was sent last."""
        found = re.search(r"\d{6}", self.messages[-1].text)
        assert found is not None
        return found[0]

    def audits(self) -> list[tuple[str, str]]:
        """Actions of the trail with who did them, oldest first; without those of the set-up."""
        rows = self.world.house.reader.audits()
        wanted = ("session.", "passkey.")
        return [
            (r.audit.action, r.actor.who) for r in rows[::-1] if r.audit.action.startswith(wanted)
        ]

    def operator(self, operator_id: str = "op_1", oidc: str = "") -> Operator:
        """A new operator."""
        operator = Operator(operator_id, "李强", Role.AGENT, NOON, oidc)
        self.store.add_operator(operator)
        return operator

    def close(self) -> None:
        """Let go of everything."""
        self.store.close()
        self._mail_reader.close()
        self._mail.close()
        self.world.close()


async def _no_replay(ids: Sequence[str]) -> int:
    raise AssertionError


async def _no_inbound(sender: str, text: str, message_id: str) -> Taken:
    raise AssertionError


class Browser:
    """Keeps cookies, follows nothing by itself, and fills in forms."""

    def __init__(self, hall: Hall) -> None:
        self.hall = hall
        self.cookies = httpx.Cookies()
        self.page = ""

    def get(self, path: str) -> httpx.Response:
        """Open a page."""
        return self._send("GET", path)

    def post(self, path: str, **fields: str) -> httpx.Response:
        """Send the form of the page, with its token unless another is given."""
        fields.setdefault("csrf", self.token)
        return self._send("POST", path, data=fields)

    def call(self, path: str, **texts: str) -> httpx.Response:
        """What a script of the page sends."""
        token = texts.pop("csrf", self.token)
        return self._send("POST", path, json=texts, headers={"X-CSRF-Token": token})

    @property
    def token(self) -> str:
        """The CSRF token of the page."""
        found = re.search(r'name="csrf" value="([^"]*)"', self.page)
        return found[1] if found else ""

    @property
    def text(self) -> str:
        """The page without its tags."""
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.page)).split())

    def sign_in(self, face: Face = Face.CARDHOLDER, subject: str = "") -> Session:
        """A session without the pages."""
        subject = subject or self.hall.holder
        cookie, session = self.hall.desk.sessions.open(
            face, subject, self.hall.holder, Role.VIEWER, Proof.CODE
        )
        self.cookies.set("zw", cookie, "localhost.local", "/")
        return session

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.hall.app)
            async with httpx.AsyncClient(
                transport=transport, base_url=ORIGIN, cookies=self.cookies
            ) as client:
                answer = await client.request(method, path, **more)
                self.cookies = client.cookies
                return answer

        answer = self.hall.world.run(send())
        if "html" in answer.headers.get("content-type", ""):
            self.page = answer.text
        return answer
