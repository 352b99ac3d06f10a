"""Answers: the right type, the request's own fields, and the code that the tables give."""

from __future__ import annotations

import pytest
from tests.gateways.iso8583.house import NO_RESULT
from tests.gateways.iso8583.messages import DIALECTS, PANS, purchase

from zhiwei.core.command import Command
from zhiwei.core.entry import Entry
from zhiwei.core.finding import Finding, Outcome
from zhiwei.core.reason import Reason
from zhiwei.core.request import Kind, Request
from zhiwei.core.result import Rejection, Result, rejected
from zhiwei.gateways.iso8583 import dialect as dialects
from zhiwei.gateways.iso8583.answers import Answers, answer_type, expects_answer
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.message import Message
from zhiwei.gateways.iso8583.tables import PLANS_MAX
from zhiwei.gateways.response_codes import checked, load

TYPES = [
    ("0100", "0110"),
    ("0101", "0110"),
    ("0200", "0210"),
    ("0201", "0210"),
    ("0120", "0130"),
    ("0121", "0130"),
    ("0220", "0230"),
    ("0400", "0410"),
    ("0401", "0410"),
    ("0420", "0430"),
    ("0421", "0430"),
    ("0800", "0810"),
    ("0820", "0830"),
    ("0102", "0112"),
    ("0103", "0112"),
]


def _answers(name: str = "unionpay-ascii") -> Answers:
    return Answers(dialects.named(name), load(), NO_RESULT)


def _result(outcome: Outcome, *reasons: Reason) -> Result:
    """A result as the guardian gives it."""
    entry = Entry(
        version=1,
        now_ms=0,
        filed_ms=0,
        command=Command(bytes(16), request=Request(kind=Kind.PURCHASE)),
        outcome=outcome,
        policy_version="",
        findings=tuple(Finding(outcome, reason, "x") for reason in reasons),
        auth_code="042917" if outcome is Outcome.APPROVE else "",
    )
    return Result(entry=entry)


@pytest.mark.parametrize(("asked", "answered"), TYPES)
def test_every_type_and_its_repeat_has_its_answer(asked: str, answered: str) -> None:
    """A repeat is answered like the first message, since the bytes must be the same."""
    assert expects_answer(asked)
    assert answer_type(asked) == answered
    assert not expects_answer(answered)


def test_an_approval_has_a_code_and_what_was_sent() -> None:
    """00, the authorization code, and the request's fields."""
    request = Message.of("0200", purchase())
    answer = _answers().of_answer(request, _result(Outcome.APPROVE))
    assert (answer.mti, answer.text(39), answer.text(38)) == ("0210", "00", "042917")
    for number in (2, 3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49):
        assert answer.text(number) == request.text(number)


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_can_write_its_answers(name: str) -> None:
    """Approved, refused, and a format error for a message of which little was read."""
    dialect = dialects.named(name)
    answers, codec = _answers(name), Codec(dialect)
    mti = dialect.version + "200"
    fields = {n: v for n, v in purchase().items() if n != 22}
    if dialect.version == "1":
        fields = {2: PANS[0], 11: "123456"}
    for request in (Message.of(mti, fields), Message.of(mti, {11: "123456"}), Message.of(mti, {})):
        for result in (_result(Outcome.APPROVE), _result(Outcome.REFUSE, Reason.CARD_LOST)):
            raw = codec.encode(answers.of_answer(request, result))
            assert codec.decode(raw, 0, len(raw)).text(11) == request.text(11)
        raw = codec.encode(answers.named(request, "format_error"))
        assert codec.decode(raw, 0, len(raw)).text(39) == "30"


def test_what_a_request_carries_of_an_answer_is_not_echoed() -> None:
    """An authorization code or response code in a completion or reversal is not the answer's."""
    request = Message.of("0420", purchase(de38="111111", de39="98"))
    answer = _answers().of_answer(request, _result(Outcome.REFUSE, Reason.RULE_FAILED))
    assert (answer.text(39), answer.has(38)) == ("96", False)


def test_the_first_reason_that_stands_gives_the_code() -> None:
    """A refusal by a lock, by a limit, a question, and one that nobody explained."""
    request = Message.of("0200", purchase())
    cases = [
        (_result(Outcome.REFUSE, Reason.NIGHT_LOCK_ACTIVE, Reason.OVER_DAILY_LIMIT), "62"),
        (_result(Outcome.REFUSE, Reason.OVER_DAILY_LIMIT), "61"),
        (_result(Outcome.REFUSE, Reason.OVER_DAILY_COUNT), "65"),
        (_result(Outcome.REFUSE, Reason.MAGSTRIPE_FALLBACK), "45"),
        (_result(Outcome.CHALLENGE, Reason.LARGE_SPEND_VERIFICATION), "01"),
        (_result(Outcome.REFUSE), "96"),
    ]
    for result, code in cases:
        assert _answers().of_answer(request, result).text(39) == code


def test_commands_that_could_not_be_carried_out_have_answers() -> None:
    """Unknown card 14, unknown original 25, everything else is the house's fault: 96."""
    request = Message.of("0200", purchase())
    codes = {
        rejection: _answers().of_answer(request, rejected(rejection)).text(39)
        for rejection in Rejection
    }
    assert codes.pop(Rejection.CARD_NOT_FOUND) == "14"
    assert codes.pop(Rejection.ORIGINAL_NOT_FOUND) == "25"
    assert set(codes.values()) == {"96"}


def test_no_result_has_an_answer() -> None:
    """Busy and unavailable 91, a bug and what nobody foresaw 96."""
    request = Message.of("0200", purchase())
    codes = [_answers().of_answer(request, number).text(39) for number in (1, 2, 3, 99)]
    assert codes == ["91", "91", "96", "96"]


def test_a_code_with_letters_becomes_digits_where_there_is_no_room_for_letters() -> None:
    """9G is 62 in a dialect whose DE39 is two digits."""
    import tomllib
    from importlib.resources import files

    raw = tomllib.loads(files("zhiwei.gateways").joinpath("response_codes.toml").read_text("utf-8"))
    raw["unionpay"]["reasons"]["night_lock_active"] = "9G"
    request = Message.of("0200", purchase())
    refusal = _result(Outcome.REFUSE, Reason.NIGHT_LOCK_ACTIVE)
    for name, code in (("unionpay-ascii", "9G"), ("iso87-bcd", "62")):
        answers = Answers(dialects.named(name), checked(raw), NO_RESULT)
        assert answers.of_answer(request, refusal).text(39) == code


def test_hostile_requests_do_not_fill_the_memory() -> None:
    """What is worked out for each bitmap stays bounded."""
    answers = _answers()
    for bits in range(PLANS_MAX + 50):
        fields: dict[int, str | bytes] = {3 + place: "" for place in range(10) if bits >> place & 1}
        answers.named(Message.of("0200", fields), "approved")
    assert len(answers._echoes) == PLANS_MAX
