"""The wiring of the message store: `messages.db` in the data directory, or the main database."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from zhiwei.assemble_messaging import SendingStore
from zhiwei.assemble_store import address_of
from zhiwei.clock import Clock, SystemClock
from zhiwei.messaging.model import MessageReader
from zhiwei.stores.messages.connection import FILE_NAME
from zhiwei.stores.messages.reader import SqliteMessageReader
from zhiwei.stores.messages.store import SqliteMessageStore


class ShownMessages(MessageReader, Protocol):
    """A reader that whoever shows messages closes."""

    def close(self) -> None:
        """Let go of it."""
        ...


def open_message_store(
    data_dir: Path, database: str = "", teller: int = 0
) -> tuple[SendingStore, Clock]:
    """What is sent from, and the clock that tries are timed by.

    Args:
        data_dir: holds `messages.db`, where there is no database.
        database: URL of the main store; empty = a file.
        teller: number of this teller in the database; 0 = a new one.

    Raises:
        DriverMissingError: psycopg is not installed.
        ZhiweiError: it cannot be opened; the message says why.
    """
    if not database:
        return SqliteMessageStore(data_dir), SystemClock()
    address = address_of(database)
    from zhiwei.stores.postgres.messages.store import PostgresMessageStore  # noqa: PLC0415 - an extra

    store = PostgresMessageStore(address, teller)
    return store, store.clock


def open_message_reader(data_dir: Path, database: str = "") -> ShownMessages:
    """Who shows messages; opened when somebody asks.

    Raises:
        DriverMissingError: psycopg is not installed.
        BadDatabaseUrlError: that is no URL of a database.
    """
    if not database:
        return SqliteMessageReader(data_dir / FILE_NAME)
    address = address_of(database)
    from zhiwei.stores.postgres.messages.reader import PostgresMessageReader  # noqa: PLC0415 - an extra

    return PostgresMessageReader(address)
