"""Tellers: one function for each kind of event; which sentence it gets, and with which facts.

Each names a variant of the kind's sentence (empty = the plain one) and fills the facts that the
sentence needs. `message.control_updated.loosened` in the catalogue is the variant `loosened`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from zhiwei.core.card_state import Permission, PermissionKind
from zhiwei.core.event import EventKind
from zhiwei.core.reason import Reason
from zhiwei.messaging import wording
from zhiwei.messaging.telling import Said, Telling
from zhiwei.words.remedies import remedy_of

#: What a question by SMS may be answered with "yes", if the issuer's policy lets it.
BY_SMS: Final = frozenset(("magstripe_verification", "large_spend_verification"))
#: Reasons of questions that have a verb of their own, the telling one first.
_VERBS: Final = ("magstripe_verification", "large_spend_verification")
_REASONS: Final[Mapping[str, Reason]] = {reason.code: reason for reason in Reason}

#: Fills in the facts and returns the variant of the sentence.
Teller: TypeAlias = "Callable[[Telling, Said], str]"


def _declined(telling: Telling, said: Said) -> str:
    facts = telling.facts
    code, control = _first_reason(telling)
    name = telling.control(control)
    amount = facts.get("amount")
    is_amount = isinstance(amount, int) and amount > 0
    money = telling.money(amount, facts.get("currency")) if is_amount else ""
    said["merchant"] = telling.part("merchant", "merchant", telling.name(facts.get("merchant")))
    said["kind"] = telling.say_one_of("kind", facts.get("kind"), "other")
    said["of_amount"] = telling.part("of_amount", "amount", money)
    said["refused"] = telling.part("by_control", "control", name) or telling.say("part.refused")
    reason = _REASONS.get(code, Reason.RULE_FAILED)
    said["advice"] = telling.say(f"advice.{remedy_of(reason, (), control)}")
    return ""


def _first_reason(telling: Telling) -> tuple[str, str]:
    """The reason that is shown first, with its control; empty where none is known."""
    reasons = telling.facts.get("reasons")
    controls = telling.facts.get("controls")
    if not isinstance(reasons, list) or not isinstance(controls, list):
        return "", ""
    pairs = [pair for pair in zip(reasons, controls, strict=False) if pair[0] in _REASONS]
    return min(pairs, key=lambda pair: _REASONS[pair[0]], default=("", ""))


def _asked(telling: Telling, said: Said) -> str:
    facts = telling.facts
    reasons = facts.get("reasons")
    asked = reasons if isinstance(reasons, list) else []
    verb = next((word for word in _VERBS if word in asked), "other")
    said["verb"] = telling.say(f"verb.{verb}")
    said["amount"] = telling.money(facts.get("amount"), facts.get("currency"))
    said["merchant"] = telling.part("merchant", "merchant", telling.name(facts.get("merchant")))
    said["until"] = telling.time(facts.get("expires_ms"), "%H:%M")
    said["reference"] = wording.reference_of(facts.get("reference"))
    return ""


def may_say_yes_by_sms(telling: Telling) -> bool:
    """Whether the issuer's policy takes a "yes" to this question by SMS."""
    reasons = telling.facts.get("reasons")
    return (
        telling.sms_may_approve
        and isinstance(reasons, list)
        and bool(reasons)
        and set(reasons) <= BY_SMS
    )


def _answered(telling: Telling, said: Said) -> str:
    facts = telling.facts
    said["amount"] = telling.money(facts.get("amount"), facts.get("currency"))
    said["merchant"] = telling.part("merchant", "merchant", telling.name(facts.get("merchant")))
    return "denied" if facts.get("answer") == "deny" else ""


def _unanswered(telling: Telling, said: Said) -> str:
    question = telling.question()
    said["amount"], said["merchant"] = telling.say("money.unknown"), ""
    if question is not None:
        name = telling.name(question.merchant_name)
        said["amount"] = telling.money(question.amount_minor, question.currency)
        said["merchant"] = telling.part("merchant", "merchant", name)
    return ""


def _inquired(telling: Telling, said: Said) -> str:
    facts = telling.facts
    place = telling.place(
        facts.get("country"), facts.get("region"), facts.get("channel"), facts.get("merchant")
    )
    untold = facts.get("untold")
    said["place"] = telling.part("place", "place", place)
    said["refused"] = telling.say("part.inquiry_refused") if facts.get("refused") else ""
    is_counted = isinstance(untold, int) and untold > 0
    said["untold"] = telling.part("untold", "untold", str(untold)) if is_counted else ""
    return ""


def _balance(telling: Telling, said: Said) -> str:
    facts = telling.facts
    business = facts.get("business")
    known = telling.say_one_of("kind", business, "other")
    if known == telling.say("kind.other"):
        known = telling.name(business)
    direction = "in" if facts.get("direction") == "in" else "out"
    said["business"] = telling.part("business", "business", known)
    said["direction"] = telling.say(f"direction.{direction}")
    said["amount"] = telling.money(facts.get("amount"), facts.get("currency"))
    said["counterparty"] = _counterparty(telling)
    balance = facts.get("balance")
    told = telling.money(balance) if isinstance(balance, int) else ""
    said["balance"] = telling.part("balance", "balance", told)
    if not facts.get("reverses"):
        return ""
    said["original"] = _original(telling)
    return "reversal"


def _counterparty(telling: Telling) -> str:
    name = telling.name(telling.facts.get("counterparty_name"))
    tail = wording.reference_of(telling.facts.get("counterparty_tail"))[-4:]
    if name and tail:
        both: Said = {"name": name, "counterparty_tail": tail}
        return telling.say("part.counterparty_and_tail", both)
    if name:
        return telling.say("part.counterparty", {"name": name})
    return telling.part("counterparty_tail", "counterparty_tail", tail)


def _original(telling: Telling) -> str:
    """What a reversal takes back: its time, and its amount where that is another; else its number.

    The house's own ids are for machines.
    """
    facts = telling.facts
    at_ms, amount = facts.get("original_at_ms"), facts.get("original_amount")
    pieces: list[str] = []
    if isinstance(at_ms, int):
        pieces.append(telling.time(at_ms))
    if isinstance(amount, int) and amount != facts.get("amount"):
        pieces.append(telling.money(amount, facts.get("original_currency")))
    reference = wording.reference_of(facts.get("reverses"))
    if not pieces and not reference.startswith("auth_"):
        pieces.append(telling.part("reference", "reference", reference))
    return " ".join(pieces) or telling.say("part.original_unknown")


def _reversed(telling: Telling, said: Said) -> str:
    entry = telling.entry(telling.facts.get("original_version"))
    said["amount"] = telling.money(telling.facts.get("amount"))
    said["original"] = telling.say("part.original_unknown")
    if entry is not None:
        request = entry.command.request
        amount = "" if request is None else telling.money(request.amount_minor, request.currency)
        name = telling.name("" if request is None else request.merchant_name)
        pieces = [telling.time(entry.now_ms), name, amount]
        said["original"] = " ".join([piece for piece in pieces if piece])
    return ""


def _control(telling: Telling, said: Said) -> str:
    facts = telling.facts
    said["control"] = telling.control(facts.get("control")) or wording.UNKNOWN
    is_loosened = bool(facts.get("loosened"))
    if not facts.get("new"):
        change = "off"
    elif is_loosened:
        change = "loosened"
    else:
        change = "changed" if facts.get("old") else "on"
    said["change"] = telling.say(f"change.{change}")
    return "loosened" if is_loosened else ""


def _waiting(telling: Telling, said: Said) -> str:
    facts = telling.facts
    said["control"] = telling.control(facts.get("control")) or wording.UNKNOWN
    said["change"] = telling.say("change.loosened" if facts.get("new") else "change.off")
    said["available"] = telling.time(facts.get("available_ms"))
    return ""


def _stop(telling: Telling, said: Said) -> str:
    said["reference"] = wording.reference_of(telling.facts.get("reference")) or wording.UNKNOWN
    return ""


def _permission(telling: Telling, said: Said) -> str:
    facts = telling.facts
    permission = _permission_of(telling)
    said["permission"] = _permission_word(telling, permission)
    said["until"] = telling.time(facts.get("until_ms"))
    said["places"] = _places(telling, permission)
    said.update(telling.payment(telling.entry(telling.row.version)))
    return ""


def _permission_of(telling: Telling) -> Permission | None:
    name = telling.facts.get("permission")
    return next((p for p in telling.state.settings.permissions if p.id == name), None)


def _permission_word(telling: Telling, permission: Permission | None) -> str:
    """What kind of permission it is; a pass is gone from the file once it was used."""
    if str(telling.facts.get("permission", "")).startswith("pass_"):
        return telling.say("permission.pass")
    if permission is None:
        return telling.say("permission.unknown")
    is_travel = permission.kind is PermissionKind.TRAVEL
    return telling.say("permission.travel" if is_travel else "permission.temporary")


def _places(telling: Telling, permission: Permission | None) -> str:
    """Countries and provinces that a permission is bound to."""
    if permission is None:
        return ""
    names = [telling.area(country, "") for country in permission.countries]
    names += [telling.area("", region) for region in permission.regions]
    return telling.say("part.places", {"places": names}) if names else ""


def _payment(telling: Telling, said: Said) -> str:
    said.update(telling.payment(telling.entry(telling.row.version)))
    return ""


def _limit(telling: Telling, said: Said) -> str:
    facts = telling.facts
    said["channel"] = telling.say_one_of("channel", facts.get("channel"), "unknown")
    said["period"] = telling.say_one_of("period", facts.get("period"), "transaction")
    for name in ("used", "limit"):
        value = facts.get(name)
        is_count = facts.get("measure") == "count" and isinstance(value, int)
        said[name] = (
            telling.say("part.count", {"n": str(value)}) if is_count else telling.money(value)
        )
    said["resets"] = telling.time(facts.get("resets_ms"))
    return ""


def _binding(telling: Telling, said: Said) -> str:
    facts = telling.facts
    name = facts.get("institution")
    for binding in telling.state.settings.bindings:
        if facts.get("binding") == binding.id or name == binding.institution:
            name = binding.name or binding.institution
    said["institution"] = telling.name(name) or wording.UNKNOWN
    return "opened" if facts.get("now") == "open" else ""


def _card(telling: Telling, said: Said) -> str:
    try:
        after = json.loads(str(telling.facts.get("new", "")))
        word = after["status"]
    except (ValueError, TypeError, KeyError):
        word = "other"
    said["status"] = telling.say_one_of("status", word, "other")
    return ""


def _contact(telling: Telling, said: Said) -> str:
    return ""


def _for_operators(telling: Telling, said: Said) -> str:
    facts = telling.facts
    controls = facts.get("controls")
    known = controls if isinstance(controls, list) else []
    names = [telling.control(control) or str(control) for control in known]
    said["controls"] = ", ".join(names) or wording.UNKNOWN
    for name in ("reference", "challenge"):
        said[name] = wording.reference_of(facts.get(name)) or wording.UNKNOWN
    said["first_version"] = str(facts.get("first_version", wording.UNKNOWN))
    return ""


def tell_contact(telling: Telling, said: Said) -> str:
    """What a trusted contact is told: the sentence of `contact.…`; never an amount or merchant."""
    facts = telling.facts
    match telling.row.event.kind:
        case EventKind.STOP_PLACED:
            return "stop_placed.denied" if facts.get("source") == "challenge" else "stop_placed"
        case EventKind.STOP_LIFTED:
            return "stop_lifted"
        case EventKind.CONTACT_CHANGED:
            return "contact_changed"
        case EventKind.PERMISSION_GRANTED:
            word = _permission_word(telling, _permission_of(telling))
            said["what"] = telling.say("contact.what.permission", {"permission": word})
        case EventKind.BINDING_SWITCHED:
            said["what"] = telling.say("contact.what.binding")
        case _:
            said["what"] = telling.control(facts.get("control")) or wording.UNKNOWN
    if telling.row.event.kind is EventKind.LOOSENING_PENDING:
        said["available"] = telling.time(facts.get("available_ms"))
        return "loosening_pending"
    return "loosened"


TELLERS: Final[Mapping[EventKind, Teller]] = {
    EventKind.TRANSACTION_DECLINED: _declined,
    EventKind.CHALLENGE_CREATED: _asked,
    EventKind.CHALLENGE_ANSWERED: _answered,
    EventKind.BALANCE_INQUIRED: _inquired,
    EventKind.BALANCE_CHANGED: _balance,
    EventKind.CONTROL_UPDATED: _control,
    EventKind.LOOSENING_PENDING: _waiting,
    EventKind.LOOSENING_CANCELLED: _waiting,
    EventKind.LOOSENING_TOOK_EFFECT: _waiting,
    EventKind.STOP_PLACED: _stop,
    EventKind.STOP_LIFTED: _stop,
    EventKind.PERMISSION_GRANTED: _permission,
    EventKind.PERMISSION_REVOKED: _permission,
    EventKind.PERMISSION_USED: _permission,
    EventKind.CONFLICT_SEEN: _payment,
    EventKind.ADVICE_BYPASSED_CONTROL: _payment,
    EventKind.LIMIT_NEARLY_REACHED: _limit,
    EventKind.BINDING_CREATED: _binding,
    EventKind.BINDING_REMOVED: _binding,
    EventKind.BINDING_SWITCHED: _binding,
    EventKind.CARD_UPDATED: _card,
    EventKind.CONTACT_CHANGED: _contact,
    EventKind.CASE_OPENED: _for_operators,
    EventKind.RULE_FAILED: _for_operators,
    EventKind.CHALLENGE_EXPIRED: _unanswered,
    EventKind.CHALLENGE_UNDELIVERABLE: _for_operators,
    EventKind.TRANSACTION_REVERSED: _reversed,
}
#: What operators are told, in their chat.
tell_operators: Final = _for_operators
