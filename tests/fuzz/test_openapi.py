"""Every operation that an application describes, and every route that it has, with made-up input."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from schemathesis.core.result import Ok

from bylaw.testing import Client, Laboratory
from bylaw.verify.client import Pairs, Sent
from bylaw.verify.world import BASE_URL
from tests.fuzz import junk

Case = schemathesis.Case[Any]

# As the document describes them


@pytest.fixture(scope="module")
def described(notes: Laboratory) -> st.SearchStrategy[Case]:
    """Calls of what the notes application says of itself, but not of what raises on purpose."""
    document = notes.administrator().get("/openapi.json").json()
    del document["paths"]["/broken"]
    schema = schemathesis.openapi.from_dict(document)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) > 20
    return st.sampled_from(operations).flatmap(lambda operation: operation.as_strategy())


def send(laboratory: Laboratory, client: Client, case: Case, headers: Pairs) -> None:
    """Send the case in process, and look at the answer."""
    made: dict[str, Any] = case.as_transport_kwargs(base_url=BASE_URL)
    ready = requests.Request(**made).prepare()
    body = ready.body or b""
    assert isinstance(body, str | bytes)
    path, _, query = ready.path_url.partition("?")
    named = {name.lower() for name, _ in headers}
    pairs = [
        ("Host", BASE_URL.partition("://")[2]),
        *headers,
        *(
            (name, value.decode("latin-1") if isinstance(value, bytes) else value)
            for name, value in ready.headers.items()
            if name.lower() not in named | {"cookie", "content-length"}
        ),
    ]
    if client.cookies:
        pairs.append(("Cookie", "; ".join(f"{name}={value}" for name, value in client.cookies.items())))
    request = Sent(
        str(ready.method),
        path,
        query,
        pairs,
        body.encode() if isinstance(body, str) else body,
        client.scheme,
        client.peer,
    )
    junk.sound(laboratory, request, laboratory.transport(request))


@pytest.mark.requirement("S3-055", "C-11")
@junk.examples(100)
@given(st.data())
def test_every_operation_answers_an_administrator(
    notes: Laboratory, described: st.SearchStrategy[Case], data: st.DataObject
) -> None:
    """Whoever may do everything and sends what the document describes, or nearly, never finds a 5xx."""
    client = notes.administrator()
    send(notes, client, data.draw(described), junk.ours(client))


@pytest.mark.requirement("S3-055")
@junk.examples(60)
@given(st.data())
def test_every_operation_answers_a_stranger(
    notes: Laboratory, described: st.SearchStrategy[Case], data: st.DataObject
) -> None:
    """Nobody's requests from elsewhere never find a 5xx either."""
    send(notes, notes.visitor(), data.draw(described), [])


# As the routes are


IDS = st.one_of(
    st.integers(1, 12).map(str),
    st.sampled_from(
        [
            "0",
            "-1",
            "2147483647",
            "2147483648",
            "9" * 19,
            "9" * 5000,
            "1.0",
            "%d9%a1",
            "x",
            "%00",
            "1%2f2",
            "..%2f..%2fbylaw.toml",
            "mtc.css",
            "%ed%a0%80",
        ]
    ),
)
_PLAUSIBLE = st.one_of(
    st.integers(-1, 12),
    st.integers(1, 12).map(str),
    st.sampled_from(
        [
            "EUR",
            "usd",
            "1",
            "0",
            "0.5",
            "1e3",
            "1e-9",
            "1E+400",
            "NaN",
            "-1",
            "1_000",
            "\u0661",
            "999999999999",
            "2026-01-01",
            "2200-12-31",
            "1969-12-31",
            "2026-02-30",
            "2026-01-01T00:00:00Z",
            "0000-00-00",
            "piece",
            "kg",
            "lot",
            "up",
            "down",
            "planned",
            "executed",
            "true",
            "on",
            "https://people.test/x",
            "javascript:1",
            "=1+1",
            "a" * 200,
            "a" * 2001,
            "\u202e",
            "\0",
            "'; DROP TABLE items; --",
            "<b>",
            "{{7*7}}",
            "%s%n",
            "",
        ]
    ),
    st.text(max_size=8),
    st.lists(st.integers(-1, 12), max_size=3),
    st.booleans(),
    st.none(),
)
QUERIES = st.one_of(
    st.just(""),
    junk.QUERIES,
    st.tuples(
        st.sampled_from(
            [
                "page",
                "search",
                "action",
                "entity_type",
                "from",
                "to",
                "since",
                "until",
                "base",
                "currency",
                "item_id",
                "state",
                "on",
                "variant_id",
                "process_id",
                "quantity",
                "after",
                "limit",
            ]
        ),
        st.sampled_from(
            [
                "1",
                "-1",
                "0",
                "9" * 30,
                "9" * 5000,
                "2026-01-01",
                "x",
                "",
                "EUR",
                "%00",
                "%ff",
                "0001-01-01",
                "9999-12-31",
                "update",
                "planned",
                "1e9",
            ]
        ),
    ).map("=".join),
)
_UPLOADS = st.one_of(
    st.binary(max_size=120),
    st.lists(
        st.lists(
            st.one_of(
                st.sampled_from(
                    [
                        "Qty",
                        "Component",
                        "Part number",
                        "Price each",
                        "Currency",
                        "1",
                        "bolt",
                        "EUR",
                        "=1+1",
                        "0",
                        '"',
                        "1e400",
                        "",
                        "NaN",
                        "2,5",
                        "\u0661",
                        "\ufeff",
                    ]
                ),
                st.text(max_size=4),
            ),
            min_size=1,
            max_size=6,
        ).map(",".join),
        max_size=5,
    )
    .map("\n".join)
    .map(lambda text: ("Qty,Component,Price each,Currency\n" + text).encode("utf-8", "replace")),
)


def _upload(data: bytes) -> junk.Body:
    what = b'--edge\r\nContent-Disposition: form-data; name="what"\r\n\r\nbills\r\n'
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="b.csv"\r\n\r\n'
    return "multipart/form-data; boundary=edge", what + head + data + b"\r\n--edge--\r\n"


def _fields(laboratory: Laboratory, method: str, path: str) -> list[str]:
    """The fields of the model that the route reads its body with."""
    app = laboratory.app
    for rule in app.url_map.iter_rules():
        validator = getattr(app.view_functions[rule.endpoint], "validator", None)
        if rule.rule == path and method in rule.methods and isinstance(validator, type):
            assert issubclass(validator, BaseModel)
            return [field.alias or name for name, field in validator.model_fields.items()]
    return []


@pytest.mark.requirement("S3-055", "S1-087", "S1-088")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@junk.examples(150)
@given(st.data())
def test_every_route_of_mtc_answers_an_administrator(
    mtc: Laboratory, method: str, data: st.DataObject
) -> None:
    """Bodies, queries and ids that no form of MTC would send are never a 5xx of any of its routes."""
    routes = sorted({path for each, path, _ in mtc.routes() if each == method})
    path = data.draw(st.sampled_from(routes))
    address = re.sub(r"<[^>]+>|\{id\}", lambda _: data.draw(IDS), path)
    body = None
    if method != "GET":
        made = junk.bodies(_fields(mtc, method, path), _PLAUSIBLE)
        takes = path == "/imports" or path.endswith("/attachments")
        body = data.draw(_UPLOADS.map(_upload) if takes else made)
    query = data.draw(QUERIES)
    client = mtc.administrator()
    accept = data.draw(st.sampled_from(["text/html", "application/json", "*/*"]))
    request = junk.sent(
        client, method, f"{address}?{query}", headers=[*junk.ours(client), ("Accept", accept)], body=body
    )
    junk.sound(mtc, request, mtc.transport(request))
