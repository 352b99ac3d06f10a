"""`/v1/messages`, the true state of alerts, and inbound messages of a house that sends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.gateways.http.house import DAY, HOUR, PAN, World, memory_world
from tests.gateways.http.post_office import PostOffice

from zhiwei.core.ids import card_key_of
from zhiwei.gateways.http.house import MessageDesk
from zhiwei.messaging.model import CHAT, EMAIL, PUSH, WEBHOOK, Status
from zhiwei.messaging.tries import MESSAGES_MAX
from zhiwei.messaging_process.calling import MessagingCalls
from zhiwei.messaging_process.parent import MessagingProcess

PHONE = "13800138000"
E164 = "+8613800138000"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[PostOffice]:
    """A house that sends messages, and replies to web gateways' messages by itself."""
    made = PostOffice(memory_world(), tmp_path)
    yield made
    made.close()
    made.world.close()


def key_of(card: str) -> bytes:
    """A card's key."""
    key = card_key_of(card)
    assert key is not None
    return key


def ids(answer: Any) -> list[str]:  # noqa: ANN401 - httpx's response
    """Ids of a list."""
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["data"]]


def test_without_messaging_there_are_no_messages(memory: World) -> None:
    """And alerts stand queued, as they are."""
    for answer in (
        memory.issuer.get("/v1/messages"),
        memory.issuer.get("/v1/messages/msg_1"),
        memory.issuer.post("/v1/messages/msg_1/replay"),
        memory.issuer.post("/v1/message_replays", {"status": "dead", "channel": "sms"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "messaging_off")
    card = memory.card()
    memory.issuer.post(f"/v1/cards/{card}/stop")
    (alert,) = memory.issuer.get("/v1/alerts").json()["data"]
    assert (alert["status"], alert["messages"]) == ("queued", [])


def test_messages_are_listed_and_read(office: PostOffice) -> None:
    """Newest first, by status, channel and card, page by page; the address is never whole."""
    world = office.world
    card = world.card()
    office.plan("msg_a", Status.SENT, card_key=key_of(card), event_id="evt_a", challenge="chg_1")
    office.plan("msg_b", Status.DEAD, channel=EMAIL, to="wang@example.com", lane="b")
    office.plan("msg_c", channel=WEBHOOK, to="https://bank.example/secret-path", lane="c")
    assert ids(world.operator.get("/v1/messages")) == ["msg_c", "msg_b", "msg_a"]
    assert ids(world.operator.get("/v1/messages?status=dead")) == ["msg_b"]
    assert ids(world.operator.get("/v1/messages?channel=webhook")) == ["msg_c"]
    assert ids(world.operator.get(f"/v1/messages?card={card}")) == ["msg_a"]
    assert ids(world.operator.get("/v1/messages?limit=1&starting_after=msg_c")) == ["msg_b"]
    assert ids(world.operator.get("/v1/messages?limit=1&ending_before=msg_a")) == ["msg_b"]
    assert world.operator.get("/v1/messages?starting_after=x").status_code == 422
    assert world.operator.get("/v1/messages?status=lost").status_code == 422
    assert world.operator.get("/v1/messages?card=card_x").status_code == 404
    shown = world.issuer.get("/v1/messages/msg_a").json()
    assert shown == {
        "object": "message",
        "id": "msg_a",
        "event": "evt_a",
        "kind": "stop_placed",
        "card": card,
        "challenge": "chg_1",
        "channel": "sms",
        "language": "zh",
        "urgent": False,
        "to_tail": "8000",
        "status": "sent",
        "tries": 3,
        "detail": "some answer",
        "remote_id": "remote",
        "created_at": "2025-11-24T04:00:00.000Z",
        "planned_at": "2025-11-24T04:00:00.000Z",
        "changed_at": "2025-11-24T04:00:00.001Z",
        "next_try_at": None,
        "expires_at": None,
        "text": "【智卫】一句话",
    }
    assert world.operator.get("/v1/messages/msg_a").json()["text"] is None
    assert world.issuer.get("/v1/messages/msg_x").json()["code"] == "message_not_found"
    everything = world.issuer.get("/v1/messages").text
    assert "13800138000" not in everything
    assert "wang" not in everything
    assert "secret-path" not in everything


@pytest.mark.parametrize(
    ("status", "channel", "code"),
    [
        (Status.DEAD, "sms", 200),
        (Status.FAILED, "email", 200),
        (Status.HELD_BACK, "sms", 200),
        (Status.QUEUED, "sms", 200),
        (Status.SENT, "sms", 409),
        (Status.DELIVERED, "sms", 409),
        (Status.MUTED, "sms", 409),
        (Status.EXPIRED, "sms", 409),
        (Status.DELIVERED, "webhook", 200),
        (Status.SENT, "webhook", 200),
    ],
)
def test_a_message_is_sent_again_where_that_makes_sense(
    office: PostOffice, status: Status, channel: str, code: int
) -> None:
    """What was given up, failed or held back; webhooks always. Who did it is in the trail."""
    world = office.world
    office.plan("msg_1", status, channel=channel)
    answer = world.operator.post("/v1/messages/msg_1/replay")
    assert answer.status_code == code, answer.text
    if code == 409:
        assert answer.json()["code"] == "message_not_replayable"
    else:
        assert answer.json()["status"] == "queued"
    trail = world.issuer.get("/v1/audit_events?action=message.replayed").json()["data"]
    is_done = code == 200 and status is not Status.QUEUED
    assert len(trail) == int(is_done)
    assert office.planned == int(is_done)
    if is_done:
        assert (trail[0]["subject"], trail[0]["actor"]["via"]) == ("msg_1", "http")


def test_a_replay_with_the_same_key_is_one_replay(office: PostOffice) -> None:
    """And gives the same answer."""
    office.plan("msg_1", Status.DEAD)
    first = office.world.issuer.post("/v1/messages/msg_1/replay", Idempotency_Key="k")
    again = office.world.issuer.post("/v1/messages/msg_1/replay", Idempotency_Key="k")
    assert again.content == first.content
    assert office.planned == 1


def test_many_messages_are_sent_again_at_once(office: PostOffice) -> None:
    """Those of a channel and a state, of all cards or of one; more than one bite of them."""
    world = office.world
    card = world.card()
    for number in range(520):
        office.plan(f"msg_d{number}", Status.HELD_BACK, lane=str(number))
    office.plan("msg_own", Status.HELD_BACK, card_key=key_of(card), lane="own")
    office.plan("msg_mail", Status.HELD_BACK, channel=EMAIL, lane="mail")
    body = {"status": "held_back", "channel": "sms"}
    own = world.operator.post("/v1/message_replays", {**body, "card": card})
    assert own.json() == {"object": "message_replay", "replayed": 1, "has_more": False}
    rest = world.operator.post("/v1/message_replays", body)
    assert rest.json() == {"object": "message_replay", "replayed": 520, "has_more": False}
    assert ids(world.issuer.get("/v1/messages?status=held_back")) == ["msg_mail"]
    trail = world.issuer.get("/v1/audit_events?action=messages.replayed").json()["data"]
    assert [row["new"]["card"] for row in trail] == [None, card]
    for wrong, code in (({**body, "status": "muted"}, 422), ({"status": "dead"}, 400), ({}, 400)):
        assert world.operator.post("/v1/message_replays", wrong).status_code == code


def test_messages_are_the_staffs_business(office: PostOffice) -> None:
    """A cardholder key sees alerts, and no messages."""
    world = office.world
    holder = world.cardholder()
    own = world.client("cardholder", holder)
    assert own.get("/v1/messages").status_code == 403
    assert own.post("/v1/message_replays", {}).status_code == 403


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ({"sms": Status.QUEUED}, "queued"),
        ({"sms": Status.FAILED, "email": Status.SENT}, "sent"),
        ({"sms": Status.DELIVERED, "email": Status.DEAD}, "delivered"),
        ({"sms": Status.DEAD, "push": Status.QUEUED}, "queued"),
        ({"sms": Status.MUTED, "webhook": Status.DELIVERED}, "muted"),
        ({"sms": Status.EXPIRED, "email": Status.FAILED}, "failed"),
        ({"sms": Status.HELD_BACK}, "held_back"),
        ({"sms": Status.DEAD}, "dead"),
        ({"chat": Status.SENT, "webhook": Status.SENT}, "none"),
    ],
)
def test_an_alert_tells_what_became_of_it(
    office: PostOffice, states: dict[str, Status], status: str
) -> None:
    """The best of its messages to the person; what went to systems says nothing of that."""
    world = office.world
    holder = world.cardholder()
    card = world.card(cardholder=holder)
    world.issuer.post(f"/v1/cards/{card}/stop")
    event = world.issuer.get("/v1/events").json()["data"][0]["id"]
    stem = event.replace("evt_", "msg_")
    for channel, state in states.items():
        told = {"event_id": event, "channel": channel, "lane": channel, "card_key": key_of(card)}
        office.plan(f"{stem}-{channel}", state, **told)
    (alert,) = world.issuer.get("/v1/alerts").json()["data"]
    assert alert["status"] == status
    shown = {row["channel"]: (row["id"], row["status"]) for row in alert["messages"]}
    assert shown == {name: (f"{stem}-{name}", one.word) for name, one in states.items()}
    (own,) = world.client("cardholder", holder).get("/v1/alerts").json()["data"]
    assert own["status"] == status
    assert {row["channel"] for row in own["messages"]} == set(states) - {WEBHOOK, CHAT}
    assert all(row["to_tail"] in ("8000", None) for row in alert["messages"])


def test_an_alert_that_nobody_is_to_be_told_of_says_so(office: PostOffice) -> None:
    """Once a later one was planned; before that it waits."""
    world = office.world
    card = world.card()
    world.issuer.post(f"/v1/cards/{card}/stop")
    assert [a["status"] for a in world.issuer.get("/v1/alerts").json()["data"]] == ["queued"]
    world.strong.delete(f"/v1/cards/{card}/stop")
    later = world.issuer.get("/v1/events").json()["data"][0]["id"]
    office.plan(f"{later.replace('evt_', 'msg_')}-push", Status.SENT, event_id=later, channel=PUSH)
    states = [a["status"] for a in world.issuer.get("/v1/alerts").json()["data"]]
    assert states == ["sent", "none"]


def inbound(office: PostOffice, text: str, sender: str = PHONE, **headers: str) -> dict[str, Any]:
    """What a message over the web gateway does."""
    body = {"from": sender, "text": text}
    answer = office.world.issuer.post("/v1/inbound_messages", body, **headers)
    assert answer.status_code == 200, answer.text
    done: dict[str, Any] = answer.json()
    return done


def test_the_house_sends_the_reply_where_it_is_set_so(office: PostOffice) -> None:
    """The answer names the message; a repeat sends none anew."""
    card = office.world.card(PAN, cardholder=office.world.cardholder(phone=PHONE))
    done = inbound(office, "ZF", Idempotency_Key="gw-1")
    assert (done["outcome"], done["reply"]["status"]) == ("stopped", "queued")
    message = office.reader.message(done["reply"]["message"])
    assert message is not None
    assert (message.message.to, message.message.text) == (E164, done["reply"]["text"])
    assert message.message.id == f"msg_{done['id']}-reply"
    assert message.message.card_key == key_of(card)
    # A day later the door has forgotten its answer; the message is still known.
    office.world.clock.advance(2 * DAY)
    again = inbound(office, "ZF", Idempotency_Key="gw-1")
    assert (again["id"], again["outcome"]) == (done["id"], "stopped")
    assert len(office.reader.messages()) == 1


def test_the_gateway_sends_the_reply_where_it_is_set_so(tmp_path: Path) -> None:
    """Nothing is queued; what is not to be sent is marked."""
    office = PostOffice(memory_world(), tmp_path, sends_replies=False)
    office.world.card(PAN, cardholder=office.world.cardholder(phone=PHONE))
    assert inbound(office, "ZF")["reply"]["status"] == "to_send"
    assert inbound(office, "ZF", "13900139000")["reply"]["status"] == "to_send"
    again = inbound(office, "ZF", "13900139000")["reply"]
    assert (again["status"], again["message"]) == ("withheld", None)
    assert inbound(office, "ZF", "95588")["reply"]["status"] == "withheld"
    assert office.reader.messages() == []
    office.close()
    office.world.close()


def test_what_was_counted_outlives_the_process(tmp_path: Path) -> None:
    """Whoever floods us does not begin anew with a restart."""
    world = memory_world()
    world.card(PAN, cardholder=world.cardholder(phone=PHONE))
    office = PostOffice(world, tmp_path)
    for _ in range(MESSAGES_MAX):
        assert inbound(office, "?")["outcome"] == "help"
    office.close()
    office = PostOffice(world, tmp_path)
    done = inbound(office, "?")
    assert done["outcome"] == "too_many_messages"
    assert (done["reply"]["text"], done["reply"]["status"]) == ("", "withheld")
    world.clock.advance(HOUR + 1_000)
    assert inbound(office, "?")["outcome"] == "help"
    office.close()
    world.close()


def test_a_messaging_part_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    """Nothing hangs, and nothing is claimed; a real process that never begins stands for it."""
    office = PostOffice(memory_world(), tmp_path)
    office.plan("msg_1", Status.DEAD)
    process = MessagingProcess()
    calls = MessagingCalls(process.call)
    office.show(MessageDesk(office.reader, calls.replay, calls.inbound, calls.queue))
    issuer = office.world.issuer
    body = {"from": PHONE, "text": "ZF"}
    assert issuer.post("/v1/inbound_messages", body).status_code == 503
    replay = {"status": "dead", "channel": "sms"}
    assert issuer.post("/v1/message_replays", replay).status_code == 503
    process.stop()
    office.reader.close()
    assert issuer.get("/v1/messages").status_code == 503
    office.close()
    office.world.close()
