"""Copies: a data directory as it is now, elsewhere, so that a trial can do with it what it likes.

The directory itself is only read, whether a server works on it or not. The copy holds everything
but the key of the vault, which is read where it lies.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from zhiwei.core.errors import ZhiweiError
from zhiwei.stores.files.reading import has_log
from zhiwei.stores.sqlite.connection import FILE_NAME

#: Pages copied between two looks at the progress.
_PAGES_AT_ONCE: Final = 2_000

#: Is told how many of how many pages are copied.
OnProgress = Callable[[int, int], None]


class CopyError(ZhiweiError):
    """the data directory cannot be copied"""


@contextmanager
def copy_of(data: Path, on_progress: OnProgress = lambda _done, _total: None) -> Iterator[Path]:
    """A directory with a copy of the data, gone at the end.

    Raises:
        CopyError: there are no data, or they cannot be read.
    """
    source = data / FILE_NAME
    if not source.is_file():
        raise CopyError(f"there is no `{FILE_NAME}` in `{data}`")
    with tempfile.TemporaryDirectory(prefix="zhiwei-trial-") as folder:
        target = Path(folder)
        try:
            _copy(source, target / FILE_NAME, on_progress)
        except sqlite3.Error as error:
            raise CopyError(f"`{source}` cannot be copied: {error}") from None
        yield target


def _copy(source: Path, target: Path, on_progress: OnProgress) -> None:
    """Copy a database beside whoever writes it."""
    # Without a log nobody has it open: then even SQLite's own files beside it are not touched.
    mode = "mode=ro" if has_log(source) else "mode=ro&immutable=1"

    def told(_status: int, remaining: int, total: int) -> None:
        on_progress(total - remaining, total)

    address = f"file:{quote(str(source.resolve()))}?{mode}"
    with (
        closing(sqlite3.connect(address, uri=True)) as reading,
        closing(sqlite3.connect(target)) as writing,
    ):
        reading.backup(writing, pages=_PAGES_AT_ONCE, progress=told)
