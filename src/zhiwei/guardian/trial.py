"""Trial: one control, as it would be, tried on a card's own history; the guardian's step decides.

The journal's approvals are carried out again, in their order and at their instants, on a copy of
the card that has nothing set; from the instant of the trial on it has this one control, at once and
without any cooling-off. So limits count as they would have: what the control stops spends nothing.

- Only what was approved is carried out. What was declined then was not paid, and stays declined.
- What follows a stopped approval (reversal, completion, refund, increment, advice) has no effect.
- Nothing but the control on trial stops anything: the issuer's rules and ceilings had their say
  when the approval was given, and permissions and passes of then are not there.
- Verification counts as what the control found: a question. How many questions a card is asked in
  an hour is the issuer's bound, not the control's.
- Holds and unknown places go by the policy of now, and the card's profile is that of now.

Pure; the entries are handed in, from old to new and without gaps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, final

from zhiwei.core.card_state import CardState, CardStatus, Settings
from zhiwei.core.controls import NO_CONTROLS, Control
from zhiwei.core.decide import decide
from zhiwei.core.entry import Entry
from zhiwei.core.finding import Finding, Findings, Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.request import Kind, MessageClass, Request
from zhiwei.core.result import NOTHING_RELATED, Related, Result
from zhiwei.core.settle import settled
from zhiwei.core.usage import UNUSED
from zhiwei.core.windows import Moment
from zhiwei.guardian.case import Rules
from zhiwei.guardian.desk import Guardian
from zhiwei.guardian.undo import UNDONE_WITHIN_MS
from zhiwei.services import INCREMENT_JUDGES, JUDGES

#: What a control can stop at all; money that comes in and what takes back is never refused.
_ASKING: Final = frozenset(
    (
        Kind.PURCHASE,
        Kind.CASH_WITHDRAWAL,
        Kind.TRANSFER_OUT,
        Kind.PREAUTHORIZATION,
        Kind.COMPLETION,
        Kind.BALANCE_INQUIRY,
        Kind.BINDING,
    )
)


@final
class Stopped:
    """One approval that the control would have stopped."""

    __slots__ = ("entry", "findings")

    def __init__(self, entry: Entry, findings: Findings) -> None:
        #: The approval as it stands in the journal.
        self.entry: Final = entry
        #: What the control finds about it, the strictest first; at least one.
        self.findings: Final = findings

    @property
    def finding(self) -> Finding:
        """The strictest finding: a refusal or a question."""
        return self.findings[0]


@final
class Trial:
    """A control on trial: entries go in from old to new, and it knows what would be stopped."""

    __slots__ = (
        "_alone",
        "_bare",
        "_before",
        "_control_type",
        "_from_then_on",
        "_has_judge",
        "_heads",
        "_is_about_usage",
        "_journal",
        "_keys",
        "_last_ms",
        "_settings",
        "_since_ms",
        "_state",
        "_stopped_groups",
        "of",
        "stopped",
    )

    def __init__(
        self,
        policy: Policy,
        state: CardState,
        control_type: str,
        control: Control,
        since_ms: int,
    ) -> None:
        """Try `control` on the card of `state`, set at `since_ms` (UTC epoch ms)."""
        profile = replace(state.settings.profile, status=CardStatus.ACTIVE)
        judges = tuple([row for row in JUDGES if row[0] == control_type])
        of_increments = tuple([row for row in INCREMENT_JUDGES if row[0] == control_type])
        alone = replace(policy, ceilings=())
        self._has_judge: Final = bool(judges)
        #: Limits look at what was spent, and the card's lock at increments, so at what they raise.
        self._is_about_usage: Final = bool(of_increments)
        self._before: Final = Guardian(alone, Rules((), (), (), {}))
        self._from_then_on: Final = Guardian(alone, Rules(judges, of_increments, (), {}))
        self._control_type: Final = control_type
        self._settings: Final = Settings(profile, NO_CONTROLS.changed(control_type, control))
        self._since_ms: Final = since_ms
        self._alone: Final = CardState(state.card_key, 0, 0, b"", self._settings, UNUSED)
        self._bare: Final = Settings(profile)
        self._state = CardState(state.card_key, 0, 0, b"", self._bare, UNUSED)
        self._last_ms = 0
        #: The copy's own journal, under the versions of the card's.
        self._journal: dict[int, Entry] = {}
        self._heads: dict[int, Entry] = {}
        self._keys: dict[bytes, list[int]] = {}
        self._stopped_groups: set[int] = set()
        #: Approvals since the instant of the trial that a control could have stopped.
        self.of = 0
        #: Those that this one would have stopped, oldest first.
        self.stopped: list[Stopped] = []

    def take(self, entry: Entry) -> None:
        """Carry out the card's next entry on the copy, if it was approved."""
        request = entry.command.request
        is_approved = request is not None and entry.outcome is Outcome.APPROVE
        is_on = entry.filed_ms >= self._since_ms
        asks = is_on and is_approved and request is not None and _asks(entry, request)
        if asks:
            self.of += 1
        if not self._has_judge:
            return
        if not self._is_about_usage:
            if asks and request is not None:
                self._judge(entry, request)
            return
        state = self._as_before(entry, is_on)
        self._last_ms = entry.filed_ms
        if not is_approved or self._is_left_out(entry):
            moment = Moment(entry.now_ms, state.settings.profile.zone)
            self._state = settled(state, moment)[0]
            if request is not None and not is_approved:
                self._file(entry, (entry.command.trace_key,))
            return
        guardian = self._from_then_on if is_on else self._before
        related = self._related(entry, state.last_ms)
        result = guardian.step(state, related, entry.command, entry.now_ms)
        self._note(entry, result, state, asks)

    def _judge(self, entry: Entry, request: Request) -> None:
        """Judge an approval by a control that looks at the message alone, and at no increment.

        The whole step would say the same, some ten times slower.
        """
        if request.message_class is MessageClass.INCREMENT:
            return
        moment = Moment(entry.now_ms, self._settings.profile.zone)
        guardian = self._from_then_on
        verdict = decide(guardian.rules.judges, guardian.policy, self._alone, request, moment)
        if verdict.outcome is not Outcome.APPROVE:
            self._stop(entry, verdict.findings)

    def _as_before(self, entry: Entry, is_on: bool) -> CardState:
        """The copy's file before an entry; it has the control from its instant on."""
        state = self._state
        return CardState(
            state.card_key,
            entry.version - 1,
            self._last_ms,
            b"",
            self._settings if is_on else self._bare,
            state.usage,
            state.holds,
        )

    def _is_left_out(self, entry: Entry) -> bool:
        """Whether it follows an approval that was stopped, or one from before the first entry."""
        group = entry.group
        if group is None or group.version == entry.version:
            return False
        return group.version in self._stopped_groups or group.version not in self._journal

    def _note(self, entry: Entry, result: Result, before: CardState, asks: bool) -> None:
        """Note what came of an approval on the copy."""
        after, came = result.state, result.entry
        if after is None or came is None or result.is_repeat:
            moment = Moment(entry.now_ms, before.settings.profile.zone)
            self._state = settled(before, moment)[0]
            return
        self._state = after
        self._file(came, result.keys)
        if not asks or came.outcome is Outcome.APPROVE:
            return
        group = entry.group
        begins = group is not None and group.version == entry.version
        if self._stop(entry, came.findings) and begins:
            self._stopped_groups.add(entry.version)

    def _stop(self, entry: Entry, findings: Findings) -> bool:
        """Note an approval as stopped if the control itself found something."""
        found = tuple([f for f in findings if f.control == self._control_type])
        if found:
            self.stopped.append(Stopped(entry, found))
        return bool(found)

    def _file(self, entry: Entry, keys: tuple[bytes, ...]) -> None:
        """File an entry of the copy under the keys by which later ones find it."""
        self._journal[entry.version] = entry
        group = entry.group
        if group is not None and group.version != entry.version:
            self._heads[group.version] = entry
        for key in keys:
            if key:
                self._keys.setdefault(key, []).append(entry.version)

    def _related(self, entry: Entry, last_ms: int) -> Related:
        """Earlier entries of the copy that a command names, as a store would find them."""
        command = entry.command
        versions: set[int] = set()
        oldest_ms = max(last_ms, entry.now_ms) - UNDONE_WITHIN_MS
        for key in command.keys_to_find:
            for version in self._keys.get(key, ()):
                if self._journal[version].filed_ms > oldest_ms:
                    versions.add(version)
        if command.original is not None and command.original.version in self._journal:
            versions.add(command.original.version)
        if not versions:
            return NOTHING_RELATED
        by_key = tuple([self._journal[version] for version in sorted(versions)])
        heads: list[Entry] = []
        for earlier in by_key:
            if earlier.group is not None:
                head = self._heads.get(earlier.group.version)
                if head is not None:
                    heads.append(head)
        return Related(by_key, tuple(heads))


def _asks(entry: Entry, request: Request) -> bool:
    """Whether an approval was an answer that could have been no."""
    if request.kind not in _ASKING:
        return False
    group = entry.group
    if request.message_class is MessageClass.INCREMENT:
        return True
    begins = group is None or group.version == entry.version
    return begins and request.message_class is MessageClass.REQUEST
