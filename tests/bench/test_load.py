"""The load generator over real sockets: it loses and invents nothing, and sees servers' faults."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from zhiwei.bench.generator import Pace
from zhiwei.bench.load import Load, read_arguments, run
from zhiwei.bench.message import Framing, encode, offsets_of
from zhiwei.bench.peers import sim
from zhiwei.bench.processes import Server, ServerFailedError, cpu_seconds, family, start
from zhiwei.bench.traffic import Plan

ECHO = [sys.executable, "-m", "zhiwei.bench.peers.echo"]
ECHO_LISTENS = r"echo [\d.]+:(\d+)"


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def echo(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The echo peer, as a program of its own."""
    server = start("echo", [*ECHO, "--uvloop"] if request.param == "uvloop" else ECHO, ECHO_LISTENS)
    yield server
    assert server.stop() == 0


def answered(body: bytes, code: bytes = b"00") -> bytes:
    """Answer a message of the bench as an issuer would."""
    at = offsets_of(body, 42)
    fields = {
        number: body[at[number] : at[number] + width] for number, width in ((11, 6), (37, 12))
    }
    fields[39] = code
    return Framing().frame(encode("0210", fields)[0])


@contextmanager
def issuer(reply: Callable[[int, bytes], bytes]) -> Iterator[int]:
    """An issuer that answers message n of a connection with `reply(n, body)`; yields its port."""

    def attend(client: socket.socket) -> None:
        rest = b""
        count = 0
        # Either side may hang up; a reply that raises is an issuer that does.
        with client, contextlib.suppress(ConnectionError):
            while chunk := client.recv(1 << 16):
                rest += chunk
                while len(rest) >= 2 and len(rest) >= (size := 2 + int.from_bytes(rest[:2], "big")):
                    client.sendall(reply(count, rest[2:size]))
                    rest = rest[size:]
                    count += 1

    def accept(door: socket.socket) -> None:
        while True:
            try:
                client, _ = door.accept()
            except OSError:
                return
            threading.Thread(target=attend, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as door:
        threading.Thread(target=accept, args=(door,), daemon=True).start()
        yield door.getsockname()[1]
        # Closing alone does not wake a thread that waits for a connection.
        door.shutdown(socket.SHUT_RDWR)


def small(port: int, *, rate: int = 0, messages: int = 400) -> Load:
    """A short run with four connections and without retries."""
    plan = Plan(messages, 4, 100, run=5, retries=False)
    return Load(port, plan, Pace(10, rate, 8, patience_seconds=0.5))


def test_saturation_sends_everything_and_gets_it_back(echo: Server) -> None:
    """At saturation all messages leave, each is answered once; the run says that they ran out."""
    verdict = run(Load(echo.port, Plan(20_000, 4, 100), Pace(60), watched=tuple(echo.pids)))
    assert verdict.clean
    assert verdict.exhausted
    assert verdict.sent == verdict.answered == 20_000
    assert verdict.codes == {"--": 20_000}


def test_open_loop_keeps_its_plan(echo: Server) -> None:
    """In open loop as many messages leave as were planned, in time, and all are answered."""
    verdict = run(Load(echo.port, Plan(2_000, 4, 100), Pace(1, rate=2_000)))
    assert verdict.clean
    assert verdict.sent == 2_000
    assert not verdict.exhausted
    assert 0 < verdict.latency_us["p50"] <= verdict.latency_us["p99"] <= verdict.latency_us["max"]


def test_response_codes_are_counted() -> None:
    """What an issuer refuses is counted under its code."""
    with issuer(lambda n, body: answered(body, b"61" if n % 4 == 0 else b"00")) as port:
        verdict = run(small(port))
    assert verdict.clean
    assert verdict.codes == {"61": 100, "00": 300}


def test_a_lost_answer_is_seen() -> None:
    """Messages that get no answer are counted as unanswered, in both ways of sending."""
    with issuer(lambda n, body: b"" if n == 7 else answered(body)) as port:
        open_loop = run(small(port, rate=4_000))
        full = run(small(port))
    assert open_loop.unanswered == 4
    assert full.unanswered == 4
    assert not full.clean


def test_a_doubled_answer_is_seen() -> None:
    """An issuer that answers twice is found out."""
    with issuer(lambda n, body: answered(body) * (2 if n == 7 else 1)) as port:
        verdict = run(small(port, rate=4_000))
    assert verdict.duplicates == 4
    assert not verdict.clean


def test_an_answer_to_another_message_is_seen() -> None:
    """An issuer that mixes up numbers is found out."""

    def mixed_up(n: int, body: bytes) -> bytes:
        wrong = answered(body)
        return wrong if n != 7 else wrong[:-14] + b"9999" + wrong[-10:]

    with issuer(mixed_up) as port:
        verdict = run(small(port, rate=4_000))
    assert verdict.unexpected == 4
    assert verdict.unanswered == 4


def test_a_server_that_hangs_up_is_seen() -> None:
    """Connections that the server closes are counted, and what was on them is unanswered."""

    def give_up(n: int, body: bytes) -> bytes:
        if n == 7:
            raise ConnectionAbortedError
        return answered(body)

    with issuer(give_up) as port:
        verdict = run(small(port))
    assert verdict.connections_lost == 4
    # What was answered just before may be thrown away by the reset.
    assert verdict.answered <= 28
    assert verdict.unanswered == verdict.sent - verdict.answered > 0


def test_latency_counts_from_the_plan_not_from_the_sending() -> None:
    """A server that stalls delays every message that was due meanwhile, and the figures show it."""
    gate = threading.Event()

    def stall(n: int, body: bytes) -> bytes:
        if n == 50:
            gate.wait(0.4)
        return answered(body)

    with issuer(stall) as port:
        verdict = run(Load(port, Plan(1_000, 1, 100, run=5), Pace(1, rate=1_000)))
    # A client that waits for its answers would have sent one late message; the plan had hundreds.
    assert verdict.sent == 1_000
    assert verdict.latency_us["p90"] > 100_000


def test_a_run_can_be_written_as_arguments() -> None:
    """The program's arguments say all that a run is."""
    framing = Framing("4a", bytes.fromhex("6000010000"))
    plan = Plan(77, 3, 9, 5, "zipf", 12, framing, retries=False)
    load = Load(1234, plan, Pace(1.5, 100, 7, 2.5), "127.0.0.2", (4, 5))
    assert read_arguments(load.arguments()) == load


def test_the_generator_is_a_program(echo: Server) -> None:
    """Run as a program it prints one JSON object."""
    load = Load(echo.port, Plan(400, 4, 100), Pace(5), watched=(echo.process.pid,))
    command = [sys.executable, "-m", "zhiwei.bench.load", *load.arguments()]
    told = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert told["clean"] is True
    assert told["sent"] == 400


def test_a_program_that_does_not_listen_is_an_error() -> None:
    """The error has what the program said; a program that says nothing is ended."""
    with pytest.raises(ServerFailedError, match="no such luck"):
        start("x", [sys.executable, "-c", "print('no such luck')"], r"listens (\d+)")
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(ServerFailedError, match="did not listen"):
        start("x", sleeper, r"listens (\d+)", patience_seconds=0.2)


@pytest.mark.parametrize("after", ["time.sleep(60)", "pass"], ids=["alive", "ended"])
def test_cpu_time_counts_children(after: str) -> None:
    """Work that a child process does is part of its parent's cost, while it lives and later."""
    work = (
        "import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', sys.argv[1]])\n"
        "print('waited 2', flush=True)\ntime.sleep(60)"
    )
    burn = (
        f"import time\nwhile time.process_time() < 0.2: pass\nprint('burnt 1', flush=True)\n{after}"
    )
    server = start(
        "burner",
        [sys.executable, "-c", work, burn],
        r"burnt (1)" if "sleep" in after else r"waited (2)",
    )
    try:
        assert cpu_seconds([server.process.pid]) >= 0.15
    finally:
        for pid in reversed(family(server.process.pid)):
            os.kill(pid, signal.SIGTERM)
        server.stop()


def test_the_simulator_understands_every_message(tmp_path: Path) -> None:
    """The foreign issuer answers the whole mix by its fifteen rules, retries included."""
    assert len(sim.rules()) == 15
    server = start("sim", sim.command(tmp_path), sim.LISTENING, environment={"COLUMNS": "200"})
    try:
        verdict = run(Load(server.port, Plan(1_500, 4, 1_000), Pace(30, window=8)))
    finally:
        server.stop()
    assert verdict.clean
    assert set(verdict.codes) >= {"00", "62"}
