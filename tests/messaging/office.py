"""An office: a real house with one cardholder and one card, and a planner that reads its events."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

from tests.gateways.http.house import NOON, PAN, WORDS, World, memory_world

from zhiwei.core.command import Actor, Via
from zhiwei.core.event import Event, EventKind
from zhiwei.core.ids import card_key_of
from zhiwei.messaging.model import CHANNELS, Message, Plan, Planned, Status
from zhiwei.messaging.planner import Planner
from zhiwei.messaging.settings import BudgetSettings, MessagingSettings
from zhiwei.messaging.texts import Texts
from zhiwei.ports import Cardholder, EventRow, MessagePreferences, Record

PHONE = "+8613800138000"
EMAIL_ADDRESS = "lilei@example.cn"
STAFF = Actor("staff", Via.HTTP, is_staff=True)
EVERYTHING = frozenset(CHANNELS)


class Office:
    """Everything that the planner needs, and what it has spent."""

    def __init__(
        self,
        channels: frozenset[str] = EVERYTHING,
        budgets: BudgetSettings | None = None,
        **card: Any,  # noqa: ANN401 - whatever a card is registered with
    ) -> None:
        self.world: World = memory_world()
        self.settings = MessagingSettings(budgets=budgets or BudgetSettings())
        self.planner = Planner(
            self.world.house.reader,
            Texts(WORDS, self.settings.alerts, entry_of=self.world.house.reader.entry),
            self.settings,
            channels=channels,
            event_json=lambda row: f'{{"id":"{row.id}"}}',
        )
        self.spending: dict[str, list[int]] = defaultdict(list)
        self.holder = self.world.cardholder(name="李雷", phone=PHONE, email=EMAIL_ADDRESS)
        self.card = self.world.card(PAN, cardholder=self.holder, **card)
        self.card_key = card_key_of(self.card) or b""

    def close(self) -> None:
        """Let go of the house."""
        self.world.close()

    def keep(self, *records: Record) -> None:
        """Put records into the store."""
        self.world.run(self.world.store.keep(records, [], STAFF, self.now_ms))

    @property
    def now_ms(self) -> int:
        """The house's clock."""
        return self.world.clock.now_ms()

    def prefer(self, channels: str = "{}", start: str = "", end: str = "") -> None:
        """Keep what the cardholder prefers."""
        self.keep(MessagePreferences(self.holder, NOON, channels, start, end))

    def person(self, **changes: Any) -> None:  # noqa: ANN401 - whatever a person has
        """Say something new of the cardholder."""
        found = self.world.house.reader.record(Cardholder, self.holder)
        assert found is not None
        self.keep(replace(found, **changes))

    def rows(self, kind: EventKind) -> list[EventRow]:
        """What the house has told of a kind, oldest first."""
        found = self.world.house.reader.events(card_key=self.card_key, limit=1000)
        return [row for row in reversed(found) if row.event.kind is kind]

    def event(self, kind: EventKind, /, **facts: Any) -> EventRow:  # noqa: ANN401 - as events have
        """An event of the card as the guardian would write it."""
        return EventRow(1, "evt_made", self.card_key, 1, self.now_ms, Event(kind, facts))

    def plan(self, row: EventRow, at_ms: int = -1) -> Plan:
        """What the planner makes of an event; what it uses up is spent."""
        now_ms = self.now_ms if at_ms < 0 else at_ms
        plan = self.planner.plan(row, now_ms, self.spent)
        for name in plan.budgets:
            self.spending[name].append(now_ms)
        return plan

    def spent(self, name: str, since_ms: int) -> int:
        """As a message store counts."""
        return sum(1 for at_ms in self.spending[name] if at_ms >= since_ms)


def to_people(plan: Plan) -> list[Planned]:
    """Messages to the cardholder."""
    return [p for p in plan.messages if p.message.channel in ("sms", "email", "push")]


def sent(plan: Plan) -> dict[str, str]:
    """Addresses of what goes out to the cardholder, by the last part of the message's id."""
    return {
        planned.message.id.rpartition("-")[2]: planned.message.to
        for planned in to_people(plan)
        if planned.status is Status.QUEUED
    }


def withheld(plan: Plan) -> dict[str, tuple[Status, str]]:
    """What does not go out, and why."""
    return {
        planned.message.id.rpartition("-")[2]: (planned.status, planned.detail)
        for planned in plan.messages
        if planned.status is not Status.QUEUED
    }


def only(plan: Plan, channel: str) -> Message:
    """The one message of a channel."""
    (found,) = [p.message for p in plan.messages if p.message.channel == channel]
    return found
