"""PostgresMessageStore: messages, receipts, inbound messages and budgets; see `MessageStore`.

Every method is one transaction, or a part of the one that `together` holds open.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, final

from zhiwei.messaging.model import Change, Inbound, Message, Planned, Receipt, Status, Tracked
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.coding.message import row_of, tracked_of
from zhiwei.stores.postgres.address import Address
from zhiwei.stores.postgres.messages.clock import DatabaseClock
from zhiwei.stores.postgres.messages.connection import MessageConnection, columns
from zhiwei.stores.postgres.messages.reader import PostgresMessageReader
from zhiwei.stores.postgres.messages.sheet import Sheet
from zhiwei.stores.postgres.messages.tellers import Teller

#: Budgets are counted by the second; it is told as if it all had happened at its begin.
_SECOND_MS: Final = 1_000
_TELLER_BITS: Final = 62
_BIGGEST: Final = 1 << 63


@final
class PostgresMessageStore:
    """One teller's way to the messages of a database."""

    def __init__(self, address: Address, teller: int = 0) -> None:
        """Connect.

        Args:
            address: of the database, whose schema is there.
            teller: number of this teller; a predecessor under the same number is certainly dead.
                0 = one that nobody had.

        Raises:
            StoreUnavailableError: it cannot be reached.
        """
        self._address: Final = address
        self._number: Final = teller or secrets.randbits(_TELLER_BITS) + 1
        self._connection: Final = MessageConnection(address)
        self._rows: Final = self._connection.rows
        self._teller: Final = Teller(self._connection, self._number)
        self._sheet: Sheet | None = None
        #: The same for every teller.
        self.clock: Final = DatabaseClock(self._rows("now")[0][0])
        self._forgotten = 0

    def reader(self) -> PostgresMessageReader:
        """A reader of what is committed, for any thread."""
        return PostgresMessageReader(self._address)

    def close(self) -> None:
        """Give back what this teller has, where the database answers, and let go of it."""
        try:
            with self.together():
                self._teller.retire()
        except StoreUnavailableError:
            # Others take it over in a while.
            pass
        finally:
            self._connection.close()

    @contextmanager
    def together(self, *, is_flushed: bool = False) -> Iterator[None]:
        """Make one transaction of everything that is called within; all of it or nothing.

        `is_flushed`: it is as durable as a decision when it returns.
        """
        if self._sheet is not None:
            yield
            return
        try:
            with self._connection.told():
                self._connection.begin(is_flushed=is_flushed)
                self._sheet = Sheet(self._connection, self._number)
                yield
                self._sheet.finish()
                self._connection.commit()
        except BaseException:
            self._connection.undo()
            raise
        finally:
            self._sheet = None

    @contextmanager
    def _writing(self, *, is_flushed: bool = False) -> Iterator[Sheet]:
        """The transaction's sheet."""
        with self.together(is_flushed=is_flushed):
            assert self._sheet is not None, "there is a transaction"
            yield self._sheet

    def renew(self) -> None:
        """Say that this teller lives, and free what those had who do not."""
        with self.together():
            now_ms = self._teller.renew()
        self.clock.set(now_ms)

    def cursor(self) -> int:
        """Position of the last event that was planned."""
        position: int = self._rows("cursor")[0][0]
        return position

    def take_cursor(self) -> int | None:
        """The cursor, for this teller alone until the transaction ends; None = another plans."""
        assert self._sheet is not None, "there is a transaction"
        rows = self._rows("take_cursor")
        return rows[0][0] if rows else None

    def plan(self, planned: Sequence[Planned], *, cursor: int, now_ms: int) -> int:
        """Take in messages and move the cursor (-1 = leave it); how many were new."""
        # What cannot be stored is found before anything of it is sent.
        rows = [_sendable(row_of(one, now_ms)) for one in planned]
        with self._writing(is_flushed=cursor < 0) as sheet:
            new = self._insert(sheet, planned, rows) if planned else 0
            if cursor >= 0:
                self._connection.run("move_cursor", cursor)
        return new

    def due(self, channel: str, now_ms: int, limit: int, busy: frozenset[str]) -> list[Tracked]:
        """Heads of lanes whose time has come and that no other teller has; they are ours now."""
        claimed = self._rows("claim_lanes", channel, now_ms, limit, self._number, sorted(busy))
        if not claimed:
            return []
        urgent = dict(claimed)
        # They are read afterwards: another may have changed one just before it was claimed.
        found = [tracked_of(row) for row in self._rows("messages_at", sorted(urgent))]
        waiting = [one for one in found if one.status is Status.QUEUED]
        return sorted(waiting, key=lambda one: (not urgent[one.position], one.position))

    def note(self, changes: Sequence[Change]) -> None:
        """Write down what became of messages, and give back their lanes."""
        with self._writing() as sheet:
            sheet.note(
                replace(one, remote_id=_text(one.remote_id), detail=_text(one.detail))
                for one in changes
            )

    def note_receipt(self, channel: str, receipt: Receipt, now_ms: int) -> Tracked | None:
        """The message that a receipt speaks of, after the change; None where none is known."""
        key = (channel, _text(receipt.remote_id))
        with self._writing() as sheet:
            sheet.write_notes()
            self._connection.run("turn_of_receipts")
            owner = self._rows("position_of_remote", *key)
            held = self._rows("hold_remote_message", owner[0][0]) if owner else []
            status, detail = int(receipt.status), _text(receipt.detail)
            if not held:
                self._connection.run("keep_receipt", *key, status, detail, now_ms)
                return None
            found = tracked_of(held[0])
            if sheet.applied(found, receipt):
                self._connection.run("receipt_message", found.position, status, now_ms, detail)
            return tracked_of(self._rows("message_at", found.position)[0])

    def waiting(self, channel: str) -> tuple[int, int]:
        """How many messages of a channel wait, and when the oldest was planned (0 = none)."""
        amount, oldest = self._rows("queued", channel), self._rows("oldest_queued", channel)
        return (amount[0][0] if amount else 0), (oldest[0][0] if oldest else 0)

    def forget_receipts(self, before_ms: int) -> int:
        """Drop receipts that found no message and are older; how many."""
        return self._number_of("forget_receipts", before_ms)

    def replay(self, ids: Sequence[str], now_ms: int) -> int:
        """Queue messages that are over again; how many were."""
        with self._writing(is_flushed=True) as sheet:
            sheet.write_notes()
            rows = self._rows("hold_messages", [_text(one) for one in ids])
            over = [row for row in rows if row[4] != Status.QUEUED]
            self._connection.run("requeue_messages", [row[1] for row in over], now_ms)
            for _, position, channel, lane, status, _, _ in over:
                sheet.count(channel, status, Status.QUEUED)
                sheet.requeues((channel, lane), position)
        return len(over)

    def overdue(self, channel: str, planned_before_ms: int, limit: int) -> list[Tracked]:
        """Messages of a channel that still wait, planned before an instant; no other teller's."""
        bounds = (channel, planned_before_ms, limit, self._number)
        return [tracked_of(row) for row in self._rows("overdue", *bounds)]

    def hurry(self, latest_ms: int) -> None:
        """Let no message wait for a later instant than this one (the clock was set back)."""
        with self.together(), self._connection.pipeline():
            self._connection.run("hurry_messages", latest_ms)
            self._connection.run("hurry_lanes", latest_ms)

    def spent(self, budget: str, since_ms: int) -> int:
        """How many messages all tellers counted under a name since an instant, or a bit earlier."""
        return self._number_of("spent", _text(budget), since_ms - since_ms % _SECOND_MS)

    def spend(self, budgets: Sequence[str], at_ms: int) -> None:
        """Count one message under each of these names."""
        counts = sorted(Counter(_text(one) for one in budgets).items())
        with self.together():
            names, amounts = columns(counts, 2)
            self._connection.run("spend", names, at_ms - at_ms % _SECOND_MS, amounts)

    def take_in(self, inbound: Inbound) -> bool:
        """Keep an inbound message until it is answered; False where its id was seen before."""
        sender = _text(inbound.sender)
        values = (_text(inbound.id), sender, _text(inbound.text), inbound.received_ms)
        with self.together(is_flushed=True):
            rows = self._rows("insert_inbound", *values)
            if rows:
                self._connection.run("join_sender", sender, rows[0][0])
            return bool(rows)

    def unanswered(self, limit: int) -> list[Inbound]:
        """Inbound messages that were not answered yet, of senders whom no other teller has."""
        with self._connection.told(), self._connection.pipeline():
            self._connection.run("claim_senders", self._number, limit)
            found = self._connection.run("unanswered", self._number, limit)
        return [Inbound(*row) for row in found.fetchall()]

    def waiting_inbound(self) -> int:
        """How many inbound messages wait to be answered, by whomever."""
        return self._number_of("waiting_inbound")

    def answered(self, inbound_id: str, reply: Planned | None, now_ms: int) -> None:
        """An inbound message was carried out; with its reply, in one transaction."""
        rows = [] if reply is None else [_sendable(row_of(reply, now_ms))]
        with self._writing() as sheet:
            for (sender,) in self._rows("answer_inbound", inbound_id, now_ms):
                sheet.has_answered(sender)
            if reply is not None:
                self._insert(sheet, [reply], rows)

    def undeliverable(self, limit: int) -> list[Message]:
        """Challenges that no message can bring any more and nobody was told of: their last one."""
        rows = self._rows("claim_undeliverable", self._number, limit)
        return [tracked_of(row).message for row in rows]

    def told_undeliverable(self, challenge: str) -> None:
        """Who must know of a challenge that it is undeliverable has been told."""
        with self.together():
            self._connection.run("told_undeliverable", challenge)

    def forget_before(self, instant_ms: int, limit: int) -> int:
        """Forget some of what is over and older; how many rows went."""
        with self._writing() as sheet:
            rows = self._rows("oldest_messages", self._forgotten, limit)
            old = [
                position
                for position, status, changed_ms in rows
                if status != Status.QUEUED and changed_ms < instant_ms
            ]
            gone = self._rows("delete_messages", old, instant_ms) if old else []
            for _, channel, status, _ in gone:
                sheet.count(channel, status, None)
            if gone:
                with self._connection.pipeline():
                    self._connection.run("delete_remotes", [row[0] for row in gone])
                    self._connection.run("delete_undeliverable", [row[3] for row in gone])
            # A few young ones in front (replayed) do not hide the old ones behind them.
            self._forgotten = rows[-1][0] if gone else 0
            return len(gone) + self._number_of("delete_inbound", instant_ms, limit)

    def forget_spending(self, before_ms: int, limit: int) -> int:
        """Forget some of what was counted under budgets before an instant; how many rows went."""
        return self._number_of("delete_spending", before_ms, limit)

    def _insert(
        self, sheet: Sheet, planned: Sequence[Planned], rows: list[tuple[object, ...]]
    ) -> int:
        """Write new messages; how many were."""
        positions = dict(self._rows("insert_messages", *columns(rows, 18)))
        count = len(positions)
        for one in planned:
            message, position = one.message, positions.pop(one.message.id, None)
            if position is None:
                continue
            sheet.count(message.channel, None, one.status)
            if one.status is Status.QUEUED:
                lane = (message.channel, message.lane)
                sheet.joins(lane, position, is_urgent=message.is_urgent)
            else:
                sheet.doubts(message.challenge, position)
        return count

    def _number_of(self, name: str, *values: object) -> int:
        """The one number that a statement gives."""
        number: int = self._rows(name, *values)[0][0]
        return number


def _text(value: str) -> str:
    """A text as PostgreSQL can keep it: no zero bytes."""
    return value.replace("\0", "\ufffd") if "\0" in value else value


def _sendable(row: tuple[object, ...]) -> tuple[object, ...]:
    """Parameters that PostgreSQL takes, so that one message does not end a whole transaction.

    Raises:
        ValueError: half a character.
        OverflowError: a number out of range.
    """
    for value in row:
        if isinstance(value, str):
            value.encode()
        elif isinstance(value, int) and not -_BIGGEST <= value < _BIGGEST:
            raise OverflowError
    return tuple(_text(value) if isinstance(value, str) else value for value in row)
