"""The entrance: phone number and code, passkey, link, identity provider, and the way out."""

from __future__ import annotations

from typing import Final

import structlog
from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from zhiwei.ports import StoreUnavailableError
from zhiwei.web.sign_in import cookies, entering
from zhiwei.web.sign_in.codes import Asked
from zhiwei.web.sign_in.counter import (
    CSRF_FIELD,
    ENTRANCE,
    HOME,
    Counter,
    away,
    call_of,
    form_of,
    is_of_session,
)
from zhiwei.web.sign_in.entering import Entered, SignIn
from zhiwei.web.sign_in.model import Face
from zhiwei.web.sign_in.oidc import OidcError
from zhiwei.web.sign_in.passkeys import BadPasskeyError
from zhiwei.web.sign_in.visits import visit_id

_LOG: Final = structlog.get_logger("sign_in")


def entrance_routes(counter: Counter) -> APIRouter:
    """All routes by which people get in and out."""
    router = APIRouter(include_in_schema=False)
    _by_code(router, counter)
    _by_passkey(router, counter)
    _by_link(router, counter)
    for face in (Face.CARDHOLDER, Face.OPERATOR):
        _by_provider(router, counter, face)
    _out(router, counter)
    return router


def _by_code(router: APIRouter, counter: Counter) -> None:
    desk = counter.desk

    def entrance(
        request: Request, face: Face, problem: str = "", status: int = 200, phone: str = ""
    ) -> Response:
        facts = {
            "face": face.name.lower(),
            "has_codes": desk.codes.is_on and face is Face.CARDHOLDER,
            "has_oidc": face in desk.oidc,
            "problem": problem,
            "phone": phone[:40],
        }
        return counter.visit_page(request, "sign_in/entrance.html", facts, status=status)

    def code_page(request: Request, number: str, problem: str = "", status: int = 200) -> Response:
        facts = {"tail": number[-4:], "problem": problem}
        return counter.visit_page(request, "sign_in/code.html", facts, status=status)

    @router.get("/sign-in")
    async def sign_in(request: Request) -> Response:
        return entrance(request, Face.CARDHOLDER)

    @router.get("/console/sign-in")
    async def console_sign_in(request: Request) -> Response:
        return entrance(request, Face.OPERATOR)

    @router.post("/sign-in")
    async def ask_code(request: Request) -> Response:
        form = await form_of(request)
        visit = counter.visit_id(request, form.get(CSRF_FIELD, ""))
        if not visit:
            return entrance(request, Face.CARDHOLDER, "form_over", 403, form.get("phone", ""))
        number = entering.phone_of(form.get("phone", ""))
        if not number or not desk.codes.is_on:
            return entrance(request, Face.CARDHOLDER, "bad_phone", 422, form.get("phone", ""))
        if await entering.ask_code(desk, number) is Asked.TOO_MANY:
            return entrance(request, Face.CARDHOLDER, "too_many_codes", 429)
        # After the answer: how long it takes would tell whether the number is known.
        response = away("/sign-in/code")
        response.background = BackgroundTask(_send_code, desk, visit, number)
        cookies.put_number(response, desk.site, number)
        return response

    @router.get("/sign-in/code")
    async def code(request: Request) -> Response:
        number = entering.phone_of(cookies.value_of(request, cookies.NUMBER, desk.site))
        return code_page(request, number) if number else away("/sign-in")

    @router.post("/sign-in/code")
    async def enter_by_code(request: Request) -> Response:
        form = await form_of(request)
        number = entering.phone_of(cookies.value_of(request, cookies.NUMBER, desk.site))
        visit = counter.visit_id(request, form.get(CSRF_FIELD, ""))
        if not number:
            return away("/sign-in")
        if not visit:
            return code_page(request, number, "form_over", 403)
        entered = await entering.enter_by_code(desk, visit, number, form.get("code", ""))
        if entered is None:
            return code_page(request, number, "wrong_code", 422)
        return await _let_in(counter, request, entered, away(HOME[entered.session.face]))


def _by_passkey(router: APIRouter, counter: Counter) -> None:
    desk = counter.desk

    @router.post("/sign-in/passkey/question")
    async def question(request: Request) -> Response:
        call = await call_of(request)
        visit = counter.visit_id(request, call[CSRF_FIELD])
        if not visit:
            return counter.refused(request, "sign_in.problem.form_over", 403)
        text = await run_in_threadpool(desk.passkeys.ask_who, visit)
        return Response(text, media_type="application/json")

    @router.post("/sign-in/passkey")
    async def enter_by_passkey(request: Request) -> Response:
        call = await call_of(request)
        visit = counter.visit_id(request, call[CSRF_FIELD])
        if not visit:
            return counter.refused(request, "sign_in.problem.form_over", 403)
        try:
            entered = await entering.enter_by_passkey(desk, visit, call.get("answer", ""))
        except BadPasskeyError:
            entered = None
        if entered is None:
            return counter.refused(request, "sign_in.problem.bad_passkey")
        to = HOME[entered.session.face]
        return await _let_in(counter, request, entered, JSONResponse({"to": to}))


def _by_link(router: APIRouter, counter: Counter) -> None:
    desk = counter.desk

    @router.get("/enter/{token}")
    async def look(request: Request, token: str) -> Response:
        # Looking does not use it up: messengers and mail filters open addresses by themselves.
        person = await entering.person_of_link(desk, token)
        if person is None:
            return counter.sorry(request, "link_over", status=404)
        response = counter.visit_page(request, "sign_in/enter.html", {"name": person.name})
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    @router.post("/enter/{token}")
    async def enter(request: Request, token: str) -> Response:
        form = await form_of(request)
        if not counter.visit_id(request, form.get(CSRF_FIELD, "")):
            return counter.sorry(request, "form_over", status=403, to=request.url.path)
        entered = await entering.enter_by_link(desk, token)
        if entered is None:
            return counter.sorry(request, "link_over", status=404)
        return await _let_in(counter, request, entered, away(HOME[entered.session.face]))


def _by_provider(router: APIRouter, counter: Counter, face: Face) -> None:
    desk = counter.desk
    if face not in desk.oidc:
        return

    @router.get(f"{ENTRANCE[face]}/oidc")
    async def leave(request: Request) -> Response:
        visit, is_new = cookies.visit_of(request, desk.site)
        try:
            address = await run_in_threadpool(desk.oidc[face].begin, visit_id(visit))
        except OidcError:
            return counter.sorry(request, "provider_down", status=503, to=ENTRANCE[face])
        response = away(address)
        if is_new:
            cookies.put_visit(response, desk.site, visit)
        return response

    @router.get(entering.BACK[face])
    async def back(request: Request) -> Response:
        visit, _ = cookies.visit_of(request, desk.site)
        state, code = (request.query_params.get(name, "") for name in ("state", "code"))
        try:
            entered = await entering.enter_by_oidc(desk, face, visit_id(visit), state, code)
        except OidcError:
            return counter.sorry(request, "provider_refused", status=403, to=ENTRANCE[face])
        if entered is None:
            return counter.sorry(request, "not_known_here", status=403, to=ENTRANCE[face])
        # A page and no redirect: on a way that another site began, browsers hold the strict cookie
        # back to its end.
        facts = {"to": HOME[face]}
        page = counter.frame.page(request, "sign_in/entered.html", facts)
        return await _let_in(counter, request, entered, page)


def _out(router: APIRouter, counter: Counter) -> None:
    desk = counter.desk

    @router.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        form = await form_of(request)
        session = await counter.session_of(request)
        if session is None:
            return away("/sign-in")
        if not is_of_session(session, form):
            return counter.sorry(request, "form_over", status=403, to=HOME[session.face])
        value = cookies.value_of(request, cookies.SESSION, desk.site)
        await entering.sign_out(desk, value, session)
        response = away(ENTRANCE[session.face])
        cookies.drop(response, desk.site, cookies.SESSION, cookies.VISIT, cookies.NUMBER)
        # What the browser kept of the pages is gone, too (shared computers, the back button).
        response.headers["Clear-Site-Data"] = '"cache"'
        return response


async def _send_code(desk: SignIn, visit: str, number: str) -> None:
    """Send it; nobody waits for it any more, so a failure goes to the log, without the number."""
    try:
        await entering.send_code(desk, visit, number)
    except StoreUnavailableError as error:
        _LOG.warning("code_not_sent", why=str(error))


async def _let_in(
    counter: Counter, request: Request, entered: Entered, response: Response
) -> Response:
    """Give the browser its new session; the one that it had before is over."""
    desk = counter.desk
    before = cookies.value_of(request, cookies.SESSION, desk.site)
    await run_in_threadpool(desk.sessions.end, before)
    cookies.put_session(response, desk.site, entered.cookie)
    cookies.drop(response, desk.site, cookies.VISIT, cookies.NUMBER)
    if entered.session.face is not Face.OPERATOR:
        counter.frame.speak(request, response, entered.person.language)
    return response
