"""Flask's map is bound without Werkzeug's own way of finding out the host: the same comes out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Request
from werkzeug.test import EnvironBuilder

from bylaw.flask import Bylaw, public
from bylaw.testing import Bench, Target

POLICY = '[app]\nname = "Addresses"\n\n[roles]\nadmin = ["*"]\n'


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("addresses")
    (folder / "bylaw.toml").write_text(POLICY, "utf-8")

    def application() -> Flask:
        app = Flask(__name__, root_path=str(folder))
        Bylaw(app)
        app.add_url_rule("/items", view_func=public(lambda: "items"))
        return app

    bench = Bench(Target("addresses", application))
    with bench.laboratory() as laboratory:
        yield laboratory.app
    bench.close()


@pytest.mark.parametrize("name", [None, "app.lab", "APP.lab:443", "app.lab:8443", "straße.lab"])
@pytest.mark.parametrize(
    "base", ["https://app.lab", "http://app.lab:80", "https://app.lab:443/pre", "https://app.lab:8443"]
)
@pytest.mark.parametrize("path", ["/items", "//items", "/a b", "/ü", ""])
def test_a_request_is_bound_as_werkzeug_binds_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch, name: str | None, base: str, path: str
) -> None:
    """Any name, port, prefix and path: every fact that routes and links are made from is the same."""
    monkeypatch.setitem(app.config, "SERVER_NAME", name)
    environ = EnvironBuilder(path="/", base_url=base, query_string="a=1").get_environ()
    environ["PATH_INFO"] = path.encode().decode("latin-1")
    ours, theirs = Request(dict(environ)), Request(dict(environ))
    assert _facts(app.create_url_adapter(ours)) == _facts(Flask.create_url_adapter(app, theirs))
    assert ours.host == theirs.host


@pytest.mark.parametrize("name", [None, "app.lab", "APP.lab:8443"])
def test_a_task_without_a_request_is_bound_as_flask_binds_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    """A mail that is written outside of a request links to the same address."""
    monkeypatch.setitem(app.config, "SERVER_NAME", name)
    assert _facts(app.create_url_adapter(None)) == _facts(Flask.create_url_adapter(app, None))


def _facts(adapter: Any) -> Any:
    return adapter and vars(adapter)
