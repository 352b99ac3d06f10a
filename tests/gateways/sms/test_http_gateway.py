"""SMS through a web gateway: real HTTP servers that answer well, badly or not at all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.gateways.sms.smscs import Desk, sms
from tests.messaging.endpoints import (
    Behaviour,
    Endpoint,
    answers,
    drips,
    endpoint,
    everything_logged,
    hangs,
    hangs_up,
    run,
    says,
)

from zhiwei.gateways.sms import HttpSmsChannel, sms_channel
from zhiwei.messaging.model import Answer, Verdict
from zhiwei.messaging.settings import MessagesFileError, Table

TEXT = '【智卫】卡1234："止付" & {to} \\ 50%?=\n完'
JSON = (
    '{"to": "{to}", "msg": {"body": "{text}", "n": 1}, '
    '"list": ["{id}", "{sender}"], "k": "{secret}"}'
)


@asynccontextmanager
async def gateway(
    behave: Behaviour, path: str = "/send", **changes: object
) -> AsyncIterator[tuple[Endpoint, HttpSmsChannel]]:
    """A gateway and a channel to it."""
    async with endpoint(behave) as server:
        values = {
            "kind": "http",
            "url": f"http://127.0.0.1:{server.port}{path}",
            "json": JSON,
            "sender": "95588",
            "secret": "s3cret",
            "headers": {"Authorization": "Bearer t0ken"},
            "timeout_seconds": 2,
            **changes,
        }
        values = {name: value for name, value in values.items() if value is not None}
        channel = sms_channel(Table(values, "sms"), only_loopback=True)
        assert isinstance(channel, HttpSmsChannel)
        await channel.start(Desk())
        try:
            yield server, channel
        finally:
            await channel.stop()


async def _answer(behave: Behaviour, **changes: Any) -> Answer:  # noqa: ANN401 - of any setting
    async with gateway(behave, **changes) as (_, channel):
        return await channel.send(sms(TEXT))


def test_a_json_body_is_filled_in_whatever_the_text_holds() -> None:
    """Quotes, braces and line feeds of a text stay in their string; headers hold the secret."""

    async def scenario() -> None:
        async with gateway(answers(200)) as (server, channel):
            assert (await channel.send(sms(TEXT))).verdict is Verdict.TAKEN
            [heard] = server.heard
            assert heard.line == "POST /send HTTP/1.1"
            assert heard.headers["authorization"] == "Bearer t0ken"
            assert heard.headers["content-type"] == "application/json"
            assert json.loads(heard.body) == {
                "to": "+8613800138000",
                "msg": {"body": TEXT, "n": 1},
                "list": ["msg_abc-sms", "95588"],
                "k": "s3cret",
            }

    run(scenario())


def test_a_form_and_a_query_are_filled_in_whatever_the_text_holds() -> None:
    """No text adds a field, ends a value or leaves the path."""

    async def scenario() -> None:
        form = {"json": None, "form": "mobile={number}&content={text}&sign=%E6%99%BA&tag="}
        path = "/a/{id}?to={to}&x={text}"
        async with gateway(answers(200), path, method="PUT", **form) as (server, channel):
            assert (await channel.send(sms(TEXT, "../x/y?z"))).verdict is Verdict.TAKEN
            [heard] = server.heard
            method, target, _ = heard.line.split(" ")
            url = urlsplit(target)
            assert (method, url.path) == ("PUT", "/a/..%2Fx%2Fy%3Fz")
            assert parse_qs(url.query) == {"to": ["+8613800138000"], "x": [TEXT]}
            assert heard.headers["content-type"] == "application/x-www-form-urlencoded"
            assert parse_qs(heard.body.decode(), keep_blank_values=True) == {
                "mobile": ["8613800138000"],
                "content": [TEXT],
                "sign": ["智"],
                "tag": [""],
            }

    run(scenario())


def test_the_remote_id_and_success_are_read_from_the_answer() -> None:
    """A gateway that says 200 with an error inside has not taken it."""
    paths = {"success_path": "code", "success_values": ["0", "OK"], "id_path": "data.0.id"}
    paths |= {"refused_values": ["isv.MOBILE_NUMBER_ILLEGAL"]}

    async def scenario() -> None:
        for code in ("0", '"OK"'):
            body = b'{"code": %s, "data": [{"id": "00A7"}]}' % code.encode()
            answer = await _answer(answers(200, body), **paths)
            assert (answer.verdict, answer.remote_id) == (Verdict.TAKEN, "a7")
        answer = await _answer(answers(200, b'{"code": "isv.MOBILE_NUMBER_ILLEGAL"}'), **paths)
        assert answer.verdict is Verdict.REFUSED
        for body in (b'{"code": 1}', b"{}", b"[]", b"", b"not JSON", b"[" * 60_000, b'{"code":{}}'):
            answer = await _answer(answers(200, body), **paths)
            assert answer.verdict is Verdict.TRY_LATER
            assert not answer.is_channel_down

    run(scenario())


@pytest.mark.parametrize(
    ("status", "verdict", "is_down"),
    [
        (400, Verdict.REFUSED, False),
        (422, Verdict.REFUSED, False),
        (401, Verdict.TRY_LATER, True),
        (404, Verdict.TRY_LATER, True),
        (500, Verdict.TRY_LATER, True),
    ],
)
def test_what_a_status_means(status: int, verdict: Verdict, is_down: bool) -> None:
    """What speaks of our settings is no refusal of a message."""
    answer = run(_answer(answers(status)))
    assert (answer.verdict, answer.is_channel_down) == (verdict, is_down)


def test_refusals_are_those_of_the_settings() -> None:
    """A gateway that means "no such number" by 404."""
    assert run(_answer(answers(404), refused_statuses=["404"])).verdict is Verdict.REFUSED
    assert run(_answer(answers(400), refused_statuses=["404"])).verdict is Verdict.TRY_LATER


@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_is_asked_for_by_retry_after(status: int) -> None:
    """Seconds, as the standard has them."""
    answer = run(_answer(answers(status, Retry_After="7")))
    assert (answer.verdict, answer.pause_ms, answer.is_channel_down) == (
        Verdict.TRY_LATER,
        7_000,
        True,
    )


def test_a_redirect_is_not_followed() -> None:
    """Not even to this machine."""

    async def scenario() -> None:
        async with endpoint(answers(200)) as other:
            to = f"http://127.0.0.1:{other.port}/"
            answer = await _answer(answers(302, Location=to))
            assert answer.verdict is Verdict.TRY_LATER
            assert answer.is_channel_down
            assert other.heard == []

    run(scenario())


@pytest.mark.parametrize(
    "behave",
    [
        hangs,
        hangs_up,
        says(b"SSH-2.0-OpenSSH_9\r\n"),
        drips(b"HTTP/1.1 200 OK\r\nX-Slow: "),
    ],
    ids=["hangs", "hangs_up", "speaks_no_http", "drips"],
)
def test_a_gateway_in_trouble_is_tried_again(behave: Behaviour) -> None:
    """`send` ends in time and says that the channel is down."""
    answer = run(_answer(behave, timeout_seconds=1))
    assert answer.verdict is Verdict.TRY_LATER
    assert answer.is_channel_down


def test_an_endless_answer_is_cut_off() -> None:
    """The status counts; what was to be read in it is missing, so it is no success."""
    endless = drips(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000, 0.0)
    assert run(_answer(endless, success_path="code")).verdict is Verdict.TRY_LATER
    assert run(_answer(endless)).verdict is Verdict.TAKEN


def test_in_test_mode_only_this_machine_is_spoken_to() -> None:
    """Any other address is refused before a connection is made."""

    async def scenario() -> None:
        values = {"kind": "http", "url": "http://192.0.2.1/", "json": "{}"}
        channel = sms_channel(Table(values, "sms"), only_loopback=True)
        answer = await channel.send(sms(TEXT))
        await channel.stop()
        assert answer.detail == "in test mode only this machine may be told"

    run(scenario())


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "ftp://gw.example/"},
        {"url": "https://{to}.example/"},
        {"url": "https://gw.example/{card}"},
        {"json": "{not json"},
        {"json": "{}", "form": "a={to}"},
        {"form": "no-field"},
        {"method": "DELETE"},
        {"headers": {"X-Key": "two\nlines"}},
        {"headers": {"X Key": "value"}},
        {"refused_statuses": ["four"]},
        {"unknown": 1},
    ],
)
def test_wrong_settings_are_errors_with_their_place(changes: dict[str, object]) -> None:
    """At the start, not at the first message."""
    values = {"kind": "http", "url": "https://gw.example/", **changes}
    with pytest.raises(MessagesFileError, match=r"`sms\."):
        sms_channel(Table(values, "sms"), only_loopback=False)


def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """No number, text, URL or secret, whatever comes of it."""
    with everything_logged(caplog) as lines:
        behaviours = (answers(200), answers(400, b"s3cret 13800138000"), hangs_up)
        details = [run(_answer(behave)).detail for behave in behaviours]
    for secret in ("s3cret", "t0ken", "13800138000", "智卫", "/send"):
        assert not any(secret in line for line in [*lines, *details])
