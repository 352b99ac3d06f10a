"""Card messages in JSON: from the body of a call to the core's request, and which card it is about.

The twin of the ISO 8583 door's translation. What is not told stays unknown; nothing is guessed.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import Field

from zhiwei.core.errors import NotAllowedValueError, ZhiweiError
from zhiwei.core.ids import card_key_of
from zhiwei.core.money import BY_CODE
from zhiwei.core.place import country_code, province_code
from zhiwei.core.request import (
    DOMESTIC,
    Initiator,
    MessageClass,
    PlaceSource,
    Request,
)
from zhiwei.core.request import Channel as CoreChannel
from zhiwei.core.request import Kind as CoreKind
from zhiwei.core.request import Medium as CoreMedium
from zhiwei.gateways.http.house import House
from zhiwei.gateways.http.problems import Fault, Problem
from zhiwei.gateways.http.shapes import (
    KINDS_WITHOUT_AMOUNT,
    Amount,
    Body,
    CardName,
    Channel,
    Currency,
    Kind,
    Line,
    Medium,
    Pan,
    Token,
)
from zhiwei.gateways.http.times import instant_ms, instant_text

_DE7: Final = re.compile(
    r"(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])([0-5]\d){2}", re.ASCII
)


class Merchant(Body):
    """The acceptor, and where it is."""

    id: Token | None = None
    name: Line | None = None
    mcc: Annotated[str, Field(pattern=r"^[0-9]{4}$")] | None = None
    country: (
        Annotated[str, Field(max_length=16, description="ISO 3166-1 alpha-3, alpha-2 or number.")]
        | None
    ) = None
    region: (
        Annotated[
            str, Field(max_length=16, description="GB/T 2260, two digits; within China only.")
        ]
        | None
    ) = None


class WhichCard(Body):
    """A card by its id or by its number; exactly one of the two."""

    card: CardName | None = None
    pan: Pan | None = None


class CardMessage(WhichCard):
    """A card message in normal form."""

    kind: Kind
    channel: Channel = "unknown"
    medium: Medium = "unknown"
    amount: Amount | None = None
    currency: Currency | None = None
    billing_amount: Amount | None = None
    billing_currency: Currency | None = None
    merchant: Merchant | None = None
    acquirer: Token | None = None
    forwarder: Token | None = None
    terminal: Token | None = None
    terminal_flagged: bool = False
    rrn: Token | None = None
    stan: Token | None = None
    transmitted_at: (
        Annotated[
            str,
            Field(max_length=40, description="RFC 3339, or MMDDhhmmss as in DE7."),
        ]
        | None
    ) = None
    local_time: Line | None = None
    initiated_by: Annotated[str, Field(pattern="^(cardholder|merchant)$")] = "cardholder"
    institution: Line | None = None
    pin_entered: bool = False
    authorization_code: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,6}$")] | None = None
    balance: int | None = None


def card_key_in(house: House, body: WhichCard) -> bytes:
    """The key of the card that a body names.

    Raises:
        Problem: neither or both are given; the number is none; `card_not_found` for an id that is
        none.
    """
    if (body.card is None) == (body.pan is None):
        detail = "give `card` or `pan`, and not both"
        code = "missing" if body.card is None else "two_cards"
        raise Problem("malformed_request", detail, errors=(Fault("/card", code, detail),))
    if body.pan is not None:
        try:
            return house.vault.card_key(body.pan)
        except ZhiweiError as error:
            fault = Fault("/pan", "bad_card_number", str(error))
            raise Problem("not_allowed", str(error), errors=(fault,)) from None
    card_key = card_key_of(body.card or "")
    if card_key is None:
        raise Problem("card_not_found")
    return card_key


def request_of(
    body: CardMessage, message_class: MessageClass, *, was_declined: bool = False
) -> Request:
    """The core's request.

    Raises:
        Problem: an amount is missing where the kind needs one.
        NotAllowedValueError: a currency, country, region or time that does not exist.
    """
    _check_amount(body)
    merchant = body.merchant or Merchant()
    country, region = _place(merchant)
    return Request(
        kind=CoreKind[body.kind.upper()],
        message_class=message_class,
        channel=CoreChannel[body.channel.upper()],
        medium=CoreMedium[body.medium.upper()],
        amount_minor=body.amount or 0,
        currency=known_currency(body.currency, "/currency"),
        billing_amount_minor=-1 if body.billing_amount is None else body.billing_amount,
        billing_currency=known_currency(body.billing_currency, "/billing_currency"),
        merchant_id=merchant.id or "",
        merchant_name=merchant.name or "",
        mcc=merchant.mcc or "",
        country=country,
        region=region,
        place_source=PlaceSource.GIVEN if country else PlaceSource.NOT_TOLD,
        acquirer=body.acquirer or "",
        forwarder=body.forwarder or "",
        terminal=body.terminal or "",
        rrn=body.rrn or "",
        stan=body.stan or "",
        transmitted_at=transmission_time(body.transmitted_at),
        local_time=body.local_time or "",
        initiator=Initiator[body.initiated_by.upper()],
        institution=body.institution or "",
        terminal_flagged=body.terminal_flagged,
        pin_entered=body.pin_entered,
        auth_code=body.authorization_code or "",
        balance_minor=body.balance,
        was_declined=was_declined,
    )


def known_currency(code: str | None, pointer: str) -> str:
    """Letters of ISO 4217; empty for None.

    Raises:
        NotAllowedValueError: no such currency.
    """
    if code is not None and code not in BY_CODE:
        message = f"`{code}` is not a currency of ISO 4217"
        raise NotAllowedValueError(pointer, "unknown_currency", message)
    return code or ""


def transmission_time(text: str | None) -> str:
    """Part of a message's identity: MMDDhhmmss as sent, or an instant in the one way we write it.

    Raises:
        NotAllowedValueError: neither of the two.
    """
    if text is None or _DE7.fullmatch(text):
        return text or ""
    return instant_text(instant_ms(text, "/transmitted_at"))


def _check_amount(body: CardMessage) -> None:
    """Raise unless amounts and currencies go together."""
    missing: list[Fault] = []
    if body.kind not in KINDS_WITHOUT_AMOUNT or body.amount is not None:
        for name, value in (("amount", body.amount), ("currency", body.currency)):
            if value is None:
                missing.append(Fault(f"/{name}", "missing", f"`{name}` is needed"))
    if (body.billing_amount is None) != (body.billing_currency is None):
        name = "billing_amount" if body.billing_amount is None else "billing_currency"
        missing.append(Fault(f"/{name}", "missing", f"`{name}` goes with the other of the two"))
    if missing:
        raise Problem("malformed_request", missing[0].detail, errors=tuple(missing))


def _place(merchant: Merchant) -> tuple[str, str]:
    """Country and province; a province is in China, whether or not the country is told."""
    country = ""
    if merchant.country is not None:
        country = country_code(merchant.country, "/merchant/country")
    if merchant.region is None:
        return country, ""
    region = province_code(merchant.region, "/merchant/region")
    if country not in ("", DOMESTIC):
        message = "a region of GB/T 2260 lies in China, and the country is another"
        raise NotAllowedValueError("/merchant/region", "region_abroad", message)
    return DOMESTIC, region
