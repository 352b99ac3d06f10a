"""Counters: what the cardholder's pages ask of the frame (`Pages`), on real sessions and forms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from zhiwei.core.card_state import CardState
from zhiwei.core.ids import card_key_of
from zhiwei.core.settle import settled
from zhiwei.core.windows import Moment
from zhiwei.gateways.http.house import House
from zhiwei.gateways.http.problems import Problem
from zhiwei.messaging.contacts import contact_of
from zhiwei.ports import Cardholder, Reader
from zhiwei.web.cardholder.visit import Visit, card_path
from zhiwei.web.frame.appearance import appearance_of, has_chosen_language
from zhiwei.web.frame.drawing import Frame, form_fields
from zhiwei.web.sign_in import cookies
from zhiwei.web.sign_in.counter import CSRF_FIELD, FORM_MAX
from zhiwei.web.sign_in.entering import SignIn
from zhiwei.web.sign_in.model import Face, Session
from zhiwei.web.sign_in.sessions import is_csrf_token

_FIELDS_MAX: Final = 300
_CARDS_MAX: Final = 100


class FormOverError(HTTPException):
    """the form was made for another session, or long ago"""

    def __init__(self) -> None:
        super().__init__(403)


class NotForContactsError(HTTPException):
    """a trusted contact does not see what is spent or owned"""

    def __init__(self) -> None:
        super().__init__(403)


class CardholderPages:
    """The frame as the cardholder's pages ask for it."""

    def __init__(self, house: House, desk: SignIn, frame: Frame) -> None:
        self._house: Final = house
        self._desk: Final = desk
        self._frame: Final = frame

    async def visit(self, request: Request, *, card: str = "", for_contacts: bool = False) -> Visit:
        """Who calls, with all their cards as they are now."""
        session = await session_of(self._desk, request)
        if session is None or session.face is Face.OPERATOR:
            raise away_to("/sign-in", request)
        if session.face is Face.CONTACT and not for_contacts:
            raise NotForContactsError
        return await run_in_threadpool(self._visit, request, session, card)

    async def form(self, request: Request, session: Session) -> dict[str, list[str]]:
        """The fields of a form that was made for this session."""
        return await fields_of(request, session)

    def page(
        self, visit: Visit, template: str, facts: dict[str, Any] | None = None, *, status: int = 200
    ) -> Response:
        """A page of `templates/cardholder/`."""
        request = visit.request
        told = {**_told(visit), **(facts or {})}
        look = replace(appearance_of(request), language=visit.language)
        name = f"cardholder/{template}"
        return self._frame.page(request, name, told, status=status, appearance=look)

    def say(self, visit: Visit, key: str, **facts: object) -> str:
        """A sentence in the visitor's language."""
        return self._frame.words.say(visit.language, key, facts)

    def away(self, visit: Visit, to: str, said: str = "", **facts: object) -> Response:
        """Go on at a path; the next page says the sentence once."""
        return self._frame.away(to, self.say(visit, said, **facts) if said else "")

    def _visit(self, request: Request, session: Session, card: str) -> Visit:
        reader, now_ms = self._house.reader, self._house.clock.now_ms()
        holder = reader.record(Cardholder, session.cardholder)
        if holder is None or not _still_stands(reader, session):
            raise away_to("/sign-in", request)
        states = reader.cards(cardholder=holder.id, limit=_CARDS_MAX)
        cards = sorted((_as_of(state, now_ms) for state in states), key=_age)
        look = appearance_of(request)
        language = look.language if has_chosen_language(request) else holder.locale
        return Visit(
            request=request,
            session=session,
            holder=holder,
            cards=tuple(cards),
            card=_named(cards, card) if card else None,
            language=language,
            is_elder=look.is_elder,
            now_ms=now_ms,
        )


def _told(visit: Visit) -> dict[str, Any]:
    """What every page of a cardholder is given."""

    def fields(back: str = "") -> object:
        return form_fields(visit.session, back or visit.request.url.path)

    return {
        "visit": visit,
        "form_fields": fields,
        "card_path": card_path,
        "now_ms": visit.now_ms,
    }


async def session_of(desk: SignIn, request: Request) -> Session | None:
    """Whose cookie came with a request; None where nobody has signed in, or it is over."""
    value = cookies.value_of(request, cookies.SESSION, desk.site)
    if not value:
        return None
    return await run_in_threadpool(desk.sessions.session_of, value)


async def fields_of(request: Request, session: Session) -> dict[str, list[str]]:
    """The fields of a form of this session, every value of each name.

    Raises:
        FormOverError: the token is missing, wrong or of another session.
        HTTPException: 413 too large, 415 no form, 400 not to be read.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    raw = await request.body()
    if len(raw) > FORM_MAX:
        raise HTTPException(413)
    fields: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=_FIELDS_MAX)
    except ValueError:
        raise HTTPException(400) from None
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise FormOverError
    if not is_csrf_token(session, fields.get(CSRF_FIELD, [""])[0]):
        raise FormOverError
    return fields


def away_to(entrance: str, request: Request) -> HTTPException:
    """Leads to the sign-in page, and from there back to the page that was asked for."""
    to = request.url.path if request.method == "GET" else ""
    where = f"{entrance}?to={quote(to)}" if to and to not in ("/me", "/console") else entrance
    return HTTPException(303, headers={"Location": where})


def _still_stands(reader: Reader, session: Session) -> bool:
    """Whether a contact is one still: either side may end it while a session is open."""
    if session.face is not Face.CONTACT:
        return True
    contact = contact_of(reader, session.subject)
    return contact is not None and contact.is_agreed


def _named(cards: list[CardState], card: str) -> CardState:
    """The card of an address, if it is one of these.

    Raises:
        Problem: `card_not_found`.
    """
    card_key = card_key_of(card)
    for state in cards:
        if state.card_key == card_key:
            return state
    raise Problem("card_not_found")


def _as_of(state: CardState, now_ms: int) -> CardState:
    """The file with what time alone has changed."""
    current, _ = settled(state, Moment(now_ms, state.settings.profile.zone))
    return current


def _age(state: CardState) -> tuple[int, bytes]:
    return (state.settings.profile.created_ms, state.card_key)
