"""Wishes: one line of a file, read and checked, before anything is decided.

A line of JSON is one of these. `card` may be any name in a trial of its own, and must be a card's
id where a data directory is copied. `pan` is turned into a key at once.

- `{"card": "A", "kind": "purchase", …}`: a card message, as `POST /v1/authorizations` takes it.
- `{"card": "A", "register": {"currency": "CNY", "has_chip": true, …}}`: opens the card's file.
- `{"card": "A", "control": "night_lock", "settings": {…}}`: sets a control; null removes it.
- `{"card": "A", "stop": true}`: places a stop; false lifts it.
- `{"reverses": 12}`: takes back the message of line 12.

Each may say `"at"`, an RFC 3339 instant: the clock stands there from that line on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from pydantic import BaseModel, Field, StrictBool, ValidationError

from zhiwei.core.controls import Control
from zhiwei.core.documents import control_from
from zhiwei.core.errors import NotAllowedValueError, ZhiweiError
from zhiwei.core.request import MessageClass, Request
from zhiwei.gateways.http.card_messages import CardMessage, request_of
from zhiwei.gateways.http.masking import masked
from zhiwei.gateways.http.problems import Problem
from zhiwei.gateways.http.shapes import Amount, Body, CardName, Currency, Network, Pan
from zhiwei.gateways.http.strict_json import document_in
from zhiwei.gateways.http.times import instant_ms
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.faults import DecodeError, FrameError
from zhiwei.gateways.iso8583.frame import header_end, split
from zhiwei.gateways.iso8583.message import Message

#: The longest line that is read, in bytes.
LINE_MAX: Final = 262_144


class BadLineError(ZhiweiError):
    """a line cannot be read"""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        #: Counted from 1.
        self.number = number


@dataclass(frozen=True)
class WhichCard:
    """A card as a line names it; the number is in no text of this value."""

    name: str
    is_pan: bool

    def __repr__(self) -> str:
        return f"WhichCard({self.label})"

    @property
    def label(self) -> str:
        """As people may see it."""
        return f"*{self.name[-4:]}" if self.is_pan else masked(self.name, 40)


@dataclass(frozen=True)
class Registering:
    """Open the file of a card."""

    currency: str = "CNY"
    time_zone: str = "Asia/Shanghai"
    has_chip: bool = True
    network: str = "unionpay"


@dataclass(frozen=True)
class Setting:
    """Set a control, or (None) remove it."""

    control_type: str
    control: Control | None


@dataclass(frozen=True)
class Stopping:
    """Place a stop, or lift it."""

    is_on: bool


@dataclass(frozen=True)
class Asking:
    """A card message."""

    request: Request


@dataclass(frozen=True)
class Reversing:
    """Take back the message of an earlier line; what stands afterwards, -1 = nothing."""

    line: int
    replacement_minor: int = -1


@dataclass(frozen=True)
class Frame:
    """An ISO 8583 message."""

    message: Message


Deed: TypeAlias = "Registering | Setting | Stopping | Asking | Reversing | Frame"


@dataclass(frozen=True)
class Wish:
    """What one line wants."""

    number: int
    deed: Deed
    #: None where the deed names its card itself.
    card: WhichCard | None = None
    #: The clock stands here from now on, UTC ms; None = it stays.
    at_ms: int | None = None


class _AtCard(Body):
    at: Annotated[str, Field(max_length=40)] | None = None
    card: CardName | None = None
    pan: Pan | None = None


class _RegisterLine(Body):
    currency: Currency = "CNY"
    time_zone: Annotated[str, Field(max_length=64)] = "Asia/Shanghai"
    has_chip: StrictBool = True
    network: Network = "unionpay"


class _ReversesLine(Body):
    at: Annotated[str, Field(max_length=40)] | None = None
    reverses: Annotated[int, Field(ge=1)]
    remaining: Amount | None = None


def wish_of_json(number: int, text: str) -> Wish:
    """What a line of JSON wants.

    Raises:
        BadLineError: it is no JSON, or none of the lines above; no value of it is repeated.
    """
    try:
        document = document_in(text.encode())
        if not isinstance(document, dict):
            raise BadLineError(number, "a line is a JSON object")
        return _wish(number, document)
    except Problem as problem:
        raise BadLineError(number, _problem_text(problem)) from None
    except ValidationError as error:
        raise BadLineError(number, _validation_text(error)) from None
    except NotAllowedValueError as error:
        where = f"`{error.pointer}`: " if error.pointer else ""
        raise BadLineError(number, f"{where}{error}") from None
    except (KeyError, TypeError, AttributeError):
        raise BadLineError(number, "the settings of the control have the wrong shape") from None


def wish_of_hex(number: int, text: str, codec: Codec) -> Wish:
    """The message of a line of hexadecimal digits, after an optional RFC 3339 instant.

    The length that leads a frame, and the dialect's header, may be there or not.

    Raises:
        BadLineError: it is no hexadecimal text, or no message of the dialect.
    """
    first, _, rest = text.partition(" ")
    at_ms = None
    if "T" in first.upper() and rest:
        try:
            at_ms = instant_ms(first, "")
        except NotAllowedValueError as error:
            raise BadLineError(number, str(error)) from None
        text = rest
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raise BadLineError(number, "not hexadecimal digits, two a byte") from None
    try:
        return Wish(number, Frame(_message_in(raw, codec)), at_ms=at_ms)
    except DecodeError as error:
        raise BadLineError(number, str(error)) from None


def _message_in(raw: bytes, codec: Codec) -> Message:
    """The message of a whole frame, or of the bytes behind its length."""
    form = codec.dialect.framing
    spans: list[int] = []
    try:
        rest = split(form, raw, 0, spans)
    except FrameError:
        rest = 0
    if len(spans) == 2 and rest == len(raw):
        at = header_end(form, raw, spans[0], spans[1])
        return codec.decode(raw, at, spans[1])
    return codec.decode(raw, 0, len(raw))


def _wish(number: int, document: dict[str, Any]) -> Wish:
    if "reverses" in document:
        reverses = _model(_ReversesLine, document)
        remaining = -1 if reverses.remaining is None else reverses.remaining
        return Wish(number, Reversing(reverses.reverses, remaining), at_ms=_instant(reverses.at))
    head = _model(_AtCard, {k: v for k, v in document.items() if k in ("at", "card", "pan")})
    card, at_ms = _card(number, head), _instant(head.at)
    rest = {k: v for k, v in document.items() if k not in ("at", "card", "pan")}
    if "kind" in rest:
        request = request_of(_model(CardMessage, rest), MessageClass.REQUEST)
        return Wish(number, Asking(request), card, at_ms)
    if "register" in rest:
        _only(number, rest, "register")
        told = _model(_RegisterLine, rest["register"])
        registering = Registering(told.currency, told.time_zone, told.has_chip, told.network)
        return Wish(number, registering, card, at_ms)
    if "control" in rest:
        _only(number, rest, "control", "settings")
        return Wish(number, _setting(number, rest), card, at_ms)
    if "stop" in rest:
        _only(number, rest, "stop")
        if not isinstance(rest["stop"], bool):
            raise BadLineError(number, "`stop` is true or false")
        return Wish(number, Stopping(rest["stop"]), card, at_ms)
    raise BadLineError(
        number, "a line has `kind` (a message), `control`, `register`, `stop` or `reverses`"
    )


def _setting(number: int, document: dict[str, Any]) -> Setting:
    control_type, settings = document["control"], document.get("settings", {})
    if not isinstance(control_type, str):
        raise BadLineError(number, "`control` is the name of a type of control")
    if settings is not None and not isinstance(settings, dict):
        raise BadLineError(number, "`settings` is an object, or null to remove the control")
    control = None if settings is None else control_from(control_type, settings)
    return Setting(control_type, control)


def _card(number: int, head: _AtCard) -> WhichCard:
    if (head.card is None) == (head.pan is None):
        raise BadLineError(number, "give `card` or `pan`, and not both")
    return WhichCard(head.pan or head.card or "", is_pan=head.pan is not None)


def _instant(text: str | None) -> int | None:
    return None if text is None else instant_ms(text, "/at")


def _only(number: int, document: dict[str, Any], *names: str) -> None:
    """Raise for a name that the line may not have: a typing error is never ignored."""
    for name in document:
        if name not in names:
            known = ", ".join(f"`{one}`" for one in names)
            raise BadLineError(number, f"unknown name beside {known}")


M = TypeVar("M", bound=BaseModel)


def _model(model: type[M], document: Any) -> M:  # noqa: ANN401 - JSON is anything until it is read
    return model.model_validate(document)


def _problem_text(problem: Problem) -> str:
    places = [f"`{fault.pointer}`: {fault.detail}" for fault in problem.errors if fault.pointer]
    return "; ".join(places) or str(problem.detail)


def _validation_text(error: ValidationError) -> str:
    """What is wrong and where; pydantic was told not to repeat the input."""
    return "; ".join(
        f"`/{'/'.join(str(part) for part in fault['loc'])}`: {fault['msg'].lower()}"
        for fault in error.errors(include_input=False, include_url=False)[:3]
    )
