"""Questions (请确认): is this you? One page for each, two equal buttons, and what each one does."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from zhiwei.core.card_state import CardState, Challenge
from zhiwei.core.command import AnswerChallenge, Change
from zhiwei.core.entry import Entry
from zhiwei.core.ids import entry_of
from zhiwei.gateways.http.problems import Problem
from zhiwei.web.cardholder.deeds import Fields, Kind, field
from zhiwei.web.cardholder.history import is_open, place_of
from zhiwei.web.cardholder.visit import Home, Visit
from zhiwei.web.frame.shown import money, plain

#: Characters of a merchant's name in what is proved; it goes into a text message too.
_NAME_MAX: Final = 20


def question_routes(home: Home) -> APIRouter:
    """`/me/questions` and one page for each."""
    router = APIRouter(include_in_schema=False)

    @router.get("/me/questions")
    async def listed(request: Request) -> Response:
        visit = await home.pages.visit(request)
        asked = [(card, q) for card in visit.cards for q in card.settings.challenges]
        asked.sort(key=lambda pair: (pair[1].asked_ms, pair[1].id), reverse=True)
        facts = {"asked": asked, "is_open": is_open}
        return home.pages.page(visit, "questions.html", facts)

    @router.get("/me/questions/{challenge}")
    async def look(request: Request, challenge: str) -> Response:
        visit = await home.pages.visit(request)
        card, question = _named(visit, challenge)
        entry = await run_in_threadpool(home.house.reader.entry, card.card_key, question.version)
        return home.pages.page(visit, "question.html", _facts(visit, card, question, entry))

    return router


def open_questions(visit: Visit) -> list[tuple[CardState, Challenge]]:
    """What can be answered now, of all cards, the one that was asked first first."""
    found = [(card, q) for card in visit.cards for q in card.settings.challenges if is_open(q)]
    return sorted(found, key=lambda pair: (pair[1].asked_ms, pair[1].id))


def _named(visit: Visit, challenge: str) -> tuple[CardState, Challenge]:
    """The question of an address, if it is about one of these cards.

    Raises:
        Problem: `challenge_not_found`; also for one that the file has forgotten after a day.
    """
    named = entry_of("chg", challenge)
    for card in visit.cards:
        for question in card.settings.challenges:
            if named is not None and question.id == challenge:
                return card, question
    raise Problem("challenge_not_found")


def _facts(
    visit: Visit, card: CardState, question: Challenge, entry: Entry | None
) -> dict[str, Any]:
    request = None if entry is None else entry.command.request
    left_ms = max(0, question.expires_ms - visit.now_ms)
    passes = [
        one
        for one in card.settings.permissions
        if one.id == question.id.replace("chg_", "pass_", 1)
    ]
    return {
        "card": card,
        "question": question,
        "state": question.state.name.lower(),
        "is_open": is_open(question),
        "place": None if request is None else place_of(request),
        "left_minutes": -(-left_ms // 60_000),
        "left_seconds": left_ms // 1000,
        "pass_until_ms": passes[0].until_ms if passes else 0,
    }


def _answer(*, is_yes: bool) -> Any:  # noqa: ANN401 - a function that `Kind.change` takes
    def change(_card: CardState, fields: Fields, _now_ms: int) -> Change:
        return AnswerChallenge(field(fields, "challenge"), is_yes)

    return change


def _told(card: CardState, fields: Fields) -> tuple[str, dict[str, Any]]:
    """The amount and the merchant stand in what is proved."""
    tail = card.settings.profile.tail
    for question in card.settings.challenges:
        if question.id == field(fields, "challenge", ""):
            facts = {
                "amount": money(question.amount_minor, question.currency),
                "merchant": plain(question.merchant_name, _NAME_MAX),
                "tail": tail,
            }
            return "told.answer_yes_at" if facts["merchant"] else "told.answer_yes", facts
    return "told.answer_yes", {"amount": "", "tail": tail}


KINDS: Final = (
    Kind("answer_yes", _answer(is_yes=True), _told, "done.answer_yes"),
    Kind("answer_no", _answer(is_yes=False), _told, "done.answer_no"),
)
