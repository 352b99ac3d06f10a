"""`/v1/messages`: what was sent to people and systems, and what became of it; replay of the rest.

Staff only. Addresses are never shown whole, and the text only to issuer keys. A replay is written
to the audit trail before it is done.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from zhiwei.core.ids import card_id
from zhiwei.core.result import Audit
from zhiwei.gateways.http.caller import STAFF, Caller, TheCaller, TheHouse, reachable_card
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document, House, MessageDesk
from zhiwei.gateways.http.idempotency import Made, once
from zhiwei.gateways.http.keys import ISSUER
from zhiwei.gateways.http.pagination import Page, ThePage, listed, page_of
from zhiwei.gateways.http.problems import Problem
from zhiwei.gateways.http.replies import reply
from zhiwei.gateways.http.shapes import Body, CardId, CardName, Instant, ListOf, Shape
from zhiwei.gateways.http.times import instant_text
from zhiwei.messaging.model import ONE_TIME_CODE, SMS, Status, Tracked
from zhiwei.messaging.replay import may_be_replayed

router = APIRouter(prefix="/v1", tags=["Messages"], route_class=Gate)

StatusWord = Literal[
    "queued", "sent", "delivered", "failed", "dead", "expired", "muted", "held_back"
]
ChannelWord = Literal["sms", "email", "push", "webhook", "chat"]
MessagePath = Annotated[str, Path(max_length=120, description="Id of the message.")]

#: Messages that one call replays at most, and how many at a time.
REPLAYED_MAX: Final = 10_000
_CHUNK: Final = 500


class MessageShape(Shape):
    """A message and what became of it."""

    object: Literal["message"]
    id: str
    event: str | None
    kind: str = Field(description="Type of the event that it tells, or `reply`.")
    card: CardId | None
    challenge: str | None
    channel: ChannelWord
    language: str
    urgent: bool
    to_tail: str | None = Field(description="The last four digits of a number; never more.")
    status: StatusWord
    tries: int
    detail: str | None = Field(description="The last answer of the other side.")
    remote_id: str | None
    created_at: Instant
    planned_at: Instant
    changed_at: Instant
    next_try_at: Instant | None
    expires_at: Instant | None
    text: str | None = Field(description="For issuer keys, and where one message is read.")


class ReplayBody(Body):
    """Which messages are to be sent again."""

    status: Literal["failed", "dead", "held_back"]
    channel: ChannelWord
    card: CardName | None = None


class ReplayShape(Shape):
    """What was queued again."""

    object: Literal["message_replay"]
    replayed: int
    has_more: bool = Field(description="More are left than one call replays: call again.")


@router.get("/messages", **call(STAFF, ListOf[MessageShape]), summary="List messages")
async def list_messages(
    house: TheHouse,
    caller: TheCaller,
    page: ThePage,
    status: Annotated[StatusWord | None, Query(description="In this state only.")] = None,
    channel: Annotated[ChannelWord | None, Query(description="Of one channel only.")] = None,
    card: Annotated[str, Query(max_length=80, description="Of one card only.")] = "",
) -> Response:
    """Newest first."""
    rows, has_more = await run_in_threadpool(
        _page, house, caller, page, _status(status), channel or "", card
    )
    return reply(listed([message_document(row) for row in rows], has_more))


@router.get("/messages/{message}", **call(STAFF, MessageShape), summary="Read a message")
async def read(house: TheHouse, caller: TheCaller, message: MessagePath) -> Response:
    """One message and what became of it."""
    tracked = await run_in_threadpool(_found, _desk(house), message)
    return reply(message_document(tracked, with_text=caller.key.scope == ISSUER))


@router.post("/message_replays", **call(STAFF, ReplayShape), summary="Send messages again")
async def replay_many(
    request: Request, house: TheHouse, caller: TheCaller, body: ReplayBody
) -> Response:
    """Queue all messages of a channel in a state once more; up to 10,000 in one call."""
    desk = _desk(house)
    card_key = b""
    if body.card is not None:
        card_key = reachable_card(house, caller, body.card).card_key

    async def work() -> Made:
        chosen = {"channel": body.channel, "card": body.card}
        new = json.dumps({"status": "queued", **chosen})
        audit = Audit("messages.replayed", body.channel, json.dumps({"status": body.status}), new)
        await house.keep((), (audit,), caller.actor)
        count, has_more = await _replayed(desk, body.channel, Status[body.status.upper()], card_key)
        answer = {"object": "message_replay", "replayed": count, "has_more": has_more}
        return Made(answer, status=200)

    return await once(request, house, caller, "messages.replay", work)


@router.post(
    "/messages/{message}/replay", **call(STAFF, MessageShape), summary="Send a message again"
)
async def replay_one(
    request: Request, house: TheHouse, caller: TheCaller, message: MessagePath
) -> Response:
    """Queue a message once more that failed, was given up or was held back; its id stays.

    A webhook can be sent again after it was delivered, too. A message that waits is left waiting.
    """
    desk = _desk(house)

    async def work() -> Made:
        tracked = await run_in_threadpool(_found, desk, message)
        is_waiting = tracked.status is Status.QUEUED
        if not is_waiting and not may_be_replayed(tracked):
            detail = f"a message that is {tracked.status.word} is not sent again"
            raise Problem("message_not_replayable", detail)
        if not is_waiting:
            audit = Audit("message.replayed", tracked.message.id, tracked.status.word, "queued")
            await house.keep((), (audit,), caller.actor)
            await desk.replay([tracked.message.id])
            tracked = await run_in_threadpool(_found, desk, message)
        return Made(message_document(tracked), status=200)

    return await once(request, house, caller, f"message.replay|{message}", work)


def message_document(tracked: Tracked, *, with_text: bool = False) -> Document:
    """A message as the API shows it."""
    message = tracked.message
    return {
        "object": "message",
        "id": message.id,
        "event": message.event_id or None,
        "kind": message.kind,
        "card": card_id(message.card_key) if message.card_key else None,
        "challenge": message.challenge or None,
        "channel": message.channel,
        "language": message.language,
        "urgent": message.is_urgent,
        "to_tail": to_tail(tracked),
        "status": tracked.status.word,
        "tries": tracked.tries,
        "detail": tracked.detail or None,
        "remote_id": tracked.remote_id or None,
        "created_at": instant_text(message.created_ms),
        "planned_at": instant_text(tracked.planned_ms),
        "changed_at": instant_text(tracked.changed_ms),
        "next_try_at": instant_text(tracked.next_ms) if tracked.next_ms else None,
        "expires_at": instant_text(message.expires_ms) if message.expires_ms else None,
        # Not even the desk may read a code: whoever has it is the cardholder to us.
        "text": message.text if with_text and message.kind != ONE_TIME_CODE else None,
    }


def to_tail(tracked: Tracked) -> str | None:
    """The last four digits of a number; nothing of other addresses."""
    message = tracked.message
    return message.to[-4:] or None if message.channel == SMS else None


async def _replayed(
    desk: MessageDesk, channel: str, status: Status, card_key: bytes
) -> tuple[int, bool]:
    """How many messages were queued again, and whether there are more."""
    count = 0
    before = 0
    for _ in range(REPLAYED_MAX // _CHUNK):
        rows = await run_in_threadpool(_chunk, desk, channel, status, card_key, before)
        count += await desk.replay([row.message.id for row in rows]) if rows else 0
        if len(rows) < _CHUNK:
            return count, False
        before = rows[-1].position
    return count, bool(await run_in_threadpool(_chunk, desk, channel, status, card_key, before))


def _chunk(
    desk: MessageDesk, channel: str, status: Status, card_key: bytes, before: int
) -> Sequence[Tracked]:
    return desk.reader.messages(
        channel=channel, status=status, card_key=card_key, before=before, limit=_CHUNK
    )


def _page(
    house: House, caller: Caller, page: Page, status: Status | None, channel: str, card: str
) -> tuple[list[Tracked], bool]:
    """A page of messages by their position."""
    desk = _desk(house)
    card_key = reachable_card(house, caller, card).card_key if card else b""

    def place_of(cursor: str) -> int | None:
        tracked = desk.reader.message(cursor)
        return None if tracked is None else tracked.position

    def rows(before: int, after: int, limit: int) -> list[Tracked]:
        return desk.reader.messages(
            status=status,
            channel=channel,
            card_key=card_key,
            before=before,
            after=after,
            limit=limit,
        )

    return page_of(page, place_of, rows, lambda row: row.position, lambda _: True)


def _found(desk: MessageDesk, message: str) -> Tracked:
    """A message by its id.

    Raises:
        Problem: `message_not_found`.
    """
    tracked = desk.reader.message(message)
    if tracked is None:
        raise Problem("message_not_found")
    return tracked


def _desk(house: House) -> MessageDesk:
    """The messaging part.

    Raises:
        Problem: `messaging_off`.
    """
    if house.messages is None:
        raise Problem("messaging_off")
    return house.messages


def _status(word: str | None) -> Status | None:
    return None if word is None else Status[word.upper()]
