"""Two versions on one database: the newer one begins, both serve, and only then is it finished."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from tests.canary.serving import Program
from tests.messaging.test_process import Issuer
from tests.stores.cases import NOON, STEP, done, key_of, purchase, registration
from zhiwei.cli.main import app
from zhiwei.journal.verify_database import verify_database
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.postgres import opening
from zhiwei.stores.postgres.faults import NewerSchemaError, OlderServersError
from zhiwei.stores.postgres.opening import Schema, finish
from zhiwei.stores.postgres.steps import Steps, known_steps
from zhiwei.stores.postgres.store import PostgresStore

NOW = known_steps().newest
#: A version after the next one: it adds a column to a table with partitions, and takes it for sure
#: only when it is finished.
LATER = Steps(
    {
        **known_steps().pre,
        NOW + 1: "alter table journal add column origin text; create table fee (id bigint);",
        NOW + 2: "alter table card_state add column colour text;",
    },
    {
        **known_steps().post,
        NOW + 1: "update journal set origin = ''; alter table journal alter origin set not null;",
    },
)


def at(url: str) -> Schema:
    """How far a database is."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("select number, finished from zhiwei_schema").fetchall()
    return Schema(*rows[0])


def finished(url: str, steps: Steps) -> Schema:
    """Finish what a version knows."""
    with psycopg.connect(url, cursor_factory=psycopg.RawCursor, autocommit=True) as connection:
        return finish(connection, steps)


def test_two_versions_serve_one_card_in_turn(database: str) -> None:
    """The newer one adds to the tables under the older one, which can be started again, too."""

    async def go() -> None:
        old = PostgresStore(database)
        await old.transact([registration(1), purchase(1, 1)], STEP, NOON)
        new = PostgresStore(database, steps=LATER)
        assert at(database) == Schema(NOW + 2, known_steps().finished)
        for turn, store in enumerate([new, old, new, old], 2):
            (result,) = await store.transact([purchase(1, turn)], STEP, NOON)
            assert result.entry is not None
            assert result.entry.version == turn + 1
            (again,) = await store.transact([purchase(1, turn - 1)], STEP, NOON)
            assert again.is_repeat
        await old.close()
        back = PostgresStore(database)
        # A week that one version begins has room for what the other one writes.
        week = NOON + 7 * 86_400_000
        for turn, store in enumerate([back, new], 20):
            await store.transact([purchase(1, turn)], STEP, week)
        assert len(new.reader().entries(key_of(1))) == 8
        await back.close()
        await new.close()

    done(go())
    assert verify_database(database).is_clean


def test_it_is_finished_when_no_older_server_is_left(database: str) -> None:
    """While one is connected it is refused, and nothing is changed; afterwards the older is."""

    async def go() -> None:
        old, new = PostgresStore(database), PostgresStore(database, steps=LATER)
        await old.transact([registration(1)], STEP, NOON)
        with pytest.raises(OlderServersError, match=f"knows only schema {NOW} is still connected"):
            await asyncio.to_thread(finished, database, LATER)
        assert at(database).finished == known_steps().finished
        await old.transact([purchase(1, 1)], STEP, NOON)
        await old.close()
        await new.transact([purchase(1, 2)], STEP, NOON)
        assert await asyncio.to_thread(finished, database, LATER) == Schema(NOW + 2, NOW + 1)
        assert await asyncio.to_thread(finished, database, LATER) == Schema(NOW + 2, NOW + 1)
        with pytest.raises(NewerSchemaError, match="install the version that wrote it"):
            PostgresStore(database)
        await new.close()

    done(go())


def test_an_older_server_that_was_not_connected_is_refused_when_it_comes_back(
    database: str,
) -> None:
    """It started before, had no line open when it was finished, and must not write now."""

    async def go() -> None:
        old, new = PostgresStore(database), PostgresStore(database, steps=LATER)
        assert await asyncio.to_thread(finished, database, LATER) == Schema(NOW + 2, NOW + 1)
        with pytest.raises(StoreUnavailableError, match=f"this program knows up to {NOW}"):
            await old.transact([registration(1)], STEP, NOON)
        await old.close()
        await new.close()

    done(go())


def test_two_newer_servers_that_start_at_once_migrate_once(database: str) -> None:
    """A step that is run twice would fail: all of them come up, beside an older one that serves."""

    async def go() -> None:
        old = PostgresStore(database)
        await old.transact([registration(1)], STEP, NOON)
        starting = [asyncio.to_thread(PostgresStore, database, steps=LATER) for _ in range(4)]
        opened = asyncio.gather(*starting)
        turn = 0
        while not opened.done():
            turn += 1
            await old.transact([purchase(1, turn)], STEP, NOON)
        stores = await opened
        await old.transact([purchase(1, turn + 1)], STEP, NOON)
        for store in [*stores, old]:
            await store.close()

    done(go())
    assert at(database).number == NOW + 2


def test_a_step_does_not_have_decisions_wait_behind_it(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dump holds the journal: the step gives up in time and says what to do, cards are served."""
    monkeypatch.setattr(opening, "_PATIENCE_SECONDS", 0.0)

    async def go() -> None:
        old = PostgresStore(database)
        await old.transact([registration(1)], STEP, NOON)
        with psycopg.connect(database) as dump:
            dump.execute("lock table journal in access share mode")
            opened = asyncio.create_task(asyncio.to_thread(PostgresStore, database, steps=LATER))
            turn = 0
            while not opened.done():
                turn += 1
                await old.transact([purchase(1, turn)], STEP, NOON)
            with pytest.raises(StoreUnavailableError, match="look into pg_stat_activity"):
                await opened
        assert at(database).number == NOW
        new = PostgresStore(database, steps=LATER)
        await new.close()
        await old.close()

    done(go())
    assert at(database).number == NOW + 2


def test_steps_that_run_beside_older_servers_only_add() -> None:
    """What an older server relies on is not taken away; nothing that is there is gone through."""
    for number, script in known_steps().pre.items():
        text = re.sub(r"--[^\n]*", "", script)
        statements = [" ".join(part.split()) for part in text.split(";") if part.strip()]
        made = {words.split()[2] for words in statements if words.startswith("create table ")}
        for words in statements:
            on = re.search(r" on (\w+) ", words)
            adds = re.fullmatch(r"alter table \w+ add column \w+ [^,]*", words)
            assert (
                words.startswith(("create table ", "create sequence "))
                or (re.match(r"create (unique )?index ", words) and on and on[1] in made)
                or (adds and " not null" not in words)
                or (words.startswith("insert into ") and words.split()[2] in made)
            ), f"schema {number}: `{words[:80]}` belongs into its `post`"


def test_the_program_serves_beside_a_newer_schema_until_it_is_finished(
    tmp_path: Path, database: str
) -> None:
    """The real program serves; `zhiwei migrate` says how far it is, and then that it is too old."""
    program = Program(tmp_path / "house")
    key = program.key("issuer", "--database", database)
    PostgresStore(database, steps=LATER).reader().close()
    with program.serving("--database", database) as doors, Issuer(doors, key) as bank:
        assert bank.call("GET", f"/v1/cards/{bank.card()}")["status"] == "active"
    told = CliRunner().invoke(app, ["migrate", "--database", database, "--finish"])
    assert told.stdout == f"schema {NOW + 2}, finished up to {known_steps().finished}\n"
    finished(database, LATER)
    refused = CliRunner().invoke(app, ["migrate", "--database", database])
    assert str(refused.exception) == (
        f"the database has schema {NOW + 1}, this program knows up to {NOW};"
        " install the version that wrote it"
    )
