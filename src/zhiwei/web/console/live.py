"""`/console` and its stream: what is decided now, what is declined, where, and how fast."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from zhiwei.web.console.context import PREFIX, Console, DeskRoute
from zhiwei.web.console.filters import SPANS, DecisionFilter
from zhiwei.web.console.pulse import pulse_of, quantile_ms
from zhiwei.web.console.sums import Sums
from zhiwei.web.console.tiles import tiles
from zhiwei.web.console.watch import News

#: Rows of the first picture, and length of one step of the time line by span.
_ROWS: Final = 25
_STEPS_MS: Final = {"15m": 60_000, "1h": 300_000, "6h": 1_800_000, "24h": 7_200_000}
_SPAN: Final = "1h"
#: Reasons that have a line of their own.
_REASONS_MAX: Final = 6
_NO_BUFFER: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def live_routes(console: Console) -> APIRouter:
    """The overview and the stream of decisions."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False, route_class=DeskRoute)

    @router.get("")
    async def overview(request: Request, span: str = _SPAN) -> Response:
        session = await console.operator(request)
        await console.watch.refreshed()
        span = span if span in SPANS else _SPAN
        facts = await run_in_threadpool(_facts, console, span)
        return await console.page(request, session, "live.html", **facts)

    @router.get("/live")
    async def stream(request: Request) -> Response:
        session = await console.operator(request)
        if console.watch.is_full:
            raise HTTPException(503)
        news = _events(console, request, session.id)
        return StreamingResponse(news, media_type="text/event-stream", headers=_NO_BUFFER)

    return router


def _facts(console: Console, span: str) -> dict[str, object]:
    now_ms = console.house.clock.now_ms()
    since_ms = now_ms - SPANS[span]

    def ask(sums: Sums) -> dict[str, object]:
        by_place = sums.by("place", since_ms)
        by_reason = [one for one in sums.by("reason", since_ms) if one.value]
        return {
            "outcomes": sums.outcomes(since_ms),
            "by_reason": by_reason,
            "reasons_shown": [one.value for one in by_reason[:_REASONS_MAX]],
            "by_place": by_place,
            "by_network": sums.by("network", since_ms),
            "by_channel": sums.by("channel", since_ms),
            "tiles": tiles(by_place),
            "steps": sums.line(since_ms, now_ms, _STEPS_MS[span], "reason"),
        }

    facts = console.watch.summed(ask)
    pulse = pulse_of(console.house.shown_metrics)
    return {
        **facts,
        "span": span,
        "spans": list(SPANS),
        "filter": DecisionFilter(span=span),
        "rows": console.watch.rows()[:_ROWS],
        "coverage": console.watch.coverage(),
        "pulse": pulse,
        "p50": quantile_ms(pulse.latency, 0.5),
        "p99": quantile_ms(pulse.latency, 0.99),
        "commit_p50": quantile_ms(pulse.commit, 0.5),
    }


async def _events(console: Console, request: Request, session_id: str) -> AsyncIterator[str]:
    """News as server-sent events; ends when the page is left or the session is over."""
    listening = console.watch.listen()
    try:
        yield "retry: 3000\n\n"
        async for news in listening:
            if await request.is_disconnected():
                return
            if await run_in_threadpool(console.faces.session, session_id) is None:
                # The page then asks for itself once more, and is led to the sign-in.
                yield "event: over\ndata: over\n\n"
                return
            yield await run_in_threadpool(_event, console, request, news)
    finally:
        await listening.aclose()


def _event(console: Console, request: Request, news: News | None) -> str:
    """One event: rows as they stand in the table, newest first, and how many were lost."""
    if news is None:
        return ": still here\n\n"
    html = console.frame.text(request, "console/rows.html", {"rows": news.rows[::-1]})
    data = json.dumps({"rows": html, "count": len(news.rows), "lost": news.lost})
    return f"event: news\ndata: {data}\n\n"
