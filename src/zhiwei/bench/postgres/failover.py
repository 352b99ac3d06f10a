"""The failover test: a primary and two synchronous standbys, load, and what befalls them.

In each round messages leave at a steady rate while the primary is killed and a standby promoted, or
the standbys are cut off and commits that wait for them are cancelled. Afterwards everything that
had been answered is looked for by its key on the current primary, and every message that had left
is sent once more as a repeat: what had been answered must be answered the same, what had not must
get its one answer. At the end the client's record is compared with journal and counters.

"System malfunction" and "issuer unavailable" (96, 91) are no answers: the client knows nothing then
and asks again. An approval is one: it may not be given while no standby has it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from zhiwei.bench import contenders
from zhiwei.bench.answers import AnswerBook
from zhiwei.bench.asking_again import ask_again, rows_that_left
from zhiwei.bench.generator import Generator, Observation, Pace
from zhiwei.bench.ledger import Answer, Examination, Ledger
from zhiwei.bench.message import Framing
from zhiwei.bench.postgres.cluster import Cluster
from zhiwei.bench.postgres.fates import FATES, KILL, PARTITIONS, Fate
from zhiwei.bench.postgres.reaper import reaped
from zhiwei.bench.postgres.subjects import ByHand, Ours, Subject
from zhiwei.bench.processes import Server
from zhiwei.bench.traffic import Plan, Traffic, compose
from zhiwei.bench.verdict import quantile

#: Answers that leave open whether the message was decided.
UNSURE: Final = frozenset({"91", "96"})
_APPROVED: Final = "00"
#: How long a message is asked again for before it counts as never answered.
_PATIENCE_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.1


@dataclass(frozen=True)
class FailoverOptions:
    """How often what befalls, under which load."""

    rounds: int = 50
    partitions: int = 20
    cards: int = 500
    connections: int = 8
    #: Messages a second.
    rate: int = 400
    #: Of each round's load.
    seconds: float = 3.0
    seed: int = 1
    #: Put the peer by hand in our place, to see what this test finds.
    by_hand: bool = False


@dataclass
class Round:
    """What one round showed."""

    number: int
    kind: str
    sent: int = 0
    #: Answered surely during the load.
    acknowledged: int = 0
    #: Answered 91 or 96, or not at all, during the load.
    unsure: int = 0
    #: Acknowledged, and not there afterwards.
    lost: int = 0
    #: Acknowledged, and answered otherwise when it was repeated.
    changed: int = 0
    #: Never answered surely, however often it was repeated.
    unanswered: int = 0
    #: Second or foreign answers.
    strange: int = 0
    #: Approved while no standby had anything new.
    approved_unreplicated: int = 0
    #: Commits that were cancelled or ended while they waited.
    cancelled: int = 0
    #: From the loss of the primary to the first sure answer of the new one; 0 = nobody was lost.
    gap_seconds: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, changed, left open, or approved too early."""
        faults = (self.lost, self.changed, self.unanswered, self.strange)
        return not any(faults) and not self.approved_unreplicated


@dataclass
class FailoverReport:
    """All rounds, and what the database said at the end."""

    rounds: list[Round] = field(default_factory=list)
    examination: Examination = field(default_factory=Examination)
    verify_code: int = -1
    verify_words: str = ""

    @property
    def is_clean(self) -> bool:
        """Whether nothing acknowledged was lost and nothing counted twice, by all accounts."""
        rounds = all(one.is_clean for one in self.rounds)
        return rounds and self.examination.is_clean and self.verify_code == 0

    def total(self, what: str, kind: str | None = None) -> int:
        """Add up a figure over the rounds (of one kind)."""
        return sum(getattr(one, what) for one in self.rounds if kind in (None, one.kind))

    def gap_seconds(self, share: float) -> float:
        """The gap that so large a share of the lost primaries did not exceed; 0 without any."""
        gaps = sorted(int(one.gap_seconds * 1e6) for one in self.rounds if one.kind == KILL)
        return quantile(gaps, share) / 1e6

    def _line(self, kind: str) -> str:
        """What all rounds of one kind came to."""
        rounds = sum(one.kind == kind for one in self.rounds)
        figures = {
            "sent": self.total("sent", kind),
            "acknowledged": self.total("acknowledged", kind),
            "left open at first": self.total("unsure", kind),
            "commits cancelled": self.total("cancelled", kind),
            "lost": self.total("lost", kind),
            "answered otherwise": self.total("changed", kind),
            "approved while not replicated": self.total("approved_unreplicated", kind),
        }
        words = ", ".join(f"{count:,} {what}" for what, count in figures.items())
        return f"{kind}: {rounds} rounds: {words}"

    def lines(self) -> list[str]:
        """Say it for people."""
        kinds = [kind for kind in FATES if any(one.kind == kind for one in self.rounds)]
        told = [self._line(kind) for kind in kinds]
        if KILL in kinds:
            gaps = f"p50 {self.gap_seconds(0.5):.2f} s, p99 {self.gap_seconds(0.99):.2f} s"
            told.append(f"gap from the loss of a primary to the first answer: {gaps}")
        told += [f"round {one.number}: {one}" for one in self.rounds if not one.is_clean]
        seen = self.examination
        told.append(f"entries compared: {seen.entries:,}")
        told.append(f"acknowledged and lost: {self.total('lost') + len(seen.lost)}")
        twice = len(seen.doubled) + len(seen.miscounted)
        told.append(f"counted twice, or not as answered: {twice} {seen.miscounted[:5] or ''}")
        told.append(f"told otherwise than stored: {len(seen.altered)}")
        told.append(f"never answered: {self.total('unanswered')}")
        told.append(f"verify: exit code {self.verify_code}: {self.verify_words.strip()[-300:]}")
        return told


def kinds_of(options: FailoverOptions, rng: random.Random) -> list[str]:
    """Draw an order of kills and partitions; the ways of a partition take turns."""
    turns = list(PARTITIONS)
    kinds = [turns[n % len(turns)] for n in range(options.partitions)]
    kinds += [KILL] * options.rounds
    rng.shuffle(kinds)
    return kinds


class FailoverTest:
    """Rounds of loss and questions on one cluster, one server and one database."""

    def __init__(
        self,
        options: FailoverOptions,
        cluster: Cluster,
        subject: Subject,
        say: Callable[[Round], None] = lambda _one: None,
        kinds: Sequence[str] = (),
    ) -> None:
        """Plan the work; `say` is told of each round as it ends.

        `kinds` are what befalls, round by round, instead of what the options ask for.
        """
        self._options: Final = options
        self._cluster: Final = cluster
        self._subject: Final = subject
        self._say: Final = say
        self._random: Final = random.Random(options.seed)  # noqa: S311 - a schedule, not a secret
        self._kinds: Final = kinds or kinds_of(options, self._random)
        self._ledger: Final = Ledger()
        self._framing: Final = Framing()

    def run(self) -> FailoverReport:
        """Fill the database, play all rounds, then compare."""
        report = FailoverReport()
        self._subject.prepare(self._cluster, self._options.cards)
        self._cluster.await_standbys()
        server = self._subject.start()
        try:
            for number, kind in enumerate(self._kinds, 1):
                one = Round(number, kind)
                report.rounds.append(one)
                self._round(one, server)
                self._say(one)
                self._cluster.heal()
        finally:
            server.stop()
        report.examination = self._subject.examine(self._ledger)
        report.verify_code, report.verify_words = self._subject.verify()
        return report

    def _round(self, one: Round, server: Server) -> None:
        """Send while it befalls, look for what was answered, ask again, book the answers."""
        options = self._options
        messages = int(options.rate * options.seconds)
        # A repeat is approved without anything being written; where each approval is asked whether
        # a standby has it, there are none.
        retries = one.kind == KILL and self._subject.takes_early_reversals
        plan = Plan(
            messages,
            options.connections,
            options.cards,
            options.seed,
            run=one.number,
            retries=retries,
        )
        traffic = compose(plan)
        before: dict[int, bytes] = {}
        book = AnswerBook(traffic.rows, one.number, self._framing, traffic.repeat_of, before)
        fate, seen = self._befall(one.kind, traffic, book, server)
        rows = rows_that_left(traffic, seen.sent)
        sure = {row: body for row, body in before.items() if not _is_unsure(body)}
        known = [row for row in rows if row in sure]
        one.sent, one.acknowledged = len(rows), len(known)
        one.unsure = one.sent - one.acknowledged
        one.cancelled = fate.cancelled
        one.approved_unreplicated = _approved_between(seen, sure, fate)
        prefix = self._framing.prefix_bytes
        one.lost = len(self._subject.missing([traffic.row(row)[prefix:] for row in known]))
        after, answered_ns = self._ask_until_sure(one, traffic, rows, server)
        one.unanswered = sum(row not in after for row in rows)
        one.changed = sum(sure[row][4:] != after[row][4:] for row in sure.keys() & after.keys())
        one.strange += book.duplicates + book.unexpected
        if fate.killed_ns:
            one.gap_seconds = _gap(seen, sure, fate, answered_ns)
        self._ledger.book(traffic, after, prefix)

    def _befall(
        self, kind: str, traffic: Traffic, book: AnswerBook, server: Server
    ) -> tuple[Fate, Observation]:
        """Send the messages while the fate takes its course; return both."""
        options = self._options
        pace = Pace(options.seconds, rate=options.rate, patience_seconds=1.0)
        generator = Generator(traffic, book, ("127.0.0.1", server.port), pace)
        fate = Fate(kind)
        delay = self._random.uniform(0.2, options.seconds / 3)

        def take_its_course() -> None:
            time.sleep(delay)
            FATES[kind](self._cluster, self._random, fate)

        with ThreadPoolExecutor(1) as fates:
            course = fates.submit(take_its_course)
            seen = generator.run()
            course.result()
        return fate, seen

    def _ask_until_sure(
        self, one: Round, traffic: Traffic, rows: list[int], server: Server
    ) -> tuple[dict[int, bytes], int]:
        """Repeat every row until it is answered surely; return that, and when the first came."""
        after: dict[int, bytes] = {}
        first_ns = 0
        open_rows = list(rows)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while open_rows and time.monotonic() < deadline:
            again, bodies = ask_again(traffic, open_rows, one.number, server.port, self._framing)
            one.strange += again.duplicates + again.unexpected
            sure = {row: body for row, body in bodies.items() if not _is_unsure(body)}
            if sure and not first_ns:
                first_ns = min(again.done_ns[row] for row in sure)
            after |= sure
            open_rows = [row for row in open_rows if row not in sure]
            if open_rows:
                time.sleep(_PAUSE_SECONDS)
        return after, first_ns


def _is_unsure(body: bytes) -> bool:
    return Answer.read(body).code in UNSURE


def _approved_between(seen: Observation, sure: dict[int, bytes], fate: Fate) -> int:
    """Count the approvals of messages that were sent and answered while no standby got anything."""
    if not fate.cut_ns:
        return 0
    return sum(
        seen.due_ns[row] > fate.cut_ns
        and seen.book.done_ns[row] < fate.joined_ns
        and Answer.read(body).code == _APPROVED
        for row, body in sure.items()
    )


def _gap(seen: Observation, sure: dict[int, bytes], fate: Fate, asked_ns: int) -> float:
    """Seconds from the loss of the primary to the first sure answer of the new one."""
    done = [seen.book.done_ns[row] for row in sure if seen.book.done_ns[row] > fate.promoted_ns]
    first = min([*done, *([asked_ns] if asked_ns else [])], default=fate.promoted_ns)
    return (first - fate.killed_ns) / 1e9


def failover(
    options: FailoverOptions, say: Callable[[Round], None] = lambda _one: None
) -> FailoverReport:
    """Run the failover test on a cluster of its own, and remove it."""
    with reaped(contenders.scratch_folder()) as folder:
        subject: Subject = ByHand() if options.by_hand else Ours(folder)
        with Cluster.make(folder, standbys=2) as cluster:
            return FailoverTest(options, cluster, subject, say).run()
