"""The messaging process beside a real server: it is killed, it is left alone, it asks and calls."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from tests.canary.serving import PATIENCE_SECONDS, Doors, Program

from zhiwei.messaging_process.orders import LOCK_NAME

PHONE = "+8613800138000"


@dataclass
class Receiver:
    """An endpoint that remembers which events it was told."""

    url: str = ""
    status: int = 204
    told: list[str] = field(default_factory=list)


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[Receiver]:
    """A real HTTP server on loopback."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        """Takes everything."""

        def do_POST(self) -> None:
            """Note the event."""
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.told.append(body["id"])
            self.send_response(receiver.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *words: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield receiver
    server.shutdown()
    thread.join()
    server.server_close()


class Issuer:
    """Calls a server as an issuer does."""

    def __init__(self, doors: Doors, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}", "Authentication-Strength": "strong"}
        self._client = httpx.Client(base_url=doors.http, headers=headers, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_rest: object) -> None:
        self._client.close()

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - whatever JSON holds
        """The answer to a call that must not fail."""
        answer = self.ask(method, path, body)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        """The answer to a call, whatever it is."""
        return self._client.request(method, path, json=body)

    def metric(self, name: str) -> float:
        """One number of the metrics; 0 where it is not there."""
        for line in self._client.get("/metrics").text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        return 0.0

    def card(self) -> str:
        """A new card of a person with a phone; its id."""
        holder = self.call("POST", "/v1/cardholders", {"name": "李四", "phone": PHONE})
        body = {"pan": "6226090000000048", "cardholder": holder["id"], "currency": "CNY"}
        body |= {"time_zone": "Asia/Shanghai", "network": "unionpay"}
        return str(self.call("POST", "/v1/cards", body)["id"])

    def subscribe(self, url: str) -> str:
        """Tell an endpoint of everything; the subscription's id."""
        return str(self.call("POST", "/v1/event_subscriptions", {"url": url})["id"])

    def set_clock(self, instant: str) -> None:
        """The time is this from now on."""
        self.call("PUT", "/v1/test_helpers/clock", {"now": instant})


def until(what: Callable[[], object]) -> None:
    """Wait for something."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.02)


def messaging_pid(program: Program) -> int:
    """Process id of whoever writes messages.db; 0 while a new one has locked and not yet signed."""
    return int((program.data / LOCK_NAME).read_text() or 0)


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_messaging_process_that_is_killed_loses_nothing(
    tmp_path: Path, receiver: Receiver
) -> None:
    """Cards are stopped and freed while it dies again and again; each event is told."""
    program = Program(tmp_path / "house")
    key = program.key("issuer")
    with program.serving("--test-mode") as doors, Issuer(doors, key) as issuer:
        issuer.subscribe(receiver.url)
        card = issuer.card()
        killed: set[int] = set()
        for _ in range(3):
            for _ in range(5):
                issuer.call("POST", f"/v1/cards/{card}/stop", {"source": "issuer"})
                issuer.call("DELETE", f"/v1/cards/{card}/stop")
            pid = messaging_pid(program)
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
            until(lambda: messaging_pid(program) not in {0, *killed})
        events = {event["id"] for event in issuer.call("GET", "/v1/events?limit=100")["data"]}
        assert len(events) >= 30
        until(lambda: events <= set(receiver.told))
        until(lambda: issuer.metric("zhiwei_messaging_up") == 1)
        assert issuer.metric("zhiwei_messaging_restarts_total") == len(killed)
        assert is_alive(doors.pid)


def test_no_messaging_process_outlives_its_server(tmp_path: Path) -> None:
    """A server that is killed takes it along, and the next one finds the way free."""
    program = Program(tmp_path / "house")
    with program.serving(code=-signal.SIGKILL) as doors:
        pid = messaging_pid(program)
        assert is_alive(pid)
        os.kill(doors.pid, signal.SIGKILL)
        until(lambda: not is_alive(pid))
    with program.serving():
        assert messaging_pid(program) != pid
    until(lambda: not is_alive(messaging_pid(program)))
    left = sorted(path.name for path in program.data.glob("messages.db*"))
    assert left == ["messages.db"], "a good end leaves the file in one piece"


def test_a_text_message_is_carried_out_at_the_house_s_instant(tmp_path: Path) -> None:
    """It stops the card by a call to the server, at the time that the test clock shows."""
    program = Program(tmp_path / "house")
    key = program.key("issuer")
    with program.serving("--test-mode") as doors, Issuer(doors, key) as issuer:
        card = issuer.card()
        issuer.set_clock("2031-02-03T04:05:06Z")
        said = {"from": PHONE, "text": "ZF"}
        answer = issuer.call("POST", "/v1/inbound_messages", said)
        assert answer["outcome"] == "stopped"
        assert answer["stops"][0]["since"].startswith("2031-02-03T04:05:06")
        assert issuer.call("GET", f"/v1/cards/{card}")["stopped"]


def test_a_trusted_contact_agrees_and_stops_through_both_processes(tmp_path: Path) -> None:
    """What a contact writes is kept by the serving process and seen by the other one at once."""
    program = Program(tmp_path / "house")
    key = program.key("issuer")
    with program.serving("--test-mode") as doors, Issuer(doors, key) as issuer:
        card = issuer.card()
        holder = issuer.call("GET", f"/v1/cards/{card}")["cardholder"]
        path = f"/v1/cardholders/{holder}/trusted_contacts"
        contact = issuer.call("POST", path, {"name": "韩梅梅", "phone": "13900139000"})
        words = contact["invitation"]["text"]
        reference = words[words.index("同意回复") :].removeprefix("同意回复：同意")[:6]
        said = [
            issuer.call("POST", "/v1/inbound_messages", {"from": "13900139000", "text": text})
            for text in (f"同意{reference}", "ZF#0048", "退订", "ZF#0048")
        ]
        outcomes = ["contact_agreed", "stopped", "contact_left", "neutral"]
        assert [one["outcome"] for one in said] == outcomes
        assert issuer.call("GET", f"/v1/cards/{card}/stop")["source"] == "contact"
        assert issuer.call("GET", path)["data"][0]["state"] == "ended"


def test_an_endpoint_that_is_gone_is_switched_off(tmp_path: Path, receiver: Receiver) -> None:
    """It answers 410; the server keeps that, and says so."""
    program = Program(tmp_path / "house")
    key = program.key("issuer")
    receiver.status = 410
    with program.serving("--test-mode") as doors, Issuer(doors, key) as issuer:
        path = f"/v1/event_subscriptions/{issuer.subscribe(receiver.url)}"
        issuer.call("POST", f"/v1/cards/{issuer.card()}/stop", {"source": "issuer"})
        until(lambda: issuer.call("GET", path)["disabled_reason"] == "gone")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sms]\nkind = 'pigeon'\n", "sms.kind"),
        ("[webhooks]\nallow_privat = true\n", "allow_privat"),
        ("[inbound]\nsecret = 'secret'\n", "inbound.secret"),
    ],
)
def test_what_keeps_messaging_from_starting_is_said(tmp_path: Path, text: str, said: str) -> None:
    """The server ends with the reason, whichever process found it."""
    program = Program(tmp_path / "house")
    messages = tmp_path / "messages.toml"
    messages.write_text(text)
    words = ("--data", str(program.data), "--http", "127.0.0.1:0", "--iso8583", "127.0.0.1:0")
    done = program.run("serve", *words, "--messages", str(messages))
    assert done.returncode != 0
    assert said.encode() in done.stderr
    assert b"Traceback" not in done.stderr
