"""Pulse: rate, errors and duration, from the very series that monitoring scrapes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Metric

_LATENCY: Final = "zhiwei_decision_seconds"
_COMMIT: Final = "zhiwei_commit_seconds"
_DECISIONS: Final = "zhiwei_decisions"
_SINGLE: Final = {
    "zhiwei_queue": "queue",
    "zhiwei_busy_total": "busy",
    "zhiwei_store_failures_total": "store_failures",
    "zhiwei_iso8583_connections": "connections",
}
#: Only these are collected: others ask the messaging process, and a page does not wait for that.
_NAMES: Final = (
    f"{_LATENCY}_bucket",
    f"{_COMMIT}_bucket",
    f"{_DECISIONS}_total",
    "zhiwei_format_errors_total",
    "zhiwei_rule_failures_total",
    *_SINGLE,
)


@dataclass(frozen=True)
class Bucket:
    """How many took at most so long, and longer than the step before."""

    #: Upper end in seconds; infinity for the last one.
    seconds: float
    count: int


@dataclass(frozen=True)
class Pulse:
    """The house since its start, all workers together."""

    decisions: int
    by_outcome: dict[str, int]
    latency: tuple[Bucket, ...]
    commit: tuple[Bucket, ...]
    #: Commands that wait for the next batch.
    queue: int
    busy: int
    store_failures: int
    format_errors: int
    rule_failures: int
    connections: int


def pulse_of(registry: CollectorRegistry) -> Pulse:
    """Read the series; any thread may."""
    single = dict.fromkeys(_SINGLE.values(), 0)
    by_outcome: dict[str, int] = {}
    found: dict[str, list[Metric]] = {}
    for family in registry.restricted_registry(_NAMES).collect():
        found.setdefault(family.name, []).append(family)
        for sample in family.samples:
            if sample.name in _SINGLE:
                single[_SINGLE[sample.name]] += int(sample.value)
            elif sample.name == f"{_DECISIONS}_total":
                outcome = sample.labels.get("outcome", "")
                by_outcome[outcome] = by_outcome.get(outcome, 0) + int(sample.value)
    return Pulse(
        decisions=sum(by_outcome.values()),
        by_outcome=by_outcome,
        latency=_buckets(found.get(_LATENCY, ())),
        commit=_buckets(found.get(_COMMIT, ())),
        queue=single["queue"],
        busy=single["busy"],
        store_failures=single["store_failures"],
        format_errors=_total(found.get("zhiwei_format_errors", ())),
        rule_failures=_total(found.get("zhiwei_rule_failures", ())),
        connections=single["connections"],
    )


def quantile_ms(buckets: tuple[Bucket, ...], share: float) -> float | None:
    """The time that `share` of all stayed under, in ms, from within its bucket by proportion.

    None where nothing was observed. In the open last bucket it is the end of the one before.
    """
    total = sum(bucket.count for bucket in buckets)
    if not total:
        return None
    wanted = total * share
    seen = 0
    lower = 0.0
    for bucket in buckets:
        if bucket.count and seen + bucket.count >= wanted:
            if bucket.seconds == float("inf"):
                break
            part = (wanted - seen) / bucket.count
            return (lower + (bucket.seconds - lower) * part) * 1000
        seen += bucket.count
        if bucket.seconds != float("inf"):
            lower = bucket.seconds
    return lower * 1000


def _buckets(families: Iterable[Metric]) -> tuple[Bucket, ...]:
    """Buckets that hold their own share, of all workers; Prometheus's add up."""
    sums: dict[float, int] = {}
    for family in families:
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                seconds = float(sample.labels["le"])
                sums[seconds] = sums.get(seconds, 0) + int(sample.value)
    below = 0
    buckets: list[Bucket] = []
    for seconds, count in sums.items():
        buckets.append(Bucket(seconds, count - below))
        below = count
    return tuple(buckets)


def _total(families: Iterable[Metric]) -> int:
    return sum(
        int(sample.value)
        for family in families
        for sample in family.samples
        if sample.name.endswith("_total")
    )
