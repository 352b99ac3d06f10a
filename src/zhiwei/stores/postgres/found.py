"""Found: what was read of the cards of a batch, so that it can be decided without waiting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from zhiwei.ports import CorruptFileError
from zhiwei.stores.coding.entry import Filed, decode_entry
from zhiwei.stores.coding.recent import RECORD_BYTES
from zhiwei.stores.postgres.arrays import number_of

DIGEST_BYTES: Final = 8
#: A digest of a card.
CardDigest = tuple[bytes, bytes]
#: A version of a card.
CardVersion = tuple[bytes, int]


@final
class FileRow:
    """A card's row as it was read and locked."""

    __slots__ = ("card_key", "recent", "settings", "usage", "version")

    def __init__(self, row: Sequence[bytes | None]) -> None:
        key, version, settings, usage, recent = row
        assert key is not None, "no column of a file is null"
        assert version is not None
        self.card_key: Final = key
        self.version: Final = number_of(version)
        self.settings: Final = settings or b""
        self.usage: Final = usage or b""
        self.recent: Final = recent or b""


@final
class Found:
    """Files, entries, latest entries of groups, and versions under old digests."""

    __slots__ = ("_bodies", "_heads", "_opened", "files", "old_versions")

    def __init__(self) -> None:
        self.files: Final[dict[bytes, FileRow]] = {}
        #: By card and digest (8 bytes): versions and epoch seconds of filing; empty = none.
        self.old_versions: Final[dict[CardDigest, list[tuple[int, int]]]] = {}
        #: None where no entry stands where one should.
        self._bodies: Final[dict[CardVersion, bytes | None]] = {}
        #: By card and group: version of the latest entry; 0 = the group has no follow-ups.
        self._heads: Final[dict[CardVersion, int]] = {}
        self._opened: Final[dict[CardVersion, Filed]] = {}

    def has_entry(self, place: CardVersion) -> bool:
        """Whether it was looked for."""
        return place in self._bodies

    def entry(self, card_key: bytes, version: int) -> Filed:
        """An entry that was looked for.

        Raises:
            CorruptFileError: it is not there, or it is damaged.
        """
        place = (card_key, version)
        filed = self._opened.get(place)
        if filed is None:
            body = self._bodies.get(place)
            if body is None:
                raise CorruptFileError(f"entry {version} of the card is not where it should be")
            filed = self._opened[place] = decode_entry(body, card_key, version)
        return filed

    def head(self, card_key: bytes, group: int) -> int:
        """Version of the latest entry of a group; 0 = it has no follow-ups."""
        return self._heads.get((card_key, group), 0)

    def take_entries(
        self, wanted: Sequence[CardVersion], rows: Sequence[Sequence[bytes | None]]
    ) -> None:
        """Note what was found of the entries that were looked for, with the heads of their groups.

        A row is: card, version, body, version of the group's latest entry, its body.
        """
        for place in wanted:
            self._bodies.setdefault(place, None)
        for card_key, version, body, latest, latest_body in rows:
            assert card_key is not None
            assert version is not None
            place = (card_key, number_of(version))
            self._bodies[place] = body
            if latest is None:
                continue
            head = number_of(latest)
            self._bodies[card_key, head] = latest_body
            try:
                group = self.entry(card_key, place[1]).entry.group
            except CorruptFileError:
                continue  # it is told when a command needs it
            if group is not None:
                self._heads[card_key, group.version] = head

    def take_old_versions(
        self, wanted: Sequence[CardDigest], rows: Sequence[Sequence[bytes | None]]
    ) -> None:
        """Note the versions that old digests stand for. A row is: card, digest, version, second."""
        for name in wanted:
            self.old_versions.setdefault(name, [])
        for card_key, digest, version, second in rows:
            assert card_key is not None
            assert digest is not None
            assert version is not None
            assert second is not None
            found = self.old_versions[card_key, digest]
            found.append((number_of(version), number_of(second)))
        for name in wanted:
            self.old_versions[name].sort()


def seconds_of(records: bytes, version: int) -> int:
    """The epoch second at which an entry was filed, by a card's records; -1 = not known."""
    needle = version.to_bytes(4, "big")
    at = records.find(needle)
    while at >= 0:
        if at % RECORD_BYTES == DIGEST_BYTES:
            return int.from_bytes(records[at + 4 : at + 8], "big")
        at = records.find(needle, at + 1)
    return -1
