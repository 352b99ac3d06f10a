"""Lock: one writing process for a data directory, and a message that names the one there is."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final, final

from zhiwei.core.errors import ZhiweiError
from zhiwei.ports import StoreUnavailableError

LOCK_NAME: Final = "zhiwei.lock"


class DataInUseError(ZhiweiError):
    """another process writes to this data directory"""


@final
class DirectoryLock:
    """Holds a data directory until it is released; the system releases it when the process dies.

    The file stays behind; what counts is the lock on it, not that it is there.
    """

    def __init__(self, directory: Path, name: str = LOCK_NAME) -> None:
        """Take the lock; `name` is that of the file that it is on.

        Raises:
            DataInUseError: another process holds it; the message names its process id.
            StoreUnavailableError: the directory is not there or cannot be written.
        """
        path = directory / name
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            message = f"`{directory}` cannot be written: {error.strerror}"
            raise StoreUnavailableError(message) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            who = f"process {holder}" if holder.isdigit() else "another process"
            message = f"`{directory}` is in use by {who}; stop it, or name another directory"
            raise DataInUseError(message) from None
        with contextlib.suppress(OSError):
            # A full disk must not keep the server from starting: the number only serves a message.
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let others in. A second release does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
