"""Reply: what a text message from a cardholder did, and the sentences that tell it. Values only."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal, TypeAlias

from zhiwei.core.card_state import Stop
from zhiwei.core.windows import HOUR_MS
from zhiwei.messaging.model import SMS, Message, Planned
from zhiwei.messaging.numbers import may_be_answered

Outcome: TypeAlias = Literal[
    "stopped",
    "already_stopped",
    "which_card",
    "no_such_card",
    "no_card",
    "help",
    "neutral",
    "approved",
    "denied",
    "which_question",
    "no_question",
    "question_over",
    "not_by_sms",
    "too_many_tries",
    "too_many_messages",
    "contact_agreed",
    "contact_left",
    "contact_help",
    "no_invitation",
]
#: What changed something: told always, and first in line.
CHANGING: Final[frozenset[Outcome]] = frozenset(("stopped", "approved", "denied", "contact_agreed"))

#: Longer than any answer; a longer text is none.
_TEXT_MAX: Final = 200
_ANSWER: Final = re.compile(r"(Y|YES|是|是本人|确认|N|NO|否|不是|不是本人|非本人)#?([0-9]{6})?")
_YES: Final = frozenset(("Y", "YES", "是", "是本人", "确认"))


@dataclass(frozen=True)
class PlacedStop:
    """A stop that stands on a card."""

    card_key: bytes
    stop: Stop


@dataclass(frozen=True)
class Reply:
    """What a message did."""

    outcome: Outcome
    #: Sentences to send back; none past the bound on messages.
    texts: tuple[str, ...]
    #: `zh` or `en`.
    locale: str
    #: E.164 of the sender, and the only place that the reply may go to; empty = no number.
    number: str = ""
    #: Id of the question that was answered.
    challenge: str = ""
    stops: tuple[PlacedStop, ...] = ()
    #: False where the sender is not to be written to (again).
    is_to_be_sent: bool = True

    @property
    def text(self) -> str:
        """All sentences as one message."""
        return "\n".join(self.texts)


@dataclass(frozen=True)
class Taken:
    """A message that came over a web gateway and was carried out."""

    reply: Reply
    #: Id of the message by which the house itself sends the reply; empty = it does not.
    message: str = ""


@dataclass(frozen=True)
class Said:
    """A text as the answer to a question."""

    is_yes: bool
    #: Six digits; empty = none given.
    reference: str = ""


def reply_message(inbound_id: str, reply: Reply, now_ms: int) -> Planned | None:
    """The reply to an inbound message as a message to send; None where none is to be sent.

    It goes to the number that wrote, and to no other; its id follows from the inbound message's.
    """
    if not reply.is_to_be_sent or not reply.texts or not may_be_answered(reply.number):
        return None
    is_change = reply.outcome in CHANGING
    cards = {placed.card_key for placed in reply.stops}
    message = Message(
        id=f"msg_{inbound_id}-reply",
        event_id="",
        kind="reply",
        card_key=cards.pop() if len(cards) == 1 else b"",
        # Lanes may be shown where a number may not.
        lane=f"reply-{sha256(reply.number.encode()).hexdigest()[:16]}",
        channel=SMS,
        to=reply.number,
        language=reply.locale,
        subject="",
        text=reply.text,
        created_ms=now_ms,
        # What changed something is worth telling whenever; a question back is not.
        expires_ms=0 if is_change else now_ms + HOUR_MS,
        is_urgent=is_change,
    )
    return Planned(message)


def read_answer(text: str) -> Said | None:
    """A yes or no with or without its reference; None where the text is neither. Never raises.

    Case, spaces of every width, full-width letters and digits, and a final stop do not matter.
    """
    if len(text) > _TEXT_MAX:
        return None
    plain = unicodedata.normalize("NFKC", text).upper()
    # Phones put invisible marks in between.
    squeezed = "".join([c for c in plain if not (c.isspace() or unicodedata.category(c) == "Cf")])
    match = _ANSWER.fullmatch(squeezed.rstrip("。.!"))
    return None if match is None else Said(match[1] in _YES, match[2] or "")
