"""Authorizations over HTTP: decisions, repeats, follow-ups, explanations."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.gateways.http.house import OTHER_PAN, PAN, World

from zhiwei.core.ids import card_key_of, entry_id

TRACE = {
    "transmitted_at": "2025-11-24T04:00:00Z",
    "stan": "000123",
    "acquirer": "04184930",
    "terminal": "T0000001",
    "rrn": "532804000123",
}


def test_an_approval_has_the_body_of_the_contract(world: World) -> None:
    """Every member of the contract is there, and no other."""
    card = world.card()
    answer = world.ask(card)
    assert answer.status_code == 200
    decided = answer.json()
    assert list(decided) == [
        "object",
        "id",
        "decision",
        "response_code",
        "reasons",
        "challenge",
        "authorization_code",
        "limits",
        "duplicate_of",
        "card",
        "decided_at",
        "policy_version",
    ]
    assert decided["object"] == "authorization"
    assert re.fullmatch(r"auth_[0-9a-v]{34}", decided["id"])
    assert decided["decision"] == "approve"
    assert decided["response_code"] == "00"
    assert decided["reasons"] == []
    assert decided["challenge"] is None
    assert re.fullmatch(r"\d{6}", decided["authorization_code"])
    assert decided["duplicate_of"] is None
    assert decided["card"] == card
    assert decided["decided_at"] == "2025-11-24T04:00:00.000Z"
    assert decided["policy_version"] == "default-2"


def test_a_decline_is_an_answer_with_its_reasons(world: World) -> None:
    """200, the code of the network, sentences in two languages, and what can be done."""
    card = world.card()
    world.issuer.set(card, "night_lock")
    world.at("2025-11-24T15:00:00.000Z")
    declined = world.decision(card)
    assert declined["decision"] == "decline"
    assert declined["response_code"] == "62"
    assert declined["authorization_code"] is None
    (reason,) = declined["reasons"]
    assert reason["code"] == "night_lock_active"
    assert reason["control"] == "night_lock"
    assert reason["remedy"] == "exception"
    assert set(reason["message"]) == {"zh", "en"}
    assert "夜间锁" in reason["message"]["zh"]


def test_the_night_begins_and_ends_to_the_millisecond(world: World) -> None:
    """22:59:59.999 passes, 23:00 does not, 05:00 passes; Shanghai is eight hours ahead."""
    card = world.card()
    world.issuer.set(card, "night_lock")
    for instant, decision in (
        ("2025-11-24T14:59:59.999Z", "approve"),
        ("2025-11-24T15:00:00.000Z", "decline"),
        ("2025-11-24T20:59:59.999Z", "decline"),
        ("2025-11-24T21:00:00.000Z", "approve"),
    ):
        world.at(instant)
        assert world.decision(card)["decision"] == decision, instant


def test_all_reasons_are_told_and_the_first_one_first(world: World) -> None:
    """Night and region both refuse; the order is that of precedence, whatever was set first."""
    card = world.card()
    world.issuer.set(card, "night_lock")
    world.issuer.set(card, "region_lock", {"regions": ["11"]})
    world.at("2025-11-24T16:00:00.000Z")
    codes = [reason["code"] for reason in world.decision(card)["reasons"]]
    assert codes == ["region_lock_active", "night_lock_active"]


@pytest.mark.parametrize("names_key", [False, True])
def test_a_repeat_gets_the_same_bytes_and_counts_once(world: World, names_key: bool) -> None:
    """By network identity or by Idempotency-Key; the header tells that it is a replay."""
    card = world.card()
    limits = {"items": [{"channel": "all", "measure": "count", "period": "day", "count": 1}]}
    world.issuer.set(card, "limits", limits)
    body: dict[str, object] = {"key": "k-1"} if names_key else dict(TRACE)
    first = world.ask(card, **body)
    world.clock.advance(5000)
    again = world.ask(card, **body)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert world.issuer.get(f"/v1/cards/{card}/limits").json()["data"][0]["used"] == 1
    assert world.decision(card)["reasons"][0]["code"] == "over_daily_count"


def test_a_repeat_of_a_question_gets_the_same_bytes_days_later(world: World) -> None:
    """The question is told again with its reference, although the file has forgotten it."""
    card = world.card()
    world.issuer.set(card, "large_spend_verification", {"threshold": 100})
    first = world.ask(card, **TRACE)
    assert first.json()["challenge"]["reference"]
    for days in (1, 3):
        world.clock.advance(days * 86_400_000)
        world.decision(card, amount=1)
        assert world.ask(card, **TRACE).content == first.content


def test_the_same_identity_with_another_body_is_a_conflict(world: World) -> None:
    """Declined with 94, and `duplicate_of` names the first."""
    card = world.card()
    first = world.decision(card, **TRACE)
    other = world.decision(card, **TRACE, amount=20_000)
    assert other["decision"] == "decline"
    assert other["response_code"] == "94"
    assert other["reasons"][0]["code"] == "same_identity_other_body"
    assert other["duplicate_of"] == first["id"]
    assert other["id"] != first["id"]
    told = world.issuer.get("/v1/events?type=conflict_seen").json()["data"]
    assert told[0]["data"]["first"] == first["id"]


def test_the_same_key_with_another_body_is_409(world: World) -> None:
    """The caller's own mistake is an error, not a decision."""
    card = world.card()
    world.ask(card, key="k-1")
    other = world.ask(card, key="k-1", amount=1)
    assert (other.status_code, other.json()["code"]) == (409, "same_key_other_body")
    assert world.ask(card, key="k-2", amount=1).status_code == 200


def test_a_number_does_as_well_as_an_id(world: World) -> None:
    """`pan` in the place of `card`, and never both or neither."""
    card = world.card()
    asked = {"kind": "purchase", "amount": 1, "currency": "CNY"}
    by_number = world.issuer.post("/v1/authorizations", {"pan": PAN, **asked})
    assert by_number.json()["card"] == card
    assert PAN not in by_number.text
    both = world.issuer.post("/v1/authorizations", {"pan": PAN, "card": card, **asked})
    neither = world.issuer.post("/v1/authorizations", asked)
    assert both.status_code == neither.status_code == 400


@pytest.mark.parametrize(
    ("change", "status", "pointer", "code"),
    [
        ({"amount": 1.0}, 400, "/amount", "wrong_type"),
        ({"amount": "100"}, 400, "/amount", "wrong_type"),
        ({"amount": True}, 400, "/amount", "wrong_type"),
        ({"amount": None}, 400, "/amount", "missing"),
        ({"currency": None}, 400, "/currency", "missing"),
        ({"amount": -1}, 422, "/amount", "too_small"),
        ({"amount": 10**15 + 1}, 422, "/amount", "too_large"),
        ({"currency": "ZZZ"}, 422, "/currency", "unknown_currency"),
        ({"kind": "gift"}, 422, "/kind", "unknown_value"),
        ({"kind": 1}, 400, "/kind", "unknown_value"),
        ({"channel": "fax"}, 422, "/channel", "unknown_value"),
        ({"medium": "stone"}, 422, "/medium", "unknown_value"),
        ({"billing_amount": 5}, 400, "/billing_currency", "missing"),
        ({"merchant": {"country": "ATL"}}, 422, "/merchant/country", "unknown_country"),
        ({"merchant": {"region": "77"}}, 422, "/merchant/region", "unknown_region"),
        (
            {"merchant": {"country": "JPN", "region": "44"}},
            422,
            "/merchant/region",
            "region_abroad",
        ),
        ({"merchant": {"mcc": "54"}}, 422, "/merchant/mcc", "bad_format"),
        ({"merchant": {"colour": 1}}, 400, "/merchant/colour", "unknown_field"),
        ({"merchant": []}, 400, "/merchant", "wrong_type"),
        ({"transmitted_at": "yesterday"}, 422, "/transmitted_at", "bad_time"),
        ({"initiated_by": "robot"}, 422, "/initiated_by", "bad_format"),
        ({"tip": 1}, 400, "/tip", "unknown_field"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_with_its_place(
    memory: World, change: dict[str, Any], status: int, pointer: str, code: str
) -> None:
    """Malformed is 400, not allowed is 422; nothing is decided."""
    card = memory.card()
    answer = memory.ask(card, **change)
    assert answer.status_code == status, answer.text
    assert (pointer, code) in [(f["pointer"], f["code"]) for f in answer.json()["errors"]]
    assert memory.issuer.get(f"/v1/authorizations?card={card}").json()["data"] == []


def test_a_balance_inquiry_needs_no_amount(world: World) -> None:
    """It asks for nothing, and is told to who wants it."""
    card = world.card()
    world.issuer.set(card, "balance_inquiry_alert")
    asked = world.decision(card, kind="balance_inquiry", channel="atm", amount=None, currency=None)
    assert asked["decision"] == "approve"
    alerts = world.issuer.get(f"/v1/alerts?card={card}&type=balance_inquired").json()["data"]
    assert len(alerts) == 1
    assert alerts[0]["may_be_muted"] is False
    assert alerts[0]["status"] == "queued"


def test_an_authorization_is_read_with_what_was_asked_and_where_it_stands(world: World) -> None:
    """The decision as it was, the request as it was told, and the state of now."""
    card = world.card()
    decided = world.decision(card, **TRACE)
    path = f"/v1/authorizations/{decided['id']}"
    shown = world.issuer.get(path).json()
    assert {name: shown[name] for name in decided} == decided
    assert shown["status"] == "approved"
    assert shown["merchant"]["region"] == "44"
    assert shown["transmitted_at"] == "2025-11-24T04:00:00.000Z"
    assert shown["approved_amount"] == 10_000
    world.issuer.post(f"{path}/reversals")
    after = world.issuer.get(path).json()
    assert (after["status"], after["approved_amount"]) == ("reversed", 0)


@pytest.mark.parametrize(
    "name", ["auth_x", "auth_" + "0" * 34, "card_" + "0" * 26, "auth_" + "v" * 34]
)
def test_an_unknown_authorization_is_not_found(world: World, name: str) -> None:
    """In every call that names one."""
    path = f"/v1/authorizations/{name}"
    for answer in (
        world.issuer.get(path),
        world.issuer.get(f"{path}/evaluations"),
        world.issuer.post(f"{path}/reversals"),
        world.issuer.post(f"{path}/increments", {"amount": 1}),
        world.issuer.post(f"{path}/completions", {"amount": 1}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "authorization_not_found")


def test_what_is_not_a_card_message_is_no_authorization(world: World) -> None:
    """The journal's other entries cannot be read as decisions."""
    card_key = card_key_of(world.card())
    assert card_key is not None
    registration = entry_id("auth", card_key, 1)
    assert world.issuer.get(f"/v1/authorizations/{registration}").status_code == 404


def test_evaluations_show_every_control_that_was_asked(world: World) -> None:
    """What each found, with its numbers; those that were not set were not asked."""
    card = world.card()
    world.issuer.set(card, "region_lock", {"regions": ["11"]})
    world.issuer.set(card, "night_lock")
    declined = world.decision(card)
    rows = world.issuer.get(f"/v1/authorizations/{declined['id']}/evaluations").json()["data"]
    by_control = {row["control"]: row for row in rows}
    assert rows[0]["control"] == "region_lock"
    assert by_control["region_lock"]["result"] == "decline"
    assert by_control["region_lock"]["facts"]["region"] == "44"
    assert by_control["night_lock"]["result"] == "approve"
    assert by_control["card_status"]["result"] == "approve"
    assert "overseas_lock" not in by_control


def test_a_reversal_gives_back_once(world: World) -> None:
    """Amount and count return; a second reversal is accepted and gives nothing."""
    card = world.card()
    items = [
        {"channel": "all", "measure": "amount", "period": "day", "amount": 10_000},
        {"channel": "all", "measure": "count", "period": "day", "count": 1},
    ]
    world.issuer.set(card, "limits", {"items": items})
    path = f"/v1/authorizations/{world.decision(card)['id']}"
    assert world.decision(card)["response_code"] in ("61", "65")
    reversed_ = world.issuer.post(f"{path}/reversals", {})
    assert reversed_.status_code == 200
    document = reversed_.json()
    assert document["object"] == "reversal"
    assert document["authorization"] == path.rpartition("/")[2]
    assert (document["approved_amount"], document["took_effect"]) == (0, True)
    assert all(r["used"] == 0 for r in world.issuer.get(f"/v1/cards/{card}/limits").json()["data"])
    world.decision(card)
    second = world.issuer.post(f"{path}/reversals").json()
    assert (second["decision"], second["took_effect"]) == ("approve", False)
    named = world.issuer.post(f"{path}/reversals", {"amount": 10_000}).json()
    assert named["took_effect"] is False
    assert world.decision(card)["decision"] == "decline"


def test_partial_reversals_leave_what_stands(world: World) -> None:
    """By what is taken back, or by what is to stand; repeats give nothing more."""
    card = world.card()
    items = [{"channel": "all", "measure": "amount", "period": "day", "amount": 90_000}]
    world.issuer.set(card, "limits", {"items": items})
    path = f"/v1/authorizations/{world.decision(card, amount=10_000)['id']}/reversals"

    def used() -> int:
        return int(world.issuer.get(f"/v1/cards/{card}/limits").json()["data"][0]["used"])

    part = world.issuer.post(path, {"amount": 7_000}, Idempotency_Key="r1")
    assert (part.json()["approved_amount"], used()) == (3_000, 3_000)
    again = world.issuer.post(path, {"amount": 7_000}, Idempotency_Key="r1")
    assert (again.content, used()) == (part.content, 3_000)
    too_much = world.issuer.post(path, {"amount": 3_001})
    assert (too_much.status_code, too_much.json()["errors"][0]["code"]) == (422, "too_much")
    other_key = world.issuer.post(path, {"amount": 3_001}, Idempotency_Key="r2").json()
    assert (other_key["took_effect"], used()) == (False, 3_000)
    stands = world.issuer.post(path, {"replacement_amount": 1_000}).json()
    assert (stands["approved_amount"], used()) == (1_000, 1_000)
    both = world.issuer.post(path, {"amount": 1, "replacement_amount": 1})
    assert both.status_code == 422
    assert world.issuer.post(path).json()["approved_amount"] == 0
    assert used() == 0


def test_a_foreign_authorization_is_reversed_in_its_own_currency(world: World) -> None:
    """100.00 USD billed as 720.01 CNY: half of it gives half back, and no fen more."""
    card = world.card()
    asked = {"amount": 10_000, "currency": "USD", "billing_amount": 72_001}
    held = world.decision(card, **asked, billing_currency="CNY", kind="preauthorization")
    path = f"/v1/authorizations/{held['id']}"
    half = world.issuer.post(f"{path}/reversals", {"amount": 5_000}).json()
    assert (half["approved_amount"], half["amount"]) == (36_001, 5_000)
    more = world.issuer.post(f"{path}/increments", {"amount": 1_000}).json()
    assert more["approved_amount"] == 36_001 + 7_201
    rest = world.issuer.post(f"{path}/reversals").json()
    assert (rest["approved_amount"], rest["took_effect"]) == (0, True)


def test_a_follow_up_of_a_follow_up_is_about_the_same_authorization(world: World) -> None:
    """The id of an increment names its group as well."""
    card = world.card()
    held = world.decision(card, kind="preauthorization")
    path = "/v1/authorizations"
    more = world.issuer.post(f"{path}/{held['id']}/increments", {"amount": 5}).json()
    back = world.issuer.post(f"{path}/{more['id']}/reversals").json()
    assert (back["authorization"], back["approved_amount"]) == (held["id"], 0)
    assert world.issuer.get(f"{path}/{held['id']}").json()["status"] == "reversed"


def test_a_reversal_may_have_an_identity_of_its_own(world: World) -> None:
    """The same reversal sent again is the same reversal."""
    card = world.card()
    path = f"/v1/authorizations/{world.decision(card)['id']}/reversals"
    body = {**TRACE, "stan": "000777", "amount": 4_000}
    first = world.issuer.post(path, body)
    again = world.issuer.post(path, body)
    assert first.json()["approved_amount"] == 6_000
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"


def test_an_increment_counts_its_difference(world: World) -> None:
    """More on an approved authorization; past the limit it is declined and nothing moves."""
    card = world.card()
    items = [{"channel": "all", "measure": "amount", "period": "day", "amount": 15_000}]
    world.issuer.set(card, "limits", {"items": items})
    path = f"/v1/authorizations/{world.decision(card, kind='preauthorization')['id']}"
    more = world.issuer.post(f"{path}/increments", {"amount": 5_000}).json()
    assert (more["object"], more["decision"]) == ("increment", "approve")
    assert more["approved_amount"] == 15_000
    beyond = world.issuer.post(f"{path}/increments", {"amount": 1}).json()
    assert (beyond["decision"], beyond["response_code"]) == ("decline", "61")
    assert world.issuer.get(path).json()["approved_amount"] == 15_000
    other = world.issuer.post(f"{path}/increments", {"amount": 1, "currency": "USD"})
    assert other.json()["errors"][0]["code"] == "other_currency"


def test_an_increment_of_what_was_declined_is_declined(world: World) -> None:
    """There is nothing to add to."""
    card = world.card()
    world.issuer.set(card, "card_lock")
    path = f"/v1/authorizations/{world.decision(card)['id']}/increments"
    assert world.issuer.post(path, {"amount": 1}).json()["decision"] == "decline"


def test_a_completion_takes_what_was_really_spent(world: World) -> None:
    """Less gives back; the night lock does not touch a completion of an earlier hold."""
    card = world.card()
    items = [{"channel": "all", "measure": "amount", "period": "day", "amount": 10_000}]
    world.issuer.set(card, "limits", {"items": items})
    held = world.decision(card, kind="preauthorization")
    path = f"/v1/authorizations/{held['id']}"
    world.issuer.set(card, "night_lock", {"start": "00:00", "end": "24:00"})
    done = world.issuer.post(f"{path}/completions", {"amount": 6_000}).json()
    assert (done["decision"], done["approved_amount"]) == ("approve", 6_000)
    shown = world.issuer.get(path).json()
    assert (shown["status"], shown["approved_amount"]) == ("completed", 6_000)
    assert world.issuer.get(f"/v1/cards/{card}/limits").json()["data"][0]["used"] == 6_000
    follow = world.issuer.get(f"/v1/authorizations/{done['id']}").json()
    assert follow["kind"] == "completion"


def test_a_void_names_its_original(world: World) -> None:
    """`original` is an authorization of the same card."""
    card = world.card()
    other = world.card(OTHER_PAN)
    first = world.decision(card)
    voided = world.decision(card, kind="void", original=first["id"])
    assert voided["decision"] == "approve"
    assert world.issuer.get(f"/v1/authorizations/{first['id']}").json()["status"] == "voided"
    foreign = world.ask(other, kind="void", original=first["id"])
    assert (foreign.status_code, foreign.json()["code"]) == (404, "original_not_found")


def test_an_advice_is_booked_past_a_lock_and_never_refused(world: World) -> None:
    """Its reasons tell what it went past."""
    card = world.card()
    world.issuer.set(card, "card_lock")
    body = {"card": card, "kind": "purchase", "channel": "pos", "amount": 5, "currency": "CNY"}
    advised = world.issuer.post("/v1/advices", body, Idempotency_Key="a")
    assert advised.status_code == 200
    document = advised.json()
    assert (document["object"], document["decision"]) == ("advice", "approve")
    assert document["reasons"][0]["code"] == "card_lock_active"
    again = world.issuer.post("/v1/advices", body, Idempotency_Key="a")
    assert again.content == advised.content
    listed = world.issuer.get(f"/v1/advices?card={card}").json()["data"]
    assert [row["id"] for row in listed] == [document["id"]]
    assert world.issuer.get(f"/v1/authorizations?card={card}").json()["data"] == []


def test_an_advice_of_a_decline_moves_nothing(world: World) -> None:
    """What was declined elsewhere is recorded, and no counter moves."""
    card = world.card()
    items = [{"channel": "all", "measure": "count", "period": "day", "count": 9}]
    world.issuer.set(card, "limits", {"items": items})
    body = {"card": card, "kind": "purchase", "channel": "pos", "amount": 5, "currency": "CNY"}
    for decision, used in (("decline", 0), ("approve", 1)):
        world.issuer.post("/v1/advices", {**body, "decision": decision})
        rows = world.issuer.get(f"/v1/cards/{card}/limits").json()["data"]
        assert rows[0]["used"] == used


def test_a_foreign_amount_is_judged_by_its_billing_amount(world: World) -> None:
    """Limits use what the cardholder is billed."""
    card = world.card()
    items = [{"channel": "all", "measure": "amount", "period": "day", "amount": 1_000}]
    world.issuer.set(card, "limits", {"items": items})
    asked = {"amount": 500, "currency": "USD", "billing_amount": 3_600, "billing_currency": "CNY"}
    declined = world.decision(card, **asked)
    assert declined["reasons"][0]["code"] == "over_daily_limit"
    assert "CNY 10.00" in declined["reasons"][0]["message"]["en"]


def test_a_balance_tells_the_holder_and_the_posting_of_the_same_is_silent(world: World) -> None:
    """By RRN or by id, there and back; the reversal names what it takes back."""
    card = world.card()
    world.issuer.set(card, "balance_change_alert", {"threshold": 10_000})
    first = world.decision(card, balance=90_000, **TRACE)
    second = world.decision(card, balance=80_000)
    reversal = {"amount": 4_000}
    world.issuer.post(f"/v1/authorizations/{second['id']}/reversals", reversal)
    for posting in (
        {"amount": -10_000, "reference": TRACE["rrn"]},
        {"amount": -10_000, "reference": second["id"]},
        {"amount": 4_000, "reference": "B1", "reverses": second["id"]},
        {"amount": -10_000, "reference": "another"},
    ):
        answer = world.issuer.post("/v1/postings", {"card": card, "business": "x", **posting})
        assert answer.status_code == 200, answer.text
    events = world.issuer.get(f"/v1/events?card={card}&limit=20").json()["data"]
    told = [event["data"] for event in reversed(events) if event["type"] == "balance_changed"]
    assert [(facts["direction"], facts["amount"]) for facts in told] == [
        ("out", 10_000),
        ("out", 10_000),
        ("in", 4_000),
        ("out", 10_000),
    ]
    assert told[0]["reference"] == TRACE["rrn"]
    assert told[2]["reverses"] == second["id"]
    assert told[3]["reference"] == "another"
    assert first["decision"] == second["decision"] == "approve"
