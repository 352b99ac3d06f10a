"""The scanner finds what was planted, in every form, and cries wolf over nothing else."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import io
import random
import sqlite3
import tarfile
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from tests.canary.forms import Secret
from tests.canary.scanner import Scanner

PAN = "6212345678901232"
ODD_PAN = "378282246310005"
PIN_BLOCK = bytes.fromhex("9f31c7024bd86ae5")
MARK = "CVN2-QX-983"
SCANNER = Scanner(
    [
        Secret("the card", PAN),
        Secret("the odd card", ODD_PAN),
        Secret("the PIN", raw=PIN_BLOCK),
        Secret("the mark", MARK),
    ]
)
NOISE = random.Random(7).randbytes(4096)

PLANTED: dict[str, bytes] = {
    "text": PAN.encode(),
    "JSON number": b'{"pan":' + PAN.encode() + b"}",
    "15 digits": ODD_PAN.encode(),
    "spaces": b"6212 3456 7890 1232",
    "dashes": b"6212-3456-7890-1232",
    "one digit a line": "\n".join(PAN).encode(),
    "a list of digits": str(list(PAN)).encode(),
    "a length before it": b"16" + PAN.encode() + b"000000",
    "packed": bytes.fromhex(PAN),
    "packed, 15 digits, filler left": bytes.fromhex("0" + ODD_PAN),
    "packed, 15 digits, filler right": bytes.fromhex(ODD_PAN + "f"),
    "packed from the second half byte": bytes.fromhex("d" + PAN + "d"),
    "a packed track": bytes.fromhex(PAN + "d28122011739184f"),
    "EBCDIC": PAN.encode("cp500"),
    "UTF-16": PAN.encode("utf-16"),
    "UTF-16 big-endian": PAN.encode("utf-16-be"),
    "hex of the text": PAN.encode().hex().encode(),
    "hex in capitals": ODD_PAN.encode("cp500").hex().upper().encode(),
    "base64": base64.b64encode(PAN.encode()),
    "base64 in the middle": base64.b64encode(b"x" + PAN.encode() + b"yz"),
    "base64 in the middle, shifted": base64.b64encode(b"xy" + PAN.encode() + b"z"),
    "base64 of the packed number": base64.b64encode(b"abcd" + bytes.fromhex(PAN)),
    "base64 over two lines": base64.encodebytes(b"." * 50 + PAN.encode()),
    "base64url": base64.urlsafe_b64encode(b"??" + PAN.encode("cp500")),
    "base32": base64.b32encode(b"abc" + PAN.encode()),
    "base32hex as in our ids": base64.b32hexencode(bytes.fromhex(PAN)).lower(),
    "address": "".join(f"%{ord(c):02X}" for c in PAN).encode(),
    "JSON escapes": "".join(f"\\u{ord(c):04x}" for c in PAN).encode(),
    "full-width digits": PAN.translate({ord("0") + n: 0xFF10 + n for n in range(10)}).encode(),
    "Arabic digits": PAN.translate({ord("0") + n: 0x0660 + n for n in range(10)}).encode(),
    "big-endian integer": int(PAN).to_bytes(8, "big"),
    "little-endian integer": int(PAN).to_bytes(8, "little"),
    "hex integer": hex(int(PAN)).encode(),
    "sha256": hashlib.sha256(PAN.encode()).digest(),
    "cut sha256": hashlib.sha256(PAN.encode()).digest()[:16],
    "sha1, hex": hashlib.new("sha1", PAN.encode(), usedforsecurity=False).hexdigest().encode(),
    "md5, base64": base64.b64encode(
        hashlib.new("md5", PAN.encode(), usedforsecurity=False).digest()
    ),
    "blake2b of 16 bytes": hashlib.blake2b(PAN.encode(), digest_size=16).digest(),
    "bytes": PIN_BLOCK,
    "bytes, hex": PIN_BLOCK.hex().upper().encode(),
    "bytes, base64": base64.b64encode(b"1" + PIN_BLOCK),
    "other text": MARK.encode(),
    "other text, EBCDIC": MARK.encode("cp500"),
    "other text, hex": MARK.encode().hex().encode(),
}


@pytest.mark.parametrize("form", PLANTED)
def test_a_planted_secret_is_found(form: str) -> None:
    """Each form is found in the middle of noise, and the complaint does not repeat the secret."""
    leaks = SCANNER.in_bytes("a file", NOISE[:1000] + b"<" + PLANTED[form] + b">" + NOISE[1000:])
    assert leaks
    assert all(PAN not in str(leak) and ODD_PAN not in str(leak) for leak in leaks)


def test_noise_and_what_people_may_see_are_no_leaks() -> None:
    """Random bytes, the last four digits, a masked number and a keyed digest are no leaks."""
    keyed = hmac.digest(NOISE[:32], PAN.encode(), "sha256")
    harmless = [
        *(NOISE, NOISE.hex().encode(), base64.b64encode(NOISE)),
        *(b"tail 1232", b"************1232", b"621234******1232"),
        *(keyed, keyed.hex().encode(), keyed[:16], base64.b32hexencode(keyed[:16]).lower()),
        *(MARK.lower().encode(), b"0" * 400, bytes(400), str(10**40).encode()),
    ]
    for content in harmless:
        assert SCANNER.in_bytes("harmless", content) == []


@pytest.mark.parametrize("secret", [PAN, MARK])
def test_archives_are_opened(secret: str, tmp_path: Path) -> None:
    """A secret in a zip in a gzip, or in a tape archive, is found."""
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt", f"card {secret}")
    taped = io.BytesIO()
    with tarfile.open(fileobj=taped, mode="w") as tape:
        member = tarfile.TarInfo("inner.gz")
        content = gzip.compress(f"card {secret}".encode())
        member.size = len(content)
        tape.addfile(member, io.BytesIO(content))
    (tmp_path / "a.gz").write_bytes(gzip.compress(zipped.getvalue()))
    (tmp_path / "b.tar").write_bytes(taped.getvalue())
    found = {leak.where.split(" ")[0] for leak in SCANNER.in_tree(tmp_path)}
    assert found == {"a.gz", "b.tar"}


@pytest.mark.parametrize("is_closed", [True, False])
def test_databases_are_read_cell_by_cell(is_closed: bool, tmp_path: Path) -> None:
    """A number in a row is found: as integer or text, over several pages, in a WAL still open."""
    path = tmp_path / "cards.sqlite3"
    connection = sqlite3.connect(path, isolation_level=None)
    with closing(connection):
        connection.execute("pragma page_size = 512")
        connection.execute("pragma journal_mode = wal")
        connection.execute("create table t (a, b)")
        cut_by_every_page = "".join(f"{PAN[:8]}{PAN[8:]}{'x' * 484}" for _ in range(20))
        connection.execute("insert into t values (?, ?)", (int(ODD_PAN), cut_by_every_page))
        if not is_closed:
            assert _names(SCANNER, tmp_path) == {"the card", "the odd card"}
    if is_closed:
        assert _names(SCANNER, tmp_path) == {"the card", "the odd card"}


def _names(scanner: Scanner, folder: Path) -> set[str]:
    return {leak.secret for leak in scanner.in_tree(folder) if "table t" in leak.where}


def test_names_of_files_are_looked_at(tmp_path: Path) -> None:
    """A number in the name of a file or folder is found."""
    (tmp_path / f"card-{PAN}").mkdir()
    (tmp_path / f"card-{PAN}" / "empty").touch()
    assert SCANNER.in_tree(tmp_path)


def test_a_scanner_takes_no_secret_that_chance_would_find() -> None:
    """Three digits are found everywhere, so asking for them is an error."""
    with pytest.raises(AssertionError, match="too short"):
        Scanner([Secret("a verification value", "737")])
