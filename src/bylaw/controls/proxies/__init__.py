"""Trusted proxies: who sent a request, over what and to which name, when somebody stands in between.

Threat: a client writes `X-Forwarded-For` itself and is somebody else to limits, records and allow-lists;
it writes `X-Forwarded-Host` and a link leads to its own site (CWE-348, CWE-290). Mechanism: the headers
of a peer in `trusted` are believed, as many hops from the right as there are proxies; everybody else's
are dropped, so that the application cannot be fooled by them either. One answer for limits, records, logs
and links. Source: RFC 7239, ASVS 5.0.0 4.1.3 and 15.3.4, S1-083, S1-084.
It does not notice a proxy that nobody declared and that adds no header: all its visitors have its address.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from pydantic import Field

from bylaw import control
from bylaw.control import Conflict, Control
from bylaw.controls.proxies import addresses, probes, sabotages
from bylaw.controls.proxies.addresses import Networks, group, named, network, node
from bylaw.exchange import ALLOW, Exchange, Forwarded, HeaderNames, Headers, Step, Verdict
from bylaw.house import House
from bylaw.policy import Policy

__all__ = ["CONTROL", "Networks", "Settings", "group", "known"]

RELAYED: Final = "relayed"
"""Noted on an exchange that says itself that its peer only passed it on, while nobody may be believed
who sent it: its `client` is somebody in between."""
CLAIMS: Final = HeaderNames(
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-forwarded-scheme",
    "x-forwarded-protocol",
    "x-forwarded-ssl",
    "x-forwarded-path",
    "x-forwarded-uri",
    "x-forwarded-by",
    "x-forwarded",
    "forwarded-for",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-remote-ip",
    "x-remote-addr",
    "x-originating-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cf-pseudo-ipv4",
    "cf-visitor",
    "fastly-client-ip",
    "fly-client-ip",
    "x-azure-clientip",
    "x-appengine-user-ip",
    "x-envoy-external-address",
    "x-host",
    "x-original-host",
    "x-http-host-override",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-script-name",
    "x-scheme",
    "x-url-scheme",
    "front-end-https",
)
"""Header fields in which somebody in between says who asks, for what, over what. The application sees
none of them: what is true of them it gets as the request's own address, scheme and host."""
MOST: Final = 40
"""Entries of a list: more than any chain of proxies has."""
_LONGEST: Final = 2000
_REMEMBERED: Final = 1000
"""Lists at most that are remembered, and the characters that one may have."""
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_PORTS: Final = {"http": 80, "https": 443}
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")


class Settings(control.Settings):
    """Who may say for whom a request is passed on."""

    trusted: tuple[str, ...] = ()
    """The proxies, by network or address; `unix` for whoever comes over a Unix socket."""

    x_for: int = Field(0, ge=0, le=10)
    """Proxies that add to X-Forwarded-For: the client stands as many from the right. 0: not believed."""

    x_proto: int = Field(0, ge=0, le=10)
    """The same of X-Forwarded-Proto."""

    x_host: int = Field(0, ge=0, le=10)
    """The same of X-Forwarded-Host."""

    x_port: int = Field(0, ge=0, le=10)
    """The same of X-Forwarded-Port."""

    forwarded: bool = False
    """Whether the proxies send Forwarded (RFC 7239) in the place of the X-Forwarded headers."""


def known(exchange: Exchange) -> bool:
    """Whether `exchange.client` is who sent the request, as far as the request itself admits.

    An address opens something (an allow-list, metrics) only where this holds: an unreadable header must
    not leave a stranger with the address of the proxy.
    """
    return exchange.notes is None or RELAYED not in exchange.notes


# X-Forwarded-*: a list for each fact, to which each proxy adds on the right


def _counted(text: str, hops: int) -> tuple[str, ...]:
    """The last `hops` values of a list field; none where there are fewer, or too many to be true.

    What stands to the left of them is the client's own text, and not looked at.
    """
    if not text or text.count(",") >= MOST or len(text) > _LONGEST:
        return ()
    parts = text.rsplit(",", hops)[-hops:]
    return tuple(parts) if len(parts) == hops else ()


Read = Callable[[Headers], Forwarded]


def _joined(values: list[str]) -> str:
    """One list of all the fields of a name (RFC 9110 section 5.3)."""
    return values[0] if len(values) == 1 else ",".join(values)


def _x_forwarded(settings: Settings) -> Read:
    counts = settings.x_for, settings.x_proto, settings.x_host, settings.x_port
    for_, proto, host, port = counts
    remembered: dict[tuple[str, ...], Forwarded] = {}

    def read(headers: Headers) -> Forwarded:
        every = headers.all
        hosts = _joined(every("x-forwarded-host")) if host else ""
        ports = _joined(every("x-forwarded-port")) if port else ""
        texts = (
            _joined(every("x-forwarded-for")) if for_ else "",
            _joined(every("x-forwarded-proto")) if proto else "",
            hosts,
            ports,
            headers.one("host") or "" if ports and not hosts else "",
        )
        # The same few answers again and again: a visitor sends many requests, and by one proxy.
        found = remembered.get(texts)
        if found is None:
            *lists, own = texts
            counted = (_counted(text, hops) for text, hops in zip(lists, counts, strict=True))
            found = _facts(*counted, own=own)
            if sum(map(len, texts)) < _REMEMBERED:
                if len(remembered) >= _REMEMBERED:
                    remembered.clear()  # texts are a stranger's to make up: memory is not
                remembered[texts] = found
        return found

    return read


def _facts(
    clients: tuple[str, ...],
    schemes: tuple[str, ...],
    hosts: tuple[str, ...],
    ports: tuple[str, ...],
    *,
    own: str,
) -> Forwarded:
    """What the counted values say. Each list is believed as a whole, or not at all."""
    found = [node(text) for text in clients]
    scheme = _SCHEMES.get(schemes[0].strip(" \t").lower()) if schemes else None
    named = hosts[0].strip(" \t") if hosts else own
    port = ports[0].strip(" \t") if ports else ""
    return Forwarded(
        CLAIMS,
        client=found[0] if found and None not in found else None,
        scheme=scheme,
        host=_host(named, int(port) if _PORT.fullmatch(port) else None, scheme) if named else None,
    )


def _host(text: str, port: int | None, scheme: str | None) -> str | None:
    """A Host field of `text` with `port` in the place of its own; None where it names no host."""
    read = addresses.host(text)
    if read is None or (port or 0) > 65535:
        return None
    name, own = read
    port = port or own
    return name if port is None or port == _PORTS.get(scheme or "") else f"{name}:{port}"


# Forwarded: a list of elements, to which each proxy adds one

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR: Final = re.compile(
    rf'[ \t]*({_WORD})=(?:({_WORD})|"((?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)")[ \t]*'
)
_NOBODY: Final = re.compile(r"(unknown|_[A-Za-z0-9._-]+)(:[A-Za-z0-9._-]+)?", re.IGNORECASE)
"""A client that the proxy does not tell (RFC 7239 section 6.2 and 6.3)."""


def elements(text: str) -> list[dict[str, str]] | None:
    """The elements of a Forwarded field (RFC 7239 section 4), None where it is not one.

    Read from its beginning, since nobody knows from the right whether a comma stands in quotes: what a
    client left open swallows what the proxy added, and all of it is ignored (CVE-2026-32762).
    """
    found: list[dict[str, str]] = [{}]
    at = 0
    while True:
        pair = _PAIR.match(text, at)
        if pair is not None:
            name = pair[1].lower()
            if name in found[-1]:
                return None
            found[-1][name] = pair[2] if pair[2] is not None else re.sub(r"\\(.)", r"\1", pair[3])
            at = pair.end()
        else:
            at += len(text[at:]) - len(text[at:].lstrip(" \t"))
        if at == len(text):
            return [element for element in found if element]
        if text[at] == ",":
            found.append({})
        elif text[at] != ";":
            return None
        if len(found) > MOST:
            return None
        at += 1


def _forwarded(settings: Settings) -> Read:
    nothing = Forwarded(CLAIMS)

    @lru_cache(maxsize=1024)
    def facts(text: str) -> Forwarded:
        hops = elements(text) if len(text) <= _LONGEST else None
        if hops is None:
            return nothing

        def said(count: int, name: str) -> str:
            return hops[-count].get(name, "") if 0 < count <= len(hops) else ""

        clients = [said(count, "for") for count in range(1, settings.x_for + 1)]
        read = [node(text) for text in clients]
        if any(a is None and t and not _NOBODY.fullmatch(t) for a, t in zip(read, clients, strict=True)):
            return nothing
        scheme = _SCHEMES.get(said(settings.x_proto, "proto").lower())
        named = said(settings.x_host, "host")
        return Forwarded(
            CLAIMS,
            client=read[-1] if read and None not in read else None,
            scheme=scheme,
            host=_host(named, None, scheme) if named else None,
        )

    return lambda headers: facts(",".join(headers.all("forwarded")))


# A request


def _trusts(settings: Settings) -> Callable[[str], bool]:
    """Whether an address is a proxy's."""
    return Networks(settings.trusted).__contains__


def _arrive(house: House) -> Step:
    settings = house.policy.of(Settings)
    read = (_forwarded if settings.forwarded else _x_forwarded)(settings)
    trusts = _trusts(settings)
    dropped = Forwarded(CLAIMS)

    def step(exchange: Exchange) -> Verdict:
        peer = exchange.peer
        if peer[:7] == "::ffff:":  # a socket for both kinds gives IPv4 in IPv6's clothes
            exchange.client = str(addresses.one(peer) or peer)
        if exchange.headers.lack(CLAIMS):
            return ALLOW
        exchange.forwarded = found = read(exchange.headers) if trusts(peer) else dropped
        if found.scheme is not None:
            exchange.scheme = found.scheme
        if found.client is not None:
            exchange.client = found.client
        else:
            exchange.note(RELAYED, True)
        return ALLOW

    return step


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    yield from addresses.faults("proxies.trusted", settings.trusted)
    counts = {key: getattr(settings, key) for key in ("x_for", "x_proto", "x_host", "x_port")}
    if not settings.trusted:
        for key, hops in counts.items():
            if hops:
                yield Conflict(
                    f"proxies.{key}",
                    "nobody is trusted, so that no header is believed",
                    'the proxies: trusted = ["10.0.0.0/8"], or 0',
                )
    elif not any(counts.values()):
        yield Conflict(
            "proxies.trusted",
            "they are trusted, but none of their headers is believed",
            "how many proxies add to it: x_for = 1, x_proto = 1",
        )
    if settings.forwarded and settings.x_port:
        yield Conflict("proxies.x_port", "Forwarded has no port of its own", "0: it stands in its host")
    if policy.production:
        for index, entry in enumerate(settings.trusted):
            if any(_everybody(text) for text in named(entry)):
                yield Conflict(
                    f"proxies.trusted.{index}",
                    "everybody could say who they are",
                    'the networks of the proxies alone, e.g. "10.0.0.0/8"',
                )


def _everybody(text: str) -> bool:
    """Whether so wide a network holds clients as well: none that is private is wider."""
    try:
        found = network(text)
    except ValueError:
        return False  # said already, or `unix`
    return found.prefixlen < (8 if found.version == 4 else 7)


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    dropped = (
        "Whatever else says who asks, for what host or over what (`X-Forwarded-*`, `Forwarded`, `X-Real-IP`, "
        "`X-Original-URL` and their like) is ignored, and dropped before the application could read it."
    )
    one = "One address of the client serves limits, records and logs."
    if not settings.trusted:
        return [
            "No proxy is trusted: a request's address, scheme and host are those that the server saw.",
            dropped,
            one,
        ]
    fields = {"x_for": "X-Forwarded-For", "x_proto": "X-Forwarded-Proto"}
    fields |= {"x_host": "X-Forwarded-Host", "x_port": "X-Forwarded-Port"}
    if settings.forwarded:
        fields = {"x_for": "for", "x_proto": "proto", "x_host": "host"}
    believed = ", ".join(f"`{n}` ({getattr(settings, k)})" for k, n in fields.items() if getattr(settings, k))
    of = " of `Forwarded`" if settings.forwarded else ""
    # As written: which networks a variable names is nobody's business.
    who = ", ".join(
        f"`{text}`" for text in policy.written.get("proxies", {}).get("trusted", settings.trusted)
    )
    return [
        f"Believed{of}, from {who} alone and counted in hops from the right: {believed}.",
        (
            "A list with fewer values than hops, or with a counted value that cannot be read, is ignored as "
            "a whole."
        ),
        dropped,
        one,
    ]


CONTROL = Control(
    name="proxies",
    title="Trusted proxies",
    settings=Settings,
    statement=_statement,
    steps={"arrive": _arrive},
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=("S1-083", "S1-084", "C-38"),
    asvs=("4.1.3", "15.3.4"),
)
