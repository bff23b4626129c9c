"""A second factor's life: set up, shown, lost, asked for again, removed. No script is needed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pyotp
import pytest
from axe_playwright_python.base import AXE_SCRIPT

from bylaw.controls import mfa
from bylaw.store.tables import sessions
from tests.journeys.conftest import Visit
from tests.journeys.served import Person, Served
from tests.journeys.visitor import DESKTOP, PHONE, Visitor

_GRAVE = ("serious", "critical")


def secret_on(visitor: Visitor) -> str:
    """What the page gives to be typed into an app."""
    return re.sub(r"\s", "", visitor.page.locator(".secret code").inner_text())


def code(secret: str, *, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(time.time()) + 30 * steps)


def set_up(visitor: Visitor, *, name: str = "") -> tuple[str, list[str]]:
    """Add an app on the page for second factors; its secret, and the recovery codes that were shown."""
    visitor.go(visitor.served.page("factors"))
    visitor.press("Add an authenticator app")
    secret = secret_on(visitor)
    visitor.fill("Code from the app", code(secret))
    if name:
        visitor.fill("Name (optional)", name)
    assert visitor.press("Add the app") == 200
    return secret, codes_on(visitor)


def codes_on(visitor: Visitor) -> list[str]:
    return visitor.page.locator(".recovery-codes code").all_inner_texts()


def wait_for(served: Served, person: Person) -> None:
    """Ten minutes and more pass since the latest proof."""
    house = served.site.house
    with house.store.transaction() as connection:
        mine = sessions.c.user_id == person.id
        connection.execute(sessions.update().where(mine).values(authenticated_at=time.time() - 601))
    house.store.memory.forget(person.id)


@contextmanager
def required(served: Served, *roles: str) -> Iterator[None]:
    """These roles must have a second factor."""
    controls = served.site.house.policy.controls
    before = controls["mfa"]
    controls["mfa"] = mfa.Settings(required=roles)
    try:
        yield
    finally:
        controls["mfa"] = before


@pytest.mark.requirement("S3-083")
def test_from_the_first_app_to_the_last_recovery_code(notes: Served, visit: Visit) -> None:
    """Somebody sets up an app, signs in with it, loses it and comes in with a recovery code. No script."""
    who, visitor, elsewhere, phoneless = notes.person("user"), visit(notes), visit(notes), visit(notes)
    visitor.sign_in(who)
    visitor.go(notes.page("factors"))
    assert visitor.heading == "Second factors"
    visitor.press("Add an authenticator app")
    assert visitor.page.locator(".qr svg").bounding_box()["width"] > 150  # type: ignore[index]
    secret = secret_on(visitor)
    visitor.fill("Code from the app", "000000")
    assert visitor.press("Add the app") == 422
    assert "not what the app shows" in visitor.page.get_by_role("alert").inner_text()
    assert secret_on(visitor) == secret
    visitor.fill("Code from the app", code(secret))
    visitor.fill("Name (optional)", "My phone")
    assert visitor.press("Add the app") == 200
    assert visitor.heading == "Your recovery codes"
    codes = codes_on(visitor)
    assert len(codes) == 10
    visitor.page.get_by_text("Show them as text to copy").click()
    assert visitor.page.get_by_label("All of them").input_value().split() == codes
    visitor.follow("I have kept them")
    assert "From now on signing in asks for it." in visitor.page.get_by_role("status").inner_text()
    assert "My phone" in visitor.text
    assert "10 codes left" in visitor.text
    assert not [text for text in (secret, *codes) if text in visitor.page.content()]

    elsewhere.go("/page")
    elsewhere.sign_in(who)
    assert elsewhere.heading == "One more step"
    elsewhere.go(notes.page("account"))
    assert elsewhere.heading == "One more step"
    elsewhere.fill("Code from the app", "123")
    assert elsewhere.press("Continue") == 401
    elsewhere.fill("Code from the app", code(secret, steps=1))
    elsewhere.press("Continue")
    assert elsewhere.path == notes.page("account")

    phoneless.sign_in(who)
    phoneless.page.get_by_text("Use a recovery code", exact=True).click()
    phoneless.fill("Recovery code", codes[0].upper())
    phoneless.press("Continue with the recovery code")
    phoneless.go(notes.page("factors"))
    assert "9 codes left" in phoneless.text


@pytest.mark.requirement("S3-083")
def test_signing_in_with_the_keyboard_alone(notes: Served, visit: Visit) -> None:
    """The code is where the cursor is, and Enter sends it; the recovery code is four keys away."""
    who, visitor, again = notes.person("user"), visit(notes, script=True), visit(notes)
    visitor.sign_in(who)
    _, codes = set_up(visitor)
    again.sign_in(who)
    again.page.keyboard.type("999999")
    with again.page.expect_navigation():
        again.page.keyboard.press("Enter")
    summary = again.page.locator("summary", has_text="Use a recovery code")
    summary.focus()
    again.page.keyboard.press("Enter")
    again.page.keyboard.press("Tab")
    again.page.keyboard.type(codes[3])
    with again.page.expect_navigation():
        again.page.keyboard.press("Enter")
    assert again.go(notes.page("account")) == 200
    assert again.heading == "Your account"


@pytest.mark.requirement("S3-083")
def test_a_role_that_must_have_one_sets_it_up_first(notes: Served, visit: Visit) -> None:
    """Signing in leads to setting one up and then to where somebody wanted to go; the last one stays."""
    who, visitor = notes.person("manager"), visit(notes)
    with required(notes, "manager"):
        visitor.go("/page")
        visitor.sign_in(who)
        assert visitor.heading == "Set up a second factor"
        visitor.go(notes.page("account"))
        assert visitor.heading == "Set up a second factor"
        visitor.go(f"{notes.page('factors')}?next=/page")
        visitor.press("Add an authenticator app")
        visitor.fill("Code from the app", code(secret_on(visitor)))
        visitor.press("Add the app")
        visitor.follow("I have kept them")
        assert visitor.path == "/page"
        visitor.go(notes.page("factors"))
        visitor.page.locator("summary", has_text="Rename or remove").click()
        assert visitor.press("Remove Authenticator app") == 409
        assert "must have one" in visitor.page.get_by_role("alert").inner_text()


@pytest.mark.requirement("S3-083")
def test_a_sensitive_step_asks_once_more(notes: Served, visit: Visit) -> None:
    """After a while, changing factors asks who it is: the password at first, then what is stronger."""
    who, visitor = notes.person("user"), visit(notes)
    visitor.sign_in(who)
    wait_for(notes, who)
    visitor.go(notes.page("factors"))
    visitor.press("Add an authenticator app")
    assert visitor.heading == "Show that it is you"
    visitor.fill("Password", "not my password")
    assert visitor.press("Continue") == 401
    visitor.fill("Password", who.password)
    visitor.press("Continue")
    assert visitor.path == notes.page("factors")
    _, codes = set_up(visitor, name="Tablet")
    wait_for(notes, who)
    visitor.go(notes.page("factors"))
    visitor.page.locator("summary", has_text="Rename or remove").click()
    visitor.press("Remove Tablet")
    assert visitor.heading == "Show that it is you"
    assert visitor.page.get_by_label("Password", exact=True).count() == 0
    visitor.page.get_by_text("Use a recovery code", exact=True).click()
    visitor.fill("Recovery code", codes[0])
    visitor.press("Continue with the recovery code")
    visitor.page.locator("summary", has_text="Rename or remove").click()
    visitor.press("Remove Tablet")
    assert "Removed." in visitor.page.get_by_role("status").inner_text()


@pytest.mark.parametrize("name", ["mtc", "notes"])
@pytest.mark.requirement("S3-083")
def test_every_page_is_for_everybody(name: str, request: pytest.FixtureRequest, visit: Visit) -> None:
    """No grave fault by axe-core, nothing wider than a phone; light and dark, with errors and without."""
    served: Served = request.getfixturevalue(name)
    who, visitor, other = served.person("user"), visit(served, script=True), visit(served, script=True)
    wrong: list[str] = []

    def look(at: Visitor, what: str) -> None:
        at.page.evaluate(AXE_SCRIPT)
        for size, scheme in ((DESKTOP, "light"), (PHONE, "dark"), ({"width": 320, "height": 640}, "light")):
            at.page.set_viewport_size(size)  # type: ignore[arg-type]
            at.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            if at.is_wider_than_the_screen:
                wrong.append(f"{what}: wider than {size['width']}")
            found = at.page.evaluate("axe.run(document)")["violations"]
            wrong.extend(f"{what}: {f['id']}: {f['nodes'][:3]}" for f in found if f["impact"] in _GRAVE)
            at.picture(f"{name} {what} {size['width']}")
        at.page.set_viewport_size(DESKTOP)

    visitor.sign_in(who)
    visitor.go(served.page("factors"))
    look(visitor, "factors none")
    wait_for(served, who)
    visitor.press("Add an authenticator app")
    look(visitor, "step-up password")
    visitor.go(f"{served.page('step_up')}?next=/&wants=second")
    look(visitor, "step-up missing")
    visitor.go(served.page("step_up"))
    visitor.fill("Password", who.password)
    visitor.press("Continue")
    visitor.go(served.page("factors"))
    visitor.press("Add an authenticator app")
    look(visitor, "authenticator")
    secret = secret_on(visitor)
    visitor.fill("Code from the app", "1")
    visitor.press("Add the app")
    look(visitor, "authenticator wrong")
    visitor.fill("Code from the app", code(secret))
    visitor.fill("Name (optional)", "The phone that I got for my birthday from my aunt")
    visitor.press("Add the app")
    visitor.page.get_by_text("Show them as text to copy").click()
    look(visitor, "recovery codes")
    visitor.follow("I have kept them")
    visitor.page.locator("summary", has_text="Rename or remove").click()
    look(visitor, "factors one")
    other.sign_in(who)
    look(other, "second factor")
    other.fill("Code from the app", "1")
    other.press("Continue")
    look(other, "second factor wrong")
    visitor.go(served.page("step_up"))
    visitor.page.get_by_text("Use a recovery code", exact=True).click()
    look(visitor, "step-up code")
    assert wrong == []
