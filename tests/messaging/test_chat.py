"""Operators' chat through Apprise, with its own json:// service against a real server."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from tests.messaging.endpoints import (
    Endpoint,
    NoDesk,
    answers,
    endpoint,
    everything_logged,
    hangs,
    message,
    run,
)

from zhiwei.gateways.chat import ChatChannel, chat_channel
from zhiwei.messaging.model import Answer, Message, Verdict
from zhiwei.messaging.settings import MessagesFileError, Table

#: Apprise still looks for a module of the standard library that newer ones do not have.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")


def alert(**changes: Any) -> Message:  # noqa: ANN401 - fields of Message
    """What operators hear."""
    values = {
        "id": "msg_abc-chat",
        "channel": "chat",
        "to": "",
        "text": "请查看卡",
        "subject": "智卫",
    }
    return message(**{**values, **changes})


def chat_at(made: Endpoint) -> str:
    """Apprise's URL of an endpoint, with a secret in it."""
    return f"json://user:s3cret@127.0.0.1:{made.port}/room"


def channel_of(*urls: str, only_loopback: bool = True, **settings: Any) -> ChatChannel:  # noqa: ANN401 - of the file
    """A channel as a file's table would make it."""
    table = Table({"urls": " ".join(urls), **settings}, "chat")
    return chat_channel(table, only_loopback=only_loopback)


async def told(channel: ChatChannel, *messages: Message) -> list[Answer]:
    """Send messages one after the other, and stop."""
    await channel.start(NoDesk())
    try:
        return [await channel.send(one) for one in messages]
    finally:
        await channel.stop()


def test_every_chat_is_told() -> None:
    """With the text and its title."""

    async def scenario() -> tuple[list[Answer], list[Endpoint]]:
        async with endpoint(answers(200)) as one, endpoint(answers(200)) as other:
            channel = channel_of(chat_at(one), chat_at(other))
            return await told(channel, alert()), [one, other]

    (answer,), chats = run(scenario())
    assert answer.verdict is Verdict.TAKEN
    for made in chats:
        (heard,) = made.heard
        body = json.loads(heard.body)
        assert (body["title"], body["message"]) == ("智卫", "请查看卡")


def test_who_has_it_is_not_told_again_because_another_failed() -> None:
    """Only the chat that failed gets the second try."""
    status = [500]

    async def behave(heard: Any, reader: Any, writer: Any) -> None:  # noqa: ANN401 - the server's
        await answers(status[0])(heard, reader, writer)

    async def scenario() -> None:
        async with endpoint(answers(200)) as good, endpoint(behave) as bad:
            channel = channel_of(chat_at(good), chat_at(bad))
            first = await channel.send(alert())
            assert first.verdict is Verdict.TRY_LATER
            assert first.detail == "1 of 2 chats did not take it"
            assert not first.is_channel_down
            status[0] = 200
            assert (await channel.send(alert())).verdict is Verdict.TAKEN
            assert len(good.heard) == 1
            assert len(bad.heard) == 2
            await channel.stop()

    run(scenario())


def test_where_no_chat_takes_it_the_channel_is_down() -> None:
    """Refused or nobody there."""

    async def scenario() -> list[Answer]:
        async with endpoint(answers(403)) as made:
            url = chat_at(made)
            refused = await told(channel_of(url), alert())
        return refused + await told(channel_of(url), alert())

    for answer in run(scenario()):
        assert (answer.verdict, answer.is_channel_down) == (Verdict.TRY_LATER, True)


def test_a_chat_that_hangs_is_not_waited_for() -> None:
    """Neither by the first message nor, while its thread hangs, by those after it."""
    let_go = Event()

    class Hanging:
        def notify(self, body: str, title: str = "") -> bool:
            return let_go.wait(60)

    async def scenario() -> list[Answer]:
        channel = ChatChannel([Hanging()], timeout_s=0.1, at_once=2)
        try:
            return await told(channel, *(alert(id=f"msg_{n}") for n in range(3)))
        finally:
            let_go.set()

    *hung, spared = run(scenario())
    assert [answer.detail for answer in hung] == ["1 of 1 chats did not take it"] * 2
    assert spared.detail == "every try hangs"
    assert spared.is_channel_down


def test_once_the_threads_come_back_the_chat_is_told_again() -> None:
    """What hung is forgotten."""
    let_go = Event()

    class Slow:
        def notify(self, body: str, title: str = "") -> bool:
            return let_go.wait(60)

    async def scenario() -> Answer:
        channel = ChatChannel([Slow()], timeout_s=0.1, at_once=1)
        assert (await channel.send(alert())).verdict is Verdict.TRY_LATER
        let_go.set()
        for _ in range(1_000):
            if (await channel.send(alert())).verdict is Verdict.TAKEN:
                break
            await asyncio.sleep(0.01)
        answer = await channel.send(alert(id="msg_2"))
        await channel.stop()
        return answer

    assert run(scenario()).verdict is Verdict.TAKEN


def test_a_real_server_that_hangs_ends_in_time() -> None:
    """Apprise's own bounds and ours."""

    async def scenario() -> list[Answer]:
        async with endpoint(hangs) as made:
            url = f"{chat_at(made)}?rto=1&cto=1"
            return await told(channel_of(url, timeout_seconds=2), alert())

    assert run(scenario())[0].verdict is Verdict.TRY_LATER


def test_a_plugin_that_breaks_breaks_nothing() -> None:
    """One of 170 strangers' plugins raises."""

    class Broken:
        def notify(self, body: str, title: str = "") -> bool:
            raise RuntimeError("json://user:s3cret@host")

    answer = run(told(ChatChannel([Broken()]), alert()))[0]
    assert answer.verdict is Verdict.TRY_LATER
    assert "s3cret" not in answer.detail


def test_no_secret_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """Apprise logs its addresses; here it does not."""

    async def scenario() -> list[Answer]:
        async with endpoint(answers(500)) as made:
            url = chat_at(made)
            first = await told(channel_of(url), alert())
        return first + await told(channel_of(url), alert())

    with everything_logged(caplog) as lines:
        details = [answer.detail for answer in run(scenario())]
    told_to_all = "\n".join([*lines, *details])
    assert "s3cret" not in told_to_all
    assert "请查看卡" not in told_to_all


def test_in_test_mode_only_this_machine_is_told() -> None:
    """A service elsewhere stops the start; a host elsewhere is not told."""
    with pytest.raises(MessagesFileError, match="in test mode"):
        channel_of("slack://TokenA/TokenB/TokenC/#room")
    (answer,) = run(told(channel_of("json://10.0.0.1/"), alert()))
    assert answer.detail == "in test mode only this machine may be told"


@pytest.mark.parametrize(
    "settings",
    [
        {"urls": "nonsense"},
        {"urls": "json://localhost s3cret://nowhere"},
        {"urls": " "},
        {"urls": "json://localhost", "url": "x"},
        {"urls_file": "nowhere"},
    ],
)
def test_settings_that_are_wrong_stop_the_start(settings: dict[str, Any]) -> None:
    """With their place in the file, and without what they hold."""
    with pytest.raises(MessagesFileError, match=r"chat\.url") as caught:
        chat_channel(Table(settings, "chat"), only_loopback=False)
    assert "s3cret" not in str(caught.value)


def test_urls_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    """One on each line."""
    (tmp_path / "chat.urls").write_text("json://localhost/a\njson://localhost/b\n")
    table = Table({"urls_file": "chat.urls"}, "chat", tmp_path)
    channel = chat_channel(table, only_loopback=True)
    assert channel.name == "chat"
    run(channel.stop())


def test_without_the_extra_the_start_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Apprise is optional."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(MessagesFileError, match=r"pip install zhiwei\[chat\]"):
        channel_of("json://localhost")
