"""Replay: every journal entry once more through the guardian; the same must come out.

The entry says which command it was, at which instant, under which policy, and which earlier entries
the desk was shown. With these the step is repeated, and entry, events and, at the end, the card's
whole file must come out the same, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from zhiwei.core.card_state import CHAIN_START, CardState
from zhiwei.core.entry import Entry
from zhiwei.core.policy import Policy
from zhiwei.core.result import Related, Result
from zhiwei.guardian import Guardian, guardian_under
from zhiwei.ports import CorruptFileError
from zhiwei.stores.coding.audit import encode_audit
from zhiwei.stores.coding.entry import (
    HASH_BYTES,
    Filed,
    Filing,
    content_of,
    decode_entry,
    encode_entry,
)
from zhiwei.stores.coding.event import encode_event
from zhiwei.stores.coding.recent import record_of
from zhiwei.stores.coding.settings import encode_settings
from zhiwei.stores.coding.usage import encode_usage

#: Gives the policy of a version, None where nobody knows it.
PolicyOf = Callable[[str], Policy | None]
#: Gives an earlier entry of a card by its position.
EntryAt = Callable[[int, bytes], Filed]


@final
class Replayed:
    """A card's file as the replay knows it, and where its rows stand in the store."""

    __slots__ = ("chain", "heads", "last_entry", "last_event", "positions", "records", "state")

    def __init__(self) -> None:
        self.state: CardState | None = None
        self.chain = CHAIN_START
        self.last_entry = 0
        self.last_event = 0
        #: Position of each entry, by version - 1.
        self.positions: list[int] = []
        #: The digests of all entries, as `coding/recent.py` keeps them.
        self.records = bytearray()
        #: Position of the latest entry of each group that has follow-ups.
        self.heads: dict[int, int] = {}


@final
class Step:
    """What one row came to."""

    __slots__ = ("audits", "entry", "events", "problems")

    def __init__(
        self,
        entry: Entry | None,
        problems: list[str],
        events: list[bytes] | None = None,
        audits: list[bytes] | None = None,
    ) -> None:
        #: The entry as it is stored; None where it cannot be read.
        self.entry: Final = entry
        self.problems: Final = problems
        #: Bodies of the events and audit lines that it must have; none for a lost card.
        self.events: Final = events or []
        self.audits: Final = audits or []


@final
class Replay:
    """Replays a journal in order of position; problems are told with their place."""

    def __init__(self, policy_of: PolicyOf, entry_at: EntryAt) -> None:
        self._policy_of: Final = policy_of
        self._entry_at: Final = entry_at
        self._guardians: Final[dict[str, Guardian | None]] = {}
        #: All cards of the journal so far.
        self.cards: Final[dict[bytes, Replayed]] = {}
        #: Cards that cannot be followed any further.
        self.lost: Final[set[bytes]] = set()

    def entry(
        self, position: int, card_key: bytes, version: int, body: bytes, next_event: int
    ) -> Step:
        """Replay one row.

        `next_event` is the position that its first event must have, if it has one.
        """
        card = self.cards.setdefault(card_key, Replayed())
        try:
            filed = decode_entry(body, card_key, version)
        except CorruptFileError as error:
            return self._lost(None, card_key, position, body, [str(error)])
        problems = _misplaced(filed, version, card)
        if problems or card_key in self.lost:
            return self._lost(filed.entry, card_key, position, body, problems)
        card.positions.append(position)
        for key in filed.filing.keys:
            card.records += record_of(key, version, filed.entry.filed_ms)
        group = filed.entry.group
        if group is not None and group.version != version:
            card.heads[group.version] = position
        try:
            result = self._again(card, card_key, filed)
        except (CorruptFileError, IndexError) as error:
            self.lost.add(card_key)
            return Step(filed.entry, [f"its earlier entries cannot be read: {error}"])
        if result is None:
            self.lost.add(card_key)
            version_name = filed.entry.policy_version
            return Step(filed.entry, [f"its policy `{version_name}` is not known"])
        return self._compare(position, card_key, body, filed, result, next_event)

    def file_parts(self, card_key: bytes) -> tuple[bytes, bytes] | None:
        """The two parts of the file as the replay arrives at them; None for a lost card."""
        card = self.cards.get(card_key)
        if card is None or card.state is None or card_key in self.lost:
            return None
        return (
            encode_settings(card.state.settings, card_key),
            encode_usage(card.state, card.chain, card.last_entry, card.last_event),
        )

    def _lost(
        self, entry: Entry | None, card_key: bytes, position: int, body: bytes, problems: list[str]
    ) -> Step:
        """Give up following a card's file; its later rows are still held against this one."""
        card = self.cards[card_key]
        self.lost.add(card_key)
        card.positions.append(position)
        card.chain = body[:HASH_BYTES]
        card.last_entry = position
        return Step(entry, problems)

    def _again(self, card: Replayed, card_key: bytes, filed: Filed) -> Result | None:
        """The step once more; None where its policy is not known."""
        guardian = self._guardian(filed.entry.policy_version)
        if guardian is None:
            return None
        found = filed.filing.found
        cut = found.index(0) if 0 in found else len(found)
        by_key = tuple([self._earlier(card, card_key, v) for v in found[:cut]])
        heads = tuple([self._earlier(card, card_key, v) for v in found[cut + 1 :]])
        entry = filed.entry
        return guardian.step(card.state, Related(by_key, heads), entry.command, entry.now_ms)

    def _earlier(self, card: Replayed, card_key: bytes, version: int) -> Entry:
        return self._entry_at(card.positions[version - 1], card_key).entry

    def _guardian(self, version: str) -> Guardian | None:
        if version not in self._guardians:
            policy = self._policy_of(version)
            self._guardians[version] = None if policy is None else guardian_under(policy)
        return self._guardians[version]

    def _compare(
        self,
        position: int,
        card_key: bytes,
        body: bytes,
        filed: Filed,
        result: Result,
        next_event: int,
    ) -> Step:
        """What comes out of the step against what is stored; then follow it."""
        card = self.cards[card_key]
        entry, state = result.entry, result.state
        if entry is None or state is None or result.is_repeat or result.rejection is not None:
            self.lost.add(card_key)
            return Step(filed.entry, ["the guardian would not make this entry"])
        problems: list[str] = []
        events_from = next_event if result.events else 0
        again = encode_entry(
            entry,
            Filing(result.keys, filed.filing.found),
            card_key,
            card.chain,
            card.last_entry,
            events_from,
        )
        if content_of(again) != content_of(body):
            problems.append("the guardian decides differently")
        elif again != body:
            problems.append("its hash or its links to the rows before do not fit")
        events: list[bytes] = []
        for place, event in enumerate(result.events):
            events.append(
                encode_event(event, card_key, entry.version, entry.now_ms, place, card.last_event)
            )
            card.last_event = next_event + place
        if problems:
            self.lost.add(card_key)
        card.state = state
        card.chain = filed.chain
        card.last_entry = position
        audits = [
            encode_audit(audit, entry.command.actor, card_key, entry.now_ms)
            for audit in result.audits
        ]
        return Step(filed.entry, problems, events, audits)


def _misplaced(filed: Filed, version: int, card: Replayed) -> list[str]:
    """What is wrong with an entry's place in its card's journal."""
    problems: list[str] = []
    expected = len(card.positions) + 1
    if version != expected:
        problems.append(f"version {version} stands where {expected} should")
    if filed.chain_before != card.chain:
        problems.append("it is not chained to the card's entry before")
    if filed.previous != card.last_entry:
        problems.append("its link to the card's entry before does not fit")
    return problems
