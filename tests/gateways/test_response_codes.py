"""The tables of response codes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from zhiwei.core.finding import Outcome
from zhiwei.core.reason import LIFTABLE_BY_PERMISSION, Reason
from zhiwei.gateways import response_codes
from zhiwei.gateways.response_codes import CAPTURE_CODES, ResponseCodesError, checked, load

SHIPPED = Path(response_codes.__file__).with_name("response_codes.toml")
CODES = load()


def shipped() -> dict[str, Any]:
    """The shipped document, for a test to break."""
    return tomllib.loads(SHIPPED.read_text("utf-8"))


@pytest.mark.parametrize("network", CODES.networks)
@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_code_in_every_network(network: str, reason: Reason) -> None:
    """No refusal goes out without a code, and none captures the card or approves."""
    code = CODES.code(network, Outcome.REFUSE, reason)
    assert len(code) == 2
    assert code not in CAPTURE_CODES
    assert code != "00"


@pytest.mark.parametrize("network", CODES.networks)
@pytest.mark.parametrize("reason", sorted(LIFTABLE_BY_PERMISSION))
def test_what_a_cardholder_can_lift_is_never_57(network: str, reason: Reason) -> None:
    """Visa reads 57 as "never retry", and a lock may be lifted in a minute."""
    assert CODES.code(network, Outcome.REFUSE, reason) != "57"


@pytest.mark.parametrize(
    ("network", "outcome", "reason", "code"),
    [
        ("unionpay", Outcome.APPROVE, None, "00"),
        ("unionpay", Outcome.REFUSE, Reason.NIGHT_LOCK_ACTIVE, "62"),
        ("unionpay", Outcome.REFUSE, Reason.STOP_PAYMENT_ACTIVE, "62"),
        ("unionpay", Outcome.REFUSE, Reason.OVER_DAILY_LIMIT, "61"),
        ("unionpay", Outcome.REFUSE, Reason.OVER_DAILY_COUNT, "65"),
        ("unionpay", Outcome.CHALLENGE, Reason.LARGE_SPEND_VERIFICATION, "01"),
        ("unionpay", Outcome.CHALLENGE, Reason.LOCATION_UNKNOWN, "01"),
        ("unionpay", Outcome.REFUSE, Reason.LOCATION_UNKNOWN, "62"),
        ("unionpay", Outcome.REFUSE, Reason.MAGSTRIPE_FALLBACK, "45"),
        ("unionpay", Outcome.REFUSE, Reason.SAME_IDENTITY_OTHER_BODY, "94"),
        ("unionpay", Outcome.REFUSE, Reason.RULE_FAILED, "96"),
        ("unionpay", Outcome.REFUSE, None, "96"),
        ("visa", Outcome.REFUSE, Reason.NIGHT_LOCK_ACTIVE, "62"),
        ("visa-9g", Outcome.REFUSE, Reason.NIGHT_LOCK_ACTIVE, "9G"),
        ("visa-9g", Outcome.REFUSE, Reason.OVER_DAILY_LIMIT, "61"),
        ("mastercard", Outcome.CHALLENGE, Reason.LARGE_SPEND_VERIFICATION, "62"),
        ("no-such-network", Outcome.CHALLENGE, Reason.LARGE_SPEND_VERIFICATION, "01"),
    ],
)
def test_the_codes_of_the_rules(
    network: str, outcome: Outcome, reason: Reason | None, code: str
) -> None:
    """The table says what SEMANTICS 5 says."""
    assert CODES.code(network, outcome, reason) == code


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("unionpay", "reasons", "night_lock_active"), "57", "forbids a retry"),
        (("unionpay", "reasons", "night_lock_active"), "41", "keep the card"),
        (("unionpay", "reasons", "night_lock_active"), "00", "approves"),
        (("unionpay", "reasons", "night_lock_active"), "620", "two letters"),
        (("unionpay", "reasons", "night_lock_active"), 62, "two letters"),
        (("unionpay", "reasons", "no_such_reason"), "62", "not a reason"),
        (("unionpay", "answers", "no_such_answer"), "62", "not an answer"),
        (("mastercard", "like"), "visa-9g", "stands by itself"),
        (("mastercard", "other"), {}, "nothing else"),
    ],
)
def test_a_dangerous_edit_is_refused(place: tuple[str, ...], value: object, says: str) -> None:
    """A table that would capture cards, approve or forbid retries is not loaded."""
    raw = shipped()
    table = raw
    for name in place[:-1]:
        table = table[name]
    table[place[-1]] = value
    with pytest.raises(ResponseCodesError, match=says):
        checked(raw)


@pytest.mark.parametrize(
    "place", [("unionpay",), ("unionpay", "reasons", "card_lost"), ("visa", "answers", "system")]
)
def test_a_gap_is_refused(place: tuple[str, ...]) -> None:
    """A table with a missing row is not loaded."""
    raw = shipped()
    table = raw
    for name in place[:-1]:
        table = table[name]
    del table[place[-1]]
    with pytest.raises(ResponseCodesError, match="missing"):
        checked(raw)


def test_an_issuers_own_file_is_read(tmp_path: Path) -> None:
    """The issuer edits a copy and names it."""
    own = tmp_path / "codes.toml"
    text = SHIPPED.read_text("utf-8").replace(
        'night_lock_active = "62"', 'night_lock_active = "05"'
    )
    own.write_text(text, "utf-8")
    assert load(own).code("unionpay", Outcome.REFUSE, Reason.NIGHT_LOCK_ACTIVE) == "05"


@pytest.mark.parametrize("content", [None, b"\xff", b"= ="])
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    """A missing or broken file is one clear error."""
    own = tmp_path / "codes.toml"
    if content is not None:
        own.write_bytes(content)
    with pytest.raises(ResponseCodesError, match="cannot be read"):
        load(own)
