"""Export, import and backup: nothing is lost, added or changed on the way."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.journal.history import STEP, History, data_with_history, live_through
from zhiwei.journal.backup import BackupFailedError, backup
from zhiwei.journal.export import export
from zhiwei.journal.taking_in import ImportFailedError, take_in
from zhiwei.journal.verify import verify
from zhiwei.keyring import Keyring
from zhiwei.ports import ApiKey, CorruptFileError
from zhiwei.stores.faces import SqliteFaceStore
from zhiwei.stores.messages.store import SqliteMessageStore
from zhiwei.stores.sqlite.connection import FILE_NAME
from zhiwei.stores.sqlite.store import SqliteStore
from zhiwei.web.sign_in.model import Operator, Role


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a history and a key."""
    directory = data_with_history(tmp_path_factory.mktemp("data"), batches=15)
    Keyring(directory).add(ApiKey("key_1", 1, "0" * 64, "issuer"))
    return directory


@pytest.fixture(scope="module")
def exported(data: Path) -> str:
    """Its export."""
    out = io.StringIO()
    export(data / FILE_NAME, out)
    return out.getvalue()


def imported(text: str, directory: Path) -> Path:
    """The directory, filled from an export."""

    async def fill() -> None:
        store = SqliteStore(directory)
        try:
            await take_in(io.StringIO(text), store, Keyring(directory))
        finally:
            await store.close()

    directory.mkdir(exist_ok=True)
    asyncio.run(fill())
    return directory


def test_an_import_of_an_export_is_the_same(exported: str, tmp_path: Path) -> None:
    """What was taken in verifies, and its own export is the same text."""
    copy = imported(exported, tmp_path)
    assert verify(copy / FILE_NAME).problems == []
    out = io.StringIO()
    export(copy / FILE_NAME, out)
    assert out.getvalue() == exported
    assert Keyring(copy).find("key_1") == ApiKey("key_1", 1, "0" * 64, "issuer")


def test_an_export_holds_what_it_counts(exported: str) -> None:
    """The last line counts the lines before it."""
    lines = [json.loads(line) for line in exported.splitlines()]
    end = lines[-1]
    assert lines[0] == {"type": "begin", "format": "zhiwei-export", "version": 1}
    assert end["entries"] == sum(line["type"] == "entry" for line in lines)
    assert end["records"] == sum(line["type"] == "record" for line in lines)
    assert end["cards"] == 6


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda lines: lines[:-1], "cut off"),
        (lambda lines: lines[:40] + lines[41:], "altered, or a line before it is missing"),
        (
            lambda lines: [*lines[:40], lines[40].replace('"content":"', '"content":"AAAA')],
            "altered",
        ),
        (lambda lines: lines[1:], "not the beginning"),
        (lambda lines: [*lines, lines[-1]], "after the end"),
        (lambda lines: [lines[0], "{]", *lines[1:]], "not JSON"),
        (lambda lines: [lines[0], "[]", *lines[1:]], "not a JSON object"),
        (lambda lines: [lines[0], '{"type":"magic"}', *lines[1:]], "no known type"),
        (lambda lines: [lines[0], '{"type":"entry"}', *lines[1:]], "cannot be used"),
        (lambda lines: [lines[0].replace(":1}", ":9}"), *lines[1:]], "version 9"),
        (lambda lines: [*lines[:-1], lines[-1].replace('"events":', '"events":1')], "events"),
    ],
)
def test_a_spoiled_export_is_not_taken_in(
    exported: str, tmp_path: Path, spoil: object, message: str
) -> None:
    """Whatever is cut off, left out, altered or added is noticed, and the line is named."""
    assert callable(spoil)
    text = "\n".join(spoil(exported.splitlines())) + "\n"
    with pytest.raises(ImportFailedError, match=message):
        imported(text, tmp_path)


def test_only_an_empty_directory_is_filled(exported: str, tmp_path: Path) -> None:
    """Nothing is mixed into data that are there."""
    copy = imported(exported, tmp_path)
    with pytest.raises(ImportFailedError, match="not empty"):
        imported(exported, copy)


def test_damaged_data_are_not_exported(data: Path, tmp_path: Path) -> None:
    """A row whose hash does not fit stops the export; nothing damaged is carried over."""
    backup(data, tmp_path / "copy")
    path = tmp_path / "copy" / FILE_NAME
    with closing(sqlite3.connect(path)) as connection, connection:
        longer = "cast(body || x'00' as blob)"
        connection.execute(f"update journal set body = {longer} where position = 20")
    with pytest.raises(CorruptFileError):
        export(path, io.StringIO())


def test_a_backup_is_a_whole_copy(data: Path, tmp_path: Path) -> None:
    """The copy verifies; all is in it but the vault's key: API keys, messages, who may sign in."""
    (data / "vault.key").write_text("not to be copied")
    messages = SqliteMessageStore(data)
    messages.plan([], cursor=7, now_ms=1)
    faces = SqliteFaceStore(data)
    faces.add_operator(Operator("op_1", "王主管", Role.OFFICER, 1))
    target = tmp_path / "copy"
    assert backup(data, target) > 0
    messages.close()
    faces.close()
    names = ["faces.sqlite3", "keys.sqlite3", "messages.db", FILE_NAME]
    assert sorted(path.name for path in target.iterdir()) == sorted(names)
    copied = SqliteMessageStore(target)
    assert copied.cursor() == 7
    copied.close()
    restored = SqliteFaceStore(target)
    assert [one.name for one in restored.operators()] == ["王主管"]
    restored.close()
    assert verify(target / FILE_NAME).problems == []
    with pytest.raises(BackupFailedError, match="not empty"):
        backup(data, target)
    with pytest.raises(BackupFailedError, match="no data"):
        backup(tmp_path, tmp_path / "other")


def test_a_backup_can_be_made_while_serving(tmp_path: Path) -> None:
    """Copies that are made while decisions are being written are each whole as of an instant."""
    targets = [tmp_path / f"copy-{number}" for number in range(3)]
    directory = tmp_path / "data"
    directory.mkdir()

    async def live() -> None:
        store = SqliteStore(directory)
        history = History(5, 5)
        await live_through(store, history, 3)
        stop = threading.Event()

        def copy() -> None:
            for target in targets:
                backup(directory, target)
            stop.set()

        thread = threading.Thread(target=copy)
        thread.start()
        while not stop.is_set():
            history.now_ms += 60_000
            await store.transact([history.next() for _ in range(20)], STEP, history.now_ms)
        thread.join()
        await store.close()

    asyncio.run(live())
    counts = []
    for target in targets:
        report = verify(target / FILE_NAME)
        assert report.problems == []
        counts.append(report.entries)
    assert counts == sorted(counts)
