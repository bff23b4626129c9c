"""The same exchange gets the same answer, whatever stands between the server and the application."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Bench, Laboratory
from bylaw.verify.people import PASSWORD
from tests.applications.stacks import FRAMEWORKS, TARGETS, hurry

HERE = [("Origin", "https://app.lab"), ("Sec-Fetch-Site", "same-origin")]
ELSEWHERE = [("Origin", "https://evil.test"), ("Sec-Fetch-Site", "cross-site")]
HTML, JSON = ("Accept", "text/html"), ("Content-Type", "application/json")
Ask = Callable[[Laboratory], Reply]


def alice(laboratory: Laboratory) -> Client:
    return laboratory.client("editor")


def signed_in(method: str, path: str, **how: Any) -> Ask:
    return lambda laboratory: alice(laboratory).send(method, path, **how)


def nobody(method: str, path: str, **how: Any) -> Ask:
    return lambda laboratory: laboratory.visitor().send(method, path, **how)


def acting(method: str, path: str, **how: Any) -> Ask:
    return lambda laboratory: alice(laboratory).act(method, path, **how)


def with_token(method: str, path: str, form: list[tuple[str, str]]) -> Ask:
    """A visitor's form, with the token of her page."""

    def ask(laboratory: Laboratory) -> Reply:
        visitor = laboratory.visitor()
        filled = [("csrf_token", visitor.token()), *form]
        return visitor.send(method, path, headers=[*HERE, HTML], form=filled)

    return ask


def signing_in(password: str) -> Ask:
    return lambda laboratory: laboratory.sign_in(laboratory.person("user"), password)


# What the gate or bylaw's own endpoints decide, without the application.
EVERYWHERE: dict[str, Ask] = {
    "me": signed_in("GET", "/auth/api_me"),
    "me as nobody": nobody("GET", "/auth/api_me"),
    "me as nobody in a browser": nobody("GET", "/auth/api_me", headers=[HTML]),
    "me by HEAD": signed_in("HEAD", "/auth/api_me"),
    "me by OPTIONS": signed_in("OPTIONS", "/auth/api_me"),
    "me by TRACE": signed_in("TRACE", "/auth/api_me"),
    "me by DELETE": acting("DELETE", "/auth/api_me"),
    "me by a method of its own": acting("FOO", "/auth/api_me"),
    "sign-in page": nobody("GET", "/auth/login", headers=[HTML]),
    "sign-in page by HEAD": nobody("HEAD", "/auth/login", headers=[HTML]),
    "sign-in page for a program": nobody("GET", "/auth/login"),
    "a sub-path of an endpoint": nobody("GET", "/auth/api_users/x"),
    "a list that is not hers": signed_in("GET", "/auth/api_users"),
    "a list that is not hers in a browser": signed_in("GET", "/auth/users", headers=[HTML]),
    "the stylesheet": nobody("GET", "/auth/static/bylaw.css"),
    "foreign": signed_in("POST", "/x", headers=ELSEWHERE, json={}),
    "foreign in a browser": signed_in("POST", "/x", headers=[*ELSEWHERE, HTML], json={}),
    "no token": signed_in("POST", "/x", headers=HERE, json={}),
    "wrong token": signed_in("POST", "/x", headers=[*HERE, ("X-CSRF-Token", "a.b")], json={}),
    "no token, a form": signed_in("POST", "/x", headers=HERE, form=[("a", "b")]),
    "two origins": signed_in("POST", "/x", headers=[*HERE, ("Origin", "null")], json={}),
    "two fetch sites": signed_in("POST", "/x", headers=[*HERE, ("Sec-Fetch-Site", "none")]),
    "exempt, not JSON": signed_in("POST", "/api/open/x", headers=HERE, form=[("a", "b")]),
    "exempt, no origin": signed_in("POST", "/api/open/x", json={}),
    "a made-up cookie": nobody("GET", "/auth/api_me", headers=[("Cookie", "__Host-sid=" + "a" * 43)]),
    "two cookies": nobody(
        "GET", "/auth/api_me", headers=[("Cookie", "__Host-sid=a"), ("Cookie", "__Host-sid=b")]
    ),
    "sign-in without a body": nobody("POST", "/auth/api_login", headers=HERE),
    "sign-in with another body": nobody("POST", "/auth/api_login", headers=[*HERE, JSON], body=b"["),
    "sign-in, unknown field": nobody("POST", "/auth/api_login", headers=HERE, json={"a": 1}),
    "sign-in, too large": nobody("POST", "/auth/api_login", headers=[*HERE, JSON], body=b"a" * 70000),
    "sign-in, wrong": signing_in("wrong but long enough"),
    "sign-in, right": signing_in(PASSWORD),
    "sign-in form, wrong": with_token("POST", "/auth/login", form=[("email", "a@b.co"), ("password", "x")]),
    "sign-up form, weak": with_token("POST", "/auth/signup", form=[("email", "a@b.co"), ("password", "x")]),
    "sign-out": acting("POST", "/auth/api_logout", json={}),
    "sessions": signed_in("GET", "/auth/api_sessions"),
    "password, wrong": acting(
        "POST", "/auth/api_password", json={"current": "x", "password": "another one, long"}
    ),
    "a percent in the path": nobody("GET", "/auth/%6c%6fgin", headers=[HTML]),
}
# What needs the application's own routes.
ROUTES: dict[str, Ask] = {
    "home": nobody("GET", "/"),
    "home, signed in": signed_in("GET", "/"),
    "missing": nobody("GET", "/nothing"),
    "missing in a browser": nobody("GET", "/nothing", headers=[HTML]),
    "missing, not UTF-8": nobody("GET", "/%ff%fe"),
    "missing, NUL": nobody("GET", "/%00"),
    "missing, overlong": nobody("GET", "/%c0%af"),
    "not a number": signed_in("GET", "/api/papers/x"),
    "a paper that is not": signed_in("GET", "/api/papers/7"),
    "papers": signed_in("GET", "/api/papers"),
    "papers as nobody": nobody("GET", "/api/papers"),
    "papers as nobody in a browser": nobody("GET", "/api/papers", headers=[HTML]),
    "papers, unknown filter": signed_in("GET", "/api/papers?x=1"),
    "a report that is not hers": signed_in("GET", "/report"),
    "writing": acting("POST", "/api/papers", json={"text": "x"}),
    "writing nothing": acting("POST", "/api/papers", json={}),
    "writing more": acting("POST", "/api/papers", json={"text": "x", "owner": "y"}),
    "writing no JSON": acting("POST", "/api/papers", headers=[JSON], body=b"{"),
    "writing a form": acting("POST", "/api/papers", form=[("text", "x")]),
    "writing as nobody": nobody("POST", "/api/papers", headers=HERE, json={"text": "x"}),
    "a method that is not": acting("DELETE", "/api/papers"),
    "a method that nobody knows": acting("FOO", "/api/papers"),
    "broken": nobody("GET", "/broken"),
    "broken in a browser": nobody("GET", "/broken", headers=[HTML]),
    "a download": nobody("GET", "/download?name=x"),
    "a cookie": nobody("GET", "/greeting?lang=de"),
    "a page": signed_in("GET", "/page", headers=[HTML]),
    "a form without its field": acting("POST", "/form", form=[("x", "y")]),
}

_NONCE = re.compile(r"'nonce-[\w-]+'")
# Frameworks differ in how they write these, and may: the order of words, the body's length.
# Whether the connection stays open is the server's to say, and a WSGI application may not (PEP 3333).
_FREE = {"content-length", "x-request-id", "set-cookie", "vary", "allow", "date", "connection"}


def shape(reply: Reply) -> tuple[Any, ...]:
    """What must not depend on the stack: status, reason, headers, the names and marks of cookies."""
    fields = {
        (name.lower(), _NONCE.sub("'nonce-…'", value).lower().replace(" ", ""))
        for name, value in reply.headers
        if name.lower() not in _FREE
    }
    given = sorted(re.sub(r"=[^;]*", "=…", c, count=1).lower() for c in reply.all("set-cookie"))
    doubled = sorted(
        name
        for name in {n.lower() for n, _ in reply.headers}
        if name != "set-cookie" and len(reply.all(name)) > 1
    )
    return reply.status, reply.code, sorted(fields), given, doubled


@pytest.mark.requirement("S3-065", "S1-032", "S1-033", "S1-038", "C-23", "C-36")
@pytest.mark.parametrize("name", sorted(EVERYWHERE))
def test_the_gate_answers_alike_everywhere(name: str, stacks: dict[str, Bench]) -> None:
    """The core without any server, WSGI, ASGI, Flask and FastAPI: one answer to one exchange."""
    shapes = {}
    for stack in TARGETS:
        with stacks[stack].laboratory() as laboratory:
            hurry(laboratory)
            shapes[stack] = shape(EVERYWHERE[name](laboratory))
    for stack, seen in shapes.items():
        assert seen == shapes["core"], stack


@pytest.mark.requirement("S3-065", "S1-032", "S1-033", "S3-030", "C-23", "C-36")
@pytest.mark.parametrize("name", sorted(ROUTES))
def test_both_frameworks_answer_alike(name: str, stacks: dict[str, Bench]) -> None:
    """Flask and FastAPI with the same routes on the same policy: one answer to one exchange."""
    shapes = []
    for stack in FRAMEWORKS:
        with stacks[stack].laboratory() as laboratory:
            hurry(laboratory)
            shapes.append(shape(ROUTES[name](laboratory)))
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("stack", sorted(TARGETS))
def test_head_is_get_without_a_body(stack: str, stacks: dict[str, Bench]) -> None:
    """HEAD says what GET would say: the same head, and not one byte of a body."""
    with stacks[stack].laboratory() as laboratory:
        visitor = laboratory.visitor()
        for path in ("/auth/login", "/auth/api_me", "/auth/static/bylaw.css", "/auth/api_users/x"):
            get, head = visitor.send("GET", path), visitor.send("HEAD", path)
            assert head.body == b""
            assert shape(head)[0] == shape(get)[0]
            assert shape(head)[2] == shape(get)[2]


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "FOO", "get", "\u00e9", ""])
def test_no_method_gets_past_the_rule(stacks: dict[str, Bench], method: str) -> None:
    """Methods that nobody declared: refused alike, never executed, never a 5xx."""
    for stack in FRAMEWORKS:
        with stacks[stack].laboratory() as laboratory:
            for path in ("/api/papers", "/report", "/page", "/auth/api_users"):
                reply = laboratory.visitor().send(method, path, headers=HERE)
                assert reply.status in (400, 401, 403, 404, 405, 501), (stack, path, reply)
