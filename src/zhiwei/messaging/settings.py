"""messages.toml: how messages are tried, what they may cost, and the channels' own tables.

Unknown names and values outside the rules are errors with the place in the file. Each gateway reads
its own table with `Table` and calls `done` on it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from zhiwei.messaging.toml_table import MessagesFileError, Table

__all__ = [
    "AlertSettings",
    "BudgetSettings",
    "InboundSettings",
    "MessagesFileError",
    "MessagingSettings",
    "OutboxSettings",
    "Table",
    "load_messages",
    "messages_from",
]

_BYTES_MAX: Final = 1 << 20
_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS
_DAY_MS: Final = 24 * _HOUR_MS
#: Tables that belong to the gateways, by their names in the file.
CHANNEL_TABLES: Final = ("sms", "email", "push", "webhooks", "chat")
#: The house's own tables.
_TABLES: Final = ("outbox", "budgets", "alerts", "inbound")
#: Letters of any script, digits and a few joints: nothing that a phone would make a link of.
_SIGNATURE: Final = re.compile(r"[^\W_]+(?:[ ·&-][^\W_]+)*")


@dataclass(frozen=True)
class OutboxSettings:
    """How messages are tried."""

    #: Pause before the second try of a message; doubles with each, up to the longest.
    first_pause_ms: int = 1_000
    longest_pause_ms: int = 15 * _MINUTE_MS
    #: A message that was tried for so long is given up (dead letter), by the machine's clock.
    dead_after_ms: int = 3 * _DAY_MS
    #: An event that is older when its turn to be planned comes is not told any more.
    too_old_ms: int = 3 * _DAY_MS
    #: Bound on messages that are on their way at once, for any channel; each has its own below it.
    at_once: int = 256
    #: Channel-down answers in a row that stop a channel.
    breaker_failures: int = 5
    #: Longest pause of a stopped channel before one message tries again. Messages are to go out
    #: within 10 s of the other side's return, so it is short.
    breaker_pause_ms: int = 5_000
    #: What is over is kept for so long.
    kept_ms: int = 90 * _DAY_MS
    #: How often new events are looked for while somebody may be told of them.
    poll_ms: int = 25


@dataclass(frozen=True)
class BudgetSettings:
    """How many text messages may go out; 0 = none."""

    sms_per_card_hour: int = 20
    sms_per_number_hour: int = 30
    #: Numbers that begin alike (SMS pumping): all digits but the last few.
    sms_per_prefix_hour: int = 600
    prefix_digits_left_out: int = 4
    #: Questions about fraud have a reserve of their own, so that no flood of alerts uses it up.
    question_per_card_hour: int = 10


@dataclass(frozen=True)
class AlertSettings:
    """What all texts have in common."""

    #: Stands first in every text message: 【智卫】.
    signature: str = "智卫"
    #: The same in English texts: [Zhiwei]. Other letters than GSM-7 has make each part shorter.
    signature_en: str = "Zhiwei"

    @property
    def signatures(self) -> Mapping[str, str]:
        """Who writes, by language, as `words.load_sentences` takes it."""
        return MappingProxyType({"zh": self.signature, "en": self.signature_en})


@dataclass(frozen=True)
class InboundSettings:
    """What comes in over a web gateway (`POST /v1/inbound_messages`)."""

    #: Replies are queued as SMS too; else the answer to the call carries them and that is all.
    sends_replies: bool = False
    #: Secret under which the gateway signs its calls, `whsec_…`; empty = one of the vault's.
    secret: str = field(default="", repr=False)


def _webhooks_only() -> Mapping[str, Table]:
    return MappingProxyType({"webhooks": Table({}, "webhooks")})


@dataclass(frozen=True)
class MessagingSettings:
    """What messages.toml says; as it is without a file."""

    outbox: OutboxSettings = field(default_factory=OutboxSettings)
    budgets: BudgetSettings = field(default_factory=BudgetSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    inbound: InboundSettings = field(default_factory=InboundSettings)
    #: Tables of the channels that the file has, by `CHANNEL_TABLES`; `webhooks` is always there.
    channels: Mapping[str, Table] = field(default_factory=_webhooks_only)


def load_messages(path: Path) -> MessagingSettings:
    """The settings of a file.

    Raises:
        MessagesFileError: the file cannot be read, is not TOML, or says something not allowed.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_BYTES_MAX + 1)
    except OSError as error:
        raise MessagesFileError(f"the messages file cannot be read: {error.strerror}") from None
    if len(raw) > _BYTES_MAX:
        raise MessagesFileError(f"the messages file is larger than {_BYTES_MAX} bytes")
    try:
        document = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessagesFileError(f"the messages file is not TOML: {error}") from None
    return messages_from(Table(document, "", path.parent))


def messages_from(document: Table) -> MessagingSettings:
    """The settings of a document; what it does not say stays as the defaults are.

    Raises:
        MessagesFileError: it says something that is not allowed.
    """
    outbox = _outbox(document.table("outbox"))
    budgets = _budgets(document.table("budgets"))
    alerts = _alerts(document.table("alerts"))
    inbound = _inbound(document.table("inbound"))
    names = [name for name in CHANNEL_TABLES if name in document or name == "webhooks"]
    channels = {name: document.table(name) for name in names}
    for name in document:
        if name not in {*_TABLES, *CHANNEL_TABLES}:
            known = ", ".join((*_TABLES, *CHANNEL_TABLES))
            raise document.wrong(name, f"is not known; the tables are {known}")
    for table in _TABLES:
        document.table(table).done()
    return MessagingSettings(outbox, budgets, alerts, inbound, MappingProxyType(channels))


def _outbox(table: Table) -> OutboxSettings:
    ours = OutboxSettings()

    def time(name: str, unit_ms: int, default_ms: int, high: int) -> int:
        return table.whole(name, default_ms // unit_ms, 1, high) * unit_ms

    found = OutboxSettings(
        first_pause_ms=time("first_pause_ms", 1, ours.first_pause_ms, 3_600_000),
        longest_pause_ms=time("longest_pause_minutes", _MINUTE_MS, ours.longest_pause_ms, 1_440),
        dead_after_ms=time("dead_after_hours", _HOUR_MS, ours.dead_after_ms, 24 * 90),
        too_old_ms=time("too_old_hours", _HOUR_MS, ours.too_old_ms, 24 * 90),
        at_once=table.whole("at_once", ours.at_once, 1, 10_000),
        breaker_failures=table.whole("breaker_failures", ours.breaker_failures, 1, 1_000),
        breaker_pause_ms=table.whole("breaker_pause_ms", ours.breaker_pause_ms, 50, 60_000),
        kept_ms=time("kept_days", _DAY_MS, ours.kept_ms, 3_660),
        poll_ms=table.whole("poll_ms", ours.poll_ms, 1, 60_000),
    )
    if found.first_pause_ms > found.longest_pause_ms:
        raise table.wrong("first_pause_ms", "is longer than `longest_pause_minutes`")
    return found


def _budgets(table: Table) -> BudgetSettings:
    ours = BudgetSettings()
    most = 1_000_000_000
    return BudgetSettings(
        sms_per_card_hour=table.whole("sms_per_card_hour", ours.sms_per_card_hour, 0, most),
        sms_per_number_hour=table.whole("sms_per_number_hour", ours.sms_per_number_hour, 0, most),
        sms_per_prefix_hour=table.whole("sms_per_prefix_hour", ours.sms_per_prefix_hour, 0, most),
        prefix_digits_left_out=table.whole(
            "prefix_digits_left_out", ours.prefix_digits_left_out, 1, 12
        ),
        question_per_card_hour=table.whole(
            "question_per_card_hour", ours.question_per_card_hour, 0, most
        ),
    )


def _alerts(table: Table) -> AlertSettings:
    ours = AlertSettings()
    signatures: list[str] = []
    for name, default in (("signature", ours.signature), ("signature_en", ours.signature_en)):
        signature = table.text(name, default, longest=16)
        if not _SIGNATURE.fullmatch(signature):
            raise table.wrong(name, "is letters and digits without brackets, points and links")
        signatures.append(signature)
    return AlertSettings(*signatures)


def _inbound(table: Table) -> InboundSettings:
    replies = table.choice("replies", "answer", ("answer", "send"))
    return InboundSettings(sends_replies=replies == "send", secret=table.secret("secret", ""))
