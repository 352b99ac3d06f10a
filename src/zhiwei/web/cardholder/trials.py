"""Before you switch it on (试一试): what a control, as its form says now, would have stopped.

The form's own deed makes the control, so what is tried is what would be set. The guardian's own
step decides the card's last 90 days again (`zhiwei.preview`); a page shows the number, and the list
can be opened. Nothing is changed by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from zhiwei.core.command import SetControl
from zhiwei.core.errors import NotAllowedValueError
from zhiwei.gateways.http.presentation import sentence
from zhiwei.preview import DAYS, Preview, Stopped, preview
from zhiwei.web.cardholder.deeds import BadFormError, Fields, Kind, back_of, why_not
from zhiwei.web.cardholder.visit import Home, Visit

#: Payments that are listed; the number is of all of them.
_LISTED_MAX = 200


def trial_routes(home: Home, kinds: Mapping[str, Kind]) -> APIRouter:
    """`/me/cards/{card}/try/{deed}`: a piece of a page for scripts, a page for everybody else."""
    router = APIRouter(include_in_schema=False)

    @router.post("/me/cards/{card}/try/{deed}")
    async def tried(request: Request, card: str, deed: str) -> Response:
        visit = await home.pages.visit(request, card=card)
        fields = await home.pages.form(request, visit.session)
        is_piece = request.headers.get("hx-request") == "true"
        try:
            wanted = _wanted(visit, kinds.get(deed), fields)
            found = await run_in_threadpool(_previewed, home, visit, wanted)
        except (BadFormError, NotAllowedValueError) as error:
            key, facts = why_not(error)
            why = home.pages.say(visit, key, **facts)
            if is_piece:
                # What is not filled in yet is no fault of anybody; the place stays empty.
                why = "" if key == "form.missing" else why
                return home.pages.page(visit, "_tried.html", {"found": None, "why": why})
            back = {"why": why, "back": back_of(fields)}
            return home.pages.page(visit, "sorry.html", back, status=422)
        template = "_tried.html" if is_piece else "tried.html"
        told: dict[str, Any] = {
            **_told(home, visit, found),
            "type": wanted.control_type,
            "deed": deed,
            "fields": fields,
        }
        told["back"] = back_of(fields)
        return home.pages.page(visit, template, told)

    return router


def _wanted(visit: Visit, kind: Kind | None, fields: Fields) -> SetControl:
    """The control that a form would set.

    Raises:
        BadFormError, NotAllowedValueError: it would set none.
    """
    change = None if kind is None else kind.change(visit.the_card, fields, visit.now_ms)
    if not isinstance(change, SetControl):
        raise BadFormError("form.unknown")
    return change


def _previewed(home: Home, visit: Visit, wanted: SetControl) -> Preview:
    house = home.house
    return preview(
        house.policy,
        house.reader,
        visit.the_card,
        wanted.control_type,
        wanted.control,
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
