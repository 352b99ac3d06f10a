"""The real program in processes of its own, with everything that it may write below one folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: Longest wait for a start or an end; a slow machine must not make a test fail.
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Doors:
    """Where a server listens."""

    http: str
    iso8583: tuple[str, int]
    #: Process id of the server.
    pid: int


class Program:
    """`zhiwei`, with home, temporary folder, working folder, data and logs below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.logs = root / "logs"
        self._runs = 0
        for folder in ("home", "tmp", "cwd", "logs"):
            (root / folder).mkdir(parents=True)

    def run(self, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end; what it says is kept with the logs too."""
        done = subprocess.run(
            self._command(words),
            input=given,
            capture_output=True,
            env=self._environment(),
            cwd=self.root / "cwd",
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        self._log("out").write_bytes(done.stdout)
        self._log("err").write_bytes(done.stderr)
        return done

    def key(self, scope: str, *words: str) -> str:
        """A new key of the HTTP door; what printed it is not kept."""
        words = ("keys", "create", "--scope", scope, "--data", str(self.data), "--json", *words)
        done = subprocess.run(
            self._command(words), capture_output=True, env=self._environment(), check=True
        )
        text: str = json.loads(done.stdout)["key"]
        return text

    @contextmanager
    def serving(self, *words: str, code: int = 0) -> Iterator[Doors]:
        """Serve on free ports until the end of the block; then end with that exit code."""
        command = ["serve", "--data", str(self.data), "--log-level", "debug", *words]
        command += ["--http", "127.0.0.1:0", "--iso8583", "127.0.0.1:0"]
        out, err = self._log("out"), self._log("err")
        with out.open("wb") as said, err.open("wb") as logged:
            process = subprocess.Popen(
                self._command(command),
                stdout=said,
                stderr=logged,
                env=self._environment(),
                cwd=self.root / "cwd",
            )
            try:
                yield _doors(process, out, err)
            finally:
                process.send_signal(signal.SIGTERM)
                ended = process.wait(PATIENCE_SECONDS)
        assert ended == code, f"the server ended with {ended}: {err.read_text()[-2000:]}"

    def _command(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "zhiwei", *words]

    def _environment(self) -> dict[str, str]:
        """Where a program might write besides what it is told."""
        return os.environ | {
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.root / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONFAULTHANDLER": "1",
        }

    def _log(self, ending: str) -> Path:
        self._runs += 1
        return self.logs / f"{self._runs:03}.{ending}"


def _doors(process: subprocess.Popen[bytes], out: Path, err: Path) -> Doors:
    """The addresses that the server says once it listens."""
    http, iso8583 = said_by(process, out, err, lines=2)
    host, _, port = iso8583.removeprefix("iso8583 ").rpartition(":")
    return Doors(http, (host, int(port)), process.pid)


def said_by(process: subprocess.Popen[bytes], out: Path, err: Path, *, lines: int) -> list[str]:
    """The first lines that a program says, as soon as it has said them."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        said = out.read_text().split("\n")
        if len(said) > lines:
            return said[:lines]
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError(f"the program did not start: {err.read_text()[-2000:]}")


def exchanged(address: tuple[str, int], sent: bytes) -> bytes:
    """Send bytes, say that no more come, and take what comes back until the line is closed."""
    received = bytearray()
    with socket.create_connection(address, timeout=PATIENCE_SECONDS) as line:
        try:
            line.sendall(sent)
            line.shutdown(socket.SHUT_WR)
            while part := line.recv(65_536):
                received += part
        except ConnectionError:
            # The server may close a line that it cannot read on.
            pass
    return bytes(received)
