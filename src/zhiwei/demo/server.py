"""The server under demonstration: started, killed and restarted as a program of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Empty, Queue
from typing import Final, final

from zhiwei.core.errors import ZhiweiError

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
#: Lines of the server's log that are shown if it does not start.
_LOG_LINES: Final = 12


class ServerError(ZhiweiError):
    """the server does not do what it should"""


@final
class Server:
    """One `zhiwei serve` on one data directory; always the same doors once they are known."""

    def __init__(self, data: Path, log: Path, messages: Path | None = None) -> None:
        """`messages` = how its text messages go out (messages.toml)."""
        self.data: Final = data
        self._messages: Final = messages
        self._log: Final = log
        self._process: subprocess.Popen[str] | None = None
        #: `http://127.0.0.1:8080`.
        self.http = ""
        self.host = "127.0.0.1"
        self.port = 0
        self._http_address = "127.0.0.1:0"
        self._iso_address = "127.0.0.1:0"

    @property
    def pid(self) -> int:
        """Process id; 0 while it does not run."""
        return 0 if self._process is None else self._process.pid

    def start(self) -> float:
        """Start it and wait until both doors listen; returns the seconds that took.

        Raises:
            ServerError: it ended, or did not listen in time; the message holds the end of its log.
        """
        began = time.monotonic()
        command = [sys.executable, "-m", "zhiwei", "serve", "--data", str(self.data)]
        command += ["--http", self._http_address, "--iso8583", self._iso_address, "--test-mode"]
        if self._messages is not None:
            command += ["--messages", str(self._messages)]
        with self._log.open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program, fixed words
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=_environment()
            )
        lines: Queue[str] = Queue()
        threading.Thread(target=_read, args=(self._process, lines), daemon=True).start()
        doors: dict[str, str] = {}
        while len(doors) < 2:
            left = began + START_SECONDS - time.monotonic()
            try:
                line = lines.get(timeout=max(0.0, left))
            except Empty:
                raise self._failed("it did not listen in time") from None
            if not line:
                raise self._failed("it ended at once")
            kind = "http" if line.startswith("http") else "iso8583"
            doors[kind] = line.strip().removeprefix("iso8583 ")
        self.http = doors["http"]
        host, _, port = doors["iso8583"].rpartition(":")
        self.host, self.port = host.strip("[]"), int(port)
        # After a crash it comes back at the same addresses, as a service would.
        self._http_address = self.http.removeprefix("http://")
        self._iso_address = doors["iso8583"]
        return time.monotonic() - began

    def kill(self) -> None:
        """`kill -9`: no good-bye, no last write."""
        assert self._process is not None, "only what runs can be killed"
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)
        self._process = None

    def stop(self) -> int:
        """End it in good order (SIGTERM); its exit code, 0 if it does not run."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.terminate()
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
            raise ServerError("the server did not end within its time") from None

    def key(self, scope: str) -> str:
        """A new key of the HTTP door, as the operator makes one.

        Raises:
            ServerError: none was made.
        """
        return self.command("keys", "create", "--scope", scope, "--data", str(self.data)).strip()

    def command(self, *words: str) -> str:
        """What another command of the program prints.

        Raises:
            ServerError: it ended with another exit code than 0; the message holds what it said.
        """
        run = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "zhiwei", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
            env=_environment(),
        )
        if run.returncode:
            said = (run.stderr or run.stdout).strip()[-600:]
            raise ServerError(f"`zhiwei {' '.join(words[:2])}` ended with {run.returncode}: {said}")
        return run.stdout

    def _failed(self, what: str) -> ServerError:
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
            self._process = None
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(lines[-_LOG_LINES:])
        return ServerError(f"the server did not start: {what}\n{tail}")


def _read(process: subprocess.Popen[str], lines: Queue[str]) -> None:
    """Hand on what the server prints; an empty text says that it has ended."""
    assert process.stdout is not None, "its output is a pipe"
    for line in process.stdout:
        lines.put(line)
    process.stdout.close()
    lines.put("")


def _environment() -> dict[str, str]:
    """Ours, with the folder that this very package was imported from in front."""
    source = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (source, known)))}
