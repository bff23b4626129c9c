"""An address as text, read once and strictly: whoever connects uses these parts and no text again.

Two readers of one URL are how guards are passed (Tsai, A New Era of SSRF, 2017): what they could read
differently is refused (backslashes, userinfo, control characters, numbers that some read as IPv4).
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

import idna

PORTS: Final = {"https": 443, "http": 80}
LONGEST: Final = 4096
"""Characters of an address at most."""
_LABEL: Final = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NUMBER: Final = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII)
_BAD: Final = re.compile(r"[\x00-\x20\x7f\\]|[\ud800-\udfff]|%(?![0-9a-fA-F]{2})")
_SAFE: Final = "/%:@!$&'()*+,;=~-._?"


class Unreadable(ValueError):
    """No address of a server, or one that two readers could read differently. The text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: scheme, host in ASCII (IPv6 without brackets), port, path with query."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def read(cls, url: str) -> Target:
        """The parts of `url`. Raises Unreadable."""
        if len(url) > LONGEST:
            raise Unreadable(f"longer than {LONGEST} characters")
        if _BAD.search(url):
            raise Unreadable("a character that no address has")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise Unreadable("no address") from None
        scheme = parts.scheme.lower()
        if scheme not in PORTS:
            raise Unreadable("a scheme other than http and https")
        if "@" in parts.netloc:
            raise Unreadable("a name or password in the address")
        if port == 0 or not host:
            raise Unreadable("no host" if not host else "no port")
        path = quote(parts.path or "/", safe=_SAFE.replace("?", ""))
        query = f"?{quote(parts.query, safe=_SAFE)}" if parts.query else ""
        return cls(scheme, _host(host, bracketed="[" in parts.netloc), port or PORTS[scheme], path + query)

    def moved(self, location: str) -> Target:
        """Where a redirect from here leads. Raises Unreadable."""
        with suppress(UnicodeError):  # servers send UTF-8, which the header's reader took for Latin-1
            location = location.encode("latin-1").decode()
        if _BAD.search(location):
            raise Unreadable("a character that no address has")
        return Target.read(urljoin(self.url, location))

    @property
    def literal(self) -> IPv4Address | IPv6Address | None:
        """The address that the host itself is, where it is one and no name."""
        with suppress(ValueError):
            return ip_address(self.host)
        return None

    @property
    def authority(self) -> str:
        """Host and port as they stand in the Host field (RFC 9112 section 3.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port (RFC 6454)."""
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        return self.origin + self.path


def _host(host: str, *, bracketed: bool) -> str:
    """A host as it is looked up. Raises Unreadable."""
    if bracketed:
        return _ipv6(host)
    try:
        # As browsers do (UTS 46): full-width digits and dots become the ones that they look like.
        name = host if host.isascii() else idna.encode(host, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        raise Unreadable("no name of a host") from None
    name = name.lower().removesuffix(".")
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise Unreadable("no name of a host")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        # 2130706433, 0x7f.1 and 0177.0.0.1 are 127.0.0.1 to some and names to others (WHATWG URL 3.5).
        try:
            return str(IPv4Address(name))
        except ValueError:
            raise Unreadable("a number that is no IPv4 address in its usual form") from None
    return name


def _ipv6(host: str) -> str:
    try:
        found = IPv6Address(host)
    except ValueError:
        raise Unreadable("no IPv6 address") from None
    if found.scope_id is not None:
        raise Unreadable("an address with a zone")
    return str(found)
