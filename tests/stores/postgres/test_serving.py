"""The real program on a real database: it serves, tells people, and two of it serve together."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.canary.serving import Program
from tests.messaging.test_process import Issuer, Receiver, _receiver, until
from tests.stores.cluster import Cluster, running_cluster

receiver = pytest.fixture(name="receiver")(_receiver.__wrapped__)  # type: ignore[attr-defined]  # a fixture


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program with a folder of its own."""
    return Program(tmp_path / "house")


@pytest.fixture
def beside(program: Program, tmp_path: Path) -> Program:
    """The program on another machine, with the same key of the card numbers."""
    other = Program(tmp_path / "beside")
    other.data.mkdir()
    shutil.copy(program.data / "vault.key", other.data / "vault.key")
    return other


def test_it_serves_and_tells_people(program: Program, database: str, receiver: Receiver) -> None:
    """A card is registered, stopped and freed; every event arrives; a restart finds it all."""
    key = program.key("issuer", "--database", database)
    with (
        program.serving("--test-mode", "--database", database) as doors,
        Issuer(doors, key) as bank,
    ):
        bank.subscribe(receiver.url)
        card = bank.card()
        for _ in range(20):
            bank.call("POST", f"/v1/cards/{card}/stop", {"source": "issuer"})
            bank.call("DELETE", f"/v1/cards/{card}/stop")
        events = bank.call("GET", "/v1/events?limit=100")["data"]
        until(lambda: len(set(receiver.told)) >= len(events))
        assert receiver.told == [event["id"] for event in reversed(events)]
        assert bank.call("GET", "/readyz") == {"status": "ready"}
    with (
        program.serving("--test-mode", "--database", database) as doors,
        Issuer(doors, key) as bank,
    ):
        assert bank.call("GET", f"/v1/cards/{card}")["id"] == card
        assert len(bank.call("GET", "/v1/events?limit=100")["data"]) == len(events)


def test_the_database_may_be_told_by_the_environment(
    program: Program, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No password on a command line, no card in the data directory; and no messages, if wanted."""
    monkeypatch.setenv("ZHIWEI_DATABASE", database)
    key = program.key("issuer")
    with program.serving("--without-messages") as doors, Issuer(doors, key) as bank:
        bank.card()
        assert bank.metric("zhiwei_messaging_up") == 0
    with psycopg.connect(database) as connection:
        assert connection.execute("select count(*) from card_state").fetchone() == (1,)
    names = {path.name for path in program.data.iterdir()}
    assert not names & {"zhiwei.db", "keys.sqlite3", "faces.sqlite3"}


def test_two_servers_serve_the_same_card(
    program: Program, database: str, receiver: Receiver, request: pytest.FixtureRequest
) -> None:
    """What one decided, the other knows at once; both tell people, each event once, in order."""
    key = program.key("issuer", "--database", database)
    words = ("--test-mode", "--database", database)
    with program.serving(*words) as doors, Issuer(doors, key) as bank:
        bank.subscribe(receiver.url)
        card = bank.card()
        other: Program = request.getfixturevalue("beside")
        with other.serving(*words) as there, Issuer(there, key) as branch:
            for one, two in [(bank, branch), (branch, bank)] * 5:
                one.call("POST", f"/v1/cards/{card}/stop", {"source": "issuer"})
                two.call("DELETE", f"/v1/cards/{card}/stop")
            events = branch.call("GET", "/v1/events?limit=100")["data"]
            assert [event["type"] for event in events][:4] == ["stop_lifted", "stop_placed"] * 2
            until(lambda: len(set(receiver.told)) >= len(events))
            shown = branch.call("GET", "/v1/messages?limit=100")["data"]
            assert {one["event"] for one in shown} == {event["id"] for event in events}
        # The one that is left goes on alone.
        bank.call("POST", f"/v1/cards/{card}/stop", {"source": "issuer"})
        events = bank.call("GET", "/v1/events?limit=100")["data"]
        until(lambda: len(set(receiver.told)) >= len(events))
        assert receiver.told == [event["id"] for event in reversed(events)]


def said(program: Program, *words: str) -> str:
    """What a command that must not fail prints."""
    done = program.run(*words, "--data", str(program.data))
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def statuses(sites: list[str], path: str, key: str) -> list[int]:
    """What each server answers to a key."""
    headers = {"Authorization": f"Bearer {key}"}
    return [httpx.get(f"{site}{path}", headers=headers, timeout=60).status_code for site in sites]


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of a page's form."""
    return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page))


def test_whoever_is_let_in_at_one_server_is_known_at_the_other(
    program: Program, database: str, request: pytest.FixtureRequest
) -> None:
    """Keys and sign-ins are of the database: made anywhere, known and ended everywhere."""
    here = ("--database", database)
    with program.serving(*here) as doors:
        other: Program = request.getfixturevalue("beside")
        with other.serving(*here, "--without-messages") as there:
            both = [one.http.replace("127.0.0.1", "localhost") for one in (doors, there)]
            key = json.loads(said(program, "keys", "create", "--scope", "issuer", "--json", *here))
            assert statuses(both, "/v1/cards", key["key"]) == [200, 200]
            said(other, "keys", "revoke", key["id"], *here)
            assert statuses(both, "/v1/cards", key["key"]) == [401, 401]
            operator = said(other, "operators", "add", "王芳", "--role", "agent", *here)
            link = said(program, "enter", f"operator:{operator}", *here)
            with httpx.Client(timeout=60) as browser:
                first, second = both
                page = browser.get(f"{first}{link}").text
                answer = browser.post(f"{first}{link}", data=hidden(page))
                assert answer.status_code == 303
                for site in both:
                    assert browser.get(f"{site}/console").status_code == 200
                assert browser.get(f"{second}{link}").status_code != 200
                said(other, "operators", "disable", operator, *here)
                for site in both:
                    assert browser.get(f"{site}/console").status_code == 303


def test_a_wrong_database_ends_the_start(program: Program, cluster: Cluster) -> None:
    """One line, exit code 3."""
    for url, said in (
        (cluster.url("nowhere"), b'database "nowhere" does not exist; make it as docs/operating'),
        ("mysql://host/name", b"postgresql://user@host:5432/name"),
    ):
        done = program.run("serve", "--data", str(program.data), "--database", url)
        assert done.returncode == 3
        last = done.stderr.splitlines()[-1]
        assert said in last
        assert last.startswith(b"zhiwei: ")


@pytest.fixture
def weak() -> Iterator[str]:
    """A database on a server that promises less than it should."""
    with running_cluster({"fsync": "off"}) as cluster:
        yield cluster.url(cluster.new_database())


def test_readiness_shows_what_is_weak(program: Program, weak: str) -> None:
    """The house takes work and says what it rests on."""
    key = program.key("issuer", "--database", weak)
    with program.serving("--database", weak) as doors, Issuer(doors, key) as bank:
        told = bank.call("GET", "/readyz")
        assert told["status"] == "ready"
        assert told["weaknesses"][0].startswith("fsync is off")
