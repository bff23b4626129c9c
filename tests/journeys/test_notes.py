"""bylaw's own pages in another application, of another framework: the same forms, the same promises."""

from __future__ import annotations

import re
import uuid

import pytest

from bylaw.operations import administering
from tests.journeys.conftest import Visit
from tests.journeys.served import Person, Served
from tests.journeys.test_sessions import mail

NEW_PASSWORD = "another all-day walk by the sea"


@pytest.mark.requirement("S1-003", "S1-036", "C-05", "C-32")
def test_an_account_is_made_used_and_left_in_fastapi_as_well(notes: Served, visit: Visit) -> None:
    """Sign up, sign in, change the password, sign out: a copied cookie and the other browser are out too."""
    who = Person("", f"stranger-{uuid.uuid4().hex[:8]}@people.example", "Sam Stranger")
    here, there = visit(notes), visit(notes)
    here.go(notes.page("sign_up"))
    here.fill("Mail address", who.email)
    here.fill("Password", "short")
    here.page.get_by_label("Password", exact=True).evaluate("e => e.removeAttribute('minlength')")
    assert here.press("Make the account") == 422
    assert "at least 15 characters" in here.text
    here.fill("Password", who.password)
    here.press("Make the account")
    assert "We have sent you a mail." in here.text
    here.sign_in(who)
    assert here.heading == "Look at your mail", "nobody is signed in yet"
    link = re.search(r"https?://\S+/confirm-email/\S+", mail(notes, who, "Confirm"))
    assert link is not None
    here.go(link[0])
    here.press("Confirm the address")
    for visitor in (here, there):
        visitor.go(f"{notes.page('sign_in')}?next={notes.page('sessions')}")
        visitor.sign_in(who)
        assert visitor.heading == "Where you are signed in"
    here.follow("Account", within="header")
    here.follow("Change Password", within="main")
    here.fill("Current password", who.password)
    here.fill("New password", NEW_PASSWORD)
    here.press("Change the password")
    assert "Your password is changed." in here.text
    there.go(notes.page("sessions"))
    assert there.heading == "Sign in"
    there.context.add_cookies([here.cookie()])
    here.sign_out()
    assert "You are signed out." in here.text
    there.go(notes.page("sessions"))
    assert there.heading == "Sign in"


@pytest.mark.requirement("S1-030")
def test_a_page_of_the_application_sends_its_form_with_the_token(notes: Served, visit: Visit) -> None:
    """A deep link leads through sign-in to a page whose form and whose own script both work."""
    who, visitor = notes.person("editor"), visit(notes, script=True)
    visitor.go("/page?q=a%20title%20%26%20more")
    visitor.sign_in(who)
    assert visitor.page.title() == "a title & more"
    visitor.page.locator("input[name=text]").fill("written in a browser")
    with visitor.page.expect_navigation():
        visitor.page.locator("input[name=text]").press("Enter")
    assert "written in a browser" in visitor.page.locator("body").inner_text()


@pytest.mark.requirement("S1-027")
def test_a_long_list_of_users_is_read_page_by_page(notes: Served, visit: Visit) -> None:
    """An administrator gets to the next page, keeps the search there, and finds the way back."""
    for _ in range(administering.PAGE + 1):
        notes.person(name="Many")
    admin = visit(notes, notes.person("admin"))
    admin.go(notes.page("users"))
    admin.fill("Mail address or name", "Many")
    admin.press("Search")
    rows = admin.page.locator("tbody tr")
    assert rows.count() == administering.PAGE
    first = rows.first.inner_text()
    admin.follow("Next page")
    assert rows.count() == 1
    admin.follow("First page")
    assert (rows.count(), rows.first.inner_text()) == (administering.PAGE, first)
