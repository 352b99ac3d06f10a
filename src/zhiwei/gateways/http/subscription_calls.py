"""What can be done with a subscription: a new secret, sending again, a test.

A replay queues the messages of a stretch of time once more, whatever became of them; the ids stay,
so a receiver that had them drops them.
"""

from __future__ import annotations

import json
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from zhiwei.core.errors import NotAllowedValueError
from zhiwei.core.result import Audit
from zhiwei.gateways.http.caller import ISSUER_ONLY, STAFF, TheCaller, TheHouse
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import House, MessageDesk
from zhiwei.gateways.http.idempotency import Made, once
from zhiwei.gateways.http.problems import Problem
from zhiwei.gateways.http.shapes import Body, Instant, Shape
from zhiwei.gateways.http.subscription_secrets import secrets_of, with_new_secret
from zhiwei.gateways.http.subscriptions import (
    NewSubscription,
    SubscriptionPath,
    known_subscription,
    subscription_document,
    told,
)
from zhiwei.gateways.http.times import instant_ms, instant_text
from zhiwei.messaging.model import WEBHOOK, Message, Status, Tracked
from zhiwei.ports import Replacing, Subscription

router = APIRouter(prefix="/v1/event_subscriptions", tags=["Events"], route_class=Gate)

#: Messages that one call replays at most, and rows that are read and queued at a time.
REPLAYED_MAX: Final = 10_000
_CHUNK: Final = 500
#: Messages stand nearly in the order of their events; events of one moment may have changed places.
_DISORDER_MS: Final = 3_600_000
#: Kind of a message that tells nothing but that the way is open.
TEST: Final = "test"


class SubscriptionReplayBody(Body):
    """Of which time events are to be sent again."""

    since: Instant
    until: Annotated[Instant | None, Field(description="Not itself; not given = up to now.")] = None


class SubscriptionReplay(Shape):
    """What was queued again."""

    object: Literal["event_subscription_replay"]
    subscription: str
    replayed: int
    next_until: Instant | None = Field(
        description="More are left than one call replays: call again with this as `until`."
    )


class SubscriptionTest(Shape):
    """A test message; what became of it is read at `/v1/messages/{message}`."""

    object: Literal["event_subscription_test"]
    subscription: str
    message: str


@router.post(
    "/{subscription}/rotate_secret",
    **call(ISSUER_ONLY, NewSubscription),
    summary="Change the signing secret",
)
async def rotate_secret(
    request: Request, house: TheHouse, caller: TheCaller, subscription: SubscriptionPath
) -> Response:
    """Make a new secret, shown this once; for 24 hours messages are signed under the old one too.

    Send an `Idempotency-Key`: a repeat without one changes the secret again.
    """

    async def work() -> Made:
        now_ms = house.clock.now_ms()
        old = known_subscription(house, subscription)
        new = with_new_secret(old, now_ms)
        audit = Audit(
            "event_subscription.secret_rotated", old.id, told(house, old), told(house, new)
        )
        secret = secrets_of(house.vault, new, now_ms)[0]
        answer = {**subscription_document(house, new), "secret": secret}
        return Made(answer, (Replacing(new, old),), (audit,), status=200)

    return await once(request, house, caller, f"event_subscription.rotate|{subscription}", work)


@router.post("/{subscription}/replay", **call(STAFF, SubscriptionReplay), summary="Send again")
async def replay(
    request: Request,
    house: TheHouse,
    caller: TheCaller,
    subscription: SubscriptionPath,
    body: SubscriptionReplayBody,
) -> Response:
    """Queue the messages of events since an instant once more, newest first, up to 10,000.

    Delivered ones too; their ids stay. What waits already is left as it is.
    """
    since_ms = instant_ms(body.since, "/since")
    until_ms = 1 << 62 if body.until is None else instant_ms(body.until, "/until")
    if until_ms <= since_ms:
        raise NotAllowedValueError("/until", "bad_time", "`until` is later than `since`")

    async def work() -> Made:
        known = _on(house, subscription)
        desk = _desk(house)
        new = json.dumps({"since": body.since, "until": body.until})
        audit = Audit("event_subscription.replayed", known.id, "", new)
        await house.keep((), (audit,), caller.actor)
        count, next_ms = await _replayed(desk, known.id, since_ms, until_ms)
        answer = {
            "object": "event_subscription_replay",
            "subscription": known.id,
            "replayed": count,
            "next_until": instant_text(next_ms) if next_ms else None,
        }
        return Made(answer, status=200)

    return await once(request, house, caller, f"event_subscription.replay|{subscription}", work)


@router.post("/{subscription}/test", **call(STAFF, SubscriptionTest, 201), summary="Send a test")
async def test(
    request: Request, house: TheHouse, caller: TheCaller, subscription: SubscriptionPath
) -> Response:
    """Queue a message of type `test`, signed as all others, that tells no event."""

    async def work() -> Made:
        known = _on(house, subscription)
        queue = _desk(house).queue
        if queue is None:
            raise Problem("messaging_off")
        now_ms = house.clock.now_ms()
        message = _message(known, house.mint.new("msg_test", now_ms), now_ms)
        audit = Audit("event_subscription.tested", known.id, "", message.id)
        await house.keep((), (audit,), caller.actor)
        await queue((message,))
        answer = {"subscription": known.id, "message": message.id}
        return Made({"object": "event_subscription_test", **answer})

    return await once(request, house, caller, f"event_subscription.test|{subscription}", work)


def _message(subscription: Subscription, message_id: str, now_ms: int) -> Message:
    body = {
        "type": TEST,
        "timestamp": instant_text(now_ms),
        "data": {"subscription": subscription.id},
    }
    return Message(
        id=message_id,
        event_id="",
        kind=TEST,
        card_key=b"",
        lane=f"{TEST}|{message_id}",
        channel=WEBHOOK,
        to=subscription.id,
        language="en",
        subject="",
        text=json.dumps(body, separators=(",", ":")),
        created_ms=now_ms,
    )


async def _replayed(
    desk: MessageDesk, subscription: str, since_ms: int, until_ms: int
) -> tuple[int, int]:
    """How many messages were queued again, and where to go on (UTC ms); 0 = all were."""
    count = 0
    before = 0
    while True:
        rows = await run_in_threadpool(_rows, desk, before)
        wanted = [row for row in rows if _is_wanted(row, subscription, since_ms, until_ms)]
        if wanted:
            if count >= REPLAYED_MAX:
                # Its own millisecond is named once more: a repeat does no harm, a gap would.
                return count, max(row.message.created_ms for row in wanted) + 1
            count += await desk.replay([row.message.id for row in wanted])
        is_past = all(row.message.created_ms < since_ms - _DISORDER_MS for row in rows)
        if len(rows) < _CHUNK or is_past:
            return count, 0
        before = rows[-1].position


def _rows(desk: MessageDesk, before: int) -> list[Tracked]:
    return desk.reader.messages(channel=WEBHOOK, before=before, limit=_CHUNK)


def _is_wanted(row: Tracked, subscription: str, since_ms: int, until_ms: int) -> bool:
    message = row.message
    is_theirs = message.to == subscription and row.status is not Status.QUEUED
    return is_theirs and since_ms <= message.created_ms < until_ms


def _on(house: House, subscription: str) -> Subscription:
    """A subscription that is switched on.

    Raises:
        Problem: `subscription_not_found`, `subscription_disabled`.
    """
    known = known_subscription(house, subscription)
    if known.disabled_ms:
        raise Problem("subscription_disabled")
    return known


def _desk(house: House) -> MessageDesk:
    """The messaging part.

    Raises:
        Problem: `messaging_off`.
    """
    if house.messages is None:
        raise Problem("messaging_off")
    return house.messages
