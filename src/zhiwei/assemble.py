"""The wiring: reads what the operator said, builds every part, and owns start and stop.

The path (ISO 8583 door, engine, the store's writing connection) runs on the event loop of the main
thread. HTTP runs on a loop of its own in a second thread and comes in through `ThreadEntry`.
Messaging runs in a process of its own (`messaging_process`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from zhiwei.assemble_access import open_keyring
from zhiwei.assemble_faces import Faces
from zhiwei.assemble_messages import ShownMessages, open_message_reader
from zhiwei.assemble_policy import Standing, keep_policy, policy_desk_of
from zhiwei.assemble_store import MainStore, OnProgress, open_main_store
from zhiwei.clock import Clock, ManualClock, SystemClock
from zhiwei.collector import collect_now_and_then, quieten_collector
from zhiwei.core.card_state import CardState
from zhiwei.core.command import Actor, Via
from zhiwei.core.entry import Entry
from zhiwei.core.errors import ZhiweiError
from zhiwei.core.policy import Policy
from zhiwei.engine import Engine, Failure, ThreadEntry
from zhiwei.gateways.http.house import House, MessageDesk, Rooms
from zhiwei.gateways.http.record_ids import IdMint
from zhiwei.gateways.in_force import InForce, in_force_of
from zhiwei.gateways.iso8583.answers import Answers
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.dialect import Dialect
from zhiwei.gateways.iso8583.dialect import named as dialect_named
from zhiwei.gateways.iso8583.door import Door
from zhiwei.gateways.iso8583.frame import Framing, framing
from zhiwei.gateways.iso8583.server import Iso8583Server
from zhiwei.gateways.iso8583.translate import Translator
from zhiwei.gateways.outgoing.signing import secret_bytes
from zhiwei.gateways.response_codes import ResponseCodes
from zhiwei.gateways.response_codes import load as load_response_codes
from zhiwei.http_thread import HttpThread
from zhiwei.messaging.model import MessageReader
from zhiwei.messaging.settings import MessagesFileError, MessagingSettings, load_messages
from zhiwei.messaging_process.calling import MessagingCalls
from zhiwei.messaging_process.house_side import ImageReader, MessagingSeries, answers_of, calls_of
from zhiwei.messaging_process.orders import Orders
from zhiwei.messaging_process.parent import MessagingProcess
from zhiwei.metrics import Metrics
from zhiwei.policy_file import load_policy, stored_text
from zhiwei.ports import KeyCheck, Reader
from zhiwei.services import JUDGES
from zhiwei.services.security_checkup import Device, Mode, document, examine, history_of
from zhiwei.services.spend_limits import ALL_CHANNELS, reports
from zhiwei.services.stop_payment import read_command
from zhiwei.vault import Vault, open_vault
from zhiwei.words import load_sentences
from zhiwei.workers.seat import RelayedMessaging, Seat
from zhiwei.zones import load_zone

_log: Final = structlog.get_logger()

VAULT_FILE_NAME: Final = "vault.key"
#: What each failure of the engine is in the table of response codes.
NO_RESULT: Final = {
    int(Failure.BUSY): "issuer_late",
    int(Failure.UNAVAILABLE): "issuer_late",
    int(Failure.UNKNOWN): "issuer_late",
    int(Failure.BUG): "system",
}
_NONCES: Final = 512
_NONCE_BYTES: Final = 8
_TELLER_BITS: Final = 62
_KEY_CHECK: Final = "vault"
_CHECK_DIGITS: Final = 32


class WrongKeyError(ZhiweiError):
    """the key file is not the one that these data were made with"""


@dataclass(frozen=True)
class Options:
    """What the operator said."""

    data_dir: Path
    #: URL of the main store on PostgreSQL; empty = a file in the data directory.
    database: str = field(default="", kw_only=True, repr=False)
    #: Another server sends the messages of this database.
    without_messages: bool = field(default=False, kw_only=True)
    http: tuple[str, int]
    iso8583: tuple[str, int]
    dialect: str = "unionpay-ascii"
    #: Forms of the length and of the header before each message; empty = the dialect's own.
    length: str = ""
    header: str = ""
    policy_file: Path | None = None
    response_codes_file: Path | None = None
    key_file: Path | None = None
    is_test_mode: bool = False
    #: How messages are delivered; None = webhooks only.
    messages_file: Path | None = None
    #: Where the pages are seen and who signs people in (faces.toml); None = at the HTTP door.
    faces_file: Path | None = None
    #: Form of the logs, `logs.set_up_logs`; processes that are started here follow it.
    logs_json: bool = True
    log_level: str = "info"

    @property
    def key_path(self) -> Path:
        """Where the vault's key is."""
        return self.key_file or self.data_dir / VAULT_FILE_NAME


async def run_house(
    options: Options,
    announce: Callable[[str], None],
    until: asyncio.Event,
    on_progress: OnProgress | None = None,
    seat: Seat | None = None,
) -> None:
    """Open the house (at its `seat`, one of several), serve until the event is set, and close.

    Raises:
        ZhiweiError: something that the house needs cannot be had; the message says what to do.
        OSError: an address cannot be listened on.
    """
    clock = ManualClock() if options.is_test_mode else SystemClock()
    files, delivery = _files_of(options), _delivery_of(options)
    options.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    metrics = Metrics(None if seat is None else seat.own)
    async with contextlib.AsyncExitStack() as stack:
        # Its program is read while the store is opened. Once it has begun, `_serve` ends it.
        messaging = _messaging(seat, metrics, stack)
        main = _main_store(options, on_progress, stack)
        faces = Faces(options.data_dir, options.faces_file, delivery, clock, options.database)
        stack.callback(faces.close)
        keyring = stack.enter_context(open_keyring(options.data_dir, options.database))
        messages = open_message_reader(options.data_dir, options.database)
        reader = main.reader
        vault = _vault_of_these_data(options, reader)
        standing = Standing(in_force_of(reader, *files))
        engine = Engine(main.store, standing.step(), clock, metrics, lanes=main.lanes)
        await _keep_first(engine, reader, vault, standing.now().policy, clock.now_ms())
        door = _door(options, standing.now(), vault.card_key, metrics)
        standing.moves(engine, door, messaging.follow)
        entry = ThreadEntry(engine, asyncio.get_running_loop())
        mint = IdMint()
        house = House(
            submit=entry.submit,
            keep=entry.keep,
            reader=reader,
            find_key=keyring.find,
            asks_for_keys=bool(options.database),
            in_force=standing.now,
            clock=clock,
            vault=vault,
            words=load_sentences(delivery.alerts.signatures),
            rooms=_rooms(lambda: standing.now().policy),
            metrics=metrics.registry,
            all_metrics=None if seat is None else seat.shown(),
            unready=metrics.unready,
            weaknesses=main.weaknesses,
            test_clock=clock if isinstance(clock, ManualClock) else None,
            messages=_message_desk(messages, messaging, delivery),
            rehearse=standing.rehearse,
            inbound_secrets=_inbound_secrets(delivery),
            policies=policy_desk_of(reader, entry, standing, clock, mint),
            mint=mint,
        )
        doors = _Doors(
            engine,
            _iso8583_server(door, engine, seat),
            _http_thread(faces, house, options, seat),
            faces,
            seat,
            lambda: standing.follow_others(main.adopted, lambda: in_force_of(reader, *files)),
            lambda: _start_messaging(messaging, options, standing, entry, reader, clock),
            partial(_stop_messaging, messaging, messages),
        )
        await _serve(doors, options, announce, until)


def _main_store(
    options: Options, on_progress: OnProgress | None, stack: contextlib.AsyncExitStack
) -> MainStore:
    """The store of the cards, closed with the stack."""
    main = open_main_store(options.data_dir, options.database, on_progress)
    stack.push_async_callback(main.store.close)
    return main


def _messaging(
    seat: Seat | None, metrics: Metrics, stack: contextlib.AsyncExitStack
) -> MessagingProcess | RelayedMessaging:
    """The messaging process with its series, ended with the stack; or that of another worker."""
    if seat is not None and not seat.has_messaging:
        stack.callback(seat.messaging.stop)
        return seat.messaging
    messaging = MessagingProcess()
    stack.callback(messaging.stop)
    metrics.registry.register(MessagingSeries(messaging))
    if seat is not None:
        seat.relays_to(messaging)
    return messaging


def _iso8583_server(door: Door, engine: Engine, seat: Seat | None) -> Iso8583Server:
    """The server of the lines, which tells whoever hands them over of those that are closed."""
    on_closed = None if seat is None else seat.handed.closed
    return Iso8583Server(door, engine.submit, bug=int(Failure.BUG), on_closed=on_closed)


def _http_thread(faces: Faces, house: House, options: Options, seat: Seat | None) -> HttpThread:
    """The HTTP door, on a port of its own or on the one that all workers have."""
    listener = None if seat is None else seat.http
    return HttpThread(faces.application(house), *options.http, listener=listener)


def _message_desk(
    reader: MessageReader,
    messaging: MessagingProcess | RelayedMessaging,
    delivery: MessagingSettings,
) -> MessageDesk:
    """The messaging process as the HTTP door sees it."""
    calls = MessagingCalls(messaging.call)
    has_sms = "sms" in delivery.channels
    return MessageDesk(reader, calls.replay, calls.inbound, calls.queue, sends_sms=has_sms)


def _delivery_of(options: Options) -> MessagingSettings:
    """How messages go out; webhooks only where the operator gave no file.

    Raises:
        MessagesFileError: the file cannot be used.
    """
    file = options.messages_file
    return MessagingSettings() if file is None else load_messages(file)


def _files_of(options: Options) -> tuple[Policy | None, ResponseCodes | None]:
    """Policy and response codes that the operator gave as files; None = none was given.

    Raises:
        PolicyError, ResponseCodesError: a file cannot be used.
    """
    policy = None if options.policy_file is None else load_policy(options.policy_file)
    codes_file = options.response_codes_file
    return policy, None if codes_file is None else load_response_codes(codes_file)


def _start_messaging(
    messaging: MessagingProcess | RelayedMessaging,
    options: Options,
    standing: Standing,
    path: ThreadEntry,
    reader: ImageReader,
    clock: Clock,
) -> None:
    """Have people told, unless another server does."""
    if not options.without_messages and isinstance(messaging, MessagingProcess):
        calls, answers = calls_of(path, reader, clock), answers_of(reader, clock)
        messaging.start(_orders(options, standing.now().policy), calls, answers)


def _stop_messaging(
    messaging: MessagingProcess | RelayedMessaging, messages: ShownMessages
) -> None:
    """Whoever closes `messages.db` last leaves it in one piece: the one that writes it."""
    messages.close()
    messaging.stop()


def _orders(options: Options, policy: Policy) -> Orders:
    """What the messaging process is told."""
    return Orders(
        data_dir=str(options.data_dir.absolute()),
        database=options.database,
        teller=secrets.randbits(_TELLER_BITS) + 1,
        messages_file=""
        if options.messages_file is None
        else str(options.messages_file.absolute()),
        key_file=str(options.key_path.absolute()),
        policy=stored_text(policy),
        is_test_mode=options.is_test_mode,
        logs_json=options.logs_json,
        log_level=options.log_level,
    )


def _inbound_secrets(settings: MessagingSettings) -> tuple[bytes, ...]:
    """Secrets under which a web gateway may sign; none = one of the vault's.

    Raises:
        MessagesFileError: what the file says is no secret.
    """
    text = settings.inbound.secret
    if not text:
        return ()
    secret = secret_bytes(text)
    if secret is None:
        raise MessagesFileError("`inbound.secret` is `whsec_` and 24 to 64 bytes in base64")
    return (secret,)


@dataclass(frozen=True)
class _Doors:
    """What is started and stopped."""

    engine: Engine
    iso8583: Iso8583Server
    http: HttpThread
    faces: Faces
    #: Gives the lines where this process is one of several.
    seat: Seat | None
    follow_policy: Callable[[], Coroutine[Any, Any, None]]
    start_messaging: Callable[[], None]
    stop_messaging: Callable[[], None]


async def _serve(
    doors: _Doors, options: Options, announce: Callable[[str], None], until: asyncio.Event
) -> None:
    """Open the doors, wait, and close them: nothing that was taken goes unanswered."""
    engine, iso8583, http = doors.engine, doors.iso8583, doors.http
    working = asyncio.create_task(engine.run())
    tidying = asyncio.create_task(engine.tidy_when_idle())
    collecting = asyncio.create_task(collect_now_and_then())
    forgetting = asyncio.create_task(doors.faces.tidy())
    following = asyncio.create_task(doors.follow_policy())
    try:
        if doors.seat is None:
            host, port = await iso8583.start(*options.iso8583)
        else:
            host, port = options.iso8583
            iso8583.begin()
            doors.seat.handed.begin(iso8583.take)
        http_host, http_port = http.start()
        await asyncio.to_thread(doors.start_messaging)
        announce(f"http://{shown_host(http_host)}:{http_port}")
        announce(f"iso8583 {shown_host(host)}:{port}")
        quieten_collector()
        await until.wait()
        _log.info("closing")
    finally:
        # HTTP ends while the engine still answers; then the lines, and messages, whose last events
        # are sent by the next start; then the engine itself.
        doors.faces.end_streams()
        await asyncio.to_thread(http.stop)
        if doors.seat is not None:
            doors.seat.handed.end()
        await iso8583.stop()
        await asyncio.to_thread(doors.stop_messaging)
        idlers = (tidying, collecting, forgetting, following)
        for idler in idlers:
            idler.cancel()
        engine.stop()
        await working
        for idler in idlers:
            with contextlib.suppress(asyncio.CancelledError):
                await idler


def _vault_of_these_data(options: Options, reader: Reader) -> Vault:
    """The vault; its key is made only where there are no cards yet.

    Raises:
        WrongKeyError: with this key no card of these data would be recognized any more.
        VaultKeyError: the file cannot be used.
    """
    path = options.key_path
    if not path.exists() and reader.cards(limit=1):
        message = f"the key file `{path}` is gone, and the data hold cards; put it back"
        raise WrongKeyError(message)
    vault = open_vault(path)
    known = reader.record(KeyCheck, _KEY_CHECK)
    if known is not None and known.check != _check_of(vault):
        raise WrongKeyError(f"the key in `{path}` is not the one that these data were made with")
    return vault


async def _keep_first(
    engine: Engine, reader: Reader, vault: Vault, policy: Policy, now_ms: int
) -> None:
    """Keep what decisions will be made under: which key, and which policy."""
    await _keep_key_check(engine, reader, vault, now_ms)
    await keep_policy(engine, reader, policy, now_ms)


async def _keep_key_check(engine: Engine, reader: Reader, vault: Vault, now_ms: int) -> None:
    """Remember which key the data are made with."""
    if reader.record(KeyCheck, _KEY_CHECK) is None:
        record = KeyCheck(_KEY_CHECK, now_ms, _check_of(vault))
        await engine.keep([record], [], Actor("server", Via.CLI, is_staff=True))


def _check_of(vault: Vault) -> str:
    return vault.derived_secret("check").hex()[:_CHECK_DIGITS]


def _door(
    options: Options,
    in_force: InForce,
    card_key: Callable[[str], bytes],
    metrics: Metrics,
) -> Door:
    """The ISO 8583 door of the dialect that the operator chose."""
    dialect = dialect_named(options.dialect)
    nonces = _nonces()
    answers = Answers(dialect, in_force.codes, NO_RESULT)
    answers.speak_by(in_force.codes, in_force.codes_by_version)
    return Door(
        Codec(dialect),
        _framing(options, dialect),
        Translator(dialect, card_key, nonces.__next__),
        answers,
        metrics,
    )


def _framing(options: Options, dialect: Dialect) -> Framing:
    """The dialect's own framing, or what the operator said instead."""
    if not options.length and not options.header:
        return dialect.framing
    return framing(options.length or "binary2", options.header or "none")


def _rooms(policy: Callable[[], Policy]) -> Rooms:
    """The services as the HTTP door asks them, under the policy in force."""

    def examined(
        cards: Sequence[CardState],
        entries_of: Callable[[CardState], Iterable[Entry]],
        mode: str,
        device: dict[str, Any] | None,
        now_ms: int,
    ) -> dict[str, Any]:
        depth = Mode.FULL if mode == "full" else Mode.QUICK
        histories = []
        if depth is Mode.FULL:
            histories = [history_of(card, entries_of(card), now_ms) for card in cards]
        told = None if device is None else Device(**device)
        return document(examine(cards, histories, policy(), now_ms, depth, told))

    return Rooms(
        limits=lambda state, moment: reports(policy(), state, ALL_CHANNELS, moment),
        judges=dict(JUDGES),
        examine=examined,
        read_message=read_command,
    )


def _nonces() -> Iterator[bytes]:
    """Eight random bytes for each command, asked of the system many at a time."""
    while True:
        block = os.urandom(_NONCES * _NONCE_BYTES)
        for start in range(0, len(block), _NONCE_BYTES):
            yield block[start : start + _NONCE_BYTES]


def shown_host(host: str) -> str:
    """An address as it stands before a port."""
    return f"[{host}]" if ":" in host else host


# Zones come from the system's database, or from the tzdata package where it has none.
assert load_zone("Asia/Shanghai") is not None, "there is no zone database"
