"""Records that an earlier version kept are read with what has been added since."""

from __future__ import annotations

import pytest

from zhiwei.ports import CorruptFileError, PolicyChange, Subscription
from zhiwei.stores.coding.frame import Part, sealed
from zhiwei.stores.coding.record import record_of, record_row

#: As it stood in a file before secrets could be changed and subscriptions switched off.
YESTERDAY = (
    b'{"id":"sub_1","created_ms":1763956800000,"url":"https://bank.example/hook",'
    b'"events":["stop_placed"],"description":"core","deleted_ms":0}'
)


def test_a_subscription_of_yesterday_is_on_and_has_its_first_secret() -> None:
    """What it does not say is as it was then."""
    row = sealed(YESTERDAY, b"subscription/sub_1", Part("record", 0))
    found = record_of(Subscription, "sub_1", row)
    assert found == Subscription(
        "sub_1", 1_763_956_800_000, "https://bank.example/hook", ("stop_placed",), "core"
    )
    assert (found.generation, found.rotated_ms, found.disabled_ms) == (0, (), 0)


def test_a_subscription_of_today_comes_back_whole() -> None:
    """With every field that was added."""
    told = Subscription(
        "sub_2",
        1,
        "https://bank.example",
        generation=3,
        rotated_ms=(5, 7),
        disabled_ms=9,
        disabled_reason="gone",
    )
    *_, body = record_row(told)
    assert record_of(Subscription, "sub_2", body) == told
    with pytest.raises(CorruptFileError):
        record_of(Subscription, "sub_3", body)


def test_a_change_of_policy_comes_back_whole_and_is_listed_by_its_state() -> None:
    """Its state is its subject, so that open ones are found without reading the others."""
    told = PolicyChange(
        "pch_1",
        7,
        "op_1",
        "why",
        '{"policy": {}}',
        "a-1",
        "default-2",
        0,
        differences='[["hold_days", 30, 7, true]]',
        state="adopted",
        number=1,
        decided_by="op_2",
        decided_ms=9,
    )
    kind, record_id, subject, created_ms, body = record_row(told)
    assert (kind, record_id, subject, created_ms) == ("policy_change", "pch_1", "adopted", 7)
    assert record_of(PolicyChange, "pch_1", body) == told
