"""History (记录): every decision in plain words, which control made it, and what can be done."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from zhiwei.core.card_state import CardState, Permission, PermissionKind
from zhiwei.core.command import Change, GrantPermission, Post
from zhiwei.core.entry import Entry
from zhiwei.core.finding import Finding, Outcome
from zhiwei.core.money import BY_CODE
from zhiwei.core.reason import LIFTABLE_BY_PERMISSION
from zhiwei.core.request import Channel, MessageClass
from zhiwei.core.request import Request as CardMessage
from zhiwei.core.windows import MINUTE_MS
from zhiwei.gateways.http.house import House
from zhiwei.gateways.http.presentation import DECISIONS, sentence
from zhiwei.gateways.http.problems import Problem
from zhiwei.web.cardholder.deeds import BadFormError, Fields, Kind, field
from zhiwei.web.cardholder.visit import Home, Visit, card_path

#: Rows of one page, and how many entries are looked through for them.
PAGE: Final = 30
_LOOKED_MAX: Final = 300
_RECENT: Final = 12
_ONCE_MS: Final = 15 * MINUTE_MS
_CAPITAL: Final = re.compile(r"([A-Z])")
SHOWN: Final = ("all", "declined", "changes")
_MERCHANT_MAX: Final = 64
_AMOUNT_MAX: Final = 10**15
#: On which page of a card its control is set.
_PAGES: Final = {
    "limits": "limits",
    "magstripe_verification": "verification",
    "large_spend_verification": "verification",
    "bindings": "bindings",
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
        return home.pages.page(visit, "history.html", facts)

    @router.get("/me/cards/{card}/history/{version}")
    async def one(request: Request, card: str, version: str) -> Response:
        visit = await home.pages.visit(request, card=card)
        found = _version_in(version)
        entry = await run_in_threadpool(home.house.reader.entry, visit.the_card.card_key, found)
        if entry is None:
            raise Problem("authorization_not_found")
        line = line_of(home.house, visit, visit.the_card, entry)
        facts = {"line": line, "card": visit.the_card, "once": allow_once_fields(entry, line.card)}
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
    page = _PAGES.get(control, "")
    return f"{card_path(card, page)}#{control}" if page else ""


def place_of(request: CardMessage) -> tuple[str, str]:
    """Country (alpha-3) and province of a message; empty where nobody told."""
    return request.country, request.region


def allow_once_fields(entry: Entry, card: CardState) -> dict[str, str] | None:
    """Fields of the form that lets this payment pass once; None where that would not help."""
    request = entry.command.request
    standing = [f for f in entry.findings if f.stands and f.outcome is not Outcome.APPROVE]
    is_question = request is not None and request.message_class is MessageClass.REQUEST
    if request is None or not is_question or not standing or entry.outcome is Outcome.APPROVE:
        return None
    if any(finding.reason not in LIFTABLE_BY_PERMISSION for finding in standing):
        return None
    return {
        "merchant": request.merchant_id,
        "currency": request.currency,
        "amount_max": str(_in_card_currency(request, card)),
        "controls": ",".join(sorted({finding.control for finding in standing})),
    }


def _in_card_currency(request: CardMessage, card: CardState) -> int:
    """The amount in the card's own currency; -1 where nobody told it."""
    if request.billing_amount_minor >= 0:
        return request.billing_amount_minor
    own = card.settings.profile.currency
    return request.amount_minor if request.currency in ("", own) else -1


def _allow_once(_card: CardState, fields: Fields, now_ms: int) -> Change:
    """15 minutes, once, at this merchant, for no more than this; only what stood in the way."""
    amount = field(fields, "amount_max", "-1")
    currency = field(fields, "currency", "")
    merchant = field(fields, "merchant", "")
    is_number = amount.removeprefix("-").isascii() and amount.removeprefix("-").isdigit()
    if not is_number or int(amount) > _AMOUNT_MAX or len(merchant) > _MERCHANT_MAX:
        raise BadFormError("form.unknown")
    if currency and currency not in BY_CODE:
        raise BadFormError("form.unknown")
    controls = tuple(one for one in field(fields, "controls", "").split(",") if one)
    permission = Permission(
        id="",
        kind=PermissionKind.TEMPORARY,
        from_ms=now_ms,
        until_ms=now_ms + _ONCE_MS,
        controls=controls,
        merchant_id=merchant,
        currency=currency,
        amount_max=max(-1, int(amount)),
        uses_left=1,
    )
    return GrantPermission(permission)


def _told(card: CardState, _fields: Fields) -> tuple[str, dict[str, Any]]:
    return "told.allow_once", {"tail": card.settings.profile.tail}


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


KINDS: Final = (Kind("allow_once", _allow_once, _told, "done.allow_once"),)
