"""What became of an alert: the messages that tell its event, and the best of their states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from zhiwei.gateways.http.caller import Caller
from zhiwei.gateways.http.house import House
from zhiwei.messaging.model import EMAIL, PUSH, SMS, MessageReader, Status, Tracked
from zhiwei.ports import EventRow

AlertStatus: TypeAlias = Literal[
    "queued",
    "sent",
    "delivered",
    "failed",
    "dead",
    "expired",
    "muted",
    "held_back",
    "none",
]
#: Channels that reach the cardholder; the others reach systems and operators.
TO_PEOPLE: Final = (SMS, EMAIL, PUSH)
#: The best state first: what arrived anywhere has arrived.
_BEST_FIRST: Final = (
    Status.DELIVERED,
    Status.SENT,
    Status.QUEUED,
    Status.HELD_BACK,
    Status.DEAD,
    Status.FAILED,
    Status.EXPIRED,
    Status.MUTED,
)
_MESSAGES_MAX: Final = 100
#: Newest messages that are looked at for how far the planning has come; replies tell no event.
_LOOKED_AT: Final = 20


@dataclass(frozen=True)
class Story:
    """The state of an alert and its messages, in the order in which they were planned."""

    status: str
    messages: Sequence[Tracked] = ()


#: A house that sends no messages keeps its alerts.
_KEPT: Final = Story("queued")


def stories_of(house: House, caller: Caller, rows: Sequence[EventRow]) -> list[Story]:
    """What became of each alert; a cardholder sees the messages to people only."""
    if house.messages is None:
        return [_KEPT for _ in rows]
    reader = house.messages.reader
    planned_to = _planned_to(house, reader) if rows else 0
    return [_story(reader, caller, row, planned_to) for row in rows]


def _story(reader: MessageReader, caller: Caller, row: EventRow, planned_to: int) -> Story:
    found = reader.messages(event_id=row.id, limit=_MESSAGES_MAX)[::-1]
    to_people = [tracked for tracked in found if tracked.message.channel in TO_PEOPLE]
    shown = found if caller.is_staff else to_people
    states = {tracked.status for tracked in to_people}
    for status in _BEST_FIRST:
        if status in states:
            return Story(status.word, shown)
    is_planned = bool(found) or row.position <= planned_to
    return Story("none" if is_planned else "queued", shown)


def _planned_to(house: House, reader: MessageReader) -> int:
    """Position of the last event that has a message: up to there everything is planned."""
    for tracked in reader.messages(limit=_LOOKED_AT):
        event = house.reader.event(tracked.message.event_id) if tracked.message.event_id else None
        if event is not None:
            return event.position
    return 0
