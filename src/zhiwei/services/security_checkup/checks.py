"""The checks: each looks at one thing of one card, or of the customer, and says what is missing.

Points are those of the rules version (`report.RULES_VERSION`); together they are 100. What costs
nothing is a tip, and tips are given by the full check-up only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from zhiwei.core.card_state import Binding, CardState
from zhiwei.core.controls import PLACES_MAX, Limit, LimitChannel, Measure, Period
from zhiwei.core.documents import limit_document
from zhiwei.core.ids import card_id
from zhiwei.core.money import BY_CODE
from zhiwei.core.windows import day_number, year_and_month
from zhiwei.core.zone import DAY_MS
from zhiwei.services.security_checkup.history import LOOKED_BACK_MS, CardHistory
from zhiwei.services.security_checkup.report import EvidenceFacts, Fix, FixBody

#: More open quick-pay links than this are many.
BINDINGS_MANY: Final = 5
#: Who pays in person at night more often than this in a year is not advised to lock the night.
NIGHTS_OFTEN: Final = 5


@dataclass(frozen=True)
class Gap:
    """What a check found missing: the sentence that fits, the evidence, and a fix if any."""

    sentence: str
    evidence: EvidenceFacts
    fix: Fix | None


#: A check of one card; history is None in a quick check-up.
CardCheck: TypeAlias = "Callable[[CardState, CardHistory | None, int], Gap | None]"


def pure_magstripe(card: CardState, history: CardHistory | None, now_ms: int) -> Gap | None:
    """The card has no chip, and a stripe can be copied."""
    if card.settings.profile.has_chip:
        return None
    return Gap("found", _of(card), None)


def no_balance_alert(card: CardState, history: CardHistory | None, now_ms: int) -> Gap | None:
    """Nobody tells the holder when money moves."""
    if card.settings.controls.balance_change_alert is not None:
        return None
    body: FixBody = {"threshold": 0, "channels": []}
    return Gap("found", _of(card), _put(card, "balance_change_alert", body))


def overseas_lock_off(card: CardState, history: CardHistory | None, now_ms: int) -> Gap | None:
    """The card can be used in person anywhere abroad.

    Who pays in more countries than a lock can name is not advised to set it.
    """
    if card.settings.controls.overseas_lock is not None:
        return None
    evidence = _of(card)
    if history is None:
        return Gap("unknown_use", evidence, _put(card, "overseas_lock", {"countries": []}))
    if not history.countries:
        evidence["months"] = _months(history, now_ms)
        return Gap("never_used", evidence, _put(card, "overseas_lock", {"countries": []}))
    if len(history.countries) > PLACES_MAX:
        return None
    countries = sorted([country for country, _ in history.countries])
    evidence["countries"] = countries
    evidence["uses"] = sum([uses for _, uses in history.countries])
    evidence["last_day"] = _day(card, history.overseas_last_ms)
    return Gap("used_in", evidence, _put(card, "overseas_lock", {"countries": countries}))


def night_lock_off(card: CardState, history: CardHistory | None, now_ms: int) -> Gap | None:
    """The card can be used in person in the middle of the night."""
    if card.settings.controls.night_lock is not None:
        return None
    evidence = _of(card)
    body: FixBody = {"start": "23:00", "end": "05:00", "scope": "domestic"}
    fix = _put(card, "night_lock", body)
    if history is None:
        return Gap("unknown_use", evidence, fix)
    if history.night > NIGHTS_OFTEN:
        return None
    evidence["months"] = _months(history, now_ms)
    if history.night == 0:
        return Gap("never_used", evidence, fix)
    evidence["uses"] = history.night
    evidence["last_day"] = _day(card, history.night_last_ms)
    return Gap("seldom_used", evidence, fix)


def region_lock_off(card: CardState, history: CardHistory | None, now_ms: int) -> Gap | None:
    """The card can be used in person in every province.

    The fix names the provinces where it was used; without any the holder has to choose. Who pays in
    more provinces than a lock can name is not advised to set it.
    """
    if card.settings.controls.region_lock is not None:
        return None
    evidence = _of(card)
    if history is None or not history.regions:
        return Gap("unknown_use", evidence, None)
    if len(history.regions) > PLACES_MAX:
        return None
    regions = sorted([region for region, _ in history.regions])
    evidence["regions"] = regions
    evidence["uses"] = sum([uses for _, uses in history.regions])
    evidence["months"] = _months(history, now_ms)
    return Gap("used_in", evidence, _put(card, "region_lock", {"regions": regions}))


def limits_never_set(card: CardState, history: CardHistory | None, now_ms: int) -> Gap | None:
    """The issuer's ceilings are all that bounds a loss.

    The fix bounds a day to twice the dearest day of the year, in whole thousands of the currency.
    """
    if card.settings.controls.limits is not None:
        return None
    evidence = _of(card)
    if history is None or history.debits == 0:
        return Gap("unknown_use", evidence, None)
    exponent = BY_CODE[card.settings.profile.currency].exponent
    thousand = 1000 * 10**exponent
    amount = max(-(-2 * history.largest_day_minor // thousand), 1) * thousand
    limit = Limit(LimitChannel.ALL, Measure.AMOUNT, Period.DAY, amount)
    evidence["largest_day"] = history.largest_day_minor
    evidence["limit"] = amount
    evidence["currency"] = card.settings.profile.currency
    return Gap("dearest_day", evidence, _put(card, "limits", {"items": [limit_document(limit)]}))


def balance_inquiry_alert_off(
    card: CardState, history: CardHistory | None, now_ms: int
) -> Gap | None:
    """A copied card could be tried out without the holder hearing of it."""
    if card.settings.controls.balance_inquiry_alert is not None:
        return None
    return Gap("found", _of(card), _put(card, "balance_inquiry_alert", {}))


def overseas_online_lock_off(
    card: CardState, history: CardHistory | None, now_ms: int
) -> Gap | None:
    """The card was never used with merchants abroad without being there, and it could be."""
    if card.settings.controls.overseas_online_lock is not None:
        return None
    if history is None or history.overseas_online:
        return None
    evidence = _of(card)
    evidence["months"] = _months(history, now_ms)
    return Gap("never_used", evidence, _put(card, "overseas_online_lock", {}))


def dormant(card: CardState, history: CardHistory | None, now_ms: int) -> Gap | None:
    """The card was not used for a whole year (睡眠卡): it might as well be locked."""
    if card.settings.controls.card_lock is not None or history is None or history.debits:
        return None
    if history.since_ms > now_ms - LOOKED_BACK_MS:
        return None
    return Gap("found", _of(card), _put(card, "card_lock", {}))


def linked(cards: tuple[CardState, ...]) -> list[tuple[CardState, Binding]]:
    """All open links of the customer's cards to payment institutions."""
    return [
        (card, binding)
        for card in cards
        for binding in card.settings.bindings
        if binding.is_open and not binding.removed_ms
    ]


def unlicensed_institution(card: CardState, binding: Binding) -> Gap | None:
    """A link to an institution that the issuer does not know as licensed."""
    if binding.is_licensed:
        return None
    evidence = _of(card)
    evidence["institution"] = binding.name or binding.institution
    return Gap("found", evidence, Fix("DELETE", f"/v1/bindings/{binding.id}"))


def many_bindings(
    links: list[tuple[CardState, Binding]], histories: dict[bytes, CardHistory]
) -> Gap | None:
    """The customer has many open links; the fix ends the one used longest ago, or never."""
    if len(links) <= BINDINGS_MANY:
        return None
    evidence: EvidenceFacts = {
        "links": len(links),
        "institutions": sorted({binding.name or binding.institution for _, binding in links}),
    }
    if not histories:
        return Gap("found", evidence, None)
    ranked: list[tuple[int, int, str, CardState, Binding]] = []
    for card, binding in links:
        history = histories.get(card.card_key)
        used_ms = 0
        if history is not None:
            used_ms = dict(history.institutions).get(binding.institution, 0)
        ranked.append((used_ms, binding.since_ms, binding.id, card, binding))
    ranked.sort(key=_by_use)
    used_ms, _, _, card, oldest = ranked[0]
    evidence["institution"] = oldest.name or oldest.institution
    if used_ms:
        evidence["last_day"] = _day(card, used_ms)
    sentence = "least_used" if used_ms else "never_used"
    return Gap(sentence, evidence, Fix("DELETE", f"/v1/bindings/{oldest.id}"))


def _by_use(row: tuple[int, int, str, CardState, Binding]) -> tuple[int, int, str]:
    return row[:3]


def _of(card: CardState) -> EvidenceFacts:
    """Evidence begins with which card it is about."""
    return {"tail": card.settings.profile.tail}


def _day(card: CardState, at_ms: int) -> str:
    """The civil date of an instant on the card's own calendar, as `2026-03-01`."""
    day = card.settings.profile.zone.local_ms(at_ms) // DAY_MS
    year, month = year_and_month(day)
    return f"{year}-{month:02}-{day - day_number(year, month, 1) + 1:02}"


def _months(history: CardHistory, now_ms: int) -> int:
    """How many whole months of 30 days the history covers, at most 12 and at least 0."""
    return min((now_ms - history.since_ms) // (LOOKED_BACK_MS // 12), 12)


def _put(card: CardState, control_type: str, body: FixBody) -> Fix:
    """The call that sets a control."""
    return Fix("PUT", f"/v1/cards/{card_id(card.card_key)}/controls/{control_type}", body)
