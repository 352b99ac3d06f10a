"""Weaknesses: what a database promises less than it should, each in a sentence with what to do.

None of them keeps the house from serving. They are logged at the start, and `/readyz` shows them.
"""

from __future__ import annotations

from time import time_ns
from typing import Final

#: Clocks that are further apart are said to be.
CLOCK_MS: Final = 5_000
#: Limits of a DBA's that would hinder us, with what we need at least (ms). They are only what a
#: session begins with, and ours set their own; who set them may count on them, so it is said.
_NEEDED_MS: Final = {
    "statement_timeout": 30_000,
    "lock_timeout": 2_000,
    "idle_in_transaction_session_timeout": 10_000,
    "idle_session_timeout": 600_000,
    "transaction_timeout": 30_000,
}

Facts = dict[str, str]


def weaknesses_of(
    facts: Facts, connections: int, asked_ms: int, answered_ms: int
) -> tuple[str, ...]:
    """Sentences about what a server said of itself, by name (`server_facts`).

    `connections` is how many a server of ours takes at most; `asked_ms` and `answered_ms` are the
    own clock before and after the database was asked (UTC ms).
    """
    return (
        *_durability(facts),
        *_limits(facts),
        *_room(facts, connections),
        *clocks_apart(int(facts["clock_ms"]), asked_ms, answered_ms),
    )


def _durability(facts: Facts) -> list[str]:
    found: list[str] = []
    if facts["fsync"] != "on":
        found.append("fsync is off: a power cut loses decisions that were answered; set it to on")
    if facts["full_page_writes"] != "on":
        found.append("full_page_writes is off: a power cut can damage the data; set it to on")
    return found


def _limits(facts: Facts) -> list[str]:
    """Times after which PostgreSQL would end what we do."""
    return [
        f"{name} is {facts[name]} ms for the user {facts['user']}: that could end a commit which"
        " waits for a standby, so zhiwei's own sessions do not follow it; take it away with"
        f" `alter role {facts['user']} reset {name}` (or `alter database …`)"
        for name, needed_ms in _NEEDED_MS.items()
        if 0 < int(facts.get(name, "0")) < needed_ms
    ]


def _room(facts: Facts, connections: int) -> list[str]:
    """Fewer connections than a server takes when much is to do."""
    room = {
        "max_connections": int(facts["max_connections"]) - int(facts["reserved_connections"]),
        f"`alter role {facts['user']} connection limit`": int(facts["user_connections"]),
        "`alter database … connection limit`": int(facts["database_connections"]),
    }
    return [
        f"only {most} connections are allowed here, and each server takes up to {connections}:"
        f" with fewer, answers are late or 91; raise {name}"
        for name, most in room.items()
        if 0 <= most < connections
    ]


def now_ms() -> int:
    """The clock of this machine, UTC epoch milliseconds."""
    return time_ns() // 1_000_000


def clocks_apart(clock_ms: int, asked_ms: int, answered_ms: int) -> list[str]:
    """A machine that is out of step with the database's clock, and so with other servers.

    All three in UTC ms: the database's clock, the own one before and after it was asked.
    """
    if asked_ms - clock_ms > CLOCK_MS:
        told = f"{(asked_ms - clock_ms) // 1000} seconds ahead of"
    elif clock_ms - answered_ms > CLOCK_MS:
        told = f"{(clock_ms - answered_ms) // 1000} seconds behind"
    else:
        return []
    told = (
        f"this machine's clock is {told} the database's: locks and limits of a day go by the clock"
        " of the server that decides; have both follow one source of time"
    )
    return [told]
