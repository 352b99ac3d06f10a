"""Presentation: a journal entry as the API shows it.

What is shown of a decision depends on its entry, its card's network and the words, and on nothing
that moves; so the same entry is the same text, byte for byte, however often it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from zhiwei.core.card_state import CardState, Challenge
from zhiwei.core.controls import LimitChannel, Measure, Period
from zhiwei.core.entry import Entry, LimitReport
from zhiwei.core.finding import Finding, Outcome
from zhiwei.core.ids import card_id, entry_id, entry_of
from zhiwei.core.request import Initiator, MessageClass, Request
from zhiwei.gateways.http.house import Document, House
from zhiwei.gateways.http.times import instant_text
from zhiwei.gateways.response_codes import DEFAULT_NETWORK

#: What an outcome is called.
DECISIONS = {
    Outcome.APPROVE: "approve",
    Outcome.CHALLENGE: "challenge",
    Outcome.REFUSE: "decline",
}
_REFERENCE_SPACE = 1_000_000


def decision_document(house: House, state: CardState, entry: Entry) -> Document:
    """The decision body of the contract; `state` is any version of the card's file."""
    profile = state.settings.profile
    question = _question(house, state, entry)
    return _body(house, state.card_key, profile.network, profile.currency, question, entry)


def unreadable_document(house: House, card_key: bytes, entry: Entry) -> Document:
    """The refusal of a card whose file is damaged; nothing of the card is known or kept."""
    return _body(house, card_key, DEFAULT_NETWORK, "", None, entry)


def _body(
    house: House,
    card_key: bytes,
    network: str,
    currency: str,
    question: Document | None,
    entry: Entry,
) -> Document:
    request = entry.command.request
    assert request is not None, "only card messages are decided"
    standing = [finding for finding in entry.findings if finding.stands]
    first = entry.duplicate_of
    return {
        "object": object_of(request),
        "id": authorization_id(card_key, entry.version),
        "decision": DECISIONS[entry.outcome],
        "response_code": house.in_force().codes_of(entry.policy_version).of_entry(network, entry),
        "reasons": [reason_document(house, currency, f) for f in standing],
        "challenge": question,
        "authorization_code": entry.auth_code or None,
        "limits": [limit_document(report) for report in entry.limits],
        "duplicate_of": authorization_id(card_key, first) if first else None,
        "card": card_id(card_key),
        "decided_at": instant_text(entry.now_ms),
        "policy_version": entry.policy_version or house.policy.version,
    }


def object_of(request: Request) -> str:
    """What kind of thing a card message is."""
    names = {
        MessageClass.REQUEST: "authorization",
        MessageClass.ADVICE: "advice",
        MessageClass.REVERSAL: "reversal",
        MessageClass.INCREMENT: "increment",
    }
    return names[request.message_class]


def authorization_id(card_key: bytes, version: int) -> str:
    """Id of what was decided as a card's entry."""
    return entry_id("auth", card_key, version)


def reason_document(house: House, currency: str, finding: Finding) -> Document:
    """One reason of a decision."""
    return {
        "code": finding.reason.code,
        "control": finding.control,
        "message": sentence(house, currency, finding),
        "remedy": house.words.remedy(finding.reason, finding.facts, finding.control),
    }


def sentence(house: House, currency: str, finding: Finding) -> dict[str, str]:
    """What a cardholder is told of a finding; its amounts are in the card's currency."""
    facts = finding.facts
    if all(name != "currency" for name, _ in facts):
        facts = (*facts, ("currency", currency))
    return house.words.sentence(finding.reason, facts)


def limit_document(report: LimitReport) -> Document:
    """How full one limit is."""
    document: Document = {
        "channel": LimitChannel(report.channel).name.lower(),
        "measure": Measure(report.measure).name.lower(),
        "period": Period(report.period).name.lower(),
        "used": report.used,
        "limit": report.limit,
        "resets_at": instant_text(report.resets_ms) if report.resets_ms else None,
    }
    if report.seconds:
        document["seconds"] = report.seconds
    return document


def message_document(state: CardState, request: Request) -> Document:
    """What was asked, as it was told; nothing told is null."""
    return {
        "kind": request.kind.name.lower(),
        "channel": request.channel.name.lower(),
        "medium": request.medium.name.lower(),
        "amount": request.amount_minor,
        "currency": request.currency or state.settings.profile.currency,
        "billing_amount": _told(request.billing_amount_minor),
        "billing_currency": request.billing_currency or None,
        "merchant": {
            "id": request.merchant_id or None,
            "name": request.merchant_name or None,
            "mcc": request.mcc or None,
            "country": request.country or None,
            "region": request.region or None,
        },
        "place_source": request.place_source.name.lower(),
        "acquirer": request.acquirer or None,
        "terminal": request.terminal or None,
        "rrn": request.rrn or None,
        "stan": request.stan or None,
        "transmitted_at": request.transmitted_at or None,
        "institution": request.institution or None,
        "initiated_by": Initiator(request.initiator).name.lower(),
    }


def facts_document(card_key: bytes, facts: Iterable[tuple[str, Any]]) -> Document:
    """Facts with instants as times and versions as ids; texts that are JSON are shown as JSON."""
    document: Document = {}
    for name, value in facts:
        if name.endswith("_ms") and isinstance(value, int):
            document[name.removesuffix("_ms")] = instant_text(value)
        elif name.endswith("_version") and isinstance(value, int):
            document[name.removesuffix("_version")] = authorization_id(card_key, value)
        else:
            document[name] = parsed(value)
    return document


def parsed(value: object) -> object:
    """The JSON object in a text, or the value as it is."""
    if isinstance(value, str) and value.startswith("{") and value.endswith("}"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _told(number: int) -> int | None:
    return number if number >= 0 else None


def _question(house: House, state: CardState, entry: Entry) -> Document | None:
    """The question that a decision opened or still waits for."""
    if entry.outcome is not Outcome.CHALLENGE or not entry.challenge_id:
        return None
    for challenge in state.settings.challenges:
        if challenge.id == entry.challenge_id:
            return question_document(challenge)
    return forgotten_question(house, state.card_key, entry)


def question_document(challenge: Challenge) -> Document:
    """The question of a decision."""
    return {
        "id": challenge.id,
        "reference": challenge.reference,
        "expires_at": instant_text(challenge.expires_ms),
    }


def forgotten_question(house: House, card_key: bytes, entry: Entry) -> Document:
    """The question again after the file has forgotten it (a day), from the entry that asked it.

    The reference is made from the command's nonce as the guardian makes it. (Where another open
    question had the same one, the guardian took the next number: that is one case in 60,000.)
    """
    named = entry_of("chg", entry.challenge_id)
    asked = entry
    if named is not None and named[1] != entry.version:
        asked = house.reader.entry(card_key, named[1]) or entry
    number = int.from_bytes(asked.command.nonce, "big") % _REFERENCE_SPACE
    return {
        "id": entry.challenge_id,
        "reference": f"{number:06d}",
        "expires_at": instant_text(asked.now_ms + house.policy.challenge_ms),
    }
