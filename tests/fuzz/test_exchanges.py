"""Whatever arrives is answered: refused where it must be, never with an error of ours."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bylaw.controls import body as bodies
from bylaw.exchange import Exchange, PairHeaders, Read, enter, leave
from bylaw.pages import ENDPOINTS
from bylaw.pages.endpoints import Endpoint
from bylaw.testing import Client, Laboratory
from tests.fuzz import junk

KNOWN = [
    "/",
    "/api/notes",
    "/api/notes/1",
    "/api/open/notes",
    "/api/papers",
    "/api/papers/1",
    "/api/papers/discard",
    "/api/papers/export",
    "/api/papers/key/x",
    "/report",
    "/page",
    "/form",
    "/go",
    "/download",
    "/greeting",
    "/openapi.json",
    "/docs",
    "/auth",
    "/auth/static/bylaw.css",
    "/static/x",
    *(f"/auth/{path}" for e in ENDPOINTS for path in (e.page, e.api) if path),
]
"""Without /broken, which raises on purpose."""


def own(endpoints: Iterable[Endpoint]) -> list[tuple[str, tuple[str, ...]]]:
    """The addresses of `endpoints`, with the fields of their forms."""
    return sorted(
        (f"/auth/{path}{'{id}' if path.endswith('/') else ''}", tuple(f.name for f in e.fields))
        for e in endpoints
        for path in (e.page, e.api)
        if path
    )


OWN = own(ENDPOINTS)
POSTED = own(e for e in ENDPOINTS if e.do is not None)
"""Where something is read of a body: the others answer 405 to whatever is sent."""
WHO = ["administrator", "nobody"]


def client(laboratory: Laboratory, who: str) -> Client:
    return laboratory.administrator() if who == "administrator" else laboratory.visitor()


@pytest.mark.requirement("S3-055", "S3-062", "S3-065", "C-36")
@pytest.mark.parametrize("who", WHO)
@junk.examples(60)
@given(
    method=junk.METHODS,
    path=junk.paths(KNOWN),
    query=junk.QUERIES,
    headers=junk.headers(),
    body=st.one_of(st.none(), junk.bodies()),
    scheme=st.sampled_from(["https", "https", "http"]),
    acting=st.booleans(),
    html=st.booleans(),
)
def test_any_exchange_is_answered(
    stack: Laboratory,
    who: str,
    method: str,
    path: str,
    query: str,
    headers: list[tuple[str, str]],
    body: junk.Body | None,
    scheme: str,
    acting: bool,
    html: bool,
) -> None:
    """Method, path, headers and body of an attacker's choice get an answer with its headers, no 5xx."""
    someone = client(stack, who)
    ours = junk.ours(someone) if acting else []
    asked = [("Accept", "text/html")] if html else []
    request = junk.sent(someone, method, f"{path}?{query}", headers=[*ours, *asked, *headers], body=body)
    request.scheme = scheme
    junk.sound(stack, request, stack.transport(request))


@pytest.mark.requirement("S3-055")
def test_a_query_of_broken_bytes_is_the_senders_mistake(stack: Laboratory) -> None:
    """Bytes that are no UTF-8 are refused before a framework fails at them; an umlaut is none of them."""
    visitor = stack.visitor()
    for query in ("to=\x80", "to=\xc3", "\xff", "to=%C3%A9&q=\xed\xa0\x80"):
        reply = junk.sound(stack, query, stack.transport(junk.sent(visitor, "GET", f"/go?{query}")))
        assert (reply.status, reply.code) == (400, "errors.malformed"), query
    for query in ("to=\xc3\xa9", "to=%80", "to=%C3%A9"):
        reply = junk.sound(stack, query, stack.transport(junk.sent(visitor, "GET", f"/go?{query}")))
        assert reply.status < 400, query


@pytest.mark.requirement("S3-055")
@junk.examples(100)
@given(
    pairs=junk.headers(st.text(alphabet=st.characters(max_codepoint=0xFF), max_size=20)),
    method=st.one_of(junk.METHODS, junk.ANYTHING),
    path=junk.ANYTHING,
    query=junk.ANYTHING,
    peer=junk.ANYTHING,
    body=st.binary(max_size=200),
    websocket=st.booleans(),
)
def test_the_gate_reads_what_no_server_would_let_through(
    core: Laboratory,
    pairs: list[tuple[str, str]],
    method: str,
    path: str,
    query: str,
    peer: str,
    body: bytes,
    websocket: bool,
) -> None:
    """Line breaks, NUL and lone surrogates in every fact of an exchange lead to a verdict, not a crash."""
    made = Exchange(
        method=method, path=path, query=query, peer=peer, headers=PairHeaders(pairs), websocket=websocket
    )
    token = enter(made)
    try:
        reply = core.app._reply(made, body)
    finally:
        leave(token)
    junk.sound(core, (method, path, query, pairs), reply)


@pytest.mark.requirement("S3-055", "C-11")
@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("kind", ["page", "api"])
@junk.examples(40)
@given(st.data())
def test_any_body_to_an_endpoint_of_bylaw_is_answered(
    stack: Laboratory, kind: str, who: str, data: st.DataObject
) -> None:
    """Forms and JSON of an attacker's choice, past every check of where they come from, are never a 5xx."""
    wanted = [each for each in POSTED if each[0].startswith("/auth/api_") is (kind == "api")]
    path, fields = data.draw(st.sampled_from(wanted))
    body = data.draw(junk.bodies(fields))
    someone = client(stack, who)
    path = path.replace(
        "{id}", data.draw(st.sampled_from([someone.id or "x", "1", "%00", "%ed%a0%80", "9" * 300]))
    )
    extra = data.draw(st.sampled_from([[], [("Accept", "text/html")], [("User-Agent", "\xff\x01" * 300)]]))
    request = junk.sent(someone, "POST", path, headers=[*junk.ours(someone), *extra], body=body)
    junk.sound(stack, request, stack.transport(request))


@pytest.mark.requirement("S3-055", "C-11")
@pytest.mark.parametrize("who", WHO)
def test_ten_megabytes_are_refused_without_being_looked_at(stack: Laboratory, who: str) -> None:
    """Whoever sends 10 MB to an endpoint of bylaw is refused at once, whatever is in them."""
    bodies = [
        ("application/json", b'{"email":"' + b"a" * 10_000_000 + b'"}'),
        ("application/json", b"[" * 10_000_000),
        ("application/x-www-form-urlencoded", b"a=1&" * 2_500_000),
        ("multipart/form-data; boundary=x", b"--x\r\n" * 2_000_000),
        ("application/octet-stream", bytes(10_000_000)),
    ]
    someone = client(stack, who)
    ours = junk.ours(someone)
    for path, _ in OWN:
        for body in bodies:
            request = junk.sent(someone, "POST", path, headers=ours, body=body)
            began = time.process_time()  # of this process alone: another one's work is no delay of ours
            reply = junk.sound(stack, path, stack.transport(request))
            assert time.process_time() - began < 1, (path, body[0])
            accepted = path.endswith("logout")
            assert 400 <= reply.status < 500 or accepted, (path, body[0], reply)


@pytest.mark.requirement("S3-055")
def test_no_endpoint_of_bylaw_asks_for_a_large_body(core: Laboratory) -> None:
    """The gate asks a server for 64 KB at most, so that memory is not the attacker's to fill."""
    for path, _ in POSTED:
        someone = core.administrator()
        pairs = [
            ("Host", "app.lab"),
            ("Content-Type", "application/json"),
            *junk.ours(someone),
            ("Cookie", "; ".join(f"{n}={v}" for n, v in someone.cookies.items())),
        ]
        made = Exchange(method="POST", path=path, headers=PairHeaders(pairs), peer=someone.peer)
        token = enter(made)
        try:
            asked, verdict = _asked(core.site.gate.deciding(made))
            assert 0 < max(asked) <= bodies.OWN + 1, path
            assert 400 <= core.site.gate.response(made, verdict).status < 500, path
        finally:
            leave(token)


def _asked(path: Any) -> tuple[list[int], Any]:
    """The bytes that a path of the gate asks for, when every body is too long; and its verdict."""
    asked: list[int] = []
    given: Any = None
    try:
        while True:
            need = path.send(given)
            limit = getattr(need, "limit", None)
            if limit is not None:
                asked.append(limit)
            given = None if limit is None or isinstance(need, Read) else (b"x" * limit, False)
    except StopIteration as done:
        return asked, done.value


DOCUMENTS = {
    "nothing": b"",
    "half": b'{"email": ',
    "two": b"{}{}",
    "trailing comma": b'{"email": "a",}',
    "a comment": b"{} // x",
    "single quotes": b"{'email': 'a'}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "no UTF-8": b'{"email": "\xff"}',
    "an overlong slash": b'{"email": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"email": "\xed\xa0\x80"}',
    "a lone surrogate": b'{"email": "\\ud800"}',
    "UTF-16": '{"email": "a"}'.encode("utf-16"),
    "UTF-32": '{"email": "a"}'.encode("utf-32"),
    "NaN": b'{"email": NaN}',
    "Infinity": b'{"password": -Infinity}',
    "a big float": b'{"email": 1e999999}',
    "many digits": b'{"email": ' + b"9" * 60_000 + b"}",
    "lists": b"[" * 30_000 + b"]" * 30_000,
    "unclosed lists": b"[" * 60_000,
    "objects": b'{"email":' * 6_000 + b"1" + b"}" * 6_000,
    "a name twice": b'{"email": "a@people.test", "email": "b@people.test"}',
    "a name twice, escaped": b'{"email": "a@people.test", "\\u0065mail": "b@people.test"}',
    "many names": json.dumps({f"name{n}": n for n in range(3000)}).encode(),
    "a prototype": b'{"__proto__": {"role": "admin"}, "constructor": 1}',
    "NUL": b'{"email": "\\u0000"}',
    "a list": b"[]",
    "null": b"null",
    "text": b'"email"',
    "true": b"true",
}


@pytest.mark.requirement("S3-055", "C-11")
@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("what", sorted(DOCUMENTS))
def test_what_is_no_json_of_ours_is_the_senders_mistake(stack: Laboratory, what: str, who: str) -> None:
    """Malformed, nested, ambiguous and oversized JSON is refused by every endpoint, and nothing is done."""
    someone = client(stack, who)
    ours = junk.ours(someone)
    for path, _ in POSTED:
        if "/api_" in path:
            request = junk.sent(
                someone, "POST", path, headers=ours, body=("application/json", DOCUMENTS[what])
            )
            reply = junk.sound(stack, path, stack.transport(request))
            assert reply.status in ((400, 413, 422) if who != "nobody" else (400, 401, 413, 422)), (
                path,
                reply,
            )
