"""Addresses of clients: how one is read, and which count as one client."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from bylaw.control import Conflict

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNIX: Final = "unix"
"""How a policy names whoever comes over a Unix socket, where there is no address."""
_PORT: Final = re.compile(r":[0-9]{1,5}")
_LONGEST: Final = 100
"""Characters of an address with brackets, zone and port, with room to spare."""


def group(address: str) -> str:
    """The key for limits: an IPv4 address whole, an IPv6 address by its /64.

    Whoever has one IPv6 address has its /64, which is 2^64 of them (RFC 6177, RFC 4291 section 2.5.1):
    counted singly, no limit would ever be reached. An IPv4 address in IPv6's clothes
    (`::ffff:192.0.2.1`) is the same client as without. What is no address stays as it is.
    """
    # Nearly every client: an IPv4 address is its own key, and nothing has to be read for that.
    return _network(address) if ":" in address else address


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    found = one(address)
    if found is None:
        return address
    if found.version == 4:
        return str(found)
    return f"{ipaddress.IPv6Address(int(found) >> 64 << 64)}/64"


def one(text: str) -> Address | None:
    """The address that `text` is; None where it is none. Without its zone, IPv4 in IPv6 as IPv4."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if found.version == 6 and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


def node(text: str) -> str | None:
    """The address of a list's entry in one spelling: `192.0.2.1:4711`, `[2001:db8::1]:4711`, `fe80::1%eth0`.

    None for whatever is no address: a name, `unknown`, an identifier that hides one (RFC 7239 section 6).
    """
    text = text.strip(" \t")
    if len(text) > _LONGEST:
        return None
    if text.startswith("["):
        inside, bracket, port = text[1:].partition("]")
        if not bracket or ":" not in inside or (port and not _PORT.fullmatch(port)):
            return None
        text = inside
    elif text.count(":") == 1:  # an IPv6 address has two at least
        text, _, port = text.partition(":")
        if not _PORT.fullmatch(f":{port}"):
            return None
    found = one(text)
    return None if found is None else str(found)


def network(text: str) -> Network:
    """The network or single address that a policy names. Raises ValueError.

    IPv4 in IPv6's clothes is read as IPv4, as the addresses are that it is compared with.
    """
    found = ipaddress.ip_network(text)
    if found.version == 6 and found.prefixlen >= 96:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network(f"{mapped}/{found.prefixlen - 96}")
    return found


def named(entry: str) -> list[str]:
    """The networks of one entry of a list: a variable may name several, separated by commas."""
    return [text for part in entry.split(",") if (text := part.strip())]


def faults(key: str, entries: tuple[str, ...]) -> Iterator[Conflict]:
    """What is wrong with a policy's list of networks."""
    for index, entry in enumerate(entries):
        for text in named(entry) or [entry]:
            try:
                network("127.0.0.1" if text == UNIX else text)
            except ValueError:
                host_bits = "/" in text and one(text.partition("/")[0]) is not None
                yield Conflict(
                    f"{key}.{index}",
                    f"{text!r} has bits set after its prefix" if host_bits else f"{text!r} is no network",
                    'e.g. "10.0.0.0/8", "2001:db8::/32", "192.0.2.7"',
                )


class Networks:
    """Whether an address is in one of some networks; what was asked lately is remembered."""

    def __init__(self, entries: tuple[str, ...]) -> None:
        texts = [text for entry in entries for text in named(entry)]
        self._networks = tuple(network(text) for text in texts if text != UNIX)
        self._unix = UNIX in texts
        self._known: dict[str, bool] = {}

    def __contains__(self, address: str) -> bool:
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= 4096:
                self._known.clear()  # addresses are a stranger's to choose: memory is not
            known = self._known[address] = self._within(address)
        return known

    def _within(self, address: str) -> bool:
        if not address:
            return self._unix  # a Unix socket has no address at its other end
        found = one(address)
        return found is not None and any(found in network for network in self._networks)


_HOST: Final = re.compile(
    r"(?P<name>(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?|\[[0-9a-f:.]+\])"
    r"(?P<dot>\.?)(?P<port>:[1-9][0-9]{0,4})?"
)
"""A name of labels (RFC 1123, with the underscore that some have) or an IPv6 address, and a port. No
user, no empty label, no empty port, nothing after it: what two parsers would read differently is none."""


@lru_cache(maxsize=1024)
def host(text: str) -> tuple[str, int | None] | None:
    """Name and port of a Host field (RFC 9110 section 7.2), in one spelling; None where it is none.

    Lower case and without the root's dot at its end: `APP.example.` and `app.example` are one name.
    """
    found = _HOST.fullmatch(text.lower()) if len(text) <= 300 and text.isascii() else None
    if found is None or len(found["name"]) > 253:
        return None
    name, port = found["name"], found["port"]
    if name.startswith("["):
        try:
            name = f"[{ipaddress.IPv6Address(name[1:-1])}]"
        except ValueError:
            return None
        if found["dot"]:
            return None
    number = int(port[1:]) if port else None
    return None if number is not None and number > 65535 else (name, number)
