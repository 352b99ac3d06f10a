"""`/v1/events` and `/v1/alerts`: what happened, and what people are told of it (the outbox).

An event is written with the decision that caused it, and its id never changes. An alert shows what
became of the messages that tell its event; how they reach people is the business of `messaging`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from zhiwei.core.event import NEVER_MUTED, NOT_FOR_CARDHOLDERS
from zhiwei.core.ids import card_id
from zhiwei.gateways.http.alert_stories import AlertStatus, Story, stories_of
from zhiwei.gateways.http.caller import EVERYBODY, Caller, TheCaller, TheHouse
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document, House
from zhiwei.gateways.http.messages import ChannelWord, StatusWord, to_tail
from zhiwei.gateways.http.pagination import Page, ThePage, listed
from zhiwei.gateways.http.presentation import facts_document
from zhiwei.gateways.http.problems import Problem
from zhiwei.gateways.http.replies import reply
from zhiwei.gateways.http.shapes import Anything, CardId, Instant, ListOf, Shape
from zhiwei.gateways.http.times import instant_text
from zhiwei.gateways.http.trails import trail_page
from zhiwei.messaging.model import Tracked
from zhiwei.ports import EventRow

router = APIRouter(prefix="/v1", tags=["Events"], route_class=Gate)

EventType = Annotated[
    str, Query(alias="type", max_length=80, description="Of one type: `challenge_created`, ...")
]
CardQuery = Annotated[str, Query(max_length=80, description="Of one card only.")]


class EventShape(Shape):
    """Something that happened."""

    object: Literal["event"]
    id: str
    type: str = Field(description="New types may appear.")
    card: CardId
    version: int = Field(description="Version of the card's journal entry that caused it.")
    data: dict[str, Anything]
    created_at: Instant


class AlertMessage(Shape):
    """One of the messages that tell it."""

    id: str
    channel: ChannelWord
    status: StatusWord
    tries: int
    to_tail: str | None = Field(description="The last four digits of a number; never more.")


class AlertShape(Shape):
    """What a cardholder is told."""

    object: Literal["alert"]
    id: str = Field(description="Id of the event that it tells.")
    type: str
    card: CardId
    status: AlertStatus = Field(
        description="The best that became of its messages to the cardholder; `none`: it has none,"
        " since nobody was to be told, or it is long ago."
    )
    may_be_muted: bool = Field(description="Quiet hours never mute questions about fraud.")
    data: dict[str, Anything]
    messages: list[AlertMessage]
    created_at: Instant


@router.get("/events", **call(EVERYBODY, ListOf[EventShape]), summary="List events")
async def list_events(
    house: TheHouse,
    caller: TheCaller,
    page: ThePage,
    card: CardQuery = "",
    type_: EventType = "",
) -> Response:
    """Newest first."""
    rows, has_more = await run_in_threadpool(
        _page, house, caller, page, card, type_, only_alerts=False
    )
    return reply(listed([event_document(row) for row in rows], has_more))


@router.get("/events/{event}", **call(EVERYBODY, EventShape), summary="Read an event")
async def read(
    house: TheHouse, caller: TheCaller, event: Annotated[str, Path(max_length=80)]
) -> Response:
    """One event."""
    row = house.reader.event(event)
    state = None if row is None else house.reader.card(row.card_key)
    if row is None or state is None or not caller.may_reach(state.settings.profile.cardholder):
        raise Problem("event_not_found")
    if caller.only_cardholder and row.event.kind in NOT_FOR_CARDHOLDERS:
        raise Problem("event_not_found")
    return reply(event_document(row))


@router.get("/alerts", **call(EVERYBODY, ListOf[AlertShape]), summary="List alerts")
async def list_alerts(
    house: TheHouse,
    caller: TheCaller,
    page: ThePage,
    card: CardQuery = "",
    type_: EventType = "",
) -> Response:
    """What cardholders are told, newest first."""
    rows, has_more = await run_in_threadpool(
        _page, house, caller, page, card, type_, only_alerts=True
    )
    stories = await run_in_threadpool(stories_of, house, caller, rows)
    documents = [alert_document(row, story) for row, story in zip(rows, stories, strict=True)]
    return reply(listed(documents, has_more))


def event_document(row: EventRow) -> Document:
    """An event as the API shows it."""
    return {
        "object": "event",
        "id": row.id,
        "type": row.event.kind.word,
        "card": card_id(row.card_key),
        "version": row.version,
        "data": facts_document(row.card_key, row.event.facts.items()),
        "created_at": instant_text(row.at_ms),
    }


def alert_document(row: EventRow, story: Story) -> Document:
    """An alert as the API shows it."""
    return {
        "object": "alert",
        "id": row.id,
        "type": row.event.kind.word,
        "card": card_id(row.card_key),
        "status": story.status,
        "may_be_muted": row.event.kind not in NEVER_MUTED,
        "data": facts_document(row.card_key, row.event.facts.items()),
        "messages": [_message_document(tracked) for tracked in story.messages],
        "created_at": instant_text(row.at_ms),
    }


def _message_document(tracked: Tracked) -> Document:
    return {
        "id": tracked.message.id,
        "channel": tracked.message.channel,
        "status": tracked.status.word,
        "tries": tracked.tries,
        "to_tail": to_tail(tracked),
    }


def _page(
    house: House, caller: Caller, page: Page, card: str, type_: str, *, only_alerts: bool
) -> tuple[list[EventRow], bool]:
    """A page of the outbox."""

    def place_of(cursor: str) -> int | None:
        row = house.reader.event(cursor)
        return None if row is None else row.position

    def read_rows(card_key: bytes, before: int, after: int, limit: int) -> list[EventRow]:
        return house.reader.events(card_key=card_key, before=before, after=after, limit=limit)

    def wanted(row: EventRow) -> bool:
        is_told = row.event.kind not in NOT_FOR_CARDHOLDERS
        if not is_told and (only_alerts or caller.only_cardholder):
            return False
        return not type_ or row.event.kind.word == type_

    return trail_page(house, caller, page, card, place_of, read_rows, wanted)
