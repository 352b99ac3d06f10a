"""Metrics: what the operator's monitoring sees (Prometheus). Counted per batch, not per message.

No label ever holds anything of a card, a person or a merchant, so the number of series is bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Final, final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from zhiwei.core.command import Via
from zhiwei.core.finding import Outcome
from zhiwei.core.reason import Reason
from zhiwei.core.result import Result
from zhiwei.engine import Failure
from zhiwei.tallies import Steps, Tally

_log: Final = structlog.get_logger()

#: Seconds; the target is a p99 of 10 ms at half load.
_SECONDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
#: Format errors that are logged in one second; all of them are counted.
_LINES_A_SECOND: Final = 20
#: How long a failed write keeps traffic away, unless a batch is committed before.
_UNREADY_SECONDS: Final = 10.0
_BATCH: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


def _labels_of(kind: tuple[int, int, int]) -> tuple[str, str, str]:
    """Outcome, first reason and door by name."""
    outcome, reason, via = kind
    return (
        Outcome(outcome).name.lower(),
        Reason(reason).code if reason else "",
        Via(via).name.lower(),
    )


@final
class Metrics:
    """All series of one house, in a registry of its own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Begin at zero, in a registry of its own or in an empty one."""
        self.registry: Final = CollectorRegistry() if registry is None else registry
        self._unready = ""
        self._unready_until = 0.0
        self._logged_second = 0
        self._logged = 0
        count = self._counter
        self.decisions: Final = Tally(
            "zhiwei_decisions",
            "Card messages decided, by outcome, first reason and door.",
            ("outcome", "reason", "door"),
            _labels_of,
            self.registry,
        )
        self.rule_failures: Final = count(
            "zhiwei_rule_failures",
            "Rules that failed inside while a message was judged, by rule.",
            ("rule",),
        )
        self.repeats: Final = count("zhiwei_repeats", "Card messages answered from the journal.")
        self.changes: Final = count("zhiwei_changes", "Changes of cards' files by people.")
        self.rejections: Final = count(
            "zhiwei_rejections", "Commands that could not be carried out.", ("code",)
        )
        self.busy: Final = count("zhiwei_busy", "Commands refused because the queue was full.")
        self.format_errors: Final = count(
            "zhiwei_format_errors", "Frames that could not be read, by kind of fault.", ("fault",)
        )
        self.latency: Final = Steps(
            "zhiwei_decision_seconds",
            "From taking the oldest command of a batch to its answers.",
            _SECONDS,
            self.registry,
        )
        self.commit: Final = Steps(
            "zhiwei_commit_seconds", "Deciding and committing one batch.", _SECONDS, self.registry
        )
        self.batch: Final = Steps(
            "zhiwei_batch_size", "Commands in a batch.", _BATCH, self.registry
        )
        self._queue = 0
        self.queue: Final = Gauge(
            "zhiwei_queue", "Commands that wait for the next batch.", registry=self.registry
        )
        self.queue.set_function(lambda: self._queue)
        self.connections: Final = Gauge(
            "zhiwei_iso8583_connections", "Open ISO 8583 connections.", registry=self.registry
        )
        self.store_failures: Final = count(
            "zhiwei_store_failures", "Batches that could not be written."
        )

    def _counter(self, name: str, what: str, labels: tuple[str, ...] = ()) -> Counter:
        """A series that only grows."""
        return Counter(name, what, labels, registry=self.registry)

    def observe_batch(
        self, results: Sequence[Result], *, waited_seconds: float, commit_seconds: float, queue: int
    ) -> None:
        """Count one committed batch."""
        tally = self.decisions.counts
        repeats = 0
        changes = 0
        for result in results:
            entry = result.entry
            if result.rejection is not None:
                self.rejections.labels(result.rejection.code).inc()
            elif result.is_repeat or entry is None:
                repeats += 1
            elif entry.command.request is None:
                changes += 1
            else:
                # Numbers here, names once for each kind of decision: this runs for every message.
                reason = entry.findings[0].reason if entry.findings else 0
                kind = (entry.outcome, reason, entry.command.actor.via)
                tally[kind] = tally.get(kind, 0) + 1
                for finding in entry.findings:
                    if finding.reason is Reason.RULE_FAILED:
                        self.rule_failures.labels(finding.control).inc()
        if repeats:
            self.repeats.inc(repeats)
        if changes:
            self.changes.inc(changes)
        self._unready = ""
        self.latency.observe(waited_seconds)
        self.commit.observe(commit_seconds)
        self.batch.observe(len(results))
        self._queue = queue

    def observe_failure(self, failure: Failure, count: int, error: BaseException | None) -> None:
        """Count commands that got no result, and say once per batch why."""
        if failure is Failure.BUSY:
            self.busy.inc(count)
            return
        self.store_failures.inc()
        if failure in {Failure.UNAVAILABLE, Failure.UNKNOWN}:
            self._unready = str(error)
            self._unready_until = monotonic() + _UNREADY_SECONDS
        # The exception's text may quote what a caller sent; its type and place are enough.
        _log.error(
            "batch_failed",
            failure=failure.name.lower(),
            commands=count,
            error=type(error).__name__,
            detail=str(error) if failure is Failure.UNAVAILABLE else "",
            exc_info=error if failure is Failure.BUG else None,
        )

    def observe_format_error(
        self, fault: str, field: int, position: int, mti: str, stan: str
    ) -> None:
        """Count a frame that could not be read, and log where it broke; never its content."""
        self.format_errors.labels(fault).inc()
        # A hostile peer may count as high as it likes, but it does not fill the disk with logs.
        second = int(monotonic())
        if second != self._logged_second:
            self._logged_second, self._logged = second, 0
        self._logged += 1
        if self._logged > _LINES_A_SECOND:
            return
        _log.warning(
            "iso8583_format_error", fault=fault, field=field, position=position, mti=mti, stan=stan
        )

    def observe_connections(self, count: int) -> None:
        """How many ISO 8583 connections are open."""
        self.connections.set(count)

    def unready(self) -> str:
        """Why the house takes no work now; empty while it does.

        A house that could not write asks for work again after a while: only a batch can show that
        the disk has room once more.
        """
        return self._unready if monotonic() < self._unready_until else ""

    def text(self) -> bytes:
        """The series in Prometheus's text format."""
        return generate_latest(self.registry)
