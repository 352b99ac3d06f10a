"""The front desk: what happens when a command meets a card's file.

Pure, like the core: `Guardian.step` takes the file, the earlier entries that the command names, the
command and one clock reading, and gives back the next file with its journal entry, events and audit
lines.
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.policy import Policy
from zhiwei.guardian.case import Rules
from zhiwei.guardian.desk import Guardian
from zhiwei.services import INCREMENT_JUDGES, JUDGES, LOOSENS, NOTICES

#: The rooms of this house, as the desk knows them.
HOUSE_RULES: Final = Rules(JUDGES, INCREMENT_JUDGES, NOTICES, LOOSENS)


def guardian_under(policy: Policy) -> Guardian:
    """The guardian of this house under a policy."""
    return Guardian(policy, HOUSE_RULES)


__all__ = ["HOUSE_RULES", "Guardian", "guardian_under"]
