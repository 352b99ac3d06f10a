"""Several servers on one database: cards are locked one by one, in one order, and never in vain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psycopg
import pytest

from tests.engines import StandingClock, Watch
from tests.stores.cases import (
    NOON,
    STEP,
    daily_limit,
    done,
    key_of,
    purchase,
    registration,
)
from tests.stores.postgres.test_outcome import is_approved, until
from zhiwei.core.command import Command
from zhiwei.core.result import Result
from zhiwei.engine import Answer, Engine
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.postgres.store import Bounds, PostgresStore

HOLD = "select 1 from card_state where card_key = %s for update"


@asynccontextmanager
async def servers(url: str, count: int) -> AsyncIterator[list[PostgresStore]]:
    """So many servers on one database."""
    stores = [PostgresStore(url) for _ in range(count)]
    yield stores
    for store in stores:
        await store.close()


def answered(engine: Engine, *commands: Command) -> asyncio.Future[Sequence[Answer]]:
    """The answers to come to commands that are carried out together."""
    future: asyncio.Future[Sequence[Answer]] = asyncio.get_running_loop().create_future()
    engine.submit(list(commands), future.set_result)
    return future


def test_room_for_one_is_given_once(database: str) -> None:
    """Sixty-four requests over four servers, room for one: exactly one approval, every time."""

    async def go() -> None:
        async with servers(database, 4) as stores:
            for card in range(10):
                await stores[0].transact([registration(card), daily_limit(card, 1000)], STEP, NOON)
                results = await asyncio.gather(
                    *[
                        stores[stan % 4].transact([purchase(card, stan, 1000)], STEP, NOON)
                        for stan in range(1, 65)
                    ]
                )
                assert sum(is_approved(result) for (result,) in results) == 1
                entries = stores[0].reader().entries(key_of(card), limit=100)
                assert [entry.version for entry in entries] == list(range(66, 0, -1))

    done(go())


def test_the_same_message_at_two_servers_is_decided_once(database: str) -> None:
    """One of them decides, the others repeat its answer."""

    async def go() -> None:
        async with servers(database, 4) as stores:
            await stores[0].transact([registration(1)], STEP, NOON)
            results = await asyncio.gather(
                *[stores[n % 4].transact([purchase(1, 7)], STEP, NOON) for n in range(16)]
            )
            assert sorted(result.is_repeat for (result,) in results) == [False] + 15 * [True]
            assert all(is_approved(result) for (result,) in results)

    done(go())


def test_batches_in_opposite_orders_do_not_block_each_other(database: str) -> None:
    """New cards and old ones, forwards on one server, backwards on the other: all get through."""

    async def go() -> None:
        async with servers(database, 2) as (one, other):
            old, new = list(range(50)), list(range(50, 100))
            await one.transact([registration(card) for card in old], STEP, NOON)
            for turn in range(5):
                stan = 1000 * turn
                batch = [purchase(card, stan + card + 1) for card in old]
                if not turn:
                    batch += [registration(card) for card in new]
                first, second = await asyncio.gather(
                    one.transact(batch, STEP, NOON), other.transact(batch[::-1], STEP, NOON)
                )
                pairs = zip(first, second[::-1], strict=True)
                for mine, theirs in pairs:
                    is_new = [mine, theirs]
                    if mine.entry is not None and mine.entry.command.request is not None:
                        assert sorted([mine.is_repeat, theirs.is_repeat]) == [False, True]
                    else:
                        assert len([r for r in is_new if r.rejection is None]) >= 1
            cards = one.reader().cards(limit=1000)
            assert len(cards) == 100
            assert {card.version for card in cards} == {1, 6}

    done(go())


@pytest.mark.parametrize("is_new", [False, True])
def test_a_batch_passes_over_a_card_that_somebody_holds(database: str, is_new: bool) -> None:
    """It goes on without, at once, also where this server has never seen the card."""

    async def go() -> None:
        async with servers(database, 2) as (store, other):
            first = other if is_new else store
            await first.transact([registration(1), registration(2)], STEP, NOON)
            batch = [purchase(1, 1), purchase(2, 2), purchase(3, 3)]
            seen: list[frozenset[bytes]] = []

            def without(held: frozenset[bytes]) -> list[Command]:
                seen.append(held)
                return [command for command in batch if command.card_key not in held]

            with psycopg.connect(database) as stranger:
                stranger.execute(HOLD, (key_of(1),))
                results = await store.transact(batch, STEP, NOON, pass_over=without)
                assert [is_approved(result) for result in results] == [True, False]
                stranger.execute(HOLD, (key_of(2),))
                assert await store.transact(batch[:2], STEP, NOON, pass_over=lambda _: []) == []
            card = store.reader().card(key_of(1))
            assert card is not None
            assert card.version == 1
            results = await store.transact(batch, STEP, NOON, pass_over=without)
            assert [result.is_repeat for result in results[:2]] == [False, True]
            # Once for each try: whoever sees its first week makes a partition, and begins anew.
            assert set(seen[:-1]) == {frozenset([key_of(1)])}
            assert not seen[-1]

    done(go())


def test_who_waits_for_a_card_too_long_is_told(database: str) -> None:
    """A session that never ends its transaction costs its card, and nothing is written."""

    async def go() -> None:
        async with servers(database, 1) as (store,):
            await store.transact([registration(1)], STEP, NOON)
            with psycopg.connect(database) as stranger:
                stranger.execute(HOLD, (key_of(1),))
                with pytest.raises(StoreUnavailableError, match="another server holds the card"):
                    await store.transact([purchase(1, 1)], STEP, NOON)
            (result,) = await store.transact([purchase(1, 1)], STEP, NOON)
            assert not result.is_repeat

    done(go())


def test_a_card_that_is_held_keeps_nobody_else(database: str) -> None:
    """While one card waits, others that came with it and after it are answered; then it is too."""

    async def go() -> None:
        async with servers(database, 1) as (store,):
            watch = Watch()
            engine = Engine(store, STEP, StandingClock(), watch, lanes=2)
            running = asyncio.create_task(engine.run())
            first = [answered(engine, registration(card)) for card in range(1, 20)]
            await asyncio.gather(*first)
            with psycopg.connect(database) as stranger:
                stranger.execute(HOLD, (key_of(1),))
                held = [answered(engine, purchase(1, stan)) for stan in range(1, 6)]
                both = answered(engine, purchase(1, 90), purchase(2, 90))
                behind = answered(engine, purchase(2, 91))
                others = [answered(engine, purchase(card, 50 + card)) for card in range(3, 20)]
                await asyncio.gather(*others)
                later = [answered(engine, purchase(card, 150 + card)) for card in range(3, 20)]
                await asyncio.gather(*later)
                assert not any(future.done() for future in [*held, both, behind])
            results = [(await future)[0] for future in held]
            versions = [r.entry.version for r in results if isinstance(r, Result) and r.entry]
            assert versions == [2, 3, 4, 5, 6], "the order of a card's commands is kept"
            versions = [
                r.entry.version
                for r in [*await both, *await behind]
                if isinstance(r, Result) and r.entry
            ]
            assert versions == [7, 2, 3], "who came behind both did not overtake"
            assert watch.failures == []
            engine.stop()
            await running

    done(go())


def test_what_comes_for_a_card_in_flight_goes_next(database: str) -> None:
    """A busy card's commands gather, are decided together, and in their order."""

    async def go() -> None:
        async with servers(database, 1) as (store,):
            watch = Watch()
            engine = Engine(store, STEP, StandingClock(), watch, lanes=4)
            running = asyncio.create_task(engine.run())
            await answered(engine, registration(1))
            waiting = [answered(engine, purchase(1, 1))]
            await until(lambda: not engine.waiting)
            waiting += [answered(engine, purchase(1, stan)) for stan in range(2, 100)]
            answers = await asyncio.gather(*waiting)
            versions = [
                a[0].entry.version for a in answers if isinstance(a[0], Result) and a[0].entry
            ]
            assert versions == list(range(2, 101))
            assert len(watch.batches) <= 4
            engine.stop()
            await running

    done(go())


def test_a_storm_of_batches_shares_the_connections(database: str) -> None:
    """More batches than connections: they take turns, and all are carried out."""

    async def go() -> None:
        store = PostgresStore(database, bounds=Bounds(connections=2))
        await store.transact([registration(card) for card in range(40)], STEP, NOON)
        results = await asyncio.gather(
            *[store.transact([purchase(card, card + 1)], STEP, NOON) for card in range(40)]
        )
        assert all(is_approved(result) for (result,) in results)
        with psycopg.connect(database) as connection:
            row = connection.execute(
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and pid <> pg_backend_pid()"
            ).fetchone()
        assert row == (2,)
        await store.close()

    done(go())


def test_a_card_that_is_registered_twice_at_once_is_registered_once(database: str) -> None:
    """The second one finds the first, though neither was there when both looked."""

    async def go() -> None:
        async with servers(database, 4) as stores:
            for card in range(5):
                results = await asyncio.gather(
                    *[store.transact([registration(card)], STEP, NOON) for store in stores]
                )
                assert [result for (result,) in results if result.rejection is None]
                assert len(stores[0].reader().entries(key_of(card))) == 1

    done(go())
