"""Opening: whether the database can be used, what it is weak in, and its schema."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

import psycopg

from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.files.statements import migrations_of
from zhiwei.stores.postgres.faults import (
    DatabaseRefusedError,
    ForeignDatabaseError,
    NewerSchemaError,
)
from zhiwei.stores.postgres.queries import QUERIES

_PACKAGE: Final = "zhiwei.stores.postgres"
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
)
_MARK: Final = "zhiwei_schema"

Connection = psycopg.Connection[Any]


def migrations() -> dict[int, str]:
    """Scripts by the number of the schema that they make."""
    return migrations_of(_PACKAGE)


def made_ready(connection: Connection) -> tuple[str, ...]:
    """Check the server and bring the schema up to date; what the server is weak in.

    Raises:
        DatabaseRefusedError: the server cannot be used.
        NewerSchemaError, ForeignDatabaseError: the database is not ours to write.
        StoreUnavailableError: it does not answer, or the schema cannot be made.
    """
    try:
        # A migration takes as long as it takes.
        connection.execute(b"set statement_timeout = 0")
        weaknesses = check_server(connection)
    except psycopg.Error as error:
        raise StoreUnavailableError(f"the database cannot be used: {_first_line(error)}") from error
    bring_up_to_date(connection)
    return weaknesses


def check_server(connection: Connection) -> tuple[str, ...]:
    """Raise where the server cannot be used; what it promises less than it should, in sentences.

    Raises:
        DatabaseRefusedError: the message says what to do.
    """
    facts: dict[str, str] = dict(connection.execute(QUERIES["server_facts"].encode()).fetchall())
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
    return tuple(_weaknesses(facts))


def _weaknesses(facts: dict[str, str]) -> list[str]:
    found: list[str] = []
    if facts["fsync"] != "on":
        found.append("fsync is off: a power cut loses decisions that were answered; set it to on")
    if facts["full_page_writes"] != "on":
        found.append("full_page_writes is off: a power cut can damage the data; set it to on")
    return found


def bring_up_to_date(connection: Connection) -> None:
    """Make the schema, or bring an older one to the newest; one server at a time.

    Raises:
        NewerSchemaError, ForeignDatabaseError: the database is not ours to write.
        StoreUnavailableError: the schema cannot be made.
    """
    steps = migrations()
    try:
        with connection.transaction():
            connection.execute(QUERIES["one_at_a_time"].encode())
            at = schema_number(connection)
            if at == 0:
                script = (files(_PACKAGE) / "schema.sql").read_text(encoding="utf-8")
                _run(connection, script, max(steps))
                return
            for number, script in steps.items():
                if number > at:
                    _run(connection, script, number)
    except psycopg.Error as error:
        first = _first_line(error)
        message = f"the schema cannot be made: {first}; the tables must belong to this user"
        raise StoreUnavailableError(message) from error


def schema_number(connection: Connection) -> int:
    """The number of the schema; 0 = there is none.

    Raises:
        NewerSchemaError: it is newer than this program.
        ForeignDatabaseError: somebody else's tables have our names.
    """
    rows = connection.execute(QUERIES["own_tables"].encode(), (list(TABLES),)).fetchall()
    names = {row[0] for row in rows}
    if not names:
        return 0
    if _MARK not in names:
        message = (
            f"the database holds tables of another program ({', '.join(sorted(names))});"
            " name a database of its own"
        )
        raise ForeignDatabaseError(message)
    row = connection.execute(QUERIES["schema_number"].encode()).fetchone()
    number = 0 if row is None else int(row[0])
    newest = max(migrations())
    if number > newest:
        message = (
            f"the database has schema {number}, this program knows up to {newest};"
            " install the version that wrote it"
        )
        raise NewerSchemaError(message)
    return number


def _first_line(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0]


def _run(connection: Connection, script: str, number: int) -> None:
    """Run a script within the transaction, and note the number it leads to."""
    # Without parameters the script goes as one message, however many statements it holds.
    psycopg.ClientCursor(connection).execute(script.encode())
    connection.execute(b"delete from zhiwei_schema")
    connection.execute(b"insert into zhiwei_schema (number) values ($1)", (number,))
