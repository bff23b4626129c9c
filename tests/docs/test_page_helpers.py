"""What a page of a FastAPI application needs, as its page of the documentation shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI, Request

from bylaw.fastapi import Bylaw, Permit, SignedIn
from bylaw.testing import Laboratory, Target

POLICY = """
[roles]
admin = ["*"]
"""


@pytest.fixture
def laboratory(tmp_path: Path) -> Iterator[Laboratory]:
    """An application whose page hands out a token and a nonce."""
    (tmp_path / "bylaw.toml").write_text(POLICY)

    def create() -> FastAPI:
        app = FastAPI()
        bylaw = Bylaw(app, tmp_path / "bylaw.toml")

        @app.get("/page", dependencies=[SignedIn()])
        def page(request: Request) -> dict[str, str]:
            return {
                "token": bylaw.csrf_token(request),
                "field": str(bylaw.csrf_field(request)),
                "nonce": bylaw.csp_nonce(request),
                "again": bylaw.csp_nonce(request),
            }

        @app.post("/change", dependencies=[Permit("thing:change")])
        def change() -> dict[str, str]:
            return {}

        return app

    with Laboratory(Target("page", create)) as made:
        yield made


@pytest.mark.requirement("S1-038", "S1-043")
def test_a_script_sends_the_token_that_its_page_has(laboratory: Laboratory) -> None:
    """In the header, or in the form's hidden field; without it nothing is changed."""
    admin = laboratory.administrator()
    shown = admin.get("/page").json()
    header = laboratory.policy.controls["csrf"].header
    sent = admin.send("POST", "/change", headers=[*admin.from_here, (header, shown["token"])])
    assert sent.status == 200
    assert admin.send("POST", "/change", headers=admin.from_here).code == "csrf.token_missing"
    assert shown["field"].startswith('<input type="hidden" name="csrf_token" value="')


def test_a_page_has_one_nonce(laboratory: Laboratory) -> None:
    """Asked for twice it is the same; the next page has another."""
    admin = laboratory.administrator()
    first, second = admin.get("/page").json(), admin.get("/page").json()
    assert first["nonce"] == first["again"] != second["nonce"]
