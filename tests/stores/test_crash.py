"""`kill -9` at any moment: what was acknowledged is there, byte for byte, and counted once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

import zhiwei
from tests.stores.cases import NOON, STEP, done
from tests.stores.crash_worker import TIGHT, batch_of, said_of
from zhiwei.journal.verify import verify
from zhiwei.stores.sqlite.connection import FILE_NAME
from zhiwei.stores.sqlite.store import SqliteStore

ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).with_name("crash_worker.py")
#: How often the worker is killed; `make test-slow` asks for 200 times.
ROUNDS = int(os.environ.get("ZHIWEI_CRASH_ROUNDS", "4"))
SLOW_ROUNDS = int(os.environ.get("ZHIWEI_CRASH_ROUNDS", "200"))


def acknowledged_until_killed(directory: Path, seed: int, seconds: float) -> list[str]:
    """Run the worker, kill it that long after its first commit; the whole lines that it wrote."""
    package = Path(zhiwei.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{ROOT}"}
    command = [sys.executable, str(WORKER), str(directory), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as worker:
        assert worker.stdout is not None
        first = worker.stdout.readline()
        time.sleep(seconds)
        worker.kill()
        rest = worker.stdout.read()
    lines = (first + rest).split("\n")
    return lines[:-1]  # what follows the last line feed was not said whole


def check(directory: Path, seed: int, lines: list[str]) -> None:
    """Everything acknowledged is there; sent again it is a repeat with the same entry."""
    report = verify(directory / FILE_NAME)
    assert report.is_clean, report.problems
    store = SqliteStore(directory, bounds=TIGHT)
    versions = {file.card_key: file.version for file in store.reader().cards(limit=1000)}
    entries = report.entries
    for line in lines:
        number, *told = line.split(" ")
        batch = batch_of(seed, int(number))
        sent = [(c, said) for c, said in zip(batch, told, strict=True) if c.request is not None]
        results = done(store.transact([c for c, _ in sent], STEP, NOON + int(number)))
        assert all(result.is_repeat for result in results)
        assert [said_of(result) for result in results] == [said for _, said in sent]
    after = {file.card_key: file.version for file in store.reader().cards(limit=1000)}
    assert after == versions, "a repeat was counted"
    done(store.close())
    report = verify(directory / FILE_NAME)
    assert report.is_clean, report.problems
    assert report.entries == entries


def kill_and_check(directory: Path, rounds: int) -> int:
    """Kill, check and go on with the same data, several times; lines acknowledged in all."""
    random = Random(rounds)
    acknowledged = 0
    for seed in range(1, rounds + 1):
        # New data now and then, so that the file does not grow without end.
        data = directory / str(seed // 5)
        data.mkdir(exist_ok=True)
        lines = acknowledged_until_killed(data, seed, random.uniform(0, 0.4))
        assert lines
        acknowledged += len(lines)
        check(data, seed, lines)
    return acknowledged


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    """Some rounds with every run of the tests."""
    assert kill_and_check(tmp_path, ROUNDS) >= ROUNDS


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_in_200_kills(tmp_path: Path) -> None:
    """The same, two hundred times."""
    assert kill_and_check(tmp_path, SLOW_ROUNDS) > SLOW_ROUNDS
