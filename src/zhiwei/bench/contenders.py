"""Who takes part: our server and its peers, each started as a program of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import zhiwei
from zhiwei.bench.peers import sim
from zhiwei.bench.postgres.cluster import ROOMY, Cluster
from zhiwei.bench.processes import Server, ServerFailedError, start

#: What our server prints once it listens.
LISTENING: Final = r"iso8583 [\d.]+:(\d+)"
_MEMORY_FILE_SYSTEMS: Final = ("tmpfs", "ramfs")


@dataclass
class Contender:
    """One program under test, running, and how to take it down."""

    name: str
    label: str
    server: Server
    #: Cleans up what the program leaves behind; called after it was stopped.
    afterwards: Callable[[], None] = lambda: None

    def take_down(self) -> None:
        """Stop the program and whatever works for it."""
        self.server.stop()
        self.afterwards()


def is_compiled() -> bool:
    """Say whether the package that runs has its hot modules compiled."""
    spec = importlib.util.find_spec("zhiwei.engine")
    return spec is not None and not (spec.origin or "").endswith(".py")


def plain_copy(folder: Path) -> Path:
    """Copy the package without its compiled modules; the result is a PYTHONPATH."""
    package = Path(zhiwei.__file__).parent
    target = folder / "plain"
    shutil.copytree(
        package, target / "zhiwei", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    return target


def python_path(folder: Path | None = None) -> dict[str, str]:
    """Name the package that a started program shall use: this one, or the one in `folder`."""
    return {"PYTHONPATH": str(folder or Path(zhiwei.__file__).parent.parent)}


def ours(
    data: Path,
    *,
    name: str = "zhiwei",
    package: Path | None = None,
    more: tuple[str, ...] = (),
    place: Path | None = None,
) -> Contender:
    """(a) Our server, durable, with all its doors, on a data directory; `more` are options.

    `place` is the folder that it works in (default: ours); `data` is absolute then.
    """
    server = start(
        name,
        [
            *(sys.executable, "-m", "zhiwei", "serve", "--data", str(data)),
            *("--iso8583", "127.0.0.1:0", "--http", "127.0.0.1:0"),
            *more,
        ],
        LISTENING,
        environment=python_path(package),
        place=place,
    )
    return Contender(name, "zhiwei, durable", server)


def simulator(folder: Path) -> Contender:
    """(b) The mock issuer `iso8583sim serve` with fifteen rules."""
    if importlib.util.find_spec("iso8583sim") is None:
        raise ServerFailedError("iso8583sim is not installed (it is in the dev dependencies)")
    server = start(
        "iso8583sim",
        sim.command(folder),
        sim.LISTENING,
        # Its line must not be broken where a terminal is narrow.
        environment={"COLUMNS": "200"},
    )
    return Contender("iso8583sim", "iso8583sim serve, 15 rules, keeps nothing", server)


def echo(*, uvloop: bool = False) -> Contender:
    """(c) A bare echo."""
    name = "echo-uvloop" if uvloop else "echo"
    command = [sys.executable, "-m", "zhiwei.bench.peers.echo", *(["--uvloop"] if uvloop else [])]
    server = start(name, command, r"echo [\d.]+:(\d+)", environment=python_path())
    label = "uvloop echo, decides nothing" if uvloop else "asyncio echo, decides nothing"
    return Contender(name, label, server)


def postgres(folder: Path, cards: int) -> Contender:
    """(d) One PostgreSQL transaction for each decision, on a private server."""
    if importlib.util.find_spec("psycopg") is None:
        raise ServerFailedError("psycopg is not installed (it is in the dev dependencies)")
    database = Cluster.make(folder, settings=ROOMY)
    dsn = database.primary.dsn()
    command = [sys.executable, "-m", "zhiwei.bench.peers.postgres", "--dsn", dsn]
    try:
        server = start(
            "postgres",
            [*command, "--cards", str(cards)],
            r"postgres [\d.]+:(\d+)",
            environment=python_path(),
            others=(database.primary.pid,),
        )
    except ServerFailedError:
        database.take_down()
        raise
    return Contender(
        "postgres", "one PostgreSQL transaction each", server, afterwards=database.take_down
    )


def scratch_folder() -> Path:
    """Make a folder for everything that the bench writes, on a disk rather than in memory.

    A durable commit into memory costs nothing and says nothing, so a temporary folder in memory is
    passed over. Other users may enter it (PostgreSQL runs as one of them) but not list it.
    """
    places = [tempfile.gettempdir(), "/var/tmp", str(Path.cwd())]  # noqa: S108 - made by mkdtemp
    place = next((one for one in places if file_system_of(one) not in _MEMORY_FILE_SYSTEMS), None)
    folder = Path(tempfile.mkdtemp(prefix="zhiwei-bench-", dir=place))
    folder.chmod(0o711)
    return folder


def file_system_of(path: str) -> str:
    """Name the type of the file system that holds `path`; `unknown` where nobody says."""
    best, kind = "", "unknown"
    real = os.path.realpath(path)
    try:
        mounts = Path("/proc/self/mounts").read_text()
    except OSError:
        return kind
    for line in mounts.splitlines():
        _device, point, file_system, *_rest = line.split()
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, file_system
    return kind
