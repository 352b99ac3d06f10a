"""Checkpoints: what is in the write-ahead log is copied into the file by a thread of its own.

The thread copies beside the commits (PASSIVE), and the log starts again from its beginning only
when everything was copied and nothing was committed meanwhile. Under load that moment never comes
by itself, so when the log has grown past its bound the thread makes the moment: it copies until
little is left, then holds the gate for the last few milliseconds.

SQLite from 3.7.0 to 3.51.2 has a fault that can lose commits when a checkpoint begins on a log
that is wholly copied, just while a commit starts the log again ("WAL-reset bug"). So: nobody else
checkpoints while the store is open, and no pass begins unless there is surely something to copy; no
commit can start the log again before that is done.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from time import monotonic
from typing import Final, final

import structlog

from zhiwei.stores.sqlite.connection import PAGE_BYTES, open_writer

_log: Final = structlog.get_logger()

#: The log starts again when it is longer than this: at full load every few seconds.
LOG_BYTES: Final = 128 * 1024 * 1024
#: A pass begins when about this part of it was written since the last one: a few megabytes, so that
#: the disk is never busy with it for long while a commit waits.
_PASSES_PER_LOG: Final = 32
#: And when nothing more comes, after this time.
IDLE_SECONDS: Final = 1.0
#: The gate is closed when at most about so many pages are left, or after so many passes.
_LEFT_PAGES: Final = 256
_PASSES_MAX: Final = 8
_FRAME_BYTES: Final = PAGE_BYTES + 24


@final
class Checkpoints:
    """The thread. `gate` is held by whoever writes, for the length of a transaction."""

    def __init__(self, path: Path, log_bytes: int = LOG_BYTES) -> None:
        self.gate: Final = threading.Lock()
        #: Longest time that the gate was held by a checkpoint, in seconds.
        self.longest_pause = 0.0
        #: How often the gate was closed to let the log start again.
        self.pauses = 0
        self._path: Final = path
        self._log_pages: Final = log_bytes // _FRAME_BYTES
        self._pass_bytes: Final = log_bytes // _PASSES_PER_LOG
        self._written = 0
        self._commits = 0
        self._commits_seen = 0
        self._is_all_copied = True
        self._is_open = True
        self._wake: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._run, name="checkpoints", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def note_commit(self, written_bytes: int) -> None:
        """Something was committed; called while the gate is held."""
        self._commits += 1
        self._written += written_bytes
        if self._written >= self._pass_bytes and not self._wake.is_set():
            self._wake.set()

    def stop(self) -> None:
        """End the thread; a pass that is under way is finished."""
        self._is_open = False
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        connection = open_writer(self._path, 1 << 20)
        try:
            while True:
                self._wake.wait(IDLE_SECONDS)
                self._wake.clear()
                if not self._is_open:
                    return
                try:
                    self._work(connection)
                except sqlite3.Error as error:
                    # A full disk: the log keeps everything, and the next pass tries again.
                    _log.warning("checkpoint_failed", error=str(error))
        finally:
            connection.close()

    def _work(self, connection: sqlite3.Connection) -> None:
        """Copy once; if the log is too long, copy until little is left and start it again."""
        if not self._may_pass():
            return
        pages = self._pass(connection)
        if pages <= self._log_pages:
            return
        for _ in range(_PASSES_MAX):
            if not self._may_pass() or not self._is_open:
                break
            before, pages = pages, self._pass(connection)
            # What came during the last pass is about what the one behind the gate will have to do.
            if pages - before <= _LEFT_PAGES:
                break
        with self.gate:
            began = monotonic()
            self._pass(connection)
            self.longest_pause = max(self.longest_pause, monotonic() - began)
            self.pauses += 1

    def _may_pass(self) -> bool:
        """Whether there is surely something to copy.

        One commit may be in the log, and copied, before it is counted; two cannot.
        """
        return not self._is_all_copied or self._commits - self._commits_seen >= 2

    def _pass(self, connection: sqlite3.Connection) -> int:
        """One PASSIVE pass; pages that were in the log when it began."""
        self._written = 0
        pages: int
        _, pages, copied = connection.execute("pragma wal_checkpoint(passive)").fetchone()
        self._is_all_copied = pages == copied
        self._commits_seen = self._commits
        return pages


def copy_all(connection: sqlite3.Connection) -> None:
    """Copy everything and empty the log; only while nobody else writes or checkpoints."""
    connection.execute("pragma wal_checkpoint(truncate)")
