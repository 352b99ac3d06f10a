"""Metrics: what is counted, and that counting cannot be used against the operator."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from zhiwei.engine import Failure
from zhiwei.metrics import Metrics
from zhiwei.ports import StoreUnavailableError


def test_a_flood_of_format_errors_is_counted_and_not_all_logged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every bad frame counts; the log gets a bounded number of lines in a second."""
    monkeypatch.setattr("zhiwei.metrics.monotonic", lambda: 5.0)
    metrics = Metrics()
    with capture_logs() as lines:
        for _ in range(1000):
            metrics.observe_format_error("truncated", 4, 30, "0200", "000001")
    assert len(lines) == 20
    assert b'zhiwei_format_errors_total{fault="truncated"} 1000.0' in metrics.text()
    monkeypatch.setattr("zhiwei.metrics.monotonic", lambda: 6.0)
    with capture_logs() as lines:
        metrics.observe_format_error("truncated", 4, 30, "0200", "000001")
    assert len(lines) == 1


def test_a_store_that_cannot_write_makes_the_house_unready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Readiness says why, until a batch was written or it is time to try again."""
    monkeypatch.setattr("zhiwei.metrics.monotonic", lambda: 100.0)
    metrics = Metrics()
    assert metrics.unready() == ""
    metrics.observe_failure(Failure.UNAVAILABLE, 3, StoreUnavailableError("no space is left"))
    assert metrics.unready() == "no space is left"
    metrics.observe_batch([], waited_seconds=0.1, commit_seconds=0.1, queue=0)
    assert metrics.unready() == ""
    metrics.observe_failure(Failure.UNAVAILABLE, 3, StoreUnavailableError("no space is left"))
    monkeypatch.setattr("zhiwei.metrics.monotonic", lambda: 110.0)
    assert metrics.unready() == ""
    metrics.observe_failure(Failure.BUSY, 2, None)
    assert metrics.unready() == ""
    assert b"zhiwei_busy_total 2.0" in metrics.text()
