"""`/me/security` and `/console/security`: one's own passkeys and sessions.

Keys are added and removed shortly after a sign-in only (`entering.FRESH_MS`).
"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from zhiwei.web.sign_in import cookies, entering
from zhiwei.web.sign_in.counter import (
    ENTRANCE,
    HOME,
    Counter,
    away,
    call_of,
    form_of,
    is_of_session,
)
from zhiwei.web.sign_in.model import Face, Session
from zhiwei.web.sign_in.passkeys import BadPasskeyError, TooManyPasskeysError

_FACES: Final = {
    "/me/security": (Face.CARDHOLDER, Face.CONTACT),
    "/console/security": (Face.OPERATOR,),
}


def security_routes(counter: Counter) -> APIRouter:
    """The pages of both faces."""
    router = APIRouter(include_in_schema=False)
    for path, faces in _FACES.items():
        _pages(router, counter, path, faces)
        _calls(router, counter, path, faces)
    return router


def _pages(router: APIRouter, counter: Counter, path: str, faces: tuple[Face, ...]) -> None:
    desk = counter.desk

    async def asked(request: Request) -> Session | Response:
        """Who sends a form of this page, or what they are told instead."""
        form = await form_of(request)
        session = await counter.session_of(request)
        if session is None or session.face not in faces:
            return away(ENTRANCE[faces[0]])
        if not is_of_session(session, form):
            return counter.sorry(request, "form_over", status=403, to=path)
        request.state.form = form
        return session

    @router.get(path)
    async def look(request: Request) -> Response:
        session = await counter.session_of(request)
        if session is None or session.face not in faces:
            return away(ENTRANCE[faces[0]])
        facts = {
            "path": path,
            "home": HOME[session.face],
            "entrance": ENTRANCE[session.face],
            "is_fresh": entering.is_fresh(desk, session),
            "passkeys": await run_in_threadpool(desk.store.passkeys, session.face, session.subject),
        }
        return counter.page(request, session, "sign_in/security.html", facts)

    @router.post(f"{path}/rename")
    async def rename(request: Request) -> Response:
        session = await asked(request)
        if isinstance(session, Response):
            return session
        form = request.state.form
        named = form.get("passkey", ""), form.get("label", "")
        if not await entering.rename_passkey(desk, session, *named):
            return counter.sorry(request, "no_such_passkey", status=404, to=path)
        return away(path)

    @router.post(f"{path}/remove")
    async def remove(request: Request) -> Response:
        session = await asked(request)
        if isinstance(session, Response):
            return session
        if not entering.is_fresh(desk, session):
            return counter.sorry(request, "not_fresh", status=403, to=ENTRANCE[session.face])
        passkey = request.state.form.get("passkey", "")
        if not await entering.remove_passkey(desk, session, passkey):
            return counter.sorry(request, "no_such_passkey", status=404, to=path)
        return away(path)

    @router.post(f"{path}/end-sessions")
    async def end_sessions(request: Request) -> Response:
        session = await asked(request)
        if isinstance(session, Response):
            return session
        await entering.end_all_sessions(desk, session)
        response = away(ENTRANCE[session.face])
        cookies.drop(response, desk.site, cookies.SESSION)
        return response


def _calls(router: APIRouter, counter: Counter, path: str, faces: tuple[Face, ...]) -> None:
    desk = counter.desk

    async def asked(request: Request) -> Session | Response:
        call = await call_of(request)
        session = await counter.session_of(request)
        if session is None or session.face not in faces or not is_of_session(session, call):
            return counter.refused(request, "sign_in.problem.form_over", 403)
        if not entering.is_fresh(desk, session):
            return counter.refused(request, "sign_in.problem.not_fresh", 403)
        request.state.call = call
        return session

    @router.post(f"{path}/passkeys/question")
    async def question(request: Request) -> Response:
        session = await asked(request)
        if isinstance(session, Response):
            return session
        person = await run_in_threadpool(desk.people.of, session.face, session.subject)
        if person is None:
            return counter.refused(request, "sign_in.problem.form_over", 403)
        text = await run_in_threadpool(desk.passkeys.ask_for_new, session, person)
        return Response(text, media_type="application/json")

    @router.post(f"{path}/passkeys")
    async def add(request: Request) -> Response:
        session = await asked(request)
        if isinstance(session, Response):
            return session
        call = request.state.call
        person = await run_in_threadpool(desk.people.of, session.face, session.subject)
        if person is None:
            return counter.refused(request, "sign_in.problem.form_over", 403)
        answer, label = call.get("answer", ""), call.get("label", "")
        try:
            await entering.add_passkey(desk, session, person, answer, label)
        except BadPasskeyError:
            return counter.refused(request, "sign_in.problem.bad_passkey")
        except TooManyPasskeysError:
            return counter.refused(request, "sign_in.problem.too_many_passkeys", 409)
        return JSONResponse({"to": path})
