"""Subscriptions: secrets that change, off and on, sending again, a test."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from tests.gateways.http.house import DAY, HOUR, NOON, World, memory_world
from tests.gateways.http.post_office import PostOffice

from zhiwei.core.command import Actor, Command, Via
from zhiwei.core.result import Audit, Result
from zhiwei.engine import ThreadEntry
from zhiwei.gateways.http import subscription_calls
from zhiwei.gateways.http.app import build_app
from zhiwei.gateways.http.subscription_secrets import OVERLAP_MS, secrets_of, with_new_secret
from zhiwei.gateways.http.subscriptions import switched_off_as_gone
from zhiwei.gateways.http.times import instant_text
from zhiwei.messaging.model import SMS, WEBHOOK, Status
from zhiwei.messaging_process.house_side import calls_of
from zhiwei.ports import Kept, Subscription

PATH = "/v1/event_subscriptions"
BODY = {"url": "https://bank.example/hook", "events": ["stop_placed"]}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[PostOffice]:
    """A house that sends messages."""
    made = PostOffice(memory_world(), tmp_path)
    yield made
    made.close()
    made.world.close()


def subscribed(world: World) -> tuple[str, str]:
    """Id and first secret of a new subscription."""
    made = world.issuer.post(PATH, BODY).json()
    return made["id"], made["secret"]


def record(world: World, subscription: str) -> Subscription:
    """What the store has."""
    found = world.house.reader.record(Subscription, subscription)
    assert found is not None
    return found


def valid(world: World, subscription: str) -> list[str]:
    """Secrets that sign now."""
    return secrets_of(world.house.vault, record(world, subscription), world.clock.now_ms())


def newest_audit(world: World) -> dict[str, Any]:
    """The last line of the audit trail."""
    (line,) = world.issuer.get("/v1/audit_events?limit=1").json()["data"]
    found: dict[str, Any] = line
    return found


def test_it_says_whether_it_delivers(memory: World, office: PostOffice) -> None:
    """A house that sends no messages delivers nothing; one that does delivers where it is on."""
    assert memory.issuer.post(PATH, BODY).json()["delivering"] is False
    made = office.world.issuer.post(PATH, BODY).json()
    assert made["delivering"] is True
    path = f"{PATH}/{made['id']}"
    assert office.world.issuer.patch(path, {"enabled": False}).json()["delivering"] is False
    assert office.world.issuer.get(path).json()["delivering"] is False


def test_a_secret_is_changed_and_the_old_one_signs_for_a_day(world: World) -> None:
    """The new one is shown once and nowhere else."""
    subscription, old = subscribed(world)
    changed = world.issuer.post(f"{PATH}/{subscription}/rotate_secret").json()
    new = changed["secret"]
    assert new != old
    assert changed["old_secret_until"] == instant_text(NOON + DAY)
    assert valid(world, subscription) == [new, old]
    shown = world.issuer.get(f"{PATH}/{subscription}").json()
    assert {**shown, "secret": new} == changed
    world.clock.move_to(NOON + OVERLAP_MS - 1)
    assert valid(world, subscription) == [new, old]
    world.clock.move_to(NOON + OVERLAP_MS)
    assert valid(world, subscription) == [new]
    assert world.issuer.get(f"{PATH}/{subscription}").json()["old_secret_until"] is None
    line = newest_audit(world)
    assert line["action"] == "event_subscription.secret_rotated"
    for secret in (new, old):
        assert secret not in json.dumps(world.issuer.get("/v1/audit_events").json())
        assert secret not in repr(record(world, subscription))


def test_two_changes_within_a_day_keep_both_old_secrets(world: World) -> None:
    """A receiver that has not yet changed over at all does not lose a message."""
    subscription, first = subscribed(world)
    second = world.issuer.post(f"{PATH}/{subscription}/rotate_secret").json()["secret"]
    world.clock.advance(HOUR)
    third = world.issuer.post(f"{PATH}/{subscription}/rotate_secret").json()["secret"]
    assert valid(world, subscription) == [third, second, first]
    world.clock.move_to(NOON + DAY)
    assert valid(world, subscription) == [third, second]
    world.clock.move_to(NOON + DAY + HOUR)
    assert valid(world, subscription) == [third]
    fourth = world.issuer.post(f"{PATH}/{subscription}/rotate_secret").json()["secret"]
    assert valid(world, subscription) == [fourth, third]
    assert len({first, second, third, fourth}) == 4


def test_changing_without_end_keeps_a_bound() -> None:
    """No header grows without end; the newest are kept."""
    world = memory_world()
    subscription = Subscription("sub_1", NOON, "https://bank.example")
    for _ in range(50):
        subscription = with_new_secret(subscription, NOON)
    found = secrets_of(world.house.vault, subscription, NOON)
    assert (subscription.generation, len(found), len(set(found))) == (50, 8, 8)
    world.close()


def test_a_change_sent_again_is_one_change(world: World) -> None:
    """With its Idempotency-Key; without one it is another."""
    subscription, _ = subscribed(world)
    path = f"{PATH}/{subscription}/rotate_secret"
    first = world.issuer.post(path, Idempotency_Key="k")
    again = world.issuer.post(path, Idempotency_Key="k")
    assert again.json() == first.json()
    assert record(world, subscription).generation == 1
    assert world.issuer.post(path).json()["secret"] != first.json()["secret"]


def test_the_first_secret_is_the_one_of_before_secrets_could_be_changed(world: World) -> None:
    """Subscribers of yesterday keep theirs."""
    subscription, secret = subscribed(world)
    derived = world.house.vault.derived_secret(f"webhook|{subscription}")
    assert secret == "whsec_" + b64encode(derived).decode()


def test_a_subscription_is_changed_and_the_trail_says_so(world: World) -> None:
    """What is not given stays; a change that changes nothing leaves no line."""
    subscription, _ = subscribed(world)
    path = f"{PATH}/{subscription}"
    body = {"events": ["stop_lifted", "stop_placed", "stop_placed"], "description": "核心"}
    changed = world.issuer.patch(path, body).json()
    assert changed["events"] == ["stop_lifted", "stop_placed"]
    assert changed["description"] == "核心"
    assert changed == world.issuer.get(path).json()
    line = newest_audit(world)
    assert line["action"] == "event_subscription.updated"
    assert world.issuer.patch(path, {"enabled": True}).json() == changed
    assert newest_audit(world) == line
    assert world.issuer.patch(path, {"events": []}).json()["events"] == []
    unknown = world.issuer.patch(path, {"events": ["moon_rose"]})
    assert unknown.json()["errors"][0]["code"] == "unknown_event"
    assert world.operator.patch(path, {"enabled": False}).status_code == 403
    world.issuer.delete(path)
    assert world.issuer.patch(path, {"enabled": True}).json()["code"] == "subscription_not_found"


def test_it_is_switched_off_and_on_by_request(world: World) -> None:
    """Switching off twice keeps the first instant."""
    subscription, _ = subscribed(world)
    path = f"{PATH}/{subscription}"
    off = world.issuer.patch(path, {"enabled": False}).json()
    assert (off["disabled_at"], off["disabled_reason"]) == (instant_text(NOON), "by_request")
    world.clock.advance(HOUR)
    assert world.issuer.patch(path, {"enabled": False}).json() == off
    on = world.issuer.patch(path, {"enabled": True}).json()
    assert (on["disabled_at"], on["disabled_reason"]) == (None, None)


def test_an_endpoint_that_is_gone_switches_it_off(world: World) -> None:
    """As the messaging part does it; the trail says who, and it can be switched on again."""
    subscription, _ = subscribed(world)
    found = switched_off_as_gone(record(world, subscription), world.clock.now_ms())
    assert found is not None
    off, audit = found
    house = Actor("messaging", Via.CLI, is_staff=True)
    world.run(world.store.keep([off], [audit], house, NOON))
    shown = world.issuer.get(f"{PATH}/{subscription}").json()
    assert (shown["disabled_reason"], shown["disabled_at"]) == ("gone", instant_text(NOON))
    assert newest_audit(world)["action"] == "event_subscription.disabled"
    assert switched_off_as_gone(record(world, subscription), NOON) is None
    assert switched_off_as_gone(replace(off, disabled_ms=0, deleted_ms=1), NOON) is None
    on = world.issuer.patch(f"{PATH}/{subscription}", {"enabled": True}).json()
    assert on["disabled_reason"] is None


def planned(office: PostOffice, subscription: str) -> None:
    """Messages of some hours to it, to another one, and to people."""
    ours = {"channel": WEBHOOK, "to": subscription}
    for hour, status in enumerate(
        (Status.SENT, Status.DEAD, Status.FAILED, Status.QUEUED, Status.SENT)
    ):
        office.plan(f"msg_{hour}", status, created_ms=NOON + hour * HOUR, **ours)
    office.plan("msg_other", Status.DEAD, created_ms=NOON + HOUR, channel=WEBHOOK, to="sub_x")
    office.plan("msg_sms", Status.DEAD, created_ms=NOON + HOUR, channel=SMS)


def states(office: PostOffice) -> dict[str, Status]:
    """Where all messages stand."""
    return {row.message.id: row.status for row in office.reader.messages()}


def test_a_stretch_of_time_is_sent_again(office: PostOffice) -> None:
    """What was delivered, refused or given up, to this subscription and nobody else."""
    world = office.world
    subscription, _ = subscribed(world)
    planned(office, subscription)
    before = states(office)
    body = {"since": instant_text(NOON + HOUR), "until": instant_text(NOON + 4 * HOUR)}
    answer = world.operator.post(f"{PATH}/{subscription}/replay", body)
    assert answer.status_code == 200
    assert (answer.json()["replayed"], answer.json()["next_until"]) == (2, None)
    again = {"msg_1": Status.QUEUED, "msg_2": Status.QUEUED}
    assert states(office) == {**before, **again}
    assert newest_audit(world)["action"] == "event_subscription.replayed"
    body = {"since": instant_text(NOON)}
    assert world.operator.post(f"{PATH}/{subscription}/replay", body).json()["replayed"] == 2
    assert world.operator.post(f"{PATH}/{subscription}/replay", body).json()["replayed"] == 0
    left = {id_ for id_, status in states(office).items() if status is not Status.QUEUED}
    assert left == {"msg_other", "msg_sms"}


def test_a_long_replay_says_where_to_go_on(
    office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until everything was queued again."""
    monkeypatch.setattr(subscription_calls, "REPLAYED_MAX", 3)
    monkeypatch.setattr(subscription_calls, "_CHUNK", 3)
    subscription, _ = subscribed(office.world)
    for number in range(11):
        fields = {"channel": WEBHOOK, "to": subscription, "created_ms": NOON + number}
        office.plan(f"msg_{number}", Status.SENT, **fields)
    body: dict[str, str] = {"since": instant_text(NOON + 1)}
    counts = []
    for _ in range(10):
        answer = office.world.issuer.post(f"{PATH}/{subscription}/replay", body).json()
        counts.append(answer["replayed"])
        if answer["next_until"] is None:
            break
        body["until"] = answer["next_until"]
    assert counts == [3, 3, 3, 1]
    left = {id_ for id_, status in states(office).items() if status is not Status.QUEUED}
    assert left == {"msg_0"}


def test_messages_that_stand_out_of_order_are_found(
    office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events of one moment may have changed places on their way; a search does not end at one."""
    monkeypatch.setattr(subscription_calls, "_CHUNK", 2)
    subscription, _ = subscribed(office.world)
    ours = {"channel": WEBHOOK, "to": subscription}
    for number, created_ms in enumerate((NOON, NOON + 1, NOON - 1, NOON - 2, NOON + 2)):
        office.plan(f"msg_{number}", Status.SENT, created_ms=created_ms, **ours)
    body = {"since": instant_text(NOON)}
    answer = office.world.issuer.post(f"{PATH}/{subscription}/replay", body).json()
    assert answer["replayed"] == 3


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "malformed_request"),
        ({"since": "yesterday"}, "bad_time"),
        ({"since": instant_text(NOON), "until": instant_text(NOON)}, "bad_time"),
        ({"since": instant_text(NOON), "until": "now"}, "bad_time"),
    ],
)
def test_a_stretch_that_is_none_is_refused(
    office: PostOffice, body: dict[str, str], code: str
) -> None:
    """Nothing is queued."""
    subscription, _ = subscribed(office.world)
    answer = office.world.issuer.post(f"{PATH}/{subscription}/replay", body).json()
    assert code in (answer["code"], *(error["code"] for error in answer["errors"]))


def test_a_test_is_queued_as_any_other_message(office: PostOffice) -> None:
    """With an id of its own, which a repeat of the call keeps."""
    world = office.world
    subscription, _ = subscribed(world)
    path = f"{PATH}/{subscription}/test"
    first = world.operator.post(path, Idempotency_Key="k")
    assert first.status_code == 201
    assert world.operator.post(path, Idempotency_Key="k").json() == first.json()
    other = world.operator.post(path).json()["message"]
    assert other != first.json()["message"]
    tracked = office.reader.message(first.json()["message"])
    assert tracked is not None
    assert (tracked.status, tracked.message.to) == (Status.QUEUED, subscription)
    assert (tracked.message.channel, tracked.message.kind) == (WEBHOOK, "test")
    body = json.loads(tracked.message.text)
    assert body["type"] == "test"
    assert body["data"] == {"subscription": subscription}
    assert len(states(office)) == 2
    assert newest_audit(world)["action"] == "event_subscription.tested"
    shown = world.issuer.get(f"/v1/messages/{other}").json()
    assert (shown["status"], shown["card"]) == ("queued", None)


def test_what_is_off_or_unknown_is_neither_tested_nor_sent_again(office: PostOffice) -> None:
    """Its messages would be refused at once; a new secret can be had all the same."""
    world = office.world
    subscription, _ = subscribed(world)
    world.issuer.patch(f"{PATH}/{subscription}", {"enabled": False})
    since = {"since": instant_text(NOON)}
    calls: list[tuple[str, object]] = [("replay", since), ("test", None)]
    for call, body in calls:
        answer = world.issuer.post(f"{PATH}/{subscription}/{call}", body)
        assert answer.json()["code"] == "subscription_disabled"
    assert world.issuer.post(f"{PATH}/{subscription}/rotate_secret").status_code == 200
    for call, body in [*calls, ("rotate_secret", None)]:
        answer = world.issuer.post(f"{PATH}/sub_x/{call}", body)
        assert answer.json()["code"] == "subscription_not_found"


def test_a_house_without_messages_says_so(memory: World, office: PostOffice) -> None:
    """There is nothing to send again, and nobody who would send a test."""
    subscription, _ = subscribed(memory)
    since = {"since": instant_text(NOON)}
    replayed = memory.issuer.post(f"{PATH}/{subscription}/replay", since)
    tested = memory.issuer.post(f"{PATH}/{subscription}/test")
    assert [a.json()["code"] for a in (replayed, tested)] == ["messaging_off"] * 2
    world = office.world
    assert world.house.messages is not None
    desk = replace(world.house.messages, queue=None)
    world.house = replace(world.house, messages=desk)
    world.house = replace(world.house, metrics=type(world.house.metrics)())
    world.app = build_app(world.house)
    subscription, _ = subscribed(world)
    tested = world.issuer.post(f"{PATH}/{subscription}/test")
    assert tested.json()["code"] == "messaging_off"


@pytest.mark.parametrize("is_rotated", [True, False])
def test_of_two_servers_that_change_it_at_once_one_is_refused(
    world: World, *, is_rotated: bool
) -> None:
    """A secret that was handed out signs, whatever another server does at that moment."""
    subscription, first = subscribed(world)
    here = f"{PATH}/{subscription}"
    secrets: list[str] = []

    async def quicker() -> None:
        answer = await world.call_at(world.app, "POST", f"{here}/rotate_secret", {})
        secrets.append(answer.json()["secret"])

    late = world.beside(quicker)
    if is_rotated:
        refused = world.run(world.call_at(late, "POST", f"{here}/rotate_secret", {}))
    else:
        refused = world.run(world.call_at(late, "PATCH", here, {"enabled": False}))
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert valid(world, subscription) == [*secrets, first]
    assert record(world, subscription).disabled_ms == 0


def test_who_is_gone_is_switched_off_whatever_else_is_changed_then(world: World) -> None:
    """The new secret of that moment stays, too."""
    subscription, first = subscribed(world)
    secrets: list[str] = []

    class Path:
        """The path of one server, where another one is quicker the first time."""

        async def submit(self, commands: list[Command]) -> list[Result]:
            raise AssertionError

        async def keep(
            self,
            records: Sequence[Kept],
            audits: Sequence[Audit],
            actor: Actor,
            then: Callable[[], None] | None = None,
        ) -> None:
            if not secrets:
                rotation = f"{PATH}/{subscription}/rotate_secret"
                answer = await world.call_at(world.app, "POST", rotation, {})
                secrets.append(answer.json()["secret"])
            assert then is None
            await world.house.keep(records, audits, actor)

    path = cast("ThreadEntry", Path())
    gone = calls_of(path, world.store.reader(), world.clock)["gone"]

    async def told() -> None:
        await gone(subscription)

    world.run(told())
    assert record(world, subscription).disabled_reason == "gone"
    assert valid(world, subscription) == [*secrets, first]
