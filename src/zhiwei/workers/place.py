"""Place: one of the N places of a supervisor, and whichever process works there.

A worker that dies is started again, with a pause that grows; meanwhile the others serve.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import socket
from dataclasses import replace
from typing import Any, Final, final

import structlog

from zhiwei.assemble import Options
from zhiwei.core.errors import ZhiweiError
from zhiwei.ports import StoreUnavailableError
from zhiwei.process_link.calls import Handler, Line, line_over
from zhiwei.process_link.pauses import Pauses, rest
from zhiwei.process_link.program import Program
from zhiwei.workers.handing import Handing, Spreading

_log: Final = structlog.get_logger()

#: Schema, key and channels; a schema that must be brought up to date takes longest.
_BEGIN_SECONDS: Final = 300.0
#: Doors, lines and messages each bound their own end; this is for what hangs in spite of it.
_END_SECONDS: Final = 120.0
_METRICS_SECONDS: Final = 1.5
_CALL_SECONDS: Final = 30.0
#: The program has so long to be gone once its sockets are closed.
_GONE_SECONDS: Final = 10.0


class WorkerNotStartedError(ZhiweiError):
    """a worker did not start"""


@final
class Place:
    """For one event loop."""

    def __init__(
        self,
        number: int,
        options: Options,
        http: socket.socket,
        spreading: Spreading,
        handlers: dict[str, Handler],
    ) -> None:
        """Start the process; it waits for `start`.

        Args:
            number: from 1; the first has the messaging process.
            options: what the operator said.
            http: the HTTP port's socket.
            spreading: gives lines of the ISO 8583 port.
            handlers: what the worker may call.

        Raises:
            WorkerNotStartedError: no process can be started.
        """
        self.number: Final = number
        #: How often the worker died and was started again.
        self.restarts = 0
        self._options: Final = options
        self._http: Final = http
        self._spreading: Final = spreading
        self._handlers: Final = handlers
        self._line: Line | None = None
        self._is_to_end: Final = asyncio.Event()
        self._has_begun: asyncio.Future[None] | None = None
        self._living: asyncio.Task[None] | None = None
        try:
            self._program: Program | None = _program(http)
        except OSError as error:
            message = f"no process can be started: {error.strerror}"
            raise WorkerNotStartedError(message) from None

    @property
    def is_up(self) -> bool:
        """Whether its worker takes work."""
        return self._line is not None

    async def start(self) -> None:
        """Have the worker serve, and wait until its doors are open.

        Raises:
            WorkerNotStartedError: why it cannot.
        """
        self._has_begun = asyncio.get_running_loop().create_future()
        self._living = asyncio.create_task(self._live())
        await self._has_begun

    async def stop(self) -> None:
        """Let the worker answer what it took, and wait for the process to be gone."""
        self._is_to_end.set()
        if self._living is not None:
            await asyncio.wait((self._living,))
        elif self._program is not None:
            await asyncio.to_thread(self._program.end)

    async def metrics(self) -> list[Any] | None:
        """Series of the worker as values of the wire; None where it does not tell."""
        with contextlib.suppress(StoreUnavailableError):
            return list(await self._call("metrics", None, _METRICS_SECONDS))
        return None

    async def messaging(self, value: object) -> Any:  # noqa: ANN401 - a value of the wire
        """Have the worker's messaging process do something.

        Raises:
            StoreUnavailableError: it was not done, or it is not known.
        """
        return await self._call("messaging", value, _CALL_SECONDS)

    async def _call(self, name: str, value: object, seconds: float) -> Any:  # noqa: ANN401 - the same
        if self._line is None:
            raise StoreUnavailableError(f"worker {self.number} is being started; try again")
        return await self._line.call(name, value, seconds)

    async def _live(self) -> None:
        """Keep a process working until told to end."""
        loop = asyncio.get_running_loop()
        has_begun = self._has_begun
        assert has_begun is not None, "it was made before"
        pauses = Pauses()
        while not self._is_to_end.is_set():
            began = loop.time()
            try:
                await self._live_once(has_begun)
            except (ZhiweiError, OSError) as error:
                if not has_begun.done():
                    has_begun.set_exception(WorkerNotStartedError(str(error)))
                    return
                _log.error("worker_not_started", worker=self.number, error=str(error))
            if self._is_to_end.is_set():
                return
            self.restarts += 1
            pause = pauses.after(loop.time() - began)
            _log.error(
                "worker_ended",
                worker=self.number,
                restarts=self.restarts,
                again_in_seconds=pause,
            )
            await rest(pause, self._is_to_end)

    async def _live_once(self, has_begun: asyncio.Future[None]) -> None:
        """Have a process begin, and wait until it is gone or to be ended."""
        program, self._program = self._program or _program(self._http), None
        handing = Handing(program.beside)
        line = await line_over(program.calls, self._handlers)
        serving = asyncio.create_task(line.run())
        ending = asyncio.create_task(self._is_to_end.wait())
        try:
            await line.call("begin", self._orders(), _BEGIN_SECONDS)
            self._line = line
            self._spreading.add(handing)
            _log.info("worker_serves", worker=self.number, pid=program.pid)
            if not has_begun.done():
                has_begun.set_result(None)
            await asyncio.wait((serving, ending), return_when=asyncio.FIRST_COMPLETED)
            self._spreading.remove(handing)
            if not serving.done():
                with contextlib.suppress(ZhiweiError):
                    await line.call("end", None, _END_SECONDS)
        finally:
            self._line = None
            self._spreading.remove(handing)
            ending.cancel()
            serving.cancel()
            await asyncio.wait((serving, ending))
            await asyncio.to_thread(program.end)

    def _orders(self) -> list[Any]:
        """What the worker is told."""
        is_first = self.number == 1
        options = self._options if is_first else replace(self._options, without_messages=True)
        return [self.number, is_first, pickle.dumps(options)]


def _program(http: socket.socket) -> Program:
    """A worker's program, which is handed lines beside, and has the HTTP port's socket."""
    return Program(f"{__package__}.child", http, end_seconds=_GONE_SECONDS)
