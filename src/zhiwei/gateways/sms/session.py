"""Session: one bind to the SMSC after the other, by the library, with a fence around it.

The library (aiosmpplib 0.7) connects, keeps the link alive, writes and reads. Overridden is what a
hostile or odd SMSC could break it with: lengths without a bound, commands and statuses that it does
not know, errors that end it, its own parser of deliver_sm; and what it lacks: TLS, checked
addresses, connections that are closed, an "already bound" that is no bind. Its log would hold
numbers, texts and the password, so it goes nowhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from random import SystemRandom
from struct import pack, unpack
from time import monotonic
from typing import Final, final

import structlog
from aiosmpplib.esme import ESME
from aiosmpplib.protocol import (
    MESSAGE_TYPE_MAP,
    BindTransceiver,
    DeliverSmResp,
    EnquireLink,
    SmppMessage,
    Unbind,
)
from aiosmpplib.retrytimer import AbstractRetryTimer
from aiosmpplib.state import (
    NPI,
    TON,
    BindMode,
    PduHeader,
    SmppCommand,
    SmppCommandStatus,
    SmppSessionState,
)
from aiosmpplib.throttle import AbstractThrottleHandler

from zhiwei.core.errors import ZhiweiError
from zhiwei.gateways.outgoing.transport import Resolve, checked_addresses
from zhiwei.gateways.sms.broker import Outcome, PartBroker, PartCorrelator, PartHook
from zhiwei.gateways.sms.settings import SmppSettings
from zhiwei.gateways.sms.statuses import BAD_CREDENTIALS, status_words

_log: Final = structlog.get_logger()

_HEADER_BYTES: Final = 16
#: message_payload holds 64 KiB; no PDU is much larger.
_PDU_BYTES_MAX: Final = 70_000
_READ_LIMIT: Final = 131_072
_RESPONSE: Final = 0x8000_0000
_FIRST_PAUSE_S: Final = 0.25
#: After a wrong password: soon enough for who mends it, slow enough not to have us locked out.
_REFUSED_PAUSE_S: Final = 8.0
_GOODBYE_S: Final = 1.0
#: A line that lasted so long was a good one; an SMSC that binds us and hangs up is not knocked at
#: four times a second.
_GOOD_LINE_S: Final = 5.0
_SILENT: Final = logging.CRITICAL + 1


class _LineError(ConnectionError):
    """What ends a line; its text is for operators."""


@final
class Pauses(AbstractRetryTimer):
    """Pauses before another connection: short, for what waits is to go out within seconds."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s: Final = longest_s
        self._next_s = _FIRST_PAUSE_S
        self._bound_at = float("inf")
        self._random: Final = SystemRandom()
        self.is_refused = False

    async def wait(self) -> None:
        """Pause, and a longer one the next time."""
        if monotonic() - self._bound_at > _GOOD_LINE_S:
            self._next_s = _FIRST_PAUSE_S
        self._bound_at = float("inf")
        pause_s = _REFUSED_PAUSE_S if self.is_refused else self.next_delay()
        self._next_s = min(self._next_s * 2, self._longest_s)
        await asyncio.sleep(pause_s * self._random.uniform(0.8, 1.0))

    def reset(self) -> None:
        """There is a line; pauses begin anew if it lasts."""
        self._bound_at = monotonic()

    def next_delay(self) -> float:
        """The next pause, seconds."""
        return min(self._next_s, self._longest_s)


@final
class NoThrottle(AbstractThrottleHandler):
    """Throttling is the outbox's business: it is told to wait (`statuses.answer_to`)."""

    async def throttled(self) -> None:
        """Nothing."""

    async def not_throttled(self) -> None:
        """Nothing."""

    async def allow_request(self) -> bool:
        """Yes."""
        return True

    async def throttle_delay(self) -> float:
        """None."""
        return 0.0


@final
class Session(ESME):
    """Keeps a line to the SMSC; `start` runs until it is cancelled."""

    def __init__(
        self,
        settings: SmppSettings,
        broker: PartBroker,
        correlator: PartCorrelator,
        resolve: Resolve,
        count: Callable[[str], object],
    ) -> None:
        super().__init__(
            smsc_host=settings.host,
            smsc_port=settings.port,
            system_id=settings.system_id,
            password=settings.password,
            system_type=settings.system_type,
            addr_ton=TON(0),
            addr_npi=NPI(0),
            address_range=settings.address_range,
            bind_mode=BindMode[settings.bind.upper()],
            client_id="sms",
            enquire_link_interval=float(settings.enquire_s),
            log_level=_SILENT,
            log_metadata={},
            log_handler=logging.NullHandler(),
            hook=PartHook(broker, correlator),
            broker=broker,
            throttle_handler=NoThrottle(),
            correlator=correlator,
            retry_timer=Pauses(settings.reconnect_s),
            socket_timeout=float(settings.enquire_answer_s),
        )
        self._settings: Final = settings
        self._parts: Final = broker
        self._answers: Final = correlator
        self._resolve: Final = resolve
        self._count: Final = count
        self._unbound: Final = asyncio.Event()
        #: Why there is no line, in a few words; empty while there is one.
        self.trouble = "not connected yet"
        self.on_deliver: Callable[[int, bytes], Awaitable[None]] | None = None
        self.on_new_line: Callable[[], object] = lambda: None

    async def wait_bound(self, seconds: float) -> bool:
        """Whether there is a line, now or within a time."""
        if not self._bound.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._bound.wait()
        return self._bound.is_set()

    async def answer_deliver(self, sequence: int, status: int) -> None:
        """Send deliver_sm_resp, if there is a line; never raises for one that breaks."""
        if self._bound.is_set():
            with contextlib.suppress(OSError):
                await self._write(DeliverSmResp(sequence, SmppCommandStatus(status)).pdu())

    async def goodbye(self) -> None:
        """Unbind, as far as the SMSC lets us within a second."""
        if not self._bound.is_set():
            return
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                await self._write(Unbind(self.sequence_generator.next_sequence()).pdu())
                await self._unbound.wait()

    async def connect(self) -> None:
        """Make a line; called by the library's loop before each.

        Raises:
            ConnectionError: there is none, which is what the loop understands.
        """
        self._hang_up()
        pauses = self.retry_timer
        assert isinstance(pauses, Pauses)
        pauses.is_refused = False
        try:
            async with asyncio.timeout(self._settings.connect_s):
                await self._open()
                await self._bind(pauses)
        except Exception as error:  # noqa: BLE001 - the library's loop survives one kind only
            self._say_trouble(_words_for(error))
            self._close()
            raise _LineError from None
        self.on_new_line()
        self._unbound.clear()
        self._session_state = self.bind_mode.session_state
        self.trouble = ""
        self._count("bound")
        _log.info("sms_line_bound", mode=self._settings.bind)

    async def _open(self) -> None:
        settings = self._settings
        addresses = await checked_addresses(
            settings.host, settings.port, settings.reach, self._resolve
        )
        for place, address in enumerate(addresses, 1):
            try:
                self._reader, self._writer = await asyncio.open_connection(
                    address,
                    settings.port,
                    limit=_READ_LIMIT,
                    ssl=settings.tls,
                    server_hostname=settings.host if settings.tls else None,
                )
            except OSError:
                if place == len(addresses):
                    raise
            else:
                self._session_state = SmppSessionState.OPEN
                return

    async def _bind(self, pauses: Pauses) -> None:
        kind = MESSAGE_TYPE_MAP[self.bind_mode.smpp_command]
        assert issubclass(kind, BindTransceiver)
        request = kind(
            system_id=self.system_id,
            password=self.password,
            system_type=self.system_type,
            interface_version=self.interface_version,
            addr_ton=self.addr_ton,
            addr_npi=self.addr_npi,
            address_range=self.address_range,
        )
        await self._send_data(request)
        _, command, status, _ = unpack("!IIII", (await self._read_pdu())[:_HEADER_BYTES])
        if command not in (int(self.bind_mode.smpp_command) | _RESPONSE, _RESPONSE):
            raise _LineError("did not answer the bind with its response")
        if status or command == _RESPONSE:
            # "Already bound" too: this line is not, an old one is that the SMSC still believes in.
            pauses.is_refused = status in BAD_CREDENTIALS
            raise _LineError(f"refused the bind: {status_words(status)}")

    async def _read_pdu(self) -> bytes:
        assert self._reader is not None
        length_bytes = await self._reader.readexactly(4)
        length = int.from_bytes(length_bytes)
        if not _HEADER_BYTES <= length <= _PDU_BYTES_MAX:
            self._count("bad_length")
            raise _LineError("sent something that is not SMPP")
        return length_bytes + await self._reader.readexactly(length - 4)

    async def _get_pdu(self) -> tuple[bytes, PduHeader]:
        """The next PDU that the library knows; others are answered here."""
        while True:
            pdu = await self._read_pdu()
            length, command, status, sequence = unpack("!IIII", pdu[:_HEADER_BYTES])
            try:
                known = SmppCommand(command)
            except ValueError:
                self._data_received.set()
                self._count("unknown_command")
                if not command & _RESPONSE:
                    await self._nack(sequence)
                continue
            # Statuses of an SMSC's own are read from the bytes where they matter.
            is_named = status in SmppCommandStatus.__members__.values()
            named = SmppCommandStatus(status) if is_named else SmppCommandStatus.ESME_RUNKNOWNERR
            return pdu, PduHeader(length, known, named, sequence)

    async def _handle_response(self, pdu: bytes, header: PduHeader) -> SmppMessage | None:
        """Find the part that is answered; nothing is left for the library to do."""
        command = header.smpp_command
        if command is SmppCommand.UNBIND_RESP:
            self._unbound.set()
        elif command in (SmppCommand.SUBMIT_SM_RESP, SmppCommand.GENERIC_NACK):
            status = int.from_bytes(pdu[8:12])
            if command is SmppCommand.GENERIC_NACK:
                # A nack with "no error" is an error all the same.
                status = status or SmppCommandStatus.ESME_RUNKNOWNERR
            remote_id = pdu[_HEADER_BYTES:].split(b"\0")[0].decode("latin-1")
            odd = self._answers.answered(header.sequence_num, Outcome(status, remote_id))
            if odd:
                self._count(odd)
        return None

    async def _handle_request(self, pdu: bytes, header: PduHeader) -> SmppMessage | None:
        """Pass deliver_sm on; the library answers the two simple requests, we refuse the others."""
        command = header.smpp_command
        if command in (SmppCommand.ENQUIRE_LINK, SmppCommand.UNBIND):
            return MESSAGE_TYPE_MAP[command](header.sequence_num)
        if command is SmppCommand.DELIVER_SM and self.on_deliver is not None:
            await self.on_deliver(header.sequence_num, pdu)
        else:
            self._count("unknown_command")
            await self._nack(header.sequence_num)
        return None

    async def _nack(self, sequence: int) -> None:
        status = SmppCommandStatus.ESME_RINVCMDID
        await self._write(pack("!IIII", _HEADER_BYTES, _RESPONSE, status, sequence))

    async def _write(self, pdu: bytes) -> None:
        """Write on this line, which may go while we wait for room."""
        writer = self._writer
        if writer is not None:
            writer.write(pdu)
            async with self._drain_lock:
                await writer.drain()

    async def _connection_keeper(self) -> None:
        """Ask for a sign of life when nothing came for a while; end the line if there is none."""
        while True:
            if await self._hears(self.enquire_link_interval):
                continue
            # An SMSC that does not read either must not hold us here.
            async with asyncio.timeout(self.socket_timeout):
                await self._write(EnquireLink(self.sequence_generator.next_sequence()).pdu())
            if not await self._hears(self.socket_timeout):
                self._count("silent")
                raise _LineError("does not answer enquire_link")

    async def _hears(self, seconds: float) -> bool:
        """Whether something comes within a time."""
        self._data_received.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._data_received.wait()
        except TimeoutError:
            return False
        return True

    async def _end_task(self, task: asyncio.Task[object]) -> None:
        """End a task of a line that is over, whatever it died of."""
        task.cancel()
        await asyncio.wait({task})
        error = None if task.cancelled() else task.exception()
        if not self.trouble:
            self._say_trouble(_words_for(error) if error else "ended the line")
        self._hang_up()

    async def _disconnect(self) -> None:
        """Called by the library when it is cancelled."""
        writer = self._writer
        self._hang_up()
        if writer is not None:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await writer.wait_closed()

    def _hang_up(self) -> None:
        self._bound.clear()
        self._unbound.set()
        self._parts.drop_all()
        self._answers.drop_all()
        self._close()

    def _close(self) -> None:
        if self._writer is not None:
            # Not `close`, which would wait for a side that does not read.
            self._writer.transport.abort()
            self._writer = None

    def _say_trouble(self, words: str) -> None:
        if words != self.trouble:
            _log.warning("sms_line_down", why=words)
        self.trouble = words
        self._count("line_down")


def _words_for(error: BaseException) -> str:
    """What happened, in our own words."""
    if isinstance(error, _LineError | ZhiweiError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    if isinstance(error, asyncio.IncompleteReadError):
        return "hung up"
    if isinstance(error, OSError):
        return f"cannot be connected to ({type(error).__name__})"
    return f"is in trouble ({type(error).__name__})"
