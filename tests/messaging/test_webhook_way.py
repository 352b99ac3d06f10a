"""The whole way of a webhook: subscribed at the door, planned from an event, sent, and verified."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from standardwebhooks import Webhook
from tests.gateways.http.house import NOON
from tests.messaging.endpoints import Endpoint, answers, endpoint, run
from tests.messaging.office import Office

from zhiwei.core.event import EventKind
from zhiwei.gateways.http.subscription_secrets import OVERLAP_MS, secrets_of
from zhiwei.gateways.webhooks import webhook_channel
from zhiwei.messaging.model import WEBHOOK, Answer, Message, Verdict
from zhiwei.messaging.settings import Table
from zhiwei.ports import Subscription

PATH = "/v1/event_subscriptions"


@pytest.fixture
def office() -> Iterator[Office]:
    """A house that plans webhooks."""
    made = Office(frozenset((WEBHOOK,)))
    yield made
    made.close()


async def delivered(office: Office, message: Message) -> Answer:
    """What a message comes to, with the house's own records and secrets."""

    async def on_gone(subscription: str) -> None:
        raise AssertionError(subscription)

    house = office.world.house
    channel = webhook_channel(
        Table({}, "webhooks"),
        only_loopback=True,
        find=lambda id_: house.reader.record(Subscription, id_),
        secrets_of=lambda known: secrets_of(house.vault, known, house.clock.now_ms()),
        on_gone=on_gone,
    )
    try:
        return await channel.send(message)
    finally:
        await channel.stop()


def test_a_subscriber_is_told_and_verifies_with_the_secret_it_was_shown(office: Office) -> None:
    """Before, during and after a change of the secret."""
    world = office.world

    async def tell(message: Message, made: Endpoint) -> Endpoint:
        assert (await delivered(office, message)).verdict is Verdict.TAKEN
        return made

    async def scenario() -> None:
        async with endpoint(answers(200)) as made:
            body = {"url": f"http://localhost:{made.port}/hook"}
            subscribed = await calls(office, "POST", PATH, body)
            (planned,) = office.plan(office.event(EventKind.STOP_PLACED)).messages
            assert planned.message.to == subscribed["id"]
            assert planned.message.id.endswith(subscribed["id"])
            await tell(planned.message, made)
            rotate = f"{PATH}/{subscribed['id']}/rotate_secret"
            changed = await calls(office, "POST", rotate, None)
            await tell(planned.message, made)
            world.clock.move_to(NOON + OVERLAP_MS)
            await tell(planned.message, made)
            works = [
                [accepts(secret, made, number) for number in range(3)]
                for secret in (subscribed["secret"], changed["secret"])
            ]
            assert works == [[True, True, False], [False, True, True]]

    run(scenario())


def accepts(secret: str, made: Endpoint, number: int) -> bool:
    """Whether a receiver with a secret accepts a message."""
    heard = made.heard[number]
    try:
        Webhook(secret).verify(heard.body, heard.headers)
    except Exception:  # noqa: BLE001 - whatever it is, it was not accepted
        return False
    return True


async def calls(office: Office, method: str, path: str, body: object) -> dict[str, str]:
    """A call of the door from within a loop."""
    content = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {office.world.issuer.key}"}
    if content is not None:
        headers["Content-Type"] = "application/json"
    answer = await office.world.send(method, path, content, headers)
    assert answer.is_success, answer.text
    made: dict[str, str] = answer.json()
    return made
