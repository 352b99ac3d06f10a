"""The vault: the one place where a card number (PAN) becomes a card key, and is forgotten.

A card key is HMAC-SHA-256 of the PAN under a key that lies outside the database, cut to 16 bytes.
Who steals the database has no PANs, and cannot try all of them without the key file. No recoverable
PAN is kept anywhere; people see the last four digits.

The key file holds 64 hexadecimal digits. Losing it means that no card is recognized any more, so it
belongs into the operator's backup, away from the database's.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import stat
from hashlib import sha256
from pathlib import Path
from typing import Final, final

from zhiwei.core.errors import ZhiweiError
from zhiwei.core.ids import CARD_KEY_BYTES

KEY_BYTES: Final = 32
#: SHA-256 works on blocks of this size.
_BLOCK_BYTES: Final = 64
#: Shortest and longest PAN of ISO/IEC 7812.
PAN_DIGITS_MIN: Final = 12
PAN_DIGITS_MAX: Final = 19
#: The shortest number that is looked for in texts; shorter ones are hardly in use any more.
_IN_TEXT_MIN: Final = 13
#: The shortest number that is looked for in references: a merchant number (DE42) has 15 digits, and
#: one in ten of them has a check digit that fits by chance.
_IN_REFERENCE_MIN: Final = 16
#: Digits, also with what people put between them.
_MANY_DIGITS: Final = re.compile(r"\d(?:[ \-./_*]{0,2}\d){12,}")


class BadCardNumberError(ZhiweiError):
    """not a card number"""


class VaultKeyError(ZhiweiError):
    """the key file cannot be used"""


@final
class Vault:
    """Turns card numbers into card keys; its `repr` shows nothing of the key."""

    __slots__ = ("_inner", "_key", "_outer")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise VaultKeyError(f"a vault key has {KEY_BYTES} bytes, not {len(key)}")
        self._key: Final = key
        # HMAC as it is defined (RFC 2104), with the key's half of both hashes done once:
        # `hmac.digest` looks its algorithm up for every call, which costs twice the rest.
        padded = key.ljust(_BLOCK_BYTES, b"\0")
        self._inner: Final = sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer: Final = sha256(bytes(byte ^ 0x5C for byte in padded))

    def __repr__(self) -> str:
        return "Vault(key hidden)"

    def __reduce__(self) -> str:
        raise TypeError("a vault is never copied into a file or another process")

    def card_key(self, number: str) -> bytes:
        """Card key (16 bytes) of a PAN as a message carries it; its check digit is not looked at.

        A terminal's typing error is then an unknown card, which is the right answer to it.

        Raises:
            BadCardNumberError: not 12 to 19 digits. The message never shows the number.
        """
        if not (PAN_DIGITS_MIN <= len(number) <= PAN_DIGITS_MAX and _is_digits(number)):
            message = f"a card number has {PAN_DIGITS_MIN} to {PAN_DIGITS_MAX} digits"
            raise BadCardNumberError(message)
        return self._digest(number.encode())

    def new_card_key(self, number: str) -> bytes:
        """Card key of a PAN that is to be registered: its check digit must be right too.

        Raises:
            BadCardNumberError: not 12 to 19 digits, or the last one is not what the others say.
        """
        key = self.card_key(number)
        if not has_right_check_digit(number):
            raise BadCardNumberError("the check digit of the card number is wrong")
        return key

    def token_key(self, token: str) -> bytes:
        """Card key of an issuer's own token, which stands for a PAN that never comes here.

        A token of 12 to 19 digits is one that terminals send in the PAN's place, so it has the
        same key as that number would have.
        """
        if PAN_DIGITS_MIN <= len(token) <= PAN_DIGITS_MAX and _is_digits(token):
            return self._digest(token.encode())
        return self._digest(b"token|" + token.encode())

    def derived_secret(self, purpose: str) -> bytes:
        """A secret of 32 bytes for another purpose, such as signing one subscriber's webhooks."""
        return hmac.digest(self._key, b"secret|" + purpose.encode(), sha256)

    def _digest(self, text: bytes) -> bytes:
        inner = self._inner.copy()
        inner.update(text)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()[:CARD_KEY_BYTES]


def open_vault(path: Path) -> Vault:
    """The vault of a key file; the file is made, for its owner only, where there is none.

    Raises:
        VaultKeyError: the file can be read by others, is not a key, or cannot be read or made. The
            message says what to do, and never shows the content.
    """
    try:
        if not path.exists():
            _make_key_file(path)
        return Vault(_read_key(path))
    except OSError as error:
        message = f"the key file `{path}` cannot be used: {error.strerror}"
        raise VaultKeyError(message) from error


def has_right_check_digit(number: str) -> bool:
    """Whether the last digit fits the others (Luhn, ISO/IEC 7812-1 annex B)."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit)
        if place % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def tail_of(number: str) -> str:
    """The four digits that people may see."""
    return number[-4:]


def text_without_numbers(text: str) -> str:
    """A text for people, with every card number in it shown as its last four digits.

    A longer run of digits may hold one anywhere, and is hidden whole.
    """
    return _MANY_DIGITS.sub(_hidden, text)


def reference_without_number(reference: str) -> str:
    """A reference of a message, as it is, unless it is a card number of 16 to 19 digits.

    Of a card number the last four digits are left.
    """
    digits = reference.replace("-", "")
    is_number = (
        _IN_REFERENCE_MIN <= len(digits) <= PAN_DIGITS_MAX
        and _is_digits(digits)
        and _is_like_a_number(digits)
    )
    return "*" * (len(digits) - 4) + tail_of(digits) if is_number else reference


def holds_card_number(text: str) -> bool:
    """Whether a card number of 16 to 19 digits stands in a text, also in groups."""
    for match in _MANY_DIGITS.finditer(text):
        digits = "".join([c for c in match.group() if c.isdigit()])
        fits = _IN_REFERENCE_MIN <= len(digits) <= PAN_DIGITS_MAX
        if fits and _is_like_a_number(digits):
            return True
    return False


def _is_like_a_number(digits: str) -> bool:
    """Whether digits begin as the numbers of payment cards do, and end as they must.

    Networks begin with 3 to 6, Mastercard also with 2221 to 2720, UnionPay also with 81: an
    instant or a date is no card number, whatever its last digit.
    """
    begins_well = digits[0] in "3456" or digits[:2] == "81" or "2221" <= digits[:4] <= "2720"
    return begins_well and has_right_check_digit(digits)


def _hidden(match: re.Match[str]) -> str:
    """What is shown of a run of digits."""
    digits = "".join([c for c in match.group() if c.isdigit()])
    if len(digits) > PAN_DIGITS_MAX:
        return "*" * 8
    if len(digits) < _IN_TEXT_MIN or not has_right_check_digit(digits):
        return match.group()
    return "*" * (len(digits) - 4) + tail_of(digits)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _make_key_file(path: Path) -> None:
    """Write a new key beside its place and move it there, so that no half of a key is ever found.

    `link` refuses to replace a file: of two processes that start at once, one key wins for both.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            return
        _sync_directory(path.parent)
    finally:
        fresh.unlink()


def _sync_directory(directory: Path) -> None:
    """Make the new name durable: a lost key file loses every card."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_key(path: Path) -> bytes:
    """The key in the file.

    Raises:
        VaultKeyError: others may read or change the file, or it is not 64 hexadecimal digits.
    """
    descriptor = os.open(path, os.O_RDONLY)
    with os.fdopen(descriptor, "rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            message = f"the key file `{path}` is open to others; run `chmod 600 {path}`"
            raise VaultKeyError(message)
        content = file.read(1024)
    try:
        key = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        message = f"the key file `{path}` must hold {2 * KEY_BYTES} hexadecimal digits"
        raise VaultKeyError(message)
    return key
