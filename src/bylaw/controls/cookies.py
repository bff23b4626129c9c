"""Cookies: no cookie leaves without the attributes that keep it where it belongs.

Threat: a session cookie read by script, sent in clear, planted by a neighbouring sub-domain or
carried along by another site's request. Mechanism: the session's cookie is `__Host-` prefixed,
Secure, HttpOnly and SameSite; every other cookie that the application sets is completed on its way
out. Source: RFC 6265bis section 4.1.3, ASVS 5.0.0 3.3.1 to 3.3.4, CHIPS.
It does not stop a script of the page itself from using the session (see headers).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from bylaw import control
from bylaw.control import Below, Conflict, Control
from bylaw.exchange import Depart, Exchange, Head
from bylaw.house import House
from bylaw.policy import Policy

SESSION = "sid"
VISITOR = "visitor"


class Settings(control.Settings):
    """How cookies are marked."""

    same_site: Literal["Strict", "Lax", "None"] = "Lax"
    """Which requests of other sites carry the session. "None" only with `partitioned`."""

    partitioned: bool = False
    """One jar per embedding site (CHIPS): for an application shown in another site's frame."""

    readable: tuple[str, ...] = Field(())
    """Cookies of the application that its scripts must read; all others are HttpOnly."""

    def below_standard(self) -> Iterable[Below]:
        if self.same_site == "None":
            yield Below("same_site", "None", "Strict or Lax", "NIST SP 800-63B-4 5.1.1")


def name(policy: Policy, base: str) -> str:
    """The cookie's name: `__Host-` where the site is https, which a browser then enforces."""
    return f"__Host-{base}" if policy.app.secure else base


def make(policy: Policy, base: str, value: str, *, lifetime: int | None = None) -> str:
    """A Set-Cookie value for one of bylaw's own cookies; `lifetime` 0 ends it."""
    settings = policy.of(Settings)
    parts = [f"{name(policy, base)}={value}", "Path=/", "HttpOnly"]
    parts.append(f"SameSite={settings.same_site}")
    if policy.app.secure:
        parts.append("Secure")
    if settings.partitioned:
        parts.append("Partitioned")
    if lifetime is not None:
        parts.append(f"Max-Age={lifetime}")
    return "; ".join(parts)


def complete(policy: Policy, cookie: str) -> str:
    """A cookie of the application with the attributes that it lacks."""
    settings = policy.of(Settings)
    key = cookie.partition("=")[0].strip()
    given = {part.partition("=")[0].strip().lower() for part in cookie.split(";")[1:]}
    if "samesite" not in given:
        cookie += f"; SameSite={settings.same_site}"
    if policy.app.secure and "secure" not in given:
        cookie += "; Secure"
    if "httponly" not in given and key not in settings.readable:
        cookie += "; HttpOnly"
    return cookie


def _depart(house: House) -> Depart:
    policy = house.policy

    def depart(exchange: Exchange, head: Head) -> None:
        if head.get("set-cookie") is not None:
            cookies = head.every("set-cookie")
            head.remove("set-cookie")
            for cookie in cookies:
                head.add("set-cookie", complete(policy, cookie))
        for cookie in exchange.cookie_changes or ():
            head.add("set-cookie", cookie)

    return depart


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    if policy.production and not policy.app.secure:
        yield Conflict("app.base_url", "production cookies are Secure: over http nobody can sign in",
                       'an https address: base_url = "https://…"')
    if settings.same_site == "None" and not (settings.partitioned and policy.app.secure):
        yield Conflict("cookies.same_site",
                       '"None" sends the session along with every site\'s requests',
                       "partitioned = true over https, where the application is embedded; else Lax")


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    flags = ["HttpOnly", f"SameSite={settings.same_site}"]
    if policy.app.secure:
        flags.insert(0, "Secure")
    if settings.partitioned:
        flags.append("Partitioned")
    sentences = [
        f"The session's cookie is `{name(policy, SESSION)}`, {', '.join(flags)}, Path=/, without "
        "Domain.",
        "Every cookie that the application sets is completed with the same attributes.",
    ]
    if settings.readable:
        sentences.append(f"Readable by script: {', '.join(f'`{c}`' for c in settings.readable)}.")
    return sentences


CONTROL = Control(
    name="cookies",
    title="Cookies",
    settings=Settings,
    statement=_statement,
    steps={"depart": _depart},
    conflicts=_conflicts,
    requirements=("S1-076", "S1-077", "S1-078", "S1-079", "S1-080", "S2-008", "S2-009"),
    asvs=("3.3.1", "3.3.2", "3.3.3", "3.3.4"),
)
