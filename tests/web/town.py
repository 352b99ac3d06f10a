"""A real `zhiwei serve` with people in it: cardholders, cards, authorizations, and its clock."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

from zhiwei.bench.cards import pan_of
from zhiwei.demo.server import Server
from zhiwei.simulate.http_door import HttpDoor, Reply

Document: TypeAlias = "dict[str, Any]"

#: Where the clock stands when a test begins: a Monday in Shanghai.
NOON = "2025-11-24T12:00:00.000+08:00"
#: The first number (of the bench's test range) that the tests of pages use.
_FIRST_CARD = 400_000_000
#: A shop in Zhengzhou (河南), where nothing is unusual.
SHOP: Document = {"name": "便民超市", "mcc": "5411", "country": "CHN", "region": "41"}


@dataclass(frozen=True)
class Card:
    """A card as the bank knows it; the number itself is kept by nobody."""

    id: str
    cardholder: str
    tail: str


class Town:
    """One server on SQLite in test mode, and what a bank with an issuer key does with it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.door = HttpDoor(server.http, server.key("issuer"))
        #: Where browsers find it. A passkey belongs to a name, so it is a name and no address.
        self.site = server.http.replace("127.0.0.1", "localhost")
        self._numbers = count(_FIRST_CARD)

    def call(self, method: str, path: str, body: Document | None = None, **headers: str) -> Reply:
        """A call of the API with the issuer's key; header names are written with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.door.call(method, path, body, headers=sent)

    def set_clock(self, now: str = NOON) -> None:
        """The clock stands still at an instant (ISO 8601 with its offset)."""
        self.call("PUT", "/v1/test_helpers/clock", {"now": now})

    def cardholder(self, name: str = "王小明", **more: str) -> str:
        """Somebody new; `more` = other fields, for example `phone` or `locale`. Their id."""
        made: str = self.call("POST", "/v1/cardholders", {"name": name, **more}).document["id"]
        return made

    def card(self, cardholder: str = "", **more: object) -> Card:
        """A new card in CNY with a chip; of a new cardholder unless one is named."""
        body: Document = {
            "pan": pan_of(next(self._numbers)),
            "cardholder": cardholder or self.cardholder(),
            "currency": "CNY",
            "time_zone": "Asia/Shanghai",
            "has_chip": True,
            "network": "unionpay",
            **more,
        }
        made = self.call("POST", "/v1/cards", body).document
        return Card(made["id"], made["cardholder"], made["tail"])

    def control(self, card: Card, kind: str, body: Document | None = None) -> Document:
        """Set a control that was not set before, for example `night_lock`."""
        path = f"/v1/cards/{card.id}/controls/{kind}"
        return self.call("PUT", path, body or {}, If_None_Match="*").document

    def authorize(self, card: Card, amount: int = 6800, **more: object) -> Document:
        """A purchase with the chip at a counter; `amount` in minor units. The decision."""
        body: Document = {
            "card": card.id,
            "kind": "purchase",
            "channel": "pos",
            "medium": "chip",
            "amount": amount,
            "currency": "CNY",
            "merchant": SHOP,
            **more,
        }
        return self.call("POST", "/v1/authorizations", body).document

    def operator(self, name: str = "李强", role: str = "officer") -> str:
        """Somebody new at the desk, as `zhiwei operators add` makes them. Their id."""
        words = ("operators", "add", name, "--role", role, "--json")
        made = self.server.command(*words, "--data", str(self.server.data))
        return str(json.loads(made)["id"])

    def entrance(self, who: str) -> str:
        """The path of a link that signs somebody in once: `cardholder:<id>`, `operator:<id>`."""
        said = self.server.command("enter", who, "--data", str(self.server.data))
        return said.strip().splitlines()[-1].removeprefix(self.site).removeprefix(self.server.http)


@contextmanager
def open_town(folder: Path) -> Iterator[Town]:
    """A town with everything that it writes below `folder`; its server ends with the block."""
    server = Server(folder / "data", folder / "server.log")
    server.start()
    try:
        town = Town(server)
        town.set_clock()
        try:
            yield town
        finally:
            town.door.close()
    finally:
        assert server.stop() == 0, "the server ends in good order"
