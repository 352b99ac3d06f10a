"""Opened files: what the bytes of files mean, remembered for as long as they are the same bytes.

Every batch reads its files from the database, under their locks; another server may have written
them. Only where the bytes are the very ones that were written or read here last is the value taken
that they had, instead of being worked out again. So this saves time and decides nothing.
"""

from __future__ import annotations

from typing import Final, final

from zhiwei.core.card_state import CardState
from zhiwei.ports import CorruptFileError
from zhiwei.stores.coding.recent import decode_recent
from zhiwei.stores.coding.settings import decode_settings
from zhiwei.stores.coding.usage import decode_usage
from zhiwei.stores.postgres.found import FileRow


@final
class OpenedFile:
    """A file as bytes and as a value."""

    __slots__ = ("last_event", "recent", "records", "settings", "spilled_until", "state", "usage")

    def __init__(
        self,
        settings: bytes,
        usage: bytes,
        recent: bytes,
        state: CardState,
        last_event: int,
        records: bytes,
        spilled_until: int,
    ) -> None:
        #: Cold part, hot part and digests, sealed.
        self.settings: Final = settings
        self.usage: Final = usage
        self.recent: Final = recent
        self.state: Final = state
        #: Number of the card's last event.
        self.last_event: Final = last_event
        self.records: Final = records
        self.spilled_until: Final = spilled_until


@final
class OpenedFiles:
    """At most so many; those that were taken in first go first."""

    __slots__ = ("_files", "_most")

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._files: Final[dict[bytes, OpenedFile]] = {}

    def has(self, card_key: bytes) -> bool:
        """Whether there is such a card, for sure: files are never removed."""
        return card_key in self._files

    def open(self, row: FileRow) -> OpenedFile:
        """The file of a row.

        Raises:
            CorruptFileError: a checksum does not fit, or the column of the version.
        """
        card_key = row.card_key
        known = self._files.get(card_key)
        if (
            known is not None
            and known.usage == row.usage
            and known.settings == row.settings
            and known.recent == row.recent
        ):
            opened = known
        else:
            # Another server moved the hot part; the cold one mostly stayed as it was.
            if known is not None and known.settings == row.settings:
                settings = known.state.settings
            else:
                settings = decode_settings(row.settings, card_key)
            state, places = decode_usage(row.usage, card_key, settings)
            records, spilled_until = decode_recent(row.recent, card_key)
            opened = OpenedFile(
                row.settings, row.usage, row.recent, state, places.event, records, spilled_until
            )
        version = opened.state.version
        if version != row.version:
            message = f"its column says version {row.version}, its content {version}"
            raise CorruptFileError(message)
        return opened

    def take_in(self, files: list[OpenedFile]) -> None:
        """Remember files as they were committed."""
        for opened in files:
            card_key = opened.state.card_key
            self._files.pop(card_key, None)
            self._files[card_key] = opened
        while len(self._files) > self._most:
            del self._files[next(iter(self._files))]
