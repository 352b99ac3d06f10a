"""Wording: single facts as people read them in a message: names, places, times, amounts.

What comes from outside (merchants' names, institutions, references) is taken apart first. Whoever
chooses a merchant's name must not be able to put a link, a phone number, a card number or a forged
signature into a message of the bank: of names, letters, digits and a few marks are kept, and of
long numbers their last four digits.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from zhiwei.core.money import UnknownCurrencyError, major_units
from zhiwei.core.place import COUNTRY_BY_ALPHA3, PROVINCES
from zhiwei.core.zone import Zone
from zhiwei.messaging.parts import Encoding, encoding_of
from zhiwei.words.sentences import Sentences

#: Longest name from outside that any message shows.
NAME_MAX: Final = 40
#: Shown where a fact is not known and cannot be left out.
UNKNOWN: Final = "…"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MARKS: Final = frozenset(" -&'()*+·")
#: Phone numbers and card numbers begin to make sense at seven digits.
_LONG_NUMBER: Final = re.compile(r"\d(?:[ \-]*\d){6,}", re.ASCII)
#: References of a network have up to twelve digits; what is longer may be a card number.
_CARD_LIKE: Final = re.compile(r"\d{13,}", re.ASCII)
#: Letters that fonts and keyboards put for plain ones.
_PLAIN: Final[Mapping[str, str]] = {
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "–": "-",
    "—": "-",
    "…": "...",
    "·": " ",
}


def name_of(text: object) -> str:
    """A name from outside that is safe to show; empty where nothing is left of it."""
    if not isinstance(text, str):
        return ""
    plain = unicodedata.normalize("NFKC", text[: NAME_MAX * 4])
    kept = "".join([c if _may_stay(c) else " " for c in plain])
    kept = _LONG_NUMBER.sub(lambda found: "*" + found[0][-4:], kept)
    return " ".join(kept.split())[:NAME_MAX].rstrip()


def reference_of(text: object) -> str:
    """A reference that people can quote: letters, digits and joints."""
    if not isinstance(text, str):
        return ""
    kept = "".join([c for c in text[:NAME_MAX] if c.isascii() and (c.isalnum() or c in "-_")])
    return _CARD_LIKE.sub(lambda found: "*" + found[0][-4:], kept)


def cut(name: str, longest: int, language: str) -> str:
    """A name of at most `longest` characters (at least 4), with an ellipsis where it was cut.

    The English ellipsis is three points: the real one would make the text UCS-2.
    """
    if len(name) <= longest:
        return name
    mark = "…" if language == "zh" else "..."
    return name[: max(longest - len(mark), 1)].rstrip() + mark


def local_time(at_ms: object, zone: Zone, pattern: str = "%m-%d %H:%M") -> str:
    """An instant (UTC ms) on the card's own clock."""
    if not isinstance(at_ms, int):
        return UNKNOWN
    try:
        return (_EPOCH + timedelta(milliseconds=zone.local_ms(at_ms))).strftime(pattern)
    except OverflowError:
        return UNKNOWN


def amount_text(words: Sentences, language: str, minor: object, currency: object) -> str:
    """An amount (minor units) with its currency; a few words where either is not known."""
    if isinstance(minor, int) and not isinstance(minor, bool) and isinstance(currency, str):
        try:
            amount = major_units(minor, currency)
        except UnknownCurrencyError:
            return words.text("money.unknown", language, {})
        key = f"money.{currency}"
        key = key if words.has(key, language) else "money.other"
        return words.text(key, language, {"amount": amount, "currency": currency})
    return words.text("money.unknown", language, {})


def area_name(words: Sentences, language: str, country: object, region: object) -> str:
    """Province of the mainland, else country or region of the world; empty where not known."""
    province = PROVINCES.get(region) if isinstance(region, str) else None
    if province is not None:
        return province.zh if language == "zh" else province.en
    if isinstance(country, str) and country in COUNTRY_BY_ALPHA3 and country != "CHN":
        return words.country(country, language)
    return ""


def in_gsm7(text: str) -> str:
    """The text in letters of GSM-7 where that loses accents only; else as it is."""
    if encoding_of(text) is Encoding.GSM7:
        return text
    plain = "".join([_plain(c) for c in text])
    return plain if encoding_of(plain) is Encoding.GSM7 else text


def _plain(character: str) -> str:
    if encoding_of(character) is Encoding.GSM7:
        return character
    known = _PLAIN.get(character)
    if known is not None:
        return known
    base = unicodedata.normalize("NFKD", character)[0]
    return base if base.isascii() else character


def _may_stay(character: str) -> bool:
    return character in _MARKS or unicodedata.category(character)[0] in "LMN"
