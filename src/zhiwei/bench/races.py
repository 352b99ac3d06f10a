"""Races: many requests at once for one card with room for one; exactly one may be approved.

Each round has a card of its own with a daily limit, and as many connections as requests. All
requests are written before any answer is read, in an order drawn anew, so they meet in the server,
or, with several servers, in the database.
"""

from __future__ import annotations

import itertools
import random
import selectors
import shutil
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from zhiwei.bench import contenders
from zhiwei.bench.cards import PROVINCES, home_of, pan_of
from zhiwei.bench.habits import habits_of, has_chip
from zhiwei.bench.ledger import Answer
from zhiwei.bench.message import Framing
from zhiwei.bench.populate import populate
from zhiwei.bench.postgres.cluster import Cluster
from zhiwei.bench.postgres.serving import required_serve_option, serve_together
from zhiwei.bench.scenes import SCENES, Place, fields_of, write

#: Room for one: the day's limit, and what each request asks for.
ROOM_MINOR: Final = 10_000
ASKED_MINOR: Final = 6_000
_PATIENCE_SECONDS: Final = 20.0


@dataclass(frozen=True)
class RaceOptions:
    """How many races, with how many requests each."""

    rounds: int = 1_000
    requests: int = 64
    seed: int = 1
    #: Servers that the requests are spread over; more than one need a database of PostgreSQL.
    servers: int = 1


@dataclass
class RaceReport:
    """How the races ended."""

    rounds: int = 0
    #: Rounds by their number of approvals; right is only 1.
    approvals: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether every race had exactly one winner and every request its answer."""
        return self.unanswered == 0 and set(self.approvals) <= {1} and self.rounds > 0


def frames_of(card: int, requests: int, run: int) -> list[bytes]:
    """Write the requests of one race: same card, amount and merchant, each with its number."""
    framing = Framing()
    fields = fields_of(SCENES[0], Place("156", PROVINCES[home_of(card)][1], 1))
    now = time.gmtime()
    frames = []
    for number in range(requests):
        rrn = f"{run % 10_000:04d}{card % 1_000_000:06d}{number:02d}"
        fields |= {
            2: pan_of(card).encode(),
            4: b"%012d" % ASKED_MINOR,
            7: time.strftime("%m%d%H%M%S", now).encode(),
            11: f"{number:02d}{card % 10_000:04d}".encode(),
            12: time.strftime("%H%M%S", now).encode(),
            13: time.strftime("%m%d", now).encode(),
            37: rrn.encode(),
        }
        frames.append(write("0200", fields, framing)[0])
    return frames


def race(lines: list[socket.socket], frames: list[bytes]) -> list[Answer]:
    """Send one request on each connection at once, and gather the answers that come in time."""
    for line, frame in zip(lines, frames, strict=True):
        line.sendall(frame)
    answers: list[Answer] = []
    rest = dict.fromkeys(lines, b"")
    by_fd = {line.fileno(): line for line in lines}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with selectors.DefaultSelector() as selector:
        for line in lines:
            selector.register(line, selectors.EVENT_READ)
        while len(answers) < len(frames) and time.monotonic() < deadline:
            for key, _events in selector.select(0.5):
                line = by_fd[key.fd]
                rest[line] += line.recv(4_096)
                size = 2 + int.from_bytes(rest[line][:2], "big")
                if len(rest[line]) >= size > 2:
                    answers.append(Answer.read(rest[line][2:size]))
                    rest[line] = rest[line][size:]
    return answers


def races(
    options: RaceOptions, say: Callable[[int], None] = lambda _done: None, *, run: int = 1
) -> RaceReport:
    """Run all races on a server of our own, in a folder that is removed afterwards."""
    folder = contenders.scratch_folder()
    try:
        return _races(options, folder / "races", say, run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _races(options: RaceOptions, data: Path, say: Callable[[int], None], run: int) -> RaceReport:
    report = RaceReport()
    rng = random.Random(options.seed)  # noqa: S311 - an order, not a secret
    cards = _racers(options.rounds)
    with ExitStack() as stack:
        ports = _serve(options, data, cards[-1] + 1, stack)
        lines = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            for port, _number in zip(itertools.cycle(ports), range(options.requests), strict=False)
        ]
        for card in cards:
            frames = frames_of(card, options.requests, run)
            rng.shuffle(frames)
            answers = race(lines, frames)
            report.rounds += 1
            report.unanswered += options.requests - len(answers)
            report.approvals[sum(answer.code == "00" for answer in answers)] += 1
            report.codes.update(answer.code for answer in answers)
            say(report.rounds)
    return report


def _serve(options: RaceOptions, data: Path, cards: int, stack: ExitStack) -> list[int]:
    """Start the servers, taken down with `stack`; return their ports."""
    if options.servers == 1:
        populate(data, cards, by_commands=True, day_limit_minor=ROOM_MINOR)
        contender = contenders.ours(data)
        stack.callback(contender.take_down)
        return [contender.server.port]
    required_serve_option()
    cluster = stack.enter_context(Cluster.make(data.parent))
    url = cluster.primary.make_database("races")
    populate(data, cards, by_commands=True, day_limit_minor=ROOM_MINOR, database=url)
    return [server.port for server in serve_together(data, url, options.servers, stack)]


def _racers(count: int) -> list[int]:
    """Choose cards that nothing but the day's limit would refuse."""
    cards = (card for card in itertools.count() if not habits_of(card).is_stopped)
    return list(itertools.islice(filter(has_chip, cards), count))
