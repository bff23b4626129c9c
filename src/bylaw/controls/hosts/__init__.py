"""Hosts: a request for another name than the application's own is nobody's here.

Threat: an attacker writes their own site into `Host`, and a reset link, a redirect or a cached page leads
there (CWE-644); a browser is made to ask this server under a name of the attacker's (DNS rebinding).
Mechanism: an allow-list of names, the host of base_url by default; a name is compared in one spelling,
and what can be read in two ways is refused before it is compared. Source: RFC 9110 section 7.2 and
7.4, RFC 9112 section 3.2, C-38.
It does not choose where links lead: base_url does, and nothing in bylaw builds one from Host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Literal

from bylaw import control
from bylaw.control import Conflict, Control
from bylaw.controls.hosts import probes, sabotages
from bylaw.controls.proxies import addresses
from bylaw.exchange import ALLOW, Exchange, Malformed, Refuse, Step, Verdict
from bylaw.house import House
from bylaw.policy import Policy
from bylaw.reasons import Reason

UNKNOWN = Reason(
    "hosts.unknown",
    421,
    "This server does not answer for that name.",
    "Host (or X-Forwarded-Host of a trusted proxy) is neither the host of base_url nor in hosts.allowed. "
    "Behind a proxy: does it pass Host on, or is it trusted to name it (proxies.x_host)?",
)

HERE: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""What a developer's browser asks for, with any port."""


class Settings(control.Settings):
    """For which names the application answers."""

    allowed: tuple[str, ...] = ()
    """Further names than base_url's, each with its port where that is not the usual one. A leading dot
    stands for the name and all its sub-domains."""

    status: Literal[400, 421] = 421
    """The status of a refusal: 421 says that the name is wrong (RFC 9110 section 15.5.20)."""


Answers = Callable[[str], bool]


def _answers(policy: Policy) -> Answers:
    """Whether the application answers for a Host value. Raises Malformed where it is none."""
    settings = policy.of(Settings)
    default = 443 if policy.app.secure else 80
    exact: set[tuple[str, int | None]] = set()
    below: set[tuple[str, int | None]] = set()
    for text in (policy.app.origin.partition("://")[2], *settings.allowed):
        name, port = addresses.host(text.removeprefix(".")) or ("", None)  # refused at the start
        exact.add((name, None if port == default else port))
        if text.startswith("."):
            below.add((f".{name}", None if port == default else port))
    development = not policy.production

    def answers(text: str) -> bool:
        read = addresses.host(text)
        if read is None:
            raise Malformed("the header host names none")
        name, port = read
        if development and name in HERE:
            return True
        port = None if port == default else port
        if (name, port) in exact:
            return True
        return any(port == its and name.endswith(suffix) for suffix, its in below)

    return answers


def _arrive(house: House) -> Step:
    settings = house.policy.of(Settings)
    answers = _answers(house.policy)
    own = house.policy.app.origin.partition("://")[2]
    usual = own if answers(own) else ""

    def step(exchange: Exchange) -> Verdict:
        host = exchange.headers.one("host")
        if exchange.forwarded is not None and exchange.forwarded.host is not None:
            host = exchange.forwarded.host
        if host == usual:
            return ALLOW if exchange.path[:1] == "/" else decide(exchange, host)
        return decide(exchange, host)

    def decide(exchange: Exchange, host: str | None) -> Verdict:
        if host is None:
            raise Malformed("the header host is missing")
        if not answers(host):
            return Refuse(UNKNOWN, status=settings.status)
        if exchange.path[:1] != "/" and exchange.path != "*":
            # GET http://elsewhere/ HTTP/1.1: some servers hand the whole address on as the path.
            raise Malformed("the request names its host twice")
        return ALLOW

    return step


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    name = policy.app.origin.partition("://")[2].partition(":")[0]
    if name[:1] != "[" and addresses.host(name) is None:
        yield Conflict("app.base_url", "no request could name its host", 'e.g. "https://mtc.acme.eu"')
    for index, text in enumerate(policy.of(Settings).allowed):
        wrong = _wrong(text)
        if wrong is not None:
            yield Conflict(f"hosts.allowed.{index}", *wrong)


def _wrong(text: str) -> tuple[str, str] | None:
    """Why an entry of the list names no host, or too many, and what to write."""
    name = text.removeprefix(".")
    if "*" in text:
        return "any name could be written into a request", 'the names themselves, or ".mtc.acme.eu"'
    if addresses.host(name) is None or name != name.lower() or name.endswith("."):
        return (
            f"{text!r} is not a host as browsers send it",
            'a name in lower case, with its port where that is not the usual one: "mtc.acme.eu:8443"',
        )
    if text.startswith(".") and "." not in name:
        return f"every site below {text!r} could be meant", 'e.g. ".mtc.acme.eu"'
    return None


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    own = policy.app.origin.partition("://")[2]
    names = ", ".join(f"`{name}`" for name in (own, *settings.allowed))
    below = (
        " (a leading dot: the name and its sub-domains)" if any(n[0] == "." for n in settings.allowed) else ""
    )
    return [
        f"The application answers for {names}{below}; a request for any other name gets {settings.status}.",
        "A request without Host, with two of them or with what is no host gets 400.",
        "Links and redirects of bylaw are built from `base_url`, never from what a request names.",
    ]


CONTROL = Control(
    name="hosts",
    title="Hosts",
    settings=Settings,
    statement=_statement,
    reasons=(UNKNOWN,),
    steps={"arrive": _arrive},
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=("C-38",),
    asvs=("2.2.1", "2.2.2"),
)
