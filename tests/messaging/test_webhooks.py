"""Webhooks over real sockets: signatures, answers, breakers, settings."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from tests.messaging.endpoints import (
    Endpoint,
    answers,
    endpoint,
    everything_logged,
    hangs,
    hangs_up,
    message,
    run,
)
from tests.messaging.subscribers import OLD_SECRET, SECRET, SHORT, Subscribers, sent_to, started

from zhiwei.gateways.outgoing.sending import machine_ms
from zhiwei.gateways.webhooks import webhook_channel
from zhiwei.gateways.webhooks.endpoints import FAILURES
from zhiwei.messaging.model import Answer, Verdict
from zhiwei.messaging.settings import MessagesFileError, Table


def test_a_receiver_can_verify_what_it_gets() -> None:
    """With the id of the message, the time of the try, and the body as it was signed."""
    answer, made, _ = sent_to(answers(204))
    assert answer == Answer(Verdict.TAKEN, "answered 204")
    (heard,) = made.heard
    assert heard.line == "POST /hook/s3cret-path HTTP/1.1"
    assert heard.headers["webhook-id"] == "msg_abc-sub_1"
    assert heard.headers["content-type"] == "application/json"
    assert heard.headers["user-agent"].startswith("zhiwei/")
    assert Webhook(SECRET).verify(heard.body, heard.headers) == {
        "type": "stop_placed",
        "data": {"说": "止付"},
    }
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD_SECRET).verify(heard.body, heard.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(heard.body + b" ", heard.headers)


def test_while_a_secret_is_changed_the_old_one_verifies_too() -> None:
    """Receivers that have the new one and those that have not both accept the same message."""
    subscribers = Subscribers(secrets=(SECRET, OLD_SECRET))

    async def scenario() -> Endpoint:
        async with endpoint(answers(200)) as made, started(subscribers.channel()) as channel:
            subscribers.add(made.url)
            await channel.send(message())
            return made

    (heard,) = run(scenario()).heard
    assert len(heard.headers["webhook-signature"].split(" ")) == 2
    for secret in (SECRET, OLD_SECRET):
        Webhook(secret).verify(heard.body, heard.headers)


def test_the_second_try_has_the_same_id_and_the_same_connection() -> None:
    """So that the receiver can drop what it has, and nothing is shaken hands for twice."""
    subscribers = Subscribers()

    async def scenario() -> Endpoint:
        async with endpoint(answers(500, b"no")) as made, started(subscribers.channel()) as channel:
            subscribers.add(made.url)
            await channel.send(message())
            await channel.send(message())
            return made

    made = run(scenario())
    assert [heard.headers["webhook-id"] for heard in made.heard] == ["msg_abc-sub_1"] * 2
    assert made.connections == 1


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 400, 401, 404, 418, 500, 501])
def test_what_is_not_taken_is_tried_again(status: int) -> None:
    """Whatever the answer says, but for 410."""
    answer, _, subscribers = sent_to(answers(status))
    assert answer.verdict is Verdict.TRY_LATER
    assert f"answered {status}" in answer.detail
    assert answer.pause_ms == 0
    assert not answer.is_channel_down
    assert subscribers.gone == []


def test_410_switches_the_subscription_off() -> None:
    """And ends the message."""
    answer, _, subscribers = sent_to(answers(410))
    assert answer.verdict is Verdict.REFUSED
    assert "switched off" in answer.detail
    assert subscribers.gone == ["sub_1"]


def test_410_where_the_house_cannot_keep_it_is_told_again_by_the_next() -> None:
    """The message ends all the same; nothing is raised."""
    subscribers = Subscribers()

    async def scenario() -> list[Answer]:
        async with endpoint(answers(410)) as made, started(subscribers.channel()) as channel:
            subscribers.add(made.url)
            subscribers.cannot_keep = True
            first = await channel.send(message())
            subscribers.cannot_keep = False
            return [first, await channel.send(message())]

    assert [answer.verdict for answer in run(scenario())] == [Verdict.REFUSED] * 2
    assert subscribers.gone == ["sub_1"]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_pause_that_is_asked_for_is_kept(status: int) -> None:
    """In seconds or as a date; nonsense and eternity do no harm."""
    seconds, _, _ = sent_to(answers(status, Retry_After="7"))
    assert (seconds.verdict, seconds.pause_ms) == (Verdict.TRY_LATER, 7_000)
    eternal, _, _ = sent_to(answers(status, Retry_After="9" * 40))
    assert eternal.pause_ms == 6 * 3_600_000
    date, _, _ = sent_to(answers(status, Retry_After="Fri, 31 Dec 2199 23:59:59 GMT"))
    assert date.pause_ms == 6 * 3_600_000
    for nonsense in ("soon", "-5", "Fri, 99 Foo 2199", "٣", ""):
        assert sent_to(answers(status, Retry_After=nonsense))[0].pause_ms == 0


def test_one_slow_endpoint_leaves_room_for_others() -> None:
    """It gets its share; what is more waits, and another endpoint is told at once."""
    subscribers = Subscribers()

    async def scenario() -> tuple[Answer, Answer, int]:
        async with (
            endpoint(hangs) as slow,
            endpoint(answers(200)) as quick,
            started(subscribers.channel(at_once=8)) as channel,
        ):
            subscribers.add(slow.url, "sub_slow")
            subscribers.add(quick.url)
            hanging = [asyncio.create_task(channel.send(message(to="sub_slow"))) for _ in range(2)]
            await slow.has_heard(2)
            crowded = await channel.send(message(to="sub_slow"))
            fine = await channel.send(message())
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)
            return crowded, fine, len(slow.heard)

    crowded, fine, heard = run(scenario())
    assert crowded.verdict is Verdict.TRY_LATER
    assert crowded.pause_ms >= 1_000
    assert not crowded.is_channel_down
    assert heard == 2
    assert fine.verdict is Verdict.TAKEN


def test_a_failing_endpoint_is_left_alone_for_a_while() -> None:
    """After some failures nothing is sent; then one message feels the way, and success opens it."""
    subscribers = Subscribers()
    now = [machine_ms()]
    status = [500]

    async def behave(
        heard: Any,  # noqa: ANN401 - the request
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        await answers(status[0])(heard, reader, writer)

    async def scenario() -> None:
        channel = subscribers.channel(now_ms=lambda: now[0])
        async with endpoint(behave) as made, started(channel):
            subscribers.add(made.url)
            for _ in range(FAILURES):
                assert (await channel.send(message())).detail == "answered 500"
            waits = await channel.send(message())
            assert waits.verdict is Verdict.TRY_LATER
            assert waits.pause_ms > 0
            assert "left alone" in waits.detail
            assert len(made.heard) == FAILURES
            now[0] += waits.pause_ms
            # Still bad: one try, and a longer pause.
            assert (await channel.send(message())).detail == "answered 500"
            longer = await channel.send(message())
            assert longer.pause_ms > 0
            assert len(made.heard) == FAILURES + 1
            now[0] += 120_000
            status[0] = 200
            assert (await channel.send(message())).verdict is Verdict.TAKEN
            assert (await channel.send(message())).verdict is Verdict.TAKEN

    run(scenario())


def test_a_cancelled_try_frees_its_place() -> None:
    """A stop in the middle leaves nothing counted."""
    subscribers = Subscribers()

    async def scenario() -> None:
        async with endpoint(hangs) as slow, started(subscribers.channel(at_once=4)) as channel:
            subscribers.add(slow.url)
            for count in range(1, 4):
                task = asyncio.create_task(channel.send(message()))
                await slow.has_heard(count)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    run(scenario())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"deleted_ms": 1}, "the subscription is deleted"),
        ({"disabled_ms": 1, "disabled_reason": "gone"}, "the subscription is switched off"),
    ],
)
def test_who_is_off_is_not_told(changes: dict[str, Any], words: str) -> None:
    """The message ends; a replay sends it again."""
    subscribers = Subscribers()

    async def scenario() -> tuple[Answer, Answer, Endpoint]:
        async with endpoint(answers(200)) as made, started(subscribers.channel()) as channel:
            subscribers.add(made.url, **changes)
            return await channel.send(message()), await channel.send(message(to="sub_x")), made

    answer, unknown, made = run(scenario())
    assert answer == Answer(Verdict.REFUSED, words)
    assert unknown.verdict is Verdict.REFUSED
    assert made.connections == 0


def test_a_store_that_cannot_be_read_makes_nothing_fail() -> None:
    """The message waits."""
    subscribers = Subscribers(fails=True)

    async def scenario() -> Answer:
        async with started(subscribers.channel()) as channel:
            answer: Answer = await channel.send(message())
            return answer

    assert run(scenario()).verdict is Verdict.TRY_LATER


def test_no_secret_reaches_a_log_or_an_operator(caplog: pytest.LogCaptureFixture) -> None:
    """URLs may hold secrets, bodies hold what people do: logs name the host at most."""
    with everything_logged(caplog) as lines:
        details = [
            sent_to(behave, SHORT)[0].detail
            for behave in (answers(200), answers(302), answers(410), hangs, hangs_up)
        ]
    told = "\n".join([*lines, *details])
    assert "webhook_switched_off" in told
    assert "s3cret-path" not in told
    assert "止付" not in told
    assert SECRET not in told


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"allow_privat": True}, "webhooks.allow_privat"),
        ({"allow_private": "yes"}, "webhooks.allow_private"),
        ({"at_once": 0}, "webhooks.at_once"),
        ({"timeout_seconds": 3_600}, "webhooks.timeout_seconds"),
        ({"ca_file": "nowhere.pem"}, "webhooks.ca_file"),
        ({"ca_file": __file__}, "webhooks.ca_file"),
    ],
)
def test_settings_that_are_wrong_stop_the_start(settings: dict[str, Any], place: str) -> None:
    """With their place in the file."""
    subscribers = Subscribers()
    with pytest.raises(MessagesFileError, match=place):
        webhook_channel(
            Table(settings, "webhooks"),
            only_loopback=False,
            find=subscribers.find,
            secrets_of=lambda _: (SECRET,),
            on_gone=subscribers.on_gone,
        )


@pytest.mark.parametrize(
    ("settings", "only_loopback", "is_taken"),
    [({}, False, False), ({}, True, True), ({"allow_private": True}, False, True)],
)
def test_the_settings_say_how_far_it_may_speak(
    settings: dict[str, Any], only_loopback: bool, is_taken: bool
) -> None:
    """This machine is told in test mode, or where private addresses are allowed."""
    subscribers = Subscribers()

    async def scenario() -> Answer:
        channel = webhook_channel(
            Table(settings, "webhooks"),
            only_loopback=only_loopback,
            find=subscribers.find,
            secrets_of=lambda _: (SECRET,),
            on_gone=subscribers.on_gone,
        )
        async with endpoint(answers(200)) as made, started(channel):
            subscribers.add(made.url)
            return await channel.send(message())

    assert (run(scenario()).verdict is Verdict.TAKEN) is is_taken
