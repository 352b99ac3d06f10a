"""A card's whole story: decisions, changes, questions, messages and audit lines, newest first.

Three lists that are each in order (the card's journal, its audit lines, its messages) are laid into
one by time. A page ends with a mark in each of them, so nothing is shown twice or left out while
new rows arrive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from zhiwei.core.entry import Entry
from zhiwei.messaging.model import MessageReader, Tracked
from zhiwei.ports import AuditRow, Reader

PAGE: Final = 50
#: What a story can be narrowed to.
KINDS: Final = ("decision", "change", "message", "audit")

Item: TypeAlias = "Entry | AuditRow | Tracked"


@dataclass(frozen=True)
class Mark:
    """How far the three lists were shown: only what lies below is shown next; 0 = from the top."""

    entry: int = 0
    audit: int = 0
    message: int = 0

    @classmethod
    def read(cls, text: str) -> Mark:
        """The mark in an address; one that is no mark is the top."""
        parts = text.split(".")
        is_mark = len(parts) == 3 and all(p.isascii() and p.isdigit() for p in parts)
        if not is_mark or any(len(part) > 15 for part in parts):
            return cls()
        entry, audit, message = map(int, parts)
        return cls(entry, audit, message)

    def __str__(self) -> str:
        return f"{self.entry}.{self.audit}.{self.message}"


@dataclass(frozen=True)
class Told:
    """One line of the story."""

    at_ms: int
    #: One of KINDS.
    kind: str
    item: Item


@dataclass(frozen=True)
class StoryPage:
    """A stretch of the story."""

    lines: tuple[Told, ...]
    #: Empty = this is its beginning.
    next_mark: str


def story_page(
    reader: Reader,
    messages: MessageReader | None,
    card_key: bytes,
    mark: Mark,
    *,
    kind: str = "",
    limit: int = PAGE,
) -> StoryPage:
    """A page of a card's story, of one kind or of all. Blocking: for a thread."""
    entries: list[Told] = []
    audits: list[Told] = []
    sent: list[Told] = []
    if kind in ("", "decision", "change") and mark.entry != 1:
        entries = _entries(reader, card_key, mark.entry, kind, limit)
    if kind in ("", "audit") and mark.audit != 1:
        rows = reader.audits(card_key=card_key, before=mark.audit, limit=limit + 1)
        audits = [Told(row.at_ms, "audit", row) for row in rows]
    if messages is not None and kind in ("", "message") and mark.message != 1:
        tracked = messages.messages(card_key=card_key, before=mark.message, limit=limit + 1)
        sent = [Told(one.message.created_ms, "message", one) for one in tracked]
    return _laid_together(entries, audits, sent, mark, limit)


def _entries(reader: Reader, card_key: bytes, before: int, kind: str, limit: int) -> list[Told]:
    """Entries of the journal; one that is filed later than decided stands where it is filed."""
    found: list[Told] = []
    while True:
        chunk = reader.entries(card_key, before=before, limit=limit + 1)
        for entry in chunk:
            word = "decision" if entry.command.request is not None else "change"
            if kind in ("", word):
                found.append(Told(entry.filed_ms, word, entry))
        if len(found) > limit or len(chunk) <= limit or chunk[-1].version == 1:
            return found
        before = chunk[-1].version


def _laid_together(
    entries: list[Told], audits: list[Told], sent: list[Told], mark: Mark, limit: int
) -> StoryPage:
    """The newest of three lists as one; each list keeps its own order."""
    marks = {"entry": mark.entry, "audit": mark.audit, "message": mark.message}
    lists = {"entry": entries, "audit": audits, "message": sent}
    places = dict.fromkeys(lists, 0)
    lines: list[Told] = []
    while len(lines) < limit:
        heads = [name for name, rows in lists.items() if places[name] < len(rows)]
        if not heads:
            return StoryPage(tuple(lines), "")
        # Of one instant the entry is shown above what it caused: it is what one looks for.
        name = max(heads, key=lambda n: (lists[n][places[n]].at_ms, n == "entry"))
        told = lists[name][places[name]]
        places[name] += 1
        marks[name] = _place(told.item)
        lines.append(told)
    is_over = all(places[name] >= len(rows) for name, rows in lists.items())
    return StoryPage(tuple(lines), "" if is_over else str(Mark(**marks)))


def _place(item: Item) -> int:
    return item.version if isinstance(item, Entry) else item.position
