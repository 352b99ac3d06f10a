"""Program: one run of a worker, as the supervisor holds it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from typing import Final, final

_END_SECONDS: Final = 10.0


@final
class Program:
    """Started at once; it imports what it needs while it waits to be told to begin."""

    def __init__(self, http: socket.socket) -> None:
        """Start it; `http` listens, and is inherited.

        Raises:
            OSError: no process can be started.
        """
        self.calls, far_calls = socket.socketpair()
        self.handing, far_handing = socket.socketpair()
        ends = (far_calls.fileno(), far_handing.fileno(), http.fileno())
        module = f"{__package__}.child"
        try:
            self._process: Final = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", module, *(str(end) for end in ends)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=ends,
            )
        except OSError:
            self.calls.close()
            self.handing.close()
            raise
        finally:
            far_calls.close()
            far_handing.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def end(self) -> int:
        """Close the sockets, which ends it; kill it if that does not. Its exit status."""
        self.calls.close()
        self.handing.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(_END_SECONDS)
        self._process.kill()
        return self._process.wait()
