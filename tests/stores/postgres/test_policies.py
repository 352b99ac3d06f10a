"""Versions of the policy are counted across servers: a number is given once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.stores.cases import done
from zhiwei.core.command import Actor, Via
from zhiwei.core.result import Audit
from zhiwei.ports import PolicyChange, PolicyOvertakenError
from zhiwei.stores.postgres.store import PostgresStore

OFFICER = Actor("officer", Via.HTTP, is_staff=True)


def adopted(store: PostgresStore, record_id: str, number: int) -> Coroutine[Any, Any, None]:
    """Adopt a change under a number."""
    change = PolicyChange(
        record_id, 1, "op", "why", "{}", record_id, "", 0, state="adopted", number=number
    )
    audit = Audit("policy.adopted", record_id, "", "")
    return store.keep([change], [audit], OFFICER, 1)


def test_of_two_servers_that_adopt_at_once_one_is_refused(database: str) -> None:
    """Nothing of the refused one is kept, and the store goes on."""
    here, there = PostgresStore(database), PostgresStore(database)

    async def race(number: int) -> list[BaseException | None]:
        work = (adopted(here, f"pch_a{number}", number), adopted(there, f"pch_b{number}", number))
        return list(await asyncio.gather(*work, return_exceptions=True))

    for number in range(1, 6):
        outcomes = done(race(number))
        assert [type(outcome) for outcome in outcomes if outcome] == [PolicyOvertakenError]
        assert here.reader().adopted_policies() == number
    assert len(here.reader().audits()) == 5
    done(adopted(here, "pch_c", 6))
    for store in (here, there):
        done(store.close())


def test_a_number_cannot_be_left_out(database: str) -> None:
    """A server that has not seen the last version adopts nothing."""
    store = PostgresStore(database)
    done(adopted(store, "pch_a", 1))
    for number in (1, 3):
        with pytest.raises(PolicyOvertakenError):
            done(adopted(store, "pch_b", number))
    done(store.close())
