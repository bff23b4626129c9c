"""The register's page: that the API is alive, for people. Without a script, and on a phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apps import projects as register_application
from tests.journeys.conftest import Visit
from tests.journeys.served import Served, serve
from tests.journeys.test_every_page import Look


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The project register with its sample data."""
    with serve(register_application.create_app, tmp_path_factory.mktemp("projects"), asgi=True) as served:
        register_application.sample(served.bylaw)
        yield served


def test_the_page_says_that_the_register_is_alive(projects: Served, visit: Visit) -> None:
    """Calm, without a script, in one column; by day at a desk and by night on a phone."""
    visitor, look = visit(projects, script=True), Look()  # the page has none; what looks at it is one
    assert visitor.go("/") == 200
    assert visitor.heading == "Project register"
    assert visitor.page.get_by_role("status").inner_text() == "The register is here and answers."
    assert visitor.page.locator("script").count() == 0
    look.at(visitor, "register")
    assert look.wrong == []


def test_from_the_page_to_ones_account_and_back(projects: Served, visit: Visit) -> None:
    """With the keyboard alone: sign in, and home again; nothing of the register is on the page."""
    ann = projects.person("editor", name="Ann Editor")
    visitor = visit(projects)
    visitor.go("/")
    for _ in range(6):
        visitor.page.keyboard.press("Tab")
        if visitor.page.locator(":focus").inner_text() == "Sign in to your account":
            break
    with visitor.page.expect_navigation():
        visitor.page.keyboard.press("Enter")
    assert visitor.path == projects.page("sign_in")
    assert visitor.sign_in(ann) == 200
    assert visitor.path == "/"
    assert "You are signed in as Ann Editor." in visitor.text
    visitor.picture("register-signed-in")
    visitor.follow("Your account")
    assert visitor.path == projects.page("account")
    visitor.follow("Home")
    assert "bridge" not in visitor.text.lower()


def test_the_document_is_there_for_whoever_looks(projects: Served, visit: Visit) -> None:
    """The link leads to the OpenAPI document; FastAPI's pages, with scripts from elsewhere, are not there."""
    visitor = visit(projects)
    visitor.go("/")
    visitor.follow("the OpenAPI document")
    assert '"openapi":"3.1.0"' in visitor.page.locator("body").inner_text().replace(" ", "")
    assert [visitor.go(path) for path in ("/docs", "/redoc")] == [404, 404]
