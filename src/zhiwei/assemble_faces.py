"""The wiring of the two faces: their store, their settings, and where people see them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, final

import structlog
from fastapi import FastAPI

from zhiwei.assemble_access import open_face_store
from zhiwei.clock import ManualClock, SystemClock
from zhiwei.gateways.http.app import build_app
from zhiwei.gateways.http.house import House
from zhiwei.messaging.settings import MessagingSettings
from zhiwei.ports import StoreUnavailableError
from zhiwei.web.app import FaceParts, open_faces
from zhiwei.web.sign_in.settings import FaceSettings, load_faces
from zhiwei.web.sign_in.site import Site, site_at

_log: Final = structlog.get_logger()
#: How often sessions, codes and counts that are over are deleted.
_TIDY_SECONDS: Final = 300.0
#: Addresses by which the door is reached from this machine only, or from everywhere.
_HERE: Final = frozenset(("127.0.0.1", "::1", "0.0.0.0", "::"))  # noqa: S104 - compared, not bound


@final
class Faces:
    """The pages of one server: opened with the data, hung beside the API once it listens."""

    def __init__(
        self,
        data_dir: Path,
        faces_file: Path | None,
        delivery: MessagingSettings,
        clock: ManualClock | SystemClock,
        database: str = "",
    ) -> None:
        """Read the settings and open the store of sessions, in the database if there is one.

        Raises:
            FacesFileError: faces.toml cannot be used.
            StoreUnavailableError: the store cannot be opened.
        """
        self._settings: Final = FaceSettings() if faces_file is None else load_faces(faces_file)
        self._sends_sms: Final = "sms" in delivery.channels
        self._clock: Final = clock
        self._store: Final = open_face_store(data_dir, database)
        self._end_streams: Callable[[], None] | None = None

    def application(self, house: House) -> Callable[[str, int], FastAPI]:
        """Makes the API of a house with the pages beside it, once it is known where it listens."""

        def at(host: str, port: int) -> FastAPI:
            api = build_app(house)
            site = self._settings.site or _site_of(host, port)
            parts = FaceParts(self._store, site, self._settings, self._sends_sms)
            self._end_streams = open_faces(api, house, parts)
            return api

        return at

    async def tidy(self) -> None:
        """Delete what is over, now and then, until it is cancelled."""
        while True:
            await asyncio.sleep(_TIDY_SECONDS)
            try:
                await asyncio.to_thread(self._store.forget, self._clock.now_ms())
            except StoreUnavailableError as error:
                _log.error("faces_not_tidied", error=str(error))

    def end_streams(self) -> None:
        """Send home who listens to open pages; before the door closes, from any thread."""
        if self._end_streams is not None:
            self._end_streams()

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()


def _site_of(host: str, port: int) -> Site:
    """The address of the door itself. Passkeys belong to a name, so it is a name and no number."""
    name = "localhost" if host in _HERE else host
    shown = f"[{name}]" if ":" in name else name
    return site_at(f"http://{shown}:{port}")
