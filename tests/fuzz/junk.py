"""What is sent here, and what every answer to it must be."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote_from_bytes, urlencode

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from bylaw.controls import errors, passwords
from bylaw.verify.client import Client, Pairs, Reply, Sent
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.people import PASSWORD
from tests.applications.stacks import hurry

UNAVAILABLE = {errors.UNAVAILABLE.code, passwords.BUSY.code}
"""The only 5xx that bylaw documents: come back later. None is due to whoever asks alone."""
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


def examples(count: int) -> Any:
    """Settings for `count` examples on a laboratory that all of them share.

    The same examples on every run: a laboratory remembers what was done to it, and a build that fails
    must fail again.
    """
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )


def prepared(laboratory: Laboratory) -> Laboratory:
    """The laboratory with passwords at a price that hundreds of sign-ins can pay."""
    hurry(laboratory)
    return laboratory


def sound(laboratory: Laboratory, sent: object, reply: Reply) -> Reply:
    """Every answer: no mistake of ours, nothing raised on the way, and the headers of every answer."""
    failed = [line for line in laboratory.logs.lines if "Traceback" in line or line.startswith("ERROR")]
    laboratory.logs.lines.clear()
    assert not failed, (sent, reply, failed)
    known = reply.status == 503 and reply.code in UNAVAILABLE and reply.header("retry-after")
    assert 200 <= reply.status < 500 or known, (sent, reply)
    assert reply.all("x-content-type-options") == ["nosniff"], (sent, reply.headers)
    assert all(reply.all("content-security-policy")), (sent, reply.headers)
    assert len(reply.all("content-security-policy")) == 1, (sent, reply.headers)
    torn = [pair for pair in reply.headers if set("\r\n\0") & set("".join(pair))]
    assert not torn, (sent, torn)
    return reply


# Text and addresses

ANYTHING = st.text(alphabet=st.characters(), max_size=12)  # lone surrogates among it
LATIN = st.text(alphabet=st.characters(max_codepoint=0xFF, exclude_characters="\r\n\0"), max_size=20)
TOKEN = st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCXYZ0123456789!#$%&'*+-.^_`|~", min_size=1, max_size=8)
METHODS = st.one_of(
    st.sampled_from(
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"]
    ),
    TOKEN,
)
_PIECE = st.one_of(
    st.sampled_from(
        [
            "",
            ".",
            "..",
            "%2e%2e",
            "%00",
            "%2f",
            "%ff",
            "%zz",
            "%",
            "1",
            "-1",
            "0",
            "9" * 30,
            "9" * 5000,
            "notes",
            "api",
            "auth",
            "login",
            "users",
            "x;y",
            "*",
            "%F0%9F%92%A9",
        ]
    ),
    st.binary(max_size=8).map(quote_from_bytes),
)
QUERIES = st.one_of(
    st.just(""),
    st.lists(
        st.tuples(
            st.sampled_from(["q", "to", "name", "lang", "next", "search", "after", "notice"]),
            ANYTHING.map(lambda text: text.encode("utf-8", "surrogatepass")),
        ),
        max_size=3,
    ).map(urlencode),
    st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0xFF), max_size=20),
)


def paths(known: Iterable[str]) -> st.SearchStrategy[str]:
    """Paths that exist, paths below them, and paths that nobody has thought of."""
    made = st.lists(_PIECE, max_size=4).map(lambda pieces: "/" + "/".join(pieces))
    there = st.sampled_from(sorted(known))
    return st.one_of(there, made, st.tuples(there, _PIECE).map("/".join))


# Headers


_NAMES = st.sampled_from(
    [
        "Host",
        "Origin",
        "Referer",
        "Sec-Fetch-Site",
        "Sec-Fetch-Mode",
        "Sec-Fetch-Dest",
        "Accept",
        "Accept-Language",
        "Content-Type",
        "Content-Length",
        "Content-Encoding",
        "Transfer-Encoding",
        "Cookie",
        "Authorization",
        "X-CSRF-Token",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "Forwarded",
        "X-Request-Id",
        "X-HTTP-Method-Override",
        "User-Agent",
        "Upgrade",
        "Connection",
        "Expect",
        "Range",
        "If-None-Match",
        "If-Modified-Since",
        "Access-Control-Request-Method",
        "Te",
        "Proxy",
    ]
)
_VALUES = st.sampled_from(
    [
        "app.lab",
        "https://app.lab",
        "https://evil.test",
        "null",
        "same-origin",
        "cross-site",
        "none",
        "text/html",
        "application/json",
        "*/*",
        "text/html;q=0.9,*/*;q=x",
        "a.b",
        "a.b.c",
        ".",
        "__Host-sid=a; __Host-sid=b",
        "__Host-sid=" + "A" * 43,
        "__Host-visit=x",
        "=",
        ";;;",
        "Basic Og==",
        "Bearer x",
        "chunked",
        "gzip",
        "0",
        "-1",
        "+1",
        "1,2",
        "1e9",
        "9" * 30,
        "9" * 5000,
        "\u00b2",
        "bytes=0-",
        "bytes=9-1,x",
        "for=_x;proto=https",
        "127.0.0.1",
        "::1",
        "[::1]",
        "app.lab:99999",
        "app.lab, evil.test",
        "100-continue",
        "websocket",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary="\u00ff"',
        "application/json; charset=x",
        "text/plain; charset=utf-7",
        "\t",
        "\x01\x7f",
        "\x85\xa0",
    ]
)


def headers(values: st.SearchStrategy[str] = LATIN) -> st.SearchStrategy[Pairs]:
    """Header fields of names that mean something and of others, some of them twice."""
    one = st.tuples(st.one_of(_NAMES, TOKEN), st.one_of(_VALUES, values))
    return st.lists(one, max_size=5).flatmap(
        lambda pairs: st.sampled_from([pairs, [*pairs, *pairs[:1]], [*pairs, *reversed(pairs)]])
    )


# Bodies

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, -(2**63) - 1, 2**31, 10**400]),
    st.floats(),
    ANYTHING,
    st.sampled_from(
        [
            "\0",
            "\u202e",
            "a" * 5000,
            "=1+1",
            "1e999999",
            "NaN",
            "-0",
            "2026-02-30",
            "9999-12-31",
            "\u0661",
            "a@people.test",
            "A@PEOPLE.TEST",
            "@",
            "others",
            "roles",
            "disable",
            "admin",
            PASSWORD,
            "//evil.test",
            "/\\evil.test",
            "javascript:x",
        ]
    ),
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(ANYTHING, inner, max_size=3)),
    max_leaves=6,
)
_TYPES = st.sampled_from(
    [
        JSON,
        FORM,
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "text/plain",
        "",
        "application/xml",
        "application/json; charset=utf-16",
        "application/problem+json",
        "APPLICATION/JSON ;",
        "\u00ff/\u00ff",
    ]
)
_DEPTH = st.one_of(st.integers(1, 40), st.sampled_from([900, 1100, 5000, 30_000]))
Body = tuple[str, bytes]


def _pairs(pairs: list[tuple[str, Any]]) -> bytes:
    """A JSON object with these members, in which a name may come twice and NaN is a number."""
    return b"{" + b",".join(f"{json.dumps(n)}:{_dumped(v)}".encode() for n, v in pairs) + b"}"


def _dumped(value: Any) -> str:
    try:
        return json.dumps(value)
    except ValueError:  # a number of more digits than Python writes
        return "9" * 5000


def _urlencoded(pairs: list[tuple[str, Any]]) -> bytes:
    return urlencode([(_raw(name), _raw(value)) for name, value in pairs]).encode()


def _raw(value: Any) -> bytes:
    text = value if isinstance(value, str) else _dumped(value)
    return text.encode("utf-8", "surrogatepass")


def _multipart(pairs: list[tuple[str, Any]]) -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    return b"".join(head % (_raw(name), _raw(value)) for name, value in pairs) + b"--x--\r\n"


def bodies(fields: Iterable[str] = (), values: st.SearchStrategy[Any] = _JSON) -> st.SearchStrategy[Body]:
    """(content type, body): well formed and not, with the names of `fields` and others."""
    names = [*fields] or ["text"]
    every = st.fixed_dictionaries(dict.fromkeys(names, values)).map(lambda found: list(found.items()))
    some = st.lists(st.tuples(st.one_of(st.sampled_from(names), ANYTHING), values), max_size=5)
    pairs = st.one_of(every, some, st.tuples(every, some).map(lambda two: [*two[0], *two[1]]))
    boundary = st.just("multipart/form-data; boundary=x")
    nested = st.tuples(
        _DEPTH, st.sampled_from([(b"[", b"]"), (b'{"a":', b"}"), (b"[", b""), (b'[{"":', b"")])
    )
    deep = nested.map(lambda how: how[1][0] * how[0] + b"1" + how[1][1] * how[0])
    constants = st.sampled_from(
        [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"9" * 5000, b"nul", b"\xff", b'"']
    )
    wrapped = st.tuples(st.sampled_from(names), st.one_of(constants, deep)).map(
        lambda two: b"{" + json.dumps(two[0]).encode() + b":" + two[1] + b"}"
    )
    return st.one_of(
        st.tuples(st.just(JSON), pairs.map(_pairs)),
        st.tuples(st.just(FORM), pairs.map(_urlencoded)),
        st.tuples(boundary, pairs.map(_multipart)),
        st.tuples(st.just(JSON), st.one_of(wrapped, deep, constants, _JSON.map(_dumped).map(str.encode))),
        st.tuples(_TYPES, st.one_of(st.binary(max_size=60), pairs.map(_pairs), pairs.map(_urlencoded))),
    )


def sent(
    client: Client,
    method: str,
    target: str,
    *,
    headers: Iterable[tuple[str, str]] = (),
    body: Body | None = None,
) -> Sent:
    """A request as it is, of this client's session: nothing is encoded or put right on the way."""
    pairs = [*headers]
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs.insert(0, ("Host", client.origin.partition("://")[2]))
    if client.cookies:
        pairs.append(("Cookie", "; ".join(f"{name}={value}" for name, value in client.cookies.items())))
    if body is not None and body[0]:
        pairs.append(("Content-Type", body[0]))
    path, _, query = target.partition("?")
    return Sent(method, path, query, pairs, body[1] if body else b"", client.scheme, client.peer)


def ours(client: Client) -> Pairs:
    """What a script of this site sends with its request, so that the body is looked at."""
    return [*client.from_here, (client.token_header, client.token())]
