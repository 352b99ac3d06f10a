"""Peer (d): the same kind of decisions, each by one PostgreSQL transaction of its own.

The way such a service is usually written, done with care: a pool of threads with one connection
each; the card's row is locked, the rules look at it, its counters are written, the decision and
what is owed are inserted, and the answer leaves after the commit. Statements are prepared, and one
writes everything. (psycopg's pipeline mode was tried: fewer round trips, but fewer decisions.)

`python -m zhiwei.bench.peers.postgres --dsn DSN --cards N` fills the tables and prints `postgres
HOST:PORT`.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

import psycopg

from zhiwei.bench.cards import pan_of
from zhiwei.bench.habits import CLOSED_CATEGORIES, STRIPE_THRESHOLD_MINOR, habits_of, night_hours
from zhiwei.bench.message import encode, offsets_of
from zhiwei.bench.peers.postgres_rules import File, Question, judge, taken_back

ZONE: Final = ZoneInfo("Asia/Shanghai")
#: Measured: 4 threads decide 1,230 a second, 8 decide 1,540, 16 decide 1,140 (two cores).
THREADS: Final = 8

LOCK: Final = """
select version, is_stopped, has_chip, regions, countries, night_start, night_end, transaction_limit,
atm_day_limit, day_limit, month_limit, day_count_limit, large_spend_threshold, closed_categories,
inquiry_alert, change_alert, day, month, atm_day_used, day_used, day_count, month_used from card
where card_key = %s for update
"""
EARLIER: Final = """
select identity, kind, amount, code, counted, decided_at from decision
 where card_key = %s and identity = any(%s)
"""
WRITE: Final = """
with file as (
    update card set version = %s, day = %s, month = %s, atm_day_used = %s, day_used = %s,
           day_count = %s, month_used = %s where card_key = %s
), decided as (
    insert into decision
           (card_key, version, identity, mti, kind, amount, code, counted, decided_at)
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
)
insert into outbox (card_key, version, kind) select %s, %s, unnest(%s::text[])
"""
_COLUMNS: Final = """
card_key, is_stopped, has_chip, regions, countries, night_start, night_end, transaction_limit,
atm_day_limit, day_limit, month_limit, day_count_limit, large_spend_threshold, closed_categories,
inquiry_alert, change_alert
"""


_ECHOED: Final = {
    2: 16,
    3: 6,
    4: 12,
    7: 10,
    11: 6,
    12: 6,
    13: 4,
    32: 8,
    33: 8,
    37: 12,
    41: 8,
    42: 15,
}


def card_key(pan: bytes) -> bytes:
    """Return the keyed hash under which a card is kept."""
    return hashlib.blake2b(pan, digest_size=16, key=b"bench").digest()


def key_of_card(card: int) -> bytes:
    """Return the key of a card of the bench by its number in the population."""
    return card_key(pan_of(card).encode())


def fill(dsn: str, cards: int, key_of: Callable[[int], bytes] = key_of_card) -> None:
    """Make the tables and one row for each card, under the key that `key_of` gives it."""
    start, end = night_hours(datetime.now(ZONE).hour)
    with psycopg.connect(dsn) as connection:
        schema = files("zhiwei.bench.peers").joinpath("postgres.sql").read_text()
        connection.execute(schema.encode())
        with connection.cursor().copy(f"copy card ({_COLUMNS}) from stdin".encode()) as copy:
            for card in range(cards):
                copy.write_row(_row(card, key_of(card), start, end))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("vacuum analyze card")
        connection.execute("checkpoint")


def _row(card: int, key: bytes, start: int, end: int) -> tuple[object, ...]:
    habits = habits_of(card)
    return (
        key,
        habits.is_stopped,
        habits.has_chip,
        list(habits.regions),
        None if habits.countries is None else list(habits.countries),
        start if habits.night_lock else 0,
        end if habits.night_lock else 0,
        habits.transaction_limit_minor,
        habits.atm_day_limit_minor,
        habits.day_limit_minor,
        habits.month_limit_minor,
        habits.day_count_limit,
        habits.large_spend_threshold_minor,
        list(CLOSED_CATEGORIES) if habits.category_lock else [],
        habits.inquiry_alert,
        habits.change_alert,
    )


def written(body: bytes, offsets: dict[int, int], code: str) -> bytes:
    """Write the answer to a message: what networks match by comes back as it was sent."""
    fields = {n: body[offsets[n] : offsets[n] + width] for n, width in _ECHOED.items()}
    fields[49] = b"156"
    fields[39] = code.encode()
    if code == "00":
        fields[38] = fields[11]
    mti = body[:4].decode()
    return encode(f"{mti[:2]}{int(mti[2]) + 1}{mti[3]}", fields)[0]


@dataclass
class Job:
    """One message and where its answer goes."""

    body: bytes
    client: socket.socket
    lock: threading.Lock


class Desk:
    """Decides one message after the other over one connection; each thread has its own."""

    def __init__(self, dsn: str) -> None:
        """Connect; every statement is prepared at its first use."""
        self._dsn: Final = dsn
        self._connection = psycopg.connect(dsn, prepare_threshold=0)

    def answer(self, body: bytes) -> bytes:
        """Decide a message, durably, and write its answer; try a lost race for a repeat again.

        Without a database the answer is 91, and the next message tries a new connection.
        """
        offsets = offsets_of(body, 90)
        question = Question.read(body, offsets)
        for _ in range(3):
            try:
                return written(body, offsets, self._decide(question))
            except psycopg.errors.UniqueViolation:
                self._connection.rollback()
            except psycopg.OperationalError:
                self._connect_anew()
                return written(body, offsets, "91")
        return written(body, offsets, "96")

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _connect_anew(self) -> None:
        self.close()
        with contextlib.suppress(psycopg.OperationalError):
            self._connection = psycopg.connect(self._dsn, prepare_threshold=0, connect_timeout=3)

    def _decide(self, question: Question) -> str:
        """Ask, judge and write in one transaction; return the response code."""
        key = card_key(question.pan)
        with self._connection.transaction(), self._connection.cursor() as cursor:
            row = cursor.execute(LOCK, (key,)).fetchone()
            if row is None:
                return "14"
            found = cursor.execute(EARLIER, (key, [question.identity, question.original]))
            earlier = {one[0]: one for one in found}
            same = earlier.get(question.identity)
            if same is not None:
                return str(same[3]) if same[2] == question.amount else "94"
            now = datetime.now(ZONE)
            file = File.of(row, now)
            if question.is_reversal:
                code, owed = taken_back(file, earlier.get(question.original), now)
            else:
                code, owed = judge(file, question, now, STRIPE_THRESHOLD_MINOR)
            version = file.version + 1
            told = (question.identity, question.mti, question.processing, question.amount, code)
            decision = (key, version, *told, code == "00", now)
            update = (version, *file.counters(), key)
            cursor.execute(WRITE, (*update, *decision, key, version, owed))
            return code


def work(dsn: str, jobs: queue.SimpleQueue[Job | None]) -> None:
    """Take messages until there are no more."""
    desk = Desk(dsn)
    while (job := jobs.get()) is not None:
        answer = desk.answer(job.body)
        try:
            with job.lock:
                job.client.sendall(len(answer).to_bytes(2, "big") + answer)
        except OSError:
            continue


def frames(client: socket.socket) -> Iterator[bytes]:
    """Yield the messages of a connection until it ends."""
    rest = b""
    while chunk := client.recv(1 << 18):
        rest += chunk
        at = 0
        while len(rest) - at >= 2:
            end = at + 2 + int.from_bytes(rest[at : at + 2], "big")
            if end > len(rest):
                break
            yield rest[at + 2 : end]
            at = end
        rest = rest[at:]


def attend(client: socket.socket, jobs: queue.SimpleQueue[Job | None]) -> None:
    """Hand a connection's messages to the desks."""
    lock = threading.Lock()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for body in frames(client):
        jobs.put(Job(body, client, lock))


def main() -> None:
    """Fill the tables, then serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--cards", type=int, default=10_000)
    parser.add_argument("--filled", action="store_true", help="the tables are there already")
    told = parser.parse_args()
    if not told.filled:
        fill(told.dsn, told.cards)
    jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
    for _ in range(THREADS):
        threading.Thread(target=work, args=(told.dsn, jobs), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with socket.create_server(("127.0.0.1", 0)) as server:
        sys.stdout.write(f"postgres 127.0.0.1:{server.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            client, _address = server.accept()
            threading.Thread(target=attend, args=(client, jobs), daemon=True).start()


if __name__ == "__main__":
    main()
