"""Sheet: what a transaction gathers, and writes in one order when it ends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, final

from zhiwei.messaging.model import Change, Receipt, Status, Tracked
from zhiwei.stores.postgres.messages.connection import MessageConnection, columns

_GIVEN_UP: Final = frozenset((Status.FAILED, Status.DEAD, Status.MUTED, Status.HELD_BACK))

#: Channel and name of a lane.
Lane = tuple[str, str]


@final
class Sheet:
    """Of one transaction: lanes, counts and challenges to look at, and notes to write."""

    def __init__(self, connection: MessageConnection, teller: int) -> None:
        self._connection: Final = connection
        self._teller: Final = teller
        self._changes: Final[list[Change]] = []
        #: First position of what is new in a lane, and whether any of it is urgent.
        self._joined: Final[dict[Lane, tuple[int, bool]]] = {}
        #: Lanes with another head, and whether what this teller had on its way there is over.
        self._moved: Final[dict[Lane, bool]] = {}
        self._tally: Final[dict[tuple[str, int], int]] = {}
        self._doubtful: Final[dict[str, int]] = {}
        self._senders: Final[set[str]] = set()

    def joins(self, lane: Lane, position: int, *, is_urgent: bool) -> None:
        """A message waits in a lane from now on."""
        first, was_urgent = self._joined.get(lane, (position, False))
        self._joined[lane] = (min(first, position), was_urgent or is_urgent)

    def requeues(self, lane: Lane, position: int) -> None:
        """A message that was over waits again, where it was in its lane."""
        self.joins(lane, position, is_urgent=False)
        self._moved.setdefault(lane, False)

    def count(self, channel: str, before: int | None, after: int | None) -> None:
        """A message has another status; None = it is new, or gone."""
        for status, by in ((before, -1), (after, 1)):
            if status is not None:
                key = (channel, int(status))
                self._tally[key] = self._tally.get(key, 0) + by

    def doubts(self, challenge: str, position: int) -> None:
        """One of a challenge's messages cannot bring it."""
        if challenge:
            self._doubtful[challenge] = position

    def has_answered(self, sender: str) -> None:
        """Something that a sender said is over."""
        self._senders.add(sender)

    def note(self, changes: Iterable[Change]) -> None:
        """Write these when the transaction ends, or when somebody must see them."""
        self._changes.extend(changes)

    def applied(self, found: Tracked, receipt: Receipt) -> bool:
        """Take in what a receipt says of a message; whether that is anything new."""
        message, status = found.message, found.status
        if receipt.status is Status.DELIVERED:
            is_news = status is not Status.DELIVERED
        else:
            # What an earlier copy came to says nothing of the copy that counts.
            is_news = status is Status.SENT and found.remote_id == receipt.remote_id
        if is_news:
            self._take_in(message.channel, message.lane, status, receipt.status, is_over=False)
            if receipt.status in _GIVEN_UP:
                self.doubts(message.challenge, found.position)
        return is_news

    def write_notes(self) -> None:
        """Write what became of messages."""
        if not self._changes:
            return
        changes, ids = self._changes.copy(), sorted({one.id for one in self._changes})
        self._changes.clear()
        remote_ids = sorted({one.remote_id for one in changes if one.remote_id})
        connection = self._connection
        with connection.pipeline():
            if remote_ids:
                connection.run("turn_of_receipts")
            held = connection.run("hold_messages", ids)
        entries = {row[0]: _Entry(row) for row in held.fetchall()}
        for change in changes:
            entry = entries.get(change.id)
            if entry is not None:
                self._change(entry, change)
        owners = {
            (entry.channel, remote_id): entry
            for entry in entries.values()
            for remote_id in entry.remote_ids
        }
        if owners:
            self._take_early_receipts(owners)
        rows = [entry.row() for entry in entries.values() if entry.last is not None]
        with connection.pipeline():
            connection.run("change_messages", *columns(rows, 7))
            if owners:
                remotes = [(*key, entry.position) for key, entry in owners.items()]
                connection.run("remember_remotes", *columns(remotes, 3))

    def finish(self) -> None:
        """Write everything that is left, in the order that everybody keeps."""
        self.write_notes()
        connection = self._connection
        with connection.pipeline():
            self._write_lanes()
            if self._senders:
                senders = sorted(self._senders)
                connection.run("hold_senders", senders)
                connection.run("delete_senders", senders)
            if self._doubtful:
                connection.run("turn_of_challenges")
                connection.run("give_up_challenges", *columns(sorted(self._doubtful.items()), 2))
            counts = [(*key, by) for key, by in sorted(self._tally.items()) if by]
            if counts:
                connection.run("count", *columns(counts, 3))

    def _write_lanes(self) -> None:
        lanes = sorted({*self._joined, *self._moved})
        if not lanes:
            return
        connection = self._connection
        connection.run("hold_lanes", *columns(lanes, 2))
        joined = sorted(self._joined.items())
        if joined:
            rows = [(*lane, int(urgent), position) for lane, (position, urgent) in joined]
            connection.run("join_lanes", *columns(rows, 4))
        moved = sorted(self._moved.items())
        if moved:
            over = [(*lane, int(is_over)) for lane, is_over in moved]
            connection.run("refresh_lanes", *columns(over, 3), self._teller)
            connection.run("delete_lanes", *columns([lane for lane, _ in moved], 2))

    def _change(self, entry: _Entry, change: Change) -> None:
        """Write a change into what is known of its message.

        A teller who was thought dead may come late: what another has found out since then is not
        taken back, but that the other side has it is true whoever says so.
        """
        before = entry.status
        # A receipt for an earlier copy may say "delivered" while another copy is on its way.
        status = Status.DELIVERED if before is Status.DELIVERED else change.status
        if before is not Status.QUEUED and status not in {Status.SENT, Status.DELIVERED}:
            self._moved[entry.lane] = True
            return
        entry.last, entry.status, entry.detail = change, status, change.detail
        entry.remote_id = change.remote_id or entry.remote_id
        entry.remote_ids |= {change.remote_id} - {""}
        self._take_in(*entry.lane, before, status, is_over=True)
        if status in _GIVEN_UP:
            self.doubts(entry.challenge, entry.position)

    def _take_early_receipts(self, owners: dict[tuple[str, str], _Entry]) -> None:
        """Receipts that came before their messages were noted as sent."""
        keys = columns(list(owners), 2)
        for channel, remote_id, number, detail in self._connection.rows("take_receipts", *keys):
            entry = owners[channel, remote_id]
            status, before = Status(number), entry.status
            is_failed = before is Status.SENT and entry.remote_id == remote_id
            if before is Status.DELIVERED or (status is not Status.DELIVERED and not is_failed):
                continue
            entry.status, entry.detail = status, detail
            self._take_in(*entry.lane, before, status, is_over=False)
            if status in _GIVEN_UP:
                self.doubts(entry.challenge, entry.position)

    def _take_in(
        self, channel: str, lane: str, before: Status, after: Status, *, is_over: bool
    ) -> None:
        """A message has changed: count it, and look at its lane again."""
        self.count(channel, before, after)
        if is_over or before is Status.QUEUED:
            key = (channel, lane)
            self._moved[key] = self._moved.get(key, False) or is_over


@final
class _Entry:
    """What is known of a message while its changes are written."""

    def __init__(self, row: tuple[Any, ...]) -> None:
        self.position: Final[int] = row[1]
        self.channel: Final[str] = row[2]
        self.lane: Final[Lane] = (row[2], row[3])
        self.status = Status(row[4])
        self.challenge: Final[str] = row[5]
        self.remote_id: str = row[6]
        #: Those that the changes at hand bring.
        self.remote_ids: set[str] = set()
        self.detail = ""
        self.last: Change | None = None

    def row(self) -> tuple[Any, ...]:
        """Parameters of `change_messages`."""
        assert self.last is not None, "there is a change"
        change = self.last
        return (
            self.position,
            int(self.status),
            change.tries,
            change.next_ms,
            change.now_ms,
            self.remote_id,
            self.detail,
        )
