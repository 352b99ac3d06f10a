"""What the tests of the console share: a house on SQLite with cards that did things."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.gateways.http.house import World, sqlite_world

from zhiwei.core.command import Actor, Via
from zhiwei.core.ids import card_key_of
from zhiwei.core.result import Audit
from zhiwei.ports import Record
from zhiwei.web.console.rows import CardNames


class Desk:
    """A house with one customer and a card, and what the console reads of it."""

    def __init__(self, folder: Path) -> None:
        self.world: World = sqlite_world(folder)
        self.reader = self.world.house.reader
        self.names = CardNames(self.reader)
        self.holder = self.world.cardholder(name="王小明", phone="+8613800138000")
        self.card = self.world.card(cardholder=self.holder)
        self.paid = 0

    @property
    def card_key(self) -> bytes:
        """The card's key."""
        key = card_key_of(self.card)
        assert key is not None
        return key

    def pay(self, times: int = 1, **body: object) -> list[dict[str, Any]]:
        """Pay, each time as a message of its own."""
        decisions = []
        for _ in range(times):
            self.paid += 1
            trace = {"stan": f"{self.paid:06}", "rrn": f"RRN{self.paid:09}"}
            decisions.append(self.world.decision(self.card, **{**trace, **body}))
        return decisions

    def denied(self) -> str:
        """A question that was answered "not mine"; its id."""
        self.world.issuer.set(self.card, "large_spend_verification", {"threshold": 5_000})
        question = str(self.pay(amount=9_000)[0]["challenge"]["id"])
        answer = self.world.issuer.post(f"/v1/challenges/{question}/respond", {"response": "deny"})
        assert answer.status_code == 200, answer.text
        return question

    def keep(self, records: Sequence[Record], audits: Sequence[Audit]) -> None:
        """Keep records with audit lines, as an operator."""

        async def kept() -> None:
            actor = Actor("op_1", Via.CONSOLE, is_staff=True)
            await self.world.house.keep(records, audits, actor)

        self.world.run(kept())

    def close(self) -> None:
        """Let go of the house."""
        self.world.close()
