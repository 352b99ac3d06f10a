"""`/me/prove/{deed}`: what will change, and the two ways to show that one wants it oneself."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from zhiwei.web.sign_in import proof
from zhiwei.web.sign_in.codes import Asked
from zhiwei.web.sign_in.counter import (
    HOME,
    Counter,
    away,
    call_of,
    form_of,
    is_of_session,
)
from zhiwei.web.sign_in.model import Face, Session
from zhiwei.web.sign_in.passkeys import BadPasskeyError
from zhiwei.web.sign_in.proof import DeedGoneError, NotProvableError, Way

_PATH: Final = "/me/prove/{deed_id}"


def proof_routes(counter: Counter) -> APIRouter:
    """The page and its calls."""
    router = APIRouter(include_in_schema=False)
    _page(router, counter)
    _calls(router, counter)
    return router


def _page(router: APIRouter, counter: Counter) -> None:
    desk = counter.desk

    @router.get(_PATH)
    async def look(request: Request, deed_id: str) -> Response:
        session = await counter.session_of(request)
        if session is None or session.face is Face.OPERATOR:
            return away("/sign-in")
        is_sent = request.query_params.get("sent") == "1"
        try:
            return await _shown(counter, request, session, deed_id, is_sent=is_sent)
        except (DeedGoneError, NotProvableError) as error:
            return _sorry(counter, request, session, error)

    @router.post(f"{_PATH}/send")
    async def send(request: Request, deed_id: str) -> Response:
        session = await _asked(counter, request)
        if isinstance(session, Response):
            return session
        try:
            deed = await proof.waiting(desk, session, deed_id)
            told = await counter.deeds.told(request, session, deed)
            asked = await proof.send_code(desk, session, deed, str(told["what"]))
            if asked is Asked.TOO_MANY:
                problem = "too_many_codes"
                return await _shown(counter, request, session, deed_id, problem, status=429)
        except (DeedGoneError, NotProvableError) as error:
            return _sorry(counter, request, session, error)
        return away(f"/me/prove/{deed.id}?sent=1")

    @router.post(f"{_PATH}/code")
    async def prove(request: Request, deed_id: str) -> Response:
        session = await _asked(counter, request)
        if isinstance(session, Response):
            return session
        code = request.state.form.get("code", "")
        try:
            deed = await proof.prove_by_code(desk, session, deed_id, code)
            if deed is None:
                return await _shown(
                    counter, request, session, deed_id, "wrong_code", is_sent=True, status=422
                )
        except (DeedGoneError, NotProvableError) as error:
            return _sorry(counter, request, session, error)
        return await counter.deeds.perform(request, session, deed)


async def _shown(
    counter: Counter,
    request: Request,
    session: Session,
    deed_id: str,
    problem: str = "",
    *,
    is_sent: bool = False,
    status: int = 200,
) -> Response:
    """The page of a change that waits."""
    deed = await proof.waiting(counter.desk, session, deed_id)
    ways = await proof.ways(counter.desk, session)
    facts = {
        **await counter.deeds.told(request, session, deed),
        "deed": deed,
        "home": HOME[session.face],
        "has_passkey": Way.PASSKEY in ways,
        "has_code": Way.CODE in ways,
        "is_sent": is_sent,
        "problem": problem,
    }
    return counter.page(request, session, "sign_in/prove.html", facts, status=status)


async def _asked(counter: Counter, request: Request) -> Session | Response:
    """Who sends a form of the page (it is kept as `request.state.form`), or what they are told."""
    request.state.form = form = await form_of(request)
    session = await counter.session_of(request)
    if session is None or session.face is Face.OPERATOR:
        return away("/sign-in")
    if not is_of_session(session, form):
        return counter.sorry(request, "form_over", status=403, to=HOME[session.face])
    return session


def _calls(router: APIRouter, counter: Counter) -> None:
    desk = counter.desk

    @router.post(f"{_PATH}/question")
    async def question(request: Request, deed_id: str) -> Response:
        call = await call_of(request)
        session = await counter.session_of(request)
        if session is None or not is_of_session(session, call):
            return counter.refused(request, "sign_in.problem.form_over", 403)
        try:
            text = await proof.ask_passkey(desk, session, deed_id)
        except DeedGoneError:
            return counter.refused(request, "sign_in.problem.deed_gone", 409)
        except NotProvableError:
            return counter.refused(request, "sign_in.problem.contact", 403)
        return Response(text, media_type="application/json")

    @router.post(f"{_PATH}/passkey")
    async def prove(request: Request, deed_id: str) -> Response:
        call = await call_of(request)
        session = await counter.session_of(request)
        if session is None or not is_of_session(session, call):
            return counter.refused(request, "sign_in.problem.form_over", 403)
        try:
            answer = call.get("answer", "")
            deed = await proof.prove_by_passkey(desk, session, deed_id, answer)
        except BadPasskeyError:
            return counter.refused(request, "sign_in.problem.bad_passkey")
        except DeedGoneError:
            return counter.refused(request, "sign_in.problem.deed_gone", 409)
        except NotProvableError:
            return counter.refused(request, "sign_in.problem.contact", 403)
        done = await counter.deeds.perform(request, session, deed)
        # The script goes where the form would have gone.
        to = done.headers.get("location", HOME[session.face])
        said = JSONResponse({"to": to})
        # What was done is said by the next page, which knows it by a cookie.
        said.raw_headers += [pair for pair in done.raw_headers if pair[0] == b"set-cookie"]
        return said


def _sorry(
    counter: Counter, request: Request, session: Session, error: DeedGoneError | NotProvableError
) -> Response:
    is_contact = isinstance(error, NotProvableError)
    why, status = ("contact", 403) if is_contact else ("deed_gone", 409)
    return counter.sorry(request, why, status=status, to=HOME[session.face])
