"""Phones: what arrives over SMPP, who may write, and the scenes that end on them."""

from __future__ import annotations

import asyncio
import os
import stat
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from tests.gateways.sms.smscs import Desk, channel, sms
from tests.messaging.endpoints import run

from zhiwei.cli import phone_view
from zhiwei.cli.phone_view import Lines, Screen
from zhiwei.demo.server import Server
from zhiwei.gateways.iso8583.dialect import named
from zhiwei.messaging.settings import load_messages
from zhiwei.simulate.acquirer import Acquirer
from zhiwei.simulate.bank import Bank
from zhiwei.simulate.days import instant
from zhiwei.simulate.http_door import HttpDoor
from zhiwei.simulate.phone import Nobody, NotReachedError, Phone, Phones
from zhiwei.simulate.scenes import SCENES, play
from zhiwei.simulate.stage import Record, Stage
from zhiwei.simulate.telling import Line, Tone
from zhiwei.simulate.wire import connect

NUMBER = "+8613800138000"
#: Friday 2026-11-27.
FRIDAY = 20_784


class Holder:
    """Somebody with a phone in their hand, who writes what they were told to."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.seen: list[str] = []

    def show(self, phone: Phone) -> None:
        """Look at what is new."""
        self.seen.append(phone.bubbles[-1].text)

    async def written(self, phone: Phone, suggestion: str) -> str:
        """The next text; empty when there is none."""
        return self.texts.pop(0) if self.texts else ""


class Silent:
    """Hears and shows nothing."""

    def hear(self, tone: Tone, line: Line) -> None:
        """Nothing."""


@asynccontextmanager
async def some_phones(holder: Holder | Nobody, folder: Path) -> AsyncIterator[Phones]:
    """Phones that are switched on, with their messages.toml in a folder."""
    phones = Phones(holder)
    await phones.start()
    phones.write_settings(folder / "messages.toml")
    try:
        yield phones
    finally:
        await phones.stop()


def test_texts_go_there_and_back(tmp_path: Path) -> None:
    """To the phone with the number and to no other, and from it to who is bound."""

    async def scenario() -> None:
        holder, desk = Holder(), Desk()
        async with some_phones(holder, tmp_path) as phones:
            phone = phones.phone(NUMBER, "何雨 He Yu")
            assert phones.phone(NUMBER, "somebody else") is phone
            table = tomllib.loads((tmp_path / "messages.toml").read_text())["sms"]
            account = {"password": table["password"], "system_id": table["system_id"]}
            async with channel(table["port"], desk, **account) as sms_channel:
                await sms_channel.send(sms("【智卫】非本人请回复ZF#1234", to=NUMBER))
                await sms_channel.send(sms("for nobody", "msg_2-sms", to="+8613900139000"))
                bubble = await phones.hear(phone, "ZF#1234")
                assert bubble is not None
                assert not bubble.is_own
                assert phones.astray == 1
                late = phones.phone("+8613900139000", "whose text was quicker than the story")
                assert [bubble.text for bubble in late.bubbles] == ["for nobody"]
                assert phones.astray == 0
                await phones.write(phone, "ZF#1234")
                await desk.until(lambda: bool(desk.inbound))
                assert desk.inbound[0].text == "ZF#1234"
            assert holder.seen == ["【智卫】非本人请回复ZF#1234", "for nobody", "ZF#1234"]
            assert await phones.hear(phone, "", after=2, seconds=0.0) is None

    run(scenario())


def test_nobody_is_reached_where_nobody_listens(tmp_path: Path) -> None:
    """It is an error after a while, not a text that is lost in silence."""

    async def scenario() -> None:
        async with some_phones(Nobody(), tmp_path) as phones:
            with pytest.raises(NotReachedError):
                await phones.write(phones.phone(NUMBER, "何雨 He Yu"), "ZF", seconds=0.0)

    run(scenario())


def test_the_settings_are_what_the_server_reads_and_nobody_else(tmp_path: Path) -> None:
    """A password that was rolled just now, in a file of one's own."""

    async def scenario() -> None:
        async with some_phones(Nobody(), tmp_path):
            path = tmp_path / "messages.toml"
            assert "sms" in load_messages(path).channels
            assert stat.S_IMODE(path.stat().st_mode) == 0o600

    run(scenario())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the servers of the scenes have their data."""
    return tmp_path_factory.mktemp("phones")


def played(folder: Path, scene: str, *texts: str) -> tuple[Record, list[str], Phones]:
    """A scene on a server of its own with phones, whose holder writes `texts`."""
    holder = Holder(*texts)

    async def story() -> tuple[Record, Phones]:
        async with some_phones(holder, folder) as phones:
            server = Server(folder / "data", folder / "server.log", folder / "messages.toml")
            await asyncio.to_thread(server.start)
            try:
                bank = Bank(HttpDoor(server.http, server.key("issuer")))
                dialect = named("unionpay-ascii")
                wire = await connect(server.host, server.port, dialect)
                acquirer = Acquirer(dialect)
                stage = Stage(wire, acquirer, Silent(), bank=bank, moves_clock=True, phones=phones)
                await play(SCENES[scene], stage, 31, instant(FRIDAY, 720))
                await wire.close()
                bank.door.close()
                return stage.record, phones
            finally:
                await asyncio.to_thread(server.stop)

    record, phones = asyncio.run(story())
    return record, holder.seen, phones


def assert_as_expected(record: Record) -> None:
    """Every expectation was met, and what was refused after the stop was refused for it."""
    assert not [e.text for e in record.expectations if not e.is_met]
    assert "stop_payment_active" in record.messages[-1]["reasons"]


def test_a_no_by_text_message_stops_the_card(tmp_path: Path) -> None:
    """A phone that nobody holds answers by itself, over SMPP, and the thief gets nothing more."""
    record, seen, phones = played(tmp_path, "not-me")
    assert_as_expected(record)
    assert any("arrives on the phone" in e.text for e in record.expectations)
    assert any("查询余额" in text for text in seen)
    reference = next(text[1:] for text in seen if text.startswith("N"))
    question = next(text for text in seen if f"N{reference}" in text and f"Y{reference}" in text)
    assert seen.index(question) < seen.index(f"N{reference}")
    assert "已止付" in seen[-1]
    assert phones.astray == 0


def test_who_holds_the_phone_writes_what_they_like_and_the_story_ends_all_the_same(
    tmp_path: Path,
) -> None:
    """Nonsense is answered; then the phone stops the card by itself."""
    record, seen, _ = played(tmp_path, "not-me", "你好", "１２３")
    assert_as_expected(record)
    assert "你好" in seen
    assert seen[-2].startswith("ZF#")


def test_the_story_of_the_telephone_fraud_ends_on_the_phone_too(tmp_path: Path) -> None:
    """`ZF` is written on it, and the reply comes back to it."""
    record, seen, _ = played(tmp_path, "telecom-fraud")
    assert_as_expected(record)
    assert "ZF" in seen


def test_a_screen_shows_both_sides_and_nobody_holds_it_unless_told() -> None:
    """In the language of the show; brackets of a text are no markup."""
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=80, color_system=None, soft_wrap=True)
    phone = Phone(NUMBER, "何雨 He Yu")

    async def scenario() -> None:
        screen = Screen(console, "en", is_held=False)
        phones = Phones(screen)
        await phones.start()
        try:
            with pytest.raises(NotReachedError):
                await phones.write(phone, f"[bold]N123456 {'更' * 30}", seconds=0.0)
        finally:
            await phones.stop()
        assert await screen.written(phone, "N123456") == ""

    run(scenario())
    assert "He Yu's phone · 95588" in out.getvalue()
    assert "[bold]N123456" in out.getvalue()
    assert out.getvalue().count("更") == 30, "a long text is wrapped, not cut"
    assert "何雨" not in out.getvalue()


def test_lines_are_for_pipes() -> None:
    """One for each text, without control codes."""
    out = StringIO()
    lines = Lines(Console(file=out, width=200), "zh")
    phone = Phone(NUMBER, "何雨 He Yu")
    assert run(lines.written(phone, "N1")) == ""
    phones = Phones(lines)

    async def scenario() -> None:
        await phones.start()
        try:
            with pytest.raises(NotReachedError):
                await phones.write(phone, "ZF#1234", seconds=0.0)
        finally:
            await phones.stop()

    run(scenario())
    assert out.getvalue() == "    [何雨的手机] → ZF#1234\n"


@pytest.mark.parametrize(
    ("typed", "text"),
    [(b"  n123456 \n", "n123456"), (b"\n", ""), (None, ""), ("止付\x1b[2J\n".encode(), "止付[2J")],
)
def test_a_person_at_the_terminal_may_write_and_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch, typed: bytes | None, text: str
) -> None:
    """A line within the time; control codes are left out."""
    read, write = os.pipe()
    with os.fdopen(read) as stdin, os.fdopen(write, "wb") as keyboard:
        monkeypatch.setattr("sys.stdin", stdin)
        if typed is None:
            monkeypatch.setattr(phone_view, "_PATIENCE_SECONDS", 0.01)
        else:
            keyboard.write(typed)
            keyboard.flush()
        screen = Screen(Console(file=StringIO()), "zh", is_held=True)
        assert run(screen.written(Phone(NUMBER, "何雨 He Yu"), "N123456")) == text
