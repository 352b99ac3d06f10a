"""Forged and malformed messages: none loosens, none tells, none breaks; and it would be noticed."""

from __future__ import annotations

import pytest

from zhiwei.bench.inbound import InboundOptions, InboundReport, inbound
from zhiwei.core.card_state import CardState
from zhiwei.core.command import Actor, Change, Command, Via
from zhiwei.messaging import conversation
from zhiwei.messaging.conversation import Conversation
from zhiwei.messaging.reply import Reply

COUNT = 400


def test_forged_messages_come_to_nothing() -> None:
    """A short run of `zhiwei bench inbound`; of every kind of outcome there is some."""
    report = inbound(InboundOptions(COUNT, seed=3))
    assert report.is_clean, report.lines()
    assert report.messages == COUNT
    assert report.reductions > 0
    assert report.strangers > COUNT // 4
    assert 0 < report.greetings < report.strangers
    wanted = ("not_by_sms", "no_question", "too_many_tries", "neutral", "help", "no_such_card")
    seen = " ".join(report.outcomes)
    assert [word for word in wanted if word not in seen] == []
    assert "loosened: 0; leaks: 0; crashes: 0" in report.lines()


def spoiled() -> InboundReport:
    """A shorter run, of a house that was spoiled."""
    report = inbound(InboundOptions(120, seed=3))
    assert not report.is_clean
    return report


def test_a_house_that_loosens_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a message could speak as the app does, a lock's question would be answered with yes."""

    def command(state: CardState, change: Change, *_told: str) -> Command:
        actor = Actor(state.settings.profile.cardholder, Via.APP, is_strong=True)
        return Command(state.card_key, change=change, actor=actor, nonce=bytes(8))

    monkeypatch.setattr(conversation, "command", command)
    assert spoiled().loosened


def test_a_house_that_tells_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """If strangers heard more than the neutral sentence, or were written to again and again."""

    def neutral(self: Conversation, number: str, now_ms: int) -> Reply:
        return Reply("no_card", ("there is no such number",), "en", number)

    monkeypatch.setattr(Conversation, "_neutral", neutral)
    assert spoiled().leaks


def test_a_house_that_breaks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception is a crash, by whichever door."""

    def broken(number: str) -> bool:
        raise RuntimeError(number)

    monkeypatch.setattr(conversation, "sender_number", broken)
    assert spoiled().crashes
