"""The one root of all errors that the house raises on purpose."""

from __future__ import annotations

import re


def _name_in_words(error: Exception) -> str:
    """`unknown currency` for UnknownCurrencyError; compiled classes lose their docstrings."""
    name = type(error).__name__.removesuffix("Error")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()


class ZhiweiError(Exception):
    """Something the guardian was asked to do cannot be done."""

    def __init__(self, message: str | None = None) -> None:
        # The docstring is the message, so an error class cannot exist without an explanation.
        super().__init__(message or (type(self).__doc__ or "").strip() or _name_in_words(self))


class NotAllowedValueError(ZhiweiError):
    """a value lies outside what the rules allow"""

    def __init__(self, pointer: str, code: str, message: str) -> None:
        super().__init__(message)
        #: JSON pointer of the field at fault, relative to the settings that were given.
        self.pointer = pointer
        #: Machine-readable kind of fault, for example `too_many_regions`.
        self.code = code
