"""App push: a signed POST to the issuer's gateway, over real sockets."""

from __future__ import annotations

from typing import Any

import pytest
from standardwebhooks import Webhook
from tests.messaging.endpoints import (
    PEM,
    Behaviour,
    Endpoint,
    NoDesk,
    answers,
    endpoint,
    everything_logged,
    hangs,
    hangs_up,
    message,
    run,
    server_tls,
)
from tests.messaging.subscribers import OLD_SECRET, SECRET

from zhiwei.gateways.push import PushChannel, push_channel
from zhiwei.messaging.model import Answer, Verdict
from zhiwei.messaging.settings import MessagesFileError, Table

TEXT = '{"cardholder":"holder_1","text":"您的卡已止付"}'


def channel_of(*, only_loopback: bool = True, **settings: Any) -> PushChannel:  # noqa: ANN401 - of the file
    """A channel as a file's table would make it."""
    table = Table({"secret": SECRET, "timeout_seconds": 1, **settings}, "push")
    return push_channel(table, only_loopback=only_loopback)


def pushed(
    behave: Behaviour,
    *,
    only_loopback: bool = True,
    **settings: Any,  # noqa: ANN401 - of the file
) -> tuple[Answer, Endpoint]:
    """What a push comes to at a gateway."""

    async def scenario() -> tuple[Answer, Endpoint]:
        async with endpoint(behave) as made:
            channel = channel_of(url=made.url, only_loopback=only_loopback, **settings)
            await channel.start(NoDesk())
            try:
                told = message(id="msg_abc-push", channel="push", to="", text=TEXT)
                return await channel.send(told), made
            finally:
                await channel.stop()

    return run(scenario())


def test_the_gateway_can_verify_what_it_gets() -> None:
    """The text goes as it is, signed under both secrets while one is being changed."""
    answer, made = pushed(answers(202), previous_secret=OLD_SECRET)
    assert answer.verdict is Verdict.TAKEN
    (heard,) = made.heard
    assert heard.body.decode() == TEXT
    assert heard.headers["webhook-id"] == "msg_abc-push"
    for secret in (SECRET, OLD_SECRET):
        assert Webhook(secret).verify(heard.body, heard.headers)["cardholder"] == "holder_1"


@pytest.mark.parametrize("status", [410, 422])
def test_what_cannot_arrive_is_refused(status: int) -> None:
    """The person has no device, or the gateway does not accept the message."""
    answer, _ = pushed(answers(status))
    assert (answer.verdict, answer.is_channel_down) == (Verdict.REFUSED, False)


@pytest.mark.parametrize(
    ("behave", "is_down"),
    [
        (answers(400), False),
        (answers(404), False),
        (answers(302), False),
        (answers(429, Retry_After="3"), True),
        (answers(503), True),
        (hangs, True),
        (hangs_up, True),
    ],
)
def test_trouble_of_the_gateway_is_trouble_of_the_channel(behave: Behaviour, is_down: bool) -> None:
    """There is one gateway: where it is down, no push arrives."""
    answer, _ = pushed(behave)
    assert (answer.verdict, answer.is_channel_down) == (Verdict.TRY_LATER, is_down)
    assert answer.pause_ms == (3_000 if "429" in answer.detail else 0)


def test_the_issuers_own_network_is_allowed_unless_the_settings_say_no() -> None:
    """The gateway stands inside."""
    assert pushed(answers(200), only_loopback=False)[0].verdict is Verdict.TAKEN
    refused, made = pushed(answers(200), only_loopback=False, allow_private=False)
    assert "loopback, which is not allowed" in refused.detail
    assert made.connections == 0


def test_the_issuers_own_authority_can_be_trusted() -> None:
    """`ca_file` adds it to the system's."""

    async def scenario(**settings: Any) -> Answer:  # noqa: ANN401 - of the file
        async with endpoint(answers(200), server_tls()) as made:
            channel = channel_of(url=f"https://localhost:{made.port}/", **settings)
            try:
                return await channel.send(message(channel="push"))
            finally:
                await channel.stop()

    assert run(scenario(ca_file=str(PEM))).verdict is Verdict.TAKEN
    assert run(scenario()).detail == "its TLS certificate cannot be trusted"


def test_no_secret_reaches_a_log_or_an_operator(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the address nor the text nor the secret."""
    with everything_logged(caplog) as lines:
        details = [pushed(behave)[0].detail for behave in (answers(200), answers(500), hangs_up)]
    told = "\n".join([*lines, *details])
    for secret in ("s3cret-path", "止付", SECRET):
        assert secret not in told


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({}, "push.url"),
        ({"url": "ftp://s3cret.example"}, "push.url"),
        ({"url": "https://me:s3cret@push.example"}, "push.url"),
        ({"url": "https://push.example:99999/s3cret"}, "push.url"),
        ({"url": "https://push.example/", "secret": "s3cret"}, "push.secret"),
        ({"url": "https://push.example/", "secret": "whsec_c2hvcnQ="}, "push.secret"),
        (
            {"url": "https://push.example/", "previous_secret": "s3cret!"},
            "push.previous_secret",
        ),
        ({"url": "https://push.example/", "urll": "x"}, "push.urll"),
    ],
)
def test_settings_that_are_wrong_stop_the_start(settings: dict[str, Any], place: str) -> None:
    """With their place in the file, and without what they hold."""
    with pytest.raises(MessagesFileError, match=place) as caught:
        channel_of(**settings)
    assert "s3cret" not in str(caught.value)
