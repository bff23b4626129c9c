"""The OpenAPI document, held against the application: nothing undocumented, no broken promise, no 5xx.

Schemathesis makes requests of the document, right and wrong ones, and checks the answers against it; as an
administrator, as an editor, and as nobody. In process, and through the whole gate.
"""

from __future__ import annotations

import copy
import io
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth
from urllib3 import HTTPHeaderDict, HTTPResponse

from bylaw.verify.client import Sent, Transport
from bylaw.verify.laboratory import Laboratory
from tests.apps.projects.conftest import program

BASE = "https://app.lab"
OURS = r"^/(projects|documents|users)"
"""The register's own; bylaw's endpoints are attacked with their documents elsewhere."""
EACH: Final = 5
"""Requests of each kind for each operation: the whole file may take a minute."""


class Through(requests.adapters.BaseAdapter):
    """What brings a request of `requests` into an application in this process, and its answer back."""

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport

    def send(self, request: Any, **how: Any) -> requests.Response:
        at = urlsplit(request.url)
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else bytes(body)
        pairs = [("Host", "app.lab"), *((k, _text(v)) for k, v in request.headers.items())]
        reply = self._transport(Sent(request.method, at.path, at.query, pairs, body, "https", "198.51.100.7"))
        raw = HTTPResponse(
            io.BytesIO(reply.body), HTTPHeaderDict(reply.headers), reply.status, preload_content=False
        )
        answer = requests.adapters.HTTPAdapter().build_response(request, raw)
        assert answer.content == reply.body  # read now: nothing is left open
        return answer

    def close(self) -> None:
        """Nothing is kept open."""


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def document(laboratory: Laboratory) -> dict[str, Any]:
    """What the application says of itself, without the `default` answer, which would allow anything."""
    found: dict[str, Any] = copy.deepcopy(laboratory.visitor().get("/openapi.json").json())
    for path in found["paths"].values():
        for operation in path.values():
            operation["responses"].pop("default", None)
    return found


@pytest.fixture(scope="module")
def session(shared: Laboratory) -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.mount(BASE, Through(shared.transport))
        yield opened


def held_against(laboratory: Laboratory, session: requests.Session, token: str) -> Counter[tuple[str, int]]:
    """Every operation, asked with this token; how often each status came."""
    schema = schemathesis.openapi.from_dict(document(laboratory)).include(path_regex=OURS)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    seen: Counter[tuple[str, int]] = Counter()

    known = there(laboratory)

    def ask(case: Any) -> None:
        if case.meta.generation.mode.is_positive:  # half of what is right is about something that is there
            ids = {name: known[name] for name in case.path_parameters if name in known}
            case.path_parameters = {**case.path_parameters, **(ids if seen.total() % 2 else {})}
        response = case.call(base_url=BASE, session=session, headers=headers)
        seen[case.operation.label, response.status_code] += 1
        # Its own requests leave this process; test_api.py sends nobody to every route.
        case.validate_response(response, headers=headers, excluded_checks=[ignored_auth])

    for found in schema.get_all_operations():
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            cases = found.ok().as_strategy(generation_mode=mode)
            with suppress(Unsatisfiable):  # nothing can be wrong with a request that takes nothing
                _often(given(case=cases)(ask))()
    return seen


def there(laboratory: Laboratory) -> dict[str, str]:
    """Things of the register that are there, by the names of the parameters that mean them."""
    ann = program(laboratory, "editor")
    project = ann.made()["id"]
    document = ann.send("POST", f"/projects/{project}/documents", json={"title": "Plan"}).json()["id"]
    return {"project_id": project, "document_id": document, "user_id": laboratory.person("viewer").id}


def _often(test: Any) -> Any:
    """The same requests at every run: a failure here is one at the next desk as well."""
    return settings(
        max_examples=EACH,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )(test)


@pytest.mark.requirement("S3-027", "S3-028", "S3-030", "S3-055")
@pytest.mark.parametrize("role", ["admin", "editor", ""])
def test_the_document_is_kept(shared: Laboratory, session: requests.Session, role: str) -> None:
    """No 5xx, no answer that the document does not have, nothing wrong taken and nothing right refused."""
    seen = held_against(shared, session, program(shared, role).token if role else "")
    statuses = {status for _, status in seen}
    assert len({label for label, _ in seen}) == 27
    assert {"admin": {200, 201, 404, 422}, "editor": {200, 201, 403, 404, 422}, "": {401}}[role] <= statuses
