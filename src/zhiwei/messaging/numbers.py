"""Phone numbers: how one is written (E.164), and whom a text message may be sent back to.

A number is a claim of the network, never a proof. What is no number of a person (short codes, names
instead of numbers, service numbers 106…) gets no answer, or two machines would write to each other.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

#: The longest text that is looked at as a number.
TEXT_MAX: Final = 40
_FILLING: Final = re.compile(r"[\s\-()]")
_E164: Final = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
#: A mobile number of the Chinese mainland as people write it.
_MAINLAND: Final = re.compile(r"1[3-9]\d{9}", re.ASCII)
#: The same with the country's code, but without a plus: as networks tell senders.
_MAINLAND_BARE: Final = re.compile(r"86(1[3-9]\d{9})", re.ASCII)
#: A number of another country without a plus; shorter ones may be short codes.
_BARE: Final = re.compile(r"[2-9]\d{9,14}|1[2-9]\d{9}", re.ASCII)
_CHINA: Final = "+86"


def squeezed(text: str) -> str:
    """A number without what people put in between."""
    return _FILLING.sub("", text)


def e164(text: str) -> str:
    """A number as E.164 has it: `+8613800138000`; empty where the text is none.

    Understood are a leading `+` or `00`, and a mainland mobile number of 11 digits.
    """
    plain = squeezed(text)
    if _MAINLAND.fullmatch(plain):
        return _CHINA + plain
    if plain.startswith("00"):
        plain = "+" + plain[2:]
    return plain if _E164.fullmatch(plain) else ""


def sender_number(text: str) -> str:
    """E.164 of a sender as a network tells it, also without a plus; empty where it is none."""
    if len(text) > TEXT_MAX:
        return ""
    plain = squeezed(unicodedata.normalize("NFKC", text))
    number = e164(plain)
    if number:
        return number
    mainland = _MAINLAND_BARE.fullmatch(plain)
    if mainland is not None:
        return _CHINA + mainland[1]
    return "+" + plain if _BARE.fullmatch(plain) else ""


def may_be_answered(number: str) -> bool:
    """Whether an E.164 number can be a person's mobile: of the mainland's, only mobile ones."""
    if number.startswith(_CHINA):
        return _MAINLAND.fullmatch(number.removeprefix(_CHINA)) is not None
    return bool(number)


def prefix_of(number: str) -> str:
    """The block that a number lies in, as floods of one operator or country share it."""
    return number[:8]
