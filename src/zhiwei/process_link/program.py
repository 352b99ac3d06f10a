"""Program: a process of the house as the one that started it holds it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from typing import Final, final


@final
class Program:
    """Started at once; it imports what it needs while it waits to be told to begin."""

    def __init__(self, module: str, *inherited: socket.socket, end_seconds: float) -> None:
        """Start a module with its ends of two pairs of sockets, and sockets that it inherits.

        Args:
            module: whose arguments are the descriptors.
            inherited: stay open here.
            end_seconds: it has so long to end by itself.

        Raises:
            OSError: no process can be started.
        """
        self._end_seconds: Final = end_seconds
        #: Over the first pair it is called (`calls.Line`); the second one is the caller's.
        self.calls, far_calls = socket.socketpair()
        self.beside, far_beside = socket.socketpair()
        ends = [each.fileno() for each in (far_calls, far_beside, *inherited)]
        try:
            self._process: Final = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", module, *(str(end) for end in ends)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=ends,
            )
        except OSError:
            self._close()
            raise
        finally:
            far_calls.close()
            far_beside.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def end(self) -> int:
        """Close the sockets, which ends it; kill it if that does not. Its exit status."""
        self._close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(self._end_seconds)
        self._process.kill()
        return self._process.wait()

    def _close(self) -> None:
        self.calls.close()
        self.beside.close()
