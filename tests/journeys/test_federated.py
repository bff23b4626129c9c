"""Signing in with another provider in a real browser: a certified one, on another site, sessions Strict."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from bylaw.controls import cookies, federated
from tests.journeys.conftest import Visit
from tests.journeys.served import Served
from tests.journeys.test_every_page import Look, look  # noqa: F401 - a fixture
from tests.journeys.visitor import PHONE, Visitor
from tests.oidc import provider as certified


@contextmanager
def under(served: Served, settings: type[Any], **changes: Any) -> Iterator[None]:
    """Other settings while the block lasts."""
    site, before, gate = served.site, served.site.policy, served.site.gate
    name, found = next((n, s) for n, s in before.controls.items() if type(s) is settings)
    controls = {**before.controls, name: found.model_copy(update=changes)}
    site.policy = site.house.policy = replace(before, controls=controls)
    site.gate = site.compiled()
    try:
        yield
    finally:
        site.policy = site.house.policy = before
        site.gate = gate


@pytest.fixture
def google(mtc: Served) -> Iterator[certified.Running]:
    """MTC with its production cookies (Strict), and a certified provider in the place of Google's.

    The provider is at localhost, MTC at 127.0.0.1: to a browser these are two sites.
    """
    with certified.running(f"{mtc.url}/auth/callback/google") as running:
        offered = federated.Provider.model_validate({**certified.CLIENT, "issuer": running.issuer})
        with under(mtc, cookies.Settings, same_site="Strict"), under(mtc, federated.Settings, google=offered):
            yield running


def at_the_provider(visitor: Visitor, google: certified.Running, subject: str) -> None:
    """Sign in there and agree."""
    page = visitor.page
    page.wait_for_url(f"{google.issuer}/**")
    page.locator("[name=login]").fill(subject)
    page.locator("[name=password]").fill("any")
    page.locator("[type=submit]").click()
    page.locator("[type=submit]").filter(has_text="Continue").click()


def arrived(visitor: Visitor, path: str) -> None:
    visitor.page.wait_for_url(f"{visitor.served.url}{path}")


@pytest.mark.requirement("S1-018", "S1-020", "S1-021", "S1-022", "S1-024", "S1-078", "C-09", "C-42")
def test_a_stranger_signs_in_with_google(mtc: Served, visit: Visit, google: certified.Running) -> None:
    """Without a script, across two sites, with a Strict session: back, and in at the page he wanted."""
    visitor = visit(mtc)
    visitor.go("/items")
    assert visitor.heading == "Sign in"
    visitor.page.get_by_role("button", name="Continue with Google").click()
    at_the_provider(visitor, google, "ann")
    arrived(visitor, "/items")
    assert visitor.heading == "Items"
    assert visitor.cookie()["sameSite"] == "Strict"
    assert "ann" in visitor.page.locator("header").inner_text()
    names = {cookie["name"] for cookie in visitor.context.cookies(mtc.url)}
    assert "ceremony" not in names
    # A second time it is the same account.
    visitor.sign_out()
    again = visit(mtc)
    again.go(mtc.page("sign_in"))
    again.page.get_by_role("button", name="Continue with Google").click()
    at_the_provider(again, google, "ann")
    arrived(again, "/")
    assert again.heading == "Overview"
    # It is the only way in: it cannot be unlinked.
    again.go(mtc.page("federated_accounts"))
    assert again.press("Unlink Google") == 409
    assert "Nothing else opens your account." in again.text


@pytest.mark.requirement("S1-022", "S1-023")
def test_an_owner_links_google_and_unlinks_it(mtc: Served, visit: Visit, google: certified.Running) -> None:
    """By his own page: from then on the button opens his account, until he unlinks it."""
    person, visitor = mtc.person("user", name="Linus"), visit(mtc)
    visitor.sign_in(person)
    visitor.go(mtc.page("federated_accounts"))
    visitor.page.get_by_role("button", name="Link Google").click()
    at_the_provider(visitor, google, "linus")
    arrived(visitor, f"{mtc.page('federated_accounts')}?notice=linked")
    assert "From now on you can sign in with it." in visitor.text
    assert "linus@people.example" in visitor.text

    other = visit(mtc)
    other.go(mtc.page("sign_in"))
    other.page.get_by_role("button", name="Continue with Google").click()
    at_the_provider(other, google, "linus")
    arrived(other, "/")
    assert "Linus" in other.page.locator("header").inner_text()

    assert visitor.press("Unlink Google") == 200
    assert "Unlinked." in visitor.text
    other.go("/")
    assert other.heading == "Sign in"


@pytest.mark.requirement("S1-021")
def test_whoever_turns_back_at_the_provider_is_told_calmly(
    mtc: Served, visit: Visit, google: certified.Running
) -> None:
    """He cancels there, and is nobody here; what the provider says stands nowhere."""
    visitor = visit(mtc)
    visitor.go(mtc.page("sign_in"))
    visitor.page.get_by_role("button", name="Continue with Google").click()
    visitor.page.wait_for_url(f"{google.issuer}/**")
    visitor.page.get_by_role("link", name="Cancel").click()
    visitor.page.wait_for_url(f"{mtc.url}/auth/callback/google?**")
    assert visitor.heading == "The other account was not used. Nobody was signed in."
    assert "access_denied" not in visitor.page.content()
    visitor.picture("federated-declined")
    visitor.page.reload()
    assert visitor.heading == "This sign-in was not begun here, or was finished already. Begin again."


def test_the_pages_are_for_everybody(
    mtc: Served,
    visit: Visit,
    google: certified.Running,
    look: Look,  # noqa: F811 - the fixture
) -> None:
    """The button, the page on the way there, the one on the way back, and the linked accounts."""
    visitor = visit(mtc, script=True, viewport=PHONE)
    # Answered with nothing, a browser stays where it is: the page on the way can be looked at.
    visitor.context.route(f"{google.issuer}/**", lambda route: route.fulfill(status=204))
    visitor.go(mtc.page("sign_in"))
    look.at(visitor, "sign-in-with-google")
    visitor.page.get_by_role("button", name="Continue with Google").click()
    visitor.page.get_by_role("heading", name="Going to Google").wait_for()
    look.at(visitor, "federated-going")
    visitor.context.unroute(f"{google.issuer}/**")

    visitor.context.route(f"{mtc.url}/", lambda route: route.fulfill(status=204))
    visitor.page.get_by_role("link", name="Continue to Google").click()
    at_the_provider(visitor, google, "phone")
    visitor.page.get_by_role("heading", name="Welcome back").wait_for()
    look.at(visitor, "federated-arrived")
    visitor.context.unroute(f"{mtc.url}/")
    visitor.follow("Continue to MTC", within="main")
    assert visitor.heading == "Overview"
    visitor.go(mtc.page("federated_accounts"))
    look.at(visitor, "federated-accounts")
    person = visit(mtc, mtc.person("user"), script=True)
    person.go(mtc.page("federated_accounts"))
    look.at(person, "federated-accounts-none")
