"""MessagingProcess: the messaging process as the serving process starts, asks and ends it.

It has a thread of its own with an event loop, and a second one that answers questions from memory.
A messaging process that dies is started again, with a pause that grows; meanwhile decisions go on,
and events wait in the outbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import astuple, replace
from typing import Any, Final, TypeVar, final

import structlog

from zhiwei.core.errors import ZhiweiError
from zhiwei.messaging_process.orders import Orders
from zhiwei.ports import StoreUnavailableError
from zhiwei.process_link.asking import Answering
from zhiwei.process_link.calls import Handler, Line, line_over
from zhiwei.process_link.pauses import Pauses, rest
from zhiwei.process_link.program import Program

_log: Final = structlog.get_logger()

#: Channels have so long to start; one whose other side is down takes none of it.
_BEGIN_SECONDS: Final = 30.0
#: The outbox bounds its own end; this is for what hangs in spite of it.
_END_SECONDS: Final = 60.0
_CALL_SECONDS: Final = 30.0
_METRICS_SECONDS: Final = 1.0
#: The program has so long to be gone once its sockets are closed.
_GONE_SECONDS: Final = 5.0

T = TypeVar("T")


class MessagingError(ZhiweiError):
    """messaging did not start"""


@final
class MessagingProcess:
    """Starts the program when it is made, and messaging at `start`; once each."""

    def __init__(self) -> None:
        """Start the program; it waits.

        Raises:
            MessagingError: no process can be started.
        """
        try:
            self._program: Program | None = _program()
        except OSError as error:
            raise MessagingError(f"no process can be started: {error.strerror}") from None
        self._orders: Orders | None = None
        self._handlers: Mapping[str, Handler] = {}
        self._answers: Mapping[str, Callable[[Any], Any]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._line: Line | None = None
        #: The policy that was adopted last while it ran; empty = none was.
        self._policy = ""
        self._telling: asyncio.Future[None] | None = None
        self._has_begun: Final[Future[None]] = Future()
        self._is_to_end: Final = asyncio.Event()
        self._thread: Final = threading.Thread(target=self._run, name="messaging", daemon=True)
        #: How often the process died and was started again.
        self.restarts = 0

    def start(
        self,
        orders: Orders,
        handlers: Mapping[str, Handler],
        answers: Mapping[str, Callable[[Any], Any]],
    ) -> None:
        """Have it begin, and wait until the channels were started.

        Args:
            orders: what it is told.
            handlers: what it may call; they are awaited on this thread's loop.
            answers: what it may ask; they are called on a thread of their own.

        Raises:
            ZhiweiError: why it cannot begin.
        """
        self._orders, self._handlers, self._answers = orders, handlers, answers
        self._thread.start()
        try:
            self._has_begun.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Let what is on its way end within a bound, and wait for the process to be gone."""
        if self._thread.is_alive():
            # A loop that ended by itself just now cannot be told, and need not be.
            if self._loop is not None:
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._is_to_end.set)
            self._thread.join(_END_SECONDS + _CALL_SECONDS)
        elif self._program is not None:
            self._program.end()
            self._program = None

    def follow(self, policy: str) -> None:
        """Tell it that another policy is in force (`policy_file.stored_text`); from any thread.

        Whoever begins later is told by its orders.
        """
        self._policy = policy
        if self._loop is not None:
            # A loop that ended just now has nobody to tell.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._follow)

    @property
    def pid(self) -> int:
        """Id of the process as it is now; 0 = there is none."""
        return 0 if self._program is None else self._program.pid

    @property
    def is_up(self) -> bool:
        """Whether it takes calls."""
        return self._line is not None

    def metrics(self) -> list[Any] | None:
        """Its series now, as values of the wire; None where it does not tell. Blocks a little."""
        line, loop = self._line, self._loop
        if line is None or loop is None:
            return None
        with contextlib.suppress(ZhiweiError, RuntimeError, TimeoutError):
            work = line.call("metrics", None, _METRICS_SECONDS)
            return list(_begun_on(loop, work).result(2 * _METRICS_SECONDS))
        return None

    async def call(self, name: str, value: object) -> Any:  # noqa: ANN401 - a value of the wire
        """Have it do something (`MessagingCalls`); from any loop.

        Raises:
            StoreUnavailableError: it was not done, or it is not known.
        """
        line, loop = self._line, self._loop
        if line is None or loop is None:
            raise StoreUnavailableError("messages cannot be handled now; try again")
        return await asyncio.wrap_future(_begun_on(loop, line.call(name, value, _CALL_SECONDS)))

    def _follow(self) -> None:
        if self._line is not None:
            self._telling = asyncio.ensure_future(self._tell_policy(self._line, self._policy))

    async def _tell_policy(self, line: Line, policy: str) -> None:
        try:
            await line.call("policy", policy, _CALL_SECONDS)
        except ZhiweiError as error:
            _log.error("messaging_not_told_of_policy", error=str(error))

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            runner.run(self._live())

    async def _live(self) -> None:
        """Keep a process running until told to end."""
        loop = asyncio.get_running_loop()
        pauses = Pauses()
        while not self._is_to_end.is_set():
            began = loop.time()
            try:
                await self._live_once(self._program or _program())
            except Exception as error:  # noqa: BLE001 - told by `start`, or tried again
                if not self._has_begun.done():
                    self._has_begun.set_exception(error)
                    return
                _log.error("messaging_not_started", error=str(error))
            if self._is_to_end.is_set():
                return
            self.restarts += 1
            pause = pauses.after(loop.time() - began)
            _log.error("messaging_process_ended", again_in_seconds=pause)
            await rest(pause, self._is_to_end)

    async def _live_once(self, program: Program) -> None:
        """Have a process begin, and wait until it is gone or to be ended."""
        self._program = program
        answering = Answering(program.beside, self._answers)
        line = await line_over(program.calls, self._handlers)
        serving = asyncio.create_task(line.run())
        ending = asyncio.create_task(self._is_to_end.wait())
        try:
            assert self._orders is not None, "it was told what to do"
            policy = self._policy or self._orders.policy
            orders = replace(self._orders, policy=policy)
            await line.call("begin", astuple(orders), _BEGIN_SECONDS)
            self._line = line
            if self._policy and self._policy != policy:
                # Another one was adopted while it began.
                self._follow()
            if not self._has_begun.done():
                self._has_begun.set_result(None)
            await asyncio.wait((serving, ending), return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                with contextlib.suppress(ZhiweiError):
                    await line.call("end", None, _END_SECONDS)
        finally:
            self._line = self._program = None
            ending.cancel()
            serving.cancel()
            await asyncio.wait((serving, ending))
            answering.close()
            await asyncio.to_thread(program.end)


def _program() -> Program:
    """The program, with its questions beside."""
    return Program(f"{__package__}.child", end_seconds=_GONE_SECONDS)


def _begun_on(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> Future[T]:
    """The work, begun on another loop.

    Raises:
        StoreUnavailableError: that loop is closed.
    """
    try:
        return asyncio.run_coroutine_threadsafe(work, loop)
    except RuntimeError:
        work.close()
        raise StoreUnavailableError("messages cannot be handled now; try again") from None
