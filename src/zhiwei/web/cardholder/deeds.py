"""Deeds: every change that a form of the cardholder's page can ask for, by name.

A form names a deed; the deed makes a `Change` of the core from its fields, and the guardian says
what becomes of it. What tightens is done at once. What loosens is refused without proof: then the
form is kept, the person proves who they are (`sign_in.proof`), and the very same deed is done again
with `is_strong`. No rule lives here.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, TypeAlias

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from zhiwei.core.card_state import CardState, StopSource
from zhiwei.core.command import Change, Command, PlaceStop
from zhiwei.core.entry import Flag
from zhiwei.core.errors import NotAllowedValueError, ZhiweiError
from zhiwei.core.ids import card_id
from zhiwei.core.result import Rejection, Result
from zhiwei.gateways.http.problems import Problem
from zhiwei.web.cardholder.visit import Home, Visit
from zhiwei.web.sign_in.model import Deed, Session
from zhiwei.web.sign_in.proof import DEED_MS

Fields: TypeAlias = "Mapping[str, list[str]]"

#: Where a form comes back to is one of our own pages, and nothing else.
_OWN_PATH: Final = re.compile(r"/me(?:[/?#][A-Za-z0-9_\-./?=&%#]*)?", re.ASCII)
_ONCE: Final = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
_FORM_MAX: Final = 16_384


class BadFormError(ZhiweiError):
    """a field of the form is missing or cannot be read; `key` names the sentence to show"""

    def __init__(self, key: str, **facts: object) -> None:
        super().__init__(key)
        self.key: Final = key
        self.facts: Final = facts


@dataclass(frozen=True)
class Kind:
    """One deed: how its form becomes a change, and how it is told."""

    name: str
    #: Makes the change. Raises BadFormError or NotAllowedValueError.
    change: Callable[[CardState, Fields, int], Change]
    #: Key of the sentence that says what will change (`what`), and its facts.
    told: Callable[[CardState, Fields], tuple[str, dict[str, Any]]]
    #: Key of the sentence that says it is done.
    done: str
    #: The form also comes for all cards at once (`/me/do/…`).
    for_all: bool = False


@dataclass(frozen=True)
class Act:
    """A deed that changes no card: a call that the API has too, as the person wants it."""

    name: str
    #: Carries it out; the flag says that it was proved. False = it needs proof first.
    #: Raises BadFormError, NotAllowedValueError or Problem.
    act: Callable[[Home, Visit, Fields, bool], Awaitable[bool]]
    told: Callable[[Fields], tuple[str, dict[str, Any]]]
    done: str


def field(fields: Fields, name: str, default: str | None = None) -> str:
    """One field of a form.

    Raises:
        BadFormError: it is missing and there is no default.
    """
    values = fields.get(name, [])
    if values:
        return values[0].strip()
    if default is None:
        raise BadFormError("form.missing", field=name)
    return default


@dataclass(frozen=True)
class Deeds:
    """The table of deeds, and what carries them out."""

    home: Home
    kinds: Mapping[str, Kind]
    acts: Mapping[str, Act]

    async def asked(self, visit: Visit, name: str, fields: Fields) -> Response:
        """Carry out a form; what loosens goes on to the page that asks for proof."""
        if name in self.acts and visit.card is None:
            return await self._acted(visit, self.acts[name], fields)
        kind = self._kind(name)
        if visit.card is None and not kind.for_all:
            raise BadFormError("form.unknown")
        results = await self._carried_out(visit, kind, fields, is_strong=False)
        if any(r.rejection is Rejection.STRONG_AUTHENTICATION_REQUIRED for r in results):
            if visit.is_contact:
                raise BadFormError("form.contact_may_not")
            return await self._kept(visit, name, fields)
        return self._done(visit, kind, fields, results)

    async def told(self, request: Request, session: Session, deed: Deed) -> dict[str, Any]:
        """What a change that waits for proof is, for the page that asks."""
        visit = await self.home.pages.visit(request, card=deed.card)
        fields = json.loads(deed.form)
        if deed.name in self.acts:
            key, facts = self.acts[deed.name].told(fields)
            return {"what": self.home.pages.say(visit, key, **facts), "tail": ""}
        kind = self._kind(deed.name)
        card = visit.card or (visit.cards[0] if visit.cards else None)
        if card is None:
            raise BadFormError("form.unknown")
        key, facts = kind.told(card, fields)
        tail = card.settings.profile.tail if visit.card is not None else ""
        return {"what": self.home.pages.say(visit, key, **facts), "tail": tail}

    async def perform(self, request: Request, session: Session, deed: Deed) -> Response:
        """Do what was proved. Nobody else can: the deed was taken for this session."""
        visit = await self.home.pages.visit(request, card=deed.card)
        fields: dict[str, list[str]] = json.loads(deed.form)
        try:
            if deed.name in self.acts:
                return await self._acted(visit, self.acts[deed.name], fields, is_strong=True)
            kind = self._kind(deed.name)
            results = await self._carried_out(visit, kind, fields, is_strong=True)
            return self._done(visit, kind, fields, results)
        except (BadFormError, NotAllowedValueError) as error:
            # What was proved cannot be done any more; the page it came from says so.
            key, facts = why_not(error)
            return self.home.pages.away(visit, back_of(fields), key, **facts)

    async def _acted(
        self, visit: Visit, act: Act, fields: Fields, *, is_strong: bool = False
    ) -> Response:
        if visit.is_contact:
            raise BadFormError("form.contact_may_not")
        try:
            is_done = await act.act(self.home, visit, fields, is_strong)
        except Problem as problem:
            raise BadFormError(f"rejected.{problem.code}") from None
        if not is_done:
            return await self._kept(visit, act.name, fields)
        return self.home.pages.away(visit, back_of(fields), act.done)

    def _kind(self, name: str) -> Kind:
        kind = self.kinds.get(name)
        if kind is None:
            raise BadFormError("form.unknown")
        return kind

    async def _carried_out(
        self, visit: Visit, kind: Kind, fields: Fields, *, is_strong: bool
    ) -> list[Result]:
        """What became of it on each card; all in one turn, so that all are stopped or none is."""
        cards = [visit.card] if visit.card is not None else list(visit.cards)
        actor = visit.actor(is_strong=is_strong)
        commands = [
            Command(
                card.card_key,
                change=_as_from(visit, kind.change(card, fields, visit.now_ms)),
                actor=actor,
                idempotency_key=_once_key(visit, card, kind, fields),
                nonce=secrets.token_bytes(8),
            )
            for card in cards
        ]
        return await self.home.house.submit(commands) if commands else []

    async def _kept(self, visit: Visit, name: str, fields: Fields) -> Response:
        """Keep the form until its sender has proved who they are."""
        form = json.dumps({k: v for k, v in fields.items() if k != "csrf"})
        if len(form) > _FORM_MAX:
            raise BadFormError("form.unknown")
        deed = Deed(
            id=f"deed_{secrets.token_urlsafe(18)}",
            session=visit.session.id,
            name=name,
            card="" if visit.card is None else card_id(visit.card.card_key),
            form=form,
            created_ms=visit.now_ms,
            expires_ms=visit.now_ms + DEED_MS,
        )
        await run_in_threadpool(self.home.faces.add_deed, deed)
        return self.home.pages.away(visit, f"/me/prove/{deed.id}")

    def _done(self, visit: Visit, kind: Kind, fields: Fields, results: list[Result]) -> Response:
        tolerated = _NOTHING_TO_DO if kind.for_all else frozenset[Rejection]()
        for result in results:
            if result.rejection is not None and result.rejection not in tolerated:
                raise BadFormError(f"rejected.{result.rejection.code}")
        waits = any(_waits(result) for result in results)
        said = "done.waits" if waits else kind.done
        return self.home.pages.away(visit, back_of(fields), said)


def deed_routes(deeds: Deeds) -> APIRouter:
    """Where all forms of the cardholder's pages go."""
    router = APIRouter(include_in_schema=False)
    pages = deeds.home.pages

    @router.post("/me/cards/{card}/do/{deed}")
    async def for_card(request: Request, card: str, deed: str) -> Response:
        visit = await pages.visit(request, card=card, for_contacts=True)
        return await _answered(visit, deed, await pages.form(request, visit.session))

    @router.post("/me/do/{deed}")
    async def for_all(request: Request, deed: str) -> Response:
        visit = await pages.visit(request, for_contacts=True)
        return await _answered(visit, deed, await pages.form(request, visit.session))

    async def _answered(visit: Visit, name: str, fields: Fields) -> Response:
        try:
            return await deeds.asked(visit, name, fields)
        except (BadFormError, NotAllowedValueError) as error:
            key, facts = why_not(error)
            told = {"why": pages.say(visit, key, **facts), "back": back_of(fields)}
            return pages.page(visit, "sorry.html", told, status=422)

    return router


#: What "all cards" may find on a card that is already as wanted.
_NOTHING_TO_DO: Final = frozenset({Rejection.STOP_NOT_FOUND, Rejection.CONTROL_NOT_FOUND})


def _as_from(visit: Visit, change: Change) -> Change:
    """A stop says whose hand it was."""
    if visit.is_contact and isinstance(change, PlaceStop):
        return PlaceStop(StopSource.CONTACT)
    return change


def why_not(error: BadFormError | NotAllowedValueError) -> tuple[str, dict[str, object]]:
    """Key and facts of the sentence that says why a form could not be carried out."""
    if isinstance(error, BadFormError):
        return error.key, error.facts
    return f"not_allowed.{error.code}", {"pointer": error.pointer}


def back_of(fields: Fields) -> str:
    """Where a form goes on: the page of ours that it names."""
    back = field(fields, "back", "/me")
    return back if _OWN_PATH.fullmatch(back) and "//" not in back else "/me"


def _waits(result: Result) -> bool:
    """Whether the change waits for its cooling-off."""
    return result.entry is not None and bool(result.entry.flags & Flag.PENDING)


def _once_key(visit: Visit, card: CardState, kind: Kind, fields: Fields) -> bytes:
    """A form that is sent twice (a double click, a reload) is carried out once."""
    once = field(fields, "once", "")
    if not _ONCE.fullmatch(once):
        return b""
    text = f"{visit.session.subject}|{card.card_key.hex()}|{kind.name}|{once}"
    return blake2b(text.encode(), digest_size=16).digest()
