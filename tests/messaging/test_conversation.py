"""What people write back: it can only reduce, it is done once, and strangers learn nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from tests.gateways.http.house import DAY, HOUR, NOON, OTHER_PAN, PAN, WORDS, memory_world

from zhiwei.core.card_state import ChallengeState, StopSource
from zhiwei.core.command import Actor, LiftStop, MarkUndeliverable, Via
from zhiwei.core.command import Command as CardCommand
from zhiwei.core.ids import card_key_of
from zhiwei.core.policy import DEFAULT_POLICY, Policy
from zhiwei.messaging.contacts import settler
from zhiwei.messaging.conversation import Conversation
from zhiwei.messaging.model import SMS, Inbound, Planned
from zhiwei.messaging.numbers import e164, may_be_answered, sender_number
from zhiwei.messaging.reply import Reply, read_answer
from zhiwei.messaging.tries import MESSAGES_MAX, NEUTRAL_PER_HOUR, TRIES_MAX, RememberedCounts
from zhiwei.ports import Reader, StoreUnavailableError
from zhiwei.services.stop_payment import read_command

PHONE = "+8613800138000"
STRANGER = "+8613900000000"
THIRD_PAN = "6200000000000013"


class Asked:
    """A reader that remembers what it was asked."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the reader has
        self.calls.append(name)
        return getattr(self._reader, name)


class Town:
    """A house and a conversation over it."""

    def __init__(self, policy: Policy = DEFAULT_POLICY) -> None:
        self.world = memory_world(policy=policy)
        self.counts = RememberedCounts()
        self.reader: Any = Asked(self.world.house.reader)
        self.outcomes: list[str] = []
        self.conversation = Conversation(
            reader=self.reader,
            submit=self.world.submit,
            texts=WORDS,
            policy=lambda: policy,
            read_command=read_command,
            counts=self.counts,
            clock=self.world.clock,
            settle=settler(self.world.house.reader, self.world.house.keep, self.world.clock),
            observe=self.outcomes.append,
        )

    def say(self, text: str, sender: str = PHONE, message_id: str = "") -> Reply:
        """What a message does."""
        now_ms = self.world.clock.now_ms()
        taken = self.conversation.take(sender, text, now_ms=now_ms, message_id=message_id)
        return self.world.run(taken)

    def inbound(self, text: str, sender: str = PHONE, number: str = "in_1") -> Planned | None:
        """The reply that the SMS channel is to send."""
        message = Inbound(number, sender, text, NOON)
        return self.world.run(self.conversation.on_inbound(message))

    def question(self, card: str, **body: object) -> dict[str, Any]:
        """A question about a purchase."""
        self.world.issuer.set(card, "large_spend_verification", {"threshold": 5_000})
        decided = self.world.decision(card, **body)
        assert decided["decision"] == "challenge"
        question: dict[str, Any] = decided["challenge"]
        return question

    def lift(self, card: str) -> None:
        """Lift a stop, as the app would."""
        key = card_key_of(card)
        assert key is not None
        actor = Actor("app", Via.APP, is_strong=True)
        (result,) = self.world.run(
            self.world.submit([CardCommand(key, change=LiftStop(), actor=actor, nonce=bytes(8))])
        )
        assert result.rejection is None

    def stop_of(self, card: str) -> dict[str, Any] | None:
        """The stop of a card."""
        answer = self.world.issuer.get(f"/v1/cards/{card}/stop")
        return answer.json() if answer.status_code == 200 else None


@pytest.fixture
def town() -> Iterator[Town]:
    """A town with nobody in it."""
    made = Town()
    yield made
    made.world.close()


@pytest.fixture
def card(town: Town) -> str:
    """The only card of the person with the phone."""
    return town.world.card(PAN, cardholder=town.world.cardholder(phone=PHONE))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("13800138000", PHONE),
        ("138 0013-8000", PHONE),
        ("+86 138 0013 8000", PHONE),
        ("008613800138000", PHONE),
        ("8613800138000", PHONE),
        ("＋８６１３８００１３８０００", PHONE),
        ("447700900123", "+447700900123"),
        ("+447700900123", "+447700900123"),
        ("95588", ""),
        ("10086", ""),
        ("1069012345678", ""),
        ("BANK", ""),
        ("", ""),
        ("+", ""),
        ("1" * 41, ""),
        ("+8613800138000x", ""),
    ],
)
def test_a_sender_is_a_number_or_none(text: str, number: str) -> None:
    """As networks tell it; short codes, names and service numbers are nobody."""
    assert sender_number(text) == number


def test_only_what_can_be_a_mobile_is_answered() -> None:
    """A mainland number that is no mobile one is a machine or a desk."""
    assert may_be_answered(PHONE)
    assert may_be_answered("+447700900123")
    for number in ("", "+861069012345678", "+8695588000", "+861012345678"):
        assert not may_be_answered(number)
    assert e164("+1 (212) 555-0100") == "+12125550100"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Y123456", (True, "123456")),
        ("ｙ１２３４５６", (True, "123456")),
        (" y # 123 456 。", (True, "123456")),
        ("是\u3000123456", (True, "123456")),
        ("确认123456", (True, "123456")),
        ("Y＃123456！", (True, "123456")),
        ("\u200eN\u200b123456", (False, "123456")),
        ("不是本人", (False, "")),
        ("否", (False, "")),
        ("no.", (False, "")),
        ("是", (True, "")),
    ],
)
def test_an_answer_is_read_however_it_is_written(text: str, said: tuple[bool, str]) -> None:
    """Case, width, spaces, invisible marks and a final stop do not matter."""
    read = read_answer(text)
    assert read is not None
    assert (read.is_yes, read.reference) == said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "YN123456",
        "Y12345",
        "Y1234567",
        "123456",
        "是不是123456",
        "Y123456 N",
        "Y٣٤٥٦٧٨",
        "Y123456" + " " * 300,
        "Y" * 5000,
    ],
)
def test_what_is_no_answer_is_none(text: str) -> None:
    """Nothing is guessed."""
    assert read_answer(text) is None


def test_the_same_message_is_done_once(town: Town, card: str) -> None:
    """A message that is carried out again after a crash says the same; another one does not."""
    first = town.say("ZF", message_id="in_1")
    town.world.clock.advance(60_000)
    assert town.say("ZF", message_id="in_1") == first
    assert town.say("ZF", message_id="in_2").outcome == "already_stopped"
    assert len(town.world.house.reader.entries(card_key_of(card) or b"")) == 2


@pytest.mark.parametrize("word", ["Y", "N", "Nbare"])
def test_an_answer_that_is_carried_out_again_says_the_same(
    town: Town, card: str, word: str
) -> None:
    """A crash between act and reply loses nothing; a second message is told the truth."""
    reference = town.question(card)["reference"]
    text = "N" if word == "Nbare" else f"{word}{reference}"
    first = town.say(text, message_id="in_1")
    assert first.outcome == ("approved" if word == "Y" else "denied")
    assert town.say(text, message_id="in_1") == first
    second = town.say(text, message_id="in_2")
    assert second.outcome == ("no_question" if word == "Nbare" else "question_over")


def test_a_stop_always_stands_after_it_was_asked_for(town: Town, card: str) -> None:
    """Even where a gateway uses an id twice and the stop was lifted in between."""
    town.say("ZF", message_id="in_1")
    town.lift(card)
    again = town.say("ZF", message_id="in_1")
    assert again.outcome == "stopped"
    assert town.stop_of(card) is not None


def test_two_open_questions_are_never_mixed(town: Town, card: str) -> None:
    """Without a number neither is answered; with it, that one."""
    first = town.question(card)
    second = town.question(card, amount=9_000)
    for text in ("Y", "N", "是", "不是本人"):
        assert town.say(text).outcome == "which_question"
    done = town.say(f"是 {second['reference']}")
    assert (done.outcome, done.challenge) == ("approved", second["id"])
    assert town.say("N").challenge == first["id"]


def test_a_reference_of_somebody_else_is_no_reference(town: Town, card: str) -> None:
    """It is told exactly like one that nobody has."""
    other = town.world.card(OTHER_PAN, cardholder=town.world.cardholder(phone="13700137000"))
    theirs = town.question(other)["reference"]
    nobodys = f"{(int(theirs) + 1) % 1_000_000:06d}"
    replies = {town.say(f"{word}{number}") for word in "YN" for number in (theirs, nobodys)}
    assert {reply.outcome for reply in replies} == {"no_question"}
    assert len({reply.texts for reply in replies}) == 1
    assert town.stop_of(other) is None


def test_yes_counts_only_where_policy_lets_it() -> None:
    """An issuer may close it; "no" counts all the same."""
    town = Town(Policy(version="no-sms", sms_may_approve=False))
    card = town.world.card(PAN, cardholder=town.world.cardholder(phone=PHONE))
    reference = town.question(card)["reference"]
    assert town.say(f"Y{reference}").outcome == "not_by_sms"
    assert town.say(f"N{reference}").outcome == "denied"
    town.world.close()


def test_after_wrong_numbers_no_yes_counts_and_a_no_does(town: Town, card: str) -> None:
    """Who forges a sender must not guess a yes; and must not be able to keep the holder from no."""
    reference = town.question(card)["reference"]
    wrong = f"{(int(reference) + 1) % 1_000_000:06d}"
    for _ in range(TRIES_MAX):
        assert town.say(f"Y{wrong}").outcome == "no_question"
    assert town.say(f"Y{reference}").outcome == "too_many_tries"
    assert town.say(f"N{wrong}").outcome == "too_many_tries"
    assert town.say(f"N{reference}").outcome == "denied"


def test_a_flood_gets_no_answers_and_no_yes_but_can_stop(town: Town, card: str) -> None:
    """Past the bound of the hour; in the next one all is well again."""
    reference = town.question(card)["reference"]
    for _ in range(MESSAGES_MAX):
        assert town.say("?").texts
    for text in ("?", f"Y{reference}", "hello", "Y"):
        silent = town.say(text)
        assert (silent.outcome, silent.texts, silent.is_to_be_sent) == (
            "too_many_messages",
            (),
            False,
        )
    assert town.inbound(f"Y{reference}") is None
    stopped = town.say("ZF")
    assert stopped.outcome == "stopped"
    assert stopped.is_to_be_sent
    assert town.say("ZF").texts == ()
    assert town.say(f"N{reference}").outcome == "denied"
    town.world.clock.advance(HOUR)
    assert town.say("?").outcome == "help"


def test_a_late_yes_is_told_so(town: Town, card: str) -> None:
    """However it is late."""
    reference = town.question(card)["reference"]
    town.world.clock.advance(DEFAULT_POLICY.challenge_ms)
    assert town.say(f"Y{reference}").outcome == "question_over"


def test_of_two_answers_at_once_one_wins(town: Town, card: str) -> None:
    """The reply that arrives twice, by two ways, at the same time."""
    reference = town.question(card)["reference"]

    async def both() -> list[str]:
        now_ms = town.world.clock.now_ms()
        replies = await asyncio.gather(
            town.conversation.take(PHONE, f"Y{reference}", now_ms=now_ms, message_id="in_1"),
            town.conversation.take(PHONE, f"N{reference}", now_ms=now_ms, message_id="in_2"),
        )
        return sorted(reply.outcome for reply in replies)

    assert town.world.run(both()) in (["approved", "question_over"], ["denied", "question_over"])


def test_one_number_of_several_people(town: Town) -> None:
    """All their cards count as one person's; each act is in the name of the card's own holder."""
    mother = town.world.cardholder(phone=PHONE)
    son = town.world.cardholder(phone=PHONE)
    first = town.world.card(PAN, cardholder=mother)
    second = town.world.card(OTHER_PAN, cardholder=son)
    assert town.say("ZF").outcome == "which_card"
    done = town.say("ZF#1232")
    assert [placed.card_key for placed in done.stops] == [card_key_of(first)]
    assert len(town.say("ZF#ALL").stops) == 2
    for card, holder in ((first, mother), (second, son)):
        entry = town.world.house.reader.entries(card_key_of(card) or b"")[0]
        assert entry.command.actor == Actor(holder, Via.SMS)


def test_two_cards_with_one_tail_are_asked_back(town: Town) -> None:
    """A tail that fits two cards names neither; ALL names both. A closed card does not count."""
    holder = town.world.cardholder(phone=PHONE)
    cards = [
        town.world.issuer.post(
            "/v1/cards", {"token": f"t{n}", "tail": "7777", "cardholder": holder}
        )
        for n in range(3)
    ]
    ids = [answer.json()["id"] for answer in cards]
    assert town.say("ZF#7777").outcome == "which_card"
    assert all(town.stop_of(card) is None for card in ids)
    for card in ids[:2]:
        town.world.issuer.patch(f"/v1/cards/{card}", {"status": "closed"})
    assert town.say("ZF#7777").outcome == "stopped"
    assert [town.stop_of(card) is None for card in ids] == [True, True, False]


def test_a_person_of_many_cards_and_a_number_of_many_people(town: Town) -> None:
    """More than one page of either: ALL means all, and a list of tails stays short."""
    for person in range(3):
        holder = town.world.cardholder(phone=PHONE)
        for number in range(40):
            body = {"token": f"t{person}-{number}", "tail": f"{number:04d}", "cardholder": holder}
            assert town.world.issuer.post("/v1/cards", body).status_code == 201
    asked = town.say("ZF")
    assert asked.outcome == "which_card"
    assert len(asked.text) < 200
    assert len(town.say("ZF#ALL").stops) == 120


def test_a_stranger_learns_nothing(town: Town, card: str) -> None:
    """Whatever a stranger writes, words, facts and what is looked up are the same."""
    reference = town.question(card)["reference"]
    texts = ["ZF", "ZF#1232", "ZF#9999", "ZF#ALL", f"Y{reference}", f"N{reference}", "N", "?", ""]
    seen = set()
    for number, text in enumerate(texts):
        town.reader.calls.clear()
        reply = town.say(text, f"+86139{number:08d}")
        seen.add((reply.outcome, reply.texts, reply.locale, tuple(town.reader.calls)))
    assert len(seen) == 1
    assert seen.pop()[0] == "neutral"
    assert town.stop_of(card) is None


def test_a_stranger_is_answered_once_a_day(town: Town) -> None:
    """And a flood of strangers hardly at all: replies cost money, and may be what is wanted."""
    assert town.inbound("ZF", STRANGER, "in_1") is not None
    assert town.inbound("ZF", STRANGER, "in_2") is None
    town.world.clock.advance(DAY)
    assert town.inbound("ZF", STRANGER, "in_3") is not None
    town.world.clock.advance(DAY)
    block = [town.inbound("ZF", f"+8613711{n:06d}", f"in_b{n}") for n in range(50)]
    assert sum(planned is not None for planned in block) == 10
    many = [town.inbound("ZF", f"+8613{n:09d}", f"in_c{n}") for n in range(0, 10**9, 10**6)]
    assert sum(planned is not None for planned in many) == NEUTRAL_PER_HOUR - 10


@pytest.mark.parametrize("sender", ["95588", "10086", "1069012345678", "BANK", "", "+861069012345"])
def test_machines_are_not_answered(town: Town, card: str, sender: str) -> None:
    """Two machines that answer each other never end."""
    assert town.inbound("ZF", sender) is None
    assert town.stop_of(card) is None
    assert town.outcomes == ["neutral"]


def test_the_reply_is_a_message_to_the_number_that_wrote(town: Town, card: str) -> None:
    """In the person's language, first in line where something was done, with an id that stays."""
    planned = town.inbound("ZF", "8613800138000", "in_77")
    assert planned is not None
    message = planned.message
    assert (message.id, message.kind, message.channel) == ("msg_in_77-reply", "reply", SMS)
    assert (message.to, message.language, message.event_id) == (PHONE, "zh", "")
    assert message.card_key == card_key_of(card)
    assert message.is_urgent
    assert message.expires_ms == 0
    assert PHONE[1:] not in message.lane
    assert message.text.startswith("【智卫】")
    assert "http" not in message.text
    asked = town.inbound("?", PHONE, "in_78")
    assert asked is not None
    assert (asked.message.is_urgent, asked.message.expires_ms) == (False, NOON + HOUR)
    assert asked.message.lane == message.lane


def test_what_the_store_cannot_write_is_not_claimed(town: Town, card: str) -> None:
    """The message stays unanswered and is carried out later."""
    town.world.fails = StoreUnavailableError()
    with pytest.raises(StoreUnavailableError):
        town.inbound("ZF")
    town.world.fails = None
    assert town.stop_of(card) is None
    planned = town.inbound("ZF")
    assert planned is not None
    assert town.stop_of(card) is not None


def test_nothing_that_is_written_lifts_a_stop(town: Town, card: str) -> None:
    """There is no word for it."""
    town.say("ZF")
    for text in ("解除止付", "JF", "UNSTOP 1232", "START", "ZF#OFF", "ZF 0", "LIFT", "开通", "Y"):
        town.world.clock.advance(HOUR)
        town.say(text)
    state = town.world.house.reader.card(card_key_of(card) or b"")
    assert state is not None
    assert state.settings.stop is not None
    assert state.settings.stop.source is StopSource.SMS
    assert state.settings.permissions == ()


def test_an_undeliverable_question_can_still_be_answered(town: Town, card: str) -> None:
    """A receipt may be wrong; the first valid answer wins."""
    question = town.question(card)
    state = town.world.house.reader.card(card_key_of(card) or b"")
    assert state is not None
    change = MarkUndeliverable(question["id"])
    actor = Actor("messages", Via.CLI, is_staff=True)
    command = CardCommand(state.card_key, change=change, actor=actor, nonce=bytes(8))
    (result,) = town.world.run(town.world.submit([command]))
    assert result.state is not None
    assert result.state.settings.challenges[0].state is ChallengeState.UNDELIVERABLE
    assert town.say(f"Y{question['reference']}").outcome == "approved"
