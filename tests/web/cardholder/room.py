"""A house with the cardholder's real pages in this process: forms are sent as a browser does."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from tests.gateways.http.house import NOON
from tests.web.sign_in.hall import Browser, Hall

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Actor, Via
from zhiwei.core.ids import card_key_of
from zhiwei.ports import ContactConsent, TrustedContact
from zhiwei.web.app import FaceParts, open_faces
from zhiwei.web.sign_in.model import Face
from zhiwei.web.sign_in.settings import FaceSettings
from zhiwei.web.sign_in.site import site_at

CONTACT = "+8613800138333"


class Room(Hall):
    """The hall with every page behind it, one card in CNY, and codes by text message."""

    def __init__(self, folder: Path) -> None:
        self.end_streams: Callable[[], None]
        super().__init__(folder)
        self.card = self.world.card(
            cardholder=self.holder, currency="CNY", time_zone="Asia/Shanghai"
        )

    def _opened(self, origin: str) -> FastAPI:
        """The application of the whole house."""
        parts = FaceParts(self.store, site_at(origin), FaceSettings(), sends_sms=True)
        self.end_streams = open_faces(self.world.app, self.world.house, parts)
        return self.world.app

    def contact(self) -> str:
        """A trusted contact of the holder, who has agreed; their id."""
        named = TrustedContact("contact_1", NOON, self.holder, "李强", CONTACT, "zh", "123456")
        said = ContactConsent("contact_1", NOON, CONTACT, agreed_ms=NOON)

        async def keep() -> None:
            actor = Actor("test", Via.CLI, is_staff=True)
            await self.world.house.keep([named, said], [], actor)

        self.world.run(keep())
        return named.id

    @property
    def state(self) -> CardState:
        """The card's file."""
        key = card_key_of(self.card)
        assert key is not None
        found = self.world.house.reader.card(key)
        assert found is not None
        return found

    def control(self, kind: str) -> Any:  # noqa: ANN401 - any control, as the test knows
        """A control as it is set; None where it is not."""
        return self.state.settings.controls.of_type(kind)


class Person(Browser):
    """Somebody at a page of the card; `page` names it, for example `limits`."""

    def __init__(self, room: Room, face: Face = Face.CARDHOLDER) -> None:
        super().__init__(room)
        self.room = room
        self.sign_in(face, room.contact() if face is Face.CONTACT else "")

    def open(self, page: str, card: str = "") -> httpx.Response:
        """Open a page of the card."""
        return self.get(f"/me/cards/{card or self.room.card}/{page}")

    def etag(self, control: str = "") -> str:
        """The ETag in the first form (about a control)."""
        pattern = r'name="etag" value="([^"]*)"'
        if control:
            pattern += rf'><input type="hidden" name="control" value="{control}"'
        found = re.search(pattern, self.page)
        assert found is not None, "the page has no such form"
        return unescape(found[1])

    def do(self, deed: str, **fields: Any) -> httpx.Response:  # noqa: ANN401 - text or texts
        """Send a form of this page; a form that names no `once` is a form of its own."""
        fields.setdefault("csrf", self.token)
        return self._send("POST", f"/me/cards/{self.room.card}/do/{deed}", data=fields)

    def prove(self, answer: httpx.Response) -> httpx.Response:
        """Prove by a code what a form led to, and what became of it."""
        path = answer.headers["location"]
        assert path.startswith("/me/prove/"), path
        self.get(path)
        self.post(f"{path}/send")
        self.get(f"{path}?sent=1")
        return self.post(f"{path}/code", code=self.room.code)
