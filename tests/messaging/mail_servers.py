"""Mail servers for the tests: a real one (aiosmtpd), and scripts that lie, hang and drop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from zhiwei.gateways.email import EmailChannel, email_channel
from zhiwei.messaging.settings import Table

PASSWORD = "pa55-of-the-mail-server"


@dataclass
class Mailbox:
    """What a real server took, and what it says to MAIL, RCPT and DATA instead of `250`."""

    port: int = 0
    mails: list[Envelope] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    mail: str = ""
    rcpt: str = ""
    data: str = ""
    connections: list[SMTP] = field(default_factory=list)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer MAIL."""
        if session not in self.sessions:
            self.sessions.append(session)
        if not self.mail:
            envelope.mail_from = address
        return self.mail or "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer RCPT."""
        if not self.rcpt:
            envelope.rcpt_tos.append(address)
        return self.rcpt or "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take a mail in."""
        if not self.data:
            self.mails.append(envelope)
        return self.data or "250 queued"

    def letters(self) -> list[EmailMessage]:
        """The mails, as a mail program reads them."""
        made = []
        for mail in self.mails:
            assert isinstance(mail.content, bytes)
            letter = message_from_bytes(mail.content, policy=default)
            assert isinstance(letter, EmailMessage)
            made.append(letter)
        return made

    def hang_up(self) -> None:
        """Close all connections, as servers do with unused ones."""
        for connection in self.connections:
            if connection.transport is not None:
                connection.transport.close()


def _authenticated(
    server: SMTP,
    session: Session,
    envelope: Envelope,
    mechanism: str,
    data: Any,  # noqa: ANN401 - aiosmtpd's
) -> AuthResult:
    is_right = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
    return AuthResult(success=is_right, handled=is_right)


@asynccontextmanager
async def mail_server(
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    asks_password: bool = False,
    **answers: str,
) -> AsyncIterator[Mailbox]:
    """A real server (aiosmtpd) on a free port of this machine."""
    mailbox = Mailbox(**answers)  # type: ignore[arg-type]  # the texts among its fields
    loop = asyncio.get_running_loop()

    def connection() -> SMTP:
        made = SMTP(
            mailbox,
            hostname="mail.example",
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=_authenticated if asks_password else None,
            auth_required=asks_password,
            auth_require_tls=starttls is not None,
            loop=loop,
        )
        mailbox.connections.append(made)
        return made

    server = await loop.create_server(connection, "127.0.0.1", 0, ssl=tls)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
        mailbox.hang_up()
        for made in mailbox.connections:
            handler = made._handler_coroutine
            if handler is not None:
                handler.cancel()
                await asyncio.gather(handler, return_exceptions=True)


@asynccontextmanager
async def scripted_server(lines: Sequence[bytes]) -> AsyncIterator[int]:
    """A server that says the first line, and the next one to each line that it gets; then hangs up.

    An empty line says nothing at all from there on.
    """
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            for line in lines:
                if not line:
                    await reader.read()
                    return
                writer.write(line + b"\r\n")
                await writer.drain()
                await reader.readline()
        except (OSError, ValueError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def channel_at(at: int, *, only_loopback: bool = True, **settings: Any) -> EmailChannel:  # noqa: ANN401 - of the file
    """A channel as a file's table would make it."""
    ours = {"host": "127.0.0.1", "port": at, "tls": "none", "sender": "alerts@bank.example"}
    return email_channel(Table({**ours, **settings}, "email"), only_loopback=only_loopback)
