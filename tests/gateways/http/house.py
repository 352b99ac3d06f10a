"""A real house for the tests of the HTTP door: guardian, services, words, vault and a store."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from zhiwei.clock import ManualClock
from zhiwei.core.card_state import CardState
from zhiwei.core.command import Actor, Command
from zhiwei.core.entry import Entry
from zhiwei.core.policy import DEFAULT_POLICY, Policy
from zhiwei.core.result import NOTHING_RELATED, Audit, Result
from zhiwei.gateways import response_codes
from zhiwei.gateways.http.app import build_app
from zhiwei.gateways.http.house import DEFAULT_SETTINGS, House, MessageDesk, Rooms, Settings
from zhiwei.gateways.http.keys import new_key
from zhiwei.gateways.http.record_ids import IdMint
from zhiwei.gateways.in_force import InForce
from zhiwei.gateways.policy_desk import PolicyDesk
from zhiwei.guardian import guardian_under
from zhiwei.ports import ApiKey, Kept, Store
from zhiwei.services import JUDGES
from zhiwei.services.security_checkup import Device, Mode, document, examine, history_of
from zhiwei.services.spend_limits import ALL_CHANNELS, reports
from zhiwei.services.stop_payment import read_command
from zhiwei.stores.memory import MemoryStore
from zhiwei.stores.sqlite.store import SqliteStore
from zhiwei.vault import Vault
from zhiwei.words import load_sentences
from zhiwei.zones import load_zone

T = TypeVar("T")

assert load_zone("Asia/Shanghai") is not None, "there is no zone database"

#: 2025-11-24 12:00 in Shanghai, a Monday.
NOON = 1_763_956_800_000
HOUR = 3_600_000
DAY = 24 * HOUR
WORDS = load_sentences()
CODES = response_codes.load()
PAN = "6212345678901232"
OTHER_PAN = "6200000000000005"


def rooms_of(policy: Callable[[], Policy]) -> Rooms:
    """The services as the wiring hands them over."""

    def examined(
        cards: Sequence[CardState],
        entries_of: Callable[[CardState], Iterable[Entry]],
        mode: str,
        device: dict[str, Any] | None,
        now_ms: int,
    ) -> dict[str, Any]:
        depth = Mode[mode.upper()]
        histories = [history_of(c, entries_of(c), now_ms) for c in cards if depth is Mode.FULL]
        told = None if device is None else Device(**device)
        return document(examine(cards, histories, policy(), now_ms, depth, told))

    return Rooms(
        judges=dict(JUDGES),
        limits=lambda state, moment: reports(policy(), state, ALL_CHANNELS, moment),
        examine=examined,
        read_message=read_command,
    )


class Client:
    """Calls the application without a socket, from ordinary test code, with one key."""

    def __init__(self, world: World, key: str | None, **headers: str) -> None:
        self._world = world
        self.key = key
        self._headers = headers

    def strong(self) -> Client:
        """The same key, asserting that the cardholder was strongly authenticated."""
        return Client(self._world, self.key, **{"Authentication-Strength": "strong"})

    def call(
        self, method: str, path: str, body: object = None, /, **headers: str
    ) -> httpx.Response:
        """Send one call; header names are written with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key is not None:
            sent.setdefault("Authorization", f"Bearer {self.key}")
        content = None
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        sent = {**self._headers, **sent}
        return self._world.run(self._world.send(method, path, content, sent))

    def get(self, path: str, /, **headers: str) -> httpx.Response:
        """GET."""
        return self.call("GET", path, **headers)

    def post(self, path: str, body: object = None, /, **headers: str) -> httpx.Response:
        """POST."""
        return self.call("POST", path, body, **headers)

    def put(self, path: str, body: object = None, /, **headers: str) -> httpx.Response:
        """PUT."""
        return self.call("PUT", path, body, **headers)

    def patch(self, path: str, body: object = None, /, **headers: str) -> httpx.Response:
        """PATCH."""
        return self.call("PATCH", path, body, **headers)

    def delete(self, path: str, /, **headers: str) -> httpx.Response:
        """DELETE."""
        return self.call("DELETE", path, **headers)

    def set(self, card: str, control: str, body: object = None) -> httpx.Response:
        """Set a control, saying which state the change starts from."""
        path = f"/v1/cards/{card}/controls/{control}"
        now = self.get(path)
        if now.status_code == 200 and "ETag" in now.headers:
            return self.put(path, body or {}, If_Match=now.headers["ETag"])
        return self.put(path, body or {}, If_None_Match="*")

    def remove(self, card: str, control: str) -> httpx.Response:
        """Remove a control that is set."""
        path = f"/v1/cards/{card}/controls/{control}"
        return self.delete(path, If_Match=self.get(path).headers["ETag"])


@dataclass
class World:
    """A house, its application, its keys, and a loop to run them on."""

    store: Store
    policy: Policy = DEFAULT_POLICY
    settings: Settings = DEFAULT_SETTINGS
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    is_test_mode: bool = True
    why_unready: str = ""
    fails: Exception | None = None
    messages: MessageDesk | None = None
    inbound_secrets: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        self.keys: dict[str, ApiKey] = {}
        self.guardian = guardian_under(self.policy)
        self.loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self.in_force = InForce(self.policy, CODES)
        mint = IdMint()
        self.house = House(
            submit=self.submit,
            keep=self._keep,
            reader=self.store.reader(),
            find_key=self.keys.get,
            in_force=lambda: self.in_force,
            clock=self.clock,
            vault=Vault(bytes(range(32))),
            words=WORDS,
            rooms=rooms_of(lambda: self.in_force.policy),
            metrics=CollectorRegistry(),
            unready=lambda: self.why_unready,
            test_clock=self.clock if self.is_test_mode else None,
            settings=self.settings,
            rehearse=lambda state, command, at_ms: self.guardian.step(
                state, NOTHING_RELATED, command, at_ms
            ),
            messages=self.messages,
            inbound_secrets=self.inbound_secrets,
            policies=PolicyDesk(
                reader=self.store.reader(),
                keep=self._keep,
                in_force=lambda: self.in_force,
                switch=self._switch,
                clock=self.clock,
                new_id=mint.new,
            ),
            mint=mint,
        )
        self.app: FastAPI = build_app(self.house)
        self.issuer = self.client("issuer")
        self.operator = self.client("operator")
        self.strong = self.issuer.strong()

    def client(self, scope: str, subject: str = "") -> Client:
        """A client with a new key."""
        record, text = new_key(scope, subject, "test", NOON)
        self.keys[record.id] = record
        return Client(self, text)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait for a coroutine."""
        return self.loop.run_until_complete(coroutine)

    async def send(
        self,
        method: str,
        path: str,
        content: bytes | None,
        headers: Mapping[str, str | bytes],
        app: FastAPI | None = None,
    ) -> httpx.Response:
        """One call to the application, or to another one."""
        transport = httpx.ASGITransport(app=app or self.app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://guardian") as client:
            raw = {name.encode(): _raw(value) for name, value in headers.items()}
            return await client.request(method, path, content=content, headers=raw)

    async def call_at(
        self, app: FastAPI, method: str, path: str, body: object, **headers: str
    ) -> httpx.Response:
        """One call of the issuer's to one of several servers."""
        known = {"Authorization": f"Bearer {self.issuer.key}", "Content-Type": "application/json"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.send(method, path, json.dumps(body).encode(), {**known, **named}, app)

    def beside(self, meanwhile: Callable[[], Awaitable[None]]) -> FastAPI:
        """Another server on the same store; `meanwhile` is done before it keeps anything."""

        async def keep(records: Sequence[Kept], audits: Sequence[Audit], actor: Actor) -> None:
            await meanwhile()
            await self.house.keep(records, audits, actor)

        return build_app(replace(self.house, keep=keep, metrics=CollectorRegistry()))

    def close(self) -> None:
        """Let go of the store and the loop."""
        self.run(self.store.close())
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()

    async def submit(self, commands: list[Command]) -> list[Result]:
        """Carry commands out, as the engine would."""
        if self.fails is not None:
            raise self.fails
        with self._lock:
            now_ms = self.clock.now_ms()
            return await self.store.transact(commands, self.guardian.step, now_ms)

    def _switch(self, new: InForce) -> None:
        self.guardian = guardian_under(new.policy)
        self.in_force = new

    async def _keep(
        self,
        records: Sequence[Kept],
        audits: Sequence[Audit],
        actor: Actor,
        then: Callable[[], None] | None = None,
    ) -> None:
        if self.fails is not None:
            raise self.fails
        with self._lock:
            await self.store.keep(records, audits, actor, self.clock.now_ms())
            if then is not None:
                then()

    # What most tests begin with.

    def cardholder(self, **body: object) -> str:
        """Id of a new cardholder."""
        answer = self.issuer.post("/v1/cardholders", body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def card(self, pan: str = PAN, **body: object) -> str:
        """Id of a new card."""
        answer = self.issuer.post("/v1/cards", {"pan": pan, **body})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def ask(self, card: str, **body: object) -> httpx.Response:
        """Ask for a purchase at a shop in Guangdong by chip, unless the test says otherwise."""
        asked: dict[str, object] = {
            "card": card,
            "kind": "purchase",
            "channel": "pos",
            "medium": "chip",
            "amount": 10_000,
            "currency": "CNY",
            "merchant": {
                "id": "M0001",
                "name": "小店",
                "mcc": "5411",
                "country": "CHN",
                "region": "44",
            },
        }
        key = body.pop("key", None)
        headers = {} if key is None else {"Idempotency_Key": str(key)}
        return self.issuer.post("/v1/authorizations", {**asked, **body}, **headers)

    def decision(self, card: str, **body: object) -> dict[str, Any]:
        """The decision about such a purchase."""
        answer = self.ask(card, **body)
        assert answer.status_code == 200, answer.text
        decided: dict[str, Any] = answer.json()
        return decided

    def at(self, text: str) -> None:
        """Put the clock to an instant."""
        answer = self.issuer.put("/v1/test_helpers/clock", {"now": text})
        assert answer.status_code == 200, answer.text


def _raw(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def memory_world(**settings: Any) -> World:  # noqa: ANN401 - whatever a World takes
    """A house that keeps nothing."""
    return World(MemoryStore(), **settings)


def sqlite_world(folder: Path, **settings: Any) -> World:  # noqa: ANN401 - as above
    """A house on SQLite."""
    return World(SqliteStore(folder), **settings)
