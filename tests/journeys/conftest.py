"""MTC and the notes application on real ports, and a browser to visit them with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, sync_playwright

from apps import mtc as mtc_application
from tests.applications import fastapi_app
from tests.journeys.served import Person, Served, serve
from tests.journeys.visitor import DESKTOP, Visitor

# These fixtures live as long as this folder's tests run, not as long as the session: Playwright keeps an
# event loop in the thread, and other tests start one of their own.


@pytest.fixture(scope="package")
def mtc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """MTC with its sample data."""
    with serve(mtc_application.create_app, tmp_path_factory.mktemp("mtc")) as served:
        mtc_application.sample(served.bylaw)
        yield served


@pytest.fixture(scope="package")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The notes application, in FastAPI."""
    with serve(fastapi_app.create_app, tmp_path_factory.mktemp("notes"), asgi=True) as served:
        yield served


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium())
        yield browser
        browser.close()


def _chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("CHROME") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.fail("no Chromium or Chrome was found; run: make test", pytrace=False)
    return found


class Visit(Protocol):
    def __call__(
        self, served: Served, person: Person | None = None, *, script: bool = False, **options: Any
    ) -> Visitor: ...


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Somebody with a browser of their own, signed in where a person is named; no page needs script.

    At the end nobody's browser may have complained.
    """
    visitors: list[Visitor] = []

    def visit(
        served: Served, person: Person | None = None, *, script: bool = False, **options: Any
    ) -> Visitor:
        context = browser.new_context(
            base_url=served.url, java_script_enabled=script, **{"viewport": DESKTOP, **options}
        )
        context.set_default_timeout(15_000)
        if person is not None:
            context.add_cookies([{"name": served.cookie, "value": served.session(person), "url": served.url}])
        visitors.append(Visitor(context, served))
        return visitors[-1]

    yield visit
    for visitor in visitors:
        visitor.context.close()
    assert [complaint for visitor in visitors for complaint in visitor.complaints] == []
