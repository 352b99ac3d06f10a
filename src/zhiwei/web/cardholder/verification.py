"""Verification (验证): from which amount on the cardholder is asked before a payment passes."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Change
from zhiwei.core.controls import LargeSpendVerification, MagstripeVerification
from zhiwei.gateways.http.control_types import type_document
from zhiwei.gateways.http.controls import pending_of
from zhiwei.web.cardholder.amounts import (
    amount_in,
    amount_text,
    cancel,
    etag_of,
    one_of,
    remove_as_seen,
    set_as_seen,
)
from zhiwei.web.cardholder.deeds import Fields, Kind
from zhiwei.web.cardholder.visit import Home, Visit

_TYPES: Final = ("large_spend_verification", "magstripe_verification")
#: The bank's own threshold is an amount of this currency and speaks of its cards only.
_BANKS_CURRENCY: Final = "CNY"


def verification_routes(home: Home) -> APIRouter:
    """`/me/cards/{card}/verification`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/me/cards/{card}/verification")
    async def look(request: Request, card: str) -> Response:
        visit = await home.pages.visit(request, card=card)
        facts = {
            "card": visit.the_card,
            "currency": visit.the_card.settings.profile.currency,
            "sections": [_section(home, visit, name) for name in _TYPES],
        }
        return home.pages.page(visit, "verification.html", facts)

    return router


def _section(home: Home, visit: Visit, name: str) -> dict[str, Any]:
    """One verification as the page shows it."""
    card = visit.the_card
    control = card.settings.controls.of_type(name)
    code = card.settings.profile.currency
    threshold = None
    if isinstance(control, MagstripeVerification | LargeSpendVerification):
        threshold = control.threshold
    issuers = type_document(home.house, name)["by_issuer"].get("threshold")
    return {
        "type": name,
        "threshold": threshold,
        "shown": "" if threshold is None else amount_text(threshold, code),
        "banks": issuers if code == _BANKS_CURRENCY else None,
        "etag": etag_of(card, name),
        "pending": pending_of(card, name),
    }


def _set(card: CardState, fields: Fields, _now_ms: int) -> Change:
    name = one_of(fields, "control", _TYPES)
    threshold = amount_in(card, fields, "threshold")
    is_stripe = name == "magstripe_verification"
    control = MagstripeVerification(threshold) if is_stripe else LargeSpendVerification(threshold)
    return set_as_seen(name, control, fields)


def _remove(_card: CardState, fields: Fields, _now_ms: int) -> Change:
    return remove_as_seen(one_of(fields, "control", _TYPES), fields)


def _cancel(_card: CardState, fields: Fields, _now_ms: int) -> Change:
    return cancel(one_of(fields, "control", _TYPES))


def _told_set(card: CardState, fields: Fields) -> tuple[str, dict[str, Any]]:
    code = card.settings.profile.currency
    value = f"{amount_text(amount_in(card, fields, 'threshold'), code)} {code}"
    return f"verification.told_set.{one_of(fields, 'control', _TYPES)}", {"value": value}


def _told_remove(_card: CardState, fields: Fields) -> tuple[str, dict[str, Any]]:
    return f"verification.told_remove.{one_of(fields, 'control', _TYPES)}", {}


def _told_cancel(card: CardState, _fields: Fields) -> tuple[str, dict[str, Any]]:
    return "money.told_cancel", {"tail": card.settings.profile.tail}


KINDS: Final = (
    Kind("verification_set", _set, _told_set, "verification.done_set"),
    Kind("verification_remove", _remove, _told_remove, "verification.done_remove"),
    Kind("verification_cancel", _cancel, _told_cancel, "money.done_cancel"),
)
