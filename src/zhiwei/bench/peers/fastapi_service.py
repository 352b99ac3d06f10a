"""Peer: the authorization service that a competent team writes by hand, with FastAPI and psycopg.

One transaction for each authorization, done with care: requests are checked by pydantic, an async
pool keeps connections open, statements are prepared; the card's row is locked, a repeat is answered
from what was decided, the rules look at the card, its counters are written, the decision and what
is owed are inserted by the same statement, and the answer leaves after the commit. It runs as
uvicorn runs it, on uvloop, with the number of processes and connections that were fastest here.

What it does not do, and ours does: it keeps no findings and no chain of hashes, changes no controls
while it runs, knows no holds and completions, asks nobody and delivers nothing (the outbox is
filled and never read), and it takes a commit that came back for one that is kept.

`ZHIWEI_PEER_DSN=… uvicorn zhiwei.bench.peers.fastapi_service:app` serves `POST /authorizations` on
tables that `postgres.fill` made.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

import psycopg
from fastapi import FastAPI
from pydantic import BaseModel

from zhiwei.bench.habits import STRIPE_THRESHOLD_MINOR
from zhiwei.bench.peers.postgres import EARLIER, LOCK, WRITE, ZONE, card_key
from zhiwei.bench.peers.postgres_rules import File, Question, judge, region_of, taken_back

#: Connections of each process's pool.
CONNECTIONS: Final = int(os.environ.get("ZHIWEI_PEER_CONNECTIONS", "8"))


class Authorization(BaseModel):
    """What the switch asks."""

    mti: str
    pan: str
    processing: str
    amount: int
    transmitted: str
    stan: str
    rrn: str
    acquirer: str
    forwarder: str
    mcc: str
    country: str
    entry: str
    terminal: str
    merchant: str
    currency: str
    #: Of a reversal: transmission time, STAN and acquirer of the message that it takes back.
    original: str = ""


class Answer(BaseModel):
    """What the switch is answered."""

    rrn: str
    stan: str
    code: str
    auth_code: str | None = None


class Pool:
    """Open connections; whoever needs one waits for the next that is free.

    psycopg_pool does the same and besides looks after connections that broke, which costs a little.
    """

    def __init__(self) -> None:
        self._free: Final[asyncio.Queue[psycopg.AsyncConnection[Any]]] = asyncio.Queue()

    async def open(self, dsn: str, count: int) -> None:
        """Connect `count` times; every statement is prepared at its first use."""
        for _ in range(count):
            self._free.put_nowait(
                await psycopg.AsyncConnection.connect(dsn, prepare_threshold=0, autocommit=True)
            )

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """Lend a connection."""
        lent = await self._free.get()
        try:
            yield lent
        finally:
            self._free.put_nowait(lent)

    async def close(self) -> None:
        """Close every connection that is free."""
        while not self._free.empty():
            await self._free.get_nowait().close()


pool: Final = Pool()


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Open the pool before the first request."""
    await pool.open(os.environ["ZHIWEI_PEER_DSN"], CONNECTIONS)
    yield
    await pool.close()


app: Final = FastAPI(title="Authorizations", lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    """Say that this process takes requests."""
    return {"status": "ok"}


@app.post("/authorizations")
async def authorize(asked: Authorization) -> Answer:
    """Decide one authorization, durably."""
    question = question_of(asked)
    async with pool.connection() as connection:
        code = await decide(connection, question)
    auth_code = asked.stan if code == "00" else None
    return Answer(rrn=asked.rrn, stan=asked.stan, code=code, auth_code=auth_code)


def question_of(asked: Authorization) -> Question:
    """Write a request as the rules read it."""
    is_reversal = asked.mti[1] == "4"
    return Question(
        mti=asked.mti,
        pan=asked.pan.encode(),
        processing=asked.processing,
        amount=asked.amount,
        mcc=asked.mcc,
        country=asked.country,
        region=region_of(asked.acquirer),
        entry=asked.entry,
        identity=f"{'R' if is_reversal else ''}{asked.transmitted}{asked.stan}{asked.acquirer}",
        original=asked.original,
    )


async def decide(connection: psycopg.AsyncConnection[Any], question: Question) -> str:
    """Ask, judge and write in one transaction; return the response code."""
    key = card_key(question.pan)
    async with connection.transaction():
        locked = await connection.execute(LOCK, (key,))
        found = await connection.execute(EARLIER, (key, [question.identity, question.original]))
        row = await locked.fetchone()
        if row is None:
            return "14"
        earlier = {one[0]: one for one in await found.fetchall()}
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
        await connection.execute(WRITE, (*update, *decision, key, version, owed))
        return code
