"""Post: what waits to be told, what was given up, and sending that again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from zhiwei.core.command import Actor
from zhiwei.core.ids import card_id
from zhiwei.core.result import Audit
from zhiwei.gateways.http.house import House, MessageDesk
from zhiwei.gateways.http.messages import to_tail
from zhiwei.messaging.model import CHANNELS, Status, Tracked
from zhiwei.messaging.replay import REPLAYABLE, may_be_replayed

PAGE: Final = 50
#: States of which all messages of a channel can be sent again at once.
MANY: Final = tuple(status.word for status in REPLAYABLE)
STATUS_WORDS: Final = tuple(status.word for status in Status)
#: Messages that one press of a button sends again at most.
REPLAYED_MAX: Final = 500


@dataclass(frozen=True)
class Queue:
    """One channel."""

    channel: str
    by_status: Mapping[str, int]
    #: Age of the oldest message that waits, seconds; 0 = none waits.
    oldest_seconds: int

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self.by_status.get(Status.QUEUED.word, 0)

    @property
    def over(self) -> int:
        """How many were given up, refused or held back: what can be sent again."""
        return sum(self.by_status.get(status.word, 0) for status in REPLAYABLE)


@dataclass(frozen=True)
class Letter:
    """One message as a list shows it; its address never whole."""

    id: str
    position: int
    kind: str
    channel: str
    card: str
    to_tail: str
    status: str
    tries: int
    detail: str
    created_ms: int
    changed_ms: int
    next_ms: int
    may_be_replayed: bool


def queues(desk: MessageDesk, now_ms: int) -> list[Queue]:
    """Every channel that has messages. Blocking: for a thread."""
    backlog = desk.reader.backlog()
    found: list[Queue] = []
    for channel in CHANNELS:
        by_status = {s.word: n for (name, s), n in backlog.items() if name == channel and n}
        if not by_status:
            continue
        oldest = desk.reader.oldest_queued_ms(channel)
        seconds = max(0, now_ms - oldest) // 1000 if oldest else 0
        found.append(Queue(channel, by_status, seconds))
    return found


def letters(
    desk: MessageDesk, *, status: str = "", channel: str = "", before: int = 0, limit: int = PAGE
) -> tuple[list[Letter], int]:
    """Messages newest first, and below which position the next page begins; 0 = it is the last.

    Blocking: for a thread.
    """
    wanted = Status[status.upper()] if status in STATUS_WORDS else None
    name = channel if channel in CHANNELS else ""
    rows = desk.reader.messages(status=wanted, channel=name, before=before, limit=limit + 1)
    shown = [letter_of(row) for row in rows[:limit]]
    return shown, rows[limit - 1].position if len(rows) > limit else 0


def letter_of(tracked: Tracked) -> Letter:
    """A message as a list shows it."""
    message = tracked.message
    return Letter(
        id=message.id,
        position=tracked.position,
        kind=message.kind,
        channel=message.channel,
        card=card_id(message.card_key) if message.card_key else "",
        to_tail=to_tail(tracked) or "",
        status=tracked.status.word,
        tries=tracked.tries,
        detail=tracked.detail,
        created_ms=message.created_ms,
        changed_ms=tracked.changed_ms,
        next_ms=tracked.next_ms,
        may_be_replayed=may_be_replayed(tracked),
    )


async def replay_one(house: House, desk: MessageDesk, actor: Actor, tracked: Tracked) -> int:
    """Send a message again, audited before it is done; how many were queued (0 or 1).

    Raises:
        StoreUnavailableError: nothing was queued.
    """
    if not may_be_replayed(tracked):
        return 0
    audit = Audit("message.replayed", tracked.message.id, tracked.status.word, "queued")
    await house.keep((), (audit,), actor)
    return await desk.replay([tracked.message.id])


async def replay_many(
    house: House, desk: MessageDesk, actor: Actor, rows: list[Letter], channel: str, status: str
) -> int:
    """Send up to REPLAYED_MAX messages again, audited before; how many were queued.

    Raises:
        StoreUnavailableError: nothing was queued.
    """
    ids = [row.id for row in rows[:REPLAYED_MAX] if row.may_be_replayed]
    if not ids:
        return 0
    old = json.dumps({"status": status})
    new = json.dumps({"status": "queued", "channel": channel or None, "messages": len(ids)})
    audit = Audit("messages.replayed", channel or "all", old, new)
    await house.keep((), (audit,), actor)
    return await desk.replay(ids)
