"""Locks (安全锁): where, when and how a card may pay; each says what it stops and what not."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from zhiwei.core.documents import time_text
from zhiwei.core.windows import NIGHT, DailyWindow
from zhiwei.core.zone import DAY_MS
from zhiwei.gateways.http.controls import pending_of
from zhiwei.web.cardholder.amounts import etag_of
from zhiwei.web.cardholder.lock_forms import LOCKS, countries, provinces
from zhiwei.web.cardholder.merchant_groups import GROUPS, split
from zhiwei.web.cardholder.visit import Home, Visit


def lock_routes(home: Home) -> APIRouter:
    """`/me/cards/{card}/locks`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/me/cards/{card}/locks")
    async def look(request: Request, card: str) -> Response:
        visit = await home.pages.visit(request, card=card, for_contacts=True)
        return home.pages.page(visit, "locks.html", _facts(visit))

    return router


def _facts(visit: Visit) -> dict[str, Any]:
    card = visit.the_card
    controls = card.settings.controls
    region, overseas = controls.region_lock, controls.overseas_lock
    groups, others = split(() if controls.category_lock is None else controls.category_lock.mccs)
    return {
        "card": card,
        "locks": LOCKS,
        "control_of": controls.of_type,
        "etag_of": lambda name: etag_of(card, name),
        "pending_of": lambda name: pending_of(card, name),
        "provinces": provinces(visit.language),
        "countries": countries(visit.language),
        "chosen_regions": () if region is None else region.regions,
        "chosen_countries": () if overseas is None else overseas.countries,
        "night_hours": _hours(None if controls.night_lock is None else controls.night_lock.window),
        "online_hours": _hours(
            None if controls.online_lock is None else controls.online_lock.window
        ),
        "groups": list(GROUPS),
        "chosen_groups": groups,
        "other_mccs": others,
        "zone": card.settings.profile.zone.name,
    }


def _hours(window: DailyWindow | None) -> tuple[str, str]:
    """Start and end as `22:30`; the usual night where none is set. An end at midnight is 24:00."""
    shown = NIGHT if window is None else window
    return time_text(shown.start_ms), time_text(shown.end_ms or DAY_MS)
