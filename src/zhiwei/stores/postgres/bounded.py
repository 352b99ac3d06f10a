"""Bounded: a connection of a thread that may wait, but not for ever, and that takes no warning."""

from __future__ import annotations

from collections.abc import Generator
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg

if TYPE_CHECKING:
    from psycopg.abc import PQGen

T = TypeVar("T")
#: So long an answer is waited for, a commit's wait for the standbys included.
ANSWER_SECONDS: Final = 5.0


class BoundedConnection(psycopg.Connection[Any]):
    """Gives up an answer that does not come in time, and remembers what the server warned of.

    PostgreSQL itself bounds statements, but no commit: one whose standbys are gone would hold the
    thread, and with some of them every page.
    """

    #: What was warned of since the last transaction began; a commit with a warning is in doubt.
    warned: str = ""

    def wait(self, gen: PQGen[T], *words: Any, **named: Any) -> T:  # noqa: ANN401 - passed on
        """Wait for an answer.

        Raises:
            psycopg.OperationalError: it did not come in time; the connection is of no use any more.
        """
        return super().wait(_in_time(gen, ANSWER_SECONDS), *words, **named)

    def note(self, told: psycopg.errors.Diagnostic) -> None:
        """Take in what the server says beside its answers."""
        if told.severity_nonlocalized == "WARNING":
            self.warned = told.message_primary or "a warning"


def _in_time(work: PQGen[T], seconds: float) -> Generator[Any, Any, T]:
    """The same steps, as long as there is time. The driver looks at them some times a second."""
    until = monotonic() + seconds
    try:
        wanted = next(work)
        while True:
            ready = yield wanted
            if monotonic() > until:
                raise psycopg.OperationalError(f"no answer within {seconds:g} s")
            wanted = work.send(ready)
    except StopIteration as ended:
        result: T = ended.value
        return result
