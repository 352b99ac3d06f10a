"""An actor that is never strong, as a trusted contact is: it tightens, and loosens nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.histories import HOLDER, POLICY, History
from tests.core.strategies import KEY, OF_TYPE
from tests.guardian.test_bounds import a_card, sent

from zhiwei.core.card_state import ChallengeState, Permission, PermissionKind, StopSource
from zhiwei.core.command import (
    Actor,
    AnswerChallenge,
    Change,
    Command,
    GrantPermission,
    LiftStop,
    PlaceStop,
    RemoveControl,
    SetControl,
    SwitchBinding,
    UpdateCard,
    Via,
)
from zhiwei.core.controls import Control, LargeSpendVerification
from zhiwei.core.finding import Outcome
from zhiwei.core.request import Channel, Kind
from zhiwei.core.result import Rejection, Result
from zhiwei.guardian import HOUSE_RULES, guardian_under
from zhiwei.testing.scenario.play import finished

#: A trusted contact on the page, and the same by text message.
CONTACT = Actor("contact_1", Via.APP)
BY_TEXT = Actor("contact_1", Via.SMS)


def done_by(actor: Actor, card: History, change: Change) -> Result:
    """What a change comes to."""
    command = Command(KEY, change=change, actor=actor, nonce=bytes(8))
    step = guardian_under(POLICY).step
    return finished(card.store.transact([command], step, card.now_ms))[0]


@pytest.mark.parametrize("control_type", sorted(OF_TYPE))
@given(data=st.data())
def test_every_loosening_of_every_control_is_rejected(
    control_type: str, data: st.DataObject
) -> None:
    """Set to a looser form or taken away; what tightens is done, in the contact's name."""
    setting = st.none() | OF_TYPE[control_type]
    old: Control | None = data.draw(setting)
    new: Control | None = data.draw(setting)
    card = a_card()
    if old is not None:
        assert done_by(HOLDER, card, SetControl(control_type, old)).rejection is None
    before = card.state
    if new is None and old is None:
        return
    change = RemoveControl(control_type) if new is None else SetControl(control_type, new)
    loosens = old != new and HOUSE_RULES.loosens[control_type](old, new)
    result = done_by(CONTACT, card, change)
    if loosens:
        assert result.rejection is Rejection.STRONG_AUTHENTICATION_REQUIRED
        assert done_by(BY_TEXT, card, change).rejection is Rejection.NOT_BY_SMS
        assert card.state == before
        return
    assert result.rejection is None
    assert card.state.settings.controls.of_type(control_type) == new
    if old != new:
        (row,) = card.store.audits(card_key=KEY, limit=1)
        assert row.actor == CONTACT


def test_the_loosest_form_of_every_control_is_no_control() -> None:
    """So the test above meets a loosening of each type: taking it away, which is never let pass."""
    assert set(OF_TYPE) == set(HOUSE_RULES.loosens)


@pytest.mark.parametrize("actor", [CONTACT, BY_TEXT])
def test_a_stop_is_placed_in_the_contact_s_name_and_not_lifted(actor: Actor) -> None:
    """The audit trail says who stopped it; the one who did cannot take it back."""
    card = a_card()
    assert done_by(actor, card, PlaceStop(StopSource.CONTACT)).rejection is None
    (row,) = card.store.audits(card_key=KEY, limit=1)
    assert (row.actor, row.audit.action, row.audit.new) == (actor, "stop.placed", "contact")
    refused = done_by(actor, card, LiftStop()).rejection
    assert refused in (Rejection.STRONG_AUTHENTICATION_REQUIRED, Rejection.NOT_BY_SMS)
    assert card.state.settings.stop is not None
    assert card.state.settings.stop.source is StopSource.CONTACT


@pytest.mark.parametrize("actor", [CONTACT, BY_TEXT])
def test_nothing_is_let_through_for_a_while(actor: Actor) -> None:
    """Neither an exception nor a travel plan."""
    card = a_card()
    for kind in (PermissionKind.TEMPORARY, PermissionKind.TRAVEL):
        wish = Permission("", kind, 0, card.now_ms + 3_600_000)
        assert done_by(actor, card, GrantPermission(wish)).rejection is not None
    assert card.state.settings.permissions == ()


def test_a_question_is_answered_with_no_at_most() -> None:
    """A "yes" is a loosening; a "no" stops the card."""
    card = a_card()
    done_by(HOLDER, card, SetControl("large_spend_verification", LargeSpendVerification(50)))
    assert sent(card, amount=100).entry is not None
    (question,) = card.state.settings.challenges
    yes = done_by(CONTACT, card, AnswerChallenge(question.id, is_yes=True))
    assert yes.rejection is Rejection.STRONG_AUTHENTICATION_REQUIRED
    assert done_by(CONTACT, card, AnswerChallenge(question.id, is_yes=False)).rejection is None
    assert card.state.settings.challenges[0].state is ChallengeState.DENIED
    assert card.state.settings.stop is not None


def test_a_binding_is_closed_and_not_opened() -> None:
    """Opening the debits of a payment institution is a loosening."""
    card = a_card()
    bound = sent(card, Kind.BINDING, 0, channel=Channel.QUICK_PAY, merchant_id="Z1")
    assert bound.entry is not None
    assert bound.entry.outcome is Outcome.APPROVE
    (binding,) = card.state.settings.bindings
    assert done_by(CONTACT, card, SwitchBinding(binding.id, is_open=False)).rejection is None
    opened = done_by(CONTACT, card, SwitchBinding(binding.id, is_open=True))
    assert opened.rejection is Rejection.STRONG_AUTHENTICATION_REQUIRED


def test_what_only_the_issuer_says_a_contact_does_not() -> None:
    """The card's status is none of theirs."""
    result = done_by(CONTACT, a_card(), UpdateCard(has_chip=False))
    assert result.rejection is Rejection.STAFF_ONLY
