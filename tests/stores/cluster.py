"""A real PostgreSQL for the tests: one server for each worker, one database for each test.

Where there is none, tests fail and say so: a store that was not tested is not supported. Several
nodes, and what befalls them, are `zhiwei.bench.postgres.cluster`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from time import sleep
from typing import Any, Final

import psycopg

from zhiwei.bench.postgres.programs import required_programs, run_program, servant
from zhiwei.stores.postgres.store import PostgresStore

_SETTINGS: Final = {
    "listen_addresses": "''",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "32MB",
    "max_connections": "120",
    "autovacuum": "off",
    "jit": "off",
}
TEMPLATE: Final = "zhiwei_template"


class Cluster:
    """A server that runs in a folder of its own."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder: Final = folder
        self.programs: Final = programs
        self._numbers: Final = count(1)

    def url(self, database: str, user: str = "app", **words: str) -> str:
        """How to connect, over the socket in its folder."""
        more = "".join(f"&{name}={value}" for name, value in words.items())
        return f"postgresql:///{database}?host={self.folder}&user={user}{more}"

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / ".s.PGSQL.5432"

    def new_database(self, template: str = TEMPLATE) -> str:
        """Make a database; its name."""
        name = f"t{next(self._numbers)}"
        self.execute(f"create database {name} template {template}")
        return name

    def drop(self, database: str) -> None:
        """Drop a database, whoever is connected."""
        self.execute(f"drop database if exists {database} with (force)")

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as the owner of everything; its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def wait_for_standbys(self, names: str) -> None:
        """Have commits wait for these standbys from now on; for nobody, if there are none.

        A reload is done when PostgreSQL's processes come to it. New sessions show the setting once
        all of them were told; the one that makes commits wait reads it before its next checkpoint.
        """
        self.execute(f"alter system set synchronous_standby_names = '{names}'")
        self.execute("select pg_reload_conf()")
        while self.execute("show synchronous_standby_names") != [(names,)]:
            sleep(0.01)
        self.execute("checkpoint")

    def control(self, *words: str) -> None:
        """Call `pg_ctl`."""
        program = str(self.programs / "pg_ctl")
        run_program([program, "-D", str(self.folder / "data"), "-w", *words])


@contextmanager
def running_cluster(settings: dict[str, str] | None = None, *words: str) -> Iterator[Cluster]:
    """A server with an empty schema as a template; gone afterwards. `words` are for `initdb`.

    Raises:
        ServerFailedError: there is none to start.
    """
    where, user = required_programs(), servant()
    folder = Path(tempfile.mkdtemp(prefix="zhiwei-pg-"))
    if user is not None:
        shutil.chown(folder, user)
    cluster = Cluster(folder, where)
    data = folder / "data"
    try:
        initdb = [str(where / "initdb"), "-D", str(data), "-U", "app", "-A", "trust", "-k"]
        run_program([*initdb, "-E", "UTF8", "--locale=C.UTF-8", *words])
        lines = [f"{name} = {value}" for name, value in {**_SETTINGS, **(settings or {})}.items()]
        lines.append(f"unix_socket_directories = '{folder}'")
        with (data / "postgresql.conf").open("a") as file:
            file.write("\n".join(lines) + "\n")
        cluster.control("start", "-l", str(folder / "log"))
        try:
            cluster.execute(f"create database {TEMPLATE}")
            made = PostgresStore(cluster.url(TEMPLATE))
            made.reader().close()
            yield cluster
        finally:
            cluster.control("stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
