"""Taking in: an export becomes the data of a store that was empty.

Every entry goes through the guardian once more, in its order, at its instant and under its policy,
and the store writes what comes out. At the end every card's last hash must be the one that was
exported, so nothing was lost, added or decided differently on the way.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Final, final

import msgspec

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Actor, Command, Via
from zhiwei.core.entry import Entry
from zhiwei.core.errors import ZhiweiError
from zhiwei.core.policy import DEFAULT_POLICY, Policy
from zhiwei.core.result import Audit, Related, Result
from zhiwei.guardian import Guardian, guardian_under
from zhiwei.journal.export import FORMAT, VERSION
from zhiwei.journal.tally import Tally
from zhiwei.keyring import KeyStore
from zhiwei.policy_file import policy_of_stored
from zhiwei.ports import ApiKey, CorruptFileError, PolicyText, Record, Store
from zhiwei.stores.coding.entry import HASH_BYTES, chain_of, decode_content
from zhiwei.stores.coding.record import KINDS

#: A line of an export is never longer than this.
LINE_MAX: Final = 1 << 22
_BATCH: Final = 512
OnProgress = Callable[[int, int], None]


class ImportFailedError(ZhiweiError):
    """the export cannot be taken in"""


@dataclass(frozen=True)
class _Line:
    """A line with its number, for messages."""

    number: int
    document: dict[str, Any]


@final
class _Replayer:
    """The step of an import: the guardian as it was when the entry was made."""

    def __init__(self) -> None:
        self.policies: Final[dict[str, Policy]] = {DEFAULT_POLICY.version: DEFAULT_POLICY}
        self._guardians: Final[dict[str, Guardian]] = {}
        self._due: Final[dict[int, Entry]] = {}

    def expect(self, entry: Entry) -> Command:
        """The command of an entry, to be handed to the store."""
        self._due[id(entry.command)] = entry
        return entry.command

    def done(self) -> None:
        """What was expected is written."""
        self._due.clear()

    def step(
        self, state: CardState | None, related: Related, command: Command, clock_ms: int
    ) -> Result:
        """The step once more, at the instant and under the policy of the entry."""
        # A store may begin a batch anew, so it is asked for again.
        entry = self._due[id(command)]
        guardian = self._guardians.get(entry.policy_version)
        if guardian is None:
            policy = self.policies.get(entry.policy_version)
            if policy is None:
                message = f"the export lacks the policy `{entry.policy_version}`"
                raise ImportFailedError(message)
            guardian = self._guardians[entry.policy_version] = guardian_under(policy)
        return guardian.step(state, related, command, entry.now_ms)


async def take_in(
    lines: IO[str], store: Store, keyring: KeyStore, on_progress: OnProgress | None = None
) -> Tally:
    """Fill an empty store from an export; what was taken in.

    Raises:
        ImportFailedError: the store is not empty, or the export is cut off, damaged or altered. The
            message names the line. What was written by then is not to be used.
        StoreUnavailableError: the store cannot write.
    """
    if store.reader().recent(limit=1) or store.reader().cards(limit=1):
        message = "the store is not empty; import into a new data directory or database"
        raise ImportFailedError(message)
    return await _Import(store, keyring, on_progress).run(_documents(lines))


@final
class _Import:
    """One run."""

    def __init__(self, store: Store, keyring: KeyStore, on_progress: OnProgress | None) -> None:
        self._store: Final = store
        self._keyring: Final = keyring
        self._on_progress: Final = on_progress
        self._replayer: Final = _Replayer()
        self._tally: Final = Tally()
        self._batch: Final[list[Entry]] = []
        self._audits_of_cards = 0

    async def run(self, lines: Iterator[_Line]) -> Tally:
        first = next(lines, None)
        if first is None or first.document.get("format") != FORMAT:
            raise ImportFailedError("line 1 is not the beginning of an export of zhiwei")
        if first.document.get("version") != VERSION:
            version = first.document.get("version")
            raise ImportFailedError(
                f"the export has version {version}, this program reads {VERSION}"
            )
        for line in lines:
            try:
                is_end = await self._take(line)
            except (KeyError, TypeError, ValueError, CorruptFileError) as error:
                raise ImportFailedError(f"line {line.number} cannot be used: {error}") from error
            if is_end:
                if next(lines, None) is not None:
                    raise ImportFailedError(f"line {line.number + 1} stands after the end")
                return self._tally
        raise ImportFailedError("the export is cut off: its last line is missing")

    async def _take(self, line: _Line) -> bool:
        """Take in one line; whether it is the last one."""
        document = line.document
        match document["type"]:
            case "entry":
                await self._entry(line)
            case "record":
                await self._record(document)
            case "audit":
                await self._audit(document)
            case "key":
                self._keyring.add(ApiKey(**document["body"]))
                self._tally.keys += 1
            case "end":
                await self._flush()
                self._finish(document)
                return True
            case other:
                raise ImportFailedError(f"line {line.number} is of no known type: `{other!s:.40}`")
        return False

    async def _entry(self, line: _Line) -> None:
        document = line.document
        card_key = bytes.fromhex(document["card"])
        content = b64decode(document["content"], validate=True)
        before = self._tally.chains.get(card_key, bytes(HASH_BYTES))
        chain = chain_of(card_key, before, content)
        if chain.hex() != document["hash"]:
            message = f"line {line.number} is altered, or a line before it is missing"
            raise ImportFailedError(message)
        entry = decode_content(content, card_key, document["version"])
        if self._batch and (len(self._batch) >= _BATCH or self._batch[0].now_ms != entry.now_ms):
            await self._flush()
        self._batch.append(entry)
        self._tally.add_entry(card_key, chain)

    async def _flush(self) -> None:
        """Have the store carry out what has gathered: entries of one instant."""
        if not self._batch:
            return
        commands = [self._replayer.expect(entry) for entry in self._batch]
        clock_ms = self._batch[0].now_ms
        results = await self._store.transact(commands, self._replayer.step, clock_ms)
        for entry, result in zip(self._batch, results, strict=True):
            if result.entry is None or result.is_repeat or result.entry.version != entry.version:
                card = entry.command.card_key.hex()
                message = f"entry {entry.version} of card {card} would not be made again"
                raise ImportFailedError(message)
            self._tally.events += len(result.events)
            self._audits_of_cards += len(result.audits)
        self._batch.clear()
        self._replayer.done()
        if self._on_progress is not None:
            self._on_progress(self._tally.entries, self._tally.entries + 1)

    async def _record(self, document: dict[str, Any]) -> None:
        kind = KINDS[document["kind"]]
        try:
            record: Record = msgspec.convert(document["body"], kind)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error
        if isinstance(record, PolicyText):
            self._replayer.policies[record.id] = policy_of_stored(record.text)
        await self._store.keep([record], [], _importer(), record.created_ms)
        self._tally.records += 1

    async def _audit(self, document: dict[str, Any]) -> None:
        told = document["actor"]
        actor = Actor(told["who"], Via(told["via"]), told["is_strong"], told["is_staff"])
        audit = Audit(document["action"], document["subject"], document["old"], document["new"])
        await self._store.keep([], [audit], actor, document["at_ms"])
        self._tally.audits += 1

    def _finish(self, document: dict[str, Any]) -> None:
        """Hold what was taken in against the counts of the last line, and every card's hash."""
        self._tally.audits += self._audits_of_cards
        for name, count in self._tally.document().items():
            if document[name] != count:
                message = f"the export has {document[name]} {name}, {count} were taken in"
                raise ImportFailedError(message)
        reader = self._store.reader()
        for card_key, chain in self._tally.chains.items():
            state = reader.card(card_key)
            if state is None or state.chain != chain:
                message = f"card {card_key.hex()} came out differently; it is not the same history"
                raise ImportFailedError(message)
        if self._on_progress is not None:
            self._on_progress(1, 1)


def _documents(lines: IO[str]) -> Iterator[_Line]:
    """The lines of an export as documents.

    Raises:
        ImportFailedError: a line is too long or is no JSON object.
    """
    number = 0
    while line := lines.readline(LINE_MAX):
        number += 1
        try:
            document = json.loads(line)
        except (ValueError, binascii.Error):
            raise ImportFailedError(f"line {number} is not JSON, or is cut off") from None
        if not isinstance(document, dict):
            raise ImportFailedError(f"line {number} is not a JSON object")
        yield _Line(number, document)


def _importer() -> Actor:
    return Actor("import", Via.CLI, is_staff=True)
