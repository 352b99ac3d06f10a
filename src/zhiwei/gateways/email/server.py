"""MailServer: connections to the issuer's mail server, each used again while it is good.

One mail is one MAIL, RCPT and DATA; what the server says of each is told apart, because a refused
recipient is that message's end, and a refused sender is trouble of the whole channel.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, final

import aiosmtplib

from zhiwei.gateways.email.letter import From
from zhiwei.gateways.outgoing.addresses import Reach
from zhiwei.gateways.outgoing.transport import (
    HostNotFoundError,
    HostRefusedError,
    Resolve,
    Resolver,
    checked_addresses,
)
from zhiwei.messaging.model import Answer, Verdict

_CLOSING: Final = 421
#: Answers to RCPT that speak of us, not of the recipient: log in first, the wrong password.
_OUR_FAULT: Final = frozenset((530, 535))
_ENHANCED: Final = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_GOODBYE_S: Final = 2.0


@dataclass(frozen=True)
class ServerSettings:
    """Where the server is, and how it is spoken to."""

    host: str
    port: int
    #: `starttls` (never without, even if the server does not offer it), `tls` or `none`.
    tls: str
    sender: From
    username: str = ""
    password: str = field(default="", repr=False)
    #: The name that we greet with.
    greeting: str = ""
    reach: Reach = Reach.PRIVATE_TOO
    #: Seconds: one step; the whole mail; how long a connection is kept unused.
    step_s: float = 10.0
    total_s: float = 30.0
    kept_s: float = 30.0


@dataclass
class _Connection:
    smtp: aiosmtplib.SMTP
    #: The connection itself, below TLS where that was begun by STARTTLS.
    transport: asyncio.BaseTransport | None
    used_at: float = 0.0
    is_new: bool = True

    def drop(self) -> None:
        """Close at once, without waiting for the other side's goodbye in TLS."""
        self.smtp.close()
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()


@final
class MailServer:
    """Hands mails to one server; lives on one event loop."""

    def __init__(
        self, settings: ServerSettings, tls: ssl.SSLContext, resolve: Resolve | None = None
    ) -> None:
        self._settings: Final = settings
        self._tls: Final = tls
        self._own_resolver: Final = Resolver() if resolve is None else None
        self._resolve: Final[Resolve] = resolve or self._own_resolver or Resolver()
        self._unused: Final[list[_Connection]] = []

    async def deliver(self, recipient: str, content: bytes) -> Answer:
        """Hand a mail over; never raises, and ends within `total_s`."""
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(self._settings.total_s):
                connection = await self._connection()
                try:
                    answer = await self._transaction(connection.smtp, recipient, content)
                except _StaleError:
                    if connection.is_new:
                        return _down("the mail server hung up")
                    # It was closed while nobody used it; nothing of this mail had been taken.
                    connection.drop()
                    connection = await self._connection(anew=True)
                    answer = await self._transaction(connection.smtp, recipient, content)
                self._put_back(connection)
                connection = None
                return answer
        except Exception as error:  # noqa: BLE001 - whatever a server does is an answer
            return _down(_words_for(error))
        finally:
            # Left in an unknown state, also when we were cancelled in the middle.
            if connection is not None:
                connection.drop()

    async def close(self) -> None:
        """Say goodbye on all connections."""
        unused = self._unused.copy()
        self._unused.clear()
        await asyncio.gather(*(_goodbye(connection) for connection in unused))
        if self._own_resolver is not None:
            self._own_resolver.close()

    def _put_back(self, connection: _Connection) -> None:
        if connection.smtp.is_connected:
            connection.used_at, connection.is_new = time.monotonic(), False
            self._unused.append(connection)

    async def _connection(self, *, anew: bool = False) -> _Connection:
        """One that was used lately, else a new one."""
        while self._unused and not anew:
            # The one used last; older ones end by themselves when their time is over.
            connection = self._unused.pop()
            age_s = time.monotonic() - connection.used_at
            if connection.smtp.is_connected and age_s < self._settings.kept_s:
                return connection
            connection.drop()
        ours = self._settings
        smtp = aiosmtplib.SMTP(
            hostname=ours.host,
            # Closed with its transport from here on.
            sock=await self._connected_socket(),
            local_hostname=ours.greeting or ours.sender.domain,
            timeout=ours.step_s,
            use_tls=ours.tls == "tls",
            start_tls=False,
            tls_context=self._tls,
        )
        await smtp.connect()
        connection = _Connection(smtp, smtp.transport)
        try:
            if ours.tls == "starttls":
                await smtp.starttls()
            if ours.username:
                await smtp.login(ours.username, ours.password)
        except BaseException:
            connection.drop()
            raise
        return connection

    async def _connected_socket(self) -> socket.socket:
        """A connection to a checked address of the server."""
        ours = self._settings
        async with asyncio.timeout(ours.step_s):
            addresses = await checked_addresses(ours.host, ours.port, ours.reach, self._resolve)
            loop = asyncio.get_running_loop()
            for address in addresses:
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                found = socket.socket(family, socket.SOCK_STREAM)
                found.setblocking(False)  # noqa: FBT003 - the standard library takes it so
                try:
                    await loop.sock_connect(found, (address, ours.port))
                except OSError:
                    found.close()
                    continue
                except BaseException:
                    found.close()
                    raise
                return found
        raise ConnectionRefusedError

    async def _transaction(self, smtp: aiosmtplib.SMTP, recipient: str, content: bytes) -> Answer:
        try:
            await smtp.mail(self._settings.sender.address)
        except aiosmtplib.SMTPServerDisconnected:
            raise _StaleError from None
        except aiosmtplib.SMTPResponseException as error:
            if error.code == _CLOSING:
                raise _StaleError from None
            await _reset(smtp)
            return _down(_told("MAIL", error))
        try:
            await smtp.rcpt(recipient)
        except aiosmtplib.SMTPResponseException as error:
            await _reset(smtp)
            return _answer_to("RCPT", error)
        try:
            await smtp.data(content)
        except aiosmtplib.SMTPResponseException as error:
            await _reset(smtp)
            return _answer_to("DATA", error)
        return Answer(Verdict.TAKEN, "taken by the mail server")


class _StaleError(Exception):
    """The server closed the connection before it heard of the mail."""


async def _reset(smtp: aiosmtplib.SMTP) -> None:
    """Begin anew on the same connection; where that fails, let it go."""
    try:
        if smtp.is_connected:
            await smtp.rset()
    except aiosmtplib.SMTPException:
        smtp.close()


async def _goodbye(connection: _Connection) -> None:
    with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
        async with asyncio.timeout(_GOODBYE_S):
            await connection.smtp.quit()
    connection.drop()


def _answer_to(step: str, error: aiosmtplib.SMTPResponseException) -> Answer:
    """What an answer to RCPT or DATA means."""
    detail = _told(step, error)
    if error.code in _OUR_FAULT or error.code == _CLOSING or not 400 <= error.code < 600:
        return _down(detail)
    if error.code < 500:
        return Answer(Verdict.TRY_LATER, detail)
    return Answer(Verdict.REFUSED, detail)


def _told(step: str, error: aiosmtplib.SMTPResponseException) -> str:
    """The codes of an answer; its words may repeat the address."""
    enhanced = _ENHANCED.search(error.message)
    return f"{step} answered {error.code}" + (f" {enhanced[1]}" if enhanced else "")


def _down(detail: str) -> Answer:
    return Answer(Verdict.TRY_LATER, detail, is_channel_down=True)


def _words_for(error: Exception) -> str:
    """What happened, in our own words."""
    cause: BaseException | None = error
    for _ in range(8):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "the mail server's TLS certificate cannot be trusted"
        if isinstance(cause, ssl.SSLError):
            return "TLS cannot be agreed on with the mail server"
        cause = cause and (cause.__cause__ or cause.__context__)
    if isinstance(error, HostRefusedError | HostNotFoundError):
        return str(error)
    if isinstance(error, _StaleError):
        return "the mail server hung up"
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return f"the mail server does not let us in ({error.code})"
    if isinstance(error, TimeoutError):
        return "the mail server did not answer in time"
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _told("the mail server", error)
    if isinstance(error, ConnectionError | OSError):
        return "the mail server cannot be connected to, or hung up"
    if isinstance(error, aiosmtplib.SMTPException):
        return "the mail server does not offer what the settings ask for (STARTTLS, AUTH)"
    return f"the mail could not be handed over ({type(error).__name__})"
