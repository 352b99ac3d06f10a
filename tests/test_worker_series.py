"""Series of several workers: shown apart, and added up for people."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from zhiwei.metrics import Metrics
from zhiwei.process_link.wire import metrics_list
from zhiwei.web.console.pulse import Bucket, pulse_of
from zhiwei.workers.series import AllSeries, shown_by, supervisor_series


def worker(decisions: int, seconds: float) -> CollectorRegistry:
    """Series of a worker that decided so many, in so long."""
    metrics = Metrics()
    metrics.decisions.counts[1, 0, 1] = decisions
    for _ in range(decisions):
        metrics.latency.observe(seconds)
    metrics.observe_connections(decisions)
    return metrics.registry


def shown(told: list[Any] | None) -> CollectorRegistry:
    """What worker 1 shows where the supervisor tells this."""
    return shown_by(AllSeries(1, worker(2, 0.0001), lambda: told))


def told() -> list[Any]:
    """What a supervisor of two workers tells."""
    own = metrics_list(supervisor_series(2, 2, [(1, 0), (2, 3)]))
    parts = (worker(2, 0.0001), worker(3, 0.004))
    return [[0, own], *([n, metrics_list(one.collect())] for n, one in enumerate(parts, 1))]


def test_every_worker_has_series_of_its_own() -> None:
    """One family for each name, the supervisor's without a worker."""
    text = generate_latest(shown(told())).decode()
    assert text.count("# TYPE zhiwei_iso8583_connections gauge") == 1
    assert 'zhiwei_iso8583_connections{worker="1"} 2.0' in text
    assert 'zhiwei_iso8583_connections{worker="2"} 3.0' in text
    assert "zhiwei_workers_up 2.0" in text
    assert 'zhiwei_worker_restarts_total{worker="2"} 3.0' in text


def test_where_the_supervisor_tells_nothing_a_worker_shows_its_own() -> None:
    """With its number, so that the series stay the same ones."""
    text = generate_latest(shown(None)).decode()
    assert 'zhiwei_iso8583_connections{worker="1"} 2.0' in text
    assert 'worker="2"' not in text


def test_the_console_adds_workers_up() -> None:
    """Decisions, connections and times of all of them."""
    pulse = pulse_of(shown(told()))
    assert (pulse.decisions, pulse.connections) == (5, 5)
    assert [bucket for bucket in pulse.latency if bucket.count] == [
        Bucket(0.0005, 2),
        Bucket(0.005, 3),
    ]
