"""Verify a database of PostgreSQL: the same questions as of a file, card by card.

Nothing of a card is kept once it is done, so the size of the data does not matter, and a run that
was ended goes on behind the last card that it told of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, final

from zhiwei.core.policy import DEFAULT_POLICY, Policy
from zhiwei.journal.recount import Recount
from zhiwei.journal.replay import Replay, Replayed
from zhiwei.journal.verify import Report, check_records
from zhiwei.ports import CorruptFileError
from zhiwei.stores.coding.audit import decode_audit
from zhiwei.stores.coding.entry import Filed, decode_entry
from zhiwei.stores.coding.event import decode_event
from zhiwei.stores.coding.recent import decode_recent, records_of, without_expired
from zhiwei.stores.coding.settings import decode_settings
from zhiwei.stores.coding.usage import decode_usage
from zhiwei.stores.postgres.snapshot import PostgresSnapshot

OnProgress = Callable[[int, int], None]
#: Is told the key of each card that is done.
OnCard = Callable[[bytes], None]
_REPORT_EVERY: Final = 500
#: What there is of a card, by the statement that reads it.
_TABLES: Final = ("entries", "events", "audits", "files", "heads", "old_keys")
_END: Final = b"\xff" * 17


def verify_database(
    url: str,
    on_progress: OnProgress | None = None,
    *,
    after: bytes = b"",
    on_card: OnCard | None = None,
    report: Report | None = None,
) -> Report:
    """Verify the cards of a database behind a key, also beside running servers.

    `report` is filled as it goes, for who is interrupted; what it says of the card at hand may be
    said again by the run that goes on.

    Raises:
        StoreUnavailableError, NewerSchemaError, ForeignDatabaseError: it cannot be read at all.
    """
    with PostgresSnapshot(url) as snapshot:
        return _Verification(snapshot, on_progress, on_card, report or Report()).run(after)


@final
class _ByCard:
    """Rows of several tables, all in order of their cards."""

    def __init__(self, snapshot: PostgresSnapshot, after: bytes) -> None:
        self._rows: Final = {name: snapshot.by_card(f"{name}_by_card", after) for name in _TABLES}
        self._next: Final = {name: next(rows, None) for name, rows in self._rows.items()}

    def cards(self) -> Iterator[tuple[bytes, dict[str, list[tuple[Any, ...]]]]]:
        """Each card that any table knows, with its rows."""
        while True:
            card_key = min((row[0] for row in self._next.values() if row is not None), default=_END)
            if card_key == _END:
                return
            yield card_key, {name: self._of(name, card_key) for name in _TABLES}

    def _of(self, name: str, card_key: bytes) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        row = self._next[name]
        while row is not None and row[0] == card_key:
            found.append(row)
            row = next(self._rows[name], None)
        self._next[name] = row
        return found


@final
class _Verification:
    """One run over a snapshot."""

    def __init__(
        self,
        snapshot: PostgresSnapshot,
        on_progress: OnProgress | None,
        on_card: OnCard | None,
        report: Report,
    ) -> None:
        self._snapshot: Final = snapshot
        self._on_progress: Final = on_progress
        self._on_card: Final = on_card
        self._report: Final = report
        self._policies: Final[dict[str, Policy]] = {DEFAULT_POLICY.version: DEFAULT_POLICY}
        self._replay: Final = Replay(self._policies.get, self._entry_at)
        self._bodies: list[tuple[int, bytes]] = []

    def run(self, after: bytes) -> Report:
        """Records, then every card."""
        check_records(self._snapshot.records(), self._report, self._policies)
        for card_key, rows in _ByCard(self._snapshot, after).cards():
            self._check_card(card_key, rows)
            if self._on_card is not None:
                self._on_card(card_key)
        if not after:
            self._check_loose_audits()
        if self._on_progress is not None:
            self._on_progress(1, 1)
        return self._report

    def _check_loose_audits(self) -> None:
        """Lines of the audit trail that belong to no card."""
        for position, card_key, body in self._snapshot.audits():
            if not card_key:
                self._report.audits += 1
                try:
                    decode_audit(body, card_key)
                except CorruptFileError as error:
                    self._report.add(f"audit {position}", str(error))

    def _check_card(self, card_key: bytes, rows: dict[str, list[tuple[Any, ...]]]) -> None:
        """Everything of one card."""
        name = f"card {card_key.hex()}"
        recount = Recount(self._policies.get)
        self._bodies = [(row[1], row[4]) for row in rows["entries"]]
        self._begin_later(card_key, rows)
        events, audits = self._follow(card_key, rows["entries"], recount)
        card = self._replay.cards.pop(card_key, Replayed())
        is_lost = card_key in self._replay.lost
        self._check_events(name, rows["events"], None if is_lost else events, card_key)
        self._check_audits(name, rows["audits"], None if is_lost else audits, card_key)
        self._replay.cards[card_key] = card
        self._check_file(name, card_key, rows, recount)
        if not is_lost:
            heads = {row[1]: row[2] for row in rows["heads"]}
            if heads != card.heads:
                self._report.add(
                    f"group heads of {name}", "they lead to other entries than the latest"
                )
        del self._replay.cards[card_key]
        self._replay.lost.discard(card_key)

    def _follow(
        self, card_key: bytes, entries: list[tuple[Any, ...]], recount: Recount
    ) -> tuple[list[tuple[int, bytes]], list[bytes]]:
        """Replay a card's journal; the events (version, body) and audit lines it must have."""
        events: list[tuple[int, bytes]] = []
        audits: list[bytes] = []
        for _, version, filed_ms, group_version, body in entries:
            self._report.entries += 1
            place = f"journal of card {card_key.hex()} version {version}"
            step = self._replay.entry(version, card_key, version, body, len(events) + 1)
            for what in step.problems:
                self._report.add(place, what)
            if step.entry is not None:
                recount.observe(card_key, step.entry)
                group = step.entry.group
                told = (step.entry.filed_ms, 0 if group is None else group.version)
                if told != (filed_ms, group_version):
                    self._report.add(place, "its columns do not fit its content")
            events += [(version, one) for one in step.events]
            audits += step.audits
            if self._on_progress is not None and self._report.entries % _REPORT_EVERY == 0:
                self._on_progress(self._report.entries, self._snapshot.entries_count + 1)
        return events, audits

    def _begin_later(self, card_key: bytes, rows: dict[str, list[tuple[Any, ...]]]) -> None:
        """Where first weeks were dropped, the chain is followed from what is left.

        Only a card that was registered before the first week that is there can be such a one; of
        any other, what is missing was lost.
        """
        entries, files = rows["entries"], rows["files"]
        if not files or (entries and entries[0][1] == 1):
            return
        _, _, _, settings, usage, _ = files[0]
        try:
            state, _ = decode_usage(usage, card_key, decode_settings(settings, card_key))
            if state.settings.profile.created_ms >= self._snapshot.first_week_ms:
                return
            first, chain = state.version + 1, state.chain
            if entries:
                first = entries[0][1]
                chain = decode_entry(entries[0][4], card_key, first).chain_before
            elif state.last_ms >= self._snapshot.first_week_ms:
                return
        except CorruptFileError:
            return  # it is told when its turn comes
        self._report.cut += 1
        card = self._replay.cards.setdefault(card_key, Replayed())
        card.positions = [0] * (first - 1)
        card.last_entry = first - 1
        card.chain = chain
        self._replay.lost.add(card_key)

    def _entry_at(self, position: int, card_key: bytes) -> Filed:
        """An earlier entry of the card at hand; it stands at its version."""
        version, body = self._bodies[position - self._bodies[0][0]]
        return decode_entry(body, card_key, version)

    def _check_events(
        self,
        name: str,
        rows: list[tuple[Any, ...]],
        wanted: list[tuple[int, bytes]] | None,
        card_key: bytes,
    ) -> None:
        """A card's events against those that its entries must have; None = that is not known."""
        self._report.events += len(rows)
        for _, number, _, version, body in rows:
            try:
                decode_event(body, card_key, version)
            except CorruptFileError as error:
                self._report.add(f"event {number} of {name}", str(error))
        if wanted is None:
            return
        found = {row[1]: (row[3], row[4]) for row in rows}
        for number, event in enumerate(wanted, 1):
            if found.pop(number, None) != event:
                self._report.add(f"event {number} of {name}", "it is not what its entry caused")
        for number in found:
            self._report.add(f"event {number} of {name}", "no entry caused it")

    def _check_audits(
        self,
        name: str,
        rows: list[tuple[Any, ...]],
        wanted: list[bytes] | None,
        card_key: bytes,
    ) -> None:
        self._report.audits += len(rows)
        for _, position, body in rows:
            try:
                decode_audit(body, card_key)
            except CorruptFileError as error:
                self._report.add(f"audit {position}", str(error))
        if wanted is not None and [row[2] for row in rows] != wanted:
            self._report.add(f"the audit trail of {name}", "it is not what its entries caused")

    def _check_file(
        self,
        name: str,
        card_key: bytes,
        rows: dict[str, list[tuple[Any, ...]]],
        recount: Recount,
    ) -> None:
        """A card's file against the replay and the recount."""
        place = f"file of {name}"
        if not rows["files"]:
            self._report.add(place, "there is none")
            return
        self._report.cards += 1
        _, cardholder, version, settings, usage, recent = rows["files"][0]
        card = self._replay.cards[card_key]
        try:
            state, _ = decode_usage(usage, card_key, decode_settings(settings, card_key))
            records, _ = decode_recent(recent, card_key)
        except CorruptFileError as error:
            self._report.add(place, str(error))
            return
        if (state.version, state.settings.profile.cardholder) != (version, cardholder):
            self._report.add(place, "its columns do not fit its content")
        if state.version != len(card.positions):
            self._report.add(place, f"the journal ends at version {len(card.positions)}")
        elif state.chain != card.chain:
            self._report.add(place, "its hash is not that of the last entry")
        parts = self._replay.file_parts(card_key)
        if parts is None:
            return
        if parts[0] != settings:
            self._report.add(place, "its settings are not those that the journal leads to")
        if parts[1] != usage:
            self._report.add(place, "its counters are not those that the journal leads to")
        for what in recount.differences(card_key, state):
            self._report.add(place, what)
        self._check_keys(f"keys of {name}", card, records, rows["old_keys"], state.last_ms)

    def _check_keys(
        self,
        place: str,
        card: Replayed,
        records: bytes,
        old_keys: list[tuple[Any, ...]],
        last_ms: int,
    ) -> None:
        """The digests: each is an entry's, and none of the last seven days is missing."""
        kept = set(records_of(records))
        for _, digest, version, second in old_keys:
            kept.add(digest + version.to_bytes(4, "big") + second.to_bytes(4, "big"))
        filed = set(records_of(bytes(card.records)))
        due = set(records_of(without_expired(bytes(card.records), last_ms)))
        if kept - filed:
            self._report.add(place, f"{len(kept - filed)} belong to no entry")
        if due - kept:
            self._report.add(place, f"{len(due - kept)} of the last seven days are missing")
