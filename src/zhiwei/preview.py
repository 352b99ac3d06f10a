"""Preview: what a control, as it would be, would have stopped among a card's own approvals.

Both doors ask this before a control is switched on. The answer is that of a replay: the card had
nothing set, got this one control 90 days ago, and every approval of its journal is carried out once
more, at its instant and in its order, by the guardian's own step (`guardian.trial` says exactly
how). A limit counts what its windows of then had already spent; a rolling one begins to count when
it is set, as it always does.

It is a part of its own since it needs the guardian and a reader, and no door may hold either the
one or the other's storage. To be called in a thread beside the path: between pieces of work it
leaves the interpreter to others.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.controls import CardLock, Control, Limits, Period
from zhiwei.core.entry import Entry
from zhiwei.core.finding import Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.request import MessageClass
from zhiwei.core.windows import Moment, day_number
from zhiwei.core.zone import DAY_MS, Zone
from zhiwei.guardian.trial import Stopped, Trial
from zhiwei.ports import Reader

__all__ = ["DAYS", "ENTRIES_MAX", "Preview", "Stopped", "preview"]

#: How far back a preview looks.
DAYS: Final = 90
#: Journal entries that are looked at, at most, unless the caller says otherwise.
ENTRIES_MAX: Final = 20_000
_CHUNK: Final = 500
#: After so many entries the thread steps aside for so many seconds: Python hands the interpreter
#: to who waits for it only every 5 ms, and the path should not wait that long.
_PIECE: Final = 128
_ASIDE_SECONDS: Final = 0.0002


@dataclass(frozen=True)
class Preview:
    """What the control would have done."""

    #: Since when the control would have been set, UTC epoch ms.
    since_ms: int
    would_decline: int
    would_challenge: int
    #: Approvals that were looked at.
    of: int
    #: All approvals that it would have stopped, newest first.
    stopped: tuple[Stopped, ...]
    #: False where the journal was too long to walk wholly; then only its newest part was.
    is_complete: bool


def preview(
    policy: Policy,
    reader: Reader,
    state: CardState,
    control_type: str,
    control: Control,
    now_ms: int,
    *,
    entries_max: int = ENTRIES_MAX,
) -> Preview:
    """Try a control on the card's last 90 days; nothing is changed.

    Args:
        policy: the issuer's policy of now; its ceilings and rules stop nothing here.
        reader: reads the card's journal.
        state: the card's file.
        control_type: one of `core.controls.CONTROL_TYPES`.
        control: the control as it would be.
        now_ms: UTC epoch ms; the days are counted back from it.
        entries_max: journal entries that are looked at, at most.

    Raises:
        CorruptFileError: the journal is damaged where it is stored.
    """
    since_ms = max(now_ms - DAYS * DAY_MS, 0)
    begin_ms = _begin_ms(control, state.settings.profile.zone, since_ms)
    backwards = _Backwards(reader, state.card_key, entries_max)
    backwards.read_while(lambda oldest: oldest.filed_ms >= begin_ms)
    entries = backwards.entries
    if isinstance(control, Limits | CardLock):
        # What is raised now may have begun long ago, and what it holds is needed then.
        first = _first_version_needed(entries, begin_ms)
        backwards.read_while(lambda oldest: oldest.version > first)
    trial = Trial(policy, state, control_type, control, since_ms)
    for number, entry in enumerate(reversed(entries)):
        trial.take(entry)
        if number % _PIECE == 0:
            time.sleep(_ASIDE_SECONDS)
    stopped = tuple(reversed(trial.stopped))
    declines = sum(1 for one in stopped if one.finding.outcome is Outcome.REFUSE)
    return Preview(
        since_ms=now_ms - DAYS * DAY_MS,
        would_decline=declines,
        would_challenge=len(stopped) - declines,
        of=trial.of,
        stopped=stopped,
        is_complete=backwards.is_complete,
    )


class _Backwards:
    """A card's journal, read from its newest entry backwards, as far as it is needed."""

    def __init__(self, reader: Reader, card_key: bytes, entries_max: int) -> None:
        self._reader: Final = reader
        self._card_key: Final = card_key
        self._max: Final = entries_max
        #: What was read, newest first.
        self.entries: Final[list[Entry]] = []
        #: Whether everything that was needed was read.
        self.is_complete = True

    def read_while(self, is_needed: Callable[[Entry], bool]) -> None:
        """Read on while what comes before the oldest entry may be needed."""
        while not self.entries or (self.entries[-1].version > 1 and is_needed(self.entries[-1])):
            left = self._max - len(self.entries)
            if left <= 0:
                self.is_complete = False
                return
            before = self.entries[-1].version if self.entries else 0
            chunk = self._reader.entries(self._card_key, before=before, limit=min(left, _CHUNK))
            if not chunk:
                return
            self.entries.extend(chunk)


def _begin_ms(control: Control, zone: Zone, since_ms: int) -> int:
    """From when spends are followed: the first instant of every window that holds `since_ms`."""
    if not isinstance(control, Limits) or since_ms == 0:
        return since_ms
    moment = Moment(since_ms, zone)
    first_days = {
        Period.DAY: moment.day,
        Period.WEEK: moment.week * 7 - 3,
        Period.MONTH: day_number(moment.year, moment.month % 12 + 1, 1),
        Period.YEAR: day_number(moment.year, 1, 1),
    }
    days = [first_days[item.period] for item in control.items if item.period in first_days]
    if not days:
        return since_ms
    return min(zone.first_instant_of_day(min(days)), since_ms)


def _first_version_needed(entries: list[Entry], begin_ms: int) -> int:
    """Where the oldest group began that is raised or booked anew since `begin_ms`."""
    needed = [entries[-1].version] if entries else [1]
    for entry in entries:
        request, group = entry.command.request, entry.group
        if request is None or group is None or entry.filed_ms < begin_ms:
            continue
        is_raised = request.message_class is MessageClass.INCREMENT
        is_booked = request.is_debit and request.message_class is not MessageClass.REVERSAL
        if entry.outcome is Outcome.APPROVE and (is_raised or is_booked):
            needed.append(group.version)
    return min(needed)
