"""Whose answers must survive the loss of a database server: ours, or the peer by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from zhiwei.bench import contenders
from zhiwei.bench.cards import pan_of
from zhiwei.bench.ledger import Examination, Ledger, examine
from zhiwei.bench.message import offsets_of
from zhiwei.bench.peers.postgres import fill, key_of_card
from zhiwei.bench.peers.postgres_rules import Question
from zhiwei.bench.populate import populate, reading, vault_of
from zhiwei.bench.postgres.cluster import Cluster
from zhiwei.bench.postgres.serving import required_serve_option
from zhiwei.bench.processes import Server, start

DATABASE: Final = "bench"
_PAGE: Final = 2_000


class Subject(Protocol):
    """A server under test, and how its database is looked into from outside."""

    #: Whether a reversal may come before its original.
    takes_early_reversals: bool

    def prepare(self, cluster: Cluster, cards: int) -> None:
        """Make the database and its cards."""

    def start(self) -> Server:
        """Start the server on whichever database server takes writes."""

    def missing(self, frames: Sequence[bytes]) -> list[int]:
        """List which of these messages (from their MTI on) the current primary does not know."""

    def examine(self, ledger: Ledger) -> Examination:
        """Compare the whole database with the client's record."""

    def verify(self) -> tuple[int, str]:
        """Let the house look at its own data; exit code and last words."""


class Ours:
    """`zhiwei serve --database`."""

    takes_early_reversals = True

    def __init__(self, folder: Path) -> None:
        """Keep the key of the card numbers in `folder`; raises `ServerFailedError` if not had."""
        required_serve_option()
        self._data: Final = folder / "ours"
        self._url = ""

    def prepare(self, cluster: Cluster, cards: int) -> None:
        """Register cards by commands, so that every card can be replayed."""
        cluster.primary.make_database(DATABASE)
        self._url = cluster.url(DATABASE)
        populate(self._data, cards, by_commands=True, database=self._url)

    def start(self) -> Server:
        """Start the server; it finds the primary by itself."""
        return contenders.ours(
            self._data, more=("--database", self._url), place=self._data.parent
        ).server

    def missing(self, frames: Sequence[bytes]) -> list[int]:
        """Look for each message's retrieval reference in the journal, from its newest entry on."""
        wanted = {rrn_of(frame): index for index, frame in enumerate(frames)}
        position = 0
        with reading(self._data, self._url) as reader:
            while wanted and (page := reader.recent(before=position, limit=_PAGE)):
                position = min(row.position for row in page)
                for row in page:
                    request = row.entry.command.request
                    if request is not None:
                        wanted.pop(request.rrn, None)
        return sorted(wanted.values())

    def examine(self, ledger: Ledger) -> Examination:
        """Compare journal and counters."""
        with reading(self._data, self._url) as reader:
            return examine(ledger, reader, vault_of(self._data))

    def verify(self) -> tuple[int, str]:
        """Run `zhiwei verify` on the database."""
        command = [sys.executable, "-m", "zhiwei", "verify", "--data", str(self._data)]
        done = subprocess.run(  # noqa: S603 - our own program
            [*command, "--database", self._url],
            capture_output=True,
            text=True,
            check=False,
            env={**contenders.python_path(), "PATH": ""},
        )
        return done.returncode, (done.stdout + done.stderr)[-2_000:]


class ByHand:
    """The peer by hand, one transaction each, which takes a commit that came back for kept.

    It stands in our place to show that this test finds what it looks for.
    """

    takes_early_reversals = False

    def __init__(self) -> None:
        """Nothing is needed."""
        self._cluster: Cluster | None = None

    def prepare(self, cluster: Cluster, cards: int) -> None:
        """Fill the peer's tables."""
        self._cluster = cluster
        cluster.primary.make_database(DATABASE)
        fill(cluster.url(DATABASE), cards)

    def start(self) -> Server:
        """Start the peer."""
        assert self._cluster is not None
        command = [sys.executable, "-m", "zhiwei.bench.peers.postgres", "--filled"]
        return start(
            "postgres",
            [*command, "--dsn", self._cluster.url(DATABASE)],
            r"postgres [\d.]+:(\d+)",
            environment=contenders.python_path(),
            place=self._cluster.folder,
        )

    def missing(self, frames: Sequence[bytes]) -> list[int]:
        """Look for each message's identity among the decisions."""
        identities = [Question.read(frame, offsets_of(frame, 90)).identity for frame in frames]
        rows = self._ask("select identity from decision where identity = any(%s)", (identities,))
        known = {str(identity) for (identity,) in rows}
        return [index for index, identity in enumerate(identities) if identity not in known]

    def examine(self, ledger: Ledger) -> Examination:
        """Compare the counters of every card."""
        found = Examination(entries=int(str(self._ask("select count(*) from decision")[0][0])))
        rows = self._ask("select card_key, day_used, day_count from card")
        counted = {bytes(key): (used, times) for key, used, times in rows}  # type: ignore[call-overload]  # a bytea
        for card in sorted(ledger.cards):
            told = (ledger.used_minor[card], ledger.used_times[card])
            if counted[key_of_card(card)] != told:
                stored = counted[key_of_card(card)]
                found.miscounted.append(f"{pan_of(card)[-4:]}: {stored} in the table, {told} told")
        return found

    def verify(self) -> tuple[int, str]:
        """Say nothing: it has no such thing."""
        return 0, "the peer cannot verify itself"

    def _ask(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        assert self._cluster is not None
        return self._cluster.primary.ask(query, values, database=DATABASE)


def rrn_of(frame: bytes) -> str:
    """Return the retrieval reference number of a message."""
    at = offsets_of(frame, 37)[37]
    return frame[at : at + 12].decode()
