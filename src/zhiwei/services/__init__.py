"""The rooms, one module for each service: who judges, who speaks, and what loosens.

A newcomer who lists this folder has read the product's brochure. Rooms do not know each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from zhiwei.core.controls import Control
from zhiwei.core.decide import Judge
from zhiwei.core.notice import Notice
from zhiwei.services import (
    balance_change_alert,
    balance_inquiry_alert,
    card_lock,
    card_status,
    category_lock,
    decline_alert,
    issuer_rules,
    large_spend_verification,
    magstripe_verification,
    medium,
    online_lock,
    overseas_online_lock,
    spend_limits,
    stop_payment,
)
from zhiwei.services.safety_locks import night, overseas, region

#: Who judges, in the order of precedence of SEMANTICS 5. All are always asked.
JUDGES: Final[tuple[tuple[str, Judge], ...]] = (
    ("card_status", card_status.judge),
    ("stop_payment", stop_payment.judge),
    ("card_lock", card_lock.judge),
    ("medium", medium.judge),
    ("region_lock", region.judge),
    ("overseas_lock", overseas.judge),
    ("night_lock", night.judge),
    ("online_lock", online_lock.judge),
    ("overseas_online_lock", overseas_online_lock.judge),
    ("category_lock", category_lock.judge),
    ("issuer_rules", issuer_rules.judge),
    ("limits", spend_limits.judge),
    ("magstripe_verification", magstripe_verification.judge),
    ("large_spend_verification", large_spend_verification.judge),
)
#: What an increment is shown to: place, time and category were judged with its original.
INCREMENT_JUDGES: Final[tuple[tuple[str, Judge], ...]] = tuple(
    [row for row in JUDGES if row[0] in ("card_status", "stop_payment", "card_lock", "limits")]
)

#: Who may have something to say after a decision.
NOTICES: Final[tuple[Notice, ...]] = (
    balance_inquiry_alert.notice,
    decline_alert.notice,
    spend_limits.notice,
)

_LOOSENS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "region_lock": region.loosens,
    "overseas_lock": overseas.loosens,
    "night_lock": night.loosens,
    "online_lock": online_lock.loosens,
    "overseas_online_lock": overseas_online_lock.loosens,
    "category_lock": category_lock.loosens,
    "card_lock": card_lock.loosens,
    "limits": spend_limits.loosens,
    "magstripe_verification": magstripe_verification.loosens,
    "large_spend_verification": large_spend_verification.loosens,
    "balance_inquiry_alert": balance_inquiry_alert.loosens,
    "balance_change_alert": balance_change_alert.loosens,
    "decline_alert": decline_alert.loosens,
}
#: By type of control: could something be approved with the second setting that the first one
#: refused?
LOOSENS: Final[dict[str, Callable[[Control | None, Control | None], bool]]] = dict(_LOOSENS)
