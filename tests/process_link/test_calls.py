"""Two loops that call each other: values, errors, order, and an other side that is gone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from zhiwei.ports import CorruptFileError, StoreUnavailableError
from zhiwei.process_link.calls import Handler, Line, line_over
from zhiwei.process_link.frames import FRAME_MAX, OtherProcessError

PATIENCE = 20.0


@dataclass
class Pair:
    """Both ends, serving."""

    near: Line
    far: Line
    far_end: socket.socket


@asynccontextmanager
async def pair(handlers: Mapping[str, Handler], near: Mapping[str, Handler]) -> AsyncIterator[Pair]:
    """A line; `handlers` are the far end's."""
    near_end, far_end = socket.socketpair()
    ends = Pair(await line_over(near_end, near), await line_over(far_end, handlers), far_end)
    tasks = [asyncio.create_task(ends.near.run()), asyncio.create_task(ends.far.run())]
    try:
        yield ends
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def doubled(value: int) -> int:
    """Twice the value."""
    return 2 * value


def test_both_ends_call_each_other() -> None:
    """A call may call back before it answers."""

    async def scenario() -> None:
        async def asks_back(value: int) -> int:
            return int(await ends.far.call("doubled", value, PATIENCE)) + 1

        async with pair({"asks_back": asks_back}, {"doubled": doubled}) as ends:
            assert await ends.near.call("asks_back", 20, PATIENCE) == 41

    asyncio.run(scenario())


def test_a_slow_call_holds_up_no_other() -> None:
    """Answers come in any order, each to its own call."""

    async def scenario() -> None:
        gate = asyncio.Event()

        async def slow(value: bytes) -> bytes:
            await gate.wait()
            return value

        async with pair({"slow": slow, "doubled": doubled}, {}) as ends:
            waiting = asyncio.create_task(ends.near.call("slow", b"\x00\xff", PATIENCE))
            assert [await ends.near.call("doubled", n, PATIENCE) for n in range(3)] == [0, 2, 4]
            assert not waiting.done()
            gate.set()
            assert await waiting == b"\x00\xff"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("raised", "told", "text"),
    [
        (StoreUnavailableError("the disk is full"), StoreUnavailableError, "the disk is full"),
        (CorruptFileError("damaged"), CorruptFileError, "damaged"),
        (KeyError("6222020000000000"), OtherProcessError, "its log says why"),
    ],
)
def test_errors_arrive_as_what_they_are(
    raised: Exception, told: type[Exception], text: str
) -> None:
    """What callers are promised keeps its type and text; of a bug the text stays where it is."""

    async def scenario() -> None:
        async def fails(_value: object) -> None:
            raise raised

        async with pair({"fails": fails}, {}) as ends:
            with pytest.raises(told, match=text) as met:
                await ends.near.call("fails", None, PATIENCE)
            assert "6222" not in str(met.value)
            with pytest.raises(OtherProcessError):
                await ends.near.call("no_such_call", None, PATIENCE)

    asyncio.run(scenario())


def test_who_waits_is_told_when_the_other_side_is_gone() -> None:
    """Calls under way fail, and so do later ones; nobody hangs."""

    async def scenario() -> None:
        async def never(_value: object) -> None:
            await asyncio.Event().wait()

        async with pair({"never": never}, {}) as ends:
            waiting = asyncio.create_task(ends.near.call("never", None, PATIENCE))
            await asyncio.sleep(0)
            ends.far_end.shutdown(socket.SHUT_RDWR)
            with pytest.raises(StoreUnavailableError, match="has ended"):
                await waiting
            with pytest.raises(StoreUnavailableError, match="not there"):
                await ends.near.call("never", None, PATIENCE)

    asyncio.run(scenario())


def test_an_answer_that_does_not_come_is_not_waited_for() -> None:
    """The caller hears that it may still be done; a late answer disturbs nobody."""

    async def scenario() -> None:
        gate = asyncio.Event()

        async def late(_value: object) -> str:
            await gate.wait()
            return "late"

        async with pair({"late": late, "doubled": doubled}, {}) as ends:
            with pytest.raises(StoreUnavailableError, match="may still be done"):
                await ends.near.call("late", None, 0.01)
            gate.set()
            assert await ends.near.call("doubled", 4, PATIENCE) == 8

    asyncio.run(scenario())


def test_a_frame_beyond_all_bounds_ends_the_line() -> None:
    """What cannot be from us is not read into memory."""

    async def scenario() -> None:
        near_end, far_end = socket.socketpair()
        line = await line_over(near_end, {})
        far_end.sendall((FRAME_MAX + 1).to_bytes(4, "big"))
        async with asyncio.timeout(PATIENCE):
            await line.run()
        far_end.close()

    asyncio.run(scenario())
