"""Connections to the file, set up for what they do, and the schema brought up to date."""

from __future__ import annotations

import sqlite3
from importlib.resources import files
from pathlib import Path
from typing import Final

from zhiwei.core.errors import ZhiweiError
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.files.reading import open_read_only
from zhiwei.stores.files.statements import migrations_of

FILE_NAME: Final = "zhiwei.db"
#: `zhwi`: says whose file this is.
APPLICATION_ID: Final = 0x7A687769
PAGE_BYTES: Final = 4096
_PACKAGE: Final = "zhiwei.stores.sqlite"
_BUSY_SECONDS: Final = 5.0
#: Cache of pages of each reading connection, in KiB.
_READ_CACHE: Final = 8192
#: The first SQLite with strict tables.
_OLDEST_SQLITE: Final = (3, 37, 0)


class NewerDataError(ZhiweiError):
    """the data were written by a newer version of this program; install that version"""


class ForeignFileError(ZhiweiError):
    """the file is a database of another program"""


def migrations() -> dict[int, str]:
    """Scripts by the number of the schema that they make."""
    return migrations_of(_PACKAGE)


def open_writer(path: Path, cache_bytes: int) -> sqlite3.Connection:
    """The one connection that writes.

    Raises:
        StoreUnavailableError: the file cannot be opened or written.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        message = f"this Python has SQLite {sqlite3.sqlite_version}; 3.37 or newer is needed"
        raise StoreUnavailableError(message)
    try:
        connection = sqlite3.connect(
            path,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.execute(f"pragma page_size = {PAGE_BYTES}")
        # With `full`, a commit is on the disk before it returns.
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute(f"pragma cache_size = -{cache_bytes // 1024}")
        # Copying back from the log is the business of one thread (checkpoints.py).
        connection.execute("pragma wal_autocheckpoint = 0")
        # Deleted rows hold nothing that newer rows do not; overwriting them with zeros is for
        # nothing, and some builds do it unless told.
        connection.execute("pragma secure_delete = off")
        # A transaction never outgrows the cache; spilling early would write pages twice.
        connection.execute("pragma cache_spill = off")
    except sqlite3.Error as error:
        message = f"`{path}` cannot be opened for writing: {error}"
        raise StoreUnavailableError(message) from error
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads, beside the server of this process or of another one.

    Raises:
        StoreUnavailableError: the file cannot be opened.
    """
    return open_read_only(path, cache_kibibytes=_READ_CACHE, leaves_nothing=False)


def open_visitor(path: Path) -> sqlite3.Connection:
    """A connection for who reads from another process, whether a server is there or not.

    Raises:
        StoreUnavailableError: the file cannot be opened.
    """
    return open_read_only(path, cache_kibibytes=_READ_CACHE, leaves_nothing=True)


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Make the schema, or bring an older one to the newest.

    Raises:
        NewerDataError: the schema is newer than this program.
        ForeignFileError: the file belongs to another program.
        StoreUnavailableError: the schema cannot be written.
    """
    check_is_ours(connection)
    steps = migrations()
    try:
        at = _schema_number(connection)
        if at == 0:
            script = (files(_PACKAGE) / "schema.sql").read_text(encoding="utf-8")
            _run(connection, script, max(steps))
            return
        for number, script in steps.items():
            if number > at:
                _run(connection, script, number)
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("rollback")
        message = f"the data cannot be brought up to date: {error}"
        raise StoreUnavailableError(message) from error


def check_is_ours(connection: sqlite3.Connection) -> None:
    """Raise unless the file is empty, or ours and not newer than this program.

    Raises:
        NewerDataError: the schema is newer than this program.
        ForeignFileError: the file belongs to another program, or is no database.
    """
    try:
        number = _schema_number(connection)
        owner = connection.execute("pragma application_id").fetchone()[0]
        tables = connection.execute("select count(*) from sqlite_schema").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise ForeignFileError(f"the file cannot be read as a database: {error}") from error
    if owner != APPLICATION_ID and (tables or number):
        raise ForeignFileError
    newest = max(migrations())
    if number > newest:
        message = (
            f"the data have schema {number}, this program knows up to {newest};"
            " install the version that wrote them"
        )
        raise NewerDataError(message)


def _schema_number(connection: sqlite3.Connection) -> int:
    number: int = connection.execute("pragma user_version").fetchone()[0]
    return number


def _run(connection: sqlite3.Connection, script: str, number: int) -> None:
    """Run a script as one transaction, all or nothing, and note the number it leads to."""
    connection.executescript(
        "begin immediate;\n"
        f"{script}\n"
        f"pragma application_id = {APPLICATION_ID};\n"
        f"pragma user_version = {number};\n"
        "commit;"
    )
