"""Opening a database: what is refused, what is said of it, and the schema that comes of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.stores.cases import NOON, STEP, done, key_of, purchase, registration
from tests.stores.cluster import Cluster, running_cluster
from zhiwei.bench.postgres.programs import run_program
from zhiwei.core.errors import ZhiweiError
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.postgres.faults import (
    BadDatabaseUrlError,
    DatabaseRefusedError,
    ForeignDatabaseError,
    NewerSchemaError,
)
from zhiwei.stores.postgres.opening import bring_up_to_date
from zhiwei.stores.postgres.steps import known_steps
from zhiwei.stores.postgres.store import Bounds, PostgresStore


def refusal(url: str, kind: type[ZhiweiError]) -> str:
    """What is said when a database cannot be opened: one line."""
    with pytest.raises(kind) as told:
        PostgresStore(url)
    message = str(told.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


def test_without_the_driver_it_is_said_what_to_install(tmp_path: Path) -> None:
    """PostgreSQL is an extra: the program runs without it, and names it when it is asked for."""
    script = (
        "import sys, runpy\n"
        "sys.modules['psycopg'] = None\n"
        "sys.argv = ['zhiwei', *sys.argv[1:]]\n"
        "runpy.run_module('zhiwei', run_name='__main__')\n"
    )
    words = ("verify", "--data", str(tmp_path), "--database", "postgresql://h/d")
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "pip install 'zhiwei[postgres]'" in done.stderr


@pytest.mark.parametrize(
    "url",
    ["", "sqlite:///x", "postgresql", "postgresql://host/x?nonsense=1", "postgresql://[::1/x"],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    """It is said how one looks, and a password in it is not repeated."""
    assert "postgresql://user@host:5432/name" in refusal(url, BadDatabaseUrlError)


def test_a_wrong_password_is_said_so(cluster: Cluster) -> None:
    """One line with the user's name, and without the password."""
    rules = cluster.folder / "data" / "pg_hba.conf"
    rules.write_text("local all locked scram-sha-256\n" + rules.read_text())
    cluster.execute("create role locked login password 'right'")
    cluster.execute("select pg_reload_conf()")
    url = cluster.url("postgres", "locked", password="wr0ng")
    message = refusal(url, StoreUnavailableError)
    assert 'password authentication failed for user "locked"; give the password by PGP' in message
    assert "wr0ng" not in message


def test_a_database_that_is_not_there_is_said_so(cluster: Cluster) -> None:
    """PostgreSQL answers, the database is missing."""
    message = refusal(cluster.url("nowhere"), StoreUnavailableError)
    assert 'database "nowhere" does not exist; make it as docs/operating/growing.md' in message


def test_a_database_without_room_for_connections_is_said_so(cluster: Cluster) -> None:
    """Others have taken all that this user may have."""
    cluster.execute("create role crowded login connection limit 0")
    message = refusal(cluster.url("postgres", "crowded"), StoreUnavailableError)
    assert 'too many connections for role "crowded"; raise max_connections or the limit' in message


def test_a_server_that_is_not_there_is_said_so(tmp_path: object) -> None:
    """Nobody listens."""
    message = refusal(f"postgresql:///x?host={tmp_path}&user=app", StoreUnavailableError)
    assert "no connection to the database x at" in message


def test_another_encoding_is_refused(cluster: Cluster) -> None:
    """Chinese names need UTF-8; it is said how to make such a database."""
    cluster.execute("create database ascii encoding 'SQL_ASCII' locale 'C' template template0")
    message = refusal(cluster.url("ascii"), DatabaseRefusedError)
    assert "SQL_ASCII" in message
    assert "create database" in message


def test_a_database_that_only_reads_is_refused(cluster: Cluster, database: str) -> None:
    """A primary whose sessions may not write is none."""
    name = database.partition("///")[2].partition("?")[0]
    cluster.execute(f"alter database {name} set default_transaction_read_only = on")
    assert "session is read-only" in refusal(database, StoreUnavailableError)
    message = refusal(f"{database}&target_session_attrs=any", DatabaseRefusedError)
    assert "default_transaction_read_only" in message


@contextmanager
def standby_of(primary: Cluster) -> Iterator[tuple[Cluster, str]]:
    """A standby that follows a server and serves reading; and a database that both have."""
    name = primary.new_database()
    place = primary.folder / "standby"
    standby = Cluster(place, primary.programs)
    command = [str(primary.programs / "pg_basebackup"), "-D", str(place / "data")]
    run_program(["mkdir", str(place)])
    run_program([*command, "-h", str(primary.folder), "-U", "app", "-R", "-c", "fast"])
    with (place / "data" / "postgresql.conf").open("a") as file:
        file.write(f"unix_socket_directories = '{place}'\n")
    standby.control("start", "-l", str(place / "log"))
    try:
        yield standby, name
    finally:
        standby.control("stop", "-m", "immediate")


def test_a_standby_is_refused_and_the_primary_found_among_hosts() -> None:
    """A standby alone cannot serve; with both hosts named, the primary does."""
    with running_cluster() as primary, standby_of(primary) as (standby, name):
        message = refusal(standby.url(name), StoreUnavailableError)
        assert "a standby that only reads" in message
        message = refusal(standby.url(name, target_session_attrs="any"), DatabaseRefusedError)
        assert "a standby that only reads" in message
        both = f"postgresql:///{name}?host={standby.folder},{primary.folder}&user=app"
        store = PostgresStore(both)
        (result,) = done(store.transact([registration(1)], STEP, NOON))
        assert result.entry is not None
        assert store.reader().card(key_of(1)) is not None
        done(store.close())


def test_a_promoted_standby_is_found_without_a_restart() -> None:
    """The primary dies; the next batches go to the one that was promoted, and nothing is lost."""
    with running_cluster() as primary, standby_of(primary) as (standby, name):
        both = f"postgresql:///{name}?host={primary.folder},{standby.folder}&user=app"

        async def go() -> None:
            store = PostgresStore(both, bounds=Bounds(settle_seconds=30.0))
            primary.wait_for_standbys("*")
            await store.transact([registration(1), purchase(1, 1)], STEP, NOON)
            await asyncio.to_thread(primary.control, "stop", "-m", "immediate")
            with pytest.raises(StoreUnavailableError):
                await store.transact([purchase(1, 2)], STEP, NOON)
            await asyncio.to_thread(standby.control, "promote")
            await asyncio.sleep(0.3)
            (again,) = await store.transact([purchase(1, 1)], STEP, NOON)
            assert again.is_repeat
            assert store.reader().card(key_of(1)) is not None
            await store.close()

        done(go())
        primary.control("start", "-l", str(primary.folder / "log"))


def test_a_newer_schema_is_left_alone(database: str) -> None:
    """An older program does not touch what it does not know."""
    with psycopg.connect(database) as connection:
        connection.execute("update zhiwei_schema set number = 99, finished = 99")
    assert "schema 99" in refusal(database, NewerSchemaError)


def test_tables_of_another_program_are_left_alone(cluster: Cluster) -> None:
    """A table of our name that is not ours ends the start."""
    url = cluster.url(cluster.new_database("template1"))
    with psycopg.connect(url) as connection:
        connection.execute("create table journal (page integer)")
    assert "another program (journal)" in refusal(url, ForeignDatabaseError)


def test_a_user_without_rights_is_told(cluster: Cluster) -> None:
    """Since PostgreSQL 15 not everybody may make tables."""
    cluster.execute("create role guest login")
    message = refusal(
        cluster.url(cluster.new_database("template1"), "guest"), StoreUnavailableError
    )
    assert "permission denied for schema public" in message


def test_weak_settings_are_said_loudly() -> None:
    """A server that may lose what it committed is used, and said to be weak."""
    with running_cluster({"fsync": "off", "full_page_writes": "off"}) as cluster:
        store = PostgresStore(cluster.url(cluster.new_database()))
        assert [told.split(" ")[0] for told in store.weaknesses] == ["fsync", "full_page_writes"]
        done(store.close())


def test_a_sound_server_has_no_weaknesses(database: str) -> None:
    """Nothing is said where nothing is wrong."""
    store = PostgresStore(database)
    assert store.weaknesses == ()
    done(store.close())


def test_what_a_database_s_owner_set_does_not_weaken_a_session(
    cluster: Cluster, database: str
) -> None:
    """A statement timeout would cancel commits; ours are none of its business."""
    name = database.partition("///")[2].partition("?")[0]
    for setting in ("statement_timeout = '1ms'", "default_transaction_isolation = serializable"):
        cluster.execute(f"alter database {name} set {setting}")
    store = PostgresStore(database)
    batch = [registration(card) for card in range(300)]
    results = done(store.transact(batch, STEP, NOON))
    assert all(result.entry is not None for result in results)
    done(store.close())


def schema_of(cluster: Cluster, database: str) -> str:
    """The tables as PostgreSQL itself writes them down."""
    program = str(cluster.programs / "pg_dump")
    words = [program, "-h", str(cluster.folder), "-U", "app", "--schema-only", database]
    dump = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return "\n".join(line for line in dump.splitlines() if not line.startswith("\\"))


def test_migrations_lead_to_the_schema(cluster: Cluster) -> None:
    """Step by step or at once, each finished at once or all at the end: the same tables."""
    at_once, by_steps, late = (cluster.new_database("template1") for _ in range(3))
    steps = known_steps()
    with psycopg.connect(cluster.url(at_once), cursor_factory=psycopg.RawCursor) as connection:
        bring_up_to_date(connection, steps)
    each = [
        half[number] for number in steps.pre for half in (steps.pre, steps.post) if number in half
    ]
    for name, scripts in ((by_steps, each), (late, [*steps.pre.values(), *steps.post.values()])):
        with psycopg.connect(cluster.url(name)) as connection:
            for script in scripts:
                psycopg.ClientCursor(connection).execute(script.encode())
        assert schema_of(cluster, name) == schema_of(cluster, at_once)


def test_two_servers_may_start_at_once_on_an_empty_database(cluster: Cluster) -> None:
    """One makes the schema, the other finds it."""
    url = cluster.url(cluster.new_database("template1"))

    async def go() -> list[PostgresStore]:
        return await asyncio.gather(*[asyncio.to_thread(PostgresStore, url) for _ in range(4)])

    for store in done(go()):
        done(store.close())
