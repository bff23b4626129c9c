"""Which addresses anybody may reach, and which never lead to anything but trouble.

`ipaddress` knows most of the special registries (RFC 6890), of the Python that runs; what its `is_global`
leaves open is closed here: everything of IPv6 outside of 2000::/3 (RFC 4291), what carries an IPv4 address
inside, what was registered later, and addresses that look public and are a cloud's own.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

_UNICAST: Final = IPv6Network("2000::/3")
"""The only part of IPv6 that was given to anybody who may be reached (RFC 4291 section 2.4, IANA)."""
_NAT64: Final = IPv6Network("64:ff9b::/96")
"""Where a network without IPv4 has it (RFC 6052): what counts is the IPv4 address inside."""
_CLOSED: Final = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments: PCP reaches the own gateway (RFC 7723)
    IPv4Network("192.88.99.0/24"),  # 6to4's relays, gone (RFC 7526)
    IPv6Network("2002::/16"),  # 6to4: another way to write an IPv4 address (RFC 7526)
    IPv6Network("2001::/23"),  # protocol assignments, Teredo among them (RFC 2928, 4380)
    IPv6Network("3fff::/20"),  # documentation (RFC 9637), later than some Pythons
)
METADATA: Final = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google, DigitalOcean, Oracle
        "169.254.170.2",  # AWS: credentials of a container
        "169.254.170.23",  # AWS: credentials of a pod
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS: credentials of a pod
        "fd20:ce::254",  # Google
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle, classic
        "168.63.129.16",  # Azure: looks public, and is the host's own
    )
)
"""Where clouds keep what a machine signs in with."""


def plain(address: Address) -> Address:
    """The IPv4 address inside of an IPv6 one, where a machine would go there: mapped (RFC 4291), NAT64."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def metadata(address: Address) -> bool:
    """Whether it is where a cloud keeps a machine's own credentials, or a link's own address."""
    inner = plain(address)
    return inner in METADATA or inner.is_link_local


def is_public(address: Address) -> bool:
    """Whether anybody may reach it: one machine's, globally reachable (RFC 6890), and no cloud's own."""
    inner = plain(address)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return False  # nobody's resolver says so with good intent
    if isinstance(inner, IPv6Address) and (inner.scope_id is not None or inner not in _UNICAST):
        return False
    closed = any(inner in network for network in _CLOSED if network.version == inner.version)
    return inner.is_global and not inner.is_multicast and not closed and not metadata(inner)


def nowhere(address: Address) -> bool:
    """Whether it is no single machine's address: multicast, unspecified, reserved. Nothing opens these."""
    inner = plain(address)
    return inner.is_multicast or inner.is_unspecified or inner == IPv4Address("255.255.255.255")
