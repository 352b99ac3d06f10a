"""`zhiwei messages`: looks beside a running server, replays without one, and says who did it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from base64 import b64decode
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from zhiwei.cli.main import main
from zhiwei.gateways.http.signatures import PURPOSE
from zhiwei.messaging.model import SMS, Change, Message, Planned, Status
from zhiwei.stores.messages.store import SqliteMessageStore
from zhiwei.stores.sqlite.lock import DirectoryLock
from zhiwei.stores.sqlite.store import SqliteStore
from zhiwei.vault import open_vault

NOON = 1_763_956_800_000


@dataclass
class Said:
    """What a command said."""

    returncode: int
    stdout: str
    stderr: str


def zhiwei(*words: str) -> Said:
    """Run the command line as a person would, but within this process, which is quicker."""
    out, err = io.StringIO(), io.StringIO()
    umask = os.umask(0o077)
    code = 0
    with redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["zhiwei", "messages", *words])
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            os.umask(umask)
    return Said(code, out.getvalue(), err.getvalue())


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A data directory with three messages: dead, delivered and waiting."""
    store = SqliteMessageStore(tmp_path)
    planned = [
        Planned(
            Message(
                id=f"msg_{name}",
                event_id="",
                kind="stop_placed",
                card_key=b"",
                lane=name,
                channel=SMS,
                to="+8613800138000",
                language="zh",
                subject="",
                text="【智卫】一句话",
                created_ms=NOON,
            )
        )
        for name in ("dead", "delivered", "waiting")
    ]
    store.plan(planned, cursor=-1, now_ms=NOON)
    store.note(
        [
            Change("msg_dead", Status.DEAD, 9, 0, NOON, detail="throttled"),
            Change("msg_delivered", Status.DELIVERED, 1, 0, NOON),
        ]
    )
    store.close()
    asyncio.run(SqliteStore(tmp_path).close())
    return str(tmp_path)


def test_messages_are_listed_and_shown(data: str) -> None:
    """By state, for eyes and for machines, and never with the whole number."""
    listed = zhiwei("list", "--data", data)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [
        "msg_waiting",
        "msg_delivered",
        "msg_dead",
    ]
    dead = zhiwei("list", "--data", data, "--status", "dead", "--channel", "sms", "--json")
    document = json.loads(dead.stdout)
    assert (document["id"], document["tries"], document["text"]) == ("msg_dead", 9, None)
    assert len(zhiwei("list", "--data", data, "--limit", "1").stdout.splitlines()) == 1
    shown = zhiwei("show", "msg_dead", "--data", data)
    assert "throttled" in shown.stdout
    assert "【智卫】一句话" in shown.stdout
    assert json.loads(zhiwei("show", "msg_dead", "--data", data, "--json").stdout)["to_tail"]
    assert "13800138000" not in listed.stdout + dead.stdout + shown.stdout


def test_what_was_given_up_is_queued_again(data: str) -> None:
    """By its id or by its state; the audit trail names the command line."""
    assert zhiwei("replay", "--status", "dead", "--data", data).stdout == "1 queued again\n"
    shown = json.loads(zhiwei("show", "msg_dead", "--data", data, "--json").stdout)
    assert (shown["status"], shown["tries"]) == ("queued", 0)
    none = zhiwei("replay", "--status", "dead", "--data", data, "--json")
    assert json.loads(none.stdout) == {"replayed": 0}
    main = SqliteStore(Path(data))
    (line,) = main.reader().audits()
    asyncio.run(main.close())
    assert (line.audit.action, line.audit.subject) == ("message.replayed", "msg_dead")
    assert line.actor.who == "cli"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("replay", "msg_delivered"), 3, "is delivered"),
        (("replay", "msg_waiting"), 3, "is queued"),
        (("replay", "msg_nobody"), 3, "no message"),
        (("show", "msg_nobody"), 3, "no message"),
        (("replay",), 2, "--status"),
        (("replay", "msg_dead", "--status", "dead"), 2, "--status"),
        (("replay", "msg_dead", "--card", "card_x"), 2, "--status"),
        (("list", "--card", "card_x"), 2, "card"),
        (("list", "--status", "lost"), 2, "lost"),
    ],
)
def test_what_cannot_be_done_is_said(
    data: str, words: tuple[str, ...], code: int, said: str
) -> None:
    """With the exit code of its kind; nothing is queued."""
    refused = zhiwei(*words, "--data", data)
    assert refused.returncode == code
    assert said in refused.stderr
    assert "1 queued" not in refused.stdout


def test_a_running_server_replays_itself(data: str) -> None:
    """The data belong to it; the message says which call to make. Looking is always possible."""
    lock = DirectoryLock(Path(data))
    refused = zhiwei("replay", "msg_dead", "--data", data)
    assert refused.returncode == 3
    assert "/v1/message_replays" in refused.stderr
    assert zhiwei("list", "--data", data).returncode == 0
    lock.release()


def test_where_there_are_no_messages_it_is_said(tmp_path: Path) -> None:
    """And nothing is made."""
    for words in (("list",), ("show", "msg_1"), ("replay", "msg_1"), ("secret",)):
        assert zhiwei(*words, "--data", str(tmp_path)).returncode == 3
    assert list(tmp_path.iterdir()) == []


def test_the_secret_is_the_vaults_own(tmp_path: Path) -> None:
    """In the form that every library of Standard Webhooks takes."""
    vault = open_vault(tmp_path / "vault.key")
    printed = zhiwei("secret", "--data", str(tmp_path)).stdout.strip()
    assert printed.startswith("whsec_")
    assert b64decode(printed.removeprefix("whsec_")) == vault.derived_secret(PURPOSE)
