"""Our own servers on PostgreSQL: whether this version has such, and several on one database."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from zhiwei.assemble import VAULT_FILE_NAME
from zhiwei.bench import contenders
from zhiwei.bench.processes import Server, ServerFailedError


def required_serve_option() -> None:
    """See that our server can be served from a database; raises `ServerFailedError` if not."""
    command = [sys.executable, "-m", "zhiwei", "serve", "--help"]
    environment = {**os.environ, **contenders.python_path(), "COLUMNS": "200"}
    told = subprocess.run(  # noqa: S603 - our own program
        command, capture_output=True, text=True, check=False, env=environment
    )
    if "--database" not in told.stdout:
        raise ServerFailedError("this version has no `zhiwei serve --database`")


def serve_together(data: Path, url: str, servers: int, stack: ExitStack) -> list[Server]:
    """Start so many servers on one database whose key is in `data`; taken down with `stack`.

    Each has a data directory of its own with the same key; the first one sends the messages.
    """
    running = []
    for number in range(1, servers + 1):
        own, more = data, ["--database", url]
        if number > 1:
            own = data.with_name(f"{data.name}-{number}")
            own.mkdir(mode=0o700)
            shutil.copy(data / VAULT_FILE_NAME, own)
            more.append("--without-messages")
        contender = contenders.ours(
            own, name=f"zhiwei-{number}", more=tuple(more), place=data.parent
        )
        stack.callback(contender.take_down)
        running.append(contender.server)
    return running
