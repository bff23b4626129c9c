"""API keys in a browser: made, kept, rotated, revoked; and a service account with its first key."""

from __future__ import annotations

import pytest

from tests.journeys.conftest import Visit
from tests.journeys.served import Served
from tests.journeys.test_every_page import Look, look  # noqa: F401 - a fixture
from tests.journeys.visitor import PHONE, Visitor


def asked(visitor: Visitor, key: str) -> int:
    """What a program with this key is answered, which is no browser."""
    request = visitor.served.url + "/bearer/notes"
    found = visitor.page.request.get(request, headers={"Authorization": f"Bearer {key}", "Accept": "*/*"})
    return found.status


def make(visitor: Visitor, name: str, scope: str) -> str:
    """Fill in the form; the key that is shown."""
    visitor.fill("Name", name)
    visitor.page.get_by_label(scope, exact=True).check()
    visitor.press("Make the key")
    assert "It is shown this one time." in visitor.text
    return visitor.page.get_by_label("Key", exact=True).input_value()


@pytest.mark.requirement("S3-084", "C-40")
def test_a_key_from_its_making_to_its_end(notes: Served, visit: Visit) -> None:
    """Somebody makes a key without script, keeps it, rotates it and revokes it; it is never shown again."""
    visitor = visit(notes, notes.person("user"), viewport=PHONE)
    visitor.go(notes.page("account"))
    visitor.page.get_by_role("link", name="Manage API keys").click()
    assert visitor.heading == "API keys"
    visitor.picture("keys-none-phone")
    key = make(visitor, "nightly import", "note:read")
    visitor.picture("key-made-phone")
    assert not visitor.is_wider_than_the_screen
    assert asked(visitor, key) == 200
    visitor.follow("I have kept it")
    assert key[-20:] not in visitor.page.content()
    assert "nightly import" in visitor.text
    visitor.page.locator("summary", has_text="Rotate or revoke").click()
    visitor.page.get_by_role("button", name="Rotate nightly import").click()
    successor = visitor.page.get_by_label("Key", exact=True).input_value()
    assert [asked(visitor, each) for each in (key, successor)] == [200, 200]
    visitor.follow("I have kept it")
    assert "has a successor" in visitor.text
    visitor.picture("keys-phone")
    assert not visitor.is_wider_than_the_screen
    card = visitor.page.locator("li.card", has_text="has a successor")
    card.locator("summary").click()
    with visitor.page.expect_navigation():
        card.get_by_role("button", name="Revoke").click()
    assert "Revoked." in visitor.text
    assert [asked(visitor, each) for each in (key, successor)] == [401, 200]


@pytest.mark.requirement("S3-084")
def test_what_is_wrong_with_a_key_is_said_beside_it(notes: Served, visit: Visit) -> None:
    """More than its owner may, and a network that is none: the form comes back with what was given."""
    visitor = visit(notes, notes.person("user"))
    visitor.go(notes.page("keys"))
    visitor.fill("Name", "import")
    visitor.page.get_by_label("Further permissions (optional)").fill("user:manage")
    assert visitor.press("Make the key") == 422
    assert "cannot be given more than its owner may" in visitor.text
    visitor.picture("key-refused")
    assert visitor.page.get_by_label("Name", exact=True).input_value() == "import"
    visitor.page.get_by_label("note:read", exact=True).check()
    visitor.page.get_by_label("Further permissions (optional)").fill("")
    visitor.page.get_by_label("Networks (optional)").fill("somewhere")
    assert visitor.press("Make the key") == 422
    assert "Addresses or networks" in visitor.text


@pytest.mark.requirement("S3-084")
def test_an_administrator_makes_a_service_account(notes: Served, visit: Visit, look: Look) -> None:  # noqa: F811
    """From the list of users to a machine's first key; its page offers nothing that is about signing in."""
    visitor = visit(notes, notes.person("admin"), script=True)
    visitor.go(notes.page("users"))
    visitor.follow("Service accounts")
    visitor.fill("Name", "nightly-import")
    visitor.page.get_by_label("user", exact=True).check()
    visitor.press("Make the account")
    assert "Give it its first key now." in visitor.text
    look.at(visitor, "keys of a service")
    key = make(visitor, "import", "note:read")
    look.at(visitor, "a new key")
    assert asked(visitor, key) == 200
    visitor.go(notes.page("keys"))
    look.at(visitor, "keys")
    visitor.go(notes.page("services"))
    assert "nightly-import" in visitor.text
    look.at(visitor, "services")
    visitor.follow("nightly-import")
    assert "service account" in visitor.text
    assert "Help to sign in" not in visitor.text
    look.at(visitor, "service")
