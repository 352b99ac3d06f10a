"""Program: one run of the messaging process, as the serving process holds it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from typing import Final, final

_END_SECONDS: Final = 5.0


@final
class Program:
    """Started at once; it imports what it needs while it waits to be told to begin."""

    def __init__(self) -> None:
        """Start it.

        Raises:
            OSError: no process can be started.
        """
        self.calls, far_calls = socket.socketpair()
        self.questions, far_questions = socket.socketpair()
        ends = (far_calls.fileno(), far_questions.fileno())
        module = f"{__package__}.child"
        try:
            self._process: Final = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", module, *(str(end) for end in ends)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=ends,
            )
        finally:
            far_calls.close()
            far_questions.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def end(self) -> int:
        """Close the sockets, which ends it; kill it if that does not. Its exit status."""
        self.calls.close()
        self.questions.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(_END_SECONDS)
        self._process.kill()
        return self._process.wait()
