"""What holds for every route of the planner, seen by walking them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from bylaw.testing import Laboratory
from tests.apps.planner.conftest import administrator

PLANNER = Path(__file__).parents[3] / "apps" / "planner"


@pytest.mark.requirement("S2-015", "S2-057")
def test_every_route_that_takes_a_body_names_its_validator(lab: Laboratory) -> None:
    """Every route that takes a body names a model, and none of the models takes a field that it does not
    know."""
    taking = [
        rule for rule in lab.app.url_map.iter_rules() if {"POST", "PUT", "PATCH"} & (rule.methods or set())
    ]
    assert len(taking) >= 14
    for rule in taking:
        validator = getattr(lab.app.view_functions[rule.endpoint], "validator", None)
        assert isinstance(validator, type), rule
        assert issubclass(validator, BaseModel), rule
        assert validator.__module__ == "apps.planner.validators", rule
        assert validator.model_config["extra"] == "forbid", rule


@pytest.mark.requirement("S2-060", "S2-016")
def test_every_form_bears_its_token(lab: Laboratory) -> None:
    """Each form of each page that changes something has the token once, as its first field."""
    admin, seen = administrator(lab), 0
    for path in ("/", "/plannings/new", "/plannings/1", "/plannings/1/run", "/plannings/1/participants",
                 "/plannings/2/run", "/contributions/1/place"):  # fmt: skip
        page = admin.page(path).text
        for form in re.findall(r'<form[^>]*method="post".*?</form>', page, re.DOTALL):
            fields = re.findall(r'<(?:input|select|textarea)[^>]* name="([^"]+)"', form)
            assert fields[0] == "csrf_token", (path, form[:200])
            assert fields.count("csrf_token") == 1
            seen += 1
    assert seen > 20


@pytest.mark.requirement("S2-004")
def test_nothing_is_open_to_somebody_without_a_token(lab: Laboratory) -> None:
    """Every route of the planner's own, but for its style and script, sends a stranger to the sign-in
    page."""
    for method, path, rule in lab.bylaw.routes():
        if path.startswith("/static"):
            continue
        assert rule.kind in ("permission", "signed_in"), path
        place = re.sub(r"<int:\w+>", "1", path).replace("<batch_id>", "x" * 22).replace("<name>", "growth")
        reply = lab.visitor().send(method, place, headers=lab.visitor().from_here)
        assert reply.status == 401, (method, path, reply.status)


@pytest.mark.requirement("S2-059", "S2-058", "S2-012")
def test_no_template_says_that_something_is_safe_and_no_query_is_text() -> None:
    """`|safe`, Markup, text() and format strings in SQL occur nowhere, nor does anything that looks like a
    token."""
    for file in [*PLANNER.rglob("*.html"), *PLANNER.rglob("*.py"), *PLANNER.rglob("*.js")]:
        text = file.read_text(encoding="utf-8")
        for banned in ("|safe", "| safe", "Markup(", "autoescape", 'text("SELECT', "exec_driver_sql",
                       "innerHTML =", "planner_pat_", "ADMIN123"):  # fmt: skip
            assert banned not in text, (file.name, banned)


def test_no_page_has_style_or_script_within(lab: Laboratory) -> None:
    """What the Content-Security-Policy would refuse stands nowhere, in the cards' page neither."""
    admin = administrator(lab)
    for path in ("/", "/plannings/new", "/plannings/1", "/plannings/1/plan", "/plannings/1/overview",
                 "/plannings/1/run", "/plannings/1/participants", "/contributions/1/place"):  # fmt: skip
        page = admin.page(path).text
        assert "style=" not in page, path
        assert not re.search(r"<script(?![^>]*src=)", page), path
        assert not re.search(r"\son\w+=\"", page), path
