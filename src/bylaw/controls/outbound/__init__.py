"""Outbound: an address that somebody else has named leads nowhere that only this machine may reach.

Threat: server-side request forgery (CWE-918): the address of an avatar or a webhook leads to the cloud's
credentials, to the database, to an administration page inside; by a number instead of a name, by a name that
leads inside, by one that leads elsewhere at the second look-up (DNS rebinding, CWE-367), by a redirect. An
answer without an end, or one that unpacks to one (CWE-409); a credential that follows a redirect (CWE-522).
Mechanism: one client for everything that asks somebody else's server (see bylaw.outbound): an address is read
once and strictly; only hosts that the policy names; a name is looked up once, every address that it leads to
must be public, and the connection goes to the very address that was judged; redirects are off, each that is
asked for is judged anew and takes no credential to another origin; size and time have an end. Source: OWASP
Server-Side Request Forgery Prevention; ASVS 5.0.0 1.3.6, 13.2.4, 13.2.5, 15.3.2; RFC 6890; S1-159.
It does not guard what the application asks by another library, and does not judge what public servers answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal

from pydantic import Field

from bylaw import control
from bylaw.control import Below, Conflict, Control
from bylaw.controls.outbound import probes, sabotages
from bylaw.house import House
from bylaw.outbound import Client, Rules, Target
from bylaw.outbound.rules import ANYBODY
from bylaw.outbound.targets import PORTS, Unreadable
from bylaw.policy import Policy
from bylaw.ports import Network
from bylaw.quantities import Duration, Size, spoken, weighed
from bylaw.reasons import Reason

FORBIDDEN = Reason(
    "outbound.forbidden",
    422,
    "This address cannot be asked. Give one that anybody can reach, of a host that is allowed here.",
    "The address is none, is of a host that [outbound] hosts does not name, or leads inside; the log and the "
    "audit log say which. Whoever gave it learns nothing of what there is inside: a name that leads nowhere "
    "is answered alike.",
)
UNANSWERED = Reason(
    "outbound.unanswered",
    502,
    "The server at this address did not answer as it should. Try again later.",
    "Nobody answered in time, the connection or its certificate was not good, or the answer was longer than "
    "[outbound] size. The log says which.",
)

_HOST: Final = re.compile(r"\*|(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|[0-9a-f:]*:[0-9a-f:.]*")


class Settings(control.Settings):
    """Whom the application may ask: everything that follows an address which somebody else has named."""

    hosts: tuple[str, ...] = ()
    """The hosts that the application may ask: `hooks.acme.eu`, `*.acme.eu` for all below it, `*` for whatever
    is public."""

    allow: tuple[str, ...] = ()
    """What may be asked although it is not public: scheme, host and port, exactly
    (`https://login.acme.lan:8443`). An application's own request needs its name in `hosts`, too."""

    schemes: tuple[Literal["https", "http"], ...] = ("https",)
    """How hosts may be asked."""

    ports: tuple[int, ...] = ()
    """Ports besides 443 (and 80, where http is allowed)."""

    size: Size = Field(1024 * 1024, ge=1024)
    """The longest answer that an application takes, on the wire and unpacked."""

    seconds: Duration = Field(10, ge=1, le=120)
    """How long a request may take, from the look-up to the last byte, redirects and all."""

    def below_standard(self) -> Iterable[Below]:
        if self.off:
            yield Below("off", "true", "addresses are judged", "ASVS 5.0.0 1.3.6")
        if ANYBODY in self.hosts:
            yield Below("hosts", ANYBODY, "the hosts that are needed, by name", "ASVS 5.0.0 13.2.4")
        if "http" in self.schemes:
            yield Below("schemes", "http", "https", "ASVS 5.0.0 12.3.1")


def rules(settings: Settings, *named: str) -> Rules:
    """What may be asked: `named` are addresses that the policy itself names elsewhere.

    Without any it is what the application may ask. With some it is what bylaw may ask for itself: those, what
    is public (an issuer names endpoints of its own), and what the policy allows inside.
    """
    inside = [Target.read(each) for each in (*settings.allow, *named)]
    if settings.off:
        return _Unguarded()
    return Rules(
        hosts=(ANYBODY, *(each.host for each in inside)) if named else settings.hosts,
        schemes=settings.schemes,
        ports=settings.ports,
        origins=tuple(each.origin for each in inside),
    )


class _Unguarded(Rules):
    """What is asked where the control is off: anything that can be read as an address."""

    def demand(self, target: Target) -> None:
        """Nothing is demanded."""

    def judge(self, target: Target, addresses: Iterable[object]) -> None:
        """Nothing is judged."""


def network(house: House, *named: str) -> Network:
    """The network by which this house asks others; a laboratory's, where it has one of its own.

    `named` are the addresses that the policy names for what asks: see `rules`.
    """
    return house.ports.network or client(house, *named)


def client(house: House, *named: str) -> Client:
    """The guarded client, whether or not there is a laboratory's network in its place."""
    settings = house.policy.of(Settings)
    return Client(
        rules(settings, *named),
        resolve=house.ports.resolver,
        dial=house.ports.dial,
        seconds=settings.seconds,
    )


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    for each in settings.hosts:
        if not _HOST.fullmatch(each) or each.endswith("."):
            yield Conflict(
                "outbound.hosts",
                f"{each!r} is no name of a host",
                'e.g. "hooks.acme.eu", "*.acme.eu"; in lower case, without scheme and port',
            )
    for each in settings.allow:
        if not _is_origin(each):
            yield Conflict(
                "outbound.allow",
                f"{each!r} is no scheme, host and port",
                'e.g. "https://login.acme.lan:8443"',
            )
    if not settings.schemes:
        yield Conflict("outbound.schemes", "nobody could be asked", '["https"]')
    for port in settings.ports:
        if not 0 < port < 65536:
            yield Conflict("outbound.ports", f"{port} is no port", "1 to 65535")


def _is_origin(text: str) -> bool:
    """Whether it is scheme, host and port, written as they are compared."""
    try:
        target = Target.read(text)
    except Unreadable:
        return False
    return text in (target.origin, f"{target.origin}:{PORTS[target.scheme]}")


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    named = ", ".join(f"`{host}`" for host in settings.hosts)
    whom = f"The application asks these hosts: {named}" if named else "The application asks no host"
    if ANYBODY in settings.hosts:
        whom = "The application asks any host that is public"
    sentences = [
        (
            f"{whom}. Addresses are asked by {' or '.join(settings.schemes)}; names and passwords in them, "
            f"other ports ({_ports(settings)}) and numbers in the place of names are refused."
        ),
        (
            "A name is looked up once. Every address that it leads to must be public (not this machine's, a "
            "private network's, a link's, a cloud's own), and the connection goes to an address that was "
            "judged; its certificate must be the name's."
        ),
        (
            "Redirects are not followed unless the code asks for it; each is then judged anew, none leads "
            "from https to http, and nothing but the question itself goes to another origin."
        ),
        (
            f"An answer has at most {weighed(settings.size)}, unpacked too, and {spoken(settings.seconds)}. "
            "No proxy of the environment is asked. What was refused is recorded; whoever gave the address "
            "learns nothing of what there is inside."
        ),
        "OpenID Connect and the look-up of leaked passwords go the same way.",
    ]
    if settings.allow:
        inside = ", ".join(f"`{each}`" for each in settings.allow)
        sentences.append(f"Allowed although they may be inside: {inside}.")
    return sentences


def _ports(settings: Settings) -> str:
    allowed = sorted({*(PORTS[scheme] for scheme in settings.schemes), *settings.ports})
    return f"than {', '.join(map(str, allowed))}"


CONTROL = Control(
    name="outbound",
    title="Outbound requests",
    settings=Settings,
    statement=_statement,
    reasons=(FORBIDDEN, UNANSWERED),
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=("S1-159",),
    asvs=("1.3.6", "13.2.4", "13.2.5", "15.3.2"),
)
