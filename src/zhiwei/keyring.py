"""Keyring: the API keys of one data directory, in a small database of their own.

The main database has exactly one writing process, the server. Keys are made by the command line
while the server runs, so they lie beside it, and the server sees a new or revoked key with its next
call. With a database the keys stand there (`stores.postgres.access`); both are a `KeyStore`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Protocol, final

from zhiwei.ports import ApiKey, StoreUnavailableError

FILE_NAME: Final = "keys.sqlite3"
_COLUMNS: Final = "id, created_ms, secret_hash, scope, subject, label, revoked_ms"
_SCHEMA: Final = """
create table if not exists api_key (
    id text primary key,
    created_ms integer not null,
    secret_hash text not null,
    scope text not null,
    subject text not null,
    label text not null,
    revoked_ms integer not null
) strict
"""


class KeyringError(StoreUnavailableError):
    """the keys of this data directory cannot be read or written"""


class KeyStore(Protocol):
    """Keeps the API keys. Thread-safe; every call is one transaction, and may wait.

    A key that was made or revoked anywhere is so for every server of these data with its next call.
    All raise StoreUnavailableError where the keys cannot be read or written.
    """

    def add(self, key: ApiKey) -> None:
        """Keep a new key."""

    def find(self, key_id: str) -> ApiKey | None:
        """The key of an id, revoked or not; None where there is none."""

    def all(self) -> Sequence[ApiKey]:
        """All keys, oldest first."""

    def revoke(self, key_id: str, now_ms: int) -> bool:
        """Revoke a key for good; False where there is no such key or it was revoked before."""

    def close(self) -> None:
        """Let go of what is open."""


@final
class Keyring:
    """Keys by id. Every thread has a connection of its own."""

    def __init__(self, data_dir: Path) -> None:
        self._path: Final = data_dir / FILE_NAME
        self._local: Final = threading.local()
        self._all: Final[list[sqlite3.Connection]] = []
        self._is_open = True
        try:
            # The file is made readable to its owner only, before anything is written into it.
            self._path.touch(mode=0o600)
            with closing(self._open()) as connection:
                connection.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise KeyringError(f"the keys cannot be opened: {error}") from None

    def add(self, key: ApiKey) -> None:
        """Keep a new key.

        Raises:
            KeyringError: the file cannot be written.
        """
        self._write(
            f"insert into api_key ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own names
            (
                key.id,
                key.created_ms,
                key.secret_hash,
                key.scope,
                key.subject,
                key.label,
                key.revoked_ms,
            ),
        )

    def find(self, key_id: str) -> ApiKey | None:
        """The key of an id, revoked or not; None where there is none."""
        rows = self._read(
            f"select {_COLUMNS} from api_key where id = ?",  # noqa: S608 - our own names
            (key_id,),
        )
        return ApiKey(*rows[0]) if rows else None

    def all(self) -> list[ApiKey]:
        """All keys, oldest first."""
        rows = self._read(
            f"select {_COLUMNS} from api_key order by created_ms, id",  # noqa: S608 - our own names
            (),
        )
        return [ApiKey(*row) for row in rows]

    def revoke(self, key_id: str, now_ms: int) -> bool:
        """Revoke a key for good; False where there is no such key or it was revoked before."""
        return (
            self._write(
                "update api_key set revoked_ms = ? where id = ? and revoked_ms = 0",
                (now_ms, key_id),
            )
            == 1
        )

    def close(self) -> None:
        """Close every connection; to be called when no thread asks any more."""
        self._is_open = False
        for connection in self._all:
            connection.close()

    def _read(self, statement: str, values: tuple[str, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._connection().execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise KeyringError(f"the keys cannot be read: {error}") from None

    def _write(self, statement: str, values: tuple[str | int, ...]) -> int:
        try:
            return self._connection().execute(statement, values).rowcount
        except sqlite3.Error as error:
            raise KeyringError(f"the keys cannot be written: {error}") from None

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if not self._is_open:
            raise KeyringError("the keys were closed")
        if connection is None:
            connection = self._local.connection = self._open()
            self._all.append(connection)
        return connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=5.0, isolation_level=None, check_same_thread=False
        )
        connection.execute("pragma synchronous = full")
        return connection
