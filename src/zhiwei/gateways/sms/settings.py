"""SmppSettings: what `[sms]` with `kind = "smpp"` says."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from typing import Final

from zhiwei.gateways.outgoing.addresses import Reach, reach_of
from zhiwei.gateways.outgoing.settings import trusted_tls
from zhiwei.gateways.sms.inbox import InboxSettings
from zhiwei.gateways.sms.sent_ids import IdStyle
from zhiwei.messaging.settings import Table

BINDS: Final = ("transceiver", "transmitter", "receiver")
#: Bounds of SMPP 3.4, in characters; a longer password cannot be sent.
_SYSTEM_ID_MAX: Final = 15
_PASSWORD_MAX: Final = 8
_SYSTEM_TYPE_MAX: Final = 12
_RANGE_MAX: Final = 40
_SENDER: Final = re.compile(r"\+?[0-9]{1,20}|[A-Za-z0-9 ._-]{1,11}")
_TON_INTERNATIONAL: Final = 1
_TON_ALPHANUMERIC: Final = 5
_NPI_ISDN: Final = 1


@dataclass(frozen=True)
class SmppSettings:
    """Where the SMSC is, and how it wants to be spoken to."""

    host: str
    port: int
    system_id: str
    password: str = field(repr=False)
    sender: str = ""
    #: `transceiver`, `transmitter` (sends only) or `receiver` (hears only).
    bind: str = "transceiver"
    system_type: str = ""
    address_range: str = ""
    source_ton: int = 0
    source_npi: int = 1
    destination_ton: int = _TON_INTERNATIONAL
    destination_npi: int = _NPI_ISDN
    service_type: str = ""
    #: Whether texts of the GSM alphabet go in it (160 a part), or all texts as UCS-2.
    gsm7: bool = True
    receipts: bool = True
    ids: IdStyle = IdStyle.AUTO
    #: This SMSC's own statuses that refuse a message for good.
    refused: frozenset[int] = frozenset()
    parts_max: int = 10
    #: Messages on their way at once; each has one submit_sm without an answer at most.
    at_once: int = 32
    tls: ssl.SSLContext | None = None
    reach: Reach = Reach.PRIVATE_TOO
    inbox: InboxSettings = field(default_factory=InboxSettings)
    #: Seconds: connection and bind; one submit_sm; a message; silence before enquire_link; its
    #: answer; the longest pause before another connection.
    connect_s: float = 5.0
    answer_s: float = 10.0
    total_s: float = 30.0
    enquire_s: float = 20.0
    enquire_answer_s: float = 10.0
    reconnect_s: float = 3.0
    #: How long a message waits for a line that is just being made.
    line_s: float = 2.0
    throttle_ms: int = 1_000


def smpp_settings(table: Table, *, only_loopback: bool) -> SmppSettings:
    """The settings of `[sms]`; `kind` has been read. Names are in `docs/operating/sms.md`.

    Raises:
        MessagesFileError: the table says something that is not allowed.
    """
    sender = _ascii(table, "sender", "", 20)
    if sender and not _SENDER.fullmatch(sender):
        raise table.wrong("sender", "is a number, or a name of at most 11 letters and digits")
    bind = table.choice("bind", "transceiver", BINDS)
    ton, npi = _kind_of_sender(sender)
    inbox = InboxSettings(
        hold_ms=table.whole("part_hold_ms", InboxSettings.hold_ms, 0, 60_000),
        half_ms=table.whole("half_message_seconds", 600, 1, 86_400) * 1_000,
        repeat_ms=table.whole("repeat_seconds", 10, 0, 3_600) * 1_000,
        redelivery_ms=table.whole("redelivery_seconds", 120, 0, 86_400) * 1_000,
    )
    answer_s = table.whole("answer_seconds", 10, 1, 120)
    found = SmppSettings(
        host=table.text("host", longest=253),
        port=table.whole("port", 2775, 1, 65_535),
        system_id=_ascii(table, "system_id", None, _SYSTEM_ID_MAX),
        password=_password(table),
        sender=sender.removeprefix("+"),
        bind=bind,
        system_type=_ascii(table, "system_type", "", _SYSTEM_TYPE_MAX),
        address_range=_ascii(table, "address_range", "", _RANGE_MAX),
        source_ton=table.whole("source_ton", ton, 0, 6),
        source_npi=_npi(table, "source_npi", npi),
        destination_ton=table.whole("destination_ton", _TON_INTERNATIONAL, 0, 6),
        destination_npi=_npi(table, "destination_npi", _NPI_ISDN),
        service_type=_ascii(table, "service_type", "", 5),
        gsm7=table.truth("gsm7", default=True),
        receipts=table.truth("receipts", default=True),
        ids=IdStyle(table.choice("message_ids", "auto", tuple(style.value for style in IdStyle))),
        refused=statuses(table, "refused_statuses"),
        parts_max=table.whole("parts_max", 10, 1, 255),
        at_once=table.whole("at_once", 32, 1, 1_000),
        tls=trusted_tls(table) if table.truth("tls", default=False) else None,
        reach=reach_of(allow_private=True, only_loopback=only_loopback),
        inbox=inbox,
        answer_s=answer_s,
        total_s=3 * answer_s,
        connect_s=table.whole("connect_seconds", 5, 1, 60),
        enquire_s=table.whole("enquire_seconds", 20, 1, 600),
        enquire_answer_s=table.whole("enquire_answer_seconds", 10, 1, 120),
        throttle_ms=table.whole("throttle_pause_ms", 1_000, 10, 60_000),
    )
    table.done()
    return found


def statuses(table: Table, name: str) -> frozenset[int]:
    """Numbers that are written as texts, in decimal or as `0x…`.

    Raises:
        MessagesFileError: one of them is no number.
    """
    try:
        return frozenset(int(text, 0) for text in table.texts(name, (), longest=12))
    except ValueError:
        raise table.wrong(name, 'is a list of numbers as texts: ["0x045c", "1024"]') from None


def _kind_of_sender(sender: str) -> tuple[int, int]:
    """TON and NPI that go with a sender."""
    if sender.startswith("+"):
        return _TON_INTERNATIONAL, _NPI_ISDN
    return (0, _NPI_ISDN) if sender.isdigit() or not sender else (_TON_ALPHANUMERIC, 0)


def _ascii(table: Table, name: str, default: str | None, longest: int) -> str:
    text = table.text(name, default, longest=longest)
    if not text.isascii():
        raise table.wrong(name, "has letters that SMPP does not know")
    return text


def _npi(table: Table, name: str, default: int) -> int:
    known = (0, 1, 3, 4, 6, 8, 9, 10, 14, 18)
    number = table.whole(name, default, 0, 18)
    if number not in known:
        raise table.wrong(name, f"is one of {', '.join(map(str, known))}")
    return number


def _password(table: Table) -> str:
    password = table.secret("password", "")
    if len(password) > _PASSWORD_MAX or not (password.isascii() and password.isprintable()):
        raise table.wrong("password", f"has at most {_PASSWORD_MAX} ASCII characters (SMPP 3.4)")
    return password
