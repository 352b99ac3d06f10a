"""The watch tells what the journal says, to everybody who listens, and never without a bound."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.gateways.http.house import NOON
from tests.web.console.desk import Desk

from zhiwei.web.console import watch as watch_module
from zhiwei.web.console.sums import Sums
from zhiwei.web.console.tiles import CELLS, tiles
from zhiwei.web.console.watch import Listener, News, Watch


def test_rows_and_sums_are_those_of_the_journal(desk: Desk) -> None:
    """Decisions are kept newest first and counted by reason, place and channel."""
    desk.world.strong.set(desk.card, "region_lock", {"regions": ["41"]})
    desk.pay(3)
    desk.pay(2, merchant={"id": "M2", "name": "洛阳店", "country": "CHN", "region": "41"})
    watch = Watch(desk.reader, lambda: NOON)
    rows, passed_over = watch.look()
    assert (len(rows), passed_over) == (5, 0)
    assert [row.outcome for row in watch.rows()] == ["approve"] * 2 + ["decline"] * 3
    assert watch.rows()[0].tail == "1232"
    by_reason = watch.summed(lambda sums: sums.by("reason", NOON - 60_000))
    assert [(one.value, one.stopped) for one in by_reason] == [("region_lock_active", 3), ("", 0)]
    by_place = watch.summed(lambda sums: sums.by("place", NOON - 60_000))
    assert {one.value: one.total for one in by_place} == {"44": 3, "41": 2}
    (step,) = watch.summed(lambda sums: sums.line(NOON, NOON, 60_000, "reason"))
    assert step.by_value == {"region_lock_active": 3}


def test_a_look_reads_only_what_is_new(desk: Desk) -> None:
    """The second look begins where the first one ended."""
    watch = Watch(desk.reader, lambda: NOON)
    desk.pay(2)
    watch.look()
    (decision,) = desk.pay()
    rows, _ = watch.look()
    assert [row.id for row in rows] == [decision["id"]]
    assert watch.look() == ([], 0)


def test_a_burst_is_read_from_its_end_and_the_rest_is_counted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one look cannot read is passed over, and both listeners and sums say so."""
    monkeypatch.setattr(watch_module, "LOOK_MAX", 4)
    monkeypatch.setattr(watch_module, "_CHUNK", 2)
    watch = Watch(desk.reader, lambda: NOON)
    watch.look()
    desk.pay(10)
    rows, passed_over = watch.look()
    assert (len(rows), passed_over) == (4, 6)
    assert rows[-1].id == desk.world.issuer.get("/v1/authorizations").json()["data"][0]["id"]
    assert watch.coverage().passed_over == 6


def test_a_slow_listener_loses_the_oldest_and_is_told(desk: Desk) -> None:
    """More than may wait are lost, counted, and the newest are kept."""
    desk.pay(3)
    watch = Watch(desk.reader, lambda: NOON)
    rows, _ = watch.look()

    async def lag() -> News | None:
        listener = Listener()
        listener.tell(rows[:1] * (watch_module.WAITING_MAX + 4), 5)
        listener.tell(rows[1:], 0)
        return await listener.next(1)

    news = desk.world.run(lag())
    assert news is not None
    assert (len(news.rows), news.lost) == (watch_module.WAITING_MAX, 5 + 4 + 2)
    assert news.rows[-2:] == tuple(rows[1:])


def test_nothing_is_read_while_nobody_listens(desk: Desk) -> None:
    """The task begins with the first listener and ends with the last one."""
    watch = Watch(desk.reader, lambda: NOON, look_seconds=0.01)
    watch.look()

    async def visit() -> News | None:
        news = watch.listen()
        waiting = asyncio.ensure_future(anext(news))
        await asyncio.sleep(0)
        assert watch.listeners == 1
        await asyncio.to_thread(lambda: None)
        told = await _pay_and_wait(desk, waiting)
        await news.aclose()
        return told

    told = desk.world.run(visit())
    assert told is not None
    assert len(told.rows) == 1
    assert watch.listeners == 0
    assert watch._task is None


def test_who_listens_goes_home_when_the_house_closes(desk: Desk) -> None:
    """A stop from another thread ends the stream at once, without news."""
    watch = Watch(desk.reader, lambda: NOON, look_seconds=60)

    async def visit() -> list[News | None]:
        async def listen() -> list[News | None]:
            return [news async for news in watch.listen(60)]

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        await asyncio.to_thread(watch.stop)
        return await asyncio.wait_for(listening, 10)

    assert desk.world.run(visit()) == []


async def _pay_and_wait(desk: Desk, waiting: asyncio.Future[News | None]) -> News | None:
    """One payment, made on the loop that the listener waits on."""
    world = desk.world
    body = {"card": desk.card, "kind": "purchase", "channel": "pos", "amount": 1, "currency": "CNY"}
    headers = {"Authorization": f"Bearer {world.issuer.key}", "Content-Type": "application/json"}
    answer = await world.send("POST", "/v1/authorizations", json.dumps(body).encode(), headers)
    assert answer.status_code == 200
    return await asyncio.wait_for(waiting, 10)


def test_minutes_older_than_a_day_are_forgotten(desk: Desk) -> None:
    """Sums hold a day and no more."""
    desk.pay()
    watch = Watch(desk.reader, lambda: NOON)
    (row,), _ = watch.look()
    sums = Sums()
    sums.add(row)
    sums.forget(NOON + 86_400_000 - 60_000)
    assert sums.outcomes(0).approve == 1
    sums.forget(NOON + 86_400_000 + 60_000)
    assert sums.outcomes(0).total == 0


def test_every_province_has_a_tile_of_its_own() -> None:
    """34 units, each in a square that no other has."""
    made = tiles([])
    assert len(made) == 34
    assert len(set(CELLS.values())) == 34
    assert all(tile.shade == 0 for tile in made)
