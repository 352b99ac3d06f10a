"""The crash test's client: load on the server, `kill -9` at a random point, and then the questions.

After each crash the server is started again on the same data, and every message that had left is
sent once more as a repeat. What had been answered before must be answered with the same bytes; what
had not must get its one answer now. At the end the client's own record (`ledger`) is compared with
the journal and the counters, and `zhiwei verify` looks at the data with its own eyes.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from zhiwei.bench import contenders
from zhiwei.bench.answers import AnswerBook
from zhiwei.bench.asking_again import ask_again, rows_that_left
from zhiwei.bench.generator import Generator, Pace
from zhiwei.bench.ledger import Examination, Ledger, examine
from zhiwei.bench.message import Framing
from zhiwei.bench.populate import populate, reading, vault_of
from zhiwei.bench.processes import Server
from zhiwei.bench.traffic import Plan, compose


@dataclass(frozen=True)
class CrashOptions:
    """How often to kill, under which load."""

    rounds: int = 200
    cards: int = 500
    connections: int = 8
    window: int = 64
    #: Messages that are ready for one round; the kill comes while they are on their way.
    messages: int = 40_000
    #: The kill comes at a random instant this many seconds after the first message at the latest.
    seconds: float = 0.5
    seed: int = 1


@dataclass
class Round:
    """What one crash showed."""

    number: int
    killed_after_seconds: float
    sent: int = 0
    #: Answered before the kill.
    acknowledged: int = 0
    #: Seconds from starting the server again to its listening line.
    ready_seconds: float = 0.0
    #: Rows that the server never answered, even when they were repeated.
    unanswered: int = 0
    #: Rows whose repeat was answered with other bytes than the client already held.
    changed: int = 0
    #: Second or foreign answers.
    strange: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether every message had its one answer."""
        return not (self.unanswered or self.changed or self.strange)


@dataclass
class CrashReport:
    """All rounds, and what the store said at the end."""

    rounds: list[Round] = field(default_factory=list)
    examination: Examination = field(default_factory=Examination)
    #: What `zhiwei verify` returned, and its last lines.
    verify_code: int = -1
    verify_words: str = ""

    @property
    def acknowledged(self) -> int:
        """Decisions that the client held an answer to when the server was killed."""
        return sum(one.acknowledged for one in self.rounds)

    @property
    def is_clean(self) -> bool:
        """Whether nothing acknowledged was lost and nothing counted twice, by three accounts."""
        rounds = all(one.is_clean for one in self.rounds)
        return rounds and self.examination.is_clean and self.verify_code == 0


class CrashTest:
    """Kills and questions, round by round, on one data directory."""

    def __init__(
        self,
        options: CrashOptions,
        folder: Path,
        say: Callable[[Round], None] = lambda _one: None,
        meanwhile: Callable[[Path], None] = lambda _data: None,
    ) -> None:
        """Plan the work.

        `say` is told of each round as it ends; `meanwhile` may do something to the data between a
        kill and the next start (a test does harm there, to see that it is noticed).
        """
        self._meanwhile: Final = meanwhile
        self._options: Final = options
        self._data: Final = folder / "crash"
        self._say: Final = say
        self._random: Final = random.Random(options.seed)  # noqa: S311 - a schedule, not a secret
        self._ledger: Final = Ledger()
        self._framing: Final = Framing()

    def run(self) -> CrashReport:
        """Fill a directory, kill and ask `rounds` times, then compare; stops at a fault."""
        report = CrashReport()
        populate(self._data, self._options.cards, by_commands=True)
        server = contenders.ours(self._data).server
        try:
            for number in range(1, self._options.rounds + 1):
                one = Round(number, self._random.uniform(0.01, self._options.seconds))
                report.rounds.append(one)
                server = self._round(one, server)
                self._say(one)
                if not one.is_clean:
                    break
        finally:
            server.stop()
        with reading(self._data) as reader:
            report.examination = examine(self._ledger, reader, vault_of(self._data))
        report.verify_code, report.verify_words = self._verify()
        return report

    def _round(self, one: Round, server: Server) -> Server:
        """Send, kill, start again, send what had left once more, book the answers."""
        options = self._options
        plan = Plan(
            options.messages, options.connections, options.cards, options.seed, run=one.number
        )
        traffic = compose(plan)
        before: dict[int, bytes] = {}
        pace = Pace(60, window=options.window, patience_seconds=0)
        killer = threading.Timer(one.killed_after_seconds, server.kill)
        book = AnswerBook(traffic.rows, one.number, self._framing, traffic.repeat_of, before)
        generator = Generator(traffic, book, ("127.0.0.1", server.port), pace)
        killer.start()
        sent = generator.run().sent
        killer.join()
        self._meanwhile(self._data)
        begun = time.monotonic()
        server = contenders.ours(self._data).server
        one.ready_seconds = time.monotonic() - begun
        rows = rows_that_left(traffic, sent)
        one.sent, one.acknowledged = len(rows), len(before.keys() & set(rows))
        again, after = ask_again(traffic, rows, one.number, server.port, self._framing)
        one.unanswered = sum(row not in after for row in rows)
        one.changed = sum(before[row][4:] != after[row][4:] for row in before.keys() & after.keys())
        one.strange = again.duplicates + again.unexpected + again.differing_repeats
        self._ledger.book(traffic, after, self._framing.prefix_bytes)
        return server

    def _verify(self) -> tuple[int, str]:
        """Let `zhiwei verify` replay and recount everything."""
        command = [sys.executable, "-m", "zhiwei", "verify", "--data", str(self._data)]
        done = subprocess.run(  # noqa: S603 - our own program
            command,
            capture_output=True,
            text=True,
            check=False,
            env={**contenders.python_path(), "PATH": ""},
        )
        return done.returncode, (done.stdout + done.stderr)[-2_000:]


def crash(options: CrashOptions, say: Callable[[Round], None] = lambda _one: None) -> CrashReport:
    """Run the crash test in a folder of its own, and remove it."""
    folder = contenders.scratch_folder()
    try:
        return CrashTest(options, folder, say).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
