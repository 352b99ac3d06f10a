"""Allow once (只放行这一次): a refused payment may pass one time in 15 minutes, within bounds.

It is bound to what was refused: the merchant (where none was named, the place), the currency, and
the amount as a ceiling; and it opens only the controls that stood in the way. What cannot be bound
so is not offered, and the page says why and what to do instead.
"""

from __future__ import annotations

from typing import Any, Final

from zhiwei.core.card_state import CardState, Permission, PermissionKind
from zhiwei.core.command import Change, GrantPermission
from zhiwei.core.decide import billed_minor
from zhiwei.core.entry import Entry
from zhiwei.core.finding import Finding, Outcome
from zhiwei.core.money import BY_CODE
from zhiwei.core.place import country_code, province_code
from zhiwei.core.reason import LIFTABLE_BY_PERMISSION
from zhiwei.core.request import MessageClass
from zhiwei.core.request import Request as CardMessage
from zhiwei.core.windows import MINUTE_MS
from zhiwei.web.cardholder.deeds import BadFormError, Fields, Kind, field
from zhiwei.web.frame.shown import money

_ONCE_MS: Final = 15 * MINUTE_MS
_MERCHANT_MAX: Final = 64
_AMOUNT_MAX: Final = 10**15


def is_refused_payment(entry: Entry) -> bool:
    """Whether it asked for something and did not get it; else there is nothing to allow."""
    request = entry.command.request
    is_question = request is not None and request.message_class is MessageClass.REQUEST
    return is_question and entry.outcome is not Outcome.APPROVE


def why_not_once(entry: Entry, card: CardState, now_ms: int) -> str:
    """Key of the sentence why a refused payment cannot be allowed once; empty where it can."""
    request = entry.command.request
    standing = _standing(entry)
    if request is None or any(f.reason not in LIFTABLE_BY_PERMISSION for f in standing):
        return "once.not.liftable"
    settings = card.settings
    if settings.stop is not None or settings.controls.card_lock is not None:
        return "once.not.stopped"
    if billed_minor(card, request) < 0:
        return "once.not.amount"
    # An exception that waits until the new phone or number is trusted would end before it begins.
    return "once.not.new_contact" if settings.new_contact_until_ms > now_ms else ""


def once_fields(entry: Entry, card: CardState) -> dict[str, str]:
    """Fields of the form that lets this payment pass once."""
    request = entry.command.request
    assert request is not None, "only a payment can be allowed"
    return {
        "merchant": request.merchant_id,
        "country": "" if request.merchant_id else request.country,
        "region": "" if request.merchant_id else request.region,
        "currency": request.currency,
        "amount_max": str(billed_minor(card, request)),
        "controls": ",".join(sorted({finding.control for finding in _standing(entry)})),
    }


def bound_to(request: CardMessage) -> str:
    """What holds the exception beside its amount: `merchant`, `place`, or `amount` = nothing."""
    if request.merchant_id:
        return "merchant"
    return "place" if request.country or request.region else "amount"


def _standing(entry: Entry) -> list[Finding]:
    return [f for f in entry.findings if f.stands and f.outcome is not Outcome.APPROVE]


def _allow_once(_card: CardState, fields: Fields, now_ms: int) -> Change:
    """15 minutes, once, there, for no more than this; only what stood in the way."""
    controls = tuple(one for one in field(fields, "controls").split(",") if one)
    merchant, currency = field(fields, "merchant", ""), field(fields, "currency", "")
    country, region = field(fields, "country", ""), field(fields, "region", "")
    # No controls would mean every one; a form of ours names those that refused.
    is_known = not currency or currency in BY_CODE
    if not controls or not is_known or len(merchant) > _MERCHANT_MAX:
        raise BadFormError("form.unknown")
    permission = Permission(
        id="",
        kind=PermissionKind.TEMPORARY,
        from_ms=now_ms,
        until_ms=now_ms + _ONCE_MS,
        controls=controls,
        countries=(country_code(country, "/country"),) if country else (),
        regions=(province_code(region, "/region"),) if region else (),
        merchant_id=merchant,
        currency=currency,
        amount_max=_ceiling(fields),
        uses_left=1,
    )
    return GrantPermission(permission)


def _ceiling(fields: Fields) -> int:
    """The most that may pass, in minor units of the card's currency; there is always one."""
    text = field(fields, "amount_max")
    if not (text.isascii() and text.isdigit()) or len(text) > 16 or int(text) > _AMOUNT_MAX:
        raise BadFormError("form.unknown")
    return int(text)


def _told(card: CardState, fields: Fields) -> tuple[str, dict[str, Any]]:
    """What is proved names what binds. A name is not in it: the form could say any."""
    amount = money(_ceiling(fields), card.settings.profile.currency)
    return "told.allow_once", {"amount": amount, "tail": card.settings.profile.tail}


KINDS: Final = (Kind("allow_once", _allow_once, _told, "done.allow_once"),)
