"""One answer for one call: of two servers that get it at once, one keeps what it made."""

from __future__ import annotations

import asyncio

from tests.stores.cases import NOON, STAFF, done
from zhiwei.ports import Cardholder, RecordStandsError, StoredAnswer
from zhiwei.stores.postgres.store import PostgresStore


def test_of_two_servers_that_answer_at_once_one_is_refused(database: str) -> None:
    """Nothing of the refused one is kept, and both stores go on."""
    stores = [PostgresStore(database), PostgresStore(database)]

    async def race(number: int) -> list[BaseException | None]:
        work = [
            store.keep(
                [
                    Cardholder(f"ch_{number}_{place}", NOON),
                    StoredAnswer(f"idem_{number}", NOON, "hash", 201, str(place)),
                ],
                [],
                STAFF,
                NOON,
            )
            for place, store in enumerate(stores)
        ]
        return list(await asyncio.gather(*work, return_exceptions=True))

    for number in range(10):
        outcomes = done(race(number))
        assert [type(outcome) for outcome in outcomes if outcome] == [RecordStandsError]
        kept = stores[0].reader().record(StoredAnswer, f"idem_{number}")
        assert kept is not None
        assert outcomes[int(kept.answer)] is None
    assert len(stores[1].reader().records(Cardholder)) == 10
    for store in stores:
        done(store.close())
