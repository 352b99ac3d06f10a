"""Before you switch it on (试一试): what a control, as its form says now, would have stopped.

The guardian's own step decides the card's last 90 days again (`zhiwei.preview`); a page shows the
number, and the list can be opened. Nothing is changed by it.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from zhiwei.core.errors import NotAllowedValueError
from zhiwei.gateways.http.presentation import sentence
from zhiwei.preview import DAYS, Preview, Stopped, preview
from zhiwei.web.cardholder.control_forms import control_of_form
from zhiwei.web.cardholder.deeds import BadFormError, Fields, back_of, field, why_not
from zhiwei.web.cardholder.visit import Home, Visit

#: Payments that are listed; the number is of all of them.
_LISTED_MAX = 200


def trial_routes(home: Home) -> APIRouter:
    """`/me/cards/{card}/try`: a piece of a page for scripts, a page for everybody else."""
    router = APIRouter(include_in_schema=False)

    @router.post("/me/cards/{card}/try")
    async def tried(request: Request, card: str) -> Response:
        visit = await home.pages.visit(request, card=card)
        fields = await home.pages.form(request, visit.session)
        is_piece = request.headers.get("hx-request") == "true"
        try:
            found = await run_in_threadpool(_previewed, home, visit, fields)
        except (BadFormError, NotAllowedValueError) as error:
            key, facts = why_not(error)
            why = home.pages.say(visit, key, **facts)
            if is_piece:
                # What is not filled in yet is no fault of anybody; the place stays empty.
                return home.pages.page(visit, "_tried.html", {"found": None, "why": why})
            back = {"why": why, "back": back_of(fields)}
            return home.pages.page(visit, "sorry.html", back, status=422)
        template = "_tried.html" if is_piece else "tried.html"
        told: dict[str, Any] = {
            **_told(home, visit, found),
            "type": field(fields, "type"),
            "fields": fields,
        }
        told["back"] = back_of(fields)
        return home.pages.page(visit, template, told)

    return router


def _previewed(home: Home, visit: Visit, fields: Fields) -> Preview:
    card = visit.the_card
    control_type = field(fields, "type")
    control = control_of_form(control_type, fields, card)
    house = home.house
    return preview(
        house.policy,
        house.reader,
        card,
        control_type,
        control,
        visit.now_ms,
        entries_max=house.settings.preview_entries_max,
    )


def _told(home: Home, visit: Visit, found: Preview) -> dict[str, Any]:
    currency = visit.the_card.settings.profile.currency

    def because(stopped: Stopped) -> str:
        return sentence(home.house, currency, stopped.finding)[visit.language]

    return {
        "found": found,
        "why": "",
        "days": DAYS,
        "stopped": found.stopped[:_LISTED_MAX],
        "count": found.would_decline + found.would_challenge,
        "because": because,
        "card": visit.the_card,
    }
