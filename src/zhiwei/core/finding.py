"""Finding: what one control found about one request, with the numbers that prove it."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, TypeAlias, final

from zhiwei.core.reason import Reason


class Outcome(IntEnum):
    """The three answers, ordered by strictness: the strictest finding wins."""

    APPROVE = 0
    CHALLENGE = 1
    REFUSE = 2


Facts: TypeAlias = "tuple[tuple[str, int | str], ...]"


@final
class Finding:
    """`outcome` for `reason`, found by `control`, because of `facts`."""

    __slots__ = ("control", "facts", "lifted_by", "outcome", "reason")

    def __init__(
        self, outcome: Outcome, reason: Reason, control: str, facts: Facts = (), lifted_by: str = ""
    ) -> None:
        self.outcome: Final = outcome
        self.reason: Final = reason
        #: Type of the control that spoke, for example `night_lock`; `issuer` for the issuer's own
        #: rules.
        self.control: Final = control
        #: Names and numbers that prove it, for example `(("used", 48000), ("limit", 50000))`.
        self.facts: Final = facts
        #: Id of the pass or temporary permission that lifted it, empty where it stands.
        self.lifted_by: Final = lifted_by

    @property
    def stands(self) -> bool:
        """Nothing lifted this finding."""
        return not self.lifted_by


Findings: TypeAlias = "tuple[Finding, ...]"
#: What a judge without an opinion says.
NO_OPINION: Final[Findings] = ()
