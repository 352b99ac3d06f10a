"""Settle: the card's file as of a moment; what time alone changes.

Windows that are over are empty, holds that lapsed give back, loosenings whose cooling-off is over
take effect, permissions and questions that ran out are gone. It is done lazily, before a decision
or a reading, so no timer can be late, and it depends on nothing but the file and the moment.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from zhiwei.core.card_state import CardState, Challenge, ChallengeState, Hold, Settings
from zhiwei.core.documents import document_of
from zhiwei.core.event import Event, EventKind
from zhiwei.core.usage import Booking, Usage, moved, rolled, rolling_given_back
from zhiwei.core.windows import HOUR_MS, Moment

#: Answered questions are kept this long, so that a late or second answer can be told what happened.
ANSWERED_KEPT_MS: Final = 24 * HOUR_MS


def settled(state: CardState, moment: Moment) -> tuple[CardState, tuple[Event, ...]]:
    """The file as of `moment` (same version), and what somebody must be told of it."""
    usage = rolled(state.usage, moment)
    holds = state.holds
    if holds and holds[0].expires_ms <= moment.now_ms:
        usage, holds = _without_lapsed(usage, holds, moment.now_ms)
    settings, events = _settled_settings(state.settings, moment.now_ms)
    if usage is state.usage and holds is state.holds and settings is state.settings:
        return state, ()
    return (
        CardState(
            state.card_key,
            state.version,
            state.last_ms,
            state.chain,
            settings,
            usage,
            holds,
            state.inquiries,
        ),
        events,
    )


def given_back(
    usage: Usage, bookings: tuple[Booking, ...], group: int, amount_minor: int, count: int
) -> tuple[Usage, tuple[Booking, ...]]:
    """Give back amount and count to the windows they were booked in, the latest booking first.

    No booking gives back more than it holds, so counters never fall below what else was spent.
    """
    left = amount_minor
    count_left = count
    kept: list[Booking] = []
    for booking in reversed(bookings):
        amount = min(left, booking.amount_minor)
        times = min(count_left, booking.count)
        left -= amount
        count_left -= times
        after = booking
        if amount or times:
            usage = moved(usage, booking, -amount, -times)
            after = Booking(
                booking.amount_minor - amount,
                booking.count - times,
                booking.channels,
                booking.day,
                booking.week,
                booking.month,
                booking.year,
            )
        kept.append(after)
    kept.reverse()
    usage = rolling_given_back(usage, group, amount_minor - left, count - count_left)
    return usage, tuple(kept)


def booked_minor(bookings: tuple[Booking, ...]) -> int:
    """What a group holds in the counters in all."""
    return sum(booking.amount_minor for booking in bookings)


def _without_lapsed(
    usage: Usage, holds: tuple[Hold, ...], now_ms: int
) -> tuple[Usage, tuple[Hold, ...]]:
    """Give back what lapsed holds hold. Holds are kept in order of expiry."""
    kept: list[Hold] = []
    for hold in holds:
        if hold.expires_ms <= now_ms:
            amount = booked_minor(hold.bookings)
            count = sum(b.count for b in hold.bookings)
            usage, _ = given_back(usage, hold.bookings, hold.group, amount, count)
        else:
            kept.append(hold)
    return usage, tuple(kept)


def _settled_settings(settings: Settings, now_ms: int) -> tuple[Settings, tuple[Event, ...]]:
    """The cold part as of now; the very same value where nothing is due."""
    if not (settings.pending or settings.permissions or settings.challenges):
        return settings, ()
    events: list[Event] = []
    if any(change.available_ms <= now_ms for change in settings.pending):
        controls = settings.controls
        for change in settings.pending:
            if change.available_ms <= now_ms:
                controls = controls.changed(change.control_type, change.control)
                events.append(
                    Event(
                        EventKind.LOOSENING_TOOK_EFFECT,
                        {
                            "control": change.control_type,
                            "new": ""
                            if change.control is None
                            else str(document_of(change.control)),
                        },
                    )
                )
        waiting = tuple(c for c in settings.pending if c.available_ms > now_ms)
        settings = replace(settings, controls=controls, pending=waiting)
    if any(permission.until_ms <= now_ms for permission in settings.permissions):
        kept = tuple(p for p in settings.permissions if p.until_ms > now_ms)
        settings = replace(settings, permissions=kept)
    if any(_is_due(challenge, now_ms) for challenge in settings.challenges):
        settings = replace(settings, challenges=_settled_challenges(settings, now_ms, events))
    return settings, tuple(events)


def _is_due(challenge: Challenge, now_ms: int) -> bool:
    """Whether time changes this question now."""
    if challenge.state is ChallengeState.PENDING:
        return challenge.expires_ms <= now_ms
    return challenge.asked_ms + ANSWERED_KEPT_MS <= now_ms


def _settled_challenges(
    settings: Settings, now_ms: int, events: list[Event]
) -> tuple[Challenge, ...]:
    """Questions as of now: unanswered ones expire, old ones are forgotten."""
    kept: list[Challenge] = []
    for challenge in settings.challenges:
        if challenge.asked_ms + ANSWERED_KEPT_MS <= now_ms:
            continue
        if challenge.state is ChallengeState.PENDING and challenge.expires_ms <= now_ms:
            events.append(
                Event(
                    EventKind.CHALLENGE_EXPIRED,
                    {"challenge": challenge.id, "reference": challenge.reference},
                )
            )
            challenge = replace(challenge, state=ChallengeState.EXPIRED)  # noqa: PLW2901 - as of now
        kept.append(challenge)
    return tuple(kept)
