"""faces.toml: where the pages are seen, and who signs people in.

public_url = "https://card.bank.example"

[operators]                       # the bank's own sign-in for its desk (OpenID Connect)
issuer = "https://login.bank.example"
client_id = "zhiwei"
client_secret_file = "oidc.secret"
claim = "sub"                     # is compared with `operators add --oidc-subject`

[cardholders]                     # the same for its customers; `claim` holds the cardholder id
issuer = "https://id.bank.example"
client_id = "zhiwei-cards"
client_secret_env = "ZHIWEI_OIDC_SECRET"
claim = "cardholder_id"
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from zhiwei.core.errors import ZhiweiError
from zhiwei.messaging.toml_table import MessagesFileError, Table
from zhiwei.web.sign_in.site import Site, site_at

_BYTES_MAX: Final = 1 << 16
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class FacesFileError(ZhiweiError):
    """the faces file cannot be used"""


@dataclass(frozen=True)
class Provider:
    """An identity provider that signs people in (OpenID Connect)."""

    #: As its discovery document names itself; `https://…`, or `http://` on this machine.
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    #: The claim of its id_token that says who it is.
    claim: str = "sub"


@dataclass(frozen=True)
class FaceSettings:
    """What faces.toml says."""

    #: None = the address of the HTTP door.
    site: Site | None = None
    operators: Provider | None = None
    cardholders: Provider | None = None


def load_faces(path: Path) -> FaceSettings:
    """The settings of a file.

    Raises:
        FacesFileError: the file cannot be read, is not TOML, or says something not allowed.
        BadPublicUrlError: its `public_url` is no place for passkeys.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_BYTES_MAX + 1)
    except OSError as error:
        raise FacesFileError(f"the faces file cannot be read: {error.strerror}") from None
    if len(raw) > _BYTES_MAX:
        raise FacesFileError(f"the faces file is larger than {_BYTES_MAX} bytes")
    try:
        document = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FacesFileError(f"the faces file is not TOML: {error}") from None
    try:
        return _settings(Table(document, "", path.parent))
    except MessagesFileError as error:
        raise FacesFileError(str(error)) from None


def _settings(document: Table) -> FaceSettings:
    url = document.text("public_url", "")
    found = FaceSettings(
        site=site_at(url) if url else None,
        operators=_provider(document, "operators"),
        cardholders=_provider(document, "cardholders"),
    )
    document.done()
    return found


def _provider(document: Table, name: str) -> Provider | None:
    table = document.table(name)
    if not table:
        return None
    issuer = table.text("issuer")
    parts = urlsplit(issuer)
    is_local = parts.scheme == "http" and parts.hostname in _LOCAL
    if not parts.hostname or not (parts.scheme == "https" or is_local):
        raise table.wrong("issuer", "is an `https://` address, or `http://localhost`")
    return Provider(
        issuer,
        table.text("client_id"),
        table.secret("client_secret"),
        table.text("claim", "sub", longest=100),
    )
