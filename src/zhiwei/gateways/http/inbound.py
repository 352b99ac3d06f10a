"""`/v1/inbound_messages`: a text message that came in over a web gateway (短信上行).

What it does is the conversation's business (`messaging.conversation`): a message can only reduce,
and whoever writes from an unknown number learns nothing. Here it becomes an answer with the reply.
A gateway that cannot send our `Authorization` header signs its calls instead (`signatures`).
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import AliasChoices, Field

from zhiwei.gateways.http.caller import STAFF, Caller, TheCaller, TheHouse
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document, Heard, House
from zhiwei.gateways.http.idempotency import Made, key_in, once
from zhiwei.gateways.http.masking import masked
from zhiwei.gateways.http.shapes import Body, Instant, Shape, Token
from zhiwei.gateways.http.signatures import signed_id
from zhiwei.gateways.http.stops import StopShape, document_of_stop
from zhiwei.gateways.http.times import instant_ms
from zhiwei.messaging.contacts import settler
from zhiwei.messaging.conversation import Conversation
from zhiwei.messaging.reply import Outcome, Taken
from zhiwei.messaging.tries import RememberedCounts

router = APIRouter(prefix="/v1/inbound_messages", tags=["Messages"], route_class=Gate)

_ID_DIGITS = 26


class MessageBody(Body):
    """A text message."""

    from_: Annotated[str, Field(max_length=40)] = Field(
        alias="from", description="The sender's number."
    )
    text: Annotated[str, Field(max_length=1000)] = Field(
        validation_alias=AliasChoices("text", "body"), description="`body` is understood too."
    )
    to: Annotated[str, Field(max_length=40)] | None = Field(
        default=None, description="The number that it was sent to; not looked at."
    )
    received_at: Instant | None = Field(
        default=None, description="When the gateway had it; the message acts now all the same."
    )
    id: Token | None = Field(default=None, description="The gateway's own id of the message.")


class ReplyShape(Shape):
    """What to send back."""

    to: str
    text: str = Field(description="Empty where the number wrote too often.")
    locale: Literal["zh", "en"]
    status: Literal["to_send", "queued", "withheld"] = Field(
        description="`to_send`: the gateway sends it. `queued`: the house sends it. `withheld`: it"
        " is not to be sent, since the sender is no mobile number or was written to enough."
    )
    message: str | None = Field(description="Id of the message by which the house sends it.")


class InboundShape(Shape):
    """What was done."""

    object: Literal["inbound_message"]
    id: str
    outcome: Outcome
    challenge: str | None
    stops: list[StopShape]
    reply: ReplyShape


@router.post("", **call(STAFF, InboundShape, may_be_signed=True), summary="Take in a text message")
async def take_in(
    request: Request, house: TheHouse, caller: TheCaller, body: MessageBody
) -> Response:
    """Do what the message asks for as far as a message may, and say what to reply.

    Instead of a key, the call may carry `webhook-id`, `webhook-timestamp` and `webhook-signature`
    (Standard Webhooks); a message with the same `webhook-id` is done once, as with the same
    `Idempotency-Key`.
    """
    if body.received_at is not None:
        instant_ms(body.received_at, "/received_at")
    key = signed_id(request, caller) or key_in(request)

    async def work() -> Made:
        message_id = _message_id(house, caller, key)
        taken = await _taken(request, house, body, message_id)
        return Made(_document(message_id, body, taken), status=200)

    operation = f"inbound|{body.id}" if body.id else "inbound"
    return await once(request, house, caller, operation, work, key)


def conversation_of(house: House) -> Conversation:
    """The conversation of a house that sends no messages itself; what it counts, it remembers."""

    def read_command(text: str) -> Heard:
        return house.rooms.read_message(text)

    return Conversation(
        reader=house.reader,
        submit=house.submit,
        texts=house.words,
        policy=lambda: house.policy,
        read_command=read_command,
        counts=RememberedCounts(),
        clock=house.clock,
        settle=settler(house.reader, house.keep, house.clock),
    )


async def _taken(request: Request, house: House, body: MessageBody, message_id: str) -> Taken:
    """Carry the message out, on the messaging loop where there is one."""
    if house.messages is not None:
        return await house.messages.inbound(body.from_, body.text, message_id)
    conversation: Conversation = request.app.state.conversation
    now_ms = house.clock.now_ms()
    return Taken(
        await conversation.take(body.from_, body.text, now_ms=now_ms, message_id=message_id)
    )


def _message_id(house: House, caller: Caller, key: str) -> str:
    """Id of the inbound message: the same for the same key of the same caller."""
    if not key:
        return house.mint.new("in", house.clock.now_ms())
    digest = sha256(f"{caller.key.id}|{key}".encode()).hexdigest()
    return f"in_{digest[:_ID_DIGITS]}"


def _document(message_id: str, body: MessageBody, taken: Taken) -> Document:
    """What was done, as the API shows it."""
    reply = taken.reply
    status = "queued" if taken.message else "to_send" if reply.is_to_be_sent else "withheld"
    return {
        "object": "inbound_message",
        "id": message_id,
        "outcome": reply.outcome,
        "challenge": reply.challenge or None,
        "stops": [document_of_stop(placed.card_key, placed.stop) for placed in reply.stops],
        "reply": {
            "to": body.from_ if reply.number else masked(body.from_),
            "text": reply.text,
            "locale": reply.locale,
            "status": status,
            "message": taken.message or None,
        },
    }
