"""Trials: what one control, as it would be, would have stopped among a card's own approvals.

The card's journal is walked from old to new through the very judge that decides, with this control
alone on the card. Limits count as they would have: what the control stops spends nothing, and what
was given back later is given back here too. Pure; the entries are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias, final

from zhiwei.core.card_state import CardState, CardStatus, Settings
from zhiwei.core.controls import NO_CONTROLS, ROLLING_SECONDS_MAX, Control, Limits, Period
from zhiwei.core.decide import Judge
from zhiwei.core.entry import Entry, Flag
from zhiwei.core.finding import Finding, Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.request import Kind, MessageClass, Request
from zhiwei.core.usage import (
    UNUSED,
    Booking,
    RollingSpend,
    Usage,
    begun,
    moved,
    rolled,
    rolling_added,
    rolling_given_back,
)
from zhiwei.core.windows import Moment

#: Bits of the limit channels that a request counts in.
ChannelsOf: TypeAlias = "Callable[[Request, CardState], int]"
#: How far back a preview looks.
DAYS: Final = 90
EXAMPLES_MAX: Final = 5
#: Longest rolling window.
_ROLLING_KEPT_MS: Final = ROLLING_SECONDS_MAX * 1000
_JUDGED_KINDS: Final = frozenset(
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


@dataclass(frozen=True)
class Stopped:
    """One approval that the control would have stopped."""

    entry: Entry
    finding: Finding


@dataclass(frozen=True)
class Preview:
    """What the control would have done."""

    would_decline: int
    would_challenge: int
    #: Approvals that were looked at.
    of: int
    #: The newest ones, newest first.
    examples: tuple[Stopped, ...]


@final
class _Group:
    """An authorization group as the trial has counted it."""

    __slots__ = ("amount_minor", "booking")

    def __init__(self, booking: Booking, amount_minor: int) -> None:
        self.booking = booking
        self.amount_minor = amount_minor


@final
class Trial:
    """A control on trial: entries go in from old to new, the preview comes out."""

    def __init__(
        self,
        policy: Policy,
        judge: Judge | None,
        state: CardState,
        control_type: str,
        control: Control,
        since_ms: int,
    ) -> None:
        profile = replace(state.settings.profile, status=CardStatus.ACTIVE)
        self._policy: Final = policy
        self._judge: Final = judge
        self._control_type: Final = control_type
        self._card_key: Final = state.card_key
        self._settings: Final = Settings(profile, NO_CONTROLS.changed(control_type, control))
        self._since_ms: Final = since_ms
        self._is_rolling: Final = isinstance(control, Limits) and any(
            item.period is Period.ROLLING for item in control.items
        )
        self._usage: Usage = UNUSED
        self._groups: dict[int, _Group] = {}
        self._stopped: list[Stopped] = []
        self._of = 0

    def walk(self, entries: Iterable[Entry], channels: ChannelsOf) -> Preview:
        """The preview of these entries, given from old to new."""
        for entry in entries:
            request = entry.command.request
            if request is not None and entry.outcome is Outcome.APPROVE:
                self._take(entry, request, channels)
        declines = sum(1 for s in self._stopped if s.finding.outcome is Outcome.REFUSE)
        examples = tuple(reversed(self._stopped[-EXAMPLES_MAX:]))
        return Preview(declines, len(self._stopped) - declines, self._of, examples)

    def _take(self, entry: Entry, request: Request, channels: ChannelsOf) -> None:
        moment = Moment(entry.now_ms, self._settings.profile.zone)
        self._usage = rolled(self._usage, moment)
        group = entry.group
        begins = group is None or group.version == entry.version
        is_increment = request.message_class is MessageClass.INCREMENT
        is_question = request.message_class is MessageClass.REQUEST and begins
        if (is_question or is_increment) and request.kind in _JUDGED_KINDS:
            finding = self._finding(request, moment)
            if entry.now_ms >= self._since_ms:
                self._of += 1
                if finding is not None:
                    self._stopped.append(Stopped(entry, finding))
            if finding is not None:
                return
        if group is None or entry.flags & Flag.NO_EFFECT:
            return
        self._usage = begun(self._usage, moment)
        if begins:
            booking = _booking(self._usage, channels(request, self._state()))
            self._groups[group.version] = _Group(booking, 0)
            self._count(group.version, moment, group.approved_minor, 1)
        elif group.version in self._groups:
            self._follow(entry, moment)

    def _follow(self, entry: Entry, moment: Moment) -> None:
        """A later entry of a group: more is counted now, less is given back to where it was."""
        group = entry.group
        assert group is not None, "only groups are followed"
        counted = self._groups[group.version]
        difference = group.approved_minor - counted.amount_minor
        if difference > 0:
            counted.booking = _booking(self._usage, counted.booking.channels)
            self._count(group.version, moment, difference, 0)
        elif difference < 0:
            times = 1 if group.approved_minor == 0 else 0
            self._usage = moved(self._usage, counted.booking, difference, -times)
            self._usage = rolling_given_back(self._usage, group.version, -difference, times)
            counted.amount_minor = group.approved_minor

    def _count(self, version: int, moment: Moment, amount_minor: int, count: int) -> None:
        group = self._groups[version]
        group.amount_minor += amount_minor
        self._usage = moved(self._usage, group.booking, amount_minor, count)
        if self._is_rolling:
            spend = RollingSpend(
                moment.now_ms, group.booking.channels, amount_minor, count, version
            )
            self._usage = rolling_added(self._usage, spend, moment.now_ms - _ROLLING_KEPT_MS)

    def _finding(self, request: Request, moment: Moment) -> Finding | None:
        """The strictest finding of the control on trial."""
        if self._judge is None:
            return None
        found = [
            finding
            for finding in self._judge(self._policy, self._state(), request, moment)
            if finding.control == self._control_type and finding.outcome is not Outcome.APPROVE
        ]
        return max(found, key=lambda f: (f.outcome, -f.reason), default=None)

    def _state(self) -> CardState:
        return CardState(self._card_key, 1, 0, b"", self._settings, self._usage)


def _booking(usage: Usage, channels: int) -> Booking:
    return Booking(0, 1, channels, usage.day, usage.week, usage.month, usage.year)
