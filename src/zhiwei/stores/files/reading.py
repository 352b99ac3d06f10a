"""Reading a SQLite file beside its writer: connections that only read, one for each thread."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, final
from urllib.parse import quote

from zhiwei.ports import StoreUnavailableError

_BUSY_SECONDS: Final = 5.0


def has_log(path: Path) -> bool:
    """Whether the write-ahead log is there: some process has the file open, or died with it."""
    return path.with_name(path.name + "-wal").exists()


def open_read_only(path: Path, *, cache_kibibytes: int, leaves_nothing: bool) -> sqlite3.Connection:
    """A connection that only reads; it never checkpoints and never waits for the writer.

    `leaves_nothing`: where there is no log, nothing is created beside the file; files of SQLite
    that belong to whoever came by could keep the server from starting later.

    Raises:
        StoreUnavailableError: the file cannot be opened.
    """
    mode = "mode=ro&immutable=1" if leaves_nothing and not has_log(path) else "mode=ro"
    try:
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?{mode}",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=64,
        )
        connection.execute("pragma query_only = on")
        connection.execute("pragma wal_autocheckpoint = 0")
        connection.execute(f"pragma cache_size = -{cache_kibibytes}")
    except sqlite3.Error as error:
        message = f"`{path}` cannot be opened for reading: {error}"
        raise StoreUnavailableError(message) from error
    return connection


@final
class ThreadConnections:
    """A connection for each thread that asks, opened when it asks first."""

    def __init__(self, opened: Callable[[], sqlite3.Connection]) -> None:
        """`opened` opens one."""
        self._opened: Final = opened
        self._local: Final = threading.local()
        self._all: Final[list[sqlite3.Connection]] = []
        self._lock: Final = threading.Lock()
        self._is_open = True

    def of_this_thread(self) -> sqlite3.Connection:
        """This thread's connection.

        Raises:
            StoreUnavailableError: the file cannot be opened, or all were closed.
        """
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._opened()
            with self._lock:
                if not self._is_open:
                    connection.close()
                    message = "the store is closed"
                    raise StoreUnavailableError(message)
                self._all.append(connection)
            self._local.connection = connection
        return connection

    def close(self) -> None:
        """Close every connection; from now on there is none."""
        with self._lock:
            self._is_open = False
            for connection in self._all:
                connection.close()
            self._all.clear()
