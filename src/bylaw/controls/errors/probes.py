"""Attacks on the running application by way of what it says when something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy.exc import OperationalError

from bylaw.control import Broken, probe
from bylaw.controls import errors

CANARY: Final = "canary-8831"
MARKUP: Final = f"<script>{CANARY}()</script>"
INSIDE: Final = (
    CANARY,
    "Traceback",
    'File "',
    "RuntimeError",
    "sqlalchemy",
    "sqlite3",
    "psycopg",
    "site-packages",
    "SELECT ",
)
JSON: Final = ("Content-Type", "application/json")
FORM: Final = ("Content-Type", "application/x-www-form-urlencoded")
HTML: Final = ("Accept", "text/html")
JUNK: Final[tuple[tuple[str, tuple[str, str], bytes], ...]] = (
    ("10 MB", JSON, b'{"email": "' + b"a" * 10_000_000 + b'"}'),
    ("10 MB of noise", JSON, bytes(range(256)) * 40_000),
    ("nothing", JSON, b""),
    ("half an object", JSON, b'{"email": "a@people.test", '),
    ("two objects", JSON, b"{}{}"),
    ("a list", JSON, b"[]"),
    ("null", JSON, b"null"),
    ("a number of 5,000 digits", JSON, b'{"email": ' + b"9" * 5000 + b"}"),
    ("deep nesting", JSON, b"[" * 30_000 + b"]" * 30_000),
    ("deep objects", JSON, b'{"email":' * 7_000 + b"1" + b"}" * 7_000),
    ("NaN", JSON, b'{"email": NaN, "password": Infinity}'),
    ("a name twice", JSON, b'{"email": "a@people.test", "email": "b@people.test", "password": "x"}'),
    ("a lone surrogate", JSON, b'{"email": "\\ud800", "password": "\\udfff", "\\ud834": 1}'),
    ("NUL", JSON, b'{"email": "a\\u0000", "password": "\\u0000"}'),
    ("no UTF-8", JSON, b'{"email": "\xff\xfe", "password": "x"}'),
    ("UTF-16", ("Content-Type", "application/json; charset=utf-16"), '{"email": "a"}'.encode("utf-16")),
    ("objects for text", JSON, b'{"email": {"$ne": null}, "password": ["x"], "next": {}}'),
    ("numbers for text", JSON, b'{"email": 1, "password": true, "next": null}'),
    ("JSON as a form", FORM, b'{"email": "a@people.test"}'),
    ("XML", ("Content-Type", "text/xml"), b"<!DOCTYPE x [<!ENTITY y SYSTEM 'file:///'>]><x>&y;</x>"),
    ("no type", ("X-Nothing", "1"), b"email=a"),
    ("a type with markup", ("Content-Type", MARKUP), b"{}"),
    ("1,000 fields", FORM, b"&".join(b"a%d=1" % n for n in range(1000))),
    ("broken escapes", FORM, b"email=%ZZ%&password=%ff%00&=&&;"),
    ("no boundary", ("Content-Type", "multipart/form-data"), b"--x\r\n\r\nx\r\n--x--"),
    (
        "a broken multipart",
        ("Content-Type", "multipart/form-data; boundary=x"),
        b"--x\r\nContent-Disposition: form-data; name\r\n\r\n\xff\r\n--x",
    ),
    ("compressed", ("Content-Encoding", "gzip"), b"\x1f\x8b\x08\x00" + b"\0" * 60),
)
"""What nobody means to send; each is the client's mistake, and none is ours (A184, A186)."""


@contextmanager
def _no_database(lab: Any) -> Iterator[None]:
    """The database answers nothing but an error that tells where it is and how to get in."""
    store = lab.site.house.store
    failure = OperationalError(f"SELECT {CANARY}", {}, Exception(f"app:{CANARY}@db"))

    def failing() -> Any:
        raise failure

    kind = type(store)
    before = kind.reading, kind.transaction
    kind.reading = kind.transaction = lambda self: failing()
    try:
        yield
    finally:
        kind.reading, kind.transaction = before


def _quiet(what: str, reply: Any) -> None:
    """Raise Broken where an answer says something about the inside."""
    said = f"{reply.text} {reply.headers}"
    found = [word for word in INSIDE if word in said]
    if found:
        raise Broken(f"{what}: {reply} says {', '.join(found)}")


@probe("critical", "S3-052", "S3-053", "S3-054", "S3-055", "A184")
def failures_say_nothing(lab: Any) -> str:
    """What goes wrong inside is the same answer for everybody; the log has it, under the request's id."""
    seen = set()
    for who in (lab.visitor(), lab.administrator()):
        for accept in ("application/json", "text/html", "*/*"):
            with lab.raising(RuntimeError(f"SELECT {CANARY}")):
                reply = who.get("/", headers=[("Accept", accept)])
            _quiet("an error of the application", reply)
            if reply.status != 500 or (reply.code or errors.INTERNAL.code) != errors.INTERNAL.code:
                raise Broken(f"an error of the application: {reply}")
            request_id = reply.header("x-request-id")
            if not request_id or request_id not in reply.text:
                raise Broken("the answer does not name its request")
            lines = [line for line in lab.logs.lines if request_id in line]
            if not any(CANARY in line and "Traceback" in line for line in lines):
                raise Broken("the log does not have the whole story under the request's id")
            seen.add(reply.header("content-type"))
    return f"500 without a word of it, as {' and '.join(sorted(seen))}; the log has the trace"


@probe("high", "S3-052", "S3-055")
def own_5xx_are_replaced(lab: Any) -> str:
    """A body that the application itself sends with a 5xx does not leave."""
    for status in (500, 501, 502, 503, 504, 599):
        with lab.answering(status, body=f"<h1>{CANARY}</h1>".encode()):
            for headers in ([], [HTML]):
                reply = lab.visitor().get("/", headers=headers)
                _quiet(f"the application's own {status}", reply)
                if reply.status != status:
                    raise Broken(f"the application's own {status} became {reply}")
    return "500 to 599 of the application keep their status and lose their body"


@probe("high", "A184")
def a_lost_database_says_nothing(lab: Any) -> str:
    """Without a database the answer says when to come back, and nothing about the database."""
    person, client = lab.person(), lab.client()
    with _no_database(lab):
        replies = {
            "signing in": lab.sign_in(person),
            "a stranger's page": lab.visitor().get("/"),
            "a session that is not known": lab.whoami(client),
        }
    for what, reply in replies.items():
        _quiet(what, reply)
        if reply.all("set-cookie") and "sid" in reply.header("set-cookie"):
            raise Broken(f"{what}: {reply} changed the session")
    signing_in = replies["signing in"]
    if signing_in.status != 503 or not signing_in.header("retry-after").isdigit():
        raise Broken(f"signing in: {signing_in}, Retry-After {signing_in.header('retry-after')!r}")
    if replies["a session that is not known"].status == 200:
        raise Broken("somebody is served whose session could not be checked")
    return ", ".join(f"{what}: {reply}" for what, reply in replies.items())


@probe("high", "C-11", "A184", "A186")
def junk_is_refused(lab: Any) -> str:
    """What cannot be read is refused as the client's mistake, and never becomes one of ours."""
    seen = set()
    paths = [
        lab.api(lab.door),
        lab.url(lab.door),
        *(lab.api(n) for n in ("sign_up",) if n in lab.site.pages.urls),
    ]
    for what, header, body in JUNK:
        for path in paths:
            visitor = lab.visitor()
            reply = visitor.send("POST", path, headers=[*visitor.from_here, header], body=body)
            _quiet(what, reply)
            if not 400 <= reply.status < 500 or lab.whoami(visitor).status == 200:
                raise Broken(f"{what} at {path}: {reply}")
            seen.add(reply.status)
    return f"{len(JUNK)} kinds of junk, at {len(paths)} endpoints: {', '.join(map(str, sorted(seen)))}"


@probe("high", "C-11", "S3-030")
def values_are_not_repeated(lab: Any) -> str:
    """A refusal names the field and what is wrong with it, never the value."""
    visitor = lab.visitor()
    visitor.email = "a@people.test"
    good = lab.shown(visitor, "x")
    secret = next(reversed(good))
    for values in (
        {**dict.fromkeys(good, CANARY), secret: 1},
        {**dict.fromkeys(good, f"a@people.test{CANARY}\n"), secret: ""},
        {**{key: [CANARY] for key in good}, secret: {CANARY: CANARY}, "next": CANARY * 300},
        {**good, f"<b>{CANARY}": 1},
    ):
        reply = visitor.send("POST", lab.api(lab.door), headers=visitor.from_here, json=values)
        _quiet(f"{values}"[:40], reply)
        named = [each["pointer"] for each in reply.json().get("errors", ())]
        if reply.status != 422 or not named:
            raise Broken(f"{values}: {reply} names {named}")
    return "422 names the field and what is accepted"


@probe("medium", "C-23", "S1-033", "A188")
def refusals_have_one_shape(lab: Any) -> str:
    """Programs get problem+json, people a page, and nothing that was sent stands in it as it came."""
    visitor, client = lab.visitor(), lab.client()
    here = visitor.from_here
    refusals: dict[int, Callable[..., Any]] = {
        400: lambda *h: visitor.send("POST", lab.api(lab.door), headers=[*here, JSON, *h], body=b"{"),
        401: lambda *h: visitor.send("POST", lab.api("sessions"), headers=[*here, *h], json={}),
        403: lambda *h: client.get(f"{lab.url('users')}?search={MARKUP}", headers=h),
        404: lambda *h: visitor.get(f"{lab.policy.pages.prefix}/{MARKUP}", headers=h),
        405: lambda *h: visitor.send("DELETE", lab.api(lab.door), headers=[*here, *h], json={}),
        413: lambda *h: visitor.send(
            "POST", lab.api(lab.door), headers=[*here, JSON, *h], body=b" " * 100_000
        ),
        # Not at the sign-in: where a policy asks for no token, csrf refuses what is not JSON before.
        415: lambda *h: client.act(
            "POST",
            lab.api("sessions"),
            body=b"x",
            headers=[("Content-Type", MARKUP), ("User-Agent", MARKUP), ("X-Request-Id", MARKUP), *h],
        ),
        422: lambda *h: visitor.send("POST", lab.api(lab.door), headers=[*here, *h], json={MARKUP: 1}),
    }
    members = {"type", "title", "status", "code", "instance"}
    ids = set()
    for status, ask in refusals.items():
        for accept, kind in (
            (("Accept", "application/json"), "application/problem+json"),
            (HTML, "text/html"),
        ):
            reply = ask(accept)
            _quiet(f"the {status}", reply)
            if reply.status != status or not reply.header("content-type").startswith(kind):
                raise Broken(f"wanted {status} as {kind}: {reply} {reply.header('content-type')}")
            if kind != "text/html" and (not members <= set(reply.json()) or reply.json()["status"] != status):
                raise Broken(f"{status}: {sorted(reply.json())}")
            if status == 405 and "POST" not in reply.header("allow"):
                raise Broken("405 does not say what is allowed")
            ids.add(reply.header("x-request-id"))
    if len(ids) != 2 * len(refusals):
        raise Broken("two requests have the same id")
    return f"{', '.join(map(str, refusals))}: problem+json for programs, a page for people"


PROBES: Final = (
    failures_say_nothing,
    own_5xx_are_replaced,
    a_lost_database_says_nothing,
    junk_is_refused,
    values_are_not_repeated,
    refusals_have_one_shape,
)
