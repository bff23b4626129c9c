"""The planner has no uploads (S2-074), and no route of it takes a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from bylaw.testing import Laboratory
from bylaw.verify.matrix import sample
from tests.apps.planner.conftest import administrator
from tests.attacks.specimens import form


@pytest.mark.requirement("S2-074")
def test_no_route_takes_a_file(lab: Laboratory) -> None:
    """An administrator sends a picture to every route there is: each says that it takes none."""
    client = administrator(lab)
    kind, body = form([{"holds": "png", "name": "x.png", "type": "image/png"}])
    said = {}
    for method, path, _ in lab.bylaw.routes():  # type: ignore[attr-defined]
        if method in ("POST", "PUT", "PATCH", "DELETE"):
            reply = client.act(method, sample(path), headers=[("Content-Type", kind)], body=body)
            said[method, path] = (reply.status, reply.code)
    assert said
    assert set(said.values()) == {(415, "uploads.not_here")}, said
    assert lab.site.house.routes.files == {}
    assert not [path for path in Path(lab.files).rglob("*") if path.is_file()]
