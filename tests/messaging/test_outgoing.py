"""Sending to strangers over real sockets: hanging, lying, dripping; addresses, names and TLS."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest
from tests.messaging.endpoints import (
    PEM,
    Behaviour,
    Endpoint,
    Heard,
    answers,
    drips,
    endpoint,
    hangs,
    hangs_up,
    message,
    run,
    says,
    server_tls,
    silent_port,
)
from tests.messaging.subscribers import SHORT, Subscribers, sent_to, started

from zhiwei.gateways.outgoing.addresses import Reach
from zhiwei.messaging.model import Answer, Verdict


def test_a_redirect_is_not_followed() -> None:
    """The signed body goes nowhere else, and the operator is told."""
    subscribers = Subscribers()

    async def scenario() -> tuple[Answer, Endpoint]:
        async with (
            endpoint(answers(200)) as other,
            endpoint(answers(307, Location=other.url)) as made,
            started(subscribers.channel()) as channel,
        ):
            subscribers.add(made.url)
            return await channel.send(message()), other

    answer, other = run(scenario())
    assert "a redirect, which is not followed" in answer.detail
    assert other.connections == 0


@pytest.mark.parametrize(
    ("behave", "words"),
    [
        (hangs, "did not answer in time"),
        (drips(b"HTTP/1.1 200 "), "did not answer in time"),
        (drips(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 "), "did not answer in time"),
        (hangs_up, "hung up"),
        (says(b"220 mail.example ESMTP\r\n"), "not HTTP"),
        (says(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 500_000), "not HTTP"),
        (says(b"HTTP/1.1 999999 OK\r\n\r\n"), "not HTTP"),
    ],
)
def test_an_endpoint_without_an_answer_is_tried_again(behave: Behaviour, words: str) -> None:
    """It is waited for, but not for long."""
    answer, made, _ = sent_to(behave, SHORT)
    assert answer.verdict is Verdict.TRY_LATER
    assert words in answer.detail
    assert len(made.heard) == 1


@pytest.mark.parametrize(
    "behave",
    [
        drips(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"),
        drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
        says(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"),
    ],
)
def test_once_it_said_yes_the_rest_of_its_answer_does_not_matter(behave: Behaviour) -> None:
    """It drips, breaks off or is no gzip: the message was taken."""
    assert sent_to(behave, SHORT)[0].verdict is Verdict.TAKEN


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    """We hang up after a little."""
    ended = asyncio.Event()

    async def endless(
        heard: Any,  # noqa: ANN401 - the request
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()
        except OSError:
            ended.set()
            raise

    subscribers = Subscribers()

    async def scenario() -> Answer:
        async with endpoint(endless) as made, started(subscribers.channel()) as channel:
            subscribers.add(made.url)
            answer: Answer = await channel.send(message())
            await ended.wait()
            return answer

    assert run(scenario()).verdict is Verdict.TAKEN


def test_a_closed_port_is_tried_again() -> None:
    """Nobody is there now."""
    subscribers = Subscribers()

    async def scenario() -> Answer:
        async with endpoint(answers(200)) as made:
            subscribers.add(made.url)
        async with started(subscribers.channel()) as channel:
            answer: Answer = await channel.send(message())
            return answer

    answer = run(scenario())
    assert (answer.verdict, answer.detail) == (Verdict.TRY_LATER, "cannot be connected to")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "localhost",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f.1",
        "127.1",
        "0.0.0.0",
        "10.0.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "224.0.0.1",
    ],
)
def test_private_addresses_are_not_told_by_default(host: str) -> None:
    """However they are written, and whatever they resolve to; nothing connects there."""
    subscribers = Subscribers()

    async def scenario() -> tuple[Answer, Endpoint]:
        async with (
            endpoint(answers(200)) as made,
            started(subscribers.channel(Reach.PUBLIC)) as channel,
        ):
            subscribers.add(f"http://{host}:{made.port}/s3cret-path")
            return await channel.send(message()), made

    answer, made = run(scenario())
    assert answer.verdict is Verdict.TRY_LATER
    assert "not allowed" in answer.detail or "no address" in answer.detail
    assert host not in answer.detail
    assert made.connections == 0


def test_one_bad_address_among_good_ones_is_enough() -> None:
    """A name that leads here and elsewhere is not told at all."""
    subscribers = Subscribers()

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1", "10.0.0.1"]

    async def scenario() -> tuple[Answer, Endpoint]:
        async with (
            endpoint(answers(200)) as made,
            started(subscribers.channel(resolve=resolve)) as channel,
        ):
            subscribers.add(f"http://hook.example:{made.port}/")
            return await channel.send(message()), made

    answer, made = run(scenario())
    assert answer.detail == "in test mode only this machine may be told"
    assert made.connections == 0


def test_a_name_that_changes_its_mind_gains_nothing() -> None:
    """It is looked up once, and the connection goes to the address that was checked."""
    subscribers = Subscribers()
    asked: list[str] = []
    count: list[Heard] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    async def closes_after_two(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        count.append(heard)
        await answers(200, Connection="close" if len(count) == 2 else "keep-alive")(
            heard, reader, writer
        )

    async def scenario() -> tuple[list[Answer], Endpoint]:
        async with (
            endpoint(closes_after_two) as made,
            started(subscribers.channel(resolve=resolve)) as channel,
        ):
            subscribers.add(f"http://hook.example:{made.port}/")
            first = await channel.send(message())
            assert len(asked) == 1
            # A kept connection is used again; a new one is checked again.
            second = await channel.send(message())
            return [first, second, await channel.send(message())], made

    got, made = run(scenario())
    assert [answer.verdict for answer in got] == [
        Verdict.TAKEN,
        Verdict.TAKEN,
        Verdict.TRY_LATER,
    ]
    assert [heard.headers["host"] for heard in made.heard] == [f"hook.example:{made.port}"] * 2
    assert asked == ["hook.example"] * 2


def test_a_second_address_is_tried_where_the_first_does_not_answer() -> None:
    """Both were checked."""
    subscribers = Subscribers()

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.9.9.9", "127.0.0.1"]

    async def scenario() -> Answer:
        async with (
            endpoint(answers(200)) as made,
            started(subscribers.channel(resolve=resolve)) as channel,
        ):
            subscribers.add(f"http://hook.example:{made.port}/")
            answer: Answer = await channel.send(message())
            return answer

    assert run(scenario()).verdict is Verdict.TAKEN


def test_a_name_server_that_hangs_holds_nobody_else_up() -> None:
    """The one name waits its bound; others are told meanwhile."""
    subscribers = Subscribers()

    async def resolve(host: str, port: int) -> list[str]:
        if host == "slow.example":
            await asyncio.Event().wait()
        return ["127.0.0.1"]

    async def scenario() -> tuple[Answer, Answer]:
        async with (
            endpoint(answers(200)) as made,
            started(subscribers.channel(resolve=resolve, bounds=SHORT)) as channel,
        ):
            subscribers.add(f"http://slow.example:{made.port}/", "sub_slow")
            subscribers.add(f"http://hook.example:{made.port}/")
            slow = asyncio.create_task(channel.send(message(to="sub_slow")))
            await asyncio.sleep(0)
            quick = await channel.send(message())
            assert not slow.done()
            return quick, await slow

    quick, slow = run(scenario())
    assert quick.verdict is Verdict.TAKEN
    assert slow.detail == "cannot be connected to in time"


def trusting() -> ssl.SSLContext:
    """TLS that trusts the tests' certificate."""
    return ssl.create_default_context(cafile=PEM)


async def to_this_machine(host: str, port: int) -> list[str]:
    """Every name leads here."""
    return ["127.0.0.1"]


@pytest.mark.parametrize(
    ("host", "is_trusted", "words"),
    [
        ("hook.example", True, "answered 200"),
        ("hook.example", False, "its TLS certificate cannot be trusted"),
        ("other.example", True, "its TLS certificate cannot be trusted"),
        ("127.0.0.1", True, "its TLS certificate cannot be trusted"),
    ],
)
def test_tls_checks_the_name_and_not_the_address(host: str, is_trusted: bool, words: str) -> None:
    """A certificate must be trusted, and be of the host that was subscribed."""
    subscribers = Subscribers()

    async def scenario() -> tuple[Answer, Endpoint]:
        tls = trusting() if is_trusted else ssl.create_default_context()
        channel = subscribers.channel(resolve=to_this_machine, tls=tls)
        async with endpoint(answers(200), server_tls()) as made, started(channel):
            subscribers.add(f"https://{host}:{made.port}/")
            return await channel.send(message()), made

    answer, made = run(scenario())
    assert answer.detail == words
    assert len(made.heard) == (1 if answer.verdict is Verdict.TAKEN else 0)


def test_tls_with_somebody_who_does_not_speak_it() -> None:
    """A plain server, and one that says nothing: tried again, within the bound."""
    subscribers = Subscribers()

    async def scenario() -> tuple[Answer, Answer]:
        channel = subscribers.channel(resolve=to_this_machine, tls=trusting(), bounds=SHORT)
        async with (
            silent_port(b"220 mail.example ESMTP\r\n") as plain,
            silent_port() as silent,
            started(channel),
        ):
            subscribers.add(f"https://hook.example:{plain}/", "sub_plain")
            subscribers.add(f"https://hook.example:{silent}/", "sub_silent")
            return (
                await channel.send(message(to="sub_plain")),
                await channel.send(message(to="sub_silent")),
            )

    plain, silent = run(scenario())
    assert (plain.verdict, plain.detail) == (Verdict.TRY_LATER, "TLS cannot be agreed on")
    assert (silent.verdict, silent.detail) == (
        Verdict.TRY_LATER,
        "cannot be connected to in time",
    )
