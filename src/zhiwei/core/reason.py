"""Reason: why a request was refused or questioned; a closed, numbered, ordered list.

Numbers are never reused. A smaller number is shown first: the hundreds are the classes of SEMANTICS
5 in their order. What a network is told (DE39) is not here: that is a table of each door's own.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Reason(IntEnum):
    """One sentence that is true of a request.

    The order is the precedence; the hundreds are the classes.
    """

    # 1xx: the message itself.
    SAME_IDENTITY_OTHER_BODY = 101
    REVERSED_BEFORE_ARRIVAL = 102
    BILLING_AMOUNT_MISSING = 103
    ORIGINAL_NOT_APPROVED = 104
    # 2xx: the card is closed, lost (挂失) or frozen (冻结).
    CARD_CLOSED = 201
    CARD_LOST = 202
    CARD_FROZEN = 203
    # 3xx: stop (止付) and the whole-card lock (整卡锁).
    STOP_PAYMENT_ACTIVE = 301
    CARD_LOCK_ACTIVE = 302
    # 4xx: the medium.
    MAGSTRIPE_FALLBACK = 401
    INQUIRY_ON_FLAGGED_TERMINAL = 402
    # 5xx: locks of place and time, and the further locks of the cardholder.
    REGION_LOCK_ACTIVE = 501
    OVERSEAS_LOCK_ACTIVE = 502
    NIGHT_LOCK_ACTIVE = 503
    ONLINE_LOCK_ACTIVE = 504
    OVERSEAS_ONLINE_LOCK_ACTIVE = 505
    CATEGORY_LOCK_ACTIVE = 506
    INSTITUTION_BLOCKED = 507
    LOCATION_UNKNOWN = 508
    # 6xx: the issuer's own rules.
    CATEGORY_CLOSED_BY_ISSUER = 601
    # 7xx: limits. Amounts first, then counts.
    OVER_TRANSACTION_LIMIT = 701
    OVER_DAILY_LIMIT = 702
    OVER_WEEKLY_LIMIT = 703
    OVER_MONTHLY_LIMIT = 704
    OVER_YEARLY_LIMIT = 705
    OVER_ROLLING_LIMIT = 706
    OVER_DAILY_COUNT = 712
    OVER_WEEKLY_COUNT = 713
    OVER_MONTHLY_COUNT = 714
    OVER_YEARLY_COUNT = 715
    OVER_ROLLING_COUNT = 716
    # 8xx: a question to the cardholder.
    MAGSTRIPE_VERIFICATION = 801
    LARGE_SPEND_VERIFICATION = 802
    # 9xx: the house itself.
    RULE_FAILED = 901
    STATE_UNREADABLE = 902

    @property
    def code(self) -> str:
        """The name that API answers carry, for example `night_lock_active`."""
        return self.name.lower()


#: Place, time and verification findings, which a pass or a temporary permission may lift. Never a
#: stop, a freeze, a medium or an issuer's rule (SEMANTICS 5).
LIFTABLE_BY_PERMISSION: Final = frozenset(
    (
        Reason.REGION_LOCK_ACTIVE,
        Reason.OVERSEAS_LOCK_ACTIVE,
        Reason.NIGHT_LOCK_ACTIVE,
        Reason.ONLINE_LOCK_ACTIVE,
        Reason.OVERSEAS_ONLINE_LOCK_ACTIVE,
        Reason.CATEGORY_LOCK_ACTIVE,
        Reason.LOCATION_UNKNOWN,
        Reason.MAGSTRIPE_VERIFICATION,
        Reason.LARGE_SPEND_VERIFICATION,
    )
)
