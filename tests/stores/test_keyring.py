"""What a store of API keys promises (`KeyStore`), asked of each that there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.stores.faces.test_faces import at_once
from zhiwei.keyring import Keyring, KeyStore
from zhiwei.ports import ApiKey, StoreUnavailableError
from zhiwei.stores.postgres.access.keyring import PostgresKeyring

Open = Callable[[], KeyStore]
KEY = ApiKey("key_1", 5, "0" * 64, "cardholder", "holder_1", "手机银行")


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Where keys are; opens them once more, as another server or the command line does."""
    if request.param == "sqlite":
        return partial(Keyring, tmp_path)
    # Asked for by name, so that no server is started for the other one.
    return partial(PostgresKeyring, request.getfixturevalue("database"))


@pytest.fixture
def keys(place: Open) -> Iterator[KeyStore]:
    """No keys yet."""
    with closing(place()) as one:
        yield one


@pytest.fixture
def other(place: Open, keys: KeyStore) -> Iterator[KeyStore]:
    """The same keys, opened once more."""
    assert keys is not None
    with closing(place()) as one:
        yield one


def test_a_key_is_known_wherever_it_was_made(keys: KeyStore, other: KeyStore) -> None:
    """Every field comes back; an unknown id is no key; lists begin with the oldest."""
    keys.add(KEY)
    assert other.find(KEY.id) == KEY
    assert other.find("key_2") is None
    older = ApiKey("key_2", 4, "1" * 64, "issuer")
    other.add(older)
    assert list(keys.all()) == [older, KEY]


def test_a_key_is_revoked_once_and_everywhere(keys: KeyStore, other: KeyStore) -> None:
    """Of many who revoke it one did, and it stays known as revoked."""
    keys.add(KEY)
    both = (keys, other)
    found = at_once(8, lambda n: both[n % 2].revoke(KEY.id, 7))
    assert found.count(True) == 1
    assert keys.find(KEY.id) == other.find(KEY.id) == replace(KEY, revoked_ms=7)
    assert not keys.revoke("key_2", 7)


def test_an_id_that_is_taken_is_refused(keys: KeyStore, other: KeyStore) -> None:
    """The first key stays as it is."""
    keys.add(KEY)
    with pytest.raises(StoreUnavailableError, match="cannot be written"):
        other.add(replace(KEY, secret_hash="1" * 64))
    assert list(keys.all()) == [KEY]


def test_keys_that_were_closed_cannot_be_read(place: Open) -> None:
    """It is an error that the doors answer with 503, not one that nobody expected."""
    keys = place()
    keys.close()
    with pytest.raises(StoreUnavailableError):
        keys.find("key_1")
