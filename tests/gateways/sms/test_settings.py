"""`[sms]` with SMPP: what is allowed, and that test mode speaks to this machine only."""

from __future__ import annotations

import pytest
from tests.gateways.sms.smscs import Desk, sms
from tests.messaging.endpoints import run

from zhiwei.gateways.sms import sms_channel
from zhiwei.gateways.sms.settings import smpp_settings
from zhiwei.messaging.model import Verdict
from zhiwei.messaging.settings import MessagesFileError, Table

GOOD = {"host": "smsc.example", "system_id": "zhiwei", "password": "pa55word"}


@pytest.mark.parametrize(
    ("sender", "told"),
    [
        ("95588", ("95588", 0, 1)),
        ("+8610655", ("8610655", 1, 1)),
        ("Zhiwei", ("Zhiwei", 5, 0)),
    ],
)
def test_a_senders_kind_follows_from_how_it_is_written(
    sender: str, told: tuple[str, int, int]
) -> None:
    """Short number, international number or name, unless the settings say otherwise."""
    found = smpp_settings(Table({**GOOD, "sender": sender}), only_loopback=False)
    assert (found.sender, found.source_ton, found.source_npi) == told
    ours = {**GOOD, "sender": sender, "source_ton": 3, "source_npi": 8}
    found = smpp_settings(Table(ours), only_loopback=False)
    assert (found.source_ton, found.source_npi) == (3, 8)


@pytest.mark.parametrize(
    "changes",
    [
        {"host": ""},
        {"system_id": "x" * 16},
        {"system_id": "智卫"},
        {"password": "ninechars"},
        {"password": "密码"},
        {"sender": "a name that is too long"},
        {"bind": "sideways"},
        {"source_npi": 2},
        {"destination_ton": 7},
        {"message_ids": "octal"},
        {"refused_statuses": ["busy"]},
        {"at_once": 0},
        {"tls": "yes"},
        {"pasword": "typo"},
    ],
)
def test_wrong_settings_are_errors_with_their_place(changes: dict[str, object]) -> None:
    """At the start, and without the password."""
    with pytest.raises(MessagesFileError, match=r"`sms\.") as caught:
        smpp_settings(Table({**GOOD, **changes}, "sms"), only_loopback=False)
    assert "ninechars" not in str(caught.value)


def test_the_password_is_never_shown() -> None:
    """Not by the settings either."""
    assert "pa55word" not in repr(smpp_settings(Table(GOOD), only_loopback=False))


def test_in_test_mode_only_this_machine_is_spoken_to() -> None:
    """Any other address is refused before a connection is made."""

    async def scenario() -> None:
        desk = Desk()
        table = Table({**GOOD, "kind": "smpp", "host": "192.0.2.1"}, "sms")
        channel = sms_channel(table, only_loopback=True, count=desk.count)
        await channel.start(desk)
        try:
            answer = await channel.send(sms("是"))
        finally:
            await channel.stop()
        assert answer.verdict is Verdict.TRY_LATER
        assert answer.detail == "the SMSC in test mode only this machine may be told"

    run(scenario())
