"""HttpSmsChannel: text messages through a gateway with a web interface, as its template says.

One request for each message; what a gateway answers is told apart by status and, where it says
"200, but no", by a value in its JSON. It brings nothing by itself: answers of people come in over
`POST /v1/inbound_messages`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

from zhiwei.gateways.outgoing.addresses import Reach, reach_of
from zhiwei.gateways.outgoing.sending import Bounds, Reply, Sender, answer_of
from zhiwei.gateways.outgoing.settings import trusted_tls
from zhiwei.gateways.sms.sent_ids import kept_id
from zhiwei.gateways.sms.settings import statuses
from zhiwei.gateways.sms.template import Template, TemplateError, template_of
from zhiwei.messaging.model import SMS, Answer, Desk, Message, Verdict
from zhiwei.messaging.numbers import e164
from zhiwei.messaging.settings import Table

#: Statuses that refuse this one message; others of 4xx speak of our settings.
_REFUSALS: Final = frozenset((400, 413, 422))
_METHODS: Final = ("POST", "GET", "PUT")
_SHOWN_MAX: Final = 40
_PATH_MAX: Final = 16


@dataclass(frozen=True)
class HttpGateway:
    """How the gateway is spoken to, and how its answer is read."""

    template: Template = field(repr=False)
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret: str = field(default="", repr=False)
    sender: str = ""
    refused: frozenset[int] = _REFUSALS
    #: Names that lead to a value in the answer's JSON; empty = the status is enough.
    success_path: tuple[str, ...] = ()
    #: Texts that the value there has when the message was taken.
    success_values: tuple[str, ...] = ()
    #: Texts that it has when this one message is refused for good.
    refused_values: tuple[str, ...] = ()
    id_path: tuple[str, ...] = ()


@final
class HttpSmsChannel:
    """Sends text messages through a web gateway."""

    name: str = SMS

    def __init__(self, sender: Sender, gateway: HttpGateway, *, at_once: int = 32) -> None:
        self.at_once = at_once
        self._sender: Final = sender
        self._gateway: Final = gateway

    async def start(self, desk: Desk) -> None:
        """Connections are made when there is something to send."""

    async def stop(self) -> None:
        """Close all connections."""
        await self._sender.close()

    async def send(self, message: Message) -> Answer:
        """Hand one message to the gateway; never raises, and ends within the bounds."""
        gateway = self._gateway
        number = e164(message.to)
        if not number or not message.text:
            return Answer(Verdict.REFUSED, "there is no number, or no text")
        values = {
            "to": number,
            "number": number.removeprefix("+"),
            "text": message.text.encode("utf-8", "replace").decode(),
            "id": message.id,
            "sender": gateway.sender,
            "secret": gateway.secret,
        }
        body, media_type = gateway.template.body_for(values)
        headers = {**({"Content-Type": media_type} if body else {}), **gateway.headers}
        reply, answer = await self._sender.exchange(
            gateway.method, gateway.template.url_for(values), body, headers
        )
        return self._judged(reply, answer)

    def _judged(self, reply: Reply, body: bytes) -> Answer:
        gateway = self._gateway
        if not reply.is_taken:
            if reply.status in gateway.refused:
                return Answer(Verdict.REFUSED, reply.detail)
            # Also 401, 403 and 404: our settings are wrong, and every message would be lost.
            is_down = reply.is_trouble or 300 <= reply.status < 500
            return Answer(
                Verdict.TRY_LATER, reply.detail, pause_ms=reply.pause_ms, is_channel_down=is_down
            )
        document = _document(body) if gateway.success_path or gateway.id_path else None
        if gateway.success_path:
            told = _at(document, gateway.success_path)
            if told in gateway.refused_values:
                return Answer(Verdict.REFUSED, f"{reply.detail}: {told[:_SHOWN_MAX]}")
            if told not in gateway.success_values:
                return Answer(Verdict.TRY_LATER, f"{reply.detail}, but says that it failed")
        taken = answer_of(reply)
        remote_id = kept_id(_at(document, gateway.id_path)) if gateway.id_path else ""
        return Answer(taken.verdict, taken.detail, remote_id=remote_id)


def _document(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _at(document: Any, path: tuple[str, ...]) -> str:  # noqa: ANN401 - any JSON value
    """The value at a path as a text: `0`, `true`, `abc`; empty where there is none."""
    for name in path:
        if isinstance(document, dict):
            document = document.get(name)
        elif isinstance(document, list) and name.isdecimal() and int(name) < len(document):
            document = document[int(name)]
        else:
            return ""
    if isinstance(document, str):
        return document
    is_plain = isinstance(document, bool | int | float)
    return json.dumps(document) if is_plain else ""


def http_channel(table: Table, *, only_loopback: bool) -> HttpSmsChannel:
    """The channel as `[sms]` with `kind = "http"` says; names are in the reference.

    Raises:
        MessagesFileError: the table says something that is not allowed.
    """
    path = table.text("success_path", "")
    try:
        template = template_of(
            table.secret("url"),
            table.text("form", "", longest=8_000),
            table.text("json", "", longest=8_000),
        )
    except TemplateError as error:
        raise table.wrong("url", f"and what goes with it: {error}") from None
    gateway = HttpGateway(
        template=template,
        method=table.choice("method", "POST", _METHODS),
        headers=_headers(table.table("headers")),
        secret=table.secret("secret", ""),
        sender=table.text("sender", "", longest=20),
        refused=statuses(table, "refused_statuses") if "refused_statuses" in table else _REFUSALS,
        success_path=_path(path),
        success_values=table.texts("success_values", ("0",)) if path else (),
        refused_values=table.texts("refused_values", ()),
        id_path=_path(table.text("id_path", "")),
    )
    at_once = table.whole("at_once", 32, 1, 1_000)
    seconds = float(table.whole("timeout_seconds", 10, 1, 60))
    # A bank's gateway is often inside its own network.
    reach: Reach = reach_of(
        allow_private=table.truth("allow_private", default=True), only_loopback=only_loopback
    )
    tls = trusted_tls(table)
    table.done()
    bounds = Bounds(total_s=seconds, rest_s=seconds, connections=at_once)
    return HttpSmsChannel(Sender(reach, bounds, tls=tls), gateway, at_once=at_once)


def _path(text: str) -> tuple[str, ...]:
    """`data.0.id` as its names."""
    return tuple(text.split(".")[:_PATH_MAX]) if text else ()


def _headers(table: Table) -> dict[str, str]:
    """Headers by name; each may be given as `NAME_file` or `NAME_env`, for those are secrets."""
    found: dict[str, str] = {}
    for given in table.names():
        name = given.removesuffix("_file").removesuffix("_env")
        value = table.secret(name)
        if not (name.isascii() and name.replace("-", "").isalnum()) or not value.isprintable():
            raise table.wrong(given, "is no header")
        if not value.isascii():
            raise table.wrong(given, "has characters that a header cannot have")
        found[name] = value
    return found
