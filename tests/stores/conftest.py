"""Every store, as a fixture; a test that takes `open_store` runs on each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stores.cases import done
from zhiwei.ports import Store
from zhiwei.stores.memory import MemoryStore
from zhiwei.stores.sqlite.store import SqliteStore

#: Opens the store; opening again closes it first, and comes back with what was kept.
OpenStore = Callable[[], Store]


@pytest.fixture(params=["memory", "sqlite"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Open a store, or open it again: what was committed must be there."""
    opened: list[Store] = []

    def memory() -> Store:
        if not opened:
            opened.append(MemoryStore())
        return opened[0]

    def sqlite() -> Store:
        for store in opened:
            done(store.close())
        opened[:] = [SqliteStore(tmp_path)]
        return opened[0]

    yield memory if request.param == "memory" else sqlite
    for store in opened:
        done(store.close())


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    """A new store."""
    return open_store()
