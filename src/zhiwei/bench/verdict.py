"""What a run says: rate, latency from the planned instant, answers by code, cost."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from zhiwei.bench.generator import Observation, Pace
from zhiwei.bench.traffic import Traffic


def quantile(ordered: Sequence[int], share: float) -> int:
    """Return the value below which `share` of an ordered sample lies; 0 of an empty one."""
    if not ordered:
        return 0
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


#: Figures of a verdict that count messages or connections.
_COUNTS: Final = (
    "sent",
    "answered",
    "unanswered",
    "unexpected",
    "duplicates",
    "differing_repeats",
    "connections_lost",
)


@dataclass(frozen=True)
class Verdict:
    """One run of the load generator, in figures. All but the totals leave out the first fifth."""

    #: `rate` (open loop) or `saturation`.
    mode: str
    #: Messages per second that were planned; 0 at saturation.
    planned_per_second: int
    decisions_per_second: float
    #: Microseconds from the planned instant to the answer in hand: p50, p90, p99, p99.9, max.
    latency_us: dict[str, int]
    #: CPU seconds per 1,000 decisions: load generator, server, both.
    cpu_per_thousand: dict[str, float]
    counted_seconds: float
    #: Totals of the whole run.
    sent: int
    answered: int
    unanswered: int
    unexpected: int
    duplicates: int
    differing_repeats: int
    connections_lost: int
    codes: dict[str, int] = field(default_factory=dict)
    #: The longest time that the generator itself was late to look at its plan.
    generator_late_us: int = 0
    exhausted: bool = False
    #: Share of the cores' time that the machine's host gave to others, in percent: a shared machine
    #: shows in the latencies.
    stolen_percent: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether every message got its one answer and every repeat the answer of its original."""
        return not (
            self.unanswered
            or self.unexpected
            or self.duplicates
            or self.differing_repeats
            or self.connections_lost
        )


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Put runs of several generators at the same time into one.

    Rates and counts add up; of the latencies the worst of each kind stands, which is no less than
    the quantile of them all; costs are weighted by what each answered.
    """
    first = verdicts[0]
    answered = sum(one.answered for one in verdicts)
    codes: Counter[str] = Counter()
    for one in verdicts:
        codes.update(one.codes)
    return dataclasses.replace(
        first,
        planned_per_second=sum(one.planned_per_second for one in verdicts),
        decisions_per_second=round(sum(one.decisions_per_second for one in verdicts), 1),
        latency_us={key: max(one.latency_us[key] for one in verdicts) for key in first.latency_us},
        cpu_per_thousand={
            whose: round(
                sum(one.cpu_per_thousand[whose] * one.answered for one in verdicts)
                / max(1, answered),
                6,
            )
            for whose in first.cpu_per_thousand
        },
        **{name: sum(getattr(one, name) for one in verdicts) for name in _COUNTS},
        codes=dict(codes),
        generator_late_us=max(one.generator_late_us for one in verdicts),
        exhausted=any(one.exhausted for one in verdicts),
    )


def judge(traffic: Traffic, pace: Pace, seen: Observation) -> Verdict:
    """Turn what was seen into figures."""
    book = seen.book
    first, last = seen.counted_ns, seen.end_ns
    latencies: list[int] = []
    in_window = 0
    sent = answered = 0
    for line, count in enumerate(seen.sent):
        begin = line * traffic.share
        sent += count
        due = seen.due_ns[begin : begin + count]
        done = book.done_ns[begin : begin + count]
        answered += count - done.count(0)
        in_window += sum(1 for at in done if first <= at < last)
        latencies += [
            at - due_at for due_at, at in zip(due, done, strict=True) if at and due_at >= first
        ]
    latencies.sort()
    seconds = max(1e-9, (last - first) / 1e9)
    thousands = max(in_window, 1) / 1000
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
    latency = {name: quantile(latencies, share) // 1000 for name, share in shares.items()}
    latency["max"] = latencies[-1] // 1000 if latencies else 0
    return Verdict(
        mode="rate" if pace.rate else "saturation",
        planned_per_second=pace.rate,
        decisions_per_second=round(in_window / seconds, 1),
        latency_us=latency,
        cpu_per_thousand={
            "load": round(seen.load_cpu_seconds / thousands, 6),
            "server": round(seen.server_cpu_seconds / thousands, 6),
            "all": round((seen.load_cpu_seconds + seen.server_cpu_seconds) / thousands, 6),
        },
        counted_seconds=round(seconds, 3),
        sent=sent,
        answered=answered,
        unanswered=sent - answered,
        unexpected=book.unexpected,
        duplicates=book.duplicates,
        differing_repeats=book.differing_repeats,
        connections_lost=seen.closed,
        codes={code: book.code_of.count(index) for index, code in enumerate(book.codes) if index},
        generator_late_us=seen.late_ns // 1000,
        exhausted=seen.exhausted,
        stolen_percent=round(100 * seen.stolen_seconds / seconds / (os.cpu_count() or 1), 2),
    )
