"""Connections to endpoints: when one is used again, and when it is closed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.messaging.endpoints import Behaviour, Endpoint, answers, endpoint, hangs, run, says

from zhiwei.gateways.outgoing.addresses import Reach
from zhiwei.gateways.outgoing.lines import BadUrlError, target_of
from zhiwei.gateways.outgoing.sending import Bounds, Reply, Sender

SECOND = Bounds(kept_s=60.0)


async def several(sender: Sender, made: Endpoint, count: int) -> list[Reply]:
    """Post some bodies at the same time."""
    return await asyncio.gather(*(sender.post(made.url, "{}", {}) for _ in range(count)))


def posted(behave: Behaviour, rounds: int, bounds: Bounds = SECOND) -> tuple[list[int], Endpoint]:
    """Statuses of posts one after the other on one sender."""

    async def scenario() -> tuple[list[int], Endpoint]:
        async with endpoint(behave) as made:
            sender = Sender(Reach.LOOPBACK_ONLY, bounds)
            got = [(await sender.post(made.url, "{}", {})).status for _ in range(rounds)]
            await sender.close()
            return got, made

    return run(scenario())


def test_a_line_is_used_again_and_many_stand_side_by_side() -> None:
    """As many as are sent at once, and no more however often."""

    async def scenario() -> Endpoint:
        async with endpoint(answers(200, b"thanks")) as made:
            sender = Sender(Reach.LOOPBACK_ONLY, SECOND)
            for _ in range(5):
                replies = await several(sender, made, 30)
                assert {reply.status for reply in replies} == {200}
            await sender.close()
            return made

    made = run(scenario())
    assert (len(made.heard), made.connections) == (150, 30)


@pytest.mark.parametrize(
    "behave",
    [
        answers(200, Connection="close"),
        says(b"HTTP/1.0 200 OK\r\n\r\nthanks"),
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        answers(200, b"x" * 100_000),
    ],
)
def test_a_line_that_is_no_more_good_is_not_used_again(behave: Behaviour) -> None:
    """The server closes it, or its answer was not read to the end."""
    got, made = posted(behave, 3)
    assert got == [200] * 3
    assert made.connections == 3


def test_who_hangs_is_not_asked_twice() -> None:
    """Only a line that was closed meanwhile is made anew: a hanging server may have the request."""
    asked = []

    async def behave(heard: Any, reader: Any, writer: Any) -> None:  # noqa: ANN401 - the server's
        asked.append(heard)
        await (answers(200) if len(asked) == 1 else hangs)(heard, reader, writer)

    got, made = posted(behave, 2, Bounds(read_s=0.2, total_s=30.0))
    assert got == [200, 0]
    assert (len(made.heard), made.connections) == (2, 1)


def test_what_a_server_says_out_of_turn_is_no_answer_to_the_next_request() -> None:
    """More than one answer to one request: the line is closed."""
    twice = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 2

    async def behave(heard: Any, reader: Any, writer: Any) -> None:  # noqa: ANN401 - the server's
        writer.write(twice)
        await writer.drain()

    got, made = posted(behave, 3)
    assert got == [200] * 3
    assert made.connections == 3


def test_lines_that_nobody_uses_are_closed() -> None:
    """By themselves, after their time; and the oldest of too many at once."""

    async def scenario() -> None:
        async with endpoint(answers(200)) as made:
            sender = Sender(Reach.LOOPBACK_ONLY, Bounds(kept_s=0.05))
            await several(sender, made, 5)
            lines = sender._lines
            while lines._idle_count:  # noqa: ASYNC110 - a timer of the lines is waited for
                await asyncio.sleep(0.01)
            assert lines._timer is None
            assert not lines._idle
            few = Sender(Reach.LOOPBACK_ONLY, Bounds(connections=3))
            await several(few, made, 10)
            assert few._lines._idle_count == 3
            assert sum(map(len, few._lines._idle.values())) == 3
            assert (await several(few, made, 1))[0].status == 200
            for one in (sender, few):
                await one.close()
            assert few._lines._idle_count == 0

    run(scenario())


@pytest.mark.parametrize(
    "headers", [{"x": "a\r\nEvil: 1"}, {"x\r\nEvil": "1"}, {"": "1"}, {"x": "a\x00b"}]
)
def test_no_header_becomes_two(headers: dict[str, str]) -> None:
    """The request is not sent at all."""

    async def scenario() -> tuple[Reply, Endpoint]:
        async with endpoint(answers(200)) as made:
            sender = Sender(Reach.LOOPBACK_ONLY)
            reply = await sender.post(made.url, "{}", headers)
            await sender.close()
            return reply, made

    reply, made = run(scenario())
    assert reply.status == 0
    assert "Evil" not in reply.detail
    assert made.heard == []


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("https://bank.example", "bank.example", "/"),
        ("https://BANK.example:443/a?b=c", "bank.example", "/a?b=c"),
        ("http://bank.example:8080/a%20b", "bank.example:8080", "/a%20b"),
        ("http://[::1]:80/", "[::1]", "/"),
        ("http://[::1]:81/", "[::1]:81", "/"),
        ("https://银行.example/路?问=答", "xn--jn2a72x.example", "/%E8%B7%AF?%E9%97%AE=%E7%AD%94"),
        ("http://bank.example/a b\t", "bank.example", "/a%20b"),
        ("http://bank.example/#part", "bank.example", "/"),
    ],
)
def test_where_a_request_goes(url: str, host: str, path: str) -> None:
    """Host header and path, with nothing in them that could end a line."""
    target = target_of(url)
    assert (target.host_header, target.path) == (host, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bank.example",
        "ftp://bank.example",
        "https://",
        "https://user@bank.example",
        "https://user:pw@bank.example",
        "https://bank.example:0",
        "https://bank.example:99999",
        "https://[::1",
        "file:///etc/passwd",
        "https://" + "银" * 100 + ".example",
    ],
)
def test_what_is_no_http_address_goes_nowhere(url: str) -> None:
    """And is told as such."""
    with pytest.raises(BadUrlError):
        target_of(url)
    sender = Sender(Reach.PRIVATE_TOO)

    async def scenario() -> Reply:
        reply = await sender.post(url, "{}", {})
        await sender.close()
        return reply

    assert run(scenario()) == Reply(0, "the address is not an HTTP address")
