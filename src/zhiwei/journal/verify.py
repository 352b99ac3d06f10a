"""Verify: whether everything that is stored is whole, right, and the sum of its journal.

Every row is checked against its checksum or hash; every card is replayed through the guardian from
its first entry; every counter is recounted by other code; every file must be the one that the
replay arrives at. What is wrong is told with its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

from zhiwei.core.policy import DEFAULT_POLICY, Policy
from zhiwei.journal.recount import Recount
from zhiwei.journal.replay import Replay
from zhiwei.policy_file import PolicyError, policy_of_stored
from zhiwei.ports import CorruptFileError, PolicyText
from zhiwei.stores.coding.audit import decode_audit
from zhiwei.stores.coding.event import decode_event
from zhiwei.stores.coding.recent import decode_recent, records_of, without_expired
from zhiwei.stores.coding.record import KINDS, record_of, subject_of
from zhiwei.stores.coding.settings import decode_settings
from zhiwei.stores.coding.usage import decode_usage
from zhiwei.stores.sqlite.cards import Slot
from zhiwei.stores.sqlite.snapshot import Snapshot, row_problem

#: More than this many problems are counted, but not kept.
PROBLEMS_MAX: Final = 1000
#: Is told how many of how many steps are done.
OnProgress = Callable[[int, int], None]
_REPORT_EVERY: Final = 500


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where."""

    #: `journal 17 (card … version 3)`, `file of card …`, `event 5`.
    place: str
    what: str


@dataclass
class Report:
    """What `verify` found."""

    cards: int = 0
    entries: int = 0
    events: int = 0
    audits: int = 0
    records: int = 0
    #: Cards whose first weeks were dropped; they are followed from what is left.
    cut: int = 0
    #: Problems in all; at most PROBLEMS_MAX of them are kept.
    count: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Nothing is wrong."""
        return self.count == 0

    def add(self, place: str, what: str) -> None:
        """Note a problem."""
        self.count += 1
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(place, what))


def verify(path: Path, on_progress: OnProgress | None = None) -> Report:
    """Verify the data of a file, also beside a running server.

    Raises:
        StoreUnavailableError, NewerDataError, ForeignFileError: the file cannot be read at all.
    """
    with Snapshot(path) as snapshot:
        return _Verification(snapshot, on_progress).run()


def check_records(
    rows: Iterable[tuple[str, str, str, int, bytes]], report: Report, policies: dict[str, Policy]
) -> None:
    """Check every record, and take in the policies that are kept among them.

    A row is kind, id, subject, creation (UTC ms) and body.
    """
    for kind_name, record_id, subject, created_ms, body in rows:
        report.records += 1
        place = f"record {kind_name}/{record_id}"
        kind = KINDS.get(kind_name)
        if kind is None:
            report.add(place, "its kind is not known")
            continue
        try:
            record = record_of(kind, record_id, body)
        except CorruptFileError as error:
            report.add(place, str(error))
            continue
        if (record.id, subject_of(record), record.created_ms) != (record_id, subject, created_ms):
            report.add(place, "its columns do not fit its content")
        if isinstance(record, PolicyText):
            try:
                policies[record.id] = policy_of_stored(record.text)
            except PolicyError as error:
                report.add(place, str(error))


@final
class _Verification:
    """One run over a snapshot."""

    def __init__(self, snapshot: Snapshot, on_progress: OnProgress | None) -> None:
        self._snapshot: Final = snapshot
        self._on_progress: Final = on_progress
        self._report: Final = Report()
        self._policies: Final[dict[str, Policy]] = {DEFAULT_POLICY.version: DEFAULT_POLICY}
        self._replay: Final = Replay(self._policies.get, snapshot.rows.entry_at)
        self._recount: Final = Recount(self._policies.get)
        self._files: dict[bytes, Slot] = {}
        self._total: Final = 2 * snapshot.last_entry + snapshot.last_event + snapshot.last_audit

    def run(self) -> Report:
        """Everything, in an order in which later checks may rely on earlier ones."""
        for what in self._snapshot.structure_problems():
            self._report.add("the file's structure", what)
        check_records(self._snapshot.records(), self._report, self._policies)
        self._check_journal()
        self._check_audits()
        self._check_files()
        self._check_tables()
        if self._on_progress is not None:
            self._on_progress(self._total, self._total)
        return self._report

    def _check_journal(self) -> None:
        """Replay every entry, with its events and audit lines in step."""
        events = iter(self._snapshot.events())
        audits = iter(self._snapshot.audits())
        next_event = 1
        expected = 0
        for position, card_key, version, body in self._snapshot.entries():
            expected += 1
            self._report.entries += 1
            place = f"journal {position} (card {card_key.hex()} version {version})"
            if position != expected:
                self._report.add(place, f"position {expected} is missing before it")
                expected = position
            step = self._replay.entry(position, card_key, version, body, next_event)
            for what in step.problems:
                self._report.add(place, what)
            if step.entry is not None:
                self._recount.observe(card_key, step.entry)
            if step.events:
                next_event = self._check_events(events, step.events, card_key, version, next_event)
            for wanted in step.audits:
                self._check_audit(audits, card_key, wanted, place)
            self._tell(self._report.entries)
        for position, card_key, version, body in events:
            self._check_event(position, card_key, version, body, None)
        for _, card_key, _ in audits:
            if card_key and card_key not in self._replay.lost:
                self._report.add("the audit trail", f"no entry of {card_key.hex()} caused a line")

    def _check_audit(
        self,
        audits: Iterator[tuple[int, bytes, bytes]],
        card_key: bytes,
        wanted: bytes,
        place: str,
    ) -> None:
        """Hold the next line of a card in the audit trail against one that an entry must have."""
        for position, owner, body in audits:
            if owner == card_key and body == wanted:
                return
            if owner and owner not in self._replay.lost:
                self._report.add(f"audit {position}", "it is not what its entry caused")
                return
        self._report.add(place, "its line in the audit trail is missing")

    def _check_events(
        self,
        events: Iterable[tuple[int, bytes, int, bytes]],
        bodies: list[bytes],
        card_key: bytes,
        version: int,
        next_event: int,
    ) -> int:
        """Hold the next events of the outbox against those that an entry must have."""
        due = list(bodies)
        for position, owner, of_version, body in events:
            if (owner, of_version) == (card_key, version):
                wanted = due.pop(0)
                self._check_event(position, owner, of_version, body, wanted)
            else:
                # An event of an entry that could not be replayed, or of none.
                self._check_event(position, owner, of_version, body, None)
            next_event = position + 1
            if not due:
                return next_event
        self._report.add(f"card {card_key.hex()} version {version}", "events are missing")
        return next_event

    def _check_event(
        self, position: int, card_key: bytes, version: int, body: bytes, wanted: bytes | None
    ) -> None:
        self._report.events += 1
        place = f"event {position}"
        try:
            decode_event(body, card_key, version)
        except CorruptFileError as error:
            self._report.add(place, str(error))
            return
        if wanted is None and card_key not in self._replay.lost:
            self._report.add(place, "no entry caused it")
        elif wanted is not None and wanted != body:
            self._report.add(place, "it is not what its entry caused")

    def _check_audits(self) -> None:
        expected = 0
        for position, card_key, body in self._snapshot.audits():
            expected += 1
            self._report.audits += 1
            if position != expected:
                self._report.add(f"audit {position}", f"position {expected} is missing before it")
                expected = position
            try:
                decode_audit(body, card_key)
            except CorruptFileError as error:
                self._report.add(f"audit {position}", str(error))

    def _check_files(self) -> None:
        """Every file against the replay and the recount."""
        for row in self._snapshot.card_rows():
            what = row_problem(row)
            if what:
                self._report.add(f"row of card {row[1].hex()}", what)
        try:
            slots = self._snapshot.files()
        except CorruptFileError as error:
            self._report.add("the state log", str(error))
            return
        self._files = slots
        self._report.cards = len(slots)
        for card_key in self._replay.cards:
            if card_key not in slots:
                self._report.add(f"file of card {card_key.hex()}", "there is none")
        for number, (card_key, slot) in enumerate(slots.items(), 1):
            self._check_file(card_key, slot.image)
            self._tell(self._snapshot.last_entry + number)

    def _check_file(self, card_key: bytes, image: tuple[bytes, bytes]) -> None:
        place = f"file of card {card_key.hex()}"
        try:
            state, _ = decode_usage(image[1], card_key, decode_settings(image[0], card_key))
        except CorruptFileError as error:
            self._report.add(place, str(error))
            return
        if card_key not in self._replay.cards:
            self._report.add(place, "the journal knows no such card")
            return
        parts = self._replay.file_parts(card_key)
        if parts is not None:
            if parts[0] != image[0]:
                self._report.add(place, "its settings are not those that the journal leads to")
            if parts[1] != image[1]:
                self._report.add(place, "its counters are not those that the journal leads to")
        if card_key not in self._replay.lost:
            for what in self._recount.differences(card_key, state):
                self._report.add(place, what)

    def _check_tables(self) -> None:
        """What only helps to find things: the rows must lead where they say."""
        for row in self._snapshot.card_rows():
            self._check_columns(row)
        for card_key, version, position in self._snapshot.marks():
            if self._position(card_key, version) != position:
                place = f"mark of card {card_key.hex()} version {version}"
                self._report.add(place, "it leads to another entry")
        self._check_heads()
        self._check_keys()

    def _check_heads(self) -> None:
        """The latest entry of each group must be found, and be the latest."""
        found: dict[bytes, dict[int, int]] = {}
        for card_key, version, position in self._snapshot.group_heads():
            found.setdefault(card_key, {})[version] = position
        for card_key, card in self._replay.cards.items():
            if found.pop(card_key, {}) != card.heads and card_key not in self._replay.lost:
                place = f"group heads of card {card_key.hex()}"
                self._report.add(place, "they lead to other entries than the latest")
        for card_key in found:
            self._report.add(f"group heads of card {card_key.hex()}", "there is no such card")

    def _check_keys(self) -> None:
        """The digests: each is an entry's, and none of the last seven days is missing."""
        found: dict[bytes, set[bytes]] = {}
        for card_key, digest, version, second in self._snapshot.old_keys():
            record = digest + version.to_bytes(4, "big") + second.to_bytes(4, "big")
            found.setdefault(card_key, set()).add(record)
        for card_key, slot in self._files.items():
            try:
                slot.opened_state()
            except CorruptFileError:
                continue  # it was told with the files
            found.setdefault(card_key, set()).update(records_of(slot.records))
        for card_key, card in self._replay.cards.items():
            if card_key in self._replay.lost:
                continue
            kept = found.pop(card_key, set())
            filed = set(records_of(bytes(card.records)))
            last_ms = 0 if card.state is None else card.state.last_ms
            due = set(records_of(without_expired(bytes(card.records), last_ms)))
            place = f"keys of card {card_key.hex()}"
            if kept - filed:
                self._report.add(place, f"{len(kept - filed)} belong to no entry")
            if due - kept:
                self._report.add(place, f"{len(due - kept)} of the last seven days are missing")
        for card_key in found.keys() - self._replay.lost:
            self._report.add(f"keys of card {card_key.hex()}", "there is no such card")

    def _check_columns(self, row: tuple[int, bytes, str, int, bytes, bytes, bytes]) -> None:
        """The columns of a file's row that only help to find it."""
        _, card_key, cardholder, _, settings, _, recent = row
        place = f"row of card {card_key.hex()}"
        try:
            if decode_settings(settings, card_key).profile.cardholder != cardholder:
                self._report.add(place, "its column names another cardholder")
            decode_recent(recent, card_key)
        except CorruptFileError as error:
            self._report.add(place, str(error))

    def _position(self, card_key: bytes, version: int) -> int:
        """Where the journal has an entry; 0 = nowhere."""
        card = self._replay.cards.get(card_key)
        is_there = card is not None and 0 < version <= len(card.positions)
        return card.positions[version - 1] if card is not None and is_there else 0

    def _tell(self, done: int) -> None:
        if self._on_progress is not None and done % _REPORT_EVERY == 0:
            self._on_progress(done, max(self._total, done))
