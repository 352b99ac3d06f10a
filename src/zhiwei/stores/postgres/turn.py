"""Turn: a batch carried out in memory, on drafts of the files; what is to be written comes out.

First `wants` says what is still to be read, until it wants nothing more; then `carry_out` decides,
command by command, without waiting. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from zhiwei.core.card_state import CHAIN_START, CardState, Settings
from zhiwei.core.command import Command
from zhiwei.core.entry import Entry
from zhiwei.core.result import NOTHING_RELATED, Related, Result, unreadable
from zhiwei.ports import CorruptFileError, Step
from zhiwei.stores.coding.audit import encode_audit
from zhiwei.stores.coding.entry import HASH_BYTES, Filing, encode_entry
from zhiwei.stores.coding.event import encode_event
from zhiwei.stores.coding.recent import (
    KEPT_SECONDS,
    RECORD_BYTES,
    encode_recent,
    may_hold,
    record_of,
    rows_of,
    versions_found,
    without_expired,
)
from zhiwei.stores.coding.settings import encode_settings
from zhiwei.stores.coding.usage import encode_usage
from zhiwei.stores.postgres.found import DIGEST_BYTES, CardDigest, Found, seconds_of
from zhiwei.stores.postgres.opened import OpenedFile, OpenedFiles

#: A card's file keeps the digests of this many entries; the older half of them moves to a table
#: when there are more within seven days. With more, rows would be moved out of line.
RECENT_MAX: Final = 64
#: A command is shown at most this many earlier entries, the newest.
RELATED_MAX: Final = 32
#: No entry is filed later than this.
END_MS: Final = 1 << 62


@final
class Draft:
    """A card's file while a batch works on it."""

    __slots__ = (
        "base_records",
        "base_version",
        "card_key",
        "chain",
        "entries",
        "heads",
        "last_event",
        "opened",
        "records",
        "settings",
        "spilled_until",
        "state",
    )

    def __init__(self, card_key: bytes, opened: OpenedFile | None) -> None:
        self.card_key: Final = card_key
        #: As it was read; None = there is no such card yet.
        self.opened: Final = opened
        self.state: CardState | None = None
        #: As it is stored, so that a cold part that did not change is not written.
        self.settings: Settings | None = None
        self.chain = CHAIN_START
        self.base_version = 0
        #: Number of the card's last event.
        self.last_event = 0
        self.records = b""
        self.spilled_until = 0
        #: Entries that this batch wrote, from version `base_version` + 1 on, and the latest of each
        #: group among them.
        self.entries: list[Entry] = []
        self.heads: dict[int, Entry] = {}
        if opened is not None:
            state = opened.state
            self.records = opened.records
            self.spilled_until = opened.spilled_until
            self.state = state
            self.settings = state.settings
            self.chain = state.chain
            self.base_version = state.version
            self.last_event = opened.last_event
        self.base_records: Final = self.records


@final
class Writing:
    """Rows to be written, column by column."""

    __slots__ = (
        "audits",
        "entries",
        "events",
        "heads",
        "new_files",
        "old_files",
        "old_keys",
        "opened",
    )

    def __init__(self) -> None:
        #: Card key, version, instant of filing, group, body.
        self.entries: Final[list[tuple[bytes, int, int, int, bytes]]] = []
        #: Card key, number, instant of filing, version, body.
        self.events: Final[list[tuple[bytes, int, int, int, bytes]]] = []
        self.audits: Final[list[tuple[bytes, bytes]]] = []
        #: By card and group: version and instant of filing of the latest entry.
        self.heads: Final[dict[tuple[bytes, int], tuple[int, int]]] = {}
        #: Card key, digest, version, second.
        self.old_keys: Final[list[tuple[bytes, bytes, int, int]]] = []
        #: Card key, cardholder, settings, version, usage, recent.
        self.new_files: Final[list[tuple[bytes, str, bytes, int, bytes, bytes]]] = []
        #: The files as they are once this is committed.
        self.opened: Final[list[OpenedFile]] = []
        #: Card key, version before, version, settings, usage, recent; None = it did not change.
        self.old_files: Final[list[tuple[bytes, int, int, bytes | None, bytes, bytes | None]]] = []


@final
class Turn:
    """One batch."""

    __slots__ = ("clock_ms", "damage", "drafts", "files", "found", "step", "writing")

    def __init__(self, found: Found, files: OpenedFiles, step: Step, clock_ms: int) -> None:
        self.found: Final = found
        self.files: Final = files
        self.step: Final = step
        self.clock_ms: Final = clock_ms
        #: The draft of each card; what is wrong with its file where it is damaged.
        self.drafts: Final[dict[bytes, Draft | CorruptFileError]] = {}
        self.writing: Final = Writing()
        #: One for each command that was refused because something stored is damaged.
        self.damage: Final[list[CorruptFileError]] = []

    def open_files(self, card_keys: Sequence[bytes]) -> None:
        """Make the drafts of cards from what was read."""
        for card_key in card_keys:
            row = self.found.files.get(card_key)
            try:
                opened = None if row is None else self.files.open(row)
                self.drafts[card_key] = Draft(card_key, opened)
            except CorruptFileError as error:
                self.drafts[card_key] = error

    def wants(
        self, commands: Sequence[Command]
    ) -> tuple[dict[tuple[bytes, int], tuple[int, int]], set[CardDigest]]:
        """What is to be read before the commands can be carried out.

        Entries by card and version, with the instants between which each was filed; and digests
        that may have left their cards' files.
        """
        entries: dict[tuple[bytes, int], tuple[int, int]] = {}
        digests: set[CardDigest] = set()
        for command in commands:
            draft = self.drafts[command.card_key]
            if isinstance(draft, Draft) and draft.state is not None:
                self._want(draft, draft.state, command, entries, digests)
        return entries, digests

    def carry_out(self, command: Command) -> Result:
        """Carry out one command on the draft of its card's file."""
        found: tuple[int, ...] = ()
        related = NOTHING_RELATED
        draft = self.drafts[command.card_key]
        if isinstance(draft, CorruptFileError):
            self.damage.append(draft)
            return unreadable(command, self.clock_ms)
        state = draft.state
        try:
            if state is not None:
                related, found = self._related(draft, state, command)
        except CorruptFileError as error:
            self.damage.append(error)
            return unreadable(command, self.clock_ms)
        result = self.step(state, related, command, self.clock_ms)
        entry = result.entry
        after = result.state
        if result.rejection is not None or result.is_repeat or entry is None or after is None:
            return result
        version = 1 if state is None else state.version + 1
        assert after.version == version == entry.version, "versions of a card have no gaps"
        self._file(draft, entry, after, Filing(result.keys, found), result)
        return result

    def finish(self) -> Writing:
        """Everything that is to be written, files in order of their cards' keys."""
        for card_key in sorted(self.drafts):
            draft = self.drafts[card_key]
            if isinstance(draft, Draft) and draft.entries:
                self._finish_file(draft)
        return self.writing

    def _want(
        self,
        draft: Draft,
        state: CardState,
        command: Command,
        entries: dict[tuple[bytes, int], tuple[int, int]],
        digests: set[CardDigest],
    ) -> None:
        now_ms = max(state.last_ms, self.clock_ms)
        oldest = now_ms // 1000 - KEPT_SECONDS
        for key in command.keys_to_find:
            for version in versions_found(draft.records, key, now_ms)[-RELATED_MAX:]:
                self._want_entry(draft, version, seconds_of(draft.records, version), entries)
            if draft.spilled_until > oldest:
                name = (draft.card_key, key[:DIGEST_BYTES])
                old = self.found.old_versions.get(name)
                if old is None:
                    digests.add(name)
                    continue
                for version, second in old[-RELATED_MAX:]:
                    if second > oldest:
                        self._want_entry(draft, version, second, entries)
        named = command.original
        if named is not None and 0 < named.version <= draft.base_version:
            self._want_entry(draft, named.version, -1, entries)

    def _want_entry(
        self,
        draft: Draft,
        version: int,
        second: int,
        entries: dict[tuple[bytes, int], tuple[int, int]],
    ) -> None:
        """Note an entry that is not at hand; `second` is when it was filed, -1 = not known."""
        place = (draft.card_key, version)
        if not self.found.has_entry(place):
            span = (-END_MS, END_MS) if second < 0 else (second * 1000, second * 1000 + 1000)
            # Where one command knows the second and another does not, the narrower span will do.
            if second >= 0 or place not in entries:
                entries[place] = span

    def _related(
        self, draft: Draft, state: CardState, command: Command
    ) -> tuple[Related, tuple[int, ...]]:
        """The earlier entries that a command names, and their versions as they are noted."""
        now_ms = max(state.last_ms, self.clock_ms)
        oldest = now_ms // 1000 - KEPT_SECONDS
        original = command.original
        keys = command.keys_to_find
        if draft.spilled_until <= oldest and (original is None or not original.version):
            for key in keys:
                if may_hold(draft.records, key):
                    break
            else:
                return NOTHING_RELATED, ()
        by_version: dict[int, Entry] = {}
        for key in keys:
            versions = versions_found(draft.records, key, now_ms)
            if draft.spilled_until > oldest:
                old = self.found.old_versions.get((draft.card_key, key[:DIGEST_BYTES]), [])
                versions = [version for version, second in old if second > oldest] + versions
            for version in versions[-RELATED_MAX:]:
                if version not in by_version:
                    entry = self._entry(draft, version, key)
                    if entry is not None:
                        by_version[version] = entry
        if original is not None and 0 < original.version <= state.version:
            named = self._entry(draft, original.version, b"")
            if named is not None:
                by_version[original.version] = named
        if not by_version:
            return NOTHING_RELATED, ()
        by_key = [by_version[version] for version in sorted(by_version)[-RELATED_MAX:]]
        heads = self._heads(draft, by_key)
        found = [entry.version for entry in by_key]
        if heads:
            found.append(0)
            found.extend([head.version for head in heads])
        return Related(tuple(by_key), tuple(heads)), tuple(found)

    def _entry(self, draft: Draft, version: int, key: bytes) -> Entry | None:
        """An entry of the card by version; None if `key` is given and is not one of its keys."""
        if version > draft.base_version:
            return draft.entries[version - draft.base_version - 1]
        filed = self.found.entry(draft.card_key, version)
        return filed.entry if not key or key in filed.filing.keys else None

    def _heads(self, draft: Draft, by_key: list[Entry]) -> list[Entry]:
        """For each group among the entries that has follow-ups, its latest entry."""
        heads: list[Entry] = []
        seen: list[int] = []
        for entry in by_key:
            group = entry.group
            if group is None or group.version in seen:
                continue
            seen.append(group.version)
            latest = draft.heads.get(group.version)
            if latest is not None:
                heads.append(latest)
                continue
            version = self.found.head(draft.card_key, group.version)
            if version:
                heads.append(self.found.entry(draft.card_key, version).entry)
        return heads

    def _file(
        self, draft: Draft, entry: Entry, after: CardState, filing: Filing, result: Result
    ) -> None:
        """Note everything that this entry writes."""
        card_key = draft.card_key
        version = entry.version
        writing = self.writing
        filed_ms = entry.filed_ms
        events_from = draft.last_event + 1 if result.events else 0
        body = encode_entry(entry, filing, card_key, draft.chain, version - 1, events_from)
        group = entry.group
        group_version = 0 if group is None else group.version
        writing.entries.append((card_key, version, filed_ms, group_version, body))
        if group is not None and group.version != version:
            writing.heads[card_key, group.version] = (version, filed_ms)
            draft.heads[group.version] = entry
        draft.state = after
        draft.chain = body[:HASH_BYTES]
        draft.entries.append(entry)
        for place, event in enumerate(result.events):
            told = encode_event(event, card_key, version, entry.now_ms, place, draft.last_event)
            draft.last_event += 1
            writing.events.append((card_key, draft.last_event, filed_ms, version, told))
        for audit in result.audits:
            line = encode_audit(audit, entry.command.actor, card_key, entry.now_ms)
            writing.audits.append((card_key, line))
        for key in filing.keys:
            draft.records += record_of(key, version, filed_ms)

    def _finish_file(self, draft: Draft) -> None:
        """The row of a file that moved."""
        state = draft.state
        assert state is not None, "who wrote an entry has a file"
        card_key = draft.card_key
        before = draft.opened
        recent: bytes | None = None
        if before is None or draft.records is not draft.base_records:
            self._spill(draft, draft.entries[-1].filed_ms)
            recent = encode_recent(draft.records, draft.spilled_until, card_key)
        settings: bytes | None = None
        if before is None or state.settings is not draft.settings:
            settings = encode_settings(state.settings, card_key)
        usage = encode_usage(state, draft.chain, state.version, draft.last_event)
        if before is None:
            assert recent is not None
            assert settings is not None
            cardholder = state.settings.profile.cardholder
            new = (card_key, cardholder, settings, state.version, usage, recent)
            self.writing.new_files.append(new)
        else:
            row = (card_key, draft.base_version, state.version, settings, usage, recent)
            self.writing.old_files.append(row)
            settings = before.settings if settings is None else settings
            recent = before.recent if recent is None else recent
        opened = OpenedFile(
            settings,
            usage,
            recent,
            state.chained(draft.chain),
            draft.last_event,
            draft.records,
            draft.spilled_until,
        )
        self.writing.opened.append(opened)

    def _spill(self, draft: Draft, now_ms: int) -> None:
        """Move the oldest digests away when there are too many.

        At the end of the batch, not before: commands of this batch must find all of them here.
        """
        if len(draft.records) <= RECENT_MAX * RECORD_BYTES:
            return
        records = without_expired(draft.records, now_ms)
        if len(records) > RECENT_MAX * RECORD_BYTES:
            cut = len(records) - RECENT_MAX // 2 * RECORD_BYTES
            for digest, version, second in rows_of(records[:cut]):
                self.writing.old_keys.append((draft.card_key, digest, version, second))
                draft.spilled_until = second
            records = records[cut:]
        draft.records = records
