"""Connections to messages.db, and its schema; newer data and foreign files are refused."""

from __future__ import annotations

import sqlite3
from importlib.resources import files
from pathlib import Path
from typing import Final

from zhiwei.core.errors import ZhiweiError
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.files.reading import open_read_only

FILE_NAME: Final = "messages.db"
#: `zhwm`: says whose file this is.
APPLICATION_ID: Final = 0x7A68776D
#: Number of the schema that this program makes.
SCHEMA: Final = 1
_BUSY_SECONDS: Final = 5.0
#: Cache of pages of each reading connection, in KiB.
_READ_CACHE: Final = 4096
_OLDEST_SQLITE: Final = (3, 37, 0)


class NewerMessagesError(ZhiweiError):
    """messages.db was written by a newer version of this program; install that version"""


class ForeignMessagesError(ZhiweiError):
    """messages.db is a database of another program"""


def open_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes, with the schema made where the file is new.

    Raises:
        StoreUnavailableError: the file cannot be opened or written.
        NewerMessagesError: the schema is newer than this program.
        ForeignMessagesError: the file belongs to another program, or is no database.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        message = f"this Python has SQLite {sqlite3.sqlite_version}; 3.37 or newer is needed"
        raise StoreUnavailableError(message)
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(
            path,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=128,
        )
        number = _checked_schema(connection)
        connection.execute("pragma journal_mode = wal")
        # A commit is on the disk before it returns; the store takes that back where it need not be.
        connection.execute("pragma synchronous = full")
        connection.execute("pragma cache_size = -32768")
        if number == 0:
            _make(connection)
    except (NewerMessagesError, ForeignMessagesError):
        if connection is not None:
            connection.close()
        raise
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        message = f"`{path}` cannot be opened for writing: {error}"
        raise StoreUnavailableError(message) from error
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads, whether a server is there or not.

    Raises:
        StoreUnavailableError: the file cannot be opened.
    """
    return open_read_only(path, cache_kibibytes=_READ_CACHE, leaves_nothing=True)


def _checked_schema(connection: sqlite3.Connection) -> int:
    """Number of the file's schema; 0 for an empty file."""
    try:
        number: int = connection.execute("pragma user_version").fetchone()[0]
        owner = connection.execute("pragma application_id").fetchone()[0]
        tables = connection.execute("select count(*) from sqlite_schema").fetchone()[0]
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        message = f"messages.db cannot be read as a database: {error}"
        raise ForeignMessagesError(message) from error
    if owner != APPLICATION_ID and (tables or number):
        raise ForeignMessagesError
    if number > SCHEMA:
        message = (
            f"messages.db has schema {number}, this program knows up to {SCHEMA};"
            " install the version that wrote it"
        )
        raise NewerMessagesError(message)
    return number


def _make(connection: sqlite3.Connection) -> None:
    """Make everything as one transaction."""
    script = (files(__package__) / "schema.sql").read_text(encoding="utf-8")
    connection.executescript(
        f"begin immediate;\n{script}\npragma application_id = {APPLICATION_ID};\n"
        f"pragma user_version = {SCHEMA};\ncommit;"
    )
