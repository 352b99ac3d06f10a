"""The scanner: looks for secrets in bytes, files, archives, databases and names of files.

It finds them in every form of `tests.canary.forms`, and also where digits have separators between
them, where they are escaped, and where they are packed from the second half of a byte on.
"""

from __future__ import annotations

import gzip
import io
import re
import shutil
import sqlite3
import tarfile
import tempfile
import unicodedata
import urllib.parse
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.canary.forms import LENGTH_MIN, Secret, needles

#: What people and programs put between the digits of a card number.
_SEPARATORS = re.compile(rb"(?<=[0-9])[ \t\r\n\-_.,/*:;|'\"\[\]\x00\xa0]{1,4}(?=[0-9])")
_LINE_ENDS = re.compile(rb"(?:\\n|[\r\n])[ \t]*")
_JSON_ESCAPE = re.compile(rb"\\u00([0-7][0-9a-fA-F])")
_SQLITE = b"SQLite format 3\x00"
#: Archives within archives are opened this deep.
_DEPTH_MAX = 4


@dataclass(frozen=True)
class Leak:
    """A secret that was found where it must not be."""

    where: str
    secret: str
    form: str
    offset: int

    def __str__(self) -> str:
        return f"{self.where}: {self.secret} as {self.form} at byte {self.offset}"


class Scanner:
    """Looks for a set of secrets."""

    def __init__(self, secrets: Sequence[Secret]) -> None:
        assert secrets, "a scanner without secrets would find nothing"
        assert all(len(s.text or s.raw) >= LENGTH_MIN for s in secrets), "too short to be found"
        self._digits = [(s.name, s.text.encode()) for s in secrets if s.is_digits]
        self._needles: dict[bytes, tuple[str, str]] = {}
        for secret in secrets:
            for form, needle in needles(secret):
                self._needles.setdefault(needle, (secret.name, form))

    def in_tree(self, root: Path) -> list[Leak]:
        """Leaks in all files under a folder, in their names, and in what the archives hold."""
        leaks = []
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            leaks += self.in_bytes("a name of a file or folder", name.encode())
            if path.is_file():
                leaks += self.in_file(path, name)
        return leaks

    def in_file(self, path: Path, name: str = "") -> list[Leak]:
        """Leaks in one file; a database is also read cell by cell."""
        where = name or path.name
        content = path.read_bytes()
        leaks = self.in_bytes(where, content)
        if content.startswith(_SQLITE):
            for place, cell in _cells(path):
                leaks += self.in_bytes(f"{where} {place}", cell)
        return leaks

    def in_bytes(self, where: str, content: bytes, depth: int = 0) -> list[Leak]:
        """Leaks in bytes; where these are an archive, in what it holds too."""
        leaks = self._as_it_is(where, content)
        for view, seen in _views(content):
            for name, digits in self._digits:
                offset = seen.find(digits)
                if offset >= 0:
                    leaks.append(Leak(where, name, f"digits, {view}", offset))
        unwrapped = _LINE_ENDS.sub(b"", content)
        if unwrapped != content:
            leaks += self._as_it_is(f"{where} (line ends removed)", unwrapped)
        if depth < _DEPTH_MAX:
            for place, inner in _unpacked(content):
                leaks += self.in_bytes(f"{where} › {place}", inner, depth + 1)
        return leaks

    def _as_it_is(self, where: str, content: bytes) -> list[Leak]:
        found = []
        for needle, (name, form) in self._needles.items():
            offset = content.find(needle)
            if offset >= 0:
                found.append(Leak(where, name, form, offset))
        return found


def _views(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The content with what may hide digits taken away, one way at a time."""
    yield "in half bytes", content.hex().encode()
    yield "with separators", _SEPARATORS.sub(b"", content)
    if b"\\u00" in content:
        yield "escaped as in JSON", _JSON_ESCAPE.sub(_character, content)
    if b"%" in content:
        yield "escaped as in an address", urllib.parse.unquote_to_bytes(content)
    if b"\xef\xbc" in content or b"\xd9" in content:
        # Full-width and other digits that are not ASCII.
        text = unicodedata.normalize("NFKC", content.decode("utf-8", errors="replace"))
        yield "in other digits", "".join(map(_ascii_digit, text)).encode()


def _ascii_digit(character: str) -> str:
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)


def _character(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 16)])


def _unpacked(content: bytes) -> Iterator[tuple[str, bytes]]:
    """What an archive or compressed stream holds, by name."""
    if content.startswith(b"\x1f\x8b"):
        yield "gzip", gzip.decompress(content)
    elif content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield name, archive.read(name)
    elif content[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(content)) as tape:
            for member in tape:
                file = tape.extractfile(member)
                if file is not None:
                    yield member.name, file.read()


def _cells(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every cell of a database, so that no value is missed because pages cut it in two."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.sqlite3"
        for ending in ("", "-wal"):
            source = path.with_name(path.name + ending)
            if source.exists():
                shutil.copyfile(source, copy.with_name(copy.name + ending))
        with closing(sqlite3.connect(copy)) as connection:
            tables = connection.execute("select name from sqlite_master where type = 'table'")
            for (table,) in tables.fetchall():
                for row in connection.execute(f'select * from "{table}"'):
                    for place, value in enumerate(row):
                        yield f"table {table}, column {place}", _cell(value)


def _cell(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
