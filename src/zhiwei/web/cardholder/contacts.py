"""Trusted contacts (信任联系人): who is told of what matters, may stop a card, never open one."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from zhiwei.gateways.http.trusted_contacts import ended_by_holder, invited, send_invitation
from zhiwei.messaging.contacts import CONTACTS_MAX, ContactState, contact_of, contacts_of
from zhiwei.web.cardholder.deeds import Act, BadFormError, Fields, field
from zhiwei.web.cardholder.visit import Home, Visit
from zhiwei.web.sign_in.entering import phone_of
from zhiwei.words import LANGUAGES

_NAME_MAX: Final = 40


def contact_routes(home: Home) -> APIRouter:
    """`/me/contacts`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/me/contacts")
    async def look(request: Request) -> Response:
        visit = await home.pages.visit(request)
        found = await run_in_threadpool(contacts_of, home.house.reader, visit.holder.id)
        standing = [c for c in found if c.state(visit.now_ms) is not ContactState.ENDED]
        facts = {
            "contacts": [(c, str(c.state(visit.now_ms))) for c in standing],
            "may_name": len(standing) < CONTACTS_MAX and not visit.is_contact,
            "most": CONTACTS_MAX,
        }
        return home.pages.page(visit, "contacts.html", facts)

    return router


async def _name(home: Home, visit: Visit, fields: Fields, is_strong: bool) -> bool:
    """Ask somebody to be a contact; it shows data to another person, so it is proved first."""
    name, number = field(fields, "name"), phone_of(field(fields, "phone"))
    language = field(fields, "language", visit.language)
    if not name or len(name) > _NAME_MAX or not number or language not in LANGUAGES:
        raise BadFormError("contacts.bad")
    if not is_strong:
        return False
    actor = visit.actor(is_strong=True)
    contact = await invited(home.house, actor, visit.holder, name, number, language)
    await send_invitation(home.house, contact, visit.holder)
    return True


async def _end(home: Home, visit: Visit, fields: Fields, is_strong: bool) -> bool:
    """End one at once; who is told less cannot do harm."""
    found = await run_in_threadpool(contact_of, home.house.reader, field(fields, "contact"))
    if found is None or found.cardholder != visit.holder.id:
        raise BadFormError("rejected.contact_not_found")
    await ended_by_holder(home.house, visit.actor(is_strong=is_strong), visit.holder, found)
    return True


def _told_name(fields: Fields) -> tuple[str, dict[str, Any]]:
    phone = field(fields, "phone", "")
    return "told.name_contact", {"tail": phone[-4:]}


def _told_end(_fields: Fields) -> tuple[str, dict[str, Any]]:
    return "told.end_contact", {}


ACTS: Final = (
    Act("name_contact", _name, _told_name, "done.name_contact"),
    Act("end_contact", _end, _told_end, "done.end_contact"),
)
