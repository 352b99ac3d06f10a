"""A policy is switched while the real server decides, survives a kill, and replays right."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import httpx

from tests.canary.serving import Program
from zhiwei.policy_file import policy_of_stored
from zhiwei.ports import PolicyText
from zhiwei.stores.coding.record import record_of
from zhiwei.stores.sqlite.connection import FILE_NAME
from zhiwei.stores.sqlite.snapshot import Snapshot

PAN = "6212345678901232"
SPEND: dict[str, Any] = {
    "kind": "purchase",
    "channel": "pos",
    "medium": "chip",
    "amount": 100,
    "currency": "CNY",
    "merchant": {"id": "M1", "name": "Shop", "mcc": "7995", "country": "CHN"},
}
SWITCHES = 6


def client_of(base: str, key: str) -> httpx.Client:
    """A client with a key."""
    return httpx.Client(base_url=base, headers={"Authorization": f"Bearer {key}"}, timeout=60)


def registered(client: httpx.Client) -> str:
    """Id of a new card."""
    holder = client.post("/v1/cardholders", json={"name": "Somebody"}).json()["id"]
    card = {"pan": PAN, "cardholder": holder, "currency": "CNY", "network": "unionpay"}
    card |= {"time_zone": "Asia/Shanghai", "has_chip": True}
    return str(client.post("/v1/cards", json=card).json()["id"])


def switched(one: httpx.Client, other: httpx.Client, mccs: list[str]) -> str:
    """The version after other categories were closed; two keys do it."""
    base = one.get("/v1/policy").json()["version"]
    body = {"base": base, "settings": {"closed_mccs": mccs}}
    change = one.post("/v1/policy_changes", json=body)
    assert change.status_code == 201, change.text
    done = other.post(f"/v1/policy_changes/{change.json()['id']}/approve")
    assert done.status_code == 200, done.text
    return str(done.json()["version"])


def test_a_switch_under_traffic_is_one_value(tmp_path: Path) -> None:
    """Each decision fits the one version that it carries; after a kill that version still holds."""
    program = Program(tmp_path / "house")
    program.data.mkdir()
    decisions: list[tuple[str, str]] = []
    with program.serving(code=-signal.SIGKILL) as doors:
        keys = program.key("issuer"), program.key("operator")
        with client_of(doors.http, keys[0]) as one, client_of(doors.http, keys[1]) as other:
            card = registered(one)
            is_over = threading.Event()

            def pay() -> None:
                with client_of(doors.http, keys[0]) as payer:
                    while not is_over.is_set():
                        made = payer.post("/v1/authorizations", json={"card": card, **SPEND}).json()
                        decisions.append((made["policy_version"], made["decision"]))

            payers = [threading.Thread(target=pay) for _ in range(3)]
            for payer in payers:
                payer.start()
            last = ""
            for number in range(SWITCHES):
                at = len(decisions)
                last = switched(one, other, ["7995"] if number % 2 else ["6011"])
                while len(decisions) < at + 10:
                    is_over.wait(0.01)
            # Who asks after the adoption was answered is decided under it.
            after = one.post("/v1/authorizations", json={"card": card, **SPEND}).json()
            is_over.set()
            for payer in payers:
                payer.join()
            assert (after["policy_version"], after["decision"]) == (last, "decline")
            os.kill(doors.pid, signal.SIGKILL)
    with Snapshot(program.data / FILE_NAME) as snapshot:
        closed = {
            record_id: "7995"
            in policy_of_stored(record_of(PolicyText, record_id, body).text).closed_mccs
            for kind, record_id, _, _, body in snapshot.records()
            if kind == "policy"
        }
    assert len(closed) == 3
    assert {version for version, _ in decisions} == set(closed)
    for version, decision in decisions:
        assert decision == ("decline" if closed[version] else "approve")
    with program.serving() as doors, client_of(doors.http, keys[0]) as one:
        now = one.get("/v1/policy").json()
        assert (now["version"], now["number"]) == (last, SWITCHES)
        again = one.post("/v1/authorizations", json={"card": card, **SPEND}).json()
        assert (again["policy_version"], again["decision"]) == (last, "decline")
    verified = program.run("verify", "--data", str(program.data))
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_policy_file_goes_before_what_was_adopted(tmp_path: Path) -> None:
    """Started with a file, the server decides by it and changes nothing; without, as before."""
    program = Program(tmp_path / "house")
    program.data.mkdir()
    file = tmp_path / "policy.toml"
    file.write_text('name = "file"\nhold_days = 7\n')
    keys = None
    with program.serving() as doors:
        keys = program.key("issuer"), program.key("operator")
        with client_of(doors.http, keys[0]) as one, client_of(doors.http, keys[1]) as other:
            adopted = switched(one, other, ["7995"])
    with program.serving("--policy", str(file)) as doors, client_of(doors.http, keys[0]) as one:
        now = one.get("/v1/policy").json()
        assert (now["settings"]["hold_days"], now["fixed"]) == (7, ["policy"])
        body = {"base": now["version"], "settings": {"hold_days": 8}}
        assert one.post("/v1/policy_changes", json=body).json()["code"] == "policy_fixed"
    with program.serving() as doors, client_of(doors.http, keys[0]) as one:
        assert one.get("/v1/policy").json()["version"] == adopted
