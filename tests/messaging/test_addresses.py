"""Which addresses may be connected to."""

from __future__ import annotations

import pytest

from zhiwei.gateways.outgoing.addresses import Reach, reach_of, why_not

PUBLIC = [
    "93.184.216.34",
    "8.8.8.8",
    "2606:2800:220:1::1",
    "::ffff:93.184.216.34",
    "64:ff9b::808:808",
]
INSIDE = ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd12::1"]
LOOPBACK = ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"]
NEVER = [
    "0.0.0.0",
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::7f00:1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "fd00:ec2::254",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_told(address: str) -> None:
    """But for test mode, which keeps to this machine."""
    assert not why_not(address, Reach.PUBLIC)
    assert not why_not(address, Reach.PRIVATE_TOO)
    assert why_not(address, Reach.LOOPBACK_ONLY)


@pytest.mark.parametrize("address", INSIDE)
def test_the_issuers_own_network_is_told_only_where_it_is_allowed(address: str) -> None:
    """However the address is written."""
    assert "private" in why_not(address, Reach.PUBLIC)
    assert not why_not(address, Reach.PRIVATE_TOO)
    assert why_not(address, Reach.LOOPBACK_ONLY)


@pytest.mark.parametrize("address", LOOPBACK)
def test_this_machine_is_told_only_where_it_is_allowed(address: str) -> None:
    """In test mode it is all that is."""
    assert "loopback" in why_not(address, Reach.PUBLIC)
    assert not why_not(address, Reach.PRIVATE_TOO)
    assert not why_not(address, Reach.LOOPBACK_ONLY)


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("reach", Reach)
def test_some_addresses_are_never_told(address: str, reach: Reach) -> None:
    """Where clouds keep their keys, what is nobody's, what is everybody's, and ways round."""
    why = why_not(address, reach)
    assert why
    assert address not in why


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "1.2.3.4.5", "0x7f.1", "银行"])
def test_a_name_is_no_address(text: str) -> None:
    """What decides is numeric."""
    assert why_not(text, Reach.PRIVATE_TOO)


def test_documentation_addresses_are_not_public() -> None:
    """They lead nowhere, so they are not told by default."""
    for address in ("192.0.2.1", "198.51.100.1", "2001:db8::1"):
        assert why_not(address, Reach.PUBLIC)


def test_test_mode_outdoes_the_settings() -> None:
    """What `allow_private` says matters outside of it."""
    assert reach_of(allow_private=True, only_loopback=True) is Reach.LOOPBACK_ONLY
    assert reach_of(allow_private=True, only_loopback=False) is Reach.PRIVATE_TOO
    assert reach_of(allow_private=False, only_loopback=False) is Reach.PUBLIC
