"""Programs under test: starting them, what they print when they listen, and what they cost."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zhiwei.core.errors import ZhiweiError

_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class ServerFailedError(ZhiweiError):
    """a program of the bench did not start"""


def _stat(pid: str) -> list[str] | None:
    """Return the fields of /proc/PID/stat after the name, or none where the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def family(pid: int) -> list[int]:
    """List a process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names are all that is wanted here
        if entry.isdigit() and (stat := _stat(entry)) is not None:
            children.setdefault(int(stat[1]), []).append(int(entry))
    found = [pid]
    for parent in found:
        found.extend(children.get(parent, ()))
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """Add up the user and system time of these processes and all their descendants, in seconds."""
    total = 0
    for pid in {one for parent in pids for one in family(parent)}:
        stat = _stat(str(pid))
        if stat is not None:
            # Own user and system time, and that of children who have ended and were waited for.
            total += sum(map(int, stat[11:15]))
    return total / _TICKS_A_SECOND


def stolen_seconds() -> float:
    """CPU time that this machine's processes wanted and its host gave to others, since its start.

    All cores together; 0 where the kernel does not tell.
    """
    with contextlib.suppress(OSError, IndexError, ValueError), open("/proc/stat") as lines:  # noqa: PTH123 - a file of the kernel
        return int(lines.readline().split()[8]) / _TICKS_A_SECOND
    return 0.0


def resident_bytes(pid: int) -> int:
    """Return the resident memory of one process, 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def freeze(pids: Sequence[int]) -> None:
    """Stop these processes and all their descendants where they are (SIGSTOP)."""
    _signal(pids, signal.SIGSTOP)


def thaw(pids: Sequence[int]) -> None:
    """Let these processes and all their descendants go on."""
    _signal(pids, signal.SIGCONT)


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        for member in family(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, number)


@dataclass
class Server:
    """A running program that listens on `port`."""

    name: str
    process: subprocess.Popen[str]
    port: int
    lines: list[str]
    #: Processes that work for it without being its children (a database).
    others: tuple[int, ...] = ()

    @property
    def pids(self) -> list[int]:
        """All processes whose time counts as the server's."""
        return [self.process.pid, *self.others]

    def stop(self, patience_seconds: float = 20) -> int:
        """Ask it to end, and make it where that takes too long; return its exit code."""
        self.thaw()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def freeze(self) -> None:
        """Stop all its processes where they are, so that they cost nothing while others run."""
        freeze(self.pids)

    def thaw(self) -> None:
        """Let its processes go on."""
        thaw(self.pids)

    def kill(self) -> None:
        """End it at once, as a power cut would (SIGKILL)."""
        self.process.kill()
        self.process.wait()


def start(
    name: str,
    command: Sequence[str],
    listening: str,
    *,
    patience_seconds: float = 60,
    environment: Mapping[str, str] | None = None,
    others: tuple[int, ...] = (),
    place: Path | None = None,
) -> Server:
    """Start a program and wait for a line that matches `listening`, whose group 1 is the port.

    `place` is the folder that it works in (default: ours).

    Raises `ServerFailedError` with the last lines where it ends or stays silent instead.
    """
    process = subprocess.Popen(  # noqa: S603 - the bench's own commands
        list(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **(environment or {})},
        cwd=place,
    )
    lines: list[str] = []
    heard: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def listen() -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                lines.append(line.rstrip())
                del lines[:-50]
                heard.put(line)
        heard.put(None)

    threading.Thread(target=listen, daemon=True).start()
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            line = heard.get(timeout=max(0.01, deadline - time.monotonic()))
        except queue.Empty:
            line = None
        if line is None:
            process.kill()
            process.wait()
            told = "\n".join(lines[-12:])
            raise ServerFailedError(f"{name} did not listen; it said:\n{told}")
        found = re.search(listening, line)
        if found:
            return Server(name, process, int(found.group(1)), lines, others)
