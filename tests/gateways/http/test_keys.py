"""Keys and scopes: who may make which call, and that nobody sees what is not theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from fastapi.routing import APIRoute
from tests.gateways.http.house import NOON, OTHER_PAN, PAN, Client, World, memory_world

from zhiwei.gateways.http.gate import SCOPES
from zhiwei.gateways.http.keys import (
    BadScopeError,
    hashed,
    key_named,
    new_key,
    scope_and_subject,
)

#: What each call allows, written down once more by hand: a route cannot change its scopes unseen.
#: `i` issuer, `o` operator, `c` cardholder.
ALLOWED = """
POST   /v1/cardholders                                        io
GET    /v1/cardholders                                        ioc
GET    /v1/cardholders/{cardholder}                           ioc
PATCH  /v1/cardholders/{cardholder}                           io
POST   /v1/cards                                              i
GET    /v1/cards                                              ioc
GET    /v1/cards/{card}                                       ioc
PATCH  /v1/cards/{card}                                       io
GET    /v1/cards/{card}/limits                                ioc
GET    /v1/cards/{card}/controls                              ioc
GET    /v1/cards/{card}/controls/{control_type}               ioc
DELETE /v1/cards/{card}/controls/{control_type}               ioc
DELETE /v1/cards/{card}/controls/{control_type}/pending       ioc
PUT    /v1/cards/{card}/controls/{control_type}               ioc
POST   /v1/cards/{card}/controls/{control_type}:preview       ioc
GET    /v1/control_types                                      ioc
GET    /v1/control_types/{control_type}                       ioc
POST   /v1/cards/{card}/stop                                  ioc
GET    /v1/cards/{card}/stop                                  ioc
DELETE /v1/cards/{card}/stop                                  ioc
POST   /v1/cardholders/{cardholder}/kill_switch               ioc
GET    /v1/cardholders/{cardholder}/kill_switch               ioc
DELETE /v1/cardholders/{cardholder}/kill_switch               ioc
GET    /v1/cardholders/{cardholder}/message_preferences       ioc
PUT    /v1/cardholders/{cardholder}/message_preferences       ioc
POST   /v1/cardholders/{cardholder}/trusted_contacts          ic
GET    /v1/cardholders/{cardholder}/trusted_contacts          ioc
DELETE /v1/cardholders/{cardholder}/trusted_contacts/{contact} ic
GET    /v1/policy io
GET    /v1/policy_changes io
POST   /v1/policy_changes io
GET    /v1/policy_changes/{change} io
POST   /v1/policy_changes/{change}/approve io
POST   /v1/policy_changes/{change}/reject io
POST   /v1/policy_changes/{change}/withdraw io
POST   /v1/cards/{card}/exceptions                            ioc
GET    /v1/cards/{card}/exceptions                            ioc
GET    /v1/cards/{card}/exceptions/{exception}                ioc
DELETE /v1/cards/{card}/exceptions/{exception}                ioc
POST   /v1/authorizations                                     i
GET    /v1/authorizations                                     ioc
GET    /v1/authorizations/{authorization}                     ioc
GET    /v1/authorizations/{authorization}/evaluations         ioc
POST   /v1/authorizations/{authorization}/reversals           i
POST   /v1/authorizations/{authorization}/increments          i
POST   /v1/authorizations/{authorization}/completions         i
POST   /v1/advices                                            i
GET    /v1/advices                                            ioc
POST   /v1/postings                                           i
GET    /v1/postings                                           ioc
GET    /v1/postings/{posting}                                 ioc
POST   /v1/bindings                                           i
GET    /v1/bindings                                           ioc
GET    /v1/bindings/{binding}                                 ioc
PATCH  /v1/bindings/{binding}                                 ioc
DELETE /v1/bindings/{binding}                                 ioc
GET    /v1/challenges                                         ioc
GET    /v1/challenges/{challenge}                             ioc
POST   /v1/challenges/{challenge}/respond                     ioc
POST   /v1/inbound_messages                                   io
GET    /v1/messages                                           io
GET    /v1/messages/{message}                                 io
POST   /v1/message_replays                                    io
POST   /v1/messages/{message}/replay                          io
POST   /v1/security_checkups                                  ioc
GET    /v1/security_checkups                                  ioc
GET    /v1/security_checkups/{checkup}                        ioc
GET    /v1/events                                             ioc
GET    /v1/events/{event}                                     ioc
GET    /v1/alerts                                             ioc
POST   /v1/event_subscriptions                                i
GET    /v1/event_subscriptions                                io
GET    /v1/event_subscriptions/{subscription}                 io
PATCH  /v1/event_subscriptions/{subscription}                 i
DELETE /v1/event_subscriptions/{subscription}                 i
POST   /v1/event_subscriptions/{subscription}/rotate_secret   i
POST   /v1/event_subscriptions/{subscription}/replay          io
POST   /v1/event_subscriptions/{subscription}/test            io
GET    /v1/audit_events                                       ioc
GET    /v1/test_helpers/clock                                 io
PUT    /v1/test_helpers/clock                                 io
"""
_LETTERS = {"i": "issuer", "o": "operator", "c": "cardholder"}
BY_HAND = {
    (method, path): [_LETTERS[letter] for letter in letters]
    for method, path, letters in (line.split() for line in ALLOWED.strip().splitlines())
}


def routes(world: World) -> list[tuple[str, str, list[str]]]:
    """Method, path and scopes of every route under /v1, from the application itself."""
    found = []
    for route in all_routes(world):
        if route.path.startswith("/v1"):
            (method,) = route.methods or set()
            found.append((method, route.path, (route.openapi_extra or {})[SCOPES]))
    return found


def all_routes(world: World) -> list[APIRoute]:
    """Every route of the application."""
    from fastapi.routing import iter_route_contexts

    contexts = iter_route_contexts(world.app.routes)
    return [context.route for context in contexts if isinstance(context.route, APIRoute)]


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    """One house for calls that change nothing."""
    made = memory_world()
    yield made
    made.close()


def test_the_scopes_of_every_route_are_those_written_here(shared: World) -> None:
    """The table above and the application agree, route by route."""
    one_of_many = {
        "/v1/cards/{card}/controls/night_lock": "/v1/cards/{card}/controls/{control_type}",
        "/v1/cards/{card}/controls/night_lock:preview": (
            "/v1/cards/{card}/controls/{control_type}:preview"
        ),
    }
    found = {}
    for method, path, scopes in routes(shared):
        head, _, control = path.rpartition("/")
        if head.endswith("/controls") and "{" not in control and "night_lock" not in control:
            same = next(s for m, p, s in routes(shared) if m == method and p == path)
            assert same == ["issuer", "operator", "cardholder"]
            continue
        found[method, one_of_many.get(path, path)] = scopes
    assert found == BY_HAND


def filled(path: str) -> str:
    """A path with ids that name nothing."""
    names = {
        "{card}": "card_" + "0" * 26,
        "{cardholder}": "holder_none",
        "{control_type}": "night_lock",
        "{authorization}": "auth_" + "0" * 33 + "8",
        "{exception}": "exc_x",
        "{posting}": "post_x",
        "{binding}": "bind_x",
        "{challenge}": "chg_x",
        "{checkup}": "chk_x",
        "{event}": "evt_x",
        "{subscription}": "sub_x",
    }
    for name, value in names.items():
        path = path.replace(name, value)
    return path


@pytest.mark.parametrize(("method", "path"), BY_HAND)
@pytest.mark.parametrize("scope", ["issuer", "operator", "cardholder"])
def test_every_call_asks_for_its_scope(shared: World, method: str, path: str, scope: str) -> None:
    """A key of another scope gets 403 before anything of the call is looked at."""
    client = shared.client(scope, "holder_me" if scope == "cardholder" else "")
    answer = client.call(method, filled(path), b"{" if method in ("POST", "PUT") else None)
    if scope in BY_HAND[method, path]:
        assert answer.status_code != 403, answer.text
    else:
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_scope")


@pytest.mark.parametrize(("method", "path"), BY_HAND)
@pytest.mark.parametrize(
    "value", [None, "", "Bearer", "Bearer nonsense", "Basic aXNzdWVyOng=", "{wrong}", "{revoked}"]
)
def test_every_call_asks_for_a_key(
    shared: World, method: str, path: str, value: str | None
) -> None:
    """Missing, malformed, unknown, revoked: the same 401, and a broken body is not looked at."""
    headers = {}
    if value is not None:
        _, wrong = new_key("issuer", "", "", NOON)
        record, revoked = new_key("issuer", "", "", NOON)
        shared.keys[record.id] = replace(record, revoked_ms=1)
        headers["Authorization"] = value.format(
            wrong=f"Bearer {wrong}", revoked=f"Bearer {revoked}"
        )
    answer = Client(shared, None).call(method, filled(path), b"{", **headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_another_persons_things_do_not_exist(world: World) -> None:
    """A cardholder key gets 404 for whatever is another's, the same as for what is not there."""
    mine, theirs = world.cardholder(), world.cardholder()
    card, other = world.card(PAN, cardholder=mine), world.card(OTHER_PAN, cardholder=theirs)
    world.issuer.set(other, "large_spend_verification", {"threshold": 1})
    decided = world.decision(other)
    link = world.issuer.post("/v1/bindings", {"card": other, "institution": "48212200"}).json()
    posting = world.issuer.post("/v1/postings", {"card": other, "amount": 1, "business": "x"})
    checkup = world.issuer.post("/v1/security_checkups", {"cardholder": theirs}).json()
    event = world.issuer.get("/v1/events").json()["data"][0]
    own = world.client("cardholder", mine)
    challenge = decided["challenge"]["id"]
    for method, path in (
        ("GET", f"/v1/cards/{other}"),
        ("GET", f"/v1/cards/{other}/controls"),
        ("PUT", f"/v1/cards/{other}/controls/card_lock"),
        ("POST", f"/v1/cards/{other}/controls/card_lock:preview"),
        ("DELETE", f"/v1/cards/{other}/controls/large_spend_verification"),
        ("GET", f"/v1/cards/{other}/limits"),
        ("POST", f"/v1/cards/{other}/stop"),
        ("GET", f"/v1/cards/{other}/exceptions"),
        ("GET", f"/v1/cardholders/{theirs}"),
        ("POST", f"/v1/cardholders/{theirs}/kill_switch"),
        ("GET", f"/v1/cardholders/{theirs}/message_preferences"),
        ("PUT", f"/v1/cardholders/{theirs}/message_preferences"),
        ("GET", f"/v1/cardholders/{theirs}/trusted_contacts"),
        ("DELETE", f"/v1/cardholders/{theirs}/trusted_contacts/contact_1"),
        ("GET", f"/v1/authorizations/{decided['id']}"),
        ("GET", f"/v1/authorizations/{decided['id']}/evaluations"),
        ("GET", f"/v1/authorizations?card={other}"),
        ("GET", f"/v1/cards?cardholder={theirs}"),
        ("GET", f"/v1/bindings?card={other}"),
        ("GET", f"/v1/bindings/{link['binding']}"),
        ("PATCH", f"/v1/bindings/{link['binding']}"),
        ("GET", f"/v1/postings/{posting.json()['id']}"),
        ("GET", f"/v1/challenges/{challenge}"),
        ("GET", f"/v1/challenges?cardholder={theirs}"),
        ("POST", f"/v1/challenges/{challenge}/respond"),
        ("GET", f"/v1/security_checkups/{checkup['id']}"),
        ("GET", f"/v1/security_checkups?cardholder={theirs}"),
        ("GET", f"/v1/events/{event['id']}"),
        ("GET", f"/v1/events?card={other}"),
        ("GET", f"/v1/alerts?card={other}"),
        ("GET", f"/v1/audit_events?card={other}"),
    ):
        body: dict[str, object] | None = {} if method in ("PUT", "POST") else None
        if method == "PATCH":
            body = {"open": False}
        if path.endswith("/respond"):
            body = {"response": "deny"}
        answer = own.call(method, path, body, If_Match="*")
        assert answer.status_code == 404, (method, path, answer.text)
        assert other not in answer.text
    checkup_of_other = own.post("/v1/security_checkups", {"cardholder": theirs})
    assert checkup_of_other.status_code == 404
    for path in ("cards", "authorizations", "events", "alerts", "audit_events", "postings"):
        rows = own.get(f"/v1/{path}").json()["data"]
        assert all(row.get("card", row.get("id")) == card for row in rows), path
    assert world.issuer.get(f"/v1/cards/{other}/stop").status_code == 404


def test_only_an_issuer_may_assert_strong_authentication(world: World) -> None:
    """The header of any other key is not believed."""
    holder = world.cardholder()
    card = world.card(cardholder=holder)
    world.issuer.set(card, "card_lock")
    own = world.client("cardholder", holder)
    for client in (own, world.operator):
        assert client.strong().remove(card, "card_lock").status_code == 403
    path = f"/v1/cards/{card}/controls/card_lock"
    weak = world.issuer.delete(path, If_Match="*", Authentication_Strength="weak")
    assert weak.status_code == 403
    strong = world.issuer.delete(path, If_Match="*", Authentication_Strength=" Strong ")
    assert strong.status_code == 200


def test_too_many_calls_at_once_with_one_key_wait_their_turn(
    house_with: Callable[..., World],
) -> None:
    """429 with Retry-After past the bound; another key is not disturbed."""
    from zhiwei.gateways.http.house import Settings

    world = house_with(settings=Settings(requests_at_once=2))
    key_id = next(iter(world.keys))
    world.app.state.at_once[key_id] = 2
    full = world.issuer.get("/v1/cards")
    assert (full.status_code, full.json()["code"]) == (429, "too_many_requests")
    assert full.headers["Retry-After"] == "1"
    assert world.operator.get("/v1/cards").status_code == 200
    world.app.state.at_once[key_id] = 1
    assert world.issuer.get("/v1/cards").status_code == 200
    assert world.app.state.at_once[key_id] == 1


@pytest.mark.parametrize("text", ["issuer", "operator", "cardholder:holder_1"])
def test_a_scope_is_read(text: str) -> None:
    """As the command line takes it."""
    scope, subject = scope_and_subject(text)
    assert f"{scope}:{subject}".rstrip(":") == text


@pytest.mark.parametrize("text", ["", "root", "cardholder", "cardholder:", "issuer:x", "Issuer"])
def test_a_scope_that_is_none_is_refused(text: str) -> None:
    """A key without a person, or a person without need."""
    with pytest.raises(BadScopeError):
        scope_and_subject(text)


def test_a_key_is_kept_as_a_hash_only() -> None:
    """The record gives the key away in no form; any changed letter is another key."""
    record, text = new_key("issuer", "", "bank", NOON)
    assert text.startswith("zw_")
    assert text.split("_", 2)[2] not in repr(record)
    assert record.secret_hash == hashed(text)
    assert key_named(text, {record.id: record}.get) is record
    for place in (0, 5, len(text) // 2, len(text) - 1):
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        assert key_named(changed, {record.id: record}.get) is None
    assert key_named(text + "A", {record.id: record}.get) is None
