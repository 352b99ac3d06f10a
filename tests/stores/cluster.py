"""A real PostgreSQL for the tests: one server for each worker, one database for each test.

Debian's binaries are used where they are, as a user without rights where the tests are root; else
the `pgserver` wheel. Where there is neither, tests fail and say so: a store that was not tested is
not supported.
"""

from __future__ import annotations

import importlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import psycopg

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


class NoPostgresError(Exception):
    """There is no PostgreSQL to test with."""


class Cluster:
    """A server that runs in a folder of its own."""

    def __init__(self, folder: Path, programs: Path, user: str | None) -> None:
        self.folder: Final = folder
        self.programs: Final = programs
        self.user: Final = user
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

    def control(self, *words: str) -> None:
        """Call `pg_ctl`."""
        program = str(self.programs / "pg_ctl")
        run([program, "-D", str(self.folder / "data"), "-w", *words], self.user)


def programs() -> Path:
    """The folder with `initdb` and `pg_ctl`.

    Raises:
        NoPostgresError: there is none.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("[0-9]*/bin/initdb"))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    if initdb:
        return Path(initdb).resolve().parent
    try:
        wheel = importlib.import_module("pgserver")
    except ImportError:
        message = (
            "no PostgreSQL to test the store with: install Debian's `postgresql`, or the wheel"
            " `pgserver` into .venv"
        )
        raise NoPostgresError(message) from None
    return Path(str(wheel.__file__)).parent / "pginstall" / "bin"


def servant() -> str | None:
    """The user that PostgreSQL runs as; None = ourselves, who are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise NoPostgresError("PostgreSQL does not run as root, and there is no other user")


def run(command: list[str], user: str | None) -> None:
    """Run one of PostgreSQL's programs.

    Raises:
        NoPostgresError: it failed; the message is what it said.
    """
    # pg_ctl leaves its server behind with our pipes open, so the output goes to a file.
    with tempfile.TemporaryFile("w+") as told:
        done = subprocess.run(command, stdout=told, stderr=told, user=user, cwd="/", check=False)
        told.seek(0)
        if done.returncode:
            raise NoPostgresError(f"`{Path(command[0]).name}` failed: {told.read()[-600:]}")


@contextmanager
def running_cluster(settings: dict[str, str] | None = None) -> Iterator[Cluster]:
    """A server with an empty schema as a template; gone afterwards.

    Raises:
        NoPostgresError: there is none to start.
    """
    where, user = programs(), servant()
    folder = Path(tempfile.mkdtemp(prefix="zhiwei-pg-"))
    if user is not None:
        shutil.chown(folder, user)
    cluster = Cluster(folder, where, user)
    data = folder / "data"
    try:
        initdb = [str(where / "initdb"), "-D", str(data), "-U", "app", "-A", "trust", "-k"]
        run([*initdb, "-E", "UTF8", "--locale=C.UTF-8"], user)
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
