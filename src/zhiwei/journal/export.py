"""Export: everything that a store keeps, as JSON Lines that another store can take in.

The first line names the format, the last one counts what came before, so that a file that was cut
off shows. Between them stand the records, the audit lines that belong to no card, and the journal
in its order, each entry with its hash. Counters, files, events and a card's audit lines are not
written: they follow from the journal, and the import works them out anew. The vault's key is never
written.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final, Protocol

from zhiwei.journal.tally import Tally
from zhiwei.keyring import FILE_NAME, Keyring
from zhiwei.ports import ApiKey
from zhiwei.stores.coding.audit import decode_audit
from zhiwei.stores.coding.entry import HASH_BYTES, content_of, decode_entry
from zhiwei.stores.coding.record import KINDS, record_of
from zhiwei.stores.sqlite.snapshot import Snapshot

FORMAT: Final = "zhiwei-export"
VERSION: Final = 1
_REPORT_EVERY: Final = 1000
OnProgress = Callable[[int, int], None]


class Whole(Protocol):
    """All of a store as of one instant."""

    @property
    def last_entry(self) -> int:
        """Position of the last journal row."""
        ...

    @property
    def last_event(self) -> int:
        """How many events there are."""
        ...

    def entries(self) -> Iterator[tuple[int, bytes, int, bytes]]:
        """Position, card key, version and body of all journal rows, by position."""
        ...

    def audits(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Position, card key and body of the audit trail, by position."""
        ...

    def records(self) -> Iterator[tuple[str, str, str, int, bytes]]:
        """Kind, id, subject, time and body of all records."""
        ...


def export(path: Path, out: IO[str], on_progress: OnProgress | None = None) -> Tally:
    """Write the data of a file, also beside a running server; what was written.

    Raises:
        StoreUnavailableError, NewerDataError, ForeignFileError: the data cannot be read.
        CorruptFileError: a row is damaged; `zhiwei verify` says which ones are.
        OSError: `out` cannot be written.
    """
    with Snapshot(path) as snapshot:
        return export_whole(snapshot, keys_in(path.parent), out, on_progress)


def export_whole(
    whole: Whole, keys: Iterable[ApiKey], out: IO[str], on_progress: OnProgress | None = None
) -> Tally:
    """Write everything of a store, and the API keys; what was written.

    Raises:
        StoreUnavailableError: the data cannot be read.
        CorruptFileError: a row is damaged; `zhiwei verify` says which ones are.
        OSError: `out` cannot be written.
    """
    tally = Tally()
    _write(out, {"type": "begin", "format": FORMAT, "version": VERSION})
    for key in keys:
        _write(out, {"type": "key", "body": asdict(key)})
        tally.keys += 1
    for document in _records(whole):
        _write(out, document)
        tally.records += 1
    for line in _audits(whole):
        tally.audits += 1
        if line is not None:
            _write(out, line)
    for position, card_key, version, body in whole.entries():
        # Reading it checks its hash: nothing damaged is carried over.
        decode_entry(body, card_key, version)
        tally.add_entry(card_key, body[:HASH_BYTES])
        _write(
            out,
            {
                "type": "entry",
                "card": card_key.hex(),
                "version": version,
                "hash": body[:HASH_BYTES].hex(),
                "content": b64encode(content_of(body)).decode(),
            },
        )
        if on_progress is not None and position % _REPORT_EVERY == 0:
            on_progress(position, whole.last_entry + 1)
    tally.events = whole.last_event
    _write(out, {"type": "end", **tally.document()})
    if on_progress is not None:
        on_progress(1, 1)
    return tally


def keys_in(data_dir: Path) -> list[ApiKey]:
    """The API keys of a data directory, of which only hashes are kept; nothing is made there."""
    if not (data_dir / FILE_NAME).is_file():
        return []
    with closing(Keyring(data_dir)) as keyring:
        return keyring.all()


def _records(snapshot: Whole) -> Iterator[dict[str, Any]]:
    for kind_name, record_id, _, _, body in snapshot.records():
        record = record_of(KINDS[kind_name], record_id, body)
        yield {"type": "record", "kind": kind_name, "body": asdict(record)}


def _audits(snapshot: Whole) -> Iterator[dict[str, Any] | None]:
    """Audit lines that belong to no card; None for the others, which the journal brings."""
    for _, card_key, body in snapshot.audits():
        at_ms, actor, audit = decode_audit(body, card_key)
        if card_key:
            yield None
            continue
        yield {
            "type": "audit",
            "at_ms": at_ms,
            "actor": {
                "who": actor.who,
                "via": int(actor.via),
                "is_strong": actor.is_strong,
                "is_staff": actor.is_staff,
            },
            "action": audit.action,
            "subject": audit.subject,
            "old": audit.old,
            "new": audit.new,
        }


def _write(out: IO[str], document: dict[str, Any]) -> None:
    out.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")))
    out.write("\n")
