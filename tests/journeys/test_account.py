"""An account from its first day: signing up, in and out, passwords, sessions. No script is needed."""

from __future__ import annotations

import re
import uuid

import pytest

from tests.journeys.conftest import Visit
from tests.journeys.served import PASSWORD, Person, Served
from tests.journeys.test_sessions import mail

NEW_PASSWORD = "Another 4ll-day walk!"


def stranger() -> Person:
    """Somebody who has no account yet."""
    return Person("", f"stranger-{uuid.uuid4().hex[:8]}@people.example", "Sam Stranger")


@pytest.mark.requirement("S1-003", "S1-035", "S1-036", "S1-079", "S1-080", "C-32")
def test_a_stranger_signs_up_signs_in_and_signs_out_for_good(mtc: Served, visit: Visit) -> None:
    """A new account works once its address is confirmed; after signing out a copied cookie is nothing."""
    who, visitor, thief = stranger(), visit(mtc), visit(mtc)
    visitor.go("/")
    assert visitor.heading == "Sign in"
    visitor.picture("sign-in")
    visitor.follow("Make an account")
    visitor.picture("sign-up")
    visitor.fill("Mail address", who.email)
    visitor.fill("Name (optional)", who.name)
    visitor.fill("Password", who.password)
    assert visitor.page.locator("main form input[name=csrf_token]").count() == 1
    assert visitor.press("Make the account") == 200
    assert "We have sent you a mail." in visitor.page.get_by_role("status").inner_text()
    visitor.sign_in(who)
    assert visitor.heading == "Look at your mail", "nobody is signed in yet"
    visitor.picture("confirm-waiting")
    link = re.search(r"https?://\S+/confirm-email/\S+", mail(mtc, who, "Confirm"))
    assert link is not None
    visitor.go(link[0])
    visitor.press("Confirm the address")
    assert (visitor.path, visitor.heading) == ("/", "Overview")
    assert who.name in visitor.page.locator("header").inner_text()

    cookie = visitor.cookie()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    thief.context.add_cookies([cookie])
    thief.go("/")
    assert thief.heading == "Overview"
    visitor.sign_out()
    assert "You are signed out." in visitor.text
    visitor.go("/")
    assert visitor.heading == "Sign in"
    thief.go("/")
    assert thief.heading == "Sign in"


@pytest.mark.requirement("S1-003", "C-41")
def test_a_wrong_password_keeps_the_address_and_never_the_password(mtc: Served, visit: Visit) -> None:
    """Whoever mistypes the password need not type the address again, and the page holds no password."""
    who, visitor = mtc.person("user"), visit(mtc)
    assert visitor.sign_in(who, password="Not my passw0rd!") == 401
    assert visitor.page.get_by_role("alert").inner_text() == (
        "That address and password do not belong together."
    )
    assert visitor.page.title().startswith("Error: ")
    assert visitor.page.get_by_label("Mail address", exact=True).input_value() == who.email
    assert visitor.page.get_by_label("Password", exact=True).input_value() == ""
    assert "Not my passw0rd!" not in visitor.page.content()
    visitor.picture("sign-in-wrong")
    visitor.fill("Password", who.password)
    visitor.press("Sign in")
    assert visitor.heading == "Overview"


@pytest.mark.requirement("S1-004", "S1-005", "S1-007", "S1-008")
def test_a_weak_password_is_refused_with_every_rule_it_breaks(mtc: Served, visit: Visit) -> None:
    """Sign-up names what the password lacks, beside the field, and keeps all but the password."""
    who, visitor = stranger(), visit(mtc)
    visitor.go(mtc.page("sign_up"))
    visitor.fill("Mail address", who.email)
    visitor.fill("Name (optional)", who.name)
    visitor.fill("Password", "allsmall")
    assert visitor.press("Make the account") == 422
    field = visitor.page.get_by_label("Password", exact=True)
    described = field.get_attribute("aria-describedby") or ""
    said = " ".join(visitor.page.locator(f"#{name}").inner_text() for name in described.split())
    for rule in ("an upper-case letter", "a digit", "a special character"):
        assert rule in said
    assert field.get_attribute("aria-invalid") == "true"
    assert visitor.page.get_by_label("Name (optional)", exact=True).input_value() == who.name
    visitor.picture("sign-up-weak")


@pytest.mark.requirement("C-10")
def test_a_form_that_cannot_be_read_comes_back_with_what_was_given(mtc: Served, visit: Visit) -> None:
    """A name that is too long is refused without making anybody type the rest again."""
    who, visitor = stranger(), visit(mtc)
    visitor.go(mtc.page("sign_up"))
    visitor.fill("Mail address", who.email)
    visitor.fill("Name (optional)", "long " * 30)
    visitor.fill("Password", who.password)
    assert visitor.press("Make the account") == 422
    assert "At most 120 characters" in visitor.text
    assert visitor.page.get_by_label("Mail address", exact=True).input_value() == who.email
    assert visitor.page.get_by_label("Name (optional)", exact=True).input_value() == "long " * 30
    assert who.password not in visitor.page.content()


@pytest.mark.requirement("C-05")
def test_a_changed_password_ends_the_session_in_the_other_browser(mtc: Served, visit: Visit) -> None:
    """Whoever changes the password stays signed in here, and nobody stays signed in elsewhere."""
    who = mtc.person("user")
    here, there = visit(mtc, who), visit(mtc, who)
    there.go("/lots")
    assert there.heading == "Production lots"
    here.go(mtc.page("account"))
    here.follow("Change Password", within="main")
    here.fill("Current password", "Not my passw0rd!")
    here.fill("New password", NEW_PASSWORD)
    assert here.press("Change the password") == 401
    assert "Current password: not your current password" in here.page.get_by_role("alert").inner_text()
    assert here.page.get_by_label("Current password").get_attribute("aria-invalid") == "true"
    here.picture("password-wrong")
    here.fill("Current password", who.password)
    here.fill("New password", NEW_PASSWORD)
    assert here.press("Change the password") == 200
    assert "Your password is changed." in here.text
    there.go("/lots")
    assert there.heading == "Sign in"
    assert there.sign_in(who) == 401
    there.sign_in(who, password=NEW_PASSWORD)
    assert there.heading == "Production lots"


@pytest.mark.requirement("C-05", "C-32")
def test_a_person_sees_both_browsers_and_ends_the_other(mtc: Served, visit: Visit) -> None:
    """A forgotten session on another device can be seen, told from this one, and ended."""
    who = mtc.person("user")
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    here, there = visit(mtc), visit(mtc, user_agent=firefox)
    here.sign_in(who)
    there.sign_in(who)
    here.follow("Account", within="header")
    here.follow("Sessions", within="header")
    sessions = here.page.get_by_role("listitem").filter(has_text="Last used")
    assert sessions.count() == 2
    mine = sessions.filter(has_text="this session")
    other = sessions.filter(has_text="Firefox on Linux")
    assert (mine.count(), other.count()) == (1, 1)
    here.picture("sessions")
    with here.page.expect_navigation():
        other.get_by_role("button", name="End").click()
    assert sessions.count() == 1
    there.go("/")
    assert there.heading == "Sign in"
    here.go("/")
    assert here.heading == "Overview"


@pytest.mark.requirement("S1-030")
def test_a_deep_link_leads_to_sign_in_and_back(mtc: Served, visit: Visit) -> None:
    """Whoever follows a link while signed out arrives where it led, parameters too, after signing in."""
    who, visitor = mtc.person("user"), visit(mtc)
    visitor.go("/lots?state=cancelled&q=Micro")
    assert visitor.heading == "Sign in"
    visitor.sign_in(who)
    assert visitor.page.url == f"{mtc.url}/lots?state=cancelled&q=Micro"
    states = visitor.page.locator("tbody .tag").all_inner_texts()
    assert set(states) == {"cancelled"}


@pytest.mark.requirement("S1-030")
def test_a_form_sent_after_the_session_ended_leads_back_to_the_form(mtc: Served, visit: Visit) -> None:
    """Whoever was signed out while filling in a form gets a page, signs in, and is at the form again."""
    who = mtc.person("manager")
    here, there = visit(mtc, who), visit(mtc, who)
    here.go("/lots?state=planned")
    there.go("/")
    there.follow("Account", within="header")
    there.follow("Sessions", within="header")
    there.press("End all other sessions")
    here.fill("Quantity", "3")
    assert here.press("Plan") == 401
    here.picture("signed-out")
    here.follow("Sign in", within="main")
    here.sign_in(who)
    assert here.page.url == f"{mtc.url}/lots?state=planned"


@pytest.mark.requirement("S1-035", "S1-039")
def test_a_form_from_before_signing_in_anew_can_be_loaded_again(mtc: Served, visit: Visit) -> None:
    """A token of the last session is refused with 400, and the refusal leads back to the form."""
    who = mtc.person("manager")
    tab = visit(mtc, who)
    tab.go("/processes")
    tab.context.clear_cookies()
    tab.context.add_cookies([{"name": mtc.cookie, "value": mtc.session(who), "url": mtc.url}])
    tab.fill("Name", "Typed in an old tab")
    assert tab.press("Add") == 400
    tab.picture("form-out-of-date")
    tab.follow("Load the page again")
    assert tab.path == "/processes"
    assert "Typed in an old tab" not in tab.text


def test_the_way_back_leads_to_no_other_site(mtc: Served, visit: Visit) -> None:
    """A link to the sign-in page cannot carry anybody off to a site that looks the same."""
    who, visitor = mtc.person("user"), visit(mtc)
    for elsewhere in ("https://evil.example/", "//evil.example/", "/\\evil.example/"):
        visitor.go(f"{mtc.page('sign_in')}?next={elsewhere}")
        visitor.sign_in(who)
        assert visitor.page.url == f"{mtc.url}/"
        visitor.sign_out()


def test_signing_in_needs_no_mouse(mtc: Served, visit: Visit) -> None:
    """Tab reaches skip link, fields and button in the order in which they are read; Enter signs in."""
    who, visitor = mtc.person("user"), visit(mtc)
    visitor.go(mtc.page("sign_in"))
    keyboard = visitor.page.keyboard

    def focused() -> str:
        """What the keyboard would act upon."""
        element = visitor.page.locator(":focus")
        assert element.evaluate("e => getComputedStyle(e).outlineStyle") != "none"
        return element.get_attribute("name") or element.inner_text()

    order = []
    for _ in range(5):
        keyboard.press("Tab")
        order.append(focused())
    assert order == ["Skip to the content", "MTC", "email", "password", "Sign in"]
    keyboard.press("Shift+Tab")
    keyboard.press("Shift+Tab")
    keyboard.type(who.email)
    keyboard.press("Tab")
    keyboard.type(PASSWORD)
    with visitor.page.expect_navigation():
        keyboard.press("Enter")
    assert visitor.heading == "Overview"
