"""The journal as a whole: verify it, carry it elsewhere, back it up."""

from __future__ import annotations

# Files name their zones; importing this tells the core where zones come from.
import zhiwei.zones  # noqa: F401 - imported for what it does, not for a name
