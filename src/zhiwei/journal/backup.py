"""Backup: a consistent copy of the data while the server goes on serving.

The vault's key is not copied: who has both has everything. The operator keeps it elsewhere.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from zhiwei.core.errors import ZhiweiError
from zhiwei.keyring import FILE_NAME as KEYS_FILE_NAME
from zhiwei.stores.faces.connection import FILE_NAME as FACES_FILE_NAME
from zhiwei.stores.messages.connection import FILE_NAME as MESSAGES_FILE_NAME
from zhiwei.stores.sqlite.connection import FILE_NAME, check_is_ours, open_visitor

OnProgress = Callable[[int, int], None]
_LOOK_SECONDS: Final = 0.2


class BackupFailedError(ZhiweiError):
    """the backup was not made"""


def backup(
    data_dir: Path,
    target: Path,
    on_progress: OnProgress | None = None,
    *,
    has_cards: bool = True,
) -> int:
    """Copy the data into a new directory; bytes written.

    Without `has_cards`, the cards are in a database of their own, and what lies beside is copied.

    Raises:
        BackupFailedError: there is something in the target, or it cannot be written.
        StoreUnavailableError, NewerDataError, ForeignFileError: the data cannot be read.
    """
    source = data_dir / FILE_NAME
    if has_cards and not source.is_file():
        raise BackupFailedError(f"there are no data in `{data_dir}`")
    try:
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(target.iterdir()):
            raise BackupFailedError(f"`{target}` is not empty; name a new directory")
        total = 0
        # Messages first: a copy of them that is older than the events repeats some under the same
        # id; one that is newer would take events for told that are not.
        for name in (MESSAGES_FILE_NAME, KEYS_FILE_NAME, FACES_FILE_NAME):
            if (data_dir / name).is_file():
                total += _copy(data_dir / name, target / name, None, is_ours=False)
        if has_cards:
            total += _copy(source, target / FILE_NAME, on_progress)
    except (OSError, sqlite3.Error) as error:
        raise BackupFailedError(f"the backup was not made: {error}") from error
    return total


def _copy(
    source: Path, target: Path, on_progress: OnProgress | None, *, is_ours: bool = True
) -> int:
    """Copy one database as of one instant; bytes written."""
    target.touch(mode=0o600)
    with closing(open_visitor(source)) as reader, closing(sqlite3.connect(target)) as copy:
        if is_ours:
            check_is_ours(reader)
        # One reading for the whole copy: what the server commits meanwhile is not in it.
        reader.execute("begin")
        reader.execute("select count(*) from sqlite_schema").fetchone()
        done = threading.Event()
        watcher = threading.Thread(
            target=_watch, args=(target, source.stat().st_size, done, on_progress)
        )
        watcher.start()
        try:
            reader.backup(copy)
        finally:
            done.set()
            watcher.join()
        problems = copy.execute("pragma quick_check(1)").fetchone()[0]
        if problems != "ok":
            raise BackupFailedError(f"the copy is not whole: {problems}")
    return target.stat().st_size


def _watch(target: Path, total: int, done: threading.Event, on_progress: OnProgress | None) -> None:
    """Tell of the growing copy until it is done."""
    if on_progress is None:
        return
    while not done.wait(_LOOK_SECONDS):
        on_progress(min(target.stat().st_size, total - 1), max(total, 1))
    on_progress(max(total, 1), max(total, 1))
