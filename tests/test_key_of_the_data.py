"""Data and the key of their card numbers belong together: a server never starts with another."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.canary.serving import Program

PAN = "6212345678901232"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A data directory with one card in it."""
    made = Program(tmp_path / "house")
    made.data.mkdir()
    with made.serving() as doors:
        headers = {"Authorization": f"Bearer {made.key('issuer')}"}
        with httpx.Client(base_url=doors.http, headers=headers) as client:
            holder = client.post("/v1/cardholders", json={"name": "Somebody"}).json()["id"]
            card = {"pan": PAN, "cardholder": holder, "currency": "CNY", "network": "unionpay"}
            card |= {"time_zone": "Asia/Shanghai", "has_chip": True}
            assert client.post("/v1/cards", json=card).status_code == 201
    return made


def test_a_lost_key_is_not_replaced(program: Program) -> None:
    """Without the key file the server refuses to start and makes no new one; with it, it starts."""
    key_file = program.data / "vault.key"
    saved = key_file.read_bytes()
    key_file.unlink()
    done = program.run("serve", "--data", str(program.data), "--http", "127.0.0.1:0")
    assert done.returncode == 3
    assert b"is gone, and the data hold cards; put it back" in done.stderr
    assert not key_file.exists()
    key_file.touch(mode=0o600)
    key_file.write_bytes(saved)
    with program.serving():
        pass


def test_another_key_is_refused(program: Program, tmp_path: Path) -> None:
    """A key that would recognize none of the cards is told at the start; its text is not shown."""
    other = tmp_path / "other.key"
    other.touch(mode=0o600)
    other.write_text("ab" * 32)
    words = ("serve", "--data", str(program.data), "--key-file", str(other))
    done = program.run(*words, "--http", "127.0.0.1:0", "--iso8583", "127.0.0.1:0")
    assert done.returncode == 3
    assert b"is not the one that these data were made with" in done.stderr
    assert b"abab" not in done.stderr


def test_the_key_may_lie_elsewhere_from_the_first_start(tmp_path: Path) -> None:
    """With `--key-file` the key is made where it is told, for its owner only, beside no data."""
    program = Program(tmp_path / "house")
    key_file = tmp_path / "keys" / "card.key"
    with program.serving("--key-file", str(key_file)):
        pass
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert not list(program.data.glob("*.key"))


def test_a_trial_takes_the_key_from_where_it_lies(program: Program, tmp_path: Path) -> None:
    """`decide --data` finds the cards by a key that is kept elsewhere, and says where it is not."""
    key_file = (program.data / "vault.key").rename(tmp_path / "card.key")
    line = {"pan": PAN, "kind": "purchase", "channel": "pos", "medium": "chip"}
    given = json.dumps(line | {"amount": 100, "currency": "CNY"}).encode()
    words = ("decide", "-", "--json", "--data", str(program.data))
    done = program.run(*words, "--key-file", str(key_file), given=given)
    assert json.loads(done.stdout)["decision"] == "approve", done.stderr
    without = program.run(*words, given=given)
    assert without.returncode == 3
    assert b"name it with --key-file" in without.stderr
