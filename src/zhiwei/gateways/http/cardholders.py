"""`/v1/cardholders`: the people who hold cards; contact data only as far as messages need it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import AliasChoices, Field

from zhiwei.core.command import UpdateCard
from zhiwei.core.errors import NotAllowedValueError
from zhiwei.core.result import Audit
from zhiwei.gateways.http.caller import (
    EVERYBODY,
    STAFF,
    TheCaller,
    TheHouse,
    reachable_cardholder,
)
from zhiwei.gateways.http.commands import change_command
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document
from zhiwei.gateways.http.idempotency import Made, once
from zhiwei.gateways.http.journal import cards_of
from zhiwei.gateways.http.pagination import ThePage, listed
from zhiwei.gateways.http.record_lists import records_page
from zhiwei.gateways.http.replies import reply
from zhiwei.gateways.http.shapes import Anything, Body, Instant, Line, ListOf, Shape
from zhiwei.gateways.http.times import instant_text
from zhiwei.messaging.numbers import e164, squeezed
from zhiwei.messaging.planner import remembers_former
from zhiwei.ports import Cardholder, Replacing
from zhiwei.vault import holds_card_number

router = APIRouter(prefix="/v1/cardholders", tags=["Cards"], route_class=Gate)

METADATA_MAX: Final = 4096
_EMAIL: Final = re.compile(r"[!-?A-~]{1,64}@[!-?A-~]{1,189}", re.ASCII)

CardholderPath = Annotated[str, Path(max_length=80, description="Id of the cardholder.")]
Locale = Literal["zh", "en"]
Phone = Annotated[
    str, Field(max_length=40, description="E.164, or a mainland mobile number of 11 digits.")
]
Email = Annotated[str, Field(max_length=254)]
Metadata = Annotated[dict[str, Anything], Field(description="The issuer's own; up to 4 KiB.")]


class CardholderBody(Body):
    """A new cardholder."""

    name: Line | None = None
    locale: Locale = "zh"
    phone: Phone | None = Field(
        default=None,
        validation_alias=AliasChoices("phone", "phone_number"),
        description="E.164, or a mainland mobile number; `phone_number` is understood too.",
    )
    email: Email | None = None
    metadata: Metadata = Field(default={})


class CardholderChange(Body):
    """What is new; what is not given stays."""

    name: Line | None = None
    locale: Locale | None = None
    phone: Phone | None = Field(default=None, description="An empty text takes it away.")
    email: Email | None = Field(default=None, description="An empty text takes it away.")
    metadata: Metadata | None = None


class CardholderShape(Shape):
    """A person who holds cards."""

    object: Literal["cardholder"]
    id: str
    name: str | None
    locale: Locale
    phone: str | None
    email: str | None
    metadata: dict[str, Anything]
    created_at: Instant


def phone_number(text: str) -> str:
    """E.164 of a phone number as people write it; empty for an empty text.

    Raises:
        NotAllowedValueError: not a phone number.
    """
    number = e164(text)
    if squeezed(text) and not number:
        raise NotAllowedValueError("/phone", "bad_phone", "not a phone number as E.164 has it")
    return number


def cardholder_document(cardholder: Cardholder) -> Document:
    """A cardholder as the API shows it."""
    return {
        "object": "cardholder",
        "id": cardholder.id,
        "name": cardholder.name or None,
        "locale": cardholder.locale,
        "phone": cardholder.phone or None,
        "email": cardholder.email or None,
        "metadata": json.loads(cardholder.metadata),
        "created_at": instant_text(cardholder.created_ms),
    }


@router.post("", **call(STAFF, CardholderShape, 201), summary="Register a cardholder")
async def create(
    request: Request, house: TheHouse, caller: TheCaller, body: CardholderBody
) -> Response:
    """Register a person."""

    async def work() -> Made:
        now_ms = house.clock.now_ms()
        cardholder = Cardholder(
            id=house.mint.new("holder", now_ms),
            created_ms=now_ms,
            name=body.name or "",
            locale=body.locale,
            phone=phone_number(body.phone or ""),
            email=_email(body.email or ""),
            metadata=_metadata(body.metadata),
        )
        audit = Audit("cardholder.registered", cardholder.id, "", _told(cardholder))
        return Made(cardholder_document(cardholder), (cardholder,), (audit,))

    return await once(request, house, caller, "cardholders", work)


@router.get("", **call(EVERYBODY, ListOf[CardholderShape]), summary="List cardholders")
async def list_cardholders(house: TheHouse, caller: TheCaller, page: ThePage) -> Response:
    """Newest first; a cardholder key sees its own person."""
    if caller.only_cardholder:
        own = house.reader.record(Cardholder, caller.only_cardholder)
        documents = [] if own is None else [cardholder_document(own)]
        return reply(listed(documents, has_more=False))
    found, has_more = records_page(house, Cardholder, page)
    return reply(listed([cardholder_document(c) for c in found], has_more))


@router.get("/{cardholder}", **call(EVERYBODY, CardholderShape), summary="Read a cardholder")
async def read(house: TheHouse, caller: TheCaller, cardholder: CardholderPath) -> Response:
    """One person."""
    return reply(cardholder_document(reachable_cardholder(house, caller, cardholder)))


@router.patch("/{cardholder}", **call(STAFF, CardholderShape), summary="Change a cardholder")
async def change(
    house: TheHouse, caller: TheCaller, cardholder: CardholderPath, body: CardholderChange
) -> Response:
    """Say something new of a person.

    A new phone number or e-mail makes the person's loosenings wait their cooling-off for a while:
    who has taken over a number shall not open the locks with it. Old and new contact are told.
    """
    old = reachable_cardholder(house, caller, cardholder)
    wished = replace(
        old,
        name=old.name if body.name is None else body.name,
        locale=old.locale if body.locale is None else body.locale,
        phone=old.phone if body.phone is None else phone_number(body.phone),
        email=old.email if body.email is None else _email(body.email),
        metadata=old.metadata if body.metadata is None else _metadata(body.metadata),
    )
    new = with_former_contact(old, wished, house.clock.now_ms())
    if new != old:
        # Before the cards: what they tell then goes to both contacts.
        audit = Audit("cardholder.updated", old.id, _told(old), _told(new))
        await house.keep((Replacing(new, old),), (audit,), caller.actor)
    states = cards_of(house, old.id) if (body.phone, body.email) != (None, None) else []
    if (new.phone, new.email) == (old.phone, old.email):
        # Said again: an earlier try may not have reached all cards.
        states = [s for s in states if s.settings.new_contact_until_ms < new.contact_changed_ms]
    if states:
        wait = UpdateCard(contact_is_new=True)
        await house.submit([change_command(caller, s.card_key, wait) for s in states])
    return reply(cardholder_document(new))


def with_former_contact(old: Cardholder, new: Cardholder, now_ms: int) -> Cardholder:
    """A changed cardholder, who remembers for 30 days what was replaced.

    Of several changes within that time the first one counts: who takes over an account and changes
    the number twice does not get rid of the owner's.
    """
    if (new.phone, new.email) == (old.phone, old.email):
        return new
    is_recent = remembers_former(old, now_ms)
    phone = old.former_phone if is_recent else ""
    email = old.former_email if is_recent else ""
    if new.phone != old.phone and phone in ("", new.phone):
        phone = old.phone
    if new.email != old.email and email in ("", new.email):
        email = old.email
    return replace(new, former_phone=phone, former_email=email, contact_changed_ms=now_ms)


def _email(text: str) -> str:
    if text and (_EMAIL.fullmatch(text) is None or holds_card_number(text)):
        raise NotAllowedValueError("/email", "bad_email", "not an e-mail address")
    return text


def _metadata(metadata: dict[str, Anything]) -> str:
    text = json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > METADATA_MAX:
        message = f"metadata is larger than {METADATA_MAX} bytes"
        raise NotAllowedValueError("/metadata", "metadata_too_large", message)
    if holds_card_number(text):
        message = "a card number does not belong into metadata, which is kept as it is"
        raise NotAllowedValueError("/metadata", "card_number", message)
    return text


def _told(cardholder: Cardholder) -> str:
    """What the audit trail says of a person: that contacts changed, not what they are."""
    return json.dumps(
        {
            "name": bool(cardholder.name),
            "locale": cardholder.locale,
            "phone_tail": cardholder.phone[-4:],
            "email": bool(cardholder.email),
        }
    )
