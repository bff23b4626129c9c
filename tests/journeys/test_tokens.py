"""Access tokens: typed from a card, scanned from it, made, replaced and revoked. Only the scanned one needs a
script."""

from __future__ import annotations

import re

import pytest

from bylaw.controls.tokens import form
from bylaw.operations import tokens as verbs
from bylaw.operations.authority import SYSTEM
from bylaw.store.tables import access_tokens
from tests.journeys.conftest import Visit
from tests.journeys.served import Served
from tests.journeys.test_every_page import Look, look
from tests.journeys.visitor import PHONE, Visitor

__all__ = ["look"]


def card(served: Served, *roles: str) -> verbs.Issued:
    """A participant's card."""
    return verbs.issue_many(served.site.house, SYSTEM, 1, roles[0], names=["Paula Participant"])[0]


def shown(visitor: Visitor) -> str:
    """The token that the page shows, this once."""
    return visitor.page.get_by_label("To copy", exact=True).input_value()


@pytest.mark.requirement("S2-004", "S2-065", "S2-067")
def test_a_participant_types_a_card_on_a_phone(notes: Served, visit: Visit) -> None:
    """In groups and with a phone's capitals, without a script: the name is shown, for there is no address."""
    made, visitor = card(notes, "user"), visit(notes, viewport=PHONE)
    visitor.go(notes.page("sign_in"))
    visitor.follow("Sign in with an access token")
    visitor.picture("token-sign-in-phone")
    assert not visitor.is_wider_than_the_screen
    visitor.fill("Access token", form.grouped(made.secret).upper())
    with visitor.page.expect_navigation():
        visitor.page.keyboard.press("Enter")
    visitor.go(notes.page("account"))
    assert "Paula Participant" in visitor.text
    assert "no mail address" in visitor.text
    assert ".invalid" not in visitor.page.content()
    assert made.secret not in str(visitor.context.cookies())
    visitor.picture("token-account-phone")
    visitor.go(notes.page("step_up"))
    visitor.fill("Access token", made.secret)
    assert visitor.press("Continue") == 200
    visitor.go(notes.page("account"))
    visitor.sign_out()
    assert visitor.heading == "Sign in"


@pytest.mark.requirement("S2-066", "S2-004")
def test_a_scanned_card_leaves_nothing_in_the_address(notes: Served, visit: Visit) -> None:
    """The token behind the # is in the form and no longer in the address, nor in the browser's history; it is
    the person who presses the button."""
    made, visitor = card(notes, "user"), visit(notes, script=True, viewport=PHONE)
    sent: list[str] = []
    visitor.context.on("request", lambda request: sent.append(f"{request.url} {request.headers}"))
    visitor.page.goto(f"{notes.page('sign_in_token')}#t={made.secret}")
    assert visitor.page.url.endswith(notes.page("sign_in_token"))
    assert visitor.page.get_by_label("Access token", exact=True).input_value() == made.secret
    assert "taken from the link" in visitor.text
    assert visitor.page.evaluate("document.activeElement.textContent") == "Sign in with the token"
    visitor.picture("token-scanned-phone")
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url(re.compile(r"/$"))
    assert [each for each in sent if made.secret in each] == []
    visitor.page.go_back()
    assert made.secret not in visitor.page.url


def test_a_link_that_is_none_does_nothing(notes: Served, visit: Visit) -> None:
    """A fragment that holds markup, or is broken, fills in text at most and signs nobody in."""
    visitor = visit(notes, script=True)
    for fragment in (
        "#t=%E0%A4%A",
        "#t=",
        "#t=<img src=x onerror=alert(1)>",
        "#main",
        "#t=a&next=//evil.test",
    ):
        visitor.page.goto("about:blank")
        visitor.page.goto(notes.page("sign_in_token") + fragment)
        assert visitor.heading == "Sign in"
        assert visitor.page.locator("img").count() == 0
        assert visitor.cookie() is None


@pytest.mark.requirement("S2-068", "S2-046", "C-41")
def test_a_wrong_token_is_said_once_and_not_kept(notes: Served, visit: Visit) -> None:
    """One sentence for whatever is wrong with it; the page does not repeat what was typed."""
    visitor = visit(notes)
    visitor.go(notes.page("sign_in_token"))
    visitor.fill("Access token", "notes_pat_mistyped")
    assert visitor.press("Sign in with the token") == 401
    assert visitor.page.get_by_role("alert").inner_text() == "That is no token that is good here."
    assert "mistyped" not in visitor.page.content()
    visitor.picture("token-wrong")


@pytest.mark.requirement("S2-038", "S2-045", "S2-046", "S2-049")
def test_somebody_makes_replaces_and_revokes_tokens(notes: Served, visit: Visit) -> None:
    """A token is shown this once; the other browser that came with the old one is out at once."""
    visitor, other = visit(notes, notes.person("user", name="Ann")), visit(notes)
    visitor.go(notes.page("account"))
    visitor.follow("Manage Access tokens")
    visitor.fill("Name", "My phone")
    visitor.page.get_by_label("Good for", exact=True).select_option("30 days")
    assert visitor.press("Make a token") == 201
    visitor.picture("token-shown")
    first = shown(visitor)
    assert form.valid(first)
    visitor.follow("I have kept it")
    assert first not in visitor.page.content()
    other.go(notes.page("sign_in_token"))
    other.fill("Access token", first)
    assert other.press("Sign in with the token") == 200
    visitor.go(notes.page("tokens"))
    visitor.picture("tokens")
    assert visitor.press("Replace My phone") == 201
    second = shown(visitor)
    assert second != first
    other.go(notes.page("account"))
    assert other.heading == "Sign in"
    visitor.follow("I have kept it")
    assert visitor.press("Revoke My phone") == 200
    assert "Revoked." in visitor.page.get_by_role("status").inner_text()
    other.go(notes.page("sign_in_token"))
    other.fill("Access token", second)
    assert other.press("Sign in with the token") == 401


def test_a_button_pressed_twice_sends_its_form_once(notes: Served, visit: Visit) -> None:
    """A thumb that trembles: a second token, which nobody has seen, would be good for ninety days."""
    visitor = visit(notes, notes.person("user"), script=True)
    visitor.go(notes.page("tokens"))
    goes = visitor.page.locator("main form").evaluate(
        "form => [1, 2].map(() => form.dispatchEvent(new Event('submit', {bubbles: true, cancelable: true})))"
    )
    assert goes == [True, False]


@pytest.mark.requirement("S2-037")
def test_the_first_administrator_changes_the_token_of_the_environment(notes: Served, visit: Visit) -> None:
    """Whoever comes with it sees one page, wherever he goes, until he has another."""
    house = notes.site.house
    given = verbs.issue(house, SYSTEM, notes.person("admin", name="Ada").id)
    with house.store.transaction() as connection:
        mine = access_tokens.c.id == given.id
        connection.execute(access_tokens.update().where(mine).values(origin="first"))
    visitor = visit(notes)
    visitor.go(notes.page("sign_in_token"))
    visitor.fill("Access token", given.secret)
    visitor.press("Sign in with the token")
    assert visitor.heading == "Change the first token"
    visitor.picture("token-change")
    visitor.go(notes.page("users"))
    assert visitor.heading == "Change the first token"
    assert visitor.press("Make my token") == 201
    new = shown(visitor)
    visitor.follow("I have kept it")
    visitor.go(notes.page("users"))
    assert visitor.heading == "Users"
    visitor.sign_out()
    visitor.go(notes.page("sign_in_token"))
    for token, status in ((given.secret, 401), (new, 200)):
        visitor.fill("Access token", token)
        assert visitor.press("Sign in with the token") == status


def test_an_administrator_gives_somebody_a_token(notes: Served, visit: Visit) -> None:
    """On the page of an account without an address: what there is, a new one, and its end."""
    made, admin = card(notes, "user"), visit(notes, notes.person("admin", name="Ada"))
    admin.go(f"{notes.page('users')}/{made.account_id}")
    assert admin.heading == "Paula Participant"
    admin.picture("token-user")
    admin.follow("Access tokens")
    admin.picture("token-user-tokens")
    admin.fill("Name", "A second card")
    assert admin.press("Make a token") == 201
    assert admin.heading == "The new token of Paula Participant"
    admin.follow("I have kept it")
    assert admin.press("Revoke A second card") == 200


@pytest.mark.requirement("S1-036", "S2-060")
def test_the_pages_are_for_everybody(notes: Served, visit: Visit, look: Look) -> None:
    """No grave fault by axe-core, nothing wider than a phone, light and dark."""
    house = notes.site.house
    person = notes.person("user", name="Ann")
    name = "A name as long as the name of a token can be, to the letter"
    verbs.issue(house, SYSTEM, person.id, name=name, lifetime=3600)
    stranger = visit(notes, script=True)
    stranger.go(notes.page("sign_in_token"))
    look.at(stranger, "tokens sign in")
    stranger.fill("Access token", "wrong")
    stranger.press("Sign in with the token")
    look.at(stranger, "tokens sign in refused")
    visitor = visit(notes, person, script=True)
    visitor.go(notes.page("tokens"))
    look.at(visitor, "tokens list")
    visitor.fill("Name", "Another")
    visitor.press("Make a token")
    look.at(visitor, "tokens shown")
    admin = visit(notes, notes.person("admin"), script=True)
    admin.go(f"{notes.page('user_tokens')}/{person.id}")
    look.at(admin, "tokens of a user")
    half = visit(notes, script=True)
    secret = notes.session(notes.person("user"), owes=("token",))
    half.context.add_cookies([{"name": notes.cookie, "value": secret, "url": notes.url}])
    half.go(notes.page("change_token"))
    look.at(half, "tokens first")
