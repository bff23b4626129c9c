"""The pictures of docs/accounts.md: `PICTURES=docs/images/accounts make test args="-k pictures"` takes them.

Without that the way through the pages is walked all the same, and no picture may be missing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps import mtc as mtc_application
from bylaw.controls import federated
from tests.journeys.conftest import Visit
from tests.journeys.served import PASSWORD, Served, serve
from tests.journeys.test_federated import under
from tests.journeys.test_passkeys import SET_UP, Device
from tests.journeys.test_second_factors import code, secret_on
from tests.journeys.visitor import Visitor

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "accounts.md"
KEPT = ROOT / "docs" / "images" / "accounts"
SHOWN = frozenset(re.findall(r"images/accounts/([a-z-]+)\.png", PAGE.read_text("utf-8")))


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Served]:
    """MTC by a name, where passkeys are possible, and with Google."""
    with serve(mtc_application.create_app, tmp_path, host="localhost") as served:
        google = federated.Provider.model_validate({"client_id": "a", "client_secret": "b"})
        with under(served, federated.Settings, google=google):
            yield served


class Album:
    """The pictures that were taken."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def take(self, visitor: Visitor, name: str) -> None:
        self.taken.add(name)
        folder = os.environ.get("PICTURES")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            visitor.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_the_pictures_of_the_account_pages(workshop: Served, visit: Visit) -> None:
    """Everything that a person and an administrator see of an account, in the order in which they see it."""
    album = Album()
    screen = {"viewport": {"width": 760, "height": 640}}
    ann = workshop.person("manager", name="Ann Miller")
    visitor = visit(workshop, script=True, **screen)
    Device(visitor)

    visitor.go(workshop.page("sign_in"))
    album.take(visitor, "sign-in")
    visitor.go(workshop.page("sign_up"))
    visitor.fill("Mail address", "kim@workshop.example")
    visitor.page.locator("#password").press_sequentially("Travel by n1ght!")
    visitor.page.locator(".meter-said b:not(:empty)").wait_for()
    album.take(visitor, "sign-up")
    visitor.go(workshop.page("forgot_password"))
    album.take(visitor, "forgot-password")

    visitor.go(workshop.page("sign_in"))
    visitor.sign_in(ann)
    visitor.go(workshop.page("factors"))
    visitor.press("Add an authenticator app")
    album.take(visitor, "authenticator")
    secret = secret_on(visitor)
    visitor.fill("Code from the app", code(secret))
    visitor.press("Add the app")
    album.take(visitor, "recovery-codes")
    visitor.go(workshop.page("passkeys"))
    visitor.press(SET_UP)
    visitor.go(workshop.page("passkeys"))
    album.take(visitor, "passkeys")
    visitor.go(workshop.page("account"))
    album.take(visitor, "account")
    visitor.go(workshop.page("sessions"))
    album.take(visitor, "sessions")

    again = visit(workshop, script=True, **screen)
    Device(again)
    again.go(workshop.page("sign_in"))
    again.fill("Mail address", ann.email)
    again.fill("Password", PASSWORD)
    again.press("Sign in")
    album.take(again, "second-factor")

    boss = workshop.person("admin", name="Jo Weber")
    admin = visit(workshop, boss, script=True, viewport={"width": 1100, "height": 700})
    admin.go(workshop.page("users"))
    album.take(admin, "users")
    admin.go(f"{workshop.page('users')}/{ann.id}")
    album.take(admin, "user")
    assert album.taken == SHOWN
    assert {file.stem for file in KEPT.glob("*.png")} == SHOWN
