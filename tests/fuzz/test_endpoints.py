"""bylaw's own endpoints: no value comes back in a refusal, no endless body is gathered."""

from __future__ import annotations

import json
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bylaw.verify.laboratory import Laboratory
from tests.fuzz import junk

MARK = "c4n4ry"
FIELDS = ["email", "password", "name", "next", "current", "session", "action", "role", "id"]
scalars: Any = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5).map(lambda text: MARK + text)
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), documents, max_size=6)


def posts(laboratory: Laboratory) -> list[str]:
    """Paths of bylaw's own that take a body."""
    return sorted(route.path for route in laboratory.site.pages.routes() if "POST" in route.methods)


@pytest.mark.requirement("S3-030", "S3-055", "C-11")
@junk.examples(60)
@given(body=objects | documents, data=st.data())
def test_no_refusal_repeats_a_value(stack: Laboratory, body: Any, data: st.DataObject) -> None:
    """Any JSON to any endpoint for programs: what was wrong is said, what was given is not."""
    paths = [path for path in posts(stack) if "/api_" in path]
    client = stack.administrator()
    path = data.draw(st.sampled_from(paths)).replace("{id}", client.id)
    reply = client.act(
        "POST", path, body=json.dumps(body).encode(), headers=[("Content-Type", "application/json")]
    )
    if reply.status >= 400:
        assert reply.header("content-type") == "application/problem+json"
        assert MARK not in reply.text


@pytest.mark.requirement("C-03")
def test_ten_megabytes_of_unknown_length_are_not_gathered(stack: Laboratory) -> None:
    """Junk in pieces, without a length, to every endpoint as every type: refused at the limit."""
    junk_bytes = b'\x93\x00{"' * 2_500_000
    pieces = tuple(junk_bytes[at : at + 65536] for at in range(0, len(junk_bytes), 65536))
    client = stack.administrator()
    headers = [*client.from_here, ("X-CSRF-Token", client.token())]
    for path in posts(stack):
        for kind in (
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=b",
        ):
            began = process_time()
            reply = client.send(
                "POST",
                path.replace("{id}", client.id),
                chunks=pieces,
                keep=False,
                headers=[*headers, ("Content-Type", kind)],
            )
            assert reply.status in (400, 413, 415), (path, kind, reply)
            assert process_time() - began < 1, (path, kind)
