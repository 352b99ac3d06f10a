"""`serve --workers` on a real database: lines are spread, workers die and come back, none is left.

Real processes, real sockets, real signals.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.canary.frames import FrameMaker
from tests.canary.serving import PATIENCE_SECONDS, Doors, Program
from tests.messaging.test_process import Issuer, is_alive, messaging_pid, until
from tests.stores.cluster import Cluster
from tests.test_policy_switch import SPEND, client_of, registered, switched
from zhiwei.assemble import Options
from zhiwei.gateways.iso8583.frame import split
from zhiwei.workers.supervisor import (
    WorkersInTestModeError,
    WorkersNeedDatabaseError,
    serve_with_workers,
)

PAN = "6226090000000048"
WORKERS = 3
#: Messages that are on their way when the server is told to end.
IN_FLIGHT = 200


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program with a folder of its own."""
    return Program(tmp_path / "house")


class Acquirer:
    """One line with what came back on it."""

    def __init__(self, doors: Doors, maker: FrameMaker) -> None:
        self._maker = maker
        self._line = socket.create_connection(doors.iso8583, timeout=PATIENCE_SECONDS)
        self._rest = b""
        self.answers = 0

    def send(self, count: int) -> None:
        """Send purchases, all at once."""
        frames = [self._maker.frame("0200", self._maker.purchase(PAN)) for _ in range(count)]
        self._line.sendall(b"".join(frames))

    def is_answered(self) -> bool:
        """Take answers until there are as many as were wanted, or one more read; False at the end.

        A line that was reset has ended too.
        """
        try:
            part = self._line.recv(65_536)
        except ConnectionError:
            return False
        spans: list[int] = []
        buffer = self._rest + part
        self._rest = buffer[split(self._maker.dialect.framing, buffer, 0, spans) :]
        self.answers += len(spans) // 2
        return bool(part)

    def asked(self) -> bool:
        """Whether one more purchase is answered; False where the line is gone."""
        wanted = self.answers + 1
        try:
            self.send(1)
        except ConnectionError:
            return False
        while self.answers < wanted:
            if not self.is_answered():
                return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_rest: object) -> None:
        self._line.close()


def samples(doors: Doors, name: str, **labels: str) -> dict[str, float]:
    """A series by worker, as any worker shows it; of these labels only."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(httpx.get(f"{doors.http}/metrics").text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                worker = sample.labels.get("worker", "")
                found[worker] = found.get(worker, 0) + sample.value
    return found


def logged(program: Program) -> list[dict[str, Any]]:
    """Every whole line of the program's logs."""
    lines = [line for log in program.logs.glob("*.err") for line in log.read_text().split("\n")]
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def pids(program: Program) -> dict[int, int]:
    """Process id of each worker that serves."""
    told = [line for line in logged(program) if line["event"] == "worker_serves"]
    return {line["worker"]: line["pid"] for line in told}


def decided(database: str) -> int:
    """Entries of the journal."""
    with psycopg.connect(database) as connection:
        row = connection.execute("select count(*) from journal").fetchone()
    assert row is not None
    return int(row[0])


def test_lines_are_spread_and_outlive_a_worker(program: Program, database: str) -> None:
    """Each worker has its share; one is killed and comes back; what is in flight is answered."""
    program.data.mkdir()
    key = program.key("issuer", "--database", database)
    maker = FrameMaker("unionpay-ascii")
    words = ("--database", database, "--workers", str(WORKERS))
    with ExitStack() as stack, program.serving(*words) as doors, Issuer(doors, key) as bank:
        bank.card()
        lines = [stack.enter_context(Acquirer(doors, maker)) for _ in range(2 * WORKERS)]
        assert all(line.asked() for line in lines)
        names = [str(number) for number in range(1, WORKERS + 1)]
        until(lambda: samples(doors, "zhiwei_iso8583_connections") == dict.fromkeys(names, 2.0))
        assert samples(doors, "zhiwei_decisions_total") == dict.fromkeys(names, 2.0)

        # The killed one's two lines end; the others' answers come on.
        killed = pids(program)[2]
        os.kill(killed, signal.SIGKILL)
        until(lambda: samples(doors, "zhiwei_worker_restarts_total").get("2") == 1)
        assert Counter(line.asked() for line in lines) == {True: 4, False: 2}
        until(lambda: samples(doors, "zhiwei_workers_up") == {"": WORKERS})
        assert pids(program)[2] != killed
        # New lines go where the fewest are.
        lines += [stack.enter_context(Acquirer(doors, maker)) for _ in range(2)]
        until(lambda: samples(doors, "zhiwei_iso8583_connections") == dict.fromkeys(names, 2.0))

        text_messages_are_taken_by_all(doors, key)
        before = decided(database)
        left = [line for line in lines if line.asked()]
        assert len(left) == 2 * WORKERS
        for line in left:
            line.answers = 0
            line.send(IN_FLIGHT)
        assert all(line.is_answered() for line in left)
        os.kill(doors.pid, signal.SIGTERM)
        for line in left:
            while line.is_answered():
                pass
    answered = sum(line.answers for line in left)
    assert answered == decided(database) - before - len(left)
    assert not [pid for pid in pids(program).values() if is_alive(pid)]


def text_messages_are_taken_by_all(doors: Doors, key: str) -> None:
    """Only the first worker has a messaging process; the others ask it."""
    heard: dict[str, float] = {}
    for number in range(300):
        # A connection of its own for each call, so that another worker may have it.
        with Issuer(doors, key) as bank:
            body = {"from": "+8613900000001", "text": "TD", "id": f"m{number}"}
            bank.call("POST", "/v1/inbound_messages", body)
        heard = samples(doors, "zhiwei_http_calls_total", route="/v1/inbound_messages")
        if len(heard) == WORKERS:
            return
    raise AssertionError(f"a worker was never asked: {heard}")


def test_a_policy_reaches_every_process(program: Program, database: str, tmp_path: Path) -> None:
    """Adopted on one server it holds on all; of two at once one is refused; nobody is left over."""
    program.data.mkdir()
    words = ("--database", database)
    keys = program.key("issuer", *words), program.key("operator", *words)
    with program.serving(*words, "--workers", "2", code=-signal.SIGKILL) as here:
        beside = Program(tmp_path / "beside")
        beside.data.mkdir()
        shutil.copy(program.data / "vault.key", beside.data)
        with (
            beside.serving(*words, "--without-messages") as there,
            client_of(here.http, keys[0]) as one,
            client_of(here.http, keys[1]) as approver,
            client_of(there.http, keys[0]) as two,
            client_of(there.http, keys[1]) as branch,
        ):
            card = registered(one)
            first = switched(two, branch, ["7995"])
            until(lambda: all(versions(log)[-1:] == [first] for log in ours(program, beside)))
            for bank in (one, two):
                made = bank.post("/v1/authorizations", json={"card": card, **SPEND}).json()
                assert (made["policy_version"], made["decision"]) == (first, "decline")

            changes = [proposed(bank, first, days) for bank, days in ((one, 8), (two, 9))]
            with ThreadPoolExecutor(2) as pool:
                paths = [f"/v1/policy_changes/{change}/approve" for change in changes]
                answers = list(pool.map(httpx.Client.post, (approver, branch), paths))
            assert sorted(answer.status_code for answer in answers) == [200, 409]
            refused = next(answer.json() for answer in answers if answer.is_error)
            assert refused["code"] == "policy_stale"
            last = next(answer.json()["version"] for answer in answers if answer.is_success)
            until(lambda: all(versions(log) == [first, last] for log in ours(program, beside)))
            assert {bank.get("/v1/policy").json()["version"] for bank in (one, two)} == {last}

        left = [*pids(program).values(), messaging_pid(program)]
        assert len(left) == 3
        os.kill(here.pid, signal.SIGKILL)
        until(lambda: not any(is_alive(pid) for pid in left))


def proposed(bank: httpx.Client, base: str, days: int) -> str:
    """Id of a change of how long holds last."""
    body = {"base": base, "settings": {"hold_days": days}}
    change = bank.post("/v1/policy_changes", json=body)
    assert change.status_code == 201, change.text
    return str(change.json()["id"])


def ours(*programs: Program) -> list[list[dict[str, Any]]]:
    """What each process of these has logged that serves."""
    by_process: dict[tuple[Path, int], list[dict[str, Any]]] = {}
    for program in programs:
        for told in logged(program):
            by_process.setdefault((program.root, told.get("worker", 0)), []).append(told)
    serving = [(programs[0].root, 1), (programs[0].root, 2), (programs[1].root, 0)]
    return [by_process.get(process, []) for process in serving]


def versions(log: list[dict[str, Any]]) -> list[str]:
    """Versions of the policy that were put in force, in order."""
    return [told["version"] for told in log if told["event"] == "policy_in_force"]


def test_a_start_that_cannot_work_says_why(
    program: Program, cluster: Cluster, tmp_path: Path
) -> None:
    """Without a database, with a clock that is set by hand, or where a worker cannot start."""
    ports: dict[str, Any] = {"http": ("127.0.0.1", 0), "iso8583": ("127.0.0.1", 0)}
    alone = Options(tmp_path, **ports)
    by_hand = Options(tmp_path, database="postgresql:///x", is_test_mode=True, **ports)
    for options, error in (
        (alone, WorkersNeedDatabaseError),
        (by_hand, WorkersInTestModeError),
    ):
        with pytest.raises(error):
            asyncio.run(serve_with_workers(options, 2, pytest.fail, asyncio.Event()))
    words = ("--workers", "2", "--database", cluster.url("nowhere"))
    free = ("--http", "127.0.0.1:0", "--iso8583", "127.0.0.1:0")
    done = program.run("serve", "--data", str(program.data), *free, *words)
    assert (done.returncode, done.stdout) == (3, b"")
    assert b'database "nowhere" does not exist' in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].startswith(b"zhiwei: ")
