"""The shapes of a decision, shared by authorizations, their follow-ups, advices and bindings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from zhiwei.gateways.http.shapes import (
    Anything,
    CardId,
    Channel,
    Instant,
    Kind,
    LimitState,
    Medium,
    Sentence,
    Shape,
)


class ReasonShape(Shape):
    """One finding that stands."""

    code: str = Field(description="See the reference of reasons; new ones may appear.")
    control: str
    message: Sentence
    remedy: str = Field(description="What can be done: `exception`, `wait`, `change_control`, …")


class Question(Shape):
    """The question that a decision opened or still waits for."""

    id: str
    reference: str = Field(description="Six digits that a reply by SMS must carry.")
    expires_at: Instant


class Decision(Shape):
    """A decision. A decline is not an error: it is answered with 200 like an approval."""

    object: Literal["authorization", "advice", "reversal", "increment"]
    id: str = Field(pattern=r"^auth_[0-9a-v]{34}$")
    decision: Literal["approve", "decline", "challenge"]
    response_code: str = Field(pattern=r"^[0-9A-Z]{2}$", description="DE39 of the card's network.")
    reasons: list[ReasonShape] = Field(description="The first one is shown first.")
    challenge: Question | None
    authorization_code: str | None
    limits: list[LimitState] = Field(description="The limits that the request counts in.")
    duplicate_of: str | None = Field(
        description="The first decision with the same network identity and another body."
    )
    card: CardId
    decided_at: Instant
    policy_version: str


class MerchantShape(Shape):
    """Where it happened, as told."""

    id: str | None
    name: str | None
    mcc: str | None
    country: str | None
    region: str | None


class Authorization(Decision):
    """A decision with what was asked and where it stands now."""

    status: Literal[
        "approved", "completed", "reversed", "voided", "declined", "challenged", "noted"
    ]
    approved_amount: int | None = Field(
        description="What stands approved now, minor units of the card's currency."
    )
    kind: Kind
    channel: Channel
    medium: Medium
    amount: int
    currency: str
    billing_amount: int | None
    billing_currency: str | None
    merchant: MerchantShape
    place_source: str
    acquirer: str | None
    terminal: str | None
    rrn: str | None
    stan: str | None
    transmitted_at: str | None
    institution: str | None
    initiated_by: Literal["cardholder", "merchant"]


class Evaluation(Shape):
    """What one control that was asked found."""

    object: Literal["evaluation"]
    id: str
    control: str
    result: Literal["approve", "challenge", "decline"]
    reason: str | None
    message: Sentence | None
    facts: dict[str, Anything]
    lifted_by: str | None = Field(description="The exception or pass that lifted the finding.")
