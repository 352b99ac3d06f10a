"""PostgresFaceStore: sessions, passkeys, codes, operators, deeds of all servers; see `FaceStore`.

What one server writes, the others read with their next call: nothing is kept here. Where a count
bounds something (passkeys of a person, tries under a name, deeds of a session), those who would
change it take turns, since two transactions at once do not see each other's rows.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, final

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
from zhiwei.stores.postgres.access.queries import QUERIES
from zhiwei.stores.postgres.writing import Statements, WritingConnections
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

_CONNECTIONS: Final = 4
_SECOND_MS: Final = 1_000
_LOCK_BYTES: Final = 8


@final
class PostgresFaceStore:
    """The faces' tables of a database. Thread-safe; called from threads that may wait."""

    def __init__(self, url: str, *, connections: int = _CONNECTIONS) -> None:
        """Look whether the database can be used, and make its tables where they are missing.

        Raises:
            StoreUnavailableError: there is no connection, or the tables cannot be made.
            ZhiweiError: the database cannot be used (`WritingConnections`).
        """
        self._database: Final = WritingConnections(url, connections, QUERIES)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def add_session(self, session: Session) -> None:
        """Keep a new session."""
        self._changed("add_session", *session_row(session))

    def session(self, session_id: str) -> Session | None:
        """A session by the hash of its cookie."""
        row = self._row("session", session_id)
        return None if row is None else session_of(row)

    def touch_session(self, session_id: str, seen_ms: int) -> None:
        """It was used. Where the power fails, the last uses may be forgotten."""
        self._database.write(
            lambda run: run.changed("touch_session", session_id, seen_ms), is_flushed=False
        )

    def end_sessions(self, *, session_id: str = "", subject: str = "") -> int:
        """End one session, or all of a subject; returns how many. Their deeds end with them."""

        def end(run: Statements) -> int:
            ended = 0
            if session_id:
                run.changed("end_deeds", session_id)
                ended += run.changed("end_session", session_id)
            if subject:
                run.changed("end_deeds_of", subject)
                ended += run.changed("end_sessions_of", subject)
            return ended

        return self._database.write(end)

    def add_passkey(self, passkey: Passkey) -> bool:
        """Keep a new passkey; False where its id is taken, or there are `PASSKEYS_MAX` of them."""

        def add(run: Statements) -> bool:
            _take_turn(run, "passkey", str(int(passkey.face)), passkey.subject)
            return run.changed("add_passkey", *passkey_row(passkey), PASSKEYS_MAX) == 1

        return self._database.write(add)

    def rename_passkey(self, passkey_id: str, label: str) -> bool:
        """Give a passkey another label; False where there was none."""
        return self._changed("rename_passkey", passkey_id, label) == 1

    def passkey(self, passkey_id: str) -> Passkey | None:
        """A passkey by its credential id."""
        row = self._row("passkey", passkey_id)
        return None if row is None else passkey_of(row)

    def passkeys(self, face: Face, subject: str) -> Sequence[Passkey]:
        """All passkeys of somebody, oldest first."""
        return [passkey_of(row) for row in self._database.rows("passkeys", int(face), subject)]

    def use_passkey(self, passkey_id: str, sign_count: int, used_ms: int) -> bool:
        """Note a use; False where the count did not grow (a copy of the key: refuse)."""
        return self._changed("use_passkey", passkey_id, sign_count, used_ms) == 1

    def remove_passkey(self, passkey_id: str) -> bool:
        """Forget a passkey; False where there was none."""
        return self._changed("remove_passkey", passkey_id) == 1

    def add_code(self, code: Code) -> None:
        """Keep a code; it replaces one of the same purpose.

        What a failure takes back is asked for again. That it was used (`try_code`) is never taken
        back.
        """
        self._database.write(lambda run: run.changed("add_code", *code_row(code)), is_flushed=False)

    def code_of(self, code_hash: str, now_ms: int) -> Code | None:
        """A code that is still valid, by its hash alone; only links are found so."""
        row = self._row("code_by_hash", code_hash, now_ms)
        return None if row is None else code_of(row)

    def try_code(self, purpose: str, code_hash: str, now_ms: int) -> bool:
        """Use a code up: True once, within its time and tries; a wrong one costs a try."""

        def attempt(run: Statements) -> bool:
            rows = run.rows("code_to_try", purpose)
            if not rows:
                return False
            code = code_of(rows[0])
            if code.expires_ms <= now_ms or code.tries_left <= 0:
                return False
            if hmac.compare_digest(code.hash.encode(), code_hash.encode()):
                run.changed("delete_code", purpose)
                return True
            run.changed("wrong_try", purpose)
            return False

        # A try that was paid must be durable before anybody learns what came of it.
        return self._database.write(attempt)

    def count(self, name: str, now_ms: int, since_ms: int) -> int:
        """Count something under a name, and return how often it was counted since an instant."""
        at_ms = now_ms - now_ms % _SECOND_MS
        since = since_ms - since_ms % _SECOND_MS

        def once_more(run: Statements) -> int:
            _take_turn(run, "tally", name)
            run.changed("tally", name, at_ms)
            counted: int = run.rows("tallied", name, since)[0][0]
            return counted

        return self._database.write(once_more, is_flushed=False)

    def add_operator(self, operator: Operator) -> None:
        """Keep a new operator or replace one."""
        self._changed("add_operator", *operator_row(operator))

    def operator(self, operator_id: str) -> Operator | None:
        """An operator, disabled or not."""
        row = self._row("operator", operator_id)
        return None if row is None else operator_of(row)

    def operators(self) -> Sequence[Operator]:
        """All operators, oldest first."""
        return [operator_of(row) for row in self._database.rows("operators")]

    def add_deed(self, deed: Deed) -> None:
        """Keep a deed until it is proved; of a session, the newest `DEEDS_MAX` are kept."""

        def add(run: Statements) -> None:
            _take_turn(run, "deed", deed.session)
            run.changed("add_deed", *deed_row(deed))
            run.changed("crowd_out_deeds", deed.session, DEEDS_MAX)

        self._database.write(add)

    def deed(self, deed_id: str, session_id: str, now_ms: int) -> Deed | None:
        """A deed that still waits, for who asked only."""
        row = self._row("deed", deed_id, session_id, now_ms)
        return None if row is None else deed_of(row)

    def take_deed(self, deed_id: str, session_id: str, now_ms: int) -> Deed | None:
        """The same, and it waits no more: of two who take it at once, one gets it."""
        rows = self._database.write(lambda run: run.rows("take_deed", deed_id, session_id, now_ms))
        return deed_of(rows[0]) if rows else None

    def forget(self, now_ms: int) -> None:
        """Delete what is over: sessions, codes, counts and deeds."""

        def delete(run: Statements) -> None:
            # Deeds before sessions, as everywhere, so that nobody waits for who waits for them.
            run.changed("forget_deeds", now_ms)
            run.changed("forget_sessions", now_ms - SESSION_MS)
            run.changed("forget_codes", now_ms)
            run.changed("forget_tallies", now_ms - COUNTED_MS)

        self._database.write(delete, is_flushed=False)

    def _changed(self, query: str, *values: object) -> int:
        """Run one statement as a transaction; how many rows it changed."""
        return self._database.write(lambda run: run.changed(query, *values))

    def _row(self, query: str, *values: object) -> tuple[Any, ...] | None:
        rows = self._database.rows(query, *values)
        return rows[0] if rows else None


def _take_turn(run: Statements, *words: str) -> None:
    """Wait until nobody else changes what these words name; until the transaction ends it is ours.

    Two names that happen to have the same number only wait for each other.
    """
    digest = sha256("\0".join(("zhiwei", *words)).encode("utf-8", "replace")).digest()
    run.rows("my_turn", int.from_bytes(digest[:_LOCK_BYTES], "big", signed=True))
