"""Passkeys in a real browser with an authenticator of its own: set up, signed in with, refused, removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from apps import mtc as mtc_application
from bylaw.controls import cookies
from bylaw.store.tables import sessions
from tests.applications import fastapi_app
from tests.journeys.conftest import Visit
from tests.journeys.served import Person, Served, serve
from tests.journeys.test_every_page import Look, look  # noqa: F401 - a fixture
from tests.journeys.visitor import PHONE, Visitor

SET_UP, SIGN_IN, USE = "Set up a passkey", "Sign in with a passkey", "Use a passkey"


@pytest.fixture(scope="module", params=["mtc", "notes"])
def named(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """MTC as in production, where cookies are Strict, and the notes application; both reached by a name."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "mtc":
        with serve(mtc_application.create_app, folder, host="localhost") as served:
            mtc_application.sample(served.bylaw)
            strict(served)
            yield served
    else:
        with serve(fastapi_app.create_app, folder, asgi=True, host="localhost") as served:
            yield served


def strict(served: Served) -> None:
    """Have the policy's production cookies, which development softens."""
    site = served.site
    changed = site.policy.of(cookies.Settings).model_copy(update={"same_site": "Strict"})
    site.policy = site.house.policy = replace(
        site.policy, controls={**site.policy.controls, "cookies": changed}
    )
    site.gate = site.compiled()


# The browser's authenticator agrees to whatever it is asked: where passkeys are suggested beside the
# passwords, nobody would be in time to press the button.
_NO_SUGGESTIONS = "PublicKeyCredential.isConditionalMediationAvailable = async () => false"


class Device:
    """The authenticator of a visitor's browser."""

    def __init__(self, visitor: Visitor, *, suggests: bool = False, **options: Any) -> None:
        if not suggests:
            visitor.context.add_init_script(_NO_SUGGESTIONS)
        self._cdp = visitor.context.new_cdp_session(visitor.page)
        self._cdp.send("WebAuthn.enable", {"enableUI": False})
        added = self._cdp.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "transport": "internal",
                    "hasResidentKey": True,
                    "hasUserVerification": True,
                    "isUserVerified": True,
                    "automaticPresenceSimulation": True,
                    **options,
                }
            },
        )
        self.id = added["authenticatorId"]

    def tell(self, command: str, **what: Any) -> Any:
        return self._cdp.send(f"WebAuthn.{command}", {"authenticatorId": self.id, **what})

    def keys(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.tell("getCredentials")["credentials"]
        return found

    def carry(self, keys: list[dict[str, Any]]) -> None:
        """Have these passkeys, as one that was copied here by whoever keeps them."""
        for key in keys:
            self.tell("addCredential", credential=key)


def set_up(visitor: Visitor) -> None:
    """Set up a passkey on the page that is open, and leave the recovery codes behind."""
    visitor.page.get_by_role("button", name=SET_UP).click()
    visitor.page.get_by_role("heading", name="Your recovery codes").wait_for()
    visitor.follow("I have kept them")


def owner(served: Served, visit: Visit) -> tuple[Person, Visitor, Device]:
    """Somebody with a passkey, still signed in."""
    who = served.person("user")
    visitor = visit(served, who, script=True)
    device = Device(visitor)
    visitor.go(served.page("passkeys"))
    set_up(visitor)
    return who, visitor, device


def said(visitor: Visitor) -> str:
    """What the page says of a passkey once there is an answer."""
    told = visitor.page.locator(".said", has_text="Nothing was changed")
    told.wait_for()
    return told.inner_text()


def home(visitor: Visitor) -> None:
    visitor.page.wait_for_url(lambda url: "/auth/" not in url)


@pytest.mark.requirement("S3-083")
def test_a_passkey_is_set_up_and_signs_in(named: Served, visit: Visit) -> None:
    """One press sets it up; recovery codes come once; from then on one press signs in, naming nobody."""
    who, visitor, device = owner(named, visit)
    assert visitor.heading == "Passkeys"
    assert "Your passkey is set up." in visitor.text
    assert len(device.keys()) == 1
    visitor.sign_out()
    visitor.page.get_by_role("button", name=SIGN_IN).click()
    home(visitor)
    assert visitor.cookie() is not None
    visitor.go(named.page("passkeys"))
    assert "not yet" not in visitor.page.locator(".facts").inner_text()
    assert who.email in visitor.page.locator("header").inner_text()
    mails = [m["Subject"] for m in _mail(named, who)]
    assert any("was added to your account" in subject for subject in mails)


def _mail(served: Served, who: Person) -> list[Any]:
    from bylaw.operations import chores

    chores.send(served.site.house)
    return served.mailbox.to(who.email)


@pytest.mark.requirement("S3-083")
def test_the_browser_suggests_a_passkey(named: Served, visit: Visit) -> None:
    """Where the browser offers passkeys beside the passwords that it knows, no button is needed."""
    who, first, device = owner(named, visit)
    visitor = visit(named, script=True)
    Device(visitor, suggests=True).carry(device.keys())
    visitor.go(named.page("sign_in"))
    home(visitor)
    assert visitor.cookie() is not None
    visitor.go(named.page("sessions"))
    assert who.email in visitor.page.locator("header").inner_text()
    assert first.cookie() is not None  # one's other sessions go on


@pytest.mark.requirement("S3-083")
def test_the_keyboard_is_enough(named: Served, visit: Visit) -> None:
    """Setting up and signing in by Tab and Enter alone."""
    visitor = visit(named, named.person("user"), script=True)
    Device(visitor)
    visitor.go(named.page("passkeys"))
    press(visitor, SET_UP)
    visitor.page.get_by_role("heading", name="Your recovery codes").wait_for()
    visitor.follow("I have kept them")
    visitor.sign_out()
    press(visitor, SIGN_IN)
    home(visitor)
    assert visitor.cookie() is not None


def press(visitor: Visitor, name: str) -> None:
    """Tab to a button and press Enter."""
    for _ in range(40):
        visitor.page.keyboard.press("Tab")
        focused = visitor.page.evaluate("document.activeElement?.textContent.trim()")
        if focused == name:
            visitor.page.keyboard.press("Enter")
            return
    raise AssertionError(f"Tab does not come to {name}")


@pytest.mark.requirement("S3-083")
def test_after_the_password_the_passkey_is_the_second_factor(named: Served, visit: Visit) -> None:
    """The password alone ends at the next step, and the passkey goes on from there to where one wanted."""
    who, visitor, _ = owner(named, visit)
    visitor.sign_out()
    visitor.go(named.page("sessions"))
    assert visitor.sign_in(who) == 200
    assert visitor.heading == "One more step"
    visitor.picture(f"second-factor-passkey-{named.site.policy.app.name}")
    visitor.page.get_by_role("button", name=USE).click()
    visitor.page.wait_for_url(lambda url: named.page("second_factor") not in url)
    assert visitor.heading == "Where you are signed in"


@pytest.mark.requirement("S3-083")
def test_a_session_that_was_left_open_asks_again(named: Served, visit: Visit) -> None:
    """An hour later the page changes nothing until the passkey is shown once more, and then goes on."""
    who, visitor, _ = owner(named, visit)
    with named.site.house.store.transaction() as connection:
        changed = sessions.update().where(sessions.c.user_id == who.id)
        connection.execute(changed.values(authenticated_at=sessions.c.authenticated_at - 3000))
    named.site.house.store.memory.forget(who.id)
    visitor.go(named.page("passkeys"))
    assert not visitor.page.get_by_text("Rename or remove").is_visible()
    visitor.picture(f"passkeys-stale-{named.site.policy.app.name}")
    visitor.follow("Go on")
    assert visitor.heading == "Show that it is you"
    visitor.picture(f"step-up-passkey-{named.site.policy.app.name}")
    visitor.page.get_by_role("button", name=USE).click()
    visitor.page.get_by_role("heading", name="Passkeys", exact=True).wait_for()
    assert visitor.page.get_by_text("Rename or remove").is_visible()


@pytest.mark.requirement("S3-083")
def test_an_owner_who_is_not_recognised_stays_outside(named: Served, visit: Visit) -> None:
    """Where the device does not know its owner, nothing is changed, and the page says so calmly."""
    _, visitor, device = owner(named, visit)
    visitor.sign_out()
    device.tell("setUserVerified", isUserVerified=False)
    visitor.go(named.page("sign_in"))
    visitor.page.get_by_role("button", name=SIGN_IN).click()
    assert said(visitor) == "That was stopped, or took too long. Nothing was changed."
    visitor.picture(f"sign-in-passkey-stopped-{named.site.policy.app.name}")
    assert visitor.cookie() is None
    device.tell("setUserVerified", isUserVerified=True)
    visitor.page.get_by_role("button", name=SIGN_IN).click()
    home(visitor)
    assert visitor.cookie() is not None


@pytest.mark.requirement("S3-083")
def test_one_device_makes_one_passkey(named: Served, visit: Visit) -> None:
    """A device that has one says so, and no second one is set up."""
    _, visitor, device = owner(named, visit)
    visitor.page.get_by_role("button", name=SET_UP).click()
    assert said(visitor).startswith("There is a passkey for your account on it already.")
    assert len(device.keys()) == 1


@pytest.mark.requirement("S3-083")
def test_a_removed_passkey_opens_nothing(named: Served, visit: Visit) -> None:
    """It is named, removed, and then signs nobody in; the page says no more than that."""
    _, visitor, device = owner(named, visit)
    keys = device.keys()
    visitor.page.get_by_text("Rename or remove").click()
    visitor.fill("Name", "Old phone")
    assert visitor.press("Rename") == 200
    assert visitor.page.get_by_role("heading", name="Old phone").is_visible()
    visitor.page.get_by_text("Rename or remove").click()
    visitor.picture(f"passkeys-open-{named.site.policy.app.name}")
    with visitor.page.expect_navigation():
        visitor.page.get_by_role("button", name="Remove Old phone").click()
    assert "It opens nothing here any more" in visitor.text
    assert "You have no passkey yet" in visitor.text
    visitor.sign_out()
    if not device.keys():  # the browser was told, and has forgotten it: a thief's copy has not
        device.carry(keys)
    visitor.page.get_by_role("button", name=SIGN_IN).click()
    visitor.page.get_by_role("alert").wait_for()
    assert visitor.page.get_by_role("alert").inner_text() == "That passkey was not accepted."
    assert visitor.cookie() is None


@pytest.mark.requirement("S3-083")
def test_without_script_the_password_way_is_there(named: Served, visit: Visit) -> None:
    """Nothing that does not work is shown: no button at the sign-in page, a sentence where one is set up."""
    who, visitor = named.person("user"), visit(named)
    visitor.go(named.page("sign_in"))
    assert not visitor.page.get_by_role("button", name=SIGN_IN).is_visible()
    assert visitor.sign_in(who) == 200
    visitor.go(named.page("passkeys"))
    assert not visitor.page.get_by_role("button", name=SET_UP).is_visible()
    assert "its JavaScript is off" in visitor.text


@pytest.mark.requirement("S1-036", "S2-060")
def test_the_pages_are_for_everybody(named: Served, visit: Visit, look: Look) -> None:  # noqa: F811
    """On a phone, in the dark, with a screen reader: no grave fault, nothing wider than the screen."""
    name = named.site.policy.app.name
    visitor = visit(named, script=True)
    visitor.go(named.page("sign_in"))
    visitor.page.get_by_role("button", name=SIGN_IN).wait_for()
    look.at(visitor, f"{name} sign-in with passkeys")
    who, owner_, _ = owner(named, visit)
    look.at(owner_, f"{name} passkeys")
    owner_.page.get_by_text("Rename or remove").click()
    look.at(owner_, f"{name} passkeys open")
    none = visit(named, named.person("user"), script=True)
    none.go(named.page("passkeys"))
    look.at(none, f"{name} no passkey")
    owner_.sign_out()
    owner_.sign_in(who)
    look.at(owner_, f"{name} passkey as the second factor")


def test_on_a_phone(named: Served, visit: Visit) -> None:
    """The same on a small screen."""
    visitor = visit(named, named.person("user"), script=True, viewport=PHONE)
    device = Device(visitor)
    visitor.go(named.page("passkeys"))
    assert not visitor.is_wider_than_the_screen
    set_up(visitor)
    assert len(device.keys()) == 1
