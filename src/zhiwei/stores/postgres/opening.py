"""Opening: whether the database can be used, what it is weak in, and its schema."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from time import monotonic, sleep
from typing import Any, Final

import psycopg

from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.postgres import weaknesses
from zhiwei.stores.postgres.address import run_script
from zhiwei.stores.postgres.faults import (
    LOCK_NOT_AVAILABLE,
    DatabaseRefusedError,
    ForeignDatabaseError,
    NewerSchemaError,
    OlderServersError,
    first_line,
)
from zhiwei.stores.postgres.queries import QUERIES
from zhiwei.stores.postgres.steps import PACKAGE, Steps

_OLDEST: Final = 150_000
TABLES: Final = (
    "zhiwei_schema",
    "card_state",
    "journal",
    "group_head",
    "old_key",
    "event",
    "audit",
    "record",
    "message_cursor",
    "message_teller",
    "message",
    "message_lane",
    "message_remote",
    "message_early_receipt",
    "message_tally",
    "message_spending",
    "message_inbound",
    "message_sender",
    "message_undeliverable",
    "api_key",
    "face_session",
    "face_passkey",
    "face_code",
    "face_tally",
    "face_operator",
    "face_deed",
)
_MARK: Final = "zhiwei_schema"
#: A step that has to wait for a table has every decision behind it wait as well: it gives up after
#: this, and tries again. Decisions wait longer than that (`address.SESSION`).
_WAIT_FOR_LOCK: Final = b"set local lock_timeout = '1s'"
_PAUSE_SECONDS: Final = 0.5
#: So long others may hold what a step needs.
_PATIENCE_SECONDS: Final = 60.0

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Schema:
    """How far a database is."""

    #: Of the last `pre` that was run; 0 = there is no schema.
    number: int
    #: Of the last `post` that was run; 0 = none was.
    finished: int


def made_ready(connection: Connection, steps: Steps, connections: int = 1) -> tuple[str, ...]:
    """Check the server and bring the schema up to date; what the server is weak in.

    `connections` is how many a server of ours takes at most.

    Raises:
        DatabaseRefusedError: the server cannot be used.
        NewerSchemaError, ForeignDatabaseError: the database is not ours to write.
        StoreUnavailableError: it does not answer, or the schema cannot be made.
    """
    try:
        # A migration takes as long as it takes.
        connection.execute(b"set statement_timeout = 0")
        found = check_server(connection, connections)
    except psycopg.Error as error:
        raise StoreUnavailableError(f"the database cannot be used: {first_line(error)}") from error
    bring_up_to_date(connection, steps)
    return found


def check_server(connection: Connection, connections: int = 1) -> tuple[str, ...]:
    """Raise where the server cannot be used; what it promises less than it should, in sentences.

    Raises:
        DatabaseRefusedError: the message says what to do.
    """
    asked_ms = weaknesses.now_ms()
    facts: dict[str, str] = dict(connection.execute(QUERIES["server_facts"].encode()).fetchall())
    answered_ms = weaknesses.now_ms()
    if facts["in_recovery"] == "true":
        message = "the database is a standby that only reads; name the primary, or all hosts"
        raise DatabaseRefusedError(message)
    if int(facts["server_version_num"]) < _OLDEST:
        message = f"PostgreSQL 15 or newer is needed; this is {facts['server_version_num']}"
        raise DatabaseRefusedError(message)
    if facts["server_encoding"] != "UTF8":
        message = (
            f"the database has the encoding {facts['server_encoding']}; make one with"
            " `create database … encoding 'UTF8' template template0`"
        )
        raise DatabaseRefusedError(message)
    if facts["default_transaction_read_only"] == "on":
        message = "the database only reads (default_transaction_read_only is on); set it to off"
        raise DatabaseRefusedError(message)
    return weaknesses.weaknesses_of(facts, connections, asked_ms, answered_ms)


def bring_up_to_date(connection: Connection, steps: Steps) -> Schema:
    """Make the schema, or run what is missing of `pre`; one server at a time, beside older ones.

    Raises:
        NewerSchemaError, ForeignDatabaseError: the database is not ours to write.
        StoreUnavailableError: the schema cannot be made.
    """
    until = monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            with connection.transaction():
                return _brought(connection, steps)
        except psycopg.Error as error:
            if error.sqlstate != LOCK_NOT_AVAILABLE:
                message = (
                    f"the schema cannot be made: {first_line(error)};"
                    " the tables must belong to this user"
                )
                raise StoreUnavailableError(message) from error
            if monotonic() > until:
                message = (
                    "the schema cannot be brought up to date: a session has held a table or the"
                    " schema for too long; look into pg_stat_activity, end it and start again"
                )
                raise StoreUnavailableError(message) from error
        sleep(_PAUSE_SECONDS)


def finish(connection: Connection, steps: Steps) -> Schema:
    """Run what is missing of `post`: from then on no server serves that knows less.

    Raises:
        OlderServersError: one of those is connected; nothing was changed.
        StoreUnavailableError: it did not succeed; nothing was changed.
    """
    try:
        with connection.transaction():
            connection.execute(QUERIES["one_at_a_time"].encode())
            at = schema_of(connection, steps)
            due = [number for number in steps.post if number > at.finished]
            if not due:
                return at
            for number in range(1, due[-1]):
                row = connection.execute(QUERIES["nobody_serves"].encode(), (number,)).fetchone()
                if row is None or not row[0]:
                    raise OlderServersError(
                        f"a server that knows only schema {number} is still connected; end it first"
                    )
            for number in due:
                run_script(connection, steps.post[number])
            return _noted(connection, Schema(at.number, due[-1]))
    except psycopg.Error as error:
        message = f"the schema cannot be finished: {first_line(error)}"
        raise StoreUnavailableError(message) from error


def schema_of(connection: Connection, steps: Steps) -> Schema:
    """How far the database is; 0 = there is no schema.

    Raises:
        NewerSchemaError: what this program knows is not there any more.
        ForeignDatabaseError: somebody else's tables have our names.
    """
    rows = connection.execute(QUERIES["own_tables"].encode(), (list(TABLES),)).fetchall()
    names = {row[0] for row in rows}
    if not names:
        return Schema(0, 0)
    if _MARK not in names:
        message = (
            f"the database holds tables of another program ({', '.join(sorted(names))});"
            " name a database of its own"
        )
        raise ForeignDatabaseError(message)
    row = connection.execute(QUERIES["schema_number"].encode()).fetchone()
    at = Schema(0, 0) if row is None else Schema(*row)
    if at.finished > steps.newest:
        raise NewerSchemaError(too_old(at.finished, steps.newest))
    return at


def too_old(finished: int, newest: int) -> str:
    """What to say of a program that knows too few schemas."""
    return (
        f"the database has schema {finished}, this program knows up to {newest};"
        " install the version that wrote it"
    )


def _brought(connection: Connection, steps: Steps) -> Schema:
    """Within a transaction: what `bring_up_to_date` does."""
    connection.execute(_WAIT_FOR_LOCK)
    connection.execute(QUERIES["one_at_a_time"].encode())
    at = schema_of(connection, steps)
    if at.number == 0:
        run_script(connection, (files(PACKAGE) / "schema.sql").read_text(encoding="utf-8"))
        return _noted(connection, Schema(steps.newest, steps.finished))
    due = [number for number in steps.pre if number > at.number]
    for number in due:
        run_script(connection, steps.pre[number])
    return _noted(connection, Schema(due[-1], at.finished)) if due else at


def _noted(connection: Connection, at: Schema) -> Schema:
    """Note how far the database is now."""
    connection.execute(b"delete from zhiwei_schema")
    numbers = (at.number, at.finished)
    connection.execute(b"insert into zhiwei_schema (number, finished) values ($1, $2)", numbers)
    return at
