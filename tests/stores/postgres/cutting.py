"""A line that breaks at the worst moment: a proxy before PostgreSQL that watches for a commit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path
from typing import Final

#: A Bind message of the prepared statement `commit`: portal without name, name of the statement.
_COMMIT: Final = b"\0commit\0"
#: The name of that statement before its text, where it is prepared.
_PREPARED: Final = b"commit\0commit"
_CHUNK: Final = 1 << 16


class Cut(Enum):
    """What befalls the next commit that writes something."""

    NOTHING = 0
    #: It arrives and is carried out; the answer is lost.
    AFTER_COMMIT = 1
    #: It does not arrive; the server sees the line break.
    BEFORE_COMMIT = 2
    #: The client's line breaks; the commit arrives when `late` is set, on a line that still stands.
    LATE_COMMIT = 3


class Proxy:
    """Passes everything on until the commit comes for which it waits."""

    def __init__(self, server: Path) -> None:
        self._server: Final = server
        self.cut = Cut.NOTHING
        #: Nobody is let in any more.
        self.is_closed = False
        self.late: Final = asyncio.Event()
        self.was_cut: Final = asyncio.Event()
        self.commits = 0
        self._serving: Final[set[asyncio.Task[None]]] = set()

    async def end(self) -> None:
        """Wait until every connection is over."""
        self.late.set()
        if self._serving:
            await asyncio.wait(self._serving)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        if self.is_closed:
            writer.close()
            return
        to_reader, to_writer = await asyncio.open_unix_connection(str(self._server))
        back = asyncio.create_task(self._back(to_reader, writer))
        try:
            while data := await reader.read(_CHUNK):
                if _COMMIT in data and b"insert_" in data and _PREPARED not in data:
                    self.commits += 1
                    cut, self.cut = self.cut, Cut.NOTHING
                    if cut is not Cut.NOTHING:
                        await ended(back)
                        await self._break(cut, data, to_reader, to_writer, writer)
                        return
                to_writer.write(data)
                await to_writer.drain()
        except ConnectionError:
            pass
        finally:
            await ended(back)
            for one in (writer, to_writer):
                one.close()

    async def _break(
        self,
        cut: Cut,
        data: bytes,
        to_reader: asyncio.StreamReader,
        to_writer: asyncio.StreamWriter,
        writer: asyncio.StreamWriter,
    ) -> None:
        if cut is Cut.AFTER_COMMIT:
            to_writer.write(data)
            # Its answer says that it was carried out; nobody is told.
            await to_reader.read(_CHUNK)
        writer.close()
        self.was_cut.set()
        if cut is Cut.LATE_COMMIT:
            await self.late.wait()
            to_writer.write(data)
            await to_reader.read(_CHUNK)

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(_CHUNK):
                writer.write(data)
                await writer.drain()
        writer.close()


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def proxy_before(folder: Path, server: Path) -> AsyncIterator[Proxy]:
    """A proxy that listens in `folder` as PostgreSQL does."""
    proxy = Proxy(server)
    listening = await asyncio.start_unix_server(proxy.serve, str(folder / server.name))
    try:
        yield proxy
    finally:
        listening.close()
        await proxy.end()
