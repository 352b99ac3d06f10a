"""Kills of the worker and a day without its receiver: nothing lost, order kept, repeats by id."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from zhiwei.bench.delivery import DeliveryOptions, DeliveryTest


def test_kills_and_a_day_without_receiver_lose_nothing(tmp_path: Path) -> None:
    """Five kills at random instants, 24 simulated hours of outage with one more, and all is there.

    Repeats are there as well: the receiver forgets answers, so a worker that never repeats would
    have lost something.
    """
    report = DeliveryTest(DeliveryOptions(rounds=5, seconds=0.4, down_seconds=2.0), tmp_path).run()
    assert report.is_clean, "\n".join(report.lines())
    assert report.kills == 6
    assert report.taken > 0
    assert report.repeats > 0
    assert report.statuses["delivered"] > 0


def test_a_worker_that_forgets_is_found_out(tmp_path: Path) -> None:
    """When what waits is thrown away before the end, the test says so."""

    def forget_what_waits(data: Path) -> None:
        with sqlite3.connect(data / "messages.db") as file:
            forgotten = file.execute("update message set status = 1 where status = 0").rowcount
            file.execute("delete from lane")
            file.execute("update tally set amount = 0 where status = 0")
        file.close()
        assert forgotten > 0

    options = DeliveryOptions(rounds=0, down_seconds=1.5)
    report = DeliveryTest(options, tmp_path, meanwhile=forget_what_waits).run()
    assert not report.is_clean
    assert report.lost


@pytest.mark.slow
def test_two_hundred_kills(tmp_path: Path) -> None:
    """200 kills at random instants and a day of outage: 0 lost, in order, repeats by id."""
    report = DeliveryTest(DeliveryOptions(), tmp_path).run()
    assert report.is_clean, "\n".join(report.lines())
    assert report.kills == 201
