"""EmailChannel: messages through the issuer's mail server (SMTP), one recipient each."""

from __future__ import annotations

import ssl
from typing import Final, final

from zhiwei.gateways.email.letter import BadAddressError, From, letter, plain_address
from zhiwei.gateways.email.server import MailServer, ServerSettings
from zhiwei.gateways.outgoing.addresses import reach_of
from zhiwei.gateways.outgoing.settings import trusted_tls
from zhiwei.gateways.outgoing.transport import Resolve
from zhiwei.messaging.model import EMAIL, Answer, Desk, Message, Verdict
from zhiwei.messaging.settings import Table

_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
_THIS_MACHINE: Final = frozenset(("localhost", "127.0.0.1", "::1"))


@final
class EmailChannel:
    """Sends e-mail."""

    name: str = EMAIL

    def __init__(
        self,
        settings: ServerSettings,
        tls: ssl.SSLContext,
        *,
        at_once: int = 4,
        resolve: Resolve | None = None,
    ) -> None:
        """`at_once`: as many connections as the server may see at the same time."""
        self.at_once = at_once
        self._sender: Final = settings.sender
        self._server: Final = MailServer(settings, tls, resolve)

    async def start(self, desk: Desk) -> None:
        """Connections are made when there is something to send."""

    async def stop(self) -> None:
        """Say goodbye to the server."""
        await self._server.close()

    async def send(self, message: Message) -> Answer:
        """Hand one mail to the server."""
        try:
            recipient = plain_address(message.to)
        except BadAddressError as error:
            return Answer(Verdict.REFUSED, str(error))
        return await self._server.deliver(recipient, letter(message, self._sender, recipient))


def email_channel(table: Table, *, only_loopback: bool) -> EmailChannel:
    """The channel as `[email]` says.

    Settings: `host`, `tls` (`starttls`, `tls`, `none`), `port` (587, 465, 25), `username` and
    `password`, `sender` (an address), `sender_name`, `greeting` (our name for EHLO; the sender's
    domain), `at_once` (4), `timeout_seconds` (30, for one mail), `ca_file`.

    Raises:
        MessagesFileError: the table says something that is not allowed.
    """
    host = table.text("host", longest=255)
    tls = table.choice("tls", "starttls", tuple(_PORTS))
    port = table.whole("port", _PORTS[tls], 1, 65_535)
    username = table.text("username", "", longest=255)
    password = table.secret("password", "")
    if bool(username) != bool(password):
        raise table.wrong("username", "and `password` go together")
    if username and tls == "none" and host not in _THIS_MACHINE:
        raise table.wrong("tls", "cannot be `none` where there is a password")
    try:
        sender = From(
            plain_address(table.text("sender")), table.text("sender_name", "", longest=100)
        )
    except BadAddressError:
        raise table.wrong("sender", "is not an e-mail address") from None
    greeting = table.text("greeting", sender.domain, longest=255)
    if not greeting.isascii() or " " in greeting:
        raise table.wrong("greeting", "is a host's name")
    at_once = table.whole("at_once", 4, 1, 100)
    seconds = table.whole("timeout_seconds", 30, 1, 120)
    context = trusted_tls(table)
    table.done()
    settings = ServerSettings(
        host=host,
        port=port,
        tls=tls,
        sender=sender,
        username=username,
        password=password,
        greeting=greeting,
        reach=reach_of(allow_private=True, only_loopback=only_loopback),
        step_s=min(10.0, seconds),
        total_s=seconds,
    )
    return EmailChannel(settings, context, at_once=at_once)
