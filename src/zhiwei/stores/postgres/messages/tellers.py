"""Tellers: which servers send messages just now, and what is free because one is no more."""

from __future__ import annotations

from typing import Final, final

import structlog

from zhiwei.stores.postgres.messages.connection import MessageConnection

_log: Final = structlog.get_logger()
#: A teller that has not said for so long that it lives has lost what it held.
HELD_SECONDS: Final = 15


@final
class Teller:
    """One of them, by its number."""

    def __init__(self, connection: MessageConnection, number: int) -> None:
        """`number` is its own; only one who is certainly dead had the same."""
        self._connection: Final = connection
        self._number: Final = number
        self._is_new = True

    def renew(self) -> int:
        """Say that it lives, and free what nobody holds any more; the database's instant (UTC ms).

        Call it within a transaction.
        """
        connection, number = self._connection, self._number
        known = connection.rows("teller", number)
        with connection.pipeline():
            if known and known[0][0]:
                # It was late itself; where that was the database's doing, so were the others.
                connection.run("spare_the_late", HELD_SECONDS)
            connection.run("begin_to_tell", number, HELD_SECONDS)
            buried = connection.run("bury_tellers")
            # What its predecessor under this number had, nobody has.
            self._free(number if self._is_new else 0)
            now = connection.run("now")
        self._is_new = False
        if gone := buried.fetchall():
            _log.warning("messages_taken_over", tellers=len(gone))
        rows: list[tuple[int]] = now.fetchall()
        return rows[0][0]

    def retire(self) -> None:
        """Give everything back; within a transaction."""
        if self._is_new:
            return
        with self._connection.pipeline():
            self._connection.run("forget_teller", self._number)
            self._free(self._number)

    def _free(self, number: int) -> None:
        for name in ("free_lanes", "free_senders", "free_undeliverable"):
            self._connection.run(name, number)
