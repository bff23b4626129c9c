"""Attacks on what goes in the clear."""

from __future__ import annotations

from typing import Any, Final

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import https, proxies

EVIL: Final = "elsewhere.invalid"
PROXY: Final = "192.0.2.10"
OURS: Final = {
    "trusted": ("192.0.2.0/24",),
    "x_for": 1,
    "x_proto": 1,
    "x_host": 1,
    "x_port": 0,
    "forwarded": False,
}


def _in_the_clear(lab: Any, client: Any) -> Any:
    """The client, over http. Raises CouldNotLook where http is what the policy has."""
    if not lab.policy.app.secure:
        raise CouldNotLook("base_url is http")
    client.scheme = "http"
    return client


@probe("high", "S2-020")
def a_page_is_asked_for_again_by_https(lab: Any) -> str:
    """A person's GET over http is sent to the same address over https, on the policy's own host."""
    visitor, origin = _in_the_clear(lab, lab.visitor()), lab.policy.app.origin
    paths = [
        "/",
        f"{lab.url('sign_in')}?next=/a&b=%0d%0aX:1",
        "//elsewhere.invalid/x",
        "/a%2f%2fb?c=//d",
        "/no/such",
    ]
    paths += ["/\\elsewhere.invalid", "/..//elsewhere.invalid", "/@elsewhere.invalid", "/\xe4?x=%c3%a4"]
    for method in ("GET", "HEAD"):
        for path in paths:
            reply = visitor.send(method, path, headers=[("Accept", "text/html")])
            location = reply.header("location")
            if reply.status != 308 or not location.startswith(f"{origin}/"):
                raise Broken(f"{method} {path} over http: {reply} {location}")
            if not location.isprintable() or reply.header("cache-control") != "no-store":
                raise Broken(f"{method} {path} over http: {reply.headers}")
    if visitor.page("/a?b=c").header("location") != f"{origin}/a?b=c":
        raise Broken("the address that was asked for is lost")
    return f"{len(paths)} addresses: 308 to {origin}"


@probe("high", "S2-020")
def nothing_else_is_answered_in_the_clear(lab: Any) -> str:
    """Data, forms and everything that changes something is refused over http, with a session or without."""
    person = lab.client()
    person.token()
    token = (lab.policy.controls["csrf"].header, person.token())
    _in_the_clear(lab, person)
    for client in (person, _in_the_clear(lab, lab.visitor())):
        for method, path in (
            ("GET", lab.api("me")),
            ("GET", lab.url("stylesheet")),
            ("GET", "/no/such/path-7f3a"),
            ("POST", lab.api(lab.door)),
            ("POST", lab.url(lab.door)),
            ("POST", lab.api("sign_out")),
            ("PUT", "/"),
            ("DELETE", "/no/such/path-7f3a"),
        ):
            accept = ("Accept", "text/html" if method != "GET" else "application/json")
            reply = client.send(method, path, headers=[*client.from_here, token, accept], json={})
            if reply.status != 403 or https.REQUIRED.code not in reply.text:
                raise Broken(f"{method} {path} over http: {reply}")
            if reply.all("set-cookie"):
                raise Broken(f"{method} {path} over http sets a cookie")
    person.scheme = "https"
    if lab.whoami(person).status != 200:
        raise Broken("what was refused in the clear has ended the session")
    return "eight requests, of somebody signed in and of a stranger: 403, and nothing happened"


@probe("high", "S1-082", "S2-020")
def only_a_trusted_proxy_vouches(lab: Any) -> str:
    """That a request came encrypted is believed of a proxy alone, whoever else says so."""
    visitor = _in_the_clear(lab, lab.visitor(peer="198.51.100.7"))
    claims = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Ssl", "on"), ("Front-End-Https", "on")]
    claims += [("Forwarded", "proto=https"), ("X-Forwarded-Scheme", "https"), ("X-Url-Scheme", "https")]
    claims += [
        ("CF-Visitor", '{"scheme":"https"}'),
        ("X-Forwarded-Port", "443"),
        ("Upgrade-Insecure-Requests", "1"),
    ]
    for changes in ({}, OURS):
        with lab.under(proxies.Settings, **changes):
            for claim in claims:
                reply = visitor.get(lab.api("me"), headers=[claim])
                if reply.code != https.REQUIRED.code:
                    raise Broken(f"{claim[0]}: {claim[1]} of a stranger is believed: {reply}")
    visitor.peer = PROXY
    with lab.under(proxies.Settings, **OURS):
        through = visitor.get(lab.api("me"), headers=[("X-Forwarded-Proto", "https")])
        clear = visitor.get(lab.api("me"), headers=[("X-Forwarded-Proto", "https, http")])
    if (through.status, clear.code) != (401, https.REQUIRED.code):
        raise Broken(f"through a proxy: https got {through}, http got {clear}")
    return f"{len(claims)} claims of a stranger: refused; a proxy's https: answered, its http: refused"


@probe("medium", "S2-020")
def the_way_back_is_not_the_requests_own(lab: Any) -> str:
    """No name in a request stands in the redirect to https."""
    visitor = _in_the_clear(lab, lab.visitor())
    for header in ("Host", "X-Forwarded-Host", "X-Host", "Referer", "Origin", "X-Original-URL", "Forwarded"):
        reply = visitor.get("/", headers=[("Accept", "text/html"), (header, f"https://{EVIL}/")])
        named = visitor.get("/", headers=[("Accept", "text/html"), (header, EVIL)])
        for each in (reply, named):
            if EVIL in each.text or any(EVIL in value for _, value in each.headers):
                raise Broken(f"{header} leads to {each.headers}")
    return "seven headers with another name: none of it in the answer"


PROBES: Final = (
    a_page_is_asked_for_again_by_https,
    nothing_else_is_answered_in_the_clear,
    only_a_trusted_proxy_vouches,
    the_way_back_is_not_the_requests_own,
)
