"""A town for forged messages: people with phones, cards, locks and open questions, in one process.

Real parts: guardian, SQLite stores, the HTTP application (called without a socket), conversation.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, final

import httpx
from prometheus_client import CollectorRegistry
from standardwebhooks import Webhook

from zhiwei.clock import ManualClock
from zhiwei.core.command import Actor, Command, LiftStop, Via
from zhiwei.core.ids import card_key_of
from zhiwei.core.policy import DEFAULT_POLICY
from zhiwei.core.result import Audit, Result
from zhiwei.core.windows import HOUR_MS
from zhiwei.gateways.http.app import build_app
from zhiwei.gateways.http.house import Document, House, MessageDesk, Rooms
from zhiwei.gateways.http.keys import ISSUER, new_key
from zhiwei.gateways.http.signatures import PURPOSE
from zhiwei.gateways.in_force import InForce
from zhiwei.gateways.response_codes import load as load_response_codes
from zhiwei.guardian import guardian_under
from zhiwei.messaging.contacts import settler
from zhiwei.messaging.conversation import Conversation
from zhiwei.messaging.reply import Taken
from zhiwei.ports import ApiKey, ContactConsent, Kept, TrustedContact
from zhiwei.services import JUDGES
from zhiwei.services.spend_limits import ALL_CHANNELS, reports
from zhiwei.services.stop_payment import read_command
from zhiwei.stores.messages.store import SqliteMessageStore
from zhiwei.stores.sqlite.store import SqliteStore
from zhiwei.vault import Vault
from zhiwei.words import load_sentences
from zhiwei.zones import load_zone

#: 2025-11-24 12:00 in Shanghai.
_START_MS: Final = 1_763_956_800_000
#: Cards of each person; the last two share one phone.
_CARDS: Final = (1, 1, 1, 2, 2, 3, 1, 1)
_CONTACT_PHONE: Final = "+8613800009999"
_ASKED: Final[Document] = {
    "kind": "purchase",
    "channel": "pos",
    "medium": "chip",
    "amount": 10_000,
    "currency": "CNY",
}
_SHOP: Final = {"id": "M0001", "name": "小店", "mcc": "5411", "country": "CHN", "region": "44"}

assert load_zone("Asia/Shanghai") is not None, "there is no zone database"


@dataclass
class Person:
    """Somebody who registered a phone."""

    phone: str
    cards: list[str]
    tails: list[str]
    #: References of open questions that a "yes" by SMS may answer, and of those it may not.
    verifications: list[str]
    locks: list[str]
    #: References of questions that are over.
    over: list[str]

    @property
    def references(self) -> list[str]:
        """All references that this person's cards ever had."""
        return [*self.verifications, *self.locks, *self.over]


@final
class Town:
    """The people, and the two doors by which a text message comes in."""

    def __init__(self, folder: Path) -> None:
        self.clock: Final = ManualClock(_START_MS)
        self.store: Final = SqliteStore(folder)
        self.counts: Final = SqliteMessageStore(folder)
        self.reader: Final = self.store.reader()
        self.people: Final[list[Person]] = []
        self._words: Final = load_sentences()
        self._step: Final = guardian_under(DEFAULT_POLICY).step
        self._vault: Final = Vault(secrets.token_bytes(32))
        record, self._key = new_key(ISSUER, "", "bench", _START_MS)
        self._keys: Final[dict[str, ApiKey]] = {record.id: record}
        self.conversation: Final = Conversation(
            reader=self.reader,
            submit=self._submit,
            texts=self._words,
            policy=lambda: DEFAULT_POLICY,
            read_command=read_command,
            counts=self.counts,
            clock=self.clock,
            settle=settler(self.reader, self._keep, self.clock),
        )
        transport = httpx.ASGITransport(app=build_app(self._house()))
        self._client: Final = httpx.AsyncClient(transport=transport, base_url="http://bench")

    async def close(self) -> None:
        """Let go of everything."""
        await self._client.aclose()
        self.counts.close()
        await self.store.close()

    async def populate(self) -> None:
        """Register the people."""
        token = 0
        holders: list[str] = []
        for number, count in enumerate(_CARDS):
            phone = f"+861380000{min(number, len(_CARDS) - 2):04d}"
            holder = await self._call("POST", "/v1/cardholders", {"phone": phone})
            person = Person(phone, [], [], [], [], [])
            for _ in range(count):
                token += 1
                tail = f"{7000 + 13 * token}"
                body = {"token": f"t{token}", "tail": tail, "cardholder": holder["id"]}
                card = await self._call("POST", "/v1/cards", body)
                await self._first_set(card["id"], "large_spend_verification", {"threshold": 5_000})
                await self._first_set(card["id"], "region_lock", {"regions": ["44"]})
                person.cards.append(card["id"])
                person.tails.append(tail)
            self.people.append(person)
            holders.append(holder["id"])
        await self._trust(holders[0], self.people[0])

    async def _trust(self, cardholder: str, person: Person) -> None:
        """Somebody without cards is a trusted contact (信任联系人), who may stop and no more."""
        named = TrustedContact(
            "contact_1", _START_MS, cardholder, "", _CONTACT_PHONE, "zh", "123456"
        )
        said = ContactConsent(named.id, _START_MS, _CONTACT_PHONE, _START_MS)
        await self._keep((named, said), (), Actor("app", Via.APP, is_strong=True))
        self.people.append(Person(_CONTACT_PHONE, [], person.tails, [], [], []))

    async def next_hour(self) -> None:
        """An hour later: stops are lifted in the app, old questions are over, new ones are open."""
        self.clock.advance(HOUR_MS)
        for person in self.people:
            person.over = person.references[-8:]
            person.verifications, person.locks = [], []
            for card in person.cards:
                key = card_key_of(card)
                assert key is not None, "ids of the door are ids"
                actor = Actor("app", Via.APP, is_strong=True)
                await self._submit([Command(key, change=LiftStop(), actor=actor, nonce=bytes(8))])
                person.verifications += await self._question(card, _SHOP)
                person.locks += await self._question(card, {"id": "M0002"})

    async def post(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """Bring a text message to the HTTP door."""
        return await self._client.post("/v1/inbound_messages", content=body, headers=headers)

    def signed(self, body: bytes, message_id: str, *, age_seconds: int = 0) -> dict[str, str]:
        """Headers of a web gateway that signs."""
        at = datetime.fromtimestamp(int(datetime.now(tz=UTC).timestamp()) - age_seconds, tz=UTC)
        webhook = Webhook(self._vault.derived_secret(PURPOSE))
        return {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": webhook.sign(message_id, at, body.decode()),
        }

    def neutral(self) -> str:
        """The one sentence that a stranger may see."""
        return self._words.text("sms.neutral", "zh", {})

    async def _question(self, card: str, merchant: dict[str, str]) -> list[str]:
        asked = {**_ASKED, "card": card, "merchant": merchant}
        question = (await self._call("POST", "/v1/authorizations", asked))["challenge"]
        return [] if question is None else [question["reference"]]

    async def _first_set(self, card: str, control: str, body: Document) -> None:
        await self._call("PUT", f"/v1/cards/{card}/controls/{control}", body)

    async def _call(self, method: str, path: str, body: Document) -> Document:
        """One call of the bank's own systems."""
        headers = {
            "authorization": f"Bearer {self._key}",
            "content-type": "application/json",
            "if-none-match": "*",
        }
        content = json.dumps(body).encode()
        answer = await self._client.request(method, path, content=content, headers=headers)
        answer.raise_for_status()
        document: Document = answer.json()
        return document

    async def _submit(self, commands: list[Command]) -> list[Result]:
        return await self.store.transact(commands, self._step, self.clock.now_ms())

    async def _keep(self, records: Sequence[Kept], audits: Sequence[Audit], actor: Actor) -> None:
        await self.store.keep(records, audits, actor, self.clock.now_ms())

    async def _inbound(self, sender: str, text: str, message_id: str) -> Taken:
        now_ms = self.clock.now_ms()
        return Taken(
            await self.conversation.take(sender, text, now_ms=now_ms, message_id=message_id)
        )

    async def _replay(self, ids: Sequence[str]) -> int:
        return self.counts.replay(ids, self.clock.now_ms())

    def _house(self) -> House:
        in_force = InForce(DEFAULT_POLICY, load_response_codes(None))
        return House(
            submit=self._submit,
            keep=self._keep,
            reader=self.reader,
            find_key=self._keys.get,
            in_force=lambda: in_force,
            clock=self.clock,
            vault=self._vault,
            words=self._words,
            rooms=Rooms(
                limits=lambda state, at: reports(DEFAULT_POLICY, state, ALL_CHANNELS, at),
                judges=dict(JUDGES),
                examine=_no_checkup,
                read_message=read_command,
            ),
            metrics=CollectorRegistry(),
            unready=lambda: "",
            messages=MessageDesk(self.counts.reader(), self._replay, self._inbound),
        )


def _no_checkup(*_: object, **__: object) -> dict[str, Any]:
    raise AssertionError("nobody asks for a check-up here")


def tails_of(people: Iterable[Person]) -> set[str]:
    """Tails of all cards of these people."""
    return {tail for person in people for tail in person.tails}
