"""ChatChannel: what operators must hear, in their chats (Apprise; the optional extra `chat`).

Apprise blocks, so it runs in threads of its own with a bound of time. Each chat is told by itself,
and one that has a message is not told again because another one failed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, Final, Protocol, final

from zhiwei.core.errors import ZhiweiError
from zhiwei.gateways.outgoing.addresses import Reach
from zhiwei.gateways.outgoing.transport import Resolver, checked_addresses
from zhiwei.messaging.model import CHAT, Answer, Desk, Message, Verdict
from zhiwei.messaging.settings import MessagesFileError, Table

_CHATS_MAX: Final = 20
#: Messages whose progress is remembered until every chat has them.
_REMEMBERED_MAX: Final = 1_000
#: Services of Apprise that speak to the host in their URL and to nobody else.
_SPEAKS_TO_ITS_HOST: Final = frozenset(("json", "xml", "form"))


class MissingExtraError(MessagesFileError):
    """`[chat]` needs Apprise, which is not installed: pip install zhiwei[chat]"""


class Chat(Protocol):
    """One service of Apprise, made from its URL."""

    def notify(self, body: str, title: str = "") -> object:
        """Send; true where the service has it. Blocks."""
        ...


@final
class ChatChannel:
    """Tells operators' chats."""

    name: str = CHAT

    def __init__(
        self,
        chats: Sequence[Chat],
        *,
        hosts: Sequence[str] | None = None,
        timeout_s: float = 15.0,
        at_once: int = 4,
    ) -> None:
        """`hosts`: in test mode the hosts of the chats; each must be this machine."""
        self.at_once = at_once
        self._chats: Final = tuple(chats)
        self._hosts: Final = hosts
        self._timeout_s: Final = timeout_s
        self._threads: Final = ThreadPoolExecutor(at_once * len(chats), "chat")
        self._resolver: Final = Resolver()
        #: Message → the chats (by number) that have it already.
        self._told: Final[OrderedDict[str, set[int]]] = OrderedDict()
        #: Tries whose thread does not come back, though their time is over.
        self._hanging = 0

    async def start(self, desk: Desk) -> None:
        """Nothing to do: each message is a call of its own."""

    async def stop(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._resolver.close()

    async def send(self, message: Message) -> Answer:
        """Tell every chat that does not have the message yet."""
        for host in self._hosts or ():
            try:
                await checked_addresses(host, 0, Reach.LOOPBACK_ONLY, self._resolver)
            except ZhiweiError as error:
                return Answer(Verdict.TRY_LATER, str(error), is_channel_down=True)
        if self._hanging >= self.at_once * len(self._chats):
            return Answer(Verdict.TRY_LATER, "every try hangs", is_channel_down=True)
        told = self._told.setdefault(message.id, set())
        waiting = [number for number in range(len(self._chats)) if number not in told]
        results = await asyncio.gather(*(self._tell(number, message) for number in waiting))
        told.update(number for number, result in zip(waiting, results, strict=True) if result)
        missing = len(self._chats) - len(told)
        if not missing:
            self._told.pop(message.id, None)
            return Answer(Verdict.TAKEN, f"told {len(self._chats)} chats")
        while len(self._told) > _REMEMBERED_MAX:
            self._told.popitem(last=False)
        detail = f"{missing} of {len(self._chats)} chats did not take it"
        return Answer(Verdict.TRY_LATER, detail, is_channel_down=not told)

    async def _tell(self, number: int, message: Message) -> bool:
        """Whether a chat has the message now."""
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(
            self._threads, _notified, self._chats[number], message.text, message.subject
        )
        done, _ = await asyncio.wait((running,), timeout=self._timeout_s)
        if done:
            return running.result()
        # A thread cannot be ended; it is counted until it comes back by itself.
        self._hanging += 1
        running.add_done_callback(self._came_back)
        return False

    def _came_back(self, _running: asyncio.Future[bool]) -> None:
        self._hanging -= 1


def _notified(chat: Chat, text: str, title: str) -> bool:
    try:
        return bool(chat.notify(body=text, title=title))
    except Exception:  # noqa: BLE001 - one of 170 strangers' plugins; its words may hold the URL
        return False


def chat_channel(table: Table, *, only_loopback: bool) -> ChatChannel:
    """The channel as `[chat]` says.

    Settings: `urls` (or `urls_file`, `urls_env`): Apprise's URLs, which hold secrets, with spaces
    or line feeds between them; `at_once` (4), `timeout_seconds` (15).

    Raises:
        MessagesFileError: the table says something that is not allowed, or Apprise is missing.
    """
    urls = table.secret("urls").split()
    at_once = table.whole("at_once", 4, 1, 32)
    seconds = table.whole("timeout_seconds", 15, 1, 120)
    table.done()
    if not 1 <= len(urls) <= _CHATS_MAX:
        raise table.wrong("urls", f"holds 1 to {_CHATS_MAX} addresses")
    apprise = _apprise()
    chats = []
    for place, url in enumerate(urls, 1):
        chat = apprise.Apprise.instantiate(url)
        if chat is None:
            raise table.wrong("urls", f"holds an address that Apprise cannot read (number {place})")
        chats.append(chat)
    hosts = None
    if only_loopback:
        hosts = [_own_host(table, chat) for chat in chats]
    return ChatChannel(chats, hosts=hosts, timeout_s=seconds, at_once=at_once)


def _apprise() -> Any:  # noqa: ANN401 - an optional module
    """Apprise, silenced: what it logs may hold the URLs, and with them their secrets.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        apprise = import_module("apprise")
    except ImportError:
        raise MissingExtraError from None
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    return apprise


def _own_host(table: Table, chat: Any) -> str:  # noqa: ANN401 - a plugin of Apprise
    """The host that a chat speaks to, where it is the one in its URL."""
    protocols = {chat.protocol, chat.secure_protocol}
    names = {name.removesuffix("s") for name in protocols if isinstance(name, str)}
    if not names & _SPEAKS_TO_ITS_HOST or not chat.host:
        raise table.wrong("urls", "may name only json://, xml:// and form:// in test mode")
    return str(chat.host)
