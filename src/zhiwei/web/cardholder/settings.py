"""Settings (设置): language, large letters, light or dark; the way to passkeys and contacts."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from zhiwei.web.cardholder.visit import Home


def settings_routes(home: Home) -> APIRouter:
    """`/me/settings`; what is chosen goes to `/me/appearance`, and each browser keeps its own."""
    router = APIRouter(include_in_schema=False)

    @router.get("/me/settings")
    async def look(request: Request) -> Response:
        visit = await home.pages.visit(request, for_contacts=True)
        return home.pages.page(visit, "settings.html")

    return router
