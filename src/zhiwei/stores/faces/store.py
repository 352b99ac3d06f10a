"""SqliteFaceStore: sessions, passkeys, codes, operators and deeds; see `FaceStore`.

One connection writes, under a lock; each thread reads on its own, so that who looks up a session
never waits for somebody else's commit. Called from threads that may wait (a commit flushes to the
disk), never on an event loop.
"""

from __future__ import annotations

import hmac
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, final

from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.coding.faces import (
    code_of,
    code_row,
    deed_of,
    deed_row,
    operator_of,
    operator_row,
    passkey_of,
    passkey_row,
    session_of,
    session_row,
)
from zhiwei.stores.faces.connection import FILE_NAME, open_reader, open_writer
from zhiwei.stores.faces.queries import QUERIES
from zhiwei.stores.files.reading import ThreadConnections
from zhiwei.web.sign_in.model import (
    COUNTED_MS,
    DEEDS_MAX,
    PASSKEYS_MAX,
    SESSION_MS,
    Code,
    Deed,
    Face,
    Operator,
    Passkey,
    Session,
)

_SECOND_MS: Final = 1_000


@final
class SqliteFaceStore:
    """`faces.sqlite3` in a data directory. Thread-safe; other processes may write beside it."""

    def __init__(self, folder: Path) -> None:
        """Open the file, or make it.

        Raises:
            StoreUnavailableError: it cannot be opened or written.
            NewerFacesError: a newer version wrote it.
            ForeignFacesError: it is another program's.
        """
        path = folder / FILE_NAME
        self._writer: Final = open_writer(path)
        self._lock: Final = threading.Lock()
        self._is_flushing = True
        self._readers: Final = ThreadConnections(partial(open_reader, path))

    def close(self) -> None:
        """Let go of the file."""
        self._readers.close()
        with self._lock:
            self._writer.close()

    def add_session(self, session: Session) -> None:
        """Keep a new session."""
        with self._writing() as writer:
            writer.execute(QUERIES["add_session"], session_row(session))

    def session(self, session_id: str) -> Session | None:
        """A session by the hash of its cookie."""
        row = self._row("session", session_id)
        return None if row is None else session_of(row)

    def touch_session(self, session_id: str, seen_ms: int) -> None:
        """It was used. Where the power fails, the last minutes' uses may be forgotten."""
        with self._writing(is_flushed=False) as writer:
            writer.execute(QUERIES["touch_session"], (session_id, seen_ms))

    def end_sessions(self, *, session_id: str = "", subject: str = "") -> int:
        """End one session, or all of a subject; returns how many. Their deeds end with them."""
        ended = 0
        with self._writing() as writer:
            if session_id:
                writer.execute(QUERIES["end_deeds"], (session_id,))
                ended += writer.execute(QUERIES["end_session"], (session_id,)).rowcount
            if subject:
                writer.execute(QUERIES["end_deeds_of"], (subject,))
                ended += writer.execute(QUERIES["end_sessions_of"], (subject,)).rowcount
        return ended

    def add_passkey(self, passkey: Passkey) -> bool:
        """Keep a new passkey; False where its id is taken, or there are `PASSKEYS_MAX` of them."""
        return self._changes_one("add_passkey", *passkey_row(passkey), PASSKEYS_MAX)

    def rename_passkey(self, passkey_id: str, label: str) -> bool:
        """Give a passkey another label; False where there was none."""
        return self._changes_one("rename_passkey", passkey_id, label)

    def passkey(self, passkey_id: str) -> Passkey | None:
        """A passkey by its credential id."""
        row = self._row("passkey", passkey_id)
        return None if row is None else passkey_of(row)

    def passkeys(self, face: Face, subject: str) -> Sequence[Passkey]:
        """All passkeys of somebody, oldest first."""
        return [passkey_of(row) for row in self._rows("passkeys", int(face), subject)]

    def use_passkey(self, passkey_id: str, sign_count: int, used_ms: int) -> bool:
        """Note a use; False where the count did not grow (a copy of the key: refuse)."""
        return self._changes_one("use_passkey", passkey_id, sign_count, used_ms)

    def remove_passkey(self, passkey_id: str) -> bool:
        """Forget a passkey; False where there was none."""
        return self._changes_one("remove_passkey", passkey_id)

    def add_code(self, code: Code) -> None:
        """Keep a code; it replaces one of the same purpose.

        Anybody may ask for one, so it does not wait for the disk: what a power cut takes back is
        asked for again. That it was used (`try_code`) is never taken back.
        """
        with self._writing(is_flushed=False) as writer:
            writer.execute(QUERIES["add_code"], code_row(code))

    def code_of(self, code_hash: str, now_ms: int) -> Code | None:
        """A code that is still valid, by its hash alone; only links are found so."""
        row = self._row("code_by_hash", code_hash, now_ms)
        return None if row is None else code_of(row)

    def try_code(self, purpose: str, code_hash: str, now_ms: int) -> bool:
        """Use a code up: True once, within its time and tries; a wrong one costs a try."""
        # A try that was paid must be on the disk before anybody learns what came of it.
        with self._writing() as writer:
            row = writer.execute(QUERIES["code"], (purpose,)).fetchone()
            if row is None:
                return False
            code = code_of(row)
            if code.expires_ms <= now_ms or code.tries_left <= 0:
                return False
            if hmac.compare_digest(code.hash.encode(), code_hash.encode()):
                writer.execute(QUERIES["delete_code"], (purpose,))
                return True
            writer.execute(QUERIES["wrong_try"], (purpose,))
            return False

    def count(self, name: str, now_ms: int, since_ms: int) -> int:
        """Count something under a name, and return how often it was counted since an instant."""
        at_ms = now_ms - now_ms % _SECOND_MS
        with self._writing(is_flushed=False) as writer:
            writer.execute(QUERIES["tally"], (name, at_ms))
            since = since_ms - since_ms % _SECOND_MS
            counted: int = writer.execute(QUERIES["tallied"], (name, since)).fetchone()[0]
        return counted

    def add_operator(self, operator: Operator) -> None:
        """Keep a new operator or replace one."""
        with self._writing() as writer:
            writer.execute(QUERIES["add_operator"], operator_row(operator))

    def operator(self, operator_id: str) -> Operator | None:
        """An operator, disabled or not."""
        row = self._row("operator", operator_id)
        return None if row is None else operator_of(row)

    def operators(self) -> Sequence[Operator]:
        """All operators, oldest first."""
        return [operator_of(row) for row in self._rows("operators")]

    def add_deed(self, deed: Deed) -> None:
        """Keep a deed until it is proved; of a session, the newest `DEEDS_MAX` are kept."""
        with self._writing() as writer:
            writer.execute(QUERIES["add_deed"], deed_row(deed))
            writer.execute(QUERIES["crowd_out_deeds"], (deed.session, DEEDS_MAX))

    def deed(self, deed_id: str, session_id: str, now_ms: int) -> Deed | None:
        """A deed that still waits, for who asked only."""
        row = self._row("deed", deed_id, session_id, now_ms)
        return None if row is None else deed_of(row)

    def take_deed(self, deed_id: str, session_id: str, now_ms: int) -> Deed | None:
        """The same, and it waits no more: of two who take it at once, one gets it."""
        with self._writing() as writer:
            rows = writer.execute(QUERIES["take_deed"], (deed_id, session_id, now_ms)).fetchall()
        return deed_of(rows[0]) if rows else None

    def forget(self, now_ms: int) -> None:
        """Delete what is over: sessions, codes, counts and deeds."""
        with self._writing(is_flushed=False) as writer:
            writer.execute(QUERIES["forget_sessions"], (now_ms - SESSION_MS,))
            writer.execute(QUERIES["forget_codes"], (now_ms,))
            writer.execute(QUERIES["forget_deeds"], (now_ms,))
            writer.execute(QUERIES["forget_tallies"], (now_ms - COUNTED_MS,))

    @contextmanager
    def _writing(self, *, is_flushed: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction; all of it or nothing. `is_flushed`: on the disk when it returns."""
        writer = self._writer
        with self._lock:
            try:
                if is_flushed is not self._is_flushing:
                    writer.execute(f"pragma synchronous = {'full' if is_flushed else 'normal'}")
                    self._is_flushing = is_flushed
                writer.execute("begin immediate")
                yield writer
                writer.execute("commit")
            except sqlite3.Error as error:
                self._undo()
                message = f"the faces' data cannot be written: {error}"
                raise StoreUnavailableError(message) from error
            except BaseException:
                self._undo()
                raise

    def _undo(self) -> None:
        try:
            if self._writer.in_transaction:
                self._writer.execute("rollback")
        except sqlite3.Error:
            # Closed already; nothing was written.
            return

    def _changes_one(self, query: str, *values: object) -> bool:
        with self._writing() as writer:
            return writer.execute(QUERIES[query], values).rowcount == 1

    def _row(self, query: str, *values: object) -> tuple[Any, ...] | None:
        rows = self._rows(query, *values)
        return rows[0] if rows else None

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        connection = self._readers.of_this_thread()
        try:
            return connection.execute(QUERIES[query], values).fetchall()
        except sqlite3.Error as error:
            message = f"the faces' data cannot be read: {error}"
            raise StoreUnavailableError(message) from error
