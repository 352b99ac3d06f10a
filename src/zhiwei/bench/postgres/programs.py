"""Where PostgreSQL's own programs are, and as whom they run."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from zhiwei.bench.processes import ServerFailedError

#: Where Debian and Ubuntu keep each major version's programs, off the PATH.
_DEBIAN: Final = Path("/usr/lib/postgresql")


def programs() -> Path | None:
    """Return the folder with `initdb` and `postgres`; None where there is none.

    Debian's packages come first (the newest version of them), then the PATH, then the `pgserver`
    wheel, which brings a whole PostgreSQL for people who may not install packages.
    """
    found = [path.parent for path in _DEBIAN.glob("[0-9]*/bin/initdb")]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    initdb = shutil.which("initdb")
    if initdb is not None:
        return Path(initdb).resolve().parent
    wheel = importlib.util.find_spec("pgserver")
    if wheel is None or wheel.origin is None:
        return None
    folder = Path(wheel.origin).parent / "pginstall" / "bin"
    return folder if (folder / "initdb").exists() else None


def required_programs() -> Path:
    """As `programs`, but raises `ServerFailedError` where there is none."""
    found = programs()
    if found is None:
        raise ServerFailedError("no PostgreSQL is installed (Debian: apt-get install postgresql)")
    return found


def servant() -> str | None:
    """Return the user that PostgreSQL is to run as, None where it is ourselves.

    It refuses to run as root. Raises `ServerFailedError` where root has nobody else to send.
    """
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise ServerFailedError("PostgreSQL does not run as root, and there is no other user")


def run_program(command: list[str]) -> str:
    """Run one of PostgreSQL's programs to its end; return what it said.

    Raises `ServerFailedError` with what it said where it failed.
    """
    # A file and no pipe: what a program leaves running would keep a pipe open.
    with tempfile.TemporaryFile("w+") as told:
        done = subprocess.run(  # noqa: S603 - PostgreSQL's own programs
            command, stdout=told, stderr=subprocess.STDOUT, user=servant(), cwd="/", check=False
        )
        told.seek(0)
        words = told.read()
    if done.returncode:
        raise ServerFailedError(f"`{Path(command[0]).name}` failed: {words[-600:]}")
    return words
