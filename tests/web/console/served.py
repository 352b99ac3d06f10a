"""A console that a browser can visit: the house in a thread of its own, served on a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from playwright.sync_api import BrowserContext
from tests.web.console.desk import Desk
from tests.web.console.frame import Visitors, app_of

from zhiwei.core.command import Actor
from zhiwei.core.result import Audit
from zhiwei.http_thread import HttpThread
from zhiwei.metrics import Metrics
from zhiwei.ports import Kept
from zhiwei.stores.faces import SqliteFaceStore
from zhiwei.web.sign_in.cookies import SESSION
from zhiwei.web.sign_in.model import Role

T = TypeVar("T")


class Served:
    """What a test does with the house while a browser looks at its console."""

    def __init__(self, folder: Path) -> None:
        # Playwright's loop is this thread's; the house has another one, and its loop with it.
        self._pool = ThreadPoolExecutor(1)
        self.desk = self.there(lambda: Desk(folder))
        self.faces = SqliteFaceStore(folder)
        self.visitors = Visitors(self.faces, self.desk.world.clock)
        house = replace(self.desk.world.house, keep=self._keep, metrics=Metrics().registry)
        app = app_of(house, self.visitors)
        self._watch = app.state.console.watch
        self._thread = HttpThread(lambda _host, _port: app, "127.0.0.1", 0)
        _, port = self._thread.start()
        self.site = f"http://localhost:{port}"

    def there(self, work: Callable[[], T]) -> T:
        """Do something in the house's thread."""
        return self._pool.submit(work).result()

    async def _keep(self, records: Sequence[Kept], audits: Sequence[Audit], actor: Actor) -> None:
        world = self.desk.world

        async def kept() -> None:
            await world.house.keep(records, audits, actor)

        await asyncio.wrap_future(self._pool.submit(lambda: world.run(kept())))

    def sign_in(
        self, context: BrowserContext, who: str = "op_agent", role: Role = Role.AGENT
    ) -> None:
        """Give a browser the cookie of an operator's session."""
        cookie, _ = self.visitors.sign_in(who, role)
        context.add_cookies([{"name": SESSION, "value": cookie, "url": self.site}])

    def close(self) -> None:
        """Close door and house."""
        self._watch.stop()
        self._thread.stop()
        self.there(self.desk.close)
        self.faces.close()
        self._pool.shutdown()


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """A console on a socket, until the end of the block."""
    made = Served(folder)
    try:
        yield made
    finally:
        made.close()
