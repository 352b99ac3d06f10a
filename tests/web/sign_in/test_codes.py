"""Codes and links: what is sent, what is right, how often."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from zhiwei.clock import ManualClock
from zhiwei.messaging.model import SMS, Message
from zhiwei.messaging.parts import size_of
from zhiwei.stores.faces import FILE_NAME, SqliteFaceStore
from zhiwei.web.sign_in.codes import (
    CODE_MS,
    DAY_MS,
    HOUR_MS,
    LINK_MS,
    TRIES,
    Asked,
    CodeBounds,
    Codes,
    deed_purpose,
    link_of,
    new_link,
    sign_in_purpose,
    take_link,
)
from zhiwei.web.sign_in.model import Face
from zhiwei.words import load_sentences

NOW = 1_763_956_800_000
PHONE = "+8613800138000"
WORDS = load_sentences()
ENTER = sign_in_purpose("visit_1", Face.CARDHOLDER, "holder_1")


class Phone:
    """Codes on a real store; what is queued is kept."""

    def __init__(self, folder: Path, bounds: CodeBounds | None = None) -> None:
        self.clock = ManualClock(NOW)
        self.store = SqliteFaceStore(folder)
        self.messages: list[Message] = []
        self.codes = Codes(self.store, self.clock, WORDS.text, self._queue, b"secret" * 6, bounds)

    async def _queue(self, messages: Sequence[Message]) -> int:
        self.messages += messages
        return len(messages)

    def sent(self, purpose: str = ENTER, language: str = "zh", what: str = "") -> str:
        """The code of the message that is sent."""
        asyncio.run(self.codes.send(purpose, PHONE, language, what))
        found = re.search(r"\d{6}", self.messages[-1].text)
        assert found is not None
        return found[0]


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[Phone]:
    """A phone."""
    one = Phone(tmp_path)
    yield one
    one.store.close()


def wrong(code: str) -> str:
    """Another code."""
    return f"{(int(code) + 1) % 1_000_000:06d}"


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("what", ["", "解除尾号1234的止付", "w" * 500])
def test_a_message_is_one_part_says_what_for_and_has_no_link(
    phone: Phone, language: str, what: str
) -> None:
    """Signature first, urgent, pointless after five minutes."""
    phone.sent(language=language, what=what)
    message = phone.messages[-1]
    signature = {"zh": "【智卫】", "en": "[Zhiwei]"}[language]
    assert message.text.startswith(signature)
    assert (message.channel, message.to, message.card_key) == (SMS, PHONE, b"")
    assert (message.is_urgent, message.expires_ms) == (True, NOW + CODE_MS)
    if language == "zh" or what.isascii():
        assert size_of(message.text).parts == 1
    assert "http" not in message.text
    assert "/" not in message.text
    assert what[:15] in message.text


def test_a_code_is_right_once(phone: Phone, tmp_path: Path) -> None:
    """People may write a gap into it; it stands in no file."""
    code = phone.sent()
    for path in tmp_path.iterdir():
        assert code.encode() not in path.read_bytes()
    assert not phone.codes.is_right(ENTER, wrong(code))
    assert phone.codes.is_right(ENTER, f" {code[:3]} {code[3:]} ")
    assert not phone.codes.is_right(ENTER, code)


def test_a_code_is_for_its_purpose(phone: Phone) -> None:
    """Not for another browser, another person, or a change."""
    code = phone.sent()
    for purpose in (
        sign_in_purpose("visit_2", Face.CARDHOLDER, "holder_1"),
        sign_in_purpose("visit_1", Face.CARDHOLDER, "holder_2"),
        deed_purpose("deed_1"),
    ):
        assert not phone.codes.is_right(purpose, code)
    assert phone.codes.is_right(ENTER, code)


def test_a_code_has_five_tries_and_five_minutes(phone: Phone) -> None:
    """A slip that is no code costs nothing; what is past the bound is past."""
    code = phone.sent()
    for _ in range(TRIES - 1):
        assert not phone.codes.is_right(ENTER, wrong(code))
    for slip in ("", "12345", "1234567", "abcdef", "１２３４５６", "9" * 500):
        assert not phone.codes.is_right(ENTER, slip)
    assert phone.codes.is_right(ENTER, code)
    code = phone.sent()
    for _ in range(TRIES):
        assert not phone.codes.is_right(ENTER, wrong(code))
    assert not phone.codes.is_right(ENTER, code)
    code = phone.sent()
    phone.clock.advance(CODE_MS)
    assert not phone.codes.is_right(ENTER, code)


def test_a_new_code_ends_the_one_before(phone: Phone) -> None:
    """Only the newest is right."""
    first = phone.sent()
    second = phone.sent()
    if first != second:
        assert not phone.codes.is_right(ENTER, first)
    assert phone.codes.is_right(ENTER, second)


def test_codes_to_a_number_are_bounded(phone: Phone) -> None:
    """Five in an hour, ten in a day; a change that waits for proof has a bound of its own."""
    asked = [phone.codes.may_ask(PHONE) for _ in range(6)]
    assert asked == [Asked.TAKEN] * 5 + [Asked.TOO_MANY]
    assert phone.codes.may_ask(PHONE, "deed") is Asked.TAKEN
    assert phone.codes.may_ask("+8613900139000") is Asked.TAKEN
    phone.clock.advance(HOUR_MS + 1_000)
    asked = [phone.codes.may_ask(PHONE) for _ in range(5)]
    assert asked == [Asked.TAKEN] * 4 + [Asked.TOO_MANY]
    phone.clock.advance(DAY_MS + 1_000)
    assert phone.codes.may_ask(PHONE) is Asked.TAKEN


def test_codes_to_a_block_of_numbers_are_bounded(tmp_path: Path) -> None:
    """Numbers that begin alike share a bound; the file is no list of numbers."""
    phone = Phone(tmp_path, CodeBounds(per_prefix_hour=3))
    asked = [phone.codes.may_ask(f"+861380013{n:04d}") for n in range(4)]
    assert asked == [Asked.TAKEN] * 3 + [Asked.TOO_MANY]
    assert phone.codes.may_ask("+8613900139000") is Asked.TAKEN
    phone.store.close()
    assert b"13800" not in (tmp_path / FILE_NAME).read_bytes()


def test_a_link_lets_somebody_in_once(phone: Phone, tmp_path: Path) -> None:
    """Looking does not use it up; its token stands in no file."""
    path = new_link(phone.store, Face.OPERATOR, "op_1", NOW)
    token = path.removeprefix("/enter/")
    assert len(token) == 43
    for file in tmp_path.iterdir():
        assert token.encode() not in file.read_bytes()
    assert link_of(phone.store, token, NOW) == (Face.OPERATOR, "op_1")
    assert link_of(phone.store, token, NOW) == (Face.OPERATOR, "op_1")
    assert take_link(phone.store, token, NOW) == (Face.OPERATOR, "op_1")
    assert take_link(phone.store, token, NOW) is None
    assert link_of(phone.store, token, NOW) is None


def test_a_link_is_over_in_time_and_by_a_newer_one(phone: Phone) -> None:
    """15 minutes, and one for each person."""
    first = new_link(phone.store, Face.CARDHOLDER, "holder_1", NOW).removeprefix("/enter/")
    second = new_link(phone.store, Face.CARDHOLDER, "holder_1", NOW).removeprefix("/enter/")
    assert take_link(phone.store, first, NOW) is None
    assert take_link(phone.store, second, NOW + LINK_MS) is None
    assert take_link(phone.store, second, NOW + LINK_MS - 1) is not None
    for other in ("", "x", "a" * 43, "a" * 500, "é" * 43):
        assert take_link(phone.store, other, NOW) is None


def test_a_code_is_no_link(phone: Phone) -> None:
    """What finds links finds nothing else."""
    phone.sent()
    (code,) = phone.store._rows("code", ENTER)
    assert phone.store.code_of(code[1], NOW) is not None
    assert link_of(phone.store, code[1][:43], NOW) is None
