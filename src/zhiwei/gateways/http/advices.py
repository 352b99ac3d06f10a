"""`/v1/advices`: what already happened elsewhere (stand-in, offline); booked, never refused."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from zhiwei.core.command import Original
from zhiwei.core.ids import entry_of
from zhiwei.core.request import MessageClass
from zhiwei.gateways.http.authorizations import AuthorizationBody, authorization_document
from zhiwei.gateways.http.caller import EVERYBODY, ISSUER_ONLY, TheCaller, TheHouse
from zhiwei.gateways.http.card_messages import card_key_in, request_of
from zhiwei.gateways.http.commands import carried_out, decided, message_command
from zhiwei.gateways.http.decisions import Authorization, Decision
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.idempotency import digest_for
from zhiwei.gateways.http.journal import JournalRow, journal_page
from zhiwei.gateways.http.pagination import ThePage, listed
from zhiwei.gateways.http.problems import Problem
from zhiwei.gateways.http.replies import replayed, reply
from zhiwei.gateways.http.shapes import ListOf

router = APIRouter(prefix="/v1/advices", tags=["Authorizations"], route_class=Gate)


class AdviceBody(AuthorizationBody):
    """What happened."""

    decision: Literal["approve", "decline"] = Field(
        default="approve", description="What was answered elsewhere; a decline moved nothing."
    )


@router.post("", **call(ISSUER_ONLY, Decision), summary="Report what already happened")
async def advise(
    request: Request, house: TheHouse, caller: TheCaller, body: AdviceBody
) -> Response:
    """Book it, even past a lock or limit; `reasons` then tell what it went past."""
    card_key = card_key_in(house, body)
    message = request_of(body, MessageClass.ADVICE, was_declined=body.decision == "decline")
    original = None
    if body.original is not None:
        named = entry_of("auth", body.original)
        if named is None or named[0] != card_key:
            raise Problem("original_not_found")
        original = Original(version=named[1], auth_code=message.auth_code)
    key = digest_for(request, caller, "advices")
    result = await carried_out(house, message_command(caller, card_key, message, original, key))
    return reply(decided(house, result, card_key), headers=replayed(result.is_repeat))


@router.get("", **call(EVERYBODY, ListOf[Authorization]), summary="List advices")
async def list_advices(
    house: TheHouse,
    caller: TheCaller,
    page: ThePage,
    card: Annotated[str, Query(max_length=80, description="Of one card only.")] = "",
) -> Response:
    """Newest first."""

    def wanted(row: JournalRow) -> bool:
        asked = row.entry.command.request
        return asked is not None and asked.message_class is MessageClass.ADVICE

    rows, has_more = await run_in_threadpool(journal_page, house, caller, page, card, wanted)
    documents = [authorization_document(house, row.state, row.entry) for row in rows]
    return reply(listed(documents, has_more))
