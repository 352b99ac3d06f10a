"""Shapes that several resources share: what bodies may hold, and what answers look like.

Bodies are strict: an amount is an integer (a float or a string is an error), and a name that is not
in the contract is an error too. Answers are written by hand; their models here and in the resources
are what the OpenAPI document says of them, and tests hold the two together.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from zhiwei.core.controls import AMOUNT_MAX
from zhiwei.vault import reference_without_number, text_without_numbers

T = TypeVar("T")


class Body(BaseModel):
    """What a call may send: exactly these fields, each of its own type."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False
    )


class Shape(BaseModel):
    """What an answer holds."""

    model_config = ConfigDict(extra="forbid")


#: Integer minor units of a currency: 680000 is CNY 6,800.00.
Amount = Annotated[
    int, Field(ge=0, le=AMOUNT_MAX, description="Integer minor units of the currency.")
]
Currency = Annotated[
    str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 letters.", examples=["CNY"])
]
Network = Literal["unionpay", "visa", "visa-9g", "mastercard"]
#: A reference of the network: visible ASCII. Of a card number its last four digits are kept.
Token = Annotated[str, Field(pattern=r"^[!-~]{1,32}$"), AfterValidator(reference_without_number)]
#: A reference of the bank: its own, an RRN, or an id of ours; of a card number the last four again.
Reference = Annotated[
    str, Field(pattern=r"^[!-~]{1,64}$"), AfterValidator(reference_without_number)
]
#: Text that people wrote, on one line. Of a card number in it its last four digits are kept.
Line = Annotated[
    str,
    Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$"),
    AfterValidator(text_without_numbers),
]
Instant = Annotated[
    str,
    Field(
        json_schema_extra={"format": "date-time"},
        max_length=40,
        description="RFC 3339, UTC, milliseconds.",
        examples=["2026-11-23T15:00:00.000Z"],
    ),
]
CardId = Annotated[str, Field(pattern=r"^card_[0-9a-v]{26}$", examples=["card_0123…"])]
#: A card in a body: an id that is malformed is simply not found.
CardName = Annotated[str, Field(max_length=80, description="Id of a card.")]
Pan = Annotated[
    str,
    Field(
        max_length=32,
        description="Card number. It is turned into a key at once and never kept, shown or logged.",
        json_schema_extra={"writeOnly": True},
    ),
]
Kind = Literal[
    "purchase",
    "cash_withdrawal",
    "transfer_out",
    "preauthorization",
    "completion",
    "balance_inquiry",
    "refund",
    "void",
    "deposit",
    "transfer_in",
    "binding",
]
Channel = Literal["atm", "pos", "online", "quick_pay", "counter", "direct_debit", "unknown"]
Medium = Literal[
    "chip",
    "contactless",
    "magstripe",
    "fallback",
    "manual",
    "ecommerce",
    "qr",
    "credential_on_file",
    "none",
    "unknown",
]
LimitChannelName = Literal[
    "all",
    "atm",
    "atm_withdrawal",
    "atm_transfer",
    "pos",
    "online",
    "quick_pay",
    "contactless_no_pin",
    "overseas",
]
PeriodName = Literal["transaction", "day", "week", "month", "year", "rolling"]
MeasureName = Literal["amount", "count"]
#: What came with the house's own settings; JSON of any shape.
Anything = Any


class Sentence(Shape):
    """One sentence in the languages of the house."""

    zh: str
    en: str


class LimitState(Shape):
    """How full a limit is."""

    channel: LimitChannelName
    measure: MeasureName
    period: PeriodName
    used: int
    limit: int
    resets_at: Instant | None
    seconds: int | None = None


class ListOf(Shape, Generic[T]):
    """A page of a list."""

    object: Literal["list"]
    data: list[T]
    has_more: bool


class FaultShape(Shape):
    """One thing that is wrong, and where."""

    pointer: str
    code: str
    detail: str


class ProblemShape(BaseModel):
    """Every answer that is not a success (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FaultShape]
    request_id: str


#: Whole names of the enumerations above, for messages.
KINDS_WITHOUT_AMOUNT: Final = frozenset(("balance_inquiry", "binding"))
