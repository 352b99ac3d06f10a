"""Case: one command on the desk, with everything that its handler may look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Command
from zhiwei.core.controls import Control
from zhiwei.core.decide import Judge
from zhiwei.core.entry import Entry
from zhiwei.core.event import Event
from zhiwei.core.notice import Notice
from zhiwei.core.policy import Policy
from zhiwei.core.result import Related
from zhiwei.core.windows import Moment

#: Whether going from one setting of a control to another could let something through that was
#: refused.
Loosens: TypeAlias = "Callable[[Control | None, Control | None], bool]"


@dataclass(frozen=True)
class Rules:
    """The rooms as the desk knows them: who judges, who speaks, and which changes loosen."""

    judges: tuple[tuple[str, Judge], ...]
    #: The judges that an increment is shown to: amount, status and stop only; place and time were
    #: judged with the original.
    increment_judges: tuple[tuple[str, Judge], ...]
    notices: tuple[Notice, ...]
    loosens: dict[str, Loosens]


@final
class Case:
    """A command, the settled file of its card, and the moment of the decision."""

    __slots__ = ("command", "events", "moment", "policy", "related", "rules", "state")

    def __init__(
        self,
        policy: Policy,
        rules: Rules,
        state: CardState,
        related: Related,
        command: Command,
        moment: Moment,
        events: tuple[Event, ...],
    ) -> None:
        self.policy: Final = policy
        self.rules: Final = rules
        #: The file as of `moment`; its version is still that of the last entry.
        self.state: Final = state
        self.related: Final = related
        self.command: Final = command
        self.moment: Final = moment
        #: What time alone brought about, to be told with this entry.
        self.events: Final = events

    @property
    def version(self) -> int:
        """The version that this command makes."""
        return self.state.version + 1

    def latest_of_group(self, original: Entry) -> Entry:
        """The latest entry of the group that `original` belongs to."""
        latest = original
        if original.group is not None:
            for head in self.related.heads:
                group = head.group
                is_same = group is not None and group.version == original.group.version
                if is_same and head.version > latest.version:
                    latest = head
        return latest
