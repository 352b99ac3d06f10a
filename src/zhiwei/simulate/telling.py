"""Telling: sentences in two languages, and who is told them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, Protocol, TypeAlias

Language: TypeAlias = Literal["zh", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("zh", "en")


@dataclass(frozen=True)
class Line:
    """One sentence, in Chinese and English."""

    zh: str
    en: str

    def of(self, language: Language) -> str:
        """The sentence in one language."""
        return self.zh if language == "zh" else self.en


class Tone(Enum):
    """What kind of sentence it is; whoever shows it chooses the look."""

    TITLE = "title"
    STORY = "story"
    SENT = "sent"
    APPROVED = "approved"
    REFUSED = "refused"
    ASKED = "asked"
    WHY = "why"
    PROOF = "proof"
    WRONG = "wrong"


class Audience(Protocol):
    """Whoever listens: a terminal, a log of lines, a test."""

    def hear(self, tone: Tone, line: Line) -> None:
        """Be told one sentence. It holds no secret: cards show their last four digits."""
        ...
