"""How a card was used in the 12 months before a check-up, counted from its journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.decide import billed_minor
from zhiwei.core.entry import Entry
from zhiwei.core.finding import Outcome
from zhiwei.core.request import Channel, MessageClass, Request
from zhiwei.core.windows import NIGHT
from zhiwei.core.zone import DAY_MS

#: How far back a check-up looks: 365 days.
LOOKED_BACK_MS: Final = 365 * DAY_MS


@dataclass(frozen=True)
class CardHistory:
    """Approved debits of one card. Instants are UTC ms, 0 = never; counts are of transactions."""

    card_key: bytes
    #: From when the journal was read: 12 months back, or the registration if that is later.
    since_ms: int
    debits: int = 0
    last_ms: int = 0
    #: Provinces of in-person use and how often, most used first.
    regions: tuple[tuple[str, int], ...] = ()
    #: Countries of in-person use abroad and how often, most used first.
    countries: tuple[tuple[str, int], ...] = ()
    overseas_last_ms: int = 0
    #: In person between 23:00 and 05:00 on the card's own clock.
    night: int = 0
    night_last_ms: int = 0
    #: Online and quick pay together.
    online: int = 0
    online_last_ms: int = 0
    overseas_online: int = 0
    overseas_online_last_ms: int = 0
    #: Payment institutions that debited, and when last.
    institutions: tuple[tuple[str, int], ...] = ()
    #: The most that was spent on one day, minor units of the card's currency.
    largest_day_minor: int = 0
    #: The largest single purchase.
    largest_minor: int = 0


class _Tally:
    """The counts while the journal is read."""

    def __init__(self) -> None:
        self.debits = 0
        self.last_ms = 0
        self.regions: dict[str, int] = {}
        self.countries: dict[str, int] = {}
        self.overseas_last_ms = 0
        self.night = 0
        self.night_last_ms = 0
        self.online = 0
        self.online_last_ms = 0
        self.overseas_online = 0
        self.overseas_online_last_ms = 0
        self.institutions: dict[str, int] = {}
        self.days: dict[int, int] = {}
        self.largest_minor = 0


def history_of(card: CardState, entries: Iterable[Entry], now_ms: int) -> CardHistory:
    """What the journal entries of a card say of the 12 months before `now_ms`; in any order."""
    since_ms = max(now_ms - LOOKED_BACK_MS, card.settings.profile.created_ms)
    tally = _Tally()
    for entry in entries:
        request = entry.command.request
        if request is None or entry.outcome is not Outcome.APPROVE or entry.now_ms < since_ms:
            continue
        is_use = request.message_class in (MessageClass.REQUEST, MessageClass.ADVICE)
        # A completion's use was counted with its pre-authorization.
        is_begun_here = entry.group is not None and entry.group.version == entry.version
        if is_use and request.is_debit and is_begun_here:
            _count(tally, card, entry.now_ms, request)
    return CardHistory(
        card_key=card.card_key,
        since_ms=since_ms,
        debits=tally.debits,
        last_ms=tally.last_ms,
        regions=_most_first(tally.regions),
        countries=_most_first(tally.countries),
        overseas_last_ms=tally.overseas_last_ms,
        night=tally.night,
        night_last_ms=tally.night_last_ms,
        online=tally.online,
        online_last_ms=tally.online_last_ms,
        overseas_online=tally.overseas_online,
        overseas_online_last_ms=tally.overseas_online_last_ms,
        institutions=tuple(sorted(tally.institutions.items())),
        largest_day_minor=max(tally.days.values(), default=0),
        largest_minor=tally.largest_minor,
    )


def _count(tally: _Tally, card: CardState, at_ms: int, request: Request) -> None:
    """Count one approved debit."""
    tally.debits += 1
    tally.last_ms = max(tally.last_ms, at_ms)
    local_ms = card.settings.profile.zone.local_ms(at_ms)
    amount_minor = max(billed_minor(card, request), 0)
    day = local_ms // DAY_MS
    tally.days[day] = tally.days.get(day, 0) + amount_minor
    tally.largest_minor = max(tally.largest_minor, amount_minor)
    if request.institution:
        known_ms = tally.institutions.get(request.institution, 0)
        tally.institutions[request.institution] = max(known_ms, at_ms)
    if request.is_card_not_present:
        tally.online += 1
        tally.online_last_ms = max(tally.online_last_ms, at_ms)
        if request.is_abroad:
            tally.overseas_online += 1
            tally.overseas_online_last_ms = max(tally.overseas_online_last_ms, at_ms)
        return
    if request.channel is not Channel.ATM and request.channel is not Channel.POS:
        return
    if NIGHT.contains(local_ms % DAY_MS):
        tally.night += 1
        tally.night_last_ms = max(tally.night_last_ms, at_ms)
    if request.is_abroad:
        tally.countries[request.country] = tally.countries.get(request.country, 0) + 1
        tally.overseas_last_ms = max(tally.overseas_last_ms, at_ms)
    elif request.region:
        tally.regions[request.region] = tally.regions.get(request.region, 0) + 1


def _most_first(counts: dict[str, int]) -> tuple[tuple[str, int], ...]:
    """Counts by size, equal ones by name."""
    return tuple(sorted(counts.items(), key=_by_size))


def _by_size(item: tuple[str, int]) -> tuple[int, str]:
    return (-item[1], item[0])
