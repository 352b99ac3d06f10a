"""Takes a folder of servers down when its owner is gone, however that came about.

It is a program of its own, in a session of its own, that holds the reading end of a pipe. When the
owner closes the pipe, or is killed (`kill -9` of a test run), every process that works inside the
folder is ended and the folder is removed. Run by its path, so it needs nothing but Python itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

#: Looks again this often until the last process is gone.
_BEAT_SECONDS: Final = 0.01
#: A process that sleeps in the kernel is not waited for longer than this.
_PATIENCE_SECONDS: Final = 20.0


def processes_in(folder: Path) -> list[int]:
    """List the living processes whose working directory is `folder` or lies below it.

    PostgreSQL's processes work in their data directory, orphans of a killed server too.
    """
    place = os.path.realpath(folder)
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names are all that is wanted here
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            inside = os.readlink(f"/proc/{entry}/cwd")  # noqa: PTH115 - a link of the kernel
            if inside == place or inside.startswith(place + os.sep):
                found.append(int(entry))
    return found


def end_all(folder: Path) -> None:
    """End every process that works in a folder (SIGKILL), and see them gone."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (pids := processes_in(folder)) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_BEAT_SECONDS)


def watch_over(folder: Path) -> subprocess.Popen[bytes]:
    """Start a reaper for a folder; closing its `stdin`, or dying, takes the folder down."""
    return subprocess.Popen(  # noqa: S603 - this very file
        [sys.executable, "-I", "-S", __file__, str(folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,
        cwd="/",
    )


@contextlib.contextmanager
def reaped(folder: Path) -> Iterator[Path]:
    """Use a folder; at the end, or when this process is killed, all in it is ended and removed."""
    watcher = watch_over(folder)
    try:
        yield folder
    finally:
        assert watcher.stdin is not None
        watcher.stdin.close()
        watcher.wait()


def main() -> None:
    """Wait until the owner is gone, then take everything down."""
    folder = Path(sys.argv[1])
    sys.stdin.buffer.read()
    end_all(folder)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
