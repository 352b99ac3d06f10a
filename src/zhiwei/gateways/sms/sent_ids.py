"""Message ids of the SMSC: how they are kept, and which message a receipt means.

SMSCs write the same id with and without leading zeros, and in decimal in one place and in hex in
another. `Message.remote_id` is kept as the answer to submit_sm has it, without leading zeros; what
a receipt has is turned into that spelling. The durable record is the message store's; what is
remembered here, within a bound, is what tells two possible readings apart: the number that it went
to, the other parts of the same text, and which reading was right so far.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import Final, final

from zhiwei.gateways.sms.deliver import Notice
from zhiwei.messaging.model import Receipt, Status

_REMEMBERED_MAX: Final = 50_000
_ID_MAX: Final = 64
_NOT_VISIBLE: Final = re.compile(r"[^!-~]")
_HEX: Final = re.compile(r"[0-9a-f]+")
#: Digits at the end of a number that are the same however it is written.
_TAIL_DIGITS: Final = 8


class IdStyle(Enum):
    """How ids are written in answers and in receipts."""

    AUTO = "auto"
    SAME = "same"
    #: Answers in hex, receipts in decimal.
    HEX_DECIMAL = "hex_decimal"
    DECIMAL_HEX = "decimal_hex"


_STYLES: Final = (IdStyle.SAME, IdStyle.HEX_DECIMAL, IdStyle.DECIMAL_HEX)


def kept_id(told: str) -> str:
    """An id as it is kept: visible characters, small letters, no leading zeros; may be empty."""
    plain = _NOT_VISIBLE.sub("", told)[:_ID_MAX].lower().removeprefix("0x")
    return (plain.lstrip("0") or "0") if _HEX.fullmatch(plain) else plain


def _respelled(told: str, style: IdStyle) -> str:
    """An id of a receipt, as the answer to submit_sm had it."""
    plain = kept_id(told)
    if style is IdStyle.HEX_DECIMAL and plain.isdecimal():
        return f"{int(plain):x}"
    if style is IdStyle.DECIMAL_HEX and _HEX.fullmatch(plain):
        return str(int(plain, 16))
    return plain


@dataclass
class _Sent:
    #: Id of the first part, which is the message's.
    first: str
    tail: str
    has_failed: bool = False


@final
class SentIds:
    """Ids of what was sent lately."""

    def __init__(self, style: IdStyle = IdStyle.AUTO) -> None:
        self._style: Final = style
        self._learned = IdStyle.SAME
        self._sent: Final[OrderedDict[str, _Sent]] = OrderedDict()

    def remember(self, one: str, first: str, destination: str) -> None:
        """Remember the kept id of a part, as soon as the SMSC has told it.

        Args:
            one: of this part.
            first: of the first part of the same text, which is the message's.
            destination: the number that it goes to.
        """
        if not one:
            return
        sent = self._sent.get(first) if one != first else None
        self._sent[one] = sent or _Sent(first, _tail(destination))
        self._sent.move_to_end(one)
        while len(self._sent) > _REMEMBERED_MAX:
            self._sent.popitem(last=False)

    def receipt_of(self, notice: Notice, source: str, destination: str) -> Receipt | None:
        """What a notice says of a message; None where it only speaks of a later part.

        Args:
            notice: as it came in.
            source: where it came from: the number that was written to, in most SMSCs.
            destination: our own address, or that number.
        """
        found = self._found(notice, _tail(source), _tail(destination))
        sent = self._sent.get(found)
        if sent is None:
            return Receipt(found, notice.status, notice.detail) if found else None
        sent.has_failed = sent.has_failed or notice.status is Status.FAILED
        if found != sent.first and notice.status is not Status.FAILED:
            return None
        # A text of which one part is missing did not arrive.
        status = Status.FAILED if sent.has_failed else notice.status
        return Receipt(sent.first, status, notice.detail) if sent.first else None

    def _found(self, notice: Notice, source: str, destination: str) -> str:
        """The kept id that is meant; the most likely one where none is remembered."""
        styles = [self._style]
        if self._style is IdStyle.AUTO:
            styles = sorted(_STYLES, key=lambda style: style is not self._learned)
        spelled = [(style, _respelled(told, style)) for style in styles for told in notice.ids]
        # What went to another number is not meant, whatever its id; without a number all may be.
        is_numbered = len(source) == _TAIL_DIGITS
        likely = [
            (style, one)
            for style, one in spelled
            if one not in self._sent
            or not is_numbered
            or self._sent[one].tail in (source, destination)
        ]
        for style, one in likely:
            if one in self._sent:
                if len({other for _, other in spelled}) > 1:
                    self._learned = style
                return one
        return likely[0][1] if likely else ""


def _tail(address: str) -> str:
    return "".join(c for c in address if c.isdigit())[-_TAIL_DIGITS:]
