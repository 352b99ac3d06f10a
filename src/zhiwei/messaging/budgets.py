"""Budgets: how many text messages may go out in an hour, so that nobody can pump them.

Each text message counts for its card, its number, and the block of numbers that begin alike: many
messages to one block are the mark of SMS pumping, and the operator sees them held back. Questions,
and apart from them what else is urgent, have a reserve for each card, and may fill numbers and
blocks twice as far as alerts. So no flood of alerts can use up the room for a question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import Enum
from hashlib import sha256
from typing import Final, TypeAlias, final

from zhiwei.core.windows import HOUR_MS
from zhiwei.messaging.settings import BudgetSettings

#: Messages that were counted under a name since an instant (UTC ms).
Spent: TypeAlias = "Callable[[str, int], int]"


class Tier(Enum):
    """How much a message matters."""

    #: Alerts and notes.
    ORDINARY = "ordinary"
    #: What quiet hours never mute.
    URGENT = "urgent"
    QUESTION = "question"
    #: To a trusted contact.
    CONTACT = "contact"


@final
class Budgets:
    """The budgets at one instant, for the messages of one event."""

    def __init__(self, settings: BudgetSettings, spent: Spent, now_ms: int) -> None:
        self._settings: Final = settings
        self._spent: Final = spent
        self._since_ms: Final = now_ms - HOUR_MS
        self._taken: Final[list[str]] = []
        self._counts: Final = Counter[str]()

    @property
    def taken(self) -> tuple[str, ...]:
        """Names under which one message is to be counted each; with repeats."""
        return tuple(self._taken)

    def take(self, card_key: bytes, number: str, tier: Tier) -> str:
        """Take room for one text message, or say which budget is used up.

        Returns an empty text where there was room; the message is then counted in `taken`.
        """
        settings = self._settings
        card = card_key.hex()
        block = block_of(number, settings.prefix_digits_left_out)
        digest = sha256(number.encode()).hexdigest()[:16]
        times = 1 if tier is Tier.ORDINARY else 2
        names = [f"card:{card}", f"number:{digest}", f"prefix:{block}"]
        bounds = [
            settings.sms_per_card_hour,
            settings.sms_per_number_hour * times,
            settings.sms_per_prefix_hour * times,
        ]
        if tier is Tier.QUESTION:
            # Counted for itself alone: questions do not use up what alerts may.
            names[0], bounds[0] = f"question:{card}", settings.question_per_card_hour
        elif tier is Tier.CONTACT:
            # So are those to contacts, who must not use up the room of the cardholder.
            names[0] = f"contact:{card}"
        elif tier is Tier.URGENT and not self._has_room(names[0], bounds[0]):
            names[0], bounds[0] = f"urgent:{card}", settings.question_per_card_hour
        for name, bound in zip(names, bounds, strict=True):
            if not self._has_room(name, bound):
                return name.partition(":")[0]
        for name in names:
            self._taken.append(name)
            self._counts[name] += 1
        return ""

    def _has_room(self, name: str, bound: int) -> bool:
        return self._spent(name, self._since_ms) + self._counts[name] < bound


def block_of(number: str, digits_left_out: int) -> str:
    """The block of numbers that one lies in: all its digits but the last few."""
    return number[: max(len(number) - digits_left_out, 2)]
