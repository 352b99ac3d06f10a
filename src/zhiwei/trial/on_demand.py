"""On demand: cards of a database, copied into memory when a trial first names them.

The database is only read, all of it as of one instant, beside running servers; a trial of a few
cards reads those, however many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, final

from zhiwei.core.command import Actor, Via
from zhiwei.core.result import Audit, Result
from zhiwei.gateways.in_force import ADOPTED
from zhiwei.ports import Batch, Kept, PassOver, PolicyChange, Step
from zhiwei.stores.memory import MemoryStore

if TYPE_CHECKING:
    from zhiwei.stores.postgres.snapshot import PostgresSnapshot


@final
class CardsOnDemand:
    """A store that forgets, with the cards of a database; its reader knows those named so far."""

    def __init__(self, snapshot: PostgresSnapshot) -> None:
        self._snapshot: Final = snapshot
        self._memory: Final = MemoryStore()
        self._named: Final[set[bytes]] = set()

    async def bring_policies(self) -> None:
        """Copy what was adopted, so that the reader tells which policy holds.

        Raises:
            StoreUnavailableError: the database cannot be read.
        """
        changes = self._snapshot.records_of(PolicyChange, ADOPTED)
        await self._memory.keep(changes, [], Actor("trial", Via.CLI), 0)

    async def transact(
        self, batch: Batch, step: Step, clock_ms: int, *, pass_over: PassOver | None = None
    ) -> list[Result]:
        """Carry out commands on the copies; see `ports.Store`.

        Raises:
            CorruptFileError: a card is damaged in the database.
            StoreUnavailableError: the database does not answer any more.
        """
        for command in batch:
            self._bring(command.card_key)
        return await self._memory.transact(batch, step, clock_ms, pass_over=pass_over)

    async def keep(
        self, records: Sequence[Kept], audits: Sequence[Audit], actor: Actor, clock_ms: int
    ) -> None:
        """Keep records in memory."""
        await self._memory.keep(records, audits, actor, clock_ms)

    async def tidy(self, clock_ms: int) -> bool:
        """Nothing can wait here."""
        return await self._memory.tidy(clock_ms)

    def reader(self) -> MemoryStore:
        """What was named and what came of it."""
        return self._memory

    async def close(self) -> None:
        """Nothing to finish; the snapshot is its owner's."""

    def _bring(self, card_key: bytes) -> None:
        """Copy a card, once."""
        if card_key in self._named:
            return
        found = self._snapshot.card(card_key)
        if found is not None:
            state, entries = found
            self._memory.take_in(state, [(one.entry, one.filing.keys) for one in entries])
        self._named.add(card_key)
