"""Views: how the messaging process sees the house: files, clock, and the path."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

from zhiwei.core.command import Command
from zhiwei.core.result import Result
from zhiwei.ports import CorruptFileError, EventRow
from zhiwei.process_link.asking import Asker
from zhiwei.process_link.calls import Line
from zhiwei.process_link.wire import commands_list, results_of
from zhiwei.stores.coding.usage import version_and_places
from zhiwei.stores.sqlite.images import ImageBytes
from zhiwei.stores.sqlite.reader import SqliteReader
from zhiwei.stores.sqlite.rows import Rows

#: The engine answers or refuses well before.
_PATH_SECONDS: Final = 60.0
#: A file is shown within a batch of its commit.
_SHOWN_SECONDS: Final = 0.001
_SHOWN_TRIES: Final = 100


@final
class AskedImages:
    """Files as they are now; each is a question to the serving process."""

    def __init__(self, asker: Asker) -> None:
        self._asker: Final = asker

    def image(self, rows: Rows, card_key: bytes) -> ImageBytes | None:
        """The file as it is committed."""
        del rows
        return self.images([card_key])[0]

    def images(self, card_keys: Sequence[bytes]) -> list[ImageBytes | None]:
        """Several files by one question."""
        told = self._asker.ask("images", card_keys)
        return [None if image is None else (image[0], image[1]) for image in told]


@final
class PlanningImages:
    """Files of the cards that the events at hand are about, fetched together.

    They are at least as new as the events; newer ones would say nothing more of them.
    """

    def __init__(self, asked: AskedImages) -> None:
        self._asked: Final = asked
        #: Versions of the files that are wanted, by card.
        self._wanted: dict[bytes, int] = {}
        self._at_hand: dict[bytes, ImageBytes | None] = {}

    def want(self, versions: dict[bytes, int]) -> None:
        """When one of these is asked for, fetch all of them; what was fetched before is over.

        By card the version that its file has reached at least.
        """
        self._wanted = versions
        self._at_hand = {}

    def image(self, rows: Rows, card_key: bytes) -> ImageBytes | None:
        """The file as it was fetched; asked for where it was not."""
        if card_key in self._wanted:
            wanted, self._wanted = self._wanted, {}
            self._at_hand = self._fetched(wanted)
        if card_key in self._at_hand:
            return self._at_hand[card_key]
        return self._asked.image(rows, card_key)

    def _fetched(self, wanted: dict[bytes, int]) -> dict[bytes, ImageBytes | None]:
        """The files; a moment later where one is not shown yet whose event is committed already."""
        keys = list(wanted)
        tries = _SHOWN_TRIES
        while True:
            images = dict(zip(keys, self._asked.images(keys), strict=True))
            tries -= 1
            if tries == 0 or not any(_is_older(images[key], key, wanted[key]) for key in keys):
                return images
            time.sleep(_SHOWN_SECONDS)


def _is_older(image: ImageBytes | None, card_key: bytes, version: int) -> bool:
    """Whether a file has not reached a version. What is damaged is told by who opens it."""
    if image is None:
        return True
    with contextlib.suppress(CorruptFileError):
        return version_and_places(image[1], card_key)[0] < version
    return False


@final
class PlanningEvents:
    """Reads events, and has the files of their cards at hand for who plans them."""

    def __init__(self, path: Path, asked: AskedImages) -> None:
        self._images: Final = PlanningImages(asked)
        #: For who plans the events that were read last.
        self.reader: Final = SqliteReader(path, self._images)

    def events(self, *, after: int = 0, limit: int = 100) -> list[EventRow]:
        """Events by position in the outbox, newest first."""
        rows = self.reader.events(after=after, limit=limit)
        # The newest comes first.
        self._images.want({row.card_key: row.version for row in reversed(rows)})
        return rows


@final
class AskedClock:
    """The clock of the serving process, which a test may set."""

    def __init__(self, asker: Asker) -> None:
        self._asker: Final = asker

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        return int(self._asker.ask("now_ms", None))


@final
class CalledPath:
    """The path, by calls to the serving process."""

    def __init__(self, line: Line) -> None:
        self._line: Final = line

    async def submit(self, commands: list[Command]) -> list[Result]:
        """Carry out all commands or none, durably and in order; results hold no entries.

        Raises:
            StoreUnavailableError: nothing was done, or the serving process does not answer.
        """
        told = await self._line.call("submit", commands_list(commands), _PATH_SECONDS)
        return results_of(commands, told)

    async def settle_contact(self, contact_id: str, word: str) -> None:
        """A trusted contact said `agree` or `end`: keep it.

        Raises:
            StoreUnavailableError: it was not.
        """
        await self._line.call("settle_contact", [contact_id, word], _PATH_SECONDS)

    async def gone(self, subscription: str) -> None:
        """The endpoint of a subscription said that it is there no more: switch it off.

        Raises:
            StoreUnavailableError: it was not.
        """
        await self._line.call("gone", subscription, _PATH_SECONDS)
