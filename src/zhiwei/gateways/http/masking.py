"""Masking: what was sent is repeated in answers and logs only where it can be no card number."""

from __future__ import annotations

import re
from typing import Final

#: The longest stretch of a caller's text that an answer repeats.
TEXT_MAX: Final = 80
# Nine digits or more, however they are grouped, may be (part of) a card number. `\d` means every
# Unicode digit here: full-width ones too.
_MANY_DIGITS: Final = re.compile(r"\d(?:[\s\-_.,/*]*\d){8,}")


def masked(text: str, longest: int = TEXT_MAX) -> str:
    """The text, shortened, with long runs of digits hidden.

    The whole text is masked before it is cut: a cut could leave a run too short to be recognized.
    """
    hidden = _MANY_DIGITS.sub("[digits hidden]", text)
    return hidden if len(hidden) <= longest else hidden[: longest - 1] + "…"
