"""E-mail over real sockets, to a real server and to ones that lie, hang, drop and refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from tests.messaging.endpoints import (
    PEM,
    NoDesk,
    everything_logged,
    message,
    run,
    server_tls,
    silent_port,
)
from tests.messaging.mail_servers import (
    PASSWORD,
    Mailbox,
    channel_at,
    mail_server,
    scripted_server,
)

from zhiwei.gateways.email import EmailChannel
from zhiwei.gateways.email.letter import BadAddressError, plain_address
from zhiwei.messaging.model import Answer, Message, Verdict
from zhiwei.messaging.settings import MessagesFileError

TEXT = "【智卫】您尾号 1232 的卡已止付。\n.\n如非本人操作，请致电发卡行。\n" + "很长的一行" * 200


def mail(**changes: Any) -> Message:  # noqa: ANN401 - fields of Message
    """A mail of the tests."""
    values = {
        "id": "msg_abc-email",
        "channel": "email",
        "to": "li.lei@mail.example",
        "subject": "您的卡已止付：尾号 1232",
        "text": TEXT,
    }
    return message(**{**values, **changes})


async def told(channel: EmailChannel, *mails: Message) -> list[Answer]:
    """Send mails one after the other, and stop."""
    await channel.start(NoDesk())
    try:
        return [await channel.send(one) for one in mails]
    finally:
        await channel.stop()


def sent(*mails: Message, **server: Any) -> tuple[list[Answer], Mailbox]:  # noqa: ANN401 - of mail_server
    """What mails come to at a real server."""

    async def scenario() -> tuple[list[Answer], Mailbox]:
        async with mail_server(**server) as mailbox:
            return await told(channel_at(mailbox.port), *mails), mailbox

    return run(scenario())


def test_a_mail_arrives_as_it_was_written() -> None:
    """Chinese in subject, name and text; lines of one dot; lines of any length."""

    async def scenario() -> Mailbox:
        async with mail_server() as mailbox:
            (answer,) = await told(channel_at(mailbox.port, sender_name="智卫 Zhiwei"), mail())
            assert answer.verdict is Verdict.TAKEN
            return mailbox

    mailbox = run(scenario())
    (envelope,) = mailbox.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == (
        "alerts@bank.example",
        ["li.lei@mail.example"],
    )
    assert isinstance(envelope.content, bytes)
    assert envelope.content.isascii()
    (letter,) = mailbox.letters()
    assert letter["Subject"] == "您的卡已止付：尾号 1232"
    assert letter["From"].addresses[0].display_name == "智卫 Zhiwei"
    assert letter["To"] == "li.lei@mail.example"
    assert letter.get_content().replace("\r\n", "\n").rstrip("\n") == TEXT
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Content-Language"] == "zh"
    assert letter["Date"].datetime.timestamp() == 1_763_956_800


def test_a_repeat_is_the_same_mail() -> None:
    """Byte by byte, with a Message-ID that follows from the message's id."""
    _, mailbox = sent(mail(), mail())
    one, other = mailbox.mails
    assert one.content == other.content
    assert mailbox.letters()[0]["Message-ID"] == "<msg_abc-email@bank.example>"


def test_a_connection_is_used_again() -> None:
    """After a refusal too."""

    async def scenario() -> Mailbox:
        async with mail_server() as mailbox:
            channel = channel_at(mailbox.port)
            await channel.send(mail())
            mailbox.rcpt = "550 5.1.1 li.lei@mail.example: no such user"
            refused = await channel.send(mail())
            assert refused == Answer(Verdict.REFUSED, "RCPT answered 550 5.1.1")
            mailbox.rcpt = ""
            assert (await channel.send(mail())).verdict is Verdict.TAKEN
            await channel.stop()
            return mailbox

    mailbox = run(scenario())
    assert len(mailbox.sessions) == len(mailbox.connections) == 1


def test_a_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    """Servers close unused connections; the next mail does not notice."""

    async def scenario() -> Mailbox:
        async with mail_server() as mailbox:
            channel = channel_at(mailbox.port)
            await channel.send(mail())
            mailbox.hang_up()
            # At once, so that the client may not know of it yet; and once it knows.
            assert (await channel.send(mail())).verdict is Verdict.TAKEN
            mailbox.hang_up()
            await asyncio.sleep(0.05)
            assert (await channel.send(mail())).verdict is Verdict.TAKEN
            await channel.stop()
            return mailbox

    assert len(run(scenario()).mails) == 3


def test_mails_go_side_by_side() -> None:
    """Each on a connection of its own, no more than are sent at once."""

    async def scenario() -> Mailbox:
        async with mail_server() as mailbox:
            channel = channel_at(mailbox.port)
            for _ in range(2):
                got = await asyncio.gather(*(channel.send(mail()) for _ in range(4)))
                assert {answer.verdict for answer in got} == {Verdict.TAKEN}
            await channel.stop()
            return mailbox

    mailbox = run(scenario())
    assert (len(mailbox.mails), len(mailbox.connections)) == (8, 4)


@pytest.mark.parametrize(
    ("answers", "verdict", "is_down", "detail"),
    [
        ({"rcpt": "550 no such user"}, Verdict.REFUSED, False, "RCPT answered 550"),
        ({"rcpt": "553 5.1.3 bad"}, Verdict.REFUSED, False, "RCPT answered 553 5.1.3"),
        ({"rcpt": "450 4.2.1 later"}, Verdict.TRY_LATER, False, "RCPT answered 450 4.2.1"),
        ({"rcpt": "452 too many"}, Verdict.TRY_LATER, False, "RCPT answered 452"),
        ({"rcpt": "421 closing"}, Verdict.TRY_LATER, True, "RCPT answered 421"),
        ({"rcpt": "530 log in first"}, Verdict.TRY_LATER, True, "RCPT answered 530"),
        ({"data": "451 disk"}, Verdict.TRY_LATER, False, "DATA answered 451"),
        ({"data": "554 5.7.1 spam"}, Verdict.REFUSED, False, "DATA answered 554 5.7.1"),
        ({"mail": "451 not now"}, Verdict.TRY_LATER, True, "MAIL answered 451"),
        ({"mail": "550 not you"}, Verdict.TRY_LATER, True, "MAIL answered 550"),
    ],
)
def test_what_the_server_says_is_told_apart(
    answers: dict[str, str], verdict: Verdict, is_down: bool, detail: str
) -> None:
    """A refused recipient is that mail's end; a refused sender is everybody's trouble."""
    (answer,), mailbox = sent(mail(), **answers)
    assert (answer.verdict, answer.is_channel_down, answer.detail) == (verdict, is_down, detail)
    assert mailbox.mails == []


GREETING = b"220 mail.example ESMTP"


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b""],
        [b"554 go away"],
        [b"421 too busy"],
        [b"HTTP/1.1 400 Bad Request"],
        [b"\xff\xfe\x00"],
        [b"2" * 100_000],
        [GREETING, b""],
        [GREETING, b"250 hello"],
        [GREETING, b"250 hello", b"250 sender", b"250 recipient", b""],
        [GREETING, b"250 hello", b"250 sender", b"250 recipient", b"354 go on", b""],
        [GREETING, b"250 hello", b"250 sender", b"250 recipient", b"250 no need for data"],
        [GREETING, b"250 hello", b"250 sender", b"999 what"],
        [GREETING, b"250 hello", b"354 what"],
        [GREETING, b"250-" + b"x" * 9_000 + b"\r\n250-y" * 5_000],
    ],
)
def test_a_server_that_lies_hangs_or_drops_is_trouble_of_the_channel(
    lines: Sequence[bytes],
) -> None:
    """At every step; within the bound, and the mail is tried again."""

    async def scenario() -> Answer:
        async with scripted_server(lines) as port:
            (answer,) = await told(channel_at(port, timeout_seconds=1), mail())
            return answer

    answer = run(scenario())
    assert (answer.verdict, answer.is_channel_down) == (Verdict.TRY_LATER, True)
    assert answer.detail


def test_nobody_there() -> None:
    """A closed port, a name without an address, and a port that only listens."""

    async def scenario() -> list[Answer]:
        async with silent_port() as silent:
            hung = await told(channel_at(silent, timeout_seconds=1), mail())
        closed = await told(channel_at(silent), mail())
        nameless = channel_at(25, host="nowhere.invalid", timeout_seconds=2)
        return [*hung, *closed, *await told(nameless, mail())]

    for answer in run(scenario()):
        assert (answer.verdict, answer.is_channel_down) == (Verdict.TRY_LATER, True)


def test_a_cancelled_mail_leaves_no_connection_behind() -> None:
    """The next one begins anew."""

    async def scenario() -> None:
        async with mail_server() as mailbox, silent_port(GREETING + b"\r\n") as silent:
            hanging = channel_at(silent)
            task = asyncio.create_task(hanging.send(mail()))
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert hanging._server._unused == []
            await hanging.stop()
            await told(channel_at(mailbox.port), mail())

    run(scenario())


def with_tls(
    settings: dict[str, Any],
    **server: Any,  # noqa: ANN401 - of mail_server
) -> tuple[Answer, Mailbox]:
    """A mail over TLS."""

    async def scenario() -> tuple[Answer, Mailbox]:
        async with mail_server(**server) as mailbox:
            (answer,) = await told(channel_at(mailbox.port, **settings), mail())
            return answer, mailbox

    return run(scenario())


TRUSTED = {"host": "localhost", "ca_file": str(PEM)}


def test_tls_from_the_start_or_by_starttls() -> None:
    """The server's certificate is checked against its name."""
    for settings, server in (
        ({"tls": "tls"}, {"tls": server_tls()}),
        ({"tls": "starttls"}, {"starttls": server_tls()}),
    ):
        answer, mailbox = with_tls({**TRUSTED, **settings}, **server)
        assert answer.verdict is Verdict.TAKEN, answer
        assert mailbox.sessions[0].ssl is not None or server.get("tls")
        untrusted, mailbox = with_tls({"host": "localhost", **settings}, **server)
        assert untrusted.detail == "the mail server's TLS certificate cannot be trusted"
        assert untrusted.is_channel_down
        wrong_name, _ = with_tls({**TRUSTED, "host": "127.0.0.1", **settings}, **server)
        assert wrong_name.detail == "the mail server's TLS certificate cannot be trusted"
        assert mailbox.mails == []


def test_no_mail_goes_in_the_clear_where_tls_was_asked_for() -> None:
    """A server that offers no STARTTLS, or somebody between us and it, gets nothing."""
    answer, mailbox = with_tls({**TRUSTED, "tls": "starttls"})
    assert (answer.verdict, answer.is_channel_down) == (Verdict.TRY_LATER, True)
    assert "does not offer" in answer.detail
    assert mailbox.sessions == []
    plain, _ = with_tls({**TRUSTED, "tls": "tls", "timeout_seconds": 2})
    assert (plain.verdict, plain.is_channel_down) == (Verdict.TRY_LATER, True)


def test_the_password_is_told_to_the_server_and_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Over TLS; a wrong one is trouble of the channel."""
    server = {"starttls": server_tls(), "asks_password": True}
    ours = {**TRUSTED, "tls": "starttls", "username": "zhiwei"}
    # What the server itself logs is not ours.
    caplog.set_level("CRITICAL", logger="mail.log")
    with everything_logged(caplog) as lines:
        right, mailbox = with_tls({**ours, "password": PASSWORD}, **server)
        wrong, _ = with_tls({**ours, "password": f"not {PASSWORD}"}, **server)
    assert right.verdict is Verdict.TAKEN
    assert len(mailbox.mails) == 1
    assert wrong.detail == "the mail server does not let us in (535)"
    assert wrong.is_channel_down
    assert not [line for line in lines if PASSWORD in line]
    assert PASSWORD not in repr(channel_at(1, username="x", password=PASSWORD)._server._settings)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "止付\r\nBcc: thief@evil.example\r\n\r\nhello"},
        {"subject": "x\nBcc: thief@evil.example"},
        {"subject": "x\u2028Bcc: thief@evil.example\x85\x0b\x0c\x1c"},
        {"subject": "=?utf-8?q?=0D=0ABcc:_thief@evil.example?="},
        {"subject": "", "kind": "stop\r\nBcc: thief@evil.example"},
        {"subject": "长" * 5_000},
        {"text": "\r\n.\r\nMAIL FROM:<thief@evil.example>\r\n.\r\n"},
    ],
)
def test_nothing_that_is_written_becomes_a_header_or_a_command(changes: dict[str, Any]) -> None:
    """One mail arrives, to one recipient, with the headers that it is to have."""
    (answer,), mailbox = sent(mail(**changes))
    assert answer.verdict is Verdict.TAKEN
    (envelope,) = mailbox.mails
    assert envelope.rcpt_tos == ["li.lei@mail.example"]
    (letter,) = mailbox.letters()
    assert "Bcc" not in letter
    assert letter["To"] == "li.lei@mail.example"
    assert set(letter.keys()) == {
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Content-Language",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
        "Content-Type",
        "Content-Transfer-Encoding",
        "MIME-Version",
    }


@pytest.mark.parametrize(
    "address",
    [
        "",
        "li.lei",
        "@mail.example",
        "li.lei@",
        "li.lei@mail.example\r\nBcc: thief@evil.example",
        "li.lei@mail.example\n",
        "li.lei@mail.example, thief@evil.example",
        "li.lei@mail.example> SIZE=1",
        "<li.lei@mail.example>",
        "Li Lei <li.lei@mail.example>",
        "li lei@mail.example",
        ".li@mail.example",
        "li..lei@mail.example",
        "li@-mail-.example.",
        "李雷@mail.example",
        "li@" + "银" * 100 + ".example",
        "l" * 65 + "@mail.example",
        "l@" + "a." * 150 + "example",
        "li\x00@mail.example",
    ],
)
def test_what_is_not_one_address_is_refused(address: str) -> None:
    """Before any server hears of it."""
    (answer,), mailbox = sent(mail(to=address))
    assert answer == Answer(Verdict.REFUSED, "an e-mail address cannot be written to")
    assert mailbox.connections == []


def test_addresses_that_are_good() -> None:
    """A domain of other letters goes in its `xn--` form."""
    for address in (
        "a@b",
        "li.lei+card@mail.example",
        "o'neil@mail.example",
        "x_y@sub.mail.example",
    ):
        assert plain_address(address) == address
    assert plain_address("li@银行.example") == "li@xn--jn2a72x.example"
    with pytest.raises(BadAddressError):
        plain_address("a@b@c")


def test_in_test_mode_only_this_machine_is_told() -> None:
    """Whatever the settings name."""
    (answer,) = run(told(channel_at(25, host="10.0.0.1"), mail()))
    assert answer.detail == "in test mode only this machine may be told"


def test_neither_address_nor_text_reaches_an_operator() -> None:
    """Servers repeat the address in what they say; we keep the codes."""
    (answer,), _ = sent(mail(), rcpt="550 5.1.1 <li.lei@mail.example> 13800138000 unknown")
    assert "li.lei" not in answer.detail
    assert "138" not in answer.detail


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"sender": "nobody"}, "email.sender"),
        ({"sender": "a@b.example\r\nBcc: x"}, "email.sender"),
        ({"sender_name": "智卫\r\nBcc: x@y.example"}, "email.sender_name"),
        ({"tls": "maybe"}, "email.tls"),
        ({"port": 0}, "email.port"),
        ({"username": "zhiwei"}, "email.username"),
        ({"password": PASSWORD}, "email.username"),
        ({"host": "mail.example", "username": "x", "password": PASSWORD}, "email.tls"),
        ({"greeting": "not a name"}, "email.greeting"),
        ({"hots": "mail.example"}, "email.hots"),
    ],
)
def test_settings_that_are_wrong_stop_the_start(settings: dict[str, Any], place: str) -> None:
    """With their place in the file, and without the password."""
    with pytest.raises(MessagesFileError, match=place) as caught:
        channel_at(25, **settings)
    assert PASSWORD not in str(caught.value)
