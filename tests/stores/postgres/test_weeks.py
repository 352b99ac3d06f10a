"""Weeks: partitions come by themselves, may be dropped, and hold each version once."""

from __future__ import annotations

import psycopg
import pytest

from tests.stores.cases import DAY, NOON, STEP, done, key_of, purchase, registration, reversal
from zhiwei.core.entry import GroupState
from zhiwei.core.reason import Reason
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.postgres.store import PostgresStore
from zhiwei.stores.postgres.weeks import WEEK_MS, partition_name, week_named, week_of

WEEK = 7 * DAY


def partitions(url: str, table: str) -> list[str]:
    """Names of a table's partitions."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select inhrelid::regclass::text from pg_inherits where inhparent = %s::regclass"
            " order by 1",
            (table,),
        )
        return [row[0] for row in rows]


def test_a_week_has_a_name_that_a_person_can_read() -> None:
    """It is the day on which it begins, and leads back to the week."""
    assert partition_name("journal", week_of(NOON)) == "journal_from_20251120"
    for week in (-50_000, 0, week_of(NOON), 418_000):
        assert week_named(partition_name("event", week)) == week
    for name in ("journal", "journal_from_2025", "other_from_20251120", "journal_from_20251332"):
        assert week_named(name) is None


def test_every_week_gets_its_partition(database: str) -> None:
    """Entries of many weeks, forwards and with a clock set back, each stand in their own week."""
    store = PostgresStore(database)
    done(store.transact([registration(1)], STEP, NOON))
    for turn, at in enumerate((NOON + WEEK, NOON + 9 * WEEK, NOON + 3 * WEEK), 1):
        done(store.transact([purchase(1, turn)], STEP, at))
    done(store.transact([registration(2)], STEP, NOON - 520 * WEEK))
    reader = store.reader()
    assert [entry.version for entry in reader.entries(key_of(1))] == [4, 3, 2, 1]
    # The clock was set back, the filing was not.
    filed = [entry.filed_ms for entry in reader.entries(key_of(1))]
    assert filed == [NOON + 9 * WEEK, NOON + 9 * WEEK, NOON + WEEK, NOON]
    weeks = [week_of(NOON) + n for n in (-520, 0, 1, 9)]
    assert partitions(database, "journal") == [partition_name("journal", week) for week in weeks]
    done(store.close())


def test_tidying_makes_the_next_week_beforehand(database: str) -> None:
    """At midnight on Thursday no decision has to wait for a partition."""
    store = PostgresStore(database)
    other = PostgresStore(database)
    for one in (store, other):
        while done(one.tidy(NOON)):
            pass
    week = week_of(NOON)
    names = [partition_name("event", week), partition_name("event", week + 1)]
    assert partitions(database, "event") == names
    done(store.close())
    done(other.close())


def test_an_old_week_can_be_dropped_while_the_server_runs(database: str) -> None:
    """What is older is gone; cards go on, and what is found by key within seven days is there."""
    store = PostgresStore(database)
    bought = purchase(1, 1, 4000)
    done(store.transact([registration(1)], STEP, NOON - 4 * WEEK))
    done(store.transact([bought], STEP, NOON))
    with psycopg.connect(database) as connection:
        for table in ("journal", "event"):
            name = partition_name(table, week_of(NOON - 4 * WEEK))
            connection.execute(f"drop table {name}".encode())
    (back,) = done(store.transact([reversal(1, 2, bought)], STEP, NOON + DAY))
    assert back.entry is not None
    assert back.entry.group is not None
    assert back.entry.group.state is GroupState.REVERSED
    assert [entry.version for entry in store.reader().entries(key_of(1))] == [3, 2]
    done(store.transact([registration(2)], STEP, NOON - 4 * WEEK))
    assert store.reader().entry(key_of(2), 1) is not None
    done(store.close())


def test_a_week_that_another_server_dropped_is_made_again(database: str) -> None:
    """The server remembers which weeks there are, and is told that it is wrong by the database."""
    store = PostgresStore(database)
    done(store.transact([registration(1)], STEP, NOON))
    with psycopg.connect(database) as connection:
        for table in ("journal", "event"):
            connection.execute(f"drop table {partition_name(table, week_of(NOON))}".encode())
    (result,) = done(store.transact([purchase(1, 1)], STEP, NOON))
    assert result.entry is not None
    assert result.entry.version == 2
    done(store.close())


def test_a_clock_that_is_centuries_away_writes_nothing(database: str) -> None:
    """It is said, and the server serves on when the clock is right again."""
    store = PostgresStore(database)
    done(store.transact([registration(1)], STEP, NOON))
    with pytest.raises(StoreUnavailableError, match="the clock is centuries away"):
        done(store.transact([purchase(1, 1)], STEP, 500_000 * WEEK_MS))
    (result,) = done(store.transact([purchase(1, 1)], STEP, NOON))
    assert result.entry is not None
    assert result.entry.version == 2
    done(store.close())


def test_a_version_that_a_stranger_wrote_stops_the_card(database: str) -> None:
    """Nothing is written to it, so no version can stand in two weeks; its neighbours go on."""
    store = PostgresStore(database)
    done(store.transact([registration(1), registration(2)], STEP, NOON))
    with psycopg.connect(database) as connection:
        connection.execute("update card_state set version = 7 where card_key = %s", (key_of(1),))
    first, second = done(store.transact([purchase(1, 1), purchase(2, 1)], STEP, NOON))
    assert first.entry is not None
    assert first.entry.findings[0].reason is Reason.STATE_UNREADABLE
    assert store.reader().entry(key_of(1), 2) is None
    assert second.entry is not None
    assert second.entry.version == 2
    done(store.close())
