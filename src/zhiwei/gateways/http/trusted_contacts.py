"""`/v1/cardholders/{id}/trusted_contacts`: who is told of stops and loosenings (信任联系人).

Naming somebody shows data to another person, so it needs strong authentication like a loosening.
The contact is asked by text message and counts from the moment they agree; either side ends it at
any time. A contact may stop a card and tighten, never loosen. The page names contacts by `invited`
and `ended_by_holder` too.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from zhiwei.core.command import Actor
from zhiwei.core.errors import NotAllowedValueError
from zhiwei.core.result import Audit, Rejection
from zhiwei.gateways.http.caller import EVERYBODY, TheCaller, TheHouse, reachable_cardholder
from zhiwei.gateways.http.cardholders import CardholderPath, Locale, Phone, phone_number
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document, House
from zhiwei.gateways.http.idempotency import Made, once
from zhiwei.gateways.http.keys import CARDHOLDER, ISSUER
from zhiwei.gateways.http.pagination import ThePage, listed
from zhiwei.gateways.http.problems import Problem, problem_of_rejection
from zhiwei.gateways.http.record_lists import records_page
from zhiwei.gateways.http.replies import reply
from zhiwei.gateways.http.shapes import Body, Instant, Line, ListOf, Shape
from zhiwei.gateways.http.times import instant_text
from zhiwei.messaging.contacts import (
    ENDED,
    INVITATION_MS,
    INVITED,
    Contact,
    ContactState,
    contact_message,
    contact_of,
    contacts_of,
    masked_name,
    why_not,
)
from zhiwei.messaging.numbers import may_be_answered
from zhiwei.ports import Cardholder, ContactConsent, TrustedContact

router = APIRouter(
    prefix="/v1/cardholders/{cardholder}/trusted_contacts", tags=["Cards"], route_class=Gate
)

_HOLDERS: Final = (ISSUER, CARDHOLDER)
_REFERENCE_SPACE: Final = 1_000_000
ContactPath = Annotated[str, Path(max_length=80, description="Id of the trusted contact.")]


class ContactBody(Body):
    """Whom to ask."""

    name: Line
    phone: Phone
    locale: Locale = "zh"


class InvitationShape(Shape):
    """The text message that asks the contact."""

    status: Literal["to_send", "queued"] = Field(
        description="`queued`: the house sends it. `to_send`: it has no SMS channel; send `text`"
        " to the contact's number."
    )
    text: str | None = Field(description="null where the house sends it.")


class ContactShape(Shape):
    """A trusted contact."""

    object: Literal["trusted_contact"]
    id: str
    cardholder: str
    name: str
    phone: str
    locale: Locale
    state: Literal["invited", "agreed", "ended"]
    asked_at: Instant
    expires_at: Instant | None = Field(description="When an open invitation is over.")
    agreed_at: Instant | None
    ended_at: Instant | None


class NewContact(ContactShape):
    """A trusted contact who was asked just now."""

    invitation: InvitationShape


@router.post("", **call(_HOLDERS, NewContact, 201), summary="Name a trusted contact")
async def create(
    request: Request,
    house: TheHouse,
    caller: TheCaller,
    cardholder: CardholderPath,
    body: ContactBody,
) -> Response:
    """Ask somebody to be told of stops and loosenings. It needs strong authentication.

    At most 3 contacts, 3 invitations an hour, and 3 a day to one number; who refused is not asked
    again for a day. Naming an open invitation's number once more sends nothing twice.
    """
    holder = reachable_cardholder(house, caller, cardholder)
    number = phone_number(body.phone)

    async def work() -> Made:
        contact = await invited(house, caller.actor, holder, body.name, number, body.locale)
        text = await send_invitation(house, contact, holder)
        invitation = {"status": "to_send" if text else "queued", "text": text or None}
        return Made({**contact_document(house, contact), "invitation": invitation})

    return await once(request, house, caller, f"trusted_contacts|{holder.id}", work)


@router.get("", **call(EVERYBODY, ListOf[ContactShape]), summary="List trusted contacts")
async def list_contacts(
    house: TheHouse, caller: TheCaller, cardholder: CardholderPath, page: ThePage
) -> Response:
    """Newest first; those that ended too."""
    holder = reachable_cardholder(house, caller, cardholder)
    named, has_more = records_page(house, TrustedContact, page, subject=holder.id)
    found = [contact_of(house.reader, one.id) for one in named]
    return reply(listed([contact_document(house, c) for c in found if c is not None], has_more))


@router.delete("/{contact}", **call(_HOLDERS, ContactShape), summary="End a trusted contact")
async def end(
    house: TheHouse, caller: TheCaller, cardholder: CardholderPath, contact: ContactPath
) -> Response:
    """The contact is told no more of the cards, and may stop none. They are told so."""
    holder = reachable_cardholder(house, caller, cardholder)
    found = contact_of(house.reader, contact)
    if found is None or found.cardholder != holder.id:
        raise Problem("contact_not_found")
    ended = await ended_by_holder(house, caller.actor, holder, found)
    return reply(contact_document(house, ended))


async def invited(
    house: House, actor: Actor, holder: Cardholder, name: str, number: str, locale: str
) -> Contact:
    """Keep that a cardholder names somebody; an open invitation of the number is given back.

    The text that asks them is `send_invitation`'s.

    Raises:
        NotAllowedValueError: a number that no text message reaches, or the cardholder's own.
        Problem: `strong_authentication_required`, `too_many_contacts`, `too_many_invitations`.
        StoreUnavailableError: nothing was kept.
    """
    if not actor.is_strong:
        raise problem_of_rejection(Rejection.STRONG_AUTHENTICATION_REQUIRED)
    if not may_be_answered(number):
        message = "not a number that a text message reaches"
        raise NotAllowedValueError("/phone", "bad_phone", message)
    async with house.naming:
        now_ms = house.clock.now_ms()
        for known in contacts_of(house.reader, holder.id):
            if known.named.phone == number and known.state(now_ms) is not ContactState.ENDED:
                return known
        problem = why_not(house.reader, holder, number, now_ms)
        if problem == "own_number":
            message = "a trusted contact has another number than the cardholder"
            raise NotAllowedValueError("/phone", "own_number", message)
        if problem:
            raise Problem(problem)
        named = TrustedContact(
            id=house.mint.new("contact", now_ms),
            created_ms=now_ms,
            subject=holder.id,
            name=name,
            phone=number,
            locale=locale,
            reference=f"{secrets.randbelow(_REFERENCE_SPACE):06d}",
        )
        said = ContactConsent(named.id, now_ms, number)
        # Before the text that asks: an answer to it must find whom it is from.
        audit = Audit("trusted_contact.named", named.id, holder.id, number[-4:])
        await house.keep((named, said), (audit,), actor)
        return Contact(named, said)


async def ended_by_holder(
    house: House, actor: Actor, holder: Cardholder, contact: Contact
) -> Contact:
    """End a contact in the cardholder's name and tell them; one that ended stays as it is.

    Raises:
        StoreUnavailableError: nothing was kept, or the contact could not be told: call it again.
    """
    now_ms = house.clock.now_ms()
    state = contact.state(now_ms)
    if state is not ContactState.ENDED:
        named = replace(contact.named, ended_ms=now_ms)
        audit = Audit("trusted_contact.ended", named.id, state, "ended")
        await house.keep((named,), (audit,), actor)
        contact = replace(contact, named=named)
    if contact.named.ended_ms and contact.said.agreed_ms:
        facts = {"name": masked_name(holder.name, contact.named.locale)}
        text = house.words.text("contact.ended", contact.named.locale, facts)
        await _send(house, contact, ENDED, text)
    return contact


def contact_document(house: House, contact: Contact) -> Document:
    """A trusted contact as the API shows it; the reference is for the contact's eyes alone."""
    now_ms = house.clock.now_ms()
    named, said = contact.named, contact.said
    state = contact.state(now_ms)
    over_ms = named.created_ms + INVITATION_MS
    ended_ms = contact.ended_ms or (over_ms if state is ContactState.ENDED else 0)
    return {
        "object": "trusted_contact",
        "id": named.id,
        "cardholder": named.subject,
        "name": named.name,
        "phone": named.phone,
        "locale": named.locale,
        "state": str(state),
        "asked_at": instant_text(named.created_ms),
        "expires_at": instant_text(over_ms) if state is ContactState.INVITED else None,
        "agreed_at": instant_text(said.agreed_ms) if said.agreed_ms else None,
        "ended_at": instant_text(ended_ms) if ended_ms else None,
    }


async def send_invitation(house: House, contact: Contact, holder: Cardholder) -> str:
    """Queue the text that asks a contact; the text itself where the house cannot send it.

    Sent before, or answered, nothing is sent, and the text is empty.

    Raises:
        StoreUnavailableError: it was not queued: call it again.
    """
    if contact.state(house.clock.now_ms()) is not ContactState.INVITED:
        return ""
    facts: dict[str, Any] = {
        "name": masked_name(holder.name, contact.named.locale),
        "phone": holder.phone[-4:] or "…",
        "reference": contact.named.reference,
    }
    text = house.words.text("contact.invited", contact.named.locale, facts)
    return "" if await _send(house, contact, INVITED, text) else text


async def _send(house: House, contact: Contact, kind: str, text: str) -> bool:
    """Queue a message to a contact; False where the house sends no text messages itself."""
    desk = house.messages
    if desk is None or desk.queue is None or not desk.sends_sms:
        return False
    at_ms = contact.named.created_ms if kind == INVITED else contact.named.ended_ms
    await desk.queue((contact_message(contact, kind, text, at_ms),))
    return True
