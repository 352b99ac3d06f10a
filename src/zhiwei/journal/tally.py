"""Tally: what an export holds, so that an import can show that nothing is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

_DIGEST_BYTES: Final = 16


@dataclass
class Tally:
    """Counts, and the last hash of every card."""

    entries: int = 0
    events: int = 0
    audits: int = 0
    records: int = 0
    keys: int = 0
    #: By card key.
    chains: dict[bytes, bytes] = field(default_factory=dict)

    def add_entry(self, card_key: bytes, chain: bytes) -> None:
        """Count an entry; its hash is its card's last one for now."""
        self.entries += 1
        self.chains[card_key] = chain

    def digest(self) -> str:
        """One digest over the last hashes of all cards, whatever the order they came in."""
        whole = blake2b(digest_size=_DIGEST_BYTES)
        for card_key in sorted(self.chains):
            whole.update(card_key + self.chains[card_key])
        return whole.hexdigest()

    def document(self) -> dict[str, Any]:
        """The counts as the last line of an export has them."""
        return {
            "cards": len(self.chains),
            "entries": self.entries,
            "events": self.events,
            "audits": self.audits,
            "records": self.records,
            "keys": self.keys,
            "chains": self.digest(),
        }
