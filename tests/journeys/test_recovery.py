"""A forgotten password, from the sign-in page to the mail and back. No script is needed, and no mouse."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from axe_playwright_python.base import AXE_SCRIPT

from bylaw.operations import chores
from tests.journeys.conftest import Visit
from tests.journeys.served import Person, Served
from tests.journeys.visitor import PHONE, Visitor

NEW = "Another 4ll-day walk!"
_GRAVE = ("serious", "critical")


def mailed(served: Served, person: Person, subject: str) -> str:
    """The text of the newest mail of this kind to somebody; the process itself may be sending it just now."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        chores.send(served.site.house)
        for message in reversed(served.mailbox.messages):
            body = message.get_body(("plain",))
            if message["To"] == person.email and subject in message["Subject"] and body is not None:
                return str(body.get_content())
    pytest.fail(f"no mail {subject!r} to {person.email}")


def link(served: Served, person: Person) -> str:
    """The path of the newest link to choose a password."""
    found = re.search(rf"{re.escape(served.url)}(/auth/reset-password/\S+)", mailed(served, person, "Choose"))
    assert found is not None
    return found[1]


def typed(visitor: Visitor, *keys: str) -> None:
    """Press keys, one after another; what is no key's name is typed."""
    for key in keys:
        if key in ("Tab", "Enter", "Shift+Tab"):
            visitor.page.keyboard.press(key)
        else:
            visitor.page.keyboard.type(key)


def arriving(visitor: Visitor, keys: Callable[[], None]) -> int:
    with visitor.page.expect_navigation() as arrived:
        keys()
    return arrived.value.status


@pytest.mark.requirement("S1-011", "S1-012", "S1-016", "S1-017", "C-34")
def test_somebody_has_forgotten_his_password(mtc: Served, visit: Visit) -> None:
    """By the keyboard alone: asks, opens the mail, chooses, signs in; the browser in which he was is out."""
    who = mtc.person("user", name="Fay Forgetful")
    elsewhere, visitor = visit(mtc, who), visit(mtc)
    elsewhere.go("/")
    assert elsewhere.heading == "Overview"

    visitor.go(mtc.page("sign_in"))
    visitor.page.get_by_role("link", name="Forgot your password?").focus()
    assert arriving(visitor, lambda: typed(visitor, "Enter")) == 200
    assert visitor.heading == "Forgot your password?"
    visitor.picture("forgot-password")
    visitor.page.get_by_label("Mail address").focus()
    assert arriving(visitor, lambda: typed(visitor, who.email, "Enter")) == 200
    assert "a link is on its way" in visitor.page.get_by_role("status").inner_text()
    visitor.picture("forgot-password-sent")

    path = link(mtc, who)
    visitor.go(path)
    assert visitor.path == mtc.page("reset_password")
    assert path.rpartition("/")[2] not in visitor.page.content()
    assert visitor.page.get_by_label("Account").input_value() == who.email
    visitor.picture("reset-password")
    visitor.page.get_by_label("New password").focus()
    assert arriving(visitor, lambda: typed(visitor, "allsmallletters", "Enter")) == 422
    assert visitor.page.get_by_label("New password").input_value() == ""
    assert "an upper-case letter" in visitor.page.get_by_role("alert").inner_text().lower()
    visitor.picture("reset-password-weak")
    visitor.page.get_by_label("New password").focus()
    assert arriving(visitor, lambda: typed(visitor, NEW, "Enter")) == 200

    assert visitor.heading == "Sign in"
    assert "Your password is set." in visitor.page.get_by_role("status").inner_text()
    visitor.picture("reset-done")
    assert visitor.sign_in(who) == 401
    visitor.sign_in(who, password=NEW)
    assert visitor.heading == "Overview"
    elsewhere.go("/")
    assert elsewhere.heading == "Sign in"
    assert "If it was not you" in mailed(mtc, who, "was set")


@pytest.mark.requirement("S1-017", "C-34")
def test_a_link_that_was_used_leads_to_a_calm_page(notes: Served, visit: Visit) -> None:
    """Whoever opens it again learns what to do, and nothing of whose it was; going back shows no form."""
    who, visitor, other = notes.person("user"), visit(notes), visit(notes)
    visitor.go(notes.page("forgot_password"))
    visitor.fill("Mail address", who.email)
    visitor.press("Mail me a link")
    path = link(notes, who)
    other.go(path)
    visitor.go(path)
    visitor.fill("New password", f"{NEW} And another.")
    visitor.press("Set the password")
    assert visitor.heading == "Sign in"

    assert other.go(path) == 400
    assert other.heading == "This link is no longer good"
    assert who.email not in other.page.content()
    other.picture("reset-ended")
    visitor.page.go_back()
    visitor.page.reload()
    assert visitor.heading == "This link is no longer good"
    other.follow("Ask for a new link", within="main")
    assert other.heading == "Forgot your password?"


@pytest.mark.parametrize("name", ["mtc", "notes"])
@pytest.mark.requirement("S1-036")
def test_the_pages_of_recovery_are_for_everybody(
    name: str, request: pytest.FixtureRequest, visit: Visit
) -> None:
    """Nothing grave by axe-core, nothing wider than a phone, light and dark, with errors and without."""
    served: Served = request.getfixturevalue(name)
    who, visitor = served.person("user"), visit(served, script=True)
    wrong: list[str] = []

    def look(what: str) -> None:
        for size, scheme in ((None, "light"), (PHONE, "dark"), (PHONE, "light")):
            if size is not None:
                visitor.page.set_viewport_size(size)
            visitor.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            if visitor.is_wider_than_the_screen:
                wrong.append(f"{what}: wider than the screen")
            visitor.page.evaluate(AXE_SCRIPT)
            violations = visitor.page.evaluate("() => axe.run(document)")["violations"]
            grave = [found for found in violations if found["impact"] in _GRAVE]
            wrong.extend(
                f"{what} ({scheme}): {found['id']}: {found['nodes'][0]['target']}" for found in grave
            )
            visitor.picture(f"{name}-{what}-{scheme}-{'phone' if size else 'desk'}")
        visitor.page.set_viewport_size({"width": 1280, "height": 800})

    visitor.go(served.page("sign_in"))
    look("sign-in")
    visitor.go(served.page("forgot_password"))
    look("forgot")
    visitor.fill("Mail address", "a@b")
    visitor.press("Mail me a link")
    look("forgot-refused")
    visitor.fill("Mail address", who.email)
    visitor.press("Mail me a link")
    look("forgot-sent")
    visitor.go(link(served, who))
    look("reset")
    visitor.fill("New password", "passwordpassword")
    visitor.press("Set the password")
    look("reset-refused")
    visitor.go(f"{served.page('reset_password')}/nothing")
    look("ended")
    assert wrong == []
