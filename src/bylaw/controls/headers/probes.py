"""Attacks on what answers say to browsers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from bylaw.control import Broken, probe
from bylaw.controls import headers

NO_SOURCES: Final = (
    "https://a.test; script-src *",
    "a.test b.test",
    "a.test,b.test",
    "a\nb",
    "a\0b",
    "ä.test",
    "self",
    "NONE",
    "'nonce-abc'",
    "",
)
"""What would say more than one source, or another than was meant."""


@probe("high", "S3-062", "S3-063", "S3-064", "S3-065", "C-01", "C-36")
def every_answer_bears_the_headers(lab: Any) -> str:
    """Whatever is answered, errors and refusals too, bears the headers that the policy says."""
    settings = lab.policy.of(headers.Settings)
    replies = _answers(lab)
    for what, reply in replies.items():
        for name, value in headers.everywhere(settings, tls=lab.policy.app.secure):
            if reply.all(name) != [value]:
                raise Broken(f"{what} ({reply.status}) bears {name}: {reply.all(name)}, not {value}")
        said = reply.all("content-security-policy")
        if not any(f"frame-ancestors {headers.ancestors(settings)}" in one for one in said):
            raise Broken(f"{what} ({reply.status}) does not say who may frame it: {said}")
        if not reply.header("referrer-policy"):
            raise Broken(f"{what} ({reply.status}) has no Referrer-Policy")
        for name in ("server", "x-powered-by"):
            if reply.header(name):
                raise Broken(f"{what} names its software: {name}: {reply.header(name)}")
    return f"{len(replies)} answers: {', '.join(f'{w} {r.status}' for w, r in replies.items())}"


def _answers(lab: Any) -> dict[str, Any]:
    """One of each kind of answer that an application gives."""
    visitor, person = lab.visitor(), lab.client()
    html = [("Content-Type", "text/html; charset=utf-8"), ("Server", "stub/1"), ("X-Powered-By", "stub")]
    nowhere = "/no/such/path-7f3a"
    replies = {
        "a page": visitor.page(lab.url("sign_in")),
        "a page, signed in": person.page(lab.url("sessions")),
        "data": person.get(lab.api("me")),
        "a stylesheet": visitor.get(lab.url("stylesheet")),
        "nothing there": visitor.get(nowhere),
        "not that way": visitor.send("DELETE", lab.api(lab.door), headers=visitor.from_here),
        "a refusal": visitor.send("POST", lab.api("sign_out"), headers=[("Origin", "null")]),
        "a refusal, to a person": visitor.send(
            "POST", lab.api("sign_out"), headers=[("Origin", "null"), ("Accept", "text/html")]
        ),
        "nobody": visitor.get(lab.api("me")),
        "not acceptable": person.act("POST", lab.api("sessions"), json={"nothing": 1}),
        "to the sign-in page": visitor.page(lab.url("sessions")),
        "head": visitor.send("HEAD", lab.url("sign_in")),
        "options": visitor.send(
            "OPTIONS",
            lab.url("sign_in"),
            headers=[("Origin", "https://elsewhere.invalid"), ("Access-Control-Request-Method", "PUT")],
        ),
    }
    with lab.raising(RuntimeError("a probe")):
        replies["an error"] = visitor.get(nowhere)
    for status in (200, 204, 301, 304, 418, 503):
        with lab.answering(status, html, b""):
            replies[f"the application's {status}"] = visitor.get(nowhere)
    return replies


@probe("high", "S3-062", "S3-063")
def the_application_cannot_weaken_them(lab: Any) -> str:
    """Headers of the application stand beside the policy's, and never in their place."""
    settings = lab.policy.of(headers.Settings)
    weak = [
        ("X-Content-Type-Options", "sniff"),
        ("X-Frame-Options", "ALLOWALL"),
        ("Strict-Transport-Security", "max-age=0"),
        ("X-XSS-Protection", "1"),
        ("Referrer-Policy", "unsafe-url"),
        ("Content-Security-Policy", "default-src *"),
    ]
    for kind in ("text/html", "Text/HTML; charset=utf-8", "application/json"):
        with lab.answering(200, [("Content-Type", kind), *weak]):
            reply = lab.visitor().get("/")
        for name, value in headers.everywhere(settings, tls=lab.policy.app.secure):
            if reply.all(name) != [value]:
                raise Broken(f"the application says {name}: {reply.all(name)}")
        html = kind.lower().startswith("text/html")
        ours = headers.page_policy(settings, None) if html else headers.data_policy(settings)
        if ours not in reply.all("content-security-policy"):
            raise Broken(f"{kind} leaves with {reply.all('content-security-policy')}")
        if "unsafe-url" in reply.header("referrer-policy"):
            raise Broken("the application tells every site its whole addresses")
    return "six weak headers on three types: the policy's are all there"


@probe("high", "S3-065")
def every_page_has_a_nonce_of_its_own(lab: Any) -> str:
    """A script's nonce is new on each answer, in its policy, and in no cache."""
    seen = set()
    public = [("Content-Type", "text/html"), ("Cache-Control", "public, max-age=60")]
    with lab.answering(200, public), lab.instead(_asking_for_a_nonce(lab.gated.application)):
        for _ in range(8):
            reply = lab.visitor().get("/")
            found = re.findall(
                r"script-src [^;]*'nonce-([\w-]{22,})'", reply.header("content-security-policy")
            )
            if len(found) != 1 or reply.header("cache-control") != "no-store":
                raise Broken(f"a page with a nonce left with {reply.headers}")
            seen.add(found[0])
    if len(seen) != 8:
        raise Broken(f"eight pages had {len(seen)} nonces")
    return "eight pages, eight nonces, none stored"


def _asking_for_a_nonce(application: Any) -> Any:
    """The application, with a template that has asked for the nonce."""

    def asking(environ_or_scope: Any, *rest: Any) -> Any:
        headers.nonce(environ_or_scope["bylaw.exchange"])
        return application(environ_or_scope, *rest)

    return asking


@probe("high", "S3-065")
def what_is_said_to_somebody_is_not_stored(lab: Any) -> str:
    """An answer to somebody signed in, and one that sets a cookie, is no-store whatever it says itself."""
    person = lab.client()
    cacheable = [
        ("Content-Type", "text/css"),
        ("Cache-Control", "public, max-age=31536000"),
        ("CDN-Cache-Control", "max-age=600"),
        ("Surrogate-Control", "max-age=600"),
    ]
    account = lab.url("me")
    tricks = [f"{account}{end}" for end in ("/x.css", ";x.js", "%2fx.png", "/..%2fstatic/x.css", "?x.css")]
    answers = [(f"GET {path}", person.get(path)) for path in (lab.api("me"), account, *tricks)]
    with lab.answering(200, cacheable):
        answers += [(f"the application at {path}", person.get(path)) for path in ("/", "/x.css")]
    with lab.answering(200, [*cacheable, ("Set-Cookie", "a=b")]):
        answers.append(("a cookie for somebody unknown", lab.visitor().get("/x.css")))
    for what, reply in answers:
        kept = [name for name in ("cdn-cache-control", "surrogate-control") if reply.header(name)]
        if reply.all("cache-control") != ["no-store"] or kept:
            raise Broken(f"{what} ({reply.status}): {reply.all('cache-control')} {kept}")
    return f"{len(answers)} answers, all no-store"


@probe("high", "S3-065")
def no_value_becomes_a_header(lab: Any) -> str:
    """A line break in a header's value is answered with an error, not with one more header."""
    for gap in ("\r\n", "\n", "\r", "\0"):
        for name in ("Location", "Set-Cookie", "Content-Disposition", "Content-Security-Policy"):
            with lab.answering(200, [(name, f"a=b{gap}X-Planted: 1")]):
                reply = lab.visitor().get("/")
            if reply.status != 500 or any(
                "planted" in value.lower() or set(value) & set("\r\n\0")
                for pair in reply.headers
                for value in pair
            ):
                raise Broken(f"{name} with {gap!r}: {reply.status} {reply.headers}")
    return "four breaks in four headers: 500 each, and nothing planted"


@probe("medium", "S3-063")
def the_policy_cannot_be_made_to_say_more(lab: Any) -> str:
    """A source that would end its directive, or is a keyword without quotes, refuses to start."""
    settings = lab.policy.of(headers.Settings)
    for source in NO_SOURCES:
        changed = settings.model_copy(update={"img_src": (source,)})
        policy = replace(lab.policy, controls={**lab.policy.controls, "headers": changed})
        found = [conflict.key for conflict in headers.CONTROL.conflicts(policy)]
        if "headers.img_src.0" not in found:
            raise Broken(f"img_src = [{source!r}] would start")
    return f"{len(NO_SOURCES)} sources that are none, all refused"


PROBES: Final = (
    every_answer_bears_the_headers,
    the_application_cannot_weaken_them,
    every_page_has_a_nonce_of_its_own,
    what_is_said_to_somebody_is_not_stored,
    no_value_becomes_a_header,
    the_policy_cannot_be_made_to_say_more,
)
