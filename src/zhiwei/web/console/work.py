"""What operators do: cases, messages that were given up, and sessions of colleagues."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from zhiwei.core.ids import card_id
from zhiwei.core.result import Audit
from zhiwei.messaging.model import CHANNELS
from zhiwei.ports import RecordOvertakenError, Replacing
from zhiwei.web.console import post
from zhiwei.web.console.cases import (
    STATES,
    Case,
    CaseClosedError,
    NoteMissingError,
    assigned,
    closed,
    reopened,
)
from zhiwei.web.console.context import (
    PREFIX,
    Console,
    DeskRoute,
    NothingHereError,
    actor_of,
    must_be,
    position_in,
)
from zhiwei.web.console.why import why
from zhiwei.web.sign_in.model import Role

#: Why a case was left as it is, as the page has sentences for it (`console.case.problem.*`).
_PROBLEMS: Final = frozenset({"note", "closed", "changed"})


def case_routes(console: Console) -> APIRouter:
    """Cases opened by "not mine"."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False, route_class=DeskRoute)
    house = console.house

    @router.get("/cases")
    async def list_cases(
        request: Request, state: str = "open", assignee: str = "", before: str = ""
    ) -> Response:
        session = await console.operator(request)
        state = state if state in (*STATES, "all") else "open"
        rows, more = await run_in_threadpool(
            console.cases.page,
            state="" if state == "all" else state,
            assignee=assignee[:80],
            before=before[:80],
        )
        return await console.page(
            request,
            session,
            "cases.html",
            rows=rows,
            more=more,
            state=state,
            assignee=assignee[:80],
            is_whole=console.cases.is_whole,
            card_id=card_id,
        )

    @router.get("/cases/{case}")
    async def read(request: Request, case: str, problem: str = "") -> Response:
        session = await console.operator(request)
        found = await _case(console, case)
        decision = f"auth_{case.partition('_')[2]}"
        shown = await run_in_threadpool(why, house, decision)
        card_key = found.opened.card_key
        await console.note(session, Audit("card.viewed", card_id(card_key), "", "case"))
        return await console.page(
            request,
            session,
            "case.html",
            case=found,
            why=shown,
            card=card_id(card_key),
            problem=problem if problem in _PROBLEMS else "",
        )

    return router


def case_work_routes(console: Console) -> APIRouter:
    """What is done with a case."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False, route_class=DeskRoute)
    house = console.house

    @router.post("/cases/{case}/{step}")
    async def work(request: Request, case: str, step: str) -> Response:
        session = await console.operator(request)
        must_be(session, Role.AGENT)
        form = await console.form(request, session)
        found = await _case(console, case)
        here = f"{PREFIX}/cases/{case}"
        try:
            if step == "assign":
                file, audit = assigned(found, session.subject)
            elif step == "release":
                file, audit = assigned(found, "")
            elif step == "close":
                now_ms = house.clock.now_ms()
                file, audit = closed(found, session.subject, form.get("note", ""), now_ms)
            elif step == "reopen":
                file, audit = reopened(found, session.subject)
            else:
                raise NothingHereError
        except NoteMissingError:
            return RedirectResponse(f"{here}?problem=note", 303)
        except CaseClosedError:
            return RedirectResponse(f"{here}?problem=closed", 303)
        try:
            await console.note(session, audit, records=[Replacing(file, found.kept)])
        except RecordOvertakenError:
            return RedirectResponse(f"{here}?problem=changed", 303)
        return RedirectResponse(here, 303)

    return router


def post_routes(console: Console) -> APIRouter:
    """Queues and dead letters."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False, route_class=DeskRoute)
    house = console.house

    @router.get("/messages")
    async def messages(
        request: Request, status: str = "", channel: str = "", before: str = "", sent: str = ""
    ) -> Response:
        session = await console.operator(request)
        desk = house.messages
        if desk is None:
            return await console.page(request, session, "messages.html", queues=None)
        queues = await run_in_threadpool(post.queues, desk, house.clock.now_ms())
        rows, more = await run_in_threadpool(
            post.letters, desk, status=status, channel=channel, before=position_in(before)
        )
        return await console.page(
            request,
            session,
            "messages.html",
            queues=queues,
            rows=rows,
            more=more,
            status=status if status in post.STATUS_WORDS else "",
            channel=channel,
            statuses=post.STATUS_WORDS,
            sent=position_in(sent) if sent else None,
        )

    @router.post("/messages/replay")
    async def replay(request: Request) -> Response:
        session = await console.operator(request)
        must_be(session, Role.AGENT)
        form = await console.form(request, session)
        desk = house.messages
        if desk is None:
            raise NothingHereError
        actor = actor_of(session)
        if form.get("message"):
            tracked = await run_in_threadpool(desk.reader.message, form["message"])
            if tracked is None:
                raise NothingHereError
            count = await post.replay_one(house, desk, actor, tracked)
            return RedirectResponse(f"{PREFIX}/messages?sent={count}", 303)
        status, channel = form.get("status", ""), form.get("channel", "")
        if status not in post.MANY or channel not in CHANNELS:
            raise NothingHereError
        rows, _ = await run_in_threadpool(
            post.letters, desk, status=status, channel=channel, limit=post.REPLAYED_MAX
        )
        count = await post.replay_many(house, desk, actor, rows, channel, status)
        return RedirectResponse(f"{PREFIX}/messages?sent={count}", 303)

    return router


def operator_routes(console: Console) -> APIRouter:
    """Colleagues, and the end of their sessions."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False, route_class=DeskRoute)

    @router.get("/operators")
    async def operators(request: Request, ended: str = "") -> Response:
        session = await console.operator(request)
        people = await run_in_threadpool(console.faces.operators)
        return await console.page(
            request, session, "operators.html", people=people, ended=ended.isdigit()
        )

    @router.post("/operators/{operator}/end")
    async def end(request: Request, operator: str) -> Response:
        session = await console.operator(request)
        if operator != session.subject:
            must_be(session, Role.OFFICER)
        await console.form(request, session)
        people = await run_in_threadpool(console.faces.operators)
        if all(one.id != operator for one in people):
            raise NothingHereError
        await console.note(session, Audit("operator.sessions_ended", operator, "", ""))
        count = await run_in_threadpool(console.faces.end_sessions, subject=operator)
        return RedirectResponse(f"{PREFIX}/operators?ended={count}", 303)

    return router


async def _case(console: Console, case: str) -> Case:
    found = await run_in_threadpool(console.cases.of, case)
    if found is None:
        raise NothingHereError
    return found
