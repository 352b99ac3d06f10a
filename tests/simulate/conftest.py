"""One real server for the tests of the simulation: started as a program, with a movable clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from zhiwei.demo.server import Server
from zhiwei.simulate.bank import Bank
from zhiwei.simulate.http_door import HttpDoor


@dataclass(frozen=True)
class Running:
    """A server that runs, and an issuer key for it."""

    server: Server
    key: str
    #: The issuer's systems.
    bank: Bank


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`zhiwei serve --test-mode` on free ports."""
    folder = tmp_path_factory.mktemp("simulate")
    server = Server(folder / "data", folder / "server.log")
    server.start()
    key = server.key("issuer")
    bank = Bank(HttpDoor(server.http, key))
    try:
        yield Running(server, key, bank)
    finally:
        bank.door.close()
        server.stop()
