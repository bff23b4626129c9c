"""A view of Flask's has the files of a request from bylaw alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask, request

from bylaw.errors import MisuseError
from bylaw.flask import Bylaw, public, takes
from bylaw.testing import Bench, Laboratory, Target
from tests.attacks.specimens import form

POLICY = '[app]\nname = "Shop"\n[uploads]\n'
READ: dict[str, Callable[[], object]] = {
    "field": lambda: request.files["drawing"].filename,
    "get": lambda: request.files.get("drawing"),
    "list": lambda: request.files.getlist("drawing"),
    "all": lambda: [*request.files, *request.files.values(), *request.files.items(multi=True)],
    "other": lambda: [request.files.get("other"), request.files.getlist("other"), "drawing" in request.files],
}
"""The ways in which a view reads files by every guide of Flask's."""


@contextmanager
def shop(folder: Path, settings: str) -> Iterator[Laboratory]:
    """An application whose view reads files as it is asked to."""
    file = folder / "bylaw.toml"
    file.write_text(POLICY + settings, "utf-8")

    def create_app() -> Flask:
        app = Flask("shop")
        bylaw = Bylaw(app, file)

        @app.post("/drawings/<how>")
        @takes("drawing")
        @public("for tests")
        def drawings(how: str) -> str:
            if how == "given":
                return "".join(each.name for each in bylaw.files.given("drawing"))
            try:
                return str(READ[how]())
            except MisuseError as error:
                return str(error)

        bylaw.ready()
        return app

    bench = Bench(Target("shop", create_app))
    with bench.laboratory() as laboratory:
        yield laboratory
    bench.close()


def said(laboratory: Laboratory, how: str) -> str:
    """What the view makes of a drawing."""
    kind, body = form([{"field": "drawing", "holds": "png", "name": "a.png"}])
    path = f"/drawings/{how}"
    return laboratory.visitor().act("POST", path, headers=[("Content-Type", kind)], body=body).text


@pytest.mark.requirement("S2-074", "C-29")
def test_a_view_reads_no_file_that_nobody_has_looked_into(tmp_path: Path) -> None:
    """A view stores what `request.files` holds: whatever somebody calls a drawing."""
    with shop(tmp_path, 'kinds = ["png"]\n') as laboratory:
        for how in ("field", "get", "list"):
            assert said(laboratory, how).endswith("bylaw.files.given('drawing'), then take")
        assert said(laboratory, "all") == "[]"
        assert said(laboratory, "other") == "[None, [], False]"
        assert said(laboratory, "given") == "a.png"


def test_where_uploads_are_off_flask_is_as_ever(tmp_path: Path) -> None:
    """A policy that judges no files leaves them to the application."""
    with shop(tmp_path, 'off = true\nbecause = "the application judges files itself"\n') as laboratory:
        assert said(laboratory, "field") == "a.png"
        assert said(laboratory, "given") == "a.png"
