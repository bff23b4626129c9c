"""The register has no uploads, and no route of it takes a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from bylaw.verify.laboratory import Laboratory
from bylaw.verify.matrix import sample
from tests.apps.projects.conftest import program
from tests.attacks.specimens import form


@pytest.mark.requirement("S2-074")
def test_no_route_takes_a_file(shared: Laboratory) -> None:
    """An administrator's program sends a picture to every route there is: each refuses it."""
    client = program(shared, "admin")
    kind, body = form([{"holds": "png", "name": "x.png", "type": "image/png"}])
    said = {}
    for method, path, _ in shared.bylaw.routes():  # type: ignore[attr-defined]
        if method in ("POST", "PUT", "PATCH", "DELETE"):
            reply = client.send(method, sample(path), headers=[("Content-Type", kind)], body=body)
            said[method, path] = (reply.status, reply.code)
    assert said
    assert set(said.values()) <= {(415, "uploads.not_here"), (415, "body.unsupported_type")}, said
    assert shared.site.house.routes.files == {}
    assert not [path for path in Path(shared.files).rglob("*") if path.is_file()]
