"""Notice: what a room has to say after a decision was made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias, final

from zhiwei.core.card_state import CardState, InquirySeen
from zhiwei.core.entry import Entry
from zhiwei.core.event import Event
from zhiwei.core.policy import Policy
from zhiwei.core.windows import Moment


@final
class Noticed:
    """The events that a room owes, and what it wants to remember of balance inquiries."""

    __slots__ = ("events", "inquiries")

    def __init__(
        self, events: tuple[Event, ...] = (), inquiries: tuple[InquirySeen, ...] | None = None
    ) -> None:
        self.events: Final = events
        #: The new list of inquiries seen; None = unchanged.
        self.inquiries: Final = inquiries


SILENT: Final = Noticed()

#: A notice is given the file after the decision, and the entry; it cannot change the decision any
#: more.
Notice: TypeAlias = "Callable[[Policy, CardState, Entry, Moment], Noticed]"
