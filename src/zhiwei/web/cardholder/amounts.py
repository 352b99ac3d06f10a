"""Amounts: what people type as money or a number, read strictly, and what they saw as they typed.

Pages of limits, verification, alerts and travel share it. People write major units (`200.00`); the
core counts minor units.
"""

from __future__ import annotations

import re
from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.command import CancelPending, Change, RemoveControl, SetControl
from zhiwei.core.controls import AMOUNT_MAX, COUNT_MAX, Control
from zhiwei.core.documents import etag
from zhiwei.core.money import currency, major_units
from zhiwei.web.cardholder.deeds import BadFormError, Fields, field

_AMOUNT: Final = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,6}))?", re.ASCII)
_COUNT: Final = re.compile(r"[0-9]{1,7}", re.ASCII)


def amount_in(card: CardState, fields: Fields, name: str) -> int:
    """An amount of the card's currency, in minor units.

    Raises:
        BadFormError: empty, not digits with at most one dot, too many decimals, or too large.
    """
    text = field(fields, name)
    if not text:
        raise BadFormError("form.missing", field=name)
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise BadFormError("money.bad_amount")
    exponent = currency(card.settings.profile.currency).exponent
    fraction = found[2] or ""
    if len(fraction) > exponent:
        raise BadFormError("money.too_fine", digits=exponent)
    minor = int(found[1] + fraction.ljust(exponent, "0"))
    if minor > AMOUNT_MAX:
        raise BadFormError("money.too_large")
    return minor


def count_in(fields: Fields, name: str) -> int:
    """A number of payments.

    Raises:
        BadFormError: empty, not digits, or too large.
    """
    text = field(fields, name)
    if not text:
        raise BadFormError("form.missing", field=name)
    if _COUNT.fullmatch(text) is None:
        raise BadFormError("money.bad_count")
    if int(text) > COUNT_MAX:
        raise BadFormError("money.too_large")
    return int(text)


def amount_text(amount_minor: int, code: str) -> str:
    """`6800.00` for 680000 CNY: as it stands in a field, and as `amount_in` reads it."""
    return major_units(amount_minor, code).replace(",", "")


def etag_of(card: CardState, control_type: str) -> str:
    """The ETag that a form keeps of a control; empty where it is not set."""
    control = card.settings.controls.of_type(control_type)
    return "" if control is None else etag(control)


def set_as_seen(control_type: str, control: Control, fields: Fields) -> Change:
    """Set a control if it still is as the page of this form showed it."""
    seen = field(fields, "etag", "")
    return SetControl(control_type, control, if_match=seen, if_none_match=not seen)


def remove_as_seen(control_type: str, fields: Fields) -> Change:
    """Take a control away if it still is as the page of this form showed it."""
    return RemoveControl(control_type, if_match=field(fields, "etag", ""))


def cancel(control_type: str) -> Change:
    """Leave a control as it is: what waits for its cooling-off is given up."""
    return CancelPending(control_type)


def one_of(fields: Fields, name: str, known: tuple[str, ...]) -> str:
    """A field that is one of a few words.

    Raises:
        BadFormError: it is another one; no form of ours sends that.
    """
    word = field(fields, name)
    if word not in known:
        raise BadFormError("form.unknown")
    return word
