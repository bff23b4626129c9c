"""Attacks by other sites' scripts. Every path is bylaw's own, or one of the application's route table."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from functools import wraps
from typing import Any, Final

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import cors

FOREIGN: Final = "https://elsewhere.invalid"
TWICE: Final = "errors.malformed"
"""What is said to an origin that could be read as two."""
NOWHERE: Final = "/no/such/path-7f3a"
_GRANTS: Final = "access-control-"
NAMED: Final = "https://frontend.lab"
"""The origin that is named for a while, where the policy names none."""
_PLACEHOLDER: Final = re.compile(r"<[^>]*>|\{[^}]*\}")


def _named_or_not(run: Callable[[Any], str]) -> Callable[[Any], str]:
    """A probe of what holds for named origins too: where the policy names none, once more with one."""

    @wraps(run)
    def both(lab: Any) -> str:
        if _settings(lab).origins:
            return run(lab)
        with suppress(CouldNotLook):
            run(lab)
        with lab.under(cors.Settings, origins=(NAMED,), credentials=True):
            return f"{run(lab)}; the policy names none: {NAMED} was named for this"

    return both


@probe("high", "S1-047", "S1-051", "S1-054", "S1-059", "S3-046", "S3-050", "S3-051")
@_named_or_not
def other_origins_read_nothing(lab: Any) -> str:
    """No answer to an origin that is not named bears a CORS field, whatever it looks like or carries."""
    person, origins = lab.ordinary(), list(_foreign(lab))
    for origin in origins:
        for what, reply in _answers(lab, person, origin):
            found = _fields(reply)
            if found:
                raise Broken(f"{what} to {origin!r} bears {found}")
        asked = _preflight(lab, lab.api("sign_out"), origin, "POST")
        if _settings(lab).origins and asked.code not in (cors.ORIGIN.code, TWICE):
            raise Broken(f"the preflight of {origin!r} was answered: {asked}")
    return f"{len(origins)} origins, each on {len(list(_answers(lab, person, FOREIGN)))} kinds of answer"


@probe("high", "S1-048", "S1-053", "S3-047")
@_named_or_not
def named_origins_read_what_they_may(lab: Any) -> str:
    """A named origin, and it alone, is named on answers, refusals and errors; cookies as the policy says."""
    settings, person = _settings(lab), lab.ordinary()
    wanted = "true" if settings.credentials else ""
    seen = 0
    for origin in _named(lab):
        for what, reply in _answers(lab, person, origin):
            if reply.all("access-control-allow-origin") != [origin]:
                raise Broken(f"{what} to {origin} names {reply.all('access-control-allow-origin')}")
            if reply.header("access-control-allow-credentials") != wanted:
                raise Broken(f"{what} to {origin} says of cookies: {_fields(reply)}")
            if reply.header("access-control-expose-headers") != ", ".join(settings.expose):
                raise Broken(f"{what} to {origin} shows other fields than the policy: {_fields(reply)}")
            seen += 1
    return f"{seen} answers to {len(settings.origins)} origins"


@probe("high", "S1-049", "S1-050", "S1-052", "S1-055", "S1-056", "S1-057", "S1-058", "S3-048", "S3-049")
@_named_or_not
def a_preflight_grants_what_policy_and_route_have(lab: Any) -> str:
    """A preflight never reaches the application; it grants what policy and route both have, and no TRACE."""
    settings, at = _settings(lab), lab.site.house.routes.at
    paths = [*dict.fromkeys(_PLACEHOLDER.sub("1", pattern) for _, pattern, _ in lab.routes()), NOWHERE]
    for origin in _named(lab):
        for path in paths:
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "MADEUP"):
                asked = _preflight(lab, path, origin, method, "X-Made-Up, Content-Type")
                route = at(method, path)
                granted = {m for m in settings.methods if m in route.methods or not route.methods}
                granted = {m for m in granted if at(m, path).name == route.name} | {"OPTIONS"}
                if method in granted:
                    _granted(asked, f"{method} {path}", granted, settings)
                else:
                    _not_granted(asked, f"{method} {path}")
        with lab.answering(418, body=b"the application"):
            asked = _preflight(lab, NOWHERE, origin, settings.methods[0])
        if asked.status != 200 or asked.body:
            raise Broken(f"the application answered a preflight: {asked}")
    return f"{len(paths)} paths asked for seven methods each"


def _not_granted(reply: Any, what: str) -> None:
    listed = [m.strip() for m in reply.header("access-control-allow-methods").split(",")]
    if reply.status < 400 or what.partition(" ")[0] in listed:
        raise Broken(f"{what} was granted: {reply}, {_fields(reply)}")


def _granted(reply: Any, what: str, granted: Collection[str], settings: cors.Settings) -> None:
    listed = [m.strip() for m in reply.header("access-control-allow-methods").split(",")]
    fields = [f.strip() for f in reply.header("access-control-allow-headers").split(",") if f.strip()]
    if reply.status != 200 or set(listed) != set(granted) or len(listed) != len(granted):
        raise Broken(f"{what}: {reply} grants {listed}, not {sorted(granted)}")
    if fields != list(settings.headers):
        raise Broken(f"{what} grants the fields {fields}, not {list(settings.headers)}")
    if reply.header("access-control-max-age") != str(settings.max_age):
        raise Broken(f"{what} is remembered for {reply.header('access-control-max-age')!r} seconds")


@probe("medium", "C-18")
@_named_or_not
def caches_keep_an_answer_for_each_origin(lab: Any) -> str:
    """Every answer says that it depends on Origin, once, beside what the application says."""
    if not _settings(lab).origins:
        raise CouldNotLook("the policy names no origin: no answer depends on it")
    person = lab.ordinary()
    origins = [FOREIGN, *_settings(lab).origins]
    for origin in origins:
        for what, reply in _answers(lab, person, origin):
            _vary_once(reply, what)
    for origin in ("", *origins):
        for said in (["Accept-Encoding"], ["Cookie, origin"], ["Origin", "Accept"], [""]):
            with lab.answering(200, [("Content-Type", "text/plain"), *(("Vary", v) for v in said)]):
                reply = lab.visitor().get("/", headers=[("Origin", origin)] if origin else [])
            _vary_once(reply, f"an answer with Vary: {said}", *(n for v in said for n in v.split(",")))
    return f"{len(origins)} origins, and four ways in which an application says Vary"


def _vary_once(reply: Any, what: str, *also: str) -> None:
    said = [name.strip().lower() for value in reply.all("vary") for name in value.split(",")]
    if said.count("origin") != 1:
        raise Broken(f"{what} varies by {said}")
    lost = {name.strip().lower() for name in also if name.strip()} - set(said)
    if lost:
        raise Broken(f"{what} has lost {sorted(lost)}: it varies by {said}")


@probe("high", "S1-054", "S3-051")
@_named_or_not
def the_application_has_no_say(lab: Any) -> str:
    """What the application says about origins does not leave: there is one policy."""
    generous = [
        ("Content-Type", "application/json"),
        ("Access-Control-Allow-Origin", FOREIGN),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Allow-Methods", "TRACE"),
        ("Access-Control-Allow-Headers", "*"),
        ("Access-Control-Expose-Headers", "Set-Cookie"),
        ("Access-Control-Max-Age", "86400"),
        ("Access-Control-Allow-Private-Network", "true"),
    ]
    settings = _settings(lab)
    for origin in ("", FOREIGN, *settings.origins):
        headers = [("Origin", origin)] if origin else []
        for status in (200, 404):
            with lab.answering(status, generous):
                reply = lab.visitor().get("/", headers=headers)
            allowed = {"access-control-allow-origin": origin} if origin in settings.origins else {}
            if allowed and settings.credentials:
                allowed["access-control-allow-credentials"] = "true"
            if allowed and settings.expose:
                allowed["access-control-expose-headers"] = ", ".join(settings.expose)
            if _fields(reply) != allowed:
                raise Broken(f"to {origin or 'nobody'} leaves {_fields(reply)}, not {allowed}")
    return f"seven generous fields, {2 + len(settings.origins)} origins: none of them left"


@probe("medium")
@_named_or_not
def private_networks_are_not_opened(lab: Any) -> str:
    """No preflight lets a public site's script reach a private network (CVE-2024-6221)."""
    asking = [("Access-Control-Request-Private-Network", "true")]
    for origin in (FOREIGN, *_settings(lab).origins):
        for path in (lab.api("me"), NOWHERE):
            reply = _preflight(lab, path, origin, "GET", more=asking)
            if reply.header("access-control-allow-private-network"):
                raise Broken(f"granted to {origin} on {path}")
    return f"{1 + len(_settings(lab).origins)} origins asked for it"


@probe("high", "S1-059", "C-17")
@_named_or_not
def what_may_not_be_read_is_not_done(lab: Any) -> str:
    """An unsafe request of an origin that may not send it is refused here, not by the browser alone."""
    settings = _settings(lab)
    person = lab.ordinary()
    token = (person.token_header, person.token())
    for origin in _foreign(lab):
        _refused(person, lab, origin, token)
    for origin in settings.origins:
        if origin == lab.policy.app.origin:
            continue
        if not settings.credentials:
            _refused(person, lab, origin, token)
        for method in {"POST", "PUT", "PATCH", "DELETE"} - set(settings.methods):
            _refused(person, lab, origin, token, method)
        if "POST" in settings.methods:
            sent = [("Origin", origin), ("Sec-Fetch-Site", "cross-site")]
            reply = lab.visitor().send("POST", lab.api(lab.door), headers=sent, json={})
            if reply.code.startswith("csrf."):
                raise Broken(f"{origin} may send POST without cookies and was refused: {reply}")
    if lab.whoami(person).status != 200:
        raise Broken("a refused request ended the session")
    return f"refused here for {len(list(_foreign(lab)))} origins; {len(settings.origins)} are named"


def _refused(person: Any, lab: Any, origin: str, token: tuple[str, str], method: str = "POST") -> None:
    sent = [("Origin", origin), ("Sec-Fetch-Site", "cross-site"), token]
    reply = person.send(method, lab.api("sign_out"), headers=sent, json={})
    if not reply.code.startswith("csrf.") and reply.code != TWICE:
        raise Broken(f"{method} of {origin!r} with a cookie was not refused as forged: {reply}")


# What the probes share


def _settings(lab: Any) -> cors.Settings:
    settings: cors.Settings = lab.policy.of(cors.Settings)
    return settings


def _named(lab: Any) -> tuple[str, ...]:
    origins = _settings(lab).origins
    if not origins:
        raise CouldNotLook("the policy names no origin: nobody's script may read anything")
    return origins


def _foreign(lab: Any) -> Iterator[str]:
    """Origins that are not named, and look as much as possible like those that are."""
    own, named = lab.policy.app.origin, _settings(lab).origins
    yield from (FOREIGN, "null", "*", "", "file://", "NULL")
    for origin in dict.fromkeys((own, *named)):
        scheme, _, host = origin.partition("://")
        alike = (
            f"{origin}.elsewhere.invalid",
            f"{scheme}://elsewhere{host}",
            f"{scheme}://sub.{host}",
            f"{scheme}://{host.partition('.')[2] or 'invalid'}",
            f"{origin}x",
            f"{'http' if scheme == 'https' else 'https'}://{host}",
            f"{scheme}://{host.partition(':')[0]}:8443",
            f"{scheme}://user@{host}",
            f"{scheme}://elsewhere.invalid#{origin}",
            f"{scheme}://{host.replace('.', 'x', 1)}",
            f"{origin}/",
            f"{origin},{FOREIGN}",
            f" {origin}x",
            origin.upper(),
        )
        yield from (each for each in alike if each not in named)


def _preflight(
    lab: Any, path: str, origin: str, method: str, headers: str = "Content-Type", *, more: Any = ()
) -> Any:
    asking = [("Access-Control-Request-Method", method), ("Access-Control-Request-Headers", headers)]
    return lab.visitor().send("OPTIONS", path, headers=[("Origin", origin), *asking, *more])


def _answers(lab: Any, person: Any, origin: str) -> Iterator[tuple[str, Any]]:
    """One of each kind of answer, to a script of `origin` with the visitor's cookies."""
    sent = [("Origin", origin)]
    yield "data", person.get(lab.api("me"), headers=sent)
    yield "a page", person.get(lab.url("sign_in"), headers=sent)
    yield "a stylesheet", person.get(lab.url("stylesheet"), headers=sent)
    yield "a refusal", lab.visitor().get(lab.api("me"), headers=sent)
    yield "nothing there", person.get(NOWHERE, headers=sent)
    yield "not that way", person.send("TRACE", lab.api("me"), headers=sent)
    yield "a preflight", _preflight(lab, lab.api("me"), origin, "GET")
    with lab.answering(200, [("Content-Type", "text/plain")]):
        yield "the application's", person.get(NOWHERE, headers=sent)
    with lab.raising(RuntimeError("a probe")):
        yield "an error", person.get(NOWHERE, headers=sent)


def _fields(reply: Any) -> dict[str, str]:
    return {k.lower(): v for k, v in reply.headers if k.lower().startswith(_GRANTS)}


PROBES: Final = (
    other_origins_read_nothing,
    named_origins_read_what_they_may,
    a_preflight_grants_what_policy_and_route_have,
    caches_keep_an_answer_for_each_origin,
    the_application_has_no_say,
    private_networks_are_not_opened,
    what_may_not_be_read_is_not_done,
)
