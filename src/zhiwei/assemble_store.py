"""The wiring of the main store: one file in the data directory, or a database of PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zhiwei.core.errors import ZhiweiError
from zhiwei.journal.verify import Report, verify
from zhiwei.messaging_process.house_side import ImageReader
from zhiwei.ports import Store
from zhiwei.stores.sqlite.connection import FILE_NAME
from zhiwei.stores.sqlite.snapshot import Snapshot
from zhiwei.stores.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from zhiwei.stores.postgres.address import Address
    from zhiwei.stores.postgres.opening import Schema
    from zhiwei.stores.postgres.snapshot import PostgresSnapshot
    from zhiwei.stores.postgres.store import PostgresStore

#: Is told how many of how many steps of the start are done.
OnProgress = Callable[[int, int], None]


class DriverMissingError(ZhiweiError):
    """PostgreSQL needs a driver that is not installed: `pip install 'zhiwei[postgres]'`"""


@dataclass(frozen=True)
class MainStore:
    """The store of a house, whichever it is."""

    store: Store
    reader: ImageReader
    #: Batches that the engine may have in flight.
    lanes: int = 1
    #: What it promises less than it should, in sentences.
    weaknesses: tuple[str, ...] = ()
    #: How many versions of the policy were adopted by any server; None = there is one server.
    adopted: Callable[[], int] | None = None


def open_main_store(
    data_dir: Path, database: str = "", on_progress: OnProgress | None = None
) -> MainStore:
    """Open the database of a URL, or, where that is empty, the file in the data directory.

    Raises:
        ZhiweiError: it cannot be used; the message says why and what to do.
    """
    if database:
        postgres = open_postgres(database)
        reader = postgres.reader()
        return MainStore(
            postgres, reader, postgres.lanes, postgres.weaknesses, reader.adopted_policies
        )
    sqlite = SqliteStore(data_dir, on_progress=on_progress)
    return MainStore(sqlite, sqlite.reader())


def open_postgres(database: str) -> PostgresStore:
    """The store on a database.

    Raises:
        DriverMissingError: psycopg is not installed.
        ZhiweiError: the database cannot be used.
    """
    try:
        from zhiwei.stores.postgres.store import PostgresStore  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise missing(error) from None
    return PostgresStore(database)


def address_of(database: str) -> Address:
    """Where a database is.

    Raises:
        DriverMissingError: psycopg is not installed.
        BadDatabaseUrlError: that is no URL of a database.
    """
    try:
        from zhiwei.stores.postgres.address import Address  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise missing(error) from None
    return Address(database)


def snapshot_of(data_dir: Path, database: str = "") -> Snapshot | PostgresSnapshot:
    """Everything as of now, to be read with `with`; beside running servers.

    Raises:
        DriverMissingError: psycopg is not installed.
        ZhiweiError: it cannot be read.
    """
    return postgres_snapshot(database) if database else Snapshot(data_dir / FILE_NAME)


def postgres_snapshot(database: str) -> PostgresSnapshot:
    """Everything in a database as of now, to be read with `with`; beside running servers.

    Raises:
        DriverMissingError: psycopg is not installed.
        ZhiweiError: it cannot be read.
    """
    try:
        from zhiwei.stores.postgres.snapshot import PostgresSnapshot  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise missing(error) from None
    return PostgresSnapshot(database)


def verify_main_store(
    data_dir: Path,
    database: str,
    on_progress: OnProgress,
    after: bytes = b"",
    on_card: Callable[[bytes], None] | None = None,
    report: Report | None = None,
) -> Report:
    """Verify a file, or the cards of a database behind a key; `on_card` is told of each.

    With a database `report` is filled as it goes, for who is interrupted.

    Raises:
        DriverMissingError: psycopg is not installed.
        ZhiweiError: it cannot be read.
    """
    if not database:
        return verify(data_dir / FILE_NAME, on_progress)
    try:
        from zhiwei.journal.verify_database import verify_database  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise missing(error) from None
    return verify_database(database, on_progress, after=after, on_card=on_card, report=report)


def migrate_database(database: str, *, is_last: bool) -> Schema:
    """Bring a database's schema up to date; `is_last`: finish it, since no older server is left.

    Raises:
        DriverMissingError: psycopg is not installed.
        ZhiweiError: it cannot be done; the message says why and what to do.
    """
    try:
        from zhiwei.stores.postgres import opening  # noqa: PLC0415 - an extra
        from zhiwei.stores.postgres.steps import known_steps  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise missing(error) from None
    steps = known_steps()
    with address_of(database).open_for_reading() as connection:
        opening.made_ready(connection, steps)
        if is_last:
            return opening.finish(connection, steps)
        return opening.schema_of(connection, steps)


def missing(error: ModuleNotFoundError) -> Exception:
    """What to say of a module that is not there; a bug of ours stays one."""
    return DriverMissingError() if (error.name or "").startswith("psycopg") else error
