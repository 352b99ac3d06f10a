"""The simulation against a real server: streams, scenes, and what the command says of them."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys

import pytest
from tests.programs import started
from tests.simulate.conftest import Running

from zhiwei.simulate.days import instant
from zhiwei.simulate.http_door import HttpDoor, HttpDoorError
from zhiwei.simulate.people import population
from zhiwei.simulate.scenes import SCENES
from zhiwei.simulate.session import Options, session
from zhiwei.simulate.stage import Record
from zhiwei.simulate.telling import Line, Tone
from zhiwei.simulate.traffic import Exchange, Pace, Role, Tally

ZHIWEI = (sys.executable, "-m", "zhiwei")
#: Friday 2026-11-27.
FRIDAY = 20_784


class Listener:
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.lines: list[tuple[Tone, Line]] = []

    def hear(self, tone: Tone, line: Line) -> None:
        """One sentence."""
        self.lines.append((tone, line))


def options(running: Running, **changes: object) -> Options:
    """A session with the server, through both doors."""
    values: dict[str, object] = {
        "host": running.server.host,
        "port": running.server.port,
        "begin_ms": instant(FRIDAY, 6 * 60),
        "http": running.server.http,
        "key": running.key,
        "registers": True,
        "moves_clock": True,
    }
    return Options(**{**values, **changes})  # type: ignore[arg-type]  # the names are its own


def play(options_: Options, scene: str) -> tuple[Record, Listener]:
    """Play one scene."""
    listener = Listener()

    async def run() -> Record:
        async with session(options_) as one:
            return await one.scene(scene, listener)

    return asyncio.run(run()), listener


@pytest.mark.parametrize("scene", list(SCENES))
def test_every_scene_goes_as_expected(running: Running, scene: str) -> None:
    """With its cards registered and the clock in hand, each story ends as it must."""
    record, listener = play(options(running, seed=11), scene)
    unmet = [e.text for e in record.expectations if not e.is_met]
    assert not unmet
    assert record.is_as_expected
    assert len(record.expectations) >= 3
    assert not [line for tone, line in listener.lines if tone is Tone.WRONG]


def test_a_scene_without_the_http_door_expects_nothing(running: Running) -> None:
    """On a server that knows none of its cards a scene is sent all the same: each answer is 14."""
    record, _ = play(options(running, seed=12, http="", key=""), "cloned-card")
    assert not record.expectations
    assert {message["code"] for message in record.messages} == {"14"}


def test_a_scene_that_goes_otherwise_is_said_to(running: Running) -> None:
    """A card that was stopped before makes the story fail, aloud."""
    listener = Listener()

    async def run() -> Record:
        async with session(options(running, seed=13)) as one:
            await one.scene("fallback", Listener())
            assert one.bank is not None
            for account in one.bank.accounts.values():
                one.bank.door.call("POST", f"/v1/cards/{account.card_id}/stop", {})
            return await one.scene("fallback", listener)

    record = asyncio.run(run())
    assert not record.is_as_expected
    assert [line.en for tone, line in listener.lines if tone is Tone.WRONG]


def test_a_stream_is_answered_whole(running: Running) -> None:
    """A day of a few people: every message has its answer, every repeat the very same one."""
    exchanges: list[Exchange] = []

    async def run() -> Tally:
        chosen = options(running, seed=14, customers=30, pace=Pace(rate=400, count=120))
        async with session(chosen) as one:
            await one.register()
            return await one.stream(exchanges.append)

    tally = asyncio.run(run())
    assert tally.unanswered == 0
    assert tally.sent >= 120
    assert tally.approved > 90
    assert tally.repeats == tally.repeats_same
    assert not {"14", "30", "94", "96"} & set(tally.codes)
    network = [e for e in exchanges if e.role is Role.NETWORK]
    assert [e.sent.message.text(70) for e in network] == ["001", "002"]
    assert all(e.answer is not None and e.answer.is_approved for e in network)


def test_the_reason_of_a_refusal_is_found(running: Running) -> None:
    """The wire says 62; the HTTP door says which lock it was."""

    async def run() -> list[dict[str, object]]:
        async with session(options(running, seed=15)) as one:
            await one.scene("cloned-card", Listener())
            assert one.bank is not None
            account = next(iter(one.bank.accounts.values()))
            path = f"/v1/authorizations?card={account.card_id}&decision=decline"
            return (await one.bank.door.acall("GET", path)).rows

    rows = asyncio.run(run())
    assert {row["response_code"] for row in rows} == {"62"}
    record, _ = play(options(running, seed=16), "cloned-card")
    assert [m["reasons"] for m in record.messages][-2] == ["overseas_lock_active"]


def test_registering_again_changes_nothing(running: Running) -> None:
    """The same people are the same cards, and what they changed since stays changed."""
    bank = running.bank
    person = population(17, 3)[2]
    first = bank.register(person)
    path = f"/v1/cards/{first.card_id}/controls/night_lock"
    bank.first_set(first, ("night_lock", {}))
    tag = bank.door.call("GET", path).headers["etag"]
    changed = {"start": "22:00", "end": "06:00"}
    bank.door.call("PUT", path, changed, headers={"If-Match": tag})
    again = bank.register(person)
    assert again == first
    assert bank.door.call("GET", path).document["start"] == "22:00"


def test_the_door_says_what_is_wrong(running: Running) -> None:
    """A problem becomes an error with its status and code; a key is in no text."""
    door = HttpDoor(running.server.http, running.key)
    with pytest.raises(HttpDoorError, match="card_not_found") as failure:
        door.call("GET", "/v1/cards/card_nobody")
    assert (failure.value.status, failure.value.code) == (404, "card_not_found")
    assert running.key not in f"{door!r} {failure.value}"
    door.close()
    with pytest.raises(HttpDoorError, match="no answer") as failure:
        HttpDoor("http://127.0.0.1:9", "nothing").call("GET", "/healthz")
    assert failure.value.status == 0
    with pytest.raises(HttpDoorError, match="not an address"):
        HttpDoor("ftp://somewhere", "nothing")


def simulate(running: Running, *words: str) -> subprocess.CompletedProcess[str]:
    """The command, as a person types it; the key comes by the environment."""
    server = running.server
    return subprocess.run(
        [*ZHIWEI, "simulate", "--connect", f"{server.host}:{server.port}", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"ZHIWEI_KEY": running.key, "PATH": "", "LANG": "C.UTF-8"},
    )


def test_the_command_speaks_to_machines(running: Running) -> None:
    """`--json` is one object a line and a summary; no card number and no key is among them."""
    run = simulate(
        running, "--http", running.server.http, "--register", "--seed", "18", "--customers", "12",
        "--count", "15", "--rate", "200", "--json",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    documents = [json.loads(line) for line in run.stdout.splitlines()]
    assert documents[-1]["object"] == "summary"
    assert documents[-1]["unanswered"] == 0
    assert documents[-1]["sent"] >= 15
    assert not re.search(r"\d{13,}", run.stdout)
    assert running.key not in run.stdout + run.stderr


def test_the_command_plays_scenes(running: Running) -> None:
    """A scene is told in both languages, and its exit code says whether it went as expected."""
    doors = ("--http", running.server.http, "--register")
    run = simulate(running, *doors, "--scene", "lost-answer", "--seed", "19", "--lang", "zh")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "应答丢失" in run.stdout
    run = simulate(running, *doors, "--scene", "lost-answer", "--seed", "20", "--json")
    assert json.loads(run.stdout)["as_expected"] is True
    again = simulate(running, *doors, "--scene", "lost-answer", "--seed", "20", "--json")
    assert again.returncode == 1, "the day's limit is used up by then"


def test_a_person_may_interrupt(running: Running) -> None:
    """In real time, without end: Ctrl-C ends it in good order, with the sum."""
    server = running.server
    words = [*ZHIWEI, "simulate", "--connect", f"{server.host}:{server.port}", "--rate", "0"]
    environment = {"PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8"}
    with started(words, environment) as process:
        assert process.stdout is not None
        while "0800" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert re.search(r"^sent \d+, approved", process.stdout.read(), re.MULTILINE)


def test_the_command_says_what_it_cannot_do(running: Running) -> None:
    """Unknown scenes and half addresses are usage errors; nobody at the other end is exit 3."""
    assert simulate(running, "--scene", "bank-robbery").returncode == 2
    assert simulate(running, "--register").returncode == 2
    assert simulate(running, "--connect", "127.0.0.1:99999").returncode == 2
    assert simulate(running, "--begin", "yesterday", "--count", "1").returncode == 2
    assert simulate(running, "--dialect", "klingon").returncode == 3
    run = simulate(running, "--connect", "127.0.0.1:9", "--count", "1")
    assert run.returncode == 3
    assert "cannot connect to 127.0.0.1:9: connection refused" in run.stderr
    assert "Traceback" not in run.stderr
