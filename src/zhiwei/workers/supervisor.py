"""The supervisor: opens the ports, keeps the workers going, and ends them in good order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, final

import structlog

from zhiwei.assemble import Options, shown_host
from zhiwei.core.errors import ZhiweiError
from zhiwei.process_link.calls import Handler
from zhiwei.process_link.wire import metrics_list
from zhiwei.workers.handing import Spreading
from zhiwei.workers.listening import Ports, address_of, ports_at
from zhiwei.workers.place import Place
from zhiwei.workers.series import supervisor_series

_log: Final = structlog.get_logger()


class WorkersNeedDatabaseError(ZhiweiError):
    """several workers need PostgreSQL (`--database`): one process alone writes a SQLite file"""


class WorkersInTestModeError(ZhiweiError):
    """`--test-mode` has one clock, in one process; leave out `--workers`"""


async def serve_with_workers(
    options: Options, count: int, announce: Callable[[str], None], until: asyncio.Event
) -> None:
    """Serve with so many processes until the event is set, and close in good order.

    Raises:
        WorkersNeedDatabaseError: there is no database that several could write.
        WorkersInTestModeError: the clock is to be set by hand.
        WorkerNotStartedError: a worker cannot start; the message says why.
        OSError: an address cannot be listened on.
    """
    if not options.database:
        raise WorkersNeedDatabaseError(
            "several workers need PostgreSQL (`--database`): a SQLite file has one writer, which"
            " commits many decisions at once; more of them would only wait for each other's lock."
            " Leave out `--workers`"
        )
    if options.is_test_mode:
        raise WorkersInTestModeError
    ports = ports_at(options.http, options.iso8583)
    supervisor = Supervisor(options, ports)
    ending = asyncio.create_task(until.wait())
    starting = asyncio.create_task(supervisor.start(count))
    try:
        await asyncio.wait((starting, ending), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            http_host, http_port = address_of(ports.http)
            host, port = address_of(ports.iso8583)
            announce(f"http://{shown_host(http_host)}:{http_port}")
            announce(f"iso8583 {shown_host(host)}:{port}")
            await ending
        _log.info("closing")
    finally:
        starting.cancel()
        ending.cancel()
        await asyncio.wait((starting, ending))
        await supervisor.stop()


@final
class Supervisor:
    """For one event loop."""

    def __init__(self, options: Options, ports: Ports) -> None:
        self._options: Final = options
        self._ports: Final = ports
        self._spreading: Final = Spreading(ports.iso8583)
        self._places: Final[list[Place]] = []

    async def start(self, count: int) -> None:
        """Have so many workers serve.

        Raises:
            WorkerNotStartedError: why one cannot.
        """
        handlers: dict[str, Handler] = {"series": self._series, "messaging": self._messaging}
        for number in range(1, count + 1):
            place = Place(number, self._options, self._ports.http, self._spreading, handlers)
            self._places.append(place)
        first, *others = self._places
        # The first one makes what is not there yet: the key of the card numbers, files, tables.
        await first.start()
        await asyncio.gather(*(place.start() for place in others))

    async def stop(self) -> None:
        """Take no more lines, and end the workers; each answers what it took."""
        self._spreading.stop()
        self._ports.close()
        # The first one has the messaging process, which others may still call, and whoever closes
        # `messages.db` last is to be the one that writes it.
        await asyncio.gather(*(place.stop() for place in self._places[1:]))
        for place in self._places[:1]:
            await place.stop()

    async def _series(self, _value: object) -> list[Any]:
        """Series of every worker that tells them, and our own under number 0."""
        places = self._places
        told = await asyncio.gather(*(place.metrics() for place in places))
        up = sum(place.is_up for place in places)
        own = supervisor_series(len(places), up, [(one.number, one.restarts) for one in places])
        parts: list[Any] = [[0, metrics_list(own)]]
        for place, rows in zip(places, told, strict=True):
            if rows is not None:
                parts.append([place.number, rows])
        return parts

    async def _messaging(self, value: Sequence[Any]) -> Any:  # noqa: ANN401 - a value of the wire
        """Pass a call on to the worker that has the messaging process."""
        return await self._places[0].messaging(value)
