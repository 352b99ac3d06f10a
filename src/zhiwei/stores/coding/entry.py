"""Entry: one journal row's body; the hash of each card's row is chained to the row before.

A body is: hash (16 bytes), hash of the card's row before (16), where that row and the entry's first
event stand in this store (6 each), and the content. The hash covers the card's key, the hash before
and the content, so it stays the same when a card moves to another store.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final, final

from zhiwei.core.entry import Entry, Group, GroupState, LimitReport
from zhiwei.core.errors import ZhiweiError
from zhiwei.core.finding import NO_OPINION, Finding, Outcome
from zhiwei.core.reason import Reason
from zhiwei.ports import CorruptFileError
from zhiwei.stores.coding.command import command_list, command_of
from zhiwei.stores.coding.frame import DAMAGE, pack, unpack
from zhiwei.stores.coding.usage import bookings_list, bookings_of

FORMAT: Final = 1
HASH_BYTES: Final = 16
_PLACE_BYTES: Final = 6
_PLACES_AT: Final = HASH_BYTES + HASH_BYTES
_CONTENT_AT: Final = _PLACES_AT + _PLACE_BYTES + _PLACE_BYTES
_OUTCOMES: Final = {int(member): member for member in Outcome}
_REASONS: Final = {int(member): member for member in Reason}
_GROUP_STATES: Final = {int(member): member for member in GroupState}


@final
class Filing:
    """What a store notes with an entry, so that it can be found, and replayed as it was."""

    __slots__ = ("found", "keys")

    def __init__(self, keys: tuple[bytes, ...], found: tuple[int, ...]) -> None:
        #: Digests by which later commands find this entry.
        self.keys: Final = keys
        #: Versions of the entries that the step was handed: by key, then 0, then heads of groups;
        #: empty where none was.
        self.found: Final = found


NOT_FOUND: Final[tuple[int, ...]] = ()


@final
class Filed:
    """An entry as it was read, with what the store noted."""

    __slots__ = ("chain", "chain_before", "entry", "events_from", "filing", "previous")

    def __init__(
        self,
        entry: Entry,
        filing: Filing,
        chain: bytes,
        chain_before: bytes,
        previous: int,
        events_from: int,
    ) -> None:
        self.entry: Final = entry
        self.filing: Final = filing
        #: Hash of this row and of the card's row before it.
        self.chain: Final = chain
        self.chain_before: Final = chain_before
        #: Where the card's row before stands in this store; 0 = this is the first.
        self.previous: Final = previous
        #: Position of its first event in the outbox; 0 = it has none.
        self.events_from: Final = events_from


def encode_entry(
    entry: Entry,
    filing: Filing,
    card_key: bytes,
    chain_before: bytes,
    previous: int,
    events_from: int,
) -> bytes:
    """The body of a journal row; its first 16 bytes are its hash."""
    content = pack(_entry_list(entry, filing))
    places = (previous << 8 * _PLACE_BYTES) | events_from
    return b"".join(
        (
            chain_of(card_key, chain_before, content),
            chain_before,
            places.to_bytes(2 * _PLACE_BYTES, "big"),
            content,
        )
    )


def chain_of(card_key: bytes, chain_before: bytes, content: bytes) -> bytes:
    """Hash of a card's row, chained to the row before."""
    return blake2b(card_key + chain_before + content, digest_size=HASH_BYTES).digest()


def decode_entry(body: bytes, card_key: bytes, version: int) -> Filed:
    """The entry in a journal row's body.

    Raises:
        CorruptFileError: the hash does not fit the body, the card or the version.
    """
    chain = body[:HASH_BYTES]
    before = body[HASH_BYTES:_PLACES_AT]
    content = body[_CONTENT_AT:]
    if not content or chain_of(card_key, before, content) != chain:
        message = f"the hash of entry {version} does not fit"
        raise CorruptFileError(message)
    entry, filing = _read(content, card_key, version)
    return Filed(entry, filing, chain, before, previous_of(body), events_from_of(body))


def decode_content(content: bytes, card_key: bytes, version: int) -> Entry:
    """The entry in a row's content, whose hash was checked elsewhere.

    Raises:
        CorruptFileError: the content is no entry of this version.
    """
    return _read(content, card_key, version)[0]


def content_of(body: bytes) -> bytes:
    """What the hash covers besides the card's key and the hash before."""
    return body[_CONTENT_AT:]


def previous_of(body: bytes) -> int:
    """Where the card's row before stands; 0 = this is the first."""
    return int.from_bytes(body[_PLACES_AT : _PLACES_AT + _PLACE_BYTES], "big")


def events_from_of(body: bytes) -> int:
    """Position of the entry's first event; 0 = it has none."""
    return int.from_bytes(body[_PLACES_AT + _PLACE_BYTES : _CONTENT_AT], "big")


def _read(content: bytes, card_key: bytes, version: int) -> tuple[Entry, Filing]:
    """Entry and filing in a row's content."""
    try:
        row: Any = unpack(content)
        if row[0] != FORMAT or row[1] != version:
            message = f"entry {version} has another format or version"
            raise CorruptFileError(message)
        return _entry_of(row, card_key), Filing(tuple(row[14]), tuple(row[15]))
    except (*DAMAGE, ZhiweiError) as error:
        if isinstance(error, CorruptFileError):
            raise
        raise CorruptFileError from error


def _entry_list(entry: Entry, filing: Filing) -> list[Any]:
    group = entry.group
    limits: list[int] = []
    for report in entry.limits:
        limits.append(report.channel)
        limits.append(report.measure)
        limits.append(report.period)
        limits.append(report.seconds)
        limits.append(report.used)
        limits.append(report.limit)
        limits.append(report.resets_ms)
    row: list[Any] = [
        FORMAT,
        entry.version,
        entry.now_ms,
        int(entry.outcome),
        entry.policy_version,
        [_finding_list(finding) for finding in entry.findings] if entry.findings else NOT_FOUND,
        entry.asked,
        None if group is None else _group_list(group),
        entry.auth_code,
        entry.challenge_id,
        entry.duplicate_of,
        limits,
        entry.flags,
        entry.note,
        filing.keys,
        filing.found,
        command_list(entry.command),
    ]
    # Only where a clock was set back; so nearly never, and then it costs nothing.
    if entry.filed_ms != entry.now_ms:
        row.append(entry.filed_ms - entry.now_ms)
    return row


def _entry_of(row: list[Any], card_key: bytes) -> Entry:
    group = row[7]
    return Entry(
        version=row[1],
        now_ms=row[2],
        filed_ms=row[2] + row[17] if len(row) > 17 else row[2],
        command=command_of(row[16], card_key),
        outcome=_OUTCOMES[row[3]],
        policy_version=row[4],
        findings=tuple([_finding_of(item) for item in row[5]]) if row[5] else NO_OPINION,
        asked=row[6],
        group=None if group is None else _group_of(group),
        auth_code=row[8],
        challenge_id=row[9],
        duplicate_of=row[10],
        limits=_limits_of(row[11]) if row[11] else (),
        flags=row[12],
        note=row[13],
    )


def _finding_list(finding: Finding) -> list[Any]:
    facts: list[Any] = []
    for name, value in finding.facts:
        facts.append(name)
        facts.append(value)
    return [int(finding.outcome), int(finding.reason), finding.control, facts, finding.lifted_by]


def _finding_of(row: list[Any]) -> Finding:
    flat: list[Any] = row[3]
    facts = tuple([(flat[i], flat[i + 1]) for i in range(0, len(flat), 2)])
    return Finding(_OUTCOMES[row[0]], _REASONS[row[1]], row[2], facts, row[4])


def _group_list(group: Group) -> list[Any]:
    return [
        group.version,
        int(group.state),
        bookings_list(group.bookings),
        group.approved_minor,
        group.refunded_minor,
    ]


def _group_of(row: list[Any]) -> Group:
    return Group(row[0], _GROUP_STATES[row[1]], bookings_of(row[2]), row[3], row[4])


def _limits_of(flat: list[int]) -> tuple[LimitReport, ...]:
    return tuple(
        [
            LimitReport(
                flat[i],
                flat[i + 1],
                flat[i + 2],
                flat[i + 3],
                flat[i + 4],
                flat[i + 5],
                flat[i + 6],
            )
            for i in range(0, len(flat), 7)
        ]
    )
