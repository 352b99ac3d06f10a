"""Names of countries and regions in both languages, and back: what people type becomes a code."""

from __future__ import annotations

from functools import cache
from typing import Final

from babel import Locale

from zhiwei.core.place import COUNTRY_BY_ALPHA3

_LANGUAGES: Final = ("zh", "en")
#: Parts of China that are 境外 for the locks are named so, whatever the names' source says.
_OWN: Final[dict[str, dict[str, str]]] = {
    "zh": {"HKG": "中国香港", "MAC": "中国澳门", "TWN": "中国台湾"},
    "en": {"HKG": "Hong Kong, China", "MAC": "Macao, China", "TWN": "Taiwan, China"},
}


@cache
def country_names(language: str) -> dict[str, str]:
    """Name of every country and region of ISO 3166-1 by its three letters."""
    territories = Locale.parse(language).territories
    names = {
        alpha3: str(territories.get(country.alpha2, alpha3))
        for alpha3, country in COUNTRY_BY_ALPHA3.items()
    }
    return {**names, **_OWN[language]}


def country_named(text: str) -> str | None:
    """The three letters of a name in either language, or of a code; None where there is none."""
    return _by_name().get(_folded(text))


@cache
def _by_name() -> dict[str, str]:
    found: dict[str, str] = {}
    for alpha3, country in COUNTRY_BY_ALPHA3.items():
        for code in (alpha3, country.alpha2, country.number):
            found[_folded(code)] = alpha3
        for language in _LANGUAGES:
            found[_folded(country_names(language)[alpha3])] = alpha3
            babel = Locale.parse(language).territories.get(country.alpha2)
            if babel is not None:
                found.setdefault(_folded(str(babel)), alpha3)
    return found


def _folded(text: str) -> str:
    return "".join(text.casefold().split())
