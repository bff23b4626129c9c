"""Who may do what: administrators give roles and take them, and everybody sees only what they may do."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from playwright.sync_api import Dialog, expect

from bylaw.controls import sessions as sessions_control
from bylaw.operations import chores
from tests.journeys.conftest import Visit
from tests.journeys.served import PASSWORD, Person, Served
from tests.journeys.visitor import PHONE, Visitor


def _link(served: Served, address: str) -> str:
    """The path of the link that was mailed last."""
    chores.send(served.site.house)
    message = served.mailbox.to(address)[-1]
    text = message.get_body(("plain",)).get_content()
    return next(word for word in text.split() if "/reset-password/" in word).removeprefix(served.url)


def role(visitor: Visitor, name: str) -> None:
    """Tick or untick a role."""
    visitor.page.locator("main form:visible").get_by_label(name, exact=True).click()


@pytest.mark.requirement("S1-027", "S1-028", "C-05", "C-08", "S3-072")
def test_an_administrator_makes_changes_disables_and_enables_a_user(mtc: Served, visit: Visit) -> None:
    """A user works from the first minute, and whatever is taken away is gone at the next click."""
    admin = visit(mtc, mtc.person("admin"))
    taken = mtc.person("user")
    who = Person("", f"new-{uuid.uuid4().hex[:8]}@people.example", "Nina New")
    admin.go("/")
    admin.follow("Users", within="header")
    admin.page.get_by_text("Invite somebody").click()
    admin.fill("Mail address", taken.email)
    admin.fill("Name (optional)", who.name)
    role(admin, "manager")
    assert admin.press("Send the invitation") == 409
    assert "Somebody else's address" in admin.text
    assert admin.page.get_by_label("manager", exact=True).is_checked()
    admin.picture("users-refused")
    admin.fill("Mail address", who.email)
    assert admin.press("Send the invitation") == 200
    assert "The account is made." in admin.text

    person = visit(mtc)
    person.go(_link(mtc, who.email))
    person.picture("invited")
    person.fill("Password", who.password)
    person.press("Set the password")
    person.sign_in(who)
    person.go("/imports")
    assert person.heading == "Import"

    admin.fill("Mail address or name", "Nina")
    admin.press("Search")
    admin.picture("users")
    admin.follow(who.email)
    role(admin, "manager")
    role(admin, "user")
    admin.press("Save the roles")
    assert "Saved." in admin.text
    admin.picture("user")
    assert person.go("/imports") == 403

    admin.page.get_by_text("Disable the account").click()
    admin.section("With a reason").locator("details[open]").get_by_label("Reason").fill("left the company")
    admin.picture("user-disable")
    admin.press("Disable")
    person.go("/")
    assert person.heading == "Sign in"
    assert person.sign_in(who) == 401
    admin.press("Enable")
    person.go("/")
    assert person.heading == "Sign in"
    person.sign_in(who)
    assert person.heading == "Overview"


@pytest.mark.requirement("S1-112", "S1-114")
def test_an_administrator_reads_what_happened_to_an_account(mtc: Served, visit: Visit) -> None:
    """In sentences, the newest first, narrowed to an action; each opens into the whole record."""
    boss, user = mtc.person("admin"), mtc.person("user")
    admin = visit(mtc, boss)
    admin.go(f"{mtc.page('user')}/{user.id}")
    role(admin, "manager")
    admin.press("Save the roles")
    admin.press("Unlock")
    admin.follow("History")
    assert f"{boss.email} changed the roles ({user.email}) from user to manager, user." in admin.text
    admin.page.locator("summary").first.click()
    assert '"new": ["manager", "user"]' in admin.text
    admin.picture("user-history")
    admin.fill("What", "user_created")
    admin.press("Show")
    assert "made the account" in admin.text
    assert "changed the roles" not in admin.text
    admin.fill("From", "2100-01-01")
    admin.press("Show")
    assert "Nothing that matches." in admin.text
    admin.follow("Show all")
    assert "changed the roles" in admin.text


def test_with_the_keyboard_alone_a_reason_is_asked_for(mtc: Served, visit: Visit) -> None:
    """What cannot be taken back is opened first, wants a reason, and says so beside the field."""
    admin = visit(mtc, mtc.person("admin"))
    user = mtc.person("user")
    admin.go(f"{mtc.page('user')}/{user.id}")
    summary = admin.page.locator("summary", has_text="Disable the account")
    summary.focus()
    admin.page.keyboard.press("Enter")
    admin.page.keyboard.press("Tab")
    expect(admin.page.locator("#reason-disable")).to_be_focused()
    admin.page.keyboard.type("   ")
    with admin.page.expect_navigation() as arrived:
        admin.page.keyboard.press("Enter")
    assert arrived.value.status == 422
    assert admin.page.locator("#reason").get_attribute("aria-invalid") == "true"
    admin.picture("user-reason")
    admin.page.locator("#reason").fill("left the company")
    admin.press("Disable")
    assert "Saved." in admin.text


def test_an_administrator_acts_as_somebody_and_everybody_knows(mtc: Served, visit: Visit) -> None:
    """A strip says so on every account page, changing something is refused, and stopping leads out."""
    site = mtc.site
    before = site.house.policy
    changed = before.of(sessions_control.Settings).model_copy(update={"impersonation": True})
    site.house.policy = replace(before, controls={**before.controls, "sessions": changed})
    try:
        boss, user = mtc.person("admin", name="Ada Admin"), mtc.person("user")
        admin = visit(mtc, boss, viewport=PHONE)
        admin.go(f"{mtc.page('user')}/{user.id}")
        assert not admin.is_wider_than_the_screen
        admin.picture("user-phone")
        admin.page.locator("summary", has_text="Sign in as this person").click()
        admin.page.locator("#reason-act_as").fill("to see why the list is empty")
        admin.press("Sign in as this person")
        assert admin.heading == "Overview"
        admin.go(mtc.page("sessions"))
        strip = admin.page.get_by_role("complementary", name="Acting as somebody else")
        assert user.email in strip.inner_text()
        assert not admin.is_wider_than_the_screen
        admin.picture("acting-phone")
        assert admin.go(mtc.page("users")) == 403
        admin.go(mtc.page("change_password"))
        admin.page.locator("main input[type=password]").first.fill(PASSWORD)
        admin.page.locator("main input[type=password]").last.fill("Another 1 that is long enough!")
        with admin.page.expect_navigation() as arrived:
            admin.page.locator("main form[method=post] button").first.click()
        assert arrived.value.status == 403
        chores.send(site.house)
        assert "is signed in as you" in mtc.mailbox.to(user.email)[-1]["Subject"]
        admin.go(mtc.page("sessions"))
        admin.press("Stop", within="aside.acting")
        assert admin.heading == "Sign in"
        admin.go("/")
        assert admin.heading == "Sign in"
    finally:
        site.house.policy = before


@pytest.mark.requirement("S1-028", "S1-031", "S1-033")
def test_a_manager_who_tries_user_administration_gets_a_calm_page(mtc: Served, visit: Visit) -> None:
    """The refusal says what happened, shows no internals, and leads back; no link tempted anybody here."""
    visitor = visit(mtc, mtc.person("manager"))
    visitor.go("/")
    header = visitor.page.locator("header")
    assert header.get_by_role("link", name="Import").count() == 1
    assert header.get_by_role("link", name="Users").count() == 0
    assert visitor.go(mtc.page("users")) == 403
    assert visitor.page.locator("h1").count() == 1
    assert "Traceback" not in visitor.page.content()
    visitor.picture("refused")
    visitor.follow("Go to the start page")
    assert visitor.heading == "Overview"


PAGES = (
    "/", "/items", "/items/1", "/variants/1", "/suppliers", "/suppliers/1", "/rates", "/processes",
    "/processes/1", "/subprocesses/1", "/usages/1", "/lots", "/lots/1", "/lots/6", "/report",
)  # fmt: skip


@pytest.mark.requirement("S1-029")
def test_an_ordinary_user_sees_no_button_that_would_be_refused(mtc: Served, visit: Visit) -> None:
    """View-only plus basic data entry: two kinds of form are there, and nothing else changes anything."""
    visitor = visit(mtc, mtc.person("user"))
    offered = set()
    for path in PAGES:
        assert visitor.go(path) == 200
        for form in visitor.page.locator("main form[method=post]").all():
            offered.add((path, form.get_attribute("action")))
    assert offered == {
        ("/variants/1", "/prices"), ("/lots/1", "/lots/1/notes"), ("/lots/6", "/lots/6/notes")
    }  # fmt: skip
    visitor.go("/lots/6")
    visitor.fill("Add a note", "The bearings have come.")
    visitor.press("Add")
    assert "The bearings have come." in visitor.text
    assert visitor.go("/audit") == 403


@pytest.mark.requirement("S1-112", "S1-114")
def test_the_audit_log_names_people_and_what_they_changed(mtc: Served, visit: Visit) -> None:
    """Who changed what, from what to what, can be read without looking up numbers."""
    manager = mtc.person("manager")
    visitor = visit(mtc, manager)
    visitor.go("/suppliers/1")
    before = visitor.heading
    visitor.fill("Note", f"Checked by {manager.email}.")
    visitor.press("Save")
    admin = visit(mtc, mtc.person("admin"))
    admin.go("/audit?entity_type=supplier&entity_id=1&action=update")
    row = admin.page.get_by_role("row").filter(has_text=manager.email)
    assert row.count() == 1
    row.locator("summary").click()
    assert f"→ Checked by {manager.email}." in row.inner_text()
    assert visitor.heading == before
    admin.go("/audit")
    admin.picture("audit")


@pytest.mark.requirement("S2-059")
def test_markup_in_a_name_is_shown_and_never_run(mtc: Served, visit: Visit) -> None:
    """An item that is called like a script is an item with an odd name, for everybody who reads it."""
    name = f"<img src=x onerror=alert(1)><script>alert({uuid.uuid4().int % 1000})</script>"
    writer = visit(mtc, mtc.person("manager"))
    writer.go("/items")
    writer.section("Add an item").get_by_label("Name", exact=True).fill(name)
    writer.press("Add")
    assert writer.page.get_by_role("link", name=name, exact=True).count() == 1
    reader = visit(mtc, mtc.person("user"), script=True)
    dialogs: list[str] = []

    def opened(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    reader.page.on("dialog", opened)
    reader.go("/items?q=onerror")
    reader.follow(name)
    assert reader.heading == name
    assert dialogs == []
    assert PASSWORD not in reader.page.content()
