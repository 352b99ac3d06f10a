"""`zhiwei decide --database`: the very decisions that a copy of a data directory comes to."""

from __future__ import annotations

import io
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from tests.cli.test_decide import TEN_PM, TEST_PAN, purchase
from tests.stores.cases import STAFF, done
from tests.stores.cluster import Cluster
from tests.stores.postgres.test_faults import name_of
from zhiwei.bench.cards import pan_of
from zhiwei.bench.populate import populate
from zhiwei.cli.main import app
from zhiwei.core.policy import DEFAULT_POLICY
from zhiwei.gateways.in_force import ADOPTED, content_text
from zhiwei.gateways.response_codes import load
from zhiwei.journal.export import export
from zhiwei.journal.taking_in import take_in
from zhiwei.keyring import Keyring
from zhiwei.ports import PolicyChange
from zhiwei.stores.postgres.store import PostgresStore
from zhiwei.stores.postgres.weeks import partition_name, week_of
from zhiwei.stores.sqlite.connection import FILE_NAME
from zhiwei.stores.sqlite.store import SqliteStore


def decided(tmp_path: Path, lines: list[Any], *words: str, exit_code: int = 0) -> list[Any]:
    """The documents that come out for lines of JSON that go in."""
    file = tmp_path / "trial.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["decide", str(file), "--json", "--at", TEN_PM, *words])
    assert result.exit_code == exit_code, (result.output, result.exception)
    return [json.loads(line) for line in result.stdout.splitlines()]


def dump_of(cluster: Cluster, url: str) -> str:
    """Everything in a database, as PostgreSQL itself writes it down."""
    words = [str(cluster.programs / "pg_dump"), "-h", str(cluster.folder), "-U", "app"]
    done = subprocess.run([*words, name_of(url)], capture_output=True, text=True, check=True)
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith("\\"))


@pytest.fixture
def data(tmp_path: Path, database: str) -> Path:
    """A data directory whose cards are in the database as well, with a policy that was adopted."""
    folder = tmp_path / "data"
    populate(folder, 8, by_commands=True)
    store = SqliteStore(folder)
    policy = replace(DEFAULT_POLICY, version="strict", closed_mccs=frozenset({"7995"}))
    change = PolicyChange(
        "pol_1",
        1,
        "key_1",
        "",
        content_text(policy, load()),
        policy.version,
        base=DEFAULT_POLICY.version,
        base_number=0,
        state=ADOPTED,
        number=1,
    )
    done(store.keep([change], [], STAFF, 2))
    done(store.close())
    out = io.StringIO()
    export(folder / FILE_NAME, out)
    target = PostgresStore(database)

    async def fill() -> None:
        await take_in(io.StringIO(out.getvalue()), target, Keyring(tmp_path / "keys"))
        await target.close()

    (tmp_path / "keys").mkdir()
    done(fill())
    return folder


def test_the_same_as_on_a_data_directory_and_nothing_is_written(
    tmp_path: Path, cluster: Cluster, database: str, data: Path
) -> None:
    """Controls, the adopted policy, repeats and reversals; strangers are not found."""
    lines: list[Any] = []
    for card in range(6):
        message = purchase(pan=pan_of(card), stan=f"{card:06}", transmitted_at="1123220000")
        del message["card"]
        lines += [message, message, {"reverses": len(lines) + 1}, {**message, "amount": 1}]
    stranger = purchase(pan=TEST_PAN)
    betting = purchase(pan=pan_of(7), merchant={"region": "41", "mcc": "7995"})
    for message in (stranger, betting):
        del message["card"]
    lines += [stranger, betting, {"pan": pan_of(7), "stop": True}]
    before = dump_of(cluster, database)
    beside = PostgresStore(database)
    key = ("--key-file", str(data / "vault.key"))
    rows = decided(tmp_path, lines, "--database", database, *key)
    done(beside.close())
    assert rows == decided(tmp_path, lines, "--data", str(data))
    reasons = [reason["code"] for reason in rows[-2]["reasons"]]
    assert "category_closed_by_issuer" in reasons, "the policy that was adopted is asked"
    assert rows[-3]["decision"] == "card_not_found"
    assert dump_of(cluster, database) == before


def test_cards_whose_first_weeks_were_dropped_are_decided(
    tmp_path: Path, database: str, data: Path
) -> None:
    """A file goes on from where it is; the missing entries are asked for by nobody."""
    with psycopg.connect(database) as connection:
        rows = connection.execute("select distinct filed_ms from journal").fetchall()
        for week in {week_of(filed_ms) for (filed_ms,) in rows}:
            connection.execute(f"drop table {partition_name('journal', week)}".encode())
    message = purchase(pan=pan_of(3))
    del message["card"]
    words = ("--database", database, "--data", str(data))
    rows_of_them = decided(tmp_path, [message, {"reverses": 1}, message], *words)
    assert rows_of_them[0]["decision"] == rows_of_them[2]["decision"]
    assert rows_of_them[1]["decision"] == "approve"


def test_without_the_key_or_the_data_it_is_said(
    tmp_path: Path, cluster: Cluster, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is not in the database; an empty one has no cards."""
    monkeypatch.chdir(tmp_path)
    empty = cluster.url(cluster.new_database("template1"))
    refused = CliRunner().invoke(app, ["decide", "-", "--database", database], input="")
    assert "there is no key file" in str(refused.exception)
    (tmp_path / "key").write_text("00" * 32)
    (tmp_path / "key").chmod(0o600)
    words = ["decide", "-", "--key-file", "key", "--database", empty]
    refused = CliRunner().invoke(app, words, input="")
    assert "there are no data in the database" in str(refused.exception)
