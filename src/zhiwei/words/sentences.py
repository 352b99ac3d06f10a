"""Sentences: the gettext catalogues, and how the facts of a decision are said in each language.

There is one catalogue for each language (`locale/zh/LC_MESSAGES/zhiwei.po`). It is read as it is,
so there is no compiled file to forget; an entry that is marked fuzzy is not there yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, Final, TypeAlias

from babel.messages.pofile import read_po

from zhiwei.core.errors import ZhiweiError
from zhiwei.core.finding import Facts
from zhiwei.core.money import BY_CODE, major_units
from zhiwei.core.place import COUNTRY_BY_ALPHA3, PROVINCES
from zhiwei.core.reason import Reason
from zhiwei.words.names import country_names
from zhiwei.words.remedies import remedy_of

LANGUAGES: Final = ("zh", "en")
#: Who writes, by language: stands first in every text message, in the language's own brackets.
SIGNATURES: Final[Mapping[str, str]] = {"zh": "智卫", "en": "Zhiwei"}

FactMap: TypeAlias = "Mapping[str, int | str | list[str]]"

#: Facts that are amounts of money wherever the currency is told too.
_AMOUNTS: Final = frozenset(("amount", "used", "limit", "threshold", "largest_day"))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class MissingSentenceError(ZhiweiError):
    """a sentence is missing from the catalogue"""


class _Said(dict[str, str]):
    """Facts as text; one that was not recorded is left open and fails nothing."""

    def __missing__(self, name: str) -> str:
        return "…"


class Sentences:
    """All sentences in all languages. Reading is safe from any thread."""

    def __init__(
        self,
        catalogues: Mapping[str, Mapping[str, str]],
        signatures: Mapping[str, str] = SIGNATURES,
    ) -> None:
        #: By language, then by key: `reason.night_lock_active`.
        self._catalogues = {language: dict(table) for language, table in catalogues.items()}
        self._signatures = {
            language: table.get("signature", "{name}").format(name=signatures.get(language, ""))
            for language, table in self._catalogues.items()
        }

    def sentence(self, reason: Reason, facts: Facts = ()) -> dict[str, str]:
        """What a cardholder is told of a reason, by language."""
        return self.in_all_languages(f"reason.{reason.code}", dict(facts))

    def operator_sentence(self, reason: Reason, facts: Facts = ()) -> dict[str, str]:
        """What an operator is told of a reason, by language."""
        return self.in_all_languages(f"operator.{reason.code}", dict(facts))

    def remedy(self, reason: Reason, facts: Facts = (), control: str = "") -> str:
        """What can be done: one of the words of `zhiwei.words.remedies`."""
        return remedy_of(reason, facts, control)

    def advice(self, remedy: str) -> dict[str, str]:
        """What can be done, as a sentence."""
        return self.in_all_languages(f"remedy.{remedy}", {})

    def service(self, name: str) -> dict[str, str]:
        """Name of a service or control."""
        return self.in_all_languages(f"service.{name}", {})

    def checkup(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document of a check-up with its sentences (`message`, `grade_word`) added."""
        findings = [
            {
                **finding,
                "message": self.in_all_languages(
                    f"checkup.{finding['id']}.{finding['sentence']}", finding["evidence"]
                ),
            }
            for finding in document["findings"]
        ]
        grade_word = self.in_all_languages(f"grade.{document['grade']}", {})
        return {**document, "grade_word": grade_word, "findings": findings}

    def in_all_languages(self, key: str, facts: FactMap) -> dict[str, str]:
        """A sentence with its facts, by language.

        Raises:
            MissingSentenceError: the catalogue of a language lacks the key.
        """
        return {language: self.text(key, language, facts) for language in self._catalogues}

    def text(self, key: str, language: str, facts: FactMap) -> str:
        """A sentence in one language.

        Raises:
            MissingSentenceError: the catalogue lacks the key.
        """
        template = self._catalogues[language].get(key)
        if template is None:
            raise MissingSentenceError(f"no sentence `{key[:80]}` in `{language}`")
        if not facts and "{" not in template:
            # A name or a word: most of what is said.
            return template
        return template.format_map(self._said(facts, language))

    def has(self, key: str, language: str) -> bool:
        """Whether there is such a sentence."""
        return key in self._catalogues[language]

    def country(self, alpha3: str, language: str) -> str:
        """Name of a country or region; its letters where it has none."""
        return self._country_names(alpha3, language).get(alpha3, alpha3)

    def _said(self, facts: FactMap, language: str) -> _Said:
        """Facts as people say them."""
        said = _Said(signature=self._signatures[language])
        is_count = facts.get("measure") == "count"
        currency = "" if is_count else str(facts.get("currency", ""))
        for name, value in facts.items():
            if name == "seconds" and isinstance(value, int):
                said[name] = self._duration(value, language)
            elif name == "channel":
                said[name] = self._catalogues[language].get(f"channel.{value}", str(value))
            elif name in ("region", "regions"):
                said[name] = _joined(value, language, _province_names(language))
            elif name in ("country", "countries"):
                said[name] = _joined(value, language, self._country_names(value, language))
            elif name in _AMOUNTS and isinstance(value, int) and currency in BY_CODE:
                said[name] = f"{currency} {major_units(value, currency)}"
            elif name.endswith("_ms") and isinstance(value, int):
                said[name] = (_EPOCH + timedelta(milliseconds=value)).isoformat("T", "seconds")
            elif isinstance(value, str):
                said[name] = value
            else:
                said[name] = _joined(value, language, {})
        return said

    def _duration(self, seconds: int, language: str) -> str:
        """A length of time in the largest unit that is whole."""
        for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
            if seconds % size == 0:
                return self.text(f"unit.{unit}", language, {"n": seconds // size})
        return self.text("unit.seconds", language, {"n": seconds})

    def _country_names(self, value: int | str | list[str], language: str) -> dict[str, str]:
        """Names of the countries (alpha-3) that the value lists."""
        names: dict[str, str] = {}
        for code in value if isinstance(value, list) else [str(value)]:
            if code in COUNTRY_BY_ALPHA3:
                names[code] = country_names(language)[code]
        return names


def load_sentences(signatures: Mapping[str, str] = SIGNATURES) -> Sentences:
    """The catalogues that come with the house; `signatures` say who writes, by language."""
    return Sentences({language: catalogue(language) for language in LANGUAGES}, signatures)


def catalogue(language: str) -> dict[str, str]:
    """All sentences of one of `LANGUAGES` by their keys, placeholders as they are written."""
    path = files(__package__).joinpath("locale", language, "LC_MESSAGES", "zhiwei.po")
    with path.open("rb") as file:
        entries = read_po(file, locale=language, abort_invalid=True)
    return {
        str(entry.id): str(entry.string)
        for entry in entries
        if entry.id and entry.string and not entry.fuzzy
    }


def _joined(value: int | str | list[str], language: str, names: Mapping[str, str]) -> str:
    """One value or several, each by its name where it has one."""
    items = [str(item) for item in value] if isinstance(value, list) else [str(value)]
    return ("、" if language == "zh" else ", ").join([names.get(item, item) for item in items])


def _province_names(language: str) -> dict[str, str]:
    """Names of the provinces by GB/T 2260 code."""
    is_chinese = language == "zh"
    return {code: p.zh if is_chinese else p.en for code, p in PROVINCES.items()}
