"""The program of a worker: `python -m zhiwei.workers.child FD FD FD`.

The supervisor starts it with its ends of two pairs of sockets and the HTTP port's socket, tells it
what to do (`begin`), and ends it (`end`). When the supervisor is gone, this one ends in good order
by itself, and within ten seconds in any case.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import select
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from time import sleep
from typing import Any, Final

import structlog
import uvloop

from zhiwei.assemble import Options, run_house
from zhiwei.logs import set_up_logs
from zhiwei.messaging.faults import fault
from zhiwei.process_link.calls import Line, line_over
from zhiwei.process_link.wire import metrics_list
from zhiwei.workers.handing import Handed
from zhiwei.workers.seat import Seat

_log: Final = structlog.get_logger()
#: Left alone, a worker is gone after so long, whatever it is doing.
_ALONE_SECONDS: Final = 10.0


class _Desk:
    """What the supervisor may call."""

    def __init__(self, handed: Handed, http: socket.socket) -> None:
        self._handed: Final = handed
        self._http: Final = http
        self._until: Final = asyncio.Event()
        self._house: asyncio.Task[None] | None = None
        self._seat: Seat | None = None
        self.line: Line | None = None

    async def begin(self, value: Any) -> None:  # noqa: ANN401 - a value of the wire
        """Serve; gives nothing once the doors are open."""
        number, has_messaging, orders = value
        # Nobody but the supervisor, who started this program, has the other end.
        options = pickle.loads(orders)  # noqa: S301 - as said
        assert isinstance(options, Options)
        assert self._house is None, "it begins once"
        assert self.line is not None, "somebody called"
        set_up_logs(as_json=options.logs_json, level=options.log_level, worker=number)
        self._seat = Seat(number, self._http, self._handed, self.line, has_messaging=has_messaging)
        is_open = asyncio.Event()
        work = run_house(options, lambda _: is_open.set(), self._until, seat=self._seat)
        self._house = asyncio.create_task(work)
        opening = asyncio.create_task(is_open.wait())
        await asyncio.wait((self._house, opening), return_when=asyncio.FIRST_COMPLETED)
        opening.cancel()
        if self._house.done():
            await self._house
        self._house.add_done_callback(self._gone)

    async def end(self, _value: object) -> None:
        """Answer what was taken and close; the process ends when this was answered."""
        self._until.set()
        if self._house is not None:
            await asyncio.wait((self._house,))

    async def metrics(self, _value: object) -> list[Any]:
        """Series of this worker as they stand."""
        assert self._seat is not None, "it has begun"
        own = self._seat.own
        # Not on the path's loop: the messaging process may be asked for its own.
        return await asyncio.to_thread(lambda: metrics_list(own.collect()))

    async def messaging(self, value: Sequence[Any]) -> Any:  # noqa: ANN401 - a value of the wire
        """Have the messaging process of this worker do something that another worker wants."""
        assert self._seat is not None, "it has begun"
        name, given = value
        return await self._seat.relay(name, given)

    def _gone(self, house: asyncio.Task[None]) -> None:
        """A house that falls down takes its process along; the supervisor builds another."""
        error = None if house.cancelled() else house.exception()
        if error is not None:
            _log.error("worker_failed", **fault(error))
        if not self._until.is_set():
            os._exit(1)


async def _serve(calls: socket.socket, handing: socket.socket, http: socket.socket) -> None:
    desk = _Desk(Handed(handing), http)
    handlers = (desk.begin, desk.end, desk.metrics, desk.messaging)
    line = desk.line = await line_over(calls, {each.__name__: each for each in handlers})
    await line.run()
    # The supervisor has had its answer to `end` and closed the line, or it is gone.
    await desk.end(None)


def _watch(calls: int) -> None:
    """End the process some time after the supervisor is gone, even if its loop is stuck."""
    waiting = select.poll()
    waiting.register(calls, 0)
    waiting.poll()
    sleep(_ALONE_SECONDS)
    os._exit(1)


def main(words: Sequence[str]) -> None:
    """Run until told to end. Signals are the supervisor's business."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    calls, handing, http = (socket.socket(fileno=int(word)) for word in words)
    watched = os.dup(calls.fileno())
    threading.Thread(target=_watch, args=(watched,), name="alone", daemon=True).start()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(calls, handing, http))


if __name__ == "__main__":
    main(sys.argv[1:])
