"""`/v1/audit_events`: who changed what, when, through which door, from what to what."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool

from zhiwei.core.ids import card_id
from zhiwei.gateways.http.caller import EVERYBODY, TheCaller, TheHouse
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document
from zhiwei.gateways.http.pagination import ThePage, listed
from zhiwei.gateways.http.presentation import parsed
from zhiwei.gateways.http.replies import reply
from zhiwei.gateways.http.shapes import Anything, CardId, Instant, ListOf, Shape
from zhiwei.gateways.http.times import instant_text
from zhiwei.gateways.http.trails import trail_page
from zhiwei.ports import AuditRow

router = APIRouter(prefix="/v1/audit_events", tags=["Audit"], route_class=Gate)


class ActorShape(Shape):
    """Who it was."""

    id: str
    via: Literal["iso8583", "http", "sms", "app", "console", "cli"]
    strong: bool
    staff: bool


class AuditShape(Shape):
    """One line of the audit trail."""

    object: Literal["audit_event"]
    id: str
    action: str
    subject: str
    card: CardId | None
    actor: ActorShape
    old: Anything
    new: Anything
    at: Instant


@router.get("", **call(EVERYBODY, ListOf[AuditShape]), summary="List the audit trail")
async def list_audits(
    house: TheHouse,
    caller: TheCaller,
    page: ThePage,
    card: Annotated[str, Query(max_length=80, description="Of one card only.")] = "",
    action: Annotated[str, Query(max_length=80, description="Such as `control.set`.")] = "",
) -> Response:
    """Newest first; a cardholder key sees what concerns its own cards."""

    def read(card_key: bytes, before: int, after: int, limit: int) -> list[AuditRow]:
        return house.reader.audits(card_key=card_key, before=before, after=after, limit=limit)

    def wanted(row: AuditRow) -> bool:
        return not action or row.audit.action == action

    rows, has_more = await run_in_threadpool(
        trail_page, house, caller, page, card, _place_of, read, wanted
    )
    return reply(listed([audit_document(row) for row in rows], has_more))


def audit_document(row: AuditRow) -> Document:
    """One line as the API shows it."""
    return {
        "object": "audit_event",
        "id": f"aud_{row.position}",
        "action": row.audit.action,
        "subject": row.audit.subject,
        "card": card_id(row.card_key) if row.card_key else None,
        "actor": {
            "id": row.actor.who,
            "via": row.actor.via.name.lower(),
            "strong": row.actor.is_strong,
            "staff": row.actor.is_staff,
        },
        "old": parsed(row.audit.old) or None,
        "new": parsed(row.audit.new) or None,
        "at": instant_text(row.at_ms),
    }


def _place_of(cursor: str) -> int | None:
    """Position of a line by its id."""
    head, _, digits = cursor.partition("_")
    is_id = head == "aud" and digits.isascii() and digits.isdigit() and len(digits) <= 18
    return int(digits) or None if is_id else None
