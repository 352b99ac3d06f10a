"""Settled events: what is told next is never behind something that comes later."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest

from tests.stores.cases import NOON, STEP, daily_limit, done, key_of, registration
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.postgres.address import Address
from zhiwei.stores.postgres.settled import SettledEvents
from zhiwei.stores.postgres.store import PostgresStore

#: An event that is written and not committed yet.
WRITE = "insert into event (card_key, number, filed_ms, version, body) values (%s, 1, %s, 1, '')"


@pytest.fixture
def store(database: str) -> Iterator[PostgresStore]:
    """A store with one card whose limit was changed, which is told."""
    made = PostgresStore(database)
    done(made.transact([registration(1), daily_limit(1, 1)], STEP, NOON))
    yield made
    done(made.close())


@pytest.fixture
def events(database: str, store: PostgresStore) -> Iterator[SettledEvents]:
    """Its events, read by whoever tells people."""
    made = SettledEvents(Address(database), store.reader())
    yield made
    made.close()


def test_an_event_waits_for_those_that_may_come_before_it(
    database: str, store: PostgresStore, events: SettledEvents
) -> None:
    """While somebody else may still commit an earlier position, later ones are not shown."""
    done(store.transact([daily_limit(1, 700)], STEP, NOON))
    first = events.events()[0].position
    with psycopg.connect(database) as stranger:
        stranger.execute(WRITE, (key_of(9), NOON))
        done(store.transact([daily_limit(1, 600)], STEP, NOON))
        assert store.reader().events()[0].position > first + 1
        assert events.events(after=first) == []
        assert events.events()[0].position == first
        stranger.rollback()
    told = events.events(after=first)
    assert [row.position for row in told] == [row.position for row in store.reader().events()[:1]]


def test_who_begins_waits_for_what_is_being_written(database: str, store: PostgresStore) -> None:
    """An outbox must not look empty only because another server is at work just now."""
    stranger = psycopg.connect(database)
    stranger.execute(WRITE, (key_of(9), NOON))
    threading.Timer(0.3, stranger.commit).start()
    events = SettledEvents(Address(database), store.reader())
    assert [row[0] for row in stranger.execute("select max(position) from event")] == [2]
    assert events._settled == 2
    events.close()
    stranger.close()


def test_a_new_outbox_is_empty(database: str, events: SettledEvents) -> None:
    """Before the first event there is none, and asking does no harm."""
    with psycopg.connect(database) as connection:
        connection.execute("alter sequence event_position restart")
        connection.execute("truncate event")
    assert events.events() == []
    assert events.events(after=5) == []


def test_several_look_beside_each_other(
    database: str, store: PostgresStore, events: SettledEvents
) -> None:
    """Each sees every event; what one of them has planned is settled for the others too."""
    other = SettledEvents(Address(database), store.reader())
    done(store.transact([daily_limit(1, 700)], STEP, NOON))
    last = events.events()[0].position
    assert [row.position for row in other.events()] == [row.position for row in events.events()]
    with psycopg.connect(database) as stranger:
        stranger.execute(WRITE, (key_of(9), NOON))
        done(store.transact([daily_limit(1, 600)], STEP, NOON))
        assert other.events()[0].position == last
        planned = store.reader().events()[0].position
        with psycopg.connect(database) as teller:
            teller.execute("update message_cursor set position = %s", (planned,))
        assert other.events()[0].position == planned
    other.close()


def test_a_lost_connection_is_made_anew(
    database: str, store: PostgresStore, events: SettledEvents
) -> None:
    """It says so once, and begins anew with what is settled now."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    with pytest.raises(StoreUnavailableError):
        events.events()
    events._begin()
    assert [row.position for row in events.events()] == [
        row.position for row in store.reader().events()
    ]
