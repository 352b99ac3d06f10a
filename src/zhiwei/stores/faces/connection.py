"""Connections to faces.sqlite3, and its schema; newer data and foreign files are refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from zhiwei.core.errors import ZhiweiError
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.files.reading import open_read_only
from zhiwei.stores.files.statements import migrations_of

FILE_NAME: Final = "faces.sqlite3"
#: `zhwf`: says whose file this is.
APPLICATION_ID: Final = 0x7A687766
_PACKAGE: Final = "zhiwei.stores.faces"
#: The command line writes the same file, a row at a time.
_BUSY_SECONDS: Final = 5.0
_READ_CACHE: Final = 1024
_AGAIN_SECONDS: Final = 0.01
#: The first SQLite that has strict tables and `returning`.
_OLDEST_SQLITE: Final = (3, 37, 0)


class NewerFacesError(ZhiweiError):
    """faces.sqlite3 was written by a newer version of this program; install that version"""


class ForeignFacesError(ZhiweiError):
    """faces.sqlite3 is a database of another program"""


def migrations() -> dict[int, str]:
    """Scripts by the number of the schema that they lead to, in order."""
    return migrations_of(_PACKAGE)


def open_writer(path: Path) -> sqlite3.Connection:
    """A connection that writes, with the schema made or brought up to date.

    Raises:
        StoreUnavailableError: the file cannot be opened or written.
        NewerFacesError: the schema is newer than this program.
        ForeignFacesError: the file belongs to another program, or is no database.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        message = f"this Python has SQLite {sqlite3.sqlite_version}; 3.37 or newer is needed"
        raise StoreUnavailableError(message)
    until = monotonic() + _BUSY_SECONDS
    while True:
        try:
            return _opened(path)
        except sqlite3.OperationalError as error:
            # Two that make a new file at once: SQLite lets one of them fail at once, and not wait,
            # while it changes the kind of the log.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > until:
                raise StoreUnavailableError(_cannot(path, error)) from error
            sleep(_AGAIN_SECONDS)
        except (OSError, sqlite3.Error) as error:
            raise StoreUnavailableError(_cannot(path, error)) from error


def _opened(path: Path) -> sqlite3.Connection:
    """A connection that writes; one try."""
    # The file is made readable to its owner only, before anything is written into it; SQLite
    # gives its log the same mode.
    path.touch(mode=0o600)
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        _check_is_ours(connection)
        connection.execute("pragma journal_mode = wal")
        # A commit is on the disk before it returns; the store takes that back where it need not be.
        connection.execute("pragma synchronous = full")
        _bring_up_to_date(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _cannot(path: Path, error: Exception) -> str:
    return f"`{path}` cannot be opened for writing: {error}"


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads, beside the writer.

    Raises:
        StoreUnavailableError: the file cannot be opened.
    """
    return open_read_only(path, cache_kibibytes=_READ_CACHE, leaves_nothing=False)


def _check_is_ours(connection: sqlite3.Connection) -> None:
    """Raise unless the file is empty, or ours and not newer than this program."""
    try:
        # One reading: who opens a new file at the same time makes its tables between two.
        connection.execute("begin")
        number = _schema_number(connection)
        owner = connection.execute("pragma application_id").fetchone()[0]
        tables = connection.execute("select count(*) from sqlite_schema").fetchone()[0]
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        message = f"faces.sqlite3 cannot be read as a database: {error}"
        raise ForeignFacesError(message) from error
    finally:
        if connection.in_transaction:
            connection.execute("rollback")
    if owner != APPLICATION_ID and (tables or number):
        raise ForeignFacesError
    newest = max(migrations())
    if number > newest:
        message = (
            f"faces.sqlite3 has schema {number}, this program knows up to {newest};"
            " install the version that wrote it"
        )
        raise NewerFacesError(message)


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Run each step that is missing, under the lock: two processes may open a new file at once."""
    if _schema_number(connection) == max(migrations()):
        return
    connection.execute("begin immediate")
    try:
        at = _schema_number(connection)
        for number, script in migrations().items():
            if number <= at:
                continue
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"pragma application_id = {APPLICATION_ID}")
            connection.execute(f"pragma user_version = {number}")
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


def _statements(script: str) -> list[str]:
    """The statements of a script one by one; `executescript` would commit in between."""
    found: list[str] = []
    whole = ""
    for line in script.splitlines(keepends=True):
        whole += line
        if sqlite3.complete_statement(whole):
            found.append(whole)
            whole = ""
    return found


def _schema_number(connection: sqlite3.Connection) -> int:
    number: int = connection.execute("pragma user_version").fetchone()[0]
    return number
