"""The front desk: what happens when a command meets a card's file.

Pure, like the core: `Guardian.step` takes the file, the earlier entries that the command names, the
command and one clock reading, and gives back the next file with its journal entry, events and audit
lines.
"""

from __future__ import annotations

from zhiwei.guardian.desk import Guardian

__all__ = ["Guardian"]
