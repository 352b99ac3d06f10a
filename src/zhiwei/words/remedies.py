"""Remedies: what a cardholder can do about each reason, as one word that an app can act on."""

from __future__ import annotations

from typing import Final

from zhiwei.core.finding import Facts
from zhiwei.core.reason import Reason

#: Let it through for a while, by a temporary permission or a travel plan.
EXCEPTION: Final = "exception"
#: It becomes possible by itself, when a window ends.
WAIT: Final = "wait"
#: Lift or change the control (or stop) that refused; needs strong authentication.
CHANGE_CONTROL: Final = "change_control"
#: Answer the question that was sent, then pay again.
ANSWER_CHALLENGE: Final = "answer_challenge"
#: Only the issuer can help.
CONTACT_ISSUER: Final = "contact_issuer"
#: The message was at fault, not the card: a new payment may pass.
PAY_AGAIN: Final = "pay_again"
#: Insert or tap the card instead of swiping it.
USE_CHIP: Final = "use_chip"

REMEDIES: Final[dict[Reason, str]] = {
    Reason.SAME_IDENTITY_OTHER_BODY: PAY_AGAIN,
    Reason.REVERSED_BEFORE_ARRIVAL: PAY_AGAIN,
    Reason.BILLING_AMOUNT_MISSING: CONTACT_ISSUER,
    Reason.ORIGINAL_NOT_APPROVED: PAY_AGAIN,
    Reason.CARD_CLOSED: CONTACT_ISSUER,
    Reason.CARD_LOST: CONTACT_ISSUER,
    Reason.CARD_FROZEN: CONTACT_ISSUER,
    Reason.STOP_PAYMENT_ACTIVE: CHANGE_CONTROL,
    Reason.CARD_LOCK_ACTIVE: CHANGE_CONTROL,
    Reason.MAGSTRIPE_FALLBACK: USE_CHIP,
    Reason.INQUIRY_ON_FLAGGED_TERMINAL: CONTACT_ISSUER,
    Reason.REGION_LOCK_ACTIVE: EXCEPTION,
    Reason.OVERSEAS_LOCK_ACTIVE: EXCEPTION,
    Reason.NIGHT_LOCK_ACTIVE: EXCEPTION,
    Reason.ONLINE_LOCK_ACTIVE: EXCEPTION,
    Reason.OVERSEAS_ONLINE_LOCK_ACTIVE: EXCEPTION,
    Reason.CATEGORY_LOCK_ACTIVE: EXCEPTION,
    Reason.INSTITUTION_BLOCKED: CHANGE_CONTROL,
    Reason.LOCATION_UNKNOWN: EXCEPTION,
    Reason.CATEGORY_CLOSED_BY_ISSUER: CONTACT_ISSUER,
    Reason.OVER_TRANSACTION_LIMIT: CHANGE_CONTROL,
    Reason.OVER_DAILY_LIMIT: WAIT,
    Reason.OVER_WEEKLY_LIMIT: WAIT,
    Reason.OVER_MONTHLY_LIMIT: WAIT,
    Reason.OVER_YEARLY_LIMIT: WAIT,
    Reason.OVER_ROLLING_LIMIT: WAIT,
    Reason.OVER_DAILY_COUNT: WAIT,
    Reason.OVER_WEEKLY_COUNT: WAIT,
    Reason.OVER_MONTHLY_COUNT: WAIT,
    Reason.OVER_YEARLY_COUNT: WAIT,
    Reason.OVER_ROLLING_COUNT: WAIT,
    Reason.MAGSTRIPE_VERIFICATION: ANSWER_CHALLENGE,
    Reason.LARGE_SPEND_VERIFICATION: ANSWER_CHALLENGE,
    Reason.RULE_FAILED: CONTACT_ISSUER,
    Reason.STATE_UNREADABLE: CONTACT_ISSUER,
}


def remedy_of(reason: Reason, facts: Facts = (), control: str = "") -> str:
    """The remedy of a reason, sharpened by what was found.

    Waiting does not help where one payment alone is more than the limit, and a cardholder cannot
    change what the issuer set.
    """
    remedy = REMEDIES[reason]
    if remedy == WAIT and _alone_is_too_much(facts):
        remedy = CHANGE_CONTROL
    if remedy == CHANGE_CONTROL and control == "issuer":
        return CONTACT_ISSUER
    return remedy


def _alone_is_too_much(facts: Facts) -> bool:
    """Whether the payment would exceed the limit even in an empty window."""
    numbers = {name: value for name, value in facts if isinstance(value, int)}
    asked = numbers.get("amount", numbers.get("count", 0))
    return asked > numbers.get("limit", asked)
