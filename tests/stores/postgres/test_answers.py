"""Records of two servers: of two that answer one call, or change one record, at once, one does."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.stores.cases import NOON, STAFF, done
from zhiwei.ports import (
    Cardholder,
    CaseFile,
    Record,
    RecordOvertakenError,
    RecordStandsError,
    Replacing,
    StoredAnswer,
    Subscription,
)
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


def test_of_two_servers_that_change_a_record_at_once_one_is_refused(database: str) -> None:
    """Whether there was one before or not, and whatever else the two records are named by."""
    stores = [PostgresStore(database), PostgresStore(database)]
    cases = [CaseFile("chg_1", NOON), CaseFile("chg_2", NOON)]
    subscription = Subscription("sub_1", NOON, "https://bank.example")
    done(stores[0].keep([subscription], [], STAFF, NOON))

    async def race(number: int, seen: list[Record | None]) -> list[BaseException | None]:
        def newer(place: int) -> list[Replacing]:
            word = f"{number} by {place}"
            changed = [replace(case, note=word) for case in cases]
            records: list[Record] = [replace(subscription, description=word), *changed]
            made = [Replacing(*pair) for pair in zip(records, seen, strict=True)]
            # In another order each, which must not make them wait for each other for ever.
            return made[:: 1 - 2 * place]

        work = [store.keep(newer(place), [], STAFF, NOON) for place, store in enumerate(stores)]
        return list(await asyncio.gather(*work, return_exceptions=True))

    seen: list[Record | None] = [subscription, None, None]
    reader = stores[0].reader()
    for number in range(10):
        outcomes = done(race(number, seen))
        assert [type(outcome) for outcome in outcomes if outcome] == [RecordOvertakenError]
        winner = outcomes.index(None)
        kept = reader.record(Subscription, subscription.id)
        assert kept is not None
        assert kept.description == f"{number} by {winner}"
        seen = [kept, *[reader.record(CaseFile, case.id) for case in cases]]
        assert seen[1:] == [replace(case, note=kept.description) for case in cases]
    for store in stores:
        done(store.close())
