"""bylaw's own endpoints under arbitrary bodies, and under ten megabytes of junk."""

from __future__ import annotations

import json
from time import monotonic
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bylaw.verify.client import Client
from bylaw.verify.laboratory import Bench, Laboratory
from tests.applications.stacks import FRAMEWORKS, TARGETS, hurry

MARK = "c4n4ry"
FIELDS = ["email", "password", "name", "next", "current", "session", "action", "role", "id"]
scalars: Any = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | (
    st.text(max_size=5).map(lambda text: MARK + text))
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(FIELDS) | st.text(max_size=10), inner, max_size=5), max_leaves=12)
objects = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), documents, max_size=6)
forms = st.lists(st.tuples(st.sampled_from(FIELDS) | st.text(max_size=8), st.text(max_size=30)),
                 max_size=6)


@pytest.fixture(scope="module")
def root(target: Laboratory) -> tuple[Client, str]:
    client = target.administrator()
    return client, client.token()


def posts(laboratory: Laboratory, *, api: bool) -> list[str]:
    """Paths that take a body; those that would end the session are asked as somebody else."""
    return sorted(
        route.path.replace("{id}", "nobody") for route in laboratory.site.pages.routes()
        if route.api is api and "POST" in route.methods
    )


def sender(laboratory: Laboratory, root: tuple[Client, str], path: str) -> tuple[Client, str]:
    """Whoever may lose a session by it has one of her own."""
    if path.endswith(("logout", "sessions", "login")):
        client = laboratory.administrator()
        return client, client.token()
    return root


@pytest.mark.requirement("S3-030", "S3-055", "C-11")
@settings(max_examples=60)
@given(body=objects | documents, which=st.integers(0, 20))
def test_any_json_is_answered_by_every_endpoint(
    target: Laboratory, root: tuple[Client, str], body: Any, which: int
) -> None:
    """Any JSON to any endpoint: an answer below 500 that does not repeat a value."""
    paths = posts(target, api=True)
    path = paths[which % len(paths)]
    client, token = sender(target, root, path)
    reply = client.send(
        "POST", path, body=json.dumps(body).encode(), keep=False,
        headers=[*client.from_here, ("X-CSRF-Token", token), ("Content-Type", "application/json")])
    assert reply.status < 500, reply.text
    if reply.status >= 400:
        assert reply.header("content-type") == "application/problem+json"
        values = str([v for v in body.values() if isinstance(v, str)]
                     if isinstance(body, dict) else body)
        if MARK in values:
            assert MARK not in str(reply.json().get("errors"))


@pytest.mark.requirement("S3-055", "S1-036")
@settings(max_examples=60)
@given(fields=forms, which=st.integers(0, 20), html=st.booleans())
def test_any_form_is_answered_by_every_page(
    target: Laboratory, root: tuple[Client, str], fields: list[tuple[str, str]], which: int,
    html: bool,
) -> None:
    """Any form to any page: an answer below 500, and no markup that was not there before."""
    paths = posts(target, api=False)
    path = paths[which % len(paths)]
    client, token = sender(target, root, path)
    encoded = [(k.encode("utf-8", "surrogatepass"), v.encode("utf-8", "surrogatepass"))
               for k, v in fields]
    reply = client.send(
        "POST", path, form=encoded, keep=False,
        headers=[*client.from_here, ("X-CSRF-Token", token),
                 ("Accept", "text/html" if html else "application/json")])
    assert reply.status < 500, reply.text[:300]


@pytest.mark.requirement("C-03")
@pytest.mark.parametrize("stack", FRAMEWORKS)
def test_ten_megabytes_of_junk_are_refused_at_once(stack: str) -> None:
    """Junk of ten megabytes to every endpoint, with and without a length: refused, not gathered."""
    junk = b"\x93\x00{\"" * 2_500_000
    pieces = tuple(junk[at : at + 65536] for at in range(0, len(junk), 65536))
    bench = Bench(TARGETS[stack])
    with bench.laboratory() as laboratory:
        hurry(laboratory)
        client = laboratory.administrator()
        token = client.token()
        began, sent = monotonic(), 0
        for api in (True, False):
            for path in posts(laboratory, api=api):
                for kind in ("application/json", "application/x-www-form-urlencoded",
                             "multipart/form-data; boundary=b"):
                    for how in ({"body": junk}, {"chunks": pieces}):
                        headers = [*client.from_here, ("X-CSRF-Token", token),
                                   ("Content-Type", kind)]
                        reply = client.send("POST", path, headers=headers, keep=False, **how)  # type: ignore[arg-type]
                        assert reply.status in (400, 413, 415), (path, kind, reply)
                        sent += 1
        took = monotonic() - began
        assert laboratory.whoami(client).status == 200
    bench.close()
    assert took / sent < 0.5, took
