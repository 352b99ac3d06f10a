"""Rules: what must be true after every step of a sequence, whatever came before.

The counters are held against `journal.recount`. What a follow-up must have moved is worked out here
once more, from the sums that its group held before and after; that part knows nothing of how the
guardian does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter, le
from typing import Final

from zhiwei.bench.sequence_acts import Act
from zhiwei.core.card_state import CardState
from zhiwei.core.command import Command
from zhiwei.core.controls import LimitChannel, Measure, Period
from zhiwei.core.entry import Entry, Flag, Group, GroupState
from zhiwei.core.errors import ZhiweiError
from zhiwei.core.finding import Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.request import Kind, MessageClass, Request
from zhiwei.core.result import Result
from zhiwei.core.settle import settled
from zhiwei.core.usage import NOTHING_SPENT, Spent, Usage
from zhiwei.core.windows import Moment
from zhiwei.journal.recount import Recount
from zhiwei.stores.memory import KEYS_KEPT_MS

#: The numbers of one limit channel, in the order of day, week, month and year.
_NUMBERS: Final = attrgetter(
    *("day_amount", "day_count", "week_amount", "week_count"),
    *("month_amount", "month_count", "year_amount", "year_count"),
)
#: Amount and count that a group holds.
_Sums = tuple[int, int]


class BrokenRuleError(ZhiweiError):
    """something that must always be true is not"""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        #: The rule, in the same words for every sequence that breaks it.
        self.rule: Final = rule
        self.detail: Final = detail


@dataclass(frozen=True)
class Happening:
    """One step: what was asked, and the file before and after."""

    act: Act
    command: Command
    before: CardState
    after: CardState
    result: Result
    clock_ms: int
    #: Version of the entry that the act is about; 0 = none.
    about: int


def _check(rule: str, holds: bool, detail: str) -> None:
    if not holds:
        raise BrokenRuleError(rule, detail)


def numbers(spent: Spent) -> tuple[int, ...]:
    """The counters of one channel, in the order of day, week, month and year."""
    found: tuple[int, ...] = _NUMBERS(spent)
    return found


def _usage(usage: Usage) -> list[tuple[int, ...]]:
    rolling = [(s.at_ms, s.channels, s.amount_minor, s.count, s.group) for s in usage.rolling]
    return [*map(numbers, usage.by_channel), *rolling]


def sums_of(group: Group) -> _Sums:
    """What a group holds in the counters."""
    bookings = group.bookings
    return sum(b.amount_minor for b in bookings), sum(b.count for b in bookings)


class Auditor:
    """Judges the steps of one card."""

    def __init__(self, policy: Policy) -> None:
        self._recount: Final = Recount({policy.version: policy}.get)
        self._entries: Final[dict[int, Entry]] = {}
        #: The latest entry of each group, by the version that began it.
        self._groups: Final[dict[int, Group]] = {}
        #: What a group held before a void or completion, by the version of that.
        self._stood: Final[dict[int, _Sums]] = {}
        #: Entries that a reversal with effect took back.
        self._taken_back: Final[set[int]] = set()

    def open(self, state: CardState, entry: Entry) -> None:
        """Take in the registration."""
        self._observe(state, entry)

    def judge(self, happening: Happening) -> None:
        """Raise `BrokenRuleError` where the step broke a rule."""
        result, entry = happening.result, happening.result.entry
        _never_negative(happening.after)
        self._repeats(happening)
        if result.rejection is not None or result.is_repeat or entry is None:
            _check("what is not new moves nothing", happening.after is happening.before, "it did")
            return
        _check(
            "versions have no gaps and time does not run back",
            entry.version == happening.before.version + 1
            and entry.now_ms == happening.clock_ms
            and entry.filed_ms == max(happening.before.last_ms, happening.clock_ms),
            f"version {entry.version} at {entry.now_ms}, filed {entry.filed_ms}",
        )
        moment = Moment(entry.now_ms, happening.before.settings.profile.zone)
        as_of_now, _ = settled(happening.before, moment)
        request = happening.command.request
        if entry.outcome is not Outcome.APPROVE or request is None or _is_idle(entry):
            rule = "a refusal, a question, a change and a message without effect spend nothing"
            _check(rule, _usage(happening.after.usage) == _usage(as_of_now.usage), "counters moved")
        if request is not None:
            self._message(happening, entry, request, as_of_now)
        self._observe(happening.after, entry)

    def _observe(self, state: CardState, entry: Entry) -> None:
        self._entries[entry.version] = entry
        if entry.group is not None:
            self._groups[entry.group.version] = entry.group
        self._recount.observe(state.card_key, entry)
        found = self._recount.differences(state.card_key, state)
        _check("counters equal the recount", not found, "; ".join(found[:2]))

    def _repeats(self, happening: Happening) -> None:
        """A repeat within the time that keys are kept is the same answer."""
        if happening.act.verb not in ("repeat", "conflict"):
            return
        first = self._entries[happening.about]
        now_ms = max(happening.before.last_ms, happening.clock_ms)
        # What was a conflict itself is forgotten with the message that it was in conflict with.
        if first.filed_ms <= now_ms - KEYS_KEPT_MS or first.duplicate_of:
            return
        result, entry = happening.result, happening.result.entry
        if happening.act.verb == "conflict":
            is_conflict = entry is not None and entry.outcome is Outcome.REFUSE
            is_conflict = is_conflict and entry is not None and entry.duplicate_of > 0
            if first.command.request is not None and not first.command.request.stan:
                is_conflict = result.rejection is not None
            _check("the same identity with another body is a conflict", is_conflict, "it was not")
        else:
            is_same = result.is_repeat and entry is not None and entry.version == first.version
            _check("a repeat is the same answer", is_same, f"not that of {first.version}")

    def _message(
        self, happening: Happening, entry: Entry, request: Request, as_of_now: CardState
    ) -> None:
        if happening.act.verb == "late":
            self._late(happening, entry)
        if entry.outcome is not Outcome.APPROVE:
            return
        if request.message_class in (MessageClass.REQUEST, MessageClass.INCREMENT):
            _within_limits(entry, request)
        group = entry.group
        if group is None:
            return
        after = sums_of(group)
        _check("a group counts once", after[1] in (0, 1) and after[0] >= 0, f"it holds {after}")
        known = self._groups.get(group.version)
        if known is None:
            began = entry.version == group.version
            _check("a group begins with its first entry", began, f"{group.version}")
            return
        before = sums_of(known)
        if _is_idle(entry):
            _check("without effect a group stays", after == before, f"{before} became {after}")
            _nothing_was_left(happening, known, before, as_of_now)
            return
        is_increment = request.message_class is MessageClass.INCREMENT
        if request.kind in (Kind.VOID, Kind.COMPLETION) and not is_increment:
            self._stood[entry.version] = before
        if request.message_class is MessageClass.REVERSAL:
            self._reversed(happening, known, before, after)
        else:
            _followed(happening, request, known, before, after, as_of_now)

    def _late(self, happening: Happening, entry: Entry) -> None:
        """A request whose reversal came first is refused."""
        first = self._entries.get(happening.about)
        if first is None or first.filed_ms <= entry.filed_ms - KEYS_KEPT_MS:
            return
        request = happening.command.request
        assert request is not None, "a late act is a message"
        is_held_off = entry.outcome is Outcome.REFUSE or not request.is_debit
        _check("a request that was reversed before is refused", is_held_off, "it was not")

    def _reversed(self, happening: Happening, known: Group, before: _Sums, after: _Sums) -> None:
        """A reversal with effect: of what it named, once."""
        original = self._original(happening)
        if original is None:
            return
        _check(
            "a second reversal gives nothing back",
            original.version not in self._taken_back,
            f"of entry {original.version}: {before} became {after}",
        )
        request = original.command.request
        assert request is not None, "only messages are reversed"
        if original.version == known.version:
            _first_reversed(happening, request, before, after)
        elif original.version in self._stood:
            stood = self._stood[original.version]
            rule = "after the reversal of a void or completion stands what stood before"
            _check(rule, after == stood, f"{stood} stood, then {before}, now {after}")
        # What is reversed in part may be reversed once more; a follow-up is always whole.
        is_increment = request.message_class is MessageClass.INCREMENT
        is_follow_up = is_increment or request.kind in (Kind.VOID, Kind.REFUND, Kind.COMPLETION)
        if not happening.act.verb.endswith("partly") or (
            is_follow_up and original.version != known.version
        ):
            self._taken_back.add(original.version)

    def _original(self, happening: Happening) -> Entry | None:
        """The entry that a reversal means: by version, or the newest with the trace it names.

        After the time that keys are kept the same message again is a new one, so there may be two.
        """
        named = happening.command.original
        if named is None or named.version:
            return self._entries.get(0 if named is None else named.version)
        best: Entry | None = None
        for entry in self._entries.values():
            request = entry.command.request
            if request is None or request.message_class is MessageClass.REVERSAL:
                continue
            if entry.command.trace_key == named.trace_key and not entry.duplicate_of:
                best = entry
        return best


def _is_idle(entry: Entry) -> bool:
    return bool(entry.flags & (Flag.NO_EFFECT | Flag.UNMATCHED))


def _never_negative(state: CardState) -> None:
    whole = numbers(state.usage.by_channel[LimitChannel.ALL])
    for channel, spent in zip(LimitChannel, state.usage.by_channel, strict=True):
        if spent is NOTHING_SPENT:
            continue
        counted = numbers(spent)
        holds = min(counted) >= 0 and all(map(le, counted, whole))
        rule = "no counter is below nothing or above the whole"
        _check(rule, holds, f"{channel.name.lower()} {counted} of {whole}")
    for spend in state.usage.rolling:
        holds = spend.amount_minor >= 0 and spend.count >= 0
        _check("no rolling counter is below nothing", holds, f"{spend.amount_minor}")


def _within_limits(entry: Entry, request: Request) -> None:
    """What was asked and approved is within every limit that speaks about it."""
    if not request.is_debit or entry.flags & Flag.PAST_CONTROL:
        return
    if request.kind is Kind.COMPLETION:
        return
    for report in entry.limits:
        is_within = report.period == Period.TRANSACTION or report.used <= report.limit
        # An increment is no second transaction, so a limit on how often does not speak of it.
        if report.measure == Measure.COUNT and request.message_class is MessageClass.INCREMENT:
            continue
        _check("an approval is within the limits", is_within, f"{report.used} of {report.limit}")


def _billed(happening: Happening, request: Request) -> int:
    """The amount in the card's currency; 0 where nobody told it."""
    currency = happening.before.settings.profile.currency
    if request.billing_currency == currency and request.billing_amount_minor >= 0:
        return request.billing_amount_minor
    return request.amount_minor if request.currency == currency else 0


def _is_over(group: Group, as_of_now: CardState) -> bool:
    """Whether a group was taken back, or was held and lapsed."""
    if group.state is GroupState.HELD:
        return all(hold.group != group.version for hold in as_of_now.holds)
    return group.state in (GroupState.REVERSED, GroupState.VOIDED)


def _nothing_was_left(
    happening: Happening, known: Group, before: _Sums, as_of_now: CardState
) -> None:
    """A reversal of a group's first message may only be without effect where nothing was left."""
    request, named = happening.command.request, happening.command.original
    is_of_first = named is not None and named.version == known.version
    if request is None or request.message_class is not MessageClass.REVERSAL or not is_of_first:
        return
    assert named is not None, "it is of the first message"
    is_foreign = request.currency != happening.before.settings.profile.currency
    if _is_over(known, as_of_now) or (is_foreign and named.replacement_minor > 0):
        return
    left = before[0] - max(named.replacement_minor, 0)
    _check("a reversal gives back what is left", left <= 0, f"{left} of {before[0]} stayed")


def _first_reversed(happening: Happening, request: Request, before: _Sums, after: _Sums) -> None:
    """The first message of a group was reversed, wholly or down to what is to stand."""
    named = happening.command.original
    stands = 0 if named is None or named.replacement_minor < 0 else named.replacement_minor
    if request.billing_amount_minor >= 0 and request.amount_minor:
        stands = -(-request.billing_amount_minor * stands // request.amount_minor)
    if stands == 0:
        _check("a full reversal leaves nothing", after == (0, 0), f"{before} became {after}")
    else:
        expected = (min(before[0], stands), before[1])
        _check("a partial reversal leaves what it says", after == expected, f"{after}")


def _followed(
    happening: Happening,
    request: Request,
    known: Group,
    before: _Sums,
    after: _Sums,
    as_of_now: CardState,
) -> None:
    """What a void, refund, completion, increment or advice leaves of a group."""
    billed = _billed(happening, request)
    refunded = known.approved_minor - before[0]
    if request.kind is Kind.VOID:
        expected = (0, 0)
    elif request.kind is Kind.REFUND:
        limits = as_of_now.settings.controls.limits
        restores = limits is not None and limits.refunds_restore
        back = min(billed, before[0]) if restores and not _is_over(known, as_of_now) else 0
        expected = (before[0] - back, before[1])
    elif request.message_class is MessageClass.INCREMENT:
        expected = (before[0] + billed, before[1])
    else:
        expected = (max(billed - refunded, 0), before[1])
    _check("a follow-up moves what it says", after == expected, f"{before} became {after}")
