"""Bounded: connections of threads that may wait, but not for ever."""

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


def bound_waits(connection: psycopg.Connection[Any]) -> None:
    """Have a connection give up an answer that does not come in time; it is of no use then.

    PostgreSQL itself bounds statements, but no commit: one whose standbys are gone would hold the
    thread, and with some of them every page. Statements raise psycopg.OperationalError.
    """
    wait = connection.wait

    def bounded(work: PQGen[T], *words: Any, **named: Any) -> T:  # noqa: ANN401 - passed on
        return wait(_in_time(work, ANSWER_SECONDS), *words, **named)

    connection.wait = bounded  # type: ignore[assignment, method-assign]  # the driver offers no other way


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
