"""What the demonstration claims: each claim, and whether it held."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, final

from zhiwei.simulate.telling import Audience, Line, Tone


@dataclass(frozen=True)
class Claim:
    """One thing that had to be so."""

    act: str
    text: str
    held: bool


@final
@dataclass
class Claims:
    """All claims of one demonstration."""

    audience: Audience
    all: list[Claim] = field(default_factory=list)

    def claim(self, act: str, *, held: bool, line: Line) -> None:
        """Claim something aloud; what did not hold is said as loudly."""
        self.all.append(Claim(act, line.en, held))
        self.audience.hear(Tone.PROOF if held else Tone.WRONG, line)

    def note(self, act: str, text: str, *, held: bool) -> None:
        """Claim something that was told already."""
        self.all.append(Claim(act, text, held))

    @property
    def held(self) -> bool:
        """Every claim held, and there were some."""
        return bool(self.all) and all(claim.held for claim in self.all)

    @property
    def failed(self) -> list[Claim]:
        """The claims that did not hold."""
        return [claim for claim in self.all if not claim.held]

    def documents(self) -> list[dict[str, Any]]:
        """For machines."""
        return [{"act": c.act, "claim": c.text, "held": c.held} for c in self.all]


#: Names of the acts, in their order.
OPENING: Final = "opening"
TOWN: Final = "town"
FRAUD: Final = "fraud"
CRASH: Final = "crash"
WHY: Final = "why"
CHECKUP: Final = "check-up"
FACES: Final = "faces"
