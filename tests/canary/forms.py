"""The forms in which a secret can lie in a file: as text, packed, in hex, in base64, as a digest.

A secret is given once, as digits, as text or as bytes. `needles` gives every byte sequence that
would betray it, with the name of the form. Forms that are no fixed sequence (digits with separators
between them, escapes, digits packed from the second half byte on) are the scanner's to undo.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

#: Form and bytes.
Needle: TypeAlias = "tuple[str, bytes]"
#: A shorter sequence would be found by chance.
LENGTH_MIN = 7
#: Bytes of a digest that are looked for; a cut digest is found as long as it keeps these.
DIGEST_PREFIX = 8
#: BLAKE2b gives another digest for every length; these are the usual ones.
BLAKE_SIZES = (4, 8, 12, 16, 20, 24, 32, 48, 64)


@dataclass(frozen=True)
class Secret:
    """Something that must be in no file, log, metric or answer."""

    #: Where it was sent, for the complaint.
    name: str
    #: The secret as it was sent: digits or other text. Empty where it is bytes.
    text: str = ""
    #: The secret where it is bytes.
    raw: bytes = b""

    @property
    def is_digits(self) -> bool:
        """Decimal digits only, so that packed forms, integers and separators matter."""
        return self.text.isascii() and self.text.isdigit()


def needles(secret: Secret) -> Iterator[Needle]:
    """Every fixed sequence of bytes that would betray the secret; case matters as given."""
    for name, content in contents(secret):
        yield name, content
        yield f"{name}, hex", content.hex().encode()
        yield f"{name}, hex in capitals", content.hex().upper().encode()
        yield from _in_groups(f"{name}, base64", content, 3, base64.b64encode)
        yield from _in_groups(f"{name}, base64url", content, 3, base64.urlsafe_b64encode)
        yield from _in_groups(f"{name}, base32", content, 5, base64.b32encode)
        yield from _in_groups(f"{name}, base32hex", content, 5, base64.b32hexencode)
        yield from _in_groups(f"{name}, base32hex small", content, 5, _small_base32hex)
    if secret.is_digits:
        yield from _integers(secret.text)
        yield from _digests(secret.text)


def contents(secret: Secret) -> Iterator[Needle]:
    """The secret itself, in every character set or packing that a network or a file uses."""
    if secret.raw:
        yield "bytes", secret.raw
        return
    yield "text", secret.text.encode()
    yield "UTF-16 big-endian", secret.text.encode("utf-16-be")
    yield "UTF-16 little-endian", secret.text.encode("utf-16-le")
    yield "EBCDIC", secret.text.encode("cp500")
    if secret.is_digits:
        even = secret.text[: len(secret.text) // 2 * 2]
        yield "packed", bytes.fromhex(even)
        odd = secret.text[1:]
        shifted = bytes.fromhex(odd[: len(odd) // 2 * 2])
        if len(shifted) >= LENGTH_MIN:
            yield "packed from the second digit", shifted


def _small_base32hex(content: bytes) -> bytes:
    """Base32hex as our own ids are written."""
    return base64.b32hexencode(content).lower()


def _in_groups(
    name: str, content: bytes, size: int, encode: Callable[[bytes], bytes]
) -> Iterator[Needle]:
    """The encoded content at each place that it can have within a group of `size` bytes.

    Characters that would also depend on what stands before and after are left out.
    """
    bits = {3: 6, 5: 5}[size]
    for offset in range(size):
        encoded = encode(bytes(offset) + content + bytes(size))
        first = -(-offset * 8 // bits)
        last = (offset + len(content)) * 8 // bits
        yield f"{name} at {offset}", encoded[first:last]


def _integers(digits: str) -> Iterator[Needle]:
    """The number as a binary integer, without leading zero bytes."""
    number = int(digits)
    size = (number.bit_length() + 7) // 8
    if size >= LENGTH_MIN - 1:
        yield "integer, big-endian", number.to_bytes(size, "big")
        yield "integer, little-endian", number.to_bytes(size, "little")
        yield "integer, hex", f"{number:x}".encode()


def _digests(digits: str) -> Iterator[Needle]:
    """Digests without a key: whoever has one can try all numbers (PCI DSS 3.5.1.1)."""
    content = digits.encode()
    made = {name: hashlib.new(name, content).digest() for name in ("md5", "sha1", "sha256")}
    made |= {name: hashlib.new(name, content).digest() for name in ("sha512", "sha3_256")}
    for size in BLAKE_SIZES:
        made[f"blake2b-{size}"] = hashlib.blake2b(content, digest_size=size).digest()
    for name, digest in made.items():
        if len(digest) >= DIGEST_PREFIX:
            yield f"{name} without a key", digest[:DIGEST_PREFIX]
            yield f"{name} without a key, hex", digest.hex()[: 2 * DIGEST_PREFIX].encode()
            yield f"{name} without a key, base64", base64.b64encode(digest)[:10]
