"""Cookies: no cookie leaves without the attributes that keep it where it belongs.

Threat: a session cookie read by script, sent in clear, planted by a neighbouring sub-domain or
carried along by another site's request. Mechanism: the session's cookie is `__Host-` prefixed,
Secure, HttpOnly and SameSite; every other cookie that the application sets is completed on its way
out. Source: RFC 6265bis section 4.1.3, ASVS 5.0.0 3.3.1 to 3.3.4, CHIPS.
It does not stop a script of the page itself from using the session (see headers).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from bylaw import control
from bylaw.control import Below, Broken, Conflict, Control, Patch, probe, sabotage
from bylaw.controls import headers
from bylaw.exchange import Depart, Exchange, Head
from bylaw.house import House
from bylaw.policy import Policy

SESSION = "sid"
VISITOR = "visitor"
DEVICE = "device"
CEREMONY = "ceremony"
PASSKEY = "passkey"
OWN = (SESSION, VISITOR, DEVICE, CEREMONY, PASSKEY)

CookieName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]  # RFC 6265 4.1.1


class Settings(control.Settings):
    """How cookies are marked."""

    same_site: Literal["Strict", "Lax", "None"] = "Lax"
    """Which requests of other sites carry the session. "None" only with `partitioned`."""

    partitioned: bool = False
    """One jar per embedding site (CHIPS): for an application shown in another site's frame."""

    readable: tuple[CookieName, ...] = ()
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
    # What was begun here and is ended by another site's redirect must come along with it (C-09).
    site = "Lax" if base == CEREMONY and settings.same_site == "Strict" else settings.same_site
    parts.append(f"SameSite={site}")
    if policy.app.secure:
        parts.append("Secure")
    if settings.partitioned:
        parts.append("Partitioned")
    if lifetime is not None:
        parts.append(f"Max-Age={lifetime}")
    return "; ".join(parts)


_KEPT = {"strict": "Strict", "lax": "Lax"}


def complete(policy: Policy, cookie: str) -> str:
    """A cookie of the application with the attributes that it lacks.

    What it says of SameSite stands where it is Strict or Lax. None is the policy's to say, and what
    comes twice counts as browsers count it: the last.
    """
    settings = policy.of(Settings)
    parts = [part.strip() for part in cookie.split(";")]
    said = {part.partition("=")[0].strip().lower(): part.partition("=")[2].strip() for part in parts[1:]}
    parts = [parts[0], *(p for p in parts[1:] if p.partition("=")[0].strip().lower() != "samesite")]
    parts.append(f"SameSite={_KEPT.get(said.get('samesite', '').lower(), settings.same_site)}")
    if policy.app.secure and "secure" not in said:
        parts.append("Secure")
    if "httponly" not in said and _key(cookie) not in settings.readable:
        parts.append("HttpOnly")
    if settings.partitioned and "partitioned" not in said:
        parts.append("Partitioned")
    return "; ".join(parts)


def _key(cookie: str) -> str:
    """The name in a Set-Cookie value."""
    return cookie.partition(";")[0].partition("=")[0].strip()


def _depart(house: House) -> Depart:
    policy = house.policy
    own = {name(policy, each) for each in OWN}

    def depart(exchange: Exchange, head: Head) -> None:
        if "set-cookie" in head.names:
            theirs = head.every("set-cookie")
            head.remove("set-cookie")
            for cookie in theirs:
                # bylaw alone opens sessions: a hole in the application must not plant one.
                if _key(cookie) not in own:
                    head.add("set-cookie", complete(policy, cookie))
        if exchange.cookie_changes is not None:
            # The last word on each: no response sets a cookie twice (RFC 6265 section 4.1.1).
            for cookie in {_key(cookie): cookie for cookie in exchange.cookie_changes}.values():
                head.add("set-cookie", cookie)

    return depart


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    if settings.off:
        yield Conflict(
            "cookies.off", "nobody could sign in: the session's cookie would not leave", "leave the key out"
        )
    if policy.production and not policy.app.secure:
        yield Conflict(
            "app.base_url",
            "production cookies are Secure: over http nobody can sign in",
            'an https address: base_url = "https://…"',
        )
    if settings.partitioned and not policy.app.secure:
        yield Conflict(
            "cookies.partitioned",
            "browsers take a partitioned cookie over https alone",
            "an https address in app.base_url, or partitioned = false",
        )
    if settings.same_site == "None":
        if not (settings.partitioned and policy.app.secure):
            yield Conflict(
                "cookies.same_site",
                '"None" sends the session along with every site\'s requests',
                "partitioned = true over https, where the application is embedded; else Lax",
            )
        if not policy.of(headers.Settings).frame_ancestors:
            yield Conflict(
                "cookies.same_site",
                '"None" is for an application in another site\'s frame, and no site may show this one',
                "headers.frame_ancestors names the site; else Lax",
            )
        elif headers.framed_by_anybody(policy.of(headers.Settings)):
            yield Conflict(
                "cookies.same_site",
                '"None" is for an application in another site\'s frame, and any site may show this one',
                "headers.frame_ancestors names the sites, without a wildcard for all; else Lax",
            )
    for index, readable in enumerate(settings.readable):
        if readable in {name(policy, each) for each in OWN}:
            yield Conflict(
                f"cookies.readable.{index}",
                f"{readable} is never readable by script",
                "cookies of the application alone",
            )


# Probes


@probe("high", "S1-076", "S1-077", "S1-078", "S1-079", "S1-080", "S2-008", "S2-009", "S2-010", "C-09")
def own_cookies_stay_where_they_belong(lab: Any) -> str:
    """Every cookie of bylaw's own is prefixed, HttpOnly, SameSite and Secure, when it ends as well."""
    person = lab.person()
    lapsed = lab.client()
    lapsed.cookies[lab.cookie] = "x" * len(lapsed.cookies[lab.cookie])
    replies = {
        "the sign-in page": lab.visitor().page(lab.url("sign_in")),
        "a refused form": lab.visitor().send(
            "POST", lab.url(lab.door), form={}, headers=[("Accept", "text/html"), *person.from_here]
        ),
        "signing in": lab.sign_in(person),
        "signing out": person.act("POST", lab.api("sign_out"), json={}),
        "an unknown session": lab.whoami(lapsed),
    }
    seen = [(what, cookie) for what, reply in replies.items() for cookie in reply.all("set-cookie")]
    settings = lab.policy.of(Settings)
    wanted = {"path=/", "httponly", f"samesite={settings.same_site.lower()}"}
    wanted |= {"secure"} if lab.policy.app.secure else set()
    wanted |= {"partitioned"} if settings.partitioned else set()
    for what, cookie in seen:
        prefix = "__Host-" if lab.policy.app.secure else ""
        attributes = _attributes(cookie)
        if not _key(cookie).startswith(prefix):
            raise Broken(f"{what}: {_key(cookie)} has no prefix {prefix}")
        if wanted - attributes or any(a.startswith("domain") for a in attributes):
            raise Broken(f"{what}: {_key(cookie)} leaves with {sorted(attributes)}")
    for what in ("signing in", "signing out", "an unknown session"):
        known = [_key(c) for w, c in seen if w == what and _key(c) != name(lab.policy, DEVICE)]
        if known != [lab.cookie]:
            raise Broken(f"{what} does not set the session's cookie, once")
    return f"{len(seen)} cookies of {len(replies)} answers: {', '.join(sorted(wanted))}"


@probe("medium", "S1-076", "S1-077", "S2-008", "S2-009", "S2-010")
def the_applications_cookies_are_completed(lab: Any) -> str:
    """A cookie that the application sets carelessly leaves with the policy's attributes."""
    settings = lab.policy.of(Settings)
    policy_says = f"samesite={settings.same_site.lower()}"
    careless = {
        "bare=1": policy_says,
        "none=1; SameSite=None": policy_says,
        "twice=1; SameSite=Lax; samesite=None": policy_says,
        "lax=1; Path=/a; SameSite=Lax": "samesite=lax",
        "strict=1; SameSite=STRICT; Max-Age=9": "samesite=strict",
    }
    for status in (200, 303, 404):
        with lab.answering(status, [("Set-Cookie", c) for c in careless], b""):
            reply = lab.visitor().get("/")
        left = {_key(cookie): _attributes(cookie) for cookie in reply.all("set-cookie")}
        for cookie, same_site in careless.items():
            wanted = {same_site, "httponly"} | ({"secure"} if lab.policy.app.secure else set())
            found = left.get(_key(cookie), set())
            if wanted - found or len([a for a in found if a.startswith("samesite")]) != 1:
                raise Broken(f"{cookie!r} left with {sorted(found)}")
    return f"{len(careless)} careless cookies, each completed on 200, 303 and 404"


@probe("high", "C-09")
def nobody_else_sets_the_session(lab: Any) -> str:
    """A cookie named like the session's is taken but once, and never from the application."""
    person = lab.client()
    secret = person.cookies[lab.cookie]
    for what, header in (
        ("the session and a planted one", f"{lab.cookie}={secret}; {lab.cookie}=planted"),
        ("a planted one and the session", f"{lab.cookie}=planted; {lab.cookie}={secret}"),
        ("another case", f"{lab.cookie.swapcase()}={secret}"),
        ("a blank that browsers take for a letter", f"\xa0{lab.cookie}={secret}"),
        ("a name within quotes", f'a="; b={lab.cookie}={secret}"'),
    ):
        reply = person.get(lab.api("me"), headers=[("Cookie", header)], keep=False)
        if reply.status != 401:
            raise Broken(f"{what} was believed: {reply}")
    with lab.answering(200, [("Set-Cookie", f"{lab.cookie}=planted; Path=/"), ("Set-Cookie", "a=b")]):
        left = [_key(c) for c in lab.visitor().get("/").all("set-cookie")]
    if left != ["a"]:
        raise Broken(f"the application sets {', '.join(left)}")
    return "five planted cookies, none believed; the application cannot set one either"


def _attributes(cookie: str) -> set[str]:
    return {part.strip().lower() for part in cookie.split(";")[1:]}


# Sabotages


@sabotage
def scripts_may_read_everything(patch: Patch) -> None:
    """HttpOnly is left out of every cookie."""
    this, before, finish = sys.modules[__name__], make, complete
    patch(this, "make", lambda *a, **k: before(*a, **k).replace("; HttpOnly", ""))
    patch(this, "complete", lambda *a: finish(*a).replace("; HttpOnly", ""))


@sabotage
def cookies_have_no_prefix(patch: Patch) -> None:
    """A neighbouring sub-domain may set the session's cookie."""
    patch(sys.modules[__name__], "name", lambda policy, base: base)


@sabotage
def the_application_marks_its_own(patch: Patch) -> None:
    """Cookies of the application leave as they are."""
    patch(sys.modules[__name__], "complete", lambda policy, cookie: cookie)


@sabotage
def ending_forgets_the_attributes(patch: Patch) -> None:
    """The cookie that ends a session is another one: without the attributes of the first."""
    before = make

    def bare(policy: Policy, base: str, value: str, *, lifetime: int | None = None) -> str:
        made = before(policy, base, value, lifetime=lifetime)
        return made if lifetime is None else f"{name(policy, base)}=; Max-Age={lifetime}"

    patch(sys.modules[__name__], "make", bare)


@sabotage
def the_last_of_two_is_believed(patch: Patch) -> None:
    """A cookie that came twice is read as its last value, blanks and all."""

    def believed(self: Exchange, wanted: str) -> str | None:
        found = None
        for header in self.headers.all("cookie"):
            for part in header.split(";"):
                key, _, value = part.partition("=")
                found = value.strip() if key.strip() == wanted else found
        return found

    patch(Exchange, "cookie", believed)


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    flags = ["HttpOnly", f"SameSite={settings.same_site}"]
    if policy.app.secure:
        flags.insert(0, "Secure")
    if settings.partitioned:
        flags.append("Partitioned")
    sentences = [
        (
            f"The session's cookie is `{name(policy, SESSION)}`, {', '.join(flags)}, Path=/, without "
            "Domain. It is not believed when it comes twice, and only bylaw sets it."
        ),
        (
            "Every cookie that the application sets is completed with the same attributes; of "
            "SameSite only Strict and Lax are left as the application says."
        ),
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
    probes=(
        own_cookies_stay_where_they_belong,
        the_applications_cookies_are_completed,
        nobody_else_sets_the_session,
    ),
    sabotages=(
        scripts_may_read_everything,
        cookies_have_no_prefix,
        the_application_marks_its_own,
        ending_forgets_the_attributes,
        the_last_of_two_is_believed,
    ),
    conflicts=_conflicts,
    requirements=("S1-076", "S1-077", "S1-078", "S1-079", "S1-080", "S2-008", "S2-009", "S2-010", "C-09"),
    asvs=("3.3.1", "3.3.2", "3.3.3", "3.3.4"),
)
