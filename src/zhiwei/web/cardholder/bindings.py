"""Linked payments (快捷支付): which institutions may debit the card, with a switch for each."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from zhiwei.core.card_state import Binding, CardState
from zhiwei.core.command import Change, RemoveBinding, SwitchBinding
from zhiwei.web.cardholder.amounts import one_of
from zhiwei.web.cardholder.deeds import BadFormError, Fields, Kind, field
from zhiwei.web.cardholder.visit import Home
from zhiwei.web.frame.shown import plain

_NAME_MAX: Final = 40


def binding_routes(home: Home) -> APIRouter:
    """`/me/cards/{card}/bindings`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/me/cards/{card}/bindings")
    async def look(request: Request, card: str) -> Response:
        visit = await home.pages.visit(request, card=card)
        facts = {"card": visit.the_card, "bindings": _linked(visit.the_card)}
        return home.pages.page(visit, "bindings.html", facts)

    return router


def _linked(card: CardState) -> list[Binding]:
    """Institutions that are linked; one that was unlinked stays in the file, closed."""
    return [binding for binding in card.settings.bindings if not binding.removed_ms]


def _switch(_card: CardState, fields: Fields, _now_ms: int) -> Change:
    return SwitchBinding(field(fields, "id"), one_of(fields, "open", ("0", "1")) == "1")


def _remove(_card: CardState, fields: Fields, _now_ms: int) -> Change:
    return RemoveBinding(field(fields, "id"))


def _told_switch(card: CardState, fields: Fields) -> tuple[str, dict[str, Any]]:
    word = "open" if one_of(fields, "open", ("0", "1")) == "1" else "close"
    return f"bindings.told_{word}", {"name": _name(card, fields)}


def _told_remove(card: CardState, fields: Fields) -> tuple[str, dict[str, Any]]:
    return "bindings.told_remove", {"name": _name(card, fields)}


def _name(card: CardState, fields: Fields) -> str:
    """What the institution is called.

    Raises:
        BadFormError: it is not linked any more.
    """
    wanted = field(fields, "id")
    for binding in _linked(card):
        if binding.id == wanted:
            return plain(binding.name or binding.institution, _NAME_MAX)
    raise BadFormError("rejected.binding_not_found")


KINDS: Final = (
    Kind("binding_switch", _switch, _told_switch, "bindings.done_switch"),
    Kind("binding_remove", _remove, _told_remove, "bindings.done_remove"),
)
