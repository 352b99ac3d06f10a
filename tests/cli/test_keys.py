"""`zhiwei keys`, and how the command line says no."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from zhiwei.gateways.http.keys import key_named
from zhiwei.keyring import FILE_NAME, Keyring, KeyringError


def zhiwei(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "zhiwei", *words], capture_output=True, text=True, check=False
    )


def test_a_key_is_shown_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    """The key works, is in no file, and can be revoked for good."""
    data = str(tmp_path / "data")
    made = zhiwei("keys", "create", "--scope", "cardholder:holder_1", "--data", data, "--json")
    document = json.loads(made.stdout)
    keyring = Keyring(tmp_path / "data")
    found = key_named(document["key"], keyring.find)
    assert found is not None
    assert (found.scope, found.subject) == ("cardholder", "holder_1")
    path = tmp_path / "data" / FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert document["key"].encode() not in path.read_bytes()
    listed = zhiwei("keys", "list", "--data", data)
    assert document["id"] in listed.stdout
    assert document["key"] not in listed.stdout
    assert zhiwei("keys", "revoke", document["id"], "--data", data).returncode == 0
    assert key_named(document["key"], keyring.find) is None
    again = zhiwei("keys", "revoke", document["id"], "--data", data)
    assert again.returncode == 3
    assert "was revoked" in again.stderr


@pytest.mark.parametrize("scope", ["admin", "cardholder", "issuer:x", ""])
def test_a_wrong_scope_is_refused(tmp_path: Path, scope: str) -> None:
    """The message names the scopes that there are, and no key is made."""
    refused = zhiwei("keys", "create", "--scope", scope, "--data", str(tmp_path))
    assert refused.returncode == 3
    assert "cardholder:<id>" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_keys_that_cannot_be_kept_are_told(tmp_path: Path) -> None:
    """A file that is no keyring is not overwritten."""
    (tmp_path / FILE_NAME).write_text("this is something else, and longer than a header " * 3)
    with pytest.raises(KeyringError, match="cannot be opened"):
        Keyring(tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("serve", "--http", "nowhere"), "HOST:PORT"),
        (("serve", "--iso8583", "127.0.0.1:99999"), "HOST:PORT"),
        (("serve", "--dialect", "morse", "--iso8583", "127.0.0.1:0"), "there are:"),
        (("serve", "--policy", "none.toml"), "cannot be read"),
        (("verify",), "there are no data"),
        (("export", "-"), "there are no data"),
        (("import", "none.jsonl"), "cannot be read"),
        (("backup", "copy"), "there are no data"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    """Exit code 3, one line that says why, and no traceback."""
    target = ("--data", str(tmp_path / "data"))
    refused = subprocess.run(
        [sys.executable, "-m", "zhiwei", *words, *target],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert refused.returncode == 3
    assert message in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
