"""faces.sqlite3: sessions, passkeys, codes, operators and deeds of the two faces.

A file of its own beside the main one, so that the authorization path never waits for a page, and
so that the command line can write it while the server runs (`zhiwei enter`, `zhiwei operators`).
"""

from __future__ import annotations

from zhiwei.stores.faces.connection import FILE_NAME, ForeignFacesError, NewerFacesError
from zhiwei.stores.faces.store import SqliteFaceStore

__all__ = ["FILE_NAME", "ForeignFacesError", "NewerFacesError", "SqliteFaceStore"]
