"""The wiring of who may come in: keys and sign-ins, beside the server or in the database of all.

Light, since the command line opens them for a row or two.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zhiwei.keyring import Keyring, KeyStore

if TYPE_CHECKING:
    from zhiwei.web.sign_in.model import FaceStore


@contextmanager
def open_keyring(data_dir: Path, database: str = "") -> Iterator[KeyStore]:
    """The API keys in the database of a URL, or, where that is empty, in the data directory.

    Raises:
        DriverMissingError: psycopg is not installed.
        ZhiweiError: they cannot be opened; the message says why and what to do.
    """
    with closing(_keyring(data_dir, database)) as keyring:
        yield keyring


def _keyring(data_dir: Path, database: str) -> KeyStore:
    if not database:
        return Keyring(data_dir)
    try:
        from zhiwei.stores.postgres.access.keyring import (  # noqa: PLC0415 - an extra
            PostgresKeyring,
        )
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    return PostgresKeyring(database)


def open_face_store(data_dir: Path, database: str = "") -> FaceStore:
    """Sessions, passkeys and operators, in the same places.

    Raises:
        DriverMissingError: psycopg is not installed.
        ZhiweiError: they cannot be opened; the message says why and what to do.
    """
    if not database:
        from zhiwei.stores.faces import SqliteFaceStore  # noqa: PLC0415 - a database needs it not

        return SqliteFaceStore(data_dir)
    try:
        from zhiwei.stores.postgres.access.faces import (  # noqa: PLC0415 - an extra
            PostgresFaceStore,
        )
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    return PostgresFaceStore(database)


def knows_cardholder(data_dir: Path, database: str, cardholder_id: str) -> bool:
    """Whether the main file or the database knows a cardholder; read beside servers.

    Raises:
        DriverMissingError: psycopg is not installed.
        ZhiweiError: it cannot be read.
    """
    from zhiwei.ports import Cardholder  # noqa: PLC0415 - only `zhiwei enter` asks

    if not database:
        return _file_knows(data_dir, cardholder_id)
    try:
        from zhiwei.stores.postgres.address import Address  # noqa: PLC0415 - an extra
        from zhiwei.stores.postgres.reader import PostgresReader  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    with closing(PostgresReader(Address(database), 1)) as reader:
        return reader.record(Cardholder, cardholder_id) is not None


def _file_knows(data_dir: Path, cardholder_id: str) -> bool:
    """Whether the main file knows a cardholder."""
    from zhiwei.ports import Cardholder  # noqa: PLC0415 - only `zhiwei enter` asks
    from zhiwei.stores.coding.record import KIND_NAMES  # noqa: PLC0415 - as above
    from zhiwei.stores.sqlite.connection import FILE_NAME, open_visitor  # noqa: PLC0415 - as above
    from zhiwei.stores.sqlite.queries import QUERIES  # noqa: PLC0415 - as above

    if not (data_dir / FILE_NAME).exists():
        return False
    with closing(open_visitor(data_dir / FILE_NAME)) as connection:
        named = (KIND_NAMES[Cardholder], cardholder_id)
        return connection.execute(QUERIES["record"], named).fetchone() is not None


def _missing(error: ModuleNotFoundError) -> Exception:
    """What to say of a module that is not there; a bug of ours stays one."""
    from zhiwei.assemble_store import missing  # noqa: PLC0415 - heavy, and needed to say no only

    return missing(error)
