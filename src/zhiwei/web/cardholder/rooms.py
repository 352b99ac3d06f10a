"""The list of the cardholder's pages, and of the deeds that their forms ask for."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from zhiwei.web.cardholder.deeds import Kind
from zhiwei.web.cardholder.home import home_routes
from zhiwei.web.cardholder.visit import Home

#: Every deed, by room.
KINDS: Final[tuple[Kind, ...]] = ()
_ROUTES: Final = (home_routes,)


def room_routes(home: Home) -> APIRouter:
    """All pages under `/me`."""
    router = APIRouter(include_in_schema=False)
    for routes in _ROUTES:
        router.include_router(routes(home))
    return router
