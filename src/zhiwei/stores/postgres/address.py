"""Address: where the database is, and how a connection to its primary is made."""

from __future__ import annotations

from typing import Any, Final, final

import psycopg
from psycopg import conninfo

from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.postgres.bounded import bound_waits
from zhiwei.stores.postgres.faults import BadDatabaseUrlError

SCHEMES: Final = ("postgresql://", "postgres://")
#: What holds where the URL does not say otherwise. A peer that has vanished is noticed in seconds.
_DEFAULTS: Final = {
    "target_session_attrs": "read-write",
    "connect_timeout": "3",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "application_name": "zhiwei",
}
#: A server that hangs in the middle of a batch lets go of its cards after this; milliseconds.
_IDLE_MS: Final = 10_000
#: So long a lock is waited for; other servers hold a card for some milliseconds.
_LOCK_MS: Final = 2_000
#: So long a small statement of a page may take; its answer is waited for somewhat longer.
_SMALL_MS: Final = 4_000
_RAISE_COMMIT: Final = """
select set_config('synchronous_commit', 'on', false)
where current_setting('synchronous_commit') in ('off', 'local', 'remote_write')
"""
#: Since PostgreSQL 17.
_NO_TRANSACTION_LIMIT: Final = """
select set_config('transaction_timeout', '0', false)
from pg_settings where name = 'transaction_timeout'
"""
#: What a session that writes asks for, whatever the database's defaults are. No timeout for
#: statements: it would cancel a commit that waits for a standby. The plans of all our statements
#: are the same, whatever the numbers: by the card's key, through its index.
SESSION: Final = (
    "set statement_timeout = 0",
    f"set lock_timeout = {_LOCK_MS}",
    f"set idle_in_transaction_session_timeout = {_IDLE_MS}",
    "set idle_session_timeout = 0",
    _NO_TRANSACTION_LIMIT,
    _RAISE_COMMIT,
    "set plan_cache_mode = force_generic_plan",
    "set enable_seqscan = off",
    "set enable_hashjoin = off",
    "set enable_mergejoin = off",
    "set jit = off",
)
#: What a session that reads asks for. A page takes milliseconds; who reads everything (`verify`)
#: says that it takes longer.
_READING_SESSION: Final = (
    "set statement_timeout = 30000",
    "set lock_timeout = 10000",
    "set idle_in_transaction_session_timeout = 0",
    "set idle_session_timeout = 0",
    _NO_TRANSACTION_LIMIT,
)
#: What to do about why there is no connection, by words of PostgreSQL's own (in English; a server
#: that speaks another language is quoted without advice).
_ADVICE: Final = (
    ("read-only", "this is a standby that only reads: name the primary, or all hosts"),
    ("hot standby", "this is a standby that only reads: name the primary, or all hosts"),
    ("password authentication failed", "give the password by PGPASSWORD or ~/.pgpass"),
    ("no password supplied", "give the password by PGPASSWORD or ~/.pgpass"),
    ("does not exist", "make it as docs/operating/growing.md says"),
    (
        "too many c",
        "raise max_connections or the limit of this user or database, or start fewer servers",
    ),
    (
        "remaining connection slots",
        "raise max_connections, or start fewer servers",
    ),
)
#: What a session asks for that writes a row or two for a page (`writing`). Should its
#: timeout for statements ever cancel a commit, that comes with a warning, and is no success.
_SMALL_SESSION: Final = (
    f"set statement_timeout = {_SMALL_MS}",
    f"set lock_timeout = {_LOCK_MS}",
    f"set idle_in_transaction_session_timeout = {_IDLE_MS}",
    "set idle_session_timeout = 0",
    _NO_TRANSACTION_LIMIT,
    _RAISE_COMMIT,
)


@final
class Address:
    """A database URL, taken apart."""

    def __init__(self, url: str) -> None:
        """Several hosts are separated by commas; what is not said is filled in.

        Raises:
            BadDatabaseUrlError: it cannot be read.
        """
        if not url.startswith(SCHEMES):
            raise BadDatabaseUrlError
        try:
            told = conninfo.conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            # The driver's message quotes the URL, and with it the password.
            raise BadDatabaseUrlError from None
        words = {**_DEFAULTS, **{name: str(value) for name, value in told.items()}}
        self._text: Final = conninfo.make_conninfo(**words, client_encoding="UTF8")
        hosts = words.get("host", "").split(",")
        ports = words.get("port", "5432").split(",")
        places = [
            f"{host}:{ports[min(i, len(ports) - 1)]}" if host else "the local socket"
            for i, host in enumerate(hosts)
        ]
        #: For messages; without user and password.
        self.shown: Final = f"{words.get('dbname', '')} at {', '.join(places)}".strip()

    async def open(self) -> psycopg.AsyncConnection[Any]:
        """A connection to the primary; names are looked up without blocking the loop.

        Raises:
            StoreUnavailableError: there is none; the message is one line.
        """
        try:
            return await psycopg.AsyncConnection.connect(self._text, autocommit=True)
        except (psycopg.Error, OSError) as error:
            raise StoreUnavailableError(self._unreachable(str(error))) from None

    def open_for_reading(self) -> psycopg.Connection[Any]:
        """A connection for who reads, each statement for itself; blocks.

        Raises:
            StoreUnavailableError: there is none.
        """
        return self._opened(_READING_SESSION)

    def open_for_small_writes(self) -> psycopg.Connection[Any]:
        """A connection for a thread that writes a row or two; no answer is waited for for ever.

        Raises:
            StoreUnavailableError: there is none.
        """
        return self._opened(_SMALL_SESSION, is_bounded=True)

    def _opened(
        self, session: tuple[str, ...], *, is_bounded: bool = False
    ) -> psycopg.Connection[Any]:
        try:
            connection = psycopg.connect(
                self._text, autocommit=True, cursor_factory=psycopg.RawCursor, prepare_threshold=2
            )
            try:
                if is_bounded:
                    bound_waits(connection)
                run_script(connection, ";".join(session))
            except BaseException:
                connection.close()
                raise
            return connection
        except (psycopg.Error, OSError) as error:
            raise StoreUnavailableError(self._unreachable(str(error))) from None

    def _unreachable(self, reason: str) -> str:
        """Why there is no connection, in one line."""
        hint = next((f"; {advice}" for words, advice in _ADVICE if words in reason), "")
        return f"no connection to the database {self.shown}: {_one_line(reason)}{hint}"


def run_script(connection: psycopg.Connection[Any], script: str) -> None:
    """Run statements without parameters as one message, whose answers nobody wants."""
    psycopg.ClientCursor(connection).execute(script.encode())


def _one_line(text: str) -> str:
    """What libpq says, without its line ends, and the last attempt only."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "; ".join(lines).removeprefix("connection failed: ")[:400]
