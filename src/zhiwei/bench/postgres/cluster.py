"""A PostgreSQL cluster of one's own: a primary, standbys, and everything that befalls them.

    with Cluster.make(standbys=2) as cluster:
        connect(cluster.url())
        cluster.primary.kill()
        cluster.fail_over()
        cluster.heal()

It lives in a temporary folder, listens on sockets there and nowhere else, and is durable as
operators' are: `fsync`, `full_page_writes` and `synchronous_commit` are on, pages have checksums,
and with standbys a commit is acknowledged when any one of them has it on its disk too. Nothing is
left behind, neither processes nor files, also when whoever made it is killed (`reaper`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from zhiwei.bench.postgres.node import PORT, USER, Node, await_that
from zhiwei.bench.postgres.programs import required_programs, servant
from zhiwei.bench.postgres.reaper import processes_in, watch_over
from zhiwei.bench.processes import ServerFailedError

#: What makes an answer durable; the same for everybody who is compared.
DURABLE: Final[Mapping[str, str]] = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
}
#: Standbys that were away find what they missed.
FOLLOWED: Final[Mapping[str, str]] = {
    "wal_keep_size": "1GB",
    "wal_retrieve_retry_interval": "100ms",
}
#: For measuring: memory for everything that is touched, and no checkpoint in the middle of a run.
ROOMY: Final[Mapping[str, str]] = {
    "shared_buffers": "512MB",
    "min_wal_size": "2GB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "max_connections": "200",
}
#: For tests: little of everything.
SMALL: Final[Mapping[str, str]] = {"shared_buffers": "32MB", "max_connections": "50"}


class Cluster:
    """A primary and its standbys; roles move from server to server, names stay."""

    def __init__(self, folder: Path, names: list[str], settings: Mapping[str, str]) -> None:
        """Name the servers of a cluster in a folder that exists; `make` does it all."""
        self.folder: Final = folder
        self.nodes: Final = [Node(_own_folder(folder / name), name, settings) for name in names]
        self.primary = self.nodes[0]
        self._reaper: Final = watch_over(folder)

    @classmethod
    def make(
        cls,
        place: Path | None = None,
        *,
        standbys: int = 0,
        settings: Mapping[str, str] = SMALL,
    ) -> Self:
        """Make and start a cluster in a new folder below `place` (default: the temporary folder).

        With `standbys` (at most 8) commits wait for any one of them. `settings` go into
        `postgresql.conf` over `DURABLE`. Raises `ServerFailedError` where it cannot be had.
        """
        required_programs()
        names = [f"n{number}" for number in range(1, standbys + 2)]
        told = {**DURABLE, **(FOLLOWED if standbys else {}), **settings}
        if standbys:
            told["synchronous_standby_names"] = f"ANY 1 ({', '.join(names)})"
        folder = _own_folder(Path(tempfile.mkdtemp(prefix="zhiwei-pg-", dir=place)))
        cluster = cls(folder, names, told)
        try:
            cluster.primary.initialise()
            cluster.primary.start()
            for node in cluster.nodes[1:]:
                node.copy_from(cluster.primary)
                node.start()
            cluster.await_standbys()
        except BaseException:
            cluster.take_down()
            raise
        return cluster

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.take_down()

    @property
    def standbys(self) -> list[Node]:
        """The servers that run and are not the primary."""
        return [node for node in self.nodes if node is not self.primary and node.is_running]

    def url(self, database: str = "postgres") -> str:
        """How clients connect: to whichever server takes writes at that moment."""
        hosts = ",".join(str(node.folder) for node in self.nodes)
        if len(self.nodes) == 1:
            return self.primary.url(database)
        ports = ",".join(str(PORT) for _ in self.nodes)
        return (
            f"postgresql://{USER}@/{database}?host={hosts}&port={ports}"
            "&target_session_attrs=read-write"
        )

    def take_down(self) -> None:
        """End every process and remove the folder; may be called twice."""
        # Standbys first: whoever loses its primary looks for it for a while.
        for node in reversed(self.nodes):
            node.stop(at_once=True)
        assert self._reaper.stdin is not None
        self._reaper.stdin.close()
        self._reaper.wait()

    def await_standbys(self) -> None:
        """Wait until every standby that runs has caught up and counts for commits."""
        wanted = len(self.standbys)

        def all_stream() -> bool:
            rows = self.primary.ask(
                "select count(*) from pg_stat_replication where state = 'streaming'"
                " and sync_state in ('quorum', 'sync') and flush_lsn is not null"
            )
            return int(rows[0][0]) >= wanted

        await_that(f"{wanted} standbys stream from {self.primary.name}", all_stream)

    def chosen(self) -> Node:
        """Choose the standby that has most: the only one that may be promoted.

        Every commit that was acknowledged is on at least one standby, so the one with the higher
        position has them all. Raises `ServerFailedError` while the primary lives, because an old
        primary and another standby could then go on acknowledging.
        """
        if self.primary.is_running:
            raise ServerFailedError(f"{self.primary.name} lives: it must be dead before a failover")
        if not self.standbys:
            raise ServerFailedError("no standby is left to be promoted")
        for node in self.standbys:
            # What is still on its way to a standby counts for nobody, but may change who has most.
            await_that(f"{node.name} has got everything", lambda node=node: _is_cut_off(node))  # type: ignore[misc]  # the default binds the loop's value
        return max(self.standbys, key=Node.received)

    def fail_over(self, new: Node | None = None) -> Node:
        """Promote the standby that has most and let the others follow it (`rejoin`); return it.

        `new` is who was `chosen` before, where more has befallen the standbys since. Whoever was
        killed stays away until `heal`.
        """
        self.reconnect_standbys()
        new = new or self.chosen()
        new.promote()
        self.primary = new
        for node in self.standbys:
            node.follow(new)
        return new

    def rejoin(self) -> None:
        """See that everybody who runs follows the new primary, and copy it anew to who cannot.

        A standby may have written more of the old primary's log than whoever was promoted, and
        never told: nothing of that was acknowledged, but its history is another one.
        """
        for node in self.standbys:
            try:
                await_that(f"{node.name} follows", lambda node=node: self._feeds(node), 3.0)  # type: ignore[misc]  # the default binds the loop's value
            except ServerFailedError:
                node.stop(at_once=True)
                node.copy_from(self.primary)
                node.start()

    def _feeds(self, node: Node) -> bool:
        """Whether a standby takes the primary's log: the present one, not the end of the last."""
        mine = self.primary.ask("select left(pg_walfile_name(pg_current_wal_lsn()), 8)")
        theirs = node.ask(
            "select lpad(to_hex(received_tli), 8, '0') from pg_stat_wal_receiver"
            " where status = 'streaming'"
        )
        return [one.lower() for (one,) in mine] == [one for (one,) in theirs]

    def heal(self) -> None:
        """Bring back who was killed, as fresh copies of the primary, and wait for all standbys."""
        for node in self.nodes:
            if not node.is_running:
                node.copy_from(self.primary)
                node.start()
        self.await_standbys()

    def cut_standbys(self, names: frozenset[str] | None = None) -> None:
        """Stop what receives the log on the standbys (SIGSTOP; all of them, or those named).

        When it returns they are seen to stand still: no commit is acknowledged by one of them.
        """
        for node in self.standbys:
            if names is None or node.name in names:
                pid = node.receiver_pid()
                if pid is None:
                    raise ServerFailedError(f"{node.name} receives nothing that could be stopped")
                os.kill(pid, signal.SIGSTOP)
                await_that(f"{node.name} stands still", lambda pid=pid: _stands_still(pid))  # type: ignore[misc]  # the default binds the loop's value

    def reconnect_standbys(self) -> None:
        """Let what receives the log go on, wherever it was stopped."""
        for node in self.standbys:
            pid = node.receiver_pid()
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def drop_receivers(self) -> None:
        """Kill what receives the log on the standbys, with all that it has not read yet.

        As a network does that never delivers. Each standby restarts by itself and has what it had
        on its disk; who has most must be asked before (`chosen`).
        """
        for node in self.standbys:
            pid = node.receiver_pid()
            if pid is None:
                continue
            # A server whose child was killed ends all its children and starts anew.
            before = set(processes_in(node.data)) - {node.pid}
            os.kill(pid, signal.SIGKILL)
            await_that(
                f"{node.name} starts anew",
                lambda node=node, before=before: before.isdisjoint(processes_in(node.data)),  # type: ignore[misc]  # the defaults bind the loop's values
            )
            node.await_answer()

    def waiting(self) -> list[int]:
        """List the backends of the primary whose commit waits for a standby."""
        rows = self.primary.ask("select pid from pg_stat_activity where wait_event = 'SyncRep'")
        return [int(pid) for (pid,) in rows]

    def cancel_waiting(self) -> int:
        """Cancel every commit that waits for a standby; return how many.

        PostgreSQL then answers such a commit as a success, with no more than a warning: it stands
        on the primary alone.
        """
        return self._signal_waiting("select pg_cancel_backend(%s)")

    def terminate_waiting(self) -> int:
        """End the connection of every commit that waits for a standby; return how many."""
        return self._signal_waiting("select pg_terminate_backend(%s)")

    def _signal_waiting(self, query: str) -> int:
        told = 0
        for pid in self.waiting():
            told += self.primary.ask(query, (pid,)) == [(True,)]
        return told


def _own_folder(folder: Path) -> Path:
    """Make a folder that belongs to whoever PostgreSQL runs as."""
    folder.mkdir(mode=0o700, exist_ok=True)
    user = servant()
    if user is not None:
        shutil.chown(folder, user)
    return folder


def _state(pid: int) -> str:
    """Return the letter of a process's state, empty where it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - a file of the kernel
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _is_cut_off(node: Node) -> bool:
    """Whether nothing more comes to a standby: its receiver has ended, or stands still."""
    pid = node.receiver_pid()
    return pid is None or _stands_still(pid)


def _stands_still(pid: int) -> bool:
    return _state(pid) == "T"
