"""Bindings and postings over HTTP."""

from __future__ import annotations

from typing import Any

from tests.gateways.http.house import OTHER_PAN, PAN, World

INSTITUTION = "48212200"


def bind(world: World, card: str, **body: object) -> dict[str, Any]:
    """What is decided about a link."""
    sent = {"card": card, "institution": INSTITUTION, "name": "通联支付", **body}
    answer = world.issuer.post("/v1/bindings", sent)
    assert answer.status_code == 200, answer.text
    decided: dict[str, Any] = answer.json()
    return decided


def debit(world: World, card: str) -> dict[str, Any]:
    """A quick-pay debit of the institution."""
    return world.decision(
        card, channel="quick_pay", medium="credential_on_file", institution=INSTITUTION
    )


def test_a_link_is_decided_listed_switched_and_removed(world: World) -> None:
    """Closing tightens, opening loosens, and what is unlinked is refused until it asks again."""
    holder = world.cardholder()
    card = world.card(cardholder=holder)
    own = world.client("cardholder", holder)
    decided = bind(world, card)
    assert (decided["decision"], decided["response_code"]) == ("approve", "00")
    link = decided["binding"]
    assert link.startswith("bind_")
    assert bind(world, card)["binding"] == link
    for path in (f"?card={card}", f"?cardholder={holder}"):
        rows = world.issuer.get(f"/v1/bindings{path}").json()["data"]
        assert [row["id"] for row in rows] == [link]
    (row,) = own.get("/v1/bindings").json()["data"]
    assert (row["institution"], row["name"], row["open"], row["licensed"]) == (
        INSTITUTION,
        "通联支付",
        True,
        True,
    )
    assert debit(world, card)["decision"] == "approve"
    closed = own.patch(f"/v1/bindings/{link}", {"open": False})
    assert closed.json()["open"] is False
    assert debit(world, card)["reasons"][0]["code"] == "institution_blocked"
    opened = own.patch(f"/v1/bindings/{link}", {"open": True})
    assert opened.json()["code"] == "strong_authentication_required"
    assert world.strong.patch(f"/v1/bindings/{link}", {"open": True}).json()["open"] is True
    removed = own.delete(f"/v1/bindings/{link}")
    assert (removed.status_code, removed.json()["deleted"]) == (200, True)
    assert own.get(f"/v1/bindings/{link}").json()["code"] == "binding_not_found"
    assert own.delete(f"/v1/bindings/{link}").json()["code"] == "binding_not_found"
    assert own.get("/v1/bindings").json()["data"] == []
    assert debit(world, card)["decision"] == "decline"


def test_the_online_lock_refuses_new_links(world: World) -> None:
    """A decline is 200, with its reason and without a link."""
    card = world.card()
    world.issuer.set(card, "online_lock")
    decided = bind(world, card)
    assert decided["decision"] == "decline"
    assert decided["reasons"][0]["code"] == "online_lock_active"
    assert decided["binding"] is None


def test_an_institution_may_be_named_in_chinese(world: World) -> None:
    """The issuer's own name for it is as good as its number."""
    card = world.card()
    link = bind(world, card, institution="支付宝")["binding"]
    assert world.issuer.get(f"/v1/bindings/{link}").json()["institution"] == "支付宝"
    debited = world.decision(card, channel="quick_pay", institution="支付宝")
    assert debited["decision"] == "approve"


def test_an_unknown_link_is_not_found(world: World) -> None:
    """Also another card's id with this prefix."""
    for name in ("bind_x", "bind_" + "0" * 34):
        assert world.issuer.get(f"/v1/bindings/{name}").json()["code"] == "binding_not_found"
        assert world.issuer.patch(f"/v1/bindings/{name}", {"open": False}).status_code == 404


def test_a_posting_is_told_from_its_threshold_on(world: World) -> None:
    """At or above it; with direction, amount and balance."""
    holder = world.cardholder()
    card = world.card(PAN, cardholder=holder)
    world.card(OTHER_PAN, cardholder=holder)
    world.issuer.set(card, "balance_change_alert", {"threshold": 400_000})
    posted = []
    for amount in (-399_999, -400_000, 15_068_041):
        body = {
            "card": card,
            "amount": amount,
            "balance": 4_301,
            "business": "银联消费",
            "counterparty_tail": "1001",
            "reference": f"R{amount}",
        }
        answer = world.issuer.post("/v1/postings", body, Idempotency_Key=f"p{amount}")
        assert answer.status_code == 200, answer.text
        again = world.issuer.post("/v1/postings", body, Idempotency_Key=f"p{amount}")
        assert again.content == answer.content
        posted.append(answer.json())
    alerts = world.issuer.get(f"/v1/alerts?card={card}&type=balance_changed").json()["data"]
    told = [(a["data"]["direction"], a["data"]["amount"], a["data"]["balance"]) for a in alerts]
    assert told == [("in", 15_068_041, 4_301), ("out", 400_000, 4_301)]
    listed = world.issuer.get(f"/v1/postings?card={card}").json()["data"]
    assert listed == posted[::-1]
    own = world.client("cardholder", holder)
    assert own.get("/v1/postings").json()["data"] == listed
    assert own.get(f"/v1/postings/{posted[0]['id']}").json() == posted[0]
    assert world.issuer.get("/v1/postings/post_x").json()["code"] == "posting_not_found"


def test_a_posting_may_name_its_direction(memory: World) -> None:
    """Without a sign and with a word, as many core banks write it; what it was may be left out."""
    card = memory.card()
    for direction, amount in (("in", 7), ("credit", 7), ("out", -7), ("debit", -7)):
        body = {"card": card, "amount": 7, "direction": direction}
        posted = memory.issuer.post("/v1/postings", body).json()
        assert (posted["amount"], posted["business"]) == (amount, None)


def test_a_posting_that_says_nothing_sensible_is_refused(memory: World) -> None:
    """Zero, another currency, a whole account number in the place of a tail."""
    card = memory.card()
    for change, status, code in (
        ({"amount": 0}, 422, "zero"),
        ({"currency": "USD"}, 422, "other_currency"),
        ({"amount": 1.5}, 400, "wrong_type"),
        ({"amount": -5, "direction": "out"}, 422, "too_small"),
        ({"counterparty_tail": "6222021234"}, 422, "bad_format"),
    ):
        body = {"card": card, "amount": 1, "business": "x", **change}
        answer = memory.issuer.post("/v1/postings", body)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)
