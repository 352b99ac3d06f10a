"""Challenges: answers to questions.

Yes leaves a pass, no sets a stop, and the first valid answer wins.
"""

from __future__ import annotations

from dataclasses import replace

from zhiwei.core.card_state import (
    Challenge,
    ChallengeState,
    Permission,
    PermissionKind,
    StopSource,
)
from zhiwei.core.command import AnswerChallenge, MarkUndeliverable, Via
from zhiwei.core.event import Event, EventKind
from zhiwei.core.result import Audit, Rejection, Result, rejected
from zhiwei.guardian.case import Case
from zhiwei.guardian.outcome import changed
from zhiwei.guardian.stops import stop_with

#: What a "yes" by SMS may answer, where policy allows it at all (SEMANTICS 6 and 3.6).
_BY_SMS = frozenset(("magstripe_verification", "large_spend_verification"))


def answer(case: Case, change: AnswerChallenge) -> Result:
    """Answer a question by its id or reference. A reply by SMS must carry the reference."""
    challenge = _challenge(case, change.challenge)
    if challenge is None:
        return rejected(Rejection.CHALLENGE_NOT_FOUND)
    if challenge.state is ChallengeState.EXPIRED:
        return rejected(Rejection.CHALLENGE_EXPIRED)
    if challenge.state not in (ChallengeState.PENDING, ChallengeState.UNDELIVERABLE):
        return rejected(Rejection.CHALLENGE_ALREADY_ANSWERED)
    if challenge.expires_ms <= case.moment.now_ms:
        return rejected(Rejection.CHALLENGE_EXPIRED)
    if change.is_yes:
        return _yes(case, challenge, change)
    return _no(case, challenge)


def mark_undeliverable(case: Case, change: MarkUndeliverable) -> Result:
    """No message about the question could be delivered; it may still be answered in the app."""
    challenge = _challenge(case, change.challenge)
    if challenge is None or challenge.state is not ChallengeState.PENDING:
        return rejected(Rejection.CHALLENGE_NOT_FOUND)
    challenges = _with_state(case, challenge, ChallengeState.UNDELIVERABLE)
    event = Event(EventKind.CHALLENGE_UNDELIVERABLE, {"challenge": challenge.id})
    return changed(
        case, settings=replace(case.state.settings, challenges=challenges), events=(event,)
    )


def pass_for(challenge: Challenge, answered_ms: int, pass_ms: int) -> Permission:
    """The pass that a "yes" leaves: this merchant, currency and amount, once, for a short time.

    It lifts only what was asked about, so a lock that closes in between still holds.
    """
    return Permission(
        id=challenge.id.replace("chg_", "pass_", 1),
        kind=PermissionKind.PASS,
        from_ms=answered_ms,
        until_ms=answered_ms + pass_ms,
        controls=challenge.controls,
        merchant_id=challenge.merchant_id,
        currency=challenge.currency,
        amount_max=challenge.amount_minor,
        uses_left=1,
        created_ms=answered_ms,
    )


def _yes(case: Case, challenge: Challenge, change: AnswerChallenge) -> Result:
    actor = case.command.actor
    if actor.via is Via.SMS:
        names_reference = change.challenge == challenge.reference
        may = case.policy.sms_may_approve and set(challenge.reasons) <= _BY_SMS
        if not (names_reference and may):
            return rejected(Rejection.NOT_BY_SMS)
    elif not actor.is_strong:
        return rejected(Rejection.STRONG_AUTHENTICATION_REQUIRED)
    now_ms = case.moment.now_ms
    settings = case.state.settings
    permission = pass_for(challenge, now_ms, case.policy.pass_ms)
    settings = replace(
        settings,
        challenges=_with_state(case, challenge, ChallengeState.APPROVED),
        permissions=(*settings.permissions, permission),
    )
    return changed(
        case,
        settings=settings,
        events=(_answered_event(challenge, "approve"),),
        audits=(Audit("challenge.approved", challenge.id, "pending", "approved"),),
        note=permission.id,
    )


def _no(case: Case, challenge: Challenge) -> Result:
    """Not mine: the card is stopped at once and a case is opened."""
    settings = replace(
        case.state.settings, challenges=_with_state(case, challenge, ChallengeState.DENIED)
    )
    settings, events, audits, reference = stop_with(case, settings, StopSource.CHALLENGE)
    opened = Event(
        EventKind.CASE_OPENED, {"challenge": challenge.id, "reference": challenge.reference}
    )
    return changed(
        case,
        settings=settings,
        events=(_answered_event(challenge, "deny"), *events, opened),
        audits=(Audit("challenge.denied", challenge.id, "pending", "denied"), *audits),
        note=reference,
    )


def _challenge(case: Case, name: str) -> Challenge | None:
    """The question of this id or reference; references of questions that are over count last."""
    found = [c for c in case.state.settings.challenges if name in (c.id, c.reference)]
    found.sort(key=lambda c: c.state is not ChallengeState.PENDING)
    return found[0] if found else None


def _with_state(case: Case, challenge: Challenge, state: ChallengeState) -> tuple[Challenge, ...]:
    """All questions, with this one in a new state."""
    is_answer = state in (ChallengeState.APPROVED, ChallengeState.DENIED)
    after = replace(
        challenge,
        state=state,
        answered_ms=case.moment.now_ms if is_answer else 0,
        answered_via=case.command.actor.via.name.lower() if is_answer else "",
    )
    return tuple(after if c is challenge else c for c in case.state.settings.challenges)


def _answered_event(challenge: Challenge, answer_word: str) -> Event:
    return Event(
        EventKind.CHALLENGE_ANSWERED,
        {
            "challenge": challenge.id,
            "reference": challenge.reference,
            "answer": answer_word,
            "amount": challenge.amount_minor,
            "currency": challenge.currency,
            "merchant": challenge.merchant_name,
        },
    )
