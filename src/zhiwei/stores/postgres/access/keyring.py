"""PostgresKeyring: the API keys that all servers of a database know; see `keyring.KeyStore`."""

from __future__ import annotations

from dataclasses import astuple
from typing import Final, final

from zhiwei.ports import ApiKey
from zhiwei.stores.postgres.access.queries import QUERIES
from zhiwei.stores.postgres.writing import WritingConnections

_CONNECTIONS: Final = 4


@final
class PostgresKeyring:
    """Keys by id. Thread-safe; called from threads that may wait."""

    def __init__(self, url: str, *, connections: int = _CONNECTIONS) -> None:
        """Look whether the database can be used, and make its tables where they are missing.

        Raises:
            StoreUnavailableError: there is no connection, or the tables cannot be made.
            ZhiweiError: the database cannot be used (`WritingConnections`).
        """
        self._database: Final = WritingConnections(url, connections, QUERIES)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def add(self, key: ApiKey) -> None:
        """Keep a new key."""
        self._database.write(lambda run: run.changed("add_key", *astuple(key)))

    def find(self, key_id: str) -> ApiKey | None:
        """The key of an id, revoked or not; None where there is none."""
        rows = self._database.rows("key", key_id)
        return ApiKey(*rows[0]) if rows else None

    def all(self) -> list[ApiKey]:
        """All keys, oldest first."""
        return [ApiKey(*row) for row in self._database.rows("keys")]

    def revoke(self, key_id: str, now_ms: int) -> bool:
        """Revoke a key for good; False where there is no such key or it was revoked before."""
        return self._database.write(lambda run: run.changed("revoke_key", key_id, now_ms)) == 1
