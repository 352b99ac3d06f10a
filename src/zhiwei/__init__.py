"""智卫 zhiwei: the guardian of card accounts.

It decides card authorizations by what the cardholder asked for (locks, limits, verification, stop)
and by the issuer's own rules, remembers every decision durably, and can say why. Start reading at
`services/`, which is the list of what it does, then `core/decide.py`, which is the law.
"""

from __future__ import annotations

__version__ = "0.1.0"
