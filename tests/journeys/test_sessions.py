"""Where somebody is signed in, from where they are known, and how they get in while others guess."""

from __future__ import annotations

import re

import pytest

from bylaw.controls import lockout, passwords
from bylaw.operations import administering, chores, proving
from bylaw.reasons import Refused
from tests.journeys.conftest import Visit
from tests.journeys.served import Person, Served
from tests.journeys.visitor import PHONE, Visitor

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def mail(served: Served, person: Person, subject: str) -> str:
    """The newest mail to somebody with this in its subject."""
    chores.send(served.site.house)
    found = [m for m in served.mailbox.to(person.email) if subject in str(m["Subject"])]
    assert found, [str(m["Subject"]) for m in served.mailbox.to(person.email)]
    return str(found[-1].get_body(("plain",)).get_content())


def locked(served: Served, email: str) -> str:
    """The address of an account, after so many failures that its owner may ask for a link."""
    house, failures = served.site.house, []
    house.paced = True
    try:
        for _ in range(house.policy.of(lockout.Settings).free):
            try:
                proving.prove(
                    house, email=email, password="\0", whence=lockout.Whence(), failure="authn_login_fail"
                )
            except Refused as refused:
                failures.append(refused)
    finally:
        house.paced = False
    assert {refused.reason for refused in failures} == {passwords.WRONG}
    return email


def cards(visitor: Visitor) -> int:
    return visitor.page.locator("main li.card").count()


@pytest.mark.requirement("S1-003", "C-32")
def test_the_account_at_a_glance_leads_to_everything(mtc: Served, visit: Visit) -> None:
    """From the page of the account each of its parts is one link away, and back again, without script."""
    who = mtc.person("user", name="Uma User")
    visitor = visit(mtc, who, viewport=PHONE)
    visitor.go("/")
    visitor.go(mtc.page("account"))
    assert visitor.page.locator("nav a[aria-current=page]").inner_text() == "Account"
    assert not visitor.is_wider_than_the_screen
    for words in (who.email, "Uma User", "Password", "Sessions", "Devices"):
        assert words in visitor.text
    links = visitor.page.locator("main .entry a")
    targets = [links.nth(n).get_attribute("href") for n in range(links.count())]
    assert {mtc.page(name) for name in ("change_password", "sessions", "devices")} <= set(targets)
    for target in targets:
        assert target is not None
        visitor.go(mtc.page("account"))
        with visitor.page.expect_navigation():
            visitor.page.locator(f'main .entry a[href="{target}"]').click()
        assert visitor.path == target
        assert visitor.page.locator("nav a[aria-current]").count() == 1


@pytest.mark.requirement("C-32")
def test_hundreds_of_sessions_are_shown_in_pages_and_ended_at_once(mtc: Served, visit: Visit) -> None:
    """A forgotten script has signed in two hundred times: this session is first, and one button ends them."""
    who = mtc.person("user")
    visitor = visit(mtc, who)
    for _ in range(200):
        mtc.session(who)
    visitor.go(mtc.page("sessions"))
    assert "You are signed in 201 times." in visitor.text
    assert cards(visitor) == 25
    assert "this session" in visitor.page.locator("main li.card").first.inner_text()
    visitor.picture("sessions-many")
    visitor.follow("Next page", within="main")
    assert "Page 2 of 9" in visitor.text
    assert visitor.go(f"{mtc.page('sessions')}?page=999999") == 200
    assert "Page 9 of 9" in visitor.text
    for odd in ("0", "-1", "x", "9" * 50, "%00"):
        assert visitor.go(f"{mtc.page('sessions')}?page={odd}") == 200
        assert "Page 1 of 9" in visitor.text
    visitor.press("End all other sessions")
    assert cards(visitor) == 1
    assert "You are signed in here alone." in visitor.text


@pytest.mark.requirement("C-32")
def test_signing_out_everywhere_ends_this_browser_too(mtc: Served, visit: Visit) -> None:
    """Whoever lost a telephone signs out everywhere: both browsers have to sign in again."""
    who = mtc.person("user")
    here, there = visit(mtc), visit(mtc, user_agent=FIREFOX)
    here.sign_in(who)
    there.sign_in(who)
    here.go(mtc.page("devices"))
    assert cards(here) == 2
    here.go(mtc.page("sessions"))
    assert "Firefox on Linux" in here.text
    there.go("/lots/6")
    there.fill("Add a note", "Bearings have come.")
    here.press("Sign out everywhere")
    assert here.heading == "Sign in"
    assert "You are signed out everywhere." in here.text
    assert there.press("Add") == 401  # a note on a lot
    assert "What you sent was not taken" in there.text
    there.follow("Sign in", within="main")
    there.sign_in(who)
    assert there.path == "/lots/6"
    here.sign_in(who)
    here.go(mtc.page("devices"))
    assert cards(here) == 2


def test_who_has_to_sign_in_again_is_told_why(mtc: Served, visit: Visit) -> None:
    """A session that was ended elsewhere: the sign-in page says so, once, and leads back to where he was."""
    who = mtc.person("user")
    visitor = visit(mtc, who)
    # Before any page: what a page still fetches when it is shown, its icon, would be told first.
    administering.end_sessions(mtc.site.house, administering.SYSTEM, who.id)
    visitor.go("/lots/6")
    assert visitor.page.get_by_role("status").inner_text().startswith("Your session has ended.")
    visitor.go("/lots/6")
    assert visitor.page.get_by_role("status").count() == 0
    visitor.sign_in(who)
    assert visitor.path == "/lots/6"


@pytest.mark.requirement("S1-156")
def test_a_device_outlives_signing_out_until_it_is_forgotten(mtc: Served, visit: Visit) -> None:
    """Signing out and in again is no new device; a forgotten one is, and its owner gets a mail."""
    who, visitor = mtc.person("user"), visit(mtc)
    visitor.sign_in(who)
    visitor.sign_out()
    visitor.sign_in(who)
    chores.send(mtc.site.house)
    assert not [m for m in mtc.mailbox.to(who.email) if "New sign-in" in str(m["Subject"])]
    visitor.go(mtc.page("devices"))
    assert "this device" in visitor.text
    visitor.picture("devices")
    with visitor.page.expect_navigation():
        visitor.page.locator("main li.card button").click()
    assert "Forgotten." in visitor.text
    visitor.sign_out()
    visitor.sign_in(who)
    said = mail(mtc, who, "New sign-in")
    assert "Chrome on Linux" in said
    assert f"{mtc.url}{mtc.page('sessions')}" in said


@pytest.mark.requirement("S1-156", "C-12")
def test_the_owner_gets_in_by_mail_while_strangers_are_kept_out(notes: Served, visit: Visit) -> None:
    """Too many wrong passwords: the sign-in page offers a link, the link lets this browser in alone."""
    who, owner, stranger = notes.person("user"), visit(notes), visit(notes)
    house = notes.site.house
    locked(notes, who.email)
    house.paced = True
    try:
        assert owner.sign_in(who) == 429
        owner.picture("sign-in-locked")
        owner.follow("Have a link mailed")
        owner.fill("Mail address", who.email)
        owner.press("Mail me a link")
        assert "a mail with a link is on its way" in owner.text
        owner.picture("unlock-asked")
        found = re.search(r"https?://\S+/unlock/link\?token=\S+", mail(notes, who, "Wrong passwords"))
        assert found is not None
        stranger.go(found[0])  # a scanner looks at it
        owner.go(found[0])
        assert owner.heading == "Let this browser sign in"
        owner.picture("unlock-link")
        owner.press("Let this browser sign in")
        assert "This browser may try your password now." in owner.text
        assert stranger.go(found[0]) == 410
        stranger.follow("Ask for a new link")
        assert stranger.path == notes.page("unlock")
        stranger.picture("unlock-link-used")
        assert stranger.sign_in(who) == 429
        owner.sign_in(who)
        owner.go(notes.page("account"))
        assert owner.heading == "Your account"
    finally:
        house.paced = False
