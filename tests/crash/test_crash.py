"""`kill -9` under load: nothing that was acknowledged is lost, nothing is counted twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from zhiwei.bench.crash import CrashOptions, CrashReport, CrashTest
from zhiwei.bench.postgres.programs import programs
from zhiwei.bench.processes import ServerFailedError
from zhiwei.bench.races import RaceOptions, RaceReport, races

FEW = CrashOptions(rounds=3, cards=200, messages=6_000, seconds=0.6)


def told(report: CrashReport) -> str:
    """What a failed test should show."""
    seen = report.examination
    lists = [seen.lost[:5], seen.doubled[:5], seen.altered[:5], seen.miscounted[:5]]
    return f"{report.rounds[-1]} {lists} {report.verify_code} {report.verify_words[-500:]}"


def test_a_killed_server_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    """After three kills, journal and counters are what the client was told; `verify` agrees."""
    report = CrashTest(FEW, tmp_path).run()
    assert report.is_clean, told(report)
    assert len(report.rounds) == 3
    assert report.acknowledged > 0
    assert report.examination.entries >= report.acknowledged


def test_a_server_that_forgets_is_found_out(tmp_path: Path) -> None:
    """When the log of the last commits is thrown away after a kill, the crash test says so."""

    def lose_the_log(data: Path) -> None:
        logs = list(data.glob("*-wal"))
        assert logs
        for log in logs:
            log.unlink()

    report = CrashTest(FEW, tmp_path, meanwhile=lose_the_log).run()
    assert not report.is_clean


def test_exactly_one_of_many_requests_at_once_is_approved() -> None:
    """64 requests for a card with room for one: one approval, every time."""
    report = races(RaceOptions(rounds=20))
    assert report.is_clean, report
    assert report.approvals == {1: 20}
    assert report.codes == {"00": 20, "61": 20 * 63}


def test_exactly_one_is_approved_by_several_servers() -> None:
    """64 requests over 4 servers on one database, with room for one: one approval, every time."""
    report = over_four_servers(20)
    assert report.is_clean, report
    assert report.approvals == {1: 20}


def over_four_servers(rounds: int) -> RaceReport:
    """Races on PostgreSQL, where there is one and this version can be served from it."""
    if programs() is None:
        pytest.skip("no PostgreSQL is installed")
    try:
        return races(RaceOptions(rounds=rounds, servers=4))
    except ServerFailedError as error:
        if "no `zhiwei serve --database`" not in str(error):
            raise
        pytest.skip(str(error))


@pytest.mark.slow
def test_two_hundred_kills(tmp_path: Path) -> None:
    """200 kills at random points under load: 0 acknowledged lost, 0 counted twice."""
    report = CrashTest(CrashOptions(), tmp_path).run()
    assert report.is_clean, told(report)
    assert len(report.rounds) == 200


@pytest.mark.slow
def test_a_thousand_races() -> None:
    """1,000 races of 64 requests each: exactly one approval in each."""
    report = races(RaceOptions())
    assert report.is_clean, report
    assert report.approvals == {1: 1_000}


@pytest.mark.slow
def test_a_thousand_races_over_four_servers() -> None:
    """1,000 races of 64 requests over 4 servers: exactly one approval in each."""
    report = over_four_servers(1_000)
    assert report.is_clean, report
    assert report.approvals == {1: 1_000}
