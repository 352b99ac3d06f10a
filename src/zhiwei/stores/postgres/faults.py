"""What can be wrong between us and PostgreSQL."""

from __future__ import annotations

from typing import Final, final

from zhiwei.core.errors import ZhiweiError

#: Classes and codes of SQLSTATE.
UNIQUE_VIOLATION: Final = "23505"
NO_PARTITION: Final = "23514"
LOCK_NOT_AVAILABLE: Final = "55P03"
READ_ONLY: Final = "25006"
DIVISION_BY_ZERO: Final = "22012"
#: What an operator is to do about what PostgreSQL says.
ADVICE: Final = {
    "53100": "make room on the database server's disk",
    "53200": "the database server has no memory left",
    "57014": "somebody cancels zhiwei's statements; look into the server's log",
    "42501": "the tables must belong to this user",
}
#: The whole transaction may be tried again at once: serialization (Citus, YugabyteDB), deadlock, a
#: card that another server registered meanwhile, a week that another server began.
MAY_SUCCEED: Final = frozenset({"40001", "40P01", UNIQUE_VIOLATION, NO_PARTITION})
#: Statements were prepared against a schema that has changed since: a new line prepares them anew.
STALE_LINE: Final = frozenset({"0A000", "26000"})


class DatabaseRefusedError(ZhiweiError):
    """the database cannot be used"""


class NewerSchemaError(ZhiweiError):
    """the database was written by a newer version of this program; install that version"""


class OlderServersError(ZhiweiError):
    """a server of an older version is still connected; end it first"""


class ForeignDatabaseError(ZhiweiError):
    """the database holds tables of another program; name a database of its own"""


class BadDatabaseUrlError(ZhiweiError):
    """a database is named like `postgresql://user@host:5432/name`"""


@final
class LineLostError(Exception):
    """The connection is gone, or was given up because an answer did not come in time."""


@final
class StatementError(Exception):
    """PostgreSQL refused a statement."""

    def __init__(self, place: int, code: str, message: str) -> None:
        advice = f"; {ADVICE[code]}" if code in ADVICE else ""
        super().__init__(f"{message} ({code}){advice}")
        #: Place of the statement in its trip, from 0.
        self.place: Final = place
        #: SQLSTATE, five characters.
        self.code: Final = code

    @property
    def is_final(self) -> bool:
        """The server ends the connection: it shuts down, or an administrator did it."""
        return self.code.startswith(("57P", "08"))


def first_line(error: Exception) -> str:
    """What it says, without the lines that PostgreSQL puts below."""
    return str(error).partition("\n")[0]
