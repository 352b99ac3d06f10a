"""Stop payment (借记卡短信止付): one message, and nothing more is debited.

While a stop stands, every debit on every channel is refused, quick pay, direct debit and counter
included, and no payment institution can be linked. Balance inquiries, money that comes in, refunds,
voids, reversals and completions of what was approved earlier pass. SMS can only reduce: it sets a
stop and never lifts one.

`read_command` reads the message: `ZF` (the holder has one card), `ZF#1234`, `ZF#ALL`, `止付1234`,
`STOP 1234`, `BLOCK 1234`, `?`. Case, spaces, full-width digits and `＃` do not matter. `止付` and
`BLOCK` alone mean `ZF`; `STOP` alone does not, since all over the world it means "send me no more
messages": it is answered with help.
"""

from __future__ import annotations

import re
import unicodedata
from enum import IntEnum
from typing import Final, final

from zhiwei.core.card_state import CardState
from zhiwei.core.finding import NO_OPINION, Finding, Findings, Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.reason import Reason
from zhiwei.core.request import Kind, Request
from zhiwei.core.windows import Moment

CONTROL: Final = "stop_payment"
#: Longer than any command; a longer text is not one.
TEXT_MAX: Final = 200

_COMMAND: Final = re.compile(r"(ZF|止付|STOP|BLOCK)#?([0-9]{4}|ALL|全部)?")
_HELP: Final = frozenset(("?", "HELP", "帮助", "STOP"))


class CommandKind(IntEnum):
    """What a message asks for."""

    #: Stop the holder's only card; with several, ask which.
    STOP_ONLY_CARD = 1
    #: Stop the card that ends with `tail`.
    STOP_TAIL = 2
    #: Stop all cards of the holder.
    STOP_ALL = 3
    #: Say what can be sent.
    HELP = 4
    #: Not a command; answered with help as well.
    UNREADABLE = 5


@final
class SmsCommand:
    """A message as understood."""

    __slots__ = ("kind", "tail")

    def __init__(self, kind: CommandKind, tail: str = "") -> None:
        self.kind: Final = kind
        #: Last four digits of the card for STOP_TAIL, else empty.
        self.tail: Final = tail


def judge(policy: Policy, state: CardState, request: Request, moment: Moment) -> Findings:
    """Refuse every debit and every new binding while a stop stands."""
    stop = state.settings.stop
    if stop is None:
        return NO_OPINION
    if not request.is_debit and request.kind is not Kind.BINDING:
        return NO_OPINION
    facts = (
        ("since_ms", stop.since_ms),
        ("source", stop.source.name.lower()),
        ("reference", stop.reference),
    )
    return (Finding(Outcome.REFUSE, Reason.STOP_PAYMENT_ACTIVE, CONTROL, facts),)


def read_command(text: str) -> SmsCommand:
    """What a message asks for; never raises."""
    if len(text) > TEXT_MAX:
        return SmsCommand(CommandKind.UNREADABLE)
    # NFKC turns full-width letters, digits, `＃` and `？` into the plain ones.
    plain = unicodedata.normalize("NFKC", text).upper()
    squeezed = "".join([c for c in plain if not _is_blank(c)])
    if squeezed in _HELP:
        return SmsCommand(CommandKind.HELP)
    match = _COMMAND.fullmatch(squeezed)
    if match is None:
        return SmsCommand(CommandKind.UNREADABLE)
    target = match.group(2)
    if target is None:
        return SmsCommand(CommandKind.STOP_ONLY_CARD)
    if target in ("ALL", "全部"):
        return SmsCommand(CommandKind.STOP_ALL)
    return SmsCommand(CommandKind.STOP_TAIL, target)


def _is_blank(character: str) -> bool:
    """Spaces of every width and the invisible marks that phones put in between."""
    return character.isspace() or unicodedata.category(character) == "Cf"
