"""A card's story and its stop, a customer, a decision's "why" and its "what if".

Every look is audited, and so is the stop. The desk only stops: what opens a card again is the
cardholder's to prove, or goes through the issuer's own systems (`DELETE /v1/cards/{id}/stop`).
"""

from __future__ import annotations

import secrets
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from zhiwei.core.card_state import CardState, StopSource
from zhiwei.core.command import Command, PlaceStop
from zhiwei.core.controls import CONTROL_TYPES
from zhiwei.core.documents import document_of
from zhiwei.core.errors import NotAllowedValueError
from zhiwei.core.ids import card_key_of
from zhiwei.core.settle import settled
from zhiwei.core.windows import Moment
from zhiwei.gateways.http.journal import cards_of
from zhiwei.ports import Cardholder
from zhiwei.web.console.context import (
    PREFIX,
    Console,
    DeskRoute,
    NothingHereError,
    actor_of,
    must_be,
)
from zhiwei.web.console.story import KINDS, Mark, StoryPage, story_page
from zhiwei.web.console.trail import looked_at_card, looked_at_customer
from zhiwei.web.console.what_if import EDITABLE, Comparison, Edit, compared, form_text
from zhiwei.web.console.why import Why, why
from zhiwei.web.sign_in.model import Role

_STATUSES: Final = ("active", "closed", "lost", "frozen")


def card_routes(console: Console) -> APIRouter:
    """Cards and customers."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False, route_class=DeskRoute)
    house = console.house

    @router.get("/cards/{card}")
    async def story(request: Request, card: str, kind: str = "", mark: str = "") -> Response:
        session = await console.operator(request)
        state = await run_in_threadpool(_card, console, card)
        kind = kind if kind in KINDS else ""
        await console.note(session, looked_at_card(state.card_key, "story"))

        def told() -> StoryPage:
            messages = None if house.messages is None else house.messages.reader
            at = Mark.read(mark)
            return story_page(house.reader, messages, state.card_key, at, kind=kind)

        page = await run_in_threadpool(told)
        holder = await run_in_threadpool(
            house.reader.record, Cardholder, state.settings.profile.cardholder
        )
        return await console.page(
            request,
            session,
            "card.html",
            card=card,
            state=state,
            controls=_controls(state),
            holder=holder,
            kind=kind,
            kinds=KINDS,
            story=page,
        )

    @router.get("/customers/{holder}")
    async def customer(request: Request, holder: str) -> Response:
        session = await console.operator(request)
        found = await run_in_threadpool(house.reader.record, Cardholder, holder)
        if found is None:
            raise NothingHereError
        await console.note(session, looked_at_customer(holder))
        states = await run_in_threadpool(cards_of, house, holder)
        return await console.page(request, session, "customer.html", holder=found, states=states)

    return router


def card_work_routes(console: Console) -> APIRouter:
    """What an agent does for a caller who cannot do it: stop the card (止付)."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False, route_class=DeskRoute)

    @router.post("/cards/{card}/stop")
    async def stop(request: Request, card: str) -> Response:
        session = await console.operator(request)
        must_be(session, Role.AGENT)
        await console.form(request, session)
        state = await run_in_threadpool(_card, console, card)
        change = PlaceStop(StopSource.ISSUER)
        # A second click finds the card stopped; it stays stopped by the first.
        await console.house.submit(
            [
                Command(
                    state.card_key,
                    change=change,
                    actor=actor_of(session),
                    nonce=secrets.token_bytes(8),
                )
            ]
        )
        return RedirectResponse(f"{PREFIX}/cards/{card}", 303)

    return router


def decision_routes(console: Console) -> APIRouter:
    """Single decisions: why, and what if."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False, route_class=DeskRoute)
    house = console.house

    @router.get("/decisions/{decision}")
    async def explain(request: Request, decision: str) -> Response:
        session = await console.operator(request)
        shown = await run_in_threadpool(_why, console, decision)
        await console.note(session, looked_at_card(shown.state.card_key, "why"))
        return await console.page(
            request, session, "why.html", why=shown, can_rehearse=house.rehearse is not None
        )

    @router.get("/decisions/{decision}/what-if")
    async def rehearse(request: Request, decision: str) -> Response:
        session = await console.operator(request)
        shown = await run_in_threadpool(_why, console, decision)
        if house.rehearse is None:
            raise NothingHereError
        edit = Edit.read(request.query_params)
        await console.note(session, looked_at_card(shown.state.card_key, "what_if"))
        comparison: Comparison | None = None
        fault = ""
        state = _as_of_now(console, shown.state)
        try:
            comparison = await run_in_threadpool(compared, house, state, shown.entry, edit)
        except NotAllowedValueError as error:
            fault = error.pointer
        controls = state.settings.controls
        return await console.page(
            request,
            session,
            "what_if.html",
            why=shown,
            edit=edit,
            comparison=comparison,
            fault=fault,
            statuses=_STATUSES,
            fields=[(name, form_text(name, controls.of_type(name))) for name in EDITABLE],
        )

    return router


def _card(console: Console, card: str) -> CardState:
    card_key = card_key_of(card)
    state = None if card_key is None else console.house.reader.card(card_key)
    if state is None:
        raise NothingHereError
    return _as_of_now(console, state)


def _as_of_now(console: Console, state: CardState) -> CardState:
    moment = Moment(console.house.clock.now_ms(), state.settings.profile.zone)
    return settled(state, moment)[0]


def _why(console: Console, decision: str) -> Why:
    shown = why(console.house, decision)
    if shown is None:
        raise NothingHereError
    return shown


def _controls(state: CardState) -> list[tuple[str, str]]:
    """Controls that are set, each with its values in short."""
    found: list[tuple[str, str]] = []
    for name in CONTROL_TYPES:
        control = state.settings.controls.of_type(name)
        if control is not None:
            text = form_text(name, control) if name in EDITABLE else str(document_of(control) or "")
            found.append((name, text))
    return found
