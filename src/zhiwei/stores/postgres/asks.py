"""Asks: what a batch writes, as statements with their parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from zhiwei.ports import Replacing
from zhiwei.stores.coding.record import kind_name
from zhiwei.stores.postgres.arrays import bigint, bigint_array, bytea_array, text_array
from zhiwei.stores.postgres.line import Ask
from zhiwei.stores.postgres.turn import Writing

BEGIN: Final[Ask] = (b"begin", ())
COMMIT: Final[Ask] = (b"commit", ())
ROLLBACK: Final[Ask] = (b"rollback", ())
ONE_AT_A_TIME: Final[Ask] = (b"one_at_a_time", ())
PARTITIONS: Final[Ask] = (b"partitions", ())
FINISHED: Final[Ask] = (b"finished", ())
POLICY_TURN: Final[Ask] = (b"policy_turn", ())


def serve_schema(number: int) -> Ask:
    """Be counted among those who know this schema, while the line is open."""
    return (b"serve_schema", (bigint(number),))


def lock_files(card_keys: Sequence[bytes], *, waits: bool) -> Ask:
    """Read and lock files."""
    return (b"lock_files" if waits else b"lock_free_files", (bytea_array(card_keys),))


def known_cards(card_keys: Sequence[bytes]) -> Ask:
    """Which of these cards there are."""
    return (b"known_cards", (bytea_array(card_keys),))


def entries_wanted(entries: dict[tuple[bytes, int], tuple[int, int]]) -> Ask:
    """Read entries with the heads of their groups."""
    return (
        b"entries_wanted",
        (
            bytea_array([key for key, _ in entries]),
            bigint_array([version for _, version in entries]),
            bigint_array([from_ms for from_ms, _ in entries.values()]),
            bigint_array([before_ms for _, before_ms in entries.values()]),
        ),
    )


def old_versions_wanted(digests: Iterable[tuple[bytes, bytes]]) -> Ask:
    """Read what old digests stand for."""
    keys, names = zip(*digests, strict=True)
    return (b"old_versions_wanted", (bytea_array(keys), bytea_array(names)))


def chain_of_entry(card_key: bytes, version: int, filed_ms: int) -> Ask:
    """Read the hash of an entry."""
    return (b"chain_of_entry", (card_key, bigint(version), bigint(filed_ms)))


def writes(writing: Writing) -> list[Ask]:
    """Everything that a batch writes, in an order that no two servers can deadlock in.

    Locks of files were taken before; new files come in order of their keys.
    """
    asks: list[Ask] = []
    if writing.new_files:
        asks.append(_insert_files(writing))
    if writing.old_files:
        asks.append(_update_files(writing))
    for name, rows in ((b"insert_entries", writing.entries), (b"insert_events", writing.events)):
        if rows:
            asks.append(_insert_rows(name, rows))
    if writing.heads:
        asks.append(_put_heads(writing))
    if writing.old_keys:
        keys, digests, versions, seconds = zip(*writing.old_keys, strict=True)
        columns = (bytea_array(keys), bytea_array(digests))
        asks.append((b"insert_old_keys", (*columns, bigint_array(versions), bigint_array(seconds))))
    if writing.audits:
        asks.append(insert_audits(writing.audits))
    return asks


def _insert_files(writing: Writing) -> Ask:
    keys, holders, settings, versions, usages, recents = zip(*writing.new_files, strict=True)
    return (
        b"insert_files",
        (
            bytea_array(keys),
            text_array(holders),
            bytea_array(settings),
            bigint_array(versions),
            bytea_array(usages),
            bytea_array(recents),
        ),
    )


def _update_files(writing: Writing) -> Ask:
    keys, befores, versions, settings, usages, recents = zip(*writing.old_files, strict=True)
    return (
        b"update_files",
        (
            bytea_array(keys),
            bigint_array(befores),
            bigint_array(versions),
            bytea_array(settings),
            bytea_array(usages),
            bytea_array(recents),
            bigint(len(keys)),
        ),
    )


def _insert_rows(name: bytes, rows: Sequence[tuple[bytes, int, int, int, bytes]]) -> Ask:
    """Rows of the journal or the outbox."""
    keys, firsts, instants, seconds, bodies = zip(*rows, strict=True)
    return (
        name,
        (
            bytea_array(keys),
            bigint_array(firsts),
            bigint_array(instants),
            bigint_array(seconds),
            bytea_array(bodies),
        ),
    )


def _put_heads(writing: Writing) -> Ask:
    heads = writing.heads
    return (
        b"put_heads",
        (
            bytea_array([key for key, _ in heads]),
            bigint_array([group for _, group in heads]),
            bigint_array([latest for latest, _ in heads.values()]),
            bigint_array([filed_ms for _, filed_ms in heads.values()]),
        ),
    )


def insert_audits(audits: Sequence[tuple[bytes, bytes]]) -> Ask:
    """Write lines of the audit trail: card key (or nothing) and body."""
    keys, bodies = zip(*audits, strict=True)
    return (b"insert_audits", (bytea_array(keys), bytea_array(bodies)))


def record_turns(minded: Sequence[Replacing]) -> Ask:
    """Be the only one who changes these records and minds what they replace."""
    return (b"record_turns", _names_of(minded))


def record_bodies(minded: Sequence[Replacing]) -> Ask:
    """Read what is kept under the names of records."""
    return (b"record_bodies", _names_of(minded))


def put_records(rows: Sequence[tuple[str, str, str, int, bytes]], oldest_ms: int) -> Ask:
    """Keep records; of several with one id the last one.

    Fails where one that stands would be replaced; answers from after `oldest_ms` stand.
    """
    latest = {(row[0], row[1]): row for row in rows}
    kinds, ids, subjects, instants, bodies = zip(
        *[latest[key] for key in sorted(latest)], strict=True
    )
    return (
        b"put_records",
        (
            text_array(kinds),
            text_array(ids),
            text_array(subjects),
            bigint_array(instants),
            bytea_array(bodies),
            bigint(oldest_ms),
            bigint(len(latest)),
        ),
    )


def policy_follows(number: int) -> Ask:
    """Fail unless so many policies were adopted before."""
    return (b"policy_follows", (bigint(number),))


def _names_of(minded: Sequence[Replacing]) -> tuple[bytes, bytes]:
    kinds = [kind_name(one.record) for one in minded]
    return text_array(kinds), text_array([one.record.id for one in minded])
