"""What may be said of a fault, and of words that come from outside."""

from __future__ import annotations

import traceback
from pathlib import PurePath

_WORDS_MAX = 200


def fault(error: BaseException) -> dict[str, str]:
    """Type and place of an exception for a log line, without its text.

    The text may quote a number, an address or a message.
    """
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames[-3:]]
    return {"error": type(error).__name__, "where": " > ".join(places)}


def storable(text: str) -> str:
    """The text as it can be kept: halves of characters become question marks."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def few_words(text: str) -> str:
    """Words of the other side, short and in one line."""
    return storable(" ".join(text[:_WORDS_MAX].split()))
