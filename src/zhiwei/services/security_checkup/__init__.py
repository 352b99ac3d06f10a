"""Security check-up (账户安全检测): what is set up badly, and a one-tap fix for each gap.

It looks at all cards of one customer. `quick` asks what the guardian itself knows of settings and
bindings; `full` also reads how the cards were used in the last 12 months, and what the app says of
the device. Each finding has an id, a severity, the points it costs, evidence from the customer's
own data, and where there is one a fix that can be sent as it stands. The score is 100 minus the
points, at least 0. The same data give the same report; it is kept with the version of its rules. It
judges settings, not transactions: nothing is refused here.
"""

from __future__ import annotations

from zhiwei.services.security_checkup.examine import examine
from zhiwei.services.security_checkup.history import CardHistory, history_of
from zhiwei.services.security_checkup.report import (
    RULES_VERSION,
    CheckupFinding,
    Device,
    Fix,
    Mode,
    Report,
    document,
)

__all__ = [
    "RULES_VERSION",
    "CardHistory",
    "CheckupFinding",
    "Device",
    "Fix",
    "Mode",
    "Report",
    "document",
    "examine",
    "history_of",
]
