"""What the tests of the HTTP door share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.gateways.http.house import World, memory_world, sqlite_world


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A house on each store; what holds for one must hold for the other."""
    made = memory_world() if request.param == "memory" else sqlite_world(tmp_path)
    yield made
    made.close()


@pytest.fixture
def memory() -> Iterator[World]:
    """A house on the memory store, for what no store has a part in."""
    made = memory_world()
    yield made
    made.close()


@pytest.fixture
def house_with() -> Iterator[Callable[..., World]]:
    """Makes houses on the memory store with a policy or settings of their own."""
    made: list[World] = []

    def make(**settings: Any) -> World:  # noqa: ANN401 - whatever a World takes
        made.append(memory_world(**settings))
        return made[-1]

    yield make
    for one in made:
        one.close()
