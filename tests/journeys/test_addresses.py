"""A mail address: confirmed with the mailed link, changed, and what a developer sees of the mail."""

from __future__ import annotations

import re
import uuid

import pytest

from bylaw.operations import chores
from bylaw.ports import nowhere
from tests.journeys.conftest import Visit
from tests.journeys.served import PASSWORD, Person, Served
from tests.journeys.test_every_page import Look
from tests.journeys.visitor import PHONE, Visitor


def stranger() -> Person:
    """Somebody who has no account yet."""
    return Person("", f"stranger-{uuid.uuid4().hex[:8]}@people.example", "Sam Stranger")


def link(served: Served, to: str) -> str:
    """The newest link that was mailed to an address."""
    chores.send(served.site.house)
    for message in reversed(served.mailbox.to(to)):
        if match := re.search(r"https?://\S+/confirm-email/\S+", message.get_content()):
            return match[0]
    raise AssertionError(f"no link was mailed to {to}")


def sign_up(visitor: Visitor, who: Person) -> None:
    visitor.go(visitor.served.page("sign_up"))
    visitor.fill("Mail address", who.email)
    visitor.fill("Name (optional)", who.name)
    visitor.fill("Password", who.password)
    assert visitor.press("Make the account") == 200


def good(look: Look, visitor: Visitor, name: str) -> None:
    """The page that is open is for everybody: axe-core finds nothing grave, and it fits a phone."""
    look.at(visitor, name)
    assert look.wrong == []


@pytest.mark.requirement("C-10")
def test_the_link_is_opened_before_signing_in(mtc: Served, visit: Visit) -> None:
    """On a phone: the link first, then the password, then one press; and the link is in no address bar."""
    who, visitor = stranger(), visit(mtc, viewport=PHONE)
    sign_up(visitor, who)
    visitor.picture("address-signed-up-phone")
    mailed = link(mtc, who.email)
    visitor.go(mailed)
    assert visitor.heading == "Sign in"
    assert mailed.rpartition("/")[2] not in visitor.page.url
    visitor.sign_in(who)
    assert visitor.heading == "Confirm your address"
    visitor.picture("address-confirm-phone")
    assert not visitor.is_wider_than_the_screen
    assert visitor.press("Confirm the address") == 200
    assert who.email in visitor.text
    visitor.go("/")
    assert visitor.heading == "Overview"
    visitor.go(mailed)
    assert visitor.heading == "This link does not open anything"
    visitor.picture("address-ended-phone")


@pytest.mark.requirement("C-10")
def test_whoever_lost_the_mail_has_another_sent(mtc: Served, visit: Visit) -> None:
    """Signed in and not confirmed: the page says where the mail went, sends it again, and leads on."""
    who, visitor, look = stranger(), visit(mtc, script=True), Look()
    sign_up(visitor, who)
    first = link(mtc, who.email)
    visitor.sign_in(who)
    assert visitor.heading == "Look at your mail"
    assert who.email in visitor.text
    good(look, visitor, "address waiting")
    visitor.go("/lots?state=planned")
    assert visitor.heading == "Look at your mail"
    assert visitor.press("Send it again") == 200
    assert "Another mail is on its way" in visitor.page.get_by_role("status").inner_text()
    second = link(mtc, who.email)
    assert first != second
    visitor.go(first)
    good(look, visitor, "address ended")
    visitor.go(second)
    good(look, visitor, "address confirm")
    visitor.press("Confirm the address")
    assert visitor.heading == "Overview"


@pytest.mark.requirement("C-10")
def test_the_owners_click_gives_a_stranger_nothing(mtc: Served, visit: Visit) -> None:
    """Mallory has signed up with Ann's address. Ann opens the link, and Mallory is nobody as before."""
    ann, mallory, owner = stranger(), visit(mtc), visit(mtc)
    sign_up(mallory, ann)
    mallory.sign_in(ann)
    owner.go(link(mtc, ann.email))
    assert owner.heading == "Sign in"
    mallory.go("/")
    assert mallory.heading == "Look at your mail"


@pytest.mark.requirement("C-05", "C-10")
def test_a_person_moves_to_another_address(mtc: Served, visit: Visit) -> None:
    """Asked for, mailed, opened, pressed: the new address signs in, the other browser is out."""
    who, new = mtc.person("user"), f"moved-{uuid.uuid4().hex[:8]}@people.example"
    here, there, look = visit(mtc, who, script=True), visit(mtc, who), Look()
    here.go(mtc.page("change_email"))
    good(look, here, "address change")
    here.fill("New mail address", "no address")
    # The browser's own check would not let it pass; a program's way shows what the server says.
    here.page.evaluate("document.querySelector('main form').noValidate = true")
    assert here.press("Mail me the link") == 422
    good(look, here, "address change refused")
    here.fill("New mail address", new)
    assert here.press("Mail me the link") == 200
    assert "Nothing changes before you open it." in here.page.get_by_role("status").inner_text()
    assert new in here.text
    good(look, here, "address change asked")
    here.go(link(mtc, new))
    assert here.heading == "Use this address"
    good(look, here, "address use")
    assert here.press("Use this address") == 200
    assert "Your address is changed." in here.page.get_by_role("status").inner_text()
    there.go("/")
    assert there.heading == "Sign in"
    assert there.sign_in(who) == 401
    there.sign_in(Person(who.id, new, ""), password=PASSWORD)
    assert there.heading == "Overview"
    chores.send(mtc.site.house)
    assert len([m for m in mtc.mailbox.to(who.email) if "address" in m["Subject"]]) == 2


def test_a_developer_reads_the_mail_without_a_mail_server(mtc: Served, visit: Visit) -> None:
    """What waits is in the mailbox with its links, as text and as HTML; the browser complains of nothing."""
    house, visitor, look = mtc.site.house, visit(mtc, script=True), Look()
    before, house.mailer = house.mailer, nowhere
    try:
        who = stranger()
        sign_up(visitor, who)
        visitor.go(mtc.page("mailbox"))
        card = visitor.page.get_by_role("listitem").filter(has_text=who.email)
        good(look, visitor, "mailbox")
        card.get_by_text("Text", exact=True).click()
        assert "Somebody, probably you, made an account" in card.locator("pre").inner_text()
        card.get_by_text("HTML", exact=True).click()
        frame = visitor.page.frame_locator("iframe").first
        assert frame.get_by_role("link", name="Confirm the address").is_visible()
        colour = frame.locator(".button").evaluate("e => getComputedStyle(e).backgroundColor")
        assert colour in ("rgb(15, 94, 85)", "rgb(127, 209, 194)")  # by day, by night
        visitor.picture("mailbox-open")
        card.get_by_role("link").first.click()
        visitor.sign_in(who)
        visitor.press("Confirm the address")
        visitor.go("/")
        assert visitor.heading == "Overview"
    finally:
        house.mailer = before
