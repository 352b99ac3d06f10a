"""Planner: from one event of the outbox to the messages that tell it.

The same event gives the same messages with the same ids. They go to the contacts that the bank
keeps of the card's holder, never to a number or address that came in a request. What is not to be
sent (not wanted, quiet hours, budget used up) is planned all the same and says why, so that support
can answer "why did I get nothing".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, final

from zhiwei.core.card_state import CardState
from zhiwei.core.event import EventKind
from zhiwei.core.ids import card_id
from zhiwei.core.windows import MINUTE_MS, Moment
from zhiwei.core.zone import DAY_MS
from zhiwei.messaging.budgets import Budgets, Spent, Tier
from zhiwei.messaging.contact_planning import ContactPlanning
from zhiwei.messaging.kinds import (
    CHAT_KINDS,
    NEVER_SILENT,
    WAYS,
    Ways,
    is_urgent,
    loosens,
    ways_of,
)
from zhiwei.messaging.lanes import lane_of, message_id
from zhiwei.messaging.model import (
    CHAT,
    PUSH,
    SMS,
    WEBHOOK,
    Message,
    Plan,
    Planned,
    Status,
)
from zhiwei.messaging.preferences import Preferences, preferences_of
from zhiwei.messaging.settings import MessagingSettings
from zhiwei.messaging.subscribers import Subscribers
from zhiwei.messaging.texts import Texts
from zhiwei.ports import Cardholder, EventRow, MessagePreferences, Reader

#: For so long after a change the contacts of before are told of loosenings too.
FORMER_CONTACT_MS: Final = 30 * DAY_MS
#: The cards of a person hear of new contact data within this time.
_SAME_CHANGE_MS: Final = MINUTE_MS
_CARDS_LOOKED_AT: Final = 100
#: The control's name for a push.
_APP: Final = "app"
_LOUD: Final = frozenset((SMS, PUSH))


def remembers_former(holder: Cardholder, now_ms: int) -> bool:
    """Whether a cardholder's contacts changed so lately that those of before still count."""
    return holder.contact_changed_ms > 0 and now_ms < holder.contact_changed_ms + FORMER_CONTACT_MS


@dataclass(frozen=True)
class _Address:
    """Where a channel reaches somebody."""

    channel: str
    #: Empty where the channel knows the way itself (push), or where there is none.
    to: str
    #: Last part of the message's id.
    tag: str
    is_former: bool = False


@dataclass(frozen=True)
class _Telling:
    """One event on its way to its cardholder."""

    row: EventRow
    state: CardState
    holder: Cardholder
    preferences: Preferences
    now_ms: int


@final
class Planner:
    """Makes messages of events. One thread at a time may use it."""

    def __init__(
        self,
        reader: Reader,
        texts: Texts,
        settings: MessagingSettings,
        *,
        channels: frozenset[str],
        event_json: Callable[[EventRow], str],
        operators_language: str = "zh",
    ) -> None:
        """Only `channels` that are configured are planned.

        `event_json` makes the body of a webhook.
        """
        self._reader: Final = reader
        self._texts: Final = texts
        self._settings: Final = settings
        self._channels: Final = channels
        # Without a channel of its own the house leaves people to the issuer, who reads the events.
        self._has_own_channels: Final = channels != frozenset((WEBHOOK,))
        self._event_json: Final = event_json
        self._operators_language: Final = operators_language
        self._subscribers: Final = Subscribers(reader)
        self._contacts: Final = ContactPlanning(reader, texts)

    def look(self) -> bool:
        """Look who wants to hear of events; whether anybody may be told anything.

        Call it after events were read and before they are planned.
        """
        has_subscribers = WEBHOOK in self._channels and self._subscribers.look()
        return has_subscribers or self._has_own_channels

    def plan(self, row: EventRow, now_ms: int, spent: Spent) -> Plan:
        """Messages of one event, and the budgets that they use up.

        `now_ms` is the house's instant: it decides quiet hours, budgets and what is pointless.
        A question that reaches nobody is planned as one message that has failed.
        """
        budgets = Budgets(self._settings.budgets, spent, now_ms)
        planned: list[Planned] = []
        state = self._reader.card(row.card_key) if self._has_own_channels else None
        if state is not None:
            planned += self._to_cardholder(row, state, now_ms, budgets)
            planned += self._to_operators(row, state)
        planned += self._to_subscribers(row)
        return Plan(tuple(planned), budgets.taken)

    def _to_cardholder(
        self, row: EventRow, state: CardState, now_ms: int, budgets: Budgets
    ) -> list[Planned]:
        """What the card's holder is told, and on which channels."""
        if row.event.kind not in WAYS:
            return []
        holder = self._reader.record(Cardholder, state.settings.profile.cardholder)
        if holder is None:
            return self._nowhere(row, "zh", "the card has no holder")
        if row.event.kind is EventKind.CONTACT_CHANGED and self._is_told_elsewhere(row, holder):
            return []
        record = self._reader.record(MessagePreferences, holder.id)
        telling = _Telling(row, state, holder, preferences_of(record), now_ms)
        addresses = [
            address
            for channel in self._chosen(telling)
            for address in self._addresses(telling, channel)
        ]
        planned = [self._planned(telling, address, budgets) for address in addresses]
        if not planned and row.event.kind is EventKind.CHALLENGE_CREATED:
            return self._nowhere(row, holder.locale, "there is no address to ask at")
        planned += self._not_wanted(telling, {address.tag for address in addresses})
        if SMS in self._channels:
            planned += self._contacts.planned(row, state, holder, budgets)
        return planned

    def _chosen(self, telling: _Telling) -> list[str]:
        """Channels that it goes out on."""
        row = telling.row
        ways = ways_of(row, telling.state)
        wanted = _wanted(telling, ways)
        chosen = [c for c in wanted if self._can_reach(telling, c)]
        may_fall_back = wanted is ways.channels or row.event.kind in NEVER_SILENT or loosens(row)
        if chosen or not may_fall_back:
            return chosen
        fallback = (*ways.channels, *ways.otherwise)
        return [c for c in fallback if self._can_reach(telling, c)][:1]

    def _not_wanted(self, telling: _Telling, tags: set[str]) -> list[Planned]:
        """Messages that would have gone out had the cardholder not chosen otherwise."""
        ways = ways_of(telling.row, telling.state)
        if telling.row.event.kind.word not in telling.preferences.channels:
            return []
        return [
            Planned(self._message(telling, address), Status.MUTED, "not wanted")
            for channel in ways.channels
            for address in self._addresses(telling, channel)
            if address.tag not in tags
        ]

    def _planned(self, telling: _Telling, address: _Address, budgets: Budgets) -> Planned:
        """One message, to be sent or not."""
        message = self._message(telling, address)
        if 0 < message.expires_ms <= telling.now_ms:
            return Planned(message, Status.EXPIRED, "the question is over")
        quiet = telling.preferences.quiet
        if quiet is not None and address.channel in _LOUD and not message.is_urgent:
            moment = Moment(telling.now_ms, telling.state.settings.profile.zone)
            if quiet.contains(moment.time_of_day_ms):
                return Planned(message, Status.MUTED, "quiet hours")
        if address.channel == SMS:
            tier = Tier.URGENT if message.is_urgent else Tier.ORDINARY
            if telling.row.event.kind is EventKind.CHALLENGE_CREATED:
                tier = Tier.QUESTION
            used_up = budgets.take(message.card_key, address.to, tier)
            if used_up:
                detail = f"budget of the {used_up} is used up"
                return Planned(message, Status.HELD_BACK, detail)
        return Planned(message)

    def _message(self, telling: _Telling, address: _Address) -> Message:
        """One message with its text."""
        row = telling.row
        language = telling.holder.locale
        text = self._texts.of(
            row,
            telling.state,
            language,
            channel=address.channel,
            is_former=address.is_former,
        )
        body = text.body
        if address.channel == PUSH:
            body = _push_json(telling, text.subject, text.body)
        return Message(
            id=message_id(row, address.tag),
            event_id=row.id,
            kind=row.event.kind.word,
            card_key=row.card_key,
            lane=lane_of(row, address.channel, address.to),
            channel=address.channel,
            to=address.to,
            language=language,
            subject="" if address.channel == SMS else text.subject,
            text=body,
            created_ms=row.at_ms,
            expires_ms=_expires_ms(row),
            is_urgent=is_urgent(row),
            challenge=_challenge(row),
        )

    def _can_reach(self, telling: _Telling, channel: str) -> bool:
        return any(True for _ in self._addresses(telling, channel))

    def _addresses(self, telling: _Telling, channel: str) -> Iterator[_Address]:
        """Where a channel reaches the cardholder: the contact of now, and that of before."""
        if channel not in self._channels:
            return
        holder = telling.holder
        if channel == PUSH:
            yield _Address(PUSH, "", PUSH)
            return
        now, former = (
            (holder.phone, holder.former_phone)
            if channel == SMS
            else (holder.email, holder.former_email)
        )
        if now:
            yield _Address(channel, now, channel)
        is_told = remembers_former(holder, telling.now_ms) and loosens(telling.row)
        if former and former != now and is_told:
            yield _Address(channel, former, f"{channel}2", is_former=True)

    def _nowhere(self, row: EventRow, language: str, detail: str) -> list[Planned]:
        """A question that nobody can be asked: one message that failed, so that it is seen."""
        if row.event.kind is not EventKind.CHALLENGE_CREATED:
            return []
        message = Message(
            id=message_id(row, SMS),
            event_id=row.id,
            kind=row.event.kind.word,
            card_key=row.card_key,
            lane=lane_of(row, SMS, ""),
            channel=SMS,
            to="",
            language=language,
            subject="",
            text="",
            created_ms=row.at_ms,
            expires_ms=_expires_ms(row),
            is_urgent=True,
            challenge=_challenge(row),
        )
        return [Planned(message, Status.FAILED, detail)]

    def _is_told_elsewhere(self, row: EventRow, holder: Cardholder) -> bool:
        """Whether new contact data are told by another card of the person.

        All the cards hear of it, and the first one that there was then tells it, so that the
        person reads it once. A new device of one card is told by that card.
        """
        age_ms = row.at_ms - holder.contact_changed_ms
        if not 0 <= age_ms < _SAME_CHANGE_MS:
            return False
        cards = self._reader.cards(cardholder=holder.id, limit=_CARDS_LOOKED_AT)
        keys = [c.card_key for c in cards if c.settings.profile.created_ms <= row.at_ms]
        return bool(keys) and min(keys) != row.card_key

    def _to_operators(self, row: EventRow, state: CardState) -> list[Planned]:
        """What operators are told in their chat."""
        if CHAT not in self._channels or row.event.kind not in CHAT_KINDS:
            return []
        language = self._operators_language
        text = self._texts.for_operators(row, state, language)
        message = Message(
            id=message_id(row, CHAT),
            event_id=row.id,
            kind=row.event.kind.word,
            card_key=row.card_key,
            lane=lane_of(row, CHAT, ""),
            channel=CHAT,
            to="",
            language=language,
            subject=text.subject,
            text=text.body,
            created_ms=row.at_ms,
            is_urgent=is_urgent(row),
        )
        return [Planned(message)]

    def _to_subscribers(self, row: EventRow) -> list[Planned]:
        """Webhooks of everybody who wants to hear of the kind."""
        if WEBHOOK not in self._channels:
            return []
        kind = row.event.kind.word
        wanted = self._subscribers.of(kind)
        if not wanted:
            return []
        body = self._event_json(row)
        return [
            Planned(
                Message(
                    id=message_id(row, subscription.id),
                    event_id=row.id,
                    kind=kind,
                    card_key=row.card_key,
                    lane=lane_of(row, WEBHOOK, subscription.id),
                    channel=WEBHOOK,
                    to=subscription.id,
                    language="",
                    subject="",
                    text=body,
                    created_ms=row.at_ms,
                    is_urgent=is_urgent(row),
                )
            )
            for subscription in wanted
        ]


def _wanted(telling: _Telling, ways: Ways) -> tuple[str, ...]:
    """Channels that are wanted: the control's own, the cardholder's, or the house's.

    Of what opens the card up everybody is told; a preference can only add to that.
    """
    chosen = telling.preferences.channels.get(telling.row.event.kind.word)
    if loosens(telling.row):
        more = [c for c in chosen or () if c not in ways.channels]
        return (*ways.channels, *more) if more else ways.channels
    own = telling.row.event.facts.get("channels")
    if isinstance(own, list) and own:
        return tuple([PUSH if channel == _APP else channel for channel in own])
    return ways.channels if chosen is None else chosen


def _push_json(telling: _Telling, title: str, body: str) -> str:
    """What the issuer's push gateway is given; it knows the devices of the cardholder."""
    document = {
        "title": title,
        "body": body,
        "kind": telling.row.event.kind.word,
        "event": telling.row.id,
        "cardholder": telling.holder.id,
        "card": card_id(telling.row.card_key),
        "challenge": _challenge(telling.row) or None,
        "language": telling.holder.locale,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _challenge(row: EventRow) -> str:
    """The question that a message asks; empty for messages that ask nothing."""
    if row.event.kind is not EventKind.CHALLENGE_CREATED:
        return ""
    return str(row.event.facts.get("challenge", ""))


def _expires_ms(row: EventRow) -> int:
    """When the question is over; 0 = it is none."""
    expires_ms = row.event.facts.get("expires_ms", 0)
    is_question = row.event.kind is EventKind.CHALLENGE_CREATED
    return expires_ms if is_question and isinstance(expires_ms, int) else 0
