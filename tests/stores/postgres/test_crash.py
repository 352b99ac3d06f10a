"""The database dies under load, again and again: what was acknowledged is there, and once."""

from __future__ import annotations

import asyncio
import contextlib
import random
from functools import partial

import pytest

from tests.stores.cases import NOON, STEP, done, key_of, purchase, registration
from tests.stores.cluster import Cluster, running_cluster
from tests.stores.postgres.test_faults import until_written
from tests.stores.postgres.test_outcome import is_approved, until
from zhiwei.core.command import Command
from zhiwei.journal.verify_database import verify_database
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.postgres.store import Bounds, PostgresStore

CARDS = 40


class Load:
    """Two servers that decide until they are told to stop, and what was acknowledged."""

    def __init__(self, url: str, seed: int) -> None:
        bounds = Bounds(commit_seconds=2.0, settle_seconds=2.0, read_seconds=2.0)
        self.stores = [PostgresStore(url, bounds=bounds) for _ in range(2)]
        self.random = random.Random(seed)
        self.acknowledged: list[Command] = []
        self.refused = 0
        self.stan = 0
        self.is_over = False

    async def run(self) -> None:
        """Four batches at once."""
        await asyncio.gather(*[self._lane(self.stores[lane % 2]) for lane in range(4)])

    async def _lane(self, store: PostgresStore) -> None:
        while not self.is_over:
            batch = []
            for _ in range(self.random.randrange(1, 20)):
                self.stan += 1
                batch.append(purchase(self.random.randrange(CARDS), self.stan, 100))
            try:
                results = await store.transact(batch, STEP, NOON)
            except StoreUnavailableError:
                self.refused += len(batch)
                await asyncio.sleep(0.01)
                continue
            assert all(is_approved(result) for result in results)
            self.acknowledged += batch


async def killed_once(cluster: Cluster, load: Load) -> None:
    """Run for a while, kill, bring back, and go on until decisions are made again."""
    before = len(load.acknowledged)
    await until(lambda: len(load.acknowledged) > before + 200)
    await asyncio.to_thread(cluster.control, "stop", "-m", "immediate")
    await asyncio.sleep(load.random.random() / 5)
    await asyncio.to_thread(cluster.control, "start", "-l", str(cluster.folder / "log"))


@pytest.mark.parametrize("rounds", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_a_database_that_is_killed_loses_nothing_acknowledged(rounds: int) -> None:
    """Killed under load, started again: every acknowledged decision is known, and counted once."""
    with running_cluster() as cluster:
        url = cluster.url(cluster.new_database())

        async def go() -> None:
            load = Load(url, rounds)
            await load.stores[0].transact([registration(n) for n in range(CARDS)], STEP, NOON)
            running = asyncio.create_task(load.run())
            for _ in range(rounds):
                await killed_once(cluster, load)
            before = len(load.acknowledged)
            await until(lambda: len(load.acknowledged) > before + 100)
            load.is_over = True
            await running
            reader = load.stores[0].reader()
            for at in range(0, len(load.acknowledged), 400):
                batch = load.acknowledged[at : at + 400]
                # The second server may not have tried yet whether the database is back.
                results = await until_written(partial(load.stores[1].transact, batch, STEP, NOON))
                assert all(result.is_repeat for result in results)
            entries = 0
            for number in range(CARDS):
                card = reader.card(key_of(number))
                assert card is not None
                entries += card.version - 1
                assert card.usage.by_channel[0].day_count == card.version - 1
            assert len(load.acknowledged) <= entries <= len(load.acknowledged) + load.refused
            for store in load.stores:
                with contextlib.suppress(StoreUnavailableError):
                    await store.close()

        done(go())
        assert verify_database(url).problems == []
