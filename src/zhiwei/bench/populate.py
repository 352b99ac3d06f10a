"""Filling a data directory with the bench's cards and their controls.

Two ways: `by_commands` does what the doors would do, one command for each control, so that every
card can be replayed by `zhiwei verify`; otherwise a card and all its controls are written as one
registration, which is many times quicker and good for measuring only.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Final, cast
from zoneinfo import ZoneInfo

from zhiwei.assemble import VAULT_FILE_NAME
from zhiwei.bench.habits import night_hours
from zhiwei.bench.processes import ServerFailedError
from zhiwei.bench.registration import ZONE, OneEntryStep, Registrar
from zhiwei.collector import without_collector
from zhiwei.core.policy import DEFAULT_POLICY
from zhiwei.guardian import guardian_under
from zhiwei.guardian.desk import Guardian
from zhiwei.ports import Reader, Step, Store
from zhiwei.stores.sqlite.store import SqliteStore
from zhiwei.vault import Vault, open_vault

_BATCH: Final = 500


def populate(
    data: Path,
    cards: int,
    *,
    by_commands: bool = False,
    day_limit_minor: int | None = None,
    progress: Callable[[int], None] | None = None,
    database: str | None = None,
) -> None:
    """Register cards 0 to `cards` - 1 of `bench.cards` with the controls of `bench.habits`.

    `day_limit_minor` replaces the day's limit of every card. `progress` is told how many are in.
    The directory is made; it must not hold data yet. With `database` (`postgresql://…`) the cards
    go there, and the directory gets no more than the key of their numbers.
    """
    data.mkdir(parents=True, mode=0o700)
    night = night_hours(datetime.now(ZoneInfo(ZONE)).hour)
    registrar = Registrar(vault_of(data), night, day_limit_minor)
    guardian = guardian_under(DEFAULT_POLICY)
    store = store_of(data, database)
    asyncio.run(_fill(store, guardian, registrar, cards, by_commands, progress))


async def _fill(
    store: Store,
    guardian: Guardian,
    registrar: Registrar,
    cards: int,
    by_commands: bool,
    progress: Callable[[int], None] | None,
) -> None:
    """Carry out the registrations, batch by batch, and close the store."""
    try:
        # A million files, none of them in a cycle, would be walked again and again.
        with without_collector():
            for first in range(0, cards, _BATCH):
                numbers = range(first, min(first + _BATCH, cards))
                clock_ms = time.time_ns() // 1_000_000
                opening = [registrar.register(card, clock_ms) for card in numbers]
                step: Step = guardian.step
                if not by_commands:
                    keys = [command.card_key for command in opening]
                    step = OneEntryStep(guardian, registrar, dict(zip(keys, numbers, strict=True)))
                await store.transact(opening, step, clock_ms)
                if by_commands:
                    settings = list(chain.from_iterable(map(registrar.settings, numbers)))
                    await store.transact(settings, step, clock_ms)
                if progress is not None:
                    progress(first + len(numbers))
    finally:
        await store.close()


def vault_of(data: Path) -> Vault:
    """Open the vault of a data directory, as the server does."""
    return open_vault(data / VAULT_FILE_NAME)


def store_of(data: Path, database: str | None = None) -> Store:
    """Open the store in a data directory, or the one in a PostgreSQL database.

    Raises `ServerFailedError` where this version has none on PostgreSQL.
    """
    if database is None:
        return SqliteStore(data)
    try:
        module = importlib.import_module("zhiwei.stores.postgres.store")
    except ImportError as error:
        raise ServerFailedError(f"there is no store on PostgreSQL here: {error}") from error
    return cast("Store", module.PostgresStore(database))


@contextmanager
def reading(data: Path, database: str | None = None) -> Iterator[Reader]:
    """Read a data directory that no server uses, or a database."""
    store = store_of(data, database)
    try:
        yield store.reader()
    finally:
        asyncio.run(store.close())
