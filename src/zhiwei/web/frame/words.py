"""Words: what pages say, in both languages, from the catalogues in `web/locale`.

One catalogue for each room of the faces (`console.po`, `controls.po`, ...), all in one table; a key
is in one of them. They are read as they are, once, when the server starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from babel.messages.pofile import read_po

from zhiwei.core.errors import ZhiweiError
from zhiwei.words import LANGUAGES


class MissingWordError(ZhiweiError):
    """a sentence of a page is missing from the catalogues"""


class FaceWords:
    """All sentences of the pages, by language and key. Reading is safe from any thread."""

    def __init__(self, tables: Mapping[str, Mapping[str, str]]) -> None:
        self._tables: Final = tables

    def keys(self, language: str) -> frozenset[str]:
        """All keys of a language."""
        return frozenset(self._tables[language])

    def say(self, language: str, key: str, facts: Mapping[str, object] | None = None) -> str:
        """A sentence with its facts.

        Raises:
            MissingWordError: there is no such sentence.
        """
        template = self._tables[language].get(key)
        if template is None:
            raise MissingWordError(f"no sentence `{key[:80]}` in `{language}`")
        return template.format(**facts) if facts else template


@cache
def load_face_words() -> FaceWords:
    """The catalogues that come with the house; all callers in a process share them."""
    return FaceWords({language: _table(language) for language in LANGUAGES})


def _table(language: str) -> dict[str, str]:
    """All sentences of one language.

    Raises:
        MissingWordError: two catalogues have the same key.
    """
    table: dict[str, str] = {}
    folder = files("zhiwei.web").joinpath("locale", language, "LC_MESSAGES")
    for path in sorted(folder.iterdir(), key=lambda p: p.name):
        if not path.name.endswith(".po"):
            continue
        with path.open("rb") as file:
            catalogue = read_po(file, locale=language, abort_invalid=True)
        for entry in catalogue:
            if not entry.id or not entry.string or entry.fuzzy:
                continue
            key = str(entry.id)
            if key in table:
                raise MissingWordError(f"`{key[:80]}` stands twice in the catalogues")
            table[key] = str(entry.string)
    return table
