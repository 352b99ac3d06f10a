"""Addresses: which ones the house may connect to.

An address that somebody registers must not make the house knock at doors of its own network (SSRF).
What decides is the numeric address that is connected to, never a name, and an IPv4 address that is
wrapped in IPv6 counts as itself.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final


class Reach(Enum):
    """How far a channel may speak."""

    #: Addresses of the public Internet only.
    PUBLIC = 1
    #: Addresses inside the issuer's own network too, and this machine.
    PRIVATE_TOO = 2
    #: This machine only (`--test-mode`).
    LOOPBACK_ONLY = 3


def reach_of(*, allow_private: bool, only_loopback: bool) -> Reach:
    """How far a channel may speak; test mode outdoes what the settings say."""
    if only_loopback:
        return Reach.LOOPBACK_ONLY
    return Reach.PRIVATE_TOO if allow_private else Reach.PUBLIC


class _Kind(IntEnum):
    """Kinds of address; the greater, the more dangerous."""

    PUBLIC = 0
    INSIDE = 1
    LOOPBACK = 2
    NEVER = 3


_NETWORKS: Final = {
    kind: tuple(ip_network(text) for text in texts.split())
    for kind, texts in {
        # No settings allow these: this network, link-local (where clouds keep their metadata and
        # with it their keys), protocol assignments, multicast, reserved; metadata services that
        # live elsewhere (Alibaba Cloud, Azure, AWS on IPv6); deprecated forms of IPv6.
        _Kind.NEVER: "0.0.0.0/8 169.254.0.0/16 192.0.0.0/24 224.0.0.0/4 240.0.0.0/4 "
        "100.100.100.200/32 168.63.129.16/32 fd00:ec2::/32 ::/128 fe80::/10 fec0::/10 ff00::/8",
        _Kind.LOOPBACK: "127.0.0.0/8 ::1/128",
        _Kind.INSIDE: "10.0.0.0/8 100.64.0.0/10 172.16.0.0/12 192.168.0.0/16 198.18.0.0/15 "
        "fc00::/7",
    }.items()
}
_NAT64: Final = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
_WORDS: Final = {_Kind.INSIDE: "private", _Kind.LOOPBACK: "loopback", _Kind.NEVER: "reserved"}


def why_not(address: str, reach: Reach) -> str:
    """Why an address must not be connected to, in a few words without it; empty = it may be.

    Args:
        address: a numeric IPv4 or IPv6 address, as the system's resolver gives it.
        reach: how far the channel may speak.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return "the host's address is none"
    kind = _kind_of(ip)
    if reach is Reach.LOOPBACK_ONLY:
        return "" if kind is _Kind.LOOPBACK else "in test mode only this machine may be told"
    allowed = _Kind.PUBLIC if reach is Reach.PUBLIC else _Kind.LOOPBACK
    return "" if kind <= allowed else f"the host's address is {_WORDS[kind]}, which is not allowed"


def _kind_of(ip: IPv4Address | IPv6Address) -> _Kind:
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return _kind_of(ip.ipv4_mapped)
        inner = _tunnelled(ip)
        if inner:
            # What a tunnel leads to is as far as we may look: loopback behind one is not here.
            return _Kind.NEVER if max(map(_kind_of, inner)) > _Kind.PUBLIC else _Kind.PUBLIC
    for kind, networks in _NETWORKS.items():
        if any(_holds(network, ip) for network in networks):
            return kind
    if ip.is_global and not ip.is_reserved:
        return _Kind.PUBLIC
    return _Kind.NEVER if ip.is_reserved or ip.is_multicast else _Kind.INSIDE


def _tunnelled(ip: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that 6to4, Teredo and NAT64 carry in an IPv6 address."""
    if ip.sixtofour is not None:
        return [ip.sixtofour]
    if ip.teredo is not None:
        return list(ip.teredo)
    if any(_holds(network, ip) for network in _NAT64):
        return [IPv4Address(int(ip) & 0xFFFF_FFFF)]
    return []


def _holds(network: IPv4Network | IPv6Network, ip: IPv4Address | IPv6Address) -> bool:
    return network.version == ip.version and int(ip) & int(network.netmask) == int(
        network.network_address
    )
