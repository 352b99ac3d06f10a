"""Shown: how values stand on a page: amounts, times on the card's clock, and strangers' words."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from jinja2 import pass_context
from jinja2.runtime import Context

from zhiwei.core.card_state import CardState
from zhiwei.core.money import BY_CODE, major_units
from zhiwei.core.place import PROVINCES
from zhiwei.gateways.http.house import Words
from zhiwei.vault import text_without_numbers

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Characters that turn the direction of a line or cannot be seen.
_UNSEEN: Final = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")


def money(amount_minor: int, currency: str) -> str:
    """`6,800.00 CNY`; the bare number where nobody told a known currency."""
    if currency not in BY_CODE:
        return f"{amount_minor} {currency}".strip()
    return f"{major_units(amount_minor, currency)} {currency}"


def plain(text: str, most: int = 0) -> str:
    """A text of a stranger: on one line, without what cannot be seen, cut at `most` (0 = never).

    Card numbers in it are hidden. Marks of direction would let a name rearrange the row around it.
    """
    seen = "".join(" " if unicodedata.category(c) in _UNSEEN else c for c in text)
    words = text_without_numbers(" ".join(seen.split()))
    return f"{words[: most - 1]}…" if 0 < most < len(words) else words


@pass_context
def instant(context: Context, instant_ms: int, card: CardState) -> str:
    """`11月24日 12:00` or `24 Nov 12:00` on the card's own clock; with the year if not this one."""
    zone = card.settings.profile.zone
    local = _EPOCH + timedelta(milliseconds=zone.local_ms(instant_ms))
    now = _EPOCH + timedelta(milliseconds=zone.local_ms(context.get("now_ms", instant_ms)))
    is_chinese = context["language"] == "zh"
    # %b follows the machine's locale; names of months must not.
    month = _MONTHS[local.month - 1]
    day = f"{local.month}月{local.day}日" if is_chinese else f"{local.day} {month}"
    if local.year != now.year:
        day = f"{local.year}年{day}" if is_chinese else f"{day} {local.year}"
    return f"{day} {local:%H:%M}"


@pass_context
def province(context: Context, code: str) -> str:
    """Name of a province by its GB/T 2260 code."""
    found = PROVINCES.get(code)
    if found is None:
        return code
    return found.zh if context["language"] == "zh" else found.en


def filters(words: Words, country: Callable[[str, str], str]) -> Mapping[str, Any]:
    """All filters that every template has; `country` names one (alpha-3) in a language."""

    @pass_context
    def country_name(context: Context, alpha3: str) -> str:
        return country(alpha3, context["language"])

    @pass_context
    def service(context: Context, name: str) -> str:
        return words.service(name)[context["language"]]

    return {
        "money": money,
        "plain": plain,
        "instant": instant,
        "province": province,
        "country": country_name,
        "service": service,
    }


_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
