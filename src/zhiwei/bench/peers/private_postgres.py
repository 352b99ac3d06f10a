"""A PostgreSQL of the bench's own: made in a temporary folder, thrown away afterwards.

It refuses to run as root, so where the bench does, it belongs to `postgres` or `nobody`. Durable as
ours is: `fsync` and `synchronous_commit` are on.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zhiwei.bench.processes import ServerFailedError

#: Larger than what the bench touches, so that PostgreSQL never waits for reads.
_SETTINGS: Final = {
    "listen_addresses": "''",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "max_connections": "80",
}


def programs() -> Path | None:
    """Return the folder with `initdb` and `pg_ctl`, the newest if there are more; None if none."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("[0-9]*/bin/initdb")]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


def _servant() -> str | None:
    """Return the user that PostgreSQL is to run as, None where it is ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise ServerFailedError("PostgreSQL does not run as root, and there is no other user")


@dataclass
class PrivatePostgres:
    """A running server in a temporary folder."""

    folder: Path
    programs: Path
    user: str | None
    pid: int

    @property
    def dsn(self) -> str:
        """How to connect: over the socket in its folder."""
        return f"host={self.folder} user=bench dbname=postgres"

    def stop(self) -> None:
        """End it and remove its folder."""
        self._control("stop", "-m", "immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _control(self, *words: str) -> None:
        _run(
            [str(self.programs / "pg_ctl"), "-D", str(self.folder / "data"), "-w", *words],
            self.user,
        )


def start_private(place: Path | None = None) -> PrivatePostgres:
    """Make and start a server in a new folder below `place` (default: the temporary folder).

    Raises `ServerFailedError` where there is none to start.
    """
    where = programs()
    if where is None:
        raise ServerFailedError("no PostgreSQL is installed")
    user = _servant()
    folder = Path(tempfile.mkdtemp(prefix="zhiwei-pg-", dir=place))
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"
    _run([str(where / "initdb"), "-D", str(data), "-U", "bench", "-A", "trust", "-E", "UTF8"], user)
    lines = [f"{name} = {value}" for name, value in _SETTINGS.items()]
    lines.append(f"unix_socket_directories = '{folder}'")
    with (data / "postgresql.conf").open("a") as settings:
        settings.write("\n".join(lines) + "\n")
    server = PrivatePostgres(folder, where, user, 0)
    server._control("start", "-l", str(folder / "log"))  # noqa: SLF001 - the same module
    server.pid = int((data / "postmaster.pid").read_text().split()[0])
    return server


def _run(command: list[str], user: str | None) -> None:
    """Run one of PostgreSQL's programs; raises `ServerFailedError` with what it said."""
    # pg_ctl leaves its server behind with our pipes open, so the output goes to a file.
    with tempfile.TemporaryFile("w+") as told:
        done = subprocess.run(  # noqa: S603 - PostgreSQL's own programs
            command, stdout=told, stderr=told, user=user, cwd="/", check=False
        )
        told.seek(0)
        if done.returncode:
            raise ServerFailedError(f"`{Path(command[0]).name}` failed: {told.read()[-400:]}")
