"""Power cuts: what the disk itself holds at any instant has everything that was acknowledged.

The data are on a file system inside an image file. Copying the image while the store is at work
gives what a cut of the power would leave: what was written but not flushed is not in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

import zhiwei
from tests.stores.test_crash import ROOT, WORKER, check

ROUNDS = int(os.environ.get("ZHIWEI_CRASH_ROUNDS", "30"))


def run(*command: str | Path) -> None:
    """A tool of the system."""
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


@contextmanager
def mounted(image: Path, place: Path) -> Iterator[Path]:
    """A file system in a file, mounted."""
    place.mkdir(exist_ok=True)
    run("mount", "-o", "loop", image, place)
    try:
        yield place
    finally:
        run("umount", "-l", place)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A file with an empty file system."""
    path = tmp_path / "disk.img"
    try:
        run("truncate", "-s", "200M", path)
        run("mkfs.ext4", "-q", "-F", path)
        with mounted(path, tmp_path / "trial"):
            pass
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip("mounting a file system in a file needs the rights of root")
    return path


def acknowledged_at_cut(data: Path, seed: int, seconds: float, image: Path, cut: Path) -> list[str]:
    """Run the worker, copy the image at some moment; what was acknowledged before that moment."""
    package = Path(zhiwei.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{ROOT}"}
    command = [sys.executable, str(WORKER), str(data), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as worker:
        assert worker.stdout is not None
        said = worker.stdout.readline()
        os.set_blocking(worker.stdout.fileno(), False)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            said += worker.stdout.read() or b""
            time.sleep(0.001)
        run("cp", "--sparse=always", image, cut)
        worker.kill()
    return said.decode().split("\n")[:-1]


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_power_goes(image: Path, tmp_path: Path) -> None:
    """At a random moment of each round; the data open unaided, verify, and hold everything."""
    random = Random(5)
    cut = tmp_path / "cut.img"
    acknowledged = 0
    with mounted(image, tmp_path / "disk") as disk:
        for seed in range(1, ROUNDS + 1):
            data = disk / str(seed)
            data.mkdir()
            lines = acknowledged_at_cut(data, seed, random.uniform(0, 1), image, cut)
            with mounted(cut, tmp_path / "after"):
                left = tmp_path / "left"
                shutil.copytree(tmp_path / "after" / str(seed), left)
            check(left, seed, lines)
            acknowledged += len(lines)
            shutil.rmtree(left)
            shutil.rmtree(data)
    assert acknowledged >= ROUNDS
