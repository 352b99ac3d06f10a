"""The vault: card numbers become card keys and are forgotten."""

from __future__ import annotations

import pickle
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zhiwei.vault import (
    BadCardNumberError,
    Vault,
    VaultKeyError,
    has_right_check_digit,
    holds_card_number,
    open_vault,
    reference_without_number,
    text_without_numbers,
)

KEY = bytes(range(32))
PAN = "4111111111111111"


def test_the_same_number_has_the_same_key_and_another_has_another() -> None:
    """A card is recognized, and only that card."""
    vault = Vault(KEY)
    assert vault.card_key(PAN) == vault.new_card_key(PAN) == Vault(KEY).card_key(PAN)
    assert len(vault.card_key(PAN)) == 16
    assert vault.card_key(PAN) != vault.card_key("4242424242424242")
    assert vault.card_key(PAN) != Vault(bytes(32)).card_key(PAN)


def test_the_digest_is_hmac_sha_256() -> None:
    """The key is what is documented, so that an issuer can compute it elsewhere (RFC 2104)."""
    assert Vault(KEY).card_key(PAN).hex() == "0622241201382a45912fb22828b3f7db"


@pytest.mark.parametrize(
    "number",
    ["", "4111", "1" * 20, "41111111 1111111", "４１１１１１１１１１１１１１１１", "4" * 11 + "x"],
)
def test_what_is_no_card_number_is_refused_without_being_shown(number: str) -> None:
    """Errors do not carry what was sent, for it may be a card number with a slip in it."""
    with pytest.raises(BadCardNumberError) as caught:
        Vault(KEY).card_key(number)
    assert not number or number not in str(caught.value)


def test_a_wrong_check_digit_is_refused_at_registration_only() -> None:
    """A typing error never becomes a card; at a terminal it is an unknown card."""
    wrong = PAN[:-1] + "2"
    vault = Vault(KEY)
    assert vault.card_key(wrong) != vault.card_key(PAN)
    with pytest.raises(BadCardNumberError, match="check digit") as caught:
        vault.new_card_key(wrong)
    assert wrong not in str(caught.value)


@pytest.mark.parametrize(
    "number", [PAN, "4242424242424242", "5555555555554444", "6212345678901232", "6200000000000005"]
)
def test_public_test_numbers_pass_the_check(number: str) -> None:
    """The check is Luhn's."""
    assert has_right_check_digit(number)


def test_a_token_of_digits_is_found_by_the_number_that_terminals_send() -> None:
    """A network token comes in the PAN's place; other tokens live in a space of their own."""
    vault = Vault(KEY)
    assert vault.token_key(PAN) == vault.card_key(PAN)
    assert vault.token_key("tok_1") != vault.token_key("tok_2")
    assert len(vault.token_key("tok_1")) == 16


def test_derived_secrets_differ_by_purpose() -> None:
    """One subscriber's secret says nothing of another's."""
    vault = Vault(KEY)
    assert vault.derived_secret("a") == vault.derived_secret("a") != vault.derived_secret("b")


def test_a_vault_shows_nothing_of_its_key() -> None:
    """Neither a log line nor a pickle can carry the key away."""
    vault = Vault(KEY)
    assert KEY.hex() not in repr(vault)
    with pytest.raises(TypeError, match="never copied"):
        pickle.dumps(vault)


def test_the_key_file_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    """The first start makes the key; the second finds it."""
    path = tmp_path / "new" / "vault.key"
    first = open_vault(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_vault(path).card_key(PAN) == first.card_key(PAN)
    assert [p.name for p in path.parent.iterdir()] == ["vault.key"]


def test_two_first_starts_at_once_agree_on_one_key(tmp_path: Path) -> None:
    """No card is filed under a key that is thrown away."""
    path = tmp_path / "vault.key"
    with ThreadPoolExecutor(8) as pool:
        keys = {vault.card_key(PAN) for vault in pool.map(open_vault, [path] * 32)}
    assert len(keys) == 1


def test_an_operators_own_key_is_taken(tmp_path: Path) -> None:
    """The operator may bring the key, from a safe for example."""
    path = tmp_path / "own.key"
    path.write_text(KEY.hex().upper() + "\n", "ascii")
    path.chmod(0o600)
    assert open_vault(path).card_key(PAN) == Vault(KEY).card_key(PAN)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610])
def test_a_key_file_open_to_others_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    """A key that others can read or change protects nothing."""
    path = tmp_path / "vault.key"
    open_vault(path)
    path.chmod(mode)
    with pytest.raises(VaultKeyError, match="chmod 600"):
        open_vault(path)


@pytest.mark.parametrize("content", ["", "00", "z" * 64, "00" * 33, "00" * 2000])
def test_a_file_that_is_no_key_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    """A truncated key would silently forget every card."""
    path = tmp_path / "vault.key"
    path.write_text(content, "ascii")
    path.chmod(0o600)
    with pytest.raises(VaultKeyError, match="64 hexadecimal") as caught:
        open_vault(path)
    assert not content or content not in str(caught.value)


def test_an_unusable_place_is_one_clear_error(tmp_path: Path) -> None:
    """The directory of the key is a file: the message names the path."""
    (tmp_path / "file").write_text("", "ascii")
    with pytest.raises(VaultKeyError, match="cannot be used"):
        open_vault(tmp_path / "file" / "vault.key")


def test_a_key_of_another_length_is_refused() -> None:
    """Nothing shorter than 32 bytes is a key."""
    with pytest.raises(VaultKeyError, match="32 bytes"):
        Vault(b"short")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("card 4111111111111111, please", "card ************1111, please"),
        ("4111 1111-1111.1111", "************1111"),
        ("AMEX 378282246310005", "AMEX ***********0005"),
        ("LUOYANG TEST STORE 12", "LUOYANG TEST STORE 12"),
        ("order 4111111111111112", "order 4111111111111112"),
        ("tel. +86 138 0000 0000", "tel. +86 138 0000 0000"),
        ("16411111111111111100000", "********"),
    ],
)
def test_a_text_for_people_keeps_no_card_number(text: str, shown: str) -> None:
    """Numbers with a right check digit show their tail; what is too long is hidden whole."""
    assert text_without_numbers(text) == shown


@pytest.mark.parametrize(
    ("reference", "kept"),
    [
        ("4111111111111111", "************1111"),
        ("4111-1111-1111-1111", "************1111"),
        ("6205500000000000004", "***************0004"),
        ("898493054110001", "898493054110001"),
        ("112312345678", "112312345678"),
        ("4111111111111112", "4111111111111112"),
        ("20261123120000411111111111111", "20261123120000411111111111111"),
    ],
)
def test_a_reference_is_kept_unless_it_is_a_card_number(reference: str, kept: str) -> None:
    """Merchant numbers of 15 digits and long order numbers stay as they are."""
    assert reference_without_number(reference) == kept


def test_a_card_number_in_a_longer_text_is_noticed() -> None:
    """Whole or in groups; other numbers of that length are none."""
    assert holds_card_number('{"note": "4111 1111 1111 1111"}')
    assert holds_card_number("4111111111111111@example.com")
    assert not holds_card_number('{"customer": "1234567890123456", "phone": 8613800000000}')
    # Instants in nanoseconds and dates whose check digit fits by chance.
    assert has_right_check_digit("1763900000123456785")
    assert not holds_card_number("backup-1763900000123456785")
    assert has_right_check_digit("2026112312000002")
    assert not holds_card_number("backup-2026112312000002.db")
