"""Phones (手机): where text messages arrive, and from which people write back.

They hang on the small SMSC of `smsc.py`, so that what arrives went over SMPP and what is written
comes in over SMPP. A view shows them; a person at a terminal may write the answer, and a phone that
nobody holds answers by itself.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, final

from zhiwei.core.errors import ZhiweiError
from zhiwei.simulate.smsc import Account, Arrived, Smsc

#: The number that the bank writes from, and that people write to.
SERVICE_NUMBER: Final = "95588"
_SYSTEM_ID: Final = "zhiwei"
#: SMPP 3.4 has room for eight characters.
_PASSWORD_HEX: Final = 4
_LOOK_EVERY_SECONDS: Final = 0.01


class NotReachedError(ZhiweiError):
    """nobody listens at the other end of the line"""


@dataclass(frozen=True)
class Bubble:
    """One text on a phone's screen."""

    text: str
    #: Written on this phone; else it arrived.
    is_own: bool
    #: `time.monotonic` seconds.
    at_seconds: float


@dataclass
class Phone:
    """One person's phone."""

    #: E.164.
    number: str
    #: Whose it is, as its screen shows it.
    owner: str
    bubbles: list[Bubble] = field(default_factory=list)


class View(Protocol):
    """Whoever shows phones, and may hold one."""

    def show(self, phone: Phone) -> None:
        """Something new is on its screen."""
        ...

    async def written(self, phone: Phone, suggestion: str) -> str:
        """What the person writes; empty = nobody does, and the phone answers by itself."""
        ...


@final
class Nobody:
    """Shows nothing and writes nothing."""

    def show(self, phone: Phone) -> None:
        """Nobody looks."""

    async def written(self, phone: Phone, suggestion: str) -> str:
        """Nobody writes."""
        return ""


@final
class Phones:
    """The phones of a story, on an SMSC of their own."""

    def __init__(self, view: View) -> None:
        self._view: Final = view
        self._phones: Final[dict[str, Phone]] = {}
        self._account: Final = Account(_SYSTEM_ID, secrets.token_hex(_PASSWORD_HEX))
        self._smsc: Final = Smsc(self._account, self._arrived)
        self._port = 0
        #: Texts to numbers that are no phone of the story yet: a text may be quicker than the one
        #: who tells the story.
        self._early: Final[dict[str, list[Bubble]]] = {}

    @property
    def astray(self) -> int:
        """Texts to numbers that are no phone of the story."""
        return sum(len(bubbles) for bubbles in self._early.values())

    async def start(self) -> None:
        """Switch the SMSC on, on a free port of loopback."""
        self._port = await self._smsc.start()

    async def stop(self) -> None:
        """Switch it off."""
        await self._smsc.stop()

    def write_settings(self, path: Path) -> None:
        """Write the `messages.toml` with which a server reaches these phones."""
        lines = (
            "[sms]",
            'kind = "smpp"',
            'host = "127.0.0.1"',
            f"port = {self._port}",
            f'system_id = "{self._account.system_id}"',
            f'password = "{self._account.password}"',
            f'sender = "{SERVICE_NUMBER}"',
            "",
        )
        path.write_text("\n".join(lines), encoding="utf-8")
        path.chmod(0o600)

    def phone(self, number: str, owner: str) -> Phone:
        """The phone with this number; a new one where there is none."""
        phone = self._phones.get(number)
        if phone is None:
            phone = self._phones[number] = Phone(number, owner)
            phone.bubbles += self._early.pop(number, ())
            if phone.bubbles:
                self._view.show(phone)
        return phone

    async def hear(
        self, phone: Phone, part: str, *, after: int = 0, seconds: float = 20.0
    ) -> Bubble | None:
        """The first text after bubble `after` that arrives and holds `part`; None = none in time.

        `seconds` is patience, not a promise.
        """
        end = time.monotonic() + seconds
        while True:
            for bubble in phone.bubbles[after:]:
                if not bubble.is_own and part in bubble.text:
                    return bubble
            if time.monotonic() > end:
                return None
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def written(self, phone: Phone, suggestion: str) -> str:
        """What the person who holds the phone writes; empty = nobody does."""
        return await self._view.written(phone, suggestion)

    async def write(self, phone: Phone, text: str, *, seconds: float = 20.0) -> None:
        """Send a text to the bank (70 characters at most); waits until somebody listens there.

        Raises:
            NotReachedError: nobody does in time.
        """
        end = time.monotonic() + seconds
        phone.bubbles.append(Bubble(text, is_own=True, at_seconds=time.monotonic()))
        self._view.show(phone)
        while not self._smsc.say(_digits(phone.number), SERVICE_NUMBER, text):
            if time.monotonic() > end:
                raise NotReachedError
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    def _arrived(self, arrived: Arrived) -> None:
        number = f"+{_digits(arrived.destination)}"
        bubble = Bubble(arrived.text, is_own=False, at_seconds=time.monotonic())
        phone = self._phones.get(number)
        if phone is None:
            self._early.setdefault(number, []).append(bubble)
            return
        phone.bubbles.append(bubble)
        self._view.show(phone)


def _digits(number: str) -> str:
    return number.removeprefix("+")
