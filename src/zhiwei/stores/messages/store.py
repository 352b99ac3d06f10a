"""SqliteMessageStore: messages, receipts, inbound messages and budgets; see `MessageStore`.

Every method is one transaction, or a part of the one that `together` holds open. What waits is
found by lanes: one row for each lane with its head, kept up with every change, so that a backlog of
a day costs no more to look at than one of a second.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, final

from zhiwei.messaging.model import Change, Inbound, Message, Planned, Receipt, Status, Tracked
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.coding.message import row_of, tracked_of
from zhiwei.stores.messages.connection import FILE_NAME, open_writer
from zhiwei.stores.messages.queries import QUERIES
from zhiwei.stores.messages.reader import SqliteMessageReader

#: Budgets are counted by the second; it is told as if it all had happened at its begin.
_SECOND_MS: Final = 1_000
#: Budgets that are remembered; past it all are read again.
_BUDGETS_MAX: Final = 50_000
_GIVEN_UP: Final = frozenset((Status.FAILED, Status.DEAD, Status.MUTED, Status.HELD_BACK))


@final
class SqliteMessageStore:
    """The one writer of `messages.db` in a data directory."""

    def __init__(self, folder: Path) -> None:
        """Open the file, or make it.

        Raises:
            StoreUnavailableError: it cannot be opened or written.
            NewerMessagesError: a newer version wrote it.
            ForeignMessagesError: it is another program's.
        """
        self._path: Final = folder / FILE_NAME
        self._connection: Final = open_writer(self._path)
        self._execute: Final = self._connection.execute
        self._is_together = False
        self._is_flushing = True
        #: What was counted under the budgets that were asked for lately, by second; the one writer
        #: may remember it.
        self._spending: Final[dict[str, dict[int, int]]] = {}
        #: Of the transaction that is open: changes of the tally, and challenges to look at.
        self._tally: Final[dict[tuple[str, int], int]] = {}
        self._doubtful: Final[dict[str, int]] = {}
        self._forgotten = 0

    def reader(self) -> SqliteMessageReader:
        """A reader of what is committed, for any thread."""
        return SqliteMessageReader(self._path)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @contextmanager
    def together(self, *, is_flushed: bool = False) -> Iterator[None]:
        """Make one transaction of everything that is called within; all of it or nothing.

        `is_flushed`: it is on the disk when it returns, and not only in the system's hands.
        """
        if self._is_together:
            yield
            return
        self._tally.clear()
        self._doubtful.clear()
        self._is_together = True
        try:
            self._flush_commits(is_flushed)
            self._execute("begin immediate")
            yield
            self._finish()
            self._execute("commit")
        except sqlite3.Error as error:
            self._undo()
            message = f"messages cannot be written: {error}"
            raise StoreUnavailableError(message) from error
        except BaseException:
            self._undo()
            raise
        finally:
            self._is_together = False

    def renew(self) -> None:
        """Nothing to do: nobody else writes this file."""

    def take_cursor(self) -> int | None:
        """The cursor; this teller is the only one."""
        return self.cursor()

    def cursor(self) -> int:
        """Position of the last event that was planned."""
        with self._looking():
            position: int = self._execute(QUERIES["cursor"]).fetchone()[0]
        return position

    def plan(self, planned: Sequence[Planned], *, cursor: int, now_ms: int) -> int:
        """Take in messages and move the cursor (-1 = leave it); how many were new."""
        with self.together(is_flushed=cursor < 0):
            new = sum(self._insert(one, now_ms) for one in planned)
            if cursor >= 0:
                self._execute(QUERIES["move_cursor"], (cursor,))
        return new

    def due(self, channel: str, now_ms: int, limit: int, busy: frozenset[str]) -> list[Tracked]:
        """Heads of lanes whose time has come, urgent ones first, then by position."""
        found: list[int] = []
        most = limit + len(busy)
        with self._looking():
            for urgent in (1, 0):
                rows = self._execute(QUERIES["ready_heads"], (channel, urgent, most)).fetchall()
                rested = (channel, urgent, now_ms, most)
                rows += self._execute(QUERIES["rested_heads"], rested).fetchall()
                found += sorted(position for lane, position in rows if lane not in busy)
                if len(found) >= limit:
                    break
            return [self._at(position) for position in found[:limit]]

    def note(self, changes: Sequence[Change]) -> None:
        """Write down what became of messages."""
        with self.together():
            has_early = bool(changes) and self._execute(QUERIES["any_receipt"]).fetchone()[0]
            for change in changes:
                self._note(change, has_early=has_early)

    def note_receipt(self, channel: str, receipt: Receipt, now_ms: int) -> Tracked | None:
        """The message that a receipt speaks of, after the change; None where none is known."""
        with self.together():
            key = (channel, receipt.remote_id)
            row = self._execute(QUERIES["position_of_remote"], key).fetchone()
            if row is None:
                early = (*key, int(receipt.status), receipt.detail, now_ms)
                self._execute(QUERIES["keep_receipt"], early)
                return None
            self._apply(row[0], receipt, now_ms)
            return self._at(row[0])

    def waiting(self, channel: str) -> tuple[int, int]:
        """How many messages of a channel wait, and when the oldest was planned (0 = none)."""
        with self._looking():
            amount = self._execute(QUERIES["queued"], (channel,)).fetchone()
            oldest = self._execute(QUERIES["oldest_queued"], (channel,)).fetchone()
        return (amount[0] if amount else 0), (oldest[0] if oldest else 0)

    def forget_receipts(self, before_ms: int) -> int:
        """Drop receipts that found no message and are older; how many."""
        with self.together():
            return self._execute(QUERIES["forget_receipts"], (before_ms,)).rowcount

    def replay(self, ids: Sequence[str], now_ms: int) -> int:
        """Queue messages that are over again; how many were."""
        with self.together(is_flushed=True):
            count = 0
            for message_id in ids:
                row = self._execute(QUERIES["state_by_id"], (message_id,)).fetchone()
                if row is None or row[3] == Status.QUEUED:
                    continue
                position, lane, channel, status = row[:4]
                self._execute(QUERIES["requeue_message"], (now_ms, now_ms, position))
                self._count(channel, status, Status.QUEUED)
                self._refresh(channel, lane)
                count += 1
        return count

    def overdue(self, channel: str, planned_before_ms: int, limit: int) -> list[Tracked]:
        """Messages of a channel that still wait and were planned before an instant."""
        with self._looking():
            bounds = (channel, planned_before_ms, limit)
            return [tracked_of(row) for row in self._execute(QUERIES["overdue"], bounds)]

    def hurry(self, latest_ms: int) -> None:
        """Let no message wait for a later instant than this one (the clock was set back)."""
        with self._looking():
            late = self._execute(QUERIES["late_heads"], (latest_ms,)).fetchall()
        if not late:
            return
        with self.together():
            for channel, lane, position in late:
                self._execute(QUERIES["hurry_lane"], (latest_ms, channel, lane))
                self._execute(QUERIES["hurry_message"], (latest_ms, position))

    def spent(self, budget: str, since_ms: int) -> int:
        """How many messages were counted under a name since an instant, or a second earlier."""
        since = since_ms - since_ms % _SECOND_MS
        counted = self._spending.get(budget)
        if counted is None:
            with self._looking():
                counted = dict(self._execute(QUERIES["spending"], (budget,)).fetchall())
            if len(self._spending) >= _BUDGETS_MAX:
                self._spending.clear()
            self._spending[budget] = counted
        return sum(amount for at, amount in counted.items() if at >= since)

    def spend(self, budgets: Sequence[str], at_ms: int) -> None:
        """Count one message under each of these names."""
        at = at_ms - at_ms % _SECOND_MS
        with self.together():
            for budget in budgets:
                self._execute(QUERIES["spend"], (budget, at))
                counted = self._spending.get(budget)
                if counted is not None:
                    counted[at] = counted.get(at, 0) + 1

    def take_in(self, inbound: Inbound) -> bool:
        """Keep an inbound message until it is answered; False where its id was seen before."""
        values = (inbound.id, inbound.sender, inbound.text, inbound.received_ms)
        with self.together(is_flushed=True):
            return self._execute(QUERIES["insert_inbound"], values).rowcount == 1

    def unanswered(self, limit: int) -> list[Inbound]:
        """Inbound messages that were not answered yet, oldest first."""
        with self._looking():
            return [Inbound(*row) for row in self._execute(QUERIES["unanswered"], (limit,))]

    def waiting_inbound(self) -> int:
        """How many inbound messages were not answered yet."""
        with self._looking():
            count: int = self._execute(QUERIES["waiting_inbound"]).fetchone()[0]
        return count

    def answered(self, inbound_id: str, reply: Planned | None, now_ms: int) -> None:
        """An inbound message was carried out; with its reply, in one transaction."""
        with self.together():
            self._execute(QUERIES["answer_inbound"], (now_ms, inbound_id))
            if reply is not None:
                self._insert(reply, now_ms)

    def undeliverable(self, limit: int) -> list[Message]:
        """Challenges that no message can bring any more and nobody was told of: their last one."""
        with self._looking():
            rows = self._execute(QUERIES["undeliverable"], (limit,)).fetchall()
            return [tracked_of(row).message for row in rows]

    def told_undeliverable(self, challenge: str) -> None:
        """Who must know of a challenge that it is undeliverable has been told."""
        with self.together():
            self._execute(QUERIES["told_undeliverable"], (challenge,))

    def forget_before(self, instant_ms: int, limit: int) -> int:
        """Forget some of what is over and older; how many rows went."""
        with self.together():
            rows = self._execute(QUERIES["oldest_messages"], (self._forgotten, limit)).fetchall()
            gone = 0
            for position, channel, status, challenge, changed_ms in rows:
                if status == Status.QUEUED or changed_ms >= instant_ms:
                    continue
                for name in ("delete_message", "delete_remotes"):
                    self._execute(QUERIES[name], (position,))
                if challenge:
                    self._execute(QUERIES["delete_undeliverable"], (challenge,))
                self._count(channel, status, None)
                gone += 1
            # A few young ones in front (replayed) do not hide the old ones behind them.
            self._forgotten = rows[-1][0] if gone else 0
            gone += self._execute(QUERIES["delete_inbound"], (instant_ms, limit)).rowcount
            return gone

    def forget_spending(self, before_ms: int, limit: int) -> int:
        """Forget some of what was counted under budgets before an instant; how many rows went."""
        with self.together():
            count = self._execute(QUERIES["delete_spending"], (before_ms, limit)).rowcount
            if count:
                self._spending.clear()
            return count

    def _insert(self, planned: Planned, now_ms: int) -> bool:
        done = self._execute(QUERIES["insert_message"], row_of(planned, now_ms))
        if done.rowcount != 1:
            return False
        message, position = planned.message, done.lastrowid or 0
        self._count(message.channel, None, planned.status)
        if planned.status is Status.QUEUED:
            lane = (message.channel, message.lane, int(message.is_urgent), position)
            self._execute(QUERIES["join_lane"], lane)
        elif message.challenge:
            self._doubtful[message.challenge] = position
        return True

    def _note(self, change: Change, *, has_early: bool) -> None:
        row = self._execute(QUERIES["state_by_id"], (change.id,)).fetchone()
        if row is None:
            return
        position, lane, channel, before, challenge, _ = row
        # A receipt for an earlier copy may say "delivered" while another copy is on its way.
        status = Status.DELIVERED if before == Status.DELIVERED else change.status
        self._execute(
            QUERIES["change_message"],
            (
                int(status),
                change.tries,
                change.next_ms,
                change.now_ms,
                change.remote_id,
                change.remote_id,
                change.detail,
                position,
            ),
        )
        self._count(channel, before, status)
        if Status.QUEUED in {before, status}:
            self._refresh(channel, lane)
        if challenge and status in _GIVEN_UP:
            self._doubtful[challenge] = position
        if change.remote_id:
            key = (channel, change.remote_id)
            self._execute(QUERIES["remember_remote"], (*key, position))
            if has_early:
                early = self._execute(QUERIES["take_receipt"], key).fetchall()
                for number, detail in early:
                    receipt = Receipt(change.remote_id, Status(number), detail)
                    self._apply(position, receipt, change.now_ms)

    def _apply(self, position: int, receipt: Receipt, now_ms: int) -> None:
        """Write a receipt into its message, where it says something new."""
        found = self._at(position)
        message, status = found.message, found.status
        if receipt.status is Status.DELIVERED:
            is_news = status is not Status.DELIVERED
        else:
            # What an earlier copy came to says nothing of the copy that counts.
            is_news = status is Status.SENT and found.remote_id == receipt.remote_id
        if not is_news:
            return
        values = (int(receipt.status), now_ms, receipt.detail, position)
        self._execute(QUERIES["receipt_message"], values)
        self._count(message.channel, status, receipt.status)
        if status is Status.QUEUED:
            self._refresh(message.channel, message.lane)
        if message.challenge and receipt.status in _GIVEN_UP:
            self._doubtful[message.challenge] = position

    def _refresh(self, channel: str, lane: str) -> None:
        """Bring a lane's row up to date with the messages that wait in it."""
        heads = [
            self._execute(QUERIES["head_of_lane"], (channel, lane, urgent)).fetchone()
            for urgent in (1, 0)
        ]
        waiting = [head for head in heads if head is not None]
        if not waiting:
            self._execute(QUERIES["delete_lane"], (channel, lane))
            return
        position, next_ms = min(waiting)
        is_urgent = int(heads[0] is not None)
        self._execute(QUERIES["set_lane"], (channel, lane, is_urgent, next_ms, position))

    def _count(self, channel: str, before: int | None, after: int | None) -> None:
        for status, by in ((before, -1), (after, 1)):
            if status is not None:
                key = (channel, int(status))
                self._tally[key] = self._tally.get(key, 0) + by

    def _finish(self) -> None:
        """Write what is summed up over a transaction."""
        for (channel, status), by in self._tally.items():
            if by:
                self._execute(QUERIES["count"], (channel, status, by))
        for challenge, position in self._doubtful.items():
            if not self._execute(QUERIES["hopes"], (challenge,)).fetchone()[0]:
                self._execute(QUERIES["give_up_challenge"], (challenge, position))

    def _flush_commits(self, is_flushed: bool) -> None:
        """Choose whether commits wait for the disk; it holds from the next transaction on."""
        if is_flushed is not self._is_flushing:
            self._execute(f"pragma synchronous = {'full' if is_flushed else 'normal'}")
            self._is_flushing = is_flushed

    def _undo(self) -> None:
        self._spending.clear()
        if self._connection.in_transaction:
            self._execute("rollback")

    def _at(self, position: int) -> Tracked:
        return tracked_of(self._execute(QUERIES["message_at"], (position,)).fetchone())

    @contextmanager
    def _looking(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            message = f"messages cannot be read: {error}"
            raise StoreUnavailableError(message) from error
