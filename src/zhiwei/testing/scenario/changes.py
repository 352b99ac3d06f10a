"""Changes in a scenario: what cardholders, operators and text messages want of a card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from zhiwei.core.card_state import Permission, PermissionKind, StopSource
from zhiwei.core.command import (
    Actor,
    AnswerChallenge,
    CancelPending,
    Change,
    GrantPermission,
    LiftStop,
    MarkUndeliverable,
    PlaceStop,
    Post,
    RemoveBinding,
    RemoveControl,
    RevokePermission,
    SetControl,
    SwitchBinding,
    UpdateCard,
    Via,
)
from zhiwei.core.documents import etag
from zhiwei.core.ids import entry_id
from zhiwei.testing.scenario import settings
from zhiwei.testing.scenario.lines import Words
from zhiwei.testing.scenario.looks import View

_HOLDER: Final = Actor("cardholder", Via.APP, is_strong=True)
_STAFF: Final = Actor("operator", Via.CONSOLE, is_strong=True, is_staff=True)


@dataclass
class Wanted:
    """A change and who wants it."""

    change: Change
    actor: Actor = _HOLDER
    label: str = ""


@dataclass(frozen=True)
class Context:
    """Where a change is read."""

    view: View
    zone: str
    currency: str


def read_change(verb: str, words: Words, view: View, zone: str, currency: str) -> Wanted:
    """The change that a verb says; `weak`, `by sms`, `by staff` and `as x` may follow."""
    wanted = Wanted(CHANGES[verb](words, Context(view, zone, currency)))
    if verb in ("becomes", "has_new_contact", "gets_chip"):
        wanted.actor = _STAFF
    while words:
        word = words.take()
        if word == "weak":
            wanted.actor = replace(wanted.actor, is_strong=False)
        elif word == "as":
            wanted.label = words.take("a label")
        elif word == "by":
            who = words.take("sms, staff or holder")
            actors = {
                "sms": Actor("+8613800000000", Via.SMS),
                "staff": _STAFF,
                "holder": _HOLDER,
            }
            if who not in actors:
                raise words.line.error(f"`{who}` is not sms, staff or holder")
            wanted.actor = actors[who]
        else:
            raise words.line.error(f"`{word}` does not belong to a change")
    return wanted


def _sets(words: Words, context: Context) -> Change:
    """`sets night_lock 22:00-06:00 [if_unset | if_same]`."""
    control_type, control = settings.control(words.take("a control"), words, context.currency)
    old = context.view.state.settings.controls.of_type(control_type)
    if words.takes("if_unset"):
        return SetControl(control_type, control, if_none_match=True)
    if words.takes("if_same"):
        return SetControl(control_type, control, if_match="" if old is None else etag(old))
    if words.takes("if_other"):
        return SetControl(control_type, control, if_match='"another"')
    return SetControl(control_type, control)


def _removes(words: Words, context: Context) -> Change:
    """`removes night_lock`."""
    control_type = words.take("a control")
    return RemoveControl(control_type, '"another"' if words.takes("if_other") else "")


def _cancels(words: Words, context: Context) -> Change:
    """`cancels night_lock`: a loosening that waits."""
    return CancelPending(words.take("a control"))


def _stops(words: Words, context: Context) -> Change:
    """`stops [app | sms | issuer | kill_switch]`."""
    if words.peek().upper() in StopSource.__members__:
        return PlaceStop(StopSource[words.take().upper()])
    return PlaceStop(StopSource.APP)


def _lifts_stop(words: Words, context: Context) -> Change:
    """`lifts_stop [only kill_switch]`."""
    if words.takes("only"):
        return LiftStop(StopSource[words.take("a source").upper()])
    return LiftStop()


def _grants(words: Words, context: Context) -> Change:
    """`grants temporary until 2026-03-02 12:00 controls night_lock countries JPN total 500.00`."""
    kind = PermissionKind[words.take("temporary, travel or pass").upper()]
    now_ms = context.view.moment.now_ms
    fields: dict[str, Any] = {"from_ms": now_ms, "until_ms": now_ms}
    while words.peek() in _GRANTED:
        word = words.take()
        if word in ("from", "until"):
            fields[f"{word}_ms"] = words.instant_ms(context.zone, now_ms)
        elif word in ("each", "total"):
            name = "amount_max" if word == "each" else "total_max"
            fields[name] = words.amount(context.currency)
        elif word == "uses":
            fields["uses_left"] = words.number()
        elif word == "at":
            fields["merchant_id"] = words.take("a merchant")
        else:
            fields[word] = tuple(words.take(f"a list of {word}").split(","))
    return GrantPermission(Permission(id="", kind=kind, **fields))


def _revokes(words: Words, context: Context) -> Change:
    """`revokes trip`: the permission granted under a label."""
    return RevokePermission(_left(words, context, "id"))


def _answers(words: Words, context: Context) -> Change:
    """`answers p1 yes`: the question that a message left; by SMS it is named by its reference."""
    challenge = _left(words, context, "challenge")
    word = words.take("yes or no")
    if word not in ("yes", "no"):
        raise words.line.error(f"`{word}` is not yes or no")
    if "sms" in words.line.words:
        for known in context.view.state.settings.challenges:
            if known.id == challenge:
                challenge = known.reference
    return AnswerChallenge(challenge, word == "yes")


def _undeliverable(words: Words, context: Context) -> Change:
    """`undeliverable p1`: no message about its question arrived."""
    return MarkUndeliverable(_left(words, context, "challenge"))


def _switches(words: Words, context: Context) -> Change:
    """`switches ALIPAY off`: one payment institution."""
    binding_id = _binding(words, context)
    word = words.take("on or off")
    if word not in ("on", "off"):
        raise words.line.error(f"`{word}` is not on or off")
    return SwitchBinding(binding_id, word == "on")


def _unlinks(words: Words, context: Context) -> Change:
    """`unlinks ALIPAY`."""
    return RemoveBinding(_binding(words, context))


def _becomes(words: Words, context: Context) -> Change:
    """`becomes frozen`: what the issuer says of the card."""
    return UpdateCard(status=settings.status(words))


def _has_new_contact(words: Words, context: Context) -> Change:
    """`has_new_contact`: a device or number is new from now."""
    return UpdateCard(contact_is_new=True)


def _gets_chip(words: Words, context: Context) -> Change:
    """`gets_chip`: the card was replaced by one with a chip."""
    return UpdateCard(has_chip=True)


def _posts(words: Words, context: Context) -> Change:
    """`posts -100.00 balance 900.00 business 银联消费 reverses R1 reference R2`.

    `of p1` and `reverses_of p1` give the id of a message instead of a reference.
    """
    fields: dict[str, Any] = {"amount_minor": words.amount(context.currency)}
    fields |= {"balance_minor": None, "business": "消费"}
    while words.peek() in _POSTED:
        word = words.take()
        if word == "balance":
            fields["balance_minor"] = words.amount(context.currency)
        elif word in ("of", "reverses_of"):
            fields[_POSTED[word]] = _id_of(words, context.view)
        else:
            fields[_POSTED[word]] = words.take(f"a value after `{word}`")
    return Post(**fields)


_GRANTED: Final = frozenset(
    ("from", "until", "each", "total", "uses", "at", "controls", "countries", "regions")
)
_POSTED: Final = {
    "balance": "balance_minor",
    "business": "business",
    "reverses": "reverses",
    "reference": "reference",
    "from_tail": "counterparty_tail",
    "of": "reference",
    "reverses_of": "reverses",
}
#: Everything that somebody may want of a card, beside card messages.
CHANGES: Final[dict[str, Callable[[Words, Context], Change]]] = {
    "sets": _sets,
    "removes": _removes,
    "cancels": _cancels,
    "stops": _stops,
    "lifts_stop": _lifts_stop,
    "grants": _grants,
    "revokes": _revokes,
    "answers": _answers,
    "undeliverable": _undeliverable,
    "switches": _switches,
    "unlinks": _unlinks,
    "becomes": _becomes,
    "has_new_contact": _has_new_contact,
    "gets_chip": _gets_chip,
    "posts": _posts,
}


def _id_of(words: Words, view: View) -> str:
    """The id of the message that was sent under a label."""
    label = words.take("a label")
    if label not in view.sent:
        raise words.line.error(f"nothing was sent as `{label}`")
    return entry_id("auth", view.state.card_key, view.sent[label].version)


def _left(words: Words, context: Context, what: str) -> str:
    """The id of what the line of a label left; `-` names something that never was."""
    label = words.take("a label")
    if label == "-":
        return "nothing"
    sent = context.view.sent.get(label)
    if sent is None or what not in sent.left:
        raise words.line.error(f"`{label}` left no {what}")
    return sent.left[what]


def _binding(words: Words, context: Context) -> str:
    """Id of the newest link to an institution."""
    institution = words.take("an institution")
    for binding in reversed(context.view.state.settings.bindings):
        if binding.institution == institution:
            return binding.id
    return institution
