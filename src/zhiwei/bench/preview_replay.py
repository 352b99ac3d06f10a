"""The other way to a preview: the whole journal once more, through the real guardian and a store.

It shares nothing with `zhiwei.preview` but the guardian: a fresh card in the store in memory, with
versions of its own, gets every approval of another card's journal as a new command.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from zhiwei.core.card_state import CardState, CardStatus
from zhiwei.core.command import Actor, Command, Original, Post, Register, SetControl, Via
from zhiwei.core.controls import Control
from zhiwei.core.entry import Entry
from zhiwei.core.finding import Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.request import Kind, MessageClass
from zhiwei.core.result import Result
from zhiwei.guardian import guardian_under
from zhiwei.ports import Reader
from zhiwei.stores.memory import MemoryStore
from zhiwei.testing.scenario.play import finished

_BANK: Final = Actor("bank", Via.HTTP, is_strong=True, is_staff=True)
#: A posting of nothing, where only time passes.
_NOTHING: Final = Post(0, None, "")
#: Above every version of the replay: what it is about was never paid.
_NO_VERSION: Final = 1 << 30
_NEVER_REFUSED: Final = frozenset((Kind.REFUND, Kind.VOID, Kind.DEPOSIT, Kind.TRANSFER_IN))


@dataclass(frozen=True)
class Replayed:
    """What the replay came to: versions of the first card's approvals that were stopped."""

    declined: tuple[int, ...]
    challenged: tuple[int, ...]
    of: int


def whole_journal(reader: Reader, card_key: bytes) -> list[Entry]:
    """All entries of a card, oldest first."""
    entries: list[Entry] = []
    while not entries or entries[-1].version > 1:
        before = entries[-1].version if entries else 0
        entries += reader.entries(card_key, before=before, limit=1_000)
    return entries[::-1]


def replayed(
    policy: Policy,
    entries: list[Entry],
    state: CardState,
    control_type: str,
    control: Control,
    since_ms: int,
) -> Replayed:
    """Carry out a card's approvals on a card with this one control, set at `since_ms`."""
    return _Replay(policy, state).of_entries(entries, control_type, control, since_ms)


class _Replay:
    """A card in memory that lives another one's life."""

    def __init__(self, policy: Policy, state: CardState) -> None:
        # The issuer's own rules spoke when the approvals were given; and the control is not asked
        # for on trial, it is set: what of it loosens (refunds that restore) waits for nothing.
        own = replace(policy, ceilings=(), magstripe_threshold=-1, cooling_off_ms=0)
        self._step: Final = guardian_under(own).step
        self._store: Final = MemoryStore()
        self._key: Final = state.card_key
        self._profile: Final = replace(state.settings.profile, status=CardStatus.ACTIVE)
        #: Versions there, by versions of the first card.
        self._versions: Final[dict[int, int]] = {}
        self._stopped: Final[set[int]] = set()

    def of_entries(
        self, entries: list[Entry], control_type: str, control: Control, since_ms: int
    ) -> Replayed:
        """Live the life, and say what was stopped."""
        declined: list[int] = []
        challenged: list[int] = []
        seen = 0
        is_set = False
        self._do(Command(self._key, change=Register(self._profile), actor=_BANK), entries[0].now_ms)
        for entry in entries[1:]:
            if not is_set and entry.filed_ms >= since_ms:
                is_set = True
                change = SetControl(control_type, control)
                self._do(Command(self._key, change=change, actor=_BANK), entry.now_ms)
            asks = is_set and _could_be_refused(entry)
            seen += asks
            outcome = self._again(entry, asks=asks, control_type=control_type)
            if outcome is Outcome.REFUSE:
                declined.append(entry.version)
            elif outcome is Outcome.CHALLENGE:
                challenged.append(entry.version)
        return Replayed(tuple(declined), tuple(challenged), seen)

    def _again(self, entry: Entry, *, asks: bool, control_type: str) -> Outcome:
        """One entry once more; how the control stopped it, `APPROVE` where it did not."""
        command, group = entry.command, entry.group
        is_follower = group is not None and group.version in self._stopped
        if command.request is None or entry.outcome is not Outcome.APPROVE or is_follower:
            # Time passes all the same.
            self._do(Command(self._key, change=_NOTHING, actor=_BANK), entry.now_ms)
            return Outcome.APPROVE
        named = command.original
        if named is not None and named.version:
            named = Original(
                version=self._versions.get(named.version, _NO_VERSION),
                replacement_minor=named.replacement_minor,
            )
        again = Command(
            self._key,
            request=command.request,
            original=named,
            actor=command.actor,
            idempotency_key=command.idempotency_key,
            nonce=command.nonce,
        )
        came = self._do(again, entry.now_ms).entry
        if came is None:
            return Outcome.APPROVE
        self._versions[entry.version] = came.version
        if not asks or came.outcome is Outcome.APPROVE:
            return Outcome.APPROVE
        found = [f.outcome for f in came.findings if f.control == control_type]
        if found and group is not None and group.version == entry.version:
            self._stopped.add(entry.version)
        return max(found, default=Outcome.APPROVE)

    def _do(self, command: Command, clock_ms: int) -> Result:
        return finished(self._store.transact([command], self._step, clock_ms))[0]


def _could_be_refused(entry: Entry) -> bool:
    """Whether an entry is an approval that a control could have stopped."""
    request, group = entry.command.request, entry.group
    if request is None or entry.outcome is not Outcome.APPROVE or request.kind in _NEVER_REFUSED:
        return False
    if request.message_class is MessageClass.INCREMENT:
        return True
    is_first = group is None or group.version == entry.version
    return request.message_class is MessageClass.REQUEST and is_first
