"""Home: the score and the one best next step, the cards with their state, and the big buttons."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from zhiwei.core.card_state import CardState, CardStatus
from zhiwei.core.controls import CONTROL_TYPES
from zhiwei.gateways.http.house import Document
from zhiwei.web.cardholder.checkup import RING
from zhiwei.web.cardholder.questions import open_questions
from zhiwei.web.cardholder.stops import switch_stands
from zhiwei.web.cardholder.visit import Home, Visit

_ALERTS: Final = frozenset(("balance_inquiry_alert", "balance_change_alert", "decline_alert"))


def home_routes(home: Home) -> APIRouter:
    """`/me`, and `/me/cards/{card}`: one card with all that can be set on it."""
    router = APIRouter(include_in_schema=False)

    @router.get("/me")
    async def look(request: Request) -> Response:
        visit = await home.pages.visit(request, for_contacts=True)
        facts = await run_in_threadpool(home_facts, home, visit)
        return home.pages.page(visit, "home.html", facts)

    @router.get("/me/cards/{card}")
    async def card(request: Request, card: str) -> Response:
        visit = await home.pages.visit(request, card=card, for_contacts=True)
        return home.pages.page(visit, "card.html", {"card": visit.the_card, **_set_on(visit)})

    return router


def home_facts(home: Home, visit: Visit) -> dict[str, Any]:
    """What the home page shows beside the cards themselves."""
    report = home.house.rooms.examine(visit.cards, _no_entries, "quick", None, visit.now_ms)
    told = home.house.words.checkup(report) if visit.cards else None
    return {
        "score": told,
        "ring": 0 if told is None else told["score"] * RING // 100,
        "step": None if told is None else _step(told),
        "questions": open_questions(visit),
        "state_of": state_word,
        "all_stopped": switch_stands(visit.cards),
        "is_known": bool(visit.cards),
    }


def state_word(card: CardState) -> str:
    """The one word for a card's state: locks, stops, losses and freezes are never mixed."""
    if card.settings.profile.status is not CardStatus.ACTIVE:
        return card.settings.profile.status.name.lower()
    if card.settings.stop is not None:
        return "stopped"
    if card.settings.controls.of_type("card_lock") is not None:
        return "locked"
    return "active"


def _set_on(visit: Visit) -> dict[str, Any]:
    """Which controls of a card are set."""
    controls = visit.the_card.settings.controls
    names = [name for name in CONTROL_TYPES if controls.of_type(name) is not None]
    return {
        "state_of": state_word,
        "locks_on": [n for n in names if n.endswith("_lock")],
        "verifications_on": [n for n in names if n.endswith("_verification")],
        "alerts_on": [n for n in names if n in _ALERTS],
        "has_limits": "limits" in names,
    }


def _step(report: Document) -> Document | None:
    """The one finding that is worth most to mend; None where all is well."""
    place = report["next_step"]
    return None if place is None else dict(report["findings"][place])


def _no_entries(_card: CardState) -> tuple[()]:
    return ()
