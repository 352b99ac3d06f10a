"""Settings that several channels have: whose certificates they trust."""

from __future__ import annotations

import ssl

from zhiwei.messaging.settings import Table


def trusted_tls(table: Table) -> ssl.SSLContext:
    """TLS with the system's authorities, and those of `ca_file` (PEM) where the table names one.

    Raises:
        MessagesFileError: the file cannot be read, or holds no certificates.
    """
    context = ssl.create_default_context()
    path = table.file("ca_file")
    if path is not None:
        try:
            context.load_verify_locations(cafile=path)
        except (OSError, ssl.SSLError):
            raise table.wrong("ca_file", "holds no certificates in PEM") from None
    return context
