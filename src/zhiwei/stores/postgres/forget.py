"""Forgetting: digests and stored answers go after seven days, a small portion at a time.

Every server walks for itself; that two of them find the same row does no harm.
"""

from __future__ import annotations

from typing import Final, final

from zhiwei.stores.coding.recent import KEPT_SECONDS
from zhiwei.stores.postgres import asks
from zhiwei.stores.postgres.arrays import bigint, bigint_array, bytea_array, number_of
from zhiwei.stores.postgres.line import Ask, Line

PORTION: Final = 500
#: After a walk through everything, the next one begins this much later.
EVERY_MS: Final = 3_600_000


@final
class Forgetting:
    """How far the walk has come."""

    def __init__(self) -> None:
        self._after: tuple[bytes, bytes, int] = (b"", b"", 0)
        self._due_ms = 0

    def is_due(self, clock_ms: int) -> bool:
        """Whether there may be something to forget."""
        return clock_ms >= self._due_ms

    async def a_portion(self, line: Line, clock_ms: int, seconds: float) -> None:
        """Look through the next portion, in a transaction of its own.

        Raises:
            LineLostError, StatementError: it did not succeed.
        """
        oldest = clock_ms // 1000 - KEPT_SECONDS
        card_key, digest, version = self._after
        walk = (b"old_keys_from", (card_key, digest, bigint(version), bigint(PORTION)))
        (answer,) = await line.trip([walk], seconds)
        rows = [
            (row[0] or b"", row[1] or b"", number_of(row[2] or b""), number_of(row[3] or b""))
            for row in answer.rows()
        ]
        expired = [row for row in rows if row[3] <= oldest]
        statements: list[Ask] = [asks.BEGIN]
        if expired:
            keys, digests, versions, _ = zip(*expired, strict=True)
            named = (bytea_array(keys), bytea_array(digests), bigint_array(versions))
            statements.append((b"delete_old_keys", named))
        is_last = len(rows) < PORTION
        if is_last:
            bounds = (b"stored_answer", bigint(oldest * 1000), bigint(PORTION))
            statements.append((b"delete_records", bounds))
        answers = await line.trip([*statements, asks.COMMIT], seconds)
        if not is_last:
            self._after = rows[-1][:3]
        elif answers[-2].touched < PORTION:
            self._after = (b"", b"", 0)
            self._due_ms = clock_ms + EVERY_MS
