"""`zhiwei enter` and `zhiwei operators`, beside a store that is open."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zhiwei.core.command import Actor, Via
from zhiwei.ports import Cardholder
from zhiwei.stores.faces import SqliteFaceStore
from zhiwei.stores.sqlite.store import SqliteStore
from zhiwei.web.sign_in.codes import take_link
from zhiwei.web.sign_in.model import Face, Proof, Role
from zhiwei.web.sign_in.sessions import Sessions


class Now:
    """The machine's clock, as the command line has it."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        return time.time_ns() // 1_000_000


def zhiwei(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "zhiwei", *words, "--data", str(data)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_operator_is_added_let_in_and_disabled(tmp_path: Path) -> None:
    """While a server has the file open: the link works once, and disabling ends the session."""
    store = SqliteFaceStore(tmp_path)
    sessions = Sessions(store, Now())
    made = zhiwei(tmp_path, "operators", "add", "王芳", "--role", "agent")
    assert made.returncode == 0, made.stderr
    operator = made.stdout.strip()
    found = store.operator(operator)
    assert found is not None
    assert (found.name, found.role, found.disabled_ms) == ("王芳", Role.AGENT, 0)
    link = zhiwei(tmp_path, "enter", f"operator:{operator}").stdout.strip()
    token = link.removeprefix("/enter/")
    assert take_link(store, token, Now().now_ms()) == (Face.OPERATOR, operator)
    assert take_link(store, token, Now().now_ms()) is None
    cookie, _ = sessions.open(Face.OPERATOR, operator, "", Role.AGENT, Proof.LINK)
    assert "active" in zhiwei(tmp_path, "operators", "list").stdout
    assert zhiwei(tmp_path, "operators", "disable", operator).returncode == 0
    assert sessions.session_of(cookie) is None
    listed = json.loads(zhiwei(tmp_path, "operators", "list", "--json").stdout)
    assert listed["is_disabled"] is True
    refused = zhiwei(tmp_path, "enter", f"operator:{operator}")
    assert refused.returncode == 3
    assert "WHO" in refused.stderr
    assert zhiwei(tmp_path, "operators", "disable", "op_unknown").returncode == 3
    store.close()


@pytest.mark.parametrize("words", [("", "--role", "agent"), ("x", "--role", "king")])
def test_an_operator_without_name_or_role_is_refused(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Nothing is made."""
    refused = zhiwei(tmp_path, "operators", "add", *words)
    assert refused.returncode == 3
    assert list(tmp_path.iterdir()) == []


def test_a_cardholder_is_let_in(tmp_path: Path) -> None:
    """One whom the main file knows, while the server writes it; nobody else."""
    main = SqliteStore(tmp_path)
    who = Actor("test", Via.CLI, is_staff=True)
    asyncio.run(main.keep([Cardholder("holder_1", 1)], [], who, 1))
    link = zhiwei(tmp_path, "enter", "cardholder:holder_1")
    assert link.returncode == 0, link.stderr
    store = SqliteFaceStore(tmp_path)
    token = link.stdout.strip().removeprefix("/enter/")
    assert take_link(store, token, Now().now_ms()) == (Face.CARDHOLDER, "holder_1")
    store.close()
    for wrong in ("cardholder:holder_2", "holder_1", "operator:holder_1", "contact:holder_1", ""):
        assert zhiwei(tmp_path, "enter", wrong).returncode == 3
    asyncio.run(main.close())


def test_a_link_makes_no_data_directory(tmp_path: Path) -> None:
    """A slip of the hand in the path leaves nothing behind."""
    assert zhiwei(tmp_path / "elsewhere", "enter", "operator:op_1").returncode == 3
    assert list(tmp_path.iterdir()) == []
