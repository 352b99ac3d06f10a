"""One PostgreSQL server: made, started, asked, killed, promoted, told whom to follow."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from zhiwei.bench.postgres.programs import required_programs, run_program, servant
from zhiwei.bench.postgres.reaper import end_all, processes_in
from zhiwei.bench.processes import ServerFailedError

#: The superuser of every server here; it needs no password, since only its socket's folder leads
#: to it.
USER: Final = "bench"
#: The end of the name of a server's socket; servers have folders of their own, so one number does.
PORT: Final = 5432
_PATIENCE_SECONDS: Final = 60.0
_BEAT_SECONDS: Final = 0.01


def await_that(what: str, is_so: Callable[[], bool], seconds: float = _PATIENCE_SECONDS) -> None:
    """Look again and again until it is so; raises `ServerFailedError` when it takes too long."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise ServerFailedError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(_BEAT_SECONDS)


class Node:
    """A server in a folder of its own, reached over a socket there.

    Its processes are ours: `process` is the postmaster, started as a child of this process.
    """

    def __init__(self, folder: Path, name: str, settings: Mapping[str, str]) -> None:
        """Name a server; nothing is made yet. `folder` must belong to the servant."""
        self.folder: Final = folder
        self.name: Final = name
        self._settings: Final = dict(settings)
        self._programs: Final = required_programs()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.folder / "data"

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        assert self.process is not None, f"{self.name} does not run"
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Whether its postmaster lives."""
        return self.process is not None and self.process.poll() is None

    def dsn(self, database: str = "postgres") -> str:
        """How libpq connects: `host=… user=…`."""
        return f"host={self.folder} port={PORT} user={USER} dbname={database}"

    def url(self, database: str = "postgres") -> str:
        """How to connect, as a URL: `postgresql://…`."""
        return f"postgresql://{USER}@/{database}?host={self.folder}&port={PORT}"

    def initialise(self) -> None:
        """Make an empty database with page checksums."""
        self._run("initdb", "-D", self.data, "-U", USER, "-A", "trust", "-E", "UTF8", "-k", "-N")
        lines = [f"{name} = '{value}'" for name, value in self._settings.items()]
        with (self.data / "postgresql.conf").open("a") as file:
            file.write("\n".join(lines) + "\n")

    def copy_from(self, primary: Node) -> None:
        """Become a standby of `primary`, as a fresh copy of it; what was here is gone."""
        shutil.rmtree(self.data, ignore_errors=True)
        source = f"{primary.dsn()} application_name={self.name}"
        how = ("-R", "-X", "stream", "-c", "fast", "--no-sync")
        self._run("pg_basebackup", "-D", self.data, *how, "-d", source)

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises `ServerFailedError` with the end of its log where it does not.
        """
        where = [f"unix_socket_directories={self.folder}", f"cluster_name={self.name}"]
        where += ["listen_addresses=", f"port={PORT}"]
        options = [word for one in where for word in ("-c", one)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - PostgreSQL's own program
                [str(self._programs / "postgres"), "-D", str(self.data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=servant(),
                cwd="/",
                start_new_session=True,
            )
        self.await_answer()

    def await_answer(self) -> None:
        """Wait until it takes connections; raises `ServerFailedError` where it ends instead."""

        def answers() -> bool:
            if not self.is_running:
                raise ServerFailedError(f"{self.name} ended; its log says:\n{self.log_end()}")
            return self._answers()

        await_that(f"{self.name} answers", answers)

    def _answers(self) -> bool:
        import psycopg  # noqa: PLC0415 - a dev dependency; the module must load without it

        try:
            return self.ask("select 1") == [(1,)]
        except psycopg.OperationalError:
            return False

    def log_end(self) -> str:
        """Return the last lines of its log."""
        with contextlib.suppress(OSError):
            return (self.folder / "log").read_text(errors="replace")[-1_500:]
        return ""

    def ask(
        self, query: str, values: tuple[object, ...] = (), *, database: str = "postgres"
    ) -> list[tuple[Any, ...]]:
        """Ask the server one thing over a connection of its own; return the rows.

        Nothing here waits for a standby: whoever looks after a cluster must not hang with it.
        """
        import psycopg  # noqa: PLC0415 - a dev dependency; the module must load without it

        options = "-c synchronous_commit=local"
        with psycopg.connect(
            self.dsn(database), autocommit=True, options=options, connect_timeout=10
        ) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def make_database(self, name: str) -> str:
        """Make an empty database; return its URL."""
        assert name.isidentifier(), name
        self.ask(f"create database {name}")
        return self.url(name)

    def lay_in_log(self, files: int) -> None:
        """Have files of the log lie there to be written again, as where a server has run for long.

        A fresh server makes each file when it is needed, 16 MB of zeros and a flush, while every
        commit waits (30 to 40 ms here, every 2 s under load). It keeps what it can use again only
        up to `min_wal_size`.
        """
        filled = "perform pg_logical_emit_message(false, '', ''); perform pg_switch_wal();"
        self.ask(f"do $$ begin for n in 1..{files} loop {filled} end loop; end $$")
        self.ask("checkpoint")

    def kill(self) -> None:
        """End all its processes at once, as the loss of its machine would (SIGKILL)."""
        if self.process is None:
            return
        # Frozen first: a postmaster that sees one of its children killed would start to clean up.
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGSTOP)
        self.process.kill()
        end_all(self.data)
        self.process.wait()
        self.process = None
        # What a dead server leaves behind that would keep the next one from starting.
        (self.folder / f".s.PGSQL.{PORT}").unlink(missing_ok=True)
        (self.folder / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self, *, at_once: bool = False) -> None:
        """Shut it down in good order, or `at_once` without a last checkpoint."""
        if self.process is None:
            return
        for pid in processes_in(self.data):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
        try:
            self.process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def received(self) -> int:
        """As a standby: up to which position of the log it has everything on its disk, in bytes."""
        ((position,),) = self.ask(
            "select (greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
            " - '0/0'::pg_lsn)::bigint"
        )
        return int(position)

    def promote(self) -> None:
        """Make a standby the primary, and see that it takes writes."""
        self.ask("select pg_promote(true, 60)")
        await_that(f"{self.name} is promoted", lambda: not self.is_standby())

    def is_standby(self) -> bool:
        """Whether it follows somebody (or waits for somebody to follow)."""
        return self.ask("select pg_is_in_recovery()") == [(True,)]

    def follow(self, primary: Node) -> None:
        """As a standby: follow another primary from now on."""
        source = f"{primary.dsn()} application_name={self.name}"
        assert "'" not in source, source
        self.ask(f"alter system set primary_conninfo = '{source}'")
        self.ask("select pg_reload_conf()")

    def receiver_pid(self) -> int | None:
        """As a standby: the process that takes the log from the primary, None where none does."""
        rows = self.ask("select pid from pg_stat_wal_receiver where status = 'streaming'")
        return int(rows[0][0]) if rows else None

    def _run(self, program: str, *words: object) -> None:
        run_program([str(self._programs / program), *map(str, words)])
