"""Assembly: parts of a long text are put together, and what came twice is known again.

Nothing of a half text is durable, so none of its parts is acknowledged before the whole is taken
(see `inbox.py`); the SMSC keeps them. Everything here is bounded: in time, in number, in size.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b
from typing import Final, final

from zhiwei.gateways.sms.deliver import Delivered, Segment
from zhiwei.gateways.sms.encoding import text_of

#: Parts that one text may have, and bytes that one part may have: radio messages hold 140.
PARTS_MAX: Final = 32
PART_BYTES_MAX: Final = 1_024
_HALVES_MAX: Final = 1_000
_DIGESTS_MAX: Final = 20_000
#: An id is the same for so long where nothing else is remembered.
_BUCKET_MS: Final = 600_000


class PartFate(Enum):
    """What became of a part."""

    #: It waits for the others.
    WAITS = "waits"
    #: The text is whole.
    WHOLE = "whole"
    #: It belongs to a text that was taken already.
    REPEATED = "repeated"
    #: It belongs to a text that was given up, or is too large.
    HOPELESS = "hopeless"


@dataclass
class Half:
    """A text of which parts are there."""

    key: tuple[object, ...]
    sender: str
    total: int
    since_ms: int
    parts: dict[int, Delivered] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether all parts are there."""
        return len(self.parts) == self.total

    def text(self) -> str:
        """The text, in the order of its parts."""
        parts = [self.parts[place] for place in sorted(self.parts)]
        codings = {part.data_coding for part in parts}
        if len(codings) == 1:
            # A character may have been cut in two.
            return text_of(b"".join(part.body for part in parts), codings.pop())
        return "".join(text_of(part.body, part.data_coding) for part in parts)


@final
class Assembly:
    """Halves of texts, in memory."""

    def __init__(self, patience_ms: int, on_dropped: Callable[[], object]) -> None:
        """`patience_ms`: how long a half waits; `on_dropped` is called for each given up."""
        self._patience_ms: Final = patience_ms
        self._on_dropped: Final = on_dropped
        self._halves: Final[OrderedDict[tuple[object, ...], Half]] = OrderedDict()
        self._taken: Final = _Digests()
        self._given_up: Final = _Digests()

    def __bool__(self) -> bool:
        return bool(self._halves)

    def add(
        self, delivered: Delivered, segment: Segment, now_ms: int
    ) -> tuple[PartFate, Half | None]:
        """Take a part in; with its text where it waits or is whole."""
        self.give_up(now_ms)
        digest = _digest_of_part(delivered, segment)
        if self._taken.has(digest, now_ms - self._patience_ms):
            return PartFate.REPEATED, None
        is_too_large = segment.total > PARTS_MAX or len(delivered.body) > PART_BYTES_MAX
        if is_too_large or self._given_up.has(digest, now_ms - 24 * self._patience_ms):
            return PartFate.HOPELESS, None
        key = (
            delivered.source,
            delivered.destination,
            segment.kind,
            segment.reference,
            segment.total,
        )
        half = self._halves.get(key)
        if half is None:
            if len(self._halves) >= _HALVES_MAX:
                # Crowded out, not given up: the SMSC still has its parts and may bring them again.
                self._halves.popitem(last=False)
                self._on_dropped()
            half = self._halves[key] = Half(key, delivered.source, segment.total, now_ms)
        # The same place with other bytes: a reference that is used again; the newer one counts.
        half.parts[segment.place] = delivered
        return (PartFate.WHOLE if half.is_whole else PartFate.WAITS), half

    def taken(self, half: Half, now_ms: int) -> None:
        """Forget a text that is durable now; its parts are known when they come again."""
        self._forget(half, self._taken, now_ms)

    def give_up(self, now_ms: int) -> None:
        """Drop the halves that have waited too long."""
        while self._halves:
            oldest = next(iter(self._halves.values()))
            if now_ms - oldest.since_ms < self._patience_ms:
                return
            self._forget(oldest, self._given_up, now_ms)
            self._on_dropped()

    def _forget(self, half: Half, where: _Digests, now_ms: int) -> None:
        self._halves.pop(half.key, None)
        for part in half.parts.values():
            assert part.segment is not None
            where.add(_digest_of_part(part, part.segment), now_ms)


@final
class Repeats:
    """Tells a text that an SMSC brings twice from one that a person writes twice.

    Both look alike. On one line, where the SMSC has heard that we have the first, only what comes
    again at once is the same; on a new line it may not have heard it, and has more time. Ids follow
    from content and time, so that a text that is brought again after a crash of ours has its old
    id too, unless ten-minute buckets changed in between.
    """

    def __init__(self, same_line_ms: int, new_line_ms: int) -> None:
        self._same_line_ms: Final = same_line_ms
        self._new_line_ms: Final = new_line_ms
        self._taken: Final = _Digests()
        self._counted: Final = _Digests()

    def id_of(self, content: bytes, line: int, now_ms: int, clock_ms: int) -> str:
        """Id for a text; empty where it is one that was taken already.

        Args:
            content: all that tells it from others: addresses, references, bytes.
            line: number of the connection.
            now_ms: an instant of a clock that never jumps.
            clock_ms: machine's time (UTC ms).
        """
        digest = _digest(content)
        is_repeat = self._taken.has(_on_line(digest, line), now_ms - self._same_line_ms + 1) or (
            self._taken.has(digest, now_ms - self._new_line_ms + 1)
            and not self._taken.has(_on_line(digest, line), 0)
        )
        if is_repeat:
            return ""
        bucket = _in_bucket(digest, clock_ms)
        # Written again later by the same person: another text, and another id.
        turn = self._counted.number(bucket)
        return "in_" + _digest(bucket + turn.to_bytes(4)).hex()

    def taken(self, content: bytes, line: int, now_ms: int, clock_ms: int) -> None:
        """A text is durable now, and is known again for a while."""
        digest = _digest(content)
        self._taken.add(digest, now_ms)
        self._taken.add(_on_line(digest, line), now_ms)
        self._counted.add(_in_bucket(digest, clock_ms), now_ms)


def _on_line(digest: bytes, line: int) -> bytes:
    return _digest(digest + b"line" + line.to_bytes(8))


def _in_bucket(digest: bytes, clock_ms: int) -> bytes:
    return _digest(digest + b"bucket" + (clock_ms // _BUCKET_MS).to_bytes(8))


@final
class _Digests:
    """Digests with the instant of their last coming and how often they came; oldest go first."""

    def __init__(self) -> None:
        self._seen: Final[OrderedDict[bytes, tuple[int, int]]] = OrderedDict()

    def has(self, digest: bytes, since_ms: int) -> bool:
        """Whether it came at or after an instant."""
        return self._seen.get(digest, (since_ms - 1, 0))[0] >= since_ms

    def number(self, digest: bytes) -> int:
        """How often it came."""
        return self._seen.get(digest, (0, 0))[1]

    def add(self, digest: bytes, now_ms: int) -> None:
        """It came."""
        self._seen[digest] = (now_ms, self.number(digest) + 1)
        self._seen.move_to_end(digest)
        if len(self._seen) > _DIGESTS_MAX:
            self._seen.popitem(last=False)


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()


def content_of(delivered: Delivered) -> bytes:
    """All that tells a deliver_sm, or a part, from others."""
    fields = (
        delivered.source,
        delivered.destination,
        str(delivered.data_coding),
        repr(delivered.segment),
        delivered.body.hex(),
    )
    return "\n".join(fields).encode()


def _digest_of_part(delivered: Delivered, segment: Segment) -> bytes:
    return _digest(content_of(delivered) + repr(segment).encode())
