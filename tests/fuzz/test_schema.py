"""The OpenAPI document of a FastAPI application is what the application does: schemathesis asks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bylaw.verify.client import Client
from bylaw.verify.laboratory import Bench, Laboratory
from tests.applications.stacks import TARGETS, hurry

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# Raises on purpose; ends the session that the next example needs.
LEFT_OUT = {"/broken", "/auth/api_logout", "/auth/api_login"}


def described() -> dict[str, Any]:
    """The document of the test application, as its developers see it."""
    bench = Bench(TARGETS["fastapi"])
    with bench.laboratory() as laboratory:
        app: Any = laboratory.app
        document: dict[str, Any] = app.openapi()
    bench.close()
    return document


DOCUMENT = described()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS: dict[str, Any] = {
    f"{operation.method.upper()} {operation.path}": operation
    for found in SCHEMA.get_all_operations()
    for operation in [found.ok()]  # type: ignore[union-attr]
}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Laboratory, Client, str]]:
    """The application, an administrator and her token."""
    bench = Bench(TARGETS["fastapi"])
    with bench.laboratory() as laboratory:
        hurry(laboratory)
        root = laboratory.administrator()
        yield laboratory, root, root.token()
    bench.close()


def ask(client: Client, case: Any, headers: list[tuple[str, str]]) -> httpx.Response:
    """Send a case of schemathesis in process, and give it back what came."""
    how = case.as_transport_kwargs(base_url="https://app.lab")
    request = httpx.Request(
        how["method"],
        how["url"],
        params=how.get("params"),
        json=how.get("json"),
        content=how.get("data") if isinstance(how.get("data"), bytes | str) else None,
        data=how.get("data") if isinstance(how.get("data"), dict) else None,
    )
    own = [(k, v) for k, v in request.headers.items() if k in ("content-type",)] + [
        (k, str(v))
        for k, v in how.get("headers", {}).items()
        if k.lower() not in ("cookie", "content-type", "host")
    ]
    target = request.url.raw_path.decode("ascii")
    reply = client.send(request.method, target, headers=[*headers, *own], body=request.content, keep=False)
    response = httpx.Response(reply.status, headers=reply.headers, content=reply.body, request=request)
    response.elapsed = timedelta(0)
    return response


@pytest.mark.requirement("S3-030", "S3-055")
@pytest.mark.parametrize("name", sorted(n for n in OPERATIONS if n.split(" ")[1] not in LEFT_OUT))
@pytest.mark.parametrize("who", ["root", "nobody"])
def test_every_operation_does_what_the_document_says(
    running: tuple[Laboratory, Client, str], name: str, who: str
) -> None:
    """Good and bad values by the document: a documented status, type and shape, and never a 5xx."""
    laboratory, root, token = running
    client = root if who == "root" else laboratory.visitor()
    headers = [*client.from_here, *([("X-CSRF-Token", token)] if who == "root" else [])]
    strategies = OPERATIONS[name].as_strategy() | OPERATIONS[name].as_strategy(
        generation_mode=schemathesis.GenerationMode.NEGATIVE
    )

    @settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault
    @given(case=strategies)
    def each(case: Any) -> None:
        response = ask(client, case, headers)
        case.validate_response(response, checks=CHECKS)
        if who == "nobody" and DOCUMENT["paths"][case.path][case.method.lower()].get("security"):
            assert response.status_code in (400, 401, 403, 404, 405, 413, 415)

    each()


@pytest.mark.requirement("S3-030", "C-11")
def test_the_document_describes_no_refusal_that_is_not_sent() -> None:
    """FastAPI's own shape of a 422 would echo what was given: it is neither sent nor described."""
    text = str(DOCUMENT)
    assert "HTTPValidationError" not in text
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            problem = operation["responses"]["default"]["content"]
            assert list(problem) == ["application/problem+json"], (path, method)
    assert DOCUMENT["components"]["securitySchemes"]["session"]["name"] == "__Host-sid"


def test_every_endpoint_for_programs_is_described() -> None:
    """What a program may call stands in the document, with its fields and nothing more."""
    bench = Bench(TARGETS["fastapi"])
    with bench.laboratory() as laboratory:
        for route in laboratory.site.pages.routes():
            if route.api:
                assert route.path in DOCUMENT["paths"]
    bench.close()
