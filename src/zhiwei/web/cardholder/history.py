"""History (记录): every decision in plain words, which control made it, and what can be done."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from zhiwei.core.card_state import CardState, Challenge, ChallengeState
from zhiwei.core.command import Post, Via
from zhiwei.core.entry import Entry, Flag
from zhiwei.core.finding import Finding, Outcome
from zhiwei.core.ids import entry_id
from zhiwei.core.request import Channel, Kind, MessageClass
from zhiwei.core.request import Request as CardMessage
from zhiwei.gateways.http.house import House
from zhiwei.gateways.http.presentation import DECISIONS, sentence
from zhiwei.gateways.http.problems import Problem
from zhiwei.web.cardholder.once import bound_to, is_refused_payment, once_fields, why_not_once
from zhiwei.web.cardholder.visit import Home, Visit, card_path

#: Rows of one page, and how many entries are looked through for them.
PAGE: Final = 30
_LOOKED_MAX: Final = 300
_RECENT: Final = 12
_CAPITAL: Final = re.compile(r"([A-Z])")
SHOWN: Final = ("all", "declined", "changes")
#: Where the controls are set that are no locks, below the address of a card.
_PAGES: Final = {
    "limits": "limits",
    "binding": "bindings",
    "magstripe_verification": "verification#magstripe_verification",
    "large_spend_verification": "verification#large_spend_verification",
}


@dataclass(frozen=True)
class Because:
    """One reason of a decision, for its cardholder."""

    text: str
    #: What can be done, as a sentence.
    advice: str
    #: Page of the control that spoke; empty where the cardholder has none.
    path: str
    control: str


@dataclass(frozen=True)
class Line:
    """One line of the history."""

    card: CardState
    entry: Entry
    #: `approve`, `challenge`, `decline`; `change` or `posting` for what is no card message.
    word: str
    #: What was done, for changes: `set_control`.
    change: str
    control: str
    reasons: tuple[Because, ...]

    @property
    def request(self) -> CardMessage | None:
        """The card message, if it is one."""
        return self.entry.command.request

    @property
    def kind(self) -> str:
        """Key of the words for what it was, where that is no plain payment; else empty."""
        request = self.request
        if request is None:
            return ""
        if request.message_class is not MessageClass.REQUEST:
            return f"message.{request.message_class.name.lower()}"
        return "" if request.kind is Kind.PURCHASE else f"kind.{request.kind.name.lower()}"

    @property
    def has_amount(self) -> bool:
        """Whether money is in it at all."""
        return self.request is not None and self.request.kind is not Kind.BALANCE_INQUIRY

    @property
    def is_waiting(self) -> bool:
        """A change that takes effect after its cooling-off only."""
        return bool(self.entry.flags & Flag.PENDING)

    @property
    def via(self) -> str:
        """Key of the words for the door by which a change came."""
        actor = self.entry.command.actor
        own = actor.via in (Via.APP, Via.SMS) and actor.who != self.card.settings.profile.cardholder
        return "via.contact" if own else f"via.{actor.via.name.lower()}"


def history_routes(home: Home) -> APIRouter:
    """All cards, one card, one decision."""
    router = APIRouter(include_in_schema=False)

    @router.get("/me/history")
    async def recent(request: Request) -> Response:
        visit = await home.pages.visit(request)
        lines = await run_in_threadpool(_recent, home.house, visit)
        return home.pages.page(visit, "history.html", {"lines": lines, "card": None})

    @router.get("/me/cards/{card}/history")
    async def of_card(request: Request, card: str) -> Response:
        visit = await home.pages.visit(request, card=card)
        asked = request.query_params
        show = asked.get("show", "all")
        show = show if show in SHOWN else "all"
        before = _version_in(asked.get("before", ""))
        lines, more = await run_in_threadpool(_page, home.house, visit, show, before)
        facts = {"lines": lines, "card": visit.the_card, "show": show, "more": more}
        facts["looked"] = _LOOKED_MAX
        return home.pages.page(visit, "history.html", facts)

    @router.get("/me/cards/{card}/history/{version}")
    async def one(request: Request, card: str, version: str) -> Response:
        visit = await home.pages.visit(request, card=card)
        found = _version_in(version)
        entry = await run_in_threadpool(home.house.reader.entry, visit.the_card.card_key, found)
        if entry is None:
            raise Problem("authorization_not_found")
        line = line_of(home.house, visit, visit.the_card, entry)
        facts = {"line": line, "card": visit.the_card, **_what_can_be_done(line, visit.now_ms)}
        facts["payment"] = entry_id("auth", visit.the_card.card_key, entry.version)
        return home.pages.page(visit, "entry.html", facts)

    return router


def _recent(house: House, visit: Visit) -> list[Line]:
    """The newest lines of all cards together."""
    found = [
        line_of(house, visit, card, entry)
        for card in visit.cards
        for entry in house.reader.entries(card.card_key, limit=_RECENT)
        if not _is_silent(entry)
    ]
    found.sort(key=lambda line: (line.entry.filed_ms, line.entry.version), reverse=True)
    return found[:PAGE]


def _page(house: House, visit: Visit, show: str, before: int) -> tuple[list[Line], int]:
    """One page of a card, and before which version the next one begins; 0 = that was all."""
    card = visit.the_card
    lines: list[Line] = []
    looked = 0
    while looked < _LOOKED_MAX:
        chunk = house.reader.entries(card.card_key, before=before, limit=PAGE)
        for entry in chunk:
            before = entry.version
            if _is_shown(entry, show):
                lines.append(line_of(house, visit, card, entry))
            if len(lines) == PAGE:
                return lines, before if before > 1 else 0
        looked += len(chunk)
        if len(chunk) < PAGE:
            return lines, 0
    return lines, before if before > 1 else 0


def line_of(house: House, visit: Visit, card: CardState, entry: Entry) -> Line:
    """An entry as its cardholder reads it."""
    request, change = entry.command.request, entry.command.change
    if request is None:
        word = "posting" if isinstance(change, Post) else "change"
        name = _CAPITAL.sub(r"_\1", type(change).__name__).lower().lstrip("_")
        control = str(getattr(change, "control_type", ""))
        return Line(card, entry, word, name, control, ())
    standing = [finding for finding in entry.findings if finding.stands]
    reasons = tuple(_because(house, visit, card, finding) for finding in standing)
    return Line(card, entry, DECISIONS[entry.outcome], "", "", reasons)


def _because(house: House, visit: Visit, card: CardState, finding: Finding) -> Because:
    said = sentence(house, card.settings.profile.currency, finding)[visit.language]
    remedy = house.words.remedy(finding.reason, finding.facts, finding.control)
    return Because(said, f"remedy.{remedy}", control_path(card, finding.control), finding.control)


def control_path(card: CardState, control: str) -> str:
    """The page where a control is set; empty for what only the issuer sets."""
    if control.endswith("_lock"):
        return f"{card_path(card, 'locks')}#{control}"
    if control == "stop_payment":
        return "/me"
    page = _PAGES.get(control, "")
    return card_path(card, page) if page else ""


def place_of(request: CardMessage) -> tuple[str, str]:
    """Country (alpha-3) and province of a message; empty where nobody told."""
    return request.country, request.region


def _what_can_be_done(line: Line, now_ms: int) -> dict[str, Any]:
    """The question that it asked, or the form that allows it once, or why there is none."""
    facts: dict[str, Any] = {"question": None, "is_asked": False, "once": None, "not_once": ""}
    if line.request is None or not is_refused_payment(line.entry):
        return facts
    facts["question"] = question_of(line.card, line.entry)
    facts["is_asked"] = facts["question"] is not None and is_open(facts["question"])
    facts["not_once"] = why_not_once(line.entry, line.card, now_ms)
    if not facts["not_once"] and not facts["is_asked"]:
        facts["once"] = once_fields(line.entry, line.card)
        facts["bound_to"] = bound_to(line.request)
    return facts


def question_of(card: CardState, entry: Entry) -> Challenge | None:
    """The question that an entry asked, while the file still knows it (a day)."""
    for question in card.settings.challenges:
        if question.version == entry.version:
            return question
    return None


def is_open(question: Challenge) -> bool:
    """Whether an answer still counts."""
    return question.state in (ChallengeState.PENDING, ChallengeState.UNDELIVERABLE)


def _is_shown(entry: Entry, show: str) -> bool:
    """Whether a filter lets an entry through."""
    is_message = entry.command.request is not None
    if show == "changes":
        return not is_message and not _is_silent(entry)
    if show == "declined":
        return is_message and entry.outcome is not Outcome.APPROVE
    return not _is_silent(entry)


def _is_silent(entry: Entry) -> bool:
    """Network housekeeping that says nothing to a person."""
    request = entry.command.request
    return (
        request is not None
        and request.channel is Channel.UNKNOWN
        and not entry.findings
        and (request.amount_minor == 0)
    )


def _version_in(text: str) -> int:
    """A version in an address; 0 where it is none."""
    is_number = text.isascii() and text.isdigit() and len(text) <= 12
    return int(text) if is_number else 0
