"""Choosing a password: how strong it is while it is typed, and what happens to one that is too weak today."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from bylaw.hashing import SCHEMES
from bylaw.store import users
from tests.journeys.conftest import Visit
from tests.journeys.served import Person, Served
from tests.journeys.test_every_page import Look
from tests.journeys.visitor import PHONE, Visitor

STRONG = "wide green fields and quiet water"
SHORT = "mQ5!vwkx"


@pytest.fixture
def look() -> Iterator[Look]:
    looked = Look()
    yield looked
    assert looked.wrong == []


def said(visitor: Visitor) -> str:
    """What the meter says, once it has an answer."""
    visitor.page.locator(".meter[data-score]:not([data-score=''])").wait_for()
    return visitor.page.locator(".meter-said").inner_text()


def types(visitor: Visitor, label: str, text: str) -> None:
    """Type like a person, and wait for what this site says of it."""
    field = visitor.page.locator("main").get_by_label(label, exact=True)
    with visitor.page.expect_response("**/api_password_strength"):
        field.fill(text)
    visitor.page.wait_for_function("() => document.querySelector('.meter').dataset.score !== ''")


@pytest.mark.requirement("S3-008")
def test_the_meter_says_how_strong_it_is_and_what_would_help(notes: Served, visit: Visit, look: Look) -> None:
    """In words as well as in colour, for the ear too; the page is for everybody at every score."""
    visitor = visit(notes, script=True)
    visitor.go(notes.page("sign_up"))
    meter = visitor.page.locator(".meter")
    assert meter.get_by_role("status").inner_text().strip() == "How strong it is appears here while you type."
    for name, text, expected in (
        ("weak", "Passw0rd!2026", "Not yet. Needed: at least 15 characters"),
        ("fair", "monday mice cheese", ""),
        ("strong", STRONG, "Strong."),
    ):
        types(visitor, "Password", text)
        assert expected in said(visitor)
        assert text not in visitor.page.locator("main").inner_text()
        look.at(visitor, f"meter {name}")
    visitor.fill("Password", "")
    meter.get_by_text("How strong it is appears here").wait_for()


@pytest.mark.requirement("S3-008")
def test_ones_own_address_counts_against_a_password(notes: Served, visit: Visit) -> None:
    """The meter knows what was typed above, and says so before the form is sent."""
    visitor = visit(notes, script=True)
    visitor.go(notes.page("sign_up"))
    visitor.fill("Mail address", "marguerite.dubois@people.example")
    types(visitor, "Password", "Marguerite.Dubois1")
    assert "not made of your address" in said(visitor)


@pytest.mark.requirement("S3-008")
def test_without_script_the_form_does_without_the_meter(mtc: Served, visit: Visit) -> None:
    """Nothing empty is left in its place, and the same rules judge what is sent."""
    visitor = visit(mtc)
    visitor.go(mtc.page("sign_up"))
    assert not visitor.page.locator(".meter").is_visible()
    visitor.fill("Mail address", f"stranger-{uuid.uuid4().hex[:8]}@people.example")
    visitor.fill("Password", "Passw0rd!")
    assert visitor.press("Make the account") == 422
    assert "not among the first that an attacker would try" in visitor.text


def weakened(served: Served, password: str) -> Person:
    """Somebody whose password was taken by the rules of long ago."""
    person = served.person("user", name="Otto Old")
    house = served.site.house
    with house.store.transaction() as connection:
        hashed = SCHEMES[house.scheme.name]().make(password)
        users.change(connection, person.id, password_hash=hashed, password_rules="")
    return Person(person.id, person.email, person.name, password)


@pytest.mark.requirement("C-02", "S1-004")
def test_a_password_of_long_ago_is_changed_on_the_way_in(notes: Served, visit: Visit, look: Look) -> None:
    """He signs in, is asked for another password first, and then is where he wanted to go. By keyboard."""
    who, visitor = weakened(notes, SHORT), visit(notes, script=True)
    visitor.page.set_viewport_size(PHONE)
    wanted = notes.page("sessions")
    visitor.go(wanted)
    visitor.sign_in(who)
    assert visitor.heading == "Change the password"
    assert "Before you go on, please choose another password" in visitor.text
    assert visitor.page.get_by_label("Account", exact=True).input_value() == who.email
    look.at(visitor, "password owed")
    visitor.go(wanted)
    assert visitor.heading == "Change the password", "until then nothing else is open"
    visitor.page.get_by_label("Current password").focus()
    keyboard = visitor.page.keyboard
    keyboard.type(SHORT)
    keyboard.press("Tab")
    keyboard.type("passwordpassword")
    with visitor.page.expect_navigation():
        keyboard.press("Enter")
    assert "not among the first that an attacker would try" in visitor.text
    look.at(visitor, "password owed refused")
    visitor.page.get_by_label("Current password").fill(SHORT)
    visitor.page.get_by_label("New password").fill(STRONG)
    with visitor.page.expect_navigation():
        keyboard.press("Enter")
    assert visitor.path == wanted
    visitor.sign_out()
    visitor.sign_in(Person(who.id, who.email, who.name, STRONG))
    assert visitor.path == notes.site.policy.pages.home
