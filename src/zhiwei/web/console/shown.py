"""Shown: how values stand on a page: Beijing time, amounts, names, and what strangers wrote."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from zhiwei.core.entry import Entry
from zhiwei.core.ids import card_id
from zhiwei.core.place import COUNTRY_BY_ALPHA3, PROVINCES
from zhiwei.gateways.http.presentation import DECISIONS, authorization_id
from zhiwei.web.console.policy_words import FILTERS as POLICY_FILTERS
from zhiwei.web.console.rows import first_reason
from zhiwei.web.console.trail import BEIJING
from zhiwei.web.frame.shown import money, plain

_CAPITAL: Final = re.compile(r"([A-Z])")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: A merchant's name is cut here in lists; the whole of it stands on the decision's own page.
NAME_MAX: Final = 40


def beijing(instant_ms: int) -> str:
    """`2026-11-25 23:40:00`, Beijing time; empty for 0."""
    if not instant_ms:
        return ""
    moment = (_EPOCH + timedelta(milliseconds=instant_ms)).astimezone(BEIJING)
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def clock_time(instant_ms: int) -> str:
    """`23:40:00`, Beijing time."""
    return beijing(instant_ms)[11:]


def place_name(place: str, country: str, language: str) -> str:
    """Name of a place of a row; empty where the catalogue has the word (abroad, unknown)."""
    province = PROVINCES.get(place)
    if province is not None:
        return province.zh if language == "zh" else province.en
    letters = place if place in COUNTRY_BY_ALPHA3 else country
    return letters if letters in COUNTRY_BY_ALPHA3 else ""


def masked_phone(number: str) -> str:
    """A phone number with its last four digits only."""
    return f"****{number[-4:]}" if number else ""


def masked_email(address: str) -> str:
    """An address with its first letter and its domain."""
    name, at, domain = address.partition("@")
    return f"{name[:1]}***@{domain}" if at else ""


def change_word(entry: Entry) -> str:
    """What a person did, as a word: `SetControl` is `set_control`."""
    name = type(entry.command.change).__name__
    return _CAPITAL.sub(r"_\1", name).lower().lstrip("_")


def decision_id(entry: Entry, card_key: bytes) -> str:
    """The public id of a card's decision."""
    return authorization_id(card_key, entry.version)


def outcome_word(entry: Entry) -> str:
    """`approve`, `challenge` or `decline`."""
    return DECISIONS[entry.outcome]


FILTERS: Final[dict[str, Callable[..., object]]] = {
    "card_id": card_id,
    "change_word": change_word,
    "decision_id": decision_id,
    "first_reason": first_reason,
    "outcome_word": outcome_word,
    "beijing": beijing,
    "clock_time": clock_time,
    "money": money,
    "plain": plain,
    "place_name": place_name,
    "masked_phone": masked_phone,
    "masked_email": masked_email,
    **POLICY_FILTERS,
}
