"""The list of the cardholder's pages, and of the deeds that their forms ask for."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from zhiwei.web.cardholder import (
    alerts,
    bindings,
    checkup,
    contacts,
    limits,
    lock_forms,
    once,
    questions,
    stops,
    travel,
    verification,
)
from zhiwei.web.cardholder.alerts import alert_routes
from zhiwei.web.cardholder.bindings import binding_routes
from zhiwei.web.cardholder.checkup import checkup_routes
from zhiwei.web.cardholder.contacts import contact_routes
from zhiwei.web.cardholder.deeds import Act, Kind
from zhiwei.web.cardholder.history import history_routes
from zhiwei.web.cardholder.home import home_routes
from zhiwei.web.cardholder.limits import limit_routes
from zhiwei.web.cardholder.locks import lock_routes
from zhiwei.web.cardholder.questions import question_routes
from zhiwei.web.cardholder.settings import settings_routes
from zhiwei.web.cardholder.travel import travel_routes
from zhiwei.web.cardholder.trials import trial_routes
from zhiwei.web.cardholder.verification import verification_routes
from zhiwei.web.cardholder.visit import Home

#: Every deed, by room.
KINDS: Final[tuple[Kind, ...]] = (
    *stops.KINDS,
    *lock_forms.KINDS,
    *questions.KINDS,
    *once.KINDS,
    *checkup.KINDS,
    *limits.KINDS,
    *verification.KINDS,
    *alerts.KINDS,
    *bindings.KINDS,
    *travel.KINDS,
)
#: Deeds that are more, or less, than a change of cards.
ACTS: Final[tuple[Act, ...]] = (*contacts.ACTS, *stops.ACTS)
_ROUTES: Final = (
    home_routes,
    lock_routes,
    history_routes,
    question_routes,
    checkup_routes,
    contact_routes,
    settings_routes,
    limit_routes,
    verification_routes,
    alert_routes,
    binding_routes,
    travel_routes,
)


def room_routes(home: Home) -> APIRouter:
    """All pages under `/me`."""
    router = APIRouter(include_in_schema=False)
    for routes in _ROUTES:
        router.include_router(routes(home))
    router.include_router(trial_routes(home, {kind.name: kind for kind in KINDS}))
    return router
