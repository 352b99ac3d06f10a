"""The tutorial works: every command of docs/start.md is run, and answers as the page shows."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.canary.serving import PATIENCE_SECONDS, said_by
from tests.house.tree import ROOT

PAGE = ROOT / "docs" / "start.md"
_BLOCK = re.compile(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Stands between the outputs of two blocks.
_MARK = "<<<block>>>"


@dataclass(frozen=True)
class Step:
    """One block of commands, and what the page says they print."""

    commands: str
    #: The word behind the language: `setup`, `server`, or nothing.
    where: str
    expected: str


def steps() -> list[Step]:
    """The blocks of the page; what is printed stands in the block behind the commands."""
    blocks = _BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    followers = [*blocks[1:], ("", "", "")]
    return [
        Step(text, where, follower[2] if follower[0] == "text" else "")
        for (language, where, text), follower in zip(blocks, followers, strict=True)
        if language == "sh"
    ]


def pattern_of(expected: str) -> re.Pattern[str]:
    """What the page shows, as a pattern: `…` alone is any lines, within a line any text."""
    lines = []
    for line in expected.splitlines():
        escaped = re.escape(line.rstrip()).replace("…", ".*")
        lines.append("(?s:.*?)" if line.strip() == "…" else f"^{escaped}.*$")
    return re.compile(r"\n?".join(lines), re.MULTILINE)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A clone as the page leaves it after the set-up: a folder with `.venv/bin` in it."""
    programs = tmp_path / "zhiwei" / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, words in (("zhiwei", "-m zhiwei"), ("python", "")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        program.chmod(0o755)
    return tmp_path


def free_ports() -> Iterator[int]:
    """Ports on which nobody listens now."""
    with closing(socket.socket()) as one, closing(socket.socket()) as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        yield one.getsockname()[1]
        yield other.getsockname()[1]


def test_the_tutorial_works(house: Path) -> None:
    """Each block prints what the page says, from the first start to the check after `kill -9`."""
    http, iso8583 = free_ports()
    moved = {"8080": str(http), "8583": str(iso8583)}
    server = next(step for step in steps() if step.where == "server")
    command = [*server.commands.split(), "--http", "127.0.0.1:8080", "--iso8583", "127.0.0.1:8583"]
    out, err = house / "out", house / "err"
    with out.open("wb") as said, err.open("wb") as logged:
        process = subprocess.Popen(
            [_moved(word, moved) for word in command],
            cwd=house / "zhiwei",
            stdout=said,
            stderr=logged,
        )
    try:
        said_by(process, out, err, lines=2)
        assert pattern_of(_moved(server.expected, moved)).search(out.read_text())
        told = [step for step in steps() if not step.where]
        script = f"\necho '{_MARK}'\n".join(step.commands for step in told)
        environment = os.environ | {"LANG": "C.UTF-8", "PYTHONUTF8": "1"}
        done = subprocess.run(
            ["bash", "-c", _moved(script, moved)],
            cwd=house,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS * 2,
            check=False,
        )
    finally:
        process.kill()
        process.wait()
    printed = done.stdout.split(_MARK)
    assert len(printed) == len(told), done.stderr
    for step, output in zip(told, printed, strict=True):
        assert pattern_of(step.expected).search(output), (
            f"{step.commands}\nprinted:\n{output}\nand not:\n{step.expected}\n{done.stderr}"
        )
    assert sum(bool(step.expected) for step in told) >= 8, "the page shows what commands print"


def _moved(text: str, ports: dict[str, str]) -> str:
    """A text with the ports of the page replaced by free ones."""
    for old, new in ports.items():
        text = text.replace(f":{old}", f":{new}")
    return text
