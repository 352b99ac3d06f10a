"""Travel (出行计划): opens the locks for a trip and closes them again by itself.

Temporary passes are listed beside the plans; each can be ended before its time.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from zhiwei.core.card_state import CardState, Permission, PermissionKind
from zhiwei.core.command import Change, GrantPermission, RevokePermission
from zhiwei.core.place import PROVINCES, country_code, province_code
from zhiwei.core.request import DOMESTIC
from zhiwei.core.zone import DAY_MS
from zhiwei.web.cardholder.amounts import amount_in
from zhiwei.web.cardholder.deeds import BadFormError, Fields, Kind, field
from zhiwei.web.cardholder.visit import Home, Visit
from zhiwei.words.names import country_named, country_names

#: Countries that one plan of this page names at most; the API takes more.
_COUNTRIES_MAX: Final = 3
_REGIONS_MAX: Final = 20
#: What a journey gets in the way of: locks of place, and the night of home, which is day elsewhere.
#: What asks "is this you?" goes on asking, and what has nothing to do with where stays shut.
LIFTED: Final = ("night_lock", "overseas_lock", "overseas_online_lock", "region_lock")
_DAY: Final = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", re.ASCII)
_EPOCH: Final = date(1970, 1, 1)


def travel_routes(home: Home) -> APIRouter:
    """`/me/cards/{card}/travel`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/me/cards/{card}/travel")
    async def look(request: Request, card: str) -> Response:
        visit = await home.pages.visit(request, card=card)
        facts = await run_in_threadpool(_facts, home, visit)
        return home.pages.page(visit, "travel.html", facts)

    return router


def _facts(home: Home, visit: Visit) -> dict[str, Any]:
    """What is open for a while, and what the form offers."""
    card = visit.the_card
    today = _today(card, visit.now_ms)
    days = home.house.policy.permission_max_ms // DAY_MS
    return {
        "card": card,
        "currency": card.settings.profile.currency,
        "permissions": card.settings.permissions[::-1],
        "today": today.isoformat(),
        "last_day": (today + timedelta(days=365)).isoformat(),
        "days": days,
        "countries": sorted(
            name for code, name in country_names(visit.language).items() if code != DOMESTIC
        ),
        "countries_max": _COUNTRIES_MAX,
        "provinces": tuple(PROVINCES),
        "kind_of": kind_word,
    }


def kind_word(permission: Permission) -> str:
    """`pass`, `temporary` or `travel`."""
    return permission.kind.name.lower()


def _today(card: CardState, now_ms: int) -> date:
    """The day on the card's own calendar."""
    return _EPOCH + timedelta(days=card.settings.profile.zone.local_ms(now_ms) // DAY_MS)


def _plan(card: CardState, fields: Fields, now_ms: int) -> Change:
    """From the first minute of the first day to the last minute of the last one, at home's clock.

    Raises:
        BadFormError: a day or place that is none, or none at all; a trip that is over.
    """
    first, last = _day_in(fields, "from"), _day_in(fields, "until")
    if last < first:
        raise BadFormError("travel.backwards")
    if last < _today(card, now_ms):
        raise BadFormError("travel.over")
    countries, regions = _places_in(fields)
    total = amount_in(card, fields, "total") if field(fields, "total", "") else -1
    zone = card.settings.profile.zone
    permission = Permission(
        id="",
        kind=PermissionKind.TRAVEL,
        from_ms=zone.first_instant_of_day((first - _EPOCH).days),
        until_ms=zone.first_instant_of_day((last - _EPOCH).days + 1),
        controls=LIFTED,
        countries=countries,
        regions=regions,
        total_max=total,
    )
    return GrantPermission(permission)


def _places_in(fields: Fields) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Countries or provinces; a plan of both would hold in neither.

    Raises:
        BadFormError: none, too many, or of both kinds.
        NotAllowedValueError: one that does not exist.
    """
    named = [text.strip() for text in fields.get("country", []) if text.strip()]
    chosen = fields.get("region", [])
    if not named and not chosen:
        raise BadFormError("travel.nowhere")
    if named and chosen:
        raise BadFormError("travel.both")
    if len(named) > _COUNTRIES_MAX or len(chosen) > _REGIONS_MAX:
        raise BadFormError("travel.too_many", n=_COUNTRIES_MAX, regions=_REGIONS_MAX)
    countries = {
        country_code(country_named(text) or text, f"/countries/{i}") for i, text in enumerate(named)
    }
    regions = {province_code(text, f"/regions/{i}") for i, text in enumerate(chosen)}
    if DOMESTIC in countries:
        raise BadFormError("travel.domestic")
    return tuple(sorted(countries)), tuple(sorted(regions))


def _day_in(fields: Fields, name: str) -> date:
    """A day as browsers send it (`2025-12-01`), of this century.

    Raises:
        BadFormError: it is none.
    """
    text = field(fields, name)
    if not text:
        raise BadFormError("form.missing", field=name)
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise BadFormError("travel.bad_day")


def _end(_card: CardState, fields: Fields, _now_ms: int) -> Change:
    return RevokePermission(field(fields, "id"))


def _told_plan(card: CardState, fields: Fields) -> tuple[str, dict[str, Any]]:
    countries, regions = _places_in(fields)
    return "travel.told_plan", {
        "tail": card.settings.profile.tail,
        "first": _day_in(fields, "from").isoformat(),
        "last": _day_in(fields, "until").isoformat(),
        "n": len(countries) + len(regions),
    }


def _told_end(card: CardState, _fields: Fields) -> tuple[str, dict[str, Any]]:
    return "travel.told_end", {"tail": card.settings.profile.tail}


KINDS: Final = (
    Kind("travel_plan", _plan, _told_plan, "travel.done_plan"),
    Kind("permission_end", _end, _told_end, "travel.done_end"),
)
