"""The program of the messaging process: `python -m zhiwei.messaging_process.child FD FD`.

The serving process starts it with the ends of two sockets, tells it what to do (`begin`), and ends
it (`end`). When the serving process is gone, this one is gone at once: what it had not written down
is done again, under the same ids, by its successor.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import uvloop
from prometheus_client import CollectorRegistry

from zhiwei.assemble_messages import open_message_store
from zhiwei.assemble_messaging import Messaging, Surroundings
from zhiwei.assemble_store import address_of
from zhiwei.core.policy import Policy
from zhiwei.logs import set_up_logs
from zhiwei.messaging.outbox import EventReader
from zhiwei.messaging.settings import MessagingSettings, load_messages
from zhiwei.messaging_process.orders import LOCK_NAME, Orders
from zhiwei.messaging_process.views import AskedClock, AskedImages, CalledPath, PlanningEvents
from zhiwei.policy_file import policy_of_stored
from zhiwei.ports import Reader
from zhiwei.process_link.asking import Asker
from zhiwei.process_link.calls import Line, line_over
from zhiwei.process_link.wire import messages_of, metrics_list, taken_list
from zhiwei.stores.sqlite.connection import FILE_NAME
from zhiwei.stores.sqlite.lock import DataInUseError, DirectoryLock
from zhiwei.stores.sqlite.reader import SqliteReader
from zhiwei.vault import open_vault
from zhiwei.words import Sentences, load_sentences

#: A predecessor whose serving process died is gone in a moment.
_LOCK_TRIES: Final = 250
_LOCK_PAUSE_SECONDS: Final = 0.02
_READING_CONNECTIONS: Final = 2


class _Desk:
    """What the serving process may call."""

    def __init__(self, asker: Asker) -> None:
        self._asker: Final = asker
        self._registry: Final = CollectorRegistry()
        self._messaging: Messaging | None = None
        self._policy: Policy | None = None
        self.line: Line | None = None
        self.is_to_end: Final = asyncio.Event()

    async def begin(self, value: Any) -> None:  # noqa: ANN401 - a value of the wire
        """Start messaging; gives nothing once the channels were started."""
        orders = Orders(*value)
        assert self._messaging is None, "it begins once"
        set_up_logs(as_json=orders.logs_json, level=orders.log_level)
        self._policy = policy_of_stored(orders.policy)
        settings = MessagingSettings()
        if orders.messages_file:
            settings = load_messages(Path(orders.messages_file))
        words = load_sentences(settings.alerts.signatures)
        around = await self._surroundings(orders, words)
        messaging = Messaging(settings, around)
        await messaging.start()
        self._messaging = messaging
        # What is here now stays; the collector need not walk through it again and again.
        gc.collect()
        gc.freeze()

    async def end(self, _value: object) -> None:
        """Let what is on its way end, within a bound; the process ends when this was answered."""
        if self._messaging is not None:
            await self._messaging.stop()
        self.is_to_end.set()

    async def policy(self, value: str) -> None:
        """Another policy is in force."""
        self._policy = policy_of_stored(value)

    async def replay(self, value: list[str]) -> int:
        """Queue messages again."""
        return await self._begun.entry.replay(value)

    async def queue(self, value: list[Any]) -> int:
        """Take in messages that tell no event."""
        return await self._begun.entry.queue(messages_of(value))

    async def inbound(self, value: Sequence[str]) -> list[Any]:
        """Carry out a text message."""
        sender, text, message_id = value
        return taken_list(await self._begun.entry.inbound(sender, text, message_id))

    async def metrics(self, _value: object) -> list[Any]:
        """Series as they stand."""
        return metrics_list(self._registry.collect())

    def _policy_now(self) -> Policy:
        assert self._policy is not None, "it has begun"
        return self._policy

    @property
    def _begun(self) -> Messaging:
        assert self._messaging is not None, "it has begun"
        return self._messaging

    def _readers(self, orders: Orders, file: Path) -> tuple[EventReader, Reader, Reader]:
        """Events, the files as new as those, and the files as they are now."""
        if orders.database:
            events, reader = _settled_events(orders.database)
            return events, reader, reader
        images = AskedImages(self._asker)
        planning = PlanningEvents(file, images)
        return planning, planning.reader, SqliteReader(file, images)

    async def _surroundings(self, orders: Orders, words: Sentences) -> Surroundings:
        assert self.line is not None, "somebody called"
        folder = Path(orders.data_dir)
        # The lock lasts as long as the process.
        await _lock(folder)
        events, planning, reader = self._readers(orders, folder / FILE_NAME)
        store, clock = open_message_store(folder, orders.database, orders.teller)
        return Surroundings(
            store=store,
            events=events,
            planning=planning,
            reader=reader,
            path=CalledPath(self.line),
            policy=self._policy_now,
            words=words,
            vault=open_vault(Path(orders.key_file)),
            clock=AskedClock(self._asker) if orders.is_test_mode else clock,
            pace=clock,
            registry=self._registry,
            only_loopback=orders.is_test_mode,
        )


def _settled_events(database: str) -> tuple[EventReader, Reader]:
    """The events of a database, and a reader beside them.

    Raises:
        StoreUnavailableError: the database does not answer.
    """
    from zhiwei.stores.postgres.reader import PostgresReader  # noqa: PLC0415 - an extra
    from zhiwei.stores.postgres.settled import SettledEvents  # noqa: PLC0415 - an extra

    address = address_of(database)
    reader = PostgresReader(address, _READING_CONNECTIONS)
    return SettledEvents(address, reader), reader


async def _lock(folder: Path) -> DirectoryLock:
    """Wait until no other process sends messages for this data directory.

    Raises:
        DataInUseError: one does for too long.
    """
    for _ in range(_LOCK_TRIES):
        try:
            return DirectoryLock(folder, LOCK_NAME)
        except DataInUseError:
            await asyncio.sleep(_LOCK_PAUSE_SECONDS)
    return DirectoryLock(folder, LOCK_NAME)


async def _serve(calls: socket.socket, questions: socket.socket) -> None:
    desk = _Desk(Asker(questions))
    handlers = (
        desk.begin,
        desk.end,
        desk.policy,
        desk.replay,
        desk.queue,
        desk.inbound,
        desk.metrics,
    )
    line = desk.line = await line_over(calls, {each.__name__: each for each in handlers})

    async def live() -> None:
        await line.run()
        if not desk.is_to_end.is_set():
            os._exit(1)

    living = asyncio.create_task(live())
    await desk.is_to_end.wait()
    # The answer to `end` leaves; then the other side closes the line.
    await living


def main(words: Sequence[str]) -> None:
    """Run until told to end. Signals are the serving process's business."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    calls, questions = (socket.socket(fileno=int(word)) for word in words)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(calls, questions))


if __name__ == "__main__":
    main(sys.argv[1:])
