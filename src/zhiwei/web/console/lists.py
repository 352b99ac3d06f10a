"""`/console/decisions`, `/console/search` and `/console/audit`: lists, and the same as CSV."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from zhiwei.web.console.context import PREFIX, Console, DeskRoute, position_in
from zhiwei.web.console.filters import SPANS, AuditFilter, DecisionFilter
from zhiwei.web.console.ledger import WALK_MAX, LedgerPage, ledger_page
from zhiwei.web.console.rows import CHANNEL_WORDS, OUTCOME_WORDS, DecisionRow
from zhiwei.web.console.search import Hits, search
from zhiwei.web.console.sheets import audits_sheet, decisions_sheet
from zhiwei.web.console.trail import EXPORT_MAX, exported, trail_page

#: Decisions that one export holds.
_SHEET_MAX: Final = 10_000
_VIAS: Final = ("iso8583", "http", "sms", "app", "console", "cli")


def list_routes(console: Console) -> APIRouter:
    """Decisions."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False, route_class=DeskRoute)
    house = console.house

    def ledger(wanted: DecisionFilter, before: int, limit: int, walk_max: int) -> LedgerPage:
        now_ms = house.clock.now_ms()
        names = console.watch.names
        return ledger_page(
            house.reader, names, wanted, now_ms, before=before, limit=limit, walk_max=walk_max
        )

    @router.get("/decisions")
    async def decisions(request: Request, before: str = "") -> Response:
        session = await console.operator(request)
        wanted = DecisionFilter.read(request.query_params)
        page = await run_in_threadpool(ledger, wanted, position_in(before), 50, WALK_MAX)
        return await console.page(
            request,
            session,
            "decisions.html",
            filter=wanted,
            page=page,
            outcomes=OUTCOME_WORDS,
            channels=CHANNEL_WORDS,
            spans=list(SPANS),
        )

    @router.get("/decisions.csv")
    async def decisions_csv(request: Request) -> Response:
        session = await console.operator(request)
        wanted = DecisionFilter.read(request.query_params)
        page = await run_in_threadpool(ledger, wanted, 0, _SHEET_MAX, EXPORT_MAX)
        await console.note(session, exported("decisions", wanted.query(), len(page.rows)))
        return _sheet("decisions", await run_in_threadpool(decisions_sheet, page.rows))

    return router


def search_routes(console: Console) -> APIRouter:
    """The search box."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False, route_class=DeskRoute)
    house = console.house

    @router.get("/search")
    async def find(
        request: Request, q: str = "", cards: str = "", customers: str = "", entries: str = ""
    ) -> Response:
        session = await console.operator(request)

        def look() -> Hits:
            return search(
                house.reader,
                console.watch.names,
                q,
                cards_after=cards,
                holders_before=customers,
                entries_before=position_in(entries),
            )

        hits = await run_in_threadpool(look)
        return await console.page(
            request, session, "search.html", hits=hits, entry=_row_of(console, hits)
        )

    return router


def audit_routes(console: Console) -> APIRouter:
    """The audit trail."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False, route_class=DeskRoute)
    house = console.house

    @router.get("/audit")
    async def audit(request: Request, before: str = "") -> Response:
        session = await console.operator(request)
        wanted = AuditFilter.read(request.query_params)
        at = position_in(before)
        page = await run_in_threadpool(trail_page, house.reader, wanted, before=at)
        return await console.page(
            request, session, "audit.html", filter=wanted, page=page, vias=_VIAS
        )

    @router.get("/audit.csv")
    async def audit_csv(request: Request) -> Response:
        session = await console.operator(request)
        wanted = AuditFilter.read(request.query_params)
        page = await run_in_threadpool(
            trail_page, house.reader, wanted, limit=EXPORT_MAX, walk_max=EXPORT_MAX
        )
        await console.note(session, exported("audit", wanted.query(), len(page.rows)))
        return _sheet("audit", await run_in_threadpool(audits_sheet, page.rows))

    return router


def _row_of(console: Console, hits: Hits) -> DecisionRow | None:
    """The decision that an id names, as a row; None where it is a change."""
    if hits.entry is None:
        return None
    reader = console.house.reader
    position = reader.position(*hits.entry)
    page = ledger_page(
        reader,
        console.watch.names,
        DecisionFilter(),
        0,
        before=position + 1,
        limit=1,
        walk_max=1,
    )
    return page.rows[0] if page.rows else None


def _sheet(name: str, text: str) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="zhiwei-{name}.csv"',
        "Cache-Control": "no-store",
    }
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)
